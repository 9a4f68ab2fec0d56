// SPDX-License-Identifier: GPL-2.0

//! Other sources for the same sockets: `/proc/net/{tcp,tcp6,udp,udp6}`, parsed by the `procfs`
//! crate, and `ss`.

use crate::guest::wait_for;
use crate::rows::{address, File, Row};
use anyhow::{bail, ensure, Context, Result};
use procfs::net::{TcpNetEntries, TcpState, UdpNetEntries};
use procfs::FromReadSI;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// A row of one of the kernel's own files, with addresses and state in our notation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub recvq: u32,
    pub sendq: u32,
    pub local: String,
    pub foreign: String,
    /// Empty for UDP.
    pub state: String,
    pub uid: u32,
    pub ino: u64,
    /// 0 for TCP.
    pub drops: u32,
}

fn state_name(state: &TcpState) -> &'static str {
    match state {
        TcpState::Established => "ESTB",
        TcpState::SynSent => "SYNS",
        TcpState::SynRecv | TcpState::NewSynRecv => "SYNR",
        TcpState::FinWait1 => "FNW1",
        TcpState::FinWait2 => "FNW2",
        TcpState::TimeWait => "TIMW",
        TcpState::Close => "CLSD",
        TcpState::CloseWait => "CLSW",
        TcpState::LastAck => "LACK",
        TcpState::Listen => "LSTN",
        TcpState::Closing => "CLSG",
    }
}

/// Reads the kernel's file that corresponds to `file`, in the directory `net`.
pub fn entries_in(net: &Path, file: File) -> Result<Vec<Entry>> {
    let path = net.join(file.reference());
    let text = std::fs::File::open(&path).with_context(|| format!("opening {path:?}"))?;
    entries_of(file, text)
}

/// Parses the kernel's file that corresponds to `file`.
pub fn entries_of(file: File, mut from: impl Read) -> Result<Vec<Entry>> {
    let system = procfs::current_system_info();
    let mut text = String::new();
    from.read_to_string(&mut text)?;
    let text = text.as_bytes();
    let entries = if file.is_tcp() {
        TcpNetEntries::from_read(text, system)?
            .0
            .iter()
            .map(|entry| Entry {
                recvq: entry.rx_queue,
                sendq: entry.tx_queue,
                local: address(&entry.local_address),
                foreign: address(&entry.remote_address),
                state: state_name(&entry.state).to_owned(),
                uid: entry.uid,
                ino: entry.inode,
                drops: 0,
            })
            .collect()
    } else {
        // The crate does not read the last column.
        let drops = std::str::from_utf8(text)?.lines().skip(1).map(|line| {
            let last = line.split_whitespace().last().context("an empty line")?;
            last.parse::<u32>().context("drops")
        });
        let drops = drops.collect::<Result<Vec<_>>>()?;
        let entries = UdpNetEntries::from_read(text, system)?.0;
        ensure!(drops.len() == entries.len(), "lines without an entry");
        entries
            .iter()
            .zip(drops)
            .map(|(entry, drops)| Entry {
                recvq: entry.rx_queue,
                sendq: entry.tx_queue,
                local: address(&entry.local_address),
                foreign: address(&entry.remote_address),
                state: String::new(),
                uid: entry.uid,
                ino: entry.inode,
                drops,
            })
            .collect()
    };
    Ok(entries)
}

/// Reads the kernel's file in the network namespace of the calling thread.
pub fn entries(file: File) -> Result<Vec<Entry>> {
    entries_in(Path::new("/proc/thread-self/net"), file)
}

/// Waits until the kernel's file lists a TCP socket with these addresses in this state, in the notation of our
/// files.
pub fn wait_reference(
    file: File,
    local: SocketAddr,
    foreign: SocketAddr,
    state: &str,
) -> Result<()> {
    let (local, foreign) = (address(&local), address(&foreign));
    wait_for("a row in the kernel's file", 10, || {
        let entries = entries(file)?;
        let found = entries
            .iter()
            .find(|entry| entry.local == local && entry.foreign == foreign);
        Ok(match found {
            Some(entry) if entry.state == state => Ok(()),
            other => Err(format!("{local} {foreign} {state} is {other:?}")),
        })
    })
}

/// Waits until the kernel's file lists no socket `ino` any more, after close(2). A command that another test
/// starts has the descriptors of this process until it is executed.
pub fn wait_closed(file: File, ino: u64) -> Result<()> {
    wait_for("a socket to be closed", 10, || {
        let is_listed = entries(file)?.iter().any(|entry| entry.ino == ino);
        Ok(match is_listed {
            true => Err(format!("{ino} is still in {}", file.reference())),
            false => Ok(()),
        })
    })
}

/// Compares our file with the kernel's in the namespace of the calling thread, row by row and
/// in order, and returns our rows.
pub fn compare(file: File) -> Result<Vec<Row>> {
    compare_in(Path::new("/proc/thread-self/net"), file)
}

/// As [`compare`], for the files in the directory `net`.
pub fn compare_in(net: &Path, file: File) -> Result<Vec<Row>> {
    // A timer may end a socket between two reads: believe a comparison only if the kernel's own
    // file said the same before and after.
    for _ in 0..50 {
        let before = entries_in(net, file)?;
        let ours = file.parse(&std::fs::read_to_string(net.join(file.name()))?)?;
        if entries_in(net, file)? == before {
            same(file, &ours, &before)?;
            return Ok(ours);
        }
    }
    bail!("/proc/net/{} does not stay the same", file.reference());
}

fn same(file: File, ours: &[Row], theirs: &[Entry]) -> Result<()> {
    for (number, (row, entry)) in ours.iter().zip(theirs).enumerate() {
        // A minisock has no options; the kernel's file prints zeroes there (and the listener's
        // user for a request).
        let (uid, ino) = match &row.options {
            Some(_) => (
                row.number("uid").context("no uid")? as u32,
                row.number("ino").context("no ino")?,
            ),
            None => (entry.uid, 0),
        };
        let row = Entry {
            recvq: row.recvq,
            sendq: row.sendq,
            local: row.local.clone(),
            foreign: row.foreign.clone(),
            state: row.state.clone(),
            uid,
            ino,
            drops: row.number("drops").unwrap_or(0) as u32,
        };
        ensure!(
            &row == entry,
            "{} row {number} is {row:?}, but {} says {entry:?}",
            file.name(),
            file.reference()
        );
    }
    ensure!(
        ours.len() == theirs.len(),
        "{} has {} rows, {} has {}",
        file.name(),
        ours.len(),
        file.reference(),
        theirs.len()
    );
    Ok(())
}

/// A socket as `ss` shows it, in our notation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SsLine {
    pub state: String,
    pub recvq: u32,
    pub sendq: u32,
    pub local: String,
    pub foreign: String,
}

/// Runs `ss` over all sockets that `file` lists.
pub fn ss(file: File) -> Result<Vec<SsLine>> {
    let family = match file {
        File::Tcp | File::Udp => "-4",
        File::Tcp6 | File::Udp6 => "-6",
    };
    let protocol = if file.is_tcp() { "-t" } else { "-u" };
    let output = Command::new("ss")
        .args([family, protocol, "-anH"])
        .output()
        .context("running ss")?;
    ensure!(output.status.success(), "ss failed: {output:?}");
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| {
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            ensure!(fields.len() >= 5, "ss says {line:?}");
            Ok(SsLine {
                state: ss_state(file, fields[0])?,
                recvq: fields[1].parse()?,
                sendq: fields[2].parse()?,
                local: ss_address(file, fields[3])?,
                foreign: ss_address(file, fields[4])?,
            })
        })
        .collect()
}

fn ss_state(file: File, state: &str) -> Result<String> {
    if !file.is_tcp() {
        return Ok(String::new());
    }
    Ok(match state {
        "ESTAB" => "ESTB",
        "SYN-SENT" => "SYNS",
        "SYN-RECV" => "SYNR",
        "FIN-WAIT-1" => "FNW1",
        "FIN-WAIT-2" => "FNW2",
        "TIME-WAIT" => "TIMW",
        "UNCONN" => "CLSD",
        "CLOSE-WAIT" => "CLSW",
        "LAST-ACK" => "LACK",
        "LISTEN" => "LSTN",
        "CLOSING" => "CLSG",
        _ => bail!("ss says {state}"),
    }
    .to_owned())
}

/// Removes `ss`'s brackets, zones and its notation for wildcards.
fn ss_address(file: File, text: &str) -> Result<String> {
    let (host, port) = text.rsplit_once(':').context("no port in ss's address")?;
    let (host, _zone) = host.split_once('%').unwrap_or((host, ""));
    let host = host.trim_matches(['[', ']']);
    let wildcard = matches!(file, File::Tcp6 | File::Udp6) && host == "*";
    Ok(format!("{}:{port}", if wildcard { "::" } else { host }))
}
