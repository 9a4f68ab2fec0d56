// SPDX-License-Identifier: GPL-2.0

//! The arguments of the command.

use crate::cli::{complete, help};
use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::ArgValueCompleter;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Shows the options of TCP and UDP sockets, and whose sockets they are
#[derive(Debug, Parser)]
#[command(
    version = env!("KNETSTAT_VERSION"),
    after_help = help::after_help(),
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub list: List,
    /// What comes, goes and changes from now on, looked for every so many seconds (1), until ^C
    ///
    /// A line for each: `came`, `went` (with -p whose it was) or `changed`, and what it was and
    /// is: TCP_NODELAY=0->1, `unset` if it was not in the row. State, addresses, ports, options,
    /// backlog, user and inode count as changes; queues, diagnostics and processes do not, and
    /// neither does TCP_QUICKACK, which the kernel switches by itself. A socket that the filter
    /// lets pass no more `went`, too, with what changed. With --json, what happened is in the keys
    /// time, event and changes (name: old, new; null if it was not in the row), and recv_q,
    /// send_q, diag and TCP_QUICKACK are left out; the first object has the event `began` and the
    /// number of sockets.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_parser = seconds
    )]
    pub watch: Option<Duration>,
    /// What has come, gone and changed since FILE, a copy of the files
    ///
    /// It is made by: cat /proc/net/tcp*stat /proc/net/udp*stat > FILE. What is printed is as with
    /// --watch, without `began`, and with the time at which it was seen. A socket is known by its
    /// inode, so both have to be of one boot and one network namespace.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "watch")]
    pub since: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Says what an option is: its value, its default, and when it is shown
    Explain {
        /// In any case, and also without what comes before the first `_`
        #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(complete::names))]
        names: Vec<String>,
    },
    /// Counts sockets: by state, by process and by their options
    ///
    /// Which ones is said as for the list. A socket that several processes have open is counted for
    /// each. Sockets have the same options if they differ in TCP_QUICKACK only, which the kernel
    /// switches by itself. With -p, processes of one name are told apart; -v prints one option a
    /// line; -n changes nothing. With --json, each count is an object: count, by (all, state,
    /// process, options), and what it is of: netid and state; name (null if none is known) and with
    /// -p pid; options.
    #[command(after_help = "FILTER: see knetstat --help.")]
    Summary(List),
}

#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are flags")]
pub struct List {
    /// TCP sockets
    #[arg(short, long)]
    pub tcp: bool,
    /// UDP sockets
    #[arg(short, long)]
    pub udp: bool,
    /// IPv4 sockets
    #[arg(short = '4', long)]
    pub ipv4: bool,
    /// IPv6 sockets, also those that talk IPv4
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Sockets that listen, and unconnected ones of UDP
    #[arg(short, long)]
    pub listening: bool,
    /// All sockets
    #[arg(short, long)]
    pub all: bool,
    /// Numbers rather than names of ports
    #[arg(short, long)]
    pub numeric: bool,
    /// Which processes have it open
    #[arg(short, long)]
    pub processes: bool,
    /// No line with the names of the columns
    #[arg(short = 'H', long)]
    pub no_header: bool,
    /// One option a line, and the defaults that the filter assumed
    #[arg(short, long)]
    pub verbose: bool,
    /// Sockets of another network namespace: its name, a process in it, or a path
    #[arg(
        short = 'N',
        long,
        value_name = "NAME",
        add = ArgValueCompleter::new(complete::namespaces)
    )]
    pub net: Option<String>,
    /// A line of JSON for each socket
    ///
    /// Keys: netid, family, state, recv_q, send_q, local and foreign (address, port; 0 is none),
    /// diag (if there is one), options (if the kernel has them), backlog (of listeners), uid, ino,
    /// and with -p processes (name, pid, fd). Numbers are numbers, without their unit. A row that
    /// is not understood has the keys file and raw.
    #[arg(long, conflicts_with = "verbose")]
    pub json: bool,
    /// Which sockets; see below
    #[arg(value_name = "FILTER", add = ArgValueCompleter::new(complete::filter))]
    pub filter: Vec<String>,
}

/// A number of seconds that somebody may want to wait.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|n| (0.01..=86400.0).contains(n))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number from 0.01 to 86400 is expected".to_owned())
}

/// Makes `--watch 0.5` the `--watch=0.5` that is understood. The definition cannot say so: it would
/// take the first word of a filter for a number of seconds.
pub fn joined(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut is_over = false;
    for arg in args {
        is_over |= arg == "--";
        let is_number = arg.to_str().is_some_and(|arg| arg.parse::<f64>().is_ok());
        match joined.last_mut() {
            Some(last) if !is_over && is_number && *last == "--watch" => {
                last.push("=");
                last.push(arg);
            }
            _ => joined.push(arg),
        }
    }
    joined
}

/// The manual page is about this command line.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::filter::Filter;
    use crate::source::services::Services;
    use clap::{Arg, CommandFactory};
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

    /// What begins the text on a flag.
    fn item(arg: &Arg) -> String {
        let values = arg.get_num_args().expect("a command that is built");
        let value = match arg.get_value_names() {
            // Flags have a name of a value, too.
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
            .filter(|arg| !arg.is_positional());
        let expected: BTreeSet<_> = flags.map(item).collect();
        let lines = section(".Sh OPTIONS");
        let items = lines.into_iter().filter(|line| line.starts_with(".It "));
        let found: Vec<_> = items.map(str::to_owned).collect();
        assert_eq!(found.len(), expected.len(), "one is there twice");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    }

    /// In its synopsis each command has its flags, but for those that go alone.
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
                let flags = args.filter(|arg| !arg.is_positional() && !is_alone(arg));
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
        assert_eq!(found.len(), names.len(), "one is there twice");
        assert_eq!(names, commands.collect::<BTreeSet<_>>());
    }

    /// Examples, and what the sections say in passing.
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
            let words = words.split(|word| word == "|").next().unwrap();
            let cli = Cli::try_parse_from(joined(words.iter().map(OsString::from)))
                .unwrap_or_else(|err| panic!("{typed}: {err}"));
            assert_eq!(words[0], "knetstat");
            let filter = match &cli.command {
                None => &cli.list.filter,
                Some(Command::Summary(list)) => &list.filter,
                Some(Command::Explain { names }) => {
                    for name in names {
                        assert!(!crate::model::options::find_all(name).is_empty(), "{name}");
                    }
                    &Vec::new()
                }
            };
            Filter::parse(filter, &services).unwrap_or_else(|err| panic!("{typed}: {err}"));
            count += 1;
        }
        assert!(count > 5, "{count}");
    }
}
