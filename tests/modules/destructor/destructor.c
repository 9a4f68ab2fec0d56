// SPDX-License-Identifier: GPL-2.0
/*
 * For tests only: gives a socket a destructor in this module. It counts the
 * call and then calls the destructor that the socket had before.
 *
 * A process writes the number of a descriptor to /proc/knetstat_destructor. The
 * file shows how many sockets were given the destructor and how many of these
 * were destroyed since. Do not unload the module before the two are equal: as
 * for L2TP and TLS, nothing keeps the kernel from calling the destructor then.
 */

#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <net/sock.h>
/* On old kernels, such as 5.10, this needs the headers above. */
#include <net/inet_common.h>

/* A socket that has our destructor. */
struct owned {
	struct hlist_node node;
	struct sock *sk;
	void (*original)(struct sock *sk);
};

/* Guards the table and the counts. Destructors run in softirqs as well. */
static DEFINE_SPINLOCK(lock);
static DEFINE_HASHTABLE(table, 10);
static unsigned int set, destroyed;

static struct owned *find(struct sock *sk)
{
	struct owned *owned;

	hash_for_each_possible(table, owned, node, (unsigned long)sk) {
		if (owned->sk == sk)
			return owned;
	}
	return NULL;
}

static void destructor(struct sock *sk)
{
	/* A connection inherits the destructor of its listener, but is not in the table. */
	void (*original)(struct sock *sk) = inet_sock_destruct;
	struct owned *owned;
	unsigned long flags;

	spin_lock_irqsave(&lock, flags);
	owned = find(sk);
	if (owned) {
		original = owned->original;
		hash_del(&owned->node);
		destroyed++;
	}
	spin_unlock_irqrestore(&lock, flags);
	kfree(owned);

	sk->sk_destruct = original;
	original(sk);
}

static int own(struct sock *sk)
{
	struct owned *owned;
	int err = -EEXIST;

	owned = kzalloc(sizeof(*owned), GFP_KERNEL);
	if (!owned)
		return -ENOMEM;

	lock_sock(sk);
	spin_lock_irq(&lock);
	if (!find(sk)) {
		owned->sk = sk;
		owned->original = sk->sk_destruct;
		hash_add(table, &owned->node, (unsigned long)sk);
		sk->sk_destruct = destructor;
		set++;
		err = 0;
	}
	spin_unlock_irq(&lock);
	release_sock(sk);

	if (err)
		kfree(owned);
	return err;
}

static ssize_t destructor_write(struct file *file, const char __user *text, size_t count,
				loff_t *pos)
{
	struct socket *sock;
	int fd, err;

	err = kstrtoint_from_user(text, count, 10, &fd);
	if (err)
		return err;
	sock = sockfd_lookup(fd, &err);
	if (!sock)
		return err;
	err = own(sock->sk);
	sockfd_put(sock);
	return err ? err : count;
}

static int destructor_show(struct seq_file *seq, void *v)
{
	unsigned int all, gone;

	spin_lock_irq(&lock);
	all = set;
	gone = destroyed;
	spin_unlock_irq(&lock);
	seq_printf(seq, "set %u\ndestroyed %u\n", all, gone);
	return 0;
}

static int destructor_open(struct inode *inode, struct file *file)
{
	return single_open(file, destructor_show, NULL);
}

static const struct proc_ops destructor_ops = {
	.proc_open = destructor_open,
	.proc_read = seq_read,
	.proc_write = destructor_write,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
};

static int __init destructor_init(void)
{
	if (!proc_create("knetstat_destructor", 0600, NULL, &destructor_ops))
		return -ENOMEM;
	return 0;
}

static void __exit destructor_exit(void)
{
	remove_proc_entry("knetstat_destructor", NULL);
	/* The last destructors may run yet, called by RCU. */
	rcu_barrier();
}

module_init(destructor_init);
module_exit(destructor_exit);

MODULE_DESCRIPTION("Gives sockets a destructor that counts (knetstat's tests)");
MODULE_LICENSE("GPL");
