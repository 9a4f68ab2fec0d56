// SPDX-License-Identifier: GPL-2.0

//! The command `knetstat` shows the options and owners of TCP and UDP sockets.
//!
//! It reads the rows of `/proc/net/{tcp,tcp6,udp,udp6}stat`, which the module of the same name
//! provides, and finds owners in `/proc/PID/fd`. knetstat(5) describes the rows.
//!
//! ```text
//! main        calls cli
//!   |
//! cli         the command line: flags, help, completion; runs a command
//!   |
//! commands    one file for each command
//!   |
//! print       text, JSON and OpenMetrics on standard output, notes on standard error
//!   |
//! model       the meaning of rows, options, filters and rules
//!   |
//! source      what is read: the files of the module, /proc, and files such as /etc/services
//! ```
//!
//! A file imports only from its own layer and from layers below. Imports form no cycle.
//! `tests/host/tests/layers.rs` checks this.
//!
//! CONTRIBUTING.md says where to add what.

pub mod cli;
pub mod commands {
    pub mod check;
    pub mod copy;
    pub mod explain;
    pub mod list;
    pub mod metrics;
    pub mod since;
    pub mod summary;
    pub mod watch;
}
pub mod print {
    pub mod color;
    pub mod columns;
    pub mod explanation;
    pub mod findings;
    pub mod format;
    pub mod json;
    pub mod layout;
    pub mod notes;
    pub mod openmetrics;
    pub mod printer;
    pub mod processes;
    pub mod streams;
    pub mod text;
    pub mod time;
}
pub mod model {
    pub mod columns;
    pub mod comparison;
    pub mod counts;
    pub mod defaults;
    pub mod event;
    pub mod filter;
    pub mod findings;
    pub mod glance;
    pub mod groups;
    pub mod options;
    pub mod owners;
    pub mod place;
    pub mod quantity;
    pub mod query;
    pub mod reach;
    pub mod row;
    pub mod rules;
    pub mod similar;
    pub mod spelling;
    pub mod states;
    pub mod stored_row;
    pub mod tracker;
    pub mod truth;
    pub mod words;
}
pub mod source {
    pub mod aligned;
    pub mod cgroup;
    pub mod copy;
    pub mod files;
    pub mod fresh;
    pub mod hosts;
    pub mod interfaces;
    pub mod interrupt;
    pub mod lines;
    pub mod namespaces;
    pub mod netns;
    pub mod proc_mount;
    pub mod process;
    pub mod replacement;
    pub mod rights;
    pub mod search;
    pub mod services;
    pub mod tables;
    pub mod text;
    pub mod thread;
    pub mod users;
}
