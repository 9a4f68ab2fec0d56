// SPDX-License-Identifier: GPL-2.0

//! A walk over a hash table, bucket by bucket. It stops when the reader's buffer is full, and
//! continues from there.
//!
//! A bucket is locked, shown and unlocked in one go. A socket that stays is therefore shown exactly
//! once, whatever comes and goes beside it. No lock is held between two buckets.
//!
//! A crowded bucket is too large for that, such as 100,000 UDP sockets connected on one port. It is
//! shown in **rounds**, and the lock is released after each of them: see [`Limits`]. [`Seen`]
//! remembers the sockets of this bucket that were shown, by their addresses. The addresses are
//! compared, never followed.
//!
//! A **pass** goes from the head of the chain to its end. A round ends at an entry, the **cursor**,
//! and the next round continues behind it. The cursor is a reference, so that the memory of the
//! entry stays.
//!
//! - A read begins with a new pass, which skips the entries that were shown. No entry is left out,
//!   whatever happens between two reads.
//! - Within a pass, the cursor may leave the bucket. The pass then begins anew.
//! - The cursor may leave and come back between two rounds. At the head, this does no harm: the
//!   pass visits some entries again. At the end of the chain, the cursor would be behind entries
//!   that the pass has not visited. Few entries can come back there, see [`Table::keeps_order`]. A
//!   pass that has continued behind one of these proves nothing. Another round then visits the
//!   whole chain under one lock, and shows what it finds.
//!
//! A bucket therefore ends with a pass that has visited each entry that stayed. `tests/host` runs
//! this file against a table in which anything happens between two locks.
//!
//! What this does not do: keep a cursor between two reads. The reader may sleep for a year.

use crate::sockets::seen::Seen;
use core::ops::Range;
use kernel::error::code::EOVERFLOW;
use kernel::error::Result;

/// The number of empty buckets that are skipped before other tasks get a chance to run.
const EMPTY_BUCKETS: u32 = 1024;

/// The number of buckets that are shown before other tasks get a chance to run.
const BUCKETS: usize = 64;

/// The limits of the work while a bucket is locked. A round ends at the first limit that it
/// reaches.
pub(crate) struct Limits {
    /// The number of rows.
    pub(crate) rows: usize,
    /// The size of the rows in bytes. The last row may exceed it.
    pub(crate) bytes: usize,
    /// The number of entries that are visited, shown or not. It is doubled each time a pass loses
    /// its cursor, so that a pass ends even if it loses one cursor after the other.
    pub(crate) entries: usize,
}

/// A hash table, and the entries in it that a reader sees.
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

    /// A locked bucket. Its chain does not change. Nothing that sleeps may be called while it is
    /// locked.
    type Locked<'t>
    where
        Self: 't;

    /// An entry of a locked bucket.
    type Entry<'b>
    where
        Self: 'b;

    /// The entries of a locked bucket, in the order of the chain.
    type Entries<'b>: Iterator<Item = Self::Entry<'b>>
    where
        Self: 'b;

    /// A guard that allows cursors to be kept while no bucket is locked.
    type Guard;

    /// A reference to an entry. Dropping it may sleep.
    type Cursor<'h>
    where
        Self: 'h;

    /// The number of buckets.
    fn len(&self) -> u32;

    /// The first of these buckets that has an entry, judged without a lock.
    fn occupied(&self, buckets: Range<u32>) -> Option<u32>;

    /// Locks a bucket. `None` behind the last bucket. `next` is the bucket that is probably shown
    /// next.
    fn lock(&self, index: u32, next: Option<u32>) -> Option<Self::Locked<'_>>;

    /// All entries of a bucket.
    fn entries<'b>(bucket: &'b Self::Locked<'_>) -> Self::Entries<'b>;

    /// The entries behind `cursor`. `None` if `cursor` is not known to be in this bucket.
    fn entries_after<'b>(
        bucket: &'b Self::Locked<'_>,
        cursor: &Self::Cursor<'_>,
    ) -> Option<Self::Entries<'b>>;

    /// Whether the reader sees an entry.
    fn shows(&self, entry: &Self::Entry<'_>) -> bool;

    /// The address of an entry. No other entry has this address while this one is in a table.
    fn address(entry: &Self::Entry<'_>) -> usize;

    /// Allows cursors to be kept while the guard lives. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` if the reader was killed.
    fn guard(&self) -> Result<Self::Guard>;

    /// Whether an entry may be the cursor: a reference to it keeps everything that is used when the
    /// last reference is dropped.
    fn may_be_cursor(&self, entry: &Self::Entry<'_>) -> bool;

    /// Takes a reference to an entry. `None` if its count of references is 0, as it is while the
    /// entry is being linked in or out.
    fn cursor<'h>(
        &'h self,
        entry: &Self::Entry<'_>,
        guard: &'h Self::Guard,
    ) -> Option<Self::Cursor<'h>>;

    /// Whether the entry keeps its order: it cannot have come to lie behind an entry that was
    /// behind it and stayed.
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
    /// The end of the rows at some moment.
    type Position;

    /// The number of bytes written, or reserved for [`Rows::complete`].
    fn len(&self) -> usize;

    /// The current end of the rows.
    fn position(&self) -> Self::Position;

    /// Appends the row of an entry. If it does not fit, appends nothing and returns false. Called
    /// with the bucket locked: must not sleep.
    fn push(&mut self, entry: &T::Entry<'_>) -> bool;

    /// Removes the rows after `position`, which must not be older than the last [`Rows::complete`].
    fn truncate(&mut self, position: Self::Position);

    /// Completes the rows with lookups that would take too long under a lock.
    fn complete(&mut self);
}

/// The place that a walk has reached. It holds no lock and owns no reference.
pub(crate) struct Walk {
    /// The first bucket that may be shown next.
    bucket: u32,
    /// The entries of this bucket that earlier rounds have shown.
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

    /// Whether a part of a crowded bucket was shown. The next call visits that part again. A larger
    /// buffer makes such calls fewer.
    pub(crate) fn is_in_crowd(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Writes the next rows, as many as fit. Writes none at the end. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINTR` if the reader was killed.
    /// - `ENOMEM` if there is no memory to remember the sockets of a crowded bucket.
    /// - `EOVERFLOW` if a row does not fit even into an empty buffer.
    ///
    /// Rows that were written before an error are right. The next call continues after them.
    pub(crate) fn fill<T: Table>(&mut self, table: &T, rows: &mut impl Rows<T>) -> Result {
        let mut occupied = find_occupied(table, self.bucket)?;
        let mut shown: usize = 0;
        while let Some(bucket) = occupied {
            self.enter(bucket);
            // The next bucket is found before this one is shown, so that the CPU can fetch its
            // contents meanwhile. The empty buckets in between count as visited: a socket added to
            // one of them from now on may be missed.
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

    /// Moves to a bucket. Forgets what was shown of another bucket.
    fn enter(&mut self, bucket: u32) {
        if bucket != self.bucket {
            self.bucket = bucket;
            self.seen.clear();
        }
    }

    /// Writes the entries of the current bucket that were not shown yet. Returns false if the
    /// buffer became full before the end.
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
                RoundEnd::Chain => {
                    rows.complete();
                    return Ok(true);
                }
                // The next call shows the bucket as a whole.
                RoundEnd::NoRoom if !is_first => {
                    rows.truncate(start);
                    return Ok(false);
                }
                RoundEnd::NoRoom | RoundEnd::Limit(_) => rows.truncate(start),
            }
        }
        self.show_crowd(table, next, rows)
    }

    /// Does the same as [`Walk::show_bucket`], in rounds.
    fn show_crowd<T: Table>(
        &mut self,
        table: &T,
        next: Option<u32>,
        rows: &mut impl Rows<T>,
    ) -> Result<bool> {
        loop {
            // Memory may come late, for example to a control group that is over its limit. So it is
            // asked for without the guard, which others wait for.
            self.seen.reserve(T::LIMITS.rows)?;
            match self.show_rounds(table, next, rows)? {
                Progress::All => return Ok(true),
                Progress::UntilFull => return Ok(false),
                Progress::NeedRoom => {}
            }
        }
    }

    /// Shows entries in rounds, until `seen` has no room for another round.
    fn show_rounds<T: Table>(
        &mut self,
        table: &T,
        next: Option<u32>,
        rows: &mut impl Rows<T>,
    ) -> Result<Progress> {
        let guard = table.guard()?;
        let mut cursor: Option<T::Cursor<'_>> = None;
        let mut entries = T::LIMITS.entries;
        // Whether the next round visits the whole chain.
        let mut whole = false;
        // Whether the pass has visited each entry up to the cursor that stayed.
        let mut complete = true;
        while self.seen.has_room(T::LIMITS.rows) {
            let ended = {
                let Some(bucket) = table.lock(self.bucket, next) else {
                    return Ok(Progress::All);
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
                RoundEnd::Chain if complete => return Ok(Progress::All),
                RoundEnd::Chain => (cursor, whole) = (None, true),
                RoundEnd::NoRoom if rows.len() == 0 => return Err(EOVERFLOW),
                RoundEnd::NoRoom => return Ok(Progress::UntilFull),
                RoundEnd::Limit(reached) => (cursor, whole) = (reached, false),
            }
            #[cfg(knetstat_fault = "slow-look")]
            crate::abstractions::sched::sleep();
            table.pause()?;
        }
        Ok(Progress::NeedRoom)
    }
}

/// How far the rounds in a crowded bucket came.
enum Progress {
    /// All entries were shown.
    All,
    /// The buffer became full.
    UntilFull,
    /// The set of shown entries needs more memory.
    NeedRoom,
}

/// The work while a bucket is locked once.
struct Round<'w, 'h, T: Table> {
    limits: Limits,
    /// In a crowded bucket: the entries that were shown, and the guard that allows a cursor to be
    /// kept.
    crowd: Option<(&'w mut Seen, &'h T::Guard)>,
}

impl<'h, T: Table> Round<'_, 'h, T> {
    /// Writes rows until the chain ends, a limit is reached, or a row does not fit.
    fn show<'b>(
        &mut self,
        table: &'h T,
        entries: T::Entries<'b>,
        rows: &mut impl Rows<T>,
    ) -> RoundEnd<T::Cursor<'h>>
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
                    return RoundEnd::NoRoom;
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
                    return RoundEnd::Limit(None);
                };
                // Not every entry can be the cursor. The round continues to one that can, unless
                // the round is full. In that case, the next round begins at the head.
                let cursor = if table.may_be_cursor(&entry) {
                    table.cursor(&entry, guard)
                } else {
                    None
                };
                if cursor.is_some() || is_full {
                    return RoundEnd::Limit(cursor);
                }
            }
        }
        RoundEnd::Chain
    }
}

/// The reason for the end of a round.
enum RoundEnd<C> {
    /// The chain ended.
    Chain,
    /// A limit was reached, at this entry if it can be the cursor.
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
