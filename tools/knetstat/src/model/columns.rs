// SPDX-License-Identifier: GPL-2.0

//! The columns that `-o`, `--sort` and `--by` name. Each shows a part of the row, the processes that
//! have the socket open, or an option. The titles, `--help`, completion and the messages about wrong
//! names follow from [`NAMES`]. A test compares knetstat(8) with it.

use crate::model::defaults::{Defaults, Setting};
use crate::model::options::{self, Kind};
use crate::model::place::{self, Place};
use crate::model::row::{Endpoint, Options, Row, State};
use crate::model::similar::{meant, similar};
use crate::model::truth::{Reason, Truth};
use crate::model::words::{Field, Side};
use crate::source::cgroup::Cgroup;
use crate::source::files::{Family, Netid};
use crate::source::namespaces::Netns;
use crate::source::process::Name as ProcessName;
use crate::source::process::Owner;
use crate::source::text::{readable, readable_groups};
use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

/// A column that is not an option.
#[derive(Debug)]
pub struct Name {
    pub name: &'static str,
    /// Other spellings, which neither `--help` nor completion offer.
    pub aliases: &'static [&'static str],
    /// The title above the column.
    pub title: &'static str,
    /// A description for `--help` and completion.
    pub help: &'static str,
    pub content: Content,
}

/// The content of a column that is not an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Netns,
    Container,
    Cgroup,
    Netid,
    Family,
    End(Side),
    Address(Side),
    Port(Side),
    State,
    Diag,
    Options,
    Number(Field),
    /// The names of the processes.
    Process,
    /// The IDs of the processes.
    Pid,
    /// The processes with their IDs and descriptors.
    Processes,
}

const fn name(
    name: &'static str,
    title: &'static str,
    help: &'static str,
    content: Content,
) -> Name {
    Name {
        name,
        aliases: &[],
        title,
        help,
        content,
    }
}

impl Name {
    const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }
}

/// All names, in the order of `--help`.
pub static NAMES: [Name; 23] = [
    name(
        "netns",
        "Netns",
        "the network namespace, by name or inode",
        Content::Netns,
    ),
    name(
        "container",
        "Container",
        "the container or systemd unit",
        Content::Container,
    ),
    name("cgroup", "Cgroup", "the control group", Content::Cgroup),
    name("netid", "Netid", "tcp or udp", Content::Netid),
    name("family", "Family", "inet or inet6", Content::Family),
    name(
        "recv-q",
        "Recv-Q",
        "the Recv-Q column",
        Content::Number(Field::RecvQ),
    )
    .or(&["recv_q", "recvq"]),
    name(
        "send-q",
        "Send-Q",
        "the Send-Q column",
        Content::Number(Field::SendQ),
    )
    .or(&["send_q", "sendq"]),
    name(
        "local",
        "Local Address",
        "the local address and port",
        Content::End(Side::Local),
    ),
    name(
        "foreign",
        "Foreign Address",
        "the foreign address and port",
        Content::End(Side::Foreign),
    )
    .or(&["peer"]),
    name(
        "src",
        "Src",
        "the local address",
        Content::Address(Side::Local),
    ),
    name(
        "sport",
        "Sport",
        "the local port",
        Content::Port(Side::Local),
    ),
    name(
        "dst",
        "Dst",
        "the foreign address",
        Content::Address(Side::Foreign),
    ),
    name(
        "dport",
        "Dport",
        "the foreign port",
        Content::Port(Side::Foreign),
    ),
    name("state", "Stat", "the state", Content::State).or(&["stat"]),
    name("diag", "Diag", "the Diag column", Content::Diag),
    name(
        "options",
        "Options",
        "the list of options",
        Content::Options,
    ),
    name(
        "backlog",
        "Backlog",
        "the backlog of a listener",
        Content::Number(Field::Backlog),
    ),
    name(
        "drops",
        "Drops",
        "the datagrams that a UDP socket dropped",
        Content::Number(Field::Drops),
    ),
    name(
        "uid",
        "UID",
        "the user of the socket",
        Content::Number(Field::Uid),
    ),
    name(
        "ino",
        "Inode",
        "the inode of the socket",
        Content::Number(Field::Ino),
    )
    .or(&["inode"]),
    name(
        "process",
        "Process",
        "the names of the processes that have the socket open",
        Content::Process,
    ),
    name("pid", "PID", "the IDs of these processes", Content::Pid),
    name(
        "processes",
        "Process",
        "these processes as -p shows them",
        Content::Processes,
    )
    .or(&["users"]),
];

/// The columns of a list in which none was chosen, without the options.
const LIST: [Content; 7] = [
    Content::Netid,
    Content::Number(Field::RecvQ),
    Content::Number(Field::SendQ),
    Content::End(Side::Local),
    Content::End(Side::Foreign),
    Content::State,
    Content::Diag,
];

/// Where a column comes from.
#[derive(Clone, Debug)]
enum Source {
    Named(&'static Name),
    Option(Rc<Defaults>),
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column(Source);

/// The contents of a column in the row of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// The socket has no such value.
    Nothing,
    /// The value is not known.
    Unknown(Reason),
    Netns(&'a Netns),
    Place(Place<'a>),
    Cgroup(&'a Cgroup),
    Netid(Netid),
    Family(Family),
    State(State),
    Diag(&'a str),
    Endpoint(Endpoint<'a>),
    /// An address, with its text in the row.
    Address(&'a str, IpAddr),
    Port(u16),
    Number(i128),
    /// The value of an option as a row shows it.
    Value {
        text: &'a str,
        /// Whether the row lacks the option, so that this is its default.
        is_default: bool,
    },
    Options(Options<'a>),
    Owners(&'a [Owner]),
}

impl Column {
    fn named(content: Content) -> Self {
        let is_it = |name: &&Name| name.content == content;
        Self(Source::Named(
            NAMES.iter().find(is_it).expect("a name for each content"),
        ))
    }

    /// The columns of a list in which none was chosen, without the options and processes.
    pub fn of_list(all_netns: bool) -> Vec<Self> {
        let of_netns = match all_netns {
            true => &[Content::Netns, Content::Container][..],
            false => &[],
        };
        of_netns
            .iter()
            .chain(&LIST)
            .map(|content| Self::named(*content))
            .collect()
    }

    /// The columns of an object in JSON, which are all but those that repeat others.
    pub fn of_json(all_netns: bool, processes: bool) -> Vec<Self> {
        let is_in_object = |content| match content {
            Content::Netns | Content::Container | Content::Cgroup => all_netns,
            Content::Processes => processes,
            Content::Address(_) | Content::Port(_) | Content::Process | Content::Pid => false,
            _ => true,
        };
        let names = NAMES.iter().filter(|name| is_in_object(name.content));
        names.map(|name| Self(Source::Named(name))).collect()
    }

    /// These columns, followed by those of `more` that are not among them.
    pub fn joined(mut columns: Vec<Self>, more: Vec<Self>) -> Vec<Self> {
        for column in more {
            if !columns.iter().any(|other| other.name() == column.name()) {
                columns.push(column);
            }
        }
        columns
    }

    /// The processes as `-p` shows them.
    pub fn of_processes() -> Self {
        Self::named(Content::Processes)
    }

    /// Parses a name: one of [`NAMES`], or an option. Case matters only for the former.
    ///
    /// # Errors
    ///
    /// A message that says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_it = |name: &&Name| name.name == text || name.aliases.contains(&text);
        if let Some(name) = NAMES.iter().find(is_it) {
            return Ok(Self(Source::Named(name)));
        }
        match options::find(text) {
            Some(info) => Ok(Self(Source::Option(Rc::new(Defaults::new(info))))),
            None => Err(unknown(text)),
        }
    }

    /// Parses names, each of which may occur once.
    ///
    /// # Errors
    ///
    /// Those of [`Column::parse`], and if a name occurs twice.
    pub fn parse_all(names: &[String]) -> Result<Vec<Self>, String> {
        let mut columns: Vec<Self> = Vec::new();
        for name in names {
            let column = Self::parse(name)?;
            if columns.iter().any(|other| other.name() == column.name()) {
                return Err(format!("{name} is given twice"));
            }
            columns.push(column);
        }
        Ok(columns)
    }

    /// The name, in the spelling of `--help` or of the kernel.
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Source::Named(name) => name.name,
            Source::Option(defaults) => defaults.info.name,
        }
    }

    pub fn title(&self) -> &'static str {
        match &self.0 {
            Source::Named(name) => name.title,
            Source::Option(defaults) => defaults.info.name,
        }
    }

    /// The content, unless the column is an option.
    pub fn content(&self) -> Option<Content> {
        match &self.0 {
            Source::Named(name) => Some(name.content),
            Source::Option(_) => None,
        }
    }

    /// The option, if the column is one.
    pub fn option(&self) -> Option<&'static options::Info> {
        match &self.0 {
            Source::Named(_) => None,
            Source::Option(defaults) => Some(defaults.info),
        }
    }

    /// Whether the processes that have sockets open are needed.
    pub fn needs_owners(&self) -> bool {
        self.is_of_owners() || self.content() == Some(Content::Processes)
    }

    /// Whether there is a value for each process that has the socket open.
    pub fn is_of_owners(&self) -> bool {
        matches!(self.content(), Some(Content::Process | Content::Pid))
    }

    /// Whether network namespaces and control groups are needed.
    pub fn needs_cgroups(&self) -> bool {
        matches!(
            self.content(),
            Some(Content::Netns | Content::Container | Content::Cgroup)
        )
    }

    /// The cell of a socket.
    pub fn cell<'a>(&'a self, row: &Row<'a>, owners: &'a [Owner]) -> Cell<'a> {
        let content = match &self.0 {
            Source::Named(name) => name.content,
            Source::Option(defaults) => return of_option(defaults, row),
        };
        match content {
            Content::Netns => match row.netns {
                Some(netns) if netns.has_name() => Cell::Netns(netns),
                _ => Cell::Unknown(Reason::Netns),
            },
            Content::Container => match place::container_cgroup(row, owners) {
                Ok(cgroup) => Place::of(cgroup).map_or(Cell::Nothing, Cell::Place),
                Err(reason) => Cell::Unknown(reason),
            },
            Content::Cgroup => match place::cgroup(row, owners) {
                Ok(cgroup) => Cell::Cgroup(cgroup),
                Err(reason) => Cell::Unknown(reason),
            },
            Content::Netid => Cell::Netid(row.file.netid),
            Content::Family => Cell::Family(row.file.family),
            Content::End(side) => Cell::Endpoint(*side.of(row)),
            Content::Address(side) => {
                let endpoint = side.of(row);
                Cell::Address(endpoint.text, endpoint.address)
            }
            Content::Port(side) => match side.of(row).port {
                0 => Cell::Nothing,
                port => Cell::Port(port),
            },
            Content::State => Cell::State(row.state),
            Content::Diag if row.diag.is_empty() => Cell::Nothing,
            Content::Diag => Cell::Diag(row.diag),
            Content::Options if !row.has_options() => Cell::Unknown(Reason::Forgotten),
            Content::Options if row.options.is_empty() => Cell::Nothing,
            Content::Options => Cell::Options(row.options),
            // The kernel keeps no inode of such a socket, because no process has it open.
            Content::Number(Field::Ino) if row.ino.is_none() => Cell::Nothing,
            Content::Number(field) => match field.of(row) {
                Ok(Some(n)) => Cell::Number(n),
                Ok(None) => Cell::Nothing,
                Err(reason) => Cell::Unknown(reason),
            },
            Content::Process | Content::Pid | Content::Processes if owners.is_empty() => {
                match row.may_lack_owners {
                    true => Cell::Unknown(Reason::Owners),
                    false => Cell::Nothing,
                }
            }
            Content::Process | Content::Pid | Content::Processes => Cell::Owners(owners),
        }
    }

    /// The value of a socket, for sorting and counting. Of several processes, the least one counts.
    pub fn key(&self, row: &Row<'_>, owners: &[Owner]) -> Key {
        let name = |owner: &Owner| Key::Process(owner.name().clone());
        let pid = |owner: &Owner| Key::Number(owner.pid().into());
        match (self.content(), self.cell(row, owners)) {
            (Some(Content::Pid), Cell::Owners(owners)) => {
                owners.iter().map(pid).min().unwrap_or(Key::Nothing)
            }
            (_, Cell::Owners(owners)) => owners.iter().map(name).min().unwrap_or(Key::Nothing),
            (None, Cell::Value { text, .. }) => {
                let info = self.option();
                let is_class = info.is_some_and(|info| info.is_traffic_class);
                let without_ecn = (is_class && row.file.netid == Netid::Tcp)
                    .then(|| options::without_ecn(text))
                    .flatten();
                let text = without_ecn.as_deref().unwrap_or(text);
                info.map_or_else(
                    || Key::Shown(text.to_owned()),
                    |info| Key::of_option(info, text),
                )
            }
            (Some(Content::Options), Cell::Options(_)) => match &*options::settings(row) {
                "" => Key::Nothing,
                list => Key::List(list.to_owned()),
            },
            (_, cell) => Key::of(cell),
        }
    }
}

fn of_option<'a>(defaults: &'a Defaults, row: &Row<'a>) -> Cell<'a> {
    match defaults.on(row) {
        Setting::Value(text) => Cell::Value {
            text,
            is_default: row.options.get(defaults.info.name).is_none(),
        },
        Setting::Nothing | Setting::Inapplicable => Cell::Nothing,
        Setting::Unknown(reason) => Cell::Unknown(reason),
    }
}

/// Whether the values of all these columns are known, or why not.
pub fn are_known(columns: &[Column], row: &Row<'_>, owners: &[Owner]) -> Truth {
    columns.iter().fold(Truth::True, |truth, column| {
        truth.and(|| match column.cell(row, owners) {
            Cell::Unknown(reason) => Truth::unknown(reason),
            _ => Truth::True,
        })
    })
}

/// The names of columns that are similar to this one, except in case.
pub fn near(name: &str) -> Vec<&'static str> {
    let names = NAMES.iter().map(|name| name.name);
    let lower = name.to_ascii_lowercase();
    if let Some(same) = names.clone().find(|name| *name == lower) {
        return vec![same];
    }
    let mut near = similar(&lower, names);
    near.extend(options::similar(name));
    near
}

/// The message about a name that is no column.
fn unknown(name: &str) -> String {
    let names = NAMES.iter().map(|name| name.name);
    let near = near(name);
    match near.is_empty() {
        false => format!("unknown name {name:?}{}", meant(&near)),
        true => format!(
            "unknown name {name:?}; expected: {}, or an option such as TCP_NODELAY",
            names.collect::<Vec<_>>().join(", ")
        ),
    }
}

/// A value that can be sorted and counted. Values that are missing or not known come last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Number(i128),
    /// The value of an option that is a number, and its text.
    Value(i128, String),
    State(State),
    /// An address in its canonical form, and a port, which is 0 if there is none.
    Endpoint(IpAddr, u16),
    Address(IpAddr),
    Text(String),
    /// A container or unit: its name, and the word that a list shows.
    Place {
        name: String,
        shown: String,
    },
    /// The name of a process.
    Process(ProcessName),
    /// The value of an option that is a range of ports, and its text.
    Ports((u16, u16), String),
    /// The value of an option that is an address, with its interface, and its text.
    Addresses(Vec<(IpAddr, String)>, String),
    /// The value of an option that is a list of groups, each with its interface, and its text.
    Groups(Vec<(IpAddr, String)>, String),
    /// The value of an option as a row shows it.
    Shown(String),
    /// The list of options as a row shows it.
    List(String),
    Nothing,
    Unknown,
}

impl Key {
    fn of(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Nothing => Self::Nothing,
            Cell::Unknown(_) => Self::Unknown,
            Cell::Netns(netns) => netns.name().map_or(Self::Nothing, Self::Text),
            Cell::Place(place) => Self::Place {
                name: place.name(),
                shown: place.to_string(),
            },
            Cell::Cgroup(cgroup) => Self::Text(cgroup.path.to_string()),
            Cell::Netid(netid) => Self::Text(netid.name().to_owned()),
            Cell::Family(family) => Self::Text(family.name().to_owned()),
            Cell::State(state) => Self::State(state),
            Cell::Diag(text) => Self::Text(text.to_owned()),
            Cell::Endpoint(endpoint) => {
                Self::Endpoint(endpoint.address.to_canonical(), endpoint.port)
            }
            Cell::Address(_, address) => Self::Address(address.to_canonical()),
            Cell::Port(port) => Self::Number(port.into()),
            Cell::Number(n) => Self::Number(n),
            // See [`Column::key`].
            Cell::Value { text, .. } => Self::Shown(text.to_owned()),
            // See [`Column::key`].
            Cell::Options(options) => Self::List(options.0.to_owned()),
            // See [`Column::key`].
            Cell::Owners(_) => Self::Nothing,
        }
    }

    /// The value of an option, which the text shows.
    fn of_option(info: &options::Info, text: &str) -> Self {
        let text = text.to_owned();
        let address = |(address, interface): (&str, Option<&str>)| {
            let interface = interface.unwrap_or_default();
            Some((address.parse::<IpAddr>().ok()?, interface.to_owned()))
        };
        match info.kind {
            Kind::Ports => match options::ports(&text) {
                Some(ports) => Self::Ports(ports, text),
                None => Self::Shown(text),
            },
            Kind::Address | Kind::Groups => {
                let addresses = options::addresses(&text).filter_map(address).collect();
                match info.kind {
                    Kind::Groups => Self::Groups(addresses, text),
                    _ => Self::Addresses(addresses, text),
                }
            }
            // Names are text, even if they look like numbers.
            kind if kind.is_number() => match info.number(&text) {
                // Both spellings of the number are in one group.
                Some(n) if info.is_unsigned() => Self::Value(n, n.to_string()),
                Some(n) => Self::Value(n, text),
                None => Self::Shown(text),
            },
            _ => Self::Shown(text),
        }
    }

    /// Whether there is a value.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Nothing | Self::Unknown)
    }

    /// The order in a list, downwards if `is_reversed`. Values that are missing or not known come
    /// last in both directions.
    fn order(&self, other: &Self, is_reversed: bool) -> Ordering {
        match (self.is_known() && other.is_known(), is_reversed) {
            (true, true) => other.cmp(self),
            _ => self.cmp(other),
        }
    }
}

/// The text of the value; empty if there is none or if it is not known.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing | Self::Unknown => Ok(()),
            Self::Number(n) => write!(f, "{n}"),
            Self::Value(_, text) | Self::Text(text) | Self::List(text) => f.write_str(text),
            Self::Place { name, .. } => f.write_str(name),
            Self::Process(name) => f.write_str(&name.to_text()),
            Self::Ports(_, text) | Self::Addresses(_, text) | Self::Shown(text) => {
                f.write_str(&readable(text))
            }
            Self::Groups(_, text) => f.write_str(&readable_groups(text)),
            Self::State(state) => f.write_str(state.long()),
            Self::Endpoint(address, 0) => write!(f, "{address}:*"),
            Self::Endpoint(address, port) => write!(f, "{address}:{port}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// The order of a list: by a column, upwards or downwards, then by the next one.
#[derive(Clone, Debug, Default)]
pub struct Order(Vec<(Column, bool)>);

impl Order {
    /// Parses names, each of which may have the prefix `-`, which reverses the order, or `+`.
    ///
    /// # Errors
    ///
    /// Those of [`Column::parse_all`].
    pub fn parse(names: &[String]) -> Result<Self, String> {
        let plain = |name: &String| name.strip_prefix(['-', '+']).unwrap_or(name).to_owned();
        let columns = Column::parse_all(&names.iter().map(plain).collect::<Vec<_>>())?;
        let reversed = names.iter().map(|name| name.starts_with('-'));
        Ok(Self(columns.into_iter().zip(reversed).collect()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.0.iter().map(|(column, _)| column)
    }

    /// The values of a socket that decide its place.
    pub fn keys(&self, row: &Row<'_>, owners: &[Owner]) -> Vec<Key> {
        self.columns()
            .map(|column| column.key(row, owners))
            .collect()
    }

    /// Compares the values of two sockets.
    pub fn compare(&self, a: &[Key], b: &[Key]) -> Ordering {
        let pairs = self.0.iter().zip(a.iter().zip(b));
        pairs.fold(Ordering::Equal, |order, ((_, is_reversed), (a, b))| {
            order.then_with(|| a.order(b, *is_reversed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::{LISTENER, TCP, TCP6, UDP};
    use std::collections::BTreeSet;

    fn parse_all(text: &str) -> Result<Vec<Column>, String> {
        let names: Vec<_> = text.split(',').map(str::to_owned).collect();
        Column::parse_all(&names)
    }

    #[test]
    fn names() {
        let names = NAMES
            .iter()
            .flat_map(|name| std::iter::once(&name.name).chain(name.aliases));
        let names: Vec<_> = names.collect();
        let unique: BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), unique.len());
        for name in names {
            Column::parse(name).unwrap();
        }
        assert_eq!(Column::parse("tcp_nodelay").unwrap().name(), "TCP_NODELAY");
        assert_eq!(Column::parse("peer").unwrap().name(), "foreign");
        for (text, expected) in [
            (
                "nodelay",
                "unknown name \"nodelay\"; did you mean TCP_NODELAY?",
            ),
            ("", "unknown name \"\"; expected: netns, "),
            ("LOCAL", "unknown name \"LOCAL\"; did you mean local?"),
            ("Stats", "unknown name \"Stats\"; did you mean state?"),
            ("uid,tcp_nodelay,TCP_NODELAY", "TCP_NODELAY is given twice"),
            ("local,peer,foreign", "foreign is given twice"),
        ] {
            let err = parse_all(text).unwrap_err();
            assert!(err.starts_with(expected), "{err}");
        }
    }

    /// knetstat(8) has each column and no other.
    #[test]
    fn the_page_has_each_column_and_no_other() {
        let page = include_str!("../../../../man/knetstat.8").replace('\\', "");
        let (_, section) = page.split_once("\n.Sh COLUMNS\n").unwrap();
        let (section, _) = section.split_once("\n.Sh ").unwrap();
        let items = section
            .lines()
            .filter_map(|line| line.strip_prefix(".It Cm "));
        assert!(items.eq(NAMES.iter().map(|name| name.name)));
    }

    #[test]
    fn order() {
        let rows = [
            (
                TCP,
                "5 0 10.0.0.9:80 1.2.3.4:5 ESTB TCP_KEEPIDLE=9,SO_KEEPALIVE=1,uid=0,ino=1",
            ),
            (
                TCP,
                "40 0 10.0.0.10:80 1.2.3.4:5 ESTB TCP_KEEPIDLE=10,SO_KEEPALIVE=1,uid=0,ino=2",
            ),
            (
                TCP,
                "40 0 10.0.0.10:9 1.2.3.4:5 ESTB SO_KEEPALIVE=0,uid=0,ino=3",
            ),
            (UDP, "7 0 10.0.0.10:9 0.0.0.0:* SO_RCVBUF=9,uid=0,ino=4"),
            (TCP, "0 0 10.0.0.10:9 1.2.3.4:5 TIMW"),
        ];
        let sorted = |names: &str| {
            let names: Vec<_> = names.split(',').map(str::to_owned).collect();
            let order = Order::parse(&names).unwrap();
            let rows = rows.map(|(file, line)| Row::parse(file, line.as_bytes()).unwrap());
            let mut keyed: Vec<_> = rows.iter().map(|row| (order.keys(row, &[]), row)).collect();
            keyed.sort_by(|a, b| order.compare(&a.0, &b.0));
            let inodes = keyed
                .iter()
                .map(|(_, row)| row.ino.unwrap_or(0).to_string());
            inodes.collect::<Vec<_>>().concat()
        };
        assert_eq!(sorted("recv-q"), "01423");
        assert_eq!(sorted("-recv-q"), "23410");
        assert_eq!(sorted("-recv-q,-ino"), "32410");
        assert_eq!(sorted("local,ino"), "13402");
        assert_eq!(sorted("-src,+sport,ino"), "34021");
        // Values that are missing or not known come last in both directions.
        assert_eq!(sorted("TCP_KEEPIDLE"), "12340");
        assert_eq!(sorted("-TCP_KEEPIDLE"), "21340");
        assert_eq!(sorted("state,ino"), "12304");
        // The kernel no longer keeps the options of the last one.
        assert_eq!(sorted("options"), "34210");
        assert_eq!(sorted("-options"), "12430");
        let err = Order::parse(&["-uid".to_owned(), "uid".to_owned()]).unwrap_err();
        assert_eq!(err, "uid is given twice");
    }

    /// Ports and addresses are not in the order of their texts.
    #[test]
    fn order_of_values() {
        for (name, values) in [
            (
                "IP_LOCAL_PORT_RANGE",
                ["900-1000", "5000-6000", "5000-10000"],
            ),
            (
                "IP_MULTICAST_IF",
                ["9.0.0.1%eth1", "10.0.0.1%eth0", "10.0.0.1%eth1"],
            ),
            (
                "IP_ADD_MEMBERSHIP",
                ["224.0.0.9%lo", "224.0.0.9%lo+224.0.0.1%lo", "224.0.0.10%lo"],
            ),
            (
                "IPV6_ADD_MEMBERSHIP",
                ["ff02::fb%lo", "ff02::1:2%lo", "ff05::1%lo"],
            ),
            ("IP_TTL", ["9", "10", "64"]),
            ("TCP_NOTSENT_LOWAT", ["9", "16384", "4294967295"]),
        ] {
            let column = Column::parse(name).unwrap();
            let keys = values.map(|value| {
                let line = format!("0 0 :::5 :::* LSTN {name}={value},uid=0,ino=1");
                column.key(&Row::parse(TCP6, line.as_bytes()).unwrap(), &[])
            });
            assert!(keys.is_sorted(), "{keys:?}");
            assert_eq!(keys.map(|key| key.to_string()), values);
        }
        let column = Column::parse("TCP_NOTSENT_LOWAT").unwrap();
        let line = "0 0 :::5 :::* LSTN TCP_NOTSENT_LOWAT=-1,uid=0,ino=1";
        let no_limit = column.key(&Row::parse(TCP6, line.as_bytes()).unwrap(), &[]);
        assert_eq!(no_limit, Key::Value(4_294_967_295, "4294967295".to_owned()));
    }

    /// Different lists of groups read differently, as in the objects of sockets.
    #[test]
    fn groups_on_odd_interfaces() {
        let column = Column::parse("IP_ADD_MEMBERSHIP").unwrap();
        let text = |value: &str| {
            let line = format!("0 0 0.0.0.0:5 0.0.0.0:* IP_ADD_MEMBERSHIP={value},uid=0,ino=1");
            let row = Row::parse(UDP, line.as_bytes()).unwrap();
            column.key(&row, &[]).to_string()
        };
        for (value, expected) in [
            (r"224.0.0.1%a\x2b224.0.0.2", r"224.0.0.1%a\x2b224.0.0.2"),
            ("224.0.0.1%a+224.0.0.2", "224.0.0.1%a+224.0.0.2"),
            (r"224.0.0.1%a\x5cx2bb", r"224.0.0.1%a\x5cx2bb"),
            (r"224.0.0.1%a\x2cb", "224.0.0.1%a,b"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    /// A list that is not known is not an empty one. What the kernel changes by itself does not
    /// count.
    #[test]
    fn lists_of_options() {
        let column = Column::parse("options").unwrap();
        for (list, expected) in [
            ("A=1,uid=0,ino=1", Key::List("A=1".to_owned())),
            ("uid=0,ino=1", Key::Nothing),
            ("TCP_QUICKACK=0,uid=0,ino=1", Key::Nothing),
            ("", Key::Unknown),
        ] {
            let line = format!("0 0 1.2.3.4:5 1.2.3.4:6 FNW2 {list}");
            let row = Row::parse(TCP, line.trim_end().as_bytes()).unwrap();
            assert_eq!(column.key(&row, &[]), expected, "{list}");
        }
    }

    #[test]
    fn several_processes() {
        let mut row = Row::parse(TCP, LISTENER.as_bytes()).unwrap();
        let owners = [Owner::new("b", 10, 3), Owner::new("a", 9, 3)];
        let key = |name: &str| Column::parse(name).unwrap().key(&row, &owners);
        assert_eq!(key("process"), Key::Process("a".into()));
        assert_eq!(key("pid"), Key::Number(9));
        let none = |row: &Row<'_>, name: &str| Column::parse(name).unwrap().key(row, &[]);
        for name in ["pid", "process"] {
            assert_eq!(none(&row, name), Key::Nothing);
        }
        // Processes that could not be examined may have it open.
        row.may_lack_owners = true;
        for name in ["pid", "process", "processes", "container", "cgroup"] {
            assert_eq!(none(&row, name), Key::Unknown, "{name}");
        }
    }
}
