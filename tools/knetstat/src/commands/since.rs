// SPDX-License-Identifier: GPL-2.0

//! `knetstat --since`: prints what happened to sockets since a copy of the files was made.

use crate::model::event::Event;
use crate::model::query::{Outcome, Query};
use crate::model::tracker::Tracker;
use crate::print::notes::{unparsed_note, Notes};
use crate::print::printer::Printer;
use crate::print::stdout::say;
use anyhow::{ensure, Context, Result};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Prints what happened since the copy was made, with the owners of sockets if `processes` is set.
pub fn run(
    copy: &Path,
    query: &Query,
    processes: bool,
    printer: &mut dyn Printer,
) -> Result<Outcome> {
    let name = copy.display();
    ensure!(
        !query.filter.needs_owners,
        "{name}: a copy contains no processes; remove process and pid from the filter"
    );
    let mut tracker = Tracker::default();
    File::open(copy)
        .map_err(anyhow::Error::from)
        .and_then(|opened| tracker.read_copy(BufReader::new(opened), query))
        .with_context(|| name.to_string())?;
    let unparsed = tracker.outcome.unparsed;
    if unparsed > 0 {
        let note = unparsed_note(unparsed, "left out");
        say(format_args!("{name}: {note}"));
    }
    let owners = query.owners(processes)?;
    let events = tracker.read(query, owners.as_ref())?;
    let with_owners = events.into_iter().map(|event| {
        let of_event = match (&event, &owners) {
            // The copy does not contain owners.
            (Event::Went { now: None, .. }, _) | (_, None) => Vec::new(),
            (event, Some(owners)) => {
                let ino = event.latest().row().and_then(|row| row.ino);
                owners.of(ino).to_vec()
            }
        };
        (event, of_event)
    });
    printer.events(&with_owners.collect::<Vec<_>>())?;
    printer.undecided(&tracker.outcome.undecided)?;
    Notes::of(&tracker, query, owners.as_ref()).print();
    Ok(tracker.outcome)
}
