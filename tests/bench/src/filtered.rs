// SPDX-License-Identifier: GPL-2.0

//! A query that matches few of many connections: by ss, whose filter runs in the kernel, and by
//! grep(1) on files that list every row.

use crate::options::Options;
use crate::population::{Family, Kind, Population};
use crate::progress::note;
use crate::spawner::Spawner;
use crate::stats::{ratio, summary, Interval, Summary};
use crate::table::{digits, Columns};
use crate::turns::Turns;
use anyhow::{ensure, Context, Result};
use serde::Serialize;
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Command;
use std::time::Duration;

/// The number of rows in all.
const ROWS: usize = 100_000;

/// The port that the query is for.
const PORT: u16 = 443;

/// The number of connections to that port.
const MATCHES: usize = 50;

/// The address of their listener, which no other socket uses.
const SERVER: Ipv4Addr = Ipv4Addr::new(127, 90, 0, 1);

/// A way to find the connections to [`PORT`]. The first one uses our file.
struct Query {
    name: &'static str,
    command: &'static [&'static str],
    /// Finds the two addresses in a line of its output.
    ends: fn(&str) -> Option<Ends>,
}

type Ends = (SocketAddr, SocketAddr);

const QUERIES: [Query; 3] = [
    Query {
        name: "grep ':443 *[A-Z]' /proc/net/tcpstat",
        // A state follows the peer's address; another address follows the local one.
        command: &["grep", ":443 *[A-Z]", "/proc/net/tcpstat"],
        ends: |line| columns(line, 2),
    },
    Query {
        name: "ss -tn dport = :443",
        command: &["ss", "-tnH", "dport", "=", ":443"],
        ends: |line| columns(line, 3),
    },
    Query {
        name: "grep ... /proc/net/tcp",
        command: &[
            "grep",
            "^ *[0-9]*: [0-9A-F]*:[0-9A-F]* [0-9A-F]*:01BB ",
            "/proc/net/tcp",
        ],
        ends: hexadecimal,
    },
];

/// Addresses in two columns.
fn columns(line: &str, first: usize) -> Option<Ends> {
    let mut fields = line.split_ascii_whitespace().skip(first);
    let mut next = || fields.next()?.parse().ok();
    Some((next()?, next()?))
}

/// Addresses as `/proc/net/tcp` prints them.
fn hexadecimal(line: &str) -> Option<Ends> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let mut next = || {
        let (ip, port) = fields.next()?.split_once(':')?;
        let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(SocketAddrV4::new(ip, port).into())
    };
    Some((next()?, next()?))
}

/// The times of one query.
#[derive(Serialize)]
struct Measured {
    query: &'static str,
    milliseconds: Summary,
    samples: Vec<f64>,
    /// Its time divided by that of the query on our file.
    ratio_to_ours: Interval,
}

/// The times of all queries.
#[derive(Serialize)]
pub struct Filtered {
    rows: usize,
    matches: usize,
    queries: Vec<Measured>,
}

/// Connections to [`PORT`]: the addresses that a query must find, and the sockets.
fn connections() -> Result<(BTreeSet<Ends>, Vec<Socket>)> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let to = SocketAddr::from((SERVER, PORT));
    listener.set_reuse_address(true)?;
    listener.bind(&to.into()).context("bind")?;
    listener.listen(16)?;
    let (mut ends, mut sockets) = (BTreeSet::new(), Vec::new());
    for _ in 0..MATCHES {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        client.connect(&to.into()).context("connect")?;
        let (server, _) = listener.accept().context("accept")?;
        let local = client.local_addr()?.as_socket().context("no address")?;
        ends.insert((local, to));
        for socket in [&client, &server] {
            // Ends it by RST, so that no TIME_WAIT minisock is left.
            socket.set_linger(Some(Duration::ZERO))?;
        }
        sockets.extend([client, server]);
    }
    Ok((ends, sockets))
}

impl Query {
    /// Compares the connections that it finds with those that exist. Returns the number of bytes
    /// that it prints.
    fn check(&self, expected: &BTreeSet<Ends>) -> Result<u64> {
        let (program, arguments) = self.command.split_first().context("no command")?;
        let output = Command::new(program).args(arguments).output()?;
        ensure!(output.status.success(), "{}: {output:?}", self.name);
        let text = String::from_utf8(output.stdout)?;
        let found: Option<Vec<Ends>> = text.lines().map(self.ends).collect();
        let found = found.with_context(|| format!("{}: no addresses: {text}", self.name))?;
        ensure!(
            found.len() == expected.len() && found.iter().all(|ends| expected.contains(ends)),
            "{}: {} rows, not the {} that there are",
            self.name,
            found.len(),
            expected.len()
        );
        Ok(text.len() as u64)
    }
}

/// Opens the sockets, and runs all queries in turn.
pub fn run(options: &Options, spawner: &mut Spawner) -> Result<Filtered> {
    let passes = options.scale(25, 5);
    note(format_args!("a filtered query, {} rows", digits(ROWS)));
    let (ends, sockets) = connections()?;
    let _others = Population::of(Kind::Established, Family::V4, ROWS - sockets.len())?;
    let bytes = QUERIES
        .iter()
        .map(|query| query.check(&ends))
        .collect::<Result<Vec<_>>>()?;
    let mut samples = vec![Vec::new(); QUERIES.len()];
    let mut turns = Turns::of(QUERIES.len());
    for _ in 0..passes {
        for &index in turns.next_round() {
            let query = &QUERIES[index];
            let (seconds, printed) = spawner.time_piped(query.command)?;
            ensure!(
                printed.bytes == bytes[index],
                "{}: {} bytes, not the {} of the rows that were checked",
                query.name,
                printed.bytes,
                bytes[index]
            );
            samples[index].push(seconds * 1e3);
        }
    }
    let ours = samples.first().context("no queries")?.clone();
    let queries = QUERIES.iter().zip(samples);
    Ok(Filtered {
        rows: ROWS,
        matches: ends.len(),
        queries: queries
            .map(|(query, samples)| Measured {
                query: query.name,
                milliseconds: summary(&samples),
                ratio_to_ours: ratio(&samples, &ours),
                samples,
            })
            .collect(),
    })
}

impl fmt::Display for Filtered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "A filtered query: the {} connections to port {PORT} of {} rows",
            self.matches,
            digits(self.rows)
        )?;
        let queries: Vec<_> = self.queries.iter().enumerate().collect();
        let table = Columns::new()
            .column("query", |(_, measured): &(usize, &Measured)| {
                measured.query.to_owned()
            })
            .times("ms", |(_, measured)| &measured.milliseconds)
            .column("times ours (95%)", |(number, measured)| match number {
                0 => "1".to_owned(),
                _ => measured.ratio_to_ours.to_string(),
            })
            .column("passes", |(_, measured)| {
                measured.milliseconds.n.to_string()
            })
            .of(&queries);
        write!(f, "{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        let expected: Ends = (
            "127.90.0.1:40000".parse().unwrap(),
            "127.90.0.1:443".parse().unwrap(),
        );
        for (query, line) in QUERIES.iter().zip([
            "     0      0 127.90.0.1:40000        127.90.0.1:443          ESTB      uid=0,ino=3",
            "ESTAB 0      0      127.90.0.1:40000 127.90.0.1:443   ",
            "   9: 01005A7F:9C40 01005A7F:01BB 01 00000000:00000000 00:00000000 00000000 0 0 3",
        ]) {
            assert_eq!((query.ends)(line), Some(expected), "{}", query.name);
        }
    }
}
