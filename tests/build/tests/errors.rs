// SPDX-License-Identifier: GPL-2.0

//! `make` says in one line what is wrong and which command mends it.
//!
//! Each test lays out a kernel build tree and a set of tools that lack one
//! thing. They are made up: no kernel, no headers, no root and no network are
//! needed, and what the machine has installed does not matter.

use std::{
    fs,
    os::unix::fs::{
        symlink,
        PermissionsExt, //
    },
    path::{
        Path,
        PathBuf, //
    },
    process::{
        Command,
        Output, //
    }, //
};

use tempfile::TempDir;

/// What the made-up kernel was compiled with. No real compiler says this.
const RUSTC_TEXT: &str = "rustc 1.85.1 (0123456789 2025-03-15) (made up)";

/// The programs that `make` and its scripts call. No others are in `PATH`.
const TOOLS: &[&str] = &[
    "awk", "basename", "bash", "cat", "cut", "df", "dirname", "echo", "grep", "head", "id", "ls",
    "make", "mktemp", "paste", "readlink", "rm", "sed", "sh", "sort", "tail", "tr", "uname",
];

/// Releases of Debian, and the packages in which each has a compiler that is new enough.
const RELEASES: &[(&str, &str)] = &[
    ("ID=debian\nVERSION_ID=\"12\"\n", "rustc-web rust-web-src"),
    ("ID=debian\nVERSION_ID=\"13\"\n", "rustc rust-src"),
    ("ID=debian\nVERSION_CODENAME=forky\n", "rustc rust-src"),
];

/// What the Makefile of the made-up kernel prints instead of building.
const REACHED: &str = "Kbuild was reached";

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The oldest kernel version that the project supports, such as `7.3`, built in that way.
fn oldest_of(way: &str) -> String {
    fs::read_to_string(project().join("scripts/supported-kernels"))
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix(way)?.strip_prefix(' '))
        .unwrap()
        .to_owned()
}

/// With the kernel's own Rust.
fn oldest() -> String {
    oldest_of("kernel")
}

fn write(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A machine as `make` sees it: programs, and the build tree of a kernel.
struct Machine {
    dir: TempDir,
    /// `KVER` or `KDIR`, and what else a user gives to `make`.
    args: Vec<String>,
}

impl Machine {
    /// All is as it should be, to build with the kernel's own Rust. Tests take away from here.
    fn new() -> Self {
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

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A program in `PATH`.
    fn script(&self, name: &str, body: &str) {
        self.program(&format!("bin/{name}"), body);
    }

    fn program(&self, path: &str, body: &str) {
        let file = self.path(path);
        write(&file, &format!("#!/bin/sh\n{body}\n"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What stands for `/usr/bin/rustc`.
    fn system_rustc(&self, version: &str) {
        self.program(
            "usr/bin/rustc",
            &format!("[ \"$1\" = --version ] && echo '{version}'"),
        );
    }

    fn config(&self, rust: &str, rustc: Option<&str>) {
        let mut text = format!("CONFIG_64BIT=y\nCONFIG_{rust}\nCONFIG_NET=y\n");
        if let Some(rustc) = rustc {
            text += &format!("CONFIG_RUSTC_VERSION_TEXT={rustc}\n");
        }
        write(self.path("kdir/include/config/auto.conf"), &text);
    }

    /// That of a kernel without Rust.
    fn own_config(&self, option: &str) {
        write(
            self.path("kdir/include/config/auto.conf"),
            &format!("CONFIG_64BIT=y\nCONFIG_{option}\n"),
        );
    }

    /// The distribution.
    fn os_release(&self, text: &str) {
        write(self.path("os-release"), text);
    }

    fn release(&self, release: &str) {
        write(
            self.path("kdir/include/config/kernel.release"),
            &format!("{release}\n"),
        );
    }

    fn remove(&self, name: &str) {
        let path = self.path(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    fn command(&self, program: &str) -> Command {
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
            .env("KNETSTAT_SYSTEM_RUSTC", self.path("usr/bin/rustc"));
        command
    }

    fn make(&self) -> Output {
        self.command("make").args(&self.args).output().unwrap()
    }

    /// `make` fails, and says one line, with all of `expected` in it.
    #[track_caller]
    fn fails(&self, expected: &[&str]) {
        fails(&self.make(), expected);
    }

    /// `make` calls Kbuild, and passes it `rustc`.
    #[track_caller]
    fn builds_with(&self, rustc: &str) {
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
fn fails(output: &Output, expected: &[&str]) {
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

#[test]
fn nothing_is_wrong() {
    Machine::new().builds_with("bin/rustc");
}

/// A kernel that is newer than those we know may well do.
#[test]
fn newer_kernel() {
    let machine = Machine::new();
    machine.release("99.1.0-made-up");
    machine.builds_with("bin/rustc");
}

#[test]
fn quoted_config() {
    let machine = Machine::new();
    machine.config("RUST=y", Some(&format!("\"{RUSTC_TEXT}\"")));
    machine.builds_with("bin/rustc");
}

#[test]
fn no_headers() {
    let mut machine = Machine::new();
    machine.args = vec!["KVER=99.9.9-made-up".into()];
    machine.fails(&[
        "no headers of Linux 99.9.9-made-up",
        "apt install linux-headers-99.9.9-made-up",
    ]);
}

/// The headers of a kernel that will not do are not worth installing.
#[test]
fn no_headers_and_too_old() {
    let mut machine = Machine::new();
    machine.args = vec!["KVER=4.19.0-made-up".into()];
    machine.fails(&["too old", &oldest_of("own"), "newer release"]);
    machine.args.push("RUST=kernel".into());
    machine.fails(&["too old", "linux-image-amd64", "reboot"]);
}

#[test]
fn no_such_kdir() {
    let machine = Machine::new();
    machine.remove("kdir");
    machine.fails(&["kdir does not exist", "make KDIR="]);
}

#[test]
fn empty_kdir() {
    let machine = Machine::new();
    machine.remove("kdir");
    fs::create_dir(machine.path("kdir")).unwrap();
    machine.fails(&[
        "is no kernel build tree (Makefile is missing)",
        "make KDIR=DIR",
    ]);
}

#[test]
fn some_other_source_tree() {
    let machine = Machine::new();
    machine.remove("kdir/include");
    machine.fails(&[
        "no kernel build tree (include/config/auto.conf is missing)",
        "make KDIR=DIR",
    ]);
}

#[test]
fn kernel_source_as_unpacked() {
    let machine = Machine::new();
    machine.remove("kdir/include");
    write(machine.path("kdir/Kconfig"), "");
    machine.fails(&["not configured or prepared", "olddefconfig modules_prepare"]);
}

#[test]
fn kernel_without_rust() {
    let machine = Machine::new();
    machine.config("HAVE_RUST=y", None);
    machine.fails(&["CONFIG_RUST is off", "make RUST=own"]);
}

#[test]
fn kernel_too_old() {
    let machine = Machine::new();
    machine.release("5.10.0-made-up");
    machine.fails(&[
        "Linux 5.10.0-made-up is too old",
        &oldest(),
        "linux-image-amd64",
    ]);
    machine.release("6.1.0-made-up");
    machine.fails(&["too old for its own Rust", &oldest(), "make RUST=own"]);
}

/// A machine on which the module is built without the kernel's Rust, as it usually is.
fn own(version: &str) -> Machine {
    let mut machine = Machine::new();
    machine.args.retain(|arg| arg != "RUST=kernel");
    machine.release(&format!("{}.4-made-up", oldest_of("own")));
    machine.own_config("X86_64=y\nCONFIG_CC_IS_GCC=y");
    machine.remove("kdir/rust");
    // As Debian's headers bring it.
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

#[test]
fn own_rust() {
    own("1.85.0 (4d91de4e4 2025-02-17) (built from a source tarball)").builds_with("bin/rustc");
    own("1.97.1").builds_with("bin/rustc");
}

/// The headers of Debian 12 have the upstream version in `kernel.release`.
#[test]
fn own_rust_release_of_the_headers() {
    let machine = own("1.85.0");
    machine.release("6.1.0");
    write(
        machine.path("kdir/include/generated/utsrelease.h"),
        "#define UTS_RELEASE \"5.10.0-50-made-up\"\n",
    );
    machine.fails(&["Linux 5.10.0-50-made-up is too old"]);
}

#[test]
fn own_rust_of_what_kind() {
    let mut machine = own("1.85.0");
    machine.args.push("RUST=mine".into());
    machine.fails(&["RUST is kernel or own, not 'mine'"]);
}

#[test]
fn own_rust_kernel_too_old() {
    let machine = own("1.85.0");
    machine.release("5.10.0-made-up");
    machine.fails(&["Linux 5.10.0-made-up is too old", &oldest_of("own")]);
}

#[test]
fn own_rust_another_architecture() {
    let machine = own("1.85.0");
    machine.own_config("RISCV=y");
    machine.fails(&["another architecture", "amd64 and arm64"]);
}

#[test]
fn own_rust_in_user_mode_linux() {
    let mut machine = own("1.85.0");
    machine.own_config("X86_64=y\nCONFIG_UML=y");
    // Its own Rust is what it is built with unless told otherwise.
    machine.fails(&["CONFIG_RUST is off"]);
    machine.args.push("RUST=own".into());
    machine.fails(&["User Mode Linux", "make RUST=kernel"]);
}

#[test]
fn own_rust_no_rustc() {
    let machine = own("1.85.0");
    machine.remove("bin/rustc");
    for (release, packages) in RELEASES {
        machine.os_release(release);
        machine.fails(&["rustc is missing", &format!("apt install {packages}")]);
    }
}

#[test]
fn own_rust_rustc_too_old() {
    let machine = own("1.63.0");
    for (release, packages) in RELEASES {
        machine.os_release(release);
        machine.fails(&[
            "release 1.63",
            "1.85 or later",
            &format!("apt install {packages}"),
            "RUSTC=FILE",
        ]);
    }
}

#[test]
fn own_rust_no_sources() {
    let machine = own("1.85.0");
    machine.remove("sysroot/lib");
    for (release, packages) in RELEASES {
        let sources = packages.split(' ').next_back().unwrap();
        machine.os_release(release);
        machine.fails(&[
            "sources of core are missing",
            &format!("apt install {sources}"),
        ]);
    }
}

#[test]
fn own_rust_no_sources_of_rustup() {
    let machine = own("1.85.0");
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
        "rustup component add rust-src",
    ]);
}

/// The system's compiler is too old or lacks sources, the one in `PATH` does.
#[test]
fn own_rust_the_second_rustc() {
    let machine = own("1.90.0");
    machine.system_rustc("rustc 1.63.0");
    machine.builds_with("bin/rustc");
    machine.system_rustc("rustc 1.95.0");
    machine.builds_with("bin/rustc");
}

#[test]
fn own_rust_no_gcc() {
    let mut machine = own("1.85.0");
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

#[test]
fn no_rustc() {
    let machine = Machine::new();
    machine.remove("bin/rustc");
    machine.fails(&["rustc is missing", RUSTC_TEXT, "apt install rustc"]);
}

/// The same number, from another builder.
#[test]
fn another_rustc() {
    let other = "rustc 1.85.1 (0123456789 2025-03-15)";
    let found = format!("rustc is \"{other}\"");
    let wanted = format!("was built with \"{RUSTC_TEXT}\"");

    let mut machine = Machine::new();
    machine.script(
        "rustc",
        &format!("[ \"$1\" = --version ] && echo '{other}'"),
    );
    machine.fails(&[&found, &wanted, "run:", "apt install rustc"]);

    // Nor is the system's own the right one.
    machine.system_rustc(other);
    machine.fails(&[
        &found,
        &wanted,
        "apt install -t trixie-backports",
        "RUSTC=FILE",
    ]);

    // The user's choice is not made better behind his back.
    machine.system_rustc(RUSTC_TEXT);
    machine
        .args
        .push(format!("RUSTC={}", machine.path("bin/rustc").display()));
    machine.fails(&[&found, &wanted, "leave RUSTC out"]);
}

/// As a rustup proxy whose toolchain is not installed.
#[test]
fn rustc_does_not_run() {
    let machine = Machine::new();
    machine.script("rustc", "echo 'error: no toolchain' >&2; exit 1");
    machine.fails(&["rustc does not run", RUSTC_TEXT, "apt install rustc"]);
}

/// The system's compiler is the kernel's, the one in `PATH` is rustup's.
#[test]
fn system_rustc_before_path() {
    let machine = Machine::new();
    machine.system_rustc(RUSTC_TEXT);
    machine.script("rustc", "echo rustc 1.99.0");
    machine.builds_with("usr/bin/rustc");
}

/// The other way round.
#[test]
fn path_rustc_where_the_systems_differs() {
    let machine = Machine::new();
    machine.system_rustc("rustc 1.99.0");
    machine.builds_with("bin/rustc");
}

/// A proxy picks its compiler by the directory it runs in, so Kbuild gets the compiler behind it.
#[test]
fn rustup_proxy() {
    let machine = Machine::new();
    let sysroot = machine.path("toolchain");
    fs::create_dir_all(sysroot.join("bin")).unwrap();
    fs::rename(machine.path("bin/rustc"), sysroot.join("bin/rustc")).unwrap();
    machine.script(
        "rustc",
        &format!("[ \"$2\" = sysroot ] && echo '{}'", sysroot.display()),
    );
    machine.builds_with("toolchain/bin/rustc");
}

#[test]
fn the_users_rustc() {
    let mut machine = Machine::new();
    fs::rename(machine.path("bin/rustc"), machine.path("my-rustc")).unwrap();
    machine
        .args
        .push(format!("RUSTC={}", machine.path("my-rustc").display()));
    machine.builds_with("my-rustc");

    machine.remove("my-rustc");
    machine.fails(&["my-rustc is missing", "apt install rustc"]);
}

/// As Debian's headers packages are.
#[test]
fn no_metadata() {
    let ubuntu = fs::read_to_string("/etc/lsb-release").is_ok_and(|text| text.contains("Ubuntu"));
    let release = format!("{}.4-made-up", oldest());
    let mend = if ubuntu {
        format!("apt install linux-lib-rust-{release}")
    } else {
        format!("run: make metadata KVER={release}")
    };

    let machine = Machine::new();
    machine.remove("kdir/rust");
    machine.fails(&["lack the Rust metadata", &mend]);

    let machine = Machine::new();
    machine.remove("kdir/rust/libkernel.rmeta");
    machine.fails(&["lack the Rust metadata (rust/libkernel.rmeta)", &mend]);
}

/// A kernel tree of one's own is prepared in place.
#[test]
fn own_tree_not_prepared() {
    let machine = Machine::new();
    machine.remove("kdir/rust");
    write(machine.path("kdir/rust/Makefile"), "");
    machine.fails(&["lack the Rust metadata", "run: make -C", "modules_prepare"]);
}

/// A tree of metadata that `make metadata` left in its place is found, and is
/// not used any more when the kernel package has changed.
#[test]
fn metadata_of_an_earlier_package() {
    let mut machine = Machine::new();
    let release = format!("{}.4-made-up", oldest());
    let tree = format!("cache/metadata/{release}");
    fs::create_dir_all(machine.path("cache/metadata")).unwrap();
    fs::rename(machine.path("kdir"), machine.path(&tree)).unwrap();
    write(
        machine.path(&tree).join(".knetstat-metadata"),
        &format!("release={release}\npackage=1-1\n"),
    );
    machine.args = vec![format!("KVER={release}"), "RUST=kernel".into()];
    machine.builds_with("bin/rustc");

    machine.script("dpkg-query", "echo installed 1-1");
    machine.builds_with("bin/rustc");

    machine.script("dpkg-query", "echo installed 1-2");
    machine.fails(&[
        "1-1",
        "1-2 is installed",
        &format!("make metadata KVER={release}"),
    ]);
}

#[test]
fn metadata_of_a_kernel_too_old() {
    let machine = Machine::new();
    let output = machine
        .command("make")
        .args(["metadata", "KVER=6.1.0-made-up"])
        .output()
        .unwrap();
    fails(&output, &["too old", "linux-image-amd64"]);
}

#[test]
fn metadata_into_a_strange_directory() {
    let machine = Machine::new();
    let output = machine
        .command("bash")
        .args([
            "scripts/rust-metadata.sh",
            "--release",
            "99.9.9-made-up",
            "--output",
        ])
        .arg(machine.path("kdir"))
        .output()
        .unwrap();
    fails(&output, &["is not empty", "--output DIR"]);
    assert!(machine.path("kdir/Makefile").exists());
}

#[test]
fn metadata_without_the_packages() {
    let machine = Machine::new();
    let output = machine
        .command("make")
        .args(["metadata", "KVER=99.9.9-made-up"])
        .output()
        .unwrap();
    fails(
        &output,
        &[
            "packages are missing",
            "linux-source-99.9",
            "linux-headers-99.9.9-made-up",
            "make metadata INSTALL=1 KVER=99.9.9-made-up",
        ],
    );
}

#[test]
fn help_needs_nothing() {
    let mut machine = Machine::new();
    machine.remove("kdir");
    machine.args.push("help".into());
    let output = machine.make();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    for target in [
        "metadata", "load", "unload", "install", "clean", "fmt", "clippy", "doc",
    ] {
        assert!(
            stdout.contains(&format!("make {target} ")),
            "no make {target} in:\n{stdout}"
        );
    }
}

/// The names of the guests: those of the files that describe them.
fn guests() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(project().join("vm/guests"))
        .unwrap()
        .map(|file| file.unwrap())
        // Links are other names.
        .filter(|file| file.file_type().unwrap().is_file())
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            name.strip_suffix(".sh").unwrap().to_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn no_such_guest() {
    let machine = Machine::new();
    for arguments in [
        &["vm/kernel.sh", "no-guest"][..],
        &["vm/module.sh", "no-guest"],
        &["vm/run.sh", "no-guest", "true"],
        &["vm/run.sh", "../guests/uml", "true"],
        &["vm/test.sh", "no-guest"],
    ] {
        let output = machine.command("bash").args(arguments).output().unwrap();
        fails(&output, &["no such", &guests().join(" ")]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

/// Each guest's file says all that the scripts ask for.
#[test]
fn guests_are_described() {
    let machine = Machine::new();
    for guest in guests() {
        let script = format!(
            r#"
            . vm/lib.sh
            ROOT=/ DIR=/
            load_guest {guest}
            [[ -n $ABOUT && $ABOUT != *$'\n'* ]] || die "ABOUT"
            [[ $SCALE =~ ^(fast|checked|emulated)$ ]] || die "SCALE"
            [[ $MEM =~ ^[1-9][0-9]+$ && $TESTED =~ ^(yes|)$ ]] || die "MEM or TESTED"
            [[ -n $OUT && -n $TTY ]] || die "OUT or TTY"
            for name in recipe make release root args run; do
                declare -F machine_$name > /dev/null || die "machine_$name"
            done
            "#
        );
        let output = machine
            .command("bash")
            .args(["-c", &script, "vm/test"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{guest}: {output:?}");
    }
}
