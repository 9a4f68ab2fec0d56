// SPDX-License-Identifier: GPL-2.0

//! getsockopt(2), and the text of a row that follows from its answer.

use super::opt::{Answer, Opt};
use anyhow::{Context, Result};
use libc::c_int;
use socket2::Socket;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

/// The flags of `linux/net_tstamp.h`, from bit 0 on.
pub const TIMESTAMPING: [&str; 19] = [
    "TX_HARDWARE",
    "TX_SOFTWARE",
    "RX_HARDWARE",
    "RX_SOFTWARE",
    "SOFTWARE",
    "SYS_HARDWARE",
    "RAW_HARDWARE",
    "OPT_ID",
    "TX_SCHED",
    "TX_ACK",
    "OPT_CMSG",
    "OPT_TSONLY",
    "OPT_STATS",
    "OPT_PKTINFO",
    "OPT_TX_SWHW",
    "BIND_PHC",
    "OPT_ID_TCP",
    "OPT_RX_FILTER",
    "TX_COMPLETION",
];

impl Opt {
    /// The text of a row that follows from getsockopt(2). `None` if there is nothing to show.
    pub fn text(&self, socket: &Socket, given: Option<&[String]>) -> Result<Option<String>> {
        let what = || format!("getsockopt({})", self.name);
        let number = || -> Result<c_int> {
            let bytes = get_bytes(socket, self.level, self.option, 4).with_context(what)?;
            Ok(c_int::from_ne_bytes(
                bytes.as_slice().try_into().with_context(what)?,
            ))
        };
        let answer = |len| get_bytes(socket, self.level, self.option, len).with_context(what);
        let word = |bytes: &[u8], at: usize| -> Result<i64> {
            let bytes = bytes.get(at..at + 8).with_context(what)?;
            Ok(i64::from_ne_bytes(bytes.try_into()?))
        };
        let half = |bytes: &[u8], at: usize| -> Result<c_int> {
            let bytes = bytes.get(at..at + 4).with_context(what)?;
            Ok(c_int::from_ne_bytes(bytes.try_into()?))
        };
        let link = |index: c_int| match index {
            0 => String::new(),
            1 => "lo".to_owned(),
            index => format!("if{index}"),
        };
        let given = || given.map(|given| given.join("+"));
        Ok(match self.answer {
            Answer::Int => Some(number()?.to_string()),
            Answer::Half => Some((number()? / 2).to_string()),
            Answer::Hex => Some(format!("{:#x}", number()?)),
            Answer::Millis => {
                let time = answer(16)?;
                let millis =
                    i128::from(word(&time, 0)?) * 1000 + i128::from(word(&time, 8)?) / 1000;
                Some(format!("{millis}ms"))
            }
            Answer::Linger => Some(format!("{}s", half(&answer(8)?, 4)?)),
            Answer::Long => Some((word(&answer(8)?, 0)? as u64).to_string()),
            Answer::Name => {
                let name = answer(16)?;
                let name: Vec<u8> = name.into_iter().take_while(|byte| *byte != 0).collect();
                (!name.is_empty()).then(|| String::from_utf8_lossy(&name).into_owned())
            }
            Answer::Range => {
                let range = number()? as u32;
                Some(format!("{}-{}", range & 0xffff, range >> 16))
            }
            Answer::Timestamping => {
                let answer = answer(8)?;
                let flags = half(&answer, 0)?;
                let names = TIMESTAMPING.iter().enumerate();
                let mut parts: Vec<_> = names
                    .filter(|(bit, _)| (flags >> bit) & 1 == 1)
                    .map(|(_, name)| (*name).to_owned())
                    .collect();
                if parts.iter().any(|name| name == "BIND_PHC") {
                    parts.push(format!("bind_phc:{}", half(&answer, 4)?));
                }
                Some(parts.join("|"))
            }
            Answer::TxTime => {
                let answer = answer(8)?;
                let mut text = match half(&answer, 0)? {
                    0 => "CLOCK_REALTIME",
                    1 => "CLOCK_MONOTONIC",
                    11 => "CLOCK_TAI",
                    _ => "?",
                }
                .to_owned();
                let flags = half(&answer, 4)?;
                for (bit, name) in [(1, "|DEADLINE_MODE"), (2, "|REPORT_ERRORS")] {
                    if flags & bit != 0 {
                        text += name;
                    }
                }
                Some(text)
            }
            Answer::Index(true) => Some(link(c_int::from_be(number()?))),
            Answer::Index(false) => Some(link(number()?)),
            Answer::AddressIndex => {
                let address: [u8; 4] = answer(4)?.as_slice().try_into()?;
                Some(format!("{}%lo", Ipv4Addr::from(address)))
            }
            Answer::Length => {
                let bytes = answer(64)?;
                (!bytes.is_empty()).then(|| "1".to_owned())
            }
            Answer::Presence => Some("1".to_owned()),
            Answer::Given | Answer::Groups => given(),
        })
    }
}

/// The answer of getsockopt(2), at most `len` bytes.
pub fn get_bytes(socket: &Socket, level: c_int, option: c_int, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut len = len as libc::socklen_t;
    // SAFETY: The kernel writes at most `len` bytes to the buffer, which has as many.
    let ret = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            bytes.as_mut_ptr().cast(),
            &mut len,
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    bytes.truncate(len as usize);
    Ok(bytes)
}

/// setsockopt(2) with these bytes.
pub fn set_bytes(socket: &Socket, level: c_int, option: c_int, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: The kernel reads the bytes, and what programs and filters point to lives on.
    let ret = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            bytes.as_ptr().cast(),
            bytes.len() as libc::socklen_t,
        )
    };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
