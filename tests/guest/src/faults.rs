// SPDX-License-Identifier: GPL-2.0

//! Tests of rules of the walk. Each also runs with a module in which the rule is broken on purpose.
//!
//! Each test passes with the module as it is. `make test` runs each by its name as well, with a
//! module built with `KNETSTAT_FAULT=`, in which a rule is broken or a rare case is forced. If the
//! rule is broken, the test must fail, within its own deadline.

use crate::cursors::lengthen;
use crate::features::Feature;
use crate::guest::{guest, wait_for};
use crate::harness::{skip, Case};
use crate::klog;
use crate::netns::{enter_fresh, in_fresh};
use crate::reads::{each_once, inodes};
use crate::rows::File;
use crate::sockets::{disconnect, ino, local, Plan};
use anyhow::{bail, ensure, Context, Result};
use nix::sched::{setns, CloneFlags};
use socket2::{SockAddr, Socket, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

pub fn cases() -> Vec<Case> {
    vec![
        Case::heavy("faults::listener_between_tables", || {
            in_fresh(listener_between_tables)
        }),
        Case::heavy(
            "faults::connection_between_tables",
            connection_between_tables,
        ),
        Case::heavy("faults::place_lost_every_round", place_lost_every_round),
        Case::heavy("faults::reader_can_be_killed", reader_can_be_killed),
        Case::heavy("faults::sleeping_reader_pins_nothing", || {
            let result = |is_tcp| in_fresh(|| sleeping_reader_pins_nothing(is_tcp));
            match (result(false), result(true)) {
                (Ok(()), Ok(())) => Ok(()),
                results => bail!("UDP: {:?}; TCP: {:?}", results.0, results.1),
            }
        }),
    ]
}

/// The number of windows after which a test ends if the module is not broken.
const ENOUGH_WINDOWS: u32 = 20;

/// The fewest windows that prove something. A slow machine needs longer to reach them.
const FEWEST_WINDOWS: u32 = 4;

/// The fewest moves that prove something.
const FEWEST_MOVES: u64 = 11;

/// The seconds to wait for an event that takes a tenth of this time. A broken module gets less,
/// because the event may never happen.
fn patience(seconds: u64) -> u64 {
    match guest().is_broken {
        true => seconds / 4,
        false => seconds,
    }
}

/// A `cat` of one of our files, in the network namespace of the calling thread.
struct Cat {
    child: Child,
    /// Receives its output when it ends.
    text: mpsc::Receiver<io::Result<String>>,
}

impl Cat {
    fn new(file: File) -> Result<Self> {
        // Its output goes to us alone: the guest must not wait for one that nothing ends.
        let mut child = Command::new("cat")
            .arg(format!("/proc/net/{}", file.name()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("running cat")?;
        let mut stdout = child.stdout.take().context("stdout")?;
        let (sender, text) = mpsc::channel();
        thread::spawn(move || {
            let mut text = String::new();
            let read = stdout.read_to_string(&mut text);
            // Nobody may wait for it any more.
            let _ = sender.send(read.map(|_| text));
        });
        Ok(Self { child, text })
    }

    /// Its output. Fails if that takes longer than this.
    fn text(&mut self, seconds: u64) -> Result<String> {
        let within = Duration::from_secs(seconds);
        match self.text.recv_timeout(within) {
            Ok(text) => {
                ensure!(self.child.wait()?.success(), "cat failed");
                Ok(text?)
            }
            Err(_) => {
                let gone = self.kill(patience(10));
                let gone = gone.map_or_else(|err| format!("{err:#}"), |()| "it was killed".into());
                bail!("the reading does not end within {seconds} s; {gone}")
            }
        }
    }

    /// Kills it. Fails if its end takes longer than this.
    fn kill(&mut self, seconds: u64) -> Result<()> {
        self.child.kill()?;
        let deadline = Instant::now() + Duration::from_secs(seconds);
        while self.child.try_wait()?.is_none() {
            ensure!(
                Instant::now() < deadline,
                "it is still there {seconds} s after SIGKILL"
            );
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// The current network namespace, to go back to.
fn this_namespace() -> Result<fs::File> {
    Ok(fs::File::open("/proc/thread-self/ns/net")?)
}

/// Moves the calling thread to this network namespace.
fn enter(namespace: &fs::File) -> Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWNET).context("setns")
}

/// A socket that can share its address with others, and is not bound yet.
fn sharing(is_tcp: bool) -> Result<Socket> {
    if is_tcp {
        let socket = Plan::V4.tcp()?;
        socket.set_reuse_port(true)?;
        Ok(socket)
    } else {
        let socket = Socket::new(Plan::V4.domain(), Type::DGRAM, None)?;
        socket.set_reuse_address(true)?;
        Ok(socket)
    }
}

/// Puts a socket into the table.
fn bind(socket: &Socket, is_tcp: bool, port: u16) -> Result<()> {
    socket.bind(&Plan::V4.addr(port).into())?;
    if is_tcp {
        socket.listen(1)?;
    }
    Ok(())
}

/// The first two columns of `/proc/net/tcp` or `udp`: the number of the row, which is that of the
/// slot for UDP, and the local port.
fn numbers_and_ports(is_tcp: bool) -> Result<Vec<(u32, u16)>> {
    let reference = Plan::V4.file(is_tcp).reference();
    let text = fs::read_to_string(format!("/proc/thread-self/net/{reference}"))?;
    text.lines()
        .skip(1)
        .map(|line| {
            let (number, rest) = line.split_once(": ").context("no number")?;
            let local = rest.split(' ').next().context("no address")?;
            let (_, port) = local.split_once(':').context("no port")?;
            Ok((number.trim().parse()?, u16::from_str_radix(port, 16)?))
        })
        .collect()
}

/// A port that is neither well known nor a power of two, which would become 0 if its bit were
/// flipped.
const PORT: u16 = 0x5a5a;

/// INET_LHTABLE_SIZE: the number of buckets of `listening_hash`.
const LISTENING_BUCKETS: u16 = 32;

/// Whether listeners are in `listening_hash`.
fn has_listening_hash() -> Result<bool> {
    Feature::Field("net/inet_hashtables.h", "listening_hash").is_here()
}

/// The number that the network namespace of the calling thread adds to the hash of a port at
/// 127.0.0.1, up to the size of the table.
///
/// UDP's slot is the port plus this, and `/proc/net/udp` numbers the slots. TCP's bucket is the
/// port XOR this, and `/proc/net/tcp` lists the buckets in order: of two ports that differ in one
/// bit, the one that comes first has that bit clear in its bucket.
///
/// In `listening_hash`, which old kernels have, the bucket is the port plus this. If there is one
/// listener in each bucket, the one that comes first is in bucket 0.
fn offset(is_tcp: bool) -> Result<u16> {
    if !is_tcp {
        let socket = sharing(false)?;
        bind(&socket, false, PORT)?;
        let (slot, _) = numbers_and_ports(false)?
            .into_iter()
            .find(|(_, port)| *port == PORT)
            .context("no row")?;
        return Ok((slot as u16).wrapping_sub(PORT));
    }
    if has_listening_hash()? {
        let mut sockets = Vec::new();
        for port in PORT..PORT + LISTENING_BUCKETS {
            let socket = sharing(true)?;
            bind(&socket, true, port)?;
            sockets.push(socket);
        }
        let (_, first) = *numbers_and_ports(true)?.first().context("no row")?;
        return Ok(first.wrapping_neg() % LISTENING_BUCKETS);
    }
    let mut ports = vec![PORT];
    ports.extend((0..16).map(|bit| PORT ^ (1 << bit)));
    let mut sockets = Vec::new();
    for port in &ports {
        let socket = sharing(true)?;
        bind(&socket, true, *port)?;
        sockets.push(socket);
    }
    let rows = numbers_and_ports(true)?;
    let place = |port| rows.iter().position(|(_, other)| *other == port);
    let mut offset = 0;
    for bit in (0..16).map(|bit| 1 << bit) {
        let is_clear = place(PORT) < place(PORT ^ bit);
        let in_bucket = if is_clear { 0 } else { bit };
        offset |= (PORT & bit) ^ in_bucket;
    }
    Ok(offset)
}

/// The namespace of a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    Theirs,
}

/// Sockets of this namespace and of another one, in one bucket of a table that they share.
struct Mixed {
    ours: Vec<Socket>,
    theirs: Vec<Socket>,
    /// The other namespace.
    there: fs::File,
}

impl Mixed {
    /// Sockets in this order: the last ones come first in the bucket.
    fn new(is_tcp: bool, order: &[Whose]) -> Result<Self> {
        let count = |whose| order.iter().filter(|other| **other == whose).count();
        let make = |whose| {
            (0..count(whose))
                .map(|_| sharing(is_tcp))
                .collect::<Result<Vec<_>>>()
        };
        let here = this_namespace()?;
        let our_offset = offset(is_tcp)?;
        let ours = make(Whose::Ours)?;
        enter_fresh()?;
        let there = this_namespace()?;
        let their_offset = offset(is_tcp)?;
        let theirs = make(Whose::Theirs)?;
        enter(&here)?;

        let is_xor = is_tcp && !has_listening_hash()?;
        let their_port = |port: u16| match is_xor {
            true => port ^ our_offset ^ their_offset,
            false => port.wrapping_add(our_offset).wrapping_sub(their_offset),
        };
        let port = (PORT..)
            .find(|port| their_port(*port) > 0)
            .context("no port")?;
        let mut next = (ours.iter(), theirs.iter());
        for whose in order {
            let (socket, port) = match whose {
                Whose::Ours => (next.0.next(), port),
                Whose::Theirs => (next.1.next(), their_port(port)),
            };
            bind(socket.context("a socket")?, is_tcp, port)?;
        }
        let mixed = Self {
            ours,
            theirs,
            there,
        };
        if !is_tcp {
            let slots_of = |port| -> Result<BTreeSet<u32>> {
                let rows = numbers_and_ports(false)?.into_iter();
                Ok(rows.filter(|row| row.1 == port).map(|row| row.0).collect())
            };
            let our_slots = slots_of(port)?;
            enter(&mixed.there)?;
            let their_slots = slots_of(their_port(port))?;
            enter(&here)?;
            ensure!(
                our_slots.len() == 1 && our_slots == their_slots,
                "not in one slot: {our_slots:?}, {their_slots:?}"
            );
        }
        Ok(mixed)
    }

    /// A few sockets of ours before and after more of theirs than a round visits.
    fn lost_among_others(is_tcp: bool) -> Result<Self> {
        let mut order = vec![Whose::Ours; 20];
        order.extend([Whose::Theirs; 1100]);
        order.extend([Whose::Ours; 20]);
        Self::new(is_tcp, &order)
    }
}

/// A bucket with more entries of another namespace than a round visits. Every listing ends, and has
/// each of our sockets once.
fn place_lost_every_round() -> Result<()> {
    for is_tcp in [false, true] {
        in_fresh(|| {
            let file = Plan::V4.file(is_tcp);
            let mixed = Mixed::lost_among_others(is_tcp)?;
            for _ in 0..5 {
                let text = Cat::new(file)?.text(patience(30))?;
                each_once(file, &text, &inodes(&mixed.ours)?)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// SIGKILL ends a reader at any place in a listing.
fn reader_can_be_killed() -> Result<()> {
    in_fresh(|| {
        let _mixed = Mixed::lost_among_others(false)?;
        let mut cat = Cat::new(File::Udp)?;
        // Long enough to get there.
        thread::sleep(Duration::from_millis(guest().scale(500, 1000, 3000)));
        cat.kill(patience(10))
    })
}

/// A reader that stops in the middle of a bucket does not keep another namespace alive. That
/// namespace ends, and with it its device, and so the other end of the pair in this one.
fn sleeping_reader_pins_nothing(is_tcp: bool) -> Result<()> {
    let file = Plan::V4.file(is_tcp);
    // More than a window of ours, so that it ends in this bucket, next to one of theirs.
    let mixed = Mixed::new(is_tcp, &[Whose::Ours, Whose::Theirs].repeat(1400))?;
    let text = fs::read_to_string(file.path())?;
    ensure!(text.len() > (128 << 10), "only {} bytes", text.len());

    let there = format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        mixed.there.as_raw_fd()
    );
    let output = Command::new("ip")
        .args(["link", "add", "knet0", "type", "veth"])
        .args(["peer", "name", "knet1", "netns", &there])
        .output()
        .context("running ip")?;
    ensure!(output.status.success(), "ip link add: {output:?}");
    let has_device = || -> Result<bool> {
        let devices = fs::read_to_string("/proc/thread-self/net/dev")?;
        Ok(devices.contains("knet0:"))
    };
    ensure!(has_device()?, "there is no knet0");

    let mut reader = fs::File::open(file.path())?;
    let mut begun = vec![0; 1000];
    reader.read_exact(&mut begun)?;
    let Mixed {
        ours,
        theirs,
        there,
    } = mixed;
    drop((theirs, there));
    wait_for("the other namespace to end", patience(10), || {
        Ok(match has_device()? {
            true => Err("its device is still there, while a reader sleeps".to_owned()),
            false => Ok(()),
        })
    })?;

    // And the reading goes on.
    reader.read_to_end(&mut begun)?;
    each_once(file, &String::from_utf8(begun)?, &inodes(&ours)?)
}

/// A thread that moves a socket from one table to the other and back. Another thread chooses the
/// socket.
struct Mover<'s> {
    sockets: &'s BTreeMap<u64, Socket>,
    /// The address that the socket connects to.
    listener: Socket,
    /// The inode of the chosen socket; 0: none.
    moving: AtomicU64,
    /// The inode of the socket that is being moved.
    at: AtomicU64,
    /// The number of moves so far.
    moves: AtomicU64,
    stop: AtomicBool,
}

impl<'s> Mover<'s> {
    fn new(sockets: &'s BTreeMap<u64, Socket>) -> Result<Self> {
        let listener = Plan::V4.listener(8)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            sockets,
            listener,
            moving: AtomicU64::new(0),
            at: AtomicU64::new(0),
            moves: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Moves sockets until `stop`.
    fn run(&self) -> Result<()> {
        let to = SockAddr::from(local(&self.listener)?);
        while !self.stop.load(Ordering::Relaxed) {
            let ino = self.moving.load(Ordering::SeqCst);
            self.at.store(ino, Ordering::SeqCst);
            let Some(socket) = self.sockets.get(&ino) else {
                thread::sleep(Duration::from_micros(100));
                continue;
            };
            // Of a connection and of a listener, this makes a socket that is in no table; then
            // it goes into the one, out of it, and into the other.
            disconnect(socket)?;
            if socket.connect(&to).is_ok() {
                self.moves.fetch_add(1, Ordering::Relaxed);
            }
            while self.listener.accept().is_ok() {}
            disconnect(socket)?;
            socket.listen(1)?;
            // Of a listener, connect(2) with AF_UNSPEC would do as well.
            socket.shutdown(Shutdown::Both)?;
            socket.listen(1)?;
        }
        Ok(())
    }

    /// Chooses a socket, and returns when no other one is being moved.
    fn go_to(&self, ino: u64) {
        self.moving.store(ino, Ordering::SeqCst);
        while self.at.load(Ordering::SeqCst) != ino && !self.stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_micros(50));
        }
    }
}

/// Reads TCP rows window by window. If a window ends in the middle of a bucket, the socket of the
/// last row is moved between the tables from then on. Sockets that were not moved must be listed
/// once.
///
/// With a module that ends a round at each entry (KNETSTAT_FAULT=short-rounds), one socket is moved
/// all the time.
fn read_while_moving(sockets: &BTreeMap<u64, Socket>, others: &BTreeSet<u64>) -> Result<()> {
    let file = File::Tcp;
    let mover = Mover::new(sockets)?;
    let mut moved_ever: BTreeSet<u64> = BTreeSet::new();
    let result = thread::scope(|scope| {
        let running = scope.spawn(|| {
            let result = mover.run();
            mover.stop.store(true, Ordering::Relaxed);
            result
        });
        let mut windows = 0_u32;
        let mut read = || -> Result<()> {
            // A broken rule shows by chance: in 7 s on average, on an idle machine.
            let (seconds, most) = match std::env::var("KNETSTAT_FAULT") {
                Ok(names) if names.contains("no-sock-lock") => (300, 300),
                Ok(_) => (30, 30),
                Err(_) => (guest().scale(5, 5, 10), 120),
            };
            let begun = Instant::now();
            let goes_on = |windows: u32| {
                let moves = mover.moves.load(Ordering::Relaxed);
                let has_few = windows < FEWEST_WINDOWS || moves < FEWEST_MOVES;
                let limit = Duration::from_secs(if has_few { most } else { seconds });
                let stopped = mover.stop.load(Ordering::Relaxed);
                begun.elapsed() < limit
                    && !stopped
                    && (guest().is_broken || has_few || windows < ENOUGH_WINDOWS)
            };
            while goes_on(windows) {
                let mut moved = BTreeSet::new();
                if guest().is_broken {
                    // Each entry is a cursor then: any one will do.
                    let any = *sockets.keys().next().context("no sockets")?;
                    windows += 1;
                    moved.insert(any);
                    mover.go_to(any);
                }
                let mut from = fs::File::open(file.path())?;
                let mut text = String::new();
                let mut buf = vec![0; 1 << 20];
                loop {
                    let n = from.read(&mut buf)?;
                    if n == 0 {
                        break;
                    }
                    text.push_str(std::str::from_utf8(&buf[..n])?);
                    let rows = file.parse(&text)?;
                    let last = rows.last().map_or(0, |row| row.ino());
                    if !guest().is_broken && sockets.contains_key(&last) {
                        windows += 1;
                        moved.insert(last);
                        mover.go_to(last);
                        thread::sleep(Duration::from_micros(500));
                    }
                }
                mover.go_to(0);
                moved_ever.extend(&moved);
                let stable = |ino: &u64| !moved_ever.contains(ino);
                let mut expected: BTreeSet<_> = sockets.keys().copied().filter(stable).collect();
                expected.extend(others.iter().copied().filter(stable));
                each_once(file, &text, &expected)?;
            }
            Ok(())
        };
        let result = read();
        mover.stop.store(true, Ordering::Relaxed);
        running.join().expect("no panic").context("the moving")?;
        let moves = mover.moves.load(Ordering::Relaxed);
        println!("{windows} windows ended in the bucket; {moves} moves");
        result.with_context(|| format!("after {windows} windows, with {moves} moves beside"))?;
        ensure!(
            windows >= FEWEST_WINDOWS,
            "only {windows} windows ended in the bucket"
        );
        ensure!(moves >= FEWEST_MOVES, "only {moves} moves");
        Ok(())
    });
    // close(2) is not to wait.
    for socket in sockets.values() {
        let _ = socket.set_linger(None);
    }
    result?;
    // By itself, the test must notice what the kernel says of it.
    klog::check_clean()
}

/// Listeners at one address and port.
fn listener_between_tables() -> Result<()> {
    let mut sockets = BTreeMap::new();
    // With rounds of one entry, few sockets make many readings, and so many chances.
    let count = if guest().is_broken { 4 } else { 1000 };
    for _ in 0..count {
        let socket = sharing(true)?;
        bind(&socket, true, PORT)?;
        lengthen(Plan::V4, &socket)?;
        sockets.insert(ino(&socket)?, socket);
    }
    read_while_moving(&sockets, &BTreeSet::new())
}

/// Connections, all in one bucket of the established table.
fn connection_between_tables() -> Result<()> {
    let sysctl = "/proc/sys/net/ipv4/tcp_child_ehash_entries";
    in_fresh(|| {
        if !fs::exists(sysctl)? {
            return skip(
                Feature::Sysctl("tcp_child_ehash_entries"),
                "there is no such file",
            );
        }
        fs::write(sysctl, "1")?;
        in_fresh(|| {
            let listener = Plan::V4.listener(8)?;
            let to = SockAddr::from(local(&listener)?);
            let (mut clients, mut servers) = (BTreeMap::new(), Vec::new());
            for _ in 0..600 {
                let client = Plan::V4.tcp()?;
                client.connect(&to)?;
                let (server, _) = listener.accept()?;
                for socket in [&client, &server] {
                    lengthen(Plan::V4, socket)?;
                    socket.set_linger(Some(Duration::ZERO))?;
                }
                clients.insert(ino(&client)?, client);
                servers.push(server);
            }
            // Those whose client is moved are reset, and gone.
            read_while_moving(&clients, &BTreeSet::new())
        })
    })
}
