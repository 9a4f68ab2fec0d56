// SPDX-License-Identifier: GPL-2.0

//! Multipath TCP: the options that the kernel keeps on the MPTCP socket rather than on its subflows.

use super::answers::set_bytes;
use super::opt::{Opt, Role, PLANS};
use super::subject::BACKLOG;
use super::table::{marked, table};
use super::values::Try;
use crate::features::Feature;
use crate::guest::wait_for;
use crate::harness::{skip, Case};
use crate::netns::in_fresh;
use crate::rows::Row;
use crate::sockets::{drain, ino, local, row, Plan};
use anyhow::{ensure, Context, Result};
use libc::IPPROTO_MPTCP;
use socket2::{Protocol, SockAddr, Socket, Type};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Case> {
    vec![Case::new("options::on_the_mptcp_socket", || {
        in_fresh(on_the_mptcp_socket)
    })]
}

/// Sets each option on MPTCP sockets. If getsockopt(2) then returns a new value, and the row of a
/// subflow does not show it, the option is on the MPTCP socket. These options must be the documented
/// ones, except for those that this kernel refuses.
fn on_the_mptcp_socket() -> Result<()> {
    if fs::write("/proc/sys/net/mptcp/enabled", "1").is_err() {
        return skip(Feature::Config("CONFIG_MPTCP"), "no net.mptcp.enabled");
    }
    // Before Linux 5.16, MPTCP refuses some of these options, and connections here get no second subflow.
    let info = Feature::Field("uapi/linux/mptcp.h", "MPTCP_INFO");
    if !info.is_here()? {
        return skip(info, "MPTCP of Linux 5.15 or older");
    }
    let mut found = Found::default();
    for plan in PLANS {
        for role in [Role::Listener, Role::Client] {
            for opt in shown_on(plan, role) {
                found.try_option(opt, plan, role)?;
            }
        }
    }
    // Kernels that make the first subflow together with the socket copy some options to it, but not
    // to subflows that join later.
    let documented = marked(|facts| facts.is_on_mptcp_socket)?;
    let candidates = shown_on(Plan::V4, Role::Client).filter(|opt| {
        documented.contains(opt.name)
            && found.accepted.contains(opt.name)
            && !found.only_on_mptcp.contains(opt.name)
    });
    let candidates: Vec<_> = candidates.collect();
    if !candidates.is_empty() {
        allow_to_join()?;
    }
    for opt in candidates {
        if let Some(value) = values(opt).next() {
            found.try_joined(opt, value)?;
        }
    }

    let Found {
        accepted,
        on_subflow,
        only_on_mptcp,
    } = found;
    println!("on subflows: {on_subflow:?}; on the MPTCP socket only: {only_on_mptcp:?}");
    ensure!(on_subflow.contains("SO_KEEPALIVE") && only_on_mptcp.contains("SO_RCVTIMEO"));
    let expected: BTreeSet<_> = documented
        .iter()
        .filter(|name| accepted.contains(name.as_str()))
        .map(String::as_str)
        .collect();
    ensure!(
        only_on_mptcp == expected,
        "on the MPTCP socket only: {only_on_mptcp:?}; documented, and accepted by this kernel: \
         {expected:?}"
    );
    Ok(())
}

/// The options that rows of such sockets can show, and that setsockopt(2) can set.
fn shown_on(plan: Plan, role: Role) -> impl Iterator<Item = &'static Opt> {
    let all = table().iter();
    all.filter(move |opt| opt.own_test.is_none() && opt.is_on(plan, role))
}

/// The values of an option. After any other value, a row lacks it on plain TCP sockets, too.
fn values(opt: &'static Opt) -> impl Iterator<Item = &'static Try> {
    opt.tries.iter().filter(|value| value.sets)
}

/// Sets an option. Returns whether the kernel accepts the value.
fn set(opt: &Opt, socket: &Socket, value: &Try) -> bool {
    set_bytes(socket, opt.level, opt.option, &value.bytes).is_ok()
}

/// The address from which MPTCP makes another subflow.
const SECOND_ADDRESS: &str = "127.0.0.3";

/// The number of connections that are tried until one has a second subflow.
const CONNECTIONS: usize = 3;

/// The row of a subflow that has joined. It joins when both ends have sent data.
fn second_subflow(plan: Plan, mptcp: &Mptcp) -> Result<Row> {
    let server = mptcp.others.first().context("no server")?;
    let ino = ino(&mptcp.socket)?;
    let mut joined = None;
    wait_for("a second subflow", 5, || {
        for (from, to) in [(&mptcp.socket, server), (server, &mptcp.socket)] {
            from.send(b"x")?;
            drain(to)?;
        }
        let rows = plan.file(true).read()?;
        joined = rows
            .into_iter()
            .find(|row| row.ino() == ino && row.local.starts_with(SECOND_ADDRESS));
        Ok(match joined {
            Some(_) => Ok(()),
            None => Err("none".to_owned()),
        })
    })?;
    joined.context("a row")
}

/// Lets connections from 127.0.0.1 have a second subflow.
fn allow_to_join() -> Result<()> {
    for arguments in [
        "mptcp limits set subflow 1 add_addr_accepted 1",
        &format!("mptcp endpoint add {SECOND_ADDRESS} dev lo subflow"),
    ] {
        let mut ip = Command::new("ip");
        let output = ip.args(arguments.split(' ')).output().context("ip")?;
        ensure!(output.status.success(), "ip {arguments}: {output:?}");
    }
    Ok(())
}

/// The names of options, by what setsockopt(2) on an MPTCP socket did.
#[derive(Default)]
struct Found {
    /// The value that getsockopt(2) returns has changed.
    accepted: BTreeSet<&'static str>,
    /// The row has the new value, on some kind of socket.
    on_subflow: BTreeSet<&'static str>,
    /// The row does not have the new value, on some kind of socket.
    only_on_mptcp: BTreeSet<&'static str>,
}

impl Found {
    /// Sets a value on a socket that has a subflow, and on another before bind(2) or connect(2).
    fn try_option(&mut self, opt: &'static Opt, plan: Plan, role: Role) -> Result<()> {
        let accepted = |socket: &Socket| values(opt).find(|value| set(opt, socket, value));
        let late = Mptcp::new(plan, role, |_| ())?;
        let fresh = opt.text(&late.socket, None).unwrap_or(None);
        let late = accepted(&late.socket).map(|value| (late, value));
        let mut value = None;
        // With some options, bind(2) and connect(2) fail.
        let early = Mptcp::new(plan, role, |socket| value = accepted(socket)).ok();
        for (mptcp, value) in late.into_iter().chain(early.zip(value)) {
            let row = row(plan.file(true), &mptcp.socket)?;
            self.compare(opt, &mptcp.socket, value, fresh.as_deref(), &row)?;
        }
        Ok(())
    }

    /// Sets a value on a client, and then looks at a subflow that has joined.
    fn try_joined(&mut self, opt: &'static Opt, value: &Try) -> Result<()> {
        let plan = Plan::V4;
        let mptcp = Mptcp::new(plan, Role::Client, |_| ())?;
        let fresh = opt.text(&mptcp.socket, None).unwrap_or(None);
        // The kernel tries to join only once for each connection, which can fail on a busy machine.
        let mut failed = None;
        for _ in 0..CONNECTIONS {
            let mut is_set = false;
            let mptcp = Mptcp::new(plan, Role::Client, |socket| {
                is_set = set(opt, socket, value);
            })?;
            ensure!(is_set, "{}: refused before connect(2)", opt.name);
            match second_subflow(plan, &mptcp) {
                Ok(row) => {
                    return self.compare(opt, &mptcp.socket, value, fresh.as_deref(), &row);
                }
                Err(err) => failed = Some(err),
            }
        }
        Err(failed.context("no connection was tried")?)
    }

    fn compare(
        &mut self,
        opt: &'static Opt,
        socket: &Socket,
        value: &Try,
        fresh: Option<&str>,
        row: &Row,
    ) -> Result<()> {
        let given = [value.text.clone()];
        let text = opt.text(socket, Some(&given))?;
        if text.as_deref() == fresh {
            return Ok(());
        }
        self.accepted.insert(opt.name);
        let shown = row.option(opt.name);
        if shown == text.as_deref() {
            self.on_subflow.insert(opt.name);
        } else {
            self.only_on_mptcp.insert(opt.name);
            ensure!(shown.is_none(), "{}: {text:?}: {row:?}", opt.name);
        }
        Ok(())
    }
}

/// An MPTCP socket.
struct Mptcp {
    socket: Socket,
    /// The sockets that keep this one in its state. For a client, the server is the first.
    others: Vec<Socket>,
}

impl Mptcp {
    /// Makes one on which `early` runs before bind(2) or connect(2).
    fn new(plan: Plan, role: Role, early: impl FnOnce(&Socket)) -> Result<Self> {
        let new = || {
            let protocol = Some(Protocol::from(IPPROTO_MPTCP));
            Socket::new(plan.domain(), Type::STREAM, protocol).context("an MPTCP socket")
        };
        let listen = |socket: &Socket| -> Result<()> {
            // There, rows always show IPV6_V6ONLY.
            socket.bind(&plan.wildcard(0).into())?;
            Ok(socket.listen(BACKLOG)?)
        };
        let socket = new()?;
        early(&socket);
        let mut others = vec![];
        if role == Role::Listener {
            listen(&socket)?;
        } else {
            let listener = new()?;
            listen(&listener)?;
            let port = local(&listener)?.port();
            socket.connect(&SockAddr::from(plan.addr(port)))?;
            let (server, _) = listener.accept()?;
            others = vec![server, listener];
        }
        Ok(Self { socket, others })
    }
}
