// SPDX-License-Identifier: GPL-2.0

//! The options of the command line and of the guest's environment.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Measures the speed of knetstat in a guest, compared with the kernel's own files and ss.
///
/// Runs as root in a guest with the module loaded (but see --here). Prints tables on standard
/// output, progress on standard error.
#[derive(Parser, Clone, Debug)]
#[command(version)]
pub struct Options {
    /// Use smaller sizes and fewer rounds: a few minutes
    #[arg(long)]
    pub quick: bool,

    /// Run only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Part>,

    /// Write the figures as JSON to this file
    #[arg(long)]
    pub json: Option<PathBuf>,

    /// Compare this build of the module with the loaded one, in turn, and do nothing else
    #[arg(long)]
    pub against: Option<PathBuf>,

    /// Run only the part `command`, on a kernel without the module: the rows come from a file.
    /// Needs network and mount namespaces of its own
    #[arg(long)]
    pub here: bool,

    /// Name the machine that the guest runs on, for the report
    #[arg(long)]
    pub host: Option<String>,

    /// The speed of the guest: the SCALE of its file, see vm/lib.sh
    #[arg(long, env = "KNETSTAT_SCALE", default_value = "fast")]
    pub guest: String,

    /// The directory of the test modules, in which files may be written
    #[arg(long, env = "KNETSTAT_DIR")]
    pub dir: PathBuf,
}

/// A part of the benchmark.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// All readers, compared
    Readers,
    /// A query that matches few of many connections, by ss and by grep
    Filtered,
    /// Our file, read in pieces of several sizes
    ReadSizes,
    /// Our file as the number of sockets grows
    Growth,
    /// Rows that are missing or repeated while sockets come and go
    Consistency,
    /// The slowdown of a load while a file is read
    Load,
    /// The time for which locks are held
    Holds,
    /// The memory of an open file
    Memory,
    /// The command knetstat, compared with ss
    Command,
}

impl Options {
    /// Whether a part is to run.
    pub fn wants(&self, part: Part) -> bool {
        self.against.is_none() && self.only.is_empty() || self.only.contains(&part)
    }

    /// Whether all code of the guest is emulated, and some twenty times slower.
    pub fn is_emulated(&self) -> bool {
        self.guest == "emulated"
    }

    /// Chooses a size: the second one with --quick.
    pub fn scale<T>(&self, full: T, quick: T) -> T {
        if self.quick {
            quick
        } else {
            full
        }
    }
}
