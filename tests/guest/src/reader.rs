// SPDX-License-Identifier: GPL-2.0

//! A child process that reads our files on request. It can be stopped, limited and killed.

use crate::rows::File;
use crate::userfault::UserFault;
use anyhow::{bail, ensure, Context, Result};
use knetstat_child::{Child, EntryPoint};
use nix::sched::{setns, CloneFlags};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use rand::Rng;
use std::fs;
use std::io;
use std::io::{BufRead, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

/// The entry point of the process.
pub const ENTRY_POINT: EntryPoint = EntryPoint {
    name: "reader",
    main: |_| serve(),
};

/// The number of threads of a reader that reads at random.
pub const THREADS: usize = 4;

/// A size that no file reaches here, in bytes.
const ROOM: usize = 4 << 20;

/// The result of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// 0: success.
    pub errno: i32,
    /// The length of the text that was read so far.
    pub len: usize,
}

/// The process, as the tests see it. Dropping this kills it.
pub struct Reader(Child);

impl Reader {
    /// Starts it in the network namespace of the calling thread.
    pub fn start() -> Result<Self> {
        let mut reader = Self(Child::start(&ENTRY_POINT, &[""; 0]).context("starting a reader")?);
        // Its answer comes when all its memory is there.
        reader.ask("hello")?;
        Ok(reader)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends a request, and does not wait for the answer.
    pub fn send(&mut self, request: &str) -> Result<()> {
        self.0.send(request)
    }

    /// The answer to the last request; `None` if the reader was killed meanwhile.
    pub fn answer(&mut self) -> Result<Option<Answer>> {
        let Some(line) = self.0.line()? else {
            return Ok(None);
        };
        let (errno, len) = line.split_once(' ').context("no answer")?;
        Ok(Some(Answer {
            errno: errno.parse()?,
            len: len.parse()?,
        }))
    }

    /// Sends a request, and returns the answer; see [`serve`].
    pub fn ask(&mut self, request: &str) -> Result<Answer> {
        self.send(request)?;
        self.answer()?
            .with_context(|| format!("the reader is gone after {request:?}"))
    }

    /// Sends a request that must succeed.
    pub fn does(&mut self, request: &str) -> Result<usize> {
        let answer = self.ask(request)?;
        ensure!(answer.errno == 0, "{request:?}: {answer:?}");
        Ok(answer.len)
    }

    /// The text that was read since the file was opened, or since the last seek.
    pub fn text(&mut self) -> Result<String> {
        let mut text = vec![0; self.does("text")?];
        self.0.replies().read_exact(&mut text)?;
        Ok(String::from_utf8(text)?)
    }

    /// Sends SIGSTOP, and waits until the process is stopped.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        self.wait_state("stopped", |state| state == "T")
    }

    /// Sends SIGCONT.
    pub fn go_on(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.pid().try_into()?);
        kill(pid, signal).with_context(|| signal.to_string())
    }

    fn wait_state(&self, what: &str, is: impl Fn(&str) -> bool) -> Result<()> {
        crate::guest::wait_for(what, 10, || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
            let rest = stat.rsplit_once(") ").context("no state")?.1;
            let state = rest.split(' ').next().unwrap_or_default();
            Ok(if is(state) {
                Ok(())
            } else {
                Err(format!("it is in state {state}"))
            })
        })
    }

    /// Sends SIGKILL. Fails if the process has not ended within this time.
    pub fn kill(&mut self, seconds: u64) -> Result<ExitStatus> {
        self.0.kill()?;
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "a reader is still there {seconds} s after SIGKILL"
            );
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The files of a memory control group, opened before memory is limited.
struct Limit {
    current: fs::File,
    high: fs::File,
    max: fs::File,
}

impl Limit {
    fn open(group: &Path) -> io::Result<Self> {
        let writable = |name| fs::OpenOptions::new().write(true).open(group.join(name));
        Ok(Self {
            current: fs::File::open(group.join("memory.current"))?,
            high: writable("memory.high")?,
            max: writable("memory.max")?,
        })
    }

    fn current(&self) -> Result<u64> {
        let mut number = [0; 32];
        let n = self.current.read_at(&mut number, 0)?;
        Ok(std::str::from_utf8(&number[..n])?.trim().parse()?)
    }

    /// Limits the group to this many bytes more than it has.
    fn set(&self, more: u64) -> Result<()> {
        // Each CPU has some pages charged in advance, which a limit below them gives back.
        let below = self.current()?.saturating_sub(4096);
        self.high.write_at(below.to_string().as_bytes(), 0)?;
        self.high.write_at(b"max", 0)?;
        let limit = self.current()? + more;
        self.max.write_at(limit.to_string().as_bytes(), 0)?;
        Ok(())
    }
}

/// The state of the process.
struct State {
    file: Option<fs::File>,
    /// A buffer that is allocated already: under a limit, there may be no more memory.
    buf: Vec<u8>,
    len: usize,
    /// Its memory control group.
    limit: Option<Limit>,
    /// Memory in which every access is a page fault.
    fault: Option<UserFault>,
}

/// The main function of the process. Requests are lines:
///
/// - `hello`
/// - `open NAME`, `seek POSITION`
/// - `read BYTES`: by one read(2); `rest`: to the end or to an error
/// - `text`: the text follows the answer
/// - `leave`: goes to the network namespace of the first process
/// - `group DIRECTORY`: names its control group. `limited BYTES`: as `rest`, with this much more
///   memory than the group has
/// - `fault`: makes memory that no page is provided for; the answer has the number of its
///   descriptor instead of the length. `stuck`: one read(2) into that memory
/// - `wild`: reads and seeks in all files, in [`THREADS`] threads, until the process is killed
pub fn serve() -> Result<()> {
    let mut state = State {
        file: None,
        buf: vec![1; ROOM],
        len: 0,
        limit: None,
        fault: None,
    };
    let mut to = io::stdout().lock();
    for request in io::stdin().lock().lines() {
        let request = request?;
        let (verb, argument) = request.split_once(' ').unwrap_or((&request, ""));
        let errno = match state.execute(verb, argument) {
            Ok(()) => 0,
            Err(error) => match error.downcast_ref::<io::Error>() {
                Some(error) => error.raw_os_error().unwrap_or(-1),
                None => return Err(error),
            },
        };
        writeln!(to, "{errno} {}", state.len)?;
        if verb == "text" {
            to.write_all(&state.buf[..state.len])?;
        }
        to.flush()?;
        if verb == "wild" {
            wild()?;
        }
    }
    Ok(())
}

impl State {
    fn file(&mut self) -> Result<&mut fs::File> {
        self.file.as_mut().context("no open file")
    }

    fn execute(&mut self, verb: &str, argument: &str) -> Result<()> {
        match verb {
            "hello" | "text" | "wild" => {}
            "open" => {
                self.file = None;
                self.len = 0;
                self.file = Some(fs::File::open(path(argument))?);
            }
            "seek" => {
                let to: usize = argument.parse()?;
                self.file()?.seek(SeekFrom::Start(to as u64))?;
                self.len = to;
            }
            "read" => self.len += self.read(argument.parse()?)?,
            "rest" => self.rest()?,
            "leave" => setns(fs::File::open("/proc/1/ns/net")?, CloneFlags::CLONE_NEWNET)?,
            "fault" => {
                let fault = UserFault::new()?;
                self.len = fault.number().try_into()?;
                self.fault = Some(fault);
            }
            "stuck" => {
                let file = self.file.as_ref().context("no open file")?;
                self.len = self.fault.as_ref().context("no fault")?.fill_from(file)?;
            }
            "group" => self.limit = Some(Limit::open(Path::new(argument))?),
            "limited" => {
                let limit = self.limit.take().context("no group")?;
                limit.set(argument.parse()?)?;
                let result = self.rest();
                limit.max.write_at(b"max", 0)?;
                self.limit = Some(limit);
                result?;
            }
            _ => bail!("no such request: {verb}"),
        }
        Ok(())
    }

    fn read(&mut self, size: usize) -> Result<usize> {
        let (start, end) = (self.len, (self.len + size).min(ROOM));
        let file = self.file.as_mut().context("no open file")?;
        Ok(file.read(&mut self.buf[start..end])?)
    }

    fn rest(&mut self) -> Result<()> {
        loop {
            ensure!(self.len < ROOM, "no room");
            match self.read(ROOM)? {
                0 => return Ok(()),
                n => self.len += n,
            }
        }
    }
}

fn path(name: &str) -> PathBuf {
    Path::new("/proc/thread-self/net").join(name)
}

/// Reads at random, until the process is killed.
fn wild() -> Result<()> {
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| -> Result<()> {
                let mut rng = rand::rng();
                let mut buf = vec![0; 256 << 10];
                loop {
                    let file = File::ALL[rng.random_range(0..File::ALL.len())];
                    let mut from = fs::File::open(path(file.name()))?;
                    for _ in 0..rng.random_range(1..8) {
                        let size = rng.random_range(1..=buf.len());
                        match rng.random_range(0..4) {
                            0 => {
                                let to = rng.random_range(0..400_000);
                                from.seek(SeekFrom::Start(to))?;
                            }
                            1 => {
                                from.read_at(&mut buf[..size], rng.random_range(0..400_000))?;
                            }
                            _ => {
                                let _ = from.read(&mut buf[..size])?;
                            }
                        }
                    }
                }
            });
        }
    });
    bail!("the wild readers have ended");
}
