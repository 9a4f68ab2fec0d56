// SPDX-License-Identifier: GPL-2.0

//! The options: each is set with setsockopt(2), and the row must say what getsockopt(2) says.
//!
//! [`OPTIONS`] is the whole knowledge. A new option is a new entry.

use crate::harness::Case;
use crate::netns::in_fresh;
use crate::rows::File;
use crate::sockets::get;
use crate::sockets::local;
use crate::sockets::row;
use crate::sockets::set;
use crate::sockets::set_int;
use crate::sockets::stat;
use crate::sockets::IntoPair;
use crate::sockets::Pair;
use crate::sockets::Plan;
use anyhow::bail;
use anyhow::ensure;
use anyhow::Context;
use anyhow::Result;
use libc::c_int;
use libc::linger;
use libc::timeval;
use libc::IPPROTO_TCP;
use libc::SOL_SOCKET;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::Rng;
use rand::SeedableRng;
use socket2::SockAddr;
use socket2::Socket;
use std::collections::BTreeMap;
use std::fs;

/// What a process gives to setsockopt(2).
#[derive(Clone, Copy, Debug)]
enum Given {
    Int(c_int),
    /// Seconds and microseconds.
    Time(i64, i64),
    /// On or off, and seconds.
    Linger(c_int, c_int),
}

/// How the text of a row follows from getsockopt(2)'s answer.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// The `int` itself.
    Int,
    /// Half of the `int`: what the process gave, before the kernel doubled it.
    Half,
    /// The milliseconds of a `struct timeval`.
    Millis,
    /// The seconds of a `struct linger`.
    Linger,
}

/// When a row shows the option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shown {
    Always,
    /// Once it is set, until a value that undoes it.
    WhenSet,
}

/// Sockets that have the option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum On {
    Tcp,
    Listener,
    Udp,
    All,
}

/// A value to try, and whether the option counts as set after it.
#[derive(Clone, Copy, Debug)]
struct Try(Given, bool);

/// An option.
struct Opt {
    name: &'static str,
    level: c_int,
    option: c_int,
    answer: Answer,
    shown: Shown,
    on: On,
    tries: &'static [Try],
}

const fn int(value: c_int) -> Try {
    Try(Given::Int(value), true)
}

const fn unset(value: c_int) -> Try {
    Try(Given::Int(value), false)
}

const FLAG: &[Try] = &[int(1), int(0), int(c_int::MAX), int(-1), int(0)];

/// SO_RCVTIMEO and SO_SNDTIMEO. A negative time means not to wait at all; zero, for ever.
const TIMES: &[Try] = &[
    Try(Given::Time(1, 500_000), true),
    Try(Given::Time(0, 1), true),
    Try(Given::Time(0, 0), false),
    Try(Given::Time(c_int::MAX as i64, 999_999), true),
    // The most that still counts as a time at 1000 Hz.
    Try(Given::Time(9_223_372_036_854_773, 0), true),
    Try(Given::Time(-1, 0), true),
    Try(Given::Time(i64::MAX, 0), false),
];

/// SO_RCVBUF and SO_SNDBUF: the kernel bounds what it is given.
const BUFFERS: &[Try] = &[int(0), int(1), int(5000), int(65536), int(c_int::MAX)];

const KEEP_SECONDS: &[Try] = &[int(1), int(75), int(7200), int(32767)];

/// In the order of the rows.
const OPTIONS: &[Opt] = &[
    Opt {
        name: "SO_REUSEADDR",
        level: SOL_SOCKET,
        option: libc::SO_REUSEADDR,
        answer: Answer::Int,
        shown: Shown::Always,
        on: On::All,
        tries: FLAG,
    },
    Opt {
        name: "SO_REUSEPORT",
        level: SOL_SOCKET,
        option: libc::SO_REUSEPORT,
        answer: Answer::Int,
        shown: Shown::Always,
        on: On::All,
        tries: FLAG,
    },
    Opt {
        name: "SO_KEEPALIVE",
        level: SOL_SOCKET,
        option: libc::SO_KEEPALIVE,
        answer: Answer::Int,
        shown: Shown::Always,
        on: On::Tcp,
        tries: FLAG,
    },
    Opt {
        name: "TCP_KEEPIDLE",
        level: IPPROTO_TCP,
        option: libc::TCP_KEEPIDLE,
        answer: Answer::Int,
        shown: Shown::WhenSet,
        on: On::Tcp,
        tries: KEEP_SECONDS,
    },
    Opt {
        name: "TCP_KEEPCNT",
        level: IPPROTO_TCP,
        option: libc::TCP_KEEPCNT,
        answer: Answer::Int,
        shown: Shown::WhenSet,
        on: On::Tcp,
        tries: &[int(1), int(9), int(127)],
    },
    Opt {
        name: "TCP_KEEPINTVL",
        level: IPPROTO_TCP,
        option: libc::TCP_KEEPINTVL,
        answer: Answer::Int,
        shown: Shown::WhenSet,
        on: On::Tcp,
        tries: KEEP_SECONDS,
    },
    Opt {
        name: "TCP_USER_TIMEOUT",
        level: IPPROTO_TCP,
        option: libc::TCP_USER_TIMEOUT,
        answer: Answer::Int,
        shown: Shown::WhenSet,
        on: On::Tcp,
        tries: &[int(1), int(30_000), int(c_int::MAX), unset(0)],
    },
    Opt {
        name: "SO_RCVBUF",
        level: SOL_SOCKET,
        option: libc::SO_RCVBUF,
        answer: Answer::Half,
        shown: Shown::WhenSet,
        on: On::All,
        tries: BUFFERS,
    },
    Opt {
        name: "SO_SNDBUF",
        level: SOL_SOCKET,
        option: libc::SO_SNDBUF,
        answer: Answer::Half,
        shown: Shown::WhenSet,
        on: On::All,
        tries: BUFFERS,
    },
    Opt {
        name: "SO_RCVTIMEO",
        level: SOL_SOCKET,
        option: libc::SO_RCVTIMEO,
        answer: Answer::Millis,
        shown: Shown::WhenSet,
        on: On::All,
        tries: TIMES,
    },
    Opt {
        name: "SO_SNDTIMEO",
        level: SOL_SOCKET,
        option: libc::SO_SNDTIMEO,
        answer: Answer::Millis,
        shown: Shown::WhenSet,
        on: On::All,
        tries: TIMES,
    },
    Opt {
        name: "SO_LINGER",
        level: SOL_SOCKET,
        option: libc::SO_LINGER,
        answer: Answer::Linger,
        shown: Shown::WhenSet,
        on: On::All,
        tries: &[
            Try(Given::Linger(1, 5), true),
            Try(Given::Linger(1, 0), true),
            Try(Given::Linger(0, 7), false),
            Try(Given::Linger(1, c_int::MAX), true),
            Try(Given::Linger(1, -1), true),
            Try(Given::Linger(0, 0), false),
        ],
    },
    Opt {
        name: "TCP_NODELAY",
        level: IPPROTO_TCP,
        option: libc::TCP_NODELAY,
        answer: Answer::Int,
        shown: Shown::Always,
        on: On::Tcp,
        tries: FLAG,
    },
    Opt {
        name: "TCP_FASTOPEN",
        level: IPPROTO_TCP,
        option: libc::TCP_FASTOPEN,
        answer: Answer::Int,
        shown: Shown::WhenSet,
        on: On::Listener,
        tries: &[int(1), int(16), int(c_int::MAX), unset(0)],
    },
    Opt {
        name: "TCP_DEFER_ACCEPT",
        level: IPPROTO_TCP,
        option: libc::TCP_DEFER_ACCEPT,
        answer: Answer::Int,
        shown: Shown::Always,
        on: On::Tcp,
        tries: &[int(1), int(30), int(3600), int(c_int::MAX), int(0)],
    },
    Opt {
        name: "SO_BROADCAST",
        level: SOL_SOCKET,
        option: libc::SO_BROADCAST,
        answer: Answer::Int,
        shown: Shown::Always,
        on: On::Udp,
        tries: FLAG,
    },
];

impl Opt {
    fn named(name: &str) -> &'static Opt {
        OPTIONS
            .iter()
            .find(|opt| opt.name == name)
            .expect("an option of the table")
    }

    fn give(&self, socket: &Socket, given: Given) -> Result<()> {
        let result = match given {
            Given::Int(value) => set_int(socket, self.level, self.option, value),
            Given::Time(tv_sec, tv_usec) => set(
                socket,
                self.level,
                self.option,
                &timeval { tv_sec, tv_usec },
            ),
            Given::Linger(l_onoff, l_linger) => set(
                socket,
                self.level,
                self.option,
                &linger { l_onoff, l_linger },
            ),
        };
        result.with_context(|| format!("setsockopt({}, {given:?})", self.name))
    }

    /// What getsockopt(2) says, as a row is to put it.
    fn text(&self, socket: &Socket) -> Result<String> {
        Ok(match self.answer {
            Answer::Int => get(socket, self.level, self.option, 0 as c_int)?.to_string(),
            Answer::Half => (get(socket, self.level, self.option, 0 as c_int)? / 2).to_string(),
            Answer::Millis => {
                let none = timeval {
                    tv_sec: 0,
                    tv_usec: 0,
                };
                let time = get(socket, self.level, self.option, none)?;
                let millis = i128::from(time.tv_sec) * 1000 + i128::from(time.tv_usec) / 1000;
                format!("{millis}ms")
            }
            Answer::Linger => {
                let none = linger {
                    l_onoff: 0,
                    l_linger: 0,
                };
                format!("{}s", get(socket, self.level, self.option, none)?.l_linger)
            }
        })
    }
}

/// Kinds of sockets that a table lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Listener,
    Client,
    Accepted,
    UdpBound,
    UdpConnected,
}

impl Role {
    const ALL: [Role; 5] = [
        Role::Listener,
        Role::Client,
        Role::Accepted,
        Role::UdpBound,
        Role::UdpConnected,
    ];

    fn is_tcp(self) -> bool {
        !matches!(self, Role::UdpBound | Role::UdpConnected)
    }

    fn has(self, opt: &Opt) -> bool {
        match opt.on {
            On::All => true,
            On::Tcp => self.is_tcp(),
            On::Listener => self == Role::Listener,
            On::Udp => !self.is_tcp(),
        }
    }
}

/// A socket, and what the test did to it.
struct Subject {
    file: File,
    role: Role,
    socket: Socket,
    /// What listen(2) was given, for a listener.
    backlog: c_int,
    /// Options that are set, of those shown only then.
    set: BTreeMap<&'static str, bool>,
    /// What keeps the socket as it is.
    _others: Vec<Socket>,
}

const BACKLOG: c_int = 5;

impl Subject {
    fn new(plan: Plan, role: Role) -> Result<Self> {
        let (socket, others) = match role {
            Role::Listener => (plan.listener(BACKLOG)?, vec![]),
            Role::Client => {
                let pair = plan.pair()?;
                (pair.client, vec![pair.server, pair.listener])
            }
            Role::Accepted => {
                let pair = plan.pair()?;
                (pair.server, vec![pair.client, pair.listener])
            }
            Role::UdpBound => (plan.udp()?, vec![]),
            Role::UdpConnected => {
                let (to, socket) = (plan.udp()?, plan.udp()?);
                socket.connect(&SockAddr::from(local(&to)?))?;
                (socket, vec![to])
            }
        };
        Ok(Self {
            file: plan.file(role.is_tcp()),
            role,
            socket,
            backlog: BACKLOG,
            set: BTreeMap::new(),
            _others: others,
        })
    }

    /// A connection accepted by this listener: it inherits.
    fn accept(self, plan: Plan) -> Result<Self> {
        ensure!(self.role == Role::Listener, "not a listener");
        let Pair {
            listener,
            client,
            server,
        } = self.socket.into_pair(plan.tcp()?)?;
        Ok(Self {
            file: self.file,
            role: Role::Accepted,
            socket: server,
            backlog: BACKLOG,
            set: self.set,
            _others: vec![client, listener],
        })
    }

    fn give(&mut self, opt: &Opt, Try(given, is_set): Try) -> Result<()> {
        opt.give(&self.socket, given)?;
        self.set.insert(opt.name, is_set);
        Ok(())
    }

    /// Everything that the last column must say, in order.
    fn expected(&self) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        for opt in OPTIONS.iter().filter(|opt| self.role.has(opt)) {
            let set = self.set.get(opt.name).copied().unwrap_or(false);
            if opt.shown == Shown::Always || set {
                all.push((opt.name.to_owned(), opt.text(&self.socket)?));
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

    fn check(&self) -> Result<()> {
        let expected = self.expected()?;
        let row = row(self.file, &self.socket)?;
        let mut shown = row.options.context("no options")?;
        // What the kernel sets by itself beside these, and all other options, are for
        // every_option.rs.
        shown.retain(|(name, _)| {
            ["backlog", "uid", "ino"].contains(&name.as_str())
                || OPTIONS.iter().any(|opt| opt.name == name)
        });
        if shown != expected {
            let join = |options: &[(String, String)]| {
                let options: Vec<_> = options.iter().map(|(n, v)| format!("{n}={v}")).collect();
                options.join(",")
            };
            bail!(
                "{:?} in {}: the row says\n  {}\nand getsockopt\n  {}",
                self.role,
                self.file.name(),
                join(&shown),
                join(&expected)
            );
        }
        Ok(())
    }
}

const PLANS: [Plan; 2] = [Plan::V4, Plan::V6];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for opt in OPTIONS {
        cases.push(Case::new(format!("options::{}", opt.name), move || {
            in_fresh(|| one(opt))
        }));
    }
    cases.push(Case::new("options::fresh_sockets", || in_fresh(fresh)));
    cases.push(Case::new("options::inherited_by_accept", || {
        in_fresh(inherited)
    }));
    cases.push(Case::new("options::many_at_once", || in_fresh(many)));
    cases.push(Case::new("options::buffers_beyond_the_limit", || {
        in_fresh(forced_buffers)
    }));
    cases.push(Case::new("options::buffers_unlocked", || {
        in_fresh(unlocked_buffers)
    }));
    cases.push(Case::new("options::keepalive_sysctls", || {
        in_fresh(keepalive_sysctls)
    }));
    cases.push(Case::new("options::backlog", || in_fresh(backlog)));
    cases.push(Case::new("options::of_orphans", || in_fresh(orphans)));
    cases
}

/// Sockets whose process set nothing.
fn fresh() -> Result<()> {
    for plan in Plan::ALL {
        for role in Role::ALL {
            Subject::new(plan, role)?.check()?;
        }
    }
    Ok(())
}

/// One option, on every kind of socket that has it, with every value.
fn one(opt: &'static Opt) -> Result<()> {
    for plan in PLANS {
        for role in Role::ALL.into_iter().filter(|role| role.has(opt)) {
            let mut subject = Subject::new(plan, role)?;
            subject.check()?;
            for try_ in opt.tries {
                subject.give(opt, *try_)?;
                subject
                    .check()
                    .with_context(|| format!("after {} was given {:?}", opt.name, try_.0))?;
            }
        }
    }
    Ok(())
}

/// An option of a listener, as the connections that it accepts have it.
fn inherited() -> Result<()> {
    for plan in PLANS {
        for opt in OPTIONS.iter().filter(|opt| Role::Accepted.has(opt)) {
            for try_ in opt.tries {
                // A client that sends nothing would wait for long.
                if opt.name == "TCP_DEFER_ACCEPT" {
                    continue;
                }
                let mut subject = Subject::new(plan, Role::Listener)?;
                subject.give(opt, *try_)?;
                let subject = subject.accept(plan)?;
                subject
                    .check()
                    .with_context(|| format!("listener was given {} {:?}", opt.name, try_.0))?;
                // A timeout of 68 years may hold up close(2), so cut it short.
                subject.socket.set_linger(None)?;
            }
        }
    }
    Ok(())
}

/// Many options at once, in random order, again and again.
fn many() -> Result<()> {
    let seed: u64 = rand::random();
    let mut rng = StdRng::seed_from_u64(seed);
    for plan in PLANS {
        for role in Role::ALL {
            let mut subject = Subject::new(plan, role)?;
            let options: Vec<_> = OPTIONS.iter().filter(|opt| role.has(opt)).collect();
            for _ in 0..25 {
                for _ in 0..rng.random_range(1..6) {
                    let opt = options.choose(&mut rng).context("no options")?;
                    let try_ = opt.tries.choose(&mut rng).context("no values")?;
                    subject.give(opt, *try_)?;
                }
                subject.check().with_context(|| format!("seed {seed}"))?;
            }
            // All of them.
            for opt in &options {
                subject.give(opt, opt.tries[0])?;
            }
            subject.check()?;
        }
    }
    Ok(())
}

/// SO_RCVBUFFORCE and SO_SNDBUFFORCE may exceed the limits: up to INT_MAX.
fn forced_buffers() -> Result<()> {
    for plan in PLANS {
        for role in Role::ALL {
            for (force, name) in [
                (libc::SO_RCVBUFFORCE, "SO_RCVBUF"),
                (libc::SO_SNDBUFFORCE, "SO_SNDBUF"),
            ] {
                let mut subject = Subject::new(plan, role)?;
                for value in [1_000_003, c_int::MAX / 2, c_int::MAX] {
                    set_int(&subject.socket, SOL_SOCKET, force, value)?;
                    subject.set.insert(Opt::named(name).name, true);
                    subject.check()?;
                }
            }
        }
    }
    Ok(())
}

/// SO_BUF_LOCK tells whether the process set a size, and takes it back.
fn unlocked_buffers() -> Result<()> {
    const SO_BUF_LOCK: c_int = 72;
    const SNDBUF: c_int = 1;
    const RCVBUF: c_int = 2;
    for plan in PLANS {
        for role in Role::ALL {
            let mut subject = Subject::new(plan, role)?;
            for locks in [SNDBUF, RCVBUF, SNDBUF | RCVBUF, 0] {
                set_int(&subject.socket, SOL_SOCKET, SO_BUF_LOCK, locks)?;
                let locks = get(&subject.socket, SOL_SOCKET, SO_BUF_LOCK, -1)?;
                subject.set.insert("SO_SNDBUF", locks & SNDBUF != 0);
                subject.set.insert("SO_RCVBUF", locks & RCVBUF != 0);
                subject
                    .check()
                    .with_context(|| format!("SO_BUF_LOCK={locks}"))?;
            }
        }
    }
    Ok(())
}

/// Sysctls are not what a process set.
fn keepalive_sysctls() -> Result<()> {
    for (name, value) in [("time", "1234"), ("intvl", "12"), ("probes", "3")] {
        fs::write(format!("/proc/sys/net/ipv4/tcp_keepalive_{name}"), value)?;
    }
    for plan in PLANS {
        let mut subject = Subject::new(plan, Role::Client)?;
        subject.check()?;
        // Set to what the sysctl says already: it is set nonetheless.
        for (name, value) in [
            ("TCP_KEEPIDLE", 1234),
            ("TCP_KEEPINTVL", 12),
            ("TCP_KEEPCNT", 3),
        ] {
            subject.give(Opt::named(name), int(value))?;
            subject.check()?;
        }
    }
    Ok(())
}

/// The backlog is what listen(2) was given, bounded by somaxconn; listen(2) again changes it.
fn backlog() -> Result<()> {
    let most: c_int = fs::read_to_string("/proc/sys/net/core/somaxconn")?
        .trim()
        .parse()?;
    for plan in Plan::ALL {
        let mut subject = Subject::new(plan, Role::Listener)?;
        for (given, shown) in [
            (0, 0),
            (1, 1),
            (128, 128),
            (most, most),
            (c_int::MAX, most),
            (-1, most),
        ] {
            subject.socket.listen(given)?;
            subject.backlog = shown;
            subject
                .check()
                .with_context(|| format!("listen({given})"))?;
        }
    }
    Ok(())
}

/// A socket that was closed with data to deliver still has its options.
fn orphans() -> Result<()> {
    for plan in PLANS {
        let subject = Subject::new(plan, Role::Client)?;
        subject.socket.set_tcp_nodelay(true)?;
        subject.socket.set_keepalive(true)?;
        let server = subject._others.first().context("no server")?;
        crate::sockets::deafen(server)?;
        let addr = crate::rows::address(&local(&subject.socket)?);
        drop(subject.socket);
        let rows = crate::reference::compare(subject.file)?;
        let row = rows
            .iter()
            .find(|row| row.local == addr)
            .context("no row for the orphan")?;
        ensure!(
            row.state == "FNW1"
                && row.option("TCP_NODELAY") == Some("1")
                && row.option("SO_KEEPALIVE") == Some("1")
                && row.option("ino") == Some("0"),
            "an orphan is shown as {row:?}"
        );
    }
    Ok(())
}
