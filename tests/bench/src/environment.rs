// SPDX-License-Identifier: GPL-2.0

//! The machine and the guest that the figures come from.

use crate::options::Options;
use crate::population::sysctl;
use crate::spawner::Spawner;
use crate::stats::median;
use crate::table::digits;
use anyhow::{Context, Result};
use procfs::{Current, Meminfo};
use serde::Serialize;
use std::fmt;
use std::thread::available_parallelism;

/// The guest.
#[derive(Serialize)]
pub struct Environment {
    pub kernel: String,
    pub cpus: usize,
    pub memory_mib: u64,
    /// Buckets of the hash table of TCP connections.
    pub tcp_buckets: String,
    /// Buckets of the UDP hash table.
    pub udp_buckets: String,
    /// The time to start ss, in milliseconds. Every time of ss includes it.
    pub ss_start_ms: f64,
    pub host: Option<String>,
    pub is_quick: bool,
}

impl Environment {
    pub fn look(options: &Options, spawner: &mut Spawner) -> Result<Self> {
        let mut starts = Vec::new();
        for _ in 0..5 {
            starts.push(spawner.time(&["ss", "-V"])? * 1e3);
        }
        Ok(Self {
            kernel: sysctl("kernel/osrelease")?.trim().to_owned(),
            cpus: available_parallelism()?.get(),
            memory_mib: Meminfo::current().context("/proc/meminfo")?.mem_total >> 20,
            tcp_buckets: buckets("net/ipv4/tcp_ehash_entries")?,
            udp_buckets: buckets("net/ipv4/udp_hash_entries")?,
            ss_start_ms: median(&starts),
            host: options.host.clone(),
            is_quick: options.quick,
        })
    }
}

/// The size of a hash table. The kernel prints a minus before it if network namespaces share the
/// table.
fn buckets(name: &str) -> Result<String> {
    Ok(sysctl(name)?.trim().trim_start_matches('-').to_owned())
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Linux {}, {} CPUs, {} MiB; {} buckets for TCP connections, {} for UDP",
            self.kernel,
            self.cpus,
            digits(self.memory_mib as usize),
            self.tcp_buckets,
            self.udp_buckets
        )?;
        if let Some(host) = &self.host {
            writeln!(f, "host: {host}")?;
        }
        writeln!(
            f,
            "Times of ss are those of the whole process; its start alone takes {:.1} ms here.",
            self.ss_start_ms
        )?;
        if self.is_quick {
            writeln!(
                f,
                "QUICK: few passes, small sizes. For figures, run it without."
            )?;
        }
        Ok(())
    }
}
