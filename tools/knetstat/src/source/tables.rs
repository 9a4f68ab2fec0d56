// SPDX-License-Identifier: GPL-2.0

//! The tables of descriptors of threads, as `/proc/PID/fd` and `/proc/PID/task/TID/fd` list them.
//!
//! The threads of a process usually share one table. kcmp(2) says whether two threads do, so each
//! table is read once.

use rustix::fd::AsFd;
use rustix::fs::{readlinkat_raw, statx, AtFlags, RawDir, StatxFlags};
use rustix::io::Errno;
use rustix::path::Arg;
use std::cmp::Ordering;
use std::ffi::{c_int, CStr};
use std::io;
use std::mem::MaybeUninit;

/// The size of the buffer for directory entries.
const DIRECTORY: usize = 32 << 10;

/// The size of the buffer for the target of a link. `socket:[INODE]` fits; longer targets, which
/// are not sockets, may be cut off.
const LINK: usize = 64;

/// The number of descriptors of threads that are read if kcmp(2) does not say which tables are
/// shared. This takes about half a second.
pub const WITHOUT_KCMP: usize = 1 << 18;

/// The type of comparison of kcmp(2): `KCMP_FILES` in `include/uapi/linux/kcmp.h`.
const KCMP_FILES: c_int = 2;

/// The table of a thread, compared with those that were read.
pub enum Place {
    /// It is the table with this index.
    Known(usize),
    /// It was not read yet, and belongs before the table with this index.
    New(usize),
    /// The kernel does not say.
    Unknown,
}

/// A descriptor in a table.
#[derive(Clone, Copy)]
pub struct Descriptor<'a> {
    pub fd: i32,
    /// The name of the link in the directory.
    pub name: &'a CStr,
    /// The target of the link, of which the end may be missing.
    pub target: &'a [u8],
}

/// The buffer for the entries of a directory.
pub fn room() -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::uninit(); DIRECTORY]
}

/// The number that an entry of a directory is named after, if any.
pub fn number(name: &CStr) -> Option<i32> {
    name.to_str().ok()?.parse().ok()
}

/// The major and minor number of a device.
pub type Device = (u32, u32);

/// The device and the inode of a file that another process has open. Most file systems are not asked
/// for them: one over the network, or of that process, might never answer.
pub fn device_and_inode(directory: impl AsFd, path: impl Arg) -> Option<(Device, u64)> {
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let found = statx(directory, path, flags, StatxFlags::INO).ok()?;
    Some(((found.stx_dev_major, found.stx_dev_minor), found.stx_ino))
}

/// Passes each descriptor in an open directory to `take`. Returns their number. Links are read
/// relative to the directory, because looking up `/proc/PID/fd/FD` takes longer than reading the
/// link.
///
/// # Errors
///
/// If the directory or a link cannot be read, and those of `take`.
pub fn descriptors(
    directory: impl AsFd,
    room: &mut [MaybeUninit<u8>],
    mut take: impl FnMut(Descriptor<'_>) -> io::Result<()>,
) -> io::Result<usize> {
    let mut count = 0;
    let mut entries = RawDir::new(&directory, room);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        let Some(fd) = number(name) else {
            continue;
        };
        count += 1;
        let mut link = [MaybeUninit::uninit(); LINK];
        match readlinkat_raw(&directory, name, &mut link) {
            Ok((target, _)) => take(Descriptor { fd, name, target })?,
            // The descriptor was closed in the meantime.
            Err(Errno::NOENT) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(count)
}

/// Looks for the table of a thread among these, which are in the order of kcmp(2). `tid_of` is a
/// thread that uses one of them.
pub fn place<T>(tables: &[T], tid_of: impl Fn(&T) -> i32, tid: i32) -> Place {
    let mut is_known = true;
    let found = tables.binary_search_by(|table| {
        compare(tid_of(table), tid).unwrap_or_else(|| {
            is_known = false;
            Ordering::Equal
        })
    });
    match found {
        _ if !is_known => Place::Unknown,
        Ok(at) => Place::Known(at),
        Err(at) => Place::New(at),
    }
}

/// The order of the tables of two threads; equal if they share one. `None` if the kernel does not
/// say: it may lack kcmp(2) or refuse it, or a thread has ended.
fn compare(one: i32, other: i32) -> Option<Ordering> {
    // SAFETY: The call takes five integers, and accesses no memory of this process.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_FILES, 0usize, 0usize) };
    match order {
        0 => Some(Ordering::Equal),
        1 => Some(Ordering::Less),
        2 => Some(Ordering::Greater),
        _ => None,
    }
}
