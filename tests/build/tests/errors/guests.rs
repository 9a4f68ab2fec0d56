// SPDX-License-Identifier: GPL-2.0

//! The scripts that run virtual machines, and the files that describe these.

use crate::machine::{fails, project, write, Machine};
use std::fs;

/// The names of the guests, from their files. A symbolic link is another name for a guest.
fn guests() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(project().join("vm/guests"))
        .unwrap()
        .map(Result::unwrap)
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

/// Each guest's file sets all variables that the scripts need.
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
            [[ $SCALE =~ ^(fast|checked|emulated|slowest)$ ]] || die "SCALE"
            [[ $MEM =~ ^[1-9][0-9]+$ && $TESTED =~ ^(yes|named|)$ && $TIMEOUT -ge 60 ]] || die "MEM, TESTED or TIMEOUT"
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

/// Variables that change the module do not reach the root through the environment: no key has that.
#[test]
fn faults_are_no_part_of_the_environment() {
    let kbuild = fs::read_to_string(project().join("Kbuild")).unwrap();
    let names: Vec<_> = ["KNETSTAT_FAULT", "KNETSTAT_MEASURE"]
        .into_iter()
        .filter(|name| kbuild.contains(&format!("$({name})")))
        .collect();
    assert_eq!(kbuild.matches("$(KNETSTAT_").count(), names.len());
    let machine = Machine::new();
    let mut bash = machine.command("bash");
    bash.args([
        "-c",
        ". vm/lib.sh; root_env; printf '%s\\n' \"${ROOT_ENV[@]}\"",
        "vm/test",
    ]);
    for name in names.iter().chain(&["KNETSTAT_LONG"]) {
        bash.env(name, "made-up");
    }
    let output = bash.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("\nKNETSTAT_LONG=made-up\n"), "{output:?}");
    for name in names {
        assert!(!said.contains(name), "{output:?}");
    }
}

/// The settings for cargo in the cache are the caller's, also if there are none any more.
#[test]
fn settings_of_cargo() {
    let machine = Machine::new();
    let cache = machine.path("cache");
    fs::create_dir_all(cache.join("cargo")).unwrap();
    let settings = machine.path("home/.cargo/config.toml");
    let copy = || {
        let mut bash = machine.command("bash");
        let output = bash
            .args(["-c", ". vm/lib.sh; cargo_settings", "vm/test"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(cache.join("cargo/config.toml")).ok()
    };
    for text in ["one", "two"] {
        write(&settings, text);
        assert_eq!(copy().as_deref(), Some(text));
    }
    fs::remove_file(&settings).unwrap();
    assert_eq!(copy(), None);
}

/// What a killed run has left is removed after a day, unless something in the cache is in use.
#[test]
fn left_by_killed_runs() {
    let machine = Machine::new();
    let run = machine.path("cache/run");
    let left = || {
        let mut names: Vec<_> = fs::read_dir(&run)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    for directory in ["cache/target", "cache/run/new.x", "cache/run/old.x/root"] {
        fs::create_dir_all(machine.path(directory)).unwrap();
    }
    let two_days_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(172_800);
    let old = fs::File::open(run.join("old.x")).unwrap();
    old.set_modified(two_days_ago).unwrap();
    let prune = |before: &str| {
        let script = format!(". vm/lib.sh; {before} prune made-up");
        let mut bash = machine.command("bash");
        let output = bash.args(["-c", &script, "vm/test"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    prune("lock_use;");
    assert_eq!(left(), ["new.x", "old.x"]);
    prune("");
    assert_eq!(left(), ["new.x"]);
}

/// Continuous integration counts a run that ends before its total as a failure.
#[test]
fn total_of_continuous_integration() {
    let machine = Machine::new();
    machine.remove("bin/make");
    let run = |test: &str, setup: &str, guest: &str| {
        let guest = format!("echo \"test $2 ... ok\"; {guest}");
        let body = format!("case $1 in test) {test} ;; vm-setup) {setup} ;; *) {guest} ;; esac");
        machine.script("make", &body);
        let output = machine.command("bash").arg(".ci/run").output().unwrap();
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        let guests = said.matches("test KERNEL=").count();
        let unmade = said
            .lines()
            .find_map(|line| line.strip_prefix("left out, because they could not be made: "))
            .map_or(0, |names| names.split(' ').count());
        assert!(guests + unmade > 1, "{output:?}");
        let total = said.lines().last().unwrap().to_owned();
        (guests, unmade, total, output.status.success())
    };
    let (guests, _, total, success) = run(
        "echo 10 passed, 0 failed, 2 skipped",
        "exit 0",
        "echo 1 passed, 0 failed, 1 skipped",
    );
    let sum = format!("{} passed, 0 failed, {} skipped", 10 + guests, 2 + guests);
    assert_eq!((total, success), (sum, true));
    let (guests, _, total, success) = run("exit 1", "exit 0", "echo 1 passed, 0 failed, 0 skipped");
    let sum = format!("{guests} passed, 1 failed, 0 skipped");
    assert_eq!((total, success), (sum, false));
    let (guests, _, total, success) =
        run("echo 10 passed, 0 failed, 0 skipped", "exit 0", "exit 1");
    let sum = format!("10 passed, {guests} failed, 0 skipped");
    assert_eq!((total, success), (sum, false));
    // An archive that is out of reach says nothing about the project. One guest needs none of its own.
    let (guests, unmade, total, success) = run(
        "echo 10 passed, 0 failed, 0 skipped",
        "exit 1",
        "echo 1 passed, 0 failed, 0 skipped",
    );
    let sum = format!("{} passed, 0 failed, {unmade} skipped", 10 + guests);
    assert!(
        guests > 0 && unmade > 1,
        "{guests} guests, {unmade} not made"
    );
    assert_eq!((total, success), (sum, true));
}
