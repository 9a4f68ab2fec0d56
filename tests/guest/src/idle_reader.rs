// SPDX-License-Identifier: GPL-2.0

//! A reader that has read a part of a listing and then sleeps, with the file open. It must not
//! delay the freeing of any socket.
//!
//! A reference that an open file kept would pin the memory of the socket. It would also let the
//! kernel call `sk->sk_destruct` after the module with that function is gone. That a sleeping
//! reader pins no other network namespace is tested in `faults.rs`.

use crate::cursors::{inodes_of, lengthen, read_lines};
use crate::features::Feature;
use crate::guest::{guest, wait_for};
use crate::harness::{skip, Case, Skip};
use crate::memory_group::InGroup;
use crate::modules;
use crate::netns::in_fresh;
use crate::rows::File;
use crate::sockets::{ino, set_int, Plan};
use anyhow::{bail, ensure, Context, Result};
use socket2::{Socket, Type};
use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The port of every socket of a crowd, and that of L2TP.
const PORT: u16 = 1701;

/// The number of sockets of a crowd. Their rows take more than two buffers.
const CROWD: usize = 3000;

/// The size of a read(2) that has room for a whole buffer of the module. It returns one at most.
const BUFFER: usize = 1 << 20;

/// The seconds within which the kernel frees a socket without references. It does so after a grace period,
/// which a stalled CPU delays. A socket with references is not freed at all.
const PROMPT: u64 = 5;

/// A receive buffer in bytes. The kernel doubles it.
const RECEIVE_BUFFER: i32 = 4 << 20;

/// The least charge for a full receive buffer, in pages.
const FULL: u64 = (RECEIVE_BUFFER as u64 * 2 - (1 << 20)) / 4096;

pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::alone(
        "idle_reader::unread_datagrams_are_freed",
        || in_fresh(|| at_each_rest(unread_datagrams_are_freed)),
    )];
    for (name, is_tcp, when) in [
        ("udp::before_the_reading", false, When::BeforeReading),
        ("udp::during_the_reading", false, When::DuringReading),
        ("listeners::before_the_reading", true, When::BeforeReading),
        ("listeners::during_the_reading", true, When::DuringReading),
    ] {
        cases.push(Case::alone(
            format!("idle_reader::destructor_set_on_{name}"),
            move || in_fresh(|| at_each_rest(|rest| destructors_are_called(is_tcp, when, rest))),
        ));
    }
    cases.push(Case::alone("idle_reader::l2tp_tunnel_is_freed", || {
        in_fresh(l2tp_tunnel_is_freed)
    }));
    cases
}

/// A place in a listing at which a reader sleeps.
struct Rest {
    name: &'static str,
    /// The sizes of the reads that led there.
    reads: &'static [usize],
}

const RESTS: &[Rest] = &[
    Rest {
        name: "after 4 KiB",
        reads: &[4096],
    },
    Rest {
        name: "after a buffer",
        reads: &[BUFFER],
    },
    Rest {
        name: "4 KiB behind a buffer",
        reads: &[BUFFER, 4096],
    },
    Rest {
        name: "after two buffers",
        reads: &[BUFFER, BUFFER],
    },
];

/// Runs a test with each [`Rest`].
fn at_each_rest(mut test: impl FnMut(&Rest) -> Result<()>) -> Result<()> {
    let mut wrong = Vec::new();
    for rest in RESTS {
        match test(rest) {
            Err(error) if error.is::<Skip>() => return Err(error),
            Err(error) => wrong.push(format!("{}: {error:#}", rest.name)),
            Ok(()) => (),
        }
    }
    if !wrong.is_empty() {
        let count = wrong.len();
        bail!(
            "{count} of {} places:\n  {}",
            RESTS.len(),
            wrong.join("\n  ")
        );
    }
    Ok(())
}

/// An open file, and the inodes that it has returned.
struct Reader {
    file: File,
    from: fs::File,
    shown: Vec<u64>,
}

impl Reader {
    /// Reads until `rest`, which is in the middle of a crowd of [`CROWD`] sockets.
    fn at(file: File, rest: &Rest) -> Result<Self> {
        let mut reader = Self {
            file,
            from: fs::File::open(file.path())?,
            shown: Vec::new(),
        };
        for size in rest.reads {
            let lines = read_lines(&mut reader.from, *size)?;
            reader.shown.extend(inodes_of(&lines)?);
        }
        let count = reader.shown.len();
        ensure!(
            (1..CROWD).contains(&count),
            "{count} rows: not in the middle of the bucket"
        );
        Ok(reader)
    }

    /// Reads to the end. Only sockets of the crowd may be listed, and none twice.
    fn go_on(mut self, crowd: &BTreeSet<u64>) -> Result<()> {
        loop {
            let lines = read_lines(&mut self.from, BUFFER)?;
            if lines.is_empty() {
                break;
            }
            self.shown.extend(inodes_of(&lines)?);
        }
        let set: BTreeSet<_> = self.shown.iter().copied().collect();
        let name = self.file.name();
        ensure!(set.len() == self.shown.len(), "{name} has rows twice");
        ensure!(set.is_subset(crowd), "{name} has rows of other sockets");
        Ok(())
    }
}

/// The address of the socket with this number in a crowd.
fn address(number: usize) -> SocketAddr {
    let number = u32::try_from(number + 1).expect("few sockets");
    let first = u32::from(Ipv4Addr::new(127, 1, 0, 0));
    (Ipv4Addr::from(first + number), PORT).into()
}

/// A UDP socket of a crowd. All are in the bucket of [`PORT`]; each has an address of its own, so
/// that a datagram reaches just one.
fn udp(number: usize) -> Result<Socket> {
    let socket = Socket::new(Plan::V4.domain(), Type::DGRAM, None)?;
    lengthen(Plan::V4, &socket)?;
    socket.bind(&address(number).into())?;
    Ok(socket)
}

/// A listener of a crowd. All have one address, as the bucket depends on it.
fn listener() -> Result<Socket> {
    let socket = Plan::V4.tcp()?;
    socket.set_reuse_port(true)?;
    lengthen(Plan::V4, &socket)?;
    socket.bind(&Plan::V4.addr(PORT).into())?;
    socket.listen(1)?;
    Ok(socket)
}

fn crowd(is_tcp: bool) -> Result<Vec<Socket>> {
    (0..CROWD)
        .map(|number| match is_tcp {
            true => listener(),
            false => udp(number),
        })
        .collect()
}

/// The number of UDP sockets that are allocated, if they have a slab cache of their own.
fn allocated_udp_sockets() -> Result<Option<u64>> {
    // Otherwise, free objects that a CPU or KASAN keeps count as allocated.
    let _ = fs::write("/sys/kernel/slab/UDP/shrink", "1");
    let Ok(slabs) = fs::read_to_string("/proc/slabinfo") else {
        return Ok(None);
    };
    let line = slabs.lines().find(|line| line.starts_with("UDP "));
    let count = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    Ok(count.map(str::parse).transpose()?)
}

/// The pages that UDP sockets are charged for: "mem" in `/proc/net/sockstat`.
fn udp_pages() -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/net/sockstat")?;
    let line = text.lines().find(|line| line.starts_with("UDP: "));
    let mut words = line.context("no UDP")?.split_ascii_whitespace();
    words.find(|word| *word == "mem").context("no mem")?;
    Ok(words.next().context("no number")?.parse()?)
}

/// The memory that UDP sockets take.
#[derive(Debug)]
struct Taken {
    pages: u64,
    sockets: Option<u64>,
    /// Bytes charged to the control group of this process.
    charged: Option<u64>,
}

impl Taken {
    fn now(group: Option<&InGroup>) -> Result<Self> {
        Ok(Self {
            pages: udp_pages()?,
            sockets: allocated_udp_sockets()?,
            charged: group.map(InGroup::charged).transpose()?,
        })
    }

    /// Lists what exceeds `before` by half a full receive buffer, or by one socket.
    ///
    /// A CPU charges up to 256 pages in advance (`SK_MEMORY_PCPU_RESERVE`), so the number of
    /// pages is not exact.
    fn more_than(&self, before: &Self) -> Vec<String> {
        let mut more = Vec::new();
        let mut look = |what, before: Option<u64>, now: Option<u64>, slack| {
            if let (Some(before), Some(now)) = (before, now) {
                if now > before + slack {
                    more.push(format!("{what}: {before} before, {now} after"));
                }
            }
        };
        look("UDP pages", Some(before.pages), Some(self.pages), FULL / 2);
        look("UDP sockets", before.sockets, self.sockets, 0);
        look("bytes", before.charged, self.charged, FULL / 2 * 4096);
        more
    }
}

/// Sends a socket more data than it has room for.
fn fill(from: &Socket, to: &Socket) -> Result<()> {
    set_int(to, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER)?;
    let addr = to.local_addr()?;
    let datagram = [b'x'; 32 << 10];
    for _ in 0..2 * RECEIVE_BUFFER as usize / datagram.len() + 1 {
        from.send_to(&datagram, &addr)?;
    }
    Ok(())
}

/// All sockets of a crowd are closed, each with an unread datagram. The receive buffers of those
/// around the end of a buffer are full.
fn unread_datagrams_are_freed(rest: &Rest) -> Result<()> {
    let group = match InGroup::enter("knetstat-idle-reader") {
        Ok(group) => Some(group),
        Err(error) if error.is::<Skip>() => None,
        Err(error) => return Err(error),
    };
    let before = Taken::now(group.as_ref())?;
    let sender = Plan::V4.udp()?;
    let sockets = crowd(false)?;
    for socket in &sockets {
        sender.send_to(&[b'x'; 500], &socket.local_addr()?)?;
    }
    let mut inodes = sockets.iter().map(ino).collect::<Result<BTreeSet<_>>>()?;
    inodes.insert(ino(&sender)?);

    let reader = Reader::at(File::Udp, rest)?;
    let mut ends = Vec::new();
    for buffers in 1..=rest.reads.len() {
        let reads = &[BUFFER; 2][..buffers];
        let name = "buffers";
        let shown = Reader::at(File::Udp, &Rest { name, reads })?.shown;
        ends.extend(shown.last().copied());
    }
    // The youngest is the first in the chain.
    let order: Vec<_> = sockets.iter().rev().collect();
    for end in &ends {
        let mut at = None;
        for (number, socket) in order.iter().enumerate() {
            if ino(socket)? == *end {
                at = Some(number);
            }
        }
        let at = at.context("the last row is of another socket")?;
        for socket in &order[at - 1..=at + 1] {
            fill(&sender, socket)?;
        }
    }
    let full = Taken::now(group.as_ref())?;
    ensure!(
        full.pages > before.pages + FULL * 3 * ends.len() as u64 / 4 * 3,
        "{before:?} before, {full:?} with datagrams"
    );

    drop((order, sender));
    drop(sockets);
    let is_freed = || {
        let more = Taken::now(group.as_ref())?.more_than(&before);
        Ok(if more.is_empty() {
            Ok(())
        } else {
            Err(more.join("; "))
        })
    };
    let freed = wait_for("the sockets to be freed", PROMPT, is_freed);
    let rest = reader.go_on(&inodes);
    if freed.is_err() {
        // The next place is to begin with the numbers of this one.
        let _ = wait_for("the sockets to be freed", 10, is_freed);
    }
    freed.and(rest)
}

/// The moment at which sockets get the destructor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    BeforeReading,
    DuringReading,
}

/// The module `tests/modules/destructor`. Dropping this unloads it once no socket needs it.
struct Destructor;

impl Destructor {
    const FILE: &str = "/proc/knetstat_destructor";

    fn load() -> Result<Self> {
        modules::insert_helper("destructor", "")?;
        Ok(Self)
    }

    fn set(&self, sockets: &[Socket]) -> Result<()> {
        for socket in sockets {
            let fd = socket.as_raw_fd();
            fs::write(Self::FILE, fd.to_string()).with_context(|| format!("descriptor {fd}"))?;
        }
        Ok(())
    }

    /// Waits until all sockets that have the destructor are destroyed.
    fn wait(&self, seconds: u64) -> Result<()> {
        wait_for("the sockets to be destroyed", seconds, || {
            let text = fs::read_to_string(Self::FILE)?;
            let number = |name: &str| -> Result<u64> {
                let mut lines = text.lines().filter_map(|line| line.split_once(' '));
                let found = lines.find(|line| line.0 == name);
                Ok(found.with_context(|| format!("no {name}"))?.1.parse()?)
            };
            let (set, destroyed) = (number("set")?, number("destroyed")?);
            Ok(if set == destroyed {
                Ok(())
            } else {
                Err(format!("{destroyed} of {set} are"))
            })
        })
    }

    fn unload(self) -> Result<()> {
        std::mem::forget(self);
        modules::remove("destructor")
    }
}

impl Drop for Destructor {
    fn drop(&mut self) {
        // Otherwise the kernel would call into freed memory.
        if self.wait(20).is_ok() {
            let _ = modules::remove("destructor");
        }
    }
}

/// The sockets of a crowd are closed, then the module with their destructor is unloaded, then the
/// reader closes its file.
fn destructors_are_called(is_tcp: bool, when: When, rest: &Rest) -> Result<()> {
    let file = Plan::V4.file(is_tcp);
    // After a failure, this one is dropped last.
    let destructor = Destructor::load()?;
    let sockets = crowd(is_tcp)?;
    let inodes = sockets.iter().map(ino).collect::<Result<BTreeSet<_>>>()?;
    if when == When::BeforeReading {
        destructor.set(&sockets)?;
    }
    let reader = Reader::at(file, rest)?;
    let other = Reader::at(file, rest)?;
    if when == When::DuringReading {
        destructor.set(&sockets)?;
    }
    drop(sockets);
    destructor.wait(PROMPT)?;
    destructor.unload()?;
    drop(other);
    reader.go_on(&inodes)
}

fn run(program: &str, args: &str) -> Result<()> {
    let output = Command::new(program)
        .args(args.split(' '))
        .output()
        .with_context(|| format!("running {program}"))?;
    ensure!(output.status.success(), "{program} {args}: {output:?}");
    Ok(())
}

/// The modules of L2TP, loaded. Dropping this unloads them.
struct L2tp;

impl L2tp {
    fn load() -> Result<Self> {
        match run("modprobe", "l2tp_netlink") {
            Ok(()) => Ok(Self),
            Err(err) => skip(Feature::Config("CONFIG_L2TP"), format!("no L2TP: {err:#}")),
        }
    }

    fn unload(self) -> Result<()> {
        std::mem::forget(self);
        modules::remove("l2tp_netlink")?;
        modules::remove("l2tp_core")
    }
}

impl Drop for L2tp {
    fn drop(&mut self) {
        // Long enough for RCU to call the destructors that are in there.
        std::thread::sleep(Duration::from_secs(guest().scale(1, 3, 3)));
        let _ = modules::remove("l2tp_netlink");
        let _ = modules::remove("l2tp_core");
    }
}

/// The local address of the tunnel's socket.
const TUNNEL: &str = "127.0.0.1:1701";

/// Reads a buffer that ends at the tunnel's socket. To get there, creates and closes sockets that
/// come before it.
fn end_at_tunnel(newer: &mut Vec<Socket>, first: usize) -> Result<fs::File> {
    for _ in 0..20 {
        let mut from = fs::File::open(File::Udp.path())?;
        let lines = read_lines(&mut from, BUFFER)?;
        let locals: Vec<_> = lines
            .lines()
            .skip(1)
            .filter_map(|line| line.split_ascii_whitespace().nth(2))
            .collect();
        if locals.last() == Some(&TUNNEL) {
            return Ok(from);
        }
        let wanted = locals.len().saturating_sub(1);
        newer.truncate(wanted);
        while newer.len() < wanted {
            newer.push(udp(first + newer.len())?);
        }
    }
    bail!("no buffer ends at the tunnel's socket")
}

/// A reader stops at the socket of a tunnel. The tunnel is deleted, then the modules are unloaded,
/// and only then the reader closes its file.
fn l2tp_tunnel_is_freed() -> Result<()> {
    if !Path::new("/proc/slabinfo").exists() {
        return skip(
            Feature::Config("CONFIG_SLUB_DEBUG"),
            "there is no /proc/slabinfo",
        );
    }
    ensure!(
        allocated_udp_sockets()?.is_some(),
        "UDP sockets share a slab cache with others: boot with slab_nomerge"
    );
    const OLDER: usize = 300;
    // After a failure, this one is dropped last.
    let l2tp = L2tp::load()?;
    let older = (0..OLDER).map(udp).collect::<Result<Vec<_>>>()?;
    run(
        "ip",
        "l2tp add tunnel tunnel_id 1 peer_tunnel_id 1 encap udp \
         local 127.0.0.1 remote 127.0.0.1 udp_sport 1701 udp_dport 1702",
    )?;
    let mut newer = (OLDER..CROWD).map(udp).collect::<Result<Vec<_>>>()?;
    let reader = end_at_tunnel(&mut newer, OLDER)?;

    let before = allocated_udp_sockets()?;
    run("ip", "l2tp del tunnel tunnel_id 1")?;
    wait_for("the tunnel's socket to be freed", PROMPT, || {
        let now = allocated_udp_sockets()?;
        Ok(if now < before {
            Ok(())
        } else {
            Err(format!("{before:?} UDP sockets before, {now:?} after"))
        })
    })?;
    l2tp.unload()?;
    drop(reader);
    drop((newer, older));
    File::Udp.read()?;
    Ok(())
}
