// SPDX-License-Identifier: GPL-2.0

//! The signs of the Diag column: caused by real traffic, compared with TCP_INFO, and gone when
//! the cause is gone.

use crate::guest::wait_for;
use crate::harness::Case;
use crate::netns::in_fresh;
use crate::rows::Row;
use crate::sockets::{
    connect_later, deafen, drain, get, local, row, set_int, state, stuff, tcp_info, undeafen,
    wait_state, Pair, Plan, TcpInfo,
};
use anyhow::{bail, ensure, Context, Result};
use socket2::{SockAddr, Socket};
use std::net::Shutdown;
use std::process::Command;
use std::thread;
use std::time::Duration;

const TCP_RTO_MAX_MS: i32 = 44;
const TCP_REPAIR: i32 = 19;
const TCP_REPAIR_QUEUE: i32 = 20;
const TCP_REPAIR_WINDOW: i32 = 29;
const TCP_SEND_QUEUE: i32 = 2;
/// Ends TCP_REPAIR without the probe of the window that 0 sends.
const TCP_REPAIR_OFF_NO_WP: i32 = -1;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, plan: Plan, test: fn(Plan) -> Result<()>| {
        cases.push(Case::new(
            format!("diag::{name}_{}", plan.name()),
            move || in_fresh(|| test(plan)),
        ));
    };
    for plan in [Plan::V4, Plan::V6] {
        add("reader_stops", plan, reader_stops);
        add("both_readers_stop", plan, both_readers_stop);
        add(
            "zero_window_in_every_state",
            plan,
            zero_window_in_every_state,
        );
        add("lost_acks_in_every_state", plan, lost_acks_in_every_state);
        add("own_window_and_lost_acks", plan, own_window_and_lost_acks);
        add("nothing_where_nothing_is_wrong", plan, nothing_is_wrong);
        add("restored_under_repair", plan, restored_under_repair);
        add("dumped_under_repair", plan, dumped_under_repair);
    }
    cases.push(Case::new("diag::link_that_drops_acks", || {
        in_fresh(link_that_drops_acks)
    }));
    cases
}

/// The signs that a socket must have, by TCP_INFO.
fn verdict(socket: &Socket) -> Result<&'static str> {
    let info = tcp_info(socket)?;
    let (may_send, may_receive) = match info.state {
        state::ESTABLISHED | state::FIN_WAIT1 => (true, true),
        state::CLOSE_WAIT | state::CLOSING | state::LAST_ACK => (true, false),
        state::FIN_WAIT2 => (false, true),
        _ => (false, false),
    };
    let peer_closed = may_send && info.snd_wnd == 0;
    let unacknowledged = may_send && info.unacked > 0 && info.last_ack_recv > 1000;
    let own_closed = may_receive && info.rcv_wnd == 0;
    Ok(match (peer_closed, unacknowledged, own_closed) {
        (true, _, true) => ">|<",
        (true, _, false) => ">|",
        (false, true, true) => ">#|<",
        (false, true, false) => ">#",
        (false, false, true) => "|<",
        (false, false, false) => "",
    })
}

/// The row of a socket. Fails unless its Diag agrees with TCP_INFO.
fn checked_row(plan: Plan, socket: &Socket) -> Result<Row> {
    // A retransmission may change the truth between two looks at it, and back again: but not time
    // after time.
    let mut tries = 0;
    loop {
        let before = verdict(socket)?;
        let row = row(plan.file(true), socket)?;
        let after = verdict(socket)?;
        if row.diag == before || row.diag == after {
            return Ok(row);
        }
        tries += 1;
        ensure!(
            tries < 20,
            "{row:?}, but TCP_INFO says {before:?}, then {after:?}: {:?}",
            tcp_info(socket)?
        );
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until a socket in `state` shows `diag`.
fn wait_diag(plan: Plan, socket: &Socket, state: &str, diag: &str) -> Result<()> {
    wait_for(&format!("{state} {diag:?}"), 15, || {
        let row = checked_row(plan, socket)?;
        Ok(if row.state == state && row.diag == diag {
            Ok(())
        } else {
            Err(format!("{row:?}, {:?}", tcp_info(socket)?))
        })
    })
}

/// Makes retransmissions frequent, if the kernel can do that (since 6.15).
fn hasten(socket: &Socket) {
    let _ = set_int(socket, libc::IPPROTO_TCP, TCP_RTO_MAX_MS, 1000);
}

/// Fills one direction until the window is closed.
fn stuff_until_closed(plan: Plan, from: &Socket, to: &Socket) -> Result<()> {
    hasten(from);
    wait_for("a closed window", 15, || {
        stuff(from)?;
        let shown = (checked_row(plan, from)?.diag, checked_row(plan, to)?.diag);
        Ok(if shown.0.starts_with(">|") && shown.1.ends_with("|<") {
            Ok(())
        } else {
            Err(format!(
                "{shown:?}: {:?} to {:?}",
                tcp_info(from)?,
                tcp_info(to)?
            ))
        })
    })
}

/// Reads until no data is in flight.
fn drain_until_open(plan: Plan, from: &Socket, to: &Socket) -> Result<()> {
    drain_until(plan, from, to, ["", ""])
}

/// Reads until no data is in flight in this direction, which could close the window again, and both
/// sockets have these signs.
fn drain_until(plan: Plan, from: &Socket, to: &Socket, expected: [&str; 2]) -> Result<()> {
    wait_for("an open window", 15, || {
        drain(to)?;
        let (sender, receiver) = (checked_row(plan, from)?, checked_row(plan, to)?);
        let shown = [sender.diag.as_str(), receiver.diag.as_str()];
        Ok(if shown == expected && sender.sendq == 0 {
            Ok(())
        } else {
            Err(format!("{sender:?}, {receiver:?}"))
        })
    })
}

/// A process that stops reading: its own window closes, and the writer sees that.
fn reader_stops(plan: Plan) -> Result<()> {
    let Pair { client, server, .. } = plan.small_pair()?;
    wait_diag(plan, &client, "ESTB", "")?;
    wait_diag(plan, &server, "ESTB", "")?;
    stuff_until_closed(plan, &client, &server)?;
    wait_diag(plan, &client, "ESTB", ">|")?;
    wait_diag(plan, &server, "ESTB", "|<")?;
    drain_until_open(plan, &client, &server)?;

    // The other way round, on the same connection.
    stuff_until_closed(plan, &server, &client)?;
    wait_diag(plan, &server, "ESTB", ">|")?;
    wait_diag(plan, &client, "ESTB", "|<")?;
    drain_until_open(plan, &server, &client)
}

fn both_readers_stop(plan: Plan) -> Result<()> {
    let Pair { client, server, .. } = plan.small_pair()?;
    stuff_until_closed(plan, &client, &server)?;
    stuff_until_closed(plan, &server, &client)?;
    for socket in [&client, &server] {
        wait_diag(plan, socket, "ESTB", ">|<")?;
    }
    drain_until(plan, &client, &server, ["|<", ">|"])?;
    drain_until_open(plan, &server, &client)
}

/// The peer's window is closed while there is data to deliver, in every state that can have such
/// data. Our window is closed, in every state in which the peer may still send.
fn zero_window_in_every_state(plan: Plan) -> Result<()> {
    // FIN_WAIT1: the FIN waits behind the data.
    let fin_wait1 = plan.small_pair()?;
    stuff_until_closed(plan, &fin_wait1.client, &fin_wait1.server)?;
    fin_wait1.client.shutdown(Shutdown::Write)?;
    wait_diag(plan, &fin_wait1.client, "FNW1", ">|")?;

    // CLOSE_WAIT, and from there LAST_ACK.
    let last_ack = plan.small_pair()?;
    stuff_until_closed(plan, &last_ack.client, &last_ack.server)?;
    last_ack.server.shutdown(Shutdown::Write)?;
    wait_diag(plan, &last_ack.client, "CLSW", ">|")?;
    // The peer may still receive, and its window is still closed.
    wait_diag(plan, &last_ack.server, "FNW2", "|<")?;
    last_ack.client.shutdown(Shutdown::Write)?;
    wait_diag(plan, &last_ack.client, "LACK", ">|")?;

    // CLOSING.
    let closing = plan.small_pair()?;
    stuff_until_closed(plan, &closing.client, &closing.server)?;
    closing.client.shutdown(Shutdown::Write)?;
    closing.server.shutdown(Shutdown::Write)?;
    wait_diag(plan, &closing.client, "CLSG", ">|")?;

    // Our own window in FIN_WAIT1: nobody acknowledges our FIN.
    let own = plan.small_pair()?;
    stuff_until_closed(plan, &own.client, &own.server)?;
    deafen(&own.client)?;
    own.server.shutdown(Shutdown::Write)?;
    wait_diag(plan, &own.server, "FNW1", ">#|<")?;

    // Open the windows: the data goes through, and the signs go away.
    for (from, to, state) in [
        (&fin_wait1.client, &fin_wait1.server, "FNW2"),
        (&last_ack.client, &last_ack.server, ""),
        (&closing.client, &closing.server, ""),
    ] {
        wait_for("the data to go through", 15, || {
            drain(to)?;
            let info = tcp_info(from)?;
            if state.is_empty() {
                return Ok(match info.state {
                    state::CLOSE => Ok(()),
                    _ => Err(format!("{info:?}")),
                });
            }
            let row = checked_row(plan, from)?;
            Ok(if row.state == state && row.diag.is_empty() {
                Ok(())
            } else {
                Err(format!("{row:?}, {info:?}"))
            })
        })?;
    }
    Ok(())
}

/// Data, or a FIN, without an acknowledgement for over a second.
fn lost_acks_in_every_state(plan: Plan) -> Result<()> {
    let new = || -> Result<Pair> {
        let pair = plan.pair()?;
        hasten(&pair.client);
        hasten(&pair.server);
        Ok(pair)
    };

    let established = new()?;
    deafen(&established.server)?;
    established.client.send(b"x")?;

    let close_wait = new()?;
    close_wait.server.shutdown(Shutdown::Write)?;
    wait_state(&close_wait.server, state::FIN_WAIT2)?;
    deafen(&close_wait.server)?;
    close_wait.client.send(b"x")?;

    let last_ack = new()?;
    last_ack.server.shutdown(Shutdown::Write)?;
    wait_state(&last_ack.server, state::FIN_WAIT2)?;
    deafen(&last_ack.server)?;
    last_ack.client.shutdown(Shutdown::Write)?;

    let fin_wait1 = new()?;
    deafen(&fin_wait1.server)?;
    fin_wait1.client.send(b"x")?;
    fin_wait1.client.shutdown(Shutdown::Write)?;

    let closing = new()?;
    deafen(&closing.server)?;
    closing.client.shutdown(Shutdown::Write)?;
    closing.server.shutdown(Shutdown::Write)?;

    // Not in the first second: checked_row() sees to it, by TCP_INFO.
    let all = [
        (&established, "ESTB"),
        (&close_wait, "CLSW"),
        (&last_ack, "LACK"),
        (&fin_wait1, "FNW1"),
        (&closing, "CLSG"),
    ];
    for (pair, _) in &all {
        checked_row(plan, &pair.client)?;
    }
    for (pair, state) in &all {
        wait_diag(plan, &pair.client, state, ">#")?;
    }

    // The link is back.
    for (pair, _) in &all {
        undeafen(&pair.server)?;
    }
    wait_diag(plan, &established.client, "ESTB", "")?;
    wait_diag(plan, &close_wait.client, "CLSW", "")?;
    wait_state(&last_ack.client, state::CLOSE)?;
    wait_diag(plan, &fin_wait1.client, "FNW2", "")?;
    // CLOSING ends in TIME_WAIT, which leaves the process a closed socket.
    wait_state(&closing.client, state::CLOSE)
}

/// A process that does not read, and whose data is not acknowledged.
fn own_window_and_lost_acks(plan: Plan) -> Result<()> {
    let Pair { client, server, .. } = plan.small_pair()?;
    stuff_until_closed(plan, &server, &client)?;
    hasten(&client);
    deafen(&server)?;
    client.send(b"x")?;
    wait_diag(plan, &client, "ESTB", ">#|<")?;
    undeafen(&server)?;
    wait_diag(plan, &client, "ESTB", "|<")?;
    drain_until_open(plan, &server, &client)
}

/// There is no sign on a healthy connection, a listener, a client that waits for its SYN-ACK
/// (for over a second), or a half-closed connection.
fn nothing_is_wrong(plan: Plan) -> Result<()> {
    let healthy = plan.pair()?;
    let half = plan.pair()?;
    half.client.send(b"x")?;
    half.client.shutdown(Shutdown::Write)?;
    wait_state(&half.client, state::FIN_WAIT2)?;

    let listener = plan.listener(4)?;
    let waiting = plan.tcp()?;
    deafen(&waiting)?;
    connect_later(&waiting, local(&listener)?)?;

    wait_for("connections that are idle for over a second", 15, || {
        for socket in [
            &healthy.listener,
            &healthy.client,
            &healthy.server,
            &half.client,
            &half.server,
            &listener,
            &waiting,
        ] {
            let row = row(plan.file(true), socket)?;
            ensure!(row.diag.is_empty(), "{row:?}");
        }
        let idle = tcp_info(&healthy.client)?.last_ack_recv;
        Ok(if idle > 1500 {
            Ok(())
        } else {
            Err(format!("idle for {idle} ms"))
        })
    })
}

/// The windows of a connection under TCP_REPAIR, which getsockopt(TCP_REPAIR_WINDOW) returns: the
/// peer's and our own.
fn windows(socket: &Socket) -> Result<(u32, u32)> {
    // `struct tcp_repair_window`: snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup.
    let window: [u32; 5] = get(socket, libc::IPPROTO_TCP, TCP_REPAIR_WINDOW, [0; 5])?;
    Ok((window[1], window[3]))
}

/// Another connection under TCP_REPAIR than [`restored_under_repair`]: it had a window when the
/// process went under TCP_REPAIR, and a connection beside it is not under TCP_REPAIR.
fn dumped_under_repair(plan: Plan) -> Result<()> {
    let dumped = plan.small_pair()?;
    let other = plan.small_pair()?;
    for pair in [&dumped, &other] {
        stuff_until_closed(plan, &pair.client, &pair.server)?;
        wait_diag(plan, &pair.client, "ESTB", ">|")?;
    }
    for socket in [&dumped.client, &dumped.server] {
        set_int(socket, libc::IPPROTO_TCP, TCP_REPAIR, 1)?;
    }
    ensure!(windows(&dumped.client)?.0 == 0, "the window is open");
    ensure!(windows(&dumped.server)?.1 == 0, "the window is open");
    for (socket, diag) in [
        (&dumped.client, ""),
        // The window that this host offers is real under TCP_REPAIR, too.
        (&dumped.server, "|<"),
        (&other.client, ">|"),
        (&other.server, "|<"),
    ] {
        let row = row(plan.file(true), socket)?;
        ensure!(row.diag == diag, "{row:?} instead of {diag:?}");
    }
    for socket in [&dumped.client, &dumped.server] {
        set_int(socket, libc::IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)?;
    }
    wait_diag(plan, &dumped.client, "ESTB", ">|")?;
    drain_until_open(plan, &dumped.client, &dumped.server)
}

/// A connection that connect(2) makes under TCP_REPAIR: it has no peer, and never had a window.
fn restored_under_repair(plan: Plan) -> Result<()> {
    let restored = plan.tcp()?;
    set_int(&restored, libc::IPPROTO_TCP, TCP_REPAIR, 1)?;
    restored.bind(&SockAddr::from(plan.addr(0)))?;
    restored.connect(&SockAddr::from(plan.addr(9)))?;
    let (theirs, ours) = windows(&restored)?;
    ensure!(theirs == 0 && ours > 0, "windows of {theirs} and {ours}");
    let no_sign = |sendq| -> Result<()> {
        let row = row(plan.file(true), &restored)?;
        ensure!(row.state == "ESTB" && row.sendq == sendq, "{row:?}");
        ensure!(row.diag.is_empty(), "{row:?}");
        Ok(())
    };
    no_sign(0)?;

    // Nothing sends the data that is put into its queue, and nothing acknowledges it.
    set_int(
        &restored,
        libc::IPPROTO_TCP,
        TCP_REPAIR_QUEUE,
        TCP_SEND_QUEUE,
    )?;
    restored.send(b"x")?;
    wait_for("data without an ACK for over a second", 15, || {
        no_sign(1)?;
        let info = get(
            &restored,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            TcpInfo::default(),
        )?;
        Ok(if info.unacked > 0 && info.last_ack_recv > 1500 {
            Ok(())
        } else {
            Err(format!("{info:?}"))
        })
    })?;
    no_sign(1)
}

/// The link itself loses the ACKs: by a firewall rule, or by a queueing discipline that drops all.
fn link_that_drops_acks() -> Result<()> {
    let plan = Plan::V4;
    let Pair { client, server, .. } = plan.pair()?;
    hasten(&client);
    let port = local(&server)?.port();
    let run = |program: &str, arguments: &str| -> Result<bool> {
        let output = Command::new(program)
            .args(arguments.split_ascii_whitespace())
            .output()
            .with_context(|| format!("running {program}"))?;
        Ok(output.status.success())
    };
    let rules = format!(
        "add table ip t ; add chain ip t i {{ type filter hook input priority 0 ; }} ; \
         add rule ip t i tcp sport {port} drop"
    );
    let undo = if run("nft", &rules).unwrap_or(false) {
        ("nft", "delete table ip t")
    } else if run("tc", "qdisc replace dev lo root netem loss 100%").unwrap_or(false) {
        ("tc", "qdisc del dev lo root")
    } else {
        bail!("this guest has neither nftables nor netem");
    };
    client.send(b"x")?;
    wait_diag(plan, &client, "ESTB", ">#")?;
    ensure!(row(plan.file(true), &client)?.sendq == 1, "Send-Q is not 1");
    ensure!(run(undo.0, undo.1)?, "{undo:?} failed");
    wait_diag(plan, &client, "ESTB", "")?;
    ensure!(row(plan.file(true), &client)?.sendq == 0, "Send-Q is not 0");
    Ok(())
}
