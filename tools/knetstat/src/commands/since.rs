// SPDX-License-Identifier: GPL-2.0

//! `knetstat --since`: prints what happened to sockets since a copy of the files was made.

use crate::model::comparison::{tests_hidden, withhold, Comparison, Doubt, Doubtful};
use crate::model::event::{Event, Report};
use crate::model::options::{self, Info};
use crate::model::query::{Outcome, Query};
use crate::model::row::Row;
use crate::model::tracker::Tracker;
use crate::print::notes::{counted, unparsed_note, Notes};
use crate::print::printer::Printer;
use crate::print::streams::say;
use crate::source::copy::{ComparedNamespaces, Copy};
use crate::source::files::{self, File};
use crate::source::process::Owners;
use crate::source::{netns, rights};
use anyhow::{bail, Context, Result};
use jiff::ZonedDateTime;
use std::collections::BTreeSet;
use std::io::BufRead;
use std::path::Path;
use std::time::SystemTime;

/// A copy and a read of the files, compared.
struct Compared {
    tracker: Tracker,
    comparison: Comparison,
    namespaces: ComparedNamespaces,
    /// The number of rows of the copy that could not be parsed.
    unparsed: usize,
    owners: Option<Owners>,
    events: Vec<Event>,
}

/// Reads a copy, and then the files.
fn compare(copy: impl BufRead, name: &str, query: &Query, processes: bool) -> Result<Compared> {
    let mut tracker = Tracker::default();
    let mut comparison = Comparison::new(query.all_netns);
    let mut namespaces = ComparedNamespaces::default();
    let tests_owners = query.filter.tests_owners();
    let mut owners = None;
    if query.all_netns || tests_owners {
        // The names of the namespaces in the copy, before the filter tests them.
        owners = query.owners(processes)?;
        owners.iter().for_each(|owners| namespaces.found(owners));
    }
    // A copy contains no owners. If the filter tests them, those of both reads are the same.
    let of_copy = owners.as_ref().filter(|_| tests_owners);
    let show = |row: &Row<'_>| comparison.copied(row);
    let read = tracker.read_copy(copy, query, of_copy, &mut namespaces, show);
    read.with_context(|| name.to_owned())?;
    let unparsed = tracker.outcome.unparsed;
    if !tests_owners {
        owners = query.owners(processes)?;
        owners.iter().for_each(|owners| namespaces.found(owners));
    }
    let events = tracker.read_and_show(query, owners.as_ref(), |row| comparison.found(row))?;
    Ok(Compared {
        tracker,
        comparison,
        namespaces,
        unparsed,
        owners,
        events,
    })
}

/// The options whose changes cannot be judged.
fn doubts_about(compared: &Compared) -> Vec<Doubtful> {
    let is_hidden_here = |name: &str| options::by_name(name).is_some_and(Info::is_hidden_here);
    let is_net_admin = |netns| {
        let owners = compared.owners.as_ref();
        let mut all = owners.map_or(&[][..], |owners| &owners.namespaces).iter();
        match netns {
            None => rights::is_net_admin(),
            Some(id) => all
                .find(|netns| netns.id() == id)
                .and_then(|netns| netns.handle().ok())
                .is_some_and(|netns| rights::is_net_admin_over(&netns)),
        }
    };
    compared.comparison.doubts(is_net_admin, is_hidden_here)
}

/// Like [`compare`], and returns the doubts. If the filter tests an option that one of the two reads
/// may not have shown, that option is unknown in both. If it tests owners, processes are examined only
/// when the whole copy is there: a pipe may deliver it late.
fn compare_fairly(
    copy: impl BufRead,
    name: &str,
    query: &Query,
    processes: bool,
) -> Result<(Compared, Vec<Doubtful>)> {
    if !tests_hidden(&query.filter) && !query.filter.tests_owners() {
        let compared = compare(copy, name, query, processes)?;
        let doubts = doubts_about(&compared);
        return Ok((compared, doubts));
    }
    // Only after both reads is it known which options they show, so the copy may be parsed again.
    let copied = files::load_copy(copy).with_context(|| name.to_owned())?;
    let mut all = Vec::new();
    loop {
        let compared = compare(copied.as_slice(), name, query, processes)?;
        for doubt in doubts_about(&compared) {
            if !all.contains(&doubt) {
                all.push(doubt);
            }
        }
        if !withhold(&query.filter, &all) {
            return Ok((compared, all));
        }
    }
}

/// Prints what happened since the copy was made, with the owners of sockets if `processes` is set.
pub fn run(
    copy: &Path,
    query: &Query,
    processes: bool,
    printer: &mut dyn Printer,
) -> Result<Outcome> {
    let Copy {
        name,
        reader,
        before_boot,
    } = Copy::open(copy)?;
    let (compared, doubts) = compare_fairly(reader, &name, query, processes)?;
    let Compared {
        mut tracker,
        mut comparison,
        mut namespaces,
        unparsed,
        owners,
        events,
    } = compared;
    if unparsed > 0 {
        let note = unparsed_note(unparsed, "left out");
        say(format_args!("{name}: {note}"));
    }
    if comparison.left == 0 {
        find_rest(query, owners.as_ref(), |row| comparison.found(row))?;
    }
    check_origin(&name, before_boot, &comparison, query.all_netns)?;
    report_doubts(&name, &doubts);
    let certain_part = |event: Event| {
        let netns = event.latest().row().and_then(|row| comparison.netns(&row));
        let of_netns = doubts.iter().filter(|one| one.netns == netns);
        let doubtful: Vec<_> = of_netns.map(|one| one.option).collect();
        event.without_changes_of(&doubtful)
    };
    let mut events: Vec<_> = events.into_iter().filter_map(certain_part).collect();
    let found = events.len();
    events.retain(|event| is_certain(event, &mut namespaces));
    let mut hidden = found - events.len();
    for (event, truth) in &tracker.undecided {
        match is_certain(event, &mut namespaces) {
            true => tracker.outcome.undecided.count(*truth),
            false => hidden += 1,
        }
    }
    report_hidden(&name, hidden);
    let reports = events.into_iter();
    let reports = reports.map(|event| report(event, query, owners.as_ref()));
    printer.events(&reports.collect::<Vec<_>>())?;
    printer.undecided(&tracker.outcome.undecided)?;
    Notes::of(&tracker, query, owners.as_ref()).print();
    Ok(Outcome {
        unparsed: tracker.outcome.unparsed + unparsed,
        may_lack_netns: tracker.outcome.may_lack_netns || hidden > 0,
        ..tracker.outcome
    })
}

/// Passes the sockets in files that the query does not select to `show`: they can still prove where
/// the copy comes from. With `--all-netns`, those of all network namespaces.
fn find_rest(query: &Query, owners: Option<&Owners>, mut show: impl FnMut(&Row<'_>)) -> Result<()> {
    for file in File::ALL.iter().filter(|file| !query.files.contains(file)) {
        query.read_lines(*file, owners, |netns, line| {
            let row = Row::parse(*file, line).map(|row| Row { netns, ..row });
            row.iter().for_each(&mut show);
        })?;
    }
    Ok(())
}

/// An event with the owners of its socket. Those of a socket that is gone are not known, unless the
/// filter has found some: a process may still have it open, for example after the peer has reset
/// the connection.
fn report(event: Event, query: &Query, owners: Option<&Owners>) -> Report {
    let row = event.latest().row();
    let scanned = row.and_then(|row| owners?.found(row.netns?));
    let has_inode = row.is_some_and(|row| row.has_inode());
    let ino = row.and_then(|row| row.ino);
    let tests_owners = query.filter.tests_owners();
    let is_known = match event {
        Event::Went { now: None, .. } => {
            tests_owners && owners.is_some_and(|owners| !owners.of(ino).is_empty())
        }
        _ => true,
    };
    let owners = owners.filter(|_| is_known);
    let found = owners.map_or(&[][..], |owners| owners.of(ino));
    // If processes were examined again for the filter, the owners found then are not here.
    let is_lost = tests_owners && found.is_empty() && query.ownerless.may_lack(ino);
    Report {
        owners: found.to_vec(),
        may_lack_owners: owners.map_or(has_inode, |owners| owners.may_lack(ino) || is_lost),
        scanned,
        event,
    }
}

/// Whether both reads have shown the network namespace of an event, so that it has happened.
fn is_certain(event: &Event, namespaces: &mut ComparedNamespaces) -> bool {
    let Some(netns) = event.latest().row().and_then(|row| row.netns) else {
        return true;
    };
    match event {
        Event::Came(_) => namespaces.were_copied(netns),
        Event::Went { now: None, .. } => namespaces.are_readable(netns),
        _ => true,
    }
}

/// Tells how many sockets are in only one of the two reads for another reason than an event.
fn report_hidden(name: &str, sockets: usize) {
    if sockets > 0 {
        let sockets = counted(sockets, "socket is", "sockets are");
        say(format_args!(
            "{name}: {sockets} not compared, because the network namespace could not be examined when \
            the copy was made, or cannot be now; run both as root"
        ));
    }
}

/// Fails if the copy is of another network namespace, or from before the last boot. Prints a note if
/// it may be.
///
/// If a socket of the copy is still there, it is a copy of this network namespace: a socket is in
/// one, and does not leave it. The opposite is not true: all sockets may have been closed since. The
/// time of the copy proves nothing if one of its sockets is still there, because the kernel computes
/// the time of the boot from a clock that may have been wrong.
fn check_origin(
    name: &str,
    before_boot: Option<SystemTime>,
    comparison: &Comparison,
    all_netns: bool,
) -> Result<()> {
    let time = before_boot.map(|time| match ZonedDateTime::try_from(time) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "a time long ago".to_owned(),
    });
    let sockets = comparison.sockets();
    if sockets == 0 {
        return Ok(());
    }
    if comparison.left > 0 {
        if let Some(time) = time {
            say(format_args!(
                "{name}: its date, {time}, is before the last boot; if this is right, the events \
                below are wrong, because inodes are numbered anew"
            ));
        }
        return Ok(());
    }
    let is_copied = |file, line: &[u8]| {
        let ino = Row::parse(file, line).and_then(|row| row.ino);
        ino.is_some_and(|ino| comparison.has(ino))
    };
    if !all_netns {
        if let Some(other) = netns::find(&File::ALL, is_copied) {
            bail!(
                "{name}: a copy of another network namespace; to compare it with that one: -N \
                {other}"
            );
        }
    }
    if let Some(time) = time {
        bail!(
            "{name}: made at {time}, before the last boot, and none of its sockets exists; if that \
            date is wrong: touch {name}"
        );
    }
    let place = match all_netns {
        true => "on this machine",
        false => "in this network namespace",
    };
    say(format_args!(
        "{name}: none of its sockets exists any more ({sockets}); was it made {place}, and since the \
        last boot?"
    ));
    Ok(())
}

/// Names the options whose changes are not reported, with the reason.
fn report_doubts(name: &str, doubts: &[Doubtful]) {
    let is_of_all = doubts.iter().any(|one| one.netns.is_some());
    let place = match is_of_all {
        true => " of some network namespaces",
        false => "",
    };
    for reason in [Doubt::Copy, Doubt::Now] {
        let of_reason = doubts.iter().filter(|one| one.doubt == reason);
        let options: BTreeSet<_> = of_reason.map(|one| one.option).collect();
        let options = options.into_iter().collect::<Vec<_>>().join(", ");
        match reason {
            _ if options.is_empty() => {}
            Doubt::Copy => say(format_args!(
                "{name}: no socket{place} in it shows {options}, but sockets do now; it may have \
                been made without CAP_NET_ADMIN, so this change is not reported; make the copy as \
                root"
            )),
            Doubt::Now => say(format_args!(
                "{name}: sockets{place} in it show {options}, which needs CAP_NET_ADMIN; changes \
                of this are not reported; run as root"
            )),
        }
    }
}
