// SPDX-License-Identifier: GPL-2.0

//! The BPF iterators over TCP and UDP sockets, `iter/tcp` and `iter/udp`, as files.

use anyhow::{ensure, Context, Result};
use nix::errno::Errno;
use nix::mount::{mount, MsFlags};
use std::path::Path;
use std::process::Command;

/// Where the kernel says what its BPF socket iterators need to know.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Where programs and links are kept.
const BPF_FS: &str = "/sys/fs/bpf";

/// The files: each opening starts an iterator, which prints a line for each socket, its inode.
pub const TCP: &str = "/sys/fs/bpf/knetstat/tcp";
pub const UDP: &str = "/sys/fs/bpf/knetstat/udp";

/// Makes the files, with bpftool and programs that lie in `dir`.
///
/// # Errors
///
/// The reason why there are none.
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
        // It is there already.
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
