// SPDX-License-Identifier: GPL-2.0

//! Addresses and prefixes, with or without a port.

use crate::model::row::Endpoint;
use crate::source::files::Family;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// The endpoint of a connection, as a filter describes it. What is `None` may be anything.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Host {
    pub family: Option<Family>,
    /// The addresses, one of which must match.
    pub prefixes: Option<Vec<Prefix>>,
    pub port: Option<u16>,
}

impl Host {
    /// Whether an endpoint of a socket of this family matches.
    pub fn matches(&self, family: Family, endpoint: &Endpoint<'_>) -> bool {
        let is_one = |prefixes: &Vec<Prefix>| {
            let mut prefixes = prefixes.iter();
            prefixes.any(|prefix| prefix.contains(endpoint.address))
        };
        self.port.is_none_or(|port| port == endpoint.port)
            && self.family.is_none_or(|only| only == family)
            && self.prefixes.as_ref().is_none_or(is_one)
    }
}

/// The addresses whose first `len` bits are those of `address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub address: IpAddr,
    pub len: u8,
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        let len = if address.is_ipv4() { 32 } else { 128 };
        Self { address, len }
    }
}

impl Prefix {
    /// Parses an address with or without a length or an IPv4 mask. As in ss, the last parts of an
    /// IPv4 address may be missing: `10/8`.
    pub fn parse(text: &str) -> Option<Self> {
        // As in ss, the brackets may include the length.
        let inner = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let text = inner.filter(|inner| inner.contains('/')).unwrap_or(text);
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = match address.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?.parse().ok()?,
            None => address.parse().ok().or_else(|| abbreviated(address))?,
        };
        let max = if address.is_ipv4() { 32 } else { 128 };
        let len = match len {
            Some(len) if max == 32 && len.contains('.') => mask_len(len)?,
            Some(len) => decimal(len).filter(|len| *len <= max)?,
            None => max,
        };
        Some(Self { address, len })
    }

    /// Whether an address is in the prefix. As in ss, an IPv4 prefix includes IPv4-mapped
    /// addresses, and an IPv6 prefix does not include IPv4 addresses.
    pub fn contains(self, address: IpAddr) -> bool {
        // The number of bits from the first that differs to the end.
        let differing = match (address, self.address) {
            (IpAddr::V4(address), IpAddr::V4(net)) => {
                32 - (address.to_bits() ^ net.to_bits()).leading_zeros()
            }
            (IpAddr::V6(address), IpAddr::V6(net)) => {
                128 - (address.to_bits() ^ net.to_bits()).leading_zeros()
            }
            (IpAddr::V6(address), IpAddr::V4(_)) => {
                return address
                    .to_ipv4_mapped()
                    .is_some_and(|address| self.contains(address.into()));
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => return false,
        };
        let bits = if self.address.is_ipv4() { 32 } else { 128 };
        differing <= bits - u32::from(self.len)
    }

    /// Whether one of the two prefixes contains the other.
    pub fn overlaps(self, other: Self) -> bool {
        self.address.is_ipv4() == other.address.is_ipv4()
            && (self.contains(other.address) || other.contains(self.address))
    }
}

/// The number of leading ones of a mask, if all other bits are 0.
fn mask_len(text: &str) -> Option<u8> {
    let mask: Ipv4Addr = text.parse().ok()?;
    let len = mask.to_bits().leading_ones();
    let is_mask = len == mask.to_bits().count_ones();
    is_mask.then(|| len.try_into().ok())?
}

/// A number in decimal. A leading 0 would make it octal in ss and in inet_aton(3).
pub fn decimal<T: FromStr>(text: &str) -> Option<T> {
    let is_decimal = text == "0" || !text.starts_with('0');
    let is_number = is_decimal && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// An IPv4 address whose last parts are missing and 0.
fn abbreviated(text: &str) -> Option<IpAddr> {
    let mut bytes = [0; 4];
    let mut parts = text.split('.');
    for byte in &mut bytes {
        let Some(part) = parts.next() else {
            break;
        };
        *byte = decimal(part)?;
    }
    parts.next().is_none().then(|| bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn abbreviations() {
        for (text, whole) in [
            ("10/8", "10.0.0.0/8"),
            ("193.233.7/24", "193.233.7.0/24"),
            ("10", "10.0.0.0"),
            ("10.1", "10.1.0.0"),
            ("10/255.0.0.0", "10.0.0.0/8"),
            ("192.0.2.0/255.255.255.252", "192.0.2.0/30"),
            ("192.0.2.0/0.0.0.0", "192.0.2.0/0"),
        ] {
            let whole = Prefix::parse(whole);
            assert!(whole.is_some() && Prefix::parse(text) == whole, "{text}");
        }
        for wrong in [
            "",
            "10.",
            ".10",
            "1.2.3.4.5",
            "256",
            "+1",
            "10/33",
            "a",
            "1..2",
            "[10]",
            "10/255.0.255.0",
            "10/255.0",
            "::/255.0.0.0",
        ] {
            assert_eq!(Prefix::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn overlaps() {
        let prefix = |text| Prefix::parse(text).unwrap();
        for (a, b, expected) in [
            ("224.0.0.0/4", "224.0.0.251", true),
            ("224.0.0.0/4", "0.0.0.0/0", true),
            ("224.0.0.0/4", "10.0.0.0/8", false),
            ("ff00::/8", "224.0.0.251", false),
        ] {
            assert_eq!(prefix(a).overlaps(prefix(b)), expected, "{a} {b}");
            assert_eq!(prefix(b).overlaps(prefix(a)), expected, "{a} {b}");
        }
    }

    proptest! {
        /// Prefixes agree with masks computed by the standard library.
        #[test]
        fn prefixes(address: u32, net: u32, len in 0..=32u8) {
            let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
            let expected = address & mask == net & mask;
            let v4 = |bits: u32| IpAddr::from(std::net::Ipv4Addr::from(bits));
            prop_assert_eq!((Prefix { address: v4(net), len }).contains(v4(address)), expected);
            // An address that differs only after the prefix is in it.
            let inside = v4(net ^ (address & !mask));
            prop_assert_eq!((Prefix { address: v4(net), len }).contains(inside), true);
        }
    }
}
