// SPDX-License-Identifier: GPL-2.0

//! Values for setsockopt(2): integers, and the structures that some options take.

use crate::sockets::Plan;
use libc::c_int;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A value for setsockopt(2).
#[derive(Clone, Debug)]
pub struct Try {
    pub bytes: Vec<u8>,
    /// Whether the option counts as set after it, for [`When::Set`](super::opt::When::Set).
    pub sets: bool,
    /// The text of [`Answer::Given`](super::opt::Answer::Given) and
    /// [`Answer::Groups`](super::opt::Answer::Groups).
    pub text: String,
}

/// `int`
pub fn int(value: c_int) -> Try {
    Try {
        bytes: value.to_ne_bytes().to_vec(),
        sets: true,
        text: value.to_string(),
    }
}

/// An `int` after which the option counts as not set.
pub fn forget(value: c_int) -> Try {
    Try {
        sets: false,
        ..int(value)
    }
}

pub fn ints(values: &[c_int]) -> Vec<Try> {
    values.iter().copied().map(int).collect()
}

pub fn raw(bytes: impl Into<Vec<u8>>) -> Try {
    Try {
        bytes: bytes.into(),
        sets: true,
        text: String::new(),
    }
}

/// SO_RCVTIMEO and SO_SNDTIMEO.
pub fn times() -> Vec<Try> {
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

/// SO_LINGER: on or off, and the seconds.
pub fn lingers() -> Vec<Try> {
    [(1, 5), (1, 0), (0, 7), (1, c_int::MAX), (1, -1)]
        .map(|(on, seconds): (c_int, c_int)| Try {
            sets: on != 0,
            ..raw([on.to_ne_bytes(), seconds.to_ne_bytes()].concat())
        })
        .to_vec()
}

/// An IPv4 address, the address of an interface, its index: `struct ip_mreqn`.
pub fn mreqn(group: Ipv4Addr, address: Ipv4Addr, index: c_int) -> Vec<u8> {
    let mut bytes = group.octets().to_vec();
    bytes.extend(address.octets());
    bytes.extend(index.to_ne_bytes());
    bytes
}

/// `struct ipv6_mreq`
pub fn mreq6(group: Ipv6Addr, index: c_int) -> Vec<u8> {
    let mut bytes = group.octets().to_vec();
    bytes.extend(index.to_ne_bytes());
    bytes
}

/// A `struct sock_fprog` with a filter that accepts all packets. Its memory is never freed.
pub fn classic_program(verdict: u32) -> Vec<u8> {
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
pub fn ebpf_program(verdict: i32) -> Option<c_int> {
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

/// The key of all tests. No row may contain it.
pub const SECRET: &[u8] = b"NeverPrintThisKey";

/// `struct sockaddr_storage` of a documentation address, or of the loopback address.
fn storage(plan: Plan, loopback: bool) -> Vec<u8> {
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
