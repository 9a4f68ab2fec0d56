// SPDX-License-Identifier: GPL-2.0

//! The sockets that an io_uring holds: its registered files, as `/proc/PID/fdinfo/FD` lists them.
//!
//! A process may register a socket and close its descriptor, or accept a connection without one.
//! The socket is then open, but `/proc/PID/fd` lists only the ring.
//!
//! C source: `io_uring/fdinfo.c`.

use crate::source::process::link::inode;
use crate::source::rights::is_kernel_before;
use crate::source::tables::{device_and_inode, Device};
use rustix::fd::AsFd;
use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;
use std::{str, thread};

/// The number of times that the file is read. The kernel leaves the list out while another thread
/// uses the ring.
const TRIES: usize = 3;

/// The number of bytes that a scan reads about rings: some hundred thousand registered files. Any
/// user can register more, and the kernel takes long to print them.
const MOST: usize = 32 << 20;

/// The names that kernels before Linux 6.13 show for a TCP or UDP socket, without its inode.
const WITHOUT_INODE: [&str; 6] = ["TCP", "TCPv6", "UDP", "UDPv6", "MPTCP", "MPTCPv6"];

/// Whether a list without entries may be incomplete, although the ring has a table of files. Older
/// kernels show empty places as `<none>`, and leave all of them out if the ring is in use.
fn may_omit() -> bool {
    is_kernel_before(6, 16)
}

/// The device and the inode of a ring.
pub type Id = (Device, u64);

/// The rings that a scan has found. A ring may have many descriptors, in many processes.
pub struct Rings {
    /// The sockets of each. `None` if the kernel did not show them.
    known: HashMap<Id, Option<Rc<[u64]>>>,
    /// Whether each ring has an inode of its own. Before Linux 5.16, all have the same.
    has_inodes: bool,
    /// The number of bytes that may still be read.
    left: usize,
}

impl Rings {
    pub fn new() -> Self {
        Self {
            known: HashMap::new(),
            has_inodes: !is_kernel_before(5, 16),
            left: MOST,
        }
    }

    /// The ring that a link in an open directory of descriptors leads to. `None` if this kernel
    /// does not say.
    pub fn id(&self, directory: impl AsFd, name: &CStr) -> Option<Id> {
        let id = || device_and_inode(directory, name);
        self.has_inodes.then(id).flatten()
    }

    /// The inodes of the sockets that a ring holds, which `fdinfo` describes. `None` if the kernel
    /// does not show them, or if there is too much to read.
    ///
    /// # Errors
    ///
    /// If the thread has ended, or if this process may not examine it.
    pub fn sockets(&mut self, id: Option<Id>, fdinfo: &str) -> io::Result<Option<Rc<[u64]>>> {
        if let Some(known) = id.and_then(|id| self.known.get(&id)) {
            return Ok(known.clone());
        }
        let found = self.read(fdinfo)?.map(Rc::from);
        self.known.extend(id.map(|id| (id, found.clone())));
        Ok(found)
    }

    fn read(&mut self, fdinfo: &str) -> io::Result<Option<Vec<u64>>> {
        for _ in 0..TRIES {
            if self.left == 0 {
                break;
            }
            let mut text = Vec::new();
            let file = File::open(fdinfo)?;
            file.take(self.left as u64).read_to_end(&mut text)?;
            self.left -= text.len();
            let found = sockets(&text, may_omit());
            if found.is_some() && self.left > 0 {
                return Ok(found);
            }
            thread::yield_now();
        }
        Ok(None)
    }
}

/// The inodes of the sockets in the file, each once. `None` if the file does not show them all.
/// `may_omit` is the result of [`may_omit`].
fn sockets(text: &[u8], may_omit: bool) -> Option<Vec<u64>> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let size = lines.find_map(|line| str::from_utf8(line.strip_prefix(b"UserFiles:")?).ok())?;
    let has_table = size.trim() != "0";
    let mut found = Vec::new();
    let mut count = 0;
    for line in lines {
        // Other lines begin with a word. The names of files need not be UTF-8.
        let line = String::from_utf8_lossy(line);
        let Some((index, target)) = line.split_once(": ") else {
            break;
        };
        if index.trim_start().parse::<u32>().is_err() {
            break;
        }
        if WITHOUT_INODE.contains(&target) {
            return None;
        }
        count += 1;
        found.extend(inode(target));
    }
    if has_table && count == 0 && may_omit {
        return None;
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let text = |list: &str| format!("pos:\t0\nSqMask:\t0x7\n{list}");
        let end = "UserBufs:\t1\n    0: 0x7f/4096\nPollList:\n  op=6, task_works=0\n";
        for (list, expected, if_omitted) in [
            ("UserFiles:\t0\n", Some(&[][..]), Some(&[][..])),
            // Linux 6.16 and later omit empty places.
            ("UserFiles:\t4\n", Some(&[]), None),
            (
                "UserFiles:\t4\n    0: socket:[7]\n    2: /a\\040b: c\n    3: socket:[5]\n",
                Some(&[5, 7]),
                Some(&[5, 7]),
            ),
            (
                "UserFiles:\t2\n    0: socket:[7]\n    1: socket:[7]\n",
                Some(&[7]),
                Some(&[7]),
            ),
            ("UserFiles:\t1\n    0: <none>\n", Some(&[]), Some(&[])),
            // Linux 6.12 and earlier.
            ("UserFiles:\t2\n    0: passwd\n    1: TCPv6\n", None, None),
            // The ring is in use.
            ("", None, None),
        ] {
            let text = text(list) + if list.is_empty() { "" } else { end };
            for (may_omit, expected) in [(false, expected), (true, if_omitted)] {
                let found = sockets(text.as_bytes(), may_omit);
                assert_eq!(found.as_deref(), expected, "{list} {may_omit}");
            }
        }
        assert_eq!(sockets(b"", false), None);
    }

    /// A ring is read once, and no more is read than a scan has time for.
    #[test]
    fn limits() {
        let path = std::env::temp_dir().join(format!("knetstat-ring-{}", std::process::id()));
        let text = "UserFiles:\t1\n    0: socket:[7]\n";
        std::fs::write(&path, text).unwrap();
        let name = path.to_str().unwrap();
        let mut rings = Rings::new();
        let mut sockets =
            |id, name: &str| rings.sockets(id, name).map(|found| found.map(|of| of[0]));
        let [one, other] = [1, 2].map(|ino| Some(((0, 0), ino)));
        assert_eq!(sockets(one, name).unwrap(), Some(7));
        assert_eq!(sockets(one, "/none").unwrap(), Some(7));
        assert!(sockets(other, "/none").is_err() && sockets(None, "/none").is_err());
        rings.left = text.len();
        let mut sockets = |id, name: &str| rings.sockets(id, name).map(|found| found.is_some());
        assert!(!sockets(other, name).unwrap() && !sockets(None, "/none").unwrap());
        assert!(sockets(one, name).unwrap());
        std::fs::remove_file(&path).unwrap();
    }
}
