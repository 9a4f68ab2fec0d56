// SPDX-License-Identifier: GPL-2.0

//! SO_RESERVE_MEM, which needs a memory control group other than the root.

use crate::features::Feature;
use crate::harness::{skip, Case};
use crate::memory_group::InGroup;
use crate::netns::in_fresh;
use crate::sockets::{get, row, set_int, Plan};
use anyhow::{ensure, Result};

const SO_RESERVE_MEM: i32 = 73;

pub fn cases() -> Vec<Case> {
    // Moves the whole process into a control group for a moment.
    vec![Case::alone(
        "reserve_mem::in_a_control_group",
        in_a_control_group,
    )]
}

fn in_a_control_group() -> Result<()> {
    in_fresh(|| {
        let _group = InGroup::enter("knetstat-reserve-mem")?;
        for plan in Plan::ALL {
            // TCP alone can reserve memory, see `sock_reserve_memory()`.
            let file = plan.file(true);
            let pair = plan.pair()?;
            for socket in [pair.listener, pair.client, pair.server] {
                ensure!(row(file, &socket)?.option("SO_RESERVE_MEM").is_none());
                if let Err(err) = set_int(&socket, libc::SOL_SOCKET, SO_RESERVE_MEM, 1) {
                    return skip(
                        Feature::Option("SO_RESERVE_MEM"),
                        format!("SO_RESERVE_MEM: {err}"),
                    );
                }
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
