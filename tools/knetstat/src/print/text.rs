// SPDX-License-Identifier: GPL-2.0

//! The printer of text, in the columns of a [`Layout`].

use crate::model::columns::{Column, Key};
use crate::model::counts::Counts;
use crate::model::event::Report;
use crate::model::row::Row;
use crate::model::stored_row::StoredRow;
use crate::model::truth::Undecided;
use crate::print::layout::Layout;
use crate::print::printer::Printer;
use crate::print::time::rfc3339;
use crate::source::files::File;
use crate::source::process::Owner;
use jiff::ZonedDateTime;
use std::io::{self, Write};

/// The number of rows that are measured before the first is printed on a terminal.
const LOOK_AHEAD: usize = 1000;

/// A printer of text.
pub struct TextPrinter<'a> {
    out: Box<dyn Write + 'a>,
    layout: Layout,
    has_header: bool,
    /// Whether rows or events were printed, so that their columns are settled.
    has_begun: bool,
    /// The rows that were measured but not printed yet.
    waiting: Vec<StoredRow>,
}

impl<'a> TextPrinter<'a> {
    pub fn new(out: Box<dyn Write + 'a>, layout: Layout, has_header: bool) -> Self {
        Self {
            out,
            layout,
            has_header,
            has_begun: false,
            waiting: Vec::new(),
        }
    }

    /// Settles the columns and prints the header, before the first row.
    fn begin(&mut self) -> io::Result<()> {
        match (
            std::mem::replace(&mut self.has_begun, true),
            self.has_header,
        ) {
            (true, _) => Ok(()),
            (false, true) => self.layout.header(&mut self.out),
            (false, false) => {
                self.layout.settle_rows();
                Ok(())
            }
        }
    }

    /// Settles the columns and prints the header of events, which begin with a time like this one.
    fn begin_events(&mut self, time: &str) -> io::Result<()> {
        match (
            std::mem::replace(&mut self.has_begun, true),
            self.has_header,
        ) {
            (true, _) => Ok(()),
            (false, true) => self.layout.header_of_events(&mut self.out, time.len()),
            (false, false) => {
                self.layout.settle_events(time.len());
                Ok(())
            }
        }
    }

    /// Prints the rows that are waiting.
    fn print_waiting(&mut self) -> io::Result<()> {
        self.begin()?;
        for waiting in std::mem::take(&mut self.waiting) {
            if let Some(row) = waiting.row() {
                self.layout.row(&mut self.out, &row, waiting.owners())?;
            }
        }
        Ok(())
    }

    /// The local time: without the date on a terminal, in the format of RFC 3339 for a script.
    fn now(&self) -> String {
        let now = ZonedDateTime::now();
        match self.layout.is_for_a_terminal() {
            true => now.strftime("%H:%M:%S.%3f").to_string(),
            false => rfc3339(&now),
        }
    }
}

impl Printer for TextPrinter<'_> {
    fn row(&mut self, row: &Row<'_>, line: &[u8], owners: &[Owner]) -> io::Result<()> {
        if self.layout.is_for_a_terminal() {
            self.layout.measure(row, owners);
            self.waiting.push(StoredRow::new(row, line, owners));
            if self.waiting.len() < LOOK_AHEAD {
                return Ok(());
            }
            return self.print_waiting();
        }
        self.begin()?;
        self.layout.row(&mut self.out, row, owners)
    }

    fn unparsed(&mut self, _file: File, line: &[u8]) -> io::Result<()> {
        self.print_waiting()?;
        self.layout.raw(&mut self.out, line)
    }

    fn end_of_rows(&mut self) -> io::Result<()> {
        if !self.has_begun && self.layout.is_for_a_terminal() {
            // All rows are known.
            let waiting = self.waiting.iter();
            let rows = waiting.filter_map(StoredRow::row);
            self.layout.drop_idle(rows);
        }
        self.print_waiting()?;
        self.out.flush()
    }

    fn began(&mut self, sockets: usize) -> io::Result<()> {
        let time = self.now();
        self.begin_events(&time)?;
        writeln!(self.out, "{time} began   {sockets}")?;
        self.out.flush()
    }

    fn events(&mut self, events: &[Report]) -> io::Result<()> {
        let time = self.now();
        self.layout.renew();
        for report in events {
            if let Some(row) = report.row() {
                self.layout.measure(&row, &report.owners);
            }
        }
        self.begin_events(&time)?;
        for report in events {
            self.layout.event(&mut self.out, &time, report)?;
        }
        self.out.flush()
    }

    fn counts(&mut self, counts: &Counts, has_files: bool) -> io::Result<()> {
        let width = counts.all().to_string().len();
        if self.has_header && has_files {
            self.layout.header_of_counts(&mut self.out, width)?;
        }
        for (count, by) in counts.lines() {
            self.layout.count(&mut self.out, width, count, by)?;
        }
        self.out.flush()
    }

    fn groups(&mut self, _columns: &[Column], counts: &[(u64, &[Key])]) -> io::Result<()> {
        self.layout.groups(&mut self.out, counts, self.has_header)?;
        self.out.flush()
    }

    /// A note on standard error has the number.
    fn undecided(&mut self, _undecided: &Undecided) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::{TCP, TCP6};

    /// All rows are printed in order, and columns only become wider.
    #[test]
    fn rows_that_wait() {
        let mut out = Vec::new();
        let mut layout = Layout::new(None, false, false);
        layout.set_width(200);
        let mut printer = TextPrinter::new(Box::new(&mut out), layout, true);
        let long = "2001:db8:1234:5678:9abc:def0:1234:5678";
        let count = 2 * LOOK_AHEAD + LOOK_AHEAD / 2;
        for i in 0..count {
            let (file, address) = match i {
                // The last row of the second thousand.
                _ if i == 2 * LOOK_AHEAD - 1 => (TCP6, long),
                _ => (TCP, "10.0.0.1"),
            };
            let line = format!("0 0 {address}:9 {address}:9 ESTB A=1,uid={i},ino={i}");
            let row = Row::parse(file, line.as_bytes()).unwrap();
            printer.row(&row, line.as_bytes(), &[]).unwrap();
            assert!(printer.waiting.len() < LOOK_AHEAD);
        }
        printer.unparsed(TCP, b"what is this").unwrap();
        printer.end_of_rows().unwrap();
        drop(printer);
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
                assert!(line.ends_with(&format!(" ESTB -    A=1,uid={i}")), "{line}");
                line.find("ESTB").unwrap()
            })
            .collect();
        assert_eq!(places.len(), count);
        assert!(places[..LOOK_AHEAD].iter().all(|place| *place == places[0]));
        let wide = places[2 * LOOK_AHEAD - 1];
        assert!(wide > places[0]);
        assert!(places[LOOK_AHEAD..].iter().all(|place| *place == wide));
    }

    /// In a file, the header does not depend on the rows. On a terminal, it lacks columns that say
    /// nothing.
    #[test]
    fn header_of_an_empty_list() {
        let print = |width: Option<usize>, lines: &[&str]| {
            let mut out = Vec::new();
            let mut layout = Layout::new(None, false, false);
            width.into_iter().for_each(|width| layout.set_width(width));
            let mut printer = TextPrinter::new(Box::new(&mut out), layout, true);
            for line in lines {
                let row = Row::parse(TCP, line.as_bytes()).unwrap();
                printer.row(&row, line.as_bytes(), &[]).unwrap();
            }
            printer.end_of_rows().unwrap();
            drop(printer);
            String::from_utf8(out).unwrap()
        };
        let line = "0 0 10.0.0.1:9 10.0.0.2:9 ESTB A=1,uid=0,ino=1";
        let (none, some) = (print(None, &[]), print(None, &[line]));
        assert!(
            none.starts_with("Netid ") && none.contains(" Diag "),
            "{none}"
        );
        assert_eq!(none.lines().next(), some.lines().next());
        assert!(print(Some(200), &[]).starts_with("Recv-Q "));
    }

    /// Without a header, rows are the same.
    #[test]
    fn rows_without_a_header() {
        let print = |has_header| {
            let mut out = Vec::new();
            let mut layout = Layout::new(None, true, false);
            layout.set_width(80);
            let mut printer = TextPrinter::new(Box::new(&mut out), layout, has_header);
            for line in [
                "0 0 10.0.0.1:9 10.0.0.2:9 ESTB A=1,uid=0,ino=1",
                "0 0 10.0.0.1:9 10.0.0.2:10 ESTB A=1,uid=0,ino=2",
            ] {
                let row = Row::parse(TCP, line.as_bytes()).unwrap();
                let owners = [Owner::new("a process", 12345, 3)];
                printer.row(&row, line.as_bytes(), &owners).unwrap();
            }
            printer.end_of_rows().unwrap();
            drop(printer);
            String::from_utf8(out).unwrap()
        };
        let text = print(true);
        let (header, rows) = text.split_once('\n').unwrap();
        assert!(header.starts_with("Recv-Q Send-Q Local"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert_eq!(print(false), rows);
    }

    #[test]
    fn counts() {
        let mut out = Vec::new();
        let counts = crate::model::counts::tests::example(false);
        let layout = Layout::new(None, false, false);
        TextPrinter::new(Box::new(&mut out), layout, true)
            .counts(&counts, true)
            .unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Count By        What\n    \
                 4 all       -\n    \
                 2 state     tcp ESTB\n    \
                 1 state     tcp TIMW\n    \
                 1 state     udp CLSD\n    \
                 2 process   -\n    \
                 2 process   a b\n    \
                 1 process   c\n    \
                 2 options   A=1,B=2\n    \
                 1 options   ?\n    \
                 1 options   A=0x1\n"
        );
    }

    #[test]
    fn times() {
        let time = |layout| TextPrinter::new(Box::new(io::sink()), layout, true).now();
        let long = time(Layout::new(None, false, false));
        let parsed: jiff::Timestamp = long.parse().expect(&long);
        assert!(
            parsed <= jiff::Timestamp::now() && long.len() == 29,
            "{long}"
        );
        let mut layout = Layout::new(None, false, false);
        layout.set_width(80);
        let short = time(layout);
        assert!(short.len() == 12 && short.as_bytes()[8] == b'.', "{short}");
    }
}
