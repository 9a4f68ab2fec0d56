// SPDX-License-Identifier: GPL-2.0

//! The command `knetstat` on any row and any filter.
//!
//! An input is a row of one of the four files, as its fields or as bytes, and two filters. Nothing
//! may panic. A row that was written as the kernel writes it must be read as it was meant. Whatever
//! is understood must be the same in all that is printed of it: on one line for a script, within
//! the width of a terminal, and as JSON. And what joins filters must mean what it says.

#![no_main]

#[path = "../../guest/src/signs.rs"]
mod signs;

use crate::signs::SIGNS;
use arbitrary::Arbitrary;
use knetstat::model::filter::{Filter, KnownOwners};
use knetstat::model::options;
use knetstat::model::row::{Row, State};
use knetstat::model::words::WORDS;
use knetstat::print::json::JsonPrinter;
use knetstat::print::layout::Layout;
use knetstat::print::printer::Printer;
use knetstat::source::files::{Family, File, Netid};
use knetstat::source::process::Owner;
use knetstat::source::services::Services;
use knetstat::source::text::readable;
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

static SERVICES: LazyLock<Services> = LazyLock::new(|| {
    Services::parse("ssh 22/tcp\nhttp 80/tcp\nhttp 80/udp\nodd 7/tcp\nodd 8/udp\n")
});

const FILES: [File; 4] = {
    const fn file(netid: Netid, family: Family) -> File {
        File { netid, family }
    }
    [
        file(Netid::Tcp, Family::Inet),
        file(Netid::Tcp, Family::Inet6),
        file(Netid::Udp, Family::Inet),
        file(Netid::Udp, Family::Inet6),
    ]
};

/// A name of an option, mostly one that is known.
fn name(index: u8) -> &'static str {
    let all = options::all();
    all.get(usize::from(index))
        .map_or("TCP_NEW", |info| info.name)
}

/// The value of an option.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Value<'a> {
    Small(u8),
    Number(i64),
    Hex(u32),
    Milliseconds(u64),
    Seconds(i32),
    Text(&'a str),
}

impl Value<'_> {
    fn text(self) -> String {
        match self {
            Value::Small(n) => n.to_string(),
            Value::Number(n) => n.to_string(),
            Value::Hex(n) => format!("{n:#x}"),
            Value::Milliseconds(n) => format!("{n}ms"),
            Value::Seconds(n) => format!("{n}s"),
            // All that format.rs lets through.
            Value::Text(text) => text
                .chars()
                .filter(|c| c.is_ascii_graphic() && *c != ',')
                .collect(),
        }
    }
}

/// The contents of a row.
#[derive(Arbitrary, Clone, Debug)]
struct Fields<'a> {
    queues: [i32; 2],
    addresses: [[u8; 16]; 2],
    ports: [u16; 2],
    state: u8,
    diag: u8,
    options: Vec<(u8, Value<'a>)>,
    backlog: Option<u32>,
    drops: Option<u32>,
    /// User and inode, unless the kernel keeps addresses only.
    whose: Option<(u32, u64)>,
}

impl Fields<'_> {
    fn address(&self, side: usize, file: File) -> IpAddr {
        let bytes = self.addresses[side];
        match file.family {
            Family::Inet => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
            Family::Inet6 => Ipv6Addr::from(bytes).into(),
        }
    }

    fn state(&self) -> (State, &'static str) {
        let (state, label, _) = State::ALL[usize::from(self.state) % State::ALL.len()];
        (state, label)
    }

    fn diag(&self) -> &'static str {
        SIGNS[usize::from(self.diag) % SIGNS.len()]
    }

    fn options(&self) -> Vec<(&'static str, String)> {
        let named = self.options.iter();
        named
            .map(|(index, value)| (name(*index), value.text()))
            .collect()
    }

    /// As the kernel writes it.
    fn text(&self, file: File) -> String {
        let mut entries: Vec<_> = self
            .options()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        entries.extend(self.backlog.map(|n| format!("backlog={n}")));
        entries.extend(self.drops.map(|n| format!("drops={n}")));
        if let Some((uid, ino)) = self.whose {
            entries.push(format!("uid={uid},ino={ino}"));
        }
        let endpoint = |side: usize| {
            let port = match self.ports[side] {
                0 => "*".to_owned(),
                port => port.to_string(),
            };
            format!("{}:{port}", self.address(side, file))
        };
        let stat = match file.netid {
            Netid::Tcp => format!("{} {:4} ", self.state().1, self.diag()),
            Netid::Udp => String::new(),
        };
        let [recv_q, send_q] = self.queues;
        format!(
            "{recv_q:6} {send_q:6} {:23} {:23} {stat}{}",
            endpoint(0),
            endpoint(1),
            entries.join(",")
        )
    }

    /// Whether this is what was read.
    fn check(&self, file: File, row: &Row<'_>) {
        assert_eq!([row.recv_q, row.send_q], self.queues.map(i64::from));
        for (side, endpoint) in [&row.local, &row.foreign].into_iter().enumerate() {
            let address = self.address(side, file);
            assert_eq!(
                (endpoint.address, endpoint.port),
                (address, self.ports[side])
            );
            assert_eq!(endpoint.text, address.to_string());
        }
        if file.netid == Netid::Tcp {
            assert_eq!((row.state, row.diag), (self.state().0, self.diag()));
        }
        let options = self.options();
        let expected = options.iter().map(|(name, value)| (*name, value.as_str()));
        assert!(row.options.iter().eq(expected));
        assert_eq!(row.backlog, self.backlog.map(u64::from));
        assert_eq!(row.drops, self.drops.map(u64::from));
        assert_eq!(row.uid, self.whose.map(|(uid, _)| uid.into()));
        assert_eq!(row.ino, self.whose.map(|(_, ino)| ino));
    }
}

#[derive(Arbitrary, Clone, Debug)]
enum Line<'a> {
    Bytes(&'a [u8]),
    Fields(Fields<'a>),
    /// With bytes at some places that are others.
    Damaged(Fields<'a>, Vec<(u8, u8)>),
}

/// A word of a filter.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Word<'a> {
    Known(u8),
    Option(u8),
    Number(u16),
    Text(&'a str),
    /// A filter by itself: words alone hardly ever make one.
    Comparison(u8, u8, u16),
}

const COMPARED: [(&str, &str); 7] = [
    ("sport", ":"),
    ("dport", ":"),
    ("uid", ""),
    ("ino", ""),
    ("backlog", ""),
    ("drops", ""),
    ("TCP_KEEPIDLE", ""),
];

const OPERATORS: [&str; 6] = ["=", "!=", "<", "<=", ">", ">="];

/// Other words of filters than those of the parser's table: operators, operands and states.
const OPERANDS: [&str; 38] = [
    "all",
    "established",
    "listening",
    "lo",
    "0x1/0x3",
    "inet:any",
    "inet6::22",
    "10/8",
    "*%lo",
    "localhost",
    "LISTEN",
    "autobound",
    "=",
    "!=",
    ">",
    "<",
    ">=",
    "<=",
    "(",
    ")",
    "!",
    "&",
    "||",
    ":ssh",
    "[::1]:5",
    "::/0",
    "1.2.3.4/8",
    "*",
    "*:80",
    "diag=no-ack",
    "diag!=own-window",
    "'x'",
    "\"",
    "=0",
    "=1",
    ">1s",
    "nginx",
    "cubic",
];

impl Word<'_> {
    fn text(self) -> String {
        match self {
            Word::Known(index) => {
                let index = usize::from(index) % (WORDS.len() + OPERANDS.len());
                let name = WORDS.get(index).map(|word| word.name);
                name.unwrap_or_else(|| OPERANDS[index - WORDS.len()])
                    .to_owned()
            }
            Word::Option(index) => name(index).to_owned(),
            Word::Number(n) => n.to_string(),
            Word::Text(text) => text.to_owned(),
            Word::Comparison(what, how, n) => {
                let (name, mark) = COMPARED[usize::from(what) % COMPARED.len()];
                let operator = OPERATORS[usize::from(how) % OPERATORS.len()];
                format!("{name} {operator} {mark}{n}")
            }
        }
    }
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    file: u8,
    line: Line<'a>,
    filters: [Vec<Word<'a>>; 2],
    width: u8,
    /// The processes that have the socket open.
    owners: Vec<(&'a str, i32, i32)>,
    /// Whether others may have it open, too.
    may_lack: bool,
}

fn parse(text: &str) -> Option<Filter> {
    let filter = Filter::parse(&[text.to_owned()], &SERVICES);
    filter
        .map_err(|err| assert!(err.to_string().contains('^'), "{err} is nowhere"))
        .ok()
}

/// Filters that are made of others, of which nobody needs to know what they mean.
fn check_filters(filters: &[Vec<Word<'_>>; 2], row: Option<&Row<'_>>, owners: KnownOwners<'_>) {
    let [a, b] = filters.each_ref().map(|words| {
        // Fewer than can be nested too deeply.
        let words: Vec<_> = words.iter().take(64).map(|word| word.text()).collect();
        words.join(" ")
    });
    let parsed = [&a, &b].map(|text| parse(text));
    let (Some(row), [Some(first), Some(second)]) = (row, parsed) else {
        return;
    };
    let (is_a, is_b) = (first.test(row, owners), second.test(row, owners));
    // A filter in brackets is not empty, and does not begin with states.
    let can_be_joined =
        |text: &str, filter: &Filter| !text.trim().is_empty() && filter.states.is_none();
    if !can_be_joined(&a, &first) || !can_be_joined(&b, &second) {
        return;
    }
    for (text, expected) in [
        (format!("( {a} )"), is_a),
        (format!("not ( {a} )"), !is_a),
        (format!("!({a})"), !is_a),
        (format!("( {a} ) and ( {b} )"), is_a.and(|| is_b)),
        (format!("({a})({b})"), is_a.and(|| is_b)),
        (format!("( {a} ) or ( {b} )"), is_a.or(|| is_b)),
        (
            format!("not ( {a} ) or ({b}) and ({a})"),
            (!is_a).or(|| is_b).and(|| is_a),
        ),
    ] {
        let filter = parse(&text).unwrap_or_else(|| panic!("{text} is no filter"));
        assert_eq!(filter.test(row, owners), expected, "{text}");
    }
}

fn printed(mut layout: Layout, row: &Row<'_>, owners: &[Owner]) -> String {
    let mut out = Vec::new();
    if layout.is_for_a_terminal() {
        layout.measure(row, owners);
    }
    layout.row(&mut out, row, owners).expect("a Vec takes all");
    let text = String::from_utf8(out).expect("a row is text");
    let text = text.strip_suffix('\n').expect("a row is a line");
    text.to_owned()
}

/// The row of which this was printed, for a script.
fn unprinted(text: &str, netid: Netid) -> String {
    let mut words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
    assert_eq!(words.len(), 8, "{text}");
    assert_eq!(words.remove(0), netid.name());
    if netid == Netid::Udp {
        let state = words.remove(4);
        assert!(["ESTB", "CLSD"].contains(&state), "{text}");
    }
    words.retain(|word| *word != "-");
    words.join(" ")
}

fn check_printed(row: &Row<'_>, owners: &[Owner], width: u8) {
    let line = printed(Layout::new(None, false, false), row, owners);
    assert!(
        line.bytes().all(|byte| matches!(byte, b' '..=b'~')),
        "{line:?}"
    );
    let again = unprinted(&line, row.file.netid);
    assert_eq!(
        Row::parse(row.file, again.as_bytes()).as_ref(),
        Some(row),
        "{again}"
    );

    // Names of processes do not break it, and nothing is before them that was not there.
    let with_processes = printed(Layout::new(None, true, false), row, owners);
    assert!(with_processes.starts_with(&line) && !with_processes.contains(char::is_control));

    // On a terminal, the list lacks the inode, and options that have their defaults.
    let compact = |text: &str| text.replace([' ', '\n'], "");
    let mut layout = Layout::new(None, false, false);
    layout.set_width(width.into());
    let wrapped = printed(layout, row, owners);
    let list = row.joined();
    let before = compact(&line);
    let before = before.strip_suffix(list.as_str()).unwrap_or(&before);
    let shown = compact(&wrapped);
    let shown = shown
        .strip_prefix(before)
        .expect("the columns are the same");
    let mut shown: Vec<_> = shown
        .split(',')
        .filter(|entry| !["", "-"].contains(entry))
        .collect();
    shown.reverse();
    for entry in list.split(',').filter(|entry| !entry.is_empty()) {
        let name = entry.split('=').next().unwrap_or_default();
        let may_lack = name == "ino" || options::by_name(name).is_some();
        match shown.pop() {
            Some(other) if other == entry => {}
            other => {
                assert!(may_lack, "{entry} is missing: {wrapped}");
                shown.extend(other);
            }
        }
    }
    assert!(shown.is_empty(), "{shown:?}: {wrapped}");
    for below in wrapped.lines().skip(1) {
        let is_one_entry = below.trim_end_matches(',').find(',').is_none();
        assert!(below.starts_with("        "), "{wrapped}");
        assert!(below.len() <= width.into() || is_one_entry, "{wrapped}");
    }

    let verbose = printed(Layout::new(None, false, true), row, owners);
    let options = verbose.lines().skip(1).map(str::trim_start);
    let entries = row
        .options
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let numbers = [
        ("backlog", row.backlog),
        ("drops", row.drops),
        ("uid", row.uid),
        ("ino", row.ino),
    ];
    let numbers = numbers
        .iter()
        .filter_map(|(name, n)| n.map(|n| format!("{name}={n}")));
    assert!(entries.chain(numbers).eq(options), "{verbose}");
}

fn check_json(row: &Row<'_>, owners: &[Owner]) {
    let mut out = Vec::new();
    JsonPrinter::new(Box::new(&mut out), true, true)
        .row(row, b"", owners)
        .expect("a Vec takes all");
    let object: serde_json::Value = serde_json::from_slice(&out).expect("it is JSON");
    assert_eq!(object["recv_q"], row.recv_q);
    assert_eq!(object["send_q"], row.send_q);
    assert_eq!(object["state"], row.state.long());
    for (name, endpoint) in [("local", &row.local), ("foreign", &row.foreign)] {
        assert_eq!(object[name]["address"], endpoint.text);
        assert_eq!(object[name]["port"], endpoint.port);
    }
    for (name, n) in [
        ("backlog", row.backlog),
        ("drops", row.drops),
        ("uid", row.uid),
        ("ino", row.ino),
    ] {
        assert_eq!(object[name].as_u64(), n);
    }
    for (name, _) in row.options.iter() {
        // An object has the last one, if there are several.
        let last = row
            .options
            .iter()
            .filter(|(other, _)| *other == name)
            .last();
        let text = last.expect("there is one").1;
        let value = &object["options"][name];
        let mut known = options::all().iter();
        let is_text = known.any(|info| info.name == name && !info.kind.is_number());
        let n = value
            .as_u64()
            .map(i128::from)
            .or(value.as_i64().map(i128::from));
        match n {
            Some(n) => assert!(
                !is_text && options::number(text) == Some(n),
                "{name}={text}"
            ),
            // A number that not every reader of JSON keeps is a string of its digits.
            None => match options::number(text).filter(|_| !is_text) {
                Some(n) if n.unsigned_abs() >= 1 << 53 => assert_eq!(value, &n.to_string()),
                Some(n) => panic!("{name}={text} should be {n}"),
                None => assert_eq!(value, &*readable(text)),
            },
        }
    }
    let names = object["processes"].as_array().expect("they were given");
    assert!(names
        .iter()
        .map(|process| process["name"].as_str().expect("a name is text"))
        .eq(owners.iter().map(|owner| owner.name().to_text())));
}

/// A line that cannot be parsed is shown as it is, but not on a terminal.
fn check_unparsed(file: File, line: &[u8], width: u8) {
    let mut layout = Layout::new(None, false, false);
    let mut out = Vec::new();
    layout.raw(&mut out, line).expect("a Vec takes all");
    assert_eq!(out, [line, b"\n"].concat());
    layout.set_width(width.into());
    out.clear();
    layout.raw(&mut out, line).expect("a Vec takes all");
    let text = String::from_utf8(out).expect("it is text");
    assert_eq!(text.find(char::is_control), Some(text.len() - 1));
    let mut out = Vec::new();
    JsonPrinter::new(Box::new(&mut out), true, true)
        .unparsed(file, line)
        .expect("a Vec takes all");
    let object: serde_json::Value = serde_json::from_slice(&out).expect("it is JSON");
    assert_eq!(object["raw"], *String::from_utf8_lossy(line));
}

fuzz_target!(|input: Input<'_>| {
    let file = FILES[usize::from(input.file) % FILES.len()];
    let line = match &input.line {
        Line::Bytes(bytes) => bytes.to_vec(),
        Line::Fields(fields) => fields.text(file).into_bytes(),
        Line::Damaged(fields, bytes) => {
            let mut line = fields.text(file).into_bytes();
            let len = line.len();
            for (at, byte) in bytes {
                line[usize::from(*at) % len] = *byte;
            }
            line
        }
    };
    let owners: Vec<_> = input
        .owners
        .iter()
        .map(|(name, pid, fd)| Owner::new(*name, *pid, *fd))
        .collect();

    let row = Row::parse(file, &line);
    if let Line::Fields(fields) = &input.line {
        let row = row.as_ref();
        fields.check(file, row.expect("it is as the kernel writes it"));
    }
    let known = KnownOwners::new(&owners, input.may_lack);
    check_filters(&input.filters, row.as_ref(), known);
    match &row {
        Some(row) => {
            assert_eq!(Family::of_line(&line), file.family);
            check_printed(row, &owners, input.width);
            check_json(row, &owners);
        }
        None => check_unparsed(file, &line, input.width),
    }
});
