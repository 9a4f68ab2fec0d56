// SPDX-License-Identifier: GPL-2.0

//! Loading and unloading, without anything left behind.

use crate::crowds::udp_crowd;
use crate::features::Feature;
use crate::guest::{guest, Scale};
use crate::harness::{skip, Case};
use crate::netns::{enter_fresh, in_fresh};
use crate::reference::compare;
use crate::rows::File;
use crate::sockets::Plan;
use crate::{build_tree, klog, modules};
use anyhow::{bail, ensure, Context, Result};
use nix::errno::Errno;
use nix::kmod::{finit_module, ModuleInitFlags};
use std::io::{Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{fs, thread};

/// A number of allocations that neither loading nor reading reaches.
const MOST_ALLOCATIONS: u32 = 20_000;

pub fn cases() -> Vec<Case> {
    let cycles = guest().scale(200, 100, 40);
    let mut cases = vec![
        Case::alone(
            "lifecycle::namespaces_before_and_after_loading",
            before_and_after,
        ),
        Case::alone("lifecycle::files_open_across_unload", open_across_unload),
        Case::alone(
            format!("lifecycle::{cycles}_loads_with_readers_and_namespaces"),
            move || cycle(cycles),
        ),
        Case::alone("lifecycle::name_taken_here", || taken(false)),
        Case::alone("lifecycle::name_taken_in_another_namespace", || taken(true)),
        Case::alone("lifecycle::built_for_another_release", other_release),
        Case::alone(
            "lifecycle::built_for_another_configuration",
            other_configuration,
        ),
        Case::alone("lifecycle::no_memory_to_load", no_memory_to_load),
        Case::alone(
            "lifecycle::no_memory_for_a_namespace",
            no_memory_for_a_namespace,
        ),
        Case::alone("lifecycle::no_memory_to_read", no_memory_to_read),
        Case::alone("lifecycle::buffers_are_freed", buffers_are_freed),
        Case::alone("lifecycle::unloads_and_loads_at_the_end", || {
            unload()?;
            nothing_left()?;
            load()?;
            all_there()
        }),
    ];
    // The guest with kmemleak.
    if guest().scale == Scale::Slowest {
        cases.push(Case::alone("lifecycle::nothing_leaked", nothing_leaked));
    }
    cases.push(Case::alone(
        "lifecycle::kernel_log_is_clean",
        klog::check_clean,
    ));
    cases
}

/// No memory that the module ever allocated has leaked. It was loaded and unloaded many times by
/// now.
fn nothing_leaked() -> Result<()> {
    let file = Path::new("/sys/kernel/debug/kmemleak");
    // Only what is five seconds old is reported, and not what has changed since the last scan.
    thread::sleep(Duration::from_secs(6));
    for _ in 0..2 {
        fs::write(file, "scan").context("a scan of kmemleak")?;
    }
    let reports = fs::read_to_string(file)?;
    // An address without a name is in a module that is gone.
    let is_ours = |line: &str| line.contains("[knetstat]") || line.trim_start().starts_with("0x");
    let mut ours = Vec::new();
    let mut others = 0;
    for report in reports.split("unreferenced object").skip(1) {
        match report.lines().skip(1).any(is_ours) {
            true => ours.push(report),
            false => others += 1,
        }
    }
    println!("kmemleak: {} of the module, {others} others", ours.len());
    ensure!(
        ours.is_empty(),
        "{} objects are leaked; the first:{}",
        ours.len(),
        ours[0]
    );
    Ok(())
}

pub fn load() -> Result<()> {
    modules::insert(&guest().ko, "").context("loading knetstat")
}

fn unload() -> Result<()> {
    modules::remove("knetstat")
}

/// Files that were read and closed leave no memory behind.
fn buffers_are_freed() -> Result<()> {
    const BUFFER: u64 = 128;
    let count = guest().scale(4000, 2000, 1000);
    let available = || -> Result<u64> {
        let text = fs::read_to_string("/proc/meminfo")?;
        let line = text.lines().find(|line| line.starts_with("MemAvailable:"));
        let number = line.and_then(|line| line.split_ascii_whitespace().nth(1));
        Ok(number.context("no MemAvailable")?.parse()?)
    };
    let before = available()?;
    for file in File::ALL.into_iter().cycle().take(count) {
        fs::File::open(file.path())?.read_exact(&mut [0; 10])?;
    }
    let gone = before.saturating_sub(available()?);
    let all = count as u64 * BUFFER;
    ensure!(
        gone < all / 2,
        "{gone} KiB are gone; all buffers had {all} KiB"
    );
    Ok(())
}

fn all_there() -> Result<()> {
    for file in File::ALL {
        compare(file)?;
    }
    Ok(())
}

/// There is no file in this namespace, and no module.
pub fn nothing_left() -> Result<()> {
    for file in File::ALL {
        ensure!(!file.path().exists(), "{} is still there", file.name());
    }
    let modules = fs::read_to_string("/proc/modules")?;
    ensure!(
        !modules.lines().any(|line| line.starts_with("knetstat ")),
        "the module is still there"
    );
    Ok(())
}

/// Runs `f` with the module unloaded. Loads it again in any case, for later tests.
pub fn unloaded(f: impl FnOnce() -> Result<()>) -> Result<()> {
    unload()?;
    let result = nothing_left().and_then(|()| f());
    let again = match modules::insert(&guest().ko, "") {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(err) => Err(err).context("loading again"),
    };
    result.and(again).and_then(|()| all_there())
}

/// A thread in a network namespace of its own that runs functions on request.
struct Elsewhere {
    ask: std::sync::mpsc::Sender<fn() -> Result<()>>,
    answer: std::sync::mpsc::Receiver<Result<()>>,
}

impl Elsewhere {
    fn new() -> Result<Self> {
        let (ask, asked) = std::sync::mpsc::channel::<fn() -> Result<()>>();
        let (say, answer) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let sockets = enter_fresh().and_then(|()| Ok((Plan::V4.pair()?, Plan::V6.udp()?)));
            let _ = say.send(
                sockets
                    .as_ref()
                    .map(|_| ())
                    .map_err(|err| anyhow::anyhow!("{err:#}")),
            );
            for f in asked {
                let _ = say.send(f());
            }
        });
        let elsewhere = Self { ask, answer };
        elsewhere.answer.recv()??;
        Ok(elsewhere)
    }

    fn run(&self, f: fn() -> Result<()>) -> Result<()> {
        self.ask.send(f)?;
        self.answer.recv()?
    }
}

fn three_rows() -> Result<()> {
    let rows = compare(File::Tcp)?;
    ensure!(rows.len() == 3, "{rows:?}");
    ensure!(compare(File::Udp6)?.len() == 1, "no UDP socket");
    Ok(())
}

fn before_and_after() -> Result<()> {
    let mut before = None;
    unloaded(|| {
        let elsewhere = Elsewhere::new()?;
        elsewhere.run(nothing_left)?;
        before = Some(elsewhere);
        Ok(())
    })?;
    let before = before.context("a namespace")?;
    before.run(three_rows).context("made before loading")?;
    let after = Elsewhere::new()?;
    after.run(three_rows).context("made after loading")?;
    unloaded(|| {
        before.run(nothing_left)?;
        after.run(nothing_left)
    })?;
    before.run(three_rows)?;
    after.run(three_rows)
}

/// A file that is open while the module is unloaded. Reading then fails or ends; closing succeeds.
fn open_across_unload() -> Result<()> {
    let _pair = Plan::V4.pair()?;
    let mut files = Vec::new();
    for file in File::ALL {
        let fresh = fs::File::open(file.path())?;
        let mut begun = fs::File::open(file.path())?;
        begun.read_exact(&mut [0; 20])?;
        let mut read = fs::File::open(file.path())?;
        read.read_to_end(&mut Vec::new())?;
        files.extend([fresh, begun, read]);
    }
    let gone = |files: &mut Vec<fs::File>| -> Result<()> {
        for file in files {
            let mut buf = [0; 100];
            match file.read(&mut buf) {
                Err(err) if err.raw_os_error() == Some(libc::EIO) => (),
                other => bail!("a read after unloading says {other:?}"),
            }
            let _ = file.rewind();
            ensure!(
                file.read(&mut buf).is_err(),
                "a read after seeking back works"
            );
        }
        Ok(())
    };
    unloaded(|| gone(&mut files))?;
    // Nor do they come back with the next one.
    gone(&mut files)
}

fn cycle(cycles: u32) -> Result<()> {
    // Loading and unloading wait for several grace periods, which are slow where nothing hurries
    // them. The last quarter goes without, for the sake of the timing.
    let expedited = Path::new("/sys/kernel/rcu_expedited");
    let hurry = |on: bool| match expedited.exists() {
        true => fs::write(expedited, if on { "1" } else { "0" }),
        false => Ok(()),
    };
    let stop = AtomicBool::new(false);
    let reads = AtomicU64::new(0);
    let namespaces = AtomicU64::new(0);
    let _pairs = (0..100)
        .map(|_| Plan::V4.pair())
        .collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let mut workers = Vec::new();
        // Readers in the first namespace and in one of their own, in small and large pieces.
        for (own, size) in [(false, 64), (false, 1 << 20), (true, 333)] {
            let (stop, reads) = (&stop, &reads);
            workers.push(scope.spawn(move || -> Result<()> {
                if own {
                    enter_fresh()?;
                }
                let _sockets = (Plan::V4.pair()?, Plan::V6.udp()?);
                while !stop.load(Ordering::Relaxed) {
                    for file in File::ALL {
                        read_while_it_lasts(file, size)?;
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                    thread::sleep(Duration::from_millis(4));
                }
                Ok(())
            }));
        }
        // Namespaces that come and go.
        let (stop, namespaces) = (&stop, &namespaces);
        workers.push(scope.spawn(move || -> Result<()> {
            while !stop.load(Ordering::Relaxed) {
                in_fresh(|| {
                    let _listener = Plan::V4.listener(1)?;
                    for file in File::ALL {
                        read_while_it_lasts(file, 4096)?;
                    }
                    namespaces.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })?;
                // Loading and unloading wait for those that are being made or unmade.
                thread::sleep(Duration::from_millis(100));
            }
            Ok(())
        }));

        let mut result = Ok(());
        for number in 0..cycles {
            hurry(number < cycles * 3 / 4)?;
            result = unload()
                .and_then(|()| nothing_left())
                .and_then(|()| load())
                .and_then(|()| {
                    for file in File::ALL {
                        ensure!(file.path().exists(), "{} is not there", file.name());
                    }
                    Ok(())
                })
                .with_context(|| format!("cycle {number}"));
            if result.is_err() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().expect("no panic")?;
        }
        result
    })?;
    let counts = (reads.into_inner(), namespaces.into_inner());
    ensure!(
        counts.0 > u64::from(cycles) && counts.1 > 0,
        "only {} reads and {} namespaces beside",
        counts.0,
        counts.1
    );
    all_there()
}

/// Reads a file that may vanish. The text must be a prefix of a valid one.
fn read_while_it_lasts(file: File, size: usize) -> Result<()> {
    let mut from = match fs::File::open(file.path()) {
        Ok(from) => from,
        Err(err)
            if matches!(
                err.raw_os_error(),
                Some(libc::ENOENT | libc::EIO | libc::EINVAL)
            ) =>
        {
            return Ok(())
        }
        Err(err) => return Err(err).context("open"),
    };
    let mut all = Vec::new();
    let mut buf = vec![0; size];
    loop {
        match from.read(&mut buf) {
            Ok(0) => {
                file.parse(std::str::from_utf8(&all)?)?;
                return Ok(());
            }
            Ok(n) => all.extend_from_slice(&buf[..n]),
            Err(err) if err.raw_os_error() == Some(libc::EIO) => return Ok(()),
            Err(err) => return Err(err).context("read"),
        }
    }
}

/// Occupies a name in `/proc/net`, in the namespace of the calling thread.
fn squat(name: &str) -> Result<()> {
    modules::insert_helper("squatter", &format!("name={name}"))
}

/// Loading fails if a name is taken, in this namespace or in another one.
fn taken(elsewhere: bool) -> Result<()> {
    unloaded(|| {
        let other = match elsewhere {
            true => Some(Elsewhere::new()?),
            false => None,
        };
        for (number, file) in File::ALL.into_iter().enumerate() {
            let mark = klog::mark()?;
            match (&other, number) {
                (None, _) => squat(file.name())?,
                (Some(other), 0) => other.run(|| squat(File::ALL[0].name()))?,
                (Some(other), 1) => other.run(|| squat(File::ALL[1].name()))?,
                (Some(other), 2) => other.run(|| squat(File::ALL[2].name()))?,
                (Some(other), _) => other.run(|| squat(File::ALL[3].name()))?,
            }
            let loaded = modules::insert(&guest().ko, "");
            if loaded.is_ok() {
                unload()?;
            }
            modules::remove("squatter")?;
            // proc itself warns of a name that is registered twice.
            klog::forgive(mark, "already registered")?;
            // Since 6.19 finit_module(2) says EBUSY for a module's EEXIST, which is to mean that
            // the module itself is there. And of another namespace, proc says only that it failed.
            let expected = match elsewhere {
                false => [Errno::EEXIST, Errno::EBUSY].as_slice(),
                true => &[Errno::EEXIST, Errno::EBUSY, Errno::ENOMEM],
            };
            ensure!(
                loaded.is_err_and(|err| expected.contains(&err)),
                "with {} taken, loading says {loaded:?}",
                file.name()
            );
            nothing_left()?;
            in_fresh(nothing_left)?;
            if let Some(other) = &other {
                other.run(nothing_left)?;
            }
            load().context("after the name was free again")?;
            all_there()?;
            if let Some(other) = &other {
                other.run(three_rows)?;
            }
            unload()?;
        }
        Ok(())
    })
}

/// A module that was built for another release does not load, even if the kernel accepts it. The
/// module has the release twice: in its version magic, which the kernel may ignore, and in a string
/// of its own, which is followed by a zero byte.
fn other_release() -> Result<()> {
    let mut module = fs::read(&guest().ko).context("reading the module")?;
    let release = build_tree::release()?.into_bytes();
    let own: Vec<_> = module
        .windows(release.len() + 1)
        .enumerate()
        .filter(|(_, text)| text.starts_with(&release) && text.ends_with(&[0]))
        .map(|(start, _)| start)
        .collect();
    ensure!(!own.is_empty(), "the module does not contain the release");
    for start in own {
        // Another character, neither of which is a zero byte.
        module[start] ^= 1;
    }
    refused(&module, "but this is Linux")
}

/// A module that was built for a kernel of this release with another configuration is refused, even if
/// a field lies only 8 bytes from where the module takes it to be.
fn other_configuration() -> Result<()> {
    // Kernels with this member tell where a field of `struct sock` is.
    let has_freeptr = build_tree::declares_field("net/sock.h", "freeptr_offset")?;
    let freeptr = has_freeptr.then_some("offsetof(struct sock, sk_freeptr)");
    for name in [
        "sizeof(struct tcp_sock)",
        "sizeof(struct udp_sock)",
        "offsetof(struct net, user_ns)",
        "offsetof(struct net, ipv4.sysctl_tcp_wmem)",
    ]
    .into_iter()
    .chain(freeptr)
    {
        let mut module = fs::read(&guest().ko).context("reading the module")?;
        // `facts` in `knetstat_check_layout()`: a name of 48 bytes, and the value.
        let mut entry = name.as_bytes().to_vec();
        entry.resize(48, 0);
        let own: Vec<_> = module
            .windows(entry.len() + 4)
            .enumerate()
            .filter(|(_, bytes)| bytes.starts_with(&entry) && !bytes.ends_with(&[0; 4]))
            .map(|(start, _)| start + entry.len())
            .collect();
        ensure!(own.len() == 1, "the value of {name} is at {own:?}");
        module[own[0]] ^= 8;
        refused(&module, &format!("{name} is"))?;
    }
    Ok(())
}

/// The kernel does not load these bytes as the module, and the log says why.
fn refused(module: &[u8], why: &str) -> Result<()> {
    let changed = std::env::temp_dir().join("refused.ko");
    fs::write(&changed, module).context("writing the module")?;
    unloaded(|| {
        let mark = klog::mark()?;
        let loaded = modules::insert(&changed, "");
        fs::remove_file(&changed)?;
        if loaded.is_ok() {
            unload()?;
        }
        ensure!(
            loaded == Err(Errno::ENOEXEC),
            "loading the module says {loaded:?}"
        );
        let log = klog::since(mark)?;
        ensure!(
            log.iter().any(|line| line.contains(why)),
            "the log does not say why: {log:?}"
        );
        nothing_left()
    })
}

/// Makes the n-th allocation of the calling thread fail.
pub struct FailNth {
    file: fs::File,
}

impl FailNth {
    pub fn new() -> Result<Self> {
        let debugfs = Path::new("/sys/kernel/debug/failslab");
        let fail_nth = Path::new("/proc/thread-self/fail-nth");
        if !fail_nth.exists() || !debugfs.exists() {
            return skip(
                Feature::Config("CONFIG_FAILSLAB"),
                "there is no failslab in debugfs",
            );
        }
        // Allocations that may sleep are to fail as well, and quietly.
        fs::write(debugfs.join("ignore-gfp-wait"), "N")?;
        fs::write(debugfs.join("verbose"), "0")?;
        Ok(Self {
            file: fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(fail_nth)?,
        })
    }

    /// Runs `f`. Returns whether one of its allocations failed.
    pub fn run<T>(&mut self, nth: u32, f: impl FnOnce() -> T) -> Result<(T, bool)> {
        self.file.write_at(nth.to_string().as_bytes(), 0)?;
        let value = f();
        // The number that is left, before this call allocates.
        let mut left = [0; 16];
        let n = self.file.read_at(&mut left, 0)?;
        let left: u32 = std::str::from_utf8(&left[..n])?.trim().parse()?;
        self.file.write_at(b"0", 0)?;
        Ok((value, left == 0))
    }

    /// Lets one allocation of `f` fail in each run: every `step`th, from a random one of the first
    /// on, until `f` makes no more.
    pub fn each(
        &mut self,
        step: u32,
        mut f: impl FnMut(&mut Self, u32) -> Result<bool>,
    ) -> Result<u32> {
        let first = rand::random_range(1..=step);
        for nth in (first..MOST_ALLOCATIONS).step_by(step as usize) {
            if !f(self, nth).with_context(|| format!("allocation {nth} fails"))? {
                return Ok(nth - 1);
            }
        }
        bail!("more than {MOST_ALLOCATIONS} allocations");
    }
}

/// The step between the allocations that fail: 1, or `step` if each run takes seconds.
fn every(step: u32) -> u32 {
    match guest().scale {
        Scale::Slowest => step,
        _ => 1,
    }
}

fn no_memory_to_load() -> Result<()> {
    let mut faults = FailNth::new()?;
    let other = Elsewhere::new()?;
    unloaded(|| {
        let file = fs::File::open(&guest().ko)?;
        let mut refused = 0;
        let step = every(8);
        let count = faults.each(step, |faults, nth| {
            let (loaded, injected) =
                faults.run(nth, || finit_module(&file, c"", ModuleInitFlags::empty()))?;
            match loaded {
                Ok(()) => {
                    all_there()?;
                    other.run(three_rows)?;
                    unload()?;
                }
                Err(Errno::ENOMEM) if injected => refused += 1,
                Err(err) => bail!("loading says {err}"),
            }
            nothing_left()?;
            other.run(nothing_left)?;
            Ok(injected)
        })?;
        ensure!(
            count > 20 && refused * step > 20,
            "only {count} allocations, {refused} refusals"
        );
        Ok(())
    })?;
    other.run(three_rows)
}

/// unshare(2) runs out of memory, perhaps in the module's part of it.
fn no_memory_for_a_namespace() -> Result<()> {
    FailNth::new()?;
    let make = || -> Result<u32> {
        let mut faults = FailNth::new()?;
        faults.each(every(16), |faults, nth| {
            let flags = nix::sched::CloneFlags::CLONE_NEWNET;
            let (made, injected) = faults.run(nth, || nix::sched::unshare(flags))?;
            match made {
                Ok(()) => {
                    for file in File::ALL {
                        ensure!(file.path().exists(), "{} is not there", file.name());
                    }
                }
                // Parts of the kernel have their own names for it: sysctl says EEXIST, lo ENODEV.
                Err(_) if injected => (),
                Err(err) => bail!("unshare says {err}"),
            }
            Ok(injected)
        })
    };
    let count = thread::scope(|scope| scope.spawn(make).join().expect("no panic"))?;
    ensure!(count > 100, "only {count} allocations");
    all_there()
}

/// Reads a whole file. Returns its length.
fn read_into(path: &Path, buf: &mut [u8]) -> std::io::Result<usize> {
    let mut from = fs::File::open(path)?;
    let mut total = 0;
    loop {
        match from.read(&mut buf[total..])? {
            0 => return Ok(total),
            n => total += n,
        }
    }
}

fn no_memory_to_read() -> Result<()> {
    FailNth::new()?;
    in_fresh(|| {
        let mut faults = FailNth::new()?;
        let _pairs = (0..100)
            .map(|_| Plan::V4.pair())
            .collect::<Result<Vec<_>>>()?;
        let _udp = (0..100)
            .map(|_| Plan::V6.udp())
            .collect::<Result<Vec<_>>>()?;
        // Where the walk has to remember what it showed.
        let _crowd = udp_crowd(2500)?;
        for file in File::ALL {
            let path = file.path();
            let text = fs::read_to_string(&path)?;
            let mut refused = 0;
            // Memory that is there already: page faults allocate as well.
            let mut buf = vec![1; 2 * text.len()];
            let count = faults.each(1, |faults, nth| {
                let (read, injected) = faults.run(nth, || read_into(&path, &mut buf))?;
                match read {
                    Ok(n) => ensure!(&buf[..n] == text.as_bytes(), "another text"),
                    Err(err) => {
                        ensure!(
                            injected && err.raw_os_error() == Some(libc::ENOMEM),
                            "reading says {err}"
                        );
                        refused += 1;
                    }
                }
                Ok(injected)
            })?;
            ensure!(
                count >= 2 && refused >= 2,
                "only {count} allocations, {refused} refusals"
            );
        }
        Ok(())
    })
}
