// SPDX-License-Identifier: GPL-2.0

//! A search for the network namespaces of the machine.

use crate::source::cgroup::Cgroup;
use crate::source::files::linked_netns;
use crate::source::namespaces::mounts::{mounts_in, unescaped};
use crate::source::namespaces::{found, inode, of_this_thread, Netns, Searches, FILE};
use crate::source::netns;
use crate::source::proc_mount::{self, has_own_numbers, open_directory};
use crate::source::tables::{
    descriptors, device_and_inode, place, room, Descriptor, Device, Place, WITHOUT_KCMP,
};
use procfs::process::Process;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{readlinkat, statat, AtFlags, CWD};
use rustix::io::Errno;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, OsString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::{fs, io, str};

/// A search for namespaces that is under way.
#[derive(Debug, Default)]
pub struct Search {
    found: Vec<Netns>,
    by_file: HashMap<u64, usize>,
    /// Files that keep a namespace, with its inode.
    keepers: Vec<(u64, PathBuf)>,
    /// Processes and threads that see a mount of a namespace, with its inode.
    mounted_for: Vec<(u64, String)>,
    /// The mount namespaces that were looked into, each with the root of a process in it.
    mounts: HashSet<(Vec<u8>, Device, u64)>,
    /// The device of the file system of namespaces, once it was looked up. `None` if it is not
    /// known.
    nsfs: OnceCell<Option<Device>>,
    /// Whether the namespace of a process could not be found out, as with the mount option hidepid=1
    /// of `/proc`, or its control group.
    is_partial: bool,
}

impl Search {
    /// A search that has found the namespace of this process.
    pub fn new() -> Self {
        let mut search = Self::default();
        let own = Netns {
            ino: inode(Path::new("/proc/self/ns/net")),
            is_own: true,
            file: inode(&Path::new("/proc/self/net").join(FILE.name())),
            ..Netns::default()
        };
        search.by_file.extend(own.file.map(|file| (file, 0)));
        search.found.push(own);
        search
    }

    /// Adds the namespace of a process or thread, which is a directory in `/proc`, unless it is
    /// `known`. Returns a number that stands for the namespace.
    pub fn member(
        &mut self,
        proc: &OwnedFd,
        directory: &str,
        known: Option<u64>,
        cgroup: Option<&Rc<Cgroup>>,
    ) -> Option<u64> {
        let path = format!("{directory}/net/{}", FILE.name());
        let file = match statat(proc, path, AtFlags::empty()) {
            Ok(file) => file.st_ino,
            Err(err) => {
                self.is_partial |= matches!(err, Errno::ACCESS | Errno::PERM);
                return None;
            }
        };
        if known == Some(file) {
            return known;
        }
        let at = *self.by_file.entry(file).or_insert_with(|| {
            self.found.push(Netns {
                file: Some(file),
                ..Netns::default()
            });
            self.found.len() - 1
        });
        let netns = &mut self.found[at];
        netns.members.push(directory.to_owned());
        if netns.ino.is_none() {
            let link = readlinkat(proc, format!("{directory}/ns/net"), Vec::new());
            let target = link.ok().and_then(|target| target.into_string().ok());
            netns.ino = target.as_deref().and_then(linked_netns);
        }
        if let Some(cgroup) = cgroup {
            if !netns.cgroups.contains(cgroup) {
                netns.cgroups.push(Rc::clone(cgroup));
            }
        }
        Some(file)
    }

    /// Adds the namespace that a descriptor in an open directory keeps, if any. `path` is the path
    /// of the descriptor.
    pub fn descriptor(
        &mut self,
        directory: impl AsFd,
        descriptor: Descriptor<'_>,
        path: impl FnOnce() -> String,
    ) {
        let Descriptor { name, target, .. } = descriptor;
        if let Some(ino) = str::from_utf8(target).ok().and_then(linked_netns) {
            return self.kept(ino, path().into());
        }
        // One that was opened by the path of a mount has this path as its target, which is `/` once
        // the mount is gone.
        let may_be_mount = target.starts_with(b"/");
        let Some(ino) = may_be_mount
            .then(|| self.in_nsfs(directory, name))
            .flatten()
        else {
            return;
        };
        let path = PathBuf::from(path());
        // It may be a namespace of another kind.
        let opened = netns::open(&path).map_err(|err| err.raw_os_error());
        if opened.err() != Some(Some(libc::EINVAL)) {
            self.kept(ino, path);
        }
    }

    /// The inode of an open file, if it is of the file system of namespaces.
    fn in_nsfs(&self, directory: impl AsFd, name: &CStr) -> Option<u64> {
        let own = || device_and_inode(CWD, "/proc/self/ns/net").map(|(device, _)| device);
        let (device, ino) = device_and_inode(directory, name)?;
        (*self.nsfs.get_or_init(own) == Some(device)).then_some(ino)
    }

    /// Takes note that a process may be in any namespace, or in any control group.
    pub fn miss(&mut self) {
        self.is_partial = true;
    }

    /// Adds a namespace that a file keeps.
    fn kept(&mut self, ino: u64, path: PathBuf) {
        self.keepers.push((ino, path));
    }

    /// Adds the namespaces that are mounted where a process or thread sees them, unless its mount
    /// namespace is `known`. Its directory is one in `/proc`. Returns the mount namespace, as the
    /// link to it names it. `None` if the process or thread has ended.
    ///
    /// # Errors
    ///
    /// If the mounts cannot be examined.
    pub fn mounts(
        &mut self,
        proc: &OwnedFd,
        directory: &str,
        known: Option<&[u8]>,
    ) -> io::Result<Option<Vec<u8>>> {
        let link = readlinkat(proc, format!("{directory}/ns/mnt"), Vec::new());
        let Some(link) = found(link.map_err(io::Error::from))? else {
            return Ok(None);
        };
        let link = link.into_bytes();
        if known == Some(&*link) {
            return Ok(Some(link));
        }
        // A process sees only the mounts below its root. A root that cannot be examined may be any.
        let root = device_and_inode(proc, format!("{directory}/root"));
        let key = root.map(|(device, ino)| (link.clone(), device, ino));
        if key.as_ref().is_some_and(|key| self.mounts.contains(key)) {
            return Ok(Some(link));
        }
        let Some(text) = found(fs::read(format!("/proc/{directory}/mountinfo")))? else {
            return Ok(None);
        };
        self.mounts.extend(key);
        for (ino, point) in mounts_in(&text) {
            let mut path = format!("/proc/{directory}/root").into_bytes();
            path.extend(unescaped(point));
            self.kept(ino, OsString::from_vec(path).into());
            self.mounted_for.push((ino, directory.to_owned()));
        }
        Ok(Some(link))
    }

    /// The namespaces: that of this process first, then those with names. `is_whole` says whether
    /// `/proc` listed all processes.
    pub fn end(mut self, is_whole: bool) -> Vec<Rc<Netns>> {
        let names = netns::names();
        let named = names.into_iter().map(|(name, ino)| {
            let path = netns::path_of(&name);
            (ino, path, Some(name))
        });
        let kept = std::mem::take(&mut self.keepers).into_iter();
        let kept = named.chain(kept.map(|(ino, path)| (ino, path, None)));
        let mut by_ino: HashMap<u64, usize> = HashMap::new();
        for (at, netns) in self.found.iter().enumerate() {
            by_ino.extend(netns.ino.map(|ino| (ino, at)));
        }
        for (ino, path, name) in kept {
            let at = *by_ino.entry(ino).or_insert_with(|| self.place(ino, &path));
            let netns = &mut self.found[at];
            netns.kept_by.push(path);
            netns.names.extend(name);
        }
        for (ino, directory) in std::mem::take(&mut self.mounted_for) {
            if let Some(at) = by_ino.get(&ino) {
                self.found[*at].mounted_for.push(directory);
            }
        }
        let mut found = self.found;
        let is_whole = is_whole && !self.is_partial;
        let searches = Rc::new(Searches {
            again: Some(search_again),
            ..Searches::default()
        });
        for netns in &mut found {
            netns.searches = Rc::clone(&searches);
            netns.names.sort_unstable();
            netns.is_whole = is_whole;
            netns.slim = Some(Rc::new(Netns {
                ino: netns.ino,
                names: netns.names.clone(),
                is_own: netns.is_own,
                file: netns.file,
                cgroups: netns.cgroups.clone(),
                is_whole,
                ..Netns::default()
            }));
        }
        found.sort_by_key(|netns| {
            (
                !netns.is_own,
                netns.names.is_empty(),
                netns.names.clone(),
                netns.ino,
            )
        });
        found.into_iter().map(Rc::new).collect()
    }

    /// The place of a namespace with this inode, which no process showed. A file keeps it. It may have
    /// been found without its inode, because of a process that this one may not examine, or that ended
    /// meanwhile. Each thread of another knetstat is in such a namespace for a moment.
    fn place(&mut self, ino: u64, path: &Path) -> usize {
        let mut netns = Netns {
            ino: Some(ino),
            ..Netns::default()
        };
        if self.found.iter().any(|netns| netns.ino.is_none()) {
            netns.kept_by.push(path.to_owned());
            let file = netns.within(|| inode(&of_this_thread(FILE)));
            netns.kept_by.clear();
            netns.file = file.ok().flatten();
            let known = netns.file.and_then(|file| self.by_file.get(&file));
            if let Some(at) = known.filter(|at| self.found[**at].ino.is_none()) {
                self.found[*at].ino = Some(ino);
                return *at;
            }
        }
        self.found.push(netns);
        self.found.len() - 1
    }
}

/// Searches all processes and threads again for network namespaces: those that they are in, mounts and
/// open descriptors.
///
/// # Errors
///
/// If `/proc` cannot be opened.
fn search_again() -> io::Result<Vec<Rc<Netns>>> {
    let opened = proc_mount::open();
    let proc = opened.map_err(|err| err.downcast().unwrap_or_else(io::Error::other))?;
    let mut again = Again::new(&proc);
    for pid in netns::entries("/proc").filter_map(|name| name.parse().ok()) {
        again.process(pid);
    }
    Ok(again.search.end(false))
}

/// Another search, for namespaces of which nothing is left that kept them. A scan reads more, and
/// depends on this module.
struct Again<'a> {
    proc: &'a OwnedFd,
    search: Search,
    /// Whether kcmp(2) takes the numbers in `/proc`.
    can_compare: bool,
    /// The number of descriptors that may still be read without kcmp(2).
    left: usize,
    /// The buffer for the entries of a table of descriptors.
    room: Vec<MaybeUninit<u8>>,
}

impl<'a> Again<'a> {
    fn new(proc: &'a OwnedFd) -> Self {
        let status = Process::myself().and_then(|me| me.status());
        Self {
            proc,
            search: Search::default(),
            can_compare: status.is_ok_and(|status| has_own_numbers(&status)),
            left: WITHOUT_KCMP,
            room: room(),
        }
    }

    /// Adds the namespaces of a process and of its threads, and those that it sees or has open. A
    /// table of descriptors that threads share is read once.
    fn process(&mut self, pid: i32) {
        let directory = pid.to_string();
        let mounts = self.search.mounts(self.proc, &directory, None);
        let mounts = mounts.ok().flatten();
        let main = self.search.member(self.proc, &directory, None, None);
        let mut tables = Vec::new();
        let tids = netns::entries(&format!("/proc/{pid}/task"));
        for tid in tids.filter_map(|name| name.parse().ok()) {
            let directory = format!("{pid}/task/{tid}");
            self.search.member(self.proc, &directory, main, None);
            // The main thread shows whether they can be examined.
            let _ = self.search.mounts(self.proc, &directory, mounts.as_deref());
            let place = match self.can_compare {
                true => place(&tables, |tid| *tid, tid),
                false => Place::Unknown,
            };
            match place {
                Place::Known(_) => {}
                Place::New(at) => {
                    tables.insert(at, tid);
                    self.table(&directory);
                }
                Place::Unknown => {
                    // The first one, the only one of most processes, is always read.
                    if tables.is_empty() {
                        tables.push(tid);
                        self.table(&directory);
                    } else if self.left > 0 {
                        self.left = self.left.saturating_sub(self.table(&directory));
                    }
                }
            }
        }
    }

    /// Adds the namespaces that a thread has open. Returns the number of descriptors read.
    fn table(&mut self, directory: &str) -> usize {
        let mut room = std::mem::take(&mut self.room);
        let opened = open_directory(self.proc, format!("{directory}/fd"));
        let count = opened.and_then(|opened| {
            descriptors(&opened, &mut room, |descriptor| {
                let path = || format!("/proc/{directory}/fd/{}", descriptor.fd);
                self.search.descriptor(&opened, descriptor, path);
                Ok(())
            })
        });
        self.room = room;
        count.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::files::is_loaded;
    use crate::source::namespaces::tests::example;
    use crate::source::namespaces::{Opened, MOST};
    use crate::source::rights::tests::unshared;
    use nix::sched::CloneFlags;
    use std::cell::Cell;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    /// A search finds the namespace of this process, even without any member.
    #[test]
    fn own() {
        let found = Search::new().end(true);
        assert!(found[0].is_own && found[0].ino == inode(Path::new("/proc/self/ns/net")));
        assert_eq!(found[0].within(|| 7).unwrap(), 7);
    }

    /// The namespaces of a scan share the searches for those that have vanished.
    #[test]
    fn shared_searches() {
        let found = |inos: &[u64]| {
            let found = inos.iter().map(|ino| example(Some(*ino), &[], &[]));
            found.collect::<Vec<_>>()
        };
        let search = Search {
            found: (1..100).map(Netns::gone).collect(),
            ..Search::default()
        };
        let scan = search.end(true);
        let searches = &scan[0].searches;
        assert!(scan
            .iter()
            .all(|netns| Rc::ptr_eq(&netns.searches, searches)));
        // What each search finds, and the namespaces that can be opened then.
        let existing = Cell::new(&[7, 8, 9][..]);
        let open = |ino: u64| {
            let netns = scan.iter().find(|netns| netns.ino == Some(ino)).unwrap();
            let open = |found: &Netns| {
                let is_there = existing.get().iter().any(|ino| found.ino == Some(*ino));
                Ok(match is_there {
                    true => Opened::File(found.ino),
                    false => Opened::Gone,
                })
            };
            let opened = netns
                .searches
                .open(netns, open, || Ok(found(existing.get())));
            (
                opened.map_err(|err| err.raw_os_error()),
                searches.count.get(),
            )
        };
        for ino in 10..70 {
            assert_eq!(open(ino), (Ok(Opened::Gone), 1), "{ino}");
        }
        assert_eq!(open(7), (Ok(Opened::File(Some(7))), 1));
        // Those that vanish later are searched again, also together.
        existing.set(&[7]);
        assert_eq!(open(8), (Ok(Opened::Gone), 2));
        assert_eq!(open(9), (Ok(Opened::Gone), 2));
        assert_eq!(open(7), (Ok(Opened::File(Some(7))), 2));
        // The number of searches is limited. What is not known then is an error.
        searches.count.set(MOST);
        assert_eq!(open(7), (Ok(Opened::File(Some(7))), MOST));
        existing.set(&[]);
        assert_eq!(open(7), (Err(Some(libc::EAGAIN)), MOST));
        assert_eq!(open(8), (Ok(Opened::Gone), MOST));
    }

    /// A namespace is found by what came after the scan, and by its inode after the module was
    /// loaded again.
    #[test]
    fn namespaces_that_are_found_again() {
        // Without the module, only the descriptor shows it.
        let kept = fs::File::open("/proc/self/ns/net").unwrap();
        let ino = Some(kept.metadata().unwrap().ino());
        let with = |ino| Netns {
            ino,
            file: Some(0),
            kept_by: vec!["/proc/self/fd/9999".into()],
            searches: Rc::new(Searches {
                again: Some(search_again),
                ..Searches::default()
            }),
            ..Netns::default()
        };
        let all = search_again().unwrap();
        let found = |ino| all.iter().find(|found| with(ino).is_found_as(found));
        let own = found(ino).unwrap();
        assert_eq!(own.ino, ino);
        assert!(!own.members.is_empty() || !own.kept_by.is_empty());
        assert!(own.handle().is_ok());
        assert!(found(Some(1)).is_none());
        let gone = with(Some(1));
        // Without the module, nobody knows whether the namespace has sockets.
        match is_loaded() {
            true => assert!(gone.open(FILE).unwrap().is_none()),
            false => assert!(gone.open(FILE).is_err() && gone.searches.count.get() == 0),
        }
    }

    /// Many threads that share descriptors, as in a server, take no longer than one.
    #[test]
    fn another_search_among_threads() {
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        if matches!(place(&[own], |tid| *tid, own), Place::Unknown) {
            return eprintln!("skipped: kcmp fails");
        }
        let kept = fs::File::open("/proc/self/ns/net").unwrap();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let ended = std::sync::Mutex::new(ended);
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| ended.lock().unwrap().recv());
            }
            let proc = proc_mount::open().unwrap();
            let mut again = Again::new(&proc);
            again.process(std::process::id().try_into().unwrap());
            drop(end);
            let name = kept.as_raw_fd().to_string();
            let keepers = again.search.keepers.iter();
            let count = keepers.filter(|(_, path)| path.ends_with(&name)).count();
            // Other tests start threads with tables of their own.
            assert!((1..10).contains(&count), "{count}");
        });
    }

    /// Mounts a namespace on a new file.
    fn mount(kind: &str, name: &str) -> PathBuf {
        let name = format!("knetstat-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, "").unwrap();
        let mut mount = Command::new("mount");
        mount.args(["--bind", &format!("/proc/self/ns/{kind}")]);
        assert!(mount.arg(&path).status().unwrap().success());
        path
    }

    /// The descriptors that another search finds in this process.
    fn found_in_this_process() -> Vec<(u64, PathBuf)> {
        let proc = proc_mount::open().unwrap();
        let mut again = Again::new(&proc);
        again.process(std::process::id().try_into().unwrap());
        again.search.keepers
    }

    #[test]
    #[ignore = "runs in a mount namespace of its own"]
    fn in_a_mount_namespace() {
        let own = inode(Path::new("/proc/self/ns/net")).unwrap();
        let opened = ["net", "uts"].map(|kind| {
            let path = mount(kind, kind);
            let opened = fs::File::open(&path).unwrap();
            let unmounted = Command::new("umount").arg("-l").arg(&path).status();
            assert!(unmounted.unwrap().success());
            fs::remove_file(path).unwrap();
            opened
        });
        let found = found_in_this_process();
        let is_found = |opened: &fs::File, ino| {
            let name = opened.as_raw_fd().to_string();
            let is_it = |(other, path): &(u64, PathBuf)| *other == ino && path.ends_with(&name);
            found.iter().any(is_it)
        };
        assert!(is_found(&opened[0], own), "{found:?}");
        // Another kind of namespace cannot be read, and is none of those that should be.
        let uts = opened[1].metadata().unwrap().ino();
        assert!(!is_found(&opened[1], uts), "{found:?}");
    }

    /// The link of a descriptor that was opened through a mount does not say what it is.
    #[test]
    fn descriptors_of_mounts() {
        let test = "source::namespaces::search::tests::in_a_mount_namespace";
        assert_ne!(unshared("-rm", test), Some(false));
    }

    #[test]
    #[ignore = "runs in a mount namespace of its own"]
    fn in_a_thread() {
        let own = inode(Path::new("/proc/self/ns/net")).unwrap();
        let path = std::thread::spawn(move || {
            nix::sched::unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let path = mount("net", "thread");
            let found = found_in_this_process();
            let name = path.file_name().unwrap();
            let mut keepers = found.iter().filter(|(ino, _)| *ino == own);
            let keeper = keepers.find(|(_, keeper)| keeper.ends_with(name));
            let (_, keeper) = keeper.unwrap_or_else(|| panic!("{path:?}: {found:?}"));
            assert!(netns::open(keeper).is_ok(), "{keeper:?}");
            path
        });
        fs::remove_file(path.join().unwrap()).unwrap();
    }

    /// A thread may be in another mount namespace than its process.
    #[test]
    fn mounts_of_a_thread() {
        let test = "source::namespaces::search::tests::in_a_thread";
        assert_ne!(unshared("-rm", test), Some(false));
    }

    /// The mounts of a process are those in its table, also without its root directory.
    #[test]
    fn mounts_without_a_root() {
        let directory =
            std::env::temp_dir().join(format!("knetstat-mounts-{}", std::process::id()));
        let process = directory.join("self/ns");
        fs::create_dir_all(&process).unwrap();
        std::os::unix::fs::symlink("mnt:[1]", process.join("mnt")).unwrap();
        let proc = proc_mount::open_directory(rustix::fs::CWD, &directory).unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        fs::rename(directory.join("self"), directory.join(pid.to_string())).unwrap();
        let mut search = Search::default();
        // Neither the first nor the second read is left out.
        for _ in 0..2 {
            let mounts = search.mounts(&proc, &pid.to_string(), None);
            assert_eq!(mounts.unwrap().as_deref(), Some(&b"mnt:[1]"[..]));
            assert!(search.mounts.is_empty());
        }
        let text = fs::read("/proc/self/mountinfo").unwrap();
        assert_eq!(search.keepers.len(), 2 * mounts_in(&text).count());
        fs::remove_dir_all(&directory).unwrap();
    }
}
