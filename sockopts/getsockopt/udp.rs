// SPDX-License-Identifier: GPL-2.0

//! SOL_UDP: `udp_lib_getsockopt()` in `net/ipv4/udp.c`.

use crate::bindings;
use crate::sockets::sock::{
    Udp,
    View, //
};

impl Udp<'_> {
    /// `udp_flags`, with a bit for each `UDP_FLAGS_` flag.
    pub(crate) fn udp_flags(&self) -> u64 {
        // SAFETY: `View` promises that the pointer is to a live `struct udp_sock`.
        unsafe { bindings::udp_flags(self.as_ptr()) }
    }
}
