// SPDX-License-Identifier: GPL-2.0

//! Rules of `knetstat check`: which sockets must not exist. knetstat-check(5) describes the files.

use crate::model::defaults::Defaults;
use crate::model::filter::{Filter, KnownOwners, Scope};
use crate::model::row::{Row, State};
use crate::model::states::States;
use crate::model::truth::Truth;
use crate::source::files::{Family, File};
use crate::source::services::Services;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use toml::Spanned;

/// The rules that come with the command, in the format of a file.
pub const DEFAULT: &str = include_str!("../../rules/default.toml");

/// The name of [`DEFAULT`] in messages.
const DEFAULT_NAME: &str = "the rules of knetstat";

/// The severity of a rule.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    #[default]
    Warning,
    Critical,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// A comparison of the selected sockets with other sockets.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    /// Sockets of the same port must belong to the same program.
    Programs,
    /// There must be an IPv4 socket of the same port.
    Ipv4,
}

/// The condition that makes a selected socket an offender.
#[derive(Debug)]
pub enum Condition {
    Forbid(Filter),
    Require(Filter),
    Compare(Comparison),
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    pub name: String,
    pub severity: Severity,
    pub message: String,
    pub reason: Option<String>,
    pub source: Option<String>,
    /// The filter that selects the sockets to which the rule applies. `None` selects all.
    selection: Option<Filter>,
    condition: Condition,
    /// The states of these sockets. `None` if the rule names none.
    states: Option<States>,
}

/// An error in a file of rules.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    /// The file and the line, such as `rules.toml:7`.
    place: String,
    what: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for Error {}

/// A file as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    #[serde(default)]
    rule: Vec<Spanned<RuleTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    name: Option<Spanned<String>>,
    message: Option<String>,
    #[serde(default)]
    severity: Severity,
    r#where: Option<Spanned<String>>,
    forbid: Option<Spanned<String>>,
    require: Option<Spanned<String>>,
    compare: Option<Comparison>,
    reason: Option<String>,
    source: Option<String>,
}

/// The text of a file of rules, with its name for messages.
struct Text<'a> {
    name: &'a str,
    text: &'a str,
    services: &'a Services,
    scope: Scope,
}

impl Text<'_> {
    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    fn error<T>(&self, place: &Range<usize>, what: impl Into<String>) -> Result<T, Error> {
        Err(Error {
            place: format!("{}:{}", self.name, self.line(place.start)),
            what: what.into(),
        })
    }

    /// Parses the filter of a key, if the rule has the key.
    fn filter(&self, key: &str, text: Option<&Spanned<String>>) -> Result<Option<Filter>, Error> {
        let Some(text) = text else {
            return Ok(None);
        };
        match Filter::parse_for(self.scope, &[text.get_ref().clone()], self.services) {
            Ok(filter) if filter.states == Some(States::NONE) => self.error(
                &text.span(),
                format!("{key}: the filter excludes every state"),
            ),
            Ok(filter) => Ok(Some(filter)),
            Err(err) => self.error(&text.span(), format!("{key}: {err}")),
        }
    }

    fn rule(&self, table: &Spanned<RuleTable>) -> Result<Rule, Error> {
        let place = table.span();
        let table = table.get_ref();
        let Some(name) = &table.name else {
            return self.error(
                &place,
                "the rule has no name; add for example: name = \"keepalive\"",
            );
        };
        let is_odd = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
        if name.get_ref().is_empty() || name.get_ref().contains(is_odd) {
            return self.error(
                &name.span(),
                "the name of a rule consists of letters, digits and - _ .",
            );
        }
        let Some(message) = &table.message else {
            return self.error(&place, "the rule has no message; add: message = \"...\"");
        };
        let selection = self.filter("where", table.r#where.as_ref())?;
        let forbid = self.filter("forbid", table.forbid.as_ref())?;
        let require = self.filter("require", table.require.as_ref())?;
        let condition = match (forbid, require, table.compare) {
            (Some(filter), None, None) => Condition::Forbid(filter),
            (None, Some(filter), None) => Condition::Require(filter),
            (None, None, Some(comparison)) => Condition::Compare(comparison),
            (None, None, None) => {
                return self.error(
                    &place,
                    "the rule has no condition; add one of forbid, require and compare",
                )
            }
            _ => {
                return self.error(
                    &place,
                    "the rule has several conditions; keep one of forbid, require and compare",
                )
            }
        };
        let inner = match &condition {
            Condition::Forbid(filter) | Condition::Require(filter) => filter.states,
            Condition::Compare(_) => None,
        };
        let is_required = matches!(condition, Condition::Require(_));
        if inner.is_some() && (selection.is_some() || is_required) {
            let key = if is_required {
                &table.require
            } else {
                &table.forbid
            };
            let place = key.as_ref().map_or(place, Spanned::span);
            return self.error(&place, "state and exclude must be in the filter of `where`");
        }
        let states = selection.as_ref().map_or(inner, |filter| filter.states);
        Ok(Rule {
            name: name.get_ref().clone(),
            severity: table.severity,
            message: message.clone(),
            reason: table.reason.clone(),
            source: table.source.clone(),
            selection,
            condition,
            states,
        })
    }
}

impl Rule {
    /// The comparison with other sockets, if the rule is one.
    pub fn comparison(&self) -> Option<Comparison> {
        match self.condition {
            Condition::Compare(comparison) => Some(comparison),
            _ => None,
        }
    }

    fn filters(&self) -> impl Iterator<Item = &Filter> {
        let inner = match &self.condition {
            Condition::Forbid(filter) | Condition::Require(filter) => Some(filter),
            Condition::Compare(_) => None,
        };
        self.selection.iter().chain(inner)
    }

    /// The options that the filters name, with their defaults.
    pub fn options(&self) -> impl Iterator<Item = &Rc<Defaults>> {
        self.filters().flat_map(|filter| &filter.options)
    }

    /// The family of the sockets to which the rule applies. As on the command line, a filter that names
    /// one family selects only its sockets. What is required selects nothing.
    fn family(&self) -> Option<Family> {
        match (&self.selection, &self.condition) {
            (Some(filter), _) | (None, Condition::Forbid(filter)) => filter.family,
            _ => None,
        }
    }

    /// Whether the rule applies to sockets of this family and state. `states` are the states to which
    /// rules apply that name none.
    fn applies(&self, family: Family, state: State, states: States) -> bool {
        let is_of_family = self.family().is_none_or(|own| own == family);
        is_of_family && self.states.unwrap_or(states).has(state)
    }

    /// Whether a socket of this file in this state can be an offender. `states` are the states to which
    /// rules apply that name none.
    pub fn can_find(&self, file: File, state: State, states: States) -> bool {
        // What is required selects nothing.
        let inner = match &self.condition {
            Condition::Forbid(filter) => Some(filter),
            Condition::Require(_) | Condition::Compare(_) => None,
        };
        let mut filters = self.selection.iter().chain(inner);
        self.applies(file.family, state, states)
            && filters.all(|filter| filter.can_select(file, state))
    }

    /// Whether a row is an offender or, for a comparison, whether it is compared. `states` are the
    /// states to which rules apply that name none.
    pub fn test(&self, row: &Row<'_>, owners: KnownOwners<'_>, states: States) -> Truth {
        if !self.applies(row.file.family, row.state, states) {
            return Truth::False;
        }
        let is_selected = match &self.selection {
            None => Truth::True,
            Some(filter) => filter.test(row, owners),
        };
        is_selected.and(|| match &self.condition {
            Condition::Forbid(filter) => filter.test(row, owners),
            Condition::Require(filter) => !filter.test(row, owners),
            Condition::Compare(_) => Truth::True,
        })
    }
}

/// The rules of a file.
#[derive(Debug)]
pub struct Rules(pub Vec<Rule>);

impl Rules {
    /// The rules of a file or, without one, those that come with the command.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or if it contains an error.
    pub fn load(
        file: Option<&Path>,
        services: &Services,
        scope: Scope,
    ) -> Result<Self, anyhow::Error> {
        let Some(file) = file else {
            return Ok(Self::parse_for(scope, DEFAULT_NAME, DEFAULT, services)?);
        };
        let (name, text) = match file == Path::new("-") {
            true => (
                "standard input".to_owned(),
                io::read_to_string(io::stdin().lock()),
            ),
            false => (file.display().to_string(), fs::read_to_string(file)),
        };
        let text = text.with_context(|| format!("{name}: cannot read the rules"))?;
        Ok(Self::parse_for(scope, &name, &text, services)?)
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    ///
    /// If the text is not that of a file of rules. The error names the line.
    pub fn parse(name: &str, text: &str, services: &Services) -> Result<Self, Error> {
        Self::parse_for(Scope::Own, name, text, services)
    }

    /// Parses the text of a file of rules for sockets of these network namespaces.
    ///
    /// # Errors
    ///
    /// Those of [`Rules::parse`].
    pub fn parse_for(
        scope: Scope,
        name: &str,
        text: &str,
        services: &Services,
    ) -> Result<Self, Error> {
        let text = Text {
            name,
            text,
            services,
            scope,
        };
        let table: FileTable = match toml::from_str(text.text) {
            Ok(table) => table,
            Err(err) => {
                let what = err.message().replace('\n', "; ");
                return text.error(&err.span().unwrap_or(0..0), what);
            }
        };
        if table.rule.is_empty() {
            return text.error(&(0..0), "the file has no rule; begin one with [[rule]]");
        }
        let mut lines: HashMap<String, usize> = HashMap::new();
        let mut rules = Vec::new();
        for table in &table.rule {
            let rule = text.rule(table)?;
            let span = table
                .get_ref()
                .name
                .as_ref()
                .map_or(table.span(), Spanned::span);
            if let Some(first) = lines.insert(rule.name.clone(), text.line(span.start)) {
                let what = format!("line {first} has a rule of the same name, {}", rule.name);
                return text.error(&span, what);
            }
            rules.push(rule);
        }
        Ok(Self(rules))
    }

    /// Whether rules need the owners of sockets.
    pub fn needs_owners(&self) -> bool {
        let compares = |rule: &Rule| rule.comparison() == Some(Comparison::Programs);
        let mut filters = self.0.iter().flat_map(Rule::filters);
        filters.any(|filter| filter.needs_owners) || self.0.iter().any(compares)
    }

    /// Whether rules need control groups and containers.
    pub fn needs_cgroups(&self) -> bool {
        let mut filters = self.0.iter().flat_map(Rule::filters);
        filters.any(|filter| filter.needs_cgroups)
    }

    /// Whether rules need the IPv4 sockets, even if only others are checked.
    pub fn needs_ipv4(&self) -> bool {
        let compares = |rule: &Rule| rule.comparison() == Some(Comparison::Ipv4);
        self.0.iter().any(compares)
    }

    /// The states to which a rule applies. `others` are those of rules that name none.
    pub fn states(&self, others: States) -> States {
        let of_rules = self.0.iter().map(|rule| rule.states.unwrap_or(others));
        of_rules.fold(States::NONE, States::union)
    }

    /// The options that the filters name, with their defaults.
    pub fn options(&self) -> impl Iterator<Item = &Rc<Defaults>> {
        self.0.iter().flat_map(Rule::options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Rules, Error> {
        Rules::parse("r.toml", text, &Services::parse(""))
    }

    const RULE: &str = "[[rule]]\nname = \"a\"\nmessage = \"b\"\n";

    #[test]
    fn files() {
        let rules = parse(&format!(
            "{RULE}severity = \"critical\"\nwhere = \"state listening\"\nrequire = \"SO_REUSEPORT\"\n"
        ));
        let Rules(rules) = rules.unwrap();
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].severity, Severity::Critical);
        assert!(rules[0].states.unwrap() != States::DEFAULT && rules[0].reason.is_none());
        let Rules(rules) = parse(&format!("{RULE}forbid = 'state established diag'\n")).unwrap();
        assert_eq!(rules[0].severity, Severity::Warning);
        assert!(rules[0].states.is_some());
    }

    /// Each error names the file, the line, and what would be right.
    #[test]
    fn errors() {
        for (text, expected) in [
            ("", "r.toml:1: the file has no rule; begin one with [[rule]]"),
            ("\n[[rules]]\n", "r.toml:2: unknown field `rules`, expected `rule`"),
            ("\n[rule]\n", "r.toml:2: invalid type: map, expected a sequence"),
            (
                "[[rule]]\nmessage = \"b\"\n",
                "r.toml:1: the rule has no name; add for example: name = \"keepalive\"",
            ),
            (
                "[[rule]]\nname = \"a b\"\n",
                "r.toml:2: the name of a rule consists of letters, digits and - _ .",
            ),
            (
                "[[rule]]\nname = \"a\"\n",
                "r.toml:1: the rule has no message; add: message = \"...\"",
            ),
            (
                RULE,
                "r.toml:1: the rule has no condition; add one of forbid, require and compare",
            ),
            (
                &format!("{RULE}forbid = 'diag'\nrequire = 'diag'\n"),
                "r.toml:1: the rule has several conditions; keep one of forbid, require and compare",
            ),
            (
                &format!("{RULE}severity = 'high'\n"),
                "r.toml:4: unknown variant `high`, expected `warning` or `critical`",
            ),
            (
                &format!("{RULE}compare = 'x'\n"),
                "r.toml:4: unknown variant `x`, expected `programs` or `ipv4`",
            ),
            (
                &format!("{RULE}forbit = 'x'\n"),
                "r.toml:4: unknown field `forbit`, expected one of `name`, `message`, `severity`, \
                `where`, `forbid`, `require`, `compare`, `reason`, `source`",
            ),
            (
                &format!("{RULE}forbid = 'nodelay=0'\n"),
                "r.toml:4: forbid: unknown word or option \"nodelay\"; did you mean TCP_NODELAY?\n    \
                nodelay=0\n    ^^^^^^^",
            ),
            (
                &format!("{RULE}where = 'diag'\nforbid = 'state listening'\n"),
                "r.toml:5: state and exclude must be in the filter of `where`",
            ),
            (
                &format!("{RULE}require = 'state listening'\n"),
                "r.toml:4: state and exclude must be in the filter of `where`",
            ),
            (
                &format!("{RULE}forbid = 'state listening exclude listening'\n"),
                "r.toml:4: forbid: the filter excludes every state",
            ),
            (
                &format!("{RULE}forbid = 'diag'\n{RULE}require = 'diag'\n"),
                "r.toml:6: line 2 has a rule of the same name, a",
            ),
            ("[[rule]]\nname = a\n", "r.toml:2: "),
        ] {
            let found = parse(text).unwrap_err().to_string();
            match expected.ends_with(": ") {
                true => assert!(found.starts_with(expected), "{text}: {found}"),
                false => assert_eq!(found, expected, "{text}"),
            }
        }
    }

    /// Each rule that comes with the command has a reason and a source, and knetstat-check(5) lists
    /// it with both.
    #[test]
    fn the_page_has_each_rule_and_no_other() {
        let page = include_str!("../../../../man/knetstat-check.5").replace('\\', "");
        let (_, section) = page.split_once(".Sh RULES OF KNETSTAT\n").unwrap();
        let (section, _) = section.split_once("\n.Sh ").unwrap();
        let items = section
            .lines()
            .filter_map(|line| line.strip_prefix(".It Li "));
        let rules = Rules::parse("", DEFAULT, &Services::parse("")).unwrap();
        let names: Vec<_> = rules.0.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(items.collect::<Vec<_>>(), names);
        for rule in &rules.0 {
            assert!(
                rule.reason.is_some() && rule.source.is_some(),
                "{}",
                rule.name
            );
        }
    }

    /// knetstat-check(5) lists each key and no other.
    #[test]
    fn the_page_has_each_key_and_no_other() {
        let page = include_str!("../../../../man/knetstat-check.5");
        let (_, section) = page.split_once(".Sh FILE FORMAT\n").unwrap();
        let (section, _) = section.split_once("\n.Sh ").unwrap();
        let items = section
            .lines()
            .filter_map(|line| line.strip_prefix(".It Li "));
        let found: Vec<_> = items.map(|item| format!("`{item}`")).collect();
        let err = parse(&format!("{RULE}no-such-key = 1\n")).unwrap_err();
        let (_, keys) = err.what.split_once("expected one of ").unwrap();
        assert_eq!(keys.split(", ").collect::<Vec<_>>(), found);
    }

    /// The example of knetstat-check(5) is a file of rules.
    #[test]
    fn the_example_is_understood() {
        let page = include_str!("../../../../man/knetstat-check.5");
        let (_, section) = page.split_once(".Sh EXAMPLES\n").unwrap();
        let (_, text) = section.split_once(".Bd -literal\n").unwrap();
        let (text, _) = text.split_once(".Ed\n").unwrap();
        let text = text.replace("\\-", "-").replace("\\(dq", "\"");
        let Rules(rules) = parse(&text).unwrap_or_else(|err| panic!("{err}"));
        assert!(rules.len() > 1);
    }
}
