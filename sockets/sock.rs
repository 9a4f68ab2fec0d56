// SPDX-License-Identifier: GPL-2.0

//! Typed read-only views of the entries of the hash tables: a full TCP socket, a listener, a UDP
//! socket, a TIME_WAIT minisock, a SYN_RECV request.
//!
//! C headers: `include/net/sock.h`, `include/linux/tcp.h`, `include/linux/udp.h`,
//! `include/net/inet_timewait_sock.h`, `include/net/request_sock.h`
//!
//! A view offers only the fields of the C object behind it: code that reads a request as a full
//! socket does not compile. Views borrow from the locked bucket that yielded them, and none
//! outlives the lock. Each field is read once and without the socket lock, as `inet_diag` and
//! `/proc/net/tcp` do. Two fields of a row need not be from the same moment.
//!
//! What this does not do: write to a socket, or read its options. Options are in
//! `sockopts/getsockopt.rs`.

use crate::abstractions::modules;
use crate::abstractions::ns::{
    Net,
    UserNs, //
};
use crate::bindings;
use crate::diag::Flow;
use crate::format::State;
use core::marker::PhantomData;
#[cfg(CONFIG_IPV6)]
use core::net::Ipv6Addr;
use core::net::{
    IpAddr,
    Ipv4Addr, //
};
use core::ops::Deref;
use core::ptr::NonNull;

/// The number of jiffies in a second.
pub(crate) const HZ: u32 = bindings::HZ;

/// `tcp_jiffies32`: jiffies modulo 2^32.
pub(crate) fn jiffies32() -> u32 {
    // SAFETY: `jiffies` is a variable of the kernel that any code may read at any time.
    unsafe { (&raw const bindings::jiffies).read_volatile() as u32 }
}

/// An address family whose sockets are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `AF_INET`
    Inet,
    /// `AF_INET6`
    #[cfg(CONFIG_IPV6)]
    Inet6,
}

impl Family {
    /// The number of the family in `skc_family`.
    const fn number(self) -> u32 {
        match self {
            Self::Inet => bindings::AF_INET,
            #[cfg(CONFIG_IPV6)]
            Self::Inet6 => bindings::AF_INET6,
        }
    }
}

/// An address and a port in host byte order.
pub(crate) type Endpoint = (IpAddr, u16);

/// An entry of a hash table, of any kind. Only its `struct sock_common` may be read.
///
/// # Invariants
///
/// `ptr` points to a live `struct sock_common`. It stays in a hash table, and hence alive, during
/// `'b`, because its bucket is locked. It is the first member of the following structure:
///
/// | `skc_state` | structure |
/// |---|---|
/// | `TCP_TIME_WAIT` | `struct inet_timewait_sock` |
/// | `TCP_NEW_SYN_RECV` | `struct inet_request_sock` |
/// | any other, in a TCP table | `struct sock`, which is a `struct tcp_sock` |
/// | any other, in a UDP table | `struct sock`, which is a `struct udp_sock` |
#[derive(Clone, Copy)]
pub(crate) struct Entry<'b> {
    ptr: NonNull<bindings::sock_common>,
    /// `skc_family`, read once: IPV6_ADDRFORM changes it, and a row must not mix two families.
    family: u16,
    _bucket: PhantomData<&'b ()>,
}

/// A view through which a `struct C` can be read.
///
/// # Safety
///
/// [`View::as_ptr`] must point to a live `struct C` as long as the view lives.
pub(crate) unsafe trait View<C> {
    /// The address of the C object.
    fn as_ptr(&self) -> *const C;
}

/// Reads a field of the C object behind a view, once. Compiles only if the view is a [`View`] of
/// that type.
macro_rules! get {
    ($view:expr, $type:ident.$($field:ident).+) => {{
        let ptr: *const $crate::bindings::$type = $crate::sockets::sock::View::as_ptr($view);
        // SAFETY: `View` promises that `ptr` points to a live object of this type. The read is
        // volatile, because others may write to the field at the same time.
        unsafe { read_once!(ptr, $type.$($field).+) }
    }};
}

/// Copies bytes of the C object that a field points to: `None` if it points to none. For objects
/// that may be freed at any time after the field was replaced, as `knetstat_copy_behind()` says.
/// Compiles only if the view is a [`View`] of the type with the pointer.
macro_rules! get_behind {
    ($view:expr, $type:ident.$($pointer:ident).+, $target:ident.$($field:ident).+) => {{
        let ptr: *const $crate::bindings::$type = $crate::sockets::sock::View::as_ptr($view);
        // Never called. It compiles only if the pointer has the type of the object.
        let _ = || -> *mut $crate::bindings::$target { get!($view, $type.$($pointer).+) };
        // SAFETY: `View` promises that `ptr` points to a live object of this type. The object
        // contains the pointer at this offset, so that the sum stays within it.
        unsafe {
            $crate::bindings::copy_behind(
                ptr.byte_add(offset_of!($type.$($pointer).+)).cast(),
                offset_of!($target.$($field).+),
            )
        }
    }};
}

/// Declares the C types behind a view. Each of them starts at the entry of the view.
macro_rules! views {
    ($($view:ident: $($type:ident)+;)*) => {$($(
        // SAFETY: By the invariants of the view, its entry is the start of such an object. The
        // object stays in a locked bucket, hence alive, as long as the view lives.
        unsafe impl View<bindings::$type> for $view<'_> {
            fn as_ptr(&self) -> *const bindings::$type {
                self.entry().ptr.as_ptr().cast()
            }
        }
    )+)*};
}

views! {
    Entry: sock_common;
    Sock: sock_common sock inet_sock;
    Tcp: sock_common sock inet_sock inet_connection_sock tcp_sock;
    Listener: sock_common sock inet_sock inet_connection_sock tcp_sock;
    Connection: sock_common sock inet_sock inet_connection_sock tcp_sock;
    Udp: sock_common sock inet_sock udp_sock;
    TimeWait: sock_common inet_timewait_sock;
    Request: sock_common inet_request_sock;
}

/// Lets a view be used as the wider view that it contains.
macro_rules! narrows {
    ($($view:ident.$field:tt: $wider:ident;)*) => {$(
        impl<'b> Deref for $view<'b> {
            type Target = $wider<'b>;

            fn deref(&self) -> &$wider<'b> {
                &self.$field
            }
        }
    )*};
}

narrows! {
    Tcp.sock: Sock;
    Listener.0: Tcp;
    Connection.0: Tcp;
    Udp.0: Sock;
}

impl<'b> Entry<'b> {
    /// Makes a view of an entry of a locked bucket.
    ///
    /// # Safety
    ///
    /// `node` must be the `skc_node` of an entry of a TCP or UDP hash table whose bucket stays
    /// locked during `'b`.
    pub(crate) unsafe fn from_node(node: NonNull<bindings::hlist_node>) -> Self {
        // SAFETY: By the caller's promise, `node` lies within a `struct sock_common`. The start of
        // that structure is in the same allocation.
        let ptr = unsafe { node.byte_sub(offset_of!(sock_common.skc_node)) };
        let ptr = ptr.cast::<bindings::sock_common>();
        let common = ptr.as_ptr().cast_const();
        // SAFETY: The caller promises that the entry is in a locked bucket. It is therefore alive.
        let family = unsafe { read_once!(common, sock_common.skc_family) };
        // INVARIANT: The entry cannot leave the table while the bucket is locked. `skc_state`
        // determines which structure surrounds the common part, see `sk_fullsock()`.
        Self {
            ptr,
            family,
            _bucket: PhantomData,
        }
    }

    fn entry(&self) -> &Self {
        self
    }

    /// The address of the entry. No other entry has this address while this one is in a table. It
    /// is never printed.
    pub(crate) fn address(&self) -> usize {
        self.ptr.as_ptr().addr()
    }

    /// Whether the family is `AF_INET6`.
    pub(crate) fn is_inet6(&self) -> bool {
        u32::from(self.family) == bindings::AF_INET6
    }

    /// Whether the entry belongs to `net` and `family`. Follows `seq_sk_match()`.
    pub(crate) fn matches(&self, net: Net<'_>, family: Family) -> bool {
        u32::from(self.family) == family.number() && self.is_of(net)
    }

    /// Whether the entry belongs to `net`: `net_eq()` with `sock_net()`.
    #[cfg(CONFIG_NET_NS)]
    pub(crate) fn is_of(&self, net: Net<'_>) -> bool {
        get!(self, sock_common.skc_net.net) == net.as_ptr()
    }

    #[cfg(not(CONFIG_NET_NS))]
    pub(crate) fn is_of(&self, _: Net<'_>) -> bool {
        true
    }

    /// Whether the entry is a full socket, and not a minisock: `sk_fullsock()`.
    fn is_full(&self) -> bool {
        !matches!(
            u32::from(get!(self, sock_common.skc_state)),
            bindings::TCP_TIME_WAIT | bindings::TCP_NEW_SYN_RECV
        )
    }

    /// Whether a reference to the entry keeps its network namespace, which is used when the last
    /// reference is dropped. A full socket with `sk_net_refcnt` keeps it. Sockets of the kernel
    /// often do not keep it, and minisocks never do.
    pub(crate) fn keeps_net(&self) -> bool {
        self.is_full() && get!(self, sock_common.skc_net_refcnt) != 0
    }

    /// Takes a reference. `None` if the count is 0, because the entry is being linked in or out.
    pub(crate) fn try_get<'h>(&self, _guard: &'h modules::Guard) -> Option<SockRef<'h>> {
        let ptr = self.ptr.cast::<bindings::sock>();
        // SAFETY: By the type invariant, the entry is alive. The helper reads and writes nothing
        // but `skc_refcnt`, which minisocks have as well.
        let taken = unsafe { bindings::knetstat_sock_tryget(ptr.as_ptr()) };
        // INVARIANT: The reference was just taken. A full socket never turns into a minisock, nor a
        // minisock into a full socket.
        taken.then(|| SockRef {
            ptr,
            is_full: self.is_full(),
            _guard: PhantomData,
        })
    }

    /// The view of an entry of a UDP table.
    ///
    /// # Safety
    ///
    /// The entry must come from a UDP table.
    pub(crate) unsafe fn into_udp(self) -> Udp<'b> {
        // INVARIANT: The caller promises that the entry comes from a UDP table. These contain only
        // full sockets, and each of them is a `struct udp_sock`.
        Udp(Sock(self))
    }

    /// The view of an entry of a TCP table, by its kind.
    ///
    /// # Safety
    ///
    /// The entry must come from a TCP table.
    pub(crate) unsafe fn into_tcp(self) -> TcpEntry<'b> {
        let number = get!(&self, sock_common.skc_state);
        // INVARIANT: The caller promises that the entry comes from a TCP table. The state
        // determines the kind, see the type invariant of `Entry`. A socket never turns into a
        // minisock in place: `inet_twsk_alloc()` and `inet_reqsk_alloc()` make new objects, which
        // take its place in the bucket.
        match u32::from(number) {
            bindings::TCP_TIME_WAIT => TcpEntry::TimeWait(TimeWait(self)),
            bindings::TCP_NEW_SYN_RECV => TcpEntry::Request(Request(self)),
            bindings::TCP_LISTEN => TcpEntry::Listener(Listener(Tcp {
                sock: Sock(self),
                state: State::Listen,
            })),
            _ => TcpEntry::Connection(Connection(Tcp {
                sock: Sock(self),
                state: state(number),
            })),
        }
    }

    /// The address that the entry is bound to.
    fn local_address(&self) -> IpAddr {
        #[cfg(CONFIG_IPV6)]
        if self.is_inet6() {
            return ipv6(get!(self, sock_common.skc_v6_rcv_saddr));
        }
        ipv4(get!(self, sock_common.skc_rcv_saddr))
    }

    /// The address and port of the peer.
    fn foreign(&self) -> Endpoint {
        let port = get!(self, sock_common.skc_dport);
        (self.foreign_address(), u16::from_be(port))
    }

    fn foreign_address(&self) -> IpAddr {
        #[cfg(CONFIG_IPV6)]
        if self.is_inet6() {
            return ipv6(get!(self, sock_common.skc_v6_daddr));
        }
        ipv4(get!(self, sock_common.skc_daddr))
    }
}

/// A counted reference to a socket of any kind. It keeps the memory, but not the place in a table.
///
/// It lives at most as long as the [`modules::Guard`], hence within one read(2). Dropping the last
/// reference calls `sk_destruct`, which may be in the text of any module.
///
/// # Invariants
///
/// `ptr` points to a socket or minisock, and this value owns a reference to it. `is_full` is true
/// for a full socket, and false for a minisock.
pub(crate) struct SockRef<'h> {
    ptr: NonNull<bindings::sock>,
    is_full: bool,
    _guard: PhantomData<&'h modules::Guard>,
}

impl SockRef<'_> {
    /// The address of the C object: a `struct sock`, or the `struct sock_common` of a minisock.
    pub(crate) fn as_ptr(&self) -> *mut bindings::sock {
        self.ptr.as_ptr()
    }

    /// Keeps others from moving the socket from one bucket to another. `None` if one of them may be
    /// about to move it.
    ///
    /// Code that moves a full socket has its lock. `listen(2)`, `connect(2)`, `bind(2)` and
    /// disconnecting own it by `lock_sock()`. Softirqs and timers hold its spinlock by
    /// `bh_lock_sock()`. All of them take the lock before they write the fields that determine the
    /// bucket: state, hash, address and port. They keep the lock until the socket is in that
    /// bucket. Minisocks do not move.
    ///
    /// # Safety
    ///
    /// Bottom halves must be off, and stay off while the result lives.
    pub(crate) unsafe fn bh_trylock(&self) -> Option<BhLocked<'_>> {
        let locks = self.is_full && !cfg!(knetstat_fault = "no-sock-lock");
        // SAFETY: By the type invariant, this is a full socket, which the reference keeps alive. By
        // the caller's promise, BHs are off. So no softirq on this CPU can wait for the spinlock
        // while it is held here. On PREEMPT_RT a softirq may wait, because it sleeps.
        if locks && !unsafe { bindings::knetstat_bh_trylock_sock(self.ptr.as_ptr()) } {
            return None;
        }
        // INVARIANT: If `locks`, this task has just taken the spinlock of a full socket that no
        // process owns.
        Some(BhLocked {
            sk: self,
            locks,
            _not_send: PhantomData,
        })
    }
}

impl Drop for SockRef<'_> {
    /// Gives back the reference, which may free the socket. Must not be called under the lock of a
    /// bucket.
    fn drop(&mut self) {
        // SAFETY: By the type invariant, this value owns a reference. The reference is given back
        // here and not used after this. `sock_gen_put()` distinguishes the kinds of sockets. If the
        // destructor is in a module, the text of that module is there, because the `modules::Guard`
        // lives.
        unsafe { bindings::sock_gen_put(self.ptr.as_ptr()) };
    }
}

/// A socket that no other code moves from one bucket to another while this value lives.
///
/// # Invariants
///
/// If `locks`, the socket is a full one, its spinlock is held, and no process owns it.
pub(crate) struct BhLocked<'s> {
    sk: &'s SockRef<'s>,
    locks: bool,
    _not_send: PhantomData<*mut ()>,
}

impl<'s> Deref for BhLocked<'s> {
    type Target = SockRef<'s>;

    fn deref(&self) -> &SockRef<'s> {
        self.sk
    }
}

impl Drop for BhLocked<'_> {
    fn drop(&mut self) {
        if self.locks {
            // SAFETY: By the type invariant, the spinlock is held. This task holds it, because the
            // value is not `Send`.
            unsafe { bindings::knetstat_bh_unlock_sock(self.sk.ptr.as_ptr()) };
        }
    }
}

/// An entry of a TCP table, by its kind.
pub(crate) enum TcpEntry<'b> {
    /// A listening socket.
    Listener(Listener<'b>),
    /// Any other full socket.
    Connection(Connection<'b>),
    /// A connection that has ended, of which the kernel keeps only a minisock.
    TimeWait(TimeWait<'b>),
    /// A connection that a client has requested.
    Request(Request<'b>),
}

/// A full socket.
///
/// # Invariants
///
/// The entry is the start of a `struct inet_sock`.
#[derive(Clone, Copy)]
pub(crate) struct Sock<'b>(Entry<'b>);

impl<'b> Sock<'b> {
    fn entry(&self) -> &Entry<'b> {
        &self.0
    }

    /// Whether the process set what this flag stands for: a `SOCK_*_LOCK` of `sk_userlocks`.
    pub(crate) fn user_locked(&self, lock: u32) -> bool {
        u32::from(get!(self, sock.sk_userlocks)) & lock != 0
    }

    /// The address and port that the socket is bound to.
    pub(crate) fn local(&self) -> Endpoint {
        let port = get!(self, inet_sock.inet_sport);
        (self.0.local_address(), u16::from_be(port))
    }

    /// The address and port that the socket is connected to.
    pub(crate) fn foreign(&self) -> Endpoint {
        self.0.foreign()
    }

    /// The user id of the owner, translated into `ns`. Follows `/proc/net/tcp`.
    pub(crate) fn uid(&self, ns: UserNs<'_>) -> u32 {
        // SAFETY: By the type invariants, the socket and the user namespace are alive, and the
        // socket is a full one.
        unsafe { bindings::knetstat_uid(ns.as_ptr(), self.as_ptr()) }
    }

    /// The inode of the socket's file, or 0 if it has none: `sock_i_ino()`.
    pub(crate) fn inode(&self) -> u64 {
        // SAFETY: By the type invariant, the socket is alive and a full one.
        unsafe { bindings::knetstat_sock_ino(self.as_ptr()) }
    }

    /// Whether the family is `AF_INET6`.
    pub(crate) fn is_inet6(&self) -> bool {
        self.0.is_inet6()
    }
}

/// A full TCP socket.
///
/// # Invariants
///
/// The entry is the start of a `struct tcp_sock`.
#[derive(Clone, Copy)]
pub(crate) struct Tcp<'b> {
    sock: Sock<'b>,
    state: State,
}

impl Tcp<'_> {
    /// The state of the socket when the view was made. The row shows this state.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// The number of bytes written and not acknowledged, as `/proc/net/tcp` counts them. For an
    /// instant in connect(2), it can be anything up to 2^32: a sequence number is chosen, but not
    /// yet sent.
    pub(crate) fn send_queue(&self) -> i64 {
        let written = get!(self, tcp_sock.write_seq);
        written.wrapping_sub(get!(self, tcp_sock.snd_una)).into()
    }

    /// Whether the socket is under TCP_REPAIR.
    pub(crate) fn is_under_repair(&self) -> bool {
        get!(self, tcp_sock.repair) != 0
    }

    /// Whether the state is `TCP_LISTEN`.
    pub(crate) fn is_listening(&self) -> bool {
        self.state == State::Listen
    }
}

/// A listening TCP socket.
///
/// # Invariants
///
/// The entry is the start of a `struct tcp_sock`. Its state was `TCP_LISTEN` when the view was
/// made.
#[derive(Clone, Copy)]
pub(crate) struct Listener<'b>(Tcp<'b>);

impl Listener<'_> {
    /// The number of connections that wait for accept(2).
    pub(crate) fn accept_queue(&self) -> i64 {
        get!(self, sock.sk_ack_backlog).into()
    }

    /// The limit of the accept queue: the value that was passed to listen(2), at most
    /// `net.core.somaxconn`.
    pub(crate) fn backlog(&self) -> u32 {
        get!(self, sock.sk_max_ack_backlog)
    }
}

/// A full TCP socket that does not listen.
///
/// # Invariants
///
/// The entry is the start of a `struct tcp_sock`. Its state was not `TCP_LISTEN` when the view was
/// made.
#[derive(Clone, Copy)]
pub(crate) struct Connection<'b>(Tcp<'b>);

impl Connection<'_> {
    /// The number of bytes received and not read, as `/proc/net/tcp` counts them.
    pub(crate) fn receive_queue(&self) -> i64 {
        let received = get!(self, tcp_sock.rcv_nxt);
        let unread = received.wrapping_sub(get!(self, tcp_sock.copied_seq)) as i32;
        // The process may have read data between the reads of the two fields.
        unread.max(0).into()
    }

    /// The fields that determine the sign.
    pub(crate) fn flow(&self) -> Flow {
        Flow {
            state: self.state(),
            snd_wnd: get!(self, tcp_sock.snd_wnd),
            rcv_wnd: get!(self, tcp_sock.rcv_wnd),
            packets_out: get!(self, tcp_sock.packets_out),
            rcv_tstamp: get!(self, tcp_sock.rcv_tstamp),
            repair: self.is_under_repair(),
        }
    }
}

/// A UDP socket.
///
/// # Invariants
///
/// The entry is the start of a `struct udp_sock`.
#[derive(Clone, Copy)]
pub(crate) struct Udp<'b>(Sock<'b>);

impl Udp<'_> {
    /// Whether a module receives a protocol through this socket, and may have set a destructor. It
    /// called `setup_udp_tunnel_sock()` before, with data or a function of its own. A process can
    /// set and clear `encap_type`, by UDP_ENCAP, but neither of the two.
    pub(crate) fn is_tunnel(&self) -> bool {
        !get!(self, udp_sock.encap_destroy).is_null()
            || (get!(self, udp_sock.encap_type) != 0 && !get!(self, sock.sk_user_data).is_null())
    }

    /// Whether the process chose the port with bind(2): `SOCK_BINDPORT_LOCK`.
    pub(crate) fn is_bound_to_port(&self) -> bool {
        self.user_locked(bindings::SOCK_BINDPORT_LOCK)
    }

    /// The memory of the datagrams received and not read, in bytes: `udp_rqueue_get()`.
    pub(crate) fn receive_queue(&self) -> i64 {
        let allocated = get!(self, sock.sk_backlog.rmem_alloc.counter);
        let unread = allocated.wrapping_sub(get!(self, udp_sock.forward_deficit));
        // Datagrams may have come and been read between the reads of the two fields.
        // `udp_rmem_release()` counts them in the second field. The first field was read before
        // they came.
        unread.max(0).into()
    }

    /// The memory of the datagrams not yet sent, in bytes: `sk_wmem_alloc_get()`.
    pub(crate) fn send_queue(&self) -> i64 {
        get!(self, sock.sk_wmem_alloc.refs.counter)
            .wrapping_sub(1)
            .into()
    }

    /// The number of datagrams that were dropped before the process read them: `sk_drops_read()`.
    /// `/proc/net/udp` and `ss` print it without a sign, and it wraps.
    ///
    /// The counters are part of the `struct udp_sock`, on every kernel. Since Linux 6.18 there are two,
    /// for even and odd NUMA nodes. `sk_drop_counters` points to them from `udp_lib_init_sock()` on,
    /// and nothing allocates or frees them by themselves. Reading them here does not follow the
    /// pointer.
    pub(crate) fn drops(&self) -> u32 {
        get!(self, udp_sock.drop_counters.drops0)
            .wrapping_add(get!(self, udp_sock.drop_counters.drops1))
    }
}

/// A minisock in TIME_WAIT, or in the FIN_WAIT2 that follows close(2).
///
/// # Invariants
///
/// The entry is the start of a `struct inet_timewait_sock`.
#[derive(Clone, Copy)]
pub(crate) struct TimeWait<'b>(Entry<'b>);

impl<'b> TimeWait<'b> {
    fn entry(&self) -> &Entry<'b> {
        &self.0
    }

    /// `TimeWait`, or `FinWait2` while the peer has not closed its side.
    pub(crate) fn substate(&self) -> State {
        state(get!(self, inet_timewait_sock.tw_substate))
    }

    /// The address and port that the connection was bound to.
    pub(crate) fn local(&self) -> Endpoint {
        let port = get!(self, inet_timewait_sock.tw_sport);
        (self.0.local_address(), u16::from_be(port))
    }

    /// The peer's address and port.
    pub(crate) fn foreign(&self) -> Endpoint {
        self.0.foreign()
    }
}

/// A request: a SYN has come, and the handshake is not complete.
///
/// # Invariants
///
/// The entry is the start of a `struct inet_request_sock`.
#[derive(Clone, Copy)]
pub(crate) struct Request<'b>(Entry<'b>);

impl<'b> Request<'b> {
    fn entry(&self) -> &Entry<'b> {
        &self.0
    }

    /// The address and port that the SYN was sent to: `ir_loc_addr`, `ir_num`.
    pub(crate) fn local(&self) -> Endpoint {
        // The mistake of the C module, for the test that shows that KASAN reports it: `inet_sport`
        // lies behind the end of a request.
        #[cfg(knetstat_fault = "oob")]
        // SAFETY: There is none: a request is not a `struct inet_sock`. `get!` would not compile.
        let _ = unsafe { read_once!(self.0.ptr.as_ptr(), inet_sock.inet_sport) };

        let port = get!(self, sock_common.skc_num);
        (self.0.local_address(), port)
    }

    /// The client's address and port.
    pub(crate) fn foreign(&self) -> Endpoint {
        self.0.foreign()
    }
}

/// The state with a number of `include/net/tcp_states.h`.
fn state(number: u8) -> State {
    match u32::from(number) {
        bindings::TCP_ESTABLISHED => State::Established,
        bindings::TCP_SYN_SENT => State::SynSent,
        bindings::TCP_SYN_RECV | bindings::TCP_NEW_SYN_RECV => State::SynRecv,
        bindings::TCP_FIN_WAIT1 => State::FinWait1,
        bindings::TCP_FIN_WAIT2 => State::FinWait2,
        bindings::TCP_TIME_WAIT => State::TimeWait,
        bindings::TCP_CLOSE => State::Close,
        bindings::TCP_CLOSE_WAIT => State::CloseWait,
        bindings::TCP_LAST_ACK => State::LastAck,
        bindings::TCP_LISTEN => State::Listen,
        bindings::TCP_CLOSING => State::Closing,
        _ => State::Unknown,
    }
}

/// Converts an address from network byte order.
pub(crate) fn ipv4(address: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(u32::from_be(address)))
}

/// Converts an address from network byte order.
#[cfg(CONFIG_IPV6)]
pub(crate) fn ipv6(address: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(address))
}
