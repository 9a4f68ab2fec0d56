// SPDX-License-Identifier: GPL-2.0

//! The grammar of a row, to the last byte. Any other text is an error.
//!
//! [`Row`] checks the columns, the spaces and the header. This file checks the fields: addresses of
//! the family of the file, the state and the signs that it can have, and the options: their
//! names, their order, the sockets that have them, and the form of each value. Order and sockets
//! come from the tests' table of options; the form comes from knetstat(5).

use crate::options::{names_always_shown, table, Role, OF_SIX, TIMESTAMPING};
use crate::rows::{address, File, Row};
use anyhow::{bail, ensure, Context, Result};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;

/// The manual page, as it is installed.
const PAGE: &str = include_str!("../../../man/knetstat.5");

/// The form of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Form {
    /// One of these words.
    Words(Vec<&'static str>),
    /// A number in decimal, without leading zeros, and its unit.
    Number(i128, i128, &'static str),
    /// A number of 32 bits in hexadecimal.
    Hex,
    /// The name of an interface, or its number behind `if`.
    Interface,
    /// An address, and an interface if there is one.
    Scoped,
    /// Groups, each with its interface.
    Groups,
    /// Two ports.
    Range,
    /// The name of an algorithm.
    Name,
    /// The upper layer protocol, with details of TLS.
    Ulp,
    /// A clock, and flags.
    TxTime,
    /// The flags of SO_TIMESTAMPING.
    Timestamping,
}

const INT: (i128, i128) = (i32::MIN as i128, i32::MAX as i128);
const UNSIGNED: (i128, i128) = (0, u32::MAX as i128);
const BYTE: (i128, i128) = (0, 255);

/// The form of a value, by the text after `NAME=` on the page.
fn form(name: &str, value: &'static str) -> Form {
    let number = |(from, to)| Form::Number(from, to, "");
    match (name, value) {
        ("SO_MAX_PACING_RATE", _) => number((0, u64::MAX.into())),
        // Those that getsockopt(2) returns with a sign.
        ("SO_PRIORITY" | "SO_PEEK_OFF" | "TCP_NOTSENT_LOWAT" | "TCP_LINGER2", _)
        | (_, "Ar cpu") => number(INT),
        ("TCP_ULP", _) => Form::Ulp,
        (_, "Ar hexadecimal") => Form::Hex,
        (_, "Ar interface") => Form::Interface,
        (_, "Ar address Ns Op % Ns Ar interface") => Form::Scoped,
        (_, "Ar group Ns % Ns Ar interface Ns Op + Ns Ar ...") => Form::Groups,
        (_, "Ar low Ns \\- Ns Ar high") => Form::Range,
        (_, "Ar name") => Form::Name,
        (_, "Ar clock Ns Op | Ns Ar flag") => Form::TxTime,
        (_, "Ar flag Ns | Ns Ar ...") => Form::Timestamping,
        (_, "Ar n Ns Cm s") => Form::Number(INT.0, INT.1, "s"),
        (_, "Ar n Ns Cm ms") => Form::Number(0, u64::MAX.into(), "ms"),
        (_, "Ar number" | "Ar probes") => number(BYTE),
        (
            _,
            "Ar bytes" | "Ar packets" | "Ar requests" | "Ar seconds" | "Ar milliseconds"
            | "Ar microseconds",
        ) => number(UNSIGNED),
        _ => match value.strip_prefix("Cm ") {
            Some(words) => Form::Words(words.split('|').collect()),
            None => panic!("knetstat(5) says {value:?} of {name}, which the grammar has not"),
        },
    }
}

/// The forms, by the names of the options.
fn forms() -> &'static HashMap<&'static str, Form> {
    static FORMS: OnceLock<HashMap<&str, Form>> = OnceLock::new();
    FORMS.get_or_init(|| {
        let forms: HashMap<_, _> = PAGE
            .lines()
            .filter_map(|line| line.strip_prefix(".It Cm ")?.split_once(" Ns = Ns "))
            .map(|(name, value)| (name, form(name, value)))
            .collect();
        for opt in table() {
            assert!(
                forms.contains_key(opt.name),
                "knetstat(5) has no {}",
                opt.name
            );
        }
        forms
    })
}

/// A number in decimal, if it is in this range and has no leading zeros.
fn decimal(text: &str, from: i128, to: i128) -> Result<i128> {
    let number: i128 = text.parse()?;
    ensure!(number.to_string() == text, "{text:?} is written otherwise");
    ensure!((from..=to).contains(&number), "{text} is out of range");
    Ok(number)
}

fn hexadecimal(text: &str) -> Result<()> {
    let digits = text.strip_prefix("0x").context("no 0x")?;
    let number = u32::from_str_radix(digits, 16)?;
    ensure!(format!("{number:x}") == digits, "it is written otherwise");
    Ok(())
}

/// Checks a name: it has at most this many bytes, and all characters that could break a row are
/// escaped.
fn word(text: &str, longest: usize) -> Result<()> {
    ensure!(!text.is_empty(), "an empty name");
    let mut rest = text;
    let mut length = 0;
    while let Some(first) = rest.bytes().next() {
        let skip = if first == b'\\' {
            let digits = rest.strip_prefix("\\x").and_then(|rest| rest.get(..2));
            let byte = u8::from_str_radix(digits.context("half an escape")?, 16)?;
            ensure!(
                !byte.is_ascii_graphic() || b",+\\".contains(&byte),
                "\\x{byte:02x} needs no escape"
            );
            4
        } else {
            ensure!(
                first.is_ascii_graphic() && !b",+".contains(&first),
                "{first:#x} is not escaped"
            );
            1
        };
        rest = &rest[skip..];
        length += 1;
    }
    ensure!(length <= longest, "{length} bytes");
    Ok(())
}

fn interface(text: &str) -> Result<()> {
    word(text, 15)
}

fn ip(text: &str, six: bool) -> Result<IpAddr> {
    let ip: IpAddr = match six {
        true => text.parse::<Ipv6Addr>()?.into(),
        false => text.parse::<Ipv4Addr>()?.into(),
    };
    ensure!(ip.to_string() == text, "{text:?} is written otherwise");
    Ok(ip)
}

impl Form {
    fn check(&self, text: &str, six: bool) -> Result<()> {
        match self {
            Form::Words(words) => ensure!(words.contains(&text), "it is none of {words:?}"),
            Form::Number(from, to, unit) => {
                let digits = text.strip_suffix(unit).context("no unit")?;
                decimal(digits, *from, *to)?;
            }
            Form::Hex => hexadecimal(text)?,
            Form::Interface => interface(text)?,
            Form::Scoped => {
                let (address, behind) = match text.split_once('%') {
                    Some((address, name)) => (address, Some(name)),
                    None => (text, None),
                };
                ip(address, six)?;
                behind.map_or(Ok(()), interface)?;
            }
            Form::Groups => {
                let mut groups: Vec<_> = text.split('+').collect();
                // Follows 1,024 groups, if there are more.
                if groups.len() == 1025 {
                    let more = groups.pop().and_then(|last| last.strip_prefix("more:"));
                    let more: u32 = more.context("too many groups")?.parse()?;
                    ensure!(more > 0, "no more groups");
                }
                ensure!(groups.len() <= 1024, "too many groups");
                for group in groups {
                    let (address, behind) = match group.split_once('%') {
                        Some((address, name)) => (address, Some(name)),
                        None => (group, None),
                    };
                    ensure!(ip(address, six)?.is_multicast(), "{address} is no group");
                    behind.map_or(Ok(()), interface)?;
                }
            }
            Form::Range => {
                let (low, high) = text.split_once('-').context("no range")?;
                decimal(low, 0, 65_535)?;
                decimal(high, 0, 65_535)?;
            }
            Form::Name => word(text, 15)?,
            Form::Ulp => ulp(text)?,
            Form::TxTime => {
                let (clock, flags) = text.split_once('|').unwrap_or((text, ""));
                match clock {
                    "CLOCK_REALTIME" | "CLOCK_MONOTONIC" | "CLOCK_TAI" => {}
                    other => {
                        let number = other.strip_prefix("CLOCK_").context("no clock")?;
                        decimal(number, 0, 255)?;
                    }
                }
                ensure!(
                    [
                        "",
                        "DEADLINE_MODE",
                        "REPORT_ERRORS",
                        "DEADLINE_MODE|REPORT_ERRORS"
                    ]
                    .contains(&flags)
                        && !text.ends_with('|'),
                    "unknown flags"
                );
            }
            Form::Timestamping => timestamping(text)?,
        }
        Ok(())
    }
}

fn timestamping(text: &str) -> Result<()> {
    let mut names = TIMESTAMPING.iter();
    let mut binds_phc = false;
    let mut parts = text.split('|').peekable();
    while let Some(part) = parts.next() {
        if let Some(clock) = part.strip_prefix("bind_phc:") {
            ensure!(
                binds_phc && parts.peek().is_none(),
                "bind_phc: where it is not"
            );
            decimal(clock, INT.0, INT.1)?;
        } else if part.starts_with("0x") {
            hexadecimal(part)?;
            ensure!(
                parts
                    .peek()
                    .is_none_or(|next| next.starts_with("bind_phc:")),
                "flags behind a number"
            );
        } else {
            ensure!(
                names.any(|name| *name == part),
                "{part} is not there, or not here"
            );
            binds_phc |= part == "BIND_PHC";
        }
    }
    Ok(())
}

/// `tls|version:1.3|cipher:aes-gcm-128|rxconf:sw|txconf:sw` and more of it, or a name alone.
fn ulp(text: &str) -> Result<()> {
    let Some((name, details)) = text.split_once('|') else {
        return word(text, 15);
    };
    ensure!(name == "tls", "details of {name}");
    let mut details = details.split('|').peekable();
    let mut next = |key: &str, words: &[&str], or_hex: bool| -> Result<()> {
        let part = details.next().unwrap_or_default();
        let value = part
            .strip_prefix(key)
            .with_context(|| format!("no {key}"))?;
        if or_hex && value.starts_with("0x") {
            return hexadecimal(value);
        }
        ensure!(words.contains(&value), "{part} is unknown");
        Ok(())
    };
    next("version:", &["1.2", "1.3"], true)?;
    let ciphers = [
        "aes-gcm-128",
        "aes-gcm-256",
        "aes-ccm-128",
        "chacha20-poly1305",
        "sm4-gcm",
        "sm4-ccm",
        "aria-gcm-128",
        "aria-gcm-256",
    ];
    next("cipher:", &ciphers, true)?;
    next("rxconf:", &["none", "sw", "hw"], false)?;
    next("txconf:", &["none", "sw", "hw"], false)?;
    details.next_if_eq(&"zc_ro_tx");
    details.next_if_eq(&"no_pad_rx");
    if let Some(length) = details
        .peek()
        .and_then(|part| part.strip_prefix("tx_max_payload_len:"))
    {
        decimal(length, 1, 16_384)?;
        details.next();
    }
    ensure!(details.next().is_none(), "something else behind it");
    Ok(())
}

/// An address and its port, as `std::net` prints them.
fn endpoint(text: &str, six: bool) -> Result<()> {
    let (host, port) = text.rsplit_once(':').context("no port")?;
    let ip = ip(host, six)?;
    let port = match port {
        "*" => 0,
        port => u16::try_from(decimal(port, 1, 65_535)?)?,
    };
    ensure!(
        address(&SocketAddr::new(ip, port)) == text,
        "it is written otherwise"
    );
    Ok(())
}

/// The states in which a sign can be, as knetstat(5), Diagnostics, lists them.
fn can_have(state: &str, diag: &str) -> bool {
    let sends = ["ESTB", "CLSW", "FNW1", "CLSG", "LACK"].contains(&state);
    let receives = ["ESTB", "FNW1", "FNW2"].contains(&state);
    match diag {
        "" => true,
        ">|" | ">#" => sends,
        "|<" => receives,
        _ => sends && receives,
    }
}

/// Checks one line, without its newline.
pub fn check_line(file: File, line: &str) -> Result<Row> {
    let row = Row::parse(file, line)?;
    check(file, &row)?;
    Ok(row)
}

fn check(file: File, row: &Row) -> Result<()> {
    let six = matches!(file, File::Tcp6 | File::Udp6);
    endpoint(&row.local, six).with_context(|| row.local.clone())?;
    endpoint(&row.foreign, six).with_context(|| row.foreign.clone())?;
    ensure!(
        can_have(&row.state, &row.diag),
        "{} cannot have {}",
        row.state,
        row.diag
    );
    let Some(options) = &row.options else {
        ensure!(
            ["TIMW", "SYNR", "FNW2"].contains(&&*row.state),
            "{} without options",
            row.state
        );
        return Ok(());
    };
    ensure!(row.state != "TIMW", "TIMW with options");

    let role = match (file.is_tcp(), &*row.state) {
        (false, _) => Role::UdpBound,
        (true, "LSTN") => Role::Listener,
        (true, _) => Role::Client,
    };
    // The names are a part of the table, in its order.
    let mut table = table()
        .iter()
        .filter(|opt| opt.on & role.mask() != 0 && (opt.on & OF_SIX == 0 || six));
    let mut options = options
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .peekable();
    while let Some((name, value)) = options.next_if(|(name, _)| forms().contains_key(name)) {
        ensure!(
            table.any(|opt| opt.name == name),
            "{name} is not of such a socket, twice, or out of order"
        );
        let six = name.starts_with("IPV6_");
        let form = &forms()[name];
        form.check(value, six)
            .with_context(|| format!("{name}={value}"))?;
    }
    let names: Vec<_> = options.clone().map(|(name, _)| name).collect();
    let mut last = |name: &str| -> Result<i128> {
        match options.next() {
            Some((found, value)) if found == name => decimal(value, 0, u64::MAX.into()),
            other => bail!("{other:?} where {name} belongs"),
        }
        .with_context(|| name.to_owned())
    };
    if role == Role::Listener {
        ensure!(last("backlog")? <= UNSIGNED.1, "too large a backlog");
    }
    if names.contains(&"drops") {
        ensure!(
            role == Role::UdpBound,
            "only UDP sockets count dropped datagrams"
        );
        let drops = last("drops")?;
        ensure!((1..=UNSIGNED.1).contains(&drops), "drops={drops}");
    }
    ensure!(last("uid")? <= UNSIGNED.1, "too large a uid");
    last("ino")?;
    ensure!(options.next().is_none(), "something behind ino");
    for name in names_always_shown(role) {
        ensure!(row.option(name).is_some(), "{name} is missing");
    }
    Ok(())
}

/// Checks a piece of a listing: from its beginning or from anywhere, to its end or not. Returns the
/// number of whole rows.
pub fn check_piece(file: File, piece: &[u8], from_begin: bool, to_end: bool) -> Result<usize> {
    let mut piece = std::str::from_utf8(piece)?;
    if from_begin {
        let header = file.header();
        match piece.split_once('\n') {
            Some((first, rest)) => {
                ensure!(first == header, "header is {first:?}");
                piece = rest;
            }
            None => {
                ensure!(header.starts_with(piece) && !to_end, "header is {piece:?}");
                return Ok(0);
            }
        }
    } else {
        // The rest of a line, of which there is no more to say.
        piece = piece.split_once('\n').map_or("", |(_, rest)| rest);
    }
    if to_end {
        ensure!(
            piece.is_empty() || piece.ends_with('\n'),
            "no newline at the end"
        );
    }
    let mut rows = 0;
    for line in piece.split_inclusive('\n') {
        if let Some(line) = line.strip_suffix('\n') {
            check_line(file, line).with_context(|| format!("{}: {line:?}", file.name()))?;
            rows += 1;
        }
    }
    Ok(rows)
}

/// Checks that the grammar refuses wrong lines. Each of them is a valid line with one mistake.
pub fn check_itself() -> Result<()> {
    const TCP: &str = "     0      0 127.0.0.1:53            0.0.0.0:*               LSTN      \
        SO_REUSEADDR=1,SO_REUSEPORT=0,SO_KEEPALIVE=0,TCP_NODELAY=0,TCP_FASTOPEN=5,\
        TCP_DEFER_ACCEPT=0,SO_MARK=0x2a,backlog=32,uid=0,ino=292";
    const UDP6: &str = "     0      0 :::5353                 :::*                    \
        SO_REUSEADDR=1,SO_REUSEPORT=0,SO_RCVTIMEO=2000ms,SO_BROADCAST=0,\
        IPV6_ADD_MEMBERSHIP=ff02::fb%lo,uid=0,ino=305";
    const MINI: &str = "     0      0 127.0.0.1:59288         127.0.0.1:80            TIMW";
    check_line(File::Tcp, TCP)?;
    check_line(File::Udp6, UDP6)?;
    check_line(File::Tcp, MINI)?;
    let mistakes = [
        (File::Tcp, TCP, "127.0.0.1:53 ", "127.0.0.01:53"),
        (File::Tcp, TCP, "127.0.0.1:53  ", "127.0.0.1:053 "),
        (File::Tcp, TCP, "127.0.0.1:53  ", "127.0.0.1:0   "),
        (
            File::Tcp,
            TCP,
            "127.0.0.1:53            ",
            "127.0.0.1:53           ",
        ),
        (
            File::Tcp,
            TCP,
            "127.0.0.1:53            ",
            "::ffff:127.0.0.1:53     ",
        ),
        (File::Tcp, TCP, "LSTN    ", "LSTN |< "),
        (File::Tcp, TCP, "LSTN", "LISN"),
        (File::Tcp, TCP, "LSTN", "ESTB"),
        (File::Tcp, TCP, "SO_REUSEADDR=1", "SO_REUSEADDR=3"),
        (File::Tcp, TCP, "SO_REUSEADDR=1,", ""),
        (File::Tcp, TCP, "SO_REUSEPORT=0", "SO_REUSEADR=0"),
        (
            File::Tcp,
            TCP,
            "SO_REUSEPORT=0,SO_KEEPALIVE=0",
            "SO_KEEPALIVE=0,SO_REUSEPORT=0",
        ),
        (File::Tcp, TCP, "SO_MARK=0x2a", "SO_MARK=42"),
        (File::Tcp, TCP, "SO_MARK=0x2a", "SO_MARK=0x02a"),
        (File::Tcp, TCP, "SO_MARK=0x2a", "SO_MARK=0x2a,SO_MARK=0x2a"),
        (File::Tcp, TCP, "SO_MARK=0x2a", "IPV6_MTU=1500"),
        (File::Tcp, TCP, "SO_MARK=0x2a", "UDP_GRO=1"),
        (File::Tcp, TCP, "TCP_DEFER_ACCEPT=0", "TCP_DEFER_ACCEPT=-1"),
        (File::Tcp, TCP, "backlog=32,", ""),
        (File::Tcp, TCP, "uid=0,ino=292", "ino=292,uid=0"),
        (File::Tcp, TCP, "ino=292", "ino=292,"),
        (File::Tcp, TCP, "ino=292", "ino=292 "),
        (File::Tcp, TCP, "ino=292", "ino=+292"),
        (File::Udp6, UDP6, ":::5353 ", "::0:5353"),
        (File::Udp6, UDP6, "2000ms", "2000"),
        (File::Udp6, UDP6, "2000ms", "2s"),
        (File::Udp6, UDP6, "ff02::fb%lo", "fe80::fb%lo"),
        (File::Udp6, UDP6, "ff02::fb%lo", "ff02::fb%"),
        (File::Udp6, UDP6, "ff02::fb%lo", "ff02::fb%lo+"),
        (File::Udp6, UDP6, "     0 ", "    -1 "),
        (File::Udp6, UDP6, "     0      0", "     0     -1"),
        (File::Tcp, TCP, "     0      0", "     0     -1"),
        (File::Tcp, MINI, "TIMW", "ESTB"),
        (File::Tcp, MINI, "TIMW", "TIMW "),
    ];
    for (file, line, from, to) in mistakes {
        let wrong = line.replacen(from, to, 1);
        ensure!(wrong != line, "{from:?} is not in {line:?}");
        ensure!(
            check_line(file, &wrong).is_err(),
            "this is not refused: {wrong:?}"
        );
    }
    let text = format!("{}\n{TCP}\n{MINI}\n", File::Tcp.header());
    ensure!(
        check_piece(File::Tcp, text.as_bytes(), true, true)? == 2,
        "two rows"
    );
    ensure!(
        check_piece(File::Tcp, &text.as_bytes()[5..], false, true)? == 2,
        "two rows"
    );
    for end in 0..text.len() {
        check_piece(File::Tcp, &text.as_bytes()[..end], true, false)?;
        let is_whole = text.as_bytes()[..end].ends_with(b"\n");
        let result = check_piece(File::Tcp, &text.as_bytes()[..end], true, true);
        ensure!(result.is_ok() == is_whole, "cut at {end}: {result:?}");
    }
    Ok(())
}
