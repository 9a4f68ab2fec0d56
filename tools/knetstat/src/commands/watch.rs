// SPDX-License-Identifier: GPL-2.0

//! `knetstat --watch`: prints what happens to sockets from now on.

use crate::model::event::{Event, Report};
use crate::model::query::{Outcome, Query};
use crate::model::tracker::Tracker;
use crate::print::notes::{bound_note, undecided_note, Gaps, Notes};
use crate::print::printer::Printer;
use crate::print::streams::say;
use crate::source::files::is_loaded;
use crate::source::interrupt::{Interrupt, Timer};
use anyhow::{bail, Result};
use std::time::Duration;

/// Prints what happens until ^C, with the owners of sockets if `processes` is set.
pub fn run(
    query: &Query,
    interval: Duration,
    processes: bool,
    interrupt: &Interrupt,
    printer: &mut dyn Printer,
) -> Result<Outcome> {
    let mut timer = Timer::new(interval, interrupt);
    let mut tracker = Tracker::default();
    let mut owners = query.owners(processes)?;
    tracker.read(query, owners.as_ref())?;
    printer.began(tracker.count())?;
    Notes::of(&tracker, query, owners.as_ref()).print();
    if let Some(note) = bound_note(query, &tracker.outcome) {
        say(note);
    }
    let mut gaps = Gaps::of(&tracker.outcome);
    // The reasons that were reported.
    let mut reported = tracker.outcome.undecided;
    printer.undecided(&reported)?;
    loop {
        if query.is_strict && !tracker.outcome.is_certain() || !timer.wait()? {
            return Ok(tracker.outcome);
        }
        query.renew();
        let mut now = query.owners(false)?;
        let events = match tracker.read(query, now.as_ref()) {
            Err(_) if !is_loaded() => {
                bail!("the module knetstat was unloaded; as root: modprobe knetstat")
            }
            events => events?,
        };
        gaps.grown(&tracker.outcome).iter().for_each(say);
        let undecided = tracker.outcome.undecided;
        if undecided.has_more_reasons_than(&reported) {
            reported = undecided;
            printer.undecided(&undecided)?;
            say(undecided_note(&undecided));
        }
        if events.is_empty() {
            owners = now.or(owners);
            continue;
        }
        // Find the owners only if there are events: finding them takes longer than all the rest.
        if now.is_none() {
            now = query.owners(processes)?;
        }
        let with_owners = events.into_iter().map(|event| {
            let known = match event {
                // No process has it open any more; use the owners of the last read. Its network
                // namespace may be gone, and another one may have its inode now.
                Event::Went { now: None, .. } => owners.as_ref(),
                _ => now.as_ref(),
            };
            let row = event.latest().row();
            let ino = row.and_then(|row| row.ino);
            let scanned = row.and_then(|row| known?.found(row.netns?));
            let found = known.map_or(Vec::new(), |known| known.of(ino).to_vec());
            // A socket may be gone before its owners are looked for.
            let is_lost = || found.is_empty() && query.ownerless.may_lack(ino);
            Report {
                event,
                may_lack_owners: known.is_some_and(|known| known.may_lack(ino) || is_lost()),
                scanned,
                owners: found,
            }
        });
        printer.events(&with_owners.collect::<Vec<_>>())?;
        owners = now.or(owners);
    }
}
