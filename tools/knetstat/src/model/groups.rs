// SPDX-License-Identifier: GPL-2.0

//! Groups of sockets, by the values of columns: for `summary --by`, and for `metrics`, which also
//! has groups by protocol, family and state.

use crate::model::columns::{Column, Content, Key};
use crate::model::row::{Row, State};
use crate::source::files::File;
use crate::source::process::Owner;
use crate::source::text::printable;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::slice;

/// The value of every label in the series of the groups beyond the limit.
pub const REST: &str = "<other>";

/// The value of a label that is not known.
const UNKNOWN: &str = "<unknown>";

/// Parses the names of labels: of columns, without those that every series has and without lists.
///
/// # Errors
///
/// A message that says what is wrong with a name.
pub fn labels(names: &[String]) -> Result<Vec<Column>, String> {
    let columns = Column::parse_all(names)?;
    for column in &columns {
        if !may_be_label(column.content()) {
            let name = column.name();
            return Err(match column.content() {
                Some(Content::Options | Content::Processes) => {
                    format!("{name} is a list, so it cannot be a label")
                }
                Some(Content::Netid) => {
                    format!("every series has {name} as a label, which is protocol")
                }
                _ => format!("every series has {name} as a label"),
            });
        }
    }
    Ok(columns)
}

/// Whether a column can be a label of metrics.
pub fn may_be_label(content: Option<Content>) -> bool {
    !matches!(
        content,
        Some(
            Content::Netid
                | Content::Family
                | Content::State
                | Content::Options
                | Content::Processes
        )
    )
}

/// The name of a column as the name of a label.
pub fn label_name(column: &Column) -> String {
    column.name().to_ascii_lowercase().replace('-', "_")
}

/// The sums over the sockets of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub sockets: u64,
    /// The bytes in Recv-Q and Send-Q, without those of listeners.
    pub received: u64,
    pub unsent: u64,
    /// The connections in the accept queues of listeners, and the backlogs.
    pub accept_queue: u64,
    pub backlog: u64,
    /// The datagrams that UDP sockets dropped.
    pub drops: u64,
}

impl Sums {
    fn of(row: &Row<'_>) -> Self {
        let number = |n: i64| u64::try_from(n).unwrap_or(0);
        let is_listener = row.state == State::Listen;
        let queues = match is_listener {
            true => (0, 0, number(row.recv_q)),
            false => (number(row.recv_q), number(row.send_q), 0),
        };
        Self {
            sockets: 1,
            received: queues.0,
            unsent: queues.1,
            accept_queue: queues.2,
            backlog: row.backlog.unwrap_or(0),
            drops: row.drops.unwrap_or(0),
        }
    }

    fn add(&mut self, other: &Self) {
        self.sockets += other.sockets;
        self.received += other.received;
        self.unsent += other.unsent;
        self.accept_queue += other.accept_queue;
        self.backlog += other.backlog;
        self.drops += other.drops;
    }
}

/// Adds the sums of each kind to those in `all`.
fn add_all(all: &mut BTreeMap<Kind, Sums>, more: &BTreeMap<Kind, Sums>) {
    for (kind, sums) in more {
        all.entry(*kind).or_default().add(sums);
    }
}

/// The number of sockets of all kinds.
fn sockets(sums: &BTreeMap<Kind, Sums>) -> u64 {
    sums.values().map(|sums| sums.sockets).sum()
}

/// The protocol, family and state of a series, by their indices in [`File::ALL`] and [`State::ALL`].
pub type Kind = (usize, usize);

/// A series: its kind, the values of its labels, and its sums.
pub type Series = (Kind, Vec<String>, Sums);

/// Groups of sockets. A group has one value for each column.
#[derive(Debug)]
pub struct Groups {
    pub columns: Vec<Column>,
    groups: HashMap<Vec<Key>, BTreeMap<Kind, Sums>>,
}

impl Groups {
    pub fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            groups: HashMap::new(),
        }
    }

    pub fn needs_owners(&self) -> bool {
        self.columns.iter().any(Column::needs_owners)
    }

    /// Whether network namespaces and control groups are needed.
    pub fn needs_cgroups(&self) -> bool {
        self.columns.iter().any(Column::needs_cgroups)
    }

    /// Adds a series without sockets, so that it is 0 instead of missing. Only without columns.
    pub fn add_kind(&mut self, file: File, state: State) {
        let series = self.groups.entry(Vec::new()).or_default();
        series.entry(kind(file, state)).or_default();
    }

    /// Adds a socket: once or, if a column is of processes, once for each process with other values
    /// there.
    pub fn add(&mut self, row: &Row<'_>, owners: &[Owner]) {
        let sums = Sums::of(row);
        let kind = kind(row.file, row.state);
        let keys: Vec<_> = self
            .columns
            .iter()
            .map(|column| column.key(row, owners))
            .collect();
        let mut groups = vec![keys];
        if owners.len() > 1 && self.columns.iter().any(Column::is_of_owners) {
            // Only these columns depend on the process.
            let of_one = |owner| {
                let pairs = self.columns.iter().zip(&groups[0]);
                let keys = pairs.map(|(column, key)| match column.is_of_owners() {
                    true => column.key(row, slice::from_ref(owner)),
                    false => key.clone(),
                });
                keys.collect::<Vec<_>>()
            };
            groups = owners.iter().map(of_one).collect();
            groups.sort_unstable();
            groups.dedup();
        }
        for group in groups {
            let series = self.groups.entry(group).or_default();
            series.entry(kind).or_default().add(&sums);
        }
    }

    /// The number of sockets in each group, the highest first.
    pub fn counts(&self) -> Vec<(u64, &[Key])> {
        let groups = self.groups.iter();
        let mut counts: Vec<_> = groups
            .map(|(keys, series)| (sockets(series), keys.as_slice()))
            .collect();
        counts.sort_unstable_by_key(|(count, keys)| (Reverse(*count), *keys));
        counts
    }

    /// The series, in an order that does not depend on the order of the sockets, and the number of
    /// groups that are added up in the series [`REST`]. The `limit` groups with the most sockets keep
    /// series of their own.
    pub fn finish(self, limit: usize) -> (Vec<Series>, usize) {
        let label = |key: &Key| match key {
            Key::Unknown => UNKNOWN.to_owned(),
            Key::Process(name) => printable(&name.to_escaped()),
            key => printable(&key.to_string()),
        };
        // Different values may read the same.
        let mut by_label: HashMap<Vec<String>, BTreeMap<Kind, Sums>> = HashMap::new();
        for (keys, series) in self.groups {
            let labels = keys.iter().map(label).collect();
            add_all(by_label.entry(labels).or_default(), &series);
        }
        let mut groups: Vec<_> = by_label.into_iter().collect();
        groups
            .sort_by(|(a, first), (b, second)| sockets(second).cmp(&sockets(first)).then(a.cmp(b)));
        let rest = groups.split_off(limit.min(groups.len()));
        let left_out = rest.len();
        let mut sums_of_rest: BTreeMap<Kind, Sums> = BTreeMap::new();
        for (_, series) in &rest {
            add_all(&mut sums_of_rest, series);
        }
        groups.sort_by(|(a, _), (b, _)| a.cmp(b));
        if left_out > 0 {
            let labels = vec![REST.to_owned(); self.columns.len()];
            // A process may have this name. Two series of the same labels are not valid.
            match groups.iter_mut().find(|(other, _)| *other == labels) {
                None => groups.push((labels, sums_of_rest)),
                Some((_, sums_of_same)) => add_all(sums_of_same, &sums_of_rest),
            }
        }
        let series = groups.into_iter().flat_map(|(values, series)| {
            let of_group = move |(kind, sums)| (kind, values.clone(), sums);
            series.into_iter().map(of_group)
        });
        (series.collect(), left_out)
    }
}

fn kind(file: File, state: State) -> Kind {
    let index = File::ALL.iter().position(|other| *other == file);
    (index.unwrap_or(0), state as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::{TCP, UDP};

    fn columns(names: &[&str]) -> Vec<Column> {
        let names = names.iter().map(|name| Column::parse(name).unwrap());
        names.collect()
    }

    fn add(groups: &mut Groups, file: File, line: &str, owners: &[Owner]) {
        groups.add(&Row::parse(file, line.as_bytes()).unwrap(), owners);
    }

    #[test]
    fn names_of_labels() {
        let parse = |name: &str| labels(&[name.to_owned()]);
        let name = |text| label_name(&parse(text).unwrap()[0]);
        assert_eq!(name("TCP_NODELAY"), "tcp_nodelay");
        assert_eq!(name("so_keepalive"), "so_keepalive");
        assert_eq!(name("recv-q"), "recv_q");
        let err = parse("state").unwrap_err();
        assert_eq!(err, "every series has state as a label");
        let err = parse("netid").unwrap_err();
        assert_eq!(err, "every series has netid as a label, which is protocol");
        let err = parse("options").unwrap_err();
        assert_eq!(err, "options is a list, so it cannot be a label");
    }

    #[test]
    fn sums() {
        let mut groups = Groups::new(columns(&[]));
        add(
            &mut groups,
            TCP,
            "7 8 1.2.3.4:1 1.2.3.4:5 ESTB A=1,uid=0,ino=1",
            &[],
        );
        add(
            &mut groups,
            TCP,
            "1 2 1.2.3.4:2 1.2.3.4:5 ESTB A=1,uid=0,ino=2",
            &[],
        );
        add(
            &mut groups,
            TCP,
            "3 0 1.2.3.4:2 0.0.0.0:* LSTN A=1,backlog=9,uid=0,ino=3",
            &[],
        );
        add(
            &mut groups,
            UDP,
            "5 0 1.2.3.4:2 0.0.0.0:* A=1,drops=4,uid=0,ino=4",
            &[],
        );
        let (series, rest) = groups.finish(1);
        assert_eq!(rest, 0);
        let sums: Vec<_> = series.iter().map(|(_, _, sums)| *sums).collect();
        let sum = |sockets, received, unsent, accept_queue, backlog, drops| Sums {
            sockets,
            received,
            unsent,
            accept_queue,
            backlog,
            drops,
        };
        assert_eq!(sums.len(), 3);
        for expected in [
            sum(2, 8, 10, 0, 0, 0),
            sum(1, 0, 0, 3, 9, 0),
            sum(1, 5, 0, 0, 0, 4),
        ] {
            assert!(sums.contains(&expected), "{sums:?}");
        }
    }

    /// The number of series is bounded, and no socket is lost.
    #[test]
    fn limit() {
        let mut groups = Groups::new(columns(&["sport", "uid"]));
        for port in 1..=20 {
            for _ in 0..port {
                let line = format!("0 0 1.2.3.4:{port} 1.2.3.4:5 ESTB A=1,uid=0,ino=1");
                add(&mut groups, TCP, &line, &[]);
            }
        }
        let (series, rest) = groups.finish(3);
        assert_eq!(rest, 17);
        let values: Vec<_> = series
            .iter()
            .map(|(_, values, sums)| (values[0].as_str(), values[1].as_str(), sums.sockets))
            .collect();
        assert_eq!(
            values,
            [
                ("18", "0", 18),
                ("19", "0", 19),
                ("20", "0", 20),
                (REST, REST, 153)
            ]
        );
    }

    /// A process may have the name that stands for the rest. No two series have the same labels.
    #[test]
    fn a_process_with_the_name_of_the_rest() {
        let mut groups = Groups::new(columns(&["process"]));
        for (name, count) in [(REST, 3), ("a", 2), ("b", 1)] {
            for _ in 0..count {
                let line = "0 0 1.2.3.4:1 1.2.3.4:5 ESTB A=1,uid=0,ino=1";
                add(&mut groups, TCP, line, &[Owner::new(name, 1, 3)]);
            }
        }
        let (series, rest) = groups.finish(2);
        assert_eq!(rest, 1);
        let found = series.iter();
        let found: Vec<_> = found
            .map(|(_, values, sums)| (&*values[0], sums.sockets))
            .collect();
        assert_eq!(found, [(REST, 4), ("a", 2)]);
    }

    /// Names that read the same are one series. A terminal takes none of them for a command.
    #[test]
    fn names_that_are_not_printable() {
        let mut groups = Groups::new(columns(&["process"]));
        for name in ["a\x1b[2J\u{9b}", r"a\x1b[2J\xc2\x9b"] {
            let line = "0 0 1.2.3.4:1 1.2.3.4:5 ESTB A=1,uid=0,ino=1";
            add(&mut groups, TCP, line, &[Owner::new(name, 1, 3)]);
        }
        let (series, _) = groups.finish(9);
        let [(_, values, sums)] = &series[..] else {
            panic!("{series:?}");
        };
        assert_eq!((&*values[0], sums.sockets), (r"a\x1b[2J\xc2\x9b", 2));
    }

    /// Names that are not UTF-8 are series of their own.
    #[test]
    fn names_that_are_not_text() {
        let mut groups = Groups::new(columns(&["process"]));
        for name in [&b"a\xff"[..], b"a\xfe", b"a\xef\xbf\xbd", b"\xffb\x07\"\\"] {
            let line = "0 0 1.2.3.4:1 1.2.3.4:5 ESTB A=1,uid=0,ino=1";
            add(&mut groups, TCP, line, &[Owner::new(name, 1, 3)]);
        }
        let (series, _) = groups.finish(9);
        let values: Vec<_> = series.iter().map(|(_, values, _)| &*values[0]).collect();
        assert_eq!(values, [r#"\xffb\x07"\"#, r"a\xfe", r"a\xff", "a\u{fffd}"]);
    }

    /// A socket counts once for each name, and a socket without a known process counts, too.
    #[test]
    fn processes_and_options() {
        let mut groups = Groups::new(columns(&["process", "TCP_NODELAY", "SO_RCVBUF"]));
        let owners = [
            Owner::new("a", 1, 3),
            Owner::new("a", 2, 3),
            Owner::new("b", 3, 3),
        ];
        let line = "0 0 1.2.3.4:1 1.2.3.4:5 ESTB TCP_NODELAY=1,uid=0,ino=1";
        add(&mut groups, TCP, line, &owners);
        add(&mut groups, TCP, "0 0 1.2.3.4:1 1.2.3.4:6 TIMW", &[]);
        add(
            &mut groups,
            UDP,
            "0 0 1.2.3.4:1 0.0.0.0:* SO_RCVBUF=9,uid=0,ino=2",
            &[],
        );
        let (series, _) = groups.finish(10);
        let values: Vec<_> = series
            .iter()
            .map(|(_, values, _)| values.join(" "))
            .collect();
        assert_eq!(
            values,
            [
                "  9",
                " <unknown> <unknown>",
                "a 1 <unknown>",
                "b 1 <unknown>"
            ]
        );
    }
}
