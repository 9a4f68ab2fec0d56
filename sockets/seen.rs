// SPDX-License-Identifier: GPL-2.0

//! A set of identities: the sockets of a crowded bucket that were shown.

use crate::abstractions::mem::{
    Array,
    Need, //
};
use kernel::error::Result;

/// A set of nonzero numbers, with open addressing. At most half of the slots are in use.
pub(crate) struct Seen {
    /// The numbers, or 0 in a free slot. The length is a power of two, or 0.
    slots: Array<usize>,
    len: usize,
}

impl Seen {
    /// An empty set without memory.
    pub(crate) const fn new() -> Self {
        Self {
            slots: Array::empty(),
            len: 0,
        }
    }

    /// Whether the set is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Removes all numbers, and frees the memory.
    pub(crate) fn clear(&mut self) {
        if !self.slots.is_empty() {
            *self = Self::new();
        }
    }

    /// Whether there is room for `count` more numbers.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        self.slots_for(count) <= self.slots.len()
    }

    /// The number of slots that `count` more numbers need.
    fn slots_for(&self, count: usize) -> usize {
        self.len.saturating_add(count).saturating_mul(2)
    }

    /// Makes room for `count` more numbers. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. The set is then unchanged.
    pub(crate) fn reserve(&mut self, count: usize) -> Result {
        if !self.has_room(count) {
            // Each power of two is twice the one before, which amortises rehashing.
            let slots = self.slots_for(count).max(8).next_power_of_two();
            let mut larger = Self {
                slots: Array::zeroed(slots, Need::Required)?,
                len: 0,
            };
            for id in self.slots.iter().filter(|id| **id != 0) {
                larger.insert(*id);
            }
            *self = larger;
        }
        Ok(())
    }

    /// Inserts an identity. If [`Seen::reserve`] has made no room for it, it is left out.
    pub(crate) fn insert(&mut self, id: usize) {
        for index in probe(self.slots.len(), id) {
            match self.slots.get_mut(index) {
                Some(slot) if *slot == 0 => {
                    *slot = id;
                    self.len = self.len.saturating_add(1);
                    return;
                }
                Some(slot) if *slot == id => return,
                _ => {}
            }
        }
    }

    /// Whether the set contains an identity.
    pub(crate) fn contains(&self, id: usize) -> bool {
        for index in probe(self.slots.len(), id) {
            match self.slots.get(index) {
                Some(slot) if *slot == id => return true,
                Some(0) | None => return false,
                Some(_) => {}
            }
        }
        false
    }
}

/// The slots that may contain an identity, in the order in which they are tried.
fn probe(slots: usize, id: usize) -> impl Iterator<Item = usize> {
    // Fibonacci hashing.
    const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
    let mask = slots.wrapping_sub(1);
    let hash = (id as u64).wrapping_mul(GOLDEN_RATIO) >> 32;
    (0..slots).map(move |step| (hash as usize).wrapping_add(step) & mask)
}
