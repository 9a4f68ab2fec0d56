// SPDX-License-Identifier: GPL-2.0

//! The parser of filters.

use crate::model::defaults::Defaults;
use crate::model::filter::error::Error;
use crate::model::filter::expr::{Expr, Operand, Test};
use crate::model::filter::host::{Host, Prefix};
use crate::model::filter::op::{Op, OPS};
use crate::model::filter::tokens::{sign, tokens, Token};
use crate::model::filter::value::Pattern;
use crate::model::options::{self, Info};
use crate::model::quantity::Scale;
use crate::model::similar::{meant, similar};
use crate::model::states::{self, States};
use crate::model::words::{self, Field, Meaning, Side, WORDS};
use crate::source::services::Services;
use crate::source::users;
use std::ops::Range;
use std::rc::Rc;

/// The limits of a filter. Both are high for a person, and bound the recursion of the parser and of
/// [`Expr::matches`].
const MAX_TOKENS: usize = 10_000;
const MAX_DEPTH: usize = 100;

/// Words of ss that knetstat does not support, with hints.
const OTHERS: [(&str, &str); 4] = [
    ("dev", "use an option instead: SO_BINDTODEVICE=NAME"),
    ("fwmark", "use an option instead: SO_MARK=0x2a"),
    ("cgroup", "the module does not report control groups"),
    ("autobound", "the module does not report who chose a port"),
];

/// Words that are commands if they come first.
const COMMANDS: [&str; 2] = ["explain", "summary"];

/// The parts of a filter.
pub struct Parsed {
    pub states: Option<States>,
    pub expr: Option<Expr>,
    pub options: Vec<Rc<Defaults>>,
    pub needs_owners: bool,
}

/// Parses a filter.
pub fn parse(text: &str, services: &Services) -> Result<Parsed, Error> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
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
    let expr = match parser.at == parser.tokens.len() {
        true => None,
        false => Some(parser.list(0)?),
    };
    if parser.at < parser.tokens.len() {
        return parser.error(parser.place(), "this bracket was not opened", "");
    }
    Ok(Parsed {
        states,
        expr,
        options: parser.options,
        needs_owners: parser.needs_owners,
    })
}

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
                let (op, operand) = self.operand(name, place, &|text| Scale::COUNT.parse(text))?;
                match operand {
                    Operand::Number(n) => Ok(Expr::Pid(op, n)),
                    Operand::Field(_) => {
                        self.error(self.before(), format!("{name} takes a number"), "")
                    }
                }
            }
            Meaning::Number(field) => {
                let (op, operand) = self.operand(name, place, &|text| match field {
                    Field::Uid => Scale::COUNT.parse(text).or_else(|| users::id(text)),
                    Field::RecvQ | Field::SendQ => Scale::BYTES.parse(text),
                    _ => Scale::COUNT.parse(text),
                })?;
                Ok(Expr::Number(field, op, operand))
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

    /// Parses an operator, and a number or the name of another number of the row.
    fn operand(
        &mut self,
        name: &str,
        place: Range<usize>,
        parse: &dyn Fn(&str) -> Option<i128>,
    ) -> Result<(Op, Operand), Error> {
        let Some(op) = self.op() else {
            return self.error(
                place,
                format!("{name} takes an operator and a number"),
                format!("for example: {name}=1000"),
            );
        };
        let value = self.value("a number")?;
        let field = words::find(&value.text).filter(|_| !value.is_quoted);
        if let Some(Meaning::Number(field)) = field.map(|word| word.meaning) {
            return Ok((op, Operand::Field(field)));
        }
        match parse(&value.text) {
            Some(n) => Ok((op, Operand::Number(n))),
            None if name == "uid" => {
                let what = format!("there is no user {:?}", value.text);
                self.error(
                    value.place,
                    what,
                    "expected: a number, or the name of a user",
                )
            }
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
        if !info.kind.is_number() && !op.is_equality() {
            let what = format!("{} is not a number, so it takes only = or !=", info.name);
            let hint = format!("expected: {} = {}", info.name, info.value);
            return self.error(place, what, hint);
        }
        match Pattern::parse(info, &token.text) {
            Ok(pattern) => Ok(Expr::Option(Test {
                defaults,
                op,
                pattern,
            })),
            Err(rejected) => self.error(token.place, rejected.what, rejected.hint),
        }
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
        // `Some(None)` is any address.
        let prefix = |text: &str| match text {
            "" | "*" => Some(None),
            text => Prefix::parse(text).map(Some),
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
