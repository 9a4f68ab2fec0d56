// SPDX-License-Identifier: GPL-2.0

//! The network namespaces of the machine, each once, and how to read their files.
//!
//! These keep a namespace: processes and threads in it; mounts, such as those of ip-netns(8) and of
//! container runtimes; and open descriptors. `/proc/PID/net` has the files of the namespace of a
//! process, so a namespace with a process in it need not be entered. The file of the module has
//! another inode in each namespace, which everyone may see. That of the namespace itself,
//! `/proc/PID/ns/net`, needs the right to examine the process.

mod mounts;
pub mod search;

use crate::source::cgroup::{Cgroup, Container};
use crate::source::files::{is_loaded, File};
use crate::source::namespaces::mounts::mounts_in;
use crate::source::netns;
use crate::source::thread::on_new_thread;
use elsa::FrozenMap;
use nix::sched::{setns, CloneFlags};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The file of the module that identifies a namespace.
const FILE: File = File::ALWAYS;

/// A network namespace.
#[derive(Debug, Default)]
pub struct Netns {
    /// The inode. `None` if this process may not see it.
    pub ino: Option<u64>,
    /// The names that ip-netns(8) shows, sorted.
    pub names: Vec<String>,
    /// Whether it is that of this process.
    is_own: bool,
    /// The inode of the module's file in it. `None` if no process is in it.
    file: Option<u64>,
    /// The processes and threads in it, by their directories in `/proc`.
    members: Vec<String>,
    /// The files that keep it. Each of them may go before the namespace does.
    kept_by: Vec<PathBuf>,
    /// The processes and threads that see a mount of it, by their directories in `/proc`.
    mounted_for: Vec<String>,
    /// The control groups of the processes in it, each once.
    pub cgroups: Vec<Rc<Cgroup>>,
    /// Whether all processes in it are known.
    pub is_whole: bool,
    /// This namespace without its members, for those that keep it for long.
    slim: Option<Rc<Netns>>,
    /// The findings about options in it, by the index of the option.
    pub answers: Answers,
    searches: Rc<Searches>,
}

/// The most times that the processes are searched again for the namespaces of one scan.
const MOST: usize = 4;

/// A search of all processes for namespaces.
type SearchAgain = fn() -> io::Result<Vec<Rc<Netns>>>;

/// The searches for namespaces of a scan of which nothing is left that kept them. Something may keep
/// them that came after the scan: a process that was forked meanwhile may be in one, or have it open.
/// The module may have been loaded again, so that its files have other inodes.
///
/// Each search examines all processes, so the namespaces of a scan share them.
#[derive(Debug, Default)]
struct Searches {
    /// Searches the processes again. `None` if no scan has found the namespace, so that none can find
    /// it.
    again: Option<SearchAgain>,
    count: Cell<usize>,
    /// The namespaces that the last search found. `None` before the first one.
    last: RefCell<Option<Vec<Rc<Netns>>>>,
}

impl Searches {
    /// Opens a namespace of the scan by what `search` finds. A namespace that the last search did not
    /// find was gone by then, and does not come back. One that it found may have vanished since, and
    /// is searched again.
    ///
    /// # Errors
    ///
    /// Those of `open` and `search`. `EACCES` if this process may not see whether the namespace is one of
    /// those that the last search found. `EAGAIN` if the namespace was there in the last of all searches,
    /// and what kept it is gone.
    fn open<T>(
        &self,
        netns: &Netns,
        open: impl Fn(&Netns) -> io::Result<Opened<T>>,
        search: impl Fn() -> io::Result<Vec<Rc<Netns>>>,
    ) -> io::Result<Opened<T>> {
        loop {
            if let Some(last) = &*self.last.borrow() {
                let Some(found) = last.iter().find(|found| netns.is_found_as(found)) else {
                    return match last.iter().any(|found| netns.may_be_found_as(found)) {
                        true => Err(io::Error::from_raw_os_error(libc::EACCES)),
                        false => Ok(Opened::Gone),
                    };
                };
                match open(found)? {
                    Opened::Gone => {}
                    opened => return Ok(opened),
                }
            }
            if self.count.get() == MOST {
                return Err(io::Error::from_raw_os_error(libc::EAGAIN));
            }
            self.count.set(self.count.get() + 1);
            let found = search()?;
            self.last.replace(Some(found));
        }
    }
}

/// Findings that end with a namespace.
#[derive(Default)]
pub struct Answers(FrozenMap<usize, Box<dyn Any>>);

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

impl Answers {
    /// The findings of an index, which are none at first.
    pub fn of<T: Default + 'static>(&self, index: usize) -> Option<&T> {
        let known = self.0.get(&index);
        let found = known.unwrap_or_else(|| self.0.insert(index, Box::new(T::default())));
        found.downcast_ref()
    }
}

/// Namespaces are the same if their inodes are.
impl PartialEq for Netns {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Netns {}

impl Hash for Netns {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl Netns {
    /// A namespace that does not exist any more.
    pub fn gone(ino: u64) -> Self {
        Self {
            ino: Some(ino),
            ..Self::default()
        }
    }

    /// A number that no other namespace has at the same time.
    pub fn id(&self) -> u64 {
        self.ino.or(self.file).unwrap_or_default()
    }

    /// Whether `other`, which was found before or after this one, is the same namespace, although its
    /// inode was seen only once. The number of the namespace then differs.
    pub fn is_renumbered(&self, other: &Self) -> bool {
        let is_same = self.file.is_some() && self.file == other.file;
        is_same && self.ino.is_some() != other.ino.is_some()
    }

    /// The name, or the inode of a namespace without a name. `None` if neither is known.
    pub fn name(&self) -> Option<String> {
        let first = self.names.first().cloned();
        first.or_else(|| self.ino.map(|ino| ino.to_string()))
    }

    /// Whether there is a name, or an inode that is known.
    pub fn has_name(&self) -> bool {
        self.ino.is_some() || !self.names.is_empty()
    }

    /// The container of the processes in it, if they are in one. The processes of a pod are in
    /// several.
    pub fn container(&self) -> Option<&Container> {
        let mut found = self.cgroups.iter().map(|cgroup| cgroup.container.as_ref());
        let first = found.next()??;
        found.all(|other| other == Some(first)).then_some(first)
    }

    /// Opens a file of the module in this namespace, which is not that of this process. `None` if the
    /// namespace is gone, or if the kernel has no such file.
    ///
    /// # Errors
    ///
    /// If the namespace must be entered, and this process may not. If the file cannot be opened,
    /// for example because the module was unloaded.
    pub fn open(&self, file: File) -> io::Result<Option<fs::File>> {
        match self.open_here(file)? {
            Opened::File(opened) => Ok(Some(opened)),
            Opened::NoFile => Ok(None),
            Opened::Gone if !is_loaded() => Err(io::Error::from_raw_os_error(libc::ENOENT)),
            Opened::Gone => {
                let Some(again) = self.searches.again else {
                    return Ok(None);
                };
                let open = |found: &Netns| found.open_here(file);
                match self.searches.open(self, open, again)? {
                    Opened::File(opened) => Ok(Some(opened)),
                    Opened::NoFile | Opened::Gone => Ok(None),
                }
            }
        }
    }

    /// Whether `other`, which was found later, is the same namespace.
    fn is_found_as(&self, other: &Self) -> bool {
        match (self.ino, other.ino) {
            (Some(ino), Some(other)) => ino == other,
            // One of the two was seen by another user, or in a process that was hidden.
            _ => self.file.is_some() && self.file == other.file,
        }
    }

    /// Whether this process cannot find out if `other`, which was found later, is the same namespace: of
    /// one only the inode is known, of the other only that of the module's file.
    fn may_be_found_as(&self, other: &Self) -> bool {
        let is_only_file = |netns: &Self| netns.ino.is_none();
        let is_only_inode = |netns: &Self| netns.file.is_none();
        is_only_inode(self) && is_only_file(other) || is_only_file(self) && is_only_inode(other)
    }

    /// Opens a file of the module by the members and the files that are known.
    fn open_here(&self, file: File) -> io::Result<Opened> {
        // The error of a member that is still there, if no other one helps.
        let mut denied = None;
        for member in &self.members {
            let net = PathBuf::from(format!("/proc/{member}/net"));
            let opened = match found(fs::File::open(net.join(file.name()))) {
                Ok(opened) => opened,
                Err(err) => {
                    denied = Some(err);
                    continue;
                }
            };
            // The process may have ended, and another one may have its ID now.
            if inode(&net.join(FILE.name())) == self.file {
                return Ok(opened.map_or(Opened::NoFile, Opened::File));
            }
        }
        let entered = match self.kept_by.is_empty() {
            true => None,
            false => found(self.within(|| fs::File::open(of_this_thread(file))))?,
        };
        match (entered, denied) {
            (Some(opened), _) => Ok(found(opened)?.map_or(Opened::NoFile, Opened::File)),
            (None, Some(err)) => Err(err),
            (None, None) if self.is_mounted() => Err(io::Error::from_raw_os_error(libc::EACCES)),
            (None, None) => Ok(Opened::Gone),
        }
    }

    /// Whether a mount of it still exists, although no path leads to it: something else is mounted
    /// over it.
    fn is_mounted(&self) -> bool {
        let is_it = |directory: &String| {
            let text = fs::read(format!("/proc/{directory}/mountinfo")).unwrap_or_default();
            let mut found = mounts_in(&text).map(|(ino, _)| ino);
            found.any(|ino| Some(ino) == self.ino)
        };
        self.mounted_for.iter().any(is_it)
    }

    /// Runs `run` on a thread that has entered this namespace. No process enters it.
    ///
    /// # Errors
    ///
    /// If this process may not enter it, if the namespace is gone, or if no thread can be started.
    pub fn within<R: Send>(&self, run: impl FnOnce() -> R + Send) -> io::Result<R> {
        if self.is_own {
            return Ok(run());
        }
        let opened = self.handle()?;
        on_new_thread(|| {
            setns(opened, CloneFlags::CLONE_NEWNET)?;
            Ok(run())
        })?
    }

    /// Opens the namespace itself.
    ///
    /// # Errors
    ///
    /// If this process may not see it, or if it is gone.
    pub fn handle(&self) -> io::Result<fs::File> {
        if self.is_own {
            return fs::File::open("/proc/self/ns/net");
        }
        let of_members = self.members.iter().map(|member| {
            let path = format!("/proc/{member}/ns/net");
            netns::open(Path::new(&path))
        });
        let of_path = self.kept_by.iter().map(|path| netns::open(path));
        let mut opened = Err(io::ErrorKind::NotFound.into());
        for candidate in of_members.chain(of_path) {
            opened = candidate.and_then(|candidate| match candidate.metadata() {
                Ok(metadata) if self.ino.is_none_or(|ino| ino == metadata.ino()) => Ok(candidate),
                Ok(_) => Err(io::ErrorKind::NotFound.into()),
                Err(err) => Err(err),
            });
            if opened.is_ok() {
                break;
            }
        }
        opened
    }

    /// This namespace without its members. It takes little memory.
    pub fn slim(self: &Rc<Self>) -> Rc<Self> {
        Rc::clone(self.slim.as_ref().unwrap_or(self))
    }
}

/// The result of an attempt to open a file of the module in a namespace.
#[derive(Debug, PartialEq, Eq)]
enum Opened<T = fs::File> {
    File(T),
    /// The namespace exists, and the kernel has no such file.
    NoFile,
    /// Nothing that kept the namespace exists any more.
    Gone,
}

/// A file, or `None` if it does not exist any more.
fn found<T>(opened: io::Result<T>) -> io::Result<Option<T>> {
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(err) if is_gone(&err) => Ok(None),
        Err(err) => Err(err),
    }
}

/// Whether this error means that the process of a file in `/proc` has ended, that its namespace ends
/// (ENXIO), or that a file which kept a namespace is another one now.
fn is_gone(err: &io::Error) -> bool {
    let code = err.raw_os_error();
    let is_other = matches!(
        code,
        Some(libc::ESRCH | libc::ENXIO | libc::EINVAL | libc::ENOTDIR)
    );
    err.kind() == io::ErrorKind::NotFound || is_other
}

/// A file of the module in the namespace of this thread.
fn of_this_thread(file: File) -> PathBuf {
    Path::new("/proc/thread-self/net").join(file.name())
}

fn inode(path: &Path) -> Option<u64> {
    Some(fs::metadata(path).ok()?.ino())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A namespace with processes in these control groups.
    pub fn example(ino: Option<u64>, names: &[&str], cgroups: &[&str]) -> Rc<Netns> {
        Rc::new(Netns {
            ino,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            file: Some(7),
            cgroups: cgroups
                .iter()
                .map(|path| Rc::new(Cgroup::at(path)))
                .collect(),
            is_whole: true,
            ..Netns::default()
        })
    }

    #[test]
    fn names_and_inodes() {
        let netns = |ino, names: &[&str]| example(ino, names, &[]);
        assert_eq!(netns(Some(5), &["b", "c"]).name().as_deref(), Some("b"));
        assert_eq!(netns(Some(5), &[]).name().as_deref(), Some("5"));
        assert_eq!(netns(None, &[]).name(), None);
        assert_eq!(netns(None, &[]).id(), 7);
        assert_eq!(netns(Some(5), &["b"]), netns(Some(5), &[]));
    }

    /// The container of a namespace is that of all processes in it.
    #[test]
    fn containers() {
        let of = |cgroups: &[&str]| example(None, &[], cgroups);
        assert!(of(&[]).container().is_none());
        let payload = [
            "/lxc.payload.web",
            "/lxc.payload.web/system.slice/a.service",
        ];
        assert_eq!(of(&payload).container().unwrap().id.as_ref(), "web");
        let mixed = [payload[0], "/system.slice/b.service"];
        assert!(of(&mixed).container().is_none());
    }

    /// If one of the files that keep a namespace is gone, another one serves.
    #[test]
    fn several_keepers() {
        let keep = |paths: &[&str]| Netns {
            ino: inode(Path::new("/proc/self/ns/net")),
            kept_by: paths.iter().map(PathBuf::from).collect(),
            ..Netns::default()
        };
        let (gone, other, good) = (
            "/proc/self/fd/9999",
            "/proc/self/ns/uts",
            "/proc/self/ns/net",
        );
        for paths in [
            &[good][..],
            &[gone, good],
            &[good, gone],
            &[gone, other, good],
        ] {
            assert!(keep(paths).handle().is_ok(), "{paths:?}");
        }
        for paths in [&[][..], &[gone], &[other], &[gone, other]] {
            assert!(keep(paths).handle().is_err(), "{paths:?}");
        }
    }

    /// A member that cannot be looked into does not hide the others. One that has ended is no error.
    #[test]
    fn several_members() {
        // A path that is too long stands for a process that this one may not look into.
        let denied = "9".repeat(5000);
        let denied = denied.as_str();
        let with = |members: &[&str]| Netns {
            members: members.iter().map(|member| (*member).to_owned()).collect(),
            file: inode(&Path::new("/proc/self/net").join(FILE.name())),
            ..Netns::default()
        };
        let gone = "0";
        for members in [
            &["self"][..],
            &[denied, "self"],
            &["self", denied],
            &[denied, gone, "self"],
            &[gone],
        ] {
            assert!(with(members).open(FILE).is_ok(), "{members:?}");
        }
        assert_eq!(with(&[]).open(FILE).is_ok(), is_loaded());
        let err = with(&[denied]).open(FILE).unwrap_err();
        assert_eq!(err.raw_os_error(), Some(libc::ENAMETOOLONG));
    }

    /// A namespace of which another number is known than of those that are found may be one of them.
    #[test]
    fn namespaces_that_may_be_the_same() {
        let with = |ino, file| {
            Rc::new(Netns {
                ino,
                file,
                ..Netns::default()
            })
        };
        for (known, found, expected) in [
            ((Some(5), Some(7)), (Some(5), None), Ok(Opened::File(()))),
            ((Some(5), Some(7)), (None, Some(7)), Ok(Opened::File(()))),
            ((None, Some(7)), (Some(5), Some(7)), Ok(Opened::File(()))),
            ((Some(5), Some(7)), (None, Some(8)), Ok(Opened::Gone)),
            ((Some(5), None), (Some(6), None), Ok(Opened::Gone)),
            ((Some(5), None), (None, Some(7)), Err(libc::EACCES)),
            ((None, Some(7)), (Some(5), None), Err(libc::EACCES)),
        ] {
            let opened = Searches::default().open(
                &with(known.0, known.1),
                |_| Ok(Opened::File(())),
                || Ok(vec![with(found.0, found.1)]),
            );
            let opened = opened.map_err(|err| err.raw_os_error().unwrap());
            assert_eq!(opened, expected, "{known:?} {found:?}");
        }
    }

    /// A namespace that is found again at each search, but never where it was found.
    #[test]
    fn a_namespace_that_keeps_moving() {
        let netns = Netns::gone(5);
        let searches = Searches::default();
        let count = Cell::new(0);
        let opened = searches.open(
            &netns,
            |_| Ok(Opened::<()>::Gone),
            || {
                count.set(count.get() + 1);
                Ok(vec![example(Some(5), &[], &[])])
            },
        );
        assert_eq!(opened.unwrap_err().raw_os_error(), Some(libc::EAGAIN));
        assert_eq!(count.get(), MOST);
    }

    #[test]
    fn errors_of_what_is_gone() {
        for (code, expected) in [
            (libc::ENOENT, true),
            (libc::ESRCH, true),
            // The last process in the namespace has just ended.
            (libc::ENXIO, true),
            (libc::EACCES, false),
            (libc::EPERM, false),
            (libc::EMFILE, false),
        ] {
            assert_eq!(is_gone(&io::Error::from_raw_os_error(code)), expected);
        }
    }
}
