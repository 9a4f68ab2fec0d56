// SPDX-License-Identifier: GPL-2.0

//! Options of many sockets, set at random while other threads read; the readers who may see them;
//! and sysctls, which must not change rows.

use crate::guest::guest;
use crate::harness::Case;
use crate::netns::in_fresh;
use crate::options::{
    get_bytes, int, named, names, names_always_shown, set_bytes, table, Early, Fresh, Opt, Role,
    Subject, OF_THE_C_MODULE, PLANS,
};
use crate::rows::{File, Row};
use crate::sockets::{
    disconnect, free_udp_port, get, ino, local, row, set_int, state, tcp_info, Plan,
};
use anyhow::{bail, ensure, Context, Result};
use libc::{c_int, IPPROTO_IP, SOL_SOCKET};
use nix::sched::{setns, CloneFlags};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("random_options::many_sockets", || in_fresh(many_sockets)),
        Case::new("random_options::again_and_again", || {
            in_fresh(again_and_again)
        }),
        Case::new("random_options::other_namespaces", || {
            in_fresh(other_namespaces)
        }),
        Case::new("random_options::device_names", || in_fresh(device_names)),
        Case::new("random_options::device_renamed", || {
            in_fresh(device_renamed)
        }),
        Case::new("random_options::disconnected_udp", || {
            in_fresh(disconnected)
        }),
        Case::new("random_options::mark_and_keys_are_for_admins", || {
            in_fresh(for_admins)
        }),
        Case::new("random_options::sysctls_do_not_show", || {
            // Any may be the default of a namespace that is allowed in the first one.
            let algorithms = "/proc/sys/net/ipv4/tcp_available_congestion_control";
            let allowed = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
            fs::write(allowed, fs::read(algorithms)?)?;
            in_fresh(sysctls)
        }),
    ]
}

/// Options that break connections, or that a second socket could not share.
const LEFT_ALONE: [&str; 3] = ["TCP_AO", "TCP_REPAIR", "SO_LOCK_FILTER"];

/// Whether the tests here set this option of a socket.
fn wanted(opt: &Opt, subject: &Subject) -> bool {
    !LEFT_ALONE.contains(&opt.name)
        && opt.own_test.is_none()
        && opt.early != Early::Reuseport
        && opt.is_on(subject.plan, subject.role)
}

/// Sets one to eight options of a socket, to legal values.
fn shake(subject: &mut Subject, rng: &mut StdRng) -> usize {
    shake_some(table(), subject, rng)
}

/// The same, with these options only.
fn shake_some(some: &[Opt], subject: &mut Subject, rng: &mut StdRng) -> usize {
    let mut set = 0;
    for _ in 0..rng.random_range(1..=8) {
        let Some(opt) = some.choose(rng) else {
            continue;
        };
        if !wanted(opt, subject) {
            continue;
        }
        let given = match opt.tries.choose(rng) {
            _ if rng.random_ratio(1, 4) => subject.undo(opt),
            Some(value) => subject.give(opt, value),
            None => continue,
        };
        // An option that was refused is not set, as the comparison shows.
        set += usize::from(given.is_ok());
    }
    set
}

/// Thousands of sockets, whose options change while all files are read. After the changes, every
/// row agrees with getsockopt(2).
fn many_sockets() -> Result<()> {
    let sockets = guest().scale(3000, 400, 200);
    let rounds = guest().scale(6, 3, 2);
    let threads = 3;
    let fresh = Fresh::ask()?;
    let seed: u64 = rand::random();
    println!("random_options: seed {seed}");
    let done = AtomicBool::new(false);
    let set = AtomicUsize::new(0);
    let mut reads = 0;
    let subjects = thread::scope(|scope| -> Result<Vec<Vec<Subject>>> {
        let makers: Vec<_> = (0..threads)
            .map(|n| {
                let set = &set;
                scope.spawn(move || -> Result<Vec<Subject>> {
                    let mut rng = StdRng::seed_from_u64(seed + n);
                    let mut subjects = Vec::new();
                    while subjects.len() < sockets / threads as usize {
                        let plan = *PLANS.choose(&mut rng).context("no plans")?;
                        let role = *Role::ALL.choose(&mut rng).context("no roles")?;
                        let mut subject = Subject::new(plan, role)?;
                        set.fetch_add(shake(&mut subject, &mut rng), Ordering::Relaxed);
                        subjects.push(subject);
                    }
                    for _ in 0..rounds {
                        for subject in &mut subjects {
                            set.fetch_add(shake(subject, &mut rng), Ordering::Relaxed);
                        }
                    }
                    Ok(subjects)
                })
            })
            .collect();
        let reader = scope.spawn(|| -> Result<usize> {
            let mut rows = 0;
            while !done.load(Ordering::Relaxed) {
                for file in File::ALL {
                    for row in file.read()? {
                        well_formed(&row)?;
                        rows += 1;
                    }
                }
            }
            Ok(rows)
        });
        let made: Vec<_> = makers
            .into_iter()
            .map(|maker| maker.join().expect("no panic"))
            .collect();
        done.store(true, Ordering::Relaxed);
        reads += reader.join().expect("no panic")?;
        made.into_iter().collect()
    })?;

    let mut rows = HashMap::new();
    for file in File::ALL {
        for row in file.read()? {
            if row.ino() != 0 {
                rows.insert(row.ino(), row);
            }
        }
    }
    let mut wrong = Vec::new();
    let mut compared = 0;
    let mut over = 0;
    for subject in subjects.iter().flatten() {
        let ino = ino(&subject.socket)?;
        let Some(row) = rows.get(&ino) else {
            ensure!(is_over(subject)?, "seed {seed}: no row has inode {ino}");
            over += 1;
            continue;
        };
        compared += 1;
        wrong.extend(difference(subject, row, &fresh)?);
    }
    ensure!(over * 10 <= compared, "{over} connections are over");
    println!(
        "random_options: {compared} rows compared, {} options set, {reads} rows parsed meanwhile",
        set.load(Ordering::Relaxed)
    );
    ensure!(
        wrong.is_empty(),
        "seed {seed}: {} rows are wrong:\n{}",
        wrong.len(),
        wrong
            .iter()
            .take(20)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    );
    Ok(())
}

/// Whether the connection has ended. Its options can cause that, for example a TCP_USER_TIMEOUT
/// with a filter that drops. A socket in CLOSE has no row.
fn is_over(subject: &Subject) -> Result<bool> {
    Ok(matches!(subject.role, Role::Client | Role::Accepted)
        && tcp_info(&subject.socket)?.state == state::CLOSE)
}

/// The error in a row. Only TCP_MAXSEG may be wrong at the first look, because the answer to a
/// keepalive probe can change it between the read and getsockopt(2).
fn difference(subject: &Subject, seen: &Row, fresh: &Fresh) -> Result<Option<String>> {
    const MAXSEG: &str = "TCP_MAXSEG";
    let difference = subject.compare(seen, fresh)?;
    if difference.is_none() || seen.option(MAXSEG).is_none() {
        return Ok(difference);
    }
    let again = match row(subject.file, &subject.socket) {
        Err(_) if is_over(subject)? => return Ok(None),
        again => again?,
    };
    let mut seen = seen.clone();
    for (name, value) in seen.options.iter_mut().flatten() {
        if name == MAXSEG {
            *value = again.option(MAXSEG).unwrap_or_default().to_owned();
        }
    }
    subject.compare(&seen, fresh)
}

/// One socket of each kind: options in random order, again and again, and then all of them.
fn again_and_again() -> Result<()> {
    let fresh = Fresh::ask()?;
    let seed: u64 = rand::random();
    let mut rng = StdRng::seed_from_u64(seed);
    let check = |subject: &Subject| -> Result<()> {
        let row = match row(subject.file, &subject.socket) {
            Err(_) if is_over(subject)? => return Ok(()),
            row => row.with_context(|| format!("seed {seed}"))?,
        };
        match difference(subject, &row, &fresh)? {
            Some(difference) => bail!("seed {seed}: {difference}"),
            None => Ok(()),
        }
    };
    let rounds = guest().scale(12, 4, 4);
    let (mut all, mut over) = (0, 0);
    for plan in PLANS {
        for role in Role::ALL {
            let mut subject = Subject::new(plan, role)?;
            for _ in 0..rounds {
                // A few options, which meet often, and all of them.
                for some in [&table()[..OF_THE_C_MODULE], table()] {
                    shake_some(some, &mut subject, &mut rng);
                    check(&subject)?;
                }
            }
            for (place, opt) in table().iter().enumerate() {
                if !wanted(opt, &subject) {
                    continue;
                }
                let Some(value) = opt.tries.first() else {
                    continue;
                };
                match subject.give(opt, value) {
                    Err(err) if place < OF_THE_C_MODULE => return Err(err).context(opt.name),
                    // An option that was refused is not set, as the comparison shows.
                    _ => (),
                }
            }
            check(&subject).context("all at once")?;
            all += 1;
            over += usize::from(is_over(&subject)?);
        }
    }
    ensure!(over * 2 < all, "{over} of {all} connections are over");
    Ok(())
}

/// Checks that the names of a row are in the table, in its order, and that no value is empty.
fn well_formed(row: &Row) -> Result<()> {
    let Some(options) = &row.options else {
        return Ok(());
    };
    let mut table = table()
        .iter()
        .map(|opt| opt.name)
        .chain(["backlog", "drops", "uid", "ino"]);
    for (name, value) in options {
        ensure!(
            table.any(|known| known == name),
            "{name} is unknown, or in the wrong place: {row:?}"
        );
        ensure!(
            !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()),
            "{name} has a value that is none: {row:?}"
        );
    }
    ensure!(
        row.option("uid").is_some() && row.option("ino").is_some(),
        "{row:?}"
    );
    Ok(())
}

/// The options that all rows have, by inode.
fn all_options() -> Result<BTreeMap<u64, Row>> {
    let mut all = BTreeMap::new();
    for file in File::ALL {
        for row in file.read()? {
            all.insert(row.ino(), row);
        }
    }
    Ok(all)
}

/// An option that is set in one namespace changes no row of another one.
fn other_namespaces() -> Result<()> {
    let mut here = Vec::new();
    for plan in PLANS {
        for role in Role::ALL {
            let mut subject = Subject::new(plan, role)?;
            shake(&mut subject, &mut StdRng::seed_from_u64(1));
            here.push(subject);
        }
    }
    let before = all_options()?;
    in_fresh(|| {
        let mut rng = StdRng::seed_from_u64(2);
        let mut there = Vec::new();
        for plan in PLANS {
            for role in Role::ALL {
                let mut subject = Subject::new(plan, role)?;
                for _ in 0..20 {
                    shake(&mut subject, &mut rng);
                }
                there.push(subject);
            }
        }
        for (name, value) in SYSCTLS {
            let _ = fs::write(sysctl(name), value);
        }
        for ino in all_options()?.keys() {
            ensure!(!before.contains_key(ino), "a socket of another namespace");
        }
        Ok(())
    })?;
    let after = all_options()?;
    for (ino, row) in &before {
        ensure!(
            after.get(ino) == Some(row),
            "{row:?} became {:?}",
            after.get(ino)
        );
    }
    Ok(())
}

/// Names of devices that would break a naive parser of rows.
const DEVICES: [&[u8]; 8] = [
    b"a,b=c",
    // As long as can be.
    b"fifteen-letters",
    b"ino=1",
    b"x\\y|z",
    b"a+1.2.3.4",
    "gr\u{fc}n\u{2003}".as_bytes(),
    b"\x01\x7f\x1b[m",
    b"\xff\xfe",
];

fn device_names() -> Result<()> {
    for (at, name) in DEVICES.iter().enumerate() {
        let added = Command::new("ip")
            .args(["link", "add", "name"])
            .arg(OsStr::from_bytes(name))
            .args(["type", "dummy"])
            .output();
        match added {
            Err(err) => return Err(err).context("running ip"),
            Ok(output) if !output.status.success() => {
                println!(
                    "device_names: {:?} refused: {}",
                    String::from_utf8_lossy(name),
                    String::from_utf8_lossy(&output.stderr).trim()
                );
                ensure!(at > 0, "no device can be added");
                continue;
            }
            Ok(_) => (),
        }
        let name_of = |name: &[u8]| {
            let mut text = String::new();
            for byte in name {
                if byte.is_ascii_graphic() && !b",+\\".contains(byte) {
                    text.push(char::from(*byte));
                } else {
                    text += &format!("\\x{byte:02x}");
                }
            }
            text
        };
        let index = nix_index(name)?;
        let expected = name_of(name);
        for plan in PLANS {
            let socket = plan.udp()?;
            let group = [&[224, 0, 0, 9, 0, 0, 0, 0][..], &index.to_ne_bytes()].concat();
            set_bytes(&socket, IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, &group)?;
            set_int(&socket, IPPROTO_IP, 50, index.to_be())?;
            set_bytes(&socket, SOL_SOCKET, libc::SO_BINDTODEVICE, name)?;
            ensure!(get_bytes(&socket, SOL_SOCKET, libc::SO_BINDTODEVICE, 16)?.starts_with(name));
            let file = plan.file(false);
            // The whole file is parsed strictly.
            let row = row(file, &socket)?;
            well_formed(&row)?;
            ensure!(row.option("SO_BINDTODEVICE") == Some(&*expected), "{row:?}");
            ensure!(row.option("IP_UNICAST_IF") == Some(&*expected), "{row:?}");
            let group = format!("224.0.0.9%{expected}");
            ensure!(row.option("IP_ADD_MEMBERSHIP") == Some(&*group), "{row:?}");
            if plan == Plan::V6 {
                // Without the device, its number is left.
                let removed = Command::new("ip")
                    .args(["link", "del"])
                    .arg(OsStr::from_bytes(name))
                    .status()?;
                ensure!(removed.success(), "ip link del");
                let row = crate::sockets::row(file, &socket)?;
                well_formed(&row)?;
                let gone = format!("if{index}");
                ensure!(row.option("SO_BINDTODEVICE") == Some(&*gone), "{row:?}");
            }
        }
    }
    Ok(())
}

/// A device that is renamed over and over. A row has one name or the other, never a mix.
fn device_renamed() -> Result<()> {
    let names = ["knet-short", "x"];
    let run = |arguments: &[&str]| -> Result<()> {
        let output = Command::new("ip").args(arguments).output()?;
        ensure!(output.status.success(), "ip {arguments:?}: {output:?}");
        Ok(())
    };
    run(&["link", "add", "name", names[0], "type", "dummy"])?;
    // While a device is between two names, it is listed under neither, and reads as one that is gone.
    let between = format!("if{}", nix::net::if_::if_nametoindex(names[0])?);
    let socket = Plan::V4.udp()?;
    set_bytes(
        &socket,
        SOL_SOCKET,
        libc::SO_BINDTODEVICE,
        names[0].as_bytes(),
    )?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let renaming = scope.spawn(|| -> Result<usize> {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let [from, to] = [names[count % 2], names[(count + 1) % 2]];
                rename_device(from, to).context("SIOCSIFNAME")?;
                count += 1;
            }
            Ok(count)
        });
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut read = || -> Result<()> {
            let begun = Instant::now();
            let goes_on = |seen: &BTreeMap<String, usize>| {
                // On a slow machine, it may take longer to see both names.
                let both = names.iter().all(|name| seen.contains_key(*name));
                let seconds = if both { guest().scale(2, 3, 5) } else { 60 };
                begun.elapsed() < Duration::from_secs(seconds)
            };
            while goes_on(&seen) {
                let row = row(File::Udp, &socket)?;
                let name = row.option("SO_BINDTODEVICE").unwrap_or_default().to_owned();
                ensure!(names.contains(&&*name) || name == between, "torn: {row:?}");
                *seen.entry(name).or_insert(0) += 1;
            }
            Ok(())
        };
        let result = read();
        stop.store(true, Ordering::Relaxed);
        let count = renaming.join().expect("no panic")?;
        println!("device_renamed: {count} times; read as {seen:?}");
        result?;
        ensure!(
            names.iter().all(|name| seen.contains_key(*name)),
            "never read by both names"
        );
        Ok(())
    })
}

/// ioctl(SIOCSIFNAME), which needs a device that is down.
fn rename_device(from: &str, to: &str) -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // SAFETY: All-zero bytes are a valid `struct ifreq`.
    let mut ifreq: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in ifreq.ifr_name.iter_mut().zip(from.bytes()) {
        *to = from as libc::c_char;
    }
    let mut new_name = [0; libc::IFNAMSIZ];
    for (to, from) in new_name.iter_mut().zip(to.bytes()) {
        *to = from as libc::c_char;
    }
    ifreq.ifr_ifru.ifru_newname = new_name;
    // SAFETY: SIOCSIFNAME reads a `struct ifreq`, which outlives the call.
    let ret = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFNAME, &raw const ifreq) };
    ensure!(ret == 0, "{}", io::Error::last_os_error());
    Ok(())
}

/// A UDP socket that was once connected and got packets. The kernel has stored the CPU on which
/// they came, and disconnecting does not clear that. The process has set no option.
fn disconnected() -> Result<()> {
    for (plan, is_port_given) in PLANS
        .into_iter()
        .flat_map(|plan| [(plan, true), (plan, false)])
    {
        let peer = plan.udp()?;
        let socket = match is_port_given {
            true => {
                let socket = Socket::new(plan.domain(), Type::DGRAM, None)?;
                socket.bind(&plan.addr(free_udp_port(plan)?).into())?;
                socket
            }
            false => plan.udp()?,
        };
        let to = SockAddr::from(local(&socket)?);
        socket.connect(&SockAddr::from(local(&peer)?))?;
        for _ in 0..5 {
            peer.send_to(b"x", &to)?;
            let mut buf = [std::mem::MaybeUninit::uninit(); 8];
            socket.recv(&mut buf)?;
        }
        let cpu: c_int = get(&socket, SOL_SOCKET, libc::SO_INCOMING_CPU, -1)?;
        ensure!(cpu >= 0, "the kernel noted no CPU");
        let check = |what: &str| -> Result<()> {
            let row = row(plan.file(false), &socket)?;
            ensure!(row.option("SO_INCOMING_CPU").is_none(), "{what}: {row:?}");
            Ok(())
        };
        check("connected")?;
        disconnect(&socket)?;
        if !is_port_given {
            // It lost the port, and with it its row.
            socket.bind(&plan.addr(0).into())?;
        }
        check("disconnected")?;
    }
    Ok(())
}

/// if_nametoindex(3) for names that are not UTF-8.
fn nix_index(name: &[u8]) -> Result<c_int> {
    let name = std::ffi::CString::new(name)?;
    // SAFETY: The name ends with a zero byte.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    ensure!(
        index != 0,
        "{name:?} has no index: {}",
        io::Error::last_os_error()
    );
    Ok(index as c_int)
}

/// Makes the calling thread, and no other, one of an unprivileged user.
fn become_nobody() -> Result<()> {
    const NOBODY: u32 = 65534;
    // SAFETY: The raw system calls change the calling thread only, and touch no memory.
    let ret = unsafe {
        libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY)
            + libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY)
    };
    ensure!(ret == 0, "setresuid: {}", io::Error::last_os_error());
    // The change makes the process undumpable, and with it /proc/thread-self root's.
    nix::sys::prctl::set_dumpable(true)?;
    Ok(())
}

/// SO_MARK, and the presence of keys, are shown only if the file was opened with CAP_NET_ADMIN,
/// whoever reads it.
const FOR_ADMINS: [(&str, &str); 3] = [("SO_MARK", "0x2a"), ("TCP_MD5SIG", "1"), ("TCP_AO", "1")];

fn for_admins() -> Result<()> {
    // Each with its own subjects: a socket has keys of one kind or of the other.
    let mut subjects = Vec::new();
    for (name, value) in FOR_ADMINS {
        let opt = named(name);
        let mut has_some = false;
        for (plan, role) in PLANS
            .into_iter()
            .flat_map(|plan| Role::ALL.map(|role| (plan, role)))
            .filter(|(plan, role)| opt.is_on(*plan, *role))
        {
            let mut subject = Subject::new(plan, role)?;
            let given = match name {
                "SO_MARK" => int(0x2a),
                _ => opt.tries[0].clone(),
            };
            // A connection may be too far for keys, and a kernel may lack them.
            if subject.give(opt, &given).is_ok() {
                has_some = true;
                subjects.push((name, value, ino(&subject.socket)?, subject));
            }
        }
        if !has_some {
            println!("for_admins: this kernel has no {name}");
        }
    }
    let open = || -> Result<Vec<_>> {
        File::ALL
            .into_iter()
            .map(|file| Ok((file, fs::File::open(file.path())?)))
            .collect()
    };
    let check = |files: &mut [(File, fs::File)], is_admin: bool| -> Result<()> {
        for (file, open) in files {
            let mut text = String::new();
            open.read_to_string(&mut text)?;
            let rows = file.parse(&text)?;
            for (name, value, ino, _) in subjects.iter().filter(|(.., of)| of.file == *file) {
                let row = rows
                    .iter()
                    .find(|row| row.ino() == *ino)
                    .context("no row")?;
                let expected = is_admin.then_some(*value);
                ensure!(row.option(name) == expected, "not {expected:?}: {row:?}");
            }
        }
        Ok(())
    };
    check(&mut open()?, true)?;

    let net = fs::File::open("/proc/thread-self/ns/net")?;
    let mut by_root = open()?;
    let mut by_nobody = thread::scope(|scope| {
        scope
            .spawn(|| -> Result<_> {
                setns(&net, CloneFlags::CLONE_NEWNET)?;
                become_nobody()?;
                ensure!(fs::write("/proc/sys/net/ipv4/ip_default_ttl", "1").is_err());
                // Opened by root, read by nobody.
                check(&mut by_root, true)?;
                // Opened by nobody.
                check(&mut open()?, false)?;
                open()
            })
            .join()
            .expect("no panic")
    })?;
    // Opened by nobody, read by root.
    check(&mut by_nobody, false)
}

/// Sysctls that set the initial values of sockets, or might.
const SYSCTLS: [(&str, &str); 38] = [
    ("net.ipv4.ip_no_pmtu_disc", "1"),
    ("net.ipv4.ip_no_pmtu_disc", "3"),
    ("net.ipv4.ip_default_ttl", "99"),
    ("net.ipv4.ip_nonlocal_bind", "1"),
    ("net.ipv4.ip_local_port_range", "40000 40999"),
    ("net.ipv4.tcp_rto_min_us", "100000"),
    ("net.ipv4.tcp_rto_max_ms", "60000"),
    ("net.ipv4.tcp_congestion_control", "reno"),
    ("net.ipv4.tcp_congestion_control", "dctcp"),
    ("net.ipv4.tcp_congestion_control", "bbr"),
    ("net.ipv4.tcp_notsent_lowat", "16384"),
    ("net.ipv4.tcp_keepalive_time", "100"),
    ("net.ipv4.tcp_keepalive_intvl", "10"),
    ("net.ipv4.tcp_keepalive_probes", "3"),
    ("net.ipv4.tcp_syn_retries", "3"),
    ("net.ipv4.tcp_synack_retries", "3"),
    ("net.ipv4.tcp_fin_timeout", "17"),
    ("net.ipv4.tcp_ecn", "1"),
    ("net.ipv4.tcp_ecn", "0"),
    ("net.ipv4.tcp_fastopen", "1027"),
    ("net.ipv4.tcp_pingpong_thresh", "5"),
    ("net.ipv4.tcp_thin_linear_timeouts", "1"),
    ("net.ipv4.tcp_rmem", "4096 8192 16384"),
    ("net.ipv4.tcp_wmem", "4096 8192 16384"),
    ("net.ipv4.tcp_mtu_probing", "2"),
    ("net.ipv4.tcp_reflect_tos", "1"),
    ("net.ipv4.tcp_min_snd_mss", "500"),
    ("net.ipv4.tcp_retries2", "5"),
    ("net.ipv4.tcp_window_scaling", "0"),
    ("net.ipv4.tcp_fwmark_accept", "1"),
    ("net.ipv6.bindv6only", "1"),
    ("net.ipv6.conf.all.hop_limit", "33"),
    ("net.ipv6.conf.default.hop_limit", "33"),
    ("net.ipv6.auto_flowlabels", "0"),
    ("net.ipv6.auto_flowlabels", "3"),
    ("net.ipv6.flowlabel_reflect", "7"),
    ("net.core.txrehash", "0"),
    ("net.mptcp.enabled", "0"),
];

fn sysctl(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}

/// Sockets that are created after a change of a sysctl show no more options than others.
fn sysctls() -> Result<()> {
    let mut lacking = Vec::new();
    let mut wrong = Vec::new();
    let mut set = Vec::new();
    for (name, value) in SYSCTLS {
        let path = sysctl(name);
        if !Path::new(&path).exists() {
            lacking.push(name);
            continue;
        }
        in_fresh(|| {
            if let Err(err) = fs::write(&path, value) {
                lacking.push(name);
                println!("sysctls: {name}={value}: {err}");
                return Ok(());
            }
            set.push((name, value));
            wrong.extend(extra(
                &format!("{name}={value}"),
                name == "net.ipv6.bindv6only",
            )?);
            Ok(())
        })?;
    }
    // All of them.
    for (name, value) in &set {
        fs::write(sysctl(name), value)?;
    }
    wrong.extend(extra("all together", true)?);
    println!(
        "sysctls: {} tried; not in this kernel: {lacking:?}",
        set.len()
    );
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

/// The options that fresh sockets show, and should not.
fn extra(what: &str, v6only: bool) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let plans = [Plan::V4, Plan::V6, Plan::Mapped];
    for plan in plans
        .into_iter()
        .filter(|plan| !v6only || *plan != Plan::Mapped)
    {
        for role in Role::ALL {
            let subject = Subject::new(plan, role)?;
            let row = row(subject.file, &subject.socket)?;
            if names(&row) != names_always_shown(role) {
                wrong.push(format!(
                    "{what}: {} {role:?} shows {:?}",
                    plan.name(),
                    row.options
                ));
            }
        }
    }
    Ok(wrong)
}
