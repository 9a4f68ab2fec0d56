// SPDX-License-Identifier: GPL-2.0

//! The hash tables that contain the sockets, bucket by bucket.
//!
//! C headers: `include/net/inet_hashtables.h`, `include/net/udp.h`
//!
//! The tables are reached through `struct net`, which needs no exported symbol. They are
//! `ipv4.tcp_death_row.hashinfo` (`lhash2`, then `ehash`) and `ipv4.udp_table` (`hash`). The order
//! and the locks are those of `/proc/net/tcp` and `/proc/net/udp`. A table may be private to a
//! network namespace or shared by several: see [`Entry::matches`].
//!
//! Old kernels, such as 5.10, have two tables of listeners, `listening_hash` and `lhash2`, and each
//! listener is in both. `skc_nulls_node` links it into `listening_hash`, so that this table is
//! walked. `/proc/net/tcp` walks the same table up to the kernel's commit 05c0b35709c5 ("tcp:
//! seq_file: Replace listening_hash with lhash2"). From then on, its listeners may come in another
//! order. The commit "net: inet: Retire port only listening_hash" leaves only `lhash2`.
//!
//! What this does not do: look a socket up, or change anything.

use crate::abstractions::modules;
use crate::abstractions::ns::Net;
use crate::abstractions::sched;
use crate::bindings;
#[cfg(knetstat_measure)]
use crate::sockets::held;
use crate::sockets::prefetch::{
    self,
    Part, //
};
use crate::sockets::sock::{
    BhLocked,
    Entry,
    Family,
    SockRef,
    TcpEntry,
    Udp, //
};
use crate::sockets::walk;
use core::marker::PhantomData;
use core::ops::{
    Deref,
    Range, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::error::Result;

/// The entry that is shown next, if there is one. It may be prefetched, but never read.
type Ahead = Option<NonNull<bindings::hlist_node>>;

/// A hash table, or several that are walked as one.
///
/// # Safety
///
/// - [`HashTable::bucket`] must yield the chain and the lock of that bucket.
/// - [`HashTable::bucket_of`] must yield the bucket that the socket was linked into last.
pub(crate) unsafe trait HashTable<'n>: Sized {
    /// The typed view of an entry.
    type Socket<'b>;

    /// The table that contains the sockets of `net`.
    fn of(net: Net<'n>) -> Self;

    /// The number of buckets, which does not change while the namespace lives.
    fn len(&self) -> u32;

    /// The bucket with this index. `None` behind the last bucket.
    fn bucket(&self, index: u32) -> Option<Bucket<'_, Self>>;

    /// The first of these buckets that is not empty. It is judged without the locks, as in the
    /// kernel's own walks.
    fn occupied(&self, buckets: Range<u32>) -> Option<u32>;

    /// Whether dropping the last reference to an entry may call a function of another module.
    ///
    /// # Safety
    ///
    /// The entry must be one of this table.
    unsafe fn has_module(&self, entry: &Entry<'_>) -> bool;

    /// Whether an entry of this bucket can leave it, and come back behind an entry that was behind
    /// it and stayed.
    ///
    /// # Safety
    ///
    /// The entry must be one of this table.
    unsafe fn returns_behind(&self, index: u32, entry: &Entry<'_>) -> bool;

    /// The bucket that a socket was linked into last, from the fields by which the kernel chooses
    /// it.
    ///
    /// # Safety
    ///
    /// The socket must come from a table of this type.
    unsafe fn bucket_of(&self, sk: &BhLocked<'_>) -> u32;

    /// Lets the CPU fetch a part of the entry with this node. The entry is not read, and need not
    /// exist any more.
    fn prefetch(node: NonNull<bindings::hlist_node>, part: Part);

    /// The typed view of an entry.
    ///
    /// # Safety
    ///
    /// The entry must be one of this table.
    unsafe fn socket(entry: Entry<'_>) -> Self::Socket<'_>;
}

/// The time at which BHs are switched off, relative to taking a lock. On PREEMPT_RT, switching them
/// off takes a lock itself. The order must therefore be the kernel's.
#[derive(Clone, Copy)]
enum Bhs {
    /// Before the lock is taken, as `spin_lock_bh()` does.
    Before,
    /// After the lock is taken. Other code takes the lock with BHs on, and then calls functions
    /// that switch them off.
    After,
}

/// The chain of a bucket.
///
/// # Invariants
///
/// - `first` is the address of the head of the chain.
/// - `lock` is the address of the lock that guards the chain.
/// - Both stay valid during `'t`, in which the table is borrowed.
/// - The kernel takes the lock in softirqs only if `bhs` is [`Bhs::Before`].
#[derive(Clone, Copy)]
struct Chain<'t> {
    first: *const *mut bindings::hlist_node,
    lock: *mut bindings::spinlock_t,
    bhs: Bhs,
    _table: PhantomData<&'t ()>,
}

impl Chain<'_> {
    /// The first node, which may leave the chain unless the bucket is locked.
    fn first(&self) -> Option<NonNull<bindings::hlist_node>> {
        // SAFETY: By the type invariant, `first` is the address of a pointer, and valid while the
        // table is borrowed. The read is volatile, as in `READ_ONCE()`, because others may write at
        // the same time.
        node(unsafe { self.first.read_volatile() })
    }
}

/// A bucket that is not locked.
///
/// # Invariants
///
/// `chain` is the chain of the bucket with number `index` of `table`.
pub(crate) struct Bucket<'t, T> {
    table: &'t T,
    index: u32,
    chain: Chain<'t>,
}

impl<'t, T> Bucket<'t, T> {
    /// Locks the bucket. Spins; on PREEMPT_RT it sleeps. BHs stay off until the guard is dropped,
    /// for [`SockRef::bh_trylock`]. `next` is the bucket that is probably shown next.
    fn lock(self, next: Option<Bucket<'t, T>>) -> Locked<'t, T> {
        let lock = self.chain.lock;
        // SAFETY: By the type invariant, `lock` is the initialised lock of the bucket, and no
        // softirq takes it if it is taken with BHs on. This is process context. No lock of the
        // tables is held, because the walk locks one bucket at a time.
        unsafe {
            match self.chain.bhs {
                Bhs::Before => bindings::knetstat_spin_lock_bh(lock),
                Bhs::After => bindings::knetstat_spin_lock_then_bh_disable(lock),
            }
        }
        // INVARIANT: The lock of the bucket was just taken.
        Locked {
            bucket: self,
            next: next.map(|bucket| bucket.chain),
            #[cfg(knetstat_measure)]
            since: held::now(),
            _not_send: PhantomData,
        }
    }
}

/// A locked bucket. Its chain does not change while this value lives.
///
/// Not `Send`: the task that took a lock must release it. Nothing that sleeps may be called while
/// this value lives.
///
/// # Invariants
///
/// The lock of the bucket is held.
pub(crate) struct Locked<'t, T> {
    bucket: Bucket<'t, T>,
    /// The chain that is probably shown next.
    next: Option<Chain<'t>>,
    /// The time at which the bucket was locked.
    #[cfg(knetstat_measure)]
    since: u64,
    _not_send: PhantomData<*mut ()>,
}

impl<'n, T: HashTable<'n>> Locked<'_, T> {
    /// Yields the entries of the chain from its head on.
    fn iter(&self) -> Iter<'_, T> {
        // SAFETY: The node is in the chain, whose lock is held.
        unsafe { self.iter_from(self.bucket.chain.first()) }
    }

    /// Yields the entries behind `cursor`. `None` if `cursor` is not known to be in this bucket: it
    /// has left, its lock is taken, or it is of another table.
    fn iter_after(&self, cursor: &Cursor<'_, T>) -> Option<Iter<'_, T>> {
        if !ptr::eq(cursor.table, self.bucket.table) {
            return None;
        }
        // From here on, no other code moves the socket to another bucket. Nor can it leave this
        // one, which is locked.
        // SAFETY: BHs are off while the bucket is locked, hence until this function returns.
        let sk = unsafe { cursor.sk.bh_trylock() }?;
        let node_of_sk = node_of(&sk);
        // A socket leaves its bucket by functions that clear `pprev`:
        // `sk_nulls_del_node_init_rcu()`, `sk_del_node_init_rcu()`,
        // `sk_nulls_replace_node_init_rcu()`.
        // SAFETY: The reference keeps the socket alive, and with it its node.
        let pprev = unsafe { (&raw const (*node_of_sk).pprev).read_volatile() };
        #[cfg(knetstat_fault = "slow-look")]
        sched::delay();
        // SAFETY: By the type invariant of `Cursor`, the socket comes from this table.
        if pprev.is_null() || unsafe { self.bucket.table.bucket_of(&sk) } != self.bucket.index {
            return None;
        }
        // SAFETY: The reference keeps the socket alive, and with it its node.
        let next = unsafe { (*node_of_sk).next };
        // SAFETY: `sk` is linked. The bucket that it was linked into last is this one, which is
        // locked. `sk` is therefore in this chain, and its successor is, too.
        Some(unsafe { self.iter_from(node(next)) })
    }

    /// Yields a node of the chain, and the entries behind it.
    ///
    /// # Safety
    ///
    /// The node must be in the chain of this bucket.
    unsafe fn iter_from(&self, node: Option<NonNull<bindings::hlist_node>>) -> Iter<'_, T> {
        // INVARIANT: The caller promises that the node is in the chain. The lock of the chain is
        // held while `self` is borrowed.
        Iter {
            next: node,
            after: self.next.and_then(|chain| chain.first()),
            table: self.bucket.table,
            index: self.bucket.index,
        }
    }
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        #[cfg(knetstat_measure)]
        let until = held::now();
        // SAFETY: By the type invariant, the lock is held. This task holds it, because the guard is
        // not `Send`. BHs have been off since the lock was taken.
        unsafe { bindings::knetstat_spin_unlock_bh(self.bucket.chain.lock) };
        #[cfg(knetstat_measure)]
        held::record(until.saturating_sub(self.since));
    }
}

/// The entries of a locked bucket. Lets the CPU fetch the columns of the entry behind the one that
/// it yields, so that they are there when that entry is shown.
///
/// # Invariants
///
/// `next` is a node of the chain with number `index` of `table`. The chain stays locked during
/// `'b`.
pub(crate) struct Iter<'b, T> {
    next: Option<NonNull<bindings::hlist_node>>,
    /// The entry that is shown after the chain.
    after: Ahead,
    table: &'b T,
    index: u32,
}

impl<'b, 'n, T: HashTable<'n>> Iterator for Iter<'b, T> {
    type Item = TableEntry<'b, T>;

    fn next(&mut self) -> Option<TableEntry<'b, T>> {
        let current = self.next?;
        // SAFETY: By the type invariant, the node is in the locked chain. It is therefore alive.
        let next = unsafe { (*current.as_ptr()).next };
        // INVARIANT: `next` is the successor of a node of the locked chain.
        self.next = node(next);
        let ahead = self.next.or(self.after);
        // The prefetch comes before the reads of this entry, which may have to wait for memory.
        if let Some(node) = ahead {
            T::prefetch(node, Part::Columns);
        }
        // SAFETY: The chains of these tables are linked by `skc_node`, or by `skc_nulls_node`,
        // which has the same place and layout. The bucket stays locked during `'b`.
        let entry = unsafe { Entry::from_node(current) };
        // INVARIANT: By the type invariant, the chain is the one with this number of `table`, and
        // stays locked during `'b`.
        Some(TableEntry {
            entry,
            ahead,
            table: self.table,
            index: self.index,
        })
    }
}

/// An entry of a table of type `T`.
///
/// # Invariants
///
/// `entry` is in the bucket with number `index` of `table`, which stays locked during `'b`.
pub(crate) struct TableEntry<'b, T> {
    entry: Entry<'b>,
    /// The entry that is shown after this one.
    ahead: Ahead,
    table: &'b T,
    index: u32,
}

impl<'b, 'n, T: HashTable<'n>> TableEntry<'b, T> {
    /// The typed view of the entry.
    pub(crate) fn socket(&self) -> T::Socket<'b> {
        // SAFETY: By the type invariant, the entry is one of a table of type `T`.
        unsafe { T::socket(self.entry) }
    }

    /// Lets the CPU fetch a part of the entry that is shown next.
    pub(crate) fn prefetch_next(&self, part: Part) {
        if let Some(node) = self.ahead {
            T::prefetch(node, part);
        }
    }

    /// Whether dropping the last reference to the entry may call a function of another module.
    fn has_module(&self) -> bool {
        // SAFETY: By the type invariant, the entry is one of this table.
        unsafe { self.table.has_module(&self.entry) }
    }

    /// Whether the entry can leave its bucket, and come back behind an entry that was behind it and
    /// stayed.
    fn returns_behind(&self) -> bool {
        // SAFETY: By the type invariant, the entry is one of this table.
        unsafe { self.table.returns_behind(self.index, &self.entry) }
    }
}

impl<'b, T> Deref for TableEntry<'b, T> {
    type Target = Entry<'b>;

    fn deref(&self) -> &Entry<'b> {
        &self.entry
    }
}

/// A reference to an entry of `table`, which may have left its bucket.
///
/// # Invariants
///
/// `sk` was an entry of `table`.
pub(crate) struct Cursor<'h, T> {
    sk: SockRef<'h>,
    table: &'h T,
    keeps_order: bool,
}

/// The node that a link points to. `None` at the end of a chain, which is NULL in an hlist, and an
/// odd number in an hlist_nulls (`is_a_nulls()`).
fn node(link: *mut bindings::hlist_node) -> Option<NonNull<bindings::hlist_node>> {
    NonNull::new(link).filter(|node| node.addr().get() & 1 == 0)
}

/// The entries of a table that a reader sees: those of one network namespace and family.
pub(crate) struct Visible<'n, T> {
    table: T,
    net: Net<'n>,
    family: Family,
}

impl<'n, T: HashTable<'n>> Visible<'n, T> {
    /// The entries for a reader of the file of this namespace and family.
    pub(crate) fn new(net: Net<'n>, family: Family) -> Self {
        Self {
            table: T::of(net),
            net,
            family,
        }
    }
}

impl<'n, T: HashTable<'n>> walk::Table for Visible<'n, T> {
    type Locked<'t>
        = Locked<'t, T>
    where
        Self: 't;
    type Entry<'b>
        = TableEntry<'b, T>
    where
        Self: 'b;
    type Entries<'b>
        = Iter<'b, T>
    where
        Self: 'b;
    type Guard = modules::Guard;
    type Cursor<'h>
        = Cursor<'h, T>
    where
        Self: 'h;

    fn len(&self) -> u32 {
        self.table.len()
    }

    fn occupied(&self, buckets: Range<u32>) -> Option<u32> {
        self.table.occupied(buckets)
    }

    fn lock(&self, index: u32, next: Option<u32>) -> Option<Locked<'_, T>> {
        let next = next.and_then(|next| self.table.bucket(next));
        let locked = self.table.bucket(index)?.lock(next);
        #[cfg(knetstat_fault = "sleep")]
        sched::sleep();
        Some(locked)
    }

    fn entries<'b>(bucket: &'b Locked<'_, T>) -> Iter<'b, T> {
        bucket.iter()
    }

    fn entries_after<'b>(bucket: &'b Locked<'_, T>, cursor: &Cursor<'_, T>) -> Option<Iter<'b, T>> {
        if cfg!(knetstat_fault = "lost-place") {
            return None;
        }
        bucket.iter_after(cursor)
    }

    fn shows(&self, entry: &TableEntry<'_, T>) -> bool {
        entry.matches(self.net, self.family)
    }

    fn address(entry: &TableEntry<'_, T>) -> usize {
        entry.address()
    }

    fn guard(&self) -> Result<modules::Guard> {
        modules::Guard::new()
    }

    fn may_be_cursor(&self, entry: &TableEntry<'_, T>) -> bool {
        !entry.has_module() && (entry.keeps_net() || entry.is_of(self.net))
    }

    fn cursor<'h>(
        &'h self,
        entry: &TableEntry<'_, T>,
        guard: &'h modules::Guard,
    ) -> Option<Cursor<'h, T>> {
        if !ptr::eq(entry.table, &self.table) {
            return None;
        }
        // INVARIANT: The entry is one of this table.
        Some(Cursor {
            sk: entry.try_get(guard)?,
            table: &self.table,
            keeps_order: !entry.returns_behind(),
        })
    }

    fn keeps_order(cursor: &Cursor<'_, T>) -> bool {
        cursor.keeps_order
    }

    fn pause(&self) -> Result {
        sched::cond_resched_killable()
    }
}

/// The node that links a socket into a bucket.
fn node_of(sk: &SockRef<'_>) -> *const bindings::hlist_node {
    let ptr = sk.as_ptr().cast_const();
    // SAFETY: `as_ptr()` points to a live socket or minisock. Both begin with a `struct
    // sock_common`, which has the field.
    unsafe { ptr.byte_add(offset_of!(sock_common.skc_node)).cast() }
}

/// The TCP tables of a network namespace. Listeners come first (`lhash2` by address and port, or
/// `listening_hash` by port), then connections, TIME_WAIT minisocks and requests (`ehash`).
///
/// # Invariants
///
/// `info` points to the `struct inet_hashinfo` of a namespace that lives during `'n`. The other
/// values are fields of it. They are set before the namespace has sockets, and do not change
/// afterwards.
pub(crate) struct TcpTable<'n> {
    info: *const bindings::inet_hashinfo,
    listening: *const bindings::inet_listen_hashbucket,
    listening_mask: u32,
    ehash: *const bindings::inet_ehash_bucket,
    ehash_mask: u32,
    ehash_locks: *mut bindings::spinlock_t,
    ehash_locks_mask: u32,
    _net: PhantomData<&'n ()>,
}

/// A bucket of one of the two tables of a [`TcpTable`].
enum TcpBucket {
    Listening(u32),
    Established(u32),
}

impl TcpTable<'_> {
    /// The number of buckets of listeners, which come first.
    fn listening_buckets(&self) -> u32 {
        self.listening_mask.saturating_add(1)
    }

    fn locate(&self, index: u32) -> Option<TcpBucket> {
        match index.checked_sub(self.listening_buckets()) {
            None => Some(TcpBucket::Listening(index)),
            Some(index) if index <= self.ehash_mask => Some(TcpBucket::Established(index)),
            Some(_) => None,
        }
    }

    /// The chain of a bucket of listeners.
    ///
    /// # Safety
    ///
    /// `slot` must be at most `listening_mask`.
    unsafe fn listening(&self, slot: u32) -> Chain<'_> {
        // SAFETY: By the type invariant, `listening` has `listening_mask` + 1 elements. By the
        // caller's promise, `slot` is at most `listening_mask`.
        let bucket = unsafe { self.listening.add(slot as usize) };
        // SAFETY: `bucket` points to an element of `listening`, which has the field.
        let first = unsafe { bucket.byte_add(offset_of!(inet_listen_hashbucket.nulls_head.first)) };
        // SAFETY: `bucket` points to an element of `listening`, which has the field.
        let lock = unsafe { bucket.byte_add(offset_of!(inet_listen_hashbucket.lock)) };
        // INVARIANT: `inet_hash()` guards the chain by this lock. `inet_hash()`, `inet_unhash()`
        // and `listening_get_first()` take the lock in process context and with BHs on.
        //
        // So it is for `listening_hash`, as read in Linux 5.10.262: `__inet_hash()`,
        // `inet_unhash()`, `listening_get_next()` and `inet_diag_dump_icsk()` take its lock with
        // BHs on, and no softirq starts or ends a listener. Under it, the kernel takes the lock of
        // `lhash2` (`inet_hash2()`), then `reuseport_lock` and `sk_callback_lock`
        // (`reuseport_add_sock()`, `sock_i_uid()`), and these two switch BHs off. On PREEMPT_RT,
        // the order is that of [`Bhs::After`], too. Rows take only `sk_callback_lock` of these.
        //
        // Kernels without the commit "tcp: Don't acquire inet_listen_hashbucket::lock with disabled
        // BH.", such as that of RHEL 9.0, switch BHs off before `inet_hash()` and `inet_unhash()`
        // take the lock. No softirq takes it there either. On PREEMPT_RT,
        // `knetstat_spin_lock_then_bh_disable()` fits both orders.
        Chain {
            first: first.cast(),
            lock: lock.cast::<bindings::spinlock_t>().cast_mut(),
            bhs: Bhs::After,
            _table: PhantomData,
        }
    }

    /// The chain of a bucket of `ehash`.
    ///
    /// # Safety
    ///
    /// `slot` must be at most `ehash_mask`.
    unsafe fn established(&self, slot: u32) -> Chain<'_> {
        // SAFETY: By the type invariant, `ehash` has `ehash_mask` + 1 elements. By the caller's
        // promise, `slot` is at most `ehash_mask`.
        let bucket = unsafe { self.ehash.add(slot as usize) };
        // SAFETY: `bucket` points to an element of `ehash`, which has the field.
        let first = unsafe { bucket.byte_add(offset_of!(inet_ehash_bucket.chain.first)) };
        let lock = slot & self.ehash_locks_mask;
        // SAFETY: `inet_ehash_locks_alloc()` allocated `ehash_locks_mask` + 1 elements, and `lock`
        // is at most the mask.
        let lock = unsafe { self.ehash_locks.add(lock as usize) };
        // INVARIANT: `inet_ehash_insert()` guards the chain by this lock.
        Chain {
            first: first.cast(),
            lock,
            bhs: Bhs::Before,
            _table: PhantomData,
        }
    }
}

// SAFETY:
// - `bucket` yields the chain and the lock by which `inet_hash()` links listeners into `lhash2` or
//   `listening_hash` by `skc_nulls_node`, and `inet_ehash_insert()` all other entries into `ehash`.
// - `bucket_of` uses the fields by which these two functions choose the bucket. The state tells the
//   two tables apart. It is TCP_LISTEN before `inet_hash()`, and is changed only after
//   `inet_unhash()`.
unsafe impl<'n> HashTable<'n> for TcpTable<'n> {
    type Socket<'b> = TcpEntry<'b>;

    fn of(net: Net<'n>) -> Self {
        let net = net.as_ptr();
        // SAFETY: By the type invariant of `Net`, the namespace is alive.
        let info = unsafe { bindings::tcp_hashinfo(net) };
        // INVARIANT: `tcp_sk_init()` sets the pointer before the namespace can be seen.
        // `tcp_sk_exit_batch()` frees a private table after the last reference is gone.
        // SAFETY: `info` points to a live `struct inet_hashinfo`, because the table lives at least
        // as long as the namespace.
        unsafe {
            Self {
                info,
                listening: bindings::listening(info),
                listening_mask: bindings::listening_mask(info),
                ehash: read_once!(info, inet_hashinfo.ehash),
                ehash_mask: read_once!(info, inet_hashinfo.ehash_mask),
                ehash_locks: read_once!(info, inet_hashinfo.ehash_locks),
                ehash_locks_mask: read_once!(info, inet_hashinfo.ehash_locks_mask),
                _net: PhantomData,
            }
        }
    }

    fn len(&self) -> u32 {
        let established = self.ehash_mask.saturating_add(1);
        self.listening_buckets().saturating_add(established)
    }

    fn bucket(&self, index: u32) -> Option<Bucket<'_, Self>> {
        let chain = match self.locate(index)? {
            // SAFETY: `locate()` yields slots below `listening_buckets()`, which is
            // `listening_mask` + 1.
            TcpBucket::Listening(slot) => unsafe { self.listening(slot) },
            // SAFETY: `locate()` yields slots up to `ehash_mask`.
            TcpBucket::Established(slot) => unsafe { self.established(slot) },
        };
        // INVARIANT: The buckets of listeners come first, then those of `ehash`, in the order in
        // which `locate()` numbers them.
        Some(Bucket {
            table: self,
            index,
            chain,
        })
    }

    fn occupied(&self, buckets: Range<u32>) -> Option<u32> {
        let Range { start, end } = buckets;
        let end = end.min(self.len());
        let established = self.listening_buckets();
        // SAFETY: `slot` is below the number of buckets of listeners, hence at most
        // `listening_mask`.
        let is_listening = |slot: &u32| unsafe { self.listening(*slot) }.first().is_some();
        let is_established = |index: &u32| {
            let slot = index.saturating_sub(established);
            // SAFETY: `index` is below the number of all buckets. Without those of listeners,
            // at most `ehash_mask` remains.
            unsafe { self.established(slot) }.first().is_some()
        };
        let listening = (start..end.min(established)).find(is_listening);
        listening.or_else(|| (start.max(established)..end).find(is_established))
    }

    unsafe fn has_module(&self, _entry: &Entry<'_>) -> bool {
        // See `abstractions/modules.rs` for kernel TLS.
        false
    }

    unsafe fn returns_behind(&self, index: u32, entry: &Entry<'_>) -> bool {
        // `inet_hash()` links IPv6 listeners with SO_REUSEPORT in at the tail. New entries of
        // `ehash` go to the head, or take the place of an entry that leaves.
        matches!(self.locate(index), Some(TcpBucket::Listening(_))) && entry.is_inet6()
    }

    unsafe fn bucket_of(&self, sk: &BhLocked<'_>) -> u32 {
        let ptr = sk.as_ptr().cast_const();
        // SAFETY: `as_ptr()` points to a live socket or minisock, and each of them has a state.
        let state = unsafe { read_once!(ptr, sock_common.skc_state) };
        if u32::from(state) == bindings::TCP_LISTEN {
            // SAFETY: Minisocks do not listen. This is therefore a full socket, and it is alive.
            // `info` is valid by the type invariant.
            return unsafe { bindings::knetstat_listening_slot(self.info, ptr) };
        }
        // SAFETY: `as_ptr()` points to a live socket or minisock, and each of them has a hash.
        let hash = unsafe { read_once!(ptr, sock_common.skc_hash) };
        self.listening_buckets()
            .saturating_add(hash & self.ehash_mask)
    }

    fn prefetch(node: NonNull<bindings::hlist_node>, part: Part) {
        prefetch::tcp(node, part);
    }

    unsafe fn socket(entry: Entry<'_>) -> TcpEntry<'_> {
        // SAFETY: The caller promises that the entry is of this table, which is a TCP table.
        unsafe { entry.into_tcp() }
    }
}

/// The UDP table of a network namespace, by local port.
///
/// # Invariants
///
/// `table` points to the `struct udp_table` of a namespace that lives during `'n`. The other values
/// are fields of it, which do not change while the table is in use.
pub(crate) struct UdpTable<'n> {
    table: *const bindings::udp_table,
    hash: *const bindings::udp_hslot,
    mask: u32,
    _net: PhantomData<&'n ()>,
}

impl UdpTable<'_> {
    /// The chain of a slot.
    ///
    /// # Safety
    ///
    /// `index` must be at most `mask`.
    unsafe fn slot(&self, index: u32) -> Chain<'_> {
        // SAFETY: By the type invariant, `hash` has `mask` + 1 elements. By the caller's promise,
        // `index` is at most `mask`.
        let slot = unsafe { self.hash.add(index as usize) };
        // SAFETY: `slot` points to an element of `hash`, which has the field.
        let first = unsafe { slot.byte_add(offset_of!(udp_hslot.head.first)) };
        // SAFETY: `slot` points to an element of `hash`, which has the field.
        let lock = unsafe { slot.byte_add(offset_of!(udp_hslot.lock)) };
        // INVARIANT: `udp_lib_get_port()` guards the chain by this lock.
        Chain {
            first: first.cast(),
            lock: lock.cast::<bindings::spinlock_t>().cast_mut(),
            bhs: Bhs::Before,
            _table: PhantomData,
        }
    }
}

// SAFETY:
// - `bucket` yields the chain and the lock by which `udp_lib_get_port()` links sockets into `hash`.
// - `bucket_of` uses the fields by which that function chooses the slot.
unsafe impl<'n> HashTable<'n> for UdpTable<'n> {
    type Socket<'b> = Udp<'b>;

    fn of(net: Net<'n>) -> Self {
        let net = net.as_ptr();
        // SAFETY: By the type invariant of `Net`, the namespace is alive.
        let table = unsafe { bindings::knetstat_udp_table(net) };
        // INVARIANT: `udp_pernet_table_alloc()` sets the pointer before the namespace can be seen.
        // `udp_pernet_table_free()` frees a private table after the last reference is gone.
        // SAFETY: `table` points to a live `struct udp_table`, because it lives at least as long as
        // the namespace.
        unsafe {
            Self {
                table,
                hash: read_once!(table, udp_table.hash),
                mask: read_once!(table, udp_table.mask),
                _net: PhantomData,
            }
        }
    }

    fn len(&self) -> u32 {
        self.mask.saturating_add(1)
    }

    fn bucket(&self, index: u32) -> Option<Bucket<'_, Self>> {
        if index > self.mask {
            return None;
        }
        // INVARIANT: `chain` is the chain of this slot.
        Some(Bucket {
            table: self,
            index,
            // SAFETY: `index` is at most `mask`. Otherwise, the function has returned above.
            chain: unsafe { self.slot(index) },
        })
    }

    fn occupied(&self, buckets: Range<u32>) -> Option<u32> {
        let Range { start, end } = buckets;
        // SAFETY: `index` is below the number of slots, hence at most `mask`.
        let is_occupied = |index: &u32| unsafe { self.slot(*index) }.first().is_some();
        (start..end.min(self.len())).find(is_occupied)
    }

    unsafe fn has_module(&self, entry: &Entry<'_>) -> bool {
        // SAFETY: The caller promises that the entry is of this table, which is a UDP table.
        unsafe { entry.into_udp() }.is_tunnel()
    }

    unsafe fn returns_behind(&self, _index: u32, entry: &Entry<'_>) -> bool {
        // `sk_add_node_rcu()` links IPv6 sockets with SO_REUSEPORT in at the tail. A socket that
        // was bound to its port keeps the port until it is closed (`__udp_disconnect()`), and
        // leaves its bucket only once.
        //
        // SAFETY: The caller promises that the entry is of this table, which is a UDP table.
        let sk = unsafe { entry.into_udp() };
        entry.is_inet6() && !sk.is_bound_to_port()
    }

    unsafe fn bucket_of(&self, sk: &BhLocked<'_>) -> u32 {
        // SAFETY: The reference keeps the socket alive. The caller promises that it comes from a
        // UDP table, and these contain only full sockets. `table` is valid by the type invariant.
        unsafe { bindings::knetstat_udp_slot(self.table, sk.as_ptr()) }
    }

    fn prefetch(node: NonNull<bindings::hlist_node>, part: Part) {
        prefetch::udp(node, part);
    }

    unsafe fn socket(entry: Entry<'_>) -> Udp<'_> {
        // SAFETY: The caller promises that the entry is of this table, which is a UDP table.
        unsafe { entry.into_udp() }
    }
}
