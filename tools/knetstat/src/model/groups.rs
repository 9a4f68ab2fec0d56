// SPDX-License-Identifier: GPL-2.0

//! Groups of sockets for `knetstat metrics`: by protocol, family, state, and by labels.

use crate::model::defaults::{Defaults, Setting};
use crate::model::options;
use crate::model::place;
use crate::model::row::{Row, State};
use crate::model::similar::{meant, similar};
use crate::model::words::Side;
use crate::source::files::{File, Netid};
use crate::source::process::Owner;
use crate::source::text::readable;
use std::collections::{BTreeMap, HashMap};

/// The value of every label in the series of the groups beyond the limit.
pub const REST: &str = "<other>";

/// The value of a label for an option whose value is not known.
const UNKNOWN: &str = "<unknown>";

/// The names of labels that are not options.
pub const NAMES: [(&str, &str); 8] = [
    ("process", "the name of a process that has the socket open"),
    ("sport", "the local port"),
    ("dport", "the foreign port"),
    ("src", "the local address"),
    ("dst", "the foreign address"),
    ("uid", "the user of the socket"),
    ("netns", "the network namespace, by name or inode"),
    (
        "container",
        "the container or systemd unit, as in the column Container",
    ),
];

/// The source of a label's value.
#[derive(Debug)]
enum Source {
    Process,
    Port(Side),
    Address(Side),
    Uid,
    Netns,
    Container,
    Option(Box<Defaults>),
}

/// A label.
#[derive(Debug)]
pub struct Label {
    pub name: String,
    source: Source,
}

impl Label {
    /// Parses a name: a word of filters, or an option.
    ///
    /// # Errors
    ///
    /// A message that says what would be right.
    pub fn parse(name: &str) -> Result<Self, String> {
        let source = match name {
            "process" => Source::Process,
            "sport" => Source::Port(Side::Local),
            "dport" => Source::Port(Side::Foreign),
            "src" => Source::Address(Side::Local),
            "dst" => Source::Address(Side::Foreign),
            "uid" => Source::Uid,
            "netns" => Source::Netns,
            "container" => Source::Container,
            option => match options::find(option) {
                Some(info) => Source::Option(Box::new(Defaults::new(info))),
                None => return Err(unknown(name)),
            },
        };
        let name = match &source {
            Source::Option(defaults) => defaults.info.name.to_ascii_lowercase(),
            _ => name.to_owned(),
        };
        Ok(Self { name, source })
    }

    /// Parses names, each of which may occur once.
    ///
    /// # Errors
    ///
    /// Those of [`Label::parse`], and if a name occurs twice.
    pub fn parse_all(names: &[String]) -> Result<Vec<Self>, String> {
        let mut labels: Vec<Self> = Vec::new();
        for name in names {
            let label = Self::parse(name)?;
            if labels.iter().any(|other| other.name == label.name) {
                return Err(format!("{name} is given twice"));
            }
            labels.push(label);
        }
        Ok(labels)
    }

    fn needs_owners(&self) -> bool {
        matches!(self.source, Source::Process)
    }

    fn needs_cgroups(&self) -> bool {
        matches!(self.source, Source::Netns | Source::Container)
    }

    /// The value of a socket. Of a process, it is `None`: there may be several.
    fn value(&self, row: &Row<'_>, owners: &[Owner]) -> Option<String> {
        Some(match &self.source {
            Source::Process => return None,
            Source::Port(side) => side.of(row).port.to_string(),
            Source::Address(side) => side.of(row).address.to_canonical().to_string(),
            Source::Uid => row.uid.map_or(String::new(), |uid| uid.to_string()),
            Source::Netns => match row.netns {
                Some(netns) => netns.name().unwrap_or_else(|| UNKNOWN.to_owned()),
                None => UNKNOWN.to_owned(),
            },
            Source::Container => {
                let place = place::container(row, owners);
                place.map_or(String::new(), |place| place.to_string())
            }
            Source::Option(defaults) => match defaults.on(row) {
                Setting::Value(text) => readable(text).into_owned(),
                Setting::Nothing | Setting::Inapplicable => String::new(),
                Setting::Unknown(_) => UNKNOWN.to_owned(),
            },
        })
    }
}

/// The message about a name that is no label.
fn unknown(name: &str) -> String {
    let names = NAMES.map(|(name, _)| name);
    let mut near = similar(name, names.into_iter());
    near.extend(options::similar(name));
    match near.is_empty() {
        false => format!("unknown name {name:?}{}", meant(&near)),
        true => format!(
            "unknown name {name:?}; expected: {}, or an option such as TCP_NODELAY",
            names.join(", ")
        ),
    }
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

/// The protocol, family and state of a series, by their indices in [`File::ALL`] and [`State::ALL`].
pub type Kind = (usize, usize);

/// A series: its kind, the values of its labels, and its sums.
pub type Series = (Kind, Vec<String>, Sums);

/// Groups of sockets. A group has one value for each label.
#[derive(Debug)]
pub struct Groups {
    pub labels: Vec<Label>,
    groups: HashMap<Vec<String>, BTreeMap<Kind, Sums>>,
}

impl Groups {
    pub fn new(labels: Vec<Label>) -> Self {
        Self {
            labels,
            groups: HashMap::new(),
        }
    }

    pub fn needs_owners(&self) -> bool {
        self.labels.iter().any(Label::needs_owners)
    }

    /// Whether network namespaces and containers are needed.
    pub fn needs_cgroups(&self) -> bool {
        self.labels.iter().any(Label::needs_cgroups)
    }

    /// Adds a series without sockets, so that it is 0 instead of missing. Only without labels.
    pub fn add_kind(&mut self, file: File, state: State) {
        let series = self.groups.entry(Vec::new()).or_default();
        series.entry(kind(file, state)).or_default();
    }

    /// Adds a socket: once or, if a label is the process, once for each name of a process.
    pub fn add(&mut self, row: &Row<'_>, owners: &[Owner]) {
        let values: Vec<_> = self
            .labels
            .iter()
            .map(|label| label.value(row, owners))
            .collect();
        let mut names = vec![String::new()];
        if self.needs_owners() && !owners.is_empty() {
            names = owners
                .iter()
                .map(|owner| owner.name().to_text().into_owned())
                .collect();
            names.sort_unstable();
            names.dedup();
        }
        let sums = Sums::of(row);
        for name in names {
            let of_name = values
                .iter()
                .map(|value| value.as_ref().unwrap_or(&name).clone());
            let series = self.groups.entry(of_name.collect()).or_default();
            series
                .entry(kind(row.file, row.state))
                .or_default()
                .add(&sums);
        }
    }

    /// The series, in an order that does not depend on the order of the sockets, and the number of
    /// groups that are added up in the series [`REST`]. The `limit` groups with the most sockets keep
    /// series of their own.
    pub fn finish(self, limit: usize) -> (Vec<Series>, usize) {
        let count = |series: &BTreeMap<Kind, Sums>| -> u64 {
            series.values().map(|sums| sums.sockets).sum()
        };
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        groups.sort_by(|(a, first), (b, second)| count(second).cmp(&count(first)).then(a.cmp(b)));
        let rest = groups.split_off(limit.min(groups.len()));
        let left_out = rest.len();
        let mut sums_of_rest: BTreeMap<Kind, Sums> = BTreeMap::new();
        for (kind, sums) in rest.into_iter().flat_map(|(_, series)| series) {
            sums_of_rest.entry(kind).or_default().add(&sums);
        }
        groups.sort_by(|(a, _), (b, _)| a.cmp(b));
        if left_out > 0 {
            groups.push((vec![REST.to_owned(); self.labels.len()], sums_of_rest));
        }
        let series = groups.into_iter().flat_map(|(values, series)| {
            let of_group = move |(kind, sums)| (kind, values.clone(), sums);
            series.into_iter().map(of_group)
        });
        (series.collect(), left_out)
    }
}

/// Whether the sockets of a file can be in a state.
pub fn may_have(file: File, state: State) -> bool {
    match file.netid {
        Netid::Tcp => state != State::Close,
        Netid::Udp => matches!(state, State::Established | State::Close),
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

    fn labels(names: &[&str]) -> Vec<Label> {
        names
            .iter()
            .map(|name| Label::parse(name).unwrap())
            .collect()
    }

    fn add(groups: &mut Groups, file: File, line: &str, owners: &[Owner]) {
        groups.add(&Row::parse(file, line.as_bytes()).unwrap(), owners);
    }

    #[test]
    fn names() {
        let label = |name| Label::parse(name).map(|label| label.name);
        assert_eq!(label("TCP_NODELAY").unwrap(), "tcp_nodelay");
        assert_eq!(label("so_keepalive").unwrap(), "so_keepalive");
        assert_eq!(label("sport").unwrap(), "sport");
        let err = label("nodelay").unwrap_err();
        assert_eq!(err, "unknown name \"nodelay\"; did you mean TCP_NODELAY?");
        let err = label("x").unwrap_err();
        assert!(
            err.ends_with("netns, container, or an option such as TCP_NODELAY"),
            "{err}"
        );
        for (name, _) in NAMES {
            assert_eq!(label(name).unwrap(), name);
        }
        let twice = ["TCP_NODELAY", "uid", "tcp_nodelay"].map(str::to_owned);
        assert_eq!(Label::parse_all(&twice[..2]).unwrap().len(), 2);
        let err = Label::parse_all(&twice).unwrap_err();
        assert_eq!(err, "tcp_nodelay is given twice");
    }

    #[test]
    fn sums() {
        let mut groups = Groups::new(labels(&[]));
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
        let mut groups = Groups::new(labels(&["sport", "uid"]));
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

    /// A socket counts once for each name, and a socket without a known process counts, too.
    #[test]
    fn processes_and_options() {
        let mut groups = Groups::new(labels(&["process", "TCP_NODELAY", "SO_RCVBUF"]));
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
