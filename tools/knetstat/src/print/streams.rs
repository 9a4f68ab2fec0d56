// SPDX-License-Identifier: GPL-2.0

//! Standard output, whose errors are all reported, and standard error, whose errors are not.

use crate::source::interrupt::Interrupt;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The room that a pipe has at least if poll(2) reports it as writable.
const PIPE_BUF: usize = 4096;

/// Whether standard output was closed when the process began. The standard library opens
/// `/dev/null` in its place before `main` runs.
static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

extern "C" fn look_at_stdout() {
    // SAFETY: F_GETFD takes no pointer, and any number of a descriptor.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    WAS_CLOSED.store(flags == -1, Ordering::Relaxed);
}

/// The C library calls the functions of this section before the standard library begins.
#[used]
#[link_section = ".init_array"]
static LOOK_AT_STDOUT: extern "C" fn() = look_at_stdout;

/// Standard output without a buffer.
///
/// [`io::Stdout`] takes a descriptor that cannot be written to for one that discards everything.
pub struct Stdout(File);

impl Stdout {
    /// # Errors
    ///
    /// If standard output is closed.
    pub fn open() -> io::Result<Self> {
        if WAS_CLOSED.load(Ordering::Relaxed) {
            return Err(io::Error::other("standard output is closed"));
        }
        let duplicate = io::stdout().as_fd().try_clone_to_owned();
        Ok(Self(duplicate.map_err(cannot_write)?.into()))
    }
}

impl AsFd for Stdout {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(cannot_write)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Adds to an error what failed. Its kind remains, because a write is repeated after
/// [`io::ErrorKind::Interrupted`], and a broken pipe is no error.
fn cannot_write(err: io::Error) -> io::Error {
    let message = format!("cannot write to standard output: {err}");
    io::Error::new(err.kind(), message)
}

/// Standard output that ^C interrupts. If the pipe is full and ^C is typed, a write fails as on a
/// broken pipe.
pub struct InterruptibleStdout<'a> {
    stdout: Stdout,
    interrupt: &'a Interrupt,
}

impl<'a> InterruptibleStdout<'a> {
    /// # Errors
    ///
    /// Those of [`Stdout::open`].
    pub fn new(interrupt: &'a Interrupt) -> io::Result<Self> {
        let stdout = Stdout::open()?;
        Ok(Self { stdout, interrupt })
    }
}

impl Write for InterruptibleStdout<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stdout = PollFd::new(self.stdout.as_fd(), PollFlags::POLLOUT);
        let mut fds = [stdout, self.interrupt.poll_fd()];
        poll(&mut fds, PollTimeout::NONE)?;
        if fds[0].any() == Some(false) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.stdout.write(&bytes[..bytes.len().min(PIPE_BUF)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints a message to standard error. If that is impossible, there is no way to report it.
pub fn say(message: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "knetstat: {message}");
}

/// Whether the reader of standard output has closed it, as `head` does.
pub fn is_broken_pipe(err: &anyhow::Error) -> bool {
    err.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|err| err.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Standard output whose reader has closed it.
    pub struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
