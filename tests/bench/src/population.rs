// SPDX-License-Identifier: GPL-2.0

//! Populations: thousands of sockets of one kind.

use crate::progress::{note, Progress};
use anyhow::{ensure, Context, Result};
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fmt, fs};

/// The limit of file descriptors that this process sets for itself.
const MAX_FDS: u64 = 4 << 20;

/// File descriptors of a process other than its sockets, with some room.
const SPARE_FDS: u64 = 100;

/// The time for which a TIME_WAIT minisock surely stays. The kernel's TCP_TIMEWAIT_LEN is 60 s.
const TIME_WAIT: Duration = Duration::from_secs(55);

/// The number of connections between two addresses for which there are enough local ports.
const BLOCK: usize = 10_000;

/// The first port that sockets are bound to.
const FIRST_PORT: usize = 2_000;

/// The number of ports from [`FIRST_PORT`] on, for UDP.
const UDP_PORTS: usize = 60_000;

/// The number of addresses that listeners are spread over.
const LISTENER_ADDRESSES: usize = 64;

/// The address family of a population.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    fn domain(self) -> Domain {
        match self {
            Family::V4 => Domain::IPV4,
            Family::V6 => Domain::IPV6,
        }
    }

    /// The `index`th loopback address of a kind. IPv6 has only one.
    fn address(self, kind: Kind, index: usize) -> IpAddr {
        match self {
            Family::V4 => {
                let [.., high, low] = (index + 1).to_be_bytes();
                Ipv4Addr::new(127, 1 + kind as u8, high, low).into()
            }
            Family::V6 => Ipv6Addr::LOCALHOST.into(),
        }
    }
}

/// The kind of the sockets of a population.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Both ends of TCP connections on loopback, idle.
    Established,
    /// TCP listeners, each with an address and a port of its own.
    Listeners,
    /// TCP listeners on one port, by SO_REUSEPORT.
    ReuseportListeners,
    /// TIME_WAIT minisocks. They expire: see [`Population::expires`].
    TimeWait,
    /// UDP sockets, bound to addresses and ports of their own.
    Udp,
    /// Connected UDP sockets on one local port, all in one bucket.
    UdpOnePort,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Established => "TCP established",
            Kind::Listeners => "TCP listeners",
            Kind::ReuseportListeners => "TCP listeners on one port (SO_REUSEPORT)",
            Kind::TimeWait => "TCP TIME_WAIT",
            Kind::Udp => "UDP",
            Kind::UdpOnePort => "UDP connected on one port",
        })
    }
}

impl Kind {
    /// Whether the TCP files list them.
    pub fn is_tcp(self) -> bool {
        !matches!(self, Kind::Udp | Kind::UdpOnePort)
    }
}

/// Sockets of one kind. Dropping this closes them.
pub struct Population {
    kind: Kind,
    family: Family,
    sockets: Vec<Socket>,
    /// The number of rows in a listing.
    rows: usize,
    begun: Option<Instant>,
}

impl Population {
    /// An empty population.
    pub fn new(kind: Kind, family: Family) -> Self {
        Self {
            kind,
            family,
            sockets: Vec::new(),
            rows: 0,
            begun: None,
        }
    }

    /// A population of this many rows.
    pub fn of(kind: Kind, family: Family, rows: usize) -> Result<Self> {
        let mut population = Self::new(kind, family);
        population.grow_to(rows)?;
        Ok(population)
    }

    /// The number of rows that these sockets have in the file of their family and protocol.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The sockets. A TIME_WAIT minisock no longer has one.
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    /// The time until which all rows exist; `None`: they stay.
    pub fn expires(&self) -> Option<Instant> {
        let begun = self.begun?;
        (self.kind == Kind::TimeWait).then_some(begun + TIME_WAIT)
    }

    /// Opens sockets until there are this many rows, an even number for connections.
    pub fn grow_to(&mut self, rows: usize) -> Result<()> {
        raise_limits(rows as u64)?;
        self.begun.get_or_insert_with(Instant::now);
        let what = format!("opening sockets: {}", self.kind);
        let mut progress = Progress::quiet(&what, rows);
        progress.add(self.rows);
        self.sockets
            .reserve(rows.saturating_sub(self.sockets.len()));
        match self.kind {
            Kind::Established => {
                ensure!(rows % 2 == 0, "a connection has two rows, not {rows}");
                self.connect_until(rows, 2, &mut progress)
            }
            Kind::TimeWait => {
                keep_time_wait(rows)?;
                self.connect_until(rows, 1, &mut progress)
            }
            Kind::Listeners | Kind::ReuseportListeners | Kind::Udp | Kind::UdpOnePort => {
                while self.rows < rows {
                    let socket = if self.kind.is_tcp() {
                        self.listener(self.rows)?
                    } else {
                        self.udp(self.rows)?
                    };
                    self.sockets.push(socket);
                    self.rows += 1;
                    progress.add(1);
                }
                Ok(())
            }
        }
        .with_context(|| what)
    }

    /// Connects until there are this many rows; each connection adds `each`. A listener serves a
    /// block of connections, and is then closed.
    fn connect_until(&mut self, rows: usize, each: usize, progress: &mut Progress) -> Result<()> {
        while self.rows < rows {
            let block = self.rows / each / BLOCK;
            let address = self.family.address(self.kind, block);
            let listener = self.tcp()?;
            listener.bind(&SocketAddr::new(address, 0).into())?;
            listener.listen(16)?;
            let to = listener.local_addr()?;
            while self.rows < rows && self.rows / each / BLOCK == block {
                let client = self.tcp()?;
                client.connect(&to).context("connect")?;
                let (server, _) = listener.accept().context("accept")?;
                if self.kind == Kind::Established {
                    self.sockets.extend([client, server]);
                } else {
                    // The end that closes first goes to TIME_WAIT.
                    drop(client);
                    drop(server);
                }
                self.rows += each;
                progress.add(each);
            }
        }
        Ok(())
    }

    fn tcp(&self) -> Result<Socket> {
        Socket::new(self.family.domain(), Type::STREAM, None).context("socket")
    }

    /// The `index`th listener.
    fn listener(&self, index: usize) -> Result<Socket> {
        let socket = self.tcp()?;
        let (address, port) = match (self.kind, self.family) {
            (Kind::ReuseportListeners, _) => {
                socket.set_reuse_port(true)?;
                (0, FIRST_PORT)
            }
            (_, Family::V4) => (
                index % LISTENER_ADDRESSES,
                FIRST_PORT + index / LISTENER_ADDRESSES,
            ),
            (_, Family::V6) => (0, FIRST_PORT + index),
        };
        let to = self.endpoint(address, port)?;
        socket
            .bind(&to.into())
            .with_context(|| format!("bind {to}"))?;
        socket.listen(16)?;
        Ok(socket)
    }

    /// The `index`th UDP socket.
    fn udp(&self, index: usize) -> Result<Socket> {
        let socket = Socket::new(self.family.domain(), Type::DGRAM, None).context("socket")?;
        if self.kind == Kind::Udp {
            let at = self.endpoint(index / UDP_PORTS, FIRST_PORT + index % UDP_PORTS)?;
            socket
                .bind(&at.into())
                .with_context(|| format!("bind {at}"))?;
        } else {
            // Addresses differ, because bind(2) looks for conflicts by address and port. The bucket
            // depends on the port alone.
            socket.set_reuse_address(true)?;
            let at = self.endpoint(index, FIRST_PORT)?;
            socket
                .bind(&at.into())
                .with_context(|| format!("bind {at}"))?;
            let peer = SocketAddr::new(at.ip(), 9);
            socket
                .connect(&peer.into())
                .with_context(|| format!("connect {peer}"))?;
        }
        Ok(socket)
    }

    fn endpoint(&self, address: usize, port: usize) -> Result<SocketAddr> {
        ensure!(
            self.family == Family::V4 || address == 0 || self.kind == Kind::UdpOnePort,
            "there is one IPv6 address only, and its ports are used up"
        );
        Ok(SocketAddr::new(
            self.family.address(self.kind, address),
            port.try_into().context("out of ports")?,
        ))
    }
}

impl Drop for Population {
    fn drop(&mut self) {
        match self.kind {
            // Closed by RST, so that no TIME_WAIT minisock is left.
            Kind::Established => {
                for socket in &self.sockets {
                    let _ = socket.set_linger(Some(Duration::ZERO));
                }
            }
            Kind::TimeWait => {
                if let Err(error) = end_time_wait() {
                    note(format_args!("{error:#}"));
                }
            }
            _ => (),
        }
    }
}

/// Ends all TIME_WAIT minisocks.
fn end_time_wait() -> Result<()> {
    let status = Command::new("ss")
        .args(["--kill", "-tan", "state", "time-wait"])
        .stdout(Stdio::null())
        .status()
        .context("ss --kill")?;
    ensure!(status.success(), "ss --kill: {status}");
    Ok(())
}

/// Raises the limit of file descriptors, so that this many sockets can be open.
pub fn raise_limits(rows: u64) -> Result<()> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).context("RLIMIT_NOFILE")?;
    if rows + SPARE_FDS <= limit {
        return Ok(());
    }
    for (name, value) in [("fs/nr_open", MAX_FDS), ("fs/file-max", 2 * MAX_FDS)] {
        let current: u64 = sysctl(name)?
            .trim()
            .parse()
            .with_context(|| name.to_owned())?;
        if current < value {
            set_sysctl(name, value)?;
        }
    }
    setrlimit(Resource::RLIMIT_NOFILE, MAX_FDS, MAX_FDS).context("RLIMIT_NOFILE")
}

/// Lets the kernel keep this many TIME_WAIT minisocks, and reuse none of their ports.
fn keep_time_wait(count: usize) -> Result<()> {
    set_sysctl("net/ipv4/tcp_tw_reuse", 0)?;
    let name = "net/ipv4/tcp_max_tw_buckets";
    let current: usize = sysctl(name)?.trim().parse().context(name)?;
    if current < 2 * count {
        set_sysctl(name, 2 * count as u64)?;
    }
    Ok(())
}

/// Reads a sysctl.
pub fn sysctl(name: &str) -> Result<String> {
    let path = format!("/proc/sys/{name}");
    fs::read_to_string(&path).context(path)
}

/// Writes a sysctl.
pub fn set_sysctl(name: &str, value: u64) -> Result<()> {
    let path = format!("/proc/sys/{name}");
    fs::write(&path, value.to_string()).with_context(|| format!("writing {value} to {path}"))
}
