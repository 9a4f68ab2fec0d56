// SPDX-License-Identifier: GPL-2.0

//! The order in which readers take turns.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::SeedableRng;

/// The order of the readers in each round. It is random, because a reader finds in the caches what
/// the one before it has left there.
pub struct Turns {
    order: Vec<usize>,
    rng: StdRng,
}

impl Turns {
    /// The turns of this many readers.
    pub fn of(count: usize) -> Self {
        Self {
            order: (0..count).collect(),
            // A fixed seed: the same in every run.
            rng: StdRng::seed_from_u64(1),
        }
    }

    /// The next round: each reader once.
    pub fn next_round(&mut self) -> &[usize] {
        self.order.shuffle(&mut self.rng);
        &self.order
    }
}
