// SPDX-License-Identifier: GPL-2.0
/*
 * For tests only: takes a name in /proc/net of the network namespace in which
 * it is loaded, so that knetstat finds it taken.
 */

#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <net/net_namespace.h>

static char *name = "udpstat";
module_param(name, charp, 0444);
MODULE_PARM_DESC(name, "the name to take");

static struct net *net;

static int squatter_show(struct seq_file *seq, void *v)
{
	seq_puts(seq, "taken\n");
	return 0;
}

static int __init squatter_init(void)
{
	net = get_net(current->nsproxy->net_ns);
	if (!proc_create_single(name, 0444, net->proc_net, squatter_show)) {
		put_net(net);
		return -ENOMEM;
	}
	return 0;
}

static void __exit squatter_exit(void)
{
	remove_proc_entry(name, net->proc_net);
	put_net(net);
}

module_init(squatter_init);
module_exit(squatter_exit);

MODULE_DESCRIPTION("Takes a name in /proc/net (knetstat's tests)");
MODULE_LICENSE("GPL");
