// SPDX-License-Identifier: GPL-2.0

//! Bindings to the types, fields and functions that the module uses.
//!
//! C header: `bindings/bindings.h`
//!
//! The bindings are not made by bindgen. It reads the kernel's headers through libclang, while most
//! kernels are built by gcc. It numbers anonymous members differently from kernel to kernel, and
//! does not sign-extend bit-fields. Here, the kernel's own compiler reports where each field is,
//! how wide it is, and whether it is signed: see `layout.c`. A field therefore has one name and one
//! type on every kernel. Functions are declared by hand, and a host test compares them with
//! `bindings.h`.
//!
//! Differences between kernels are found by their headers (`probes.mk`), never by a version, and
//! handled in this folder. Outside this folder, `knetstat_has` marks only what a user sees. These
//! are options that some kernels lack (`sockopts.rs`), and the readers who see an option
//! (`sockopts/getsockopt/tcp.rs`).

#![allow(
    non_camel_case_types,
    reason = "C types have the names that they have in C"
)]

use core::ffi::CStr;
pub(crate) use kernel::ffi::{
    c_char,
    c_int,
    c_void, //
};

/// Declares C types whose contents Rust does not know. They have the size that the kernel's
/// compiler reports, and may contain pointers. Rust uses types of this kind through pointers only.
macro_rules! opaque {
    ($($type:ident: $size:literal,)*) => {$(
        #[repr(C)]
        pub(crate) struct $type([core::mem::MaybeUninit<u8>; $size]);
    )*};
}

/// Does the same as [`opaque`] for types that Rust stores by value. These are aligned.
macro_rules! value {
    ($($type:ident: $size:literal,)*) => {$(
        #[derive(Clone, Copy)]
        #[repr(C, align(8))]
        pub(crate) struct $type([core::mem::MaybeUninit<u8>; $size]);

        const _: () = assert!(size_of::<$type>() == $size);
    )*};
}

#[macro_use]
#[allow(unused_macros, reason = "made whole")]
#[allow(dead_code, reason = "made whole")]
mod layout;

pub(crate) use layout::*;

/// Declares C types that Rust uses through pointers only.
macro_rules! incomplete {
    ($($type:ident)*) => {$(
        #[allow(dead_code, reason = "not every kernel has every option")]
        #[repr(C)]
        pub(crate) struct $type {
            _data: [u8; 0],
            _marker: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
        }
    )*};
}

incomplete! {
    file
    inode
    iov_iter
    ipv6_opt_hdr
    ipv6_rt_hdr
    proc_dir_entry
    sk_filter
    sock_reuseport
    tcp_ao_info
    user_namespace
}

/// A link of a hash chain. The link of an `hlist_nulls` has the same layout.
#[repr(C)]
pub(crate) struct hlist_node {
    pub(crate) next: *mut hlist_node,
    pub(crate) pprev: *mut *mut hlist_node,
}

const _: () = assert!(
    core::mem::offset_of!(hlist_node, next) == offset_of!(hlist_node.next)
        && core::mem::offset_of!(hlist_node, pprev) == offset_of!(hlist_node.pprev)
);

pub(crate) type spinlock_t = spinlock;
pub(crate) type loff_t = i64;
pub(crate) type umode_t = u16;

/// Reads a bit-field once. It has `WIDTH` bits and begins at bit `BIT` of the object, by the
/// numbers of a little-endian CPU. If the bit-field is signed, its sign is extended.
///
/// # Safety
///
/// `ptr` must point to an object that is aligned to 8 bytes and has the bit-field.
#[inline(always)]
pub(crate) unsafe fn read_bitfield<const BIT: usize, const WIDTH: usize, const SIGNED: bool>(
    ptr: *const u8,
) -> i64 {
    const { assert!(cfg!(target_endian = "little") && WIDTH > 0 && WIDTH <= 32) };
    let (word, shift) = if BIT % 8 + WIDTH <= 8 {
        // SAFETY: By the caller's promise, the object has the byte in which the bit-field lies.
        let word = unsafe { ptr.add(BIT / 8).read_volatile() };
        (u64::from(word), BIT % 8)
    } else if BIT % 16 + WIDTH <= 16 {
        // SAFETY: The object has these two bytes, and they are aligned. C puts a bit-field into a
        // unit of its type, which is at least two bytes.
        let word = unsafe { ptr.add(BIT / 16 * 2).cast::<u16>().read_volatile() };
        (u64::from(word), BIT % 16)
    } else {
        const { assert!(BIT % 32 + WIDTH <= 32 || BIT % 16 + WIDTH <= 16) };
        // SAFETY: The object has these four bytes, and they are aligned. C puts a bit-field into a
        // unit of its type, which is at least four bytes.
        let word = unsafe { ptr.add(BIT / 32 * 4).cast::<u32>().read_volatile() };
        (u64::from(word), BIT % 32)
    };
    // Move the bits to the top, then down again.
    let top = word << (64 - shift - WIDTH);
    if SIGNED {
        (top as i64) >> (64 - WIDTH)
    } else {
        (top >> (64 - WIDTH)) as i64
    }
}

/// Makes a constant C structure of pointers. The named fields are set, and all others are zero.
macro_rules! c_struct {
    ($type:ident { $($field:ident: $value:expr,)* }) => {{
        const WORDS: usize = size_of::<$crate::bindings::$type>() / size_of::<*const ()>();
        let mut words = [core::ptr::null::<()>(); WORDS];
        $(
            words[offset_of!($type.$field) / size_of::<*const ()>()] = $value as *const ();
        )*
        // SAFETY: Both types have the same size. An opaque type is valid whatever its bytes are.
        unsafe { core::mem::transmute::<[*const (); WORDS], $crate::bindings::$type>(words) }
    }};
}

pub(crate) type knetstat_program = u32;
pub(crate) type sock_flags = u32;

// Symbols of the kernel itself. They are exported, and the same on every kernel.
unsafe extern "C" {
    pub(crate) static jiffies: usize;

    pub(crate) fn kvfree(addr: *const c_void);
    pub(crate) fn no_seek_end_llseek(file: *mut file, offset: loff_t, whence: c_int) -> loff_t;
    pub(crate) fn proc_create_data(
        name: *const c_char,
        mode: umode_t,
        parent: *mut proc_dir_entry,
        ops: *const proc_ops,
        data: *mut c_void,
    ) -> *mut proc_dir_entry;
    pub(crate) fn register_pernet_subsys(ops: *mut pernet_operations) -> c_int;
    pub(crate) fn remove_proc_entry(name: *const c_char, parent: *mut proc_dir_entry);
    pub(crate) fn sock_gen_put(sk: *mut sock);
    pub(crate) fn unregister_pernet_subsys(ops: *mut pernet_operations);
}

// Functions that `bindings.h` declares and `helpers.c` defines.
#[allow(
    dead_code,
    reason = "some are for builds that measure, or that break a rule"
)]
unsafe extern "C" {
    pub(crate) fn knetstat_spin_lock_bh(lock: *mut spinlock_t);
    pub(crate) fn knetstat_spin_lock_then_bh_disable(lock: *mut spinlock_t);
    pub(crate) fn knetstat_spin_unlock_bh(lock: *mut spinlock_t);
    pub(crate) fn knetstat_prefetch(node: *const hlist_node, lines: *const u16, count: usize);
    pub(crate) fn knetstat_sock_tryget(sk: *mut sock) -> bool;
    pub(crate) fn knetstat_bh_trylock_sock(sk: *mut sock) -> bool;
    pub(crate) fn knetstat_bh_unlock_sock(sk: *mut sock);
    pub(crate) fn knetstat_listening_slot(h: *const inet_hashinfo, sk: *const sock) -> u32;
    pub(crate) fn knetstat_udp_table(net: *const net) -> *const udp_table;
    pub(crate) fn knetstat_inet_flags(sk: *const sock, inet6: bool) -> u64;
    pub(crate) fn knetstat_owns_pinet6(sk: *const sock) -> bool;
    pub(crate) fn knetstat_udp_flags(sk: *const sock) -> u64;
    pub(crate) fn knetstat_udp_slot(table: *const udp_table, sk: *const sock) -> u32;
    pub(crate) fn knetstat_path_exists(path: *const c_char) -> bool;
    pub(crate) fn knetstat_maybe_get_net(net: *mut net) -> *mut net;
    pub(crate) fn knetstat_put_net(net: *mut net);
    pub(crate) fn knetstat_pde_data(inode: *const inode) -> *mut c_void;
    pub(crate) fn knetstat_file_user_ns(file: *const file) -> *mut user_namespace;
    pub(crate) fn knetstat_file_private(file: *const file) -> *mut c_void;
    pub(crate) fn knetstat_set_file_private(file: *mut file, data: *mut c_void);
    pub(crate) fn knetstat_iov_iter_count(iter: *const iov_iter) -> usize;
    pub(crate) fn knetstat_copy_to_iter(
        from: *const c_void,
        len: usize,
        to: *mut iov_iter,
    ) -> usize;
    pub(crate) fn knetstat_mutex_init(lock: *mut mutex);
    pub(crate) fn knetstat_mutex_lock_killable(lock: *mut mutex) -> c_int;
    pub(crate) fn knetstat_mutex_unlock(lock: *mut mutex);
    pub(crate) fn knetstat_uid(ns: *mut user_namespace, sk: *const sock) -> u32;
    pub(crate) fn knetstat_is_net_admin(net: *const net) -> bool;
    pub(crate) fn knetstat_filter(sk: *const sock) -> knetstat_program;
    pub(crate) fn knetstat_reuseport_program(sk: *const sock) -> knetstat_program;
    pub(crate) fn knetstat_copy_behind(
        pointer: *const c_void,
        offset: usize,
        to: *mut c_void,
        size: usize,
    ) -> bool;
    pub(crate) fn knetstat_device_name(net: *mut net, index: c_int, name: *mut u8) -> bool;
    pub(crate) fn knetstat_msecs_to_jiffies(msecs: u32) -> u32;
    pub(crate) fn knetstat_usecs_to_jiffies(usecs: u32) -> u32;
    pub(crate) fn knetstat_jiffies_to_msecs(jiffies: u32) -> u32;
    pub(crate) fn knetstat_jiffies_to_usecs(jiffies: u32) -> u32;
    pub(crate) fn knetstat_rcu_read_lock();
    pub(crate) fn knetstat_rcu_read_unlock();
    pub(crate) fn knetstat_sock_ino(sk: *const sock) -> u64;
    pub(crate) fn knetstat_check_release() -> c_int;
    pub(crate) fn knetstat_check_layout() -> c_int;
    pub(crate) fn knetstat_watch_modules() -> c_int;
    pub(crate) fn knetstat_unwatch_modules();
    pub(crate) fn knetstat_hold_modules() -> c_int;
    pub(crate) fn knetstat_release_modules();
    pub(crate) fn knetstat_kvzalloc(size: usize, optional: bool) -> *mut c_void;
    pub(crate) fn knetstat_cond_resched();
    pub(crate) fn knetstat_fatal_signal_pending() -> bool;
    pub(crate) fn knetstat_ktime_get_ns() -> u64;
    pub(crate) fn knetstat_test_sleep();
    pub(crate) fn knetstat_test_delay();
}

/// The characters of a string, as a pointer for C.
pub(crate) fn c_string(text: &'static CStr) -> *const c_char {
    text.to_bytes_with_nul().as_ptr()
}

/// The flags of an `inet_sock` as one word, by the numbers of `INET_FLAGS_*`, with those of IPv6 if
/// `inet6` is true.
///
/// # Safety
///
/// `sk` must point to a live `struct inet_sock`. If `inet6` is true, it must be an IPv6 socket for which
/// [`owns_pinet6`] has returned true.
#[inline]
pub(crate) unsafe fn inet_flags(
    sk: *const inet_sock,
    #[allow(unused_variables, reason = "not every kernel needs it")] inet6: bool,
) -> u64 {
    #[cfg(knetstat_has = "INET_FLAGS_OF_IPV6")]
    // SAFETY: The caller promises that `sk` points to a live `struct inet_sock`.
    let flags = unsafe { read_once!(sk, inet_sock.inet_flags) };
    #[cfg(not(knetstat_has = "INET_FLAGS_OF_IPV6"))]
    // SAFETY: The caller promises what the helper requires.
    let flags = unsafe { knetstat_inet_flags(sk.cast(), inet6) };
    flags
}

/// Whether the object behind `pinet6`, and the objects that it points to, belong to this socket.
///
/// # Safety
///
/// `sk` must point to a live IPv6 socket.
#[cfg(CONFIG_IPV6)]
#[inline]
pub(crate) unsafe fn owns_pinet6(sk: *const inet_sock) -> bool {
    // SAFETY: The helper requires a live IPv6 socket, which the caller promises.
    cfg!(knetstat_has = "OPT_CHILD_INIT") || unsafe { knetstat_owns_pinet6(sk.cast()) }
}

/// The flags of a `udp_sock` as one word, by the numbers of `UDP_FLAGS_*`.
///
/// # Safety
///
/// `sk` must point to a live `struct udp_sock`.
#[inline]
pub(crate) unsafe fn udp_flags(sk: *const udp_sock) -> u64 {
    #[cfg(knetstat_has = "UDP_FLAGS")]
    // SAFETY: The caller promises that `sk` points to a live `struct udp_sock`.
    let flags = unsafe { read_once!(sk, udp_sock.udp_flags) };
    #[cfg(not(knetstat_has = "UDP_FLAGS"))]
    // SAFETY: The helper requires a live `struct udp_sock`, which the caller promises.
    let flags = unsafe { knetstat_udp_flags(sk.cast()) };
    flags
}

/// The TCP tables of a namespace.
///
/// # Safety
///
/// `net` must point to a live `struct net`.
#[inline]
pub(crate) unsafe fn tcp_hashinfo(net: *const net) -> *const inet_hashinfo {
    #[cfg(not(knetstat_has = "TCP_DEATH_ROW_POINTER"))]
    // SAFETY: The caller promises that `net` points to a live `struct net`.
    let info = unsafe { read_once!(net, net.ipv4.tcp_death_row.hashinfo) };
    #[cfg(knetstat_has = "TCP_DEATH_ROW_POINTER")]
    // SAFETY: The caller promises that `net` points to a live `struct net`. `tcp_sk_init()`
    // allocates the `struct inet_timewait_death_row` before the namespace can be seen, and
    // `tcp_sk_exit()` frees it after the last reference to the namespace is gone.
    let info = unsafe {
        let row = read_once!(net, net.ipv4.tcp_death_row);
        read_once!(row, inet_timewait_death_row.hashinfo)
    };
    info
}

/// The buckets of the table of listeners that are linked by `skc_nulls_node`. Some kernels have two
/// tables of listeners, and link them into the other one, `lhash2`, by another node.
///
/// # Safety
///
/// `info` must point to a live `struct inet_hashinfo`.
#[inline]
pub(crate) unsafe fn listening(info: *const inet_hashinfo) -> *const inet_listen_hashbucket {
    #[cfg(not(knetstat_has = "LISTENING_HASH"))]
    // SAFETY: The caller promises that `info` points to a live `struct inet_hashinfo`.
    let buckets = unsafe { read_once!(info, inet_hashinfo.lhash2) };
    #[cfg(knetstat_has = "LISTENING_HASH")]
    // SAFETY: The caller promises that `info` points to a live `struct inet_hashinfo`, which
    // contains the array.
    let buckets = unsafe {
        info.byte_add(offset_of!(inet_hashinfo.listening_hash))
            .cast()
    };
    buckets
}

/// The number of buckets of [`listening`] minus one.
///
/// # Safety
///
/// `info` must point to a live `struct inet_hashinfo`.
#[inline]
pub(crate) unsafe fn listening_mask(
    #[allow(unused_variables, reason = "not every kernel needs it")] info: *const inet_hashinfo,
) -> u32 {
    #[cfg(not(knetstat_has = "LISTENING_HASH"))]
    // SAFETY: The caller promises that `info` points to a live `struct inet_hashinfo`.
    let mask = unsafe { read_once!(info, inet_hashinfo.lhash2_mask) };
    #[cfg(knetstat_has = "LISTENING_HASH")]
    let mask = INET_LHTABLE_SIZE - 1;
    mask
}

/// Copies `N` bytes, `offset` bytes behind the start of the object that the pointer at `pointer`
/// points to: see `knetstat_copy_behind()`. The object need not be alive.
///
/// # Safety
///
/// `pointer` must point to a live pointer.
pub(crate) unsafe fn copy_behind<const N: usize>(
    pointer: *const c_void,
    offset: usize,
) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // SAFETY: By the caller's promise, `pointer` can be read. `bytes` has the `N` bytes that the
    // helper fills. It copies by `copy_from_kernel_nofault()`, which takes any address.
    let is_copied =
        unsafe { knetstat_copy_behind(pointer, offset, bytes.as_mut_ptr().cast(), bytes.len()) };
    is_copied.then_some(bytes)
}
