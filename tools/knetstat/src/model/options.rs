// SPDX-License-Identifier: GPL-2.0

//! The options: facts about each, and their values as numbers.

use crate::model::row::{Row, State};
use crate::model::similar::{best, likeness};
use crate::source::files::{Family, File, Netid};
use crate::source::rights;
pub use knetstat_man::{Answer, Hidden, Kind, Sockets};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::LazyLock;

/// The source of the value of an option that a row lacks; see `man/options.txt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// The value of a fresh socket, which the kernel reports.
    Asked { answer: Answer },
    /// Always this value.
    Value(&'static str),
    /// The value of a sysctl, by its path relative to `/proc/sys`.
    Sysctl(&'static str),
    /// There is no value.
    Nothing,
    /// The value is not known.
    Unknown,
}

/// The facts about an option, from the module's table and `man/options.txt`.
#[derive(Debug)]
pub struct Info {
    /// The index in the table.
    pub index: usize,
    pub name: &'static str,
    pub level: &'static str,
    pub level_number: i32,
    /// The number at its level, as in setsockopt(2).
    pub number: i32,
    /// Other options that set the same, each with its number at the same level.
    pub also: &'static [(&'static str, i32)],
    pub kind: Kind,
    /// The description of the values, such as `seconds` or `0|1`.
    pub value: &'static str,
    /// Sentences: what it does, when it is shown, and which kernels have it.
    pub text: &'static [&'static str],
    /// The sockets whose rows can show it.
    pub sockets: &'static [Sockets],
    /// Whether the rows of these sockets always show it.
    pub is_always_shown: bool,
    /// The option without which it has no effect.
    pub needs: Option<&'static str>,
    /// Whether bind(2) to an IPv6 address changes it.
    pub is_set_by_bind: bool,
    /// Whether its value on a connected socket is unknown unless the row shows it.
    pub is_unknown_if_connected: bool,
    /// Whether the kernel changes it by itself.
    pub is_changed_by_kernel: bool,
    /// Whether it is a TOS field or a traffic class. On TCP sockets, the kernel changes its ECN bits by
    /// itself.
    pub is_traffic_class: bool,
    /// The kernels on which the module hides it from readers without CAP_NET_ADMIN.
    pub hidden: Option<Hidden>,
    /// The names of its flags.
    pub flags: &'static [&'static str],
    /// Whether the MPTCP socket may have it although its subflow does not. If the row of a subflow
    /// lacks it, the value on the MPTCP socket is unknown.
    pub is_on_mptcp_socket: bool,
    pub unset: Unset,
}

/// The number of values of an `unsigned int`.
pub const UNSIGNED: i128 = 1 << 32;

/// The table, which `build.rs` generates.
static OPTIONS: &[Info] = &include!(concat!(env!("OUT_DIR"), "/options.rs"));

/// All options, in the order of the page.
pub fn all() -> &'static [Info] {
    OPTIONS
}

/// Whether a socket of this file in this state is one of these.
pub fn is_one_of(file: File, state: State, sockets: Sockets) -> bool {
    let is_udp = file.netid == Netid::Udp;
    let is_inet6 = file.family == Family::Inet6;
    match sockets {
        Sockets::Any => true,
        Sockets::Tcp => !is_udp,
        Sockets::Listener => state == State::Listen,
        Sockets::Udp => is_udp,
        Sockets::Inet6 => is_inet6,
        Sockets::Udp6 => is_udp && is_inet6,
    }
}

impl Info {
    /// Whether the module hides it on this kernel from readers without CAP_NET_ADMIN.
    pub fn is_hidden_here(&self) -> bool {
        match self.hidden {
            None => false,
            Some(Hidden::Always) => true,
            Some(Hidden::Before(major, minor)) => rights::is_kernel_before(major, minor),
        }
    }

    /// Whether the row of such a socket can show this option.
    pub fn is_of(&self, row: &Row<'_>) -> bool {
        let mut sockets = self.sockets.iter();
        sockets.any(|sockets| is_one_of(row.file, row.state, *sockets))
    }

    /// Whether TCP connections have the option although only rows of listeners show it: the kernel
    /// writes the value of a connection.
    pub fn is_kept_from_connections(&self) -> bool {
        self.is_unknown_if_connected && self.sockets.contains(&Sockets::Listener)
    }

    /// Whether the kernel keeps the `int` of a process as an `unsigned int`: -1 is its highest number.
    pub fn is_unsigned(&self) -> bool {
        matches!(self.name, "TCP_NOTSENT_LOWAT" | "TCP_TX_DELAY")
    }

    /// A value of the option as the number that it means to the kernel.
    pub fn number(&self, value: &str) -> Option<i128> {
        number(value).map(|n| match self.is_unsigned() && n < 0 {
            true => n + UNSIGNED,
            false => n,
        })
    }

    /// Whether the option has an effect on this socket.
    pub fn has_effect(&self, row: &Row<'_>) -> bool {
        self.needs
            .is_none_or(|needed| row.options.get(needed) == Some("1"))
    }
}

/// The option of this name. Case does not matter.
pub fn find(name: &str) -> Option<&'static Info> {
    all()
        .iter()
        .find(|info| info.name.eq_ignore_ascii_case(name))
}

/// The option of exactly this name.
pub fn by_name(name: &str) -> Option<&'static Info> {
    static BY_NAME: LazyLock<HashMap<&str, &Info>> =
        LazyLock::new(|| all().iter().map(|info| (info.name, info)).collect());
    BY_NAME.get(name).copied()
}

/// Letters and digits in upper case: what all spellings of a name have in common.
pub fn squashed(text: &str) -> String {
    let kept = text.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_uppercase()).collect()
}

/// The options of this name, which may be that of another option that sets the same. Case and
/// separators do not matter, and the prefix may be missing.
pub fn find_all(name: &str) -> Vec<&'static Info> {
    let name = squashed(name);
    let in_full = |info: &&Info| squashed(info.name) == name;
    let found: Vec<_> = all().iter().filter(in_full).collect();
    if !found.is_empty() || name.is_empty() {
        return found;
    }
    let is_it = |other: &str| {
        let rest = other.split_once('_').map_or("", |(_, rest)| rest);
        squashed(other) == name || squashed(rest) == name
    };
    let is_one = |info: &&Info| {
        let mut also = info.also.iter();
        is_it(info.name) || also.any(|(other, _)| is_it(other))
    };
    all().iter().filter(is_one).collect()
}

/// At most three similar names, the most similar first.
pub fn similar(name: &str) -> Vec<&'static str> {
    let upper = name.to_ascii_uppercase();
    let of = |info: &Info| {
        let rest = info.name.split_once('_').map_or("", |(_, rest)| rest);
        likeness(&upper, info.name).max(likeness(&upper, rest))
    };
    best(all().iter().map(|info| (of(info), info.name)))
}

/// A value as a number: decimal or hexadecimal, with or without a unit.
pub fn number(value: &str) -> Option<i128> {
    if let Some(digits) = value.strip_prefix("0x") {
        // `from_str_radix` would accept a sign.
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        return is_hex.then(|| u64::from_str_radix(digits, 16).ok().map(i128::from))?;
    }
    let digits = value
        .strip_suffix("ms")
        .or(value.strip_suffix('s'))
        .unwrap_or(value);
    let is_decimal = digits.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    is_decimal.then(|| digits.parse().ok())?
}

/// The ports of a range, such as `40000-40100`.
pub fn ports(value: &str) -> Option<(u16, u16)> {
    let (low, high) = value.split_once('-')?;
    // `parse` would accept a sign.
    let is_sign = |byte: u8| !byte.is_ascii_digit();
    if [low, high].iter().any(|text| text.bytes().any(is_sign)) {
        return None;
    }
    Some((low.parse().ok()?, high.parse().ok()?))
}

/// The entries of a list of addresses or groups, each split into the address and the interface.
pub fn addresses(value: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    value.split('+').map(|entry| match entry.split_once('%') {
        Some((address, interface)) => (address, Some(interface)),
        None => (entry, None),
    })
}

/// The bits of ECN in a byte of traffic class.
const ECN: i128 = 3;

/// The value of a byte of traffic class without the bits of ECN, as a row shows it. `None` for other
/// values.
pub fn without_ecn(value: &str) -> Option<String> {
    number(value).map(|class| format!("{:#x}", class & !ECN))
}

/// The list of a row without the state that the kernel changes by itself: some options, and the ECN
/// bits of IP_TOS and IPV6_TCLASS on TCP sockets.
pub fn settings<'a>(row: &Row<'a>) -> Cow<'a, str> {
    static CHANGED_BY_KERNEL: LazyLock<Vec<&Info>> = LazyLock::new(|| {
        let is_changed = |info: &&Info| info.is_changed_by_kernel || info.is_traffic_class;
        all().iter().filter(is_changed).collect()
    });
    let is_tcp = row.file.netid == Netid::Tcp;
    let changed = |name: &str| {
        let mut changed = CHANGED_BY_KERNEL.iter();
        let info = changed.find(|info| info.name == name)?;
        (info.is_changed_by_kernel || is_tcp).then_some(*info)
    };
    if row.options.iter().all(|(name, _)| changed(name).is_none()) {
        return row.options.0.into();
    }
    let mut list = String::new();
    for (name, value) in row.options.iter() {
        let comma = if list.is_empty() { "" } else { "," };
        let _ = match (changed(name), without_ecn(value)) {
            (None, _) => write!(list, "{comma}{name}={value}"),
            (Some(info), _) if info.is_changed_by_kernel => Ok(()),
            (Some(_), Some(class)) => write!(list, "{comma}{name}={class}"),
            (Some(_), None) => write!(list, "{comma}{name}={value}"),
        };
    }
    list.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::{TCP, UDP};

    #[test]
    fn names_are_found() {
        let names = |name| {
            find_all(name)
                .iter()
                .map(|info| info.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names("TCP_NODELAY"), ["TCP_NODELAY"]);
        assert_eq!(names("nodelay"), ["TCP_NODELAY"]);
        assert_eq!(names("transparent"), ["IP_TRANSPARENT", "IPV6_TRANSPARENT"]);
        assert!(names("nodely").is_empty());
        assert_eq!(similar("nodely")[0], "TCP_NODELAY");
        assert_eq!(similar("TCP_KEEP_IDLE")[0], "TCP_KEEPIDLE");
        assert!(similar("zzz").is_empty());
    }

    #[test]
    fn settings_of_a_process() {
        for (list, expected) in [
            ("", ""),
            ("TCP_QUICKACK=0", ""),
            ("TCP_MAXSEG=536,A=1,SO_PEEK_OFF=3", "A=1"),
            ("A=1,TCP_QUICKACK=0,B=2", "A=1,B=2"),
            (
                "A=TCP_QUICKACK,TCP_QUICKACK_OF=1",
                "A=TCP_QUICKACK,TCP_QUICKACK_OF=1",
            ),
            (
                "A=1,IP_TOS=0x12,IPV6_TCLASS=0xbb",
                "A=1,IP_TOS=0x10,IPV6_TCLASS=0xb8",
            ),
            ("IP_TOS=0x10,B=1", "IP_TOS=0x10,B=1"),
        ] {
            let row = format!("0 0 1.2.3.4:5 1.2.3.4:6 ESTB {list}");
            let row = Row::parse(TCP, row.trim_end().as_bytes()).unwrap();
            assert_eq!(settings(&row), expected);
        }
        // The process sets these bits on a UDP socket.
        let row = Row::parse(UDP, b"0 0 1.2.3.4:5 1.2.3.4:6 IP_TOS=0x12,SO_PEEK_OFF=1").unwrap();
        assert_eq!(settings(&row), "IP_TOS=0x12");
        assert!(find("TCP_QUICKACK").is_some());
    }

    /// The options that are hidden are those whose line in the table looks at the reader.
    #[test]
    fn hidden_options() {
        let table = include_str!("../../../../sockopts.rs");
        let lines = table.lines().filter(|line| line.contains("cx.reader"));
        let mut of_table: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
        of_table.sort_unstable();
        let of_table: Vec<_> = of_table.iter().map(|(name, _)| name.trim()).collect();
        let hidden = all().iter().filter(|info| info.hidden.is_some());
        let mut hidden: Vec<_> = hidden.map(|info| info.name).collect();
        hidden.sort_unstable();
        assert_eq!(hidden, of_table);
        assert_eq!(find("SO_MARK").unwrap().hidden, Some(Hidden::Always));
        assert_eq!(find("TCP_ULP").unwrap().hidden, Some(Hidden::Before(6, 15)));
    }

    #[test]
    fn numbers() {
        for (text, n) in [
            ("0", 0),
            ("0xb8", 184),
            ("2000ms", 2000),
            ("5s", 5),
            ("-1", -1),
        ] {
            assert_eq!(number(text), Some(n), "{text}");
        }
        for text in [
            "", "0x", "0x-1", "ms", "--1", "+1", "1 ", "a", "cubic", "0x1ms",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
