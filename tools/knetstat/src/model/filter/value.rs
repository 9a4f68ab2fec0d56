// SPDX-License-Identifier: GPL-2.0

//! The values that a filter compares options with. They are compared by their meaning, not as text:
//! an address may be written in any way, and a number in any unit.

use crate::model::filter::error::Rejected;
use crate::model::filter::flags::Flags;
use crate::model::filter::host::Prefix;
use crate::model::filter::interface::resolve;
use crate::model::filter::op::Op;
use crate::model::filter::protocol::{check_congestion_control, Protocol};
use crate::model::filter::scope::Scope;
use crate::model::options::{self, Answer, Info, Kind, Unset, UNSIGNED};
use crate::model::quantity::{in_words, range, Scale};
use crate::model::truth::{Reason, Truth};
use crate::source::text::is_name;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A value, as a person types it.
#[derive(Debug, PartialEq, Eq)]
pub enum Pattern {
    /// A number in the base unit of its scale, and the factor from a row's unit to it.
    Number {
        base: i128,
        factor: i128,
        /// Whether a row may show an `unsigned int` as an `int`; see [`Info::is_unsigned`].
        is_unsigned: bool,
    },
    /// A flag that is on, whatever its number, or off.
    Switch(bool),
    /// The bits of a mask that count, and their value.
    Masked {
        value: u64,
        mask: u64,
    },
    Name(String),
    /// An upper layer protocol, with or without parameters.
    Protocol(Protocol),
    /// Flags that are all set.
    Flags(Flags),
    Interface(String),
    Ports(u16, u16),
    /// Addresses that are all in the list, each with or without its interface.
    Addresses(Vec<Address>),
}

/// An address or a prefix, with or without an interface.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// `None` is any address.
    prefix: Option<Prefix>,
    interface: Option<String>,
}

/// The words for flags that are on or off.
const SWITCHES: [(&str, bool); 8] = [
    ("on", true),
    ("off", false),
    ("yes", true),
    ("no", false),
    ("true", true),
    ("false", false),
    ("enabled", true),
    ("disabled", false),
];

/// The names of the differentiated services code points: RFC 2474, 2597, 3246, 5865 and 8622.
const CODE_POINTS: [(&str, u64); 25] = [
    ("cs0", 0),
    ("default", 0),
    ("le", 1),
    ("cs1", 8),
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("cs2", 16),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("cs3", 24),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("cs4", 32),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("cs5", 40),
    ("va", 44),
    ("voice-admit", 44),
    ("ef", 46),
    ("cs6", 48),
    ("cs7", 56),
];

/// The mask of a number without one.
const ALL: u64 = u64::MAX;

/// The bits of the TOS field that are the code point. ECN uses the others.
const CODE_POINT: u64 = 0xfc;

/// The begin of the entry that counts the groups that a list lacks.
const MORE: &str = "more:";

impl Pattern {
    /// Parses a value of an option that is not compared: interfaces need not exist.
    ///
    /// # Errors
    ///
    /// If the text cannot be a value of this option.
    pub fn parse(info: &Info, text: &str) -> Result<Self, Rejected> {
        Self::parse_in(None, info, text)
    }

    /// Parses a value of an option of sockets in these network namespaces.
    ///
    /// # Errors
    ///
    /// If the text cannot be a value of this option there.
    pub fn parse_for(scope: Scope, info: &Info, text: &str) -> Result<Self, Rejected> {
        Self::parse_in(Some(scope), info, text)
    }

    fn parse_in(scope: Option<Scope>, info: &Info, text: &str) -> Result<Self, Rejected> {
        let parsed = match info.kind {
            Kind::Flag => flag(info, text),
            Kind::Mask => masked(info, text),
            Kind::TrafficClass => code_point(text).or_else(|| masked(info, text)),
            Kind::Name if info.name == "TCP_ULP" => {
                return Protocol::parse(text).map(Self::Protocol);
            }
            Kind::Name => {
                check_congestion_control(text)?;
                Some(Self::Name(text.to_owned()))
            }
            Kind::Flags => return Flags::parse(info, text).map(Self::Flags),
            Kind::Interface => return resolve(scope, text).map(Self::Interface),
            Kind::Ports => ports(text),
            Kind::Address | Kind::Groups => return addresses(scope, info, text),
            _ => {
                let scale = Scale::of(info.kind);
                let base = scale.parse(text);
                let base = base.filter(|base| is_in_range(info, *base));
                base.map(|base| Self::Number {
                    base: unsigned(info.is_unsigned(), base, scale.factor),
                    factor: scale.factor,
                    is_unsigned: info.is_unsigned(),
                })
            }
        };
        parsed.ok_or_else(|| Rejected::new(info, text))
    }

    /// Whether a value that a row shows meets a comparison.
    pub fn test(&self, op: Op, shown: &str) -> Truth {
        let is_same = match self {
            Self::Number {
                base,
                factor,
                is_unsigned,
            } => {
                let number = options::number(shown).and_then(|n| n.checked_mul(*factor));
                let number = number.map(|number| unsigned(*is_unsigned, number, *factor));
                return match number {
                    Some(number) => op.holds(number.cmp(base)).into(),
                    None => Truth::unknown(Reason::Undisclosed),
                };
            }
            Self::Switch(is_on) => {
                return match options::number(shown) {
                    Some(number) => op.holds((number != 0).cmp(is_on)).into(),
                    None => Truth::unknown(Reason::Undisclosed),
                };
            }
            Self::Masked { value, mask } => {
                let number = options::number(shown).and_then(|n| u64::try_from(n).ok());
                return match number {
                    Some(number) => op.holds((number & mask).cmp(value)).into(),
                    None => Truth::unknown(Reason::Undisclosed),
                };
            }
            Self::Protocol(protocol) => protocol.is_in(shown).into(),
            Self::Flags(flags) => match flags.are_in(shown) {
                Some(are_set) => are_set.into(),
                None => Truth::unknown(Reason::Undisclosed),
            },
            Self::Name(name) | Self::Interface(name) => is_name(shown, name).into(),
            Self::Ports(low, high) => (options::ports(shown) == Some((*low, *high))).into(),
            Self::Addresses(addresses) => addresses.iter().fold(Truth::True, |all, address| {
                all.and(|| address.is_in_list(shown))
            }),
        };
        match op {
            Op::Ne => !is_same,
            _ => is_same,
        }
    }

    /// Like [`Pattern::test`], for a TOS field or traffic class of a TCP socket. The kernel changes its
    /// ECN bits, so they count only if a mask names them.
    pub fn test_without_ecn(&self, op: Op, shown: &str) -> Truth {
        let Self::Masked { value, mask: ALL } = self else {
            return self.test(op, shown);
        };
        let is_equality = matches!(op, Op::Eq | Op::Ne);
        Self::Masked {
            // The order is that of what was typed: no value without these bits is at least 1.
            value: if is_equality {
                value & CODE_POINT
            } else {
                *value
            },
            mask: CODE_POINT,
        }
        .test(op, shown)
    }

    /// Whether an option without a value meets a comparison. The only value that it may equal is
    /// the one that setsockopt(2) takes for none, or getsockopt(2) returns for it.
    pub fn test_nothing(&self, op: Op, info: &Info) -> Truth {
        let is_none = match self {
            Self::Number { base: 0, .. } => matches!(
                info.unset,
                Unset::Asked {
                    answer: Answer::Time
                }
            ),
            Self::Name(name) | Self::Interface(name) => name.is_empty(),
            Self::Protocol(protocol) => protocol.is_none(),
            Self::Flags(flags) => flags.is_none(),
            Self::Ports(low, high) => (*low, *high) == (0, 0),
            Self::Addresses(addresses) => *addresses == [Address::NONE],
            Self::Number { .. } | Self::Switch(_) | Self::Masked { .. } => false,
        };
        match op {
            Op::Eq => is_none.into(),
            Op::Ne => (!is_none).into(),
            _ => Truth::False,
        }
    }
}

impl Rejected {
    fn new(info: &Info, text: &str) -> Self {
        let name = info.name;
        let hint = match info.kind {
            Kind::Flag => {
                let values: Vec<_> = flag_values(info).map(|n| n.to_string()).collect();
                format!("expected: {}, on or off", values.join(", "))
            }
            _ if is_out_of_range(info, text) => {
                let is_mask = matches!(info.kind, Kind::Mask | Kind::TrafficClass);
                let or_mask = if is_mask { ", and a mask up to it" } else { "" };
                format!("expected: {}{or_mask}", in_words(&range(info), info.kind))
            }
            Kind::Mask | Kind::TrafficClass if is_outside_of_mask(text) => {
                "expected: a number or a number and a mask, which must have all bits of the number"
                    .to_owned()
            }
            Kind::Mask => {
                "expected: a number or a number and a mask, such as 0x10 or 0x10/0xf0".to_owned()
            }
            Kind::TrafficClass => {
                "expected: a code point such as ef, af11 or cs5, or a number and \
                a mask, such as 0xb8 or 0xb8/0xfc"
                    .to_owned()
            }
            Kind::Ports => {
                "expected: two ports up to 65535, the lower one first, such as 40000-40100"
                    .to_owned()
            }
            Kind::Name | Kind::Flags | Kind::Interface | Kind::Address | Kind::Groups => {
                String::new()
            }
            kind => format!(
                "expected: {name} = {}, for example {}",
                info.value,
                Scale::of(kind).examples
            ),
        };
        Self {
            what: format!("{text:?} is not a value of {name}"),
            hint,
        }
    }
}

/// The values that a flag can have.
fn flag_values(info: &Info) -> impl Iterator<Item = i128> + '_ {
    let highest = info.value.split('|').filter_map(|n| n.parse().ok()).max();
    0..=highest.unwrap_or(1).max(1)
}

fn flag(info: &Info, text: &str) -> Option<Pattern> {
    let mut switches = SWITCHES.iter();
    let switch = switches.find(|(word, _)| word.eq_ignore_ascii_case(text));
    if let Some((_, is_on)) = switch {
        return Some(Pattern::Switch(*is_on));
    }
    let n = options::number(text).filter(|n| text.parse() == Ok(*n) || text.starts_with("0x"))?;
    flag_values(info)
        .any(|value| value == n)
        .then_some(Pattern::Number {
            base: n,
            factor: 1,
            is_unsigned: false,
        })
}

/// The number that the kernel keeps if it `is_unsigned`. The factor is that from a row's unit.
fn unsigned(is_unsigned: bool, base: i128, factor: i128) -> i128 {
    match is_unsigned && base < 0 {
        true => base + UNSIGNED * factor,
        false => base,
    }
}

/// Whether an option can have a number, which is in the base unit of its scale.
fn is_in_range(info: &Info, base: i128) -> bool {
    let factor = Scale::of(info.kind).factor;
    let range = range(info);
    (range.start() * factor..=range.end() * factor).contains(&base)
}

/// Whether a text is a number, or a number and its mask, but not one that the option can have.
fn is_out_of_range(info: &Info, text: &str) -> bool {
    let has_mask = matches!(info.kind, Kind::Mask | Kind::TrafficClass);
    let parts = text.split('/').take(if has_mask { 2 } else { 1 });
    let mut numbers = parts.filter_map(|part| Scale::of(info.kind).parse(part));
    info.kind != Kind::Flag && info.kind.is_number() && numbers.any(|base| !is_in_range(info, base))
}

/// A number and its mask.
fn value_and_mask(text: &str) -> Option<(u64, u64)> {
    let number = |text| Scale::COUNT.parse(text).and_then(|n| u64::try_from(n).ok());
    Some(match text.split_once('/') {
        Some((value, mask)) => (number(value)?, number(mask)?),
        None => (number(text)?, ALL),
    })
}

/// Whether bits of the number are not in the mask. It then equals nothing.
fn is_outside_of_mask(text: &str) -> bool {
    value_and_mask(text).is_some_and(|(value, mask)| value & mask != value)
}

fn masked(info: &Info, text: &str) -> Option<Pattern> {
    let (value, mask) = value_and_mask(text)?;
    let is_possible = value & mask == value && !is_out_of_range(info, text);
    is_possible.then_some(Pattern::Masked { value, mask })
}

fn code_point(text: &str) -> Option<Pattern> {
    let mut named = CODE_POINTS.iter();
    let (_, point) = named.find(|(name, _)| name.eq_ignore_ascii_case(text))?;
    Some(Pattern::Masked {
        value: point << 2,
        mask: CODE_POINT,
    })
}

/// The ports of a range, as the kernel takes them: 0 stands for the limit of the namespace.
fn ports(text: &str) -> Option<Pattern> {
    let (low, high) = options::ports(text)?;
    (low == 0 || high == 0 || low <= high).then_some(Pattern::Ports(low, high))
}

/// The prefix that contains all addresses which the option can have.
fn range_of(info: &Info) -> Prefix {
    let prefix = |address, len| Prefix { address, len };
    match (info.kind, info.level) {
        (Kind::Groups, "IPPROTO_IP") => prefix(Ipv4Addr::new(224, 0, 0, 0).into(), 4),
        (Kind::Groups, _) => prefix(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0).into(), 8),
        _ => prefix(Ipv4Addr::UNSPECIFIED.into(), 0),
    }
}

/// Parses one address or group. `None` if it is not one of this range.
fn address(scope: Option<Scope>, range: Prefix, typed: &str) -> Option<Result<Address, Rejected>> {
    let (typed, interface) = match typed.split_once('%') {
        Some((_, "" | "0")) => return None,
        Some((typed, name)) => (typed, Some(name)),
        None => (typed, None),
    };
    let prefix = match typed {
        "" | "*" => None,
        typed => Some(Prefix::parse(typed)?),
    };
    let is_possible = prefix.is_none_or(|prefix| range.overlaps(prefix));
    if !is_possible || (prefix.is_none() && interface.is_none()) {
        return None;
    }
    let interface = interface.map(|name| resolve(scope, name)).transpose();
    Some(interface.map(|interface| Address { prefix, interface }))
}

/// The groups of a list that a person typed. The name of an interface may contain a `+`, too: it
/// ends the group only if another one follows. In a row, the `+` of a name is escaped.
fn groups(range: Prefix, text: &str) -> Vec<&str> {
    let is_group = |text: &str| {
        let end = text.find(['%', '+']).unwrap_or(text.len());
        let prefix = Prefix::parse(&text[..end]);
        text.starts_with(['%', '*']) || prefix.is_some_and(|prefix| range.overlaps(prefix))
    };
    let mut groups = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices('+') {
        if !text[begin..at].contains('%') || is_group(&text[at + 1..]) {
            groups.push(&text[begin..at]);
            begin = at + 1;
        }
    }
    groups.push(&text[begin..]);
    groups
}

fn addresses(scope: Option<Scope>, info: &Info, text: &str) -> Result<Pattern, Rejected> {
    let range = range_of(info);
    let typed = match info.kind {
        Kind::Groups => groups(range, text),
        _ => vec![text],
    };
    let addresses = typed.iter().map(|typed| address(scope, range, typed));
    let addresses: Option<Vec<_>> = addresses.collect();
    let Some(addresses) = addresses else {
        let (what, example) = match (info.kind, range.address) {
            (Kind::Groups, IpAddr::V4(_)) => ("an IPv4 multicast group", "224.0.0.251"),
            (Kind::Groups, IpAddr::V6(_)) => ("an IPv6 multicast group", "ff02::fb"),
            _ => ("an IPv4 address", "192.0.2.1"),
        };
        let len = if range.address.is_ipv4() { 24 } else { 16 };
        return Err(Rejected {
            what: format!("{text:?} is not {what}"),
            hint: format!(
                "for example: {example}, {example}%eth0, %eth0 or the prefix {example}/{len}"
            ),
        });
    };
    let addresses = addresses.into_iter().collect::<Result<_, _>>();
    addresses.map(Pattern::Addresses)
}

impl Address {
    /// The address of IP_MULTICAST_IF that is not set.
    const NONE: Self = Self {
        prefix: Some(Prefix {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            len: 32,
        }),
        interface: None,
    };

    /// Whether a list of addresses contains this one. A list that is cut may contain it.
    fn is_in_list(&self, list: &str) -> Truth {
        let mut is_cut = false;
        for (address, interface) in options::addresses(list) {
            is_cut |= address.starts_with(MORE);
            let is_there = match (&self.interface, interface) {
                (None, _) => true,
                (Some(name), Some(shown)) => is_name(shown, name),
                (Some(_), None) => false,
            };
            let is_in_prefix = |address| self.prefix.is_none_or(|prefix| prefix.contains(address));
            if is_there && address.parse().is_ok_and(is_in_prefix) {
                return Truth::True;
            }
        }
        match is_cut {
            true => Truth::unknown(Reason::Cut),
            false => Truth::False,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::options::by_name;
    use proptest::prelude::*;

    const EQ: Op = Op::Eq;

    fn parse(name: &str, typed: &str) -> Result<Pattern, Rejected> {
        // The interfaces of these tests need not exist.
        Pattern::parse_for(Scope::All, by_name(name).unwrap(), typed)
    }

    fn test(name: &str, op: Op, typed: &str, shown: &str) -> Truth {
        let pattern = parse(name, typed);
        pattern
            .unwrap_or_else(|err| panic!("{err:?}"))
            .test(op, shown)
    }

    #[test]
    fn values_are_compared_as_what_they_are() {
        let groups = "224.0.0.251%eth0+239.2.0.1%a|b+239.2.0.2%if9";
        // The module escapes `+` in names.
        let odd = r"224.0.0.251%a\x2bb+239.2.0.1%a\x2b10+224.0.0.1%c\x2b+224.0.0.2%x\x2b224.0.0.9";
        let groups6 = "ff02::fb%lo";
        for (name, typed, shown, expected) in [
            ("TCP_NODELAY", "on", "1", true),
            ("TCP_NODELAY", "0x1", "1", true),
            ("SO_REUSEADDR", "2", "2", true),
            ("SO_REUSEADDR", "1", "2", false),
            ("SO_REUSEADDR", "on", "2", true),
            ("SO_REUSEADDR", "off", "2", false),
            ("SO_REUSEADDR", "off", "0", true),
            ("TCP_SAVE_SYN", "Yes", "2", true),
            ("TCP_SAVE_SYN", "no", "1", false),
            ("IP_MULTICAST_LOOP", "off", "0", true),
            ("TCP_KEEPIDLE", "1min", "60", true),
            ("TCP_KEEPIDLE", "59999ms", "59", false),
            ("SO_RCVTIMEO", "2s", "2000ms", true),
            ("SO_LINGER", "0s", "0s", true),
            ("SO_RCVBUF", "64k", "65536", true),
            ("SO_MAX_PACING_RATE", "10mbit", "1250000", true),
            ("SO_MARK", "0x10/0xf0", "0x1f", true),
            ("SO_MARK", "16/240", "0x2f", false),
            ("SO_MARK", "0x1f", "0x1f", true),
            ("IP_TOS", "ef", "0xb8", true),
            ("IP_TOS", "EF", "0xb9", true),
            ("IP_TOS", "0xb8", "0xb9", false),
            ("IPV6_TCLASS", "af11", "0x28", true),
            ("IPV6_TCLASS", "cs5", "0x28", false),
            ("TCP_ULP", "tls", "tls|version:1.3", true),
            ("TCP_ULP", "tls|version:1.3", "tls|version:1.3", true),
            (
                "TCP_ULP",
                "tls|version:1.3",
                "tls|version:1.3|cipher:aes-gcm-128|rxconf:sw|txconf:sw",
                true,
            ),
            ("TCP_CONGESTION", "bbr", "bbr", true),
            ("TCP_CONGESTION", "a", "a|b", false),
            ("TCP_CONGESTION", r"a\x2cb", r"a\x2cb", true),
            ("TCP_ULP", "version:1.3", "tls|version:1.3", false),
            ("SO_BINDTODEVICE", "eth0", "eth0|x", false),
            ("SO_BINDTODEVICE", "eth0|x", "eth0|x", true),
            ("SO_BINDTODEVICE", "größe", r"gr\xc3\xb6\xc3\x9fe", true),
            ("SO_BINDTODEVICE", r"a\x2cb", r"a\x2cb", true),
            ("SO_BINDTODEVICE", "a,b", r"a\x2cb", true),
            (
                "SO_TXTIME",
                "deadline_mode",
                "CLOCK_TAI|DEADLINE_MODE",
                true,
            ),
            ("SO_TXTIME", "CLOCK_7", "CLOCK_7", true),
            (
                "SO_TIMESTAMPING",
                "SOF_TIMESTAMPING_SOFTWARE",
                "RX_SOFTWARE|SOFTWARE",
                true,
            ),
            (
                "SO_TIMESTAMPING",
                "SOFTWARE|RX_SOFTWARE",
                "RX_SOFTWARE|SOFTWARE",
                true,
            ),
            ("SO_TIMESTAMPING", "SOFTWARE", "RX_SOFTWARE", false),
            ("IP_LOCAL_PORT_RANGE", "40000-40100", "40000-40100", true),
            ("IP_LOCAL_PORT_RANGE", "40000-40101", "40000-40100", false),
            ("IP_MULTICAST_IF", "10.0.0.1", "10.0.0.1%eth0", true),
            ("IP_MULTICAST_IF", "%eth0", "0.0.0.0%eth0", true),
            ("IP_MULTICAST_IF", "%eth1", "0.0.0.0%eth0", false),
            ("IP_ADD_MEMBERSHIP", "224.0.0.251", groups, true),
            ("IP_ADD_MEMBERSHIP", "224.0.0.251%eth0", groups, true),
            ("IP_ADD_MEMBERSHIP", "224.0.0.251%eth1", groups, false),
            ("IP_ADD_MEMBERSHIP", "224.0.0.25", groups, false),
            ("IP_ADD_MEMBERSHIP", "239/8", groups, true),
            ("IP_ADD_MEMBERSHIP", "239.3.0.0/16", groups, false),
            ("IP_ADD_MEMBERSHIP", "239.2.0.1%a|b", groups, true),
            ("IP_ADD_MEMBERSHIP", "239.2.0.2+224.0.0.251", groups, true),
            ("IP_ADD_MEMBERSHIP", "239.2.0.2+224.0.0.252", groups, false),
            ("IP_ADD_MEMBERSHIP", "%if9", groups, true),
            ("IP_ADD_MEMBERSHIP", "224.0.0.251%a+b", odd, true),
            ("IP_ADD_MEMBERSHIP", "224.0.0.251%a", odd, false),
            ("IP_ADD_MEMBERSHIP", "%a+b+%a+10", odd, true),
            ("IP_ADD_MEMBERSHIP", "239.2.0.1%a+10+224/8%a+b", odd, true),
            ("IP_ADD_MEMBERSHIP", "%a+b+*%c+", odd, true),
            ("IP_ADD_MEMBERSHIP", "%a+b+239.2.0.2", odd, false),
            ("IP_ADD_MEMBERSHIP", r"%x\x2b224.0.0.9", odd, true),
            ("IP_ADD_MEMBERSHIP", "%x+224.0.0.9", odd, false),
            ("IP_ADD_MEMBERSHIP", "224.0.0.9", odd, false),
            ("IP_MULTICAST_IF", "10.0.0.1%a+1", r"10.0.0.1%a\x2b1", true),
            (
                "IPV6_ADD_MEMBERSHIP",
                "FF02:0:0:0:0:0:0:00fb",
                groups6,
                true,
            ),
            ("IPV6_ADD_MEMBERSHIP", "ff02::/16", groups6, true),
            ("IPV6_ADD_MEMBERSHIP", "ff05::/16", groups6, false),
        ] {
            let info = format!("{name}={typed} on {shown}");
            assert_eq!(test(name, EQ, typed, shown), expected.into(), "{info}");
            assert_eq!(
                test(name, Op::Ne, typed, shown),
                (!expected).into(),
                "{info}"
            );
        }
        assert!(test("TCP_KEEPIDLE", Op::Gt, "59999ms", "60").is_true());
        assert!(!test("TCP_KEEPIDLE", Op::Ge, "60001ms", "60").is_true());
        assert!(test("TCP_SAVE_SYN", Op::Ge, "on", "2").is_true());
        assert!(!test("TCP_SAVE_SYN", Op::Gt, "on", "2").is_true());
        // An `unsigned int`, which rows show as an `int`. The highest is no limit.
        for name in ["TCP_NOTSENT_LOWAT", "TCP_TX_DELAY"] {
            for shown in ["-1", "4294967295"] {
                for typed in ["-1", "4294967295"] {
                    assert!(test(name, EQ, typed, shown).is_true(), "{name} {shown}");
                    assert!(!test(name, Op::Ne, typed, shown).is_true());
                }
                assert!(test(name, Op::Gt, "1000", shown).is_true());
                assert!(!test(name, Op::Lt, "1000", shown).is_true());
            }
        }
        // Others have a sign.
        assert!(test("TCP_LINGER2", Op::Lt, "0", "-1").is_true());
        // A newer module may show a value that this version cannot parse.
        let odd = Truth::unknown(Reason::Undisclosed);
        assert_eq!(test("TCP_KEEPIDLE", EQ, "60", "forever"), odd);
    }

    /// The last two bits are those of ECN (RFC 3168), which the kernel sets on TCP sockets.
    #[test]
    fn traffic_classes_on_tcp() {
        for (typed, op, shown, expected) in [
            ("0xb8", EQ, "0xba", true),
            ("0xb8", EQ, "0xb8", true),
            ("0xb9", EQ, "0xba", true),
            ("0xb8", EQ, "0xbc", false),
            ("0xb8", Op::Ne, "0xbb", false),
            ("0xb8", Op::Gt, "0xbb", false),
            ("0xb8", Op::Ge, "0xbb", true),
            ("0", EQ, "0x2", true),
            ("1", Op::Ge, "0x0", false),
            ("1", Op::Lt, "0x2", true),
            ("ef", EQ, "0xba", true),
            // A mask says which bits count.
            ("0x2/0x3", EQ, "0xba", true),
            ("0x1/0x3", EQ, "0xba", false),
            ("0xb8/0xff", EQ, "0xba", false),
        ] {
            for name in ["IP_TOS", "IPV6_TCLASS"] {
                let pattern = parse(name, typed).unwrap();
                let found = pattern.test_without_ecn(op, shown);
                assert_eq!(found, expected.into(), "{typed} {op:?} {shown}");
            }
        }
    }

    #[test]
    fn lists_that_are_cut() {
        let cut = "239.2.0.1%lo+239.2.0.2%lo+more:36";
        let unknown = Truth::unknown(Reason::Cut);
        for (typed, expected) in [
            ("239.2.0.1", Truth::True),
            ("224.0.0.251", unknown),
            ("239.2.0.1+224.0.0.251", unknown),
            ("224.0.0.0/4", Truth::True),
        ] {
            assert_eq!(
                test("IP_ADD_MEMBERSHIP", EQ, typed, cut),
                expected,
                "{typed}"
            );
            assert_eq!(
                test("IP_ADD_MEMBERSHIP", Op::Ne, typed, cut),
                !expected,
                "{typed}"
            );
        }
    }

    #[test]
    fn interfaces_of_this_namespace() {
        for (name, typed, shown) in [
            ("SO_BINDTODEVICE", "1", "lo"),
            ("SO_BINDTODEVICE", "4294967295", "if4294967295"),
            ("IPV6_UNICAST_IF", "lo", "lo"),
            ("IP_MULTICAST_IF", "%1", "0.0.0.0%lo"),
            ("IP_ADD_MEMBERSHIP", "224.0.0.251%1", "224.0.0.251%lo"),
            (
                "IP_ADD_MEMBERSHIP",
                "%if4294967295",
                "224.0.0.1%if4294967295",
            ),
        ] {
            let info = by_name(name).unwrap();
            let pattern = Pattern::parse_for(Scope::Own, info, typed).unwrap();
            assert_eq!(pattern.test(EQ, shown), Truth::True, "{name}={typed}");
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for (name, typed, hint) in [
            ("TCP_NODELAY", "5", "expected: 0, 1, on or off"),
            ("TCP_NODELAY", "1ms", "expected: 0, 1, on or off"),
            ("SO_REUSEADDR", "3", "expected: 0, 1, 2, on or off"),
            (
                "SO_RCVBUF",
                "1s",
                "expected: SO_RCVBUF = bytes, for example 64k",
            ),
            ("SO_MARK", "x", "expected: a number or a number and a mask"),
            (
                "SO_MARK",
                "0x1f/0xf0",
                "expected: a number or a number and a mask",
            ),
            (
                "SO_MARK",
                "-1",
                "expected: a number from 0 to 0xffffffff, and a mask",
            ),
            ("SO_MARK", "0x1ffffffff", "expected: a number from 0 to 0x"),
            (
                "SO_MARK",
                "0/0x100000000",
                "expected: a number from 0 to 0x",
            ),
            ("IP_TOS", "0x1ff", "expected: a number from 0 to 0xff, and"),
            ("IP_TOS", "0xb8/0x1ff", "expected: a number from 0 to 0xff,"),
            ("IP_TTL", "300", "expected: a number from -1 to 255"),
            ("IP_TTL", "-2", "expected: a number from -1 to 255"),
            ("IP_MINTTL", "-1", "expected: a number from 0 to 255"),
            ("TCP_KEEPCNT", "256", "expected: a number from 0 to 255"),
            ("SO_RCVBUF", "2G", "expected: 0 to 2147483647 bytes"),
            ("SO_RCVBUF", "-1", "expected: 0 to 2147483647 bytes"),
            ("TCP_KEEPIDLE", "-1s", "expected: 0 to 2147483647 s"),
            ("SO_RCVTIMEO", "-1ms", "expected: 0 to 18446744073709551615"),
            (
                "SO_MAX_PACING_RATE",
                "0xfffffffffffffffff",
                "expected: SO_MAX_PACING_RATE = rate, for example",
            ),
            ("IP_TOS", "expedited", "expected: a code point"),
            (
                "TCP_ULP",
                "sixteen-or-more!",
                "expected: a name of at most 15",
            ),
            (
                "TCP_CONGESTION",
                "sixteen-or-more!",
                "expected: a name of at most 15",
            ),
            ("TCP_CONGESTION", "", "expected: a name, because every TCP"),
            (
                "TCP_CONGESTION",
                "cubic,bbr",
                "for several names: ( TCP_CONGESTION=cubic or TCP_CONGESTION=bbr )",
            ),
            (
                "TCP_CONGESTION",
                "cubic|bbr",
                "for several names: ( TCP_CONGESTION=cubic or TCP_CONGESTION=bbr )",
            ),
            ("TCP_CONGESTION", "cubic bbr", "for several names: ( TCP"),
            ("TCP_CONGESTION", ",", "expected: one name"),
            ("TCP_CONGESTION", "BBR", ""),
            (
                "SO_BINDTODEVICE",
                "sixteen-or-more!",
                "expected: a name of at most 15",
            ),
            ("IP_ADD_MEMBERSHIP", "%0", "for example: 224.0.0.251"),
            ("IP_LOCAL_PORT_RANGE", "40000", "expected: two ports"),
            (
                "IP_LOCAL_PORT_RANGE",
                "0-65536",
                "expected: two ports up to 65535",
            ),
            (
                "IP_LOCAL_PORT_RANGE",
                "5-4",
                "expected: two ports up to 65535",
            ),
            (
                "IP_LOCAL_PORT_RANGE",
                "+4-5",
                "expected: two ports up to 65535",
            ),
            ("SO_TXTIME", "DEADLINE", "expected: CLOCK_REALTIME"),
            ("IP_MULTICAST_IF", "fe80::1", "for example: 192.0.2.1,"),
            (
                "IP_ADD_MEMBERSHIP",
                "nonsense",
                "for example: 224.0.0.251, 224.0.0.251%eth0",
            ),
            ("IP_ADD_MEMBERSHIP", "ff02::fb", "for example: 224.0.0.251"),
            ("IP_ADD_MEMBERSHIP", "10.0.0.1", "for example: 224.0.0.251"),
            ("IP_ADD_MEMBERSHIP", "", "for example: 224.0.0.251"),
            (
                "IP_ADD_MEMBERSHIP",
                "224.0.0.251+",
                "for example: 224.0.0.251",
            ),
            ("IP_MULTICAST_IF", "10.0.0.1+10.0.0.2", "for example: 192"),
            ("IP_ADD_MEMBERSHIP", "%", "for example: 224.0.0.251"),
            (
                "IPV6_ADD_MEMBERSHIP",
                "224.0.0.251",
                "for example: ff02::fb",
            ),
        ] {
            let rejected = parse(name, typed).expect_err(typed);
            assert!(
                rejected.what.contains(&format!("{typed:?}")),
                "{rejected:?}"
            );
            assert!(rejected.hint.starts_with(hint), "{rejected:?}");
        }
    }

    #[test]
    fn nothing() {
        let of = |name: &str, op, typed| {
            let info = by_name(name).unwrap();
            parse(name, typed).unwrap().test_nothing(op, info)
        };
        assert_eq!(of("SO_RCVTIMEO", EQ, "0"), Truth::True);
        assert_eq!(of("SO_RCVTIMEO", Op::Ne, "2s"), Truth::True);
        assert_eq!(of("SO_RCVTIMEO", Op::Lt, "2s"), Truth::False);
        // A linger time of 0 resets the connection, which is not the default.
        assert_eq!(of("SO_LINGER", EQ, "0"), Truth::False);
        assert_eq!(of("SO_BINDTODEVICE", EQ, ""), Truth::True);
        assert_eq!(of("TCP_ULP", EQ, ""), Truth::True);
        assert_eq!(of("TCP_ULP", EQ, "tls"), Truth::False);
        assert_eq!(of("SO_BINDTODEVICE", Op::Ne, "lo"), Truth::True);
        // getsockopt(2) returns these for a fresh socket.
        for (name, none) in [
            ("SO_SNDTIMEO", "0"),
            ("SO_TIMESTAMPING", "0"),
            ("SO_TIMESTAMPING", "0x0"),
            ("SO_TXTIME", "0"),
            ("IP_MULTICAST_IF", "0.0.0.0"),
            ("IP_LOCAL_PORT_RANGE", "0-0"),
            ("SO_BINDTODEVICE", "0"),
            ("IP_UNICAST_IF", "0"),
        ] {
            assert_eq!(of(name, EQ, none), Truth::True, "{name}={none}");
            assert_eq!(of(name, Op::Ne, none), Truth::False, "{name}!={none}");
        }
        for (name, value) in [
            ("SO_TIMESTAMPING", "SOFTWARE"),
            ("SO_TIMESTAMPING", "bind_phc:0"),
            ("SO_TXTIME", "CLOCK_REALTIME"),
            ("IP_MULTICAST_IF", "10.0.0.1"),
            ("IP_MULTICAST_IF", "0.0.0.0/0"),
            ("IP_MULTICAST_IF", "0.0.0.0%lo"),
            ("IP_LOCAL_PORT_RANGE", "0-1"),
        ] {
            assert_eq!(of(name, EQ, value), Truth::False, "{name}={value}");
            assert_eq!(of(name, Op::Ne, value), Truth::True, "{name}!={value}");
        }
        assert_eq!(of("IP_ADD_MEMBERSHIP", EQ, "224/4"), Truth::False);
        assert_eq!(of("IP_ADD_MEMBERSHIP", Op::Ne, "224/4"), Truth::True);
    }

    proptest! {
        #[test]
        fn any_text(text: String, shown: String) {
            for info in options::all() {
                if let Ok(pattern) = Pattern::parse(info, &text) {
                    prop_assert_eq!(pattern.test(Op::Ne, &shown), !pattern.test(EQ, &shown));
                }
            }
        }

        /// A number of a row is accepted as it is, and equals itself. Others are rejected.
        #[test]
        fn any_number(n in prop_oneof![any::<i64>(), -2_i64..70_000]) {
            for info in options::all().iter().filter(|info| info.kind != Kind::Flag) {
                let shown = match info.value {
                    "nms" => format!("{n}ms"),
                    "ns" => format!("{n}s"),
                    "hexadecimal" if n >= 0 => format!("{n:#x}"),
                    _ => n.to_string(),
                };
                match range(info).contains(&n.into()) {
                    _ if !info.kind.is_number() => {}
                    true => prop_assert_eq!(test(info.name, EQ, &shown, &shown), Truth::True),
                    false => prop_assert!(parse(info.name, &shown).is_err()),
                }
            }
        }
    }
}
