// SPDX-License-Identifier: GPL-2.0

//! What there is to know of each option: what the manual page says, and what it is on a socket
//! whose row does not have it.

use crate::model::row::{Options, Row, State};
use crate::model::similar::{best, likeness};
use crate::source::files::{Family, Netid};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::sync::LazyLock;

/// What kind of value an option has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 0 or 1, or rarely 2
    Flag,
    /// A number, which may have a unit behind it.
    Number,
    /// A name, or several.
    Text,
}

/// An option, as the manual page has it.
#[derive(Debug)]
pub struct Info {
    pub name: &'static str,
    pub level: &'static str,
    pub kind: Kind,
    /// How the value reads.
    pub value: String,
    /// What it is, when it is shown, and which kernels have it: sentences.
    pub text: Vec<String>,
}

/// Made by `build.rs`.
const MDOC: &str = include_str!(concat!(env!("OUT_DIR"), "/options.mdoc"));

static OPTIONS: LazyLock<Vec<Info>> = LazyLock::new(|| parse(MDOC));

/// All options, in the order of the page.
pub fn all() -> &'static [Info] {
    &OPTIONS
}

fn parse(mdoc: &'static str) -> Vec<Info> {
    let mut level = "";
    let mut options: Vec<Info> = Vec::new();
    for line in mdoc.lines() {
        if let Some(name) = line.strip_prefix(".Ss ") {
            level = name;
        } else if let Some((name, value)) = line
            .strip_prefix(".It Cm ")
            .and_then(|item| item.split_once(" Ns = Ns "))
        {
            options.push(Info {
                name,
                level,
                kind: kind(value),
                value: macros(value),
                text: Vec::new(),
            });
        } else if let Some(info) = options.last_mut() {
            let is_macro = line.starts_with('.');
            let line = match line.strip_prefix('.') {
                Some(rest) => macros(rest),
                None => escapes(line),
            };
            // Each sentence begins on a line of its own, which is not a macro's.
            match info.text.last_mut() {
                Some(last) if is_macro || !last.ends_with('.') => {
                    *last += " ";
                    *last += &line;
                }
                _ => info.text.push(line),
            }
        }
    }
    options
}

/// What is behind the name says what the value is.
fn kind(value: &str) -> Kind {
    if value.starts_with("Cm ") {
        return Kind::Flag;
    }
    let text = [
        "name",
        "interface",
        "group",
        "address",
        "flag",
        "clock",
        "low",
    ];
    match value
        .strip_prefix("Ar ")
        .and_then(|rest| rest.split(' ').next())
    {
        Some(word) if text.contains(&word) => Kind::Text,
        _ => Kind::Number,
    }
}

/// A line of macros as text: their names go, and the blanks before and behind `Ns` and before
/// what closes a sentence.
fn macros(line: &str) -> String {
    let mut text = String::new();
    let mut glue = true;
    let mut reference = None;
    let mut is_optional = false;
    for word in line.split(' ') {
        match word {
            "Cm" | "Ar" | "Li" | "Dv" | "Pa" => continue,
            "Xr" => {
                reference = Some(0);
                continue;
            }
            "Ns" => {
                glue = true;
                continue;
            }
            "Op" => {
                is_optional = true;
                text += if glue { "[" } else { " [" };
                glue = true;
                continue;
            }
            _ => {}
        }
        let is_end = matches!(word, "." | "," | ";" | ":" | ")");
        let word = escapes(word);
        match &mut reference {
            Some(1) => {
                let _ = write!(text, "({word})");
                reference = None;
                continue;
            }
            Some(words) => *words += 1,
            None => {}
        }
        if !glue && !is_end {
            text.push(' ');
        }
        text += &word;
        glue = false;
    }
    if is_optional {
        text.push(']');
    }
    text
}

fn escapes(text: &str) -> String {
    text.replace("\\-", "-")
        .replace("\\ex", "\\x")
        .replace("\\&", "")
}

/// The option of this name, in any case.
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

/// The options of this name, whose prefix may be missing.
pub fn find_all(name: &str) -> Vec<&'static Info> {
    if let Some(info) = find(name) {
        return vec![info];
    }
    let is_it = |info: &&Info| {
        info.name
            .split_once('_')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(name))
    };
    all().iter().filter(is_it).collect()
}

/// Names that may have been meant, best first, three at most.
pub fn similar(name: &str) -> Vec<&'static str> {
    let upper = name.to_ascii_uppercase();
    let of = |info: &Info| {
        let rest = info.name.split_once('_').map_or("", |(_, rest)| rest);
        likeness(&upper, info.name).max(likeness(&upper, rest))
    };
    best(all().iter().map(|info| (of(info), info.name)))
}

/// A value as a number: decimal or hexadecimal, with or without a unit behind it.
pub fn number(value: &str) -> Option<i128> {
    if let Some(digits) = value.strip_prefix("0x") {
        // Not a sign, which `from_str_radix` takes.
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

/// A number as somebody types it for this option: in its unit, or with another one behind it.
pub fn number_of(info: &Info, text: &str) -> Option<i128> {
    let n = number(text)?;
    let typed = if text.ends_with("ms") {
        1000
    } else if text.ends_with('s') {
        1_000_000
    } else {
        return Some(n);
    };
    let unit = match info.value.as_str() {
        "microseconds" => 1,
        "milliseconds" | "nms" => 1000,
        "seconds" | "ns" => 1_000_000,
        _ => return None,
    };
    n.checked_mul(typed).map(|n| n / unit)
}

/// What an option is on a socket that does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Number(i64),
    /// The first word of a file in `/proc/sys/net`, and what it is on kernels without that file.
    Sysctl(&'static str, Option<i64>),
    /// Of IPv4 sockets, and of IPv6 sockets.
    Families(i64, i64),
    /// No number, or not always the same: the kernel adjusts it.
    Unknown,
}
use Source::{Families, Number, Sysctl, Unknown};

/// Defaults. Flags that are not here are off.
const DEFAULTS: [(&str, Source); 46] = [
    ("TCP_KEEPIDLE", Sysctl("ipv4/tcp_keepalive_time", None)),
    ("TCP_KEEPCNT", Sysctl("ipv4/tcp_keepalive_probes", None)),
    ("TCP_KEEPINTVL", Sysctl("ipv4/tcp_keepalive_intvl", None)),
    ("TCP_USER_TIMEOUT", Number(0)),
    // Sizes grow with the connection.
    ("SO_RCVBUF", Unknown),
    ("SO_SNDBUF", Unknown),
    // Without them, calls block for ever.
    ("SO_RCVTIMEO", Unknown),
    ("SO_SNDTIMEO", Unknown),
    ("SO_LINGER", Unknown),
    ("TCP_FASTOPEN", Number(0)),
    ("TCP_DEFER_ACCEPT", Number(0)),
    ("SO_PRIORITY", Number(0)),
    ("SO_RCVLOWAT", Number(1)),
    // Not shown to everybody.
    ("SO_MARK", Unknown),
    ("SO_PEEK_OFF", Number(-1)),
    ("SO_BUSY_POLL", Sysctl("core/busy_read", None)),
    ("SO_BUSY_POLL_BUDGET", Number(0)),
    ("SO_MAX_PACING_RATE", Unknown),
    ("SO_RESERVE_MEM", Number(0)),
    ("SO_INCOMING_CPU", Number(-1)),
    ("SO_TXREHASH", Sysctl("core/txrehash", None)),
    ("TCP_MAXSEG", Unknown),
    ("TCP_SYNCNT", Sysctl("ipv4/tcp_syn_retries", None)),
    ("TCP_LINGER2", Sysctl("ipv4/tcp_fin_timeout", None)),
    ("TCP_WINDOW_CLAMP", Number(0)),
    ("TCP_QUICKACK", Number(1)),
    ("TCP_TX_DELAY", Number(0)),
    ("TCP_NOTSENT_LOWAT", Sysctl("ipv4/tcp_notsent_lowat", None)),
    (
        "TCP_RTO_MAX_MS",
        Sysctl("ipv4/tcp_rto_max_ms", Some(120_000)),
    ),
    (
        "TCP_RTO_MIN_US",
        Sysctl("ipv4/tcp_rto_min_us", Some(200_000)),
    ),
    ("TCP_DELACK_MAX_US", Number(200_000)),
    ("IP_MULTICAST_LOOP", Number(1)),
    ("IP_MULTICAST_ALL", Families(1, 0)),
    ("IP_TTL", Sysctl("ipv4/ip_default_ttl", None)),
    ("IP_MINTTL", Number(0)),
    ("IP_MTU_DISCOVER", Unknown),
    ("IP_TOS", Number(0)),
    ("IP_MULTICAST_TTL", Number(1)),
    ("IPV6_MULTICAST_LOOP", Number(1)),
    ("IPV6_MULTICAST_ALL", Number(1)),
    ("IPV6_TCLASS", Number(0)),
    ("IPV6_UNICAST_HOPS", Sysctl("ipv6/conf/all/hop_limit", None)),
    ("IPV6_MULTICAST_HOPS", Number(1)),
    ("IPV6_MINHOPCOUNT", Number(0)),
    ("UDP_ENCAP", Number(0)),
    ("UDP_SEGMENT", Number(0)),
];

/// Numbers that have no default which could be given.
#[cfg(test)]
const NONE: [&str; 3] = ["IPV6_MTU_DISCOVER", "IPV6_MTU", "IPV6_ADDR_PREFERENCES"];

/// What the option is on IPv4 sockets and on IPv6 sockets that do not show it, according to the
/// kernel that runs.
pub fn defaults(info: &Info) -> [Option<i128>; 2] {
    let source = DEFAULTS.iter().find(|(name, _)| *name == info.name);
    match source.map(|(_, source)| *source) {
        Some(Number(n)) => [Some(n.into()); 2],
        Some(Families(v4, v6)) => [Some(v4.into()), Some(v6.into())],
        Some(Sysctl(path, otherwise)) => {
            let text = fs::read_to_string(format!("/proc/sys/net/{path}")).unwrap_or_default();
            let word = text.split_ascii_whitespace().next().and_then(number);
            [word.or(otherwise.map(i128::from)); 2]
        }
        Some(Unknown) => [None; 2],
        None => [(info.kind == Kind::Flag).then_some(0); 2],
    }
}

/// As [`defaults`], of the names.
pub fn default_text(info: &Info) -> Option<String> {
    if info.name != "TCP_CONGESTION" {
        return None;
    }
    let text = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").ok()?;
    Some(text.trim().to_owned())
}

/// Whether a socket has this option at all. Of one that the kernel keeps no more than addresses
/// of, nothing is known.
pub fn applies(info: &Info, row: &Row<'_>) -> bool {
    if !row.has_options() {
        return false;
    }
    let is_udp = row.file.netid == Netid::Udp;
    let is_listener = row.state == State::Listen;
    match info.name {
        "TCP_FASTOPEN" | "TCP_WINDOW_CLAMP" => return is_listener,
        "SO_INCOMING_CPU" => return is_listener || is_udp,
        "SO_TXREHASH" => return !is_udp,
        // Without keepalive, nobody asks for its times.
        "TCP_KEEPIDLE" | "TCP_KEEPCNT" | "TCP_KEEPINTVL" => {
            return !is_udp && row.options.get("SO_KEEPALIVE") == Some("1");
        }
        _ => {}
    }
    let is_inet6 = row.file.family == Family::Inet6;
    match info.level {
        "IPPROTO_TCP" => !is_udp,
        "SOL_UDP" => is_udp && (is_inet6 || !info.name.starts_with("UDP_NO_CHECK6")),
        "IPPROTO_IPV6" => is_inet6,
        _ => true,
    }
}

/// A list without what the kernel switches by itself with what is sent.
pub fn settings(options: Options<'_>) -> Cow<'_, str> {
    const BY_ITSELF: &str = "TCP_QUICKACK";
    if !options.0.contains(BY_ITSELF) {
        return options.0.into();
    }
    let entries = options.0.split(',');
    let is_settled = |entry: &&str| entry.split('=').next() != Some(BY_ITSELF);
    entries
        .filter(is_settled)
        .collect::<Vec<_>>()
        .join(",")
        .into()
}

/// What `knetstat explain` prints of an option.
pub fn explain(info: &Info) -> String {
    let mut text = format!("{} = {}    ({})\n", info.name, info.value, info.level);
    for sentence in &info.text {
        let _ = writeln!(text, "    {sentence}");
    }
    let default = match (default_text(info), defaults(info)) {
        (Some(name), _) => name,
        (None, [Some(v4), Some(v6)]) if v4 != v6 => format!("{v4}, of IPv6 sockets {v6}"),
        (None, [Some(n), _]) => n.to_string(),
        (None, _) => return text,
    };
    let source = match DEFAULTS.iter().find(|(name, _)| *name == info.name) {
        Some((_, Sysctl(path, _))) => format!(" (net.{})", path.replace('/', ".")),
        _ => String::new(),
    };
    let _ = writeln!(text, "    Default: {default}{source}.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_explained() {
        assert!(all().len() > 130, "{}", all().len());
        for info in all() {
            let text = explain(info);
            assert!(info.text.len() >= 2, "{text}");
            for left in ["\\", " Ns ", ".Li", ".Dv", ".Xr", " .", " ,", "Ar ", "Cm "] {
                assert!(!text.contains(left), "{left:?} is in {text}");
            }
            let shown = ["All", "TCP", "Listeners", "UDP", "IPv6"];
            assert!(
                info.text
                    .iter()
                    .any(|line| shown.iter().any(|begin| line.starts_with(begin))),
                "{text}"
            );
        }
    }

    #[test]
    fn explained_as_the_page_has_it() {
        let text = explain(find("tcp_keepidle").unwrap());
        assert!(
            text.starts_with(
                "TCP_KEEPIDLE = seconds    (IPPROTO_TCP)\n    \
                 Silence before the first probe; without it, net.ipv4.tcp_keepalive_time.\n    \
                 TCP: if set.\n"
            ),
            "{text}"
        );
        let value = |name| find(name).unwrap().value.as_str();
        assert_eq!(value("SO_RCVTIMEO"), "nms");
        assert_eq!(value("IP_LOCAL_PORT_RANGE"), "low-high");
        assert_eq!(value("SO_TXTIME"), "clock[|flag]");
        assert!(explain(find("SO_RCVBUF").unwrap()).contains("half of what getsockopt(2) returns."));
    }

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
    fn every_number_has_a_default_or_none_on_purpose() {
        for info in all() {
            let is_listed = DEFAULTS.iter().any(|(name, _)| *name == info.name);
            let is_number = info.kind == Kind::Number;
            assert!(
                !is_number || is_listed != NONE.contains(&info.name),
                "{} has no default",
                info.name
            );
        }
        for (name, _) in DEFAULTS {
            assert!(find(name).is_some(), "there is no {name}");
        }
    }

    #[test]
    fn settings_of_a_process() {
        for (list, expected) in [
            ("", ""),
            ("TCP_QUICKACK=0", ""),
            ("A=1,TCP_QUICKACK=0,B=2", "A=1,B=2"),
            (
                "A=TCP_QUICKACK,TCP_QUICKACK_OF=1",
                "A=TCP_QUICKACK,TCP_QUICKACK_OF=1",
            ),
        ] {
            assert_eq!(settings(Options(list)), expected);
        }
        assert!(find("TCP_QUICKACK").is_some());
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
    /// What knetstat(8) says is assumed.
    #[test]
    fn the_page_has_each_default_and_no_other() {
        let page = include_str!("../../../../man/knetstat.8");
        let (_, list) = page
            .split_once(".Ss Options that are not in a row\n")
            .unwrap();
        let (_, list) = list.split_once(" -compact\n").unwrap();
        let (list, _) = list.split_once(".El\n").unwrap();
        let mut expected = String::new();
        for (name, source) in DEFAULTS {
            let text = match source {
                Number(n) => n.to_string(),
                Families(v4, v6) => format!("{v4}, of IPv6 sockets {v6}"),
                Sysctl(path, otherwise) => {
                    let other = otherwise
                        .map(|n| format!(" ,\nor {n} on kernels without it"))
                        .unwrap_or_default();
                    format!(".Li net.{}{other}", path.replace('/', "."))
                }
                Unknown => continue,
            };
            let _ = writeln!(expected, ".It {name}\n{}", text.replace('-', "\\-"));
        }
        assert!(list == expected, "it has to be:\n{expected}");
    }
}
