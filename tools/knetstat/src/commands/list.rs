// SPDX-License-Identifier: GPL-2.0

//! `knetstat` without a command: lists sockets.

use crate::model::query::{Entry, Outcome, Query};
use crate::print::notes::{bound_note, Notes};
use crate::print::printer::Printer;
use crate::print::stdout::say;
use anyhow::Result;

/// Prints the rows that the query selects, with their owners if `processes` is set.
pub fn run(query: &Query, processes: bool, printer: &mut dyn Printer) -> Result<Outcome> {
    let owners = query.owners(processes)?;
    let outcome = query.read(owners.as_ref(), |entry| {
        match entry {
            Entry::Row {
                row,
                line,
                owners,
                passes,
            } => {
                if passes {
                    printer.row(row, line, owners)?;
                }
            }
            Entry::Unparsed { file, line } => {
                printer.unparsed(file, line)?;
            }
        }
        Ok(())
    })?;
    if outcome.files > 0 {
        printer.end_of_rows()?;
    }
    printer.undecided(&outcome.undecided)?;
    Notes {
        query,
        outcome,
        fate: "shown unchanged",
        owners: owners.as_ref(),
    }
    .print();
    if let Some(note) = bound_note(query, &outcome) {
        say(note);
    }
    Ok(outcome)
}
