// SPDX-License-Identifier: GPL-2.0

//! The probes of `bindings/probes.mk`, in headers that are imitated line by line. They tell kernels apart by
//! what their headers have: a distribution's kernel has the version of one release, and fields of others.

use crate::machine::{project, write, Machine};
use std::collections::BTreeSet;

/// A kernel's headers: for each file, lines in which a probe finds something, or must find nothing.
type Headers<'h> = &'h [(&'h str, &'h str)];

/// The names that C and Rust have with these headers.
fn probes(headers: Headers<'_>) -> BTreeSet<String> {
    let machine = Machine::new();
    write(
        machine.path("probe.mk"),
        &format!(
            "src := {}\nsrctree := {}\ninclude $(src)/bindings/probes.mk\nshow:\n\t@echo $(knetstat_has)\n",
            project().display(),
            machine.path("linux").display()
        ),
    );
    for file in [
        "linux/proc_fs.h",
        "linux/udp.h",
        "net/inet_hashtables.h",
        "net/inet_sock.h",
        "net/netns/ipv4.h",
        "net/sock.h",
        "net/tcp.h",
        "net/tls.h",
        "uapi/linux/tcp.h",
    ] {
        let lines = headers.iter().filter(|(of, _)| *of == file);
        let lines: Vec<_> = lines.map(|(_, line)| *line).collect();
        write(
            machine.path("linux/include").join(file),
            &(lines.join("\n") + "\n"),
        );
    }
    let mut make = machine.command("make");
    let output = make.arg("-f").arg(machine.path("probe.mk")).arg("show");
    let output = output.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let names = String::from_utf8(output.stdout).unwrap();
    names.split_whitespace().map(str::to_owned).collect()
}

/// The flags of `Kbuild` for C and Rust, and the command that lists the configuration for Rust.
fn flags(machine: &Machine) -> String {
    write(
        machine.path("flags.mk"),
        &format!(
            "src := {0}\nsrctree := {1}\nobjtree := {1}\nobj := {1}/obj\ninclude $(src)/Kbuild\n\
            $(info $(ccflags-y))\n$(info $(rustflags-y))\n$(info $(cmd_standalone_cfg))\nshow:;@:\n",
            project().display(),
            machine.path("linux").display()
        ),
    );
    let mut make = machine.command("make");
    let output = make.arg("-f").arg(machine.path("flags.mk"));
    let output = output.args(["RUSTC=rustc", "show"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// If one tree of headers replaces another, all that reads headers is compiled again, whatever the times of
/// the files are.
#[test]
fn another_kernel_changes_the_commands() {
    let machine = Machine::new();
    let mut seen = BTreeSet::new();
    for (file, text) in [
        (
            "include/generated/utsrelease.h",
            "#define UTS_RELEASE \"1\"\n",
        ),
        (
            "include/generated/utsrelease.h",
            "#define UTS_RELEASE \"2\"\n",
        ),
        ("include/generated/autoconf.h", "#define CONFIG_SMP 1\n"),
        (
            "Module.symvers",
            "0x1\ttcp_hashinfo\tvmlinux\tEXPORT_SYMBOL\n",
        ),
    ] {
        write(machine.path("linux").join(file), text);
        let said = flags(&machine);
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(said, flags(&machine));
        for (line, flag) in lines.iter().zip([
            "-DKNETSTAT_KERNEL=",
            "--cfg=knetstat_kernel=",
            "KNETSTAT_KERNEL=",
        ]) {
            let (_, number) = line.split_once(flag).expect(line);
            let number = number.split(' ').next().unwrap();
            assert!(number.len() > 4, "{line}");
            assert!(seen.insert(format!("{flag}{number}")), "{line}");
        }
    }
    assert_eq!(seen.len(), 12);
}

#[track_caller]
fn finds(headers: Headers<'_>, names: &[&str]) {
    let names: BTreeSet<_> = names.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(probes(headers), names);
}

/// Each probe is named in the sources, and each name there has a probe.
#[test]
fn each_is_used() {
    let sources = [
        "bindings/helpers.c",
        "bindings/layout.c",
        "bindings/bindings.h",
    ]
    .map(|file| std::fs::read_to_string(project().join(file)).unwrap())
    .concat();
    let rust = [
        "bindings/mod.rs",
        "sockopts.rs",
        "sockopts/getsockopt/tcp.rs",
    ]
    .map(|file| std::fs::read_to_string(project().join(file)).unwrap())
    .concat();
    let makefile = std::fs::read_to_string(project().join("bindings/probes.mk")).unwrap();
    let names: BTreeSet<_> = makefile
        .lines()
        .filter_map(|line| {
            line.strip_prefix("knetstat_has += $(call knetstat_probe,")?
                .split(',')
                .next()
        })
        .collect();
    assert!(names.len() > 20, "{names:?}");
    let mut used = BTreeSet::new();
    for word in sources.split(|c: char| !c.is_alphanumeric() && c != '_') {
        used.extend(word.strip_prefix("KNETSTAT_HAS_"));
    }
    for part in rust.split("knetstat_has = \"").skip(1) {
        used.insert(part.split('"').next().unwrap());
    }
    assert_eq!(names, used);
}

/// Debian 11: the oldest kernel.
#[test]
fn linux_5_10() {
    finds(
        &[
            (
                "linux/proc_fs.h",
                "extern void *PDE_DATA(const struct inode *);",
            ),
            (
                "linux/udp.h",
                "unsigned char no_check6_tx:1, gro_enabled:1;",
            ),
            (
                "net/inet_hashtables.h",
                "struct inet_listen_hashbucket listening_hash[INET_LHTABLE_SIZE];",
            ),
            ("net/inet_sock.h", "__u8 recverr:1, is_icsk:1;"),
            (
                "net/netns/ipv4.h",
                "struct inet_timewait_death_row tcp_death_row;",
            ),
            ("net/sock.h", "kuid_t sock_i_uid(struct sock *sk);"),
            ("net/tls.h", "u8 tx_conf:3;"),
        ],
        &["LISTENING_HASH", "PDE_DATA", "SOCK_I_UID"],
    );
}

/// Ubuntu 22.04. The table of listeners by port left with an update of Linux 5.15.
#[test]
fn linux_5_15() {
    let headers: Headers<'_> = &[
        (
            "linux/proc_fs.h",
            "extern void *PDE_DATA(const struct inode *);",
        ),
        (
            "linux/udp.h",
            "unsigned char no_check6_tx:1, gro_enabled:1;",
        ),
        (
            "net/inet_hashtables.h",
            "struct inet_listen_hashbucket *lhash2;",
        ),
        ("net/sock.h", "kuid_t sock_i_uid(struct sock *sk);"),
        ("net/sock.h", "u8 sk_prefer_busy_poll;"),
        ("net/sock.h", "int sk_bind_phc;"),
        ("net/tcp.h", "bool cap_net_admin);"),
    ];
    let names = ["BIND_PHC", "PDE_DATA", "SOCK_I_UID", "SO_PREFER_BUSY_POLL"];
    finds(headers, &names);
    let first: Headers<'_> = &[(
        "net/inet_hashtables.h",
        "struct inet_listen_hashbucket listening_hash[INET_LHTABLE_SIZE];",
    )];
    finds(
        &[headers, first].concat(),
        &[&names[..], &["LISTENING_HASH"]].concat(),
    );
}

/// A pointer for what is a structure in older and newer kernels: between the kernel's commits "tcp:
/// allocate tcp_death_row outside of struct netns_ipv4" and "tcp: Don't allocate tcp_death_row outside
/// of struct netns_ipv4.", which came before Linux 6.1.
#[test]
fn a_pointer_to_the_death_row() {
    finds(
        &[
            (
                "linux/proc_fs.h",
                "extern void *pde_data(const struct inode *);",
            ),
            (
                "net/netns/ipv4.h",
                "struct inet_timewait_death_row *tcp_death_row;",
            ),
        ],
        &["TCP_DEATH_ROW_POINTER"],
    );
}

/// RHEL's macros that keep the layout of a structure for modules: a field in one of them counts.
#[test]
fn fields_in_macros() {
    finds(
        &[
            (
                "net/sock.h",
                "RH_KABI_EXCLUDE(struct sock_reuseport *sk_reuseport_cb)",
            ),
            ("net/sock.h", "RH_KABI_FILL_HOLE(u8 sk_txrehash)"),
            ("net/sock.h", "RH_KABI_EXTEND(u8 sk_prefer_busy_poll)"),
            ("net/sock.h", "RH_KABI_USE(1, u32 sk_reserved_mem)"),
            ("net/sock.h", "RH_KABI_RESERVE(2)"),
            (
                "net/netns/ipv4.h",
                "RH_KABI_USE(3, struct udp_table *udp_table)",
            ),
        ],
        &[
            "SO_PREFER_BUSY_POLL",
            "SO_RESERVE_MEM",
            "SO_TXREHASH",
            "UDP_TABLE_OF_NET",
        ],
    );
}

/// Only whole words count.
#[test]
fn longer_names() {
    finds(
        &[
            (
                "net/inet_sock.h",
                "void inet_get_local_port_range(const struct net *net);",
            ),
            ("net/inet_sock.h", "struct local_ports ip_local_port_range;"),
            ("net/sock.h", "int sk_prefer_busy_poll_of(void);"),
            ("linux/proc_fs.h", "#define MY_PDE_DATA 1"),
        ],
        &[],
    );
}
