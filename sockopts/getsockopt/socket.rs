// SPDX-License-Identifier: GPL-2.0

//! SOL_SOCKET: `sk_getsockopt()` in `net/core/sock.c`.

use super::{
    device,
    timeout,
    unless,
    Device, //
};
use crate::abstractions::ns::Reader;
use crate::bindings;
use crate::format::{
    Flags,
    Hex,
    Milliseconds,
    Seconds,
    Text,
    Value, //
};
use crate::sockets::sock::{
    Sock,
    Tcp,
    View,
    HZ, //
};

impl Sock<'_> {
    /// `sk_flags`, with a bit for each `SOCK_` flag.
    pub(crate) fn flags(&self) -> u64 {
        get!(self, sock_common.skc_flags)
    }

    /// Whether a flag is set: `sock_flag()`.
    fn flag(&self, flag: bindings::sock_flags) -> bool {
        self.flags() >> flag & 1 == 1
    }

    /// Whether SO_KEEPALIVE is on. It is always shown.
    pub(crate) fn keepalive(&self) -> bool {
        self.flag(bindings::SOCK_KEEPOPEN)
    }

    /// Whether SO_BROADCAST is on. It is always shown.
    pub(crate) fn broadcast(&self) -> bool {
        self.flag(bindings::SOCK_BROADCAST)
    }

    /// SO_TIMESTAMP, if it is on in its form with 32-bit or native times.
    pub(crate) fn timestamp(&self) -> Option<bool> {
        (self.flag(bindings::SOCK_RCVTSTAMP)
            && !self.flag(bindings::SOCK_TSTAMP_NEW)
            && !self.flag(bindings::SOCK_RCVTSTAMPNS))
        .then_some(true)
    }

    /// SO_TIMESTAMP_NEW, the form with 64-bit times. It is also on if SO_TIMESTAMPNS_NEW is on.
    pub(crate) fn timestamp_new(&self) -> Option<bool> {
        (self.flag(bindings::SOCK_RCVTSTAMP) && self.flag(bindings::SOCK_TSTAMP_NEW))
            .then_some(true)
    }

    /// SO_TIMESTAMPNS, if it is on in its form with 32-bit or native times.
    pub(crate) fn timestampns(&self) -> Option<bool> {
        (self.flag(bindings::SOCK_RCVTSTAMPNS) && !self.flag(bindings::SOCK_TSTAMP_NEW))
            .then_some(true)
    }

    /// SO_TIMESTAMPNS_NEW, the form with 64-bit times, if it is on.
    pub(crate) fn timestampns_new(&self) -> Option<bool> {
        (self.flag(bindings::SOCK_RCVTSTAMPNS) && self.flag(bindings::SOCK_TSTAMP_NEW))
            .then_some(true)
    }

    /// SO_TIMESTAMPING, if any flag is set: the names of its flags without `SOF_TIMESTAMPING_`.
    pub(crate) fn timestamping(&self) -> Option<Timestamping> {
        const NAMES: &[&str] = &[
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
        let flags = unless(0, get!(self, sock.sk_tsflags))?;
        let binds_phc = flags & bindings::SOF_TIMESTAMPING_BIND_PHC != 0;
        Some(Timestamping {
            flags: Flags {
                flags,
                names: NAMES,
            },
            bind_phc: binds_phc.then(|| get!(self, sock.sk_bind_phc)),
        })
    }

    /// SO_RCVBUF in bytes, if the process set it. This is the value that the process gave: the
    /// kernel stores twice as much, and getsockopt(2) returns that.
    pub(crate) fn rcvbuf(&self) -> Option<i32> {
        self.user_locked(bindings::SOCK_RCVBUF_LOCK)
            .then(|| get!(self, sock.sk_rcvbuf) / 2)
    }

    /// SO_SNDBUF in bytes, if the process set it. This is the value that the process gave.
    pub(crate) fn sndbuf(&self) -> Option<i32> {
        self.user_locked(bindings::SOCK_SNDBUF_LOCK)
            .then(|| get!(self, sock.sk_sndbuf) / 2)
    }

    /// SO_RCVTIMEO in milliseconds, if the process limited the wait.
    pub(crate) fn rcvtimeo(&self) -> Option<Milliseconds> {
        timeout(get!(self, sock.sk_rcvtimeo))
    }

    /// SO_SNDTIMEO in milliseconds, if the process limited the wait.
    pub(crate) fn sndtimeo(&self) -> Option<Milliseconds> {
        timeout(get!(self, sock.sk_sndtimeo))
    }

    /// SO_LINGER, if `l_onoff` is set: `l_linger`, which is an `int`. Only the lower bits of a
    /// longer time remain.
    pub(crate) fn linger(&self) -> Option<Seconds> {
        self.flag(bindings::SOCK_LINGER)
            .then(|| Seconds((get!(self, sock.sk_lingertime) / u64::from(HZ)) as i32))
    }

    /// SO_MARK, if the reader has CAP_NET_ADMIN.
    pub(crate) fn mark(&self, reader: &Reader<'_>) -> Option<Hex> {
        let mark = unless(0, get!(self, sock.sk_mark))?;
        reader.is_net_admin.then_some(Hex(mark))
    }

    /// SO_BINDTODEVICE by name. SO_BINDTOIFINDEX is the same option by number.
    pub(crate) fn bindtodevice(&self) -> Option<Device> {
        device(get!(self, sock_common.skc_bound_dev_if))
    }

    /// SO_ATTACH_FILTER: a classic filter is attached.
    pub(crate) fn attach_filter(&self) -> Option<bool> {
        (self.filter() == bindings::KNETSTAT_CLASSIC).then_some(true)
    }

    /// SO_ATTACH_BPF: an eBPF filter is attached.
    pub(crate) fn attach_bpf(&self) -> Option<bool> {
        (self.filter() == bindings::KNETSTAT_EBPF).then_some(true)
    }

    /// The kind of filter that is attached.
    fn filter(&self) -> u32 {
        if get!(self, sock.sk_filter).is_null() {
            return bindings::KNETSTAT_NO_PROGRAM;
        }
        // SAFETY: By the type invariant, the socket is alive. The helper follows `sk_filter` in a
        // read section of RCU, and `sk_filter_release_rcu()` frees the filter by RCU.
        unsafe { bindings::knetstat_filter(self.as_ptr()) }
    }

    /// SO_ATTACH_REUSEPORT_CBPF: a classic program selects the socket of the group.
    pub(crate) fn attach_reuseport_cbpf(&self) -> Option<bool> {
        (self.reuseport_program() == bindings::KNETSTAT_CLASSIC).then_some(true)
    }

    /// SO_ATTACH_REUSEPORT_EBPF: an eBPF program selects the socket of the group.
    pub(crate) fn attach_reuseport_ebpf(&self) -> Option<bool> {
        (self.reuseport_program() == bindings::KNETSTAT_EBPF).then_some(true)
    }

    /// The kind of program that selects the socket of the group.
    fn reuseport_program(&self) -> u32 {
        if get!(self, sock.sk_reuseport_cb).is_null() {
            return bindings::KNETSTAT_NO_PROGRAM;
        }
        // SAFETY: By the type invariant, the socket is alive. The helper follows the pointer to the
        // group in a read section of RCU, and `reuseport_free_rcu()` frees the group by RCU. The
        // helper does not rely on the program being alive.
        unsafe { bindings::knetstat_reuseport_program(self.as_ptr()) }
    }

    /// SO_INCOMING_CPU of a socket that was never connected. While a socket is connected, the
    /// kernel writes the field (`sk_incoming_cpu_update()`), and disconnecting leaves the field as
    /// it is. A socket that was connected has a hash for sending: `tcp_v4_connect()`,
    /// `__ip4_datagram_connect()` and their IPv6 counterparts set it. The hash is never 0
    /// (`net_tx_rndhash()`), and never cleared.
    pub(crate) fn incoming_cpu(&self) -> Option<i32> {
        let cpu = get!(self, sock_common.skc_incoming_cpu);
        (get!(self, sock.sk_txhash) == 0).then_some(cpu)
    }

    /// SO_TXTIME: the clock and the flags.
    pub(crate) fn txtime(&self) -> Option<TxTime> {
        self.flag(bindings::SOCK_TXTIME).then(|| TxTime {
            clock: get!(self, sock.sk_clockid),
            deadline_mode: get!(self, sock.sk_txtime_deadline_mode) != 0,
            report_errors: get!(self, sock.sk_txtime_report_errors) != 0,
        })
    }
}

impl Tcp<'_> {
    /// SO_RCVLOWAT in bytes. `mptcp_sockopt_sync_locked()` sets 0 on subflows, which no process can
    /// set. A connection that an MPTCP listener accepted without MPTCP has inherited it.
    pub(crate) fn rcvlowat(&self) -> Option<i32> {
        let bytes = unless(1, get!(self, sock.sk_rcvlowat))?;
        (bytes != 0 || !self.is_subflow()).then_some(bytes)
    }

    /// SO_TXREHASH. Some kernels, such as that of RHEL 9.2, store `SOCK_TXREHASH_DEFAULT` in a fresh
    /// socket: it follows the sysctl when it starts to listen, see `inet_csk_listen_start()`.
    #[cfg(knetstat_has = "SO_TXREHASH")]
    pub(crate) fn txrehash(&self) -> Option<u8> {
        unless(
            bindings::SOCK_TXREHASH_DEFAULT as u8,
            get!(self, sock.sk_txrehash),
        )
    }
}

/// The value of SO_TIMESTAMPING: `RAW_HARDWARE|BIND_PHC|bind_phc:1`. The last part is the number of
/// the clock.
pub(crate) struct Timestamping {
    flags: Flags,
    bind_phc: Option<i32>,
}

impl Value for Timestamping {
    fn write(self, text: &mut Text<'_>) {
        self.flags.write(text);
        if let Some(clock) = self.bind_phc {
            text.str("|bind_phc:");
            text.signed(i64::from(clock));
        }
    }
}

/// The value of SO_TXTIME: `CLOCK_TAI|DEADLINE_MODE|REPORT_ERRORS`.
pub(crate) struct TxTime {
    clock: u8,
    deadline_mode: bool,
    report_errors: bool,
}

impl Value for TxTime {
    fn write(self, text: &mut Text<'_>) {
        match u32::from(self.clock) {
            bindings::CLOCK_REALTIME => text.str("CLOCK_REALTIME"),
            bindings::CLOCK_MONOTONIC => text.str("CLOCK_MONOTONIC"),
            bindings::CLOCK_TAI => text.str("CLOCK_TAI"),
            other => {
                text.str("CLOCK_");
                text.unsigned(other.into());
            }
        }
        if self.deadline_mode {
            text.str("|DEADLINE_MODE");
        }
        if self.report_errors {
            text.str("|REPORT_ERRORS");
        }
    }
}
