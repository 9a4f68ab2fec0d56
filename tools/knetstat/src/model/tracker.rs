// SPDX-License-Identifier: GPL-2.0

//! A tracker compares the sockets of a read of the files with those of the read before.

use crate::model::event::{continues, Event, Key, Snapshot};
use crate::model::query::{Entry, Outcome, Query};
use crate::model::row::Row;
use crate::source::process::Owners;
use anyhow::Result;
use std::collections::HashMap;
use std::io::BufRead;

/// The sockets of the last read.
#[derive(Debug, Default)]
pub struct Tracker {
    sockets: HashMap<Key, Tracked>,
    has_begun: bool,
    /// Facts about the last read.
    pub outcome: Outcome,
}

/// A socket of the last read.
#[derive(Debug)]
struct Tracked {
    text: Box<str>,
    /// Whether this read has found it, too.
    is_seen: bool,
}

impl Tracked {
    fn seen(text: Box<str>) -> Self {
        Self {
            text,
            is_seen: true,
        }
    }
}

impl Tracker {
    /// The number of sockets.
    pub fn count(&self) -> usize {
        self.sockets.len()
    }

    /// Reads all rows. Returns the events since the last read; the first read returns none.
    pub fn read(&mut self, query: &Query, owners: Option<&Owners>) -> Result<Vec<Event>> {
        let mut reading = Reading::new(self);
        let outcome = query.read(owners, |entry| reading.entry(entry))?;
        let events = reading.end();
        self.outcome = outcome;
        Ok(events)
    }

    /// Like [`Tracker::read`], but reads a copy of the files.
    pub fn read_copy(&mut self, copy: impl BufRead, query: &Query) -> Result<Vec<Event>> {
        let mut reading = Reading::new(self);
        let outcome = query.read_copy(copy, |entry| reading.entry(entry))?;
        let events = reading.end();
        self.outcome = outcome;
        Ok(events)
    }
}

/// A read of all rows that is under way.
struct Reading<'a> {
    tracker: &'a mut Tracker,
    events: Vec<Event>,
    /// The sockets that the last read did not find.
    new: HashMap<Key, Box<str>>,
    text: String,
}

impl<'a> Reading<'a> {
    fn new(tracker: &'a mut Tracker) -> Self {
        for known in tracker.sockets.values_mut() {
            known.is_seen = false;
        }
        Self {
            tracker,
            events: Vec::new(),
            new: HashMap::new(),
            text: String::new(),
        }
    }

    fn entry(&mut self, entry: Entry<'_>) -> Result<()> {
        if let Entry::Row { row, passes, .. } = entry {
            self.row(row, passes);
        }
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>, passes: bool) {
        let key = Key::of(row);
        let known = self.tracker.sockets.get_mut(&key);
        if !passes && (known.is_none() || !row.has_valid_options()) {
            return;
        }
        Snapshot::write(row, &mut self.text);
        let text = self.text.as_str();
        let Some(known) = known else {
            if !self.tracker.has_begun {
                self.tracker.sockets.insert(key, Tracked::seen(text.into()));
                return;
            }
            // A socket is listed twice if it changes its kind during the read, for example from a
            // request to a connection. Either row will do.
            self.new.entry(key).or_insert_with(|| text.into());
            return;
        };
        if known.is_seen || (passes && *known.text == *text) {
            known.is_seen = true;
            return;
        }
        let now = key.snapshot(text.into());
        let before = if passes {
            known.is_seen = true;
            key.snapshot(std::mem::replace(&mut known.text, text.into()))
        } else {
            let removed = self.tracker.sockets.remove(&key);
            key.snapshot(removed.map_or_else(Box::default, |known| known.text))
        };
        let is_same = match key {
            Key::Ino(..) => true,
            Key::Ends(..) => before.row().is_some_and(|before| continues(&before, row)),
        };
        self.events.extend(match (is_same, passes) {
            (true, true) => Event::changed(before, now).into_iter().collect(),
            (true, false) => vec![Event::Went {
                before,
                now: Some(now),
            }],
            (false, true) => vec![Event::Went { before, now: None }, Event::Came(now)],
            (false, false) => vec![Event::Went { before, now: None }],
        });
    }

    fn end(mut self) -> Vec<Event> {
        let known = &mut self.tracker.sockets;
        let mut gone = Vec::new();
        known.retain(|key, known| {
            if !known.is_seen {
                gone.push((*key, std::mem::take(&mut known.text)));
            }
            known.is_seen
        });
        // Index the new rows by addresses and ports: a socket may have got or lost its inode.
        let mut heirs = HashMap::new();
        if !gone.is_empty() {
            for (key, text) in &self.new {
                if let Some(row) = key.snapshot(text.clone()).row() {
                    heirs.insert(Key::ends(&row), *key);
                }
            }
        }
        for (key, text) in gone {
            let before = key.snapshot(text);
            let heir = before.row().and_then(|row| {
                let heir = heirs.get(&Key::ends(&row))?;
                let now = heir.snapshot(self.new.get(heir)?.clone());
                // Rows with two different inodes are two sockets.
                let is_half = matches!(key, Key::Ends(..)) || matches!(heir, Key::Ends(..));
                (is_half && continues(&row, &now.row()?)).then_some((*heir, now))
            });
            self.events.extend(match heir {
                Some((heir, now)) => {
                    if let Some(text) = self.new.remove(&heir) {
                        known.insert(heir, Tracked::seen(text));
                    }
                    Event::changed(before, now)
                }
                None => Some(Event::Went { before, now: None }),
            });
        }
        for (key, text) in self.new {
            self.events.push(Event::Came(key.snapshot(text.clone())));
            known.insert(key, Tracked::seen(text));
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::tests::any_row;
    use crate::model::event::{changes, Change, Value};
    use crate::model::row::tests::{LISTENER, TCP};
    use crate::model::row::Endpoint;
    use proptest::prelude::*;

    const A: &str = "0 0 10.0.0.1:22 10.0.0.2:40001 ESTB TCP_NODELAY=0,SO_LINGER=5s,uid=0,ino=7";

    /// The events of the second of two reads, as `name what`. Rows that begin with `!` do not pass
    /// the filter.
    fn second(readings: [&[&str]; 2]) -> Vec<String> {
        let mut tracker = Tracker::default();
        let mut events = Vec::new();
        for rows in readings {
            let mut reading = Reading::new(&mut tracker);
            for line in rows {
                let row = line.trim_start_matches('!');
                let row = Row::parse(TCP, row.as_bytes()).expect(line);
                reading.row(&row, !line.starts_with('!'));
            }
            events = reading.end();
        }
        let passing = readings[1].iter().filter(|line| !line.starts_with('!'));
        assert_eq!(tracker.count(), passing.count(), "{readings:?}");
        events.iter().map(told).collect()
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
                reading.row(&Row::parse(TCP, line.as_bytes()).unwrap(), true);
            }
            assert!(reading.end().is_empty());
        }
        assert_eq!(tracker.count(), 1);
    }

    proptest! {
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
                    let mut keys = std::collections::HashSet::new();
                    for (line, passes) in &lines {
                        let row = Row::parse(TCP, line.as_bytes()).unwrap();
                        if keys.insert(Key::of(&row)) {
                            reading.row(&row, *passes);
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
    }
}
