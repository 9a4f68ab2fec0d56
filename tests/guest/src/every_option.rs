// SPDX-License-Identifier: GPL-2.0

//! Every option: set with setsockopt(2) on every kind of socket, compared with what
//! getsockopt(2) says, and set back.
//!
//! [`table`] is in the order of the rows, so that it says what a whole row must be. An entry
//! that is wrong, missing or too many fails.

use crate::guest::guest;
use crate::guest::Scale;
use crate::harness::Case;
use crate::netns::in_fresh;
use crate::rows::File;
use crate::rows::Row;
use crate::sockets::local;
use crate::sockets::row;
use crate::sockets::stat;
use crate::sockets::Plan;
use anyhow::bail;
use anyhow::ensure;
use anyhow::Context;
use anyhow::Result;
use libc::c_int;
use libc::IPPROTO_IP;
use libc::IPPROTO_IPV6;
use libc::IPPROTO_TCP;
use libc::SOL_SOCKET;
use libc::SOL_UDP;
use socket2::SockAddr;
use socket2::Socket;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::time::Duration;

/// How the text of a row follows from getsockopt(2)'s answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The `int` itself.
    Int,
    /// Half of the `int`: what the process gave, before the kernel doubled it.
    Half,
    /// The milliseconds of a `struct timeval`.
    Millis,
    /// The seconds of a `struct linger`.
    Linger,
    /// The `int` in hexadecimal.
    Hex,
    /// An `unsigned long`.
    Long,
    /// A name.
    Name,
    /// Both halves of an `int`.
    Range,
    /// The bits of an `int` by their names.
    Timestamping,
    /// A `struct sock_txtime`.
    TxTime,
    /// The index of an interface; the bool says in network byte order.
    Index(bool),
    /// The address of an interface, and its name, which is not in the answer.
    AddressIndex,
    /// That there is something. getsockopt(2) says how long it is.
    Length,
    /// That there is something, which getsockopt(2) does not tell.
    Presence,
    /// What setsockopt(2) was given: getsockopt(2) does not tell it.
    Given,
    /// The groups that were joined and not left, the last one first.
    Groups,
}

/// When a row shows the option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    Always,
    /// While getsockopt(2) says something else than of a fresh socket.
    Differs,
    /// The same, but on TCP sockets not for the two bits that are the kernel's own.
    DiffersButEcn,
    /// Once the process set it, until it is given a value that undoes that.
    Set,
}

/// What setsockopt(2) is given.
#[derive(Clone, Debug)]
pub struct Try {
    pub bytes: Vec<u8>,
    /// Whether the option counts as set after it, for [`When::Set`].
    sets: bool,
    /// The text of [`Answer::Given`] and [`Answer::Groups`].
    text: String,
}

/// An option.
pub struct Opt {
    pub name: &'static str,
    pub level: c_int,
    pub option: c_int,
    answer: Answer,
    when: When,
    /// Kinds of sockets on which it is shown, see [`Role::mask`].
    on: u8,
    pub tries: Vec<Try>,
    /// The option and the value that undo it.
    pub undo: Option<(c_int, Vec<u8>)>,
    /// Takes effect (also) before bind(2).
    pub early: Early,
}

/// When an option can be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Early {
    No,
    /// Before bind(2) and connect(2), and maybe later.
    Too,
    /// On sockets that were bound with SO_REUSEPORT.
    Reuseport,
}

const LISTENER: u8 = 1;
const CONNECTION: u8 = 2;
const UDP_BOUND: u8 = 4;
const UDP_CONNECTED: u8 = 8;
/// IPv6 sockets only.
const SIX: u8 = 16;
const TCP: u8 = LISTENER | CONNECTION;
const UDP: u8 = UDP_BOUND | UDP_CONNECTED;
const ALL: u8 = TCP | UDP;
const ALL6: u8 = ALL | SIX;

/// Kinds of sockets that the tables list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Role {
    Listener,
    Client,
    Accepted,
    UdpBound,
    UdpConnected,
}

impl Role {
    pub const ALL: [Role; 5] = [
        Role::Listener,
        Role::Client,
        Role::Accepted,
        Role::UdpBound,
        Role::UdpConnected,
    ];

    pub fn is_tcp(self) -> bool {
        matches!(self, Role::Listener | Role::Client | Role::Accepted)
    }

    fn mask(self) -> u8 {
        match self {
            Role::Listener => LISTENER,
            Role::Client | Role::Accepted => CONNECTION,
            Role::UdpBound => UDP_BOUND,
            Role::UdpConnected => UDP_CONNECTED,
        }
    }
}

pub const PLANS: [Plan; 2] = [Plan::V4, Plan::V6];

/// `int`
pub fn int(value: c_int) -> Try {
    Try {
        bytes: value.to_ne_bytes().to_vec(),
        sets: true,
        text: value.to_string(),
    }
}

/// An `int` after which the option counts as not set.
fn forget(value: c_int) -> Try {
    Try {
        sets: false,
        ..int(value)
    }
}

fn ints(values: &[c_int]) -> Vec<Try> {
    values.iter().copied().map(int).collect()
}

fn raw(bytes: impl Into<Vec<u8>>) -> Try {
    Try {
        bytes: bytes.into(),
        sets: true,
        text: String::new(),
    }
}

/// SO_RCVTIMEO and SO_SNDTIMEO.
fn times() -> Vec<Try> {
    let time = |seconds: i64, micros: i64, sets| Try {
        sets,
        ..raw([seconds.to_ne_bytes(), micros.to_ne_bytes()].concat())
    };
    vec![
        time(1, 500_000, true),
        time(0, 1, true),
        time(0, 0, false),
        time(c_int::MAX.into(), 999_999, true),
        // The most that still counts as a time at 1000 Hz.
        time(9_223_372_036_854_773, 0, true),
        // Not to wait at all.
        time(-1, 0, true),
        // For ever.
        time(i64::MAX, 0, false),
        time(250, 0, true),
    ]
}

/// An IPv4 address, the address of an interface, its index: `struct ip_mreqn`.
fn mreqn(group: Ipv4Addr, address: Ipv4Addr, index: c_int) -> Vec<u8> {
    let mut bytes = group.octets().to_vec();
    bytes.extend(address.octets());
    bytes.extend(index.to_ne_bytes());
    bytes
}

/// `struct ipv6_mreq`
fn mreq6(group: Ipv6Addr, index: c_int) -> Vec<u8> {
    let mut bytes = group.octets().to_vec();
    bytes.extend(index.to_ne_bytes());
    bytes
}

/// A `struct sock_fprog` with a filter that lets all pass, for as long as the process lives.
fn classic_program(verdict: u32) -> Vec<u8> {
    let program: &'static [libc::sock_filter] = Box::leak(Box::new([libc::sock_filter {
        code: 0x06, // BPF_RET | BPF_K
        jt: 0,
        jf: 0,
        k: verdict,
    }]));
    let mut bytes = vec![0; 16];
    bytes[..2].copy_from_slice(&1_u16.to_ne_bytes());
    bytes[8..].copy_from_slice(&(program.as_ptr() as usize).to_ne_bytes());
    bytes
}

/// The file of an eBPF socket filter that returns a number, by bpf(2). `None` without eBPF.
fn ebpf_program(verdict: i32) -> Option<c_int> {
    let mov_r0 = u64::from(0xb7_u8) | (u64::from(verdict as u32) << 32);
    let exit = u64::from(0x95_u8);
    let program = [mov_r0, exit];
    let license = c"GPL";
    // The start of `union bpf_attr`: prog_type, insn_cnt, insns, license.
    let mut attr = [0_u64; 16];
    attr[0] = 1 | (2 << 32); // BPF_PROG_TYPE_SOCKET_FILTER, two instructions
    attr[1] = program.as_ptr() as u64;
    attr[2] = license.as_ptr() as u64;
    const BPF_PROG_LOAD: c_int = 5;
    // SAFETY: BPF_PROG_LOAD reads the attributes and what they point to, which outlive the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_LOAD,
            attr.as_ptr(),
            size_of_val(&attr),
        )
    };
    (fd >= 0).then_some(fd as c_int)
}

/// What the keys of the tests consist of. No row may contain it.
pub const SECRET: &[u8] = b"NeverPrintThisKey";

/// `struct sockaddr_storage` of a documentation address, or of the loopback address.
pub fn storage(plan: Plan, loopback: bool) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    match plan {
        Plan::V4 => {
            bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            let ip = if loopback {
                Ipv4Addr::LOCALHOST
            } else {
                Ipv4Addr::new(192, 0, 2, 1)
            };
            bytes[4..8].copy_from_slice(&ip.octets());
        }
        _ => {
            bytes[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
            let ip = if loopback {
                Ipv6Addr::LOCALHOST
            } else {
                Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)
            };
            bytes[8..24].copy_from_slice(&ip.octets());
        }
    }
    bytes
}

/// `struct tcp_md5sig`, with [`SECRET`] or without a key, which deletes it.
pub fn md5sig(plan: Plan, loopback: bool, key: bool) -> Vec<u8> {
    let mut bytes = storage(plan, loopback);
    let len = if key { SECRET.len() } else { 0 };
    bytes.extend([0, 0]);
    bytes.extend((len as u16).to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    let mut buf = [0; 80];
    buf[..len].copy_from_slice(&SECRET[..len]);
    bytes.extend(buf);
    bytes
}

/// `struct tcp_ao_add` with [`SECRET`].
pub fn ao_add(plan: Plan, loopback: bool) -> Vec<u8> {
    let mut bytes = storage(plan, loopback);
    let mut algorithm = [0; 64];
    algorithm[..10].copy_from_slice(b"hmac(sha1)");
    bytes.extend(algorithm);
    bytes.extend([0; 4]); // ifindex
    bytes.extend([0; 4]); // set_current, set_rnext
    bytes.extend([0; 2]);
    bytes.push(if plan == Plan::V4 { 32 } else { 128 });
    bytes.extend([100, 100, 12, 0, SECRET.len() as u8]);
    let mut buf = [0; 80];
    buf[..SECRET.len()].copy_from_slice(SECRET);
    bytes.extend(buf);
    bytes
}

pub const TCP_MD5SIG: c_int = 14;
pub const TCP_AO_ADD_KEY: c_int = 38;
const SO_DETACH_REUSEPORT_BPF: c_int = 68;

/// The flags of `linux/net_tstamp.h`, from bit 0 on.
const TIMESTAMPING: [&str; 19] = [
    "TX_HARDWARE",
    "TX_SOFTWARE",
    "RX_HARDWARE",
    "RX_SOFTWARE",
    "SOFTWARE",
    "SYS_HARDWARE",
    "RAW_HARDWARE",
    "OPT_ID",
    "TX_SCHED",
    "TX_ACK",
    "OPT_CMSG",
    "OPT_TSONLY",
    "OPT_STATS",
    "OPT_PKTINFO",
    "OPT_TX_SWHW",
    "BIND_PHC",
    "OPT_ID_TCP",
    "OPT_RX_FILTER",
    "TX_COMPLETION",
];

/// How many options the C module had: the table begins with them. All their values are legal
/// on all kinds of sockets that have them.
pub const OF_THE_C_MODULE: usize = 16;

/// All options, in the order of the rows.
pub fn table() -> &'static [Opt] {
    static TABLE: OnceLock<Vec<Opt>> = OnceLock::new();
    TABLE.get_or_init(make_table)
}

/// An option of the table by its name, the first one of that name.
pub fn named(name: &str) -> &'static Opt {
    table()
        .iter()
        .find(|opt| opt.name == name)
        .expect("an option of the table")
}

fn make_table() -> Vec<Opt> {
    use Answer::*;
    use When::*;
    let no_undo = || None;
    let opt = |name, level, option, answer, when, on, tries, undo: Option<Try>| Opt {
        name,
        level,
        option,
        answer,
        when,
        on,
        tries,
        undo: undo.map(|undo| (option, undo.bytes)),
        early: Early::No,
    };
    let flag_values = || ints(&[1, 0, c_int::MAX, -1]);
    let flag = |name, level, option, on| {
        opt(
            name,
            level,
            option,
            Int,
            Differs,
            on,
            flag_values(),
            Some(int(0)),
        )
    };
    let always = |name, level, option, on| {
        opt(
            name,
            level,
            option,
            Int,
            Always,
            on,
            flag_values(),
            Some(int(0)),
        )
    };
    let bytes = || ints(&[1, 2, 64, 128, 254, 255]);
    let buffers = || ints(&[0, 1, 5000, 65536, c_int::MAX]);
    let name = |text: &str| raw(text.as_bytes());

    let mut all = vec![
        always("SO_REUSEADDR", SOL_SOCKET, libc::SO_REUSEADDR, ALL),
        always("SO_REUSEPORT", SOL_SOCKET, libc::SO_REUSEPORT, ALL),
        always("SO_KEEPALIVE", SOL_SOCKET, libc::SO_KEEPALIVE, TCP),
        opt(
            "TCP_KEEPIDLE",
            IPPROTO_TCP,
            libc::TCP_KEEPIDLE,
            Int,
            Set,
            TCP,
            ints(&[1, 75, 7200, 32767]),
            no_undo(),
        ),
        opt(
            "TCP_KEEPCNT",
            IPPROTO_TCP,
            libc::TCP_KEEPCNT,
            Int,
            Set,
            TCP,
            ints(&[1, 9, 127]),
            no_undo(),
        ),
        opt(
            "TCP_KEEPINTVL",
            IPPROTO_TCP,
            libc::TCP_KEEPINTVL,
            Int,
            Set,
            TCP,
            ints(&[1, 75, 7200, 32767]),
            no_undo(),
        ),
        opt(
            "TCP_USER_TIMEOUT",
            IPPROTO_TCP,
            libc::TCP_USER_TIMEOUT,
            Int,
            Differs,
            TCP,
            ints(&[1, 30_000, c_int::MAX]),
            Some(int(0)),
        ),
        Opt {
            undo: Some((72, 0_u32.to_ne_bytes().to_vec())), // SO_BUF_LOCK
            ..opt(
                "SO_RCVBUF",
                SOL_SOCKET,
                libc::SO_RCVBUF,
                Half,
                Set,
                ALL,
                buffers(),
                None,
            )
        },
        Opt {
            undo: Some((72, 0_u32.to_ne_bytes().to_vec())),
            ..opt(
                "SO_SNDBUF",
                SOL_SOCKET,
                libc::SO_SNDBUF,
                Half,
                Set,
                ALL,
                buffers(),
                None,
            )
        },
        opt(
            "SO_RCVTIMEO",
            SOL_SOCKET,
            libc::SO_RCVTIMEO,
            Millis,
            Set,
            ALL,
            times(),
            Some(raw([0; 16])),
        ),
        opt(
            "SO_SNDTIMEO",
            SOL_SOCKET,
            libc::SO_SNDTIMEO,
            Millis,
            Set,
            ALL,
            times(),
            Some(raw([0; 16])),
        ),
        opt(
            "SO_LINGER",
            SOL_SOCKET,
            libc::SO_LINGER,
            Linger,
            Set,
            ALL,
            [(1, 5), (1, 0), (0, 7), (1, c_int::MAX), (1, -1)]
                .map(|(on, seconds): (c_int, c_int)| Try {
                    sets: on != 0,
                    ..raw([on.to_ne_bytes(), seconds.to_ne_bytes()].concat())
                })
                .to_vec(),
            Some(raw([0; 8])),
        ),
        always("TCP_NODELAY", IPPROTO_TCP, libc::TCP_NODELAY, TCP),
        opt(
            "TCP_FASTOPEN",
            IPPROTO_TCP,
            libc::TCP_FASTOPEN,
            Int,
            Differs,
            LISTENER,
            ints(&[1, 16, c_int::MAX]),
            Some(int(0)),
        ),
        opt(
            "TCP_DEFER_ACCEPT",
            IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            Int,
            Always,
            TCP,
            ints(&[1, 30, 3600, c_int::MAX]),
            Some(int(0)),
        ),
        always("SO_BROADCAST", SOL_SOCKET, libc::SO_BROADCAST, UDP),
        // SOL_SOCKET
        flag("SO_KEEPALIVE", SOL_SOCKET, libc::SO_KEEPALIVE, UDP),
        flag("SO_BROADCAST", SOL_SOCKET, libc::SO_BROADCAST, TCP),
        flag("SO_DEBUG", SOL_SOCKET, libc::SO_DEBUG, ALL),
        flag("SO_DONTROUTE", SOL_SOCKET, libc::SO_DONTROUTE, ALL),
        flag("SO_OOBINLINE", SOL_SOCKET, libc::SO_OOBINLINE, ALL),
        flag("SO_TIMESTAMP", SOL_SOCKET, 29, ALL),
        flag("SO_TIMESTAMP_NEW", SOL_SOCKET, 63, ALL),
        flag("SO_TIMESTAMPNS", SOL_SOCKET, 35, ALL),
        flag("SO_TIMESTAMPNS_NEW", SOL_SOCKET, 64, ALL),
        flag("SO_RCVMARK", SOL_SOCKET, 75, ALL),
        flag("SO_RCVPRIORITY", SOL_SOCKET, 82, ALL),
        flag("SO_RXQ_OVFL", SOL_SOCKET, 40, ALL),
        flag("SO_WIFI_STATUS", SOL_SOCKET, 41, ALL),
        flag("SO_NOFCS", SOL_SOCKET, 43, ALL),
        opt(
            "SO_LOCK_FILTER",
            SOL_SOCKET,
            44,
            Int,
            Differs,
            ALL,
            ints(&[1, -1]),
            no_undo(),
        ),
        flag("SO_SELECT_ERR_QUEUE", SOL_SOCKET, 45, ALL),
        opt(
            "SO_ZEROCOPY",
            SOL_SOCKET,
            60,
            Int,
            Differs,
            ALL,
            ints(&[1]),
            Some(int(0)),
        ),
        opt(
            "SO_TXTIME",
            SOL_SOCKET,
            61,
            TxTime,
            Set,
            ALL,
            [(11, 0), (1, 1), (0, 2), (11, 3)]
                .map(|(clock, flags): (c_int, u32)| {
                    raw([clock.to_ne_bytes(), flags.to_ne_bytes()].concat())
                })
                .to_vec(),
            no_undo(),
        ),
        flag("SO_NO_CHECK", SOL_SOCKET, libc::SO_NO_CHECK, ALL),
        opt(
            "SO_PRIORITY",
            SOL_SOCKET,
            libc::SO_PRIORITY,
            Int,
            Differs,
            ALL,
            ints(&[1, 6, 0x10001, c_int::MAX, -1]),
            Some(int(0)),
        ),
        opt(
            "SO_TIMESTAMPING",
            SOL_SOCKET,
            37,
            Timestamping,
            Differs,
            ALL,
            (0..TIMESTAMPING.len())
                .map(|bit| int(1 << bit))
                .chain(ints(&[0x18, 0x10080, 0x1880, 0x6_5fff]))
                .collect(),
            Some(int(0)),
        ),
        opt(
            "SO_RCVLOWAT",
            SOL_SOCKET,
            libc::SO_RCVLOWAT,
            Int,
            Differs,
            ALL,
            ints(&[2, 1000, 100_000, c_int::MAX, -1]),
            Some(int(1)),
        ),
        opt(
            "SO_MARK",
            SOL_SOCKET,
            libc::SO_MARK,
            Hex,
            Differs,
            ALL,
            ints(&[1, 0x2a, c_int::MAX, -1]),
            Some(int(0)),
        ),
        opt(
            "SO_PEEK_OFF",
            SOL_SOCKET,
            42,
            Int,
            Differs,
            ALL,
            ints(&[0, 1, c_int::MAX, -2]),
            Some(int(-1)),
        ),
        opt(
            "SO_BINDTODEVICE",
            SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            Name,
            Differs,
            ALL,
            vec![name("lo"), name("lo\0\0\0")],
            Some(name("")),
        ),
        Opt {
            undo: Some((27, vec![0; 4])), // SO_DETACH_FILTER
            ..opt(
                "SO_ATTACH_FILTER",
                SOL_SOCKET,
                26,
                Presence,
                Set,
                ALL,
                vec![raw(classic_program(u32::MAX))],
                None,
            )
        },
        Opt {
            undo: Some((27, vec![0; 4])),
            ..opt(
                "SO_ATTACH_BPF",
                SOL_SOCKET,
                50,
                Presence,
                Set,
                ALL,
                ebpf_program(c_int::MAX).map(int).into_iter().collect(),
                None,
            )
        },
        Opt {
            undo: Some((SO_DETACH_REUSEPORT_BPF, vec![0; 4])),
            early: Early::Reuseport,
            ..opt(
                "SO_ATTACH_REUSEPORT_CBPF",
                SOL_SOCKET,
                51,
                Presence,
                Set,
                ALL,
                vec![raw(classic_program(0))],
                None,
            )
        },
        Opt {
            undo: Some((SO_DETACH_REUSEPORT_BPF, vec![0; 4])),
            early: Early::Reuseport,
            ..opt(
                "SO_ATTACH_REUSEPORT_EBPF",
                SOL_SOCKET,
                52,
                Presence,
                Set,
                ALL,
                ebpf_program(0).map(int).into_iter().collect(),
                None,
            )
        },
        opt(
            "SO_BUSY_POLL",
            SOL_SOCKET,
            46,
            Int,
            Differs,
            ALL,
            ints(&[1, 50, c_int::MAX]),
            Some(int(0)),
        ),
        opt(
            "SO_PREFER_BUSY_POLL",
            SOL_SOCKET,
            69,
            Int,
            Differs,
            ALL,
            flag_values(),
            Some(int(0)),
        ),
        opt(
            "SO_BUSY_POLL_BUDGET",
            SOL_SOCKET,
            70,
            Given,
            Set,
            ALL,
            ints(&[1, 64, 65535]),
            Some(int(0)),
        ),
        opt(
            "SO_MAX_PACING_RATE",
            SOL_SOCKET,
            47,
            Long,
            Differs,
            ALL,
            [1_000_000_u64, 1 << 40, u64::MAX - 1, 1]
                .map(|rate| raw(rate.to_ne_bytes()))
                .to_vec(),
            Some(raw(u64::MAX.to_ne_bytes())),
        ),
        opt(
            "SO_RESERVE_MEM",
            SOL_SOCKET,
            73,
            Int,
            Differs,
            ALL,
            ints(&[1, 4096, 100_000]),
            Some(int(0)),
        ),
        opt(
            "SO_INCOMING_CPU",
            SOL_SOCKET,
            49,
            Int,
            Differs,
            LISTENER,
            ints(&[0, 1, 4095, c_int::MAX, -2]),
            Some(int(-1)),
        ),
        opt(
            "SO_INCOMING_CPU",
            SOL_SOCKET,
            49,
            Int,
            Differs,
            UDP_BOUND,
            ints(&[0, 1, 4095, c_int::MAX, -2]),
            Some(int(-1)),
        ),
        opt(
            "SO_TXREHASH",
            SOL_SOCKET,
            74,
            Int,
            Differs,
            TCP,
            ints(&[0, 1]),
            Some(int(-1)),
        ),
        // IPPROTO_TCP
        opt(
            "TCP_MAXSEG",
            IPPROTO_TCP,
            libc::TCP_MAXSEG,
            Int,
            Set,
            TCP,
            ints(&[88, 536, 1460, 32767]),
            Some(int(0)),
        ),
        flag("TCP_CORK", IPPROTO_TCP, libc::TCP_CORK, TCP),
        opt(
            "TCP_SYNCNT",
            IPPROTO_TCP,
            libc::TCP_SYNCNT,
            Int,
            Set,
            TCP,
            ints(&[1, 6, 127]),
            no_undo(),
        ),
        opt(
            "TCP_LINGER2",
            IPPROTO_TCP,
            libc::TCP_LINGER2,
            Int,
            Set,
            TCP,
            ints(&[1, 60, 119, 120, c_int::MAX, -1, c_int::MIN]),
            Some(int(0)),
        ),
        opt(
            "TCP_WINDOW_CLAMP",
            IPPROTO_TCP,
            libc::TCP_WINDOW_CLAMP,
            Int,
            Differs,
            LISTENER,
            ints(&[1, 40_000, c_int::MAX]),
            no_undo(),
        ),
        opt(
            "TCP_QUICKACK",
            IPPROTO_TCP,
            libc::TCP_QUICKACK,
            Int,
            Differs,
            TCP,
            ints(&[0]),
            Some(int(1)),
        ),
        opt(
            "TCP_CONGESTION",
            IPPROTO_TCP,
            libc::TCP_CONGESTION,
            Name,
            Set,
            TCP,
            vec![name("reno"), name("dctcp"), name("bbr"), name("cubic")],
            no_undo(),
        ),
        opt(
            "TCP_ULP",
            IPPROTO_TCP,
            31,
            Name,
            Differs,
            TCP,
            vec![name("tls")],
            no_undo(),
        ),
        opt(
            "TCP_THIN_LINEAR_TIMEOUTS",
            IPPROTO_TCP,
            16,
            Int,
            Differs,
            TCP,
            ints(&[1]),
            Some(int(0)),
        ),
        opt(
            "TCP_REPAIR",
            IPPROTO_TCP,
            19,
            Int,
            Differs,
            TCP,
            ints(&[1]),
            Some(int(-1)),
        ),
        Opt {
            early: Early::Too,
            ..opt(
                "TCP_FASTOPEN_CONNECT",
                IPPROTO_TCP,
                30,
                Int,
                Differs,
                TCP,
                ints(&[1]),
                Some(int(0)),
            )
        },
        Opt {
            early: Early::Too,
            ..opt(
                "TCP_FASTOPEN_NO_COOKIE",
                IPPROTO_TCP,
                34,
                Int,
                Differs,
                TCP,
                ints(&[1]),
                Some(int(0)),
            )
        },
        opt(
            "TCP_TX_DELAY",
            IPPROTO_TCP,
            37,
            Int,
            Differs,
            TCP,
            ints(&[1, 1000, (1 << 28) - 1]),
            Some(int(0)),
        ),
        opt(
            "TCP_NOTSENT_LOWAT",
            IPPROTO_TCP,
            25,
            Int,
            Differs,
            TCP,
            ints(&[1, 16384, c_int::MAX, -1]),
            Some(int(0)),
        ),
        opt(
            "TCP_INQ",
            IPPROTO_TCP,
            36,
            Int,
            Differs,
            TCP,
            ints(&[1]),
            Some(int(0)),
        ),
        opt(
            "TCP_SAVE_SYN",
            IPPROTO_TCP,
            27,
            Int,
            Differs,
            TCP,
            ints(&[1, 2]),
            Some(int(0)),
        ),
        // A process does not set it: see the tests of MPTCP.
        opt(
            "TCP_IS_MPTCP",
            IPPROTO_TCP,
            43,
            Int,
            Differs,
            TCP,
            vec![],
            no_undo(),
        ),
        opt(
            "TCP_RTO_MAX_MS",
            IPPROTO_TCP,
            44,
            Int,
            Differs,
            TCP,
            ints(&[1000, 1001, 60_000, 119_999]),
            Some(int(120_000)),
        ),
        opt(
            "TCP_RTO_MIN_US",
            IPPROTO_TCP,
            45,
            Int,
            Differs,
            TCP,
            ints(&[20_000, 50_001, 100_000]),
            Some(int(200_000)),
        ),
        opt(
            "TCP_DELACK_MAX_US",
            IPPROTO_TCP,
            46,
            Int,
            Differs,
            TCP,
            ints(&[20_000, 50_001, 100_000]),
            Some(int(200_000)),
        ),
        Opt {
            undo: Some((TCP_MD5SIG, md5sig(Plan::V4, false, false))),
            ..opt(
                "TCP_MD5SIG",
                IPPROTO_TCP,
                TCP_MD5SIG,
                Presence,
                Set,
                TCP,
                vec![raw(md5sig(Plan::V4, false, true))],
                None,
            )
        },
        opt(
            "TCP_AO",
            IPPROTO_TCP,
            TCP_AO_ADD_KEY,
            Presence,
            Set,
            TCP,
            vec![raw(ao_add(Plan::V4, false))],
            no_undo(),
        ),
    ];
    // IPPROTO_IP
    for (name, option) in [
        ("IP_PKTINFO", libc::IP_PKTINFO),
        ("IP_RECVTTL", libc::IP_RECVTTL),
        ("IP_RECVTOS", libc::IP_RECVTOS),
        ("IP_RECVOPTS", 6),
        ("IP_RETOPTS", 7),
        ("IP_PASSSEC", 18),
        ("IP_RECVORIGDSTADDR", 20),
        ("IP_CHECKSUM", 23),
        ("IP_RECVFRAGSIZE", 25),
        ("IP_RECVERR", libc::IP_RECVERR),
    ] {
        all.push(flag(name, IPPROTO_IP, option, ALL));
    }
    all.extend([
        opt(
            "IP_RECVERR_RFC4884",
            IPPROTO_IP,
            26,
            Int,
            Differs,
            ALL,
            ints(&[1]),
            Some(int(0)),
        ),
        flag("IP_FREEBIND", IPPROTO_IP, 15, ALL),
        opt(
            "IP_MULTICAST_LOOP",
            IPPROTO_IP,
            libc::IP_MULTICAST_LOOP,
            Int,
            Differs,
            ALL,
            ints(&[0]),
            Some(int(1)),
        ),
        // Off by default on IPv6 sockets, on IPv4 sockets on.
        opt(
            "IP_MULTICAST_ALL",
            IPPROTO_IP,
            49,
            Int,
            Differs,
            ALL,
            ints(&[0, 1]),
            None,
        ),
        flag("IP_TRANSPARENT", IPPROTO_IP, 19, ALL),
        flag("IP_BIND_ADDRESS_NO_PORT", IPPROTO_IP, 24, ALL),
        opt(
            "IP_TTL",
            IPPROTO_IP,
            libc::IP_TTL,
            Int,
            Set,
            ALL,
            bytes(),
            Some(int(-1)),
        ),
        opt(
            "IP_MINTTL",
            IPPROTO_IP,
            21,
            Int,
            Differs,
            ALL,
            bytes(),
            Some(int(0)),
        ),
        opt(
            "IP_MTU_DISCOVER",
            IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            Int,
            Differs,
            ALL,
            ints(&[0, 1, 2, 3, 4, 5]),
            Some(int(1)),
        ),
        opt(
            "IP_TOS",
            IPPROTO_IP,
            libc::IP_TOS,
            Hex,
            DiffersButEcn,
            ALL,
            ints(&[0x10, 0xb8, 0xff, 2, 0xfc]),
            Some(int(0)),
        ),
        opt(
            "IP_OPTIONS",
            IPPROTO_IP,
            4,
            Length,
            Differs,
            ALL,
            vec![raw([1, 1, 1, 0]), raw([1; 40])],
            Some(raw([])),
        ),
        opt(
            "IP_UNICAST_IF",
            IPPROTO_IP,
            50,
            Index(true),
            Differs,
            ALL,
            ints(&[1_i32.to_be()]),
            Some(int(0)),
        ),
        opt(
            "IP_LOCAL_PORT_RANGE",
            IPPROTO_IP,
            51,
            Range,
            Differs,
            ALL,
            [
                (40_000, 40_100),
                (0, 50_000),
                (1024, 0),
                (65_535, 65_535),
                (1, 65_535),
            ]
            .map(|(low, high): (u32, u32)| int(((high << 16) | low) as c_int))
            .to_vec(),
            Some(int(0)),
        ),
        opt(
            "IP_MULTICAST_TTL",
            IPPROTO_IP,
            libc::IP_MULTICAST_TTL,
            Int,
            Differs,
            UDP,
            [ints(&[0]), bytes()].concat(),
            Some(int(-1)),
        ),
        opt(
            "IP_MULTICAST_IF",
            IPPROTO_IP,
            libc::IP_MULTICAST_IF,
            AddressIndex,
            Set,
            UDP,
            vec![
                raw(mreqn(Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED, 1)),
                raw(Ipv4Addr::LOCALHOST.octets()),
                raw(mreqn(Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(192, 0, 2, 7), 1)),
            ],
            Some(raw([0; 4])),
        ),
        Opt {
            undo: Some((libc::IP_DROP_MEMBERSHIP, vec![])),
            ..opt(
                "IP_ADD_MEMBERSHIP",
                IPPROTO_IP,
                libc::IP_ADD_MEMBERSHIP,
                Groups,
                Set,
                UDP,
                [[224, 0, 0, 251], [224, 0, 1, 1], [239, 255, 255, 255]]
                    .map(Ipv4Addr::from)
                    .map(|group| Try {
                        text: format!("{group}%lo"),
                        ..raw(mreqn(group, Ipv4Addr::UNSPECIFIED, 1))
                    })
                    .to_vec(),
                None,
            )
        },
    ]);
    // IPPROTO_IPV6
    all.push(Opt {
        early: Early::Too,
        ..opt(
            "IPV6_V6ONLY",
            IPPROTO_IPV6,
            libc::IPV6_V6ONLY,
            Int,
            Differs,
            ALL6,
            ints(&[1]),
            None,
        )
    });
    for (name, option) in [
        ("IPV6_RECVPKTINFO", libc::IPV6_RECVPKTINFO),
        ("IPV6_2292PKTINFO", 2),
        ("IPV6_RECVHOPLIMIT", libc::IPV6_RECVHOPLIMIT),
        ("IPV6_2292HOPLIMIT", 8),
        ("IPV6_RECVRTHDR", 56),
        ("IPV6_2292RTHDR", 5),
        ("IPV6_RECVHOPOPTS", 53),
        ("IPV6_2292HOPOPTS", 3),
        ("IPV6_RECVDSTOPTS", 58),
        ("IPV6_2292DSTOPTS", 4),
        ("IPV6_RECVTCLASS", libc::IPV6_RECVTCLASS),
        ("IPV6_FLOWINFO", 11),
        ("IPV6_RECVPATHMTU", 60),
        ("IPV6_RECVORIGDSTADDR", 74),
        ("IPV6_RECVFRAGSIZE", 77),
        ("IPV6_TRANSPARENT", 75),
        ("IPV6_FREEBIND", 78),
    ] {
        all.push(flag(name, IPPROTO_IPV6, option, ALL6));
    }
    let header = |name, option, bytes: Vec<u8>| {
        opt(
            name,
            IPPROTO_IPV6,
            option,
            Length,
            Differs,
            ALL6,
            vec![raw(bytes)],
            Some(raw([])),
        )
    };
    // A header of options that says nothing: PadN.
    let options = || vec![0, 0, 1, 4, 0, 0, 0, 0];
    let segments = || {
        let mut srh = vec![0, 2, 4, 0, 0, 0, 0, 0];
        srh.extend(Ipv6Addr::LOCALHOST.octets());
        srh
    };
    all.extend([
        opt(
            "IPV6_MULTICAST_LOOP",
            IPPROTO_IPV6,
            libc::IPV6_MULTICAST_LOOP,
            Int,
            Differs,
            ALL6,
            ints(&[0]),
            Some(int(1)),
        ),
        opt(
            "IPV6_MULTICAST_ALL",
            IPPROTO_IPV6,
            29,
            Int,
            Differs,
            ALL6,
            ints(&[0]),
            Some(int(1)),
        ),
        flag("IPV6_RECVERR", IPPROTO_IPV6, 25, ALL6),
        opt(
            "IPV6_RECVERR_RFC4884",
            IPPROTO_IPV6,
            31,
            Int,
            Differs,
            ALL6,
            ints(&[1]),
            Some(int(0)),
        ),
        flag("IPV6_FLOWINFO_SEND", IPPROTO_IPV6, 33, ALL6),
        flag("IPV6_DONTFRAG", IPPROTO_IPV6, libc::IPV6_DONTFRAG, ALL6),
        opt(
            "IPV6_AUTOFLOWLABEL",
            IPPROTO_IPV6,
            70,
            Int,
            Set,
            ALL6,
            ints(&[0, 1, -1]),
            no_undo(),
        ),
        opt(
            "IPV6_TCLASS",
            IPPROTO_IPV6,
            libc::IPV6_TCLASS,
            Hex,
            DiffersButEcn,
            ALL6,
            ints(&[0x10, 0xb8, 0xff, 2, 0xfc]),
            Some(int(-1)),
        ),
        opt(
            "IPV6_UNICAST_HOPS",
            IPPROTO_IPV6,
            libc::IPV6_UNICAST_HOPS,
            Int,
            Set,
            ALL6,
            [ints(&[0]), bytes()].concat(),
            Some(int(-1)),
        ),
        opt(
            "IPV6_UNICAST_IF",
            IPPROTO_IPV6,
            76,
            Index(true),
            Differs,
            ALL6,
            ints(&[1_i32.to_be()]),
            Some(int(0)),
        ),
        opt(
            "IPV6_MTU_DISCOVER",
            IPPROTO_IPV6,
            23,
            Int,
            Differs,
            ALL6,
            ints(&[0, 1, 2, 3, 4, 5]),
            Some(int(1)),
        ),
        opt(
            "IPV6_MTU",
            IPPROTO_IPV6,
            24,
            Given,
            Set,
            ALL6,
            ints(&[1280, 1500, 65_535, c_int::MAX]),
            Some(int(0)),
        ),
        opt(
            "IPV6_ADDR_PREFERENCES",
            IPPROTO_IPV6,
            72,
            Hex,
            Differs,
            ALL6,
            ints(&[1, 2, 0x100, 4, 5, 6, 0x402, 0x104]),
            Some(int(0x500)),
        ),
        opt(
            "IPV6_MINHOPCOUNT",
            IPPROTO_IPV6,
            73,
            Int,
            Differs,
            ALL6,
            bytes(),
            Some(int(0)),
        ),
        header("IPV6_HOPOPTS", 54, options()),
        header("IPV6_RTHDRDSTOPTS", 55, options()),
        header("IPV6_RTHDR", 57, segments()),
        header("IPV6_DSTOPTS", 59, options()),
        opt(
            "IPV6_MULTICAST_HOPS",
            IPPROTO_IPV6,
            libc::IPV6_MULTICAST_HOPS,
            Int,
            Differs,
            UDP | SIX,
            [ints(&[0]), bytes()].concat(),
            Some(int(-1)),
        ),
        opt(
            "IPV6_MULTICAST_IF",
            IPPROTO_IPV6,
            libc::IPV6_MULTICAST_IF,
            Index(false),
            Differs,
            UDP | SIX,
            ints(&[1]),
            Some(int(0)),
        ),
        Opt {
            undo: Some((libc::IPV6_DROP_MEMBERSHIP, vec![])),
            ..opt(
                "IPV6_ADD_MEMBERSHIP",
                IPPROTO_IPV6,
                libc::IPV6_ADD_MEMBERSHIP,
                Groups,
                Set,
                UDP | SIX,
                ["ff02::fb", "ff05::1:3", "ff0e:1:2:3:4:5:6:7"]
                    .map(|group| Try {
                        text: format!("{group}%lo"),
                        ..raw(mreq6(group.parse().expect("an address"), 1))
                    })
                    .to_vec(),
                None,
            )
        },
        // SOL_UDP
        flag("UDP_CORK", SOL_UDP, 1, UDP),
        flag("UDP_NO_CHECK6_TX", SOL_UDP, 101, UDP),
        flag("UDP_NO_CHECK6_RX", SOL_UDP, 102, UDP),
        flag("UDP_GRO", SOL_UDP, 104, UDP),
        opt(
            "UDP_ENCAP",
            SOL_UDP,
            100,
            Int,
            Differs,
            UDP,
            ints(&[3, 2]),
            Some(int(0)),
        ),
        opt(
            "UDP_SEGMENT",
            SOL_UDP,
            103,
            Int,
            Differs,
            UDP,
            ints(&[1, 1400, 65_535]),
            Some(int(0)),
        ),
    ]);
    // A value that the kernel forgets at once.
    for opt in &mut all {
        match opt.name {
            "IP_TTL" => opt.tries.push(forget(-1)),
            "TCP_LINGER2" => opt.tries.insert(1, forget(0)),
            _ => (),
        }
    }
    all
}

impl Opt {
    /// Whether a row of such a socket has the option at times.
    pub fn is_on(&self, plan: Plan, role: Role) -> bool {
        self.on & role.mask() != 0 && (self.on & SIX == 0 || plan != Plan::V4)
    }

    /// What getsockopt(2) says, as a row is to put it. `None` where it says nothing.
    fn text(&self, socket: &Socket, memory: Option<&Memory>) -> Result<Option<String>> {
        let what = || format!("getsockopt({})", self.name);
        let number = || -> Result<c_int> {
            let bytes = get_bytes(socket, self.level, self.option, 4).with_context(what)?;
            Ok(c_int::from_ne_bytes(
                bytes.as_slice().try_into().with_context(what)?,
            ))
        };
        let answer = |len| get_bytes(socket, self.level, self.option, len).with_context(what);
        let word = |bytes: &[u8], at: usize| -> Result<i64> {
            let bytes = bytes.get(at..at + 8).with_context(what)?;
            Ok(i64::from_ne_bytes(bytes.try_into()?))
        };
        let half = |bytes: &[u8], at: usize| -> Result<c_int> {
            let bytes = bytes.get(at..at + 4).with_context(what)?;
            Ok(c_int::from_ne_bytes(bytes.try_into()?))
        };
        let link = |index: c_int| match index {
            0 => String::new(),
            1 => "lo".to_owned(),
            index => format!("if{index}"),
        };
        let given = || memory.map(|memory| memory.given.join("+"));
        Ok(match self.answer {
            Answer::Int => Some(number()?.to_string()),
            Answer::Half => Some((number()? / 2).to_string()),
            Answer::Hex => Some(format!("{:#x}", number()?)),
            Answer::Millis => {
                let time = answer(16)?;
                let millis =
                    i128::from(word(&time, 0)?) * 1000 + i128::from(word(&time, 8)?) / 1000;
                Some(format!("{millis}ms"))
            }
            Answer::Linger => Some(format!("{}s", half(&answer(8)?, 4)?)),
            Answer::Long => Some((word(&answer(8)?, 0)? as u64).to_string()),
            Answer::Name => {
                let name = answer(16)?;
                let name: Vec<u8> = name.into_iter().take_while(|byte| *byte != 0).collect();
                (!name.is_empty()).then(|| String::from_utf8_lossy(&name).into_owned())
            }
            Answer::Range => {
                let range = number()? as u32;
                Some(format!("{}-{}", range & 0xffff, range >> 16))
            }
            Answer::Timestamping => {
                let answer = answer(8)?;
                let flags = half(&answer, 0)?;
                let names = TIMESTAMPING.iter().enumerate();
                let mut parts: Vec<_> = names
                    .filter(|(bit, _)| (flags >> bit) & 1 == 1)
                    .map(|(_, name)| (*name).to_owned())
                    .collect();
                if parts.iter().any(|name| name == "BIND_PHC") {
                    parts.push(format!("bind_phc:{}", half(&answer, 4)?));
                }
                Some(parts.join("|"))
            }
            Answer::TxTime => {
                let answer = answer(8)?;
                let mut text = match half(&answer, 0)? {
                    0 => "CLOCK_REALTIME",
                    1 => "CLOCK_MONOTONIC",
                    11 => "CLOCK_TAI",
                    _ => "?",
                }
                .to_owned();
                let flags = half(&answer, 4)?;
                for (bit, name) in [(1, "|DEADLINE_MODE"), (2, "|REPORT_ERRORS")] {
                    if flags & bit != 0 {
                        text += name;
                    }
                }
                Some(text)
            }
            Answer::Index(true) => Some(link(c_int::from_be(number()?))),
            Answer::Index(false) => Some(link(number()?)),
            Answer::AddressIndex => {
                let address: [u8; 4] = answer(4)?.as_slice().try_into()?;
                Some(format!("{}%lo", Ipv4Addr::from(address)))
            }
            Answer::Length => {
                let bytes = answer(64)?;
                (!bytes.is_empty()).then(|| "1".to_owned())
            }
            Answer::Presence => Some("1".to_owned()),
            Answer::Given | Answer::Groups => given(),
        })
    }
}

/// What getsockopt(2) returns, at most `len` bytes.
pub fn get_bytes(socket: &Socket, level: c_int, option: c_int, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut len = len as libc::socklen_t;
    // SAFETY: The kernel writes at most `len` bytes to the buffer, which has as many.
    let ret = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            bytes.as_mut_ptr().cast(),
            &mut len,
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    bytes.truncate(len as usize);
    Ok(bytes)
}

/// setsockopt(2) with these bytes.
pub fn set_bytes(socket: &Socket, level: c_int, option: c_int, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: The kernel reads the bytes, and what programs and filters point to lives on.
    let ret = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            bytes.as_ptr().cast(),
            bytes.len() as libc::socklen_t,
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// What the test knows of an option that it set.
#[derive(Clone, Default, Debug)]
struct Memory {
    is_set: bool,
    given: Vec<String>,
}

/// What getsockopt(2) says of fresh sockets: by their kind and the option's place in the table.
#[derive(Default)]
pub struct Fresh(BTreeMap<(&'static str, Role), Vec<Option<String>>>);

impl Fresh {
    /// Asks sockets of all kinds in the network namespace of the calling thread.
    pub fn ask() -> Result<Self> {
        let mut fresh = BTreeMap::new();
        for plan in [Plan::V4, Plan::V6, Plan::Mapped] {
            for role in Role::ALL {
                let subject = Subject::new(plan, role)?;
                let answers = table()
                    .iter()
                    .map(|opt| {
                        let differs = matches!(opt.when, When::Differs | When::DiffersButEcn);
                        if differs && opt.is_on(plan, role) {
                            // What the kernel does not know is not set.
                            Ok(opt.text(&subject.socket, None).unwrap_or(None))
                        } else {
                            Ok(None)
                        }
                    })
                    .collect::<Result<Vec<_>>>()?;
                fresh.insert((plan.name(), role), answers);
            }
        }
        Ok(Self(fresh))
    }

    /// The answers of such a socket. With a link-local address bind(2) and connect(2) set
    /// SO_BINDTODEVICE, which is shown: as if it were set later.
    fn of(&self, plan: Plan, role: Role) -> Option<&[Option<String>]> {
        let plan = match plan {
            Plan::LinkLocal => Plan::V6,
            plan => plan,
        };
        self.0.get(&(plan.name(), role)).map(Vec::as_slice)
    }
}

/// A socket, and what the test did to it.
pub struct Subject {
    pub file: File,
    pub plan: Plan,
    pub role: Role,
    pub socket: Socket,
    /// What the last listen(2) made of its argument.
    pub backlog: c_int,
    memory: BTreeMap<&'static str, Memory>,
    /// What keeps the socket as it is; of a client, its server first.
    pub others: Vec<Socket>,
}

pub const BACKLOG: c_int = 5;

impl Subject {
    pub fn new(plan: Plan, role: Role) -> Result<Self> {
        Self::with(plan, role, |_| Ok(()))
    }

    /// A socket to which `early` is done before bind(2) and connect(2). For an accepted one, to
    /// its listener.
    pub fn with(
        plan: Plan,
        role: Role,
        early: impl FnOnce(&Socket) -> io::Result<()>,
    ) -> Result<Self> {
        let bind = |socket: Socket, early: &mut dyn FnMut(&Socket) -> io::Result<()>| {
            early(&socket)?;
            socket.bind(&plan.addr(0).into())?;
            Ok::<_, anyhow::Error>(socket)
        };
        let mut early = Some(early);
        let mut early = |socket: &Socket| early.take().map_or(Ok(()), |early| early(socket));
        let udp =
            || Ok::<_, anyhow::Error>(Socket::new(plan.domain(), socket2::Type::DGRAM, None)?);
        let (socket, others) = match role {
            Role::Listener => {
                let socket = bind(plan.tcp()?, &mut early)?;
                socket.listen(BACKLOG)?;
                (socket, vec![])
            }
            Role::Client => {
                let client = plan.tcp()?;
                early(&client)?;
                let listener = plan.listener(BACKLOG)?;
                client.connect(&SockAddr::from(local(&listener)?))?;
                let (server, _) = listener.accept()?;
                (client, vec![server, listener])
            }
            Role::Accepted => {
                let listener = bind(plan.tcp()?, &mut early)?;
                listener.listen(BACKLOG)?;
                let client = plan.tcp()?;
                let addr = SockAddr::from(local(&listener)?);
                // With some options, packets do not arrive.
                client.connect_timeout(&addr, Duration::from_secs(1))?;
                let (server, _) = listener.accept()?;
                (server, vec![client, listener])
            }
            Role::UdpBound => (bind(udp()?, &mut early)?, vec![]),
            Role::UdpConnected => {
                let to = plan.udp()?;
                let socket = bind(udp()?, &mut early)?;
                socket.connect(&SockAddr::from(local(&to)?))?;
                (socket, vec![to])
            }
        };
        Ok(Self {
            file: plan.file(role.is_tcp()),
            plan,
            role,
            socket,
            backlog: BACKLOG,
            memory: BTreeMap::new(),
            others,
        })
    }

    /// The bytes for a socket of this family: keys are for addresses.
    fn bytes<'t>(&self, option: c_int, bytes: &'t [u8]) -> std::borrow::Cow<'t, [u8]> {
        match (self.plan, option, bytes.len()) {
            (Plan::V4, ..) => bytes.into(),
            (plan, TCP_MD5SIG, 216) => md5sig(plan, false, bytes[130] != 0).into(),
            (plan, TCP_AO_ADD_KEY, 288) => ao_add(plan, false).into(),
            _ => bytes.into(),
        }
    }

    /// Sets an option, and remembers it.
    pub fn give(&mut self, opt: &Opt, value: &Try) -> io::Result<()> {
        let bytes = self.bytes(opt.option, &value.bytes);
        set_bytes(&self.socket, opt.level, opt.option, &bytes)?;
        self.remember(opt, value);
        Ok(())
    }

    /// Forgets an option, and those that are undone, or replaced, with it.
    fn forget(&mut self, opt: &Opt) {
        self.memory.remove(opt.name);
        for (one, other) in [
            ("SO_ATTACH_FILTER", "SO_ATTACH_BPF"),
            ("SO_ATTACH_REUSEPORT_CBPF", "SO_ATTACH_REUSEPORT_EBPF"),
        ] {
            if opt.name == one || opt.name == other {
                self.memory.remove(one);
                self.memory.remove(other);
            }
        }
    }

    /// Notes that an option was set.
    pub fn remember(&mut self, opt: &Opt, value: &Try) {
        if opt.answer != Answer::Groups {
            self.forget(opt);
        }
        let memory = self.memory.entry(opt.name).or_default();
        memory.is_set = value.sets;
        memory.given.insert(0, value.text.clone());
    }

    /// Notes whether an option counts as set, by other means than its own setsockopt(2).
    pub fn assume(&mut self, name: &'static str, is_set: bool) {
        self.memory.entry(name).or_default().is_set = is_set;
    }

    /// Undoes what [`Subject::give`] did.
    pub fn undo(&mut self, opt: &Opt) -> io::Result<()> {
        let Some((option, bytes)) = &opt.undo else {
            return Ok(());
        };
        if opt.answer == Answer::Groups {
            let memory = self.memory.remove(opt.name).unwrap_or_default();
            for value in opt
                .tries
                .iter()
                .filter(|value| memory.given.contains(&value.text))
            {
                set_bytes(&self.socket, opt.level, *option, &value.bytes)?;
            }
            return Ok(());
        }
        let bytes = self.bytes(*option, bytes);
        set_bytes(&self.socket, opt.level, *option, &bytes)?;
        self.forget(opt);
        // SO_BUF_LOCK undoes both.
        if matches!(opt.name, "SO_RCVBUF" | "SO_SNDBUF") {
            self.memory.remove("SO_RCVBUF");
            self.memory.remove("SO_SNDBUF");
        }
        Ok(())
    }

    /// The value that a row must show, by what getsockopt(2) says now.
    fn expected_value(&self, place: usize, fresh: &Fresh) -> Result<Option<String>> {
        let opt = &table()[place];
        if !opt.is_on(self.plan, self.role) {
            return Ok(None);
        }
        let memory = self.memory.get(opt.name);
        let fresh = || fresh.of(self.plan, self.role)?[place].clone();
        Ok(match opt.when {
            When::Always => opt.text(&self.socket, memory)?,
            When::Set => match memory {
                Some(memory) if memory.is_set => opt.text(&self.socket, Some(memory))?,
                _ => None,
            },
            When::Differs => {
                // An option that this kernel does not have.
                let text = opt.text(&self.socket, memory).unwrap_or(None);
                if text == fresh() {
                    None
                } else {
                    text
                }
            }
            When::DiffersButEcn => {
                let text = opt.text(&self.socket, memory)?;
                let own = |text: &Option<String>| {
                    let text = text.as_deref().unwrap_or("0x0");
                    let value = u32::from_str_radix(&text[2..], 16).unwrap_or(0);
                    if self.role.is_tcp() {
                        value & !3
                    } else {
                        value
                    }
                };
                if own(&text) == own(&fresh()) {
                    None
                } else {
                    text
                }
            }
        })
    }

    /// Everything that the last column must say, in order.
    pub fn expected(&self, fresh: &Fresh) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        for (place, opt) in table().iter().enumerate() {
            if let Some(text) = self.expected_value(place, fresh)? {
                all.push((opt.name.to_owned(), text));
            }
        }
        if self.role == Role::Listener {
            all.push(("backlog".to_owned(), self.backlog.to_string()));
        }
        let stat = stat(&self.socket)?;
        all.push(("uid".to_owned(), stat.st_uid.to_string()));
        all.push(("ino".to_owned(), stat.st_ino.to_string()));
        Ok(all)
    }

    /// Compares a row with what getsockopt(2) says. Says what differs.
    pub fn compare(&self, row: &Row, fresh: &Fresh) -> Result<Option<String>> {
        let expected = self.expected(fresh)?;
        let shown = row.options.clone().unwrap_or_default();
        if shown == expected {
            return Ok(None);
        }
        let only = |these: &[(String, String)], those: &[(String, String)]| {
            let only: Vec<_> = these
                .iter()
                .filter(|entry| !those.contains(entry))
                .map(|(n, v)| format!("{n}={v}"))
                .collect();
            only.join(",")
        };
        Ok(Some(format!(
            "{} {:?}: the row has [{}], getsockopt [{}]",
            self.plan.name(),
            self.role,
            only(&shown, &expected),
            only(&expected, &shown)
        )))
    }

    /// Reads the file, and compares.
    fn check(&self, fresh: &Fresh) -> Result<Option<String>> {
        self.compare(&row(self.file, &self.socket)?, fresh)
    }

    /// As [`Subject::check`], where a difference is an error.
    pub fn must_agree(&self, fresh: &Fresh) -> Result<()> {
        match self.check(fresh)? {
            Some(difference) => bail!("{difference}"),
            None => Ok(()),
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // close(2) is not to wait.
        let _ = self.socket.set_linger(None);
    }
}

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("every_option::set_compare_undo", || in_fresh(every_option)),
        Case::new("every_option::fresh_sockets", || in_fresh(fresh_sockets)),
        Case::new("every_option::inherited_by_accept", || in_fresh(inherited)),
        Case::new("every_option::v6only", || in_fresh(v6only)),
        Case::new("every_option::keys", || in_fresh(keys)),
        Case::new("every_option::mptcp", || in_fresh(mptcp)),
    ]
}

/// What became of an option.
#[derive(Default)]
struct Outcome {
    shown: bool,
    accepted: BTreeSet<String>,
    refused: BTreeSet<String>,
    undone: bool,
}

fn every_option() -> Result<()> {
    let fresh = Fresh::ask()?;
    let mut outcomes: BTreeMap<&'static str, Outcome> = BTreeMap::new();
    let mut wrong = BTreeSet::new();
    let mut refusals = Vec::new();
    let mut checks = 0;
    for (place, opt) in table().iter().enumerate() {
        let of_the_c_module = place < OF_THE_C_MODULE;
        // A hundred and forty times getsockopt(2) takes a while where all code is emulated.
        let whole_rows = guest().scale == Scale::Fast || of_the_c_module;
        for plan in PLANS {
            for role in Role::ALL {
                // An entry for other kinds has its own tries.
                if !opt.is_on(plan, role)
                    && table()
                        .iter()
                        .any(|other| other.name == opt.name && other.is_on(plan, role))
                {
                    continue;
                }
                let outcome = outcomes.entry(opt.name).or_default();
                let kind = format!("{} {role:?}", plan.name());
                let mut check =
                    |subject: &Subject, after: &str, outcome: &mut Outcome| -> Result<()> {
                        checks += 1;
                        let value = subject.expected_value(place, &fresh)?;
                        outcome.shown |= value.is_some();
                        let difference = if whole_rows || after == "undone" {
                            subject.check(&fresh)?
                        } else {
                            let row = row(subject.file, &subject.socket)?;
                            (row.option(opt.name) != value.as_deref())
                                .then(|| format!("{kind}: not {value:?}: {row:?}"))
                        };
                        if let Some(difference) = difference {
                            wrong.insert(format!("{} after {after}: {difference}", opt.name));
                        }
                        Ok(())
                    };
                // Before bind(2), each value on a socket of its own.
                if opt.early == Early::Too {
                    for value in &opt.tries {
                        let early = |socket: &Socket| {
                            set_bytes(socket, opt.level, opt.option, &value.bytes)
                        };
                        match Subject::with(plan, role, early) {
                            Ok(mut subject) => {
                                outcome.accepted.insert(kind.clone());
                                subject.remember(opt, value);
                                check(&subject, &format!("{:?} before bind", value.text), outcome)?;
                            }
                            Err(err) => {
                                outcome.refused.insert(format!("{kind}: {err:#}"));
                            }
                        }
                    }
                }
                let mut subject = Subject::with(plan, role, |socket| match opt.early {
                    Early::Reuseport => socket.set_reuse_port(true),
                    _ => Ok(()),
                })?;
                let mut any = false;
                for value in &opt.tries {
                    match subject.give(opt, value) {
                        Ok(()) => {
                            any = true;
                            outcome.accepted.insert(kind.clone());
                            let after =
                                format!("{:02x?}", &value.bytes[..value.bytes.len().min(16)]);
                            check(&subject, &after, outcome)?;
                        }
                        Err(err) => {
                            let refused = format!("{kind}: {err}");
                            if of_the_c_module && opt.is_on(plan, role) {
                                refusals.push(format!("{} is refused: {refused}", opt.name));
                            }
                            outcome.refused.insert(refused);
                        }
                    }
                }
                if any && opt.undo.is_some() {
                    match subject.undo(opt) {
                        Ok(()) => {
                            if opt.when != When::Always {
                                ensure!(
                                    subject.expected_value(place, &fresh)?.is_none(),
                                    "{} on {kind}: still {:?} when undone",
                                    opt.name,
                                    subject.expected_value(place, &fresh)?
                                );
                            }
                            outcome.undone = true;
                            check(&subject, "undone", outcome)?;
                        }
                        Err(err) => {
                            wrong.insert(format!("{} on {kind}: not undone: {err}", opt.name));
                        }
                    }
                }
            }
        }
    }
    wrong.extend(refusals);
    let mut round_tripped = 0;
    let mut lasting = Vec::new();
    for (name, outcome) in &outcomes {
        if *name == "TCP_IS_MPTCP" {
            continue;
        }
        let refused: Vec<_> = outcome.refused.iter().map(String::as_str).collect();
        if outcome.accepted.is_empty() {
            let lacks = ["(os error 92)", "(os error 95)"];
            ensure!(
                refused
                    .iter()
                    .all(|err| lacks.iter().any(|lacks| err.ends_with(lacks))),
                "{name} was set on no kind of socket: {refused:?}"
            );
            println!(
                "{name}: skipped: this kernel has it not: {}",
                refused.join("; ")
            );
            continue;
        }
        if !outcome.shown {
            wrong.insert(format!(
                "{name} was accepted by {:?}, and never shown",
                outcome.accepted
            ));
            continue;
        }
        round_tripped += 1;
        if !outcome.undone {
            lasting.push(*name);
        }
        if std::env::var_os("KNETSTAT_VERBOSE").is_some() {
            println!(
                "{name}: accepted by {:?}; refused: {refused:?}",
                outcome.accepted
            );
        }
    }
    println!("{round_tripped} options round-tripped in {checks} comparisons");
    println!("of these nothing undoes: {}", lasting.join(" "));
    ensure!(
        wrong.is_empty(),
        "\n{}",
        wrong.into_iter().collect::<Vec<_>>().join("\n")
    );
    if guest().scale == Scale::Fast {
        ensure!(
            round_tripped >= 120,
            "only {round_tripped} options round-tripped"
        );
    }
    Ok(())
}

/// The entries that rows always have.
pub fn names_always_shown(role: Role) -> Vec<&'static str> {
    let mut names: Vec<_> = table()
        .iter()
        .filter(|opt| opt.when == When::Always && opt.on & role.mask() != 0)
        .map(|opt| opt.name)
        .collect();
    if role == Role::Listener {
        names.push("backlog");
    }
    names.extend(["uid", "ino"]);
    names
}

/// The names of a row's entries.
pub fn names(row: &Row) -> Vec<&str> {
    let options = row.options.as_deref().unwrap_or_default();
    options.iter().map(|(name, _)| name.as_str()).collect()
}

/// Sockets whose process set nothing show what is always shown, and the values are right.
fn fresh_sockets() -> Result<()> {
    let fresh = Fresh::ask()?;
    for plan in Plan::ALL {
        for role in Role::ALL {
            let subject = Subject::new(plan, role)?;
            let row = row(subject.file, &subject.socket)?;
            let mut names = names(&row);
            if plan == Plan::LinkLocal {
                // By bind(2) and connect(2), which were given the interface.
                names.retain(|name| *name != "SO_BINDTODEVICE");
            }
            ensure!(
                names == names_always_shown(role),
                "a fresh {role:?} over {} shows {row:?}",
                plan.name()
            );
            if let Some(difference) = subject.compare(&row, &fresh)? {
                bail!("{difference}");
            }
        }
    }
    Ok(())
}

/// IPV6_V6ONLY is shown where the process set it, and not where bind(2) did.
fn v6only() -> Result<()> {
    let wildcard = Plan::V6.wildcard(0);
    for on in [true, false] {
        for tcp in [true, false] {
            let kind = if tcp {
                socket2::Type::STREAM
            } else {
                socket2::Type::DGRAM
            };
            let socket = Socket::new(socket2::Domain::IPV6, kind, None)?;
            socket.set_only_v6(on)?;
            socket.bind(&wildcard.into())?;
            let file = if tcp { File::Tcp6 } else { File::Udp6 };
            let mut sockets = vec![];
            if tcp {
                socket.listen(1)?;
                let client = Plan::V6.tcp()?;
                client.set_only_v6(on)?;
                client.connect(&SockAddr::from(Plan::V6.addr(local(&socket)?.port())))?;
                let (server, _) = socket.accept()?;
                sockets.extend([client, server]);
            }
            sockets.push(socket);
            for socket in &sockets {
                ensure!(socket.only_v6()? == on);
                let row = row(file, socket)?;
                ensure!(row.option("IPV6_V6ONLY") == on.then_some("1"), "{row:?}");
            }
        }
    }
    Ok(())
}

/// Of those options that are shown once they are set, the ones that a connection inherits
/// together with that.
const INHERITED: [&str; 8] = [
    "TCP_KEEPIDLE",
    "TCP_KEEPCNT",
    "TCP_KEEPINTVL",
    "SO_RCVBUF",
    "SO_SNDBUF",
    "SO_RCVTIMEO",
    "SO_SNDTIMEO",
    "SO_LINGER",
];

/// Options of a listener, on what it accepts.
fn inherited() -> Result<()> {
    let fresh = Fresh::ask()?;
    let mut wrong = BTreeSet::new();
    for (place, opt) in table().iter().enumerate() {
        // No connection comes about with these. Of what is shown once it is set, a connection
        // inherits some, and forgets of the rest that it was set.
        if matches!(
            opt.name,
            "TCP_DEFER_ACCEPT"
                | "TCP_TX_DELAY"
                | "TCP_MD5SIG"
                | "TCP_AO"
                | "SO_BINDTODEVICE"
                | "IP_MINTTL"
                | "IPV6_MINHOPCOUNT"
                | "IPV6_RTHDR"
        ) || (opt.when == When::Set && !INHERITED.contains(&opt.name))
        {
            continue;
        }
        for plan in PLANS
            .into_iter()
            .filter(|plan| opt.is_on(*plan, Role::Accepted))
        {
            for value in &opt.tries {
                let early =
                    |socket: &Socket| set_bytes(socket, opt.level, opt.option, &value.bytes);
                let mut subject = match Subject::with(plan, Role::Accepted, early) {
                    Ok(subject) => subject,
                    Err(err) if place < OF_THE_C_MODULE => return Err(err).context(opt.name),
                    Err(_) => continue,
                };
                subject.remember(opt, value);
                if let Some(difference) = subject.check(&fresh)? {
                    wrong.insert(format!("listener was given {}: {difference}", opt.name));
                }
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "\n{}",
        wrong.into_iter().collect::<Vec<_>>().join("\n")
    );
    Ok(())
}

/// Keys are never shown, that there are some is: on both ends of a signed connection.
fn keys() -> Result<()> {
    for plan in PLANS {
        for (name, option, bytes) in [
            ("TCP_MD5SIG", TCP_MD5SIG, md5sig(plan, true, true)),
            ("TCP_AO", TCP_AO_ADD_KEY, ao_add(plan, true)),
        ] {
            let (listener, client) = (plan.listener(1)?, plan.tcp()?);
            let set = |socket| set_bytes(socket, IPPROTO_TCP, option, &bytes);
            if let Err(err) = set(&listener) {
                println!("{name}: skipped: {err}");
                continue;
            }
            set(&client)?;
            client.connect(&SockAddr::from(local(&listener)?))?;
            let (server, _) = listener.accept()?;
            for socket in [&listener, &client, &server] {
                let row = row(plan.file(true), socket)?;
                ensure!(row.option(name) == Some("1"), "no {name}: {row:?}");
            }
            let text = std::fs::read(plan.file(true).path())?;
            for n in 4..=SECRET.len() {
                ensure!(!contains(&text, &SECRET[..n]), "a key is shown");
            }
            let hex = SECRET[..4].iter().map(|byte| format!("{byte:02x}"));
            let hex = hex.collect::<Vec<_>>().concat();
            ensure!(!contains(&text, hex.as_bytes()), "a key is shown");
        }
    }
    // The cookie's key of Fast Open.
    let listener = Plan::V4.listener(1)?;
    const TCP_FASTOPEN_KEY: c_int = 33;
    set_bytes(&listener, IPPROTO_TCP, TCP_FASTOPEN_KEY, &SECRET[..16])?;
    let text = std::fs::read(File::Tcp.path())?;
    ensure!(!contains(&text, &SECRET[..4]), "a key is shown");
    Ok(())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Multipath TCP: the rows of subflows say so, and what they fall back to does not.
fn mptcp() -> Result<()> {
    const IPPROTO_MPTCP: i32 = 262;
    for enabled in ["1", "0"] {
        if std::fs::write("/proc/sys/net/mptcp/enabled", enabled).is_err() {
            return crate::harness::skip("this kernel has no MPTCP");
        }
        for plan in PLANS {
            let protocol = Some(socket2::Protocol::from(IPPROTO_MPTCP));
            let socket = || Socket::new(plan.domain(), socket2::Type::STREAM, protocol);
            // Switched off, there are none.
            if enabled == "0" {
                ensure!(socket().is_err(), "MPTCP is off");
                let pair = plan.pair()?;
                for socket in [&pair.listener, &pair.client, &pair.server] {
                    ensure!(row(plan.file(true), socket)?
                        .option("TCP_IS_MPTCP")
                        .is_none());
                }
                continue;
            }
            for (many, role) in [(true, "MPTCP"), (false, "plain TCP")] {
                let listener = socket()?;
                listener.bind(&plan.addr(0).into())?;
                listener.listen(BACKLOG)?;
                let client = if many { socket()? } else { plan.tcp()? };
                client.connect(&SockAddr::from(local(&listener)?))?;
                let (server, _) = listener.accept()?;
                let rows = plan.file(true).read()?;
                for (what, socket) in [
                    ("listener", &listener),
                    ("client", &client),
                    ("server", &server),
                ] {
                    let asked = get_bytes(socket, IPPROTO_TCP, 43, 1);
                    let here = crate::rows::address(&local(socket)?);
                    let mine: Vec<_> = rows
                        .iter()
                        .filter(|row| {
                            row.local == here && (row.state == "LSTN") == (what == "listener")
                        })
                        .collect();
                    ensure!(mine.len() == 1, "{what} to {role} has the rows {mine:?}");
                    // What a subflow has is what its owner says, and nothing else.
                    let subflow = asked? == [1];
                    ensure!(subflow == (many || what == "listener"), "{what} to {role}");
                    let kind = if what == "listener" {
                        Role::Listener
                    } else {
                        Role::Client
                    };
                    let mut expected = names_always_shown(kind);
                    if subflow {
                        let at = expected.iter().position(|name| *name == "TCP_DEFER_ACCEPT");
                        let at = at.context("TCP_DEFER_ACCEPT")? + 1;
                        expected.splice(at..at, ["TCP_ULP", "TCP_IS_MPTCP"]);
                    }
                    ensure!(
                        names(mine[0]) == expected,
                        "{what} to {role}, with MPTCP: {subflow}: {:?}",
                        mine[0]
                    );
                }
            }
        }
    }
    Ok(())
}
