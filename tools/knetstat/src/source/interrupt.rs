// SPDX-License-Identifier: GPL-2.0

//! ^C, and the time between two readings, which ^C ends.

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// ^C as a descriptor to read, rather than the end of the process: no line is torn by it.
pub struct Interrupt(SignalFd);

impl Interrupt {
    /// Takes ^C from now on.
    pub fn new() -> nix::Result<Self> {
        let mut interrupt = SigSet::empty();
        interrupt.add(Signal::SIGINT);
        interrupt.thread_block()?;
        Ok(Self(SignalFd::with_flags(
            &interrupt,
            SfdFlags::SFD_CLOEXEC,
        )?))
    }

    /// Readable once ^C was typed.
    pub fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(self.0.as_fd(), PollFlags::POLLIN)
    }
}

/// A timer that expires again and again.
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

    /// Waits until it expires. Returns `false` after ^C, or if nobody reads standard output any more.
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
