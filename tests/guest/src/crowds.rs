// SPDX-License-Identifier: GPL-2.0

//! Crowded buckets: thousands of sockets on one port or in one bucket, read in pieces, while
//! nothing changes and while sockets come and go.

use crate::features::Feature;
use crate::guest::guest;
use crate::harness::{skip, Case};
use crate::netns::in_fresh;
use crate::reads::{each_once, inodes, read_in_pieces, same_in_pieces, while_same};
use crate::reference;
use crate::reference::compare;
use crate::rows::{File, Row};
use crate::sockets::{free_udp_port, ino, local, peer, set_int, Plan};
use crate::states::quiet_tcp_states;
use anyhow::{bail, ensure, Context, Result};
use rand::Rng;
use socket2::{Socket, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

pub fn cases() -> Vec<Case> {
    let udp = guest().scale(5_000, 2_000, 1_500);
    let listeners = guest().scale(2_000, 1_000, 1_000);
    vec![
        Case::heavy(
            format!("crowds::{udp}_udp_sockets_on_one_port"),
            move || in_fresh(|| crowd(Crowd::Udp, udp)),
        ),
        Case::heavy(
            format!("crowds::{udp}_udp6_sockets_on_one_port"),
            move || in_fresh(|| crowd(Crowd::Udp6, udp)),
        ),
        Case::heavy(
            format!("crowds::{listeners}_listeners_on_one_port"),
            move || in_fresh(|| crowd(Crowd::Listeners, listeners)),
        ),
        Case::heavy(
            format!("crowds::{udp}_udp_sockets_with_UDP_ENCAP_on_one_port"),
            move || in_fresh(|| crowd(Crowd::Encapsulating, udp)),
        ),
        Case::heavy("crowds::two_families_on_one_port", || {
            in_fresh(two_families)
        }),
        Case::heavy("crowds::one_bucket_for_all_connections", || {
            in_fresh(one_bucket)
        }),
        Case::heavy("crowds::last_udp_socket_shown_goes_away", move || {
            in_fresh(|| last_shown_goes_away(Crowd::Udp, udp))
        }),
        Case::heavy("crowds::last_udp6_socket_shown_goes_away", move || {
            in_fresh(|| last_shown_goes_away(Crowd::Udp6, udp))
        }),
        Case::heavy("crowds::last_listener_shown_goes_away", move || {
            in_fresh(|| last_shown_goes_away(Crowd::Listeners, listeners))
        }),
    ]
}

/// The protocol whose type every process may set, whatever the kernel was built with.
const UDP_ENCAP_L2TPINUDP: i32 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Crowd {
    Udp,
    Udp6,
    /// UDP sockets with UDP_ENCAP, by which some modules mark their sockets.
    Encapsulating,
    Listeners,
}

impl Crowd {
    fn plan(self) -> Plan {
        match self {
            Crowd::Udp6 => Plan::V6,
            _ => Plan::V4,
        }
    }

    fn file(self) -> File {
        self.plan().file(self == Crowd::Listeners)
    }

    /// A socket at `addr`, or at a free port if that is 0.
    fn socket(self, addr: SocketAddr, to: SocketAddr) -> Result<Socket> {
        let ty = match self {
            Crowd::Listeners => Type::STREAM,
            _ => Type::DGRAM,
        };
        let socket = Socket::new(self.plan().domain(), ty, None)?;
        match self {
            Crowd::Listeners => socket.set_reuse_port(true)?,
            _ => socket.set_reuse_address(true)?,
        }
        if self == Crowd::Encapsulating {
            set_int(&socket, libc::SOL_UDP, libc::UDP_ENCAP, UDP_ENCAP_L2TPINUDP)?;
        }
        socket.bind(&addr.into())?;
        match self {
            Crowd::Listeners => socket.listen(1)?,
            _ => socket.connect(&to.into())?,
        }
        Ok(socket)
    }

    /// This many sockets on one port.
    fn sockets(self, count: usize) -> Result<Vec<Socket>> {
        let to = self.plan().addr(9);
        let mut sockets = vec![self.socket(self.plan().addr(0), to)?];
        let addr = local(&sockets[0])?;
        while sockets.len() < count {
            sockets.push(self.socket(addr, to)?);
        }
        Ok(sockets)
    }
}

/// UDP sockets, all on one port.
pub fn udp_crowd(count: usize) -> Result<Vec<Socket>> {
    Crowd::Udp.sockets(count)
}

/// IPv6 UDP sockets, all on one port.
pub fn udp6_crowd(count: usize) -> Result<Vec<Socket>> {
    Crowd::Udp6.sockets(count)
}

/// Thousands of sockets in one bucket, read in pieces: while nothing changes, and while sockets
/// come and go in that bucket.
fn crowd(crowd: Crowd, count: usize) -> Result<()> {
    let to = crowd.plan().addr(9);
    let sockets = crowd.sockets(count)?;
    let addr = local(&sockets[0])?;
    if crowd != Crowd::Listeners {
        ensure!(peer(&sockets[0])? == to, "not connected");
    }
    let long_lived = inodes(&sockets)?;
    let file = crowd.file();

    let rows = compare(file)?;
    ensure!(rows.len() == count, "{} rows", rows.len());
    let text = fs::read_to_string(file.path())?;
    each_once(file, &text, &long_lived)?;
    for size in [333, 4096, 131_072, 1 << 20] {
        same_in_pieces(file, size, &text)?;
    }
    let mut from = fs::File::open(file.path())?;
    let some = text.len() / 2;
    let mut buf = vec![0; 10_000];
    let n = from.read_at(&mut buf, some as u64)?;
    ensure!(
        n > 0 && text.as_bytes()[some..].starts_with(&buf[..n]),
        "pread in the middle of the bucket"
    );
    // Byte by byte, where buffers of likely sizes end.
    for end in [4096, 65_536, 131_072] {
        let begin = end - 200;
        from.seek(SeekFrom::Start(begin as u64))?;
        let mut byte = [0];
        for (number, expected) in text.bytes().enumerate().skip(begin).take(400) {
            from.read_exact(&mut byte)?;
            ensure!(byte[0] == expected, "byte {number} is another");
        }
    }

    // Now with sockets that come and go, in this bucket and in others.
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let churn = scope.spawn(|| -> Result<u64> {
            let mut rng = rand::rng();
            let mut short_lived = Vec::new();
            let mut changes = 0;
            while !stop.load(Ordering::Relaxed) {
                if short_lived.len() < 50 || rng.random() {
                    short_lived.push(crowd.socket(addr, to)?);
                    short_lived.push(crowd.socket(crowd.plan().addr(0), to)?);
                }
                if short_lived.len() > 100 {
                    for _ in 0..rng.random_range(1..60) {
                        short_lived.swap_remove(rng.random_range(0..short_lived.len()));
                    }
                }
                changes += 1;
                // Binding here takes the bucket's lock for long: let the readers have it, too.
                thread::sleep(Duration::from_micros(100));
            }
            Ok(changes)
        });
        let result = read_under_churn(file, &long_lived);
        stop.store(true, Ordering::Relaxed);
        let changes = churn
            .join()
            .expect("no panic")
            .context("the churn itself")?;
        result.with_context(|| format!("with {changes} changes beside"))
    })?;

    // Peace again: nothing is left of the others.
    ensure!(compare(file)?.len() == count, "rows that should be gone");
    Ok(())
}

fn read_under_churn(file: File, long_lived: &BTreeSet<u64>) -> Result<()> {
    let mut sizes = vec![333; guest().scale(3, 1, 1)];
    sizes.extend(vec![4096; guest().scale(10, 5, 5)]);
    sizes.extend(vec![131_072; guest().scale(10, 5, 5)]);
    for size in sizes {
        let text = read_in_pieces(fs::File::open(file.path())?, size)?;
        each_once(file, &text, long_lived).with_context(|| format!("pieces of {size} bytes"))?;
    }
    // With a pause in the middle, in which much changes.
    for _ in 0..guest().scale(10, 5, 5) {
        let mut from = fs::File::open(file.path())?;
        let mut text = vec![0; 5000];
        from.read_exact(&mut text)?;
        thread::sleep(Duration::from_millis(10));
        from.read_to_end(&mut text)?;
        each_once(file, &String::from_utf8(text)?, long_lived).context("with a pause")?;
    }
    Ok(())
}

/// The identity of a socket, or of a minisock, which has only its addresses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Id {
    Ino(u64),
    Addresses(String, String),
}

impl Id {
    fn new(ino: u64, local: &str, foreign: &str) -> Self {
        match ino {
            0 => Id::Addresses(local.to_owned(), foreign.to_owned()),
            _ => Id::Ino(ino),
        }
    }
}

fn reference_ids(file: File) -> Result<BTreeSet<Id>> {
    Ok(reference::entries(file)?
        .iter()
        .map(|entry| Id::new(entry.ino, &entry.local, &entry.foreign))
        .collect())
}

/// Reads a file in the largest pieces possible, and calls `between` with the last row of each.
/// Sockets that exist before and after must be listed once, and none twice. Returns the number of
/// pieces.
fn read_between(file: File, mut between: impl FnMut(&Row) -> Result<()>) -> Result<usize> {
    let before = reference_ids(file)?;
    let mut from = fs::File::open(file.path())?;
    let mut text = String::new();
    let mut buf = vec![0; 1 << 20];
    let mut pieces = 0;
    loop {
        let n = from.read(&mut buf)?;
        if n == 0 {
            break;
        }
        text.push_str(std::str::from_utf8(&buf[..n])?);
        pieces += 1;
        // seq_file hands out whole rows, if there is room.
        if let Some(last) = file.parse(&text)?.last() {
            between(last)?;
        }
    }
    let after = reference_ids(file)?;
    let mut seen: BTreeMap<Id, usize> = BTreeMap::new();
    for row in file.parse(&text)? {
        let id = Id::new(row.ino(), &row.local, &row.foreign);
        *seen.entry(id).or_default() += 1;
    }
    for (id, times) in &seen {
        ensure!(*times == 1, "{} lists {id:?} {times} times", file.name());
    }
    for id in before.intersection(&after) {
        ensure!(seen.contains_key(id), "{} misses {id:?}", file.name());
    }
    Ok(pieces)
}

/// Between two reads, the socket that was shown last, from which the walk would continue, is
/// closed; and some others with it, shown or not.
fn last_shown_goes_away(crowd: Crowd, count: usize) -> Result<()> {
    let file = crowd.file();
    let mut rng = rand::rng();
    let sockets = crowd.sockets(count)?;
    let addr = local(&sockets[0])?;
    let mut sockets: BTreeMap<u64, Socket> = sockets
        .into_iter()
        .map(|socket| Ok((ino(&socket)?, socket)))
        .collect::<Result<_>>()?;
    let mut most_pieces = 0;
    for _ in 0..guest().scale(10, 5, 5) {
        let pieces = read_between(file, |last| {
            sockets.remove(&last.ino());
            for _ in 0..rng.random_range(0..40) {
                // Neighbours have neighbouring inodes.
                let near = last.ino().wrapping_add_signed(rng.random_range(-30..30));
                sockets.remove(&near);
            }
            for _ in 0..rng.random_range(0..30) {
                let socket = crowd.socket(addr, crowd.plan().addr(9))?;
                sockets.insert(ino(&socket)?, socket);
            }
            Ok(())
        })?;
        most_pieces = most_pieces.max(pieces);
    }
    ensure!(most_pieces > 1, "all of it comes in one piece");
    compare(file)?;
    Ok(())
}

/// A namespace whose connections all lie in one bucket of the established table, minisocks and
/// requests among them.
fn one_bucket() -> Result<()> {
    let sysctl = |name: &str| format!("/proc/sys/net/ipv4/{name}");
    if !fs::exists(sysctl("tcp_child_ehash_entries"))? {
        return skip(
            Feature::Sysctl("tcp_child_ehash_entries"),
            "there is no such file",
        );
    }
    fs::write(sysctl("tcp_child_ehash_entries"), "1")?;
    in_fresh(|| {
        let entries = fs::read_to_string(sysctl("tcp_ehash_entries"))?;
        ensure!(entries.trim() == "1", "tcp_ehash_entries is {entries:?}");
        // So small a table comes with as little TIME_WAIT.
        fs::write(sysctl("tcp_max_tw_buckets"), "100000")?;
        let rounds = guest().scale(8, 6, 3);
        let mut scenes = Vec::new();
        let mut pairs = BTreeMap::new();
        for _ in 0..rounds {
            for plan in [Plan::V4, Plan::V6] {
                scenes.push(quiet_tcp_states(plan)?);
            }
        }
        // TIME_WAIT lasts for a minute: after what takes longest.
        for _ in 0..rounds {
            for plan in [Plan::V4, Plan::V6] {
                for _ in 0..100 {
                    let pair = plan.pair()?;
                    pairs.insert(ino(&pair.client)?, pair);
                    // And a TIME_WAIT.
                    drop(plan.pair()?);
                }
            }
        }
        for file in [File::Tcp, File::Tcp6] {
            let rows = compare(file)?;
            ensure!(rows.len() > 400 * rounds, "only {} rows", rows.len());
            while_same(file, |text| {
                for size in [333, 4096, 1 << 20] {
                    same_in_pieces(file, size, text)?;
                }
                Ok(())
            })?;
        }
        // The last one shown goes away: a connection is reset, a minisock destroyed.
        for file in [File::Tcp, File::Tcp6] {
            for _ in 0..5 {
                read_between(file, |last| {
                    match pairs.remove(&last.ino()) {
                        Some(pair) => pair.client.set_linger(Some(Duration::ZERO))?,
                        None if last.state != "LSTN" => destroy(last)?,
                        None => (),
                    }
                    Ok(())
                })?;
            }
            compare(file)?;
        }
        drop(scenes);
        Ok(())
    })
}

/// Asks the kernel to end a connection of any process.
fn destroy(row: &Row) -> Result<()> {
    // ss wants brackets around IPv6 addresses.
    let bracket = |addr: &str| match addr.rsplit_once(':') {
        Some((ip, port)) if ip.contains(':') => format!("[{ip}]:{port}"),
        _ => addr.to_owned(),
    };
    let (local, foreign) = (bracket(&row.local), bracket(&row.foreign));
    let output = Command::new("ss")
        .args(["-KtaH", "src", &local, "dst", &foreign])
        .output()
        .context("running ss")?;
    ensure!(output.status.success(), "ss -K: {output:?}");
    Ok(())
}

/// IPv4 and IPv6 sockets share buckets. Each file shows its own, whatever their order.
fn two_families() -> Result<()> {
    let count = guest().scale(1500, 600, 300);
    let mut rng = rand::rng();
    let port = free_udp_port(Plan::V4)?;
    let mut sockets = (vec![], vec![]);
    for _ in 0..count {
        // Long runs of one family, so that a bounded piece of the bucket may hold none of the other.
        let v4 = rng.random();
        for _ in 0..rng.random_range(1..200) {
            let crowd = if v4 { Crowd::Udp } else { Crowd::Udp6 };
            let socket = crowd.socket(crowd.plan().addr(port), crowd.plan().addr(9))?;
            if v4 {
                sockets.0.push(socket);
            } else {
                sockets.1.push(socket);
            }
        }
        if sockets.0.len() + sockets.1.len() > count {
            break;
        }
    }
    for (file, sockets) in [(File::Udp, &sockets.0), (File::Udp6, &sockets.1)] {
        let inodes = inodes(sockets)?;
        for size in [1000, 4096, 1 << 20] {
            let text = read_in_pieces(fs::File::open(file.path())?, size)?;
            each_once(file, &text, &inodes)?;
        }
        if compare(file)?.len() != sockets.len() {
            bail!("{} has rows of the other family", file.name());
        }
    }
    Ok(())
}
