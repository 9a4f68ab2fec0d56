// SPDX-License-Identifier: GPL-2.0

//! A row of a file; knetstat(5) describes rows.

use crate::source::files::{Family, File, Netid};
use crate::source::namespaces::Netns;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::str;

/// The state of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    Established,
    SynSent,
    SynRecv,
    FinWait1,
    FinWait2,
    TimeWait,
    /// Closed or, for UDP, not connected.
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
}

impl State {
    /// The states with their labels in rows, and with their names in filters and in ss.
    pub const ALL: [(State, &'static str, &'static str); 11] = [
        (State::Established, "ESTB", "established"),
        (State::SynSent, "SYNS", "syn-sent"),
        (State::SynRecv, "SYNR", "syn-recv"),
        (State::FinWait1, "FNW1", "fin-wait-1"),
        (State::FinWait2, "FNW2", "fin-wait-2"),
        (State::TimeWait, "TIMW", "time-wait"),
        (State::Close, "CLSD", "unconnected"),
        (State::CloseWait, "CLSW", "close-wait"),
        (State::LastAck, "LACK", "last-ack"),
        (State::Listen, "LSTN", "listening"),
        (State::Closing, "CLSG", "closing"),
    ];

    /// The state with this label.
    pub fn of(label: &[u8]) -> Option<State> {
        let found = State::ALL
            .iter()
            .find(|(_, name, _)| name.as_bytes() == label);
        found.map(|(state, ..)| *state)
    }

    /// Whether a socket in this state has a foreign endpoint: it neither listens nor is
    /// unconnected.
    pub fn is_connected(self) -> bool {
        !matches!(self, State::Listen | State::Close)
    }

    /// The state of a UDP socket, by its foreign address, as the kernel and ss derive it.
    pub fn of_udp(foreign: &Endpoint<'_>) -> State {
        match foreign.port {
            0 if foreign.address.is_unspecified() => State::Close,
            _ => State::Established,
        }
    }

    /// Whether the sockets of a file can be in this state.
    pub fn may_be_in(self, file: File) -> bool {
        match file.netid {
            Netid::Tcp => self != State::Close,
            Netid::Udp => matches!(self, State::Established | State::Close),
        }
    }

    pub fn label(self) -> &'static str {
        State::ALL[self as usize].1
    }

    /// The name in filters, which is that of ss.
    pub fn long(self) -> &'static str {
        State::ALL[self as usize].2
    }
}

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// The address as the row shows it.
    pub text: &'a str,
    pub address: IpAddr,
    /// 0 if there is no port.
    pub port: u16,
}

impl<'a> Endpoint<'a> {
    /// Parses an address and a port, separated by a colon.
    pub fn parse(word: &'a [u8], family: Family) -> Option<Self> {
        let (text, port) = Self::split(word)?;
        let text = str::from_utf8(text).ok()?;
        let address = match family {
            Family::Inet => text.parse::<Ipv4Addr>().ok()?.into(),
            Family::Inet6 => text.parse::<Ipv6Addr>().ok()?.into(),
        };
        Some(Self {
            text,
            address,
            port,
        })
    }

    /// Splits a word into the address, which is not parsed, and the port.
    pub fn split(word: &[u8]) -> Option<(&[u8], u16)> {
        let (address, port) = word.split_at(memchr::memrchr(b':', word)?);
        let port = match &port[1..] {
            b"*" => 0,
            digits => number(str::from_utf8(digits).ok()?)?,
        };
        Some((address, port))
    }
}

/// Parses a decimal number without a sign.
fn number<T: str::FromStr>(digits: &str) -> Option<T> {
    digits
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

/// Whether the name of an entry is empty or that of a number that follows the options.
fn is_no_option(name: &[u8]) -> bool {
    matches!(name, b"" | b"backlog" | b"drops" | b"uid" | b"ino")
}

/// The list of options: `NAME=value`, separated by commas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options<'a>(pub &'a str);

impl<'a> Options<'a> {
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.split(',').filter_map(|entry| entry.split_once('='))
    }

    pub fn get(self, name: &str) -> Option<&'a str> {
        let mut rest = self.0;
        loop {
            let value = rest
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('='));
            if let Some(value) = value {
                return value.split(',').next();
            }
            let end = memchr::memchr(b',', rest.as_bytes())?;
            rest = &rest[end + 1..];
        }
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// A row, which describes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    pub file: File,
    /// The network namespace, if namespaces were looked for. Otherwise, it is that of this process.
    pub netns: Option<&'a Rc<Netns>>,
    /// The same network namespace as the last scan has found it, if `netns` lacks what is needed to
    /// enter it.
    pub scanned: Option<&'a Rc<Netns>>,
    /// Whether processes that could not be examined may have the socket open.
    pub may_lack_owners: bool,
    pub recv_q: i64,
    pub send_q: i64,
    pub local: Endpoint<'a>,
    pub foreign: Endpoint<'a>,
    pub state: State,
    /// The signs of problems. Empty on most sockets.
    pub diag: &'a str,
    /// The options, without the numbers that follow them. Empty if the kernel keeps addresses only.
    pub options: Options<'a>,
    pub backlog: Option<u64>,
    /// Datagrams that a UDP socket dropped. `None` if it dropped none.
    pub drops: Option<u64>,
    pub uid: Option<u64>,
    pub ino: Option<u64>,
}

impl<'a> Row<'a> {
    /// The network namespace in which the kernel is asked what the row leaves out.
    pub fn entered(&self) -> Option<&'a Rc<Netns>> {
        self.scanned.or(self.netns)
    }

    /// Whether the socket has an inode. If not, no process has it open.
    pub fn has_inode(&self) -> bool {
        self.ino.is_some_and(|ino| ino != 0)
    }

    /// Parses a line without its line feed. `None` if it does not have the format that this version
    /// knows.
    pub fn parse(file: File, line: &'a [u8]) -> Option<Self> {
        Self::begin(file, line).filter(Self::has_valid_options)
    }

    /// Like [`Row::parse`], but does not check the options. Without this check, a number that follows
    /// them may be missing because an entry is not known to this version.
    pub fn begin(file: File, line: &'a [u8]) -> Option<Self> {
        // Rows contain printable ASCII only. Anything else could control a terminal. The fold has
        // no early exit, so that the compiler can compare many bytes at a time.
        let is_odd = |byte: &u8| !matches!(byte, b' '..=b'~');
        if line.iter().fold(false, |found, byte| found | is_odd(byte)) {
            return None;
        }
        let line = str::from_utf8(line).ok()?;
        let mut words = line.split_ascii_whitespace();
        let recv_q = words.next()?.parse().ok()?;
        let send_q = words.next()?.parse().ok()?;
        let local = Endpoint::parse(words.next()?.as_bytes(), file.family)?;
        let foreign = Endpoint::parse(words.next()?.as_bytes(), file.family)?;
        let mut row = Self {
            file,
            netns: None,
            scanned: None,
            may_lack_owners: false,
            recv_q,
            send_q,
            local,
            foreign,
            state: State::of_udp(&foreign),
            diag: "",
            options: Options::default(),
            backlog: None,
            drops: None,
            uid: None,
            ino: None,
        };
        let mut word = words.next();
        if file.netid == Netid::Tcp {
            row.state = State::of(word?.as_bytes())?;
            word = words.next();
            if let Some(diag) = word.filter(|word| !word.contains('=')) {
                // This command prints `-` for an empty field; the files never contain it.
                if diag == "-" {
                    return None;
                }
                row.diag = diag;
                word = words.next();
            }
        }
        if let Some(list) = word {
            row.parse_list(list)?;
        }
        words.next().is_none().then_some(row)
    }

    /// Parses the list from its end: the inode, the user, and the backlog or the drops. The
    /// rest are the options.
    fn parse_list(&mut self, list: &'a str) -> Option<()> {
        let mut rest = list;
        loop {
            let (before, entry) = rest.rsplit_once(',').unwrap_or(("", rest));
            let (name, value) = entry.split_once('=')?;
            let Some(field) = self.number_of(name) else {
                break;
            };
            *field = Some(number(value)?);
            rest = before;
            if rest.is_empty() {
                break;
            }
        }
        self.options = Options(rest);
        Some(())
    }

    /// The field of a number that follows the options.
    fn number_of(&mut self, name: &str) -> Option<&mut Option<u64>> {
        match name {
            "backlog" => Some(&mut self.backlog),
            "drops" => Some(&mut self.drops),
            "uid" => Some(&mut self.uid),
            "ino" => Some(&mut self.ino),
            _ => None,
        }
    }

    /// Whether the options are a list of names and values, without the numbers that follow them. If
    /// one of these numbers is among the options, an entry behind it is not known to this version.
    pub fn has_valid_options(&self) -> bool {
        let list = self.options.0.as_bytes();
        let (mut start, mut has_name) = (0, false);
        for (at, byte) in list.iter().enumerate() {
            match (byte, has_name) {
                (b',', true) => (start, has_name) = (at + 1, false),
                (b',', false) => return false,
                (b'=', false) if is_no_option(&list[start..at]) => return false,
                (b'=', false) => has_name = true,
                _ => {}
            }
        }
        has_name || list.is_empty()
    }

    /// The numbers that follow the options, each with its name.
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let numbers = [
            ("backlog", self.backlog),
            ("drops", self.drops),
            ("uid", self.uid),
            ("ino", self.ino),
        ];
        numbers
            .into_iter()
            .filter_map(|(name, n)| n.map(|n| (name, n)))
    }

    /// The list as the file shows it: the options, followed by the numbers.
    pub fn joined(&self) -> String {
        let mut list = self.options.0.to_owned();
        for (name, value) in self.numbers() {
            let comma = if list.is_empty() { "" } else { "," };
            let _ = write!(list, "{comma}{name}={value}");
        }
        list
    }

    /// Whether this is a subflow of an MPTCP connection, or a listener for such.
    pub fn is_subflow(&self) -> bool {
        self.options.get("TCP_IS_MPTCP") == Some("1")
    }

    /// Whether the kernel still keeps the options of this socket.
    pub fn has_options(&self) -> bool {
        self.ino.is_some() || !self.options.is_empty()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    pub const TCP: File = File {
        netid: Netid::Tcp,
        family: Family::Inet,
    };
    pub const TCP6: File = File {
        netid: Netid::Tcp,
        family: Family::Inet6,
    };
    pub const UDP: File = File {
        netid: Netid::Udp,
        family: Family::Inet,
    };
    pub const UDP6: File = File {
        netid: Netid::Udp,
        family: Family::Inet6,
    };

    /// A connection with queues, a diagnostic, and values of each kind.
    pub const BUSY: &str = "     0     12 192.0.2.1:22            198.51.100.7:40001      ESTB >|   \
        SO_KEEPALIVE=1,SO_LINGER=5s,TCP_CONGESTION=7,TCP_LINGER2=-1,IP_TOS=0xb8,SO_MAX_PACING_RATE=18446744073709551614,TCP_NEW=a,uid=33,ino=5";
    pub const LISTENER: &str =
        "     0      0 0.0.0.0:22              0.0.0.0:*               LSTN      \
        SO_REUSEADDR=1,SO_KEEPALIVE=0,TCP_FASTOPEN=5,TCP_DEFER_ACCEPT=0,backlog=128,uid=0,ino=1207";

    #[test]
    fn states_are_in_order() {
        for (i, (state, label, long)) in State::ALL.iter().enumerate() {
            assert_eq!(*state as usize, i);
            assert_eq!((state.label(), state.long()), (*label, *long));
        }
    }

    #[test]
    fn rows_of_the_manual() {
        let row = Row::parse(TCP, LISTENER.as_bytes()).unwrap();
        assert_eq!(row.state, State::Listen);
        assert_eq!((row.local.text, row.local.port), ("0.0.0.0", 22));
        assert_eq!(row.foreign.port, 0);
        assert_eq!((row.diag, row.backlog), ("", Some(128)));
        assert_eq!((row.uid, row.ino), (Some(0), Some(1207)));
        assert_eq!(row.options.get("TCP_FASTOPEN"), Some("5"));
        assert_eq!(row.options.get("backlog"), None);
        assert!(row.options.0.ends_with("TCP_DEFER_ACCEPT=0"));

        let line = b" 32768      0 ::1:34514               ::1:8080                ESTB |<   SO_RCVBUF=4096,uid=0,ino=301";
        let row = Row::parse(TCP6, line).unwrap();
        assert_eq!((row.recv_q, row.diag), (32768, "|<"));
        assert_eq!((row.local.text, row.local.port), ("::1", 34514));

        let line = b"     0      0 127.0.0.1:59288         127.0.0.1:80            TIMW";
        let row = Row::parse(TCP, line).unwrap();
        assert_eq!(row.state, State::TimeWait);
        assert!(!row.has_options() && row.ino.is_none());

        let line = b"     0      0 :::5353                 :::*                    SO_REUSEADDR=1,uid=0,ino=305";
        let row = Row::parse(UDP6, line).unwrap();
        assert_eq!(row.state, State::Close);
        let line = b"     0      0 127.0.0.1:5             127.0.0.1:7             uid=0,ino=305";
        assert_eq!(Row::parse(UDP, line).unwrap().state, State::Established);
    }

    #[test]
    fn other_rows_are_not_parsed() {
        for line in [
            "",
            "Recv-Q Send-Q Local Address           Foreign Address         Stat Diag Options",
            "0 0 0.0.0.0:22 0.0.0.0:* ????",
            "0 0 0.0.0.0:22 0.0.0.0:* LSTN >| A=1 more",
            "0 0 0.0.0.0:22 0.0.0.0:* LSTN A=1,B",
            "0 0 0.0.0.0:22 0.0.0.0:* LSTN =1",
            "0 0 0.0.0.0:22 0.0.0.0:* LSTN uid=0,ino=1,A=1",
            "0 0 0.0.0.0:+22 0.0.0.0:* LSTN",
            "0 0 0.0.0.0:65536 0.0.0.0:* LSTN",
            "0 0 :::22 :::* LSTN",
            "0 0 0.0.0.0:22 0.0.0.0:* LSTN ino=x",
            "0 0 0.0.0.0:22 0.0.0.0:* LSTN - ino=1",
            "0 0 0.0.0.0:22 0.0.0.0:*\tLSTN ino=1",
            "0 0 0.0.0.0:22 0.0.0.0:* LSTN SO_BINDTODEVICE=\x1b[2J,ino=1",
            "0 0 0.0.0.0:22 0.0.0.0:* LSTN SO_BINDTODEVICE=\u{202e},ino=1",
        ] {
            assert_eq!(Row::parse(TCP, line.as_bytes()), None, "{line}");
        }
        assert_eq!(Row::parse(TCP, b"0 0 0.0.0.0:22 0.0.0.0:* \xff"), None);
    }

    pub fn any_file() -> impl Strategy<Value = File> {
        prop::sample::select(vec![TCP, TCP6, UDP, UDP6])
    }

    proptest! {
        /// The value of a name is that of the first entry with this name.
        #[test]
        fn values_by_name(list in "([A-C]{0,2}=?[A-C=,]{0,3}){0,5}", name in "[A-C]{1,2}") {
            let options = Options(&list);
            let expected = options.iter().find(|(other, _)| *other == name);
            prop_assert_eq!(options.get(&name), expected.map(|(_, value)| value));
        }

        /// The check of a list agrees with one of its entries.
        #[test]
        fn lists_of_options(entries in prop::collection::vec("(A|ino|uid|drops|backlog|inode)?=?[a=]?", 0..4)) {
            let list = entries.join(",");
            let row = Row::parse(TCP, LISTENER.as_bytes()).unwrap();
            let row = Row { options: Options(&list), ..row };
            let is_option = |entry: &str| {
                let name = entry.split_once('=').map(|(name, _)| name);
                name.is_some_and(|name| !["", "ino", "uid", "drops", "backlog"].contains(&name))
            };
            let expected = list.is_empty() || list.split(',').all(is_option);
            prop_assert_eq!(row.has_valid_options(), expected, "{}", list);
        }

        #[test]
        fn any_bytes(file in any_file(), line: Vec<u8>) {
            let _ = Row::parse(file, &line);
        }

        /// Lines that resemble rows reach more of the parser than random bytes do.
        #[test]
        fn nearly_a_row(
            file in any_file(),
            line in "[0-9 -]{0,4} [0-9]{1,3} [0-9.:*]{0,9} [0-9.:*]{0,9} (ESTB|LSTN|TIMW)? ?[>|<#]{0,3} ?[A-Z=,a-z0-9]{0,40}",
        ) {
            if let Some(row) = Row::parse(file, line.as_bytes()) {
                for (name, _) in row.options.iter() {
                    prop_assert!(!name.is_empty());
                }
            }
        }

        #[test]
        fn a_row_is_read_as_it_was_written(
            queues: (u32, u32), ports: (u16, u16), address: [u8; 16], mut names in prop::collection::vec("[A-Z_]{1,12}", 0..6), ino: u32,
        ) {
            names.dedup();
            let address = Ipv6Addr::from(address);
            let list = names.join("=1,") + if names.is_empty() { "" } else { "=1," };
            let line = format!(
                "{:6} {:6} {address}:{} {address}:{} ESTB      {list}uid=0,ino={ino}",
                queues.0, queues.1, ports.0, ports.1
            );
            let row = Row::parse(TCP6, line.as_bytes()).expect(&line);
            prop_assert_eq!((row.recv_q, row.send_q), (queues.0.into(), queues.1.into()));
            prop_assert_eq!((row.local.address, row.local.port), (address.into(), ports.0));
            prop_assert_eq!(row.options.iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
            prop_assert_eq!(row.ino, Some(ino.into()));
        }
    }
}
