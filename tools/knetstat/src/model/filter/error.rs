// SPDX-License-Identifier: GPL-2.0

//! Errors in filters.

use std::fmt;
use std::ops::Range;

/// An error in a filter, with its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    pub text: String,
    pub place: Range<usize>,
    pub what: String,
    pub hint: String,
}

/// The reason why a text is not a value of an option.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The mistake, and the values that may be meant.
    pub what: String,
    /// The expected form.
    pub hint: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |part: &str| part.chars().count();
        let before = count(&self.text[..self.place.start]);
        let marked = count(&self.text[self.place.clone()]).max(1);
        writeln!(f, "{}", self.what)?;
        writeln!(f, "    {}", self.text.replace(char::is_control, " "))?;
        write!(f, "    {:before$}{}", "", "^".repeat(marked))?;
        if !self.hint.is_empty() {
            write!(f, "\n{}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
