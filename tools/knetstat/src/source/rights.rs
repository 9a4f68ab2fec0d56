// SPDX-License-Identifier: GPL-2.0

//! The rights of this process, which decide what the module shows.

use procfs::process::Process;
use rustix::system::uname;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// The number of CAP_NET_ADMIN.
const CAP_NET_ADMIN: u32 = 12;

mod ioctl {
    nix::ioctl_none!(ns_get_userns, 0xb7, 0x1);
    nix::ioctl_none!(ns_get_parent, 0xb7, 0x2);
    nix::ioctl_read_bad!(
        ns_get_owner_uid,
        nix::request_code_none!(0xb7, 0x4),
        libc::uid_t
    );
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether this process has CAP_NET_ADMIN over its network namespace; see [`is_net_admin_over`].
pub fn is_net_admin() -> bool {
    File::open("/proc/self/ns/net").is_ok_and(|net| is_net_admin_over(&net))
}

/// Whether this process has CAP_NET_ADMIN over a network namespace: `ns_capable()` of the user
/// namespace that owns it, as `cap_capable()` in `security/commoncap.c` decides. `false` if this
/// cannot be found out.
pub fn is_net_admin_over(net: &File) -> bool {
    let Ok(status) = Process::myself().and_then(|process| process.status()) else {
        return false;
    };
    match right_over(net, status.euid) {
        Ok(Right::Capability) => (status.capeff >> CAP_NET_ADMIN) & 1 == 1,
        Ok(Right::All) => true,
        Ok(Right::None) | Err(_) => false,
    }
}

/// The rights over a namespace that follow from the user namespace that owns it.
#[derive(Debug, PartialEq, Eq)]
enum Right {
    /// This process is in the owner, or in an ancestor of it, so its capabilities count.
    Capability,
    /// This user created the owner, or an ancestor of it, in the user namespace of this process,
    /// and so has all capabilities there; see user_namespaces(7).
    All,
    /// Capabilities in any other user namespace do not count.
    None,
}

/// The rights of a process of this effective user over a namespace.
fn right_over(namespace: &File, euid: u32) -> io::Result<Right> {
    let own = inode(&File::open("/proc/self/ns/user")?)?;
    let mut owner = owner_of(namespace)?;
    loop {
        if inode(&owner)? == own {
            return Ok(Right::Capability);
        }
        // The kernel refuses a parent that this process may not see: an ancestor of its own.
        let Ok(parent) = parent_of(&owner) else {
            return Ok(Right::None);
        };
        if inode(&parent)? == own && creator_of(&owner)? == euid {
            return Ok(Right::All);
        }
        owner = parent;
    }
}

fn inode(namespace: &File) -> io::Result<u64> {
    Ok(namespace.metadata()?.ino())
}

/// The user namespace that owns a namespace.
fn owner_of(namespace: &File) -> io::Result<File> {
    // SAFETY: `namespace` is open, and the request has no argument.
    let fd = unsafe { ioctl::ns_get_userns(namespace.as_raw_fd()) }?;
    // SAFETY: The kernel has just returned this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into())
}

/// The parent of a user namespace.
fn parent_of(namespace: &File) -> io::Result<File> {
    // SAFETY: `namespace` is open, and the request has no argument.
    let fd = unsafe { ioctl::ns_get_parent(namespace.as_raw_fd()) }?;
    // SAFETY: The kernel has just returned this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into())
}

/// The user who created a user namespace.
fn creator_of(namespace: &File) -> io::Result<u32> {
    let mut user = 0;
    // SAFETY: `namespace` is open. The request writes a `uid_t` to its argument, which `user` is.
    unsafe { ioctl::ns_get_owner_uid(namespace.as_raw_fd(), &mut user) }?;
    Ok(user)
}

/// The first two numbers of a release: 6 and 12 of `6.12.90-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    next().zip(next())
}

/// Whether the running kernel is older than this version.
pub fn is_kernel_before(major: u32, minor: u32) -> bool {
    // `/proc/sys` may be missing: with the mount option subset=pid, for example.
    let running = uname();
    let version = running.release().to_str().ok().and_then(version);
    version.is_some_and(|running| running < (major, minor))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::io::Read;
    use std::process::{Command, Stdio};

    /// Runs an ignored test of this program by unshare(1). Returns whether it has passed. `None` if
    /// user namespaces are not allowed.
    pub fn unshared(flags: &str, test: &str) -> Option<bool> {
        let is_allowed = Command::new("unshare").args([flags, "true"]).status();
        if !is_allowed.is_ok_and(|status| status.success()) {
            eprintln!("skipped: unshare {flags} fails");
            return None;
        }
        let mut unshare = Command::new("unshare");
        Some(passes_by(unshare.arg(flags), test))
    }

    /// Whether an ignored test of this program passes if it is run by a command.
    pub fn passes_by(command: &mut Command, test: &str) -> bool {
        command.arg(std::env::current_exe().unwrap());
        let status = command.args(["--exact", "--ignored", test]).status();
        status.unwrap().success()
    }

    #[test]
    #[ignore = "runs in a user namespace that does not own its network namespace"]
    fn in_a_child() {
        assert!(!is_net_admin());
    }

    #[test]
    #[ignore = "runs in a user namespace that owns its network namespace"]
    fn in_an_owner() {
        assert!(is_net_admin());
    }

    /// All capabilities in a user namespace do not count for a network namespace outside of it.
    #[test]
    fn capabilities_over_the_namespace_count() {
        assert_ne!(
            unshared("-r", "source::rights::tests::in_a_child"),
            Some(false)
        );
        assert_ne!(
            unshared("-rn", "source::rights::tests::in_an_owner"),
            Some(false)
        );
    }

    /// The owner of a child user namespace needs no capability, and another user does.
    #[test]
    fn owners_of_user_namespaces() {
        let mut unshare = Command::new("unshare");
        unshare.args(["-rn", "sh", "-c", "echo; exec cat"]);
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = unshare.spawn().unwrap();
        let mut line = [0];
        let is_allowed = child.stdout.as_mut().unwrap().read_exact(&mut line);
        if is_allowed.is_err() {
            child.wait().unwrap();
            return eprintln!("skipped: unshare -rn fails");
        }
        let net = File::open(format!("/proc/{}/ns/net", child.id())).unwrap();
        let euid = nix::unistd::geteuid().as_raw();
        assert_eq!(right_over(&net, euid).unwrap(), Right::All);
        assert_eq!(right_over(&net, euid + 1).unwrap(), Right::Capability);
        let own = File::open("/proc/self/ns/net").unwrap();
        assert_ne!(right_over(&own, euid).unwrap(), Right::All);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    #[ignore = "runs in a mount namespace of its own"]
    fn without_sysctls() {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "none", "/proc/sys"]);
        assert!(mount.status().unwrap().success());
        assert!(is_kernel_before(1000, 0) && !is_kernel_before(2, 6));
    }

    /// The version is known without `/proc/sys`.
    #[test]
    fn a_version_without_sysctls() {
        let test = "source::rights::tests::without_sysctls";
        assert_ne!(unshared("-rm", test), Some(false));
    }

    #[test]
    fn versions() {
        for (release, expected) in [
            ("6.12.90-amd64", Some((6, 12))),
            ("5.10", Some((5, 10))),
            ("6.18+", Some((6, 18))),
            ("6", None),
            ("", None),
        ] {
            assert_eq!(version(release), expected, "{release}");
        }
        assert!(is_kernel_before(1000, 0) && !is_kernel_before(2, 6));
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut parts = release.split(|c: char| !c.is_ascii_digit());
        let mut next = || parts.next().unwrap().parse().unwrap();
        let (major, minor) = (next(), next());
        assert!(!is_kernel_before(major, minor) && is_kernel_before(major, minor + 1));
    }
}
