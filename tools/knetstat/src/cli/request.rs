// SPDX-License-Identifier: GPL-2.0

//! What a command line asks for: the query, the columns, and the format of the output.

use crate::cli::args::{Cli, List, OtherNetns};
use crate::model::columns::{self, Column, Content};
use crate::model::filter::{Filter, Scope};
use crate::model::owners::Ownerless;
use crate::model::query::{Outcome, Query};
use crate::model::states::States;
use crate::print::format::Format;
use crate::print::layout::Layout;
use crate::source::files::{Family, File, Netid};
use crate::source::netns;
use crate::source::services::Services;
use anyhow::Result;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal};
use std::process::ExitCode;

/// The exit status for a mistake on the command line.
pub const MISUSED: u8 = 2;

/// The exit status with `--strict` if not all sockets were read, parsed and decided.
pub const UNDECIDED: u8 = 3;

/// The hint for users of ss, where -o has another meaning.
pub const IN_SS: &str =
    "In ss, -o shows timers, which knetstat does not show: leave it out, or use ss -o";

impl OtherNetns {
    /// Enters the network namespace, if one is named.
    pub fn enter(&self) -> Result<()> {
        self.net.as_deref().map_or(Ok(()), netns::enter)
    }
}

impl List {
    pub fn files(&self) -> Vec<File> {
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
    pub fn scope(&self, own: Scope) -> Scope {
        match self.all_netns {
            true => Scope::All,
            false => own,
        }
    }

    /// Whether owners are printed.
    pub fn has_owners(&self) -> bool {
        self.processes || self.threads
    }

    /// The states that the flags select.
    pub fn states(&self) -> States {
        match (self.all, self.listening) {
            (true, _) => States::ALL,
            (_, true) => States::LISTENING,
            _ => States::DEFAULT,
        }
    }
}

/// A mistake on the command line, in a filter or in a file of rules.
#[derive(Debug)]
pub struct Misuse(String);

impl Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

/// Fails because of a mistake on the command line.
pub fn misused<T>(err: impl Display) -> Result<T> {
    Err(Misuse(err.to_string()).into())
}

/// Fails if a flag of ss is refused, or if `-A` comes with `-t` or `-u`.
pub fn check_flags(list: &List) -> Result<()> {
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
pub fn enter(list: &List) -> Result<Services> {
    list.other.enter()?;
    Ok(Services::load())
}

/// The query of a command line, in the network namespace that [`enter`] has entered: defaults come
/// from it.
pub fn query(list: &List, services: &Services, own: Scope) -> Result<Query> {
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
pub struct Chosen {
    pub columns: Vec<Column>,
    /// Whether the columns are added to those of the list.
    pub are_added: bool,
}

impl Chosen {
    /// Parses names of columns. The first one may have the prefix `+`, and the others then, too.
    pub fn parse(names: &[String], list: &List) -> Result<Option<Self>> {
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
pub fn format(list: &List, query: &Query, chosen: Option<&Chosen>, services: Services) -> Format {
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

/// The exit status of a command that has read the files.
pub fn status(query: &Query, outcome: &Outcome) -> ExitCode {
    match query.is_strict && !outcome.is_certain() {
        true => ExitCode::from(UNDECIDED),
        false => ExitCode::SUCCESS,
    }
}

/// The network namespace of a list, and whether its sockets are those of another time, too: one with
/// `--watch` is bound to an interface that comes later, and one in a copy to one that is gone.
pub fn own_scope(cli: &Cli) -> Scope {
    match cli.watch.is_some() || cli.since.is_some() {
        true => Scope::OwnAnytime,
        false => Scope::Own,
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::source::rights::tests::unshared;
    use clap::Parser;

    pub fn parse(args: &[&str]) -> Cli {
        Cli::try_parse_from(std::iter::once(&"knetstat").chain(args))
            .unwrap_or_else(|err| panic!("{err}"))
    }

    /// The name of the test that runs in a network namespace of its own.
    const OTHER: &str = "cli::request::tests::in_another_namespace";

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
}
