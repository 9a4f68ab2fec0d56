// SPDX-License-Identifier: GPL-2.0

//! The mounts of network namespaces, as `/proc/PID/mountinfo` lists them.

use crate::source::files::linked_netns;
use std::str;

/// The namespaces in `/proc/PID/mountinfo`, by inode, with their mount points.
pub fn mounts_in(text: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    text.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let root = fields.nth(3).and_then(|root| str::from_utf8(root).ok());
        root.and_then(linked_netns).zip(fields.next())
    })
}

/// A path in `/proc/PID/mountinfo` without its escapes: `\040` is a blank.
pub fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = path;
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..3).filter(|_| *first == b'\\');
        let byte =
            digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[3..] } else { behind };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points() {
        assert_eq!(unescaped(b"/run/netns/blue"), b"/run/netns/blue");
        assert_eq!(unescaped(br"/a\040b\134c\12"), br"/a b\c\12");
    }

    #[test]
    fn mounts_of_namespaces() {
        let text = b"1 2 0:3 / / rw - ext4 x rw\n7 1 0:4 net:[5] /a\\040b rw - nsfs nsfs rw\n";
        let found: Vec<_> = mounts_in(text).collect();
        assert_eq!(found, [(5, &br"/a\040b"[..])]);
    }
}
