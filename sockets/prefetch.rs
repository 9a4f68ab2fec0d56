// SPDX-License-Identifier: GPL-2.0

//! Letting the CPU fetch what a row is made from while the row before it is written.
//!
//! C header: `include/linux/prefetch.h`
//!
//! A CPU has some ten or twenty fetches from memory under way, and stands still at the next one: so
//! the cache lines of a socket come in parts, with some work between them. Which lines these are
//! follows at compile time from where this kernel has the fields that the columns and the table of
//! options look at. Sockets are aligned to cache lines: their slabs are made with
//! `SLAB_HWCACHE_ALIGN`.
//!
//! What this does not do: look at what it fetches. That need not even exist any more.

use crate::bindings;
use crate::sockopts;
use core::ptr::NonNull;

/// Bytes of a cache line. A wrong number costs time only.
const LINE: usize = 64;

/// Most lines of a list.
const MAX: usize = 32;

/// What of a socket is fetched at a time.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// What comes before the options.
    Columns,
    /// What `struct sock` has: the options of SOL_SOCKET, user and inode.
    Socket,
    /// What comes behind it: the options of IP, TCP and UDP.
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

    /// Adds the line of a field, unless it is there.
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

    /// Those lines from `start` up to `end` that are not in `others`.
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

/// The lines of a kind of socket, by parts.
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
        // SAFETY: The helper reads `lines`, which are so many. It does not look behind `node`: to
        // prefetch from a bad address has no effect.
        unsafe { bindings::knetstat_prefetch(node.as_ptr(), lines.as_ptr(), lines.len()) };
    }
}

/// The columns that TCP and UDP have in common.
const COLUMNS: Lines = Lines::new()
    .with(offset_of!(sock_common.skc_node))
    .with(offset_of!(sock_common.skc_family))
    .with(offset_of!(inet_sock.inet_sport));

/// What each row ends with, and what the groups of flags look at.
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
    Parts::new(
        columns,
        sockopts::lines(EACH.with(offset_of!(udp_sock.udp_flags)), b"udp"),
    )
};

/// Fetches a part of the TCP socket with that node.
pub(crate) fn tcp(node: NonNull<bindings::hlist_node>, part: Part) {
    TCP.fetch(node, part);
}

/// Fetches a part of the UDP socket with that node.
pub(crate) fn udp(node: NonNull<bindings::hlist_node>, part: Part) {
    UDP.fetch(node, part);
}
