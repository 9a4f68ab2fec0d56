// SPDX-License-Identifier: GPL-2.0

//! Every option: set by setsockopt(2) on every kind of socket, compared with getsockopt(2), and set
//! back.
//!
//! A wrong, missing or surplus entry of the [`table`](table::table()) fails. Each option is a test
//! of its own, named by its level and its name.

mod answers;
mod each;
mod mptcp;
mod opt;
mod others;
mod subject;
mod table;
mod traffic;
mod values;

pub use answers::{get_bytes, set_bytes, TIMESTAMPING};
pub use opt::{Answer, Early, Opt, Role, PLANS, SIX as OF_SIX};
pub use subject::{names, names_always_shown, Fresh, Subject};
pub use table::{each_name, entries, named, table, OF_THE_C_MODULE};
pub use values::{ao_add, classic_program, int, md5sig};

use crate::harness::Case;

pub fn cases() -> Vec<Case> {
    let mut cases = each::cases();
    cases.extend(others::cases());
    cases.extend(mptcp::cases());
    cases.extend(traffic::cases());
    cases
}
