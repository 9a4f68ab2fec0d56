// SPDX-License-Identifier: GPL-2.0

//! A copy of the files, and what its metadata tell.

use anyhow::{ensure, Context, Result};
use std::fs::File;
use std::io::{self, BufReader, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A copy of the files that was opened.
pub struct Copy {
    /// The name in messages.
    pub name: String,
    pub reader: BufReader<File>,
    /// The time of the copy, if it was made before the last boot by the clock of this machine.
    pub before_boot: Option<SystemTime>,
}

impl Copy {
    /// Opens a copy. The name `-` means standard input.
    pub fn open(path: &Path) -> Result<Self> {
        if path.as_os_str() != "-" {
            let name = path.display().to_string();
            let file = File::open(path).with_context(|| name.clone())?;
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

    fn of(name: String, file: File) -> Self {
        // The times of a pipe and of a terminal are not those of what they transport.
        let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file);
        let made = metadata.and_then(|metadata| metadata.modified().ok());
        let boot = boot();
        Self {
            name,
            reader: BufReader::new(file),
            before_boot: made.filter(|made| boot.is_some_and(|boot| *made < boot)),
        }
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
    use std::fs;

    #[test]
    fn times() {
        let path = std::env::temp_dir().join(format!("knetstat-copy-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        let open = || Copy::open(&path).unwrap();
        assert_eq!(open().before_boot, None);
        let file = File::options().write(true).open(&path).unwrap();
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
