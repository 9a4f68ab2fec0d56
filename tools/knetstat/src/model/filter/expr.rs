// SPDX-License-Identifier: GPL-2.0

//! Conditions, and whether a row meets them.

use crate::model::defaults::{Defaults, Setting};
use crate::model::filter::host::Host;
use crate::model::filter::op::Op;
use crate::model::filter::value::Pattern;
use crate::model::glance::Glance;
use crate::model::options::{is_one_of, Kind, Sockets};
use crate::model::row::{Row, State};
use crate::model::truth::{Reason, Reasons, Truth};
use crate::model::words::{Field, Side};
use crate::source::cgroup::{Cgroup, Container};
use crate::source::files::{File, Netid};
use crate::source::process::Owner;
use crate::source::text::unescape;
use std::rc::Rc;

/// A condition.
#[derive(Debug)]
pub enum Expr {
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Host(Side, Host),
    Port(Side, Op, u16),
    Diag,
    /// A sign of the Diag column.
    Sign(Op, &'static str),
    Process(Op, String),
    Pid(Op, i128),
    Netns(Op, NetnsName),
    /// A socket of any container.
    IsInContainer,
    Container(Op, String),
    Cgroup(Op, String),
    Number(Field, Op, Operand),
    /// An option without an operator: see [`is_on`].
    IsOn(Rc<Defaults>),
    Option(Test),
}

/// The truth of a condition on a part of the row that a glance does not show.
const UNSEEN: Truth = Truth::Unknown(Reasons::NONE);

/// The right side of a comparison of numbers.
#[derive(Debug)]
pub enum Operand {
    Number(i128),
    Field(Field),
}

/// A comparison of an option with a value.
#[derive(Debug)]
pub struct Test {
    pub defaults: Rc<Defaults>,
    pub op: Op,
    pub pattern: Pattern,
}

/// A network namespace as a filter names it.
#[derive(Debug)]
pub enum NetnsName {
    Ino(u64),
    Name(String),
}

/// A part of a row that only some sockets have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: &'static str,
    /// The sockets that have it.
    pub sockets: &'static [Sockets],
}

impl Part {
    /// Whether a socket of this file in this state can have it.
    pub fn is_of(self, file: File, state: State) -> bool {
        let mut sockets = self.sockets.iter();
        sockets.any(|sockets| is_one_of(file, state, *sockets))
    }

    fn of_field(field: Field) -> Option<Self> {
        let sockets: &[_] = match field {
            Field::Backlog => &[Sockets::Listener],
            Field::Drops => &[Sockets::Udp],
            Field::Uid | Field::Ino | Field::RecvQ | Field::SendQ => return None,
        };
        let name = field.name();
        Some(Self { name, sockets })
    }

    /// An option. If the kernel writes it on connections, their rows lack it, but they have it.
    fn of_option(defaults: &Defaults) -> Option<Self> {
        let info = defaults.info;
        let sockets = match (info.is_kept_from_connections(), info.sockets) {
            (false, sockets) => sockets,
            (true, [Sockets::Listener]) => &[Sockets::Tcp],
            // All sockets have it.
            (true, _) => return None,
        };
        Some(Self {
            name: info.name,
            sockets,
        })
    }
}

/// The processes that have the socket of a row open.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownOwners<'a> {
    /// Those that were found.
    pub known: &'a [Owner],
    /// Whether there may be others.
    pub may_lack: bool,
    /// Whether only a copy of the files shows the socket as it was. Its control groups are then not
    /// known, even if it had no process.
    pub is_closed: bool,
}

impl<'a> KnownOwners<'a> {
    /// The processes of a socket that the files show now.
    pub fn new(known: &'a [Owner], may_lack: bool) -> Self {
        Self {
            known,
            may_lack,
            is_closed: false,
        }
    }

    /// The reason why there may be others.
    fn reason(self) -> Reason {
        match self.is_closed {
            true => Reason::Closed,
            false => Reason::Owners,
        }
    }

    /// Whether a process meets a condition.
    fn any(self, condition: impl Fn(&Owner) -> bool) -> Truth {
        match self.known.iter().any(condition) {
            true => Truth::True,
            false if self.may_lack => Truth::unknown(self.reason()),
            false => Truth::False,
        }
    }
}

impl Expr {
    /// Whether it, or a part of it, is such a condition.
    fn has(&self, is_it: &dyn Fn(&Expr) -> bool) -> bool {
        match self {
            Expr::And(left, right) | Expr::Or(left, right) => left.has(is_it) || right.has(is_it),
            Expr::Not(inner) => inner.has(is_it),
            condition => is_it(condition),
        }
    }

    /// Whether it asks who has a local port: it tests a local port, and nothing but local ports and
    /// addresses.
    pub fn asks_for_local_port(&self) -> bool {
        let is_port = |expr: &Expr| match expr {
            Expr::Host(Side::Local, host) => host.port.is_some(),
            Expr::Port(Side::Local, ..) => true,
            _ => false,
        };
        let is_other = |expr: &Expr| !is_port(expr) && !matches!(expr, Expr::Host(Side::Local, _));
        self.has(&is_port) && !self.has(&is_other)
    }

    /// Whether it, or a part of it, tests an address or a port.
    pub fn tests_endpoints(&self) -> bool {
        self.has(&|part| matches!(part, Expr::Host(..) | Expr::Port(..)))
    }

    /// The port that each row which meets it has, at one of its endpoints.
    pub fn port(&self) -> Option<u16> {
        let port = match self {
            Expr::And(left, right) => left.port().or_else(|| right.port()),
            Expr::Port(_, Op::Eq, port) => Some(*port),
            Expr::Host(_, host) => host.port,
            _ => None,
        };
        port.filter(|port| *port != 0)
    }

    /// The truth of this condition if `test` determines that of its parts.
    fn evaluate(&self, test: &impl Fn(&Expr) -> Truth) -> Truth {
        match self {
            Expr::And(left, right) => left.evaluate(test).and(|| right.evaluate(test)),
            Expr::Or(left, right) => left.evaluate(test).or(|| right.evaluate(test)),
            Expr::Not(inner) => !inner.evaluate(test),
            part => test(part),
        }
    }

    /// The parts of a row without which a condition is false. Several only in a comparison of two
    /// fields.
    fn parts(&self) -> Vec<Part> {
        match self {
            Expr::Diag | Expr::Sign(Op::Eq, _) => vec![Part {
                name: "diag",
                sockets: &[Sockets::Tcp],
            }],
            Expr::Number(field, _, operand) => {
                let other = match operand {
                    Operand::Field(other) => Part::of_field(*other),
                    Operand::Number(_) => None,
                };
                Part::of_field(*field).into_iter().chain(other).collect()
            }
            Expr::IsOn(defaults) => Part::of_option(defaults).into_iter().collect(),
            Expr::Option(test) => Part::of_option(&test.defaults).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Adds the parts of rows that its conditions test, each once.
    pub fn add_parts(&self, parts: &mut Vec<Part>) {
        match self {
            Expr::And(left, right) | Expr::Or(left, right) => {
                left.add_parts(parts);
                right.add_parts(parts);
            }
            Expr::Not(inner) => inner.add_parts(parts),
            condition => {
                for part in condition.parts() {
                    if !parts.contains(&part) {
                        parts.push(part);
                    }
                }
            }
        }
    }

    /// Whether a socket of this file in this state can meet it: it is false if the socket lacks what
    /// it tests, and unknown otherwise.
    pub fn can_be_met(&self, file: File, state: State) -> Truth {
        self.evaluate(&|condition| match condition
            .parts()
            .iter()
            .all(|part| part.is_of(file, state))
        {
            true => UNSEEN,
            false => Truth::False,
        })
    }

    /// Whether a row meets it.
    pub fn test(&self, row: &Row<'_>, owners: KnownOwners<'_>) -> Truth {
        self.evaluate(&|part| part.test_part(row, owners))
    }

    /// Whether a row meets it, as far as a glance shows. Unknown if the line must be parsed.
    pub fn glance(&self, glance: &Glance<'_>) -> Truth {
        self.evaluate(&|part| part.glance_part(glance).map_or(UNSEEN, Truth::from))
    }

    /// Whether a row meets a part without operators. `None` if the line must be parsed.
    fn glance_part(&self, glance: &Glance<'_>) -> Option<bool> {
        match self {
            Expr::Host(side, host) => {
                Some(host.matches(glance.file.family, &glance.endpoint(*side)?))
            }
            Expr::Port(side, op, port) => Some(op.holds(glance.port(*side)?.cmp(port))),
            _ => None,
        }
    }

    /// Whether a row meets a part without operators.
    fn test_part(&self, row: &Row<'_>, owners: KnownOwners<'_>) -> Truth {
        match self {
            Expr::And(..) | Expr::Or(..) | Expr::Not(_) => self.test(row, owners),
            Expr::Host(side, host) => host.matches(row.file.family, side.of(row)).into(),
            Expr::Port(side, op, port) => op.holds(side.of(row).port.cmp(port)).into(),
            Expr::Diag => (!row.diag.is_empty()).into(),
            Expr::Sign(op, sign) => (row.diag.contains(sign) == (*op == Op::Eq)).into(),
            Expr::Process(Op::Ne, name) => !owners.any(|owner| owner.has_name(name)),
            Expr::Process(_, name) => owners.any(|owner| owner.has_name(name)),
            Expr::Pid(Op::Ne, pid) => !owners.any(|owner| i128::from(owner.pid()) == *pid),
            Expr::Pid(op, pid) => owners.any(|owner| op.holds(i128::from(owner.pid()).cmp(pid))),
            Expr::Netns(op, name) => negated(*op, is_netns(row, name)),
            Expr::IsInContainer => {
                let is_it = |cgroup: &Cgroup| {
                    let mut found = cgroup.container.iter();
                    match found.any(|container| !container.is_unit()) {
                        false if cgroup.is_cut => Truth::unknown(Reason::CgroupNamespace),
                        is_it => is_it.into(),
                    }
                };
                has_cgroup(row, owners, is_it)
            }
            Expr::Container(op, text) => {
                let found = has_cgroup(row, owners, |cgroup| is_container(cgroup, text));
                negated(*op, found)
            }
            Expr::Cgroup(op, path) => {
                let found = has_cgroup(row, owners, |cgroup| cgroup.is_in(path).into());
                negated(*op, found)
            }
            Expr::Number(field, op, operand) => compare(*field, *op, operand, row),
            Expr::IsOn(defaults) => is_on(defaults, row),
            Expr::Option(test) => test.test(row),
        }
    }
}

/// The truth, or its opposite if the operator is `!=`.
fn negated(op: Op, truth: Truth) -> Truth {
    match op {
        Op::Ne => !truth,
        _ => truth,
    }
}

/// Whether the socket is in a network namespace.
fn is_netns(row: &Row<'_>, name: &NetnsName) -> Truth {
    let Some(netns) = row.netns else {
        return Truth::unknown(Reason::Netns);
    };
    match name {
        NetnsName::Name(name) if netns.names.contains(name) => Truth::True,
        NetnsName::Ino(ino) if netns.ino == Some(*ino) => Truth::True,
        // A name is found by the inode.
        _ if netns.ino.is_none() => Truth::unknown(Reason::Netns),
        _ => Truth::False,
    }
}

/// Whether a process that has the socket open is in such a control group. If no process is known,
/// those in the network namespace count, but only if they agree.
fn has_cgroup(row: &Row<'_>, owners: KnownOwners<'_>, is_it: impl Fn(&Cgroup) -> Truth) -> Truth {
    let is_ended = |owner: &Owner| owner.cgroup().is_none();
    if !owners.known.is_empty() {
        let known = owners.known.iter().filter_map(Owner::cgroup);
        let truths = known.map(|cgroup| is_it(cgroup));
        let found = truths.fold(Truth::False, |found, truth| found.or(|| truth));
        return match owners.may_lack || owners.known.iter().any(is_ended) {
            true => found.or(|| Truth::unknown(owners.reason())),
            false => found,
        };
    }
    let others = row.netns.filter(|netns| netns.is_whole);
    let Some(others) = others.filter(|_| !owners.may_lack && !owners.is_closed) else {
        return Truth::unknown(owners.reason());
    };
    let mut truths = others.cgroups.iter().map(|cgroup| is_it(cgroup));
    let Some(first) = truths.next() else {
        return Truth::unknown(Reason::Shared);
    };
    match truths.all(|truth| truth == first) {
        true => first,
        false => Truth::unknown(Reason::Shared),
    }
}

/// Whether this is the control group of a container. Its host name may not be known.
fn is_container(cgroup: &Cgroup, text: &str) -> Truth {
    let is_named = |container: &Container| container.is(text);
    let is_named = cgroup.container.as_ref().is_some_and(is_named);
    let Some(container) = cgroup.container.as_ref().filter(|_| !cgroup.is_cut) else {
        return match is_named {
            false if cgroup.is_cut => Truth::unknown(Reason::CgroupNamespace),
            is_named => is_named.into(),
        };
    };
    match cgroup.hostname() {
        _ if is_named => Truth::True,
        Some(hostname) => (*hostname == *text || *unescape(text) == *hostname.as_bytes()).into(),
        None if container.is_unit() || looks_like_id(text) => Truth::False,
        None => Truth::unknown(Reason::Hostname),
    }
}

/// Whether a text can only be the ID of a container, with or without its runtime.
fn looks_like_id(text: &str) -> bool {
    let (runtime, id) = text.split_once(':').unwrap_or(("", text));
    !runtime.is_empty() || (id.len() > 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Compares a number of the row. A number that such a socket does not have meets no comparison.
fn compare(field: Field, op: Op, operand: &Operand, row: &Row<'_>) -> Truth {
    let right = match operand {
        Operand::Number(n) => Ok(Some(*n)),
        Operand::Field(field) => field.of(row),
    };
    match (field.of(row), right) {
        (Ok(None), _) | (_, Ok(None)) => Truth::False,
        (Ok(Some(left)), Ok(Some(right))) => op.holds(left.cmp(&right)).into(),
        (Err(reason), _) | (_, Err(reason)) => Truth::unknown(reason),
    }
}

/// Whether an option is on or, if it is not a flag, set.
fn is_on(defaults: &Defaults, row: &Row<'_>) -> Truth {
    let info = defaults.info;
    let is_flag = info.kind == Kind::Flag;
    let is_shown = row.options.get(info.name).is_some();
    let is_kept = row.state.is_connected() && info.is_kept_from_connections();
    match defaults.on(row) {
        // An option is not set if it has the value 0 and 0 is its default.
        Setting::Value("0") if is_shown && !is_flag => match defaults.of(row).number() {
            Some(default) => (default != 0).into(),
            // A row that always shows the option does not reveal whether it was set.
            None => (!info.is_always_shown).into(),
        },
        Setting::Value(text) if is_flag => (text != "0").into(),
        Setting::Value(_) => is_shown.into(),
        Setting::Nothing | Setting::Inapplicable => Truth::False,
        // The row shows the option if it is set, unless the kernel writes it on connections.
        Setting::Unknown(Reason::Undisclosed) if !is_flag && !is_kept => Truth::False,
        Setting::Unknown(reason) => Truth::unknown(reason),
    }
}

impl Test {
    fn test(&self, row: &Row<'_>) -> Truth {
        let is_tcp = row.file.netid == Netid::Tcp;
        match self.defaults.on(row) {
            Setting::Value(text) if self.defaults.info.is_traffic_class && is_tcp => {
                self.pattern.test_without_ecn(self.op, text)
            }
            Setting::Value(text) => self.pattern.test(self.op, text),
            Setting::Nothing => self.pattern.test_nothing(self.op, self.defaults.info),
            Setting::Inapplicable => Truth::False,
            Setting::Unknown(reason) => Truth::unknown(reason),
        }
    }
}
