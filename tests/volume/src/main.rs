// SPDX-License-Identifier: GPL-2.0

//! The volume test: many sockets of all kinds, many reads, and many loads and unloads. Afterwards,
//! the kernel must have as much allocated as before.
//!
//! `KNETSTAT_SOCKETS` (100,000), `KNETSTAT_READS` (10,000 listings) and `KNETSTAT_LOADS` (500) are
//! the numbers. The module must not be loaded at the start, and the kernel needs `slab_nomerge`.

use anyhow::{anyhow, ensure, Context, Result};
use knetstat_guest_tests::background_readers::{come_first, gone, read_on, Counts, READERS};
use knetstat_guest_tests::guest::{guest, number, Scale};
use knetstat_guest_tests::netns::in_fresh;
use knetstat_guest_tests::options::{ao_add, md5sig, named, set_bytes, table};
use knetstat_guest_tests::rows::File;
use knetstat_guest_tests::sockets::{connect_later, deafen, disconnect, local, set_int, Plan};
use knetstat_guest_tests::{grammar, guest, klog, modules, tls};
use rand::rngs::ThreadRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::Rng;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The amount of work.
#[derive(Clone, Copy)]
struct Volume {
    sockets: u64,
    listings: u64,
    loads: u64,
}

/// The work of all threads so far.
#[derive(Default)]
struct Made {
    sockets: AtomicU64,
    namespaces: AtomicU64,
    /// The number of times of each act.
    acts: Mutex<BTreeMap<&'static str, u64>>,
}

/// The sockets of a namespace that stay open for now.
struct Bag<'a> {
    plan: Plan,
    held: Vec<Socket>,
    made: &'a Made,
    rng: ThreadRng,
}

impl Bag<'_> {
    fn count(&self) {
        self.made.sockets.fetch_add(1, Relaxed);
    }

    fn tcp(&self) -> Result<Socket> {
        self.count();
        self.plan.tcp()
    }

    fn listener(&self) -> Result<Socket> {
        self.count();
        self.plan.listener(64)
    }

    fn udp(&self) -> Result<Socket> {
        self.count();
        self.plan.udp()
    }

    fn accept(&self, listener: &Socket) -> Result<Socket> {
        self.count();
        Ok(listener.accept().context("accept")?.0)
    }

    /// A connection to this listener: the client and the server.
    fn pair(&self, listener: &Socket) -> Result<(Socket, Socket)> {
        let client = self.tcp()?;
        client
            .connect(&SockAddr::from(local(listener)?))
            .context("connect")?;
        Ok((client, self.accept(listener)?))
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_ratio(1, n)
    }
}

type Act = fn(&mut Bag<'_>) -> Result<()>;

/// The acts: the ways to use sockets in a namespace.
const ACTS: &[(&str, Act)] = &[
    ("listeners", listeners),
    ("connections", connections),
    ("orphans", orphans),
    ("half-open", half_open),
    ("datagrams", datagrams),
    ("rebinds", rebinds),
    ("storms of setsockopt", storms),
    ("TLS", tls_pairs),
    ("MPTCP", mptcp),
    ("MD5", md5),
    ("TCP-AO", ao),
    ("SYN flood", syn_flood),
    ("tunnels", tunnels),
];

/// Listeners that come and go; some of them share a port.
fn listeners(bag: &mut Bag<'_>) -> Result<()> {
    let mut some: Vec<Socket> = Vec::new();
    for _ in 0..60 {
        match some.choose(&mut bag.rng) {
            Some(first) if bag.rng.random() => {
                let addr = local(first)?;
                let socket = bag.tcp()?;
                socket.set_reuse_port(true)?;
                if socket.bind(&addr.into()).is_ok() {
                    socket.listen(5)?;
                }
                some.push(socket);
            }
            _ => {
                let socket = bag.tcp()?;
                socket.set_reuse_port(true)?;
                socket.bind(&bag.plan.addr(0).into())?;
                socket.listen(1)?;
                some.push(socket);
            }
        }
        if bag.one_in(3) {
            let last = bag.rng.random_range(0..some.len());
            some.swap_remove(last);
        }
    }
    bag.held.append(&mut some);
    Ok(())
}

/// Connections that end in all orders, most of them in TIME_WAIT.
fn connections(bag: &mut Bag<'_>) -> Result<()> {
    let listener = bag.listener()?;
    for _ in 0..60 {
        let (client, server) = bag.pair(&listener)?;
        match bag.rng.random_range(0..6) {
            0 => {
                drop(client);
                drop(server);
            }
            1 => {
                drop(server);
                drop(client);
            }
            2 => {
                client.set_linger(Some(Duration::ZERO))?;
                drop(client);
                bag.held.push(server);
            }
            3 => {
                client.shutdown(Shutdown::Write)?;
                server.send(b"last words")?;
                bag.held.push(client);
                drop(server);
            }
            4 => {
                client.shutdown(Shutdown::Both)?;
                bag.held.push(server);
            }
            _ => bag.held.extend([client, server]),
        }
    }
    bag.held.push(listener);
    Ok(())
}

/// Sockets that are closed while there is data to send or to acknowledge.
fn orphans(bag: &mut Bag<'_>) -> Result<()> {
    let listener = bag.listener()?;
    for _ in 0..15 {
        let (client, server) = bag.pair(&listener)?;
        deafen(&server)?;
        client.send(&[b'x'; 3000])?;
        drop(client);
        bag.held.push(server);
    }
    bag.held.push(listener);
    Ok(())
}

/// Handshakes that do not complete: the SYN-ACK is lost, or the listener waits for data.
fn half_open(bag: &mut Bag<'_>) -> Result<()> {
    let listener = bag.listener()?;
    set_int(&listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 100)?;
    let addr = local(&listener)?;
    for _ in 0..40 {
        let client = bag.tcp()?;
        if bag.one_in(2) {
            deafen(&client)?;
        }
        connect_later(&client, addr)?;
        bag.held.push(client);
    }
    bag.held.push(listener);
    Ok(())
}

/// UDP sockets: bound, connected, shared, in multicast groups.
fn datagrams(bag: &mut Bag<'_>) -> Result<()> {
    let crowd = bag.udp()?;
    let to = local(&crowd)?;
    for _ in 0..120 {
        let socket = bag.udp()?;
        if bag.one_in(2) {
            socket.connect(&to.into())?;
            socket.send(b"hello")?;
        }
        if bag.plan == Plan::V4 && bag.one_in(4) {
            let group = Ipv4Addr::new(224, 0, 1, bag.rng.random_range(1..9));
            socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)?;
        }
        if !bag.one_in(3) {
            bag.held.push(socket);
        }
    }
    bag.held.push(crowd);
    Ok(())
}

/// Sockets that change their place in the tables: bound again, connected again, turned into
/// listeners.
fn rebinds(bag: &mut Bag<'_>) -> Result<()> {
    let listener = bag.listener()?;
    let udp = bag.udp()?;
    for _ in 0..20 {
        let socket = bag.tcp()?;
        for _ in 0..3 {
            socket.connect(&SockAddr::from(local(&listener)?))?;
            drop(bag.accept(&listener)?);
            disconnect(&socket)?;
            if socket.bind(&bag.plan.addr(0).into()).is_ok() {
                socket.listen(2)?;
                socket.shutdown(Shutdown::Both)?;
            }
            disconnect(&socket)?;
        }
        bag.held.push(socket);
        let socket = bag.udp()?;
        for _ in 0..4 {
            socket.connect(&SockAddr::from(local(&udp)?))?;
            disconnect(&socket)?;
        }
        bag.held.push(socket);
    }
    bag.held.extend([listener, udp]);
    Ok(())
}

/// Random options on sockets of all kinds.
fn storms(bag: &mut Bag<'_>) -> Result<()> {
    let listener = bag.listener()?;
    let (client, server) = bag.pair(&listener)?;
    let mut some = vec![listener, client, server];
    for _ in 0..10 {
        some.push(bag.udp()?);
        some.push(bag.tcp()?);
        some.push(bag.listener()?);
    }
    let mut set = 0;
    for _ in 0..600 {
        let socket = some.choose(&mut bag.rng).context("a socket")?;
        let opt = table().choose(&mut bag.rng).context("an option")?;
        if let Some(value) = opt.tries.choose(&mut bag.rng) {
            // Not every socket takes every option.
            set += u32::from(set_bytes(socket, opt.level, opt.option, &value.bytes).is_ok());
        }
    }
    ensure!(set > 100, "only {set} options were taken");
    // With these, close(2) or the orphan that it leaves would wait for minutes or years.
    for socket in &some {
        socket.set_linger(None)?;
        for name in [
            "SO_MAX_PACING_RATE",
            "TCP_USER_TIMEOUT",
            "TCP_LINGER2",
            "TCP_TX_DELAY",
            "TCP_REPAIR",
        ] {
            let opt = named(name);
            let (option, value) = opt.undo.as_ref().context("what undoes it")?;
            // Datagram sockets have not all of them.
            let _ = set_bytes(socket, opt.level, *option, value);
        }
    }
    bag.held.append(&mut some);
    Ok(())
}

/// Connections with kernel TLS, with keys or without.
fn tls_pairs(bag: &mut Bag<'_>) -> Result<()> {
    if guest().scale == Scale::Emulated && fs::metadata("/sys/module/tls").is_err() {
        let _ = Command::new("modprobe").arg("tls").status();
    }
    let listener = bag.listener()?;
    for _ in 0..15 {
        let (client, server) = bag.pair(&listener)?;
        for socket in [&client, &server] {
            set_bytes(socket, libc::IPPROTO_TCP, libc::TCP_ULP, b"tls").context("TCP_ULP")?;
            tls::set_some_keys(socket, bag.rng.random())?;
        }
        bag.held.extend([client, server]);
    }
    bag.held.push(listener);
    Ok(())
}

fn mptcp(bag: &mut Bag<'_>) -> Result<()> {
    let socket = |bag: &Bag<'_>| {
        bag.count();
        let protocol = Some(Protocol::from(libc::IPPROTO_MPTCP));
        Socket::new(bag.plan.domain(), Type::STREAM, protocol).context("MPTCP")
    };
    let listener = socket(bag)?;
    listener.bind(&bag.plan.addr(0).into())?;
    listener.listen(64)?;
    for _ in 0..15 {
        let client = if bag.one_in(4) {
            bag.tcp()?
        } else {
            socket(bag)?
        };
        client.connect(&SockAddr::from(local(&listener)?))?;
        let server = bag.accept(&listener)?;
        if !bag.one_in(3) {
            bag.held.extend([client, server]);
        }
    }
    bag.held.push(listener);
    Ok(())
}

/// Connections whose segments are signed.
fn signed(bag: &mut Bag<'_>, option: i32, key: Vec<u8>) -> Result<()> {
    let listener = bag.listener()?;
    set_bytes(&listener, libc::IPPROTO_TCP, option, &key).context("a key")?;
    for _ in 0..15 {
        let client = bag.tcp()?;
        set_bytes(&client, libc::IPPROTO_TCP, option, &key).context("a key")?;
        client.connect(&SockAddr::from(local(&listener)?))?;
        let server = bag.accept(&listener)?;
        bag.held.extend([client, server]);
    }
    bag.held.push(listener);
    Ok(())
}

fn md5(bag: &mut Bag<'_>) -> Result<()> {
    signed(bag, libc::TCP_MD5SIG, md5sig(bag.plan, true, true))
}

fn ao(bag: &mut Bag<'_>) -> Result<()> {
    const TCP_AO_ADD_KEY: i32 = 38;
    // Not every kernel has it, and then it does not know the option.
    let probe = bag.tcp()?;
    let key = ao_add(bag.plan, true);
    match set_bytes(&probe, libc::IPPROTO_TCP, TCP_AO_ADD_KEY, &key) {
        Err(err) if err.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(()),
        result => result
            .context("TCP_AO_ADD_KEY")
            .and_then(|()| signed(bag, TCP_AO_ADD_KEY, key)),
    }
}

/// Runs `ip` in this namespace.
fn ip(arguments: &str) -> Result<bool> {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .context("running ip")?;
    Ok(output.status.success())
}

/// The Internet checksum of these bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| (u32::from(pair[0]) << 8) | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// SYNs from peers that do not exist, by raw packets.
fn syn_flood(bag: &mut Bag<'_>) -> Result<()> {
    const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    for arguments in [
        "link add dummy0 type dummy",
        "addr add 192.0.2.1/32 dev dummy0",
        "link set dummy0 up",
        "route add 10.0.0.0/8 dev dummy0",
    ] {
        ensure!(ip(arguments)?, "ip {arguments}");
    }
    let listener = bag.tcp()?;
    // The other family hears IPv4, too.
    listener.bind(&bag.plan.wildcard(0).into())?;
    listener.listen(4096)?;
    let port = local(&listener)?.port();
    bag.count();
    let raw = Socket::new(
        Domain::IPV4,
        Type::RAW,
        Some(Protocol::from(libc::IPPROTO_RAW)),
    )?;
    let to = SockAddr::from(SocketAddrV4::new(HERE, 0));
    for _ in 0..500 {
        let from = Ipv4Addr::from(0x0a00_0000 | (bag.rng.random::<u32>() >> 8));
        let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
        packet.extend(from.octets());
        packet.extend(HERE.octets());
        let mut tcp = bag.rng.random_range(1024_u16..65535).to_be_bytes().to_vec();
        tcp.extend(port.to_be_bytes());
        tcp.extend(bag.rng.random::<[u8; 4]>());
        tcp.extend([0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
        let mut summed = packet[12..20].to_vec();
        summed.extend([0, 6, 0, 20]);
        summed.extend(&tcp);
        tcp[16..18].copy_from_slice(&checksum(&summed).to_be_bytes());
        packet.extend(tcp);
        raw.send_to(&packet, &to).context("a SYN")?;
    }
    // They arrive: as many requests as there is room for.
    let end = format!(":{port}");
    let rows = bag.plan.file(true).read()?;
    let requests = rows
        .iter()
        .filter(|row| row.state == "SYNR" && row.local.ends_with(&end))
        .count();
    ensure!(requests > 30, "only {requests} requests of 500 SYNs");
    bag.held.extend([listener, raw]);
    Ok(())
}

/// Sockets of the kernel itself: those of tunnels, if the kernel has tunnels.
fn tunnels(bag: &mut Bag<'_>) -> Result<()> {
    let mut made = 0;
    for arguments in [
        "link add vxlan0 type vxlan id 1 dstport 4789 local 127.0.0.1",
        "link add geneve0 type geneve id 1 remote 127.0.0.1",
        "link add wg0 type wireguard",
    ] {
        if ip(arguments)? {
            made += 1;
            let device = arguments.split(' ').nth(2).context("a device")?;
            ensure!(
                ip(&format!("link set {device} up"))?,
                "{device} does not go up"
            );
        }
    }
    if made > 0 {
        let rows = File::Udp.read()?.len();
        ensure!(rows > 0, "{made} tunnels, and no socket of theirs");
        bag.made.sockets.fetch_add(rows as u64, Relaxed);
    }
    if guest().scale == Scale::Emulated {
        ensure!(made == 3, "only {made} of 3 tunnels");
    }
    Ok(())
}

/// A namespace with these acts. Its sockets are closed in random order, or with the namespace.
fn round(made: &Made, plan: Plan, acts: &[&(&'static str, Act)]) -> Result<()> {
    in_fresh(|| {
        // Orphans hold their namespace until the kernel gives them up.
        fs::write("/proc/sys/net/ipv4/tcp_orphan_retries", "1")?;
        fs::write("/proc/sys/net/ipv4/tcp_fin_timeout", "1")?;
        let mut bag = Bag {
            plan,
            held: Vec::new(),
            made,
            rng: rand::rng(),
        };
        for (name, act) in acts {
            act(&mut bag).with_context(|| format!("{name}, {plan:?}"))?;
            *made
                .acts
                .lock()
                .expect("no panic")
                .entry(*name)
                .or_default() += 1;
        }
        bag.held.shuffle(&mut bag.rng);
        Ok(())
    })?;
    made.namespaces.fetch_add(1, Relaxed);
    Ok(())
}

/// A namespace with some of the acts. Each occurs once: two devices of an act would have one name.
fn random_round(made: &Made) -> Result<()> {
    let mut rng = rand::rng();
    let plan = *[Plan::V4, Plan::V6].choose(&mut rng).unwrap_or(&Plan::V4);
    let mut acts: Vec<_> = ACTS.choose_multiple(&mut rng, 5).collect();
    // Programs are slow to start.
    acts.retain(|(name, _)| !["SYN flood", "tunnels"].contains(name) || rng.random_ratio(1, 4));
    round(made, plan, &acts)
}

/// Each of the acts, so that the kernel has made what it makes once, such as the modules of tunnels.
fn each_act(made: &Made) -> Result<()> {
    modules::insert(&guest().ko, "").context("loading knetstat")?;
    for act in ACTS {
        for plan in [Plan::V4, Plan::V6] {
            round(made, plan, &[act])?;
        }
    }
    modules::remove("knetstat")?;
    Ok(())
}

/// Sockets of all kinds in namespaces that come and go, with background readers.
fn sockets_and_reads(volume: Volume, counts: &Counts, made: &Made) -> Result<()> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let mut threads = Vec::new();
        for _ in 0..READERS {
            threads.push(scope.spawn(|| {
                come_first()?;
                // Readers and sockets are to be done at the same time.
                read_on(Path::new("/proc/self/task"), &stop, counts, || {
                    let sockets = made.sockets.load(Relaxed).min(volume.sockets);
                    counts.listings() * volume.sockets > sockets * volume.listings
                })
            }));
        }
        for _ in 0..3 {
            threads.push(scope.spawn(|| {
                while !stop.load(Relaxed)
                    && (made.sockets.load(Relaxed) < volume.sockets
                        || counts.listings() < volume.listings)
                {
                    let result = random_round(made);
                    if result.is_err() {
                        stop.store(true, Relaxed);
                        return result;
                    }
                }
                Ok(())
            }));
        }
        let mut results = Vec::new();
        let workers = threads.split_off(READERS);
        let mut said = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::sleep(Duration::from_millis(100));
            if said.elapsed() > Duration::from_secs(60) {
                said = Instant::now();
                println!("so far: {} sockets; {counts}", made.sockets.load(Relaxed));
            }
        }
        for thread in workers {
            results.push(thread.join().map_err(|_| anyhow!("a thread panicked"))?);
        }
        stop.store(true, Relaxed);
        for thread in threads {
            results.push(thread.join().map_err(|_| anyhow!("a thread panicked"))?);
        }
        results.into_iter().collect()
    })
}

/// Loads and unloads, with background readers, files that stay open across several loads, and
/// namespaces that end.
fn loads(volume: Volume, counts: &Counts, made: &Made) -> Result<()> {
    let stop = AtomicBool::new(false);
    let expedited = Path::new("/sys/kernel/rcu_expedited");
    if expedited.exists() {
        fs::write(expedited, "1")?;
    }
    let result = thread::scope(|scope| -> Result<()> {
        let mut threads = Vec::new();
        for _ in 0..2 {
            threads.push(
                scope.spawn(|| read_on(Path::new("/proc/self/task"), &stop, counts, || true)),
            );
        }
        // Open files, of namespaces that may be gone since, and of modules that are.
        threads.push(scope.spawn(|| {
            let mut rng = rand::rng();
            let mut open: Vec<fs::File> = Vec::new();
            while !stop.load(Relaxed) {
                for task in fs::read_dir("/proc/self/task")?.flatten() {
                    let file = File::ALL.choose(&mut rng).unwrap_or(&File::Tcp);
                    if let Ok(file) = fs::File::open(task.path().join("net").join(file.name())) {
                        open.push(file);
                    }
                }
                for file in &mut open {
                    if rng.random_ratio(1, 4) {
                        let mut buf = vec![0; rng.random_range(1..3000)];
                        if let Err(err) = file.read(&mut buf) {
                            gone(err).context("a file that stayed open")?;
                        }
                    }
                }
                open.shuffle(&mut rng);
                open.truncate(40);
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        }));
        threads.push(scope.spawn(|| {
            while !stop.load(Relaxed) {
                in_fresh(|| {
                    let listener = Plan::V4.listener(1)?;
                    let _pair = (Plan::V6.pair()?, Plan::V4.udp()?, listener);
                    made.sockets.fetch_add(5, Relaxed);
                    // So that somebody gets to read here.
                    thread::sleep(Duration::from_millis(30));
                    Ok(())
                })?;
                made.namespaces.fetch_add(1, Relaxed);
            }
            Ok(())
        }));
        let mut result = Ok(());
        for number in 0..volume.loads {
            result = users()
                .and_then(|users| {
                    ensure!(users == 0, "{users} users of the module");
                    modules::remove("knetstat")
                })
                .and_then(|()| Ok(modules::insert(&guest().ko, "")?))
                .with_context(|| format!("load {number}"));
            if result.is_err() || stop.load(Relaxed) {
                break;
            }
        }
        stop.store(true, Relaxed);
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        result
    });
    if expedited.exists() {
        fs::write(expedited, "0")?;
    }
    result
}

/// The number of references to the module, from `/proc/modules`.
fn users() -> Result<u64> {
    let modules = fs::read_to_string("/proc/modules")?;
    let line = modules.lines().find(|line| line.starts_with("knetstat "));
    let users = line.and_then(|line| line.split(' ').nth(2));
    Ok(users.context("the module is not there")?.parse()?)
}

/// The memory that the kernel has allocated.
#[derive(Clone, Debug)]
struct Held {
    /// Objects in use, by slab cache.
    objects: BTreeMap<String, i64>,
    /// Areas of vmalloc(), by caller.
    areas: BTreeMap<String, i64>,
    /// Pages of allocations too large for a slab cache.
    large: i64,
}

/// The caches of network namespaces and their sockets. No other process in the guest creates any
/// meanwhile.
const GOING: &[&str] = &[
    "net_namespace",
    "TCP",
    "TCPv6",
    "MPTCP",
    "MPTCPv6",
    "tw_sock_TCP",
    "tw_sock_TCPv6",
    "request_sock_TCP",
    "request_sock_TCPv6",
    "tcp_bind_bucket",
    "tcp_bind2_bucket",
];

/// More caches that are compared exactly. The first namespace gets some of their objects when
/// modules are loaded on the way.
const STAYING: &[&str] = &["proc_dir_entry", "RAW", "UDP", "UDPv6", "sock_inode_cache"];

/// The caches that must have exactly as many objects as before.
fn exact() -> impl Iterator<Item = &'static str> {
    GOING.iter().chain(STAYING).copied()
}

impl Held {
    fn now() -> Result<Self> {
        // Of a namespace that is gone, the kernel frees the last part when the next one goes.
        in_fresh(|| Ok(()))?;
        thread::sleep(Duration::from_secs(1));
        fs::write("/proc/sys/vm/drop_caches", "3")?;
        // The objects that each CPU has cached are given back.
        for cache in fs::read_dir("/sys/kernel/slab").context("/sys/kernel/slab")? {
            let _ = fs::write(cache?.path().join("shrink"), "1");
        }
        let _ = fs::read_to_string("/proc/sys/vm/stat_refresh");
        let mut objects = BTreeMap::new();
        let mut pages = 0;
        for line in fs::read_to_string("/proc/slabinfo")?.lines().skip(2) {
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            objects.insert(fields[0].to_owned(), fields[1].parse()?);
            let slabs: i64 = fields[14].parse()?;
            pages += slabs * fields[5].parse::<i64>()?;
        }
        let mut areas = BTreeMap::new();
        for line in fs::read_to_string("/proc/vmallocinfo")?.lines() {
            let caller = line.split_ascii_whitespace().nth(2).unwrap_or_default();
            // Given back, and kept for a while.
            if caller == "unpurged" {
                continue;
            }
            *areas.entry(caller.to_owned()).or_default() += 1;
        }
        let mut large = -pages;
        for line in fs::read_to_string("/proc/vmstat")?.lines() {
            if let Some((name, value)) = line.split_once(' ') {
                if ["nr_slab_reclaimable", "nr_slab_unreclaimable"].contains(&name) {
                    large += value.parse::<i64>()?;
                }
            }
        }
        Ok(Self {
            objects,
            areas,
            large,
        })
    }

    /// The number of objects in use of a slab cache.
    fn count(&self, cache: &str) -> i64 {
        self.objects.get(cache).copied().unwrap_or(0)
    }

    /// Compares the allocations with those before. Returns the errors, and all differences. More
    /// than `slack` is an error, because other parts of the kernel allocate as well. For [`exact`]
    /// caches, any difference is an error. Less is no error for the others: they may have shrunk
    /// late.
    fn compare(&self, before: &Held, slack: i64) -> (Vec<String>, Vec<String>) {
        let (mut wrong, mut all) = (Vec::new(), Vec::new());
        let mut look = |what: String, before: i64, now: i64, slack: i64| {
            if before != now {
                let text = format!("{what}: {before} before, {now} after");
                if now - before > slack || slack == 0 {
                    wrong.push(text.clone());
                }
                all.push(text);
            }
        };
        for (name, now) in &self.objects {
            let before = before.objects.get(name).copied().unwrap_or(0);
            let slack = match &**name {
                name if exact().any(|exact| exact == name) => 0,
                // Areas that were given back are kept for a while; those in use are counted below.
                "vmap_area" => i64::MAX,
                // DAMON divides the memory that it watches into more and more of them by itself. A
                // kernel may start it for DAMON_STAT.
                "damon_region" => i64::MAX,
                _ => slack,
            };
            look(format!("objects of {name}"), before, *now, slack);
        }
        for (name, now) in &self.areas {
            let before = before.areas.get(name).copied().unwrap_or(0);
            let slack = if name.contains("knetstat") { 0 } else { slack };
            look(format!("vmalloc areas of {name}"), before, *now, slack);
        }
        look(
            "pages of large kmalloc".to_owned(),
            before.large,
            self.large,
            slack,
        );
        (wrong, all)
    }
}

/// Runs all parts once, with the module loaded before and unloaded afterwards.
fn all(volume: Volume) -> Result<()> {
    let (counts, made) = (Counts::default(), Made::default());
    let begun = Instant::now();
    modules::insert(&guest().ko, "").context("loading knetstat")?;
    sockets_and_reads(volume, &counts, &made)?;
    loads(volume, &counts, &made)?;
    ensure!(users()? == 0, "{} users of the module", users()?);
    modules::remove("knetstat")?;
    println!(
        "{} sockets in {} namespaces; {counts}; {} loads; in {} s",
        made.sockets.load(Relaxed),
        made.namespaces.load(Relaxed),
        volume.loads,
        begun.elapsed().as_secs()
    );
    println!("acts: {:?}", made.acts.lock().expect("no panic"));
    Ok(())
}

fn main() -> Result<()> {
    guest::init()?;
    let volume = Volume {
        sockets: number("KNETSTAT_SOCKETS", 100_000)?,
        listings: number("KNETSTAT_READS", 10_000)?,
        loads: number("KNETSTAT_LOADS", 500)?,
    };
    grammar::check_itself().context("the grammar")?;
    // The first time, the kernel says that the module is not signed.
    modules::insert(&guest().ko, "").context("loading knetstat")?;
    modules::remove("knetstat")?;
    klog::follow()?;
    ensure!(!table().is_empty(), "no options");
    let at_first = Held::now()?;
    each_act(&Made::default())?;
    println!("once, small:");
    all(Volume {
        sockets: (volume.sockets / 20).clamp(500, 5_000),
        listings: volume.listings.min(200),
        loads: 10,
    })?;
    let left = |now: &Held| -> Vec<_> {
        let counts = GOING
            .iter()
            .map(|cache| (*cache, at_first.count(cache), now.count(cache)));
        counts
            .filter(|(_, at_first, now)| at_first != now)
            .collect()
    };
    let before = settle(|now| left(now).is_empty())?;
    ensure!(
        left(&before).is_empty(),
        "not as at first: {:?}",
        left(&before)
    );
    println!("in full:");
    all(volume)?;
    // A quarter of an object for each load or namespace; a leak has one of each at least.
    let slack = (volume.loads / 4).max(40) as i64;
    let after = settle(|now| now.compare(&before, slack).0.is_empty())?;
    let (wrong, all) = after.compare(&before, slack);
    println!("before and after (what others hold may differ by {slack}):");
    for name in exact() {
        if let (Some(before), Some(after)) = (before.objects.get(name), after.objects.get(name)) {
            println!("  objects of {name}: {before} before, {after} after");
        }
    }
    println!(
        "  pages of large kmalloc: {} before, {} after",
        before.large, after.large
    );
    println!(
        "  vmalloc areas: {} before, {} after",
        before.areas.values().sum::<i64>(),
        after.areas.values().sum::<i64>()
    );
    for line in all {
        println!("  differs: {line}");
    }
    klog::check_clean()?;
    ensure!(wrong.is_empty(), "not as before: {wrong:#?}");
    println!("volume: all that was held is given back, and the kernel's log is clean");
    Ok(())
}

/// Waits for at most five minutes until namespaces, orphans and objects that RCU frees are gone.
fn settle(is_settled: impl Fn(&Held) -> bool) -> Result<Held> {
    let begun = Instant::now();
    loop {
        thread::sleep(Duration::from_secs(3));
        let now = Held::now()?;
        if is_settled(&now) || begun.elapsed() > Duration::from_secs(300) {
            println!("settled after {} s", begun.elapsed().as_secs());
            return Ok(now);
        }
    }
}
