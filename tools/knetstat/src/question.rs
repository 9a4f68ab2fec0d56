// SPDX-License-Identifier: GPL-2.0

//! Which rows are asked for, and how the files are read for them: a row at a time.

use crate::filter::{
    Filter,
    States, //
};
use crate::process::{
    Holder,
    Holders, //
};
use crate::row::{
    File,
    Row, //
};
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::fs;
use std::io::{
    self,
    BufRead,
    BufReader, //
};
use std::path::Path;

/// Where the files of this network namespace are.
const NET: &str = "/proc/self/net";

/// Which rows.
#[derive(Debug)]
pub struct Question {
    pub files: Vec<File>,
    pub states: States,
    pub filter: Filter,
}

/// A line of a file.
pub enum Line<'a> {
    Row {
        row: &'a Row<'a>,
        /// It as it is in the file.
        line: &'a [u8],
        /// Who has the socket open, as far as is known.
        holders: &'a [Holder],
        /// Whether it is asked for.
        passes: bool,
    },
    /// Such as this version does not know.
    Odd { file: File, line: &'a [u8] },
}

impl Question {
    /// Who has which socket open, if the filter or somebody else asks for it.
    pub fn holders(&self, are_shown: bool) -> Result<Option<Holders>> {
        match are_shown || self.filter.of_processes {
            true => Ok(Some(Holders::scan().context("/proc")?)),
            false => Ok(None),
        }
    }

    /// Hands over each line, but for the headers, and says how many files there were.
    pub fn read(
        &self,
        holders: Option<&Holders>,
        mut take: impl FnMut(Line<'_>) -> Result<()>,
    ) -> Result<usize> {
        let mut files = 0;
        let mut line = Vec::new();
        for file in self.files.iter().copied() {
            let Some(mut reader) = open(file)? else {
                continue;
            };
            files += 1;
            let mut next = |line: &mut Vec<u8>| {
                line.clear();
                let read = reader.read_until(b'\n', line);
                read.with_context(|| file.name())
            };
            // Its header.
            next(&mut line)?;
            while next(&mut line)? > 0 {
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let Some(row) = Row::parse(file, line) else {
                    take(Line::Odd { file, line })?;
                    continue;
                };
                let holders = holders.map_or(&[][..], |holders| holders.of(row.ino));
                take(Line::Row {
                    row: &row,
                    line,
                    holders,
                    passes: self.states.has(row.state) && self.filter.matches(&row, holders),
                })?;
            }
        }
        Ok(files)
    }
}

/// Whether the module is there.
pub fn is_loaded() -> bool {
    Path::new(NET).join("tcpstat").exists()
}

/// Opens a file. `None`: there are no such sockets, since the kernel has no IPv6.
fn open(file: File) -> Result<Option<BufReader<fs::File>>> {
    let path = Path::new(NET).join(file.name());
    match fs::File::open(&path) {
        Ok(opened) => Ok(Some(BufReader::with_capacity(128 << 10, opened))),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            if !is_loaded() {
                bail!("the module knetstat is not loaded; as root: modprobe knetstat");
            }
            Ok(None)
        }
        Err(err) => Err(err).with_context(|| path.display().to_string()),
    }
}
