// SPDX-License-Identifier: GPL-2.0

//! The processes whose sockets are not known, and the reasons.

use crate::source::proc_mount::{
    has_kthreadd, has_own_numbers, is_in_initial_namespace, is_of_kernel, is_procfs, open_directory,
};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::unistd::{self, getsid};
use procfs::process::{Process, Status};
use procfs::ProcError;
use rustix::fd::AsFd;
use rustix::fs::{statat, statx, AtFlags, StatxFlags, CWD};
use rustix::io::Errno;
use rustix::process::{pidfd_open, Pid, PidfdFlags};
use std::os::fd::AsRawFd;
use std::{fs, io, ptr};

/// The inodes of the initial namespaces: `PROC_PID_INIT_INO` and `PROC_USER_INIT_INO` in
/// `include/linux/proc_ns.h`.
const INITIAL_PID_NAMESPACE: u64 = 0xefff_fffc;
const INITIAL_USER_NAMESPACE: u64 = 0xefff_fffd;

/// The capability that shows all processes and reads the links of their descriptors:
/// `CAP_SYS_PTRACE`.
const SYS_PTRACE: u64 = 1 << 19;

/// The capabilities that list the descriptors of other users, either of them: `CAP_DAC_OVERRIDE`
/// and `CAP_DAC_READ_SEARCH`.
const READ_SEARCH: u64 = (1 << 1) | (1 << 2);

/// An advice of madvise(2), from `include/uapi/asm-generic/mman-common.h`.
const MADV_COLD: std::ffi::c_int = 20;

/// The view that this process has of other processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Whether `/proc` shows the PID namespace of this process. Otherwise its numbers mean other
    /// processes in system calls.
    pub is_own_namespace: bool,
    /// Whether `/proc` shows the initial PID namespace, which contains all processes.
    pub is_initial_namespace: bool,
    /// Whether the effective user is root.
    pub is_root: bool,
    /// Whether this process has the capabilities that examining all processes needs.
    pub is_capable: bool,
    /// Whether this process is in the initial user namespace.
    pub is_initial_user: bool,
    /// The value of the mount option `hidepid`, if it hides processes from this one.
    pub hidepid: Option<String>,
}

#[cfg(test)]
impl Sight {
    /// That of root, who sees all processes.
    pub const WHOLE: Self = Self {
        is_own_namespace: true,
        is_initial_namespace: true,
        is_root: true,
        is_capable: true,
        is_initial_user: true,
        hidepid: None,
    };
}

/// The processes whose sockets are not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// The view of this process.
    pub sight: Sight,
    /// The number of processes that this one may not examine.
    pub denied: usize,
    /// The number of those that may be kernel threads, which have no sockets.
    pub uncertain: usize,
    /// The number of processes with so many threads and descriptors that the threads were not
    /// examined. This needs a kernel without kcmp(2), or one that refuses it.
    pub with_threads: usize,
    /// The number of io_urings whose sockets the kernel did not show, or that there was no time
    /// for. Each counts for each process that has it open. Before Linux 5.16, each descriptor
    /// counts.
    pub rings: usize,
}

/// The facts about a process that this one may not examine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It is a kernel thread or has ended, so it has no descriptors.
    Nothing,
    /// Its main thread has ended, but others go on.
    Threads,
    Process,
    /// It is a process or a kernel thread.
    Unknown,
}

impl Sight {
    /// The view of this process in `/proc`, which was opened as `proc`.
    pub fn of(proc: impl AsFd) -> io::Result<Self> {
        let status = Process::myself()
            .and_then(|me| me.status())
            .map_err(other)?;
        let is_own_namespace = has_own_numbers(&status);
        let is_initial_namespace = match is_own_namespace {
            true => is_in_initial_namespace("pid", INITIAL_PID_NAMESPACE)?,
            false => has_kthreadd(),
        };
        let mut sight = Self {
            is_own_namespace,
            is_initial_namespace,
            is_root: status.euid == 0,
            is_capable: is_capable(status.capeff),
            is_initial_user: is_in_initial_namespace("user", INITIAL_USER_NAMESPACE)?,
            hidepid: None,
        };
        // A security module may refuse what the capability permits, and procfs then hides the
        // process.
        let sees_all = sight.is_initial_user && status.capeff & SYS_PTRACE != 0 && has_init(&proc);
        if !sees_all {
            // If the options cannot be read, processes may be hidden.
            let options = options(proc).unwrap_or_else(|_| "hidepid=unknown".to_owned());
            sight.hidepid = sight.hidden_by(&options, &status);
        }
        Ok(sight)
    }

    /// The value of `hidepid` among these mount options, if it hides processes.
    fn hidden_by(&self, options: &str, status: &Status) -> Option<String> {
        let value = |name: &str| {
            let mut options = options.split(',');
            options.find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
        };
        let mode = value("hidepid")?;
        let gid = value("gid").map_or(Some(0), |gid| gid.parse().ok());
        // The number in the options is that of the initial user namespace.
        let is_member = self.is_initial_user
            && gid.is_some_and(|gid| status.fgid == gid || status.groups.contains(&gid));
        match mode {
            "off" | "0" | "noaccess" | "1" => None,
            "invisible" | "2" if is_member => None,
            _ => Some(mode.to_owned()),
        }
    }
}

impl Unseen {
    pub fn new(sight: Sight) -> Self {
        Self {
            sight,
            denied: 0,
            uncertain: 0,
            with_threads: 0,
            rings: 0,
        }
    }

    /// Whether all processes of the machine were seen, even if not all could be examined.
    pub fn has_all_processes(&self) -> bool {
        self.sight.hidepid.is_none() && self.sight.is_initial_namespace
    }

    /// Whether there may be owners that were not seen.
    pub fn is_any(&self) -> bool {
        self.rings > 0 || self.may_lack_namespaces()
    }

    /// Whether there may be network namespaces that were not seen. Those that only an io_uring
    /// keeps never are.
    pub fn may_lack_namespaces(&self) -> bool {
        self.denied > 0
            || self.with_threads > 0
            || self.sight.hidepid.is_some()
            || !self.sight.is_initial_namespace
    }
}

fn other(err: ProcError) -> io::Error {
    match err {
        ProcError::Io(err, _) => err,
        err => io::Error::other(err),
    }
}

/// The options of the file system that this directory is on, as /proc/PID/mountinfo lists them.
///
/// Other lines may contain paths that are not UTF-8.
fn options(directory: impl AsFd) -> io::Result<String> {
    let found = statx(directory, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    let id = found.stx_mnt_id.to_string();
    let mounts = fs::read("/proc/self/mountinfo")?;
    let line = mounts.split(|byte| *byte == b'\n').find(|line| {
        let mut words = line.split(|byte| *byte == b' ');
        words.next() == Some(id.as_bytes())
    });
    let options = line.and_then(|line| line.rsplit(|byte| *byte == b' ').next());
    let options = options.ok_or_else(|| io::Error::other("/proc/self/mountinfo lacks /proc"))?;
    Ok(String::from_utf8_lossy(options).into_owned())
}

/// Whether these capabilities suffice to examine all processes.
fn is_capable(capabilities: u64) -> bool {
    capabilities & SYS_PTRACE != 0 && capabilities & READ_SEARCH != 0
}

/// Whether the first process of the PID namespace is visible. It lasts as long as the namespace.
fn has_init(proc: impl AsFd) -> bool {
    !matches!(statat(proc, "1", AtFlags::empty()), Err(Errno::NOENT))
}

/// The facts about a process whose descriptors may not be listed. `is_own_namespace` is that of
/// [`Sight`].
pub fn denied(pid: i32, is_own_namespace: bool) -> Denied {
    match Process::new(pid).and_then(|process| process.stat()) {
        Ok(stat) => {
            let has_ended = matches!(stat.state, 'Z' | 'X');
            match has_ended {
                _ if is_of_kernel(&stat) => Denied::Nothing,
                true if stat.num_threads <= 1 => Denied::Nothing,
                true => Denied::Threads,
                false => Denied::Process,
            }
        }
        Err(ProcError::NotFound(_)) if is_covered(&format!("/proc/{pid}")) => Denied::Process,
        Err(ProcError::NotFound(_)) => Denied::Nothing,
        // hidepid=1 hides this file, too.
        Err(_) => match is_own_namespace {
            true => without_proc(pid).unwrap_or(Denied::Unknown),
            false => Denied::Unknown,
        },
    }
}

/// Whether another file system is mounted over a directory of `/proc`, so that it hides a process.
fn is_covered(directory: &str) -> bool {
    open_directory(CWD, directory).is_ok_and(|opened| !is_procfs(opened))
}

/// Tells a process from a kernel thread by system calls, which hidepid does not affect. `None` if
/// this kernel refuses them.
fn without_proc(pid: i32) -> Option<Denied> {
    let id = Pid::from_raw(pid)?;
    let process = match pidfd_open(id, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(Errno::SRCH) => return Some(Denied::Nothing),
        Err(_) => return None,
    };
    // The descriptor is readable once all threads have ended.
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    if poll(&mut fds, PollTimeout::ZERO).ok()? > 0 {
        return Some(Denied::Nothing);
    }
    // This advice is for no range, so it changes nothing. The kernel first looks for the memory of
    // the process, and then whether this process may access it.
    // SAFETY: The vector is empty, so the kernel does not read it. `process` is open.
    let status = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            process.as_raw_fd(),
            ptr::null::<libc::iovec>(),
            0usize,
            MADV_COLD,
            0u32,
        )
    };
    if status >= 0 {
        return Some(Denied::Process);
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EACCES) => Some(Denied::Process),
        // Kernel threads have no memory and no session; a main thread that has ended has a session.
        Some(libc::ESRCH) => Some(match getsid(Some(unistd::Pid::from_raw(pid))) {
            Ok(session) if session.as_raw() != 0 => Denied::Process,
            _ => Denied::Nothing,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::geteuid;

    fn me() -> Status {
        Process::myself().and_then(|me| me.status()).unwrap()
    }

    #[test]
    fn capabilities() {
        for (capabilities, expected) in [
            (0, false),
            (1 << 19, false),
            ((1 << 19) | (1 << 2), true),
            ((1 << 19) | (1 << 1), true),
            (!(1 << 19), false),
        ] {
            assert_eq!(is_capable(capabilities), expected, "{capabilities:x}");
        }
    }

    /// The kernel shows all namespaces of the processes that have a ring open.
    #[test]
    fn rings_hide_owners_only() {
        let mut sight = Sight::of(fs::File::open("/proc").unwrap()).unwrap();
        (sight.is_initial_namespace, sight.hidepid) = (true, None);
        let with = |rings, denied| Unseen {
            rings,
            denied,
            ..Unseen::new(sight.clone())
        };
        for (rings, denied, expected) in [
            (0, 0, (false, false)),
            (1, 0, (true, false)),
            (0, 1, (true, true)),
            (1, 1, (true, true)),
        ] {
            let unseen = with(rings, denied);
            assert_eq!((unseen.is_any(), unseen.may_lack_namespaces()), expected);
        }
    }

    /// A directory without a process 1 is like a `/proc` that hides it.
    #[test]
    fn a_first_process() {
        for (directory, expected) in [("/proc", true), ("/dev", false)] {
            assert_eq!(
                has_init(fs::File::open(directory).unwrap()),
                expected,
                "{directory}"
            );
        }
    }

    #[test]
    fn hidden_processes() {
        let sight = Sight {
            is_own_namespace: true,
            is_initial_namespace: true,
            is_root: false,
            is_capable: false,
            is_initial_user: true,
            hidepid: None,
        };
        let mut user = me();
        (user.fgid, user.groups) = (100, vec![20, 30]);
        for (options, expected) in [
            ("rw", None),
            ("rw,hidepid=off", None),
            ("rw,hidepid=0", None),
            ("rw,hidepid=noaccess", None),
            ("rw,hidepid=1,gid=9", None),
            ("rw,hidepid=invisible", Some("invisible")),
            ("rw,gid=9,hidepid=2,subset=pid", Some("2")),
            ("rw,gid=100,hidepid=2", None),
            ("rw,gid=30,hidepid=invisible", None),
            ("rw,gid=300,hidepid=invisible", Some("invisible")),
            // Members of the group do not see more with this value.
            ("rw,gid=30,hidepid=ptraceable", Some("ptraceable")),
            ("rw,gid=30,hidepid=4", Some("4")),
            ("rw,subset=pid", None),
            ("hidepid=unknown", Some("unknown")),
        ] {
            assert_eq!(
                sight.hidden_by(options, &user).as_deref(),
                expected,
                "{options}"
            );
        }
        // Without gid=, the group is root's.
        let mut of_root = user;
        of_root.fgid = 0;
        assert_eq!(sight.hidden_by("rw,hidepid=2", &of_root), None);
        let elsewhere = Sight {
            is_initial_user: false,
            ..sight
        };
        assert!(elsewhere.hidden_by("rw,hidepid=2", &of_root).is_some());
    }

    /// A directory that is not of procfs hides a process. One that does not exist is that of a
    /// process that has ended.
    #[test]
    fn directories_that_hide_a_process() {
        for (directory, expected) in [("/proc/self", false), ("/proc/none", false), ("/sys", true)]
        {
            assert_eq!(is_covered(directory), expected, "{directory}");
        }
    }

    /// The options of the mount are those that /proc/mounts lists.
    #[test]
    fn options_of_proc() {
        let proc = fs::File::open("/proc").unwrap();
        let options = options(&proc).unwrap();
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let mut lines = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>());
        let line = lines.rfind(|words| words[1] == "/proc").unwrap();
        assert_eq!(line[2], "proc");
        let listed: Vec<_> = line[3].split(',').collect();
        for option in options.split(',') {
            assert!(listed.contains(&option), "{option}: {listed:?}");
        }
    }

    /// System calls tell apart what /proc does: kernel threads, processes, and those that have
    /// ended.
    #[test]
    fn system_calls_tell_the_same_as_proc() {
        let mut counts = [0; 2];
        for process in procfs::process::all_processes().unwrap() {
            let stat = process.and_then(|process| Ok((process.stat()?, process.uid()?)));
            let Ok((stat, user)) = stat else {
                continue;
            };
            let by_proc = denied(stat.pid, true);
            let by_calls = without_proc(stat.pid);
            let is_process = by_proc != Denied::Nothing;
            counts[usize::from(is_process)] += 1;
            match by_calls {
                // Another test may have ended the process meanwhile.
                Some(Denied::Nothing) if denied(stat.pid, true) == Denied::Nothing => {}
                Some(Denied::Process) if is_process => {}
                // Such advice to another process of the same user needs CAP_SYS_NICE, and then the
                // error is the same as if all such calls were refused.
                None if is_process && user == geteuid().as_raw() => {}
                _ => panic!("{stat:?}: {by_proc:?} {by_calls:?}"),
            }
        }
        assert!(counts[1] > 1, "{counts:?}");
        assert_eq!(without_proc(i32::MAX), Some(Denied::Nothing));
    }
}
