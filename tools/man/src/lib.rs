// SPDX-License-Identifier: GPL-2.0

//! The manual page knetstat(5): made of `man/knetstat.5.in`, of the table in `sockopts.rs`, and of
//! what `man/options.txt` has to say of each option.
//!
//! - A line `@OPTIONS SOL_SOCKET@` of the template stands for the options of that level.
//! - What the template has between `.Bd -literal` and `.Ed` is plain text, as it is typed and as it
//!   comes out. So the commands there can be read and tested as they are.

mod option;
mod plain;
mod table;
mod words;

pub use option::{options, Answer, Documented, Kind};
pub use table::{parse as table, Entry, Sockets, ON};
pub use words::{Facts, Unset};

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The levels, and how the names of their options begin. The first that fits is it.
const LEVELS: [(&str, &str); 5] = [
    ("SOL_SOCKET", "SO_"),
    ("IPPROTO_TCP", "TCP_"),
    ("IPPROTO_IPV6", "IPV6_"),
    ("IPPROTO_IP", "IP_"),
    ("SOL_UDP", "UDP_"),
];

/// The level of an option.
pub fn level(option: &str) -> Result<&'static str, String> {
    let level = LEVELS.iter().find(|(_, prefix)| option.starts_with(prefix));
    level
        .map(|(level, _)| *level)
        .ok_or_else(|| format!("{option} is of no level that is known"))
}

/// The page that belongs to a checkout.
pub fn page_of(project: &Path) -> Result<String, String> {
    let read =
        |name: &str| fs::read_to_string(project.join(name)).map_err(|err| format!("{name}: {err}"));
    page(
        &read("man/knetstat.5.in")?,
        &read("sockopts.rs")?,
        &read("man/options.txt")?,
    )
}

/// The page of a template, of `sockopts.rs`, and of the words on the options.
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
    fill(template, &mut lists, options.len())
}

/// The template with the lists in their places.
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
                .ok_or_else(|| format!("no options of {level}, or they are there twice"))?;
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
        Some(level) => Err(format!("the template has no place for {level}")),
        None => Ok(page),
    }
}

/// Text as roff has to see it, to come out as it is: hyphens that can be copied, no quotes made
/// typographic, no requests.
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

/// What [`escape`] was given.
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

/// An example of the page: a question, and what was typed and came out.
#[derive(Debug, PartialEq, Eq)]
pub struct Example {
    pub title: String,
    pub steps: Vec<Step>,
}

/// A command of an example, of one or more lines, and the lines that it prints.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub command: String,
    pub output: Vec<String>,
}

/// The examples of a page. A command begins with a prompt, `$` or, if it has to be root, `#`; its
/// further lines with `>`.
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
