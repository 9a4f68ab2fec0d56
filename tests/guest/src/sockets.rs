// SPDX-License-Identifier: GPL-2.0

//! Sockets: their addresses, how they are connected, and how packets get lost.

use crate::guest::wait_for;
use crate::netns::{LINK_LOCAL, LO};
use crate::options::get_bytes;
use crate::reference::wait_closed;
use crate::rows::{File, Row};
use anyhow::{ensure, Context, Result};
use nix::sys::stat::{fstat, FileStat};
use socket2::{Domain, SockAddr, SockFilter, Socket, Type};
use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;

/// The addresses that the sockets of a test use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plan {
    /// 127.0.0.1 to 127.0.0.1.
    V4,
    /// ::1 to ::1.
    V6,
    /// IPv6 sockets that speak IPv4: `::ffff:127.0.0.1`.
    Mapped,
    /// An address of the interface `lo` in fe80::/10.
    LinkLocal,
}

impl Plan {
    pub const ALL: [Plan; 4] = [Plan::V4, Plan::V6, Plan::Mapped, Plan::LinkLocal];

    /// Its name, for the names of tests.
    pub fn name(self) -> &'static str {
        match self {
            Plan::V4 => "v4",
            Plan::V6 => "v6",
            Plan::Mapped => "v4_mapped",
            Plan::LinkLocal => "link_local",
        }
    }

    pub fn domain(self) -> Domain {
        match self {
            Plan::V4 => Domain::IPV4,
            _ => Domain::IPV6,
        }
    }

    /// The address of both ends.
    pub fn addr(self, port: u16) -> SocketAddr {
        match self {
            Plan::V4 => (Ipv4Addr::LOCALHOST, port).into(),
            Plan::V6 => (Ipv6Addr::LOCALHOST, port).into(),
            Plan::Mapped => (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port).into(),
            Plan::LinkLocal => SocketAddrV6::new(LINK_LOCAL, port, 0, LO).into(),
        }
    }

    /// The wildcard address of the family.
    pub fn wildcard(self, port: u16) -> SocketAddr {
        let ip: IpAddr = match self {
            Plan::V4 => Ipv4Addr::UNSPECIFIED.into(),
            _ => Ipv6Addr::UNSPECIFIED.into(),
        };
        (ip, port).into()
    }

    /// The file that lists its TCP (or UDP) sockets.
    pub fn file(self, tcp: bool) -> File {
        File::of(tcp, &self.addr(0))
    }

    pub fn tcp(self) -> Result<Socket> {
        Ok(Socket::new(self.domain(), Type::STREAM, None)?)
    }

    /// A UDP socket, bound to a free port.
    pub fn udp(self) -> Result<Socket> {
        let socket = Socket::new(self.domain(), Type::DGRAM, None)?;
        socket.bind(&self.addr(0).into())?;
        Ok(socket)
    }

    /// A listener at a free port.
    pub fn listener(self, backlog: i32) -> Result<Socket> {
        let socket = self.tcp()?;
        socket.bind(&self.addr(0).into())?;
        socket.listen(backlog)?;
        Ok(socket)
    }

    /// A connection, and the listener that it was made through.
    pub fn pair(self) -> Result<Pair> {
        self.listener(16)?.into_pair(self.tcp()?)
    }

    /// As [`Plan::pair`], with buffers so small that they are soon full.
    pub fn small_pair(self) -> Result<Pair> {
        let listener = self.listener(16)?;
        let client = self.tcp()?;
        for socket in [&listener, &client] {
            socket.set_recv_buffer_size(4096)?;
            socket.set_send_buffer_size(4096)?;
        }
        listener.into_pair(client)
    }
}

/// A TCP connection.
pub struct Pair {
    pub listener: Socket,
    pub client: Socket,
    pub server: Socket,
}

/// Turns a listener and an unconnected socket into a connection.
pub trait IntoPair {
    fn into_pair(self, client: Socket) -> Result<Pair>;
}

impl IntoPair for Socket {
    fn into_pair(self, client: Socket) -> Result<Pair> {
        client
            .connect(&SockAddr::from(local(&self)?))
            .context("connect")?;
        let (server, _) = self.accept().context("accept")?;
        Ok(Pair {
            listener: self,
            client,
            server,
        })
    }
}

/// Starts to connect, and does not wait.
pub fn connect_later(socket: &Socket, to: SocketAddr) -> Result<()> {
    socket.set_nonblocking(true)?;
    let result = socket.connect(&to.into());
    socket.set_nonblocking(false)?;
    match result {
        Err(err) if err.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        other => Ok(other?),
    }
}

/// connect(2) with AF_UNSPEC.
pub fn disconnect(socket: &Socket) -> io::Result<()> {
    // SAFETY: All-zero bytes are a valid `struct sockaddr`.
    let mut addr: libc::sockaddr = unsafe { std::mem::zeroed() };
    addr.sa_family = libc::AF_UNSPEC as libc::sa_family_t;
    let len = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: The kernel reads `len` bytes of the address, which outlives the call.
    let ret = unsafe { libc::connect(socket.as_raw_fd(), &raw const addr, len) };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The address that a socket is bound to.
pub fn local(socket: &Socket) -> Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .context("no internet address")
}

/// A UDP port that is free.
pub fn free_udp_port(plan: Plan) -> Result<u16> {
    let socket = plan.udp()?;
    let (port, ino) = (local(&socket)?.port(), ino(&socket)?);
    drop(socket);
    wait_closed(plan.file(false), ino)?;
    Ok(port)
}

/// The address that a socket is connected to.
pub fn peer(socket: &Socket) -> Result<SocketAddr> {
    socket
        .peer_addr()?
        .as_socket()
        .context("no internet address")
}

/// fstat(2), whose `st_ino` and `st_uid` are the `ino` and `uid` of a row.
pub fn stat(socket: &Socket) -> Result<FileStat> {
    Ok(fstat(socket)?)
}

/// The inode of a socket.
pub fn ino(socket: &Socket) -> Result<u64> {
    Ok(stat(socket)?.st_ino)
}

/// The row of a socket, which must have exactly one.
pub fn row(file: File, socket: &Socket) -> Result<Row> {
    let ino = ino(socket)?;
    let rows = file.read()?;
    let mut found = rows.into_iter().filter(|row| row.ino() == ino);
    let row = found
        .next()
        .with_context(|| format!("{} lists no socket with inode {ino}", file.name()))?;
    ensure!(
        found.next().is_none(),
        "{} lists inode {ino} twice",
        file.name()
    );
    Ok(row)
}

/// Writes until nothing fits for a while.
pub fn stuff(from: &Socket) -> Result<()> {
    from.set_nonblocking(true)?;
    let result = loop {
        match from.send(&[b'x'; 16384]) {
            Ok(_) => (),
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => break Ok(()),
            Err(err) => break Err(err),
        }
    };
    from.set_nonblocking(false)?;
    Ok(result?)
}

/// Reads all data that has arrived. Returns the number of bytes.
pub fn drain(socket: &Socket) -> Result<usize> {
    let mut total = 0;
    let mut buf = [std::mem::MaybeUninit::uninit(); 65536];
    loop {
        match socket.recv_with_flags(&mut buf, libc::MSG_DONTWAIT) {
            Ok(0) => return Ok(total),
            Ok(n) => total += n,
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(total),
            Err(err) => return Err(err.into()),
        }
    }
}

/// Drops every packet that arrives for this socket, by a socket filter. To the peer, the link is
/// dead, and no firewall is needed.
pub fn deafen(socket: &Socket) -> Result<()> {
    const DROP: SockFilter = SockFilter::new(0x06, 0, 0, 0); // BPF_RET | BPF_K
    Ok(socket.attach_filter(&[DROP])?)
}

/// Drops every TCP segment that has an ACK.
pub fn deafen_to_acks(socket: &Socket) -> Result<()> {
    Ok(socket.attach_filter(&[
        SockFilter::new(0x30, 0, 0, 13), // BPF_LD | BPF_B | BPF_ABS: the flags
        SockFilter::new(0x45, 0, 1, 0x10), // BPF_JMP | BPF_JSET | BPF_K: is it an ACK?
        SockFilter::new(0x06, 0, 0, 0),  // drop
        SockFilter::new(0x06, 0, 0, 0xffff_ffff), // keep
    ])?)
}

/// Undoes [`deafen`].
pub fn undeafen(socket: &Socket) -> Result<()> {
    Ok(socket.detach_filter()?)
}

/// The part of `struct tcp_info` of `linux/tcp.h` that the tests need.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct TcpInfo {
    pub state: u8,
    bytes: [u8; 7],
    before_unacked: [u32; 4],
    pub unacked: u32,
    before_last_ack_recv: [u32; 7],
    /// Milliseconds since the last ACK arrived.
    pub last_ack_recv: u32,
    pmtu_to_rcv_space: [u32; 10],
    total_retrans: u32,
    rates: [u64; 4],
    segs: [u32; 6],
    times: [u64; 4],
    delivered: [u32; 2],
    sent: [u64; 2],
    reordering: [u32; 3],
    /// The window that the peer offers.
    pub snd_wnd: u32,
    /// The window that we offer.
    pub rcv_wnd: u32,
}

/// States of `include/net/tcp_states.h`.
pub mod state {
    pub const ESTABLISHED: u8 = 1;
    pub const SYN_SENT: u8 = 2;
    pub const SYN_RECV: u8 = 3;
    pub const FIN_WAIT1: u8 = 4;
    pub const FIN_WAIT2: u8 = 5;
    pub const CLOSE: u8 = 7;
    pub const CLOSE_WAIT: u8 = 8;
    pub const LAST_ACK: u8 = 9;
    pub const LISTEN: u8 = 10;
    pub const CLOSING: u8 = 11;
}

/// getsockopt(TCP_INFO).
pub fn tcp_info(socket: &Socket) -> Result<TcpInfo> {
    let mut info = TcpInfo::default();
    let mut len = size_of::<TcpInfo>() as libc::socklen_t;
    // SAFETY: The kernel writes at most `len` bytes to `info`, any of which are valid there.
    let ret = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &mut len,
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error()).context("TCP_INFO");
    }
    let rcv_wnd = std::mem::offset_of!(TcpInfo, rcv_wnd);
    ensure!(
        len as usize >= rcv_wnd,
        "this kernel's TCP_INFO has no windows"
    );
    // Before Linux 6.2.
    if len as usize == rcv_wnd && info.state != state::LISTEN {
        info.rcv_wnd = own_window(socket)?;
    }
    Ok(info)
}

/// The window that we offer, from getsockopt(TCP_REPAIR_WINDOW).
fn own_window(socket: &Socket) -> Result<u32> {
    const TCP_REPAIR: i32 = 19;
    const TCP_REPAIR_WINDOW: i32 = 29;
    const TCP_REPAIR_ON: i32 = 1;
    // Without the probe of the window that 0 sends.
    const TCP_REPAIR_OFF_NO_WP: i32 = -1;
    // `struct tcp_repair_window`: snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup.
    const RCV_WND: std::ops::Range<usize> = 12..16;

    set_int(socket, libc::IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON).context("TCP_REPAIR")?;
    let window = get_bytes(socket, libc::IPPROTO_TCP, TCP_REPAIR_WINDOW, 20);
    // This also switches SO_REUSEADDR off, which no caller has on for a reason.
    set_int(socket, libc::IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP).context("TCP_REPAIR")?;
    let window = window.context("TCP_REPAIR_WINDOW")?;
    Ok(u32::from_ne_bytes(window[RCV_WND].try_into()?))
}

/// Waits until TCP_INFO reports a state.
pub fn wait_state(socket: &Socket, state: u8) -> Result<()> {
    wait_for("a TCP state", 10, || {
        let now = tcp_info(socket)?.state;
        Ok(if now == state {
            Ok(())
        } else {
            Err(format!("in state {now}, not {state}"))
        })
    })
}

/// setsockopt(2) with an `int`.
pub fn set_int(socket: &Socket, level: i32, option: i32, value: i32) -> io::Result<()> {
    set(socket, level, option, &value)
}

/// setsockopt(2) with any plain value.
pub fn set<T>(socket: &Socket, level: i32, option: i32, value: &T) -> io::Result<()> {
    // SAFETY: The kernel reads `size_of::<T>()` bytes of `value`.
    let ret = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const *value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// getsockopt(2), into a type for which all bit patterns are valid: an `int`, or a structure of
/// them.
pub fn get<T: Copy>(socket: &Socket, level: i32, option: i32, mut value: T) -> io::Result<T> {
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: The kernel writes at most `len` bytes to `value`, any of which are valid there.
    let ret = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw mut value).cast(),
            &mut len,
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value)
}
