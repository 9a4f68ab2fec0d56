// SPDX-License-Identifier: GPL-2.0

//! A scan of `/proc` for the owners of sockets.
//!
//! The threads of a process usually share one table of descriptors, which `/proc/PID/fd` lists. A
//! thread has a table of its own after `unshare(CLONE_FILES)`. If the main thread has ended,
//! `/proc/PID/fd` is empty, and `/proc/PID/task/TID/fd` of another thread lists the table.

use crate::source::cgroup::{self, Cgroup, Hostnames};
use crate::source::namespaces::search::Search;
use crate::source::proc_mount::{is_procfs, open_directory};
use crate::source::process::link::{inode, RING};
use crate::source::process::name::{Name, Names};
use crate::source::process::owner::{Owner, Task};
use crate::source::process::ring::{Id, Rings};
use crate::source::process::unseen::{denied, Denied, Unseen};
use crate::source::tables::{self, descriptors, number, room, Descriptor, Place, WITHOUT_KCMP};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{readlinkat, statx, AtFlags, RawDir, StatxFlags};
use std::collections::{HashMap, HashSet};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::rc::Rc;
use std::{fs, io, str};

/// The details that a scan reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Detail {
    /// Whether each thread is an owner.
    pub threads: bool,
    /// Whether all names of processes are needed, for a filter.
    pub names: bool,
    /// Whether network namespaces, control groups and containers are needed.
    pub namespaces: bool,
}

/// The number of links of `/proc/PID/task` if there is one thread: the directory has two, and each
/// thread adds one.
const ONE_THREAD: u32 = 3;

/// A scan that is under way.
pub struct Scan<'a> {
    proc: &'a OwnedFd,
    /// The ID of this process in `/proc`.
    own: Option<i32>,
    detail: Detail,
    /// The inodes of sockets, with their owners.
    pub found: Vec<(u64, Owner)>,
    pub unseen: Unseen,
    /// The namespaces, if they are needed.
    pub namespaces: Option<Search>,
    /// The control groups by path.
    cgroups: HashMap<Box<str>, Rc<Cgroup>>,
    hostnames: Hostnames,
    /// The buffer for the entries of a table of descriptors.
    room: Vec<MaybeUninit<u8>>,
    /// The number of descriptors that may still be read without kcmp(2).
    pub left: usize,
    rings: Rings,
}

/// A process that is being examined.
struct ExaminedProcess {
    pid: i32,
    /// The name and all names; `None` until a socket is found.
    names: Option<(Name, Rc<Names>)>,
    cgroup: Option<Rc<Cgroup>>,
    /// The io_urings whose sockets were added; with threads, those of the table that is being read.
    rings: HashSet<Id>,
}

/// A table of descriptors that was read.
struct Table {
    /// A thread that uses it.
    tid: i32,
    /// The sockets in it, as a part of [`Scan::found`].
    sockets: Range<usize>,
}

/// Whether the main thread of a process has ended. Others may go on.
pub fn has_main_thread_ended(pid: i32) -> bool {
    // The file of the process has the sums of all threads, which takes longer.
    let stat = fs::read(format!("/proc/{pid}/task/{pid}/stat")).unwrap_or_default();
    // The name in brackets may contain any byte.
    let behind = stat.rsplit(|byte| *byte == b')').next().unwrap_or_default();
    matches!(behind, [b' ', b'Z' | b'X', ..])
}

/// Whether this error means that the process or thread has ended.
fn has_ended(err: &io::Error) -> bool {
    err.kind() == io::ErrorKind::NotFound || err.raw_os_error() == Some(libc::ESRCH)
}

/// The path of the control group of a process. A main thread that has ended stays in the group in
/// which it ended, although the process may be moved. `tids` are its threads, if it has several.
fn cgroup_path(pid: i32, tids: &[i32]) -> Option<Box<str>> {
    if !tids.is_empty() && has_main_thread_ended(pid) {
        let mut others = tids.iter().filter(|tid| **tid != pid);
        let of_other = others.find_map(|tid| Cgroup::path_of(&format!("{pid}/task/{tid}")));
        if of_other.is_some() {
            return of_other;
        }
    }
    Cgroup::path_of(&pid.to_string())
}

impl<'a> Scan<'a> {
    pub fn new(proc: &'a OwnedFd, detail: Detail, unseen: Unseen) -> Self {
        let own = readlinkat(proc, "self", Vec::new()).ok();
        Self {
            proc,
            own: own.and_then(|own| number(&own)),
            detail,
            found: Vec::new(),
            unseen,
            namespaces: detail.namespaces.then(Search::new),
            cgroups: HashMap::new(),
            hostnames: Hostnames::new(),
            room: room(),
            left: WITHOUT_KCMP,
            rings: Rings::new(),
        }
    }

    /// Adds the sockets that a process has open.
    pub fn process(&mut self, pid: i32) {
        // Of several threads, each may be in another namespace.
        let tids = match self.namespaces.is_some() && self.has_threads(pid) {
            true => self.tids(pid).unwrap_or_default(),
            false => Vec::new(),
        };
        let mut process = ExaminedProcess {
            pid,
            names: None,
            cgroup: self.cgroup(pid, &tids),
            rings: HashSet::new(),
        };
        let are_mounts_seen = self.places(&process, &tids);
        let is_seen = match self.table(&mut process, pid) {
            Ok((main, _)) => {
                let has_threads = self.has_threads(pid);
                let are_threads_seen = !has_threads || self.threads(&mut process, Some(main));
                are_threads_seen && are_mounts_seen
            }
            Err(_) => match denied(pid, self.unseen.sight.is_own_namespace) {
                Denied::Nothing => true,
                Denied::Threads => self.threads(&mut process, None),
                Denied::Process => false,
                Denied::Unknown => {
                    self.unseen.uncertain += 1;
                    false
                }
            },
        };
        self.unseen.denied += usize::from(!is_seen);
    }

    /// The control group of a process, if it is needed. `tids` are its threads, if it has several.
    fn cgroup(&mut self, pid: i32, tids: &[i32]) -> Option<Rc<Cgroup>> {
        self.namespaces.as_ref()?;
        let path = cgroup_path(pid, tids)?;
        let known = self.cgroups.entry(path);
        let hostnames = &mut self.hostnames;
        let group =
            known.or_insert_with_key(|path| Rc::new(Cgroup::here(path).share_hostname(hostnames)));
        group.look_up_hostname(pid);
        Some(Rc::clone(group))
    }

    /// Adds the network namespaces of a process and of its threads `tids`, and those that are mounted
    /// where it sees them. Returns whether the mounts could be examined.
    fn places(&mut self, process: &ExaminedProcess, tids: &[i32]) -> bool {
        let Some(mut search) = self.namespaces.take() else {
            return true;
        };
        let (pid, cgroup) = (process.pid, self.telling_cgroup(process));
        let directory = pid.to_string();
        let main = search.member(self.proc, &directory, None, cgroup);
        if self.is_missing(process, main) {
            search.miss();
        }
        let mounts = search.mounts(self.proc, &directory, None);
        let mut are_seen = mounts.is_ok();
        let mounts = mounts.ok().flatten();
        for tid in tids {
            let directory = format!("{pid}/task/{tid}");
            search.member(self.proc, &directory, main, cgroup);
            let of_thread = search.mounts(self.proc, &directory, mounts.as_deref());
            are_seen &= of_thread.is_ok();
        }
        self.namespaces = Some(search);
        are_seen
    }

    /// Whether a process goes on although its network namespace or its control group is not known,
    /// for example because something is mounted over its directory.
    fn is_missing(&self, process: &ExaminedProcess, netns: Option<u64>) -> bool {
        let has_ended = || {
            let found = denied(process.pid, self.unseen.sight.is_own_namespace);
            // The other threads count for themselves.
            matches!(found, Denied::Nothing | Denied::Threads)
        };
        let lacks_cgroup = process.cgroup.is_none() && cgroup::exist();
        (netns.is_none() || lacks_cgroup) && !has_ended()
    }

    /// The control group of a process, if it tells something about the network namespace. This
    /// process may have entered the namespace of others, and remains in the group of its caller.
    fn telling_cgroup<'p>(&self, process: &'p ExaminedProcess) -> Option<&'p Rc<Cgroup>> {
        let is_own = self.own == Some(process.pid);
        process.cgroup.as_ref().filter(|_| !is_own)
    }

    /// Adds the sockets in the table of a thread. Returns the table with the number of descriptors.
    fn table(&mut self, process: &mut ExaminedProcess, tid: i32) -> io::Result<(Table, usize)> {
        let directory = match process.pid {
            pid if pid == tid => format!("{pid}/fd"),
            pid => format!("{pid}/task/{tid}/fd"),
        };
        let directory = open_directory(self.proc, directory)?;
        if !is_procfs(&directory) {
            // Another file system is mounted over that of the process.
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if self.detail.threads {
            process.rings.clear();
        }
        let begin = self.found.len();
        let mut room = std::mem::take(&mut self.room);
        let count = self.sockets(&directory, &mut room, process, tid);
        self.room = room;
        let table = Table {
            tid,
            sockets: begin..self.found.len(),
        };
        Ok((table, count?))
    }

    /// Adds the sockets in an open directory of descriptors. Returns the number of descriptors.
    fn sockets(
        &mut self,
        directory: impl AsFd,
        room: &mut [MaybeUninit<u8>],
        process: &mut ExaminedProcess,
        tid: i32,
    ) -> io::Result<usize> {
        let mut task = None;
        descriptors(&directory, room, |descriptor| {
            let Descriptor { fd, name, target } = descriptor;
            let target = str::from_utf8(target).unwrap_or_default();
            let Some(ino) = inode(target) else {
                if target == RING {
                    let id = self.rings.id(&directory, name);
                    for ino in self.of_ring(id, process, tid, fd)?.iter() {
                        let task = self.known_task(&mut task, process, tid)?;
                        self.found.push((*ino, Owner { task, fd }));
                    }
                    return Ok(());
                }
                if let Some(search) = &mut self.namespaces {
                    let path = || format!("/proc/{}/task/{tid}/fd/{fd}", process.pid);
                    search.descriptor(&directory, descriptor, path);
                }
                return Ok(());
            };
            let task = self.known_task(&mut task, process, tid)?;
            self.found.push((ino, Owner { task, fd }));
            Ok(())
        })
    }

    /// The inodes of the sockets that an io_uring holds, which a thread has open as this
    /// descriptor. There are none if they were added for another descriptor of the process.
    ///
    /// # Errors
    ///
    /// If this process may not examine the thread.
    fn of_ring(
        &mut self,
        id: Option<Id>,
        process: &mut ExaminedProcess,
        tid: i32,
        fd: i32,
    ) -> io::Result<Rc<[u64]>> {
        let none = || Rc::from([]);
        if id.is_some_and(|id| !process.rings.insert(id)) {
            return Ok(none());
        }
        let fdinfo = format!("/proc/{}/task/{tid}/fdinfo/{fd}", process.pid);
        match self.rings.sockets(id, &fdinfo) {
            Ok(found) => {
                self.unseen.rings += usize::from(found.is_none());
                Ok(found.unwrap_or_else(none))
            }
            // The descriptor was closed in the meantime, or the thread has ended. Another descriptor
            // may show the ring.
            Err(err) if has_ended(&err) => {
                id.iter().for_each(|id| {
                    process.rings.remove(id);
                });
                Ok(none())
            }
            Err(err) => Err(err),
        }
    }

    /// The owner of the sockets in the table of a thread, unless it is `known` from an earlier
    /// socket.
    ///
    /// # Errors
    ///
    /// Those of [`Scan::task`].
    fn known_task(
        &self,
        known: &mut Option<Rc<Task>>,
        process: &mut ExaminedProcess,
        tid: i32,
    ) -> io::Result<Rc<Task>> {
        let task = match known.take() {
            Some(task) => task,
            None => self.task(process, tid)?,
        };
        Ok(Rc::clone(known.insert(task)))
    }

    /// The owner of the sockets in the table of a thread.
    ///
    /// # Errors
    ///
    /// If the process or thread has ended, so that it has no sockets any more.
    fn task(&self, process: &mut ExaminedProcess, tid: i32) -> io::Result<Rc<Task>> {
        let pid = process.pid;
        let (name, names) = match process.names.take() {
            Some(names) => names,
            None => self.names(pid)?,
        };
        process.names = Some((name.clone(), Rc::clone(&names)));
        let is_thread = self.detail.threads && tid != pid;
        Ok(Rc::new(Task {
            name: match is_thread {
                true => Name::read(&format!("{pid}/task/{tid}"))?,
                false => name,
            },
            pid,
            tid: self.detail.threads.then_some(tid),
            names,
            cgroup: process.cgroup.clone(),
        }))
    }

    /// The name of a process, and all its names if a filter needs them.
    fn names(&self, pid: i32) -> io::Result<(Name, Rc<Names>)> {
        let name = Name::read(&pid.to_string())?;
        let mut names = Names::of(name.clone());
        if self.detail.names {
            names.reveal(pid);
            if self.has_threads(pid) {
                for tid in self.tids(pid).unwrap_or_default() {
                    // The name of a thread that has ended is not known.
                    if let Ok(name) = Name::read(&format!("{pid}/task/{tid}")) {
                        names.add(name);
                    }
                }
            }
        }
        Ok((name, Rc::new(names)))
    }

    /// Whether a process may have several threads.
    fn has_threads(&self, pid: i32) -> bool {
        // The type of this field is the same on all architectures, unlike that of `st_nlink`.
        let path = format!("{pid}/task");
        let links = statx(self.proc, path, AtFlags::empty(), StatxFlags::NLINK);
        links.is_ok_and(|found| found.stx_nlink != ONE_THREAD)
    }

    fn tids(&self, pid: i32) -> io::Result<Vec<i32>> {
        let directory = open_directory(self.proc, format!("{pid}/task"))?;
        let mut room = room();
        let mut entries = RawDir::new(&directory, &mut room);
        let mut tids = Vec::new();
        while let Some(entry) = entries.next() {
            tids.extend(number(entry?.file_name()));
        }
        Ok(tids)
    }

    /// Adds the sockets of all threads but the main one, whose table is `main` if it was read.
    /// Returns whether all tables were read.
    fn threads(&mut self, process: &mut ExaminedProcess, main: Option<Table>) -> bool {
        let begin = main
            .as_ref()
            .map_or(self.found.len(), |main| main.sockets.start);
        let mut tables: Vec<_> = main.into_iter().collect();
        let pid = process.pid;
        let tids = match self.tids(pid) {
            Ok(tids) => tids,
            Err(err) => return has_ended(&err),
        };
        let mut is_seen = true;
        let mut has_copies = false;
        for tid in tids.into_iter().filter(|tid| *tid != pid) {
            let place = self.place(&tables, tid);
            if let Place::Known(at) = place {
                if self.detail.threads {
                    let shared = self.share(process, tid, tables[at].sockets.clone());
                    is_seen &= shared.map_or_else(|err| has_ended(&err), |()| true);
                }
                continue;
            }
            if matches!(place, Place::Unknown) && self.left == 0 && !self.detail.threads {
                self.unseen.with_threads += 1;
                break;
            }
            match (self.table(process, tid), place) {
                (Ok((table, _)), Place::New(at)) => tables.insert(at, table),
                (Ok((_, count)), _) => self.left = self.left.saturating_sub(count),
                (Err(err), _) => is_seen &= has_ended(&err),
            }
            has_copies = true;
        }
        if has_copies && !self.detail.threads {
            // Several tables may have the same socket at the same descriptor.
            let mut of_process = self.found.split_off(begin);
            of_process.sort_by_key(|(ino, owner)| (*ino, owner.fd));
            of_process.dedup_by_key(|(ino, owner)| (*ino, owner.fd));
            self.found.append(&mut of_process);
        }
        is_seen
    }

    /// Adds sockets that were found in a table that this thread shares.
    ///
    /// # Errors
    ///
    /// Those of [`Scan::task`].
    fn share(
        &mut self,
        process: &mut ExaminedProcess,
        tid: i32,
        sockets: Range<usize>,
    ) -> io::Result<()> {
        if sockets.is_empty() {
            return Ok(());
        }
        let task = self.task(process, tid)?;
        self.found.reserve(sockets.len());
        for at in sockets {
            let (ino, Owner { fd, .. }) = self.found[at];
            let task = Rc::clone(&task);
            self.found.push((ino, Owner { task, fd }));
        }
        Ok(())
    }

    /// Looks for the table of a thread among these, which are in the order of kcmp(2).
    fn place(&self, tables: &[Table], tid: i32) -> Place {
        if !self.unseen.sight.is_own_namespace {
            return Place::Unknown;
        }
        tables::place(tables, |table| table.tid, tid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::proc_mount;
    use crate::source::process::unseen::Sight;

    fn example(pid: i32, path: Option<&str>) -> ExaminedProcess {
        ExaminedProcess {
            pid,
            names: None,
            cgroup: path.map(|path| Rc::new(Cgroup::at(path))),
            rings: HashSet::new(),
        }
    }

    /// A process that enters the namespace of a container is in the control group of its caller.
    #[test]
    fn own_control_group() {
        let proc = proc_mount::open().unwrap();
        let unseen = Unseen::new(Sight::of(&proc).unwrap());
        let scan = Scan::new(&proc, Detail::default(), unseen);
        let own = std::process::id().try_into().unwrap();
        for (pid, expected) in [(own, false), (1, true)] {
            let process = example(pid, Some("/a.service"));
            assert_eq!(scan.telling_cgroup(&process).is_some(), expected, "{pid}");
        }
    }

    /// A process that goes on counts even if it does not show where it is.
    #[test]
    fn processes_that_are_missing() {
        let proc = proc_mount::open().unwrap();
        let unseen = Unseen::new(Sight::of(&proc).unwrap());
        let scan = Scan::new(&proc, Detail::default(), unseen);
        let own = std::process::id().try_into().unwrap();
        for (pid, netns, path, expected) in [
            (own, Some(7), Some("/a.service"), false),
            (own, None, Some("/a.service"), true),
            (own, Some(7), None, true),
            (i32::MAX, None, None, false),
        ] {
            let found = scan.is_missing(&example(pid, path), netns);
            assert_eq!(found, expected, "{pid} {netns:?} {path:?}");
        }
    }

    /// A process that ends while it is examined is no owner with an empty name.
    #[test]
    fn a_process_that_has_ended() {
        let proc = proc_mount::open().unwrap();
        let unseen = Unseen::new(Sight::of(&proc).unwrap());
        for threads in [false, true] {
            let detail = Detail {
                threads,
                ..Detail::default()
            };
            let scan = Scan::new(&proc, detail, unseen.clone());
            let mut process = example(i32::MAX, None);
            let task = scan.task(&mut process, i32::MAX);
            assert!(has_ended(&task.unwrap_err()));
        }
    }
}
