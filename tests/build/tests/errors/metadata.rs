// SPDX-License-Identifier: GPL-2.0

//! `make metadata`, and the use of its result.

use crate::machine::{fails, oldest, write, Machine, DEBIAN_13, FEDORA, RUSTC_TEXT, UBUNTU_26_04};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

const RELEASE: &str = "99.9.9-made-up";

/// A Debian with all packages that `make metadata` needs, and with a kernel.
struct Debian(Machine);

impl Debian {
    fn new() -> Self {
        let mut machine = Machine::new();
        machine.args = vec![format!("KVER={RELEASE}"), "RUST=kernel".into()];
        machine.os_release(DEBIAN_13);
        machine.script("dpkg-query", "echo installed 99.9.9-1");
        machine.lib_modules(
            &format!("{RELEASE}/build/Module.symvers"),
            "0x1\tprintk\tvmlinux\n",
        );
        let debian = Self(machine);
        debian.config(&format!(
            "CONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT=\"{RUSTC_TEXT}\"\n"
        ));
        // The source is the build tree, but for what is made in it.
        debian.0.release(RELEASE);
        debian.0.remove("kdir/rust/libkernel.rmeta");
        debian.source("99.9.9", ":", "echo > rust/libkernel.rmeta");
        debian
    }

    /// The configuration of the kernel image.
    fn config(&self, text: &str) {
        self.0.lib_modules(&format!("{RELEASE}/config"), text);
    }

    /// The package of sources: of which version, and what `make olddefconfig` and
    /// `make modules_prepare` do.
    fn source(&self, version: &str, configure: &str, prepare: &str) {
        let makefile = self.0.path("kdir/Makefile");
        let modules = fs::read_to_string(&makefile).unwrap();
        let modules = modules.split_inclusive("'\n").next().unwrap();
        write(
            &makefile,
            &format!(
                "{modules}kernelversion:\n\t@echo {version}\n\
                 kernelrelease:\n\t@echo {version}$(LOCALVERSION)\n\
                 olddefconfig:\n\t{configure}\n\
                 modules_prepare:\n\t{prepare}\n"
            ),
        );
        fs::create_dir_all(self.0.path("usr/src")).unwrap();
        let status = Command::new("tar")
            .arg("-cf")
            .arg(self.0.path("usr/src/linux-source-99.9.tar.xz"))
            .arg("-C")
            .arg(self.0.path(""))
            .arg("kdir")
            .status();
        assert!(status.unwrap().success());
    }

    /// `make metadata`.
    fn metadata(&self) -> Output {
        self.0
            .command("make")
            .arg("metadata")
            .args(&self.0.args)
            .output()
            .unwrap()
    }

    #[track_caller]
    fn fails(&self, expected: &[&str]) {
        fails(&self.metadata(), expected);
        assert_eq!(self.made(), [""; 0]);
    }

    /// As `fails`, but after it has begun.
    #[track_caller]
    fn fails_late(&self, expected: &[&str]) {
        let output = self.metadata();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "succeeded: {output:?}");
        let said = stderr.lines().find(|line| line.starts_with("knetstat: "));
        for text in expected {
            assert!(said.unwrap().contains(text), "no \"{text}\" in: {stderr}");
        }
    }

    fn tree(&self) -> PathBuf {
        self.0.path("cache/metadata").join(RELEASE)
    }

    /// The files in the directory where metadata are made, without logs.
    fn made(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path("cache/metadata"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".log"))
            .collect();
        names.sort();
        names
    }
}

/// The tree is found, has the Module.symvers of the headers, and can be made again.
#[test]
fn metadata_are_made_and_found() {
    let debian = Debian::new();
    debian.0.fails(&["is no kernel build tree", RELEASE]);
    for _ in 0..2 {
        let output = debian.metadata();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(debian.made(), [RELEASE]);
        assert_eq!(
            fs::read_to_string(debian.tree().join("Module.symvers")).unwrap(),
            "0x1\tprintk\tvmlinux\n"
        );
        debian.0.builds_with("bin/rustc");
    }
}

/// If the kernel's own make fails, there is no tree, or the previous one.
#[test]
fn metadata_are_whole() {
    let debian = Debian::new();
    debian.source(
        "99.9.9",
        ":",
        "@echo > rust/libkernel.rmeta; echo 'error: no luck'; exit 1",
    );
    debian.fails_late(&["make modules_prepare failed", ".log"]);
    assert_eq!(debian.made(), [""; 0]);

    debian.source("99.9.9", ":", "echo > rust/libkernel.rmeta");
    assert!(debian.metadata().status.success());
    debian.source("99.9.9", ":", "@exit 1");
    debian.fails_late(&["make modules_prepare failed", ".log"]);
    assert_eq!(debian.made(), [RELEASE]);
    debian.0.builds_with("bin/rustc");
}

/// Kconfig silently drops options that depend on another version of a tool.
#[test]
fn metadata_of_the_same_configuration() {
    let debian = Debian::new();
    debian.source(
        "99.9.9",
        "grep -v RUST= .config > new; mv new .config",
        "echo > rust/libkernel.rmeta",
    );
    debian.fails_late(&["would lose CONFIG_RUST=y;", "apt install --reinstall"]);
    assert_eq!(debian.made(), [""; 0]);
}

#[test]
fn metadata_from_the_source_of_another_release() {
    let debian = Debian::new();
    debian.source("99.9.8", ":", "echo > rust/libkernel.rmeta");
    debian.fails_late(&["the source of Linux 99.9.8", "not of 99.9.9-made-up"]);
    assert_eq!(debian.made(), [""; 0]);
}

#[test]
fn metadata_from_the_source_of_another_package() {
    let debian = Debian::new();
    debian.0.script(
        "dpkg-query",
        "case $4 in linux-source-*) echo installed 99.9.8-1 ;; *) echo installed 99.9.9-1 ;; esac",
    );
    debian.fails(&[
        "the kernel is 99.9.9-1",
        "linux-source-99.9 is 99.9.8-1",
        "apt install linux-source-99.9=99.9.9-1",
    ]);
}

#[test]
fn metadata_without_the_packages() {
    let debian = Debian::new();
    for (installed, missing) in [
        (
            "linux-*|[!bp]*",
            "apt install bison bc perl python3 pahole bindgen\n",
        ),
        (
            "[!l]*|lib*|linux-headers-*",
            "apt install linux-source-99.9=99.9.9-1\n",
        ),
        (
            "[!l]*|lib*",
            "apt install linux-headers-99.9.9-made-up linux-source-99.9\n",
        ),
    ] {
        debian.0.script(
            "dpkg-query",
            &format!("case $4 in {installed}) echo installed 99.9.9-1 ;; esac"),
        );
        debian.fails(&["packages are missing"]);
        let output = debian.metadata();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(missing), "no {missing} in {stderr}");
    }
}

/// No configuration, so no kernel image.
#[test]
fn metadata_of_a_kernel_that_is_not_installed() {
    let debian = Debian::new();
    debian.0.remove(&format!("lib/modules/{RELEASE}/config"));
    debian.fails(&[
        "packages are missing",
        "apt install linux-image-99.9.9-made-up",
    ]);
}

#[test]
fn metadata_with_another_rustc() {
    let debian = Debian::new();
    debian
        .0
        .script("rustc", "[ \"$1\" = --version ] && echo 'rustc 1.90.0'");
    debian.0.system_rustc("rustc 1.90.0");
    debian.fails(&[
        "\"rustc 1.90.0\"",
        RUSTC_TEXT,
        "get a kernel and the rustc that built it",
    ]);
}

#[test]
fn metadata_of_a_kernel_without_rust() {
    let debian = Debian::new();
    debian.config("CONFIG_RUST_IS_AVAILABLE=y\n");
    debian.fails(&["CONFIG_RUST is off", "make RUST=standalone"]);
}

#[test]
fn metadata_of_a_kernel_too_old() {
    let mut debian = Debian::new();
    debian.0.args = vec!["KVER=6.1.0-made-up".into()];
    debian.fails(&["too old", &oldest(), "make RUST=standalone"]);
}

#[test]
fn metadata_elsewhere() {
    let debian = Debian::new();
    for distribution in [FEDORA, UBUNTU_26_04] {
        debian.0.os_release(distribution);
        debian.fails(&["only Debian", "make RUST=standalone"]);
    }
}

#[test]
fn metadata_into_a_strange_directory() {
    let debian = Debian::new();
    let output = debian
        .0
        .command("bash")
        .args(["scripts/rust-metadata.sh", RELEASE, "--output"])
        .arg(debian.0.path("kdir"))
        .output()
        .unwrap();
    fails(&output, &["was not made by this script", "--output DIR"]);
    assert!(debian.0.path("kdir/Makefile").exists());
}

/// A tree of metadata that `make metadata` left in its place is not used any more when the kernel
/// package has changed.
#[test]
fn metadata_of_an_earlier_package() {
    let debian = Debian::new();
    assert!(debian.metadata().status.success());
    debian.0.script("dpkg-query", "echo installed 99.9.9-2");
    debian.0.fails(&[
        "99.9.9-1",
        "99.9.9-2 is installed",
        "make metadata KVER=99.9.9-made-up",
    ]);
    debian.0.remove("bin/dpkg-query");
    debian.0.builds_with("bin/rustc");
}
