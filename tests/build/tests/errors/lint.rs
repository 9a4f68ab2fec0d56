// SPDX-License-Identifier: GPL-2.0

//! `scripts/lint.sh`: the files that it checks, and how it names a finding. The tools are made up.

use crate::machine::{fails, project, write, Machine, DEBIAN_13};
use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Output};

/// A checkout with these scripts, and what a test puts in it.
struct Checkout(Machine);

impl Checkout {
    fn new() -> Self {
        let machine = Machine::new();
        machine.os_release(DEBIAN_13);
        let scripts = machine.path("checkout/scripts");
        fs::create_dir_all(&scripts).unwrap();
        symlink(
            project().join("scripts/distributions"),
            scripts.join("distributions"),
        )
        .unwrap();
        for name in ["lib.sh", "lint.sh", "fmt.sh"] {
            fs::copy(project().join("scripts").join(name), scripts.join(name)).unwrap();
        }
        Self(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path("checkout").join(name)
    }

    fn lint(&self, check: &str) -> Output {
        let mut script = self.0.command("bash");
        script.current_dir(self.path("scripts"));
        script.args(["lint.sh", check]).output().unwrap()
    }
}

#[track_caller]
fn stdout(output: &Output, success: bool) -> String {
    assert_eq!(output.status.success(), success, "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn scripts_are_found_by_their_first_lines() {
    let checkout = Checkout::new();
    fails(
        &checkout.lint("shell"),
        &["shellcheck is missing", "apt install shellcheck"],
    );
    checkout.0.script("shellcheck", "shift 2; echo \"$@\"");
    for (name, text) in [
        ("bin/program", "#!/bin/sh -e\n"),
        ("bin/of-bash", "#!/usr/bin/env bash\n"),
        ("init", "#!/bin/busybox sh\n# A comment.\n"),
        ("sourced", "# SPDX\n# shellcheck shell=bash\nx=1\n"),
        ("not/python", "#!/usr/bin/env python3\n"),
        ("not/text", "A file\n#!/bin/sh\n"),
        ("not/fish", "#!/usr/bin/fish\n"),
        ("target/built", "#!/bin/sh\n"),
    ] {
        write(checkout.path(name), text);
    }
    assert_eq!(
        stdout(&checkout.lint("shell"), true),
        "bin/of-bash bin/program init scripts/fmt.sh scripts/lib.sh scripts/lint.sh sourced\n\
         7 scripts, and 0 for zsh\n"
    );

    checkout
        .0
        .script("shellcheck", "echo init:2:1: error: made up; exit 1");
    let said = stdout(&checkout.lint("shell"), false);
    assert!(said.starts_with("init:2:1: error: made up\n"), "{said}");
}

/// zsh is not among those that shellcheck knows.
#[test]
fn scripts_for_zsh() {
    let checkout = Checkout::new();
    checkout.0.script("shellcheck", "exit 0");
    write(checkout.path("completions"), "#!/usr/bin/env zsh\n");
    let output = checkout.lint("shell");
    fails(&output, &["zsh is missing", "apt install zsh"]);
    checkout
        .0
        .script("zsh", "echo \"$2:1: parse error\" >&2; exit 1");
    let output = checkout.lint("shell");
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "completions:1: parse error\n"
    );
}

/// Findings that are accepted are left out; all others count, whatever their level.
#[test]
fn manual_pages() {
    let checkout = Checkout::new();
    write(checkout.path("man/it.4"), ".Dd now\n");
    let accepted = "mandoc: man/it.4:1:84: STYLE: input text line longer than 80 bytes: The";
    let mandoc = |line: &str| {
        let body = format!(
            "echo 'mandoc: outdated mandoc.db lacks ss(8) entry' >&2\necho '{accepted}'\n{line}"
        );
        checkout.0.script("mandoc", &body);
        checkout.lint("mandoc")
    };
    assert_eq!(stdout(&mandoc(""), true), "1 pages\n");
    for (level, status) in [("STYLE", 1), ("WARNING", 2), ("ERROR", 3)] {
        let line = format!("man/it.4:1:2: {level}: something else");
        let output = mandoc(&format!("echo 'mandoc: {line}'; exit {status}"));
        assert_eq!(stdout(&output, false), format!("{line}\n"));
    }
    let output = mandoc("echo 'mandoc: man/it.4: SYSERR: cannot read' >&2; exit 6");
    assert_eq!(stdout(&output, false), "man/it.4: SYSERR: cannot read\n");
}

#[test]
fn rust_files() {
    let checkout = Checkout::new();
    write(checkout.path(".rustfmt.toml"), "");
    write(checkout.path("src/lib.rs"), "one\n two\nthree\n");
    write(checkout.path("target/made.rs"), " made\n");
    fails(&checkout.lint("rustfmt"), &["apt install rustfmt"]);
    checkout.0.script("rustfmt", "sed 's/^ //'");
    let output = checkout.lint("rustfmt");
    assert_eq!(
        stdout(&output, false),
        "src/lib.rs:2: - two\nsrc/lib.rs:2: +two\n"
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("run: make fmt"));

    checkout
        .0
        .script("rustfmt", "echo ' --> <stdin>:2:1' >&2; exit 1");
    let output = checkout.lint("rustfmt");
    assert_eq!(stdout(&output, false), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        " --> src/lib.rs:2:1\nknetstat: rustfmt fails on src/lib.rs\n"
    );
}

/// Whatever `make man` writes is compared.
#[test]
fn generated_files() {
    let checkout = Checkout::new();
    let generate = |text: &str| {
        let makefile = format!(".PHONY: man\nman:\n\t@echo '{text}' > man/it.5\n");
        write(checkout.path("Makefile"), &makefile);
        checkout.lint("generated")
    };
    write(checkout.path("man/it.5"), "what is made\n");
    assert_eq!(stdout(&generate("what is made"), true), "");
    assert_eq!(
        stdout(&generate("something else"), false),
        "man/it.5:1: this file is not current; run: make man\n\
         man/it.5:1: -what is made\nman/it.5:1: +something else\n"
    );
    let kept = fs::read_to_string(checkout.path("man/it.5")).unwrap();
    assert_eq!(kept, "what is made\n");
}
