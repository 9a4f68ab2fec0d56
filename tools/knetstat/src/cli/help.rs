// SPDX-License-Identifier: GPL-2.0

//! The text behind the flags of `--help`: filters.

use crate::model::states::GROUPS;
use crate::model::words::WORDS;
use std::fmt::Write;

const BEFORE: &str = "\
Without -a, -l or a state, sockets are shown that neither listen nor are unconnected, in TIMW or in
SYNR: as ss does.

FILTER:
";

const OPTIONS: &str = "  NAME             the option is on or, if it is no flag, set
  NAME OP VALUE    TCP_NODELAY=0, 'TCP_KEEPIDLE>350', SO_BINDTODEVICE=eth0
";

const OPERANDS: &str = "\
HOST: 192.0.2.1, 192.0.2.0/24:443, [2001:db8::]/32:443, *:443
PORT: :22, 22 or ssh
OP: = != < > <= >=, also eq ne lt gt le ge
Without brackets, a list goes from left to right, as ss does, not as its manual says: A or B and C
is ( A or B ) and C.
If a row lacks an option that the socket can have, its default is compared, which the kernel tells;
TCP_KEEPIDLE and the like only where SO_KEEPALIVE is on. -v prints what was assumed. `knetstat
explain NAME` has defaults and units.

Exit status: 0; 1 if something could not be read; 2 if an option or the filter is wrong.";

/// The text: each word of filters, and what their operands are.
pub fn after_help() -> String {
    let mut text = BEFORE.to_owned();
    for word in &WORDS {
        let usage = format!("{}{}", word.name, word.syntax);
        let _ = writeln!(text, "  {usage:16} {}", word.help);
    }
    let groups: Vec<_> = GROUPS.iter().map(|(name, ..)| *name).collect();
    let states = format!("STATE: as ss names states, and {}\n", groups.join(", "));
    text + OPTIONS + &states + OPERANDS
}
