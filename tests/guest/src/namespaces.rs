// SPDX-License-Identifier: GPL-2.0

//! Network namespaces and user namespaces: each file shows the sockets of its own network
//! namespace, with the user ids of its reader's user namespace.

use crate::crowds::udp_crowd;
use crate::features::Feature;
use crate::guest::wait_for;
use crate::harness::{skip, Case};
use crate::netns::{in_fresh, set_lo_up};
use crate::reference::{compare, compare_in};
use crate::rows::{File, Row};
use crate::sockets::{ino, local, Plan};
use crate::states::{every_tcp_state, Scene};
use anyhow::{ensure, Context, Result};
use knetstat_child::{Child, EntryPoint};
use nix::sched::{unshare, CloneFlags};
use nix::unistd::{setgroups, setresgid, setresuid, Gid, Uid};
use socket2::Socket;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::{fs, thread};

/// The entry point of the child that [`user_namespace`] starts.
pub const USER_NAMESPACE: EntryPoint = EntryPoint {
    name: "user-namespace",
    main: |_| user_namespace_child(),
};

/// A user without rights.
const NOBODY: u32 = 65534;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("namespaces::nothing_of_one_shows_in_another", || {
            nothing_of_another()
        }),
        Case::new("namespaces::private_tcp_table", || {
            in_fresh(|| private_table("tcp_child_ehash_entries", "tcp_ehash_entries", TCP))
        }),
        Case::new("namespaces::private_udp_table", || {
            in_fresh(|| private_table("udp_child_hash_entries", "udp_hash_entries", UDP))
        }),
        Case::new("namespaces::of_an_unprivileged_user", user_namespace),
        // Alone: a program that another test starts has our sockets until exec(2).
        Case::alone("namespaces::ends_while_its_files_are_open", ends_while_open),
        Case::new("namespaces::ends_when_its_files_are_closed", || {
            in_fresh(ends_when_closed)
        }),
        Case::new("namespaces::many_come_and_go", many),
    ]
}

/// TCP and UDP sockets of both families, and their rows.
struct Sockets {
    _scenes: Vec<Scene>,
    _udp: Vec<Socket>,
    inodes: BTreeSet<u64>,
}

impl Sockets {
    fn new() -> Result<Self> {
        let mut sockets = Self {
            _scenes: vec![],
            _udp: vec![],
            inodes: BTreeSet::new(),
        };
        for plan in [Plan::V4, Plan::V6] {
            let scene = every_tcp_state(plan)?;
            for socket in &scene.held {
                sockets.inodes.insert(ino(socket)?);
            }
            sockets._scenes.push(scene);
            let udp = plan.udp()?;
            sockets.inodes.insert(ino(&udp)?);
            sockets._udp.push(udp);
        }
        Ok(sockets)
    }
}

fn compare_all() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for file in File::ALL {
        rows.extend(compare(file)?);
    }
    Ok(rows)
}

/// Two namespaces with the same addresses and ports: every row belongs to a socket of its own.
fn nothing_of_another() -> Result<()> {
    let (here, there) = (mpsc::channel(), mpsc::channel());
    let one = |to: mpsc::Sender<BTreeSet<u64>>, from: mpsc::Receiver<BTreeSet<u64>>| {
        in_fresh(move || {
            let sockets = Sockets::new()?;
            // The same port in both.
            let twin = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
            twin.bind(&Plan::V4.addr(4242).into())?;
            twin.listen(1)?;
            let mut inodes = sockets.inodes.clone();
            inodes.insert(ino(&twin)?);
            to.send(inodes.clone())?;
            let others = from.recv()?;
            ensure!(inodes.is_disjoint(&others), "sockets with the same inode");
            for row in compare_all()? {
                let ino = row.ino();
                ensure!(
                    !others.contains(&ino),
                    "a row of another namespace: {row:?}"
                );
                // Sockets in an accept queue, orphans and minisocks have none.
                ensure!(ino == 0 || inodes.contains(&ino), "whose is {row:?}");
            }
            // Stay until the other one has looked.
            to.send(inodes)?;
            from.recv()?;
            drop((sockets, twin));
            Ok(())
        })
    };
    let (to_there, from_here) = here;
    let (to_here, from_there) = there;
    thread::scope(|scope| {
        let first = scope.spawn(|| one(to_there, from_there));
        let second = scope.spawn(|| one(to_here, from_here));
        let results = [
            first.join().expect("no panic"),
            second.join().expect("no panic"),
        ];
        // If one failed, the other only says that it is alone.
        for result in results {
            result?;
        }
        Ok(())
    })
}

/// Two sizes of a hash table, and numbers of sockets that very probably fill every bucket of the
/// smaller one, so that its last bucket is tested as well.
const TCP: ([&str; 2], usize, usize) = (["16", "4096"], 400, 150);
const UDP: ([&str; 2], usize, usize) = (["128", "4096"], 2000, 10);

/// A namespace with a hash table of its own.
fn private_table(
    child_entries: &'static str,
    entries: &str,
    (sizes, crowd, pairs): ([&str; 2], usize, usize),
) -> Result<()> {
    let tcp = crowd == TCP.1;
    let sysctl = |name: &str| format!("/proc/sys/net/ipv4/{name}");
    if !Path::new(&sysctl(child_entries)).exists() {
        return skip(
            Feature::Sysctl(child_entries),
            format!("there is no {}", sysctl(child_entries)),
        );
    }
    for size in sizes {
        fs::write(sysctl(child_entries), size)?;
        in_fresh(|| {
            let shown = fs::read_to_string(sysctl(entries))?;
            ensure!(
                shown.trim() == size,
                "net.ipv4.{entries} is {shown:?}: not a table of its own"
            );
            let _sockets = Sockets::new()?;
            let crowd = (0..crowd)
                .map(|n| match (n % 2, tcp) {
                    (0, true) => Plan::V4.listener(1),
                    (_, true) => Plan::V6.listener(1),
                    (0, false) => Plan::V4.udp(),
                    (_, false) => Plan::V6.udp(),
                })
                .collect::<Result<Vec<_>>>()?;
            let pairs = (0..pairs)
                .map(|_| Plan::V4.pair())
                .collect::<Result<Vec<_>>>()?;
            let inodes: BTreeSet<_> = compare_all()?.iter().map(Row::ino).collect();
            for socket in crowd.iter().chain(pairs.iter().map(|pair| &pair.client)) {
                ensure!(inodes.contains(&ino(socket)?), "a socket is missing");
            }
            Ok(())
        })?;
        // The parent's own sockets are where they were.
        compare_all()?;
    }
    Ok(())
}

/// Whether a process has the socket of this row. Other sockets belong to the user who made them or,
/// before Linux 6.17, to root; the comparison with the kernel's own files covers that.
fn is_owned(row: &Row) -> bool {
    row.options.is_some() && row.ino() != 0
}

/// A user without rights, in a user namespace and a network namespace of its own.
fn user_namespace() -> Result<()> {
    let mut child = Child::spawn(USER_NAMESPACE.command().stderr(Stdio::piped()))?;
    let said = child.line()?.unwrap_or_default();
    let result = if said == "ready" {
        // Seen from outside, the same sockets belong to that user.
        let net = format!("/proc/{}/net", child.id());
        File::ALL.into_iter().try_for_each(|file| {
            let rows = compare_in(Path::new(&net), file)?;
            ensure!(!rows.is_empty(), "no rows seen from outside");
            for row in rows.iter().filter(|row| is_owned(row)) {
                ensure!(
                    row.number("uid") == Some(NOBODY.into()),
                    "seen from outside: {row:?}"
                );
            }
            Ok(())
        })
    } else {
        Ok(())
    };
    let ended = child.end();
    if let Some(reason) = said.strip_prefix("skip ") {
        return skip(Feature::Config("CONFIG_USER_NS"), reason.trim());
    }
    ended.and(result)
}

/// The main function of the child of [`user_namespace`].
fn user_namespace_child() -> Result<()> {
    setgroups(&[])?;
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    // A process that changed its user is not its own: it could not write its uid_map.
    nix::sys::prctl::set_dumpable(true)?;

    // Without a namespace of its own, the user may read the files of the one it is in.
    for file in File::ALL {
        file.read()?;
    }

    if let Err(err) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET) {
        println!("skip no user namespace for an unprivileged user: {err}");
        return Ok(());
    }
    set_lo_up()?;
    let sockets = Sockets::new()?;
    let check = |uid: u32| -> Result<()> {
        for row in compare_all()?.iter().filter(|row| is_owned(row)) {
            ensure!(
                row.number("uid") == Some(uid.into()),
                "uid should be {uid}: {row:?}"
            );
        }
        Ok(())
    };
    // Unmapped users are shown as the overflow user.
    let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid")?;
    check(overflow.trim().parse()?)?;
    fs::write("/proc/self/uid_map", format!("7 {NOBODY} 1"))?;
    check(7)?;

    println!("ready");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(sockets);
    Ok(())
}

/// Files that outlive the last process of their namespace.
fn ends_while_open() -> Result<()> {
    let (mut files, dir) = in_fresh(|| {
        let _sockets = Sockets::new()?;
        // They stay when the sockets are gone: TIME_WAIT, orphans.
        let mut files = Vec::new();
        for file in File::ALL {
            let mut fresh = fs::File::open(file.path())?;
            let mut begun = fs::File::open(file.path())?;
            begun.read_exact(&mut [0; 100])?;
            fresh.read_exact(&mut [0; 0])?;
            files.push((file, fresh, begun));
        }
        Ok((files, fs::File::open("/proc/thread-self/net")?))
    })?;
    // The thread has ended, and with it the namespace for all but those who hold a file.
    for (file, fresh, begun) in &mut files {
        let mut text = String::new();
        match fresh.read_to_string(&mut text) {
            Ok(_) => {
                for row in file.parse(&text)? {
                    ensure!(row.ino() == 0, "a socket without its process: {row:?}");
                }
            }
            Err(err) => ensure!(
                err.raw_os_error() == Some(libc::EIO),
                "reading {} says {err}",
                file.name()
            ),
        }
        let mut rest = Vec::new();
        // It may return any whole rows, or none. The test is that it returns.
        let _ = begun.read_to_end(&mut rest);
    }
    drop(files);
    // By way of the dead thread's directory: nothing, or an error.
    for file in File::ALL {
        let path = format!("/proc/self/fd/{}/{}", dir.as_raw_fd(), file.name());
        if let Ok(text) = fs::read_to_string(path) {
            file.parse(&text)?;
        }
    }
    Ok(())
}

/// A namespace ends, and with it its device, when the last of its files is closed. A listing that
/// stopped in a crowded bucket keeps no socket alive either.
fn ends_when_closed() -> Result<()> {
    let (files, there) = in_fresh(|| {
        let _crowd = udp_crowd(300)?;
        let files = File::ALL.map(|file| -> Result<fs::File> {
            let mut open = fs::File::open(file.path())?;
            open.read_to_end(&mut Vec::new())?;
            Ok(open)
        });
        Ok((files, fs::File::open("/proc/thread-self/ns/net")?))
    })?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), there.as_raw_fd());
    let output = Command::new("ip")
        .args(["link", "add", "knet0", "type", "veth"])
        .args(["peer", "name", "knet1", "netns", &path])
        .output()
        .context("running ip")?;
    ensure!(output.status.success(), "ip link add: {output:?}");
    drop(there);
    for file in files {
        let has_device = fs::read_to_string("/proc/thread-self/net/dev")?.contains("knet0:");
        ensure!(has_device, "it has ended while a file of it is open");
        drop(file?);
    }
    wait_for("the namespace to end", 10, || {
        let has_device = fs::read_to_string("/proc/thread-self/net/dev")?.contains("knet0:");
        Ok(match has_device {
            true => Err("its device is still there, though its files are closed".to_owned()),
            false => Ok(()),
        })
    })
}

/// Several namespaces at a time are created and end, with readers in them.
fn many() -> Result<()> {
    let rounds = crate::guest::guest().scale(40, 15, 10);
    thread::scope(|scope| {
        let makers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || -> Result<()> {
                    for _ in 0..rounds {
                        in_fresh(|| {
                            let listener = Plan::V4.listener(1)?;
                            let udp = Plan::V6.udp()?;
                            let rows = compare_all()?;
                            ensure!(rows.len() == 2, "{rows:?}");
                            ensure!(
                                rows[0].local == crate::rows::address(&local(&listener)?)
                                    && rows[1].local == crate::rows::address(&local(&udp)?),
                                "{rows:?}"
                            );
                            Ok(())
                        })?;
                    }
                    Ok(())
                })
            })
            .collect();
        for maker in makers {
            maker.join().expect("no panic")?;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    // The first namespace still has its files.
    wait_for("the first namespace's files", 1, || {
        for file in File::ALL {
            file.read()?;
        }
        Ok(Ok(()))
    })
}
