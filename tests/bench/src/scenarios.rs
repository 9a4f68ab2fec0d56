// SPDX-License-Identifier: GPL-2.0

//! All readers, compared on populations of several kinds and sizes.

use crate::options::Options;
use crate::population::{Family, Kind, Population};
use crate::progress::note;
use crate::readers::{set_floor_row, Pass, Reader, Role};
use crate::spawner::Spawner;
use crate::stats::{ratio, summary, Interval, Summary};
use crate::table;
use crate::table::{digits, text, Columns};
use crate::turns::Turns;
use anyhow::{bail, ensure, Context, Result};
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};

/// The least number of passes of a reader, however slow it is.
const MIN_PASSES: usize = 2;

/// A number of sockets of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scenario {
    pub kind: Kind,
    pub family: Family,
    pub rows: usize,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.family == Family::V6 {
            f.write_str(", IPv6")?;
        }
        write!(f, ", {} rows", digits(self.rows))
    }
}

/// The limits of the readers.
struct Effort {
    /// The number of passes of each reader.
    passes: usize,
    /// The time for all passes of a reader beyond [`MIN_PASSES`].
    budget: Duration,
    /// The time for one pass of a slow reader.
    limit: Duration,
}

impl Effort {
    fn of(options: &Options) -> Self {
        Self {
            passes: options.scale(15, 5),
            budget: Duration::from_secs(options.scale(30, 2)),
            limit: Duration::from_secs(options.scale(20, 5)),
        }
    }
}

/// The scenarios, in the order in which they are run.
pub fn all(options: &Options) -> Vec<Scenario> {
    use Family::V4;
    use Family::V6;
    use Kind::*;
    let large_udp = options.scale(100_000, 30_000);
    let mut list = vec![
        (Established, V4, 10_000),
        (Established, V4, 100_000),
        (Established, V6, 10_000),
        (Listeners, V4, 10_000),
        (ReuseportListeners, V4, 2_000),
        (Udp, V4, 10_000),
        (Udp, V4, large_udp),
        (Udp, V6, 10_000),
        (UdpOnePort, V4, 10_000),
        (UdpOnePort, V4, large_udp),
        (TimeWait, V4, 10_000),
    ];
    if !options.quick {
        list.push((TimeWait, V4, 100_000));
    }
    list.into_iter()
        .map(|(kind, family, rows)| Scenario { kind, family, rows })
        .collect()
}

/// The times of one reader.
#[derive(Serialize)]
pub struct Measured {
    #[serde(skip)]
    pub role: Role,
    pub reader: String,
    /// Microseconds per row.
    pub us_per_row: Summary,
    /// The same of each pass, in the order of the rounds.
    pub samples: Vec<f64>,
    /// Its time divided by that of our file.
    pub ratio_to_ours: Interval,
    /// `None` for a command.
    pub bytes_per_row: Option<f64>,
    /// The number of rows that a pass reached before its time was up, if it was.
    pub stopped_after_rows: Option<usize>,
}

/// The times of all readers.
#[derive(Serialize)]
pub struct Outcome {
    #[serde(skip)]
    pub scenario: Scenario,
    pub name: String,
    pub rows: usize,
    pub readers: Vec<Measured>,
}

impl Outcome {
    /// The times of all readers with a role.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &Measured> {
        self.readers.iter().filter(move |m| m.role == role)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        let mark = |measured: &Measured| match measured.stopped_after_rows {
            Some(_) => "at least ",
            None => "",
        };
        let table = Columns::new()
            .column("reader", |measured: &Measured| measured.reader.clone())
            .column("us/row", |measured| {
                format!(
                    "{}{}",
                    mark(measured),
                    table::time(measured.us_per_row.median)
                )
            })
            .column("quartiles", |measured| {
                table::quartiles(&measured.us_per_row)
            })
            .column("times ours (95%)", |measured| match measured.role {
                Role::Ours => "1".to_owned(),
                _ => format!("{}{}", mark(measured), measured.ratio_to_ours),
            })
            .column("bytes/row", |measured| {
                text(&measured.bytes_per_row.map(|bytes| format!("{bytes:.0}")))
            })
            .column("passes", |measured| measured.us_per_row.n.to_string())
            .of(&self.readers);
        writeln!(f, "{table}")?;
        for measured in &self.readers {
            let Some(rows) = measured.stopped_after_rows else {
                continue;
            };
            writeln!(
                f,
                "  {}: its time was up after {} of {} rows; it slows down with every row.",
                measured.reader,
                digits(rows),
                digits(self.rows)
            )?;
        }
        Ok(())
    }
}

/// A reader, and its times so far.
struct Contestant {
    reader: Reader,
    /// The number of bytes that every pass over a file must read.
    bytes: Option<u64>,
    bytes_per_row: Option<f64>,
    samples: Vec<f64>,
    spent: f64,
    last: f64,
    stopped_after_rows: Option<usize>,
}

impl Contestant {
    /// Lists the sockets once and counts the rows, which also warms the caches.
    fn new(
        reader: Reader,
        scenario: &Scenario,
        effort: &Effort,
        spawner: &mut Spawner,
    ) -> Result<Self> {
        let mut new = Self {
            reader,
            bytes: None,
            bytes_per_row: None,
            samples: Vec::new(),
            spent: 0.0,
            last: 0.0,
            stopped_after_rows: None,
        };
        if !new.reader.is_slow(scenario.kind) {
            let pass = new.reader.pass(spawner, true, effort.limit)?;
            new.check(&pass, scenario)?;
            new.bytes = pass.bytes;
        }
        Ok(new)
    }

    /// Compares the number of rows with the number of sockets that were opened.
    fn check(&mut self, pass: &Pass, scenario: &Scenario) -> Result<()> {
        let name = &self.reader.name;
        if let Some(rows) = pass.rows {
            ensure!(
                rows == scenario.rows || !pass.is_whole && rows < scenario.rows,
                "{name}: {rows} rows where there are {}",
                scenario.rows
            );
            if let (Some(bytes), Some(_)) = (pass.row_bytes, pass.bytes) {
                self.bytes_per_row = Some(bytes as f64 / rows as f64);
            }
        }
        if let (Some(bytes), Some(expected)) = (pass.bytes, self.bytes) {
            ensure!(
                bytes == expected,
                "{name}: {bytes} bytes where the first pass read {expected}"
            );
        }
        Ok(())
    }

    /// Whether there is time for another pass.
    fn has_time(&self, effort: &Effort) -> bool {
        self.samples.len() < MIN_PASSES || self.spent + self.last <= effort.budget.as_secs_f64()
    }

    fn go(&mut self, scenario: &Scenario, effort: &Effort, spawner: &mut Spawner) -> Result<()> {
        let is_slow = self.reader.is_slow(scenario.kind);
        let pass = self.reader.pass(spawner, is_slow, effort.limit)?;
        self.check(&pass, scenario)?;
        let rows = match pass.rows {
            Some(rows) if !pass.is_whole => {
                let before = self.stopped_after_rows.unwrap_or(0);
                self.stopped_after_rows = Some(rows.max(before));
                rows
            }
            _ if !pass.is_whole => bail!("{}: too slow", self.reader.name),
            _ => scenario.rows,
        };
        self.samples.push(pass.seconds * 1e6 / rows as f64);
        self.spent += pass.seconds;
        self.last = pass.seconds;
        Ok(())
    }
}

/// Opens the sockets, and lists them with all readers in turn.
pub fn run(scenario: Scenario, options: &Options, spawner: &mut Spawner) -> Result<Outcome> {
    let effort = Effort::of(options);
    note(format_args!("{scenario}"));
    let population = Population::of(scenario.kind, scenario.family, scenario.rows)?;
    ensure!(population.rows() == scenario.rows, "too few sockets");
    let mut contestants: Vec<Contestant> = Vec::new();
    for reader in Reader::all(scenario.kind, scenario.family) {
        if reader.role == Role::Floor {
            let ours = contestants.iter().find(|c| c.reader.role == Role::Ours);
            let ours = ours.and_then(|c| c.bytes_per_row);
            set_floor_row(ours.context("our file comes first")?)?;
        }
        contestants.push(Contestant::new(reader, &scenario, &effort, spawner)?);
    }

    let mut turns = Turns::of(contestants.len());
    for round in 0..effort.passes {
        let begun = Instant::now();
        let mut any = false;
        for &i in turns.next_round() {
            let contestant = &mut contestants[i];
            if contestant.has_time(&effort) {
                contestant.go(&scenario, &effort, spawner)?;
                any |= contestant.reader.role != Role::Ours;
            }
        }
        note(format_args!(
            "{scenario}: round {} of {}",
            round + 1,
            effort.passes
        ));
        let expired = |at| at <= Instant::now() + begun.elapsed();
        if !any || population.expires().is_some_and(expired) {
            break;
        }
    }

    let ours = contestants
        .iter()
        .find(|c| c.reader.role == Role::Ours)
        .map(|c| c.samples.clone())
        .context("there is no file of ours")?;
    let readers = contestants
        .into_iter()
        .map(|c| Measured {
            role: c.reader.role,
            reader: c.reader.name,
            us_per_row: summary(&c.samples),
            ratio_to_ours: ratio(&c.samples, &ours),
            samples: c.samples,
            bytes_per_row: c.bytes_per_row,
            stopped_after_rows: c.stopped_after_rows,
        })
        .collect();
    Ok(Outcome {
        scenario,
        name: scenario.to_string(),
        rows: scenario.rows,
        readers,
    })
}
