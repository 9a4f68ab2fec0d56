// SPDX-License-Identifier: GPL-2.0

//! `knetstat copy`: prints the files as they are, to be compared later by `knetstat --since`.

use crate::model::query::{Outcome, Query};
use crate::print::notes::{counted, Notes};
use crate::print::streams::say;
use crate::source::files::{self, File};
use crate::source::namespaces::Netns;
use anyhow::Result;
use std::fs;
use std::io::{self, Write};

/// Prints the files of the query, with their headers. If there may be several network namespaces, the
/// files of each follow a line that names it, and the last line marks the end.
pub fn run(query: &Query, out: &mut impl Write) -> Result<()> {
    let owners = query.owners(false)?;
    let mut own = Vec::new();
    for file in &query.files {
        own.extend(files::open_own(*file)?);
    }
    let mut outcome = Outcome {
        files: own.len(),
        ..Outcome::default()
    };
    let Some(owners) = owners else {
        print(own, out)?;
        return Ok(out.flush()?);
    };
    let mut own = Some(own);
    let mut hidden = 0;
    for netns in &owners.namespaces {
        // That of this process is the first.
        let opened = match own.take() {
            Some(own) => Ok(own),
            None => open(netns, &query.files),
        };
        match (opened, netns.ino) {
            // It is gone.
            (Ok(opened), _) if opened.is_empty() => {}
            (Ok(opened), Some(ino)) => {
                files::write_netns(out, Some(ino))?;
                print(opened, out)?;
            }
            (Ok(_), None) => hidden += 1,
            (Err(err), _) => outcome.count_closed(&err),
        }
    }
    if owners.unseen.may_lack_namespaces() || hidden + outcome.closed > 0 {
        files::write_netns(out, None)?;
    }
    files::write_end(out)?;
    out.flush()?;
    if hidden > 0 {
        let namespaces = counted(hidden, "network namespace", "network namespaces");
        say(format_args!(
            "{namespaces} left out, because this user may not see what identifies them; run as root"
        ));
    }
    let notes = Notes {
        query,
        outcome,
        fate: "copied",
        owners: Some(&owners),
    };
    notes.print();
    Ok(())
}

/// Opens files in another network namespace.
fn open(netns: &Netns, files: &[File]) -> io::Result<Vec<fs::File>> {
    let mut opened = Vec::new();
    for file in files {
        opened.extend(netns.open(*file)?);
    }
    Ok(opened)
}

fn print(opened: Vec<fs::File>, out: &mut impl Write) -> io::Result<()> {
    opened
        .into_iter()
        .try_for_each(|file| files::copy(file, out))
}
