// SPDX-License-Identifier: GPL-2.0

//! Traffic on sockets with each option set. The options that differ afterwards are those that
//! `man/options.txt` marks with `@ changed by the kernel` or, if only their ECN bits differ on TCP
//! sockets, `@ traffic class`, and no others.

use super::answers::set_bytes;
use super::opt::{Early, Opt, Role, PLANS};
use super::subject::{Subject, BACKLOG};
use super::table::{marked, table};
use super::values::{int, Try};
use crate::guest::guest;
use crate::harness::Case;
use crate::netns::in_fresh;
use crate::rows::{File, Row};
use crate::sockets::{connect_later, deafen, drain, ino, local, undeafen, Plan};
use anyhow::{ensure, Context, Result};
use libc::{c_int, IPPROTO_TCP, MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, MSG_OOB, MSG_PEEK, SOL_UDP};
use socket2::{SockAddr, Socket};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::thread::sleep;
use std::time::Duration;
use std::{fs, io};

/// The number of options whose sockets have traffic at the same time. Each has some fifty sockets.
const AT_ONCE: usize = 10;

/// A time in which the kernel delays an ACK, retransmits a segment and probes a window.
const IDLE: Duration = Duration::from_millis(500);

pub fn cases() -> Vec<Case> {
    vec![Case::heavy("options::changed_by_the_kernel", || {
        in_fresh(changed_by_the_kernel)
    })]
}

/// The bits of ECN in a byte of traffic class.
const ECN: u32 = 3;

/// Observations of all options.
#[derive(Default)]
struct Seen {
    /// The options that were in a row before the traffic, after the test had set them.
    shown: BTreeSet<&'static str>,
    refused: BTreeSet<&'static str>,
    /// The options that differed after some traffic, with an example.
    changed: BTreeMap<String, String>,
    /// The number of comparisons, and of those that found no row.
    with_row: usize,
    without_row: usize,
    /// The options of which only the ECN bits differed.
    changed_in_ecn: BTreeMap<String, String>,
}

fn changed_by_the_kernel() -> Result<()> {
    // The kernel sets bits of IP_TOS on connections that use ECN.
    fs::write("/proc/sys/net/ipv4/tcp_ecn", "1")?;
    let mut seen = Seen::default();
    let opts: Vec<_> = table()
        .iter()
        .filter(|opt| opt.own_test.is_none())
        .collect();
    for some in opts.chunks(AT_ONCE) {
        seen.some_options(some)?;
    }
    let names = opts.iter().map(|opt| opt.name);
    let lacking: BTreeSet<_> = names.filter(|name| !seen.shown.contains(name)).collect();
    let silent: Vec<_> = lacking.difference(&seen.refused).collect();
    println!("refused on all sockets: {lacking:?}");
    ensure!(
        silent.is_empty(),
        "were accepted, and never shown: {silent:?}"
    );
    let most = guest().scale(10, 20, 30);
    ensure!(lacking.len() <= most, "this kernel lacks {lacking:?}");

    println!(
        "{} comparisons, {} without a row",
        seen.with_row, seen.without_row
    );
    ensure!(
        seen.without_row * 20 < seen.with_row,
        "too many connections have failed: {} of {}",
        seen.without_row,
        seen.with_row
    );
    let ecn = marked(|facts| facts.is_traffic_class)?;
    compare_with_marks(
        "",
        &seen.changed,
        &marked(|facts| facts.is_changed_by_kernel)?,
    )?;
    compare_with_marks("the ECN bits of ", &seen.changed_in_ecn, &ecn)
}

fn compare_with_marks(
    what: &str,
    changed: &BTreeMap<String, String>,
    marked: &BTreeSet<String>,
) -> Result<()> {
    for (name, example) in changed {
        println!("the kernel changes {what}{name}: {example}");
    }
    let unmarked = changed.iter().filter(|(name, _)| !marked.contains(*name));
    let unmarked: Vec<_> = unmarked
        .map(|(name, example)| format!("{name}: {example}"))
        .collect();
    ensure!(
        unmarked.is_empty(),
        "man/options.txt does not say that the kernel changes {what}\n{}",
        unmarked.join("\n")
    );
    let still: Vec<_> = marked
        .iter()
        .filter(|name| !changed.contains_key(*name))
        .collect();
    ensure!(
        still.is_empty(),
        "man/options.txt says that the kernel changes {what}{still:?}, but it did not"
    );
    Ok(())
}

/// A socket with an option that the test has set, and its row before the traffic.
struct Actor {
    subject: Subject,
    name: &'static str,
    /// The text of the value, for messages.
    value: String,
    before: Row,
    /// Other ends of the traffic.
    others: Vec<Socket>,
}

impl Seen {
    /// Sets these options, each on sockets of its own, drives traffic, and compares the rows.
    fn some_options(&mut self, opts: &[&'static Opt]) -> Result<()> {
        let mut subjects = Vec::new();
        for opt in opts {
            for plan in PLANS {
                for role in Role::ALL.into_iter().filter(|role| opt.is_on(plan, *role)) {
                    let (first, last) = (opt.tries.first(), opt.tries.last());
                    let is_other =
                        |last: &&Try| first.is_some_and(|first| first.bytes != last.bytes);
                    for value in first.into_iter().chain(last.filter(is_other)) {
                        match with_option(opt, plan, role, value)? {
                            Some(subject) => {
                                subjects.push((subject, opt.name, value.bytes.clone()));
                            }
                            None => _ = self.refused.insert(opt.name),
                        }
                    }
                }
            }
        }
        let rows = Rows::read()?;
        let mut actors = Vec::new();
        for (subject, name, bytes) in subjects {
            let before = rows.of(&subject)?;
            if before.option(name).is_some() {
                self.shown.insert(name);
            }
            let value = format!("{:02x?}", &bytes[..bytes.len().min(16)]);
            actors.push(Actor {
                subject,
                name,
                value,
                before,
                others: Vec::new(),
            });
        }

        actors.iter().for_each(Actor::ask);
        self.compare(&actors, "a request")?;
        actors.iter_mut().try_for_each(Actor::talk)?;
        sleep(IDLE);
        self.compare(&actors, "traffic")?;
        actors.iter_mut().try_for_each(Actor::lose)?;
        sleep(IDLE);
        actors.iter_mut().try_for_each(Actor::recover)?;
        sleep(IDLE);
        self.compare(&actors, "loss")?;
        actors.iter_mut().try_for_each(Actor::read_all)?;
        actors.iter_mut().try_for_each(Actor::cork)?;
        self.compare(&actors, "silence")?;
        actors.iter_mut().try_for_each(Actor::shut_down)?;
        sleep(IDLE / 5);
        self.compare(&actors, "shutdown")
    }

    /// Compares all entries of the rows with those before the traffic.
    fn compare(&mut self, actors: &[Actor], after: &str) -> Result<()> {
        let rows = Rows::read()?;
        for actor in actors {
            // A connection that has failed has no row.
            let Ok(now) = rows.of(&actor.subject) else {
                self.without_row += 1;
                continue;
            };
            self.with_row += 1;
            let entries = |row: &Row| -> BTreeMap<String, String> {
                row.options
                    .clone()
                    .unwrap_or_default()
                    .into_iter()
                    .collect()
            };
            let (before, now) = (entries(&actor.before), entries(&now));
            for name in before.keys().chain(now.keys()) {
                let (old, new) = (before.get(name), now.get(name));
                // A count of datagrams is no option.
                if old != new && name != "drops" {
                    let (kind, set) = (actor.subject.kind(), actor.name);
                    let example = format!(
                        "{old:?} -> {new:?} after {after} on {kind} with {set} {}",
                        actor.value
                    );
                    let is_ecn = actor.subject.role.is_tcp() && differ_in_ecn(old, new);
                    let changed = match is_ecn {
                        true => &mut self.changed_in_ecn,
                        false => &mut self.changed,
                    };
                    changed.entry(name.clone()).or_insert(example);
                }
            }
        }
        Ok(())
    }
}

/// Whether both values are hexadecimal, and only their ECN bits differ.
fn differ_in_ecn(old: Option<&String>, new: Option<&String>) -> bool {
    let class = |text: Option<&String>| u32::from_str_radix(text?.strip_prefix("0x")?, 16).ok();
    matches!((class(old), class(new)), (Some(old), Some(new)) if old & !ECN == new & !ECN)
}

/// A socket on which this option was set. `None` if the kernel refuses the option.
fn with_option(opt: &'static Opt, plan: Plan, role: Role, value: &Try) -> Result<Option<Subject>> {
    if opt.early == Early::Too {
        let mut is_refused = false;
        let subject = Subject::with(plan, role, |socket| {
            let result = set_bytes(socket, opt.level, opt.option, &value.bytes);
            is_refused = result.is_err();
            result
        });
        return match is_refused {
            true => Ok(None),
            false => subject.map(Some),
        };
    }
    let mut subject = Subject::with(plan, role, |socket| match opt.early {
        Early::Reuseport => socket.set_reuse_port(true),
        _ => Ok(()),
    })?;
    Ok(subject.give(opt, value).is_ok().then_some(subject))
}

/// The rows of all files, by inode.
struct Rows(BTreeMap<u64, Row>);

impl Rows {
    fn read() -> Result<Self> {
        let mut rows = BTreeMap::new();
        for file in File::ALL {
            rows.extend(file.read()?.into_iter().map(|row| (row.ino(), row)));
        }
        Ok(Self(rows))
    }

    fn of(&self, subject: &Subject) -> Result<Row> {
        let row = self.0.get(&ino(&subject.socket)?);
        row.cloned()
            .with_context(|| format!("{} has no row", subject.kind()))
    }
}

/// Sends without waiting. What an option or a full buffer refuses is not sent.
fn send(socket: &Socket, bytes: &[u8], flags: c_int) -> bool {
    let flags = flags | MSG_DONTWAIT | MSG_NOSIGNAL;
    socket.send_with_flags(bytes, flags).is_ok()
}

/// Receives or peeks without waiting.
fn receive(socket: &Socket, len: usize, flags: c_int) {
    let mut buffer = vec![MaybeUninit::uninit(); len];
    let _ = socket.recv_with_flags(&mut buffer, flags | MSG_DONTWAIT);
}

/// Sends until nothing fits any more, or 1 MiB.
fn fill(socket: &Socket) {
    let block = [b'x'; 16 << 10];
    for _ in 0..64 {
        if !send(socket, &block, 0) {
            break;
        }
    }
}

fn read_all(socket: &Socket) {
    // A connection that was reset ends with an error.
    let _ = drain(socket);
}

impl Actor {
    /// The peers of a connection: the other end of the socket's own connection, or both ends of a
    /// listener's.
    fn peer(&self) -> Option<&Socket> {
        match self.subject.role {
            Role::Client | Role::Accepted => self.subject.others.first(),
            _ => None,
        }
    }

    /// Requests and responses, and a request without a response. The last segment that the socket
    /// has sent thus contains data: the kernel has set the ECN bits for it.
    fn ask(&self) {
        let Some(peer) = self.peer() else {
            return;
        };
        let socket = &self.subject.socket;
        for _ in 0..4 {
            send(socket, b"request", 0);
            receive(peer, 100, 0);
            send(peer, b"response", 0);
            receive(socket, 100, 0);
        }
        send(socket, b"request", 0);
        // An ACK at once: a segment that is sent again has no ECN bits.
        receive(peer, 100, 0);
        let _ = set_bytes(peer, IPPROTO_TCP, libc::TCP_QUICKACK, &int(1).bytes);
    }

    /// Requests and responses, peeks, urgent data, and more data than the buffers hold.
    fn talk(&mut self) -> Result<()> {
        let plan = self.subject.plan;
        let socket = &self.subject.socket;
        match self.subject.role {
            Role::Listener => {
                let client = plan.tcp()?;
                connect_later(&client, local(socket)?)?;
                sleep(Duration::from_millis(2));
                socket.set_nonblocking(true)?;
                let accepted = socket.accept();
                socket.set_nonblocking(false)?;
                // Some options keep connections from being established.
                if let Ok((server, _)) = accepted {
                    for _ in 0..4 {
                        send(&client, b"request", 0);
                        receive(&server, 100, 0);
                        send(&server, b"response", 0);
                        receive(&client, 100, 0);
                    }
                    self.others.push(server);
                }
                self.others.push(client);
            }
            Role::Client | Role::Accepted => {
                let peer = self.peer().context("a connection has a peer")?;
                for _ in 0..8 {
                    send(socket, b"request", 0);
                    receive(peer, 100, 0);
                    send(peer, b"response", 0);
                    receive(socket, 3, MSG_PEEK);
                    receive(socket, 100, 0);
                }
                send(socket, b"!", MSG_OOB);
                send(peer, b"!", MSG_OOB);
                fill(peer);
                for _ in 0..2 {
                    receive(socket, 10, MSG_PEEK);
                }
                receive(socket, 1000, 0);
                receive(socket, 10, MSG_PEEK);
                fill(socket);
            }
            Role::UdpBound | Role::UdpConnected => {
                let other = match self.subject.others.pop() {
                    Some(other) => other,
                    None => plan.udp()?,
                };
                let (here, there) = (
                    SockAddr::from(local(socket)?),
                    SockAddr::from(local(&other)?),
                );
                for _ in 0..4 {
                    let _ = other.send_to_with_flags(b"datagram", &here, MSG_DONTWAIT);
                    let _ = socket.send_to_with_flags(b"datagram", &there, MSG_DONTWAIT);
                    receive(&other, 100, 0);
                }
                for _ in 0..2 {
                    receive(socket, 3, MSG_PEEK);
                }
                receive(socket, 3, 0);
                receive(socket, 3, MSG_PEEK);
                self.others.push(other);
            }
        }
        Ok(())
    }

    /// Data that the peer does not receive, so that the kernel retransmits it.
    fn lose(&mut self) -> Result<()> {
        let socket = &self.subject.socket;
        if let Some(peer) = self.peer() {
            read_all(peer);
            read_all(socket);
            deafen(peer)?;
            send(socket, b"lost", 0);
            send(peer, b"not acknowledged", 0);
        } else if !self.subject.role.is_tcp() {
            // A datagram to a port that no socket has: the kernel reports an error.
            let closed = local(&self.subject.plan.udp()?)?;
            let _ = socket.send_to_with_flags(b"datagram", &closed.into(), MSG_DONTWAIT);
            receive(socket, 100, 0);
        }
        Ok(())
    }

    /// The peer receives again.
    fn recover(&mut self) -> Result<()> {
        match self.peer() {
            Some(peer) => Ok(undeafen(peer)?),
            None => Ok(()),
        }
    }

    fn read_all(&mut self) -> Result<()> {
        self.peer().into_iter().for_each(read_all);
        if self.subject.role != Role::Listener {
            read_all(&self.subject.socket);
        }
        Ok(())
    }

    /// Data that waits for more, by a flag and by the options that exist for it.
    fn cork(&mut self) -> Result<()> {
        let socket = &self.subject.socket;
        let (level, option) = match self.subject.role {
            Role::Listener => return Ok(()),
            Role::Client | Role::Accepted => (IPPROTO_TCP, libc::TCP_CORK),
            Role::UdpBound | Role::UdpConnected => (SOL_UDP, libc::UDP_CORK),
        };
        send(socket, b"waits", MSG_MORE);
        send(socket, b"goes", 0);
        if !matches!(self.name, "TCP_CORK" | "UDP_CORK") {
            let cork = |on| set_bytes(socket, level, option, &int(on).bytes);
            // The option may be refused, for example during TCP_REPAIR.
            if cork(1).is_ok() {
                send(socket, b"waits", 0);
                cork(0)?;
            }
        }
        self.read_all()
    }

    /// Both ends stop sending, one after the other; a listener listens again.
    fn shut_down(&mut self) -> Result<()> {
        let socket = &self.subject.socket;
        let ignored = |result: io::Result<()>| drop(result);
        match self.subject.role {
            Role::Listener => socket.listen(BACKLOG)?,
            // It waits for the peer, in FNW2.
            Role::Client => ignored(socket.shutdown(Shutdown::Write)),
            // The peer waits, and this socket is in CLSW.
            Role::Accepted => {
                if let Some(peer) = self.peer() {
                    ignored(peer.shutdown(Shutdown::Write));
                }
            }
            Role::UdpBound | Role::UdpConnected => {
                ignored(socket.shutdown(Shutdown::Read));
            }
        }
        Ok(())
    }
}
