// SPDX-License-Identifier: GPL-2.0

//! The text that follows the flags in `--help`: filters and examples.

use crate::model::columns::NAMES;
use crate::model::states::GROUPS;
use crate::model::words::WORDS;
use std::fmt::Write;

const BEFORE: &str = "\
By default, listening sockets, unconnected sockets, and connections in TIMW or SYNR are not shown,
as in ss. -a, -l or a state in the filter changes that.

FILTER:
";

const OPTIONS: &str = "  NAME             the option is on, or is set if it is not a flag
  NAME OP VALUE    TCP_NODELAY=0, 'TCP_KEEPIDLE>350', SO_BINDTODEVICE=eth0
";

const OPERANDS: &str = "\
HOST: 192.0.2.1, 10/8, 192.0.2.0/24:443, [2001:db8::]/32:443, [fe80::1]%eth0, *:443, www.example.org
PORT: :22, 22 or ssh
OP: = != < > <= >= or eq ne lt gt le ge
Without brackets, a list is evaluated from left to right: A or B and C means ( A or B ) and C. ss
does the same, although its manual says otherwise.
If a row lacks an option that the socket can have, the filter compares the option's default.
TCP_KEEPIDLE, TCP_KEEPCNT and TCP_KEEPINTVL are compared only if SO_KEEPALIVE is on. -v prints the
assumed defaults, and `knetstat explain NAME` prints units and defaults.
";

/// Examples, each with a description.
const EXAMPLES: [(&str, &str); 6] = [
    (
        "knetstat -tanp",
        "all TCP sockets, with processes and port numbers",
    ),
    (
        "knetstat -tn dport = :5432 and not TCP_USER_TIMEOUT",
        "connections to PostgreSQL without a user timeout",
    ),
    (
        "knetstat -tn -o local,peer,TCP_NODELAY,TCP_KEEPIDLE --sort=peer",
        "two options of each connection, as columns",
    ),
    (
        "knetstat summary -ta process=nginx",
        "the options that nginx sets, and on how many sockets",
    ),
    (
        "knetstat summary -tn --by process,SO_KEEPALIVE",
        "the number of connections with and without keepalive, by process",
    ),
    ("knetstat explain user_timeout", "the meaning of an option"),
];

const STATUS: &str = "\
Exit status: 0 on success, 1 if something could not be read or written, 2 if the command line or the
filter is wrong, 3 with --strict if the filter cannot be decided for a socket, or if not all sockets
were read.";

/// The text: the words of filters, their operands, examples, and the exit status.
pub fn after_help() -> String {
    let mut text = BEFORE.to_owned();
    for word in &WORDS {
        let usage = format!("{}{}", word.name, word.syntax);
        let _ = writeln!(text, "  {usage:16} {}", word.help);
    }
    let groups: Vec<_> = GROUPS.iter().map(|(name, ..)| *name).collect();
    text += OPTIONS;
    let _ = writeln!(
        text,
        "STATE: a state as ss names it, or a group: {}",
        groups.join(", ")
    );
    text += OPERANDS;
    text += "\nCOLUMNS, besides options such as TCP_NODELAY:\n";
    for name in &NAMES {
        let _ = writeln!(text, "  {:16} {}", name.name, name.help);
    }
    text += "\nExamples:\n";
    for (command, what) in EXAMPLES {
        let _ = writeln!(text, "  {command}\n      {what}");
    }
    text += "\n";
    text + STATUS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Cli, Command};
    use crate::model::filter::Filter;
    use crate::model::options;
    use crate::source::services::Services;
    use clap::{CommandFactory, Parser};

    /// The command can parse each example, and knetstat(8) has it.
    #[test]
    fn examples_are_understood() {
        let page = include_str!("../../../../man/knetstat.8").replace("\\-", "-");
        for (typed, _) in EXAMPLES {
            assert!(page.contains(&format!(" {typed}\n")), "{typed}");
            let cli = Cli::try_parse_from(typed.split(' ')).unwrap_or_else(|err| panic!("{err}"));
            let filter = match cli.command {
                None => cli.list.filter,
                Some(Command::Summary(args)) => args.list.filter,
                Some(Command::Check(check)) => check.list.filter,
                Some(Command::Metrics(metrics)) => metrics.list.filter,
                Some(Command::Copy(_)) => continue,
                Some(Command::Explain { names }) => {
                    assert!(!options::find_all(&names[0]).is_empty(), "{typed}");
                    continue;
                }
            };
            Filter::parse(&filter, &Services::parse("")).unwrap_or_else(|err| panic!("{err}"));
        }
    }

    /// The help of a command has no flag that the command refuses.
    #[test]
    fn flags_that_are_refused() {
        let help = |name| {
            let mut cli = Cli::command();
            let command = cli.find_subcommand_mut(name).unwrap();
            command.render_long_help().to_string()
        };
        assert!(help("summary").contains("--json"));
        assert!(!help("metrics").contains("--json"));
        assert!(Cli::try_parse_from(["knetstat", "metrics", "--json"]).is_ok());
        let page = include_str!("../../../../man/knetstat.8");
        let (_, synopsis) = page.split_once("\n.Cm metrics\n").unwrap();
        let (synopsis, _) = synopsis.split_once("\n.Nm\n").unwrap();
        assert!(!synopsis.contains("json"), "{synopsis}");
    }
}
