// SPDX-License-Identifier: GPL-2.0

//! `knetstat --all-netns`: the sockets of all network namespaces, each once, with their containers.
//!
//! The inode of a socket is that of fstat(2), and the inode of a namespace that of stat(2) on
//! `/proc/PID/ns/net`.

use crate::command::{command_by, output_of, said_by, selected_by};
use crate::guest::{guest, wait_for};
use crate::harness::Case;
use crate::netns::{in_fresh, in_namespace_of};
use crate::rights::NOBODY;
use crate::sockets::{ino, Plan};
use anyhow::{ensure, Context, Result};
use nix::mount::{mount, umount, MsFlags};
use nix::sched::{unshare, CloneFlags};
use nix::unistd::sethostname;
use socket2::Socket;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("all_netns::each_namespace_once", each_namespace_once),
        Case::new("all_netns::containers", containers),
        Case::new("all_netns::defaults_of_each_namespace", defaults),
        Case::new("all_netns::watched", watched),
        // The kernel would give the inode of a namespace that is gone to one of another test.
        Case::alone("all_netns::since_a_copy", since_a_copy),
        Case::new("all_netns::at_the_same_time", at_the_same_time),
        // A knetstat of another test would be in the namespace that this user may not enter.
        Case::alone("all_netns::what_a_user_sees", what_a_user_sees),
        Case::alone("all_netns::hidepid", || in_fresh(hidepid)),
    ]
}

/// A name of this process, for things that tests leave if they fail.
fn name(what: &str) -> String {
    format!("knetstat-{what}-{}", std::process::id())
}

/// A process that is ended with its test.
pub struct Process(Child);

impl Process {
    /// A process in the network namespace of this thread that has these sockets open.
    pub fn with(sockets: [Socket; 2]) -> Result<Self> {
        let [first, second] = sockets.map(OwnedFd::from);
        let mut sleep = Command::new("sleep");
        sleep.arg("1000").stdin(first).stdout(second);
        Ok(Self(sleep.spawn().context("sleep")?))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file that is removed, and unmounted before, with its test.
struct Mounted(PathBuf);

impl Mounted {
    /// Mounts a network namespace on a new file.
    fn new(path: PathBuf, namespace: &str) -> Result<Self> {
        fs::write(&path, "").with_context(|| path.display().to_string())?;
        let mounted = Self(path);
        let none = None::<&str>;
        mount(Some(namespace), &mounted.0, none, MsFlags::MS_BIND, none).context("mount")?;
        Ok(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount(&self.0);
        let _ = fs::remove_file(&self.0);
    }
}

const WITHOUT_PTRACE: [&str; 2] = ["setpriv", "--bounding-set=-sys_ptrace"];

const OWN: &str = "/proc/thread-self/ns/net";

/// A TCP and a UDP socket in the network namespace of this thread.
fn sockets() -> Result<[Socket; 2]> {
    Ok([Plan::V4.listener(5)?, Plan::V6.udp()?])
}

/// The inodes of sockets, with that of the namespace of this thread.
fn inodes(sockets: &[Socket; 2]) -> Result<[(u64, u64); 2]> {
    let netns = fs::metadata(OWN)?.ino();
    Ok([(ino(&sockets[0])?, netns), (ino(&sockets[1])?, netns)])
}

/// The value of a number in a line of JSON.
fn number(line: &str, before: &str) -> Option<u64> {
    let (_, rest) = line.split_once(before)?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..end].parse().ok()
}

/// The inode of the socket in a line of JSON. It follows the user.
pub fn socket_of(line: &str) -> Option<u64> {
    let (_, rest) = line.rsplit_once(r#""uid":"#)?;
    number(rest, r#""ino":"#)
}

/// The namespaces of each socket, by its inode.
fn listed(args: &[&str]) -> Result<BTreeMap<u64, Vec<u64>>> {
    let said = said_by(&[], &[&["-ln", "--all-netns", "--json"], args].concat())?;
    let mut found: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for line in said.out.lines() {
        let netns = number(line, r#""netns":{"ino":"#).with_context(|| line.to_owned())?;
        if let Some(ino) = socket_of(line).filter(|ino| *ino != 0) {
            found.entry(ino).or_default().push(netns);
        }
    }
    Ok(found)
}

/// Namespaces that a process, a thread, a name, a mount, a mount of another mount namespace, and an
/// open descriptor keep.
fn each_namespace_once() -> Result<()> {
    let mut expected = Vec::new();
    let mut kept = Vec::new();
    let mut mounts = Vec::new();
    // The names of ip-netns(8).
    fs::create_dir_all("/run/netns")?;
    let named = PathBuf::from("/run/netns").join(name("blue"));
    let elsewhere = std::env::temp_dir().join(name("elsewhere"));
    for path in [named, elsewhere] {
        let (mounted, sockets, found) = in_fresh(|| {
            let sockets = sockets()?;
            let found = inodes(&sockets)?;
            let thread = format!("/proc/self/task/{}/ns/net", nix::unistd::gettid());
            Ok((Mounted::new(path, &thread)?, sockets, found))
        })?;
        expected.extend(found);
        kept.extend(sockets);
        mounts.push(mounted);
    }
    let (descriptor, sockets_there, found) = in_fresh(|| {
        let sockets = sockets()?;
        let found = inodes(&sockets)?;
        Ok((fs::File::open(OWN)?, sockets, found))
    })?;
    expected.extend(found);
    kept.extend(sockets_there);
    let (process, found) = in_fresh(|| {
        let sockets = sockets()?;
        let found = inodes(&sockets)?;
        Ok((Process::with(sockets)?, found))
    })?;
    expected.extend(found);
    // A process in another mount namespace, where a namespace is mounted that nothing else keeps.
    let (hidden, found, kept_there) = in_fresh(|| {
        let sockets = sockets()?;
        let found = inodes(&sockets)?;
        let point = std::env::temp_dir().join(name("hidden"));
        fs::write(&point, "")?;
        let script = format!(
            "mount --bind /proc/{}/task/{}/ns/net {} && echo ready && exec nsenter --net=/proc/1/ns/net sleep 1000",
            std::process::id(),
            nix::unistd::gettid(),
            point.display()
        );
        let mut child = Command::new("unshare");
        child.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        let mut child = child.stdout(Stdio::piped()).spawn().context("unshare")?;
        let out = child.stdout.take().context("no output")?;
        let child = Process(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        ensure!(line == "ready\n", "unshare says {line:?}");
        Ok((child, found, sockets))
    })?;
    expected.extend(found);
    kept.extend(kept_there);
    wait_for("nsenter", 10, || {
        let own = fs::metadata(format!("/proc/{}/ns/net", hidden.id()))?.ino();
        let first = fs::metadata("/proc/1/ns/net")?.ino();
        Ok(if own == first {
            Ok(())
        } else {
            Err("still in it".to_owned())
        })
    })?;
    // This thread keeps the last one.
    in_fresh(|| {
        let sockets = sockets()?;
        expected.extend(inodes(&sockets)?);
        let found = listed(&[])?;
        for (ino, netns) in &expected {
            let places = found.get(ino).cloned().unwrap_or_default();
            ensure!(
                places == [*netns],
                "{ino} is in {netns}, listed in {places:?}"
            );
        }
        let twice = found.iter().find(|(_, places)| places.len() > 1);
        ensure!(twice.is_none(), "listed twice: {twice:?}");
        // A namespace is selected by its name, inode, path, and by a process.
        let blue = name("blue");
        let path = format!("/run/netns/{blue}");
        let pid = process.id().to_string();
        let inode = expected[0].1.to_string();
        for (text, of) in [(&blue, 0), (&path, 0), (&inode, 0), (&pid, 6)] {
            let selected = selected_by(&["-ln", "--all-netns", "netns", "=", text])?;
            let inos = [expected[of].0, expected[of + 1].0];
            ensure!(
                selected.iter().eq(&inos),
                "netns={text}: {selected:?} rather than {inos:?}"
            );
            // These are sockets of other tests, too. One that was just closed has no inode.
            let others = output_of(&["-lnH", "--all-netns", "netns", "!=", text])?;
            let has = |ino: &u64| {
                others
                    .lines()
                    .any(|row| row.ends_with(&format!("ino={ino}")))
            };
            ensure!(
                others.contains("ino=") && !inos.iter().any(has),
                "netns!={text}"
            );
        }
        Ok(())
    })?;
    drop((descriptor, hidden, mounts, kept));
    fs::remove_file(std::env::temp_dir().join(name("hidden")))?;
    Ok(())
}

/// A control group that is removed with its test.
pub struct Group(PathBuf);

impl Group {
    pub fn create(path: &str) -> Result<Self> {
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = root.iter().find(|root| root.join("cgroup.procs").exists());
        let root = root.context("no control groups of version 2 are mounted")?;
        let group = Self(root.join(path));
        fs::create_dir_all(&group.0).with_context(|| path.to_owned())?;
        Ok(group)
    }

    pub fn take(&self, pid: u32) -> Result<()> {
        let procs = self.0.join("cgroup.procs");
        fs::write(&procs, pid.to_string()).with_context(|| procs.display().to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that was killed leaves its group a moment later.
        let _ = wait_for("the group to be empty", 5, || {
            Ok(fs::remove_dir(&self.0).map_err(|err| err.to_string()))
        });
    }
}

/// Processes in control groups as runtimes make them, in network and UTS namespaces of their own.
fn containers() -> Result<()> {
    let id = |digit: char| digit.to_string().repeat(64);
    let (docker, libpod, cri) = (id('d'), id('e'), id('f'));
    let pod = "74c13223-5a00-11e9-b385-42010a80018d";
    let groups = [
        (
            format!("docker-{docker}.scope"),
            format!("docker:{}(web-1)", &docker[..12]),
        ),
        (
            format!("libpod-{libpod}.scope"),
            format!("podman:{}(web-1)", &libpod[..12]),
        ),
        (
            format!(
                "kubepods-pod{}.slice/cri-containerd-{cri}.scope",
                pod.replace('-', "_")
            ),
            format!("containerd:{}(web-1)", &cri[..12]),
        ),
        (
            "lxc.payload.knetstat".to_owned(),
            "lxc:knetstat(web-1)".to_owned(),
        ),
        (
            "knetstat-test.service".to_owned(),
            "systemd:knetstat-test.service".to_owned(),
        ),
        (
            "knetstat,test.service".to_owned(),
            r"systemd:knetstat\x2ctest.service".to_owned(),
        ),
    ];
    let mut stage = Vec::new();
    for (path, shown) in &groups {
        let group = Group::create(path)?;
        let (process, found) = in_fresh(|| {
            unshare(CloneFlags::CLONE_NEWUTS)?;
            sethostname("web-1")?;
            let sockets = sockets()?;
            let found = inodes(&sockets)?;
            Ok((Process::with(sockets)?, found))
        })?;
        group.take(process.id())?;
        // The process is ended before its group is removed.
        stage.push((process, group, found.map(|(ino, _)| ino), shown));
    }
    let out = said_by(&[], &["-anH", "--all-netns"])?.out;
    for (_, _, inos, shown) in &stage {
        for ino in inos {
            let end = format!("ino={ino}");
            let line = out.lines().find(|line| line.ends_with(&end));
            let line = line.with_context(|| format!("no row of {ino}"))?;
            let found = line.split_ascii_whitespace().nth(1);
            ensure!(found == Some(shown.as_str()), "{shown}: {line}");
        }
    }
    let of = |which: &[usize]| -> Vec<u64> {
        let mut inos: Vec<_> = which.iter().flat_map(|at| stage[*at].2).collect();
        inos.sort_unstable();
        inos
    };
    let docker_id = format!("docker:{docker}");
    let pod_parent = format!("/kubepods-pod{}.slice", pod.replace('-', "_"));
    for (filter, which) in [
        (["container", "=", docker.as_str()], &[0][..]),
        (["container", "=", docker_id.as_str()], &[0]),
        (["container", "=", &libpod[..12]], &[1]),
        (["container", "=", pod], &[2]),
        (["container", "=", "knetstat"], &[3]),
        (["container", "=", "knetstat-test.service"], &[4]),
        (["container", "=", "web-1"], &[0, 1, 2, 3]),
        (["cgroup", "=", pod_parent.as_str()], &[2]),
        (
            ["cgroup", "=", "/sys/fs/cgroup/knetstat-test.service"],
            &[4],
        ),
        // A name with a comma, plain and with the escapes of the list.
        (["container", "=", "knetstat,test.service"], &[5]),
        (["container", "=", stage[5].3.as_str()], &[5]),
        (["cgroup", "=", "/knetstat,test.service"], &[5]),
        (["cgroup", "=", r"/knetstat\x2ctest.service"], &[5]),
    ] {
        let found = selected_by(&[&["-ln", "--all-netns"][..], &filter].concat())?;
        ensure!(found.into_iter().eq(of(which)), "{filter:?}");
    }
    let found = selected_by(&["-ln", "--all-netns", "container"])?;
    ensure!(
        of(&[0, 1, 2, 3]).iter().all(|ino| found.contains(ino)),
        "{found:?}"
    );
    ensure!(
        of(&[4, 5]).iter().all(|ino| !found.contains(ino)),
        "{found:?}"
    );
    for (by, subject) in [("", "container "), ("--by=container", "")] {
        let mut words = vec!["summary", "-an", "--all-netns", by];
        words.retain(|word| !word.is_empty());
        let counts = said_by(&[], &words)?.out;
        for (_, _, _, shown) in &stage {
            let line = format!("2 {subject}{shown}");
            ensure!(
                counts.lines().any(|found| found.trim_start() == line),
                "{line}: {counts}"
            );
        }
    }
    Ok(())
}

/// With hidepid=1, a user sees that there are processes of others, and nothing of them. The control
/// group of the processes that he sees is not that of all sockets.
fn hidepid() -> Result<()> {
    let sockets = sockets()?;
    let group = Group::create("knetstat-user.service")?;
    let program = guest().dir.join("knetstat");
    let script = format!(
        "echo $$ > {}/cgroup.procs && exec {} {} -anH --all-netns",
        group.0.display(),
        NOBODY.join(" "),
        program.display()
    );
    let remount = |mode: u8| {
        let options = format!("remount,hidepid={mode}");
        Command::new("mount")
            .args(["-o", &options, "/proc"])
            .status()
    };
    for mode in [0, 1, 2] {
        ensure!(remount(mode)?.success(), "hidepid={mode}");
        let output = Command::new("sh").args(["-c", &script]).output();
        ensure!(remount(0)?.success(), "hidepid=0");
        let output = output?;
        let text = String::from_utf8(output.stdout)?;
        for (ino, _) in inodes(&sockets)? {
            let end = format!("ino={ino}");
            let row = text.lines().find(|line| line.ends_with(&end));
            let row = row.with_context(|| format!("hidepid={mode}: no {ino}: {text}"))?;
            let place = row.split_ascii_whitespace().nth(1);
            ensure!(matches!(place, Some("?" | "-")), "hidepid={mode}: {row}");
        }
    }
    Ok(())
}

/// A filter compares with the defaults of the namespace that a socket is in.
fn defaults() -> Result<()> {
    let mut stage = Vec::new();
    for seconds in ["1111", "2222"] {
        let made = in_fresh(|| {
            fs::write("/proc/sys/net/ipv4/tcp_keepalive_time", seconds)?;
            let sockets = sockets()?;
            sockets[0].set_keepalive(true)?;
            let [(ino, _), _] = inodes(&sockets)?;
            Ok((Process::with(sockets)?, ino, seconds))
        })?;
        stage.push(made);
    }
    for (_, ino, seconds) in &stage {
        let filter = format!("TCP_KEEPIDLE={seconds}");
        let found = selected_by(&["-tan", "--all-netns", &filter])?;
        ensure!(
            found.iter().eq([ino]),
            "{filter}: {found:?} rather than {ino}"
        );
    }
    Ok(())
}

/// A user sees the sockets of namespaces with processes, and a note on what is missing.
fn what_a_user_sees() -> Result<()> {
    let (process, [(ino, _), _]) = in_fresh(|| {
        let sockets = sockets()?;
        let found = inodes(&sockets)?;
        Ok((Process::with(sockets)?, found))
    })?;
    let named = PathBuf::from("/run/netns").join(name("closed"));
    fs::create_dir_all("/run/netns")?;
    let (mounted, kept, [(closed, _), _]) = in_fresh(|| {
        let sockets = sockets()?;
        let found = inodes(&sockets)?;
        let thread = format!("/proc/self/task/{}/ns/net", nix::unistd::gettid());
        Ok((Mounted::new(named, &thread)?, sockets, found))
    })?;
    let said = said_by(&NOBODY, &["-anH", "--all-netns"])?;
    let row = |ino: u64| {
        let end = format!("ino={ino}");
        said.out
            .lines()
            .filter(move |line| line.ends_with(&end))
            .collect::<Vec<_>>()
    };
    let rows = row(ino);
    ensure!(rows.len() == 1 && rows[0].starts_with("?  "), "{rows:?}");
    ensure!(row(closed).is_empty(), "a user may not enter it");
    for part in ["cannot read ", "needs CAP_SYS_ADMIN", "cannot examine "] {
        ensure!(said.notes.contains(part), "{part}: {}", said.notes);
    }
    // Root without CAP_SYS_PTRACE does not see which namespace the process is in, but enters it by
    // its name. Its sockets are listed once all the same, with the name.
    let path = PathBuf::from("/run/netns").join(name("both"));
    let both = Mounted::new(path, &format!("/proc/{}/ns/net", process.id()))?;
    for by in [&[][..], &WITHOUT_PTRACE] {
        let out = said_by(by, &["-anH", "--all-netns"])?.out;
        for (ino, netns) in [(ino, "both"), (closed, "closed")] {
            let end = format!("ino={ino}");
            let rows: Vec<_> = out.lines().filter(|line| line.ends_with(&end)).collect();
            ensure!(
                rows.len() == 1 && rows[0].starts_with(&name(netns)),
                "{by:?}: {ino} is listed {} times: {rows:?}",
                rows.len()
            );
        }
    }
    drop(both);
    // The inode of a namespace is hidden, and so is the answer.
    let pid = process.id().to_string();
    let path = format!("/proc/{pid}/ns/net");
    for (by, remedy) in [
        (&NOBODY[..], "run as root"),
        (&WITHOUT_PTRACE, "run with CAP_SYS_PTRACE"),
    ] {
        for text in [&pid, &path] {
            let refused = said_by(by, &["-anH", "--all-netns", "netns", "=", text])?;
            ensure!(refused.notes.contains(remedy), "{}", refused.notes);
            let refused = said_by(by, &["-anH", "-N", text])?;
            ensure!(
                refused.notes.contains("cannot open the network namespace"),
                "{by:?}: {}",
                refused.notes
            );
        }
    }
    drop((mounted, kept));
    Ok(())
}

/// Several readers see the threads of each other enter namespaces, and list their sockets all the same.
fn at_the_same_time() -> Result<()> {
    fs::create_dir_all("/run/netns")?;
    let mut stage = Vec::new();
    for number in 0..8 {
        let path = PathBuf::from("/run/netns").join(name(&format!("busy-{number}")));
        let made = in_fresh(|| {
            let sockets = sockets()?;
            let found = inodes(&sockets)?;
            let thread = format!("/proc/self/task/{}/ns/net", nix::unistd::gettid());
            Ok((Mounted::new(path, &thread)?, sockets, found))
        })?;
        stage.push(made);
    }
    let inos = stage.iter().flat_map(|(_, _, found)| found);
    let inos: Vec<_> = inos.map(|(ino, _)| *ino).collect();
    let read = |by: &[&str]| -> Result<()> {
        for _ in 0..4 {
            let out = said_by(by, &["-anH", "--all-netns"])?.out;
            for ino in &inos {
                let end = format!("ino={ino}");
                let count = out.lines().filter(|line| line.ends_with(&end)).count();
                ensure!(count == 1, "{by:?}: {ino} is listed {count} times");
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let read = &read;
        let readers = [&[][..], &[], &WITHOUT_PTRACE, &WITHOUT_PTRACE];
        let readers = readers.map(|by| scope.spawn(move || read(by)));
        readers.into_iter().try_for_each(|reader| {
            let read = reader.join();
            read.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

/// Namespaces that come and go while the command watches.
fn watched() -> Result<()> {
    let mut watch = command_by(&[]);
    watch.args([
        "-tan",
        "--all-netns",
        "--watch=0.2",
        "SO_KEEPALIVE",
        "TCP_KEEPCNT=77",
    ]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().context("knetstat")?;
    let out = BufReader::new(watch.stdout.take().context("no output")?);
    let watch = Process(watch);
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let next = |what: &str, ino: u64| -> Result<()> {
        let mut seen = String::new();
        wait_for(what, 20, || {
            for line in lines.try_iter() {
                seen += &line;
                seen.push('\n');
            }
            let end = format!("ino={ino}");
            let found = seen
                .lines()
                .any(|line| line.contains(what) && line.ends_with(&end));
            Ok(if found { Ok(()) } else { Err(seen.clone()) })
        })
    };
    let first = lines.recv()?;
    ensure!(first.starts_with("Time "), "{first}");
    let (process, ino, namespace) = in_fresh(|| {
        let sockets = sockets()?;
        sockets[0].set_keepalive(true)?;
        sockets[0].set_tcp_keepalive(&socket2::TcpKeepalive::new().with_retries(77))?;
        let [(ino, _), _] = inodes(&sockets)?;
        Ok((Process::with(sockets)?, ino, fs::File::open(OWN)?))
    })?;
    next(" came ", ino)?;
    // The namespace has neither a process nor a socket, and then it is gone.
    drop(process);
    next(" went ", ino)?;
    in_namespace_of(Some(&namespace), || Ok(()))?;
    drop((namespace, watch));
    Ok(())
}

/// The events since a copy of all namespaces: of one that a process keeps, of one that only a name
/// keeps, of one that is gone, and of one that is new. A copy of one namespace is another thing.
fn since_a_copy() -> Result<()> {
    fs::create_dir_all("/run/netns")?;
    let with_process = || -> Result<_> {
        let sockets = sockets()?;
        let found = inodes(&sockets)?;
        let listener = sockets[0].try_clone()?;
        Ok((Process::with(sockets)?, listener, found))
    };
    let (process, listener, [(changed, netns), (unchanged, _)]) = in_fresh(with_process)?;
    let path = PathBuf::from("/run/netns").join(name("named"));
    let (mounted, sockets, [(closed, _), (kept, _)]) = in_fresh(|| {
        let sockets = sockets()?;
        let found = inodes(&sockets)?;
        let thread = format!("/proc/self/task/{}/ns/net", nix::unistd::gettid());
        Ok((Mounted::new(path, &thread)?, sockets, found))
    })?;
    let (ended, ended_listener, [(gone, _), _]) = in_fresh(with_process)?;

    let files = ["all", "user", "one"].map(|what| Copied(Path::new("/tmp").join(name(what))));
    let [all, user, one] = files.each_ref().map(|file| file.0.to_str().unwrap());
    let everywhere = ["copy", "--all-netns"];
    for (by, args, file) in [
        (&[][..], &everywhere[..], all),
        (&NOBODY, &everywhere, user),
        (&[], &["copy"], one),
    ] {
        let said = said_by(by, args)?;
        ensure!(said.status == Some(0), "{by:?}: {}", said.notes);
        // Root sees each namespace, and the user does not.
        let has_all = !said.out.contains("net:[?]");
        ensure!(has_all != by.contains(&"setpriv"), "{by:?}: {}", said.notes);
        fs::write(file, said.out)?;
    }
    // Each namespace once, with what its files show.
    let copy = fs::read_to_string(all)?;
    let line = format!("net:[{netns}]\n");
    let (before, after) = copy.split_once(&line).context(line.clone())?;
    ensure!(
        !before.contains(&line) && !after.contains(&line),
        "{line} is there twice"
    );
    let files = ["udpstat", "udp6stat", "tcpstat", "tcp6stat"];
    let paths = files.map(|file| format!("/proc/{}/net/{file}", process.id()));
    let text = paths
        .iter()
        .map(fs::read_to_string)
        .collect::<Result<String, _>>()?;
    ensure!(
        after.starts_with(&text),
        "{text}is not what follows {line}{after}"
    );
    let of_user = fs::read_to_string(user)?;
    ensure!(!of_user.contains(&line), "{of_user}");
    // A copy whose end is missing, although its last line is whole.
    let cut = copy.strip_suffix("net:[end]\n").context("no end")?;
    let cut_off = Copied(Path::new("/tmp").join(name("cut")));
    fs::write(&cut_off.0, cut)?;
    let cut_off = cut_off.0.to_str().context("a path")?;

    listener.set_keepalive(true)?;
    let [first, second] = sockets;
    let (fresh, fresh_listener, [(new, _), _]) = in_fresh(with_process)?;
    drop((first, ended, ended_listener));
    let events = |by: &[&str], file: &str, filter: &[&str]| -> Result<_> {
        let args = ["-an", "--json", "--all-netns", "--since", file];
        let said = said_by(by, &[&args, filter].concat())?;
        ensure!(said.status == Some(0), "{}", said.notes);
        let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        let is_event = |line: &&str| line.contains(r#""event":"#);
        for line in said.out.lines().filter(is_event) {
            let text = |before| {
                let (_, rest) = line.split_once(before)?;
                Some(rest.split('"').next()?.to_owned())
            };
            let event = text(r#""event":""#).with_context(|| line.to_owned())?;
            let name = text(r#","name":""#);
            let netns = name.or_else(|| Some(number(line, r#""netns":{"ino":"#)?.to_string()));
            let what = format!("{event} {}", netns.unwrap_or_default());
            found
                .entry(socket_of(line).unwrap_or_default())
                .or_default()
                .push(what);
        }
        Ok((found, said.notes))
    };
    let (found, notes) = events(&[], all, &[])?;
    let named = name("named");
    for (ino, what) in [
        (changed, format!("changed {netns}")),
        (closed, format!("went {named}")),
    ] {
        let event = found.get(&ino).map(Vec::as_slice);
        ensure!(
            event == Some(&[what.clone()][..]),
            "{what}: {event:?}\n{found:?}\n{notes}"
        );
    }
    for (ino, what) in [(gone, "went "), (new, "came ")] {
        let event = found.get(&ino).map_or(&[][..], Vec::as_slice);
        ensure!(
            event.len() == 1 && event[0].starts_with(what),
            "{what}: {event:?}"
        );
    }
    for ino in [unchanged, kept] {
        ensure!(
            !found.contains_key(&ino),
            "nothing has happened to {ino}: {found:?}"
        );
    }
    ensure!(!notes.contains("not compared"), "{notes}");
    // Rows leave TCP_DEFER_ACCEPT out if it is not set, also those of the copy. The kernel tells the
    // default in the namespace of the socket.
    let (of_default, notes) = events(&[], all, &["TCP_DEFER_ACCEPT=0", "SO_KEEPALIVE=0"])?;
    ensure!(
        of_default.get(&changed) == Some(&vec![format!("went {netns}")]),
        "{of_default:?}\n{notes}"
    );
    // The filter tests the name that the namespace of a closed socket has.
    let (of_name, _) = events(&[], all, &["netns", "=", &named])?;
    ensure!(of_name.keys().eq([&closed]), "{of_name:?}");
    // The copy contains no processes. Those of a socket that was closed are not known, even if its
    // namespace exists.
    let pid = process.id().to_string();
    let fresh_pid = fresh.id().to_string();
    for (pid, ino) in [(&pid, changed), (&fresh_pid, new)] {
        let (of_pid, notes) = events(&[], all, &["pid", "=", pid])?;
        ensure!(of_pid.contains_key(&ino), "{pid}: {of_pid:?}");
        for other in [changed, unchanged, closed, kept, gone, new] {
            let is_there = of_pid.contains_key(&other);
            ensure!(is_there == (other == ino), "{pid}: {other} in {of_pid:?}");
        }
        ensure!(notes.contains("they have been closed since"), "{notes}");
        let (of_others, _) = events(&[], all, &["pid", "!=", pid])?;
        for other in [closed, gone, ino] {
            ensure!(!of_others.contains_key(&other), "not {pid}: {of_others:?}");
        }
    }
    // Nothing is reported of a namespace that one of the two reads could not see.
    for (by, file) in [(&NOBODY[..], all), (&[], user), (&NOBODY, user)] {
        let (found, notes) = events(by, file, &[])?;
        for ino in [changed, unchanged, closed, kept, gone, new] {
            ensure!(
                !found.contains_key(&ino),
                "{by:?} {file}: {ino} in {found:?}"
            );
        }
        ensure!(
            notes.contains("are not compared, because"),
            "{by:?} {file}: {notes}"
        );
    }
    for (args, why) in [
        (&["--since", all][..], "a copy of all network namespaces"),
        (
            &["--all-netns", "--since", one],
            "a copy of one network namespace",
        ),
        (
            &["--all-netns", "--since", "/dev/null"],
            "not a copy of the files",
        ),
        (
            &["--all-netns", "--since", cut_off],
            "the end of the copy is missing",
        ),
    ] {
        let refused = said_by(&[], args)?;
        let is_refused = refused.status == Some(1) && refused.out.is_empty();
        ensure!(
            is_refused && refused.notes.contains(why),
            "{args:?}: {}",
            refused.notes
        );
    }
    let said = said_by(&[], &["-anH", "--since", one])?;
    ensure!(said.status == Some(0), "{}", said.notes);
    drop((process, mounted, second, fresh, fresh_listener));
    Ok(())
}

/// A file that is removed with its test.
pub struct Copied(pub PathBuf);

impl Drop for Copied {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
