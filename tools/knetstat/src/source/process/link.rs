// SPDX-License-Identifier: GPL-2.0

//! The targets of the links in `/proc/PID/fd`.

/// The target for an io_uring.
pub const RING: &str = "anon_inode:[io_uring]";

/// The inode in the target of a link: 12345 in `socket:[12345]`.
pub fn inode(target: &str) -> Option<u64> {
    let digits = target.strip_prefix("socket:[")?.strip_suffix(']')?;
    digits.parse().ok()
}
