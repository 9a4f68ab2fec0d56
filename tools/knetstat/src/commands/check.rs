// SPDX-License-Identifier: GPL-2.0

//! `knetstat check`: finds the sockets that break rules.

use crate::model::filter::KnownOwners;
use crate::model::findings::{Finding, Search};
use crate::model::query::{Entry, Outcome, Query};
use crate::model::row::Row;
use crate::model::rules::{Rules, Severity};
use crate::model::states::States;
use crate::print::notes::Notes;
use crate::source::files::{Family, File};
use crate::source::process::Owners;
use anyhow::Result;

/// The result of a check.
#[derive(Debug)]
pub struct Report<'r> {
    pub findings: Vec<Finding<'r>>,
    /// The number of sockets that were checked.
    pub checked: usize,
    pub outcome: Outcome,
}

impl Report<'_> {
    /// The severity of the worst rule that found a socket.
    pub fn worst(&self) -> Option<Severity> {
        let broken = self.findings.iter().filter(|finding| finding.count > 0);
        broken.map(|finding| finding.rule.severity).max()
    }

    /// Whether a rule could not be decided for a socket, or not all sockets were read and decided.
    pub fn is_undecided(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.undecided.sockets > 0) || !self.outcome.is_certain()
    }
}

/// The work of a check besides testing the rules.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The states to which rules apply that name none.
    pub states: States,
    /// Whether owners are printed.
    pub processes: bool,
    /// Whether network namespaces and containers are needed, even if the query does not need them.
    pub cgroups: bool,
    /// Whether offenders are kept, and not only counted.
    pub keeps: bool,
}

/// Reads the files once, and tests the rules on each row that the query selects.
pub fn run<'r>(query: &mut Query, rules: &'r Rules, needs: Needs) -> Result<Report<'r>> {
    let mut search = Search::new(rules, needs.states, needs.keeps);
    let (outcome, owners) = search_all(query, rules, needs, &mut search, |_, _| ())?;
    Notes {
        query,
        outcome,
        fate: "not checked",
        owners: owners.as_ref(),
    }
    .print();
    Ok(Report {
        checked: search.checked(),
        findings: search.finish(),
        outcome,
    })
}

/// Passes each row to a search. `take` gets the rows that the query selects, and their owners.
pub fn search_all(
    query: &mut Query,
    rules: &Rules,
    needs: Needs,
    search: &mut Search<'_>,
    mut take: impl FnMut(&Row<'_>, KnownOwners<'_>),
) -> Result<(Outcome, Option<Owners>)> {
    let selected = query.files.clone();
    if rules.needs_ipv4() {
        let ipv4 = selected.iter().map(|file| File {
            family: Family::Inet,
            ..*file
        });
        let lacks = ipv4.filter(|file| !selected.contains(file));
        query.files.extend(lacks.collect::<Vec<_>>());
    }
    // The notes and the defaults that are printed are those of all filters.
    query.filter.options.extend(rules.options().cloned());
    query.filter.needs_owners |= rules.needs_owners();
    query.filter.needs_cgroups |= rules.needs_cgroups() || needs.cgroups;
    let owners = query.owners(needs.processes)?;
    // Rows that the query does not select may matter for others.
    let outcome = query.read_all(owners.as_ref(), |entry| {
        if let Entry::Row {
            row,
            line,
            owners: known,
            verdict,
        } = entry
        {
            if verdict.passes() && selected.contains(&row.file) {
                let owners = KnownOwners::new(known, row.may_lack_owners);
                take(row, owners);
                search.add(row, line, owners);
            } else {
                search.see(row);
            }
        }
        Ok(())
    })?;
    Ok((outcome, owners))
}
