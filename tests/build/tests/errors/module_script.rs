// SPDX-License-Identifier: GPL-2.0

//! `make load`, `unload` and so on, which run `scripts/module.sh`, if the kernel or a tool fails. The
//! guest tests cover their success.

use crate::machine::{fails, project, write, Machine, ARCH, DEBIAN_13, RUNNING};
use std::{fs, os::unix::fs::symlink, process::Command};

/// A checkout on a machine with a made-up root user and made-up tools for modules.
struct Checkout(Machine);

impl Checkout {
    fn new() -> Self {
        let machine = Machine::new();
        let dir = machine.path("checkout");
        fs::create_dir(&dir).unwrap();
        for name in ["Makefile", "scripts"] {
            symlink(project().join(name), dir.join(name)).unwrap();
        }
        // The script looks for the module beside the directory that it is in itself.
        fs::remove_file(dir.join("scripts")).unwrap();
        fs::create_dir(dir.join("scripts")).unwrap();
        for file in fs::read_dir(project().join("scripts")).unwrap() {
            let file = file.unwrap();
            symlink(file.path(), dir.join("scripts").join(file.file_name())).unwrap();
        }
        write(dir.join("knetstat.ko"), "");
        machine.remove("bin/id");
        machine.script("id", "echo 0");
        machine.script("modinfo", &format!("echo '{RUNNING} SMP'"));
        machine.script("dmesg", "echo '[1.0] knetstat: disagrees'");
        Self(machine)
    }

    fn make(&self, target: &str) -> Command {
        let mut make = self.0.command("make");
        make.current_dir(self.0.path("checkout")).arg(target);
        make
    }

    #[track_caller]
    fn load_fails(&self, said: &str, expected: &[&str]) {
        self.0.script(
            "insmod",
            &format!("echo 'insmod: ERROR: could not insert module: {said}' >&2; exit 1"),
        );
        fails(&self.make("load").output().unwrap(), expected);
    }
}

#[test]
fn loads() {
    let checkout = Checkout::new();
    checkout.0.script("insmod", "exit 0");
    let output = checkout.make("load").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "Loaded. See: cat /proc/net/tcpstat\n"
    );
}

/// kmod's messages for the errors of `finit_module(2)`.
#[test]
fn insmod_fails() {
    let checkout = Checkout::new();
    for said in ["File exists", "Device or resource busy"] {
        checkout.load_fails(said, &["taken by another module", "ls /proc/net/*stat"]);
    }
    for said in ["Key was rejected by service", "Required key not available"] {
        checkout.load_fails(said, &["signed modules only", "mokutil"]);
    }
    checkout.load_fails(
        "Operation not permitted",
        &[
            "does not allow modules to be loaded",
            "modules_disabled",
            "lockdown",
        ],
    );
    for said in [
        "Invalid module format",
        "Exec format error",
        "Unknown symbol in module",
    ] {
        checkout.load_fails(
            said,
            &[
                "does not fit this kernel",
                "knetstat: disagrees",
                "make clean && make",
            ],
        );
    }
    checkout.load_fails(
        "Cannot allocate memory",
        &["insmod: ERROR", "Cannot allocate memory", "dmesg | tail"],
    );
}

/// A build that was interrupted leaves such a file.
#[test]
fn no_module() {
    let checkout = Checkout::new();
    checkout
        .0
        .script("modinfo", "echo 'invalid module format' >&2; exit 1");
    for target in ["load", "install"] {
        let output = checkout.make(target).output().unwrap();
        fails(&output, &["is no kernel module", "make clean all"]);
    }
}

/// As in a minimal container.
#[test]
fn no_modinfo() {
    let checkout = Checkout::new();
    checkout.0.remove("bin/modinfo");
    for (os, install) in [(DEBIAN_13, "apt install kmod"), (ARCH, "pacman -S kmod")] {
        checkout.0.os_release(os);
        for target in ["load", "install"] {
            let output = checkout.make(target).output().unwrap();
            fails(&output, &["modinfo is missing; run: ", install]);
        }
    }
}

#[test]
fn usage() {
    let checkout = Checkout::new();
    let mut script = checkout.0.command("bash");
    let output = script.args(["scripts/module.sh", "reload"]).output();
    fails(
        &output.unwrap(),
        &["usage: ", "load|unload|install|uninstall"],
    );
}

/// A tree whose release is that of the module, and from which nothing can be installed.
#[test]
fn uninstall_what_is_not_installed() {
    let checkout = Checkout::new();
    let stage = checkout.0.path("stage");
    let mut make = checkout.make("uninstall");
    make.arg(format!("INSTALL_MOD_PATH={}", stage.display()));
    let missing = format!("not installed for Linux {RUNNING}");
    fails(&make.output().unwrap(), &[&missing, "stage/lib/modules/"]);
}

/// A checkout in which `make install` runs no Kbuild, and a directory beside it for what is installed.
fn to_install() -> Checkout {
    let checkout = Checkout::new();
    checkout.0.release(RUNNING);
    for name in ["man", "knetstat.rs"] {
        symlink(project().join(name), checkout.0.path("checkout").join(name)).unwrap();
    }
    write(
        checkout.0.path("kdir/Makefile"),
        "modules_install:\n\t@echo 'to $(INSTALL_MOD_PATH)'\n",
    );
    checkout.0.script("install", "echo \"$5\"");
    checkout
}

impl Checkout {
    fn install(&self, args: &[&str]) -> std::process::Output {
        let mut make = self.make("install");
        make.arg(format!("KDIR={}", self.0.path("kdir").display()));
        make.args(args).output().unwrap()
    }

    #[track_caller]
    fn installs_to(&self, args: &[&str], place: &str) {
        let output = self.install(args);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(said.starts_with(&format!("to {place}\n")), "{said}");
        let page = format!("\n{place}/usr/local/share/man/man4/knetstat.4\n");
        assert!(said.contains(&page), "{said}");
    }
}

/// Kbuild runs in another directory than `make`, and some shells leave `~` as it is.
#[test]
fn install_below_a_directory() {
    let checkout = to_install();
    let stage = checkout.0.path("checkout/stage").display().to_string();
    let home = checkout.0.path("home/stage").display().to_string();
    for name in ["INSTALL_MOD_PATH", "DESTDIR"] {
        checkout.installs_to(&[&format!("{name}=stage")], &stage);
        checkout.installs_to(&[&format!("{name}={stage}")], &stage);
        checkout.installs_to(&[&format!("{name}=~/stage")], &home);
    }
    checkout.installs_to(&["INSTALL_MOD_PATH=/one", "DESTDIR=/other"], "/one");
    fails(
        &checkout.install(&["DESTDIR=stage", "MANDIR=man"]),
        &["MANDIR must be an absolute path, not 'man'"],
    );
}

/// depmod would take either of two modules of one name.
#[test]
fn install_beside_another_one() {
    let checkout = to_install();
    let path = format!("INSTALL_MOD_PATH={}", checkout.0.path("stage").display());
    let modules = format!("stage/lib/modules/{RUNNING}");
    for file in ["updates/dkms/knetstat.ko.xz", "extra/knetstat.ko"] {
        let file = format!("{modules}/{file}");
        write(checkout.0.path(&file), "");
        fails(
            &checkout.install(&[&path]),
            &[&format!("{file} is installed already"), "knetstat-dkms"],
        );
        checkout.0.remove(&file);
    }
    // One of `make install` is replaced.
    write(
        checkout
            .0
            .path(&format!("{modules}/updates/knetstat.ko.xz")),
        "",
    );
    let output = checkout.install(&[&path]);
    assert!(output.status.success(), "{output:?}");
}

/// Users other than root read the installed files, too.
#[test]
fn install_with_a_strict_umask() {
    let checkout = to_install();
    write(
        checkout.0.path("kdir/Makefile"),
        "modules_install:\n\t@bash -c umask >&2\n",
    );
    let args = format!(
        "umask 077; make install KDIR={} INSTALL_MOD_PATH=stage",
        checkout.0.path("kdir").display()
    );
    let mut bash = checkout.0.command("bash");
    let output = bash.current_dir(checkout.0.path("checkout"));
    let output = output.args(["-c", &args]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "0022\n");
}
