// SPDX-License-Identifier: GPL-2.0

//! The values of socket options that are more than a field, one function for each, and the values
//! that a fresh socket has. By level, as in the kernel.
//!
//! C sources: see the files in `sockopts/getsockopt/`
//!
//! A function returns the value that getsockopt(2) would return for the socket, or `None` if the
//! option is not shown, usually because it has the value of a fresh socket. Its comment says where
//! it deviates from that. Functions do not take the lock of the socket. Each field is read once.
//! Memory that can be freed is read in a read section of RCU.

mod ip;
#[cfg(CONFIG_IPV6)]
mod ipv6;
mod socket;
mod tcp;
mod udp;

#[cfg(CONFIG_IPV6)]
pub(crate) use ipv6::Ipv6;

use crate::abstractions::ns::Net;
use crate::bindings;
use crate::format::{
    Milliseconds,
    Text,
    Value, //
};
use crate::sockets::sock::HZ;
use core::net::IpAddr;

/// `MAX_SCHEDULE_TIMEOUT`: no limit.
pub(crate) const MAX_TIMEOUT: i64 = bindings::MAX_SCHEDULE_TIMEOUT as i64;

/// `TCP_DELACK_MAX` in jiffies.
#[allow(dead_code, reason = "not every kernel has every option")]
pub(crate) const DELACK_MAX: u32 = bindings::TCP_DELACK_MAX;

/// `IPV6_PMTUDISC_WANT`, in the type of the field.
#[cfg(CONFIG_IPV6)]
pub(crate) const IPV6_PMTUDISC: u8 = bindings::IPV6_PMTUDISC_WANT as u8;

/// `IPV6_DEFAULT_MCASTHOPS`, in the type of the field.
#[cfg(CONFIG_IPV6)]
pub(crate) const IPV6_MCASTHOPS: u8 = bindings::IPV6_DEFAULT_MCASTHOPS as u8;

/// The congestion control of a namespace, by its address. The address is compared, never followed.
#[derive(Clone, Copy)]
pub(crate) struct Congestion(usize);

impl Congestion {
    /// The address as a pointer that must not be followed.
    pub(crate) fn ops(self) -> *mut bindings::tcp_congestion_ops {
        core::ptr::without_provenance_mut(self.0)
    }
}

/// The values of a fresh socket of the namespace that depend on sysctls.
#[allow(dead_code, reason = "not every kernel has every option")]
pub(crate) struct Defaults {
    pub(crate) congestion: Congestion,
    pingpong_threshold: u8,
    pub(crate) rto_max: u32,
    pub(crate) rto_min: u32,
    pub(crate) txrehash: u8,
    pub(crate) pmtudisc: u8,
    v6only: bool,
}

/// Reads a field of `struct net`.
macro_rules! sysctl {
    ($net:expr, $($field:ident).+) => {{
        let net = $net.as_ptr();
        // SAFETY: By the type invariant of `Net`, the namespace is alive.
        unsafe { read_once!(net, net.$($field).+) }
    }};
}

impl Defaults {
    /// Reads the sysctls of a namespace.
    pub(crate) fn of(net: Net<'_>) -> Self {
        let rto_max_ms = sysctl!(net, ipv4.sysctl_tcp_rto_max_ms);
        let rto_min_us = sysctl!(net, ipv4.sysctl_tcp_rto_min_us);
        Self {
            congestion: Congestion(sysctl!(net, ipv4.tcp_congestion_control).addr()),
            pingpong_threshold: sysctl!(net, ipv4.sysctl_tcp_pingpong_thresh),
            rto_max: msecs_to_jiffies(rto_max_ms as u32),
            rto_min: usecs_to_jiffies(rto_min_us as u32),
            txrehash: sysctl!(net, core.sysctl_txrehash),
            pmtudisc: if sysctl!(net, ipv4.sysctl_ip_no_pmtu_disc) != 0 {
                bindings::IP_PMTUDISC_DONT as u8
            } else {
                bindings::IP_PMTUDISC_WANT as u8
            },
            #[cfg(CONFIG_IPV6)]
            v6only: sysctl!(net, ipv6.sysctl.bindv6only) != 0,
            #[cfg(not(CONFIG_IPV6))]
            v6only: false,
        }
    }
}

/// `Some(value)` unless the option has its default.
fn unless<T: PartialEq>(default: T, value: T) -> Option<T> {
    (value != default).then_some(value)
}

/// A number as getsockopt(2) returns it, with a sign.
pub(crate) fn signed(number: u32) -> i32 {
    number as i32
}

/// Converts jiffies to seconds.
pub(crate) fn seconds(jiffies: u32) -> u32 {
    jiffies / HZ
}

/// `msecs_to_jiffies()`
fn msecs_to_jiffies(msecs: u32) -> u32 {
    // SAFETY: The function converts a number, and may be called in any context.
    unsafe { bindings::knetstat_msecs_to_jiffies(msecs) }
}

/// `usecs_to_jiffies()`
fn usecs_to_jiffies(usecs: u32) -> u32 {
    // SAFETY: The function converts a number, and may be called in any context.
    unsafe { bindings::knetstat_usecs_to_jiffies(usecs) }
}

/// `jiffies_to_msecs()`
#[allow(dead_code, reason = "not every kernel has every option")]
pub(crate) fn jiffies_to_msecs(jiffies: u32) -> u32 {
    // SAFETY: This function converts a number, and may be called in any context.
    unsafe { bindings::knetstat_jiffies_to_msecs(jiffies) }
}

/// `jiffies_to_usecs()`
#[allow(dead_code, reason = "not every kernel has every option")]
pub(crate) fn jiffies_to_usecs(jiffies: u32) -> u32 {
    // SAFETY: This function converts a number, and may be called in any context.
    unsafe { bindings::knetstat_jiffies_to_usecs(jiffies) }
}

/// The name of a network interface, up to its first zero byte. `None` if the interface no longer
/// exists or is being renamed. Takes long if there are many interfaces: must not be called with a
/// bucket locked.
pub(crate) fn interface_name(
    net: Net<'_>,
    index: u32,
) -> Option<[u8; bindings::IFNAMSIZ as usize]> {
    let mut name = [0; bindings::IFNAMSIZ as usize];
    // SAFETY: By the type invariant of `Net`, the namespace is alive. `name` has the `IFNAMSIZ`
    // bytes that the helper fills.
    let found =
        unsafe { bindings::knetstat_device_name(net.as_ptr(), index as i32, name.as_mut_ptr()) };
    found.then_some(name)
}

/// A network interface. Its name is looked up later: see [`Text::resolve`].
pub(crate) struct Device(u32);

impl Value for Device {
    fn write(self, text: &mut Text<'_>) {
        text.interface(None, self.0);
    }
}

/// An address, followed by a `%` and the interface if there is one.
pub(crate) struct Scoped {
    address: IpAddr,
    device: Option<Device>,
}

impl Value for Scoped {
    fn write(self, text: &mut Text<'_>) {
        match self.device {
            Some(Device(index)) => text.interface(Some(self.address), index),
            None => text.address(self.address),
        }
    }
}

/// The interface with this number. `None` for 0, which stands for no interface.
fn device(index: i32) -> Option<Device> {
    let index = u32::try_from(index).ok()?;
    (index != 0).then_some(Device(index))
}

/// A timeout in jiffies as `sock_get_timeout()` reports it. `None` for no limit.
fn timeout(jiffies: i64) -> Option<Milliseconds> {
    let jiffies = unless(MAX_TIMEOUT, jiffies)?;
    let jiffies = u64::try_from(jiffies).unwrap_or(0);
    let hz = u64::from(HZ);
    let seconds = jiffies / hz;
    let rest = (jiffies % hz) * 1000 / hz;
    Some(Milliseconds(
        seconds.saturating_mul(1000).saturating_add(rest),
    ))
}
