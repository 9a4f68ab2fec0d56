// SPDX-License-Identifier: GPL-2.0

//! The mistakes of `make test-mutants` can still be made: a patch that does not apply any more would
//! be noticed only when all of them run, which is seldom.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn each_can_still_be_made() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mutants: Vec<PathBuf> = fs::read_dir(project.join("tests/mutants"))
        .expect("tests/mutants")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "patch")
        })
        .collect();
    assert!(!mutants.is_empty(), "there are no mutants");
    for mutant in mutants {
        // Whatever repository this lies in, or none.
        let output = Command::new("patch")
            .args(["-p1", "--dry-run", "--force", "--fuzz=0", "--reject-file=-"])
            .arg("--directory")
            .arg(&project)
            .arg("--input")
            .arg(fs::canonicalize(&mutant).expect("its path"))
            .output()
            .expect("patch");
        assert!(
            output.status.success(),
            "{} does not apply: make the same mistake in the sources of today\n{}",
            mutant.display(),
            String::from_utf8_lossy(&output.stdout)
        );
    }
}
