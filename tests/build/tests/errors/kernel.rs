// SPDX-License-Identifier: GPL-2.0

//! `RUST=kernel`: the kernel's own Rust, which needs the compiler that built the kernel, and its metadata.

use crate::machine::{oldest, write, Machine, RUSTC_TEXT};
use std::fs;

#[test]
fn no_rustc() {
    let machine = Machine::new();
    machine.remove("bin/rustc");
    machine.fails(&["rustc is missing", RUSTC_TEXT, "apt install rustc"]);
}

/// The same number, from another builder.
#[test]
fn another_rustc() {
    let other = "rustc 1.85.1 (0123456789 2025-03-15)";
    let found = format!("rustc is \"{other}\"");
    let wanted = format!("was built with \"{RUSTC_TEXT}\"");

    let mut machine = Machine::new();
    machine.script(
        "rustc",
        &format!("[ \"$1\" = --version ] && echo '{other}'"),
    );
    machine.fails(&[&found, &wanted, "run:", "apt install rustc"]);

    // Nor is the system's own the right one.
    machine.system_rustc(other);
    machine.fails(&[
        &found,
        &wanted,
        "apt install -t trixie-backports",
        "RUSTC=FILE",
    ]);

    // The user's choice is not overridden.
    machine.system_rustc(RUSTC_TEXT);
    machine
        .args
        .push(format!("RUSTC={}", machine.path("bin/rustc").display()));
    machine.fails(&[&found, &wanted, "omit RUSTC"]);
}

/// As a rustup proxy whose toolchain is not installed.
#[test]
fn rustc_does_not_run() {
    let machine = Machine::new();
    machine.script("rustc", "echo 'error: no toolchain' >&2; exit 1");
    machine.fails(&["rustc does not run", RUSTC_TEXT, "apt install rustc"]);
}

/// The system's compiler is the kernel's, the one in `PATH` is rustup's.
#[test]
fn system_rustc_before_path() {
    let machine = Machine::new();
    machine.system_rustc(RUSTC_TEXT);
    machine.script("rustc", "echo rustc 1.99.0");
    machine.builds_with("usr/bin/rustc");
}

/// The other way round.
#[test]
fn path_rustc_where_the_systems_differs() {
    let machine = Machine::new();
    machine.system_rustc("rustc 1.99.0");
    machine.builds_with("bin/rustc");
}

/// A proxy picks its compiler by the directory it runs in, so Kbuild gets the compiler behind it.
#[test]
fn rustup_proxy() {
    let machine = Machine::new();
    let sysroot = machine.path("toolchain");
    fs::create_dir_all(sysroot.join("bin")).unwrap();
    fs::rename(machine.path("bin/rustc"), sysroot.join("bin/rustc")).unwrap();
    machine.script(
        "rustc",
        &format!("[ \"$2\" = sysroot ] && echo '{}'", sysroot.display()),
    );
    machine.builds_with("toolchain/bin/rustc");
}

#[test]
fn the_users_rustc() {
    let mut machine = Machine::new();
    fs::rename(machine.path("bin/rustc"), machine.path("my-rustc")).unwrap();
    machine
        .args
        .push(format!("RUSTC={}", machine.path("my-rustc").display()));
    machine.builds_with("my-rustc");

    machine.remove("my-rustc");
    machine.fails(&["my-rustc is missing", "apt install rustc"]);
}

/// As Debian's headers packages are.
#[test]
fn no_metadata() {
    let mend = format!("run: make metadata KVER={}.4-made-up", oldest());

    let machine = Machine::new();
    machine.remove("kdir/rust");
    machine.fails(&["lack the Rust metadata", &mend]);

    let machine = Machine::new();
    machine.remove("kdir/rust/libkernel.rmeta");
    machine.fails(&["lack the Rust metadata (rust/libkernel.rmeta)", &mend]);
}

/// For the running kernel, the command needs no release.
#[test]
fn no_metadata_of_the_running_kernel() {
    let machine = Machine::new();
    machine.remove("kdir/rust");
    machine.uname(&format!("{}.4-made-up", oldest()), "x86_64");
    machine.ends_with("run: make metadata\n");
}

/// A kernel source tree is prepared in place.
#[test]
fn own_tree_not_prepared() {
    let machine = Machine::new();
    machine.remove("kdir/rust");
    write(machine.path("kdir/rust/Makefile"), "");
    machine.fails(&["lack the Rust metadata", "run: make -C", "modules_prepare"]);
}
