// SPDX-License-Identifier: GPL-2.0

//! Standard output while ^C is read by the command.

use crate::source::interrupt::Interrupt;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// The room in a pipe that poll(2) says is writable.
const PIPE_BUF: usize = 4096;

/// Standard output. If nobody reads what is printed, ^C ends the writing, as a broken pipe does.
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
