// SPDX-License-Identifier: GPL-2.0

//! Options other than one at a time: none, inherited, hidden, or not set by the process.

use super::answers::{get_bytes, set_bytes};
use super::opt::{Role, When, PLANS};
use super::subject::{names, names_always_shown, Fresh, Subject, BACKLOG};
use super::table::{named, table, OF_THE_C_MODULE, TCP_AO_ADD_KEY, TCP_IS_MPTCP};
use super::values::{ao_add, md5sig, SECRET};
use crate::features::Feature;
use crate::guest::guest;
use crate::harness::{skip, Case};
use crate::netns::in_fresh;
use crate::rows::{address, File};
use crate::sockets::{local, row, Plan};
use anyhow::{bail, ensure, Context, Result};
use libc::{IPPROTO_MPTCP, IPPROTO_TCP, TCP_FASTOPEN_KEY, TCP_MD5SIG};
use rand::seq::IndexedRandom;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::collections::BTreeSet;
use std::fs;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("options::fresh_sockets", || in_fresh(fresh_sockets)),
        Case::new("options::inherited_by_accept", || in_fresh(inherited)),
        Case::new("options::v6only", || in_fresh(v6only)),
        Case::new("options::keys", || in_fresh(keys)),
        Case::new("options::mptcp", || in_fresh(mptcp)),
    ]
}

/// Whether a socket uses MPTCP: getsockopt(TCP_IS_MPTCP), or an answer to MPTCP_INFO before Linux 6.3, or the
/// protocol of the socket before 5.16.
fn is_mptcp(socket: &Socket) -> Result<bool> {
    const SOL_MPTCP: i32 = 284;
    const MPTCP_INFO: i32 = 1;
    match get_bytes(socket, IPPROTO_TCP, TCP_IS_MPTCP, 1) {
        Err(err)
            if [Some(libc::EOPNOTSUPP), Some(libc::ENOPROTOOPT)].contains(&err.raw_os_error()) =>
        {
            let has_info = get_bytes(socket, SOL_MPTCP, MPTCP_INFO, 4).is_ok();
            Ok(has_info || socket.protocol()? == Some(Protocol::MPTCP))
        }
        answer => Ok(answer? == [1]),
    }
}

/// Sockets without options set show those that are always shown, and the values are right.
fn fresh_sockets() -> Result<()> {
    let fresh = Fresh::ask()?;
    for plan in Plan::ALL {
        for role in Role::ALL {
            let subject = Subject::new(plan, role)?;
            let row = row(subject.file, &subject.socket)?;
            let mut names = names(&row);
            if plan == Plan::LinkLocal {
                // By bind(2) and connect(2), which were given the interface.
                names.retain(|name| *name != "SO_BINDTODEVICE");
            }
            ensure!(
                names == names_always_shown(role),
                "a fresh {role:?} over {} shows {row:?}",
                plan.name()
            );
            if let Some(difference) = subject.compare(&row, &fresh)? {
                bail!("{difference}");
            }
        }
    }
    Ok(())
}

/// A socket that is bound to `::` always shows IPV6_V6ONLY. Any other shows it if the process set
/// it, and not if bind(2) or the sysctl did.
fn v6only() -> Result<()> {
    v6only_by_default(false)?;
    fs::write("/proc/sys/net/ipv6/bindv6only", "1")?;
    v6only_by_default(true)
}

fn v6only_by_default(default: bool) -> Result<()> {
    let wildcard = Plan::V6.wildcard(0);
    for on in [true, false] {
        for tcp in [true, false] {
            let kind = if tcp { Type::STREAM } else { Type::DGRAM };
            let socket = Socket::new(Domain::IPV6, kind, None)?;
            socket.set_only_v6(on)?;
            socket.bind(&wildcard.into())?;
            let file = if tcp { File::Tcp6 } else { File::Udp6 };
            let mut sockets = vec![];
            if tcp {
                socket.listen(1)?;
                let client = Plan::V6.tcp()?;
                client.set_only_v6(on)?;
                client.connect(&SockAddr::from(Plan::V6.addr(local(&socket)?.port())))?;
                let (server, _) = socket.accept()?;
                sockets.extend([client, server]);
            }
            sockets.push(socket);
            for socket in &sockets {
                ensure!(socket.only_v6()? == on);
                let row = row(file, socket)?;
                let value = Some(if on { "1" } else { "0" });
                let at_wildcard = local(socket)?.ip().is_unspecified();
                // The client got its address from connect(2), and has what was set.
                let is_shown = at_wildcard || on != default;
                let expected = value.filter(|_| is_shown);
                ensure!(
                    row.option("IPV6_V6ONLY") == expected,
                    "{expected:?} {row:?}"
                );
            }
        }
    }
    Ok(())
}

/// The options that are shown after they were set, and that a connection inherits as set.
const INHERITED: [&str; 8] = [
    "TCP_KEEPIDLE",
    "TCP_KEEPCNT",
    "TCP_KEEPINTVL",
    "SO_RCVBUF",
    "SO_SNDBUF",
    "SO_RCVTIMEO",
    "SO_SNDTIMEO",
    "SO_LINGER",
];

/// Options of a listener, on the sockets that it accepts.
fn inherited() -> Result<()> {
    let fresh = Fresh::ask()?;
    let mut rng = rand::rng();
    let mut wrong = BTreeSet::new();
    for (place, opt) in table().iter().enumerate() {
        // No connection comes about with these. Of what is shown once it is set, a connection
        // inherits some, and forgets of the rest that it was set.
        if matches!(
            opt.name,
            "TCP_DEFER_ACCEPT"
                | "TCP_TX_DELAY"
                | "TCP_MD5SIG"
                | "TCP_AO"
                | "SO_BINDTODEVICE"
                | "IP_MINTTL"
                | "IPV6_MINHOPCOUNT"
                | "IPV6_RTHDR"
        ) || (opt.when == When::Set && !INHERITED.contains(&opt.name))
        {
            continue;
        }
        for plan in PLANS
            .into_iter()
            .filter(|plan| opt.is_on(*plan, Role::Accepted))
        {
            // Each value on the fastest guest, on the others one of them.
            let many = guest().scale(opt.tries.len(), 1, 1);
            for value in opt.tries.choose_multiple(&mut rng, many) {
                let early =
                    |socket: &Socket| set_bytes(socket, opt.level, opt.option, &value.bytes);
                let mut subject = match Subject::with(plan, Role::Accepted, early) {
                    Ok(subject) => subject,
                    Err(err) if place < OF_THE_C_MODULE => return Err(err).context(opt.name),
                    Err(_) => continue,
                };
                subject.remember(opt, value);
                if let Some(difference) = subject.check(&fresh)? {
                    wrong.insert(format!("listener was given {}: {difference}", opt.name));
                }
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "\n{}",
        wrong.into_iter().collect::<Vec<_>>().join("\n")
    );
    Ok(())
}

/// Keys are never shown. Their presence is, on both ends of a signed connection.
fn keys() -> Result<()> {
    for plan in PLANS {
        for (name, option, bytes) in [
            ("TCP_MD5SIG", TCP_MD5SIG, md5sig(plan, true, true)),
            ("TCP_AO", TCP_AO_ADD_KEY, ao_add(plan, true)),
        ] {
            let (listener, client) = (plan.listener(1)?, plan.tcp()?);
            let set = |socket| set_bytes(socket, IPPROTO_TCP, option, &bytes);
            if let Err(err) = set(&listener) {
                println!("{name}: skipped: {err}");
                continue;
            }
            set(&client)?;
            client.connect(&SockAddr::from(local(&listener)?))?;
            let (server, _) = listener.accept()?;
            for socket in [&listener, &client, &server] {
                let row = row(plan.file(true), socket)?;
                ensure!(row.option(name) == Some("1"), "no {name}: {row:?}");
            }
            let text = fs::read(plan.file(true).path())?;
            for n in 4..=SECRET.len() {
                ensure!(!contains(&text, &SECRET[..n]), "a key is shown");
            }
            let hex = SECRET[..4].iter().map(|byte| format!("{byte:02x}"));
            let hex = hex.collect::<Vec<_>>().concat();
            ensure!(!contains(&text, hex.as_bytes()), "a key is shown");
        }
    }
    // The cookie's key of Fast Open.
    let listener = Plan::V4.listener(1)?;
    set_bytes(&listener, IPPROTO_TCP, TCP_FASTOPEN_KEY, &SECRET[..16])?;
    let text = fs::read(File::Tcp.path())?;
    ensure!(!contains(&text, &SECRET[..4]), "a key is shown");
    Ok(())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Multipath TCP: the rows of subflows have TCP_IS_MPTCP, and those of plain TCP do not. Plain TCP
/// sockets that an MPTCP listener accepted have the options that getsockopt(2) returns.
fn mptcp() -> Result<()> {
    for enabled in ["1", "0"] {
        if fs::write("/proc/sys/net/mptcp/enabled", enabled).is_err() {
            return skip(Feature::Config("CONFIG_MPTCP"), "no net.mptcp.enabled");
        }
        for plan in PLANS {
            let protocol = Some(Protocol::from(IPPROTO_MPTCP));
            let socket = || Socket::new(plan.domain(), Type::STREAM, protocol);
            // Switched off, there are none.
            if enabled == "0" {
                ensure!(socket().is_err(), "MPTCP is off");
                let pair = plan.pair()?;
                for socket in [&pair.listener, &pair.client, &pair.server] {
                    ensure!(row(plan.file(true), socket)?
                        .option("TCP_IS_MPTCP")
                        .is_none());
                }
                continue;
            }
            for (many, role) in [(true, "MPTCP"), (false, "plain TCP")] {
                let listener = socket()?;
                listener.bind(&plan.addr(0).into())?;
                listener.listen(BACKLOG)?;
                let client = if many { socket()? } else { plan.tcp()? };
                client.connect(&SockAddr::from(local(&listener)?))?;
                let (server, _) = listener.accept()?;
                let rows = plan.file(true).read()?;
                for (what, socket) in [
                    ("listener", &listener),
                    ("client", &client),
                    ("server", &server),
                ] {
                    let asked = is_mptcp(socket);
                    let here = address(&local(socket)?);
                    let mine: Vec<_> = rows
                        .iter()
                        .filter(|row| {
                            row.local == here && (row.state == "LSTN") == (what == "listener")
                        })
                        .collect();
                    ensure!(mine.len() == 1, "{what} to {role} has the rows {mine:?}");
                    // A subflow has the options that its owner has, and no others.
                    let subflow = asked?;
                    ensure!(subflow == (many || what == "listener"), "{what} to {role}");
                    let kind = if what == "listener" {
                        Role::Listener
                    } else {
                        Role::Client
                    };
                    let mut expected = names_always_shown(kind);
                    let at = expected.iter().position(|name| *name == "TCP_DEFER_ACCEPT");
                    let at = at.context("TCP_DEFER_ACCEPT")? + 1;
                    if subflow {
                        expected.splice(at..at, ["TCP_ULP", "TCP_IS_MPTCP"]);
                    } else {
                        // A server that MPTCP does not own has what its listener's subflow has.
                        for name in ["TCP_NOTSENT_LOWAT", "SO_RCVLOWAT"] {
                            let opt = named(name);
                            let text = |socket| opt.text(socket, None);
                            let value = text(socket)?;
                            if value != text(&plan.tcp()?)? {
                                expected.insert(at, name);
                                let shown = mine[0].option(name);
                                ensure!(shown == value.as_deref(), "{name}: {value:?}, {shown:?}");
                            }
                        }
                    }
                    ensure!(
                        names(mine[0]) == expected,
                        "{what} to {role}, with MPTCP: {subflow}: {:?}",
                        mine[0]
                    );
                }
            }
        }
    }
    Ok(())
}
