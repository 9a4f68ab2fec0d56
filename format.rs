// SPDX-License-Identifier: GPL-2.0

//! The text of rows: columns, addresses, ports and integers.
//!
//! This file depends on `core` alone and is tested on the host, against the output of `std::net`
//! and `ToString`. It formats the states and columns of sockets, but does not read sockets. It does
//! not use `core::fmt` and cannot panic: text that does not fit is left out, and [`Text::is_full`]
//! reports it.

use core::net::{
    IpAddr,
    Ipv4Addr,
    Ipv6Addr, //
};

/// First line of `tcpstat` and `tcp6stat`.
pub(crate) const TCP_HEADER: &str = "Recv-Q Send-Q Local Address           \
     Foreign Address         Stat Diag Options\n";

/// First line of `udpstat` and `udp6stat`.
pub(crate) const UDP_HEADER: &str = "Recv-Q Send-Q Local Address           \
     Foreign Address         Options\n";

/// The width of a queue length, right-aligned.
const QUEUE_WIDTH: usize = 6;

/// The width of an address with its port, left-aligned. A longer one pushes the rest to the right.
const ENDPOINT_WIDTH: usize = 23;

/// The width of the Diag column, left-aligned.
const DIAG_WIDTH: usize = 4;

/// Decimal digits of [`u64::MAX`].
const MAX_DIGITS: usize = 20;

/// The decimal text of each byte of an IPv4 address, followed by a dot and then spaces. The number
/// is the length of the text with the dot.
const OCTETS: [([u8; 4], u8); 256] = {
    let mut octets = [([b' '; 4], 0); 256];
    let mut n = 0;
    while n < octets.len() {
        let digits = [
            b'0' + (n / 100) as u8,
            b'0' + (n / 10 % 10) as u8,
            b'0' + (n % 10) as u8,
        ];
        let skip = if n >= 100 {
            0
        } else if n >= 10 {
            1
        } else {
            2
        };
        let mut i = skip;
        while i < digits.len() {
            octets[n].0[i - skip] = digits[i];
            i += 1;
        }
        octets[n].0[i - skip] = b'.';
        octets[n].1 = (i - skip + 1) as u8;
        n += 1;
    }
    octets
};

/// A TCP state, by the names that rows use.
///
/// C header: `include/net/tcp_states.h`
///
/// `TCP_NEW_SYN_RECV` is the state of a request. It reads like `TCP_SYN_RECV`, as in
/// `/proc/net/tcp`.
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
    /// A number that this module does not recognise.
    Unknown,
}

impl State {
    /// The four characters of the Stat column.
    pub(crate) const fn label(self) -> &'static [u8; 4] {
        match self {
            Self::Established => b"ESTB",
            Self::SynSent => b"SYNS",
            Self::SynRecv => b"SYNR",
            Self::FinWait1 => b"FNW1",
            Self::FinWait2 => b"FNW2",
            Self::TimeWait => b"TIMW",
            Self::Close => b"CLSD",
            Self::CloseWait => b"CLSW",
            Self::LastAck => b"LACK",
            Self::Listen => b"LSTN",
            Self::Closing => b"CLSG",
            Self::Unknown => b"????",
        }
    }
}

/// Text that is written from left to right into a borrowed buffer.
///
/// Rows are written under a lock, and the lookup of the name of a network interface takes long.
/// [`Text::resolve`] therefore fills in these names later. Until then, a [`Mark`] stands in place
/// of each name, and enough of the buffer is reserved for the names.
pub(crate) struct Text<'a> {
    buf: &'a mut [u8],
    at: Position,
    full: bool,
}

/// The end of the text at some moment, for [`Text::truncate`].
#[derive(Clone, Copy)]
pub(crate) struct Position {
    len: usize,
    /// The end of the free part of the buffer. The rest is reserved for the names of the marks so
    /// far.
    limit: usize,
    /// The offset of the first mark.
    first_mark: Option<usize>,
}

impl<'a> Text<'a> {
    /// An empty text with room for `buf.len()` bytes.
    pub(crate) fn new(buf: &'a mut [u8]) -> Self {
        let at = Position {
            len: 0,
            limit: buf.len(),
            first_mark: None,
        };
        Self {
            buf,
            at,
            full: false,
        }
    }

    /// The number of bytes written.
    pub(crate) fn len(&self) -> usize {
        self.at.len
    }

    /// The number of bytes written or reserved for names.
    pub(crate) fn taken(&self) -> usize {
        let kept = self.buf.len().saturating_sub(self.at.limit);
        self.at.len.saturating_add(kept)
    }

    /// The current end of the text.
    pub(crate) fn position(&self) -> Position {
        self.at
    }

    /// Whether something did not fit. Stays true until [`Text::truncate`].
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Removes the text after `position`, which must not be older than the last [`Text::resolve`].
    pub(crate) fn truncate(&mut self, position: Position) {
        if position.len <= self.at.len {
            self.at = position;
        }
        self.full = false;
    }

    /// The part of the buffer that is free and not reserved for names.
    #[inline]
    fn room(&mut self) -> &mut [u8] {
        let room = self.buf.get_mut(self.at.len..self.at.limit);
        room.unwrap_or(&mut [])
    }

    /// Appends `bytes`, or none of them if they do not fit.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let full = self.full;
        match self.room().get_mut(..bytes.len()) {
            Some(room) if !full => {
                for (to, from) in room.iter_mut().zip(bytes) {
                    *to = *from;
                }
                self.at.len = self.at.len.saturating_add(bytes.len());
            }
            _ => self.full = true,
        }
    }

    /// Does the same as [`Text::put`] for a text whose length is known at compile time: a few
    /// stores, no loop.
    #[inline]
    pub(crate) fn fixed<const N: usize>(&mut self, bytes: &[u8; N]) {
        let full = self.full;
        match self.room().first_chunk_mut() {
            Some(room) if !full => {
                *room = *bytes;
                self.at.len = self.at.len.saturating_add(N);
            }
            _ => self.full = true,
        }
    }

    /// Appends the name of a network interface, preceded by an address and a `%` if there is an
    /// address. [`Text::resolve`] fills in the name.
    pub(crate) fn interface(&mut self, address: Option<IpAddr>, index: u32) {
        let before = self.at;
        let mut bytes = [0; Mark::SIZE];
        let len = Mark { address, index }.encode(&mut bytes);
        self.at.limit = before.limit.saturating_sub(Mark::GROWTH);
        self.put(bytes.get(..len).unwrap_or(&[]));
        if self.full {
            self.at = before;
        } else if before.first_mark.is_none() {
            self.at.first_mark = Some(before.len);
        }
    }

    /// Replaces the marks by names. `name` returns the name of an interface, up to its first zero
    /// byte, or `None` if the interface no longer exists. Such an interface reads `if` and its
    /// number.
    #[inline]
    pub(crate) fn resolve(&mut self, name: impl Fn(u32) -> Option<[u8; 16]>) {
        if let Some(first_mark) = self.at.first_mark {
            self.resolve_from(first_mark, name);
        }
    }

    #[cold]
    #[inline(never)]
    fn resolve_from(&mut self, first_mark: usize, name: impl Fn(u32) -> Option<[u8; 16]>) {
        // The text from the first mark on is moved to the end of the buffer, and from there back,
        // with names. The names do not overwrite text that is still to be moved: `limit` has
        // reserved the space for them.
        let behind = self.at.len.saturating_sub(first_mark);
        let mut from = self.buf.len().saturating_sub(behind);
        self.copy(first_mark, from, behind);
        self.at = Position {
            len: first_mark,
            limit: self.buf.len(),
            first_mark: None,
        };
        while let Some(rest) = self.buf.get(from..).filter(|rest| !rest.is_empty()) {
            let text = rest.iter().take_while(|byte| **byte != Mark::START).count();
            let mark = rest.get(text..).and_then(Mark::decode);
            self.copy(from, self.at.len, text);
            self.at.len = self.at.len.saturating_add(text);
            from = from.saturating_add(text);
            if let Some((mark, size)) = mark {
                from = from.saturating_add(size);
                if let Some(address) = mark.address {
                    self.address(address);
                    self.fixed(b"%");
                }
                match name(mark.index) {
                    Some(name) => Name(&name).write(self),
                    None => {
                        self.str("if");
                        self.unsigned(u64::from(mark.index));
                    }
                }
            }
        }
    }

    /// Copies bytes within the buffer, if both ranges lie in it.
    fn copy(&mut self, from: usize, to: usize, count: usize) {
        let end = from.max(to).checked_add(count);
        if end.is_some_and(|end| end <= self.buf.len()) {
            self.buf.copy_within(from..from.saturating_add(count), to);
        }
    }

    /// Appends `text`.
    pub(crate) fn str(&mut self, text: &str) {
        self.put(text.as_bytes());
    }

    /// Appends `n` in decimal.
    #[inline]
    pub(crate) fn unsigned(&mut self, n: u64) {
        if n < 10 {
            return self.fixed(&[b'0' | n as u8]);
        }
        match short_decimal(n) {
            Some((digits, len)) => self.put(digits.get(..len).unwrap_or(&digits)),
            None => self.put(decimal(n, &mut [0; MAX_DIGITS])),
        }
    }

    /// Appends `n` in decimal, with a minus sign if it is negative.
    pub(crate) fn signed(&mut self, n: i64) {
        if n < 0 {
            self.put(b"-");
        }
        self.unsigned(n.unsigned_abs());
    }

    /// Appends the column of a queue: its length in bytes or, for the accept queue of a listener,
    /// in connections.
    pub(crate) fn queue(&mut self, n: i64) {
        const EMPTY: [u8; QUEUE_WIDTH + 1] = *b"     0 ";
        if n == 0 {
            return self.fixed(&EMPTY);
        }
        let mut digits = [0; MAX_DIGITS];
        let text = decimal(n.unsigned_abs(), &mut digits);
        for _ in text.len().saturating_add(usize::from(n < 0))..QUEUE_WIDTH {
            self.fixed(b" ");
        }
        if n < 0 {
            self.fixed(b"-");
        }
        self.put(text);
        self.fixed(b" ");
    }

    /// Appends the column of an address and a port. The port is in host byte order, and 0 reads
    /// `*`.
    pub(crate) fn endpoint(&mut self, address: IpAddr, port: u16) {
        match address {
            IpAddr::V4(v4) => {
                let mut cell = Cell::<32>::new();
                cell.ipv4(v4);
                cell.port(port);
                self.column::<{ ENDPOINT_WIDTH + 1 }, 32>(&cell);
            }
            IpAddr::V6(v6) => {
                let mut cell = Cell::<64>::new();
                cell.ipv6(v6);
                cell.port(port);
                self.column::<{ ENDPOINT_WIDTH + 1 }, 64>(&cell);
            }
        }
    }

    /// Appends the column of the state.
    pub(crate) fn state(&mut self, state: State) {
        self.fixed(state.label());
    }

    /// Appends the diagnostic column, with the space before it.
    pub(crate) fn diag(&mut self, sign: &str) {
        let mut cell = Cell::<8>::new();
        cell.fixed(*b" ");
        for byte in sign.as_bytes() {
            cell.fixed([*byte]);
        }
        self.column::<{ DIAG_WIDTH + 2 }, 8>(&cell);
    }

    /// Appends the text of `cell`, padded with spaces to a width of `N`, and with at least one
    /// space.
    fn column<const N: usize, const M: usize>(&mut self, cell: &Cell<M>) {
        match cell.padded::<N>() {
            Some(padded) => self.fixed(padded),
            None => {
                self.put(cell.text());
                self.fixed(b" ");
            }
        }
    }

    /// Appends an address: IPv4 in dotted quad form, IPv6 in the form of RFC 5952. A v4-mapped
    /// address reads `::ffff:192.0.2.1`.
    pub(crate) fn address(&mut self, address: IpAddr) {
        let mut cell = Cell::<64>::new();
        match address {
            IpAddr::V4(v4) => cell.ipv4(v4),
            IpAddr::V6(v6) => cell.ipv6(v6),
        }
        self.put(cell.text());
    }

    /// Appends `n` in hexadecimal, without leading zeros.
    fn hex(&mut self, n: u32) {
        let mut cell = Cell::<16>::new();
        cell.hex(n);
        self.put(cell.text());
    }
}

/// A placeholder for the name of a network interface, until the name is looked up. It consists of
/// [`Mark::START`], which no text contains, the kind of address, the number of the interface and
/// the address.
struct Mark {
    address: Option<IpAddr>,
    index: u32,
}

impl Mark {
    /// The first byte of a mark.
    const START: u8 = 0;

    /// The size of a mark in bytes: without an address, and with an IPv6 address.
    const SMALLEST: usize = 6;
    const SIZE: usize = Self::SMALLEST + 16;

    /// The most that a text can grow when the name is filled in. This is the longest address, `%`,
    /// and a name of 15 bytes that each read `\x..`, minus the bytes of the mark.
    const GROWTH: usize = 39 + 1 + 15 * 4 - Self::SMALLEST;

    /// Writes the mark. Returns its size.
    fn encode(&self, bytes: &mut [u8; Self::SIZE]) -> usize {
        let [_, kind, a, b, c, d, address @ ..] = bytes;
        [*a, *b, *c, *d] = self.index.to_le_bytes();
        match self.address {
            None => Self::SMALLEST,
            Some(IpAddr::V4(v4)) => {
                *kind = 4;
                for (to, from) in address.iter_mut().zip(v4.octets()) {
                    *to = from;
                }
                Self::SMALLEST + 4
            }
            Some(IpAddr::V6(v6)) => {
                *kind = 16;
                *address = v6.octets();
                Self::SIZE
            }
        }
    }

    /// The mark at the start of `bytes`, and its size.
    fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let [_, kind, a, b, c, d, address @ ..] = bytes else {
            return None;
        };
        let address: Option<IpAddr> = match kind {
            4 => Some(address.first_chunk::<4>().copied()?.into()),
            16 => Some(address.first_chunk::<16>().copied()?.into()),
            _ => None,
        };
        let index = u32::from_le_bytes([*a, *b, *c, *d]);
        Some((Self { address, index }, Self::SMALLEST + usize::from(*kind)))
    }
}

/// A short text of less than `M` bytes, followed by spaces. It is assembled before its place in the
/// row is known. An address has at most 45 bytes, and a port with its colon at most 6.
///
/// Text that does not fit is left out. No caller lets this happen.
struct Cell<const M: usize> {
    bytes: [u8; M],
    len: usize,
}

impl<const M: usize> Cell<M> {
    #[inline]
    fn new() -> Self {
        Self {
            bytes: [b' '; M],
            len: 0,
        }
    }

    fn text(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// The text, padded with spaces to `N` bytes. `None` if there is no room for at least one
    /// space.
    fn padded<const N: usize>(&self) -> Option<&[u8; N]> {
        if self.len < N {
            self.bytes.first_chunk()
        } else {
            None
        }
    }

    /// Appends the first `len` of these bytes. The others must be spaces.
    #[inline]
    fn prefix<const N: usize>(&mut self, bytes: [u8; N], len: usize) {
        let room = self.bytes.get_mut(self.len..);
        if let Some(room) = room.and_then(|room| room.first_chunk_mut()) {
            *room = bytes;
            self.len = self.len.saturating_add(len);
        }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, bytes: [u8; N]) {
        self.prefix(bytes, N);
    }

    /// Appends a colon and a port.
    #[inline]
    fn port(&mut self, port: u16) {
        self.fixed(*b":");
        match short_decimal(u64::from(port)) {
            Some((digits, len)) if port != 0 => self.prefix(digits, len),
            _ => self.fixed(*b"*"),
        }
    }

    fn hex(&mut self, n: u32) {
        let mut shown = false;
        for shift in [28, 24, 20, 16, 12, 8, 4, 0] {
            let digit = (n >> shift) as u8 & 0xf;
            if digit != 0 || shown || shift == 0 {
                self.fixed([hex_digit(digit)]);
                shown = true;
            }
        }
    }

    #[inline]
    fn ipv4(&mut self, address: Ipv4Addr) {
        for octet in address.octets() {
            let (digits, len) = OCTETS[usize::from(octet)];
            self.prefix(digits, usize::from(len));
        }
        // Remove the last dot.
        self.len = self.len.saturating_sub(1);
    }

    fn ipv6(&mut self, address: Ipv6Addr) {
        if let Some(v4) = address.to_ipv4_mapped() {
            self.fixed(*b"::ffff:");
            return self.ipv4(v4);
        }

        let groups = address.segments();
        let (zeros_at, zeros) = longest_zero_run(&groups);
        let mut colon = false;
        for (i, group) in groups.iter().enumerate() {
            if i >= zeros_at && i < zeros_at.saturating_add(zeros) {
                if i == zeros_at {
                    self.fixed(*b"::");
                    colon = false;
                }
                continue;
            }
            if colon {
                self.fixed(*b":");
            }
            self.hex(u32::from(*group));
            colon = true;
        }
    }
}

/// The name of an entry of a [`List`], with the comma before it and the `=` after it: `,NAME=`.
pub(crate) struct Label<const N: usize>([u8; N]);

impl<const N: usize> Label<N> {
    /// A label. `N` must be the length of the name plus 2.
    pub(crate) const fn new(name: &str) -> Self {
        let name = name.as_bytes();
        assert!(name.len() + 2 == N);
        let mut label = [b'='; N];
        label[0] = b',';
        let mut i = 0;
        while i < name.len() {
            label[i + 1] = name[i];
            i += 1;
        }
        Self(label)
    }
}

/// Makes the [`Label`] of a name at compile time.
macro_rules! label {
    ($name:expr) => {{
        const LABEL: &$crate::format::Label<{ $name.len() + 2 }> =
            &$crate::format::Label::new($name);
        LABEL
    }};
}
pub(crate) use label;

/// The option list of a row: entries of the form `NAME=value`, joined by commas.
pub(crate) struct List<'l, 'a> {
    text: &'l mut Text<'a>,
    first: bool,
}

impl<'l, 'a> List<'l, 'a> {
    /// An empty list at the end of `text`.
    pub(crate) fn new(text: &'l mut Text<'a>) -> Self {
        Self { text, first: true }
    }

    /// Appends one entry.
    #[inline]
    pub(crate) fn entry<const N: usize>(&mut self, label: &Label<N>, value: impl Value) {
        if self.first {
            self.first = false;
            // The first entry has no comma.
            self.text.put(label.0.get(1..).unwrap_or(&[]));
        } else {
            self.text.fixed(&label.0);
        }
        value.write(self.text);
    }

    /// Does the same as [`List::entry`] for an entry that few rows contain. Its code is kept out of
    /// the hot path.
    #[cold]
    #[inline(never)]
    pub(crate) fn rare_entry(&mut self, name: &str, value: impl Value) {
        if !self.first {
            self.text.fixed(b",");
        }
        self.first = false;
        self.text.str(name);
        self.text.fixed(b"=");
        value.write(self.text);
    }
}

/// The value of an entry of a [`List`]: text without white space and commas.
pub(crate) trait Value {
    /// Appends the value to `text`.
    fn write(self, text: &mut Text<'_>);
}

impl Value for bool {
    fn write(self, text: &mut Text<'_>) {
        text.fixed(&[b'0' | u8::from(self)]);
    }
}

macro_rules! integer_values {
    ($($type:ty => $write:ident as $wide:ty),* $(,)?) => {$(
        impl Value for $type {
            fn write(self, text: &mut Text<'_>) {
                text.$write(<$wide>::from(self));
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
    fn write(self, text: &mut Text<'_>) {
        text.unsigned(self.0);
        text.str("ms");
    }
}

/// A time in seconds, with its unit: `5s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) i32);

impl Value for Seconds {
    fn write(self, text: &mut Text<'_>) {
        text.signed(i64::from(self.0));
        text.str("s");
    }
}

/// A number in hexadecimal: `0x2a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) u32);

impl Value for Hex {
    fn write(self, text: &mut Text<'_>) {
        text.str("0x");
        text.hex(self.0);
    }
}

/// The numbers from `first` to `last`: `40000-40100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

impl Value for Range {
    fn write(self, text: &mut Text<'_>) {
        text.unsigned(u64::from(self.first));
        text.str("-");
        text.unsigned(u64::from(self.last));
    }
}

/// Flags by name, joined by `|`, bit 0 first. The bits without a name are written together as one
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) flags: u32,
    pub(crate) names: &'static [&'static str],
}

impl Value for Flags {
    fn write(self, text: &mut Text<'_>) {
        let mut rest = self.flags;
        let mut first = true;
        for (bit, name) in self.names.iter().enumerate().take(32) {
            if (self.flags >> bit) & 1 == 1 {
                if !first {
                    text.str("|");
                }
                text.str(name);
                first = false;
                rest &= !(1 << bit);
            }
        }
        if rest != 0 || first {
            if !first {
                text.str("|");
            }
            Hex(rest).write(text);
        }
    }
}

/// A name up to its first zero byte. A byte that could break a row or a list reads `\x` and two
/// hexadecimal digits. These bytes are white space, `,`, `+`, `\`, control characters, and bytes
/// beyond ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a>(pub(crate) &'a [u8]);

impl Value for Name<'_> {
    fn write(self, text: &mut Text<'_>) {
        for byte in self.0.iter().take_while(|byte| **byte != 0) {
            if byte.is_ascii_graphic() && !b",+\\".contains(byte) {
                text.put(&[*byte]);
            } else {
                text.put(&[b'\\', b'x', hex_digit(*byte >> 4), hex_digit(*byte & 0xf)]);
            }
        }
    }
}

/// The hexadecimal digit of a number below 16.
fn hex_digit(digit: u8) -> u8 {
    if digit < 10 {
        b'0' | digit
    } else {
        (b'a' - 10).wrapping_add(digit)
    }
}

/// The decimal digits of `n`, followed by spaces, and the number of digits. `None` if `n` has more
/// than eight digits. All digits are computed at once, each in one byte of a number.
#[inline]
fn short_decimal(n: u64) -> Option<([u8; 8], usize)> {
    const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
    const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
    if n >= 100_000_000 {
        return None;
    }
    // The number is split into two numbers of four digits, four of two, and eight of one. The first
    // number is in the lowest bits. The factors replace divisions by 100 and by 10, and are exact
    // for the numbers that occur.
    let fours = (n / 10_000) | ((n % 10_000) << 32);
    let hundreds = (fours.wrapping_mul(10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours.wrapping_sub(hundreds.wrapping_mul(100)) << 16);
    let tens = (twos.wrapping_mul(103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | (twos.wrapping_sub(tens.wrapping_mul(10)) << 8);

    // Skip leading zeros, but not the last digit.
    let skip = (ones.trailing_zeros() / 8).min(7);
    let spaces = SPACES.checked_shl(64 - skip * 8).unwrap_or(0);
    let text = ((ones | ZEROS) >> (skip * 8)) | spaces;
    Some((text.to_le_bytes(), 8 - skip as usize))
}

/// The decimal digits of `n`, at the end of `digits`. For numbers that are too long for
/// [`short_decimal`], and for code in which speed does not matter.
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

/// The start and the length of the longest run of at least two zero groups. If several are longest,
/// it is the first one. `(8, 0)` if there is no such run.
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
