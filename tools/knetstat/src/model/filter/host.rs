// SPDX-License-Identifier: GPL-2.0

//! Addresses and prefixes, with or without a port.

use crate::model::row::Endpoint;
use std::net::{IpAddr, Ipv6Addr};

/// An address with a prefix, and a port. Either may be missing.
#[derive(Debug, PartialEq, Eq)]
pub struct Host {
    pub prefix: Option<(IpAddr, u8)>,
    pub port: Option<u16>,
}

/// Parses an address with an optional prefix. `Some(None)` is any address.
#[allow(
    clippy::option_option,
    reason = "an error and any address are two different results"
)]
pub fn prefix(text: &str) -> Option<Option<(IpAddr, u8)>> {
    if text.is_empty() || text == "*" {
        return Some(None);
    }
    let (address, len) = match text.split_once('/') {
        Some((address, len)) => (address, Some(len)),
        None => (text, None),
    };
    let address: IpAddr = match address.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.into(),
        None => address.parse().ok()?,
    };
    let max = if address.is_ipv4() { 32 } else { 128 };
    let len = match len {
        Some(len) => len.parse().ok().filter(|len| *len <= max)?,
        None => max,
    };
    Some(Some((address, len)))
}

impl Host {
    pub fn matches(&self, endpoint: &Endpoint<'_>) -> bool {
        self.port.is_none_or(|port| port == endpoint.port)
            && self
                .prefix
                .is_none_or(|(net, len)| is_in(endpoint.address, net, len))
    }
}

/// Whether an address is in a prefix. As in ss, an IPv4 prefix includes IPv4-mapped addresses, and
/// an IPv6 prefix does not include IPv4 addresses.
fn is_in(address: IpAddr, net: IpAddr, len: u8) -> bool {
    // The number of bits from the first that differs to the end.
    let differing = match (address, net) {
        (IpAddr::V4(address), IpAddr::V4(net)) => {
            32 - (address.to_bits() ^ net.to_bits()).leading_zeros()
        }
        (IpAddr::V6(address), IpAddr::V6(net)) => {
            128 - (address.to_bits() ^ net.to_bits()).leading_zeros()
        }
        (IpAddr::V6(address), IpAddr::V4(_)) => {
            return address
                .to_ipv4_mapped()
                .is_some_and(|address| is_in(address.into(), net, len));
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => return false,
    };
    let bits = if net.is_ipv4() { 32 } else { 128 };
    differing <= bits - u32::from(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Prefixes agree with masks computed by the standard library.
        #[test]
        fn prefixes(address: u32, net: u32, len in 0..=32u8) {
            let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
            let expected = address & mask == net & mask;
            let v4 = |bits: u32| IpAddr::from(std::net::Ipv4Addr::from(bits));
            prop_assert_eq!(is_in(v4(address), v4(net), len), expected);
            // An address that differs only after the prefix is in it.
            prop_assert!(is_in(v4(net ^ (address & !mask)), v4(net), len));
        }
    }
}
