// SPDX-License-Identifier: GPL-2.0

//! Sets of states, and their names in filters.

use crate::model::row::State;

/// A set of states, with one bit for each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct States(pub u16);

/// The sets that have a name in ss, with a description.
pub const GROUPS: [(&str, States, &str); 6] = [
    ("all", States::ALL, "all states"),
    (
        "connected",
        States::CONNECTED,
        "all states except listening and unconnected",
    ),
    (
        "synchronized",
        States::CONNECTED.without(States::of(State::SynSent)),
        "all states of connected except syn-sent",
    ),
    ("bucket", States::BUCKET, "syn-recv and time-wait"),
    (
        "big",
        States::ALL.without(States::BUCKET),
        "all states except those of bucket",
    ),
    (
        "closed",
        States::of(State::Close),
        "the same as unconnected",
    ),
];

/// Other spellings of states, such as those in the output of ss and netstat.
const ALIASES: [(&str, State); 7] = [
    ("close", State::Close),
    ("unconn", State::Close),
    ("syn-rcv", State::SynRecv),
    ("estab", State::Established),
    ("listen", State::Listen),
    ("fin-wait1", State::FinWait1),
    ("fin-wait2", State::FinWait2),
];

impl States {
    pub const ALL: States = States((1 << State::ALL.len()) - 1);
    pub const NONE: States = States(0);
    /// The states that ss shows with `-l`.
    pub const LISTENING: States = States::of(State::Listen).union(States::of(State::Close));
    /// The states that ss shows by default.
    pub const DEFAULT: States = States::CONNECTED.without(States::BUCKET);
    const CONNECTED: States = States::ALL.without(States::LISTENING);
    const BUCKET: States = States::of(State::SynRecv).union(States::of(State::TimeWait));

    pub const fn of(state: State) -> States {
        States(1 << state as u16)
    }

    /// The states of either set.
    pub const fn union(self, other: States) -> States {
        States(self.0 | other.0)
    }

    /// The states in both sets.
    pub const fn within(self, other: States) -> States {
        States(self.0 & other.0)
    }

    pub const fn without(self, other: States) -> States {
        States(self.0 & !other.0)
    }

    pub fn has(self, state: State) -> bool {
        self.0 & States::of(state).0 != 0
    }

    /// The set of this name: a group, a state, or a label of rows, ss or netstat. Case does not
    /// matter.
    pub fn parse(name: &str) -> Option<States> {
        let name = &name.replace('_', "-");
        let is_it = |other: &str| name.eq_ignore_ascii_case(other);
        let group = GROUPS.iter().find(|(group, ..)| is_it(group));
        if let Some((_, states, _)) = group {
            return Some(*states);
        }
        let all = State::ALL.iter();
        let mut named = all.flat_map(|(state, label, long)| [(*label, *state), (*long, *state)]);
        let found = named.find(|(name, _)| is_it(name));
        let found = found.or_else(|| ALIASES.into_iter().find(|(name, _)| is_it(name)));
        found.map(|(_, state)| States::of(state))
    }
}

/// The names of states and sets in filters, each with a description.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let states = State::ALL.iter().map(|(_, _, long)| (*long, "a state"));
    states.chain(GROUPS.iter().map(|(name, _, what)| (*name, *what)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The labels that ss and netstat print.
    #[test]
    fn labels_of_other_tools() {
        for (ss, netstat, state) in [
            ("ESTAB", "ESTABLISHED", State::Established),
            ("SYN-SENT", "SYN_SENT", State::SynSent),
            ("SYN-RECV", "SYN_RECV", State::SynRecv),
            ("FIN-WAIT-1", "FIN_WAIT1", State::FinWait1),
            ("FIN-WAIT-2", "FIN_WAIT2", State::FinWait2),
            ("TIME-WAIT", "TIME_WAIT", State::TimeWait),
            ("UNCONN", "CLOSE", State::Close),
            ("CLOSE-WAIT", "CLOSE_WAIT", State::CloseWait),
            ("LAST-ACK", "LAST_ACK", State::LastAck),
            ("LISTEN", "LISTEN", State::Listen),
            ("CLOSING", "CLOSING", State::Closing),
        ] {
            for label in [ss, netstat, &ss.to_ascii_lowercase()] {
                assert_eq!(States::parse(label), Some(States::of(state)), "{label}");
            }
        }
        assert_eq!(States::parse("estabished"), None);
    }
}
