// SPDX-License-Identifier: GPL-2.0

//! Our file, read in pieces of several sizes.

use crate::options::Options;
use crate::population::{Family, Kind, Population};
use crate::progress::note;
use crate::readers::{Reader, LARGE};
use crate::scenarios::Scenario;
use crate::spawner::Spawner;
use crate::stats::{ratio, summary, Interval, Summary};
use crate::table::Columns;
use crate::turns::Turns;
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt;

/// The sizes that read(2) is called with, in bytes.
const SIZES: [usize; 7] = [
    4 << 10,
    16 << 10,
    32 << 10,
    64 << 10,
    LARGE,
    256 << 10,
    1 << 20,
];

/// The times with one size.
#[derive(Serialize)]
pub struct Measured {
    pub read_bytes: usize,
    pub us_per_row: Summary,
    pub samples: Vec<f64>,
    /// The time divided by that with 128 KiB.
    pub ratio_to_128_kib: Interval,
}

/// The times with all sizes.
#[derive(Serialize)]
pub struct Outcome {
    pub name: String,
    pub file: String,
    pub rows: usize,
    pub sizes: Vec<Measured>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Read sizes: {}", self.name)?;
        let table = Columns::new()
            .column("read(2) of", |measured: &Measured| {
                format!("{} KiB", measured.read_bytes >> 10)
            })
            .times("us/row", |measured| &measured.us_per_row)
            .column("times 128 KiB (95%)", |measured| {
                measured.ratio_to_128_kib.to_string()
            })
            .column("passes", |measured| measured.us_per_row.n.to_string())
            .of(&self.sizes);
        writeln!(f, "{table}")
    }
}

/// The populations that are read.
pub fn all(options: &Options) -> [Scenario; 2] {
    [Kind::Established, Kind::Udp].map(|kind| Scenario {
        kind,
        family: Family::V4,
        rows: options.scale(100_000, 10_000),
    })
}

/// Opens the sockets, and reads with all sizes in turn.
pub fn run(scenario: Scenario, options: &Options, spawner: &mut Spawner) -> Result<Outcome> {
    let Scenario { kind, family, rows } = scenario;
    note(format_args!("read sizes: {scenario}"));
    let _population = Population::of(kind, family, rows)?;
    let readers = SIZES.map(|size| Reader::ours(kind, family, size));
    let counted = readers
        .iter()
        .map(|reader| reader.count(spawner, rows))
        .collect::<Result<Vec<_>>>()?;

    let mut samples = SIZES.map(|_| Vec::new());
    let mut turns = Turns::of(SIZES.len());
    for _ in 0..options.scale(15, 7) {
        for &i in turns.next_round() {
            // The text is the same with all sizes.
            let seconds = readers[i].time(spawner, &counted[0])?;
            samples[i].push(seconds * 1e6 / rows as f64);
        }
    }

    let large = SIZES.iter().position(|size| *size == LARGE);
    let large = samples[large.context("no pass with 128 KiB")?].clone();
    Ok(Outcome {
        name: scenario.to_string(),
        file: crate::readers::our_file(kind, family).to_owned(),
        rows,
        sizes: SIZES
            .into_iter()
            .zip(samples)
            .map(|(read_bytes, samples)| Measured {
                read_bytes,
                us_per_row: summary(&samples),
                ratio_to_128_kib: ratio(&samples, &large),
                samples,
            })
            .collect(),
    })
}
