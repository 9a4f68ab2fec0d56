// SPDX-License-Identifier: GPL-2.0

//! The processes that have a socket open, also if it came after they were examined.
//!
//! Owners are found before the files are read, so a socket of a row may be newer. If no process has
//! it open, the processes are examined again, and the file is read once more. Then a socket that is
//! still there has no owner, such as one of the kernel. Of a socket that is gone, it is not known.

use crate::model::filter::Holders;
use crate::model::row::Row;
use crate::source::files::{self, File, Reads};
use crate::source::namespaces::Netns;
use crate::source::process::Owners;
use elsa::FrozenVec;
use std::collections::HashSet;
use std::rc::Rc;

/// The most times that the processes are examined again. Only a file of many reads with a socket
/// without an owner in each needs more.
const MOST: usize = 16;

/// The owners of sockets, during one read of the files.
pub struct Holding<'o> {
    owners: &'o Owners,
    /// Whether sockets without an owner are looked for again.
    is_exact: bool,
    later: FrozenVec<Box<Later>>,
}

/// The owners some time later.
struct Later {
    /// The number of reads before.
    reads: u64,
    owners: Owners,
    /// The sockets that are in the file after that.
    inos: HashSet<u64>,
}

impl<'o> Holding<'o> {
    pub fn new(owners: &'o Owners, is_exact: bool) -> Self {
        Self {
            owners,
            is_exact,
            later: FrozenVec::new(),
        }
    }

    /// The owners of the socket in a row of `file`, which came with the last of these reads.
    pub fn of(&self, row: &Row<'_>, file: File, reads: &Reads) -> Holders<'_> {
        let ino = row.ino;
        let holders = Holders {
            known: self.owners.of(ino),
            may_lack: self.owners.may_lack(ino),
        };
        let is_open = ino.is_some_and(|ino| ino != 0);
        if !self.is_exact || !holders.known.is_empty() || !is_open || holders.may_lack {
            return holders;
        }
        let found = self.later.iter().map(|later| later.owners.of(ino));
        if let Some(known) = found.into_iter().find(|known| !known.is_empty()) {
            return Holders { known, ..holders };
        }
        let last = self.later.iter().last();
        let last = last.filter(|later| later.reads == reads.count());
        match last.or_else(|| self.again(file, row.netns, reads)) {
            Some(later) => {
                let known = later.owners.of(ino);
                let is_there = ino.is_some_and(|ino| later.inos.contains(&ino));
                Holders {
                    known,
                    may_lack: later.owners.may_lack(ino) || known.is_empty() && !is_there,
                }
            }
            None => Holders {
                may_lack: true,
                ..holders
            },
        }
    }

    /// Examines the processes again, and reads the file again. `None` if that fails, or if it was done
    /// too often.
    fn again(&self, file: File, netns: Option<&Rc<Netns>>, reads: &Reads) -> Option<&Later> {
        if self.later.len() == MOST {
            return None;
        }
        let owners = self.owners.again().ok()?;
        let mut inos = HashSet::new();
        let mut add = |line: &[u8]| {
            inos.extend(Row::begin(file, line).and_then(|row| row.ino));
            Ok(())
        };
        let again = Reads::default();
        match netns.filter(|netns| !netns.is_own()) {
            None => {
                files::read(file, None, &again, &mut add).ok()?;
            }
            Some(netns) => {
                let opened = netns.open(file).ok()??;
                files::read_opened(opened, file, None, &again, &mut add).ok()?;
            }
        }
        Some(self.later.push_get(Box::new(Later {
            reads: reads.count(),
            owners,
            inos,
        })))
    }
}
