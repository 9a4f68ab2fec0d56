// SPDX-License-Identifier: GPL-2.0

//! Progress messages on standard error.

use std::fmt::Display;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The time between two lines about the same work.
const INTERVAL: Duration = Duration::from_secs(5);

/// Prints a line that begins with the time since the first one.
pub fn note(text: impl Display) {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let seconds = BEGUN.get_or_init(Instant::now).elapsed().as_secs();
    eprintln!("[{:2}:{:02}] {text}", seconds / 60, seconds % 60);
}

/// Work with many steps. Every few seconds, a line shows how far it is.
pub struct Progress {
    what: String,
    total: usize,
    done: usize,
    last: Instant,
}

impl Progress {
    /// Prints that the work begins.
    pub fn new(what: impl Into<String>, total: usize) -> Self {
        let what = what.into();
        note(&what);
        Self::quiet(what, total)
    }

    /// Prints nothing unless the work takes long.
    pub fn quiet(what: impl Into<String>, total: usize) -> Self {
        Self {
            what: what.into(),
            total,
            done: 0,
            last: Instant::now(),
        }
    }

    /// Adds this many steps to those that are done.
    pub fn add(&mut self, steps: usize) {
        self.done += steps;
        if self.last.elapsed() >= INTERVAL {
            self.last = Instant::now();
            note(format_args!(
                "{}: {} of {}",
                self.what, self.done, self.total
            ));
        }
    }
}
