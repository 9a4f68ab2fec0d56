// SPDX-License-Identifier: GPL-2.0

//! The sockets that an io_uring holds: its registered files, as `/proc/PID/fdinfo/FD` lists them.
//!
//! A process may register a socket and close its descriptor, or accept a connection without one.
//! The socket is then open, but `/proc/PID/fd` lists only the ring.
//!
//! C source: `io_uring/fdinfo.c`.

use crate::source::process::link::inode;
use crate::source::rights::is_kernel_before;
use std::str;

/// The number of times that the file is read. The kernel leaves the list out while another thread
/// uses the ring.
pub const TRIES: usize = 3;

/// The names that kernels before Linux 6.13 show for a TCP or UDP socket, without its inode.
const WITHOUT_INODE: [&str; 6] = ["TCP", "TCPv6", "UDP", "UDPv6", "MPTCP", "MPTCPv6"];

/// Whether a list without entries may be incomplete, although the ring has a table of files. Older
/// kernels show empty places as `<none>`, and leave all of them out if the ring is in use.
pub fn may_omit() -> bool {
    is_kernel_before(6, 16)
}

/// The inodes of the sockets in the file, each once. `None` if the file does not show them all.
/// `may_omit` is the result of [`may_omit`].
pub fn sockets(text: &[u8], may_omit: bool) -> Option<Vec<u64>> {
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
}
