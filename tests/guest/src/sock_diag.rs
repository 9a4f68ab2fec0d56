// SPDX-License-Identifier: GPL-2.0

//! `sock_diag`, the netlink family that `ss` uses, and the attributes that it gives to a reader.
//!
//! The messages are parsed by hand, because the tests look for missing attributes, and use netlink
//! sockets that another process has opened.

use crate::rows::File;
use anyhow::{bail, ensure, Context, Result};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeSet;
use std::io::Read;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `struct nlmsghdr`
const HEADER: usize = 16;
/// `struct inet_diag_msg`
const MESSAGE: usize = 72;
/// The offsets of `idiag_uid` and `idiag_inode` in it.
const UID: usize = 64;
const INODE: usize = 68;

/// Attributes of `linux/inet_diag.h`, and the options that each of them reveals.
const ATTRIBUTES: [(u16, &[&str]); 11] = [
    // INET_DIAG_CONG
    (4, &["TCP_CONGESTION"]),
    // INET_DIAG_TOS
    (5, &["IP_TOS"]),
    // INET_DIAG_TCLASS
    (6, &["IPV6_TCLASS"]),
    // INET_DIAG_SKMEMINFO
    (7, &["SO_RCVBUF", "SO_SNDBUF", "drops"]),
    // INET_DIAG_SKV6ONLY
    (11, &["IPV6_V6ONLY"]),
    // INET_DIAG_MARK
    (15, &["SO_MARK"]),
    // INET_DIAG_CLASS_ID, which is the priority unless a control group has one.
    (17, &["SO_PRIORITY"]),
    // INET_DIAG_MD5SIG
    (18, &["TCP_MD5SIG"]),
    // INET_DIAG_ULP_INFO
    (19, &["TCP_ULP"]),
    // INET_DIAG_SOCKOPT
    (
        22,
        &[
            "IP_RECVERR",
            "IP_FREEBIND",
            "IP_MULTICAST_LOOP",
            "IP_TRANSPARENT",
            "IP_MULTICAST_ALL",
            "IP_BIND_ADDRESS_NO_PORT",
            "IP_RECVERR_RFC4884",
        ],
    ),
    // Of the message itself: the interface, the limit of the accept queue, and whose it is.
    (0, &["SO_BINDTODEVICE", "backlog", "uid", "ino"]),
];

/// Whether an option must be hidden from a reader who gets only these attributes. `sock_diag` does
/// not report keys of TCP_AO. They are shown to readers who may see the mark, like those of
/// TCP_MD5SIG.
pub fn is_withheld(name: &str, withheld: &BTreeSet<u16>) -> bool {
    let name = if name == "TCP_AO" { "SO_MARK" } else { name };
    attribute_of(name).is_some_and(|attribute| withheld.contains(&attribute))
}

/// The attribute that reveals an option, if there is one.
pub fn attribute_of(name: &str) -> Option<u16> {
    let mut all = ATTRIBUTES.iter();
    let (attribute, _) = all.find(|(_, options)| options.contains(&name))?;
    Some(*attribute)
}

/// Whether an attribute is known to reveal an option.
pub fn tells_of_an_option(attribute: u16) -> bool {
    ATTRIBUTES.iter().any(|(known, _)| *known == attribute)
}

/// The contents of a message about a socket.
#[derive(Clone, Debug)]
pub struct Diag {
    pub uid: u32,
    /// The attributes of the message, and 0 for the message itself.
    pub attributes: BTreeSet<u16>,
}

/// A netlink socket for the network namespace of the calling thread, whichever process uses it.
pub fn open() -> Result<Socket> {
    let protocol = Protocol::from(libc::NETLINK_SOCK_DIAG);
    Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(protocol)).context("AF_NETLINK")
}

/// All sockets that `file` lists, by inode.
pub fn dump(socket: &Socket, file: File) -> Result<Vec<(u64, Diag)>> {
    let (family, protocol) = match file {
        File::Tcp => (libc::AF_INET, libc::IPPROTO_TCP),
        File::Tcp6 => (libc::AF_INET6, libc::IPPROTO_TCP),
        File::Udp => (libc::AF_INET, libc::IPPROTO_UDP),
        File::Udp6 => (libc::AF_INET6, libc::IPPROTO_UDP),
    };
    // `struct inet_diag_req_v2`: all that can be asked for, in all states.
    let mut request = vec![family as u8, protocol as u8, 0xff, 0];
    request.extend(u32::MAX.to_ne_bytes());
    request.extend([0; 48]);
    let mut message = ((HEADER + request.len()) as u32).to_ne_bytes().to_vec();
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(request);
    socket.send(&message).context("asking sock_diag")?;

    let mut all = Vec::new();
    let mut buf = vec![0; 1 << 20];
    let mut from = socket;
    loop {
        let len = from.read(&mut buf)?;
        let mut rest = &buf[..len];
        while !rest.is_empty() {
            let (message, next) = split(rest, word(rest, 0)? as usize)?;
            rest = next;
            match i32::from(half(message, 4)?) {
                libc::NLMSG_DONE => return Ok(all),
                libc::NLMSG_ERROR => bail!("sock_diag: error {}", word(message, HEADER)? as i32),
                _ => all.push(parse(message.get(HEADER..).context("no message")?)?),
            }
        }
    }
}

fn parse(message: &[u8]) -> Result<(u64, Diag)> {
    let mut diag = Diag {
        uid: word(message, UID)?,
        attributes: BTreeSet::from([0]),
    };
    let mut rest = message.get(MESSAGE..).context("a short message")?;
    while !rest.is_empty() {
        diag.attributes.insert(half(rest, 2)? & 0x3fff);
        (_, rest) = split(rest, half(rest, 0)?.into())?;
    }
    Ok((word(message, INODE)?.into(), diag))
}

/// Splits off this many bytes, and their padding to four.
fn split(bytes: &[u8], len: usize) -> Result<(&[u8], &[u8])> {
    ensure!(len >= 4 && len <= bytes.len(), "a length of {len}");
    let next = len.next_multiple_of(4).min(bytes.len());
    Ok((&bytes[..len], &bytes[next..]))
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let word = bytes.get(at..at + 4).context("a short message")?;
    Ok(u32::from_ne_bytes(word.try_into()?))
}

fn half(bytes: &[u8], at: usize) -> Result<u16> {
    let half = bytes.get(at..at + 2).context("a short message")?;
    Ok(u16::from_ne_bytes(half.try_into()?))
}
