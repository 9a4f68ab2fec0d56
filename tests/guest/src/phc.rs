// SPDX-License-Identifier: GPL-2.0

//! SO_TIMESTAMPING with the number of a PTP clock: a virtual clock of the device that the socket is
//! bound to; see `sock_timestamping_bind_phc()`. The module `tests/modules/phc` has such a device.

use crate::features::Feature;
use crate::harness::{skip, Case};
use crate::modules;
use crate::netns::in_fresh;
use crate::options::{set_bytes, Fresh, Role, Subject, PLANS};
use crate::sockets::row;
use anyhow::{ensure, Context, Result};
use libc::{c_int, SOL_SOCKET};
use nix::errno::Errno;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SO_TIMESTAMPING: c_int = 37;
const RAW_HARDWARE: c_int = 1 << 6;
const BIND_PHC: c_int = 1 << 15;

pub fn cases() -> Vec<Case> {
    vec![Case::new("phc::virtual_clocks_of_a_device", || {
        in_fresh(with_device)
    })]
}

fn with_device() -> Result<()> {
    // A module on some kernels. If there is none, the next step fails.
    let _ = Command::new("modprobe").args(["-q", "ptp"]).status();
    if let Err(err) = modules::insert_helper("phc", "") {
        return match err.downcast_ref() {
            Some(Errno::ENODEV) => skip(
                Feature::Config("CONFIG_PTP_1588_CLOCK"),
                "this kernel has no PTP clocks",
            ),
            _ => Err(err),
        };
    }
    let result = virtual_clocks();
    modules::remove("phc")?;
    result
}

/// The directory of the clock of that device.
fn clock() -> Result<PathBuf> {
    for entry in fs::read_dir("/sys/class/ptp")? {
        let path = entry?.path();
        if fs::read_to_string(path.join("clock_name"))?.trim() == "knetstat-phc" {
            return Ok(path);
        }
    }
    anyhow::bail!("no clock in /sys/class/ptp")
}

/// The number of a clock, by the name of its directory: `ptp3`.
fn number(path: &Path) -> Option<c_int> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("ptp")?.parse().ok()
}

fn virtual_clocks() -> Result<()> {
    let clock = clock()?;
    let count = clock.join("n_vclocks");
    if !count.exists() {
        return skip(
            Feature::Option("SOF_TIMESTAMPING_BIND_PHC"),
            "clocks have no virtual clocks",
        );
    }
    fs::write(count, "2").context("n_vclocks")?;
    let mut clocks = Vec::new();
    for entry in fs::read_dir(&clock)? {
        clocks.extend(number(&entry?.path()));
    }
    ensure!(clocks.len() == 2, "the virtual clocks are {clocks:?}");

    let fresh = Fresh::ask()?;
    for plan in PLANS {
        for role in Role::ALL {
            let mut subject = Subject::new(plan, role)?;
            // `struct so_timestamping`: flags, and the clock.
            let set = |subject: &Subject, clock: c_int| {
                let bytes = [RAW_HARDWARE | BIND_PHC, clock].map(c_int::to_ne_bytes);
                set_bytes(
                    &subject.socket,
                    SOL_SOCKET,
                    SO_TIMESTAMPING,
                    &bytes.concat(),
                )
            };
            ensure!(set(&subject, clocks[0]).is_err(), "not bound to a device");
            subject.socket.bind_device(Some(b"phc0"))?;
            subject.assume("SO_BINDTODEVICE", true);
            for clock in &clocks {
                set(&subject, *clock)?;
                subject.must_agree(&fresh)?;
                let row = row(subject.file, &subject.socket)?;
                ensure!(
                    row.option("SO_TIMESTAMPING")
                        == Some(&format!("RAW_HARDWARE|BIND_PHC|bind_phc:{clock}")),
                    "{row:?}"
                );
            }
            // Another clock than these is refused, and what was set stays.
            let other = number(&clock).context("the clock's number")?;
            ensure!(set(&subject, other).is_err(), "clock {other} is none of it");
            subject.must_agree(&fresh)?;
            set_bytes(&subject.socket, SOL_SOCKET, SO_TIMESTAMPING, &[0; 8])?;
            subject.must_agree(&fresh)?;
        }
    }
    Ok(())
}
