// SPDX-License-Identifier: GPL-2.0

//! Replacement of a file: a reader sees the old contents or the new ones, never a part.

use anyhow::{Context, Result};
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process;

/// Everyone may read the file, because the collector runs as another user.
const MODE: u32 = 0o644;

/// Writes a file below a temporary name in the same directory, and gives it its name.
///
/// # Errors
///
/// If this is impossible. The file is then what it was, and the temporary file is removed.
pub fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    let name = path.file_name().context("the name of a file is missing")?;
    let mut temporary = name.to_owned();
    // The collector reads files whose names end with .prom.
    temporary.push(format!(".{}.tmp", process::id()));
    let temporary = path.with_file_name(temporary);
    let result = write(&temporary, contents).and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result.with_context(|| format!("cannot write {}", path.display()))
}

fn write(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    // A name that exists may be a link of another user.
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced() {
        let directory = std::env::temp_dir().join(format!("knetstat-replace-{}", process::id()));
        fs::create_dir(&directory).unwrap();
        let path = directory.join("a.prom");
        for contents in ["first", "second, which is longer", "3"] {
            replace(&path, contents.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), contents);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, MODE);
        }
        // A directory cannot be replaced. Nothing else remains.
        let taken = directory.join("b.prom");
        fs::create_dir(&taken).unwrap();
        let err = replace(&taken, b"x").unwrap_err();
        assert!(format!("{err:#}").starts_with("cannot write "), "{err:#}");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
        fs::remove_dir_all(&directory).unwrap();
        assert!(replace(&path, b"x").is_err());
    }
}
