// SPDX-License-Identifier: GPL-2.0

//! The hash tables that hold the sockets, bucket by bucket.
//!
//! C headers: `include/net/inet_hashtables.h`, `include/net/udp.h`
//!
//! The tables are reached through `struct net`, which needs no exported symbol:
//! `ipv4.tcp_death_row.hashinfo` (`lhash2`, then `ehash`) and `ipv4.udp_table`
//! (`hash`), in the order of `/proc/net/tcp` and `/proc/net/udp`, with the locks
//! that these take. A table may be private to a network namespace or shared by
//! several: see [`Entry::matches`].
//!
//! What this does not do: look a socket up, or change anything.

use crate::bindings;
#[cfg(knetstat_measure)]
use crate::held;
use crate::ns::Net;
use crate::sock::Entry;
use crate::sock::SockRef;
use crate::sock::TcpEntry;
use crate::sock::Udp;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ops::Range;
use core::ptr::NonNull;

/// A hash table, or several that are walked as one.
///
/// # Safety
///
/// - [`Table::bucket`] yields the chain and the lock of that bucket.
/// - [`Table::holds`] returns true only for a socket that is in the bucket.
pub(crate) unsafe trait Table<'n>: Sized {
    /// What its buckets hold.
    type Socket<'b>;

    /// The table in which the sockets of `net` are.
    fn of(net: Net<'n>) -> Self;

    /// The number of buckets. Does not change while the namespace lives.
    fn len(&self) -> u32;

    /// A bucket, `None` behind the last one.
    fn bucket(&self, index: u32) -> Option<Bucket<'_, Self>>;

    /// The first one of these buckets that is not empty, judged without the locks, as the
    /// kernel's own walks do.
    fn occupied(&self, buckets: Range<u32>) -> Option<u32>;

    /// Whether a socket that was seen in a bucket is still, or again, in it.
    ///
    /// # Safety
    ///
    /// The bucket must be locked, and the socket must come from it.
    unsafe fn holds(&self, index: u32, sk: &SockRef) -> bool;

    /// Lets the CPU fetch a part of what a row shows of the entry with that node, which is not
    /// looked at and need not exist any more.
    fn prefetch(node: NonNull<bindings::hlist_node>, part: Part);

    /// The typed view of an entry.
    ///
    /// # Safety
    ///
    /// The entry must be one of this table.
    unsafe fn socket(entry: Entry<'_>) -> Self::Socket<'_>;
}

/// What of a socket is fetched at a time. A CPU has some ten or twenty fetches from memory under
/// way, and stands still at the next one: so the cache lines of a row come in parts, with some
/// work between them.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// What comes before the options.
    Columns,
    /// The options of SOL_SOCKET, user and inode.
    Socket,
    /// The options of IP, TCP and UDP.
    Protocol,
}

impl Part {
    fn number(self) -> bindings::knetstat_part {
        match self {
            Self::Columns => bindings::KNETSTAT_COLUMNS,
            Self::Socket => bindings::KNETSTAT_SOL_SOCKET,
            Self::Protocol => bindings::KNETSTAT_PROTOCOL,
        }
    }
}

/// The entry of a table that is shown next, if there is one: to be fetched, not to be looked at.
pub(crate) struct Ahead<T> {
    node: Option<NonNull<bindings::hlist_node>>,
    _table: PhantomData<T>,
}

impl<T> Ahead<T> {
    /// None.
    pub(crate) const NONE: Self = Self {
        node: None,
        _table: PhantomData,
    };

    /// This one, or `other` if there is none.
    pub(crate) fn or<'a>(&'a self, other: &'a Self) -> &'a Self {
        if self.node.is_some() {
            self
        } else {
            other
        }
    }
}

impl<'n, T: Table<'n>> Ahead<T> {
    /// Lets the CPU fetch a part of it.
    pub(crate) fn fetch(&self, part: Part) {
        if let Some(node) = self.node {
            T::prefetch(node, part);
        }
    }
}

/// How the lock of a bucket is taken.
#[derive(Clone, Copy)]
enum Lock {
    /// `spin_lock()`: `lhash2`, which softirqs only read, under RCU.
    Plain,
    /// `spin_lock_bh()`: `ehash` and the UDP table.
    Bh,
}

/// The chain of a bucket.
///
/// # Invariants
///
/// `first` is the address of the head of the chain, `lock` that of the lock which guards
/// it. Both stay valid during `'t`, in which the table is borrowed.
#[derive(Clone, Copy)]
struct Chain<'t> {
    first: *const *mut bindings::hlist_node,
    lock: *mut bindings::spinlock_t,
    kind: Lock,
    _table: PhantomData<&'t ()>,
}

impl Chain<'_> {
    /// The first node, which may leave the chain if it is not locked.
    fn first(&self) -> Option<NonNull<bindings::hlist_node>> {
        // SAFETY: By the type invariant, `first` is valid.
        node(unsafe { self.first.read_volatile() })
    }

    fn is_occupied(&self) -> bool {
        self.first().is_some()
    }
}

/// A bucket that is not locked.
///
/// # Invariants
///
/// `chain` is that of the bucket with that index of that table.
pub(crate) struct Bucket<'t, T> {
    table: &'t T,
    index: u32,
    chain: Chain<'t>,
}

impl<'t, T> Bucket<'t, T> {
    /// The first entry, to be fetched.
    pub(crate) fn ahead(&self) -> Ahead<T> {
        Ahead {
            node: self.chain.first(),
            _table: PhantomData,
        }
    }

    /// Locks the bucket. Spins. BHs stay off until the guard is dropped, but for
    /// `lhash2`.
    pub(crate) fn lock(self) -> Locked<'t, T> {
        // SAFETY: By the type invariant, `lock` is the initialised lock of the bucket. This is
        // process context with no lock of the tables held, as the walk locks one bucket at a time.
        unsafe {
            match self.chain.kind {
                Lock::Plain => bindings::knetstat_spin_lock(self.chain.lock),
                Lock::Bh => bindings::knetstat_spin_lock_bh(self.chain.lock),
            }
        }
        // INVARIANT: It was just locked.
        Locked {
            bucket: self,
            #[cfg(knetstat_measure)]
            since: held::now(),
            _not_send: PhantomData,
        }
    }
}

/// A locked bucket: while it lives, its chain does not change.
///
/// Not `Send`: a lock is given back by the task that took it. Nothing that sleeps
/// may be called while it lives.
///
/// # Invariants
///
/// The lock of the bucket is held.
pub(crate) struct Locked<'t, T> {
    bucket: Bucket<'t, T>,
    /// When it was locked.
    #[cfg(knetstat_measure)]
    since: u64,
    _not_send: PhantomData<*mut ()>,
}

impl<'n, T: Table<'n>> Locked<'_, T> {
    /// Yields the entries of the chain from its head on.
    pub(crate) fn iter(&self) -> Iter<'_, T> {
        // INVARIANT: The node is in the chain, whose lock is held.
        Iter {
            next: self.bucket.chain.first(),
            _bucket: PhantomData,
        }
    }

    /// Yields the entries of the chain that come after `sk`, which must come from this
    /// bucket; `None` if it has left it.
    pub(crate) fn iter_after(&self, sk: &SockRef) -> Option<Iter<'_, T>> {
        // SAFETY: The bucket is locked, and the socket comes from it.
        let is_here = unsafe { self.bucket.table.holds(self.bucket.index, sk) };
        if !is_here {
            return None;
        }
        // SAFETY: `skc_node` lies in the part that all kinds of sockets have, and `sk` is alive.
        let next = unsafe { (*node_of(sk)).next };
        // INVARIANT: `sk` is in the chain, whose lock is held, so its successor is as well.
        Some(Iter {
            next: node(next),
            _bucket: PhantomData,
        })
    }
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        #[cfg(knetstat_measure)]
        let until = held::now();
        // SAFETY: By the type invariant, the lock is held, and it was taken in the same way.
        unsafe {
            let Chain { lock, kind, .. } = self.bucket.chain;
            match kind {
                Lock::Plain => bindings::knetstat_spin_unlock(lock),
                Lock::Bh => bindings::knetstat_spin_unlock_bh(lock),
            }
        }
        #[cfg(knetstat_measure)]
        held::record(until.saturating_sub(self.since));
    }
}

/// The entries of a locked bucket.
///
/// # Invariants
///
/// `next` is a node of a chain of a table of type `T`, which stays locked during `'b`.
pub(crate) struct Iter<'b, T> {
    next: Option<NonNull<bindings::hlist_node>>,
    _bucket: PhantomData<&'b T>,
}

impl<'b, 'n, T: Table<'n>> Iterator for Iter<'b, T> {
    type Item = Found<'b, T>;

    fn next(&mut self) -> Option<Found<'b, T>> {
        let current = self.next?;
        // SAFETY: By the type invariant, the node is in the locked chain.
        // INVARIANT: So its successor is as well.
        self.next = node(unsafe { (*current.as_ptr()).next });
        // SAFETY: The chains of these tables are linked by `skc_node`, or by `skc_nulls_node`, which
        // lies in the same place and has the same layout. The bucket stays locked during `'b`.
        let entry = unsafe { Entry::from_node(current) };
        // INVARIANT: The chain is one of such a table.
        Some(Found {
            entry,
            after: Ahead {
                node: self.next,
                _table: PhantomData,
            },
        })
    }
}

/// An entry of a table of type `T`.
///
/// # Invariants
///
/// As the type says.
pub(crate) struct Found<'b, T> {
    entry: Entry<'b>,
    after: Ahead<T>,
}

impl<T> Found<'_, T> {
    /// The entry after this one, to be fetched.
    pub(crate) fn after(&self) -> &Ahead<T> {
        &self.after
    }
}

impl<'b, 'n, T: Table<'n>> Found<'b, T> {
    /// The typed view of the entry.
    pub(crate) fn socket(&self) -> T::Socket<'b> {
        // SAFETY: By the type invariant.
        unsafe { T::socket(self.entry) }
    }
}

impl<'b, T> Deref for Found<'b, T> {
    type Target = Entry<'b>;

    fn deref(&self) -> &Entry<'b> {
        &self.entry
    }
}

/// The node that a link leads to, or `None` at the end of a chain: NULL in a hlist,
/// an odd number in a hlist_nulls (`is_a_nulls()`).
fn node(link: *mut bindings::hlist_node) -> Option<NonNull<bindings::hlist_node>> {
    NonNull::new(link).filter(|node| node.addr().get() & 1 == 0)
}

/// The node by which a socket is linked into a bucket.
fn node_of(sk: &SockRef) -> *const bindings::hlist_node {
    let ptr = sk.as_ptr().cast_const();
    // SAFETY: The reference keeps the `struct sock_common` alive in which the field lies.
    unsafe { field_ptr!(ptr, sock_common, __bindgen_anon_6.skc_node) }
}

/// Whether a socket is in some bucket.
///
/// A socket leaves its bucket under the bucket's lock, by functions that clear
/// `pprev` (`sk_nulls_del_node_init_rcu()`, `sk_del_node_init_rcu()`,
/// `hlist_nulls_replace_init_rcu()`). Who holds the lock of the bucket in which the
/// socket was seen before therefore reads NULL if it has left, or what a later
/// insertion wrote: into the same bucket, or into one whose lock is not held. The
/// latter writes `sk_hash`, `udp_port_hash` or the state before `pprev`, so what is
/// read of these after `pprev` tells the two apart, given that stores are seen in
/// order. That is so on x86; see [`RESUMES`].
fn hashed(sk: &SockRef) -> bool {
    // SAFETY: As in `node_of`.
    let pprev = unsafe { (&raw const (*node_of(sk)).pprev).read_volatile() };
    core::sync::atomic::fence(core::sync::atomic::Ordering::Acquire);
    !pprev.is_null()
}

/// Whether [`Locked::iter_after`] ever finds the place. Where it does not, a walk goes on
/// in a crowded bucket by starting over, which is slower and also right.
pub(crate) const RESUMES: bool = cfg!(target_arch = "x86_64");

/// The TCP tables of a network namespace: first the listeners by address and port
/// (`lhash2`), then connections, TIME_WAIT minisocks and requests (`ehash`).
///
/// # Invariants
///
/// `info` points to the `struct inet_hashinfo` of a namespace that lives during `'n`, and
/// the others are its fields, which are set before the namespace has sockets and not
/// changed after.
pub(crate) struct TcpTable<'n> {
    info: *const bindings::inet_hashinfo,
    lhash2: *const bindings::inet_listen_hashbucket,
    lhash2_mask: u32,
    ehash: *const bindings::inet_ehash_bucket,
    ehash_mask: u32,
    ehash_locks: *mut bindings::spinlock_t,
    ehash_locks_mask: u32,
    _net: PhantomData<&'n ()>,
}

/// One of the two tables that [`TcpTable`] is made of, and a bucket in it.
enum TcpBucket {
    Listening(u32),
    Established(u32),
}

impl TcpTable<'_> {
    /// The buckets of `lhash2`, which come first.
    fn listening_buckets(&self) -> u32 {
        self.lhash2_mask.saturating_add(1)
    }

    fn locate(&self, index: u32) -> Option<TcpBucket> {
        match index.checked_sub(self.listening_buckets()) {
            None => Some(TcpBucket::Listening(index)),
            Some(index) if index <= self.ehash_mask => Some(TcpBucket::Established(index)),
            Some(_) => None,
        }
    }

    /// The chain of a bucket of `lhash2`.
    ///
    /// # Safety
    ///
    /// `slot` must be at most `lhash2_mask`.
    unsafe fn listening(&self, slot: u32) -> Chain<'_> {
        // SAFETY: The array has `lhash2_mask` + 1 elements.
        let bucket = unsafe { self.lhash2.add(slot as usize) };
        // SAFETY: The bucket lives as long as the table.
        let first = unsafe { field_ptr!(bucket, inet_listen_hashbucket, nulls_head.first) };
        // SAFETY: As above.
        let lock = unsafe { field_ptr!(bucket, inet_listen_hashbucket, lock) };
        // INVARIANT: `inet_hash()` guards the chain by this lock.
        Chain {
            first: first.cast(),
            lock: lock.cast_mut(),
            kind: Lock::Plain,
            _table: PhantomData,
        }
    }

    /// The chain of a bucket of `ehash`.
    ///
    /// # Safety
    ///
    /// `slot` must be at most `ehash_mask`.
    unsafe fn established(&self, slot: u32) -> Chain<'_> {
        // SAFETY: The array has `ehash_mask` + 1 elements.
        let bucket = unsafe { self.ehash.add(slot as usize) };
        // SAFETY: The bucket lives as long as the table.
        let first = unsafe { field_ptr!(bucket, inet_ehash_bucket, chain.first) };
        let lock = slot & self.ehash_locks_mask;
        // SAFETY: `inet_ehash_lockp()`: the array has `ehash_locks_mask` + 1 elements.
        let lock = unsafe { self.ehash_locks.add(lock as usize) };
        // INVARIANT: `inet_ehash_insert()` guards the chain by this lock.
        Chain {
            first: first.cast(),
            lock,
            kind: Lock::Bh,
            _table: PhantomData,
        }
    }
}

// SAFETY: See the INVARIANT comments in `bucket` and [`hashed`].
unsafe impl<'n> Table<'n> for TcpTable<'n> {
    type Socket<'b> = TcpEntry<'b>;

    fn of(net: Net<'n>) -> Self {
        let net = net.as_ptr();
        // SAFETY: By the type invariant of `Net`, the namespace is alive.
        let info = unsafe { field!(net, net, ipv4.tcp_death_row.hashinfo) };
        // INVARIANT: `tcp_sk_init()` sets the pointer before the namespace can be seen, and
        // `tcp_sk_exit_batch()` frees a private table after the last reference is gone.
        // SAFETY: So `info` is valid.
        unsafe {
            Self {
                info,
                lhash2: field!(info, inet_hashinfo, lhash2),
                lhash2_mask: field!(info, inet_hashinfo, lhash2_mask),
                ehash: field!(info, inet_hashinfo, ehash),
                ehash_mask: field!(info, inet_hashinfo, ehash_mask),
                ehash_locks: field!(info, inet_hashinfo, ehash_locks),
                ehash_locks_mask: field!(info, inet_hashinfo, ehash_locks_mask),
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
            // SAFETY: `locate()` yields a slot of the array.
            TcpBucket::Listening(slot) => unsafe { self.listening(slot) },
            // SAFETY: As above.
            TcpBucket::Established(slot) => unsafe { self.established(slot) },
        };
        // INVARIANT: So says `locate()`.
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
        // SAFETY: The slot is below the number of buckets of `lhash2`.
        let is_listening = |slot: &u32| unsafe { self.listening(*slot) }.is_occupied();
        let is_established = |index: &u32| {
            let slot = index.saturating_sub(established);
            // SAFETY: The index is below the number of all buckets.
            unsafe { self.established(slot) }.is_occupied()
        };
        let listening = (start..end.min(established)).find(is_listening);
        listening.or_else(|| (start.max(established)..end).find(is_established))
    }

    unsafe fn holds(&self, index: u32, sk: &SockRef) -> bool {
        if !RESUMES || !hashed(sk) {
            return false;
        }
        let ptr = sk.as_ptr().cast_const();
        // SAFETY: The reference keeps the socket alive.
        let state = unsafe { field!(ptr, sock_common, skc_state) };
        let listening = u32::from(state) == bindings::TCP_LISTEN;
        match self.locate(index) {
            // SAFETY: The socket listens, so it is a full one, and it is alive; `info` is valid.
            Some(TcpBucket::Listening(index)) if listening => unsafe {
                bindings::knetstat_lhash2_slot(self.info, ptr) == index
            },
            Some(TcpBucket::Established(index)) if !listening => {
                // SAFETY: The reference keeps the socket alive; all kinds of sockets have a hash.
                let hash = unsafe { field!(ptr, sock_common, __bindgen_anon_2.skc_hash) };
                hash & self.ehash_mask == index
            }
            _ => false,
        }
    }

    fn prefetch(node: NonNull<bindings::hlist_node>, part: Part) {
        // SAFETY: The helper reads nothing. To prefetch from a bad address has no effect.
        unsafe { bindings::knetstat_prefetch_tcp(node.as_ptr(), part.number()) };
    }

    unsafe fn socket(entry: Entry<'_>) -> TcpEntry<'_> {
        // SAFETY: By the caller's promise.
        unsafe { entry.into_tcp() }
    }
}

/// The UDP table of a network namespace, by local port.
///
/// # Invariants
///
/// `table` points to the `struct udp_table` of a namespace that lives during `'n`, and the
/// others are its fields, which do not change while it is in use.
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
        // SAFETY: The array has `mask` + 1 elements.
        let slot = unsafe { self.hash.add(index as usize) };
        // SAFETY: The slot lives as long as the table.
        let first = unsafe { field_ptr!(slot, udp_hslot, __bindgen_anon_1.head.first) };
        // SAFETY: As above.
        let lock = unsafe { field_ptr!(slot, udp_hslot, lock) };
        // INVARIANT: `udp_lib_get_port()` guards the chain by this lock.
        Chain {
            first,
            lock: lock.cast_mut(),
            kind: Lock::Bh,
            _table: PhantomData,
        }
    }
}

// SAFETY: See the INVARIANT comments in `bucket` and [`hashed`].
unsafe impl<'n> Table<'n> for UdpTable<'n> {
    type Socket<'b> = Udp<'b>;

    fn of(net: Net<'n>) -> Self {
        let net = net.as_ptr();
        // SAFETY: By the type invariant of `Net`, the namespace is alive.
        let table = unsafe { field!(net, net, ipv4.udp_table) };
        // INVARIANT: `udp_pernet_table_alloc()` sets the pointer before the namespace can be seen,
        // and `udp_pernet_table_free()` frees a private table after the last reference is gone.
        // SAFETY: So `table` is valid.
        unsafe {
            Self {
                table,
                hash: field!(table, udp_table, hash),
                mask: field!(table, udp_table, mask),
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
        // INVARIANT: It is the chain of this slot.
        Some(Bucket {
            table: self,
            index,
            // SAFETY: `index` is at most `mask`.
            chain: unsafe { self.slot(index) },
        })
    }

    fn occupied(&self, buckets: Range<u32>) -> Option<u32> {
        let Range { start, end } = buckets;
        // SAFETY: The index is below the number of slots.
        let is_occupied = |index: &u32| unsafe { self.slot(*index) }.is_occupied();
        (start..end.min(self.len())).find(is_occupied)
    }

    unsafe fn holds(&self, index: u32, sk: &SockRef) -> bool {
        if !RESUMES || !hashed(sk) {
            return false;
        }
        // SAFETY: The reference keeps the socket alive, which is a full one as it was seen in a UDP
        // table; `table` is valid.
        let slot = unsafe { bindings::knetstat_udp_slot(self.table, sk.as_ptr()) };
        slot == index
    }

    fn prefetch(node: NonNull<bindings::hlist_node>, part: Part) {
        // SAFETY: As for TCP.
        unsafe { bindings::knetstat_prefetch_udp(node.as_ptr(), part.number()) };
    }

    unsafe fn socket(entry: Entry<'_>) -> Udp<'_> {
        // SAFETY: By the caller's promise.
        unsafe { entry.into_udp() }
    }
}
