// SPDX-License-Identifier: GPL-2.0

//! Our four files, and a strict parser of their text.

use crate::signs::SIGNS;
use anyhow::{ensure, Context, Result};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// One of the four files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum File {
    Tcp,
    Tcp6,
    Udp,
    Udp6,
}

impl File {
    pub const ALL: [File; 4] = [File::Tcp, File::Tcp6, File::Udp, File::Udp6];

    /// Its name in `/proc/net`.
    pub fn name(self) -> &'static str {
        match self {
            File::Tcp => "tcpstat",
            File::Tcp6 => "tcp6stat",
            File::Udp => "udpstat",
            File::Udp6 => "udp6stat",
        }
    }

    /// The name of the kernel's own file with the same sockets.
    pub fn reference(self) -> &'static str {
        match self {
            File::Tcp => "tcp",
            File::Tcp6 => "tcp6",
            File::Udp => "udp",
            File::Udp6 => "udp6",
        }
    }

    pub fn is_tcp(self) -> bool {
        matches!(self, File::Tcp | File::Tcp6)
    }

    /// The file that lists a socket with this address.
    pub fn of(tcp: bool, addr: &SocketAddr) -> File {
        match (tcp, addr) {
            (true, SocketAddr::V4(_)) => File::Tcp,
            (true, SocketAddr::V6(_)) => File::Tcp6,
            (false, SocketAddr::V4(_)) => File::Udp,
            (false, SocketAddr::V6(_)) => File::Udp6,
        }
    }

    /// Its path in the network namespace of the calling thread.
    pub fn path(self) -> PathBuf {
        PathBuf::from("/proc/thread-self/net").join(self.name())
    }

    /// The header line, which is that of the C module.
    pub fn header(self) -> &'static str {
        if self.is_tcp() {
            "Recv-Q Send-Q Local Address           Foreign Address         Stat Diag Options"
        } else {
            "Recv-Q Send-Q Local Address           Foreign Address         Options"
        }
    }

    /// Reads and parses the file in the network namespace of the calling thread.
    pub fn read(self) -> Result<Vec<Row>> {
        let path = self.path();
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))?;
        self.parse(&text)
    }

    /// Parses the text of this file.
    pub fn parse(self, text: &str) -> Result<Vec<Row>> {
        ensure!(
            text.ends_with('\n'),
            "{}: no newline at the end",
            self.name()
        );
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        ensure!(
            header == self.header(),
            "{}: header is {header:?}",
            self.name()
        );
        lines
            .map(|line| {
                Row::parse(self, line).with_context(|| format!("{}: {line:?}", self.name()))
            })
            .collect()
    }
}

/// A row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub recvq: u32,
    pub sendq: u32,
    pub local: String,
    pub foreign: String,
    /// Empty in the UDP files.
    pub state: String,
    /// Empty in the UDP files.
    pub diag: String,
    /// The options and the trailing `backlog=`, `uid=`, `ino=`, in order. `None` for a minisock.
    pub options: Option<Vec<(String, String)>>,
}

const STATES: [&str; 11] = [
    "ESTB", "SYNS", "SYNR", "FNW1", "FNW2", "TIMW", "CLSD", "CLSW", "LACK", "LSTN", "CLSG",
];

impl Row {
    /// Parses a line, without its newline.
    pub fn parse(file: File, line: &str) -> Result<Row> {
        let mut fields = line.split_ascii_whitespace().peekable();
        let mut next = |what| fields.next().with_context(|| format!("{what} is missing"));
        let mut row = Row {
            recvq: next("Recv-Q")?.parse()?,
            sendq: next("Send-Q")?.parse()?,
            local: next("local address")?.to_owned(),
            foreign: next("foreign address")?.to_owned(),
            state: String::new(),
            diag: String::new(),
            options: None,
        };
        if file.is_tcp() {
            row.state = next("state")?.to_owned();
            ensure!(STATES.contains(&&*row.state), "unknown state {}", row.state);
            if let Some(diag) = fields.next_if(|field| !field.contains('=')) {
                row.diag = diag.to_owned();
            }
            ensure!(SIGNS.contains(&&*row.diag), "unknown Diag {}", row.diag);
        }
        row.options = fields
            .next()
            .map(|options| {
                options
                    .split(',')
                    .map(|option| {
                        let (name, value) = option
                            .split_once('=')
                            .with_context(|| format!("option {option:?} has no value"))?;
                        Ok((name.to_owned(), value.to_owned()))
                    })
                    .collect::<Result<Vec<_>>>()
            })
            .transpose()?;
        ensure!(fields.next().is_none(), "too many fields");
        ensure!(
            row.options.is_some() || file.is_tcp(),
            "a UDP socket is never without options"
        );

        // Every byte of a row follows from its fields: so the columns are right, too.
        let again = row.render(file);
        ensure!(again == line, "should be {again:?}");
        Ok(row)
    }

    /// The line in the format of the files: queues, addresses, state, Diag, options.
    fn render(&self, file: File) -> String {
        let mut line = format!(
            "{:>6} {:>6} {:<23} {:<23}",
            self.recvq, self.sendq, self.local, self.foreign
        );
        if file.is_tcp() {
            line += &format!(" {:<4}", self.state);
        }
        if let Some(options) = &self.options {
            if file.is_tcp() {
                line += &format!(" {:<4}", self.diag);
            }
            let options: Vec<_> = options.iter().map(|(n, v)| format!("{n}={v}")).collect();
            line += &format!(" {}", options.join(","));
        }
        line
    }

    /// The value of an option.
    pub fn option(&self, name: &str) -> Option<&str> {
        let options = self.options.as_ref()?;
        let (_, value) = options.iter().find(|(n, _)| n == name)?;
        Some(value)
    }

    /// The number in an option, such as `ino`.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.option(name)?.parse().ok()
    }

    /// The inode of the socket: 0 for orphans and minisocks.
    pub fn ino(&self) -> u64 {
        self.number("ino").unwrap_or(0)
    }
}

/// An address as rows show it: the standard library's text, with `*` for port 0.
pub fn address(addr: &SocketAddr) -> String {
    let ip = match addr.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => ip.to_string(),
    };
    match addr.port() {
        0 => format!("{ip}:*"),
        port => format!("{ip}:{port}"),
    }
}
