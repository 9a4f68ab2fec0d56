// SPDX-License-Identifier: GPL-2.0

//! The owners of sockets: the processes that have them open, read from `/proc/PID/fd`.

mod link;
mod name;
mod owner;
mod ring;
mod scan;
mod unseen;

pub use crate::source::process::name::Name;
pub use crate::source::process::owner::Owner;
pub use crate::source::process::scan::Detail;
pub use crate::source::process::unseen::{Sight, Unseen};

use crate::source::namespaces::Netns;
use crate::source::proc_mount;
use crate::source::process::scan::Scan;
use crate::source::tables::{number, room};
use anyhow::{Context, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{RawDir, SeekFrom};
use std::rc::Rc;

/// The owners of all sockets.
#[derive(Debug)]
pub struct Owners {
    /// The inodes of open sockets, sorted. A socket occurs once for each descriptor.
    inos: Vec<u64>,
    /// The owner for each entry of `inos`.
    owners: Vec<Owner>,
    /// The processes whose sockets are not known.
    pub unseen: Unseen,
    /// Whether no process came while the processes were examined. A process that passes its sockets
    /// on to a new one and exits may otherwise have been missed, and so may the new one.
    pub is_settled: bool,
    /// The network namespaces, if they were looked for: that of this process first.
    pub namespaces: Vec<Rc<Netns>>,
    detail: Detail,
}

/// The most times that processes which came during a scan are examined.
const ROUNDS: usize = 16;

/// The IDs of all processes in `/proc`, sorted.
fn pids(proc: &OwnedFd) -> Result<Vec<i32>> {
    // The next read must not go on where the last one has ended.
    rustix::fs::seek(proc, SeekFrom::Start(0)).context("/proc")?;
    let mut room = room();
    let mut entries = RawDir::new(proc, &mut room);
    let mut pids = Vec::new();
    while let Some(entry) = entries.next() {
        pids.extend(number(entry.context("/proc")?.file_name()));
    }
    pids.sort_unstable();
    Ok(pids)
}

/// Examines the processes that `list` lists, then those that are new in it, until there are none.
/// Returns whether there were none at last.
fn settle(
    mut list: impl FnMut() -> Result<Vec<i32>>,
    mut examine: impl FnMut(i32),
) -> Result<bool> {
    let mut known = list()?;
    known.iter().copied().for_each(&mut examine);
    for _ in 0..ROUNDS {
        let listed = list()?;
        let is_new = |pid: &i32| known.binary_search(pid).is_err();
        let new: Vec<_> = listed.iter().copied().filter(is_new).collect();
        if new.is_empty() {
            return Ok(true);
        }
        new.into_iter().for_each(&mut examine);
        known = listed;
    }
    Ok(false)
}

impl Owners {
    /// A network namespace as it was found now, although another scan may have found `netns`.
    pub fn found(&self, netns: &Netns) -> Option<Rc<Netns>> {
        let mut all = self.namespaces.iter();
        all.find(|found| ***found == *netns).cloned()
    }

    /// Examines all processes once.
    ///
    /// # Errors
    ///
    /// Those of [`proc_mount::open`]; and if `/proc` cannot be read.
    pub fn scan(detail: Detail) -> Result<Self> {
        let proc = proc_mount::open()?;
        let sight = Sight::of(&proc).context("/proc/self")?;
        let mut scan = Scan::new(&proc, detail, Unseen::new(sight));
        let is_settled = settle(|| pids(&proc), |pid| scan.process(pid))?;
        let Scan {
            mut found,
            unseen,
            namespaces,
            ..
        } = scan;
        let is_whole = unseen.has_all_processes() && is_settled;
        let namespaces = namespaces.map(|search| search.end(is_whole));
        let namespaces = namespaces.unwrap_or_default();
        // Most sockets have one owner. A list for each would take more time and memory.
        found.sort_by_key(|(ino, _)| *ino);
        let (inos, owners) = found.into_iter().unzip();
        Ok(Self {
            inos,
            owners,
            unseen,
            is_settled,
            namespaces,
            detail,
        })
    }

    /// Examines all processes once more.
    ///
    /// # Errors
    ///
    /// Those of [`Owners::scan`].
    pub fn rescan(&self) -> Result<Self> {
        Self::scan(self.detail)
    }

    /// The owners of a socket. An inode of 0 has none.
    pub fn of(&self, ino: Option<u64>) -> &[Owner] {
        let Some(ino) = ino else {
            return &[];
        };
        let begin = self.inos.partition_point(|other| *other < ino);
        let same = self.inos[begin..].iter().take_while(|other| **other == ino);
        &self.owners[begin..begin + same.count()]
    }

    /// Whether processes that were not seen may have this socket open. No process has a socket open
    /// that has no inode.
    pub fn may_lack(&self, ino: Option<u64>) -> bool {
        ino.is_some_and(|ino| ino != 0) && self.unseen.is_any()
    }
}

#[cfg(test)]
impl Owners {
    /// These owners, of all processes.
    pub fn example(found: impl IntoIterator<Item = (u64, Owner)>) -> Self {
        let (inos, owners) = found.into_iter().unzip();
        let sight = Sight::WHOLE;
        Self {
            inos,
            owners,
            unseen: Unseen::new(sight),
            is_settled: true,
            namespaces: Vec::new(),
            detail: Detail::default(),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::source::process::link::inode;
    use crate::source::process::scan::has_main_thread_ended;
    use crate::source::rights::{is_kernel_before, is_root};
    use rustix::process::{
        getrlimit, kill_process, set_dumpable_behavior, setrlimit, waitpid, DumpableBehavior, Pid,
        Resource, Signal, WaitOptions,
    };
    use rustix::thread::{capabilities, set_capabilities, CapabilitySet};
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::{AsRawFd, FromRawFd};
    use std::os::unix::fs::MetadataExt;
    use std::sync::mpsc::{channel, Sender};
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::thread::{self, JoinHandle};
    use std::time::Duration;
    use std::{fs, io, process};

    /// An owner whose name has characters that printers escape.
    pub fn owner() -> Owner {
        Owner::new("tmux: \"x\"", 7, 3)
    }

    const PROCESSES: Detail = Detail {
        threads: false,
        names: false,
        namespaces: false,
    };
    const THREADS: Detail = Detail {
        threads: true,
        ..PROCESSES
    };
    const NAMES: Detail = Detail {
        names: true,
        ..PROCESSES
    };

    fn scan(detail: Detail) -> Owners {
        Owners::scan(detail).unwrap()
    }

    fn own_pid() -> i32 {
        i32::try_from(process::id()).unwrap()
    }

    fn ino(socket: &impl AsRawFd) -> Option<u64> {
        let link = format!("/proc/thread-self/fd/{}", socket.as_raw_fd());
        Some(fs::metadata(link).unwrap().ino())
    }

    /// Lets one test run at a time. A process that forks, or a thread with a table of its own, has a
    /// copy of the sockets of all tests.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process, thread and descriptor of each owner.
    fn found(owners: &Owners, ino: Option<u64>) -> Vec<(i32, Option<i32>, i32)> {
        let owners = owners.of(ino).iter();
        owners
            .map(|owner| (owner.pid(), owner.tid(), owner.fd))
            .collect()
    }

    /// A thread of this process that has begun, and ends when this is dropped.
    struct Thread {
        end: Option<Sender<()>>,
        handle: Option<JoinHandle<()>>,
    }

    impl Thread {
        /// Starts a thread that calls `begin`. Returns its ID and what `begin` returned.
        fn start<T: Send + 'static>(begin: impl FnOnce() -> T + Send + 'static) -> (Self, i32, T) {
            let (end, ended) = channel::<()>();
            let (tell, told) = channel();
            let handle = thread::spawn(move || {
                let result = begin();
                let tid = rustix::thread::gettid().as_raw_nonzero().get();
                tell.send((tid, result)).unwrap();
                // The other end is dropped.
                let _ = ended.recv();
            });
            let (tid, result) = told.recv().unwrap();
            let thread = Self {
                end: Some(end),
                handle: Some(handle),
            };
            (thread, tid, result)
        }
    }

    impl Drop for Thread {
        fn drop(&mut self) {
            drop(self.end.take());
            let _ = self.handle.take().map(JoinHandle::join);
        }
    }

    fn rename(name: &[u8]) {
        let name = std::ffi::CString::new(name).unwrap();
        rustix::thread::set_name(&name).unwrap();
    }

    /// Gives the calling thread a copy of the table of descriptors, as its own.
    fn unshare_files() {
        let flags = nix::sched::CloneFlags::CLONE_FILES;
        nix::sched::unshare(flags).unwrap();
    }

    #[test]
    fn finds_itself() {
        let _alone = alone();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let owners = scan(PROCESSES);
        let of_ours = found(&owners, ino(&listener));
        assert!(
            of_ours.contains(&(own_pid(), None, listener.as_raw_fd())),
            "{of_ours:?}"
        );
        assert!(owners.of(Some(0)).is_empty() && owners.of(None).is_empty());
        assert!(owners.of(Some(u64::MAX)).is_empty());
    }

    /// Finds all sockets if they do not fit into the buffer, and a duplicated one twice.
    #[test]
    fn finds_each_of_many() {
        let _alone = alone();
        // The soft limit is often 1,024 files. A process may raise it to the hard limit. Some descriptors are
        // left, for the copy and for the scan.
        let mut limit = getrlimit(Resource::Nofile);
        let many = limit
            .maximum
            .map_or(3000, |most| most.saturating_sub(100).min(3000));
        limit.current = limit.current.map(|now| now.max(many + 100));
        setrlimit(Resource::Nofile, limit).unwrap();
        let mut sockets: Vec<_> = (0..many)
            .map_while(|_| UdpSocket::bind("127.0.0.1:0").ok())
            .collect();
        let again = sockets[0].try_clone().unwrap();
        sockets.push(again);
        let owners = scan(PROCESSES);
        let mut counts: Vec<_> = sockets
            .iter()
            .map(|socket| {
                let mut of_ino = found(&owners, ino(socket));
                of_ino.retain(|(pid, ..)| *pid == own_pid());
                let ours = (own_pid(), None, socket.as_raw_fd());
                assert!(of_ino.contains(&ours), "{ours:?}: {of_ino:?}");
                of_ino.len()
            })
            .collect();
        counts.sort_unstable();
        assert_eq!(&counts[counts.len() - 2..], [2, 2]);
        assert!(counts[..counts.len() - 2].iter().all(|count| *count == 1));
    }

    /// A thread has a table of its own, with a copy of one socket, and with one that is not in the
    /// table of the process. Another thread shares that table.
    #[test]
    fn tables_of_threads() {
        let _alone = alone();
        let shared = TcpListener::bind("127.0.0.1:0").unwrap();
        let (_first, tid, (private, _second, sharer)) = Thread::start(|| {
            unshare_files();
            rename(b"own table");
            let private = TcpListener::bind("127.0.0.1:0").unwrap();
            let (second, sharer, ()) = Thread::start(|| ());
            let number = (ino(&private), private.as_raw_fd());
            std::mem::forget(private);
            (number, second, sharer)
        });
        let (private, fd) = private;
        let pid = own_pid();
        for detail in [PROCESSES, NAMES] {
            let owners = scan(detail);
            assert_eq!(found(&owners, private), [(pid, None, fd)]);
            assert_eq!(
                found(&owners, ino(&shared)),
                [(pid, None, shared.as_raw_fd())]
            );
        }
        let owners = scan(THREADS);
        let expected = [(pid, Some(tid), fd), (pid, Some(sharer), fd)];
        assert_eq!(found(&owners, private), expected);
        assert_eq!(owners.of(private)[0].name(), &Name::from("own table"));
        // All threads have the other socket open, as /proc lists them.
        let threads = found(&owners, ino(&shared));
        for thread in [pid, tid, sharer] {
            let expected = (pid, Some(thread), shared.as_raw_fd());
            assert!(threads.contains(&expected), "{thread}: {threads:?}");
        }
    }

    /// A scan without kcmp(2) finds the same, unless there is too much to read.
    #[test]
    fn without_kcmp() {
        let _alone = alone();
        let shared = TcpListener::bind("127.0.0.1:0").unwrap();
        let (_thread, _, (private, fd)) = Thread::start(|| {
            unshare_files();
            let private = TcpListener::bind("127.0.0.1:0").unwrap();
            let number = (ino(&private), private.as_raw_fd());
            std::mem::forget(private);
            number
        });
        let proc = proc_mount::open().unwrap();
        let mut sight = Sight::of(&proc).unwrap();
        // The numbers in /proc then mean nothing to kcmp(2).
        sight.is_own_namespace = false;
        for (left, expected) in [(usize::MAX, 1), (0, 0)] {
            let mut scan = Scan::new(&proc, PROCESSES, Unseen::new(sight.clone()));
            scan.left = left;
            scan.process(own_pid());
            let fds_of = |ino: Option<u64>| {
                let of_ino = scan.found.iter().filter(|(other, _)| Some(*other) == ino);
                of_ino.map(|(_, owner)| owner.fd).collect::<Vec<_>>()
            };
            assert_eq!(fds_of(ino(&shared)), [shared.as_raw_fd()]);
            assert_eq!(fds_of(private), vec![fd; expected]);
            assert_eq!(scan.unseen.with_threads, 1 - expected);
            assert_eq!(
                scan.unseen.is_any(),
                expected == 0 || !sight.is_initial_namespace
            );
        }
    }

    /// An io_uring that holds these files. `None` if this kernel refuses rings.
    fn ring(files: &[i32]) -> Option<OwnedFd> {
        /// `IORING_REGISTER_FILES` in `include/uapi/linux/io_uring.h`.
        const REGISTER_FILES: std::ffi::c_int = 2;
        // The size of `struct io_uring_params`.
        let mut params = [0u32; 30];
        // SAFETY: The kernel reads and writes the parameters, which are as long as the structure.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
        // SAFETY: The kernel has just returned this descriptor, and nothing else owns it.
        let ring = unsafe { OwnedFd::from_raw_fd(fd) };
        let (at, len) = (files.as_ptr(), files.len());
        // SAFETY: The kernel reads as many numbers as there are.
        let status =
            unsafe { libc::syscall(libc::SYS_io_uring_register, fd, REGISTER_FILES, at, len) };
        (status == 0).then_some(ring)
    }

    /// A process has the sockets of a ring open once, even if the ring has several descriptors.
    #[test]
    fn descriptors_of_a_ring() {
        let _alone = alone();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ino = ino(&listener);
        let Some(ring) = ring(&[listener.as_raw_fd()]) else {
            return eprintln!("skipped: this kernel refuses io_uring");
        };
        drop(listener);
        let again = [(); 2].map(|()| ring.try_clone().unwrap());
        let owners = scan(PROCESSES);
        if is_kernel_before(6, 13) {
            assert!(owners.unseen.rings > 0);
            return;
        }
        let fds = again.each_ref().map(|again| again.as_raw_fd());
        let of_ours = found(&owners, ino);
        assert!(
            matches!(of_ours[..], [(pid, None, fd)]
                if pid == own_pid() && (fd == ring.as_raw_fd() || fds.contains(&fd))),
            "{of_ours:?}"
        );
        let mut of_threads = found(&scan(THREADS), ino);
        let count = of_threads.len();
        of_threads.sort_unstable_by_key(|(_, tid, _)| *tid);
        of_threads.dedup_by_key(|(_, tid, _)| *tid);
        assert_eq!(of_threads.len(), count, "{of_threads:?}");
    }

    #[test]
    fn names_of_threads() {
        let _alone = alone();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (_thread, tid, ()) = Thread::start(|| rename(b"a name of 15 \xe2\x82\xac bytes"));
        let has = |owners: &Owners, name: &str| {
            let owners = owners.of(ino(&listener)).iter();
            owners.filter(|owner| owner.has_name(name)).count()
        };
        let owners = scan(NAMES);
        let own = fs::read_to_string(format!("/proc/{}/comm", own_pid())).unwrap();
        for name in [own.trim_end(), "a name of 15 \u{20ac} bytes"] {
            assert_eq!(has(&owners, name), 1, "{name}");
        }
        // The name of this program, of which the kernel keeps the beginning only.
        let program = std::env::current_exe().unwrap();
        let program = program.file_name().unwrap().to_str().unwrap();
        assert!(program.len() > name::KEPT, "{program}");
        assert_eq!(has(&owners, program), 1);
        for other in ["", "a name", &program[..12], &format!("{program}x")] {
            assert_eq!(has(&owners, other), 0, "{other}");
        }
        // The kernel kept 15 bytes of the thread's name, and so 2 bytes of the character.
        let owners = scan(THREADS);
        let mut threads = owners.of(ino(&listener)).iter();
        let thread = threads.find(|owner| owner.tid() == Some(tid)).unwrap();
        assert_eq!(thread.name().as_bytes(), b"a name of 15 \xe2\x82");
    }

    /// A child process of the test, which runs until this is dropped.
    struct Child(Pid);

    impl Child {
        /// Forks. The child calls `main` and exits.
        fn start(main: impl FnOnce() -> i32) -> Self {
            // SAFETY: The child takes no lock that another thread of this process may hold: glibc
            // makes memory usable after fork(2), and `main` does not print.
            match unsafe { libc::fork() } {
                0 => {
                    let status = main();
                    // SAFETY: This ends the process, and runs no code of it.
                    unsafe { libc::_exit(status) }
                }
                pid => Self(Pid::from_raw(pid).expect("a child")),
            }
        }

        fn pid(&self) -> i32 {
            self.0.as_raw_nonzero().get()
        }

        /// The exit status, or -1 for a signal.
        fn wait(self) -> i32 {
            let status = waitpid(Some(self.0), WaitOptions::empty())
                .unwrap()
                .unwrap()
                .1;
            std::mem::forget(self);
            status.exit_status().unwrap_or(-1)
        }
    }

    impl Drop for Child {
        fn drop(&mut self) {
            let _ = kill_process(self.0, Signal::KILL);
            let _ = waitpid(Some(self.0), WaitOptions::empty());
        }
    }

    /// The user nobody.
    const NOBODY: u32 = 65534;

    /// Makes the calling process, which has one thread, one of nobody.
    fn become_nobody() -> io::Result<()> {
        // SAFETY: The calls take integers, and an empty list.
        let statuses = unsafe {
            [
                libc::setgroups(0, std::ptr::null()),
                libc::setgid(NOBODY),
                libc::setuid(NOBODY),
            ]
        };
        match statuses {
            [0, 0, 0] => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The main thread of a process has ended, and another one goes on. Its owner sees it, too.
    #[test]
    fn main_thread_that_has_ended() {
        let _alone = alone();
        extern "C" fn wait(_: *mut libc::c_void) -> *mut libc::c_void {
            loop {
                // SAFETY: This waits for a signal.
                unsafe { libc::pause() };
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let child = Child::start(|| {
            // A process that changed its user is dumpable after execve(2) only.
            if is_root() && become_nobody().is_err()
                || set_dumpable_behavior(DumpableBehavior::Dumpable).is_err()
            {
                return 1;
            }
            let mut thread = 0;
            // SAFETY: `thread` outlives the call, and `wait` ignores its argument. The second call
            // ends this thread, and keeps the process.
            unsafe {
                let null = std::ptr::null_mut();
                libc::pthread_create(&mut thread, std::ptr::null(), wait, null);
                libc::syscall(libc::SYS_exit, 0);
            }
            1
        });
        let (ino, fd) = (ino(&listener), listener.as_raw_fd());
        drop(listener);
        let stat = format!("/proc/{}/stat", child.pid());
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(has_main_thread_ended(child.pid()) && !has_main_thread_ended(own_pid()));
        let owners = scan(PROCESSES);
        assert_eq!(found(&owners, ino), [(child.pid(), None, fd)]);
        let owners = scan(THREADS);
        assert!(
            matches!(found(&owners, ino)[..], [(pid, Some(tid), _)] if pid == child.pid() && tid != pid),
            "{:?}",
            found(&owners, ino)
        );
        // The user to whom it belongs may read the descriptors of its threads only.
        if is_root() {
            let as_nobody = Child::start(|| {
                let is_found = become_nobody().is_ok()
                    && found(&scan(PROCESSES), ino) == [(child.pid(), None, fd)];
                i32::from(!is_found)
            });
            assert_eq!(as_nobody.wait(), 0);
        }
    }

    /// Nobody sees that there are processes of root, and that this test has some sockets open.
    #[test]
    fn processes_of_others() {
        let _alone = alone();
        if !is_root() {
            return eprintln!("skipped: only root can become another user");
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ino = ino(&listener);
        let processes = fs::read_dir("/proc").unwrap().filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            // Kernel threads and processes that have ended have no program.
            path.join("stat").exists() && fs::read_link(path.join("exe")).is_ok()
        });
        // Processes come and go meanwhile.
        let processes = processes.count() / 2;
        let is_right = |is_root| {
            let owners = scan(PROCESSES);
            let unseen = &owners.unseen;
            owners.of(ino).iter().all(|owner| owner.pid() == own_pid())
                && owners.may_lack(ino)
                && !owners.may_lack(Some(0))
                && !owners.may_lack(None)
                && unseen.sight.is_root == is_root
                && unseen.uncertain == 0
                && unseen.denied >= processes
        };
        let without_capability = Child::start(|| {
            // Such a process may list the descriptors, but not read the links.
            let is_dropped = capabilities(None).and_then(|mut sets| {
                sets.effective.remove(CapabilitySet::SYS_PTRACE);
                sets.permitted.remove(CapabilitySet::SYS_PTRACE);
                set_capabilities(None, sets)
            });
            i32::from(is_dropped.is_err() || !is_right(true))
        });
        assert_eq!(without_capability.wait(), 0);
        let child = Child::start(|| i32::from(become_nobody().is_err() || !is_right(false)));
        assert_eq!(child.wait(), 0);
    }

    /// A scan ends when no process is new. It gives up if there always is one.
    #[test]
    fn processes_that_come_during_a_scan() {
        let lists: &[&[i32]] = &[&[1, 2, 9], &[1, 2, 10], &[1, 4, 11], &[1, 4]];
        let mut lists = lists.iter();
        let mut examined = Vec::new();
        let list = || Ok(lists.next().unwrap().to_vec());
        assert!(settle(list, |pid| examined.push(pid)).unwrap());
        assert_eq!(examined, [1, 2, 9, 10, 4, 11]);
        let mut last = 1;
        let list = || {
            last += 1;
            Ok(vec![1, last])
        };
        let mut count = 0;
        assert!(!settle(list, |_| count += 1).unwrap());
        assert_eq!(count, ROUNDS + 2);
        let proc = proc_mount::open().unwrap();
        for _ in 0..2 {
            assert!(pids(&proc).unwrap().contains(&own_pid()));
        }
    }

    #[test]
    fn inodes() {
        assert_eq!(inode("socket:[123]"), Some(123));
        for other in [
            "pipe:[123]",
            "socket:[]",
            "socket:[1",
            "/socket:[1]",
            "socket:[-1]",
        ] {
            assert_eq!(inode(other), None, "{other}");
        }
    }
}
