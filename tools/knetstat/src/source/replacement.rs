// SPDX-License-Identifier: GPL-2.0

//! Replacement of a file: a reader sees the old contents or the new ones, never a part.

use anyhow::{bail, ensure, Context, Result};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{fchown, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

/// Everyone may read a new file, because the collector runs as another user.
const MODE: u32 = 0o644;

/// The length that a name may have on most file systems.
const NAME_MAX: usize = 255;

/// The number of names that are tried for the temporary file.
const NAMES: u32 = 100;

/// Writes a file below a temporary name in the same directory, and gives it its name. It has the
/// permissions of the file that it replaces and, if this is allowed, its owner and group, or else
/// only its group.
///
/// # Errors
///
/// If this is impossible, or if the name is that of something else than a regular file, such as a
/// device. Whatever has the name is then what it was, and the temporary file is removed.
pub fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    let cannot_write = || format!("cannot write {}", path.display());
    let name = path.file_name().context("the name of a file is missing")?;
    let replaced = check(path).with_context(cannot_write)?;
    let (temporary, file) = create(path, name).with_context(cannot_write)?;
    let result = fill(file, replaced.as_ref(), contents);
    let result = result.and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result.with_context(cannot_write)
}

/// Fails unless this is the name of a regular file, which is returned, or of none.
fn check(path: &Path) -> Result<Option<Metadata>> {
    let metadata = match fs::symlink_metadata(path) {
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let kind = metadata.file_type();
    if kind.is_symlink() {
        match fs::canonicalize(path) {
            Ok(target) if target.is_file() => bail!(
                "it is a symbolic link, which is not followed; give the path of the file itself: {}",
                target.display()
            ),
            Ok(_) => {}
            Err(_) => bail!("it is a symbolic link to a file that does not exist; remove the link"),
        }
    }
    ensure!(!path.is_dir(), "it is a directory");
    ensure!(
        kind.is_file(),
        "it is not a regular file, and only these are replaced; to write to it, leave --output out: \
        knetstat metrics > {}",
        path.display()
    );
    Ok(Some(metadata))
}

/// The beginning of a name, at most this long. No character is cut.
fn shortened(name: &OsStr, len: usize) -> &OsStr {
    let bytes = name.as_bytes();
    let is_boundary = |at: &usize| bytes.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let end = (0..=len.min(bytes.len())).rev().find(is_boundary);
    OsStr::from_bytes(&bytes[..end.unwrap_or(0)])
}

/// Creates the temporary file. A name that exists may be a link of another user, the file of another
/// run, whose process may have the same ID in its PID namespace, or what is left of one.
fn create(path: &Path, name: &OsStr) -> io::Result<(PathBuf, File)> {
    let mut options = OpenOptions::new();
    // Nobody else reads it before it has its permissions.
    options.write(true).create_new(true).mode(0o600);
    let mut created = Err(ErrorKind::AlreadyExists.into());
    for attempt in 0..NAMES {
        // The collector reads files whose names end with .prom.
        let end = format!(".{}.{attempt}.tmp", process::id());
        let mut temporary = shortened(name, NAME_MAX - end.len()).to_owned();
        temporary.push(end);
        let temporary = path.with_file_name(temporary);
        created = options.open(&temporary).map(|file| (temporary, file));
        match &created {
            Err(err) if err.kind() == ErrorKind::AlreadyExists => {}
            _ => break,
        }
    }
    created
}

/// Writes the contents to the disk, so that a crash after the rename leaves no empty file.
fn fill(mut file: File, replaced: Option<&Metadata>, contents: &[u8]) -> io::Result<()> {
    let mode = replaced.map_or(MODE, |replaced| replaced.mode() & 0o777);
    file.set_permissions(Permissions::from_mode(mode))?;
    // The permissions of the file of another user are no longer this process's to change.
    if let Some(replaced) = replaced {
        let (uid, gid) = (Some(replaced.uid()), Some(replaced.gid()));
        // Only root may give a file away. Others may give it to a group that they are in.
        if fchown(&file, uid, gid).is_err() {
            let _ = fchown(&file, None, gid);
        }
    }
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::rights;
    use rustix::process::Gid;
    use rustix::thread::{capabilities, set_capabilities, set_thread_groups, CapabilitySet};
    use std::os::unix::fs::{chown, symlink};
    use std::os::unix::net::UnixListener;
    use std::thread;

    /// A user who is not root.
    const OTHER: u32 = 65534;

    /// An empty directory, which is removed with what is in it.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let name = format!("knetstat-{name}-{}", process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn count(&self) -> usize {
            fs::read_dir(&self.0).unwrap().count()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn files_are_replaced() {
        let directory = Directory::new("replace");
        let path = directory.0.join("a.prom");
        for contents in ["first", "second, which is longer", "3"] {
            replace(&path, contents.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), contents);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, MODE);
        }
        assert_eq!(directory.count(), 1);
        // The directory is not there, or its name is that of a file.
        let wrong = [directory.0.join("none/a.prom"), path.join("a.prom")];
        // The rename fails.
        let slash = directory.0.join("b.prom/");
        for path in wrong.iter().chain([&slash]) {
            let err = replace(path, b"x").unwrap_err();
            assert!(format!("{err:#}").starts_with("cannot write "), "{err:#}");
        }
        assert_eq!(directory.count(), 1);
    }

    /// Any name that a file can have is right.
    #[test]
    fn long_names() {
        let directory = Directory::new("long");
        for name in ["a".repeat(NAME_MAX), "\u{fc}".repeat(NAME_MAX / 2)] {
            let path = directory.0.join(&name);
            replace(&path, b"x").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "x");
        }
        assert_eq!(directory.count(), 2);
        let name = OsStr::new("a\u{fc}\u{20ac}");
        for (len, expected) in [(0, ""), (1, "a"), (2, "a"), (3, "a\u{fc}"), (5, "a\u{fc}")] {
            assert_eq!(shortened(name, len), expected);
        }
        assert_eq!(shortened(name, 9), name);
    }

    /// Contents that only some may read stay so.
    #[test]
    fn permissions_are_kept() {
        let directory = Directory::new("mode");
        let path = directory.0.join("a.prom");
        for mode in [0o600, 0o640, 0o444, 0o664] {
            fs::write(&path, "old").unwrap_or_else(|_| fs::remove_file(&path).unwrap());
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let before = fs::metadata(&path).unwrap();
            replace(&path, b"new").unwrap();
            let after = fs::metadata(&path).unwrap();
            assert_eq!(after.permissions().mode() & 0o777, mode);
            assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        }
    }

    /// Replaces a file of another owner, in a group and without this capability. Returns the owner
    /// and the group that it has then, and its permissions.
    fn replaced_without(capability: CapabilitySet, group: u32) -> (u32, u32, u32) {
        let directory = Directory::new(&format!("owner-{group}"));
        let path = directory.0.join("a.prom");
        fs::write(&path, "old").unwrap();
        chown(&path, Some(OTHER), Some(group)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let replaced = path.clone();
        // Rights and groups are those of a thread.
        let other = thread::spawn(move || {
            set_thread_groups(&[Gid::from_raw(group)]).unwrap();
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(capability);
            set_capabilities(None, sets).unwrap();
            replace(&replaced, b"new").unwrap();
        });
        other.join().unwrap();
        let found = fs::metadata(&path).unwrap();
        (found.uid(), found.gid(), found.mode() & 0o777)
    }

    /// The unit of systemd lacks CAP_FOWNER. Without CAP_CHOWN, the group remains, which may read.
    #[test]
    fn owners_are_kept() {
        if !rights::is_root() {
            return eprintln!("skipped: only root can give a file away");
        }
        let kept = replaced_without(CapabilitySet::FOWNER, OTHER - 1);
        assert_eq!(kept, (OTHER, OTHER - 1, 0o640));
        let kept = replaced_without(CapabilitySet::CHOWN, OTHER - 2);
        assert_eq!(kept, (0, OTHER - 2, 0o640));
    }

    /// Only regular files are replaced. Others are what they were.
    #[test]
    fn other_files_are_kept() {
        let directory = Directory::new("keep");
        let path = |name: &str| directory.0.join(name);
        fs::create_dir(path("directory")).unwrap();
        fs::write(path("file"), "old").unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        for (name, target) in [
            ("link", path("file")),
            ("null", "/dev/null".into()),
            ("dangling", path("none")),
        ] {
            symlink(target, path(name)).unwrap();
        }
        let names = ["directory", "socket", "link", "null", "dangling"];
        let kinds = || names.map(|name| fs::symlink_metadata(path(name)).unwrap().file_type());
        let (before, count) = (kinds(), directory.count());
        for (name, why) in [
            ("directory", "it is a directory"),
            ("socket", "it is not a regular file, "),
            ("link", "it is a symbolic link, which is not followed; "),
            ("null", "it is not a regular file, "),
            ("dangling", "it is a symbolic link to a file that does not"),
        ] {
            let err = replace(&path(name), b"new").unwrap_err();
            let expected = format!("cannot write {}: {why}", path(name).display());
            assert!(format!("{err:#}").starts_with(&expected), "{err:#}");
        }
        assert_eq!((kinds(), directory.count()), (before, count));
        assert_eq!(fs::read_to_string(path("file")).unwrap(), "old");
    }

    /// The temporary file of another run is neither written to nor removed.
    #[test]
    fn other_runs_are_left_alone() {
        let directory = Directory::new("others");
        let path = directory.0.join("a.prom");
        let (others, own) = create(&path, path.file_name().unwrap()).unwrap();
        fill(own, None, b"theirs").unwrap();
        replace(&path, b"ours").unwrap();
        assert_eq!(fs::read_to_string(&others).unwrap(), "theirs");
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours");
        assert_eq!(directory.count(), 2);
    }
}
