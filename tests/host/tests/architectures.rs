// SPDX-License-Identifier: GPL-2.0

//! There is one list of architectures, scripts/architectures.sh. All files that must name each of them do.

mod common;

use common::project;
use std::fs;
use std::process::Command;

/// The output of a function of scripts/architectures.sh.
fn call(function: &str) -> String {
    let output = Command::new("bash")
        .args(["-euc", &format!(". scripts/architectures.sh; {function}")])
        .current_dir(project())
        .output()
        .expect("bash");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn all_files_name_all() {
    let list = call("architectures");
    assert!(list.lines().count() > 1, "{list:?}");
    for line in list.lines() {
        let names: Vec<&str> = line.split_whitespace().collect();
        let [debian, _, machine, config, _] = names[..] else {
            panic!("five names: {line:?}");
        };
        for (file, words) in [
            ("rust/standalone.mk", format!("ifdef CONFIG_{config}\n")),
            ("vm/machines/qemu.sh", format!("\n{debian})\n")),
            ("scripts/packages/knetstat.spec.in", machine.to_owned()),
            ("scripts/packages/PKGBUILD.in", machine.to_owned()),
            ("debian/knetstat-dkms.dkms", machine.to_owned()),
            ("debian/control", format!("linux-headers-{debian} ")),
            (
                "debian/tests/control",
                format!("linux-headers-{debian} [{debian}]"),
            ),
        ] {
            // The archive of the sources has no directory `debian`.
            let Ok(text) = fs::read_to_string(project().join(file)) else {
                assert!(file.starts_with("debian/"), "{file} is missing");
                eprintln!("skipped: there is no {file}");
                continue;
            };
            assert!(text.contains(&words), "{file} lacks {words:?}");
        }
    }
}

#[test]
fn sentences_name_all() {
    let names = call("architecture_names");
    let names = names.trim_end();
    assert!(names.starts_with("amd64"), "{names:?}");
    for file in [
        "README.md",
        "man/knetstat.4",
        "docs/comparison.md",
        "docs/package.md",
    ] {
        let text = fs::read_to_string(project().join(file)).expect(file);
        assert!(text.contains(names), "{file} lacks {names:?}");
    }
}
