// SPDX-License-Identifier: GPL-2.0

//! Conditions, and whether a row meets them.

use crate::model::defaults::{DefaultValue, Defaults};
use crate::model::filter::host::Host;
use crate::model::options::{self, Kind};
use crate::model::row::Row;
use crate::model::words::{Field, Side};
use crate::source::process::Owner;
use std::cmp::Ordering;
use std::rc::Rc;

/// An operator of comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Gt,
    Le,
    Ge,
}

/// The operators, with the spellings of each.
pub const OPS: [(Op, &[&str]); 6] = [
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

/// A value that a filter compares with.
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    Number(i128),
    Text(String),
}

/// A comparison of an option with a value.
#[derive(Debug)]
pub struct Test {
    pub defaults: Rc<Defaults>,
    pub op: Op,
    pub value: Value,
}

#[derive(Debug)]
pub enum Expr {
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

impl Expr {
    pub fn matches(&self, row: &Row<'_>, owners: &[Owner]) -> bool {
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
