// SPDX-License-Identifier: GPL-2.0

//! A walk over a hash table, bucket by bucket, that can stop at any row and go on there.
//!
//! A bucket is locked, shown and unlocked at once, so a socket that stays is shown exactly once
//! whatever comes and goes beside it. No lock outlives a call.
//!
//! A crowded bucket is too large for that, such as 100,000 UDP sockets connected on one port. It
//! is shown in rounds: the lock is given back after at most [`ROUND`] rows or [`VISITS`] entries.
//! The walk remembers which sockets of this bucket it has shown, by their identities, and holds a
//! reference to the entry at which the round ended, the cursor. The next round goes on behind the
//! cursor if that is still in the bucket. If it has left, the round starts at the head of the
//! chain. In both cases it passes over what was shown. So none is shown twice; and none that stays
//! is missed: new ones are linked in anywhere, but old ones never change places.
//!
//! Between two reads only a socket of the reader's own namespace is held, which the open file
//! holds anyway.

use crate::format::Line;
use crate::mem::Array;
use crate::ns::Net;
use crate::sched;
use crate::sock::{
    Family,
    SockRef, //
};
use crate::tables::{
    Bucket,
    Found,
    Table, //
};
use kernel::error::code::EOVERFLOW;
use kernel::error::Result;

/// Rows that are written while a bucket stays locked.
const ROUND: usize = 64;

/// Entries that are visited while a bucket stays locked.
const VISITS: usize = 512;

/// Empty buckets that are passed over before other tasks get a chance to run.
const EMPTY_BUCKETS: u32 = 1024;

/// Buckets that are shown before other tasks get a chance to run.
const BUCKETS: usize = 64;

/// The state of a walk. Holds no lock between two calls.
pub(crate) struct Walk {
    /// The bucket that is shown next, or the first one that may be.
    bucket: u32,
    /// What was shown of it by former rounds.
    seen: Seen,
    /// What the current round has shown.
    round: Round,
    /// The entry behind which its next round begins.
    cursor: Option<SockRef>,
}

impl Walk {
    /// A walk that is at the first bucket.
    pub(crate) const fn new() -> Self {
        Self {
            bucket: 0,
            seen: Seen::new(),
            round: Round::new(),
            cursor: None,
        }
    }

    /// Writes the sockets of `net` and `family` that come next, by `row`, a line each, as many as
    /// fit. Writes none: there are no more. May sleep.
    ///
    /// `row` is called with the bucket locked: it must not sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` if the reader was killed, `ENOMEM` if there is no memory to remember the sockets of
    /// a crowded bucket, `EOVERFLOW` if a row does not even fit into an empty `line`. What was
    /// written before is right, and the next call goes on behind it.
    pub(crate) fn fill<'n, T: Table<'n>>(
        &mut self,
        net: Net<'n>,
        family: Family,
        line: &mut Line<'_>,
        row: impl Fn(&Found<'_, T>, &mut Line<'_>),
    ) -> Result {
        let filled = self.fill_buckets(&T::of(net), net, family, line, row);
        // A socket keeps its namespace, and the devices there.
        if !cfg!(knetstat_fault = "keep-foreign") {
            self.cursor.take_if(|sk| !sk.is_of(net));
        }
        filled
    }

    fn fill_buckets<'n, T: Table<'n>>(
        &mut self,
        table: &T,
        net: Net<'_>,
        family: Family,
        line: &mut Line<'_>,
        row: impl Fn(&Found<'_, T>, &mut Line<'_>),
    ) -> Result {
        let mut occupied = find_occupied(table, self.bucket)?;
        let mut shown: usize = 0;
        while let Some(bucket) = occupied {
            self.enter(bucket);
            // Looked for before the bucket is shown, so that the CPU can fetch what is in there
            // meanwhile. Those between the two count as passed: who comes into them from here on
            // comes behind the walk.
            let next = find_occupied(table, bucket.saturating_add(1))?;
            let ahead = next.and_then(|next| table.bucket(next));
            if self.show_bucket(table, ahead.as_ref(), net, family, line, &row)? == Shown::NoRoom {
                return Ok(());
            }
            self.enter(next.unwrap_or(table.len()));
            occupied = next;
            shown = shown.wrapping_add(1);
            if shown % BUCKETS == 0 {
                sched::cond_resched_killable()?;
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
            self.cursor = None;
        }
    }

    /// Writes what was not shown yet of the current bucket. `ahead` is the bucket that comes next.
    fn show_bucket<'n, T: Table<'n>>(
        &mut self,
        table: &T,
        ahead: Option<&Bucket<'_, T>>,
        net: Net<'_>,
        family: Family,
        line: &mut Line<'_>,
        row: &impl Fn(&Found<'_, T>, &mut Line<'_>),
    ) -> Result<Shown> {
        let mut visits = VISITS;
        loop {
            let Some(bucket) = table.bucket(self.bucket) else {
                return Ok(Shown::Whole);
            };
            let start = line.len();
            self.round.clear();
            let (ended, next_cursor, lost) = {
                let bucket = bucket.lock();
                #[cfg(knetstat_fault = "sleep")]
                sched::sleep();

                let behind = match &self.cursor {
                    Some(_) if cfg!(knetstat_fault = "lost-place") => None,
                    Some(sk) => bucket.iter_after(sk, ahead),
                    None => None,
                };
                let lost = self.cursor.is_some() && behind.is_none();
                let entries = behind.unwrap_or_else(|| bucket.iter(ahead));
                let (ended, cursor) = self.show_round(entries, visits, net, family, line, row);
                (ended, cursor, lost)
            };
            match ended {
                Ended::Bucket => return Ok(Shown::Whole),
                // So long as nothing of the bucket was shown before, it is shown whole: next time.
                Ended::NoRoom if self.seen.is_empty() && start > 0 => {
                    line.truncate(start);
                    return Ok(Shown::NoRoom);
                }
                Ended::NoRoom if line.len() == 0 => return Err(EOVERFLOW),
                Ended::NoRoom | Ended::Round => {
                    if let Err(error) = self.seen.extend(self.round.ids()) {
                        line.truncate(start);
                        return Err(error);
                    }
                }
            }
            // A round that ended at its first row goes on where it began.
            if next_cursor.is_some() || ended == Ended::Round {
                self.cursor = next_cursor;
            }
            if ended == Ended::NoRoom {
                return Ok(Shown::NoRoom);
            }
            // From the head again, the round may have ended before anything new, and the next one
            // would, too.
            if lost && !cfg!(knetstat_fault = "same-visits") {
                visits = visits.saturating_mul(2);
            }
            sched::cond_resched_killable()?;
        }
    }

    /// Writes rows while the bucket is locked once. Returns why it ended, and a reference to the
    /// entry behind which the next round begins.
    fn show_round<'e, 'n, T: Table<'n> + 'e>(
        &mut self,
        entries: impl Iterator<Item = Found<'e, T>>,
        visits: usize,
        net: Net<'_>,
        family: Family,
        line: &mut Line<'_>,
        row: &impl Fn(&Found<'_, T>, &mut Line<'_>),
    ) -> (Ended, Option<SockRef>) {
        let mut last: Option<Found<'_, T>> = None;
        for (visited, entry) in entries.enumerate() {
            let is_shown = entry.matches(net, family) && !self.seen.contains(entry.id());
            if is_shown {
                let start = line.len();
                row(&entry, line);
                line.fixed(b"\n");
                if line.is_full() {
                    line.truncate(start);
                    return (Ended::NoRoom, last.and_then(|entry| entry.try_get()));
                }
                self.round.push(entry.id());
            }
            if self.round.is_full() || visited >= visits {
                // A minisock is linked in before it has references. The round goes on to one that
                // has some, unless it is full: then the next one starts at the head.
                let cursor = entry.try_get();
                if cursor.is_some() || self.round.is_full() {
                    return (Ended::Round, cursor);
                }
            }
            if is_shown || cfg!(knetstat_fault = "keep-foreign") {
                last = Some(entry);
            }
        }
        (Ended::Bucket, None)
    }
}

/// Whether a bucket fitted into the line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Whole,
    NoRoom,
}

/// Why a round ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// At the end of the chain.
    Bucket,
    /// Enough was done under one lock.
    Round,
    /// A row did not fit.
    NoRoom,
}

/// The first bucket from `start` on that is not empty. May sleep.
///
/// # Errors
///
/// `EINTR` if the reader was killed.
fn find_occupied<'n>(table: &impl Table<'n>, mut start: u32) -> Result<Option<u32>> {
    while start < table.len() {
        let end = start.saturating_add(EMPTY_BUCKETS);
        if let Some(found) = table.occupied(start..end) {
            return Ok(Some(found));
        }
        sched::cond_resched_killable()?;
        start = end;
    }
    Ok(None)
}

/// The identities of the sockets that a round showed.
struct Round {
    ids: [usize; ROUND],
    len: usize,
}

impl Round {
    const fn new() -> Self {
        Self {
            ids: [0; ROUND],
            len: 0,
        }
    }

    fn clear(&mut self) {
        self.len = 0;
    }

    fn ids(&self) -> &[usize] {
        self.ids.get(..self.len).unwrap_or(&[])
    }

    fn is_full(&self) -> bool {
        self.len >= ROUND
    }

    fn push(&mut self, id: usize) {
        if let Some(place) = self.ids.get_mut(self.len) {
            *place = id;
            self.len = self.len.saturating_add(1);
        }
    }
}

/// A set of identities: open addressing, at most half full, 0 marks a free place.
struct Seen {
    places: Array<usize>,
    len: usize,
}

impl Seen {
    const fn new() -> Self {
        Self {
            places: Array::empty(),
            len: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all, and gives the memory back.
    fn clear(&mut self) {
        if !self.is_empty() {
            *self = Self::new();
        }
    }

    /// The places to look at for an identity, in order.
    fn probe(places: &[usize], id: usize) -> impl Iterator<Item = usize> {
        // Fibonacci hashing; the number of places is a power of two or 0.
        const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
        let mask = places.len().wrapping_sub(1);
        let hash = (id as u64).wrapping_mul(GOLDEN_RATIO) >> 32;
        (0..places.len()).map(move |step| (hash as usize).wrapping_add(step) & mask)
    }

    fn contains(&self, id: usize) -> bool {
        for place in Self::probe(&self.places, id) {
            match self.places.get(place) {
                Some(found) if *found == id => return true,
                Some(0) | None => return false,
                Some(_) => {}
            }
        }
        false
    }

    /// Adds identities. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. None is added then.
    fn extend(&mut self, ids: &[usize]) -> Result {
        let needed = self.len.saturating_add(ids.len()).saturating_mul(2);
        if needed > self.places.len() {
            // Twice what is needed, to amortise rehashing.
            let mut larger = Self {
                places: Array::zeroed(needed.saturating_mul(2).max(8).next_power_of_two())?,
                len: 0,
            };
            for id in self.places.iter().filter(|id| **id != 0) {
                larger.insert(*id);
            }
            *self = larger;
        }
        for id in ids {
            self.insert(*id);
        }
        Ok(())
    }

    /// Adds an identity, for which there is room.
    fn insert(&mut self, id: usize) {
        for place in Self::probe(&self.places, id) {
            match self.places.get_mut(place) {
                Some(free) if *free == 0 => {
                    *free = id;
                    self.len = self.len.saturating_add(1);
                    return;
                }
                Some(found) if *found == id => return,
                _ => {}
            }
        }
    }
}
