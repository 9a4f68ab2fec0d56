// SPDX-License-Identifier: GPL-2.0

//! `knetstat summary`: counts sockets.

use crate::model::columns::are_known;
use crate::model::counts::Counts;
use crate::model::groups::Groups;
use crate::model::query::{Entry, Outcome, Query};
use crate::model::row::Row;
use crate::model::truth::Undecided;
use crate::print::notes::{bound_note, unknown_note, Notes};
use crate::print::printer::Printer;
use crate::print::streams::say;
use crate::source::process::{Owner, Owners};
use anyhow::Result;

/// Prints the counts of the sockets that the query selects. With `each_process`, processes of the
/// same name are counted separately.
pub fn run(query: &Query, each_process: bool, printer: &mut dyn Printer) -> Result<Outcome> {
    let owners = query.owners(true)?;
    let mut counts = Counts::new(each_process, query.all_netns);
    let outcome = each(query, owners.as_ref(), |row, owners| {
        counts.add(row, owners);
    })?;
    printer.counts(&counts, outcome.files > 0)?;
    end(query, outcome, owners.as_ref(), printer)
}

/// Prints the number of sockets that the query selects in each group.
pub fn by(query: &Query, mut groups: Groups, printer: &mut dyn Printer) -> Result<Outcome> {
    let owners = query.owners(groups.needs_owners())?;
    let mut unknown = Undecided::default();
    let outcome = each(query, owners.as_ref(), |row, owners| {
        unknown.count(are_known(&groups.columns, row, owners));
        groups.add(row, owners);
    })?;
    printer.groups(&groups.columns, &groups.counts())?;
    let outcome = end(query, outcome, owners.as_ref(), printer)?;
    if unknown.sockets > 0 {
        say(unknown_note(&unknown));
    }
    Ok(outcome)
}

/// Passes each socket that the query selects to `count`, with the processes that have it open.
fn each(
    query: &Query,
    owners: Option<&Owners>,
    mut count: impl FnMut(&Row<'_>, &[Owner]),
) -> Result<Outcome> {
    query.read(owners, |entry| {
        match entry {
            Entry::Row {
                row,
                owners,
                verdict,
                ..
            } if verdict.passes() => count(row, owners),
            _ => {}
        }
        Ok(())
    })
}

/// Prints what is missing from the counts.
fn end(
    query: &Query,
    outcome: Outcome,
    owners: Option<&Owners>,
    printer: &mut dyn Printer,
) -> Result<Outcome> {
    printer.undecided(&outcome.undecided)?;
    Notes {
        query,
        outcome,
        fate: "not counted",
        owners,
    }
    .print();
    if let Some(note) = bound_note(query, &outcome) {
        say(note);
    }
    Ok(outcome)
}
