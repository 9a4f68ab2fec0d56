// SPDX-License-Identifier: GPL-2.0

//! Standard output while the command handles ^C itself.

use crate::source::interrupt::Interrupt;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// The room that a pipe has at least if poll(2) reports it as writable.
const PIPE_BUF: usize = 4096;

/// Standard output that ^C interrupts. If the pipe is full and ^C is typed, a write fails as on a
/// broken pipe.
pub struct InterruptibleStdout<'a> {
    stdout: File,
    interrupt: &'a Interrupt,
}

impl<'a> InterruptibleStdout<'a> {
    pub fn new(interrupt: &'a Interrupt) -> io::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?.into();
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
        (&self.stdout).write(&bytes[..bytes.len().min(PIPE_BUF)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
