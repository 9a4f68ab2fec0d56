// SPDX-License-Identifier: GPL-2.0

//! Kernel TLS: the value of TCP_ULP, compared with the text of `ss`; it must not show a key.

use crate::features::Feature;
use crate::harness::{skip, Case};
use crate::netns::in_fresh;
use crate::sockets::{local, row, Plan};
use anyhow::{ensure, Context, Result};
use socket2::Socket;
use std::io;
use std::os::fd::AsRawFd;
use std::process::Command;

/// The byte of which keys consist. No row has several in succession by chance.
const KEY: u8 = b'K';

/// The cipher of one direction of a connection.
#[derive(Clone, Copy)]
enum Crypto {
    AesGcm128,
    AesGcm256,
    ChaCha20Poly1305,
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for plan in [Plan::V4, Plan::V6] {
        cases.push(Case::new(
            format!("tls::as_ss_says_{}", plan.name()),
            move || in_fresh(|| as_ss_says(plan)),
        ));
    }
    cases
}

fn setsockopt<T>(socket: &Socket, level: i32, option: i32, value: &T) -> io::Result<()> {
    // SAFETY: `value` outlives the call, and is as long as said.
    let ret = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if ret == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn set_keys(socket: &Socket, direction: i32, version: u16, crypto: Crypto) -> io::Result<()> {
    macro_rules! info {
        ($type:ident, $cipher:ident) => {{
            // SAFETY: The structure has nothing but numbers.
            let mut value: libc::$type = unsafe { std::mem::zeroed() };
            value.info.version = version;
            value.info.cipher_type = libc::$cipher;
            value.key.fill(KEY);
            setsockopt(socket, libc::SOL_TLS, direction, &value)
        }};
    }
    match crypto {
        Crypto::AesGcm128 => info!(tls12_crypto_info_aes_gcm_128, TLS_CIPHER_AES_GCM_128),
        Crypto::AesGcm256 => info!(tls12_crypto_info_aes_gcm_256, TLS_CIPHER_AES_GCM_256),
        Crypto::ChaCha20Poly1305 => info!(
            tls12_crypto_info_chacha20_poly1305,
            TLS_CIPHER_CHACHA20_POLY1305
        ),
    }
}

/// Sets keys for both directions of a TLS socket, of one version or the other.
pub fn set_some_keys(socket: &Socket, is_new: bool) -> io::Result<()> {
    let (version, crypto) = match is_new {
        true => (libc::TLS_1_3_VERSION, Crypto::AesGcm256),
        false => (libc::TLS_1_2_VERSION, Crypto::AesGcm128),
    };
    set_keys(socket, libc::TLS_TX, version, crypto)?;
    set_keys(socket, libc::TLS_RX, version, crypto)
}

/// The text that `ss` prints after `tcp-ulp-tls` for the socket with this local port.
fn ss(port: u16) -> Result<String> {
    let output = Command::new("ss")
        .args(["-tanHiO", &format!("sport = :{port}")])
        .output()
        .context("running ss")?;
    let text = String::from_utf8(output.stdout)?;
    let line = text
        .lines()
        .find(|line| line.contains("tcp-ulp-tls"))
        .with_context(|| format!("ss says {text:?}"))?;
    let (_, details) = line.split_once("tcp-ulp-tls").context("no ULP")?;
    Ok(details.to_owned())
}

/// Our value in the notation of `ss`: `|version:1.3` is ` version: 1.3`.
fn in_the_words_of_ss(value: &str) -> Result<String> {
    let details = value
        .strip_prefix("tls")
        .with_context(|| format!("TCP_ULP={value}"))?;
    Ok(details.replace(':', ": ").replace('|', " "))
}

fn as_ss_says(plan: Plan) -> Result<()> {
    let file = plan.file(true);
    let mut made = 0;
    for version in [libc::TLS_1_2_VERSION, libc::TLS_1_3_VERSION] {
        for crypto in [
            Crypto::AesGcm128,
            Crypto::AesGcm256,
            Crypto::ChaCha20Poly1305,
        ] {
            for directions in [
                &[libc::TLS_TX][..],
                &[libc::TLS_RX],
                &[libc::TLS_TX, libc::TLS_RX],
            ] {
                let pair = plan.pair()?;
                let socket = &pair.client;
                if let Err(err) = setsockopt(socket, libc::IPPROTO_TCP, libc::TCP_ULP, b"tls") {
                    return skip(
                        Feature::Config("CONFIG_TLS"),
                        format!("no kernel TLS: {err}"),
                    );
                }
                // Without keys, it is the name and no more.
                let before = row(file, socket)?;
                ensure!(before.option("TCP_ULP") == Some("tls"), "{before:?}");

                let mut keys = 0;
                for direction in directions {
                    match set_keys(socket, *direction, version, crypto) {
                        Ok(()) => keys += 1,
                        // A kernel without that cipher.
                        Err(err) if err.raw_os_error() == Some(libc::ENOENT) => {}
                        Err(err) => return Err(err).context("TLS_TX or TLS_RX"),
                    }
                }
                made += keys;
                let after = row(file, socket)?;
                let value = after.option("TCP_ULP").context("no TCP_ULP")?;
                let theirs = ss(local(socket)?.port())?;
                let mut ours = in_the_words_of_ss(value)?;
                if keys == 0 {
                    ensure!(ours.is_empty(), "{value} without keys");
                    continue;
                }
                if let Crypto::ChaCha20Poly1305 = crypto {
                    // ss has no name for it.
                    ours = ours.replace(" cipher: chacha20-poly1305", "");
                }
                // ss goes on with other things.
                ensure!(
                    ours.contains("version") && theirs.starts_with(&ours),
                    "{value} is to ss {theirs:?}"
                );
                ensure!(
                    !value.contains("KKK") && !value.contains("4b4b4b"),
                    "a key is shown: {value}"
                );
            }
        }
    }
    ensure!(made >= 6, "only {made} directions got keys");
    Ok(())
}
