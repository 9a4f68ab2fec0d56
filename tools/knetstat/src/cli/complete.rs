// SPDX-License-Identifier: GPL-2.0

//! Completion of words on the command line. A shell runs the command with the environment variable
//! `COMPLETE` set, and the command prints the candidates.

use crate::model::columns::{Content, Name, NAMES};
use crate::model::groups::may_be_label;
use crate::model::options;
use crate::model::states;
use crate::model::words::WORDS;
use clap_complete::CompletionCandidate;
use std::ffi::OsStr;
use std::fs;

fn candidate(value: impl Into<String>, help: &str) -> CompletionCandidate {
    CompletionCandidate::new(value.into()).help(Some(help.to_owned().into()))
}

/// The options whose names begin with `current`, in its case because shells compare case.
fn options(current: &str) -> Vec<CompletionCandidate> {
    let is_lower = current.contains(|c: char| c.is_ascii_lowercase());
    let begins = |name: &str| {
        let begin = name.get(..current.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(current))
    };
    let found = options::all().iter().filter(|info| begins(info.name));
    found
        .map(|info| {
            let name = match is_lower {
                true => info.name.to_ascii_lowercase(),
                false => info.name.to_owned(),
            };
            candidate(name, info.text.first().copied().unwrap_or_default())
        })
        .collect()
}

/// Completes a word of a filter. An empty word is not completed to options: there are too many.
pub fn filter(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else {
        return Vec::new();
    };
    let words = WORDS.iter().map(|word| (word.completed(), word.help));
    let states = states::names().map(|(name, what)| (name.to_owned(), what));
    let mut found: Vec<_> = words
        .chain(states)
        .filter(|(word, _)| word.starts_with(current))
        .map(|(word, help)| candidate(word, help))
        .collect();
    if !current.is_empty() {
        found.extend(options(current));
    }
    found
}

/// Completes an argument of `explain`.
pub fn names(current: &OsStr) -> Vec<CompletionCandidate> {
    current.to_str().map(options).unwrap_or_default()
}

/// Completes the last name of a list of columns, which may have the prefix `+`.
pub fn columns(current: &OsStr) -> Vec<CompletionCandidate> {
    last_of(current, |_| true, &['+'])
}

/// Completes the last name of an order, which may have a sign before it.
pub fn order(current: &OsStr) -> Vec<CompletionCandidate> {
    last_of(current, |_| true, &['+', '-'])
}

/// Completes the last name of a list of columns whose values are counted.
pub fn counted(current: &OsStr) -> Vec<CompletionCandidate> {
    last_of(current, |name| name.content != Content::Processes, &[])
}

/// Completes the last name of a list of labels.
pub fn labels(current: &OsStr) -> Vec<CompletionCandidate> {
    last_of(current, |name| may_be_label(Some(name.content)), &[])
}

/// Completes the last name of a list to an option, or to a column that is allowed. The name may have
/// one of these signs before it.
fn last_of(
    current: &OsStr,
    is_allowed: fn(&Name) -> bool,
    signs: &[char],
) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else {
        return Vec::new();
    };
    let begin = current.rfind(',').map_or(0, |comma| comma + 1);
    let sign = usize::from(current[begin..].starts_with(signs));
    let (before, last) = current.split_at(begin + sign);
    let names = NAMES
        .iter()
        .filter(|name| is_allowed(name) && name.name.starts_with(last));
    let names = names.map(|name| candidate(name.name, name.help));
    let with_options = names.chain(match last {
        "" => Vec::new(),
        _ => options(last),
    });
    with_options.map(|found| found.add_prefix(before)).collect()
}

/// Whether a shell takes a text for one word, and for nothing else. Bash inserts candidates without
/// quotes.
fn is_plain(text: &str) -> bool {
    let is_safe = |c: char| c.is_alphanumeric() || "_-+.,:@%=/".contains(c);
    text.chars().all(is_safe)
}

/// Completes the name of a network namespace. Names that need quotes are left out.
pub fn namespaces(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(current), Ok(found)) = (current.to_str(), fs::read_dir("/run/netns")) else {
        return Vec::new();
    };
    let mut names: Vec<_> = found
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(current) && is_plain(name))
        .collect();
    names.sort();
    names.into_iter().map(CompletionCandidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Cli;
    use crate::model::filter::{Filter, Scope};
    use crate::source::services::Services;
    use clap::CommandFactory;
    use clap_complete::engine::complete;
    use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};
    use std::path::Path;

    /// The candidates for the last word.
    fn completed(words: &[&str]) -> Vec<String> {
        let words = std::iter::once(&"knetstat").chain(words);
        let words: Vec<_> = words.map(Into::into).collect();
        let last = words.len() - 1;
        complete(&mut Cli::command(), words, last, None)
            .unwrap()
            .iter()
            .map(|found| found.get_value().to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn flags_and_subcommands() {
        assert_eq!(completed(&["--verb"]), ["--verbose"]);
        assert_eq!(completed(&["-t", "--no"]), ["--no-header"]);
        assert_eq!(completed(&["expl"]), ["explain"]);
        assert_eq!(
            completed(&["-tan", "state", "listening", "--js"]),
            ["--json"]
        );
    }

    #[test]
    fn columns_and_labels() {
        assert_eq!(completed(&["-o", "local,sta"]), ["local,state"]);
        assert_eq!(completed(&["-o", "+tcp_nod"]), ["+tcp_nodelay"]);
        assert_eq!(completed(&["--sort", "uid,-recv"]), ["uid,-recv-q"]);
        assert_eq!(
            completed(&["summary", "--by", "netid,sta"]),
            ["netid,state"]
        );
        assert!(completed(&["metrics", "--by", "sta"]).is_empty());
        // Completion offers no name that the command refuses.
        assert_eq!(completed(&["summary", "--by", "proc"]), ["process"]);
        assert!(completed(&["summary", "--by", "+sta"]).is_empty());
        assert_eq!(completed(&["metrics", "--by", "proc"]), ["process"]);
        assert_eq!(
            completed(&["metrics", "--by", "sport,tcp_nod"]),
            ["sport,tcp_nodelay"]
        );
    }

    #[test]
    fn options_of_both() {
        assert_eq!(completed(&["explain", "TCP_NOD"]), ["TCP_NODELAY"]);
        assert_eq!(
            completed(&["explain", "TCP_ULP", "tcp_nod"]),
            ["tcp_nodelay"]
        );
        assert_eq!(completed(&["-t", "TCP_NOD"]), ["TCP_NODELAY"]);
        assert_eq!(completed(&["state", "estab"]), ["established"]);
        assert_eq!(completed(&["proc"]), ["process="]);
        let all = completed(&["explain", ""]);
        for info in options::all() {
            assert!(all.iter().any(|name| name == info.name), "{}", info.name);
        }
        assert!(!completed(&[""]).iter().any(|word| word == "TCP_ULP"));
        assert!(completed(&["tcp_ü"]).is_empty() && completed(&["ü"]).is_empty());
    }

    /// Bash inserts candidates without quotes: none may be a redirection or another command.
    #[test]
    fn candidates_are_plain() {
        let empty = OsStr::new("");
        let options = options::all().iter().map(|info| info.name.to_owned());
        let found = [filter, names, columns, order, counted, labels].map(|list| list(empty));
        let found = found.iter().flatten();
        let found = found.map(|found| found.get_value().to_str().unwrap().to_owned());
        for word in found.chain(options) {
            assert!(is_plain(&word), "{word}");
        }
        assert_eq!(completed(&["recv"]), ["recv-q"]);
        assert!(is_plain("blue-1.net") && is_plain("gr\u{fc}n"));
        for name in [
            "a b", "a;b", "a>b", "a<b", "a|b", "a&b", "a(b", "$a", "`a`", "~", "a'", "a\nb",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }

    /// Filters accept each candidate in its place.
    #[test]
    fn candidates_are_accepted() {
        let services = Services::load();
        let parse = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            Filter::parse_for(Scope::All, &words, &services).map_err(|err| err.to_string())
        };
        let offered = filter(OsStr::new(""));
        assert_eq!(offered.len(), WORDS.len() + states::names().count());
        for found in offered {
            let word = found.get_value().to_str().unwrap();
            let is_state = states::names().any(|(name, _)| name == word);
            let parsed = match word {
                word if is_state => parse(&["state", word]),
                "state" | "exclude" => parse(&[word, "established"]),
                "src" | "dst" => parse(&[word, "127.0.0.1"]),
                "sport" | "dport" => parse(&[word, "=", ":22"]),
                "dev" => parse(&[word, "lo"]),
                "fwmark" => parse(&[word, "1"]),
                "and" | "or" => parse(&["diag", word, "diag"]),
                "not" => parse(&[word, "diag"]),
                "netns=" => parse(&[&format!("netns={}", std::process::id())]),
                "cgroup=" => parse(&["cgroup=/"]),
                "recv-q" | "send-q" => parse(&[&format!("{word}>1")]),
                word if word.ends_with('=') => parse(&[&format!("{word}1")]),
                word => parse(&[word]),
            };
            assert!(parsed.is_ok(), "{word}: {parsed:?}");
        }
    }

    /// The text that follows clap's own in the file for zsh. Without it, the first use in a shell
    /// completes nothing.
    const ZSH_TAIL: &str = "
# On first use, zsh runs this file as the body of the function _knetstat.
if [[ $funcstack[1] == _knetstat ]]; then
    _clap_dynamic_completer_knetstat \"$@\"
fi
";

    /// The files that are installed for the shells equal the output of `COMPLETE=SHELL knetstat`.
    #[test]
    fn the_files_are_current() {
        let shells: [(&dyn EnvCompleter, &str, &str); 3] = [
            (&Bash, "knetstat", ""),
            (&Zsh, "_knetstat", ZSH_TAIL),
            (&Fish, "knetstat.fish", ""),
        ];
        for (shell, name, tail) in shells {
            let mut expected = Vec::new();
            shell
                .write_registration(
                    "COMPLETE",
                    "knetstat",
                    "knetstat",
                    "knetstat",
                    &mut expected,
                )
                .unwrap();
            expected.extend(tail.as_bytes());
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("completions")
                .join(name);
            let found = fs::read(&path).unwrap_or_default();
            assert!(
                found == expected,
                "{} is not current; it must contain:\n{}",
                path.display(),
                String::from_utf8_lossy(&expected)
            );
        }
    }
}
