// SPDX-License-Identifier: GPL-2.0

//! Notes on standard error about what is missing from the output.

use crate::model::query::{Outcome, Query};
use crate::model::tracker::Tracker;
use crate::model::truth::Undecided;
use crate::source::process::Owners;
use std::fmt::Write;

/// The notes on one read of the files.
pub struct Notes<'a> {
    pub query: &'a Query,
    pub outcome: Outcome,
    /// What the command did with rows that could not be parsed, such as `left out`.
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

/// The note that the filter could not be decided for some sockets, with the reasons.
pub fn undecided_note(undecided: &Undecided) -> String {
    let sockets = counted(
        undecided.sockets,
        "socket, which is left out",
        "sockets, which are left out",
    );
    let mut note = format!("cannot decide the filter for {sockets}:");
    let reasons: Vec<_> = undecided.reasons().collect();
    match reasons[..] {
        [(reason, _)] => {
            let _ = write!(note, " {}", reason.text());
        }
        _ => {
            for (reason, count) in reasons {
                let _ = write!(note, "\n    {count}: {}", reason.text());
            }
        }
    }
    note
}

impl<'a> Notes<'a> {
    /// The notes on the last read of a tracker.
    pub fn of(tracker: &Tracker, query: &'a Query, owners: Option<&'a Owners>) -> Self {
        Self {
            query,
            outcome: tracker.outcome,
            fate: "left out",
            owners,
        }
    }

    /// Prints the notes that apply.
    pub fn print(&self) {
        // The files of IPv4 always exist.
        if self.outcome.files == 0 {
            eprintln!("knetstat: this kernel has no IPv6 sockets");
        }
        let unparsed = self.outcome.unparsed;
        if unparsed > 0 {
            eprintln!("knetstat: {}", unparsed_note(unparsed, self.fate));
        }
        let undecided = &self.outcome.undecided;
        if undecided.sockets > 0 {
            eprintln!("knetstat: {}", undecided_note(undecided));
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
    use super::{undecided_note, unparsed_note};
    use crate::model::truth::{Reason, Truth, Undecided};

    #[test]
    fn reasons_of_undecided_sockets() {
        let mut undecided = Undecided::default();
        let cut = Truth::unknown(Reason::Cut);
        undecided.count(cut);
        assert_eq!(
            undecided_note(&undecided),
            "cannot decide the filter for 1 socket, which is left out: they have joined more groups \
                than a row shows"
        );
        undecided.count(cut.or(|| Truth::unknown(Reason::Hidden)));
        assert_eq!(
            undecided_note(&undecided),
            "cannot decide the filter for 2 sockets, which are left out:\n    \
                1: the module hides this option from readers without CAP_NET_ADMIN; run as root\n    \
                2: they have joined more groups than a row shows"
        );
    }

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
