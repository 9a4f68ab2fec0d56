// SPDX-License-Identifier: GPL-2.0

//! Compares `seen.rs` with the standard library's set.

use crate::sockets::seen::Seen;
use proptest::prelude::*;
use std::collections::HashSet;

proptest! {
    #[test]
    fn is_a_set(rounds in prop::collection::vec(prop::collection::vec(1..200_usize, 0..20), 0..40)) {
        let mut seen = Seen::new();
        let mut expected = HashSet::new();
        for ids in rounds {
            // The addresses of objects differ by multiples of their size.
            let ids = ids.iter().map(|id| id << 7);
            seen.reserve(ids.len()).unwrap();
            for id in ids {
                seen.insert(id);
                expected.insert(id);
            }
            prop_assert_eq!(seen.is_empty(), expected.is_empty());
            for id in (0..220).map(|id| id << 7).filter(|id| *id != 0) {
                prop_assert_eq!(seen.contains(id), expected.contains(&id));
            }
        }
        seen.clear();
        prop_assert!(seen.is_empty() && expected.iter().all(|id| !seen.contains(*id)));
    }
}
