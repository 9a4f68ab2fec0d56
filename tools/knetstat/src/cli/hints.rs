// SPDX-License-Identifier: GPL-2.0

//! Hints for mistakes on the command line whose cause can be guessed.

use crate::cli::args::Check;
use crate::model::filter::{Filter, Scope};
use crate::model::{options, words};
use crate::source::services::Services;
use std::path::Path;

/// The error if `check` has a filter, but no file of rules, so that it takes the first word of the
/// filter for the file. `None` if this word is a file, or cannot begin a filter.
pub fn filter_without_file(args: &Check, services: &Services) -> Option<String> {
    let file = args.file.as_deref()?;
    let first = file.to_str()?;
    if first == "-" || file.symlink_metadata().is_ok() {
        return None;
    }
    let scope = args.list.scope(Scope::OwnAnytime);
    let is_filter = || {
        let words = std::iter::once(first.to_owned()).chain(args.list.filter.iter().cloned());
        let words: Vec<_> = words.collect();
        Filter::parse_for(scope, &words, services).is_ok()
    };
    let is_word = words::find(first).is_some() || options::find(first).is_some();
    (is_word || is_filter()).then(|| {
        format!(
            "check takes a file before the filter, and there is no file {first:?}: \
            knetstat check FILE FILTER\n\nFor a filter with the rules of knetstat: \
            knetstat check --print-rules | knetstat check - FILTER"
        )
    })
}

/// The hint for a wrong filter in which a word is a file, if `--rules` came without one: clap takes a
/// value only behind `=`.
pub fn file_behind_rules(filter: &[String]) -> Option<String> {
    let file = filter.iter().find(|word| Path::new(word).is_file())?;
    Some(format!("The file of --rules follows =: --rules={file}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Cli, Command};
    use clap::Parser;

    fn parse(args: &str) -> Cli {
        let args = std::iter::once("knetstat").chain(args.split(' '));
        Cli::try_parse_from(args).unwrap_or_else(|err| panic!("{err}"))
    }

    /// A filter needs a file before it.
    #[test]
    fn filters_of_check() {
        for (args, is_filter) in [
            ("check state listening", true),
            ("check -t dport = :5432", true),
            ("check TCP_NODELAY", true),
            ("check -t tcp_nodelay and uid=0", true),
            ("check uid=0", true),
            ("check ( uid=0 )", true),
            // The filter is wrong, too.
            ("check state listning", true),
            ("check", false),
            ("check -", false),
            ("check no-such-file.toml", false),
            ("check no-such-file.toml state listening", false),
            ("check /etc", false),
        ] {
            let Some(Command::Check(check)) = parse(args).command else {
                panic!("{args}");
            };
            let found = filter_without_file(&check, &Services::parse(""));
            assert_eq!(found.is_some(), is_filter, "{args}: {found:?}");
        }
    }
}
