// SPDX-License-Identifier: GPL-2.0

//! The command `knetstat` compared with ss: plain, with processes, with filters; time and memory.

use crate::options::Options;
use crate::population::{Family, Kind, Population};
use crate::progress::{note, Progress};
use crate::spawner::Spawner;
use crate::stats::{ratio, summary, Interval, Summary};
use crate::table::{digits, text, Columns};
use crate::turns::Turns;
use anyhow::{ensure, Context, Result};
use knetstat_child::{Child, EntryPoint};
use procfs::net::TcpState;
use serde::Serialize;
use std::fmt;
use std::fs;
use std::fs::File;
use std::io::{self, BufRead, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// The name of the command, before its path is known.
const OURS: &str = "knetstat";

/// A filter that no socket passes, one that all sockets pass, and one that only knetstat has.
const NONE: &[&str] = &["-tan", "dport", "=", ":9"];
const ALL: &[&str] = &["-tan", "src", "127.0.0.0/8"];
const OPTION: &[&str] = &["-tan", "TCP_NODELAY=1"];
/// All columns of the rows, without a filter.
const PLAIN: &[&str] = &["-tan"];
const PROCESSES: &[&str] = &["-tanp"];

/// The growth of memory that is accepted for a hundred times as many rows, in KiB. The number of
/// pages varies a little from run to run.
const SLACK: u64 = 256;

/// A number of sockets, and of processes that own them.
#[derive(Clone, Copy)]
pub struct Size {
    rows: usize,
    processes: usize,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, processes) = (digits(self.rows), digits(self.processes));
        write!(f, "{rows} TCP sockets of {processes} processes")
    }
}

/// No round starts after this time; a busy machine then gets fewer rounds.
const LIMIT: Duration = Duration::from_secs(120);

/// The least number of rounds, however long they take.
const LEAST_ROUNDS: usize = 3;

/// Runs for the peak of memory: a single one may end before its peak is seen.
const PEAKS: usize = 5;

/// The figures for one number of sockets.
#[derive(Serialize)]
pub struct Outcome {
    rows: usize,
    processes: usize,
    commands: Vec<Figures>,
}

/// The figures of a command.
#[derive(Serialize)]
struct Figures {
    command: String,
    is_ours: bool,
    /// The number of rows that it printed.
    printed: usize,
    seconds: Summary,
    /// Its time divided by that of knetstat with the same arguments.
    ratio_to_ours: Option<Interval>,
    /// Its peak of memory, in KiB.
    peak: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, processes) = (self.rows, self.processes);
        writeln!(
            f,
            "The command: {}, its output to /dev/null",
            Size { rows, processes }
        )?;
        let table = Columns::new()
            .column("command", |figures: &Figures| figures.command.clone())
            .column("rows printed", |figures| digits(figures.printed))
            .times("seconds", |figures| &figures.seconds)
            .column("times ours (95%)", |figures| text(&figures.ratio_to_ours))
            .column("peak KiB", |figures| digits(figures.peak as usize))
            .column("runs", |figures| figures.seconds.n.to_string())
            .of(&self.commands);
        write!(f, "{table}")
    }
}

/// Checks that memory does not grow with the number of rows, unless processes are asked for.
pub fn check(outcomes: &[Outcome]) -> Result<()> {
    let Some((first, more)) = outcomes.split_first() else {
        return Ok(());
    };
    for outcome in more {
        for figures in &outcome.commands {
            let before = first.commands.iter();
            let before = before.filter(|f| f.command == figures.command);
            for before in before.filter(|f| f.is_ours && !f.command.ends_with(PROCESSES[0])) {
                ensure!(
                    figures.peak <= before.peak + SLACK,
                    "{}: {} KiB with {} rows, {} with {}",
                    figures.command,
                    figures.peak,
                    digits(outcome.rows),
                    before.peak,
                    digits(first.rows)
                );
            }
        }
    }
    Ok(())
}

/// The sizes that are measured.
pub fn all(options: &Options) -> Vec<Size> {
    let size = |rows, processes| Size { rows, processes };
    if options.quick {
        vec![size(10_000, 100), size(30_000, 100)]
    } else {
        vec![size(10_000, 100), size(100_000, 1_000), size(1_000_000, 1)]
    }
}

/// The size that is measured without the module.
pub fn here(options: &Options) -> Size {
    Size {
        rows: options.scale(100_000, 10_000),
        processes: options.scale(1_000, 100),
    }
}

/// Lets ss and the command list the sockets.
pub fn run(size: Size, options: &Options, spawner: &mut Spawner) -> Result<Outcome> {
    let rounds = options.scale(9, 3);
    if size.processes > 1 {
        let _holders = Holders::start(size.processes, size.rows / size.processes)?;
        if options.here {
            write_files(&options.dir.join(FILES), size.rows)?;
        }
        let cases = [PLAIN, PROCESSES, NONE, ALL, OPTION];
        measure(size, &cases, rounds, options, spawner)
    } else {
        // The first process is this one.
        let _population = Population::of(Kind::Established, Family::V4, size.rows)?;
        measure(size, &[PLAIN, NONE, ALL, OPTION], rounds, options, spawner)
    }
}

/// A command with its arguments, and its times so far.
struct Contestant {
    name: String,
    command: Vec<String>,
    /// The index of knetstat with the same arguments, if this is another command.
    ours: Option<usize>,
    printed: usize,
    peak: u64,
    samples: Vec<f64>,
}

fn measure(
    size: Size,
    cases: &[&[&str]],
    rounds: usize,
    options: &Options,
    spawner: &mut Spawner,
) -> Result<Outcome> {
    let Size { rows, processes } = size;
    let ours = options.dir.join(OURS);
    let ours = ours.to_str().context("a path that is no text")?;
    let files = options.dir.join(FILES);
    let files = files.to_str().context("a path that is no text")?;
    let mut contestants: Vec<Contestant> = Vec::new();
    for &case in cases {
        let has_equal = case != OPTION;
        for name in [OURS, "ss"].into_iter().take(1 + usize::from(has_equal)) {
            let program = match name {
                OURS if options.here => vec!["sh", "-c", WITH_FILES, "sh", files, ours],
                OURS => vec![ours],
                _ => vec![name],
            };
            let command: Vec<_> = program
                .iter()
                .chain(case)
                .map(ToString::to_string)
                .collect();
            let expected = match case {
                NONE | OPTION => 0,
                _ => rows,
            };
            let is_ours = name == OURS;
            let name = format!("{name} {}", case.join(" "));
            note(format_args!("{} sockets: {name}", digits(rows)));
            let printed = spawner.count(&words(&command))?;
            // The first line is the header.
            ensure!(
                printed.lines == expected + 1,
                "{name} prints {} lines where {expected} rows pass",
                printed.lines
            );
            contestants.push(Contestant {
                ours: (!is_ours).then(|| contestants.len() - 1),
                peak: (0..PEAKS).try_fold(0, |peak, _| {
                    anyhow::Ok(spawner.peak(&words(&command))?.max(peak))
                })?,
                name,
                command,
                printed: expected,
                samples: Vec::new(),
            });
        }
    }
    let begun = Instant::now();
    let mut turns = Turns::of(contestants.len());
    for round in 0..rounds {
        if round >= LEAST_ROUNDS && begun.elapsed() > LIMIT {
            break;
        }
        for &i in turns.next_round() {
            let contestant = &mut contestants[i];
            let seconds = spawner.time(&words(&contestant.command))?;
            contestant.samples.push(seconds);
        }
        note(format_args!(
            "{} sockets: round {} of {rounds}",
            digits(rows),
            round + 1
        ));
    }
    let commands = contestants
        .iter()
        .map(|contestant| Figures {
            command: contestant.name.clone(),
            is_ours: contestant.ours.is_none(),
            printed: contestant.printed,
            seconds: summary(&contestant.samples),
            ratio_to_ours: contestant
                .ours
                .map(|ours| ratio(&contestant.samples, &contestants[ours].samples)),
            peak: contestant.peak,
        })
        .collect();
    Ok(Outcome {
        rows,
        processes,
        commands,
    })
}

/// The directory that [`write_files`] fills, and a script that runs a command with that directory
/// in place of `/proc/net`. The mount is on the directory of the shell's PID, which exec(3) keeps.
const FILES: &str = "net";
const WITH_FILES: &str = r#"mount --bind "$1" /proc/$$/net && shift && exec "$@""#;

/// The options in the row of such a connection, without its inode.
const OPTIONS: &str =
    "SO_REUSEADDR=0,SO_REUSEPORT=0,SO_KEEPALIVE=0,TCP_NODELAY=0,TCP_DEFER_ACCEPT=0";

/// Writes files as the module would show them, from `/proc/net/tcp`, which must list connections
/// only.
fn write_files(dir: &Path, rows: usize) -> Result<()> {
    fs::create_dir_all(dir)?;
    let mut written = 0;
    for (name, entries) in [
        ("tcpstat", procfs::net::tcp()?),
        ("tcp6stat", Vec::new()),
        ("udpstat", Vec::new()),
        ("udp6stat", Vec::new()),
    ] {
        let mut out = BufWriter::new(File::create(dir.join(name))?);
        writeln!(
            out,
            "Recv-Q Send-Q Local Address           Foreign Address         Stat Diag Options"
        )?;
        for entry in entries {
            ensure!(entry.state == TcpState::Established, "{entry:?}");
            writeln!(
                out,
                "{:6} {:6} {:23} {:23} ESTB      {OPTIONS},uid={},ino={}",
                entry.rx_queue,
                entry.tx_queue,
                entry.local_address.to_string(),
                entry.remote_address.to_string(),
                entry.uid,
                entry.inode
            )?;
            written += 1;
        }
        out.flush()?;
    }
    ensure!(written == rows, "{written} connections");
    Ok(())
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

/// The entry point of a process that has sockets open.
pub const HOLDER: EntryPoint = EntryPoint {
    name: "holder",
    main: hold,
};

/// Processes that have sockets open. Dropping this ends them.
struct Holders(Vec<Child>);

impl Holders {
    /// Starts this many processes, with this many sockets each.
    fn start(processes: usize, each: usize) -> Result<Self> {
        let mut progress = Progress::new("starting processes that have sockets open", processes);
        let mut holders = Self(Vec::with_capacity(processes));
        for _ in 0..processes {
            let mut child =
                Child::start(&HOLDER, &[each.to_string()]).context("starting a holder")?;
            // The line says that all its sockets are open.
            child.line()?.context("a holder has ended")?;
            holders.0.push(child);
            progress.add(1);
        }
        Ok(holders)
    }
}

impl Drop for Holders {
    fn drop(&mut self) {
        // All at once. Each closes its connections by itself, so that none is left in TIME_WAIT.
        self.0.iter_mut().for_each(Child::close);
        for child in self.0.drain(..) {
            let _ = child.end();
        }
    }
}

/// The main function of such a process.
fn hold(arguments: &[String]) -> Result<()> {
    let each = arguments.first().context("how many?")?.parse()?;
    let population = Population::of(Kind::Established, Family::V4, each)?;
    println!("{}", population.rows());
    io::stdin().lock().read_line(&mut String::new())?;
    Ok(())
}
