// SPDX-License-Identifier: GPL-2.0

//! The words of filters, except options. The parser, its hints, `--help` and completion follow from
//! [`WORDS`]. A test compares knetstat(8) with it.

use crate::model::row::{Endpoint, Row};
use crate::model::truth::Reason;
use crate::source::files::Netid;

/// A word of filters.
#[derive(Debug)]
pub struct Word {
    pub name: &'static str,
    /// Other spellings, which neither `--help` nor completion offer.
    pub aliases: &'static [&'static str],
    /// The operands, such as ` HOST` or `=NAME`.
    pub syntax: &'static str,
    /// A description for `--help` and completion.
    pub help: &'static str,
    pub meaning: Meaning,
}

/// The meaning of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    State,
    Exclude,
    Host(Side),
    Port(Side),
    Device,
    Mark,
    Diag,
    Process,
    Pid,
    Netns,
    Container,
    Cgroup,
    Number(Field),
    Not,
    And,
    Or,
}

/// The signs of the Diag column by their names, each with a description.
pub const SIGNS: [(&str, &str, &str); 3] = [
    ("peer-window", ">|", "the receive window of the peer is 0"),
    ("no-ack", ">#", "no ACK has come for more than a second"),
    ("own-window", "|<", "the receive window of this host is 0"),
];

/// One of the two endpoints of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Local,
    Foreign,
}

impl Side {
    pub fn of<'r, 'a>(self, row: &'r Row<'a>) -> &'r Endpoint<'a> {
        match self {
            Side::Local => &row.local,
            Side::Foreign => &row.foreign,
        }
    }
}

/// A number in a row that is not an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Uid,
    Ino,
    Backlog,
    Drops,
    RecvQ,
    SendQ,
}

impl Field {
    /// The word of filters.
    pub fn name(self) -> &'static str {
        let mut words = WORDS.iter();
        let word = words.find(|word| word.meaning == Meaning::Number(self));
        word.expect("a word for each field").name
    }

    /// The number of a row. `None` if such a socket does not have it.
    ///
    /// # Errors
    ///
    /// The reason why the number is not known.
    pub fn of(self, row: &Row<'_>) -> Result<Option<i128>, Reason> {
        Ok(match self {
            Field::Uid if row.uid.is_none() => return Err(Reason::Forgotten),
            Field::Uid => row.uid.map(i128::from),
            // No process has a socket open of which the kernel keeps only the addresses.
            Field::Ino => Some(row.ino.unwrap_or(0).into()),
            Field::Backlog => row.backlog.map(i128::from),
            // A row lacks the number if it is 0.
            Field::Drops if row.file.netid == Netid::Udp => Some(row.drops.unwrap_or(0).into()),
            Field::Drops => None,
            Field::RecvQ => Some(row.recv_q.into()),
            Field::SendQ => Some(row.send_q.into()),
        })
    }
}

const fn word(
    name: &'static str,
    syntax: &'static str,
    help: &'static str,
    meaning: Meaning,
) -> Word {
    Word {
        name,
        aliases: &[],
        syntax,
        help,
        meaning,
    }
}

impl Word {
    const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// The word as a candidate for completion. It does not end with `>`: bash inserts candidates without
    /// quotes, and would redirect the output.
    pub fn completed(&self) -> String {
        match self.syntax.starts_with('=') {
            true => format!("{}=", self.name),
            false => self.name.to_owned(),
        }
    }
}

/// All words, in the order of `--help`.
pub const WORDS: [Word; 23] = [
    word(
        "state",
        " STATE",
        "sockets in a state; must come first",
        Meaning::State,
    ),
    word(
        "exclude",
        " STATE",
        "sockets in other states; must come first",
        Meaning::Exclude,
    )
    .or(&["excl"]),
    word(
        "src",
        " HOST",
        "the local address",
        Meaning::Host(Side::Local),
    ),
    word(
        "dst",
        " HOST",
        "the foreign address",
        Meaning::Host(Side::Foreign),
    ),
    word(
        "sport",
        " OP PORT",
        "the local port",
        Meaning::Port(Side::Local),
    ),
    word(
        "dport",
        " OP PORT",
        "the foreign port",
        Meaning::Port(Side::Foreign),
    ),
    word(
        "dev",
        " NAME",
        "the interface of SO_BINDTODEVICE, by name or index",
        Meaning::Device,
    ),
    word(
        "fwmark",
        " MARK",
        "SO_MARK, with or without a mask: 0x1/0x3",
        Meaning::Mark,
    ),
    word(
        "diag",
        "[=SIGN]",
        "the Diag column is not empty, or has a sign",
        Meaning::Diag,
    ),
    word(
        "process",
        "=NAME",
        "the name of a process that has the socket open",
        Meaning::Process,
    ),
    word(
        "pid",
        "=N",
        "the ID of a process that has the socket open",
        Meaning::Pid,
    ),
    word(
        "netns",
        "=NAME",
        "the network namespace, by name, inode or process ID; with --all-netns",
        Meaning::Netns,
    ),
    word(
        "container",
        "=ID",
        "the container of a process that has the socket open, by ID, host name or pod",
        Meaning::Container,
    ),
    word(
        "cgroup",
        "=PATH",
        "the control group of such a process, or one above it",
        Meaning::Cgroup,
    ),
    word(
        "uid",
        "=USER",
        "the user of the socket, by ID or name",
        Meaning::Number(Field::Uid),
    ),
    word(
        "ino",
        "=N",
        "the inode of the socket",
        Meaning::Number(Field::Ino),
    ),
    word(
        "backlog",
        "=N",
        "the backlog of a listener",
        Meaning::Number(Field::Backlog),
    ),
    word(
        "drops",
        "=N",
        "the number of datagrams that a UDP socket dropped",
        Meaning::Number(Field::Drops),
    ),
    word(
        "recv-q",
        ">N",
        "the Recv-Q column",
        Meaning::Number(Field::RecvQ),
    )
    .or(&["recv_q", "recvq"]),
    word(
        "send-q",
        ">N",
        "the Send-Q column",
        Meaning::Number(Field::SendQ),
    )
    .or(&["send_q", "sendq"]),
    word(
        "not",
        "",
        "the condition that follows is false",
        Meaning::Not,
    )
    .or(&["!"]),
    word(
        "and",
        "",
        "both conditions are true; may be left out",
        Meaning::And,
    )
    .or(&["&", "&&"]),
    word(
        "or",
        "",
        "at least one of two conditions is true",
        Meaning::Or,
    )
    .or(&["|", "||"]),
];

/// The word of this name or spelling.
pub fn find(name: &str) -> Option<&'static Word> {
    static ALL: &[Word] = &WORDS;
    ALL.iter()
        .find(|word| word.name == name || word.aliases.contains(&name))
}

/// The list of words that a condition can begin with, for hints. States may come only before all other
/// conditions.
pub fn conditions(is_first: bool) -> String {
    let begins = |word: &&Word| match word.meaning {
        Meaning::And | Meaning::Or => false,
        Meaning::State | Meaning::Exclude => is_first,
        _ => true,
    };
    let words = WORDS.iter().filter(begins);
    let names: Vec<_> = words.map(|word| word.name).collect();
    format!(
        "{}, an option such as TCP_NODELAY, or a bracket",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::states;
    use std::collections::BTreeSet;

    const PAGE: &str = include_str!("../../../../man/knetstat.8");

    /// The section on filters of the page.
    fn section() -> &'static str {
        let (_, section) = PAGE.split_once(".Sh FILTERS\n").unwrap();
        let (section, _) = section.split_once("\n.Ss ").unwrap();
        section
    }

    #[test]
    fn names_are_unique() {
        let names = WORDS
            .iter()
            .flat_map(|word| std::iter::once(&word.name).chain(word.aliases));
        let names: Vec<_> = names.collect();
        let unique: BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), unique.len());
        assert_eq!(find("&&").unwrap().meaning, Meaning::And);
        assert!(find("&&&").is_none());
    }

    /// knetstat(8) has each sign and no other.
    #[test]
    fn the_page_has_each_sign_and_no_other() {
        let (_, item) = section().split_once(".It SIGN\n").unwrap();
        let (item, _) = item.split_once("\n.It ").unwrap();
        let lines = item.lines().filter_map(|line| line.strip_prefix(".Li "));
        let literals = lines.map(|line| line.split(' ').next().unwrap().replace('\\', ""));
        let expected = SIGNS.iter().flat_map(|(name, sign, _)| [*name, *sign]);
        assert_eq!(literals.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    /// knetstat(8) has each word and no other, in the grammar or as an item.
    #[test]
    fn the_page_has_each_word_and_no_other() {
        let section = section();
        let (_, grammar) = section.split_once(".Bd -literal\n").unwrap();
        let (grammar, rest) = grammar.split_once(".Ed\n").unwrap();
        let (grammar, _) = grammar.split_once("OP     = ").unwrap();
        let grammar = grammar.replace('\\', "");
        let words = grammar.split(|c: char| !c.is_ascii_alphabetic() && c != '-');
        let in_grammar = words.filter(|word| word.chars().any(|c| c.is_ascii_lowercase()));
        let items = rest.lines().filter_map(|line| line.strip_prefix(".It Cm "));
        let found: BTreeSet<_> = in_grammar
            .map(str::to_owned)
            .chain(items.flat_map(|item| item.split(" , ").map(|name| name.replace('\\', ""))))
            .collect();
        let expected: BTreeSet<_> = WORDS.iter().map(|word| word.name.to_owned()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_page_has_each_state_and_no_other() {
        let (_, item) = section().split_once(".It STATE\n").unwrap();
        let (item, _) = item.split_once(".It ").unwrap();
        let (names, rest) = item.split_once("a label from the Stat column").unwrap();
        let (_, groups) = rest.split_once("one of these groups:\n").unwrap();
        let literals = |text: &'static str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(".Li "));
            let words = lines.map(|line| line.trim_start_matches("( "));
            words.map(|words| words.split(' ').next().unwrap().replace('\\', ""))
        };
        let found: BTreeSet<_> = literals(names).chain(literals(groups)).collect();
        let expected: BTreeSet<_> = states::names().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(found, expected);
    }
}
