// SPDX-License-Identifier: GPL-2.0

//! The choice whether output has colours; knetstat(8), "ENVIRONMENT".

use clap::ValueEnum;
use std::ffi::OsString;

/// The value of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// Whether output to a terminal, or to anything else, has colours.
    ///
    /// CLICOLOR_FORCE has no effect on a pipe, although <https://bixense.com/clicolors> asks for
    /// it: the variable is set once for all programs, and scripts compare the columns. A script
    /// that wants colours says so with `--color=always`.
    pub fn is_on(self, is_terminal: bool) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                // The crate takes CLICOLOR_FORCE=0 for a wish, too.
                let is_forced = anstyle_query::clicolor_force()
                    && std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
                is_terminal
                    && !anstyle_query::no_color()
                    && (is_forced
                        || (anstyle_query::clicolor() != Some(false)
                            && anstyle_query::term_supports_color()))
            }
        }
    }

    /// The value of `--color` among these arguments, for the messages about a command line that
    /// cannot be parsed.
    pub fn of_arguments(args: &[OsString]) -> Self {
        let mut color = Color::default();
        let before = args.iter().take_while(|arg| *arg != "--");
        let mut args = before.filter_map(|arg| arg.to_str());
        while let Some(arg) = args.next() {
            let value = match arg.split_once('=') {
                Some(("--color", value)) => Some(value),
                None if arg == "--color" => args.next(),
                _ => None,
            };
            let parsed = value.and_then(|value| Color::from_str(value, false).ok());
            color = parsed.unwrap_or(color);
        }
        color
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        for (args, expected) in [
            ("", Color::Auto),
            ("--color=always", Color::Always),
            ("-t --color never --nope", Color::Never),
            ("--color", Color::Auto),
            ("--color=sometimes", Color::Auto),
            ("-- --color=always", Color::Auto),
            ("--color=always --color=never", Color::Never),
        ] {
            let args: Vec<_> = args.split(' ').map(OsString::from).collect();
            assert_eq!(Color::of_arguments(&args), expected, "{args:?}");
        }
        assert!(Color::Always.is_on(false) && !Color::Never.is_on(true));
        assert!(!Color::Auto.is_on(false));
    }
}
