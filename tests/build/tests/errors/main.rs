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

/// Goals are made one after the other, with Kbuild still in parallel.
#[test]
fn goals_in_order() {
    let mut machine = standalone("1.85.0");
    // `clean` fails if `all` begins beside it, and the two parts of `all` wait for each other.
    std::fs::write(
        machine.path("kdir/Makefile"),
        "begun = [ -e $(1) ] || [ $$n = 1000 ]; do n=$$((n + 1)); nproc > /dev/null; done\n\
        clean: ; @n=0; until $(call begun,one); [ ! -e one ]\n\
        modules: one two\n\
        one: ; @: > one; n=0; until $(call begun,two); [ -e two ]\n\
        two: ; @: > two; n=0; until $(call begun,one); [ -e one ]\n",
    )
    .unwrap();
    machine
        .args
        .extend(["-j2".into(), "clean".into(), "all".into()]);
    // The real one would remove what was built in this checkout.
    let dir = checkout(&machine, "checkout");
    let mut make = machine.command("make");
    let output = make.current_dir(&dir).args(&machine.args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A checkout with this name on the machine.
fn checkout(machine: &Machine, name: &str) -> std::path::PathBuf {
    let dir = machine.path(name);
    std::fs::create_dir(&dir).unwrap();
    for name in ["Makefile", "scripts"] {
        std::os::unix::fs::symlink(machine::project().join(name), dir.join(name)).unwrap();
    }
    dir
}

/// Kbuild and make take some characters for something else.
#[test]
fn path_of_the_checkout() {
    let machine = standalone("1.85.0");
    let make = |name: &str| {
        let dir = checkout(&machine, name);
        let mut make = machine.command("make");
        make.current_dir(&dir).args(&machine.args).output().unwrap()
    };
    for name in [
        "two words",
        "it's",
        "R&D",
        "a(1)",
        "#1",
        "$x",
        "a\\b",
        "a:b",
        "a,b",
        "[a]",
        "50%",
        "a\"b",
    ] {
        let output = make(name);
        fails(&output, &["cannot build in a directory whose path", name]);
    }
    for name in ["knetstat-1.0_2+3~4@5=6", "münchen"] {
        let output = make(name);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&format!("/{name} RUSTC=")), "{output:?}");
    }
}

/// Without headers, `make clean` leaves only what is in the repository.
#[test]
fn clean_without_headers() {
    let mut machine = standalone("1.85.0");
    machine.remove("kdir");
    machine.args.push("clean".into());
    let dir = checkout(&machine, "checkout");
    let kept = [
        "knetstat.rs",
        "rust/glue.c",
        "bindings/layout.c",
        "rust/kernel/lib.rs",
    ];
    for name in kept {
        machine::write(dir.join(name), "");
    }
    // What Kbuild and rust/standalone.mk name.
    for name in [
        "knetstat.ko",
        "knetstat.o",
        "knetstat.mod",
        "knetstat.mod.c",
        "knetstat.mod.o",
        ".knetstat.ko.cmd",
        ".module-common.o",
        "modules.order",
        "Module.symvers",
        "knetstat_rust.o",
        ".knetstat_rust.o.d",
        "bindings/helpers.o",
        "bindings/.helpers.o.cmd",
        "bindings/layout.s",
        "bindings/layout.rs",
        "rust/core.o",
        "rust/.core.o.cmd",
        "rust/.core.o.d",
        "rust/libcore.rmeta",
        "rust/target.json",
        "rust/rustc_cfg",
        "rust/knetstat.o",
        "target/doc",
        "tools/target/x",
    ] {
        machine::write(dir.join(name), "");
    }
    let mut make = machine.command("make");
    let output = make.current_dir(&dir).args(&machine.args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut find = machine.command("find");
    let output = find.current_dir(&dir).args([".", "-type", "f"]).output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    let mut left: Vec<_> = said.lines().map(|name| &name[2..]).collect();
    left.sort_unstable();
    let mut expected = kept;
    expected.sort_unstable();
    assert_eq!(left, expected);
}
