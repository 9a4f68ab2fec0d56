// SPDX-License-Identifier: GPL-2.0

//! Sockets in many multicast groups: whole lists of up to 1,024 groups, and the number of groups
//! that are left out beyond that. The reference is the groups that setsockopt(2) accepted and, by
//! device, `/proc/net/igmp6`.

use crate::crowds::udp6_crowd;
use crate::harness::Case;
use crate::netns::in_fresh;
use crate::options::set_bytes;
use crate::reads::read_in_pieces;
use crate::rows::{File, Row};
use crate::sockets::{ino, row, Plan};
use anyhow::{ensure, Context, Result};
use libc::{IPPROTO_IP, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, IP_ADD_MEMBERSHIP};
use nix::net::if_::if_nametoindex;
use socket2::Socket;
use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

/// The number of groups of a socket that are listed.
const LISTED: usize = 1024;

/// A limit for the memory of a socket's options, in bytes, that suffices for all groups here.
const OPTMEM: &str = "/proc/sys/net/core/optmem_max";

pub fn cases() -> Vec<Case> {
    vec![
        Case::alone("groups::up_to_1024_and_beyond", || {
            with_optmem(|| in_fresh(up_to_1024_and_beyond))
        }),
        Case::alone("groups::of_many_sockets", || {
            with_optmem(|| in_fresh(of_many_sockets))
        }),
    ]
}

/// Runs `f` while sockets may have many groups. The limit is one for the whole machine before Linux
/// 6.8, and one for each network namespace since then.
pub fn with_optmem(f: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    let before = fs::read_to_string(OPTMEM).context(OPTMEM)?;
    fs::write(OPTMEM, "4000000")?;
    let result = f();
    fs::write(OPTMEM, before)?;
    result
}

/// Interfaces to join groups on: names of all lengths, and one that the rows escape.
fn add_interfaces() -> Result<Vec<(String, u32)>> {
    let mut interfaces = vec![("lo".to_owned(), if_nametoindex("lo")?)];
    for (name, shown) in [("knet-and-more-1", "knet-and-more-1"), ("a+b", "a\\x2bb")] {
        for arguments in [
            &["link", "add", "name", name, "type", "dummy"][..],
            &["link", "set", name, "up", "multicast", "on"],
        ] {
            let output = Command::new("ip").args(arguments).output()?;
            ensure!(output.status.success(), "ip {arguments:?}: {output:?}");
        }
        interfaces.push((shown.to_owned(), if_nametoindex(name)?));
    }
    Ok(interfaces)
}

fn join4(socket: &Socket, group: Ipv4Addr, interface: u32) -> Result<()> {
    // struct ip_mreqn
    let request = [&group.octets()[..], &[0; 4], &interface.to_ne_bytes()].concat();
    Ok(set_bytes(socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request)?)
}

fn join6(socket: &Socket, group: Ipv6Addr, interface: u32) -> Result<()> {
    // struct ipv6_mreq
    let request = [&group.octets()[..], &interface.to_ne_bytes()].concat();
    Ok(set_bytes(
        socket,
        IPPROTO_IPV6,
        IPV6_ADD_MEMBERSHIP,
        &request,
    )?)
}

/// The groups that a row lists, and the number that it leaves out.
fn groups<'r>(row: &'r Row, option: &str) -> Result<(Vec<&'r str>, usize)> {
    let value = row.option(option).with_context(|| format!("no {option}"))?;
    let mut groups: Vec<&str> = value.split('+').collect();
    let more = match groups.last().and_then(|last| last.strip_prefix("more:")) {
        None => 0,
        Some(more) => {
            let more = more.parse()?;
            groups.pop();
            more
        }
    };
    Ok((groups, more))
}

/// One socket of each family that joins more and more groups.
fn up_to_1024_and_beyond() -> Result<()> {
    if fs::exists(OPTMEM)? {
        fs::write(OPTMEM, "4000000")?;
    }
    fs::write("/proc/sys/net/ipv4/igmp_max_memberships", "100000")?;
    let interfaces = add_interfaces()?;
    let socket = Plan::V6.udp()?;
    // An IPv6 socket in groups of IPv4 as well has the longest row of all.
    let (mut joined4, mut joined6) = (Vec::new(), Vec::new());
    for count in [1, 63, 64, 65, LISTED - 1, LISTED, LISTED + 1, 1500] {
        while joined6.len() < count {
            let n = joined6.len() as u32;
            let (name, index) = &interfaces[n as usize % interfaces.len()];
            let group = Ipv4Addr::from(0xe900_0000 | n);
            join4(&socket, group, *index).with_context(|| format!("joining {group}"))?;
            joined4.push(format!("{group}%{name}"));
            let group = Ipv6Addr::from((0xff15 << 112) | 0xffff_ffff_ffff_0000 | u128::from(n));
            join6(&socket, group, *index).with_context(|| format!("joining {group}"))?;
            joined6.push(format!("{group}%{name}"));
        }
        let row = row(File::Udp6, &socket)?;
        for (option, joined) in [
            ("IP_ADD_MEMBERSHIP", &joined4),
            ("IPV6_ADD_MEMBERSHIP", &joined6),
        ] {
            let (shown, more) = groups(&row, option)?;
            ensure!(
                shown.len() == count.min(LISTED) && more == count - shown.len(),
                "{option} with {count} groups: {} and {more} more",
                shown.len()
            );
            // The newest ones come first, as the kernel keeps them.
            ensure!(
                shown.iter().eq(joined.iter().rev().take(LISTED)),
                "{option} with {count} groups: others than were joined"
            );
        }
    }
    // The kernel has the groups that setsockopt(2) accepted.
    let known: BTreeSet<String> = fs::read_to_string("/proc/thread-self/net/igmp6")?
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(2).map(str::to_owned))
        .filter(|group| group.starts_with("ff15"))
        .collect();
    ensure!(known.len() == joined6.len(), "{} groups", known.len());
    Ok(())
}

/// Sockets with so many groups that few fit into a window, and that a round ends by bytes.
fn of_many_sockets() -> Result<()> {
    if fs::exists(OPTMEM)? {
        fs::write(OPTMEM, "4000000")?;
    }
    let interfaces = add_interfaces()?;
    let sockets = udp6_crowd(20)?;
    let mut expected = Vec::new();
    for (number, socket) in sockets.iter().enumerate() {
        let mut joined = Vec::new();
        for n in 0..300 + number {
            let (name, index) = &interfaces[n % interfaces.len()];
            let group = Ipv6Addr::from((0xff15 << 112) | n as u128 | (1 << 64));
            join6(socket, group, *index)?;
            joined.insert(0, format!("{group}%{name}"));
        }
        expected.push(joined);
    }
    for size in [1000, 4096, 1 << 20] {
        let text = read_in_pieces(fs::File::open(File::Udp6.path())?, size)?;
        let rows = File::Udp6.parse(&text)?;
        ensure!(rows.len() == sockets.len(), "{} rows", rows.len());
        for (socket, joined) in sockets.iter().zip(&expected) {
            let ino = ino(socket)?;
            let row = rows
                .iter()
                .find(|row| row.ino() == ino)
                .context("a row is missing")?;
            let (shown, more) = groups(row, "IPV6_ADD_MEMBERSHIP")?;
            ensure!(more == 0 && shown == *joined, "{row:?}");
        }
    }
    Ok(())
}
