// SPDX-License-Identifier: GPL-2.0

//! The table of options, in the order of the rows, from which whole rows are predicted.
//!
//! `tests/host` compares the names with those in `sockopts.rs`.

use super::opt::{
    Answer::*, Early, Opt, When::*, ALL6, CONNECTION, LISTENER, SIX, TCP, UDP, UDP_BOUND,
};
use super::values::{
    ao_add, classic_program, ebpf_program, forget, int, lingers, md5sig, mreq6, mreqn, raw, times,
    Try,
};
use crate::features::Feature;
use crate::sockets::Plan;
use anyhow::Result;
use knetstat_man::Facts;
use libc::*;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

// Options for which `libc` lacks names on some target.
const SO_RCVPRIORITY: c_int = 82;
const SO_TIMESTAMP_NEW: c_int = 63;
const SO_TIMESTAMPNS_NEW: c_int = 64;
pub const TCP_AO_ADD_KEY: c_int = 38;
pub const TCP_IS_MPTCP: c_int = 43;
const TCP_TX_DELAY: c_int = 37;
const TCP_RTO_MAX_MS: c_int = 44;
const TCP_RTO_MIN_US: c_int = 45;
const TCP_DELACK_MAX_US: c_int = 46;
const IP_RECVERR_RFC4884: c_int = 26;
const IP_LOCAL_PORT_RANGE: c_int = 51;
const IPV6_RECVERR_RFC4884: c_int = 31;

/// The number of options of the C module, which are the first in the table. All their values are
/// legal on all kinds of sockets that have them.
pub const OF_THE_C_MODULE: usize = 16;

/// All options, in the order of the rows.
pub fn table() -> &'static [Opt] {
    static TABLE: OnceLock<Vec<Opt>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut all = of_the_c_module();
        all.extend(sol_socket());
        all.extend(ipproto_tcp());
        all.extend(ipproto_ip());
        all.extend(ipproto_ipv6());
        all.extend(sol_udp());
        all
    })
}

/// The first option of the table with this name.
pub fn named(name: &str) -> &'static Opt {
    entries(name).next().expect("an option of the table")
}

/// The entries of this name, one for each group of kinds of sockets.
pub fn entries(name: &str) -> impl Iterator<Item = &'static Opt> + use<'_> {
    table().iter().filter(move |opt| opt.name == name)
}

/// The first entry of each name.
pub fn each_name() -> impl Iterator<Item = &'static Opt> {
    let mut names = BTreeSet::new();
    table().iter().filter(move |opt| names.insert(opt.name))
}

/// The options to which `man/options.txt` gives this fact.
pub fn marked(has_fact: impl Fn(&Facts) -> bool) -> Result<BTreeSet<String>> {
    let options = knetstat_man::options(
        include_str!("../../../../sockopts.rs"),
        include_str!("../../../../man/options.txt"),
    );
    let options = options.map_err(anyhow::Error::msg)?;
    let marked = options.iter().filter(|option| has_fact(&option.facts));
    Ok(marked.map(|option| option.name.clone()).collect())
}

fn name(text: &str) -> Try {
    raw(text.as_bytes())
}

/// Numbers of hops: values that fit into a byte.
const HOPS: &[c_int] = &[1, 2, 64, 128, 254, 255];

fn of_the_c_module() -> Vec<Opt> {
    let sol = |name, option| Opt::new(name, SOL_SOCKET, option);
    let tcp = |name, option| Opt::new(name, IPPROTO_TCP, option).on(TCP);
    let always = |opt: Opt| opt.ints(&[1, 0, c_int::MAX, -1]).undo(0).when(Always);
    let buffer = |opt: Opt| {
        opt.answer(Half)
            .when(Set)
            .ints(&[0, 1, 5000, 65536, c_int::MAX])
            .undo_by(SO_BUF_LOCK, [0; 4])
            .undo_needs(Feature::Option("SO_BUF_LOCK"))
    };
    let time = |opt: Opt| {
        opt.answer(Millis)
            .when(Set)
            .tries(times())
            .undo_raw([0; 16])
    };
    vec![
        always(sol("SO_REUSEADDR", SO_REUSEADDR)),
        always(sol("SO_REUSEPORT", SO_REUSEPORT)),
        always(sol("SO_KEEPALIVE", SO_KEEPALIVE)).on(TCP),
        tcp("TCP_KEEPIDLE", TCP_KEEPIDLE)
            .when(Set)
            .ints(&[1, 75, 7200, 32767]),
        tcp("TCP_KEEPCNT", TCP_KEEPCNT).when(Set).ints(&[1, 9, 127]),
        tcp("TCP_KEEPINTVL", TCP_KEEPINTVL)
            .when(Set)
            .ints(&[1, 75, 7200, 32767]),
        tcp("TCP_USER_TIMEOUT", TCP_USER_TIMEOUT)
            .ints(&[1, 30_000, c_int::MAX])
            .undo(0),
        buffer(sol("SO_RCVBUF", SO_RCVBUF)),
        buffer(sol("SO_SNDBUF", SO_SNDBUF)),
        time(sol("SO_RCVTIMEO", SO_RCVTIMEO)),
        time(sol("SO_SNDTIMEO", SO_SNDTIMEO)),
        sol("SO_LINGER", SO_LINGER)
            .answer(Linger)
            .when(Set)
            .tries(lingers())
            .undo_raw([0; 8]),
        always(tcp("TCP_NODELAY", TCP_NODELAY)),
        tcp("TCP_FASTOPEN", TCP_FASTOPEN)
            .on(LISTENER)
            .when(Always)
            .ints(&[1, 16, c_int::MAX])
            .undo(0),
        tcp("TCP_DEFER_ACCEPT", TCP_DEFER_ACCEPT)
            .when(Always)
            .ints(&[1, 30, 3600, c_int::MAX])
            .undo(0),
        always(sol("SO_BROADCAST", SO_BROADCAST)).on(UDP),
    ]
}

fn sol_socket() -> Vec<Opt> {
    let sol = |name, option| Opt::new(name, SOL_SOCKET, option);
    let flag = |name, option| Opt::flag(name, SOL_SOCKET, option);
    let rcvlowat = || {
        sol("SO_RCVLOWAT", SO_RCVLOWAT)
            .ints(&[2, 1000, 100_000, c_int::MAX, -1])
            .undo(1)
    };
    vec![
        flag("SO_KEEPALIVE", SO_KEEPALIVE).on(UDP),
        flag("SO_BROADCAST", SO_BROADCAST).on(TCP),
        flag("SO_DEBUG", SO_DEBUG),
        flag("SO_DONTROUTE", SO_DONTROUTE),
        flag("SO_OOBINLINE", SO_OOBINLINE),
        flag("SO_TIMESTAMP", SO_TIMESTAMP),
        flag("SO_TIMESTAMP_NEW", SO_TIMESTAMP_NEW),
        flag("SO_TIMESTAMPNS", SO_TIMESTAMPNS),
        flag("SO_TIMESTAMPNS_NEW", SO_TIMESTAMPNS_NEW),
        flag("SO_RCVMARK", SO_RCVMARK),
        flag("SO_RCVPRIORITY", SO_RCVPRIORITY),
        flag("SO_RXQ_OVFL", SO_RXQ_OVFL),
        flag("SO_WIFI_STATUS", SO_WIFI_STATUS),
        flag("SO_NOFCS", SO_NOFCS),
        sol("SO_LOCK_FILTER", SO_LOCK_FILTER).ints(&[1, -1]),
        flag("SO_SELECT_ERR_QUEUE", SO_SELECT_ERR_QUEUE),
        sol("SO_ZEROCOPY", SO_ZEROCOPY).ints(&[1]).undo(0),
        sol("SO_TXTIME", SO_TXTIME).answer(TxTime).when(Set).tries(
            [(11, 0), (1, 1), (0, 2), (11, 3)].map(|(clock, flags): (c_int, u32)| {
                raw([clock.to_ne_bytes(), flags.to_ne_bytes()].concat())
            }),
        ),
        flag("SO_NO_CHECK", SO_NO_CHECK),
        sol("SO_PRIORITY", SO_PRIORITY)
            .ints(&[1, 6, 0x10001, c_int::MAX, -1])
            .undo(0),
        sol("SO_TIMESTAMPING", SO_TIMESTAMPING)
            .answer(Timestamping)
            .tries((0..19).map(|bit| int(1 << bit)))
            .ints(&[0x18, 0x10080, 0x1880, 0x6_5fff])
            .undo(0),
        rcvlowat().on(TCP),
        rcvlowat().on(UDP),
        sol("SO_MARK", SO_MARK)
            .answer(Hex)
            .ints(&[1, 0x2a, c_int::MAX, -1])
            .undo(0),
        sol("SO_PEEK_OFF", SO_PEEK_OFF)
            .ints(&[0, 1, c_int::MAX, -2])
            .undo(-1),
        sol("SO_BINDTODEVICE", SO_BINDTODEVICE)
            .answer(Name)
            .tries([name("lo"), name("lo\0\0\0")])
            .undo_raw([]),
        sol("SO_ATTACH_FILTER", SO_ATTACH_FILTER)
            .answer(Presence)
            .when(Set)
            .tries([raw(classic_program(u32::MAX))])
            .undo_by(SO_DETACH_FILTER, [0; 4]),
        sol("SO_ATTACH_BPF", SO_ATTACH_BPF)
            .answer(Presence)
            .when(Set)
            .tries(ebpf_program(c_int::MAX).map(int))
            .undo_by(SO_DETACH_FILTER, [0; 4]),
        sol("SO_ATTACH_REUSEPORT_CBPF", SO_ATTACH_REUSEPORT_CBPF)
            .answer(Presence)
            .when(Set)
            .tries([raw(classic_program(0))])
            .undo_by(SO_DETACH_REUSEPORT_BPF, [0; 4])
            .early(Early::Reuseport),
        sol("SO_ATTACH_REUSEPORT_EBPF", SO_ATTACH_REUSEPORT_EBPF)
            .answer(Presence)
            .when(Set)
            .tries(ebpf_program(0).map(int))
            .undo_by(SO_DETACH_REUSEPORT_BPF, [0; 4])
            .early(Early::Reuseport),
        sol("SO_BUSY_POLL", SO_BUSY_POLL)
            .ints(&[1, 50, c_int::MAX])
            .undo(0),
        flag("SO_PREFER_BUSY_POLL", SO_PREFER_BUSY_POLL),
        sol("SO_BUSY_POLL_BUDGET", SO_BUSY_POLL_BUDGET)
            .answer(Given)
            .when(Set)
            .ints(&[1, 64, 65535])
            .undo(0),
        sol("SO_MAX_PACING_RATE", SO_MAX_PACING_RATE)
            .answer(Long)
            .tries([1_000_000_u64, 1 << 40, u64::MAX - 1, 1].map(|rate| raw(rate.to_ne_bytes())))
            .undo_raw(u64::MAX.to_ne_bytes()),
        sol("SO_RESERVE_MEM", SO_RESERVE_MEM)
            .needs(Feature::MemoryGroup)
            .ints(&[1, 4096, 100_000])
            .undo(0),
        sol("SO_INCOMING_CPU", SO_INCOMING_CPU)
            .on(LISTENER | UDP_BOUND)
            .ints(&[0, 1, 4095, c_int::MAX, -2])
            .undo(-1),
        sol("SO_TXREHASH", SO_TXREHASH)
            .on(TCP)
            .ints(&[0, 1])
            .undo(-1),
    ]
}

fn ipproto_tcp() -> Vec<Opt> {
    let tcp = |name, option| Opt::new(name, IPPROTO_TCP, option).on(LISTENER | CONNECTION);
    vec![
        tcp("TCP_MAXSEG", TCP_MAXSEG)
            .when(Set)
            .ints(&[88, 536, 1460, 32767])
            .undo(0),
        tcp("TCP_CORK", TCP_CORK)
            .ints(&[1, 0, c_int::MAX, -1])
            .undo(0),
        tcp("TCP_SYNCNT", TCP_SYNCNT).when(Set).ints(&[1, 6, 127]),
        tcp("TCP_LINGER2", TCP_LINGER2)
            .when(Set)
            .ints(&[1])
            .tries([forget(0)])
            .ints(&[60, 119, 120, c_int::MAX, -1, c_int::MIN])
            .undo(0),
        tcp("TCP_WINDOW_CLAMP", TCP_WINDOW_CLAMP)
            .on(LISTENER)
            .ints(&[1, 40_000, c_int::MAX]),
        tcp("TCP_QUICKACK", TCP_QUICKACK).ints(&[0]).undo(1),
        tcp("TCP_CONGESTION", TCP_CONGESTION)
            .answer(Name)
            .when(Set)
            .tries(["reno", "dctcp", "bbr", "cubic"].map(name)),
        tcp("TCP_ULP", TCP_ULP)
            .needs(Feature::Config("CONFIG_TLS"))
            .answer(Name)
            .tries([name("tls")]),
        tcp("TCP_THIN_LINEAR_TIMEOUTS", TCP_THIN_LINEAR_TIMEOUTS)
            .ints(&[1])
            .undo(0),
        tcp("TCP_REPAIR", TCP_REPAIR).ints(&[1]).undo(-1),
        tcp("TCP_FASTOPEN_CONNECT", TCP_FASTOPEN_CONNECT)
            .ints(&[1])
            .undo(0)
            .early(Early::Too),
        tcp("TCP_FASTOPEN_NO_COOKIE", TCP_FASTOPEN_NO_COOKIE)
            .ints(&[1])
            .undo(0)
            .early(Early::Too),
        tcp("TCP_TX_DELAY", TCP_TX_DELAY)
            .ints(&[1, 1000, (1 << 28) - 1])
            .undo(0),
        tcp("TCP_NOTSENT_LOWAT", TCP_NOTSENT_LOWAT)
            .ints(&[1, 16384, c_int::MAX, -1])
            .undo(0),
        tcp("TCP_INQ", TCP_INQ).ints(&[1]).undo(0),
        tcp("TCP_SAVE_SYN", TCP_SAVE_SYN).ints(&[1, 2]).undo(0),
        tcp("TCP_IS_MPTCP", TCP_IS_MPTCP).own_test("options::mptcp"),
        tcp("TCP_RTO_MAX_MS", TCP_RTO_MAX_MS)
            .ints(&[1000, 1001, 60_000, 119_999])
            .undo(120_000),
        tcp("TCP_RTO_MIN_US", TCP_RTO_MIN_US)
            .ints(&[20_000, 50_001, 100_000])
            .undo(200_000),
        tcp("TCP_DELACK_MAX_US", TCP_DELACK_MAX_US)
            .ints(&[20_000, 50_001, 100_000])
            .undo(200_000),
        tcp("TCP_MD5SIG", TCP_MD5SIG)
            .answer(Presence)
            .when(Set)
            .tries([raw(md5sig(Plan::V4, false, true))])
            .undo_by(TCP_MD5SIG, md5sig(Plan::V4, false, false)),
        tcp("TCP_AO", TCP_AO_ADD_KEY)
            .needs(Feature::Config("CONFIG_TCP_AO"))
            .answer(Presence)
            .when(Set)
            .tries([raw(ao_add(Plan::V4, false))]),
    ]
}

fn ipproto_ip() -> Vec<Opt> {
    let ip = |name, option| Opt::new(name, IPPROTO_IP, option);
    let flag = |name, option| Opt::flag(name, IPPROTO_IP, option);
    vec![
        flag("IP_PKTINFO", IP_PKTINFO),
        flag("IP_RECVTTL", IP_RECVTTL),
        flag("IP_RECVTOS", IP_RECVTOS),
        flag("IP_RECVOPTS", IP_RECVOPTS),
        flag("IP_RETOPTS", IP_RETOPTS),
        flag("IP_PASSSEC", IP_PASSSEC),
        flag("IP_RECVORIGDSTADDR", IP_RECVORIGDSTADDR),
        flag("IP_CHECKSUM", IP_CHECKSUM),
        flag("IP_RECVFRAGSIZE", IP_RECVFRAGSIZE),
        flag("IP_RECVERR", IP_RECVERR),
        ip("IP_RECVERR_RFC4884", IP_RECVERR_RFC4884)
            .ints(&[1])
            .undo(0),
        flag("IP_FREEBIND", IP_FREEBIND),
        ip("IP_MULTICAST_LOOP", IP_MULTICAST_LOOP)
            .ints(&[0])
            .undo(1),
        // Off by default on IPv6 sockets, on IPv4 sockets on.
        ip("IP_MULTICAST_ALL", IP_MULTICAST_ALL).ints(&[0, 1]),
        flag("IP_TRANSPARENT", IP_TRANSPARENT),
        flag("IP_BIND_ADDRESS_NO_PORT", IP_BIND_ADDRESS_NO_PORT),
        ip("IP_TTL", IP_TTL)
            .when(Set)
            .ints(HOPS)
            .tries([forget(-1)])
            .undo(-1),
        ip("IP_MINTTL", IP_MINTTL).ints(HOPS).undo(0),
        ip("IP_MTU_DISCOVER", IP_MTU_DISCOVER)
            .ints(&[0, 1, 2, 3, 4, 5])
            .undo(1),
        ip("IP_TOS", IP_TOS)
            .answer(Hex)
            .when(DiffersButEcn)
            .ints(&[0x10, 0xb8, 0xff, 2, 0xfc])
            .undo(0),
        ip("IP_OPTIONS", IP_OPTIONS)
            .answer(Length)
            .tries([raw([1, 1, 1, 0]), raw([1; 40])])
            .undo_raw([]),
        ip("IP_UNICAST_IF", IP_UNICAST_IF)
            .answer(Index(true))
            .ints(&[1_i32.to_be()])
            .undo(0),
        ip("IP_LOCAL_PORT_RANGE", IP_LOCAL_PORT_RANGE)
            .needs(Feature::Field("net/inet_sock.h", "local_port_range"))
            .answer(Range)
            .tries(
                [
                    (40_000, 40_100),
                    (0, 50_000),
                    (1024, 0),
                    (65_535, 65_535),
                    (1, 65_535),
                ]
                .map(|(low, high): (u32, u32)| int(((high << 16) | low) as c_int)),
            )
            .undo(0),
        ip("IP_MULTICAST_TTL", IP_MULTICAST_TTL)
            .on(UDP)
            .ints(&[0])
            .ints(HOPS)
            .undo(-1),
        ip("IP_MULTICAST_IF", IP_MULTICAST_IF)
            .on(UDP)
            .answer(AddressIndex)
            .when(Set)
            .tries([
                raw(mreqn(Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED, 1)),
                raw(Ipv4Addr::LOCALHOST.octets()),
                raw(mreqn(Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(192, 0, 2, 7), 1)),
            ])
            .undo_raw([0; 4]),
        ip("IP_ADD_MEMBERSHIP", IP_ADD_MEMBERSHIP)
            .on(UDP)
            .answer(Groups)
            .when(Set)
            .tries(
                [[224, 0, 0, 251], [224, 0, 1, 1], [239, 255, 255, 255]]
                    .map(Ipv4Addr::from)
                    .map(|group| Try {
                        text: format!("{group}%lo"),
                        ..raw(mreqn(group, Ipv4Addr::UNSPECIFIED, 1))
                    }),
            )
            .undo_by(IP_DROP_MEMBERSHIP, []),
    ]
}

fn ipproto_ipv6() -> Vec<Opt> {
    let ip6 = |name, option| Opt::new(name, IPPROTO_IPV6, option).on(ALL6);
    let flag = |name, option| Opt::flag(name, IPPROTO_IPV6, option).on(ALL6);
    let header = |name, option, bytes: &[u8]| {
        ip6(name, option)
            .answer(Length)
            .tries([raw(bytes)])
            .undo_raw([])
    };
    // A header of options that says nothing: PadN.
    let options = [0, 0, 1, 4, 0, 0, 0, 0];
    let mut segments = vec![0, 2, 4, 0, 0, 0, 0, 0];
    segments.extend(Ipv6Addr::LOCALHOST.octets());
    vec![
        ip6("IPV6_V6ONLY", IPV6_V6ONLY).ints(&[1]).early(Early::Too),
        flag("IPV6_RECVPKTINFO", IPV6_RECVPKTINFO),
        flag("IPV6_2292PKTINFO", IPV6_2292PKTINFO),
        flag("IPV6_RECVHOPLIMIT", IPV6_RECVHOPLIMIT),
        flag("IPV6_2292HOPLIMIT", IPV6_2292HOPLIMIT),
        flag("IPV6_RECVRTHDR", IPV6_RECVRTHDR),
        flag("IPV6_2292RTHDR", IPV6_2292RTHDR),
        flag("IPV6_RECVHOPOPTS", IPV6_RECVHOPOPTS),
        flag("IPV6_2292HOPOPTS", IPV6_2292HOPOPTS),
        flag("IPV6_RECVDSTOPTS", IPV6_RECVDSTOPTS),
        flag("IPV6_2292DSTOPTS", IPV6_2292DSTOPTS),
        flag("IPV6_RECVTCLASS", IPV6_RECVTCLASS),
        flag("IPV6_FLOWINFO", IPV6_FLOWINFO),
        flag("IPV6_RECVPATHMTU", IPV6_RECVPATHMTU),
        flag("IPV6_RECVORIGDSTADDR", IPV6_RECVORIGDSTADDR),
        flag("IPV6_RECVFRAGSIZE", IPV6_RECVFRAGSIZE),
        flag("IPV6_TRANSPARENT", IPV6_TRANSPARENT),
        flag("IPV6_FREEBIND", IPV6_FREEBIND),
        ip6("IPV6_MULTICAST_LOOP", IPV6_MULTICAST_LOOP)
            .ints(&[0])
            .undo(1),
        ip6("IPV6_MULTICAST_ALL", IPV6_MULTICAST_ALL)
            .ints(&[0])
            .undo(1),
        flag("IPV6_RECVERR", IPV6_RECVERR),
        ip6("IPV6_RECVERR_RFC4884", IPV6_RECVERR_RFC4884)
            .ints(&[1])
            .undo(0),
        flag("IPV6_FLOWINFO_SEND", IPV6_FLOWINFO_SEND),
        flag("IPV6_DONTFRAG", IPV6_DONTFRAG),
        ip6("IPV6_AUTOFLOWLABEL", IPV6_AUTOFLOWLABEL)
            .when(Set)
            .ints(&[0, 1, -1]),
        ip6("IPV6_TCLASS", IPV6_TCLASS)
            .answer(Hex)
            .when(DiffersButEcn)
            .ints(&[0x10, 0xb8, 0xff, 2, 0xfc])
            .undo(-1),
        ip6("IPV6_UNICAST_HOPS", IPV6_UNICAST_HOPS)
            .when(Set)
            .ints(&[0])
            .ints(HOPS)
            .undo(-1),
        ip6("IPV6_UNICAST_IF", IPV6_UNICAST_IF)
            .answer(Index(true))
            .ints(&[1_i32.to_be()])
            .undo(0),
        ip6("IPV6_MTU_DISCOVER", IPV6_MTU_DISCOVER)
            .ints(&[0, 1, 2, 3, 4, 5])
            .undo(1),
        ip6("IPV6_MTU", IPV6_MTU)
            .answer(Given)
            .when(Set)
            .ints(&[1280, 1500, 65_535, c_int::MAX])
            .undo(0),
        ip6("IPV6_ADDR_PREFERENCES", IPV6_ADDR_PREFERENCES)
            .answer(Hex)
            .ints(&[1, 2, 0x100, 4, 5, 6, 0x402, 0x104])
            .undo(0x500),
        ip6("IPV6_MINHOPCOUNT", IPV6_MINHOPCOUNT).ints(HOPS).undo(0),
        header("IPV6_HOPOPTS", IPV6_HOPOPTS, &options),
        header("IPV6_RTHDRDSTOPTS", IPV6_RTHDRDSTOPTS, &options),
        header("IPV6_RTHDR", IPV6_RTHDR, &segments),
        header("IPV6_DSTOPTS", IPV6_DSTOPTS, &options),
        ip6("IPV6_MULTICAST_HOPS", IPV6_MULTICAST_HOPS)
            .on(UDP | SIX)
            .ints(&[0])
            .ints(HOPS)
            .undo(-1),
        ip6("IPV6_MULTICAST_IF", IPV6_MULTICAST_IF)
            .on(UDP | SIX)
            .answer(Index(false))
            .ints(&[1])
            .undo(0),
        ip6("IPV6_ADD_MEMBERSHIP", IPV6_ADD_MEMBERSHIP)
            .on(UDP | SIX)
            .answer(Groups)
            .when(Set)
            .tries(
                ["ff02::fb", "ff05::1:3", "ff0e:1:2:3:4:5:6:7"].map(|group| Try {
                    text: format!("{group}%lo"),
                    ..raw(mreq6(group.parse().expect("an address"), 1))
                }),
            )
            .undo_by(IPV6_DROP_MEMBERSHIP, []),
    ]
}

fn sol_udp() -> Vec<Opt> {
    let udp = |name, option| Opt::new(name, SOL_UDP, option).on(UDP);
    let flag = |name, option| Opt::flag(name, SOL_UDP, option).on(UDP);
    vec![
        flag("UDP_CORK", UDP_CORK),
        flag("UDP_NO_CHECK6_TX", UDP_NO_CHECK6_TX),
        flag("UDP_NO_CHECK6_RX", UDP_NO_CHECK6_RX),
        flag("UDP_GRO", UDP_GRO),
        udp("UDP_ENCAP", UDP_ENCAP).ints(&[3, 2]).undo(0),
        udp("UDP_SEGMENT", UDP_SEGMENT)
            .ints(&[1, 1400, 65_535])
            .undo(0),
    ]
}
