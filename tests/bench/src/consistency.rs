// SPDX-License-Identifier: GPL-2.0

//! Long-lived sockets that a read misses or repeats while other sockets come and go. The readers
//! are our files, the kernel's own files, ss (which uses `sock_diag`), and the BPF iterators if the
//! kernel has them.
//!
//! [`Consistency::check`] is to be called after the figures are printed. It fails if one of our
//! files missed or repeated a row.

use crate::bpf;
use crate::options::Options;
use crate::population::{Family, Kind, Population};
use crate::progress::{note, Progress};
use crate::table::{text, Columns};
use anyhow::{ensure, Context, Result};
use nix::sys::stat::fstat;
use rand::Rng;
use serde::Serialize;
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, thread};

/// The sizes that read(2) is called with, in bytes.
const READ_SIZES: [usize; 2] = [4 << 10, 128 << 10];

/// The time for all readers but ours together; some of them are slow.
const THEIR_TIME: Duration = Duration::from_secs(180);

/// The same if all code is emulated; then there are fewer sockets and fewer reads.
const THEIR_TIME_EMULATED: Duration = Duration::from_secs(2400);

/// The kinds of long-lived sockets, in thousandths of all.
const LONG_LIVED: [(Kind, Family, usize); 8] = [
    (Kind::Established, Family::V4, 200),
    (Kind::Established, Family::V6, 200),
    (Kind::Listeners, Family::V4, 50),
    (Kind::Listeners, Family::V6, 50),
    (Kind::ReuseportListeners, Family::V4, 100),
    (Kind::Udp, Family::V4, 150),
    (Kind::Udp, Family::V6, 150),
    (Kind::UdpOnePort, Family::V4, 100),
];

/// The most short-lived sockets that a thread has at a time.
const POOL: usize = 100;

/// The pause between two short-lived sockets. Some of them lock a crowded bucket for long.
const PAUSE: Duration = Duration::from_micros(200);

/// One short connection in this many ends in TIME_WAIT, which stays for a minute.
const TIME_WAITS: u32 = 64;

/// The directory of the files.
pub const PROC_NET: &str = "/proc/net";

/// The sockets that a reader lists.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Scope {
    is_tcp: bool,
    /// `None`: both.
    family: Option<Family>,
}

impl Scope {
    const fn of(is_tcp: bool, family: Option<Family>) -> Self {
        Self { is_tcp, family }
    }

    fn has(self, kind: Kind, family: Family) -> bool {
        self.is_tcp == kind.is_tcp() && self.family.is_none_or(|its| its == family)
    }
}

const SCOPES: [Scope; 6] = [
    Scope::of(true, Some(Family::V4)),
    Scope::of(true, Some(Family::V6)),
    Scope::of(true, None),
    Scope::of(false, Some(Family::V4)),
    Scope::of(false, Some(Family::V6)),
    Scope::of(false, None),
];

/// Something that lists sockets.
#[derive(Clone, Copy)]
struct Reader {
    name: &'static str,
    is_ours: bool,
    /// Whether there is a line before the rows.
    has_header: bool,
    source: Source,
    /// Finds the inode in a row, if it has one.
    ino: fn(&str) -> Option<u64>,
}

#[derive(Clone, Copy)]
enum Source {
    /// A file, read with each of [`READ_SIZES`].
    File(&'static str),
    /// A command. It is run as often as a file is read in all sizes together.
    Command(&'static [&'static str]),
}

impl Reader {
    const fn ours(name: &'static str, path: &'static str) -> Self {
        Self {
            name,
            is_ours: true,
            has_header: true,
            source: Source::File(path),
            ino: our_ino,
        }
    }

    const fn proc(path: &'static str) -> Self {
        Self {
            is_ours: false,
            ino: their_ino,
            ..Self::ours(path, path)
        }
    }

    const fn ss(name: &'static str, command: &'static [&'static str]) -> Self {
        Self {
            name,
            is_ours: false,
            has_header: true,
            source: Source::Command(command),
            ino: ss_ino,
        }
    }

    const fn iterator(name: &'static str, path: &'static str) -> Self {
        Self {
            name,
            is_ours: false,
            has_header: false,
            source: Source::File(path),
            ino: iterator_ino,
        }
    }

    /// All that list these sockets, ours first.
    fn all(scope: Scope, has_iterators: bool) -> Vec<Self> {
        let (ss, iterator) = match (scope.is_tcp, scope.family) {
            (true, Some(Family::V4)) => {
                return vec![
                    Self::ours("tcpstat", "/proc/net/tcpstat"),
                    Self::proc("/proc/net/tcp"),
                ]
            }
            (true, Some(Family::V6)) => {
                return vec![
                    Self::ours("tcp6stat", "/proc/net/tcp6stat"),
                    Self::proc("/proc/net/tcp6"),
                ]
            }
            (false, Some(Family::V4)) => {
                return vec![
                    Self::ours("udpstat", "/proc/net/udpstat"),
                    Self::proc("/proc/net/udp"),
                ]
            }
            (false, Some(Family::V6)) => {
                return vec![
                    Self::ours("udp6stat", "/proc/net/udp6stat"),
                    Self::proc("/proc/net/udp6"),
                ]
            }
            // With -e for the inodes, and a line for each socket.
            (true, None) => (
                Self::ss("ss -tan", &["ss", "-tan", "-eO"]),
                Self::iterator("iter/tcp", bpf::TCP),
            ),
            (false, None) => (
                Self::ss("ss -uan", &["ss", "-uan", "-eO"]),
                Self::iterator("iter/udp", bpf::UDP),
            ),
        };
        match has_iterators {
            true => vec![ss, iterator],
            false => vec![ss],
        }
    }
}

/// The reads of all readers, and what was wrong with them.
#[derive(Serialize)]
pub struct Consistency {
    /// The number of long-lived sockets.
    sockets: usize,
    /// The number of UDP sockets on one port among these.
    udp_on_one_port: usize,
    /// The number of listeners on one port among these.
    listeners_on_one_port: usize,
    /// Sockets that were opened and closed meanwhile, per second.
    short_lived_per_second: f64,
    /// Whether the time of the other readers was up before the last round.
    others_cut_short: bool,
    /// The reason why the BPF iterators are missing, if they are.
    why_no_iterators: Option<String>,
    figures: Vec<Tally>,
}

/// The reads of one reader.
#[derive(Serialize)]
struct Tally {
    reader: &'static str,
    /// The size that read(2) is called with, in bytes; `None` for a command.
    read_size: Option<usize>,
    is_ours: bool,
    /// Long-lived sockets that each read must list.
    sockets: usize,
    reads: u64,
    /// All rows, including those of short-lived sockets.
    rows: u64,
    /// Long-lived sockets that a read did not list, over all reads.
    missing: u64,
    /// Rows of long-lived sockets that the same read had listed already.
    repeated: u64,
}

/// A reader with one size, and its reads so far.
struct Contestant {
    reader: Reader,
    /// The index in [`SCOPES`].
    scope: usize,
    /// Reads in a round.
    each_round: usize,
    tally: Tally,
}

/// Reads the files in turn while sockets come and go.
pub fn run(options: &Options) -> Result<Consistency> {
    // Rounds for each size of read(2); each file is read twice as often.
    let (sockets, rounds, their_time) = match options.is_emulated() {
        true => (
            options.scale(5_000, 2_000),
            options.scale(100, 50),
            THEIR_TIME_EMULATED,
        ),
        false => (
            options.scale(20_000, 2_000),
            options.scale(500, 50),
            THEIR_TIME,
        ),
    };

    let mut long_lived = LongLived::open(sockets)?;
    let crowd = |kind| {
        let population = long_lived.of(kind).next();
        population.context("there is no such population")
    };
    let (udp, listeners) = (crowd(Kind::UdpOnePort)?, crowd(Kind::ReuseportListeners)?);
    let (udp_on_one_port, listeners_on_one_port) = (udp.rows(), listeners.rows());
    let churn = Churn::new(first_address(udp)?.port(), first_address(listeners)?);

    let why_no_iterators = bpf::pin(&options.dir).err();
    let mut contestants = Vec::new();
    for (scope, long_lived) in long_lived.inodes.iter().enumerate() {
        for reader in Reader::all(SCOPES[scope], why_no_iterators.is_none()) {
            let (sizes, each_round) = match reader.source {
                Source::File(_) => (READ_SIZES.map(Some).to_vec(), 1),
                Source::Command(_) => (vec![None], READ_SIZES.len()),
            };
            contestants.extend(sizes.into_iter().map(|read_size| Contestant {
                reader,
                scope,
                each_round,
                tally: Tally::new(&reader, read_size, long_lived.times.len()),
            }));
        }
    }
    let (opened, elapsed, others_cut_short) = thread::scope(|scope| {
        let workers = churn.start(scope);
        let begun = Instant::now();
        let result = {
            let _stop = StopAtEnd(&churn.stop);
            read_all(&mut long_lived, rounds, their_time, &mut contestants)
        };
        for worker in workers {
            worker.join().expect("no panic").context("the churn")?;
        }
        let opened = churn.opened.load(Ordering::Relaxed);
        anyhow::Ok((opened, begun.elapsed(), result?))
    })?;
    Ok(Consistency {
        sockets,
        udp_on_one_port,
        listeners_on_one_port,
        short_lived_per_second: opened as f64 / elapsed.as_secs_f64(),
        others_cut_short,
        why_no_iterators: why_no_iterators.map(|reason| format!("{reason:#}")),
        figures: contestants.into_iter().map(|one| one.tally).collect(),
    })
}

impl Consistency {
    /// Fails if a read of our files missed or repeated a socket.
    pub fn check(&self) -> Result<()> {
        for tally in self.figures.iter().filter(|tally| tally.is_ours) {
            ensure!(
                tally.missing == 0 && tally.repeated == 0,
                "{}: {} rows are missing and {} are repeated",
                tally.reader,
                tally.missing,
                tally.repeated
            );
        }
        Ok(())
    }
}

/// Runs all readers in turn for a number of rounds. Readers other than ours stop when their time is
/// up; returns whether that happened before the last round.
fn read_all(
    long_lived: &mut LongLived,
    rounds: usize,
    most_for_others: Duration,
    contestants: &mut [Contestant],
) -> Result<bool> {
    let mut progress = Progress::new("consistency: reading beside a churn", rounds);
    let mut text = Vec::new();
    let mut their_time = Duration::ZERO;
    let mut is_time_up = false;
    for _ in 0..rounds {
        is_time_up = their_time >= most_for_others;
        for one in contestants.iter_mut() {
            if !one.reader.is_ours && is_time_up {
                continue;
            }
            let begun = Instant::now();
            for _ in 0..one.each_round {
                match (one.reader.source, one.tally.read_size) {
                    (Source::Command(command), _) => output_of(command, &mut text)?,
                    (Source::File(path), size) => text_of(path, size.unwrap_or(1), &mut text)?,
                }
                let inodes = &mut long_lived.inodes[one.scope];
                one.tally.add(&text, &one.reader, inodes)?;
            }
            if !one.reader.is_ours {
                their_time += begun.elapsed();
            }
        }
        progress.add(1);
    }
    Ok(is_time_up)
}

/// Reads a whole file in pieces of `size` bytes.
fn text_of(path: &str, size: usize, text: &mut Vec<u8>) -> Result<()> {
    let mut from = File::open(path).with_context(|| path.to_owned())?;
    let mut end = 0;
    loop {
        if text.len() < end + size {
            text.resize(end + size, 0);
        }
        match from
            .read(&mut text[end..end + size])
            .with_context(|| path.to_owned())?
        {
            0 => break,
            n => end += n,
        }
    }
    text.truncate(end);
    Ok(())
}

/// Runs a command.
fn output_of(command: &[&str], text: &mut Vec<u8>) -> Result<()> {
    let (program, arguments) = command.split_first().context("no command")?;
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| command.join(" "))?;
    ensure!(
        output.status.success() && output.stderr.is_empty(),
        "{}: {}: {}",
        command.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    *text = output.stdout;
    Ok(())
}

/// The inode at the end of a row of our files. A minisock has none.
fn our_ino(row: &str) -> Option<u64> {
    let (rest, ino) = row.rsplit_once('=')?;
    rest.ends_with(",ino").then(|| ino.parse().ok())?
}

/// The inode in a row of `/proc/net/tcp` or `udp`.
fn their_ino(row: &str) -> Option<u64> {
    row.split_ascii_whitespace().nth(9)?.parse().ok()
}

/// The inode in a row of ss. Minisocks and orphans have none.
fn ss_ino(row: &str) -> Option<u64> {
    let mut fields = row.split_ascii_whitespace();
    fields
        .find_map(|field| field.strip_prefix("ino:"))?
        .parse()
        .ok()
}

/// The inode that the BPF iterator prints.
fn iterator_ino(row: &str) -> Option<u64> {
    row.parse().ok()
}

impl Tally {
    fn new(reader: &Reader, read_size: Option<usize>, sockets: usize) -> Self {
        Self {
            reader: reader.name,
            read_size,
            is_ours: reader.is_ours,
            sockets,
            reads: 0,
            rows: 0,
            missing: 0,
            repeated: 0,
        }
    }

    /// Counts the rows of one read.
    fn add(&mut self, text: &[u8], reader: &Reader, inodes: &mut Inodes) -> Result<()> {
        inodes.times.fill(0);
        for row in std::str::from_utf8(text)
            .context(reader.name)?
            .lines()
            .skip(usize::from(reader.has_header))
        {
            self.rows += 1;
            if let Some(index) = (reader.ino)(row).and_then(|ino| inodes.indexes.get(&ino)) {
                inodes.times[*index] += 1;
            }
        }
        self.reads += 1;
        for times in &inodes.times {
            match *times {
                0 => self.missing += 1,
                n => self.repeated += u64::from(n - 1),
            }
        }
        Ok(())
    }
}

/// The long-lived sockets of one of [`SCOPES`].
#[derive(Default)]
struct Inodes {
    indexes: HashMap<u64, usize>,
    /// The number of times that the current read has listed each socket.
    times: Vec<u32>,
}

/// The long-lived sockets.
struct LongLived {
    populations: Vec<(Kind, Population)>,
    /// In the order of [`SCOPES`].
    inodes: [Inodes; SCOPES.len()],
}

impl LongLived {
    fn open(sockets: usize) -> Result<Self> {
        note(format_args!("consistency: opening {sockets} sockets"));
        let mut long_lived = Self {
            populations: Vec::new(),
            inodes: Default::default(),
        };
        for (kind, family, share) in LONG_LIVED {
            let population = Population::of(kind, family, sockets * share / 1000)?;
            if kind == Kind::Udp {
                // Half of them are bound, half of them connected as well.
                for socket in population.sockets().iter().step_by(2) {
                    let mut to = socket.local_addr()?.as_socket().context("no address")?;
                    to.set_port(9);
                    socket.connect(&to.into()).context("connect")?;
                }
            }
            for (scope, inodes) in SCOPES.iter().zip(&mut long_lived.inodes) {
                if !scope.has(kind, family) {
                    continue;
                }
                for socket in population.sockets() {
                    inodes
                        .indexes
                        .insert(fstat(socket)?.st_ino, inodes.times.len());
                    inodes.times.push(0);
                }
            }
            long_lived.populations.push((kind, population));
        }
        Ok(long_lived)
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Population> {
        let same = move |(its, _): &&(Kind, Population)| *its == kind;
        self.populations
            .iter()
            .filter(same)
            .map(|(_, population)| population)
    }
}

/// The local address of the first socket of a population.
fn first_address(population: &Population) -> Result<SocketAddr> {
    let first = population.sockets().first().context("no sockets")?;
    first.local_addr()?.as_socket().context("no address")
}

/// A guard that sets a flag when it is dropped.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Threads that open and close sockets.
struct Churn {
    stop: AtomicBool,
    /// The number of sockets opened so far.
    opened: AtomicU64,
    /// The port of the crowded bucket of the UDP table.
    udp_port: u16,
    /// The address of the crowded bucket of listeners.
    listeners: SocketAddr,
}

impl Churn {
    fn new(udp_port: u16, listeners: SocketAddr) -> Self {
        Self {
            stop: AtomicBool::new(false),
            opened: AtomicU64::new(0),
            udp_port,
            listeners,
        }
    }

    fn start<'s, 'e>(
        &'e self,
        scope: &'s thread::Scope<'s, 'e>,
    ) -> Vec<thread::ScopedJoinHandle<'s, Result<()>>> {
        vec![
            scope.spawn(|| self.connections(Ipv4Addr::LOCALHOST.into())),
            scope.spawn(|| self.connections(Ipv6Addr::LOCALHOST.into())),
            scope.spawn(|| self.udp()),
            scope.spawn(|| self.listeners()),
        ]
    }

    /// Opens sockets until the flag is set, and closes them in random order.
    fn run(&self, mut open: impl FnMut() -> Result<[Socket; 2]>) -> Result<()> {
        let mut rng = rand::rng();
        let mut pool = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            pool.extend(open()?);
            self.opened.fetch_add(2, Ordering::Relaxed);
            if pool.len() >= POOL {
                for _ in 0..rng.random_range(1..POOL) {
                    pool.swap_remove(rng.random_range(0..pool.len()));
                }
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Short TCP connections.
    fn connections(&self, ip: std::net::IpAddr) -> Result<()> {
        let domain = Domain::for_address((ip, 0).into());
        let listener = Socket::new(domain, Type::STREAM, None)?;
        listener.bind(&SocketAddr::new(ip, 0).into())?;
        listener.listen(16)?;
        let to = listener.local_addr()?;
        let mut rng = rand::rng();
        self.run(|| {
            let client = Socket::new(domain, Type::STREAM, None)?;
            client.connect(&to).context("connect")?;
            let (server, _) = listener.accept().context("accept")?;
            if !rng.random_ratio(1, TIME_WAITS) {
                client.set_linger(Some(Duration::ZERO))?;
            }
            client.send(&[b'x'; 64])?;
            Ok([client, server])
        })
    }

    /// UDP sockets, in the crowded bucket and anywhere else.
    fn udp(&self) -> Result<()> {
        let mut rng = rand::rng();
        self.run(|| {
            // An address that no long-lived socket uses.
            let ip = Ipv4Addr::new(127, 100, rng.random(), rng.random());
            let crowded = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
            crowded.set_reuse_address(true)?;
            crowded.bind(&SocketAddr::from((ip, self.udp_port)).into())?;
            crowded.connect(&SocketAddr::from((ip, 9)).into())?;
            let elsewhere = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
            elsewhere.bind(&SocketAddr::from((Ipv6Addr::LOCALHOST, 0)).into())?;
            Ok([crowded, elsewhere])
        })
    }

    /// Listeners, in the crowded bucket and anywhere else.
    fn listeners(&self) -> Result<()> {
        let addresses: [SockAddr; 2] = [
            self.listeners.into(),
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into(),
        ];
        self.run(|| {
            let mut sockets = Vec::new();
            for address in &addresses {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                socket.set_reuse_port(true)?;
                socket.bind(address)?;
                socket.listen(1)?;
                sockets.push(socket);
            }
            Ok(sockets.try_into().expect("two"))
        })
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Consistency: {} long-lived sockets, among them {} UDP sockets on one port and {} \
             listeners on one port; beside them, {:.0} sockets a second come and go",
            self.sockets,
            self.udp_on_one_port,
            self.listeners_on_one_port,
            self.short_lived_per_second
        )?;
        let table = Columns::new()
            .column("reader", |tally: &Tally| tally.reader.to_owned())
            .column("read size", |tally| {
                text(&tally.read_size.map(|size| format!("{} KiB", size >> 10)))
            })
            .column("sockets", |tally| tally.sockets.to_string())
            .column("reads", |tally| tally.reads.to_string())
            .column("rows", |tally| tally.rows.to_string())
            .column("missing", |tally| tally.missing.to_string())
            .column("repeated", |tally| tally.repeated.to_string())
            .of(&self.figures);
        write!(f, "{table}")?;
        if self.others_cut_short {
            write!(f, "\nThe others read as often as there was time for.")?;
        }
        if let Some(reason) = &self.why_no_iterators {
            write!(f, "\nWithout the BPF iterators: {reason}.")?;
        }
        Ok(())
    }
}
