// SPDX-License-Identifier: GPL-2.0

//! Lets the CPU fetch the memory for a row while the row before it is written.
//!
//! C header: `include/linux/prefetch.h`
//!
//! A CPU can have ten or twenty fetches from memory in progress, and stalls at the next one. The
//! cache lines of a socket are therefore fetched in parts, with some work in between. The lines are
//! known at compile time, from the offsets of the fields that the columns and the table of options
//! read. Sockets are aligned to cache lines: their slabs are made with `SLAB_HWCACHE_ALIGN`.
//!
//! What this does not do: read the memory that it fetches. The socket may no longer exist.

use crate::bindings;
use crate::sockopts;
use core::ptr::NonNull;

/// The size of a cache line in bytes. A wrong number only costs time.
const LINE: usize = 64;

/// The largest number of lines in a list.
const MAX: usize = 32;

/// A part of a socket that is fetched at a time.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// The fields for the columns before the options.
    Columns,
    /// The rest of `struct sock`: the options of SOL_SOCKET, the user and the inode.
    Socket,
    /// The fields after `struct sock`: the options of IP, TCP and UDP.
    Protocol,
}

/// A list of cache lines, by their offsets in a socket.
#[derive(Clone, Copy)]
pub(crate) struct Lines {
    offsets: [u16; MAX],
    len: usize,
}

impl Lines {
    const fn new() -> Self {
        Self {
            offsets: [0; MAX],
            len: 0,
        }
    }

    /// Adds the line of a field, unless the list already contains it.
    pub(crate) const fn with(mut self, field: usize) -> Self {
        let line = field / LINE * LINE;
        if !self.contains(line) {
            assert!(line <= u16::MAX as usize && self.len < MAX);
            self.offsets[self.len] = line as u16;
            self.len += 1;
        }
        self
    }

    const fn contains(&self, line: usize) -> bool {
        let mut i = 0;
        while i < self.len {
            if self.offsets[i] as usize == line {
                return true;
            }
            i += 1;
        }
        false
    }

    /// The lines from `start` up to `end` that `others` does not contain.
    const fn between(&self, start: usize, end: usize, others: &Self) -> Self {
        let mut lines = Self::new();
        let mut i = 0;
        while i < self.len {
            let line = self.offsets[i] as usize;
            if line >= start && line < end && !others.contains(line) {
                lines = lines.with(line);
            }
            i += 1;
        }
        lines
    }

    fn offsets(&self) -> &[u16] {
        self.offsets.get(..self.len).unwrap_or(&[])
    }
}

/// The cache lines of a kind of socket, by part.
struct Parts {
    columns: Lines,
    socket: Lines,
    protocol: Lines,
}

impl Parts {
    const fn new(columns: Lines, all: Lines) -> Self {
        let end = size_of::<bindings::sock>() / LINE * LINE;
        Self {
            columns,
            socket: all.between(0, end, &columns),
            protocol: all.between(end, usize::MAX, &columns),
        }
    }

    fn fetch(&self, node: NonNull<bindings::hlist_node>, part: Part) {
        let lines = match part {
            Part::Columns => &self.columns,
            Part::Socket => &self.socket,
            Part::Protocol => &self.protocol,
        }
        .offsets();
        // SAFETY: The helper reads `lines.len()` elements of `lines`, which are there. It does not
        // dereference `node`: a prefetch from a bad address has no effect.
        unsafe { bindings::knetstat_prefetch(node.as_ptr(), lines.as_ptr(), lines.len()) };
    }
}

/// The lines of the columns that TCP and UDP have in common.
const COLUMNS: Lines = Lines::new()
    .with(offset_of!(sock_common.skc_node))
    .with(offset_of!(sock_common.skc_family))
    .with(offset_of!(inet_sock.inet_sport));

/// The lines that each row reads: the common columns, the entries at its end, and the words of
/// flags.
const EACH: Lines = COLUMNS
    .with(offset_of!(sock_common.skc_flags))
    .with(offset_of!(sock.sk_uid))
    .with(offset_of!(sock.sk_ino))
    .with(offset_of!(inet_sock.inet_flags));

static TCP: Parts = {
    let columns = COLUMNS
        .with(offset_of!(tcp_sock.rcv_nxt))
        .with(offset_of!(tcp_sock.write_seq))
        .with(offset_of!(tcp_sock.snd_wnd))
        .with(offset_of!(tcp_sock.rcv_wnd));
    Parts::new(columns, sockopts::lines(EACH, b"tcp"))
};

static UDP: Parts = {
    let columns = COLUMNS.with(offset_of!(udp_sock.forward_deficit));
    let each = EACH
        .with(offset_of!(udp_sock.udp_flags))
        .with(offset_of!(udp_sock.drop_counters.drops0))
        .with(offset_of!(udp_sock.drop_counters.drops1));
    Parts::new(columns, sockopts::lines(each, b"udp"))
};

/// Fetches a part of the TCP socket with this node.
pub(crate) fn tcp(node: NonNull<bindings::hlist_node>, part: Part) {
    TCP.fetch(node, part);
}

/// Fetches a part of the UDP socket with this node.
pub(crate) fn udp(node: NonNull<bindings::hlist_node>, part: Part) {
    UDP.fetch(node, part);
}
