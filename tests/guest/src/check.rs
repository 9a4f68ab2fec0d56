// SPDX-License-Identifier: GPL-2.0

//! `knetstat check` and `knetstat metrics` with real sockets. The expected offenders follow from
//! getsockopt(2), TCP_INFO and ss.

use crate::guest::{guest, wait_for};
use crate::harness::Case;
use crate::netns::in_fresh;
use crate::sockets::{
    deafen, get, ino, local, set_int, stuff, tcp_info, undeafen, IntoPair, Pair, Plan,
};
use anyhow::{ensure, Context, Result};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Child, Command, Output};

const TCP_USER_TIMEOUT: i32 = 18;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("check::keepalive", || in_fresh(keepalive)),
        Case::new("check::accept_queue", || in_fresh(accept_queue)),
        Case::new("check::receive_buffer", || in_fresh(receive_buffer)),
        Case::new("check::user_timeout", || in_fresh(user_timeout)),
        Case::new("check::ipv6_only", || in_fresh(ipv6_only)),
        // Alone: a program that another test starts has our sockets until exec(2).
        Case::alone("check::reuseport", || in_fresh(reuseport)),
        Case::new("check::files_and_statuses", || in_fresh(files_and_statuses)),
        Case::new("check::metrics", || in_fresh(metrics)),
    ]
}

fn knetstat(args: &[&str]) -> Result<Output> {
    let mut command = Command::new(guest().dir.join("knetstat"));
    command.args(args).output().context("knetstat")
}

/// The inodes of the sockets that break each rule.
type Broken = BTreeMap<String, BTreeSet<u64>>;

/// Runs the rules that come with the command. The exit status must agree with the output.
fn check(args: &[&str]) -> Result<Broken> {
    let output = knetstat(&[&["check", "-Hn"], args].concat())?;
    let text = String::from_utf8(output.stdout)?;
    let mut broken = Broken::new();
    let mut rule = String::new();
    for line in text.lines() {
        if line.starts_with("warning ") || line.starts_with("critical ") {
            let (_, name) = line.split_once(' ').context("no name")?;
            let (name, _) = name.split_once(':').context("no number")?;
            name.trim().clone_into(&mut rule);
        } else if line.starts_with("tcp ") || line.starts_with("udp ") {
            let (_, ino) = line.rsplit_once("ino=").context("a row without ino=")?;
            broken.entry(rule.clone()).or_default().insert(ino.parse()?);
        }
    }
    let expected = i32::from(!broken.is_empty());
    ensure!(
        output.status.code() == Some(expected) && output.stderr.is_empty(),
        "{:?}, {}: {text}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(broken)
}

/// Fails unless exactly these sockets break a rule.
fn expect<'s>(rule: &str, sockets: impl IntoIterator<Item = &'s Socket>) -> Result<()> {
    let expected: Result<BTreeSet<_>> = sockets.into_iter().map(ino).collect();
    let found = check(&[])?;
    let of_rule = found.get(rule).cloned().unwrap_or_default();
    ensure!(of_rule == expected?, "{rule}: {found:?}");
    Ok(())
}

/// Connections at 192.0.2.1, which is not a loopback address.
fn distant_pair() -> Result<Pair> {
    let status = Command::new("ip")
        .args(["address", "replace", "192.0.2.1/24", "dev", "lo"])
        .status()?;
    ensure!(status.success(), "ip: {status}");
    let listener = Plan::V4.tcp()?;
    listener.bind(&SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 0)).into())?;
    listener.listen(4)?;
    listener.into_pair(Plan::V4.tcp()?)
}

fn keepalive() -> Result<()> {
    let near = Plan::V4.pair()?;
    let pairs = (0..8).map(|_| distant_pair()).collect::<Result<Vec<_>>>()?;
    let clients = || pairs.iter().map(|pair| &pair.client);
    for rule in ["keepalive-off", "idle-limit-240s", "idle-limit-350s"] {
        expect(rule, [])?;
    }
    near.client.set_keepalive(true)?;
    let times = [
        None,
        None,
        Some(60),
        Some(240),
        Some(349),
        Some(350),
        Some(60),
        None,
    ];
    for (i, (client, time)) in clients().zip(times).enumerate() {
        // The last but one has the time, and the last one another parameter, without SO_KEEPALIVE.
        client.set_keepalive(i > 0 && i < 6)?;
        if let Some(time) = time {
            set_int(client, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, time)?;
        }
        if i == 7 {
            set_int(client, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 3)?;
        }
    }
    let is_on = |client: &&Socket| client.keepalive().unwrap_or_default();
    let time = |client: &Socket| get(client, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 0_i32);
    let has_time = |client: &Socket, from: i32, to: i32| {
        time(client).is_ok_and(|time| time >= from && time < to)
    };
    let count = |client: &Socket| get(client, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 0_i32);
    let off = clients().filter(|client| {
        let is_set = time(client).is_ok_and(|n| n != 7200) || count(client).is_ok_and(|n| n != 9);
        !is_on(client) && is_set
    });
    ensure!(off.clone().count() == 2, "two are off");
    expect("keepalive-off", off)?;
    let slow = clients().filter(is_on);
    expect(
        "idle-limit-240s",
        slow.clone().filter(|c| has_time(c, 240, 350)),
    )?;
    let slower = slow.filter(|client| has_time(client, 350, i32::MAX));
    ensure!(slower.clone().count() == 2, "the default and 350 s");
    expect("idle-limit-350s", slower)?;
    for client in clients() {
        client.set_keepalive(true)?;
        set_int(client, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 60)?;
    }
    ensure!(check(&[])?.is_empty(), "all are right");
    Ok(())
}

/// The listeners whose accept queue is longer than the backlog, by ss: ports.
fn full_by_ss() -> Result<BTreeSet<u16>> {
    let output = Command::new("ss").args(["-Hltn"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut ports = BTreeSet::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let (queue, backlog): (u32, u32) = (words[1].parse()?, words[2].parse()?);
        if queue > backlog {
            let (_, port) = words[3].rsplit_once(':').context("no port")?;
            ports.insert(port.parse()?);
        }
    }
    Ok(ports)
}

fn accept_queue() -> Result<()> {
    let (short, long) = (Plan::V4.listener(1)?, Plan::V4.listener(64)?);
    let mut clients = Vec::new();
    for listener in [&short, &long] {
        for _ in 0..2 {
            let client = Plan::V4.tcp()?;
            client.connect(&listener.local_addr()?)?;
            clients.push(client);
        }
    }
    let port = local(&short)?.port();
    wait_for("a full queue", 10, || {
        let full = full_by_ss()?;
        Ok(match full == BTreeSet::from([port]) {
            true => Ok(()),
            false => Err(format!("{full:?}")),
        })
    })?;
    expect("accept-queue-full", [&short])?;
    let _accepted = short.accept()?;
    ensure!(full_by_ss()?.is_empty(), "there is room now");
    expect("accept-queue-full", [])
}

fn receive_buffer() -> Result<()> {
    // Both ends have a fixed buffer; the reader does not read.
    let Pair { client, server, .. } = Plan::V4.small_pair()?;
    expect("receive-buffer-fixed", [])?;
    wait_for("a closed window", 15, || {
        stuff(&client)?;
        let info = tcp_info(&server)?;
        Ok(match info.rcv_wnd {
            0 => Ok(()),
            _ => Err(format!("{info:?}")),
        })
    })?;
    expect("receive-buffer-fixed", [&server])
}

fn user_timeout() -> Result<()> {
    let (without, with) = (Plan::V4.pair()?, Plan::V4.pair()?);
    set_int(&with.client, libc::IPPROTO_TCP, TCP_USER_TIMEOUT, 600_000)?;
    let timeout = |socket| get(socket, libc::IPPROTO_TCP, TCP_USER_TIMEOUT, 0_i32);
    ensure!(timeout(&without.client)? == 0 && timeout(&with.client)? > 0);
    expect("no-user-timeout", [])?;
    for pair in [&without, &with] {
        deafen(&pair.server)?;
        pair.client.send(b"x")?;
    }
    for pair in [&without, &with] {
        wait_for("an ACK that is overdue", 15, || {
            let info = tcp_info(&pair.client)?;
            Ok(match info.unacked > 0 && info.last_ack_recv > 1100 {
                true => Ok(()),
                false => Err(format!("{info:?}")),
            })
        })?;
    }
    expect("no-user-timeout", [&without.client])?;
    for pair in [&without, &with] {
        undeafen(&pair.server)?;
    }
    wait_for("an ACK", 30, || {
        let info = tcp_info(&without.client)?;
        Ok(match info.unacked {
            0 => Ok(()),
            _ => Err(format!("{info:?}")),
        })
    })?;
    expect("no-user-timeout", [])
}

/// A listener at a port of the wildcard address.
fn wildcard(domain: Domain, port: u16, only_v6: bool) -> Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    let address: SocketAddr = match domain {
        Domain::IPV6 => {
            socket.set_only_v6(only_v6)?;
            (Ipv6Addr::UNSPECIFIED, port).into()
        }
        _ => (Ipv4Addr::UNSPECIFIED, port).into(),
    };
    socket.bind(&SockAddr::from(address))?;
    socket.listen(4)?;
    Ok(socket)
}

fn ipv6_only() -> Result<()> {
    let all = [
        wildcard(Domain::IPV6, 7001, true)?,
        wildcard(Domain::IPV6, 7002, false)?,
        wildcard(Domain::IPV6, 7003, true)?,
    ];
    let only = |socket: &&Socket| socket.only_v6().unwrap_or_default();
    expect("ipv6-only-listener", all.iter().filter(only))?;
    let _twin = wildcard(Domain::IPV4, 7003, false)?;
    expect("ipv6-only-listener", [&all[0]])?;
    // The other socket counts, although only IPv6 is checked.
    let found = check(&["-6"])?;
    let expected = Broken::from([(
        "ipv6-only-listener".to_owned(),
        BTreeSet::from([ino(&all[0])?]),
    )]);
    ensure!(found == expected, "{found:?}");
    ensure!(check(&["-4"])?.is_empty(), "IPv4 only");
    ensure!(check(&["-u"])?.is_empty(), "UDP only");
    Ok(())
}

/// A process that has a socket open, and ends when this is dropped.
struct Holder(Child);

impl Holder {
    fn of(socket: &Socket) -> Result<Self> {
        socket.set_cloexec(false)?;
        let child = Command::new("sleep").arg("1000").spawn();
        socket.set_cloexec(true)?;
        let holder = Self(child?);
        let comm = format!("/proc/{}/comm", holder.0.id());
        wait_for("another program", 10, || {
            let name = fs::read_to_string(&comm)?;
            Ok(if name == "sleep\n" { Ok(()) } else { Err(name) })
        })?;
        Ok(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sharing(kind: Type, port: u16) -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, kind, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    if kind == Type::STREAM {
        socket.listen(4)?;
    }
    Ok(socket)
}

fn reuseport() -> Result<()> {
    for kind in [Type::STREAM, Type::DGRAM] {
        let ours = [sharing(kind, 7004)?, sharing(kind, 7004)?];
        let _other_port = sharing(kind, 7005)?;
        expect("reuseport-programs", [])?;
        let third = sharing(kind, 7004)?;
        let number = ino(&third)?;
        let holder = Holder::of(&third)?;
        // Both programs have it open.
        expect("reuseport-programs", [])?;
        drop(third);
        let found = check(&[])?;
        let all = BTreeSet::from([ino(&ours[0])?, ino(&ours[1])?, number]);
        ensure!(found.get("reuseport-programs") == Some(&all), "{found:?}");
        drop(holder);
        expect("reuseport-programs", [])?;
    }
    Ok(())
}

/// The exit status and the first line of standard output.
fn status(args: &[&str]) -> Result<(Option<i32>, String)> {
    let output = knetstat(args)?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().next().unwrap_or_default().to_owned();
    Ok((output.status.code(), line))
}

fn files_and_statuses() -> Result<()> {
    let path = std::env::temp_dir().join("knetstat-check.toml");
    let file = path.to_str().context("a path")?;
    let pair = Plan::V4.pair()?;
    let rule = |severity: &str, condition: &str| {
        let text = format!(
            "[[rule]]\nname = \"a\"\nmessage = \"m\"\nseverity = \"{severity}\"\n{condition}\n"
        );
        fs::write(&path, text)
    };
    for (severity, nagios) in [("warning", 1), ("critical", 2)] {
        rule(severity, "require = \"TCP_NODELAY\"")?;
        let (code, line) = status(&["check", file])?;
        ensure!(
            code == Some(1) && line.starts_with(severity),
            "{code:?} {line}"
        );
        let (code, line) = status(&["check", "--nagios", file])?;
        let expected = format!(
            "KNETSTAT {} - a: 2 sockets | a=2",
            severity.to_ascii_uppercase()
        );
        ensure!(code == Some(nagios) && line == expected, "{code:?} {line}");
    }
    for socket in [&pair.client, &pair.server] {
        socket.set_tcp_nodelay(true)?;
    }
    let (code, _) = status(&["check", file])?;
    ensure!(code == Some(0), "{code:?}");
    let (code, line) = status(&["check", "--nagios", file])?;
    ensure!(
        code == Some(0) && line.starts_with("KNETSTAT OK - no rule is broken by "),
        "{code:?} {line}"
    );
    // The default of TCP_MAXSEG is not known.
    rule("warning", "forbid = \"state listening TCP_MAXSEG>1\"")?;
    let (code, line) = status(&["check", file])?;
    ensure!(
        code == Some(0) && line.starts_with("unknown"),
        "{code:?} {line}"
    );
    let (code, _) = status(&["check", "--strict", file])?;
    ensure!(code == Some(3), "{code:?}");
    let (code, line) = status(&["check", "--nagios", file])?;
    ensure!(
        code == Some(3) && line == "KNETSTAT UNKNOWN - a undecided: 1 socket | a=0",
        "{code:?} {line}"
    );
    // A filter that follows the file selects the sockets.
    let (code, _) = status(&["check", "--strict", file, "sport", "=", ":1"])?;
    ensure!(code == Some(0), "{code:?}");
    // No rule applies to these.
    let (code, _) = status(&["check", "--strict", file, "state", "established"])?;
    ensure!(code == Some(3), "{code:?}");
    let (code, line) = status(&["check", "--nagios", file, "-u"])?;
    ensure!(
        code == Some(3) && line.starts_with("KNETSTAT UNKNOWN - no rule applies to "),
        "{code:?} {line}"
    );
    rule("warning", "forbid = \"nonsense\"")?;
    let (code, _) = status(&["check", file])?;
    ensure!(code == Some(2), "{code:?}");
    let (code, line) = status(&["check", "--nagios", file])?;
    ensure!(
        code == Some(3) && line.starts_with("KNETSTAT UNKNOWN - ") && line.contains(":5: forbid"),
        "{code:?} {line}"
    );
    fs::remove_file(&path)?;
    Ok(())
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series))?;
    line.trim().parse().ok()
}

fn metrics() -> Result<()> {
    let pairs = (0..3)
        .map(|_| Plan::V4.pair())
        .collect::<Result<Vec<_>>>()?;
    pairs[0].client.set_tcp_nodelay(true)?;
    pairs[0].client.send(b"twelve bytes")?;
    let text = String::from_utf8(knetstat(&["metrics"])?.stdout)?;
    let of = |name: &str, state: &str| {
        let labels = format!("{{protocol=\"tcp\",family=\"inet\",state=\"{state}\"}}");
        value(&text, &format!("knetstat_{name}{labels}"))
    };
    // The number that ss counts.
    for state in ["established", "listening"] {
        let output = Command::new("ss")
            .args(["-H4tn", "state", state])
            .output()?;
        let count = String::from_utf8(output.stdout)?.lines().count() as u64;
        ensure!(
            of("sockets", state) == Some(count) && count > 0,
            "{state} {count}: {text}"
        );
    }
    ensure!(of("sockets", "time-wait") == Some(0), "{text}");
    ensure!(
        of("receive_queue_bytes", "established") == Some(12),
        "{text}"
    );
    ensure!(
        of("accept_queue_limit_connections", "listening") == Some(48),
        "{text}"
    );
    ensure!(text.ends_with("# EOF\n"), "{text}");

    let path = std::env::temp_dir().join("knetstat-metrics.prom");
    let file = path.to_str().context("a path")?;
    let args = [
        "metrics",
        "--by",
        "tcp_nodelay,sport",
        "--limit=2",
        "--rules",
        "--output",
        file,
    ];
    let output = knetstat(&args)?;
    ensure!(
        output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
    let text = fs::read_to_string(&path)?;
    fs::remove_file(&path)?;
    ensure!(value(&text, "knetstat_group_limit") == Some(2), "{text}");
    let rule = "knetstat_rule_sockets{rule=\"keepalive-off\",severity=\"warning\"}";
    ensure!(value(&text, rule) == Some(0), "{text}");
    let sockets = text
        .lines()
        .filter(|line| line.starts_with("knetstat_sockets{"));
    let sum: u64 = sockets
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    ensure!(sum == 9, "{text}");
    ensure!(
        text.contains("tcp_nodelay=\"<other>\",sport=\"<other>\""),
        "{text}"
    );
    Ok(())
}
