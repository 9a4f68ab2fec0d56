// SPDX-License-Identifier: GPL-2.0

//! The kernel memory that is allocated for a file that is open and was read from.

use crate::consistency::PROC_NET;
use crate::options::Options;
use crate::population::{Family, Kind, Population};
use crate::progress::note;
use crate::stats::median;
use crate::table::Columns;
use anyhow::{ensure, Context, Result};
use procfs::{Current, Meminfo};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::time::Duration;
use std::{fmt, thread};

/// The size of the first read(2) of each file, in bytes.
const FIRST_READ: usize = 4 << 10;

/// The size of later reads, in bytes.
const READ_SIZE: usize = 128 << 10;

/// The time after which the kernel has freed what it frees late.
const SETTLE: Duration = Duration::from_millis(200);

/// The memory of an open file, in all cases.
#[derive(Serialize)]
pub struct Memory {
    rounds: usize,
    cases: Vec<Figures>,
}

/// The medians of one case, in bytes per file.
#[derive(Serialize)]
struct Figures {
    what: String,
    file: &'static str,
    files: usize,
    /// Fields of `/proc/meminfo`. The first two fall, the other two rise.
    mem_free: f64,
    mem_available: f64,
    slab: f64,
    vmalloc: f64,
    /// The sum of Slab and VmallocUsed.
    held: f64,
    /// The part of MemFree that does not come back when all files are closed.
    left: f64,
}

/// Opens files many at a time.
pub fn run(options: &Options) -> Result<Memory> {
    let rounds = options.scale(7, 3);
    let files = 500;
    let mut cases = Vec::new();

    let few = Population::of(Kind::Established, Family::V4, 1_000)?;
    for file in ["tcpstat", "tcp"] {
        let what = format!("{} TCP sockets, at the beginning", few.rows());
        cases.push(measure(what, file, files, 0, rounds)?);
    }
    drop(few);

    let crowd = Population::of(Kind::UdpOnePort, Family::V4, options.scale(100_000, 10_000))?;
    for file in ["udpstat", "udp"] {
        let what = format!("{} UDP sockets on one port, at the beginning", crowd.rows());
        cases.push(measure(what, file, files, 0, rounds)?);
    }
    let what = format!("{} UDP sockets on one port, in the middle", crowd.rows());
    let skip = crowd.rows() / 2;
    cases.push(measure(what, "udpstat", files / 10, skip, rounds)?);
    Ok(Memory { rounds, cases })
}

/// Fields of `/proc/meminfo`, in bytes.
#[derive(Clone, Copy)]
struct Sample {
    mem_free: f64,
    mem_available: f64,
    slab: f64,
    vmalloc: f64,
}

impl Sample {
    fn now() -> Result<Self> {
        thread::sleep(SETTLE);
        let info = Meminfo::current().context("/proc/meminfo")?;
        Ok(Self {
            mem_free: info.mem_free as f64,
            mem_available: info.mem_available.context("no MemAvailable")? as f64,
            slab: info.slab as f64,
            vmalloc: info.vmalloc_used as f64,
        })
    }
}

/// Opens this many files, and reads from each: once, and then at least `rows` rows.
fn measure(
    what: String,
    file: &'static str,
    files: usize,
    rows: usize,
    rounds: usize,
) -> Result<Figures> {
    note(format_args!("memory: {file}, {what}"));
    let mut samples: Vec<[Sample; 3]> = Vec::new();
    // The first round warms up.
    for round in 0..=rounds {
        let mut open = Vec::with_capacity(files);
        let before = Sample::now()?;
        for _ in 0..files {
            open.push(open_and_read(file, rows)?);
        }
        let after = Sample::now()?;
        drop(open);
        let closed = Sample::now()?;
        if round > 0 {
            samples.push([before, after, closed]);
        }
    }
    let per_file = |difference: fn(&[Sample; 3]) -> f64| {
        let differences: Vec<f64> = samples.iter().map(difference).collect();
        median(&differences) / files as f64
    };
    Ok(Figures {
        file,
        files,
        mem_free: per_file(|[before, after, _]| before.mem_free - after.mem_free),
        mem_available: per_file(|[before, after, _]| before.mem_available - after.mem_available),
        slab: per_file(|[before, after, _]| after.slab - before.slab),
        vmalloc: per_file(|[before, after, _]| after.vmalloc - before.vmalloc),
        held: per_file(|[before, after, _]| {
            after.slab + after.vmalloc - before.slab - before.vmalloc
        }),
        left: per_file(|[before, _, closed]| before.mem_free - closed.mem_free),
        what,
    })
}

fn open_and_read(file: &str, rows: usize) -> Result<File> {
    let path = format!("{PROC_NET}/{file}");
    let mut from = File::open(&path).with_context(|| path.clone())?;
    let mut buf = vec![0; READ_SIZE];
    let mut size = FIRST_READ;
    let mut lines = 0;
    loop {
        let n = from.read(&mut buf[..size]).with_context(|| path.clone())?;
        ensure!(n > 0, "{path} ends after {lines} lines");
        lines += memchr::memchr_iter(b'\n', &buf[..n]).count();
        if lines > rows {
            return Ok(from);
        }
        size = READ_SIZE;
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Memory: KiB that an open file holds: Slab and VmallocUsed, in which buffers are \
             (medians of {} rounds). MemFree leaves out pages that a CPU has in stock",
            self.rounds
        )?;
        let kib = |bytes: f64| format!("{:.1}", bytes / 1024.0);
        let table = Columns::new()
            .column("sockets, and where the reader is", |figures: &Figures| {
                figures.what.clone()
            })
            .column("file", |figures| figures.file.to_owned())
            .column("files", |figures| figures.files.to_string())
            .column("held", |figures| kib(figures.held))
            .column("Slab", |figures| kib(figures.slab))
            .column("VmallocUsed", |figures| kib(figures.vmalloc))
            .column("MemFree", |figures| kib(figures.mem_free))
            .column("MemAvailable", |figures| kib(figures.mem_available))
            .column("left after close", |figures| kib(figures.left))
            .of(&self.cases);
        write!(f, "{table}")
    }
}
