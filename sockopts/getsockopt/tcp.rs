// SPDX-License-Identifier: GPL-2.0

//! IPPROTO_TCP: `do_tcp_getsockopt()` in `net/ipv4/tcp.c`.

use super::{
    unless,
    Defaults, //
};
use crate::abstractions::ns::Reader;
use crate::abstractions::rcu;
use crate::bindings;
use crate::format::{
    Hex,
    Name,
    Text,
    Value, //
};
use crate::sockets::sock::{
    Tcp,
    HZ, //
};
use core::ptr::NonNull;

impl Tcp<'_> {
    /// Whether TCP_NODELAY is on. It is always shown.
    pub(crate) fn nodelay(&self) -> bool {
        u32::from(get!(self, tcp_sock.nonagle)) & bindings::TCP_NAGLE_OFF != 0
    }

    /// `nonagle` without the bit of TCP_CORK.
    pub(crate) fn without_cork(&self) -> u8 {
        get!(self, tcp_sock.nonagle) & !(bindings::TCP_NAGLE_CORK as u8)
    }

    /// TCP_CORK, if it is on.
    pub(crate) fn cork(&self) -> Option<bool> {
        (u32::from(get!(self, tcp_sock.nonagle)) & bindings::TCP_NAGLE_CORK != 0).then_some(true)
    }

    /// TCP_DEFER_ACCEPT in seconds. The kernel stores the number of retransmits of the SYN-ACK for
    /// which the time is long enough. Follows `retrans_to_secs()`.
    pub(crate) fn defer_accept(&self) -> u32 {
        let retransmits = get!(
            self,
            inet_connection_sock.icsk_accept_queue.rskq_defer_accept
        );
        let longest = bindings::TCP_RTO_MAX / HZ;
        let mut timeout = bindings::TCP_TIMEOUT_INIT / HZ;
        let mut seconds: u32 = 0;
        for _ in 0..retransmits {
            seconds = seconds.saturating_add(timeout);
            timeout = timeout.saturating_mul(2).min(longest);
        }
        seconds
    }

    /// TCP_MAXSEG in bytes, if the process limited it. On a listener it is the limit, on a
    /// connection the size of its segments.
    ///
    /// For a listener, getsockopt(2) returns 536 on kernels without the commit "tcp: Return user_mss
    /// for TCP_MAXSEG in CLOSE/LISTEN state if user_mss set", such as those of RHEL 9. No header
    /// tells, and the limit is what the process set.
    pub(crate) fn maxseg(&self) -> Option<u32> {
        let limit = unless(0, get!(self, tcp_sock.rx_opt.user_mss))?;
        if self.is_under_repair() {
            Some(u32::from(get!(self, tcp_sock.rx_opt.mss_clamp)))
        } else if self.is_listening() {
            Some(u32::from(limit))
        } else {
            Some(get!(self, tcp_sock.mss_cache))
        }
    }

    /// TCP_LINGER2 in seconds. -1 stands for no FIN_WAIT2 at all.
    pub(crate) fn linger2(&self) -> Option<i32> {
        let jiffies = unless(0, get!(self, tcp_sock.linger2))?;
        Some(if jiffies < 0 {
            jiffies
        } else {
            jiffies / HZ as i32
        })
    }

    /// TCP_QUICKACK, if it is off. Either the process or the kernel may have switched it off. The
    /// kernel does this when requests and responses alternate.
    pub(crate) fn quickack(&self, defaults: &Defaults) -> Option<bool> {
        let pingpong = get!(self, inet_connection_sock.icsk_ack.pingpong);
        (pingpong >= defaults.pingpong_threshold).then_some(false)
    }

    /// TCP_CONGESTION by name, if the process set it or it is not the one of the namespace.
    pub(crate) fn congestion(&self) -> Option<ModuleName> {
        // Kernels such as 6.1 free an algorithm in BPF without waiting for a reader that read the
        // pointer just before `tcp_set_congestion_control()` replaced it.
        let name = get_behind!(
            self,
            inet_connection_sock.icsk_ca_ops,
            tcp_congestion_ops.name
        )?;
        Some(ModuleName(name))
    }

    /// TCP_ULP by name. For kernel TLS with keys, also the details that `sock_diag` reports:
    /// `tls_get_info()`. If `sock_diag` reports it to every reader, so does this. Otherwise, only
    /// readers with CAP_NET_ADMIN see it.
    pub(crate) fn ulp(&self, reader: &Reader<'_>) -> Option<Ulp> {
        if !cfg!(knetstat_has = "ULP_INFO_FOR_ALL") && !reader.is_net_admin {
            return None;
        }
        let mut name = [0; bindings::TCP_ULP_NAME_MAX as usize];
        let guard = rcu::Guard::new();
        let ops = get!(self, inet_connection_sock.icsk_ulp_ops);
        let ops = NonNull::new(ops)?;
        let ptr = ops.as_ptr();
        // SAFETY: This is a read section of RCU, which began before `icsk_ulp_ops` was read. The
        // module that `ops` lies in is not freed before the section ends: `tcp_unregister_ulp()`
        // waits for readers by `synchronize_rcu()`.
        let found = unsafe { read_once!(ptr, tcp_ulp_ops.name) };
        for (to, from) in name.iter_mut().zip(found) {
            *to = from;
        }
        let tls = if name.starts_with(b"tls\0") {
            let context = get!(self, inet_connection_sock.icsk_ulp_data);
            // SAFETY: A socket keeps the ULP that it was given. The ULP of this name sets the
            // pointer to a `struct tls_context` in `tls_ctx_create()`. This is a read section of
            // RCU, and `tls_ctx_free()` frees the context by RCU. For a socket with TLS in
            // hardware, it is freed after the socket has left the locked bucket.
            NonNull::new(context).map(|context| unsafe { Tls::of(context.cast()) })
        } else {
            None
        };
        drop(guard);
        Some(Ulp {
            name: ModuleName(name),
            tls: tls.filter(Tls::has_keys),
        })
    }

    /// TCP_NOTSENT_LOWAT in bytes. getsockopt(2) returns it with a sign.
    /// `mptcp_sockopt_sync_locked()` sets the largest number on subflows. A connection that an MPTCP
    /// listener accepted without MPTCP has inherited it.
    pub(crate) fn notsent_lowat(&self) -> Option<i32> {
        let bytes = unless(0, get!(self, tcp_sock.notsent_lowat) as i32)?;
        (bytes != -1 || !self.is_subflow()).then_some(bytes)
    }

    /// Whether MPTCP owns the socket: TCP_IS_MPTCP.
    pub(super) fn is_subflow(&self) -> bool {
        #[cfg(CONFIG_MPTCP)]
        return get!(self, tcp_sock.is_mptcp) != 0;
        #[cfg(not(CONFIG_MPTCP))]
        return false;
    }

    /// TCP_MD5SIG, if the socket has keys and the reader has CAP_NET_ADMIN, as in
    /// `tcp_diag_get_aux()`. The keys are never shown.
    #[cfg(CONFIG_TCP_MD5SIG)]
    pub(crate) fn md5sig(&self, reader: &Reader<'_>) -> Option<bool> {
        if !reader.is_net_admin {
            return None;
        }
        // `tcp_connect()` drops the keys of a socket that has keys for TCP-AO, too. Kernels such as
        // 6.12 then free the object at once.
        let first = get_behind!(self, tcp_sock.md5sig_info, tcp_md5sig_info.head.first)?;
        (usize::from_ne_bytes(first) != 0).then_some(true)
    }

    /// TCP_AO, if the socket uses the TCP Authentication Option and the reader has CAP_NET_ADMIN.
    #[cfg(CONFIG_TCP_AO)]
    pub(crate) fn ao(&self, reader: &Reader<'_>) -> Option<bool> {
        (reader.is_net_admin && !get!(self, tcp_sock.ao_info).is_null()).then_some(true)
    }
}

/// The name of a congestion control algorithm or of an upper layer protocol.
pub(crate) struct ModuleName([u8; bindings::TCP_CA_NAME_MAX as usize]);

impl Value for ModuleName {
    fn write(self, text: &mut Text<'_>) {
        Name(&self.0).write(text);
    }
}

/// The value of TCP_ULP, in the words of `ss`:
/// `tls|version:1.3|cipher:aes-gcm-128|rxconf:sw|txconf:sw`.
pub(crate) struct Ulp {
    name: ModuleName,
    tls: Option<Tls>,
}

impl Value for Ulp {
    fn write(self, text: &mut Text<'_>) {
        self.name.write(text);
        if let Some(tls) = self.tls {
            tls.write(text);
        }
    }
}

/// The configuration of kernel TLS on a socket. Keys are not read.
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
    /// Reads the configuration.
    ///
    /// # Safety
    ///
    /// `context` must point to a `struct tls_context` that is not freed during the call.
    unsafe fn of(context: NonNull<bindings::tls_context>) -> Self {
        let ptr = context.as_ptr();
        // SAFETY: The caller promises that `ptr` points to a live `struct tls_context`. All these
        // are fields of it.
        unsafe {
            Self {
                version: read_once!(ptr, tls_context.prot_info.version),
                cipher: read_once!(ptr, tls_context.prot_info.cipher_type),
                rx_conf: read_once!(ptr, tls_context.rx_conf),
                tx_conf: read_once!(ptr, tls_context.tx_conf),
                zerocopy: read_once!(ptr, tls_context.zerocopy_sendfile) != 0,
                no_pad: read_once!(ptr, tls_context.rx_no_pad) != 0,
                max_payload: read_once!(ptr, tls_context.tx_max_payload_len),
            }
        }
    }

    /// Whether at least one direction has keys. If the kernel refused keys, it still remembers the
    /// version and the cipher.
    fn has_keys(&self) -> bool {
        u32::from(self.rx_conf) != bindings::TLS_BASE
            || u32::from(self.tx_conf) != bindings::TLS_BASE
    }

    /// Appends the details to the name.
    fn write(&self, text: &mut Text<'_>) {
        text.str("|version:");
        match u32::from(self.version) {
            bindings::TLS_1_2_VERSION => text.str("1.2"),
            bindings::TLS_1_3_VERSION => text.str("1.3"),
            other => Hex(other).write(text),
        }
        text.str("|cipher:");
        match u32::from(self.cipher) {
            bindings::TLS_CIPHER_AES_GCM_128 => text.str("aes-gcm-128"),
            bindings::TLS_CIPHER_AES_GCM_256 => text.str("aes-gcm-256"),
            bindings::TLS_CIPHER_AES_CCM_128 => text.str("aes-ccm-128"),
            bindings::TLS_CIPHER_CHACHA20_POLY1305 => text.str("chacha20-poly1305"),
            bindings::TLS_CIPHER_SM4_GCM => text.str("sm4-gcm"),
            bindings::TLS_CIPHER_SM4_CCM => text.str("sm4-ccm"),
            bindings::TLS_CIPHER_ARIA_GCM_128 => text.str("aria-gcm-128"),
            bindings::TLS_CIPHER_ARIA_GCM_256 => text.str("aria-gcm-256"),
            other => Hex(other).write(text),
        }
        for (name, conf) in [("|rxconf:", self.rx_conf), ("|txconf:", self.tx_conf)] {
            text.str(name);
            text.str(match u32::from(conf) {
                bindings::TLS_BASE => "none",
                bindings::TLS_SW => "sw",
                bindings::TLS_HW => "hw",
                _ => "?",
            });
        }
        if u32::from(self.tx_conf) == bindings::TLS_HW && self.zerocopy {
            text.str("|zc_ro_tx");
        }
        if self.no_pad {
            text.str("|no_pad_rx");
        }
        if !matches!(
            u32::from(self.max_payload),
            0 | bindings::TLS_MAX_PAYLOAD_SIZE
        ) {
            text.str("|tx_max_payload_len:");
            text.unsigned(u64::from(self.max_payload));
        }
    }
}
