// SPDX-License-Identifier: GPL-2.0

//! The owners of sockets, also of sockets that were opened after the processes were examined.
//!
//! Owners are found before the files are read, so the socket of a row may be newer. If no process is
//! known to have it open, the processes are examined again. A socket that is in the files before and
//! after that has no owner if none was found, such as a socket of the kernel. A socket that is gone by
//! then may have had one, and so may each if processes kept coming.

use crate::model::filter::KnownOwners;
use crate::source::process::Owners;
use anyhow::Result;
use elsa::FrozenVec;
use std::cell::RefCell;
use std::collections::HashSet;

/// The most times that the processes are examined again during one read of the files.
const MOST: usize = 4;

/// The inodes of sockets that are known to have no owner, such as those of the kernel. They are kept
/// from one read of the files to the next.
#[derive(Debug, Default)]
pub struct Ownerless {
    known: RefCell<HashSet<u64>>,
    /// Those that were gone when the processes were last examined again. Their events may still be
    /// printed.
    gone: RefCell<HashSet<u64>>,
}

impl Ownerless {
    /// Whether a socket may have an owner that is not known, if none was found.
    pub fn may_lack(&self, ino: Option<u64>) -> bool {
        let has = |set: &RefCell<HashSet<u64>>, ino| set.borrow().contains(&ino);
        ino.is_some_and(|ino| ino != 0 && !has(&self.known, ino) && !has(&self.gone, ino))
    }

    /// Adds sockets, and forgets those that have been gone for long. `existing` are all that exist
    /// and had no owner at first.
    fn renew(&self, existing: &HashSet<u64>, found: impl Iterator<Item = u64>) {
        let known = self.known.take();
        let (mut known, gone): (HashSet<_>, _) =
            known.into_iter().partition(|ino| existing.contains(ino));
        known.extend(found);
        self.known.replace(known);
        self.gone.replace(gone);
    }
}

/// The lookups that can be repeated during a read of the files.
pub trait Rescan {
    /// Examines the processes.
    ///
    /// # Errors
    ///
    /// Those of [`Owners::scan`].
    fn owners(&self) -> Result<Owners>;

    /// The sockets in the files whose inodes fulfil a condition.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    fn sockets(&self, is_wanted: &dyn Fn(u64) -> bool) -> Result<HashSet<u64>>;

    /// The number of reads of files so far.
    fn reads(&self) -> u64;
}

/// The owners of sockets during one read of the files.
pub struct OwnersDuringRead<'o, R> {
    owners: &'o Owners,
    ownerless: &'o Ownerless,
    lookups: R,
    scans: FrozenVec<Box<Scanned>>,
}

/// Processes that were examined again.
struct Scanned {
    /// The number of reads before.
    reads: u64,
    /// `None` if they could not be examined.
    owners: Option<Owners>,
}

impl<'o, R: Rescan> OwnersDuringRead<'o, R> {
    pub fn new(owners: &'o Owners, ownerless: &'o Ownerless, lookups: R) -> Self {
        Self {
            owners,
            ownerless,
            lookups,
            scans: FrozenVec::new(),
        }
    }

    /// The owners of the socket in a row that came with the last read.
    pub fn of(&self, ino: Option<u64>) -> KnownOwners<'_> {
        let known = self.owners.of(ino);
        let may_lack = self.owners.may_lack(ino);
        match ino.filter(|ino| *ino != 0) {
            Some(ino) if known.is_empty() && !may_lack => self.of_new(ino),
            _ => KnownOwners::new(known, may_lack),
        }
    }

    /// The owners of a socket that had none when the processes were first examined.
    fn of_new(&self, ino: u64) -> KnownOwners<'_> {
        let find = || {
            let owners = self
                .scans
                .iter()
                .filter_map(|scanned| scanned.owners.as_ref());
            let mut found = owners.map(|owners| owners.of(Some(ino)));
            found.find(|known| !known.is_empty())
        };
        let may_lack = || self.ownerless.may_lack(Some(ino));
        let mut known = find();
        if known.is_none() && may_lack() && self.is_newer_than_the_last_scan() {
            // If this fails, the owner stays unknown.
            let owners = self.rescan().ok();
            let reads = self.lookups.reads();
            self.scans.push(Box::new(Scanned { reads, owners }));
            known = find();
        }
        KnownOwners::new(known.unwrap_or_default(), known.is_none() && may_lack())
    }

    fn is_newer_than_the_last_scan(&self) -> bool {
        let reads = self.scans.iter().last().map(|scanned| scanned.reads);
        reads != Some(self.lookups.reads()) && self.scans.len() < MOST
    }

    /// Examines the processes again, and takes note of the sockets without owners.
    fn rescan(&self) -> Result<Owners> {
        let before = self
            .lookups
            .sockets(&|ino| self.owners.of(Some(ino)).is_empty())?;
        let owners = self.lookups.owners()?;
        let after = self.lookups.sockets(&|ino| before.contains(&ino))?;
        // A process that came meanwhile may have got a socket from one that was not examined in
        // time.
        let is_ownerless = |ino: &u64| {
            owners.is_settled && owners.of(Some(*ino)).is_empty() && !owners.may_lack(Some(*ino))
        };
        let found = after.into_iter().filter(is_ownerless);
        self.ownerless.renew(&before, found);
        Ok(owners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::process::Owner;
    use anyhow::bail;
    use std::cell::Cell;

    /// Processes and sockets at each time that they are looked at.
    struct Script {
        owned: &'static [&'static [u64]],
        sockets: &'static [&'static [u64]],
        scans: Cell<usize>,
        looks: Cell<usize>,
        reads: Cell<u64>,
        /// Whether processes keep coming.
        is_restless: bool,
    }

    fn owners(inos: &[u64]) -> Owners {
        Owners::example(inos.iter().map(|ino| (*ino, Owner::new("nginx", 7, 3))))
    }

    impl Rescan for &Script {
        fn owners(&self) -> Result<Owners> {
            let at = self.scans.replace(self.scans.get() + 1);
            match self.owned.get(at) {
                Some(inos) => {
                    let mut owners = owners(inos);
                    owners.is_settled = !self.is_restless;
                    Ok(owners)
                }
                None => bail!("no scan"),
            }
        }

        fn sockets(&self, is_wanted: &dyn Fn(u64) -> bool) -> Result<HashSet<u64>> {
            let at = self.looks.replace(self.looks.get() + 1);
            let all = self.sockets.get(at).copied().unwrap_or_default();
            Ok(all.iter().copied().filter(|ino| is_wanted(*ino)).collect())
        }

        fn reads(&self) -> u64 {
            self.reads.get()
        }
    }

    fn script(owned: &'static [&'static [u64]], sockets: &'static [&'static [u64]]) -> Script {
        Script {
            owned,
            sockets,
            scans: Cell::new(0),
            looks: Cell::new(0),
            reads: Cell::new(1),
            is_restless: false,
        }
    }

    /// The number of owners, and whether others may be missing.
    fn found(owners: KnownOwners<'_>) -> (usize, bool) {
        (owners.known.len(), owners.may_lack)
    }

    #[test]
    fn sockets_that_are_newer() {
        let first = owners(&[1]);
        let ownerless = Ownerless::default();
        // 2 was opened by a process, 3 is one of the kernel, and 4 was closed.
        let script = script(&[&[1, 2]], &[&[1, 2, 3], &[1, 2, 3, 5]]);
        let during_read = OwnersDuringRead::new(&first, &ownerless, &script);
        for (ino, expected) in [
            (Some(1), (1, false)),
            (Some(0), (0, false)),
            (None, (0, false)),
            (Some(4), (0, true)),
            (Some(2), (1, false)),
            (Some(3), (0, false)),
            // It came during the scan.
            (Some(5), (0, true)),
        ] {
            assert_eq!(found(during_read.of(ino)), expected, "{ino:?}");
        }
        assert_eq!(
            script.scans.get(),
            1,
            "one scan is enough for rows of one read"
        );
    }

    /// A socket of a later read needs another scan, but one of the kernel does not.
    #[test]
    fn later_reads() {
        let first = owners(&[]);
        let ownerless = Ownerless::default();
        let script = script(&[&[], &[6]], &[&[3], &[3], &[3, 6], &[3, 6]]);
        let during_read = OwnersDuringRead::new(&first, &ownerless, &script);
        assert_eq!(found(during_read.of(Some(3))), (0, false));
        script.reads.set(2);
        assert_eq!(found(during_read.of(Some(3))), (0, false));
        assert_eq!(script.scans.get(), 1);
        assert_eq!(found(during_read.of(Some(6))), (1, false));
        assert_eq!(script.scans.get(), 2);
        // The next read of the files remembers the socket of the kernel.
        let next = OwnersDuringRead::new(&first, &ownerless, &script);
        assert_eq!(found(next.of(Some(3))), (0, false));
        assert_eq!(script.scans.get(), 2);
    }

    /// Sockets that have been gone for long are forgotten.
    #[test]
    fn sockets_that_are_gone() {
        let first = owners(&[]);
        let ownerless = Ownerless::default();
        let sockets: &[&[u64]] = &[&[3, 4], &[3, 4], &[4, 5], &[4, 5], &[4, 6], &[4, 6]];
        let script = script(&[&[], &[], &[]], sockets);
        let during_read = OwnersDuringRead::new(&first, &ownerless, &script);
        for (reads, ino, forgotten) in [(1, 3, &[][..]), (2, 5, &[]), (3, 6, &[3])] {
            script.reads.set(reads);
            assert_eq!(found(during_read.of(Some(ino))), (0, false));
            for ino in 3..=6 {
                let may_lack = ino > reads + 3 || forgotten.contains(&ino);
                assert_eq!(ownerless.may_lack(Some(ino)), may_lack, "{reads} {ino}");
            }
        }
    }

    /// A process may pass a socket on to a new one and exit, again and again.
    #[test]
    fn processes_that_keep_coming() {
        let first = owners(&[]);
        let ownerless = Ownerless::default();
        let mut script = script(&[&[2], &[]], &[&[2, 3], &[2, 3], &[3], &[3]]);
        script.is_restless = true;
        let during_read = OwnersDuringRead::new(&first, &ownerless, &script);
        assert_eq!(found(during_read.of(Some(2))), (1, false));
        assert_eq!(found(during_read.of(Some(3))), (0, true));
        script.is_restless = false;
        script.reads.set(2);
        let during_read = OwnersDuringRead::new(&first, &ownerless, &script);
        assert_eq!(found(during_read.of(Some(3))), (0, false));
    }

    #[test]
    fn too_many_scans() {
        let first = owners(&[]);
        let ownerless = Ownerless::default();
        let script = script(&[&[], &[], &[], &[], &[], &[]], &[]);
        let during_read = OwnersDuringRead::new(&first, &ownerless, &script);
        for reads in 1..9 {
            script.reads.set(reads);
            assert_eq!(found(during_read.of(Some(reads))), (0, true));
        }
        assert_eq!(script.scans.get(), MOST);
        // A scan that fails tells nothing.
        let none = self::script(&[], &[]);
        let during_read = OwnersDuringRead::new(&first, &ownerless, &none);
        assert_eq!(found(during_read.of(Some(1))), (0, true));
    }
}
