// SPDX-License-Identifier: GPL-2.0

//! Memory without pages, by userfaultfd(2): a read(2) into it is stuck in a page fault.
//!
//! The process that reads makes the memory. The test duplicates its descriptor, to learn of the
//! fault and to resolve it.

use knetstat_child::{duplicate_of, new_descriptor};
use std::fs;
use std::io;
use std::io::Read;
use std::os::fd::{AsRawFd, RawFd};

/// The address of the memory, in a free part of the address space.
const START: u64 = 0x10_0000_0000;

/// The size of the memory: one page or several, which have at most 64 KiB.
const LEN: u64 = 64 << 10;

const UFFD_API: u64 = 0xaa;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1;

#[repr(C)]
struct UffdioApi {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register` and `struct uffdio_zeropage`.
#[repr(C)]
struct UffdioRange {
    start: u64,
    len: u64,
    mode: u64,
    result: u64,
}

nix::ioctl_readwrite!(uffdio_api, 0xaa, 0x3f, UffdioApi);
nix::ioctl_readwrite!(uffdio_register, 0xaa, 0x00, UffdioRange);
nix::ioctl_readwrite!(uffdio_zeropage, 0xaa, 0x04, UffdioRange);

/// The descriptor of the memory. Dropping this resolves its faults.
pub struct UserFault(fs::File);

impl UserFault {
    /// Makes the memory in this process.
    pub fn new() -> io::Result<Self> {
        // SAFETY: The call takes a number and no memory.
        let ret =
            unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | libc::O_NONBLOCK) };
        let fd = new_descriptor(ret)?;
        let mut api = UffdioApi {
            api: UFFD_API,
            features: 0,
            ioctls: 0,
        };
        // SAFETY: The argument is the structure that UFFDIO_API takes.
        unsafe { uffdio_api(fd.as_raw_fd(), &raw mut api) }?;
        // SAFETY: A new mapping, which replaces none, for MAP_FIXED_NOREPLACE.
        let memory = unsafe {
            libc::mmap(
                START as *mut libc::c_void,
                LEN as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
                -1,
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mut range = Self::range(UFFDIO_REGISTER_MODE_MISSING);
        // SAFETY: The argument is the structure that UFFDIO_REGISTER takes.
        unsafe { uffdio_register(fd.as_raw_fd(), &raw mut range) }?;
        Ok(Self(fd.into()))
    }

    fn range(mode: u64) -> UffdioRange {
        UffdioRange {
            start: START,
            len: LEN,
            mode,
            result: 0,
        }
    }

    /// The number of the descriptor.
    pub fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Duplicates the descriptor of another process.
    pub fn take(pid: u32, number: RawFd) -> io::Result<Self> {
        Ok(Self(duplicate_of(pid, number)?.into()))
    }

    /// Whether there is a page fault that was not reported before.
    pub fn is_met(&mut self) -> io::Result<bool> {
        // A `struct uffd_msg`.
        let mut message = [0; 32];
        match self.0.read(&mut message) {
            Ok(len) => Ok(len == message.len()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads a file into the memory of this process.
    pub fn fill_from(&self, file: &fs::File) -> io::Result<usize> {
        // SAFETY: `new` has mapped that many bytes there, which nothing else uses.
        let ret = unsafe { libc::read(file.as_raw_fd(), START as *mut libc::c_void, LEN as usize) };
        usize::try_from(ret).map_err(|_| io::Error::last_os_error())
    }
}

impl Drop for UserFault {
    fn drop(&mut self) {
        let mut range = Self::range(0);
        // It fails if the process is gone.
        // SAFETY: The argument is the structure that UFFDIO_ZEROPAGE takes.
        let _ = unsafe { uffdio_zeropage(self.0.as_raw_fd(), &raw mut range) };
    }
}
