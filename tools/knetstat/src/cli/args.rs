// SPDX-License-Identifier: GPL-2.0

//! The arguments of the command. The doc comments of the fields are its `--help`.

use crate::cli::habits::Habits;
use crate::cli::{complete, help};
use crate::print::color::Color;
use clap::{Arg, Args, CommandFactory, Parser, Subcommand, ValueHint};
use clap_complete::ArgValueCompleter;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Show the options and owners of TCP and UDP sockets
#[derive(Debug, Parser)]
#[command(
    version = env!("KNETSTAT_VERSION"),
    after_help = help::after_help(),
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub list: List,
    /// Read the sockets every SECONDS (default 1) and print what comes, goes or changes, until ^C
    ///
    /// Each line is an event: `came`, `went` or `changed`. A change shows the old and the new
    /// value, such as TCP_NODELAY=0->1; `unset` means that the option was not in the row. Changes
    /// of state, addresses, ports, options, backlog, user and inode are reported. Changes of
    /// queues, diagnostics and processes are not. Neither are SO_PEEK_OFF, TCP_MAXSEG and
    /// TCP_QUICKACK, because the kernel changes them by itself. A socket that no longer passes the
    /// filter is reported as `went`, with what has changed. -p adds the processes.
    ///
    /// With --json, an event also has the keys time, event and changes. `changes` maps each name to
    /// old and new, which are null if the option was not in the row. Events lack recv_q, send_q,
    /// diag and the three options. The first object has the event `began` and the number of sockets.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_parser = seconds
    )]
    pub watch: Option<Duration>,
    /// Print each socket that has come, gone or changed since FILE was made
    ///
    /// FILE is a copy of the module's files: knetstat copy > FILE. `-` is a copy on standard input. It
    /// must be from the current boot and the same network namespace, because sockets are matched by
    /// inode, and made with the same rights. With --all-netns, it is a copy of all namespaces: knetstat
    /// copy --all-netns > FILE. The output is that of --watch without `began`; each event shows the
    /// time at which it was seen. The copy contains no processes: a filter tests those found now. For a
    /// socket that is gone, such a filter cannot be decided, unless the rest of it decides.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "watch")]
    pub since: Option<PathBuf>,
    /// Show these columns: names from the list below, and options, separated by commas
    ///
    /// An option shows the value in effect: that of the row or, if the row lacks it, the default. On a
    /// terminal, a default is dim or, without colours, in brackets. `-` means that the socket has no
    /// such value, and `?` that it is not known. With the prefix +, the columns are added to those of
    /// the list.
    ///
    /// With --json, objects have only the keys of these columns. A value that is missing is null. The
    /// key `defaults` names the options whose values are defaults, and `unknown` the columns whose
    /// values are not known.
    #[arg(
        short = 'o',
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        conflicts_with_all = ["watch", "since", "verbose"],
        add = ArgValueCompleter::new(complete::columns)
    )]
    pub columns: Vec<String>,
    /// Sort the sockets by columns; the prefix - before a name reverses the order
    ///
    /// Numbers and addresses are sorted by value, not as text. Values that are missing or not known come
    /// last. All rows are kept in memory.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        allow_hyphen_values = true,
        conflicts_with_all = ["watch", "since"],
        add = ArgValueCompleter::new(complete::order)
    )]
    pub sort: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print what an option does: its value, its default, and when it is shown
    Explain {
        /// An option by its name or by level and number, such as nodelay, user-timeout or 6 18
        #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(complete::names))]
        names: Vec<String>,
    },
    /// Count sockets: by state, by process, and by their set of options
    ///
    /// Flags and the filter select sockets as they do without `summary`. A socket that several
    /// processes have open is counted once for each process. SO_PEEK_OFF, TCP_MAXSEG and
    /// TCP_QUICKACK are ignored, because the kernel changes them by itself. -p counts processes of
    /// the same name separately, and -v prints one option per line. -n has no effect.
    ///
    /// With --json, each count is an object with the keys count and by (all, state, process or
    /// options). Counts by state have netid and state. Counts by process have name, null if no
    /// process is known, with -p also pid, and with -T also tid. Counts by options have options,
    /// unless the kernel keeps none. With --all-netns, there are also counts by netns and container.
    #[command(after_help = "COLUMNS and FILTER: see knetstat --help.")]
    Summary(Summary),
    /// Find the sockets that break rules
    ///
    /// Each rule has a name, a filter, a severity and a message; knetstat-check(5) describes the
    /// file. Without FILE, the rules that come with knetstat are used. The files of the module are
    /// read once for all rules.
    ///
    /// Flags and FILTER select the sockets that are checked. A rule that names no state applies to
    /// the states that knetstat shows with the same flags and FILTER. -p adds the processes, and -v
    /// the rules that are not broken, their reasons and their sources.
    ///
    /// With --json, there is one object for each socket that breaks a rule, with the keys rule and
    /// severity and those of a socket. One for each rule follows, with rule, severity, message,
    /// reason, source, offenders, undecided and reasons. If the filter could not be decided for some
    /// sockets, the last object has only undecided and reasons.
    #[command(after_help = CHECK_STATUS)]
    Check(Check),
    /// Print the files of the module as they are, to be compared later with --since
    ///
    /// The copy has all files of one network namespace, as cat prints them, or with --all-netns those
    /// of each namespace after a line net:[INODE]. A line net:[?] stands for namespaces that could not
    /// be examined, and the last line is net:[end].
    Copy(Copy),
    /// Print numbers for monitoring, in the text format of OpenMetrics
    ///
    /// The metrics count the sockets in all states by protocol, family and state, and add up their
    /// queues and drops. Flags and FILTER select the sockets. -p, -n, -v and -H have no effect.
    #[command(after_help = "COLUMNS and FILTER: see knetstat --help.")]
    Metrics(Metrics),
}

/// The arguments of `summary`.
#[derive(Args, Debug)]
pub struct Summary {
    /// Count the sockets with the same values in these columns, separated by commas
    ///
    /// The value of an option is the one in effect. A socket that several processes have open is
    /// counted once for each of them if process or pid is a column. With --json, each count is an
    /// object with the keys count, by (columns) and values, and with unknown, which names the columns
    /// whose values are not known.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        conflicts_with = "verbose",
        add = ArgValueCompleter::new(complete::counted)
    )]
    pub by: Vec<String>,
    #[command(flatten)]
    pub list: List,
}

/// The flag that selects another network namespace.
#[derive(Args, Debug)]
pub struct OtherNetns {
    /// Show another network namespace, given by name, by the ID of a process in it, or by path
    #[arg(
        short = 'N',
        long,
        value_name = "NAME",
        add = ArgValueCompleter::new(complete::namespaces)
    )]
    pub net: Option<String>,
}

/// The arguments of `copy`.
#[derive(Args, Debug)]
pub struct Copy {
    #[command(flatten)]
    pub other: OtherNetns,
    /// Copy the files of all network namespaces
    #[arg(long, conflicts_with = "net")]
    pub all_netns: bool,
}

/// The arguments of `metrics`.
#[derive(Args, Debug)]
// It has one format, and refuses --json with a message of its own.
#[command(mut_arg("json", |arg| arg.hide(true)))]
pub struct Metrics {
    /// Add columns, such as process, sport or an option, as labels, separated by commas
    ///
    /// The value of an option is the one in effect. A socket that several processes have open is
    /// counted once for each name of a process.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        add = ArgValueCompleter::new(complete::labels)
    )]
    pub by: Vec<String>,
    /// Give at most N combinations of label values series of their own (default 100)
    ///
    /// These are the combinations with the most sockets. All others are added up in series in which
    /// the value of each label is <other>.
    #[arg(
        long,
        value_name = "N",
        default_value = "100",
        hide_default_value = true,
        value_parser = clap::value_parser!(u16).range(1..=10000)
    )]
    pub limit: u16,
    /// Count the sockets that break each rule of FILE or, without FILE, of knetstat
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = BUILT_IN,
        value_hint = ValueHint::FilePath
    )]
    pub rules: Option<OsString>,
    /// Replace FILE instead of printing to standard output
    ///
    /// A reader of FILE sees the old contents or the new ones, never a part. FILE is a regular file, or
    /// does not exist yet. `-` is standard output.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub list: List,
}

/// The value of `--rules` without a file. No argument can have it, unlike the empty text, which a shell
/// makes of a variable that is not set.
pub const BUILT_IN: &str = "\0";

const CHECK_STATUS: &str = "\
Exit status: 0 if no rule is broken, 1 if a rule is broken, 2 if the check could not be made, 3 with
--strict if no rule is broken, and a rule or the filter cannot be decided for a socket, not all
sockets were read, or no rule applies to the selected sockets. With --nagios: 1 or 2 if a rule of
severity warning or critical is broken, 3 if this is not known, 0 otherwise.

FILTER: see knetstat --help.";

/// The arguments of `check`.
#[derive(Args, Debug)]
pub struct Check {
    /// Print one line as a Nagios plugin does, with its exit statuses
    ///
    /// The statuses are 0 (OK), 1 (WARNING), 2 (CRITICAL) and 3 (UNKNOWN). A rule that cannot be
    /// decided for a socket makes the state UNKNOWN unless another rule is broken. So do sockets that
    /// could not be read, and rules none of which applies to the selected sockets.
    #[arg(long, conflicts_with_all = ["json", "verbose"])]
    pub nagios: bool,
    /// Print the rules that come with knetstat, as a file to begin with
    #[arg(long)]
    pub print_rules: bool,
    /// A file of rules, in TOML; `-` is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub list: List,
}

#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are flags")]
pub struct List {
    /// Show TCP sockets
    #[arg(short, long)]
    pub tcp: bool,
    /// Show UDP sockets
    #[arg(short, long)]
    pub udp: bool,
    /// Show IPv4 sockets
    #[arg(short = '4', long, alias = "inet")]
    pub ipv4: bool,
    /// Show IPv6 sockets, including those that carry IPv4 traffic
    #[arg(short = '6', long, alias = "inet6")]
    pub ipv6: bool,
    /// Show only listening sockets and unconnected UDP sockets
    #[arg(short, long, overrides_with = "all")]
    pub listening: bool,
    /// Show sockets in all states
    #[arg(short, long, overrides_with = "listening")]
    pub all: bool,
    /// Show port numbers instead of service names
    #[arg(short, long, aliases = ["numeric-hosts", "numeric-ports", "numeric-users"])]
    pub numeric: bool,
    /// Show which processes have the socket open
    #[arg(short, long, aliases = ["program", "programs"])]
    pub processes: bool,
    /// Show which threads have the socket open; implies -p
    #[arg(short = 'T', long)]
    pub threads: bool,
    /// Do not print the header line
    #[arg(short = 'H', long)]
    pub no_header: bool,
    /// Print one option per line, and the defaults that the filter assumed
    #[arg(short, long)]
    pub verbose: bool,
    #[command(flatten)]
    pub other: OtherNetns,
    /// Show the sockets of all network namespaces, with their containers
    ///
    /// There are two more columns, Netns and Container. Netns is the name of the namespace in
    /// ip-netns(8), or its inode. Container is the container or systemd unit of the process that has
    /// the socket open: its runtime, its ID, and in brackets its host name. Namespaces are found by
    /// processes, threads, mounts and open descriptors. They are not entered if a process is in them.
    #[arg(long, conflicts_with = "net")]
    pub all_netns: bool,
    /// Print one JSON object for each socket
    ///
    /// Keys: netid, family, state, recv_q, send_q, local and foreign (address, port; 0 is none),
    /// diag (if not empty), options (if the kernel keeps them), backlog (of listeners), drops (of
    /// UDP sockets that dropped datagrams), uid, ino, and with -p processes (name, pid, fd; with -T
    /// also tid). With --all-netns, there are also netns (ino and, if it has one, name), container
    /// (runtime, id, and if known pod and hostname) and cgroup. unknown names those of processes,
    /// container and cgroup that are not known. Numbers have no unit. A row that knetstat cannot parse
    /// has the keys file and raw.
    /// If the filter cannot be decided for some sockets, the last object has the keys undecided and
    /// reasons.
    #[arg(long, conflicts_with = "verbose")]
    pub json: bool,
    /// Fail if the filter cannot be decided for a socket
    ///
    /// A filter can test what is not known: an option that is hidden from this user, an option of a
    /// connection of which the kernel keeps only the addresses, or processes that this user may not
    /// examine. Such sockets are left out, and a note says how many and why. With --strict, the exit
    /// status is then 3. It is also 3 if a row cannot be parsed, and if --all-netns may lack sockets.
    #[arg(long)]
    pub strict: bool,
    /// Use colours on a terminal (auto), also elsewhere (always), or never
    ///
    /// With `auto`, the environment can switch colours off: NO_COLOR unless it is empty, CLICOLOR=0,
    /// and TERM=dumb. JSON never has colours. --no-color is the same as --color=never.
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true
    )]
    pub color: Color,
    #[command(flatten)]
    pub habits: Habits,
    /// Show only the sockets that FILTER selects; see below
    #[arg(id = "words", value_name = "FILTER", add = ArgValueCompleter::new(complete::filter))]
    pub filter: Vec<String>,
}

/// Parses the interval of `--watch`, in seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|n| (0.01..=86400.0).contains(n))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected a number from 0.01 to 86400".to_owned())
}

/// Rewrites what clap would not understand: `--watch 0.5` to `--watch=0.5`, `--no-color` to
/// `--color=never`, and `-n summary` to `summary -n`. A command that never has colours takes
/// `--no-color`, too.
///
/// `--watch` is defined to take a number only behind `=`. Otherwise clap would take the first word of a
/// filter for the number of seconds.
pub fn rewritten(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut rewritten: Vec<OsString> = Vec::new();
    let mut is_over = false;
    for arg in args {
        is_over |= arg == "--";
        let is_number = arg.to_str().is_some_and(|arg| arg.parse::<f64>().is_ok());
        match rewritten.last_mut() {
            Some(last) if !is_over && is_number && *last == "--watch" => {
                last.push("=");
                last.push(arg);
            }
            _ => rewritten.push(arg),
        }
    }
    // To build the definition takes a while, so this is done once.
    let parent = Cli::command();
    if let Some(at) = command_behind_flags(&parent, &rewritten) {
        rewritten[1..=at].rotate_right(1);
    }
    let name = rewritten.get(1).and_then(|name| name.to_str());
    let command = name.and_then(|name| parent.find_subcommand(name));
    let mut flags = command.unwrap_or(&parent).get_arguments();
    let has_color = flags.any(|flag| flag.get_id() == "color");
    let mut is_over = false;
    rewritten.retain_mut(|arg| {
        is_over |= arg == "--";
        let is_it = !is_over && arg == NO_COLOR;
        if is_it && has_color {
            *arg = "--color=never".into();
        }
        !is_it || has_color
    });
    rewritten
}

/// The conventional name of `--color=never`.
const NO_COLOR: &str = "--no-color";

/// The place of the name of a command that follows only flags, as with `alias knetstat='knetstat -n'`.
/// `None` if the command lacks one of the flags.
fn command_behind_flags(parent: &clap::Command, args: &[OsString]) -> Option<usize> {
    let mut flags = Vec::new();
    let mut at = 1;
    let command = loop {
        let text = args.get(at)?.to_str()?;
        if text == "--" {
            return None;
        }
        if text == NO_COLOR {
            at += 1;
            continue;
        }
        let Some(mut found) = flags_of(parent, text) else {
            break parent.find_subcommand(text)?;
        };
        if found.is_empty() {
            // The flag of a command, such as --by.
            let mut commands = parent.get_subcommands();
            let of_command = |command| flags_of(command, text).filter(|found| !found.is_empty());
            found = commands.find_map(of_command)?;
        }
        let (last, has_value) = found.last().copied()?;
        // Otherwise, the value is a part of the argument.
        let value_follows = last.get_action().takes_values() && !last.is_require_equals_set();
        at += 1 + usize::from(value_follows && !has_value);
        flags.extend(found.into_iter().map(|(flag, _)| flag));
    };
    let has = |flag: &&Arg| {
        let mut others = command.get_arguments();
        others.any(|other| other.get_id() == flag.get_id())
    };
    (at > 1 && flags.iter().all(has)).then_some(at)
}

/// The flags in an argument, each with whether its value is there, too. `None` if the argument is no
/// flag, and empty if it is one that the command lacks.
fn flags_of<'a>(command: &'a clap::Command, text: &str) -> Option<Vec<(&'a Arg, bool)>> {
    if let Some(long) = text.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let is_it = |arg: &&Arg| {
            let mut aliases = arg.get_all_aliases().unwrap_or_default().into_iter();
            arg.get_long() == Some(name) || aliases.any(|alias| alias == name)
        };
        let found = command.get_arguments().find(is_it);
        return Some(
            found
                .map(|arg| (arg, value.is_some()))
                .into_iter()
                .collect(),
        );
    }
    let letters = text.strip_prefix('-').filter(|rest| !rest.is_empty())?;
    let mut found = Vec::new();
    for (place, letter) in letters.char_indices() {
        let mut args = command.get_arguments();
        let Some(arg) = args.find(|arg| arg.get_short() == Some(letter)) else {
            return Some(Vec::new());
        };
        let is_last = letters.len() == place + letter.len_utf8();
        found.push((arg, !is_last));
        if arg.get_action().takes_values() {
            break;
        }
    }
    Some(found)
}

/// Tests that compare knetstat(8) with the arguments.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::filter::Filter;
    use crate::source::services::Services;
    use std::collections::BTreeSet;

    const PAGE: &str = include_str!("../../../../man/knetstat.8");

    /// The lines of a section or subsection.
    fn section(title: &str) -> Vec<&'static str> {
        let mut lines = PAGE.lines().skip_while(|line| *line != title);
        let kind = lines.next().expect(title).get(..4).unwrap();
        lines
            .take_while(|line| !line.starts_with(".Sh ") && !line.starts_with(kind))
            .collect()
    }

    /// The line of the page that begins the text on a flag.
    fn item(arg: &Arg) -> String {
        let values = arg.get_num_args().expect("a command that is built");
        let value = match arg.get_value_names() {
            // clap gives flags without a value a value name, too.
            Some(_) if !values.takes_values() => String::new(),
            Some([name]) if values.min_values() == 0 => format!(" Ns Op = Ns Ar {name}"),
            Some([name]) => format!(" Ar {name}"),
            _ => String::new(),
        };
        let long = arg.get_long().unwrap().replace('-', "\\-");
        match arg.get_short() {
            Some(short) => format!(".It Fl {short}{value} , Fl Fl {long}{value}"),
            None => format!(".It Fl Fl {long}{value}"),
        }
    }

    fn built() -> clap::Command {
        let mut command = Cli::command();
        command.build();
        command
    }

    #[test]
    fn the_page_has_each_flag_and_no_other() {
        let command = built();
        let of_all = std::iter::once(&command).chain(command.get_subcommands());
        let flags = of_all
            .flat_map(clap::Command::get_arguments)
            .filter(|arg| !arg.is_positional() && !arg.is_hide_set());
        let expected: BTreeSet<_> = flags.map(item).collect();
        let lines = section(".Sh OPTIONS");
        let items = lines.into_iter().filter(|line| line.starts_with(".It "));
        let found: Vec<_> = items.map(str::to_owned).collect();
        assert_eq!(found.len(), expected.len(), "the page has a flag twice");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    }

    /// The synopsis lists the flags of each command, except `--help` and `--version`.
    #[test]
    fn the_synopsis_has_each_flag_and_no_other() {
        let command = built();
        let mut of_commands: Vec<(String, BTreeSet<String>)> = Vec::new();
        for line in section(".Sh SYNOPSIS") {
            if line == ".Nm" {
                of_commands.push((String::new(), BTreeSet::new()));
                continue;
            }
            let (name, flags) = of_commands.last_mut().expect(".Nm first");
            match (line.strip_prefix(".Cm "), line.strip_prefix(".Op Fl ")) {
                (Some(command), _) => *name = command.to_owned(),
                (_, Some(flag)) if flag.contains(' ') => {
                    flags.insert(flag.to_owned());
                }
                (_, Some(letters)) => flags.extend(letters.chars().map(String::from)),
                _ => assert!(
                    line.starts_with(".Ar ") || line.starts_with(".Op Ar "),
                    "{line}"
                ),
            }
        }
        let subcommands = command.get_subcommands();
        let expected: BTreeSet<_> = std::iter::once((String::new(), &command))
            .chain(subcommands.map(|command| (command.get_name().to_owned(), command)))
            .map(|(name, command)| {
                let args = command.get_arguments();
                let flags =
                    args.filter(|arg| !arg.is_positional() && !arg.is_hide_set() && !is_alone(arg));
                let flags = flags.map(|arg| {
                    let item = item(arg);
                    let item = item.strip_prefix(".It Fl ").unwrap();
                    item.split(" , ").next().unwrap().to_owned()
                });
                (name, flags.collect::<BTreeSet<_>>())
            })
            .collect();
        assert_eq!(of_commands.len(), expected.len());
        assert_eq!(of_commands.into_iter().collect::<BTreeSet<_>>(), expected);
    }

    fn is_alone(arg: &Arg) -> bool {
        matches!(arg.get_id().as_str(), "help" | "version")
    }

    #[test]
    fn the_page_has_each_command_and_no_other() {
        let command = built();
        let commands = command.get_subcommands().map(clap::Command::get_name);
        let lines = section(".Ss Commands");
        let items = lines.iter().filter_map(|line| line.strip_prefix(".It Cm "));
        let found: Vec<_> = items.map(|item| item.split(' ').next().unwrap()).collect();
        let names: BTreeSet<_> = found.iter().copied().collect();
        assert_eq!(found.len(), names.len(), "the page has a command twice");
        assert_eq!(names, commands.collect::<BTreeSet<_>>());
    }

    /// The parser of filters knows all commands, whose names people type too late.
    #[test]
    fn commands_that_do_not_come_first() {
        for command in built().get_subcommands() {
            let name = command.get_name();
            let err = Filter::parse(&[name.to_owned()], &Services::parse(""));
            let err = err.unwrap_err().to_string();
            let expected = format!("{name} must be the first argument\n");
            assert!(err.starts_with(&expected), "{err}");
        }
    }

    /// A command may follow flags, as with an alias, if it has these flags.
    #[test]
    fn commands_behind_flags() {
        let rewritten = |line: &str| {
            let args = line.split(' ').map(OsString::from);
            let args = rewritten(std::iter::once("knetstat".into()).chain(args));
            let words = args[1..].iter().map(|arg| arg.to_str().unwrap());
            words.collect::<Vec<_>>().join(" ")
        };
        for (line, expected) in [
            ("-n summary", "summary -n"),
            ("-n summary -t sport 22", "summary -n -t sport 22"),
            ("-tan -N blue summary", "summary -tan -N blue"),
            ("-tanNblue summary", "summary -tanNblue"),
            ("-N blue copy", "copy -N blue"),
            ("--net=blue copy > x", "copy --net=blue > x"),
            ("--net blue metrics", "metrics --net blue"),
            ("--all-netns copy", "copy --all-netns"),
            (
                "--numeric-ports check rules.toml",
                "check --numeric-ports rules.toml",
            ),
            ("--no-color check", "check --color=never"),
            ("--no-color copy", "copy"),
            ("explain --no-color nodelay", "explain nodelay"),
            ("-f inet summary", "summary -f inet"),
            ("--by uid summary -t", "summary --by uid -t"),
            ("-t --by=uid metrics", "metrics -t --by=uid"),
            ("--nagios check rules.toml", "check --nagios rules.toml"),
            ("--rules metrics", "metrics --rules"),
            (
                "--limit 5 --output y metrics",
                "metrics --limit 5 --output y",
            ),
            ("-We summary", "summary -We"),
        ] {
            assert_eq!(rewritten(line), expected);
            let args = expected.split(' ').filter(|word| !"> x".contains(word));
            let cli = Cli::try_parse_from(std::iter::once("knetstat").chain(args));
            assert!(cli.unwrap().command.is_some(), "{expected}");
        }
        for line in [
            "summary -n",
            // These commands lack the flag.
            "-n copy",
            "-n explain nodelay",
            "--watch=1 summary",
            "-o uid summary",
            "--nope summary",
            // These are values and words of the filter.
            "-N summary",
            "-o summary",
            "--since copy",
            "sport 22 summary",
            "-n -- summary",
            "-n state summary",
            "-n",
            "-",
        ] {
            assert_eq!(rewritten(line), line);
        }
    }

    /// The page and the help name the options that the kernel changes, and no others.
    #[test]
    fn options_that_the_kernel_changes() {
        let all = crate::model::options::all().iter();
        let changed = all.filter(|info| info.is_changed_by_kernel);
        let mut changed: Vec<_> = changed.map(|info| info.name).collect();
        changed.sort_unstable();
        let (last, rest) = changed.split_last().unwrap();
        let list = format!("{} and {last}", rest.join(", "));
        let page = section(".Sh WATCHING").join("\n");
        let sentence = format!("by itself, even if a process sets them:\n{list}.\n");
        assert!(page.contains(&sentence), "{list}");
        let command = built();
        let watch = command.get_arguments().find(|arg| arg.get_id() == "watch");
        let summary = command.find_subcommand("summary").unwrap();
        let all = crate::model::options::all().iter();
        let mut with_ecn: Vec<_> = all.filter(|info| info.is_traffic_class).collect();
        with_ecn.sort_unstable_by_key(|info| std::cmp::Reverse(info.name));
        let with_ecn: Vec<_> = with_ecn.iter().map(|info| info.name).collect();
        let sentence = format!("\n{} of TCP sockets are shown", with_ecn.join(" and "));
        assert!(page.contains(&sentence), "{with_ecn:?}");
        let helps = [watch.unwrap().get_long_help(), summary.get_long_about()];
        for help in helps {
            let help = help.unwrap().to_string();
            assert!(help.contains(&list), "{list}\n{help}");
        }
    }

    /// The command can parse each example of the page.
    #[test]
    fn the_examples_are_understood() {
        let services = Services::parse("");
        let mut count = 0;
        for line in section(".Sh EXAMPLES") {
            let Some(typed) = line.strip_prefix(".Dl ") else {
                continue;
            };
            let typed = typed.replace("\\-", "-");
            let typed = typed.strip_prefix(['$', '#']).expect(&typed);
            let words = shlex::split(typed).expect(typed);
            let mut parts = words.split(|word| word == "|" || word == ">");
            let words = parts.next().unwrap();
            let cli = Cli::try_parse_from(rewritten(words.iter().map(OsString::from)))
                .unwrap_or_else(|err| panic!("{typed}: {err}"));
            assert_eq!(words[0], "knetstat");
            let filter = match &cli.command {
                None => &cli.list.filter,
                Some(Command::Summary(args)) => &args.list.filter,
                Some(Command::Check(check)) => &check.list.filter,
                Some(Command::Metrics(metrics)) => &metrics.list.filter,
                Some(Command::Copy(_)) => &Vec::new(),
                Some(Command::Explain { names }) => {
                    let found = crate::model::spelling::lookup(names);
                    assert!(found.is_ok(), "{found:?}");
                    &Vec::new()
                }
            };
            Filter::parse(filter, &services).unwrap_or_else(|err| panic!("{typed}: {err}"));
            count += 1;
        }
        assert!(count > 5, "{count}");
    }
}
