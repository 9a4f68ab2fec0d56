// SPDX-License-Identifier: GPL-2.0

//! The options, each with its facts from the table in `sockopts.rs` and from `man/options.txt`.

use crate::level;
use crate::plain::{macros, sentences};
use crate::table::{self, Entry, Sockets};
use crate::words::{self, Facts, Word};

/// An option with its documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documented {
    pub name: String,
    pub level: &'static str,
    /// The description of the values, in mdoc. It follows `NAME=`.
    pub value: String,
    /// Lines of mdoc: what it does, when it is shown, and which kernels have it.
    pub lines: Vec<String>,
    /// The sockets on which it is shown, one for each entry of the table.
    pub sockets: Vec<Sockets>,
    /// Whether the rows of these sockets always show it.
    pub is_always_shown: bool,
    pub facts: Facts,
}

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 0 or 1, or rarely 2.
    Flag,
    /// A number without a unit.
    Count,
    Bytes,
    BytesPerSecond,
    Microseconds,
    Milliseconds,
    Seconds,
    /// A number in hexadecimal.
    Mask,
    /// The TOS field or the traffic class: a number in hexadecimal.
    TrafficClass,
    /// A name, which details may follow: `tls|version:1.3`.
    Name,
    /// Names of flags: `RX_SOFTWARE|SOFTWARE`.
    Flags,
    /// The name of an interface.
    Interface,
    /// A range of ports: `40000-40100`.
    Ports,
    /// An address, which `%` and an interface may follow.
    Address,
    /// Groups, each with `%` and an interface: `224.0.0.251%eth0+224.0.1.1%eth1`.
    Groups,
}

impl Kind {
    /// Whether a value is a number, which a unit may follow.
    #[must_use]
    pub fn is_number(self) -> bool {
        !matches!(
            self,
            Self::Name | Self::Flags | Self::Interface | Self::Ports | Self::Address | Self::Groups
        )
    }
}

/// The form in which getsockopt(2) returns a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A number, printed in decimal.
    Decimal,
    /// A number, printed in hexadecimal.
    Hexadecimal,
    /// A `struct timeval`, printed as milliseconds.
    Time,
    /// A `struct linger`.
    Linger,
    /// A name.
    Name,
    /// Another form, which is zero or empty if nothing is set.
    Other,
}

impl Documented {
    /// The kind of its values.
    ///
    /// # Errors
    ///
    /// If the description of the values begins with an unknown word.
    pub fn kind(&self) -> Result<Kind, String> {
        if self.value.starts_with("Cm ") {
            return Ok(Kind::Flag);
        }
        Ok(match (self.first_word(), self.value.as_str()) {
            (_, "Ar n Ns Cm ms") => Kind::Milliseconds,
            (_, "Ar n Ns Cm s") => Kind::Seconds,
            (Some("bytes"), _) => Kind::Bytes,
            (Some("rate"), _) => Kind::BytesPerSecond,
            (Some("microseconds"), _) => Kind::Microseconds,
            (Some("milliseconds"), _) => Kind::Milliseconds,
            (Some("seconds"), _) => Kind::Seconds,
            (Some("hexadecimal"), _) if self.facts.is_traffic_class => Kind::TrafficClass,
            (Some("hexadecimal"), _) => Kind::Mask,
            (Some("name"), _) => Kind::Name,
            (Some("flag" | "clock"), _) => Kind::Flags,
            (Some("interface"), _) => Kind::Interface,
            (Some("low"), _) => Kind::Ports,
            (Some("address"), _) => Kind::Address,
            (Some("group"), _) => Kind::Groups,
            (Some("number" | "probes" | "requests" | "packets" | "cpu"), _) => Kind::Count,
            _ => {
                return Err(format!(
                    "{}: unknown kind of value `{}`",
                    self.name, self.value
                ))
            }
        })
    }

    /// The form of the kernel's answer.
    ///
    /// # Errors
    ///
    /// Those of [`Documented::kind`].
    pub fn answer(&self) -> Result<Answer, String> {
        Ok(match (self.kind()?, self.value.as_str()) {
            (Kind::Name, _) => Answer::Name,
            (kind, _) if !kind.is_number() => Answer::Other,
            (Kind::Mask | Kind::TrafficClass, _) => Answer::Hexadecimal,
            (_, "Ar n Ns Cm ms") => Answer::Time,
            (_, "Ar n Ns Cm s") => Answer::Linger,
            _ => Answer::Decimal,
        })
    }

    fn first_word(&self) -> Option<&str> {
        self.value.strip_prefix("Ar ")?.split(' ').next()
    }

    /// The description of the values, as plain text.
    pub fn plain_value(&self) -> String {
        macros(&self.value)
    }

    /// Sentences of plain text: what it does, when it is shown, and which kernels have it.
    pub fn sentences(&self) -> Vec<String> {
        sentences(&self.lines)
    }
}

/// All options, in the order of the table.
///
/// # Errors
///
/// If one of the two texts cannot be parsed, lacks an option, or contradicts the other.
pub fn options(sockopts: &str, words: &str) -> Result<Vec<Documented>, String> {
    let entries = table::parse(sockopts)?;
    let words = words::parse(words)?;
    let mut groups: Vec<(&str, Vec<&Entry>)> = Vec::new();
    for entry in &entries {
        match groups.iter_mut().find(|(name, _)| *name == entry.name) {
            Some((_, same)) => same.push(entry),
            None => groups.push((&entry.name, vec![entry])),
        }
    }
    let documented = groups.iter().map(|(name, entries)| {
        let word = words
            .get(*name)
            .ok_or_else(|| format!("man/options.txt does not describe {name}"))?;
        join(name, entries, word)
    });
    let documented = documented.collect::<Result<_, _>>()?;
    let is_in_table = |name: &str| groups.iter().any(|(option, _)| *option == name);
    if let Some(name) = words.keys().find(|name| !is_in_table(name)) {
        return Err(format!(
            "sockopts.rs lacks {name}, which man/options.txt describes"
        ));
    }
    let mut needed = words.values().filter_map(|word| word.facts.needs.as_ref());
    match needed.find(|name| !is_in_table(name)) {
        Some(name) => Err(format!(
            "man/options.txt: unknown option in `@ needs {name}`"
        )),
        None => Ok(documented),
    }
}

fn join(name: &str, entries: &[&Entry], word: &Word) -> Result<Documented, String> {
    let value = value(name, entries, word)?;
    let mut lines = word.text.clone();
    match &word.shown {
        Some(shown) => lines.push(shown.clone()),
        None => lines.extend(entries.iter().map(|entry| entry.shown(&value))),
    }
    let mut conditions: Vec<_> = entries.iter().filter_map(|entry| entry.kernels()).collect();
    conditions.dedup();
    lines.extend(conditions);
    Ok(Documented {
        name: name.to_owned(),
        level: level(name)?,
        value,
        lines,
        sockets: entries.iter().map(|entry| entry.sockets).collect(),
        is_always_shown: entries.iter().all(|entry| entry.is_always_shown()),
        facts: word.facts.clone(),
    })
}

/// The description of the values, from the table or else from `man/options.txt`.
fn value(name: &str, entries: &[&Entry], word: &Word) -> Result<String, String> {
    let mut told: Vec<_> = entries.iter().filter_map(|entry| entry.value()).collect();
    told.dedup();
    Ok(match (told.as_slice(), &word.value) {
        ([value], None) => (*value).to_owned(),
        ([_, ..], None) => return Err(format!("man/options.txt must give the values of {name}")),
        ([], Some(value)) => value.clone(),
        ([], None) => match entries.iter().all(|entry| entry.is_plain()) {
            true => "Ar number".to_owned(),
            false => return Err(format!("man/options.txt does not give the value of {name}")),
        },
        ([value], Some(_)) if *value != table::FLAG_IS_ON => {
            return Err(format!("sockopts.rs already gives the value of {name}"));
        }
        (_, Some(value)) => value.clone(),
    })
}
