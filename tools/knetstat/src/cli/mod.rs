// SPDX-License-Identifier: GPL-2.0

//! The command line: parses it, and runs the command.

pub mod args;
pub mod check;
pub mod complete;
pub mod habits;
pub mod help;
pub mod hints;
pub mod metrics;
pub mod request;

use crate::cli::args::{Cli, Command, Copy, List, Summary};
use crate::cli::check::{not_checked, run_check};
use crate::cli::metrics::{output_file, run_metrics};
use crate::cli::request::{
    check_flags, enter, format, misused, own_scope, query, status, Chosen, Misuse, IN_SS, MISUSED,
};
use crate::commands::list::View;
use crate::commands::{copy, explain, list, since, summary, watch};
use crate::model::columns::{Column, Content, Order};
use crate::model::filter::{Filter, Scope};
use crate::model::groups::Groups;
use crate::model::owners::Ownerless;
use crate::model::query::{Outcome, Query};
use crate::model::states::States;
use crate::model::words::WORDS;
use crate::print::color::Color;
use crate::print::findings::Nagios;
use crate::print::printer::Printer;
use crate::print::streams::{is_broken_pipe, say, InterruptibleStdout, Stdout};
use crate::source::files::File;
use crate::source::interrupt::Interrupt;
use anyhow::{bail, Result};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

/// The message if `-o` has no names, as in ss.
const NO_COLUMNS: &str = "-o needs names of columns, such as -o local,state,TCP_NODELAY; for the \
    timers that -o shows in ss, use ss -o";

/// The size of the buffer for standard output.
const BUFFER: usize = 64 << 10;

/// Runs a command that reads the files, with a printer to `out`.
fn with_printer(
    list: &List,
    own: Scope,
    out: Box<dyn Write + '_>,
    run: impl FnOnce(&Query, &mut dyn Printer) -> Result<Outcome>,
) -> Result<ExitCode> {
    check_flags(list)?;
    let services = enter(list)?;
    let query = query(list, &services, own)?;
    let mut printer = format(list, &query, None, services).printer(out);
    let outcome = run(&query, &mut *printer)?;
    Ok(status(&query, &outcome))
}

/// Whether the name of a column is rather the first word of the filter: in ss, -o takes no names.
fn begins_filter(name: &str, list: &List) -> bool {
    !list.filter.is_empty() && WORDS.iter().any(|word| word.name == name)
}

/// Runs `knetstat` without a command.
fn run_list(cli: &Cli, out: Box<dyn Write + '_>) -> Result<ExitCode> {
    let list = &cli.list;
    check_flags(list)?;
    let services = enter(list)?;
    let mut query = match (query(list, &services, Scope::Own), &cli.columns[..]) {
        (Err(err), [name]) if err.is::<Misuse>() && begins_filter(name, list) => {
            return misused(format_args!(
                "{err}\n\n-o has taken the word {name} for the name of a column. {IN_SS}"
            ));
        }
        (query, _) => query?,
    };
    // After entering the namespace, because defaults come from it.
    let chosen = Chosen::parse(&cli.columns, list)?;
    let order = match Order::parse(&cli.sort) {
        Ok(order) => order,
        Err(err) => return misused(format_args!("--sort: {err}")),
    };
    let view = View {
        processes: list.has_owners(),
        columns: chosen
            .as_ref()
            .map_or(Vec::new(), |chosen| chosen.columns.clone()),
        order,
    };
    query.filter.needs_cgroups |= view.needs_cgroups();
    let mut printer = format(list, &query, chosen.as_ref(), services).printer(out);
    let outcome = list::run(&query, &view, &mut *printer)?;
    Ok(status(&query, &outcome))
}

/// Runs `summary`.
fn run_summary(args: &Summary, out: Box<dyn Write + '_>) -> Result<ExitCode> {
    let list = &args.list;
    let each_process = list.has_owners();
    if args.by.is_empty() {
        return with_printer(list, Scope::Own, out, |query, printer| {
            summary::run(query, each_process, printer)
        });
    }
    check_flags(list)?;
    let services = enter(list)?;
    let mut query = query(list, &services, Scope::Own)?;
    let columns = match Column::parse_all(&args.by) {
        Ok(columns) => columns,
        Err(err) => return misused(format_args!("--by: {err}")),
    };
    let is_list = |column: &Column| column.content() == Some(Content::Processes);
    if columns.iter().any(is_list) {
        return misused("--by: processes is a list; use process or pid, which count each process");
    }
    let chosen = Chosen {
        columns: columns.clone(),
        are_added: false,
    };
    let groups = Groups::new(columns);
    query.filter.needs_cgroups |= groups.needs_cgroups();
    let mut printer = format(list, &query, Some(&chosen), services).printer(out);
    let outcome = summary::by(&query, groups, &mut *printer)?;
    Ok(status(&query, &outcome))
}

fn watch(list: &List, interval: Duration, own: Scope) -> Result<ExitCode> {
    check_flags(list)?;
    let services = enter(list)?;
    let query = query(list, &services, own)?;
    // Until now, ^C ends the command: looking up the hosts and users of a filter may take long.
    let interrupt = Interrupt::new()?;
    let out = BufWriter::new(InterruptibleStdout::new(&interrupt)?);
    let mut printer = format(list, &query, None, services).printer(Box::new(out));
    let processes = list.has_owners();
    let outcome = watch::run(&query, interval, processes, &interrupt, &mut *printer)?;
    Ok(status(&query, &outcome))
}

/// Runs `copy`.
fn run_copy(args: &Copy, mut out: impl Write) -> Result<ExitCode> {
    args.other.enter()?;
    let query = Query {
        files: File::ALL.to_vec(),
        compared: Vec::new(),
        has_tables: false,
        states: States::ALL,
        filter: Filter::default(),
        is_strict: false,
        threads: false,
        all_netns: args.all_netns,
        ownerless: Ownerless::default(),
    };
    whole(copy::run(&query, &mut out))?;
    Ok(ExitCode::SUCCESS)
}

/// Makes an error of a pipe that the reader has closed: the copy that it has read is not whole, and
/// nothing in it may say so.
fn whole(result: Result<()>) -> Result<()> {
    match result {
        Err(err) if is_broken_pipe(&err) => {
            bail!("the reader has closed the pipe, so the copy is incomplete")
        }
        result => result,
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    if let (None, Some(interval)) = (&cli.command, cli.watch) {
        return watch(&cli.list, interval, own_scope(cli));
    }
    if let Some(Command::Metrics(args)) = &cli.command {
        if output_file(args).is_some() {
            // Standard output may be closed.
            return run_metrics(args, io::sink());
        }
    }
    let mut stdout = match (Stdout::open(), &cli.command) {
        (Err(err), Some(Command::Check(args))) => return Ok(not_checked(args, &err)),
        (stdout, _) => stdout?,
    };
    if let Some(Command::Explain { names }) = &cli.command {
        return explain::run(names, &mut stdout).map(|()| ExitCode::SUCCESS);
    }
    let stdout = Box::new(BufWriter::with_capacity(BUFFER, stdout));
    match (&cli.command, &cli.since) {
        (Some(Command::Check(args)), _) => run_check(args, stdout),
        (Some(Command::Copy(args)), _) => run_copy(args, stdout),
        (Some(Command::Metrics(args)), _) => run_metrics(args, stdout),
        (Some(Command::Summary(args)), _) => run_summary(args, stdout),
        (_, Some(copy)) => with_printer(&cli.list, own_scope(cli), stdout, |query, printer| {
            since::run(copy, query, cli.list.has_owners(), printer)
        }),
        (_, None) => run_list(cli, stdout),
    }
}

/// Prints the help or the version to standard output, or what is wrong with the command line to
/// standard error.
fn instead(err: &clap::Error, color: Color) -> Result<ExitCode> {
    let text = err.render();
    let is_of_columns = |arg: &str| arg.starts_with("--columns");
    if let Some(ContextValue::String(arg)) = err.get(ContextKind::InvalidArg) {
        if err.kind() == ErrorKind::InvalidValue && is_of_columns(arg) {
            say(NO_COLUMNS);
            return Ok(ExitCode::from(MISUSED));
        }
    }
    let (text, plain) = (text.ansi().to_string(), text.to_string());
    let chosen = |is_terminal| match color.is_on(is_terminal) {
        true => text.as_bytes(),
        false => plain.as_bytes(),
    };
    if err.use_stderr() {
        let mut stderr = io::stderr();
        let _ = stderr.write_all(chosen(stderr.is_terminal()));
        return Ok(ExitCode::from(MISUSED));
    }
    let mut stdout = Stdout::open()?;
    stdout.write_all(chosen(io::stdout().is_terminal()))?;
    Ok(ExitCode::SUCCESS)
}

/// The result if candidates could not be written. The crate keeps only the text of the error.
fn not_completed(err: &clap::Error) -> Result<ExitCode> {
    let why = message(err);
    let broken_pipe = io::Error::from_raw_os_error(libc::EPIPE).to_string();
    if why.contains(&broken_pipe) {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("cannot write to standard output: {}", why.trim_end())
}

/// What is wrong with the command line, without the crate's introduction.
fn message(err: &clap::Error) -> String {
    let text = err.render().to_string();
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

/// Runs a command line.
fn run_arguments(args: &[OsString]) -> Result<ExitCode> {
    // Prints candidates if a shell asks for them.
    let directory = std::env::current_dir().ok();
    if std::env::var_os("COMPLETE").is_some_and(|shell| !shell.is_empty() && shell != "0") {
        // The crate takes closed output for output that discards everything.
        Stdout::open()?;
    }
    match CompleteEnv::with_factory(Cli::command).try_complete(args, directory.as_deref()) {
        Ok(true) => {
            io::stdout().flush()?;
            return Ok(ExitCode::SUCCESS);
        }
        Ok(false) => {}
        Err(err) if err.kind() == ErrorKind::Io => return not_completed(&err),
        Err(err) => return instead(&err, Color::Auto),
    }
    let args = args::rewritten(args.iter().cloned());
    match Cli::try_parse_from(&args) {
        Ok(cli) => run(&cli),
        Err(mut err) => {
            hints::correct_tips(&mut err);
            let status = instead(&err, Color::of_arguments(&args))?;
            // To Nagios, a status of 2 means CRITICAL.
            let is_plugin = args.iter().any(|arg| arg == "--nagios");
            if !err.use_stderr() || !is_plugin {
                return Ok(status);
            }
            // It shows the first line of standard output.
            let line = Nagios::failure(&message(&err));
            let mut stdout = Stdout::open().map(BufWriter::new);
            let _ = stdout
                .as_mut()
                .map(|out| writeln!(out, "{line}").and_then(|()| out.flush()));
            Ok(ExitCode::from(Nagios::Unknown.status()))
        }
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    match run_arguments(&args) {
        Ok(status) => status,
        Err(err) if is_broken_pipe(&err) => ExitCode::SUCCESS,
        Err(err) => {
            say(format_args!("{err:#}"));
            match err.is::<Misuse>() {
                true => ExitCode::from(MISUSED),
                false => ExitCode::FAILURE,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::BUILT_IN;
    use crate::cli::request::tests::parse;
    use crate::print::format::Format;
    use crate::print::streams::tests::Closed;
    use crate::source::services::Services;
    use std::path::Path;

    /// A user of ss learns that -o is something else here.
    #[test]
    fn habits_of_ss() {
        let hints = |args: &[&str]| {
            let cli = parse(args);
            let result = run_list(&cli, Box::new(io::sink()));
            let err = result.unwrap_err().to_string();
            assert!(err.contains('\n') || !err.contains(IN_SS), "{err}");
            err.contains(IN_SS)
        };
        for args in [
            &["-o", "state", "established"][..],
            &["-to", "dport", "=", ":22"],
            &["-otn"],
            &["-o", "established"],
            &["-o", "( dport = :22 )"],
        ] {
            assert!(hints(args), "{args:?}");
        }
        for args in [
            &["-o", "state,established"][..],
            &["-o", "LOCAL"],
            &["-o", "nodelay"],
            &["-o", "+x"],
            &["-o", "local", "established"],
        ] {
            assert!(!hints(args), "{args:?}");
        }
    }

    /// `--no-color` and `-` for standard output, as other commands have them.
    #[test]
    fn conventions() {
        for (words, expected) in [
            ("--no-color", Color::Never),
            ("-t --no-color sport 22", Color::Never),
            ("summary --no-color", Color::Never),
            ("check --no-color", Color::Never),
            ("metrics --no-color", Color::Never),
            // The last one counts.
            ("--color=always --no-color", Color::Never),
            ("--no-color --color=always", Color::Always),
            ("-- --no-color", Color::Auto),
        ] {
            let args = format!("knetstat {words}");
            let args = args::rewritten(args.split(' ').map(OsString::from));
            let cli = Cli::try_parse_from(&args).unwrap_or_else(|err| panic!("{err}"));
            let list = match &cli.command {
                Some(Command::Summary(args)) => &args.list,
                Some(Command::Check(args)) => &args.list,
                Some(Command::Metrics(args)) => &args.list,
                _ => &cli.list,
            };
            assert_eq!(list.color, expected, "{words}");
            assert_eq!(Color::of_arguments(&args), expected, "{words}");
        }
        for (args, expected) in [
            (&["metrics"][..], None),
            (&["metrics", "--output", "-"], None),
            (&["metrics", "--output=-"], None),
            (&["metrics", "--output", "./-"], Some(Path::new("./-"))),
            (&["metrics", "--output", "x"], Some(Path::new("x"))),
        ] {
            let Some(Command::Metrics(metrics)) = parse(args).command else {
                panic!("{args:?}");
            };
            assert_eq!(output_file(&metrics), expected, "{args:?}");
        }
    }

    /// A copy that nobody has read to its end is not whole.
    #[test]
    fn copies_without_a_reader() {
        let closed = || Closed.write(b"").map(|_| ()).map_err(anyhow::Error::from);
        assert!(is_broken_pipe(&closed().unwrap_err()));
        let err = whole(closed()).unwrap_err();
        assert!(
            !is_broken_pipe(&err) && err.to_string().contains("incomplete"),
            "{err}"
        );
        assert!(whole(Ok(())).is_ok());
    }

    #[test]
    fn lists_that_are_not_shown_or_counted() {
        let cli = parse(&["-o", "+options,uid"]);
        let query = query(&cli.list, &Services::parse(""), Scope::Own).unwrap();
        let chosen = Chosen::parse(&cli.columns, &cli.list).unwrap();
        let found = format(&cli.list, &query, chosen.as_ref(), Services::parse(""));
        let Format::Text { mut layout, .. } = found else {
            panic!("text");
        };
        let mut out = Vec::new();
        layout.header(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with(" UID Options\n"), "{text}");
        assert_eq!(text.matches("Options").count(), 1);
        let Some(Command::Summary(args)) = parse(&["summary", "--by", "uid,users"]).command else {
            panic!("summary");
        };
        let err = run_summary(&args, Box::new(io::sink())).unwrap_err();
        assert!(err.is::<Misuse>() && err.to_string().contains("use process"));
    }

    #[test]
    fn arguments() {
        Cli::command().debug_assert();
        let cli = parse(&[
            "-tan",
            "state",
            "listening",
            "-p",
            "(",
            "TCP_LINGER2=-1",
            ")",
            "!",
            "explin",
        ]);
        assert!(cli.command.is_none() && cli.list.tcp && cli.list.processes && !cli.list.udp);
        assert_eq!(
            cli.list.filter,
            [
                "state",
                "listening",
                "(",
                "TCP_LINGER2=-1",
                ")",
                "!",
                "explin"
            ]
        );
        let names = |cli: Cli| {
            cli.list
                .files()
                .into_iter()
                .map(File::name)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(parse(&[])),
            ["udpstat", "udp6stat", "tcpstat", "tcp6stat"]
        );
        assert_eq!(names(parse(&["-t", "-6"])), ["tcp6stat"]);
        assert_eq!(names(parse(&["-tu46"])).len(), 4);
        assert_eq!(names(parse(&["-4"])), ["udpstat", "tcpstat"]);
        // The last one counts, as in ss.
        assert_eq!(parse(&["-tanl"]).list.states(), States::LISTENING);
        assert_eq!(parse(&["-tnla"]).list.states(), States::ALL);
        assert_eq!(parse(&["--all", "-l", "-a"]).list.states(), States::ALL);
        let watched = |args: &[&str]| {
            let args = std::iter::once(&"knetstat").chain(args);
            let cli = Cli::try_parse_from(args::rewritten(args.map(|arg| (*arg).into())));
            cli.ok().map(|cli| {
                let seconds = cli.watch.map(|interval| interval.as_secs_f64());
                (seconds, cli.list.filter.len())
            })
        };
        assert_eq!(watched(&["-t"]), Some((None, 0)));
        assert_eq!(watched(&["--watch"]), Some((Some(1.0), 0)));
        assert_eq!(watched(&["--watch", "sport", "22"]), Some((Some(1.0), 2)));
        for args in [["--watch", "0.5"], ["--watch=0.5", "-t"], ["--watch", ".5"]] {
            assert_eq!(watched(&args), Some((Some(0.5), 0)), "{args:?}");
        }
        assert_eq!(watched(&["--", "--watch", "2"]), Some((None, 2)));
        for wrong in ["0", "-1", "nan", "inf", "1e9"] {
            assert_eq!(watched(&["--watch", wrong]), None, "{wrong}");
            assert_eq!(watched(&[&format!("--watch={wrong}")]), None, "{wrong}");
        }
        let cli = parse(&["-ta", "--since", "before", "sport", "22"]);
        assert_eq!(cli.since.as_deref(), Some(Path::new("before")));
        assert_eq!(cli.list.filter.len(), 2);
        assert!(Cli::try_parse_from(["knetstat", "--since=before", "--watch"]).is_err());
        let cli = parse(&["summary", "-tanp", "--json", "sport", "22"]);
        let Some(Command::Summary(Summary { list, .. })) = cli.command else {
            panic!("{cli:?}");
        };
        assert!(list.tcp && list.all && list.processes && list.json && list.filter.len() == 2);
        assert!(Cli::try_parse_from(["knetstat", "summary", "--watch"]).is_err());
        let cli = parse(&["check", "-t", "rules.toml", "sport", "22", "-p"]);
        let Some(Command::Check(check)) = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(check.file.as_deref(), Some(Path::new("rules.toml")));
        assert!(check.list.tcp && check.list.processes && check.list.filter.len() == 2);
        assert!(Cli::try_parse_from(["knetstat", "check", "--nagios", "--json"]).is_err());
        let cli = parse(&["metrics", "--by", "sport,uid", "--rules", "dport", "22"]);
        let Some(Command::Metrics(metrics)) = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(metrics.by, ["sport", "uid"]);
        assert_eq!(metrics.rules.as_deref(), Some(BUILT_IN.as_ref()));
        assert!(metrics.list.filter.len() == 2 && metrics.limit == 100);
        for limit in ["0", "10001", "x"] {
            assert!(Cli::try_parse_from(["knetstat", "metrics", "--limit", limit]).is_err());
        }
        let cli = parse(&["explain", "nodelay"]);
        assert!(matches!(cli.command, Some(Command::Explain { names }) if names == ["nodelay"]));
        assert!(Cli::try_parse_from(["knetstat", "--nope"]).is_err());
    }
}
