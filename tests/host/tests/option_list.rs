// SPDX-License-Identifier: GPL-2.0

//! The table of options is complete: every option that the kernel's five getsockopt functions
//! know is in `sockopts.rs`, or in `left-out-options.txt` with a reason.
//!
//! Reads the source of a kernel, which `KNETSTAT_LINUX_SOURCE` names. Without it, the
//! comparison with the kernel is skipped.

mod common;

use common::{project, read};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The functions that answer getsockopt(2), and those that do what setsockopt(2) asks.
const FUNCTIONS: [(&str, &str, &str); 5] = [
    ("net/core/sock.c", "sk_getsockopt", "sk_setsockopt"),
    ("net/ipv4/tcp.c", "do_tcp_getsockopt", "do_tcp_setsockopt"),
    (
        "net/ipv4/ip_sockglue.c",
        "do_ip_getsockopt",
        "do_ip_setsockopt",
    ),
    (
        "net/ipv6/ipv6_sockglue.c",
        "do_ipv6_getsockopt",
        "do_ipv6_setsockopt",
    ),
    ("net/ipv4/udp.c", "udp_lib_getsockopt", "udp_lib_setsockopt"),
];

/// The version that `left-out-options.txt` describes.
const DESCRIBED: (u32, u32) = (7, 3);

/// The entries of the table whose names are not those of an option of the kernel.
const MADE_UP: [(&str, &str); 1] = [("TCP_AO", "TCP_AO_ADD_KEY")];

/// The names in the table of `sockopts.rs`.
fn shown() -> BTreeSet<String> {
    let entries = knetstat_man::table(&read("sockopts.rs")).expect("the table");
    let names: BTreeSet<_> = entries.into_iter().map(|entry| entry.name).collect();
    assert!(
        names.len() > 100,
        "only {} options in sockopts.rs",
        names.len()
    );
    names
}

/// The file that lists the options which are not shown, as messages name it.
const LEFT_OUT: &str = "tests/host/left-out-options.txt";

/// The names in `left-out-options.txt`.
fn left_out() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for line in include_str!("../left-out-options.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (names, reason) = line.split_once(": ").expect("names, a colon and a reason");
        for name in names.split(' ') {
            let twice = all.insert(name.to_owned(), reason.to_owned());
            assert!(twice.is_none(), "{name} is left out twice");
        }
    }
    all
}

/// The body of a function, of which the name and the closing brace begin a line.
fn body<'t>(source: &'t str, name: &str) -> &'t str {
    let start = source
        .find(&format!("\nint {name}("))
        .unwrap_or_else(|| panic!("no function {name}"));
    let rest = &source[start..];
    &rest[..rest.find("\n}").expect("the end of a function")]
}

/// The names behind `case` in a function.
fn labels(function: &str) -> BTreeSet<String> {
    function
        .lines()
        .filter_map(|line| line.trim().strip_prefix("case ")?.split_once(':'))
        .map(|(label, _)| label)
        .filter(|label| {
            label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
        // The number of the option where times have the native size.
        .map(|label| label.strip_suffix("_OLD").unwrap_or(label).to_owned())
        .collect()
}

/// `VERSION` and `PATCHLEVEL`.
fn version(linux: &Path) -> (u32, u32) {
    let makefile = read(linux.join("Makefile"));
    let number = |name: &str| {
        let mut lines = makefile.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        line.and_then(|number| number.parse().ok())
            .expect("a version")
    };
    (number("VERSION"), number("PATCHLEVEL"))
}

fn linux_source() -> Option<PathBuf> {
    let Some(path) = env::var_os("KNETSTAT_LINUX_SOURCE").filter(|path| !path.is_empty()) else {
        eprintln!("skipped: KNETSTAT_LINUX_SOURCE does not name the source of a kernel");
        return None;
    };
    let path = PathBuf::from(path);
    if !path.join("net/core/sock.c").is_file() {
        eprintln!("skipped: {} is no kernel source", path.display());
        return None;
    }
    Some(path)
}

/// The options that the functions know: read and set.
fn known(linux: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut read_, mut set) = (BTreeSet::new(), BTreeSet::new());
    for (file, get, set_) in FUNCTIONS {
        let source = read(linux.join(file));
        let labels_read = labels(body(&source, get));
        assert!(labels_read.len() >= 6, "{get}: only {labels_read:?}");
        read_.extend(labels_read);
        set.extend(labels(body(&source, set_)));
    }
    (read_, set)
}

#[test]
fn no_option_of_the_kernel_is_forgotten() {
    let Some(linux) = linux_source() else {
        return;
    };
    let (shown, left_out) = (shown(), left_out());
    let (kernel, _) = known(&linux);
    let forgotten: Vec<_> = kernel
        .iter()
        .filter(|name| !shown.contains(*name) && !left_out.contains_key(*name))
        .collect();
    assert!(
        forgotten.is_empty(),
        "neither in sockopts.rs nor in {LEFT_OUT}: {forgotten:?}"
    );
}

#[test]
fn no_option_is_left_out_without_need() {
    let (shown, left_out) = (shown(), left_out());
    let both: Vec<_> = left_out
        .keys()
        .filter(|name| shown.contains(*name))
        .collect();
    assert!(
        both.is_empty(),
        "sockopts.rs shows {both:?}; remove this from {LEFT_OUT}"
    );

    let Some(linux) = linux_source() else {
        return;
    };
    if version(&linux) < DESCRIBED {
        eprintln!("skipped: the list describes a newer kernel than this one");
        return;
    }
    let (kernel, _) = known(&linux);
    let needless: Vec<_> = left_out
        .keys()
        .filter(|name| !kernel.contains(*name))
        .collect();
    assert!(
        needless.is_empty(),
        "in {LEFT_OUT}, but not in the kernel: {needless:?}"
    );
}

#[test]
fn every_name_of_the_table_is_the_kernels() {
    let Some(linux) = linux_source() else {
        return;
    };
    if version(&linux) < DESCRIBED {
        eprintln!("skipped: the table describes a newer kernel than this one");
        return;
    }
    let (read, set) = known(&linux);
    let unknown: Vec<_> = shown()
        .into_iter()
        .filter(|name| {
            let name = MADE_UP
                .iter()
                .find(|(made_up, _)| made_up == name)
                .map_or(name.as_str(), |(_, real)| real);
            !read.contains(name) && !set.contains(name)
        })
        .collect();
    assert!(
        unknown.is_empty(),
        "in sockopts.rs, but not in the kernel: {unknown:?}"
    );
}

#[test]
fn the_guest_tests_try_every_option() {
    let table = read("tests/guest/src/options/table.rs");
    // In quotes, as a row names its option: a comment or a constant is none.
    let missing: Vec<_> = shown()
        .into_iter()
        .filter(|name| !table.contains(&format!("\"{name}\"")))
        .collect();
    assert!(
        missing.is_empty(),
        "tests/guest/src/options/table.rs does not try {missing:?}"
    );
}

/// An option that setsockopt(2) cannot set names the test that covers it.
#[test]
fn every_test_that_the_guest_table_names_exists() {
    let folder = project().join("tests/guest/src/options");
    let mut sources = String::new();
    for entry in fs::read_dir(&folder).expect("the tests of options") {
        sources += &read(entry.expect("an entry").path());
    }
    let table = read(folder.join("table.rs"));
    let named: Vec<_> = table.split(".own_test(\"").skip(1).collect();
    assert!(!named.is_empty(), "no option has a test of its own");
    for name in named {
        let (name, _) = name.split_once('"').expect("the end of a name");
        assert!(
            sources.contains(&format!("Case::new(\"{name}\"")),
            "tests/guest/src/options/table.rs names the test {name}, which does not exist"
        );
    }
}

#[test]
fn the_manual_page_has_every_option() {
    let page = read("man/knetstat.5");
    let there: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It Cm ")?.split_once(" Ns = "))
        .map(|(name, _)| name.to_owned())
        .collect();
    let shown = shown();
    let missing: Vec<_> = shown.difference(&there).collect();
    let needless: Vec<_> = there.difference(&shown).collect();
    assert!(
        missing.is_empty() && needless.is_empty(),
        "man/knetstat.5 lacks {missing:?}, and sockopts.rs lacks {needless:?}; run: make man"
    );
}

/// The README and the comparison name only options that exist, and their number is right.
/// The README's commands have patterns in them; `man.rs` compares those with knetstat(5).
#[test]
fn the_readme_is_right() {
    let shown = shown();
    let mut wrong = Vec::new();
    for page in ["README.md", "docs/comparison.md"] {
        let text = read(project().join(page));
        let text: String = text.split("```").step_by(2).collect();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let unknown: Vec<_> = words
            .filter(|word| {
                let levels = ["SO_", "TCP_", "IP_", "IPV6_", "UDP_"];
                levels.iter().any(|level| word.starts_with(level)) && !shown.contains(*word)
            })
            .collect();
        if !unknown.is_empty() {
            wrong.push(format!("{page} has {unknown:?}"));
        }
    }
    let count = shown.len();
    for (page, expected) in [
        ("README.md", format!("{count} options")),
        ("README.md", format!("{count} of {count}")),
        ("docs/comparison.md", format!("| knetstat | {count} |")),
        ("debian/control", format!("{count} options")),
    ] {
        if !read(project().join(page)).contains(&expected) {
            wrong.push(format!("{page} lacks {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The names in quotes between two strings of a file.
fn quoted(file: &str, begin: &str, end: &str) -> Vec<String> {
    let text = read(file);
    let (_, names) = text.split_once(begin).expect(begin);
    let (names, _) = names.split_once(end).expect(end);
    let names = names.split('"').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

/// The names of the flags of SO_TIMESTAMPING in the module, from bit 0 on.
fn timestamping() -> Vec<String> {
    let begin = "const NAMES: &[&str] = &[";
    quoted("sockopts/getsockopt/socket.rs", begin, "]")
}

/// `man/options.txt` has the same names of flags as the module. A filter accepts no others.
#[test]
fn the_flags_of_so_timestamping_are_those_of_the_module() {
    let options = knetstat_man::options(&read("sockopts.rs"), &read("man/options.txt"));
    let options = options.expect("the options");
    let option = options
        .iter()
        .find(|option| option.name == "SO_TIMESTAMPING");
    let names = timestamping();
    assert_eq!(option.expect("SO_TIMESTAMPING").facts.flags, names);
    let begin = "pub const TIMESTAMPING: [&str; ";
    let of_guest = quoted("tests/guest/src/options/answers.rs", begin, "];");
    assert_eq!(of_guest, names);
}

/// The module and the guest tests have one list, so only the kernel can show a mistake in it.
#[test]
fn the_flags_of_so_timestamping_are_those_of_the_kernel() {
    let Some(linux) = linux_source() else {
        return;
    };
    let header = read(linux.join("include/uapi/linux/net_tstamp.h"));
    let mut flags = Vec::new();
    for line in header.lines() {
        let flag = line.trim().strip_prefix("SOF_TIMESTAMPING_");
        let Some((name, value)) = flag.and_then(|flag| flag.split_once(" = ")) else {
            continue;
        };
        let value = value.replace(' ', "");
        if let Some(bit) = value.strip_prefix("(1<<") {
            let bit: usize = bit.trim_end_matches("),").parse().expect("a bit");
            assert_eq!(bit, flags.len(), "{line}");
            flags.push(name.to_owned());
        }
    }
    assert!(flags.len() > 15, "only {flags:?}");
    let mut names = timestamping();
    if version(&linux) < DESCRIBED {
        names.truncate(flags.len());
    }
    assert_eq!(flags, names);
}
