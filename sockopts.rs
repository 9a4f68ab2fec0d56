// SPDX-License-Identifier: GPL-2.0

//! The table of socket options. It lists the name of each option, the sockets it applies to, its
//! field, when it is shown, and how its value reads.
//!
//! Options are shown in the order of the table. `sockopts/getsockopt.rs` computes the values that
//! need more than one field.

pub(crate) mod getsockopt;
pub(crate) mod language;

use crate::abstractions::ns::Reader;
use crate::format::{
    label,
    List, //
};
use crate::sockets::sock::{
    Connection,
    Listener,
    Sock,
    Tcp,
    Udp, //
};
use core::ptr::null_mut;
#[allow(unused_imports, reason = "not every kernel has every option")]
use getsockopt::{
    jiffies_to_msecs,
    jiffies_to_usecs,
    seconds,
    signed,
    Defaults,
    DELACK_MAX,
    MAX_TIMEOUT, //
};
#[cfg(CONFIG_IPV6)]
use getsockopt::{
    Ipv6,
    IPV6_MCASTHOPS,
    IPV6_PMTUDISC, //
};
use language::options;

/// The data that values depend on besides the socket.
pub(crate) struct Context<'c, 'n> {
    /// The process that reads the file.
    pub(crate) reader: &'c Reader<'n>,
    /// The values that a fresh socket has.
    pub(crate) defaults: &'c Defaults,
}

/// A socket as the table sees it: the views that apply to it.
#[derive(Clone, Copy)]
pub(crate) struct Views<'b> {
    any: Option<Sock<'b>>,
    #[cfg(CONFIG_IPV6)]
    inet6: Option<Ipv6<'b>>,
    #[cfg(CONFIG_IPV6)]
    udp6: Option<Ipv6<'b>>,
    tcp: Option<Tcp<'b>>,
    listener: Option<Listener<'b>>,
    udp: Option<Udp<'b>>,
}

impl<'b> Views<'b> {
    fn new(sk: Sock<'b>) -> Self {
        Self {
            any: Some(sk),
            #[cfg(CONFIG_IPV6)]
            inet6: sk.ipv6(),
            #[cfg(CONFIG_IPV6)]
            udp6: None,
            tcp: None,
            listener: None,
            udp: None,
        }
    }

    /// A TCP socket that does not listen.
    pub(crate) fn connection(sk: Connection<'b>) -> Self {
        Self {
            tcp: Some(*sk),
            ..Self::new(**sk)
        }
    }

    /// A listening TCP socket.
    pub(crate) fn listener(sk: Listener<'b>) -> Self {
        Self {
            tcp: Some(*sk),
            listener: Some(sk),
            ..Self::new(**sk)
        }
    }

    /// A UDP socket.
    pub(crate) fn udp(sk: Udp<'b>) -> Self {
        let views = Self::new(*sk);
        Self {
            udp: Some(sk),
            #[cfg(CONFIG_IPV6)]
            udp6: views.inet6,
            ..views
        }
    }
}

// `sockopts/language.rs` explains the syntax.
options! {
    (sk, cx)

    // The options of the C module, in its order.
    any => {
        SO_REUSEADDR: sock_common.skc_reuse, always;
        SO_REUSEPORT: sock_common.skc_reuseport, always;
    }
    tcp => {
        SO_KEEPALIVE: sock_common.skc_flags, always sk.keepalive();
        TCP_KEEPIDLE: tcp_sock.keepalive_time unless 0, map seconds;
        TCP_KEEPCNT: tcp_sock.keepalive_probes unless 0;
        TCP_KEEPINTVL: tcp_sock.keepalive_intvl unless 0, map seconds;
        TCP_USER_TIMEOUT: inet_connection_sock.icsk_user_timeout unless 0;
    }
    any => {
        SO_RCVBUF: sock.sk_userlocks unless 0, set sk.rcvbuf();
        SO_SNDBUF: sock.sk_userlocks unless 0, set sk.sndbuf();
        SO_RCVTIMEO: sock.sk_rcvtimeo unless (MAX_TIMEOUT), set sk.rcvtimeo();
        SO_SNDTIMEO: sock.sk_sndtimeo unless (MAX_TIMEOUT), set sk.sndtimeo();
        SO_LINGER: sock_common.skc_flags unless 0, set sk.linger();
    }
    tcp => {
        TCP_NODELAY: tcp_sock.nonagle, always sk.nodelay();
    }
    listener => {
        TCP_FASTOPEN: inet_connection_sock.icsk_accept_queue.fastopenq.max_qlen, always;
    }
    tcp => {
        TCP_DEFER_ACCEPT: inet_connection_sock.icsk_accept_queue.rskq_defer_accept,
            always sk.defer_accept();
    }
    udp => {
        SO_BROADCAST: sock_common.skc_flags, always sk.broadcast();
    }

    // SOL_SOCKET
    udp (flags sk.flags(), 0) => {
        SO_KEEPALIVE: SOCK_KEEPOPEN;
    }
    tcp (flags sk.flags(), 0) => {
        SO_BROADCAST: SOCK_BROADCAST;
    }
    any (flags sk.flags(), 0) => {
        SO_DEBUG: SOCK_DBG;
        SO_DONTROUTE: SOCK_LOCALROUTE;
        SO_OOBINLINE: SOCK_URGINLINE;
        SO_TIMESTAMP: SOCK_RCVTSTAMP, set sk.timestamp();
        SO_TIMESTAMP_NEW: SOCK_RCVTSTAMP, set sk.timestamp_new();
        SO_TIMESTAMPNS: SOCK_RCVTSTAMPNS, set sk.timestampns();
        SO_TIMESTAMPNS_NEW: SOCK_RCVTSTAMPNS, set sk.timestampns_new();
        #[cfg(knetstat_has = "SO_RCVMARK")]
        SO_RCVMARK: SOCK_RCVMARK;
        #[cfg(knetstat_has = "SO_RCVPRIORITY")]
        SO_RCVPRIORITY: SOCK_RCVPRIORITY;
        SO_RXQ_OVFL: SOCK_RXQ_OVFL;
        SO_WIFI_STATUS: SOCK_WIFI_STATUS;
        SO_NOFCS: SOCK_NOFCS;
        SO_LOCK_FILTER: SOCK_FILTER_LOCKED;
        SO_SELECT_ERR_QUEUE: SOCK_SELECT_ERR_QUEUE;
        SO_ZEROCOPY: SOCK_ZEROCOPY;
        SO_TXTIME: SOCK_TXTIME, set sk.txtime();
    }
    any (rare) => {
        SO_NO_CHECK: sock.sk_no_check_tx unless 0;
        SO_PRIORITY: sock.sk_priority unless 0, map signed;
        SO_TIMESTAMPING: sock.sk_tsflags unless 0, set sk.timestamping();
    }
    tcp (rare) => {
        SO_RCVLOWAT: sock.sk_rcvlowat unless 1, set sk.rcvlowat();
    }
    udp => {
        SO_RCVLOWAT: sock.sk_rcvlowat unless 1;
    }
    any (rare) => {
        SO_MARK: sock.sk_mark unless 0, set sk.mark(cx.reader);
        SO_PEEK_OFF: sock.sk_peek_off unless (-1);
        SO_BINDTODEVICE: sock_common.skc_bound_dev_if unless 0, set sk.bindtodevice();
        SO_ATTACH_FILTER: sock.sk_filter unless (null_mut()), set sk.attach_filter();
        SO_ATTACH_BPF: sock.sk_filter unless (null_mut()), set sk.attach_bpf();
        SO_ATTACH_REUSEPORT_CBPF: sock.sk_reuseport_cb unless (null_mut()),
            set sk.attach_reuseport_cbpf();
        SO_ATTACH_REUSEPORT_EBPF: sock.sk_reuseport_cb unless (null_mut()),
            set sk.attach_reuseport_ebpf();
        // A module cannot read the default, `net.core.busy_read`. If that sysctl is not 0, every
        // socket shows the option.
        #[cfg(CONFIG_NET_RX_BUSY_POLL)]
        SO_BUSY_POLL: sock.sk_ll_usec unless 0;
        #[cfg(CONFIG_NET_RX_BUSY_POLL)]
        #[cfg(knetstat_has = "SO_PREFER_BUSY_POLL")]
        SO_PREFER_BUSY_POLL: sock.sk_prefer_busy_poll unless 0;
        // getsockopt(2) does not support this option.
        #[cfg(CONFIG_NET_RX_BUSY_POLL)]
        #[cfg(knetstat_has = "SO_PREFER_BUSY_POLL")]
        SO_BUSY_POLL_BUDGET: sock.sk_busy_poll_budget unless 0;
        SO_MAX_PACING_RATE: sock.sk_max_pacing_rate unless (u64::MAX);
        #[cfg(knetstat_has = "SO_RESERVE_MEM")]
        SO_RESERVE_MEM: sock.sk_reserved_mem unless 0;
    }
    // On a connected socket, the kernel writes this field.
    listener => {
        SO_INCOMING_CPU: sock_common.skc_incoming_cpu unless (-1), set sk.incoming_cpu();
    }
    udp => {
        SO_INCOMING_CPU: sock_common.skc_incoming_cpu unless (-1), set sk.incoming_cpu();
    }
    #[cfg(knetstat_has = "SO_TXREHASH")]
    tcp (rare) => {
        SO_TXREHASH: sock.sk_txrehash unless (cx.defaults.txrehash), set sk.txrehash();
    }

    // IPPROTO_TCP
    tcp (rare) => {
        TCP_MAXSEG: tcp_sock.rx_opt.user_mss unless 0, set sk.maxseg();
        TCP_CORK: tcp_sock.nonagle unless (sk.without_cork()), set sk.cork();
        TCP_SYNCNT: inet_connection_sock.icsk_syn_retries unless 0;
        TCP_LINGER2: tcp_sock.linger2 unless 0, set sk.linger2();
    }
    // On a connection, the kernel adjusts this value.
    listener => {
        TCP_WINDOW_CLAMP: tcp_sock.window_clamp unless 0;
    }
    tcp => {
        TCP_QUICKACK: inet_connection_sock.icsk_ack.pingpong unless 0, set sk.quickack(cx.defaults);
    }
    tcp (rare) => {
        TCP_CONGESTION: inet_connection_sock.icsk_ca_ops unless (cx.defaults.congestion.ops())
            or inet_connection_sock.icsk_ca_setsockopt unless 0, set sk.congestion();
        TCP_ULP: inet_connection_sock.icsk_ulp_ops unless (null_mut()), set sk.ulp(cx.reader);
        TCP_THIN_LINEAR_TIMEOUTS: tcp_sock.thin_lto unless 0;
        TCP_REPAIR: tcp_sock.repair unless 0;
        TCP_FASTOPEN_CONNECT: tcp_sock.fastopen_connect unless 0;
        TCP_FASTOPEN_NO_COOKIE: tcp_sock.fastopen_no_cookie unless 0;
        TCP_TX_DELAY: tcp_sock.tcp_tx_delay unless 0;
        TCP_NOTSENT_LOWAT: tcp_sock.notsent_lowat unless 0, set sk.notsent_lowat();
        TCP_INQ: tcp_sock.recvmsg_inq unless 0;
        TCP_SAVE_SYN: tcp_sock.save_syn unless 0;
        #[cfg(CONFIG_MPTCP)]
        TCP_IS_MPTCP: tcp_sock.is_mptcp unless 0;
        #[cfg(knetstat_has = "TCP_RTO_MAX_MS")]
        TCP_RTO_MAX_MS: inet_connection_sock.icsk_rto_max unless (cx.defaults.rto_max),
            map jiffies_to_msecs;
        #[cfg(knetstat_has = "TCP_RTO_MIN_US")]
        TCP_RTO_MIN_US: inet_connection_sock.icsk_rto_min unless (cx.defaults.rto_min),
            map jiffies_to_usecs;
        #[cfg(knetstat_has = "TCP_DELACK_MAX_US")]
        TCP_DELACK_MAX_US: inet_connection_sock.icsk_delack_max unless (DELACK_MAX),
            map jiffies_to_usecs;
        #[cfg(CONFIG_TCP_MD5SIG)]
        TCP_MD5SIG: tcp_sock.md5sig_info unless (null_mut()), set sk.md5sig(cx.reader);
        #[cfg(CONFIG_TCP_AO)]
        TCP_AO: tcp_sock.ao_info unless (null_mut()), set sk.ao(cx.reader);
    }

    // IPPROTO_IP, which also applies to IPv6 sockets
    any (flags sk.inet_flags(), sk.default_inet_flags()) => {
        IP_PKTINFO: INET_FLAGS_PKTINFO;
        IP_RECVTTL: INET_FLAGS_TTL;
        IP_RECVTOS: INET_FLAGS_TOS;
        IP_RECVOPTS: INET_FLAGS_RECVOPTS;
        IP_RETOPTS: INET_FLAGS_RETOPTS;
        IP_PASSSEC: INET_FLAGS_PASSSEC;
        IP_RECVORIGDSTADDR: INET_FLAGS_ORIGDSTADDR;
        IP_CHECKSUM: INET_FLAGS_CHECKSUM;
        IP_RECVFRAGSIZE: INET_FLAGS_RECVFRAGSIZE;
        IP_RECVERR: INET_FLAGS_RECVERR;
        IP_RECVERR_RFC4884: INET_FLAGS_RECVERR_RFC4884;
        IP_FREEBIND: INET_FLAGS_FREEBIND;
        IP_MULTICAST_LOOP: INET_FLAGS_MC_LOOP;
        IP_MULTICAST_ALL: INET_FLAGS_MC_ALL;
        IP_TRANSPARENT: INET_FLAGS_TRANSPARENT;
        IP_BIND_ADDRESS_NO_PORT: INET_FLAGS_BIND_ADDRESS_NO_PORT;
    }
    any (rare) => {
        IP_TTL: inet_sock.uc_ttl unless (-1);
        IP_MINTTL: inet_sock.min_ttl unless 0;
        IP_MTU_DISCOVER: inet_sock.pmtudisc unless (cx.defaults.pmtudisc);
        IP_TOS: inet_sock.tos unless 0, set sk.ip_tos();
        IP_OPTIONS: inet_sock.inet_opt unless (null_mut()), set sk.ip_options();
        IP_UNICAST_IF: inet_sock.uc_index unless 0, set sk.ip_unicast_if();
        #[cfg(knetstat_has = "IP_LOCAL_PORT_RANGE")]
        IP_LOCAL_PORT_RANGE: inet_sock.local_port_range unless 0, set sk.ip_local_port_range();
    }
    // TCP cannot set these options, and stores values from the received SYN in the fields.
    udp => {
        IP_MULTICAST_TTL: inet_sock.mc_ttl unless 1;
        IP_MULTICAST_IF: inet_sock.mc_index unless 0 or inet_sock.mc_addr unless 0,
            set sk.ip_multicast_if();
    }
    // TCP can join groups by MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP and
    // IP_ADD_SOURCE_MEMBERSHIP.
    any (rare) => {
        IP_ADD_MEMBERSHIP: inet_sock.mc_list unless (null_mut()), set sk.ip_memberships();
    }

    // IPPROTO_IPV6
    #[cfg(CONFIG_IPV6)]
    inet6 => {
        IPV6_V6ONLY: sock_common.skc_ipv6only, set sk.v6only(cx.defaults);
    }
    #[cfg(CONFIG_IPV6)]
    inet6 (ipv6_pinfo.rxopt.all unless 0) => {
        IPV6_RECVPKTINFO: ipv6_pinfo.rxopt.bits.rxinfo unless 0;
        IPV6_2292PKTINFO: ipv6_pinfo.rxopt.bits.rxoinfo unless 0;
        IPV6_RECVHOPLIMIT: ipv6_pinfo.rxopt.bits.rxhlim unless 0;
        IPV6_2292HOPLIMIT: ipv6_pinfo.rxopt.bits.rxohlim unless 0;
        IPV6_RECVRTHDR: ipv6_pinfo.rxopt.bits.srcrt unless 0;
        IPV6_2292RTHDR: ipv6_pinfo.rxopt.bits.osrcrt unless 0;
        IPV6_RECVHOPOPTS: ipv6_pinfo.rxopt.bits.hopopts unless 0;
        IPV6_2292HOPOPTS: ipv6_pinfo.rxopt.bits.ohopopts unless 0;
        IPV6_RECVDSTOPTS: ipv6_pinfo.rxopt.bits.dstopts unless 0;
        IPV6_2292DSTOPTS: ipv6_pinfo.rxopt.bits.odstopts unless 0;
        IPV6_RECVTCLASS: ipv6_pinfo.rxopt.bits.rxtclass unless 0;
        IPV6_FLOWINFO: ipv6_pinfo.rxopt.bits.rxflow unless 0;
        IPV6_RECVPATHMTU: ipv6_pinfo.rxopt.bits.rxpmtu unless 0;
        IPV6_RECVORIGDSTADDR: ipv6_pinfo.rxopt.bits.rxorigdstaddr unless 0;
        IPV6_RECVFRAGSIZE: ipv6_pinfo.rxopt.bits.recvfragsize unless 0;
    }
    // The first two options share their flags with those of IPv4.
    #[cfg(CONFIG_IPV6)]
    inet6 (flags sk.inet_flags(), Ipv6::DEFAULT_FLAGS) => {
        IPV6_TRANSPARENT: INET_FLAGS_TRANSPARENT;
        IPV6_FREEBIND: INET_FLAGS_FREEBIND;
        IPV6_MULTICAST_LOOP: INET_FLAGS_MC6_LOOP;
        IPV6_MULTICAST_ALL: INET_FLAGS_MC6_ALL;
        IPV6_RECVERR: INET_FLAGS_RECVERR6;
        IPV6_RECVERR_RFC4884: INET_FLAGS_RECVERR6_RFC4884;
        IPV6_FLOWINFO_SEND: INET_FLAGS_SNDFLOW;
        IPV6_DONTFRAG: INET_FLAGS_DONTFRAG;
        IPV6_AUTOFLOWLABEL: INET_FLAGS_AUTOFLOWLABEL_SET, set sk.autoflowlabel();
    }
    #[cfg(CONFIG_IPV6)]
    inet6 => {
        IPV6_TCLASS: ipv6_pinfo.tclass unless 0, set sk.tclass();
        IPV6_UNICAST_HOPS: ipv6_pinfo.hop_limit unless (-1);
        IPV6_UNICAST_IF: ipv6_pinfo.ucast_oif unless 0, set sk.unicast_if();
        IPV6_MTU_DISCOVER: ipv6_pinfo.pmtudisc unless (IPV6_PMTUDISC);
        // The value that the process set: getsockopt(2) returns the MTU of the path.
        IPV6_MTU: ipv6_pinfo.frag_size unless 0;
        IPV6_ADDR_PREFERENCES: ipv6_pinfo.srcprefs unless 0, set sk.addr_preferences();
        IPV6_MINHOPCOUNT: ipv6_pinfo.min_hopcount unless 0;
    }
    #[cfg(CONFIG_IPV6)]
    inet6 (ipv6_pinfo.opt unless (null_mut())) => {
        IPV6_HOPOPTS: ipv6_pinfo.opt unless (null_mut()), set sk.hopopts();
        IPV6_RTHDRDSTOPTS: ipv6_pinfo.opt unless (null_mut()), set sk.rthdrdstopts();
        IPV6_RTHDR: ipv6_pinfo.opt unless (null_mut()), set sk.rthdr();
        IPV6_DSTOPTS: ipv6_pinfo.opt unless (null_mut()), set sk.dstopts();
    }
    // TCP cannot set these options either.
    #[cfg(CONFIG_IPV6)]
    udp6 => {
        IPV6_MULTICAST_HOPS: ipv6_pinfo.mcast_hops unless (IPV6_MCASTHOPS);
        IPV6_MULTICAST_IF: ipv6_pinfo.mcast_oif unless 0, set sk.multicast_if();
    }
    #[cfg(CONFIG_IPV6)]
    inet6 => {
        IPV6_ADD_MEMBERSHIP: ipv6_pinfo.ipv6_mc_list unless (null_mut()),
            set sk.memberships();
    }

    // SOL_UDP
    udp (flags sk.udp_flags(), 0) => {
        UDP_CORK: UDP_FLAGS_CORK;
        UDP_NO_CHECK6_TX: UDP_FLAGS_NO_CHECK6_TX;
        UDP_NO_CHECK6_RX: UDP_FLAGS_NO_CHECK6_RX;
        UDP_GRO: UDP_FLAGS_GRO_ENABLED;
    }
    udp => {
        UDP_ENCAP: udp_sock.encap_type unless 0;
        UDP_SEGMENT: udp_sock.gso_size unless 0;
    }
}
