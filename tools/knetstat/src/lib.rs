// SPDX-License-Identifier: GPL-2.0

//! The command `knetstat`: options of TCP and UDP sockets, and the processes that own them.
//!
//! It reads `/proc/net/{tcp,tcp6,udp,udp6}stat`, which the module of this name makes, a row at a
//! time, and `/proc/PID/fd`. See knetstat(5) for the rows.
//!
//! ```text
//! main        the process: nothing but a call
//!   |
//! cli         the command line: arguments, completion, which command runs
//!   |
//! commands    one file for each: list, summary, watch, since, explain
//!   |
//! print       printer (the trait), text and json (which implement it), layout and columns
//!   |         (of text), explanation, format (text or JSON), notes (on standard error), stdout
//!   |
//! model       row, options, defaults, filter, query (files, states and filter), event, tracker,
//!   |         counts, words and states (of filters), similar
//!   |
//! source      files (of the module), fresh (sockets), process, services, netns, interrupt
//! ```
//!
//! A file imports from its own layer and from those below, and no two files import each other, not
//! even by way of others. `tests/host/tests/layers.rs` checks this.
//!
//! Where to do what:
//!
//! | to add | edit |
//! |---|---|
//! | a flag or a command | `cli/args.rs`, and `commands/` for what it does |
//! | a word of filters | `model/words.rs`: an entry of `WORDS`; knetstat(8), which a test compares |
//! | a column of the text | `print/columns.rs`: an entry of `COLUMNS` |
//! | a key of the JSON | `print/json.rs`: a field; knetstat(8), which a test compares |

pub mod cli;
pub mod commands {
    pub mod explain;
    pub mod list;
    pub mod since;
    pub mod summary;
    pub mod watch;
}
pub mod print {
    pub mod columns;
    pub mod explanation;
    pub mod format;
    pub mod json;
    pub mod layout;
    pub mod notes;
    pub mod printer;
    pub mod stdout;
    pub mod text;
}
pub mod model {
    pub mod counts;
    pub mod defaults;
    pub mod event;
    pub mod filter;
    pub mod options;
    pub mod query;
    pub mod row;
    pub mod similar;
    pub mod states;
    pub mod tracker;
    pub mod words;
}
pub mod source {
    pub mod files;
    pub mod fresh;
    pub mod interrupt;
    pub mod netns;
    pub mod process;
    pub mod services;
}
