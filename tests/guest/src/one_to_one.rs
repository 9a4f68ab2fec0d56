// SPDX-License-Identifier: GPL-2.0

//! The rows of our files and those of `/proc/net/{tcp,tcp6,udp,udp6}` are the same, in the same
//! order.

use crate::grammar;
use crate::guest::{guest, wait_for};
use crate::harness::Case;
use crate::netns::{in_fresh, with_beside};
use crate::reference;
use crate::reference::compare;
use crate::rows::{address, File, Row};
use crate::sockets::{free_udp_port, ino, local, row, set_int, Plan};
use crate::states::{every_tcp_state, Expected, Kind};
use anyhow::{ensure, Context, Result};
use nix::unistd::{setfsuid, Uid};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for plan in Plan::ALL {
        cases.push(Case::new(
            format!("one_to_one::tcp_in_every_state_{}", plan.name()),
            move || in_fresh(|| tcp_in_every_state(plan)),
        ));
        cases.push(Case::new(
            format!("one_to_one::udp_{}", plan.name()),
            move || in_fresh(|| udp(plan)),
        ));
    }
    cases.push(Case::new("one_to_one::mixed_families", || {
        in_fresh(mixed_families)
    }));
    cases.push(Case::new("one_to_one::family_changes", || {
        in_fresh(family_changes)
    }));
    cases.push(Case::new("one_to_one::owners", || in_fresh(owners)));
    cases.push(Case::new("one_to_one::reuseport_groups", || {
        in_fresh(reuseport_groups)
    }));
    cases.push(Case::new("one_to_one::ss_agrees", || in_fresh(ss_agrees)));
    cases.push(Case::new("one_to_one::empty_namespace", || {
        in_fresh(empty_namespace)
    }));
    cases
}

fn find(rows: &[Row], expected: &Expected) -> Result<()> {
    let mut found = rows
        .iter()
        .filter(|row| row.local == expected.local && row.foreign == expected.foreign);
    let row = found
        .next()
        .with_context(|| format!("no row for {expected:?}"))?;
    ensure!(found.next().is_none(), "two rows for {expected:?}");
    let kind = match (&row.options, row.ino()) {
        (None, _) => Kind::Mini,
        (Some(_), 0) => Kind::Orphan,
        (Some(_), ino) => Kind::Open(ino),
    };
    ensure!(
        row.state == expected.state && kind == expected.kind,
        "{expected:?} is shown as {row:?}"
    );
    if kind == Kind::Mini {
        ensure!(
            row.diag.is_empty() && row.recvq == 0 && row.sendq == 0,
            "a minisock with {row:?}"
        );
    }
    Ok(())
}

fn tcp_in_every_state(plan: Plan) -> Result<()> {
    let scene = every_tcp_state(plan)?;
    let rows = compare(plan.file(true))?;
    for expected in &scene.expected {
        find(&rows, expected)?;
    }
    for hidden in &scene.hidden {
        ensure!(
            rows.iter().all(|row| &row.local != hidden),
            "{hidden} is closed, and yet listed"
        );
    }
    for state in [
        "ESTB", "SYNS", "SYNR", "FNW1", "FNW2", "TIMW", "CLSW", "LACK", "LSTN", "CLSG",
    ] {
        ensure!(
            scene.expected.iter().any(|row| row.state == state),
            "the test makes no {state}"
        );
    }
    // Clients of connections that came and went may leave a TIME_WAIT; nothing else is there.
    ensure!(
        rows.len() == scene.expected.len(),
        "{} rows for {} sockets",
        rows.len(),
        scene.expected.len()
    );
    for other in File::ALL {
        if other != plan.file(true) {
            ensure!(compare(other)?.is_empty(), "{} is not empty", other.name());
        }
    }
    Ok(())
}

fn udp(plan: Plan) -> Result<()> {
    let file = plan.file(false);
    let mut held = Vec::new();
    let mut expect = Vec::new();
    let mut hold = |socket: Socket, local: SocketAddr, foreign: SocketAddr| -> Result<()> {
        expect.push((address(&local), address(&foreign), ino(&socket)?));
        held.push(socket);
        Ok(())
    };

    let bound = plan.udp()?;
    let bound_addr = local(&bound)?;

    // Unconnected, at an address and at the wildcard.
    let wildcard = Socket::new(plan.domain(), Type::DGRAM, None)?;
    wildcard.bind(&plan.wildcard(0).into())?;
    let addr = local(&wildcard)?;
    hold(wildcard, addr, plan.wildcard(0))?;

    // Connected, with and without bind.
    for bind in [true, false] {
        let connected = Socket::new(plan.domain(), Type::DGRAM, None)?;
        if bind {
            connected.bind(&plan.addr(0).into())?;
        }
        connected.connect(&SockAddr::from(bound_addr))?;
        let addr = local(&connected)?;
        hold(connected, addr, bound_addr)?;
    }

    // Connected, and no more: the port stays if the process chose it.
    let port = free_udp_port(plan)?;
    let fickle = Socket::new(plan.domain(), Type::DGRAM, None)?;
    fickle.bind(&plan.addr(port).into())?;
    let addr = local(&fickle)?;
    fickle.connect(&SockAddr::from(bound_addr))?;
    disconnect(&fickle)?;
    // The kernel forgets the peer's port, and of addresses only IPv4 ones.
    let foreign = match plan {
        Plan::V4 => plan.wildcard(0),
        _ => plan.addr(0),
    };
    hold(fickle, addr, foreign)?;

    // Datagrams that wait to be read.
    let sender = plan.udp()?;
    let sender_addr = local(&sender)?;
    for size in [1, 100, 1000] {
        sender.send_to(&vec![b'x'; size], &SockAddr::from(bound_addr))?;
    }
    // sendto(2) leaves delivery on loopback to ksoftirqd where that already runs.
    let bound_ino = ino(&bound)?;
    wait_for("datagrams", 10, || {
        let entries = reference::entries(file)?;
        let recvq = entries
            .iter()
            .find(|entry| entry.ino == bound_ino)
            .map(|entry| entry.recvq);
        Ok(match recvq {
            Some(1102..) => Ok(()),
            _ => Err(format!("Recv-Q in {} is {recvq:?}", file.reference())),
        })
    })?;
    // Datagrams that found no room.
    let full = plan.udp()?;
    let full_addr = local(&full)?;
    full.set_recv_buffer_size(1)?;
    for _ in 0..100 {
        sender.send_to(&[b'x'; 1000], &SockAddr::from(full_addr))?;
    }
    let full_ino = ino(&full)?;
    let drops = || -> Result<u32> {
        let entries = reference::entries(file)?;
        let entry = entries.iter().find(|entry| entry.ino == full_ino);
        Ok(entry.context("no entry")?.drops)
    };
    wait_for("drops", 10, || {
        Ok(match drops()? {
            50.. => Ok(()),
            n => Err(format!("{n} drops in {}", file.reference())),
        })
    })?;
    hold(full, full_addr, plan.wildcard(0))?;
    hold(sender, sender_addr, plan.wildcard(0))?;

    // Data that waits to be sent.
    let corked = plan.udp()?;
    corked.connect(&SockAddr::from(bound_addr))?;
    set_int(&corked, libc::SOL_UDP, libc::UDP_CORK, 1)?;
    corked.send(&[b'x'; 500])?;
    let corked_addr = local(&corked)?;
    let corked_ino = ino(&corked)?;
    hold(corked, corked_addr, bound_addr)?;

    // A socket without a port is in no table.
    let unbound = Socket::new(plan.domain(), Type::DGRAM, None)?;
    let unbound_ino = ino(&unbound)?;

    hold(bound, bound_addr, plan.wildcard(0))?;

    let rows = compare(file)?;
    ensure!(rows.len() == expect.len(), "{} rows", rows.len());
    for (local, foreign, ino) in &expect {
        let row = rows
            .iter()
            .find(|row| row.ino() == *ino)
            .with_context(|| format!("no row for {local} {foreign}"))?;
        ensure!(
            &row.local == local && &row.foreign == foreign,
            "{local} {foreign} is shown as {row:?}"
        );
    }
    let by_ino = |ino| rows.iter().find(|row| row.ino() == ino);
    ensure!(by_ino(unbound_ino).is_none(), "an unbound socket is listed");
    ensure!(
        by_ino(bound_ino).is_some_and(|row| row.recvq > 1101),
        "no Recv-Q"
    );
    ensure!(
        by_ino(corked_ino).is_some_and(|row| row.sendq > 500),
        "no Send-Q"
    );

    // Reading empties the queue, and /proc/net/udp subtracts what the socket has not given back: that
    // is so while there are more in the batch that the reader took.
    let bound = held.last().context("no socket")?;
    bound.recv(&mut [MaybeUninit::uninit(); 10])?;
    compare(file)?;
    for _ in 0..2 {
        bound.recv(&mut [MaybeUninit::uninit(); 10])?;
    }
    let rows = compare(file)?;
    ensure!(
        rows.iter()
            .any(|row| row.ino() == bound_ino && row.recvq == 0),
        "Recv-Q stays"
    );
    Ok(())
}

/// connect(2) with AF_UNSPEC.
fn disconnect(socket: &Socket) -> Result<()> {
    // SAFETY: All-zero bytes are a valid `struct sockaddr`, with the family AF_UNSPEC.
    let unspec: libc::sockaddr = unsafe { std::mem::zeroed() };
    // SAFETY: `unspec` outlives the call, and is as long as said.
    let ret = unsafe {
        libc::connect(
            socket.as_raw_fd(),
            &unspec,
            size_of::<libc::sockaddr>() as libc::socklen_t,
        )
    };
    ensure!(
        ret == 0,
        "connect(AF_UNSPEC): {}",
        std::io::Error::last_os_error()
    );
    Ok(())
}

/// Dual-stack listeners, IPv4 clients of them, and many different addresses.
fn mixed_families() -> Result<()> {
    let mut held = Vec::new();
    let dual = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    dual.set_only_v6(false)?;
    dual.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
    dual.listen(64)?;
    let port = local(&dual)?.port();
    let mut remotes = Vec::new();
    for last in [1, 2, 77, 255] {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        client.bind(&SocketAddr::from((Ipv4Addr::new(127, 9, 200, last), 0)).into())?;
        client.connect(&SocketAddr::from((Ipv4Addr::new(127, 255, 255, 254), port)).into())?;
        remotes.push(local(&client)?);
        held.push(client);
        held.push(dual.accept()?.0);
    }
    // A request from an IPv4 client at an IPv6 listener.
    let deferring = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    deferring.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
    set_int(&deferring, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 30)?;
    deferring.listen(64)?;
    let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    client.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, local(&deferring)?.port())).into())?;
    let request = (local(&deferring)?.port(), local(&client)?.port());
    held.push(client);
    held.push(deferring);
    for _ in 0..2 {
        let udp = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
        udp.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
        udp.connect(&SocketAddr::from((Ipv4Addr::new(127, 1, 2, 3).to_ipv6_mapped(), 53)).into())?;
        held.push(udp);
    }

    compare(File::Tcp)?;
    compare(File::Udp)?;
    let rows = compare(File::Tcp6)?;
    for remote in remotes {
        let foreign = format!("::ffff:{remote}");
        ensure!(
            rows.iter().any(|row| row.foreign == foreign
                && row.local == format!("::ffff:127.255.255.254:{port}")),
            "no row to {foreign}"
        );
    }
    ensure!(
        rows.iter().any(|row| row.state == "SYNR"
            && row.local == format!("::ffff:127.0.0.1:{}", request.0)
            && row.foreign == format!("::ffff:127.0.0.1:{}", request.1)),
        "no row for the request"
    );
    let rows = compare(File::Udp6)?;
    ensure!(
        rows.iter().all(|row| row.foreign == "::ffff:127.1.2.3:53"),
        "wrong UDP rows"
    );
    drop(held);
    Ok(())
}

/// IPV6_ADDRFORM turns IPv6 sockets into IPv4 sockets while they are read: no row mixes the two
/// families, and in the end the rows are those of the kernel's files.
fn family_changes() -> Result<()> {
    const IPV6_ADDRFORM: i32 = 1;
    let become_v4 = |socket: &Socket| -> Result<()> {
        set_int(socket, libc::IPPROTO_IPV6, IPV6_ADDRFORM, libc::AF_INET).context("IPV6_ADDRFORM")
    };
    let read_until_over = |is_over: &AtomicBool| -> Result<usize> {
        let mut rows = 0;
        while !is_over.load(Ordering::Relaxed) {
            for file in [File::Tcp6, File::Tcp, File::Udp6, File::Udp] {
                rows += grammar::check_piece(file, &fs::read(file.path())?, true, true)?;
            }
        }
        Ok(rows)
    };
    let change = || -> Result<()> {
        let mut held = Vec::new();
        for round in 0..guest().scale(400, 100, 100) {
            let pair = Plan::Mapped.pair()?;
            let udp = Plan::Mapped.udp()?;
            udp.connect(&Plan::Mapped.addr(9).into())?;
            for socket in [&pair.client, &pair.server, &udp] {
                set_int(socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, 0x20)?;
                set_int(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
            }
            for socket in [&pair.client, &pair.server, &udp] {
                become_v4(socket)?;
            }
            if round % 8 == 0 {
                held.push((pair, udp));
            }
        }
        for (pair, udp) in &held {
            for (file, socket) in [
                (File::Tcp, &pair.client),
                (File::Tcp, &pair.server),
                (File::Udp, udp),
            ] {
                row(file, socket)?;
            }
        }
        for file in [File::Tcp6, File::Tcp, File::Udp6, File::Udp] {
            compare(file)?;
        }
        Ok(())
    };
    let rows = with_beside(read_until_over, change)?;
    ensure!(rows > 0, "the reader has seen no row");
    Ok(())
}

/// Sockets of several users: the uid in a row is that of fstat(2).
fn owners() -> Result<()> {
    let mut held = Vec::new();
    for uid in [0, 1, 1000, 65534, 4_000_000_000] {
        // Only the calling thread changes, and a socket belongs to its creator's fsuid.
        setfsuid(Uid::from_raw(uid));
        for plan in [Plan::V4, Plan::V6] {
            held.push((plan.file(true), plan.listener(4)?));
            held.push((plan.file(false), plan.udp()?));
        }
        setfsuid(Uid::from_raw(0));
    }
    // A socket may be given away.
    let given = Plan::V4.listener(4)?;
    nix::unistd::fchown(&given, Some(Uid::from_raw(4711)), None)?;
    held.push((File::Tcp, given));

    let mut seen = std::collections::BTreeSet::new();
    for (file, socket) in &held {
        compare(*file)?;
        let stat = crate::sockets::stat(socket)?;
        let row = row(*file, socket)?;
        ensure!(
            row.number("uid") == Some(stat.st_uid.into()),
            "uid {} is shown as {row:?}",
            stat.st_uid
        );
        seen.insert(stat.st_uid);
    }
    ensure!(seen.len() == 6, "only the users {seen:?}");
    Ok(())
}

fn reuseport_groups() -> Result<()> {
    let mut held = Vec::new();
    for plan in [Plan::V4, Plan::V6] {
        for ty in [Type::STREAM, Type::DGRAM] {
            let mut port = 0;
            for wildcard in [true, false] {
                for _ in 0..20 {
                    let socket = Socket::new(plan.domain(), ty, None)?;
                    socket.set_reuse_port(true)?;
                    if plan == Plan::V6 {
                        socket.set_only_v6(true)?;
                    }
                    let addr = match wildcard {
                        true => plan.wildcard(port),
                        false => plan.addr(port),
                    };
                    socket.bind(&addr.into())?;
                    port = local(&socket)?.port();
                    if ty == Type::STREAM {
                        socket.listen(8)?;
                    }
                    held.push(socket);
                }
            }
        }
    }
    for file in File::ALL {
        let rows = compare(file)?;
        ensure!(rows.len() == 40, "{} rows in {}", rows.len(), file.name());
        ensure!(
            rows.iter()
                .all(|row| row.option("SO_REUSEPORT") == Some("1")),
            "{} shows no SO_REUSEPORT",
            file.name()
        );
    }
    Ok(())
}

/// Our files list the same sockets as `ss`, which uses netlink.
fn ss_agrees() -> Result<()> {
    let _scenes = [
        every_tcp_state(Plan::V4)?,
        every_tcp_state(Plan::V6)?,
        every_tcp_state(Plan::Mapped)?,
        every_tcp_state(Plan::LinkLocal)?,
    ];
    let _udp = [Plan::V4.udp()?, Plan::V6.udp()?, Plan::LinkLocal.udp()?];
    for file in File::ALL {
        wait_for("ss and our file to agree", 10, || {
            let mut theirs = reference::ss(file)?;
            // ss finds TCP sockets that are bound and no more, in the table of bound ports.
            theirs.retain(|line| line.state != "CLSD");
            let mut ours: Vec<_> = file
                .read()?
                .into_iter()
                .map(|row| reference::SsLine {
                    // ss shows a listener's backlog as its Send-Q.
                    sendq: row.number("backlog").unwrap_or(row.sendq.into()) as u32,
                    state: row.state,
                    recvq: row.recvq,
                    local: row.local,
                    foreign: row.foreign,
                })
                .collect();
            theirs.sort();
            ours.sort();
            let odd = ours
                .iter()
                .zip(&theirs)
                .find(|(ours, theirs)| ours != theirs);
            Ok(if ours == theirs && !ours.is_empty() {
                Ok(())
            } else {
                Err(format!(
                    "{} rows in {}, {} from ss, first difference {odd:?}",
                    ours.len(),
                    file.name(),
                    theirs.len()
                ))
            })
        })?;
    }
    Ok(())
}

/// A namespace without sockets: its files have the header, and nothing else.
fn empty_namespace() -> Result<()> {
    for file in File::ALL {
        let text = std::fs::read_to_string(file.path())?;
        ensure!(
            text == format!("{}\n", file.header()),
            "{} says {text:?}",
            file.name()
        );
    }
    Ok(())
}
