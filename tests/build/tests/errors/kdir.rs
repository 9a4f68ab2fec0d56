// SPDX-License-Identifier: GPL-2.0

//! Directories that are the build tree of a supported kernel, and others.

use crate::machine::{oldest, oldest_of, write, Machine, RUSTC_TEXT};
use std::fs;

#[test]
fn nothing_is_wrong() {
    Machine::new().builds_with("bin/rustc");
}

/// A kernel that is newer than the listed ones may be supported.
#[test]
fn newer_kernel() {
    let machine = Machine::new();
    machine.release("99.1.0-made-up");
    machine.builds_with("bin/rustc");
}

#[test]
fn quoted_config() {
    let machine = Machine::new();
    machine.config("RUST=y", Some(&format!("\"{RUSTC_TEXT}\"")));
    machine.builds_with("bin/rustc");
}

#[test]
fn no_headers() {
    let mut machine = Machine::new();
    machine.args = vec!["KVER=99.9.9-made-up".into()];
    machine.fails(&[
        "no headers of Linux 99.9.9-made-up",
        "apt install linux-headers-99.9.9-made-up",
    ]);
}

/// No headers can help with a kernel that is not supported.
#[test]
fn no_headers_and_too_old() {
    let mut machine = Machine::new();
    machine.args = vec!["KVER=4.19.0-made-up".into()];
    machine.fails(&["too old", &oldest_of("standalone"), "newer release"]);
    machine.args.push("RUST=kernel".into());
    machine.fails(&["too old", "linux-image-amd64", "reboot"]);
}

/// Nor can they help with a kernel without Rust, with `RUST=kernel`.
#[test]
fn no_headers_and_no_rust() {
    let mut machine = Machine::new();
    machine.build_for("99.9.9-made-up");
    machine.lib_modules("99.9.9-made-up/config", "CONFIG_64BIT=y\n");
    machine.fails(&["CONFIG_RUST is off", "make RUST=standalone"]);
    machine.lib_modules("99.9.9-made-up/config", "CONFIG_RUST=y\n");
    machine.fails(&["no headers of Linux 99.9.9-made-up"]);
}

#[test]
fn no_such_kdir() {
    let machine = Machine::new();
    machine.remove("kdir");
    machine.fails(&["kdir does not exist", "make KDIR="]);
}

#[test]
fn empty_kdir() {
    let machine = Machine::new();
    machine.remove("kdir");
    fs::create_dir(machine.path("kdir")).unwrap();
    machine.fails(&[
        "is no kernel build tree (Makefile is missing)",
        "make KDIR=DIR",
    ]);
}

#[test]
fn some_other_source_tree() {
    let machine = Machine::new();
    machine.remove("kdir/include");
    machine.fails(&[
        "no kernel build tree (include/config/auto.conf is missing)",
        "make KDIR=DIR",
    ]);
}

#[test]
fn no_release() {
    let machine = Machine::new();
    machine.remove("kdir/include/config/kernel.release");
    machine.fails(&[
        "(include/config/kernel.release is missing)",
        "make KDIR=DIR",
    ]);
}

#[test]
fn kernel_source_as_unpacked() {
    let machine = Machine::new();
    machine.remove("kdir/include");
    write(machine.path("kdir/Kconfig"), "");
    machine.fails(&["not configured or prepared", "olddefconfig modules_prepare"]);
}

/// After `make olddefconfig` alone.
#[test]
fn kernel_source_not_prepared() {
    let machine = Machine::new();
    machine.remove("kdir/include/config/kernel.release");
    write(machine.path("kdir/Kconfig"), "");
    machine.fails(&["not configured or prepared", "olddefconfig modules_prepare"]);
}

#[test]
fn kernel_without_rust() {
    let machine = Machine::new();
    machine.config("HAVE_RUST=y", None);
    machine.fails(&["CONFIG_RUST is off", "make RUST=standalone"]);
}

#[test]
fn kernel_too_old() {
    let machine = Machine::new();
    machine.release("5.9.0-made-up");
    machine.fails(&[
        "Linux 5.9.0-made-up is too old",
        &oldest(),
        "linux-image-amd64",
    ]);
    machine.release("6.1.0-made-up");
    machine.fails(&["too old for RUST=kernel", &oldest(), "make RUST=standalone"]);
}
