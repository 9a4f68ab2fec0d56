// SPDX-License-Identifier: GPL-2.0

//! The mistakes of `make test-mutants` can still be made: a patch that does not apply any more would
//! be noticed only when all of them run, which is seldom. The documents give their number.

mod common;

use common::project;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn mutants() -> Vec<PathBuf> {
    let mutants: Vec<PathBuf> = fs::read_dir(project().join("tests/mutants"))
        .expect("tests/mutants")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "patch")
        })
        .collect();
    assert!(!mutants.is_empty(), "there are no mutants");
    mutants
}

/// docs/trust.md has their number, and the numbers of those that do not just make a test fail.
#[test]
fn the_document_counts_them() {
    let text = fs::read_to_string(project().join("docs/trust.md")).expect("docs/trust.md");
    let words: Vec<_> = text.split_whitespace().collect();
    let text = words.join(" ");
    let mutants = mutants();
    let with = |line: &str| {
        let line = format!("\n{line}");
        let texts = mutants.iter().map(fs::read_to_string);
        texts
            .filter(|text| text.as_ref().expect("a mutant").contains(&line))
            .count()
    };
    for claim in [
        format!("{} mistakes of the kinds", mutants.len()),
        format!("{} are reported by a checker", with("Expect: log: ")),
        format!(
            "the model finds {} of the mutants",
            with("Test: sockets::walk_tests::")
        ),
        format!("{} do not compile", with("Expect: build: ")),
    ] {
        assert!(text.contains(&claim), "docs/trust.md: {claim}");
    }
}

#[test]
fn each_can_still_be_made() {
    let project = project();
    for mutant in mutants() {
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
