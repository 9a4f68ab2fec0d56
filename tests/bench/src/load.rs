// SPDX-License-Identifier: GPL-2.0

//! The slowdown of a load on loopback while our file, or the kernel's own, is read.
//!
//! Every round has one interval without a reader and one with each reader, in turn, so that other
//! work on the machine affects all of them. Our reader gets more rows in an interval than the
//! other one. So there are also readers that start a read at the same fixed times.
//!
//! The reader runs on the last CPU; the workers of the load get the CPUs from the first one on.
//! With fewer workers than CPUs they do not share a CPU with the reader, and their loss is due to
//! locks and caches. On loopback, the CPU that sends also receives, in a BH.
//!
//! In UML, the threads of a process take turns in user space, so the reader and each worker are
//! processes of their own. A load can be slower alone than with a reader, probably because waking
//! an idle CPU costs system calls of the host. That would favour slow readers. So in every
//! interval, a process of the lowest priority keeps the last CPU busy.

use crate::options::Options;
use crate::population::{Family, Kind, Population};
use crate::progress::Progress;
use crate::stats::{median, summary, Summary};
use crate::table::{text, Columns};
use anyhow::{bail, ensure, Context, Result};
use knetstat_child::{Child, EntryPoint};
use nix::errno::Errno;
use nix::sched::{sched_setaffinity, CpuSet};
use nix::unistd::Pid;
use serde::Serialize;
use socket2::{SockAddr, Socket};
use std::fs::File;
use std::hint::spin_loop;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, thread};

/// Bytes of a request, of a response and of a datagram.
const MESSAGE: usize = 64;

/// Connections of a worker.
const CONNECTIONS: usize = 8;

/// Datagrams sent before they are received.
const BURST: u64 = 32;

/// The size that a reader calls read(2) with, in bytes.
const READ_SIZE: usize = 128 << 10;

/// The slower one of the paced readers reads for one part in this many of the time.
const PACE: f64 = 2.5;

/// The longest sleep of a reader before it checks whether it is to stop.
const NAP: Duration = Duration::from_millis(5);

/// No round of a load starts after this time; a busy machine then gets fewer rounds.
const LIMIT: Duration = Duration::from_secs(60);

/// The least number of rounds, however long they take.
const LEAST_ROUNDS: usize = 3;

/// The number of whole reads from which the time of one is computed.
const CALIBRATION: usize = 3;

/// The figures of all loads.
#[derive(Serialize)]
pub struct Load {
    /// Other sockets in the file that is read.
    sockets: usize,
    rounds: usize,
    /// The length of an interval without a reader, or with one that never pauses, in seconds.
    interval: f64,
    loads: Vec<Figures>,
}

/// The figures of one load.
#[derive(Serialize)]
struct Figures {
    load: &'static str,
    /// Operations per second without a reader.
    per_second: Summary,
    readers: Vec<Beside>,
}

/// The figures of a load with one reader.
#[derive(Serialize)]
struct Beside {
    file: &'static str,
    /// Whole reads per second that the reader aims at; `None`: as many as possible.
    pace: Option<f64>,
    /// Rows per second that the reader got, the median of all rounds.
    rows_per_second: f64,
    /// Operations per second, relative to those without a reader in the same round.
    ratio: Summary,
}

/// A load: its kind, the number of workers, and the files that the readers read.
struct Plan {
    name: &'static str,
    workers: usize,
    kind: Kind,
    ours: &'static str,
    theirs: &'static str,
    work: fn() -> Result<Box<dyn Work>>,
}

const PLANS: [Plan; 4] = [
    Plan {
        name: "TCP requests, 1 worker",
        workers: 1,
        work: PingPong::start,
        ..TCP
    },
    Plan {
        name: "TCP requests, 2 workers",
        workers: 2,
        work: PingPong::start,
        ..TCP
    },
    Plan {
        name: "TCP connections, 1 worker",
        workers: 1,
        work: Connect::start,
        ..TCP
    },
    Plan {
        name: "UDP flood, 1 worker",
        workers: 1,
        kind: Kind::Udp,
        ours: "udpstat",
        theirs: "udp",
        work: Flood::start,
    },
];

const TCP: Plan = Plan {
    name: "",
    workers: 1,
    kind: Kind::Established,
    ours: "tcpstat",
    theirs: "tcp",
    work: PingPong::start,
};

/// Runs every load.
pub fn run(options: &Options) -> Result<Load> {
    let sockets = options.scale(20_000, 4_000);
    let rounds = options.scale(12, 4);
    let interval = Duration::from_millis(options.scale(500, 200));
    let mut loads = Vec::new();
    let mut others: Option<(Kind, Population)> = None;
    for plan in PLANS {
        if others.as_ref().is_none_or(|(kind, _)| *kind != plan.kind) {
            // The sockets of the load before are closed first.
            drop(others.take());
            others = Some((plan.kind, Population::of(plan.kind, Family::V4, sockets)?));
        }
        loads.push(plan.run(rounds, interval).context(plan.name)?);
    }
    Ok(Load {
        sockets,
        rounds,
        interval: interval.as_secs_f64(),
        loads,
    })
}

/// A reader that is to be started.
#[derive(Clone, Copy)]
struct Reader {
    file: &'static str,
    /// The time from the start of a read to the start of the next one.
    period: Option<Duration>,
}

/// The figures of an interval.
struct Sample {
    operations_per_second: f64,
    rows_per_second: f64,
}

impl Plan {
    fn run(&self, rounds: usize, interval: Duration) -> Result<Figures> {
        let mut times = Vec::new();
        for _ in 0..CALIBRATION {
            let begun = Instant::now();
            let rows = read_rows(self.theirs, &AtomicBool::new(false))?;
            ensure!(rows > 0, "{} has no rows", self.theirs);
            times.push(begun.elapsed().as_secs_f64());
        }
        let period = Duration::from_secs_f64(median(&times) * PACE);
        // Whole periods, so that each interval has the same number of reads.
        let periods = interval.div_duration_f64(period).ceil();
        let paced_interval = period.mul_f64(periods);

        let reader = |file, period| Some(Reader { file, period });
        let intervals = [
            (None, interval),
            (reader(self.ours, None), interval),
            (reader(self.theirs, None), interval),
            (reader(self.ours, Some(period)), paced_interval),
            (reader(self.theirs, Some(period)), paced_interval),
        ];
        let mut samples: [Vec<Sample>; 5] = Default::default();
        let _occupant = companion(&[OCCUPY.to_owned()])?;
        let mut progress = Progress::new(format!("load: {}", self.name), rounds);
        let begun = Instant::now();
        // The first round warms up.
        for round in 0..=rounds {
            if round > LEAST_ROUNDS && begun.elapsed() >= LIMIT {
                break;
            }
            for turn in 0..intervals.len() {
                let turn = (turn + round) % intervals.len();
                let (reader, interval) = intervals[turn];
                let sample = self.measure(reader, interval)?;
                if round > 0 {
                    samples[turn].push(sample);
                }
            }
            progress.add(usize::from(round > 0));
        }

        let alone: Vec<f64> = operations(&samples[0]).collect();
        let readers = intervals
            .iter()
            .zip(&samples)
            .filter_map(|((reader, _), samples)| {
                let Reader { file, period } = (*reader)?;
                let ratios: Vec<f64> = operations(samples)
                    .zip(&alone)
                    .map(|(beside, alone)| beside / alone)
                    .collect();
                let rows: Vec<f64> = samples
                    .iter()
                    .map(|sample| sample.rows_per_second)
                    .collect();
                Some(Beside {
                    file,
                    pace: period.map(|period| period.as_secs_f64().recip()),
                    rows_per_second: median(&rows),
                    ratio: summary(&ratios),
                })
            })
            .collect();
        Ok(Figures {
            load: self.name,
            per_second: summary(&alone),
            readers,
        })
    }

    /// Runs all workers for an interval, with a reader if there is one.
    fn measure(&self, reader: Option<Reader>, interval: Duration) -> Result<Sample> {
        let reader = reader.map(Reader::start).transpose()?;
        let mut workers = (0..self.workers)
            .map(|cpu| companion(&[WORK.to_owned(), self.name.to_owned(), cpu.to_string()]))
            .collect::<Result<Vec<_>>>()?;
        thread::sleep(interval);
        for worker in &mut workers {
            worker.close();
        }
        let mut operations_per_second = 0.0;
        for worker in workers {
            operations_per_second += stop(worker)?;
        }
        Ok(Sample {
            operations_per_second,
            rows_per_second: reader.map_or(Ok(0.0), stop)?,
        })
    }

    /// Works until it is told to stop. Returns the operations per second.
    fn work_again_and_again(&self, cpu: usize) -> Result<f64> {
        let mut work = (self.work)()?;
        stay_on(cpu)?;
        let stop = begin();
        let begun = Instant::now();
        let mut operations = 0;
        while !stop.load(Ordering::Relaxed) {
            operations += work.step()?;
        }
        Ok(operations as f64 / begun.elapsed().as_secs_f64())
    }
}

fn operations(samples: &[Sample]) -> impl Iterator<Item = f64> + '_ {
    samples.iter().map(|sample| sample.operations_per_second)
}

/// Keeps the calling thread on a CPU, or on the last one if there are fewer.
fn stay_on(cpu: usize) -> Result<()> {
    let last = thread::available_parallelism()?.get() - 1;
    let mut set = CpuSet::new();
    set.set(cpu.min(last))?;
    sched_setaffinity(Pid::from_raw(0), &set).context("sched_setaffinity")
}

/// The last CPU, see [`stay_on`].
const LAST: usize = usize::MAX;

/// The entry point of a companion: a process that works until its input ends, and then prints how
/// much it did per second.
pub const COMPANION: EntryPoint = EntryPoint {
    name: "companion",
    main: accompany,
};

/// The task of a companion that keeps the last CPU busy.
const OCCUPY: &str = "occupy";

/// The task of a reader. Arguments: a file, and the period in microseconds if there is one.
const READ: &str = "read";

/// The task of a worker. Arguments: the name of the load, and a CPU.
const WORK: &str = "work";

/// The line that a companion prints when it begins.
const READY: &str = "ready";

/// Starts a companion, and waits until it begins.
fn companion(arguments: &[String]) -> Result<Child> {
    let mut companion = Child::start(&COMPANION, arguments).context("starting a companion")?;
    let said = companion.line().context("a companion")?;
    ensure!(said.as_deref() == Some(READY), "a companion says {said:?}");
    Ok(companion)
}

/// Ends a companion, and returns how much it did per second.
fn stop(mut companion: Child) -> Result<f64> {
    companion.close();
    let said = companion.line().context("a companion")?;
    let said = said.unwrap_or_default();
    said.parse()
        .with_context(|| format!("a companion says {said:?}"))
}

/// The main function of a companion.
fn accompany(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [OCCUPY] => return occupy(),
        [READ, file] => read_again_and_again(file, None)?,
        [READ, file, period] => {
            read_again_and_again(file, Some(Duration::from_micros(period.parse()?)))?
        }
        [WORK, load, cpu] => {
            let mut plans = PLANS.iter();
            let plan = plans
                .find(|plan| plan.name == load)
                .context("no such load")?;
            plan.work_again_and_again(cpu.parse()?)?
        }
        _ => bail!("no companion does {arguments:?}"),
    };
    println!("{done}");
    Ok(())
}

/// Prints that the companion begins. The flag that is returned gets true when it is to stop.
fn begin() -> &'static AtomicBool {
    let stop = &*Box::leak(Box::new(AtomicBool::new(false)));
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stop.store(true, Ordering::Relaxed);
    });
    println!("{READY}");
    stop
}

/// Keeps the last CPU busy at the lowest priority, until it is told to stop.
fn occupy() -> Result<()> {
    stay_on(LAST)?;
    let stop = begin();
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: The kernel only reads the structure.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const priority) };
    Errno::result(result).context("sched_setscheduler")?;
    while !stop.load(Ordering::Relaxed) {
        spin_loop();
    }
    Ok(())
}

/// Reads until it is told to stop. Returns the rows per second.
fn read_again_and_again(file: &str, period: Option<Duration>) -> Result<f64> {
    stay_on(LAST)?;
    let stop = begin();
    let begun = Instant::now();
    let mut rows = 0;
    let mut next = begun;
    while !stop.load(Ordering::Relaxed) {
        rows += read_rows(file, stop)?;
        if let Some(period) = period {
            next += period;
            while !stop.load(Ordering::Relaxed) {
                match next.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => thread::sleep(left.min(NAP)),
                    _ => break,
                }
            }
        }
    }
    Ok(rows as f64 / begun.elapsed().as_secs_f64())
}

impl Reader {
    fn start(self) -> Result<Child> {
        let mut arguments = vec![READ.to_owned(), self.file.to_owned()];
        arguments.extend(self.period.map(|period| period.as_micros().to_string()));
        companion(&arguments)
    }
}

/// Reads a file to its end, or until it is told to stop, and counts the rows.
fn read_rows(file: &str, stop: &AtomicBool) -> Result<usize> {
    let path = format!("{}/{file}", crate::consistency::PROC_NET);
    let mut from = File::open(&path).with_context(|| path.clone())?;
    let mut buf = vec![0; READ_SIZE];
    let mut lines: usize = 0;
    while !stop.load(Ordering::Relaxed) {
        match from.read(&mut buf).with_context(|| path.clone())? {
            0 => break,
            n => lines += memchr::memchr_iter(b'\n', &buf[..n]).count(),
        }
    }
    // The first line is the header.
    Ok(lines.saturating_sub(1))
}

/// The work of a worker.
trait Work {
    /// Does some operations, and returns their number.
    fn step(&mut self) -> Result<u64>;
}

/// Requests and responses over connections that stay. One worker has both ends, so no time is
/// spent on waking another process.
struct PingPong {
    connections: Vec<[TcpStream; 2]>,
}

impl PingPong {
    fn start() -> Result<Box<dyn Work>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = TcpStream::connect(listener.local_addr()?)?;
            let (server, _) = listener.accept()?;
            for end in [&client, &server] {
                end.set_nodelay(true)?;
            }
            connections.push([client, server]);
        }
        Ok(Box::new(Self { connections }))
    }
}

impl Work for PingPong {
    fn step(&mut self) -> Result<u64> {
        for [client, server] in &mut self.connections {
            exchange(client, server)?;
        }
        Ok(CONNECTIONS as u64)
    }
}

/// A request and a response.
fn exchange(client: &mut (impl Read + Write), server: &mut (impl Read + Write)) -> Result<()> {
    let mut message = [b'x'; MESSAGE];
    client.write_all(&message)?;
    server.read_exact(&mut message)?;
    server.write_all(&message)?;
    client.read_exact(&mut message)?;
    Ok(())
}

/// A connection for each request, ended by RST so that no TIME_WAIT is left.
struct Connect {
    listener: Socket,
    to: SockAddr,
}

impl Connect {
    fn start() -> Result<Box<dyn Work>> {
        let listener = Socket::from(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
        let to = listener.local_addr()?;
        Ok(Box::new(Self { listener, to }))
    }
}

impl Work for Connect {
    fn step(&mut self) -> Result<u64> {
        let mut client = Socket::new(self.to.domain(), socket2::Type::STREAM, None)?;
        client.connect(&self.to).context("connect")?;
        let (mut server, _) = self.listener.accept().context("accept")?;
        exchange(&mut client, &mut server)?;
        client.set_linger(Some(Duration::ZERO))?;
        Ok(1)
    }
}

/// Datagrams to one port.
struct Flood {
    from: UdpSocket,
    to: UdpSocket,
}

impl Flood {
    fn start() -> Result<Box<dyn Work>> {
        let to = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let from = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        from.connect(to.local_addr()?)?;
        Ok(Box::new(Self { from, to }))
    }
}

impl Work for Flood {
    fn step(&mut self) -> Result<u64> {
        let mut message = [b'x'; MESSAGE];
        for _ in 0..BURST {
            self.from.send(&message)?;
        }
        for _ in 0..BURST {
            self.to.recv(&mut message)?;
        }
        Ok(BURST)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Load: operations a second beside a reader, relative to those without one, with {} \
             other sockets (median and quartiles of up to {} intervals of {:.1} s or more)",
            self.sockets, self.rounds, self.interval
        )?;
        // Each reader of each load. The first one also shows the figures without a reader.
        let mut rows = Vec::new();
        for load in &self.loads {
            for (number, beside) in load.readers.iter().enumerate() {
                rows.push(((number == 0).then_some(load), beside));
            }
        }
        let table = Columns::new()
            .column("load", |(load, _): &(Option<&Figures>, &Beside)| {
                text(&load.map(|load| load.load))
            })
            .column("alone, 1/s", |(load, _)| {
                text(&load.map(|load| format!("{:.0}", load.per_second.median)))
            })
            .column("reader", |(_, beside)| beside.file.to_owned())
            .column("reads/s", |(_, beside)| {
                beside
                    .pace
                    .map_or("all it can".to_owned(), |pace| format!("{pace:.1}"))
            })
            .column("rows/s", |(_, beside)| {
                format!("{:.0}", beside.rows_per_second)
            })
            .column("beside it", |(_, beside)| {
                format!("{:.3}", beside.ratio.median)
            })
            .column("quartiles", |(_, beside)| {
                format!("{:.3}-{:.3}", beside.ratio.q1, beside.ratio.q3)
            })
            .of(&rows);
        write!(f, "{table}")
    }
}
