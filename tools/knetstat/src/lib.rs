// SPDX-License-Identifier: GPL-2.0

//! The command `knetstat`: options of TCP and UDP sockets, and whose sockets they are.
//!
//! It reads `/proc/net/{tcp,tcp6,udp,udp6}stat`, which the module of this name makes, a row at a time,
//! and `/proc/PID/fd`. See knetstat(5) for what is in the rows.

pub mod cli;
pub mod commands {
    pub mod explain;
    pub mod list;
    pub mod since;
    pub mod summary;
    pub mod watch;
}
pub mod print;
pub mod model {
    pub mod counts;
    pub mod event;
    pub mod filter;
    pub mod options;
    pub mod query;
    pub mod row;
    pub mod similar;
    pub mod tracker;
}
pub mod source {
    pub mod files;
    pub mod interrupt;
    pub mod netns;
    pub mod process;
    pub mod services;
}
