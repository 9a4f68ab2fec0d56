// SPDX-License-Identifier: GPL-2.0

//! RHEL 9 and 10, and the distributions that are made from them. Their kernels have the version of one
//! upstream release, and fields and functions of later ones: only the headers tell them apart. Each layout
//! imitates what the package kernel-devel installs, line by line where a probe looks.

use crate::machine::{
    fails, standalone, write, Machine, ALMA_8, ALMA_9_6, CENTOS_10, ORACLE_9_4, RHEL_9_0, ROCKY_9_2,
};
use std::collections::BTreeSet;

/// Lines of a header.
type Lines = (&'static str, &'static [&'static str]);

/// A minor release.
struct Layout {
    os: &'static str,
    release: &'static str,
    /// Its headers, and those that it has in common with others.
    headers: &'static [&'static [Lines]],
    /// The probes that find something in these headers.
    has: &'static [&'static str],
}

/// Lines of all headers of RHEL 9. Some only resemble what a probe looks for: the field of another structure,
/// a longer name, a word of another file.
const RHEL_9: &[Lines] = &[
    (
        "net/sock.h",
        &[
            "kuid_t sock_i_uid(struct sock *sk);",
            "u8 sk_prefer_busy_poll;",
            "u32 sk_reserved_mem;",
            "int sk_bind_phc;",
            "RH_KABI_EXCLUDE(struct mem_cgroup *sk_memcg)",
            "struct udp_table *udp_table;",
        ],
    ),
    ("net/inet_sock.h", &["__u8 recverr:1, mc_loop:1;"]),
    (
        "net/tcp.h",
        &["int ulp(struct sock *sk, bool cap_net_admin);"],
    ),
    (
        "net/netns/ipv4.h",
        &[
            "struct inet_timewait_death_row tcp_death_row;",
            "struct local_ports ip_local_ports;",
        ],
    ),
    ("net/ip.h", &["void local_port_range(struct net *net);"]),
    (
        "linux/udp.h",
        &["unsigned char no_check6_tx:1, gro_enabled:1;"],
    ),
    ("uapi/linux/tcp.h", &["#define TCP_TX_DELAY 37"]),
];

/// Lines of the headers of RHEL 9.2 and later.
const SINCE_9_2: &[Lines] = &[
    ("net/sock.h", &["u8 sk_txrehash;"]),
    ("net/tls.h", &["u8 zerocopy_sendfile:1;", "u8 rx_no_pad:1;"]),
    (
        "net/inet_hashtables.h",
        &["struct inet_listen_hashbucket *lhash2;"],
    ),
    (
        "linux/proc_fs.h",
        &["void *pde_data(const struct inode *inode);"],
    ),
];

/// Space for fields of later updates, and fields that the checksums of symbols leave out: RHEL 9.4 and later.
const SINCE_9_4: &[Lines] = &[
    (
        "net/sock.h",
        &[
            "RH_KABI_EXCLUDE(struct sock_reuseport __rcu *sk_reuseport_cb)",
            "RH_KABI_RESERVE(1)",
        ],
    ),
    ("net/tls.h", &["RH_KABI_RESERVE(1)"]),
    ("linux/ipv6.h", &["RH_KABI_RESERVE(1)"]),
];

const LAYOUTS: &[Layout] = &[
    Layout {
        os: RHEL_9_0,
        release: "5.14.0-70.30.1.el9_0.x86_64",
        headers: &[
            RHEL_9,
            &[
                ("net/tls.h", &["u8 tx_conf:3;"]),
                (
                    "net/inet_hashtables.h",
                    &["struct inet_listen_hashbucket listening_hash[INET_LHTABLE_SIZE];"],
                ),
                (
                    "linux/proc_fs.h",
                    &["void *PDE_DATA(const struct inode *);"],
                ),
            ],
        ],
        has: &[
            "BIND_PHC",
            "LISTENING_HASH",
            "PDE_DATA",
            "SOCK_I_UID",
            "SO_PREFER_BUSY_POLL",
            "SO_RESERVE_MEM",
        ],
    },
    Layout {
        os: ROCKY_9_2,
        release: "5.14.0-284.30.1.el9_2.x86_64",
        headers: &[RHEL_9, SINCE_9_2],
        has: &[
            "BIND_PHC",
            "SOCK_I_UID",
            "SO_PREFER_BUSY_POLL",
            "SO_RESERVE_MEM",
            "SO_TXREHASH",
            "TLS_RX_NO_PAD",
            "TLS_ZEROCOPY_SENDFILE",
        ],
    },
    Layout {
        os: ORACLE_9_4,
        release: "5.14.0-427.42.1.el9_4.x86_64",
        headers: &[RHEL_9, SINCE_9_2, SINCE_9_4],
        has: &[
            "BIND_PHC",
            "SOCK_I_UID",
            "SO_PREFER_BUSY_POLL",
            "SO_RESERVE_MEM",
            "SO_TXREHASH",
            "TLS_RX_NO_PAD",
            "TLS_ZEROCOPY_SENDFILE",
        ],
    },
    Layout {
        os: ALMA_9_6,
        release: "5.14.0-570.32.1.el9_6.x86_64",
        headers: &[
            RHEL_9,
            SINCE_9_2,
            SINCE_9_4,
            &[("net/netns/ipv4.h", &["struct udp_table *udp_table;"])],
        ],
        has: &[
            "BIND_PHC",
            "SOCK_I_UID",
            "SO_PREFER_BUSY_POLL",
            "SO_RESERVE_MEM",
            "SO_TXREHASH",
            "TLS_RX_NO_PAD",
            "TLS_ZEROCOPY_SENDFILE",
            "UDP_TABLE_OF_NET",
        ],
    },
    Layout {
        os: CENTOS_10,
        release: "6.12.0-55.24.1.el10_0.x86_64",
        headers: &[
            SINCE_9_2,
            &[
                (
                    "net/sock.h",
                    &[
                        "kuid_t sock_i_uid(struct sock *sk);",
                        "u8 sk_prefer_busy_poll;",
                        "u32 sk_reserved_mem;",
                        "int sk_bind_phc;",
                        "SOCK_RCVMARK,",
                        "RH_KABI_EXCLUDE(struct mem_cgroup *sk_memcg)",
                    ],
                ),
                (
                    "net/inet_sock.h",
                    &[
                        "INET_FLAGS_PKTINFO = 0,",
                        "INET_FLAGS_MC6_LOOP = 24,",
                        "u32 local_port_range;",
                    ],
                ),
                (
                    "net/tcp.h",
                    &["int ulp(struct sock *sk, bool cap_net_admin);"],
                ),
                (
                    "net/netns/ipv4.h",
                    &[
                        "struct inet_timewait_death_row tcp_death_row;",
                        "struct udp_table *udp_table;",
                        "int sysctl_tcp_rto_min_us;",
                        "u8 sysctl_tcp_pingpong_thresh;",
                    ],
                ),
                ("linux/udp.h", &["UDP_FLAGS_GRO_ENABLED,"]),
                ("uapi/linux/tcp.h", &["#define TCP_IS_MPTCP 43"]),
            ],
        ],
        has: &[
            "BIND_PHC",
            "INET_FLAGS",
            "INET_FLAGS_OF_IPV6",
            "IP_LOCAL_PORT_RANGE",
            "SOCK_I_UID",
            "SO_PREFER_BUSY_POLL",
            "SO_RCVMARK",
            "SO_RESERVE_MEM",
            "SO_TXREHASH",
            "SYSCTL_TCP_PINGPONG_THRESH",
            "SYSCTL_TCP_RTO_MIN_US",
            "TLS_RX_NO_PAD",
            "TLS_ZEROCOPY_SENDFILE",
            "UDP_FLAGS",
            "UDP_TABLE_OF_NET",
        ],
    },
];

impl Layout {
    /// The directory of the package kernel-devel.
    fn tree(&self) -> String {
        format!("usr/src/kernels/{}", self.release)
    }

    /// A machine with the packages kernel-devel, rust and rust-src. Kbuild prints what the probes find.
    fn machine(&self) -> Machine {
        let mut machine = standalone("1.88.0 (6b00bc388 2025-06-23) (Red Hat 1.88.0-1.el9)");
        machine.os_release(self.os);
        let tree = self.tree();
        machine.install_headers(self.release, &tree);
        let tree = machine.path(&tree);
        write(
            tree.join("include/generated/utsrelease.h"),
            &format!("#define UTS_RELEASE \"{}\"\n", self.release),
        );
        for file in [".config", "Kconfig", "Module.symvers", "System.map"] {
            write(tree.join(file), "");
        }
        write(
            tree.join("Makefile"),
            "src := $(M)\nsrctree := $(CURDIR)\ninclude $(src)/bindings/probes.mk\n\
             modules:\n\t@echo $(knetstat_has)\n",
        );
        for (file, _) in self.headers.concat() {
            let lines = self.headers.concat();
            let lines = lines.iter().filter(|(of, _)| *of == file);
            let lines: Vec<_> = lines.flat_map(|(_, lines)| *lines).copied().collect();
            write(tree.join("include").join(file), &(lines.join("\n") + "\n"));
        }
        machine
    }
}

/// No version number decides: neither that of the kernel nor that of the distribution.
#[test]
fn headers_decide() {
    for layout in LAYOUTS {
        let output = layout.machine().make();
        assert!(output.status.success(), "{}: {output:?}", layout.release);
        let found = String::from_utf8(output.stdout).unwrap();
        let found: BTreeSet<_> = found.split_whitespace().collect();
        assert_eq!(
            found,
            layout.has.iter().copied().collect(),
            "{}",
            layout.release
        );
    }
}

/// The package of the kernel itself contains the link to the tree.
#[test]
fn no_kernel_devel() {
    for layout in LAYOUTS {
        let machine = layout.machine();
        machine.remove(&layout.tree());
        assert!(machine
            .path("lib/modules")
            .join(layout.release)
            .join("build")
            .is_symlink());
        machine.fails(&[&format!("no headers of Linux {}", layout.release)]);
        machine.ends_with(&format!("dnf install kernel-devel-{}\n", layout.release));
    }
}

/// The kernel is 4.18, whose files in /proc work in another way.
#[test]
fn rhel_8() {
    let release = "4.18.0-553.66.1.el8_10.x86_64";
    let too_old = format!("Linux {release} is too old, knetstat needs 5.10 or later; upgrade");
    let mut machine = standalone("1.88.0");
    machine.os_release(ALMA_8);
    // The package would not help.
    machine.build_for(release);
    machine.fails(&[&too_old]);
    let tree = format!("usr/src/kernels/{release}");
    machine.install_headers(release, &tree);
    machine.fails(&[&too_old]);
    // Nor does another way to build it.
    let mut make = machine.command("make");
    let output = make.args(&machine.args).env("RUST", "own").output();
    fails(&output.unwrap(), &[&too_old]);
}
