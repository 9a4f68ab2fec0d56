// SPDX-License-Identifier: GPL-2.0

//! The printer of JSON: one object per line.
//!
//! The keys are the fields of the structures in this file and in `findings.rs`, and the names of
//! chosen columns. A test compares them with the list in knetstat(8), "JSON".

use crate::model::columns::{Cell, Column, Content, Key};
use crate::model::counts::{By, Counts, Found};
use crate::model::event::{changes, Change, Report, Snapshot, Value};
use crate::model::options::{self, Kind};
use crate::model::place::{self, Place};
use crate::model::row::{Endpoint, Options, Row};
use crate::model::truth::Undecided;
use crate::print::printer::Printer;
use crate::print::time::rfc3339;
use crate::source::files::{Family, File, Netid};
use crate::source::namespaces::Netns;
use crate::source::process::{Name, Owner};
use crate::source::text::{readable, readable_groups};
use jiff::ZonedDateTime;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;
use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::Hash;
use std::io::{self, Write};

/// A printer of JSON.
pub struct JsonPrinter<'a> {
    out: Box<dyn Write + 'a>,
    /// Whether objects contain the processes.
    processes: bool,
    /// Whether objects contain the network namespace and the container.
    all_netns: bool,
    /// The columns that objects consist of, if these were chosen.
    columns: Option<Vec<Column>>,
}

impl<'a> JsonPrinter<'a> {
    pub fn new(out: Box<dyn Write + 'a>, processes: bool, all_netns: bool) -> Self {
        Self {
            out,
            processes,
            all_netns,
            columns: None,
        }
    }

    /// Prints objects that consist of these columns.
    #[must_use]
    pub fn with_columns(self, columns: Option<Vec<Column>>) -> Self {
        Self { columns, ..self }
    }

    /// The object of a socket.
    fn socket<'r>(&self, row: &Row<'r>, owners: &'r [Owner]) -> SocketObject<'r> {
        SocketObject::of(row, owners, self.processes, self.all_netns)
    }

    fn line(&mut self, object: &impl Serialize) -> io::Result<()> {
        write_line(&mut self.out, object)
    }
}

/// A format of JSON whose strings contain no control characters, which a terminal may take for
/// commands: U+007F to U+009F are escaped as those below U+0020 are.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // The first bytes of these characters.
        if memchr::memchr2(0x7f, 0xc2, fragment.as_bytes()).is_none() {
            return writer.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            match c {
                '\u{7f}'..='\u{9f}' => write!(writer, "\\u{:04x}", u32::from(c))?,
                c => write!(writer, "{c}")?,
            }
        }
        Ok(())
    }
}

/// Prints an object on a line.
///
/// # Errors
///
/// Those of `out`.
pub fn write_line(mut out: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    object.serialize(&mut serde_json::Serializer::with_formatter(
        &mut out, Escaping,
    ))?;
    out.write_all(b"\n")
}

impl Printer for JsonPrinter<'_> {
    fn row(&mut self, row: &Row<'_>, _line: &[u8], owners: &[Owner]) -> io::Result<()> {
        let Some(columns) = self.columns.take() else {
            return self.line(&self.socket(row, owners));
        };
        let cells = columns.iter().map(|column| column.cell(row, owners));
        let chosen = ChosenObject {
            columns: &columns,
            cells: cells.collect(),
        };
        self.line(&chosen)?;
        self.columns = Some(columns);
        Ok(())
    }

    fn unparsed(&mut self, file: File, line: &[u8]) -> io::Result<()> {
        self.line(&RawObject {
            file: file.name(),
            raw: &String::from_utf8_lossy(line),
        })
    }

    fn end_of_rows(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn began(&mut self, sockets: usize) -> io::Result<()> {
        self.line(&BeganObject {
            time: &now(),
            event: "began",
            sockets,
        })?;
        self.out.flush()
    }

    fn events(&mut self, events: &[Report]) -> io::Result<()> {
        let time = now();
        for report in events {
            let Some(row) = report.row() else {
                continue;
            };
            let Report { event, owners, .. } = report;
            let before = event.before().and_then(Snapshot::row);
            let object = SocketObject {
                time: Some(&time),
                event: Some(event.name()),
                recv_q: None,
                send_q: None,
                changes: before.map(|before| ChangesObject(changes(&before, &row))),
                ..self.socket(&row, owners)
            };
            self.line(&object)?;
        }
        self.out.flush()
    }

    fn counts(&mut self, counts: &Counts, _has_files: bool) -> io::Result<()> {
        for (count, by) in counts.lines() {
            self.line(&CountObject::of(count, by))?;
        }
        self.out.flush()
    }

    fn groups(&mut self, columns: &[Column], counts: &[(u64, &[Key])]) -> io::Result<()> {
        for (count, keys) in counts {
            let unknown = columns.iter().zip(*keys);
            let unknown = unknown.filter(|(_, key)| **key == Key::Unknown);
            self.line(&GroupObject {
                count: *count,
                by: "columns",
                values: KeysObject { columns, keys },
                unknown: unknown.map(|(column, _)| key_of(column)).collect(),
            })?;
        }
        self.out.flush()
    }

    fn undecided(&mut self, undecided: &Undecided) -> io::Result<()> {
        if let Some(object) = UndecidedObject::of(undecided) {
            self.line(&object)?;
        }
        self.out.flush()
    }
}

/// The JSON key of a column.
fn key_of(column: &Column) -> Cow<'static, str> {
    match column.option() {
        Some(info) => info.name.into(),
        None => column.name().replace('-', "_").into(),
    }
}

/// A socket, as chosen columns show it. A value that is missing is null.
struct ChosenObject<'a> {
    columns: &'a [Column],
    cells: Vec<Cell<'a>>,
}

impl ChosenObject<'_> {
    /// The columns whose cells fulfil a condition, by their keys.
    fn keys(&self, is_it: impl Fn(&Cell<'_>) -> bool) -> Vec<Cow<'static, str>> {
        let cells = self.columns.iter().zip(&self.cells);
        let found = cells.filter(|(_, cell)| is_it(cell));
        found.map(|(column, _)| key_of(column)).collect()
    }
}

impl Serialize for ChosenObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, cell) in self.columns.iter().zip(&self.cells) {
            match column.content() {
                None | Some(Content::Options) => {}
                Some(content) => {
                    map.serialize_entry(&key_of(column), &ColumnValue { content, cell })?;
                }
            }
        }
        if self
            .columns
            .iter()
            .any(|column| matches!(column.content(), None | Some(Content::Options)))
        {
            map.serialize_entry("options", &ChosenOptions(self))?;
        }
        let lists = [
            (
                "defaults",
                self.keys(|cell| {
                    matches!(
                        cell,
                        Cell::Value {
                            is_default: true,
                            ..
                        }
                    )
                }),
            ),
            (
                "unknown",
                self.keys(|cell| matches!(cell, Cell::Unknown(_))),
            ),
        ];
        for (key, names) in lists {
            if !names.is_empty() {
                map.serialize_entry(key, &names)?;
            }
        }
        map.end()
    }
}

/// The value of a chosen column that is not an option.
struct ColumnValue<'a> {
    content: Content,
    cell: &'a Cell<'a>,
}

impl Serialize for ColumnValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self.cell {
            Cell::Nothing | Cell::Unknown(_) | Cell::Options(_) | Cell::Value { .. } => {
                serializer.serialize_none()
            }
            Cell::Netns(netns) => NetnsObject::of(netns).serialize(serializer),
            Cell::Place(place) => ContainerObject::of(place).serialize(serializer),
            Cell::Cgroup(cgroup) => serializer.serialize_str(&cgroup.path),
            Cell::Netid(netid) => netid.serialize(serializer),
            Cell::Family(family) => family.serialize(serializer),
            Cell::State(state) => serializer.serialize_str(state.long()),
            Cell::Diag(text) | Cell::Address(text, _) => serializer.serialize_str(text),
            Cell::Endpoint(endpoint) => EndpointObject::of(&endpoint).serialize(serializer),
            Cell::Port(port) => serializer.serialize_u16(port),
            Cell::Number(n) => serialize_number(n, serializer),
            Cell::Owners(owners) => match self.content {
                Content::Process => each_once(owners.iter().map(Owner::name)).serialize(serializer),
                Content::Pid => each_once(owners.iter().map(Owner::pid)).serialize(serializer),
                _ => owners.serialize(serializer),
            },
        }
    }
}

/// The values, each where it comes first.
fn each_once<T: Copy + Eq + Hash>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    values.filter(|value| seen.insert(*value)).collect()
}

/// The options among chosen columns, by name. Null if these are not known.
struct ChosenOptions<'a>(&'a ChosenObject<'a>);

impl Serialize for ChosenOptions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ChosenObject { columns, cells } = self.0;
        let whole = cells.iter().find_map(|cell| match cell {
            Cell::Options(options) => Some(*options),
            _ => None,
        });
        let mut pairs = columns.iter().zip(cells);
        let is_unknown = pairs.all(|(column, cell)| match column.content() {
            None => false,
            Some(Content::Options) => matches!(cell, Cell::Unknown(_)),
            Some(_) => true,
        });
        if is_unknown {
            return serializer.serialize_none();
        }
        let mut map = serializer.serialize_map(None)?;
        for (name, text) in whole.iter().flat_map(|options| options.iter()) {
            map.serialize_entry(name, &OptionValue { name, text })?;
        }
        for (column, cell) in columns.iter().zip(cells) {
            let Some(info) = column.option() else {
                continue;
            };
            let name = info.name;
            match *cell {
                // The list of the row has it.
                Cell::Value {
                    is_default: false, ..
                } if whole.is_some() => {}
                Cell::Value { text, .. } => {
                    map.serialize_entry(name, &OptionValue { name, text })?;
                }
                _ => map.serialize_entry(name, &())?,
            }
        }
        map.end()
    }
}

/// The number of sockets in a group.
#[derive(Serialize)]
struct GroupObject<'a> {
    count: u64,
    by: &'static str,
    values: KeysObject<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<Cow<'static, str>>,
}

/// The values of a group, by column. A value that is missing is null.
struct KeysObject<'a> {
    columns: &'a [Column],
    keys: &'a [Key],
}

impl Serialize for KeysObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.columns.iter().zip(self.keys);
        serializer.collect_map(values.map(|(column, key)| (key_of(column), KeyValue(key))))
    }
}

struct KeyValue<'a>(&'a Key);

impl Serialize for KeyValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Key::Nothing | Key::Unknown => serializer.serialize_none(),
            Key::Number(n) => serialize_number(*n, serializer),
            // As in the objects of sockets, numbers have no unit.
            Key::Value(n, _) => serialize_number(*n, serializer),
            key => serializer.collect_str(key),
        }
    }
}

/// The local time in the format of RFC 3339.
fn now() -> String {
    rfc3339(&ZonedDateTime::now())
}

/// A socket, in a list or in an event.
#[derive(Serialize)]
pub struct SocketObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<NetnsObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<ContainerObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<&'a str>,
    netid: Netid,
    family: Family,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recv_q: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_q: Option<i64>,
    local: EndpointObject<'a>,
    foreign: EndpointObject<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    diag: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<OptionsObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backlog: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drops: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ino: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<&'a [Owner]>,
    /// The keys above whose values are not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesObject<'a>>,
}

impl<'a> SocketObject<'a> {
    /// The object of a row, with the processes and with the network namespace if these are printed.
    pub fn of(row: &Row<'a>, owners: &'a [Owner], processes: bool, all_netns: bool) -> Self {
        let place = place::container(row, owners).filter(|_| all_netns);
        let lacks_owners = processes && owners.is_empty() && row.may_lack_owners;
        let lacks_place = all_netns && place::container_cgroup(row, owners).is_err();
        let cgroup = place::cgroup(row, owners);
        let unknown = [
            ("processes", lacks_owners),
            ("container", lacks_place),
            ("cgroup", all_netns && cgroup.is_err()),
        ];
        let unknown = unknown.into_iter().filter(|(_, is_it)| *is_it);
        Self {
            time: None,
            event: None,
            netns: row
                .netns
                .filter(|_| all_netns)
                .map(|netns| NetnsObject::of(netns)),
            container: place.map(ContainerObject::of),
            cgroup: cgroup
                .ok()
                .filter(|_| all_netns)
                .map(|cgroup| &*cgroup.path),
            netid: row.file.netid,
            family: row.file.family,
            state: row.state.long(),
            recv_q: Some(row.recv_q),
            send_q: Some(row.send_q),
            local: EndpointObject::of(&row.local),
            foreign: EndpointObject::of(&row.foreign),
            diag: row.diag,
            options: row.has_options().then_some(OptionsObject(row.options)),
            backlog: row.backlog,
            drops: row.drops,
            uid: row.uid,
            ino: row.ino,
            processes: processes.then_some(owners),
            unknown: unknown.map(|(key, _)| key).collect(),
            changes: None,
        }
    }
}

/// A row that could not be parsed.
#[derive(Serialize)]
struct RawObject<'a> {
    file: &'a str,
    raw: &'a str,
}

/// The first object of `--watch`.
#[derive(Serialize)]
struct BeganObject<'a> {
    time: &'a str,
    event: &'a str,
    sockets: usize,
}

/// The last object, if the filter could not be decided for some sockets.
#[derive(Serialize)]
pub struct UndecidedObject<'a> {
    undecided: usize,
    reasons: ReasonsObject<'a>,
}

impl<'a> UndecidedObject<'a> {
    /// The object, unless the filter was decided for all sockets.
    pub fn of(undecided: &'a Undecided) -> Option<Self> {
        (undecided.sockets > 0).then_some(Self {
            undecided: undecided.sockets,
            reasons: ReasonsObject(undecided),
        })
    }
}

/// The number of undecided sockets by reason.
pub struct ReasonsObject<'a>(pub &'a Undecided);

impl Serialize for ReasonsObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0
                .reasons()
                .map(|(reason, count)| (reason.name(), count)),
        )
    }
}

/// A network namespace.
#[derive(Serialize)]
struct NetnsObject<'a> {
    /// `None` if this process may not see it.
    ino: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

impl<'a> NetnsObject<'a> {
    fn of(netns: &'a Netns) -> Self {
        Self {
            ino: netns.ino,
            name: netns.names.first().map(String::as_str),
        }
    }
}

/// A container, or a unit of systemd.
#[derive(Serialize)]
struct ContainerObject<'a> {
    runtime: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
}

impl<'a> ContainerObject<'a> {
    fn of(place: Place<'a>) -> Self {
        let container = place.container;
        Self {
            runtime: container.runtime.name(),
            id: &container.id,
            pod: container.pod.as_deref(),
            hostname: place.hostname,
        }
    }
}

#[derive(Serialize)]
struct EndpointObject<'a> {
    address: &'a str,
    /// 0 if there is none.
    port: u16,
}

impl<'a> EndpointObject<'a> {
    fn of(endpoint: &Endpoint<'a>) -> Self {
        Self {
            address: endpoint.text,
            port: endpoint.port,
        }
    }
}

/// The options of a row, by name.
struct OptionsObject<'a>(Options<'a>);

impl Serialize for OptionsObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let options = self.0.iter();
        serializer.collect_map(options.map(|(name, text)| (name, OptionValue { name, text })))
    }
}

/// The greatest number up to which JSON numbers are exact everywhere: jq and JavaScript keep
/// numbers as doubles, as RFC 8259 allows.
const EXACT: i128 = (1 << 53) - 1;

/// The value of an option, printed as a number if it is one. Greater numbers than [`EXACT`] are
/// strings of their digits.
struct OptionValue<'a> {
    name: &'a str,
    text: &'a str,
}

impl Serialize for OptionValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Names are strings, even if they look like numbers.
        let info = options::by_name(self.name);
        let number = match info.is_some_and(|info| !info.kind.is_number()) {
            true => None,
            false => options::number(self.text),
        };
        match number {
            None if info.is_some_and(|info| info.kind == Kind::Groups) => {
                serializer.serialize_str(&readable_groups(self.text))
            }
            None => serializer.serialize_str(&readable(self.text)),
            Some(n) => serialize_number(n, serializer),
        }
    }
}

/// Prints a number; one that JSON cannot hold everywhere is a string of its digits.
fn serialize_number<S: Serializer>(n: i128, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(n) {
        Ok(small) if (-EXACT..=EXACT).contains(&n) => serializer.serialize_i64(small),
        _ => serializer.collect_str(&n),
    }
}

/// The changes of a socket, by name.
struct ChangesObject<'a>(Vec<Change<'a>>);

impl Serialize for ChangesObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|change| {
            let name = change.name;
            let value = |value| ChangedValue { name, value };
            let (old, new) = (value(change.old), value(change.new));
            (name, ChangeObject { old, new })
        }))
    }
}

#[derive(Serialize)]
struct ChangeObject<'a> {
    old: ChangedValue<'a>,
    new: ChangedValue<'a>,
}

/// A value before or after a change; null if the row lacks it.
struct ChangedValue<'a> {
    name: &'a str,
    value: Option<Value<'a>>,
}

impl Serialize for ChangedValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = self.name;
        match self.value {
            None => serializer.serialize_none(),
            Some(Value::Endpoint(endpoint)) => EndpointObject::of(&endpoint).serialize(serializer),
            Some(Value::State(state)) => serializer.serialize_str(state.long()),
            Some(Value::Option(text)) => OptionValue { name, text }.serialize(serializer),
            Some(Value::Number(n)) => serializer.serialize_u64(n),
        }
    }
}

/// A count of sockets.
#[derive(Serialize)]
struct CountObject<'a> {
    count: u64,
    by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    netid: Option<Netid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Option<&'a Name>>,
    /// `Some(None)` if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<Option<NetnsObject<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Option<ContainerObject<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<OptionsObject<'a>>,
    /// The keys whose values are not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<&'static str>,
}

impl<'a> CountObject<'a> {
    fn of(count: u64, by: By<'a>) -> Self {
        let mut object = Self {
            count,
            by: by.name(),
            netid: None,
            state: None,
            name: None,
            netns: None,
            container: None,
            pid: None,
            tid: None,
            options: None,
            unknown: Vec::new(),
        };
        match by {
            By::All => {}
            By::State(netid, state) => {
                object.netid = Some(netid);
                object.state = Some(state.long());
            }
            By::Process(Found::Known(process)) => {
                object.name = Some(Some(&process.name));
                object.pid = process.pid;
                object.tid = process.tid;
            }
            By::Process(Found::Unknown) => {
                object.name = Some(None);
                object.unknown = vec!["name"];
            }
            By::Process(Found::None) => object.name = Some(None),
            By::Netns(None) => {
                object.netns = Some(None);
                object.unknown = vec!["netns"];
            }
            By::Netns(Some(netns)) => object.netns = Some(Some(NetnsObject::of(netns))),
            By::Container(Found::Known(place)) => {
                object.container = Some(Some(ContainerObject::of(place)));
            }
            By::Container(Found::Unknown) => {
                object.container = Some(None);
                object.unknown = vec!["container"];
            }
            By::Container(Found::None) => object.container = Some(None),
            By::Options(options) => object.options = options.map(OptionsObject),
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Event;
    use crate::model::row::tests::{BUSY, TCP, UDP};
    use crate::model::row::State;
    use crate::model::truth::{Reason, Truth};
    use crate::print::openmetrics::tests::skip_without;
    use crate::source::namespaces::tests::example;
    use crate::source::process::tests::owner;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::process::{Command, Stdio};

    fn printed(
        processes: bool,
        print: impl FnOnce(&mut JsonPrinter<'_>) -> io::Result<()>,
    ) -> Vec<serde_json::Value> {
        let mut out = Vec::new();
        print(&mut JsonPrinter::new(Box::new(&mut out), processes, false)).unwrap();
        let text = String::from_utf8(out).unwrap();
        let objects = text.lines().map(serde_json::from_str);
        objects.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn sockets() {
        let row = Row::parse(TCP, BUSY.as_bytes()).unwrap();
        assert_eq!(
            printed(true, |printer| printer.row(&row, b"", &[owner()])),
            [serde_json::json!({
                "netid": "tcp", "family": "inet", "state": "established", "recv_q": 0, "send_q": 12,
                "local": {"address": "192.0.2.1", "port": 22},
                "foreign": {"address": "198.51.100.7", "port": 40001},
                "diag": ">|",
                "options": {
                    "SO_KEEPALIVE": 1, "SO_LINGER": 5, "TCP_CONGESTION": "7", "TCP_LINGER2": -1,
                    "IP_TOS": 184, "SO_MAX_PACING_RATE": "18446744073709551614", "TCP_NEW": "a",
                },
                "uid": 33, "ino": 5,
                "processes": [{"name": "tmux: \"x\"", "pid": 7, "fd": 3}],
            })]
        );
        let row = Row::parse(TCP, b"0 0 1.2.3.4:5 1.2.3.4:6 TIMW").unwrap();
        let found = printed(false, |printer| printer.row(&row, b"", &[owner()]));
        for key in ["options", "ino", "processes"] {
            assert!(found[0].get(key).is_none(), "{found:?}");
        }
    }

    /// An owner that is not known is not the same as no owner.
    #[test]
    fn unknown_owners() {
        let row = Row::parse(TCP, BUSY.as_bytes()).unwrap();
        let of = |may_lack_owners, owners: &[Owner], processes| {
            let row = Row {
                may_lack_owners,
                ..row
            };
            let object = printed(processes, |printer| printer.row(&row, b"", owners)).remove(0);
            (
                object.get("processes").is_some(),
                object.get("unknown").cloned(),
            )
        };
        let unknown = Some(serde_json::json!(["processes"]));
        assert_eq!(of(true, &[], true), (true, unknown));
        assert_eq!(of(false, &[], true), (true, None));
        assert_eq!(of(true, &[owner()], true), (true, None));
        assert_eq!(of(true, &[], false), (false, None));
        let mut counts = Counts::new(false, false);
        for may_lack_owners in [true, true, false] {
            let row = Row {
                may_lack_owners,
                ..row
            };
            counts.add(&row, &[]);
        }
        let found = printed(false, |printer| printer.counts(&counts, true));
        let of_process: Vec<_> = found
            .iter()
            .filter(|count| count["by"] == "process")
            .collect();
        assert_eq!(
            of_process,
            [
                &serde_json::json!({"count": 2, "by": "process", "name": null, "unknown": ["name"]}),
                &serde_json::json!({"count": 1, "by": "process", "name": null}),
            ]
        );
    }

    /// jq, which keeps numbers as doubles, loses no digit of any value.
    #[test]
    fn jq_loses_nothing() {
        let values = [
            "0",
            "-1",
            "9007199254740991",
            "9007199254740992",
            "9007199254740993",
            "-9007199254740993",
            "18446744073709551614",
        ];
        for text in values {
            let line = format!("0 0 1.2.3.4:5 1.2.3.4:6 ESTB SO_MAX_PACING_RATE={text},ino=1");
            let row = Row::parse(TCP, line.as_bytes()).unwrap();
            let found = printed(false, |printer| printer.row(&row, b"", &[]));
            let value = &found[0]["options"]["SO_MAX_PACING_RATE"];
            let n: i128 = text.parse().unwrap();
            let is_exact = n.unsigned_abs() < 1 << 53;
            assert_eq!(value.is_number(), is_exact, "{value}");
            assert_eq!(value.to_string().trim_matches('"'), text);
            // Adding 0 makes a double of a number.
            let program = "if type == \"number\" then . + 0 else . end";
            let mut jq = Command::new("jq");
            jq.args(["-r", program]);
            let mut jq = match jq.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
                Ok(jq) => jq,
                Err(err) => return skip_without("jq", &err),
            };
            let mut stdin = jq.stdin.take().unwrap();
            writeln!(stdin, "{value}").unwrap();
            drop(stdin);
            let out = jq.wait_with_output().unwrap().stdout;
            assert_eq!(String::from_utf8(out).unwrap().trim_end(), text);
        }
        // A string of digits has neither a prefix nor a unit.
        let row = Row::parse(
            TCP,
            b"0 0 1.2.3.4:5 1.2.3.4:6 ESTB NEW=0xffffffffffffffff,NEWER=27403521819123615ms,ino=1",
        );
        let found = printed(false, |printer| printer.row(&row.unwrap(), b"", &[]));
        assert_eq!(found[0]["options"]["NEW"], "18446744073709551615");
        assert_eq!(found[0]["options"]["NEWER"], "27403521819123615");
    }

    #[test]
    fn events() {
        const A: &str =
            "0 0 10.0.0.1:22 10.0.0.2:40001 ESTB TCP_NODELAY=0,SO_LINGER=5s,uid=0,ino=7";
        let b = A
            .replace("ESTB", "CLSW")
            .replace("TCP_NODELAY=0", "IP_TOS=0x8");
        let snapshot = |line: &str| Snapshot::of(&Row::parse(TCP, line.as_bytes()).unwrap());
        let (before, now) = (snapshot(A), snapshot(&b));
        let object = |event: Event, processes: bool| {
            let report = Report {
                event,
                scanned: None,
                owners: Vec::new(),
                may_lack_owners: false,
            };
            let events = [report];
            let mut found = printed(processes, |printer| printer.events(&events)).remove(0);
            let time = found["time"].as_str().unwrap();
            let parsed: jiff::Timestamp = time.parse().expect(time);
            assert!(
                parsed <= jiff::Timestamp::now() && time.len() == 29,
                "{time}"
            );
            found["time"] = "12:00".into();
            found
        };
        let event = Event::changed(before.clone(), now).unwrap();
        assert_eq!(
            object(event, false),
            serde_json::json!({
                "time": "12:00", "event": "changed",
                "netid": "tcp", "family": "inet", "state": "close-wait",
                "local": {"address": "10.0.0.1", "port": 22},
                "foreign": {"address": "10.0.0.2", "port": 40001},
                "options": {"IP_TOS": 8, "SO_LINGER": 5}, "uid": 0, "ino": 7,
                "changes": {
                    "state": {"old": "established", "new": "close-wait"},
                    "TCP_NODELAY": {"old": 0, "new": null},
                    "IP_TOS": {"old": null, "new": 8},
                },
            })
        );
        let went = object(Event::Went { before, now: None }, true);
        assert_eq!(went["event"], "went");
        assert_eq!(went["options"]["SO_LINGER"], 5);
        assert_eq!(went["processes"], serde_json::json!([]));
        assert!(went.get("changes").is_none());
    }

    #[test]
    fn counts() {
        let counts = crate::model::counts::tests::example(true);
        assert_eq!(
            printed(false, |printer| printer.counts(&counts, true)),
            [
                serde_json::json!({"count": 4, "by": "all"}),
                serde_json::json!({"count": 2, "by": "state", "netid": "tcp", "state": "established"}),
                serde_json::json!({"count": 1, "by": "state", "netid": "tcp", "state": "time-wait"}),
                serde_json::json!({"count": 1, "by": "state", "netid": "udp", "state": "unconnected"}),
                serde_json::json!({"count": 2, "by": "process", "name": null}),
                serde_json::json!({"count": 2, "by": "process", "name": "a b", "pid": 7}),
                serde_json::json!({"count": 1, "by": "process", "name": "a b", "pid": 8}),
                serde_json::json!({"count": 1, "by": "process", "name": "c", "pid": 9}),
                serde_json::json!({"count": 2, "by": "options", "options": {"A": 1, "B": 2}}),
                serde_json::json!({"count": 1, "by": "options"}),
                serde_json::json!({"count": 1, "by": "options", "options": {"A": 1}}),
            ]
        );
    }

    fn undecided() -> Undecided {
        let mut undecided = Undecided::default();
        let (hidden, cut) = (Truth::unknown(Reason::Hidden), Truth::unknown(Reason::Cut));
        undecided.count(hidden);
        undecided.count(hidden.and(|| cut));
        undecided
    }

    /// The last object tells of sockets that could not be decided. There is none without them.
    #[test]
    fn undecided_sockets() {
        assert_eq!(
            printed(false, |printer| printer.undecided(&undecided())),
            [serde_json::json!({"undecided": 2, "reasons": {"hidden": 2, "cut": 1}})]
        );
        let none = Undecided::default();
        assert!(printed(false, |printer| printer.undecided(&none)).is_empty());
    }

    /// Odd characters in names are what they are. Numbers in names stay text.
    #[test]
    fn names() {
        let line = r"0 0 1.2.3.4:5 0.0.0.0:* SO_BINDTODEVICE=gr\xc3\xb6\x2c|x,uid=0,ino=1";
        let row = Row::parse(UDP, line.as_bytes()).unwrap();
        let found = printed(false, |printer| printer.row(&row, b"", &[]));
        assert_eq!(found[0]["options"]["SO_BINDTODEVICE"], "grö,|x");
        // An interface does not become a group by its name.
        for (list, expected) in [
            ("224.0.0.251%lo", "224.0.0.251%lo"),
            (
                r"224.0.0.9%x\x2b224.0.0.10%lo",
                r"224.0.0.9%x\x2b224.0.0.10%lo",
            ),
            (
                r"224.0.0.9%gr\xc3\xb6+224.0.0.10%a\x2cb",
                "224.0.0.9%grö+224.0.0.10%a,b",
            ),
            (
                r"224.0.0.9%\x5cx2b+224.0.0.10%\xc3\xb6\x2b",
                r"224.0.0.9%\x5cx2b+224.0.0.10%ö\x2b",
            ),
            (
                r"224.0.0.9%\xff\x2c+224.0.0.10%\x2c",
                r"224.0.0.9%\xff\x2c+224.0.0.10%,",
            ),
        ] {
            let line = format!("0 0 1.2.3.4:5 0.0.0.0:* IP_ADD_MEMBERSHIP={list},uid=0,ino=1");
            let row = Row::parse(UDP, line.as_bytes()).unwrap();
            let found = printed(false, |printer| printer.row(&row, b"", &[]));
            assert_eq!(found[0]["options"]["IP_ADD_MEMBERSHIP"], expected);
        }
        let line = r"0 0 1.2.3.4:5 0.0.0.0:* SO_BINDTODEVICE=\xff1,uid=0,ino=1";
        let row = Row::parse(UDP, line.as_bytes()).unwrap();
        let found = printed(false, |printer| printer.row(&row, b"", &[]));
        assert_eq!(found[0]["options"]["SO_BINDTODEVICE"], r"\xff1");
    }

    #[test]
    fn threads() {
        let row = Row::parse(TCP, BUSY.as_bytes()).unwrap();
        let owners = [
            Owner::thread("a", 7, 7, 3),
            Owner::thread(&b"\xff\n"[..], 7, 8, 3),
        ];
        let found = printed(true, |printer| printer.row(&row, b"", &owners));
        assert_eq!(
            found[0]["processes"],
            serde_json::json!([
                {"name": "a", "pid": 7, "tid": 7, "fd": 3},
                {"name": "\u{fffd}\n", "pid": 7, "tid": 8, "fd": 3},
            ])
        );
        for (each_process, expected) in [
            (
                true,
                serde_json::json!({"count": 1, "by": "process", "name": "a", "pid": 7, "tid": 7}),
            ),
            (
                false,
                serde_json::json!({"count": 1, "by": "process", "name": "a"}),
            ),
        ] {
            let mut counts = Counts::new(each_process, false);
            counts.add(&row, &owners[..1]);
            let found = printed(false, |printer| printer.counts(&counts, true));
            assert_eq!(found[2], expected);
        }
    }

    /// The objects of these columns, of a connection and of a socket without options.
    fn chosen(names: &[&str]) -> Vec<serde_json::Value> {
        let lines = [
            "3 0 1.2.3.4:5 1.2.3.4:6 ESTB SO_KEEPALIVE=1,TCP_KEEPIDLE=60,IP_TOS=0xb8,uid=7,ino=9",
            "0 0 1.2.3.4:5 1.2.3.4:6 TIMW",
        ];
        let columns = names.iter().map(|name| Column::parse(name).unwrap());
        let mut out = Vec::new();
        let printer = JsonPrinter::new(Box::new(&mut out), false, false);
        let mut printer = printer.with_columns(Some(columns.collect()));
        let owners = [Owner::new("a", 8, 3), Owner::new("a", 8, 4)];
        for (line, owners) in lines.iter().zip([&owners[..], &[]]) {
            let row = Row::parse(TCP, line.as_bytes()).unwrap();
            printer.row(&row, line.as_bytes(), owners).unwrap();
        }
        drop(printer);
        let objects = serde_json::Deserializer::from_slice(&out).into_iter();
        objects.map(Result::unwrap).collect()
    }

    #[test]
    fn chosen_columns() {
        let names = ["recv-q", "local", "sport", "pid", "diag", "state"];
        assert_eq!(
            chosen(&names),
            [
                serde_json::json!({
                    "recv_q": 3, "local": {"address": "1.2.3.4", "port": 5}, "sport": 5,
                    "pid": [8], "diag": null, "state": "established",
                }),
                serde_json::json!({
                    "recv_q": 0, "local": {"address": "1.2.3.4", "port": 5}, "sport": 5,
                    "pid": null, "diag": null, "state": "time-wait",
                }),
            ]
        );
        let names = [
            "SO_KEEPALIVE",
            "TCP_KEEPIDLE",
            "IP_TOS",
            "TCP_NODELAY",
            "uid",
            "SO_LINGER",
        ];
        assert_eq!(
            chosen(&names),
            [
                serde_json::json!({
                    "uid": 7,
                    "options": {
                        "SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 60, "IP_TOS": 0xb8, "TCP_NODELAY": 0,
                        "SO_LINGER": null,
                    },
                    "defaults": ["TCP_NODELAY"],
                }),
                serde_json::json!({
                    "uid": null,
                    "options": {
                        "SO_KEEPALIVE": null, "TCP_KEEPIDLE": null, "IP_TOS": null,
                        "TCP_NODELAY": null, "SO_LINGER": null,
                    },
                    "unknown": names,
                }),
            ]
        );
        // The list of the row, and the defaults of other options.
        assert_eq!(
            chosen(&["options", "TCP_NODELAY", "TCP_KEEPIDLE"])[0],
            serde_json::json!({
                "options": {
                    "SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 60, "IP_TOS": 0xb8, "TCP_NODELAY": 0,
                },
                "defaults": ["TCP_NODELAY"],
            })
        );
    }

    /// The options of a socket of which the kernel keeps only the addresses are not known.
    #[test]
    fn chosen_options() {
        let [connection, forgotten] = &chosen(&["options"])[..] else {
            panic!("two rows");
        };
        assert_eq!(connection["options"]["SO_KEEPALIVE"], 1);
        assert_eq!(
            *forgotten,
            serde_json::json!({"options": null, "unknown": ["options"]})
        );
        assert_eq!(
            chosen(&["options", "SO_LINGER"])[1],
            serde_json::json!({
                "options": {"SO_LINGER": null}, "unknown": ["options", "SO_LINGER"],
            })
        );
    }

    #[test]
    fn each_process_once() {
        let columns = ["process", "pid"].map(|name| Column::parse(name).unwrap());
        let row = Row::parse(TCP, BUSY.as_bytes()).unwrap();
        let owners = [("a", 1), ("b", 2), ("a", 3), ("a", 1)];
        let owners = owners.map(|(name, pid)| Owner::new(name, pid, 3));
        let mut out = Vec::new();
        let printer = JsonPrinter::new(Box::new(&mut out), false, false);
        let mut printer = printer.with_columns(Some(columns.into()));
        printer.row(&row, b"", &owners).unwrap();
        drop(printer);
        let found: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            found,
            serde_json::json!({"process": ["a", "b"], "pid": [1, 2, 3]})
        );
    }

    #[test]
    fn groups() {
        let columns = ["state", "TCP_KEEPIDLE", "recv-q"];
        let columns = columns.map(|name| Column::parse(name).unwrap());
        let keys = [
            Key::State(State::Established),
            Key::Value(60, "60s".to_owned()),
            Key::Unknown,
        ];
        assert_eq!(
            printed(false, |printer| printer.groups(&columns, &[(3, &keys)])),
            [serde_json::json!({
                "count": 3, "by": "columns",
                "values": {"state": "established", "TCP_KEEPIDLE": 60, "recv_q": null},
                "unknown": ["recv_q"],
            })]
        );
    }

    /// If no process is known, the control group of one of several processes is not that of the socket.
    #[test]
    fn control_groups_without_owners() {
        const WEB: &str = "/lxc.payload.web";
        for (cgroups, cgroup, unknown) in [
            (&[WEB][..], Some(WEB), None),
            (&[WEB, "/lxc.payload.web/a"], None, Some(["cgroup"])),
        ] {
            let netns = example(Some(5), &[], cgroups);
            let row = Row {
                netns: Some(&netns),
                ..Row::parse(TCP, b"0 0 1.2.3.4:5 1.2.3.4:6 TIMW").unwrap()
            };
            let mut out = Vec::new();
            let mut printer = JsonPrinter::new(Box::new(&mut out), false, true);
            printer.row(&row, b"", &[]).unwrap();
            drop(printer);
            let socket: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(socket["container"]["id"], "web");
            assert_eq!(socket["cgroup"], serde_json::json!(cgroup));
            assert_eq!(socket["unknown"], serde_json::json!(unknown));
        }
    }

    /// The section "JSON" of knetstat(8) lists every key and no other. `--help` lists every key of
    /// a socket.
    #[test]
    fn the_page_has_each_key_and_no_other() {
        let page = include_str!("../../../../man/knetstat.8");
        let (_, section) = page.split_once(".Sh JSON\n").unwrap();
        let (section, _) = section.split_once("\n.Sh ").unwrap();
        let items = section
            .lines()
            .filter_map(|line| line.strip_prefix(".It Li "));
        let found: BTreeSet<_> = items.flat_map(|names| names.split(" , ")).collect();

        let row = Row::parse(
            TCP,
            b"0 0 1.2.3.4:5 1.2.3.4:6 LSTN >| A=1,backlog=1,drops=1,uid=0,ino=1",
        );
        let row = row.unwrap();
        let snapshot = Snapshot::of(&row);
        let row = Row {
            uid: Some(1),
            ..row
        };
        let event = Event::changed(snapshot, Snapshot::of(&row)).unwrap();
        let events = [Report {
            event,
            scanned: None,
            owners: Vec::new(),
            may_lack_owners: true,
        }];
        let mut counts = crate::model::counts::tests::example(true);
        counts.add(&row, &[Owner::thread("x", 7, 8, 3)]);
        let mut out = Vec::new();
        let netns = example(Some(5), &["blue"], &["/lxc.payload.web"]);
        let in_netns = Row {
            netns: Some(&netns),
            may_lack_owners: true,
            ..row
        };
        let mut printer = JsonPrinter::new(Box::new(&mut out), true, true);
        printer.row(&in_netns, b"", &[]).unwrap();
        drop(printer);
        let socket: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(socket["unknown"], serde_json::json!(["processes"]));
        assert_eq!(
            socket["netns"],
            serde_json::json!({"ino": 5, "name": "blue"})
        );
        assert_eq!(
            socket["container"],
            serde_json::json!({"runtime": "lxc", "id": "web"})
        );
        assert_eq!(socket["cgroup"], "/lxc.payload.web");
        let sockets = vec![socket];
        let all = [
            sockets.clone(),
            printed(true, |printer| printer.events(&events)),
            printed(false, |printer| printer.counts(&counts, true)),
            printed(false, |printer| printer.undecided(&undecided())),
            chosen(&[
                "src",
                "dst",
                "sport",
                "dport",
                "process",
                "pid",
                "TCP_NODELAY",
                "cgroup",
            ]),
            chosen(&["TCP_NODELAY"]),
            printed(false, |printer| {
                printer.groups(&[Column::parse("uid").unwrap()], &[(1, &[Key::Unknown])])
            }),
            crate::print::findings::tests::objects(),
        ]
        .concat();
        let keys = |objects: &[serde_json::Value]| -> BTreeSet<String> {
            let maps = objects.iter().filter_map(|object| object.as_object());
            maps.flat_map(|map| map.keys().cloned()).collect()
        };
        assert_eq!(
            found,
            keys(&all)
                .iter()
                .map(String::as_str)
                .collect::<BTreeSet<_>>()
        );
        // The text describes the keys of the other objects.
        for key in ["sockets", "file", "raw"] {
            let mut words = section.split([' ', '\n']);
            assert!(words.any(|word| word == key), "{key}");
        }
        let arguments = include_str!("../cli/args.rs");
        let (_, help) = arguments.split_once("/// Keys: ").unwrap();
        let (help, _) = help.split_once("#[arg").unwrap();
        for key in keys(&sockets) {
            assert!(help.contains(&key), "the help lacks {key}");
        }
    }

    /// A terminal takes no name for a command.
    #[test]
    fn control_characters() {
        let name = "a\x1b\x7f\u{80}\u{9b}\u{9f}\u{a0}\u{e9}\u{c2}b";
        let mut out = Vec::new();
        write_line(&mut out, &name).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = "\"a\\u001b\\u007f\\u0080\\u009b\\u009f\u{a0}\u{e9}\u{c2}b\"\n";
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), name);
    }

    proptest! {
        #[test]
        fn any_raw_line(line: Vec<u8>) {
            let found = printed(false, |printer| printer.unparsed(TCP, &line));
            prop_assert_eq!(found[0]["raw"].as_str().unwrap(), String::from_utf8_lossy(&line));
        }
    }
}
