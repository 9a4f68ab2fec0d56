// SPDX-License-Identifier: GPL-2.0

//! `knetstat summary`: counts sockets.

use crate::model::counts::Counts;
use crate::model::query::{Entry, Query};
use crate::print::notes::Notes;
use crate::print::printer::Printer;
use anyhow::Result;

/// Prints the counts of the sockets that the query selects. With `each_process`, processes of the
/// same name are counted separately.
pub fn run(query: &Query, each_process: bool, printer: &mut dyn Printer) -> Result<()> {
    let owners = query.owners(true)?;
    let mut counts = Counts::new(each_process);
    counts.files = query.read(owners.as_ref(), |entry| {
        match entry {
            Entry::Row {
                row,
                owners,
                passes,
                ..
            } => {
                if passes {
                    counts.add(row, owners);
                }
            }
            Entry::Unparsed { .. } => counts.unparsed += 1,
        }
        Ok(())
    })?;
    printer.counts(&counts)?;
    Notes {
        query,
        files: counts.files,
        unparsed: counts.unparsed,
        fate: "not counted",
        owners: owners.as_ref(),
    }
    .print();
    Ok(())
}
