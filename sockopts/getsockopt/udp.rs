// SPDX-License-Identifier: GPL-2.0

//! SOL_UDP: `udp_lib_getsockopt()` in `net/ipv4/udp.c`.

use crate::sockets::sock::Udp;

impl Udp<'_> {
    /// `udp_flags`, with a bit for each `UDP_FLAGS_` flag.
    pub(crate) fn udp_flags(&self) -> u64 {
        get!(self, udp_sock.udp_flags)
    }
}
