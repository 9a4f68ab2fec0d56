// SPDX-License-Identifier: GPL-2.0

//! Events: changes of sockets from one read of the files to the next.
//!
//! A socket is identified by its inode and its endpoints: the subflows of an MPTCP connection
//! share one inode. These have no inode: requests, sockets in TIMW, connections that were not
//! accepted yet, and closed sockets. The tracker follows sockets whose inode or endpoints change.
//!
//! The state, addresses, ports, options, backlog, user and inode are compared. These are not:
//!
//! - queues and diagnostics, which differ with each packet;
//! - processes, which differ with each fork;
//! - options that the kernel changes by itself.

use crate::model::options;
use crate::model::row::{Endpoint, Options, Row, State};
use crate::source::files::{File, Netid};
use crate::source::namespaces::Netns;
use crate::source::process::Owner;
use std::fmt::Write;
use std::net::IpAddr;
use std::rc::Rc;

/// The key under which a socket is looked up: its inode, or its endpoints if it has none. Sockets
/// with the same inode differ in their endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    file: File,
    netns: Option<Rc<Netns>>,
    id: Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Id {
    Ino(u64),
    Endpoints([(IpAddr, u16); 2]),
}

impl Key {
    pub fn of(row: &Row<'_>) -> Self {
        match row.ino {
            Some(ino) if row.has_inode() => Self::with(row, Id::Ino(ino)),
            _ => Key::endpoints(row),
        }
    }

    fn with(row: &Row<'_>, id: Id) -> Self {
        Self {
            file: row.file,
            netns: row.netns.map(Netns::slim),
            id,
        }
    }

    /// The number of the network namespace, if several are read; see [`Netns::id`].
    pub fn netns_id(&self) -> Option<u64> {
        self.netns.as_ref().map(|netns| netns.id())
    }

    /// This key in a network namespace.
    pub fn within(self, netns: &Rc<Netns>) -> Self {
        let netns = Some(netns.slim());
        Self { netns, ..self }
    }

    /// The key of a socket without an inode.
    pub fn endpoints(row: &Row<'_>) -> Self {
        let numbers = |endpoint: &Endpoint<'_>| (endpoint.address, endpoint.port);
        Self::with(
            row,
            Id::Endpoints([numbers(&row.local), numbers(&row.foreign)]),
        )
    }

    /// Whether the socket has an inode.
    pub fn is_inode(&self) -> bool {
        matches!(self.id, Id::Ino(_))
    }

    pub fn snapshot(&self, text: Box<str>) -> Snapshot {
        Snapshot {
            file: self.file,
            netns: self.netns.clone(),
            text,
        }
    }

    /// The row of a snapshot's text.
    pub fn row<'a>(&'a self, text: &'a str) -> Option<Row<'a>> {
        row(self.file, self.netns.as_ref(), text)
    }
}

/// The row of a snapshot's text.
fn row<'a>(file: File, netns: Option<&'a Rc<Netns>>, text: &'a str) -> Option<Row<'a>> {
    let row = Row::parse(file, text.as_bytes())?;
    Some(Row { netns, ..row })
}

/// The part of a snapshot's text that gives the endpoints of the socket.
pub fn endpoints(text: &str) -> &str {
    let end = text.match_indices(' ').nth(3);
    end.map_or(text, |(end, _)| &text[..end])
}

/// The text of a row without the fields whose changes are ignored. [`Row::parse`] parses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    file: File,
    netns: Option<Rc<Netns>>,
    text: Box<str>,
}

impl Snapshot {
    pub fn row(&self) -> Option<Row<'_>> {
        row(self.file, self.netns.as_ref(), &self.text)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// This snapshot with the values that another one has of these options. `None` if the kernel
    /// keeps no options for one of the two.
    fn with_options_of(&self, other: &Snapshot, names: &[&str]) -> Option<Self> {
        let (row, other) = (self.row()?, other.row()?);
        if names.is_empty() || !row.has_options() || !other.has_options() {
            return None;
        }
        let is_one = |name: &str| names.contains(&name);
        let own = row.options.iter().filter(|(name, _)| !is_one(name));
        let others = other.options.iter().filter(|(name, _)| is_one(name));
        let entries = own
            .chain(others)
            .map(|(name, value)| format!("{name}={value}"));
        let list = entries.collect::<Vec<_>>().join(",");
        Some(Self::of(&Row {
            options: Options(&list),
            ..row
        }))
    }

    /// The snapshot of a row.
    pub fn of(row: &Row<'_>) -> Self {
        let mut text = String::new();
        Self::write(row, &mut text);
        Key::of(row).snapshot(text.into())
    }

    /// Writes the text of a row's snapshot.
    pub fn write(row: &Row<'_>, text: &mut String) {
        text.clear();
        *text += "0 0";
        for endpoint in [&row.local, &row.foreign] {
            let _ = write!(text, " {}:{}", endpoint.text, endpoint.port);
        }
        if row.file.netid == Netid::Tcp {
            *text += " ";
            *text += row.state.label();
        }
        let settings = options::settings(row);
        let list = Row {
            options: Options(&settings),
            ..*row
        }
        .joined();
        if !list.is_empty() {
            *text += " ";
            *text += &list;
        }
    }
}

/// A change of a socket from one read to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Came(Snapshot),
    Changed {
        before: Snapshot,
        now: Snapshot,
    },
    Went {
        before: Snapshot,
        /// The socket as it is now, if it still exists but the query no longer selects it.
        now: Option<Snapshot>,
    },
}

impl Event {
    /// An event `changed`, or `None` if nothing differs.
    pub fn changed(before: Snapshot, now: Snapshot) -> Option<Self> {
        let is_none = changes(&before.row()?, &now.row()?).is_empty();
        (!is_none).then_some(Event::Changed { before, now })
    }

    /// The event without changes of these options. `None` if nothing else has changed.
    pub fn without_changes_of(self, names: &[&str]) -> Option<Self> {
        match self {
            Event::Changed { before, now } => {
                let before = before.with_options_of(&now, names).unwrap_or(before);
                Event::changed(before, now)
            }
            Event::Went {
                before,
                now: Some(now),
            } => {
                let before = before.with_options_of(&now, names).unwrap_or(before);
                let now = Some(now);
                Some(Event::Went { before, now })
            }
            other => Some(other),
        }
    }

    /// The word that is printed.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Came(_) => "came",
            Event::Changed { .. } => "changed",
            Event::Went { .. } => "went",
        }
    }

    /// The rank among the events of one read.
    pub fn order(&self) -> usize {
        match self {
            Event::Went { .. } => 0,
            Event::Changed { .. } => 1,
            Event::Came(_) => 2,
        }
    }

    /// The socket as it is now or, if it is gone, as it was last.
    pub fn latest(&self) -> &Snapshot {
        match self {
            Event::Came(now) | Event::Changed { now, .. } => now,
            Event::Went { before, now } => now.as_ref().unwrap_or(before),
        }
    }

    /// The socket as it was before, if it can be compared with what it is now.
    pub fn before(&self) -> Option<&Snapshot> {
        match self {
            Event::Changed { before, .. }
            | Event::Went {
                before,
                now: Some(_),
            } => Some(before),
            _ => None,
        }
    }
}

/// An event with the processes that have the socket open.
#[derive(Clone, Debug)]
pub struct Report {
    pub event: Event,
    /// The network namespace as the last scan has found it: snapshots lack what is needed to enter
    /// it, and so to find out what rows leave out.
    pub scanned: Option<Rc<Netns>>,
    pub owners: Vec<Owner>,
    /// Whether processes that could not be examined may have the socket open.
    pub may_lack_owners: bool,
}

impl Report {
    /// The socket as it is now or, if it is gone, as it was last.
    pub fn row(&self) -> Option<Row<'_>> {
        let row = self.event.latest().row()?;
        Some(Row {
            scanned: self.scanned.as_ref(),
            may_lack_owners: self.may_lack_owners,
            ..row
        })
    }
}

/// Whether two rows with the same addresses and ports can be one connection, whose state moves
/// forward.
pub fn continues(before: &Row<'_>, now: &Row<'_>) -> bool {
    let age = |state| match state {
        State::Close | State::Listen | State::SynSent | State::SynRecv => 0,
        State::Established => 1,
        State::CloseWait | State::FinWait1 => 2,
        State::FinWait2 | State::Closing | State::LastAck => 3,
        State::TimeWait => 4,
    };
    age(before.state) <= age(now.state)
}

/// A change of a field or an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    pub name: &'a str,
    /// `None` if the row lacks it, as for `new`.
    pub old: Option<Value<'a>>,
    pub new: Option<Value<'a>>,
}

/// A value before or after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Endpoint(Endpoint<'a>),
    State(State),
    Option(&'a str),
    Number(u64),
}

/// The changes, in the order of the row. If the kernel keeps no options for one of the two, options
/// are not compared.
pub fn changes<'a>(before: &Row<'a>, now: &Row<'a>) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    let mut compare = |name, old: Option<Value<'a>>, new: Option<Value<'a>>| {
        if old != new {
            changes.push(Change { name, old, new });
        }
    };
    for (name, old, new) in [
        ("local", before.local, now.local),
        ("foreign", before.foreign, now.foreign),
    ] {
        compare(name, Some(Value::Endpoint(old)), Some(Value::Endpoint(new)));
    }
    compare(
        "state",
        Some(Value::State(before.state)),
        Some(Value::State(now.state)),
    );
    if !before.has_options() || !now.has_options() {
        return changes;
    }
    for (name, value) in before.options.iter() {
        compare(
            name,
            Some(Value::Option(value)),
            now.options.get(name).map(Value::Option),
        );
    }
    for (name, value) in now.options.iter() {
        if before.options.get(name).is_none() {
            compare(name, None, Some(Value::Option(value)));
        }
    }
    for (name, old, new) in [
        ("backlog", before.backlog, now.backlog),
        ("uid", before.uid, now.uid),
        ("ino", before.ino, now.ino),
    ] {
        compare(name, old.map(Value::Number), new.map(Value::Number));
    }
    changes
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::model::row::tests::{TCP, UDP};
    use crate::source::namespaces::tests::example;
    use proptest::prelude::*;

    prop_compose! {
        pub fn any_row()(
            state in prop::sample::select(State::ALL.map(|(_, label, _)| label).to_vec()),
            options in prop::collection::btree_map("[A-C]", 0..3u8, 0..4),
            port in 0..3u16, ino in 0..3u8, has_options: bool,
        ) -> String {
            let mut line = format!("0 0 10.0.0.1:{port} 10.0.0.2:5 {state}");
            if has_options {
                line.push(' ');
                for (name, value) in &options {
                    let _ = write!(line, "{name}={value},");
                }
                let _ = write!(line, "uid=0,ino={ino}");
            }
            line
        }
    }

    /// An event without the changes of some options has the others, and is none if there are none.
    #[test]
    fn some_changes_are_left_out() {
        const A: &str = "0 0 10.0.0.1:22 10.0.0.2:5 ESTB A=1,C=1,uid=0,ino=7";
        const B: &str = "0 0 10.0.0.1:22 10.0.0.2:5 ESTB A=1,B=2,C=2,uid=0,ino=7";
        let snapshot = |line: &str| Snapshot::of(&Row::parse(TCP, line.as_bytes()).unwrap());
        let names = |event: &Event| {
            let (before, now) = (event.before().unwrap(), event.latest());
            let (before, now) = (before.row().unwrap(), now.row().unwrap());
            let names = changes(&before, &now)
                .into_iter()
                .map(|change| change.name.to_owned());
            names.collect::<Vec<_>>()
        };
        for (before, now) in [(A, B), (B, A)] {
            let (before, now) = (snapshot(before), snapshot(now));
            for (without, left) in [
                (&[][..], 2),
                (&["B"], 1),
                (&["C"], 1),
                (&["B", "C"], 0),
                (&["D"], 2),
            ] {
                let changed = Event::changed(before.clone(), now.clone()).unwrap();
                let changed = changed.without_changes_of(without);
                assert_eq!(changed.as_ref().map_or(0, |event| names(event).len()), left);
                assert_eq!(changed.is_some(), left > 0);
                let went = Event::Went {
                    before: before.clone(),
                    now: Some(now.clone()),
                };
                let went = went.without_changes_of(without).unwrap();
                assert_eq!(names(&went).len(), left);
                assert_eq!(went.latest(), &now);
                assert!(names(&went).iter().all(|name| !without.contains(&&**name)));
            }
        }
    }

    /// The namespace that the last scan has found with the same inode may be another one. It gives no
    /// names.
    #[test]
    fn namespaces_of_events() {
        let (old, new) = (
            example(Some(5), &["blue"], &[]),
            example(Some(5), &["red"], &[]),
        );
        let row = Row::parse(TCP, b"0 0 10.0.0.1:22 10.0.0.2:5 ESTB A=1,uid=0,ino=7").unwrap();
        let netns = Some(&old);
        let report = Report {
            event: Event::Came(Snapshot::of(&Row { netns, ..row })),
            scanned: Some(new),
            owners: Vec::new(),
            may_lack_owners: false,
        };
        let row = report.row().unwrap();
        let name = |netns: Option<&Rc<Netns>>| netns.unwrap().name().unwrap();
        assert_eq!(
            (name(row.netns), name(row.entered())),
            ("blue".into(), "red".into())
        );
    }

    proptest! {
        /// A snapshot has everything of the row except queues and diagnostics.
        #[test]
        fn rows_are_kept(line in any_row(), queue: u32) {
            let row = Row::parse(TCP, line.as_bytes()).unwrap();
            let mut text = String::new();
            Snapshot::write(&Row { recv_q: queue.into(), diag: ">|", ..row }, &mut text);
            prop_assert_eq!(Row::parse(TCP, text.as_bytes()), Some(row));
            let udp = line.replace(row.state.label(), "");
            let row = Row::parse(UDP, udp.as_bytes()).unwrap();
            Snapshot::write(&row, &mut text);
            prop_assert_eq!(Row::parse(UDP, text.as_bytes()), Some(row));
        }

        /// Changes lead from one row to the other. There are none if nothing differs.
        #[test]
        fn changes_are_all_of_them(a in any_row(), b in any_row()) {
            let (a, b) = (Row::parse(TCP, a.as_bytes()).unwrap(), Row::parse(TCP, b.as_bytes()).unwrap());
            prop_assert!(changes(&a, &a).is_empty());
            let changes = changes(&a, &b);
            let mut options: std::collections::BTreeMap<_, _> = a.options.iter().collect();
            for change in &changes {
                prop_assert_ne!(change.old, change.new);
                match change.new {
                    Some(Value::Option(value)) => { options.insert(change.name, value); }
                    None => { options.remove(change.name); }
                    _ => {}
                }
            }
            if a.has_options() && b.has_options() {
                prop_assert_eq!(options, b.options.iter().collect());
            }
            prop_assert_eq!(a.state != b.state, changes.iter().any(|change| change.name == "state"));
        }
    }
}
