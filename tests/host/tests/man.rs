// SPDX-License-Identifier: GPL-2.0

//! The manual pages: knetstat(5) is what `make man` makes, says something of every option of the
//! table, and of no other; all pages are such that the tools for manual pages find nothing.

mod common;

use common::{project, read};
use knetstat_man::{escape, examples, level, page, page_of, table, unescape, ON};
use std::collections::BTreeSet;
use std::process::Command;

const PAGES: [&str; 4] = [
    "man/knetstat-check.5",
    "man/knetstat.4",
    "man/knetstat.5",
    "man/knetstat.8",
];

/// The page from a table and words that are not those of the checkout.
fn made_of(sockopts: &str, words: &str) -> Result<String, String> {
    page(&read("man/knetstat.5.in"), sockopts, words)
}

#[test]
fn the_page_is_current() {
    let page = page_of(&project()).unwrap();
    assert!(
        page == read("man/knetstat.5"),
        "man/knetstat.5 is not what its sources make; run: make man"
    );
}

/// An option that is new in the table, or gone from it, or has other values than the page says.
#[test]
fn table_and_words_must_agree() {
    let (sockopts, words) = (read("sockopts.rs"), read("man/options.txt"));
    let line = "        TCP_TX_DELAY: tcp_sock.tcp_tx_delay unless 0;\n";
    made_of(&sockopts, &words).unwrap();
    assert!(sockopts.contains(line), "sockopts.rs lacks this:\n{line}");

    let with = |other: &str| made_of(&sockopts.replace(line, other), &words).unwrap_err();
    let new = "        TCP_NEW: tcp_sock.new unless 0;\n";
    assert_eq!(
        with(&format!("{line}{new}")),
        "man/options.txt does not describe TCP_NEW"
    );
    assert_eq!(
        with(""),
        "sockopts.rs lacks TCP_TX_DELAY, which man/options.txt describes"
    );
    let seconds = line.replace(';', ", map seconds;");
    assert_eq!(
        with(&seconds),
        "sockopts.rs already gives the value of TCP_TX_DELAY"
    );
    assert_eq!(
        made_of(&sockopts, &words.replace("TCP_ULP = Ar name", "TCP_ULP")).unwrap_err(),
        "man/options.txt does not give the value of TCP_ULP"
    );
    let twice = format!("{words}\nTCP_ULP = Ar name\nAgain.\n");
    assert_eq!(
        made_of(&sockopts, &twice).unwrap_err(),
        "man/options.txt describes TCP_ULP twice"
    );
}

/// Each option once, at its level, and with what the table says of it.
#[test]
fn the_page_has_every_option_at_its_level() {
    let page = read("man/knetstat.5");
    let mut here = "";
    let mut found = BTreeSet::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix(".Ss ") {
            here = title;
        }
        let Some(item) = line.strip_prefix(".It Cm ") else {
            continue;
        };
        let (name, _) = item.split_once(" Ns = Ns ").expect(line);
        assert_eq!(level(name).unwrap(), here, "{name}");
        assert!(found.insert(name), "{name} is there twice");
    }
    assert!(found.len() > 100, "only {} options", found.len());
    assert!(page.contains(&format!("There are {} options.", found.len())));

    for expected in [
        "\nTCP: always.\nUDP: if on.\n",
        ".It Cm TCP_KEEPIDLE Ns = Ns Ar seconds\n",
        ".It Cm TCP_RTO_MIN_US Ns = Ns Ar microseconds\n",
        ".It Cm SO_OOBINLINE Ns = Ns Cm 1\n",
        ".It Cm IP_RECVERR Ns = Ns Cm 1\n",
        ".It Cm TCP_INQ Ns = Ns Cm 1\n.Xr recvmsg 2\nreports how many bytes remain to be read.\nTCP: if on.\n",
        "\nKernels with\n.Dv CONFIG_MPTCP .\n",
        "\nNot every kernel has it.\n",
        "\nUDP over IPv6: if set.\n",
    ] {
        assert!(
            page.contains(expected),
            "the page does not have {expected:?}"
        );
    }
}

/// The page says of all other flags that they are shown if they are on.
#[test]
fn flags_that_are_on_by_default() {
    let mut on = BTreeSet::new();
    for (file, head) in [
        ("sockopts/getsockopt/ip.rs", "fn default_inet_flags("),
        ("sockopts/getsockopt/ipv6.rs", "const DEFAULT_FLAGS: u64 ="),
    ] {
        let text = read(file);
        let (_, body) = text.split_once(head).expect(head);
        let (body, _) = body.split_once("\n\n").expect("an empty line");
        let words = body.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let flags = words.filter(|word| word.starts_with("INET_FLAGS_"));
        on.extend(flags.map(str::to_owned));
    }
    assert_eq!(on.len(), 4, "{on:?}");
    // All that the table has of them, and no others.
    let entries = table(&read("sockopts.rs")).unwrap();
    let fields = entries.into_iter().map(|entry| entry.fields);
    let named = fields.filter(|flag| ON.iter().any(|begin| flag.starts_with(begin)));
    assert_eq!(named.collect::<BTreeSet<_>>(), on);
}

#[test]
fn plain_text_survives() {
    for text in [
        r"find -lname 'socket:\[339\]' ~ ^ `x`",
        ".5",
        "'x'",
        "a\\eb",
        "",
    ] {
        assert_eq!(unescape(&escape(text)), text);
        assert!(!escape(text).starts_with(['.', '\'']), "{text}");
    }
}

#[test]
fn examples_are_found() {
    let text = ".Sh NAME\n.Bd -literal\n$ no\n.Ed\n.Sh EXAMPLES\n.Ss One?\nSo:\n.Bd -literal\n\
        $ awk \\(aq{\n>     print }\\(aq\n1 2\n> 3\n# true\n.Ed\n.Sh FILES\n.Bd -literal\n$ no\n.Ed\n";
    let found = examples(text);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].title, "One?");
    let steps: Vec<_> = found[0]
        .steps
        .iter()
        .map(|step| (step.command.as_str(), step.output.join("\n")))
        .collect();
    assert_eq!(
        steps,
        [
            ("awk '{\n    print }'", "1 2\n> 3".to_owned()),
            ("true", String::new())
        ]
    );
}

/// The README's examples are examples of the page, with the same output. The guest tests run those.
#[test]
fn the_readme_has_examples_of_the_page() {
    let of_page = examples(&read("man/knetstat.5"));
    let of_page: Vec<_> = of_page.iter().flat_map(|example| &example.steps).collect();
    let readme = read("README.md");
    let mut blocks = String::from("\n.Sh EXAMPLES\n.Ss README\n");
    for block in readme.split("```console\n").skip(1) {
        let (block, _) = block.split_once("\n```\n").expect("the end of the block");
        let lines: Vec<_> = block.lines().map(escape).collect();
        blocks += &format!(".Bd -literal\n{}\n.Ed\n", lines.join("\n"));
    }
    let of_readme = examples(&blocks);
    let steps = &of_readme[0].steps;
    for step in steps {
        assert!(
            of_page.contains(&step),
            "the page does not have this example of the README:\n{step:#?}"
        );
        for line in &step.output {
            assert!(line.len() <= 78, "too wide for the README:\n{line}");
        }
        // Two columns more are the prompt.
        for line in step.command.lines() {
            assert!(line.len() <= 76, "too wide for the README:\n{line}");
        }
    }
    assert!(
        steps.len() > 3,
        "only {} commands in the README",
        steps.len()
    );
}

/// An administrator gives it 30 seconds.
#[test]
fn the_readme_is_short() {
    let count = read("README.md").lines().count();
    assert!(count <= 200, "README.md has {count} lines");
}

/// The messages of a tool about a page. `None` without the tool.
fn says(command: &str, arguments: &[&str], page: &str) -> Option<String> {
    let output = Command::new(command)
        .args(arguments)
        .arg(project().join(page))
        .env("LC_ALL", "C.UTF-8")
        .output();
    let output = match output {
        Ok(output) => output,
        Err(err) => {
            let needed = std::env::var_os("KNETSTAT_NEED_TOOLS").is_some();
            assert!(!needed, "{command}: {err}");
            eprintln!("skipped: {command}: {err}");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || !said.is_empty(), "{output:?}");
    // mandoc says on stdout what it finds.
    match arguments.contains(&"-Tlint") {
        true => Some(String::from_utf8_lossy(&output.stdout).into_owned() + &said),
        false => Some(said),
    }
}

#[test]
fn mandoc_finds_nothing() {
    for page in PAGES {
        if let Some(said) = says("mandoc", &["-Tlint", "-Wwarning"], page) {
            assert_eq!(said, "", "{page}");
        }
    }
}

#[test]
fn groff_finds_nothing() {
    for page in PAGES {
        if let Some(said) = says("groff", &["-ww", "-z", "-mandoc", "-Tutf8"], page) {
            assert_eq!(said, "", "{page}");
        }
    }
}

#[test]
fn man_finds_nothing() {
    for page in PAGES {
        if let Some(said) = says("man", &["--warnings", "-l", "-Tutf8"], page) {
            assert_eq!(said, "", "{page}");
        }
    }
}
