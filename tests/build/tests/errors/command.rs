// SPDX-License-Identifier: GPL-2.0

//! `make tool` and `make install-tool`, which run `scripts/command.sh`, if something is missing.

use crate::machine::{
    fails, project, write, Machine, ALMA_9_6, AMAZON, ARCH, CENTOS_10, DEBIAN_11, DEBIAN_12,
    DEBIAN_13, FEDORA, MINT_22, ORACLE_9_4, RHEL_9_7, TUMBLEWEED, UBUNTU_24_04, UBUNTU_26_04,
};
use std::{
    fs,
    os::unix::fs::{symlink, PermissionsExt},
    process::Output,
};

/// A machine that lacks nothing. Its cargo prints its arguments.
fn machine() -> Machine {
    let machine = Machine::new();
    cargo(&machine, "cargo", "1.85.0");
    machine.script("cc", "echo /usr/lib/libc.a");
    machine
}

fn cargo(machine: &Machine, name: &str, version: &str) {
    machine.script(
        name,
        &format!(
            "[ \"$1\" = --version ] && echo 'cargo {version} (made up)' && exit\n\
            echo \"{name} $*\" RUSTC=$RUSTC RUSTFLAGS=$RUSTFLAGS\n\
            set | grep LINKER"
        ),
    );
}

fn make(machine: &Machine, args: &[&str]) -> Output {
    let mut make = machine.command("make");
    make.args(args).output().unwrap()
}

#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn builds() {
    // Shells differ in whether they quote it.
    let said = said(&make(&machine(), &["tool"])).replace('\'', "");
    for part in [
        "cargo build --locked --release",
        "--target x86_64-unknown-linux-gnu",
        "-C target-feature=+crt-static",
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=cc\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn builds_for_other_architectures() {
    for (arch, gcc, target) in [
        (
            "arm64",
            "aarch64-linux-gnu-gcc",
            "aarch64-unknown-linux-gnu",
        ),
        (
            "riscv",
            "riscv64-linux-gnu-gcc",
            "riscv64gc-unknown-linux-gnu",
        ),
    ] {
        let machine = machine();
        let arch = format!("ARCH={arch}");
        let cross_compile = format!("CROSS_COMPILE={}", gcc.strip_suffix("gcc").unwrap());
        let args = ["tool", &arch, &cross_compile];
        fails(&make(&machine, &args), &[&format!("{gcc} is missing")]);
        machine.script(gcc, "echo /usr/lib/libc.a");
        let said = said(&make(&machine, &args));
        assert!(said.contains(&format!("--target {target}")), "{said}");
        assert!(said.contains("GNU_LINKER="), "{said}");
    }
    fails(
        &make(&machine(), &["tool", "ARCH=s390"]),
        &["for amd64, arm64 and riscv64, not for s390"],
    );
}

#[test]
fn no_cargo() {
    let machine = machine();
    machine.remove("bin/cargo");
    for (os, command) in [
        (DEBIAN_12, "apt install cargo-web"),
        (DEBIAN_13, "apt install cargo"),
        (UBUNTU_24_04, "apt install cargo-1.85"),
        (MINT_22, "apt install cargo-1.85"),
        (UBUNTU_26_04, "apt install cargo"),
        (FEDORA, "dnf install cargo"),
        (ARCH, "pacman -S rust"),
        (TUMBLEWEED, "zypper install cargo"),
    ] {
        machine.os_release(os);
        let output = make(&machine, &["tool"]);
        fails(&output, &["cargo is missing"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let line = stderr.lines().next().unwrap();
        assert!(line.ends_with(command), "{line}");
    }
}

#[test]
fn cargo_is_too_old() {
    let machine = machine();
    machine.os_release(UBUNTU_24_04);
    cargo(&machine, "cargo", "1.75.0");
    fails(
        &make(&machine, &["tool"]),
        &[
            "cargo is version 1.75",
            "1.85 or later",
            "apt install cargo-1.85",
        ],
    );
    // One that has its release in its name, with the compiler that belongs to it.
    cargo(&machine, "cargo-1.85", "1.85.1");
    let said = said(&make(&machine, &["tool"]));
    assert!(said.contains("cargo-1.85 build"), "{said}");
    assert!(said.contains("RUSTC=rustc-1.85"), "{said}");
}

#[test]
fn cargo_does_not_run() {
    let machine = machine();
    machine.os_release(DEBIAN_13);
    machine.script("cargo", "exit 1");
    fails(
        &make(&machine, &["tool"]),
        &["cargo does not run", "apt install --reinstall cargo"],
    );
}

/// Debian 11 has no cargo that is new enough.
#[test]
fn cargo_of_rustup() {
    let machine = machine();
    machine.os_release(DEBIAN_11);
    let rustup =
        "run: rustup toolchain install stable --component rust-src && rustup default stable";
    cargo(&machine, "cargo", "1.46.0");
    fails(
        &make(&machine, &["tool"]),
        &["cargo is version 1.46", rustup],
    );
    machine.script("cargo", "exit 1");
    fails(&make(&machine, &["tool"]), &["cargo does not run", rustup]);
    machine.remove("bin/cargo");
    for target in ["tool", "dist-vendor", "deb"] {
        fails(&make(&machine, &[target]), &["cargo is missing", rustup]);
    }
}

#[test]
fn nothing_to_link_with() {
    let machine = machine();
    machine.os_release(FEDORA);
    machine.script("cc", "echo libc.a");
    fails(
        &make(&machine, &["tool"]),
        &["libc.a is missing", "dnf install glibc-static"],
    );
    // Where it is in a repository that is not enabled.
    for (os, repository) in [
        (ALMA_9_6, "crb"),
        (CENTOS_10, "crb"),
        (RHEL_9_7, "codeready-builder-for-rhel-9-x86_64-rpms"),
        (ORACLE_9_4, "ol9_codeready_builder"),
    ] {
        machine.os_release(os);
        let install = format!("dnf install --enablerepo={repository} glibc-static");
        fails(&make(&machine, &["tool"]), &["libc.a is missing", &install]);
    }
    machine.os_release(AMAZON);
    fails(
        &make(&machine, &["tool"]),
        &["libc.a is missing", "dnf install glibc-static"],
    );
    machine.remove("bin/cc");
    fails(
        &make(&machine, &["tool"]),
        &["cc is missing", "dnf install gcc"],
    );
}

#[test]
fn build_fails() {
    let machine = machine();
    machine.script(
        "cargo",
        "[ \"$1\" = --version ] && echo 'cargo 1.85.0' && exit; exit 101",
    );
    fails(
        &make(&machine, &["tool"]),
        &["does not build, see above", "the first build downloads"],
    );
}

/// Installs to a directory, and uninstalls from it.
#[test]
fn install_and_uninstall() {
    let machine = machine();
    let target = machine.path("target");
    let (stage, readonly) = (machine.path("stage"), machine.path("readonly"));
    let run = |target_name: &str, place: &std::path::Path| {
        let mut make = machine.command("make");
        make.arg(target_name)
            .arg(format!("PREFIX={}", place.display()))
            .env("CARGO_TARGET_DIR", &target);
        make.output().unwrap()
    };
    let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|dir| dir.join("install"))
        .find(|file| file.is_file())
        .unwrap();
    symlink(real, machine.path("bin/install")).unwrap();
    fails(
        &run("install-tool", &stage),
        &[
            "not built",
            "target/x86_64-unknown-linux-gnu/release/knetstat is missing",
            "make tool",
            "CARGO_TARGET_DIR",
        ],
    );
    fails(
        &run("uninstall-tool", &stage),
        &["stage/bin/knetstat does not exist"],
    );

    write(
        target.join("x86_64-unknown-linux-gnu/release/knetstat"),
        "made up",
    );
    let output = run("install-tool", &stage);
    assert!(said(&output).contains("man 8 knetstat"));
    let files = [
        ("bin/knetstat", "made up".to_owned()),
        ("share/man/man8/knetstat.8", read("man/knetstat.8")),
        (
            "share/man/man5/knetstat-check.5",
            read("man/knetstat-check.5"),
        ),
        (
            "share/bash-completion/completions/knetstat",
            read("tools/knetstat/completions/knetstat"),
        ),
        (
            "share/zsh/site-functions/_knetstat",
            read("tools/knetstat/completions/_knetstat"),
        ),
        (
            "share/fish/vendor_completions.d/knetstat.fish",
            read("tools/knetstat/completions/knetstat.fish"),
        ),
    ];
    for (name, text) in &files {
        assert_eq!(fs::read_to_string(stage.join(name)).unwrap(), *text);
    }
    let mode = fs::metadata(stage.join("bin/knetstat"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
    said(&run("uninstall-tool", &stage));
    for (name, _) in &files {
        assert!(!stage.join(name).exists(), "{name}");
    }

    // Root may write anywhere.
    fs::create_dir(&readonly).unwrap();
    fs::set_permissions(&readonly, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(readonly.join("x"), "").is_err() {
        fails(
            &run("install-tool", &readonly),
            &["readonly is not writable", "sudo make install-tool"],
        );
    }
}

/// The command is built in a directory of the checkout, and some shells leave `~` as it is.
#[test]
fn places() {
    let machine = machine();
    let target = machine.path("target");
    write(
        target.join("x86_64-unknown-linux-gnu/release/knetstat"),
        "made up",
    );
    machine.script("install", "for to; do :; done; echo \"$to\"");
    let run = |args: &[&str]| {
        let mut make = machine.command("make");
        make.arg("install-tool").args(args);
        make.env("CARGO_TARGET_DIR", &target).output().unwrap()
    };
    let said_home = said(&run(&["PREFIX=~/.local"]));
    let home = machine.path("home/.local/bin/knetstat");
    assert!(said_home.starts_with(&format!("{}\n", home.display())));
    let said_stage = said(&run(&["PREFIX=/usr", "DESTDIR=target/made-up"]));
    let stage = project().join("target/made-up/usr/bin/knetstat");
    assert!(said_stage.starts_with(&format!("{}\n", stage.display())));
    for name in ["PREFIX", "MANDIR"] {
        fails(
            &run(&[&format!("{name}=local")]),
            &[&format!("{name} must be an absolute path, not 'local'")],
        );
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(project().join(path)).unwrap()
}
