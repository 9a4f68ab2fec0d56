// SPDX-License-Identifier: GPL-2.0

//! What came, went, and changed from one listing to the next.
//!
//! A socket is known by its inode. The kernel has none for requests, for what is in TIMW, for
//! connections that nobody has accepted yet, and for those that a process has closed: these are
//! known by their addresses and ports. Where a connection gets its inode or loses it, the two are
//! one socket, as long as its state goes forward.
//!
//! State, addresses and ports, options, backlog, user and inode can change. These are no changes:
//! queues and diagnostics, which come and go with each packet; descriptors, with each fork; and
//! TCP_QUICKACK, which the kernel switches with requests and responses, and off with each FIN.

use crate::commands::list;
use crate::model::options;
use crate::model::query::{is_loaded, Line, Question};
use crate::model::row::{Endpoint, File, Netid, Options, Row, State};
use crate::print::text::{self, Kinds, Printer};
use crate::source::process::{Holder, Holders};
use anyhow::{bail, ensure, Context, Result};
use jiff::ZonedDateTime;
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// What makes a socket the same in two listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Ino(File, u64),
    Ends(File, [(IpAddr, u16); 2]),
}

impl Key {
    fn of(row: &Row<'_>) -> Self {
        match row.ino {
            Some(ino) if ino != 0 => Key::Ino(row.file, ino),
            _ => Key::ends(row),
        }
    }

    fn ends(row: &Row<'_>) -> Self {
        let end = |endpoint: &Endpoint<'_>| (endpoint.address, endpoint.port);
        Key::Ends(row.file, [end(&row.local), end(&row.foreign)])
    }

    fn file(&self) -> File {
        let (Key::Ino(file, _) | Key::Ends(file, _)) = self;
        *file
    }

    fn kept(&self, text: Box<str>) -> Kept {
        Kept {
            file: self.file(),
            text,
        }
    }
}

/// A row as text, without what is no change: what [`Row::parse`] makes the same row of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    file: File,
    text: Box<str>,
}

impl Kept {
    pub fn row(&self) -> Option<Row<'_>> {
        Row::parse(self.file, self.text.as_bytes())
    }
}

/// Writes what is kept of a row.
fn keep(row: &Row<'_>, text: &mut String) {
    text.clear();
    *text += "0 0";
    for endpoint in [&row.local, &row.foreign] {
        let _ = write!(text, " {}:{}", endpoint.text, endpoint.port);
    }
    if row.file.netid == Netid::Tcp {
        *text += " ";
        *text += row.state.label();
    }
    let settled = options::settled(row.options);
    let list = text::joined(&Row {
        options: Options(&settled),
        ..*row
    });
    if !list.is_empty() {
        *text += " ";
        *text += &list;
    }
}

/// What happened to a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Came(Kept),
    Changed {
        before: Kept,
        now: Kept,
    },
    /// With what it is now, if it is still there and only not asked for any more.
    Went {
        before: Kept,
        now: Option<Kept>,
    },
}

impl Event {
    /// `None`: all that is known is as it was.
    fn changed(before: Kept, now: Kept) -> Option<Self> {
        let is_none = changes(&before.row()?, &now.row()?).is_empty();
        (!is_none).then_some(Event::Changed { before, now })
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Came(_) => "came",
            Event::Changed { .. } => "changed",
            Event::Went { .. } => "went",
        }
    }

    fn order(&self) -> usize {
        match self {
            Event::Went { .. } => 0,
            Event::Changed { .. } => 1,
            Event::Came(_) => 2,
        }
    }

    /// The socket as it is now, or was last.
    pub fn kept(&self) -> &Kept {
        match self {
            Event::Came(now) | Event::Changed { now, .. } => now,
            Event::Went { before, now } => now.as_ref().unwrap_or(before),
        }
    }

    /// What it was before, if there is something to compare.
    pub fn before(&self) -> Option<&Kept> {
        match self {
            Event::Changed { before, .. }
            | Event::Went {
                before,
                now: Some(_),
            } => Some(before),
            _ => None,
        }
    }
}

/// What was there when the files were read last.
#[derive(Debug, Default)]
pub struct Watch {
    known: HashMap<Key, Known>,
    has_begun: bool,
    /// How many files there were the last time.
    files: usize,
    /// How many rows were not understood.
    odd: usize,
}

#[derive(Debug)]
struct Known {
    text: Box<str>,
    /// In this round.
    is_seen: bool,
}

impl Known {
    fn seen(text: Box<str>) -> Self {
        Self {
            text,
            is_seen: true,
        }
    }
}

impl Watch {
    /// How many sockets there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Reads all rows and says what has happened since the last time; the first time, nothing.
    pub fn look(&mut self, question: &Question, holders: Option<&Holders>) -> Result<Vec<Event>> {
        let mut round = Round::new(self);
        let files = question.read(holders, |line| round.line(line))?;
        let events = round.end();
        self.files = files;
        Ok(events)
    }

    /// As [`Watch::look`], at a copy of the files.
    fn look_at(&mut self, copy: impl BufRead, question: &Question) -> Result<Vec<Event>> {
        let mut round = Round::new(self);
        question.read_copy(copy, |line| round.line(line))?;
        Ok(round.end())
    }
}

/// One time that all rows are read.
struct Round<'a> {
    watch: &'a mut Watch,
    events: Vec<Event>,
    /// Those that were not known.
    fresh: HashMap<Key, Box<str>>,
    text: String,
}

impl<'a> Round<'a> {
    fn new(watch: &'a mut Watch) -> Self {
        watch.odd = 0;
        for known in watch.known.values_mut() {
            known.is_seen = false;
        }
        Self {
            watch,
            events: Vec::new(),
            fresh: HashMap::new(),
            text: String::new(),
        }
    }

    fn line(&mut self, line: Line<'_>) -> Result<()> {
        match line {
            Line::Row { row, passes, .. } => self.row(row, passes),
            Line::Odd { .. } => self.watch.odd += 1,
        }
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>, passes: bool) {
        let key = Key::of(row);
        let known = self.watch.known.get_mut(&key);
        if !passes && known.is_none() {
            return;
        }
        keep(row, &mut self.text);
        let text = self.text.as_str();
        let Some(known) = known else {
            if !self.watch.has_begun {
                self.watch.known.insert(key, Known::seen(text.into()));
                return;
            }
            // What becomes another kind of socket while the files are read is there twice: the
            // first is as good as the second.
            self.fresh.entry(key).or_insert_with(|| text.into());
            return;
        };
        if known.is_seen || (passes && *known.text == *text) {
            known.is_seen = true;
            return;
        }
        let now = key.kept(text.into());
        let before = if passes {
            known.is_seen = true;
            key.kept(std::mem::replace(&mut known.text, text.into()))
        } else {
            let removed = self.watch.known.remove(&key);
            key.kept(removed.map_or_else(Box::default, |known| known.text))
        };
        let is_same = match key {
            Key::Ino(..) => true,
            Key::Ends(..) => before.row().is_some_and(|before| goes_on(&before, row)),
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
        let known = &mut self.watch.known;
        let mut gone = Vec::new();
        known.retain(|key, known| {
            if !known.is_seen {
                gone.push((*key, std::mem::take(&mut known.text)));
            }
            known.is_seen
        });
        // Those that got their inode or lost it.
        let mut heirs = HashMap::new();
        if !gone.is_empty() {
            for (key, text) in &self.fresh {
                if let Some(row) = key.kept(text.clone()).row() {
                    heirs.insert(Key::ends(&row), *key);
                }
            }
        }
        for (key, text) in gone {
            let before = key.kept(text);
            let heir = before.row().and_then(|row| {
                let heir = heirs.get(&Key::ends(&row))?;
                let now = heir.kept(self.fresh.get(heir)?.clone());
                // Two inodes are two sockets.
                let is_half = matches!(key, Key::Ends(..)) || matches!(heir, Key::Ends(..));
                (is_half && goes_on(&row, &now.row()?)).then_some((*heir, now))
            });
            self.events.extend(match heir {
                Some((heir, now)) => {
                    if let Some(text) = self.fresh.remove(&heir) {
                        known.insert(heir, Known::seen(text));
                    }
                    Event::changed(before, now)
                }
                None => Some(Event::Went { before, now: None }),
            });
        }
        for (key, text) in self.fresh {
            self.events.push(Event::Came(key.kept(text.clone())));
            known.insert(key, Known::seen(text));
        }
        self.watch.has_begun = true;
        // What comes last has the highest inode, mostly.
        self.events.sort_by_cached_key(|event| {
            let kept = event.kept();
            let ino = kept.row().and_then(|row| row.ino);
            (event.order(), ino, kept.text.clone())
        });
        self.events
    }
}

/// How events are printed.
pub enum Format {
    Text(Printer),
    Json(Kinds),
}

/// Prints events.
pub struct Reporter<'a> {
    pub out: &'a mut dyn Write,
    pub format: Format,
    pub has_header: bool,
}

impl Reporter<'_> {
    /// The time, which a person sees every day and a script reads much later.
    fn time(&self) -> String {
        let format = match &self.format {
            Format::Text(printer) if printer.is_for_a_terminal() => "%H:%M:%S.%3f",
            _ => "%Y-%m-%dT%H:%M:%S.%3f%:z",
        };
        ZonedDateTime::now().strftime(format).to_string()
    }

    fn header(&mut self) -> io::Result<()> {
        let time = self.time();
        match &mut self.format {
            Format::Text(printer) if self.has_header => {
                printer.header_of_events(self.out, time.len())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, sockets: usize) -> io::Result<()> {
        self.header()?;
        let time = self.time();
        match &self.format {
            Format::Text(_) => writeln!(self.out, "{time} began   {sockets}")?,
            Format::Json(_) => text::json_began(self.out, &time, sockets)?,
        }
        self.out.flush()
    }

    /// Makes room in the columns.
    fn measure(&mut self, events: &[Event]) {
        if let Format::Text(printer) = &mut self.format {
            for row in events.iter().filter_map(|event| event.kept().row()) {
                printer.measure(&row);
            }
        }
    }

    fn events(
        &mut self,
        events: &[Event],
        holders_of: impl Fn(&Event) -> Option<Vec<Holder>>,
    ) -> io::Result<()> {
        let time = self.time();
        self.measure(events);
        for event in events {
            let holders = holders_of(event);
            match &mut self.format {
                Format::Text(printer) => {
                    printer.event(self.out, &time, event, &holders.unwrap_or_default())?;
                }
                Format::Json(kinds) => {
                    text::json_event(self.out, &time, event, holders.as_deref(), kinds)?;
                }
            }
        }
        self.out.flush()
    }
}

/// ^C: read rather than the end, so that no line is torn by it.
pub struct Interrupt(SignalFd);

impl Interrupt {
    /// From now on it is read.
    pub fn new() -> nix::Result<Self> {
        let mut interrupt = SigSet::empty();
        interrupt.add(Signal::SIGINT);
        interrupt.thread_block()?;
        Ok(Self(SignalFd::with_flags(
            &interrupt,
            SfdFlags::SFD_CLOEXEC,
        )?))
    }

    fn has_come(&self) -> PollFd<'_> {
        PollFd::new(self.0.as_fd(), PollFlags::POLLIN)
    }
}

/// A pipe that poll(2) says has room has so much.
const PIPE_BUF: usize = 4096;

/// Standard output, for which ^C is the end only if nobody takes what is printed: that looks like a
/// broken pipe.
pub struct Output<'a> {
    stdout: fs::File,
    interrupt: &'a Interrupt,
}

impl<'a> Output<'a> {
    pub fn new(interrupt: &'a Interrupt) -> io::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?.into();
        Ok(Self { stdout, interrupt })
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stdout = PollFd::new(self.stdout.as_fd(), PollFlags::POLLOUT);
        let mut fds = [stdout, self.interrupt.has_come()];
        poll(&mut fds, PollTimeout::NONE)?;
        if fds[0].any() == Some(false) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        (&self.stdout).write(&bytes[..bytes.len().min(PIPE_BUF)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is between two rounds.
struct Pause<'a> {
    interrupt: &'a Interrupt,
    interval: Duration,
    next: Instant,
}

impl<'a> Pause<'a> {
    fn new(interval: Duration, interrupt: &'a Interrupt) -> Self {
        Self {
            interrupt,
            interval,
            next: Instant::now() + interval,
        }
    }

    /// Waits. `false`: it is over, by ^C or since nobody reads any more what is printed.
    fn wait(&mut self) -> nix::Result<bool> {
        let stdout = io::stdout();
        loop {
            let left = self.next.saturating_duration_since(Instant::now());
            let mut fds = [
                self.interrupt.has_come(),
                PollFd::new(stdout.as_fd(), PollFlags::empty()),
            ];
            match poll(
                &mut fds,
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX),
            ) {
                Err(Errno::EINTR) => {}
                Err(err) => return Err(err),
                Ok(0) => break,
                Ok(_) => return Ok(false),
            }
        }
        self.next = (self.next + self.interval).max(Instant::now());
        Ok(true)
    }
}

/// Reports what happens until it is over.
pub fn run(
    question: &Question,
    interval: Duration,
    processes: bool,
    interrupt: &Interrupt,
    reporter: &mut Reporter<'_>,
) -> Result<()> {
    let mut pause = Pause::new(interval, interrupt);
    let mut watch = Watch::default();
    let mut holders = question.holders(processes)?;
    watch.look(question, holders.as_ref())?;
    reporter.begin(watch.len())?;
    list::notes(watch.files, watch.odd, "are left out", holders.as_ref());
    while pause.wait()? {
        let mut now = question.holders(false)?;
        let events = match watch.look(question, now.as_ref()) {
            Err(_) if !is_loaded() => bail!("the module knetstat was unloaded meanwhile"),
            events => events?,
        };
        if events.is_empty() {
            holders = now.or(holders);
            continue;
        }
        // Nobody has to know before, and it takes longer than the rest.
        if now.is_none() {
            now = question.holders(processes)?;
        }
        reporter.events(&events, |event| {
            let known = match event {
                // Now it is nobody's.
                Event::Went { now: None, .. } => holders.as_ref(),
                _ => now.as_ref(),
            };
            let of = known?.of(event.kept().row()?.ino);
            processes.then(|| of.to_vec())
        })?;
        holders = now.or(holders);
    }
    Ok(())
}

/// Reports what has happened since a copy of the files was made.
pub fn since(
    copy: &Path,
    question: &Question,
    processes: bool,
    reporter: &mut Reporter<'_>,
) -> Result<()> {
    let name = copy.display();
    ensure!(
        !question.filter.of_processes,
        "{name}: it does not have the processes that the filter asks for"
    );
    let mut watch = Watch::default();
    fs::File::open(copy)
        .map_err(anyhow::Error::from)
        .and_then(|opened| watch.look_at(BufReader::new(opened), question))
        .with_context(|| name.to_string())?;
    if watch.odd > 0 {
        let odd = watch.odd;
        eprintln!(
            "knetstat: {name}: {odd} rows are left out: they are not such as this version knows"
        );
    }
    let holders = question.holders(processes)?;
    let events = watch.look(question, holders.as_ref())?;
    reporter.measure(&events);
    reporter.header()?;
    reporter.events(&events, |event| {
        let row = event.kept().row()?;
        holders.as_ref().map(|holders| match event {
            // Whose it was is not in the copy.
            Event::Went { now: None, .. } => Vec::new(),
            _ => holders.of(row.ino).to_vec(),
        })
    })?;
    list::notes(watch.files, watch.odd, "are left out", holders.as_ref());
    Ok(())
}

/// Whether two rows of the same addresses and ports can be one connection: its state goes forward.
fn goes_on(before: &Row<'_>, now: &Row<'_>) -> bool {
    let age = |state| match state {
        State::Close | State::Listen | State::SynSent | State::SynRecv => 0,
        State::Established => 1,
        State::CloseWait | State::FinWait1 => 2,
        State::FinWait2 | State::Closing | State::LastAck => 3,
        State::TimeWait => 4,
    };
    age(before.state) <= age(now.state)
}

/// One thing that is another now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    pub name: &'a str,
    /// `None`: it was not in the row.
    pub old: Option<Value<'a>>,
    pub new: Option<Value<'a>>,
}

/// What it was or is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Endpoint(Endpoint<'a>),
    State(State),
    Option(&'a str),
    Number(u64),
}

/// What differs, in the order of the row. Of a row without options nothing is known of them.
pub fn changes<'a>(before: &Row<'a>, now: &Row<'a>) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    let mut compare = |name, old: Option<Value<'a>>, new: Option<Value<'a>>| {
        if old != new {
            changes.push(Change { name, old, new });
        }
    };
    for (name, old, new) in [
        ("local", before.local, now.local),
        ("foreign", before.foreign, now.foreign),
    ] {
        compare(name, Some(Value::Endpoint(old)), Some(Value::Endpoint(new)));
    }
    compare(
        "state",
        Some(Value::State(before.state)),
        Some(Value::State(now.state)),
    );
    if !before.has_options() || !now.has_options() {
        return changes;
    }
    for (name, value) in before.options.iter() {
        compare(
            name,
            Some(Value::Option(value)),
            now.options.get(name).map(Value::Option),
        );
    }
    for (name, value) in now.options.iter() {
        if before.options.get(name).is_none() {
            compare(name, None, Some(Value::Option(value)));
        }
    }
    for (name, old, new) in [
        ("backlog", before.backlog, now.backlog),
        ("uid", before.uid, now.uid),
        ("ino", before.ino, now.ino),
    ] {
        compare(name, old.map(Value::Number), new.map(Value::Number));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::{LISTENER, TCP, UDP};
    use proptest::prelude::*;

    const A: &str = "0 0 10.0.0.1:22 10.0.0.2:40001 ESTB TCP_NODELAY=0,SO_LINGER=5s,uid=0,ino=7";

    fn kept(line: &str) -> Kept {
        let mut text = String::new();
        keep(&Row::parse(TCP, line.as_bytes()).unwrap(), &mut text);
        Kept {
            file: TCP,
            text: text.into(),
        }
    }

    /// What happens at the second of two rounds, as `name what`. Rows with a `!` before them do not
    /// pass.
    fn second(rounds: [&[&str]; 2]) -> Vec<String> {
        let mut watch = Watch::default();
        let mut events = Vec::new();
        for rows in rounds {
            let mut round = Round::new(&mut watch);
            for line in rows {
                let row = line.trim_start_matches('!');
                let row = Row::parse(TCP, row.as_bytes()).expect(line);
                round.row(&row, !line.starts_with('!'));
            }
            events = round.end();
        }
        let passing = rounds[1].iter().filter(|line| !line.starts_with('!'));
        assert_eq!(watch.len(), passing.count(), "{rounds:?}");
        let mut printer = Printer::new(None, false, false);
        let print = |event: &Event| {
            let mut out = Vec::new();
            printer.event(&mut out, "0", event, &[]).unwrap();
            let line = String::from_utf8(out).unwrap();
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            format!("{} {}", words[1], words[6])
        };
        events.iter().map(print).collect()
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
        // The filter lets it pass no more, or now.
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
        // Two sockets of one address.
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

    #[test]
    fn one_a_line() {
        let b = A
            .replace("TCP_NODELAY=0", "TCP_NODELAY=1")
            .replace("uid=0", "uid=9");
        let event = Event::changed(kept(A), kept(&b)).unwrap();
        let mut printer = Printer::new(None, true, true);
        let holder = Holder {
            name: "x".into(),
            pid: 7,
            fd: 3,
        };
        let mut print = |event: &Event| {
            let mut out = Vec::new();
            printer
                .event(&mut out, "0", event, std::slice::from_ref(&holder))
                .unwrap();
            String::from_utf8(out).unwrap()
        };
        let text = print(&event);
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(
            first.ends_with(" ESTB users:((\"x\",pid=7,fd=3))"),
            "{first}"
        );
        assert_eq!(rest, "        TCP_NODELAY=0->1\n        uid=0->9\n");
        let text = print(&Event::Came(kept(A)));
        assert!(
            text.ends_with("\n        SO_LINGER=5s\n        uid=0\n        ino=7\n"),
            "{text}"
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
        // The addresses are used again.
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
        // A request that became a connection while the files were read.
        assert_eq!(second([&[], &[&pending]]).len(), 1);
        let mut watch = Watch::default();
        for _ in 0..2 {
            let mut round = Round::new(&mut watch);
            for line in [request, &pending] {
                round.row(&Row::parse(TCP, line.as_bytes()).unwrap(), true);
            }
            assert!(round.end().is_empty());
        }
        assert_eq!(watch.len(), 1);
    }

    #[test]
    fn objects() {
        let b = A
            .replace("ESTB", "CLSW")
            .replace("TCP_NODELAY=0", "IP_TOS=0x8");
        let (before, now) = (kept(A), kept(&b));
        let event = Event::changed(before.clone(), now).unwrap();
        let object = |event: &Event, holders: Option<&[Holder]>| {
            let mut out = Vec::new();
            text::json_event(&mut out, "12:00", event, holders, &Kinds::new()).unwrap();
            serde_json::from_slice::<serde_json::Value>(&out).unwrap()
        };
        assert_eq!(
            object(&event, None),
            serde_json::json!({
                "time": "12:00", "event": "changed",
                "netid": "tcp", "family": "inet", "state": "close-wait",
                "local": {"address": "10.0.0.1", "port": 22},
                "foreign": {"address": "10.0.0.2", "port": 40001},
                "options": {"IP_TOS": 8, "SO_LINGER": 5}, "uid": 0, "ino": 7,
                "changes": {
                    "state": {"old": "established", "new": "close-wait"},
                    "TCP_NODELAY": {"old": 0, "new": null},
                    "IP_TOS": {"old": null, "new": 8},
                },
            })
        );
        let went = object(&Event::Went { before, now: None }, Some(&[]));
        assert_eq!(went["event"], "went");
        assert_eq!(went["options"]["SO_LINGER"], 5);
        assert_eq!(went["processes"], serde_json::json!([]));
        assert!(went.get("changes").is_none());
    }

    #[test]
    fn times() {
        let mut printer = Printer::new(None, false, false);
        let time = |printer| {
            let out = &mut Vec::new();
            let format = Format::Text(printer);
            Reporter {
                out,
                format,
                has_header: true,
            }
            .time()
        };
        let long = time(Printer::new(None, false, false));
        let parsed: jiff::Timestamp = long.parse().expect(&long);
        assert!(
            parsed <= jiff::Timestamp::now() && long.len() == 29,
            "{long}"
        );
        printer.set_width(80);
        let short = time(printer);
        assert!(short.len() == 12 && short.as_bytes()[8] == b'.', "{short}");
    }

    prop_compose! {
        fn any_row()(
            state in prop::sample::select(State::ALL.map(|(_, label, _)| label).to_vec()),
            options in prop::collection::btree_map("[A-C]", 0..3u8, 0..4),
            port in 0..3u16, ino in 0..3u8, has_options: bool,
        ) -> String {
            let mut line = format!("0 0 10.0.0.1:{port} 10.0.0.2:5 {state}");
            if has_options {
                line.push(' ');
                for (name, value) in &options {
                    let _ = write!(line, "{name}={value},");
                }
                let _ = write!(line, "uid=0,ino={ino}");
            }
            line
        }
    }

    proptest! {
        /// What is kept is the row, but for its queues.
        #[test]
        fn rows_are_kept(line in any_row(), queue: u32) {
            let row = Row::parse(TCP, line.as_bytes()).unwrap();
            let mut text = String::new();
            keep(&Row { recv_q: queue.into(), diag: ">|", ..row }, &mut text);
            prop_assert_eq!(Row::parse(TCP, text.as_bytes()), Some(row));
            let udp = line.replace(row.state.label(), "");
            let row = Row::parse(UDP, udp.as_bytes()).unwrap();
            keep(&row, &mut text);
            prop_assert_eq!(Row::parse(UDP, text.as_bytes()), Some(row));
        }

        /// Whatever is read, what is known afterwards is what passed, and nothing happens if it is
        /// read once more.
        #[test]
        fn nothing_is_left_out(rounds in prop::collection::vec(prop::collection::vec((any_row(), any::<bool>()), 0..5), 1..5)) {
            let mut watch = Watch::default();
            for lines in rounds {
                let before = watch.len();
                let mut events = Vec::new();
                for i in 0..2 {
                    let mut round = Round::new(&mut watch);
                    let mut keys = std::collections::HashSet::new();
                    for (line, passes) in &lines {
                        let row = Row::parse(TCP, line.as_bytes()).unwrap();
                        if keys.insert(Key::of(&row)) {
                            round.row(&row, *passes);
                        }
                    }
                    let has_begun = round.watch.has_begun;
                    let found = round.end();
                    match i {
                        0 => events = found,
                        _ => prop_assert_eq!(&found, &[]),
                    }
                    let count = |name| events.iter().filter(|event| event.name() == name).count();
                    if has_begun && i == 0 {
                        prop_assert_eq!(before + count("came") - count("went"), watch.len());
                    }
                }
            }
        }

        /// Changes lead from one row to the other, and are none if nothing differs.
        #[test]
        fn changes_are_all_of_them(a in any_row(), b in any_row()) {
            let (a, b) = (Row::parse(TCP, a.as_bytes()).unwrap(), Row::parse(TCP, b.as_bytes()).unwrap());
            prop_assert!(changes(&a, &a).is_empty());
            let changes = changes(&a, &b);
            let mut options: std::collections::BTreeMap<_, _> = a.options.iter().collect();
            for change in &changes {
                prop_assert_ne!(change.old, change.new);
                match change.new {
                    Some(Value::Option(value)) => { options.insert(change.name, value); }
                    None => { options.remove(change.name); }
                    _ => {}
                }
            }
            if a.has_options() && b.has_options() {
                prop_assert_eq!(options, b.options.iter().collect());
            }
            prop_assert_eq!(a.state != b.state, changes.iter().any(|change| change.name == "state"));
        }
    }
}
