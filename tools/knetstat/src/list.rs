// SPDX-License-Identifier: GPL-2.0

//! The list of sockets.

use crate::output::{
    self,
    Kinds,
    Printer, //
};
use crate::process::Holders;
use crate::question::{
    Line,
    Question, //
};
use crate::row::{
    File,
    Row, //
};
use anyhow::Result;
use std::io::{
    self,
    Write, //
};

/// How many rows wait, on a terminal, until it is known how wide the columns have to be.
const LOOK_AHEAD: usize = 1000;

/// Prints rows in columns.
struct Table<'a> {
    out: &'a mut dyn Write,
    printer: Printer,
    holders: Option<&'a Holders>,
    has_header: bool,
    waiting: Vec<(File, Box<[u8]>)>,
}

impl Table<'_> {
    fn header(&mut self) -> io::Result<()> {
        if !self.has_header {
            self.has_header = true;
            self.printer.header(self.out)?;
        }
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>, line: &[u8]) -> io::Result<()> {
        if self.printer.is_for_a_terminal() {
            self.printer.measure(row);
            self.waiting.push((row.file, line.into()));
            if self.waiting.len() < LOOK_AHEAD {
                return Ok(());
            }
            return self.flush();
        }
        self.header()?;
        self.print(row)
    }

    fn print(&mut self, row: &Row<'_>) -> io::Result<()> {
        let holders = self.holders.map_or(&[][..], |holders| holders.of(row.ino));
        self.printer.row(self.out, row, holders)
    }

    fn odd(&mut self, line: &[u8]) -> io::Result<()> {
        self.flush()?;
        self.printer.raw(self.out, line)
    }

    /// Prints what waits.
    fn flush(&mut self) -> io::Result<()> {
        self.header()?;
        for (file, line) in std::mem::take(&mut self.waiting) {
            if let Some(row) = Row::parse(file, &line) {
                self.print(&row)?;
            }
        }
        Ok(())
    }
}

/// Prints the rows that are asked for.
pub fn list(
    question: &Question,
    printer: Printer,
    has_header: bool,
    out: &mut dyn Write,
) -> Result<()> {
    let processes = printer.processes;
    let holders = question.holders(processes)?;
    let mut odd = 0;
    let mut table = Table {
        out,
        printer,
        holders: holders.as_ref(),
        has_header: !has_header,
        waiting: Vec::new(),
    };
    let files = question.read(holders.as_ref(), |line| {
        match line {
            Line::Row {
                row, line, passes, ..
            } => {
                if passes {
                    table.row(row, line)?;
                }
            }
            Line::Odd { line, .. } => {
                odd += 1;
                table.odd(line)?;
            }
        }
        Ok(())
    })?;
    if files > 0 {
        table.flush()?;
    }
    table.out.flush()?;
    notes(files, odd, "are shown as they are", holders.as_ref());
    Ok(())
}

/// Prints the rows that are asked for as JSON.
pub fn json(question: &Question, processes: bool, out: &mut dyn Write) -> Result<()> {
    let holders = question.holders(processes)?;
    let kinds = Kinds::new();
    let mut odd = 0;
    let files = question.read(holders.as_ref(), |line| {
        match line {
            Line::Row {
                row,
                holders,
                passes,
                ..
            } => {
                if passes {
                    output::json(out, row, processes.then_some(holders), &kinds)?;
                }
            }
            Line::Odd { file, line } => {
                odd += 1;
                output::json_raw(out, file, line)?;
            }
        }
        Ok(())
    })?;
    out.flush()?;
    notes(files, odd, "are shown as they are", holders.as_ref());
    Ok(())
}

/// Says what is missing.
pub fn notes(files: usize, odd: usize, what: &str, holders: Option<&Holders>) {
    if files == 0 {
        eprintln!("knetstat: this kernel has no such sockets");
    }
    if odd > 0 {
        eprintln!("knetstat: {odd} rows {what}: they are not such as this version knows");
    }
    let hidden = holders.map_or(0, |holders| holders.hidden);
    if hidden > 0 {
        eprintln!(
            "knetstat: could not look into {hidden} processes, which takes their rights or root"
        );
    }
}
