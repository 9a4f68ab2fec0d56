// SPDX-License-Identifier: GPL-2.0

//! Reading: in pieces of any size, from any position, by several readers, with many sockets, and
//! while sockets come and go.

use crate::guest::guest;
use crate::harness::Case;
use crate::klog;
use crate::netns::in_fresh;
use crate::reference::{compare, wait_closed};
use crate::rows::File;
use crate::sockets::{ino, local, Plan};
use crate::states::quiet_tcp_states;
use anyhow::{bail, ensure, Context, Result};
use rand::Rng;
use socket2::{SockAddr, Socket};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;
use std::time::Duration;
use std::{fs, io, iter, thread};

pub fn cases() -> Vec<Case> {
    let sockets = guest().scale(20_000, 6_000, 4_000);
    vec![
        Case::heavy("reads::same_text_in_any_pieces", || in_fresh(pieces)),
        Case::new("reads::pread_at_any_offset", || in_fresh(preads)),
        Case::new("reads::seek_back", || in_fresh(seeks)),
        Case::heavy("reads::seeks_anywhere", || in_fresh(seeks_anywhere)),
        Case::new("reads::seeks_that_are_refused", || in_fresh(refused_seeks)),
        Case::new("reads::rewound_is_anew", || in_fresh(rewound)),
        Case::new("reads::two_readers_at_once", || in_fresh(readers)),
        Case::heavy("reads::threads_on_one_descriptor", || in_fresh(threads)),
        Case::new("reads::buffer_of_one_file_is_its_own", || {
            in_fresh(interleaved)
        }),
        Case::new("reads::read_only", || in_fresh(read_only)),
        Case::heavy(format!("reads::{sockets}_sockets_each_once"), move || {
            in_fresh(|| many_sockets(sockets))
        }),
    ]
}

/// A namespace with sockets of all kinds, quiet for a minute.
struct Quiet {
    _held: Vec<Socket>,
}

impl Quiet {
    fn new() -> Result<Self> {
        let mut held = Vec::new();
        for plan in [Plan::V4, Plan::V6] {
            held.extend(quiet_tcp_states(plan)?.held);
            for _ in 0..80 {
                held.push(plan.udp()?);
                held.push(plan.listener(3)?);
            }
        }
        Ok(Self { _held: held })
    }

    /// Runs a test on the text of every file.
    fn each(&self, mut test: impl FnMut(File, &str) -> Result<()>) -> Result<()> {
        for file in File::ALL {
            while_same(file, |text| test(file, text))?;
        }
        Ok(())
    }
}

/// Runs a test on the text of a file. A timer may change a row, so the test counts only if the text
/// is the same before and after.
pub fn while_same(file: File, mut test: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let mut changed = String::new();
    for _ in 0..20 {
        let text = fs::read_to_string(file.path())?;
        let result = test(&text);
        match same_text(&fs::read_to_string(file.path())?, &text) {
            Ok(()) => return result.context(file.name()),
            Err(difference) => changed = difference.to_string(),
        }
    }
    bail!("{} does not stay the same: {changed}", file.name());
}

/// Fails at the first line in which two texts differ.
pub fn same_text(read: &str, text: &str) -> Result<()> {
    let mut lines = (read.split_inclusive('\n'), text.split_inclusive('\n'));
    let mut pairs = iter::from_fn(|| match (lines.0.next(), lines.1.next()) {
        (None, None) => None,
        pair => Some(pair),
    });
    if let Some((line, expected)) = pairs.find(|(line, expected)| line != expected) {
        let [line, expected] = [line, expected].map(|line| line.unwrap_or("(the end)"));
        bail!("there is {line:?} instead of {expected:?}");
    }
    Ok(())
}

/// Reads a file in pieces of this size, and expects this text.
pub fn same_in_pieces(file: File, size: usize, text: &str) -> Result<()> {
    let read = read_in_pieces(fs::File::open(file.path())?, size)?;
    same_text(&read, text).with_context(|| format!("{} in pieces of {size} bytes", file.name()))
}

/// Reads to the end in pieces of this size.
pub fn read_in_pieces(mut from: impl Read, size: usize) -> Result<String> {
    let mut all = Vec::new();
    let mut buf = vec![0; size];
    loop {
        match from.read(&mut buf)? {
            0 => break,
            n => all.extend_from_slice(&buf[..n]),
        }
    }
    // The end stays the end.
    ensure!(from.read(&mut buf)? == 0, "data after the end");
    Ok(String::from_utf8(all)?)
}

fn pieces() -> Result<()> {
    Quiet::new()?.each(|file, text| {
        for size in [1, 7, 333, 4095, 4096, 4097, 65_536, 1 << 20] {
            same_in_pieces(file, size, text)?;
        }
        // Sizes that change from read to read.
        let mut rng = rand::rng();
        let mut from = fs::File::open(file.path())?;
        let mut all = Vec::new();
        loop {
            let mut buf = vec![0; rng.random_range(1..3000)];
            match from.read(&mut buf)? {
                0 => break,
                n => all.extend_from_slice(&buf[..n]),
            }
        }
        ensure!(all == text.as_bytes(), "random pieces make another text");
        Ok(())
    })
}

fn preads() -> Result<()> {
    Quiet::new()?.each(|file, text| {
        let from = fs::File::open(file.path())?;
        let text = text.as_bytes();
        let mut rng = rand::rng();
        let mut offsets = vec![
            0,
            1,
            79,
            80,
            81,
            4095,
            4096,
            4097,
            text.len() - 1,
            text.len(),
        ];
        offsets.extend((0..60).map(|_| rng.random_range(0..text.len())));
        for offset in offsets {
            let mut buf = vec![0; rng.random_range(1..9000)];
            let n = from.read_at(&mut buf, offset as u64)?;
            let rest = text.get(offset..).unwrap_or_default();
            ensure!(
                rest.starts_with(&buf[..n]) && (n > 0 || rest.is_empty()),
                "pread at {offset} returns something else"
            );
        }
        // One byte after the other, and one before the other.
        let step = text.len() / 300 + 1;
        let ups = (0..text.len()).step_by(step);
        let downs = (0..text.len()).rev().step_by(step);
        for offset in ups.chain(downs) {
            let mut buf = [0];
            from.read_exact_at(&mut buf, offset as u64)?;
            ensure!(buf[0] == text[offset], "the byte at {offset} is another");
        }
        let mut buf = [0; 10];
        ensure!(
            from.read_at(&mut buf, text.len() as u64 + 12_345)? == 0,
            "data beyond the end"
        );
        Ok(())
    })
}

fn seeks() -> Result<()> {
    Quiet::new()?.each(|file, text| {
        let mut from = fs::File::open(file.path())?;
        let mut buf = String::new();
        from.read_to_string(&mut buf)?;
        ensure!(buf == text, "the first read differs");
        for start in [0, text.len() / 2, 1, text.len(), text.len() / 3, 0] {
            from.seek(SeekFrom::Start(start as u64))?;
            buf.clear();
            from.read_to_string(&mut buf)?;
            ensure!(buf == text[start..], "differs after a seek to {start}");
        }
        // Back before the end was reached, and forward from there.
        from.rewind()?;
        let mut some = vec![0; text.len() / 2];
        from.read_exact(&mut some)?;
        from.seek(SeekFrom::Current(-10))?;
        buf.clear();
        from.read_to_string(&mut buf)?;
        ensure!(
            buf == text[some.len() - 10..],
            "differs after a seek by -10"
        );
        Ok(())
    })
}

/// A file with more text than a window of 128 KiB.
fn large(file: File) -> Result<Vec<Socket>> {
    let plan = match file {
        File::Tcp | File::Udp => Plan::V4,
        File::Tcp6 | File::Udp6 => Plan::V6,
    };
    (0..1600)
        .map(|_| match file.is_tcp() {
            true => plan.listener(1),
            false => plan.udp(),
        })
        .collect()
}

/// Seeks within the window of 128 KiB, after it and beyond the end, with reads of all sizes. Each
/// read returns the text from that position.
fn seeks_anywhere() -> Result<()> {
    const WINDOW: u64 = 128 << 10;
    for file in [File::Udp, File::Tcp6] {
        let _sockets = large(file)?;
        while_same(file, |text| {
            let text = text.as_bytes();
            let end = text.len() as u64;
            ensure!(end > WINDOW + 20_000, "only {end} bytes");
            let mut from = fs::File::open(file.path())?;
            let mut rng = rand::rng();
            let mut at = 0_u64;
            for _ in 0..guest().scale(600, 300, 150) {
                let seek = match rng.random_range(0..9) {
                    // A few bytes back, as a shell does; within what was just read.
                    0..=2 => SeekFrom::Current(-(rng.random_range(0..=at.min(4000)) as i64)),
                    // Before it.
                    3 => SeekFrom::Current(-(rng.random_range(0..=at) as i64)),
                    // Forward from there.
                    4 => SeekFrom::Current(rng.random_range(0..6000)),
                    // Where a window ends.
                    5 => SeekFrom::Start(rng.random_range(WINDOW - 300..WINDOW + 300)),
                    6 => SeekFrom::Start(rng.random_range(0..end)),
                    // Where it ends, and beyond.
                    7 => SeekFrom::Start(rng.random_range(end - 300..end + 300)),
                    _ => SeekFrom::Start(if rng.random() { 0 } else { 1 << 40 }),
                };
                let expected = match seek {
                    SeekFrom::Start(to) => to,
                    SeekFrom::Current(by) => at.saturating_add_signed(by),
                    SeekFrom::End(_) => bail!("no such seek"),
                };
                at = from.seek(seek)?;
                ensure!(at == expected, "{seek:?} leads to {at}, not {expected}");
                for _ in 0..rng.random_range(0..4) {
                    let mut buf = vec![0; rng.random_range(1..9000)];
                    let n = from.read(&mut buf)?;
                    let rest = text.get(at as usize..).unwrap_or_default();
                    ensure!(
                        rest.starts_with(&buf[..n]) && (n > 0 || rest.is_empty()),
                        "after {seek:?}, a read at {at} returns another text"
                    );
                    at += n as u64;
                    ensure!(from.stream_position()? == at, "the position is another");
                }
            }
            // And to the end from wherever that is.
            let mut rest = Vec::new();
            from.read_to_end(&mut rest)?;
            ensure!(
                rest == text.get(at as usize..).unwrap_or_default(),
                "the rest from {at} on is another"
            );
            Ok(())
        })?;
    }
    Ok(())
}

/// lseek(2) with any value of `whence`.
fn lseek(file: &fs::File, offset: i64, whence: i32) -> io::Result<i64> {
    // SAFETY: No memory is at stake.
    match unsafe { libc::lseek64(file.as_raw_fd(), offset, whence) } {
        -1 => Err(io::Error::last_os_error()),
        position => Ok(position),
    }
}

/// A seek that `/proc/net/tcp` refuses is refused with the same error, and the position stays.
fn refused_seeks() -> Result<()> {
    let _quiet = Quiet::new()?;
    for file in File::ALL {
        let mut ours = fs::File::open(file.path())?;
        let mut theirs = fs::File::open(format!("/proc/thread-self/net/{}", file.reference()))?;
        for from in [&mut ours, &mut theirs] {
            from.read_exact(&mut [0; 100])?;
        }
        for (offset, whence) in [
            (0, libc::SEEK_END),
            (-10, libc::SEEK_END),
            (10, libc::SEEK_END),
            (0, libc::SEEK_DATA),
            (0, libc::SEEK_HOLE),
            (-1, libc::SEEK_SET),
            (i64::MIN, libc::SEEK_SET),
            (-101, libc::SEEK_CUR),
            (i64::MAX, libc::SEEK_CUR),
            (0, 17),
        ] {
            let errors = [&ours, &theirs]
                .map(|from| lseek(from, offset, whence).map_err(|err| err.raw_os_error()));
            ensure!(
                errors == [Err(Some(libc::EINVAL)); 2],
                "{}: lseek({offset}, {whence}): ours and theirs say {errors:?}",
                file.name()
            );
            for from in [&mut ours, &mut theirs] {
                ensure!(from.stream_position()? == 100, "the position has changed");
            }
        }
        // Far beyond the end is no error.
        ensure!(lseek(&ours, i64::MAX, libc::SEEK_SET)? == i64::MAX);
        ensure!(lseek(&ours, i64::MAX - 4096, libc::SEEK_SET)? == i64::MAX - 4096);
        ensure!(ours.read(&mut [0; 1000])? == 0, "data far beyond the end");
    }
    Ok(())
}

/// A new listing shows the sockets of now, whatever was read before.
fn rewound() -> Result<()> {
    let mut quiet = Quiet::new()?;
    for (file, plan) in [
        (File::Tcp, Plan::V4),
        (File::Tcp6, Plan::V6),
        (File::Udp, Plan::V4),
        (File::Udp6, Plan::V6),
    ] {
        for read_before in [0, 1, 5000, usize::MAX] {
            let mut from = fs::File::open(file.path())?;
            from.by_ref()
                .take(read_before as u64)
                .read_to_end(&mut Vec::new())?;
            let socket = match file.is_tcp() {
                true => plan.listener(1)?,
                false => plan.udp()?,
            };
            let ino = ino(&socket)?;
            let is_listed = |text: &str| -> Result<bool> {
                Ok(file.parse(text)?.iter().any(|row| row.ino() == ino))
            };
            let what = || format!("{} after {read_before} bytes", file.name());
            let by_pread = || -> Result<String> {
                let mut text = Vec::new();
                let mut buf = vec![0; 1 << 20];
                loop {
                    match from.read_at(&mut buf, text.len() as u64)? {
                        0 => return Ok(String::from_utf8(text)?),
                        n => text.extend_from_slice(&buf[..n]),
                    }
                }
            };
            ensure!(
                is_listed(&by_pread()?)?,
                "pread does not list it: {}",
                what()
            );
            drop(socket);
            wait_closed(file, ino)?;
            ensure!(
                !is_listed(&by_pread()?)?,
                "pread still lists it: {}",
                what()
            );
            quiet._held.push(match file.is_tcp() {
                true => plan.listener(1)?,
                false => plan.udp()?,
            });
            let ino = quiet
                ._held
                .last()
                .map(crate::sockets::ino)
                .context("a socket")??;
            from.rewind()?;
            let mut text = String::new();
            from.read_to_string(&mut text)?;
            each_once(file, &text, &BTreeSet::from([ino])).with_context(what)?;
            // Back from the end.
            let back = text.len() / 2;
            from.seek(SeekFrom::Start(back as u64))?;
            let mut rest = String::new();
            from.read_to_string(&mut rest)?;
            same_text(&rest, &text[back..]).with_context(what)?;
        }
    }
    Ok(())
}

/// Threads that seek, read and pread one open file. While nothing changes, each read returns a part
/// of the text. While sockets come and go, each read returns whole rows.
fn threads() -> Result<()> {
    for file in [File::Udp, File::Tcp6] {
        let sockets = large(file)?;
        while_same(file, |text| {
            let from = fs::File::open(file.path())?;
            let starts: Vec<_> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
            by_threads(|thread| {
                let mut rng = rand::rng();
                for _ in 0..guest().scale(150, 60, 30) {
                    let at = starts[rng.random_range(0..starts.len() - 1)];
                    let mut buf = vec![0; rng.random_range(1000..9000)];
                    if thread % 2 == 0 {
                        let n = from.read_at(&mut buf, at as u64)?;
                        ensure!(
                            n > 0 && text.as_bytes()[at..].starts_with(&buf[..n]),
                            "pread at {at} returns another text"
                        );
                    } else {
                        lseek(&from, at as i64, libc::SEEK_SET)?;
                        // Another thread may have moved it since.
                        let n = (&from).read(&mut buf)?;
                        let read = std::str::from_utf8(&buf[..n])?;
                        ensure!(text.contains(read), "no part of the text: {read:?}");
                    }
                }
                Ok(())
            })
        })?;

        let stop = AtomicBool::new(false);
        let long_lived = inodes(&sockets)?;
        let from = fs::File::open(file.path())?;
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    drop((Plan::V4.udp(), Plan::V6.udp()));
                    drop((Plan::V4.listener(1), Plan::V6.listener(1)));
                }
            });
            let result = by_threads(|thread| {
                let mut rng = rand::rng();
                let mut buf = vec![0; 1 << 20];
                for _ in 0..guest().scale(100, 40, 10) {
                    if thread % 2 == 0 {
                        let n = from.read_at(&mut buf, 0)?;
                        let rows = file.parse(std::str::from_utf8(&buf[..n])?)?;
                        let mut seen = BTreeSet::new();
                        for ino in rows.iter().map(|row| row.ino()) {
                            let is_new = seen.insert(ino);
                            ensure!(is_new || !long_lived.contains(&ino), "{ino} is there twice");
                        }
                    } else {
                        // Anywhere, so that windows come and go below the others.
                        lseek(&from, rng.random_range(0..200_000), libc::SEEK_SET)?;
                        let size = rng.random_range(1..5000);
                        let _ = (&from).read(&mut buf[..size])?;
                    }
                }
                Ok(())
            });
            stop.store(true, Ordering::Relaxed);
            result.context("while sockets come and go")
        })?;

        // Each read of all there is in the window ends with a row's end, whoever does it.
        let from = fs::File::open(file.path())?;
        let texts = Mutex::new(Vec::new());
        by_threads(|_| {
            let mut buf = vec![0; 1 << 20];
            loop {
                let n = (&from).read(&mut buf)?;
                if n == 0 {
                    return Ok(());
                }
                let text = std::str::from_utf8(&buf[..n])?.to_owned();
                texts.lock().expect("no panic").push(text);
            }
        })?;
        let mut all = format!("{}\n", file.header());
        for text in texts.into_inner().expect("no panic") {
            ensure!(text.ends_with('\n'), "a row is torn");
            all += text
                .strip_prefix(&format!("{}\n", file.header()))
                .unwrap_or(&text);
        }
        each_once(file, &all, &long_lived).context("in the reads of several threads")?;
    }
    klog::check_clean()
}

/// Runs this in four threads at once.
fn by_threads(f: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let f = &f;
        let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || f(n))).collect();
        for thread in threads {
            thread.join().expect("no panic")?;
        }
        Ok(())
    })
}

fn readers() -> Result<()> {
    Quiet::new()?.each(|file, text| {
        // Each its own open file.
        thread::scope(|scope| {
            let readers: Vec<_> = [61, 4096, 333, 1 << 20]
                .into_iter()
                .map(|size| {
                    scope.spawn(move || -> Result<()> {
                        for _ in 0..if size == 61 { 1 } else { 10 } {
                            same_in_pieces(file, size, text)?;
                        }
                        Ok(())
                    })
                })
                .collect();
            for reader in readers {
                reader.join().expect("no panic")?;
            }
            Ok::<_, anyhow::Error>(())
        })?;

        // One open file for both: each byte goes to one of them.
        let from = fs::File::open(file.path())?;
        let mut counts = thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| -> Result<BTreeMap<u8, usize>> {
                        let mut counts = BTreeMap::new();
                        for byte in read_in_pieces(&from, 61)?.bytes() {
                            *counts.entry(byte).or_default() += 1;
                        }
                        Ok(counts)
                    })
                })
                .collect();
            readers
                .into_iter()
                .map(|reader| reader.join().expect("no panic"))
                .collect::<Result<Vec<_>>>()
        })?;
        let mut all = counts.pop().context("two readers")?;
        for (byte, count) in counts.pop().context("two readers")? {
            *all.entry(byte).or_default() += count;
        }
        let mut expected = BTreeMap::new();
        for byte in text.bytes() {
            *expected.entry(byte).or_default() += 1;
        }
        ensure!(
            all == expected,
            "two readers of one open file miss some, or see it twice"
        );

        // pread(2) by two at once.
        thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| -> Result<()> {
                        let mut rng = rand::rng();
                        for _ in 0..100 {
                            let offset = rng.random_range(0..text.len());
                            let mut buf = vec![0; rng.random_range(1..2000)];
                            let n = from.read_at(&mut buf, offset as u64)?;
                            ensure!(
                                n > 0 && text.as_bytes()[offset..].starts_with(&buf[..n]),
                                "pread at {offset} beside another"
                            );
                        }
                        Ok(())
                    })
                })
                .collect();
            for reader in readers {
                reader.join().expect("no panic")?;
            }
            Ok::<_, anyhow::Error>(())
        })
    })
}

/// Several open files, read in turn.
fn interleaved() -> Result<()> {
    Quiet::new()?.each(|file, text| {
        let mut files = Vec::new();
        for other in File::ALL.into_iter().chain([file, file]) {
            files.push((other, fs::File::open(other.path())?, Vec::new(), false));
        }
        let mut buf = [0; 1000];
        while files.iter().any(|(.., done)| !done) {
            for (_, from, read, done) in &mut files {
                let n = from.read(&mut buf)?;
                read.extend_from_slice(&buf[..n]);
                *done = n == 0;
            }
        }
        for (other, _, read, _) in files {
            ensure!(other != file || read == text.as_bytes(), "another text");
        }
        Ok(())
    })
}

/// The files cannot be written: mode 0444, and the error of a proc file without write.
fn read_only() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for file in File::ALL {
        let meta = fs::metadata(file.path())?;
        let theirs = fs::metadata(format!("/proc/thread-self/net/{}", file.reference()))?;
        let mode = |meta: &fs::Metadata| meta.permissions().mode();
        ensure!(
            mode(&meta) == mode(&theirs),
            "{} has mode {:o}",
            file.name(),
            mode(&meta)
        );
        let write = fs::OpenOptions::new()
            .write(true)
            .open(file.path())
            .and_then(|mut to| io::Write::write(&mut to, b"x"));
        ensure!(write.is_err(), "{} can be written to", file.name());
    }
    Ok(())
}

/// Checks that every inode is listed exactly once.
pub fn each_once(file: File, text: &str, sockets: &BTreeSet<u64>) -> Result<()> {
    let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
    for row in file.parse(text)? {
        *seen.entry(row.ino()).or_default() += 1;
    }
    let missing = sockets.iter().filter(|ino| !seen.contains_key(ino)).count();
    let twice = sockets
        .iter()
        .filter(|ino| seen.get(ino).is_some_and(|times| *times > 1))
        .count();
    ensure!(
        missing == 0 && twice == 0,
        "{}: of {} sockets {missing} are missing and {twice} listed twice",
        file.name(),
        sockets.len()
    );
    Ok(())
}

pub fn inodes(sockets: &[Socket]) -> Result<BTreeSet<u64>> {
    sockets.iter().map(ino).collect()
}

/// Many sockets: half TCP connections, half UDP sockets, of both families.
fn many_sockets(count: usize) -> Result<()> {
    for plan in [Plan::V4, Plan::V6] {
        let listener = plan.listener(1000)?;
        let to = SockAddr::from(local(&listener)?);
        let mut tcp = vec![];
        while tcp.len() < count / 4 {
            let client = plan.tcp()?;
            client.connect(&to)?;
            tcp.push(client);
            tcp.push(listener.accept()?.0);
        }
        tcp.push(listener);
        let udp = (0..count / 4)
            .map(|_| plan.udp())
            .collect::<Result<Vec<_>>>()?;
        for (file, sockets) in [(plan.file(true), &tcp), (plan.file(false), &udp)] {
            let inodes = inodes(sockets)?;
            for size in [4096, 1 << 20] {
                let text = read_in_pieces(fs::File::open(file.path())?, size)?;
                each_once(file, &text, &inodes)?;
                ensure!(file.parse(&text)?.len() == sockets.len(), "rows of others");
            }
            // And the same as the kernel's own, in its order.
            compare(file)?;
        }
        // Connections go without TIME_WAIT, for the sake of the tests beside.
        for socket in &tcp[..tcp.len() - 1] {
            socket.set_linger(Some(Duration::ZERO))?;
        }
    }
    Ok(())
}
