// SPDX-License-Identifier: GPL-2.0

//! Readers of the list of sockets: files, and ss.

use crate::population::{Family, Kind};
use crate::spawner::Spawner;
use anyhow::{ensure, Context, Result};
use memchr::{memchr, memchr_iter};
use nix::errno::Errno;
use nix::kmod::{finit_module, ModuleInitFlags};
use std::fs;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

/// The size of the reads of `cat`, and of the module's buffer.
pub const LARGE: usize = 128 << 10;

/// The size of the reads of programs that use stdio.
pub const SMALL: usize = 4 << 10;

/// The number of reads before the clock is read again, which is a system call in UML.
const READS: u32 = 16;

/// The role of a reader in a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Our file.
    Ours,
    /// The kernel's own file, such as `/proc/net/tcp`.
    Proc,
    /// ss with few columns.
    Ss,
    /// ss with everything that it can show.
    SsOptions,
    /// The file of the floor module (`tests/modules/floor`), which walks and formats nothing.
    Floor,
}

/// A way to list the sockets.
pub struct Reader {
    pub role: Role,
    pub name: String,
    source: Source,
}

enum Source {
    File { path: &'static str, size: usize },
    Command(&'static [&'static str]),
}

/// One pass over the list.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    pub seconds: f64,
    /// Bytes read; `None` for a command whose output went to /dev/null.
    pub bytes: Option<u64>,
    /// Rows, if they were counted.
    pub rows: Option<usize>,
    /// Bytes of the rows, if they were counted.
    pub row_bytes: Option<u64>,
    /// Whether the pass went to the end.
    pub is_whole: bool,
}

impl Reader {
    fn file(role: Role, path: &'static str, size: usize) -> Self {
        let name = match role {
            Role::Floor => "the floor: a bare walk".to_owned(),
            _ => format!("{path}, {} KiB reads", size >> 10),
        };
        Self {
            role,
            name,
            source: Source::File { path, size },
        }
    }

    fn command(role: Role, command: &'static [&'static str]) -> Self {
        Self {
            role,
            name: command.join(" "),
            source: Source::Command(command),
        }
    }

    /// Our file that lists these sockets, read with this size.
    pub fn ours(kind: Kind, family: Family, size: usize) -> Self {
        Self::file(Role::Ours, our_file(kind, family), size)
    }

    /// The floor, which has IPv4 only.
    pub fn floor(kind: Kind) -> Self {
        let path = if kind.is_tcp() {
            "/proc/net/floor_tcp"
        } else {
            "/proc/net/floor_udp"
        };
        Self::file(Role::Floor, path, LARGE)
    }

    /// All readers that list sockets of this kind, ours first.
    pub fn all(kind: Kind, family: Family) -> Vec<Self> {
        let mut readers = vec![Self::ours(kind, family, LARGE)];
        let file = |size| Self::file(Role::Proc, kernel_file(kind, family), size);
        if kind.is_tcp() {
            readers.extend([
                file(SMALL),
                file(LARGE),
                Self::command(Role::Ss, &["ss", "-tan"]),
                Self::command(Role::SsOptions, &["ss", "-tanomie", "--inet-sockopt"]),
            ]);
        } else {
            readers.extend([file(SMALL), Self::command(Role::Ss, &["ss", "-uan"])]);
        }
        if family == Family::V4 {
            readers.push(Self::floor(kind));
        }
        readers
    }

    /// Whether a pass is so slow that counting the rows does not matter.
    pub fn is_slow(&self, kind: Kind) -> bool {
        self.role == Role::Proc && !kind.is_tcp()
    }

    /// Lists all sockets. Counting the rows takes time. A command whose output is counted is not
    /// limited in time.
    pub fn pass(&self, spawner: &mut Spawner, counting: bool, limit: Duration) -> Result<Pass> {
        match self.source {
            Source::File { path, size } if counting => read_counting(path, size, limit),
            Source::File { path, size } => read(path, size, limit, |_| ()),
            Source::Command(command) if counting => {
                let begun = Instant::now();
                let printed = spawner.count(command)?;
                ensure!(printed.lines > 0, "{} prints nothing", self.name);
                Ok(Pass {
                    seconds: begun.elapsed().as_secs_f64(),
                    bytes: None,
                    // The first line is the header.
                    rows: Some(printed.lines - 1),
                    row_bytes: Some(printed.bytes),
                    is_whole: true,
                })
            }
            Source::Command(command) => Ok(Pass {
                seconds: spawner.time(command)?,
                bytes: None,
                rows: None,
                row_bytes: None,
                is_whole: true,
            }),
        }
        .with_context(|| self.name.clone())
    }

    /// Lists all sockets, and checks the number of rows.
    pub fn count(&self, spawner: &mut Spawner, rows: usize) -> Result<Pass> {
        let pass = self.pass(spawner, true, Duration::MAX)?;
        ensure!(
            pass.rows == Some(rows),
            "{}: {:?} rows where there are {rows}",
            self.name,
            pass.rows
        );
        Ok(pass)
    }

    /// Lists all sockets as the `counted` pass did. Returns the time in seconds.
    pub fn time(&self, spawner: &mut Spawner, counted: &Pass) -> Result<f64> {
        let pass = self.pass(spawner, false, Duration::MAX)?;
        ensure!(
            pass.bytes == counted.bytes,
            "{}: {:?} bytes where the first pass read {:?}",
            self.name,
            pass.bytes,
            counted.bytes
        );
        Ok(pass.seconds)
    }
}

/// Opens a file, reads it to its end or until the time is up, and closes it.
fn read(path: &str, size: usize, limit: Duration, mut each: impl FnMut(&[u8])) -> Result<Pass> {
    // The allocator reuses the pages: see `keep_memory` in main.rs.
    let mut buf = vec![0; size];
    let mut bytes = 0;
    let mut reads: u32 = 0;
    let begun = Instant::now();
    let mut file = File::open(path)?;
    let is_whole = loop {
        let n = file.read(&mut buf)?;
        if n == 0 {
            break true;
        }
        bytes += n as u64;
        each(&buf[..n]);
        reads = reads.wrapping_add(1);
        if reads % READS == 0 && begun.elapsed() >= limit {
            break false;
        }
    };
    drop(file);
    Ok(Pass {
        seconds: begun.elapsed().as_secs_f64(),
        bytes: Some(bytes),
        rows: None,
        row_bytes: None,
        is_whole,
    })
}

fn read_counting(path: &str, size: usize, limit: Duration) -> Result<Pass> {
    let mut lines = 0;
    let mut header = None;
    let mut last = b'\n';
    let pass = read(path, size, limit, |text| {
        // The first read returns at least the header.
        header.get_or_insert_with(|| memchr(b'\n', text).map_or(0, |at| at + 1));
        lines += memchr_iter(b'\n', text).count();
        last = text.last().copied().unwrap_or(last);
    })?;
    ensure!(last == b'\n' || !pass.is_whole, "ends within a line");
    ensure!(lines > 0, "has no header");
    Ok(Pass {
        rows: Some(lines - 1),
        row_bytes: pass.bytes.map(|all| all - header.unwrap_or(0) as u64),
        ..pass
    })
}

/// Our file that lists these sockets.
pub fn our_file(kind: Kind, family: Family) -> &'static str {
    match (kind.is_tcp(), family) {
        (true, Family::V4) => "/proc/net/tcpstat",
        (true, Family::V6) => "/proc/net/tcp6stat",
        (false, Family::V4) => "/proc/net/udpstat",
        (false, Family::V6) => "/proc/net/udp6stat",
    }
}

/// The kernel's own file that lists these sockets.
pub fn kernel_file(kind: Kind, family: Family) -> &'static str {
    match (kind.is_tcp(), family) {
        (true, Family::V4) => "/proc/net/tcp",
        (true, Family::V6) => "/proc/net/tcp6",
        (false, Family::V4) => "/proc/net/udp",
        (false, Family::V6) => "/proc/net/udp6",
    }
}

/// Loads the floor module from this directory.
pub fn load_floor(dir: &Path) -> Result<()> {
    let path = dir.join("floor.ko");
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    match finit_module(&file, c"", ModuleInitFlags::empty()) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("loading {}", path.display())),
    }
}

/// Sets the number of bytes in a row of the floor.
pub fn set_floor_row(bytes: f64) -> Result<()> {
    let path = "/sys/module/floor/parameters/row_bytes";
    fs::write(path, format!("{}", bytes.round() as u32)).context(path)
}
