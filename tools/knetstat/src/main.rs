// SPDX-License-Identifier: GPL-2.0

//! `knetstat`: options of TCP and UDP sockets, and whose sockets they are.
//!
//! Reads `/proc/net/{tcp,tcp6,udp,udp6}stat`, which the module of this name makes, a row at a time,
//! and `/proc/PID/fd`. See knetstat(5) for what is in the rows.

mod filter;
mod netns;
mod options;
mod output;
mod process;
mod row;
mod services;

use crate::filter::{
    meant,
    Filter,
    States, //
};
use crate::output::{
    Kinds,
    Printer, //
};
use crate::process::Holders;
use crate::row::{
    Family,
    File,
    Netid,
    Row, //
};
use crate::services::Services;
use anyhow::{
    bail,
    Context,
    Result, //
};
use clap::{
    Args,
    Parser,
    Subcommand, //
};
use std::fs;
use std::io::{
    self,
    BufRead,
    BufReader,
    BufWriter,
    IsTerminal,
    Write, //
};
use std::path::Path;
use std::process::ExitCode;

const AFTER_HELP: &str = "\
Without -a, -l or a state, sockets are shown that neither listen nor are unconnected, in TIMW or in
SYNR: as ss does.

FILTER, in the words of ss:
  state STATE, exclude STATE    first of all; as ss names states, and all, connected, synchronized,
                                bucket and big
  src HOST, dst HOST            192.0.2.1, 192.0.2.0/24:443, [2001:db8::]/32:443, *:443
  sport OP PORT, dport OP PORT  = != < > <= >=, also eq neq lt gt le ge; :22, 22 or ssh
  and, or, not, ( )             `and` may be left out; it binds closer than `or`
and beside them:
  NAME                          the option is on or, if it is no flag, set
  NAME OP VALUE                 TCP_NODELAY=0, 'TCP_KEEPIDLE>350', SO_BINDTODEVICE=eth0
  diag                          the Diag column is not empty
  process=NAME, pid=N, uid=N, ino=N, backlog=N
An option that is not in a row has its default, if it has one and the socket can have the option:
TCP_KEEPIDLE that of net.ipv4.tcp_keepalive_time, where SO_KEEPALIVE is on. -v prints what was
assumed. `knetstat explain NAME` has defaults and units.

Exit status: 0; 1 if something could not be read; 2 if an option or the filter is wrong.";

/// Shows the options of TCP and UDP sockets, and whose sockets they are
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says what an option is: its value, its default, and when it is shown
    Explain {
        /// In any case, and also without what comes before the first `_`
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are flags")]
struct List {
    /// TCP sockets
    #[arg(short, long)]
    tcp: bool,
    /// UDP sockets
    #[arg(short, long)]
    udp: bool,
    /// IPv4 sockets
    #[arg(short = '4', long)]
    ipv4: bool,
    /// IPv6 sockets, also those that talk IPv4
    #[arg(short = '6', long)]
    ipv6: bool,
    /// Sockets that listen, and unconnected ones of UDP
    #[arg(short, long)]
    listening: bool,
    /// All sockets
    #[arg(short, long)]
    all: bool,
    /// Numbers rather than names of ports
    #[arg(short, long)]
    numeric: bool,
    /// Which processes have it open
    #[arg(short, long)]
    processes: bool,
    /// No line with the names of the columns
    #[arg(short = 'H', long)]
    no_header: bool,
    /// One option a line, and the defaults that the filter assumed
    #[arg(short, long)]
    verbose: bool,
    /// Sockets of another network namespace: its name, a process in it, or a path
    #[arg(short = 'N', long, value_name = "NAME")]
    net: Option<String>,
    /// A line of JSON for each socket
    ///
    /// Keys: netid, family, state, recv_q, send_q, local and foreign (address, port; 0 is none),
    /// diag (if there is one), options (if the kernel has them), backlog (of listeners), uid, ino,
    /// and with -p processes (name, pid, fd). Numbers are numbers, without their unit. A row that
    /// is not understood has the keys file and raw.
    #[arg(long, conflicts_with = "verbose")]
    json: bool,
    /// Which sockets; see below
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

impl List {
    fn files(&self) -> Vec<File> {
        let (tcp, udp) = (self.tcp || !self.udp, self.udp || !self.tcp);
        let (ipv4, ipv6) = (self.ipv4 || !self.ipv6, self.ipv6 || !self.ipv4);
        let mut files = Vec::new();
        for (netid, _) in [(Netid::Udp, udp), (Netid::Tcp, tcp)]
            .iter()
            .filter(|(_, is)| *is)
        {
            for (family, _) in [(Family::Inet, ipv4), (Family::Inet6, ipv6)]
                .iter()
                .filter(|(_, is)| *is)
            {
                files.push(File {
                    netid: *netid,
                    family: *family,
                });
            }
        }
        files
    }

    /// The states that the flags ask for.
    fn states(&self) -> States {
        match (self.all, self.listening) {
            (true, _) => States::ALL,
            (_, true) => States::LISTENING,
            _ => States::DEFAULT,
        }
    }
}

/// Where the files of this network namespace are.
const NET: &str = "/proc/self/net";

fn list(list: &List) -> Result<()> {
    let services = Services::load();
    if let Some(name) = &list.net {
        netns::enter(name)?;
    }
    // After that: defaults are those of the namespace.
    let filter = match Filter::parse(&list.filter, &services) {
        Ok(filter) => filter,
        Err(err) => {
            eprintln!("knetstat: {err}");
            std::process::exit(2);
        }
    };
    let states = filter.states.unwrap_or_else(|| list.states());
    if states == States::NONE {
        bail!("no state is left that could be shown");
    }
    let holders = match list.processes || filter.of_processes {
        true => Some(Holders::scan().context("/proc")?),
        false => None,
    };

    let stdout = io::stdout();
    let mut printer = Printer::new(
        (!list.numeric).then_some(services),
        list.processes,
        list.verbose,
    );
    if stdout.is_terminal() {
        let size = terminal_size::terminal_size();
        printer.width = Some(size.map_or(80, |(width, _)| width.0.into()));
    }
    printer.color = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
    if list.verbose {
        let asked = filter.options.iter();
        printer.asked = asked.map(|info| (*info, options::defaults(info))).collect();
    }
    let kinds = Kinds::new();
    let mut out = BufWriter::with_capacity(64 << 10, stdout.lock());

    let mut is_first = true;
    let mut odd = 0usize;
    let mut line = Vec::new();
    for file in list.files() {
        let Some(mut reader) = open(file)? else {
            continue;
        };
        if is_first && !list.no_header && !list.json {
            printer.header(&mut out)?;
        }
        is_first = false;
        // Its header.
        reader
            .read_until(b'\n', &mut line)
            .with_context(|| file.name())?;
        loop {
            line.clear();
            if reader
                .read_until(b'\n', &mut line)
                .with_context(|| file.name())?
                == 0
            {
                break;
            }
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let Some(row) = Row::parse(file, line) else {
                odd += 1;
                match list.json {
                    true => output::json_raw(&mut out, file, line)?,
                    false => printer.raw(&mut out, line)?,
                }
                continue;
            };
            let of_row = holders
                .as_ref()
                .map_or(&[][..], |holders| holders.of(row.ino));
            if !states.has(row.state) || !filter.matches(&row, of_row) {
                continue;
            }
            match list.json {
                true => output::json(&mut out, &row, list.processes.then_some(of_row), &kinds)?,
                false => printer.row(&mut out, &row, of_row)?,
            }
        }
    }
    out.flush()?;
    if is_first {
        eprintln!("knetstat: this kernel has no such sockets");
    }
    if odd > 0 {
        eprintln!(
            "knetstat: {odd} rows are shown as they are: they are not such as this version knows"
        );
    }
    if let Some(hidden) = holders
        .map(|holders| holders.hidden)
        .filter(|hidden| *hidden > 0)
    {
        eprintln!(
            "knetstat: could not look into {hidden} processes, which takes their rights or root"
        );
    }
    Ok(())
}

/// Opens a file. `None`: there are no such sockets, since the kernel has no IPv6.
fn open(file: File) -> Result<Option<BufReader<fs::File>>> {
    let path = Path::new(NET).join(file.name());
    match fs::File::open(&path) {
        Ok(opened) => Ok(Some(BufReader::with_capacity(128 << 10, opened))),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            if !Path::new(NET).join("tcpstat").exists() {
                bail!("the module knetstat is not loaded; as root: modprobe knetstat");
            }
            Ok(None)
        }
        Err(err) => Err(err).with_context(|| path.display().to_string()),
    }
}

fn explain(names: &[String]) -> Result<()> {
    let mut out = String::new();
    for name in names {
        let found = options::find_all(name);
        if found.is_empty() {
            let near = options::similar(name);
            bail!("there is no option {name:?}{}", meant(&near));
        }
        for info in found {
            if !out.is_empty() {
                out.push('\n');
            }
            out += &options::explain(info);
        }
    }
    io::stdout().lock().write_all(out.as_bytes())?;
    Ok(())
}

/// Whether somebody reads no more, such as `head`.
fn is_broken_pipe(err: &anyhow::Error) -> bool {
    err.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|err| err.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Some(Command::Explain { names }) => explain(names),
        None => list(&cli.list),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) if is_broken_pipe(&err) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("knetstat: {err:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(args: &[&str]) -> Cli {
        Cli::try_parse_from(std::iter::once(&"knetstat").chain(args))
            .unwrap_or_else(|err| panic!("{err}"))
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
        let cli = parse(&["explain", "nodelay"]);
        assert!(matches!(cli.command, Some(Command::Explain { names }) if names == ["nodelay"]));
        assert!(Cli::try_parse_from(["knetstat", "--nope"]).is_err());
    }
}
