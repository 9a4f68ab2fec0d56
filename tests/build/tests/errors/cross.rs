// SPDX-License-Identifier: GPL-2.0

//! Kernels of another architecture than the machine's. Kbuild supports them if ARCH is set.

use crate::machine::{standalone, write, Machine, ARCH, DEBIAN_13, RUNNING};

/// A machine of one kind, and a kernel of the other.
fn arm64_on_amd64() -> Machine {
    let machine = standalone("1.85.0");
    machine.config_without_rust("ARM64=y\nCONFIG_CC_IS_GCC=y");
    machine
}

fn amd64_on_arm64() -> Machine {
    let machine = standalone("1.85.0");
    machine.uname(RUNNING, "aarch64");
    machine
}

#[test]
fn on_its_own_machine() {
    let mut machine = arm64_on_amd64();
    machine.uname(RUNNING, "aarch64");
    machine.builds_with("bin/rustc");
    machine.args.push("ARCH=arm64".into());
    machine.builds_with("bin/rustc");

    for arch in ["x86", "x86_64", "i386"] {
        let mut machine = standalone("1.85.0");
        machine.args.push(format!("ARCH={arch}"));
        machine.builds_with("bin/rustc");
    }
}

#[test]
fn riscv64() {
    let mut machine = standalone("1.85.0");
    machine.config_without_rust("RISCV=y\nCONFIG_ARCH_RV64I=y\nCONFIG_CC_IS_GCC=y");
    machine.fails(&[
        "is for riscv64, and this machine is x86_64",
        "building for riscv64 here needs ARCH=riscv CROSS_COMPILE=riscv64-linux-gnu-",
    ]);
    machine.args.push("ARCH=riscv".into());
    machine.args.push("CROSS_COMPILE=riscv64-linux-gnu-".into());
    machine.fails(&["apt install gcc-riscv64-linux-gnu"]);

    let machine = standalone("1.85.0");
    machine.config_without_rust("RISCV=y\nCONFIG_ARCH_RV64I=y\nCONFIG_CC_IS_GCC=y");
    machine.uname(RUNNING, "riscv64");
    machine.builds_with("bin/rustc");
}

#[test]
fn nothing_is_said() {
    arm64_on_amd64().fails(&[
        "is for arm64, and this machine is x86_64",
        "building for arm64 here needs ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-",
    ]);
    amd64_on_arm64().fails(&[
        "is for amd64, and this machine is aarch64",
        "building for amd64 here needs ARCH=x86 CROSS_COMPILE=x86_64-linux-gnu-",
    ]);
}

/// The same with the kernel's own Rust.
#[test]
fn kernels_rust() {
    let mut machine = arm64_on_amd64();
    machine.config_without_rust("ARM64=y\nCONFIG_RUST=y");
    machine.release("99.9.9-made-up");
    machine.args.push("RUST=kernel".into());
    machine.fails(&["building for arm64 here needs ARCH=arm64"]);
}

#[test]
fn no_cross_compile() {
    let mut machine = arm64_on_amd64();
    machine.args.push("ARCH=arm64".into());
    machine.fails(&["building for arm64 here needs CROSS_COMPILE=aarch64-linux-gnu-"]);

    machine.args.push("LLVM=1".into());
    machine.builds_with("bin/rustc");
}

#[test]
fn no_arch() {
    let mut machine = arm64_on_amd64();
    machine.args.push("CROSS_COMPILE=aarch64-linux-gnu-".into());
    machine.fails(&["building for arm64 here needs ARCH=arm64"]);
}

#[test]
fn no_compiler() {
    let mut machine = arm64_on_amd64();
    machine.args.push("ARCH=arm64".into());
    machine.args.push("CROSS_COMPILE=aarch64-linux-gnu-".into());
    machine.os_release(DEBIAN_13);
    machine.fails(&[
        "aarch64-linux-gnu-gcc is missing",
        "apt install gcc-aarch64-linux-gnu",
    ]);
    machine.os_release(ARCH);
    machine.fails(&["pacman -S aarch64-linux-gnu-gcc"]);
    machine.script("aarch64-linux-gnu-gcc-14", "exit 0");
    machine.builds_with("bin/rustc");
}

/// The name of a package has no underscore.
#[test]
fn no_compiler_for_amd64() {
    let mut machine = amd64_on_arm64();
    machine.args.push("ARCH=x86_64".into());
    machine.args.push("CROSS_COMPILE=x86_64-linux-gnu-".into());
    machine.fails(&[
        "x86_64-linux-gnu-gcc is missing",
        "apt install gcc-x86-64-linux-gnu",
    ]);
}

/// No package brings a compiler that is not in `PATH`.
#[test]
fn no_compiler_in_a_directory() {
    let mut machine = arm64_on_amd64();
    let prefix = machine.path("toolchain/aarch64-linux-");
    machine.args.push("ARCH=arm64".into());
    machine
        .args
        .push(format!("CROSS_COMPILE={}", prefix.display()));
    machine.fails(&["aarch64-linux-gcc is missing", "CROSS_COMPILE=PREFIX"]);
    machine.program("toolchain/aarch64-linux-gcc", "exit 0");
    machine.builds_with("bin/rustc");
}

#[test]
fn another_arch() {
    let mut machine = standalone("1.85.0");
    machine.args.push("ARCH=arm64".into());
    machine.args.push("CROSS_COMPILE=aarch64-linux-gnu-".into());
    machine.fails(&["is for amd64, not for ARCH=arm64", "omit ARCH"]);
}

/// Debian's headers for another architecture set ARCH and CROSS_COMPILE.
#[test]
fn debian() {
    let machine = arm64_on_amd64();
    write(
        machine.path("kdir/.kernelvariables"),
        "override ARCH = arm64\noverride CROSS_COMPILE = aarch64-linux-gnu-\n",
    );
    machine.fails(&[
        "aarch64-linux-gnu-gcc is missing",
        "apt install gcc-aarch64-linux-gnu",
    ]);
    machine.script("aarch64-linux-gnu-gcc-14", "exit 0");
    machine.builds_with("bin/rustc");
}

#[test]
fn of_32_bits() {
    for option in ["X86_32=y", "ARM=y", "RISCV=y\nCONFIG_ARCH_RV32I=y"] {
        let machine = standalone("1.85.0");
        write(
            machine.path("kdir/include/config/auto.conf"),
            &format!("CONFIG_{option}\nCONFIG_CC_IS_GCC=y\n"),
        );
        machine.fails(&["is a 32-bit kernel", "amd64, arm64 and riscv64"]);
    }
}
