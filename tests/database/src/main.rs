// SPDX-License-Identifier: GPL-2.0

//! Listens on port 5432, connects to it on the loopback interface, and keeps these sockets open.
//! `make test-containers` makes images of nothing but this program.
//!
//! usage: `knetstat-database WITH WITHOUT`: the connections with and without SO_KEEPALIVE.

use anyhow::{Context, Result};
use socket2::SockRef;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const PORT: u16 = 5432;

fn main() -> Result<()> {
    let mut numbers = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let mut number = || {
        numbers
            .next()
            .context("two numbers are needed")?
            .context("no number")
    };
    let (with, without) = (number()?, number()?);
    // Another container in the network namespace may listen already. It need not accept connections
    // for them to be established.
    let listener = match TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)) {
        Err(err) if err.kind() == ErrorKind::AddrInUse => None,
        listener => Some(listener?),
    };
    let mut kept = Vec::new();
    for at in 0..with + without {
        // containerd leaves it to others to bring the loopback interface up.
        let client = loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)) {
                Ok(client) => break client,
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        };
        SockRef::from(&client).set_keepalive(at < with)?;
        let server = listener.as_ref().map(TcpListener::accept).transpose()?;
        kept.push((client, server));
    }
    loop {
        thread::park();
    }
}
