// SPDX-License-Identifier: GPL-2.0

//! The walk of the module, and the set of entries that it remembers.

#[path = "../../../sockets/seen.rs"]
mod seen;
#[path = "../../../sockets/walk.rs"]
mod walk;

#[cfg(test)]
mod seen_tests;
#[cfg(test)]
mod walk_model;
#[cfg(test)]
mod walk_tests;

/// A stand-in for the module's list of cache lines, with room for each field.
pub(crate) mod prefetch {
    #[derive(Clone, Copy, Default)]
    pub(crate) struct Lines {
        offsets: [usize; 16],
        len: usize,
    }

    impl Lines {
        pub(crate) const fn with(mut self, field: usize) -> Self {
            self.offsets[self.len] = field;
            self.len += 1;
            self
        }

        pub(crate) fn offsets(&self) -> &[usize] {
            &self.offsets[..self.len]
        }
    }
}
