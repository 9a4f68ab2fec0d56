// SPDX-License-Identifier: GPL-2.0

//! The generator of the manual page knetstat(5).
//!
//! Its input is the template `man/knetstat.5.in`, the table in `sockopts.rs`, and the descriptions
//! of the options in `man/options.txt`. In the template:
//!
//! - A line `@OPTIONS SOL_SOCKET@` is replaced by the options of that level.
//! - `@COUNT@` is replaced by the number of options.
//! - A line `@ON THE MPTCP SOCKET@` is replaced by the options that an MPTCP socket may have although
//!   its subflow does not.
//! - Lines between `.Bd -literal` and `.Ed` are plain text, without the escapes of roff, so that
//!   the commands there can be read and tested.

mod option;
mod plain;
mod table;
mod words;

pub use option::{options, Answer, Documented, Kind};
pub use table::{parse as table, Entry, Sockets, ON};
pub use words::{Facts, Hidden, Unset};

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The levels in the order of the page, with the prefix of the names of their options.
pub const LEVELS: [(&str, &str); 5] = [
    ("SOL_SOCKET", "SO_"),
    ("IPPROTO_TCP", "TCP_"),
    ("IPPROTO_IP", "IP_"),
    ("IPPROTO_IPV6", "IPV6_"),
    ("SOL_UDP", "UDP_"),
];

/// The line of the template for the options that are on the MPTCP socket.
const ON_MPTCP_SOCKET: &str = "\n@ON THE MPTCP SOCKET@\n";

/// The level of an option.
pub fn level(option: &str) -> Result<&'static str, String> {
    let level = LEVELS.iter().find(|(_, prefix)| option.starts_with(prefix));
    level
        .map(|(level, _)| *level)
        .ok_or_else(|| format!("the name of {option} has no prefix of a known level"))
}

/// The page of a checkout.
pub fn page_of(project: &Path) -> Result<String, String> {
    let read =
        |name: &str| fs::read_to_string(project.join(name)).map_err(|err| format!("{name}: {err}"));
    page(
        &read("man/knetstat.5.in")?,
        &read("sockopts.rs")?,
        &read("man/options.txt")?,
    )
}

/// The page, from the texts of the template, `sockopts.rs` and `man/options.txt`.
pub fn page(template: &str, sockopts: &str, words: &str) -> Result<String, String> {
    let options = options(sockopts, words)?;
    let mut lists: BTreeMap<&str, String> = BTreeMap::new();
    for option in &options {
        let list = lists.entry(option.level).or_default();
        let Documented { name, value, .. } = option;
        *list += &format!(".It Cm {name} Ns = Ns {value}\n");
        for line in &option.lines {
            *list += line;
            list.push('\n');
        }
    }
    let on_mptcp_socket: Vec<_> = options
        .iter()
        .filter(|option| option.facts.is_on_mptcp_socket)
        .map(|option| option.name.as_str())
        .collect();
    let template = match template.split_once(ON_MPTCP_SOCKET) {
        Some((before, after)) => format!("{before}\n{}.\n{after}", on_mptcp_socket.join(",\n")),
        None if on_mptcp_socket.is_empty() => template.to_owned(),
        None => {
            let line = ON_MPTCP_SOCKET.trim();
            return Err(format!("the template lacks the line {line}"));
        }
    };
    fill(&template, &mut lists, options.len())
}

/// Inserts the lists and the number of options into the template.
fn fill(
    template: &str,
    lists: &mut BTreeMap<&str, String>,
    count: usize,
) -> Result<String, String> {
    let mut page = String::new();
    let mut is_literal = false;
    for line in template.lines() {
        if let Some(level) = line
            .strip_prefix("@OPTIONS ")
            .and_then(|rest| rest.strip_suffix('@'))
        {
            let list = lists
                .remove(level)
                .ok_or_else(|| format!("{level} has no options, or the template has it twice"))?;
            page += &list;
            continue;
        }
        if line == ".Ed" {
            is_literal = false;
        }
        if is_literal {
            page += &escape(line);
        } else {
            page += &line.replace("@COUNT@", &count.to_string());
        }
        page.push('\n');
        if line.starts_with(".Bd -literal") {
            is_literal = true;
        }
    }
    match lists.keys().next() {
        Some(level) => Err(format!("the template lacks the line @OPTIONS {level}@")),
        None => Ok(page),
    }
}

/// Escapes a line so that roff prints it unchanged: with ASCII hyphens and quotes, which can be
/// copied, and without taking it for a request.
pub fn escape(line: &str) -> String {
    let mut text = String::new();
    if line.starts_with(['.', '\'']) {
        text += "\\&";
    }
    for c in line.chars() {
        match ESCAPES.iter().find(|(plain, _)| *plain == c) {
            Some((_, escape)) => text += escape,
            None => text.push(c),
        }
    }
    text
}

/// Reverses [`escape`].
pub fn unescape(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line.strip_prefix("\\&").unwrap_or(line);
    while let Some(c) = rest.chars().next() {
        match ESCAPES.iter().find(|(_, escape)| rest.starts_with(escape)) {
            Some((plain, escape)) => {
                text.push(*plain);
                rest = &rest[escape.len()..];
            }
            None => {
                text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    text
}

const ESCAPES: [(char, &str); 6] = [
    ('\\', "\\e"),
    ('-', "\\-"),
    ('\'', "\\(aq"),
    ('`', "\\(ga"),
    ('^', "\\(ha"),
    ('~', "\\(ti"),
];

/// An example of the page: a question, and commands with their output.
#[derive(Debug, PartialEq, Eq)]
pub struct Example {
    pub title: String,
    pub steps: Vec<Step>,
}

/// A command of an example, which may have several lines, and the lines that it prints.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub command: String,
    pub output: Vec<String>,
}

/// The examples of a page. A command begins with a prompt: `$`, or `#` if it needs root. Its
/// further lines begin with `>`.
pub fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut is_literal = false;
    let section = page
        .split("\n.Sh ")
        .find(|text| text.starts_with("EXAMPLES\n"));
    for line in section.unwrap_or_default().lines() {
        if let Some(title) = line.strip_prefix(".Ss ") {
            examples.push(Example {
                title: unescape(title),
                steps: Vec::new(),
            });
        } else if line.starts_with(".Bd -literal") || line == ".Ed" {
            is_literal = line != ".Ed";
        } else if is_literal {
            let Some(example) = examples.last_mut() else {
                continue;
            };
            let line = unescape(line);
            let steps = &mut example.steps;
            if let Some(command) = line.strip_prefix("$ ").or(line.strip_prefix("# ")) {
                steps.push(Step {
                    command: command.to_owned(),
                    output: Vec::new(),
                });
            } else if let Some(step) = steps.last_mut() {
                match line.strip_prefix("> ") {
                    Some(more) if step.output.is_empty() => step.command += &format!("\n{more}"),
                    _ => step.output.push(line),
                }
            }
        }
    }
    examples
}
