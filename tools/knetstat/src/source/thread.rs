// SPDX-License-Identifier: GPL-2.0

//! A thread of its own for what must not happen on the others, such as entering a namespace.

use nix::sys::signal::SigSet;
use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{channel, Sender};
use std::thread::{scope, Builder};

/// Runs `run` on a new thread, and waits for it.
///
/// # Errors
///
/// If no thread can be started, for example because the control group allows no more.
pub fn on_new_thread<R: Send>(run: impl FnOnce() -> R + Send) -> io::Result<R> {
    scope(|scope| {
        let thread = Builder::new().spawn_scoped(scope, run)?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// A job for a thread that stays.
type Job = Box<dyn FnOnce() + Send>;

/// A thread that stays in the namespaces in which it was started, when others enter new ones.
#[derive(Debug)]
pub struct Stay(Sender<Job>);

impl Stay {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn start() -> io::Result<Self> {
        let (sender, jobs) = channel::<Job>();
        Builder::new().spawn(move || {
            // Signals are for the thread that waits for them, and blocks them only later.
            let _ = SigSet::all().thread_block();
            jobs.into_iter().for_each(|job| job());
        })?;
        Ok(Self(sender))
    }

    /// Runs `run` on the thread, and waits for it.
    ///
    /// # Errors
    ///
    /// If the thread has ended, which a job that panicked causes.
    pub fn run<R: Send + 'static>(
        &self,
        run: impl FnOnce() -> R + Send + 'static,
    ) -> io::Result<R> {
        let (tell, told) = channel();
        let job = move || {
            // The other end waits for it.
            let _ = tell.send(run());
        };
        let ended = || io::Error::other("a thread has ended");
        self.0.send(Box::new(job)).map_err(|_| ended())?;
        told.recv().map_err(|_| ended())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::rights::tests::passes_by;
    use nix::sys::signal::Signal;
    use nix::unistd::{setuid, Uid};
    use rustix::process::{setrlimit, Resource, Rlimit};
    use std::process::Command;
    use std::thread;

    #[test]
    fn another_thread() {
        let own = thread::current().id();
        assert_ne!(on_new_thread(|| thread::current().id()).unwrap(), own);
    }

    #[test]
    fn a_thread_that_stays() {
        let stay = Stay::start().unwrap();
        let ids = [0; 2].map(|_| stay.run(|| thread::current().id()).unwrap());
        assert_eq!(ids[0], ids[1]);
        // ^C must not end the command here once another thread waits for it.
        let blocked = stay.run(|| SigSet::thread_get_mask().unwrap());
        assert!(blocked.unwrap().contains(Signal::SIGINT));
        assert_ne!(ids[0], thread::current().id());
        assert!(stay.run(|| resume_unwind(Box::new(()))).is_err());
        assert!(stay.run(|| ()).is_err());
    }

    #[test]
    #[ignore = "may start no more threads"]
    fn without_threads() {
        // The limit does not apply to root.
        if Uid::effective().is_root() && setuid(Uid::from_raw(65534)).is_err() {
            return;
        }
        let limit = Rlimit {
            current: Some(1),
            maximum: Some(1),
        };
        setrlimit(Resource::Nproc, limit).unwrap();
        assert!(on_new_thread(|| ()).is_err());
    }

    /// A limit on threads is an error, not a panic.
    #[test]
    fn a_limit_on_threads() {
        let test = "source::thread::tests::without_threads";
        assert!(passes_by(&mut Command::new("env"), test));
    }
}
