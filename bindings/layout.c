// SPDX-License-Identifier: GPL-2.0
/*
 * Where the kernel's own compiler puts each field that the module reads.
 *
 * bindgen sees the headers through libclang, the kernel is often built by gcc:
 * a differing -D flag would shift fields silently. This file is compiled to
 * assembly only; Kbuild turns the marks in it into layout.rs, and the macro
 * `field!` of bindings/mod.rs refuses to compile where bindgen disagrees, or
 * where a field is read that is not listed here.
 *
 * FIELD(type, field): the same name in C and in Rust.
 * FIELD_AS(type, field, rust): for members of anonymous unions and structs,
 * which bindgen gives names of its own.
 */

#include "bindings.h"

#define MARK(name, value) asm volatile("\n.ascii \"->" name " %0\"" : : "i"(value))
#define FIELD(type, field) MARK(#type " " #field, offsetof(struct type, field))
#define FIELD_AS(type, field, rust) MARK(#type " " rust, offsetof(struct type, field))

void knetstat_layout(void);

void knetstat_layout(void)
{
	FIELD_AS(sock_common, skc_daddr, "__bindgen_anon_1.__bindgen_anon_1.skc_daddr");
	FIELD_AS(sock_common, skc_rcv_saddr, "__bindgen_anon_1.__bindgen_anon_1.skc_rcv_saddr");
	FIELD_AS(sock_common, skc_hash, "__bindgen_anon_2.skc_hash");
	FIELD_AS(sock_common, skc_dport, "__bindgen_anon_3.__bindgen_anon_1.skc_dport");
	FIELD_AS(sock_common, skc_num, "__bindgen_anon_3.__bindgen_anon_1.skc_num");
	FIELD(sock_common, skc_family);
	FIELD(sock_common, skc_state);
	FIELD(sock_common, skc_bound_dev_if);
#ifdef CONFIG_NET_NS
	FIELD(sock_common, skc_net.net);
#endif
#if IS_ENABLED(CONFIG_IPV6)
	FIELD(sock_common, skc_v6_daddr);
	FIELD(sock_common, skc_v6_rcv_saddr);
#endif
	FIELD_AS(sock_common, skc_flags, "__bindgen_anon_5.skc_flags");
	FIELD_AS(sock_common, skc_node, "__bindgen_anon_6.skc_node");

	FIELD_AS(sock_common, skc_incoming_cpu, "__bindgen_anon_7.skc_incoming_cpu");

	FIELD(sock, sk_userlocks);
	FIELD(sock, sk_priority);
	FIELD(sock, sk_tsflags);
	FIELD(sock, sk_rcvlowat);
	FIELD(sock, sk_mark);
	FIELD(sock, sk_peek_off);
	FIELD(sock, sk_filter);
	FIELD(sock, sk_reuseport_cb);
#ifdef CONFIG_NET_RX_BUSY_POLL
	FIELD(sock, sk_ll_usec);
	FIELD(sock, sk_prefer_busy_poll);
	FIELD(sock, sk_busy_poll_budget);
#endif
	FIELD(sock, sk_max_pacing_rate);
	FIELD(sock, sk_bind_phc);
	FIELD(sock, sk_clockid);
	FIELD(sock, sk_reserved_mem);
	FIELD_AS(sock, sk_txrehash, "__bindgen_anon_4.sk_txrehash");
	FIELD(sock, sk_rcvbuf);
	FIELD(sock, sk_sndbuf);
	FIELD(sock, sk_rcvtimeo);
	FIELD(sock, sk_sndtimeo);
	FIELD(sock, sk_lingertime);
	FIELD(sock, sk_ack_backlog);
	FIELD(sock, sk_max_ack_backlog);
	FIELD(sock, sk_backlog.rmem_alloc.counter);
	FIELD(sock, sk_wmem_alloc.refs.counter);

	FIELD(inet_sock, inet_sport);
	FIELD(inet_sock, inet_flags);
	FIELD(inet_sock, uc_ttl);
	FIELD(inet_sock, min_ttl);
	FIELD(inet_sock, mc_ttl);
	FIELD(inet_sock, pmtudisc);
	FIELD(inet_sock, tos);
	FIELD(inet_sock, inet_opt);
	FIELD(ip_options_rcu, opt.optlen);
	FIELD(inet_sock, uc_index);
	FIELD(inet_sock, mc_index);
	FIELD(inet_sock, mc_addr);
	FIELD(inet_sock, local_port_range);
	FIELD(inet_sock, mc_list);
	FIELD(ip_mc_socklist, next_rcu);
	FIELD(ip_mc_socklist, multi.imr_multiaddr.s_addr);
	FIELD(ip_mc_socklist, multi.imr_ifindex);

#if IS_ENABLED(CONFIG_IPV6)
	FIELD(inet_sock, pinet6);
	FIELD(ipv6_pinfo, rxopt);
	FIELD(ipv6_pinfo, tclass);
	FIELD(ipv6_pinfo, hop_limit);
	FIELD(ipv6_pinfo, mcast_hops);
	FIELD(ipv6_pinfo, mcast_oif);
	FIELD(ipv6_pinfo, ucast_oif);
	FIELD(ipv6_pinfo, pmtudisc);
	FIELD(ipv6_pinfo, frag_size);
	FIELD(ipv6_pinfo, srcprefs);
	FIELD(ipv6_pinfo, min_hopcount);
	FIELD(ipv6_pinfo, ipv6_mc_list);
	FIELD(ipv6_pinfo, opt);
	FIELD(ipv6_txoptions, hopopt);
	FIELD(ipv6_txoptions, dst0opt);
	FIELD(ipv6_txoptions, srcrt);
	FIELD(ipv6_txoptions, dst1opt);
	FIELD(ipv6_mc_socklist, next);
	FIELD(ipv6_mc_socklist, addr);
	FIELD(ipv6_mc_socklist, ifindex);
	FIELD(net, ipv6.sysctl.bindv6only);
#endif

	FIELD(inet_connection_sock, icsk_accept_queue.rskq_defer_accept);
	FIELD(inet_connection_sock, icsk_accept_queue.fastopenq.max_qlen);
	FIELD(inet_connection_sock, icsk_user_timeout);
	FIELD(inet_connection_sock, icsk_syn_retries);
	FIELD(inet_connection_sock, icsk_ack.pingpong);
	FIELD(inet_connection_sock, icsk_ca_ops);
	FIELD(inet_connection_sock, icsk_ulp_ops);
	FIELD(inet_connection_sock, icsk_ulp_data);
	FIELD(inet_connection_sock, icsk_rto_max);
	FIELD(inet_connection_sock, icsk_rto_min);
	FIELD(inet_connection_sock, icsk_delack_max);
	FIELD(tcp_congestion_ops, name);
	FIELD(tcp_ulp_ops, name);
	FIELD(tls_context, prot_info.version);
	FIELD(tls_context, prot_info.cipher_type);
	FIELD(tls_context, tx_max_payload_len);

	FIELD(tcp_sock, snd_wnd);
	FIELD(tcp_sock, copied_seq);
	FIELD(tcp_sock, write_seq);
	FIELD(tcp_sock, rcv_nxt);
	FIELD(tcp_sock, snd_una);
	FIELD(tcp_sock, packets_out);
	FIELD(tcp_sock, rcv_wnd);
	FIELD(tcp_sock, rcv_tstamp);
	FIELD(tcp_sock, keepalive_time);
	FIELD(tcp_sock, keepalive_intvl);
	FIELD(tcp_sock, keepalive_probes);
	FIELD(tcp_sock, rx_opt.user_mss);
	FIELD(tcp_sock, rx_opt.mss_clamp);
	FIELD(tcp_sock, mss_cache);
	FIELD(tcp_sock, linger2);
	FIELD(tcp_sock, tcp_tx_delay);
	FIELD(tcp_sock, notsent_lowat);
	FIELD(tcp_sock, window_clamp);
#if IS_ENABLED(CONFIG_MPTCP)
	FIELD(tcp_sock, is_mptcp);
#endif
#ifdef CONFIG_TCP_MD5SIG
	FIELD(tcp_sock, md5sig_info);
	FIELD(tcp_md5sig_info, head.first);
#endif
#ifdef CONFIG_TCP_AO
	FIELD(tcp_sock, ao_info);
#endif

	FIELD(udp_sock, forward_deficit);
	FIELD(udp_sock, udp_flags);
	FIELD(udp_sock, encap_type);
	FIELD(udp_sock, gso_size);

	FIELD(inet_timewait_sock, tw_substate);
	FIELD(inet_timewait_sock, tw_sport);

	FIELD(inet_hashinfo, ehash);
	FIELD(inet_hashinfo, ehash_mask);
	FIELD(inet_hashinfo, ehash_locks);
	FIELD(inet_hashinfo, ehash_locks_mask);
	FIELD(inet_hashinfo, lhash2);
	FIELD(inet_hashinfo, lhash2_mask);
	FIELD(inet_ehash_bucket, chain.first);
	FIELD(inet_listen_hashbucket, lock);
	FIELD(inet_listen_hashbucket, nulls_head.first);
	FIELD(udp_table, hash);
	FIELD(udp_table, mask);
	FIELD_AS(udp_hslot, head.first, "__bindgen_anon_1.head.first");
	FIELD(udp_hslot, lock);

	FIELD(net, proc_net);
	FIELD(net, ipv4.tcp_death_row.hashinfo);
	FIELD(net, ipv4.udp_table);
	FIELD(net, ipv4.tcp_congestion_control);
	FIELD(net, ipv4.sysctl_tcp_pingpong_thresh);
	FIELD(net, ipv4.sysctl_tcp_rto_max_ms);
	FIELD(net, ipv4.sysctl_tcp_rto_min_us);
	FIELD(net, ipv4.sysctl_ip_no_pmtu_disc);
	FIELD(net, ipv4.sysctl_tcp_fastopen);
	FIELD(net, core.sysctl_txrehash);

	FIELD(kiocb, ki_filp);
	FIELD(kiocb, ki_pos);

	MARK("size inet_ehash_bucket", sizeof(struct inet_ehash_bucket));
	MARK("size inet_listen_hashbucket", sizeof(struct inet_listen_hashbucket));
	MARK("size udp_hslot", sizeof(struct udp_hslot));
	MARK("size socket_lock_t", sizeof(socket_lock_t));
	MARK("size spinlock_t", sizeof(spinlock_t));
	MARK("size sock", sizeof(struct sock));
	MARK("size tcp_sock", sizeof(struct tcp_sock));
	MARK("size udp_sock", sizeof(struct udp_sock));
	MARK("size inet_timewait_sock", sizeof(struct inet_timewait_sock));
	MARK("size pernet_operations", sizeof(struct pernet_operations));
	MARK("size proc_ops", sizeof(struct proc_ops));
	MARK("size mutex", sizeof(struct mutex));
}
