// SPDX-License-Identifier: GPL-2.0

//! IPPROTO_IPV6: `do_ipv6_getsockopt()` in `net/ipv6/ipv6_sockglue.c`.

use super::ip::write_groups;
use super::{
    device,
    unless,
    Defaults,
    Device,
    Scoped, //
};
use crate::abstractions::rcu;
use crate::bindings;
use crate::format::{
    Hex,
    Text,
    Value, //
};
use crate::sockets::sock::{
    ipv6,
    Sock,
    View, //
};
use core::net::IpAddr;
use core::ops::Deref;
use core::ptr::NonNull;

/// A full IPv6 socket.
///
/// # Invariants
///
/// `ptr` points to the `struct ipv6_pinfo` of the socket, which is part of its allocation. The
/// objects that this structure points to belong to the socket, too. On older kernels, neither is
/// true of the child of a v4-mapped connection for a moment. [`Sock::ipv6`] therefore makes no view
/// of such a child.
#[derive(Clone, Copy)]
pub(crate) struct Ipv6<'b> {
    pub(super) sk: Sock<'b>,
    pub(super) ptr: NonNull<bindings::ipv6_pinfo>,
}

impl<'b> Deref for Ipv6<'b> {
    type Target = Sock<'b>;

    fn deref(&self) -> &Sock<'b> {
        &self.sk
    }
}

// SAFETY: By the type invariant, `ptr` points to a `struct ipv6_pinfo` in the allocation of the
// socket. The socket stays in a locked bucket, hence alive, as long as its view `sk` lives.
unsafe impl View<bindings::ipv6_pinfo> for Ipv6<'_> {
    fn as_ptr(&self) -> *const bindings::ipv6_pinfo {
        self.ptr.as_ptr()
    }
}

// SAFETY: `sk` is a view of the socket. It points to a live `struct sock_common` as long as `sk`
// and this value live.
unsafe impl View<bindings::sock_common> for Ipv6<'_> {
    fn as_ptr(&self) -> *const bindings::sock_common {
        self.sk.as_ptr()
    }
}

/// Declares options that are an extension header each. An option is shown if the header is set. Its
/// contents are not shown.
macro_rules! headers {
    ($($(#[$meta:meta])* $name:ident: $field:ident;)*) => {$(
        $(#[$meta])*
        pub(crate) fn $name(&self) -> Option<bool> {
            let _guard = rcu::Guard::new();
            let options = NonNull::new(get!(self, ipv6_pinfo.opt))?;
            let ptr = options.as_ptr();
            // SAFETY: This is a read section of RCU, which began before `opt` was read.
            // `txopt_put()` frees the options by RCU.
            let header = unsafe { read_once!(ptr, ipv6_txoptions.$field) };
            (!header.is_null()).then_some(true)
        }
    )*};
}

impl<'b> Ipv6<'b> {
    /// `inet_flags`, with a bit for each `INET_FLAGS_` flag.
    pub(crate) fn inet_flags(&self) -> u64 {
        // SAFETY: By the type invariant, the socket is alive, and `ipv6()` has checked that it is an
        // IPv6 socket that owns what lies behind `pinet6`.
        unsafe { bindings::inet_flags(self.sk.as_ptr(), true) }
    }

    /// Whether a flag is set: `inet6_test_bit()`.
    fn inet_flag(&self, flag: u32) -> bool {
        self.inet_flags() >> flag & 1 == 1
    }

    /// The `inet_flags` of a fresh socket, for the options of this level.
    pub(crate) const DEFAULT_FLAGS: u64 =
        1 << bindings::INET_FLAGS_MC6_LOOP | 1 << bindings::INET_FLAGS_MC6_ALL;

    /// IPV6_AUTOFLOWLABEL, if it was set.
    pub(crate) fn autoflowlabel(&self) -> Option<bool> {
        self.inet_flag(bindings::INET_FLAGS_AUTOFLOWLABEL_SET)
            .then(|| self.inet_flag(bindings::INET_FLAGS_AUTOFLOWLABEL))
    }

    /// IPV6_V6ONLY. A socket that is bound to `::` always shows it, because there it tells whether the
    /// socket also receives IPv4. Any other socket shows it unless it has the default. bind(2) to an
    /// IPv6 address sets the option, see `__inet6_bind()`.
    pub(crate) fn v6only(&self, defaults: &Defaults) -> Option<bool> {
        let v6only = get!(self, sock_common.skc_ipv6only) != 0;
        let IpAddr::V6(address) = self.local().0 else {
            return None;
        };
        if address.is_unspecified() {
            return Some(v6only);
        }
        let set_by_bind =
            address.to_ipv4_mapped().is_none() && self.user_locked(bindings::SOCK_BINDADDR_LOCK);
        unless(defaults.v6only || set_by_bind, v6only)
    }

    /// IPV6_TCLASS, unless it is 0 or, on TCP, has only the kernel's bits for ECN.
    pub(crate) fn tclass(&self) -> Option<Hex> {
        self.traffic_class(get!(self, ipv6_pinfo.tclass))
    }

    /// IPV6_MULTICAST_IF by name. getsockopt(2) returns the number.
    pub(crate) fn multicast_if(&self) -> Option<Device> {
        device(get!(self, ipv6_pinfo.mcast_oif))
    }

    /// IPV6_UNICAST_IF by name. getsockopt(2) returns the number in network byte order.
    pub(crate) fn unicast_if(&self) -> Option<Device> {
        device(get!(self, ipv6_pinfo.ucast_oif))
    }

    /// IPV6_ADDR_PREFERENCES, if the process set any. As in getsockopt(2), flags also stand for the
    /// preferences that it did not set.
    pub(crate) fn addr_preferences(&self) -> Option<Hex> {
        let set = u32::from(unless(0, get!(self, ipv6_pinfo.srcprefs))?);
        let public = if set & bindings::IPV6_PREFER_SRC_TMP != 0 {
            bindings::IPV6_PREFER_SRC_TMP
        } else if set & bindings::IPV6_PREFER_SRC_PUBLIC != 0 {
            bindings::IPV6_PREFER_SRC_PUBLIC
        } else {
            bindings::IPV6_PREFER_SRC_PUBTMP_DEFAULT
        };
        let home = if set & bindings::IPV6_PREFER_SRC_COA != 0 {
            bindings::IPV6_PREFER_SRC_COA
        } else {
            bindings::IPV6_PREFER_SRC_HOME
        };
        Some(Hex(public | home))
    }

    /// IPV6_ADD_MEMBERSHIP: the multicast groups of the socket, each with its interface.
    pub(crate) fn memberships(&self) -> Option<Groups6<'b>> {
        Some(Groups6(*self))
    }

    headers! {
        /// IPV6_HOPOPTS.
        hopopts: hopopt;
        /// IPV6_RTHDRDSTOPTS.
        rthdrdstopts: dst0opt;
        /// IPV6_RTHDR.
        rthdr: srcrt;
        /// IPV6_DSTOPTS.
        dstopts: dst1opt;
    }
}

/// The value of IPV6_ADD_MEMBERSHIP: `ff02::fb%eth0`.
pub(crate) struct Groups6<'b>(Ipv6<'b>);

impl Value for Groups6<'_> {
    fn write(self, text: &mut Text<'_>) {
        let _guard = rcu::Guard::new();
        let mut next = get!(&self.0, ipv6_pinfo.ipv6_mc_list);
        let groups = core::iter::from_fn(|| {
            let entry = NonNull::new(next)?.as_ptr();
            // SAFETY: This is a read section of RCU, which began before the list was entered.
            // `ipv6_sock_mc_drop()` and `__ipv6_sock_mc_close()` free the entries of the list by
            // RCU.
            let (group, index) = unsafe {
                next = read_once!(entry, ipv6_mc_socklist.next);
                (
                    read_once!(entry, ipv6_mc_socklist.addr),
                    read_once!(entry, ipv6_mc_socklist.ifindex),
                )
            };
            Some(Scoped {
                address: ipv6(group),
                device: device(index),
            })
        });
        write_groups(text, groups);
    }
}
