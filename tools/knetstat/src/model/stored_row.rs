// SPDX-License-Identifier: GPL-2.0

//! Rows that are kept until others were read: to sort them, to measure them, or as offenders.

use crate::model::row::Row;
use crate::source::files::File;
use crate::source::namespaces::Netns;
use crate::source::process::Owner;
use std::rc::Rc;

/// A row that is kept, with the processes that have the socket open.
#[derive(Clone, Debug)]
pub struct StoredRow {
    file: File,
    netns: Option<Rc<Netns>>,
    may_lack_owners: bool,
    line: Rc<[u8]>,
    owners: Rc<[Owner]>,
}

impl StoredRow {
    pub fn new(row: &Row<'_>, line: &[u8], owners: &[Owner]) -> Self {
        Self {
            file: row.file,
            netns: row.netns.cloned(),
            may_lack_owners: row.may_lack_owners,
            line: line.into(),
            owners: owners.into(),
        }
    }

    /// The row, as it was read.
    pub fn row(&self) -> Option<Row<'_>> {
        let row = Row::parse(self.file, &self.line)?;
        Some(Row {
            netns: self.netns.as_ref(),
            may_lack_owners: self.may_lack_owners,
            ..row
        })
    }

    pub fn line(&self) -> &[u8] {
        &self.line
    }

    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }
}
