// SPDX-License-Identifier: GPL-2.0

//! Options as people name them: `TCP_USER_TIMEOUT`, `user timeout`, `6 18`, `SOL_TCP/18`,
//! `socket.TCP_NODELAY`.

use crate::model::filter::Pattern;
use crate::model::options::{self, all, find_all, squashed, Info};
use crate::model::similar::meant;
use knetstat_man::LEVELS;
use std::ops::Range;

/// The largest number of words in the name of an option.
const LONGEST_NAME: usize = 6;

/// The prefixes of the names of levels. They may be left out before a number or a name.
const LEVEL_PREFIXES: [&str; 2] = ["SOL", "IPPROTO"];

/// A word, and the value that follows it after `=`.
struct Word<'a> {
    text: &'a str,
    value: Option<&'a str>,
}

/// The number of a level, by its number or name.
fn level(text: &str) -> Option<i32> {
    let by_number = number(text);
    let text = squashed(text);
    LEVELS.iter().find_map(|(name, _)| {
        let info = all().iter().find(|info| info.level == *name)?;
        let (_, bare) = name.split_once('_')?;
        let is_name = text == bare
            || LEVEL_PREFIXES
                .iter()
                .any(|prefix| text.strip_prefix(prefix) == Some(bare));
        (is_name || by_number == Some(info.level_number)).then_some(info.level_number)
    })
}

/// A number, decimal or hexadecimal. The greatest one stands for all that are greater: no option
/// has it.
fn number(text: &str) -> Option<i32> {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let n = is_number.then(|| options::number(text))??;
    Some(n.try_into().unwrap_or(i32::MAX))
}

/// The options with a number, at one level or at all.
fn numbered(level: Option<i32>, number: i32) -> Vec<&'static Info> {
    let is_it = |info: &&Info| {
        let mut also = info.also.iter();
        level.is_none_or(|level| info.level_number == level)
            && (info.number == number || also.any(|(_, other)| *other == number))
    };
    all().iter().filter(is_it).collect()
}

/// The levels for hints: `SOL_SOCKET (1), IPPROTO_TCP (6)`.
fn levels() -> String {
    let levels = LEVELS.iter().filter_map(|(name, _)| {
        let info = all().iter().find(|info| info.level == *name)?;
        Some(format!("{name} ({})", info.level_number))
    });
    levels.collect::<Vec<_>>().join(", ")
}

/// The name of a level.
fn level_name(level: i32) -> &'static str {
    let info = all().iter().find(|info| info.level_number == level);
    info.map_or("", |info| info.level)
}

/// The words of the arguments. Names may have the path of a programming language before them.
fn words(arguments: &[String]) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    for argument in arguments {
        let (names, value) = match argument.split_once('=') {
            Some((names, value)) => (names, Some(value.trim())),
            None => (argument.as_str(), None),
        };
        let names = names.split(|c: char| c.is_whitespace() || matches!(c, ',' | '/' | '(' | ')'));
        for name in names {
            let name = name.rsplit(['.', ':']).next().unwrap_or(name);
            if !name.is_empty() {
                words.push(Word {
                    text: name,
                    value: None,
                });
            }
        }
        if let (Some(last), true) = (words.last_mut(), value.is_some()) {
            last.value = value;
        }
    }
    words
}

/// The options with the longest name that begins at a word, and the words of the name.
fn longest(words: &[Word<'_>], from: usize) -> Option<(Vec<&'static Info>, Range<usize>)> {
    let longest = words.len().min(from + LONGEST_NAME);
    (from + 1..=longest).rev().find_map(|to| {
        let texts: Vec<_> = words[from..to].iter().map(|word| word.text).collect();
        let found = find_all(&texts.join("_"));
        (!found.is_empty()).then_some((found, from..to))
    })
}

/// The options that the arguments name, in their order.
///
/// # Errors
///
/// The reason why an argument names no option, and what would be right.
pub fn lookup(arguments: &[String]) -> Result<Vec<&'static Info>, String> {
    let words = words(arguments);
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let (options, range) = next(&words, at)?;
        if let (Some(value), [info]) = (words[range.end - 1].value, &options[..]) {
            Pattern::parse(info, value).map_err(|err| match err.hint.is_empty() {
                true => err.what,
                false => format!("{}; {}", err.what, err.hint),
            })?;
        }
        found.extend(options);
        at = range.end;
    }
    match found.is_empty() {
        true => Err("the name of an option is missing, for example TCP_NODELAY".to_owned()),
        false => Ok(found),
    }
}

/// The options that the words from `at` name, and these words.
fn next(words: &[Word<'_>], at: usize) -> Result<(Vec<&'static Info>, Range<usize>), String> {
    let text = words[at].text;
    let next = words.get(at + 1);
    if let (Some(level), Some(next)) = (level(text), next) {
        let name = level_name(level);
        if let Some(number) = number(next.text) {
            let found = numbered(Some(level), number);
            return match found.is_empty() {
                true => Err(format!(
                    "{name} has no option {} that knetstat shows; all options are in \
                    knetstat(5)",
                    next.text
                )),
                false => Ok((found, at..at + 2)),
            };
        }
        if let Some((all, range)) = longest(words, at + 1) {
            let here = all.iter().filter(|info| info.level_number == level);
            let here: Vec<_> = here.copied().collect();
            return match (here.is_empty(), &all[0]) {
                (true, other) => Err(format!(
                    "{} is an option of {}, not of {name}",
                    other.name, other.level
                )),
                (false, _) => Ok((here, at..range.end)),
            };
        }
    }
    if let Some((found, range)) = longest(words, at) {
        return Ok((found, range));
    }
    if level(text).is_some() && number(text).is_none() {
        return Err(format!(
            "{text} is a level; add the name or the number of an option: {text} 1"
        ));
    }
    if let Some(number) = number(text) {
        if next.is_some_and(|next| self::number(next.text).is_some()) {
            return Err(format!(
                "{text} is not a level whose options knetstat shows; levels: {}",
                levels()
            ));
        }
        let same = numbered(None, number);
        let same: Vec<_> = same
            .iter()
            .map(|info| format!("{} {number} is {}", info.level_number, info.name))
            .collect();
        let same = match same.is_empty() {
            true => String::new(),
            false => format!("; {}", same.join(", ")),
        };
        return Err(format!(
            "{text} is not an option without a level before it{same}"
        ));
    }
    let near = meant(&options::similar(text));
    let hint = match near.is_empty() {
        true => "; all options are in knetstat(5)",
        false => &near,
    };
    Err(format!(
        "{text:?} is not an option that knetstat shows{hint}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn find(typed: &str) -> Result<Vec<&'static str>, String> {
        let arguments = shlex::split(typed).unwrap();
        let found = lookup(&arguments)?;
        Ok(found.iter().map(|info| info.name).collect())
    }

    #[test]
    fn spellings() {
        for typed in [
            "TCP_USER_TIMEOUT",
            "tcp_user_timeout",
            "tcp-user-timeout",
            "user_timeout",
            "user timeout",
            "'user timeout'",
            "tcp user timeout",
            "TcpUserTimeout",
            "6 18",
            "'6 18'",
            "0x6 0x12",
            "6/18",
            "6,18",
            "IPPROTO_TCP 18",
            "SOL_TCP 0x12",
            "sol_tcp/tcp_user_timeout",
            "SOL_TCP/TCP_USER_TIMEOUT",
            "SOL_TCP, TCP_USER_TIMEOUT",
            "(SOL_TCP, TCP_USER_TIMEOUT)",
            "tcp 18",
            "socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT",
            "libc::TCP_USER_TIMEOUT",
            "unix.TCP_USER_TIMEOUT",
            "TCP_USER_TIMEOUT=30000",
            "TCP_USER_TIMEOUT=30s",
        ] {
            assert_eq!(find(typed), Ok(vec!["TCP_USER_TIMEOUT"]), "{typed}");
        }
        for (typed, expected) in [
            ("nodelay cork", &["TCP_NODELAY", "TCP_CORK", "UDP_CORK"][..]),
            ("tcp cork udp cork", &["TCP_CORK", "UDP_CORK"]),
            ("1 9 6 1", &["SO_KEEPALIVE", "TCP_NODELAY"]),
            ("SOL_SOCKET 33", &["SO_RCVBUF"]),
            ("SO_RCVBUFFORCE", &["SO_RCVBUF"]),
            ("rcvbufforce", &["SO_RCVBUF"]),
            ("1 66", &["SO_RCVTIMEO"]),
            (
                "MCAST_JOIN_GROUP",
                &["IP_ADD_MEMBERSHIP", "IPV6_ADD_MEMBERSHIP"],
            ),
            ("41 20", &["IPV6_ADD_MEMBERSHIP"]),
            ("IPV6_JOIN_GROUP", &["IPV6_ADD_MEMBERSHIP"]),
            ("IPPROTO_IPV6 MCAST_JOIN_GROUP", &["IPV6_ADD_MEMBERSHIP"]),
            ("SO_TIMESTAMP", &["SO_TIMESTAMP"]),
            ("TOS=ef", &["IP_TOS"]),
            ("'TCP_KEEPIDLE = 60'", &["TCP_KEEPIDLE"]),
            ("'TCP_KEEPIDLE = 60 '", &["TCP_KEEPIDLE"]),
            ("V6ONLY", &["IPV6_V6ONLY"]),
        ] {
            assert_eq!(find(typed), Ok(expected.to_vec()), "{typed}");
        }
    }

    #[test]
    fn mistakes() {
        for (typed, what) in [
            ("nodely", "\"nodely\" is not an option that knetstat shows; did you mean TCP_NODELAY?"),
            ("zzzz", "\"zzzz\" is not an option that knetstat shows; all options are in knetstat(5)"),
            // The kernel has it.
            ("SO_TYPE", "\"SO_TYPE\" is not an option that knetstat shows"),
            ("TCP_ULP=TLS", "\"TLS\" is not a value of TCP_ULP; did you mean tls?"),
            ("6 99999999999", "IPPROTO_TCP has no option 99999999999 that knetstat shows; all"),
            ("99999999999", "99999999999 is not an option without a level before it"),
            ("6 11", "IPPROTO_TCP has no option 11 that knetstat shows; all"),
            ("SOL_SOCKET TCP_NODELAY", "TCP_NODELAY is an option of IPPROTO_TCP, not of SOL_SOCKET"),
            ("IPPROTO_TCP", "IPPROTO_TCP is a level; add the name or the number of an option: IPPROTO_TCP 1"),
            ("18", "18 is not an option without a level before it; "),
            ("6 18 18", "18 is not an option without a level before it; "),
            ("99 1", "99 is not a level whose options knetstat shows; levels: SOL_SOCKET (1), IPPROTO_TCP (6), \
                IPPROTO_IP (0), IPPROTO_IPV6 (41), SOL_UDP (17)"),
            ("TOS=fast", "\"fast\" is not a value of IP_TOS; expected: a code point"),
            ("''", "the name of an option is missing"),
            ("=", "the name of an option is missing"),
        ] {
            let err = find(typed).unwrap_err();
            assert!(err.starts_with(what), "{typed}: {err}");
        }
        let err = find("18").unwrap_err();
        assert!(err.contains("6 18 is TCP_USER_TIMEOUT"), "{err}");
    }

    /// Each option is found by level and number, by its name, and by the names beside it.
    #[test]
    fn each_option_is_found() {
        let mut numbers = HashSet::new();
        for info in all() {
            let Info {
                level,
                level_number,
                number,
                ..
            } = info;
            for typed in [
                format!("{level_number} {number}"),
                format!("{level_number:#x} {number:#x}"),
                format!("{level} {number}"),
                format!("{level}/{}", info.name),
                info.name.to_ascii_lowercase().replace('_', "-"),
                info.name.replace('_', " "),
            ] {
                assert_eq!(find(&typed), Ok(vec![info.name]), "{typed}");
            }
            for (also, number) in info.also {
                assert!(find(also).unwrap().contains(&info.name), "{also}");
                assert_eq!(find(&format!("{level} {number}")), Ok(vec![info.name]));
            }
            assert!(numbers.insert((level, number)), "{}", info.name);
        }
    }

    /// The numbers in the crate of the C library.
    macro_rules! of_libc {
        ($($name:ident)*) => { [$((stringify!($name), libc::$name)),*] };
    }

    /// The numbers come from the kernel's headers by way of one crate. This compares them with
    /// those of another, which has most of them.
    #[test]
    fn numbers_are_those_of_libc() {
        let others = of_libc!(
            SO_REUSEADDR SO_REUSEPORT SO_KEEPALIVE SO_RCVBUF SO_SNDBUF SO_RCVTIMEO SO_SNDTIMEO
            SO_LINGER SO_BROADCAST SO_DEBUG SO_DONTROUTE SO_OOBINLINE SO_TIMESTAMP SO_TIMESTAMPNS
            SO_TIMESTAMP_NEW SO_TIMESTAMPNS_NEW SO_TIMESTAMPING_NEW SO_RCVTIMEO_NEW SO_SNDTIMEO_NEW
            SO_RXQ_OVFL SO_WIFI_STATUS SO_NOFCS SO_LOCK_FILTER SO_SELECT_ERR_QUEUE SO_ZEROCOPY
            SO_TXTIME SO_NO_CHECK SO_PRIORITY SO_TIMESTAMPING SO_RCVLOWAT SO_MARK SO_PEEK_OFF
            SO_BINDTODEVICE SO_BINDTOIFINDEX SO_ATTACH_FILTER SO_ATTACH_BPF SO_ATTACH_REUSEPORT_CBPF
            SO_ATTACH_REUSEPORT_EBPF SO_BUSY_POLL SO_PREFER_BUSY_POLL SO_BUSY_POLL_BUDGET
            SO_MAX_PACING_RATE SO_INCOMING_CPU SO_RCVBUFFORCE SO_SNDBUFFORCE SO_GET_FILTER
            TCP_KEEPIDLE TCP_KEEPCNT TCP_KEEPINTVL TCP_USER_TIMEOUT TCP_NODELAY TCP_FASTOPEN
            TCP_DEFER_ACCEPT TCP_MAXSEG TCP_CORK TCP_SYNCNT TCP_LINGER2 TCP_WINDOW_CLAMP
            TCP_QUICKACK TCP_CONGESTION TCP_ULP TCP_THIN_LINEAR_TIMEOUTS TCP_REPAIR
            TCP_FASTOPEN_CONNECT TCP_FASTOPEN_NO_COOKIE TCP_INQ TCP_SAVE_SYN TCP_MD5SIG
            TCP_MD5SIG_EXT TCP_NOTSENT_LOWAT
            IP_PKTINFO IP_RECVTTL IP_RECVTOS IP_RECVOPTS IP_RETOPTS IP_PASSSEC IP_RECVORIGDSTADDR
            IP_CHECKSUM IP_RECVFRAGSIZE IP_RECVERR IP_FREEBIND IP_MULTICAST_LOOP IP_MULTICAST_ALL
            IP_TRANSPARENT IP_BIND_ADDRESS_NO_PORT IP_TTL IP_MINTTL IP_MTU_DISCOVER IP_TOS
            IP_OPTIONS IP_UNICAST_IF IP_MULTICAST_TTL IP_MULTICAST_IF IP_ADD_MEMBERSHIP
            IP_ADD_SOURCE_MEMBERSHIP
            IPV6_V6ONLY IPV6_RECVPKTINFO IPV6_2292PKTINFO IPV6_RECVHOPLIMIT IPV6_2292HOPLIMIT
            IPV6_RECVRTHDR IPV6_2292RTHDR IPV6_RECVHOPOPTS IPV6_2292HOPOPTS IPV6_RECVDSTOPTS
            IPV6_2292DSTOPTS IPV6_RECVTCLASS IPV6_FLOWINFO IPV6_RECVPATHMTU IPV6_RECVORIGDSTADDR
            IPV6_RECVFRAGSIZE IPV6_TRANSPARENT IPV6_FREEBIND IPV6_MULTICAST_LOOP
            IPV6_MULTICAST_ALL IPV6_RECVERR IPV6_FLOWINFO_SEND IPV6_DONTFRAG IPV6_AUTOFLOWLABEL
            IPV6_TCLASS IPV6_UNICAST_HOPS IPV6_UNICAST_IF IPV6_MTU_DISCOVER IPV6_MTU
            IPV6_ADDR_PREFERENCES IPV6_MINHOPCOUNT IPV6_HOPOPTS IPV6_RTHDRDSTOPTS IPV6_RTHDR
            IPV6_DSTOPTS IPV6_MULTICAST_HOPS IPV6_MULTICAST_IF IPV6_ADD_MEMBERSHIP
            UDP_CORK UDP_NO_CHECK6_TX UDP_NO_CHECK6_RX UDP_GRO UDP_ENCAP UDP_SEGMENT
        );
        let number = |name: &str| {
            let mut also = all().iter().flat_map(|info| info.also);
            let by_name = all().iter().find(|info| info.name == name);
            let number = by_name.map(|info| info.number);
            number.or_else(|| also.find(|(other, _)| *other == name).map(|(_, n)| *n))
        };
        for (name, expected) in others {
            assert_eq!(number(name), Some(expected), "{name}");
        }
        // These are newer than that crate. The numbers are from the headers of Linux 7.3.
        let mut lacking: Vec<_> = all()
            .iter()
            .filter(|info| !others.iter().any(|(name, _)| *name == info.name))
            .map(|info| (info.name, info.number))
            .collect();
        lacking.sort_unstable();
        assert_eq!(
            lacking,
            [
                ("IPV6_RECVERR_RFC4884", 31),
                ("IP_LOCAL_PORT_RANGE", 51),
                ("IP_RECVERR_RFC4884", 26),
                ("SO_RCVMARK", 75),
                ("SO_RCVPRIORITY", 82),
                ("SO_RESERVE_MEM", 73),
                ("SO_TXREHASH", 74),
                // TCP_AO_ADD_KEY.
                ("TCP_AO", 38),
                ("TCP_DELACK_MAX_US", 46),
                ("TCP_IS_MPTCP", 43),
                ("TCP_RTO_MAX_MS", 44),
                ("TCP_RTO_MIN_US", 45),
                ("TCP_TX_DELAY", 37),
            ]
        );
    }
}
