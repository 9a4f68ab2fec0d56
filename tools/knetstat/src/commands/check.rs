// SPDX-License-Identifier: GPL-2.0

//! `knetstat check`: finds the sockets that break rules.

use crate::model::findings::{search_all, Finding, Needs, Search};
use crate::model::query::{Outcome, Query};
use crate::model::reach::can_find;
use crate::model::rules::{Rules, Severity};
use crate::print::notes::Notes;
use crate::print::streams::say;
use anyhow::Result;

/// The result of a check.
#[derive(Debug)]
pub struct Report<'r> {
    pub findings: Vec<Finding<'r>>,
    /// The number of sockets that were checked.
    pub checked: usize,
    pub outcome: Outcome,
    /// Whether a rule applies to such sockets as were selected. If not, nothing was checked.
    pub applies: bool,
}

impl Report<'_> {
    /// The severity of the worst rule that found a socket.
    pub fn worst(&self) -> Option<Severity> {
        let broken = self.findings.iter().filter(|finding| finding.count > 0);
        broken.map(|finding| finding.rule.severity).max()
    }

    /// Whether a rule could not be decided for a socket, not all sockets were read and decided, or
    /// nothing was checked.
    pub fn is_undecided(&self) -> bool {
        let mut findings = self.findings.iter();
        let is_undecided = findings.any(|finding| finding.undecided.sockets > 0);
        is_undecided || !self.outcome.is_certain() || !self.applies
    }
}

/// The note that nothing is checked: the rules are about sockets in other states, or of another
/// protocol or family.
const NO_RULE: &str = "nothing is checked: no rule applies to the sockets that were selected";

/// Reads the files once, and tests the rules on each row that the query selects. The filter need not be
/// decided for a socket in a state to which no rule applies.
pub fn run<'r>(query: &mut Query, rules: &'r Rules, needs: Needs) -> Result<Report<'r>> {
    let applies = can_find(query, rules, needs.states);
    let mut search = Search::new(rules, needs.states, needs.keeps);
    let checked = query.states.within(rules.states(needs.states));
    let selected = std::mem::replace(&mut query.states, checked);
    let (outcome, owners) = search_all(query, rules, needs, &mut search, |_, _| ())?;
    // The notes are about the command line.
    query.states = selected;
    Notes {
        query,
        outcome,
        fate: "not checked",
        owners: owners.as_ref(),
    }
    .print();
    let checked = search.checked();
    let findings = search.finish();
    // Findings prove that a newer module shows more than this command knows.
    let has_found = |finding: &Finding<'_>| finding.count + finding.undecided.sockets > 0;
    let applies = applies || findings.iter().any(has_found);
    if !applies {
        say(NO_RULE);
    }
    Ok(Report {
        findings,
        checked,
        outcome,
        applies,
    })
}
