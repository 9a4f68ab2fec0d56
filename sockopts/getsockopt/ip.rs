// SPDX-License-Identifier: GPL-2.0

//! IPPROTO_IP: `do_ip_getsockopt()` in `net/ipv4/ip_sockglue.c`.

#[cfg(CONFIG_IPV6)]
use super::Ipv6;
use super::{
    device,
    unless,
    Device,
    Scoped, //
};
use crate::abstractions::rcu;
use crate::bindings;
use crate::format::{
    Hex,
    Range,
    Text,
    Value, //
};
use crate::sockets::sock::{
    ipv4,
    Sock,
    View, //
};
use core::net::{
    IpAddr,
    Ipv4Addr, //
};
use core::ptr::NonNull;

/// The largest number of multicast groups in a list. The others are counted.
const MAX_GROUPS: usize = 1024;

/// The largest number of other groups that are counted: this is done with a bucket locked.
const MAX_COUNTED: usize = 4096;

impl<'b> Sock<'b> {
    /// `inet_flags`, with a bit for each `INET_FLAGS_` flag. Those of IPv6 are in [`Ipv6::inet_flags`].
    pub(crate) fn inet_flags(&self) -> u64 {
        // SAFETY: `View` promises that the pointer is to a live `struct inet_sock`.
        unsafe { bindings::inet_flags(self.as_ptr(), false) }
    }

    /// Whether a flag is set: `inet_test_bit()`.
    pub(super) fn inet_flag(&self, flag: u32) -> bool {
        self.inet_flags() >> flag & 1 == 1
    }

    /// The `inet_flags` of a fresh socket, for the options of this level. `inet_create()` sets
    /// IP_MULTICAST_ALL, `inet6_create()` does not.
    pub(crate) fn default_inet_flags(&self) -> u64 {
        1 << bindings::INET_FLAGS_MC_LOOP
            | u64::from(!self.is_inet6()) << bindings::INET_FLAGS_MC_ALL
    }

    /// A type of service or traffic class, if the process set it. On TCP, the last two bits are the
    /// kernel's, for ECN, and setsockopt(2) does not change them.
    pub(super) fn traffic_class(&self, class: u8) -> Option<Hex> {
        let is_tcp = self.inet_flag(bindings::INET_FLAGS_IS_ICSK);
        let ecn = if is_tcp { bindings::INET_ECN_MASK } else { 0 };
        let class = u32::from(class);
        (class & !ecn != 0).then_some(Hex(class))
    }

    /// IP_TOS, unless it is 0 or, on TCP, has only the kernel's bits for ECN.
    pub(crate) fn ip_tos(&self) -> Option<Hex> {
        self.traffic_class(get!(self, inet_sock.tos))
    }

    /// IP_OPTIONS, if there are any. Their contents are not shown.
    pub(crate) fn ip_options(&self) -> Option<bool> {
        let _guard = rcu::Guard::new();
        let options = NonNull::new(get!(self, inet_sock.inet_opt))?;
        let ptr = options.as_ptr();
        // SAFETY: This is a read section of RCU, which began before `inet_opt` was read.
        // `do_ip_setsockopt()` frees the options by RCU. `inet_sock_destruct()` frees them, too,
        // but only after the socket has left the locked bucket.
        let length = unsafe { read_once!(ptr, ip_options_rcu.opt.optlen) };
        (length != 0).then_some(true)
    }

    /// IP_UNICAST_IF by name. getsockopt(2) returns the number in network byte order.
    pub(crate) fn ip_unicast_if(&self) -> Option<Device> {
        device(get!(self, inet_sock.uc_index))
    }

    /// IP_MULTICAST_IF: the address, and the interface, which getsockopt(2) leaves out.
    pub(crate) fn ip_multicast_if(&self) -> Option<Scoped> {
        let address = ipv4(get!(self, inet_sock.mc_addr));
        let device = device(get!(self, inet_sock.mc_index));
        (device.is_some() || address != IpAddr::V4(Ipv4Addr::UNSPECIFIED))
            .then_some(Scoped { address, device })
    }

    /// IP_LOCAL_PORT_RANGE. getsockopt(2) returns both ends in one number.
    #[allow(dead_code, reason = "not every kernel has every option")]
    pub(crate) fn ip_local_port_range(&self) -> Option<Range> {
        let range = unless(0, get!(self, inet_sock.local_port_range))?;
        Some(Range {
            first: range as u16,
            last: (range >> 16) as u16,
        })
    }

    /// IP_ADD_MEMBERSHIP: the multicast groups of the socket, each with its interface.
    pub(crate) fn ip_memberships(&self) -> Option<Groups4<'b>> {
        Some(Groups4(*self))
    }

    /// The view of the fields that IPv6 adds.
    #[cfg(CONFIG_IPV6)]
    pub(crate) fn ipv6(&self) -> Option<Ipv6<'b>> {
        if !self.is_inet6() {
            return None;
        }
        // SAFETY: By the type invariant, the socket is alive. It is an IPv6 socket, as checked
        // above.
        if !unsafe { bindings::owns_pinet6(self.as_ptr()) } {
            return None;
        }
        // IPV6_ADDRFORM turns the socket into an IPv4 socket, but leaves the pointer as it is. The
        // structure is part of the socket.
        let ptr = NonNull::new(get!(self, inet_sock.pinet6))?;
        // INVARIANT: The structure lies in the same allocation as the socket: `inet6_sk_generic()`.
        // A child that still points to the structure of its listener was left out above.
        Some(Ipv6 { sk: *self, ptr })
    }
}

/// Writes a list of groups, joined by `+`. Groups beyond [`MAX_GROUPS`] are only counted, up to
/// [`MAX_COUNTED`]: `more:36`.
pub(super) fn write_groups(text: &mut Text<'_>, mut groups: impl Iterator<Item = Scoped>) {
    for (i, group) in groups.by_ref().take(MAX_GROUPS).enumerate() {
        if i > 0 {
            text.str("+");
        }
        group.write(text);
    }
    let more = groups.take(MAX_COUNTED).count();
    if more > 0 {
        text.str("+more:");
        text.unsigned(more as u64);
    }
}

/// The value of IP_ADD_MEMBERSHIP: `224.0.0.251%eth0+224.0.1.1%eth1`.
pub(crate) struct Groups4<'b>(Sock<'b>);

impl Value for Groups4<'_> {
    fn write(self, text: &mut Text<'_>) {
        let _guard = rcu::Guard::new();
        let mut next = get!(&self.0, inet_sock.mc_list);
        let groups = core::iter::from_fn(|| {
            let entry = NonNull::new(next)?.as_ptr();
            // SAFETY: This is a read section of RCU, which began before the list was entered.
            // `ip_mc_leave_group()` and `ip_mc_drop_socket()` free the entries of the list by RCU.
            let (group, index) = unsafe {
                next = read_once!(entry, ip_mc_socklist.next_rcu);
                (
                    read_once!(entry, ip_mc_socklist.multi.imr_multiaddr.s_addr),
                    read_once!(entry, ip_mc_socklist.multi.imr_ifindex),
                )
            };
            Some(Scoped {
                address: ipv4(group),
                device: device(index),
            })
        });
        write_groups(text, groups);
    }
}
