// SPDX-License-Identifier: GPL-2.0

//! Whether a query can select a socket at all. Some fields and options are only on sockets of some
//! protocols, families and states, which the query may exclude.

use crate::model::filter::Part;
use crate::model::query::Query;
use crate::model::row::State;
use crate::model::rules::Rules;
use crate::model::states::States;
use crate::source::files::{Family, File, Netid};

/// The reason why a query can select no socket.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// The parts of rows that the filter tests and that no selected socket has.
    pub parts: Vec<Part>,
    /// The sockets to add to the query, so that it can select some. `None` if no socket can pass the
    /// filter.
    pub missing: Option<Missing>,
}

/// The sockets that a query lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The protocol, if the query lacks the right one.
    pub netid: Option<Netid>,
    /// Whether the query lacks IPv6.
    pub inet6: bool,
    /// The states, if the query lacks all of the right ones.
    pub states: Option<States>,
}

impl Missing {
    /// The number of things to add to the query.
    fn size(&self) -> usize {
        usize::from(self.netid.is_some())
            + usize::from(self.inet6)
            + usize::from(self.states.is_some())
    }
}

/// All kinds of sockets.
fn kinds() -> impl Iterator<Item = (File, State)> {
    let of_file = |file| State::ALL.map(|(state, ..)| (file, state));
    let all = File::ALL.into_iter().flat_map(of_file);
    all.filter(|(file, state)| state.may_be_in(*file))
}

/// Returns why a query can select no socket, or `None` if it can.
pub fn unreachable(query: &Query) -> Option<Unreachable> {
    let filter = &query.filter;
    let is_read = |file: File| query.files.contains(&file);
    let selected: Vec<_> = kinds()
        .filter(|(file, state)| is_read(*file) && query.states.has(*state))
        .collect();
    let can_select = |(file, state): &(File, State)| filter.can_select(*file, *state);
    if selected.is_empty() || selected.iter().any(can_select) {
        return None;
    }
    let is_missing = |part: &Part| {
        let mut selected = selected.iter();
        !selected.any(|(file, state)| part.is_of(*file, *state))
    };
    let parts = filter.parts().into_iter().filter(is_missing).collect();
    let is_of_family = |file: File| filter.family.is_none_or(|family| family == file.family);
    let possible = || kinds().filter(|kind| is_of_family(kind.0) && can_select(kind));
    let missing_of = |(file, state): (File, State)| {
        let mut files = query.files.iter();
        let has_netid = files.any(|other| other.netid == file.netid);
        let has_family = query.files.iter().any(|other| other.family == file.family);
        let states = possible().filter(|(other, _)| *other == file);
        let states = states.fold(States::NONE, |all, (_, state)| all.union(States::of(state)));
        Missing {
            netid: (!has_netid).then_some(file.netid),
            inet6: !has_family && file.family == Family::Inet6,
            states: (!query.states.has(state)).then_some(states),
        }
    };
    let missing = possible().map(missing_of).min_by_key(Missing::size);
    Some(Unreachable { parts, missing })
}

/// Whether a rule can find a socket that a query selects. Rules that name no state apply to `states`.
pub fn can_find(query: &Query, rules: &Rules, states: States) -> bool {
    let mut kinds = kinds();
    kinds.any(|(file, state)| {
        query.files.contains(&file)
            && query.states.has(state)
            && query.filter.can_select(file, state)
            && rules
                .0
                .iter()
                .any(|rule| rule.can_find(file, state, states))
    })
}

/// The protocol of a query for states that none of its sockets has. `None` if one can have them, or if
/// the query selects no state.
pub fn protocol_without(query: &Query) -> Option<Netid> {
    let mut kinds = kinds();
    let is_selected =
        |(file, state): (File, State)| query.files.contains(&file) && query.states.has(state);
    if query.states == States::NONE || kinds.any(is_selected) {
        return None;
    }
    Some(query.files.first()?.netid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::filter::{Filter, KnownOwners};
    use crate::model::row::tests::{TCP, TCP6, UDP, UDP6};
    use crate::model::row::Row;
    use crate::model::truth::Truth;
    use crate::source::services::Services;

    fn query(files: &[File], states: States, filter: &str) -> Query {
        let filter = Filter::parse(&[filter.to_owned()], &Services::parse("")).unwrap();
        let is_of_family = |file: &&File| filter.family.is_none_or(|family| family == file.family);
        Query::example(
            &files
                .iter()
                .filter(is_of_family)
                .copied()
                .collect::<Vec<_>>(),
            states,
            filter,
        )
    }

    #[test]
    fn filters_that_select_nothing() {
        const STATES: States = States::DEFAULT;
        let none = Missing {
            netid: None,
            inet6: false,
            states: None,
        };
        let listeners = Missing {
            states: Some(States::of(State::Listen)),
            ..none
        };
        let udp = Missing {
            netid: Some(Netid::Udp),
            ..none
        };
        let inet6 = Missing {
            inet6: true,
            ..none
        };
        let tcp = &[TCP, TCP6][..];
        for (files, states, filter, parts, missing) in [
            (
                tcp,
                STATES,
                "recv-q > backlog",
                &["backlog"][..],
                Some(listeners),
            ),
            (
                tcp,
                STATES,
                "backlog>0 and uid=0",
                &["backlog"],
                Some(listeners),
            ),
            (
                tcp,
                STATES,
                "TCP_FASTOPEN",
                &["TCP_FASTOPEN"],
                Some(listeners),
            ),
            (
                tcp,
                STATES,
                "TCP_FASTOPEN=5",
                &["TCP_FASTOPEN"],
                Some(listeners),
            ),
            (
                tcp,
                STATES,
                "state established backlog=1",
                &["backlog"],
                Some(listeners),
            ),
            (
                &File::ALL,
                STATES,
                "backlog>0",
                &["backlog"],
                Some(listeners),
            ),
            (tcp, States::ALL, "drops>0", &["drops"], Some(udp)),
            (tcp, STATES, "drops>0", &["drops"], Some(udp)),
            (
                &[UDP, UDP6],
                States::ALL,
                "TCP_NODELAY",
                &["TCP_NODELAY"],
                Some(Missing {
                    netid: Some(Netid::Tcp),
                    ..none
                }),
            ),
            (
                &[UDP, UDP6],
                STATES,
                "diag=no-ack",
                &["diag"],
                Some(Missing {
                    netid: Some(Netid::Tcp),
                    ..none
                }),
            ),
            (
                &[UDP, UDP6],
                STATES,
                "backlog>0",
                &["backlog"],
                Some(Missing {
                    netid: Some(Netid::Tcp),
                    ..listeners
                }),
            ),
            (&[TCP], STATES, "IPV6_V6ONLY", &["IPV6_V6ONLY"], Some(inet6)),
            (
                &[TCP],
                STATES,
                "IPV6_V6ONLY TCP_FASTOPEN",
                &["IPV6_V6ONLY", "TCP_FASTOPEN"],
                Some(Missing {
                    inet6: true,
                    ..listeners
                }),
            ),
            // The filter itself excludes IPv6.
            (
                &File::ALL,
                STATES,
                "src inet:any and IPV6_V6ONLY",
                &["IPV6_V6ONLY"],
                None,
            ),
            (&File::ALL, States::ALL, "backlog>0 and drops>0", &[], None),
            // Connections have it, although their rows do not show it.
            (
                &[UDP, UDP6],
                STATES,
                "TCP_WINDOW_CLAMP",
                &["TCP_WINDOW_CLAMP"],
                Some(Missing {
                    netid: Some(Netid::Tcp),
                    ..none
                }),
            ),
        ] {
            let found = unreachable(&query(files, states, filter)).expect(filter);
            let names: Vec<_> = found.parts.iter().map(|part| part.name).collect();
            assert_eq!(names, parts, "{filter}");
            assert_eq!(found.missing, missing, "{filter}");
        }
        for (files, states, filter) in [
            (tcp, States::LISTENING, "recv-q > backlog"),
            (tcp, States::ALL, "backlog>0"),
            (tcp, STATES, "state listening backlog>0"),
            (tcp, STATES, "not backlog>0"),
            (tcp, STATES, "backlog>0 or TCP_NODELAY"),
            (tcp, STATES, "diag!=no-ack"),
            (&[UDP], STATES, "diag!=no-ack"),
            (&[UDP], STATES, "drops>0"),
            (tcp, STATES, "uid=0"),
            (tcp, STATES, "TCP_WINDOW_CLAMP>0"),
            (tcp, STATES, "SO_INCOMING_CPU=3"),
            (tcp, STATES, ""),
            (&[TCP6], STATES, "IPV6_V6ONLY"),
            (tcp, STATES, "state time-wait TCP_NODELAY"),
        ] {
            assert_eq!(unreachable(&query(files, states, filter)), None, "{filter}");
        }
    }

    /// A rule may be about sockets of another protocol, family or state than those that are selected.
    #[test]
    fn rules_that_find_nothing() {
        let find = |rule: &str, files: &[File], filter| {
            let text = format!("[[rule]]\nname = \"a\"\nmessage = \"b\"\n{rule}\n");
            let rules = Rules::parse("", &text, &Services::parse("")).unwrap();
            can_find(&query(files, States::ALL, filter), &rules, States::DEFAULT)
        };
        const FORBID: &str = "forbid = \"state established TCP_NODELAY\"";
        const WHERE: &str = "where = \"state listening src inet6:any\"\nrequire = \"backlog>1\"";
        const NO_STATE: &str = "forbid = \"SO_KEEPALIVE\"";
        const COMPARE: &str = "where = \"state listening\"\ncompare = \"programs\"";
        let (all, udp) = (&File::ALL[..], &[UDP, UDP6][..]);
        for (rule, files, filter, expected) in [
            (FORBID, all, "", true),
            (FORBID, all, "state established", true),
            (FORBID, all, "state listening", false),
            (FORBID, udp, "", false),
            (FORBID, all, "backlog>1", false),
            (FORBID, all, "backlog>1 or uid=0", true),
            (WHERE, all, "", true),
            (WHERE, &[TCP], "", false),
            (WHERE, all, "src inet:any", false),
            (WHERE, udp, "", false),
            (NO_STATE, udp, "", true),
            (NO_STATE, all, "state listening", false),
            (COMPARE, all, "", true),
            (COMPARE, udp, "", false),
        ] {
            assert_eq!(find(rule, files, filter), expected, "{rule} {filter}");
        }
    }

    /// A rule that finds a row can find one of its kind, whatever its filters say of families.
    #[test]
    fn rules_that_find() {
        let row = |file, address: &str, state| {
            let line = format!("0 0 {address}:22 {address}:80 {state} SO_KEEPALIVE=0,uid=0,ino=5");
            (file, line)
        };
        let rows = [
            row(TCP, "10.0.0.1", "ESTB"),
            row(TCP6, "2001:db8::1", "ESTB"),
        ];
        let mut found = 0;
        for (condition, inner) in [
            ("forbid", "src inet:any"),
            ("forbid", "not src inet:any"),
            ("forbid", "src inet6:any or uid=0"),
            ("require", "src inet:any"),
            ("require", "uid=1"),
        ] {
            for selection in [
                "",
                "where = 'src inet:any'",
                "where = 'src inet6:any'",
                "where = 'state established'",
            ] {
                let text = format!(
                    "[[rule]]\nname = 'a'\nmessage = 'b'\n{selection}\n{condition} = '{inner}'\n"
                );
                let rules = Rules::parse("", &text, &Services::parse("")).unwrap();
                for (file, line) in &rows {
                    let row = Row::parse(*file, line.as_bytes()).unwrap();
                    let owners = KnownOwners::default();
                    let truth = rules.0[0].test(&row, owners, States::DEFAULT);
                    let query = query(&[*file], States::DEFAULT, "");
                    let can_find = can_find(&query, &rules, States::DEFAULT);
                    assert!(can_find || truth == Truth::False, "{text}{line}");
                    found += usize::from(truth == Truth::True);
                }
            }
        }
        assert!(found > 5, "{found}");
    }

    /// The flags that the advice adds are enough.
    #[test]
    fn advice_helps() {
        for info in crate::model::options::all() {
            for (files, states) in [
                (&[TCP][..], States::DEFAULT),
                (&[UDP], States::DEFAULT),
                (&[UDP6], States::LISTENING),
            ] {
                let mut query = query(files, states, info.name);
                let Some(Unreachable { parts, missing }) = unreachable(&query) else {
                    continue;
                };
                assert_eq!(parts.len(), 1);
                let missing = missing.expect(info.name);
                if let Some(netid) = missing.netid {
                    let more = query.files.iter().map(|file| File { netid, ..*file });
                    query.files.extend(more.collect::<Vec<_>>());
                }
                if missing.inet6 {
                    let family = Family::Inet6;
                    let more = query.files.iter().map(|file| File { family, ..*file });
                    query.files.extend(more.collect::<Vec<_>>());
                }
                query.states = query.states.union(missing.states.unwrap_or(States::NONE));
                assert_eq!(unreachable(&query), None, "{}", info.name);
            }
        }
    }
}
