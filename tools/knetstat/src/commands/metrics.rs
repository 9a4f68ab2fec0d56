// SPDX-License-Identifier: GPL-2.0

//! `knetstat metrics`: numbers for monitoring.

use crate::model::findings::{search_all, Needs, Search};
use crate::model::groups::{label_name, Groups};
use crate::model::query::{Outcome, Query};
use crate::model::row::State;
use crate::model::rules::Rules;
use crate::model::states::States;
use crate::model::words::SIGNS;
use crate::print::notes::Notes;
use crate::print::openmetrics::{by_reason, Metrics, RuleNumbers};
use anyhow::{Context, Result};

/// Reads the files once, and returns the text. Rules that name no state apply to `states`. The
/// `limit` greatest groups have series of their own.
pub fn run(
    query: &mut Query,
    rules: &Rules,
    states: States,
    mut groups: Groups,
    limit: usize,
) -> Result<(String, Outcome)> {
    if groups.columns.is_empty() {
        for file in &query.files {
            let all = State::ALL.iter().map(|(state, ..)| *state);
            for state in all.filter(|state| state.may_be_in(*file) && query.states.has(*state)) {
                groups.add_kind(*file, state);
            }
        }
    }
    let needs = Needs {
        states,
        processes: groups.needs_owners(),
        cgroups: groups.needs_cgroups(),
        keeps: false,
    };
    let mut search = Search::new(rules, needs.states, needs.keeps);
    let mut signs = SIGNS.map(|(name, ..)| (name, 0));
    let (outcome, owners) = search_all(query, rules, needs, &mut search, |row, owners| {
        for (count, (_, sign, _)) in signs.iter_mut().zip(SIGNS) {
            count.1 += u64::from(row.diag.contains(sign));
        }
        groups.add(row, owners.known);
    })?;
    Notes {
        query,
        outcome,
        fate: "not counted",
        owners: owners.as_ref(),
    }
    .print();
    let numbers = search.finish().into_iter().map(|finding| RuleNumbers {
        name: finding.rule.name.clone(),
        severity: finding.rule.severity.name(),
        offenders: finding.count as u64,
        undecided: finding.undecided.sockets as u64,
    });
    let labels = groups.columns.iter().map(label_name).collect();
    let (series, rest) = groups.finish(limit);
    let metrics = Metrics {
        labels,
        series,
        limit: limit as u64,
        rest: rest as u64,
        signs: signs.to_vec(),
        rules: numbers.collect(),
        undecided: by_reason(&outcome.undecided),
        unparsed: outcome.unparsed as u64,
        closed: outcome.closed as u64,
        may_lack_owners: owners.is_some_and(|owners| owners.unseen.is_any()),
    };
    let text = metrics.text().context("the metrics cannot be encoded")?;
    Ok((text, outcome))
}
