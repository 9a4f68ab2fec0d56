// SPDX-License-Identifier: GPL-2.0

//! The container of a socket.

use crate::model::row::Row;
use crate::model::truth::Reason;
use crate::source::cgroup::{Cgroup, Container};
use crate::source::process::Owner;
use crate::source::text::word;
use std::fmt;
use std::rc::Rc;

/// The container of a socket, or the unit of systemd: that of the processes that have the socket
/// open, if they agree. A container comes before a unit. If no process is known, it is that of all
/// processes in the network namespace, if they agree.
pub fn container<'a>(row: &Row<'a>, owners: &'a [Owner]) -> Option<Place<'a>> {
    let cgroup = container_cgroup(row, owners).ok()?;
    Place::of(cgroup)
}

/// The control group that determines the container of a socket, or the reason why it is not known.
///
/// # Errors
///
/// The reason, as filters have it.
pub fn container_cgroup<'a>(row: &Row<'a>, owners: &'a [Owner]) -> Result<&'a Rc<Cgroup>, Reason> {
    let found = group_of_container(row, owners)?;
    match found.is_cut {
        true => Err(Reason::CgroupNamespace),
        false => Ok(found),
    }
}

/// Like [`container_cgroup`], but the path of the control group may lack its beginning.
fn group_of_container<'a>(row: &Row<'a>, owners: &'a [Owner]) -> Result<&'a Rc<Cgroup>, Reason> {
    if !owners.is_empty() {
        return of_owners(owners, |a, b| a.container == b.container);
    }
    let netns = row.netns.filter(|netns| netns.is_whole);
    if let Some(netns) = netns.filter(|netns| netns.container().is_some()) {
        return netns.cgroups.first().ok_or(Reason::Shared);
    }
    let Some(netns) = netns.filter(|_| !row.may_lack_owners) else {
        return Err(Reason::Owners);
    };
    // There is none but this process, none of them is in a container, or they are in different ones.
    match &netns.cgroups[..] {
        [only] => Ok(only),
        _ => Err(Reason::Shared),
    }
}

/// The control group of a socket: that of the processes that have it open. If no process is known,
/// it is that of all processes in the network namespace. Those of a container may be in several.
///
/// # Errors
///
/// The reason, as filters have it.
pub fn cgroup<'a>(row: &Row<'a>, owners: &'a [Owner]) -> Result<&'a Rc<Cgroup>, Reason> {
    if !owners.is_empty() {
        return of_owners(owners, |a, b| a == b);
    }
    let found = group_of_container(row, owners)?;
    let is_only = row.netns.is_some_and(|netns| netns.cgroups.len() == 1);
    is_only.then_some(found).ok_or(Reason::Shared)
}

/// The control group of the owners that count, if they are all the `same`: those in a container or,
/// if there are none, those in a unit. Processes may inherit a socket, for example from systemd.
fn of_owners(
    owners: &[Owner],
    same: impl Fn(&Cgroup, &Cgroup) -> bool,
) -> Result<&Rc<Cgroup>, Reason> {
    let rank = |cgroup: &Rc<Cgroup>| match &cgroup.container {
        Some(found) if !found.is_unit() => 0,
        Some(found) if *found.id != *"init.scope" => 1,
        _ => 2,
    };
    let cgroups = || owners.iter().filter_map(Owner::cgroup);
    let first = cgroups().min_by_key(|cgroup| rank(cgroup));
    let first = first.ok_or(Reason::Owners)?;
    let mut others = cgroups().filter(|cgroup| rank(cgroup) == rank(first));
    match others.all(|other| same(first, other)) {
        true => Ok(first),
        false => Err(Reason::Shared),
    }
}

/// A container or a unit, with the host name that processes in it see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub container: &'a Container,
    /// `None` for a unit, and if it is not known.
    pub hostname: Option<&'a str>,
}

impl<'a> Place<'a> {
    pub fn of(cgroup: &'a Cgroup) -> Option<Self> {
        let container = cgroup.container.as_ref()?;
        Some(Self {
            container,
            hostname: cgroup.hostname(),
        })
    }

    /// The text of the list, with the names as they are: without escapes.
    pub fn name(&self) -> String {
        let (runtime, id) = (self.container.runtime.name(), self.container.short_id());
        match self.telling_hostname() {
            Some(hostname) => format!("{runtime}:{id}({hostname})"),
            None => format!("{runtime}:{id}"),
        }
    }

    /// The host name, unless it is only the beginning of the ID, as Docker and Podman give it.
    pub fn telling_hostname(&self) -> Option<&'a str> {
        let id = &self.container.id;
        self.hostname.filter(|name| !id.starts_with(name))
    }
}

/// One word: `RUNTIME:ID`, and the host name in brackets if it tells something.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let container = self.container;
        let id = word(container.short_id());
        write!(f, "{}:{id}", container.runtime.name())?;
        match self.telling_hostname() {
            Some(hostname) => write!(f, "({})", word(hostname)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::columns::{are_known, Column, Key};
    use crate::model::filter::{Filter, KnownOwners};
    use crate::model::row::tests::TCP;
    use crate::model::truth::Truth;
    use crate::source::namespaces::tests::example;
    use crate::source::namespaces::Netns;
    use crate::source::services::Services;

    fn text(path: &str) -> Key {
        Key::Text(path.to_owned())
    }

    fn place(name: &str) -> Key {
        Key::Place {
            name: name.to_owned(),
            shown: name.to_owned(),
        }
    }

    /// The columns Container and Cgroup.
    fn columns() -> [Column; 2] {
        ["container", "cgroup"].map(|name| Column::parse(name).unwrap())
    }

    /// The keys of these columns.
    fn keys(row: &Row<'_>, owners: &[Owner]) -> [Key; 2] {
        columns().map(|column| column.key(row, owners))
    }

    /// A socket without owners in a network namespace.
    fn in_namespace(netns: &Rc<Netns>) -> Row<'_> {
        let row = Row::parse(TCP, b"0 0 1.2.3.4:5 1.2.3.4:6 TIMW").unwrap();
        Row {
            netns: Some(netns),
            ..row
        }
    }

    /// A socket without owners is in no control group that only one of several processes is in.
    #[test]
    fn control_groups_without_owners() {
        const WEB: &str = "/lxc.payload.web";
        const SSHD: &str = "/lxc.payload.web/system.slice/sshd.service";
        const NGINX: &str = "/system.slice/nginx.service";
        for (cgroups, container, cgroup) in [
            (&[WEB][..], place("lxc:web"), text(WEB)),
            (&[WEB, SSHD], place("lxc:web"), Key::Unknown),
            (&[NGINX], place("systemd:nginx.service"), text(NGINX)),
            (&["/"], Key::Nothing, text("/")),
            (&[WEB, NGINX], Key::Unknown, Key::Unknown),
            (&[], Key::Unknown, Key::Unknown),
        ] {
            let netns = example(Some(5), &[], cgroups);
            let row = in_namespace(&netns);
            let found = keys(&row, &[]);
            assert_eq!(found, [container, cgroup], "{cgroups:?}");
            let are_all_known = match found.contains(&Key::Unknown) {
                true => Truth::unknown(Reason::Shared),
                false => Truth::True,
            };
            assert_eq!(are_known(&columns(), &row, &[]), are_all_known);
            // The process that has it open decides.
            let owners = [Owner::new("sshd", 7, 3).in_cgroup(SSHD)];
            assert_eq!(keys(&row, &owners)[1], text(SSHD));
        }
    }

    /// The cgroup namespace of this process may hide the container, but not the path in it.
    #[test]
    fn paths_that_are_cut() {
        let mut netns = Netns::default();
        netns.cgroups.push(Rc::new(Cgroup::cut("/a.service")));
        netns.is_whole = true;
        let netns = Rc::new(netns);
        let row = in_namespace(&netns);
        assert_eq!(keys(&row, &[]), [Key::Unknown, text("/a.service")]);
        let hidden = Truth::unknown(Reason::CgroupNamespace);
        assert_eq!(are_known(&columns(), &row, &[]), hidden);
        for (filter, expected) in [
            ("container", hidden),
            ("not container", hidden),
            ("container=web", hidden),
            ("container!=web", hidden),
            ("container=a.service", Truth::True),
            ("cgroup=/a.service", Truth::True),
        ] {
            let filter = Filter::parse(&[filter.to_owned()], &Services::parse("")).unwrap();
            let truth = filter.test(&row, KnownOwners::default());
            assert_eq!(truth, expected, "{filter:?}");
        }
    }

    /// Processes that differ decide nothing, unless a container counts more than a unit.
    #[test]
    fn several_owners() {
        const A: &str = "/lxc.payload.a/x.service";
        const B: &str = "/lxc.payload.b";
        const UNIT: &str = "/system.slice/nginx.service";
        const INIT: &str = "/init.scope";
        for (cgroups, container, cgroup) in [
            (&[A, A][..], place("lxc:a"), text(A)),
            (&[A, B], Key::Unknown, Key::Unknown),
            (&[A, "/lxc.payload.a"], place("lxc:a"), Key::Unknown),
            (&[UNIT, A], place("lxc:a"), text(A)),
            (&[INIT, UNIT], place("systemd:nginx.service"), text(UNIT)),
            (
                &[UNIT, "/system.slice/b.service"],
                Key::Unknown,
                Key::Unknown,
            ),
            (
                &[UNIT, "/system.slice/nginx.service/a"],
                place("systemd:nginx.service"),
                Key::Unknown,
            ),
            (&["/", "/"], Key::Nothing, text("/")),
        ] {
            let owners = cgroups
                .iter()
                .map(|path| Owner::new("a", 7, 3).in_cgroup(path));
            let owners: Vec<_> = owners.collect();
            let row = Row::parse(TCP, b"0 0 1.2.3.4:5 1.2.3.4:6 ESTB").unwrap();
            assert_eq!(keys(&row, &owners), [container, cgroup], "{cgroups:?}");
        }
    }
}
