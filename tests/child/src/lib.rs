// SPDX-License-Identifier: GPL-2.0

//! Child processes that run this same program from another entry point, and talk to it through
//! pipes.
//!
//! A program passes its entry points to [`dispatch`], at the start of its main function. A part of
//! it that needs a process of its own calls [`Child::start`] with one of them.

use anyhow::{anyhow, ensure, Context, Result};
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::process::{self, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// The first argument of a child; the second one is the name of its entry point.
const MARK: &str = "--child";

/// A main function of this program for a child.
pub struct EntryPoint {
    pub name: &'static str,
    /// Takes the arguments that the child was started with.
    pub main: fn(&[String]) -> Result<()>,
}

/// Keeps freed memory in the process, in one arena for all threads. Otherwise, page faults take most of
/// the time in UML. Call this before there is a second thread.
pub fn keep_memory() {
    // SAFETY: mallopt(3) changes parameters only, and no other thread runs yet that might allocate.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TOP_PAD, 4 << 20);
    }
}

/// Runs the entry point of this process if it is a child. `None`: it is not.
pub fn dispatch(entry_points: &[&EntryPoint]) -> Option<Result<()>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mark, name, rest @ ..] = &*arguments else {
        return None;
    };
    if mark != MARK {
        return None;
    }
    Some(match entry_points.iter().find(|point| point.name == name) {
        Some(point) => (point.main)(rest),
        None => Err(anyhow!("no such entry point: {name}")),
    })
}

impl EntryPoint {
    /// The command that starts this program here.
    pub fn command(&self) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.args([MARK, self.name]);
        command
    }

    /// The same by way of another command, such as setpriv(1), which starts its arguments.
    pub fn command_by(&self, by: &[&str]) -> Result<Command> {
        let (program, arguments) = by.split_first().context("no command")?;
        let mut command = Command::new(program);
        // In that command, /proc/self/exe is another program.
        let me = std::env::current_exe()?;
        command.args(arguments).arg(me).args([MARK, self.name]);
        Ok(command)
    }
}

/// A child, as its parent sees it. Dropping this kills it.
pub struct Child {
    process: process::Child,
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Child {
    /// Starts a child at this entry point.
    pub fn start(at: &EntryPoint, arguments: &[impl AsRef<OsStr>]) -> Result<Self> {
        Self::spawn(at.command().args(arguments))
    }

    /// Starts a child by a command of an [`EntryPoint`].
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        Ok(Self {
            requests: process.stdin.take(),
            replies: BufReader::new(process.stdout.take().context("no pipe")?),
            process,
        })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The standard input of the child.
    pub fn requests(&mut self) -> Result<&mut impl Write> {
        self.requests.as_mut().context("its input is closed")
    }

    /// The standard output of the child.
    pub fn replies(&mut self) -> &mut impl BufRead {
        &mut self.replies
    }

    /// Sends a line.
    pub fn send(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.requests()?, "{line}")?)
    }

    /// The next line of its output, without the newline. `None`: the child has closed its output.
    pub fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        if self.replies.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(line.trim_end_matches('\n').to_owned()))
    }

    /// Ends its input.
    pub fn close(&mut self) {
        self.requests = None;
    }

    /// Ends its input, and waits until the child has ended. Fails with what it printed on standard
    /// error, if that is a pipe, and the child has failed.
    pub fn end(mut self) -> Result<()> {
        self.close();
        let mut errors = String::new();
        if let Some(mut stderr) = self.process.stderr.take() {
            stderr.read_to_string(&mut errors)?;
        }
        let status = self.process.wait()?;
        ensure!(status.success(), "the child failed: {status}: {errors}");
        Ok(())
    }

    /// Sends SIGKILL, and does not wait.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    /// The status of the child, if it has ended.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A duplicate of the file descriptor `number` of another process.
pub fn duplicate_of(pid: u32, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: The call takes numbers and no memory.
    let process = new_descriptor(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: The call takes numbers and no memory.
    new_descriptor(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })
}

/// The descriptor that a system call has just returned, or its error.
pub fn new_descriptor(ret: libc::c_long) -> io::Result<OwnedFd> {
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: The system call has just made this descriptor, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(ret as RawFd) })
}
