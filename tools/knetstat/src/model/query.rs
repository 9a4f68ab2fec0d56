// SPDX-License-Identifier: GPL-2.0

//! Queries: which rows a command selects.

use crate::model::filter::{Filter, KnownOwners};
use crate::model::glance::Glance;
use crate::model::owners::{Ownerless, OwnersDuringRead, Rescan};
use crate::model::row::Row;
use crate::model::states::States;
use crate::model::truth::{Truth, Undecided};
use crate::source::copy::ComparedNamespaces;
use crate::source::files::{self, Copied, File, Reads};
use crate::source::lines::Needle;
use crate::source::namespaces::Netns;
use crate::source::process::{Detail, Owner, Owners};
use crate::source::search::search;
use anyhow::{ensure, Result};
use std::collections::HashSet;
use std::io::{self, BufRead};
use std::rc::Rc;

/// The selection of rows by files, states and a filter, and a cache that reads share.
#[derive(Debug)]
pub struct Query {
    pub files: Vec<File>,
    /// Files whose rows are only compared with those of `files`. The query selects none of them.
    pub compared: Vec<File>,
    /// Whether `-A` selected the protocols, so that `-t` and `-u` are refused.
    pub has_tables: bool,
    pub states: States,
    pub filter: Filter,
    /// Whether it is an error if the filter cannot be decided for a socket.
    pub is_strict: bool,
    /// Whether the owners of sockets are threads instead of processes.
    pub threads: bool,
    /// Whether the sockets of all network namespaces are read.
    pub all_netns: bool,
    /// The cache: the sockets that reads have found to have no owner. It outlives [`Owners`], which
    /// are found anew for each read of `--watch`.
    pub ownerless: Ownerless,
}

/// The errors for a copy that the query does not fit.
const OF_ALL: &str = "a copy of all network namespaces; compare it with them: add --all-netns";
const OF_ONE: &str =
    "a copy of one network namespace; leave --all-netns out, or make a copy of all: \
    knetstat copy --all-netns > FILE";

/// Facts about a read of the files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// The number of files that exist.
    pub files: usize,
    /// The number of network namespaces that could not be read.
    pub closed: usize,
    /// The number of the error for one of them, unless the right to enter one is missing.
    pub obstacle: Option<i32>,
    /// Whether there may be network namespaces that were not found.
    pub may_lack_netns: bool,
    /// The number of lines that could not be parsed.
    pub unparsed: usize,
    /// The number of sockets that the query selects.
    pub selected: usize,
    /// The sockets for which the filter could not be decided. They do not pass.
    pub undecided: Undecided,
}

impl Outcome {
    /// The reason why not all sockets were read, if there is one.
    pub fn gap(&self) -> Option<&'static str> {
        match self {
            _ if self.closed > 0 => Some("some network namespaces could not be read"),
            _ if self.may_lack_netns => Some("some network namespaces may be missing"),
            _ if self.unparsed > 0 => Some("some rows could not be parsed"),
            _ => None,
        }
    }

    /// Counts a network namespace that could not be read.
    pub fn count_closed(&mut self, err: &io::Error) {
        let code = err.raw_os_error().unwrap_or(libc::EACCES);
        self.obstacle = match (self.closed, self.obstacle) {
            (0, _) | (_, Some(_)) if code != libc::EPERM => Some(code),
            _ => None,
        };
        self.closed += 1;
    }

    /// Whether each socket that was asked for was read, parsed and decided.
    pub fn is_certain(&self) -> bool {
        self.gap().is_none() && self.undecided.sockets == 0
    }
}

/// Whether the query selects a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The truth with the owners that are found now.
    pub truth: Truth,
    /// The truth if the socket of a row in a copy has been closed since, so that nobody knows its
    /// owners. For other rows, the same as `truth`. If it is false, so is `truth`.
    pub if_closed: Truth,
}

impl Verdict {
    /// Whether the query selects the row.
    pub fn passes(self) -> bool {
        self.truth.is_true()
    }
}

impl From<Truth> for Verdict {
    fn from(truth: Truth) -> Self {
        let if_closed = truth;
        Self { truth, if_closed }
    }
}

/// A line of a file, or the lack of them.
pub enum Entry<'a> {
    Row {
        row: &'a Row<'a>,
        /// The line as it is in the file.
        line: &'a [u8],
        /// The processes that are known to have the socket open.
        owners: &'a [Owner],
        /// Whether the query selects the row. The options of a row in a file that is only compared
        /// were not checked.
        verdict: Verdict,
    },
    /// A line that cannot be parsed.
    Unparsed { file: File, line: &'a [u8] },
    /// A network namespace whose files, or some of them, cannot be read.
    Closed { netns: &'a Rc<Netns> },
}

/// Where a line is from.
#[derive(Clone, Copy)]
struct Origin<'n> {
    file: File,
    netns: Option<&'n Rc<Netns>>,
    /// Whether it is from a copy, so that the socket may have been closed since.
    is_copied: bool,
}

/// The files of a query, while they are read.
struct Files<'q> {
    query: &'q Query,
    owners: &'q Owners,
    reads: &'q Reads,
}

impl Rescan for Files<'_> {
    fn owners(&self) -> Result<Owners> {
        self.owners.rescan()
    }

    fn sockets(&self, is_wanted: &dyn Fn(u64) -> bool) -> Result<HashSet<u64>> {
        let mut found = HashSet::new();
        for file in self.query.files.iter().copied() {
            self.query.read_lines(file, Some(self.owners), |_, line| {
                let ino = Row::begin(file, line).and_then(|row| row.ino);
                found.extend(ino.filter(|ino| *ino != 0 && is_wanted(*ino)));
            })?;
        }
        Ok(found)
    }

    fn reads(&self) -> u64 {
        self.reads.count()
    }
}

impl Query {
    /// The owners of all sockets, if they are printed or the filter needs them.
    pub fn owners(&self, are_printed: bool) -> Result<Option<Owners>> {
        let detail = Detail {
            threads: self.threads,
            names: self.filter.needs_owners,
            namespaces: self.all_netns || self.filter.needs_cgroups,
        };
        let is_needed = are_printed || self.filter.needs_owners || detail.namespaces;
        is_needed.then(|| Owners::scan(detail)).transpose()
    }

    /// Begins another round of reads: the filter tests the defaults that options have now.
    pub fn renew(&self) {
        let options = self.filter.options.iter();
        options.for_each(|defaults| defaults.renew());
    }

    /// Passes the lines to `take`, except headers and most of the rows that the query does not
    /// select. Of a row that it leaves out, only the words that the query tests were parsed.
    pub fn read(
        &self,
        owners: Option<&Owners>,
        take: impl FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<Outcome> {
        if self.states == States::ALL && !self.filter.tests_endpoints() {
            // A glance would decide nothing.
            return self.read_all(owners, take);
        }
        let is_rejected = |file, line: &[u8]| self.rejects(&Glance::at(file, line));
        let needle = self.filter.port().map(Needle::port);
        self.read_except(is_rejected, needle.as_ref(), owners, take)
    }

    /// Passes each line except headers to `take`.
    pub fn read_all(
        &self,
        owners: Option<&Owners>,
        take: impl FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<Outcome> {
        self.read_except(|_, _| false, None, owners, take)
    }

    fn read_except(
        &self,
        is_left_out: impl Fn(File, &[u8]) -> bool,
        needle: Option<&Needle>,
        owners: Option<&Owners>,
        mut take: impl FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let namespaces = owners.map_or(&[][..], |owners| &owners.namespaces);
        let own = namespaces.first();
        let reads = Reads::default();
        let during_read = owners.map(|owners| self.owners_during_read(owners, &reads));
        let mut pass = |(file, netns): (File, _), line: &[u8], outcome: &mut Outcome| {
            if is_left_out(file, line) {
                return Ok(());
            }
            let origin = Origin {
                file,
                netns,
                is_copied: false,
            };
            self.pass(origin, line, during_read.as_ref(), outcome, &mut take)
        };
        if let (Some(needle), None) = (needle, owners) {
            let take = |file, line: &[u8]| pass((file, own), line, &mut outcome);
            outcome.files = search(&self.files, needle, take)?;
            return Ok(outcome);
        }
        for file in self.all_files() {
            let take = |line: &[u8]| pass((file, own), line, &mut outcome);
            let is_there = files::read(file, needle, &reads, take)?;
            outcome.files += usize::from(is_there && self.files.contains(&file));
        }
        let mut closed = Vec::new();
        if self.all_netns {
            outcome.may_lack_netns =
                owners.is_some_and(|owners| owners.unseen.may_lack_namespaces());
            for netns in namespaces.iter().skip(1) {
                let refused = self.read_other(netns, needle, &reads, &mut outcome, &mut pass)?;
                if let Some(err) = refused {
                    outcome.count_closed(&err);
                    closed.push(netns);
                }
            }
        }
        for netns in closed {
            take(Entry::Closed { netns })?;
        }
        Ok(outcome)
    }

    /// The owners of the sockets in rows that are read.
    fn owners_during_read<'q>(
        &'q self,
        owners: &'q Owners,
        reads: &'q Reads,
    ) -> OwnersDuringRead<'q, Files<'q>> {
        let files = Files {
            query: self,
            owners,
            reads,
        };
        OwnersDuringRead::new(owners, &self.ownerless, files)
    }

    /// Passes each line of the files in another network namespace to `pass`. Returns the error if
    /// one of them could not be opened.
    fn read_other<'n>(
        &self,
        netns: &'n Rc<Netns>,
        needle: Option<&Needle>,
        reads: &Reads,
        outcome: &mut Outcome,
        pass: &mut impl FnMut((File, Option<&'n Rc<Netns>>), &[u8], &mut Outcome) -> Result<()>,
    ) -> Result<Option<io::Error>> {
        for file in self.all_files() {
            let opened = match netns.open(file) {
                Ok(opened) => opened,
                Err(err) => return Ok(Some(err)),
            };
            // A namespace that is gone has no sockets.
            if let Some(opened) = opened {
                files::read_opened(opened, file, needle, reads, |line| {
                    pass((file, Some(netns)), line, outcome)
                })?;
            }
        }
        Ok(None)
    }

    /// Passes each line of a copy of the files to `take`. `show` gets the rows of all files, even of
    /// those that are not selected. `namespaces` gets those of the copy.
    ///
    /// A copy contains no owners. If the filter tests them, `owners` are those found now.
    ///
    /// # Errors
    ///
    /// Those of [`files::read_copy`], and those of `take`. If the copy is of all network namespaces
    /// and the query is not, or the reverse.
    pub fn read_copy(
        &self,
        copy: impl BufRead,
        owners: Option<&Owners>,
        namespaces: &mut ComparedNamespaces,
        mut show: impl FnMut(&Row<'_>),
        mut take: impl FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let reads = Reads::default();
        let during_read = owners.map(|owners| self.owners_during_read(owners, &reads));
        let own = owners.and_then(|owners| owners.namespaces.first());
        let own = own.filter(|_| !self.all_netns);
        let mut netns = None;
        files::read_copy(copy, |line| {
            let (file, line) = match line {
                Copied::Netns(ino) => {
                    ensure!(self.all_netns, OF_ALL);
                    netns = namespaces.add(ino);
                    return Ok(());
                }
                Copied::Row(file, line) => (file, line),
            };
            ensure!(netns.is_some() || !self.all_netns, OF_ONE);
            if !self.files.contains(&file) {
                Row::parse(file, line).iter().for_each(&mut show);
                return Ok(());
            }
            self.pass(
                Origin {
                    file,
                    netns: netns.as_ref().or(own),
                    is_copied: true,
                },
                line,
                during_read.as_ref(),
                &mut outcome,
                &mut |entry| {
                    if let Entry::Row { row, .. } = entry {
                        show(row);
                    }
                    take(entry)
                },
            )
        })?;
        ensure!(!self.all_netns || namespaces.is_of_copy(), OF_ONE);
        Ok(outcome)
    }

    /// Passes each line of a file to `take`, with its network namespace if this is known: those of
    /// this process and, with `--all-netns`, of all others that can be read. Whether they can is said
    /// elsewhere.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn read_lines<'n>(
        &self,
        file: File,
        owners: Option<&'n Owners>,
        mut take: impl FnMut(Option<&'n Rc<Netns>>, &[u8]),
    ) -> Result<()> {
        let namespaces = owners.map_or(&[][..], |owners| &owners.namespaces);
        let mut pass = |netns, line: &[u8]| {
            take(netns, line);
            Ok(())
        };
        let reads = Reads::default();
        files::read(file, None, &reads, |line| pass(namespaces.first(), line))?;
        for netns in namespaces.iter().skip(1).filter(|_| self.all_netns) {
            if let Ok(Some(opened)) = netns.open(file) {
                files::read_opened(opened, file, None, &reads, |line| pass(Some(netns), line))?;
            }
        }
        Ok(())
    }

    /// The files that are read.
    fn all_files(&self) -> impl Iterator<Item = File> + '_ {
        self.files.iter().chain(&self.compared).copied()
    }

    /// Whether a glance shows that the query does not select a row.
    fn rejects(&self, glance: &Glance<'_>) -> bool {
        let is_in_other_state = || {
            let state = glance.state();
            state.is_some_and(|state| !self.states.has(state))
        };
        (self.states != States::ALL && is_in_other_state())
            || self.filter.glance(glance) == Truth::False
    }

    /// Passes a line to `take`, parsed and filtered.
    fn pass(
        &self,
        origin: Origin<'_>,
        line: &[u8],
        during_read: Option<&OwnersDuringRead<'_, Files<'_>>>,
        outcome: &mut Outcome,
        take: &mut impl FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let Origin { file, netns, .. } = origin;
        let mut row = Row::begin(file, line).map(|row| Row { netns, ..row });
        let is_compared = self.compared.contains(&file);
        let known = row.as_ref().zip(during_read).filter(|_| !is_compared);
        let owners = known.map_or_else(KnownOwners::default, |(row, known)| known.of(row.ino));
        if let Some(row) = &mut row {
            row.may_lack_owners = owners.may_lack;
        }
        let test = |owners| {
            row.as_ref().map_or(Truth::False, |row| {
                let is_in_state = Truth::from(!is_compared && self.states.has(row.state));
                is_in_state.and(|| self.filter.test(row, owners))
            })
        };
        let mut verdict = Verdict::from(test(owners));
        let has_inode = row.as_ref().is_some_and(Row::has_inode);
        // A socket with a known owner is open. So is one that was in the files after a scan.
        let may_be_closed = owners.known.is_empty() && (owners.may_lack || !has_inode);
        if origin.is_copied && during_read.is_some() && may_be_closed {
            let is_closed = true;
            verdict.if_closed = test(KnownOwners {
                is_closed,
                ..owners
            });
        }
        // A row with an entry that is not known may lack what the filter tests. So its options are
        // checked even if the filter rejects it.
        let is_valid = |row: &Row<'_>| is_compared || row.has_valid_options();
        let Some(row) = row.filter(is_valid) else {
            outcome.unparsed += 1;
            return take(Entry::Unparsed { file, line });
        };
        outcome.undecided.count(verdict.truth);
        outcome.selected += usize::from(verdict.passes());
        take(Entry::Row {
            row: &row,
            line,
            owners: owners.known,
            verdict,
        })
    }
}

#[cfg(test)]
impl Query {
    /// A query of these files with a filter, which may select other states.
    pub fn example(files: &[File], states: States, filter: Filter) -> Self {
        Self {
            files: files.to_vec(),
            compared: Vec::new(),
            has_tables: false,
            states: filter.states.unwrap_or(states),
            filter,
            is_strict: false,
            threads: false,
            all_netns: false,
            ownerless: Ownerless::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A note names the missing right if this is the reason for any of them.
    #[test]
    fn obstacles() {
        for (codes, expected) in [
            (&[libc::EPERM][..], None),
            (&[libc::EIO], Some(libc::EIO)),
            (&[libc::EIO, libc::EACCES], Some(libc::EACCES)),
            (&[libc::EIO, libc::EPERM, libc::EIO], None),
        ] {
            let mut outcome = Outcome::default();
            for code in codes {
                outcome.count_closed(&io::Error::from_raw_os_error(*code));
            }
            assert_eq!((outcome.closed, outcome.obstacle), (codes.len(), expected));
        }
    }

    use crate::model::row::tests::TCP as TCP_FILE;
    use crate::model::truth::Reason;
    use crate::source::files::{Family, Netid};
    use crate::source::namespaces::tests::example;
    use crate::source::services::Services;

    const TCP: &str = "Recv-Q Send-Q Local Address Foreign Address Stat Diag Options\n";
    const UDP: &str = "Recv-Q Send-Q Local Address Foreign Address Options\n";

    /// The file and the local port of each row of a copy, and whether the row passes.
    fn rows(copy: &str, files: &[File]) -> Result<Vec<String>> {
        let query = Query::example(
            files,
            States::ALL,
            Filter::parse(&["sport < :9".to_owned()], &Services::parse("")).unwrap(),
        );
        let mut rows = Vec::new();
        let mut shown = 0;
        let take = |line: Entry<'_>| {
            rows.push(match line {
                Entry::Row { row, verdict, .. } => {
                    let passes = verdict.passes();
                    format!("{} {} {passes}", row.file.name(), row.local.port)
                }
                Entry::Unparsed { file, .. } => format!("{} unparsed", file.name()),
                Entry::Closed { .. } => panic!("a copy has no such namespaces"),
            });
            Ok(())
        };
        let mut namespaces = ComparedNamespaces::default();
        let show = |_: &Row<'_>| shown += 1;
        query.read_copy(copy.as_bytes(), None, &mut namespaces, show, take)?;
        // It gets the rows of all files, which are parsed.
        let is_row = |line: &&str| line.starts_with('0');
        assert_eq!(shown, copy.lines().filter(is_row).count());
        Ok(rows)
    }

    /// Whether a filter selects the rows of a copy, each with the truth if the socket is closed now.
    fn verdicts(filter: &str, owners: &Owners, rows: &[&str]) -> Vec<[Truth; 2]> {
        let filter = Filter::parse(&[filter.to_owned()], &Services::parse("")).unwrap();
        let query = Query::example(&[TCP_FILE], States::ALL, filter);
        let copy: String = std::iter::once(TCP.to_owned())
            .chain(rows.iter().map(|row| format!("{row}\n")))
            .collect();
        let owners = query.filter.tests_owners().then_some(owners);
        let mut found = Vec::new();
        let take = |entry: Entry<'_>| {
            if let Entry::Row { row, verdict, .. } = entry {
                // It is that of the rows now. Without owners, neither has one.
                let own = owners.and_then(|owners| owners.namespaces.first());
                assert_eq!(row.netns, own);
                found.push([verdict.truth, verdict.if_closed]);
            }
            Ok(())
        };
        let mut namespaces = ComparedNamespaces::default();
        let copy = copy.as_bytes();
        let read = query.read_copy(copy, owners, &mut namespaces, |_| (), take);
        read.unwrap();
        found
    }

    /// A copy contains no owners. Those found now hold for sockets that are still open.
    #[test]
    fn owners_of_copies() {
        const OPEN: &str = "0 0 10.0.0.1:7 10.0.0.2:9 ESTB TCP_NODELAY=1,uid=0,ino=5";
        const GONE: &str = "0 0 10.0.0.1:7 10.0.0.2:8 ESTB TCP_NODELAY=1,uid=0,ino=6";
        const OLD: &str = "0 0 10.0.0.1:7 10.0.0.2:6 TIMW";
        let owner = Owner::new("nginx", 7, 3).in_cgroup("/system.slice/nginx.service");
        let mut owners = Owners::example([(5, owner)]);
        let cgroups = &["/system.slice/nginx.service"];
        owners.namespaces = vec![example(Some(4_026_531_999), &[], cgroups)];
        let [yes, no] = [[Truth::True; 2], [Truth::False; 2]];
        let unknown = Truth::unknown(Reason::Owners);
        let closed = Truth::unknown(Reason::Closed);
        let gone = [unknown, closed];
        for (filter, expected) in [
            ("process=nginx", [yes, gone, no]),
            ("process!=nginx", [no, gone, yes]),
            ("not process=nginx", [no, gone, yes]),
            ("process=sshd", [no, gone, no]),
            ("pid=7 and TCP_NODELAY=0", [no, no, no]),
            ("process=sshd or dport = :8", [no, yes, no]),
            ("process=nginx and dport = :9", [yes, no, no]),
            // The control groups in the network namespace were others before.
            (
                "container=nginx.service",
                [yes, gone, [Truth::True, closed]],
            ),
            ("cgroup!=/system.slice", [no, gone, [Truth::False, closed]]),
            ("container=nginx.service or dport = :6", [yes, gone, yes]),
            ("state established process!=nginx", [no, gone, no]),
            ("dport = :8", [no, yes, no]),
        ] {
            let found = verdicts(filter, &owners, &[OPEN, GONE, OLD]);
            assert_eq!(found, expected, "{filter}");
        }
    }

    /// A glance rejects no row that passes.
    #[test]
    fn glances() {
        const ESTB: &str = "0 0 10.0.0.1:7 10.0.0.2:9 ESTB TCP_NODELAY=1,uid=0,ino=5";
        const TIMW: &str = "0 0 10.0.0.1:7 10.0.0.2:9 TIMW";
        for (filter, line, expected) in [
            ("dport = :9", ESTB, false),
            ("dport = :8", ESTB, true),
            ("not dport = :9", ESTB, true),
            ("src 10.0.0.1:7 dst 10/8", ESTB, false),
            ("src 10.0.0.0/31:8", ESTB, true),
            ("dst 127/8", ESTB, true),
            ("dport = :8 or sport = :7", ESTB, false),
            // The state.
            ("", ESTB, false),
            ("exclude established", ESTB, true),
            ("state established", TIMW, true),
            ("state time-wait", TIMW, false),
            // The rest of the row may decide.
            ("TCP_NODELAY=0", ESTB, false),
            ("not TCP_NODELAY", ESTB, false),
            ("dport = :8 or TCP_NODELAY=0", ESTB, false),
            ("uid=1 or not ino=5", ESTB, false),
            ("TCP_NODELAY=1 dport = :8", ESTB, true),
            ("uid=0", TIMW, false),
            // A line with a word that the glance does not understand is parsed, and reported. Words
            // that the filter does not test are not looked at.
            ("dport = :8", "what", false),
            ("dport = :8", "0 0 10.0.0.1:7 10.0.0.2:x ESTB", false),
            ("dst 127/8", "0 0 10.0.0.1:7 10.0.0:9 ESTB", false),
            (
                "exclude established",
                "0 0 10.0.0.1:7 10.0.0.2:9 NEW",
                false,
            ),
            ("dport = :8", "0 0 10.0.0.1:x 10.0.0.2:9 NEW B", true),
        ] {
            let filter = Filter::parse(&[filter.to_owned()], &Services::parse("")).unwrap();
            let query = Query::example(&[TCP_FILE], States::ALL, filter);
            let glance = Glance::at(TCP_FILE, line.as_bytes());
            let filter = &query.filter;
            assert_eq!(query.rejects(&glance), expected, "{filter:?}: {line}");
            if let Some(row) = Row::parse(TCP_FILE, line.as_bytes()) {
                let owners = KnownOwners::new(&[], false);
                let may_pass = filter.test(&row, owners) != Truth::False;
                let is_in_state = query.states.has(row.state);
                assert!(!(expected && is_in_state && may_pass), "{filter:?}: {line}");
            }
        }
    }

    /// A row that is not understood is reported, whatever the rest of the row says about the filter.
    /// Only the state, the addresses and the ports exclude it before.
    #[test]
    fn rows_of_a_newer_module() {
        const LISTENER: &str = "9 0 10.0.0.1:7 0.0.0.0:* LSTN TCP_NODELAY=1,backlog=5,uid=0,ino=5";
        let odd = [
            format!("{LISTENER},cookie=7"),
            format!("{LISTENER},TCP_NEW=1"),
            LISTENER.replace(",uid", ",cookie=7,uid"),
            LISTENER.replace(",ino", ",cookie=7,ino"),
            LISTENER.replace(",backlog", ",new,backlog"),
            LISTENER.replace(" TCP", " new,TCP"),
            LISTENER.replace(" TCP", " =1,TCP"),
            LISTENER.replace(" LSTN", " LSTN >! >!"),
        ];
        let is_reported = |filter: &str, line: &str| {
            let filter = Filter::parse(&[filter.to_owned()], &Services::parse("")).unwrap();
            let query = Query::example(&[TCP_FILE], States::ALL, filter);
            if query.rejects(&Glance::at(TCP_FILE, line.as_bytes())) {
                return false;
            }
            let owners = Owners::example([]);
            let reads = Reads::default();
            let during_read = query.owners_during_read(&owners, &reads);
            let origin = Origin {
                file: TCP_FILE,
                netns: None,
                is_copied: false,
            };
            let (mut outcome, mut is_reported) = (Outcome::default(), false);
            let mut take = |entry: Entry<'_>| {
                is_reported = matches!(entry, Entry::Unparsed { .. });
                Ok(())
            };
            let known = query.filter.tests_owners().then_some(&during_read);
            let read = query.pass(origin, line.as_bytes(), known, &mut outcome, &mut take);
            read.unwrap();
            assert_eq!(outcome.unparsed, usize::from(is_reported));
            is_reported
        };
        for (filter, expected) in [
            ("", true),
            ("ino=5", true),
            ("ino=6", true),
            ("not ino=0", true),
            ("uid=6", true),
            ("process=nginx", true),
            ("process!=nginx", true),
            ("pid=7", true),
            ("backlog=6", true),
            ("drops>0", true),
            ("recv-q>=backlog", true),
            ("send-q>3", true),
            ("diag", true),
            ("TCP_NODELAY=0", true),
            ("not TCP_NODELAY", true),
            ("SO_KEEPALIVE", true),
            ("sport = :7 ino=6", true),
            ("sport = :8 or ino=6", true),
            ("sport = :8", false),
            ("sport = :8 ino=5", false),
            ("src 127/8", false),
            ("state established ino=5", false),
        ] {
            for line in &odd {
                assert_eq!(is_reported(filter, line), expected, "{filter}: {line}");
            }
            assert!(!is_reported(filter, LISTENER), "{filter}");
        }
    }

    /// The query neither selects nor decides rows that are only compared with others.
    #[test]
    fn compared_files() {
        const LINE: &str = "0 0 10.0.0.1:7 10.0.0.2:9 ESTB TCP_NODELAY=1,uid=0,ino=5";
        for (filter, counts) in [("TCP_MAXSEG>1", (0, 1)), ("TCP_NODELAY", (1, 0))] {
            let filter = Filter::parse(&[filter.to_owned()], &Services::parse("")).unwrap();
            let mut query = Query::example(&[TCP_FILE], States::ALL, filter);
            for (is_compared, expected) in [(false, counts), (true, (0, 0))] {
                if is_compared {
                    query.compared = std::mem::take(&mut query.files);
                }
                let origin = Origin {
                    file: TCP_FILE,
                    netns: None,
                    is_copied: false,
                };
                let (mut outcome, mut rows) = (Outcome::default(), 0);
                let mut take = |entry: Entry<'_>| {
                    rows += usize::from(matches!(entry, Entry::Row { .. }));
                    Ok(())
                };
                let line = LINE.as_bytes();
                query
                    .pass(origin, line, None, &mut outcome, &mut take)
                    .unwrap();
                let found = (outcome.selected, outcome.undecided.sockets);
                assert_eq!((found, rows), (expected, 1), "{is_compared}");
            }
        }
    }

    #[test]
    fn copies() {
        let file = |netid, family| File { netid, family };
        let all = [Family::Inet, Family::Inet6]
            .map(|family| [Netid::Tcp, Netid::Udp].map(|netid| file(netid, family)))
            .concat();
        let copy = format!(
            "{TCP}0 0 ::1:7 ::1:9 ESTB A=1\n0 0 ::1:9 ::1:7 TIMW\n\
            {TCP}0 0 10.0.0.1:7 10.0.0.2:9 ESTB\n{UDP}0 0 0.0.0.0:5 0.0.0.0:* A=1\nwhat\n\
            {UDP}0 0 :::6 :::*\n"
        );
        assert_eq!(
            rows(&copy, &all).unwrap(),
            [
                "tcp6stat 7 true",
                "tcp6stat 9 false",
                "tcpstat 7 true",
                "udpstat 5 true",
                "udpstat unparsed",
                "udp6stat 6 true"
            ]
        );
        let udp = [file(Netid::Udp, Family::Inet)];
        assert_eq!(
            rows(&copy, &udp).unwrap(),
            ["udpstat 5 true", "udpstat unparsed"]
        );
        assert!(rows(UDP, &all).unwrap().is_empty());
        for (wrong, why) in [
            ("", "not a copy of the files"),
            ("0 0 ::1:7 ::1:9 ESTB A=1\n", "not a copy of the files"),
            ("\n", "not a copy of the files"),
            (&copy[..copy.len() - 1], "the last line is incomplete"),
        ] {
            let err = rows(wrong, &all).unwrap_err().to_string();
            assert!(err.contains(why), "{wrong}: {err}");
        }
    }
}
