// SPDX-License-Identifier: GPL-2.0

//! Whose sockets they are: `/proc/PID/fd`.

use procfs::process::{
    Process,
    StatFlags, //
};
use std::collections::HashMap;
use std::rc::Rc;
use std::{
    fs,
    io, //
};

/// A process that has a socket open.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Holder {
    #[serde(rename = "name", serialize_with = "as_str")]
    pub name: Rc<str>,
    pub pid: i32,
    pub fd: i32,
}

fn as_str<S: serde::Serializer>(text: &Rc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// Who has which socket open, by inode.
#[derive(Debug, Default)]
pub struct Holders {
    by_ino: HashMap<u64, Vec<Holder>>,
    /// Processes that could not be looked into.
    pub hidden: usize,
}

impl Holders {
    /// Looks through all processes, once.
    pub fn scan() -> io::Result<Self> {
        let mut holders = Self::default();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            match holders.process(pid) {
                // The kernel's own threads have no descriptors.
                Err(err) if err.kind() == io::ErrorKind::PermissionDenied => {
                    holders.hidden += usize::from(!is_kernel_thread(pid));
                }
                // It has ended meanwhile.
                Err(_) | Ok(()) => {}
            }
        }
        Ok(holders)
    }

    fn process(&mut self, pid: i32) -> io::Result<()> {
        let mut name: Option<Rc<str>> = None;
        for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
            let entry = entry?;
            let Some(fd) = entry.file_name().to_str().and_then(|fd| fd.parse().ok()) else {
                continue;
            };
            // It may be closed by now.
            let Ok(target) = fs::read_link(entry.path()) else {
                continue;
            };
            let Some(ino) = target.to_str().and_then(inode) else {
                continue;
            };
            let name = name.get_or_insert_with(|| comm(pid).into());
            self.by_ino.entry(ino).or_default().push(Holder {
                name: Rc::clone(name),
                pid,
                fd,
            });
        }
        Ok(())
    }

    /// Who has it open; an inode of 0 is nobody's.
    pub fn of(&self, ino: Option<u64>) -> &[Holder] {
        ino.and_then(|ino| self.by_ino.get(&ino))
            .map_or(&[], Vec::as_slice)
    }
}

/// Of `socket:[12345]`.
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
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

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
        let holders = Holders::scan().unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(
            holders
                .of(ino)
                .iter()
                .any(|holder| (holder.pid, holder.fd) == (pid, fd)),
            "{:?}",
            holders.of(ino)
        );
        assert!(holders.of(Some(0)).is_empty() && holders.of(None).is_empty());
    }
}
