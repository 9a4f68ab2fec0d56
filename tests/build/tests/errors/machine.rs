// SPDX-License-Identifier: GPL-2.0

//! Made-up machines: a kernel build tree, a distribution and a set of tools, in a directory. Tests
//! remove things from them.

use std::{
    fs,
    os::unix::fs::{symlink, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// The compiler of the made-up kernel. No real compiler prints this.
pub const RUSTC_TEXT: &str = "rustc 1.85.1 (0123456789 2025-03-15) (made up)";

/// The kernel that runs on the made-up machine.
pub const RUNNING: &str = "99.7.7-running";

/// The programs that `make` and its scripts call. No others are in `PATH`.
pub const TOOLS: &[&str] = &[
    "awk", "basename", "bash", "cat", "chmod", "cksum", "cmp", "comm", "cp", "cut", "df", "diff",
    "dirname", "du", "echo", "env", "find", "flock", "grep", "head", "id", "ls", "make", "mkdir",
    "mktemp", "mv", "nproc", "paste", "readlink", "rm", "rmdir", "sed", "sh", "sort", "tail",
    "tar", "tee", "tr", "xargs",
];

/// Lines of `/etc/os-release` that identify distributions.
pub const DEBIAN_11: &str = "ID=debian\nVERSION_ID=\"11\"\n";
pub const DEBIAN_12: &str = "ID=debian\nVERSION_ID=\"12\"\n";
/// Derived from Debian 12 and 11, with versions of their own.
pub const LMDE_6: &str = "ID=linuxmint\nID_LIKE=debian\nVERSION_ID=\"6\"\nVERSION_CODENAME=faye\n\
    DEBIAN_CODENAME=bookworm\n";
pub const DEVUAN_5: &str =
    "ID=devuan\nID_LIKE=debian\nVERSION_ID=\"5\"\nVERSION_CODENAME=\"daedalus\"\n";
pub const DEVUAN_4: &str =
    "ID=devuan\nID_LIKE=debian\nVERSION_ID=\"4\"\nVERSION_CODENAME=\"chimaera\"\n";
pub const UBUNTU_20_04: &str =
    "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"20.04\"\nUBUNTU_CODENAME=focal\n";
pub const DEBIAN_13: &str = "ID=debian\nVERSION_ID=\"13\"\n";
pub const DEBIAN_TESTING: &str = "ID=debian\nVERSION_CODENAME=forky\n";
pub const UBUNTU_24_04: &str =
    "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\nUBUNTU_CODENAME=noble\n";
pub const UBUNTU_26_04: &str =
    "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"26.04\"\nUBUNTU_CODENAME=resolute\n";
/// Derived from Ubuntu 24.04.
pub const MINT_22: &str =
    "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"22\"\nUBUNTU_CODENAME=noble\n";
pub const FEDORA: &str = "ID=fedora\nVERSION_ID=44\n";
pub const ROCKY: &str = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"10.1\"\n";
pub const ROCKY_9_2: &str = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.2\"\n";
pub const ALMA_8: &str = "ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"8.10\"\n";
pub const ALMA_9_6: &str = "ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.6\"\n";
pub const CENTOS_10: &str = "ID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"10\"\n";
pub const ORACLE_9_4: &str =
    "ID=\"ol\"\nID_LIKE=\"fedora\"\nVARIANT_ID=\"server\"\nVERSION_ID=\"9.4\"\n";
pub const RHEL_9_0: &str = "ID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.0\"\n";
pub const RHEL_9_7: &str = "ID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.7\"\n";
pub const RHEL_10_0: &str = "ID=\"rhel\"\nID_LIKE=\"centos fedora\"\nVERSION_ID=\"10.0\"\n";
pub const AMAZON: &str = "ID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"\n";
pub const ARCH: &str = "ID=arch\nBUILD_ID=rolling\n";
pub const MANJARO: &str = "ID=manjaro\nID_LIKE=arch\n";
pub const TUMBLEWEED: &str = "ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n";

const RUSTUP: &str =
    "rustup toolchain install stable --component rust-src && rustup default stable (rustup is at https://rustup.rs)";
const RUSTUP_SOURCES: &str =
    "rustup toolchain install stable --component rust-src && rustup default stable";
const RHEL_RUST: &str = "dnf install rust-toolset rust-src, or, if that rustc is older than 1.85: \
    rustup toolchain install stable --component rust-src && rustup default stable (rustup is at https://rustup.rs)";

/// Distributions, the command that installs a compiler that is new enough and its sources, and the
/// command that installs only the sources.
pub const RELEASES: &[(&str, &str, &str)] = &[
    // Its compiler is too old, and it has no package of rustup.
    (DEBIAN_11, RUSTUP, RUSTUP_SOURCES),
    (
        DEBIAN_12,
        "apt install rustc-web rust-web-src",
        "apt install rust-web-src",
    ),
    (
        LMDE_6,
        "apt install rustc-web rust-web-src",
        "apt install rust-web-src",
    ),
    (
        DEVUAN_5,
        "apt install rustc-web rust-web-src",
        "apt install rust-web-src",
    ),
    (DEVUAN_4, RUSTUP, RUSTUP_SOURCES),
    // Its newer kernels, such as 5.15, are supported.
    (UBUNTU_20_04, RUSTUP, RUSTUP_SOURCES),
    (
        DEBIAN_13,
        "apt install rustc rust-src",
        "apt install rust-src",
    ),
    (
        DEBIAN_TESTING,
        "apt install rustc rust-src",
        "apt install rust-src",
    ),
    (
        UBUNTU_24_04,
        "apt install rustc-1.85 rust-1.85-src",
        "apt install rust-1.85-src",
    ),
    (
        MINT_22,
        "apt install rustc-1.85 rust-1.85-src",
        "apt install rust-1.85-src",
    ),
    (
        UBUNTU_26_04,
        "apt install rustc rust-src",
        "apt install rust-src",
    ),
    (FEDORA, "dnf install rust rust-src", "dnf install rust-src"),
    (ROCKY, "dnf install rust rust-src", "dnf install rust-src"),
    (
        CENTOS_10,
        "dnf install rust rust-src",
        "dnf install rust-src",
    ),
    (
        RHEL_9_7,
        "dnf install rust rust-src",
        "dnf install rust-src",
    ),
    (AMAZON, "dnf install rust rust-src", "dnf install rust-src"),
    // Their compilers are too old, and a machine may stay on such a release.
    (RHEL_9_0, RHEL_RUST, RHEL_RUST),
    (RHEL_10_0, RHEL_RUST, RHEL_RUST),
    (ALMA_9_6, RHEL_RUST, RHEL_RUST),
    (ORACLE_9_4, RHEL_RUST, RHEL_RUST),
    (ARCH, "pacman -S rust rust-src", "pacman -S rust-src"),
    // It has no package of the sources.
    (
        TUMBLEWEED,
        "zypper install rustup && rustup toolchain install stable --component rust-src && rustup default stable",
        "rustup toolchain install stable --component rust-src && rustup default stable",
    ),
];

/// The text that the Makefile of the made-up kernel prints instead of building.
pub const REACHED: &str = "Kbuild was reached";

pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The oldest kernel version that the project supports with this `RUST=`, such as `7.3`.
pub fn oldest_of(way: &str) -> String {
    fs::read_to_string(project().join("scripts/supported-kernels"))
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix(way)?.strip_prefix(' '))
        .unwrap()
        .to_owned()
}

/// The same with the kernel's own Rust.
pub fn oldest() -> String {
    oldest_of("kernel")
}

pub fn write(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A machine with programs and the build tree of a kernel.
pub struct Machine {
    dir: TempDir,
    /// The arguments of `make`: `KVER` or `KDIR`, and others.
    pub args: Vec<String>,
}

impl Machine {
    /// A machine that lacks nothing for a build with the kernel's own Rust.
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let machine = Self {
            args: vec![
                "RUST=kernel".into(),
                format!("KDIR={}", dir.path().join("kdir").display()),
            ],
            dir,
        };

        fs::create_dir(machine.path("bin")).unwrap();
        for tool in TOOLS {
            let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
                .map(|dir| dir.join(tool))
                .find(|file| file.is_file())
                .unwrap_or_else(|| panic!("the tests need {tool}"));
            symlink(real, machine.path("bin").join(tool)).unwrap();
        }
        machine.script(
            "rustc",
            &format!("[ \"$1\" = --version ] && echo '{RUSTC_TEXT}'"),
        );

        machine.uname(RUNNING, "x86_64");
        machine.config("RUST=y", Some(RUSTC_TEXT));
        machine.release(&format!("{}.4-made-up", oldest()));
        write(
            machine.path("kdir/Makefile"),
            &format!("modules:\n\t@echo '{REACHED}: M=$(M) RUSTC=$(RUSTC)'\n"),
        );
        for crate_name in ["core", "kernel"] {
            write(
                machine.path(&format!("kdir/rust/lib{crate_name}.rmeta")),
                "",
            );
        }
        machine
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A program in `PATH`.
    pub fn script(&self, name: &str, body: &str) {
        self.program(&format!("bin/{name}"), body);
    }

    pub fn program(&self, path: &str, body: &str) {
        let file = self.path(path);
        write(&file, &format!("#!/bin/sh\n{body}\n"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Sets the output of `uname`: the release of the running kernel, and the machine.
    pub fn uname(&self, release: &str, machine: &str) {
        self.script(
            "uname",
            &format!("[ \"$1\" = -m ] && echo {machine} || echo {release}"),
        );
    }

    /// Moves the build tree to `package`, as the headers package of a kernel has it, with a link to it
    /// beside the modules, and builds for that kernel.
    pub fn install_headers(&mut self, release: &str, package: &str) {
        self.release(release);
        let link = self.path("lib/modules").join(release).join("build");
        let tree = self.path(package);
        for dir in [&link, &tree] {
            fs::create_dir_all(dir.parent().unwrap()).unwrap();
        }
        fs::rename(self.path("kdir"), &tree).unwrap();
        if tree != link {
            symlink(tree, link).unwrap();
        }
        self.build_for(release);
    }

    /// Passes a release to `make`, rather than a build tree.
    pub fn build_for(&mut self, release: &str) {
        self.args.retain(|arg| !arg.starts_with("K"));
        self.args.push(format!("KVER={release}"));
    }

    /// Writes a file of the made-up `/lib/modules`.
    pub fn lib_modules(&self, file: &str, text: &str) {
        write(self.path("lib/modules").join(file), text);
    }

    /// Writes the made-up `/usr/bin/rustc`.
    pub fn system_rustc(&self, version: &str) {
        self.program(
            "usr/bin/rustc",
            &format!("[ \"$1\" = --version ] && echo '{version}'"),
        );
    }

    pub fn config(&self, rust: &str, rustc: Option<&str>) {
        let mut text = format!("CONFIG_64BIT=y\nCONFIG_{rust}\nCONFIG_NET=y\n");
        if let Some(rustc) = rustc {
            text += &format!("CONFIG_RUSTC_VERSION_TEXT={rustc}\n");
        }
        write(self.path("kdir/include/config/auto.conf"), &text);
    }

    /// Writes the configuration of a kernel without Rust.
    pub fn config_without_rust(&self, option: &str) {
        write(
            self.path("kdir/include/config/auto.conf"),
            &format!("CONFIG_64BIT=y\nCONFIG_{option}\n"),
        );
    }

    /// Sets the distribution.
    pub fn os_release(&self, text: &str) {
        write(self.path("os-release"), text);
    }

    pub fn release(&self, release: &str) {
        write(
            self.path("kdir/include/config/kernel.release"),
            &format!("{release}\n"),
        );
    }

    pub fn remove(&self, name: &str) {
        let path = self.path(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path("bin").join(program));
        command
            .current_dir(project())
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.dir.path())
            .env("LC_ALL", "C")
            .env("KNETSTAT_CACHE", self.path("cache"))
            .env("KNETSTAT_OS_RELEASE", self.path("os-release"))
            .env("KNETSTAT_LIB_MODULES", self.path("lib/modules"))
            .env("KNETSTAT_USR_SRC", self.path("usr/src"))
            .env("KNETSTAT_SBIN", self.path("bin"))
            .env("KNETSTAT_SYSTEM_RUSTC", self.path("usr/bin/rustc"));
        command
    }

    pub fn make(&self) -> Output {
        self.command("make").args(&self.args).output().unwrap()
    }

    /// `make` fails with one line, which contains all of `expected`.
    #[track_caller]
    pub fn fails(&self, expected: &[&str]) {
        fails(&self.make(), expected);
    }

    /// `make` fails with one line, which ends with this: the command that corrects it.
    #[track_caller]
    pub fn ends_with(&self, expected: &str) {
        let output = self.make();
        fails(&output, &[]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let line = stderr.split_inclusive('\n').next().unwrap();
        assert!(line.ends_with(expected), "no \"{expected}\" in: {line}");
    }

    /// `make` calls Kbuild with this `rustc`.
    #[track_caller]
    pub fn builds_with(&self, rustc: &str) {
        let output = self.make();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let rustc = self.path(rustc);
        let expected = format!(
            "{REACHED}: M={} RUSTC={}",
            project().display(),
            rustc.display()
        );
        assert!(output.status.success(), "{output:?}");
        assert_eq!(stdout.trim_end(), expected);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[track_caller]
pub fn fails(output: &Output, expected: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.starts_with("make: *** "))
        .collect();
    assert!(!output.status.success(), "succeeded: {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(lines.len(), 1, "not one line:\n{stderr}");
    assert!(lines[0].starts_with("knetstat: "), "{}", lines[0]);
    for text in expected {
        assert!(lines[0].contains(text), "no \"{text}\" in: {}", lines[0]);
    }
}

/// A machine that builds the module without the kernel's Rust, as most do.
pub fn standalone(version: &str) -> Machine {
    let mut machine = Machine::new();
    machine.args.retain(|arg| arg != "RUST=kernel");
    machine.release(&format!("{}.4-made-up", oldest_of("standalone")));
    machine.config_without_rust("X86_64=y\nCONFIG_CC_IS_GCC=y");
    machine.remove("kdir/rust");
    // Debian's headers depend on this one.
    machine.script("gcc-14", "exit 0");
    let sysroot = machine.path("sysroot");
    write(
        sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs"),
        "",
    );
    machine.script(
        "rustc",
        &format!(
            "[ \"$1\" = --version ] && echo 'rustc {version}'; [ \"$2\" = sysroot ] && echo '{}'",
            sysroot.display()
        ),
    );
    machine
}
