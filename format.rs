// SPDX-License-Identifier: GPL-2.0

//! How rows read: columns, addresses, ports and integers as text.
//!
//! This file depends on `core` alone and is tested on the host, against what
//! `std::net` and `ToString` print. It knows nothing of sockets or of the
//! kernel, formats without `core::fmt`, and cannot panic: text that does not
//! fit is left out and remembered, see [`Line::is_full`].

use core::mem::MaybeUninit;
use core::net::IpAddr;
use core::net::Ipv4Addr;
use core::net::Ipv6Addr;

/// First line of `tcpstat` and `tcp6stat`.
pub(crate) const TCP_HEADER: &str = "Recv-Q Send-Q Local Address           \
     Foreign Address         Stat Diag Options\n";

/// First line of `udpstat` and `udp6stat`.
pub(crate) const UDP_HEADER: &str = "Recv-Q Send-Q Local Address           \
     Foreign Address         Options\n";

/// Columns of a queue length, flush right.
const QUEUE_WIDTH: usize = 6;

/// Columns of an address with its port, flush left; a longer one pushes the rest right.
const ENDPOINT_WIDTH: usize = 23;

/// Columns of the diagnostic indicator, flush left.
const DIAG_WIDTH: usize = 4;

/// Decimal digits of [`u64::MAX`].
const MAX_DIGITS: usize = 20;

/// A TCP state as the rows name it.
///
/// The C header is `include/net/tcp_states.h`. `TCP_NEW_SYN_RECV` is the state
/// of a request and reads like `TCP_SYN_RECV`, as in `/proc/net/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// `TCP_ESTABLISHED`
    Established,
    /// `TCP_SYN_SENT`
    SynSent,
    /// `TCP_SYN_RECV` and `TCP_NEW_SYN_RECV`
    SynRecv,
    /// `TCP_FIN_WAIT1`
    FinWait1,
    /// `TCP_FIN_WAIT2`
    FinWait2,
    /// `TCP_TIME_WAIT`
    TimeWait,
    /// `TCP_CLOSE`
    Close,
    /// `TCP_CLOSE_WAIT`
    CloseWait,
    /// `TCP_LAST_ACK`
    LastAck,
    /// `TCP_LISTEN`
    Listen,
    /// `TCP_CLOSING`
    Closing,
    /// A number that this module does not know.
    Unknown,
}

impl State {
    /// The four characters of the Stat column.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Established => "ESTB",
            Self::SynSent => "SYNS",
            Self::SynRecv => "SYNR",
            Self::FinWait1 => "FNW1",
            Self::FinWait2 => "FNW2",
            Self::TimeWait => "TIMW",
            Self::Close => "CLSD",
            Self::CloseWait => "CLSW",
            Self::LastAck => "LACK",
            Self::Listen => "LSTN",
            Self::Closing => "CLSG",
            Self::Unknown => "????",
        }
    }
}

/// What became of an attempt to write a row or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// All of it is there.
    Whole,
    /// There was not enough room, and nothing may be kept.
    NoRoom,
}

/// Text written from left to right into a buffer that belongs to somebody else.
///
/// # Invariants
///
/// The first `len` bytes of `buf` are initialised.
pub(crate) struct Line<'a> {
    buf: &'a mut [MaybeUninit<u8>],
    len: usize,
    full: bool,
}

impl<'a> Line<'a> {
    /// An empty text that has room for `buf.len()` bytes.
    pub(crate) fn new(buf: &'a mut [MaybeUninit<u8>]) -> Self {
        // INVARIANT: Nothing is claimed of an empty prefix.
        Self {
            buf,
            len: 0,
            full: false,
        }
    }

    /// Bytes written.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether something did not fit. Stays so until [`Line::truncate`].
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Forgets all but the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        // INVARIANT: A prefix of an initialised prefix is initialised.
        self.len = self.len.min(len);
        self.full = false;
    }

    /// Appends `bytes`, or nothing of them if they do not fit.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        match self.buf.get_mut(self.len..end) {
            Some(room) if !self.full => {
                for (to, from) in room.iter_mut().zip(bytes) {
                    to.write(*from);
                }
                // INVARIANT: The bytes from the old `len` to `end` were written above.
                self.len = end;
            }
            _ => self.full = true,
        }
    }

    /// Appends `text`.
    pub(crate) fn str(&mut self, text: &str) {
        self.put(text.as_bytes());
    }

    /// Appends spaces until `width` bytes follow the byte at `start`.
    fn pad(&mut self, start: usize, width: usize) {
        const SPACES: &[u8] = &[b' '; 32];
        let written = self.len.saturating_sub(start);
        let missing = width.saturating_sub(written);
        self.put(SPACES.get(..missing).unwrap_or(SPACES));
    }

    /// Appends `n` in decimal.
    pub(crate) fn unsigned(&mut self, n: u64) {
        let mut digits = [0; MAX_DIGITS];
        self.put(decimal(n, &mut digits));
    }

    /// Appends `n` in decimal, with a minus sign where it has one.
    pub(crate) fn signed(&mut self, n: i64) {
        if n < 0 {
            self.put(b"-");
        }
        self.unsigned(n.unsigned_abs());
    }

    /// Appends a column that holds the length of a queue in bytes or, for the
    /// accept queue of a listener, in connections.
    pub(crate) fn queue(&mut self, n: i32) {
        let mut digits = [0; MAX_DIGITS];
        let text = decimal(u64::from(n.unsigned_abs()), &mut digits);
        let used = text.len().saturating_add(usize::from(n < 0));
        let start = self.len;
        self.pad(start, QUEUE_WIDTH.saturating_sub(used));
        if n < 0 {
            self.put(b"-");
        }
        self.put(text);
        self.put(b" ");
    }

    /// Appends a column that holds an address and a port (in host byte order; 0
    /// reads `*`).
    pub(crate) fn endpoint(&mut self, address: IpAddr, port: u16) {
        let start = self.len;
        self.address(address);
        self.put(b":");
        if port == 0 {
            self.put(b"*");
        } else {
            self.unsigned(u64::from(port));
        }
        self.pad(start, ENDPOINT_WIDTH);
        self.put(b" ");
    }

    /// Appends the diagnostic column.
    pub(crate) fn diag(&mut self, indicator: &str) {
        let start = self.len;
        self.str(indicator);
        self.pad(start, DIAG_WIDTH);
        self.put(b" ");
    }

    /// Appends an address.
    pub(crate) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.ipv4(v4),
            IpAddr::V6(v6) => self.ipv6(v6),
        }
    }

    /// Appends an address in dotted quad form.
    pub(crate) fn ipv4(&mut self, address: Ipv4Addr) {
        let [a, b, c, d] = address.octets();
        self.unsigned(u64::from(a));
        for octet in [b, c, d] {
            self.put(b".");
            self.unsigned(u64::from(octet));
        }
    }

    /// Appends an address in the form of RFC 5952, a v4-mapped one as
    /// `::ffff:192.0.2.1`.
    pub(crate) fn ipv6(&mut self, address: Ipv6Addr) {
        if let Some(v4) = address.to_ipv4_mapped() {
            self.str("::ffff:");
            return self.ipv4(v4);
        }

        let groups = address.segments();
        let (zeros_at, zeros) = longest_zero_run(&groups);
        let mut colon = false;
        for (i, group) in groups.iter().enumerate() {
            if i >= zeros_at && i < zeros_at.saturating_add(zeros) {
                if i == zeros_at {
                    self.str("::");
                    colon = false;
                }
                continue;
            }
            if colon {
                self.put(b":");
            }
            self.hex(u32::from(*group));
            colon = true;
        }
    }

    /// Appends `n` in hexadecimal, without leading zeros.
    fn hex(&mut self, n: u32) {
        let mut shown = false;
        for shift in [28, 24, 20, 16, 12, 8, 4, 0] {
            let digit = (n >> shift) as u8 & 0xf;
            if digit != 0 || shown || shift == 0 {
                self.put(&[hex_digit(digit)]);
                shown = true;
            }
        }
    }
}

/// The option list of a row: `NAME=value` joined by commas.
pub(crate) struct List<'l, 'a> {
    line: &'l mut Line<'a>,
    first: bool,
}

impl<'l, 'a> List<'l, 'a> {
    /// An empty list at the end of `line`.
    pub(crate) fn new(line: &'l mut Line<'a>) -> Self {
        Self { line, first: true }
    }

    /// Appends one entry.
    pub(crate) fn entry(&mut self, name: &str, value: impl Value) {
        if !self.first {
            self.line.put(b",");
        }
        self.first = false;
        self.line.str(name);
        self.line.put(b"=");
        value.write(self.line);
    }
}

/// What an entry of a [`List`] can hold: text without white space and commas.
pub(crate) trait Value {
    /// Appends the value to `line`.
    fn write(self, line: &mut Line<'_>);
}

impl Value for bool {
    fn write(self, line: &mut Line<'_>) {
        line.put(if self { b"1" } else { b"0" });
    }
}

macro_rules! integer_values {
    ($($type:ty => $write:ident as $wide:ty),* $(,)?) => {$(
        impl Value for $type {
            fn write(self, line: &mut Line<'_>) {
                line.$write(<$wide>::from(self));
            }
        }
    )*};
}

integer_values! {
    u8 => unsigned as u64,
    u16 => unsigned as u64,
    u32 => unsigned as u64,
    u64 => unsigned as u64,
    i16 => signed as i64,
    i32 => signed as i64,
    i64 => signed as i64,
}

/// A time in milliseconds: `250ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Milliseconds(pub(crate) u64);

impl Value for Milliseconds {
    fn write(self, line: &mut Line<'_>) {
        line.unsigned(self.0);
        line.str("ms");
    }
}

/// A time in seconds, with its unit: `5s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) i32);

impl Value for Seconds {
    fn write(self, line: &mut Line<'_>) {
        line.signed(i64::from(self.0));
        line.str("s");
    }
}

/// A number in hexadecimal: `0x2a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) u32);

impl Value for Hex {
    fn write(self, line: &mut Line<'_>) {
        line.str("0x");
        line.hex(self.0);
    }
}

/// The numbers from `first` to `last`: `40000-40100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

impl Value for Range {
    fn write(self, line: &mut Line<'_>) {
        line.unsigned(u64::from(self.first));
        line.str("-");
        line.unsigned(u64::from(self.last));
    }
}

/// Flags by name, the name of bit 0 first, joined by `|`. Bits without a name are told
/// together as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) flags: u32,
    pub(crate) names: &'static [&'static str],
}

impl Value for Flags {
    fn write(self, line: &mut Line<'_>) {
        let mut rest = self.flags;
        let mut first = true;
        for (bit, name) in self.names.iter().enumerate().take(32) {
            if self.flags >> bit & 1 == 1 {
                if !first {
                    line.str("|");
                }
                line.str(name);
                first = false;
                rest &= !(1 << bit);
            }
        }
        if rest != 0 || first {
            if !first {
                line.str("|");
            }
            Hex(rest).write(line);
        }
    }
}

/// A name up to its first zero byte. What could break a row or a list (white space, `,`, `+`,
/// control characters, bytes beyond ASCII) and `\\` read `\\x` and two hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a>(pub(crate) &'a [u8]);

impl Value for Name<'_> {
    fn write(self, line: &mut Line<'_>) {
        for byte in self.0.iter().take_while(|byte| **byte != 0) {
            if byte.is_ascii_graphic() && !b",+\\".contains(byte) {
                line.put(&[*byte]);
            } else {
                line.put(&[b'\\', b'x', hex_digit(*byte >> 4), hex_digit(*byte & 0xf)]);
            }
        }
    }
}

/// A digit below 16.
fn hex_digit(digit: u8) -> u8 {
    if digit < 10 {
        b'0' | digit
    } else {
        (b'a' - 10).wrapping_add(digit)
    }
}

/// The decimal digits of `n`, made at the end of `digits`.
fn decimal(mut n: u64, digits: &mut [u8; MAX_DIGITS]) -> &[u8] {
    let mut start = MAX_DIGITS;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' | (n % 10) as u8;
        n /= 10;
        start = start.saturating_sub(1);
        if n == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or(&[])
}

/// Where the longest run of at least two zero groups begins and how long it is;
/// the first one of several. `(8, 0)` if there is none.
fn longest_zero_run(groups: &[u16; 8]) -> (usize, usize) {
    let mut best = (groups.len(), 0);
    let mut run = 0;
    for (i, group) in groups.iter().enumerate() {
        run = if *group == 0 { run + 1 } else { 0 };
        if run >= 2 && run > best.1 {
            best = (i.saturating_sub(run - 1), run);
        }
    }
    best
}
