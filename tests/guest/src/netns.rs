// SPDX-License-Identifier: GPL-2.0

//! Network namespaces. Every test has its own, so that it knows every row in it.

use crate::guest::wait_for;
use crate::reference;
use crate::rows::File;
use anyhow::{anyhow, Context, Result};
use nix::sched::{setns, unshare, CloneFlags};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io, thread};

/// The interface index of `lo`, the same in every namespace.
pub const LO: u32 = 1;

/// The link-local address that [`enter_fresh`] gives to `lo`.
pub const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x17);

/// `struct in6_ifreq` of `linux/ipv6.h`.
#[repr(C)]
struct In6Ifreq {
    addr: libc::in6_addr,
    prefixlen: u32,
    ifindex: libc::c_int,
}

/// Runs `f` in a new thread, in a new network namespace. Threads and processes that `f` starts
/// inherit the namespace.
pub fn in_fresh<T: Send>(f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    in_namespace_of(None, || {
        enter_fresh()?;
        f()
    })
}

/// Runs `f` in a new thread, in this network namespace. `None`: in that of the calling thread.
pub fn in_namespace_of<T: Send>(
    namespace: Option<&fs::File>,
    f: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    thread::scope(|scope| {
        scope
            .spawn(|| {
                if let Some(namespace) = namespace {
                    setns(namespace, CloneFlags::CLONE_NEWNET).context("setns")?;
                }
                f()
            })
            .join()
            .map_err(|panic| anyhow!("panicked: {}", panic_text(&*panic)))?
    })
}

/// Moves the calling thread to a new network namespace, and sets its `lo` up.
pub fn enter_fresh() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("unshare(CLONE_NEWNET)")?;
    set_lo_up()
}

/// Sets `lo` up and adds [`LINK_LOCAL`] to it.
pub fn set_lo_up() -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // SAFETY: All-zero bytes are a valid `struct ifreq`.
    let mut ifreq: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in ifreq.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    ifreq.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads a `struct ifreq`, which outlives the call.
    let ret = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const ifreq) };
    check(ret).context("SIOCSIFFLAGS on lo")?;

    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
    let ifreq = In6Ifreq {
        addr: libc::in6_addr {
            s6_addr: LINK_LOCAL.octets(),
        },
        prefixlen: 64,
        ifindex: LO as libc::c_int,
    };
    // SAFETY: SIOCSIFADDR on an IPv6 socket reads a `struct in6_ifreq`, which outlives the call.
    let ret = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR, &raw const ifreq) };
    check(ret).context("SIOCSIFADDR on lo")?;

    // The kernel takes a moment to let it be used.
    let addr = SocketAddrV6::new(LINK_LOCAL, 0, 0, LO).into();
    wait_for("the link-local address", 5, || {
        Ok(socket.bind(&addr).map_err(|err| err.to_string()))
    })?;

    // A program that another test starts at this moment has the socket until exec(2).
    drop(socket);
    wait_for("the socket to be gone", 5, || {
        let left = reference::entries(File::Udp6)?;
        Ok(
            if left
                .iter()
                .all(|entry| !entry.local.starts_with("fe80::17:"))
            {
                Ok(())
            } else {
                Err(format!("{left:?}"))
            },
        )
    })
}

fn check(ret: libc::c_int) -> io::Result<()> {
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Runs `work`. Meanwhile, a thread in the same network namespace runs `beside`, which ends when its
/// argument is true.
pub fn with_beside<T: Send>(
    beside: impl FnOnce(&AtomicBool) -> Result<T> + Send,
    work: impl FnOnce() -> Result<()>,
) -> Result<T> {
    let is_over = AtomicBool::new(false);
    let (worked, ended) = thread::scope(|scope| {
        let other = scope.spawn(|| beside(&is_over));
        let worked = work();
        is_over.store(true, Ordering::Relaxed);
        (worked, other.join())
    });
    worked?;
    ended.map_err(|panic| anyhow!("panicked: {}", panic_text(&*panic)))?
}

/// The message of a panic.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()))
        .unwrap_or_else(|| "(no text)".to_owned())
}
