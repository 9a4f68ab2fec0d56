// SPDX-License-Identifier: GPL-2.0

//! `make metadata`, and what it has made.

use crate::machine::{
    fails,
    oldest,
    write,
    Machine, //
};
use std::fs;

/// A tree of metadata that `make metadata` left in its place is found, and is
/// not used any more when the kernel package has changed.
#[test]
fn metadata_of_an_earlier_package() {
    let mut machine = Machine::new();
    let release = format!("{}.4-made-up", oldest());
    let tree = format!("cache/metadata/{release}");
    fs::create_dir_all(machine.path("cache/metadata")).unwrap();
    fs::rename(machine.path("kdir"), machine.path(&tree)).unwrap();
    write(
        machine.path(&tree).join(".knetstat-metadata"),
        &format!("release={release}\npackage=1-1\n"),
    );
    machine.args = vec![format!("KVER={release}"), "RUST=kernel".into()];
    machine.builds_with("bin/rustc");

    machine.script("dpkg-query", "echo installed 1-1");
    machine.builds_with("bin/rustc");

    machine.script("dpkg-query", "echo installed 1-2");
    machine.fails(&[
        "1-1",
        "1-2 is installed",
        &format!("make metadata KVER={release}"),
    ]);
}

#[test]
fn metadata_of_a_kernel_too_old() {
    let machine = Machine::new();
    let output = machine
        .command("make")
        .args(["metadata", "KVER=6.1.0-made-up"])
        .output()
        .unwrap();
    fails(&output, &["too old", "linux-image-amd64"]);
}

#[test]
fn metadata_into_a_strange_directory() {
    let machine = Machine::new();
    let output = machine
        .command("bash")
        .args([
            "scripts/rust-metadata.sh",
            "--release",
            "99.9.9-made-up",
            "--output",
        ])
        .arg(machine.path("kdir"))
        .output()
        .unwrap();
    fails(&output, &["is not empty", "--output DIR"]);
    assert!(machine.path("kdir/Makefile").exists());
}

#[test]
fn metadata_without_the_packages() {
    let machine = Machine::new();
    let output = machine
        .command("make")
        .args(["metadata", "KVER=99.9.9-made-up"])
        .output()
        .unwrap();
    fails(
        &output,
        &[
            "packages are missing",
            "linux-source-99.9",
            "linux-headers-99.9.9-made-up",
            "make metadata INSTALL=1 KVER=99.9.9-made-up",
        ],
    );
}
