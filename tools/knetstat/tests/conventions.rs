// SPDX-License-Identifier: GPL-2.0

//! The conventions of command lines that need no socket: errors of the output, exit statuses and
//! colours.

use nix::pty::openpty;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Output, Stdio};

const COMMAND: &str = env!("CARGO_BIN_EXE_knetstat");

/// Command lines that print something without the module.
const PRINT: [&str; 8] = [
    "--help",
    "-h",
    "--version",
    "summary --help",
    "explain TCP_NODELAY",
    "explain --help",
    "check --help",
    "metrics --help",
];

/// Runs a line of a shell, in which `$K` is the command.
fn shell(line: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env("K", COMMAND);
    shell.env_remove("COMPLETE").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn output_that_cannot_be_written() {
    for arguments in PRINT {
        let output = shell(&format!("$K {arguments}"));
        assert_eq!(output.status.code(), Some(0), "{arguments}: {output:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
        for (to, why) in [
            (
                ">/dev/full",
                "cannot write to standard output: No space left",
            ),
            (">&-", "standard output is closed"),
            ("1</dev/null", "cannot write to standard output: Bad file"),
        ] {
            let output = shell(&format!("$K {arguments} {to}"));
            assert_eq!(output.status.code(), Some(1), "{arguments} {to}");
            let message = text(&output.stderr);
            assert!(
                message.starts_with("knetstat: ") && message.contains(why),
                "{arguments} {to}: {message}"
            );
            assert_eq!(message.lines().count(), 1, "{message}");
        }
        // A reader that closes the pipe at once, and one that is not interested.
        for line in [
            format!("(sleep 0.1; $K {arguments}; echo $? >&2) | true"),
            format!("$K {arguments} >/dev/null; echo $? >&2"),
        ] {
            assert_eq!(text(&shell(&line).stderr), "0\n", "{line}");
        }
    }
}

/// Completion has the same statuses and messages.
#[test]
fn completions_that_cannot_be_written() {
    for arguments in ["", " -- knetstat -"] {
        let variables = "COMPLETE=bash _CLAP_COMPLETE_INDEX=1 _CLAP_COMPLETE_COMP_TYPE=9 \
            _CLAP_COMPLETE_SPACE=true";
        let output = shell(&format!("{variables} $K{arguments}"));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{output:?}"
        );
        for (to, why) in [
            (
                ">/dev/full",
                "cannot write to standard output: No space left",
            ),
            (">&-", "standard output is closed"),
        ] {
            let output = shell(&format!("{variables} $K{arguments} {to}"));
            assert_eq!(output.status.code(), Some(1), "{arguments} {to}");
            let message = text(&output.stderr);
            assert_eq!(message.lines().count(), 1, "{message}");
            assert!(
                message.starts_with(&format!("knetstat: {why}")),
                "{message}"
            );
        }
        let line = format!("(sleep 0.1; {variables} $K{arguments}; echo $? >&2) | true");
        assert_eq!(text(&shell(&line).stderr), "0\n", "{arguments}");
    }
}

#[test]
fn statuses() {
    for (line, status) in [
        ("$K --nope", 2),
        ("$K --nope 2>/dev/full", 2),
        ("$K --nope 2>&-", 2),
        ("$K explain", 2),
        ("$K '('", 2),
        ("$K '(' 2>/dev/full", 2),
        ("$K --color=sometimes", 2),
        ("$K explain no_such_option", 1),
        ("$K explain no_such_option 2>/dev/full", 1),
        ("$K --since /nowhere 2>/dev/full", 1),
        ("$K --since /nowhere >&-", 1),
        ("$K --watch >&-", 1),
        ("$K summary >&-", 1),
        ("$K metrics >&-", 1),
        ("$K metrics --by nonsense", 2),
        ("$K metrics --by uid,uid", 2),
        ("$K metrics --json", 2),
        ("$K metrics --limit 0", 2),
        // A status of 1 means that a rule is broken.
        ("$K check >&-", 2),
        ("$K check --print-rules >&-", 2),
        ("$K check --print-rules >/dev/full", 2),
        ("$K check /nowhere", 2),
        ("$K check /dev/null", 2),
        ("$K check --nope", 2),
        ("$K check --nagios --json >&-", 3),
        ("$K check --nagios >&-", 3),
    ] {
        let output = shell(line);
        assert_eq!(output.status.code(), Some(status), "{line}: {output:?}");
        assert!(output.stdout.is_empty(), "{line}: {output:?}");
        let is_seen = !line.contains("2>");
        assert_eq!(is_seen, !output.stderr.is_empty(), "{line}: {output:?}");
    }
}

/// To Nagios, a status of 2 means that the service is critical.
#[test]
fn nagios() {
    for line in [
        "$K check --nagios /nowhere",
        "$K check --nagios /dev/null",
        "echo x | $K check --nagios -",
        "$K check --nagios - '(' < /dev/null",
    ] {
        let output = shell(line);
        assert_eq!(output.status.code(), Some(3), "{line}: {output:?}");
        let text = text(&output.stdout);
        assert!(text.starts_with("KNETSTAT UNKNOWN - "), "{line}: {text}");
        assert_eq!(text.lines().count(), 1, "{line}: {text}");
        assert!(output.stderr.is_empty(), "{line}: {output:?}");
    }
}

/// Nagios shows the first line of standard output, also if a flag is wrong. A person sees more.
#[test]
fn nagios_and_wrong_flags() {
    for (line, why) in [
        (
            "$K check --nagios --nope",
            "unexpected argument '--nope' found",
        ),
        (
            "$K check --nagios --json",
            "the argument '--nagios' cannot be used with '--json'",
        ),
    ] {
        let output = shell(line);
        assert_eq!(output.status.code(), Some(3), "{line}: {output:?}");
        assert_eq!(text(&output.stdout), format!("KNETSTAT UNKNOWN - {why}\n"));
        assert!(text(&output.stderr).starts_with("error: "), "{line}");
    }
}

/// The rules that are printed are a file of rules, except that the module is not loaded here.
#[test]
fn printed_rules() {
    let output = shell("$K check --print-rules");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("# SPDX"));
    let line = "$K check --print-rules | $K check -";
    let message = text(&shell(line).stderr);
    assert!(!message.contains("standard input:"), "{message}");
}

/// The output of a command line on a terminal, with these variables.
fn on_a_terminal(arguments: &str, variables: &[(&str, &str)]) -> String {
    let pty = openpty(None, None).unwrap();
    let terminal = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
    let mut command = Command::new(COMMAND);
    command.args(arguments.split(' '));
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COMPLETE"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm");
    command.envs(variables.iter().copied());
    command
        .stdout(terminal(&pty.slave))
        .stderr(terminal(&pty.slave));
    let mut child = command.spawn().unwrap();
    drop((command, pty.slave));
    let mut bytes = Vec::new();
    // A terminal that is closed ends with an error.
    let _ = File::from(pty.master).read_to_end(&mut bytes);
    child.wait().unwrap();
    assert!(!bytes.is_empty());
    text(&bytes)
}

#[test]
fn colours_of_a_terminal() {
    for (arguments, variables, expected) in [
        ("--help", &[][..], true),
        ("--nope", &[], true),
        // https://no-color.org: "when present and not an empty string (regardless of its value)".
        ("--help", &[("NO_COLOR", "1")], false),
        ("--help", &[("NO_COLOR", "0")], false),
        ("--nope", &[("NO_COLOR", "1")], false),
        ("--help", &[("NO_COLOR", "")], true),
        // https://bixense.com/clicolors
        ("--help", &[("CLICOLOR", "0")], false),
        ("--help", &[("CLICOLOR", "1")], true),
        (
            "--help",
            &[("CLICOLOR", "0"), ("CLICOLOR_FORCE", "1")],
            true,
        ),
        (
            "--help",
            &[("CLICOLOR", "0"), ("CLICOLOR_FORCE", "0")],
            false,
        ),
        (
            "--help",
            &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")],
            false,
        ),
        // https://clig.dev: "The TERM environment variable has the value dumb".
        ("--help", &[("TERM", "dumb")], false),
        ("--help", &[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], true),
        // The flag counts more than the environment.
        ("--color=always --help", &[("NO_COLOR", "1")], true),
        ("--color always --help", &[("TERM", "dumb")], true),
        ("--color=never --help", &[("CLICOLOR_FORCE", "1")], false),
        ("--color=never --nope", &[], false),
    ] {
        let text = on_a_terminal(arguments, variables);
        assert_eq!(
            text.contains('\x1b'),
            expected,
            "{arguments} {variables:?}: {text}"
        );
    }
}

/// Scripts compare what a pipe has. Only the flag colours it.
#[test]
fn colours_of_a_pipe() {
    for line in [
        "CLICOLOR_FORCE=1 $K --help",
        "CLICOLOR_FORCE=1 $K --nope",
        "NO_COLOR= $K --help",
    ] {
        let output = shell(line);
        let both = [output.stdout, output.stderr].concat();
        assert!(!both.is_empty() && !both.contains(&0x1b), "{line}");
    }
    for line in [
        "$K --color=always --help",
        "NO_COLOR=1 $K --color always --help",
    ] {
        assert!(shell(line).stdout.contains(&0x1b), "{line}");
    }
}
