// SPDX-License-Identifier: GPL-2.0

//! Options that change by other means than their own setsockopt(2): other options, sysctls,
//! listen(2) and close(2).
//!
//! The expected rows come from `options`.

use crate::features::Feature;
use crate::guest::guest;
use crate::harness::{skip, Case};
use crate::netns::in_fresh;
use crate::options::{classic_program, named, set_bytes, Fresh, Role, Subject, PLANS};
use crate::reference::{compare, wait_reference};
use crate::rows::{address, File};
use crate::sockets::{
    connect_later, deafen_to_acks, get, local, peer, row, set_int, state, wait_state, Plan,
};
use anyhow::{anyhow, ensure, Context, Result};
use libc::{
    c_int, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF,
    TCP_CONGESTION,
};
use socket2::{Domain, SockAddr, Socket, Type};
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

/// Congestion control algorithms that each guest has.
const ALGORITHMS: [&str; 2] = ["reno", "cubic"];

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("by_other_means::other_options", || in_fresh(other_options)),
        Case::new("by_other_means::buffers_beyond_the_limit", || {
            in_fresh(forced_buffers)
        }),
        Case::new("by_other_means::buffers_unlocked", || {
            in_fresh(unlocked_buffers)
        }),
        Case::new("by_other_means::keepalive_sysctls", || {
            in_fresh(keepalive_sysctls)
        }),
        Case::new("by_other_means::backlog", || in_fresh(backlog)),
        Case::new("by_other_means::of_orphans", || in_fresh(orphans)),
        Case::new("by_other_means::connected_before_it_listens", || {
            in_fresh(connected_before_it_listens)
        }),
        Case::new("by_other_means::in_syn_recv", || in_fresh(in_syn_recv)),
        Case::new("by_other_means::replaced_while_read", || {
            in_fresh(replaced_while_read)
        }),
    ]
}

/// Options that change the value of another option.
fn other_options() -> Result<()> {
    const SO_BINDTOIFINDEX: c_int = 62;
    const SO_RCVTIMEO_NEW: c_int = 66;
    const SO_TIMESTAMPING_NEW: c_int = 65;
    const MCAST_JOIN_GROUP: c_int = 42;
    const MCAST_JOIN_SOURCE_GROUP: c_int = 46;
    let time = [2_i64.to_ne_bytes(), 0_i64.to_ne_bytes()].concat();
    for plan in PLANS {
        for role in Role::ALL {
            let subject = Subject::new(plan, role)?;
            let shows = |name: &str, value: &str| -> Result<()> {
                let row = row(subject.file, &subject.socket)?;
                ensure!(
                    row.option(name) == Some(value),
                    "no {name}={value}: {row:?}"
                );
                Ok(())
            };
            set_bytes(
                &subject.socket,
                SOL_SOCKET,
                SO_BINDTOIFINDEX,
                &1_i32.to_ne_bytes(),
            )?;
            shows("SO_BINDTODEVICE", "lo")?;
            set_bytes(&subject.socket, SOL_SOCKET, SO_RCVTIMEO_NEW, &time)?;
            shows("SO_RCVTIMEO", "2000ms")?;
            set_bytes(
                &subject.socket,
                SOL_SOCKET,
                SO_TIMESTAMPING_NEW,
                &8_i32.to_ne_bytes(),
            )?;
            shows("SO_TIMESTAMPING", "RX_SOFTWARE")?;
            // TCP sockets cannot join by IP_ADD_MEMBERSHIP, but in these ways.
            let (level, name, group) = match plan {
                Plan::V4 => (
                    IPPROTO_IP,
                    "IP_ADD_MEMBERSHIP",
                    SockAddr::from(std::net::SocketAddr::from(([232, 1, 2, 3], 0))),
                ),
                _ => (
                    IPPROTO_IPV6,
                    "IPV6_ADD_MEMBERSHIP",
                    SockAddr::from(std::net::SocketAddr::from((
                        Ipv6Addr::new(0xff32, 0, 0, 0, 0, 0, 0, 9),
                        0,
                    ))),
                ),
            };
            let text = match plan {
                Plan::V4 => "232.1.2.3%lo",
                _ => "ff32::9%lo",
            };
            // `struct group_req`: an index, padding, an address.
            let address = |addr: &SockAddr| {
                let mut bytes = vec![0; 128];
                // SAFETY: `addr` has as many bytes as it says.
                let from = unsafe {
                    std::slice::from_raw_parts(addr.as_ptr().cast::<u8>(), addr.len() as usize)
                };
                bytes[..from.len()].copy_from_slice(from);
                bytes
            };
            let mut request = vec![1, 0, 0, 0, 0, 0, 0, 0];
            request.extend(address(&group));
            set_bytes(&subject.socket, level, MCAST_JOIN_GROUP, &request)?;
            shows(name, text)?;
            // Of one source only.
            let other = Subject::new(plan, role)?;
            let source = SockAddr::from(plan.addr(0));
            request.extend(address(&source));
            set_bytes(&other.socket, level, MCAST_JOIN_SOURCE_GROUP, &request)?;
            let row = row(other.file, &other.socket)?;
            ensure!(row.option(name) == Some(text), "no {name}={text}: {row:?}");
        }
    }
    Ok(())
}

/// SO_RCVBUFFORCE and SO_SNDBUFFORCE may exceed the limits: up to INT_MAX.
fn forced_buffers() -> Result<()> {
    let fresh = Fresh::ask()?;
    for plan in PLANS {
        for role in Role::ALL {
            for (force, name) in [
                (libc::SO_RCVBUFFORCE, "SO_RCVBUF"),
                (libc::SO_SNDBUFFORCE, "SO_SNDBUF"),
            ] {
                let mut subject = Subject::new(plan, role)?;
                for value in [1_000_003, c_int::MAX / 2, c_int::MAX] {
                    set_int(&subject.socket, SOL_SOCKET, force, value)?;
                    subject.assume(name, true);
                    subject.must_agree(&fresh)?;
                }
            }
        }
    }
    Ok(())
}

/// SO_BUF_LOCK reports whether the process set a size, and clears that.
fn unlocked_buffers() -> Result<()> {
    const SO_BUF_LOCK: c_int = 72;
    const SNDBUF: c_int = 1;
    const RCVBUF: c_int = 2;
    let fresh = Fresh::ask()?;
    for plan in PLANS {
        for role in Role::ALL {
            let mut subject = Subject::new(plan, role)?;
            for locks in [SNDBUF, RCVBUF, SNDBUF | RCVBUF, 0] {
                let set = set_int(&subject.socket, SOL_SOCKET, SO_BUF_LOCK, locks);
                if let Err(err) = set {
                    return skip(
                        Feature::Option("SO_BUF_LOCK"),
                        format!("SO_BUF_LOCK: {err}"),
                    );
                }
                let locks = get(&subject.socket, SOL_SOCKET, SO_BUF_LOCK, -1)?;
                subject.assume("SO_SNDBUF", locks & SNDBUF != 0);
                subject.assume("SO_RCVBUF", locks & RCVBUF != 0);
                subject
                    .must_agree(&fresh)
                    .with_context(|| format!("SO_BUF_LOCK={locks}"))?;
            }
        }
    }
    Ok(())
}

/// A value that comes from a sysctl does not count as set by the process.
fn keepalive_sysctls() -> Result<()> {
    for (name, value) in [("time", "1234"), ("intvl", "12"), ("probes", "3")] {
        fs::write(format!("/proc/sys/net/ipv4/tcp_keepalive_{name}"), value)?;
    }
    let fresh = Fresh::ask()?;
    for plan in PLANS {
        let mut subject = Subject::new(plan, Role::Client)?;
        subject.must_agree(&fresh)?;
        // Set to what the sysctl says already: it is set nonetheless.
        for (name, value) in [
            ("TCP_KEEPIDLE", 1234),
            ("TCP_KEEPINTVL", 12),
            ("TCP_KEEPCNT", 3),
        ] {
            let opt = named(name);
            set_int(&subject.socket, opt.level, opt.option, value)?;
            subject.assume(name, true);
            subject.must_agree(&fresh)?;
        }
    }
    Ok(())
}

/// The backlog is the argument of listen(2), limited by somaxconn. Another listen(2) changes it.
fn backlog() -> Result<()> {
    let most: c_int = fs::read_to_string("/proc/sys/net/core/somaxconn")?
        .trim()
        .parse()?;
    let fresh = Fresh::ask()?;
    for plan in Plan::ALL {
        let mut subject = Subject::new(plan, Role::Listener)?;
        for (given, shown) in [
            (0, 0),
            (1, 1),
            (128, 128),
            (most, most),
            (c_int::MAX, most),
            (-1, most),
        ] {
            subject.socket.listen(given)?;
            subject.backlog = shown;
            subject
                .must_agree(&fresh)
                .with_context(|| format!("listen({given})"))?;
        }
    }
    Ok(())
}

/// A socket that is closed while it has data to deliver keeps its options.
fn orphans() -> Result<()> {
    for plan in PLANS {
        let mut subject = Subject::new(plan, Role::Client)?;
        subject.socket.set_tcp_nodelay(true)?;
        subject.socket.set_keepalive(true)?;
        let server = subject.others.first().context("no server")?;
        crate::sockets::deafen(server)?;
        let (addr, to) = (local(&subject.socket)?, peer(&subject.socket)?);
        let (file, others) = (subject.file, std::mem::take(&mut subject.others));
        drop(subject);
        // A command that another test starts just now may still have a copy of the descriptor.
        wait_reference(file, addr, to, "FNW1")?;
        let addr = address(&addr);
        let rows = compare(file)?;
        let row = rows
            .iter()
            .find(|row| row.local == addr)
            .context("no row for the orphan")?;
        ensure!(
            row.state == "FNW1"
                && row.option("TCP_NODELAY") == Some("1")
                && row.option("SO_KEEPALIVE") == Some("1")
                && row.option("ino") == Some("0"),
            "an orphan is shown as {row:?}"
        );
        drop(others);
    }
    Ok(())
}

/// While a socket is connected, the kernel notes the CPU that packets come from in the field of
/// SO_INCOMING_CPU. The field keeps the number when the socket listens later.
fn connected_before_it_listens() -> Result<()> {
    for plan in PLANS {
        let socket = plan.tcp()?;
        let unused = plan.tcp()?;
        unused.bind(&plan.addr(0).into())?;
        let refused = socket.connect(&unused.local_addr()?);
        ensure!(refused.is_err(), "nobody listens, but {refused:?}");
        socket.bind(&plan.addr(0).into())?;
        socket.listen(1)?;
        let row = row(plan.file(true), &socket)?;
        ensure!(row.option("SO_INCOMING_CPU").is_none(), "{row:?}");
        ensure!(row.option("backlog") == Some("1"), "{row:?}");
    }
    Ok(())
}

/// A process has a socket in SYN_RECV, after a simultaneous open. The kernel also makes sockets in this state, for
/// connections that have arrived; their options of IPv6 may still be those of the listener.
fn in_syn_recv() -> Result<()> {
    for plan in [Plan::V6, Plan::Mapped] {
        let socket = plan.tcp()?;
        socket.bind(&plan.addr(0).into())?;
        for name in ["IPV6_UNICAST_HOPS", "IPV6_RECVTCLASS"] {
            let opt = named(name);
            set_int(&socket, opt.level, opt.option, 1)?;
        }
        deafen_to_acks(&socket)?;
        connect_later(&socket, local(&socket)?)?;
        wait_state(&socket, state::SYN_RECV)?;
        let row = row(plan.file(true), &socket)?;
        ensure!(row.state == "SYNR", "{row:?}");
        for name in ["IPV6_UNICAST_HOPS", "IPV6_RECVTCLASS"] {
            let opt = named(name);
            let value = get(&socket, opt.level, opt.option, -1)?;
            ensure!(
                row.option(name) == Some(value.to_string().as_str()),
                "{name} is {value}: {row:?}"
            );
        }
    }
    Ok(())
}

/// Programs and algorithms are replaced while their sockets are listed, and kernels such as 6.1 free
/// some of them without waiting for readers. Each row shows what its socket had.
fn replaced_while_read() -> Result<()> {
    let group = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    group.set_reuse_port(true)?;
    group.bind(&Plan::V4.addr(0).into())?;
    let listener = Plan::V4.listener(1)?;
    let program = classic_program(0);
    let replace = || -> Result<()> {
        set_bytes(&group, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program)?;
        for algorithm in ALGORITHMS {
            set_bytes(&listener, IPPROTO_TCP, TCP_CONGESTION, algorithm.as_bytes())?;
        }
        Ok(())
    };
    replace()?;
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let replaced = scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                replace()?;
            }
            Ok(())
        });
        let read = (0..guest().scale(5000, 1000, 1000)).try_for_each(|_| {
            let of_group = row(File::Udp, &group)?;
            let program = of_group.option("SO_ATTACH_REUSEPORT_CBPF");
            ensure!(program == Some("1"), "{of_group:?}");
            let of_listener = row(File::Tcp, &listener)?;
            let algorithm = of_listener.option("TCP_CONGESTION");
            ensure!(
                algorithm.is_some_and(|name| ALGORITHMS.contains(&name)),
                "{of_listener:?}"
            );
            Ok(())
        });
        is_done.store(true, Ordering::Relaxed);
        replaced
            .join()
            .map_err(|_| anyhow!("the thread panicked"))?
            .and(read)
    })
}
