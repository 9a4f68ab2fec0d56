// SPDX-License-Identifier: GPL-2.0

//! The distributions in `scripts/distributions`: each file has every fact. Their headers packages, laid
//! out as each has them, and what is said if they are missing.

use crate::machine::{
    fails, project, standalone, Machine, ALMA_9_6, AMAZON, ARCH, DEBIAN_12, DEBIAN_13, FEDORA,
    MANJARO, MINT_22, ORACLE_9_4, RHEL_9_0, ROCKY, RUNNING, RUSTC_TEXT, TUMBLEWEED, UBUNTU_24_04,
    UBUNTU_26_04,
};
use std::{fs, os::unix::fs::symlink, path::Path};

/// The names of the distributions: those of their files.
fn distributions() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(project().join("scripts/distributions"))
        .unwrap()
        .map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".sh").expect(&name).to_owned()
        })
        .collect();
    names.sort();
    names
}

/// The facts that `scripts/lib.sh` lists: variables in upper case, functions in lower case.
fn facts() -> Vec<String> {
    let text = fs::read_to_string(project().join("scripts/lib.sh")).unwrap();
    let (_, list) = text.split_once("\n# A distribution is one file").unwrap();
    let facts: Vec<_> = list
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("#   ")?.split(' ').next())
        .map(str::to_owned)
        .collect();
    assert!(facts.len() > 10, "{facts:?}");
    facts
}

/// The facts that a distribution's file does not have, with these scripts.
fn missing(scripts: &Path, distribution: &str) -> Vec<String> {
    let machine = Machine::new();
    machine.os_release(&format!("ID={distribution}\n"));
    let script = r#"
        . "$0/lib.sh"
        for fact; do
            declare -p "$fact" > /dev/null 2>&1 || declare -F "$fact" > /dev/null || echo "$fact"
        done"#;
    let output = machine
        .command("bash")
        .args(["-euc", script])
        .arg(scripts)
        .args(facts())
        .output()
        .unwrap();
    assert!(output.status.success(), "{distribution}: {output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

#[test]
fn each_file_has_every_fact() {
    for name in distributions() {
        let missing = missing(&project().join("scripts"), &name);
        assert!(
            missing.is_empty(),
            "scripts/distributions/{name}.sh does not define {}; scripts/lib.sh says what they are",
            missing.join(", ")
        );
    }
}

/// The test above names what a new file lacks.
#[test]
fn a_missing_fact_is_named() {
    let machine = Machine::new();
    let scripts = machine.path("scripts");
    fs::create_dir_all(scripts.join("distributions")).unwrap();
    fs::copy(project().join("scripts/lib.sh"), scripts.join("lib.sh")).unwrap();
    let fedora = fs::read_to_string(project().join("scripts/distributions/fedora.sh")).unwrap();
    let lines = fedora.lines().filter(|line| {
        !line.starts_with("CARGO_PACKAGE=") && !line.starts_with("metadata_command()")
    });
    let lines: Vec<_> = lines.collect();
    fs::write(scripts.join("distributions/new.sh"), lines.join("\n")).unwrap();
    assert_eq!(
        missing(&scripts, "new"),
        ["CARGO_PACKAGE", "metadata_command"]
    );
}

/// Whatever is missing on a machine with one of these distributions, `make` names a command.
#[test]
fn each_file_has_a_command_for_whatever_is_missing() {
    #[track_caller]
    fn names_a_command(machine: &Machine, what: &str) {
        let output = machine.make();
        fails(&output, &[what]);
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().next().unwrap();
        let (_, command) = line.split_once("run: ").expect(line);
        let words: Vec<_> = command.split(' ').collect();
        assert!(words.len() > 1 && !words.contains(&""), "{line}");
    }
    for name in distributions() {
        let on = |mut machine: Machine, args: &[&str]| {
            machine.os_release(&format!("ID={name}\nVERSION_ID=99\n"));
            machine
                .args
                .extend(args.iter().map(|arg| (*arg).to_owned()));
            machine
        };
        let machine = on(standalone("1.63.0"), &[]);
        names_a_command(&machine, "rustc is version 1.63");
        machine.remove("bin/rustc");
        names_a_command(&machine, "rustc is missing");
        let machine = on(standalone("1.85.0"), &[]);
        machine.remove("sysroot/lib");
        names_a_command(&machine, "sources of core are missing");
        machine.script("rustc", "exit 1");
        names_a_command(&machine, "rustc does not run");
        let machine = on(standalone("1.85.0"), &["CROSS_COMPILE=aarch64-linux-gnu-"]);
        names_a_command(&machine, "aarch64-linux-gnu-gcc is missing");
        let mut machine = on(standalone("1.85.0"), &[]);
        machine.install_headers("99.1.1-1-default", "usr/src/headers");
        machine.remove("usr/src/headers/Makefile");
        names_a_command(&machine, "Makefile is missing");
        machine.remove("usr/src/headers");
        names_a_command(&machine, "no headers");
        let machine = on(Machine::new(), &[]);
        machine.remove("kdir/rust");
        names_a_command(&machine, "lack the Rust metadata");
        machine.remove("bin/rustc");
        names_a_command(&machine, "rustc is missing");
        let machine = on(Machine::new(), &["tool"]);
        names_a_command(&machine, "cargo is missing");
        machine.script("cargo", "echo cargo 1.63.0");
        names_a_command(&machine, "cargo is version 1.63");
        machine.script("cargo", "echo cargo 1.85.0");
        machine.script("cc", "echo libc.a");
        names_a_command(&machine, "libc.a is missing");
    }
}

/// Each has a name of its own for the package.
#[test]
fn no_headers() {
    let mut machine = standalone("1.85.0");
    for (os, release, install) in [
        (
            DEBIAN_13,
            "6.12.117+deb13-amd64",
            "apt install linux-headers-6.12.117+deb13-amd64",
        ),
        (
            DEBIAN_12,
            "6.12.58-current-rockchip64",
            "apt install linux-headers-current-rockchip64",
        ),
        (
            UBUNTU_24_04,
            "6.1.115-vendor-rk35xx",
            "apt install linux-headers-vendor-rk35xx",
        ),
        (
            UBUNTU_26_04,
            "7.0.0-15-generic",
            "apt install linux-headers-7.0.0-15-generic",
        ),
        (
            MINT_22,
            "6.8.0-51-generic",
            "apt install linux-headers-6.8.0-51-generic",
        ),
        (
            FEDORA,
            "7.2.1-200.fc44.x86_64",
            "dnf install kernel-devel-7.2.1-200.fc44.x86_64",
        ),
        (
            ROCKY,
            "6.12.0-55.el10.x86_64+rt",
            "dnf install kernel-rt-devel-6.12.0-55.el10.x86_64",
        ),
        (
            ALMA_9_6,
            "5.14.0-570.32.1.el9_6.aarch64+64k",
            "dnf install kernel-64k-devel-5.14.0-570.32.1.el9_6.aarch64",
        ),
        // The realtime kernel had its own releases before RHEL 9.3.
        (
            RHEL_9_0,
            "5.14.0-70.13.1.rt21.83.el9_0.x86_64",
            "dnf install kernel-rt-devel-5.14.0-70.13.1.rt21.83.el9_0.x86_64",
        ),
        (
            RHEL_9_0,
            "5.14.0-70.13.1.rt21.83.el9_0.x86_64+debug",
            "dnf install kernel-rt-debug-devel-5.14.0-70.13.1.rt21.83.el9_0.x86_64",
        ),
        // Oracle has RHEL's kernel and its own.
        (
            ORACLE_9_4,
            "5.14.0-427.42.1.el9_4.x86_64",
            "dnf install kernel-devel-5.14.0-427.42.1.el9_4.x86_64",
        ),
        (
            ORACLE_9_4,
            "5.15.0-206.153.7.el9uek.x86_64",
            "dnf install kernel-uek-devel-5.15.0-206.153.7.el9uek.x86_64",
        ),
        (
            AMAZON,
            "6.1.141-155.222.amzn2023.x86_64",
            "dnf install kernel-devel-6.1.141-155.222.amzn2023.x86_64",
        ),
        (
            AMAZON,
            "6.12.20-23.97.amzn2023.x86_64",
            "dnf install kernel6.12-devel-6.12.20-23.97.amzn2023.x86_64",
        ),
        (ARCH, "7.2.1-arch1-1", "pacman -S linux-headers"),
        (ARCH, "6.12.9-1-lts", "pacman -S linux-lts-headers"),
        (ARCH, "7.2.1-zen1-1-zen", "pacman -S linux-zen-headers"),
        (
            ARCH,
            "7.2.1-hardened1-1-hardened",
            "pacman -S linux-hardened-headers",
        ),
        (
            TUMBLEWEED,
            "7.2.1-1-default",
            "zypper install kernel-default-devel",
        ),
        (
            TUMBLEWEED,
            "6.12.9-1-longterm",
            "zypper install kernel-longterm-devel",
        ),
    ] {
        machine.os_release(os);
        machine.build_for(release);
        machine.ends_with(&format!("{install}\n"));
    }
}

/// Kernels that are not Arch's own say whose they are beside their modules.
#[test]
fn no_headers_of_a_package_that_has_a_name() {
    let mut machine = standalone("1.85.0");
    machine.os_release(MANJARO);
    machine.build_for("6.12.9-1-MANJARO");
    machine.lib_modules("6.12.9-1-MANJARO/pkgbase", "linux612\n");
    machine.ends_with("pacman -S linux612-headers\n");
}

/// An unknown distribution's package manager says what it was made from.
#[test]
fn no_headers_of_an_unknown_distribution() {
    let mut machine = standalone("1.85.0");
    machine.os_release("ID=unheard-of\n");
    machine.build_for("7.2.1-1-default");
    machine.ends_with("apt install linux-headers-7.2.1-1-default\n");
    for (manager, install) in [
        ("zypper", "zypper install kernel-default-devel\n"),
        ("pacman", "pacman -S linux-headers\n"),
        ("dnf", "dnf install kernel-devel-7.2.1-1-default\n"),
        ("apt-get", "apt install linux-headers-7.2.1-1-default\n"),
    ] {
        machine.script(manager, "exit 0");
        machine.ends_with(install);
    }
    // It is told before that: Debian has a dnf and a pacman too.
    machine.os_release(TUMBLEWEED);
    machine.ends_with("zypper install kernel-default-devel\n");
}

/// Fedora's and openSUSE's kernels bring the link to the tree, but not the tree; Arch removes the
/// tree of a kernel that was upgraded and still runs.
#[test]
fn link_to_headers_that_are_not_installed() {
    let mut machine = standalone("1.85.0");
    machine.os_release(FEDORA);
    let release = "7.2.1-200.fc44.x86_64";
    machine.install_headers(release, &format!("usr/src/kernels/{release}"));
    machine.builds_with("bin/rustc");
    machine.remove(&format!("usr/src/kernels/{release}"));
    machine.fails(&["no headers of Linux", "dnf install kernel-devel-7.2.1-200"]);
}

/// Arch has no headers of a kernel that still runs after it was upgraded.
#[test]
fn kernel_was_upgraded() {
    let mut machine = standalone("1.85.0");
    machine.os_release(ARCH);
    machine.install_headers("99.8.1-arch1-1", "lib/modules/99.8.1-arch1-1/build");
    machine.build_for(RUNNING);
    // Only what DKMS built is left.
    machine.lib_modules(&format!("{RUNNING}/updates/dkms/other.ko"), "");
    machine.fails(&[
        &format!("there are no modules of the running Linux {RUNNING}"),
        "reboot, or build for another kernel: make KVER=99.8.1-arch1-1",
    ]);
    // Another kernel than the running one, one that has its modules, and a container without kernels.
    machine.build_for("99.9.9-arch1-1");
    machine.ends_with("pacman -S linux-headers\n");
    machine.build_for(RUNNING);
    machine.lib_modules(&format!("{RUNNING}/kernel/fs/ext4.ko"), "");
    machine.ends_with("pacman -S linux-headers\n");
    machine.remove("lib/modules");
    machine.ends_with("pacman -S linux-headers\n");
}

/// Another package's files are there, and those of the headers are not.
#[test]
fn damaged_headers() {
    for (os, release, install) in [
        (
            DEBIAN_13,
            "6.12.117+deb13-amd64",
            "apt install --reinstall linux-headers-6.12.117+deb13-amd64",
        ),
        (
            FEDORA,
            "7.2.1-200.fc44.x86_64",
            "dnf reinstall kernel-devel-7.2.1-200.fc44.x86_64",
        ),
        (ARCH, "6.12.9-1-lts", "pacman -S linux-lts-headers"),
        (
            TUMBLEWEED,
            "7.2.1-1-default",
            "zypper install --force kernel-default-devel",
        ),
    ] {
        let mut machine = standalone("1.85.0");
        machine.os_release(os);
        machine.install_headers(release, "usr/src/headers");
        machine.remove("usr/src/headers/Makefile");
        machine.fails(&["no kernel build tree (Makefile is missing)"]);
        machine.ends_with(&format!("{install}\n"));
    }
}

/// Ubuntu's headers link to what the package linux-lib-rust-RELEASE has.
fn ubuntu(release: &str) -> Machine {
    let mut machine = Machine::new();
    machine.os_release(UBUNTU_26_04);
    let headers = format!("usr/src/linux-headers-{release}");
    let lib_rust = format!("usr/src/linux-lib-rust-{release}");
    machine.install_headers(release, &headers);
    fs::create_dir(machine.path(&lib_rust)).unwrap();
    fs::rename(
        machine.path(&headers).join("rust"),
        machine.path(&lib_rust).join("rust"),
    )
    .unwrap();
    symlink(
        format!("../linux-lib-rust-{release}/rust"),
        machine.path(&headers).join("rust"),
    )
    .unwrap();
    machine
}

#[test]
fn ubuntu_with_lib_rust() {
    ubuntu("99.0.0-15-generic").builds_with("bin/rustc");
}

#[test]
fn ubuntu_without_lib_rust() {
    let machine = ubuntu("99.0.0-15-generic");
    machine.remove("usr/src/linux-lib-rust-99.0.0-15-generic");
    for os in [UBUNTU_26_04, MINT_22] {
        machine.os_release(os);
        machine.fails(&["lack the Rust metadata (rust/libcore.rmeta)"]);
        machine.ends_with("apt install linux-lib-rust-99.0.0-15-generic\n");
    }
    // No other distribution has that package.
    machine.os_release(DEBIAN_13);
    machine.ends_with("make metadata KVER=99.0.0-15-generic\n");
}

/// Ubuntu's compilers have their releases in their names, and the kernel's own is not the newest.
#[test]
fn ubuntu_rustc_of_the_kernel() {
    let machine = ubuntu("99.0.0-15-generic");
    machine.script("rustc", "echo rustc 1.75.0");
    machine.script("rustc-1.95", "echo rustc 1.95.0");
    machine.fails(&["rustc is \"rustc 1.75.0\"", RUSTC_TEXT, "run: "]);
    machine.script(
        "rustc-1.85",
        &format!("[ \"$1\" = --version ] && echo '{RUSTC_TEXT}'"),
    );
    machine.builds_with("bin/rustc-1.85");
}

/// Without the kernel's Rust any of them will do, and the sources are where rustc does not know.
#[test]
fn ubuntu_rustc_with_a_release() {
    let machine = standalone("1.75.0");
    machine.os_release(UBUNTU_24_04);
    machine.fails(&["apt install rustc-1.85 rust-1.85-src"]);
    machine.script("rustc-1.85", "[ $1 = --version ] && echo rustc 1.85.1");
    machine.fails(&["apt install rustc-1.85 rust-1.85-src"]);
    fs::create_dir_all(machine.path("usr/src/rustc-1.85.1/library/core/src")).unwrap();
    fs::write(
        machine.path("usr/src/rustc-1.85.1/library/core/src/lib.rs"),
        "",
    )
    .unwrap();
    machine.builds_with("bin/rustc-1.85");
}

/// Arch's headers are a directory beside the modules, and have the metadata, vmlinux, and of the
/// kernel's sources the Kconfig files.
#[test]
fn arch() {
    let mut machine = Machine::new();
    let release = "99.2.1-arch1-1";
    let tree = format!("lib/modules/{release}/build");
    machine.os_release(ARCH);
    machine.install_headers(release, &tree);
    for file in ["vmlinux", "Kconfig", "version"] {
        fs::write(machine.path(&tree).join(file), "").unwrap();
    }
    machine.builds_with("bin/rustc");

    // rustc is upgraded before the kernel that is built with it.
    machine.system_rustc("rustc 1.99.0");
    machine.remove("bin/rustc");
    machine.fails(&["rustc 1.99.0", RUSTC_TEXT, "make RUST=standalone"]);
    machine.remove("usr/bin/rustc");
    machine.fails(&["rustc is missing", "pacman -S rust"]);
}

/// Armbian's headers have the metadata, but nothing else of the directory `rust`.
#[test]
fn armbian() {
    let mut machine = Machine::new();
    let release = "99.0.3-edge-rockchip64";
    let tree = format!("usr/src/linux-headers-{release}");
    machine.os_release(DEBIAN_13);
    machine.install_headers(release, &tree);
    fs::write(machine.path(&tree).join("rust/libmacros.so"), "").unwrap();
    machine.builds_with("bin/rustc");

    // So it was before 2026. There is no package of the source that could make them.
    machine.remove(&format!("{tree}/rust"));
    machine.fails(&["lack the Rust metadata", "make RUST=standalone"]);
}

/// Where there is no other package for them and no source to make them from.
#[test]
fn no_metadata_but_debians() {
    let machine = Machine::new();
    machine.remove("kdir/rust");
    for os in [FEDORA, ROCKY, ARCH, TUMBLEWEED] {
        machine.os_release(os);
        machine.fails(&["lack the Rust metadata", "make RUST=standalone"]);
    }
}
