// SPDX-License-Identifier: GPL-2.0

//! Network namespaces, by a name known to `ip netns`, by a process, or by a path.

use crate::source::files;
use crate::source::proc_mount;
use crate::source::thread::{on_new_thread, Stay};
use anyhow::{bail, Context, Result};
use nix::errno::Errno;
use nix::sched::{setns, CloneFlags};
use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

mod ioctl {
    nix::ioctl_none!(ns_get_nstype, 0xb7, 0x3);
}

/// The directory of the names that ip-netns(8) gives.
const NAMES: &str = "/run/netns";

/// The thread that has not entered another network namespace, if this process has.
static HOME: OnceLock<io::Result<Stay>> = OnceLock::new();

/// Runs `run` in the network namespace in which this process was started. Names of hosts and users
/// may be looked up over the network: the answers must not depend on who controls the namespace
/// that is examined.
///
/// # Errors
///
/// If no thread could be started there.
pub fn at_home<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> io::Result<R> {
    match HOME.get() {
        None => Ok(run()),
        Some(Ok(thread)) => thread.run(run),
        Some(Err(err)) => Err(io::Error::new(err.kind(), err.to_string())),
    }
}

/// Enters a network namespace. See [`at_home`] for what must not happen in it.
///
/// `name` is a path if it contains a slash. Otherwise it is a name known to ip-netns(8) or, if
/// there is no such name, the ID of a process.
pub fn enter(name: &str) -> Result<()> {
    // Without it, a namespace that exists looks like one that does not.
    proc_mount::open()?;
    let named = if name.contains('/') {
        PathBuf::from(name)
    } else {
        Path::new(NAMES).join(name)
    };
    let is_pid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let file = match open(&named) {
        Err(err) if err.kind() == io::ErrorKind::NotFound && is_pid => {
            match open(Path::new(&format!("/proc/{name}/ns/net"))) {
                Err(err) if err.kind() == io::ErrorKind::NotFound => {
                    bail!("there is no network namespace {name}, and no process with this ID")
                }
                file => file.with_context(|| {
                    format!("cannot open the network namespace of the process {name}")
                })?,
            }
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            bail!("there is no network namespace {name}; list all names: ip netns list")
        }
        Err(err) if err.raw_os_error() == Some(libc::EINVAL) => {
            bail!("{name} is not a network namespace; list all names: ip netns list")
        }
        file => file.with_context(|| format!("cannot open the network namespace {name}"))?,
    };
    HOME.get_or_init(Stay::start);
    match setns(file, CloneFlags::CLONE_NEWNET) {
        Err(Errno::EPERM) => {
            bail!("entering a network namespace needs CAP_SYS_ADMIN; run as root")
        }
        result => result.with_context(|| format!("cannot enter the network namespace {name}")),
    }
}

/// The name, or the ID of a process, of another network namespace whose files have a row that `is_it`
/// recognises. Namespaces that this process may not examine are left out.
pub fn find(
    files: &[files::File],
    is_it: impl Fn(files::File, &[u8]) -> bool + Sync,
) -> Option<String> {
    let id = |path: &Path| metadata(path).ok().map(|metadata| metadata.ino());
    let mut known: HashSet<u64> = id(Path::new("/proc/self/ns/net")).into_iter().collect();
    let has_it = |net: &Path| {
        files.iter().any(|file| {
            let mut is_found = false;
            // A namespace may be gone by now.
            let _ = files::read_in(net, *file, None, |line| {
                is_found |= is_it(*file, line);
                Ok(())
            });
            is_found
        })
    };
    for name in entries(NAMES) {
        let path = Path::new(NAMES).join(&name);
        if !id(&path).is_some_and(|id| known.insert(id)) {
            continue;
        }
        // Only a thread that has entered the namespace can read its files.
        let enter_and_look = || {
            let file = open(&path).ok()?;
            setns(file, CloneFlags::CLONE_NEWNET).ok()?;
            has_it(Path::new("/proc/thread-self/net")).then_some(())
        };
        if matches!(on_new_thread(enter_and_look), Ok(Some(()))) {
            return Some(name);
        }
    }
    let is_number = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    entries("/proc").filter(is_number).find(|pid| {
        let process = Path::new("/proc").join(pid);
        id(&process.join("ns/net")).is_some_and(|id| known.insert(id))
            && has_it(&process.join("net"))
    })
}

/// The names that ip-netns(8) shows, each with the inode of its namespace.
pub fn names() -> Vec<(String, u64)> {
    let Ok(device) = device() else {
        return Vec::new();
    };
    let named = entries(NAMES).filter_map(|name| {
        // A file on which nothing is mounted is a leftover.
        let found = fs::metadata(path_of(&name)).ok()?;
        (found.dev() == device).then(|| (name, found.ino()))
    });
    named.collect()
}

/// The inode of a network namespace that is given by its inode, by the ID of a process, or by a path.
/// `None` if there is no such process or file.
///
/// # Errors
///
/// If this process may not see it.
pub fn inode_of(text: &str) -> io::Result<Option<u64>> {
    let path = match text.parse::<u64>() {
        // A name may consist of digits.
        Ok(_) if path_of(text).exists() => return Ok(None),
        Ok(ino) if ino > MAX_PID => return Ok(Some(ino)),
        Ok(pid) => PathBuf::from(format!("/proc/{pid}/ns/net")),
        Err(_) if text.contains('/') => PathBuf::from(text),
        Err(_) => return Ok(None),
    };
    // A link in `/proc` tells the kind of a namespace. Other files are mounts of one.
    let target = fs::read_link(&path).unwrap_or_default();
    let is_of_net = target.as_os_str().is_empty() || target.to_string_lossy().contains("net:[");
    let device = device()?;
    match metadata(&path) {
        Ok(found) if found.dev() == device && is_of_net => Ok(Some(found.ino())),
        Ok(_) => Ok(None),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

/// Opens a network namespace. Another file is not opened, because that can block or do something: a
/// descriptor of a process in `/proc`, and a path, may mean a pipe or a device by now.
///
/// # Errors
///
/// If there is no such file, or if this process may not see the namespace. `EINVAL` if it is another
/// kind of file.
pub fn open(path: &Path) -> io::Result<File> {
    let place = File::options()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)?;
    let found = place.metadata()?;
    visible(path, &found)?;
    if found.dev() != device()? {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let opened = File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))?;
    // SAFETY: `opened` is open, and the request has no argument.
    let kind = unsafe { ioctl::ns_get_nstype(opened.as_raw_fd()) }?;
    match kind == CloneFlags::CLONE_NEWNET.bits() {
        true => Ok(opened),
        false => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// The device of the file system of namespaces.
fn device() -> io::Result<u64> {
    Ok(fs::metadata("/proc/self/ns/net")?.dev())
}

/// The metadata of a network namespace.
///
/// # Errors
///
/// Those of [`open`].
fn metadata(path: &Path) -> io::Result<Metadata> {
    let found = fs::metadata(path)?;
    visible(path, &found)?;
    Ok(found)
}

/// Fails if the kernel hides the namespace from this process. Most kernels refuse to follow a link such
/// as `/proc/PID/ns/net` then. Linux 5.10.261 and later 5.10 show an empty target, and stay at the
/// directory of the link.
fn visible(path: &Path, found: &Metadata) -> io::Result<()> {
    let is_empty = || fs::read_link(path).is_ok_and(|target| target.as_os_str().is_empty());
    match found.is_dir() && is_empty() {
        true => Err(io::ErrorKind::PermissionDenied.into()),
        false => Ok(()),
    }
}

/// The highest ID of a process: `PID_MAX_LIMIT` of the kernel. Inodes of namespaces are higher.
const MAX_PID: u64 = 4 << 20;

/// The file of a name that ip-netns(8) shows.
pub fn path_of(name: &str) -> PathBuf {
    Path::new(NAMES).join(name)
}

/// The names in a directory. There are none if it cannot be read.
pub fn entries(directory: &str) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::rights::tests::unshared;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::process::Command;

    #[test]
    #[ignore = "runs in a mount namespace of its own"]
    fn without_proc() {
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "none", "/proc"]);
        assert!(mount.status().unwrap().success());
        for name in ["blue", "/tmp", "1"] {
            let err = enter(name).unwrap_err().to_string();
            assert!(err.starts_with("/proc is not mounted; "), "{err}");
        }
    }

    /// The name is not to blame if `/proc` is missing.
    #[test]
    fn names_without_proc() {
        let test = "source::netns::tests::without_proc";
        assert_ne!(unshared("-rm", test), Some(false));
    }

    /// A pipe without a writer would block a process that opens it.
    #[test]
    fn other_files() {
        assert!(open(Path::new("/proc/self/ns/net")).is_ok());
        let pipe = std::env::temp_dir().join(format!("knetstat-pipe-{}", std::process::id()));
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let opened = open(&pipe);
        fs::remove_file(&pipe).unwrap();
        let paths = ["/dev/null", "/", "/proc/self/ns/uts", "/proc/self/ns/user"];
        let refused = paths.iter().map(|path| open(Path::new(path)));
        for refused in refused.chain([opened]) {
            let code = refused.map_err(|err| err.raw_os_error());
            assert_eq!(code.err(), Some(Some(libc::EINVAL)));
        }
    }
}
