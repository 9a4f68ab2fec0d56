// SPDX-License-Identifier: GPL-2.0

//! The table of socket options: name, the sockets it applies to, when it is shown,
//! where its value comes from.
//!
//! Options are shown in the order of the table. The functions that return the values are
//! in `getsockopt.rs`.

use crate::format::label;
use crate::format::List;
use crate::getsockopt::Defaults;
#[cfg(CONFIG_IPV6)]
use crate::getsockopt::Inet6;
use crate::ns::Viewer;
use crate::sock::Connection;
use crate::sock::Listener;
use crate::sock::Sock;
use crate::sock::Tcp;
use crate::sock::Udp;

/// What values depend on besides the socket.
pub(crate) struct Context<'c, 'n> {
    /// Who reads.
    pub(crate) viewer: &'c Viewer<'n>,
    /// What a fresh socket has.
    pub(crate) defaults: &'c Defaults,
}

/// A socket as the table sees it: the views that apply to it.
pub(crate) struct Subject<'b> {
    any: Option<Sock<'b>>,
    /// As `any`, on those few of which [`Sock::has_rare`] says that it is worth a look.
    rare: Option<Sock<'b>>,
    #[cfg(CONFIG_IPV6)]
    inet6: Option<Inet6<'b>>,
    #[cfg(CONFIG_IPV6)]
    udp6: Option<Inet6<'b>>,
    tcp: Option<Tcp<'b>>,
    /// As `tcp`, on those few of which [`Tcp::has_rare`] says that it is worth a look.
    rare_tcp: Option<Tcp<'b>>,
    listener: Option<Listener<'b>>,
    udp: Option<Udp<'b>>,
}

impl<'b> Subject<'b> {
    fn new(sk: Sock<'b>, cx: &Context<'_, '_>) -> Self {
        Self {
            any: Some(sk),
            rare: sk.has_rare(cx.defaults).then_some(sk),
            #[cfg(CONFIG_IPV6)]
            inet6: sk.inet6(),
            #[cfg(CONFIG_IPV6)]
            udp6: None,
            tcp: None,
            rare_tcp: None,
            listener: None,
            udp: None,
        }
    }

    fn tcp(sk: Tcp<'b>, cx: &Context<'_, '_>) -> Self {
        Self {
            tcp: Some(sk),
            rare_tcp: sk.has_rare(cx.defaults).then_some(sk),
            ..Self::new(*sk, cx)
        }
    }

    /// A TCP socket that does not listen.
    pub(crate) fn connection(sk: Connection<'b>, cx: &Context<'_, '_>) -> Self {
        Self::tcp(*sk, cx)
    }

    /// A listening TCP socket.
    pub(crate) fn listener(sk: Listener<'b>, cx: &Context<'_, '_>) -> Self {
        Self {
            listener: Some(sk),
            ..Self::tcp(*sk, cx)
        }
    }

    /// A UDP socket.
    pub(crate) fn udp(sk: Udp<'b>, cx: &Context<'_, '_>) -> Self {
        let subject = Self::new(*sk, cx);
        Self {
            udp: Some(sk),
            #[cfg(CONFIG_IPV6)]
            udp6: subject.inet6,
            ..subject
        }
    }
}

/// Groups of entries. `SOCKETS => { NAME: WHEN |sk| VALUE; }`: the sockets are a field of
/// [`Subject`]. An `always` value is shown on each of them, a `set` one is an `Option`,
/// `None` while the socket has the default. With `SOCKETS if |sk| CONDITION`, one look
/// spares the whole group on most sockets.
macro_rules! options {
    ($(
        $(#[$group_meta:meta])*
        $sockets:ident $(if |$all:ident| $condition:expr)? => {
            $($(#[$meta:meta])* $name:ident: $when:ident |$sk:ident $(, $context:ident)?| $value:expr;)*
        }
    )*) => {
        /// Appends the options of a socket to the list of its row.
        #[inline]
        pub(crate) fn show(subject: &Subject<'_>, cx: &Context<'_, '_>, list: &mut List<'_, '_>) {
            $(
                $(#[$group_meta])*
                if let Some(socket) = subject.$sockets {
                    let wanted = true $(&& { let $all = socket; $condition })?;
                    if wanted {
                        $(
                            $(#[$meta])*
                            {
                                let $sk = socket;
                                $(let $context = cx;)?
                                options!(@$when list, stringify!($name), $value);
                            }
                        )*
                    }
                }
            )*
        }
    };
    (@always $list:ident, $name:expr, $value:expr) => {
        $list.entry(label!($name), $value)
    };
    (@set $list:ident, $name:expr, $value:expr) => {
        if let Some(value) = $value {
            $list.rare_entry($name, value)
        }
    };
}

options! {
    // Those of the C module, in its order.
    any => {
        SO_REUSEADDR: always |sk| sk.reuse_addr();
        SO_REUSEPORT: always |sk| sk.reuse_port();
    }
    tcp => {
        SO_KEEPALIVE: always |sk| sk.keepalive();
        TCP_KEEPIDLE: set |sk| sk.keepidle();
        TCP_KEEPCNT: set |sk| sk.keepcnt();
        TCP_KEEPINTVL: set |sk| sk.keepintvl();
        TCP_USER_TIMEOUT: set |sk| sk.user_timeout();
    }
    any => {
        SO_RCVBUF: set |sk| sk.rcvbuf();
        SO_SNDBUF: set |sk| sk.sndbuf();
        SO_RCVTIMEO: set |sk| sk.rcvtimeo();
        SO_SNDTIMEO: set |sk| sk.sndtimeo();
        SO_LINGER: set |sk| sk.linger();
    }
    tcp => {
        TCP_NODELAY: always |sk| sk.nodelay();
    }
    listener => {
        TCP_FASTOPEN: set |sk, cx| sk.fastopen(cx.defaults);
    }
    tcp => {
        TCP_DEFER_ACCEPT: always |sk| sk.defer_accept();
    }
    udp => {
        SO_BROADCAST: always |sk| sk.broadcast();
    }

    // SOL_SOCKET
    udp if |sk| sk.keepalive() => {
        SO_KEEPALIVE: always |sk| sk.keepalive();
    }
    tcp if |sk| sk.broadcast() => {
        SO_BROADCAST: always |sk| sk.broadcast();
    }
    any if |sk| sk.has_flags() => {
        SO_DEBUG: set |sk| sk.debug();
        SO_DONTROUTE: set |sk| sk.dontroute();
        SO_OOBINLINE: set |sk| sk.oobinline();
        SO_TIMESTAMP: set |sk| sk.timestamp();
        SO_TIMESTAMP_NEW: set |sk| sk.timestamp_new();
        SO_TIMESTAMPNS: set |sk| sk.timestampns();
        SO_TIMESTAMPNS_NEW: set |sk| sk.timestampns_new();
        SO_RCVMARK: set |sk| sk.rcvmark();
        SO_RCVPRIORITY: set |sk| sk.rcvpriority();
        SO_RXQ_OVFL: set |sk| sk.rxq_ovfl();
        SO_WIFI_STATUS: set |sk| sk.wifi_status();
        SO_NOFCS: set |sk| sk.nofcs();
        SO_LOCK_FILTER: set |sk| sk.lock_filter();
        SO_SELECT_ERR_QUEUE: set |sk| sk.select_err_queue();
        SO_ZEROCOPY: set |sk| sk.zerocopy();
        SO_TXTIME: set |sk| sk.txtime();
    }
    rare => {
        SO_NO_CHECK: set |sk| sk.no_check();
        SO_PRIORITY: set |sk| sk.priority();
        SO_TIMESTAMPING: set |sk| sk.timestamping();
        SO_RCVLOWAT: set |sk| sk.rcvlowat();
        SO_MARK: set |sk, cx| sk.mark(cx.viewer);
        SO_PEEK_OFF: set |sk| sk.peek_off();
        SO_BINDTODEVICE: set |sk, cx| sk.bindtodevice(cx.viewer);
        SO_ATTACH_FILTER: set |sk| sk.attach_filter();
        SO_ATTACH_BPF: set |sk| sk.attach_bpf();
        SO_ATTACH_REUSEPORT_CBPF: set |sk| sk.attach_reuseport_cbpf();
        SO_ATTACH_REUSEPORT_EBPF: set |sk| sk.attach_reuseport_ebpf();
        #[cfg(CONFIG_NET_RX_BUSY_POLL)]
        SO_BUSY_POLL: set |sk| sk.busy_poll();
        #[cfg(CONFIG_NET_RX_BUSY_POLL)]
        SO_PREFER_BUSY_POLL: set |sk| sk.prefer_busy_poll();
        #[cfg(CONFIG_NET_RX_BUSY_POLL)]
        SO_BUSY_POLL_BUDGET: set |sk| sk.busy_poll_budget();
        SO_MAX_PACING_RATE: set |sk| sk.max_pacing_rate();
        SO_RESERVE_MEM: set |sk| sk.reserve_mem();
    }
    listener => {
        SO_INCOMING_CPU: set |sk| sk.incoming_cpu();
    }
    udp => {
        SO_INCOMING_CPU: set |sk| sk.incoming_cpu();
    }
    rare_tcp => {
        SO_TXREHASH: set |sk, cx| sk.txrehash(cx.defaults);
    }

    // IPPROTO_TCP
    rare_tcp => {
        TCP_MAXSEG: set |sk| sk.maxseg();
        TCP_CORK: set |sk| sk.cork();
        TCP_SYNCNT: set |sk| sk.syncnt();
        TCP_LINGER2: set |sk| sk.linger2();
    }
    listener => {
        TCP_WINDOW_CLAMP: set |sk| sk.window_clamp();
    }
    tcp => {
        TCP_QUICKACK: set |sk, cx| sk.quickack(cx.defaults);
    }
    rare_tcp => {
        TCP_CONGESTION: set |sk, cx| sk.congestion(cx.defaults);
        TCP_ULP: set |sk| sk.ulp();
        TCP_THIN_LINEAR_TIMEOUTS: set |sk| sk.thin_linear_timeouts();
        TCP_REPAIR: set |sk| sk.repair();
        TCP_FASTOPEN_CONNECT: set |sk| sk.fastopen_connect();
        TCP_FASTOPEN_NO_COOKIE: set |sk| sk.fastopen_no_cookie();
        TCP_TX_DELAY: set |sk| sk.tx_delay();
        TCP_NOTSENT_LOWAT: set |sk| sk.notsent_lowat();
        TCP_INQ: set |sk| sk.inq();
        TCP_SAVE_SYN: set |sk| sk.save_syn();
        #[cfg(CONFIG_MPTCP)]
        TCP_IS_MPTCP: set |sk| sk.is_mptcp();
        TCP_RTO_MAX_MS: set |sk, cx| sk.rto_max(cx.defaults);
        TCP_RTO_MIN_US: set |sk, cx| sk.rto_min(cx.defaults);
        TCP_DELACK_MAX_US: set |sk| sk.delack_max();
        #[cfg(CONFIG_TCP_MD5SIG)]
        TCP_MD5SIG: set |sk| sk.md5sig();
        #[cfg(CONFIG_TCP_AO)]
        TCP_AO: set |sk| sk.ao();
    }

    // IPPROTO_IP, of IPv6 sockets as well
    any if |sk| sk.has_inet_flags() => {
        IP_PKTINFO: set |sk| sk.ip_pktinfo();
        IP_RECVTTL: set |sk| sk.ip_recvttl();
        IP_RECVTOS: set |sk| sk.ip_recvtos();
        IP_RECVOPTS: set |sk| sk.ip_recvopts();
        IP_RETOPTS: set |sk| sk.ip_retopts();
        IP_PASSSEC: set |sk| sk.ip_passsec();
        IP_RECVORIGDSTADDR: set |sk| sk.ip_recvorigdstaddr();
        IP_CHECKSUM: set |sk| sk.ip_checksum();
        IP_RECVFRAGSIZE: set |sk| sk.ip_recvfragsize();
        IP_RECVERR: set |sk| sk.ip_recverr();
        IP_RECVERR_RFC4884: set |sk| sk.ip_recverr_rfc4884();
        IP_FREEBIND: set |sk| sk.ip_freebind();
        IP_MULTICAST_LOOP: set |sk| sk.ip_multicast_loop();
        IP_MULTICAST_ALL: set |sk| sk.ip_multicast_all();
        IP_TRANSPARENT: set |sk| sk.ip_transparent();
        IP_BIND_ADDRESS_NO_PORT: set |sk| sk.ip_bind_address_no_port();
    }
    rare => {
        IP_TTL: set |sk| sk.ip_ttl();
        IP_MINTTL: set |sk| sk.ip_minttl();
        IP_MTU_DISCOVER: set |sk, cx| sk.ip_mtu_discover(cx.defaults);
        IP_TOS: set |sk| sk.ip_tos();
        IP_OPTIONS: set |sk| sk.ip_options();
        IP_UNICAST_IF: set |sk, cx| sk.ip_unicast_if(cx.viewer);
        IP_LOCAL_PORT_RANGE: set |sk| sk.ip_local_port_range();
    }
    // TCP cannot set these, and uses the fields for what its SYN came with.
    udp => {
        IP_MULTICAST_TTL: set |sk| sk.ip_multicast_ttl();
        IP_MULTICAST_IF: set |sk, cx| sk.ip_multicast_if(cx.viewer);
        IP_ADD_MEMBERSHIP: set |sk, cx| sk.ip_memberships(cx.viewer);
    }

    // IPPROTO_IPV6
    #[cfg(CONFIG_IPV6)]
    inet6 => {
        IPV6_V6ONLY: set |sk, cx| sk.v6only(cx.defaults);
    }
    #[cfg(CONFIG_IPV6)]
    inet6 if |sk| sk.has_rxopt() => {
        IPV6_RECVPKTINFO: set |sk| sk.recvpktinfo();
        IPV6_2292PKTINFO: set |sk| sk.pktinfo_2292();
        IPV6_RECVHOPLIMIT: set |sk| sk.recvhoplimit();
        IPV6_2292HOPLIMIT: set |sk| sk.hoplimit_2292();
        IPV6_RECVRTHDR: set |sk| sk.recvrthdr();
        IPV6_2292RTHDR: set |sk| sk.rthdr_2292();
        IPV6_RECVHOPOPTS: set |sk| sk.recvhopopts();
        IPV6_2292HOPOPTS: set |sk| sk.hopopts_2292();
        IPV6_RECVDSTOPTS: set |sk| sk.recvdstopts();
        IPV6_2292DSTOPTS: set |sk| sk.dstopts_2292();
        IPV6_RECVTCLASS: set |sk| sk.recvtclass();
        IPV6_FLOWINFO: set |sk| sk.flowinfo();
        IPV6_RECVPATHMTU: set |sk| sk.recvpathmtu();
        IPV6_RECVORIGDSTADDR: set |sk| sk.recvorigdstaddr();
        IPV6_RECVFRAGSIZE: set |sk| sk.recvfragsize();
    }
    #[cfg(CONFIG_IPV6)]
    inet6 if |sk| sk.has_inet6_flags() => {
        IPV6_TRANSPARENT: set |sk| sk.ip_transparent();
        IPV6_FREEBIND: set |sk| sk.ip_freebind();
        IPV6_MULTICAST_LOOP: set |sk| sk.multicast_loop();
        IPV6_MULTICAST_ALL: set |sk| sk.multicast_all();
        IPV6_RECVERR: set |sk| sk.recverr();
        IPV6_RECVERR_RFC4884: set |sk| sk.recverr_rfc4884();
        IPV6_FLOWINFO_SEND: set |sk| sk.flowinfo_send();
        IPV6_DONTFRAG: set |sk| sk.dontfrag();
        IPV6_AUTOFLOWLABEL: set |sk| sk.autoflowlabel();
    }
    #[cfg(CONFIG_IPV6)]
    inet6 => {
        IPV6_TCLASS: set |sk| sk.tclass();
        IPV6_UNICAST_HOPS: set |sk| sk.unicast_hops();
        IPV6_UNICAST_IF: set |sk, cx| sk.unicast_if(cx.viewer);
        IPV6_MTU_DISCOVER: set |sk| sk.mtu_discover();
        IPV6_MTU: set |sk| sk.mtu();
        IPV6_ADDR_PREFERENCES: set |sk| sk.addr_preferences();
        IPV6_MINHOPCOUNT: set |sk| sk.minhopcount();
    }
    #[cfg(CONFIG_IPV6)]
    inet6 if |sk| sk.has_headers() => {
        IPV6_HOPOPTS: set |sk| sk.hopopts();
        IPV6_RTHDRDSTOPTS: set |sk| sk.rthdrdstopts();
        IPV6_RTHDR: set |sk| sk.rthdr();
        IPV6_DSTOPTS: set |sk| sk.dstopts();
    }
    // As for IPv4.
    #[cfg(CONFIG_IPV6)]
    udp6 => {
        IPV6_MULTICAST_HOPS: set |sk| sk.multicast_hops();
        IPV6_MULTICAST_IF: set |sk, cx| sk.multicast_if(cx.viewer);
        IPV6_ADD_MEMBERSHIP: set |sk, cx| sk.memberships(cx.viewer);
    }

    // SOL_UDP
    udp if |sk| sk.has_udp_flags() => {
        UDP_CORK: set |sk| sk.cork();
        UDP_NO_CHECK6_TX: set |sk| sk.no_check6_tx();
        UDP_NO_CHECK6_RX: set |sk| sk.no_check6_rx();
        UDP_GRO: set |sk| sk.gro();
    }
    udp => {
        UDP_ENCAP: set |sk| sk.encap();
        UDP_SEGMENT: set |sk| sk.segment();
    }
}
