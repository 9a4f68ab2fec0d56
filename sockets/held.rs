// SPDX-License-Identifier: GPL-2.0

//! How long the locks of buckets were held, in the build that measures it for the benchmark
//! (KNETSTAT_MEASURE=1).

use crate::bindings;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering;
use kernel::prelude::pr_info;

/// The figures are logged after so many times that a lock was held. Some batches are so short that
/// nothing disturbs them.
const BATCH: u64 = 256;

/// How often a lock was held since the module was loaded.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// How often, of the current batch, for less than 2 to the power of the index nanoseconds,
/// and no less than half of that. The last one takes all that is longer.
static TIMES: [AtomicU64; 32] = [const { AtomicU64::new(0) }; 32];

/// All times of the current batch, in nanoseconds.
static TOTAL: AtomicU64 = AtomicU64::new(0);

/// The longest time of the current batch, in nanoseconds.
static LONGEST: AtomicU64 = AtomicU64::new(0);

/// The time in nanoseconds.
pub(crate) fn now() -> u64 {
    // SAFETY: `ktime_get_ns()` may be called anywhere but in an NMI.
    unsafe { bindings::knetstat_ktime_get_ns() }
}

/// Counts that a lock was held for so many nanoseconds. It is not any more.
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
