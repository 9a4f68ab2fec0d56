// SPDX-License-Identifier: GPL-2.0

//! Reading: in pieces of any size, from anywhere, by several readers, with many sockets, and
//! while sockets come and go.

use crate::guest::guest;
use crate::harness::Case;
use crate::netns::in_fresh;
use crate::reference::compare;
use crate::rows::File;
use crate::sockets::ino;
use crate::sockets::local;
use crate::sockets::Plan;
use crate::states::quiet_tcp_states;
use anyhow::bail;
use anyhow::ensure;
use anyhow::Context;
use anyhow::Result;
use rand::Rng;
use socket2::SockAddr;
use socket2::Socket;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::iter;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    let sockets = guest().scale(20_000, 6_000, 4_000);
    vec![
        Case::heavy("reads::same_text_in_any_pieces", || in_fresh(pieces)),
        Case::new("reads::pread_at_any_offset", || in_fresh(preads)),
        Case::new("reads::seek_back", || in_fresh(seeks)),
        Case::new("reads::two_readers_at_once", || in_fresh(readers)),
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

/// Runs a test on the text of a file. A timer may change a row: so the test counts only if the
/// text is the same before and after.
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

/// Says in which line two texts differ first, if they do.
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

/// Reads the file in pieces of this size, and expects this text.
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

/// Several open files, read in turns.
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

/// Nobody writes to the files: mode 0444, and what proc says of a file without write.
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

/// Every inode exactly once.
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

/// Half TCP connections, half UDP sockets, in both families.
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
