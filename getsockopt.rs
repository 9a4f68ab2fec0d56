// SPDX-License-Identifier: GPL-2.0

//! The values of socket options, one function for each.
//!
//! C sources: `sk_getsockopt()` in `net/core/sock.c`, `do_tcp_getsockopt()` in
//! `net/ipv4/tcp.c`, `do_ip_getsockopt()` in `net/ipv4/ip_sockglue.c`,
//! `do_ipv6_getsockopt()` in `net/ipv6/ipv6_sockglue.c`, `udp_lib_getsockopt()` in
//! `net/ipv4/udp.c`
//!
//! A function returns what getsockopt(2) would return for that socket, or `None` while
//! the socket has what a fresh one has. Where it deviates, it says so. It does not take
//! the lock of the socket: fields are read once each, and what can be freed is read in a
//! read section of RCU.

use crate::bindings;
use crate::format::Flags;
use crate::format::Hex;
use crate::format::Line;
use crate::format::Milliseconds;
use crate::format::Name;
use crate::format::Range;
use crate::format::Seconds;
use crate::format::Value;
use crate::ns::Net;
use crate::ns::Viewer;
use crate::rcu;
use crate::sock::ipv4;
use crate::sock::Listener;
use crate::sock::Sock;
use crate::sock::Tcp;
use crate::sock::Udp;
use crate::sock::HZ;
use core::net::IpAddr;
use core::net::Ipv4Addr;
use core::ops::Deref;

/// The longest list of multicast groups that is shown whole.
const MAX_GROUPS: usize = 64;

/// What a fresh socket of the namespace has, where sysctls say so.
pub(crate) struct Defaults {
    congestion: *const bindings::tcp_congestion_ops,
    pingpong_threshold: u8,
    rto_max: u32,
    rto_min: u32,
    txrehash: u8,
    fastopen_by_listen: bool,
    pmtudisc: u8,
    v6only: bool,
}

/// Reads a field of `struct net`.
macro_rules! sysctl {
    ($net:expr, $($field:ident).+) => {{
        let net = $net.as_ptr();
        // SAFETY: By the type invariant of `Net`, the namespace is alive.
        unsafe { field!(net, net, $($field).+) }
    }};
}

impl Defaults {
    /// Reads the sysctls of a namespace.
    pub(crate) fn of(net: Net<'_>) -> Self {
        let rto_max_ms = sysctl!(net, ipv4.sysctl_tcp_rto_max_ms);
        let rto_min_us = sysctl!(net, ipv4.sysctl_tcp_rto_min_us);
        // SAFETY: Plain conversions of numbers.
        let (rto_max, rto_min) = unsafe {
            (
                bindings::knetstat_msecs_to_jiffies(rto_max_ms as u32),
                bindings::knetstat_usecs_to_jiffies(rto_min_us as u32),
            )
        };
        Self {
            congestion: sysctl!(net, ipv4.tcp_congestion_control),
            pingpong_threshold: sysctl!(net, ipv4.sysctl_tcp_pingpong_thresh),
            rto_max,
            rto_min,
            txrehash: sysctl!(net, core.sysctl_txrehash),
            fastopen_by_listen: {
                const BITS: u32 = bindings::TFO_SERVER_ENABLE | bindings::TFO_SERVER_WO_SOCKOPT1;
                sysctl!(net, ipv4.sysctl_tcp_fastopen) as u32 & BITS == BITS
            },
            pmtudisc: if sysctl!(net, ipv4.sysctl_ip_no_pmtu_disc) != 0 {
                bindings::IP_PMTUDISC_DONT as u8
            } else {
                bindings::IP_PMTUDISC_WANT as u8
            },
            #[cfg(CONFIG_IPV6)]
            v6only: sysctl!(net, ipv6.sysctl.bindv6only) != 0,
            #[cfg(not(CONFIG_IPV6))]
            v6only: false,
        }
    }
}

/// `Some(value)` if the option is not what it is by default.
fn unless<T: PartialEq>(default: T, value: T) -> Option<T> {
    (value != default).then_some(value)
}

/// The name of a network interface, or `if` and its number where it is gone.
pub(crate) struct Device<'n> {
    net: Net<'n>,
    index: u32,
}

impl Value for Device<'_> {
    fn write(self, line: &mut Line<'_>) {
        let mut name = [0; bindings::IFNAMSIZ as usize];
        // SAFETY: The namespace is alive, and the buffer has the length that the helper fills. It
        // neither sleeps nor takes a lock.
        let found = unsafe {
            bindings::knetstat_device_name(self.net.as_ptr(), self.index as i32, name.as_mut_ptr())
        };
        if found {
            Name(&name).write(line);
        } else {
            line.str("if");
            line.unsigned(u64::from(self.index));
        }
    }
}

/// An address and, behind a `%`, the interface.
pub(crate) struct Scoped<'n> {
    address: IpAddr,
    device: Option<Device<'n>>,
}

impl Value for Scoped<'_> {
    fn write(self, line: &mut Line<'_>) {
        line.address(self.address);
        if let Some(device) = self.device {
            line.str("%");
            device.write(line);
        }
    }
}

fn device(net: Net<'_>, index: i32) -> Option<Device<'_>> {
    let index = u32::try_from(index).ok()?;
    (index != 0).then_some(Device { net, index })
}

/// SOL_SOCKET
impl Sock<'_> {
    /// SO_REUSEADDR: 0, 1, or 2 on a socket under repair.
    pub(crate) fn reuse_addr(&self) -> u8 {
        get!(self, sock_common, skc_reuse)
    }

    /// SO_REUSEPORT.
    pub(crate) fn reuse_port(&self) -> bool {
        get!(self, sock_common, skc_reuseport) != 0
    }

    /// Whether one of the options is on that are flags of their own, so that most
    /// sockets need not be asked for each.
    pub(crate) fn has_flags(&self) -> bool {
        const ALL: u64 = 1 << bindings::SOCK_BROADCAST
            | 1 << bindings::SOCK_KEEPOPEN
            | 1 << bindings::SOCK_DBG
            | 1 << bindings::SOCK_LOCALROUTE
            | 1 << bindings::SOCK_URGINLINE
            | 1 << bindings::SOCK_RCVTSTAMP
            | 1 << bindings::SOCK_RCVTSTAMPNS
            | 1 << bindings::SOCK_RCVMARK
            | 1 << bindings::SOCK_RCVPRIORITY
            | 1 << bindings::SOCK_RXQ_OVFL
            | 1 << bindings::SOCK_WIFI_STATUS
            | 1 << bindings::SOCK_NOFCS
            | 1 << bindings::SOCK_FILTER_LOCKED
            | 1 << bindings::SOCK_SELECT_ERR_QUEUE
            | 1 << bindings::SOCK_ZEROCOPY
            | 1 << bindings::SOCK_TXTIME;
        self.flags() & ALL != 0
    }

    /// Whether one of the options may be set that few sockets have, so that most need
    /// not be asked for each. Looks at the same fields as the options do.
    pub(crate) fn has_rare(&self, defaults: &Defaults) -> bool {
        // With what a fresh socket has taken off, so that anything left is worth a look.
        let socket = get!(self, sock_common, skc_bound_dev_if)
            | get!(self, sock, sk_peek_off) ^ -1
            | get!(self, sock, sk_rcvlowat) ^ 1
            | get!(self, sock, sk_reserved_mem) as i32
            | get!(self, sock, sk_tsflags) as i32
            | get!(self, sock, sk_priority) as i32
            | get!(self, sock, sk_mark) as i32
            | i32::from(get!(self, sock, sk_no_check_tx));
        #[cfg(CONFIG_NET_RX_BUSY_POLL)]
        let socket = socket
            | get!(self, sock, sk_ll_usec) as i32
            | i32::from(get!(self, sock, sk_prefer_busy_poll))
            | i32::from(get!(self, sock, sk_busy_poll_budget));
        let ip = i32::from(get!(self, inet_sock, uc_ttl)) ^ -1
            | i32::from(get!(self, inet_sock, tos))
            | i32::from(get!(self, inet_sock, min_ttl))
            | i32::from(get!(self, inet_sock, pmtudisc) ^ defaults.pmtudisc)
            | get!(self, inet_sock, uc_index)
            | get!(self, inet_sock, local_port_range) as i32;
        socket | ip != 0
            || get!(self, sock, sk_max_pacing_rate) != u64::MAX
            || !get!(self, sock, sk_filter).is_null()
            || !get!(self, sock, sk_reuseport_cb).is_null()
            || !get!(self, inet_sock, inet_opt).is_null()
    }

    fn flags(&self) -> u64 {
        get!(self, sock_common, skc_flags)
    }

    /// `sock_flag()`.
    fn flag(&self, flag: bindings::sock_flags) -> bool {
        self.flags() >> flag & 1 == 1
    }

    fn if_flag(&self, flag: bindings::sock_flags) -> Option<bool> {
        self.flag(flag).then_some(true)
    }

    /// SO_KEEPALIVE.
    pub(crate) fn keepalive(&self) -> bool {
        self.flag(bindings::SOCK_KEEPOPEN)
    }

    /// SO_BROADCAST.
    pub(crate) fn broadcast(&self) -> bool {
        self.flag(bindings::SOCK_BROADCAST)
    }

    /// SO_DEBUG.
    pub(crate) fn debug(&self) -> Option<bool> {
        self.if_flag(bindings::SOCK_DBG)
    }

    /// SO_DONTROUTE.
    pub(crate) fn dontroute(&self) -> Option<bool> {
        self.if_flag(bindings::SOCK_LOCALROUTE)
    }

    /// SO_OOBINLINE.
    pub(crate) fn oobinline(&self) -> Option<bool> {
        self.if_flag(bindings::SOCK_URGINLINE)
    }

    /// SO_NO_CHECK.
    pub(crate) fn no_check(&self) -> Option<bool> {
        (get!(self, sock, sk_no_check_tx) != 0).then_some(true)
    }

    /// SO_PRIORITY, which getsockopt(2) returns with a sign.
    pub(crate) fn priority(&self) -> Option<i32> {
        unless(0, get!(self, sock, sk_priority) as i32)
    }

    /// SO_TIMESTAMP, in its form with 32-bit or native times.
    pub(crate) fn timestamp(&self) -> Option<bool> {
        (self.flag(bindings::SOCK_RCVTSTAMP)
            && !self.flag(bindings::SOCK_TSTAMP_NEW)
            && !self.flag(bindings::SOCK_RCVTSTAMPNS))
        .then_some(true)
    }

    /// SO_TIMESTAMP_NEW, the form with 64-bit times; also on where SO_TIMESTAMPNS_NEW is.
    pub(crate) fn timestamp_new(&self) -> Option<bool> {
        (self.flag(bindings::SOCK_RCVTSTAMP) && self.flag(bindings::SOCK_TSTAMP_NEW))
            .then_some(true)
    }

    /// SO_TIMESTAMPNS.
    pub(crate) fn timestampns(&self) -> Option<bool> {
        (self.flag(bindings::SOCK_RCVTSTAMPNS) && !self.flag(bindings::SOCK_TSTAMP_NEW))
            .then_some(true)
    }

    /// SO_TIMESTAMPNS_NEW.
    pub(crate) fn timestampns_new(&self) -> Option<bool> {
        (self.flag(bindings::SOCK_RCVTSTAMPNS) && self.flag(bindings::SOCK_TSTAMP_NEW))
            .then_some(true)
    }

    /// SO_TIMESTAMPING, by the names of its flags without `SOF_TIMESTAMPING_`.
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
        let flags = unless(0, get!(self, sock, sk_tsflags))?;
        let binds_phc = flags & bindings::SOF_TIMESTAMPING_BIND_PHC != 0;
        Some(Timestamping {
            flags: Flags {
                flags,
                names: NAMES,
            },
            bind_phc: binds_phc.then(|| get!(self, sock, sk_bind_phc)),
        })
    }

    fn user_locked(&self, lock: u32) -> bool {
        u32::from(get!(self, sock, sk_userlocks)) & lock != 0
    }

    /// SO_RCVBUF in bytes, as the process gave it, if it did: the kernel stores and
    /// getsockopt(2) returns twice as much.
    pub(crate) fn rcvbuf(&self) -> Option<i32> {
        self.user_locked(bindings::SOCK_RCVBUF_LOCK)
            .then(|| get!(self, sock, sk_rcvbuf) / 2)
    }

    /// SO_SNDBUF in bytes, as the process gave it, if it did.
    pub(crate) fn sndbuf(&self) -> Option<i32> {
        self.user_locked(bindings::SOCK_SNDBUF_LOCK)
            .then(|| get!(self, sock, sk_sndbuf) / 2)
    }

    /// SO_RCVTIMEO, if the process limited the wait.
    pub(crate) fn rcvtimeo(&self) -> Option<Milliseconds> {
        timeout(get!(self, sock, sk_rcvtimeo))
    }

    /// SO_SNDTIMEO, if the process limited the wait.
    pub(crate) fn sndtimeo(&self) -> Option<Milliseconds> {
        timeout(get!(self, sock, sk_sndtimeo))
    }

    /// SO_LINGER, if `l_onoff` is set: `l_linger`, an `int`, of which a longer time keeps the
    /// lower bits.
    pub(crate) fn linger(&self) -> Option<Seconds> {
        self.flag(bindings::SOCK_LINGER)
            .then(|| Seconds((get!(self, sock, sk_lingertime) / u64::from(HZ)) as i32))
    }

    /// SO_RCVLOWAT in bytes.
    pub(crate) fn rcvlowat(&self) -> Option<i32> {
        let bytes = get!(self, sock, sk_rcvlowat);
        (bytes != 1 && !self.was_subflow()).then_some(bytes)
    }

    /// Whether MPTCP owns or owned the socket, which may have fallen back to TCP since:
    /// `mptcp_sockopt_sync_locked()` sets SO_RCVLOWAT to 0, which no process can.
    fn was_subflow(&self) -> bool {
        get!(self, sock, sk_rcvlowat) == 0
    }

    /// SO_MARK, to those who may see it.
    pub(crate) fn mark(&self, viewer: &Viewer<'_>) -> Option<Hex> {
        let mark = unless(0, get!(self, sock, sk_mark))?;
        viewer.is_net_admin.then_some(Hex(mark))
    }

    /// SO_RCVMARK.
    pub(crate) fn rcvmark(&self) -> Option<bool> {
        self.if_flag(bindings::SOCK_RCVMARK)
    }

    /// SO_RCVPRIORITY.
    pub(crate) fn rcvpriority(&self) -> Option<bool> {
        self.if_flag(bindings::SOCK_RCVPRIORITY)
    }

    /// SO_RXQ_OVFL.
    pub(crate) fn rxq_ovfl(&self) -> Option<bool> {
        self.if_flag(bindings::SOCK_RXQ_OVFL)
    }

    /// SO_WIFI_STATUS.
    pub(crate) fn wifi_status(&self) -> Option<bool> {
        self.if_flag(bindings::SOCK_WIFI_STATUS)
    }

    /// SO_PEEK_OFF in bytes.
    pub(crate) fn peek_off(&self) -> Option<i32> {
        unless(-1, get!(self, sock, sk_peek_off))
    }

    /// SO_NOFCS.
    pub(crate) fn nofcs(&self) -> Option<bool> {
        self.if_flag(bindings::SOCK_NOFCS)
    }

    /// SO_BINDTODEVICE by name; SO_BINDTOIFINDEX is the same by number.
    pub(crate) fn bindtodevice<'n>(&self, viewer: &Viewer<'n>) -> Option<Device<'n>> {
        device(viewer.net, get!(self, sock_common, skc_bound_dev_if))
    }

    /// SO_ATTACH_FILTER: a classic filter is attached.
    pub(crate) fn attach_filter(&self) -> Option<bool> {
        (self.filter() == bindings::KNETSTAT_CLASSIC).then_some(true)
    }

    /// SO_ATTACH_BPF: an eBPF filter is attached.
    pub(crate) fn attach_bpf(&self) -> Option<bool> {
        (self.filter() == bindings::KNETSTAT_EBPF).then_some(true)
    }

    fn filter(&self) -> u32 {
        if get!(self, sock, sk_filter).is_null() {
            return bindings::KNETSTAT_NO_PROGRAM;
        }
        // SAFETY: By the type invariant, the socket is alive. The helper follows `sk_filter` in a
        // read section of RCU, by which `sk_filter_release_rcu()` frees it.
        unsafe { bindings::knetstat_filter(self.as_common_ptr().cast()) }
    }

    /// SO_LOCK_FILTER.
    pub(crate) fn lock_filter(&self) -> Option<bool> {
        self.if_flag(bindings::SOCK_FILTER_LOCKED)
    }

    /// SO_ATTACH_REUSEPORT_CBPF: a classic program selects the socket of the group.
    pub(crate) fn attach_reuseport_cbpf(&self) -> Option<bool> {
        (self.reuseport_program() == bindings::KNETSTAT_CLASSIC).then_some(true)
    }

    /// SO_ATTACH_REUSEPORT_EBPF: an eBPF program selects the socket of the group.
    pub(crate) fn attach_reuseport_ebpf(&self) -> Option<bool> {
        (self.reuseport_program() == bindings::KNETSTAT_EBPF).then_some(true)
    }

    fn reuseport_program(&self) -> u32 {
        if get!(self, sock, sk_reuseport_cb).is_null() {
            return bindings::KNETSTAT_NO_PROGRAM;
        }
        // SAFETY: By the type invariant, the socket is alive. The helper follows the pointers in a
        // read section of RCU, by which `reuseport_free_rcu()` and `sk_reuseport_prog_free()` free.
        unsafe { bindings::knetstat_reuseport_program(self.as_common_ptr().cast()) }
    }

    /// SO_SELECT_ERR_QUEUE.
    pub(crate) fn select_err_queue(&self) -> Option<bool> {
        self.if_flag(bindings::SOCK_SELECT_ERR_QUEUE)
    }

    /// SO_BUSY_POLL in microseconds. `net.core.busy_read`, the default, cannot be read
    /// by a module: where it is not 0, the option is always shown.
    #[cfg(CONFIG_NET_RX_BUSY_POLL)]
    pub(crate) fn busy_poll(&self) -> Option<u32> {
        unless(0, get!(self, sock, sk_ll_usec))
    }

    /// SO_PREFER_BUSY_POLL.
    #[cfg(CONFIG_NET_RX_BUSY_POLL)]
    pub(crate) fn prefer_busy_poll(&self) -> Option<u8> {
        unless(0, get!(self, sock, sk_prefer_busy_poll))
    }

    /// SO_BUSY_POLL_BUDGET, in packets; getsockopt(2) does not know it.
    #[cfg(CONFIG_NET_RX_BUSY_POLL)]
    pub(crate) fn busy_poll_budget(&self) -> Option<u16> {
        unless(0, get!(self, sock, sk_busy_poll_budget))
    }

    /// SO_MAX_PACING_RATE in bytes a second.
    pub(crate) fn max_pacing_rate(&self) -> Option<u64> {
        unless(u64::MAX, get!(self, sock, sk_max_pacing_rate))
    }

    /// The CPU of SO_INCOMING_CPU. The kernel writes to the same field where packets
    /// come in for a connected socket, on which it is no setting.
    fn incoming_cpu_field(&self) -> Option<i32> {
        unless(
            -1,
            get!(self, sock_common, skc_incoming_cpu),
        )
    }

    /// SO_ZEROCOPY.
    pub(crate) fn zerocopy(&self) -> Option<bool> {
        self.if_flag(bindings::SOCK_ZEROCOPY)
    }

    /// SO_TXTIME: the clock, and the flags.
    pub(crate) fn txtime(&self) -> Option<TxTime> {
        self.flag(bindings::SOCK_TXTIME).then(|| TxTime {
            clock: get!(self, sock, sk_clockid),
            deadline_mode: get!(self, sock, sk_txtime_deadline_mode) != 0,
            report_errors: get!(self, sock, sk_txtime_report_errors) != 0,
        })
    }

    /// SO_RESERVE_MEM in bytes.
    pub(crate) fn reserve_mem(&self) -> Option<u32> {
        unless(0, get!(self, sock, sk_reserved_mem))
    }
}

/// The value of SO_TIMESTAMPING: `RAW_HARDWARE|BIND_PHC|bind_phc:1`, the last being the number
/// of the clock.
pub(crate) struct Timestamping {
    flags: Flags,
    bind_phc: Option<i32>,
}

impl Value for Timestamping {
    fn write(self, line: &mut Line<'_>) {
        self.flags.write(line);
        if let Some(clock) = self.bind_phc {
            line.str("|bind_phc:");
            line.signed(i64::from(clock));
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
    fn write(self, line: &mut Line<'_>) {
        match self.clock {
            0 => line.str("CLOCK_REALTIME"),
            1 => line.str("CLOCK_MONOTONIC"),
            11 => line.str("CLOCK_TAI"),
            other => {
                line.str("CLOCK_");
                line.unsigned(u64::from(other));
            }
        }
        if self.deadline_mode {
            line.str("|DEADLINE_MODE");
        }
        if self.report_errors {
            line.str("|REPORT_ERRORS");
        }
    }
}

/// IPPROTO_TCP
impl Tcp<'_> {
    /// As [`Sock::has_rare`], for the options of TCP.
    pub(crate) fn has_rare(&self, defaults: &Defaults) -> bool {
        let connection = get!(self, inet_connection_sock, icsk_rto_min) ^ defaults.rto_min
            | get!(self, inet_connection_sock, icsk_rto_max) ^ defaults.rto_max
            | get!(self, inet_connection_sock, icsk_delack_max) ^ bindings::TCP_DELACK_MAX
            | u32::from(get!(self, inet_connection_sock, icsk_syn_retries))
            | u32::from(get!(self, inet_connection_sock, icsk_ca_setsockopt))
            | u32::from(get!(self, sock, sk_txrehash) ^ defaults.txrehash);
        let tcp = get!(self, tcp_sock, notsent_lowat)
            | u32::from(get!(self, tcp_sock, rx_opt.user_mss))
            | get!(self, tcp_sock, tcp_tx_delay)
            | get!(self, tcp_sock, linger2) as u32
            | u32::from(get!(self, tcp_sock, nonagle)) & bindings::TCP_NAGLE_CORK
            | u32::from(get!(self, tcp_sock, thin_lto))
            | u32::from(get!(self, tcp_sock, repair))
            | u32::from(get!(self, tcp_sock, fastopen_connect))
            | u32::from(get!(self, tcp_sock, fastopen_no_cookie))
            | u32::from(get!(self, tcp_sock, recvmsg_inq))
            | u32::from(get!(self, tcp_sock, save_syn));
        #[cfg(CONFIG_MPTCP)]
        let tcp = tcp | u32::from(get!(self, tcp_sock, is_mptcp));
        #[cfg(CONFIG_TCP_MD5SIG)]
        let tcp = tcp | u32::from(!get!(self, tcp_sock, md5sig_info).is_null());
        #[cfg(CONFIG_TCP_AO)]
        let tcp = tcp | u32::from(!get!(self, tcp_sock, ao_info).is_null());
        let ca_ops = get!(self, inet_connection_sock, icsk_ca_ops);
        connection | tcp != 0
            || !core::ptr::eq(ca_ops, defaults.congestion)
            || !get!(self, inet_connection_sock, icsk_ulp_ops).is_null()
    }

    /// TCP_NODELAY.
    pub(crate) fn nodelay(&self) -> bool {
        u32::from(get!(self, tcp_sock, nonagle)) & bindings::TCP_NAGLE_OFF != 0
    }

    /// TCP_CORK.
    pub(crate) fn cork(&self) -> Option<bool> {
        (u32::from(get!(self, tcp_sock, nonagle)) & bindings::TCP_NAGLE_CORK != 0)
            .then_some(true)
    }

    /// TCP_KEEPIDLE in seconds.
    pub(crate) fn keepidle(&self) -> Option<u32> {
        unless(0, get!(self, tcp_sock, keepalive_time)).map(|jiffies| jiffies / HZ)
    }

    /// TCP_KEEPINTVL in seconds.
    pub(crate) fn keepintvl(&self) -> Option<u32> {
        unless(0, get!(self, tcp_sock, keepalive_intvl)).map(|jiffies| jiffies / HZ)
    }

    /// TCP_KEEPCNT.
    pub(crate) fn keepcnt(&self) -> Option<u8> {
        unless(0, get!(self, tcp_sock, keepalive_probes))
    }

    /// TCP_USER_TIMEOUT in milliseconds.
    pub(crate) fn user_timeout(&self) -> Option<u32> {
        unless(0, get!(self, inet_connection_sock, icsk_user_timeout))
    }

    /// TCP_DEFER_ACCEPT in seconds: the kernel stores the number of retransmits of
    /// the SYN-ACK that the time is long enough for. Follows `retrans_to_secs()`.
    pub(crate) fn defer_accept(&self) -> u32 {
        let retransmits = get!(
            self,
            inet_connection_sock,
            icsk_accept_queue.rskq_defer_accept
        );
        let longest = bindings::TCP_RTO_MAX as u32 / HZ;
        let mut timeout = bindings::TCP_TIMEOUT_INIT as u32 / HZ;
        let mut seconds: u32 = 0;
        for _ in 0..retransmits {
            seconds = seconds.saturating_add(timeout);
            timeout = timeout.saturating_mul(2).min(longest);
        }
        seconds
    }

    /// TCP_MAXSEG in bytes, where the process limited it: on a listener the limit, on a
    /// connection what the segments have.
    pub(crate) fn maxseg(&self) -> Option<u32> {
        let limit = unless(0, get!(self, tcp_sock, rx_opt.user_mss))?;
        if self.is_under_repair() {
            Some(u32::from(get!(self, tcp_sock, rx_opt.mss_clamp)))
        } else if self.is_listening() {
            Some(u32::from(limit))
        } else {
            Some(get!(self, tcp_sock, mss_cache))
        }
    }

    /// TCP_SYNCNT.
    pub(crate) fn syncnt(&self) -> Option<u8> {
        unless(0, get!(self, inet_connection_sock, icsk_syn_retries))
    }

    /// TCP_LINGER2 in seconds, -1 for no FIN_WAIT2 at all.
    pub(crate) fn linger2(&self) -> Option<i32> {
        let jiffies = unless(0, get!(self, tcp_sock, linger2))?;
        Some(if jiffies < 0 {
            jiffies
        } else {
            jiffies / HZ as i32
        })
    }

    /// TCP_QUICKACK, where it is off, be it by the process or by the kernel, which sets it
    /// off where requests and responses alternate.
    pub(crate) fn quickack(&self, defaults: &Defaults) -> Option<bool> {
        let pingpong = get!(self, inet_connection_sock, icsk_ack.pingpong);
        (pingpong >= defaults.pingpong_threshold).then_some(false)
    }

    /// TCP_CONGESTION by name, where it was set or is not the one of the namespace.
    pub(crate) fn congestion(&self, defaults: &Defaults) -> Option<ModuleName> {
        let ops = get!(self, inet_connection_sock, icsk_ca_ops);
        let is_set = get!(self, inet_connection_sock, icsk_ca_setsockopt) != 0;
        if ops.is_null() || !is_set && core::ptr::eq(ops, defaults.congestion) {
            return None;
        }
        let guard = rcu::Guard::new();
        let ops = get!(self, inet_connection_sock, icsk_ca_ops);
        let ops = core::ptr::NonNull::new(ops)?;
        let ptr = ops.as_ptr();
        // SAFETY: `tcp_set_congestion_control()` and `tcp_cleanup_congestion_control()` give up the
        // module that `ops` lies in after the socket has stopped pointing to it, and
        // `tcp_unregister_congestion_control()` waits for readers before the module goes.
        let name = unsafe { field!(ptr, tcp_congestion_ops, name) };
        drop(guard);
        Some(ModuleName(name.map(|byte| byte as u8)))
    }

    /// TCP_ULP by name and, of kernel TLS with keys, what `sock_diag` tells: `tls_get_info()`.
    pub(crate) fn ulp(&self) -> Option<Ulp> {
        if get!(self, inet_connection_sock, icsk_ulp_ops).is_null() {
            return None;
        }
        let mut name = [0; bindings::TCP_ULP_NAME_MAX as usize];
        let guard = rcu::Guard::new();
        let ops = get!(self, inet_connection_sock, icsk_ulp_ops);
        let ops = core::ptr::NonNull::new(ops)?;
        let ptr = ops.as_ptr();
        // SAFETY: As for congestion control: `tcp_cleanup_ulp()` and `tcp_unregister_ulp()`, which
        // waits for readers by `synchronize_rcu()`.
        let found = unsafe { field!(ptr, tcp_ulp_ops, name) };
        for (to, from) in name.iter_mut().zip(found) {
            *to = from as u8;
        }
        let tls = if name.starts_with(b"tls\0") {
            let context = get!(self, inet_connection_sock, icsk_ulp_data);
            // SAFETY: A socket keeps the ULP that it was given, and that of this name sets the pointer
            // to a `struct tls_context` in `tls_ctx_create()`. `tls_ctx_free()` frees it by RCU; for
            // a socket with TLS in hardware, after it has left the locked bucket.
            core::ptr::NonNull::new(context).map(|context| unsafe { Tls::of(context.cast()) })
        } else {
            None
        };
        drop(guard);
        Some(Ulp {
            name: ModuleName(name),
            tls: tls.filter(Tls::has_keys),
        })
    }

    /// TCP_THIN_LINEAR_TIMEOUTS.
    pub(crate) fn thin_linear_timeouts(&self) -> Option<bool> {
        (get!(self, tcp_sock, thin_lto) != 0).then_some(true)
    }

    fn is_under_repair(&self) -> bool {
        get!(self, tcp_sock, repair) != 0
    }

    /// TCP_REPAIR.
    pub(crate) fn repair(&self) -> Option<bool> {
        self.is_under_repair().then_some(true)
    }

    /// TCP_FASTOPEN_CONNECT.
    pub(crate) fn fastopen_connect(&self) -> Option<bool> {
        (get!(self, tcp_sock, fastopen_connect) != 0).then_some(true)
    }

    /// TCP_FASTOPEN_NO_COOKIE.
    pub(crate) fn fastopen_no_cookie(&self) -> Option<bool> {
        (get!(self, tcp_sock, fastopen_no_cookie) != 0).then_some(true)
    }

    /// TCP_TX_DELAY in microseconds.
    pub(crate) fn tx_delay(&self) -> Option<u32> {
        unless(0, get!(self, tcp_sock, tcp_tx_delay))
    }

    /// TCP_NOTSENT_LOWAT in bytes, which getsockopt(2) returns with a sign.
    pub(crate) fn notsent_lowat(&self) -> Option<i32> {
        let bytes = unless(0, get!(self, tcp_sock, notsent_lowat) as i32)?;
        // `mptcp_sockopt_sync_locked()` gives subflows the largest number.
        (bytes != -1 || !self.was_subflow()).then_some(bytes)
    }

    /// TCP_INQ.
    pub(crate) fn inq(&self) -> Option<bool> {
        (get!(self, tcp_sock, recvmsg_inq) != 0).then_some(true)
    }

    /// TCP_SAVE_SYN.
    pub(crate) fn save_syn(&self) -> Option<u8> {
        unless(0, get!(self, tcp_sock, save_syn))
    }

    /// TCP_IS_MPTCP, of a subflow: what getsockopt(2) returns for the socket that owns it.
    #[cfg(CONFIG_MPTCP)]
    pub(crate) fn is_mptcp(&self) -> Option<bool> {
        (get!(self, tcp_sock, is_mptcp) != 0).then_some(true)
    }

    /// TCP_RTO_MAX_MS in milliseconds.
    pub(crate) fn rto_max(&self, defaults: &Defaults) -> Option<u32> {
        let jiffies = unless(
            defaults.rto_max,
            get!(self, inet_connection_sock, icsk_rto_max),
        )?;
        // SAFETY: A plain conversion.
        Some(unsafe { bindings::knetstat_jiffies_to_msecs(jiffies) })
    }

    /// TCP_RTO_MIN_US in microseconds.
    pub(crate) fn rto_min(&self, defaults: &Defaults) -> Option<u32> {
        let jiffies = unless(
            defaults.rto_min,
            get!(self, inet_connection_sock, icsk_rto_min),
        )?;
        // SAFETY: A plain conversion.
        Some(unsafe { bindings::knetstat_jiffies_to_usecs(jiffies) })
    }

    /// TCP_DELACK_MAX_US in microseconds.
    pub(crate) fn delack_max(&self) -> Option<u32> {
        let jiffies = unless(
            bindings::TCP_DELACK_MAX,
            get!(self, inet_connection_sock, icsk_delack_max),
        )?;
        // SAFETY: A plain conversion.
        Some(unsafe { bindings::knetstat_jiffies_to_usecs(jiffies) })
    }

    /// TCP_MD5SIG: the socket has keys. They are never shown.
    #[cfg(CONFIG_TCP_MD5SIG)]
    pub(crate) fn md5sig(&self) -> Option<bool> {
        if get!(self, tcp_sock, md5sig_info).is_null() {
            return None;
        }
        let _guard = rcu::Guard::new();
        let info = core::ptr::NonNull::new(get!(self, tcp_sock, md5sig_info))?;
        let ptr = info.as_ptr();
        // SAFETY: In a read section of RCU, by which `tcp_md5sig_info_free_rcu()` frees it.
        let first = unsafe { field!(ptr, tcp_md5sig_info, head.first) };
        (!first.is_null()).then_some(true)
    }

    /// TCP_AO: the socket uses the TCP Authentication Option. Keys are never shown.
    #[cfg(CONFIG_TCP_AO)]
    pub(crate) fn ao(&self) -> Option<bool> {
        (!get!(self, tcp_sock, ao_info).is_null()).then_some(true)
    }

    /// SO_TXREHASH.
    pub(crate) fn txrehash(&self, defaults: &Defaults) -> Option<u8> {
        unless(
            defaults.txrehash,
            get!(self, sock, sk_txrehash),
        )
    }
}

/// The name of a congestion control algorithm or of an upper layer protocol.
pub(crate) struct ModuleName([u8; bindings::TCP_CA_NAME_MAX as usize]);

impl Value for ModuleName {
    fn write(self, line: &mut Line<'_>) {
        Name(&self.0).write(line);
    }
}

/// The value of TCP_ULP: `tls|version:1.3|cipher:aes-gcm-128|rxconf:sw|txconf:sw`, in the
/// words of `ss`.
pub(crate) struct Ulp {
    name: ModuleName,
    tls: Option<Tls>,
}

impl Value for Ulp {
    fn write(self, line: &mut Line<'_>) {
        self.name.write(line);
        if let Some(tls) = self.tls {
            tls.write(line);
        }
    }
}

/// What a socket with kernel TLS was told. Keys are not read.
struct Tls {
    version: u16,
    cipher: u16,
    rx_conf: u8,
    tx_conf: u8,
    zerocopy: bool,
    no_pad: bool,
    max_payload: u16,
}

impl Tls {
    /// # Safety
    ///
    /// `context` must point to a `struct tls_context` that is not freed meanwhile.
    unsafe fn of(context: core::ptr::NonNull<bindings::tls_context>) -> Self {
        let ptr = context.as_ptr();
        // SAFETY: By the caller's promise.
        unsafe {
            Self {
                version: field!(ptr, tls_context, prot_info.version),
                cipher: field!(ptr, tls_context, prot_info.cipher_type),
                rx_conf: field!(ptr, tls_context, rx_conf),
                tx_conf: field!(ptr, tls_context, tx_conf),
                zerocopy: field!(ptr, tls_context, zerocopy_sendfile) != 0,
                no_pad: field!(ptr, tls_context, rx_no_pad) != 0,
                max_payload: field!(ptr, tls_context, tx_max_payload_len),
            }
        }
    }

    /// Whether one direction has keys. Where the kernel refused some, it remembers the version
    /// and the cipher all the same.
    fn has_keys(&self) -> bool {
        u32::from(self.rx_conf) != bindings::TLS_BASE
            || u32::from(self.tx_conf) != bindings::TLS_BASE
    }

    /// Appends the details to the name.
    fn write(&self, line: &mut Line<'_>) {
        line.str("|version:");
        match u32::from(self.version) {
            bindings::TLS_1_2_VERSION => line.str("1.2"),
            bindings::TLS_1_3_VERSION => line.str("1.3"),
            other => Hex(other).write(line),
        }
        line.str("|cipher:");
        match u32::from(self.cipher) {
            bindings::TLS_CIPHER_AES_GCM_128 => line.str("aes-gcm-128"),
            bindings::TLS_CIPHER_AES_GCM_256 => line.str("aes-gcm-256"),
            bindings::TLS_CIPHER_AES_CCM_128 => line.str("aes-ccm-128"),
            bindings::TLS_CIPHER_CHACHA20_POLY1305 => line.str("chacha20-poly1305"),
            bindings::TLS_CIPHER_SM4_GCM => line.str("sm4-gcm"),
            bindings::TLS_CIPHER_SM4_CCM => line.str("sm4-ccm"),
            bindings::TLS_CIPHER_ARIA_GCM_128 => line.str("aria-gcm-128"),
            bindings::TLS_CIPHER_ARIA_GCM_256 => line.str("aria-gcm-256"),
            other => Hex(other).write(line),
        }
        for (name, conf) in [("|rxconf:", self.rx_conf), ("|txconf:", self.tx_conf)] {
            line.str(name);
            line.str(match u32::from(conf) {
                bindings::TLS_BASE => "none",
                bindings::TLS_SW => "sw",
                bindings::TLS_HW => "hw",
                _ => "?",
            });
        }
        if u32::from(self.tx_conf) == bindings::TLS_HW && self.zerocopy {
            line.str("|zc_ro_tx");
        }
        if self.no_pad {
            line.str("|no_pad_rx");
        }
        if !matches!(
            u32::from(self.max_payload),
            0 | bindings::TLS_MAX_PAYLOAD_SIZE
        ) {
            line.str("|tx_max_payload_len:");
            line.unsigned(u64::from(self.max_payload));
        }
    }
}

impl Listener<'_> {
    /// TCP_FASTOPEN: the limit of unfinished Fast Open requests. By `net.ipv4.tcp_fastopen`,
    /// listen(2) may set it to the backlog, see `__inet_listen_sk()`.
    pub(crate) fn fastopen(&self, defaults: &Defaults) -> Option<i32> {
        let limit = unless(
            0,
            get!(
                self,
                inet_connection_sock,
                icsk_accept_queue.fastopenq.max_qlen
            ),
        )?;
        let set_by_listen = defaults.fastopen_by_listen && limit as u32 == self.backlog();
        (!set_by_listen).then_some(limit)
    }

    /// TCP_WINDOW_CLAMP in bytes. On a connection the kernel adjusts it, and it cannot be
    /// told whether the process did.
    pub(crate) fn window_clamp(&self) -> Option<u32> {
        unless(0, get!(self, tcp_sock, window_clamp))
    }

    /// SO_INCOMING_CPU.
    pub(crate) fn incoming_cpu(&self) -> Option<i32> {
        self.incoming_cpu_field()
    }
}

/// Declares options that are a bit of `inet_flags` each.
macro_rules! inet_flags {
    ($($(#[$meta:meta])* $name:ident: $flag:ident, default $default:literal;)*) => {$(
        $(#[$meta])*
        pub(crate) fn $name(&self) -> Option<bool> {
            unless($default, self.inet_flag(bindings::$flag))
        }
    )*};
}

/// IPPROTO_IP
impl<'b> Sock<'b> {
    fn inet_flags(&self) -> u64 {
        get!(self, inet_sock, inet_flags)
    }

    /// `inet_test_bit()`.
    fn inet_flag(&self, flag: u32) -> bool {
        self.inet_flags() >> flag & 1 == 1
    }

    /// Whether one of the options that are a bit of `inet_flags` is not at its default,
    /// on a socket of IPv4 or IPv6.
    pub(crate) fn has_inet_flags(&self) -> bool {
        const LOOP: u64 = 1 << bindings::INET_FLAGS_MC_LOOP;
        const ALL: u64 = LOOP
            | 1 << bindings::INET_FLAGS_MC_ALL
            | 1 << bindings::INET_FLAGS_PKTINFO
            | 1 << bindings::INET_FLAGS_TTL
            | 1 << bindings::INET_FLAGS_TOS
            | 1 << bindings::INET_FLAGS_RECVOPTS
            | 1 << bindings::INET_FLAGS_RETOPTS
            | 1 << bindings::INET_FLAGS_PASSSEC
            | 1 << bindings::INET_FLAGS_ORIGDSTADDR
            | 1 << bindings::INET_FLAGS_CHECKSUM
            | 1 << bindings::INET_FLAGS_RECVFRAGSIZE
            | 1 << bindings::INET_FLAGS_RECVERR
            | 1 << bindings::INET_FLAGS_RECVERR_RFC4884
            | 1 << bindings::INET_FLAGS_FREEBIND
            | 1 << bindings::INET_FLAGS_TRANSPARENT
            | 1 << bindings::INET_FLAGS_BIND_ADDRESS_NO_PORT;
        let all_groups = u64::from(self.gets_all_groups()) << bindings::INET_FLAGS_MC_ALL;
        self.inet_flags() & ALL != LOOP | all_groups
    }

    /// Whether IP_MULTICAST_ALL is on by default: `inet_create()` sets it,
    /// `inet6_create()` does not.
    fn gets_all_groups(&self) -> bool {
        !self.is_inet6()
    }

    /// IP_MULTICAST_ALL.
    pub(crate) fn ip_multicast_all(&self) -> Option<bool> {
        unless(
            self.gets_all_groups(),
            self.inet_flag(bindings::INET_FLAGS_MC_ALL),
        )
    }

    inet_flags! {
        /// IP_PKTINFO.
        ip_pktinfo: INET_FLAGS_PKTINFO, default false;
        /// IP_RECVTTL.
        ip_recvttl: INET_FLAGS_TTL, default false;
        /// IP_RECVTOS.
        ip_recvtos: INET_FLAGS_TOS, default false;
        /// IP_RECVOPTS.
        ip_recvopts: INET_FLAGS_RECVOPTS, default false;
        /// IP_RETOPTS.
        ip_retopts: INET_FLAGS_RETOPTS, default false;
        /// IP_PASSSEC.
        ip_passsec: INET_FLAGS_PASSSEC, default false;
        /// IP_RECVORIGDSTADDR.
        ip_recvorigdstaddr: INET_FLAGS_ORIGDSTADDR, default false;
        /// IP_CHECKSUM.
        ip_checksum: INET_FLAGS_CHECKSUM, default false;
        /// IP_RECVFRAGSIZE.
        ip_recvfragsize: INET_FLAGS_RECVFRAGSIZE, default false;
        /// IP_RECVERR.
        ip_recverr: INET_FLAGS_RECVERR, default false;
        /// IP_RECVERR_RFC4884.
        ip_recverr_rfc4884: INET_FLAGS_RECVERR_RFC4884, default false;
        /// IP_FREEBIND, which is IPV6_FREEBIND as well.
        ip_freebind: INET_FLAGS_FREEBIND, default false;
        /// IP_MULTICAST_LOOP.
        ip_multicast_loop: INET_FLAGS_MC_LOOP, default true;
        /// IP_TRANSPARENT, which is IPV6_TRANSPARENT as well.
        ip_transparent: INET_FLAGS_TRANSPARENT, default false;
        /// IP_BIND_ADDRESS_NO_PORT.
        ip_bind_address_no_port: INET_FLAGS_BIND_ADDRESS_NO_PORT, default false;
    }

    /// IP_TTL.
    pub(crate) fn ip_ttl(&self) -> Option<i16> {
        let ttl = get!(self, inet_sock, uc_ttl);
        (ttl >= 0).then_some(ttl)
    }

    /// IP_MINTTL.
    pub(crate) fn ip_minttl(&self) -> Option<u8> {
        unless(0, get!(self, inet_sock, min_ttl))
    }

    /// IP_MULTICAST_TTL.
    pub(crate) fn ip_multicast_ttl(&self) -> Option<u8> {
        unless(1, get!(self, inet_sock, mc_ttl))
    }

    /// IP_MTU_DISCOVER.
    pub(crate) fn ip_mtu_discover(&self, defaults: &Defaults) -> Option<u8> {
        unless(defaults.pmtudisc, get!(self, inet_sock, pmtudisc))
    }

    /// A type of service or traffic class, where the process set it: on TCP the last two
    /// bits are the kernel's, for ECN, and setsockopt(2) leaves them as they are.
    fn traffic_class(&self, class: u8) -> Option<Hex> {
        let is_tcp = self.inet_flag(bindings::INET_FLAGS_IS_ICSK);
        let kernels = if is_tcp {
            bindings::INET_ECN_MASK
        } else {
            0
        };
        let class = u32::from(class);
        (class & !kernels != 0).then_some(Hex(class))
    }

    /// IP_TOS.
    pub(crate) fn ip_tos(&self) -> Option<Hex> {
        self.traffic_class(get!(self, inet_sock, tos))
    }

    /// IP_OPTIONS: there are some. They are not shown.
    pub(crate) fn ip_options(&self) -> Option<bool> {
        if get!(self, inet_sock, inet_opt).is_null() {
            return None;
        }
        let _guard = rcu::Guard::new();
        let options = core::ptr::NonNull::new(get!(self, inet_sock, inet_opt))?;
        let ptr = options.as_ptr();
        // SAFETY: In a read section of RCU, by which `do_ip_setsockopt()` frees them. What else frees
        // them, `inet_sock_destruct()`, runs after the socket has left the locked bucket.
        let length = unsafe { field!(ptr, ip_options_rcu, opt.optlen) };
        (length != 0).then_some(true)
    }

    /// IP_UNICAST_IF by name, where getsockopt(2) returns the number in network byte order.
    pub(crate) fn ip_unicast_if<'n>(&self, viewer: &Viewer<'n>) -> Option<Device<'n>> {
        device(viewer.net, get!(self, inet_sock, uc_index))
    }

    /// IP_MULTICAST_IF: the address, and the interface, which getsockopt(2) leaves out.
    pub(crate) fn ip_multicast_if<'n>(&self, viewer: &Viewer<'n>) -> Option<Scoped<'n>> {
        let address = ipv4(get!(self, inet_sock, mc_addr));
        let device = device(viewer.net, get!(self, inet_sock, mc_index));
        (device.is_some() || address != IpAddr::V4(Ipv4Addr::UNSPECIFIED))
            .then_some(Scoped { address, device })
    }

    /// IP_LOCAL_PORT_RANGE, where getsockopt(2) returns both ends in one number.
    pub(crate) fn ip_local_port_range(&self) -> Option<Range> {
        let range = unless(0, get!(self, inet_sock, local_port_range))?;
        Some(Range {
            first: range as u16,
            last: (range >> 16) as u16,
        })
    }

    /// IP_ADD_MEMBERSHIP: the multicast groups of the socket, each with its interface.
    pub(crate) fn ip_memberships<'n>(&self, viewer: &Viewer<'n>) -> Option<Groups4<'b, 'n>> {
        (!get!(self, inet_sock, mc_list).is_null()).then_some(Groups4 {
            sk: *self,
            net: viewer.net,
        })
    }

    /// The view of the fields that IPv6 adds.
    #[cfg(CONFIG_IPV6)]
    pub(crate) fn inet6(&self) -> Option<Inet6<'b>> {
        if !self.is_inet6() {
            return None;
        }
        // IPV6_ADDRFORM clears the pointer before it changes the family.
        let ptr = core::ptr::NonNull::new(get!(self, inet_sock, pinet6))?;
        // INVARIANT: `inet6_sk_generic()`: the structure lies in the same allocation as the socket.
        Some(Inet6 { sk: *self, ptr })
    }
}

/// Writes a list of groups, joined by `+`.
fn write_groups<'n>(line: &mut Line<'_>, groups: impl Iterator<Item = Scoped<'n>>) {
    for (i, group) in groups.take(MAX_GROUPS + 1).enumerate() {
        if i > 0 {
            line.str("+");
        }
        if i == MAX_GROUPS {
            line.str("...");
        } else {
            group.write(line);
        }
    }
}

/// The value of IP_ADD_MEMBERSHIP: `224.0.0.251%eth0+224.0.1.1%eth1`.
pub(crate) struct Groups4<'b, 'n> {
    sk: Sock<'b>,
    net: Net<'n>,
}

impl Value for Groups4<'_, '_> {
    fn write(self, line: &mut Line<'_>) {
        let _guard = rcu::Guard::new();
        let mut next = get!(self.sk, inet_sock, mc_list);
        let groups = core::iter::from_fn(|| {
            let entry = core::ptr::NonNull::new(next)?.as_ptr();
            // SAFETY: In a read section of RCU, by which `ip_mc_leave_group()` and
            // `ip_mc_drop_socket()` free the entries of the list.
            let (group, index) = unsafe {
                next = field!(entry, ip_mc_socklist, next_rcu);
                (
                    field!(entry, ip_mc_socklist, multi.imr_multiaddr.s_addr),
                    field!(entry, ip_mc_socklist, multi.imr_ifindex),
                )
            };
            Some(Scoped {
                address: ipv4(group),
                device: device(self.net, index),
            })
        });
        write_groups(line, groups);
    }
}

/// A full IPv6 socket.
///
/// # Invariants
///
/// `ptr` points to the `struct ipv6_pinfo` of the socket, which lives as long as it.
#[cfg(CONFIG_IPV6)]
#[derive(Clone, Copy)]
pub(crate) struct Inet6<'b> {
    sk: Sock<'b>,
    ptr: core::ptr::NonNull<bindings::ipv6_pinfo>,
}

#[cfg(CONFIG_IPV6)]
impl<'b> Deref for Inet6<'b> {
    type Target = Sock<'b>;

    fn deref(&self) -> &Sock<'b> {
        &self.sk
    }
}

/// Declares options that are a bit of `rxopt` each.
#[cfg(CONFIG_IPV6)]
macro_rules! rxopt_bits {
    ($($(#[$meta:meta])* $name:ident: $bit:ident;)*) => {$(
        $(#[$meta])*
        pub(crate) fn $name(&self) -> Option<bool> {
            (np!(self, rxopt.bits.$bit) != 0).then_some(true)
        }
    )*};
}

/// Declares options that are an extension header each.
#[cfg(CONFIG_IPV6)]
macro_rules! headers {
    ($($(#[$meta:meta])* $name:ident: $field:ident;)*) => {$(
        $(#[$meta])*
        pub(crate) fn $name(&self) -> Option<bool> {
            let _guard = rcu::Guard::new();
            let options = core::ptr::NonNull::new(np!(self, opt))?;
            let ptr = options.as_ptr();
            // SAFETY: In a read section of RCU, by which `txopt_put()` frees them.
            let header = unsafe { field!(ptr, ipv6_txoptions, $field) };
            (!header.is_null()).then_some(true)
        }
    )*};
}

/// Reads a field of `struct ipv6_pinfo`.
#[cfg(CONFIG_IPV6)]
macro_rules! np {
    ($view:expr, $($field:ident).+) => {{
        let ptr = $view.ptr.as_ptr();
        // SAFETY: By the type invariant of `Inet6`, and the socket is alive in the locked bucket.
        unsafe { field!(ptr, ipv6_pinfo, $($field).+) }
    }};
}

/// IPPROTO_IPV6
#[cfg(CONFIG_IPV6)]
impl<'b> Inet6<'b> {
    /// Whether one of the options that are a bit of `rxopt` is on.
    pub(crate) fn has_rxopt(&self) -> bool {
        np!(self, rxopt.all) != 0
    }

    rxopt_bits! {
        /// IPV6_RECVPKTINFO.
        recvpktinfo: rxinfo;
        /// IPV6_2292PKTINFO.
        pktinfo_2292: rxoinfo;
        /// IPV6_RECVHOPLIMIT.
        recvhoplimit: rxhlim;
        /// IPV6_2292HOPLIMIT.
        hoplimit_2292: rxohlim;
        /// IPV6_RECVRTHDR.
        recvrthdr: srcrt;
        /// IPV6_2292RTHDR.
        rthdr_2292: osrcrt;
        /// IPV6_RECVHOPOPTS.
        recvhopopts: hopopts;
        /// IPV6_2292HOPOPTS.
        hopopts_2292: ohopopts;
        /// IPV6_RECVDSTOPTS.
        recvdstopts: dstopts;
        /// IPV6_2292DSTOPTS.
        dstopts_2292: odstopts;
        /// IPV6_RECVTCLASS.
        recvtclass: rxtclass;
        /// IPV6_FLOWINFO.
        flowinfo: rxflow;
        /// IPV6_RECVPATHMTU.
        recvpathmtu: rxpmtu;
        /// IPV6_RECVORIGDSTADDR.
        recvorigdstaddr: rxorigdstaddr;
        /// IPV6_RECVFRAGSIZE.
        recvfragsize: recvfragsize;
    }

    /// Whether one of the IPv6 options that are a bit of `inet_flags` is not at its default.
    pub(crate) fn has_inet6_flags(&self) -> bool {
        const ON: u64 = 1 << bindings::INET_FLAGS_MC6_LOOP | 1 << bindings::INET_FLAGS_MC6_ALL;
        const ALL: u64 = ON
            | 1 << bindings::INET_FLAGS_AUTOFLOWLABEL_SET
            | 1 << bindings::INET_FLAGS_DONTFRAG
            | 1 << bindings::INET_FLAGS_RECVERR6
            | 1 << bindings::INET_FLAGS_RECVERR6_RFC4884
            | 1 << bindings::INET_FLAGS_SNDFLOW
            | 1 << bindings::INET_FLAGS_FREEBIND
            | 1 << bindings::INET_FLAGS_TRANSPARENT;
        self.inet_flags() & ALL != ON
    }

    inet_flags! {
        /// IPV6_MULTICAST_LOOP.
        multicast_loop: INET_FLAGS_MC6_LOOP, default true;
        /// IPV6_MULTICAST_ALL.
        multicast_all: INET_FLAGS_MC6_ALL, default true;
        /// IPV6_RECVERR.
        recverr: INET_FLAGS_RECVERR6, default false;
        /// IPV6_RECVERR_RFC4884.
        recverr_rfc4884: INET_FLAGS_RECVERR6_RFC4884, default false;
        /// IPV6_FLOWINFO_SEND.
        flowinfo_send: INET_FLAGS_SNDFLOW, default false;
        /// IPV6_DONTFRAG.
        dontfrag: INET_FLAGS_DONTFRAG, default false;
    }

    /// IPV6_AUTOFLOWLABEL, where it was set.
    pub(crate) fn autoflowlabel(&self) -> Option<bool> {
        self.inet_flag(bindings::INET_FLAGS_AUTOFLOWLABEL_SET)
            .then(|| self.inet_flag(bindings::INET_FLAGS_AUTOFLOWLABEL))
    }

    /// IPV6_V6ONLY. bind(2) to an address of IPv6 sets it, see `__inet6_bind()`.
    pub(crate) fn v6only(&self, defaults: &Defaults) -> Option<bool> {
        let (address, _) = self.local();
        let is_mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        let set_by_bind = !is_mapped && self.user_locked(bindings::SOCK_BINDADDR_LOCK);
        unless(
            defaults.v6only || set_by_bind,
            get!(self, sock_common, skc_ipv6only) != 0,
        )
    }

    /// IPV6_TCLASS.
    pub(crate) fn tclass(&self) -> Option<Hex> {
        self.traffic_class(np!(self, tclass))
    }

    /// Whether the process gave the socket extension headers to send.
    pub(crate) fn has_headers(&self) -> bool {
        !np!(self, opt).is_null()
    }

    headers! {
        /// IPV6_HOPOPTS: there are some. They are not shown.
        hopopts: hopopt;
        /// IPV6_RTHDRDSTOPTS: there are some.
        rthdrdstopts: dst0opt;
        /// IPV6_RTHDR: there is one.
        rthdr: srcrt;
        /// IPV6_DSTOPTS: there are some.
        dstopts: dst1opt;
    }

    /// IPV6_UNICAST_HOPS.
    pub(crate) fn unicast_hops(&self) -> Option<i16> {
        let hops = np!(self, hop_limit);
        (hops >= 0).then_some(hops)
    }

    /// IPV6_MULTICAST_HOPS.
    pub(crate) fn multicast_hops(&self) -> Option<u8> {
        unless(
            bindings::IPV6_DEFAULT_MCASTHOPS as u8,
            np!(self, mcast_hops),
        )
    }

    /// IPV6_MULTICAST_IF by name, where getsockopt(2) returns the number.
    pub(crate) fn multicast_if<'n>(&self, viewer: &Viewer<'n>) -> Option<Device<'n>> {
        device(viewer.net, np!(self, mcast_oif))
    }

    /// IPV6_UNICAST_IF by name, where getsockopt(2) returns the number in network byte
    /// order.
    pub(crate) fn unicast_if<'n>(&self, viewer: &Viewer<'n>) -> Option<Device<'n>> {
        device(viewer.net, np!(self, ucast_oif))
    }

    /// IPV6_MTU_DISCOVER.
    pub(crate) fn mtu_discover(&self) -> Option<u8> {
        unless(bindings::IPV6_PMTUDISC_WANT as u8, np!(self, pmtudisc))
    }

    /// IPV6_MTU in bytes, as the process set it: getsockopt(2) returns what the path has.
    pub(crate) fn mtu(&self) -> Option<u32> {
        unless(0, np!(self, frag_size))
    }

    /// IPV6_ADDR_PREFERENCES.
    pub(crate) fn addr_preferences(&self) -> Option<Hex> {
        let set = u32::from(unless(0, np!(self, srcprefs))?);
        let public = if set & bindings::IPV6_PREFER_SRC_TMP != 0 {
            bindings::IPV6_PREFER_SRC_TMP
        } else if set & bindings::IPV6_PREFER_SRC_PUBLIC != 0 {
            bindings::IPV6_PREFER_SRC_PUBLIC
        } else {
            bindings::IPV6_PREFER_SRC_PUBTMP_DEFAULT
        };
        let home = if set & bindings::IPV6_PREFER_SRC_COA != 0 {
            bindings::IPV6_PREFER_SRC_COA
        } else {
            bindings::IPV6_PREFER_SRC_HOME
        };
        Some(Hex(public | home))
    }

    /// IPV6_MINHOPCOUNT.
    pub(crate) fn minhopcount(&self) -> Option<u8> {
        unless(0, np!(self, min_hopcount))
    }

    /// IPV6_ADD_MEMBERSHIP: the multicast groups of the socket, each with its interface.
    pub(crate) fn memberships<'n>(&self, viewer: &Viewer<'n>) -> Option<Groups6<'b, 'n>> {
        (!np!(self, ipv6_mc_list).is_null()).then_some(Groups6 {
            sk: *self,
            net: viewer.net,
        })
    }
}

/// The value of IPV6_ADD_MEMBERSHIP: `ff02::fb%eth0`.
#[cfg(CONFIG_IPV6)]
pub(crate) struct Groups6<'b, 'n> {
    sk: Inet6<'b>,
    net: Net<'n>,
}

#[cfg(CONFIG_IPV6)]
impl Value for Groups6<'_, '_> {
    fn write(self, line: &mut Line<'_>) {
        let _guard = rcu::Guard::new();
        let mut next = np!(self.sk, ipv6_mc_list);
        let groups = core::iter::from_fn(|| {
            let entry = core::ptr::NonNull::new(next)?.as_ptr();
            // SAFETY: In a read section of RCU, by which `ipv6_sock_mc_drop()` and
            // `__ipv6_sock_mc_close()` free the entries of the list.
            let (group, index) = unsafe {
                next = field!(entry, ipv6_mc_socklist, next);
                (
                    field!(entry, ipv6_mc_socklist, addr),
                    field!(entry, ipv6_mc_socklist, ifindex),
                )
            };
            Some(Scoped {
                address: crate::sock::ipv6(group),
                device: device(self.net, index),
            })
        });
        write_groups(line, groups);
    }
}

/// SOL_UDP
impl Udp<'_> {
    /// Whether one of the options is on that are flags of their own.
    pub(crate) fn has_udp_flags(&self) -> bool {
        const ALL: u64 = 1 << bindings::UDP_FLAGS_CORK
            | 1 << bindings::UDP_FLAGS_NO_CHECK6_TX
            | 1 << bindings::UDP_FLAGS_NO_CHECK6_RX
            | 1 << bindings::UDP_FLAGS_GRO_ENABLED;
        get!(self, udp_sock, udp_flags) & ALL != 0
    }

    /// `udp_test_bit()`.
    fn udp_flag(&self, flag: u32) -> Option<bool> {
        (get!(self, udp_sock, udp_flags) >> flag & 1 == 1).then_some(true)
    }

    /// UDP_CORK.
    pub(crate) fn cork(&self) -> Option<bool> {
        self.udp_flag(bindings::UDP_FLAGS_CORK)
    }

    /// UDP_ENCAP.
    pub(crate) fn encap(&self) -> Option<u8> {
        unless(0, get!(self, udp_sock, encap_type))
    }

    /// UDP_NO_CHECK6_TX.
    pub(crate) fn no_check6_tx(&self) -> Option<bool> {
        self.udp_flag(bindings::UDP_FLAGS_NO_CHECK6_TX)
    }

    /// UDP_NO_CHECK6_RX.
    pub(crate) fn no_check6_rx(&self) -> Option<bool> {
        self.udp_flag(bindings::UDP_FLAGS_NO_CHECK6_RX)
    }

    /// UDP_SEGMENT in bytes.
    pub(crate) fn segment(&self) -> Option<u16> {
        unless(0, get!(self, udp_sock, gso_size))
    }

    /// UDP_GRO.
    pub(crate) fn gro(&self) -> Option<bool> {
        self.udp_flag(bindings::UDP_FLAGS_GRO_ENABLED)
    }

    /// SO_INCOMING_CPU of a socket that is not connected.
    pub(crate) fn incoming_cpu(&self) -> Option<i32> {
        let (_, port) = self.foreign();
        (port == 0).then(|| self.incoming_cpu_field()).flatten()
    }
}

/// A timeout in jiffies as `sock_get_timeout()` tells it, `None` for no limit.
fn timeout(jiffies: i64) -> Option<Milliseconds> {
    let jiffies = unless(bindings::MAX_SCHEDULE_TIMEOUT as i64, jiffies)?;
    let jiffies = u64::try_from(jiffies).unwrap_or(0);
    let hz = u64::from(HZ);
    let seconds = jiffies / hz;
    let rest = (jiffies % hz) * 1000 / hz;
    Some(Milliseconds(
        seconds.saturating_mul(1000).saturating_add(rest),
    ))
}
