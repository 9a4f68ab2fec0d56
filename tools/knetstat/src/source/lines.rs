// SPDX-License-Identifier: GPL-2.0

//! The lines of a reader, or those that may contain a port.

use anyhow::{Context, Result};
use memchr::memmem::Finder;
use std::io::BufRead;

/// A port that rows must contain to be of interest. To search a buffer for it takes a small part of
/// the time that it takes to look at each line.
#[derive(Clone, Debug)]
pub struct Needle(Finder<'static>);

impl Needle {
    pub fn port(port: u16) -> Self {
        Self(Finder::new(format!(":{port}").as_bytes()).into_owned())
    }

    /// The first place at which a text may contain the port.
    fn find(&self, text: &[u8]) -> Option<usize> {
        let len = self.0.needle().len();
        let is_whole = |at: &usize| !text.get(at + len).is_some_and(u8::is_ascii_digit);
        self.0.find_iter(text).find(is_whole)
    }
}

/// A reader, line by line.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    /// The name of the reader in errors.
    name: &'static str,
    /// The beginning of a line that the reader's buffer cut off.
    begun: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R, name: &'static str) -> Self {
        Self {
            reader,
            name,
            begun: Vec::new(),
        }
    }

    /// Passes each line that ends in the next buffer of the reader to `take`, without its line feed.
    /// Unlike [`BufRead::read_until`], copies only lines that the buffer cuts off. With a needle,
    /// leaves out lines that do not contain it, except the first and the last line of the buffer.
    /// Returns false at the end.
    pub fn of_next_buffer(
        &mut self,
        needle: Option<&Needle>,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<bool> {
        let buffer = self.reader.fill_buf().context(self.name)?;
        if buffer.is_empty() {
            if !self.begun.is_empty() {
                take(&self.begun)?;
                self.begun.clear();
            }
            return Ok(false);
        }
        let mut rest = buffer;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let line = &rest[..end];
            if self.begun.is_empty() {
                take(line)?;
            } else {
                self.begun.extend_from_slice(line);
                take(&self.begun)?;
                self.begun.clear();
            }
            rest = &rest[end + 1..];
            if let Some(needle) = needle {
                // The next line that contains it or, if there is none, the one that is cut off.
                let at = needle.find(rest).unwrap_or(rest.len());
                let line = memchr::memrchr(b'\n', &rest[..at]);
                rest = &rest[line.map_or(0, |end| end + 1)..];
            }
        }
        self.begun.extend_from_slice(rest);
        let len = buffer.len();
        self.reader.consume(len);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{self, BufReader};

    /// The lines of a text that is read with a buffer of this size.
    fn lines(text: &str, capacity: usize, needle: Option<&Needle>) -> Vec<String> {
        let mut found = Vec::new();
        let reader = BufReader::with_capacity(capacity, text.as_bytes());
        let mut lines = Lines::new(reader, "text");
        let mut take = |line: &[u8]| {
            found.push(String::from_utf8(line.to_vec())?);
            Ok(())
        };
        while lines.of_next_buffer(needle, &mut take).unwrap() {}
        found
    }

    proptest! {
        /// The lines are those of the standard library, wherever the buffer cuts them off.
        #[test]
        fn all(text in "[a\n]{0,40}", capacity in 1..20_usize) {
            let expected: io::Result<Vec<_>> = text.as_bytes().lines().collect();
            prop_assert_eq!(lines(&text, capacity, None), expected.unwrap());
        }

        /// With a needle, each line that contains the port comes, each once and in order.
        #[test]
        fn with_a_port(text in "[a:90\n]{0,60}", capacity in 1..30_usize) {
            let found = lines(&text, capacity, Some(&Needle::port(9)));
            let has_it = |line: &&str| line.split(':').skip(1).any(|rest| {
                rest.strip_prefix('9').is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
            });
            let mut expected = text.lines().filter(has_it).peekable();
            for line in &found {
                expected.next_if(|next| next == line);
            }
            prop_assert_eq!(expected.next(), None, "{:?}", found);
            // Nothing comes that is not a line.
            let mut all = text.lines();
            prop_assert!(found.iter().all(|line| all.any(|other| other == line)));
        }
    }
}
