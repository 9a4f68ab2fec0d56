// SPDX-License-Identifier: GPL-2.0

//! What `man/options.txt` says of each option; it describes itself.

use std::collections::BTreeMap;

/// What there is to say of an option.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// The value, in mdoc's words, if the table does not say it.
    pub(crate) value: Option<String>,
    /// When it is shown, if it takes more words than the table has.
    pub(crate) shown: Option<String>,
    /// What it is; lines of mdoc.
    pub(crate) text: Vec<String>,
}

pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, Word>, String> {
    let mut words = BTreeMap::new();
    for paragraph in text.split("\n\n") {
        let mut lines = paragraph
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let Some(head) = lines.next() else {
            continue;
        };
        let (name, value) = match head.split_once(" = ") {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (head, None),
        };
        let mut word = Word {
            value,
            ..Word::default()
        };
        for line in lines {
            match line.strip_prefix(": ") {
                Some(shown) => match &mut word.shown {
                    Some(before) => *before += &format!("\n{shown}"),
                    None => word.shown = Some(shown.to_owned()),
                },
                None => word.text.push(line.to_owned()),
            }
        }
        if word.text.is_empty() {
            return Err(format!("man/options.txt says nothing of {name}"));
        }
        if words.insert(name.to_owned(), word).is_some() {
            return Err(format!("man/options.txt has {name} twice"));
        }
    }
    Ok(words)
}
