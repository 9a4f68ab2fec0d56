// SPDX-License-Identifier: GPL-2.0

//! There is one version, that of knetstat.rs: the changelogs begin with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn version() -> String {
    let script = project().join("scripts/version.sh");
    let output = Command::new(&script).output().expect("scripts/version.sh");
    let version = String::from_utf8(output.stdout).expect("a version");
    let version = version.strip_suffix('\n').expect("a line").to_owned();
    assert!(
        output.status.success()
            && !version.is_empty()
            && version.bytes().all(|c| c.is_ascii_digit() || c == b'.'),
        "scripts/version.sh prints {version:?}"
    );
    version
}

/// The versions in the headings of CHANGELOG.md, with their dates; the newest first.
#[test]
fn the_changelog_begins_with_it() {
    let text = fs::read_to_string(project().join("CHANGELOG.md")).unwrap();
    let releases: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## ["))
        .filter(|rest| !rest.starts_with("Unreleased]"))
        .map(|rest| rest.split_once("] - ").expect("a version and a date"))
        .collect();
    assert_eq!(releases[0].0, version());
    for (version, date) in &releases {
        let shape: String = date
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00", "the date of {version}");
    }
    assert!(releases.is_sorted_by(|newer, older| newer.1 >= older.1));
}

/// A revision of the package may follow.
#[test]
fn so_does_that_of_the_package() {
    let path = project().join("debian/changelog");
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("skipped: there is no debian/changelog");
        return;
    };
    let (_, rest) = text.split_once('(').expect("a version");
    let (found, _) = rest.split_once(')').expect("the end of a version");
    let upstream = found
        .rsplit_once('-')
        .map_or(found, |(upstream, _)| upstream);
    assert_eq!(upstream, version(), "debian/changelog");
}
