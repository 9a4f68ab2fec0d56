// SPDX-License-Identifier: GPL-2.0

//! Notes on standard error about what is missing from the output.

use crate::model::query::Query;
use crate::model::tracker::Tracker;
use crate::source::process::Owners;

/// The notes on one read of the files.
pub struct Notes<'a> {
    pub query: &'a Query,
    /// The number of files that were read.
    pub files: usize,
    /// The number of rows that could not be parsed.
    pub unparsed: usize,
    /// What the command did with those rows, such as `left out`.
    pub fate: &'a str,
    pub owners: Option<&'a Owners>,
}

/// A number with its noun: `1 row`, `2 rows`.
fn counted(count: usize, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{count} {noun}")
}

/// The note that rows could not be parsed and are therefore, for example, `left out`.
pub fn unparsed_note(count: usize, fate: &str) -> String {
    let rows = counted(count, "row, which is", "rows, which are");
    format!("cannot parse {rows} {fate}; the module may be newer than this command")
}

impl<'a> Notes<'a> {
    /// The notes on the last read of a tracker.
    pub fn of(tracker: &Tracker, query: &'a Query, owners: Option<&'a Owners>) -> Self {
        Self {
            query,
            files: tracker.files,
            unparsed: tracker.unparsed,
            fate: "left out",
            owners,
        }
    }

    /// Prints the notes that apply.
    pub fn print(&self) {
        // The files of IPv4 always exist.
        if self.files == 0 {
            eprintln!("knetstat: this kernel has no IPv6 sockets");
        }
        if self.unparsed > 0 {
            eprintln!("knetstat: {}", unparsed_note(self.unparsed, self.fate));
        }
        let mut defaults = self.query.filter.options.iter();
        if let Some(failure) = defaults.find_map(|defaults| defaults.failure()) {
            eprintln!("knetstat: {failure}");
        }
        let hidden = self.owners.map_or(0, |owners| owners.hidden);
        if hidden > 0 {
            let processes = counted(hidden, "process", "processes");
            eprintln!(
                "knetstat: cannot examine {processes}, so owners may be missing; run as root to see \
                all owners"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::unparsed_note;

    #[test]
    fn one_row_or_several() {
        assert_eq!(
            unparsed_note(1, "left out"),
            "cannot parse 1 row, which is left out; the module may be newer than this command"
        );
        assert_eq!(
            unparsed_note(2, "not counted"),
            "cannot parse 2 rows, which are not counted; the module may be newer than this command"
        );
    }
}
