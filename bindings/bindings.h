/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's headers for everything that the module uses, and the declarations of helpers.c. */
#ifndef KNETSTAT_BINDINGS_H
#define KNETSTAT_BINDINGS_H

#include <linux/igmp.h>
#include <linux/ipv6.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/uio.h>
#include <net/if_inet6.h>
#include <net/inet_ecn.h>
#include <net/inet_hashtables.h>
#include <net/inet_timewait_sock.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/request_sock.h>
#include <net/tcp.h>
#include <net/tls.h>
#include <net/udp.h>

/* Some kernels have bit-fields instead. These numbers are our own, for knetstat_inet_flags(). */
#ifndef KNETSTAT_HAS_INET_FLAGS
enum {
	INET_FLAGS_PKTINFO,
	INET_FLAGS_TTL,
	INET_FLAGS_TOS,
	INET_FLAGS_RECVOPTS,
	INET_FLAGS_RETOPTS,
	INET_FLAGS_PASSSEC,
	INET_FLAGS_ORIGDSTADDR,
	INET_FLAGS_CHECKSUM,
	INET_FLAGS_RECVFRAGSIZE,
	INET_FLAGS_RECVERR,
	INET_FLAGS_RECVERR_RFC4884,
	INET_FLAGS_FREEBIND,
	INET_FLAGS_MC_LOOP,
	INET_FLAGS_MC_ALL,
	INET_FLAGS_TRANSPARENT,
	INET_FLAGS_BIND_ADDRESS_NO_PORT,
	INET_FLAGS_IS_ICSK,
};
#endif
#ifndef KNETSTAT_HAS_INET_FLAGS_OF_IPV6
/* Some kernels have INET_FLAGS_* for IPv4 only. These numbers are beyond all of theirs. */
enum {
	INET_FLAGS_MC6_LOOP = 48,
	INET_FLAGS_MC6_ALL,
	INET_FLAGS_RECVERR6,
	INET_FLAGS_RECVERR6_RFC4884,
	INET_FLAGS_SNDFLOW,
	INET_FLAGS_DONTFRAG,
	INET_FLAGS_AUTOFLOWLABEL,
	INET_FLAGS_AUTOFLOWLABEL_SET,
};
#endif

/* Some kernels have bit-fields instead. These numbers are our own, for knetstat_udp_flags(). */
#ifndef KNETSTAT_HAS_UDP_FLAGS
enum {
	UDP_FLAGS_CORK,
	UDP_FLAGS_NO_CHECK6_TX,
	UDP_FLAGS_NO_CHECK6_RX,
	UDP_FLAGS_GRO_ENABLED,
};
#endif

/* No value of SO_TIMESTAMPING has the flag. */
#ifndef KNETSTAT_HAS_BIND_PHC
#define SOF_TIMESTAMPING_BIND_PHC 0
#endif

/* Ciphers that some kernels lack. The numbers are part of the interface to user space. */
#ifndef TLS_CIPHER_CHACHA20_POLY1305
#define TLS_CIPHER_CHACHA20_POLY1305 54
#endif
#ifndef TLS_CIPHER_SM4_GCM
#define TLS_CIPHER_SM4_GCM 55
#endif
#ifndef TLS_CIPHER_SM4_CCM
#define TLS_CIPHER_SM4_CCM 56
#endif
#ifndef TLS_CIPHER_ARIA_GCM_128
#define TLS_CIPHER_ARIA_GCM_128 57
#endif
#ifndef TLS_CIPHER_ARIA_GCM_256
#define TLS_CIPHER_ARIA_GCM_256 58
#endif

/* The results of knetstat_filter() and knetstat_reuseport_program(). */
enum knetstat_program {
	KNETSTAT_NO_PROGRAM,
	KNETSTAT_CLASSIC,
	KNETSTAT_EBPF,
};

void knetstat_spin_lock_bh(spinlock_t *lock);
void knetstat_spin_lock_then_bh_disable(spinlock_t *lock);
void knetstat_spin_unlock_bh(spinlock_t *lock);
void knetstat_prefetch(const struct hlist_node *node, const u16 *lines, size_t count);
bool knetstat_sock_tryget(struct sock *sk);
bool knetstat_bh_trylock_sock(struct sock *sk);
void knetstat_bh_unlock_sock(struct sock *sk);
u32 knetstat_listening_slot(const struct inet_hashinfo *h, const struct sock *sk);
const struct udp_table *knetstat_udp_table(const struct net *net);
u64 knetstat_inet_flags(const struct sock *sk, bool inet6);
bool knetstat_owns_pinet6(const struct sock *sk);
u64 knetstat_udp_flags(const struct sock *sk);
u32 knetstat_udp_slot(const struct udp_table *table, const struct sock *sk);
bool knetstat_path_exists(const char *path);
struct net *knetstat_maybe_get_net(struct net *net);
void knetstat_put_net(struct net *net);
void *knetstat_pde_data(const struct inode *inode);
struct user_namespace *knetstat_file_user_ns(const struct file *file);
void *knetstat_file_private(const struct file *file);
void knetstat_set_file_private(struct file *file, void *data);
size_t knetstat_iov_iter_count(const struct iov_iter *iter);
size_t knetstat_copy_to_iter(const void *from, size_t len, struct iov_iter *to);
void knetstat_mutex_init(struct mutex *lock);
int knetstat_mutex_lock_killable(struct mutex *lock);
void knetstat_mutex_unlock(struct mutex *lock);
u32 knetstat_uid(struct user_namespace *ns, const struct sock *sk);
bool knetstat_is_net_admin(const struct net *net);
enum knetstat_program knetstat_filter(const struct sock *sk);
enum knetstat_program knetstat_reuseport_program(const struct sock *sk);
bool knetstat_copy_behind(const void *pointer, size_t offset, void *to, size_t size);
bool knetstat_device_name(struct net *net, int index, u8 *name);
u32 knetstat_msecs_to_jiffies(u32 msecs);
u32 knetstat_usecs_to_jiffies(u32 usecs);
u32 knetstat_jiffies_to_msecs(u32 jiffies);
u32 knetstat_jiffies_to_usecs(u32 jiffies);
void knetstat_rcu_read_lock(void);
void knetstat_rcu_read_unlock(void);
u64 knetstat_sock_ino(const struct sock *sk);
int knetstat_check_release(void);
int knetstat_check_layout(void);
int knetstat_watch_modules(void);
void knetstat_unwatch_modules(void);
int knetstat_hold_modules(void);
void knetstat_release_modules(void);
void *knetstat_kvzalloc(size_t size, bool optional);
void knetstat_cond_resched(void);
bool knetstat_fatal_signal_pending(void);
u64 knetstat_ktime_get_ns(void);
void knetstat_test_sleep(void);
void knetstat_test_delay(void);

#endif
