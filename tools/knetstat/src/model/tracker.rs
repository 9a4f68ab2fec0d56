// SPDX-License-Identifier: GPL-2.0

//! A tracker compares the sockets of a read of the files with those of the read before.
//!
//! A socket of this read is a socket of the last read in these cases, in this order:
//!
//! 1. It has the same inode and the same endpoints.
//! 2. It has the same endpoints and has got or lost its inode, and its state has not gone back.
//! 3. It has the same inode. No other row had or has this inode, and the socket is no subflow: the
//!    process has bound or connected it.
//!
//! The first read may be of a copy. The tracker then also keeps the sockets for which the filter cannot
//! be decided: the copy contains no processes, and only the addresses of some sockets. Sockets of the
//! copy are reported as follows:
//!
//! | filter, copy    | filter, now | result                                               |
//! |-----------------|-------------|------------------------------------------------------|
//! | true or unknown | true        | `changed`, if anything differs                       |
//! | true or unknown | unknown     | none; the second read counts the socket as undecided |
//! | true            | false       | `went`                                               |
//! | unknown         | false       | undecided                                            |
//! | false           | true        | `came`                                               |
//!
//! If the socket is gone, its owners are unknown. It `went` if the filter is true for any owners. If
//! the filter depends on them, or on anything else that is unknown, the socket is undecided.

use crate::model::event::{continues, endpoints, Event, Key, Snapshot};
use crate::model::query::{Entry, Outcome, Query, Verdict};
use crate::model::row::Row;
use crate::model::truth::{Reasons, Truth};
use crate::source::copy::ComparedNamespaces;
use crate::source::namespaces::Netns;
use crate::source::process::Owners;
use anyhow::Result;
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};
use std::io::BufRead;
use std::rc::Rc;

/// The sockets of one key. There is one, except for the subflows of an MPTCP connection.
type Group<T> = SmallVec<[T; 1]>;

/// The sockets of the last read.
#[derive(Debug, Default)]
pub struct Tracker {
    sockets: HashMap<Key, Group<Tracked>>,
    has_begun: bool,
    /// Whether sockets are kept for which the filter cannot be decided.
    keeps_undecided: bool,
    namespaces: TrackedNamespaces,
    /// Facts about the last read.
    pub outcome: Outcome,
    /// The events of the last read that have happened only if the filter selected the socket before,
    /// which cannot be decided. The outcome does not count their sockets.
    pub undecided: Vec<(Event, Truth)>,
}

/// The network namespaces of the last read, if several are read. The sets have their numbers; see
/// [`Netns::id`].
#[derive(Debug, Default)]
struct TrackedNamespaces {
    all: Vec<Rc<Netns>>,
    /// Those that the last read could not read.
    closed: HashSet<u64>,
    /// Those that no read could read. If one can, its sockets are not new.
    unknown: HashSet<u64>,
}

impl TrackedNamespaces {
    /// Takes note of the namespaces of a read that has ended.
    fn end(&mut self, all: &[Rc<Netns>]) {
        let before: HashSet<_> = self.all.iter().map(|netns| netns.id()).collect();
        let (closed, unknown) = (&self.closed, &self.unknown);
        let is_unknown = |id: &&u64| unknown.contains(*id) || !before.contains(*id);
        self.unknown = closed.iter().filter(is_unknown).copied().collect();
        self.all = all.iter().map(Netns::slim).collect();
    }

    /// The namespaces that had another number in the last read, each with that number.
    fn renumbered<'n>(&self, now: &'n [Rc<Netns>]) -> Vec<(u64, &'n Rc<Netns>)> {
        let is_hidden = |netns: &Rc<Netns>| netns.ino.is_none();
        if !self.all.iter().chain(now).any(is_hidden) {
            return Vec::new();
        }
        let pairs = self.all.iter().filter_map(|before| {
            let same = now.iter().find(|now| now.is_renumbered(before))?;
            Some((before.id(), same))
        });
        pairs.collect()
    }
}

/// A socket of the last read.
#[derive(Debug)]
struct Tracked {
    text: Box<str>,
    selected: Selected,
    /// Whether this read has found it, too.
    is_seen: bool,
}

/// Whether the query selected a socket of the last read. This takes less memory than a [`Verdict`].
#[derive(Clone, Copy, Debug)]
struct Selected {
    truth: Truth,
    /// The reasons why this cannot be decided if the socket is closed now. None if it can.
    doubts: Reasons,
}

impl Selected {
    const YES: Self = Self {
        truth: Truth::True,
        doubts: Reasons::NONE,
    };

    fn of(verdict: Verdict) -> Self {
        Self {
            truth: verdict.truth,
            doubts: verdict.if_closed.reasons(),
        }
    }

    /// The truth if the socket is closed now. It is not false, because such sockets are not kept.
    fn if_closed(self) -> Truth {
        match self.doubts {
            Reasons::NONE => Truth::True,
            doubts => Truth::Unknown(doubts),
        }
    }
}

impl Tracker {
    /// The number of sockets.
    pub fn count(&self) -> usize {
        self.sockets.values().map(SmallVec::len).sum()
    }

    /// Reads all rows. Returns the events since the last read; the first read returns none.
    ///
    /// The sockets in a network namespace that cannot be read are still there. If no read could read it
    /// so far, the sockets that are found in it are not new.
    pub fn read(&mut self, query: &Query, owners: Option<&Owners>) -> Result<Vec<Event>> {
        let namespaces = owners.map_or(&[][..], |owners| &owners.namespaces);
        self.renumber(namespaces);
        let mut reading = Reading::new(self);
        let outcome = query.read_all(owners, |entry| reading.entry(entry))?;
        let events = reading.end();
        self.namespaces.end(namespaces);
        self.outcome = outcome;
        Ok(events)
    }

    /// Like [`Tracker::read`], but passes each row to `show`, even if it does not pass. The last read was
    /// of a copy, and the sockets in a network namespace that cannot be read count as gone.
    pub fn read_and_show(
        &mut self,
        query: &Query,
        owners: Option<&Owners>,
        mut show: impl FnMut(&Row<'_>),
    ) -> Result<Vec<Event>> {
        let mut reading = Reading::new(self);
        let outcome = query.read_all(owners, |entry| match entry {
            Entry::Closed { .. } => Ok(()),
            entry => {
                if let Entry::Row { row, .. } = entry {
                    show(row);
                }
                reading.entry(entry)
            }
        })?;
        let events = reading.end();
        self.outcome = outcome;
        Ok(events)
    }

    /// Like [`Tracker::read_and_show`], but reads a copy of the files, and keeps the sockets for which
    /// the filter cannot be decided. `show` gets the rows of all files. If the filter tests owners,
    /// `owners` are those found now.
    pub fn read_copy(
        &mut self,
        copy: impl BufRead,
        query: &Query,
        owners: Option<&Owners>,
        namespaces: &mut ComparedNamespaces,
        show: impl FnMut(&Row<'_>),
    ) -> Result<Vec<Event>> {
        self.keeps_undecided = true;
        let mut reading = Reading::new(self);
        let take = |entry: Entry<'_>| reading.entry(entry);
        let outcome = query.read_copy(copy, owners, namespaces, show, take)?;
        let events = reading.end();
        self.outcome = outcome;
        Ok(events)
    }

    /// Moves the sockets of the network namespaces that have another number now.
    fn renumber(&mut self, now: &[Rc<Netns>]) {
        for (before, netns) in self.namespaces.renumbered(now) {
            let sockets = std::mem::take(&mut self.sockets).into_iter();
            let moved = sockets.map(|(key, group)| match key.netns_id() == Some(before) {
                true => (key.within(netns), group),
                false => (key, group),
            });
            self.sockets = moved.collect();
            if self.namespaces.unknown.remove(&before) {
                self.namespaces.unknown.insert(netns.id());
            }
            let mut all = self.namespaces.all.iter_mut();
            if let Some(old) = all.find(|netns| netns.id() == before) {
                *old = netns.slim();
            }
        }
    }

    fn insert(&mut self, key: Key, text: Box<str>, selected: Selected) {
        self.sockets.entry(key).or_default().push(Tracked {
            text,
            selected,
            is_seen: true,
        });
    }
}

/// A socket of this read that the last read did not find.
#[derive(Debug)]
struct New {
    text: Box<str>,
    /// Whether the query selects it.
    truth: Truth,
}

/// A socket of the last read that this read has not found.
struct Gone {
    key: Key,
    text: Box<str>,
    selected: Selected,
    /// Whether no other row had its key.
    was_alone: bool,
}

/// A read of all rows that is under way.
struct Reading<'a> {
    tracker: &'a mut Tracker,
    events: Vec<Event>,
    /// The rows that the last read did not find. Those that are not kept are here only if their key
    /// is known or, after a copy, their endpoints.
    new: HashMap<Key, Group<New>>,
    text: String,
}

impl<'a> Reading<'a> {
    fn new(tracker: &'a mut Tracker) -> Self {
        for known in tracker.sockets.values_mut().flatten() {
            known.is_seen = false;
        }
        tracker.undecided.clear();
        tracker.namespaces.closed.clear();
        Self {
            tracker,
            events: Vec::new(),
            new: HashMap::new(),
            text: String::new(),
        }
    }

    fn entry(&mut self, entry: Entry<'_>) -> Result<()> {
        match entry {
            Entry::Row { row, verdict, .. } => self.row(row, verdict),
            Entry::Closed { netns } => _ = self.tracker.namespaces.closed.insert(netns.id()),
            Entry::Unparsed { .. } => {}
        }
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>, verdict: Verdict) {
        let passes = verdict.passes();
        let is_kept = match self.tracker.keeps_undecided {
            true => verdict.if_closed != Truth::False,
            false => passes,
        };
        let key = Key::of(row);
        let sockets = &mut self.tracker.sockets;
        // A connection of the copy that has been accepted since.
        let was_pending = || {
            self.tracker.keeps_undecided
                && key.is_inode()
                && sockets.contains_key(&Key::endpoints(row))
        };
        let is_known = is_kept || sockets.contains_key(&key) || was_pending();
        if !is_known || !(is_kept || row.has_valid_options()) {
            return;
        }
        let group = sockets.get_mut(&key);
        Snapshot::write(row, &mut self.text);
        let text = self.text.as_str();
        let found = group.and_then(|group| {
            let place = group
                .iter()
                .position(|known| endpoints(&known.text) == endpoints(text))?;
            Some((group, place))
        });
        let Some((group, place)) = found else {
            self.unknown(key, verdict, is_kept);
            return;
        };
        let known = &mut group[place];
        if known.is_seen || (passes && *known.text == *text) {
            known.is_seen = true;
            return;
        }
        let now = key.snapshot(text.into());
        let selected = known.selected;
        let before = if passes {
            known.is_seen = true;
            known.selected = Selected::YES;
            std::mem::replace(&mut known.text, text.into())
        } else {
            let removed = group.swap_remove(place);
            if group.is_empty() {
                self.tracker.sockets.remove(&key);
            }
            removed.text
        };
        let before = key.snapshot(before);
        let is_same = key.is_inode() || before.row().is_some_and(|before| continues(&before, row));
        if is_same {
            self.followed((before, selected.truth), (now, verdict.truth));
            return;
        }
        self.went(before, selected);
        if passes {
            self.events.push(Event::Came(now));
        }
    }

    /// Keeps a row that the last read did not find. Its text is in `self.text`.
    fn unknown(&mut self, key: Key, verdict: Verdict, is_kept: bool) {
        let text = self.text.as_str();
        if !self.tracker.has_begun {
            // The first read reports nothing.
            let group = self.tracker.sockets.get(&key);
            let is_listed = |known: &Tracked| endpoints(&known.text) == endpoints(text);
            if is_kept && !group.is_some_and(|group| group.iter().any(is_listed)) {
                let selected = Selected::of(verdict);
                self.tracker.insert(key, text.into(), selected);
            }
            return;
        }
        // A socket is listed twice if it changes its kind during the read, for example from a
        // request to a connection. Either row will do, unless the filter decides only one of them.
        let truth = verdict.truth;
        let group = self.new.entry(key).or_default();
        let mut others = group.iter_mut();
        let other = others.find(|other| endpoints(&other.text) == endpoints(text));
        let text = text.into();
        match other {
            None => group.push(New { text, truth }),
            Some(other) if truth.is_true() && other.truth.reasons() != Reasons::NONE => {
                *other = New { text, truth };
            }
            Some(_) => {}
        }
    }

    /// Reports a socket of the last read that is gone.
    fn went(&mut self, before: Snapshot, selected: Selected) {
        let event = Event::Went { before, now: None };
        match selected.if_closed() {
            Truth::True => self.events.push(event),
            unknown => self.tracker.undecided.push((event, unknown)),
        }
    }

    /// Reports a socket that both reads have found. Each snapshot comes with the truth of the filter.
    fn followed(&mut self, (before, was): (Snapshot, Truth), (now, is): (Snapshot, Truth)) {
        if is.is_true() {
            let event = match was {
                Truth::False => Some(Event::Came(now)),
                _ => Event::changed(before, now),
            };
            self.events.extend(event);
            return;
        }
        if self.tracker.keeps_undecided && is != Truth::False {
            return;
        }
        let now = Some(now);
        let event = Event::Went { before, now };
        match was {
            Truth::True => self.events.push(event),
            Truth::Unknown(_) => self.tracker.undecided.push((event, was)),
            Truth::False => {}
        }
    }

    /// The sockets that this read has not found, although it could. The tracker forgets them.
    fn gone(&mut self) -> Vec<Gone> {
        let mut gone = Vec::new();
        let closed = &self.tracker.namespaces.closed;
        self.tracker.sockets.retain(|key, group| {
            if key.netns_id().is_some_and(|id| closed.contains(&id)) {
                return true;
            }
            let was_alone = group.len() == 1;
            group.retain(|known| {
                if !known.is_seen {
                    gone.push(Gone {
                        key: key.clone(),
                        text: std::mem::take(&mut known.text),
                        selected: known.selected,
                        was_alone,
                    });
                }
                known.is_seen
            });
            !group.is_empty()
        });
        gone
    }

    fn end(mut self) -> Vec<Event> {
        let gone = self.gone();
        // The new rows with an inode, by their endpoints: a socket may have got its inode.
        let mut with_inode = HashMap::new();
        if gone.iter().any(|one| !one.key.is_inode()) {
            let new = self.new.iter();
            for (key, group) in new.filter(|(key, _)| key.is_inode()) {
                for row in group.iter().filter_map(|new| key.row(&new.text)) {
                    with_inode.insert(Key::endpoints(&row), key.clone());
                }
            }
        }
        let mut left = Vec::new();
        for one in gone {
            match self.half(&one, &with_inode) {
                Some((key, new)) => self.succeed(one, key, new),
                None => left.push(one),
            }
        }
        for one in left {
            let key = one.key.clone();
            match self.moved(&one) {
                Some(new) => self.succeed(one, key, new),
                None => self.went(one.key.snapshot(one.text), one.selected),
            }
        }
        for (key, group) in std::mem::take(&mut self.new) {
            let unknown = &self.tracker.namespaces.unknown;
            let is_new = key.netns_id().is_none_or(|id| !unknown.contains(&id));
            for new in group.into_iter().filter(|new| new.truth.is_true()) {
                let came = is_new.then(|| Event::Came(key.snapshot(new.text.clone())));
                self.events.extend(came);
                self.tracker.insert(key.clone(), new.text, Selected::YES);
            }
        }
        self.tracker.has_begun = true;
        // Sort by inode: newer sockets usually have higher inodes.
        self.events.sort_by_cached_key(|event| {
            let snapshot = event.latest();
            let ino = snapshot.row().and_then(|row| row.ino);
            (event.order(), ino, snapshot.text().to_owned())
        });
        self.events
    }

    /// Takes the new row with the endpoints of this socket, if exactly one of the two has an inode.
    fn half(&mut self, gone: &Gone, with_inode: &HashMap<Key, Key>) -> Option<(Key, New)> {
        let before = gone.key.row(&gone.text)?;
        let key = match gone.key.is_inode() {
            true => Key::endpoints(&before),
            false => with_inode.get(&gone.key)?.clone(),
        };
        let group = self.new.get_mut(&key)?;
        let place = group.iter().position(|new| {
            let now = key.row(&new.text);
            now.is_some_and(|now| {
                Key::endpoints(&now) == Key::endpoints(&before) && continues(&before, &now)
            })
        })?;
        Some((key, group.swap_remove(place)))
    }

    /// Takes the only new row with the inode of this socket, if the process may have bound or
    /// connected it. A subflow keeps its endpoints, so another subflow is another socket.
    fn moved(&mut self, gone: &Gone) -> Option<New> {
        if !gone.was_alone || !gone.key.is_inode() {
            return None;
        }
        let group = self.new.get_mut(&gone.key)?;
        let is_subflow = |text: &str| gone.key.row(text).is_none_or(|row| row.is_subflow());
        if group.len() != 1 || is_subflow(&group[0].text) || is_subflow(&gone.text) {
            return None;
        }
        group.pop()
    }

    /// Reports that a socket of the last read has become this row.
    fn succeed(&mut self, gone: Gone, key: Key, new: New) {
        let was = match gone.key.is_inode() && !key.is_inode() {
            true => gone.selected.if_closed(),
            false => gone.selected.truth,
        };
        let (before, now) = (gone.key.snapshot(gone.text), key.snapshot(new.text.clone()));
        self.followed((before, was), (now, new.truth));
        if new.truth.is_true() {
            self.tracker.insert(key, new.text, Selected::YES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::tests::any_row;
    use crate::model::event::{changes, Change, Value};
    use crate::model::filter::Filter;
    use crate::model::row::tests::{LISTENER, TCP, UDP};
    use crate::model::row::Endpoint;
    use crate::model::states::States;
    use crate::model::truth::Reason;
    use crate::source::namespaces::tests::example;
    use crate::source::services::Services;
    use proptest::prelude::*;

    const A: &str = "0 0 10.0.0.1:22 10.0.0.2:40001 ESTB TCP_NODELAY=0,SO_LINGER=5s,uid=0,ino=7";

    /// The events of the second of two reads, as `name what`. Rows that begin with `!` do not pass
    /// the filter.
    fn second(readings: [&[&str]; 2]) -> Vec<String> {
        tracked(readings).iter().map(told).collect()
    }

    /// The events of the second of two reads.
    fn tracked(readings: [&[&str]; 2]) -> Vec<Event> {
        let mut tracker = Tracker::default();
        let mut events = Vec::new();
        for rows in readings {
            let mut reading = Reading::new(&mut tracker);
            for line in rows {
                let row = line.trim_start_matches('!');
                let row = Row::parse(TCP, row.as_bytes()).expect(line);
                reading.row(&row, Truth::from(!line.starts_with('!')).into());
            }
            events = reading.end();
        }
        let passing = readings[1].iter().filter(|line| !line.starts_with('!'));
        let passing: HashSet<_> = passing.collect();
        assert_eq!(tracker.count(), passing.len(), "{readings:?}");
        events
    }

    /// The text of an event: its name, and the changes or the list of the row.
    fn told(event: &Event) -> String {
        let row = event.latest().row().unwrap();
        let found = event.before().and_then(Snapshot::row);
        let found = found
            .map(|before| changes(&before, &row))
            .unwrap_or_default();
        let what = match found.is_empty() {
            true => row.joined(),
            false => found.iter().map(change).collect::<Vec<_>>().join(","),
        };
        format!("{} {what}", event.name())
    }

    fn change(change: &Change<'_>) -> String {
        let text = |value| match value {
            None => "unset".to_owned(),
            Some(Value::Endpoint(Endpoint { text, port: 0, .. })) => format!("{text}:*"),
            Some(Value::Endpoint(Endpoint { text, port, .. })) => format!("{text}:{port}"),
            Some(Value::State(state)) => state.label().to_owned(),
            Some(Value::Option(text)) => text.to_owned(),
            Some(Value::Number(n)) => n.to_string(),
        };
        format!("{}={}->{}", change.name, text(change.old), text(change.new))
    }

    /// The identity of a socket: its inode, if it has one, and its endpoints.
    fn identity(row: &Row<'_>) -> (Key, Key) {
        (Key::of(row), Key::endpoints(row))
    }

    /// Whether no event is necessary if the first row becomes the second.
    fn is_unchanged(before: &Snapshot, now: &Snapshot) -> bool {
        let (before, now) = (before.row().unwrap(), now.row().unwrap());
        Key::endpoints(&before) == Key::endpoints(&now) && changes(&before, &now).is_empty()
    }

    /// Applies events to the sockets of a read. `all` has the identities of all rows of the next
    /// read.
    fn apply(
        events: &[Event],
        sockets: &mut Vec<Snapshot>,
        all: &HashSet<(Key, Key)>,
    ) -> Result<(), TestCaseError> {
        let identity = |snapshot: &Snapshot| identity(&snapshot.row().unwrap());
        let old: HashSet<_> = sockets.iter().map(identity).collect();
        for event in events {
            let (Event::Went { before, .. } | Event::Changed { before, .. }) = event else {
                continue;
            };
            let place = sockets.iter().position(|one| one == before);
            prop_assert!(place.is_some(), "{:?}", event);
            sockets.swap_remove(place.unwrap());
        }
        for event in events {
            match event {
                Event::Came(now) => sockets.push(now.clone()),
                Event::Changed { before, now } => {
                    // Two rows that are in both reads are never taken for one.
                    if identity(before) != identity(now) {
                        prop_assert!(!all.contains(&identity(before)), "{:?}", event);
                        prop_assert!(!old.contains(&identity(now)), "{:?}", event);
                    }
                    sockets.push(now.clone());
                }
                Event::Went { .. } => {}
            }
        }
        Ok(())
    }

    /// The subflows of an MPTCP connection, which share an inode, by the last byte of their address.
    fn subflow(last: u8, more: &str) -> String {
        format!("0 0 10.0.0.{last}:4000 10.0.0.9:22 ESTB TCP_NODELAY=0,TCP_IS_MPTCP=1{more},uid=0,ino=7")
    }

    #[test]
    fn subflows_are_sockets() {
        let [a, b, c] = [1, 2, 3].map(|last| subflow(last, ""));
        let by_address = |rows: [&[&str]; 2]| {
            let events = tracked(rows);
            let found = events.iter().map(|event| {
                let row = event.latest().row().unwrap();
                format!("{} {}", event.name(), row.local.text)
            });
            found.collect::<Vec<_>>()
        };
        assert!(second([&[&a, &b, &c], &[&c, &a, &b]]).is_empty());
        assert_eq!(
            by_address([&[&a], &[&a, &b, &c]]),
            ["came 10.0.0.2", "came 10.0.0.3"]
        );
        assert_eq!(
            by_address([&[&a, &b, &c], &[&b]]),
            ["went 10.0.0.1", "went 10.0.0.3"]
        );
        // One goes and another comes: no address has changed.
        assert_eq!(
            by_address([&[&a, &b], &[&a, &c]]),
            ["went 10.0.0.2", "came 10.0.0.3"]
        );
        assert_eq!(
            by_address([&[&a], &[&b]]),
            ["went 10.0.0.1", "came 10.0.0.2"]
        );
        // Each changes for itself.
        let changed = [1, 2, 3].map(|last| subflow(last, ",SO_MARK=0x1"));
        assert_eq!(
            second([&[&a, &b, &c], &[&changed[2], &changed[1], &changed[0]]]),
            ["changed SO_MARK=unset->0x1"; 3]
        );
        assert_eq!(
            by_address([&[&a, &b], &[&changed[1], &c]]),
            ["went 10.0.0.1", "changed 10.0.0.2", "came 10.0.0.3"]
        );
        // One of them no longer passes the filter, or passes it now.
        let hidden = format!("!{b}");
        assert_eq!(by_address([&[&a, &b], &[&a, &hidden]]), ["went 10.0.0.2"]);
        assert_eq!(by_address([&[&a, &hidden], &[&a, &b]]), ["came 10.0.0.2"]);
        assert!(by_address([&[&a, &hidden], &[&hidden, &a]]).is_empty());
        // The connection is closed: the subflows lose their inode, one after the other.
        let closed = |row: &str| row.replace("ino=7", "ino=0").replace("ESTB", "FNW1");
        assert_eq!(
            second([&[&a, &b], &[&closed(&a), &b]]),
            ["changed state=ESTB->FNW1,ino=7->0"]
        );
        let timw = "0 0 10.0.0.2:4000 10.0.0.9:22 TIMW";
        assert_eq!(
            second([&[&a, &b], &[timw, &a]]),
            ["changed state=ESTB->TIMW"]
        );
        // Rows with the same inode and the same endpoints are one socket.
        assert_eq!(tracked([&[&a, &a], &[&a, &a, &b, &b]]).len(), 1);
    }

    /// A socket that is bound or connected remains one socket, if no other has its inode.
    #[test]
    fn sockets_that_move() {
        let plain = |row: &str| row.replace("TCP_IS_MPTCP=1,", "");
        let [a, b, c] = [1, 2, 3].map(|last| plain(&subflow(last, "")));
        let names = |rows: [&[&str]; 2]| {
            let events = tracked(rows);
            events.iter().map(Event::name).collect::<Vec<_>>()
        };
        let moved = ["changed local=10.0.0.1:4000->10.0.0.2:4000"];
        assert_eq!(second([&[&a], &[&b]]), moved);
        // It no longer passes the filter.
        assert_eq!(
            second([&[&a], &[&format!("!{b}")]]),
            [moved[0].replace("changed", "went")]
        );
        assert_eq!(names([&[&a, &c], &[&b]]), ["went", "went", "came"]);
        assert_eq!(names([&[&a], &[&b, &c]]), ["went", "came", "came"]);
        assert_eq!(names([&[&a, &c], &[&b, &c]]), ["went", "came"]);
        // Datagrams that were dropped are no change.
        let dropped = [
            "0 0 10.0.0.2:4000 10.0.0.9:22 uid=0,ino=9",
            "0 0 10.0.0.2:4000 10.0.0.9:22 drops=5,uid=0,ino=9",
        ];
        let mut tracker = Tracker::default();
        for line in dropped {
            let mut reading = Reading::new(&mut tracker);
            reading.row(
                &Row::parse(UDP, line.as_bytes()).unwrap(),
                Truth::True.into(),
            );
            assert!(reading.end().is_empty());
        }
        // A socket of another protocol or family has its inode now.
        let udp = Row::parse(UDP, b"0 0 10.0.0.2:4000 10.0.0.9:22 ino=7");
        let mut tracker = Tracker::default();
        let mut reading = Reading::new(&mut tracker);
        reading.row(&Row::parse(TCP, a.as_bytes()).unwrap(), Truth::True.into());
        reading.end();
        let mut reading = Reading::new(&mut tracker);
        reading.row(&udp.unwrap(), Truth::True.into());
        let events = reading.end();
        assert_eq!(
            events.iter().map(Event::name).collect::<Vec<_>>(),
            ["went", "came"]
        );
    }

    #[test]
    fn what_happens() {
        let queues = A.replace("0 0", "5 6").replace("ESTB", "ESTB >|");
        assert!(second([&[A], &[&queues]]).is_empty());
        let delayed = A.replace(",SO_LINGER", ",TCP_QUICKACK=0,SO_LINGER");
        assert!(second([&[A], &[&delayed]]).is_empty());
        assert!(second([&[&delayed], &[A]]).is_empty());
        let b = A
            .replace("TCP_NODELAY=0", "TCP_NODELAY=1")
            .replace(",SO_LINGER=5s", ",IP_TOS=0x8");
        let list = A.split_ascii_whitespace().last().unwrap();
        let what = "TCP_NODELAY=0->1,SO_LINGER=5s->unset,IP_TOS=unset->0x8";
        assert_eq!(second([&[A], &[&b]]), [format!("changed {what}")]);
        assert_eq!(second([&[], &[A]]), [format!("came {list}")]);
        assert_eq!(second([&[A], &[]]), [format!("went {list}")]);
        // The socket no longer passes the filter, or passes it now.
        assert_eq!(
            second([&[A], &[&format!("!{b}")]]),
            [format!("went {what}")]
        );
        assert_eq!(
            second([&[A], &[&format!("!{A}")]]),
            [format!("went {list}")]
        );
        assert_eq!(
            second([&[&format!("!{b}")], &[A]]),
            [format!("came {list}")]
        );
        assert!(second([&[], &[&format!("!{A}")]]).is_empty());
        // Two sockets with the same addresses and ports.
        let other = A.replace("ino=7", "ino=8");
        assert_eq!(second([&[A], &[A, &other]]).len(), 1);
        assert_eq!(
            second([&[A], &[&other]]),
            [
                format!("went {list}"),
                format!("came {}", list.replace("ino=7", "ino=8"))
            ]
        );
        // A listener.
        let closed = "0 0 0.0.0.0:22 0.0.0.0:* CLSD SO_REUSEADDR=1,SO_KEEPALIVE=0,TCP_FASTOPEN=5,\
            TCP_DEFER_ACCEPT=0,uid=0,ino=1207";
        assert_eq!(
            second([&[LISTENER], &[closed]]),
            ["changed state=LSTN->CLSD,backlog=128->unset"]
        );
        let moved = A.replace("10.0.0.1:22", "0.0.0.0:*");
        assert_eq!(
            second([&[&moved], &[A]]),
            ["changed local=0.0.0.0:*->10.0.0.1:22"]
        );
    }

    /// The events of a read, with the inode of each socket. The rows of a namespace are `None` if it
    /// cannot be read.
    fn round(tracker: &mut Tracker, found: &[(&Rc<Netns>, Option<&[u64]>)]) -> Vec<String> {
        let namespaces: Vec<_> = found.iter().map(|(netns, _)| Rc::clone(netns)).collect();
        tracker.renumber(&namespaces);
        let mut reading = Reading::new(tracker);
        for (netns, inos) in found {
            let Some(inos) = inos else {
                reading.entry(Entry::Closed { netns }).unwrap();
                continue;
            };
            for ino in *inos {
                let line = A.replace("ino=7", &format!("ino={ino}"));
                let row = Row::parse(TCP, line.as_bytes()).unwrap();
                let netns = Some(*netns);
                reading.row(&Row { netns, ..row }, Truth::True.into());
            }
        }
        let events = reading.end();
        tracker.namespaces.end(&namespaces);
        let told = events.iter().map(|event| {
            let ino = event.latest().row().unwrap().ino.unwrap();
            format!("{} {ino}", event.name())
        });
        told.collect()
    }

    /// If a network namespace cannot be read for some time, nothing has happened to its sockets. What
    /// happened meanwhile is reported when it can be read again.
    #[test]
    fn namespaces_that_cannot_be_read() {
        let [one, other] = [5, 6].map(|ino| example(Some(ino), &[], &[]));
        let mut tracker = Tracker::default();
        for (of_one, of_other, expected) in [
            (Some(&[1, 2][..]), Some(&[3][..]), &[][..]),
            (None, Some(&[3]), &[]),
            (None, Some(&[4]), &["went 3", "came 4"]),
            (Some(&[1, 2]), Some(&[4]), &[]),
            (None, None, &[]),
            (Some(&[2, 7]), None, &["went 1", "came 7"]),
            (Some(&[2, 7]), Some(&[]), &["went 4"]),
        ] {
            let found = round(&mut tracker, &[(&one, of_one), (&other, of_other)]);
            assert_eq!(found, expected, "{of_one:?} {of_other:?}");
        }
        // It is gone.
        assert_eq!(
            round(&mut tracker, &[(&other, Some(&[]))]),
            ["went 2", "went 7"]
        );
        // The first read could not read one of them, and a later one is new.
        let late = example(Some(8), &[], &[]);
        let mut tracker = Tracker::default();
        for (of_one, of_late, expected) in [
            (None, None, &[][..]),
            (None, Some(&[1][..]), &["came 1"]),
            (Some(&[2][..]), None, &[]),
            (None, Some(&[1]), &[]),
            (
                Some(&[3]),
                Some(&[4]),
                &["went 1", "went 2", "came 3", "came 4"],
            ),
        ] {
            let is_late_there = of_one.is_some() || of_late.is_some();
            let found = [(&one, of_one), (&late, of_late)];
            let found = round(&mut tracker, &found[..1 + usize::from(is_late_there)]);
            assert_eq!(found, expected, "{of_one:?} {of_late:?}");
        }
    }

    /// A network namespace remains the same if its inode becomes known, or is hidden again.
    #[test]
    fn namespaces_whose_inode_is_seen_later() {
        // The module's file in both is the same.
        let hidden = example(None, &[], &[]);
        let seen = example(Some(5), &["blue"], &[]);
        assert_ne!(hidden, seen);
        let mut tracker = Tracker::default();
        for (netns, inos, expected) in [
            (&hidden, Some(&[1][..]), &[][..]),
            (&seen, Some(&[1]), &[]),
            (&hidden, Some(&[1, 2]), &["came 2"]),
            (&seen, None, &[]),
            (&hidden, Some(&[2]), &["went 1"]),
        ] {
            assert_eq!(round(&mut tracker, &[(netns, inos)]), expected);
        }
        let mut tracker = Tracker::default();
        for (netns, inos) in [(&hidden, None), (&seen, None), (&hidden, Some(&[1][..]))] {
            assert!(round(&mut tracker, &[(netns, inos)]).is_empty());
        }
    }

    /// From the request to TIMW, a connection is one socket.
    #[test]
    fn connections_are_followed() {
        let request = "0 0 10.0.0.1:22 10.0.0.2:40001 SYNR";
        let pending = A.replace("ino=7", "ino=0");
        let half_closed = A.replace("ESTB", "FNW2");
        let orphan = pending.replace("ESTB", "FNW2");
        let short_orphan = "0 0 10.0.0.1:22 10.0.0.2:40001 FNW2";
        let old = "0 0 10.0.0.1:22 10.0.0.2:40001 TIMW";
        for (before, now, what) in [
            (request, pending.as_str(), "state=SYNR->ESTB"),
            (request, A, "state=SYNR->ESTB"),
            (&pending, A, "ino=0->7"),
            (A, &half_closed, "state=ESTB->FNW2"),
            (&half_closed, &orphan, "ino=7->0"),
            (&half_closed, short_orphan, ""),
            (&orphan, short_orphan, ""),
            (short_orphan, old, "state=FNW2->TIMW"),
            (A, old, "state=ESTB->TIMW"),
        ] {
            let expected: Vec<_> = match what {
                "" => Vec::new(),
                what => vec![format!("changed {what}")],
            };
            assert_eq!(second([&[before], &[now]]), expected, "{before}\n{now}");
        }
        // A new connection uses the same addresses and ports.
        for (before, now) in [
            (old, request),
            (old, &pending),
            (old, A),
            (&orphan, request),
        ] {
            let events = second([&[before], &[now]]);
            let names: Vec<_> = events.iter().map(|event| &event[..4]).collect();
            assert_eq!(names, ["went", "came"], "{before}\n{now}");
        }
        // A request became a connection during the read.
        assert_eq!(second([&[], &[&pending]]).len(), 1);
        let mut tracker = Tracker::default();
        for _ in 0..2 {
            let mut reading = Reading::new(&mut tracker);
            for line in [request, &pending] {
                reading.row(
                    &Row::parse(TCP, line.as_bytes()).unwrap(),
                    Truth::True.into(),
                );
            }
            assert!(reading.end().is_empty());
        }
        assert_eq!(tracker.count(), 1);
    }

    const CLOSED: Truth = Truth::unknown(Reason::Closed);
    const OWNERS: Truth = Truth::unknown(Reason::Owners);

    /// The events of a read after a copy that lacks the owners that the filter tests, and those that
    /// cannot be decided.
    fn since(copy: &[(&str, Verdict)], now: &[(&str, Truth)]) -> [Vec<String>; 2] {
        let mut tracker = Tracker {
            keeps_undecided: true,
            ..Tracker::default()
        };
        let mut reading = Reading::new(&mut tracker);
        for (line, verdict) in copy {
            reading.row(&Row::parse(TCP, line.as_bytes()).unwrap(), *verdict);
        }
        assert!(reading.end().is_empty());
        let mut reading = Reading::new(&mut tracker);
        for (line, truth) in now {
            let row = Row::parse(TCP, line.as_bytes()).unwrap();
            reading.row(&row, Verdict::from(*truth));
        }
        let events = reading.end();
        let passing = now.iter().filter(|(_, truth)| truth.is_true());
        assert_eq!(tracker.count(), passing.count());
        let undecided = tracker.undecided.iter().map(|(event, truth)| {
            assert_ne!(truth.reasons(), Reasons::NONE);
            told(event)
        });
        [
            events.iter().map(told).collect(),
            undecided.collect::<Vec<_>>(),
        ]
    }

    /// The events of sockets whose owners the copy does not contain.
    #[test]
    fn filters_that_test_owners() {
        let changed = A.replace("TCP_NODELAY=0", "TCP_NODELAY=1");
        let list = A.split_ascii_whitespace().last().unwrap();
        let [same, set] = [list, "TCP_NODELAY=0->1"];
        let none = String::new;
        let when_closed = |truth| Verdict {
            truth,
            if_closed: CLOSED,
        };
        for (before, now, event, undecided) in [
            // The owners are those of now, so the filter decided the same before.
            (when_closed(CLOSED), Some((A, Truth::True)), none(), none()),
            (when_closed(OWNERS), Some((A, OWNERS)), none(), none()),
            (
                when_closed(CLOSED),
                Some((A, Truth::False)),
                none(),
                format!("went {same}"),
            ),
            (
                when_closed(Truth::False),
                Some((A, Truth::False)),
                none(),
                none(),
            ),
            (when_closed(Truth::False), Some((A, OWNERS)), none(), none()),
            // The copy has this socket. It has not come.
            (
                when_closed(CLOSED),
                Some((&changed, Truth::True)),
                format!("changed {set}"),
                none(),
            ),
            (
                when_closed(Truth::False),
                Some((&changed, Truth::True)),
                format!("came {}", list.replace("LAY=0", "LAY=1")),
                none(),
            ),
            (
                when_closed(Truth::True),
                Some((&changed, Truth::True)),
                format!("changed {set}"),
                none(),
            ),
            (
                Truth::True.into(),
                Some((&changed, Truth::True)),
                format!("changed {set}"),
                none(),
            ),
            // The filter selects it only now.
            (
                Truth::False.into(),
                Some((&changed, Truth::True)),
                format!("came {}", list.replace("LAY=0", "LAY=1")),
                none(),
            ),
            // It no longer passes.
            (
                Truth::True.into(),
                Some((&changed, Truth::False)),
                format!("went {set}"),
                none(),
            ),
            (
                when_closed(Truth::True),
                Some((&changed, Truth::False)),
                format!("went {set}"),
                none(),
            ),
            (
                when_closed(OWNERS),
                Some((&changed, Truth::False)),
                none(),
                format!("went {set}"),
            ),
            (
                when_closed(Truth::False),
                Some((&changed, Truth::False)),
                none(),
                none(),
            ),
            // The read has counted it.
            (Truth::True.into(), Some((&changed, OWNERS)), none(), none()),
            // It is gone.
            (Truth::True.into(), None, format!("went {same}"), none()),
            (
                when_closed(Truth::True),
                None,
                none(),
                format!("went {same}"),
            ),
            (
                when_closed(Truth::False),
                None,
                none(),
                format!("went {same}"),
            ),
            (CLOSED.into(), None, none(), format!("went {same}")),
            (Truth::False.into(), None, none(), none()),
        ] {
            let now: Vec<_> = now.into_iter().collect();
            let found = since(&[(A, before)], &now);
            let expected = [event, undecided].map(|text| match text.is_empty() {
                true => Vec::new(),
                false => vec![text],
            });
            assert_eq!(found, expected, "{before:?}, {now:?}");
        }
        // A new socket.
        assert_eq!(since(&[], &[(A, Truth::True)])[0].len(), 1);
        assert_eq!(
            since(&[], &[(A, OWNERS)]),
            [const { Vec::<String>::new() }; 2]
        );
    }

    /// The kernel keeps only the addresses of some sockets. What a filter tests is then unknown, not
    /// false, in the copy as well as now.
    #[test]
    fn filters_on_what_the_kernel_forgets() {
        const REQUEST: &str = "0 0 10.0.0.1:22 10.0.0.2:40001 SYNR";
        const OLD: &str = "0 0 10.0.0.1:22 10.0.0.2:40001 TIMW";
        let services = Services::parse("");
        let events = |filter: &str, rows: [&str; 2]| {
            let filter = Filter::parse(&[filter.to_owned()], &services).unwrap();
            let query = Query::example(&[TCP], States::ALL, filter);
            let mut tracker = Tracker::default();
            let mut events = Vec::new();
            for row in rows {
                const HEADER: &str =
                    "Recv-Q Send-Q Local Address Foreign Address Stat Diag Options";
                let lines = [HEADER, row].into_iter().filter(|line| !line.is_empty());
                let copy: String = lines.flat_map(|line| [line, "\n"]).collect();
                let (copy, mut namespaces) = (copy.as_bytes(), ComparedNamespaces::default());
                let read = tracker.read_copy(copy, &query, None, &mut namespaces, |_| ());
                events = read.unwrap();
            }
            let undecided = tracker.undecided.iter().map(|(event, _)| told(event));
            let events = events.iter().map(told).collect::<Vec<_>>();
            (events, undecided.collect::<Vec<_>>())
        };
        let some = |text: &str| vec![text.to_owned()];
        for filter in ["uid=0", "SO_LINGER=5s", "uid=0 or TCP_NODELAY=1"] {
            let found = events(filter, [REQUEST, A]);
            assert_eq!(
                found,
                (some("changed state=SYNR->ESTB"), vec![]),
                "{filter}"
            );
            // The second read counts it.
            let found = events(filter, [A, OLD]);
            assert_eq!(found, (vec![], vec![]), "{filter}");
        }
        let found = events("uid=1", [REQUEST, A]);
        assert_eq!(found, (vec![], some("went state=SYNR->ESTB")));
        let found = events("uid=0", [OLD, ""]);
        assert_eq!(found, (vec![], some("went ")));
        let found = events("uid=0", [OLD, OLD]);
        assert_eq!(found, (vec![], vec![]));
    }

    /// A connection that gets or loses its inode, and so its owners.
    #[test]
    fn owners_that_come_and_go() {
        let pending = A.replace("ino=7", "ino=0");
        let old = "0 0 10.0.0.1:22 10.0.0.2:40001 TIMW";
        let [came, went] = ["ino=0->7", "state=ESTB->TIMW"];
        let of_pending = |truth| Verdict {
            truth,
            if_closed: CLOSED,
        };
        for (before, verdict, now, truth, expected) in [
            (
                pending.as_str(),
                of_pending(OWNERS),
                A,
                Truth::True,
                [format!("changed {came}"), String::new()],
            ),
            (
                &pending,
                of_pending(Truth::False),
                A,
                Truth::False,
                [String::new(), String::new()],
            ),
            (
                &pending,
                of_pending(OWNERS),
                A,
                Truth::False,
                [String::new(), format!("went {came}")],
            ),
            (
                &pending,
                Truth::True.into(),
                A,
                Truth::False,
                [format!("went {came}"), String::new()],
            ),
            (
                &pending,
                of_pending(OWNERS),
                A,
                OWNERS,
                [String::new(), String::new()],
            ),
            // No process had it open, so the filter selects it only now.
            (
                &pending,
                Truth::False.into(),
                A,
                Truth::True,
                [
                    format!("came {}", A.split(' ').next_back().unwrap()),
                    String::new(),
                ],
            ),
            (
                A,
                CLOSED.into(),
                old,
                Truth::True,
                [format!("changed {went}"), String::new()],
            ),
            // It is counted once.
            (
                A,
                CLOSED.into(),
                old,
                OWNERS,
                [String::new(), String::new()],
            ),
            (
                A,
                CLOSED.into(),
                old,
                Truth::False,
                [
                    String::new(),
                    format!("went {}", A.split(' ').next_back().unwrap()),
                ],
            ),
            (
                A,
                Truth::True.into(),
                old,
                OWNERS,
                [String::new(), String::new()],
            ),
        ] {
            let found = since(&[(before, verdict)], &[(now, truth)]);
            let expected = expected.map(|text| match text.is_empty() {
                true => Vec::new(),
                false => vec![text],
            });
            assert_eq!(found, expected, "{before} {verdict:?}, {now} {truth:?}");
        }
        // The peer uses the same port again.
        let request = "0 0 10.0.0.1:22 10.0.0.2:40001 SYNR";
        let found = since(&[(old, CLOSED.into())], &[(request, Truth::True)]);
        assert_eq!(found.map(|events| events.len()), [1, 1]);
        // A request became a connection during the read.
        let both = [(request, OWNERS), (pending.as_str(), Truth::True)];
        assert_eq!(since(&[], &both)[0].len(), 1);
        // The subflows of a connection.
        let [a, b, c] = [1, 2, 3].map(|last| subflow(last, ""));
        let found = since(
            &[(&a, CLOSED.into()), (&b, CLOSED.into())],
            &[(&b, Truth::True), (&c, Truth::True)],
        );
        assert_eq!(found.map(|events| events.len()), [1, 1]);
    }

    /// A host can have a million sockets.
    #[test]
    fn sockets_take_little_memory() {
        assert_eq!(size_of::<Tracked>(), 24);
    }

    fn any_truth() -> impl Strategy<Value = Truth> {
        prop::sample::select(vec![Truth::False, Truth::True, OWNERS])
    }

    /// Any verdict on a row of a copy. What is decided for closed sockets is decided for all.
    fn any_verdict() -> impl Strategy<Value = Verdict> {
        (any_truth(), any::<bool>()).prop_map(|(truth, is_decided)| Verdict {
            truth,
            if_closed: match truth {
                Truth::Unknown(_) => CLOSED,
                truth if is_decided => truth,
                _ => CLOSED,
            },
        })
    }

    proptest! {
        /// No socket has come that the copy has, unless the filter did not select it then. None is
        /// reported twice.
        #[test]
        fn a_copy_without_owners(
            copy in prop::collection::vec((any_row(), any_verdict()), 0..6),
            now in prop::collection::vec((any_row(), any_truth()), 0..6),
        ) {
            let mut tracker = Tracker { keeps_undecided: true, ..Tracker::default() };
            let mut reading = Reading::new(&mut tracker);
            let mut may_pass = HashSet::new();
            let mut rejected = HashSet::new();
            for (line, verdict) in &copy {
                let row = Row::parse(TCP, line.as_bytes()).unwrap();
                reading.row(&row, *verdict);
                may_pass.extend((verdict.if_closed != Truth::False).then(|| identity(&row)));
                rejected.extend((verdict.truth == Truth::False).then(|| identity(&row)));
            }
            prop_assert!(reading.end().is_empty());
            prop_assert_eq!(tracker.count(), may_pass.len());
            let mut reading = Reading::new(&mut tracker);
            let mut passing = HashSet::new();
            let mut seen = HashSet::new();
            for (line, truth) in &now {
                let row = Row::parse(TCP, line.as_bytes()).unwrap();
                if seen.insert(identity(&row)) {
                    reading.row(&row, Verdict::from(*truth));
                    passing.extend(truth.is_true().then(|| identity(&row)));
                }
            }
            let events = reading.end();
            let of = |snapshot: &Snapshot| identity(&snapshot.row().unwrap());
            let mut before = HashSet::new();
            let undecided = tracker.undecided.iter().map(|(event, _)| event);
            for event in events.iter().chain(undecided) {
                match event {
                    // With inodes, there is no doubt that it is the same socket.
                    Event::Came(new) => {
                        let new = of(new);
                        prop_assert!(passing.contains(&new));
                        let was_selected = may_pass.contains(&new) && !rejected.contains(&new);
                        prop_assert!(!new.0.is_inode() || !was_selected, "{:?}", event);
                    }
                    Event::Changed { before: old, now } => {
                        prop_assert!(passing.contains(&of(now)));
                        prop_assert!(may_pass.contains(&of(old)) && before.insert(of(old)));
                    }
                    Event::Went { before: old, now } => {
                        prop_assert!(now.as_ref().is_none_or(|now| !passing.contains(&of(now))));
                        prop_assert!(may_pass.contains(&of(old)) && before.insert(of(old)));
                    }
                }
            }
        }

        /// After any read, the tracker has the sockets that passed. Another read of the same rows
        /// returns no event.
        #[test]
        fn nothing_is_left_out(readings in prop::collection::vec(prop::collection::vec((any_row(), any::<bool>()), 0..5), 1..5)) {
            let mut tracker = Tracker::default();
            for lines in readings {
                let before = tracker.count();
                let mut events = Vec::new();
                for i in 0..2 {
                    let mut reading = Reading::new(&mut tracker);
                    let mut identities = HashSet::new();
                    for (line, passes) in &lines {
                        let row = Row::parse(TCP, line.as_bytes()).unwrap();
                        if identities.insert((Key::of(&row), Key::endpoints(&row))) {
                            reading.row(&row, Truth::from(*passes).into());
                        }
                    }
                    let has_begun = reading.tracker.has_begun;
                    let found = reading.end();
                    match i {
                        0 => events = found,
                        _ => prop_assert_eq!(&found, &[]),
                    }
                    let count = |name| events.iter().filter(|event| event.name() == name).count();
                    if has_begun && i == 0 {
                        prop_assert_eq!(before + count("came") - count("went"), tracker.count());
                    }
                }
            }
        }

        /// The events lead from the sockets of one read to those of the next.
        #[test]
        fn events_lead_to_the_next_read(
            readings in prop::collection::vec(prop::collection::vec((any_row(), any::<bool>()), 0..8), 2..5),
        ) {
            let mut tracker = Tracker::default();
            let mut known: Option<Vec<Snapshot>> = None;
            for lines in readings {
                let mut reading = Reading::new(&mut tracker);
                let mut all = HashSet::new();
                let mut passing = Vec::new();
                for (line, passes) in &lines {
                    let row = Row::parse(TCP, line.as_bytes()).unwrap();
                    if all.insert(identity(&row)) {
                        reading.row(&row, Truth::from(*passes).into());
                        passing.extend(passes.then(|| Snapshot::of(&row)));
                    }
                }
                let events = reading.end();
                match &mut known {
                    None => prop_assert!(events.is_empty()),
                    Some(known) => {
                        apply(&events, known, &all)?;
                        prop_assert_eq!(known.len(), passing.len());
                        for is_like in [|one: &Snapshot, other: &Snapshot| one == other, is_unchanged] {
                            passing.retain(|one| match known.iter().position(|other| is_like(other, one)) {
                                Some(place) => {
                                    known.swap_remove(place);
                                    false
                                }
                                None => true,
                            });
                        }
                        prop_assert!(known.is_empty(), "{:?}
    {:?}", known, passing);
                    }
                }
                let tracked = tracker.sockets.iter();
                let tracked = tracked.flat_map(|(key, group)| group.iter().map(|one| key.snapshot(one.text.clone())));
                known = Some(tracked.collect());
            }
        }

        /// Rows of one socket that are listed twice, even with different options or states, are one
        /// socket.
        #[test]
        fn no_socket_is_doubled(readings in prop::collection::vec(prop::collection::vec((any_row(), any::<bool>()), 0..12), 1..5)) {
            let mut tracker = Tracker::default();
            for lines in readings {
                let mut reading = Reading::new(&mut tracker);
                let rows = lines.iter().map(|(line, passes)| (Row::parse(TCP, line.as_bytes()).unwrap(), passes));
                let mut passing = HashSet::new();
                for (row, passes) in rows {
                    reading.row(&row, Truth::from(*passes).into());
                    passing.extend(passes.then(|| identity(&row)));
                }
                reading.end();
                let tracked = tracker.sockets.iter();
                let tracked: Vec<_> = tracked
                    .flat_map(|(key, group)| group.iter().map(|one| identity(&key.row(&one.text).unwrap())))
                    .collect();
                let unique: HashSet<_> = tracked.iter().collect();
                prop_assert_eq!(unique.len(), tracked.len());
                prop_assert!(tracked.iter().all(|one| passing.contains(one)));
            }
        }
    }
}
