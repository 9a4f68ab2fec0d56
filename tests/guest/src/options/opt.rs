// SPDX-License-Identifier: GPL-2.0

//! An option as the tests describe it: its number, its values, and when and how a row shows it.

use super::values::{int, ints, raw, Try};
use crate::features::Feature;
use crate::sockets::Plan;
use libc::{c_int, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET, SOL_UDP};

/// The way in which the text of a row follows from the answer of getsockopt(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The `int` itself.
    Int,
    /// Half of the `int`: the value that the process set, before the kernel doubled it.
    Half,
    /// The milliseconds of a `struct timeval`.
    Millis,
    /// The seconds of a `struct linger`.
    Linger,
    /// The `int` in hexadecimal.
    Hex,
    /// An `unsigned long`.
    Long,
    /// A name.
    Name,
    /// A range: the two halves of an `int`.
    Range,
    /// The bits of an `int` by their names.
    Timestamping,
    /// A `struct sock_txtime`.
    TxTime,
    /// The index of an interface; `true`: in network byte order.
    Index(bool),
    /// The address of an interface, and its name, which is not in the answer.
    AddressIndex,
    /// The presence of a value whose length getsockopt(2) returns.
    Length,
    /// The presence of a value that getsockopt(2) does not return.
    Presence,
    /// The value of setsockopt(2), which getsockopt(2) does not return.
    Given,
    /// The groups that the socket has joined and not left, the last one first.
    Groups,
}

/// The condition for a row to show the option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    Always,
    /// While getsockopt(2) returns another value than for a fresh socket.
    Differs,
    /// The same, but on TCP sockets without the two bits of ECN, which the kernel sets.
    DiffersButEcn,
    /// After the process has set it, until a value undoes that.
    Set,
}

/// An option. [`Opt::new`] has the defaults of the fields.
pub struct Opt {
    pub name: &'static str,
    pub level: c_int,
    pub option: c_int,
    pub answer: Answer,
    pub when: When,
    /// Kinds of sockets on which it is shown, see [`Role::mask`].
    pub on: u8,
    pub tries: Vec<Try>,
    /// The option and the value that undo it.
    pub undo: Option<(c_int, Vec<u8>)>,
    /// The feature without which it cannot be undone.
    pub undo_needs: Option<Feature>,
    /// Whether it can be set before bind(2).
    pub early: Early,
    /// The feature that a kernel lacks if it refuses the option.
    pub needs: Feature,
    /// The test that covers it, if setsockopt(2) cannot set it.
    pub own_test: Option<&'static str>,
}

impl Opt {
    /// An option with an `int`, shown on all sockets while it differs from that of a fresh one.
    pub fn new(name: &'static str, level: c_int, option: c_int) -> Self {
        Self {
            name,
            level,
            option,
            answer: Answer::Int,
            when: When::Differs,
            on: ALL,
            tries: vec![],
            undo: None,
            undo_needs: None,
            early: Early::No,
            needs: Feature::Option(name),
            own_test: None,
        }
    }

    /// An option that is on or off, and off by default.
    pub fn flag(name: &'static str, level: c_int, option: c_int) -> Self {
        Self::new(name, level, option)
            .ints(&[1, 0, c_int::MAX, -1])
            .undo(0)
    }

    /// Sets how its text follows from getsockopt(2).
    pub fn answer(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    /// Sets when it is shown.
    pub fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    /// Sets the sockets on which it is shown.
    pub fn on(self, on: u8) -> Self {
        Self { on, ..self }
    }

    /// Sets when it can be set.
    pub fn early(self, early: Early) -> Self {
        Self { early, ..self }
    }

    /// Sets the feature that it needs, if the kernel can define it and still refuse it.
    pub fn needs(self, needs: Feature) -> Self {
        Self { needs, ..self }
    }

    /// Names the test that covers an option which setsockopt(2) cannot set. The general tests leave
    /// it out.
    pub fn own_test(self, name: &'static str) -> Self {
        Self {
            own_test: Some(name),
            ..self
        }
    }

    /// Adds values to try.
    pub fn tries(mut self, tries: impl IntoIterator<Item = Try>) -> Self {
        self.tries.extend(tries);
        self
    }

    /// Adds values to try.
    pub fn ints(self, values: &[c_int]) -> Self {
        self.tries(ints(values))
    }

    /// Sets the value that undoes it.
    pub fn undo(self, value: c_int) -> Self {
        self.undo_raw(int(value).bytes)
    }

    /// Sets the value that undoes it.
    pub fn undo_raw(self, bytes: impl Into<Vec<u8>>) -> Self {
        let option = self.option;
        self.undo_by(option, bytes)
    }

    /// Sets the option that undoes it, and its value.
    pub fn undo_by(self, option: c_int, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            undo: Some((option, raw(bytes).bytes)),
            ..self
        }
    }

    /// Sets the feature that undoing it needs, if that is another option.
    pub fn undo_needs(self, feature: Feature) -> Self {
        Self {
            undo_needs: Some(feature),
            ..self
        }
    }

    /// Whether a row of such a socket can have the option.
    pub fn is_on(&self, plan: Plan, role: Role) -> bool {
        self.on & role.mask() != 0 && (self.on & SIX == 0 || plan != Plan::V4)
    }

    /// The name of its level.
    pub fn level_name(&self) -> &'static str {
        match self.level {
            SOL_SOCKET => "SOL_SOCKET",
            IPPROTO_TCP => "IPPROTO_TCP",
            IPPROTO_IP => "IPPROTO_IP",
            IPPROTO_IPV6 => "IPPROTO_IPV6",
            SOL_UDP => "SOL_UDP",
            _ => "of no level",
        }
    }
}

/// The time at which an option can be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Early {
    No,
    /// Before bind(2) and connect(2), and maybe later.
    Too,
    /// On sockets that were bound with SO_REUSEPORT.
    Reuseport,
}

pub const LISTENER: u8 = 1;
pub const CONNECTION: u8 = 2;
pub const UDP_BOUND: u8 = 4;
pub const UDP_CONNECTED: u8 = 8;
/// IPv6 sockets only.
pub const SIX: u8 = 16;
pub const TCP: u8 = LISTENER | CONNECTION;
pub const UDP: u8 = UDP_BOUND | UDP_CONNECTED;
pub const ALL: u8 = TCP | UDP;
pub const ALL6: u8 = ALL | SIX;

/// The kinds of sockets that the tables list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Role {
    Listener,
    Client,
    Accepted,
    UdpBound,
    UdpConnected,
}

impl Role {
    pub const ALL: [Role; 5] = [
        Role::Listener,
        Role::Client,
        Role::Accepted,
        Role::UdpBound,
        Role::UdpConnected,
    ];

    pub fn is_tcp(self) -> bool {
        matches!(self, Role::Listener | Role::Client | Role::Accepted)
    }

    pub fn mask(self) -> u8 {
        match self {
            Role::Listener => LISTENER,
            Role::Client | Role::Accepted => CONNECTION,
            Role::UdpBound => UDP_BOUND,
            Role::UdpConnected => UDP_CONNECTED,
        }
    }
}

pub const PLANS: [Plan; 2] = [Plan::V4, Plan::V6];
