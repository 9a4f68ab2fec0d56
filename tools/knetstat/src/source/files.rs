// SPDX-License-Identifier: GPL-2.0

//! The files of the module in `/proc/net`, or a copy of them, line by line.

use crate::source::proc_mount;
use anyhow::{bail, Context, Result};
use memchr::{memchr, memchr_iter};
use std::fs;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::str;
use std::sync::mpsc;
use std::thread;

/// The directory of the files, in the network namespace of this process.
const NET: &str = "/proc/self/net";

/// The number of bytes that are read from a file at once.
const BUFFER: usize = 128 << 10;

/// The error for a copy without a header.
const NO_COPY: &str =
    "not a copy of the files; make one: cat /proc/net/tcp*stat /proc/net/udp*stat > FILE";

/// One of the four files of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct File {
    pub netid: Netid,
    pub family: Family,
}

/// The protocol, as ss names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Netid {
    Tcp,
    Udp,
}

/// The address family of the sockets in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    Inet,
    Inet6,
}

impl Netid {
    pub fn name(self) -> &'static str {
        match self {
            Netid::Tcp => "tcp",
            Netid::Udp => "udp",
        }
    }

    /// The protocol of a file that begins with this line. `None` if the line is not a header.
    pub fn of_header(line: &[u8]) -> Option<Self> {
        let line = line.strip_prefix(b"Recv-Q Send-Q Local Address ")?;
        let words = str::from_utf8(line).ok()?.split_ascii_whitespace();
        match words.collect::<Vec<_>>()[..] {
            ["Foreign", "Address", "Stat", "Diag", "Options"] => Some(Netid::Tcp),
            ["Foreign", "Address", "Options"] => Some(Netid::Udp),
            _ => None,
        }
    }
}

impl Family {
    /// The family of the file that contains this row, by the form of the first address.
    pub fn of_line(line: &[u8]) -> Self {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let address = words.nth(2).unwrap_or_default();
        match address.iter().filter(|byte| **byte == b':').count() {
            0 | 1 => Family::Inet,
            _ => Family::Inet6,
        }
    }
}

impl File {
    /// All files, in the order of the list.
    pub const ALL: [File; 4] = [
        File::new(Netid::Udp, Family::Inet),
        File::new(Netid::Udp, Family::Inet6),
        File::new(Netid::Tcp, Family::Inet),
        File::new(Netid::Tcp, Family::Inet6),
    ];

    const fn new(netid: Netid, family: Family) -> Self {
        Self { netid, family }
    }

    /// The name of the file in `/proc/net`.
    pub fn name(self) -> &'static str {
        match (self.netid, self.family) {
            (Netid::Tcp, Family::Inet) => "tcpstat",
            (Netid::Tcp, Family::Inet6) => "tcp6stat",
            (Netid::Udp, Family::Inet) => "udpstat",
            (Netid::Udp, Family::Inet6) => "udp6stat",
        }
    }
}

/// Passes each row of a file to `take`, without its line feed. Returns whether the file exists: the
/// files of IPv6 do not if the kernel lacks IPv6.
pub fn read(file: File, take: impl FnMut(&[u8]) -> Result<()>) -> Result<bool> {
    let is_there = read_in(Path::new(NET), file, take)?;
    if !is_there && !is_loaded() {
        proc_mount::open()?;
        bail!("the module knetstat is not loaded; as root: modprobe knetstat");
    }
    Ok(is_there)
}

/// Like [`read`], but reads a file in the `net` directory of another process. A missing file is no
/// error.
pub fn read_in(
    directory: &Path,
    file: File,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<bool> {
    let Some(mut opened) = open(directory, file)? else {
        return Ok(false);
    };
    let mut lines = Lines::default();
    // Skip the header.
    let mut is_header = true;
    let mut take = |line: &[u8]| match std::mem::take(&mut is_header) {
        true => Ok(()),
        false => take(line),
    };
    let mut buffer = vec![0; BUFFER];
    let first = opened.read(&mut buffer).with_context(|| file.name())?;
    lines.add(&buffer[..first], &mut take)?;
    if first < MANY {
        // Few sockets: a thread would take longer than it saves.
        while let len @ 1.. = opened.read(&mut buffer).with_context(|| file.name())? {
            lines.add(&buffer[..len], &mut take)?;
        }
    } else {
        read_ahead(&mut opened, buffer, |bytes| lines.add(bytes, &mut take))?
            .with_context(|| file.name())?;
    }
    lines.end(&mut take)?;
    Ok(true)
}

/// The number of bytes of a first read after which a thread reads the rest.
const MANY: usize = 64 << 10;

/// The number of buffers that can be full while [`read_ahead`] waits for its caller.
const AHEAD: usize = 2;

/// Reads a file to its end in a thread, so that the kernel makes rows while `take` uses those before.
/// Memory does not depend on the size of the file. Returns the error of `take`, or that of read(2).
fn read_ahead(
    file: &mut fs::File,
    buffer: Vec<u8>,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<io::Result<()>> {
    thread::scope(|scope| {
        let (full, filled) = mpsc::sync_channel::<io::Result<(Vec<u8>, usize)>>(AHEAD);
        let (empty, emptied) = mpsc::channel();
        for buffer in [buffer, vec![0; BUFFER], vec![0; BUFFER]] {
            // The receiver is alive.
            let _ = empty.send(buffer);
        }
        scope.spawn(move || {
            // The thread ends if the other one does.
            while let Ok(mut buffer) = emptied.recv() {
                let read = file.read(&mut buffer).map(|len| (buffer, len));
                let is_last = !matches!(read, Ok((_, 1..)));
                if full.send(read).is_err() || is_last {
                    return;
                }
            }
        });
        for read in filled {
            match read {
                Ok((_, 0)) => break,
                Ok((buffer, len)) => {
                    take(&buffer[..len])?;
                    let _ = empty.send(buffer);
                }
                Err(err) => return Ok(Err(err)),
            }
        }
        Ok(Ok(()))
    })
}

/// A splitter of a file into lines, whatever the parts that it is read in.
#[derive(Default)]
struct Lines {
    /// The begin of a line that the last part did not end.
    begun: Vec<u8>,
}

impl Lines {
    /// Passes the lines that end in `bytes` to `take`.
    fn add(&mut self, bytes: &[u8], take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut rest = bytes;
        if !self.begun.is_empty() {
            let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            self.begun.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
            let Some(line) = self.begun.strip_suffix(b"\n") else {
                return Ok(());
            };
            take(line)?;
            self.begun.clear();
        }
        let mut begin = 0;
        for end in memchr_iter(b'\n', rest) {
            take(&rest[begin..end])?;
            begin = end + 1;
        }
        self.begun.extend_from_slice(&rest[begin..]);
        Ok(())
    }

    /// Passes the last line to `take`, if no line feed ends it.
    fn end(&mut self, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match self.begun.is_empty() {
            true => Ok(()),
            false => take(&std::mem::take(&mut self.begun)),
        }
    }
}

/// Passes each row of a copy of the files to `take`, without its line feed. In a copy, which cat(1)
/// makes, the files follow each other.
///
/// # Errors
///
/// If the copy cannot be read, is not a copy of the files, or is cut off.
pub fn read_copy(
    mut copy: impl BufRead,
    mut take: impl FnMut(File, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut netid = None;
    let mut line = Vec::new();
    while copy.read_until(b'\n', &mut line)? > 0 {
        let whole = line
            .strip_suffix(b"\n")
            .context("the last line is incomplete; make the copy again")?;
        if let Some(header) = Netid::of_header(whole) {
            netid = Some(header);
        } else {
            let file = File {
                netid: netid.context(NO_COPY)?,
                family: Family::of_line(whole),
            };
            take(file, whole)?;
        }
        line.clear();
    }
    netid.map(|_| ()).context(NO_COPY)
}

/// Whether the module is loaded.
pub fn is_loaded() -> bool {
    Path::new(NET).join("tcpstat").exists()
}

/// Opens a file. `None` if it does not exist.
fn open(directory: &Path, file: File) -> Result<Option<fs::File>> {
    let path = directory.join(file.name());
    match fs::File::open(&path) {
        Ok(opened) => Ok(Some(opened)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(|| path.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{memfd_create, MemfdFlags};
    use std::io::{Seek, Write};

    const ROW: &str =
        "     0      0 0.0.0.0:22              0.0.0.0:*               LSTN      SO_REUSEADDR=1";

    /// Lines come out whole, in order and once, whatever the parts.
    #[test]
    fn lines_of_parts() {
        let text: Vec<u8> = (0..200)
            .flat_map(|n| format!("{}\n", "x".repeat(n % 7 * 3)).into_bytes())
            .chain(*b"the end")
            .collect();
        let expected: Vec<_> = text.split(|byte| *byte == b'\n').collect();
        for size in [1, 2, 3, 7, 64, 10_000] {
            let mut found = Vec::new();
            let mut take = |line: &[u8]| {
                found.push(line.to_vec());
                Ok(())
            };
            let mut lines = Lines::default();
            for part in text.chunks(size) {
                lines.add(part, &mut take).unwrap();
            }
            lines.end(&mut take).unwrap();
            assert_eq!(found, expected, "{size}");
        }
    }

    /// A thread reads the whole file, passes an error of the caller on, and ends.
    #[test]
    fn reading_ahead() {
        let mut file = fs::File::from(memfd_create("rows", MemfdFlags::CLOEXEC).unwrap());
        let text: Vec<u8> = (0..10 * BUFFER).map(|n| (n % 251) as u8).collect();
        file.write_all(&text).unwrap();
        let mut read = |stop_at: usize| {
            file.rewind().unwrap();
            let mut found = Vec::new();
            let result = read_ahead(&mut file, vec![0; 1000], |bytes| {
                found.extend_from_slice(bytes);
                anyhow::ensure!(found.len() < stop_at, "stop");
                Ok(())
            });
            (found, result)
        };
        let (found, result) = read(usize::MAX);
        assert!(found == text && matches!(result, Ok(Ok(()))));
        let (found, result) = read(2 * BUFFER);
        assert_eq!(result.unwrap_err().to_string(), "stop");
        assert!(found.len() < 4 * BUFFER && text.starts_with(&found));
        // A directory cannot be read.
        let mut directory = fs::File::open("/").unwrap();
        let result = read_ahead(&mut directory, vec![0; 1000], |_| Ok(()));
        assert_eq!(
            result.unwrap().unwrap_err().raw_os_error(),
            Some(libc::EISDIR)
        );
    }

    #[test]
    fn files_of_a_copy() {
        let tcp = "Recv-Q Send-Q Local Address           Foreign Address         Stat Diag Options";
        let udp = "Recv-Q Send-Q Local Address           Foreign Address         Options";
        assert_eq!(Netid::of_header(tcp.as_bytes()), Some(Netid::Tcp));
        assert_eq!(Netid::of_header(udp.as_bytes()), Some(Netid::Udp));
        for other in [
            "",
            ROW,
            // The header that this command prints.
            "Netid Recv-Q Send-Q Local Address Foreign Address Stat Diag Options",
            "Recv-Q Send-Q Local Address Foreign Address Stat Diag Options more",
        ] {
            assert_eq!(Netid::of_header(other.as_bytes()), None, "{other}");
        }
        assert_eq!(Family::of_line(ROW.as_bytes()), Family::Inet);
        let line = b"     0      0 :::5353                 :::*                    SO_REUSEADDR=1";
        assert_eq!(Family::of_line(line), Family::Inet6);
        assert_eq!(Family::of_line(b""), Family::Inet);
    }
}
