// SPDX-License-Identifier: GPL-2.0

//! A process that runs commands.
//!
//! It is started before any socket is opened: a fork of a process with 100,000 file descriptors
//! takes milliseconds, which would count as the command's.

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

/// What is asked.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
enum What {
    /// How long it takes, its output going to /dev/null.
    Time,
    /// What it prints.
    Count,
    /// How much memory it takes, its output going to /dev/null.
    Peak,
}

/// How a command went.
#[derive(Serialize, Deserialize, Default)]
struct Reply {
    seconds: f64,
    printed: Printed,
    /// The most memory that it was seen to have, in KiB.
    peak: u64,
    error: Option<String>,
}

/// What a command printed.
#[derive(Serialize, Deserialize, Default, Clone, Copy)]
pub struct Printed {
    /// Lines that do not begin with white space, which go on with the one before.
    pub lines: usize,
    pub bytes: u64,
}

/// The process, as its parent sees it. It ends with this value.
pub struct Spawner(Child);

impl Spawner {
    pub fn start() -> Result<Self> {
        let child =
            Child::start(&ENTRY_POINT, &[""; 0]).context("starting a process to run commands")?;
        Ok(Self(child))
    }

    /// Runs a command with its output going to /dev/null, and says how many seconds it took from
    /// its start to its end.
    pub fn time(&mut self, command: &[&str]) -> Result<f64> {
        Ok(self.run(command, What::Time)?.seconds)
    }

    /// Runs a command, and says what it printed.
    pub fn count(&mut self, command: &[&str]) -> Result<Printed> {
        Ok(self.run(command, What::Count)?.printed)
    }

    /// Runs a command, and says how much memory it had at most, in KiB.
    pub fn peak(&mut self, command: &[&str]) -> Result<u64> {
        Ok(self.run(command, What::Peak)?.peak)
    }

    /// Runs a command with its output going through a pipe, and says how many seconds it took from
    /// its start to its end, and what it printed. grep, for one, does less if that goes to
    /// /dev/null.
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

/// What the process does, until the parent is gone.
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

/// The most memory that a process has until it ends: looked up again and again, as it is gone as
/// soon as the process ends.
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
