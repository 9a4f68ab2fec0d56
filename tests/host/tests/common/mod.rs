// SPDX-License-Identifier: GPL-2.0

//! Access to the files of the project.

// Each test compiles this file, and not all of them use all of it.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

/// The directory of the project.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of a file. A path that is not absolute begins in the directory of the project.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = project().join(path);
    fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}
