// SPDX-License-Identifier: GPL-2.0

//! The time for which a read holds the lock of a bucket. BHs are off meanwhile, except for
//! listeners.
//!
//! This needs a build of the module that logs these times, in
//! `$KNETSTAT_DIR/measure/knetstat.ko`: `vm/module.sh --make KNETSTAT_MEASURE=1 uml`. It replaces
//! the normal module, `$KNETSTAT_KO`, which is loaded again at the end. The times include reading
//! the clock twice. They do not include waiting for the lock, or the BHs that run after it.
//!
//! In UML, the longest times say little, because the host runs other processes meanwhile. A
//! population with one socket in each bucket shows how much that adds: if as many times are long
//! there, per second that locks are held, then the crowd is not the reason. UML's clock has steps
//! of 256 ns.
//!
//! The module logs in batches, and the host leaves some of them alone. The longest time of such a
//! batch is due to the module. So the longest time of each batch is reported too: a slow part of a
//! bucket is slow in every read, and so in many batches.

use crate::consistency::PROC_NET;
use crate::options::Options;
use crate::population::{Family, Kind, Population};
use crate::progress::note;
use crate::table::Columns;
use anyhow::{bail, ensure, Context, Result};
use nix::kmod::{delete_module, finit_module, DeleteModuleFlags, ModuleInitFlags};
use nix::net::if_::if_nametoindex;
use serde::Serialize;
use socket2::InterfaceIndexOrAddress;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fmt, fs};

/// The path of the measuring build, in the directory that is shared with the host.
const MEASURING: &str = "measure/knetstat.ko";

/// The size that read(2) is called with, in bytes.
const READ_SIZE: usize = 128 << 10;

/// The beginning of the module's lines in the log.
const LINE: &str = "locks held: ";

/// The power of two from which on a time counts as long, in nanoseconds: 65.5 us.
const LONG: usize = 16;

/// The times of all populations.
#[derive(Serialize)]
pub struct Holds {
    populations: Vec<Figures>,
}

/// The times of one population.
#[derive(Serialize)]
struct Figures {
    what: &'static str,
    file: &'static str,
    sockets: usize,
    reads: u64,
    /// The number of times that were logged.
    holds: u64,
    /// Nanoseconds.
    mean: f64,
    /// Powers of two, in nanoseconds: this percentage of the times was shorter.
    below_99: u64,
    below_99_9: u64,
    below_99_99: u64,
    /// The number of times of 65.5 us or more, per second that locks were held.
    long_per_second: f64,
    /// In nanoseconds. It includes whatever the host did meanwhile.
    longest: u64,
    /// The longest time of a batch, in nanoseconds: of the quietest batch, and the bounds below
    /// which a tenth and a half of the batches are.
    longest_of_quietest: u64,
    longest_of_tenth: u64,
    longest_of_half: u64,
    batches: usize,
    /// The number of times below two to the power of the index, in nanoseconds, and not below half
    /// of that.
    histogram: Vec<u64>,
}

/// A population, the file that lists it, and its sizes.
struct Plan {
    what: &'static str,
    kind: Kind,
    file: &'static str,
    full: usize,
    quick: usize,
    /// The number of multicast groups that each socket is in, on a machine with many interfaces.
    groups: Option<u32>,
}

const PLANS: [Plan; 5] = [
    Plan {
        what: "UDP sockets on one port",
        kind: Kind::UdpOnePort,
        file: "udpstat",
        full: 100_000,
        quick: 20_000,
        groups: None,
    },
    Plan {
        what: "listeners on one port",
        kind: Kind::ReuseportListeners,
        file: "tcpstat",
        full: 2_000,
        quick: 1_000,
        groups: None,
    },
    Plan {
        what: "TCP connections",
        kind: Kind::Established,
        file: "tcpstat",
        full: 40_000,
        quick: 4_000,
        groups: None,
    },
    // Just below the size up to which a bucket is shown as a whole: the longest time without
    // groups.
    Plan {
        what: "UDP sockets on one port, in no group",
        kind: Kind::UdpOnePort,
        file: "udpstat",
        full: 63,
        quick: 63,
        groups: Some(0),
    },
    Plan {
        what: "UDP sockets on one port, in 64 groups each",
        kind: Kind::UdpOnePort,
        file: "udpstat",
        full: 63,
        quick: 63,
        groups: Some(64),
    },
];

/// The number of interfaces that groups are joined on. They exist while these plans run.
const INTERFACES: u32 = 3000;

/// Reads each population with the measuring build.
pub fn run(options: &Options) -> Result<Holds> {
    let measuring = options.dir.join(MEASURING);
    ensure!(
        measuring.exists(),
        "there is no {}, which vm/bench.sh builds",
        measuring.display()
    );
    let seconds = options.scale(10, 2);
    let normal: PathBuf = env::var_os("KNETSTAT_KO")
        .context("KNETSTAT_KO is not set")?
        .into();

    let mut populations = Vec::new();
    let mut result = Ok(());
    for plan in PLANS {
        let sockets = options.scale(plan.full, plan.quick);
        if plan.groups.is_some() {
            add_interfaces()?;
        }
        match plan.run(sockets, &measuring, Duration::from_secs(seconds)) {
            Ok(figures) => populations.push(figures),
            Err(error) => {
                result = Err(error).context(plan.what);
                break;
            }
        }
    }
    remove_interfaces()?;
    replace_by(&normal).and(result)?;
    Ok(Holds { populations })
}

/// Unloads the module if it is loaded, and loads this build.
pub fn replace_by(build: &Path) -> Result<()> {
    if Path::new("/sys/module/knetstat").exists() {
        delete_module(c"knetstat", DeleteModuleFlags::O_NONBLOCK).context("unloading knetstat")?;
    }
    let file = File::open(build).with_context(|| build.display().to_string())?;
    finit_module(file, c"", ModuleInitFlags::empty())
        .with_context(|| format!("loading {}", build.display()))
}

/// Runs commands of ip(8).
fn ip_batch(commands: &str) -> Result<()> {
    let mut ip = Command::new("ip")
        .args(["-force", "-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("running ip")?;
    let mut to = ip.stdin.take().context("stdin")?;
    to.write_all(commands.as_bytes()).context("to ip")?;
    drop(to);
    ensure!(ip.wait()?.success(), "ip -batch failed");
    Ok(())
}

/// Adds the interfaces, if they are not there.
fn add_interfaces() -> Result<()> {
    if Path::new("/sys/class/net/hold0").exists() {
        return Ok(());
    }
    note(format_args!("holds: adding {INTERFACES} interfaces"));
    let add = |n| format!("link add hold{n} up group 77 type dummy\n");
    ip_batch(&(0..INTERFACES).map(add).collect::<String>())
}

fn remove_interfaces() -> Result<()> {
    if Path::new("/sys/class/net/hold0").exists() {
        ip_batch("link del group 77\n")?;
    }
    Ok(())
}

/// Lets each socket of a population join this many groups, each on an interface of its own.
fn join_groups(population: &Population, groups: u32) -> Result<()> {
    if groups == 0 {
        return Ok(());
    }
    let limit = "/proc/sys/net/ipv4/igmp_max_memberships";
    fs::write(limit, groups.to_string()).context(limit)?;
    for (number, socket) in (0..).zip(population.sockets()) {
        for group in 0..groups {
            let device = format!("hold{}", (group * 31 + number * 7) % INTERFACES);
            let index = if_nametoindex(&*device).context(device)?;
            let group = Ipv4Addr::new(239, 0, 0, group as u8 + 1);
            socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))?;
        }
    }
    Ok(())
}

impl Plan {
    fn run(&self, sockets: usize, measuring: &Path, time: Duration) -> Result<Figures> {
        note(format_args!("holds: {sockets} {}", self.what));
        let population = Population::of(self.kind, Family::V4, sockets)?;
        join_groups(&population, self.groups.unwrap_or(0))?;
        // Reloaded for each population, so that its figures start at zero.
        replace_by(measuring)?;
        let mut log = Log::open()?;
        let mut times = Times::default();
        let mut reads = 0;
        let path = format!("{PROC_NET}/{}", self.file);
        let mut buf = vec![0; READ_SIZE];
        let begun = Instant::now();
        while begun.elapsed() < time {
            let mut from = File::open(&path).context(path.clone())?;
            while from.read(&mut buf).context(path.clone())? > 0 {}
            reads += 1;
            // Now, before the log is overwritten.
            log.drain(|line| times.add(line))?;
        }
        let holds = times.counts.iter().sum();
        ensure!(
            holds > 0,
            "the module has logged nothing: is it the measuring build?"
        );
        times.longest.sort_unstable();
        let longest = |part: usize| times.longest[(times.longest.len() - 1) * part / 100];
        let long: u64 = times.counts.iter().skip(LONG + 1).sum();
        Ok(Figures {
            what: self.what,
            file: self.file,
            sockets: population.rows(),
            reads,
            holds,
            mean: times.total as f64 / holds as f64,
            below_99: times.bound(0.99),
            below_99_9: times.bound(0.999),
            below_99_99: times.bound(0.9999),
            long_per_second: long as f64 / (times.total as f64 / 1e9),
            longest: longest(100),
            longest_of_quietest: longest(0),
            longest_of_tenth: longest(10),
            longest_of_half: longest(50),
            batches: times.longest.len(),
            histogram: times.counts,
        })
    }
}

/// The times that the module has logged.
#[derive(Default)]
struct Times {
    /// Nanoseconds.
    total: u64,
    /// The longest time of each batch, in nanoseconds.
    longest: Vec<u64>,
    counts: Vec<u64>,
}

impl Times {
    /// Adds the figures of a line of the log, if the module wrote it.
    fn add(&mut self, line: &str) -> Result<()> {
        let Some((_, figures)) = line.split_once(LINE) else {
            return Ok(());
        };
        let [total, longest, counts @ ..] =
            &*numbers(figures).with_context(|| format!("the log says {line:?}"))?
        else {
            bail!("the log says {line:?}");
        };
        self.total += total;
        self.longest.push(*longest);
        self.counts.resize(counts.len().max(self.counts.len()), 0);
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            *sum += count;
        }
        Ok(())
    }

    /// The least power of two below which this part of the times is.
    fn bound(&self, part: f64) -> u64 {
        let wanted = self.counts.iter().sum::<u64>() as f64 * part;
        let mut below = 0;
        for (index, count) in self.counts.iter().enumerate() {
            below += count;
            if below as f64 >= wanted {
                return 1 << index;
            }
        }
        u64::MAX
    }
}

/// The numbers in `N ns, longest N ns, below 2^n ns: [N, N, ...]`, but for the 2.
fn numbers(figures: &str) -> Result<Vec<u64>> {
    let (times, counts) = figures.split_once("below 2^n").context("no counts")?;
    let is_no_digit = |c: char| !c.is_ascii_digit();
    [times, counts]
        .into_iter()
        .flat_map(|part| part.split(is_no_digit))
        .filter(|number| !number.is_empty())
        .map(|number| Ok(number.parse()?))
        .collect()
}

/// The kernel's log, from the moment at which it was opened.
struct Log {
    kmsg: File,
}

impl Log {
    fn open() -> Result<Self> {
        let mut kmsg = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .context("/dev/kmsg")?;
        kmsg.seek(SeekFrom::End(0)).context("/dev/kmsg")?;
        Ok(Self { kmsg })
    }

    /// Calls `each` with every record since the last call.
    fn drain(&mut self, mut each: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let mut buf = [0; 8192];
        loop {
            match self.kmsg.read(&mut buf) {
                // Each read returns one record.
                Ok(n) => each(&String::from_utf8_lossy(&buf[..n]))?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {
                    bail!("the kernel's log was overwritten before it was read")
                }
                Err(error) => return Err(error).context("/dev/kmsg"),
            }
        }
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Holds: how long the lock of a bucket is held, in us. The longest times contain what \
             the host did meanwhile: compare the last column with that of the connections, whose \
             buckets hold few sockets, and the longest time of all with that of quieter batches"
        )?;
        let us = |ns: u64| format!("{:.1}", ns as f64 / 1000.0);
        let table = Columns::new()
            .column("sockets", |figures: &Figures| {
                format!("{} {}", figures.sockets, figures.what)
            })
            .column("file", |figures| figures.file.to_owned())
            .column("reads", |figures| figures.reads.to_string())
            .column("holds", |figures| figures.holds.to_string())
            .column("mean", |figures| format!("{:.2}", figures.mean / 1000.0))
            .column("99% below", |figures| us(figures.below_99))
            .column("99.9% below", |figures| us(figures.below_99_9))
            .column("99.99% below", |figures| us(figures.below_99_99))
            .column("longest", |figures| us(figures.longest))
            .column("of half the batches", |figures| us(figures.longest_of_half))
            .column("of a tenth", |figures| us(figures.longest_of_tenth))
            .column("of the quietest", |figures| us(figures.longest_of_quietest))
            .column("over 65.5 per s held", |figures| {
                format!("{:.0}", figures.long_per_second)
            })
            .of(&self.populations);
        write!(f, "{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_log() {
        let mut times = Times::default();
        for line in [
            "6,1,2,-;knetstat: locks held: 5000 ns, longest 900 ns, below 2^n ns: [0, 1, 97, 1]\n",
            "6,1,2,-;something else\n",
            "6,1,2,-;knetstat: locks held: 7 ns, longest 70 ns, below 2^n ns: [0, 0, 900, 1]\n",
        ] {
            times.add(line).unwrap();
        }
        assert_eq!(times.total, 5007);
        assert_eq!(times.longest, [900, 70]);
        assert_eq!(times.counts, [0, 1, 997, 2]);
        assert_eq!((times.bound(0.99), times.bound(0.9999)), (4, 8));
        assert!(times.add("locks held: x").is_err());
    }
}
