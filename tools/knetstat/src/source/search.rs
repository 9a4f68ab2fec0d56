// SPDX-License-Identifier: GPL-2.0

//! A search of several files for the rows that may contain a port.
//!
//! If a file is long, other threads search the files behind it meanwhile. A thread that has kept
//! many lines ends before the end of its file, and this one goes on with the file in its turn. So
//! lines come in the order of the files, memory stays bounded, and threads wait for each other only
//! once: this one joins them.

use crate::source::aligned::Aligned;
use crate::source::files::{self, File};
use crate::source::lines::{Lines, Needle};
use anyhow::Result;
use std::collections::VecDeque;
use std::io::Read;
use std::panic::resume_unwind;
use std::thread::{Builder, JoinHandle};

/// The number of buffers of a file after which threads begin with the files behind it. They hold
/// some 10,000 rows.
const MANY: usize = 16;

/// The number of bytes of lines after which a thread ends. The last buffer may exceed it. The first
/// line of each buffer counts, too, although most of them do not contain the port.
const KEPT: usize = 256 << 10;

/// A part of the rows of a file: lines that were found, and the rows behind them.
struct Part<R> {
    /// Lines, with their line feeds.
    found: Vec<u8>,
    /// The rows that were not searched. `None` if all were.
    rest: Result<Option<Lines<Aligned<R>>>>,
}

impl<R: Read> Part<R> {
    /// The rows of a file, none of which was searched.
    fn nothing(opened: R, file: File) -> Self {
        Self {
            found: Vec::new(),
            rest: files::rows(opened, file).map(Some),
        }
    }

    /// Searches the beginning of the rows. Lines that were found before an error are kept.
    fn search(mut self, needle: &Needle) -> Self {
        while let Ok(Some(rows)) = &mut self.rest {
            if self.found.len() >= KEPT {
                break;
            }
            let is_more = rows.of_next_buffer(Some(needle), |line| {
                self.found.extend_from_slice(line);
                self.found.push(b'\n');
                Ok(())
            });
            match is_more {
                Ok(true) => {}
                Ok(false) => self.rest = Ok(None),
                Err(err) => self.rest = Err(err),
            }
        }
        self
    }
}

/// A thread that searches a file.
type Thread<R> = JoinHandle<Part<R>>;

/// Begins to search a file. `None` if the thread cannot be started.
fn begin<R: Read + Send + 'static>(opened: R, file: File, needle: &Needle) -> Option<Thread<R>> {
    let needle = needle.clone();
    let search = move || Part::nothing(opened, file).search(&needle);
    Builder::new().spawn(search).ok()
}

/// Passes each row of the files that contains the needle to `take`, without its line feed, and some
/// of the others, as [`files::read`] does. Returns the number of files that exist.
pub fn search(
    files: &[File],
    needle: &Needle,
    take: impl FnMut(File, &[u8]) -> Result<()>,
) -> Result<usize> {
    search_in(files, needle, files::open_own, take)
}

/// Like [`search`], with files that `open` opens.
fn search_in<R: Read + Send + 'static>(
    files: &[File],
    needle: &Needle,
    open: impl Fn(File) -> Result<Option<R>>,
    mut take: impl FnMut(File, &[u8]) -> Result<()>,
) -> Result<usize> {
    let mut count = 0;
    let mut begun: VecDeque<Option<Thread<R>>> = VecDeque::new();
    for (index, file) in files.iter().copied().enumerate() {
        let part = match begun.pop_front().flatten() {
            Some(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => match open(file)? {
                Some(opened) => Part::nothing(opened, file),
                None => continue,
            },
        };
        count += 1;
        for line in part.found.split_inclusive(|byte| *byte == b'\n') {
            take(file, line.strip_suffix(b"\n").unwrap_or(line))?;
        }
        let Some(mut rest) = part.rest? else {
            continue;
        };
        let mut buffers = 0;
        while rest.of_next_buffer(Some(needle), |line| take(file, line))? {
            buffers += 1;
            if buffers == MANY && begun.is_empty() {
                for file in files[index + 1..].iter().copied() {
                    // A file that cannot be opened now is opened again in its turn.
                    let opened = open(file).ok().flatten();
                    begun.push_back(opened.and_then(|opened| begin(opened, file, needle)));
                }
            }
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::io::Cursor;

    /// A row of a file.
    type Line = (File, String);

    /// The lines with the port that a search of four files passes on, and those that it should pass
    /// on. The second file does not exist. Of `rows` of each other one, one of `every` contains the
    /// port.
    fn found(rows: usize, every: usize) -> (usize, [Vec<Line>; 2]) {
        let mut texts = Vec::new();
        let mut expected = Vec::new();
        for file in File::ALL {
            let mut text = "header\n".to_owned();
            for row in 0..rows {
                let is_it = row % every == every - 1;
                let line = format!(
                    "{row} {}:{}{}",
                    file.name(),
                    if is_it { 9 } else { 8 },
                    " ".repeat(99)
                );
                writeln!(text, "{line}").unwrap();
                if is_it && file != File::ALL[1] {
                    expected.push((file, line));
                }
            }
            texts.push(text);
        }
        let open = |file| {
            let at = File::ALL.iter().position(|other| *other == file).unwrap();
            Ok((at != 1).then(|| Cursor::new(texts[at].clone())))
        };
        let mut lines = Vec::new();
        let count = search_in(&File::ALL, &Needle::port(9), open, |file, line| {
            lines.push((file, String::from_utf8(line.to_vec())?));
            Ok(())
        });
        lines.retain(|(_, line)| line.contains(":9 "));
        (count.unwrap(), [lines, expected])
    }

    #[test]
    fn each_line_once_and_in_order() {
        for (rows, every) in [
            (0, 1),
            (10, 3),
            // Long enough for threads, which find nothing, some, or more than they keep.
            (40_000, usize::MAX),
            (40_000, 1000),
            (40_000, 1),
        ] {
            let (count, [lines, expected]) = found(rows, every);
            assert_eq!(count, 3, "{rows} {every}");
            assert!(lines == expected, "{rows} {every}: {} lines", lines.len());
        }
    }

    #[test]
    fn errors_of_each_file() {
        let missing = |file: File| match file {
            File::ALWAYS => anyhow::bail!("cannot open {}", file.name()),
            _ => Ok(None::<Cursor<String>>),
        };
        let err = search_in(&File::ALL, &Needle::port(9), missing, |_, _| Ok(())).unwrap_err();
        assert_eq!(err.to_string(), "cannot open tcpstat");
    }

    /// A file that fails after its first row.
    struct Failing(Cursor<String>);

    impl Read for Failing {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(to)? {
                0 => Err(std::io::Error::other("broken")),
                len => Ok(len),
            }
        }
    }

    /// Rows before an error are found, also by a thread.
    #[test]
    fn an_error_in_the_middle() {
        let row = "0 0 10.0.0.1:9 10.0.0.2:40001 ESTB\n";
        for rows in [1, 100_000] {
            let open = |file: File| -> Result<Option<Box<dyn Read + Send>>> {
                let rows = if file == File::ALL[0] { rows } else { 1 };
                let text = Cursor::new(format!("header\n{}", row.repeat(rows)));
                Ok(Some(match file == File::ALL[2] {
                    true => Box::new(Failing(text)),
                    false => Box::new(text),
                }))
            };
            let mut count = 0;
            let err = search_in(&File::ALL, &Needle::port(9), open, |_, _| {
                count += 1;
                Ok(())
            });
            assert_eq!(format!("{:#}", err.unwrap_err()), "tcpstat: broken");
            assert_eq!(count, rows + 2);
        }
    }

    /// While a long file is read, the others cannot be opened.
    #[test]
    fn no_descriptor_for_another_file() {
        let row = "0 0 10.0.0.1:9 10.0.0.2:40001 ESTB\n";
        let left = std::rc::Rc::new(());
        let open = |_: File| {
            anyhow::ensure!(std::rc::Rc::strong_count(&left) == 1, "too many open files");
            Ok(Some(Cursor::new(format!(
                "header\n{}",
                row.repeat(100_000)
            ))))
        };
        let mut count = 0;
        let found = search_in(&File::ALL, &Needle::port(9), open, |_, _| {
            count += 1;
            Ok(())
        });
        assert_eq!((found.unwrap(), count), (4, 400_000));
    }
}
