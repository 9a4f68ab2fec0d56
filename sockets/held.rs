// SPDX-License-Identifier: GPL-2.0

//! The times for which the locks of buckets were held. Only in the build that measures them for the
//! benchmark (KNETSTAT_MEASURE=1).

use crate::bindings;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering;
use kernel::prelude::pr_info;

/// The number of measured locks after which the figures are logged. Batches are short, so that
/// nothing disturbs some of them.
const BATCH: u64 = 256;

/// The number of locks measured since the module was loaded.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// A histogram of the current batch. Element n counts times that are below 2^n nanoseconds, and at
/// least half of that. The last element also counts all longer times.
static TIMES: [AtomicU64; 32] = [const { AtomicU64::new(0) }; 32];

/// The sum of the times of the current batch, in nanoseconds.
static TOTAL: AtomicU64 = AtomicU64::new(0);

/// The longest time of the current batch, in nanoseconds.
static LONGEST: AtomicU64 = AtomicU64::new(0);

/// The current time in nanoseconds.
pub(crate) fn now() -> u64 {
    // SAFETY: `ktime_get_ns()` may be called anywhere but in an NMI, and this is process context.
    unsafe { bindings::knetstat_ktime_get_ns() }
}

/// Counts a lock that was held for `time` nanoseconds. Called after the lock was released.
pub(crate) fn record(time: u64) {
    TOTAL.fetch_add(time, Ordering::Relaxed);
    LONGEST.fetch_max(time, Ordering::Relaxed);
    let index = u64::BITS.saturating_sub(time.leading_zeros()) as usize;
    if let Some(times) = TIMES.get(index).or(TIMES.last()) {
        times.fetch_add(1, Ordering::Relaxed);
    }
    if COUNT.fetch_add(1, Ordering::Relaxed) % BATCH == BATCH - 1 {
        log();
    }
}

/// Logs the figures of the batch, and begins the next one.
fn log() {
    let times: [u64; TIMES.len()] = core::array::from_fn(|index| {
        TIMES
            .get(index)
            .map_or(0, |times| times.swap(0, Ordering::Relaxed))
    });
    pr_info!(
        "locks held: {} ns, longest {} ns, below 2^n ns: {:?}\n",
        TOTAL.swap(0, Ordering::Relaxed),
        LONGEST.swap(0, Ordering::Relaxed),
        times
    );
}
