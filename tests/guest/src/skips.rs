// SPDX-License-Identifier: GPL-2.0

//! The tests that a guest may skip: those that `skips.txt` lists for it, and no others. So a
//! test that stops running somewhere is a failure there.

/// Lines of a test's name and the guests that skip it; `*` at the end of a name stands for
/// any rest of it.
const LIST: &str = include_str!("../skips.txt");

/// Whether `guest` may skip `test`.
pub fn may_skip(guest: &str, test: &str) -> bool {
    LIST.lines().any(|line| {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or("#");
        let matches = match name.strip_suffix('*') {
            Some(begin) => test.starts_with(begin),
            None => test == name,
        };
        matches && words.any(|word| word == guest)
    })
}
