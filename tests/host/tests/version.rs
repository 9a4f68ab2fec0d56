// SPDX-License-Identifier: GPL-2.0

//! There is one version, that of knetstat.rs: the changelogs begin with it. There is one oldest rustc and
//! one oldest kernel, which the documents and the packages name.

mod common;

use common::{project, read};
use std::fs;
use std::process::Command;

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

/// The lines behind a name in a file, such as `rust-version = `.
fn values<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let lines = text.lines();
    lines.filter_map(|line| line.strip_prefix(name)).collect()
}

/// The packages have the version of their workspace.
#[test]
fn there_is_one_oldest_rustc() {
    let library = read("scripts/lib.sh");
    let oldest = values(&library, "oldest_rustc=")[0];
    for file in ["tools", "tests", "tests/fuzz"] {
        let file = format!("{file}/Cargo.toml");
        assert_eq!(
            values(&read(&file), "rust-version = "),
            [format!("{oldest:?}")],
            "{file}"
        );
    }
    let mut count = 0;
    for workspace in ["tools", "tests"] {
        for entry in fs::read_dir(project().join(workspace)).expect(workspace) {
            let path = entry.expect("an entry").path().join("Cargo.toml");
            if !path.exists() || path.ends_with("fuzz/Cargo.toml") {
                continue;
            }
            let found = values(&read(&path), "rust-version").concat();
            assert_eq!(found, ".workspace = true", "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 10, "only {count} packages");
    for (file, words) in [
        ("README.md", format!("any rustc from {oldest} on")),
        ("rust/README.md", format!("any rustc from {oldest} on")),
        ("docs/build.md", format!("rustc {oldest} or later")),
        ("docs/package.md", format!("cargo {oldest} or later")),
        ("debian/control", format!("cargo (>= {oldest})")),
        ("debian/control", format!("rustc (>= {oldest})")),
        ("debian/control", format!("rust-src (>= {oldest})")),
    ] {
        // The archive of the sources has no directory `debian`.
        if file.starts_with("debian/") && !project().join("debian").exists() {
            eprintln!("skipped: there is no {file}");
            continue;
        }
        assert!(read(file).contains(&words), "{file} lacks {words:?}");
    }
}

#[test]
fn there_is_one_oldest_kernel() {
    let supported = read("scripts/supported-kernels");
    let oldest = values(&supported, "standalone ")[0];
    for (file, words) in [
        ("README.md", format!("On Linux {oldest} and later")),
        ("docs/comparison.md", format!("| from {oldest}; ")),
        ("debian/control", format!("Linux {oldest} or later")),
        ("man/knetstat.4", format!("\nLinux {oldest} and later")),
        ("man/knetstat.4", format!("\nBetween Linux {oldest} and ")),
        ("man/knetstat.4", format!("\nKernels older than {oldest} ")),
    ] {
        // The archive of the sources has no directory `debian`.
        if file.starts_with("debian/") && !project().join("debian").exists() {
            eprintln!("skipped: there is no {file}");
            continue;
        }
        assert!(read(file).contains(&words), "{file} lacks {words:?}");
    }
}
