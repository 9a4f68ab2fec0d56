// SPDX-License-Identifier: GPL-2.0

//! A simulated hash table for `sockets/walk.rs`. Anything that the kernel does to a chain happens
//! between two locks.
//!
//! The kernel changes chains as follows (`include/net/sock.h`, `net/ipv4/inet_hashtables.c`,
//! `net/ipv4/udp.c`):
//!
//! - It links an entry in at the head of a chain. An IPv6 socket with SO_REUSEPORT goes to the
//!   tail.
//! - It unlinks an entry. This entry may be linked in again anywhere. If nobody refers to it, its
//!   address may become that of another entry.
//! - It puts another entry in the place of one. A request becomes a connection, and a connection
//!   becomes a TIME_WAIT.
//! - A network namespace ends, and with it all its entries.
//!
//! `listening_hash`, the table of listeners in old kernels, changes in the first two ways, as read
//! in Linux 5.10.262. There, a TIME_WAIT is linked in at the head before its connection is unlinked,
//! under the same lock: [`Change::Unlink`] and [`Change::Reuse`] between two locks.
//!
//! If a new kernel changes chains in a new way, that is added here first.
//!
//! The model checks each step:
//!
//! - A bucket is not locked for more entries or bytes than allowed.
//! - Memory is not used after it was freed.
//! - A namespace is not used after it has ended.
//!
//! The model cannot show whether `tables.rs` and `sock.rs` keep their promises: see the tests in
//! the guests.

use crate::abstractions::mem;
use crate::sockets::walk::{Limits, Rows, Table};
use kernel::error::code::EINTR;
use kernel::error::Result;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

/// A number of locks that no walk here takes once nothing changes any more.
const MANY_LOCKS: usize = 3000;

/// The kind of an entry, which stays the same as long as the entry lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Whether the reader sees the entry: it belongs to the reader's namespace and family.
    pub(crate) is_shown: bool,
    /// Whether the entry can be linked in at the tail.
    pub(crate) goes_to_tail: bool,
    /// Whether the entry can be linked in again after it has left.
    pub(crate) returns: bool,
    /// Whether a reference, or the reader, keeps the namespace of the entry.
    pub(crate) lasts: bool,
    /// The size of the row in bytes.
    pub(crate) bytes: usize,
}

impl Kind {
    /// Whether the entry cannot come back behind an entry that was behind it.
    fn keeps_order(self) -> bool {
        !self.goes_to_tail || !self.returns
    }

    /// A socket that the reader sees.
    pub(crate) const PLAIN: Self = Self {
        is_shown: true,
        goes_to_tail: false,
        returns: true,
        lasts: true,
        bytes: 1,
    };
    /// An IPv6 socket with SO_REUSEPORT that the reader sees.
    pub(crate) const TAIL: Self = Self {
        goes_to_tail: true,
        ..Self::PLAIN
    };
    /// The same for UDP, bound to its port: it leaves only once.
    pub(crate) const BOUND: Self = Self {
        returns: false,
        ..Self::TAIL
    };
    /// A socket of the kernel in another namespace, which ends before the socket.
    pub(crate) const FOREIGN: Self = Self {
        is_shown: false,
        lasts: false,
        ..Self::PLAIN
    };
}

/// A piece of memory that contains an entry, or did so.
#[derive(Clone, Debug)]
struct Entry {
    kind: Kind,
    /// Distinguishes the entries that are at one address, one after the other.
    generation: u32,
    /// The bucket that contains the entry.
    bucket: Option<u32>,
    /// The number of references that the walk owns.
    cursors: usize,
    /// Whether the count of references is 0 while the entry is in a table.
    is_unreferenced: bool,
    /// Whether a process owns the socket.
    is_owned: bool,
    /// Whether the namespace of the entry has ended.
    has_no_namespace: bool,
    /// Whether the entry was ever unlinked or replaced.
    has_left: bool,
    /// Whether the entry has been in its bucket since the listing began.
    has_stayed: bool,
}

/// An address: an index into [`State::entries`].
pub(crate) type Address = usize;

/// An event between two locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The entry leaves its bucket, if it is in one. It is then linked in at the head of this
    /// bucket.
    Head(Address, u32),
    /// The same at the tail, or at the head if the entry does not go to the tail.
    Tail(Address, u32),
    /// The entry leaves.
    Unlink(Address),
    /// Another entry of the same kind takes the place of this one, which is freed.
    Replace(Address),
    /// A new entry is linked in at the head. It has the address of this one, if that is free.
    Reuse(Address, u32),
    /// A process begins or ceases to own the socket.
    Own(Address),
    /// The count of references becomes 0, or ceases to be 0.
    Unreference(Address),
    /// All namespaces end that no reference keeps.
    EndNamespaces,
}

#[derive(Clone, Debug, Default)]
struct State {
    chains: Vec<Vec<Address>>,
    entries: Vec<Entry>,
    /// The entries that were shown, by address and generation, with the bucket.
    shown: Vec<((Address, u32), u32)>,
}

impl State {
    fn unlink(&mut self, address: Address) {
        let entry = &mut self.entries[address];
        entry.has_stayed = false;
        if let Some(bucket) = entry.bucket.take() {
            entry.has_left = true;
            self.chains[bucket as usize].retain(|other| *other != address);
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Head(address, bucket) | Change::Tail(address, bucket) => {
                if self.entries[address].has_no_namespace {
                    return;
                }
                self.unlink(address);
                let entry = &mut self.entries[address];
                if entry.has_left && !entry.kind.returns {
                    return;
                }
                entry.bucket = Some(bucket);
                let chain = &mut self.chains[bucket as usize];
                if matches!(change, Change::Tail(..)) && entry.kind.goes_to_tail {
                    chain.push(address);
                } else {
                    chain.insert(0, address);
                }
            }
            Change::Unlink(address) => self.unlink(address),
            Change::Replace(address) => {
                let Some(bucket) = self.entries[address].bucket else {
                    return;
                };
                let new = self.entries.len();
                let place = self.chains[bucket as usize]
                    .iter_mut()
                    .find(|other| **other == address)
                    .expect("is in its bucket");
                *place = new;
                let entry = &mut self.entries[address];
                entry.bucket = None;
                entry.has_left = true;
                entry.has_stayed = false;
                let (kind, has_no_namespace) = (entry.kind, entry.has_no_namespace);
                self.entries.push(Entry {
                    bucket: Some(bucket),
                    has_no_namespace,
                    ..Entry::new(kind, 0)
                });
            }
            Change::Reuse(address, bucket) => {
                let entry = &mut self.entries[address];
                if entry.bucket.is_some() || entry.cursors > 0 || entry.has_no_namespace {
                    return;
                }
                *entry = Entry::new(entry.kind, entry.generation + 1);
                entry.bucket = Some(bucket);
                self.chains[bucket as usize].insert(0, address);
            }
            Change::Own(address) => self.entries[address].is_owned ^= true,
            Change::Unreference(address) => {
                // The walk owns no reference either.
                let entry = &mut self.entries[address];
                entry.is_unreferenced ^= entry.cursors == 0;
            }
            Change::EndNamespaces => {
                for address in 0..self.entries.len() {
                    if !self.entries[address].kind.lasts {
                        self.unlink(address);
                        self.entries[address].has_no_namespace = true;
                    }
                }
            }
        }
    }
}

impl Entry {
    fn new(kind: Kind, generation: u32) -> Self {
        Self {
            kind,
            generation,
            bucket: None,
            cursors: 0,
            is_unreferenced: false,
            is_owned: false,
            has_no_namespace: false,
            has_left: false,
            has_stayed: false,
        }
    }
}

/// The events, in their order. Called before each lock, with the number of the lock.
pub(crate) trait Script {
    fn next(&mut self, lock: usize, change: &mut dyn FnMut(Change));
}

impl<F: FnMut(usize, &mut dyn FnMut(Change))> Script for F {
    fn next(&mut self, lock: usize, change: &mut dyn FnMut(Change)) {
        self(lock, change)
    }
}

/// The progress of a pass, for the limits of a lock.
#[derive(Clone, Copy, Default)]
struct Pass {
    /// The number of cursors that were lost in this bucket.
    lost: u32,
    /// Whether the pass has continued behind an entry that does not keep its order.
    is_doubtful: bool,
    /// Whether the last round reached the end of such a pass. The next round may then visit the
    /// whole chain.
    may_be_whole: bool,
}

/// The state that the model, its locked bucket and its cursors share.
struct Shared {
    state: RefCell<State>,
    is_locked: Cell<bool>,
    guards: Cell<usize>,
    bucket: Cell<u32>,
    pass: Cell<Pass>,
    limits: Limits,
}

/// A table, and the events in it. The limits of a round are parameters.
pub(crate) struct Model<'s, const ROWS: usize, const BYTES: usize, const ENTRIES: usize> {
    shared: Rc<Shared>,
    script: RefCell<&'s mut dyn Script>,
    locks: Cell<usize>,
    /// The number of pauses until the reader is killed.
    pub(crate) lives: Cell<usize>,
}

impl<'s, const R: usize, const B: usize, const E: usize> Model<'s, R, B, E> {
    /// Makes chains of entries of these kinds, in their order, and entries that are in no chain.
    pub(crate) fn new(chains: &[&[Kind]], others: &[Kind], script: &'s mut dyn Script) -> Self {
        let mut state = State::default();
        for (bucket, kinds) in (0..).zip(chains) {
            let mut chain = Vec::new();
            for kind in *kinds {
                chain.push(state.entries.len());
                state.entries.push(Entry {
                    bucket: Some(bucket),
                    has_stayed: true,
                    ..Entry::new(*kind, 0)
                });
            }
            state.chains.push(chain);
        }
        state
            .entries
            .extend(others.iter().map(|kind| Entry::new(*kind, 0)));
        Self {
            shared: Rc::new(Shared {
                state: RefCell::new(state),
                is_locked: Cell::new(false),
                guards: Cell::new(0),
                bucket: Cell::new(0),
                pass: Cell::new(Pass::default()),
                limits: Self::LIMITS,
            }),
            script: RefCell::new(script),
            locks: Cell::new(0),
            lives: Cell::new(usize::MAX),
        }
    }

    /// Begins a new listing. Entries that are in a bucket now and stay must be listed.
    pub(crate) fn begin(&self) {
        let mut state = self.shared.state.borrow_mut();
        state.shown.clear();
        for entry in &mut state.entries {
            entry.has_stayed = entry.bucket.is_some();
        }
    }

    /// Checks that nothing is kept between two reads.
    pub(crate) fn check_idle(&self) {
        assert_eq!(self.shared.guards.get(), 0, "a guard lives");
        assert!(!self.shared.is_locked.get(), "a bucket is locked");
        for entry in &self.shared.state.borrow().entries {
            assert_eq!(entry.cursors, 0, "a reference is left");
        }
    }

    /// Checks a listing that is complete.
    pub(crate) fn check_listing(&self) {
        let state = self.shared.state.borrow();
        for (address, entry) in state.entries.iter().enumerate() {
            let buckets: Vec<u32> = state
                .shown
                .iter()
                .filter(|(shown, _)| *shown == (address, entry.generation))
                .map(|(_, bucket)| *bucket)
                .collect();
            if entry.has_stayed && entry.kind.is_shown {
                assert_eq!(buckets.len(), 1, "entry {address} stayed: {state:?}");
            }
            for (index, bucket) in buckets.iter().enumerate() {
                let again = buckets[index + 1..].contains(bucket);
                assert!(!again, "entry {address} is listed twice: {state:?}");
            }
        }
    }
}

impl<const R: usize, const B: usize, const E: usize> Table for Model<'_, R, B, E> {
    const LIMITS: Limits = Limits {
        rows: R,
        bytes: B,
        entries: E,
    };

    type Locked<'t>
        = Locked<'t>
    where
        Self: 't;
    type Entry<'b>
        = TableEntry<'b>
    where
        Self: 'b;
    type Entries<'b>
        = Entries<'b>
    where
        Self: 'b;
    type Guard = Guard;
    type Cursor<'h>
        = Cursor<'h>
    where
        Self: 'h;

    fn len(&self) -> u32 {
        self.shared.state.borrow().chains.len() as u32
    }

    fn occupied(&self, buckets: Range<u32>) -> Option<u32> {
        let state = self.shared.state.borrow();
        let end = buckets.end.min(state.chains.len() as u32);
        (buckets.start..end).find(|bucket| !state.chains[*bucket as usize].is_empty())
    }

    fn lock(&self, index: u32, _next: Option<u32>) -> Option<Locked<'_>> {
        let shared = &*self.shared;
        assert!(!shared.is_locked.get(), "two buckets are locked at once");
        self.script
            .borrow_mut()
            .next(self.locks.get(), &mut |change| {
                shared.state.borrow_mut().apply(change);
            });
        self.locks.set(self.locks.get() + 1);
        assert!(self.locks.get() < MANY_LOCKS, "the walk has no end");
        let chain = shared.state.borrow().chains.get(index as usize)?.clone();
        if shared.bucket.replace(index) != index {
            shared.pass.set(Pass::default());
        }
        shared.is_locked.set(true);
        mem::set_locked(true);
        Some(Locked {
            shared,
            chain,
            visited: Cell::new(0),
            excused: Cell::new(0),
            bytes: Cell::new(0),
            rows: Cell::new(0),
            has_ended: Cell::new(false),
        })
    }

    fn entries<'b>(bucket: &'b Locked<'_>) -> Entries<'b> {
        let pass = bucket.shared.pass.get();
        bucket.shared.pass.set(Pass {
            is_doubtful: false,
            ..pass
        });
        Entries { bucket, next: 0 }
    }

    fn entries_after<'b>(bucket: &'b Locked<'_>, cursor: &Cursor<'_>) -> Option<Entries<'b>> {
        let mut pass = bucket.shared.pass.get();
        let is_owned = bucket.shared.state.borrow().entries[cursor.address].is_owned;
        let place = bucket
            .chain
            .iter()
            .position(|address| *address == cursor.address)
            .filter(|_| !is_owned);
        match place {
            Some(_) => pass.is_doubtful |= !cursor.kind.keeps_order(),
            None => pass.lost += 1,
        }
        bucket.shared.pass.set(pass);
        Some(Entries {
            bucket,
            next: place? + 1,
        })
    }

    fn shows(&self, entry: &TableEntry<'_>) -> bool {
        entry.kind.is_shown
    }

    fn address(entry: &TableEntry<'_>) -> usize {
        // 0 is not an address.
        entry.address + 1
    }

    fn guard(&self) -> Result<Guard> {
        self.pause()?;
        // Lost cursors count within one read only.
        self.shared.pass.set(Pass::default());
        self.shared.guards.set(self.shared.guards.get() + 1);
        mem::set_guarded(true);
        Ok(Guard(self.shared.clone()))
    }

    fn may_be_cursor(&self, entry: &TableEntry<'_>) -> bool {
        entry.kind.lasts
    }

    fn cursor<'h>(&'h self, entry: &TableEntry<'_>, guard: &'h Guard) -> Option<Cursor<'h>> {
        let found = &mut self.shared.state.borrow_mut().entries[entry.address];
        if found.is_unreferenced {
            return None;
        }
        found.cursors += 1;
        Some(Cursor {
            guard,
            address: entry.address,
            generation: entry.generation,
            kind: entry.kind,
        })
    }

    fn keeps_order(cursor: &Cursor<'_>) -> bool {
        cursor.kind.keeps_order()
    }

    fn pause(&self) -> Result {
        assert!(!self.shared.is_locked.get(), "sleeps under a lock");
        let lives = self.lives.get();
        self.lives.set(lives.saturating_sub(1));
        if lives == 0 {
            return Err(EINTR);
        }
        Ok(())
    }
}

/// A locked bucket. It counts what is done while it is locked.
pub(crate) struct Locked<'t> {
    shared: &'t Shared,
    chain: Vec<Address>,
    visited: Cell<usize>,
    /// The number of entries that were visited because the round could not end at them.
    excused: Cell<usize>,
    bytes: Cell<usize>,
    rows: Cell<usize>,
    /// Whether the walk has seen the end of the chain.
    has_ended: Cell<bool>,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Shared {
            is_locked,
            pass,
            limits,
            ..
        } = self.shared;
        is_locked.set(false);
        mem::set_locked(false);
        if std::thread::panicking() {
            return;
        }
        let visited = self.visited.get() - self.excused.get();
        let allowed = limits.entries << pass.get().lost.min(16);
        let Pass {
            is_doubtful,
            may_be_whole,
            ..
        } = pass.get();
        assert!(
            visited <= allowed || may_be_whole,
            "{visited} entries under one lock"
        );
        pass.set(Pass {
            may_be_whole: is_doubtful && self.has_ended.get(),
            ..pass.get()
        });
    }
}

/// An entry of a locked bucket.
pub(crate) struct TableEntry<'b> {
    address: Address,
    generation: u32,
    kind: Kind,
    bucket: &'b Locked<'b>,
}

pub(crate) struct Entries<'b> {
    bucket: &'b Locked<'b>,
    next: usize,
}

impl<'b> Iterator for Entries<'b> {
    type Item = TableEntry<'b>;

    fn next(&mut self) -> Option<TableEntry<'b>> {
        let Locked {
            shared,
            visited,
            excused,
            ..
        } = self.bucket;
        let Some(address) = self.bucket.chain.get(self.next).copied() else {
            self.bucket.has_ended.set(true);
            return None;
        };
        let entry = &shared.state.borrow().entries[address];
        self.next += 1;
        visited.set(visited.get() + 1);
        if entry.is_unreferenced || !entry.kind.lasts {
            excused.set(excused.get() + 1);
        }
        Some(TableEntry {
            address,
            generation: entry.generation,
            kind: entry.kind,
            bucket: self.bucket,
        })
    }
}

/// A guard that allows cursors to be kept.
pub(crate) struct Guard(Rc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.guards.set(self.0.guards.get() - 1);
        mem::set_guarded(false);
    }
}

/// A reference to an entry.
pub(crate) struct Cursor<'h> {
    guard: &'h Guard,
    address: Address,
    generation: u32,
    kind: Kind,
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        let shared = &self.guard.0;
        if std::thread::panicking() {
            return;
        }
        assert!(!shared.is_locked.get(), "dropped under a lock");
        let entry = &mut shared.state.borrow_mut().entries[self.address];
        assert_eq!(entry.generation, self.generation, "used after it was freed");
        assert!(!entry.has_no_namespace, "the namespace has ended");
        entry.cursors -= 1;
    }
}

/// A reader's buffer.
pub(crate) struct Buffer {
    room: usize,
    len: usize,
    /// The number of bytes up to which the rows are complete.
    complete: usize,
    rows: Vec<(usize, (Address, u32), u32)>,
}

impl Buffer {
    pub(crate) fn new(room: usize) -> Self {
        Self {
            room,
            len: 0,
            complete: 0,
            rows: Vec::new(),
        }
    }

    /// Hands the rows to the reader. Returns whether there were any.
    pub(crate) fn read<const R: usize, const B: usize, const E: usize>(
        self,
        model: &Model<'_, R, B, E>,
    ) -> bool {
        assert_eq!(self.len, self.complete, "rows are not complete");
        let mut state = model.shared.state.borrow_mut();
        let rows = self.rows.iter().map(|(_, entry, bucket)| (*entry, *bucket));
        state.shown.extend(rows);
        self.len > 0
    }
}

impl<const R: usize, const B: usize, const E: usize> Rows<Model<'_, R, B, E>> for Buffer {
    type Position = usize;

    fn len(&self) -> usize {
        self.len
    }

    fn position(&self) -> usize {
        self.len
    }

    fn push(&mut self, entry: &TableEntry<'_>) -> bool {
        let shared = entry.bucket.shared;
        assert!(entry.kind.is_shown, "shows what the reader must not see");
        let len = self.len + entry.kind.bytes;
        if len > self.room {
            return false;
        }
        // The last row may exceed the limit.
        assert!(
            entry.bucket.bytes.get() < shared.limits.bytes,
            "too many bytes under one lock"
        );
        assert!(
            entry.bucket.rows.get() < shared.limits.rows,
            "too many rows under one lock"
        );
        entry
            .bucket
            .bytes
            .set(entry.bucket.bytes.get() + entry.kind.bytes);
        entry.bucket.rows.set(entry.bucket.rows.get() + 1);
        let row = (
            self.len,
            (entry.address, entry.generation),
            shared.bucket.get(),
        );
        self.rows.push(row);
        self.len = len;
        true
    }

    fn truncate(&mut self, position: usize) {
        assert!(position >= self.complete, "complete rows are taken back");
        self.len = position;
        self.rows.retain(|(start, ..)| *start < position);
    }

    fn complete(&mut self) {
        mem::assert_may_sleep();
        self.complete = self.len;
    }
}
