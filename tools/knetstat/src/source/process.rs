// SPDX-License-Identifier: GPL-2.0

//! The owners of sockets: the processes that have them open, read from `/proc/PID/fd`.

use procfs::process::{Process, StatFlags};
use rustix::fd::AsFd;
use rustix::fs::{openat, readlinkat_raw, Mode, OFlags, RawDir, CWD};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::{fs, io, str};

/// A process that has a socket open.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Owner {
    #[serde(rename = "name", serialize_with = "as_str")]
    pub name: Rc<str>,
    pub pid: i32,
    pub fd: i32,
}

impl Owner {
    /// Whether the process has this name.
    pub fn has_name(&self, name: &str) -> bool {
        *self.name == *name
    }
}

fn as_str<S: serde::Serializer>(text: &Rc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// The owners of all sockets.
#[derive(Debug, Default)]
pub struct Owners {
    /// The inodes of open sockets, sorted. A socket occurs once for each descriptor.
    inos: Vec<u64>,
    /// The owner for each entry of `inos`.
    owners: Vec<Owner>,
    /// The number of processes that this process may not examine.
    pub hidden: usize,
}

/// The size of the buffer for directory entries.
const DIRECTORY: usize = 32 << 10;

/// The size of the buffer for the target of a link. `socket:[INODE]` fits; longer targets, which
/// are not sockets, may be cut off.
const LINK: usize = 64;

impl Owners {
    /// Examines all processes once.
    pub fn scan() -> io::Result<Self> {
        let mut owners = Self::default();
        let mut found = Vec::new();
        // One buffer for the list of processes, and one for the descriptors of each.
        let mut pids = vec![MaybeUninit::uninit(); DIRECTORY];
        let mut fds = vec![MaybeUninit::uninit(); DIRECTORY];
        let proc = open_directory(CWD, "/proc")?;
        let mut entries = RawDir::new(&proc, &mut pids);
        while let Some(entry) = entries.next() {
            let Some(pid) = number(entry?.file_name()) else {
                continue;
            };
            match of_process(&proc, pid, &mut fds, &mut found) {
                // Kernel threads have no descriptors.
                Err(err) if err.kind() == io::ErrorKind::PermissionDenied => {
                    owners.hidden += usize::from(!is_kernel_thread(pid));
                }
                // The process was read, or has ended in the meantime.
                Err(_) | Ok(()) => {}
            }
        }
        // Most sockets have one owner. A list for each would take more time and memory.
        found.sort_by_key(|(ino, _)| *ino);
        (owners.inos, owners.owners) = found.into_iter().unzip();
        Ok(owners)
    }

    /// Whether processes that were not examined may have a socket open.
    pub fn may_lack(&self, ino: Option<u64>) -> bool {
        self.hidden > 0 && ino.is_some_and(|ino| ino != 0)
    }

    /// The owners of a socket. An inode of 0 has none.
    pub fn of(&self, ino: Option<u64>) -> &[Owner] {
        let Some(ino) = ino else {
            return &[];
        };
        let begin = self.inos.partition_point(|other| *other < ino);
        let same = self.inos[begin..].iter().take_while(|other| **other == ino);
        &self.owners[begin..begin + same.count()]
    }
}

fn open_directory<P: rustix::path::Arg>(at: impl AsFd, path: P) -> io::Result<impl AsFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(at, path, flags, Mode::empty())?)
}

/// Adds the sockets that a process has open. Links are read relative to the open directory, because
/// looking up `/proc/PID/fd/FD` takes longer than reading the link.
fn of_process(
    proc: impl AsFd,
    pid: i32,
    room: &mut [MaybeUninit<u8>],
    found: &mut Vec<(u64, Owner)>,
) -> io::Result<()> {
    let directory = open_directory(proc, format!("{pid}/fd"))?;
    let mut name: Option<Rc<str>> = None;
    let mut entries = RawDir::new(&directory, room);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let Some(fd) = number(entry.file_name()) else {
            continue;
        };
        let mut link = [MaybeUninit::uninit(); LINK];
        // The descriptor may be closed by now.
        let Ok((target, _)) = readlinkat_raw(&directory, entry.file_name(), &mut link) else {
            continue;
        };
        let Some(ino) = str::from_utf8(target).ok().and_then(inode) else {
            continue;
        };
        let name = name.get_or_insert_with(|| comm(pid).into());
        let owner = Owner {
            name: Rc::clone(name),
            pid,
            fd,
        };
        found.push((ino, owner));
    }
    Ok(())
}

/// The number that an entry of a directory is named after, if any.
fn number(name: &CStr) -> Option<i32> {
    name.to_str().ok()?.parse().ok()
}

/// The inode in the target of a link: 12345 in `socket:[12345]`.
fn inode(target: &str) -> Option<u64> {
    let digits = target.strip_prefix("socket:[")?.strip_suffix(']')?;
    digits.parse().ok()
}

fn comm(pid: i32) -> String {
    let text = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    String::from_utf8_lossy(text).into_owned()
}

fn is_kernel_thread(pid: i32) -> bool {
    let stat = Process::new(pid).and_then(|process| process.stat());
    stat.is_ok_and(|stat| {
        stat.flags()
            .is_ok_and(|flags| flags.contains(StatFlags::PF_KTHREAD))
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsRawFd;

    /// An owner whose name has characters that printers escape.
    pub fn owner() -> Owner {
        Owner {
            name: "tmux: \"x\"".into(),
            pid: 7,
            fd: 3,
        }
    }

    #[test]
    fn inodes() {
        assert_eq!(inode("socket:[123]"), Some(123));
        for other in [
            "pipe:[123]",
            "socket:[]",
            "socket:[1",
            "/socket:[1]",
            "socket:[-1]",
        ] {
            assert_eq!(inode(other), None, "{other}");
        }
    }

    #[test]
    fn finds_itself() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = listener.as_raw_fd();
        let link = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        let ino = inode(link.to_str().unwrap());
        let owners = Owners::scan().unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(
            owners
                .of(ino)
                .iter()
                .any(|owner| (owner.pid, owner.fd) == (pid, fd)),
            "{:?}",
            owners.of(ino)
        );
        assert!(owners.of(Some(0)).is_empty() && owners.of(None).is_empty());
        assert!(owners.of(Some(u64::MAX)).is_empty());
    }

    /// Finds all sockets if they do not fit into the buffer, and a duplicated one twice.
    #[test]
    fn finds_each_of_many() {
        let mut sockets: Vec<_> = (0..3000)
            .map_while(|_| UdpSocket::bind("127.0.0.1:0").ok())
            .collect();
        let again = sockets[0].try_clone().unwrap();
        sockets.push(again);
        let owners = Owners::scan().unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        let mut found: Vec<_> = sockets
            .iter()
            .map(|socket| {
                let fd = socket.as_raw_fd();
                let link = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
                let of_ino = owners.of(inode(link.to_str().unwrap()));
                let count = of_ino.iter().filter(|owner| owner.pid == pid).count();
                assert!(
                    of_ino
                        .iter()
                        .any(|owner| (owner.pid, owner.fd) == (pid, fd)),
                    "{fd}: {of_ino:?}"
                );
                count
            })
            .collect();
        found.sort_unstable();
        assert_eq!(&found[found.len() - 2..], [2, 2]);
        assert!(found[..found.len() - 2].iter().all(|count| *count == 1));
    }
}
