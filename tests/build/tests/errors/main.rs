// SPDX-License-Identifier: GPL-2.0

//! `make` says in one line what is wrong and which command corrects it.
//!
//! Each test makes up a kernel build tree and a set of tools that lack one thing. The tests need no
//! kernel, no headers, no root and no network, and do not depend on what the machine has installed.

mod command;
mod cross;
mod distributions;
mod guests;
mod kdir;
mod kernel;
mod lint;
mod machine;
mod metadata;
mod module_script;
mod packages;
mod probes;
mod rhel;
mod standalone;

use machine::{fails, standalone, Machine};

#[test]
fn help_needs_nothing() {
    let mut machine = Machine::new();
    machine.remove("kdir");
    machine.args.push("help".into());
    let output = machine.make();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    for target in [
        "metadata", "load", "unload", "install", "clean", "fmt", "lint", "clippy", "doc", "deb",
        "rpm", "arch",
    ] {
        assert!(
            stdout.contains(&format!("make {target} ")),
            "no make {target} in:\n{stdout}"
        );
    }
}

/// CDPATH changes what `cd` does and prints.
#[test]
fn cdpath_is_ignored() {
    let machine = standalone("1.85.0");
    for dir in ["scripts", "tools", "vm"] {
        std::fs::create_dir(machine.path(dir)).unwrap();
    }
    let run = |program: &str, args: &[&str]| {
        let mut command = machine.command(program);
        command.args(args).args(&machine.args);
        command.env("CDPATH", machine.path("."));
        command.output().unwrap()
    };
    let output = run("make", &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("RUSTC=/"), "{output:?}");
    fails(&run("make", &["tool"]), &["cargo is missing"]);
    fails(&run("bash", &["vm/run.sh"]), &["usage: vm/run.sh"]);
    let package = machine.path("package");
    let package = package.to_str().unwrap();
    let output = run("sh", &["scripts/dkms-files.sh", "source", package]);
    assert!(output.status.success(), "{output:?}");
}
