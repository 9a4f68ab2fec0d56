// SPDX-License-Identifier: GPL-2.0

//! Crowded buckets whose sockets leave and come back between two reads of one listing, or are
//! closed and replaced.
//!
//! The sockets that move are those around the end of the last read, or all that were listed so far.
//! A socket that does not move must be listed exactly once, and no socket twice. `/proc/net/tcp`
//! and `/proc/net/udp` give the sockets in the bucket, and their order.

use crate::features::Feature;
use crate::guest::{guest, wait_for, Scale};
use crate::harness::{skip, Case};
use crate::netns::in_fresh;
use crate::reference;
use crate::rows::File;
use crate::sockets::{disconnect, ino, set_int, Plan};
use anyhow::{bail, ensure, Context, Result};
use socket2::{Socket, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

/// The port of every socket of a crowd.
const PORT: u16 = 40_000;

/// The port that UDP sockets connect to. Nothing is sent there.
const PEER: u16 = 9;

/// The size of a read(2) that has room for a whole buffer of the module. It returns one at most.
const LARGE_READ: usize = 1 << 20;

/// The size of a read(2) by a shell or the C library.
const SMALL_READ: usize = 4096;

/// A time in which RCU frees the sockets that were closed, so that new ones get their memory.
const GRACE_PERIOD: Duration = Duration::from_millis(100);

/// The number of slots in the UDP table of a new network namespace. 0: the table is shared.
const PRIVATE_TABLE: &str = "/proc/sys/net/ipv4/udp_child_hash_entries";

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in KINDS {
        for reading in READINGS {
            cases.push(Case::heavy(
                format!("cursors::{}::{}", kind.name, reading.name),
                move || in_fresh(|| every_move(kind, reading)),
            ));
        }
    }
    for kind in KINDS.iter().filter(|kind| !kind.is_tcp) {
        cases.push(Case::heavy(
            format!("cursors::{}::in_a_private_table", kind.name),
            move || in_fresh(|| in_private_table(kind)),
        ));
    }
    cases
}

/// A kind of socket.
struct Kind {
    name: &'static str,
    plan: Plan,
    is_tcp: bool,
    /// The option that lets the sockets share a port.
    share: i32,
    /// Whether the kernel links such a socket in at the tail of its chain, rather than at the
    /// head; see `sk_add_node_rcu()` and `inet_hash()`.
    at_tail: bool,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "listeners",
        plan: Plan::V4,
        is_tcp: true,
        share: libc::SO_REUSEPORT,
        at_tail: false,
    },
    Kind {
        name: "listeners6_with_reuseport",
        plan: Plan::V6,
        is_tcp: true,
        share: libc::SO_REUSEPORT,
        at_tail: true,
    },
    Kind {
        name: "udp",
        plan: Plan::V4,
        is_tcp: false,
        share: libc::SO_REUSEADDR,
        at_tail: false,
    },
    Kind {
        name: "udp6",
        plan: Plan::V6,
        is_tcp: false,
        share: libc::SO_REUSEADDR,
        at_tail: false,
    },
    Kind {
        name: "udp6_with_reuseport",
        plan: Plan::V6,
        is_tcp: false,
        share: libc::SO_REUSEPORT,
        at_tail: true,
    },
];

impl Kind {
    fn file(&self) -> File {
        self.plan.file(self.is_tcp)
    }

    /// A socket in the table. A UDP socket gets its port from connect(2), because only then
    /// connect(2) with AF_UNSPEC takes the port away again: see [`only_port`].
    fn socket(&self) -> Result<Socket> {
        let ty = if self.is_tcp {
            Type::STREAM
        } else {
            Type::DGRAM
        };
        let socket = Socket::new(self.plan.domain(), ty, None)?;
        set_int(&socket, libc::SOL_SOCKET, self.share, 1)?;
        lengthen(self.plan, &socket)?;
        if self.is_tcp {
            socket.bind(&self.plan.addr(PORT).into())?;
        }
        self.enter(&socket)?;
        Ok(socket)
    }

    /// Links a socket into its bucket.
    fn enter(&self, socket: &Socket) -> Result<()> {
        if self.is_tcp {
            socket.listen(1).context("listen")
        } else {
            let to = self.plan.addr(PEER).into();
            socket.connect(&to).context("connect")
        }
    }

    /// Takes a socket out of its bucket.
    fn leave(&self, socket: &Socket) -> Result<()> {
        if self.is_tcp {
            socket.shutdown(Shutdown::Both).context("shutdown")
        } else {
            disconnect(socket).context("disconnect")
        }
    }
}

/// Sets options that make the row of a socket longer, so that fewer sockets fill a buffer.
pub fn lengthen(plan: Plan, socket: &Socket) -> Result<()> {
    const IPV6_RECVPATHMTU: i32 = 60;
    const IPV6_RECVORIGDSTADDR: i32 = 74;
    const IPV6_RECVFRAGSIZE: i32 = 77;
    let (level, options) = match plan {
        Plan::V4 => (
            libc::IPPROTO_IP,
            [
                libc::IP_PKTINFO,
                libc::IP_RECVTTL,
                libc::IP_RECVTOS,
                libc::IP_RETOPTS,
                libc::IP_RECVORIGDSTADDR,
                libc::IP_FREEBIND,
            ],
        ),
        _ => (
            libc::IPPROTO_IPV6,
            [
                libc::IPV6_RECVPKTINFO,
                libc::IPV6_RECVHOPLIMIT,
                libc::IPV6_RECVTCLASS,
                IPV6_RECVPATHMTU,
                IPV6_RECVORIGDSTADDR,
                IPV6_RECVFRAGSIZE,
            ],
        ),
    };
    for option in options {
        set_int(socket, level, option, 1).with_context(|| format!("option {option}"))?;
    }
    Ok(())
}

/// Makes `port` the only one that the kernel chooses in this network namespace.
///
/// IP_LOCAL_PORT_RANGE does this for a socket, from Linux 6.3 on.
fn only_port(port: u16) -> Result<()> {
    let sysctl = "/proc/sys/net/ipv4/ip_local_port_range";
    fs::write(sysctl, format!("{port} {port}")).context(sysctl)
}

/// Sockets in one bucket.
struct Crowd {
    kind: &'static Kind,
    sockets: BTreeMap<u64, Socket>,
    /// Their inodes, in the order of the chain.
    chain: Vec<u64>,
}

impl Crowd {
    fn new(kind: &'static Kind) -> Result<Self> {
        if !kind.is_tcp {
            only_port(PORT)?;
        }
        let mut crowd = Self {
            kind,
            sockets: BTreeMap::new(),
            chain: Vec::new(),
        };
        for _ in 0..guest().scale(1500, 1000, 1000) {
            crowd.add()?;
        }
        crowd.must_be_in_order()?;
        Ok(crowd)
    }

    fn add(&mut self) -> Result<()> {
        let socket = self.kind.socket()?;
        let ino = ino(&socket)?;
        self.sockets.insert(ino, socket);
        self.entered(ino);
        Ok(())
    }

    /// Notes that a socket was linked in.
    fn entered(&mut self, ino: u64) {
        match self.kind.at_tail {
            true => self.chain.push(ino),
            false => self.chain.insert(0, ino),
        }
    }

    fn socket(&self, ino: u64) -> Result<&Socket> {
        self.sockets.get(&ino).context("no such socket")
    }

    /// Takes a socket out of the bucket, if it is there.
    fn leave(&mut self, ino: u64) -> Result<()> {
        if let Some(at) = self.chain.iter().position(|other| *other == ino) {
            self.kind.leave(self.socket(ino)?)?;
            self.chain.remove(at);
        }
        Ok(())
    }

    fn come_back(&mut self, ino: u64) -> Result<()> {
        self.kind.enter(self.socket(ino)?)?;
        self.entered(ino);
        Ok(())
    }

    /// Closes these sockets, and then creates the same number.
    fn replace(&mut self, inodes: &[u64]) -> Result<()> {
        for ino in inodes {
            self.chain.retain(|other| other != ino);
            self.sockets.remove(ino);
        }
        if !inodes.is_empty() {
            thread::sleep(GRACE_PERIOD);
        }
        inodes.iter().try_for_each(|_| self.add())
    }

    /// Compares the order of the chain with that of the kernel's own file.
    fn must_be_in_order(&self) -> Result<()> {
        // A program that another test starts has our sockets until exec(2).
        wait_for("the order of the chain", 1, || {
            let entries = reference::entries(self.kind.file())?;
            let kernel: Vec<_> = entries.iter().map(|entry| entry.ino).collect();
            Ok(if kernel == self.chain {
                Ok(())
            } else {
                Err("it is not what this test assumes".to_owned())
            })
        })
    }
}

/// A way to read a listing, and the moments at which sockets move.
struct Reading {
    name: &'static str,
    /// Bytes of a read(2).
    size: usize,
    /// Whether sockets move after each read, rather than after the first one.
    each: bool,
}

const READINGS: &[Reading] = &[
    Reading {
        name: "moves_after_the_first_buffer",
        size: LARGE_READ,
        each: false,
    },
    Reading {
        name: "moves_after_every_buffer",
        size: LARGE_READ,
        each: true,
    },
    Reading {
        name: "moves_after_every_4_kib",
        size: SMALL_READ,
        each: true,
    },
];

/// A choice of sockets, in the order in which they move.
enum Which {
    /// The sockets at these distances from the last one shown, along the chain: 1 is the next one.
    Near(&'static [isize]),
    /// All that were shown, and the same in reverse order.
    Shown,
    ShownBackwards,
    /// All that were not shown, and the same in reverse order.
    NotShown,
    NotShownBackwards,
}

use Which::{Near, NotShown, NotShownBackwards, Shown, ShownBackwards};

/// The way in which sockets move.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Each comes back at once.
    ComeBack,
    /// They come back at the end of the listing.
    StayAway,
    /// They are closed, and the same number is created.
    Replaced,
}

use How::{ComeBack, Replaced, StayAway};

/// A move of sockets between two reads.
struct Move {
    name: &'static str,
    how: How,
    which: Which,
}

const fn moves(how: How, name: &'static str, which: Which) -> Move {
    Move { name, how, which }
}

const MOVES: &[Move] = &[
    moves(ComeBack, "none", Near(&[])),
    moves(ComeBack, "the last shown", Near(&[0])),
    moves(ComeBack, "the last and the one before", Near(&[0, -1])),
    moves(ComeBack, "the one before and the last", Near(&[-1, 0])),
    moves(ComeBack, "the last and the next", Near(&[0, 1])),
    moves(ComeBack, "the next and the last", Near(&[1, 0])),
    moves(ComeBack, "both neighbours of the last", Near(&[-1, 1])),
    moves(ComeBack, "both neighbours, the next first", Near(&[1, -1])),
    moves(
        ComeBack,
        "the last with its neighbours, in order",
        Near(&[-1, 0, 1]),
    ),
    moves(
        ComeBack,
        "the last with its neighbours, backwards",
        Near(&[1, 0, -1]),
    ),
    moves(
        ComeBack,
        "five on each side, in order",
        Near(&[-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5]),
    ),
    moves(
        ComeBack,
        "five on each side, backwards",
        Near(&[5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5]),
    ),
    moves(ComeBack, "all shown, in order", Shown),
    moves(ComeBack, "all shown, backwards", ShownBackwards),
    moves(ComeBack, "all not shown, in order", NotShown),
    moves(ComeBack, "all not shown, backwards", NotShownBackwards),
    moves(StayAway, "the last", Near(&[0])),
    moves(StayAway, "the last with its neighbours", Near(&[-1, 0, 1])),
    moves(StayAway, "all shown", Shown),
    moves(Replaced, "the last shown", Near(&[0])),
    moves(Replaced, "the last with its neighbours", Near(&[-1, 0, 1])),
    moves(
        Replaced,
        "five on each side",
        Near(&[-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5]),
    ),
    moves(Replaced, "all shown, in order", Shown),
    moves(Replaced, "all shown, backwards", ShownBackwards),
];

impl Move {
    /// Whether this takes so little time that it can be done after each read.
    fn is_quick(&self) -> bool {
        matches!(self.which, Near(_)) && self.how != Replaced
    }

    /// Returns the sockets that move after these were shown.
    fn pick(&self, chain: &[u64], shown: &[u64]) -> Vec<u64> {
        let not_shown = || {
            let shown: BTreeSet<_> = shown.iter().collect();
            chain.iter().filter(move |ino| !shown.contains(ino))
        };
        match self.which {
            Near(distances) => {
                let last = shown.last();
                let Some(at) = chain.iter().position(|ino| Some(ino) == last) else {
                    return Vec::new();
                };
                let near = |distance: &isize| chain.get(at.checked_add_signed(*distance)?);
                distances.iter().filter_map(near).copied().collect()
            }
            Shown => shown.to_vec(),
            ShownBackwards => shown.iter().rev().copied().collect(),
            NotShown => not_shown().copied().collect(),
            NotShownBackwards => not_shown().rev().copied().collect(),
        }
    }

    /// Moves these sockets.
    fn go(&self, crowd: &mut Crowd, inodes: &[u64]) -> Result<()> {
        if self.how == Replaced {
            return crowd.replace(inodes);
        }
        for ino in inodes {
            crowd.leave(*ino)?;
            if self.how == ComeBack {
                crowd.come_back(*ino)?;
            }
        }
        Ok(())
    }
}

/// Reads once, and seeks back to the end of the last whole line, as a shell does.
pub fn read_lines(from: &mut fs::File, size: usize) -> Result<String> {
    let mut buf = vec![0; size];
    let n = from.read(&mut buf)?;
    let whole = buf[..n].iter().rposition(|byte| *byte == b'\n');
    let end = whole.map_or(0, |at| at + 1);
    ensure!(n == 0 || end > 0, "a line of more than {size} bytes");
    if end < n {
        from.seek(SeekFrom::Current(end as i64 - n as i64))?;
    }
    buf.truncate(end);
    Ok(String::from_utf8(buf)?)
}

/// The inodes in these lines. The header has none.
pub fn inodes_of(lines: &str) -> Result<Vec<u64>> {
    lines
        .lines()
        .filter_map(|line| line.rsplit_once("ino="))
        .map(|(_, rest)| {
            let number = rest.split(',').next().unwrap_or_default();
            number.parse().with_context(|| format!("ino={rest}"))
        })
        .collect()
}

/// Reads a listing while sockets move, and checks what it says.
fn read_while_moving(crowd: &mut Crowd, reading: &Reading, moving: &Move) -> Result<()> {
    let file = crowd.kind.file();
    let at_first = crowd.chain.clone();
    let mut from = fs::File::open(file.path())?;
    let mut shown = Vec::new();
    let mut moved = BTreeSet::new();
    let mut reads = 0;
    loop {
        let lines = read_lines(&mut from, reading.size)?;
        if lines.is_empty() {
            break;
        }
        shown.extend(inodes_of(&lines)?);
        reads += 1;
        if reads == 1 {
            ensure!(
                at_first.starts_with(&shown) && shown.len() < at_first.len(),
                "the first read does not end within the bucket"
            );
        }
        if reads == 1 || reading.each {
            // Those that were closed are not to move again.
            let mut inodes = moving.pick(&crowd.chain, &shown);
            inodes.retain(|ino| crowd.sockets.contains_key(ino));
            moving.go(crowd, &inodes)?;
            moved.extend(inodes);
        }
    }
    if moving.how == StayAway {
        for ino in &moved {
            crowd.come_back(*ino)?;
        }
    }
    crowd.must_be_in_order()?;

    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    for ino in &shown {
        *times.entry(*ino).or_default() += 1;
    }
    let stayed = || at_first.iter().filter(|ino| !moved.contains(ino));
    let missing = stayed().filter(|ino| !times.contains_key(ino)).count();
    let twice = times.values().filter(|times| **times > 1).count();
    let strange = times
        .keys()
        .filter(|ino| !crowd.sockets.contains_key(ino) && !moved.contains(ino))
        .count();
    ensure!(
        strange == 0,
        "{strange} rows are of sockets outside the crowd"
    );
    ensure!(
        missing == 0 && twice == 0,
        "{missing} of {} sockets that stayed are missing, {twice} sockets are listed twice",
        stayed().count()
    );
    Ok(())
}

fn every_move(kind: &'static Kind, reading: &Reading) -> Result<()> {
    let mut crowd = Crowd::new(kind)?;
    let mut wrong = Vec::new();
    let mut tried = 0;
    // With KASAN and lockdep, UDP sockets move slowly: a minute for each kind.
    let checks_itself = matches!(guest().scale, Scale::Checked | Scale::Slowest);
    let only_quick = reading.size == SMALL_READ || reading.each && !kind.is_tcp && checks_itself;
    for moving in MOVES {
        if only_quick && !moving.is_quick() {
            continue;
        }
        tried += 1;
        if let Err(error) = read_while_moving(&mut crowd, reading, moving) {
            let what = match moving.how {
                ComeBack => "come back",
                StayAway => "stay away",
                Replaced => "replaced",
            };
            wrong.push(format!("{} ({what}): {error:#}", moving.name));
        }
    }
    if !wrong.is_empty() {
        bail!(
            "{} of {tried} moves:\n  {}",
            wrong.len(),
            wrong.join("\n  ")
        );
    }
    Ok(())
}

/// The same in a namespace that has a UDP table of its own.
fn in_private_table(kind: &'static Kind) -> Result<()> {
    if !fs::exists(PRIVATE_TABLE)? {
        return skip(
            Feature::Sysctl("udp_child_hash_entries"),
            format!("there is no {PRIVATE_TABLE}"),
        );
    }
    fs::write(PRIVATE_TABLE, "128")?;
    in_fresh(|| {
        let shown = fs::read_to_string("/proc/sys/net/ipv4/udp_hash_entries")?;
        ensure!(
            shown.trim() == "128",
            "net.ipv4.udp_hash_entries is {shown}"
        );
        READINGS
            .iter()
            .try_for_each(|reading| every_move(kind, reading).context(reading.name))
    })
}
