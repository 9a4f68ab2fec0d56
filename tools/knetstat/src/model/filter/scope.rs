// SPDX-License-Identifier: GPL-2.0

//! The network namespaces of a filter.

/// The network namespaces whose sockets a filter selects from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// That of this process.
    Own,
    /// That of this process, now and at another time: interfaces may still come, or be gone.
    OwnAnytime,
    All,
}

impl Scope {
    pub fn is_own(self) -> bool {
        self != Self::All
    }
}
