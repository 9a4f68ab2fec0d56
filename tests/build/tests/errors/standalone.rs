// SPDX-License-Identifier: GPL-2.0

//! `RUST=standalone`, the default: without the kernel's own Rust.

use crate::machine::{
    fails, oldest_of, project, standalone, write, ARCH, DEBIAN_12, DEBIAN_13, FEDORA, REACHED,
    RELEASES, RUNNING,
};
use std::fs;

#[test]
fn builds() {
    standalone("1.85.0 (4d91de4e4 2025-02-17) (built from a source tarball)")
        .builds_with("bin/rustc");
    standalone("1.97.1").builds_with("bin/rustc");
}

/// The headers of Debian 12 have the upstream version in `kernel.release`.
#[test]
fn release_of_the_headers() {
    let machine = standalone("1.85.0");
    machine.release("6.1.0");
    write(
        machine.path("kdir/include/generated/utsrelease.h"),
        "#define UTS_RELEASE \"5.9.0-50-made-up\"\n",
    );
    machine.fails(&["Linux 5.9.0-50-made-up is too old"]);
}

#[test]
fn unknown_kind() {
    let mut machine = standalone("1.85.0");
    machine.args.push("RUST=mine".into());
    machine.fails(&["RUST must be kernel or standalone, not 'mine'"]);
}

/// `RUST=own` is the former name, as an argument or in the environment.
#[test]
fn the_former_name() {
    let mut machine = standalone("1.85.0");
    machine.args.push("RUST=own".into());
    machine.builds_with("bin/rustc");
    machine.release("5.9.0-made-up");
    machine.fails(&["is too old", &oldest_of("standalone"), "a newer release"]);

    machine.args.pop();
    let mut make = machine.command("make");
    let output = make.args(&machine.args).env("RUST", "own").output();
    fails(&output.unwrap(), &["is too old", "a newer release"]);
}

/// Kbuild accepts it, too, because it can be called without our Makefile.
#[test]
fn the_former_name_in_kbuild() {
    let machine = standalone("1.85.0");
    let objects = |rust: &str, config: &str| {
        write(
            machine.path("probe.mk"),
            &format!(
                "src := {}\nobj := {}\ninclude $(src)/Kbuild\nshow:\n\t@echo $(knetstat-y)\n",
                project().display(),
                machine.path("obj").display()
            ),
        );
        let mut make = machine.command("make");
        make.arg("-f").arg(machine.path("probe.mk"));
        let output = make.args([rust, config, "RUSTC=rustc", "show"]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let standalone = objects("RUST=standalone", "CONFIG_X86_64=y");
    assert!(standalone.contains("rust/glue.o"), "{standalone}");
    for rust in ["RUST=own", "RUST="] {
        assert_eq!(objects(rust, "CONFIG_X86_64=y"), standalone);
    }
    assert_eq!(objects("RUST=own", "CONFIG_UML=y"), standalone);
    assert_ne!(objects("RUST=", "CONFIG_UML=y"), standalone);
    assert_ne!(objects("RUST=kernel", "CONFIG_X86_64=y"), standalone);
}

/// DKMS passes on its environment.
#[test]
fn the_former_name_in_dkms() {
    let machine = standalone("1.85.0");
    let dkms = |rust: &str, check: &[&str]| {
        let mut script = machine.command("sh");
        script.arg("scripts/dkms-build.sh").args(check);
        script.args([RUNNING.into(), machine.path("kdir")]);
        script.env("RUST", rust).output().unwrap()
    };
    for rust in ["own", "standalone", ""] {
        let output = dkms(rust, &["--check"]);
        assert!(output.status.success(), "{output:?}");
        let output = dkms(rust, &[]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains(REACHED),
            "{output:?}"
        );
    }
    let output = dkms("mine", &["--check"]);
    fails(&output, &["RUST must be kernel or standalone, not 'mine'"]);
    assert_eq!(output.status.code(), Some(77));
}

#[test]
fn kernel_too_old() {
    let machine = standalone("1.85.0");
    for release in ["5.9.0-made-up", "4.18.0-553.el8_10.x86_64"] {
        machine.release(release);
        machine.fails(&[
            &format!("Linux {release} is too old"),
            &oldest_of("standalone"),
        ]);
    }
    for release in ["5.10.0-50-amd64", "5.14.0-570.32.1.el9_6.x86_64"] {
        machine.release(release);
        machine.builds_with("bin/rustc");
    }
}

#[test]
fn another_architecture() {
    let machine = standalone("1.85.0");
    machine.config_without_rust("S390=y");
    machine.fails(&["another architecture", "amd64, arm64 and riscv64"]);
}

#[test]
fn in_user_mode_linux() {
    let mut machine = standalone("1.85.0");
    machine.config_without_rust("X86_64=y\nCONFIG_UML=y");
    // By default, it is built with the kernel's own Rust.
    machine.fails(&["CONFIG_RUST is off"]);
    machine.args.push("RUST=standalone".into());
    machine.fails(&["User Mode Linux", "make RUST=kernel"]);
}

/// The module would be killed at its first callback.
#[test]
fn functions_without_types() {
    let mut machine = standalone("1.85.0");
    for option in ["CFI", "CFI_CLANG"] {
        machine.config_without_rust(&format!("X86_64=y\nCONFIG_{option}=y"));
        machine.fails(&["CONFIG_CFI", "make RUST=kernel"]);
        for rust in ["RUST=own", "RUST=standalone"] {
            machine.args.push(rust.into());
            machine.fails(&["CONFIG_CFI", "make RUST=kernel"]);
            machine.args.pop();
        }
    }
    machine.config_without_rust("X86_64=y\nCONFIG_ARCH_SUPPORTS_CFI_CLANG=y\nCONFIG_CC_IS_GCC=y");
    machine.builds_with("bin/rustc");
}

/// Each read of the files would be reported.
#[test]
fn writes_that_are_not_seen() {
    let mut machine = standalone("1.85.0");
    machine.release("99.7.7-made-up");
    machine.config_without_rust("X86_64=y\nCONFIG_KMSAN=y\nCONFIG_RUST=y");
    machine.fails(&["CONFIG_KMSAN", "a kernel without"]);
    machine.args.push("RUST=kernel".into());
    machine.fails(&["CONFIG_KMSAN", "a kernel without"]);
    machine.args.pop();
    machine.config_without_rust("X86_64=y\nCONFIG_HAVE_ARCH_KMSAN=y\nCONFIG_CC_IS_GCC=y");
    machine.builds_with("bin/rustc");
}

#[test]
fn no_rustc() {
    let machine = standalone("1.85.0");
    machine.remove("bin/rustc");
    for (release, install, _) in RELEASES {
        machine.os_release(release);
        machine.fails(&["rustc is missing", install]);
    }
}

#[test]
fn the_users_rustc_is_missing() {
    let mut machine = standalone("1.85.0");
    machine.args.push("RUSTC=/no/rustc".into());
    machine.fails(&["/no/rustc is missing", "apt install rustc rust-src"]);
}

/// As a rustup proxy whose toolchain is not installed.
#[test]
fn rustc_does_not_run() {
    let machine = standalone("1.85.0");
    machine.script("rustc", "echo 'error: no toolchain' >&2; exit 1");
    for (release, reinstall) in [
        (DEBIAN_12, "apt install --reinstall rustc-web rust-web-src"),
        (DEBIAN_13, "apt install --reinstall rustc rust-src"),
        (FEDORA, "dnf reinstall rust rust-src"),
        (ARCH, "pacman -S rust rust-src"),
    ] {
        machine.os_release(release);
        machine.fails(&["rustc does not run", reinstall]);
    }
}

#[test]
fn rustc_too_old() {
    let machine = standalone("1.63.0");
    for (release, install, _) in RELEASES {
        machine.os_release(release);
        machine.fails(&["version 1.63", "1.85 or later", install, "RUSTC=FILE"]);
    }
}

#[test]
fn no_sources() {
    let machine = standalone("1.85.0");
    machine.remove("sysroot/lib");
    for (release, _, install) in RELEASES {
        machine.os_release(release);
        machine.fails(&["sources of core are missing", install]);
    }
}

#[test]
fn no_sources_of_rustup() {
    let machine = standalone("1.85.0");
    let sysroot = machine.path("toolchains/stable");
    fs::create_dir_all(&sysroot).unwrap();
    machine.script(
        "rustc",
        &format!(
            "[ \"$1\" = --version ] && echo 'rustc 1.90.0'; [ \"$2\" = sysroot ] && echo '{}'",
            sysroot.display()
        ),
    );
    machine.fails(&[
        "sources of core are missing",
        "rustup component add --toolchain stable rust-src",
    ]);
}

/// The system's compiler is too old or lacks sources; the one in `PATH` is complete.
#[test]
fn the_second_rustc() {
    let machine = standalone("1.90.0");
    machine.system_rustc("rustc 1.63.0");
    machine.builds_with("bin/rustc");
    machine.system_rustc("rustc 1.95.0");
    machine.builds_with("bin/rustc");
}

#[test]
fn no_gcc() {
    let mut machine = standalone("1.85.0");
    machine.remove("bin/gcc-14");
    machine.fails(&["gcc is missing", "apt install gcc"]);
    machine.args.push("CROSS_COMPILE=aarch64-linux-gnu-".into());
    machine.fails(&[
        "aarch64-linux-gnu-gcc is missing",
        "apt install gcc-aarch64-linux-gnu",
    ]);
    machine.args.push("LLVM=1".into());
    machine.builds_with("bin/rustc");
}

/// The package for DKMS contains all scripts that `make` and DKMS call.
#[test]
fn the_package_is_complete() {
    let machine = standalone("1.85.0");
    let dir = machine.path("package");
    let mut script = machine.command("sh");
    script.args(["scripts/dkms-files.sh", "source"]).arg(&dir);
    let output = script.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let count = fs::read_dir(dir.join("scripts")).unwrap().count();
    assert!(count > 5, "only {count} files in scripts");
    let mut script = machine.command("sh");
    script.current_dir(&dir).arg("scripts/dkms-build.sh");
    let output = script.arg(RUNNING).arg(machine.path("kdir")).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains(REACHED),
        "{output:?}"
    );
}

/// Kernels that clang compiled, with `make` and with DKMS, which passes on its environment.
#[test]
fn compiled_by_clang() {
    let mut machine = standalone("1.85.0");
    machine.config_without_rust("X86_64=y\nCONFIG_CC_IS_CLANG=y");
    write(
        machine.path("kdir/Makefile"),
        &format!("modules:\n\t@echo '{REACHED}: LLVM=$(LLVM)'\n"),
    );
    machine.fails(&["was compiled by clang; run: make LLVM=1"]);
    for args in [&["--check"][..], &[]] {
        let mut script = machine.command("sh");
        script.arg("scripts/dkms-build.sh").args(args);
        let output = script.arg(RUNNING).arg(machine.path("kdir")).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        let reached = said.contains(&format!("{REACHED}: LLVM=1\n"));
        assert_eq!(reached, args.is_empty(), "{output:?}");
    }
    // gcc is not needed.
    machine.remove("bin/gcc-14");
    for arg in ["LLVM=1", "LLVM=-19", "CC=clang"] {
        machine.args.push(arg.into());
        let output = machine.make();
        assert!(output.status.success(), "{output:?}");
        machine.args.pop();
    }
}

/// A proxy of rustup chooses the compiler by the working directory, and Kbuild has another one.
#[test]
fn proxy_of_rustup() {
    let mut machine = standalone("1.85.0");
    for (toolchain, version) in [("default", "1.90.0"), ("of-the-checkout", "1.95.0")] {
        let sysroot = machine.path(&format!("toolchains/{toolchain}"));
        write(
            sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs"),
            "",
        );
        machine.program(
            &format!("toolchains/{toolchain}/bin/rustc"),
            &format!(
                "[ \"$1\" = --version ] && echo 'rustc {version}'; [ \"$2\" = sysroot ] && echo '{}'",
                sysroot.display()
            ),
        );
    }
    let proxy = format!(
        "toolchain=default; [ ! -e rust-toolchain.toml ] || toolchain=of-the-checkout\n\
        exec {}/$toolchain/bin/rustc \"$@\"",
        machine.path("toolchains").display()
    );
    machine.script("rustc", &proxy);
    machine.builds_with("toolchains/default/bin/rustc");
    machine.args.push("RUSTC=rustc".into());
    machine.builds_with("toolchains/default/bin/rustc");
}

/// Kbuild runs the compiler in other directories.
#[test]
fn the_users_rustc_has_a_relative_path() {
    let mut machine = standalone("1.85.0");
    machine.program("home/rustc", "exec rustc \"$@\"");
    let up = "../".repeat(project().components().count());
    let relative = format!("{up}{}", machine.path("home/rustc").display());
    for (rustc, expected) in [
        ("rustc".to_owned(), machine.path("bin/rustc")),
        ("~/rustc".to_owned(), machine.path("home/rustc")),
        (relative.clone(), project().join(&relative)),
    ] {
        machine.args.push(format!("RUSTC={rustc}"));
        machine.builds_with(expected.to_str().unwrap());
        machine.args.pop();
    }
}
