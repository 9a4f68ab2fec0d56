// SPDX-License-Identifier: GPL-2.0
/*
 * For tests only: a network device with a PTP clock, in the network namespace
 * in which it is loaded. No packet ever leaves it.
 *
 * SO_TIMESTAMPING can name one of the virtual clocks of such a device.
 */

#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <net/net_namespace.h>

#ifndef KNETSTAT_HAS_KERNEL_TS_INFO
#define kernel_ethtool_ts_info ethtool_ts_info
#endif

static struct net_device *device;
static struct ptp_clock *phc;

static int phc_gettime64(struct ptp_clock_info *info, struct timespec64 *ts)
{
	ktime_get_raw_ts64(ts);
	return 0;
}

static int phc_settime64(struct ptp_clock_info *info, const struct timespec64 *ts)
{
	return -EOPNOTSUPP;
}

static int phc_adjtime(struct ptp_clock_info *info, s64 delta)
{
	return -EOPNOTSUPP;
}

static int phc_adjfine(struct ptp_clock_info *info, long scaled_ppm)
{
	return -EOPNOTSUPP;
}

static struct ptp_clock_info phc_info = {
	.owner = THIS_MODULE,
	.name = "knetstat-phc",
	.gettime64 = phc_gettime64,
	.settime64 = phc_settime64,
	.adjtime = phc_adjtime,
	.adjfine = phc_adjfine,
};

static netdev_tx_t phc_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	dev_kfree_skb(skb);
	return NETDEV_TX_OK;
}

static const struct net_device_ops phc_netdev_ops = {
	.ndo_start_xmit = phc_start_xmit,
};

static int phc_get_ts_info(struct net_device *dev, struct kernel_ethtool_ts_info *info)
{
	info->phc_index = ptp_clock_index(phc);
	return 0;
}

static const struct ethtool_ops phc_ethtool_ops = {
	.get_ts_info = phc_get_ts_info,
};

static void phc_setup(struct net_device *dev)
{
	ether_setup(dev);
	eth_hw_addr_random(dev);
	dev->netdev_ops = &phc_netdev_ops;
	dev->ethtool_ops = &phc_ethtool_ops;
}

static int __init phc_init(void)
{
	int err;

	phc = ptp_clock_register(&phc_info, NULL);
	if (IS_ERR(phc))
		return PTR_ERR(phc);
	/* A kernel without CONFIG_PTP_1588_CLOCK. */
	if (!phc)
		return -ENODEV;

	device = alloc_netdev(0, "phc%d", NET_NAME_ENUM, phc_setup);
	if (!device) {
		err = -ENOMEM;
		goto unregister_clock;
	}
	dev_net_set(device, current->nsproxy->net_ns);
	err = register_netdev(device);
	if (err)
		goto free_device;
	return 0;

free_device:
	free_netdev(device);
unregister_clock:
	ptp_clock_unregister(phc);
	return err;
}

static void __exit phc_exit(void)
{
	unregister_netdev(device);
	free_netdev(device);
	ptp_clock_unregister(phc);
}

module_init(phc_init);
module_exit(phc_exit);

MODULE_DESCRIPTION("A network device with a PTP clock (knetstat's tests)");
MODULE_LICENSE("GPL");
