// SPDX-License-Identifier: GPL-2.0

//! Filters: those of ss(8), and tests of socket options.
//!
//! ```text
//! FILTER  = { ("state" | "exclude") STATE } [ LIST ]
//! LIST    = NOT { [ "and" | "or" ] NOT }
//! NOT     = "not" NOT | "(" LIST ")" | TERM
//! TERM    = ("src" | "dst") [ "=" | "!=" ] HOST
//!         | ("sport" | "dport") [ OP ] PORT
//!         | NAME [ OP VALUE ]
//! ```
//!
//! A list is evaluated from left to right, as in ss: `exprlist` of its `ssfilter.y` takes one
//! `expr` after the other, whichever word joins them. ss(8) says otherwise: that `and` binds
//! closer.
//!
//! Words are separated by blanks, as in ss. Brackets and operators need no blanks around them.

use crate::model::defaults::{DefaultValue, Defaults};
use crate::model::options::{self, Info, Kind};
use crate::model::row::{Endpoint, Row};
use crate::model::similar::{meant, similar};
use crate::model::states::{self, States};
use crate::model::words::{self, Field, Meaning, Side, WORDS};
use crate::source::process::Owner;
use crate::source::services::Services;
use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;
use std::rc::Rc;

/// An operator of comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Eq,
    Ne,
    Lt,
    Gt,
    Le,
    Ge,
}

/// The operators, with the spellings of each.
const OPS: [(Op, &[&str]); 6] = [
    (Op::Eq, &["=", "==", "eq"]),
    (Op::Ne, &["!=", "ne", "neq"]),
    (Op::Lt, &["<", "lt"]),
    (Op::Gt, &[">", "gt"]),
    (Op::Le, &["<=", "le", "leq"]),
    (Op::Ge, &[">=", "ge", "geq"]),
];

impl Op {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Op::Eq => ordering.is_eq(),
            Op::Ne => ordering.is_ne(),
            Op::Lt => ordering.is_lt(),
            Op::Gt => ordering.is_gt(),
            Op::Le => ordering.is_le(),
            Op::Ge => ordering.is_ge(),
        }
    }
}

/// An address with a prefix, and a port. Either may be missing.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    prefix: Option<(IpAddr, u8)>,
    port: Option<u16>,
}

/// A value that a filter compares with.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Number(i128),
    Text(String),
}

/// A comparison of an option with a value.
#[derive(Debug)]
struct Test {
    defaults: Rc<Defaults>,
    op: Op,
    value: Value,
}

#[derive(Debug)]
enum Expr {
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Host(Side, Host),
    Port(Side, Op, u16),
    Diag,
    Process(Op, String),
    Pid(Op, i128),
    Number(Field, Op, i128),
    /// An option without an operator: see [`is_on`].
    IsOn(Rc<Defaults>),
    Option(Test),
}

/// A filter.
#[derive(Debug)]
pub struct Filter {
    /// The states that `state` and `exclude` select, if the filter has these words.
    pub states: Option<States>,
    expr: Option<Expr>,
    /// The options that it names, with their defaults.
    pub options: Vec<Rc<Defaults>>,
    /// Whether it names processes.
    pub needs_owners: bool,
}

/// An error in a filter, with its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    text: String,
    place: Range<usize>,
    what: String,
    hint: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |part: &str| part.chars().count();
        let before = count(&self.text[..self.place.start]);
        let marked = count(&self.text[self.place.clone()]).max(1);
        writeln!(f, "{}", self.what)?;
        writeln!(f, "    {}", self.text.replace(char::is_control, " "))?;
        write!(f, "    {:before$}{}", "", "^".repeat(marked))?;
        if !self.hint.is_empty() {
            write!(f, "\n{}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// A word, a bracket or an operator, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    text: String,
    place: Range<usize>,
    /// Whether the token has quotes. It is then a value, whatever it looks like.
    is_quoted: bool,
}

/// The limits of a filter. Both are high for a person, and bound the recursion of the parser and of
/// [`Expr::matches`].
const MAX_TOKENS: usize = 10_000;
const MAX_DEPTH: usize = 100;

/// The length of the operator or bracket that the text begins with.
fn sign(rest: &str) -> Option<usize> {
    ["==", "!=", "<=", ">=", "&&", "||"]
        .iter()
        .find(|two| rest.starts_with(**two))
        .map(|two| two.len())
        .or(rest
            .starts_with(['(', ')', '=', '<', '>', '!', '&', '|'])
            .then_some(1))
}

/// Whether a word ends here. `|` and `&` do not end it, because values contain them.
fn ends_word(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '=' | '<' | '>'))
        || rest.starts_with("!=")
}

fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let begin = at;
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let mut is_quoted = false;
        let mut word = String::new();
        if let Some(len) = sign(&text[at..]) {
            at += len;
            word += &text[begin..at];
        } else {
            while let Some(c) = text[at..].chars().next() {
                if c == '"' || c == '\'' {
                    is_quoted = true;
                    let inner = &text[at + 1..];
                    let Some(len) = inner.find(c) else {
                        return Err(Error {
                            text: text.to_owned(),
                            place: at..text.len(),
                            what: "this quotation mark is not closed".to_owned(),
                            hint: String::new(),
                        });
                    };
                    word += &inner[..len];
                    at += len + 2;
                } else if ends_word(&text[at..]) {
                    break;
                } else {
                    word.push(c);
                    at += c.len_utf8();
                }
            }
        }
        tokens.push(Token {
            text: word,
            place: begin..at,
            is_quoted,
        });
    }
    Ok(tokens)
}

/// Words of ss that knetstat does not support, with hints.
const OTHERS: [(&str, &str); 4] = [
    ("dev", "use an option instead: SO_BINDTODEVICE=NAME"),
    ("fwmark", "use an option instead: SO_MARK=0x2a"),
    ("cgroup", "the module does not report control groups"),
    ("autobound", "the module does not report who chose a port"),
];

/// Words that are commands if they come first.
const COMMANDS: [&str; 2] = ["explain", "summary"];

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    services: &'a Services,
    options: Vec<Rc<Defaults>>,
    needs_owners: bool,
}

impl Parser<'_> {
    fn error<T>(
        &self,
        place: Range<usize>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Result<T, Error> {
        Err(Error {
            text: self.text.to_owned(),
            place,
            what: what.into(),
            hint: hint.into(),
        })
    }

    /// The place of the next token, or the end.
    fn place(&self) -> Range<usize> {
        let end = self.text.len();
        self.tokens
            .get(self.at)
            .map_or(end..end, |token| token.place.clone())
    }

    /// The next token, unless it is in quotes.
    fn peek(&self) -> Option<&str> {
        let token = self.tokens.get(self.at).filter(|token| !token.is_quoted)?;
        Some(&token.text)
    }

    /// Takes the next token if it is this bracket.
    fn take_bracket(&mut self, bracket: &str) -> bool {
        let found = self.peek() == Some(bracket);
        self.at += usize::from(found);
        found
    }

    /// Takes the next token if it is a word of this meaning.
    fn take(&mut self, meaning: Meaning) -> bool {
        let word = self.peek().and_then(words::find);
        let found = word.is_some_and(|word| word.meaning == meaning);
        self.at += usize::from(found);
        found
    }

    fn op(&mut self) -> Option<Op> {
        let word = self.peek()?;
        let (op, _) = OPS.iter().find(|(_, words)| words.contains(&word))?;
        self.at += 1;
        Some(*op)
    }

    /// Takes the next token as a value. A value in quotes may be empty.
    fn value(&mut self, what: &str) -> Result<Token, Error> {
        match self.tokens.get(self.at) {
            Some(token) if token.is_quoted || sign(&token.text).is_none() => {
                self.at += 1;
                Ok(token.clone())
            }
            Some(_) => self.error(self.place(), format!("{what} is missing here"), ""),
            None => self.error(self.place(), format!("{what} is missing at the end"), ""),
        }
    }

    fn states(&mut self) -> Result<Option<States>, Error> {
        let mut states = None;
        loop {
            let is_state = self.take(Meaning::State);
            if !is_state && !self.take(Meaning::Exclude) {
                return Ok(states);
            }
            let token = self.value("the name of a state")?;
            let Some(found) = States::parse(&token.text) else {
                let names = || states::names().map(|(name, _)| name);
                let hint = format!("states: {}", names().collect::<Vec<_>>().join(" "));
                let near = similar(&token.text, names());
                return self.error(
                    token.place,
                    format!("{:?} is not a state{}", token.text, meant(&near)),
                    hint,
                );
            };
            states = Some(match (states, is_state) {
                (None, true) => found,
                (None, false) => States::ALL.without(found),
                (Some(before), true) => States::and(before, found),
                (Some(before), false) => before.without(found),
            });
        }
    }

    fn list(&mut self, depth: usize) -> Result<Expr, Error> {
        let mut left = self.not(depth)?;
        loop {
            if self.take(Meaning::Or) {
                left = Expr::Or(Box::new(left), Box::new(self.not(depth)?));
                continue;
            }
            if !self.take(Meaning::And)
                && (self.at == self.tokens.len() || self.peek() == Some(")"))
            {
                return Ok(left);
            }
            left = Expr::And(Box::new(left), Box::new(self.not(depth)?));
        }
    }

    fn not(&mut self, depth: usize) -> Result<Expr, Error> {
        let place = self.place();
        if depth > MAX_DEPTH {
            let hint = format!("at most {MAX_DEPTH} levels of brackets and not");
            return self.error(place, "nested too deeply", hint);
        }
        if self.take(Meaning::Not) {
            return Ok(Expr::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.take_bracket("(") {
            let inner = self.list(depth + 1)?;
            if !self.take_bracket(")") {
                return self.error(place, "this bracket is not closed", "");
            }
            return Ok(inner);
        }
        self.term()
    }

    fn term(&mut self) -> Result<Expr, Error> {
        let place = self.place();
        let token = self.value("a condition").map_err(|err| Error {
            hint: format!("expected: {}", words::conditions()),
            ..err
        })?;
        let name = token.text.as_str();
        let Some(word) = words::find(name) else {
            return match options::find(name) {
                Some(info) => self.option(info),
                None => self.unknown(&token),
            };
        };
        match word.meaning {
            Meaning::Host(side) => self.host_term(name, side),
            Meaning::Port(side) => {
                let op = self.op().unwrap_or(Op::Eq);
                let value = self.value("a port")?;
                let port = value.text.strip_prefix(':').unwrap_or(&value.text);
                let port = self.port(port, value.place.clone())?;
                Ok(Expr::Port(side, op, port))
            }
            Meaning::Diag => Ok(Expr::Diag),
            Meaning::Process => {
                self.needs_owners = true;
                let op = self.op();
                let Some(op @ (Op::Eq | Op::Ne)) = op else {
                    let hint = format!("for example: {name}=nginx or {name}!=nginx");
                    return self.error(place, format!("{name} takes = or != and a name"), hint);
                };
                Ok(Expr::Process(op, self.value("the name of a process")?.text))
            }
            Meaning::Pid => {
                self.needs_owners = true;
                let (op, n) = self.number(name, place)?;
                Ok(Expr::Pid(op, n))
            }
            Meaning::Number(field) => {
                let (op, n) = self.number(name, place)?;
                Ok(Expr::Number(field, op, n))
            }
            Meaning::State | Meaning::Exclude => self.error(
                place,
                format!("{name} must come before all other conditions"),
                format!("for example: {name} established sport = :22"),
            ),
            Meaning::And | Meaning::Or => {
                self.error(place, format!("{name} needs a condition before it"), "")
            }
            // The word is in quotes; otherwise `not` would have taken it.
            Meaning::Not => self.unknown(&token),
        }
    }

    fn host_term(&mut self, name: &str, side: Side) -> Result<Expr, Error> {
        let is_not = match self.op() {
            None | Some(Op::Eq) => false,
            Some(Op::Ne) => true,
            Some(_) => {
                let hint = "to compare ports, use sport or dport";
                let what = format!("{name} takes only = or !=");
                return self.error(self.before(), what, hint);
            }
        };
        let value = self.value("an address")?;
        let host = Expr::Host(side, self.host(&value)?);
        Ok(match is_not {
            true => Expr::Not(Box::new(host)),
            false => host,
        })
    }

    /// The place of the token that was taken last.
    fn before(&self) -> Range<usize> {
        self.tokens[self.at - 1].place.clone()
    }

    fn unknown<T>(&self, token: &Token) -> Result<T, Error> {
        let word = token.text.as_str();
        if let Some((_, here)) = OTHERS.iter().find(|(other, _)| *other == word) {
            let what = format!("{word:?} of ss is not supported");
            return self.error(token.place.clone(), what, *here);
        }
        if COMMANDS.contains(&word) {
            let what = format!("{word} must be the first argument");
            let hint = format!("knetstat {word} ...");
            return self.error(token.place.clone(), what, hint);
        }
        let full: Vec<_> = options::find_all(word)
            .iter()
            .map(|info| info.name)
            .collect();
        let lower = word.to_ascii_lowercase();
        let mut near = similar(&lower, WORDS.iter().map(|word| word.name));
        near.extend(if full.is_empty() {
            options::similar(word)
        } else {
            full
        });
        near.truncate(3);
        let what = format!("unknown word or option {word:?}{}", meant(&near));
        let hint = if near.is_empty() {
            format!("expected: {}", words::conditions())
        } else {
            String::new()
        };
        self.error(token.place.clone(), what, hint)
    }

    fn number(&mut self, name: &str, place: Range<usize>) -> Result<(Op, i128), Error> {
        let Some(op) = self.op() else {
            return self.error(
                place,
                format!("{name} takes an operator and a number"),
                format!("for example: {name}=1000"),
            );
        };
        let value = self.value("a number")?;
        match options::number(&value.text) {
            Some(n) => Ok((op, n)),
            None => self.error(value.place, format!("{:?} is not a number", value.text), ""),
        }
    }

    fn option(&mut self, info: &'static Info) -> Result<Expr, Error> {
        let before = self
            .options
            .iter()
            .find(|defaults| defaults.info.index == info.index);
        let defaults = match before {
            Some(defaults) => Rc::clone(defaults),
            None => {
                let defaults = Rc::new(Defaults::new(info));
                self.options.push(Rc::clone(&defaults));
                defaults
            }
        };
        let Some(op) = self.op() else {
            return Ok(Expr::IsOn(defaults));
        };
        let place = self.before();
        let token = self.value("a value")?;
        let expected = || format!("expected: {} = {}", info.name, info.value);
        let value = match (info.kind, options::number_of(info, &token.text)) {
            (Kind::Text, _) if matches!(op, Op::Eq | Op::Ne) => Value::Text(token.text),
            (Kind::Text, _) => {
                let what = format!("{} is not a number, so it takes only = or !=", info.name);
                return self.error(place, what, expected());
            }
            (_, Some(n)) => Value::Number(n),
            (_, None) => {
                let what = format!("{:?} is not a number", token.text);
                return self.error(token.place, what, expected());
            }
        };
        Ok(Expr::Option(Test {
            defaults,
            op,
            value,
        }))
    }

    fn port(&self, word: &str, place: Range<usize>) -> Result<u16, Error> {
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            if let Ok(port) = word.parse() {
                return Ok(port);
            }
        }
        match self.services.ports(word).as_slice() {
            [port] => Ok(*port),
            [] => {
                let near = similar(word, self.services.names());
                let what = format!("{word:?} is not a port{}", meant(&near));
                self.error(
                    place,
                    what,
                    "expected: a number from 0 to 65535, or a name from /etc/services",
                )
            }
            ports => {
                let numbers: Vec<_> = ports.iter().map(u16::to_string).collect();
                let what = format!("{word:?} is the name of several ports");
                let hint = format!("use a number: {}", numbers.join(" or "));
                self.error(place, what, hint)
            }
        }
    }

    /// Parses `ADDRESS[/PREFIX][:PORT]`, `[ADDRESS][/PREFIX]:PORT`, `*:PORT` or `:PORT`.
    fn host(&self, token: &Token) -> Result<Host, Error> {
        let whole = token.text.as_str();
        // The last colon after the prefix or the bracket begins the port.
        let behind = whole.rfind(['/', ']']).unwrap_or(0);
        let (address, port) = match whole[behind..].rfind(':') {
            Some(colon) => {
                let colon = behind + colon;
                (&whole[..colon], Some(&whole[colon + 1..]))
            }
            None => (whole, None),
        };
        let split = prefix(address).map(|prefix| (prefix, port));
        // The whole text as an IPv6 address without a port and without brackets.
        let alone = || Some((prefix(whole)?, None));
        let is_port = |text: &str| matches!(text, "" | "*") || self.port(text, 0..0).is_ok();
        let split = split.filter(|(_, port)| port.is_none_or(is_port) || alone().is_none());
        let Some((prefix, port)) = split.or_else(alone) else {
            let what = format!("{whole:?} is not an address");
            return self.error(
                token.place.clone(),
                what,
                "for example: 192.0.2.1, 192.0.2.0/24:80, [2001:db8::]/32:443 or *:80",
            );
        };
        let port = match port {
            None | Some("" | "*") => None,
            Some(port) => Some(self.port(port, token.place.clone())?),
        };
        Ok(Host { prefix, port })
    }
}

/// Parses an address with an optional prefix. `Some(None)` is any address.
#[allow(
    clippy::option_option,
    reason = "an error and any address are two different results"
)]
fn prefix(text: &str) -> Option<Option<(IpAddr, u8)>> {
    if text.is_empty() || text == "*" {
        return Some(None);
    }
    let (address, len) = match text.split_once('/') {
        Some((address, len)) => (address, Some(len)),
        None => (text, None),
    };
    let address: IpAddr = match address.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.into(),
        None => address.parse().ok()?,
    };
    let max = if address.is_ipv4() { 32 } else { 128 };
    let len = match len {
        Some(len) => len.parse().ok().filter(|len| *len <= max)?,
        None => max,
    };
    Some(Some((address, len)))
}

impl Filter {
    pub fn parse(words: &[String], services: &Services) -> Result<Self, Error> {
        let text = words.join(" ");
        let tokens = tokens(&text)?;
        let mut parser = Parser {
            text: &text,
            tokens,
            at: 0,
            services,
            options: Vec::new(),
            needs_owners: false,
        };
        if parser.tokens.len() > MAX_TOKENS {
            let hint = format!("at most {MAX_TOKENS} words");
            return parser.error(0..0, "the filter is too long", hint);
        }
        let states = parser.states()?;
        let expr = match parser.peek() {
            None if parser.at == parser.tokens.len() => None,
            _ => Some(parser.list(0)?),
        };
        if parser.at < parser.tokens.len() {
            return parser.error(parser.place(), "this bracket was not opened", "");
        }
        Ok(Self {
            states,
            expr,
            options: parser.options,
            needs_owners: parser.needs_owners,
        })
    }

    /// Whether a row passes the filter. Does not test the state.
    pub fn matches(&self, row: &Row<'_>, owners: &[Owner]) -> bool {
        self.expr
            .as_ref()
            .is_none_or(|expr| expr.matches(row, owners))
    }
}

impl Expr {
    fn matches(&self, row: &Row<'_>, owners: &[Owner]) -> bool {
        match self {
            Expr::And(left, right) => left.matches(row, owners) && right.matches(row, owners),
            Expr::Or(left, right) => left.matches(row, owners) || right.matches(row, owners),
            Expr::Not(inner) => !inner.matches(row, owners),
            Expr::Host(side, host) => host.matches(side.of(row)),
            Expr::Port(side, op, port) => op.holds(side.of(row).port.cmp(port)),
            Expr::Diag => !row.diag.is_empty(),
            Expr::Process(Op::Ne, name) => !owners.iter().any(|owner| *owner.name == **name),
            Expr::Process(_, name) => owners.iter().any(|owner| *owner.name == **name),
            Expr::Pid(Op::Ne, pid) => !owners.iter().any(|owner| i128::from(owner.pid) == *pid),
            Expr::Pid(op, pid) => owners
                .iter()
                .any(|owner| op.holds(i128::from(owner.pid).cmp(pid))),
            Expr::Number(field, op, n) => {
                let value = field.of(row);
                value.is_some_and(|value| op.holds(i128::from(value).cmp(n)))
            }
            Expr::IsOn(defaults) => is_on(defaults, row),
            Expr::Option(test) => test.matches(row),
        }
    }
}

/// Whether an option is on or, if it is not a flag, set.
fn is_on(defaults: &Defaults, row: &Row<'_>) -> bool {
    let info = defaults.info;
    let is_flag = info.kind == Kind::Flag;
    match row.options.get(info.name) {
        // An option is not set if it has the value 0 and 0 is its default.
        Some("0") => {
            !is_flag
                && match defaults.of(row) {
                    DefaultValue::Known { number, .. } => *number != Some(0),
                    // A row that always shows the option does not reveal whether it was set.
                    _ => !info.is_always_shown,
                }
        }
        Some(_) => true,
        None => is_flag && info.applies(row) && defaults.of(row).number().is_some_and(|n| n != 0),
    }
}

impl Test {
    fn matches(&self, row: &Row<'_>) -> bool {
        let info = self.defaults.info;
        let shown = row.options.get(info.name);
        if shown.is_none() && !info.applies(row) {
            return false;
        }
        match &self.value {
            Value::Number(n) => {
                let value = match shown {
                    Some(text) => options::number(text),
                    None => self.defaults.of(row).number(),
                };
                value.is_some_and(|value| self.op.holds(value.cmp(n)))
            }
            Value::Text(text) => {
                let is_it = match (shown, shown.is_none().then(|| self.defaults.of(row))) {
                    (Some(shown), _) => has_part(shown, text),
                    (_, Some(DefaultValue::Known { text: default, .. })) => has_part(default, text),
                    (_, Some(DefaultValue::Nothing)) => false,
                    _ => return false,
                };
                is_it == (self.op == Op::Eq)
            }
        }
    }
}

/// Whether a value or a part of it is this text.
///
/// Groups are separated by `+` and may be followed by `%` and an interface. Flags, and a name and
/// its details, are separated by `|`.
fn has_part(shown: &str, text: &str) -> bool {
    shown == text
        || shown.split('+').any(|part| {
            part == text || part.split_once('%').is_some_and(|(group, _)| group == text)
        })
        || shown.split('|').any(|part| part == text)
}

impl Host {
    fn matches(&self, endpoint: &Endpoint<'_>) -> bool {
        self.port.is_none_or(|port| port == endpoint.port)
            && self
                .prefix
                .is_none_or(|(net, len)| is_in(endpoint.address, net, len))
    }
}

/// Whether an address is in a prefix. As in ss, an IPv4 prefix includes IPv4-mapped addresses, and
/// an IPv6 prefix does not include IPv4 addresses.
fn is_in(address: IpAddr, net: IpAddr, len: u8) -> bool {
    // The number of bits from the first that differs to the end.
    let differing = match (address, net) {
        (IpAddr::V4(address), IpAddr::V4(net)) => {
            32 - (address.to_bits() ^ net.to_bits()).leading_zeros()
        }
        (IpAddr::V6(address), IpAddr::V6(net)) => {
            128 - (address.to_bits() ^ net.to_bits()).leading_zeros()
        }
        (IpAddr::V6(address), IpAddr::V4(_)) => {
            return address
                .to_ipv4_mapped()
                .is_some_and(|address| is_in(address.into(), net, len));
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => return false,
    };
    let bits = if net.is_ipv4() { 32 } else { 128 };
    differing <= bits - u32::from(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::{LISTENER, TCP, TCP6, UDP};
    use crate::model::row::State;
    use crate::source::files::File;
    use proptest::prelude::*;

    fn services() -> Services {
        Services::parse("ssh 22/tcp\nhttp 80/tcp\nhttp 80/udp\nodd 7/tcp\nodd 8/udp\n")
    }

    fn parse(text: &str) -> Result<Filter, Error> {
        Filter::parse(&[text.to_owned()], &services())
    }

    fn matches(filter: &str, file: File, line: &str) -> bool {
        let filter = parse(filter).unwrap_or_else(|err| panic!("{err}"));
        let row = Row::parse(file, line.as_bytes()).expect(line);
        let owner = Owner {
            name: "nginx".into(),
            pid: 7,
            fd: 3,
        };
        filter.matches(&row, &[owner])
    }

    const CONNECTION: &str = "0 0 192.0.2.1:22 198.51.100.7:40001 ESTB >| \
        SO_KEEPALIVE=1,TCP_KEEPIDLE=60,SO_RCVTIMEO=2000ms,SO_LINGER=0s,TCP_NODELAY=0,IP_TOS=0xb8,TCP_ULP=tls|version:1.3,uid=33,ino=5";
    const PLAIN: &str = "0 0 192.0.2.1:22 198.51.100.7:40001 ESTB SO_KEEPALIVE=1,uid=0,ino=5";
    const SILENT: &str = "0 0 192.0.2.1:22 198.51.100.7:40001 ESTB SO_KEEPALIVE=0,uid=0,ino=5";

    #[test]
    fn words_of_ss() {
        for (filter, expected) in [
            ("sport = :22", true),
            ("sport = :ssh", true),
            ("sport ssh", true),
            ("sport=22", true),
            ("( sport eq :22 )", true),
            ("(sport=:22)", true),
            ("sport != :22", false),
            ("sport!=22", false),
            ("dport > :40000 and dport < :40002", true),
            ("dport gt 40001", false),
            ("dport ge 40001 dport le 40001", true),
            ("dport geq 40002 or dport leq 40000", false),
            ("src 192.0.2.1", true),
            ("src = 192.0.2.0/24:22", true),
            ("src 192.0.2.0/24:23", false),
            ("src 192.0.2.1:ssh", true),
            ("src != 192.0.2.1", false),
            ("dst 198.51.100.0/29", true),
            ("dst 198.51.100.0/30", false),
            ("dst 0.0.0.0/0", true),
            ("dst ::/0", false),
            ("dst :40001", true),
            ("dst *:40001", true),
            ("dst *", true),
            ("not dst *:40001", false),
            ("! ! dst *:40001", true),
            ("sport = :1 or sport = :22 and dport = :1", false),
            // Evaluated from left to right. With precedence, it would be true.
            ("sport = :22 or sport = :22 and dport = :1", false),
            ("sport = :22 or sport = :22 dport = :1", false),
            ("dport = :1 and sport = :22 or sport = :22", true),
            ("sport = :22 or ( sport = :22 and dport = :1 )", true),
            ("not sport = :22 or sport = :22", true),
            ("( sport = :22 or sport = :22 ) dport = :1", false),
            ("sport = :22 | dport = :1", true),
            ("sport = :22 && dport = :1", false),
        ] {
            assert_eq!(matches(filter, TCP, CONNECTION), expected, "{filter}");
        }
    }

    #[test]
    fn addresses_of_ipv6() {
        let line = "0 0 2001:db8::1:22 2001:db8::2:80 ESTB SO_KEEPALIVE=0,uid=0,ino=5";
        for (filter, expected) in [
            ("src 2001:db8::/32", true),
            ("src [2001:db8::]/32", true),
            ("src [2001:db8::1]:22", true),
            ("src [2001:db8::1]/128:22", true),
            // The last colon begins the port, as in ss.
            ("src 2001:db8::1:22", true),
            ("src 2001:db8::1:23", false),
            ("src [2001:db8::1]", true),
            ("src 2001:db8::1:abcd", false),
            ("src 2001:db9::/32", false),
            ("src 0.0.0.0/0", false),
        ] {
            assert_eq!(matches(filter, TCP6, line), expected, "{filter}");
        }
        let line = "0 0 ::ffff:192.0.2.1:22 ::ffff:192.0.2.7:80 ESTB SO_KEEPALIVE=0,uid=0,ino=5";
        assert!(matches("src 192.0.2.0/24 dst 192.0.2.7:80", TCP6, line));
        assert!(matches("src ::ffff:0:0/96", TCP6, line));
        assert!(!matches("src ::ffff:0:0/96", TCP, PLAIN));
    }

    #[test]
    fn options_beside_them() {
        for (filter, expected) in [
            ("TCP_NODELAY=0", true),
            ("tcp_nodelay = 0", true),
            ("TCP_NODELAY", false),
            ("not TCP_NODELAY", true),
            ("SO_KEEPALIVE", true),
            ("SO_KEEPALIVE TCP_KEEPIDLE<=60 TCP_KEEPIDLE>59", true),
            ("SO_RCVTIMEO=2000", true),
            ("SO_RCVTIMEO=2000ms", true),
            ("SO_RCVTIMEO=2s", true),
            ("TCP_KEEPIDLE=60s TCP_KEEPIDLE=60000ms", true),
            ("SO_RCVTIMEO", true),
            ("SO_LINGER", true),
            ("SO_LINGER=0s", true),
            ("SO_SNDTIMEO", false),
            ("SO_SNDTIMEO>0", false),
            ("IP_TOS=184", true),
            ("IP_TOS=0xb8", true),
            ("TCP_ULP=tls", true),
            ("TCP_ULP=tls|version:1.3", true),
            ("TCP_ULP=\"tls\"", true),
            ("TCP_ULP!=tls", false),
            ("TCP_ULP=mptcp", false),
            ("TCP_USER_TIMEOUT=0", true),
            ("TCP_QUICKACK", true),
            ("UDP_GRO=0", false),
            ("IPV6_V6ONLY=0", false),
            ("diag", true),
            ("process=nginx", true),
            ("process!=nginx", false),
            ("process='a b'", false),
            ("pid=7 uid=33 ino=5", true),
            ("pid>7", false),
            ("backlog>0", false),
        ] {
            assert_eq!(matches(filter, TCP, CONNECTION), expected, "{filter}");
        }
        assert!(matches("backlog>=128 TCP_FASTOPEN", TCP, LISTENER));
        let group =
            "0 0 0.0.0.0:5 0.0.0.0:* IP_ADD_MEMBERSHIP=239.1.2.3%lo+224.0.0.251%lo,uid=0,ino=1";
        assert!(matches("IP_ADD_MEMBERSHIP=224.0.0.251", UDP, group));
        assert!(matches("IP_ADD_MEMBERSHIP=224.0.0.251%lo", UDP, group));
        assert!(!matches("IP_ADD_MEMBERSHIP=224.0.0.25", UDP, group));
    }

    /// The kernel's value is compared if keepalive is on. Nothing is compared without options.
    #[test]
    fn defaults_of_the_kernel() {
        let idle = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_keepalive_time").unwrap();
        let filter = format!("TCP_KEEPIDLE={}", idle.trim());
        assert!(matches(&filter, TCP, PLAIN));
        assert!(!matches(&filter, TCP, SILENT));
        assert!(!matches(
            "TCP_USER_TIMEOUT=0",
            TCP,
            "0 0 192.0.2.1:22 198.51.100.7:1 TIMW"
        ));
    }

    #[test]
    fn states() {
        let states = |text| parse(text).unwrap().states;
        assert_eq!(states("sport 22"), None);
        assert_eq!(
            states("state established"),
            Some(States::of(State::Established))
        );
        assert_eq!(
            states("state ESTB state time-wait sport 22").unwrap().0,
            0b10_0001
        );
        assert_eq!(
            states("exclude listening exclude closed"),
            States::parse("connected")
        );
        assert_eq!(
            states("state connected excl syn-sent"),
            States::parse("synchronized")
        );
        assert_eq!(states("exclude bucket"), States::parse("big"));
        assert!(!States::DEFAULT.has(State::TimeWait) && States::DEFAULT.has(State::SynSent));
    }

    #[test]
    fn errors_are_shown_at_their_place() {
        for (filter, shown) in [
            ("dport = :htpp", "\"htpp\" is not a port; did you mean http?\n    dport = :htpp\n            ^^^^^\n\
                expected: a number from 0 to 65535, or a name from /etc/services"),
            ("state establishd", "\"establishd\" is not a state; did you mean established?\n    \
                state establishd\n          ^^^^^^^^^^\nstates: established syn-sent"),
            ("TCP_NODELY=1", "unknown word or option \"TCP_NODELY\"; did you mean TCP_NODELAY or"),
            ("nodelay", "unknown word or option \"nodelay\"; did you mean TCP_NODELAY?"),
            ("sport = :22 state listening", "state must come before all other conditions"),
            ("(sport 22", "this bracket is not closed\n    (sport 22\n    ^"),
            ("sport 22 )", "this bracket was not opened\n    sport 22 )\n             ^"),
            ("sport", "a port is missing at the end\n    sport\n         ^"),
            ("sport = )", "a port is missing here\n    sport = )\n            ^"),
            ("sport 22 or", "a condition is missing at the end"),
            ("or sport 22", "or needs a condition before it\n    or sport 22\n    ^^"),
            ("sport 65536", "\"65536\" is not a port"),
            ("sport odd", "\"odd\" is the name of several ports\n    sport odd\n          ^^^\nuse a number: 7 or 8"),
            ("src 300.1.1.1", "\"300.1.1.1\" is not an address"),
            ("src 1.1.1.1/33", "\"1.1.1.1/33\" is not an address"),
            ("src > 1.1.1.1", "src takes only = or !=\n    src > 1.1.1.1\n        ^"),
            ("dev eth0", "\"dev\" of ss is not supported\n    dev eth0\n    ^^^\nuse an option instead: SO_BINDTODEVICE=NAME"),
            ("TCP_ULP>tls", "TCP_ULP is not a number, so it takes only = or !="),
            ("summary sport 22", "summary must be the first argument\n    summary sport 22\n    ^^^^^^^\nknetstat summary ..."),
            ("IP_TOS=5s", "\"5s\" is not a number"),
            ("TCP_KEEPIDLE>long", "\"long\" is not a number\n    TCP_KEEPIDLE>long\n                 ^^^^\nexpected: TCP_KEEPIDLE = seconds"),
            ("uid", "uid takes an operator and a number"),
            ("process", "process takes = or != and a name"),
            ("process=\"a", "this quotation mark is not closed"),
            ("ä ö", "unknown word or option \"ä\"\n    ä ö\n    ^\nexpected: state"),
        ] {
            let err = parse(filter).unwrap_err().to_string();
            assert!(err.starts_with(shown), "{filter}:\n{err}\nrather than\n{shown}");
        }
        let deep = "(".repeat(100_000);
        assert!(parse(&deep).is_err());
        assert!(parse(&"(".repeat(5000))
            .unwrap_err()
            .to_string()
            .starts_with("nested too deeply"));
        assert!(parse(&"not ".repeat(5000)).is_err());
        assert!(parse(&"sport 1 ".repeat(5000)).is_ok());
    }

    /// knetstat(8) quotes an error as it is printed.
    #[test]
    fn the_page_quotes_an_error() {
        let page = include_str!("../../../../man/knetstat.8");
        let (_, example) = page.split_once("\n$ knetstat ").unwrap();
        let (example, _) = example.split_once("\n.Ed\n").unwrap();
        let (filter, error) = example.split_once("\nknetstat: ").unwrap();
        assert_eq!(parse(filter).unwrap_err().to_string(), error);
    }

    proptest! {
        #[test]
        fn any_text(text: String) {
            if let Err(err) = parse(&text) {
                let _ = err.to_string();
            }
        }

        #[test]
        fn any_words(words in prop::collection::vec(prop::sample::select(vec![
            "state", "exclude", "all", "src", "dst", "sport", "=", "!=", ">", "(", ")", "not", "and", "or",
            "22", ":ssh", "[::1]:5", "1.2.3.4/8", "TCP_NODELAY", "SO_LINGER", "process", "pid", "'x'", "\"", "&", "|ü",
        ]), 0..12)) {
            if let Err(err) = parse(&words.join(" ")) {
                let _ = err.to_string();
            }
        }

        /// Prefixes agree with masks computed by the standard library.
        #[test]
        fn prefixes(address: u32, net: u32, len in 0..=32u8) {
            let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
            let expected = address & mask == net & mask;
            let v4 = |bits: u32| IpAddr::from(std::net::Ipv4Addr::from(bits));
            prop_assert_eq!(is_in(v4(address), v4(net), len), expected);
            // An address that differs only after the prefix is in it.
            prop_assert!(is_in(v4(net ^ (address & !mask)), v4(net), len));
        }
    }
}
