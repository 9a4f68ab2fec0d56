// SPDX-License-Identifier: GPL-2.0

//! A copy of the files, and what its metadata tell.

use crate::source::files::File;
use crate::source::namespaces::Netns;
use crate::source::process::Owners;
use anyhow::{ensure, Context, Result};
use std::collections::HashMap;
use std::fs;
use std::io::{self, BufReader, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A copy of the files that was opened.
pub struct Copy {
    /// The name in messages.
    pub name: String,
    pub reader: BufReader<fs::File>,
    /// The time of the copy, if it was made before the last boot by the clock of this machine.
    pub before_boot: Option<SystemTime>,
}

impl Copy {
    /// Opens a copy. The name `-` means standard input.
    pub fn open(path: &Path) -> Result<Self> {
        if path.as_os_str() != "-" {
            let name = path.display().to_string();
            let file = fs::File::open(path).with_context(|| name.clone())?;
            return Ok(Self::of(name, file));
        }
        let stdin = io::stdin();
        ensure!(
            !stdin.is_terminal(),
            "standard input is a terminal; give a copy of the files: knetstat --since - < FILE"
        );
        let file = stdin.as_fd().try_clone_to_owned();
        let file = file.context("standard input")?;
        Ok(Self::of("standard input".to_owned(), file.into()))
    }

    fn of(name: String, file: fs::File) -> Self {
        // The times of a pipe and of a terminal are not those of what they transport.
        let metadata = file.metadata().ok().filter(fs::Metadata::is_file);
        let made = metadata.and_then(|metadata| metadata.modified().ok());
        let boot = boot();
        Self {
            name,
            reader: BufReader::new(file),
            before_boot: made.filter(|made| boot.is_some_and(|boot| *made < boot)),
        }
    }
}

/// The network namespaces of a copy, and those that exist now.
///
/// Sockets can be compared only in namespaces that both reads have shown.
#[derive(Debug, Default)]
pub struct ComparedNamespaces {
    /// Those that exist now. That of this process is the first.
    now: Vec<Rc<Netns>>,
    /// Whether more may exist now.
    may_be_more: bool,
    /// Those of the copy, by inode.
    copied: HashMap<u64, Rc<Netns>>,
    /// Whether the copy lacks some.
    is_cut: bool,
    /// Whether the sockets of a namespace can be read now, by [`Netns::id`].
    readable: HashMap<u64, bool>,
}

impl ComparedNamespaces {
    /// Takes note of the namespaces that a scan has found.
    pub fn found(&mut self, owners: &Owners) {
        self.now.clone_from(&owners.namespaces);
        let has_hidden = self.now.iter().any(|netns| netns.ino.is_none());
        self.may_be_more = owners.unseen.may_lack_namespaces() || has_hidden;
    }

    /// The namespace that a line of the copy names; see [`Copied::Netns`].
    ///
    /// [`Copied::Netns`]: crate::source::files::Copied::Netns
    pub fn add(&mut self, ino: Option<u64>) -> Option<Rc<Netns>> {
        let Some(ino) = ino else {
            self.is_cut = true;
            return None;
        };
        let found = self.copied.entry(ino).or_insert_with(|| {
            let exists = self.now.iter().find(|netns| netns.ino == Some(ino));
            exists.map_or_else(|| Rc::new(Netns::gone(ino)), Rc::clone)
        });
        Some(Rc::clone(found))
    }

    /// Whether the copy names any.
    pub fn is_of_copy(&self) -> bool {
        self.is_cut || !self.copied.is_empty()
    }

    /// Whether the copy would contain a socket of this namespace.
    pub fn were_copied(&self, netns: &Netns) -> bool {
        let is_copied = |ino| !self.is_cut || self.copied.contains_key(&ino);
        netns.ino.is_some_and(is_copied)
    }

    /// Whether a socket of this namespace would be found now.
    pub fn are_readable(&mut self, netns: &Netns) -> bool {
        let Some(at) = self.now.iter().position(|other| **other == *netns) else {
            return !self.may_be_more;
        };
        let can_open = || at == 0 || self.now[at].open(File::ALWAYS).is_ok();
        *self.readable.entry(netns.id()).or_insert_with(can_open)
    }
}

/// The time of the last boot, rounded down to seconds. The kernel computes it from the clock, so it
/// moves if the clock is set.
fn boot() -> Option<SystemTime> {
    let seconds = procfs::boot_time_secs().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let path = std::env::temp_dir().join(format!("knetstat-copy-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        let open = || Copy::open(&path).unwrap();
        assert_eq!(open().before_boot, None);
        let file = fs::File::options().write(true).open(&path).unwrap();
        let boot = boot().unwrap();
        for (time, is_before) in [
            (boot - Duration::from_secs(2), true),
            (boot + Duration::from_secs(2), false),
            (UNIX_EPOCH, true),
        ] {
            file.set_modified(time).unwrap();
            assert_eq!(open().before_boot, is_before.then_some(time));
        }
        fs::remove_file(&path).unwrap();
        // A device has no time of its contents.
        assert_eq!(
            Copy::open(Path::new("/dev/null")).unwrap().before_boot,
            None
        );
    }
}
