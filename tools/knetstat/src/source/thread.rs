// SPDX-License-Identifier: GPL-2.0

//! A thread of its own for what must not happen on the others, such as entering a namespace.

use std::io;
use std::panic::resume_unwind;
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

#[cfg(test)]
mod tests {
    use super::*;
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
        let program = std::env::current_exe().unwrap();
        let test = "source::thread::tests::without_threads";
        let mut command = Command::new(program);
        let status = command.args(["--exact", "--ignored", test]).status();
        assert!(status.unwrap().success());
    }
}
