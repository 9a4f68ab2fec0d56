// SPDX-License-Identifier: GPL-2.0

//! `knetstat`: options of TCP and UDP sockets, and whose sockets they are.
//!
//! Reads `/proc/net/{tcp,tcp6,udp,udp6}stat`, which the module of this name makes, a row at a time,
//! and `/proc/PID/fd`. See knetstat(5) for what is in the rows.

mod cli;
mod filter;
mod netns;
mod options;
mod output;
mod process;
mod row;
mod services;

use crate::cli::{
    Cli,
    Command,
    List, //
};
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
use clap::Parser;
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
