// SPDX-License-Identifier: GPL-2.0

//! Background readers for the load tests. They read all four files, in any network namespace, with
//! random sizes and seeks. The text must satisfy the grammar.

use crate::grammar;
use crate::rows::File;
use anyhow::{ensure, Context, Result};
use rand::seq::IndexedRandom;
use rand::Rng;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

/// The number of readers that run.
pub const READERS: usize = 4;

/// The work of all readers so far.
#[derive(Default)]
pub struct Counts {
    /// Files opened, read to their end and closed.
    pub listings: AtomicU64,
    /// read(2) and pread(2).
    pub calls: AtomicU64,
    /// Seeks: backwards within the listing, forwards, and to its beginning or near it.
    pub seeks: AtomicU64,
    /// Rows that were whole, and satisfied the grammar.
    pub rows: AtomicU64,
    /// Listings in another namespace than the reader's.
    pub elsewhere: AtomicU64,
}

impl Counts {
    pub fn listings(&self) -> u64 {
        self.listings.load(Ordering::Relaxed)
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} listings read to the end ({} of another namespace), by {} read calls with {} \
             seeks; {} rows",
            self.listings(),
            self.elsewhere.load(Ordering::Relaxed),
            self.calls.load(Ordering::Relaxed),
            self.seeks.load(Ordering::Relaxed),
            self.rows.load(Ordering::Relaxed)
        )
    }
}

/// A part of a listing without a gap.
struct Piece {
    start: u64,
    bytes: Vec<u8>,
}

impl Piece {
    fn at(start: u64) -> Self {
        Self {
            start,
            bytes: Vec::new(),
        }
    }

    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Adds the bytes that were read at `position`. Those that are known already must be the same.
    fn take(&mut self, position: u64, read: &[u8]) -> Result<()> {
        let known = &self.bytes[(position - self.start) as usize..];
        let both = known.len().min(read.len());
        ensure!(
            known[..both] == read[..both],
            "read again at {position}, there is {:?} instead of {:?}",
            String::from_utf8_lossy(&read[..both]),
            String::from_utf8_lossy(&known[..both])
        );
        self.bytes.extend_from_slice(&read[both..]);
        Ok(())
    }

    fn check(&self, file: File, to_end: bool, counts: &Counts) -> Result<()> {
        let rows = grammar::check_piece(file, &self.bytes, self.start == 0, to_end)?;
        counts.rows.fetch_add(rows as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// Reads a file to its end, in random pieces and with seeks. False if it was not there, or went
/// away meanwhile.
fn read_once(file: File, path: &Path, rng: &mut impl Rng, counts: &Counts) -> Result<bool> {
    let mut from = match fs::File::open(path) {
        Ok(from) => from,
        Err(err) => return gone(err).context("open"),
    };
    let largest = *[300, 5_000, 70_000, 300_000].choose(rng).unwrap_or(&5_000);
    let mut buf = vec![0; largest];
    let mut piece = Piece::at(0);
    // Where the next read begins, and where the last one began.
    let (mut position, mut begin) = (0, 0);
    let mut jumps = 0;
    for call in 0_u64.. {
        // Reading a large listing in small pieces would take forever.
        if call > 400 && buf.len() < 300_000 {
            buf.resize(300_000, 0);
        }
        let mut seek = None;
        if position > begin && rng.random_ratio(1, 12) && jumps < 6 {
            jumps += 1;
            let target = match rng.random_range(0..4) {
                // This goes on with the same listing, whose text is the same.
                0 | 1 => rng.random_range(begin + 1..=position),
                2 => position + rng.random_range(1..30_000),
                // This begins a new one.
                _ if rng.random() => 0,
                _ => rng.random_range(0..=begin),
            };
            if target > piece.end() || target <= begin {
                piece.check(file, false, counts)?;
                piece = Piece::at(target);
            }
            position = target;
            seek = Some(target);
            counts.seeks.fetch_add(1, Ordering::Relaxed);
        }
        let size = rng.random_range(1..=buf.len());
        let read = if rng.random_ratio(1, 3) {
            // pread(2) leaves the position where it was.
            from.read_at(&mut buf[..size], position).and_then(|n| {
                from.seek(SeekFrom::Start(position + n as u64))?;
                Ok(n)
            })
        } else {
            seek.map_or(Ok(0), |target| from.seek(SeekFrom::Start(target)))
                .and_then(|_| from.read(&mut buf[..size]))
        };
        counts.calls.fetch_add(1, Ordering::Relaxed);
        let n = match read {
            Ok(n) => n,
            Err(err) => {
                piece.check(file, false, counts)?;
                return gone(err).with_context(|| format!("read at {position}"));
            }
        };
        if n == 0 {
            ensure!(
                position == piece.end(),
                "an end at {position}, where there was text"
            );
            // A jump beyond the end says nothing of it.
            let is_whole = !piece.bytes.is_empty();
            piece.check(file, is_whole, counts)?;
            break;
        }
        piece.take(position, &buf[..n])?;
        begin = position;
        position += n as u64;
    }
    counts.listings.fetch_add(1, Ordering::Relaxed);
    Ok(true)
}

/// Returns false for an error that says that the file or its process is gone, and fails for any
/// other. EIO, or EINVAL from lseek(2): the file is open, but its module or namespace is gone.
pub fn gone(err: io::Error) -> Result<bool> {
    match err.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH | libc::EINVAL | libc::ENXIO | libc::EIO) => Ok(false),
        _ => Err(err.into()),
    }
}

/// The directory of the files of this namespace, or of a process or thread in another one.
fn somewhere(rng: &mut impl Rng, processes: &[PathBuf]) -> PathBuf {
    match processes.choose(rng) {
        Some(process) if rng.random() => process.join("net"),
        _ => PathBuf::from("/proc/thread-self/net"),
    }
}

/// The processes or threads in another network namespace than the calling thread.
fn processes(below: &Path) -> Vec<PathBuf> {
    let namespace = |path: &Path| fs::read_link(path.join("ns/net")).ok();
    let own = namespace(Path::new("/proc/thread-self"));
    let entries = fs::read_dir(below).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| namespace(path).is_some_and(|other| Some(other) != own))
        .collect()
}

/// Reads until `stop`, also the files of the processes or threads that the directory `below` lists.
/// Pauses for longer while `is_ahead`. Fails at the first error.
pub fn read_on(
    below: &Path,
    stop: &AtomicBool,
    counts: &Counts,
    is_ahead: impl Fn() -> bool,
) -> Result<()> {
    let mut rng = rand::rng();
    let mut all = Vec::new();
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if number % 16 == 0 {
            all = processes(below);
        }
        let begun = Instant::now();
        let file = *File::ALL.choose(&mut rng).unwrap_or(&File::Tcp);
        let at = somewhere(&mut rng, &all);
        let is_elsewhere = !at.starts_with("/proc/thread-self");
        let path = at.join(file.name());
        let read =
            read_once(file, &path, &mut rng, counts).with_context(|| format!("{}", path.display()));
        if let Err(err) = read {
            stop.store(true, Ordering::Relaxed);
            return Err(err);
        }
        if is_elsewhere && matches!(read, Ok(true)) {
            counts.elsewhere.fetch_add(1, Ordering::Relaxed);
        }
        // The four readers have priority and take half of the CPU time; the load gets the rest.
        let rest = if is_ahead() { 30 } else { 4 };
        thread::sleep(
            (begun.elapsed() * rest).clamp(Duration::from_micros(500), Duration::from_millis(200)),
        );
    }
    Ok(())
}

/// Gives the calling thread a real-time priority.
pub fn come_first() -> Result<()> {
    let param = libc::sched_param { sched_priority: 1 };
    // SAFETY: The kernel reads the parameters, which outlive the call.
    let ret = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) };
    ensure!(
        ret == 0,
        "sched_setscheduler: {}",
        io::Error::last_os_error()
    );
    Ok(())
}
