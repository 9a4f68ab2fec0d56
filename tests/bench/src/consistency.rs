// SPDX-License-Identifier: GPL-2.0

//! Long-lived sockets that a read misses or repeats while others come and go beside them, in our
//! files and in the kernel's own.
//!
//! [`Consistency::check`] is to be called once the figures are printed: of ours, it accepts
//! no row that is missing or repeated.

use crate::options::Options;
use crate::population::{
    Family,
    Kind,
    Population, //
};
use crate::progress::{
    note,
    Progress, //
};
use crate::table;
use anyhow::{
    ensure,
    Context,
    Result, //
};
use nix::sys::stat::fstat;
use rand::Rng;
use serde::Serialize;
use socket2::{
    Domain,
    SockAddr,
    Socket,
    Type, //
};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::net::{
    Ipv4Addr,
    Ipv6Addr,
    SocketAddr, //
};
use std::sync::atomic::{
    AtomicBool,
    AtomicU64,
    Ordering, //
};
use std::time::{
    Duration,
    Instant, //
};
use std::{
    fmt,
    thread, //
};

/// Bytes that a read(2) asks for.
const READ_SIZES: [usize; 2] = [4 << 10, 128 << 10];

/// Time for the kernel's files, which take longer.
const THEIR_TIME: Duration = Duration::from_secs(180);

/// What the long-lived sockets are, in thousandths of all.
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

/// Short-lived sockets that a thread has at a time, at most.
const POOL: usize = 100;

/// The pause between two short-lived sockets: some of them lock a crowded bucket for long.
const PAUSE: Duration = Duration::from_micros(200);

/// One of so many short connections ends in TIME_WAIT, which stays for a minute.
const TIME_WAITS: u32 = 64;

/// The directory of the files.
pub const PROC_NET: &str = "/proc/net";

/// A file of ours, and the kernel's own with the same sockets.
#[derive(Clone, Copy)]
struct Files {
    ours: &'static str,
    theirs: &'static str,
    is_tcp: bool,
    family: Family,
}

const FILES: [Files; 4] = [
    Files {
        ours: "tcpstat",
        theirs: "tcp",
        is_tcp: true,
        family: Family::V4,
    },
    Files {
        ours: "tcp6stat",
        theirs: "tcp6",
        is_tcp: true,
        family: Family::V6,
    },
    Files {
        ours: "udpstat",
        theirs: "udp",
        is_tcp: false,
        family: Family::V4,
    },
    Files {
        ours: "udp6stat",
        theirs: "udp6",
        is_tcp: false,
        family: Family::V6,
    },
];

/// What was read, and what was wrong with it.
#[derive(Serialize)]
pub struct Consistency {
    /// Long-lived sockets.
    sockets: usize,
    /// Of these, the UDP sockets on one port.
    udp_on_one_port: usize,
    /// Of these, the listeners on one port.
    listeners_on_one_port: usize,
    /// Sockets that were opened and closed beside them, a second.
    short_lived_per_second: f64,
    figures: Vec<Figures>,
}

/// The same with one of our files and with the kernel's.
#[derive(Serialize)]
struct Figures {
    read_size: usize,
    ours: Tally,
    theirs: Tally,
}

/// Reads of one file.
#[derive(Serialize)]
struct Tally {
    file: &'static str,
    reads: u64,
    /// All rows, those of short-lived sockets among them.
    rows: u64,
    /// Long-lived sockets that a read did not list, over all reads.
    missing: u64,
    /// Rows of long-lived sockets that the same read had listed already.
    repeated: u64,
}

/// Reads the files in turns beside the churn.
pub fn run(options: &Options) -> Result<Consistency> {
    let sockets = options.scale(20_000, 2_000);
    // With each size, so twice as many of each file.
    let reads = options.scale(500, 50);

    let mut long_lived = LongLived::open(sockets)?;
    let crowd = |kind| {
        let population = long_lived.of(kind).next();
        population.context("there is no such population")
    };
    let (udp, listeners) = (crowd(Kind::UdpOnePort)?, crowd(Kind::ReuseportListeners)?);
    let (udp_on_one_port, listeners_on_one_port) = (udp.rows(), listeners.rows());
    let churn = Churn::new(first_address(udp)?.port(), first_address(listeners)?);

    let mut figures = Vec::new();
    for read_size in READ_SIZES {
        for files in FILES {
            figures.push(Figures {
                read_size,
                ours: Tally::new(files.ours),
                theirs: Tally::new(files.theirs),
            });
        }
    }
    let (opened, elapsed) = thread::scope(|scope| {
        let workers = churn.start(scope);
        let begun = Instant::now();
        let result = {
            let _stop = StopAtEnd(&churn.stop);
            read_all(&mut long_lived, reads, &mut figures)
        };
        for worker in workers {
            worker.join().expect("no panic").context("the churn")?;
        }
        result?;
        anyhow::Ok((churn.opened.load(Ordering::Relaxed), begun.elapsed()))
    })?;
    Ok(Consistency {
        sockets,
        udp_on_one_port,
        listeners_on_one_port,
        short_lived_per_second: opened as f64 / elapsed.as_secs_f64(),
        figures,
    })
}

impl Consistency {
    /// Fails if a read of ours was not as it must be.
    pub fn check(&self) -> Result<()> {
        for Figures { ours, .. } in &self.figures {
            ensure!(
                ours.missing == 0 && ours.repeated == 0,
                "{}: {} rows are missing and {} are repeated",
                ours.file,
                ours.missing,
                ours.repeated
            );
        }
        Ok(())
    }
}

/// Reads every file so often with each size, as far as there is time for the kernel's.
fn read_all(long_lived: &mut LongLived, reads: usize, figures: &mut [Figures]) -> Result<()> {
    let mut progress = Progress::new("consistency: reading beside a churn", reads);
    let mut text = Vec::new();
    let mut their_time = Duration::ZERO;
    for _ in 0..reads {
        for (number, figures) in figures.iter_mut().enumerate() {
            let inodes = &mut long_lived.inodes[number % FILES.len()];
            text_of(figures.ours.file, figures.read_size, &mut text)?;
            figures.ours.add(&text, our_ino, inodes)?;
        }
        if their_time < THEIR_TIME {
            let begun = Instant::now();
            for (number, figures) in figures.iter_mut().enumerate() {
                let inodes = &mut long_lived.inodes[number % FILES.len()];
                text_of(figures.theirs.file, figures.read_size, &mut text)?;
                figures.theirs.add(&text, their_ino, inodes)?;
            }
            their_time += begun.elapsed();
        }
        progress.add(1);
    }
    Ok(())
}

/// Reads a whole file in pieces of `size` bytes.
fn text_of(file: &str, size: usize, text: &mut Vec<u8>) -> Result<()> {
    let path = format!("{PROC_NET}/{file}");
    let mut from = File::open(&path).with_context(|| path.clone())?;
    let mut end = 0;
    loop {
        if text.len() < end + size {
            text.resize(end + size, 0);
        }
        match from
            .read(&mut text[end..end + size])
            .context(path.clone())?
        {
            0 => break,
            n => end += n,
        }
    }
    text.truncate(end);
    Ok(())
}

/// The inode at the end of a row of ours. A minisock has none.
fn our_ino(row: &str) -> Option<u64> {
    let (rest, ino) = row.rsplit_once('=')?;
    rest.ends_with(",ino").then(|| ino.parse().ok())?
}

/// The inode in a row of `/proc/net/tcp` or `udp`.
fn their_ino(row: &str) -> Option<u64> {
    row.split_ascii_whitespace().nth(9)?.parse().ok()
}

impl Tally {
    fn new(file: &'static str) -> Self {
        Self {
            file,
            reads: 0,
            rows: 0,
            missing: 0,
            repeated: 0,
        }
    }

    /// Counts the rows of one read.
    fn add(
        &mut self,
        text: &[u8],
        ino: impl Fn(&str) -> Option<u64>,
        inodes: &mut Inodes,
    ) -> Result<()> {
        inodes.times.fill(0);
        for row in std::str::from_utf8(text)
            .context(self.file)?
            .lines()
            .skip(1)
        {
            self.rows += 1;
            if let Some(index) = ino(row).and_then(|ino| inodes.indexes.get(&ino)) {
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

/// The long-lived sockets of one file.
#[derive(Default)]
struct Inodes {
    indexes: HashMap<u64, usize>,
    /// How often the current read listed each.
    times: Vec<u32>,
}

/// The long-lived sockets.
struct LongLived {
    populations: Vec<(Kind, Population)>,
    /// In the order of [`FILES`].
    inodes: [Inodes; FILES.len()],
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
            let file = FILES
                .iter()
                .position(|file| file.is_tcp == kind.is_tcp() && file.family == family)
                .context("there is no such file")?;
            let inodes = &mut long_lived.inodes[file];
            for socket in population.sockets() {
                inodes
                    .indexes
                    .insert(fstat(socket)?.st_ino, inodes.times.len());
                inodes.times.push(0);
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

/// The address of the first socket of a population.
fn first_address(population: &Population) -> Result<SocketAddr> {
    let first = population.sockets().first().context("no sockets")?;
    first.local_addr()?.as_socket().context("no address")
}

/// Sets a flag at the end of a scope, however it is left.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Threads whose sockets come and go.
struct Churn {
    stop: AtomicBool,
    /// Sockets opened so far.
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

    /// Opens sockets until it is told to stop, and closes them in any order.
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
            // An address that the long-lived ones do not use.
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
        let mut table = table::with_header([
            "read size",
            "file",
            "reads",
            "rows",
            "missing",
            "repeated",
            "",
            "file",
            "reads",
            "rows",
            "missing",
            "repeated",
        ]);
        for Figures {
            read_size,
            ours,
            theirs,
        } in &self.figures
        {
            let mut cells = vec![format!("{} KiB", read_size >> 10)];
            cells.extend(ours.cells());
            cells.push(String::new());
            cells.extend(theirs.cells());
            table.add_row(cells);
        }
        write!(f, "{table}")?;
        let are_fewer = |figures: &Figures| figures.theirs.reads < figures.ours.reads;
        if self.figures.iter().any(are_fewer) {
            write!(
                f,
                "\nThe kernel's files were read as often as {} s allow.",
                THEIR_TIME.as_secs()
            )?;
        }
        Ok(())
    }
}

impl Tally {
    fn cells(&self) -> [String; 5] {
        [
            self.file.to_owned(),
            self.reads.to_string(),
            self.rows.to_string(),
            self.missing.to_string(),
            self.repeated.to_string(),
        ]
    }
}
