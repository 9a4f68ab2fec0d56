// SPDX-License-Identifier: GPL-2.0

//! Fresh sockets, on which no option was set, and what the kernel reports about their options.

use crate::source::files::{Family, Netid};
use rustix::net::{bind, ipproto, socket_with, sockopt, AddressFamily, SocketFlags, SocketType};
use std::ffi::c_int;
use std::fs;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

/// The kind of a fresh socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshSocket {
    pub netid: Netid,
    pub family: Family,
    /// Whether it is bound to an IPv6 address.
    pub is_bound: bool,
}

/// The reason why the kernel does not report an option.
#[derive(Debug)]
pub enum Refusal {
    /// The socket could not be created.
    NoSocket(io::Error),
    /// getsockopt(2) does not support the option, or not on such a socket.
    NoAnswer(io::Error),
}

/// The length of the longest answer, which is that of IP_OPTIONS.
const LONGEST: usize = 64;

impl FreshSocket {
    /// Creates the socket in the network namespace of this process. The caller closes it as soon as
    /// it has the answer, because a bound socket would be in the list.
    fn open(self) -> io::Result<OwnedFd> {
        let family = match self.family {
            Family::Inet => AddressFamily::INET,
            Family::Inet6 => AddressFamily::INET6,
        };
        let (kind, protocol) = match self.netid {
            Netid::Tcp => (SocketType::STREAM, ipproto::TCP),
            Netid::Udp => (SocketType::DGRAM, ipproto::UDP),
        };
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol))?;
        if self.is_bound {
            // With this option, bind(2) succeeds even if the loopback device is down.
            sockopt::set_ipv6_freebind(&socket, true)?;
            bind(&socket, &SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 0))?;
        }
        Ok(socket)
    }

    /// The answer of getsockopt(2).
    ///
    /// # Errors
    ///
    /// If the socket cannot be created, or if getsockopt(2) fails.
    pub fn getsockopt(self, level: c_int, number: c_int) -> Result<Vec<u8>, Refusal> {
        let socket = self.open().map_err(Refusal::NoSocket)?;
        let mut answer = vec![0; LONGEST];
        let mut len = LONGEST as libc::socklen_t;
        // SAFETY: `socket` is open. `answer` has `len` bytes, and the kernel writes no more than
        // that to it. The kernel writes their number to `len`. Both outlive the call.
        let status = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                level,
                number,
                answer.as_mut_ptr().cast(),
                &mut len,
            )
        };
        if status != 0 {
            return Err(Refusal::NoAnswer(io::Error::last_os_error()));
        }
        answer.truncate(len as usize);
        Ok(answer)
    }
}

/// The first word of a sysctl in the network namespace of this process. `path` is relative to
/// `/proc/sys`.
pub fn sysctl(path: &str) -> io::Result<String> {
    let text = fs::read_to_string(format!("/proc/sys/{path}"))?;
    Ok(text
        .split_ascii_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use linux_raw_sys::net::{IPV6_V6ONLY, SO_TYPE};

    const UDP: FreshSocket = FreshSocket {
        netid: Netid::Udp,
        family: Family::Inet,
        is_bound: false,
    };

    #[test]
    fn answers() {
        let answer = UDP.getsockopt(libc::SOL_SOCKET, SO_TYPE as i32).unwrap();
        assert_eq!(answer, libc::SOCK_DGRAM.to_ne_bytes());
        let refused = UDP.getsockopt(libc::SOL_SOCKET, 9999).unwrap_err();
        assert!(matches!(refused, Refusal::NoAnswer(_)), "{refused:?}");
        // A socket that is not IPv6 cannot be bound to an IPv6 address.
        let not_inet6 = FreshSocket {
            is_bound: true,
            ..UDP
        };
        let refused = not_inet6.getsockopt(libc::SOL_SOCKET, 3).unwrap_err();
        assert!(matches!(refused, Refusal::NoSocket(_)), "{refused:?}");
    }

    #[test]
    fn bind_sets_v6only() {
        for netid in [Netid::Tcp, Netid::Udp] {
            let socket = FreshSocket {
                netid,
                family: Family::Inet6,
                is_bound: true,
            };
            match socket.getsockopt(libc::IPPROTO_IPV6, IPV6_V6ONLY as i32) {
                Ok(answer) => assert_eq!(answer, 1_i32.to_ne_bytes()),
                Err(err) => eprintln!("skipped: no IPv6: {err:?}"),
            }
        }
    }

    #[test]
    fn sysctls() {
        let sysctl_ = sysctl("net/ipv4/tcp_notsent_lowat").unwrap();
        assert!(sysctl_.parse::<u32>().is_ok(), "{sysctl_}");
        assert!(sysctl("net/ipv4/nothing").is_err());
    }
}
