// SPDX-License-Identifier: GPL-2.0

//! Compares `format.rs` with the output of the standard library, on any input.
//!
//! An input is the size of a buffer and a list of calls. After each call, the [`Text`] must have
//! grown by the text that the model expects. If that text does not fit, the [`Text`] must be full.
//! Nothing around the buffer may be written to.

#![no_main]

#[expect(dead_code, reason = "not all of it writes text")]
#[path = "../../../format.rs"]
mod format;
#[path = "../../guest/src/signs.rs"]
mod signs;

use crate::format::{label, Flags, Hex, List, Milliseconds, Name, Range, Seconds, State, Text};
use crate::signs::SIGNS;
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The number of bytes on both sides of the buffer.
const FENCE: usize = 64;

/// The value of all bytes in and around the buffer before anything is written.
const BLANK: u8 = 0xa5;

/// Numbers that matter, and that inputs hardly ever contain.
const EDGES: [u64; 6] = [
    0,
    10,
    i32::MIN as u32 as u64,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX,
];

/// A number. It is shifted to the right, because few random numbers are small, or is one of
/// [`EDGES`].
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Number(u64, u8);

impl Number {
    fn edge(self) -> Option<u64> {
        EDGES.get(usize::from(self.1 % 64)).copied()
    }

    fn unsigned(self) -> u64 {
        self.edge().unwrap_or(self.0 >> (self.1 / 4))
    }

    fn signed(self) -> i64 {
        let edge = self.edge().map(|edge| edge as i64);
        edge.unwrap_or(self.0 as i64 >> (self.1 / 4))
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Address {
    V4([u8; 4]),
    /// The groups, and a bit for each group that is zero.
    V6([u16; 8], u8),
    Mapped([u8; 4]),
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        match address {
            Address::V4(octets) => Ipv4Addr::from(octets).into(),
            Address::V6(mut groups, zeros) => {
                for (i, group) in groups.iter_mut().enumerate() {
                    if (zeros >> i) & 1 == 1 {
                        *group = 0;
                    }
                }
                Ipv6Addr::from(groups).into()
            }
            Address::Mapped(octets) => Ipv4Addr::from(octets).to_ipv6_mapped().into(),
        }
    }
}

/// The value of an entry of a list.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Value<'a> {
    Bool(bool),
    U8(u8),
    U16(u16),
    U32(Number),
    U64(Number),
    I16(i16),
    I32(Number),
    I64(Number),
    Milliseconds(Number),
    Seconds(Number),
    Hex(Number),
    Range(u16, u16),
    Flags(Number, u8),
    Name(&'a [u8]),
}

const FLAGS: [&[&str]; 3] = [&[], &["RED", "GREEN", "BLUE"], &["F"; 40]];

impl Value<'_> {
    /// The expected text of the value.
    fn text(&self) -> String {
        match *self {
            Value::Bool(value) => u8::from(value).to_string(),
            Value::U8(n) => n.to_string(),
            Value::U16(n) => n.to_string(),
            Value::U32(n) => (n.unsigned() as u32).to_string(),
            Value::U64(n) => n.unsigned().to_string(),
            Value::I16(n) => n.to_string(),
            Value::I32(n) => (n.signed() as i32).to_string(),
            Value::I64(n) => n.signed().to_string(),
            Value::Milliseconds(n) => format!("{}ms", n.unsigned()),
            Value::Seconds(n) => format!("{}s", n.signed() as i32),
            Value::Hex(n) => format!("{:#x}", n.unsigned() as u32),
            Value::Range(first, last) => format!("{first}-{last}"),
            Value::Flags(n, names) => {
                let flags = n.unsigned() as u32;
                let names = FLAGS[usize::from(names) % FLAGS.len()];
                let has_name = |bit: &usize| *bit < names.len();
                let set = (0..32).filter(|bit| (flags >> bit) & 1 == 1);
                let rest = set.clone().filter(|bit| !has_name(bit));
                let rest = rest.fold(0_u32, |rest, bit| rest | (1 << bit));
                let mut words: Vec<String> = set
                    .filter(has_name)
                    .map(|bit| names[bit].to_owned())
                    .collect();
                if rest != 0 || words.is_empty() {
                    words.push(format!("{rest:#x}"));
                }
                words.join("|")
            }
            Value::Name(name) => {
                let mut text = String::new();
                for byte in name.split(|byte| *byte == 0).next().unwrap_or_default() {
                    match char::from(*byte) {
                        c @ ('!'..='~') if !",+\\".contains(c) => text.push(c),
                        _ => write!(text, "\\x{byte:02x}").expect("a String takes all"),
                    }
                }
                text
            }
        }
    }

    /// Appends an entry in one of the two ways.
    fn write(&self, list: &mut List<'_, '_>, rare: bool) {
        macro_rules! entry {
            ($value:expr) => {
                if rare {
                    list.rare_entry("RARE", $value)
                } else {
                    list.entry(label!("OPTION"), $value)
                }
            };
        }
        match *self {
            Value::Bool(value) => entry!(value),
            Value::U8(n) => entry!(n),
            Value::U16(n) => entry!(n),
            Value::U32(n) => entry!(n.unsigned() as u32),
            Value::U64(n) => entry!(n.unsigned()),
            Value::I16(n) => entry!(n),
            Value::I32(n) => entry!(n.signed() as i32),
            Value::I64(n) => entry!(n.signed()),
            Value::Milliseconds(n) => entry!(Milliseconds(n.unsigned())),
            Value::Seconds(n) => entry!(Seconds(n.signed() as i32)),
            Value::Hex(n) => entry!(Hex(n.unsigned() as u32)),
            Value::Range(first, last) => entry!(Range { first, last }),
            Value::Flags(n, names) => entry!(Flags {
                flags: n.unsigned() as u32,
                names: FLAGS[usize::from(names) % FLAGS.len()],
            }),
            Value::Name(name) => entry!(Name(name)),
        }
    }
}

const STATES: [(State, &str); 12] = [
    (State::Established, "ESTB"),
    (State::SynSent, "SYNS"),
    (State::SynRecv, "SYNR"),
    (State::FinWait1, "FNW1"),
    (State::FinWait2, "FNW2"),
    (State::TimeWait, "TIMW"),
    (State::Close, "CLSD"),
    (State::CloseWait, "CLSW"),
    (State::LastAck, "LACK"),
    (State::Listen, "LSTN"),
    (State::Closing, "CLSG"),
    (State::Unknown, "????"),
];

fn sign(index: u8) -> &'static str {
    SIGNS[usize::from(index) % SIGNS.len()]
}

/// A call.
#[derive(Arbitrary, Clone, Debug)]
enum Call<'a> {
    Put(&'a [u8]),
    Str(&'a str),
    Fixed([u8; 9]),
    Unsigned(Number),
    Signed(Number),
    Queue(Number),
    Endpoint(Address, u16),
    Address(Address),
    State(u8),
    Diag(u8),
    List(Vec<(bool, Value<'a>)>),
    Truncate(u16),
}

impl Call<'_> {
    /// The text that the call must append.
    fn text(&self) -> Vec<u8> {
        match self {
            Call::Put(bytes) => return bytes.to_vec(),
            Call::Fixed(bytes) => return bytes.to_vec(),
            Call::Str(text) => (*text).to_owned(),
            Call::Unsigned(n) => n.unsigned().to_string(),
            Call::Signed(n) => n.signed().to_string(),
            Call::Queue(n) => format!("{:>6} ", n.signed()),
            Call::Endpoint(address, port) => {
                let port = match port {
                    0 => "*".to_owned(),
                    port => port.to_string(),
                };
                format!("{:<23} ", format!("{}:{port}", IpAddr::from(*address)))
            }
            Call::Address(address) => IpAddr::from(*address).to_string(),
            Call::State(state) => STATES[usize::from(*state) % STATES.len()].1.to_owned(),
            Call::Diag(diag) => format!(" {:<4} ", sign(*diag)),
            Call::List(entries) => {
                let entries = entries.iter().map(|(rare, value)| {
                    let value = value.text();
                    assert!(
                        value
                            .bytes()
                            .all(|byte| byte.is_ascii_graphic() && byte != b','),
                        "{value:?} breaks a row"
                    );
                    format!("{}={value}", if *rare { "RARE" } else { "OPTION" })
                });
                entries.collect::<Vec<_>>().join(",")
            }
            Call::Truncate(_) => String::new(),
        }
        .into_bytes()
    }

    fn make(&self, line: &mut Text<'_>) {
        match self {
            Call::Put(bytes) => line.put(bytes),
            Call::Str(text) => line.str(text),
            Call::Fixed(bytes) => line.fixed(bytes),
            Call::Unsigned(n) => line.unsigned(n.unsigned()),
            Call::Signed(n) => line.signed(n.signed()),
            Call::Queue(n) => line.queue(n.signed()),
            Call::Endpoint(address, port) => line.endpoint((*address).into(), *port),
            Call::Address(address) => line.address((*address).into()),
            Call::State(state) => line.state(STATES[usize::from(*state) % STATES.len()].0),
            Call::Diag(diag) => line.diag(sign(*diag)),
            Call::List(entries) => {
                let mut list = List::new(line);
                for (rare, value) in entries {
                    value.write(&mut list, *rare);
                }
            }
            Call::Truncate(_) => {}
        }
    }
}

/// The size of a buffer, and the calls that write to it.
#[derive(Arbitrary, Debug)]
struct Input<'a> {
    room: u16,
    calls: Vec<Call<'a>>,
}

fuzz_target!(|input: Input<'_>| {
    let room = usize::from(input.room % 1024);
    let mut buffer = vec![BLANK; FENCE + room + FENCE];
    let mut line = Text::new(&mut buffer[FENCE..FENCE + room]);
    let mut text = Vec::new();
    let mut full = false;
    // The former ends of the text.
    let mut positions = vec![line.position()];
    let mut lengths = vec![0];
    for call in &input.calls {
        call.make(&mut line);
        if let Call::Truncate(number) = call {
            let number = usize::from(*number) % positions.len();
            positions.truncate(number + 1);
            lengths.truncate(number + 1);
            line.truncate(positions[number]);
            text.truncate(lengths[number]);
            full = false;
        } else if !full {
            let more = call.text();
            full = text.len() + more.len() > room;
            let fits = if full {
                // The bytes that the call wrote before something did not fit.
                line.len().checked_sub(text.len()).expect("not shorter")
            } else {
                more.len()
            };
            text.extend(&more[..fits]);
            positions.push(line.position());
            lengths.push(text.len());
        }
        assert_eq!(line.is_full(), full, "{call:?}");
        assert_eq!(line.len(), text.len(), "{call:?}");
        assert!(line.len() <= room, "{call:?}");
    }

    let (before, rest) = buffer.split_at(FENCE);
    let (within, behind) = rest.split_at(room);
    assert_eq!(
        String::from_utf8_lossy(&within[..text.len()]),
        String::from_utf8_lossy(&text)
    );
    assert!(
        [before, behind].concat().iter().all(|byte| *byte == BLANK),
        "written outside of the buffer"
    );
});
