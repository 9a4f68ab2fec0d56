# SPDX-License-Identifier: GPL-2.0
#
# The differences between kernels, found by their headers, never by their versions. Included by
# Kbuild.
#
# $(call knetstat_probe,NAME,HEADER,TEXT): if the header contains the text as a word, C has
# KNETSTAT_HAS_NAME and Rust has cfg(knetstat_has = "NAME").

knetstat_probe = $(if $(shell grep -swq -- '$(3)' $(srctree)/include/$(2) && echo y),$(1))

# Options.
knetstat_has += $(call knetstat_probe,SO_RCVPRIORITY,net/sock.h,SOCK_RCVPRIORITY)
knetstat_has += $(call knetstat_probe,TCP_RTO_MAX_MS,uapi/linux/tcp.h,TCP_RTO_MAX_MS)
knetstat_has += $(call knetstat_probe,TCP_RTO_MIN_US,uapi/linux/tcp.h,TCP_RTO_MIN_US)
knetstat_has += $(call knetstat_probe,TCP_DELACK_MAX_US,uapi/linux/tcp.h,TCP_DELACK_MAX_US)
# The headers of user space may have this option without the field.
knetstat_has += $(call knetstat_probe,IP_LOCAL_PORT_RANGE,net/inet_sock.h,local_port_range)
knetstat_has += $(call knetstat_probe,SO_PREFER_BUSY_POLL,net/sock.h,sk_prefer_busy_poll)
knetstat_has += $(call knetstat_probe,SO_RESERVE_MEM,net/sock.h,sk_reserved_mem)
knetstat_has += $(call knetstat_probe,SO_TXREHASH,net/sock.h,sk_txrehash)
knetstat_has += $(call knetstat_probe,SO_RCVMARK,net/sock.h,SOCK_RCVMARK)
# Fields and functions.
knetstat_has += $(call knetstat_probe,INET_FLAGS,net/inet_sock.h,INET_FLAGS_PKTINFO)
knetstat_has += $(call knetstat_probe,INET_FLAGS_OF_IPV6,net/inet_sock.h,INET_FLAGS_MC6_LOOP)
knetstat_has += $(call knetstat_probe,UDP_TABLE_OF_NET,net/netns/ipv4.h,udp_table)
knetstat_has += $(call knetstat_probe,SK_INO,net/sock.h,sk_ino)
knetstat_has += $(call knetstat_probe,SOCK_I_UID,net/sock.h,sock_i_uid)
knetstat_has += $(call knetstat_probe,SYSCTL_TCP_RTO_MIN_US,net/netns/ipv4.h,sysctl_tcp_rto_min_us)
knetstat_has += $(call knetstat_probe,SYSCTL_TCP_PINGPONG_THRESH,net/netns/ipv4.h,sysctl_tcp_pingpong_thresh)
knetstat_has += $(call knetstat_probe,TLS_TX_MAX_PAYLOAD_LEN,net/tls.h,tx_max_payload_len)
knetstat_has += $(call knetstat_probe,UDP_FLAGS,linux/udp.h,UDP_FLAGS_GRO_ENABLED)
knetstat_has += $(call knetstat_probe,BIND_PHC,net/sock.h,sk_bind_phc)
knetstat_has += $(call knetstat_probe,TLS_ZEROCOPY_SENDFILE,net/tls.h,zerocopy_sendfile)
knetstat_has += $(call knetstat_probe,TLS_RX_NO_PAD,net/tls.h,rx_no_pad)
knetstat_has += $(call knetstat_probe,PDE_DATA,linux/proc_fs.h,PDE_DATA)
knetstat_has += $(call knetstat_probe,LISTENING_HASH,net/inet_hashtables.h,listening_hash)
knetstat_has += $(call knetstat_probe,TCP_DEATH_ROW_POINTER,net/netns/ipv4.h,\*tcp_death_row)
knetstat_has += $(call knetstat_probe,UDP_DROP_COUNTERS,linux/udp.h,drop_counters)
knetstat_has += $(call knetstat_probe,FREEPTR_OFFSET,net/sock.h,freeptr_offset)
# With it, the child of a v4-mapped connection is complete before it is linked in.
knetstat_has += $(call knetstat_probe,OPT_CHILD_INIT,net/tcp.h,opt_child_init)
# With it, sock_diag tells an upper layer protocol whether the reader has CAP_NET_ADMIN, and reports
# the protocol to every reader.
knetstat_has += $(call knetstat_probe,ULP_INFO_FOR_ALL,net/tcp.h,net_admin)

ccflags-y += $(addprefix -DKNETSTAT_HAS_,$(knetstat_has))
rustflags-y += $(foreach name,$(knetstat_has),--cfg=knetstat_has=\"$(name)\")
