// SPDX-License-Identifier: GPL-2.0

//! Runs `knetstat metrics`.

use crate::cli::args::{Metrics, BUILT_IN};
use crate::cli::check::{rules, states_of_rules};
use crate::cli::hints;
use crate::cli::request::{check_flags, enter, misused, query, status, Misuse};
use crate::commands::metrics;
use crate::model::filter::Scope;
use crate::model::groups::{self, Groups};
use crate::model::rules::Rules;
use crate::model::states::States;
use crate::source::replacement::replace;
use anyhow::Result;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Whether the rules are those of the command.
fn has_built_in_rules(args: &Metrics) -> bool {
    args.rules.as_ref().is_some_and(|file| file == BUILT_IN)
}

/// Runs `metrics`.
pub fn run_metrics(args: &Metrics, mut out: impl Write) -> Result<ExitCode> {
    let list = &args.list;
    if list.json {
        return misused("metrics has one format; leave --json out");
    }
    check_flags(list)?;
    let services = enter(list)?;
    let hint = || hints::file_behind_rules(&list.filter).filter(|_| has_built_in_rules(args));
    let mut query = match query(list, &services, Scope::Own) {
        Err(err) if err.is::<Misuse>() => {
            let hint = hint().map_or(String::new(), |hint| format!("\n\n{hint}"));
            return misused(format_args!("{err}{hint}"));
        }
        query => query?,
    };
    let states = query.filter.states.unwrap_or(match list.listening {
        true => list.states(),
        false => States::ALL,
    });
    query.states = states;
    let labels = match groups::labels(&args.by) {
        Ok(labels) => labels,
        Err(err) => return misused(format_args!("--by: {err}")),
    };
    let rules = match &args.rules {
        None => Rules(Vec::new()),
        Some(file) if file.is_empty() => {
            return misused("--rules= is followed by no file; for the rules of knetstat: --rules")
        }
        Some(file) => {
            let file = (!has_built_in_rules(args)).then(|| Path::new(file));
            rules(file, &services, list)?
        }
    };
    let (limit, groups) = (args.limit.into(), Groups::new(labels));
    let of_rules = states_of_rules(&query, list);
    let (text, outcome) = metrics::run(&mut query, &rules, of_rules, groups, limit)?;
    match output_file(args) {
        Some(file) => replace(file, text.as_bytes())?,
        None => {
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
    }
    Ok(status(&query, &outcome))
}

/// The file that is written instead of standard output, which `-` names, too.
pub fn output_file(args: &Metrics) -> Option<&Path> {
    args.output
        .as_deref()
        .filter(|file| *file != Path::new("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Command;
    use crate::cli::request::tests::parse;
    use std::io;

    /// The file of `--rules` needs `=` before it, or it is a word of the filter.
    #[test]
    fn rules_behind_a_blank() {
        let directory = std::env::temp_dir();
        let file = directory.join(format!("knetstat-rules-{}.toml", std::process::id()));
        std::fs::write(&file, "").unwrap();
        let name = file.to_str().unwrap();
        let error = |args: &[&str]| {
            let Some(Command::Metrics(metrics)) = parse(args).command else {
                panic!("{args:?}");
            };
            let err = run_metrics(&metrics, io::sink()).unwrap_err();
            assert!(err.is::<Misuse>(), "{err}");
            err.to_string()
        };
        let hint = format!("\n\nThe file of --rules follows =: --rules={name}");
        assert!(error(&["metrics", "--rules", name]).ends_with(&hint));
        assert!(error(&["metrics", "-t", "--rules", "dport", "22", name]).ends_with(&hint));
        assert!(!error(&["metrics", name]).contains("--rules"));
        assert!(error(&["metrics", "--rules="]).contains("no file"));
        assert!(!error(&["metrics", "--rules", "no-such-file"]).contains("--rules"));
        std::fs::remove_file(&file).unwrap();
    }
}
