// SPDX-License-Identifier: GPL-2.0

//! How rows are printed: for a person, for a script, and as JSON.

use crate::commands::summary::By;
use crate::commands::watch::{self, Change, Event, Kept, Value};
use crate::model::options::{self, Info, Kind};
use crate::model::row::{Endpoint, File, Netid, Options, Row};
use crate::source::process::Holder;
use crate::source::services::Services;
use anstyle::{AnsiColor, Style};
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};

/// How.
#[derive(Debug)]
pub struct Printer {
    /// Names of ports, unless there are to be numbers.
    pub services: Option<Services>,
    pub processes: bool,
    pub verbose: bool,
    pub color: bool,
    /// Options whose defaults are printed, too, with `verbose`.
    pub asked: Vec<(&'static Info, [Option<i128>; 2])>,
    /// Of the terminal; `None`: it is none, and each row is a line.
    width: Option<usize>,
    columns: Columns,
    line: String,
    /// How much of the line a terminal does not show.
    unseen: usize,
}

/// How wide the columns are whose width is not the same in all rows.
#[derive(Debug)]
struct Columns {
    queues: [usize; 2],
    ends: [usize; 2],
}

impl Columns {
    /// As in the files.
    const FIXED: Columns = Columns {
        queues: [6; 2],
        ends: [23; 2],
    };
    /// As narrow as their names.
    const NARROW: Columns = Columns {
        queues: [RECV_Q.len(), SEND_Q.len()],
        ends: [LOCAL.len(), FOREIGN.len()],
    };
}

const RECV_Q: &str = "Recv-Q";
const SEND_Q: &str = "Send-Q";
const LOCAL: &str = "Local Address";
const FOREIGN: &str = "Foreign Address";
const COUNT: &str = "Count";

const DIAG: Style = AnsiColor::Red.on_default().bold();
const HEADER: Style = Style::new().bold();
const PROCESS: Style = AnsiColor::Cyan.on_default();

impl Printer {
    pub fn new(services: Option<Services>, processes: bool, verbose: bool) -> Self {
        Self {
            services,
            processes,
            verbose,
            color: false,
            asked: Vec::new(),
            width: None,
            columns: Columns::FIXED,
            line: String::new(),
            unseen: 0,
        }
    }

    /// From now on, columns are as wide as what was measured, and what is too long for the terminal
    /// goes below.
    pub fn set_width(&mut self, width: usize) {
        self.width = Some(width);
        self.columns = Columns::NARROW;
    }

    pub fn is_for_a_terminal(&self) -> bool {
        self.width.is_some()
    }

    /// Makes the columns so wide that this row fits. They never become narrower: what was printed
    /// with them stays where it is.
    pub fn measure(&mut self, row: &Row<'_>) {
        for (width, n) in self.columns.queues.iter_mut().zip([row.recv_q, row.send_q]) {
            *width = (*width).max(n.to_string().len());
        }
        for (i, endpoint) in [&row.local, &row.foreign].into_iter().enumerate() {
            let len = self.endpoint(row.file.netid, endpoint).len();
            self.columns.ends[i] = self.columns.ends[i].max(len);
        }
    }

    fn start(&mut self) {
        self.line.clear();
        self.unseen = 0;
    }

    fn styled(&mut self, style: Style, text: &str) {
        if self.color && !text.is_empty() {
            let before = self.line.len();
            let _ = write!(self.line, "{style}{text}{style:#}");
            self.unseen += self.line.len() - before - text.len();
        } else {
            self.line += text;
        }
    }

    pub fn header(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Columns {
            queues: [recv_q, send_q],
            ends: [local, foreign],
        } = self.columns;
        let process = if self.processes { " Process" } else { "" };
        let text = format!(
            "Netid {RECV_Q:>recv_q$} {SEND_Q:>send_q$} {LOCAL:local$} {FOREIGN:foreign$} \
            Stat Diag Options{process}",
        );
        self.start();
        self.styled(HEADER, &text);
        writeln!(out, "{}", self.line)
    }

    fn endpoint(&self, netid: Netid, endpoint: &Endpoint<'_>) -> String {
        let name = self
            .services
            .as_ref()
            .and_then(|services| services.name(netid, endpoint.port));
        match (endpoint.port, name) {
            (0, _) => format!("{}:*", endpoint.text),
            (_, Some(name)) => format!("{}:{name}", endpoint.text),
            (port, None) => format!("{}:{port}", endpoint.text),
        }
    }

    /// Both ends, and the state.
    fn ends(&mut self, row: &Row<'_>) {
        for (endpoint, width) in [&row.local, &row.foreign]
            .into_iter()
            .zip(self.columns.ends)
        {
            let text = self.endpoint(row.file.netid, endpoint);
            let _ = write!(self.line, "{text:width$} ");
        }
        self.line += row.state.label();
        self.line.push(' ');
    }

    /// A row. Each line has all fields: what is empty is `-`.
    pub fn row(
        &mut self,
        out: &mut dyn Write,
        row: &Row<'_>,
        holders: &[Holder],
    ) -> io::Result<()> {
        let [recv_q, send_q] = self.columns.queues;
        self.start();
        let _ = write!(
            self.line,
            "{:5} {:recv_q$} {:send_q$} ",
            row.file.netid.name(),
            row.recv_q,
            row.send_q
        );
        self.ends(row);
        match row.diag {
            "" => self.line += "-    ",
            diag => {
                self.styled(DIAG, diag);
                // A blank at least, whatever newer modules show there.
                for _ in diag.len()..5.max(diag.len() + 1) {
                    self.line.push(' ');
                }
            }
        }
        if self.verbose {
            self.users_only(holders);
            self.one_a_line(row);
            return out.write_all(self.line.as_bytes());
        }
        let holders = self.processes.then_some(holders);
        self.list(&joined(row), holders);
        out.write_all(self.line.as_bytes())
    }

    /// Ends a line that is followed by others, for the options.
    fn users_only(&mut self, holders: &[Holder]) {
        self.line.truncate(self.line.trim_end().len());
        if self.processes && !holders.is_empty() {
            self.line.push(' ');
            self.styled(PROCESS, &users(holders));
        }
        self.line.push('\n');
    }

    /// Ends a line by a list and, if they are asked for, the processes.
    fn list(&mut self, list: &str, holders: Option<&[Holder]>) {
        let users = holders.map_or(String::new(), users);
        let list = if list.is_empty() { "-" } else { list };
        let behind = holders.map_or(0, |_| 1 + users.len().max(1));
        let columns = self.line.len() - self.unseen + list.len() + behind;
        match self.width.filter(|width| columns > *width) {
            // What does not fit goes below.
            Some(width) => {
                self.styled(PROCESS, &users);
                self.line.truncate(self.line.trim_end().len());
                self.line.push('\n');
                self.line += &wrapped(list, width);
            }
            None => {
                self.line += list;
                if holders.is_some() {
                    self.line.push(' ');
                    self.styled(PROCESS, if users.is_empty() { "-" } else { &users });
                }
            }
        }
        self.line.push('\n');
    }

    /// As [`Printer::header`], of [`Printer::event`]: so wide is the time.
    pub fn header_of_events(&mut self, out: &mut dyn Write, time: usize) -> io::Result<()> {
        let [local, foreign] = self.columns.ends;
        let process = if self.processes { " Process" } else { "" };
        let text = format!(
            "{:time$} Event   Netid {LOCAL:local$} {FOREIGN:foreign$} Stat Options{process}",
            "Time"
        );
        self.start();
        self.styled(HEADER, &text);
        writeln!(out, "{}", self.line)
    }

    /// What happened to a socket: its options, or what is another one now.
    pub fn event(
        &mut self,
        out: &mut dyn Write,
        time: &str,
        event: &Event,
        holders: &[Holder],
    ) -> io::Result<()> {
        let Some(row) = event.kept().row() else {
            return Ok(());
        };
        self.start();
        let _ = write!(self.line, "{time} ");
        let style = match event {
            Event::Came(_) => AnsiColor::Green,
            Event::Changed { .. } => AnsiColor::Yellow,
            Event::Went { .. } => AnsiColor::Red,
        };
        self.styled(style.on_default(), &format!("{:7}", event.name()));
        let _ = write!(self.line, " {:5} ", row.file.netid.name());
        self.ends(&row);
        let before = event.before().and_then(Kept::row);
        let changes = before.map(|before| watch::changes(&before, &row));
        let changes = changes.unwrap_or_default();
        let shown = self.processes.then_some(holders);
        let changes: Vec<_> = changes
            .iter()
            .map(|change| self.change(&row, change))
            .collect();
        if self.verbose {
            self.users_only(holders);
            for change in &changes {
                let _ = writeln!(self.line, "        {change}");
            }
            if changes.is_empty() {
                self.one_a_line(&row);
            }
        } else if changes.is_empty() {
            self.list(&joined(&row), shown);
        } else {
            self.list(&changes.join(","), shown);
        }
        out.write_all(self.line.as_bytes())
    }

    /// As `NAME=old->new`.
    fn change(&self, row: &Row<'_>, change: &Change<'_>) -> String {
        let value = |value| match value {
            None => "unset".to_owned(),
            Some(Value::Endpoint(endpoint)) => self.endpoint(row.file.netid, &endpoint),
            Some(Value::State(state)) => state.label().to_owned(),
            Some(Value::Option(text)) => text.to_owned(),
            Some(Value::Number(n)) => n.to_string(),
        };
        format!(
            "{}={}->{}",
            change.name,
            value(change.old),
            value(change.new)
        )
    }

    fn one_a_line(&mut self, row: &Row<'_>) {
        for (name, value) in row.options.iter() {
            let _ = writeln!(self.line, "        {name}={value}");
        }
        for (name, value) in [("backlog", row.backlog), ("uid", row.uid), ("ino", row.ino)] {
            if let Some(value) = value {
                let _ = writeln!(self.line, "        {name}={value}");
            }
        }
        for (info, defaults) in &self.asked {
            if row.options.get(info.name).is_some() || !options::applies(info, row) {
                continue;
            }
            let n = defaults[usize::from(row.file.family == crate::model::row::Family::Inet6)];
            let value = options::default_text(info).or(n.map(|n| n.to_string()));
            if let Some(value) = value {
                let _ = writeln!(
                    self.line,
                    "        {}={value} (assumed: the default)",
                    info.name
                );
            }
        }
    }

    /// As [`Printer::header`], of [`Printer::count`]: so wide is the highest count.
    pub fn header_of_counts(&mut self, out: &mut dyn Write, width: usize) -> io::Result<()> {
        let width = width.max(COUNT.len());
        self.start();
        self.styled(HEADER, &format!("{COUNT:>width$} By      What"));
        writeln!(out, "{}", self.line)
    }

    /// How many there are of something, which goes to the end of the line.
    pub fn count(
        &mut self,
        out: &mut dyn Write,
        width: usize,
        count: u64,
        by: By<'_>,
    ) -> io::Result<()> {
        let width = width.max(COUNT.len());
        self.start();
        let _ = write!(self.line, "{count:width$} ");
        let _ = match by {
            By::All => write!(self.line, "all     -"),
            By::State(netid, state) => {
                write!(self.line, "state   {} {}", netid.name(), state.label())
            }
            By::Process(None) => write!(self.line, "process -"),
            By::Process(Some((name, None))) => write!(self.line, "process {}", shown(name)),
            By::Process(Some((name, Some(pid)))) => {
                write!(self.line, "process {} pid={pid}", shown(name))
            }
            By::Options(_) => write!(self.line, "options "),
        };
        match by {
            By::Options(Some(options)) if self.verbose => {
                self.line.truncate(self.line.trim_end().len());
                for entry in options.0.split(',') {
                    let _ = write!(self.line, "\n        {entry}");
                }
                self.line.push('\n');
            }
            By::Options(options) => self.list(options.unwrap_or_default().0, None),
            _ => self.line.push('\n'),
        }
        out.write_all(self.line.as_bytes())
    }

    /// What is not understood: as it is, but for what a terminal would obey.
    pub fn raw(&mut self, out: &mut dyn Write, line: &[u8]) -> io::Result<()> {
        match self.width {
            Some(_) => {
                let text = String::from_utf8_lossy(line);
                writeln!(out, "{}", text.replace(char::is_control, "\u{fffd}"))
            }
            None => {
                out.write_all(line)?;
                out.write_all(b"\n")
            }
        }
    }
}

/// A list of options, cut behind each comma.
fn entries(list: &str) -> Box<dyn Iterator<Item = textwrap::core::Word<'_>> + '_> {
    Box::new(list.split_inclusive(',').map(textwrap::core::Word::from))
}

/// A list in several lines, no entry of which is torn.
fn wrapped(list: &str, width: usize) -> String {
    let options = textwrap::Options::new(width)
        .initial_indent("        ")
        .subsequent_indent("        ")
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::Custom(entries));
    textwrap::fill(list, options)
}

/// The list as it is in the file.
pub fn joined(row: &Row<'_>) -> String {
    let mut list = row.options.0.to_owned();
    for (name, value) in [("backlog", row.backlog), ("uid", row.uid), ("ino", row.ino)] {
        if let Some(value) = value {
            let comma = if list.is_empty() { "" } else { "," };
            let _ = write!(list, "{comma}{name}={value}");
        }
    }
    list
}

/// A name that a process chose, without what a terminal would obey.
fn shown(name: &str) -> String {
    name.replace(char::is_control, "?")
}

/// As ss has it; a name that a process chose cannot break the line.
fn users(holders: &[Holder]) -> String {
    let mut text = String::new();
    for holder in holders {
        text += if text.is_empty() { "users:(" } else { "," };
        let name = shown(&holder.name).replace('"', "?");
        let _ = write!(text, "(\"{name}\",pid={},fd={})", holder.pid, holder.fd);
    }
    if !text.is_empty() {
        text.push(')');
    }
    text
}

/// A socket as JSON.
#[derive(Serialize)]
struct Json<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    netid: Netid,
    family: crate::model::row::Family,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recv_q: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_q: Option<i64>,
    local: JsonEndpoint<'a>,
    foreign: JsonEndpoint<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    diag: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<JsonOptions<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backlog: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ino: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<&'a [Holder]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<JsonChanges<'a>>,
}

#[derive(Serialize)]
struct JsonEndpoint<'a> {
    address: &'a str,
    /// 0: none
    port: u16,
}

struct JsonOptions<'a> {
    options: Options<'a>,
    kinds: &'a Kinds,
}

/// The options whose values are text, even such as look like numbers.
#[derive(Debug)]
pub struct Kinds(HashMap<&'static str, Kind>);

impl Kinds {
    pub fn new() -> Self {
        Self(
            options::all()
                .iter()
                .map(|info| (info.name, info.kind))
                .collect(),
        )
    }
}

impl Serialize for JsonOptions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.options.iter().map(|(name, text)| {
            let kinds = self.kinds;
            (name, JsonOption { name, text, kinds })
        }))
    }
}

/// The value of an option: a number if it is one.
struct JsonOption<'a> {
    name: &'a str,
    text: &'a str,
    kinds: &'a Kinds,
}

impl Serialize for JsonOption<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = match self.kinds.0.get(self.name) {
            Some(Kind::Text) => None,
            _ => options::number(self.text),
        };
        match (number.map(u64::try_from), number.map(i64::try_from)) {
            (Some(Ok(n)), _) => serializer.serialize_u64(n),
            (_, Some(Ok(n))) => serializer.serialize_i64(n),
            _ => serializer.serialize_str(self.text),
        }
    }
}

/// What is another one now, by its name.
struct JsonChanges<'a> {
    changes: Vec<Change<'a>>,
    kinds: &'a Kinds,
}

impl Serialize for JsonChanges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.changes.iter().map(|change| {
            let value = |value| JsonValue {
                name: change.name,
                value,
                kinds: self.kinds,
            };
            let (old, new) = (value(change.old), value(change.new));
            (change.name, JsonChange { old, new })
        }))
    }
}

#[derive(Serialize)]
struct JsonChange<'a> {
    old: JsonValue<'a>,
    new: JsonValue<'a>,
}

/// What something was or is; null: it was not in the row.
struct JsonValue<'a> {
    name: &'a str,
    value: Option<Value<'a>>,
    kinds: &'a Kinds,
}

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { name, kinds, .. } = *self;
        match self.value {
            None => serializer.serialize_none(),
            Some(Value::Endpoint(endpoint)) => endpoint_of(&endpoint).serialize(serializer),
            Some(Value::State(state)) => serializer.serialize_str(state.long()),
            Some(Value::Option(text)) => JsonOption { name, text, kinds }.serialize(serializer),
            Some(Value::Number(n)) => serializer.serialize_u64(n),
        }
    }
}

fn endpoint_of<'a>(endpoint: &Endpoint<'a>) -> JsonEndpoint<'a> {
    JsonEndpoint {
        address: endpoint.text,
        port: endpoint.port,
    }
}

fn object<'a>(row: &Row<'a>, holders: Option<&'a [Holder]>, kinds: &'a Kinds) -> Json<'a> {
    Json {
        time: None,
        event: None,
        netid: row.file.netid,
        family: row.file.family,
        state: row.state.long(),
        recv_q: Some(row.recv_q),
        send_q: Some(row.send_q),
        local: endpoint_of(&row.local),
        foreign: endpoint_of(&row.foreign),
        diag: row.diag,
        options: row.has_options().then_some(JsonOptions {
            options: row.options,
            kinds,
        }),
        backlog: row.backlog,
        uid: row.uid,
        ino: row.ino,
        processes: holders,
        changes: None,
    }
}

fn json_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// A row as a line of JSON.
pub fn json(
    out: &mut dyn Write,
    row: &Row<'_>,
    holders: Option<&[Holder]>,
    kinds: &Kinds,
) -> io::Result<()> {
    json_line(out, &object(row, holders, kinds))
}

/// That so many sockets are watched from now on, as a line of JSON.
pub fn json_began(out: &mut dyn Write, time: &str, sockets: usize) -> io::Result<()> {
    #[derive(Serialize)]
    struct JsonBegan<'a> {
        time: &'a str,
        event: &'a str,
        sockets: usize,
    }
    let event = "began";
    json_line(
        out,
        &JsonBegan {
            time,
            event,
            sockets,
        },
    )
}

/// What happened to a socket, as a line of JSON.
pub fn json_event(
    out: &mut dyn Write,
    time: &str,
    event: &Event,
    holders: Option<&[Holder]>,
    kinds: &Kinds,
) -> io::Result<()> {
    let Some(row) = event.kept().row() else {
        return Ok(());
    };
    let before = event.before().and_then(Kept::row);
    let changes = before.map(|before| JsonChanges {
        changes: watch::changes(&before, &row),
        kinds,
    });
    let json = Json {
        time: Some(time),
        event: Some(event.name()),
        recv_q: None,
        send_q: None,
        changes,
        ..object(&row, holders, kinds)
    };
    json_line(out, &json)
}

/// A count as JSON.
#[derive(Serialize)]
struct JsonCount<'a> {
    count: u64,
    by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    netid: Option<Netid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<JsonOptions<'a>>,
}

/// A count as a line of JSON.
pub fn json_count(out: &mut dyn Write, count: u64, by: By<'_>, kinds: &Kinds) -> io::Result<()> {
    let mut json = JsonCount {
        count,
        by: "all",
        netid: None,
        state: None,
        name: None,
        pid: None,
        options: None,
    };
    match by {
        By::All => {}
        By::State(netid, state) => {
            json.by = "state";
            json.netid = Some(netid);
            json.state = Some(state.long());
        }
        By::Process(who) => {
            json.by = "process";
            json.name = Some(who.map(|(name, _)| name));
            json.pid = who.and_then(|(_, pid)| pid);
        }
        By::Options(options) => {
            json.by = "options";
            json.options = options.map(|options| JsonOptions { options, kinds });
        }
    }
    json_line(out, &json)
}

/// What is not understood, as JSON.
pub fn json_raw(out: &mut dyn Write, file: File, line: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(line);
    json_line(
        out,
        &serde_json::json!({ "file": file.name(), "raw": text }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::{LISTENER, TCP};
    use proptest::prelude::*;

    const CONNECTION: &str = "     0     12 192.0.2.1:22            198.51.100.7:40001      ESTB >|   \
        SO_KEEPALIVE=1,SO_LINGER=5s,TCP_CONGESTION=7,TCP_LINGER2=-1,IP_TOS=0xb8,SO_MAX_PACING_RATE=18446744073709551614,TCP_NEW=a,uid=33,ino=5";

    fn holder() -> Holder {
        Holder {
            name: "tmux: \"x\"".into(),
            pid: 7,
            fd: 3,
        }
    }

    fn printed(printer: &mut Printer, line: &str) -> String {
        let mut out = Vec::new();
        let row = Row::parse(TCP, line.as_bytes()).unwrap();
        printer.row(&mut out, &row, &[holder()]).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_for_scripts() {
        let mut printer = Printer::new(None, false, false);
        let line = printed(&mut printer, CONNECTION);
        let mut fields = CONNECTION.split_ascii_whitespace();
        let mut words = line.split_ascii_whitespace();
        assert_eq!(words.next(), Some("tcp"));
        assert!(words.eq(fields.by_ref()), "{line}");
        // The columns are in the same places, behind the new one.
        let line = printed(&mut printer, LISTENER);
        assert_eq!(line[6..].find("LSTN"), LISTENER.find("LSTN"));
        assert!(line.contains(" LSTN -    SO_REUSEADDR=1,"), "{line}");
        assert_eq!(
            printed(&mut printer, "0 0 1.2.3.4:5 1.2.3.4:6 TIMW")
                .split_whitespace()
                .collect::<Vec<_>>()[5..],
            ["TIMW", "-", "-"]
        );
        // Indicators of a newer module, wider than the column.
        let line = printed(&mut printer, "0 0 1.2.3.4:5 1.2.3.4:6 ESTB >#|<~");
        assert!(line.ends_with(" >#|<~ -\n"), "{line}");

        let services = Services::parse("ssh 22/tcp\n");
        let mut printer = Printer::new(Some(services), true, false);
        let line = printed(&mut printer, CONNECTION);
        assert!(line.contains(" 192.0.2.1:ssh "), "{line}");
        assert!(
            line.ends_with(" users:((\"tmux: ?x?\",pid=7,fd=3))\n"),
            "{line}"
        );
    }

    #[test]
    fn lines_for_a_terminal() {
        let mut printer = Printer::new(None, true, false);
        printer.set_width(100);
        let text = printed(&mut printer, CONNECTION);
        assert!(text.lines().count() > 2, "{text}");
        assert!(
            text.lines()
                .skip(1)
                .all(|line| line.len() <= 100 && line.starts_with("        ")),
            "{text}"
        );
        let list: String = text.lines().skip(1).map(str::trim).collect();
        assert_eq!(list, CONNECTION.split_ascii_whitespace().last().unwrap());

        let mut printer = Printer::new(None, false, true);
        printer.asked = vec![(options::find("TCP_USER_TIMEOUT").unwrap(), [Some(0); 2])];
        let text = printed(&mut printer, CONNECTION);
        assert!(
            text.contains("\n        SO_LINGER=5s\n") && text.contains("\n        ino=5\n"),
            "{text}"
        );
        assert!(
            text.ends_with("        TCP_USER_TIMEOUT=0 (assumed: the default)\n"),
            "{text}"
        );
    }

    /// The column where a word begins is the same in all rows, whatever their addresses are.
    #[test]
    fn columns_of_a_terminal() {
        const LONG: &str = "0 0 2001:db8:1234:5678:9abc:def0:1234:5678:65535 ::1:80 ESTB ino=1";
        const QUEUE: &str = "0 123456789 1.2.3.4:5 1.2.3.4:6 ESTB >| ino=2";
        let mut printer = Printer::new(Some(Services::parse("ssh 22/tcp\n")), false, false);
        printer.set_width(200);
        printer.color = true;
        let rows = [
            Row::parse(TCP, LISTENER.as_bytes()).unwrap(),
            Row::parse(crate::model::row::tests::TCP6, LONG.as_bytes()).unwrap(),
            Row::parse(TCP, QUEUE.as_bytes()).unwrap(),
        ];
        for row in &rows {
            printer.measure(row);
        }
        let mut out = Vec::new();
        printer.header(&mut out).unwrap();
        for row in &rows {
            printer.row(&mut out, row, &[]).unwrap();
        }
        let text = anstream::adapter::strip_bytes(&out).into_vec();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let places = |words: [&str; 4]| {
            let place = |(line, word): (&&str, &str)| line.find(word).unwrap();
            lines.iter().zip(words).map(place).collect::<Vec<_>>()
        };
        for words in [
            ["Local", "0.0.0.0:ssh", "2001:", "1.2.3.4:5"],
            ["Foreign", "0.0.0.0:*", "::1:80", "1.2.3.4:6"],
            ["Stat", "LSTN", "ESTB", "ESTB"],
            ["Options", "SO_REUSEADDR", "ino", "ino"],
        ] {
            let places = places(words);
            assert!(places.iter().all(|place| *place == places[0]), "{text}");
        }
        // What a terminal does not show takes no room.
        let len = lines[3].len();
        for (width, expected) in [(len, 1), (len - 1, 2)] {
            printer.set_width(width);
            rows.iter().for_each(|row| printer.measure(row));
            let mut out = Vec::new();
            printer.row(&mut out, &rows[2], &[]).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(
                text.contains('\u{1b}') && text.lines().count() == expected,
                "{text}"
            );
        }
        // No wider than it has to be.
        assert!(lines[2].contains(":65535 ::1:80 "), "{text}");
        assert!(lines[3].contains(" 123456789 1.2.3.4"), "{text}");
        // Into a file, they are where they always are.
        let mut printer = Printer::new(None, false, false);
        printer.measure(&rows[0]);
        let line = printed(&mut printer, LISTENER);
        assert_eq!(line[6..].find("LSTN"), LISTENER.find("LSTN"));
    }

    #[test]
    fn objects() {
        let row = Row::parse(TCP, CONNECTION.as_bytes()).unwrap();
        let mut out = Vec::new();
        json(&mut out, &row, Some(&[holder()]), &Kinds::new()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "netid": "tcp", "family": "inet", "state": "established", "recv_q": 0, "send_q": 12,
                "local": {"address": "192.0.2.1", "port": 22},
                "foreign": {"address": "198.51.100.7", "port": 40001},
                "diag": ">|",
                "options": {
                    "SO_KEEPALIVE": 1, "SO_LINGER": 5, "TCP_CONGESTION": "7", "TCP_LINGER2": -1,
                    "IP_TOS": 184, "SO_MAX_PACING_RATE": 18_446_744_073_709_551_614u64, "TCP_NEW": "a",
                },
                "uid": 33, "ino": 5,
                "processes": [{"name": "tmux: \"x\"", "pid": 7, "fd": 3}],
            })
        );
        let row = Row::parse(TCP, b"0 0 1.2.3.4:5 1.2.3.4:6 TIMW").unwrap();
        let mut out = Vec::new();
        json(&mut out, &row, None, &Kinds::new()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains("options") && !text.contains("ino"), "{text}");
    }

    proptest! {
        #[test]
        fn any_raw_line(line: Vec<u8>, width: Option<u8>) {
            let mut printer = Printer::new(None, false, false);
            if let Some(width) = width {
                printer.set_width(width.into());
            }
            let mut out = Vec::new();
            printer.raw(&mut out, &line).unwrap();
            prop_assert!(width.is_some() || out.strip_suffix(b"\n") == Some(&line));
            json_raw(&mut out, TCP, &line).unwrap();
        }

        #[test]
        fn any_width(width: u8, name in "\\PC{0,15}") {
            let mut printer = Printer::new(None, true, false);
            printer.set_width(width.into());
            let row = Row::parse(TCP, CONNECTION.as_bytes()).unwrap();
            let holder = Holder { name: name.into(), pid: 1, fd: 1 };
            printer.row(&mut Vec::new(), &row, &[holder]).unwrap();
        }
    }
}
