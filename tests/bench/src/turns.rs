// SPDX-License-Identifier: GPL-2.0

//! Who reads when.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::SeedableRng;

/// The order of the readers in each round: random, since each finds in the caches what the one
/// before it left there.
pub struct Turns {
    order: Vec<usize>,
    rng: StdRng,
}

impl Turns {
    /// Turns of so many readers.
    pub fn of(count: usize) -> Self {
        Self {
            order: (0..count).collect(),
            // The same in every run.
            rng: StdRng::seed_from_u64(1),
        }
    }

    /// The readers, each once.
    pub fn next_round(&mut self) -> &[usize] {
        self.order.shuffle(&mut self.rng);
        &self.order
    }
}
