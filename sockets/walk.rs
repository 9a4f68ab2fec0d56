// SPDX-License-Identifier: GPL-2.0

//! A walk over a hash table, bucket by bucket, that stops when the reader's buffer is full and goes
//! on from there.
//!
//! A bucket is locked, shown and unlocked in one go. So a socket that stays is shown exactly once,
//! whatever comes and goes beside it. No lock is held between two buckets.
//!
//! A crowded bucket is too large for that, such as 100,000 UDP sockets connected on one port. It is
//! shown in rounds, and the lock is released after each: see [`Limits`]. [`Seen`] remembers which
//! sockets of this bucket were shown, by their addresses. They are compared, never followed.
//!
//! A **pass** goes from the head of the chain to its end. A round ends at an entry, the **cursor**,
//! and the next round goes on behind it. The cursor is a reference, so that its memory stays.
//!
//! - A read begins with a new pass. It skips what was shown. So whatever happens between two reads,
//!   no entry is left out.
//! - Within a pass, the cursor may leave the bucket: then the pass begins anew.
//! - The cursor may leave and come back between two rounds. At the head, it does no harm: the pass
//!   sees some entries again. At the end of the chain, it would be behind entries that the pass has
//!   not seen. Few entries can come back there, see [`Table::keeps_order`]. If a pass has gone on
//!   behind one of these, it proves nothing. Another round then visits the whole chain under one
//!   lock, and shows what it finds.
//!
//! So a bucket ends with a pass that has met each entry that stayed. `tests/host` runs this file
//! against a table in which anything happens between two locks.
//!
//! This does not keep a cursor when it returns: the reader may sleep for a year.

use crate::sockets::seen::Seen;
use core::ops::Range;
use kernel::error::code::EOVERFLOW;
use kernel::error::Result;

/// Empty buckets that are skipped before other tasks get a chance to run.
const EMPTY_BUCKETS: u32 = 1024;

/// Buckets that are shown before other tasks get a chance to run.
const BUCKETS: usize = 64;

/// How much is done while a bucket is locked. A round ends at the first limit that it reaches.
pub(crate) struct Limits {
    /// Rows.
    pub(crate) rows: usize,
    /// Bytes of rows. The last row may go beyond.
    pub(crate) bytes: usize,
    /// Entries that are visited, shown or not. Doubled each time that a pass lost its cursor, so
    /// that a pass ends even if it loses one after the other.
    pub(crate) entries: usize,
}

/// A hash table, and which of its entries a reader sees.
pub(crate) trait Table {
    /// The limits of a round.
    const LIMITS: Limits = if cfg!(knetstat_fault = "short-rounds") {
        Limits {
            rows: 1,
            bytes: 1,
            entries: 1,
        }
    } else {
        Limits {
            rows: 64,
            bytes: 16 << 10,
            entries: 512,
        }
    };

    /// A locked bucket: its chain does not change. Nothing that sleeps may be called meanwhile.
    type Locked<'t>
    where
        Self: 't;

    /// An entry of a locked bucket.
    type Entry<'b>
    where
        Self: 'b;

    /// Entries of a locked bucket, in the order of the chain.
    type Entries<'b>: Iterator<Item = Self::Entry<'b>>
    where
        Self: 'b;

    /// Lets cursors be kept while no bucket is locked.
    type Guard;

    /// A reference to an entry. May sleep when it is dropped.
    type Cursor<'h>;

    /// The number of buckets.
    fn len(&self) -> u32;

    /// The first one of these buckets that has an entry, judged without a lock.
    fn occupied(&self, buckets: Range<u32>) -> Option<u32>;

    /// Locks a bucket. `None` behind the last one. `next` is the bucket that is probably shown
    /// next.
    fn lock(&self, index: u32, next: Option<u32>) -> Option<Self::Locked<'_>>;

    /// All entries of a bucket.
    fn entries<'b>(bucket: &'b Self::Locked<'_>) -> Self::Entries<'b>;

    /// The entries behind `cursor`. `None` if it is not known to be in this bucket.
    fn entries_after<'b>(
        bucket: &'b Self::Locked<'_>,
        cursor: &Self::Cursor<'_>,
    ) -> Option<Self::Entries<'b>>;

    /// Whether the reader sees an entry.
    fn shows(&self, entry: &Self::Entry<'_>) -> bool;

    /// The address of an entry, which no other entry has while this one is in a table.
    fn address(entry: &Self::Entry<'_>) -> usize;

    /// Begins to keep cursors. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` if the reader was killed.
    fn guard(&self) -> Result<Self::Guard>;

    /// Whether a reference to the entry keeps all that is used when the last one is dropped.
    fn lasts(&self, entry: &Self::Entry<'_>) -> bool;

    /// Takes a reference to an entry. `None` if it has none that could be shared, as an entry has
    /// while it is being linked in or out.
    fn cursor<'h>(
        &self,
        entry: &Self::Entry<'_>,
        guard: &'h Self::Guard,
    ) -> Option<Self::Cursor<'h>>;

    /// Whether the entry cannot have come to lie behind another one that was behind it, and stayed.
    fn keeps_order(cursor: &Self::Cursor<'_>) -> bool;

    /// Lets other tasks run. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` if the reader was killed.
    fn pause(&self) -> Result;
}

/// The buffer that rows are written to.
pub(crate) trait Rows<T: Table> {
    /// The end of what was written up to some moment.
    type Position;

    /// Bytes written, and kept for what [`Rows::complete`] adds.
    fn len(&self) -> usize;

    /// Where the rows end now.
    fn position(&self) -> Self::Position;

    /// Appends the row of an entry, or nothing if it does not fit: false. Called with the bucket
    /// locked: must not sleep.
    fn push(&mut self, entry: &T::Entry<'_>) -> bool;

    /// Removes what was written after `position`, which must not be older than the last
    /// [`Rows::complete`].
    fn truncate(&mut self, position: Self::Position);

    /// Completes the rows: looks up what would take too long under a lock.
    fn complete(&mut self);
}

/// Where a walk has got to. Holds no lock and no reference.
pub(crate) struct Walk {
    /// The bucket that is shown next, or the first one that may be.
    bucket: u32,
    /// What earlier rounds have shown of it.
    seen: Seen,
}

impl Walk {
    /// A walk at the first bucket.
    pub(crate) const fn new() -> Self {
        Self {
            bucket: 0,
            seen: Seen::new(),
        }
    }

    /// Whether some of a crowded bucket was shown. The next call visits that part again, so it is
    /// best given a larger buffer.
    pub(crate) fn is_in_crowd(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Writes the rows that come next, as many as fit. Writes none at the end. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` if the reader was killed, `ENOMEM` if there is no memory to remember the sockets of
    /// a crowded bucket, `EOVERFLOW` if a row does not fit even into an empty buffer. What was
    /// written before is right, and the next call goes on behind it.
    pub(crate) fn fill<T: Table>(&mut self, table: &T, rows: &mut impl Rows<T>) -> Result {
        let mut occupied = find_occupied(table, self.bucket)?;
        let mut shown: usize = 0;
        while let Some(bucket) = occupied {
            self.enter(bucket);
            // Found before the bucket is shown, so that the CPU can fetch what is in there
            // meanwhile. The empty buckets in between count as visited.
            let next = find_occupied(table, bucket.saturating_add(1))?;
            if !self.show_bucket(table, next, rows)? {
                return Ok(());
            }
            self.enter(next.unwrap_or(table.len()));
            occupied = next;
            shown = shown.wrapping_add(1);
            if shown % BUCKETS == 0 {
                table.pause()?;
            }
        }
        self.enter(table.len());
        Ok(())
    }

    /// Goes to a bucket. Forgets what was shown of another one.
    fn enter(&mut self, bucket: u32) {
        if bucket != self.bucket {
            self.bucket = bucket;
            self.seen.clear();
        }
    }

    /// Writes what was not shown yet of the current bucket. False if the buffer was full before.
    fn show_bucket<T: Table>(
        &mut self,
        table: &T,
        next: Option<u32>,
        rows: &mut impl Rows<T>,
    ) -> Result<bool> {
        if self.seen.is_empty() {
            let start = rows.position();
            let is_first = rows.len() == 0;
            let ended = {
                let Some(bucket) = table.lock(self.bucket, next) else {
                    return Ok(true);
                };
                let mut round = Round {
                    limits: T::LIMITS,
                    crowd: None,
                };
                round.show(table, T::entries(&bucket), rows)
            };
            match ended {
                Ended::Chain => {
                    rows.complete();
                    return Ok(true);
                }
                // The bucket is shown as a whole, next time.
                Ended::NoRoom if !is_first => {
                    rows.truncate(start);
                    return Ok(false);
                }
                Ended::NoRoom | Ended::Limit(_) => rows.truncate(start),
            }
        }
        self.show_crowd(table, next, rows)
    }

    /// Does what [`Walk::show_bucket`] does, in rounds.
    fn show_crowd<T: Table>(
        &mut self,
        table: &T,
        next: Option<u32>,
        rows: &mut impl Rows<T>,
    ) -> Result<bool> {
        let guard = table.guard()?;
        let mut cursor: Option<T::Cursor<'_>> = None;
        let mut entries = T::LIMITS.entries;
        // Whether the next round visits the whole chain.
        let mut whole = false;
        // Whether the pass has met each entry up to the cursor that stayed.
        let mut complete = true;
        loop {
            self.seen.reserve(T::LIMITS.rows)?;
            let ended = {
                let Some(bucket) = table.lock(self.bucket, next) else {
                    return Ok(true);
                };
                let behind = cursor
                    .as_ref()
                    .and_then(|cursor| T::entries_after(&bucket, cursor));
                match &cursor {
                    Some(cursor) if behind.is_some() => complete &= T::keeps_order(cursor),
                    Some(_) => {
                        complete = true;
                        if !cfg!(knetstat_fault = "same-visits") {
                            entries = entries.saturating_mul(2);
                        }
                    }
                    None => complete = true,
                }
                let mut round = Round {
                    limits: Limits {
                        entries: if whole { usize::MAX } else { entries },
                        ..T::LIMITS
                    },
                    crowd: Some((&mut self.seen, &guard)),
                };
                let entries = behind.unwrap_or_else(|| T::entries(&bucket));
                round.show(table, entries, rows)
            };
            rows.complete();
            match ended {
                Ended::Chain if complete => return Ok(true),
                Ended::Chain => (cursor, whole) = (None, true),
                Ended::NoRoom if rows.len() == 0 => return Err(EOVERFLOW),
                Ended::NoRoom => return Ok(false),
                Ended::Limit(reached) => (cursor, whole) = (reached, false),
            }
            #[cfg(knetstat_fault = "slow-look")]
            crate::abstractions::sched::sleep();
            table.pause()?;
        }
    }
}

/// What is done while a bucket is locked once.
struct Round<'w, 'h, T: Table> {
    limits: Limits,
    /// In a crowded bucket: what was shown of it, and what lets a cursor be kept.
    crowd: Option<(&'w mut Seen, &'h T::Guard)>,
}

impl<'h, T: Table> Round<'_, 'h, T> {
    /// Writes rows until a limit is reached.
    fn show<'b>(
        &mut self,
        table: &T,
        entries: T::Entries<'b>,
        rows: &mut impl Rows<T>,
    ) -> Ended<T::Cursor<'h>>
    where
        T: 'b,
    {
        let start = rows.len();
        let mut shown: usize = 0;
        for (visited, entry) in entries.enumerate() {
            let address = T::address(&entry);
            let was_shown = match &self.crowd {
                Some((seen, _)) => seen.contains(address),
                None => false,
            };
            if table.shows(&entry) && !was_shown {
                if !rows.push(&entry) {
                    return Ended::NoRoom;
                }
                if let Some((seen, _)) = &mut self.crowd {
                    seen.insert(address);
                }
                shown = shown.saturating_add(1);
            }
            let bytes = rows.len().saturating_sub(start);
            let is_full = shown >= self.limits.rows || bytes >= self.limits.bytes;
            if is_full || visited.saturating_add(1) >= self.limits.entries {
                let Some((_, guard)) = self.crowd.as_ref() else {
                    return Ended::Limit(None);
                };
                // Not every entry can be kept. The round goes on to one that can, unless it is
                // full: then the next one begins at the head.
                let cursor = if table.lasts(&entry) {
                    table.cursor(&entry, guard)
                } else {
                    None
                };
                if cursor.is_some() || is_full {
                    return Ended::Limit(cursor);
                }
            }
        }
        Ended::Chain
    }
}

/// Why a round ended.
enum Ended<C> {
    /// The chain ended.
    Chain,
    /// A limit was reached, at this entry if it can be kept.
    Limit(Option<C>),
    /// A row did not fit.
    NoRoom,
}

/// The first bucket from `start` on that has an entry. May sleep.
///
/// # Errors
///
/// `EINTR` if the reader was killed.
fn find_occupied(table: &impl Table, mut start: u32) -> Result<Option<u32>> {
    while start < table.len() {
        let end = start.saturating_add(EMPTY_BUCKETS);
        if let Some(found) = table.occupied(start..end) {
            return Ok(Some(found));
        }
        table.pause()?;
        start = end;
    }
    Ok(None)
}
