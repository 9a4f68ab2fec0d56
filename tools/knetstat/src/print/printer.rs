// SPDX-License-Identifier: GPL-2.0

//! The interface of printers. There is one for text and one for JSON.

use crate::model::columns::{Column, Key};
use crate::model::counts::Counts;
use crate::model::event::Report;
use crate::model::row::Row;
use crate::model::truth::Undecided;
use crate::source::files::File;
use crate::source::process::Owner;
use std::io;

/// A printer of the results of commands.
pub trait Printer {
    /// Prints a row that was parsed from `line`.
    fn row(&mut self, row: &Row<'_>, line: &[u8], owners: &[Owner]) -> io::Result<()>;

    /// Prints a line that could not be parsed.
    fn unparsed(&mut self, file: File, line: &[u8]) -> io::Result<()>;

    /// Ends a list of rows.
    fn end_of_rows(&mut self) -> io::Result<()>;

    /// Prints that watching began, and the number of sockets.
    fn began(&mut self, sockets: usize) -> io::Result<()>;

    /// Prints events, each with the owners of its socket.
    fn events(&mut self, events: &[Report]) -> io::Result<()>;

    /// Prints counts of sockets, with a header only if `has_files`.
    fn counts(&mut self, counts: &Counts, has_files: bool) -> io::Result<()>;

    /// Prints the number of sockets in each group. A group has one value for each column.
    fn groups(&mut self, columns: &[Column], counts: &[(u64, &[Key])]) -> io::Result<()>;

    /// Prints the number of sockets for which the filter could not be decided, if there are any and
    /// if the format has it. It follows everything else.
    fn undecided(&mut self, undecided: &Undecided) -> io::Result<()>;
}
