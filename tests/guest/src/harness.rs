// SPDX-License-Identifier: GPL-2.0

//! Test cases for `libtest-mimic`, with skips for a reason, and an order for tests that need one.

use crate::features::Feature;
use anyhow::Result;
use libtest_mimic::{Completion, Failed, Trial};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{fmt, thread};

/// The error of a test that cannot run in this guest.
#[derive(Debug)]
pub struct Skip {
    /// The feature that the guest lacks.
    feature: Feature,
    /// The observation of the test.
    reason: String,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipped: {}", self.reason)
    }
}

impl std::error::Error for Skip {}

/// Ends a test as skipped for this reason. If the guest has the feature after all, the test fails.
pub fn skip<T>(feature: Feature, reason: impl Into<String>) -> Result<T> {
    Err(Skip {
        feature,
        reason: reason.into(),
    }
    .into())
}

impl Skip {
    /// The outcome of the test.
    fn judge(&self) -> Result<Completion, Failed> {
        let Self { feature, reason } = self;
        match feature.is_here() {
            Ok(false) => Ok(Completion::ignored_with(self.to_string())),
            Ok(true) => Err(Failed::from(format!(
                "skipped ({reason}), but this guest has {feature}"
            ))),
            Err(err) => Err(Failed::from(format!(
                "skipped ({reason}), but whether this guest has {feature} is unknown: {err:#}"
            ))),
        }
    }
}

/// A test.
pub struct Case {
    name: String,
    alone: bool,
    heavy: bool,
    run: Box<dyn FnOnce() -> Result<()> + Send>,
}

impl Case {
    /// A test that may run at the same time as others.
    pub fn new(name: impl Into<String>, run: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
        Self {
            name: name.into(),
            alone: false,
            heavy: false,
            run: Box::new(run),
        }
    }

    /// A test that may run at the same time as others, but not as another heavy one. Two tests that
    /// make thousands of sockets take longer at the same time than one after the other.
    pub fn heavy(
        name: impl Into<String>,
        run: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Self {
        Self {
            heavy: true,
            ..Self::new(name, run)
        }
    }

    /// A test that runs alone, after all tests before it have ended.
    pub fn alone(
        name: impl Into<String>,
        run: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Self {
        Self {
            alone: true,
            ..Self::new(name, run)
        }
    }
}

/// The lock of the heavy test that runs.
static HEAVY: Mutex<()> = Mutex::new(());

/// Makes trials of the cases: first those that may run at the same time, then the rest, in order.
pub fn trials(mut cases: Vec<Case>) -> Vec<Trial> {
    cases.sort_by_key(|case| case.alone);
    let mut before: Vec<Weak<()>> = Vec::new();
    let mut trials = Vec::new();
    for case in cases {
        // A trial owns its token until it has run, was filtered out or was ignored.
        let token = Arc::new(());
        let wait = if case.alone {
            before.clone()
        } else {
            Vec::new()
        };
        before.push(Arc::downgrade(&token));
        let Case {
            name, heavy, run, ..
        } = case;
        trials.push(Trial::ignorable_test(name.clone(), move || {
            let _token = token;
            while wait.iter().any(|token| token.strong_count() > 0) {
                thread::sleep(Duration::from_millis(5));
            }
            let turn = heavy.then(|| HEAVY.lock().unwrap_or_else(PoisonError::into_inner));
            let begun = Instant::now();
            let result = run();
            drop(turn);
            if std::env::var_os("KNETSTAT_TIMES").is_some() {
                eprintln!("{:8.2} s {name}", begun.elapsed().as_secs_f32());
            }
            match result {
                Ok(()) => Ok(Completion::Completed),
                Err(err) => match err.downcast_ref::<Skip>() {
                    Some(skip) => skip.judge(),
                    None => Err(Failed::from(format!("{err:#}"))),
                },
            }
        }));
    }
    trials
}
