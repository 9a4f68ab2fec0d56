// SPDX-License-Identifier: GPL-2.0

//! Network namespaces by name, as `ip netns` has them, or by a process in them.

use anyhow::{Context, Result};
use nix::sched::{setns, CloneFlags};
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// Enters a namespace: of this name or, if there is none, of the process with this number; or the
/// one that a path leads to.
pub fn enter(name: &str) -> Result<()> {
    let named = if name.contains('/') {
        PathBuf::from(name)
    } else {
        PathBuf::from(format!("/run/netns/{name}"))
    };
    let is_pid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let file = match File::open(&named) {
        Err(err) if err.kind() == io::ErrorKind::NotFound && is_pid => {
            File::open(format!("/proc/{name}/ns/net"))
                .with_context(|| format!("no network namespace and no process is called {name}"))?
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            return Err(err).with_context(|| {
                format!("there is no network namespace {name}; those with a name: ip netns list")
            });
        }
        file => file.with_context(|| format!("cannot open the network namespace {name}"))?,
    };
    setns(file, CloneFlags::CLONE_NEWNET)
        .with_context(|| format!("cannot enter the network namespace {name}; are you root?"))
}
