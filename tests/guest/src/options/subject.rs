// SPDX-License-Identifier: GPL-2.0

//! A socket, the options that were set on it, and the row that it must have.

use super::answers::set_bytes;
use super::opt::{Answer, Opt, Role, When};
use super::table::{table, TCP_AO_ADD_KEY};
use super::values::{ao_add, md5sig, Try};
use crate::rows::{File, Row};
use crate::sockets::{local, row, stat, Plan};
use anyhow::{bail, Result};
use libc::{c_int, TCP_MD5SIG};
use socket2::{SockAddr, Socket};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// The state of an option that the test has set.
#[derive(Clone, Default, Debug)]
struct Memory {
    is_set: bool,
    given: Vec<String>,
}

/// The answers of getsockopt(2) for fresh sockets, by kind and by the option's place in the table.
#[derive(Default)]
pub struct Fresh(BTreeMap<(&'static str, Role), Vec<Option<String>>>);

impl Fresh {
    /// Asks sockets of all kinds in the network namespace of the calling thread.
    pub fn ask() -> Result<Self> {
        let mut fresh = BTreeMap::new();
        for plan in [Plan::V4, Plan::V6, Plan::Mapped] {
            for role in Role::ALL {
                let subject = Subject::new(plan, role)?;
                let answers = table()
                    .iter()
                    .map(|opt| {
                        let differs = matches!(opt.when, When::Differs | When::DiffersButEcn);
                        if differs && opt.is_on(plan, role) {
                            // An option that the kernel does not know is not set.
                            Ok(opt.text(&subject.socket, None).unwrap_or(None))
                        } else {
                            Ok(None)
                        }
                    })
                    .collect::<Result<Vec<_>>>()?;
                fresh.insert((plan.name(), role), answers);
            }
        }
        Ok(Self(fresh))
    }

    /// The answers for one kind. With a link-local address, bind(2) and connect(2) set
    /// SO_BINDTODEVICE, which is shown as if the process had set it.
    fn of(&self, plan: Plan, role: Role) -> Option<&[Option<String>]> {
        let plan = match plan {
            Plan::LinkLocal => Plan::V6,
            plan => plan,
        };
        self.0.get(&(plan.name(), role)).map(Vec::as_slice)
    }
}

/// A socket, and the options that the test has set on it.
pub struct Subject {
    pub file: File,
    pub plan: Plan,
    pub role: Role,
    pub socket: Socket,
    /// The backlog that the last listen(2) has set.
    pub backlog: c_int,
    memory: BTreeMap<&'static str, Memory>,
    /// Other sockets that keep this one in its state. For a client, the server is the first.
    pub others: Vec<Socket>,
}

pub const BACKLOG: c_int = 5;

impl Subject {
    pub fn new(plan: Plan, role: Role) -> Result<Self> {
        Self::with(plan, role, |_| Ok(()))
    }

    /// A socket on which `early` runs before bind(2) and connect(2). For an accepted socket, it
    /// runs on the listener.
    pub fn with(
        plan: Plan,
        role: Role,
        early: impl FnOnce(&Socket) -> io::Result<()>,
    ) -> Result<Self> {
        let bind = |socket: Socket, early: &mut dyn FnMut(&Socket) -> io::Result<()>| {
            early(&socket)?;
            socket.bind(&plan.addr(0).into())?;
            Ok::<_, anyhow::Error>(socket)
        };
        let mut early = Some(early);
        let mut early = |socket: &Socket| early.take().map_or(Ok(()), |early| early(socket));
        let udp =
            || Ok::<_, anyhow::Error>(Socket::new(plan.domain(), socket2::Type::DGRAM, None)?);
        let (socket, others) = match role {
            Role::Listener => {
                let socket = bind(plan.tcp()?, &mut early)?;
                socket.listen(BACKLOG)?;
                (socket, vec![])
            }
            Role::Client => {
                let client = plan.tcp()?;
                early(&client)?;
                let listener = plan.listener(BACKLOG)?;
                client.connect(&SockAddr::from(local(&listener)?))?;
                let (server, _) = listener.accept()?;
                (client, vec![server, listener])
            }
            Role::Accepted => {
                let listener = bind(plan.tcp()?, &mut early)?;
                listener.listen(BACKLOG)?;
                let client = plan.tcp()?;
                let addr = SockAddr::from(local(&listener)?);
                // With some options, packets do not arrive.
                client.connect_timeout(&addr, Duration::from_secs(1))?;
                let (server, _) = listener.accept()?;
                (server, vec![client, listener])
            }
            Role::UdpBound => (bind(udp()?, &mut early)?, vec![]),
            Role::UdpConnected => {
                let to = plan.udp()?;
                let socket = bind(udp()?, &mut early)?;
                socket.connect(&SockAddr::from(local(&to)?))?;
                (socket, vec![to])
            }
        };
        Ok(Self::of(plan, role, socket, others))
    }

    /// A socket that the caller has made.
    pub fn of(plan: Plan, role: Role, socket: Socket, others: Vec<Socket>) -> Self {
        Self {
            file: plan.file(role.is_tcp()),
            plan,
            role,
            socket,
            backlog: BACKLOG,
            memory: BTreeMap::new(),
            others,
        }
    }

    /// The name of its kind.
    pub fn kind(&self) -> String {
        format!("{} {:?}", self.plan.name(), self.role)
    }

    /// The bytes for a socket of this family. Keys contain an address.
    fn bytes<'t>(&self, option: c_int, bytes: &'t [u8]) -> std::borrow::Cow<'t, [u8]> {
        match (self.plan, option, bytes.len()) {
            (Plan::V4, ..) => bytes.into(),
            (plan, TCP_MD5SIG, 216) => md5sig(plan, false, bytes[130] != 0).into(),
            (plan, TCP_AO_ADD_KEY, 288) => ao_add(plan, false).into(),
            _ => bytes.into(),
        }
    }

    /// Sets an option, and remembers it.
    pub fn give(&mut self, opt: &Opt, value: &Try) -> io::Result<()> {
        let bytes = self.bytes(opt.option, &value.bytes);
        set_bytes(&self.socket, opt.level, opt.option, &bytes)?;
        self.remember(opt, value);
        Ok(())
    }

    /// Forgets an option, and those that are undone or replaced together with it.
    fn forget(&mut self, opt: &Opt) {
        self.memory.remove(opt.name);
        for (one, other) in [
            ("SO_ATTACH_FILTER", "SO_ATTACH_BPF"),
            ("SO_ATTACH_REUSEPORT_CBPF", "SO_ATTACH_REUSEPORT_EBPF"),
        ] {
            if opt.name == one || opt.name == other {
                self.memory.remove(one);
                self.memory.remove(other);
            }
        }
    }

    /// Remembers that an option was set.
    pub fn remember(&mut self, opt: &Opt, value: &Try) {
        if opt.answer != Answer::Groups {
            self.forget(opt);
        }
        let memory = self.memory.entry(opt.name).or_default();
        memory.is_set = value.sets;
        memory.given.insert(0, value.text.clone());
    }

    /// Remembers whether an option counts as set, by other means than its own setsockopt(2).
    pub fn assume(&mut self, name: &'static str, is_set: bool) {
        self.memory.entry(name).or_default().is_set = is_set;
    }

    /// Undoes [`Subject::give`].
    pub fn undo(&mut self, opt: &Opt) -> io::Result<()> {
        let Some((option, bytes)) = &opt.undo else {
            return Ok(());
        };
        if opt.answer == Answer::Groups {
            let memory = self.memory.remove(opt.name).unwrap_or_default();
            for value in opt
                .tries
                .iter()
                .filter(|value| memory.given.contains(&value.text))
            {
                set_bytes(&self.socket, opt.level, *option, &value.bytes)?;
            }
            return Ok(());
        }
        let bytes = self.bytes(*option, bytes);
        set_bytes(&self.socket, opt.level, *option, &bytes)?;
        self.forget(opt);
        // SO_BUF_LOCK undoes both.
        if matches!(opt.name, "SO_RCVBUF" | "SO_SNDBUF") {
            self.memory.remove("SO_RCVBUF");
            self.memory.remove("SO_SNDBUF");
        }
        Ok(())
    }

    /// The value that a row must show, from getsockopt(2).
    pub fn expected_value(&self, place: usize, fresh: &Fresh) -> Result<Option<String>> {
        let opt = &table()[place];
        if !opt.is_on(self.plan, self.role) {
            return Ok(None);
        }
        let memory = self.memory.get(opt.name);
        let given = memory.map(|memory| memory.given.as_slice());
        let fresh = || fresh.of(self.plan, self.role)?[place].clone();
        Ok(match opt.when {
            When::Always => opt.text(&self.socket, given)?,
            When::Set => match memory {
                Some(memory) if memory.is_set => opt.text(&self.socket, given)?,
                _ => None,
            },
            When::Differs => {
                // An option that this kernel does not have.
                let text = opt.text(&self.socket, given).unwrap_or(None);
                if text == fresh() {
                    None
                } else {
                    text
                }
            }
            When::DiffersButEcn => {
                let text = opt.text(&self.socket, given)?;
                let own = |text: &Option<String>| {
                    let text = text.as_deref().unwrap_or("0x0");
                    let value = u32::from_str_radix(&text[2..], 16).unwrap_or(0);
                    if self.role.is_tcp() {
                        value & !3
                    } else {
                        value
                    }
                };
                if own(&text) == own(&fresh()) {
                    None
                } else {
                    text
                }
            }
        })
    }

    /// The expected entries of the last column, in order.
    pub fn expected(&self, fresh: &Fresh) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        for (place, opt) in table().iter().enumerate() {
            if let Some(text) = self.expected_value(place, fresh)? {
                all.push((opt.name.to_owned(), text));
            }
        }
        if self.role == Role::Listener {
            all.push(("backlog".to_owned(), self.backlog.to_string()));
        }
        let stat = stat(&self.socket)?;
        all.push(("uid".to_owned(), stat.st_uid.to_string()));
        all.push(("ino".to_owned(), stat.st_ino.to_string()));
        Ok(all)
    }

    /// Compares a row with getsockopt(2). Returns the difference, if there is one.
    pub fn compare(&self, row: &Row, fresh: &Fresh) -> Result<Option<String>> {
        let expected = self.expected(fresh)?;
        let shown = row.options.clone().unwrap_or_default();
        if shown == expected {
            return Ok(None);
        }
        let only = |these: &[(String, String)], those: &[(String, String)]| {
            let only: Vec<_> = these
                .iter()
                .filter(|entry| !those.contains(entry))
                .map(|(n, v)| format!("{n}={v}"))
                .collect();
            only.join(",")
        };
        Ok(Some(format!(
            "{}: the row has [{}], getsockopt [{}]",
            self.kind(),
            only(&shown, &expected),
            only(&expected, &shown)
        )))
    }

    /// Reads the file, and compares.
    pub fn check(&self, fresh: &Fresh) -> Result<Option<String>> {
        self.compare(&row(self.file, &self.socket)?, fresh)
    }

    /// As [`Subject::check`], but a difference is an error.
    pub fn must_agree(&self, fresh: &Fresh) -> Result<()> {
        match self.check(fresh)? {
            Some(difference) => bail!("{difference}"),
            None => Ok(()),
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // close(2) is not to wait.
        let _ = self.socket.set_linger(None);
    }
}

/// The entries that rows always have.
pub fn names_always_shown(role: Role) -> Vec<&'static str> {
    let mut names: Vec<_> = table()
        .iter()
        .filter(|opt| opt.when == When::Always && opt.on & role.mask() != 0)
        .map(|opt| opt.name)
        .collect();
    if role == Role::Listener {
        names.push("backlog");
    }
    names.extend(["uid", "ino"]);
    names
}

/// The names of a row's entries.
pub fn names(row: &Row) -> Vec<&str> {
    let options = row.options.as_deref().unwrap_or_default();
    options.iter().map(|(name, _)| name.as_str()).collect()
}
