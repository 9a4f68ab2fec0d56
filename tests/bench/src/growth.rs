// SPDX-License-Identifier: GPL-2.0

//! The time per row of our file and of the floor, as the number of sockets grows.

use crate::options::Options;
use crate::population::{Family, Kind, Population};
use crate::progress::note;
use crate::readers::{set_floor_row, Reader};
use crate::scenarios::Scenario;
use crate::spawner::Spawner;
use crate::stats::{ratio, summary, Interval, Summary};
use crate::table;
use crate::table::{digits, Columns};
use crate::turns::Turns;
use anyhow::{Context, Result};
use procfs::{Current, Meminfo};
use serde::Serialize;
use std::fmt;

/// The first estimate of a socket's memory, in bytes.
const FIRST_GUESS: u64 = 6 << 10;

/// The number of sockets from which on their memory can be measured. With fewer, much of it comes
/// from slabs that earlier sockets have left behind.
const ENOUGH: usize = 300_000;

/// The memory that is left to the rest of the guest.
const RESERVE: u64 = 256 << 20;

/// The times for one number of sockets.
#[derive(Serialize)]
pub struct Measured {
    pub rows: usize,
    pub us_per_row: Summary,
    pub floor_us_per_row: Summary,
    pub ratio_to_floor: Interval,
}

/// The times for one kind of socket, by number.
#[derive(Serialize)]
pub struct Outcome {
    pub name: String,
    pub sizes: Vec<Measured>,
    /// The reason why it did not grow to the last size, if it did not.
    pub stopped: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Growth: {}", self.name)?;
        let table = Columns::new()
            .column("rows", |measured: &Measured| digits(measured.rows))
            .times("us/row", |measured| &measured.us_per_row)
            .column("floor, us/row", |measured| {
                table::time(measured.floor_us_per_row.median)
            })
            .column("times the floor (95%)", |measured| {
                measured.ratio_to_floor.to_string()
            })
            .column("passes", |measured| measured.us_per_row.n.to_string())
            .of(&self.sizes);
        writeln!(f, "{table}")?;
        match &self.stopped {
            Some(reason) => writeln!(f, "  {reason}"),
            None => Ok(()),
        }
    }
}

/// The kinds of sockets that are measured.
pub const KINDS: [Kind; 2] = [Kind::Established, Kind::Udp];

/// Opens more and more sockets, and measures at each size.
pub fn run(kind: Kind, options: &Options, spawner: &mut Spawner) -> Result<Outcome> {
    let sizes: &[usize] = options.scale(
        &[10_000, 30_000, 100_000, 300_000, 1_000_000],
        &[10_000, 30_000, 100_000],
    );
    let mut outcome = Outcome {
        name: kind.to_string(),
        sizes: Vec::new(),
        stopped: None,
    };
    let mut population = Population::new(kind, Family::V4);
    let mut each = FIRST_GUESS;
    for &rows in sizes {
        let more = (rows - population.rows()) as u64;
        let needed = each * more;
        let before = free()?;
        let free_now = before.saturating_sub(RESERVE);
        if needed > free_now {
            outcome.stopped = Some(format!(
                "Stopped before {} rows: they need {} MiB more, and {} MiB are free.",
                digits(rows),
                needed >> 20,
                free_now >> 20
            ));
            break;
        }
        note(format_args!("growth: {kind}, {} rows", digits(rows)));
        population.grow_to(rows)?;
        if rows >= ENOUGH {
            let taken = before.saturating_sub(free()?) / more;
            each = taken + taken / 4;
        }
        let scenario = Scenario {
            kind,
            family: Family::V4,
            rows,
        };
        let measured =
            measure(scenario, options, spawner).with_context(|| format!("growth: {scenario}"))?;
        outcome.sizes.push(measured);
    }
    Ok(outcome)
}

fn measure(scenario: Scenario, options: &Options, spawner: &mut Spawner) -> Result<Measured> {
    let Scenario { kind, family, rows } = scenario;
    let readers = [
        Reader::ours(kind, family, crate::readers::LARGE),
        Reader::floor(kind),
    ];
    let mut counted = Vec::new();
    for reader in &readers {
        let pass = reader.count(spawner, rows)?;
        // The floor comes second, and gets rows as long as ours.
        let row_bytes = pass.row_bytes.context("no bytes were counted")?;
        set_floor_row(row_bytes as f64 / rows as f64)?;
        counted.push(pass);
    }

    let mut samples = [Vec::new(), Vec::new()];
    let mut turns = Turns::of(readers.len());
    for _ in 0..options.scale(9, 5) {
        for &i in turns.next_round() {
            let seconds = readers[i].time(spawner, &counted[i])?;
            samples[i].push(seconds * 1e6 / rows as f64);
        }
    }
    let [ours, floor] = samples;
    Ok(Measured {
        rows,
        us_per_row: summary(&ours),
        floor_us_per_row: summary(&floor),
        ratio_to_floor: ratio(&ours, &floor),
    })
}

/// Free memory, in bytes. MemAvailable would count the inodes of sockets, which the kernel
/// considers reclaimable; hardly anything else is cached here.
fn free() -> Result<u64> {
    Ok(Meminfo::current().context("/proc/meminfo")?.mem_free)
}
