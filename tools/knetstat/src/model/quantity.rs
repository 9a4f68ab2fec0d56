// SPDX-License-Identifier: GPL-2.0

//! Numbers with units, as people type them: `64k`, `1.5s`, `10mbit`.

use crate::model::options::{number, Info, Kind};
use std::ops::RangeInclusive;

/// A suffix and its factor, in the base unit of a kind.
type Unit = (&'static str, i128);

/// Base unit: nanosecond.
const TIMES: [Unit; 12] = [
    ("us", 1_000),
    ("usec", 1_000),
    ("ms", 1_000_000),
    ("msec", 1_000_000),
    ("s", 1_000_000_000),
    ("sec", 1_000_000_000),
    ("m", 60_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("hour", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("day", 86_400_000_000_000),
];

/// Base unit: byte. As in ss and tc, these are powers of 1024.
const SIZES: [Unit; 13] = [
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1 << 10),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1 << 20),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1 << 30),
    ("gib", 1 << 30),
    ("t", 1 << 40),
    ("tb", 1 << 40),
    ("tib", 1 << 40),
];

/// Base unit: bit per second. As in ss and tc, these are powers of 1000.
const RATES: [Unit; 9] = [
    ("k", 8_000),
    ("m", 8_000_000),
    ("g", 8_000_000_000),
    ("t", 8_000_000_000_000),
    ("bit", 1),
    ("kbit", 1_000),
    ("mbit", 1_000_000),
    ("gbit", 1_000_000_000),
    ("tbit", 1_000_000_000_000),
];

/// Base unit: one.
const COUNTS: [Unit; 3] = [("k", 1_000), ("m", 1_000_000), ("g", 1_000_000_000)];

/// The scale of the numbers of a kind: the units that people can type, and the factor from the unit
/// of a row to the base unit.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    units: &'static [Unit],
    pub factor: i128,
    /// The units as an error lists them.
    pub examples: &'static str,
}

impl Scale {
    /// The scale of sizes in bytes.
    pub const BYTES: Self = Self {
        units: &SIZES,
        factor: 1,
        examples: "64k, 1M, 2G",
    };

    /// The scale of plain numbers.
    pub const COUNT: Self = Self {
        units: &COUNTS,
        factor: 1,
        examples: "10, 10k",
    };

    const fn time(factor: i128) -> Self {
        Self {
            units: &TIMES,
            factor,
            examples: "500ms, 1.5s, 2min, 1h",
        }
    }

    /// The scale of a kind of numbers.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Bytes => Self::BYTES,
            Kind::BytesPerSecond => Self {
                units: &RATES,
                factor: 8,
                examples: "1M, 10mbit",
            },
            Kind::Microseconds => Self::time(1_000),
            Kind::Milliseconds => Self::time(1_000_000),
            Kind::Seconds => Self::time(1_000_000_000),
            _ => Self::COUNT,
        }
    }

    /// A typed number in the base unit. Without a unit, it is in the unit of rows.
    pub fn parse(self, text: &str) -> Option<i128> {
        if text.starts_with("0x") {
            return number(text)?.checked_mul(self.factor);
        }
        let (is_negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (digits, unit) = rest.split_at(end.unwrap_or(rest.len()));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || digits.ends_with('.') || fraction.contains('.') {
            return None;
        }
        // ss takes a number that begins with 0 for an octal one.
        if whole.len() > 1 && whole.starts_with('0') {
            return None;
        }
        let factor = match unit.trim_start() {
            "" => self.factor,
            unit => {
                let mut units = self.units.iter();
                units.find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1
            }
        };
        let scaled = format!("{whole}{fraction}").parse::<i128>().ok()?;
        let scaled = scaled.checked_mul(factor)?;
        let divisor = 10_i128.checked_pow(fraction.len().try_into().ok()?)?;
        // No row shows a fraction of the base unit.
        let base = (scaled % divisor == 0).then_some(scaled / divisor)?;
        Some(if is_negative { -base } else { base })
    }
}

/// The numbers of a C type.
const INT: RangeInclusive<i128> = i32::MIN as i128..=i32::MAX as i128;
const POSITIVE_INT: RangeInclusive<i128> = 0..=i32::MAX as i128;
const UNSIGNED: RangeInclusive<i128> = 0..=u32::MAX as i128;
const U8: RangeInclusive<i128> = 0..=u8::MAX as i128;
const U16: RangeInclusive<i128> = 0..=u16::MAX as i128;

/// The numbers that an option can have, in the unit of rows: those that setsockopt(2) takes and
/// those that a row or getsockopt(2) may show.
pub fn range(info: &Info) -> RangeInclusive<i128> {
    match (info.name, info.kind, info.value) {
        // -1 is a value of its own: the kernel's choice, or none.
        ("IP_TTL" | "IP_MULTICAST_TTL" | "IPV6_UNICAST_HOPS" | "IPV6_MULTICAST_HOPS", ..) => {
            -1..=u8::MAX.into()
        }
        ("TCP_LINGER2", ..) => -1..=i32::MAX.into(),
        // The kernel takes any `int`.
        ("SO_PRIORITY" | "SO_PEEK_OFF" | "SO_INCOMING_CPU" | "SO_LINGER", ..) => INT,
        // An `int` of the process, or the `unsigned int` of the sysctl.
        // Kernels that do not check TCP_TX_DELAY store any `int` without its sign.
        _ if info.is_unsigned() => *INT.start()..=*UNSIGNED.end(),
        // `IP_PMTUDISC_OMIT` is the last.
        ("IP_MTU_DISCOVER" | "IPV6_MTU_DISCOVER", ..) => 0..=5,
        ("UDP_SEGMENT", ..) | (_, _, "packets") => U16,
        (_, Kind::TrafficClass, _) | (_, _, "number" | "probes") => U8,
        (_, Kind::Mask, _) => UNSIGNED,
        (_, Kind::BytesPerSecond, _) => 0..=u64::MAX.into(),
        // A `struct timeval`.
        (_, Kind::Milliseconds, "nms") => 0..=u64::MAX.into(),
        _ => POSITIVE_INT,
    }
}

/// A range of numbers, for errors.
pub fn in_words(range: &RangeInclusive<i128>, kind: Kind) -> String {
    let (low, high) = (range.start(), range.end());
    match kind {
        Kind::Mask | Kind::TrafficClass => format!("a number from {low} to {high:#x}"),
        Kind::Bytes => format!("{low} to {high} bytes"),
        Kind::BytesPerSecond => format!("{low} to {high} bytes per second"),
        Kind::Microseconds => format!("{low} to {high} us"),
        Kind::Milliseconds => format!("{low} to {high} ms"),
        Kind::Seconds => format!("{low} to {high} s"),
        _ => format!("a number from {low} to {high}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::options::{all, by_name, Sockets, Unset};
    use proptest::prelude::*;
    use rustix::net::{socket, AddressFamily, SocketType};
    use std::os::fd::AsRawFd;

    #[test]
    fn what_people_type() {
        for (kind, text, in_rows) in [
            (Kind::Bytes, "64k", 65_536),
            (Kind::Bytes, "64K", 65_536),
            (Kind::Bytes, "1.5MiB", 1_572_864),
            (Kind::Bytes, "2G", 2_147_483_648),
            (Kind::Bytes, "4096", 4096),
            (Kind::Bytes, "0x10", 16),
            (Kind::BytesPerSecond, "10mbit", 1_250_000),
            (Kind::BytesPerSecond, "1M", 1_000_000),
            (Kind::Seconds, "2min", 120),
            (Kind::Seconds, "1h", 3600),
            (Kind::Seconds, "-1", -1),
            (Kind::Seconds, "60000ms", 60),
            (Kind::Milliseconds, "1.5s", 1500),
            (Kind::Milliseconds, "0.5 s", 500),
            (Kind::Microseconds, "2ms", 2000),
            (Kind::Count, "10k", 10_000),
            (Kind::Mask, "0x2a", 42),
        ] {
            let scale = Scale::of(kind);
            let expected = Some(in_rows * scale.factor);
            assert_eq!(scale.parse(text), expected, "{kind:?} {text}");
        }
        let scale = Scale::of(Kind::Seconds);
        let (below, above) = (scale.parse("59999ms"), scale.parse("60001ms"));
        assert!(below < Some(60 * scale.factor) && above > Some(60 * scale.factor));
    }

    #[test]
    fn what_is_no_number() {
        for (kind, text) in [
            (Kind::Bytes, ""),
            (Kind::Bytes, "k"),
            (Kind::Bytes, "1s"),
            (Kind::Bytes, "1.5"),
            (Kind::Bytes, "1..5k"),
            (Kind::Bytes, "1.k"),
            (Kind::Bytes, "+1"),
            (Kind::Bytes, "--1"),
            (Kind::Bytes, "1 2"),
            (Kind::Bytes, "0x"),
            (Kind::Bytes, "010"),
            (Kind::Mask, "010"),
            (Kind::Seconds, "-01"),
            (Kind::Bytes, "0x-1"),
            (Kind::Seconds, "1M1"),
            (Kind::Seconds, "0.0000000001s"),
            (Kind::Count, "5ms"),
            (Kind::Count, "٣"),
        ] {
            assert_eq!(Scale::of(kind).parse(text), None, "{kind:?} {text}");
        }
    }

    /// Sets an option of a fresh socket. Returns whether the kernel takes the number, or `None` if no
    /// socket can be created.
    fn is_taken(info: &Info, number: i32) -> Option<bool> {
        let domain = match info.level {
            "IPPROTO_IPV6" => AddressFamily::INET6,
            _ => AddressFamily::INET,
        };
        let is_of_tcp = info.sockets.iter().any(|sockets| {
            matches!(
                sockets,
                Sockets::Any | Sockets::Tcp | Sockets::Listener | Sockets::Inet6
            )
        });
        let kind = match is_of_tcp {
            true => SocketType::STREAM,
            false => SocketType::DGRAM,
        };
        let socket = socket(domain, kind, None).ok()?;
        // SAFETY: The pointer is to an `i32`, which lives through the call, and the length is its
        // size.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                info.level_number,
                info.number,
                (&raw const number).cast(),
                size_of::<i32>() as u32,
            )
        };
        Some(result == 0)
    }

    /// No number outside of the range is one that this kernel takes.
    #[test]
    fn ranges_of_this_kernel() {
        let mut taken = 0;
        for info in all() {
            // The kernel takes any `int` for these, and keeps a number within the range.
            let is_limited = matches!(
                info.name,
                "SO_RCVBUF"
                    | "SO_SNDBUF"
                    | "SO_RCVLOWAT"
                    | "SO_MARK"
                    | "SO_MAX_PACING_RATE"
                    | "TCP_DEFER_ACCEPT"
                    | "TCP_LINGER2"
                    | "TCP_WINDOW_CLAMP"
                    | "IP_TOS"
                    | "IPV6_MTU"
                    | "IPV6_TCLASS"
            );
            if is_limited || !info.kind.is_number() || info.kind == Kind::Flag {
                continue;
            }
            for number in [-2, -1, 0, 1, 5, 6, 255, 256, 65_535, 65_536, i32::MAX] {
                let is_taken = is_taken(info, number);
                taken += usize::from(is_taken == Some(true));
                if !range(info).contains(&number.into()) {
                    assert_ne!(is_taken, Some(true), "{}={number}", info.name);
                }
            }
        }
        assert!(taken > 100, "only {taken} numbers were taken");
    }

    #[test]
    fn ranges() {
        for (name, low, high) in [
            ("IP_TTL", -1, 255),
            ("IPV6_UNICAST_HOPS", -1, 255),
            ("IP_TOS", 0, 255),
            ("SO_MARK", 0, 4_294_967_295),
            ("SO_PEEK_OFF", -2_147_483_648, 2_147_483_647),
            ("SO_RCVBUF", 0, 2_147_483_647),
            ("TCP_KEEPCNT", 0, 255),
            ("SO_MAX_PACING_RATE", 0, 18_446_744_073_709_551_615),
        ] {
            assert_eq!(range(by_name(name).unwrap()), low..=high, "{name}");
        }
        // A filter can name each default.
        for info in all().iter().filter(|info| info.kind.is_number()) {
            if let Unset::Value(text) = info.unset {
                let default = number(text).unwrap();
                assert!(range(info).contains(&default), "{}", info.name);
            }
        }
    }

    proptest! {
        #[test]
        fn any_text(text: String) {
            for kind in [Kind::Bytes, Kind::Seconds, Kind::Count, Kind::BytesPerSecond] {
                let _ = Scale::of(kind).parse(&text);
            }
        }

        #[test]
        fn any_number(n: i64) {
            for kind in [Kind::Bytes, Kind::Seconds, Kind::Count] {
                let scale = Scale::of(kind);
                prop_assert_eq!(scale.parse(&n.to_string()), Some(i128::from(n) * scale.factor));
            }
        }
    }
}
