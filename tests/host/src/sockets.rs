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
    pub(crate) struct Lines(pub(crate) Fields);

    /// Offsets, and their number.
    #[derive(Clone, Copy, Default)]
    pub(crate) struct Fields([usize; 16], usize);

    impl Lines {
        pub(crate) const fn with(mut self, field: usize) -> Self {
            self.0 .0[self.0 .1] = field;
            self.0 .1 += 1;
            self
        }
    }

    impl Fields {
        pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
            self.0[..self.1].iter().copied()
        }
    }
}
