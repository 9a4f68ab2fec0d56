// SPDX-License-Identifier: GPL-2.0

//! SO_RESERVE_MEM, which takes a memory control group other than the root.

use crate::harness::{
    skip,
    Case, //
};
use crate::netns::in_fresh;
use crate::sockets::{
    get,
    row,
    set_int,
    Plan, //
};
use anyhow::{
    ensure,
    Context,
    Result, //
};
use std::fs;
use std::path::Path;

const ROOT: &str = "/sys/fs/cgroup";
const GROUP: &str = "/sys/fs/cgroup/knetstat-reserve-mem";

const SO_RESERVE_MEM: i32 = 73;

pub fn cases() -> Vec<Case> {
    // Moves the whole process into a control group for a moment.
    vec![Case::alone(
        "reserve_mem::in_a_control_group",
        in_a_control_group,
    )]
}

/// The process in the group [`GROUP`]; back in the root when dropped.
struct InGroup;

impl InGroup {
    fn enter() -> Result<Self> {
        fs::create_dir(GROUP).context(GROUP)?;
        let here = Self;
        fs::write(Path::new(GROUP).join("cgroup.procs"), "0").context("cgroup.procs")?;
        Ok(here)
    }
}

impl Drop for InGroup {
    fn drop(&mut self) {
        let _ = fs::write(Path::new(ROOT).join("cgroup.procs"), "0");
        let _ = fs::remove_dir(GROUP);
    }
}

fn in_a_control_group() -> Result<()> {
    let controllers = Path::new(ROOT).join("cgroup.controllers");
    let has_memory = fs::read_to_string(controllers)
        .is_ok_and(|text| text.split_ascii_whitespace().any(|name| name == "memory"));
    if !has_memory {
        return skip("this kernel has no memory control groups");
    }
    fs::write(Path::new(ROOT).join("cgroup.subtree_control"), "+memory").context("+memory")?;
    in_fresh(|| {
        let _group = InGroup::enter()?;
        for plan in Plan::ALL {
            // TCP alone can reserve memory, see `sock_reserve_memory()`.
            let file = plan.file(true);
            let pair = plan.pair()?;
            for socket in [pair.listener, pair.client, pair.server] {
                ensure!(row(file, &socket)?.option("SO_RESERVE_MEM").is_none());
                for bytes in [1, 4096, 100_000, 1 << 20, 4096] {
                    set_int(&socket, libc::SOL_SOCKET, SO_RESERVE_MEM, bytes)?;
                    let expected = get(&socket, libc::SOL_SOCKET, SO_RESERVE_MEM, 0)?;
                    ensure!(expected >= bytes, "{bytes} bytes are {expected}");
                    let row = row(file, &socket)?;
                    ensure!(
                        row.number("SO_RESERVE_MEM") == Some(expected as u64),
                        "SO_RESERVE_MEM {expected} is shown as {row:?}"
                    );
                }
                set_int(&socket, libc::SOL_SOCKET, SO_RESERVE_MEM, 0)?;
                ensure!(row(file, &socket)?.option("SO_RESERVE_MEM").is_none());
            }
        }
        Ok(())
    })
}
