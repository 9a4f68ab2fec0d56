// SPDX-License-Identifier: GPL-2.0
/*
 * The BPF iterators over TCP and UDP sockets, as plain as they can be: a line with the inode of
 * each socket, or 0 of one that has none, such as a minisock.
 *
 * Of the kernel's types, only what is read here is declared; where it lies is looked up when the
 * programs are loaded, in the kernel's own BTF.  struct sock has sk_ino since Linux 7.2.
 */

#include <linux/bpf.h>

#define SEC(name) __attribute__((section(name), used))

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct sock_common {
	unsigned char skc_state;
};

struct sock {
	__u64 sk_ino;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
};

struct udp_sock {
	struct inet_sock inet;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
};

#pragma clang attribute pop

static struct tcp_sock *(*const bpf_skc_to_tcp_sock)(void *sk) =
	(void *)BPF_FUNC_skc_to_tcp_sock;
static long (*const bpf_seq_printf)(struct seq_file *seq, const char *format, __u32 format_size,
				    const void *data, __u32 data_size) =
	(void *)BPF_FUNC_seq_printf;

char licence[] SEC("license") = "GPL";

static const char line[] = "%llu\n";

static int show(struct bpf_iter_meta *meta, __u64 ino)
{
	/* If it does not fit any more, the iterator comes again with the same socket. */
	bpf_seq_printf(meta->seq, line, sizeof(line), &ino, sizeof(ino));
	return 0;
}

SEC("iter/tcp")
int tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct tcp_sock *tp;

	/* The last call is for a summary. */
	if (!common)
		return 0;
	/* NULL for a minisock. */
	tp = bpf_skc_to_tcp_sock(common);
	return show(ctx->meta, tp ? tp->inet_conn.icsk_inet.sk.sk_ino : 0);
}

SEC("iter/udp")
int udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *up = ctx->udp_sk;

	return up ? show(ctx->meta, up->inet.sk.sk_ino) : 0;
}
