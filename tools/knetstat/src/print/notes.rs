// SPDX-License-Identifier: GPL-2.0

//! Notes on standard error about what is missing from the output.

use crate::model::filter::Part;
use crate::model::options::Sockets;
use crate::model::query::{Outcome, Query};
use crate::model::reach::{protocol_without, unreachable, Missing, Unreachable};
use crate::model::row::State;
use crate::model::states::States;
use crate::model::tracker::Tracker;
use crate::model::truth::Undecided;
use crate::print::streams::say;
use crate::source::files::Netid;
use crate::source::process::{Owners, Unseen};
use std::fmt::Write;
use std::io;

/// The note that network namespaces could not be read. `obstacle` is that of [`Outcome`].
fn closed_note(count: usize, obstacle: Option<i32>) -> String {
    let namespaces = counted(count, "network namespace", "network namespaces");
    let them = if count == 1 { "it" } else { "them" };
    if obstacle == Some(libc::EAGAIN) {
        return format!(
            "cannot read {namespaces}: what keeps {them} changes faster than it is found"
        );
    }
    if let Some(code) = obstacle {
        let err = io::Error::from_raw_os_error(code);
        return format!("cannot read {namespaces}: {err}");
    }
    format!("cannot read {namespaces}: entering {them} needs CAP_SYS_ADMIN; run as root")
}

/// The numbers of network namespaces and rows that the last read of `--watch` has left out, and whether
/// it may have found too few namespaces.
#[derive(Debug, Default)]
pub struct Gaps {
    closed: usize,
    obstacle: Option<i32>,
    may_lack_netns: bool,
    unparsed: usize,
}

impl Gaps {
    pub fn of(outcome: &Outcome) -> Self {
        Self {
            closed: outcome.closed,
            obstacle: outcome.obstacle,
            may_lack_netns: outcome.may_lack_netns,
            unparsed: outcome.unparsed,
        }
    }

    /// The notes on gaps that have opened or grown since the last read.
    pub fn grown(&mut self, outcome: &Outcome) -> Vec<String> {
        let before = std::mem::replace(self, Self::of(outcome));
        let unparsed =
            (self.unparsed > before.unparsed).then(|| unparsed_note(self.unparsed, LEFT_OUT));
        let is_more_closed = self.closed > before.closed;
        let closed = is_more_closed.then(|| closed_note(self.closed, self.obstacle));
        let may_lack_more = self.may_lack_netns && !before.may_lack_netns;
        let unfound = may_lack_more.then(|| UNFOUND.to_owned());
        unparsed.into_iter().chain(closed).chain(unfound).collect()
    }
}

/// The note that there may be network namespaces that were not found.
const UNFOUND: &str = "network namespaces may be missing: not all processes could be examined";

/// The fate of rows that a tracker cannot parse.
const LEFT_OUT: &str = "left out";

/// The notes on one read of the files.
pub struct Notes<'a> {
    pub query: &'a Query,
    pub outcome: Outcome,
    /// The fate of rows that could not be parsed, such as `left out`.
    pub fate: &'a str,
    pub owners: Option<&'a Owners>,
}

/// A number with its noun: `1 row`, `2 rows`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{count} {noun}")
}

/// The note that rows could not be parsed and are therefore, for example, `left out`.
pub fn unparsed_note(count: usize, fate: &str) -> String {
    let rows = counted(count, "row, which is", "rows, which are");
    format!("cannot parse {rows} {fate}; the module may be newer than this command")
}

/// The note that the filter could not be decided for some sockets, with the reasons.
pub fn undecided_note(undecided: &Undecided) -> String {
    let sockets = counted(
        undecided.sockets,
        "socket, which is left out",
        "sockets, which are left out",
    );
    format!(
        "cannot decide the filter for {sockets}:{}",
        reasons(undecided)
    )
}

/// The note that chosen columns show no value for some sockets, with the reasons.
pub fn unknown_note(unknown: &Undecided) -> String {
    let sockets = counted(unknown.sockets, "socket", "sockets");
    format!("a value of {sockets} is not known:{}", reasons(unknown))
}

/// The reasons: behind the colon if there is one, else one a line.
fn reasons(undecided: &Undecided) -> String {
    let mut text = String::new();
    let reasons: Vec<_> = undecided.reasons().collect();
    match reasons[..] {
        [(reason, _)] => {
            let _ = write!(text, " {}", reason.text());
        }
        _ => {
            for (reason, count) in reasons {
                let _ = write!(text, "\n    {count}: {}", reason.text());
            }
        }
    }
    text
}

/// The note that the files lack sockets that are only bound. `None` unless the query tests the local
/// port and selects no socket.
pub fn bound_note(query: &Query, outcome: &Outcome) -> Option<&'static str> {
    let is_of_tcp = query.files.iter().any(|file| file.netid == Netid::Tcp);
    // A query for connections does not ask for an owner of the port that is not connected.
    let asks_for_owner = query.states.has(State::Close) || query.states.has(State::Listen);
    // Another note says it if these are the only sockets that are asked for.
    let may_be_bound = is_of_tcp && asks_for_owner && protocol_without(query).is_none();
    let found_none = outcome.selected + outcome.undecided.sockets + outcome.unparsed == 0;
    (may_be_bound && found_none && query.filter.asks_for_local_port()).then_some(
        "no socket is shown; a TCP socket that is bound, but neither listens nor is connected, is in \
        no file; on Linux 6.8 and later, this shows it in the same network namespace: ss -tanB",
    )
}

/// A word for sockets.
fn sockets_of(part: Part) -> String {
    let words = part.sockets.iter().map(|sockets| match sockets {
        Sockets::Any => "sockets",
        Sockets::Tcp => "TCP sockets",
        Sockets::Listener => "listeners",
        Sockets::Udp => "UDP sockets",
        Sockets::Inet6 => "IPv6 sockets",
        Sockets::Udp6 => "UDP sockets over IPv6",
    });
    words.collect::<Vec<_>>().join(" and ")
}

/// The flags that add sockets to a query. If the filter selects the states, flags do not.
fn flags_for(missing: &Missing, query: &Query) -> String {
    let has_states = query.filter.states.is_some();
    let netid = missing.netid.map(|netid| match (query.has_tables, netid) {
        (false, Netid::Tcp) => "-t",
        (false, Netid::Udp) => "-u",
        (true, Netid::Tcp) => "-A tcp",
        (true, Netid::Udp) => "-A udp",
    });
    let inet6 = missing.inet6.then_some("-6");
    let mut flags: Vec<_> = netid.into_iter().chain(inet6).map(str::to_owned).collect();
    if let Some(states) = missing.states {
        let all = State::ALL.iter().filter(|(state, ..)| states.has(*state));
        let is_listening = states.without(States::LISTENING) == States::NONE;
        flags.push(match (has_states, is_listening) {
            (true, _) => {
                let names: Vec<_> = all.map(|(_, _, name)| format!("state {name}")).collect();
                format!("'{}' to the states", names.join(" "))
            }
            (false, true) => "-l or -a".to_owned(),
            (false, false) => "-a".to_owned(),
        });
    }
    flags.join(" and ")
}

/// The note that the query can select no socket, with the reason and what to add. `None` if it can.
pub fn unreachable_note(query: &Query) -> Option<String> {
    let Unreachable { parts, missing } = unreachable(query)?;
    let reasons = parts.iter().map(|part| {
        let sockets = sockets_of(*part);
        format!("only {sockets} have {}", part.name)
    });
    let reasons: Vec<_> = reasons.collect();
    let reason = match reasons.is_empty() {
        true => "no socket can have all that it tests".to_owned(),
        false => reasons.join(", and "),
    };
    let add = missing.map_or(String::new(), |missing| {
        format!("; add {}", flags_for(&missing, query))
    });
    Some(format!("the filter selects no socket: {reason}{add}"))
}

/// The things that may be missing because of what was not seen. `all_netns` says whether network
/// namespaces were looked for.
fn missing(unseen: &Unseen, all_netns: bool) -> &'static str {
    match all_netns && unseen.may_lack_namespaces() {
        true => "owners and network namespaces",
        false => "owners",
    }
}

/// The note that sockets of the selected protocol have none of the selected states. `None` if they may.
fn states_note(query: &Query) -> Option<&'static str> {
    match protocol_without(query)? {
        Netid::Udp => Some(
            "no socket is selected: UDP sockets are either established or unconnected; add one of \
            these states",
        ),
        Netid::Tcp => Some(
            "no socket is selected: a TCP socket that neither listens nor is connected is in no \
            file; on Linux 6.8 and later, this shows it in the same network namespace: ss -tanB",
        ),
    }
}

/// The note that owners may be missing, with the reasons and with what helps. `None` if all
/// processes were examined.
fn owners_note(unseen: &Unseen, missing: &str) -> Option<String> {
    let sight = &unseen.sight;
    let mut reasons = Vec::new();
    if unseen.denied > 0 {
        let certain = unseen.denied - unseen.uncertain;
        let count = counted(unseen.denied, "process", "processes");
        reasons.push(match (certain, unseen.uncertain) {
            (_, 0) => format!("cannot examine {count}"),
            (0, _) => format!("cannot examine up to {count} (some may be kernel threads)"),
            _ => format!("cannot examine {certain} to {count} (some may be kernel threads)"),
        });
    }
    if let Some(hidepid) = &sight.hidepid {
        reasons.push(format!(
            "cannot see the processes of other users (/proc is mounted with hidepid={hidepid})"
        ));
    }
    if !sight.is_initial_namespace {
        reasons.push("cannot see processes outside this PID namespace".to_owned());
    }
    let needs_rights = unseen.denied > 0 || sight.hidepid.is_some();
    let needs_host = !sight.is_initial_namespace || (sight.is_root && !sight.is_initial_user);
    if unseen.with_threads > 0 {
        let count = counted(unseen.with_threads, "process", "processes");
        reasons.push(format!(
            "cannot find out which threads of {count} share descriptors (kcmp(2) is refused)"
        ));
    }
    if unseen.rings > 0 {
        let count = counted(unseen.rings, "io_uring", "io_urings");
        reasons.push(format!("cannot list the registered files of {count}"));
    }
    let remedy = match (needs_rights, needs_host) {
        _ if reasons.is_empty() => return None,
        (true, true) => "run as root in the initial PID namespace (on the host)",
        (false, true) => "run in the initial PID namespace (on the host)",
        (true, false) if sight.is_initial_user && sight.is_capable => REFUSED,
        (true, false) if sight.is_root => "run with CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE",
        (true, false) => "run as root",
        (false, false) if unseen.with_threads > 0 => "use -T",
        // The kernel does not show the files of an io_uring.
        (false, false) => "",
    };
    let reasons = reasons.join(", and ");
    let remedy = match remedy {
        "" => String::new(),
        REFUSED => format!("; {REFUSED}"),
        remedy => format!("; {remedy} to see all {missing}"),
    };
    Some(format!("{reasons}, so {missing} may be missing{remedy}"))
}

/// The obstacle of a process that has all rights.
const REFUSED: &str = "a security module or a mount refuses access";

impl<'a> Notes<'a> {
    /// The notes on the last read of a tracker.
    pub fn of(tracker: &Tracker, query: &'a Query, owners: Option<&'a Owners>) -> Self {
        Self {
            query,
            outcome: tracker.outcome,
            fate: LEFT_OUT,
            owners,
        }
    }

    /// Prints the notes that apply.
    pub fn print(&self) {
        // The files of IPv4 always exist.
        if self.outcome.files == 0 {
            say("this kernel has no IPv6 sockets");
        }
        let unparsed = self.outcome.unparsed;
        if unparsed > 0 {
            say(unparsed_note(unparsed, self.fate));
        }
        if self.outcome.closed > 0 {
            say(closed_note(self.outcome.closed, self.outcome.obstacle));
        }
        let undecided = &self.outcome.undecided;
        if undecided.sockets > 0 {
            say(undecided_note(undecided));
        }
        // Selected rows prove that a newer module shows more than this command knows.
        if self.outcome.selected == 0 {
            unreachable_note(self.query).iter().for_each(say);
            states_note(self.query).iter().for_each(say);
        }
        let mut defaults = self.query.filter.options.iter();
        if let Some(failure) = defaults.find_map(|defaults| defaults.failure()) {
            say(failure);
        }
        let unseen = self.owners.map(|owners| &owners.unseen);
        let all_netns = self.query.all_netns;
        if let Some(note) =
            unseen.and_then(|unseen| owners_note(unseen, missing(unseen, all_netns)))
        {
            say(note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        bound_note, closed_note, missing, owners_note, states_note, undecided_note, unparsed_note,
        unreachable_note, Gaps,
    };
    use crate::model::filter::Filter;
    use crate::model::query::{Outcome, Query};
    use crate::model::row::State;
    use crate::model::states::States;
    use crate::model::truth::{Reason, Truth, Undecided};
    use crate::source::files::{Family, File, Netid};
    use crate::source::process::{Sight, Unseen};
    use crate::source::services::Services;

    /// An empty list has a reason if the sockets never have the state.
    #[test]
    fn states_of_other_protocols() {
        let tcp: &[_] = &[File::ALWAYS];
        let udp: &[_] = &[File {
            netid: Netid::Udp,
            family: Family::Inet,
        }];
        for (files, states, filter, expected) in [
            (
                udp,
                States::DEFAULT,
                "state listening",
                Some("UDP sockets are either"),
            ),
            (
                udp,
                States::DEFAULT,
                "state time-wait uid=0",
                Some("UDP sockets are either"),
            ),
            (udp, States::DEFAULT, "state connected", None),
            (udp, States::LISTENING, "", None),
            (udp, States::NONE, "", None),
            (
                tcp,
                States::DEFAULT,
                "state unconnected",
                Some("is in no file"),
            ),
            (
                tcp,
                States::DEFAULT,
                "state unconnected sport = :5",
                Some("ss -tanB"),
            ),
            (tcp, States::DEFAULT, "state closed state listening", None),
            (&File::ALL, States::DEFAULT, "state unconnected", None),
            (&File::ALL, States::DEFAULT, "state listening", None),
        ] {
            let filter = match filter {
                "" => Filter::default(),
                filter => Filter::parse(&[filter.to_owned()], &Services::parse("")).unwrap(),
            };
            let note = states_note(&Query::example(files, states, filter));
            let is_it = |text: &str| note.is_some_and(|note| note.contains(text));
            assert!(expected.map_or(note.is_none(), is_it), "{note:?}");
        }
    }

    /// After EADDRINUSE, people ask for listeners or for all sockets, not for connections.
    #[test]
    fn ports_that_only_a_bound_socket_has() {
        let tcp: &[_] = &[File::ALWAYS];
        let udp = &[File {
            netid: Netid::Udp,
            family: Family::Inet,
        }];
        for (files, states, filter, selected, has_note) in [
            (tcp, States::ALL, "sport = :8080", 0, true),
            (tcp, States::LISTENING, "sport = :8080", 0, true),
            (tcp, States::LISTENING, "state listening src :8080", 0, true),
            (tcp, States::LISTENING, "sport = :8080", 1, false),
            (tcp, States::LISTENING, "sport = :8080 uid=0", 0, false),
            (tcp, States::DEFAULT, "sport = :8080", 0, false),
            (udp, States::ALL, "sport = :8080", 0, false),
            (
                tcp,
                States::of(State::Close),
                "state unconnected sport = :8080",
                0,
                false,
            ),
        ] {
            let filter = Filter::parse(&[filter.to_owned()], &Services::parse("")).unwrap();
            let query = Query::example(files, states, filter);
            let outcome = Outcome {
                selected,
                ..Outcome::default()
            };
            assert_eq!(
                bound_note(&query, &outcome).is_some(),
                has_note,
                "{query:?}"
            );
        }
    }

    #[test]
    fn filters_that_select_nothing() {
        let tcp = |file: &File| file.netid == Netid::Tcp;
        let ipv4 = |file: &File| file.family == Family::Inet;
        let all = |_: &File| true;
        for (filter, is_read, expected) in [
            (
                "recv-q > backlog",
                &tcp as &dyn Fn(&File) -> bool,
                Some("only listeners have backlog; add -l or -a"),
            ),
            ("drops>0", &tcp, Some("only UDP sockets have drops; add -u")),
            (
                "state established TCP_FASTOPEN",
                &all,
                Some("only listeners have TCP_FASTOPEN; add 'state listening' to the states"),
            ),
            (
                "IPV6_V6ONLY backlog>0",
                &ipv4,
                Some(
                    "only IPv6 sockets have IPV6_V6ONLY, and only listeners have backlog; add -6 \
                    and -l or -a",
                ),
            ),
            (
                "state all backlog>0 drops>0",
                &all,
                Some("no socket can have all that it tests"),
            ),
            ("backlog>0 or uid=0", &tcp, None),
        ] {
            let filter = Filter::parse(&[filter.to_owned()], &Services::parse("")).unwrap();
            let query = Query::example(
                &File::ALL.into_iter().filter(is_read).collect::<Vec<_>>(),
                States::DEFAULT,
                filter,
            );
            let expected = expected.map(|reason| format!("the filter selects no socket: {reason}"));
            assert_eq!(unreachable_note(&query), expected);
        }
    }

    /// The flags that are advised are not refused.
    #[test]
    fn advice_for_tables() {
        let filter = Filter::parse(&["drops>0".to_owned()], &Services::parse("")).unwrap();
        let tcp = File::ALL
            .into_iter()
            .filter(|file| file.netid == Netid::Tcp);
        let query = Query {
            has_tables: true,
            ..Query::example(&tcp.collect::<Vec<_>>(), States::DEFAULT, filter)
        };
        let note = unreachable_note(&query).unwrap();
        assert!(note.ends_with("; add -A udp"), "{note}");
    }

    fn unseen(denied: usize, uncertain: usize, sight: Sight) -> Unseen {
        Unseen {
            denied,
            uncertain,
            ..Unseen::new(sight)
        }
    }

    #[test]
    fn owners_that_may_be_missing() {
        let user = Sight {
            is_own_namespace: true,
            is_initial_namespace: true,
            is_root: false,
            is_capable: false,
            is_initial_user: true,
            hidepid: None,
        };
        let root = Sight {
            is_root: true,
            ..user.clone()
        };
        let refused = Sight {
            is_capable: true,
            ..root.clone()
        };
        let contained = Sight {
            is_initial_namespace: false,
            ..root.clone()
        };
        let hidden = Sight {
            hidepid: Some("invisible".to_owned()),
            ..user.clone()
        };
        let with_threads = Unseen {
            with_threads: 2,
            ..Unseen::new(user.clone())
        };
        let with_rings = Unseen {
            rings: 1,
            ..Unseen::new(user.clone())
        };
        for (unseen, expected) in [
            (
                with_rings,
                Some("cannot list the registered files of 1 io_uring, so owners may be missing"),
            ),
            (unseen(0, 0, user.clone()), None),
            (
                unseen(1, 0, user.clone()),
                Some(
                    "cannot examine 1 process, so owners may be missing; run as root to see all \
                    owners",
                ),
            ),
            (
                unseen(7, 5, user.clone()),
                Some(
                    "cannot examine 2 to 7 processes (some may be kernel threads), so owners may be \
                    missing; run as root to see all owners",
                ),
            ),
            (
                unseen(5, 5, user.clone()),
                Some(
                    "cannot examine up to 5 processes (some may be kernel threads), so owners may \
                    be missing; run as root to see all owners",
                ),
            ),
            (
                unseen(3, 0, root),
                Some(
                    "cannot examine 3 processes, so owners may be missing; run with \
                    CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE to see all owners",
                ),
            ),
            (
                unseen(3, 0, refused),
                Some(
                    "cannot examine 3 processes, so owners may be missing; a security module or a \
                    mount refuses access",
                ),
            ),
            (
                unseen(0, 0, hidden),
                Some(
                    "cannot see the processes of other users (/proc is mounted with \
                    hidepid=invisible), so owners may be missing; run as root to see all owners",
                ),
            ),
            (
                unseen(0, 0, contained.clone()),
                Some(
                    "cannot see processes outside this PID namespace, so owners may be missing; run \
                    in the initial PID namespace (on the host) to see all owners",
                ),
            ),
            (
                unseen(2, 0, contained),
                Some(
                    "cannot examine 2 processes, and cannot see processes outside this PID \
                    namespace, so owners may be missing; run as root in the initial PID namespace \
                    (on the host) to see all owners",
                ),
            ),
            (
                with_threads,
                Some(
                    "cannot find out which threads of 2 processes share descriptors (kcmp(2) is \
                    refused), so owners may be missing; use -T to see all owners",
                ),
            ),
        ] {
            assert_eq!(owners_note(&unseen, "owners").as_deref(), expected);
            assert_eq!(unseen.is_any(), expected.is_some());
        }
    }

    /// A ring whose files are not shown hides no network namespace.
    #[test]
    fn namespaces_that_may_be_missing() {
        let sight = Sight::WHOLE;
        let mut unseen = unseen(0, 0, sight);
        unseen.rings = 1;
        assert_eq!(missing(&unseen, true), "owners");
        unseen.denied = 1;
        assert_eq!(missing(&unseen, true), "owners and network namespaces");
        assert_eq!(missing(&unseen, false), "owners");
    }

    #[test]
    fn reasons_of_undecided_sockets() {
        let mut undecided = Undecided::default();
        let cut = Truth::unknown(Reason::Cut);
        undecided.count(cut);
        assert_eq!(
            undecided_note(&undecided),
            "cannot decide the filter for 1 socket, which is left out: there are more groups than a \
                row shows"
        );
        undecided.count(cut.or(|| Truth::unknown(Reason::Hidden)));
        assert_eq!(
            undecided_note(&undecided),
            "cannot decide the filter for 2 sockets, which are left out:\n    \
                1: the module hides this option from readers without CAP_NET_ADMIN; run as root\n    \
                2: there are more groups than a row shows"
        );
    }

    /// A gap is reported when it opens or grows, not at each read.
    #[test]
    fn gaps_that_open_later() {
        let outcome = |closed, may_lack_netns, unparsed| Outcome {
            closed,
            may_lack_netns,
            unparsed,
            ..Outcome::default()
        };
        let mut gaps = Gaps::of(&outcome(1, false, 0));
        for (closed, may_lack_netns, unparsed, expected) in [
            (1, false, 0, &[][..]),
            (2, false, 0, &["cannot read 2 network namespaces"]),
            (2, false, 0, &[]),
            (1, false, 3, &["cannot parse 3 rows"]),
            (
                2,
                false,
                4,
                &["cannot parse 4 rows", "cannot read 2 network namespaces"],
            ),
            (0, false, 0, &[]),
            (1, false, 0, &["cannot read 1 network namespace"]),
            (1, true, 0, &["network namespaces may be missing"]),
            (1, true, 0, &[]),
            (1, false, 0, &[]),
        ] {
            let notes = gaps.grown(&outcome(closed, may_lack_netns, unparsed));
            assert_eq!(notes.len(), expected.len(), "{notes:?}");
            for (note, expected) in notes.iter().zip(expected) {
                assert!(note.starts_with(expected), "{notes:?}");
            }
        }
    }

    #[test]
    fn namespaces_that_cannot_be_read() {
        assert_eq!(
            closed_note(2, None),
            "cannot read 2 network namespaces: entering them needs CAP_SYS_ADMIN; run as root"
        );
        assert_eq!(
            closed_note(1, Some(libc::EAGAIN)),
            "cannot read 1 network namespace: what keeps it changes faster than it is found"
        );
        assert_eq!(
            closed_note(1, Some(13)),
            "cannot read 1 network namespace: Permission denied (os error 13)"
        );
    }

    #[test]
    fn one_row_or_several() {
        assert_eq!(
            unparsed_note(1, "left out"),
            "cannot parse 1 row, which is left out; the module may be newer than this command"
        );
        assert_eq!(
            unparsed_note(2, "not counted"),
            "cannot parse 2 rows, which are not counted; the module may be newer than this command"
        );
    }
}
