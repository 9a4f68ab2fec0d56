// SPDX-License-Identifier: GPL-2.0

//! Control groups of processes, and the containers that their paths name.
//!
//! `/proc/PID/cgroup` gives the path of a control group; see cgroups(7). A container runtime names
//! the control group of a container after the container:
//!
//! | runtime | with systemd | with cgroupfs |
//! |---|---|---|
//! | Docker | `docker-ID.scope` | `docker/ID` |
//! | containerd (nerdctl) | `nerdctl-ID.scope` | `default/ID` |
//! | containerd (ctr) | | `/default/NAME` |
//! | containerd, under Kubernetes | `cri-containerd-ID.scope` | `kubepods/.../podUID/ID` |
//! | CRI-O | `crio-ID.scope` | `kubepods/.../podUID/crio-ID` |
//! | Podman | `libpod-ID.scope` | `libpod_parent/libpod-ID` |
//! | Podman, in a unit (Quadlet) | `NAME.service/libpod-payload-ID` | |
//! | LXC | `lxc.payload.NAME` | `lxc.payload.NAME`, `lxc/NAME` |
//! | systemd-nspawn | `systemd-nspawn@NAME.service/payload`, `machine-NAME.scope/payload` | |
//!
//! The other parts of these units are the monitors of containers, which run outside of them. The
//! virtual machines of libvirt have units `machine-qemu-...scope`, but no `payload`.
//!
//! systemd-nspawn may also run in a unit of another name, such as `container@NAME.service` of NixOS. Its
//! control group is `UNIT/payload`, and systemd-machined(8) knows the name of the container.
//!
//! Except for ctr, LXC and systemd-nspawn, these runtimes give an OCI runtime such as runc the name of a control
//! group for systemd as `SLICE:PREFIX:ID`. If the OCI runtime was told to use cgroupfs instead, it takes
//! this for a path, for example below the control group of containerd:
//! `containerd.service/kubepods-burstable-podUID.slice:cri-containerd:ID`.
//!
//! Kubernetes puts the containers of a pod into `kubepods-...-podUID.slice` or `podUID`. In the
//! former, systemd requires that the hyphens of the UID are underscores.

use crate::source::proc_mount::{has_kthreadd, is_in_initial_namespace, KTHREADD};
use crate::source::text::{is_name, readable, unescape};
use crate::source::thread::on_new_thread;
use nix::errno::Errno;
use nix::sched::{setns, CloneFlags};
use nix::unistd::gethostname;
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::LazyLock;
use std::{fs, io};

/// The length of the ID of a container: 32 bytes in hexadecimal digits.
const ID: usize = 64;

/// The length of the UID of a pod: that of a UUID, with or without hyphens.
const UIDS: [usize; 2] = [36, 32];

/// A control group.
#[derive(Debug)]
pub struct Cgroup {
    /// The path, as `/proc/PID/cgroup` gives it.
    pub path: Box<str>,
    /// The container or, if it is none, the unit of systemd.
    pub container: Option<Container>,
    /// Whether the path names no container, but may lack its beginning, which may name one: this
    /// process is in a cgroup namespace.
    pub is_cut: bool,
    hostname: Rc<Hostname>,
}

/// The host name that the processes of a container see. `None` in the cell if no process will
/// reveal it.
#[derive(Debug, Default)]
pub struct Hostname(OnceCell<Option<Box<str>>>);

/// The host names of containers, each of which may have several control groups. The key has what the
/// path names before the container: the name of a container may be used again in another one.
pub type Hostnames = HashMap<(Box<str>, Container), Rc<Hostname>>;

/// Control groups are the same if their paths are.
impl PartialEq for Cgroup {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Cgroup {}

impl Hash for Cgroup {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

/// A container, or a unit of systemd.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Container {
    pub runtime: Runtime,
    /// The ID that the runtime gave it; the name of a container of LXC or systemd-nspawn, or of a
    /// unit.
    pub id: Box<str>,
    /// The UID of its pod, if it belongs to a pod of Kubernetes.
    pub pod: Option<Box<str>>,
}

/// The software that made a control group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    Docker,
    Containerd,
    CriO,
    Podman,
    /// A container of Kubernetes whose control group does not name the runtime.
    Kubernetes,
    /// A container whose control group names neither the runtime nor Kubernetes, for example below a
    /// parent that an administrator chose.
    Unknown,
    Lxc,
    Nspawn,
    /// A unit of systemd: a service, scope or slice that is no container.
    Systemd,
}

impl Runtime {
    pub fn name(self) -> &'static str {
        match self {
            Runtime::Docker => "docker",
            Runtime::Containerd => "containerd",
            Runtime::CriO => "cri-o",
            Runtime::Podman => "podman",
            Runtime::Kubernetes => "kubernetes",
            Runtime::Unknown => "unknown",
            Runtime::Lxc => "lxc",
            Runtime::Nspawn => "nspawn",
            Runtime::Systemd => "systemd",
        }
    }
}

impl Cgroup {
    /// The path of the control group of a process or thread. `directory` is its directory below
    /// `/proc`. `None` if it has ended, or if no control groups are mounted.
    pub fn path_of(directory: &str) -> Option<Box<str>> {
        let text = fs::read(format!("/proc/{directory}/cgroup")).ok()?;
        path(&String::from_utf8_lossy(&text)).map(Into::into)
    }

    /// The control group of this path, if no other file says whose it is.
    pub fn at(path: &str) -> Self {
        Self {
            path: path.into(),
            container: container(path),
            is_cut: false,
            hostname: Rc::default(),
        }
    }

    /// The control group of this path on this machine.
    pub fn here(path: &str) -> Self {
        let mut group = Self::at(path);
        if group.container.as_ref().is_some_and(Container::is_unit) {
            let machine = payload_units(path).find_map(machine);
            group.container = machine.or(group.container);
        }
        group.at_depth(*DEPTH)
    }

    /// This control group, if the root of its path is at this depth; see [`DEPTH`].
    fn at_depth(mut self, depth: Option<usize>) -> Self {
        let is_named = self
            .container
            .as_ref()
            .is_some_and(|found| !found.is_unit());
        let (height, _) = ascent(self.path.as_bytes());
        self.is_cut = !is_named && depth != Some(height);
        self
    }

    /// A control group whose path may lack its beginning.
    #[cfg(test)]
    pub fn cut(path: &str) -> Self {
        Self::at(path).at_depth(None)
    }

    /// This control group with the host name of its container, which may be in `known`.
    pub fn share_hostname(mut self, known: &mut Hostnames) -> Self {
        let container = self.container.clone().filter(|found| !found.is_unit());
        if let Some(container) = container {
            let key = (outside(&self.path), container);
            self.hostname = Rc::clone(known.entry(key).or_default());
        }
        self
    }

    /// The host name that processes in it see, if it was looked up and found.
    pub fn hostname(&self) -> Option<&str> {
        self.hostname.0.get()?.as_deref()
    }

    /// Looks up the host name that a process in it sees, unless it is known. The group of a unit has
    /// none.
    pub fn look_up_hostname(&self, pid: i32) {
        self.look_up(|| hostname(pid));
    }

    fn look_up(&self, hostname: impl FnOnce() -> io::Result<Option<Box<str>>>) {
        let is_unit = self.container.as_ref().is_none_or(Container::is_unit);
        if is_unit || self.hostname.0.get().is_some() {
            return;
        }
        // The next process may reveal it.
        if let Ok(found) = hostname() {
            self.hostname.0.get_or_init(|| found);
        }
    }

    /// This control group with a host name.
    #[cfg(test)]
    pub fn with_hostname(self, name: &str) -> Self {
        self.look_up(|| Ok(Some(name.into())));
        self
    }

    /// Whether this is the control group `path`, or one below it. The path may be written with the
    /// escapes of a list.
    pub fn is_in(&self, path: &str) -> bool {
        let (height, own) = ascent(self.path.as_bytes());
        let is_below = |path: &[u8]| {
            let path = path.strip_suffix(b"/").unwrap_or(path);
            let (other, path) = ascent(path);
            match other.cmp(&height) {
                Ordering::Less => false,
                Ordering::Equal => {
                    let rest = own.strip_prefix(path);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
                }
                // A group above the root of paths contains all that the root does. Other groups
                // beside or below it do not.
                Ordering::Greater => path.is_empty(),
            }
        };
        is_below(path.as_bytes()) || is_below(&unescape(path))
    }
}

/// The inode of the initial cgroup namespace: `PROC_CGROUP_INIT_INO` in `include/linux/proc_ns.h`.
const INITIAL_NAMESPACE: u64 = 0xefff_fffb;

/// The number of control groups above the root of paths, which is that of the cgroup namespace of
/// this process. It never enters another one. `None` if the number is not known.
///
/// A path outside of the namespace begins with a `/..` for each of these groups that it is not
/// below; see cgroup_namespaces(7). So a path is whole if it begins with one for all of them.
static DEPTH: LazyLock<Option<usize>> = LazyLock::new(|| {
    if is_in_initial_namespace("cgroup", INITIAL_NAMESPACE).unwrap_or(false) {
        return Some(0);
    }
    // The kernel never moves kthreadd out of the root of the machine.
    let path = format!("/proc/{KTHREADD}/cgroup");
    let text = has_kthreadd().then(|| fs::read_to_string(path));
    depth(&text?.ok()?)
});

/// The number of control groups above the root of paths, by the file `cgroup` of a process in the
/// root of the machine. `None` if hierarchies of version 1 differ.
fn depth(text: &str) -> Option<usize> {
    let depths = text.lines().map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        let (depth, rest) = ascent(path.as_bytes());
        matches!(rest, b"" | b"/").then_some(depth)
    });
    let depths: Option<Vec<_>> = depths.collect();
    let depths = depths?;
    let first = depths.first().copied()?;
    depths.iter().all(|depth| *depth == first).then_some(first)
}

/// The number of parts `..` at the beginning of a path, and what follows them.
fn ascent(path: &[u8]) -> (usize, &[u8]) {
    let (mut count, mut rest) = (0, path);
    while let Some(below) = rest.strip_prefix(b"/..") {
        if !below.is_empty() && !below.starts_with(b"/") {
            break;
        }
        (count, rest) = (count + 1, below);
    }
    (count, rest)
}

/// Whether this machine has control groups, so that each process is in one.
pub fn exist() -> bool {
    static EXIST: LazyLock<bool> = LazyLock::new(|| Cgroup::path_of("self").is_some());
    *EXIST
}

/// The host name that a process sees. `None` if this process may not enter its UTS namespace, which
/// needs CAP_SYS_ADMIN, so that other processes would not help.
///
/// # Errors
///
/// If the process has ended, if this process may not examine it, or if no thread can be started.
fn hostname(pid: i32) -> io::Result<Option<Box<str>>> {
    hostname_in(fs::File::open(format!("/proc/{pid}/ns/uts"))?)
}

/// The host name in a UTS namespace. See [`hostname`].
fn hostname_in(uts: fs::File) -> io::Result<Option<Box<str>>> {
    // Linux 5.10.261 and later 5.10 open the directory of the link instead of a namespace that they
    // hide from this process.
    if uts.metadata()?.is_dir() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let enter = || match setns(uts, CloneFlags::CLONE_NEWUTS) {
        Ok(()) => Ok(gethostname().ok().and_then(|name| name.into_string().ok())),
        Err(Errno::EPERM) => Ok(None),
        Err(err) => Err(io::Error::from(err)),
    };
    // Only a thread enters it, and it ends here.
    Ok(on_new_thread(enter)??.map(Into::into))
}

/// The units of systemd that have a subgroup `payload` in a path, the innermost first.
fn payload_units(path: &str) -> impl Iterator<Item = &str> {
    path.rsplit('/')
        .skip(1)
        .zip(path.rsplit('/'))
        .filter_map(|(unit, below)| {
            let is_unit = unit.ends_with(".service") || unit.ends_with(".scope");
            (is_unit && below == "payload").then_some(unit)
        })
}

/// The container whose processes are in this unit, if systemd-machined(8) has such a unit.
fn machine(unit: &str) -> Option<Container> {
    let name = fs::read_link(format!("/run/systemd/machines/unit:{unit}")).ok()?;
    Some(Container {
        runtime: Runtime::Nspawn,
        id: name.to_str()?.into(),
        pod: None,
    })
}

/// The path in `/proc/PID/cgroup`. Version 1 has one for each hierarchy: that of systemd counts, or
/// the first that names a container.
fn path(text: &str) -> Option<&str> {
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        Some((controllers, path))
    });
    let lines: Vec<_> = lines.collect();
    let is_real = |path: &str| container(path).is_some_and(|found| !found.is_unit());
    let of_container = lines.iter().find(|(_, path)| is_real(path));
    let of_systemd = || lines.iter().find(|(name, _)| *name == "name=systemd");
    let found = of_container.or_else(of_systemd).or(lines.last())?;
    Some(found.1)
}

/// The parts of a path.
fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// The innermost container among the parts of a path: a container may run in another one. The number
/// is that of the parts before it.
fn innermost(parts: &[&str]) -> Option<(usize, Runtime, String)> {
    let mut found = None;
    for (at, part) in parts.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |at| parts[at]);
        let after = parts.get(at + 1).copied();
        let container = of_part(part, before, after);
        found = container.map(|(runtime, id)| (at, runtime, id)).or(found);
        // A client of containerd chooses the name, and the first part is containerd's namespace.
        if at == 1 && before == "default" && found.is_none() {
            found = Some((at, Runtime::Containerd, (*part).to_owned()));
        }
    }
    found
}

/// The part of a path before the container that it names.
fn outside(path: &str) -> Box<str> {
    let parts = parts(path);
    let count = innermost(&parts).map_or(0, |(at, _, _)| at);
    parts[..count].join("/").into()
}

/// The container that a path names, or the unit.
fn container(path: &str) -> Option<Container> {
    let parts = parts(path);
    // The innermost pod, too: a node of a cluster may be a container of a pod.
    let pod = parts.iter().rev().find_map(|part| pod_uid(part));
    if let Some((_, runtime, id)) = innermost(&parts) {
        let pod = pod.map(Into::into);
        let id = id.into();
        return Some(Container { runtime, id, pod });
    }
    let is_unit = |(at, part): &(usize, &&str)| {
        let (name, kind) = part.rsplit_once('.').unwrap_or_default();
        // The manager of a user's units has an `init.scope` below its own unit.
        let is_of_user = parts[..*at].iter().any(|part| part.starts_with("user@"));
        let is_manager = is_of_user && **part == "init.scope";
        let is_kind = matches!(kind, "service" | "scope" | "socket" | "mount" | "swap");
        !name.is_empty() && is_kind && !is_manager
    };
    let (_, unit) = parts.iter().enumerate().rev().find(is_unit)?;
    Some(Container {
        runtime: Runtime::Systemd,
        id: (*unit).into(),
        pod: None,
    })
}

/// The container that a part of a path names. `before` and `after` are the parts beside it.
fn of_part(part: &str, before: &str, after: Option<&str>) -> Option<(Runtime, String)> {
    let unit = part.strip_suffix(".scope");
    let of_unit = unit.unwrap_or(part).rsplit_once('-');
    let for_systemd = for_systemd(part).map(|(_, prefix, id)| (prefix, id));
    if let Some((prefix, id)) = for_systemd.or(of_unit) {
        let runtime = match prefix {
            "docker" => Some(Runtime::Docker),
            "cri-containerd" | "nerdctl" => Some(Runtime::Containerd),
            "crio" => Some(Runtime::CriO),
            "libpod" | "libpod-payload" => Some(Runtime::Podman),
            _ => None,
        };
        // Others, such as `libpod-conmon-ID.scope`, are the monitors of containers.
        if let Some(runtime) = runtime.filter(|_| is_id(id)) {
            return Some((runtime, id.to_owned()));
        }
    }
    if is_id(part) {
        let runtime = match before {
            "docker" | "moby" => Runtime::Docker,
            _ if pod_uid(before).is_some() => Runtime::Kubernetes,
            "default" | "k8s.io" => Runtime::Containerd,
            _ => Runtime::Unknown,
        };
        return Some((runtime, part.to_owned()));
    }
    // LXC puts its own processes into `lxc.monitor.NAME`.
    let of_lxc = part.strip_prefix("lxc.payload.");
    if let Some(name) = of_lxc.or((before == "lxc").then_some(part)) {
        return Some((Runtime::Lxc, name.to_owned()));
    }
    let of_service = part.strip_prefix("systemd-nspawn@");
    let of_service = of_service.and_then(|name| name.strip_suffix(".service"));
    let of_scope = unit.and_then(|unit| unit.strip_prefix("machine-"));
    let name = of_service
        .or(of_scope)
        .filter(|_| after == Some("payload"))?;
    // systemd has the escapes of rows: a hyphen is `\x2d`.
    Some((Runtime::Nspawn, readable(name).into_owned()))
}

/// The slice, the prefix and the ID in `SLICE:PREFIX:ID`.
fn for_systemd(part: &str) -> Option<(&str, &str, &str)> {
    let (slice, rest) = part.split_once(':')?;
    let (prefix, id) = rest.split_once(':')?;
    Some((slice, prefix, id))
}

/// Whether this is the ID of a container.
fn is_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The UID of the pod that a part of a path names.
fn pod_uid(part: &str) -> Option<String> {
    let part = for_systemd(part).map_or(part, |(slice, ..)| slice);
    let slice = part.strip_suffix(".slice");
    let uid = match slice {
        Some(slice) => {
            // A node in a container has a prefix of its own: `kubelet-kubepods-podUID.slice`.
            let (before, uid) = slice.rsplit_once("-pod")?;
            before.contains("kubepods").then_some(uid)?
        }
        None => part.strip_prefix("pod")?,
    };
    let uid = uid.replace('_', "-");
    let is_digit = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    (UIDS.contains(&uid.len()) && uid.bytes().all(is_digit)).then_some(uid)
}

impl Container {
    /// The number of digits of an ID that people see: that of `docker ps` and `podman ps`.
    const SHORT: usize = 12;

    /// Whether it is a unit of systemd, and no container.
    pub fn is_unit(&self) -> bool {
        self.runtime == Runtime::Systemd
    }

    /// The ID as people see it.
    pub fn short_id(&self) -> &str {
        match is_id(&self.id) {
            true => &self.id[..Self::SHORT],
            false => &self.id,
        }
    }

    /// Whether `text` names it: by runtime and ID, by ID, by the first digits of the ID, or by the
    /// UID of its pod. The name may be written as the list shows it: with escapes, and with the host
    /// name in brackets behind it, which is ignored.
    pub fn is(&self, text: &str) -> bool {
        let shown = text.strip_suffix(')').and_then(|text| text.split_once('('));
        self.has_name(text) || shown.is_some_and(|(name, _)| self.has_name(name))
    }

    fn has_name(&self, text: &str) -> bool {
        let id = match text.split_once(':') {
            Some((runtime, id)) if runtime == self.runtime.name() => id,
            _ => text,
        };
        let is_short = is_id(&self.id) && id.len() >= Self::MIN && self.id.starts_with(id);
        is_short || is_name(id, &self.id) || self.pod.as_deref() == Some(text)
    }

    /// The least number of digits that name a container. Fewer could be a word.
    const MIN: usize = 4;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::place::Place;
    use crate::source::rights;
    use crate::source::text::word;
    use proptest::prelude::*;

    const HEX: &str = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970";
    const UID: &str = "74c13223-5a00-11e9-b385-42010a80018d";

    fn found(path: &str) -> Option<(String, Option<String>)> {
        let container = Cgroup::at(path).container?;
        let name = format!("{}:{}", container.runtime.name(), container.id);
        Some((name, container.pod.map(String::from)))
    }

    /// Paths as the documentation and the sources of the runtimes show them.
    #[test]
    fn containers() {
        let uid = UID.replace('-', "_");
        for (path, runtime, id, has_pod) in [
            ("/system.slice/docker-HEX.scope", "docker", HEX, false),
            ("/docker/HEX", "docker", HEX, false),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-HEX.scope",
                "docker",
                HEX,
                false,
            ),
            ("/system.slice/docker-HEX.scope/init.scope", "docker", HEX, false),
            ("/../../docker-HEX.scope", "docker", HEX, false),
            ("/kubepods.slice/kubepods-podUUU.slice/docker-HEX.scope", "docker", HEX, true),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUUU.slice/\
                cri-containerd-HEX.scope",
                "containerd",
                HEX,
                true,
            ),
            ("/kubepods.slice/kubepods-podUUU.slice/crio-HEX.scope", "cri-o", HEX, true),
            ("/kubepods/besteffort/podUID/crio-HEX", "cri-o", HEX, true),
            ("/kubepods/burstable/podUID/HEX", "kubernetes", HEX, true),
            ("/kubepods/podUID/HEX", "kubernetes", HEX, true),
            // A node of Kubernetes in a container of Docker: kind.
            (
                "/docker/0123456789012345678901234567890123456789012345678901234567890123/kubelet.slice/\
                kubelet-kubepods.slice/kubelet-kubepods-podUUU.slice/cri-containerd-HEX.scope",
                "containerd",
                HEX,
                true,
            ),
            // A node that is a container of a pod: the innermost pod counts.
            (
                "/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice/\
                cri-containerd-0123456789012345678901234567890123456789012345678901234567890123.scope/\
                kubelet.slice/kubelet-kubepods-podUUU.slice/cri-containerd-HEX.scope",
                "containerd",
                HEX,
                true,
            ),
            // The names for systemd, as paths of cgroupfs.
            (
                "/system.slice/containerd.service/kubepods-burstable-podUUU.slice:cri-containerd:HEX",
                "containerd",
                HEX,
                true,
            ),
            ("/kubepods-besteffort-podUUU.slice:cri-containerd:HEX", "containerd", HEX, true),
            ("/kubepods-podUUU.slice:cri-containerd:HEX/init.scope", "containerd", HEX, true),
            ("/kubepods-burstable-podUUU.slice:crio:HEX", "cri-o", HEX, true),
            ("/kubepods-podUUU.slice:docker:HEX", "docker", HEX, true),
            ("/system.slice/system.slice:docker:HEX", "docker", HEX, false),
            ("/system.slice:nerdctl:HEX", "containerd", HEX, false),
            ("/machine.slice:libpod:HEX", "podman", HEX, false),
            // A step of docker build, whose ID is shorter.
            ("/system.slice/system.slice:docker:jvifp9a6b1lxa1kuw8bwfcovf", "", "", false),
            (
                "/system.slice/containerd.service/a:cri-containerd:4f797c",
                "systemd",
                "containerd.service",
                false,
            ),
            ("/system.slice/nerdctl-HEX.scope", "containerd", HEX, false),
            ("/default/HEX", "containerd", HEX, false),
            ("/default/pg-ctr", "containerd", "pg-ctr", false),
            ("/system.slice/default/pg-ctr", "", "", false),
            ("/machine.slice/libpod-HEX.scope", "podman", HEX, false),
            ("/machine.slice/libpod-HEX.scope/container", "podman", HEX, false),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-HEX.scope/container",
                "podman",
                HEX,
                false,
            ),
            ("/libpod_parent/libpod-HEX", "podman", HEX, false),
            ("/lxc.payload.web", "lxc", "web", false),
            ("/lxc.payload.web/system.slice/nginx.service", "lxc", "web", false),
            ("/lxc/web", "lxc", "web", false),
            (
                "/machine.slice/systemd-nspawn@web.service/payload/system.slice/sshd.service",
                "nspawn",
                "web",
                false,
            ),
            (r"/machine.slice/machine-web\x2d1.scope/payload", "nspawn", "web-1", false),
            (
                r"/machine.slice/machine-qemu\x2d1\x2dvm1.scope/libvirt",
                "systemd",
                r"machine-qemu\x2d1\x2dvm1.scope",
                false,
            ),
            (
                "/machine.slice/systemd-nspawn@web.service/supervisor",
                "systemd",
                "systemd-nspawn@web.service",
                false,
            ),
            (
                "/system.slice/container-web.service/payload",
                "systemd",
                "container-web.service",
                false,
            ),
            ("/system.slice/nginx.service/libpod-payload-HEX", "podman", HEX, false),
            ("/system.slice/nginx.service/runtime", "systemd", "nginx.service", false),
            ("/ecs/task/HEX", "unknown", HEX, false),
            ("/../HEX", "unknown", HEX, false),
            ("/system.slice/nginx.service", "systemd", "nginx.service", false),
            ("/user.slice/user-0.slice/session-3.scope", "systemd", "session-3.scope", false),
            (
                "/user.slice/user-0.slice/user@0.service/app.slice/a.service/b",
                "systemd",
                "a.service",
                false,
            ),
            // The monitor of a container is outside of it.
            (
                "/machine.slice/libpod-conmon-HEX.scope",
                "systemd",
                "libpod-conmon-HEX.scope",
                false,
            ),
            ("/lxc.monitor.web", "", "", false),
            ("/", "", "", false),
            ("/user.slice", "", "", false),
            ("/init.scope", "systemd", "init.scope", false),
            ("/../../init.scope", "systemd", "init.scope", false),
            // The manager of a user's units is not that of the machine's.
            (
                "/user.slice/user-0.slice/user@0.service/init.scope",
                "systemd",
                "user@0.service",
                false,
            ),
        ] {
            let fill = |text: &str| text.replace("HEX", HEX).replace("UUU", &uid).replace("UID", UID);
            let expected = (!runtime.is_empty()).then(|| {
                let pod = has_pod.then(|| UID.to_owned());
                (format!("{runtime}:{}", fill(id)), pod)
            });
            assert_eq!(found(&fill(path)), expected, "{path}");
        }
    }

    /// A process that has ended does not reveal the host name of its container, but another one may.
    #[test]
    fn hostnames() {
        type Found = io::Result<Option<Box<str>>>;
        let ended = || -> Found { Err(io::ErrorKind::NotFound.into()) };
        let found = |name: &str| -> Found { Ok(Some(name.into())) };
        let container = Cgroup::at(&format!("/docker/{HEX}"));
        for (result, expected) in [
            (ended(), None),
            (ended(), None),
            (found("web-1"), Some("web-1")),
            // It is looked up once.
            (found("web-2"), Some("web-1")),
            (ended(), Some("web-1")),
        ] {
            container.look_up(|| result);
            assert_eq!(container.hostname(), expected);
        }
        // Without the right to enter namespaces, no other process is tried.
        let container = Cgroup::at(&format!("/docker/{HEX}"));
        container.look_up(|| Ok(None));
        container.look_up(|| unreachable!());
        assert_eq!(container.hostname(), None);
        for unit in ["/system.slice/nginx.service", "/"] {
            Cgroup::at(unit).look_up(|| unreachable!());
        }
        assert!(hostname(i32::MAX).is_err());
        let own = hostname(std::process::id().try_into().unwrap()).unwrap();
        let expected = gethostname().unwrap();
        assert!(own.is_none_or(|own| *own == *expected.to_str().unwrap()));
        // A namespace that the kernel hides, and one of another kind. The next process is tried.
        for path in ["/proc/self/ns", "/proc/self/ns/net"] {
            let found = hostname_in(fs::File::open(path).unwrap());
            assert!(found.is_err() || !rights::is_root(), "{path}");
        }
    }

    /// The control groups of a container have one host name, whichever of them reveals it.
    #[test]
    fn hostnames_of_containers() {
        let mut known = Hostnames::new();
        let paths = ["web", "web/sshd.service", "db"].map(|name| format!("/lxc.payload.{name}"));
        let [web, sshd, db] = paths.map(|path| Cgroup::at(&path).share_hostname(&mut known));
        sshd.look_up(|| Ok(Some("web-1".into())));
        let names = [web, sshd, db].map(|group| group.hostname().map(str::to_owned));
        assert_eq!(names, [Some("web-1".to_owned()), names[0].clone(), None]);
        Cgroup::at("/a.service").share_hostname(&mut known);
        assert_eq!(known.len(), 2);
        // A container in this one has a name of its own, although it is called the same.
        let inner = Cgroup::at("/lxc.payload.web/lxc.payload.web").share_hostname(&mut known);
        assert_eq!(inner.hostname(), None);
    }

    #[test]
    fn units_of_machines() {
        for (path, expected) in [
            (
                "/system.slice/container-web.service/payload",
                &["container-web.service"][..],
            ),
            (
                "/a.slice/a.service/payload/system.slice/b.scope/payload/c.service",
                &["b.scope", "a.service"],
            ),
            ("/a.slice/a.service/supervisor", &[]),
            ("/a.slice/payload", &[]),
            ("/payload", &[]),
            ("/", &[]),
        ] {
            assert!(payload_units(path).eq(expected.iter().copied()), "{path}");
        }
    }

    #[test]
    fn files() {
        let of_version_1 = format!(
            "12:cpuset:/\n11:memory:/docker/{HEX}\n1:name=systemd:/docker/{HEX}\n0::/system.slice/d.service\n"
        );
        let docker = format!("/docker/{HEX}");
        let for_systemd = format!(
            "11:memory:/kubepods-pod{UID}.slice:cri-containerd:{HEX}\n\
            1:name=systemd:/system.slice/containerd.service\n"
        );
        let path_for_systemd = for_systemd.lines().next().unwrap();
        let path_for_systemd = path_for_systemd.strip_prefix("11:memory:").unwrap();
        for (text, expected) in [
            (
                "0::/system.slice/nginx.service\n",
                Some("/system.slice/nginx.service"),
            ),
            (&of_version_1, Some(docker.as_str())),
            ("2:cpu:/\n1:name=systemd:/init.scope\n", Some("/init.scope")),
            ("0::/a:b\n", Some("/a:b")),
            (&for_systemd, Some(path_for_systemd)),
            ("", None),
        ] {
            assert_eq!(path(text), expected, "{text}");
        }
        let own = Cgroup::path_of("self").unwrap();
        let text = fs::read_to_string("/proc/self/cgroup").unwrap();
        assert!(text.contains(&*own), "{text}");
    }

    /// In a cgroup namespace, a path without a container may be below one.
    #[test]
    fn paths_that_are_cut() {
        const NGINX: &str = "/system.slice/nginx.service";
        for (path, depth, expected) in [
            ("/", None, true),
            ("/", Some(0), false),
            ("/", Some(2), true),
            (NGINX, None, true),
            (NGINX, Some(0), false),
            (NGINX, Some(3), true),
            // It is known to be outside of the namespace, but not where.
            ("/../system.slice/nginx.service", None, true),
            // A pod of a node that is a container: /docker/NODE/kubelet.slice/POD is the root.
            ("/../../system.slice/kubelet.service", Some(4), true),
            ("/../../../../system.slice/nginx.service", Some(4), false),
            ("/../..", Some(2), false),
            ("/..a/b.service", Some(1), true),
            ("/lxc.payload.web/system.slice/nginx.service", None, false),
            ("/../lxc.payload.web", Some(2), false),
        ] {
            let group = Cgroup::at(path).at_depth(depth);
            assert_eq!(group.is_cut, expected, "{path} {depth:?}");
        }
    }

    #[test]
    fn depths_of_roots() {
        for (text, expected) in [
            ("0::/\n", Some(0)),
            ("0::/../..\n", Some(2)),
            ("9:name=systemd:/..\n8:pids:/..\n0::/..\n", Some(1)),
            ("9:name=systemd:/../..\n0::/\n", None),
            ("0::/a\n", None),
            ("", None),
        ] {
            assert_eq!(depth(text), expected, "{text}");
        }
    }

    #[test]
    fn groups_below() {
        let group = Cgroup::at("/system.slice/nginx.service");
        for (path, expected) in [
            ("/system.slice/nginx.service", true),
            ("/system.slice", true),
            ("/system.slice/", true),
            ("/", true),
            ("/system", false),
            ("/system.slice/nginx", false),
            ("/system.slice/nginx.service/a", false),
        ] {
            assert_eq!(group.is_in(path), expected, "{path}");
        }
        // In a cgroup namespace, a path may lead out of the root.
        for (group, path, expected) in [
            ("/../other", "/", false),
            ("/../other", "/..", true),
            ("/../other", "/../", true),
            ("/../other", "/../other", true),
            ("/../other", "/../..", true),
            ("/../../other", "/..", false),
            ("/../../other", "/../other", false),
            ("/..", "/", false),
            ("/..", "/..", true),
            ("/a", "/..", true),
            ("/a", "/../a", false),
            ("/..a", "/", true),
            ("/..a", "/..", true),
        ] {
            assert_eq!(Cgroup::at(group).is_in(path), expected, "{group} {path}");
        }
    }

    /// Names are found as they are and as a list shows them.
    #[test]
    fn odd_names() {
        for (path, id) in [
            (
                r"/machine.slice/machine-qemu\x2d1.scope",
                r"machine-qemu\x2d1.scope",
            ),
            ("/system.slice/a,b (c).service", "a,b (c).service"),
            ("/user.slice/gr\u{fc}n.service", "gr\u{fc}n.service"),
        ] {
            let group = Cgroup::at(path);
            for path in [path, &word(path)] {
                assert!(group.is_in(path), "{path}");
            }
            let unit = group.container.as_ref().unwrap();
            let place = Place::of(&group).unwrap().to_string();
            for text in [id, &format!("systemd:{id}"), &word(id), &place] {
                assert!(unit.is(text), "{text}");
            }
        }
        let group = Cgroup::at("/lxc.payload.a(b").with_hostname("c)d");
        let place = Place::of(&group).unwrap().to_string();
        assert_eq!(place, r"lxc:a\x28b(c\x29d)");
        assert_eq!(Place::of(&group).unwrap().name(), "lxc:a(b(c)d)");
        let container = group.container.as_ref().unwrap();
        assert!(container.is(&place) && container.is("a(b") && !container.is("a"));
    }

    #[test]
    fn names() {
        let container = Cgroup::at(&format!("/kubepods/pod{UID}/crio-{HEX}"))
            .container
            .unwrap();
        assert_eq!(container.short_id(), "4f797c539e6c");
        let full = format!("cri-o:{HEX}");
        for (text, expected) in [
            (HEX, true),
            (&full, true),
            ("4f797c539e6c", true),
            ("cri-o:4f797c539e6c", true),
            ("docker:4f797c539e6c", false),
            ("4f79", true),
            ("4f7", false),
            ("4f798", false),
            (UID, true),
            ("", false),
        ] {
            assert_eq!(container.is(text), expected, "{text}");
        }
        let unit = Cgroup::at("/system.slice/nginx.service").container.unwrap();
        assert!(unit.is("nginx.service") && unit.is("systemd:nginx.service") && !unit.is("nginx"));
    }

    proptest! {
        #[test]
        fn any_path(path: String) {
            let group = Cgroup::at(&path);
            prop_assert!(group.is_in("/") || !path.starts_with('/') || path.starts_with("/.."));
            prop_assert!(group.container.is_none_or(|found| !found.id.is_empty()));
        }
    }
}
