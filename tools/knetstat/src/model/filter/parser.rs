// SPDX-License-Identifier: GPL-2.0

//! The parser of filters.

use crate::model::defaults::Defaults;
use crate::model::filter::error::Error;
use crate::model::filter::expr::{Expr, NetnsName, Operand, Test};
use crate::model::filter::host::{Host, Prefix};
use crate::model::filter::op::{Op, OPS};
use crate::model::filter::scope::Scope;
use crate::model::filter::tokens::{sign, tokens, Token};
use crate::model::filter::value::Pattern;
use crate::model::options::{self, Info, Kind};
use crate::model::quantity::{in_words, Scale};
use crate::model::similar::{meant, similar};
use crate::model::states::{self, States};
use crate::model::words::{self, Field, Meaning, Side, SIGNS, WORDS};
use crate::source::files::Family;
use crate::source::interfaces;
use crate::source::netns;
use crate::source::rights;
use crate::source::services::Services;
use crate::source::text::{is_name, word};
use crate::source::users;
use std::io;
use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

/// The limits of a filter. Both are higher than anyone types, and bound the recursion of the parser
/// and of [`Expr::test`].
const MAX_TOKENS: usize = 10_000;
const MAX_DEPTH: usize = 100;

/// Words that are commands if they come first.
const COMMANDS: [&str; 5] = ["check", "copy", "explain", "metrics", "summary"];

/// Words that people try, and what they may mean.
const GUESSES: [(&str, &str); 23] = [
    ("address", "src or dst"),
    ("addr", "src or dst"),
    ("comm", "process"),
    ("device", "dev"),
    ("foreign", "dst"),
    ("help", "the flag --help"),
    ("host", "src or dst"),
    ("iface", "dev"),
    ("inode", "ino"),
    ("interface", "dev"),
    ("ip", "src or dst"),
    ("local", "src"),
    ("lport", "sport"),
    ("peer", "dst"),
    ("port", "sport or dport"),
    ("program", "process"),
    ("remote", "dst"),
    ("rport", "dport"),
    ("tcp", "the flag -t"),
    ("udp", "the flag -u"),
    ("user", "uid"),
    ("username", "uid"),
    ("version", "the flag --version"),
];

/// The directory in which control groups are mounted. ss accepts paths with it.
const CGROUPS: &str = "/sys/fs/cgroup";

/// The families that ss accepts before an address, and which of them are of TCP and UDP.
const FAMILIES: [(&str, Option<Family>); 8] = [
    ("inet", Some(Family::Inet)),
    ("inet6", Some(Family::Inet6)),
    ("link", None),
    ("netlink", None),
    ("tipc", None),
    ("unix", None),
    ("vsock", None),
    ("xdp", None),
];

/// The option of the table that a word of ss stands for.
fn own(name: &str) -> &'static Info {
    options::by_name(name).expect("an option of the table")
}

/// A filter.
#[derive(Debug, Default)]
pub struct Filter {
    /// The states that `state` and `exclude` select, if the filter has these words.
    pub states: Option<States>,
    /// The only family of the sockets, if all families that the filter names are the same.
    pub family: Option<Family>,
    pub expr: Option<Expr>,
    /// The options that it names, with their defaults.
    pub options: Vec<Rc<Defaults>>,
    /// Whether it names processes.
    pub needs_owners: bool,
    /// Whether it names control groups or containers.
    pub needs_cgroups: bool,
}

/// Parses a filter.
pub fn parse(text: &str, services: &Services, scope: Scope) -> Result<Filter, Error> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        at: 0,
        first: 0,
        services,
        scope,
        families: Vec::new(),
        options: Vec::new(),
        needs_owners: false,
        needs_cgroups: false,
    };
    if parser.tokens.len() > MAX_TOKENS {
        let hint = format!("at most {MAX_TOKENS} words");
        return parser.error(0..0, "the filter is too long", hint);
    }
    let states = parser.states()?;
    parser.first = parser.at;
    let expr = match parser.at == parser.tokens.len() {
        true => None,
        false => Some(parser.list(0)?),
    };
    if parser.at < parser.tokens.len() {
        return parser.error(parser.place(), "this bracket was not opened", "");
    }
    let family = match parser.families.as_slice() {
        [first, rest @ ..] if rest.iter().all(|family| family == first) => Some(*first),
        _ => None,
    };
    Ok(Filter {
        states,
        family,
        expr,
        options: parser.options,
        needs_owners: parser.needs_owners,
        needs_cgroups: parser.needs_cgroups,
    })
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    /// The index of the first token behind the states.
    first: usize,
    services: &'a Services,
    scope: Scope,
    /// The families that the filter names.
    families: Vec<Family>,
    options: Vec<Rc<Defaults>>,
    needs_owners: bool,
    needs_cgroups: bool,
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

    /// The operator that the next token is.
    fn peek_op(&self) -> Option<Op> {
        let word = self.peek()?;
        let (op, _) = OPS.iter().find(|(_, words)| words.contains(&word))?;
        Some(*op)
    }

    fn op(&mut self) -> Result<Option<Op>, Error> {
        let Some(op) = self.peek_op() else {
            return Ok(None);
        };
        self.at += 1;
        // A word may be a value: `le` is a code point, and a process may be called `eq`.
        let is_sign = self.peek().is_some_and(|next| sign(next).is_some());
        if (is_sign && self.peek_op().is_some()) || self.peek() == Some("!") {
            let place = self.before().start..self.place().end;
            let what = format!("{:?} is not an operator", &self.text[place.clone()]);
            return self.error(place, what, "operators: = != < > <= >=");
        }
        Ok(Some(op))
    }

    /// The error for `not` behind a word that takes an operator.
    fn refuse_not(&mut self, name: &str) -> Result<(), Error> {
        if !self.take(Meaning::Not) {
            return Ok(());
        }
        let what = format!("{:?} is not an operator", self.tokens[self.at - 1].text);
        self.error(self.before(), what, format!("use {name} != ..."))
    }

    /// Takes an operator that tests only whether two values are the same. Without one, it is `=`.
    fn equality(&mut self, name: &str, hint: &str) -> Result<Op, Error> {
        self.refuse_not(name)?;
        match self.op()? {
            None => Ok(Op::Eq),
            Some(op) if op.is_equality() => Ok(op),
            Some(_) => self.error(self.before(), format!("{name} takes only = or !="), hint),
        }
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

    /// Takes the next token as a value that is not a word of filters.
    fn operand_of(&mut self, what: &str) -> Result<Token, Error> {
        match self.peek().and_then(words::find) {
            Some(_) => self.error(self.place(), format!("{what} is missing here"), ""),
            None => self.value(what),
        }
    }

    fn states(&mut self) -> Result<Option<States>, Error> {
        let mut states = None;
        loop {
            let is_state = self.take(Meaning::State);
            if !is_state && !self.take(Meaning::Exclude) {
                if states.is_some() {
                    self.refuse_join()?;
                }
                return Ok(states);
            }
            match self.op()? {
                None | Some(Op::Eq) => {}
                Some(_) => {
                    let (other, example) = match is_state {
                        true => ("exclude", "exclude listening"),
                        false => ("state", "state listening"),
                    };
                    let what = format!("a state has no such operator; use {other} instead");
                    return self.error(self.before(), what, format!("for example: {example}"));
                }
            }
            let token = self.operand_of("the name of a state")?;
            if token.text.eq_ignore_ascii_case("bound-inactive") {
                let what = "sockets that neither listen nor connect are in no file; use ss -B";
                return self.error(token.place, what, "");
            }
            let Some(found) = States::parse(&token.text) else {
                let names = || states::names().map(|(name, _)| name);
                let listed: Vec<_> = token.text.split([',', '|']).collect();
                if listed.iter().all(|name| States::parse(name).is_some()) {
                    let word = if is_state { "state" } else { "exclude" };
                    let words = listed.iter().map(|name| format!("{word} {name}"));
                    let hint = words.collect::<Vec<_>>().join(" ");
                    let what = format!("{:?} is a list; repeat {word} instead", token.text);
                    return self.error(token.place, what, format!("use {hint}"));
                }
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
                (Some(before), true) => States::union(before, found),
                (Some(before), false) => before.without(found),
            });
        }
    }

    /// The error for `and` or `or` behind states.
    fn refuse_join(&mut self) -> Result<(), Error> {
        let place = self.place();
        let is_or = self.take(Meaning::Or);
        if !is_or && !self.take(Meaning::And) {
            return Ok(());
        }
        let word = self.tokens[self.at - 1].text.clone();
        let next = self.peek().and_then(words::find).map(|word| word.meaning);
        let is_state = matches!(next, Some(Meaning::State | Meaning::Exclude));
        match is_or && !is_state {
            true => self.error(
                place,
                format!("{word:?} cannot join a state with a condition"),
                "sockets must be in the state and also meet the conditions",
            ),
            false => self.error(
                place,
                format!("{word:?} is not needed here: leave it out"),
                match is_state {
                    true => "state A state B selects both states",
                    false => "for example: state established sport = :22",
                },
            ),
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

    /// The hint that lists the words that a condition can begin with, if it begins with this token.
    fn expected(&self, at: usize) -> String {
        format!("expected: {}", words::conditions(at == self.first))
    }

    fn term(&mut self) -> Result<Expr, Error> {
        let place = self.place();
        let at = self.at;
        let token = self.value("a condition").map_err(|err| Error {
            hint: self.expected(at),
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
            Meaning::Port(side) => self.port_term(name, side),
            Meaning::Device => {
                let op = self.equality(name, "")?;
                let value = self.operand_of("an interface")?;
                self.test(own("SO_BINDTODEVICE"), op, &value)
            }
            Meaning::Mark => {
                let op = self.equality(name, "")?;
                let value = self.operand_of("a mark")?;
                self.test(own("SO_MARK"), op, &value)
            }
            Meaning::Diag => self.diag(),
            Meaning::Process => {
                self.needs_owners = true;
                let op = self.op()?;
                let Some(op @ (Op::Eq | Op::Ne)) = op else {
                    let hint = format!("for example: {name}=nginx or {name}!=nginx");
                    return self.error(place, format!("{name} takes = or != and a name"), hint);
                };
                Ok(Expr::Process(op, self.value("the name of a process")?.text))
            }
            Meaning::Pid => self.pid(name, place),
            Meaning::Netns => self.netns(name, place),
            Meaning::Container => self.container(name),
            Meaning::Cgroup => self.cgroup(name),
            Meaning::Number(field) => self.number(field, name, place),
            Meaning::State | Meaning::Exclude => self.refuse_state(name, word.meaning, place),
            Meaning::And | Meaning::Or => {
                self.error(place, format!("{name} needs a condition before it"), "")
            }
            // The word is in quotes; otherwise `not` would have taken it.
            Meaning::Not => self.unknown(&token),
        }
    }

    fn pid(&mut self, name: &str, place: Range<usize>) -> Result<Expr, Error> {
        self.needs_owners = true;
        // `pid_t`
        let range = 0..=i32::MAX.into();
        let parse = |text: &str| Scale::COUNT.parse(text);
        let (op, operand) = self.operand(name, place, range, &parse)?;
        match operand {
            Operand::Number(n) => Ok(Expr::Pid(op, n)),
            Operand::Field(_) => self.error(self.before(), format!("{name} takes a number"), ""),
        }
    }

    fn container(&mut self, name: &str) -> Result<Expr, Error> {
        self.needs_cgroups = true;
        if self.peek_op().is_none() {
            self.refuse_not(name)?;
            return Ok(Expr::IsInContainer);
        }
        let op = self.equality(name, "")?;
        let value = self.value("the ID of a container")?;
        Ok(Expr::Container(op, value.text))
    }

    fn cgroup(&mut self, name: &str) -> Result<Expr, Error> {
        self.needs_cgroups = true;
        let op = self.equality(name, "")?;
        let value = self.operand_of("the path of a control group")?;
        let path = value.text.strip_prefix(CGROUPS).unwrap_or(&value.text);
        if !path.is_empty() && !path.starts_with('/') {
            let hint = format!("for example: {name}=/system.slice/nginx.service");
            let what = format!("{:?} is not a path that begins with /", value.text);
            return self.error(value.place, what, hint);
        }
        Ok(Expr::Cgroup(op, path.to_owned()))
    }

    fn number(&mut self, field: Field, name: &str, place: Range<usize>) -> Result<Expr, Error> {
        let parse = |text: &str| match field {
            Field::Uid => Scale::COUNT
                .parse(text)
                .or_else(|| users::id(text).ok().flatten()),
            Field::RecvQ | Field::SendQ => Scale::BYTES.parse(text),
            _ => Scale::COUNT.parse(text),
        };
        let (op, operand) = self.operand(name, place, range_of(field), &parse)?;
        Ok(Expr::Number(field, op, operand))
    }

    /// The error for `state` or `exclude` that is not at the start of the filter.
    fn refuse_state<T>(
        &self,
        name: &str,
        meaning: Meaning,
        place: Range<usize>,
    ) -> Result<T, Error> {
        let before = self.at.checked_sub(2).and_then(|at| self.tokens.get(at));
        let before = before.and_then(|token| words::find(&token.text));
        let is_not = before.is_some_and(|word| word.meaning == Meaning::Not);
        let hint = match (is_not, meaning) {
            (true, Meaning::State) => "for example: exclude listening",
            (true, _) => "for example: state listening",
            (false, _) => "for example: state established sport = :22",
        };
        let what = format!("{name} must come before all other conditions");
        self.error(place, what, hint)
    }

    /// Parses a network namespace, named as for the flag `-N` or by its inode.
    fn netns(&mut self, name: &str, place: Range<usize>) -> Result<Expr, Error> {
        if self.scope != Scope::All {
            let what = format!("{name} selects among all network namespaces; add --all-netns");
            return self.error(place, what, "for the sockets of one: -N NAME");
        }
        let op = self.equality(name, "")?;
        let value = self.operand_of("a network namespace")?;
        match netns::inode_of(&value.text) {
            Ok(Some(ino)) => return Ok(Expr::Netns(op, NetnsName::Ino(ino))),
            Ok(None) => {}
            Err(err) => {
                let what = format!("cannot find the network namespace {:?}: {err}", value.text);
                let hint = hint_about_netns(&err, rights::is_root());
                return self.error(value.place, what, hint);
            }
        }
        let mut names = netns::names().into_iter().map(|(known, _)| known);
        // Rows show odd characters escaped.
        let found = names.find(|known| is_name(&value.text, known) || word(known) == value.text);
        if let Some(name) = found {
            return Ok(Expr::Netns(op, NetnsName::Name(name)));
        }
        let what = format!("there is no network namespace {:?}", value.text);
        let hint =
            "expected: a name (ip netns list), an inode (lsns -t net), a process ID or a path";
        self.error(value.place, what, hint)
    }

    fn diag(&mut self) -> Result<Expr, Error> {
        let names: Vec<_> = SIGNS.iter().map(|(name, ..)| *name).collect();
        let hint = format!("for example: diag={}", names[0]);
        let op = match self.op()? {
            None => return Ok(Expr::Diag),
            Some(op @ (Op::Eq | Op::Ne)) => op,
            Some(_) => return self.error(self.before(), "diag takes = or != and a sign", hint),
        };
        let value = self.value("a sign of the Diag column")?;
        match SIGNS.iter().find(|(name, ..)| *name == value.text) {
            Some((_, sign, _)) => Ok(Expr::Sign(op, sign)),
            None => {
                let hint = format!("expected: {}", names.join(", "));
                let what = format!("unknown sign \"{}\"", value.text);
                self.error(value.place, what, hint)
            }
        }
    }

    fn host_term(&mut self, name: &str, side: Side) -> Result<Expr, Error> {
        let op = self.equality(name, "to compare ports, use sport or dport")?;
        let value = self.operand_of("an address")?;
        let (host, device) = self.host(&value)?;
        let mut host = Expr::Host(side, host);
        if let Some(device) = device {
            let device = Token {
                text: device,
                ..value
            };
            let device = self.test(own("SO_BINDTODEVICE"), Op::Eq, &device)?;
            host = Expr::And(Box::new(host), Box::new(device));
        }
        Ok(match op {
            Op::Ne => Expr::Not(Box::new(host)),
            _ => host,
        })
    }

    /// Parses `[FAMILY:]:PORT` and what is before it.
    fn port_term(&mut self, name: &str, side: Side) -> Result<Expr, Error> {
        self.refuse_not(name)?;
        let op = self.op()?.unwrap_or(Op::Eq);
        let value = self.operand_of("a port")?;
        let (family, word) = self.family(&value)?;
        let word = word.strip_prefix(':').unwrap_or(word);
        let any = Expr::Host(
            side,
            Host {
                family,
                ..Host::default()
            },
        );
        let condition = match (word, op) {
            ("*", Op::Eq) => return Ok(any),
            ("*", Op::Ne) => return Ok(Expr::Not(Box::new(any))),
            _ => Expr::Port(side, op, self.port(word, value.place.clone())?),
        };
        Ok(match family {
            None => condition,
            Some(_) => Expr::And(Box::new(any), Box::new(condition)),
        })
    }

    /// The place of the token that was taken last.
    fn before(&self) -> Range<usize> {
        self.tokens[self.at - 1].place.clone()
    }

    /// The error for a word, taken last, that no condition begins with.
    fn unknown<T>(&self, token: &Token) -> Result<T, Error> {
        let word = token.text.as_str();
        if let Some(what) = self.unsupported(word) {
            return self.error(token.place.clone(), what, "");
        }
        if COMMANDS.contains(&word) {
            let what = format!("{word} must be the first argument");
            let hint = format!("knetstat {word} ...");
            return self.error(token.place.clone(), what, hint);
        }
        if let Some(guess) = self.guess(word) {
            let what = format!("unknown word or option {word:?}; did you mean {guess}?");
            return self.error(token.place.clone(), what, "");
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
        let mut hint = String::new();
        if near.is_empty() {
            hint = self.expected(self.at - 1);
            if word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            {
                hint += &format!("\nfor the sockets of a process: process={word}");
            }
        }
        self.error(token.place.clone(), what, hint)
    }

    /// The answer to a word of ss that knetstat does not support.
    fn unsupported(&self, word: &str) -> Option<String> {
        Some(match word {
            "autobound" => {
                let instead = match self.services.ephemeral() {
                    Some((low, high)) => format!("sport >= :{low} and sport <= :{high}"),
                    None => "the ports in net.ipv4.ip_local_port_range".into(),
                };
                format!("the module does not report whether the kernel chose a port; use {instead}")
            }
            _ => return None,
        })
    }

    /// A guess of what an unknown word means, by what it looks like.
    fn guess(&self, word: &str) -> Option<String> {
        let lower = word.to_ascii_lowercase();
        if let Some((_, guess)) = GUESSES.iter().find(|(other, _)| *other == lower) {
            return Some((*guess).to_owned());
        }
        if States::parse(word).is_some() {
            return Some(format!("state {word}"));
        }
        let port = word.strip_prefix(':').unwrap_or(word);
        let is_port = port.parse::<u16>().is_ok() || !self.services.ports(port).is_empty();
        if is_port {
            return Some(format!("sport = :{port} or dport = :{port}"));
        }
        let address = word.rsplit_once(':').map_or(word, |(address, _)| address);
        let is_address = [word, address]
            .iter()
            .any(|text| Prefix::parse(text).is_some());
        is_address.then(|| format!("src {word} or dst {word}"))
    }

    /// Parses an operator, and a number in this range or the name of another number of the row.
    fn operand(
        &mut self,
        name: &str,
        place: Range<usize>,
        range: RangeInclusive<i128>,
        parse: &dyn Fn(&str) -> Option<i128>,
    ) -> Result<(Op, Operand), Error> {
        let Some(op) = self.op()? else {
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
            Some(n) if range.contains(&n) => Ok((op, Operand::Number(n))),
            Some(_) => {
                let what = format!("{:?} is not a value of {name}", value.text);
                let hint = format!("expected: {}", in_words(&range, Kind::Count));
                self.error(value.place, what, hint)
            }
            None if name == "uid" => {
                let (what, hint) = no_user(&value.text, users::id(&value.text).err());
                self.error(value.place, what, hint)
            }
            None => {
                let hint = match name {
                    "pid" => format!("for the name of a process: process={}", value.text),
                    _ => String::new(),
                };
                self.error(
                    value.place,
                    format!("{:?} is not a number", value.text),
                    hint,
                )
            }
        }
    }

    /// The defaults of an option. The filter has one copy for each option that it names.
    fn defaults(&mut self, info: &'static Info) -> Rc<Defaults> {
        let mut before = self.options.iter();
        if let Some(defaults) = before.find(|defaults| defaults.info.index == info.index) {
            return Rc::clone(defaults);
        }
        let defaults = Rc::new(Defaults::new(info));
        self.options.push(Rc::clone(&defaults));
        defaults
    }

    fn option(&mut self, info: &'static Info) -> Result<Expr, Error> {
        let Some(op) = self.op()? else {
            return Ok(Expr::IsOn(self.defaults(info)));
        };
        let place = self.before();
        let token = self.value("a value")?;
        if !info.kind.is_number() && !op.is_equality() {
            let what = format!("{} is not a number, so it takes only = or !=", info.name);
            let hint = format!("expected: {} = {}", info.name, info.value);
            return self.error(place, what, hint);
        }
        self.test(info, op, &token)
    }

    /// A comparison of an option with a value.
    fn test(&mut self, info: &'static Info, op: Op, value: &Token) -> Result<Expr, Error> {
        match Pattern::parse_for(self.scope, info, &value.text) {
            Ok(pattern) => Ok(Expr::Option(Test {
                defaults: self.defaults(info),
                op,
                pattern,
            })),
            Err(rejected) => self.error(value.place.clone(), rejected.what, rejected.hint),
        }
    }

    fn port(&self, word: &str, place: Range<usize>) -> Result<u16, Error> {
        let digits = word.strip_prefix("0x").unwrap_or(word);
        let is_hex = digits.len() < word.len();
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let decimal = digits.parse::<u16>().ok().filter(|_| !is_hex);
            let has_zero = digits.len() > 1 && digits.starts_with('0');
            match (is_hex, decimal) {
                (true, _) => {
                    if let Ok(port) = u16::from_str_radix(digits, 16) {
                        return Ok(port);
                    }
                }
                (false, Some(decimal)) if has_zero => {
                    let octal = u16::from_str_radix(digits, 8).ok();
                    let octal = octal.map(|n| format!("; as an octal number, it is {n}"));
                    let hint = format!("use {decimal}{}", octal.unwrap_or_default());
                    return self.error(place, format!("the port {word} begins with 0"), hint);
                }
                (false, Some(decimal)) => return Ok(decimal),
                (false, None) => {}
            }
        }
        match self.services.ports(word).as_slice() {
            [port] => Ok(*port),
            [] => {
                let near = similar(word, self.services.names());
                let what = format!("{word:?} is not a port{}", meant(&near));
                let is_list = word.contains(',');
                let hint = match word.split_once('-') {
                    _ if is_list => "for several ports: ( sport = :22 or sport = :80 )",
                    Some((low, _)) if low.parse::<u16>().is_ok() => {
                        "for a range: sport >= :8000 and sport <= :8010"
                    }
                    _ => "expected: a number from 0 to 65535, or a name from /etc/services",
                };
                self.error(place, what, hint)
            }
            ports => {
                let numbers: Vec<_> = ports.iter().map(u16::to_string).collect();
                let what = format!("{word:?} is the name of several ports");
                let hint = format!("use a number: {}", numbers.join(" or "));
                self.error(place, what, hint)
            }
        }
    }

    /// Takes a family from the begin of a host or port, and returns the rest.
    fn family<'t>(&mut self, token: &'t Token) -> Result<(Option<Family>, &'t str), Error> {
        let text = token.text.as_str();
        let found = FAMILIES.iter().find_map(|(name, family)| {
            let rest = text.strip_prefix(name)?.strip_prefix(':')?;
            Some((name, *family, rest))
        });
        match found {
            None => Ok((None, text)),
            Some((_, Some(family), rest)) => {
                self.families.push(family);
                Ok((Some(family), rest))
            }
            Some((name, None, _)) => {
                let what = format!("{name} is not a family of TCP or UDP sockets; use ss");
                self.error(token.place.clone(), what, "")
            }
        }
    }

    /// Parses `[FAMILY:]ADDRESS[%DEVICE][/PREFIX][:PORT]`. The address may be in brackets, a name,
    /// `*`, or missing. Returns the host and the interface.
    ///
    /// Without an interface and brackets, a decimal number after the last colon is a port if the rest is
    /// an address, too, as in ss.
    fn host(&mut self, token: &Token) -> Result<(Host, Option<String>), Error> {
        let (family, whole) = self.family(token)?;
        let (whole, device, before) = match whole.split_once('%') {
            None => (whole.to_owned(), None, 0),
            Some((before, behind)) => {
                let end = behind.find([']', '/', ':']).unwrap_or(behind.len());
                let (device, behind) = behind.split_at(end);
                let whole = before.to_owned() + behind;
                (whole, Some(device.to_owned()), before.len())
            }
        };
        let whole = whole.as_str();
        // The last colon after the interface, the prefix or the bracket begins the port.
        let behind = whole.rfind(['/', ']']).unwrap_or(0).max(before);
        let (address, port) = match whole[behind..].rfind(':') {
            Some(colon) => {
                let colon = behind + colon;
                (&whole[..colon], Some(&whole[colon + 1..]))
            }
            None => (whole, None),
        };
        let split = Address::parse(address).map(|address| (address, port));
        // The whole text as an IPv6 address without a port and without brackets.
        let alone = || match (&device, port) {
            (Some(_), Some(_)) => None,
            _ => Some((Address::parse(whole)?, None)),
        };
        let is_port = |text: &str| matches!(text, "" | "*") || self.port(text, 0..0).is_ok();
        let split = split.filter(|(_, port)| port.is_none_or(is_port) || alone().is_none());
        let is_device = device.as_ref().is_none_or(|device| !device.is_empty());
        let Some((address, port)) = split.or_else(alone).filter(|_| is_device) else {
            let what = format!("{:?} is not an address", token.text);
            let hint = match token.text.contains(',') {
                true => "for several addresses: ( src 192.0.2.1 or src 192.0.2.2 )",
                false => "for example: 192.0.2.1, 192.0.2.0/24:80, [2001:db8::]/32:443 or *:80",
            };
            return self.error(token.place.clone(), what, hint);
        };
        let port = match port {
            None | Some("" | "*") => None,
            Some(port) => Some(self.port(port, token.place.clone())?),
        };
        let prefixes = match address {
            Address::Any => None,
            Address::Prefix(prefix) => Some(vec![prefix]),
            Address::Name(name) => Some(self.resolve(name, token.place.clone())?),
        };
        let host = Host {
            family,
            prefixes,
            port,
        };
        Ok((host, device))
    }

    /// The addresses of a host, of which any may match.
    fn resolve(&self, name: &str, place: Range<usize>) -> Result<Vec<Prefix>, Error> {
        match self.services.hosts.resolve(name) {
            Ok(addresses) => Ok(addresses.into_iter().map(Prefix::from).collect()),
            Err(reason) => {
                let hint = match interfaces::index_of(name) {
                    Some(_) => format!("for an interface: dev {name}"),
                    None => String::new(),
                };
                let what = format!("cannot resolve the host {name:?}: {reason}");
                self.error(place, what, hint)
            }
        }
    }
}

/// The error for the name of a user that was not found, perhaps because the lookup failed.
fn no_user(name: &str, failure: Option<io::Error>) -> (String, &'static str) {
    match failure {
        None => (
            format!("there is no user {name:?}"),
            "expected: a number, or the name of a user",
        ),
        Some(err) => (
            format!("cannot look up the user {name:?}: {err}"),
            "use the number of the user",
        ),
    }
}

/// The numbers that a field of the row can have, by its C type.
fn range_of(field: Field) -> RangeInclusive<i128> {
    match field {
        Field::Ino => 0..=u64::MAX.into(),
        Field::Uid | Field::Backlog | Field::Drops | Field::RecvQ | Field::SendQ => {
            0..=u32::MAX.into()
        }
    }
}

/// The address in a host.
enum Address<'a> {
    Any,
    Prefix(Prefix),
    Name(&'a str),
}

impl<'a> Address<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if matches!(text, "" | "*" | "any" | "all" | "default") {
            return Some(Self::Any);
        }
        let prefix = Prefix::parse(text);
        prefix
            .map(Self::Prefix)
            .or_else(|| is_host_name(text).then_some(Self::Name(text)))
    }
}

/// The remedy for an error in looking up a network namespace.
fn hint_about_netns(err: &io::Error, is_root: bool) -> &'static str {
    match (err.kind(), is_root) {
        (io::ErrorKind::PermissionDenied, true) => {
            "run with CAP_SYS_PTRACE; if it is there, a security module or a mount refuses access"
        }
        (io::ErrorKind::PermissionDenied, false) => "run as root",
        _ => "",
    }
}

/// Whether a text can be the name of a host. Digits and dots alone are a mistyped address.
fn is_host_name(text: &str) -> bool {
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    text.chars().all(is_allowed)
        && text.contains(|c: char| c.is_alphabetic())
        && text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody who is root is asked to become it.
    #[test]
    fn namespaces_that_cannot_be_looked_up() {
        let hint = |code, is_root| hint_about_netns(&io::Error::from_raw_os_error(code), is_root);
        for code in [libc::EACCES, libc::EPERM] {
            assert_eq!(hint(code, false), "run as root");
            assert!(hint(code, true).contains("CAP_SYS_PTRACE"));
        }
        assert_eq!(hint(libc::ELOOP, true), "");
    }

    #[test]
    fn users_that_are_not_found() {
        let (what, _) = no_user("a", None);
        assert_eq!(what, "there is no user \"a\"");
        let failure = io::Error::from_raw_os_error(libc::EIO);
        let (what, hint) = no_user("a", Some(failure));
        assert!(
            what.starts_with("cannot look up the user \"a\": "),
            "{what}"
        );
        assert_eq!(hint, "use the number of the user");
    }
}
