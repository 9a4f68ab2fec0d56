// SPDX-License-Identifier: GPL-2.0

//! `knetstat` without a command: lists sockets.

use crate::model::columns::{are_known, Column, Order};
use crate::model::query::{Entry, Outcome, Query};
use crate::model::stored_row::StoredRow;
use crate::model::truth::Undecided;
use crate::print::notes::{bound_note, unknown_note, Notes};
use crate::print::printer::Printer;
use crate::print::streams::say;
use anyhow::Result;

/// The parts of a list that a user chooses: its columns and its order.
#[derive(Debug, Default)]
pub struct View {
    /// Whether owners are printed.
    pub processes: bool,
    /// The columns that were chosen.
    pub columns: Vec<Column>,
    /// The order; that of the files if it is empty.
    pub order: Order,
}

impl View {
    fn needs(&self, need: impl Fn(&Column) -> bool) -> bool {
        let mut columns = self.columns.iter().chain(self.order.columns());
        columns.any(need)
    }

    pub fn needs_owners(&self) -> bool {
        self.processes || self.needs(Column::needs_owners)
    }

    /// Whether network namespaces and control groups are needed.
    pub fn needs_cgroups(&self) -> bool {
        self.needs(Column::needs_cgroups)
    }
}

/// Prints the rows that the query selects.
pub fn run(query: &Query, view: &View, printer: &mut dyn Printer) -> Result<Outcome> {
    let owners = query.owners(view.needs_owners())?;
    let mut kept = Vec::new();
    let mut unknown = Undecided::default();
    let outcome = query.read(owners.as_ref(), |entry| {
        match entry {
            Entry::Row { verdict, .. } if !verdict.passes() => {}
            Entry::Row {
                row, line, owners, ..
            } => {
                unknown.count(are_known(&view.columns, row, owners));
                if view.order.is_empty() {
                    return Ok(printer.row(row, line, owners)?);
                }
                let keys = view.order.keys(row, owners);
                kept.push((keys, StoredRow::new(row, line, owners)));
            }
            Entry::Unparsed { file, line } => {
                printer.unparsed(file, line)?;
            }
            Entry::Closed { .. } => {}
        }
        Ok(())
    })?;
    // The sort is stable: equal rows stay in the order of the files.
    kept.sort_by(|(a, _), (b, _)| view.order.compare(a, b));
    for (_, kept) in &kept {
        if let Some(row) = kept.row() {
            printer.row(&row, kept.line(), kept.owners())?;
        }
    }
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
    if unknown.sockets > 0 {
        say(unknown_note(&unknown));
    }
    if let Some(note) = bound_note(query, &outcome) {
        say(note);
    }
    Ok(outcome)
}
