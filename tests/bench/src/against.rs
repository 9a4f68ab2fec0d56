// SPDX-License-Identifier: GPL-2.0

//! Two builds of the module, compared: each is loaded in turn, and reads the same sockets.

use crate::holds::replace_by;
use crate::options::Options;
use crate::population::{Family, Kind, Population};
use crate::progress::note;
use crate::readers::{Reader, LARGE};
use crate::spawner::Spawner;
use crate::stats::{ratio, summary, Interval, Summary};
use crate::table::{digits, Columns};
use crate::turns::Turns;
use anyhow::Result;
use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// The times of both builds for one population.
#[derive(Serialize)]
struct Compared {
    name: String,
    /// Microseconds per row: this build, then the other.
    us_per_row: [Summary; 2],
    /// The time of this build divided by that of the other.
    ratio: Interval,
}

/// The times of both builds.
#[derive(Serialize)]
pub struct Outcome {
    populations: Vec<Compared>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "This build and the other one, in turn")?;
        let table = Columns::new()
            .column("sockets", |compared: &Compared| compared.name.clone())
            .times("us/row", |compared| &compared.us_per_row[0])
            .times("the other's", |compared| &compared.us_per_row[1])
            .column("times the other's (95%)", |compared| {
                compared.ratio.to_string()
            })
            .column("passes", |compared| compared.us_per_row[0].n.to_string())
            .of(&self.populations);
        writeln!(f, "{table}")
    }
}

/// Compares the builds over TCP and UDP sockets. Leaves the first one loaded.
pub fn run(other: &Path, options: &Options, spawner: &mut Spawner) -> Result<Outcome> {
    let ours = options.dir.join("knetstat.ko");
    let builds = [ours.as_path(), other];
    let mut populations = Vec::new();
    for kind in [Kind::Established, Kind::Udp, Kind::UdpOnePort] {
        for rows in [10_000, options.scale(100_000, 30_000)] {
            let name = format!("{kind}, {} rows", digits(rows));
            note(format_args!("against: {name}"));
            let _population = Population::of(kind, Family::V4, rows)?;
            let reader = Reader::ours(kind, Family::V4, LARGE);
            let mut samples = [vec![], vec![]];
            let mut turns = Turns::of(builds.len());
            for _ in 0..options.scale(25, 7) {
                for &turn in turns.next_round() {
                    replace_by(builds[turn])?;
                    // Checks the number of rows, and warms the caches.
                    reader.count(spawner, rows)?;
                    let pass = reader.pass(spawner, false, Duration::MAX)?;
                    samples[turn].push(pass.seconds * 1e6 / rows as f64);
                }
            }
            populations.push(Compared {
                name,
                us_per_row: [summary(&samples[0]), summary(&samples[1])],
                ratio: ratio(&samples[0], &samples[1]),
            });
        }
    }
    replace_by(&ours)?;
    Ok(Outcome { populations })
}
