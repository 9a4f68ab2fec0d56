// SPDX-License-Identifier: GPL-2.0

//! The list of sockets.

use crate::model::query::{Line, Question};
use crate::model::row::{File, Row};
use crate::print::text::{self, Kinds, Printer};
use crate::source::process::Holders;
use anyhow::Result;
use std::io::{self, Write};

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
                    text::json(out, row, processes.then_some(holders), &kinds)?;
                }
            }
            Line::Odd { file, line } => {
                odd += 1;
                text::json_raw(out, file, line)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::{TCP, TCP6};

    /// All rows, in their order, whatever waits; columns become wider when they have to.
    #[test]
    fn rows_that_wait() {
        let mut out = Vec::new();
        let mut printer = Printer::new(None, false, false);
        printer.set_width(200);
        let mut table = Table {
            out: &mut out,
            printer,
            holders: None,
            has_header: false,
            waiting: Vec::new(),
        };
        let long = "2001:db8:1234:5678:9abc:def0:1234:5678";
        let count = 2 * LOOK_AHEAD + LOOK_AHEAD / 2;
        for i in 0..count {
            let (file, address) = match i {
                // The last of the second thousand.
                _ if i == 2 * LOOK_AHEAD - 1 => (TCP6, long),
                _ => (TCP, "10.0.0.1"),
            };
            let line = format!("0 0 {address}:9 {address}:9 ESTB A=1,uid=0,ino={i}");
            let row = Row::parse(file, line.as_bytes()).unwrap();
            table.row(&row, line.as_bytes()).unwrap();
            assert!(table.waiting.len() < LOOK_AHEAD);
        }
        table.odd(b"what is this").unwrap();
        table.flush().unwrap();
        let text = String::from_utf8(out).unwrap();
        let mut lines = text.lines();
        assert!(lines
            .next()
            .unwrap()
            .starts_with("Netid Recv-Q Send-Q Local Address Foreign"));
        assert_eq!(lines.next_back(), Some("what is this"));
        let places: Vec<_> = lines
            .enumerate()
            .map(|(i, line)| {
                assert!(
                    line.ends_with(&format!(" ESTB -    A=1,uid=0,ino={i}")),
                    "{line}"
                );
                line.find("ESTB").unwrap()
            })
            .collect();
        assert_eq!(places.len(), count);
        assert!(places[..LOOK_AHEAD].iter().all(|place| *place == places[0]));
        let wide = places[2 * LOOK_AHEAD - 1];
        assert!(wide > places[0]);
        assert!(places[LOOK_AHEAD..].iter().all(|place| *place == wide));
    }
}
