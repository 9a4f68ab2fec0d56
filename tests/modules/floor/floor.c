// SPDX-License-Identifier: GPL-2.0
/*
 * For the benchmark only: the least that a file like tcpstat can cost. The files
 * floor_tcp and floor_udp, in the first network namespace, go through the same
 * tables as /proc/net/tcp and /proc/net/udp bucket by bucket, read some thirty
 * fields of each IPv4 socket, spread as those that a row of knetstat shows, and
 * copy row_bytes bytes for it. Nothing is formatted.
 */

#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/inet_hashtables.h>
#include <net/inet_timewait_sock.h>
#include <net/net_namespace.h>
#include <net/tcp.h>
#include <net/udp.h>

/* As knetstat: seq_file's buffer, and how many empty buckets are passed at a go. */
#define BUFFER SZ_128K
#define EMPTY_BUCKETS 1024

#define MIN_ROW 16
#define MAX_ROW 4096

static unsigned int row_bytes = 256;
module_param(row_bytes, uint, 0644);
MODULE_PARM_DESC(row_bytes, "bytes of a row, 16 to 4096");

static char template[MAX_ROW];

struct walk {
	bool is_udp;
	/* The header was written. */
	bool began;
	unsigned int bucket;
	/* What is final of a bucket that did not fit whole, and what the last show added. */
	unsigned int done;
	unsigned int shown;
	bool whole;
	/* The last full socket that is final and the last shown, by reference, of such a bucket. */
	struct sock *resume;
	struct sock *last;
};

static void forget(struct sock **sk)
{
	if (*sk)
		sock_put(*sk);
	*sk = NULL;
}

/* What knetstat reads of a socket, on kernels that differ; see bindings/helpers.c. */
static u64 read_inode(const struct sock *sk)
{
#ifdef KNETSTAT_HAS_SK_INO
	return READ_ONCE(sk->sk_ino);
#else
	return sock_i_ino((struct sock *)sk);
#endif
}

static u64 read_flags(const struct inet_sock *inet)
{
#ifdef KNETSTAT_HAS_INET_FLAGS
	return READ_ONCE(inet->inet_flags);
#else
	return READ_ONCE(inet->cmsg_flags) + inet->recverr;
#endif
}

static const struct udp_table *table_of_udp(void)
{
#ifdef KNETSTAT_HAS_UDP_TABLE_OF_NET
	return init_net.ipv4.udp_table;
#else
	return &udp_table;
#endif
}

static u64 read_udp_flags(const struct udp_sock *up)
{
#ifdef KNETSTAT_HAS_UDP_FLAGS
	return READ_ONCE(up->udp_flags);
#else
	return READ_ONCE(up->corkflag) + up->gro_enabled;
#endif
}

static u64 read_sock(const struct sock *sk)
{
	const struct inet_sock *inet = inet_sk(sk);
	u64 sum = 0;

	sum += READ_ONCE(sk->sk_daddr);
	sum += READ_ONCE(sk->sk_rcv_saddr);
	sum += READ_ONCE(sk->sk_dport);
	sum += READ_ONCE(sk->sk_state);
	sum += READ_ONCE(sk->sk_bound_dev_if);
	sum += READ_ONCE(sk->sk_flags);
	sum += READ_ONCE(sk->sk_peek_off);
	/* Bits, on older kernels. */
	sum += sk->sk_userlocks;
	sum += (unsigned long)READ_ONCE(sk->sk_filter);
	sum += READ_ONCE(sk->sk_rcvtimeo);
	sum += READ_ONCE(sk->sk_rcvlowat);
	sum += READ_ONCE(sk->sk_tsflags);
	sum += READ_ONCE(sk->sk_max_pacing_rate);
	sum += READ_ONCE(sk->sk_sndtimeo);
	sum += READ_ONCE(sk->sk_priority);
	sum += __kuid_val(READ_ONCE(sk->sk_uid));
	sum += READ_ONCE(sk->sk_lingertime);
	sum += read_inode(sk);
	sum += (unsigned long)READ_ONCE(sk->sk_reuseport_cb);
	sum += read_flags(inet);
	sum += READ_ONCE(inet->inet_sport);
	sum += READ_ONCE(inet->uc_ttl);
	sum += READ_ONCE(inet->tos);
	sum += (unsigned long)READ_ONCE(inet->mc_list);
	return sum;
}

static u64 read_tcp(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	const struct tcp_sock *tp = tcp_sk(sk);
	u64 sum = read_sock(sk);

	sum += READ_ONCE(icsk->icsk_accept_queue.rskq_defer_accept);
	sum += (unsigned long)READ_ONCE(icsk->icsk_ca_ops);
	sum += READ_ONCE(icsk->icsk_ack.pingpong);
	sum += READ_ONCE(icsk->icsk_user_timeout);
	sum += READ_ONCE(tp->notsent_lowat);
	sum += READ_ONCE(tp->snd_wnd);
	sum += READ_ONCE(tp->copied_seq);
	sum += READ_ONCE(tp->write_seq);
	sum += READ_ONCE(tp->rcv_nxt);
	sum += READ_ONCE(tp->rcv_tstamp);
	sum += READ_ONCE(tp->keepalive_probes);
	sum += READ_ONCE(tp->keepalive_time);
	return sum;
}

static u64 read_udp(const struct sock *sk)
{
	u64 sum = read_sock(sk);

	sum += atomic_read(&sk->sk_rmem_alloc);
	sum += refcount_read(&sk->sk_wmem_alloc);
	sum += read_udp_flags(udp_sk(sk));
	sum += READ_ONCE(udp_sk(sk)->forward_deficit);
	return sum;
}

/* A TIME_WAIT minisock or a request: the part that all have, and a little. */
static u64 read_mini(const struct sock *sk)
{
	u64 sum = 0;

	sum += READ_ONCE(sk->sk_daddr);
	sum += READ_ONCE(sk->sk_rcv_saddr);
	sum += READ_ONCE(sk->sk_portpair);
	sum += READ_ONCE(sk->sk_state);
	if (sk->sk_state == TCP_TIME_WAIT)
		sum += READ_ONCE(inet_twsk(sk)->tw_substate);
	return sum;
}

/* The sum goes into the row, so that the compiler has to read all fields. */
static void write_row(char *row, unsigned int bytes, u64 sum)
{
	memcpy(row, template, bytes);
	sum = (sum & 0x0f0f0f0f0f0f0f0fULL) | 0x4040404040404040ULL;
	memcpy(row, &sum, sizeof(sum));
	row[bytes - 1] = '\n';
}

static bool is_shown(const struct sock *sk)
{
	return sk->sk_family == AF_INET && net_eq(sock_net(sk), &init_net);
}

/* Shows a socket. False: there is no room for it. */
static bool show_sock(struct seq_file *m, struct walk *walk, struct sock *sk)
{
	unsigned int bytes = clamp(READ_ONCE(row_bytes), MIN_ROW, MAX_ROW);
	char *row;
	u64 sum;

	if (!is_shown(sk))
		return true;
	if (seq_get_buf(m, &row) < bytes) {
		walk->whole = false;
		return false;
	}
	if (walk->is_udp)
		sum = read_udp(sk);
	else if (sk_fullsock(sk))
		sum = read_tcp(sk);
	else
		sum = read_mini(sk);
	write_row(row, bytes, sum);
	seq_commit(m, bytes);
	walk->shown++;
	return true;
}

/* What a link leads to. NULL ends a hlist, an odd number a hlist_nulls of the same layout. */
static struct sock *sock_at(const struct hlist_node *link)
{
	if (!link || is_a_nulls((const struct hlist_nulls_node *)link))
		return NULL;
	return hlist_entry(link, struct sock, sk_node);
}

/*
 * Shows what is not yet final of a chain. Goes on behind the socket at which it stopped,
 * if that is still in a chain, or else counts. Good enough for sockets that stay.
 */
static void show_chain(struct seq_file *m, struct walk *walk, const void *first)
{
	struct sock *sk = sock_at(first);
	unsigned int skip = walk->done;
	struct sock *last = NULL;

	if (walk->resume && sk_hashed(walk->resume)) {
		last = walk->resume;
		sk = sock_at(last->sk_node.next);
		skip = 0;
	}
	for (; sk; sk = sock_at(sk->sk_node.next)) {
		if (skip) {
			skip -= is_shown(sk);
			continue;
		}
		if (!show_sock(m, walk, sk))
			break;
		last = sk;
	}
	if (!walk->whole && walk->shown && last && sk_fullsock(last)) {
		sock_hold(last);
		walk->last = last;
	}
}

/* The table of listeners that are linked by sk_node. */
static unsigned int listening_buckets(const struct inet_hashinfo *info)
{
#ifdef KNETSTAT_HAS_LISTENING_HASH
	return INET_LHTABLE_SIZE;
#else
	return info->lhash2_mask + 1;
#endif
}

static struct inet_listen_hashbucket *listening(struct inet_hashinfo *info, unsigned int slot)
{
#ifdef KNETSTAT_HAS_LISTENING_HASH
	return &info->listening_hash[slot];
#else
	return &info->lhash2[slot];
#endif
}

static struct inet_hashinfo *table_of_tcp(void)
{
#ifdef KNETSTAT_HAS_TCP_DEATH_ROW_POINTER
	return init_net.ipv4.tcp_death_row->hashinfo;
#else
	return init_net.ipv4.tcp_death_row.hashinfo;
#endif
}

static void show_tcp(struct seq_file *m, struct walk *walk)
{
	struct inet_hashinfo *info = table_of_tcp();
	unsigned int slot = walk->bucket;

	if (slot < listening_buckets(info)) {
		struct inet_listen_hashbucket *bucket = listening(info, slot);

		spin_lock(&bucket->lock);
		show_chain(m, walk, bucket->nulls_head.first);
		spin_unlock(&bucket->lock);
	} else {
		spinlock_t *lock;

		slot -= listening_buckets(info);
		lock = inet_ehash_lockp(info, slot);
		spin_lock_bh(lock);
		show_chain(m, walk, info->ehash[slot].chain.first);
		spin_unlock_bh(lock);
	}
}

static void show_udp(struct seq_file *m, struct walk *walk)
{
	struct udp_hslot *slot = &table_of_udp()->hash[walk->bucket];

	spin_lock_bh(&slot->lock);
	show_chain(m, walk, slot->head.first);
	spin_unlock_bh(&slot->lock);
}

static unsigned int buckets(const struct walk *walk)
{
	const struct inet_hashinfo *info = table_of_tcp();

	if (walk->is_udp)
		return table_of_udp()->mask + 1;
	return listening_buckets(info) + info->ehash_mask + 1;
}

static bool is_empty(const struct walk *walk)
{
	struct inet_hashinfo *info = table_of_tcp();
	unsigned int slot = walk->bucket;

	if (walk->is_udp)
		return hlist_empty(&table_of_udp()->hash[slot].head);
	if (slot < listening_buckets(info))
		return hlist_nulls_empty(&listening(info, slot)->nulls_head);
	return hlist_nulls_empty(&info->ehash[slot - listening_buckets(info)].chain);
}

/* Goes on to a bucket that is not empty. NULL: there is none. */
static void *skip_empty(struct walk *walk)
{
	unsigned int skipped = 0;

	while (walk->bucket < buckets(walk)) {
		if (!is_empty(walk))
			return walk;
		walk->bucket++;
		if (++skipped % EMPTY_BUCKETS == 0)
			cond_resched();
	}
	return NULL;
}

static void *floor_start(struct seq_file *m, loff_t *pos)
{
	struct walk *walk = m->private;

	if (*pos == 0) {
		walk->began = false;
		walk->bucket = 0;
		walk->done = 0;
		forget(&walk->resume);
		return walk;
	}
	return walk->bucket < buckets(walk) ? walk : NULL;
}

static void *floor_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct walk *walk = v;

	++*pos;
	if (!walk->began) {
		walk->began = true;
	} else if (walk->whole) {
		walk->bucket++;
		walk->done = 0;
		forget(&walk->resume);
	} else {
		walk->done += walk->shown;
		forget(&walk->resume);
		swap(walk->resume, walk->last);
	}
	return skip_empty(walk);
}

static void floor_stop(struct seq_file *m, void *v)
{
}

static int floor_show(struct seq_file *m, void *v)
{
	struct walk *walk = v;

	if (!walk->began) {
		/* seq_file doubles its buffer until the first record fits. */
		if (m->size < BUFFER)
			seq_commit(m, -1);
		else
			seq_puts(m, "floor\n");
		return 0;
	}
	walk->shown = 0;
	walk->whole = true;
	forget(&walk->last);
	if (walk->is_udp)
		show_udp(m, walk);
	else
		show_tcp(m, walk);
	/* A part of a bucket is fine, but for nothing at all. */
	if (!walk->whole && !walk->shown)
		seq_commit(m, -1);
	return 0;
}

static const struct seq_operations floor_seq_ops = {
	.start = floor_start,
	.next = floor_next,
	.stop = floor_stop,
	.show = floor_show,
};

static int floor_open(struct inode *inode, struct file *file)
{
	struct walk *walk = __seq_open_private(file, &floor_seq_ops, sizeof(*walk));

	if (!walk)
		return -ENOMEM;
#ifdef KNETSTAT_HAS_PDE_DATA
	walk->is_udp = !!PDE_DATA(inode);
#else
	walk->is_udp = !!pde_data(inode);
#endif
	return 0;
}

static int floor_release(struct inode *inode, struct file *file)
{
	struct walk *walk = ((struct seq_file *)file->private_data)->private;

	forget(&walk->resume);
	forget(&walk->last);
	return seq_release_private(inode, file);
}

static const struct proc_ops floor_ops = {
	.proc_open = floor_open,
	.proc_read_iter = seq_read_iter,
	.proc_lseek = seq_lseek,
	.proc_release = floor_release,
};

static int __init floor_init(void)
{
	memset(template, '-', sizeof(template));
	if (!proc_create_data("floor_tcp", 0444, init_net.proc_net, &floor_ops, NULL))
		return -ENOMEM;
	if (!proc_create_data("floor_udp", 0444, init_net.proc_net, &floor_ops, (void *)1)) {
		remove_proc_entry("floor_tcp", init_net.proc_net);
		return -ENOMEM;
	}
	return 0;
}

static void __exit floor_exit(void)
{
	remove_proc_entry("floor_udp", init_net.proc_net);
	remove_proc_entry("floor_tcp", init_net.proc_net);
}

module_init(floor_init);
module_exit(floor_exit);

MODULE_DESCRIPTION("The least that listing sockets costs (knetstat's benchmark)");
MODULE_LICENSE("GPL");
