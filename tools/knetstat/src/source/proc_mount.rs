// SPDX-License-Identifier: GPL-2.0

//! The file system that is mounted on `/proc`.

use anyhow::{bail, Context, Result};
use procfs::process::{Process, Stat, StatFlags, Status};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{fstatfs, openat, Mode, OFlags, CWD, PROC_SUPER_MAGIC};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

/// Opens a directory below another one.
pub fn open_directory<P: rustix::path::Arg>(at: impl AsFd, path: P) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(at, path, flags, Mode::empty())?)
}

/// Whether a directory is of procfs, and not of a file system that is mounted over it.
pub fn is_procfs(directory: impl AsFd) -> bool {
    fstatfs(directory).is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC)
}

/// Whether this process is in the initial namespace of a kind, such as `pid`: `inode` is that of
/// `include/linux/proc_ns.h`.
///
/// # Errors
///
/// If `/proc/self/ns` cannot be read.
pub fn is_in_initial_namespace(kind: &str, inode: u64) -> io::Result<bool> {
    match fs::metadata(format!("/proc/self/ns/{kind}")) {
        Ok(found) => Ok(found.ino() == inode),
        // The kernel does not have such namespaces.
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(err) => Err(err),
    }
}

/// The ID of kthreadd, the parent of all kernel threads, in the initial PID namespace.
pub const KTHREADD: i32 = 2;

/// Whether `/proc` shows kthreadd, and so the initial PID namespace. No other has kernel threads.
pub fn has_kthreadd() -> bool {
    let stat = Process::new(KTHREADD).and_then(|process| process.stat());
    stat.is_ok_and(|stat| is_of_kernel(&stat))
}

/// Whether this is a kernel thread.
pub fn is_of_kernel(stat: &Stat) -> bool {
    StatFlags::from_bits_truncate(stat.flags).contains(StatFlags::PF_KTHREAD)
}

/// Whether the numbers in `/proc` are those of the PID namespace of this process, whose status this
/// is. Otherwise they mean other processes in system calls.
pub fn has_own_numbers(status: &Status) -> bool {
    // The kernel lists the IDs from the namespace of /proc down to that of the process.
    status.nspid.as_ref().is_none_or(|ids| ids.len() == 1)
}

/// Opens `/proc`.
///
/// # Errors
///
/// If no procfs is mounted there, or one in which this process does not exist.
pub fn open() -> Result<OwnedFd> {
    let opened = open_directory(CWD, "/proc");
    let is_missing = match &opened {
        Ok(directory) => !is_procfs(directory),
        Err(err) => matches!(
            err.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ),
    };
    if is_missing {
        bail!("/proc is not mounted; as root: mount -t proc proc /proc");
    }
    if let Err(err) = fs::read_link("/proc/self") {
        if err.kind() == io::ErrorKind::NotFound {
            bail!(
                "/proc shows the processes of another PID namespace; as root: mount -t proc proc \
                 /proc"
            );
        }
    }
    opened.context("/proc")
}
