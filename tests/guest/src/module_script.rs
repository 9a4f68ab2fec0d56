// SPDX-License-Identifier: GPL-2.0

//! `make load`, `unload`, `install` and `uninstall` (`scripts/module.sh`): their effect, and their
//! one-line messages if they fail.

use crate::build_tree;
use crate::build_tree::release;
use crate::features::Feature;
use crate::guest::{guest, Scale};
use crate::harness::{skip, Case};
use crate::modules;
use crate::reference::compare;
use crate::rows::File;
use anyhow::{bail, ensure, Context, Result};
use std::os::unix::fs::{chown, symlink, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, io};

/// The directory of the checkout in the guests.
const CHECKOUT: &str = "/knetstat";

const NOBODY: u32 = 65534;

pub fn cases() -> Vec<Case> {
    // To start a program takes ten times as long in the other guests, and what the script says
    // is the same: there, the stock kernel has what works on its own modules and no more.
    let scale = guest().scale;
    let mut cases = Vec::new();
    if scale == Scale::Fast {
        cases.extend([
            Case::new("module_script::needs_root", needs_root),
            Case::new("module_script::not_built", not_built),
            Case::new("module_script::another_tree", another_tree),
            Case::new("module_script::install_elsewhere", install_elsewhere),
        ]);
    }
    if matches!(scale, Scale::Fast | Scale::Emulated) {
        cases.extend([
            Case::alone("module_script::load_and_unload", || {
                then_loaded(load_and_unload)
            }),
            Case::alone("module_script::name_taken", || then_loaded(name_taken)),
            Case::alone("module_script::install_and_uninstall", || {
                then_loaded(install_and_uninstall)
            }),
        ]);
    }
    cases
}

/// Copies a directory with all that is in it.
fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// The part of a checkout that the script needs, in a directory of its own.
struct Checkout(PathBuf);

impl Checkout {
    /// A checkout in which `make` was not run.
    fn new(name: &str) -> Result<Self> {
        let from = Path::new(CHECKOUT);
        if !from.join("scripts/module.sh").exists() {
            bail!("there is no checkout in {CHECKOUT}");
        }
        let dir = std::env::temp_dir().join(format!("knetstat-{name}"));
        fs::create_dir_all(&dir)?;
        for file in ["Makefile", "Kbuild"] {
            fs::copy(from.join(file), dir.join(file))?;
        }
        for part in ["scripts", "man"] {
            copy_directory(&from.join(part), &dir.join(part))?;
        }
        Ok(Self(dir))
    }

    /// A checkout in which `make` was run for the guest's kernel.
    fn built(name: &str) -> Result<Self> {
        let checkout = Self::new(name)?;
        fs::copy(&guest().ko, checkout.ko())?;
        // The file that Kbuild leaves for modules_install.
        fs::write(checkout.0.join("modules.order"), checkout.order()?)?;
        Ok(checkout)
    }

    /// The text of `modules.order` as this kernel's Kbuild writes it.
    fn order(&self) -> Result<String> {
        let release = release()?;
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        let mut number = || -> Result<u32> { Ok(numbers.next().context("release")?.parse()?) };
        let version = (number()?, number()?);
        Ok(match version {
            (..=5, _) | (6, ..3) => format!("{}/knetstat.ko\n", self.0.display()),
            (6, ..13) => format!("{}/knetstat.o\n", self.0.display()),
            _ => "knetstat.o\n".to_owned(),
        })
    }

    fn ko(&self) -> PathBuf {
        self.0.join("knetstat.ko")
    }

    fn make(&self, target: &str) -> Command {
        let mut make = Command::new("make");
        make.current_dir(&self.0).arg(target);
        make
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The output of a command that must succeed, and print nothing on standard error, except what the kernel's own
/// Makefile says of the compiler.
fn succeeds(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success()
            && said
                .lines()
                .all(|line| line.starts_with("arch/x86/Makefile:")),
        "{command:?}: {output:?}"
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a command that must fail with one line, which has all of `expected`.
fn fails(command: &mut Command, expected: &[&str]) -> Result<()> {
    let output: Output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("make: *** "))
        .collect();
    ensure!(
        !output.status.success()
            && output.stdout.is_empty()
            && lines.len() == 1
            && lines[0].starts_with("knetstat: ")
            && expected.iter().all(|text| lines[0].contains(text)),
        "{command:?}: not {expected:?}: {output:?}"
    );
    Ok(())
}

fn is_loaded() -> Result<bool> {
    let modules = fs::read_to_string("/proc/modules")?;
    Ok(modules.lines().any(|line| line.starts_with("knetstat ")))
}

/// Checks that the module is loaded, and that its files are right.
fn works() -> Result<()> {
    ensure!(is_loaded()?, "the module is not loaded");
    for file in File::ALL {
        compare(file)?;
    }
    Ok(())
}

/// Checks that the module is not loaded, and that its files are gone.
fn is_gone() -> Result<()> {
    ensure!(!is_loaded()?, "the module is still loaded");
    for file in File::ALL {
        ensure!(!file.path().exists(), "{} is still there", file.name());
    }
    Ok(())
}

/// Runs `f`. Loads the module again in any case, for later tests.
fn then_loaded(f: impl FnOnce() -> Result<()>) -> Result<()> {
    let result = f();
    let again = match is_loaded()? {
        true => Ok(()),
        false => modules::insert(&guest().ko, "").context("loading knetstat"),
    };
    result.and(again).and_then(|()| works())
}

/// Only root can change what the kernel has loaded and what is installed.
fn needs_root() -> Result<()> {
    let checkout = Checkout::built("needs-root")?;
    for target in ["load", "unload", "install", "uninstall"] {
        let mut make = checkout.make(target);
        let run = format!("run: sudo make {target}");
        fails(make.uid(NOBODY).gid(NOBODY), &["only root", &run])?;
    }
    Ok(())
}

fn not_built() -> Result<()> {
    let checkout = Checkout::new("not-built")?;
    for target in ["load", "install"] {
        fails(
            &mut checkout.make(target),
            &["knetstat.ko is not built", "run: make"],
        )?;
    }
    Ok(())
}

/// Changes the module's vermagic to that of another kernel. Returns the release of that kernel.
fn rebuild_for_another_kernel(checkout: &Checkout) -> Result<String> {
    const MAGIC: &[u8] = b"vermagic=";
    let release = release()?;
    let mut ko = fs::read(checkout.ko())?;
    let at = ko
        .windows(MAGIC.len())
        .position(|bytes| bytes == MAGIC)
        .context("the module has no vermagic")?
        + MAGIC.len();
    ensure!(
        ko[at..].starts_with(release.as_bytes()),
        "the guest's module was built for another kernel"
    );
    ko[at] = b'1';
    let other = String::from_utf8(ko[at..at + release.len()].to_vec())?;
    fs::write(checkout.ko(), ko)?;
    Ok(other)
}

/// A module is installed only with the tree that it was built with.
fn another_tree() -> Result<()> {
    let checkout = Checkout::built("another-tree")?;
    let built_for = format!("built for Linux {}", release()?);
    let run = format!("run: make install KVER={}", release()?);
    let mut install = checkout.make("install");
    install.arg("KDIR=/nowhere");
    fails(
        &mut install,
        &[&built_for, "/nowhere is no kernel build tree", &run],
    )?;

    let tree = checkout.0.join("tree");
    fs::create_dir_all(tree.join("include/config"))?;
    fs::write(tree.join("include/config/kernel.release"), "9.9.9\n")?;
    let mut install = checkout.make("install");
    install.arg(format!("KDIR={}", tree.display()));
    fails(&mut install, &[&built_for, "tree is 9.9.9", &run])
}

/// Loading twice and unloading twice have messages of their own.
fn load_and_unload() -> Result<()> {
    let checkout = Checkout::built("load")?;
    fails(
        &mut checkout.make("load"),
        &["loaded already", "run: make unload"],
    )?;
    works()?;

    rmmod_fails(&checkout)?;
    ensure!(succeeds(&mut checkout.make("unload"))?.is_empty());
    is_gone()?;
    fails(&mut checkout.make("unload"), &["knetstat is not loaded"])?;

    let said = succeeds(&mut checkout.make("load"))?;
    ensure!(
        said == "Loaded. See: cat /proc/net/tcpstat\n",
        "make load says {said:?}"
    );
    works()?;

    ensure!(succeeds(&mut checkout.make("unload"))?.is_empty());
    let other = rebuild_for_another_kernel(&checkout)?;
    fails(
        &mut checkout.make("load"),
        &[
            &format!("built for Linux {other}, and this is {}", release()?),
            "run: make clean && make",
        ],
    )?;
    is_gone()
}

/// The script passes on the messages of rmmod. A stand-in for rmmod prints them here, because
/// nothing keeps the module loaded.
fn rmmod_fails(checkout: &Checkout) -> Result<()> {
    const SAID: &str = "rmmod: ERROR: Module knetstat is in use";
    let bin = checkout.0.join("bin");
    fs::create_dir(&bin)?;
    let rmmod = bin.join("rmmod");
    fs::write(&rmmod, format!("#!/bin/sh\necho '{SAID}' >&2\nexit 1\n"))?;
    fs::set_permissions(&rmmod, fs::Permissions::from_mode(0o755))?;
    let path = std::env::var("PATH")?;
    let mut unload = checkout.make("unload");
    fails(
        unload.env("PATH", format!("{}:{path}", bin.display())),
        &[SAID],
    )?;
    works()
}

/// Loading fails if another module has one of the files' names.
fn name_taken() -> Result<()> {
    let checkout = Checkout::built("name-taken")?;
    succeeds(&mut checkout.make("unload"))?;
    modules::insert_helper("squatter", "")?;
    let result = fails(
        &mut checkout.make("load"),
        &["taken by another module", "ls /proc/net/*stat"],
    );
    modules::remove("squatter")?;
    result?;
    succeeds(&mut checkout.make("load"))?;
    works()
}

/// The build tree of the guest's kernel, if it is not where `make` looks for it.
fn tree() -> Result<Option<PathBuf>> {
    let tree = build_tree::find()?;
    Ok((tree != build_tree::usual_place()?).then_some(tree))
}

/// A `/lib/modules` of its own, in which the guest's kernel has no modules. Indexing those of
/// Debian's kernel takes a minute if all code is emulated.
struct LibModules(PathBuf);

impl LibModules {
    /// One with the files that a kernel's own modules_install creates.
    fn new(tree: Option<&Path>) -> Result<Self> {
        let dir = Path::new("/lib/modules").join(release()?);
        let from = tree.unwrap_or(&dir);
        let files = [
            "modules.order",
            "modules.builtin",
            "modules.builtin.modinfo",
        ]
        .map(|file| {
            let text = fs::read(from.join(file));
            text.map(|text| (file, text)).context(file)
        });
        let build = fs::read_link(dir.join("build"));

        let mut mount = Command::new("mount");
        succeeds(mount.args(["-t", "tmpfs", "modules", "/lib/modules"]))?;
        let modules = Self(dir);
        fs::create_dir(&modules.0)?;
        for file in files {
            let (file, text) = file?;
            fs::write(modules.0.join(file), text)?;
        }
        if let Ok(build) = build {
            symlink(build, modules.0.join("build"))?;
        }
        Ok(modules)
    }
}

impl Drop for LibModules {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("/lib/modules").status();
    }
}

/// The paths of the module's files in a directory of modules, compressed or not.
fn installed(modules: &Path) -> Result<Vec<String>> {
    let names = match fs::read_dir(modules.join("updates")) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        names => names?,
    };
    names
        .map(|name| Ok(name?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// The paths of the installed manual pages in a root.
const PAGES: [&str; 2] = [
    "usr/local/share/man/man4/knetstat.4",
    "usr/local/share/man/man5/knetstat.5",
];

/// Checks that the manual pages are those of the checkout and readable by all users, or that there
/// are none.
fn pages_are_installed(checkout: &Checkout, root: &Path, expected: bool) -> Result<()> {
    for page in PAGES.map(|page| root.join(page)) {
        if !expected {
            ensure!(!page.exists(), "{page:?} is there");
            continue;
        }
        let name = page.file_name().context("no name")?;
        ensure!(
            fs::read(&page).with_context(|| format!("{page:?}"))?
                == fs::read(checkout.0.join("man").join(name))?,
            "{page:?} is another"
        );
        let mode = page.metadata()?.permissions().mode() & 0o777;
        ensure!(mode == 0o644, "{page:?} has mode {mode:o}");
    }
    Ok(())
}

/// The command `make TARGET` with the build tree of the guest's kernel.
fn make_with_tree(checkout: &Checkout, target: &str) -> Result<Command> {
    let mut make = checkout.make(target);
    if let Some(tree) = tree()? {
        make.arg(format!("KDIR={}", tree.display()));
    }
    Ok(make)
}

/// Installs into a package's directory: without root, and without indexing all modules.
fn install_elsewhere() -> Result<()> {
    let checkout = Checkout::built("elsewhere")?;
    let stage = checkout.0.join("stage");
    fs::create_dir(&stage)?;
    chown(&stage, Some(NOBODY), Some(NOBODY))?;
    let make = |target: &str| -> Result<Command> {
        let mut make = make_with_tree(&checkout, target)?;
        make.arg(format!("INSTALL_MOD_PATH={}", stage.display()))
            .uid(NOBODY)
            .gid(NOBODY);
        Ok(make)
    };
    let said = succeeds(&mut make("install")?)?;
    ensure!(
        !said.contains("Installed"),
        "nothing is installed yet: {said:?}"
    );
    let modules = stage.join("lib/modules").join(release()?);
    let names = installed(&modules)?;
    ensure!(
        names.len() == 1 && names[0].starts_with("knetstat.ko"),
        "what is installed is {names:?}"
    );
    ensure!(!modules.join("modules.dep").exists(), "depmod was run");
    pages_are_installed(&checkout, &stage, true)?;

    // The pages are those of the module for another kernel, too.
    let other = stage.join("lib/modules/9.9.9/updates");
    fs::create_dir_all(&other)?;
    fs::write(other.join("knetstat.ko.xz"), "")?;
    ensure!(succeeds(&mut make("uninstall")?)?.is_empty());
    ensure!(!modules.join("updates").exists(), "something is left");
    pages_are_installed(&checkout, &stage, true)?;
    fs::remove_file(other.join("knetstat.ko.xz"))?;

    succeeds(&mut make("install")?)?;
    ensure!(succeeds(&mut make("uninstall")?)?.is_empty());
    pages_are_installed(&checkout, &stage, false)?;
    fails(&mut make("uninstall")?, &["not installed for Linux"])?;

    succeeds(make("install")?.arg("MANDIR="))?;
    ensure!(!installed(&modules)?.is_empty(), "nothing is installed");
    pages_are_installed(&checkout, &stage, false)
}

/// Installs and uninstalls as an administrator: modprobe finds the module, and then no longer.
fn install_and_uninstall() -> Result<()> {
    // Headers for a cross compiler: make says that it is missing here.
    if !Feature::NativeBuildTree.is_here()? {
        return skip(
            Feature::NativeBuildTree,
            "the build tree is for a cross compiler",
        );
    }
    let checkout = Checkout::built("install")?;
    let lib_modules = LibModules::new(tree()?.as_deref())?;
    let modules = &lib_modules.0;
    let make = |target| -> Result<Command> {
        let mut make = make_with_tree(&checkout, target)?;
        // Nothing is compiled, but Kbuild of old kernels, such as 5.10, runs the compiler of their
        // release, which this root may lack.
        make.arg("CC=gcc");
        Ok(make)
    };
    let modprobe = || Command::new("modprobe");

    let said = succeeds(&mut make("install")?)?;
    ensure!(
        said.ends_with("\nInstalled. Load it with: modprobe knetstat\n"),
        "make install says {said:?}"
    );
    let names = installed(modules)?;
    ensure!(
        names.len() == 1 && names[0].starts_with("knetstat.ko"),
        "what is installed is {names:?}"
    );

    pages_are_installed(&checkout, Path::new("/"), true)?;

    succeeds(&mut make("unload")?)?;
    is_gone()?;
    succeeds(modprobe().arg("knetstat"))?;
    works()?;
    succeeds(modprobe().args(["-r", "knetstat"]))?;
    is_gone()?;

    ensure!(succeeds(&mut make("uninstall")?)?.is_empty());
    ensure!(!modules.join("updates").exists(), "something is left");
    pages_are_installed(&checkout, Path::new("/"), false)?;
    let output = modprobe().arg("knetstat").output()?;
    ensure!(
        !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("not found"),
        "modprobe still finds it: {output:?}"
    );
    let not_installed = format!("not installed for Linux {}", release()?);
    fails(&mut make("uninstall")?, &[&not_installed])?;
    is_gone()
}
