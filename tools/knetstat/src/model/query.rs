// SPDX-License-Identifier: GPL-2.0

//! Which rows are asked for, and how the files are read for them: a row at a time.

use crate::model::filter::{Filter, States};
use crate::model::row::{Family, File, Netid, Row};
use crate::source::process::{Holder, Holders};
use anyhow::{bail, Context, Result};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// Where the files of this network namespace are.
const NET: &str = "/proc/self/net";

/// So much of a file is read at once.
const BUFFER: usize = 128 << 10;

/// What is said of a copy without a header.
const NO_COPY: &str =
    "no copy of the files, which is made by: cat /proc/net/tcp*stat /proc/net/udp*stat";

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
                self.hand_over(file, line, holders, &mut take)?;
            }
        }
        Ok(files)
    }

    /// Hands over each line of a copy of the files, one behind the other as cat(1) writes them, but
    /// for the headers. Of processes a copy knows nothing.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is no such copy, or not all of one.
    pub fn read_copy(
        &self,
        mut copy: impl BufRead,
        mut take: impl FnMut(Line<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut netid = None;
        let mut line = Vec::new();
        while copy.read_until(b'\n', &mut line)? > 0 {
            let whole = line
                .strip_suffix(b"\n")
                .context("its last line is not a whole one")?;
            if let Some(header) = Netid::of_header(whole) {
                netid = Some(header);
            } else {
                let file = File {
                    netid: netid.context(NO_COPY)?,
                    family: Family::of_line(whole),
                };
                if self.files.contains(&file) {
                    self.hand_over(file, whole, None, &mut take)?;
                }
            }
            line.clear();
        }
        netid.map(|_| ()).context(NO_COPY)
    }

    /// Hands over a line: what it is, and whether it is asked for.
    fn hand_over(
        &self,
        file: File,
        line: &[u8],
        holders: Option<&Holders>,
        take: &mut impl FnMut(Line<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(row) = Row::parse(file, line) else {
            return take(Line::Odd { file, line });
        };
        let holders = holders.map_or(&[][..], |holders| holders.of(row.ino));
        take(Line::Row {
            row: &row,
            line,
            holders,
            passes: self.states.has(row.state) && self.filter.matches(&row, holders),
        })
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
        Ok(opened) => Ok(Some(BufReader::with_capacity(BUFFER, opened))),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            if !is_loaded() {
                bail!("the module knetstat is not loaded; as root: modprobe knetstat");
            }
            Ok(None)
        }
        Err(err) => Err(err).with_context(|| path.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::services::Services;

    const TCP: &str = "Recv-Q Send-Q Local Address Foreign Address Stat Diag Options\n";
    const UDP: &str = "Recv-Q Send-Q Local Address Foreign Address Options\n";

    /// The rows of a copy, each as its file, its local port, and whether it passes.
    fn rows(copy: &str, files: &[File]) -> Result<Vec<String>> {
        let question = Question {
            files: files.to_vec(),
            states: States::ALL,
            filter: Filter::parse(&["sport < :9".to_owned()], &Services::parse("")).unwrap(),
        };
        let mut rows = Vec::new();
        question.read_copy(copy.as_bytes(), |line| {
            rows.push(match line {
                Line::Row { row, passes, .. } => {
                    format!("{} {} {passes}", row.file.name(), row.local.port)
                }
                Line::Odd { file, .. } => format!("{} odd", file.name()),
            });
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn copies() {
        let file = |netid, family| File { netid, family };
        let all = [Family::Inet, Family::Inet6]
            .map(|family| [Netid::Tcp, Netid::Udp].map(|netid| file(netid, family)))
            .concat();
        let copy = format!(
            "{TCP}0 0 ::1:7 ::1:9 ESTB A=1\n0 0 ::1:9 ::1:7 TIMW\n\
            {TCP}0 0 10.0.0.1:7 10.0.0.2:9 ESTB\n{UDP}0 0 0.0.0.0:5 0.0.0.0:* A=1\nwhat\n\
            {UDP}0 0 :::6 :::*\n"
        );
        assert_eq!(
            rows(&copy, &all).unwrap(),
            [
                "tcp6stat 7 true",
                "tcp6stat 9 false",
                "tcpstat 7 true",
                "udpstat 5 true",
                "udpstat odd",
                "udp6stat 6 true"
            ]
        );
        let udp = [file(Netid::Udp, Family::Inet)];
        assert_eq!(
            rows(&copy, &udp).unwrap(),
            ["udpstat 5 true", "udpstat odd"]
        );
        assert!(rows(UDP, &all).unwrap().is_empty());
        for (wrong, why) in [
            ("", NO_COPY),
            ("0 0 ::1:7 ::1:9 ESTB A=1\n", NO_COPY),
            ("\n", NO_COPY),
            (&copy[..copy.len() - 1], "not a whole one"),
        ] {
            let err = rows(wrong, &all).unwrap_err().to_string();
            assert!(err.contains(why), "{wrong}: {err}");
        }
    }
}
