// SPDX-License-Identifier: GPL-2.0

//! The files of the module in `/proc/net`, or a copy of them, line by line.

use crate::source::aligned::Aligned;
use crate::source::lines::{Lines, Needle};
use crate::source::proc_mount;
use anyhow::{bail, ensure, Context, Result};
use std::cell::Cell;
use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;
use std::str;

/// The directory of the files, in the network namespace of this process.
const NET: &str = "/proc/self/net";

/// The number of bytes that are read from a file at once.
const BUFFER: usize = 128 << 10;

/// The length that no line of a copy has. Rows with 1,024 multicast groups have about 64 KiB.
const MAX_LINE: u64 = 1 << 20;

/// The error for a copy without a header.
const NO_COPY: &str = "not a copy of the files; make one: knetstat copy > FILE";

/// The error for a copy of several network namespaces that has no end.
const NO_END: &str =
    "the end of the copy is missing: knetstat copy did not finish, or was an older \
    version; make the copy again";

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
    /// The name that ss has for it.
    pub fn name(self) -> &'static str {
        match self {
            Family::Inet => "inet",
            Family::Inet6 => "inet6",
        }
    }

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

    /// The file that each kernel has.
    pub const ALWAYS: File = File::new(Netid::Tcp, Family::Inet);

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

/// Passes each row of a file to `take`, without its line feed. With a needle, passes those that
/// contain it, and some of the others, so that a row in another format does not go unnoticed. Returns
/// whether the file exists: the files of IPv6 do not if the kernel lacks IPv6.
pub fn read(
    file: File,
    needle: Option<&Needle>,
    reads: &Reads,
    take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<bool> {
    let opened = open_own(file)?;
    let is_there = opened.is_some();
    if let Some(opened) = opened {
        read_opened(opened, file, needle, reads, take)?;
    }
    Ok(is_there)
}

/// The number of reads of files so far. A fact that was found out after a read is not older than the
/// rows of that read.
#[derive(Debug, Default)]
pub struct Reads(Cell<u64>);

impl Reads {
    pub fn count(&self) -> u64 {
        self.0.get()
    }
}

/// A file whose reads are counted.
struct Counted<'r> {
    file: fs::File,
    reads: &'r Reads,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads.0.set(self.reads.0.get() + 1);
        self.file.read(buffer)
    }
}

/// Opens a file in the network namespace of this process. `None` if it does not exist.
///
/// # Errors
///
/// If the module is not loaded. If the file exists and cannot be opened for the reason that it does not:
/// in Linux 5.10, this is true of all files in `/proc/net` if `/proc` is mounted with subset=pid.
pub fn open_own(file: File) -> Result<Option<fs::File>> {
    let opened = open(Path::new(NET), file)?;
    if opened.is_some() {
        return Ok(opened);
    }
    if !is_loaded() {
        proc_mount::open()?;
        bail!("the module knetstat is not loaded; as root: modprobe knetstat");
    }
    let path = Path::new(NET).join(file.name());
    if !path.exists() {
        return Ok(None);
    }
    // It may have come meanwhile, with the module.
    let opened = open(Path::new(NET), file)?;
    ensure!(
        opened.is_some(),
        "{} exists, but cannot be opened; /proc may be mounted with subset=pid; as root: \
         mount -t proc proc /proc",
        path.display()
    );
    Ok(opened)
}

/// Like [`read`], but reads a file in the `net` directory of another process. A missing file is no
/// error.
pub fn read_in(
    directory: &Path,
    file: File,
    needle: Option<&Needle>,
    take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<bool> {
    let Some(opened) = open(directory, file)? else {
        return Ok(false);
    };
    read_opened(opened, file, needle, &Reads::default(), take)?;
    Ok(true)
}

/// Like [`read`], but reads a file that was opened.
pub fn read_opened(
    opened: fs::File,
    file: File,
    needle: Option<&Needle>,
    reads: &Reads,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let opened = Counted {
        file: opened,
        reads,
    };
    let mut rows = rows(opened, file)?;
    while rows.of_next_buffer(needle, &mut take)? {}
    Ok(())
}

/// The rows of a file that was opened.
pub fn rows<R: Read>(opened: R, file: File) -> Result<Lines<Aligned<R>>> {
    let mut reader = Aligned::new(opened, BUFFER);
    // Skip the header.
    reader.skip_until(b'\n').with_context(|| file.name())?;
    Ok(Lines::new(reader, file.name()))
}

/// A line of a copy of the files, without its line feed.
#[derive(Debug)]
pub enum Copied<'a> {
    /// The files that follow are of the network namespace with this inode. `None` if the copy lacks
    /// a namespace.
    Netns(Option<u64>),
    /// A row of a file.
    Row(File, &'a [u8]),
}

/// Passes each line of a copy of the files to `take`, except headers. In a copy, which cat(1) makes,
/// the files follow each other. In a copy of several network namespaces, the files of each follow a
/// line that names it, as the link `/proc/PID/ns/net` does, and a line marks the end.
///
/// # Errors
///
/// If the copy cannot be read, is not a copy of the files, or is cut off. In a copy of one namespace,
/// this is noticed only within a line.
pub fn read_copy(
    mut copy: impl BufRead,
    mut take: impl FnMut(Copied<'_>) -> Result<()>,
) -> Result<()> {
    let (mut netid, mut is_copy) = (None, false);
    let (mut needs_end, mut has_ended) = (false, false);
    let mut line = Vec::new();
    while read_line(&mut copy, &mut line)? > 0 {
        let whole = line
            .strip_suffix(b"\n")
            .context("the last line is incomplete; make the copy again")?;
        // A terminal adds it, for example that of ssh -t. The module never ends a line with it.
        let whole = whole.strip_suffix(b"\r").unwrap_or(whole);
        ensure!(!has_ended, "lines follow its end; make the copy again");
        if whole == END.as_bytes() {
            has_ended = true;
        } else if let Some(header) = Netid::of_header(whole) {
            (netid, is_copy) = (Some(header), true);
        } else if let Some(netns) = netns_of_line(whole) {
            (netid, is_copy, needs_end) = (None, true, true);
            take(Copied::Netns(netns))?;
        } else {
            let file = File {
                netid: netid.context(NO_COPY)?,
                family: Family::of_line(whole),
            };
            take(Copied::Row(file, whole))?;
        }
        line.clear();
    }
    ensure!(is_copy, NO_COPY);
    ensure!(has_ended || !needs_end, NO_END);
    Ok(())
}

/// Reads a line of a copy to the end of `lines`. Returns its length, which is 0 at the end.
///
/// # Errors
///
/// If the copy cannot be read, or if the line is longer than a row can be.
fn read_line(copy: &mut impl BufRead, lines: &mut Vec<u8>) -> Result<usize> {
    let len = copy.take(MAX_LINE + 1).read_until(b'\n', lines)?;
    ensure!(len as u64 <= MAX_LINE, "a line is too long; {NO_COPY}");
    Ok(len)
}

/// Reads a copy into memory, to parse it several times.
///
/// # Errors
///
/// If it cannot be read, or does not begin as a copy does.
pub fn load_copy(mut copy: impl BufRead) -> Result<Vec<u8>> {
    let mut copied = Vec::new();
    read_line(&mut copy, &mut copied)?;
    let first = copied.trim_ascii_end();
    let begins_copy = Netid::of_header(first).is_some() || netns_of_line(first).is_some();
    ensure!(begins_copy, NO_COPY);
    while read_line(&mut copy, &mut copied)? > 0 {}
    Ok(copied)
}

/// Writes the line that names a network namespace in a copy.
///
/// # Errors
///
/// Those of `out`.
pub fn write_netns(out: &mut impl Write, ino: Option<u64>) -> io::Result<()> {
    match ino {
        Some(ino) => writeln!(out, "net:[{ino}]"),
        None => writeln!(out, "{UNKNOWN_NETNS}"),
    }
}

/// Writes the line that marks the end of a copy of several network namespaces.
///
/// # Errors
///
/// Those of `out`.
pub fn write_end(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{END}")
}

/// The line that marks the end of a copy of several network namespaces.
const END: &str = "net:[end]";

/// The line of a copy that stands for network namespaces which the copy lacks.
const UNKNOWN_NETNS: &str = "net:[?]";

/// The network namespace that a line of a copy names; see [`Copied::Netns`]. `None` if it names
/// none.
fn netns_of_line(line: &[u8]) -> Option<Option<u64>> {
    let line = str::from_utf8(line).ok()?;
    match linked_netns(line) {
        None if line != UNKNOWN_NETNS => None,
        ino => Some(ino),
    }
}

/// The inode of a network namespace in the target of a link: 4026531840 in `net:[4026531840]`.
pub fn linked_netns(target: &str) -> Option<u64> {
    let ino = target.strip_prefix("net:[")?.strip_suffix(']')?;
    ino.parse().ok()
}

/// Copies a file that was opened, with its header.
///
/// # Errors
///
/// Those of the file and of `out`.
pub fn copy(opened: fs::File, out: &mut impl Write) -> io::Result<()> {
    let mut reader = Aligned::new(opened, BUFFER);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        out.write_all(bytes)?;
        let len = bytes.len();
        reader.consume(len);
    }
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

    const ROW: &str =
        "     0      0 0.0.0.0:22              0.0.0.0:*               LSTN      SO_REUSEADDR=1";

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

    #[test]
    fn namespaces() {
        assert_eq!(linked_netns("net:[4026531840]"), Some(4_026_531_840));
        for other in ["", "net:[]", "net:[x]", "mnt:[1]", "socket:[1]", "net:[1] "] {
            assert_eq!(linked_netns(other), None, "{other}");
            assert_eq!(netns_of_line(other.as_bytes()), None, "{other}");
        }
        for ino in [Some(4_026_531_840), None] {
            let mut line = Vec::new();
            write_netns(&mut line, ino).unwrap();
            let line = line.strip_suffix(b"\n").unwrap();
            assert_eq!(netns_of_line(line), Some(ino));
        }
        assert_eq!(netns_of_line(ROW.as_bytes()), None);
    }

    /// A device that never ends is no copy. It does not fill the memory.
    #[test]
    fn endless_copies() {
        let zeros = || io::BufReader::new(io::repeat(0));
        let header = "Recv-Q Send-Q Local Address Foreign Address Stat Diag Options\n";
        let begun = || io::BufReader::new(header.as_bytes().chain(io::repeat(b'x')));
        let read = |copy: &mut dyn BufRead| read_copy(copy, |_| Ok(())).unwrap_err().to_string();
        assert!(read(&mut zeros()).starts_with("a line is too long; "));
        assert!(read(&mut begun()).starts_with("a line is too long; "));
        let load = |copy: &mut dyn BufRead| load_copy(copy).unwrap_err().to_string();
        assert!(load(&mut zeros()).starts_with("a line is too long; "));
        assert!(load(&mut begun()).starts_with("a line is too long; "));
        let lines = &mut io::BufReader::new(io::repeat(b'\n'));
        assert_eq!(load(lines), NO_COPY);
        for copy in [header, "net:[5]\r\n", "net:[?]\nx"] {
            assert_eq!(load_copy(copy.as_bytes()).unwrap(), copy.as_bytes());
        }
    }

    /// A terminal ends lines with a carriage return, too.
    #[test]
    fn copies_of_a_terminal() {
        let header = "Recv-Q Send-Q Local Address Foreign Address Stat Diag Options";
        let copy = format!("net:[5]\n{header}\n{ROW}\nnet:[end]\n");
        let lines = |copy: &str| {
            let mut lines = Vec::new();
            let read = read_copy(copy.as_bytes(), |line| {
                lines.push(format!("{line:?}"));
                Ok(())
            });
            read.map(|()| lines).map_err(|err| err.to_string())
        };
        let found = lines(&copy);
        assert_eq!(found.as_ref().map(Vec::len), Ok(2));
        assert_eq!(lines(&copy.replace('\n', "\r\n")), found);
    }

    /// A copy of several namespaces that was cut off is noticed, also between two lines.
    #[test]
    fn ends_of_copies() {
        let header = "Recv-Q Send-Q Local Address Foreign Address Stat Diag Options";
        let one = format!("{header}\n{ROW}\n{header}\n");
        let mut all = Vec::new();
        for ino in [Some(5), Some(6), None] {
            write_netns(&mut all, ino).unwrap();
            all.extend(one.bytes());
        }
        let lines = |copy: &[u8]| {
            let (mut namespaces, mut rows) = (0, 0);
            let read = read_copy(copy, |line| {
                match line {
                    Copied::Netns(_) => namespaces += 1,
                    Copied::Row(..) => rows += 1,
                }
                Ok(())
            });
            read.map(|()| (namespaces, rows))
                .map_err(|err| err.to_string())
        };
        assert_eq!(lines(one.as_bytes()), Ok((0, 1)));
        for (end, _) in all.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            assert_eq!(lines(&all[..=end]), Err(NO_END.to_owned()));
        }
        write_end(&mut all).unwrap();
        assert_eq!(lines(&all), Ok((3, 3)));
        assert!(lines(&all[..all.len() - 1])
            .unwrap_err()
            .contains("incomplete"));
        all.extend(b"net:[7]\n");
        assert!(lines(&all).unwrap_err().contains("follow its end"));
        assert_eq!(lines(b"net:[end]\n"), Err(NO_COPY.to_owned()));
    }
}
