// SPDX-License-Identifier: GPL-2.0

//! Files that run the BPF iterators over TCP and UDP sockets, `iter/tcp` and `iter/udp`.

use anyhow::{ensure, Context, Result};
use nix::errno::Errno;
use nix::mount::{mount, MsFlags};
use std::path::Path;
use std::process::Command;

/// The kernel's type information, which the iterators need.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// The directory in which programs and links are pinned.
const BPF_FS: &str = "/sys/fs/bpf";

/// The files. Opening one starts an iterator, which prints the inode of each socket on a line.
pub const TCP: &str = "/sys/fs/bpf/knetstat/tcp";
pub const UDP: &str = "/sys/fs/bpf/knetstat/udp";

/// Makes the files, with the bpftool and the programs in `dir`.
///
/// # Errors
///
/// The reason why there are no such files.
pub fn pin(dir: &Path) -> Result<()> {
    let (bpftool, programs) = (dir.join("bpftool"), dir.join("sockets.bpf.o"));
    ensure!(
        Path::new(BTF).exists(),
        "this kernel has no {BTF} (CONFIG_DEBUG_INFO_BTF)"
    );
    ensure!(bpftool.exists(), "there is no {}", bpftool.display());
    if Path::new(TCP).exists() {
        return Ok(());
    }
    match mount(
        Some("bpf"),
        BPF_FS,
        Some("bpf"),
        MsFlags::empty(),
        None::<&str>,
    ) {
        // The directory exists already.
        Err(Errno::EBUSY) => {}
        mounted => mounted.with_context(|| format!("mounting {BPF_FS}"))?,
    }
    let directory = Path::new(TCP).parent().context("no directory")?;
    let output = Command::new(&bpftool)
        .args(["prog", "loadall"])
        .args([&programs, directory])
        .arg("autoattach")
        .output()
        .with_context(|| bpftool.display().to_string())?;
    ensure!(
        output.status.success() && Path::new(UDP).exists(),
        "bpftool: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
