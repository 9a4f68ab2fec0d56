// SPDX-License-Identifier: GPL-2.0

//! Waiting for ^C, and for the time between two reads of the files.

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use procfs::process::Process;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A file descriptor that becomes readable on ^C. ^C no longer ends the process, so that it cannot
/// cut a line in two. If the process ignores ^C, as a shell wants it of a script's background
/// commands, the descriptor never becomes readable.
pub struct Interrupt(SignalFd);

impl Interrupt {
    /// Blocks SIGINT, which ^C sends, and returns a descriptor for it.
    pub fn new() -> nix::Result<Self> {
        let mut interrupt = SigSet::empty();
        // A descriptor would also get a signal that is ignored: while it is blocked, it is not.
        if !is_ignored(Signal::SIGINT) {
            interrupt.add(Signal::SIGINT);
            interrupt.thread_block()?;
        }
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

/// Whether this process ignores a signal.
fn is_ignored(signal: Signal) -> bool {
    let status = Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| (status.sigign >> (signal as i32 - 1)) & 1 == 1)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::rights::tests::passes_by;
    use nix::sys::signal::raise;
    use std::process::Command;

    /// Whether the descriptor becomes readable on ^C.
    fn is_seen() -> bool {
        let interrupt = Interrupt::new().unwrap();
        raise(Signal::SIGINT).unwrap();
        let timeout = PollTimeout::from(100_u8);
        poll(&mut [interrupt.poll_fd()], timeout).unwrap() == 1
    }

    #[test]
    #[ignore = "runs in a process of its own"]
    fn seen() {
        assert!(is_seen());
    }

    #[test]
    #[ignore = "runs in a process that ignores ^C"]
    fn not_seen() {
        assert!(!is_seen());
    }

    /// A shell starts the background commands of a script with SIGINT ignored.
    #[test]
    fn ignored_from_the_start() {
        for (disposition, test) in [("default", "seen"), ("ignore", "not_seen")] {
            let mut env = Command::new("env");
            env.arg(format!("--{disposition}-signal=INT"));
            let path = format!("source::interrupt::tests::{test}");
            assert!(passes_by(&mut env, &path), "{test}");
        }
    }
}
