// SPDX-License-Identifier: GPL-2.0

//! Hints for mistakes on the command line whose cause can be guessed.

use crate::cli::args::{Check, Cli};
use crate::cli::habits;
use crate::model::filter::{Filter, Scope};
use crate::model::{options, words};
use crate::source::services::Services;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::CommandFactory;
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

/// Corrects the tips that clap adds to the error for an unknown flag. It proposes flags of ss that are
/// refused, and to make the flag a word of the filter, of which none begins with `-`. It does not say
/// which command has the flag.
pub fn correct_tips(err: &mut clap::Error) {
    if err.kind() != ErrorKind::UnknownArgument {
        return;
    }
    if let Some(ContextValue::StyledStrs(tips)) = err.remove(ContextKind::Suggested) {
        let is_useful = |tip: &StyledStr| !tip.to_string().starts_with("to pass ");
        let tips: Vec<_> = tips.into_iter().filter(is_useful).collect();
        err.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    if let Some(ContextValue::String(flag)) = err.get(ContextKind::SuggestedArg) {
        if habits::is_refused(flag) {
            err.remove(ContextKind::SuggestedArg);
        }
    }
    let Some(ContextValue::String(flag)) = err.get(ContextKind::InvalidArg) else {
        return;
    };
    if habits::is_refused(flag) {
        return;
    }
    let places = places_of(flag);
    if !places.is_empty() {
        let tip = StyledStr::from(format!("{flag} is a flag of: {}", places.join(", ")));
        err.remove(ContextKind::SuggestedArg);
        err.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
}

/// The commands that have a flag.
fn places_of(flag: &str) -> Vec<String> {
    let Some(name) = flag.strip_prefix("--") else {
        return Vec::new();
    };
    let has = |command: &clap::Command| {
        let mut flags = command.get_arguments();
        flags.any(|flag| flag.get_long() == Some(name) && !flag.is_hide_set())
    };
    let all = Cli::command();
    let of_none = has(&all).then(|| "knetstat without a command".to_owned());
    let commands = all.get_subcommands().filter(|command| has(command));
    let commands = commands.map(|command| format!("knetstat {}", command.get_name()));
    of_none.into_iter().chain(commands).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Command;
    use clap::Parser;

    fn parse(args: &str) -> Cli {
        let args = std::iter::once("knetstat").chain(args.split(' '));
        Cli::try_parse_from(args).unwrap_or_else(|err| panic!("{err}"))
    }

    /// The tips name flags that help.
    #[test]
    fn tips() {
        for (args, expected) in [
            ("--rules", &["--rules is a flag of: knetstat metrics"][..]),
            ("--rules=x", &["--rules is a flag of: knetstat metrics"]),
            (
                "--by uid",
                &["--by is a flag of: knetstat summary, knetstat metrics"],
            ),
            (
                "check --rules f",
                &["--rules is a flag of: knetstat metrics"],
            ),
            (
                "summary --sort uid",
                &["--sort is a flag of: knetstat without a command"],
            ),
            ("--interval 5", &[]),
            ("explain --memory", &[]),
            ("--statistic", &[]),
            ("--numerics", &["a similar argument exists: '--numeric'"]),
            ("-y", &[]),
        ] {
            let args = std::iter::once("knetstat").chain(args.split(' '));
            let mut err = Cli::try_parse_from(args).unwrap_err();
            correct_tips(&mut err);
            let text = err.render().to_string();
            let tips = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix("tip: "));
            assert_eq!(tips.collect::<Vec<_>>(), expected, "{text}");
        }
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
