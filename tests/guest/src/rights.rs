// SPDX-License-Identifier: GPL-2.0

//! Rights: the options that different readers see, on sockets with nearly all options set, in our
//! files, in `/proc/net/{tcp,tcp6,udp,udp6}` and through `sock_diag`.
//!
//! Each reader is a process of its own, started by setpriv(1) and unshare(1). Our files must
//! withhold what `sock_diag` shows to root and withholds from the reader. All else must be as root
//! sees it. The table at the end is that of `docs/trust.md`.

use crate::harness::Case;
use crate::netns::{in_fresh, in_namespace_of};
use crate::options::{set_bytes, table, Early, Opt, Role, Subject, PLANS};
use crate::reference::entries_of;
use crate::rows::File;
use crate::sock_diag::{self, Diag};
use crate::sockets::{row, IntoPair};
use anyhow::{bail, ensure, Context, Result};
use knetstat_child::{duplicate_of, Child, EntryPoint};
use libc::IPPROTO_MPTCP;
use nix::fcntl::{fcntl, FcntlArg, FdFlag};
use nix::unistd::{fchown, Uid};
use socket2::{Protocol, Socket, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::process::Stdio;
use std::{fs, io};

/// The entry point of a reader.
pub const READER: EntryPoint = EntryPoint {
    name: "rights-reader",
    main: read_as_told,
};

/// The task of a reader that another reader has started.
const AT_ONCE: &str = "at-once";

pub fn cases() -> Vec<Case> {
    vec![Case::heavy("rights::nothing_more", || {
        in_fresh(nothing_more)
    })]
}

/// A reader.
struct Reader {
    /// Its name in the table.
    name: &'static str,
    /// The command that gives it its rights and namespaces.
    by: &'static [&'static str],
    /// Its task.
    task: Task,
    /// Whether it has CAP_NET_ADMIN over the network namespace of the sockets.
    is_admin: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    /// Opens the files, and reads.
    Reads,
    /// Makes sockets of its own before.
    Contains,
    /// The same; then another process, without CAP_NET_ADMIN, opens the files and reads.
    ContainsOther,
    /// Reads files that the test has opened.
    IsHanded,
    /// Opens the files, which the test reads.
    Hands,
}

impl Task {
    fn word(self) -> &'static str {
        match self {
            Task::Reads => "reads",
            Task::Contains => "contains",
            Task::ContainsOther => "contains-other",
            Task::IsHanded => "is-handed",
            Task::Hands => "hands",
        }
    }
}

/// The command that makes a process one of another user without capabilities.
pub const NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];
const WITHOUT: [&str; 2] = ["setpriv", "--bounding-set=-net_admin"];
const OWN_USERS: [&str; 3] = ["unshare", "--user", "--map-root-user"];
const OWN_NET: [&str; 1] = ["--net"];
const OWN_PIDS: [&str; 3] = ["--pid", "--fork", "--mount-proc"];

/// All readers. The others are compared with the first one.
fn readers() -> Vec<Reader> {
    let reader = |name, by: &[&[&'static str]], task, is_admin| Reader {
        name,
        by: by.concat().leak(),
        task,
        is_admin,
    };
    let user = &[&NOBODY[..], &OWN_USERS].concat();
    let rootless = &[&user[..], &OWN_NET, &OWN_PIDS].concat();
    let container = &[&["unshare"][..], &OWN_NET, &OWN_PIDS].concat();
    vec![
        reader("root", &[], Task::Reads, true),
        reader(
            "root without CAP_NET_ADMIN",
            &[&WITHOUT],
            Task::Reads,
            false,
        ),
        reader("another user", &[&NOBODY], Task::Reads, false),
        reader("user namespace", &[user], Task::Reads, false),
        reader("rootless container", &[rootless], Task::Contains, true),
        reader(
            "rootless container without CAP_NET_ADMIN",
            &[rootless],
            Task::ContainsOther,
            false,
        ),
        reader("root's container", &[container], Task::Contains, true),
        reader(
            "root's container without CAP_NET_ADMIN",
            &[container],
            Task::ContainsOther,
            false,
        ),
        reader(
            "handed root's files, elsewhere",
            &[user, &OWN_NET],
            Task::IsHanded,
            true,
        ),
        reader("root, handed a user's files", &[user], Task::Hands, false),
    ]
}

/// Our files and the kernel's, and a netlink socket for `sock_diag`, all open.
struct Source {
    ours: Vec<OwnedFd>,
    kernels: Vec<OwnedFd>,
    diag: OwnedFd,
}

impl Source {
    /// Opens them in the namespaces of the calling thread.
    fn open() -> Result<Self> {
        let open = |name: &str| -> Result<OwnedFd> {
            let path = format!("/proc/thread-self/net/{name}");
            Ok(fs::File::open(&path).context(path)?.into())
        };
        let all = |name: fn(File) -> &'static str| -> Result<Vec<_>> {
            File::ALL.into_iter().map(|file| open(name(file))).collect()
        };
        Ok(Self {
            ours: all(File::name)?,
            kernels: all(File::reference)?,
            diag: sock_diag::open()?.into(),
        })
    }

    fn descriptors(&self) -> impl Iterator<Item = &OwnedFd> {
        let files = self.ours.iter().chain(&self.kernels);
        files.chain(std::iter::once(&self.diag))
    }

    /// Takes over open descriptors, in the same order.
    fn from_descriptors(all: Vec<OwnedFd>) -> Result<Self> {
        let mut all = all.into_iter();
        let mut four = || -> Vec<_> { all.by_ref().take(File::ALL.len()).collect() };
        let (ours, kernels) = (four(), four());
        let diag = all.next().context("too few descriptors")?;
        Ok(Self {
            ours,
            kernels,
            diag,
        })
    }

    fn read(&self) -> Result<View> {
        let text = |fd: &OwnedFd| -> Result<String> {
            let mut text = String::new();
            fs::File::from(fd.try_clone()?).read_to_string(&mut text)?;
            Ok(text)
        };
        let mut view = View::default();
        for (file, fd) in File::ALL.into_iter().zip(&self.ours) {
            for row in file.parse(&text(fd)?)? {
                if let (ino @ 1.., Some(options)) = (row.ino(), row.options) {
                    view.ours.insert(ino, options.into_iter().collect());
                }
            }
        }
        for (file, fd) in File::ALL.into_iter().zip(&self.kernels) {
            let entries = entries_of(file, text(fd)?.as_bytes())?;
            let entries = entries.into_iter().filter(|entry| entry.ino != 0);
            view.kernels
                .extend(entries.map(|entry| (entry.ino, entry.uid)));
        }
        let socket = Socket::from(self.diag.try_clone()?);
        for file in File::ALL {
            view.diag.extend(sock_diag::dump(&socket, file)?);
        }
        view.diag.remove(&0);
        Ok(view)
    }
}

/// The view of a reader, by inode. Sockets without an inode are left out.
#[derive(Default)]
struct View {
    ours: BTreeMap<u64, BTreeMap<String, String>>,
    /// The user, from the kernel's files.
    kernels: BTreeMap<u64, u32>,
    diag: BTreeMap<u64, Diag>,
}

impl View {
    /// Prints it as lines of text, for the test that started the reader.
    fn print(&self, to: &mut impl Write) -> Result<()> {
        for (ino, options) in &self.ours {
            let options: Vec<_> = options.iter().map(|(n, v)| format!("{n}={v}")).collect();
            writeln!(to, "ours {ino} {}", options.join(","))?;
        }
        for (ino, uid) in &self.kernels {
            writeln!(to, "kernels {ino} {uid}")?;
        }
        for (ino, diag) in &self.diag {
            let attributes: Vec<_> = diag.attributes.iter().map(u16::to_string).collect();
            writeln!(to, "diag {ino} {} {}", diag.uid, attributes.join(","))?;
        }
        writeln!(to, "end")?;
        Ok(to.flush()?)
    }

    fn parse(from: &mut impl BufRead) -> Result<Self> {
        let mut view = Self::default();
        loop {
            let mut line = String::new();
            ensure!(from.read_line(&mut line)? > 0, "it ended early");
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            match *fields {
                ["ours", ino, options] => {
                    let options = options.split(',').filter_map(|option| {
                        let (name, value) = option.split_once('=')?;
                        Some((name.to_owned(), value.to_owned()))
                    });
                    view.ours.insert(ino.parse()?, options.collect());
                }
                ["kernels", ino, uid] => {
                    view.kernels.insert(ino.parse()?, uid.parse()?);
                }
                ["diag", ino, uid, attributes] => {
                    let attributes = attributes.split(',').map(str::parse);
                    let diag = Diag {
                        uid: uid.parse()?,
                        attributes: attributes.collect::<Result<_, _>>()?,
                    };
                    view.diag.insert(ino.parse()?, diag);
                }
                ["end"] => return Ok(view),
                _ => bail!("a reader says {line:?}"),
            }
        }
    }
}

/// Options that cannot be set together with the rest: a locked filter is permanent, and a socket
/// has keys of one kind only.
const APART: [&str; 5] = [
    "SO_LOCK_FILTER",
    "TCP_REPAIR",
    "TCP_MD5SIG",
    "TCP_AO",
    "TCP_USER_TIMEOUT",
];

/// The owners that the sockets get, if their creator may change that.
const OWNERS: [u32; 3] = [0, 1000, 65534];

/// The sockets, which are kept open.
#[derive(Default)]
struct Held {
    _subjects: Vec<Subject>,
    _others: Vec<Socket>,
}

/// Sockets of all kinds, with all options that can be combined; and one more socket for each option
/// that is then still in no row.
fn sockets() -> Result<Held> {
    let mut subjects = Vec::new();
    for plan in PLANS {
        for role in Role::ALL {
            let mut subject = Subject::new(plan, role)?;
            let all = table().iter().filter(|opt| opt.is_on(plan, role));
            for opt in all.filter(|opt| !APART.contains(&opt.name)) {
                if let Some(value) = opt.tries.first() {
                    // A value that the kernel refuses is in no row.
                    let _ = subject.give(opt, value);
                }
            }
            subjects.push(subject);
            // And one that nothing was done to.
            subjects.push(Subject::new(plan, role)?);
        }
    }
    let shown = names(&Source::open()?.read()?);
    for opt in table().iter().filter(|opt| !shown.contains(opt.name)) {
        subjects.extend(with_one(opt)?);
    }
    let mut others: Vec<Socket> = Vec::new();
    for subject in &mut subjects {
        others.append(&mut subject.others);
    }
    for plan in PLANS {
        let socket = || {
            Socket::new(
                plan.domain(),
                Type::STREAM,
                Some(Protocol::from(IPPROTO_MPTCP)),
            )
        };
        // Not every kernel has it.
        if let Ok(listener) = socket() {
            listener.bind(&plan.addr(0).into())?;
            listener.listen(1)?;
            let pair = listener.into_pair(socket()?)?;
            others.extend([pair.listener, pair.client, pair.server]);
        }
    }
    let sockets = subjects
        .iter()
        .map(|subject| &subject.socket)
        .chain(&others);
    for (socket, owner) in sockets.zip(OWNERS.iter().cycle()) {
        // In a user namespace, most of them do not exist.
        let _ = fchown(socket, Some(Uid::from_raw(*owner)), None);
    }
    Ok(Held {
        _subjects: subjects,
        _others: others,
    })
}

/// A socket with this option, on the first kind that takes it.
fn with_one(opt: &'static Opt) -> Result<Option<Subject>> {
    let kinds = PLANS
        .into_iter()
        .flat_map(|plan| Role::ALL.map(|role| (plan, role)));
    for (plan, role) in kinds.filter(|(plan, role)| opt.is_on(*plan, *role)) {
        for value in &opt.tries {
            let early = |socket: &Socket| match opt.early {
                Early::Reuseport => socket.set_reuse_port(true),
                Early::Too => set_bytes(socket, opt.level, opt.option, &value.bytes),
                Early::No => Ok(()),
            };
            let Ok(mut subject) = Subject::with(plan, role, early) else {
                continue;
            };
            let given = subject.give(opt, value).is_ok() || opt.early == Early::Too;
            let is_shown = || -> Result<bool> {
                Ok(row(subject.file, &subject.socket)?
                    .option(opt.name)
                    .is_some())
            };
            if given && is_shown()? {
                return Ok(Some(subject));
            }
        }
    }
    Ok(None)
}

/// The names in the rows of a view.
fn names(view: &View) -> BTreeSet<String> {
    view.ours
        .values()
        .flat_map(|row| row.keys().cloned())
        .collect()
}

/// The main function of a reader: it prints "ready", waits for a line, prints its view, and waits
/// for the end of its input.
fn read_as_told(arguments: &[String]) -> Result<()> {
    let (task, numbers) = arguments.split_first().context("no task")?;
    if task == AT_ONCE {
        return Source::open()?.read()?.print(&mut io::stdout().lock());
    }
    let mut out = io::stdout().lock();
    let mut said = io::stdin().lock();
    let has_own = task.starts_with("contains");
    let mut held = Held::default();
    if has_own {
        crate::netns::set_lo_up()?;
        held = sockets()?;
    }
    let source = match &**task {
        "is-handed" => {
            let descriptors = numbers.iter().map(|number| -> Result<_> {
                let number: RawFd = number.parse()?;
                // SAFETY: The test left this descriptor to us, and nobody else here knows of it.
                Ok(unsafe { OwnedFd::from_raw_fd(number) })
            });
            Some(Source::from_descriptors(
                descriptors.collect::<Result<_>>()?,
            )?)
        }
        "contains-other" => None,
        _ => Some(Source::open()?),
    };
    write!(out, "ready")?;
    for fd in source.iter().flat_map(Source::descriptors) {
        write!(out, " {}", fd.as_raw_fd())?;
    }
    writeln!(out)?;
    out.flush()?;
    said.read_line(&mut String::new())?;
    match source {
        Some(source) if task != "hands" => source.read()?.print(&mut out)?,
        Some(_) => (),
        None => {
            let status = READER
                .command_by(&WITHOUT)?
                .arg(AT_ONCE)
                .stdin(Stdio::null())
                .status()?;
            ensure!(status.success(), "the other reader: {status}");
        }
    }
    said.read_to_end(&mut Vec::new())?;
    drop(held);
    Ok(())
}

/// A reader that was started.
struct Started {
    child: Child,
    /// The numbers of its open descriptors.
    numbers: Vec<String>,
}

impl Started {
    fn new(reader: &Reader, handed: Option<&Source>) -> Result<Self> {
        let mut command = match reader.by {
            [] => READER.command(),
            by => READER.command_by(by)?,
        };
        command.arg(reader.task.word());
        for fd in handed.into_iter().flat_map(Source::descriptors) {
            // It is to outlive exec(2).
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
            command.arg(fd.as_raw_fd().to_string());
        }
        let mut child = Child::spawn(command.stderr(Stdio::piped()))?;
        let line = child.line()?.unwrap_or_default();
        let mut numbers = line.split_ascii_whitespace().map(str::to_owned);
        if numbers.next().as_deref() != Some("ready") {
            bail!("{command:?}: {line:?} {:?}", child.end());
        }
        Ok(Self {
            numbers: numbers.collect(),
            child,
        })
    }

    /// Lets it read, and returns its view.
    fn look(&mut self) -> Result<View> {
        self.child.send("")?;
        View::parse(self.child.replies())
    }

    /// Duplicates its descriptors, by pidfd_getfd(2).
    fn take(&self) -> Result<Source> {
        let take = |number: &String| -> Result<_> {
            duplicate_of(self.child.id(), number.parse()?).context("pidfd_getfd")
        };
        Source::from_descriptors(self.numbers.iter().map(take).collect::<Result<_>>()?)
    }
}

/// Where a reader sees an option, on any socket on which root sees it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Seen {
    ours: bool,
    diag: Option<bool>,
}

impl Seen {
    fn text(self) -> String {
        let sign = |is_seen: bool| if is_seen { "yes" } else { "no" };
        match self.diag {
            Some(diag) => format!("{} / {}", sign(self.ours), sign(diag)),
            None => sign(self.ours).to_owned(),
        }
    }
}

/// Compares the view of a reader with the views of root, before and after, on the same sockets.
/// Returns where the reader sees each option.
fn compare(reader: &Reader, view: &View, root: [&View; 2]) -> Result<BTreeMap<String, Seen>> {
    let [before, after] = root;
    let mut all: BTreeMap<String, Seen> = BTreeMap::new();
    let mut compared = 0;
    let is_handed = matches!(reader.task, Task::IsHanded);
    for (ino, row) in &before.ours {
        // Timers change some rows, and end some connections.
        let Some(same) = after.ours.get(ino) else {
            continue;
        };
        let (Some(diag), Some(seen)) = (before.diag.get(ino), view.ours.get(ino)) else {
            bail!("{ino} is in one of our files and not in others: {row:?}");
        };
        let (Some(uid), Some(of_diag)) = (view.kernels.get(ino), view.diag.get(ino)) else {
            bail!("we list sockets that the kernel does not list: {seen:?}");
        };
        compared += 1;
        // In whose terms the kernel says it, in such we say it.
        ensure!(
            seen.get("uid") == Some(&uid.to_string()) && *uid == of_diag.uid,
            "the kernel's files say uid={uid}, sock_diag {of_diag:?}: {seen:?}"
        );
        let withheld: BTreeSet<_> = diag
            .attributes
            .difference(&of_diag.attributes)
            .copied()
            .collect();
        for attribute in &withheld {
            ensure!(
                sock_diag::tells_of_an_option(*attribute),
                "sock_diag withholds its attribute {attribute}: of which option is that?"
            );
        }
        for name in row.keys().chain(seen.keys()).collect::<BTreeSet<_>>() {
            let [root, root_later, here] = [row, same, seen].map(|row| row.get(name));
            if name == "uid" || root != root_later {
                continue;
            }
            let attribute = sock_diag::attribute_of(name);
            let now = all.entry(name.clone()).or_default();
            now.ours |= here.is_some();
            if let Some(attribute) = attribute.filter(|of| diag.attributes.contains(of)) {
                *now.diag.get_or_insert(false) |= of_diag.attributes.contains(&attribute);
            }
            let is_withheld = sock_diag::is_withheld(name, &withheld);
            if is_withheld && !is_handed {
                ensure!(here.is_none(), "sock_diag withholds {name}: {seen:?}");
            } else {
                ensure!(here == root, "{name} is {root:?} for root: {seen:?}");
            }
        }
    }
    ensure!(compared > 30, "only {compared} sockets");
    // A socket that a timer ended meanwhile is in our file, which was read first, and in no other.
    let [ours, kernels, diag] = [
        view.ours
            .keys()
            .filter(|ino| after.ours.contains_key(ino) || !before.ours.contains_key(ino))
            .collect::<BTreeSet<_>>(),
        view.kernels.keys().collect(),
        view.diag.keys().collect(),
    ];
    ensure!(
        ours.is_subset(&kernels) && ours.is_subset(&diag),
        "we list sockets that the kernel does not list: {:?}",
        ours.iter()
            .filter(|ino| !kernels.contains(**ino) || !diag.contains(**ino))
            .collect::<Vec<_>>()
    );
    Ok(all)
}

fn nothing_more() -> Result<()> {
    let _held = sockets()?;
    let mut columns = Vec::new();
    for reader in readers() {
        let seen = look(&reader).with_context(|| reader.name)?;
        // For that, the kernel's own word is not needed.
        let mark = seen.get("SO_MARK").context("no socket has a mark")?;
        ensure!(
            mark.ours == reader.is_admin,
            "{}: SO_MARK is {mark:?}",
            reader.name
        );
        columns.push((reader.name, seen));
    }
    let (_, root) = &columns[0];
    let known: BTreeSet<_> = table().iter().map(|opt| opt.name).collect();
    let unseen: Vec<_> = known
        .iter()
        .filter(|name| !root.contains_key(**name))
        .collect();
    println!(
        "rights: {} of {} options; not {unseen:?}",
        known.len() - unseen.len(),
        known.len()
    );
    ensure!(unseen.len() <= 16, "too few options are set: no {unseen:?}");
    ensure!(
        columns[1..]
            .iter()
            .any(|(_, seen)| seen.values().any(|seen| !seen.ours)),
        "nothing is hidden from anybody"
    );
    print_table(&columns);
    Ok(())
}

/// Starts a reader, and compares its view with that of root.
fn look(reader: &Reader) -> Result<BTreeMap<String, Seen>> {
    let handed = match reader.task {
        Task::IsHanded => Some(Source::open()?),
        _ => None,
    };
    let mut started = Started::new(reader, handed.as_ref())?;
    // Of the sockets that it looks at, which are its own or, if it is handed files, ours.
    let net = match reader.task {
        Task::IsHanded => fs::File::open("/proc/thread-self/ns/net")?,
        _ => fs::File::open(format!("/proc/{}/ns/net", started.child.id()))?,
    };
    let root = || in_namespace_of(Some(&net), || Source::open()?.read());
    let before = root()?;
    let view = match reader.task {
        Task::Hands => started.take()?.read()?,
        _ => started.look()?,
    };
    let after = root()?;
    started.child.end()?;
    compare(reader, &view, [&before, &after])
}

/// Prints the table. Options that all readers see alike share a column. A cell says whether our
/// files show it and, if `sock_diag` can, whether that shows it to the reader.
fn print_table(columns: &[(&str, BTreeMap<String, Seen>)]) {
    const MOST_NAMES: usize = 6;
    let mut alike: BTreeMap<Vec<Option<Seen>>, Vec<&str>> = BTreeMap::new();
    let names: BTreeSet<_> = columns.iter().flat_map(|(_, seen)| seen.keys()).collect();
    for name in names {
        let cells = columns.iter().map(|(_, seen)| seen.get(name).copied());
        alike.entry(cells.collect()).or_default().push(name);
    }
    let heads = alike
        .values()
        .zip('a'..)
        .map(|(names, letter)| match names {
            names if names.len() <= MOST_NAMES => names.join(", "),
            names => format!("{} more ({letter})", names.len()),
        });
    println!("| reader | {} |", heads.collect::<Vec<_>>().join(" | "));
    println!("|---{}|", "|---".repeat(alike.len()));
    for (at, (reader, _)) in columns.iter().enumerate() {
        let cells = alike
            .keys()
            .map(|cells| cells[at].map_or("-".to_owned(), Seen::text));
        println!("| {reader} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    for (names, letter) in alike.values().zip('a'..) {
        if names.len() > MOST_NAMES {
            println!("({letter}): {}", names.join(", "));
        }
    }
}
