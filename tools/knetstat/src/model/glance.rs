// SPDX-License-Identifier: GPL-2.0

//! A glance at a line: enough for most filters to reject most rows.
//!
//! Parsing a line takes ten times as long as finding its first words. A glance looks only at the
//! words that a filter tests. It does not check the rest of the line. If it does not understand a
//! word, the line must be parsed.

use crate::model::row::{Endpoint, State};
use crate::model::words::Side;
use crate::source::files::{File, Netid};

/// The first words of a line.
#[derive(Clone, Copy, Debug)]
pub struct Glance<'a> {
    pub file: File,
    local: &'a [u8],
    foreign: &'a [u8],
    /// The state, in the files of TCP.
    state: &'a [u8],
}

impl<'a> Glance<'a> {
    pub fn at(file: File, line: &'a [u8]) -> Self {
        let mut rest = line;
        let _recv_q = take_word(&mut rest);
        let _send_q = take_word(&mut rest);
        Self {
            file,
            local: take_word(&mut rest),
            foreign: take_word(&mut rest),
            state: take_word(&mut rest),
        }
    }

    fn word(&self, side: Side) -> &'a [u8] {
        match side {
            Side::Local => self.local,
            Side::Foreign => self.foreign,
        }
    }

    /// An address and its port. `None` if they are not understood.
    pub fn endpoint(&self, side: Side) -> Option<Endpoint<'a>> {
        Endpoint::parse(self.word(side), self.file.family)
    }

    /// A port. `None` if it is not understood.
    pub fn port(&self, side: Side) -> Option<u16> {
        Endpoint::split(self.word(side)).map(|(_, port)| port)
    }

    /// The state. `None` if it is not understood.
    pub fn state(&self) -> Option<State> {
        match self.file.netid {
            Netid::Tcp => State::of(self.state),
            Netid::Udp => self
                .endpoint(Side::Foreign)
                .map(|foreign| State::of_udp(&foreign)),
        }
    }
}

/// Takes the first word from a line, and the blanks before it. The word is empty if there is none.
fn take_word<'a>(line: &mut &'a [u8]) -> &'a [u8] {
    let mut rest = *line;
    while let [b' ', behind @ ..] = rest {
        rest = behind;
    }
    let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let (word, behind) = rest.split_at(end);
    *line = behind;
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::any_file;
    use crate::model::row::Row;
    use crate::source::files::Family;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    proptest! {
        /// A glance sees what the parser sees.
        #[test]
        fn agrees_with_the_parser(
            file in any_file(),
            addresses in any::<[Option<[u8; 16]>; 2]>(),
            ports in any::<[Option<u16>; 2]>(),
            state in prop::sample::select(State::ALL.map(|(_, label, _)| label).to_vec()),
            list in "( >[|])?( A=1,uid=0,ino=5)?",
        ) {
            let endpoint = |side: usize| {
                let bytes = addresses[side].unwrap_or_default();
                let port = ports[side].map_or("*".to_owned(), |port| port.to_string());
                match file.family {
                    Family::Inet => {
                        let [a, b, c, d, ..] = bytes;
                        format!("{}:{port}", Ipv4Addr::new(a, b, c, d))
                    }
                    Family::Inet6 => format!("{}:{port}", Ipv6Addr::from(bytes)),
                }
            };
            let (local, foreign) = (endpoint(0), endpoint(1));
            let rest = match file.netid {
                Netid::Tcp => format!("{state} {list}"),
                Netid::Udp => list.replace(" >|", ""),
            };
            let line = format!("{:6} {:6} {local:23} {foreign:23} {rest}", 0, 12);
            let row = Row::parse(file, line.as_bytes()).expect(&line);
            let glance = Glance::at(file, line.as_bytes());
            for side in [Side::Local, Side::Foreign] {
                prop_assert_eq!(glance.endpoint(side), Some(*side.of(&row)));
                prop_assert_eq!(glance.port(side), Some(side.of(&row).port));
            }
            prop_assert_eq!(glance.state(), Some(row.state));
        }

        #[test]
        fn any_bytes(file in any_file(), line: Vec<u8>) {
            let glance = Glance::at(file, &line);
            let _ = (glance.endpoint(Side::Local), glance.port(Side::Foreign), glance.state());
        }
    }
}
