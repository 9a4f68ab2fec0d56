// SPDX-License-Identifier: GPL-2.0

//! Runs `knetstat check`, whose exit status is its verdict.

use crate::cli::args::{Check, List};
use crate::cli::hints;
use crate::cli::request::{check_flags, enter, format, misused, query, UNDECIDED};
use crate::commands::check;
use crate::model::filter::Scope;
use crate::model::findings::Needs;
use crate::model::query::Query;
use crate::model::rules::{self, Rules};
use crate::model::states::States;
use crate::print::findings::{self, Nagios};
use crate::print::format::Format;
use crate::print::streams::{is_broken_pipe, say};
use crate::source::services::Services;
use anyhow::Result;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// The exit status of `check` if a rule is broken.
const BROKEN: u8 = 1;

/// The exit status of `check` if it could not be made.
const NOT_CHECKED: u8 = 2;

/// The rules of a file, or those of the command. They are for any time, so interfaces may be missing.
pub fn rules(file: Option<&Path>, services: &Services, list: &List) -> Result<Rules> {
    let scope = list.scope(Scope::OwnAnytime);
    match Rules::load(file, services, scope) {
        Ok(rules) => Ok(rules),
        Err(err) if err.is::<rules::Error>() => misused(format_args!("{err:#}")),
        Err(err) => Err(err),
    }
}

/// The states to which rules apply that name none: those that the list shows with the same
/// arguments.
pub fn states_of_rules(query: &Query, list: &List) -> States {
    query.filter.states.unwrap_or_else(|| list.states())
}

/// The states of the sockets that the command line of `check` selects.
fn states_of_check(query: &Query, list: &List) -> States {
    match (query.filter.states, list.listening && !list.all) {
        (Some(states), _) => states,
        (None, true) => States::LISTENING,
        (None, false) => States::ALL,
    }
}

/// Runs `check` without reporting errors as its exit status.
fn try_check(args: &Check, mut out: impl Write) -> Result<ExitCode> {
    if args.print_rules {
        out.write_all(rules::DEFAULT.as_bytes())?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    let list = &args.list;
    check_flags(list)?;
    let services = enter(list)?;
    if let Some(text) = hints::filter_without_file(args, &services) {
        return misused(text);
    }
    let mut query = query(list, &services, Scope::Own)?;
    let rules = rules(args.file.as_deref(), &services, list)?;
    query.states = states_of_check(&query, list);
    let needs = Needs {
        states: states_of_rules(&query, list),
        processes: list.has_owners(),
        cgroups: false,
        keeps: !args.nagios,
    };
    // The query gets those of the rules, too.
    let asked = query.filter.options.clone();
    let report = check::run(&mut query, &rules, needs)?;
    if args.nagios {
        return print_report(&report, None, query.is_strict, &mut out);
    }
    let mut format = format(list, &query, None, services);
    if let Format::Text { layout, .. } = &mut format {
        layout.asked = asked;
    }
    print_report(&report, Some(format), query.is_strict, &mut out)
}

/// Prints the report of a check in a format or, without one, as the line of a Nagios plugin. Returns
/// the exit status.
fn print_report(
    report: &check::Report<'_>,
    format: Option<Format>,
    is_strict: bool,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let check::Report {
        findings,
        checked,
        outcome,
        applies,
    } = report;
    let (worst, is_undecided) = (report.worst(), report.is_undecided());
    let (printed, status) = match format {
        None => {
            let state = Nagios::of(worst, is_undecided);
            let line = state.line(findings, applies.then_some(*checked), outcome);
            let printed = writeln!(out, "{line}").and_then(|()| out.flush());
            (printed, state.status())
        }
        Some(format) => {
            let status = match worst {
                Some(_) => BROKEN,
                None if is_strict && is_undecided => UNDECIDED,
                None => 0,
            };
            let printed = findings::print(findings, *checked, outcome, format, out);
            (printed, status)
        }
    };
    match printed {
        // The verdict does not depend on whether anyone reads the rest.
        Err(err) if err.kind() != io::ErrorKind::BrokenPipe => Err(err.into()),
        _ => Ok(ExitCode::from(status)),
    }
}

/// Runs `check`. A status of 1 means that a rule is broken, so errors have another one.
pub fn run_check(args: &Check, mut out: impl Write) -> Result<ExitCode> {
    match try_check(args, &mut out) {
        Err(err) if !is_broken_pipe(&err) && args.nagios => {
            let line = Nagios::failure(&format!("{err:#}"));
            match writeln!(out, "{line}").and_then(|()| out.flush()) {
                Ok(()) => Ok(ExitCode::from(Nagios::Unknown.status())),
                Err(err) => Ok(not_checked(args, err)),
            }
        }
        Err(err) if !is_broken_pipe(&err) => Ok(not_checked(args, format_args!("{err:#}"))),
        result => result,
    }
}

/// Reports on standard error why a check could not be made, and returns its exit status.
pub fn not_checked(args: &Check, why: impl Display) -> ExitCode {
    say(why);
    ExitCode::from(match args.nagios {
        true => Nagios::Unknown.status(),
        false => NOT_CHECKED,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Command;
    use crate::cli::request::tests::parse;
    use crate::model::findings::Search;
    use crate::model::query::Outcome;
    use crate::model::row::State;
    use crate::print::layout::Layout;
    use crate::print::streams::tests::Closed;

    /// The exit status of a check is its verdict, even if nobody reads the output.
    #[test]
    fn verdicts_without_a_reader() {
        let rule = |severity: &str| {
            let text = format!(
                "[[rule]]\nname = \"a\"\nmessage = \"m\"\nseverity = \"{severity}\"\n\
                forbid = \"TCP_NODELAY\"\n"
            );
            Rules::parse("", &text, &Services::parse("")).unwrap()
        };
        let json = || Format::Json {
            processes: false,
            all_netns: false,
            columns: None,
        };
        let text = || Format::Text {
            layout: Box::new(Layout::new(None, false, false)),
            has_header: true,
        };
        for (severity, count, unparsed, applies, statuses) in [
            ("critical", 1, 0, true, [2, BROKEN]),
            ("warning", 1, 0, true, [1, BROKEN]),
            ("warning", 0, 1, true, [3, UNDECIDED]),
            ("warning", 0, 0, true, [0, 0]),
            ("warning", 0, 0, false, [3, UNDECIDED]),
        ] {
            let rules = rule(severity);
            let mut findings = Search::new(&rules, States::ALL, false).finish();
            findings[0].count = count;
            let report = check::Report {
                findings,
                checked: 1,
                outcome: Outcome {
                    unparsed,
                    ..Outcome::default()
                },
                applies,
            };
            let [nagios, others] = statuses.map(|status| format!("{:?}", ExitCode::from(status)));
            for (format, expected) in [
                (None, nagios),
                (Some(json()), others.clone()),
                (Some(text()), others),
            ] {
                let status = print_report(&report, format, true, &mut Closed).unwrap();
                assert_eq!(format!("{status:?}"), expected, "{severity} {count}");
            }
        }
    }

    /// Rules that name no state apply to the states that the list shows with the same arguments.
    #[test]
    fn states_of_rules_without_states() {
        for (args, expected) in [
            (&["check", "r"][..], States::DEFAULT),
            (&["check", "r", "-l"], States::LISTENING),
            (&["check", "r", "-a"], States::ALL),
            (
                &["check", "r", "state", "listening"],
                States::of(State::Listen),
            ),
            (&["check", "r", "-l", "state", "all"], States::ALL),
        ] {
            let Some(Command::Check(check)) = parse(args).command else {
                panic!("{args:?}");
            };
            let query = query(&check.list, &Services::parse(""), Scope::Own).unwrap();
            assert_eq!(states_of_rules(&query, &check.list), expected, "{args:?}");
        }
    }

    /// A socket to which no rule applies is not checked, so its filter need not be decided.
    #[test]
    fn states_that_no_rule_looks_at() {
        let rule = |number: usize, filter: &str| {
            format!("[[rule]]\nname = \"{number}\"\nmessage = \"m\"\n{filter}\n")
        };
        const ANY: &str = "forbid = 'TCP_QUICKACK=0'";
        const LISTENERS: &str = "where = 'state listening'\nforbid = 'backlog<1'";
        let listening = States::of(State::Listen);
        for (args, filters, expected) in [
            (&["check", "r"][..], &[ANY][..], States::DEFAULT),
            (&["check", "r", "-a"], &[ANY], States::ALL),
            (&["check", "r"], &[LISTENERS], listening),
            (
                &["check", "r"],
                &[ANY, LISTENERS],
                States::DEFAULT.union(listening),
            ),
            (&["check", "r", "-l"], &[ANY], States::LISTENING),
            (&["check", "r", "-l"], &[LISTENERS], listening),
            (
                &["check", "r", "state", "time-wait"],
                &[ANY],
                States::of(State::TimeWait),
            ),
            (
                &["check", "r", "state", "established"],
                &[LISTENERS],
                States::NONE,
            ),
        ] {
            let text = filters.iter().enumerate();
            let text: String = text.map(|(number, filter)| rule(number, filter)).collect();
            let rules = Rules::parse("", &text, &Services::parse("")).unwrap();
            let Some(Command::Check(check)) = parse(args).command else {
                panic!("{args:?}");
            };
            let query = query(&check.list, &Services::parse(""), Scope::Own).unwrap();
            let states = rules.states(states_of_rules(&query, &check.list));
            let found = states_of_check(&query, &check.list).within(states);
            assert_eq!(found, expected, "{args:?} {filters:?}");
        }
    }
}
