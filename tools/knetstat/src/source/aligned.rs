// SPDX-License-Identifier: GPL-2.0

//! A buffered reader whose buffer begins at a cache line.
//!
//! The kernel needs three times as long to copy into a buffer that begins elsewhere, such as one
//! that malloc(3) has put behind its own 16 bytes. [`std::io::BufReader`] has no such buffer.

use std::io::{self, BufRead, Read};
use std::ops::Range;

/// The size of a cache line in bytes. A wrong number only costs time.
const LINE: usize = 64;

/// A buffered reader. A read that a signal interrupts is tried again.
#[derive(Debug)]
pub struct Aligned<R> {
    inner: R,
    /// The buffer, in the middle of its allocation.
    bytes: Vec<u8>,
    buffer: Range<usize>,
    /// The bytes that were read, and not consumed.
    left: Range<usize>,
}

impl<R> Aligned<R> {
    /// A reader that reads `size` bytes at a time.
    pub fn new(inner: R, size: usize) -> Self {
        let bytes = vec![0; size + LINE];
        let start = bytes.as_ptr().align_offset(LINE).min(LINE);
        Self {
            inner,
            bytes,
            buffer: start..start + size,
            left: start..start,
        }
    }
}

impl<R: Read> BufRead for Aligned<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left.is_empty() {
            let len = loop {
                match self.inner.read(&mut self.bytes[self.buffer.clone()]) {
                    Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                    len => break len?,
                }
            };
            self.left = self.buffer.start..self.buffer.start + len;
        }
        Ok(&self.bytes[self.left.clone()])
    }

    fn consume(&mut self, len: usize) {
        self.left.start = self.left.end.min(self.left.start + len);
    }
}

impl<R: Read> Read for Aligned<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(to)?;
        self.consume(len);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::str;

    /// A reader that a signal interrupts before each read.
    struct Interrupted<'a>(&'a [u8], bool);

    impl Read for Interrupted<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            match self.1 {
                true => Err(io::ErrorKind::Interrupted.into()),
                false => self.0.read(to),
            }
        }
    }

    #[test]
    fn signals() {
        let mut reader = Aligned::new(Interrupted(b"abc", false), 2);
        for expected in [&b"ab"[..], b"c", b""] {
            assert_eq!(reader.fill_buf().unwrap(), expected);
            reader.consume(expected.len());
        }
    }

    proptest! {
        /// The buffer is aligned, and the bytes are those of the inner reader.
        #[test]
        fn bytes(
            text in "[a-z]{0,300}",
            size in 1..100_usize,
            parts in prop::collection::vec(1..50_usize, 0..9)
        ) {
            let mut reader = Aligned::new(text.as_bytes(), size);
            let mut read = Vec::new();
            for len in parts {
                let buffer = reader.fill_buf().unwrap();
                prop_assert!(buffer.len() <= size);
                let len = len.min(buffer.len());
                read.extend_from_slice(&buffer[..len]);
                reader.consume(len);
            }
            reader.read_to_end(&mut read).unwrap();
            prop_assert_eq!(str::from_utf8(&read).unwrap(), &text);
            prop_assert_eq!(reader.bytes[reader.buffer.start..].as_ptr().addr() % LINE, 0);
        }
    }
}
