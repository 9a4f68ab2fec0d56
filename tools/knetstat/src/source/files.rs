// SPDX-License-Identifier: GPL-2.0

//! The files of the module, line by line: those in `/proc/net`, or a copy of them.

use anyhow::{bail, Context, Result};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::str;

/// The directory of the files of this network namespace.
const NET: &str = "/proc/self/net";

/// The number of bytes of a file that are read at once.
const BUFFER: usize = 128 << 10;

/// The message for a copy without a header.
const NO_COPY: &str =
    "no copy of the files, which is made by: cat /proc/net/tcp*stat /proc/net/udp*stat";

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

/// The address family of a file's sockets.
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

    /// The protocol of a file that begins with this line; `None` if the line is no header.
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
    /// The family of the file that has this row, by the form of the first address.
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

/// Passes each row of a file to `take`, without its line feed. Returns whether the kernel has the
/// file: without IPv6, it has two only.
pub fn read(file: File, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<bool> {
    let Some(mut reader) = open(file)? else {
        return Ok(false);
    };
    let mut line = Vec::new();
    let mut next = |line: &mut Vec<u8>| {
        line.clear();
        let read = reader.read_until(b'\n', line);
        read.with_context(|| file.name())
    };
    // The header.
    next(&mut line)?;
    while next(&mut line)? > 0 {
        take(line.strip_suffix(b"\n").unwrap_or(&line))?;
    }
    Ok(true)
}

/// Passes each row of a copy of the files to `take`, without its line feed. cat(1) writes such a
/// copy, one file behind the other.
///
/// # Errors
///
/// If it cannot be read, is no such copy, or is cut off.
pub fn read_copy(
    mut copy: impl BufRead,
    mut take: impl FnMut(File, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut netid = None;
    let mut line = Vec::new();
    while copy.read_until(b'\n', &mut line)? > 0 {
        let whole = line
            .strip_suffix(b"\n")
            .context("its last line is not a whole one")?;
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

/// Whether the module is there.
pub fn is_loaded() -> bool {
    Path::new(NET).join("tcpstat").exists()
}

/// Opens a file. `None`: there are no such sockets, since the kernel has no IPv6.
fn open(file: File) -> Result<Option<BufReader<fs::File>>> {
    let path = Path::new(NET).join(file.name());
    match fs::File::open(&path) {
        Ok(opened) => Ok(Some(BufReader::with_capacity(BUFFER, opened))),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            if !is_loaded() {
                bail!("the module knetstat is not loaded; as root: modprobe knetstat");
            }
            Ok(None)
        }
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
            // That of the list.
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
