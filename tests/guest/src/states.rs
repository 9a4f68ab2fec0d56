// SPDX-License-Identifier: GPL-2.0

//! Sockets in every state.

use crate::guest::wait_for;
use crate::reference::wait_reference;
use crate::rows::address;
use crate::sockets::{
    connect_later, deafen, deafen_to_acks, ino, local, set_int, state, undeafen, wait_state,
    IntoPair, Pair, Plan,
};
use anyhow::Result;
use socket2::{SockAddr, Socket};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

/// The kind of kernel object that a row shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A socket with this inode.
    Open(u64),
    /// A full socket that no process has any longer.
    Orphan,
    /// A TIME_WAIT minisock or a request: a row without options.
    Mini,
}

/// A row that must be there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    pub local: String,
    pub foreign: String,
    pub state: &'static str,
    pub kind: Kind,
}

/// Sockets that are kept open, and the rows that they must have.
#[derive(Default)]
pub struct Scene {
    pub held: Vec<Socket>,
    pub expected: Vec<Expected>,
    /// Addresses of TCP sockets that no file lists.
    pub hidden: Vec<String>,
}

impl Scene {
    fn expect(&mut self, local: SocketAddr, foreign: SocketAddr, state: &'static str, kind: Kind) {
        self.expected.push(Expected {
            local: address(&local),
            foreign: address(&foreign),
            state,
            kind,
        });
    }

    /// Expects a socket from `local` to `foreign`, and keeps it open.
    fn hold(
        &mut self,
        socket: Socket,
        local: SocketAddr,
        foreign: SocketAddr,
        state: &'static str,
    ) -> Result<()> {
        let kind = Kind::Open(ino(&socket)?);
        self.expect(local, foreign, state, kind);
        self.held.push(socket);
        Ok(())
    }
}

/// A connection, with the addresses of its ends, which are known also after they are closed.
struct Ends {
    listener: Socket,
    client: Socket,
    server: Socket,
    client_addr: SocketAddr,
    server_addr: SocketAddr,
}

impl Ends {
    fn new(plan: Plan) -> Result<Self> {
        Self::from(plan.pair()?)
    }

    fn from(pair: Pair) -> Result<Self> {
        Ok(Self {
            client_addr: local(&pair.client)?,
            server_addr: local(&pair.server)?,
            listener: pair.listener,
            client: pair.client,
            server: pair.server,
        })
    }

    fn hold_listener(
        listener: Socket,
        addr: SocketAddr,
        plan: Plan,
        scene: &mut Scene,
    ) -> Result<()> {
        scene.hold(listener, addr, plan.wildcard(0), "LSTN")
    }

    fn hold_all(
        self,
        plan: Plan,
        scene: &mut Scene,
        client: &'static str,
        server: &'static str,
    ) -> Result<()> {
        scene.hold(self.client, self.client_addr, self.server_addr, client)?;
        scene.hold(self.server, self.server_addr, self.client_addr, server)?;
        Self::hold_listener(self.listener, self.server_addr, plan, scene)
    }
}

type Builder = fn(Plan, &mut Scene) -> Result<()>;

/// The function that makes each state.
const BUILDERS: [Builder; 16] = [
    listen,
    established,
    established_and_deaf,
    syn_sent,
    syn_recv_request,
    syn_recv_socket,
    fin_wait1,
    fin_wait1_orphan,
    fin_wait2,
    fin_wait2_orphan,
    fin_wait2_minisock,
    close_wait_and_last_ack,
    last_ack_orphan,
    closing,
    time_wait,
    close,
];

/// The states whose rows stay the same for a minute. The others retransmit, and the answers may
/// change Diag.
const QUIET: [Builder; 7] = [
    listen,
    established,
    syn_recv_request,
    fin_wait2,
    fin_wait2_orphan,
    fin_wait2_minisock,
    time_wait,
];

/// Makes TCP sockets in every state there is.
pub fn every_tcp_state(plan: Plan) -> Result<Scene> {
    build(plan, &BUILDERS)
}

/// Makes TCP sockets in the states in which nothing happens by itself.
pub fn quiet_tcp_states(plan: Plan) -> Result<Scene> {
    build(plan, &QUIET)
}

fn build(plan: Plan, builders: &[Builder]) -> Result<Scene> {
    let mut scene = Scene::default();
    for builder in builders {
        builder(plan, &mut scene)?;
    }
    Ok(scene)
}

fn listen(plan: Plan, scene: &mut Scene) -> Result<()> {
    let listener = plan.listener(16)?;
    let addr = local(&listener)?;
    Ends::hold_listener(listener, addr, plan, scene)?;

    let wildcard = plan.tcp()?;
    wildcard.bind(&plan.wildcard(0).into())?;
    wildcard.listen(1)?;
    let addr = local(&wildcard)?;
    Ends::hold_listener(wildcard, addr, plan, scene)?;

    // Connections that wait to be accepted: they have no inode yet, and the listener counts them.
    let busy = plan.listener(16)?;
    let busy_addr = local(&busy)?;
    for _ in 0..3 {
        let client = plan.tcp()?;
        client.connect(&SockAddr::from(busy_addr))?;
        let addr = local(&client)?;
        scene.hold(client, addr, busy_addr, "ESTB")?;
        scene.expect(busy_addr, addr, "ESTB", Kind::Orphan);
    }
    Ends::hold_listener(busy, busy_addr, plan, scene)
}

fn established(plan: Plan, scene: &mut Scene) -> Result<()> {
    Ends::new(plan)?.hold_all(plan, scene, "ESTB", "ESTB")?;

    // Data in the receive queue.
    let ends = Ends::new(plan)?;
    ends.client.send(&[b'x'; 1000])?;
    wait_for("data", 10, || {
        let mut buf = [std::mem::MaybeUninit::uninit(); 2000];
        let n = ends.server.peek(&mut buf)?;
        Ok(if n == 1000 {
            Ok(())
        } else {
            Err(format!("{n} bytes"))
        })
    })?;
    ends.hold_all(plan, scene, "ESTB", "ESTB")
}

/// Data in both queues: Diag changes when no ACK has come for a second.
fn established_and_deaf(plan: Plan, scene: &mut Scene) -> Result<()> {
    let ends = Ends::new(plan)?;
    deafen(&ends.client)?;
    ends.client.send(&[b'x'; 77])?;
    ends.hold_all(plan, scene, "ESTB", "ESTB")
}

/// A client that does not get the SYN-ACK, and the listener's request.
fn syn_sent(plan: Plan, scene: &mut Scene) -> Result<()> {
    let listener = plan.listener(16)?;
    let addr = local(&listener)?;
    let client = plan.tcp()?;
    deafen(&client)?;
    connect_later(&client, addr)?;
    wait_state(&client, state::SYN_SENT)?;
    let client_addr = local(&client)?;
    wait_reference(plan.file(true), addr, client_addr, "SYNR")?;
    scene.hold(client, client_addr, addr, "SYNS")?;
    scene.expect(addr, client_addr, "SYNR", Kind::Mini);
    Ends::hold_listener(listener, addr, plan, scene)
}

/// A listener that waits for data, and a client that sends none.
fn syn_recv_request(plan: Plan, scene: &mut Scene) -> Result<()> {
    let listener = plan.listener(16)?;
    let addr = local(&listener)?;
    // The SYN-ACK is sent again, and its ACK taken, when most of the time is over.
    set_int(&listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 200)?;
    let client = plan.tcp()?;
    client.connect(&SockAddr::from(addr))?;
    let client_addr = local(&client)?;
    wait_reference(plan.file(true), addr, client_addr, "SYNR")?;
    scene.hold(client, client_addr, addr, "ESTB")?;
    scene.expect(addr, client_addr, "SYNR", Kind::Mini);
    Ends::hold_listener(listener, addr, plan, scene)
}

/// A socket that connects to itself (a simultaneous open), and gets its SYN but no SYN-ACK. It is a
/// full socket in SYN_RECV.
fn syn_recv_socket(plan: Plan, scene: &mut Scene) -> Result<()> {
    let socket = plan.tcp()?;
    socket.bind(&plan.addr(0).into())?;
    let addr = local(&socket)?;
    deafen_to_acks(&socket)?;
    connect_later(&socket, addr)?;
    wait_state(&socket, state::SYN_RECV)?;
    scene.hold(socket, addr, addr, "SYNR")
}

fn fin_wait1(plan: Plan, scene: &mut Scene) -> Result<()> {
    let ends = Ends::new(plan)?;
    deafen(&ends.server)?;
    ends.client.shutdown(Shutdown::Write)?;
    wait_state(&ends.client, state::FIN_WAIT1)?;
    ends.hold_all(plan, scene, "FNW1", "ESTB")
}

fn fin_wait1_orphan(plan: Plan, scene: &mut Scene) -> Result<()> {
    let ends = Ends::new(plan)?;
    deafen(&ends.server)?;
    drop(ends.client);
    wait_reference(plan.file(true), ends.client_addr, ends.server_addr, "FNW1")?;
    scene.expect(ends.client_addr, ends.server_addr, "FNW1", Kind::Orphan);
    scene.hold(ends.server, ends.server_addr, ends.client_addr, "ESTB")?;
    Ends::hold_listener(ends.listener, ends.server_addr, plan, scene)
}

fn fin_wait2(plan: Plan, scene: &mut Scene) -> Result<()> {
    let ends = Ends::new(plan)?;
    ends.client.shutdown(Shutdown::Write)?;
    wait_state(&ends.client, state::FIN_WAIT2)?;
    ends.hold_all(plan, scene, "FNW2", "CLSW")
}

/// A socket that is closed in FIN_WAIT2 stays a full one while its timeout exceeds that of TIME_WAIT, 60 s. The
/// timeout is at most 120 s, so this lasts a minute.
fn fin_wait2_orphan(plan: Plan, scene: &mut Scene) -> Result<()> {
    let ends = Ends::new(plan)?;
    set_int(&ends.client, libc::IPPROTO_TCP, libc::TCP_LINGER2, 120)?;
    closed_in_fin_wait2(ends, Kind::Orphan, plan, scene)
}

fn fin_wait2_minisock(plan: Plan, scene: &mut Scene) -> Result<()> {
    closed_in_fin_wait2(Ends::new(plan)?, Kind::Mini, plan, scene)
}

/// The FIN is lost at first and acknowledged later. An ACK that arrives while close(2) still owns
/// the socket leaves it a full one; see TCP_FIN_WAIT1 in `tcp_rcv_state_process()`.
fn closed_in_fin_wait2(ends: Ends, kind: Kind, plan: Plan, scene: &mut Scene) -> Result<()> {
    deafen(&ends.server)?;
    drop(ends.client);
    wait_reference(plan.file(true), ends.client_addr, ends.server_addr, "FNW1")?;
    undeafen(&ends.server)?;
    wait_reference(plan.file(true), ends.client_addr, ends.server_addr, "FNW2")?;
    wait_state(&ends.server, state::CLOSE_WAIT)?;
    scene.expect(ends.client_addr, ends.server_addr, "FNW2", kind);
    scene.hold(ends.server, ends.server_addr, ends.client_addr, "CLSW")?;
    Ends::hold_listener(ends.listener, ends.server_addr, plan, scene)
}

fn close_wait_and_last_ack(plan: Plan, scene: &mut Scene) -> Result<()> {
    let ends = Ends::new(plan)?;
    ends.client.shutdown(Shutdown::Write)?;
    wait_state(&ends.client, state::FIN_WAIT2)?;
    deafen(&ends.client)?;
    ends.server.shutdown(Shutdown::Write)?;
    wait_state(&ends.server, state::LAST_ACK)?;
    ends.hold_all(plan, scene, "FNW2", "LACK")
}

fn last_ack_orphan(plan: Plan, scene: &mut Scene) -> Result<()> {
    let ends = Ends::new(plan)?;
    ends.client.shutdown(Shutdown::Write)?;
    wait_state(&ends.client, state::FIN_WAIT2)?;
    deafen(&ends.client)?;
    drop(ends.server);
    wait_reference(plan.file(true), ends.server_addr, ends.client_addr, "LACK")?;
    scene.expect(ends.server_addr, ends.client_addr, "LACK", Kind::Orphan);
    scene.hold(ends.client, ends.client_addr, ends.server_addr, "FNW2")?;
    Ends::hold_listener(ends.listener, ends.server_addr, plan, scene)
}

/// Both ends send a FIN, and one gets nothing from the other.
fn closing(plan: Plan, scene: &mut Scene) -> Result<()> {
    let ends = Ends::new(plan)?;
    deafen(&ends.server)?;
    ends.client.shutdown(Shutdown::Write)?;
    wait_state(&ends.client, state::FIN_WAIT1)?;
    ends.server.shutdown(Shutdown::Write)?;
    wait_state(&ends.client, state::CLOSING)?;
    wait_state(&ends.server, state::FIN_WAIT1)?;
    ends.hold_all(plan, scene, "CLSG", "FNW1")
}

fn time_wait(plan: Plan, scene: &mut Scene) -> Result<()> {
    let ends = Ends::new(plan)?;
    ends.client.shutdown(Shutdown::Write)?;
    wait_state(&ends.client, state::FIN_WAIT2)?;
    drop(ends.server);
    wait_reference(plan.file(true), ends.client_addr, ends.server_addr, "TIMW")?;
    scene.expect(ends.client_addr, ends.server_addr, "TIMW", Kind::Mini);
    // The process still holds the socket, but it is closed and in no table.
    scene.held.push(ends.client);
    Ends::hold_listener(ends.listener, ends.server_addr, plan, scene)
}

/// TCP sockets in CLOSE are in no table: one that is only bound, one that was never bound, and one
/// that was reset.
fn close(plan: Plan, scene: &mut Scene) -> Result<()> {
    let bound = plan.tcp()?;
    bound.bind(&plan.addr(0).into())?;
    scene.hidden.push(address(&local(&bound)?));
    scene.held.push(bound);
    scene.held.push(plan.tcp()?);

    let listener = plan.listener(16)?;
    let addr = local(&listener)?;
    // A port that connect(2) chooses can be that of a connection to elsewhere, too.
    let client = plan.tcp()?;
    client.bind(&plan.addr(0).into())?;
    let Pair {
        listener,
        client,
        server,
    } = listener.into_pair(client)?;
    scene.hidden.push(address(&local(&client)?));
    server.set_linger(Some(Duration::ZERO))?;
    drop(server);
    wait_state(&client, state::CLOSE)?;
    scene.held.push(client);
    Ends::hold_listener(listener, addr, plan, scene)
}
