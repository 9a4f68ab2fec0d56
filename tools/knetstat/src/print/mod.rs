// SPDX-License-Identifier: GPL-2.0

//! How results are printed: one [`Printer`] for all commands, of text or of JSON.

pub mod json;
pub mod layout;
pub mod notes;
pub mod stdout;
pub mod text;

use crate::model::counts::Counts;
use crate::model::event::Event;
use crate::model::row::Row;
use crate::print::json::JsonPrinter;
use crate::print::layout::Layout;
use crate::print::text::TextPrinter;
use crate::source::files::File;
use crate::source::process::Owner;
use std::io::{self, Write};

/// A printer of everything that commands find.
pub trait Printer {
    /// Prints a row, which was parsed from `line`.
    fn row(&mut self, row: &Row<'_>, line: &[u8], owners: &[Owner]) -> io::Result<()>;

    /// Prints a line that could not be parsed.
    fn unparsed(&mut self, file: File, line: &[u8]) -> io::Result<()>;

    /// Ends a list of rows.
    fn end_of_rows(&mut self) -> io::Result<()>;

    /// Prints that a number of sockets are watched from now on.
    fn began(&mut self, sockets: usize) -> io::Result<()>;

    /// Prints what happened to sockets, each with its owners.
    fn events(&mut self, events: &[(Event, Vec<Owner>)]) -> io::Result<()>;

    /// Prints counts of sockets.
    fn counts(&mut self, counts: &Counts) -> io::Result<()>;
}

/// The format of the output.
pub enum Format {
    Text { layout: Layout, has_header: bool },
    Json { processes: bool },
}

impl Format {
    /// A printer of this format.
    pub fn printer<'a>(self, out: Box<dyn Write + 'a>) -> Box<dyn Printer + 'a> {
        match self {
            Format::Text { layout, has_header } => {
                Box::new(TextPrinter::new(out, layout, has_header))
            }
            Format::Json { processes } => Box::new(JsonPrinter::new(out, processes)),
        }
    }
}
