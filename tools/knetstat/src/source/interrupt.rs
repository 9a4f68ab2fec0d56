// SPDX-License-Identifier: GPL-2.0

//! Waiting for ^C, and for the time between two reads of the files.

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A file descriptor that becomes readable on ^C. ^C no longer ends the process, so that it cannot
/// cut a line in two.
pub struct Interrupt(SignalFd);

impl Interrupt {
    /// Blocks SIGINT, which ^C sends, and returns a descriptor for it.
    pub fn new() -> nix::Result<Self> {
        let mut interrupt = SigSet::empty();
        interrupt.add(Signal::SIGINT);
        interrupt.thread_block()?;
        Ok(Self(SignalFd::with_flags(
            &interrupt,
            SfdFlags::SFD_CLOEXEC,
        )?))
    }

    /// The descriptor for poll(2): readable once ^C was typed.
    pub fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(self.0.as_fd(), PollFlags::POLLIN)
    }
}

/// A periodic timer.
pub struct Timer<'a> {
    interrupt: &'a Interrupt,
    interval: Duration,
    next: Instant,
}

impl<'a> Timer<'a> {
    pub fn new(interval: Duration, interrupt: &'a Interrupt) -> Self {
        Self {
            interrupt,
            interval,
            next: Instant::now() + interval,
        }
    }

    /// Waits until the timer expires. Returns `false` on ^C, or if the reader of standard output
    /// has closed it.
    pub fn wait(&mut self) -> nix::Result<bool> {
        let stdout = io::stdout();
        loop {
            let left = self.next.saturating_duration_since(Instant::now());
            let mut fds = [
                self.interrupt.poll_fd(),
                PollFd::new(stdout.as_fd(), PollFlags::empty()),
            ];
            match poll(
                &mut fds,
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX),
            ) {
                Err(Errno::EINTR) => {}
                Err(err) => return Err(err),
                Ok(0) => break,
                Ok(_) => return Ok(false),
            }
        }
        self.next = (self.next + self.interval).max(Instant::now());
        Ok(true)
    }
}
