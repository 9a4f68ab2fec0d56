// SPDX-License-Identifier: GPL-2.0

//! A child process that runs commands.
//!
//! It is started before any socket is opened. To fork a process with 100,000 file descriptors takes
//! milliseconds, which would be counted as the command's.

use anyhow::{ensure, Context, Result};
use knetstat_child::{Child, EntryPoint};
use memchr::memchr_iter;
use procfs::process::Process;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::io::{BufRead, Read, Write};
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The entry point of the process.
pub const ENTRY_POINT: EntryPoint = EntryPoint {
    name: "spawner",
    main: |_| serve(),
};

/// A command to run.
#[derive(Serialize, Deserialize)]
struct Request {
    command: Vec<String>,
    what: What,
}

/// The result that is asked for.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The time it takes. Its output goes to /dev/null.
    Time,
    /// The size of its output, which goes through a pipe.
    Count,
    /// Its peak of memory. Its output goes to /dev/null.
    Peak,
}

/// The result of a command.
#[derive(Serialize, Deserialize, Default)]
struct Reply {
    seconds: f64,
    printed: Printed,
    /// The peak of memory that was seen, in KiB.
    peak: u64,
    error: Option<String>,
}

/// The size of a command's output.
#[derive(Serialize, Deserialize, Default, Clone, Copy)]
pub struct Printed {
    /// The number of lines. A line that begins with white space continues the one before, and does
    /// not count.
    pub lines: usize,
    pub bytes: u64,
}

/// The process, as its parent sees it. Dropping this kills it.
pub struct Spawner(Child);

impl Spawner {
    pub fn start() -> Result<Self> {
        let child =
            Child::start(&ENTRY_POINT, &[""; 0]).context("starting a process to run commands")?;
        Ok(Self(child))
    }

    /// Runs a command with its output to /dev/null. Returns the seconds from its start to its end.
    pub fn time(&mut self, command: &[&str]) -> Result<f64> {
        Ok(self.run(command, What::Time)?.seconds)
    }

    /// Runs a command. Returns the size of its output.
    pub fn count(&mut self, command: &[&str]) -> Result<Printed> {
        Ok(self.run(command, What::Count)?.printed)
    }

    /// Runs a command. Returns its peak of memory, in KiB.
    pub fn peak(&mut self, command: &[&str]) -> Result<u64> {
        Ok(self.run(command, What::Peak)?.peak)
    }

    /// Runs a command with its output to a pipe. Returns the seconds from its start to its end, and
    /// the size of its output. With /dev/null, grep(1) would do less.
    pub fn time_piped(&mut self, command: &[&str]) -> Result<(f64, Printed)> {
        let reply = self.run(command, What::Count)?;
        Ok((reply.seconds, reply.printed))
    }

    fn run(&mut self, command: &[&str], what: What) -> Result<Reply> {
        let request = Request {
            command: command.iter().map(ToString::to_string).collect(),
            what,
        };
        send(self.0.requests()?, &request)?;
        let reply: Reply =
            receive(self.0.replies())?.context("the process that runs commands is gone")?;
        ensure!(
            reply.error.is_none(),
            "{}: {}",
            command.join(" "),
            reply.error.unwrap_or_default()
        );
        Ok(reply)
    }
}

/// The main function of the process. It ends with its parent.
fn serve() -> Result<()> {
    let mut requests = io::stdin().lock();
    let mut replies = io::stdout().lock();
    while let Some(request) = receive::<Request>(&mut requests)? {
        let reply = execute(&request).unwrap_or_else(|error| Reply {
            error: Some(format!("{error:#}")),
            ..Reply::default()
        });
        send(&mut replies, &reply)?;
    }
    Ok(())
}

fn execute(request: &Request) -> Result<Reply> {
    let (program, arguments) = request.command.split_first().context("no command")?;
    let output = if request.what == What::Count {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    let begun = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::inherit())
        .spawn()?;
    let printed = match child.stdout.take() {
        Some(output) => count(output)?,
        None => Printed::default(),
    };
    let peak = match request.what {
        What::Peak => watch(&mut child)?,
        _ => 0,
    };
    let status = child.wait()?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(status.success(), "{status}");
    Ok(Reply {
        seconds,
        printed,
        peak,
        error: None,
    })
}

/// The peak of memory of a process. It is read again and again, because it is gone as soon as the
/// process ends.
fn watch(child: &mut process::Child) -> Result<u64> {
    let process = Process::new(child.id().try_into()?)?;
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        peak = process
            .status()
            .ok()
            .and_then(|status| status.vmhwm)
            .unwrap_or(0)
            .max(peak);
        thread::sleep(Duration::from_micros(200));
    }
    ensure!(peak > 0, "it ended before its memory was looked up");
    Ok(peak)
}

fn count(mut output: impl Read) -> Result<Printed> {
    let mut buf = vec![0; 1 << 20];
    let mut printed = Printed::default();
    let mut at_start = true;
    loop {
        let n = output.read(&mut buf)?;
        if n == 0 {
            return Ok(printed);
        }
        let text = &buf[..n];
        printed.bytes += n as u64;
        let starts = memchr_iter(b'\n', text).map(|at| text.get(at + 1));
        for first in at_start.then_some(text.first()).into_iter().chain(starts) {
            let Some(first) = first else { continue };
            printed.lines += usize::from(!first.is_ascii_whitespace());
        }
        at_start = text.ends_with(b"\n");
    }
}

fn send(to: &mut impl Write, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")?;
    Ok(to.flush()?)
}

fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> Result<Option<T>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_go_on() {
        let printed = count("State\nESTAB 1\n\t more\n\nESTAB 2\n\t more".as_bytes()).unwrap();
        assert_eq!((printed.lines, printed.bytes), (3, 36));
    }
}
