// SPDX-License-Identifier: GPL-2.0

//! `make deb`, `make rpm` and `make arch` on machines that lack what the packages are built with.

use crate::machine::{fails, Machine, ARCH, DEBIAN_12, DEBIAN_13, FEDORA, ROCKY, TUMBLEWEED};
use std::process::Output;

fn make(machine: &Machine, args: &[&str]) -> Output {
    machine.command("make").args(args).output().unwrap()
}

/// A machine that can build the command.
fn machine(os: &str) -> Machine {
    let machine = Machine::new();
    machine.os_release(os);
    machine.script("cargo", "[ \"$1\" = --version ] && echo 'cargo 1.85.0'");
    machine.script("cc", "echo /usr/lib/libc.a");
    machine
}

/// `make` fails with a line that ends with this command.
#[track_caller]
fn names(machine: &Machine, args: &[&str], what: &str, command: &str) {
    let output = make(machine, args);
    fails(&output, &[what]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let line = stderr.lines().next().unwrap();
    assert!(line.ends_with(command), "no \"{command}\" in: {line}");
}

#[test]
fn no_rpmbuild() {
    for (os, package, command) in [
        (DEBIAN_12, "rpm", "apt install rpm"),
        (DEBIAN_13, "rpm", "apt install rpm"),
        (FEDORA, "rpm-build", "dnf install rpm-build"),
        (ROCKY, "rpm-build", "dnf install rpm-build"),
        (ARCH, "rpm-tools", "pacman -S rpm-tools"),
        (TUMBLEWEED, "rpm-build", "zypper install rpm-build"),
    ] {
        for target in ["rpm", "rpm-dkms"] {
            let what = format!("building the packages needs {package}; run: ");
            names(&machine(os), &[target], &what, command);
        }
    }
}

/// Both are named at once. The package of the module needs no cargo.
#[test]
fn no_rpmbuild_and_no_cargo() {
    let machine = machine(DEBIAN_12);
    machine.remove("bin/cargo");
    names(
        &machine,
        &["rpm"],
        "needs rpm cargo-web",
        "apt install rpm cargo-web",
    );
    names(&machine, &["rpm-dkms"], "needs rpm;", "apt install rpm");
    machine.script("rpmbuild", "exit 1");
    names(
        &machine,
        &["rpm"],
        "needs cargo-web",
        "apt install cargo-web",
    );
}

/// The packages that the command needs are named before anything is built, and the way around them.
#[test]
fn nothing_to_link_with() {
    let machine = machine(FEDORA);
    machine.script("rpmbuild", "exit 1");
    machine.script("cc", "echo libc.a");
    for text in ["libc.a is missing", "dnf install glibc-static"] {
        names(
            &machine,
            &["rpm"],
            text,
            "; or build only the package of the module: make rpm-dkms",
        );
    }
}

#[test]
fn no_makepkg() {
    for (os, command) in [
        (
            DEBIAN_13,
            "apt install makepkg pacman-package-manager libarchive-tools",
        ),
        (ARCH, "pacman -S pacman"),
        (FEDORA, "dnf install pacman"),
    ] {
        names(
            &machine(os),
            &["arch"],
            "building the packages needs ",
            command,
        );
    }
    let output = make(&machine(TUMBLEWEED), &["arch"]);
    fails(
        &output,
        &["makepkg is missing; build the packages for Arch on Arch, Debian or Fedora"],
    );
}

#[test]
fn no_dpkg() {
    let machine = machine(DEBIAN_13);
    let tools = "dpkg-dev debhelper dh-dkms";
    let command = format!("apt install {tools}");
    for target in ["deb", "deb-dkms"] {
        names(&machine, &[target], &format!("needs {tools};"), &command);
    }
    machine.remove("bin/cargo");
    names(&machine, &["deb"], "needs ", &format!("{command} cargo"));
    names(&machine, &["deb-dkms"], "needs ", &command);
    // The other packages are named where dpkg is not.
    machine.os_release(FEDORA);
    fails(
        &make(&machine, &["deb"]),
        &["for Debian and Ubuntu", "make rpm"],
    );
}

/// Sources dkms.conf as DKMS 3.2 does or, with its function `prepare_build`, as DKMS 3.0, and prints
/// variables.
fn dkms_conf(before: &str) -> String {
    let machine = machine(DEBIAN_13);
    let script = format!(
        "{before}\nkernelver=6.1 kernel_source_dir=/no\n. debian/knetstat-dkms.dkms\n\
        echo \"$NO_WEAK_MODULES|${{MAKE[0]}}|${{PRE_BUILD:-}}|${{CLEAN:-}}\""
    );
    let mut bash = machine.command("bash");
    let output = bash.args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// No module is used for another kernel than that which it was built for. DKMS 3.1.8 and later warn of
/// CLEAN.
#[test]
fn dkms_builds_for_each_kernel() {
    assert_eq!(
        dkms_conf(""),
        "yes|true|scripts/dkms-build.sh 6.1 /no|true\n"
    );
    assert_eq!(
        dkms_conf("prepare_build() { :; }"),
        "yes|make KVER=6.1 KDIR=/no||make KVER=6.1 KDIR=/no clean\n"
    );
}
