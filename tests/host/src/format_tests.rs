// SPDX-License-Identifier: GPL-2.0

//! Compares `format.rs` with the standard library's own printing.

use crate::format::{
    label, Flags, Hex, List, Milliseconds, Name, Range, Seconds, State, Text, Value, TCP_HEADER,
    UDP_HEADER,
};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Returns the text that `write` writes into a buffer of `room` bytes, and whether it was too long.
fn written_into(room: usize, write: impl FnOnce(&mut Text<'_>)) -> (String, bool) {
    let mut buf = vec![b'!'; room];
    let mut line = Text::new(&mut buf);
    write(&mut line);
    let (len, full) = (line.len(), line.is_full());
    assert!(
        buf[len..].iter().all(|byte| *byte == b'!') || full,
        "written behind the end: {buf:?}"
    );
    let text = String::from_utf8(buf[..len].to_vec()).expect("text is ASCII");
    (text, full)
}

fn written(write: impl FnOnce(&mut Text<'_>)) -> String {
    let (text, full) = written_into(512, write);
    assert!(!full);
    text
}

fn value(value: impl Value) -> String {
    written(|line| value.write(line))
}

/// Addresses at the edge cases of RFC 5952, and those for which `std::net` has a name.
fn special_ipv6() -> Vec<Ipv6Addr> {
    let mut all: Vec<Ipv6Addr> = [
        "::",
        "::1",
        "1::",
        "fe80::1",
        "ff02::1:ff00:1",
        "2001:db8::",
        "2001:db8:0:1:1:1:1:1",
        "2001:db8::1:0:0:1",
        "2001:0:0:1::1",
        "0:0:1::",
        "1:0:0:2:0:0:0:3",
        "1:0:0:0:2:0:0:0",
        "0:1:0:1:0:1:0:1",
        "::ffff:0.0.0.0",
        "::ffff:255.255.255.255",
        "::ffff:0:1",
        "64:ff9b::192.0.2.33",
        "::1.2.3.4",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "abcd:ef01:2345:6789:abcd:ef01:2345:6789",
    ]
    .iter()
    .map(|text| text.parse().expect("an address"))
    .collect();
    // Every pattern of zero groups and other groups.
    for pattern in 0..=255_u32 {
        let groups: Vec<u16> = (0..8)
            .map(|i| if (pattern >> i) & 1 == 1 { 0xa0 + i } else { 0 })
            .collect();
        let groups: [u16; 8] = groups.try_into().expect("eight groups");
        all.push(Ipv6Addr::from(groups));
    }
    all
}

#[test]
fn special_ipv6_addresses_read_as_in_std() {
    for address in special_ipv6() {
        assert_eq!(
            written(|line| line.address(address.into())),
            address.to_string()
        );
    }
}

#[test]
fn special_ipv4_addresses_read_as_in_std() {
    for address in ["0.0.0.0", "127.0.0.1", "255.255.255.255", "10.20.100.200"] {
        let address: Ipv4Addr = address.parse().expect("an address");
        assert_eq!(
            written(|line| line.address(address.into())),
            address.to_string()
        );
    }
}

#[test]
fn integers_at_the_limits() {
    assert_eq!(value(u64::MAX), u64::MAX.to_string());
    assert_eq!(value(i64::MIN), i64::MIN.to_string());
    assert_eq!(value(i64::MAX), i64::MAX.to_string());
    assert_eq!(value(i32::MIN), i32::MIN.to_string());
    assert_eq!(value(u8::MAX), u8::MAX.to_string());
    assert_eq!(value(u16::MAX), u16::MAX.to_string());
    assert_eq!(value(0_u32), "0");
    for n in 0..100_000_u32 {
        assert_eq!(value(n), n.to_string());
    }
}

#[test]
fn booleans_and_times() {
    assert_eq!(value(false), "0");
    assert_eq!(value(true), "1");
    assert_eq!(value(Milliseconds(1500)), "1500ms");
    assert_eq!(value(Seconds(0)), "0s");
    assert_eq!(value(Seconds(-1)), "-1s");
}

const COLOURS: &[&str] = &["RED", "GREEN", "BLUE"];

fn colours(flags: u32) -> String {
    value(Flags {
        flags,
        names: COLOURS,
    })
}

#[test]
fn flags_read_by_name() {
    assert_eq!(colours(0), "0x0");
    assert_eq!(colours(1), "RED");
    assert_eq!(colours(6), "GREEN|BLUE");
    assert_eq!(colours(0x8000_0001), "RED|0x80000000");
    assert_eq!(colours(0x18), "0x18");
    // There is a name for each bit, and there are more names than bits.
    assert_eq!(
        value(Flags {
            flags: u32::MAX,
            names: &["F"; 40],
        }),
        ["F"; 32].join("|")
    );
}

#[test]
fn names_cannot_break_a_row() {
    assert_eq!(value(Name(b"eth0\0garbage")), "eth0");
    assert_eq!(value(Name(b"")), "");
    assert_eq!(value(Name(b"a=b|c%d")), "a=b|c%d");
    assert_eq!(value(Name(b"a,b c\\d+e")), "a\\x2cb\\x20c\\x5cd\\x2be");
    assert_eq!(value(Name(b"\n\t\x7f\xff")), "\\x0a\\x09\\x7f\\xff");
}

/// The words of the header stand where the columns of a row begin or end.
#[test]
fn header_and_rows_have_the_same_columns() {
    let row = written(|line| {
        line.queue(1);
        line.queue(2);
        line.endpoint(IpAddr::V4(Ipv4Addr::LOCALHOST), 22);
        line.endpoint(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        line.state(State::Listen);
        line.diag(">|");
        line.str("SO_REUSEADDR=1");
    });
    let column = |text: &str, word: &str| text.find(word).expect("a column of that name");
    assert_eq!(&row[..column(TCP_HEADER, " Send-Q")], "     1");
    assert_eq!(&row[..column(TCP_HEADER, " Local")], "     1      2");
    for (word, text) in [
        ("Local Address", "127.0.0.1:22 "),
        ("Foreign Address", "0.0.0.0:* "),
        ("Stat", "LSTN "),
        ("Diag", ">|   "),
        ("Options", "SO_REUSEADDR=1"),
    ] {
        let column = column(TCP_HEADER, word);
        assert!(row[column..].starts_with(text), "{word} in {row:?}");
    }
    // Every word of the header begins a column of its own, with only spaces in between.
    assert_eq!(
        TCP_HEADER,
        format!(
            "{:>6} {:>6} {:<23} {:<23} {:<4} {:<4} Options\n",
            "Recv-Q", "Send-Q", "Local Address", "Foreign Address", "Stat", "Diag"
        )
    );
    assert_eq!(
        UDP_HEADER,
        format!(
            "{:>6} {:>6} {:<23} {:<23} Options\n",
            "Recv-Q", "Send-Q", "Local Address", "Foreign Address"
        )
    );
}

#[test]
fn state_labels_fill_their_column() {
    for state in [
        State::Established,
        State::SynSent,
        State::SynRecv,
        State::FinWait1,
        State::FinWait2,
        State::TimeWait,
        State::Close,
        State::CloseWait,
        State::LastAck,
        State::Listen,
        State::Closing,
        State::Unknown,
    ] {
        assert_eq!(state.label().len(), 4);
    }
}

fn any_ipv6() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![
        any::<[u16; 8]>().prop_map(Ipv6Addr::from),
        // Addresses with many zeros, and mapped addresses. Random addresses are never like these.
        proptest::array::uniform8(prop_oneof![Just(0_u16), Just(0_u16), any::<u16>()])
            .prop_map(Ipv6Addr::from),
        any::<[u8; 4]>().prop_map(|v4| Ipv4Addr::from(v4).to_ipv6_mapped()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn ipv6_reads_as_in_std(address in any_ipv6()) {
        prop_assert_eq!(written(|line| line.address(address.into())), address.to_string());
    }

    #[test]
    fn ipv4_reads_as_in_std(address: [u8; 4]) {
        let address = Ipv4Addr::from(address);
        prop_assert_eq!(written(|line| line.address(address.into())), address.to_string());
    }

    #[test]
    fn unsigned_reads_as_in_std(n: u64, shift in 0..64_u32) {
        prop_assert_eq!(value(n >> shift), (n >> shift).to_string());
    }

    #[test]
    fn signed_reads_as_in_std(n: i64, shift in 0..64_u32) {
        prop_assert_eq!(value(n >> shift), (n >> shift).to_string());
    }

    #[test]
    fn hex_reads_as_in_std(n: u32, shift in 0..32_u32) {
        prop_assert_eq!(value(Hex(n >> shift)), format!("{:#x}", n >> shift));
    }

    #[test]
    fn seconds_read_as_in_std(n: i32, shift in 0..32_u32) {
        prop_assert_eq!(value(Seconds(n >> shift)), format!("{}s", n >> shift));
    }

    #[test]
    fn range_reads_as_in_std(first: u16, last: u16) {
        prop_assert_eq!(value(Range { first, last }), format!("{first}-{last}"));
    }

    /// The written text, read again, gives the same bits.
    #[test]
    fn flags_are_all_shown(flags: u32, shift in 0..32_u32) {
        let flags = flags >> shift;
        let shown = colours(flags).split('|').fold(0, |shown, word| {
            let bit = COLOURS.iter().position(|name| *name == word);
            shown | match bit {
                Some(bit) => 1 << bit,
                None => u32::from_str_radix(&word[2..], 16).expect("a number"),
            }
        });
        prop_assert_eq!(shown, flags);
    }

    /// Each name reads differently, and none contains a separator of entries or fields.
    #[test]
    fn name_reads_back(name: Vec<u8>) {
        let name: Vec<u8> = name.into_iter().filter(|byte| *byte != 0).take(100).collect();
        let text = value(Name(&name));
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',' && byte != b'+'));
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            bytes.push(match (first, tail) {
                (b'\\', [b'x', high, low, tail @ ..]) => {
                    rest = tail;
                    let digit = |c: u8| char::from(c).to_digit(16).expect("a digit") as u8;
                    (digit(*high) << 4) | digit(*low)
                }
                _ => *first,
            });
        }
        prop_assert_eq!(bytes, name);
    }

    #[test]
    fn queue_reads_as_percent_6d(n: i64, shift in 0..64_u32) {
        prop_assert_eq!(written(|line| line.queue(n >> shift)), format!("{:>6} ", n >> shift));
    }

    #[test]
    fn endpoint_is_padded_to_its_column(v6: bool, v4 in any::<[u8; 4]>(), long in any_ipv6(), port: u16) {
        let address = if v6 { IpAddr::V6(long) } else { IpAddr::V4(Ipv4Addr::from(v4)) };
        let text = written(|line| line.endpoint(address, port));
        let port = if port == 0 { "*".to_owned() } else { port.to_string() };
        prop_assert_eq!(&text, &format!("{:<23} ", format!("{address}:{port}")));
        // The opposite direction: the text parses to the same endpoint.
        let (host, service) = text.trim_end().rsplit_once(':').expect("a colon");
        prop_assert_eq!(host.parse::<IpAddr>().expect("an address"), address);
        prop_assert_eq!(SocketAddr::new(address, service.parse().unwrap_or(0)).port().to_string(),
                        if service == "*" { "0".to_owned() } else { port });
    }

    #[test]
    fn list_is_joined_by_commas(values: Vec<u32>) {
        let text = written_into(64 << 10, |line| {
            let mut list = List::new(line);
            for value in &values {
                list.entry(label!("NAME"), *value);
            }
        }).0;
        let expected: Vec<String> = values.iter().map(|value| format!("NAME={value}")).collect();
        prop_assert_eq!(text, expected.join(","));
    }

    /// In a buffer that is too small, a piece of text is written as a whole or not at all. Nothing
    /// follows a piece that was left out, and nothing is written behind the end.
    #[test]
    fn what_does_not_fit_is_left_out(room in 0..80_usize, n: u64, address in any_ipv6(), port: u16) {
        let write = |line: &mut Text<'_>| {
            line.unsigned(n);
            line.str(" ");
            line.endpoint(IpAddr::V6(address), port);
            line.diag(">|<");
        };
        let whole = written(write);
        let (part, full) = written_into(room, write);
        prop_assert_eq!(full, whole.len() > room);
        prop_assert!(whole.starts_with(&part));
        prop_assert!(full || part == whole);
    }

    #[test]
    fn truncate_makes_room_again(room in 0..40_usize, keep in 0..10_usize) {
        let mut buf = vec![0; room];
        let mut line = Text::new(&mut buf);
        line.str(&"0123456789"[..keep]);
        let kept = line.position();
        let fits = !line.is_full();
        line.str("a text that is much too long for the buffer");
        prop_assert!(line.is_full());
        line.truncate(kept);
        prop_assert!(!line.is_full());
        prop_assert_eq!(line.len(), if fits { keep } else { 0 });
    }

    /// Rows that contain names of interfaces, in a buffer that is too small for some of them.
    #[test]
    fn names_of_interfaces(
        room in 0..2000_usize,
        rows in prop::collection::vec((prop::collection::vec(piece(), 0..6), any::<bool>()), 0..12),
    ) {
        let mut buf = vec![b'!'; room];
        let mut line = Text::new(&mut buf);
        let mut expected = String::new();
        // The number of bytes reserved for rows whose names are not filled in yet.
        let mut kept = 0;
        for (row, resolve) in rows {
            let start = line.position();
            for piece in &row {
                match piece {
                    Piece::Text(text) => line.str(text),
                    Piece::Interface(address, index) => line.interface(*address, *index),
                }
            }
            let text: String = row.iter().map(Piece::text).collect();
            if line.is_full() {
                line.truncate(start);
                // The space for the longest names is reserved.
                let most: usize = row.iter().map(Piece::most).sum();
                prop_assert!(line.len() + kept + most > room, "refuses a row for nothing");
            } else {
                expected.push_str(&text);
                kept += row.iter().map(Piece::most).sum::<usize>();
            }
            // A round of the walk counts the bytes that the names may take.
            prop_assert!(line.taken() >= expected.len());
            if resolve {
                line.resolve(name);
                kept = 0;
                prop_assert_eq!((line.len(), line.taken()), (expected.len(), expected.len()));
            }
        }
        line.resolve(name);
        prop_assert!(!line.is_full());
        let len = line.len();
        prop_assert_eq!(std::str::from_utf8(&buf[..len]), Ok(expected.as_str()));
    }
}

/// A piece of a row.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Interface(Option<IpAddr>, u32),
}

impl Piece {
    /// The text of the piece, with the name.
    fn text(&self) -> String {
        match self {
            Piece::Text(text) => text.clone(),
            Piece::Interface(address, index) => {
                let address = address.map_or(String::new(), |address| format!("{address}%"));
                let name = match name(*index) {
                    None => format!("if{index}"),
                    Some(name) => name
                        .iter()
                        .take_while(|byte| **byte != 0)
                        .map(|byte| match byte {
                            b'+' => "\\x2b".to_owned(),
                            byte => char::from(*byte).to_string(),
                        })
                        .collect(),
                };
                address + &name
            }
        }
    }

    /// The most bytes that are reserved for the piece.
    fn most(&self) -> usize {
        match self {
            Piece::Text(text) => text.len(),
            Piece::Interface(..) => 39 + 1 + 60 + 16,
        }
    }
}

fn piece() -> impl Strategy<Value = Piece> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        Just(IpAddr::from([0xff; 16])),
    ];
    prop_oneof![
        "[a-z=,]{0,30}".prop_map(Piece::Text),
        (prop::option::of(address), 0..6_u32)
            .prop_map(|(address, index)| Piece::Interface(address, index)),
    ]
}

/// Interfaces with names of all lengths, with unusual names, and one that no longer exists.
fn name(index: u32) -> Option<[u8; 16]> {
    let name: &[u8] = match index {
        0 => b"eth0",
        1 => b"lo",
        2 => b"+++++++++++++++",
        3 => b"wlp0s20f3.12345",
        4 => b"eth+",
        _ => return None,
    };
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name);
    Some(bytes)
}
