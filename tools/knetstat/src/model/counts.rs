// SPDX-License-Identifier: GPL-2.0

//! Counts of sockets: by state, by process, and by their set of options.

use crate::model::options;
use crate::model::place::{self, Place};
use crate::model::row::{Options, Row, State};
use crate::source::cgroup::{Cgroup, Container};
use crate::source::files::Netid;
use crate::source::namespaces::Netns;
use crate::source::process::{Name, Owner};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::rc::Rc;

/// A process or thread, or all of the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    pub name: Name,
    /// `None` if all of the same name are counted together.
    pub pid: Option<i32>,
    /// `None` for a process.
    pub tid: Option<i32>,
}

/// A subject that a socket may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found<T> {
    /// There is none: no process has the socket open, or the process is in no container.
    None,
    /// It is not known: a process that could not be examined may have the socket open.
    Unknown,
    Known(T),
}

/// The subject of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By<'a> {
    All,
    State(Netid, State),
    Process(Found<&'a Process>),
    /// `None` if the network namespace is not known.
    Netns(Option<&'a Netns>),
    Container(Found<Place<'a>>),
    /// `None` if the kernel keeps no options.
    Options(Option<Options<'a>>),
}

impl By<'_> {
    /// The word that is printed.
    pub fn name(&self) -> &'static str {
        match self {
            By::All => "all",
            By::State(..) => "state",
            By::Process(_) => "process",
            By::Netns(_) => "netns",
            By::Container(_) => "container",
            By::Options(_) => "options",
        }
    }
}

/// Counts of sockets. Memory is used for each set of options and each process, not for each socket.
#[derive(Debug, Default)]
pub struct Counts {
    /// Whether processes of the same name are counted separately.
    each_process: bool,
    /// Whether network namespaces and containers are counted.
    all_netns: bool,
    all: u64,
    /// The counts by [`State`], of TCP and of UDP.
    states: [[u64; State::ALL.len()]; 2],
    processes: HashMap<Process, u64>,
    /// The sockets that no process has open.
    without_process: u64,
    /// The sockets of which no process is known, although one may have them open.
    unknown_process: u64,
    namespaces: HashMap<Option<Rc<Netns>>, u64>,
    /// The counts of containers, each with a control group of it. `None` is no container.
    containers: HashMap<Option<Container>, (u64, Rc<Cgroup>)>,
    unknown_container: u64,
    options: HashMap<Box<str>, u64>,
    without_options: u64,
}

impl Counts {
    /// Counts of no sockets. With `each_process`, processes of the same name are counted
    /// separately. With `all_netns`, network namespaces and containers are counted, too.
    pub fn new(each_process: bool, all_netns: bool) -> Self {
        Self {
            each_process,
            all_netns,
            ..Self::default()
        }
    }

    /// The number of all sockets.
    pub fn all(&self) -> u64 {
        self.all
    }

    /// Counts a socket.
    pub fn add(&mut self, row: &Row<'_>, owners: &[Owner]) {
        self.all += 1;
        self.states[row.file.netid as usize][row.state as usize] += 1;
        if row.has_options() {
            let list = options::settings(row);
            match self.options.get_mut(&*list) {
                Some(count) => *count += 1,
                None => _ = self.options.insert(list.into(), 1),
            }
        } else {
            self.without_options += 1;
        }
        if self.all_netns {
            *self.namespaces.entry(row.netns.cloned()).or_default() += 1;
            match place::container_cgroup(row, owners) {
                Ok(cgroup) => {
                    let entry = self.containers.entry(cgroup.container.clone());
                    let (count, _) = entry.or_insert_with(|| (0, Rc::clone(cgroup)));
                    *count += 1;
                }
                Err(_) => self.unknown_container += 1,
            }
        }
        let each_process = self.each_process;
        let process_of = |owner: &Owner| Process {
            name: owner.name().clone(),
            pid: each_process.then_some(owner.pid()),
            tid: owner.tid().filter(|_| each_process),
        };
        // Count a process once, even if it has several descriptors of the socket.
        let mut processes: Vec<_> = owners.iter().map(process_of).collect();
        processes.sort_unstable();
        processes.dedup();
        for process in processes {
            *self.processes.entry(process).or_default() += 1;
        }
        match row.may_lack_owners {
            _ if !owners.is_empty() => {}
            true => self.unknown_process += 1,
            false => self.without_process += 1,
        }
    }

    /// All counts by kind, the highest of each kind first.
    pub fn lines(&self) -> Vec<(u64, By<'_>)> {
        let mut lines = vec![(self.all, By::All)];
        let mut states: Vec<_> = [Netid::Tcp, Netid::Udp]
            .into_iter()
            .flat_map(|netid| State::ALL.map(|(state, ..)| (netid, state)))
            .map(|(netid, state)| (self.states[netid as usize][state as usize], netid, state))
            .filter(|(count, ..)| *count > 0)
            .collect();
        // The sort is stable: equal counts stay in the order of states.
        states.sort_by_key(|(count, ..)| Reverse(*count));
        let of_state = |(count, netid, state)| (count, By::State(netid, state));
        lines.extend(states.into_iter().map(of_state));

        let known = self.processes.iter();
        let known = known.map(|(process, count)| (Found::Known(process), *count));
        let others = [
            (Found::None, self.without_process),
            (Found::Unknown, self.unknown_process),
        ];
        let others = others.into_iter().filter(|(_, count)| *count > 0);
        let mut processes: Vec<_> = known.chain(others).collect();
        processes.sort_by_key(|(found, count)| (Reverse(*count), *found));
        let processes = processes.into_iter();
        lines.extend(processes.map(|(found, count)| (count, By::Process(found))));

        let mut namespaces: Vec<_> = self.namespaces.iter().collect();
        namespaces.sort_by_key(|(netns, count)| {
            (Reverse(**count), netns.as_ref().map(|netns| netns.id()))
        });
        for (netns, count) in namespaces {
            lines.push((*count, By::Netns(netns.as_deref())));
        }

        let known = self.containers.values().map(|(count, cgroup)| {
            let place = Place::of(cgroup);
            (*count, place.map_or(Found::None, Found::Known))
        });
        let unknown = (self.unknown_container, Found::Unknown);
        let unknown = Some(unknown).filter(|(count, _)| *count > 0);
        let mut containers: Vec<_> = known.chain(unknown).collect();
        containers.sort_by_key(|(count, found)| {
            let id =
                |place: &Place<'_>| (place.container.runtime.name(), place.container.id.clone());
            let found = match found {
                Found::None => Found::None,
                Found::Unknown => Found::Unknown,
                Found::Known(place) => Found::Known(id(place)),
            };
            (Reverse(*count), found)
        });
        let containers = containers.into_iter();
        lines.extend(containers.map(|(count, found)| (count, By::Container(found))));

        let options = self.options.iter();
        let mut options: Vec<_> = options
            .map(|(list, count)| (*count, Some(&**list)))
            .collect();
        if self.without_options > 0 {
            options.push((self.without_options, None));
        }
        options.sort_by_key(|(count, list)| (Reverse(*count), *list));
        let of_list = |(count, list): (u64, Option<_>)| (count, By::Options(list.map(Options)));
        lines.extend(options.into_iter().map(of_list));
        lines
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::model::row::tests::{TCP, UDP};
    use crate::source::namespaces::tests::example as netns;
    use proptest::prelude::*;

    pub fn example(each: bool) -> Counts {
        let mut counts = Counts::new(each, false);
        for (file, line, owners) in [
            (
                TCP,
                "0 0 1.2.3.4:1 1.2.3.4:5 ESTB A=1,TCP_QUICKACK=0,B=2,uid=0,ino=1",
                vec![Owner::new("a b", 7, 3)],
            ),
            (
                TCP,
                "0 9 1.2.3.4:2 1.2.3.4:5 ESTB >| A=1,B=2,uid=9,ino=2",
                vec![
                    Owner::new("a b", 7, 4),
                    Owner::new("a b", 7, 5),
                    Owner::new("a b", 8, 5),
                    Owner::new("c", 9, 3),
                ],
            ),
            (TCP, "0 0 1.2.3.4:3 1.2.3.4:5 TIMW", vec![]),
            (UDP, "0 0 1.2.3.4:3 0.0.0.0:* A=0x1,uid=0,ino=3", vec![]),
        ] {
            counts.add(&Row::parse(file, line.as_bytes()).unwrap(), &owners);
        }
        counts
    }

    #[test]
    fn processes_of_one_name() {
        let counts = example(true);
        let processes: Vec<_> = counts
            .lines()
            .into_iter()
            .filter_map(|(count, by)| match by {
                By::Process(Found::Known(process)) => Some((count, Some(process.clone()))),
                By::Process(Found::None) => Some((count, None)),
                _ => None,
            })
            .collect();
        let process = |name: &str, pid| {
            let (name, pid) = (name.into(), Some(pid));
            Some(Process {
                name,
                pid,
                tid: None,
            })
        };
        assert_eq!(
            processes,
            [
                (2, None),
                (2, process("a b", 7)),
                (1, process("a b", 8)),
                (1, process("c", 9)),
            ]
        );
    }

    /// Namespaces and containers are counted on demand. A container in several control groups is one.
    #[test]
    fn namespaces_and_containers() {
        let mut counts = Counts::new(false, true);
        let (blue, red) = (netns(Some(5), &["blue"], &[]), netns(Some(6), &[], &[]));
        let row = Row::parse(TCP, b"0 0 1.2.3.4:1 1.2.3.4:5 ESTB A=1,uid=0,ino=1").unwrap();
        for (netns, cgroup) in [
            (&blue, Some("/lxc.payload.web")),
            (&blue, Some("/lxc.payload.web/system.slice/a.service")),
            (&blue, None),
            (&red, Some("/")),
            (&red, Some("/system.slice/a.service")),
        ] {
            let owner = cgroup.map(|path| Owner::new("a", 7, 3).in_cgroup(path));
            let row = Row {
                netns: Some(netns),
                ..row
            };
            counts.add(&row, owner.as_slice());
        }
        let lines = counts.lines();
        let of = |name: &str| -> Vec<_> {
            let lines = lines.iter().filter(|(_, by)| by.name() == name);
            lines
                .map(|(count, by)| match by {
                    By::Netns(netns) => (*count, netns.and_then(Netns::name)),
                    By::Container(Found::Known(place)) => {
                        (*count, Some(place.container.id.to_string()))
                    }
                    By::Container(Found::Unknown) => (*count, Some("?".to_owned())),
                    By::Container(Found::None) => (*count, None),
                    _ => unreachable!(),
                })
                .collect()
        };
        let named = |count, name: &str| (count, Some(name.to_owned()));
        assert_eq!(of("netns"), [named(3, "blue"), named(2, "6")]);
        assert_eq!(
            of("container"),
            [
                named(2, "web"),
                (1, None),
                named(1, "?"),
                named(1, "a.service")
            ]
        );
    }

    proptest! {
        /// Each socket is counted once by state and by options, and by process at least once.
        #[test]
        fn nothing_is_left_out(
            rows in prop::collection::vec((0..4usize, 0..3u8, prop::collection::vec((0..2usize, 0..3i32), 0..4)), 0..20),
            each: bool,
        ) {
            let mut counts = Counts::new(each, false);
            for (state, option, owners) in &rows {
                let (_, label, _) = State::ALL[*state];
                let line = format!("0 0 1.2.3.4:1 1.2.3.4:5 {label} A={option},uid=0,ino=1");
                let owners: Vec<_> =
                    owners.iter().map(|(name, pid)| Owner::new(["a", "b"][*name], *pid, 0)).collect();
                counts.add(&Row::parse(TCP, line.as_bytes()).unwrap(), &owners);
            }
            let lines = counts.lines();
            let sum = |is_it: fn(&By<'_>) -> bool| {
                lines.iter().filter(|(_, by)| is_it(by)).map(|(count, _)| *count).sum::<u64>()
            };
            let all = rows.len() as u64;
            prop_assert_eq!(sum(|by| *by == By::All), all);
            prop_assert_eq!(sum(|by| matches!(by, By::State(..))), all);
            prop_assert_eq!(sum(|by| matches!(by, By::Options(_))), all);
            prop_assert!(sum(|by| matches!(by, By::Process(_))) >= all);
            let is_ordered = |is_it: fn(&By<'_>) -> bool| {
                let counts = lines.iter().filter(|(_, by)| is_it(by)).map(|(count, _)| Reverse(*count));
                counts.is_sorted()
            };
            prop_assert!(is_ordered(|by| matches!(by, By::State(..))));
            prop_assert!(is_ordered(|by| matches!(by, By::Process(_))));
            prop_assert!(is_ordered(|by| matches!(by, By::Options(_))));
        }
    }
}
