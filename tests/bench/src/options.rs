// SPDX-License-Identifier: GPL-2.0

//! What the command line and the guest's environment say.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// How fast knetstat is inside a guest, beside the kernel's own files and ss.
///
/// Runs as root in a guest with the module loaded (but see --here). Tables go to standard output,
/// progress to standard error.
#[derive(Parser, Clone, Debug)]
#[command(version)]
pub struct Options {
    /// Smaller sizes and fewer rounds: a few minutes
    #[arg(long)]
    pub quick: bool,

    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Part>,

    /// Where to write the figures as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,

    /// Another build of the module, to be compared with this one by turns, and nothing else
    #[arg(long)]
    pub against: Option<PathBuf>,

    /// Only the part `command`, on a kernel without the module: its rows come from a file. Needs
    /// network and mount namespaces of its own
    #[arg(long)]
    pub here: bool,

    /// What machine the guest runs on, for the report
    #[arg(long)]
    pub host: Option<String>,

    /// How fast the guest is; vm/lib.sh says more
    #[arg(long, env = "KNETSTAT_SCALE", default_value = "fast")]
    pub guest: String,

    /// Where test-only modules lie, and where files may be written
    #[arg(long, env = "KNETSTAT_DIR")]
    pub dir: PathBuf,
}

/// A part of the benchmark.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// All readers side by side
    Readers,
    /// A query that picks a few of many connections, by ss and by grep
    Filtered,
    /// Our file with reads of several sizes
    ReadSizes,
    /// Our file as the number of sockets grows
    Growth,
    /// Rows that are missing or repeated beside a churn of sockets
    Consistency,
    /// How much a load slows down beside a reader
    Load,
    /// How long locks are held
    Holds,
    /// Memory that an open file holds
    Memory,
    /// The command in tools/, beside ss
    Command,
}

impl Options {
    /// Whether a part is to run.
    pub fn wants(&self, part: Part) -> bool {
        self.against.is_none() && self.only.is_empty() || self.only.contains(&part)
    }

    /// Whether all of the guest's code is emulated, so that everything takes twenty times as long.
    pub fn is_emulated(&self) -> bool {
        self.guest == "emulated"
    }

    /// Picks a size.
    pub fn scale<T>(&self, full: T, quick: T) -> T {
        if self.quick {
            quick
        } else {
            full
        }
    }
}
