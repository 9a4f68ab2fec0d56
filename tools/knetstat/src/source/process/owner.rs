// SPDX-License-Identifier: GPL-2.0

//! The owner of a socket: a process, or a thread of it, that has the socket open.

use crate::source::cgroup::Cgroup;
use crate::source::process::name::{Name, Names};
use serde::ser::SerializeStruct;
use std::rc::Rc;

/// A process, or a thread of a process.
#[derive(Debug, PartialEq, Eq)]
pub struct Task {
    pub name: Name,
    pub pid: i32,
    /// The ID of the thread; `None` for a process.
    pub tid: Option<i32>,
    /// All names of the process.
    pub names: Rc<Names>,
    /// The control group, if it was looked up.
    pub cgroup: Option<Rc<Cgroup>>,
}

/// A descriptor of a socket, with the process or thread that has it open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub task: Rc<Task>,
    pub fd: i32,
}

impl Owner {
    /// A process of this name that has the socket open.
    pub fn new(name: impl Into<Name>, pid: i32, fd: i32) -> Self {
        Self::of(name.into(), pid, None, fd)
    }

    /// A thread of this name that has the socket open.
    pub fn thread(name: impl Into<Name>, pid: i32, tid: i32, fd: i32) -> Self {
        Self::of(name.into(), pid, Some(tid), fd)
    }

    /// The owner in the control group of this path.
    #[cfg(test)]
    pub fn in_cgroup(self, path: &str) -> Self {
        let Self { task, fd } = self;
        let task = Rc::new(Task {
            name: task.name.clone(),
            names: Rc::clone(&task.names),
            cgroup: Some(Rc::new(Cgroup::at(path))),
            ..*task
        });
        Self { task, fd }
    }

    fn of(name: Name, pid: i32, tid: Option<i32>, fd: i32) -> Self {
        let names = Rc::new(Names::of(name.clone()));
        let task = Rc::new(Task {
            name,
            pid,
            tid,
            names,
            cgroup: None,
        });
        Self { task, fd }
    }

    /// The name of the process or thread.
    pub fn name(&self) -> &Name {
        &self.task.name
    }

    /// The name of the process, also if the owner is a thread.
    pub fn process_name(&self) -> &Name {
        self.task.names.first().unwrap_or(&self.task.name)
    }

    pub fn pid(&self) -> i32 {
        self.task.pid
    }

    /// The ID of the thread; `None` if the owner is a process.
    pub fn tid(&self) -> Option<i32> {
        self.task.tid
    }

    /// The control group of the process, if it was looked up.
    pub fn cgroup(&self) -> Option<&Rc<Cgroup>> {
        self.task.cgroup.as_ref()
    }

    /// Whether the process or one of its threads has this name. See [`Names::has`].
    pub fn has_name(&self, name: &str) -> bool {
        self.task.names.has(name)
    }
}

impl serde::Serialize for Owner {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let count = 3 + usize::from(self.task.tid.is_some());
        let mut object = serializer.serialize_struct("Owner", count)?;
        object.serialize_field("name", &self.task.name)?;
        object.serialize_field("pid", &self.task.pid)?;
        match self.task.tid {
            Some(tid) => object.serialize_field("tid", &tid)?,
            None => object.skip_field("tid")?,
        }
        object.serialize_field("fd", &self.fd)?;
        object.end()
    }
}
