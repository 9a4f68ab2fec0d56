// SPDX-License-Identifier: GPL-2.0

//! A walk over a hash table that can stop between any two buckets and go on there.
//!
//! The unit is a bucket: it is locked, shown and unlocked, so a socket that stays
//! is shown exactly once whatever comes and goes beside it. No lock outlives a
//! call. A bucket can be too large for that, such as 100,000 UDP sockets
//! connected on one port: such a crowded one is shown in pieces of at most
//! [`PIECE`] sockets, and the lock is given back at the latest after [`VISITS`]
//! entries.
//!
//! Between two pieces, the walk remembers the last socket that it showed, by a
//! counted reference, and goes on behind it. It also remembers the identity of every
//! socket of this bucket that it showed. If the last one has left the bucket, it
//! starts again at the head and passes over those. So a socket that stays is shown
//! exactly once here too: none is shown twice, as each is looked up first, and none is
//! missed, as new ones are linked in anywhere but old ones never change places. The
//! memory of an identity (16 to 32 bytes) is freed with the walk through the bucket.

use crate::format::Shown;
use crate::mem::Array;
use crate::ns::Net;
use crate::sched;
use crate::sock::Family;
use crate::sock::SockRef;
use crate::tables::Ahead;
use crate::tables::Found;
use crate::tables::Part;
use crate::tables::Table;
use crate::tables::RESUMES;
use kernel::error::Result;

/// Sockets that are shown while a bucket stays locked.
const PIECE: usize = 64;

/// Entries that are passed over while a bucket stays locked.
const VISITS: usize = 512;

/// Empty buckets that are passed over before other tasks get a chance to run.
const EMPTY_BUCKETS: u32 = 1024;

/// Where a walk is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    bucket: u32,
    piece: u32,
}

impl Position {
    /// The first bucket.
    const START: Self = Self {
        bucket: 0,
        piece: 0,
    };

    /// The position as a positive number, greater than those of former positions.
    pub(crate) fn to_number(self) -> i64 {
        ((i64::from(self.bucket) << 31) | i64::from(self.piece)).saturating_add(1)
    }

    fn next_piece(self) -> Self {
        // The piece has 31 bits. A bucket of 2^37 sockets does not fit into memory.
        Self {
            piece: self.piece.saturating_add(1),
            ..self
        }
    }
}

/// The state of a walk. Holds no lock, and one reference to a socket at most between
/// two calls.
pub(crate) struct Walk {
    at: Position,
    /// The next bucket with entries, looked for ahead of time.
    next_bucket: Option<u32>,
    /// The piece that was shown last. Not yet final: the reader may drop it and ask again.
    piece: Piece,
    /// What was shown of this bucket by former pieces.
    seen: Seen,
    /// The last socket of the former piece.
    resume_after: Option<SockRef>,
}

impl Walk {
    /// A walk that is at the first bucket.
    pub(crate) const fn new() -> Self {
        Self {
            at: Position::START,
            next_bucket: None,
            piece: Piece::new(),
            seen: Seen::new(),
            resume_after: None,
        }
    }

    /// Where the walk is.
    pub(crate) fn position(&self) -> Position {
        self.at
    }

    /// Goes to the first bucket that is not empty. `None`: there is none.
    pub(crate) fn rewind<'n, T: Table<'n>>(&mut self, net: Net<'n>) -> Option<Position> {
        *self = Self::new();
        let table = T::of(net);
        self.next_bucket = find_occupied(&table, 0);
        self.enter_next_bucket(&table)
    }

    /// Goes on to the next piece, or else to the next bucket that is not empty. What
    /// the last call of [`Walk::show`] showed is final now. `None`: the table is done.
    pub(crate) fn advance<'n, T: Table<'n>>(&mut self, net: Net<'n>) -> Option<Position> {
        if self.piece.is_last {
            self.seen = Seen::new();
            self.resume_after = None;
            self.piece.clear();
            return self.enter_next_bucket(&T::of(net));
        }

        for id in self.piece.ids() {
            self.seen.insert(*id);
        }
        self.resume_after = self.piece.resume_after.take();
        self.piece.clear();
        self.at = self.at.next_piece();
        Some(self.at)
    }

    /// Goes to the bucket that was found, and looks for the one after it. That may be long before
    /// it is shown: sockets that come into the buckets between them meanwhile are as if they had
    /// come behind the walk.
    fn enter_next_bucket<'n>(&mut self, table: &impl Table<'n>) -> Option<Position> {
        let bucket = self.next_bucket?;
        self.at = Position { bucket, piece: 0 };
        self.next_bucket = find_occupied(table, bucket.saturating_add(1));
        Some(self.at)
    }

    /// Gives the sockets of the piece at the current position that belong to `net`
    /// and `family` to `row`, in the order of the chain.
    ///
    /// `row` is called with the bucket locked: it must not sleep. May be called again
    /// for the same position.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there is no memory to remember the sockets of a crowded bucket.
    pub(crate) fn show<'n, T: Table<'n>>(
        &mut self,
        net: Net<'n>,
        family: Family,
        mut row: impl for<'b> FnMut(T::Socket<'b>, &Ahead<T>) -> Shown,
    ) -> Result<Shown> {
        let table = T::of(net);
        let resumed = self.at.piece > 0;
        self.piece.clear();
        let next_bucket = self
            .next_bucket
            .and_then(|index| table.bucket(index))
            .map_or(Ahead::NONE, |bucket| bucket.ahead());

        // The lock is given back between two rounds. `hold` is where the next round begins: it is
        // dropped outside of the lock, as that may free the socket.
        let mut hold: Option<SockRef> = None;
        let mut rounds: u32 = 0;
        let ended = loop {
            let Some(bucket) = table.bucket(self.at.bucket) else {
                break Ended::Bucket;
            };
            let (ended, next_hold) = {
                let bucket = bucket.lock();
                #[cfg(knetstat_fault = "sleep")]
                sched::sleep();

                let from = hold.as_ref().or(self.resume_after.as_ref());
                let mut round = Round {
                    piece: &mut self.piece,
                    seen: resumed.then_some(&self.seen),
                    again: rounds > 0,
                    next_bucket: &next_bucket,
                };
                let entries = from
                    .and_then(|sk| bucket.iter_after(sk))
                    .unwrap_or_else(|| bucket.iter());
                round.run(entries, net, family, &mut row)
            };
            match ended {
                // A round that broke off because it ran out of room has a place to resume at only
                // if it visited anything.
                Ended::NoRoom if next_hold.is_none() => {}
                _ => hold = next_hold,
            }
            if ended != Ended::Round {
                break ended;
            }
            rounds = rounds.saturating_add(1);
            sched::cond_resched();
        };

        match ended {
            Ended::Bucket => {
                self.piece.is_last = true;
                Ok(Shown::Whole)
            }
            // A bucket that is not crowded is shown whole or not at all. Of a crowded one, less than
            // a full piece is fine.
            Ended::NoRoom if !resumed || self.piece.ids().is_empty() => Ok(Shown::NoRoom),
            Ended::NoRoom | Ended::Piece | Ended::Round => {
                self.seen.reserve(self.piece.ids().len())?;
                self.piece.resume_after = hold;
                self.piece.is_last = false;
                Ok(Shown::Whole)
            }
        }
    }
}

/// Why a round ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// At the end of the chain.
    Bucket,
    /// The piece is full.
    Piece,
    /// Enough entries were passed over under one lock.
    Round,
    /// The row of a socket did not fit.
    NoRoom,
}

/// The first bucket from `start` on that is not empty. May sleep.
fn find_occupied<'n>(table: &impl Table<'n>, mut start: u32) -> Option<u32> {
    while start < table.len() {
        let end = start.saturating_add(EMPTY_BUCKETS);
        if let Some(found) = table.occupied(start..end) {
            return Some(found);
        }
        sched::cond_resched();
        start = end;
    }
    None
}

/// What is done while the bucket is locked once.
struct Round<'w, T> {
    piece: &'w mut Piece,
    /// What former pieces showed, if there were any.
    seen: Option<&'w Seen>,
    /// Whether there was a round for this piece already.
    again: bool,
    /// What is shown after the bucket.
    next_bucket: &'w Ahead<T>,
}

impl<'n, T: Table<'n>> Round<'_, T> {
    /// Whether a former piece or round has shown the socket.
    fn is_done(&self, id: usize) -> bool {
        self.seen.is_some_and(|seen| seen.contains(id))
            || (self.again && self.piece.ids().contains(&id))
    }

    /// Shows entries until something ends the round, and takes a reference to the last
    /// one.
    fn run<'e>(
        &mut self,
        entries: impl Iterator<Item = Found<'e, T>>,
        net: Net<'_>,
        family: Family,
        row: &mut impl for<'b> FnMut(T::Socket<'b>, &Ahead<T>) -> Shown,
    ) -> (Ended, Option<SockRef>) {
        let mut former: Option<Found<'_, T>> = None;
        for (visits, entry) in entries.enumerate() {
            let ahead = entry.after().or(self.next_bucket);
            ahead.fetch(Part::Columns);
            if entry.matches(net, family) && !self.is_done(entry.id()) {
                if row(entry.socket(), ahead) == Shown::NoRoom {
                    return (Ended::NoRoom, former.and_then(|entry| entry.try_hold()));
                }
                self.piece.push(entry.id());
            }
            if self.piece.is_full() {
                // Without a reference, the next piece starts at the head: slower, and also right.
                return (Ended::Piece, entry.try_hold());
            }
            if RESUMES && visits >= VISITS {
                // A minisock is linked in before it has references: take the one after it, then.
                if let Some(hold) = entry.try_hold() {
                    return (Ended::Round, Some(hold));
                }
            }
            former = Some(entry);
        }
        (Ended::Bucket, None)
    }
}

/// The identities of the sockets that one call showed.
struct Piece {
    ids: [usize; PIECE],
    len: usize,
    /// Whether the bucket ends here.
    is_last: bool,
    resume_after: Option<SockRef>,
}

impl Piece {
    const fn new() -> Self {
        Self {
            ids: [0; PIECE],
            len: 0,
            is_last: true,
            resume_after: None,
        }
    }

    fn clear(&mut self) {
        self.len = 0;
        self.is_last = true;
        self.resume_after = None;
    }

    fn ids(&self) -> &[usize] {
        self.ids.get(..self.len).unwrap_or(&[])
    }

    fn is_full(&self) -> bool {
        self.len >= PIECE
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

    /// Makes room for `more` identities. May sleep.
    fn reserve(&mut self, more: usize) -> Result {
        let needed = self.len.saturating_add(more).saturating_mul(2);
        if needed <= self.places.len() {
            return Ok(());
        }
        // Twice what is needed, so that the cost of moving house is spread.
        let mut larger = Self {
            places: Array::zeroed(needed.saturating_mul(2).max(8).next_power_of_two())?,
            len: 0,
        };
        for id in self.places.iter().filter(|id| **id != 0) {
            larger.insert(*id);
        }
        *self = larger;
        Ok(())
    }

    /// Adds an identity, for which [`Seen::reserve`] made room.
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
