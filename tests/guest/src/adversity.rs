// SPDX-License-Identifier: GPL-2.0

//! Readers that run out of memory, are killed, are stuck in a page fault, or are stopped while
//! their sockets, namespace and module go away. Nothing may be left behind.
//!
//! Here, the same open file goes on after a failed allocation. `lifecycle::no_memory_*` tests that
//! loading, unshare(2) and a whole read survive the failure of each allocation.

use crate::crowds::udp_crowd;
use crate::features::Feature;
use crate::guest::{guest, wait_for, Scale};
use crate::harness::{skip, Case};
use crate::lifecycle::{load, nothing_left, unloaded, FailNth};
use crate::netns::in_fresh;
use crate::reader;
use crate::reader::Reader;
use crate::reads::{each_once, inodes, same_text};
use crate::rows::File;
use crate::sockets::Plan;
use crate::userfault::UserFault;
use crate::{memory_group, modules};
use anyhow::{bail, ensure, Context, Result};
use rand::Rng;
use socket2::Socket;
use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{fs, io, thread};

/// The number of UDP sockets on one port. Their rows take more than one window of 128 KiB.
const CROWD: usize = 1200;

/// The size of a window, in bytes.
const WINDOW: usize = 128 << 10;

/// The command by which knetstat(4) finds the readers that rmmod waits for.
const FIND_READERS: &str = r"grep -l '\[knetstat\]' /proc/[0-9]*/task/*/stack";

/// A bound for the memory that all of this takes, in pages.
const MOST_PAGES: u32 = 4000;

pub fn cases() -> Vec<Case> {
    let kills = guest().scale(100, 20, 25) * how_much();
    vec![
        Case::alone("adversity::no_memory_to_open", || {
            in_fresh(no_memory_to_open)
        }),
        Case::alone("adversity::no_memory_to_go_on", || {
            in_fresh(no_memory_to_go_on)
        }),
        Case::alone("adversity::no_pages_to_go_on", || {
            in_fresh(no_pages_to_go_on)
        }),
        Case::alone("adversity::group_without_memory", || {
            in_fresh(group_without_memory)
        }),
        Case::alone(
            format!(
                "adversity::{}_readers_killed",
                kills as usize * reader::THREADS
            ),
            move || killed(kills),
        ),
        Case::alone("adversity::reader_in_a_page_fault", in_a_page_fault),
        Case::alone("adversity::stopped_readers_go_on", || {
            in_fresh(|| stopped(false))
        }),
        Case::alone("adversity::stopped_readers_and_the_module_goes", || {
            in_fresh(|| stopped(true))
        }),
    ]
}

/// The number of repetitions: `KNETSTAT_LONG`, or 1.
fn how_much() -> u32 {
    let text = std::env::var("KNETSTAT_LONG").unwrap_or_default();
    text.parse().unwrap_or(1).max(1)
}

/// The resources that the module and its readers have.
///
/// An entry of the set of objects includes their number, so one more or one less is another set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Held {
    /// References to the module: the third column of `/proc/modules`.
    references: u64,
    /// Areas of vmalloc() that the module allocated.
    areas: usize,
    /// Slab objects that the module allocated, if the allocator tracks that: its lines of text.
    objects: BTreeSet<String>,
    /// The number of network namespaces, if the slab allocator reports it.
    namespaces: Option<u64>,
}

impl Held {
    fn look() -> Result<Self> {
        let modules = fs::read_to_string("/proc/modules")?;
        let ours = modules.lines().find(|line| line.starts_with("knetstat "));
        let references = ours
            .and_then(|line| line.split(' ').nth(2))
            .context("no module")?
            .parse()?;
        let areas = fs::read_to_string("/proc/vmallocinfo")?
            .lines()
            // Those of the module itself are the module loader's.
            .filter(|line| line.contains("[knetstat]"))
            .count();
        Ok(Self {
            references,
            areas,
            objects: objects()?,
            namespaces: namespaces()?,
        })
    }

    /// The resources after the namespaces of earlier tests have gone.
    fn settled() -> Result<Self> {
        let mut last = Self::look()?;
        for _ in 0..50 {
            thread::sleep(Duration::from_millis(100));
            let now = Self::look()?;
            if now == last {
                break;
            }
            last = now;
        }
        Ok(last)
    }

    /// Waits until the resources are those of this value again.
    fn wait_for_same(&self) -> Result<()> {
        wait_for("the resources of before", 20, || {
            let now = Self::look()?;
            let rest = |held: &Self| (held.references, held.areas, held.objects.clone());
            Ok(
                if rest(&now) == rest(self) && now.namespaces <= self.namespaces {
                    Ok(())
                } else {
                    Err(format!("{self:?} before, {now:?} now"))
                },
            )
        })
    }
}

/// Empties the free lists of a slab cache and the quarantine of KASAN, so that the number of
/// objects in use is right.
fn shrink(cache: &str) {
    // Not all have it.
    let _ = fs::write(format!("/sys/kernel/slab/{cache}/shrink"), "1");
}

/// The module's allocated objects, by caller, from the debug kernel's slab allocator.
fn objects() -> Result<BTreeSet<String>> {
    let mut objects = BTreeSet::new();
    let Ok(caches) = fs::read_dir("/sys/kernel/debug/slab") else {
        return Ok(objects);
    };
    for cache in caches {
        let cache = cache?;
        let traces = || fs::read_to_string(cache.path().join("alloc_traces")).unwrap_or_default();
        if !traces().contains("[knetstat]") {
            continue;
        }
        shrink(&cache.file_name().to_string_lossy());
        // Their number, and the function that allocated them; then the stack, without numbers.
        for line in traces().lines().filter(|line| line.contains("[knetstat]")) {
            let mut words = line.split_ascii_whitespace();
            if let (Some(Ok(count)), Some(who)) =
                (words.next().map(str::parse::<u64>), words.next())
            {
                objects.insert(format!("{count} of {who}"));
            }
        }
    }
    Ok(objects)
}

/// The number of network namespaces, if the kernel reports it.
fn namespaces() -> Result<Option<u64>> {
    if !fs::exists("/proc/slabinfo")? {
        return Ok(None);
    }
    shrink("net_namespace");
    let slabs = fs::read_to_string("/proc/slabinfo")?;
    let line = slabs
        .lines()
        .find(|line| line.starts_with("net_namespace "));
    let count = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    let count = count.context("no net_namespace in /proc/slabinfo")?;
    Ok(Some(count.parse()?))
}

/// Pages in unreclaimable slabs, which include large blocks of kmalloc().
fn slab_pages() -> Result<u64> {
    let stat = fs::read_to_string("/proc/vmstat")?;
    let line = stat
        .lines()
        .find_map(|line| line.strip_prefix("nr_slab_unreclaimable "));
    Ok(line.context("nr_slab_unreclaimable")?.trim().parse()?)
}

/// Reads to the end. After an error, `buf` has the text up to there.
fn read_on(from: &mut fs::File, buf: &mut [u8], len: &mut usize) -> io::Result<()> {
    loop {
        match from.read(&mut buf[*len..])? {
            0 => return Ok(()),
            n => *len += n,
        }
    }
}

fn is_no_memory(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOMEM)
}

/// An open(2) that failed for lack of memory succeeds the next time.
fn no_memory_to_open() -> Result<()> {
    let mut faults = FailNth::new()?;
    let held = Held::settled()?;
    for file in File::ALL {
        let path = file.path();
        let mut refused = 0;
        faults.each(1, |faults, nth| {
            let (opened, injected) = faults.run(nth, || fs::File::open(&path))?;
            match opened {
                Ok(_) => {}
                Err(error) if injected && is_no_memory(&error) => refused += 1,
                Err(error) => bail!("opening says {error}"),
            }
            file.read()?;
            Ok(injected)
        })?;
        ensure!(refused >= 2, "only {refused} refusals");
    }
    held.wait_for_same()
}

/// A read(2) without memory fails with ENOMEM and no other error. The next read of the same open
/// file continues at that place, and every part of the text comes once.
fn no_memory_to_go_on() -> Result<()> {
    let mut faults = FailNth::new()?;
    let held = Held::settled()?;
    {
        let _crowd = udp_crowd(CROWD)?;
        let path = File::Udp.path();
        let text = fs::read_to_string(&path)?;
        ensure!(text.len() > WINDOW, "only {} bytes", text.len());
        // Memory that is there already: page faults allocate as well.
        let mut buf = vec![1; 2 * text.len()];
        let mut refused = 0;
        let count = faults.each(1, |faults, nth| {
            let mut from = fs::File::open(&path)?;
            let mut len = 0;
            let (read, injected) = faults.run(nth, || read_on(&mut from, &mut buf, &mut len))?;
            goes_on(read, injected, &mut refused, || {
                read_on(&mut from, &mut buf, &mut len)
            })?;
            same_text(std::str::from_utf8(&buf[..len])?, &text)?;
            Ok(injected)
        })?;
        // The set of shown entries of a bucket is allocated anew each time that it grows. If that
        // fails, read(2) returns the text so far, at least the header, and the next one finds
        // memory again. So a refusal need not be seen; `no_pages_to_go_on` has refusals that last.
        ensure!(count >= 4, "only {count} allocations");
        println!("{count} allocations, {refused} refusals");
    }
    held.wait_for_same()
}

/// Continues a listing if a read failed for lack of memory.
fn goes_on(
    read: io::Result<()>,
    injected: bool,
    refused: &mut u32,
    rest: impl FnOnce() -> io::Result<()>,
) -> Result<()> {
    if let Err(error) = read {
        ensure!(injected && is_no_memory(&error), "reading says {error}");
        *refused += 1;
        rest().context("the next try")?;
    }
    Ok(())
}

/// The page allocator, set to fail in this thread after a number of pages. That is needed to refuse
/// a window: if there is no block of that size, kvmalloc() tries single pages.
struct NoPages {
    attributes: &'static Path,
    me: fs::File,
}

impl NoPages {
    fn new() -> Result<Self> {
        let attributes = Path::new("/sys/kernel/debug/fail_page_alloc");
        let me = Path::new("/proc/thread-self/make-it-fail");
        if !attributes.exists() || !me.exists() {
            return skip(
                Feature::Config("CONFIG_FAIL_PAGE_ALLOC"),
                "there is no fail_page_alloc in debugfs",
            );
        }
        let me = fs::OpenOptions::new().write(true).open(me)?;
        let new = Self { attributes, me };
        for (name, value) in [
            ("task-filter", "Y"),
            ("ignore-gfp-wait", "N"),
            ("ignore-gfp-highmem", "N"),
            ("min-order", "0"),
            ("verbose", "0"),
            ("times", "-1"),
            ("probability", "100"),
        ] {
            new.set(name, value)?;
        }
        Ok(new)
    }

    fn set(&self, name: &str, value: &str) -> Result<()> {
        fs::write(self.attributes.join(name), value).with_context(|| format!("{name}={value}"))
    }

    /// Runs `f` with at most this many pages.
    fn run<T>(&mut self, pages: u32, f: impl FnOnce() -> T) -> Result<T> {
        use std::os::unix::fs::FileExt;
        self.set("space", &pages.to_string())?;
        self.me.write_at(b"1", 0)?;
        let value = f();
        self.me.write_at(b"0", 0)?;
        Ok(value)
    }
}

impl Drop for NoPages {
    fn drop(&mut self) {
        let _ = self.set("probability", "0");
    }
}

/// The same if no page is left after some number, so that not even a window can be allocated.
fn no_pages_to_go_on() -> Result<()> {
    let mut no_pages = NoPages::new()?;
    let held = Held::settled()?;
    {
        let mut refused = 0;
        let _crowd = udp_crowd(CROWD)?;
        let path = File::Udp.path();
        let text = fs::read_to_string(&path)?;
        let mut buf = vec![1; 2 * text.len()];
        let (mut pages, mut whole, mut at_start, mut midway) = (0, 0, 0, 0);
        // It may get by with what it finds ready, so several must be served.
        while whole < 5 {
            ensure!(pages < MOST_PAGES, "it is refused with {pages} pages");
            let mut from = fs::File::open(&path)?;
            let mut len = 0;
            let read = no_pages.run(pages, || read_on(&mut from, &mut buf, &mut len))?;
            match &read {
                Ok(()) => whole += 1,
                Err(_) if len == 0 => at_start += 1,
                Err(_) => midway += 1,
            }
            goes_on(read, true, &mut refused, || {
                read_on(&mut from, &mut buf, &mut len)
            })
            .with_context(|| format!("with {pages} pages"))?;
            same_text(std::str::from_utf8(&buf[..len])?, &text)?;
            pages += 4;
        }
        println!("refused {at_start} times at the start, {midway} times midway");
        ensure!(
            at_start > 0 && midway > 0,
            "refused {at_start} times at the start, {midway} times midway"
        );
    }
    held.wait_for_same()
}

/// The number of attempts to have a reader killed by its control group.
const MOST_TRIES: u32 = 10;

const GROUP: &str = "/sys/fs/cgroup/knetstat-adversity";

/// A memory control group. Dropping this removes it.
struct Group;

impl Group {
    fn new() -> Result<Self> {
        memory_group::create("knetstat-adversity")?;
        Ok(Self)
    }

    /// A reader in the group that has a file open. `is_victim`: the OOM killer may end it.
    fn reader(&self, is_victim: bool) -> Result<Reader> {
        let mut reader = Reader::start()?;
        if !is_victim {
            fs::write(format!("/proc/{}/oom_score_adj", reader.pid()), "-1000")?;
        }
        fs::write(
            Path::new(GROUP).join("cgroup.procs"),
            reader.pid().to_string(),
        )?;
        reader.does(&format!("group {GROUP}"))?;
        Ok(reader)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A member may be on its way out.
        for _ in 0..100 {
            if fs::remove_dir(GROUP).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A reader whose control group has no memory left gets ENOMEM, or the OOM killer ends it. As soon
/// as there is memory, the same open file continues, and so do all other readers.
fn group_without_memory() -> Result<()> {
    let group = Group::new()?;
    let _crowd = udp_crowd(CROWD)?;
    let text = fs::read_to_string(File::Udp.path())?;
    let held = Held::settled()?;
    let (mut at_start, mut midway, mut whole, mut bytes) = (0, 0, 0, 0);
    {
        let mut reader = group.reader(false)?;
        while whole < 3 {
            ensure!(bytes < 4 << 20, "it is refused with {bytes} bytes");
            reader.does("open udpstat")?;
            let answer = reader.ask(&format!("limited {bytes}"))?;
            match answer.errno {
                0 => whole += 1,
                libc::ENOMEM if answer.len == 0 => at_start += 1,
                libc::ENOMEM => midway += 1,
                errno => bail!("with {bytes} bytes: errno {errno}"),
            }
            reader.does("rest").context("the next try")?;
            same_text(&reader.text()?, &text).with_context(|| format!("with {bytes} bytes"))?;
            bytes += 16 << 10;
        }
    }
    println!("refused {at_start} times at the start, {midway} times midway, to {bytes} bytes");
    ensure!(at_start > 0, "no window was refused");

    let (mut killed, mut tries) = (0, 0);
    // Another CPU may still have memory that it charged in advance, enough for a window.
    while killed == 0 && tries < MOST_TRIES {
        killed += killed_in(&group, &text)?;
        tries += 1;
    }
    println!("killed {killed} times, at try {tries}");
    ensure!(killed > 0, "none was killed");
    held.wait_for_same()
}

/// Lets readers run into the group's limit, each with a little more memory. The next reader gets
/// the whole text. Returns how many were killed.
fn killed_in(group: &Group, text: &str) -> Result<u32> {
    let mut killed = 0;
    for bytes in [0, 16 << 10, 64 << 10, 160 << 10] {
        let mut reader = group.reader(true)?;
        reader.does("open udpstat")?;
        reader.send(&format!("limited {bytes}"))?;
        match reader.answer()? {
            None => {
                let status = reader.kill(10)?;
                ensure!(status.signal() == Some(libc::SIGKILL), "{status}");
                fs::write(Path::new(GROUP).join("memory.max"), "max")?;
                killed += 1;
            }
            Some(answer) => ensure!(
                [0, libc::ENOMEM].contains(&answer.errno),
                "with {bytes} bytes: {answer:?}"
            ),
        }
        let mut next = group.reader(true)?;
        next.does("open udpstat")?;
        next.does("rest")?;
        same_text(&next.text()?, text).context("the next reader")?;
    }
    Ok(killed)
}

/// Readers that are killed at a random moment.
fn killed(kills: u32) -> Result<()> {
    let held = Held::settled()?;
    let mut before = 0;
    in_fresh(|| {
        let _crowd = udp_crowd(CROWD)?;
        let _pairs = (0..200)
            .map(|number| match number % 2 {
                0 => Plan::V4.pair(),
                _ => Plan::V6.pair(),
            })
            .collect::<Result<Vec<_>>>()?;
        let mut rng = rand::rng();
        let longest = guest().scale(20, 40, 150);
        for number in 0..kills {
            let mut reader = Reader::start()?;
            reader.does("wild")?;
            thread::sleep(Duration::from_millis(rng.random_range(0..longest)));
            let status = reader.kill(10)?;
            ensure!(status.signal() == Some(libc::SIGKILL), "{status}");
            // Memory that is kept once for all was allocated by now.
            if number == kills / 5 {
                before = slab_pages()?;
            }
        }
        // The list of objects below does not contain large blocks, such as the buffers. If each reader
        // had leaked one, so many pages would be missing.
        let after = slab_pages()?;
        let readers = u64::from(kills) * reader::THREADS as u64 * 4 / 5;
        let windows = readers * (WINDOW / 4096) as u64;
        println!("{kills} processes killed; {before} pages before, {after} after");
        // KASAN keeps what is freed for a while.
        ensure!(
            after < before + windows / 4 || guest().scale == Scale::Checked,
            "{before} pages before, {after} after, where {readers} windows have {windows}"
        );
        Ok(())
    })?;
    held.wait_for_same()?;
    unloaded(|| Ok(()))
}

/// A reader whose read(2) is stuck in a page fault: rmmod waits for it, and unshare(2) for rmmod.
/// Both continue when the reader is killed. knetstat(4) describes how to find it.
fn in_a_page_fault() -> Result<()> {
    // The kernel frees the last namespace that has ended when the next one ends.
    in_fresh(|| Ok(()))?;
    let held = Held::settled()?;
    let mut reader = Reader::start()?;
    reader.does("open tcpstat")?;
    let answer = reader.ask("fault")?;
    if answer.errno == libc::ENOSYS {
        return skip(
            Feature::Config("CONFIG_USERFAULTFD"),
            "there is no userfaultfd(2)",
        );
    }
    ensure!(answer.errno == 0, "userfaultfd: {answer:?}");
    let mut fault = UserFault::take(reader.pid(), answer.len.try_into()?)?;
    reader.send("stuck")?;
    wait_for("the page fault", 10, || {
        Ok(match fault.is_met()? {
            true => Ok(()),
            false => Err("there is none".to_owned()),
        })
    })?;

    let rmmod = thread::spawn(|| modules::remove("knetstat"));
    let result = wait_and_kill(&mut reader, || rmmod.is_finished());
    // Whatever has happened, nothing is to wait from here on.
    drop(fault);
    wait_for("rmmod to end after all", 20, || {
        Ok(match rmmod.is_finished() {
            true => Ok(()),
            false => Err("it still waits".to_owned()),
        })
    })?;
    let removed = rmmod.join().expect("no panic");
    let left = nothing_left();
    let again = load();
    result.and(removed).and(left).and(again)?;
    held.wait_for_same()
}

/// Checks that rmmod waits, and kills the reader that it waits for.
fn wait_and_kill(reader: &mut Reader, is_removed: impl Fn() -> bool) -> Result<()> {
    wait_for("rmmod to begin", 10, || {
        let modules = fs::read_to_string("/proc/modules")?;
        let ours = modules.lines().find(|line| line.starts_with("knetstat "));
        Ok(match ours {
            Some(line) if line.contains(" Unloading ") => Ok(()),
            other => Err(format!("{other:?}")),
        })
    })?;
    let mut unshare = Command::new("unshare").args(["--net", "true"]).spawn()?;
    thread::sleep(Duration::from_secs(1));
    ensure!(!is_removed(), "rmmod does not wait");
    ensure!(unshare.try_wait()?.is_none(), "unshare(2) does not wait");

    // As knetstat(4) has it.
    let output = Command::new("sh")
        .args(["-c", FIND_READERS])
        .output()
        .context("running sh")?;
    let found = String::from_utf8(output.stdout)?;
    println!("{found}");
    let pid = format!("/proc/{}/", reader.pid());
    ensure!(found.contains(&pid), "no {pid} in {found:?}");

    let status = reader.kill(10)?;
    ensure!(status.signal() == Some(libc::SIGKILL), "{status}");
    wait_for("rmmod to end", 10, || {
        Ok(match is_removed() {
            true => Ok(()),
            false => Err("the reader is killed, and it still waits".to_owned()),
        })
    })?;
    wait_for("unshare(2) to end", 10, || {
        Ok(match unshare.try_wait()? {
            Some(status) if status.success() => Ok(()),
            other => Err(format!("{other:?}")),
        })
    })
}

/// The place at which a reader is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Opened,
    InARow,
    /// At the end of a window, in the middle of a bucket.
    InABucket,
    Sought,
    AtTheEnd,
}

impl Stage {
    const ALL: [Self; 5] = [
        Self::Opened,
        Self::InARow,
        Self::InABucket,
        Self::Sought,
        Self::AtTheEnd,
    ];

    fn go_to(self, reader: &mut Reader) -> Result<()> {
        let requests: &[&str] = match self {
            Self::Opened => &["open udpstat"],
            Self::InARow => &["open udpstat", "read 1001"],
            Self::InABucket => &["open udpstat", "read 1000000"],
            Self::Sought => &["open udpstat", "read 50000", "seek 2002"],
            Self::AtTheEnd => &["open udpstat", "rest"],
        };
        for request in requests {
            reader.does(request)?;
        }
        Ok(())
    }
}

/// Readers, each with the place at which it is stopped.
type Readers = Vec<(Stage, Reader)>;

/// Readers that are stopped for long while their sockets go away, then their namespace (except for
/// the open files), and perhaps the module. The module must not wait for them; with it, their
/// namespace goes, while they are still stopped. A reader that then continues gets EIO, or else the
/// rest, in whole rows.
fn stopped(module_goes: bool) -> Result<()> {
    let held = Held::settled()?;
    let pause = Duration::from_secs(match how_much() {
        1 => 1,
        _ => 60,
    });
    let device = "knet0";
    let has_device = || -> Result<bool> {
        let devices = fs::read_to_string("/proc/thread-self/net/dev")?;
        Ok(devices.contains(&format!("{device}:")))
    };

    // Makes a namespace, its sockets and the readers. When this thread ends, only the sockets and the
    // readers are left in it.
    let make = || -> Result<(Readers, Vec<Socket>)> {
        let crowd = udp_crowd(CROWD)?;
        let readers = Stage::ALL
            .into_iter()
            .map(|stage| {
                let mut reader = Reader::start()?;
                stage
                    .go_to(&mut reader)
                    .with_context(|| format!("{stage:?}"))?;
                Ok((stage, reader))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok((readers, crowd))
    };
    let (mut readers, crowd) = in_fresh(make)?;
    let all = inodes(&crowd)?;
    let first = readers.first().context("a reader")?.1.pid().to_string();
    // The namespace exists as long as its device does, and so the device's other end here.
    let output = Command::new("ip")
        .args(["link", "add", device, "type", "veth"])
        .args(["peer", "name", "knet1", "netns", &first])
        .output()
        .context("running ip")?;
    ensure!(output.status.success(), "ip link add: {output:?}");
    for (_, reader) in &mut readers {
        reader.does("leave")?;
        reader.stop()?;
    }
    drop(crowd);
    thread::sleep(pause);
    ensure!(has_device()?, "an open file does not hold its namespace");

    let namespace_ends = || {
        wait_for("the namespace to end", 20, || {
            Ok(match has_device()? {
                true => Err("its device is still there".to_owned()),
                false => Ok(()),
            })
        })
    };
    if module_goes {
        unloaded(|| {
            namespace_ends().context("while its readers are stopped")?;
            in_fresh(nothing_left)?;
            for (stage, reader) in &mut readers {
                reader.go_on()?;
                for request in ["read 100", "rest"] {
                    let errno = reader.ask(request)?.errno;
                    ensure!(errno == libc::EIO, "{stage:?}: {request}: errno {errno}");
                }
            }
            load()
        })?;
        // Nor is there anything to be read with the next module.
        for (stage, reader) in &mut readers {
            let errno = reader.ask("read 100")?.errno;
            ensure!(errno == libc::EIO, "{stage:?}: then, errno {errno}");
        }
    } else {
        for (stage, reader) in &mut readers {
            reader.go_on()?;
            reader.does("rest").with_context(|| format!("{stage:?}"))?;
            let text = reader.text()?;
            is_part(*stage, &text, &all).with_context(|| format!("{stage:?}"))?;
        }
    }
    drop(readers);
    namespace_ends()?;
    held.wait_for_same()
}

/// Whether a reader whose sockets went away at this stage can have read this.
fn is_part(stage: Stage, text: &str, all: &BTreeSet<u64>) -> Result<()> {
    let rows = File::Udp.parse(text)?;
    let mut seen = BTreeSet::new();
    for row in &rows {
        ensure!(all.contains(&row.ino()), "a row of another: {row:?}");
        ensure!(seen.insert(row.ino()), "twice: {row:?}");
    }
    let whole_window = 700;
    match stage {
        Stage::Opened => ensure!(
            rows.is_empty(),
            "{} rows of sockets that are gone",
            rows.len()
        ),
        // A window that was made is read to its end, and then there is nothing.
        Stage::InARow | Stage::InABucket | Stage::Sought => ensure!(
            (whole_window..all.len()).contains(&rows.len()),
            "{} of {} rows",
            rows.len(),
            all.len()
        ),
        Stage::AtTheEnd => each_once(File::Udp, text, all)?,
    }
    Ok(())
}
