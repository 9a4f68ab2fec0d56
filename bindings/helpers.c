// SPDX-License-Identifier: GPL-2.0
/*
 * Static inlines and macros of the kernel as functions that Rust can call. Most of them consist of
 * the C that they are named after. Those that do more have a comment.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <generated/utsrelease.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/namei.h>
#include <linux/netdevice.h>
#include <linux/notifier.h>
#include <linux/path.h>
#include <linux/prefetch.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uidgid.h>
#include <linux/uio.h>
#include <linux/user_namespace.h>
#include <linux/utsname.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/sock_reuseport.h>

#include "bindings.h"

/* Not MODULE_VERSION(): it uses a section of its own, for the sake of built-in modules. */
MODULE_INFO(version, KNETSTAT_VERSION);

void knetstat_spin_lock_bh(spinlock_t *lock)
{
	spin_lock_bh(lock);
}

/*
 * For locks, such as those of lhash2, that other code takes with BHs on. That code switches BHs off
 * under the lock, as sock_i_ino() does. On PREEMPT_RT, switching them off takes a lock, too, and
 * the order must be the same everywhere. See inet_unhash(). knetstat_spin_unlock_bh() undoes both.
 *
 * For the locks of listening_hash, the order depends on the kernel, and no header tells which one it
 * is. Linux 5.10.262 has this order. RHEL 9.0 has the other one, except in /proc/net/tcp and
 * sock_diag. On PREEMPT_RT, this fits both: it waits for one of the two only while it has neither.
 */
void knetstat_spin_lock_then_bh_disable(spinlock_t *lock)
{
#if defined(KNETSTAT_HAS_LISTENING_HASH) && defined(CONFIG_PREEMPT_RT)
	local_bh_disable();
	while (!spin_trylock(lock)) {
		local_bh_enable();
		/* Sleeps until the owner is done. */
		spin_lock(lock);
		spin_unlock(lock);
		local_bh_disable();
	}
#else
	spin_lock(lock);
	local_bh_disable();
#endif
}

void knetstat_spin_unlock_bh(spinlock_t *lock)
{
	spin_unlock_bh(lock);
}

/* These are hints only: the node may no longer exist. */
void knetstat_prefetch(const struct hlist_node *node, const u16 *lines, size_t count)
{
	const u8 *sk = (const u8 *)container_of(node, struct sock, sk_node);
	/* Old kernels, such as 5.10, are compiled as gnu89: no declaration in "for". */
	size_t i;

	for (i = 0; i < count; i++)
		prefetch(sk + lines[i]);
}

/* The reference count is in struct sock_common, which minisocks have, too. */
bool knetstat_sock_tryget(struct sock *sk)
{
	return refcount_inc_not_zero(&sk->sk_refcnt);
}

/*
 * Takes the spinlock of a full socket, unless it is contended or a process owns the socket.
 * bh_lock_sock() and sock_owned_by_user() do the same in softirqs. BHs must be off. lockdep learns
 * no order of locks from a trylock.
 */
bool knetstat_bh_trylock_sock(struct sock *sk)
{
	if (!spin_trylock(&sk->sk_lock.slock))
		return false;
	if (!sock_owned_by_user(sk))
		return true;
	bh_unlock_sock(sk);
	return false;
}

void knetstat_bh_unlock_sock(struct sock *sk)
{
	bh_unlock_sock(sk);
}

/*
 * The slot of the table of listeners into which inet_hash() puts a socket. For lhash2, this is
 * inet_lhash2_bucket_sk() of net/ipv4/inet_hashtables.c, which is static.
 */
u32 knetstat_listening_slot(const struct inet_hashinfo *h, const struct sock *sk)
{
#ifdef KNETSTAT_HAS_LISTENING_HASH
	return inet_sk_listen_hashfn(sk);
#else
	u32 hash;

#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		hash = ipv6_portaddr_hash(sock_net(sk), &sk->sk_v6_rcv_saddr,
					  inet_sk(sk)->inet_num);
	else
#endif
		hash = ipv4_portaddr_hash(sock_net(sk), inet_sk(sk)->inet_rcv_saddr,
					  inet_sk(sk)->inet_num);
	return hash & h->lhash2_mask;
#endif
}

/* The UDP table of a namespace. */
const struct udp_table *knetstat_udp_table(const struct net *net)
{
#ifdef KNETSTAT_HAS_UDP_TABLE_OF_NET
	return net->ipv4.udp_table;
#else
	return &udp_table;
#endif
}

/*
 * Whether the object behind pinet6, and the objects that it points to, belong to this IPv6 socket.
 *
 * Without opt_child_init, tcp_v6_syn_recv_sock() links in the child of a v4-mapped connection while
 * the child still has the pointers of its listener. It replaces them before the state changes from
 * TCP_SYN_RECV. That change is a store-release. It also replaces them before the child gets a struct
 * socket: for accept(2), the lock of the queue is taken in between; for a subflow that joins an MPTCP
 * connection, in mptcp_finish_join(), the lock of the path manager. Only 6.1 with a path manager in user
 * space takes no lock there, so the row may show the options of the listener for a moment on a weakly
 * ordered CPU. This is safe, because the listener is freed by RCU. A process can have a socket in this
 * state, after a simultaneous open or with TCP Fast Open.
 */
bool knetstat_owns_pinet6(const struct sock *sk)
{
#ifdef KNETSTAT_HAS_OPT_CHILD_INIT
	return true;
#elif IS_ENABLED(CONFIG_IPV6)
	if (inet_sk_state_load(sk) != TCP_SYN_RECV || !ipv6_addr_v4mapped(&sk->sk_v6_daddr))
		return true;
	if (!READ_ONCE(sk->sk_socket))
		return false;
	/* The reader follows pinet6 after this. */
	smp_rmb();
	return true;
#else
	return false;
#endif
}

/*
 * The flags of struct inet_sock as one word, by the numbers of INET_FLAGS_*. For kernels that have
 * bit-fields instead, see bindings.h. "inet6" is true for those of IPv6, too; knetstat_owns_pinet6()
 * must have returned true before. It is not asked again, because its answer may change meanwhile:
 * close(2) takes the struct socket away.
 */
u64 knetstat_inet_flags(const struct sock *sk, bool inet6)
{
#define SET(flag, condition) (flags |= (u64)!!(condition) << INET_FLAGS_##flag)
	const struct inet_sock *inet = inet_sk(sk);
	u64 flags = 0;

#ifdef KNETSTAT_HAS_INET_FLAGS
	flags = READ_ONCE(inet->inet_flags);
#else
	const u16 cmsg = READ_ONCE(inet->cmsg_flags);

	SET(PKTINFO, cmsg & IP_CMSG_PKTINFO);
	SET(TTL, cmsg & IP_CMSG_TTL);
	SET(TOS, cmsg & IP_CMSG_TOS);
	SET(RECVOPTS, cmsg & IP_CMSG_RECVOPTS);
	SET(RETOPTS, cmsg & IP_CMSG_RETOPTS);
	SET(PASSSEC, cmsg & IP_CMSG_PASSSEC);
	SET(ORIGDSTADDR, cmsg & IP_CMSG_ORIGDSTADDR);
	SET(CHECKSUM, cmsg & IP_CMSG_CHECKSUM);
	SET(RECVFRAGSIZE, cmsg & IP_CMSG_RECVFRAGSIZE);
	SET(RECVERR, inet->recverr);
	SET(RECVERR_RFC4884, inet->recverr_rfc4884);
	SET(FREEBIND, inet->freebind);
	SET(MC_LOOP, inet->mc_loop);
	SET(MC_ALL, inet->mc_all);
	SET(TRANSPARENT, inet->transparent);
	SET(BIND_ADDRESS_NO_PORT, inet->bind_address_no_port);
	SET(IS_ICSK, inet->is_icsk);
#endif
#if !defined(KNETSTAT_HAS_INET_FLAGS_OF_IPV6) && IS_ENABLED(CONFIG_IPV6)
	if (inet6) {
		const struct ipv6_pinfo *np = inet->pinet6;

		SET(MC6_LOOP, np->mc_loop);
		SET(MC6_ALL, np->mc_all);
		SET(RECVERR6, np->recverr);
		SET(RECVERR6_RFC4884, np->recverr_rfc4884);
		SET(SNDFLOW, np->sndflow);
		SET(DONTFRAG, np->dontfrag);
		SET(AUTOFLOWLABEL, np->autoflowlabel);
		SET(AUTOFLOWLABEL_SET, np->autoflowlabel_set);
	}
#endif
#undef SET
	return flags;
}

#ifndef KNETSTAT_HAS_UDP_FLAGS
/*
 * The flags of struct udp_sock as one word, by the numbers of UDP_FLAGS_*, for kernels that have
 * bit-fields instead. See bindings.h.
 */
u64 knetstat_udp_flags(const struct sock *sk)
{
	const struct udp_sock *up = udp_sk(sk);

	return (u64)!!READ_ONCE(up->corkflag) << UDP_FLAGS_CORK |
	       (u64)up->no_check6_tx << UDP_FLAGS_NO_CHECK6_TX |
	       (u64)up->no_check6_rx << UDP_FLAGS_NO_CHECK6_RX |
	       (u64)up->gro_enabled << UDP_FLAGS_GRO_ENABLED;
}
#endif

/* The slot of udp_table.hash into which udp_lib_get_port() puts a socket. */
u32 knetstat_udp_slot(const struct udp_table *table, const struct sock *sk)
{
	return udp_hashfn(sock_net(sk), udp_sk(sk)->udp_port_hash, table->mask);
}

/* Whether the calling process sees the path. */
bool knetstat_path_exists(const char *name)
{
	struct path path;

	if (kern_path(name, 0, &path))
		return false;
	path_put(&path);
	return true;
}

struct net *knetstat_maybe_get_net(struct net *net)
{
	return maybe_get_net(net);
}

void knetstat_put_net(struct net *net)
{
	put_net(net);
}

void *knetstat_pde_data(const struct inode *inode)
{
#ifdef KNETSTAT_HAS_PDE_DATA
	return PDE_DATA(inode);
#else
	return pde_data(inode);
#endif
}

/* The user namespace of the process that opened the file, as in seq_user_ns(). */
struct user_namespace *knetstat_file_user_ns(const struct file *file)
{
	return file->f_cred->user_ns;
}

/* struct file is opaque to Rust. */
void *knetstat_file_private(const struct file *file)
{
	return file->private_data;
}

void knetstat_set_file_private(struct file *file, void *data)
{
	file->private_data = data;
}

size_t knetstat_iov_iter_count(const struct iov_iter *iter)
{
	return iov_iter_count(iter);
}

size_t knetstat_copy_to_iter(const void *from, size_t len, struct iov_iter *to)
{
	return copy_to_iter(from, len, to);
}

void knetstat_mutex_init(struct mutex *lock)
{
	mutex_init(lock);
}

int knetstat_mutex_lock_killable(struct mutex *lock)
{
	return mutex_lock_killable(lock);
}

void knetstat_mutex_unlock(struct mutex *lock)
{
	mutex_unlock(lock);
}

/*
 * The user that /proc/net/tcp shows. On kernels with sock_i_uid(), it is that of the file, and
 * hence root for an orphan.
 */
u32 knetstat_uid(struct user_namespace *ns, const struct sock *sk)
{
#ifdef KNETSTAT_HAS_SOCK_I_UID
	return from_kuid_munged(ns, sock_i_uid((struct sock *)sk));
#else
	return from_kuid_munged(ns, sk_uid(sk));
#endif
}

bool knetstat_is_net_admin(const struct net *net)
{
	return ns_capable_noaudit(net->user_ns, CAP_NET_ADMIN);
}

static enum knetstat_program kind_of(const struct bpf_prog *prog)
{
	return bpf_prog_was_classic(prog) ? KNETSTAT_CLASSIC : KNETSTAT_EBPF;
}

enum knetstat_program knetstat_filter(const struct sock *sk)
{
	enum knetstat_program kind = KNETSTAT_NO_PROGRAM;
	const struct sk_filter *filter;

	rcu_read_lock();
	filter = rcu_dereference(sk->sk_filter);
	if (filter)
		kind = kind_of(filter->prog);
	rcu_read_unlock();
	return kind;
}

/*
 * Each retry needs a writer that replaced the pointer during the copy. 16 in a row do not occur,
 * unless this task is preempted each time.
 */
#define KNETSTAT_TRIES 16

/*
 * Copies @size bytes, @offset bytes behind the start of the object that the pointer at @pointer points
 * to. False if it points to none.
 *
 * For objects that some kernels free at once when the pointer is replaced, without waiting for
 * readers. The object may be freed while it is read, and its memory unmapped, so the copy may fail,
 * or be garbage. If the pointer is still the same after it, the copy is taken for right: whoever frees
 * the object has replaced the pointer before. There is one exception, see below.
 */
bool knetstat_copy_behind(const void *pointer, size_t offset, void *to, size_t size)
{
	const void *const *at = pointer;
	const void *object;
	int tries;

	for (tries = 0; tries < KNETSTAT_TRIES; tries++) {
		object = READ_ONCE(*at);
		if (!object)
			return false;
		if (copy_from_kernel_nofault(to, object + offset, size))
			continue;
		/* The copy comes before the second look at the pointer. */
		smp_rmb();
		if (READ_ONCE(*at) == object)
			return true;
	}
	return false;
}

/*
 * Before sk_reuseport_prog_free_rcu(), a classic program is freed at once when another one replaces
 * it. If a group of sockets has grown meanwhile (reuseport_grow()), that happens in the new group, and
 * the old one keeps its pointer. The answer may then be the wrong kind of program.
 */
enum knetstat_program knetstat_reuseport_program(const struct sock *sk)
{
	enum knetstat_program kind = KNETSTAT_NO_PROGRAM;
	const struct sock_reuseport *reuse;
	enum bpf_prog_type type;

	rcu_read_lock();
	reuse = rcu_dereference(sk->sk_reuseport_cb);
	if (reuse && knetstat_copy_behind(&reuse->prog, offsetof(struct bpf_prog, type), &type,
					  sizeof(type)))
		/* As in bpf_prog_was_classic(). */
		kind = type == BPF_PROG_TYPE_UNSPEC ? KNETSTAT_CLASSIC : KNETSTAT_EBPF;
	rcu_read_unlock();
	return kind;
}

/*
 * The name of a device. False if there is no such device, or if it has no name right now.
 *
 * netdev_get_name() is not exported, nor is the seqlock by which it notices that dev_change_name()
 * has come between. The copy of the name is therefore looked up. A name that is half the old and
 * half the new one is found only under two conditions. It must hash like the name under which the
 * device is listed, and it must be the name of the device at that moment. Between the two names, a
 * device is listed under neither.
 */
bool knetstat_device_name(struct net *net, int index, u8 *name)
{
	const struct net_device *dev;
	bool found = false;

	rcu_read_lock();
	dev = dev_get_by_index_rcu(net, index);
	if (dev) {
		strscpy(name, dev->name, IFNAMSIZ);
		found = dev_get_by_name_rcu(net, name) == dev;
	}
	rcu_read_unlock();
	return found;
}

u32 knetstat_msecs_to_jiffies(u32 msecs)
{
	return msecs_to_jiffies(msecs);
}

u32 knetstat_usecs_to_jiffies(u32 usecs)
{
	return usecs_to_jiffies(usecs);
}

u32 knetstat_jiffies_to_msecs(u32 jiffies)
{
	return jiffies_to_msecs(jiffies);
}

u32 knetstat_jiffies_to_usecs(u32 jiffies)
{
	return jiffies_to_usecs(jiffies);
}

void knetstat_rcu_read_lock(void)
{
	rcu_read_lock();
}

void knetstat_rcu_read_unlock(void)
{
	rcu_read_unlock();
}

u64 knetstat_sock_ino(const struct sock *sk)
{
	return sock_i_ino((struct sock *)sk);
}

/* Held for reading by tasks that own references to sockets: see abstractions/modules.rs. */
static DECLARE_RWSEM(knetstat_modules);

/* delete_module(2) calls this after the module's exit, and before it frees the module's text. */
static int knetstat_module_event(struct notifier_block *nb, unsigned long event, void *module)
{
	if (event == MODULE_STATE_GOING) {
		/* No reference is left that was taken before. */
		down_write(&knetstat_modules);
		up_write(&knetstat_modules);
		/* sk_destruct() leaves sockets with SOCK_RCU_FREE to RCU. */
		rcu_barrier();
	}
	return NOTIFY_DONE;
}

/* Comes before all other notifiers, because some of them take the module apart. */
static struct notifier_block knetstat_module_notifier = {
	.notifier_call = knetstat_module_event,
	.priority = INT_MAX,
};

/*
 * Fails if this kernel is not the one whose headers the module was built with. With
 * CONFIG_MODVERSIONS, the kernel loads a module of another release if both have the same versions of
 * the symbols that the module uses. That does not cover all the structures that it reads.
 */
int knetstat_check_release(void)
{
	const char *release = init_utsname()->release;
	const char *built_for = UTS_RELEASE;

	/* The string stays in one piece, so that a test can change it in the module's file. */
	OPTIMIZER_HIDE_VAR(built_for);
	if (!strcmp(release, built_for))
		return 0;
	pr_err("built for Linux %s, but this is Linux %s; build it for this kernel\n", built_for, release);
	return -ENOEXEC;
}

/*
 * Fails if this kernel was built with another configuration than the headers that the module was built
 * with: it may have been built again, and keep its release. This compares what the kernel tells of its
 * structures. Sizes alone would miss small changes, because sockets are padded to cache lines. Nothing
 * tells where the fields of struct ipv6_pinfo are.
 */
int knetstat_check_layout(void)
{
	static const struct {
		char name[48];
		unsigned int value;
	} facts[] = {
		{ "sizeof(struct tcp_sock)", sizeof(struct tcp_sock) },
		{ "sizeof(struct udp_sock)", sizeof(struct udp_sock) },
		{ "offsetof(struct net, user_ns)", offsetof(struct net, user_ns) },
		{ "offsetof(struct net, ipv4.sysctl_tcp_wmem)", offsetof(struct net, ipv4.sysctl_tcp_wmem) },
#ifdef KNETSTAT_HAS_FREEPTR_OFFSET
		{ "offsetof(struct sock, sk_freeptr)", offsetof(struct sock, sk_freeptr) },
#endif
	}, *built_for = facts;
	bool holds[ARRAY_SIZE(facts)];
	size_t i;

	/* The table stays in the module's file, so that a test can change it there. */
	OPTIMIZER_HIDE_VAR(built_for);
	holds[0] = tcp_prot.obj_size == built_for[0].value;
	holds[1] = udp_prot.obj_size == built_for[1].value;
	holds[2] = *(struct user_namespace **)((char *)&init_net + built_for[2].value) == &init_user_ns;
	holds[3] = tcp_prot.sysctl_wmem_offset == built_for[3].value;
#ifdef KNETSTAT_HAS_FREEPTR_OFFSET
	holds[4] = tcp_prot.freeptr_offset == built_for[4].value;
#endif
	for (i = 0; i < ARRAY_SIZE(holds); i++) {
		if (holds[i])
			continue;
		pr_err("built for a kernel of this release with another configuration: %s is %u there, but not here; build it again, after make clean\n",
		       built_for[i].name, built_for[i].value);
		return -ENOEXEC;
	}
	return 0;
}

int knetstat_watch_modules(void)
{
	return register_module_notifier(&knetstat_module_notifier);
}

void knetstat_unwatch_modules(void)
{
	unregister_module_notifier(&knetstat_module_notifier);
}

int knetstat_hold_modules(void)
{
	return down_read_killable(&knetstat_modules);
}

void knetstat_release_modules(void)
{
	up_read(&knetstat_modules);
}

/* If "optional", the kernel does not try hard to find the memory, and kills no process. */
void *knetstat_kvzalloc(size_t size, bool optional)
{
	return kvzalloc(size, GFP_KERNEL_ACCOUNT | (optional ? __GFP_NORETRY | __GFP_NOWARN : 0));
}

void knetstat_cond_resched(void)
{
	cond_resched();
}

bool knetstat_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

/* Only for the build that measures how long locks are held. */
u64 knetstat_ktime_get_ns(void)
{
	return ktime_get_ns();
}

/* Only for builds that break a rule: they sleep under a lock, or for long between two locks. */
void knetstat_test_sleep(void)
{
	msleep(15);
}

/* Only for the build that gives a socket more time to change its table. */
void knetstat_test_delay(void)
{
	mdelay(5);
}
