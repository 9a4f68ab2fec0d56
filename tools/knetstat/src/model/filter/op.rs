// SPDX-License-Identifier: GPL-2.0

//! The operators of comparisons.

use std::cmp::Ordering;

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
    /// Whether the operator only tests whether two values are the same.
    pub fn is_equality(self) -> bool {
        matches!(self, Op::Eq | Op::Ne)
    }

    /// Whether the operator holds for two values in this order.
    pub fn holds(self, ordering: Ordering) -> bool {
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
