// SPDX-License-Identifier: GPL-2.0

//! Notes on standard error about what the output lacks.

use crate::model::query::Query;
use crate::source::process::Owners;

/// The notes on one reading of the files.
pub struct Notes<'a> {
    pub query: &'a Query,
    /// The number of files that were read.
    pub files: usize,
    /// The number of rows that could not be parsed.
    pub unparsed: usize,
    /// The end of the note on those: `are shown as they are`.
    pub fate: &'a str,
    pub owners: Option<&'a Owners>,
}

impl Notes<'_> {
    pub fn print(&self) {
        if self.files == 0 {
            eprintln!("knetstat: this kernel has no such sockets");
        }
        if self.unparsed > 0 {
            let Self { unparsed, fate, .. } = self;
            eprintln!("knetstat: {unparsed} rows {fate}: they are not such as this version knows");
        }
        let mut defaults = self.query.filter.options.iter();
        if let Some(failure) = defaults.find_map(|defaults| defaults.failure()) {
            eprintln!("knetstat: {failure}");
        }
        let hidden = self.owners.map_or(0, |owners| owners.hidden);
        if hidden > 0 {
            eprintln!(
                "knetstat: could not look into {hidden} processes, which takes their rights or root"
            );
        }
    }
}
