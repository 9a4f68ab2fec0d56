// SPDX-License-Identifier: GPL-2.0

//! The command line: makes a query and a printer of it, and runs the command.

pub mod args;
pub mod complete;
pub mod habits;
pub mod help;
pub mod hints;

use crate::cli::args::{Check, Cli, Command, Copy, List, Metrics, OtherNetns, Summary, BUILT_IN};
use crate::commands::list::View;
use crate::commands::{check, copy, explain, list, metrics, since, summary, watch};
use crate::model::columns::{self, Column, Content, Order};
use crate::model::filter::{Filter, Scope};
use crate::model::findings::Needs;
use crate::model::groups::{self, Groups};
use crate::model::owners::Ownerless;
use crate::model::query::{Outcome, Query};
use crate::model::rules::{self, Rules};
use crate::model::states::States;
use crate::model::words::WORDS;
use crate::print::color::Color;
use crate::print::findings::{self, Nagios};
use crate::print::format::Format;
use crate::print::layout::Layout;
use crate::print::printer::Printer;
use crate::print::streams::{say, InterruptibleStdout, Stdout};
use crate::source::files::{Family, File, Netid};
use crate::source::interrupt::Interrupt;
use crate::source::netns;
use crate::source::replacement::replace;
use crate::source::services::Services;
use anyhow::{bail, Result};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// The exit status for a mistake on the command line.
const MISUSED: u8 = 2;

/// The exit status with `--strict` if not all sockets were read, parsed and decided.
const UNDECIDED: u8 = 3;

/// The exit status of `check` if a rule is broken.
const BROKEN: u8 = 1;

/// The exit status of `check` if it could not be made.
const NOT_CHECKED: u8 = 2;

/// The message if `-o` has no names, as in ss.
const NO_COLUMNS: &str = "-o needs names of columns, such as -o local,state,TCP_NODELAY; for the \
    timers that -o shows in ss, use ss -o";

/// The hint for users of ss, where -o has another meaning.
const IN_SS: &str =
    "In ss, -o shows timers, which knetstat does not show: leave it out, or use ss -o";

/// The size of the buffer for standard output.
const BUFFER: usize = 64 << 10;

impl OtherNetns {
    /// Enters the network namespace, if one is named.
    fn enter(&self) -> Result<()> {
        self.net.as_deref().map_or(Ok(()), netns::enter)
    }
}

impl List {
    fn files(&self) -> Vec<File> {
        let protocols = self.habits.protocols.as_deref();
        let has = |netid| protocols.is_some_and(|protocols| protocols.contains(&netid));
        let (tcp, udp) = (self.tcp || has(Netid::Tcp), self.udp || has(Netid::Udp));
        // Without a choice, there are both.
        let (tcp, udp) = match protocols {
            None => (tcp || !udp, udp || !tcp),
            Some(_) => (tcp, udp),
        };
        let families = &self.habits.families;
        let ipv4 = self.ipv4 || families.contains(&Family::Inet);
        let ipv6 = self.ipv6 || families.contains(&Family::Inet6);
        let (ipv4, ipv6) = (ipv4 || !ipv6, ipv6 || !ipv4);
        let is_selected = |file: &File| {
            let of_protocol = match file.netid {
                Netid::Tcp => tcp,
                Netid::Udp => udp,
            };
            let of_family = match file.family {
                Family::Inet => ipv4,
                Family::Inet6 => ipv6,
            };
            of_protocol && of_family
        };
        File::ALL.into_iter().filter(is_selected).collect()
    }

    /// The network namespaces whose sockets are read: all, or `own`.
    fn scope(&self, own: Scope) -> Scope {
        match self.all_netns {
            true => Scope::All,
            false => own,
        }
    }

    /// Whether owners are printed.
    fn has_owners(&self) -> bool {
        self.processes || self.threads
    }

    /// The states that the flags select.
    fn states(&self) -> States {
        match (self.all, self.listening) {
            (true, _) => States::ALL,
            (_, true) => States::LISTENING,
            _ => States::DEFAULT,
        }
    }
}

/// A mistake on the command line, in a filter or in a file of rules.
#[derive(Debug)]
struct Misuse(String);

impl Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

/// Fails because of a mistake on the command line.
fn misused<T>(err: impl Display) -> Result<T> {
    Err(Misuse(err.to_string()).into())
}

/// Fails if a flag of ss is refused, or if `-A` comes with `-t` or `-u`.
fn check_flags(list: &List) -> Result<()> {
    if let Some(text) = &list.habits.refused {
        return misused(text);
    }
    if list.habits.protocols.is_some() && (list.tcp || list.udp) {
        return misused("-A selects the protocols; leave -t and -u out");
    }
    Ok(())
}

/// Enters the network namespace that `--net` names, and returns the names of its ports: the range
/// from which the kernel chooses ports belongs to the namespace.
fn enter(list: &List) -> Result<Services> {
    list.other.enter()?;
    Ok(Services::load())
}

/// The query of a command line, in the network namespace that [`enter`] has entered: defaults come
/// from it.
fn query(list: &List, services: &Services, own: Scope) -> Result<Query> {
    let filter = match Filter::parse_for(list.scope(own), &list.filter, services) {
        Ok(filter) => filter,
        Err(err) => return misused(err),
    };
    let states = filter.states.unwrap_or_else(|| list.states());
    if states == States::NONE {
        return misused("the filter excludes every state, so it selects no socket");
    }
    let mut files = list.files();
    if files.is_empty() {
        return misused("-A removes every table; use tcp, udp or tcp,udp");
    }
    files.retain(|file| filter.family.is_none_or(|family| family == file.family));
    if files.is_empty() {
        return misused("the flags and the filter select different families");
    }
    Ok(Query {
        files,
        compared: Vec::new(),
        has_tables: list.habits.protocols.is_some(),
        states,
        filter,
        is_strict: list.strict,
        threads: list.threads,
        all_netns: list.all_netns,
        ownerless: Ownerless::default(),
    })
}

/// Whether these are rather words for ss: flags, as in -otn, or a filter.
fn is_from_ss(names: &[String]) -> bool {
    let is_odd = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-';
    match names {
        [name] => columns::near(name).is_empty() || name.contains(is_odd),
        _ => false,
    }
}

/// The columns that a command line chooses.
#[derive(Debug)]
struct Chosen {
    columns: Vec<Column>,
    /// Whether the columns are added to those of the list.
    are_added: bool,
}

impl Chosen {
    /// Parses names of columns. The first one may have the prefix `+`, and the others then, too.
    fn parse(names: &[String], list: &List) -> Result<Option<Self>> {
        let Some(first) = names.first() else {
            return Ok(None);
        };
        let are_added = first.starts_with('+');
        if let Some(name) = names
            .iter()
            .find(|name| !are_added && name.starts_with('+'))
        {
            return misused(format_args!(
                "--columns: {name}: + comes before the first name, and adds all columns to those of \
                the list: -o +{}",
                names.join(",").replace('+', "")
            ));
        }
        let plain = |name: &String| name.strip_prefix('+').unwrap_or(name).to_owned();
        let names: Vec<_> = names.iter().map(plain).collect();
        let mut columns = match Column::parse_all(&names) {
            Ok(columns) => columns,
            Err(err) if !are_added && is_from_ss(&names) => {
                return misused(format_args!("--columns: {err}\n\n{IN_SS}"));
            }
            Err(err) => return misused(format_args!("--columns: {err}")),
        };
        let processes = Column::of_processes();
        let has_processes = columns
            .iter()
            .any(|column| column.name() == processes.name());
        if list.has_owners() && !are_added && !has_processes {
            columns.push(processes);
        }
        Ok(Some(Self { columns, are_added }))
    }
}

/// The format that a command line selects.
fn format(list: &List, query: &Query, chosen: Option<&Chosen>, services: Services) -> Format {
    let chosen = chosen.map(|chosen| (chosen.columns.clone(), chosen.are_added));
    if list.json {
        let processes = list.has_owners();
        return Format::Json {
            processes,
            all_netns: list.all_netns,
            columns: chosen.map(|(columns, are_added)| match are_added {
                true => Column::joined(Column::of_json(list.all_netns, processes), columns),
                false => columns,
            }),
        };
    }
    let stdout = io::stdout();
    let mut layout = Layout::new(
        (!list.numeric).then_some(services),
        list.has_owners(),
        list.verbose,
    );
    layout.is_seen = stdout.is_terminal();
    if layout.is_seen && !list.habits.is_oneline {
        let size = terminal_size::terminal_size();
        layout.set_width(size.map_or(80, |(width, _)| width.0.into()));
    }
    let of_list = Column::of_list(list.all_netns);
    match chosen {
        Some((mut columns, true)) => {
            // The list ends with the options.
            columns.retain(|column| column.content() != Some(Content::Options));
            layout.set_columns(of_list, false);
            layout.add_columns(columns);
        }
        Some((columns, false)) => layout.set_columns(columns, true),
        None => layout.set_columns(of_list, false),
    }
    layout.color = list.color.is_on(stdout.is_terminal());
    layout.asked.clone_from(&query.filter.options);
    Format::Text {
        layout: Box::new(layout),
        has_header: !list.no_header,
    }
}

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

/// The exit status of a command that has read the files.
fn status(query: &Query, outcome: &Outcome) -> ExitCode {
    match query.is_strict && !outcome.is_certain() {
        true => ExitCode::from(UNDECIDED),
        false => ExitCode::SUCCESS,
    }
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

/// The network namespace of a list, and whether its sockets are those of another time, too: one with
/// `--watch` is bound to an interface that comes later, and one in a copy to one that is gone.
fn own_scope(cli: &Cli) -> Scope {
    match cli.watch.is_some() || cli.since.is_some() {
        true => Scope::OwnAnytime,
        false => Scope::Own,
    }
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

/// The rules of a file, or those of the command. They are for any time, so interfaces may be missing.
fn rules(file: Option<&Path>, services: &Services, list: &List) -> Result<Rules> {
    let scope = list.scope(Scope::OwnAnytime);
    match Rules::load(file, services, scope) {
        Ok(rules) => Ok(rules),
        Err(err) if err.is::<rules::Error>() => misused(format_args!("{err:#}")),
        Err(err) => Err(err),
    }
}

/// The states to which rules apply that name none: those that the list shows with the same
/// arguments.
fn states_of_rules(query: &Query, list: &List) -> States {
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

/// Whether the rules are those of the command.
fn has_built_in_rules(args: &Metrics) -> bool {
    args.rules.as_ref().is_some_and(|file| file == BUILT_IN)
}

/// Runs `metrics`.
fn run_metrics(args: &Metrics, mut out: impl Write) -> Result<ExitCode> {
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
fn output_file(args: &Metrics) -> Option<&Path> {
    args.output
        .as_deref()
        .filter(|file| *file != Path::new("-"))
}

/// Runs `check`. A status of 1 means that a rule is broken, so errors have another one.
fn run_check(args: &Check, mut out: impl Write) -> Result<ExitCode> {
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
fn not_checked(args: &Check, why: impl Display) -> ExitCode {
    say(why);
    ExitCode::from(match args.nagios {
        true => Nagios::Unknown.status(),
        false => NOT_CHECKED,
    })
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

/// Whether the reader of standard output has closed it, as `head` does.
fn is_broken_pipe(err: &anyhow::Error) -> bool {
    err.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|err| err.kind() == io::ErrorKind::BrokenPipe)
    })
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
    use crate::model::findings::Search;
    use crate::model::row::State;
    use crate::source::rights::tests::unshared;

    fn parse(args: &[&str]) -> Cli {
        Cli::try_parse_from(std::iter::once(&"knetstat").chain(args))
            .unwrap_or_else(|err| panic!("{err}"))
    }

    /// The name of the test that runs in a network namespace of its own.
    const OTHER: &str = "cli::tests::in_another_namespace";

    #[test]
    #[ignore = "runs in a user namespace that owns its network namespace"]
    fn in_another_namespace() {
        const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
        std::fs::write(RANGE, "40000 40001").unwrap();
        let script = format!("echo 2000 2001 > {RANGE} && echo && exec cat");
        let mut other = std::process::Command::new("unshare");
        other.args(["-n", "sh", "-c", &script]);
        other.stdin(std::process::Stdio::piped());
        let mut other = other.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut line = [0];
        io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut line).unwrap();
        let pid = other.id().to_string();
        let cli = parse(&["-N", &pid, "autobound"]);
        let netns = || std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let before = netns();
        let services = enter(&cli.list).unwrap();
        assert_eq!(services.ephemeral(), Some((2000, 2001)));
        // Names are looked up where the command was started.
        assert_ne!(netns(), before);
        assert_eq!(netns::at_home(netns).unwrap(), before);
        let err = query(&cli.list, &services, Scope::Own)
            .unwrap_err()
            .to_string();
        assert!(!err.contains("40000"), "{err}");
        drop(other.stdin.take());
        other.wait().unwrap();
    }

    /// The ports of the namespace that is looked at count, not those of the caller's.
    #[test]
    fn ports_of_another_namespace() {
        assert_ne!(unshared("-rn", OTHER), Some(false));
    }

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

    /// Standard output whose reader has closed it.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
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

    /// Only a list of now knows that no socket is bound to an interface that does not exist.
    #[test]
    fn interfaces_of_another_time() {
        for (args, is_accepted) in [
            (&["dev=nosuch0"][..], false),
            (&["--watch", "dev=nosuch0"], true),
            (&["--since", "x", "dev=nosuch0"], true),
            (&["--since", "x", "SO_BINDTODEVICE=nosuch0"], true),
            // The name of this index is not known.
            (&["--since", "x", "dev=4294967295"], false),
        ] {
            let cli = parse(args);
            let found = query(&cli.list, &Services::parse(""), own_scope(&cli));
            assert_eq!(found.is_ok(), is_accepted, "{args:?}");
        }
    }

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

    /// Columns are added to the list, or they replace it.
    #[test]
    fn columns_that_are_added() {
        let chosen = |args: &[&str]| -> Result<_, String> {
            let cli = parse(args);
            let chosen = Chosen::parse(&cli.columns, &cli.list).map_err(|err| err.to_string())?;
            let chosen = chosen.unwrap();
            let names = chosen.columns.iter().map(|one| one.name().to_owned());
            Ok((names.collect::<Vec<_>>().join(","), chosen.are_added))
        };
        let found = |names: &str, are_added| Ok((names.to_owned(), are_added));
        assert_eq!(chosen(&["-o", "local,uid"]), found("local,uid", false));
        assert_eq!(chosen(&["-o", "+local,uid"]), found("local,uid", true));
        let twice = chosen(&["-o", "+local", "-o", "+uid"]);
        assert_eq!(twice, found("local,uid", true));
        for args in [&["-o", "local", "-o", "+uid"][..], &["-o", "local,+uid"]] {
            let err = chosen(args).unwrap_err();
            assert!(err.contains("+uid: + comes before the first name"), "{err}");
        }
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
