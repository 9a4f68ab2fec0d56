// SPDX-License-Identifier: GPL-2.0

//! Programs that scripts read our files with: shells, filters, interpreters.
//!
//! Many of them read a block, use a line of it and seek back. While nothing changes, each must
//! print the same as for a regular file with the same text. While sockets come and go, it must
//! print whole rows, and each socket that stays exactly once and in the same order.

use crate::features::Feature;
use crate::guest::{guest, Scale};
use crate::harness::{skip, Case};
use crate::netns::in_fresh;
use crate::reads::{same_text, while_same};
use crate::rows::File;
use crate::sockets::{ino, local, set_int, Plan};
use anyhow::{ensure, Context, Result};
use rand::Rng;
use socket2::{SockAddr, Socket, Type};
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The loop that every shell has.
const WHILE: &str = r#"while IFS= read -r line; do printf '%s\n' "$line"; done < "$1""#;

/// The sockets that stay, as a reader prints them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prints {
    /// The same ones in each run: all, or those from a certain one on.
    Same,
    /// The last ones. Their number depends on the number of other sockets.
    Last,
}

/// A command that reads a file and prints its text.
struct Reader {
    name: &'static str,
    /// The command. The path of the file follows, and then [`Reader::mark`].
    argv: &'static [&'static str],
    prints: Prints,
    /// Whether it reads byte by byte, which is slow; then there are fewer sockets.
    is_slow: bool,
    /// Whether it looks for a row far into the file that ends with its second argument.
    mark: bool,
}

impl Reader {
    const fn new(name: &'static str, argv: &'static [&'static str]) -> Self {
        Self {
            name,
            argv,
            prints: Prints::Same,
            is_slow: false,
            mark: false,
        }
    }

    const fn slow(self) -> Self {
        Self {
            is_slow: true,
            ..self
        }
    }

    const fn last(self) -> Self {
        Self {
            prints: Prints::Last,
            ..self
        }
    }

    const fn with_mark(self) -> Self {
        Self { mark: true, ..self }
    }

    /// Runs it in the network namespace of the calling thread.
    fn run(&self, path: &Path, mark: &str) -> Result<String> {
        let (program, arguments) = self.argv.split_first().context("no command")?;
        let mut command = Command::new(program);
        command.args(arguments).arg(path).stdin(Stdio::null());
        if self.mark {
            command.arg(mark);
        }
        let output = command
            .output()
            .with_context(|| format!("running {program}"))?;
        ensure!(
            output.status.success() && output.stderr.is_empty(),
            "{}: {}: {}",
            self.name,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}

const READERS: &[Reader] = &[
    Reader::new("bash_while_read", &["bash", "-c", WHILE, "bash"]),
    Reader::new("zsh_while_read", &["zsh", "-c", WHILE, "zsh"]).slow(),
    Reader::new("ksh_while_read", &["ksh", "-c", WHILE, "ksh"]),
    // Its printf is not its own, and to start a program for each line takes long.
    Reader::new(
        "mksh_while_read",
        &[
            "mksh",
            "-c",
            r#"while IFS= read -r line; do print -r -- "$line"; done < "$1""#,
            "mksh",
        ],
    )
    .slow(),
    Reader::new("dash_while_read", &["dash", "-c", WHILE, "dash"]).slow(),
    Reader::new("busybox_while_read", &["busybox", "sh", "-c", WHILE, "sh"]).slow(),
    Reader::new(
        "bash_mapfile",
        &[
            "bash",
            "-c",
            r#"mapfile -t lines < "$1"; printf '%s\n' "${lines[@]}""#,
            "bash",
        ],
    ),
    Reader::new(
        "head_then_cat",
        &["sh", "-c", r#"{ head -n 1; cat; } < "$1""#, "sh"],
    ),
    Reader::new(
        "heads_then_cat",
        &[
            "sh",
            "-c",
            r#"{ head -n 1; head -n 7; head -n 200; cat; } < "$1""#,
            "sh",
        ],
    ),
    Reader::new("tail_from_the_first", &["tail", "-n", "+1"]),
    Reader::new("tail_all", &["tail", "-n", "1000000"]),
    Reader::new("tail_50", &["tail", "-n", "50"]).last(),
    Reader::new(
        "dd_bs_1",
        &["sh", "-c", r#"dd bs=1 status=none < "$1""#, "sh"],
    )
    .slow(),
    Reader::new(
        "dd_bs_1000",
        &["sh", "-c", r#"dd bs=1000 status=none < "$1""#, "sh"],
    ),
    Reader::new(
        "sed_q_then_cat",
        &["sh", "-c", r#"{ sed q; cat; } < "$1""#, "sh"],
    ),
    Reader::new(
        "sed_10q_then_cat",
        &["sh", "-c", r#"{ sed 10q; cat; } < "$1""#, "sh"],
    ),
    Reader::new(
        "grep_m_1_then_cat",
        &["sh", "-c", r#"{ grep -m 1 Recv-Q; cat; } < "$1""#, "sh"],
    ),
    Reader::new(
        "grep_m_1_far_then_cat",
        &["sh", "-c", r#"{ grep -m 1 -e "$2"; cat; } < "$1""#, "sh"],
    )
    .with_mark(),
    Reader::new(
        "python_readline",
        &[
            "python3",
            "-c",
            "import sys\nf = open(sys.argv[1])\nwhile line := f.readline():\n sys.stdout.write(line)",
        ],
    ),
    Reader::new(
        "python_seek_tell_text",
        &[
            "python3",
            "-c",
            "import sys\nf = open(sys.argv[1])\nwhile line := f.readline():\n sys.stdout.write(line)\n f.seek(f.tell())",
        ],
    ),
    Reader::new(
        "python_seek_tell_binary",
        &[
            "python3",
            "-c",
            "import sys\nf = open(sys.argv[1], 'rb')\nwhile line := f.readline():\n sys.stdout.buffer.write(line)\n f.seek(f.tell())",
        ],
    ),
    Reader::new(
        "python_reopened_at",
        &[
            "python3",
            "-c",
            "import os, sys\nfd = os.open(sys.argv[1], os.O_RDONLY)\nat = 0\nwhile part := os.pread(fd, 4096, at):\n line = part[:part.index(b'\\n') + 1]\n os.write(1, line)\n at = os.lseek(fd, at + len(line), os.SEEK_SET)",
        ],
    ),
    Reader::new(
        "perl_while",
        &["perl", "-e", r#"open(F, "<", $ARGV[0]) or die $!; while (<F>) { print }"#],
    ),
    Reader::new(
        "perl_seek_tell",
        &[
            "perl",
            "-e",
            r#"open(F, "<", $ARGV[0]) or die $!; while (<F>) { print; seek(F, tell(F), 0) or die $! }"#,
        ],
    ),
    Reader::new("gawk", &["gawk", "1"]),
    Reader::new("mawk", &["mawk", "1"]),
    Reader::new(
        "gawk_getline",
        &[
            "gawk",
            "BEGIN { while ((getline line < ARGV[1]) > 0) print line }",
        ],
    ),
    Reader::new(
        "mawk_getline",
        &[
            "mawk",
            "BEGIN { while ((getline line < ARGV[1]) > 0) print line }",
        ],
    ),
];

pub fn cases() -> Vec<Case> {
    // Where all takes longer, each reader has two of the files, and the next one the others; with
    // checkers, one of those that it has not elsewhere.
    let (these, others) = ([File::Tcp, File::Udp6], [File::Tcp6, File::Udp]);
    let mut cases = Vec::new();
    for (number, reader) in READERS.iter().enumerate() {
        let (these, others) = match number % 2 {
            0 => (&these, &others),
            _ => (&others, &these),
        };
        let files = match guest().scale {
            Scale::Fast => File::ALL.to_vec(),
            Scale::Checked => vec![others[number / 2 % 2]],
            Scale::Emulated | Scale::Slowest => these.to_vec(),
        };
        cases.push(Case::new(format!("scripts::{}", reader.name), move || {
            in_fresh(|| each_file(reader, &files))
        }));
    }
    cases.push(Case::alone("scripts::bash_loop_is_linear", || {
        in_fresh(linear)
    }));
    cases
}

/// Options that make rows longer, without any other effect.
const FLAGS: [(i32, i32); 10] = [
    (libc::SOL_SOCKET, libc::SO_OOBINLINE),
    (libc::SOL_SOCKET, libc::SO_RXQ_OVFL),
    (libc::SOL_SOCKET, libc::SO_SELECT_ERR_QUEUE),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMP),
    (libc::IPPROTO_IP, libc::IP_PKTINFO),
    (libc::IPPROTO_IP, libc::IP_RECVTTL),
    (libc::IPPROTO_IP, libc::IP_RECVTOS),
    (libc::IPPROTO_IP, libc::IP_RETOPTS),
    (libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR),
    (libc::IPPROTO_IP, libc::IP_FREEBIND),
];

/// Sets some options, so that rows have different lengths.
fn adorn(socket: &Socket, rng: &mut impl Rng) -> Result<()> {
    let flags = rng.random_range(0..=FLAGS.len());
    for (level, option) in FLAGS.iter().take(flags) {
        set_int(socket, *level, *option, 1)?;
    }
    Ok(())
}

/// The kinds of sockets that one file lists.
#[derive(Clone, Copy)]
struct Kind {
    plan: Plan,
    is_tcp: bool,
    /// A port, and so a bucket, that many of them share.
    port: u16,
}

impl Kind {
    /// A listener or a UDP socket, at a free port or at the shared one.
    fn bound(self, port: u16) -> Result<Socket> {
        let kind = if self.is_tcp {
            Type::STREAM
        } else {
            Type::DGRAM
        };
        let socket = Socket::new(self.plan.domain(), kind, None)?;
        socket.set_reuse_port(true)?;
        socket.bind(&self.plan.addr(port).into())?;
        if self.is_tcp {
            socket.listen(8)?;
        }
        Ok(socket)
    }

    /// One or two sockets of this kind.
    fn some(self, rng: &mut impl Rng, to: &Socket) -> Result<Vec<Socket>> {
        let sockets = match rng.random_range(0..4) {
            0 => vec![self.bound(self.port)?],
            1 | 2 if self.is_tcp => {
                let client = self.plan.tcp()?;
                client.connect(&SockAddr::from(local(to)?))?;
                let (server, _) = to.accept()?;
                // To leave no TIME_WAIT, or else there would be thousands.
                for socket in [&client, &server] {
                    socket.set_linger(Some(Duration::ZERO))?;
                }
                vec![client, server]
            }
            _ => vec![self.bound(0)?],
        };
        for socket in &sockets {
            adorn(socket, rng)?;
        }
        Ok(sockets)
    }
}

/// Sockets that stay, of all kinds, in the namespace of the calling thread.
struct Scene {
    kinds: Vec<(File, Kind)>,
    /// For each kind, a listener to connect to.
    listeners: Vec<Socket>,
    _held: Vec<Socket>,
    inodes: BTreeSet<u64>,
}

impl Scene {
    /// Opens this many sockets for each of these files.
    fn new(files: &[File], count: usize) -> Result<Self> {
        let mut rng = rand::rng();
        let mut scene = Self {
            kinds: vec![],
            listeners: vec![],
            _held: vec![],
            inodes: BTreeSet::new(),
        };
        for plan in [Plan::V4, Plan::V6] {
            for is_tcp in [true, false] {
                if !files.contains(&plan.file(is_tcp)) {
                    continue;
                }
                let mut kind = Kind {
                    plan,
                    is_tcp,
                    port: 0,
                };
                let first = kind.bound(0)?;
                kind.port = local(&first)?.port();
                let mut sockets = vec![first];
                let listener = plan.listener(64)?;
                while sockets.len() < count {
                    sockets.extend(kind.some(&mut rng, &listener)?);
                }
                for socket in sockets.iter().chain([&listener]) {
                    scene.inodes.insert(ino(socket)?);
                }
                scene._held.extend(sockets);
                scene.kinds.push((plan.file(is_tcp), kind));
                scene.listeners.push(listener);
            }
        }
        Ok(scene)
    }

    /// The sockets that stay, in the order in which a text lists them.
    fn order(&self, file: File, text: &str) -> Result<Vec<u64>> {
        let text = match text.starts_with(file.header()) {
            true => text.to_owned(),
            false => format!("{}\n{text}", file.header()),
        };
        let rows = file.parse(&text)?;
        Ok(rows
            .iter()
            .map(|row| row.ino())
            .filter(|ino| self.inodes.contains(ino))
            .collect())
    }

    /// Opens and closes sockets until `stop`, most of them in this file. Returns the number of
    /// changes.
    fn churn(&self, file: File, stop: &AtomicBool) -> Result<usize> {
        let mut rng = rand::rng();
        let mut guests = VecDeque::new();
        let mut changes = 0;
        while !stop.load(Ordering::Relaxed) {
            let mut index = rng.random_range(0..self.kinds.len());
            if rng.random_range(0..4) > 0 {
                let find = |(of, _): &(File, Kind)| *of == file;
                index = self.kinds.iter().position(find).context("a kind")?;
            }
            guests.push_back(self.kinds[index].1.some(&mut rng, &self.listeners[index])?);
            while guests.len() > rng.random_range(10..60) {
                guests.swap_remove_back(rng.random_range(0..guests.len()));
            }
            changes += 1;
            thread::sleep(Duration::from_micros(guest().scale(100, 100, 1000)));
        }
        Ok(changes)
    }
}

/// A file with this text, in memory.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str, text: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("scripts-{name}"));
        fs::write(&path, text)?;
        Ok(Self(path))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn each_file(reader: &Reader, files: &[File]) -> Result<()> {
    // More than a window of 128 KiB; some 8 KiB for those who take long: 45 us a byte in UML.
    let count = if reader.is_slow { 30 } else { 500 };
    let scene = Scene::new(files, count)?;
    for file in files {
        one_file(reader, &scene, *file)
            .with_context(|| format!("{} of {}", reader.name, file.name()))?;
    }
    Ok(())
}

fn one_file(reader: &Reader, scene: &Scene, file: File) -> Result<()> {
    // As a script has it: a child has no other thread.
    let path = PathBuf::from("/proc/net").join(file.name());
    let mut in_peace = Vec::new();
    let mut mark = String::new();
    while_same(file, |text| {
        let order = scene.order(file, text)?;
        let far = order.get(order.len() * 4 / 5).context("no sockets")?;
        mark = format!("ino={far}$");
        let copy = Copy::new(&format!("{}-{}", reader.name, file.name()), text)?;
        let expected = reader.run(&copy.0, &mark)?;
        same_text(&reader.run(&path, &mark)?, &expected).context("in peace")?;
        in_peace = scene.order(file, &expected)?;
        Ok(())
    })?;

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let churn = scope.spawn(|| scene.churn(file, &stop));
        let read = || -> Result<()> {
            let rounds = if reader.is_slow {
                1
            } else {
                guest().scale(3, 1, 1)
            };
            for _ in 0..rounds {
                let text = reader.run(&path, &mark)?;
                whole_rows(file, &text)?;
                let order = scene.order(file, &text)?;
                let is_right = match reader.prints {
                    Prints::Same => order == in_peace,
                    Prints::Last => in_peace.ends_with(&order),
                };
                ensure!(is_right, "{}", difference(&order, &in_peace));
            }
            Ok(())
        };
        let result = read();
        stop.store(true, Ordering::Relaxed);
        let changes = churn.join().expect("no panic").context("the churn")?;
        result.with_context(|| format!("with {changes} changes beside"))
    })
}

/// Checks that every line is a whole row.
fn whole_rows(file: File, text: &str) -> Result<()> {
    let lines: Vec<_> = text
        .lines()
        .skip_while(|line| *line == file.header())
        .collect();
    let torn: Vec<_> = lines
        .iter()
        .filter(|line| file.parse(&format!("{}\n{line}\n", file.header())).is_err())
        .collect();
    ensure!(
        torn.is_empty(),
        "{} of {} lines are no rows, such as {:?}",
        torn.len(),
        lines.len(),
        torn[0]
    );
    Ok(())
}

/// The differences between two lists of sockets.
fn difference(read: &[u64], expected: &[u64]) -> String {
    let once: BTreeSet<_> = read.iter().collect();
    let missing = expected.iter().filter(|ino| !once.contains(ino)).count();
    format!(
        "of {} sockets that stay, {missing} are missing and {} are repeated, or their order differs",
        expected.len(),
        read.len() - once.len()
    )
}

/// A shell loop takes hardly longer than over the same text in a regular file, at 2,000 rows and at
/// 8,000. So four times as many rows take about four times as long, as with the regular file.
///
/// Other work on the machine makes times unreliable. So the two files are read in turn, the least
/// times count, and there are more turns until the limits are met. A quadratic loop never meets
/// them: at 8,000 rows, it took two to seven times as long.
fn linear() -> Result<()> {
    if matches!(guest().scale, Scale::Emulated | Scale::Slowest) {
        return skip(
            Feature::NativeSpeed,
            "times mean nothing where all code is emulated",
        );
    }
    for is_tcp in [true, false] {
        let file = Plan::V4.file(is_tcp);
        let path = PathBuf::from("/proc/net").join(file.name());
        let mut sockets = Vec::new();
        let mut least_few = None;
        for rows in [2000, 8000] {
            while sockets.len() < rows {
                sockets.push(match is_tcp {
                    true => Plan::V4.listener(1)?,
                    false => Plan::V4.udp()?,
                });
            }
            let copy = Copy::new("linear", &fs::read_to_string(file.path())?)?;
            let (mut least, mut least_copy) = (Duration::MAX, Duration::MAX);
            let mut turns = 0;
            let ratio = loop {
                least = least.min(time_of_loop(&path, rows)?);
                least_copy = least_copy.min(time_of_loop(&copy.0, rows)?);
                turns += 1;
                let ratio = least.as_secs_f64() / least_copy.as_secs_f64();
                if turns >= 20 || (turns >= 5 && ratio <= 1.5) {
                    break ratio;
                }
            };
            let few: Duration = *least_few.get_or_insert(least);
            println!(
                "{}: a loop over {rows} rows takes {least:.1?}: {:.2} times as long as over 2000, {ratio:.2} times as long as over a regular file",
                file.name(),
                least.as_secs_f64() / few.as_secs_f64(),
            );
            ensure!(
                ratio <= 1.5,
                "{}: a loop over {rows} rows takes {ratio:.2} times as long as over a regular file",
                file.name(),
            );
        }
    }
    Ok(())
}

/// The time of a loop over this many rows.
fn time_of_loop(path: &Path, rows: usize) -> Result<Duration> {
    const COUNT: &str = r#"n=0; while read -r line; do n=$((n + 1)); done < "$1"; [ "$n" = "$2" ] || echo "$n" >&2"#;
    let begun = Instant::now();
    let output = Command::new("bash")
        .args(["-c", COUNT, "bash"])
        .arg(path)
        .arg((rows + 1).to_string())
        .output()
        .context("running bash")?;
    let took = begun.elapsed();
    ensure!(
        output.status.success() && output.stderr.is_empty(),
        "{} rows are {}",
        rows + 1,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(took)
}
