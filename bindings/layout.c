// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's types and constants that the module uses, as the kernel's own compiler sees them.
 * This file is compiled to assembly only, with the kernel's own flags. layout.awk turns the marks
 * in the assembly into layout.rs.
 *
 * - INTEGER(type, field): an integer, a bool or a bit-field. In a constant, this field alone has
 *   all its bits set. These bits show where the field is, whatever kind of field this kernel has.
 * - POINTER(type, field, to), VOID_POINTER(type, field): a pointer to a structure, or to anything.
 * - FUNCTION(type, field): a pointer to a function, which Rust only compares with null.
 * - ADDRESS(type, field): a field of which only the address is taken.
 * - BYTES(type, field): an array of characters, or another field that is read as bytes.
 * - SIZE(type): a type that Rust uses through pointers only.
 * - VALUE(type): a type that Rust stores by value.
 * - CONSTANT(name): a constant.
 */

#include "bindings.h"

#define MARK(text, value) asm volatile("\n.ascii \"->" text " %0\"" : : "i"(value))

#define MEMBER(type, field) (((struct type *)0)->field)
#define INTEGER_AS_TEXT(type, field, text)						\
	do {										\
		static const struct type probe __used = { .field = -1 };		\
											\
		asm volatile("\n.ascii \"->integer " #type " " #field " %0 %1" text "\""	\
			     : : "i"(((struct type){ .field = -1 }).field + 0 < 0), "i"(&probe)); \
	} while (0)
#define INTEGER(type, field) INTEGER_AS_TEXT(type, field, "")
/* An integer whose Rust type is the same on every kernel. */
#define INTEGER_AS(type, field, rust) INTEGER_AS_TEXT(type, field, " " #rust)
/* A field that this kernel does not have, and the value to use instead. */
#define ABSENT(type, field, rust, value) MARK("absent " #type " " #field " " #rust, value)
/* Four bytes, whatever their type is. */
#define FOUR_BYTES(type, field)								\
	do {										\
		_Static_assert(sizeof(MEMBER(type, field)) == 4, #type "." #field);	\
		MARK("four " #type " " #field, offsetof(struct type, field));		\
	} while (0)
#define IS(type, field, other) __builtin_types_compatible_p(typeof(MEMBER(type, field)), other)
#define POINTER(type, field, to)							\
	do {										\
		_Static_assert(IS(type, field, struct to *) || IS(type, field, const struct to *), \
			       #type "." #field " is not a pointer to struct " #to);	\
		MARK("pointer " #type " " #field " " #to, offsetof(struct type, field));	\
	} while (0)
#define VOID_POINTER(type, field)							\
	do {										\
		_Static_assert(IS(type, field, void *), #type "." #field " is not a pointer to void"); \
		MARK("pointer " #type " " #field " c_void", offsetof(struct type, field));	\
	} while (0)
#define FUNCTION(type, field)								\
	do {										\
		_Static_assert(sizeof(MEMBER(type, field)) == sizeof(void *),		\
			       #type "." #field " is not a pointer");			\
		MARK("pointer " #type " " #field " c_void", offsetof(struct type, field));	\
	} while (0)
#define ADDRESS(type, field) MARK("address " #type " " #field, offsetof(struct type, field))
#define BYTES(type, field)								\
	asm volatile("\n.ascii \"->bytes " #type " " #field " %0 %1\""			\
		     : : "i"(offsetof(struct type, field)), "i"(sizeof(MEMBER(type, field))))
#define SIZE(type) MARK("size " #type, sizeof(struct type))
#define VALUE(type) MARK("value " #type, sizeof(struct type))
#define CONSTANT(name) MARK("constant " #name, name)

void knetstat_layout(void);

void knetstat_layout(void)
{
	INTEGER(sock_common, skc_daddr);
	INTEGER(sock_common, skc_reuse);
	INTEGER(sock_common, skc_reuseport);
	INTEGER(sock_common, skc_ipv6only);
	INTEGER(sock_common, skc_net_refcnt);
	INTEGER(sock_common, skc_rcv_saddr);
	INTEGER(sock_common, skc_hash);
	INTEGER(sock_common, skc_dport);
	INTEGER(sock_common, skc_num);
	INTEGER(sock_common, skc_family);
	INTEGER(sock_common, skc_state);
	INTEGER(sock_common, skc_bound_dev_if);
#ifdef CONFIG_NET_NS
	POINTER(sock_common, skc_net.net, net);
#endif
#if IS_ENABLED(CONFIG_IPV6)
	BYTES(sock_common, skc_v6_daddr);
	BYTES(sock_common, skc_v6_rcv_saddr);
#endif
	INTEGER(sock_common, skc_flags);
	ADDRESS(sock_common, skc_node);

	INTEGER(sock_common, skc_incoming_cpu);

	INTEGER(sock, sk_userlocks);
	INTEGER(sock, sk_txhash);
	ADDRESS(sock, sk_uid);
#ifdef KNETSTAT_HAS_SK_INO
	ADDRESS(sock, sk_ino);
#else
	/* sock_i_ino() follows this pointer instead. */
	MARK("address sock sk_ino", offsetof(struct sock, sk_socket));
#endif
	INTEGER(sock, sk_no_check_tx);
	INTEGER(sock, sk_txtime_deadline_mode);
	INTEGER(sock, sk_txtime_report_errors);
	INTEGER(sock, sk_priority);
	INTEGER_AS(sock, sk_tsflags, u32);
	INTEGER(sock, sk_rcvlowat);
	INTEGER(sock, sk_mark);
	INTEGER(sock, sk_peek_off);
	VOID_POINTER(sock, sk_user_data);
	POINTER(sock, sk_filter, sk_filter);
	POINTER(sock, sk_reuseport_cb, sock_reuseport);
#ifdef CONFIG_NET_RX_BUSY_POLL
	INTEGER(sock, sk_ll_usec);
#ifdef KNETSTAT_HAS_SO_PREFER_BUSY_POLL
	INTEGER(sock, sk_prefer_busy_poll);
	INTEGER(sock, sk_busy_poll_budget);
#endif
#endif
	INTEGER(sock, sk_max_pacing_rate);
#ifdef KNETSTAT_HAS_BIND_PHC
	INTEGER(sock, sk_bind_phc);
#else
	ABSENT(sock, sk_bind_phc, i32, 0);
#endif
	INTEGER(sock, sk_clockid);
#ifdef KNETSTAT_HAS_SO_RESERVE_MEM
	INTEGER(sock, sk_reserved_mem);
#endif
#ifdef KNETSTAT_HAS_SO_TXREHASH
	INTEGER(sock, sk_txrehash);
#endif
	INTEGER(sock, sk_rcvbuf);
	INTEGER(sock, sk_sndbuf);
	INTEGER(sock, sk_rcvtimeo);
	INTEGER(sock, sk_sndtimeo);
	INTEGER(sock, sk_lingertime);
	INTEGER(sock, sk_ack_backlog);
	INTEGER(sock, sk_max_ack_backlog);
	INTEGER(sock, sk_backlog.rmem_alloc.counter);
	INTEGER(sock, sk_wmem_alloc.refs.counter);

	INTEGER(inet_sock, inet_sport);
#ifdef KNETSTAT_HAS_INET_FLAGS
	INTEGER(inet_sock, inet_flags);
#else
	/* See knetstat_inet_flags(). */
	MARK("address inet_sock inet_flags", offsetof(struct inet_sock, tos));
#endif
	INTEGER(inet_sock, uc_ttl);
	INTEGER(inet_sock, min_ttl);
	INTEGER(inet_sock, mc_ttl);
	INTEGER(inet_sock, pmtudisc);
	INTEGER(inet_sock, tos);
	POINTER(inet_sock, inet_opt, ip_options_rcu);
	INTEGER(ip_options_rcu, opt.optlen);
	INTEGER(inet_sock, uc_index);
	INTEGER(inet_sock, mc_index);
	INTEGER(inet_sock, mc_addr);
#ifdef KNETSTAT_HAS_IP_LOCAL_PORT_RANGE
	FOUR_BYTES(inet_sock, local_port_range);
#else
	ABSENT(inet_sock, local_port_range, u32, 0);
#endif
	POINTER(inet_sock, mc_list, ip_mc_socklist);
	POINTER(ip_mc_socklist, next_rcu, ip_mc_socklist);
	INTEGER(ip_mc_socklist, multi.imr_multiaddr.s_addr);
	INTEGER(ip_mc_socklist, multi.imr_ifindex);

#if IS_ENABLED(CONFIG_IPV6)
	POINTER(inet_sock, pinet6, ipv6_pinfo);
	INTEGER(ipv6_pinfo, rxopt.all);
	INTEGER(ipv6_pinfo, rxopt.bits.rxinfo);
	INTEGER(ipv6_pinfo, rxopt.bits.rxoinfo);
	INTEGER(ipv6_pinfo, rxopt.bits.rxhlim);
	INTEGER(ipv6_pinfo, rxopt.bits.rxohlim);
	INTEGER(ipv6_pinfo, rxopt.bits.srcrt);
	INTEGER(ipv6_pinfo, rxopt.bits.osrcrt);
	INTEGER(ipv6_pinfo, rxopt.bits.hopopts);
	INTEGER(ipv6_pinfo, rxopt.bits.ohopopts);
	INTEGER(ipv6_pinfo, rxopt.bits.dstopts);
	INTEGER(ipv6_pinfo, rxopt.bits.odstopts);
	INTEGER(ipv6_pinfo, rxopt.bits.rxtclass);
	INTEGER(ipv6_pinfo, rxopt.bits.rxflow);
	INTEGER(ipv6_pinfo, rxopt.bits.rxpmtu);
	INTEGER(ipv6_pinfo, rxopt.bits.rxorigdstaddr);
	INTEGER(ipv6_pinfo, rxopt.bits.recvfragsize);
	INTEGER(ipv6_pinfo, tclass);
	INTEGER(ipv6_pinfo, hop_limit);
	INTEGER_AS(ipv6_pinfo, mcast_hops, u8);
	INTEGER(ipv6_pinfo, mcast_oif);
	INTEGER(ipv6_pinfo, ucast_oif);
	INTEGER(ipv6_pinfo, pmtudisc);
	INTEGER(ipv6_pinfo, frag_size);
	INTEGER(ipv6_pinfo, srcprefs);
	INTEGER(ipv6_pinfo, min_hopcount);
	POINTER(ipv6_pinfo, ipv6_mc_list, ipv6_mc_socklist);
	POINTER(ipv6_pinfo, opt, ipv6_txoptions);
	POINTER(ipv6_txoptions, hopopt, ipv6_opt_hdr);
	POINTER(ipv6_txoptions, dst0opt, ipv6_opt_hdr);
	POINTER(ipv6_txoptions, srcrt, ipv6_rt_hdr);
	POINTER(ipv6_txoptions, dst1opt, ipv6_opt_hdr);
	POINTER(ipv6_mc_socklist, next, ipv6_mc_socklist);
	BYTES(ipv6_mc_socklist, addr);
	INTEGER(ipv6_mc_socklist, ifindex);
	INTEGER(net, ipv6.sysctl.bindv6only);
#endif

	INTEGER(inet_connection_sock, icsk_accept_queue.rskq_defer_accept);
	INTEGER(inet_connection_sock, icsk_ca_setsockopt);
	INTEGER(inet_connection_sock, icsk_accept_queue.fastopenq.max_qlen);
	INTEGER(inet_connection_sock, icsk_user_timeout);
	INTEGER(inet_connection_sock, icsk_syn_retries);
	INTEGER(inet_connection_sock, icsk_ack.pingpong);
	POINTER(inet_connection_sock, icsk_ca_ops, tcp_congestion_ops);
	POINTER(inet_connection_sock, icsk_ulp_ops, tcp_ulp_ops);
	VOID_POINTER(inet_connection_sock, icsk_ulp_data);
#ifdef KNETSTAT_HAS_TCP_RTO_MAX_MS
	INTEGER(inet_connection_sock, icsk_rto_max);
	INTEGER(net, ipv4.sysctl_tcp_rto_max_ms);
#else
	ABSENT(net, ipv4.sysctl_tcp_rto_max_ms, i32, TCP_RTO_MAX / HZ * MSEC_PER_SEC);
#endif
	INTEGER(inet_connection_sock, icsk_rto_min);
	INTEGER(inet_connection_sock, icsk_delack_max);
	BYTES(tcp_congestion_ops, name);
	BYTES(tcp_ulp_ops, name);
	INTEGER(tls_context, prot_info.version);
	INTEGER(tls_context, rx_conf);
	INTEGER(tls_context, tx_conf);
#ifdef KNETSTAT_HAS_TLS_ZEROCOPY_SENDFILE
	INTEGER(tls_context, zerocopy_sendfile);
#else
	ABSENT(tls_context, zerocopy_sendfile, u8, 0);
#endif
#ifdef KNETSTAT_HAS_TLS_RX_NO_PAD
	INTEGER(tls_context, rx_no_pad);
#else
	ABSENT(tls_context, rx_no_pad, u8, 0);
#endif
	INTEGER(tls_context, prot_info.cipher_type);
#ifdef KNETSTAT_HAS_TLS_TX_MAX_PAYLOAD_LEN
	INTEGER(tls_context, tx_max_payload_len);
#else
	ABSENT(tls_context, tx_max_payload_len, u16, 0);
#endif

	INTEGER(tcp_sock, snd_wnd);
	INTEGER(tcp_sock, nonagle);
	INTEGER(tcp_sock, thin_lto);
	INTEGER(tcp_sock, repair);
	INTEGER(tcp_sock, fastopen_connect);
	INTEGER(tcp_sock, fastopen_no_cookie);
	INTEGER(tcp_sock, recvmsg_inq);
	INTEGER(tcp_sock, save_syn);
	INTEGER(tcp_sock, copied_seq);
	INTEGER(tcp_sock, write_seq);
	INTEGER(tcp_sock, rcv_nxt);
	INTEGER(tcp_sock, snd_una);
	INTEGER(tcp_sock, packets_out);
	INTEGER(tcp_sock, rcv_wnd);
	INTEGER(tcp_sock, rcv_tstamp);
	INTEGER(tcp_sock, keepalive_time);
	INTEGER(tcp_sock, keepalive_intvl);
	INTEGER(tcp_sock, keepalive_probes);
	INTEGER(tcp_sock, rx_opt.user_mss);
	INTEGER(tcp_sock, rx_opt.mss_clamp);
	INTEGER(tcp_sock, mss_cache);
	INTEGER(tcp_sock, linger2);
	INTEGER(tcp_sock, tcp_tx_delay);
	INTEGER(tcp_sock, notsent_lowat);
	INTEGER(tcp_sock, window_clamp);
#if IS_ENABLED(CONFIG_MPTCP)
	INTEGER(tcp_sock, is_mptcp);
#endif
#ifdef CONFIG_TCP_MD5SIG
	POINTER(tcp_sock, md5sig_info, tcp_md5sig_info);
	POINTER(tcp_md5sig_info, head.first, hlist_node);
#endif
#ifdef CONFIG_TCP_AO
	POINTER(tcp_sock, ao_info, tcp_ao_info);
#endif

	INTEGER(udp_sock, forward_deficit);
#ifdef KNETSTAT_HAS_UDP_FLAGS
	INTEGER(udp_sock, udp_flags);
#else
	/* See knetstat_udp_flags(). */
	MARK("address udp_sock udp_flags", offsetof(struct udp_sock, corkflag));
#endif
	INTEGER(udp_sock, encap_type);
	FUNCTION(udp_sock, encap_destroy);
	INTEGER(udp_sock, gso_size);
#ifdef KNETSTAT_HAS_UDP_DROP_COUNTERS
	FOUR_BYTES(udp_sock, drop_counters.drops0);
	FOUR_BYTES(udp_sock, drop_counters.drops1);
#else
	/* The one counter that every socket has. */
	MARK("four udp_sock drop_counters.drops0", offsetof(struct udp_sock, inet.sk.sk_drops));
	ABSENT(udp_sock, drop_counters.drops1, u32, 0);
	MARK("address udp_sock drop_counters.drops1", offsetof(struct udp_sock, inet.sk.sk_drops));
#endif

	INTEGER(inet_timewait_sock, tw_substate);
	INTEGER(inet_timewait_sock, tw_sport);

	POINTER(inet_hashinfo, ehash, inet_ehash_bucket);
	INTEGER(inet_hashinfo, ehash_mask);
	POINTER(inet_hashinfo, ehash_locks, spinlock);
	INTEGER(inet_hashinfo, ehash_locks_mask);
#ifdef KNETSTAT_HAS_LISTENING_HASH
	/* An array in the structure. */
	ADDRESS(inet_hashinfo, listening_hash);
	CONSTANT(INET_LHTABLE_SIZE);
#else
	POINTER(inet_hashinfo, lhash2, inet_listen_hashbucket);
	INTEGER(inet_hashinfo, lhash2_mask);
#endif
	ADDRESS(inet_ehash_bucket, chain.first);
	ADDRESS(inet_listen_hashbucket, lock);
	ADDRESS(inet_listen_hashbucket, nulls_head.first);
	POINTER(udp_table, hash, udp_hslot);
	INTEGER(udp_table, mask);
	ADDRESS(udp_hslot, head.first);
	ADDRESS(udp_hslot, lock);

	POINTER(net, proc_net, proc_dir_entry);
#ifdef KNETSTAT_HAS_TCP_DEATH_ROW_POINTER
	POINTER(net, ipv4.tcp_death_row, inet_timewait_death_row);
	POINTER(inet_timewait_death_row, hashinfo, inet_hashinfo);
	SIZE(inet_timewait_death_row);
#else
	POINTER(net, ipv4.tcp_death_row.hashinfo, inet_hashinfo);
#endif
	POINTER(net, ipv4.tcp_congestion_control, tcp_congestion_ops);
#ifdef KNETSTAT_HAS_SYSCTL_TCP_PINGPONG_THRESH
	INTEGER(net, ipv4.sysctl_tcp_pingpong_thresh);
#else
	ABSENT(net, ipv4.sysctl_tcp_pingpong_thresh, u8, TCP_PINGPONG_THRESH);
#endif
#ifdef KNETSTAT_HAS_SYSCTL_TCP_RTO_MIN_US
	INTEGER(net, ipv4.sysctl_tcp_rto_min_us);
#else
	ABSENT(net, ipv4.sysctl_tcp_rto_min_us, i32, TCP_RTO_MIN * (USEC_PER_SEC / HZ));
#endif
	INTEGER(net, ipv4.sysctl_ip_no_pmtu_disc);
#ifdef KNETSTAT_HAS_SO_TXREHASH
	INTEGER(net, core.sysctl_txrehash);
#else
	ABSENT(net, core.sysctl_txrehash, u8, 0);
#endif

	POINTER(kiocb, ki_filp, file);
	INTEGER(kiocb, ki_pos);

	ADDRESS(hlist_node, next);
	ADDRESS(hlist_node, pprev);
	ADDRESS(proc_ops, proc_open);
	ADDRESS(proc_ops, proc_read_iter);
	ADDRESS(proc_ops, proc_lseek);
	ADDRESS(proc_ops, proc_release);
	ADDRESS(pernet_operations, init);
	ADDRESS(pernet_operations, exit);

	SIZE(inet_ehash_bucket);
	SIZE(inet_listen_hashbucket);
	SIZE(udp_hslot);
	SIZE(udp_table);
	SIZE(inet_hashinfo);
	SIZE(inet_request_sock);
	SIZE(inet_timewait_sock);
	SIZE(inet_sock);
	SIZE(inet_connection_sock);
	SIZE(sock_common);
	SIZE(sock);
	SIZE(tcp_sock);
	SIZE(udp_sock);
	SIZE(ipv6_pinfo);
	SIZE(ip_mc_socklist);
	SIZE(ipv6_mc_socklist);
	SIZE(ip_options_rcu);
	SIZE(ipv6_txoptions);
	SIZE(tcp_md5sig_info);
	SIZE(tcp_congestion_ops);
	SIZE(tcp_ulp_ops);
	SIZE(tls_context);
	SIZE(net);
	VALUE(proc_ops);
	VALUE(pernet_operations);
	SIZE(kiocb);
	VALUE(mutex);
	SIZE(spinlock);

	CONSTANT(AF_INET);
	CONSTANT(AF_INET6);
	CONSTANT(TCP_ESTABLISHED);
	CONSTANT(TCP_SYN_SENT);
	CONSTANT(TCP_SYN_RECV);
	CONSTANT(TCP_FIN_WAIT1);
	CONSTANT(TCP_FIN_WAIT2);
	CONSTANT(TCP_TIME_WAIT);
	CONSTANT(TCP_CLOSE);
	CONSTANT(TCP_CLOSE_WAIT);
	CONSTANT(TCP_LAST_ACK);
	CONSTANT(TCP_LISTEN);
	CONSTANT(TCP_CLOSING);
	CONSTANT(TCP_NEW_SYN_RECV);
	CONSTANT(CLOCK_REALTIME);
	CONSTANT(CLOCK_MONOTONIC);
	CONSTANT(CLOCK_TAI);
	CONSTANT(SOCK_SNDBUF_LOCK);
	CONSTANT(SOCK_RCVBUF_LOCK);
	CONSTANT(SOCK_BINDADDR_LOCK);
	CONSTANT(SOCK_BINDPORT_LOCK);
	CONSTANT(TCP_NAGLE_OFF);
	CONSTANT(TCP_NAGLE_CORK);
	CONSTANT(SOCK_LINGER);
	CONSTANT(SOCK_BROADCAST);
	CONSTANT(SOCK_KEEPOPEN);
	CONSTANT(SOCK_DBG);
	CONSTANT(SOCK_LOCALROUTE);
	CONSTANT(SOCK_URGINLINE);
	CONSTANT(SOCK_RCVTSTAMP);
	CONSTANT(SOCK_RCVTSTAMPNS);
	CONSTANT(SOCK_TSTAMP_NEW);
#ifdef KNETSTAT_HAS_SO_TXREHASH
	CONSTANT(SOCK_TXREHASH_DEFAULT);
#endif
#ifdef KNETSTAT_HAS_SO_RCVMARK
	CONSTANT(SOCK_RCVMARK);
#endif
#ifdef KNETSTAT_HAS_SO_RCVPRIORITY
	CONSTANT(SOCK_RCVPRIORITY);
#endif
	CONSTANT(SOCK_RXQ_OVFL);
	CONSTANT(SOCK_WIFI_STATUS);
	CONSTANT(SOCK_NOFCS);
	CONSTANT(SOCK_FILTER_LOCKED);
	CONSTANT(SOCK_SELECT_ERR_QUEUE);
	CONSTANT(SOCK_ZEROCOPY);
	CONSTANT(SOCK_TXTIME);
	CONSTANT(INET_FLAGS_PKTINFO);
	CONSTANT(INET_FLAGS_TTL);
	CONSTANT(INET_FLAGS_TOS);
	CONSTANT(INET_FLAGS_RECVOPTS);
	CONSTANT(INET_FLAGS_RETOPTS);
	CONSTANT(INET_FLAGS_PASSSEC);
	CONSTANT(INET_FLAGS_ORIGDSTADDR);
	CONSTANT(INET_FLAGS_CHECKSUM);
	CONSTANT(INET_FLAGS_RECVFRAGSIZE);
	CONSTANT(INET_FLAGS_RECVERR);
	CONSTANT(INET_FLAGS_RECVERR_RFC4884);
	CONSTANT(INET_FLAGS_FREEBIND);
	CONSTANT(INET_FLAGS_MC_LOOP);
	CONSTANT(INET_FLAGS_MC_ALL);
	CONSTANT(INET_FLAGS_TRANSPARENT);
	CONSTANT(INET_FLAGS_BIND_ADDRESS_NO_PORT);
	CONSTANT(INET_FLAGS_IS_ICSK);
	CONSTANT(INET_FLAGS_MC6_LOOP);
	CONSTANT(INET_FLAGS_MC6_ALL);
	CONSTANT(INET_FLAGS_RECVERR6);
	CONSTANT(INET_FLAGS_RECVERR6_RFC4884);
	CONSTANT(INET_FLAGS_SNDFLOW);
	CONSTANT(INET_FLAGS_DONTFRAG);
	CONSTANT(INET_FLAGS_AUTOFLOWLABEL);
	CONSTANT(INET_FLAGS_AUTOFLOWLABEL_SET);
	CONSTANT(UDP_FLAGS_CORK);
	CONSTANT(UDP_FLAGS_NO_CHECK6_TX);
	CONSTANT(UDP_FLAGS_NO_CHECK6_RX);
	CONSTANT(UDP_FLAGS_GRO_ENABLED);
	CONSTANT(IP_PMTUDISC_DONT);
	CONSTANT(IP_PMTUDISC_WANT);
	CONSTANT(IPV6_PMTUDISC_WANT);
	CONSTANT(IPV6_PREFER_SRC_TMP);
	CONSTANT(IPV6_PREFER_SRC_PUBLIC);
	CONSTANT(IPV6_PREFER_SRC_COA);
	CONSTANT(IPV6_PREFER_SRC_HOME);
	CONSTANT(IPV6_PREFER_SRC_PUBTMP_DEFAULT);
	CONSTANT(IPV6_DEFAULT_MCASTHOPS);
	CONSTANT(IFNAMSIZ);
	CONSTANT(SOF_TIMESTAMPING_BIND_PHC);
	CONSTANT(TLS_BASE);
	CONSTANT(TLS_SW);
	CONSTANT(TLS_HW);
	CONSTANT(TLS_1_2_VERSION);
	CONSTANT(TLS_1_3_VERSION);
	CONSTANT(TLS_MAX_PAYLOAD_SIZE);
	CONSTANT(TLS_CIPHER_AES_GCM_128);
	CONSTANT(TLS_CIPHER_AES_GCM_256);
	CONSTANT(TLS_CIPHER_AES_CCM_128);
	CONSTANT(TLS_CIPHER_CHACHA20_POLY1305);
	CONSTANT(TLS_CIPHER_SM4_GCM);
	CONSTANT(TLS_CIPHER_SM4_CCM);
	CONSTANT(TLS_CIPHER_ARIA_GCM_128);
	CONSTANT(TLS_CIPHER_ARIA_GCM_256);
	CONSTANT(TCP_CA_NAME_MAX);
	CONSTANT(TCP_ULP_NAME_MAX);
	CONSTANT(HZ);
	CONSTANT(MAX_SCHEDULE_TIMEOUT);
	CONSTANT(TCP_TIMEOUT_INIT);
	CONSTANT(TCP_RTO_MAX);
	CONSTANT(TCP_DELACK_MAX);
	CONSTANT(INET_ECN_MASK);
	CONSTANT(KNETSTAT_NO_PROGRAM);
	CONSTANT(KNETSTAT_CLASSIC);
	CONSTANT(KNETSTAT_EBPF);
}
