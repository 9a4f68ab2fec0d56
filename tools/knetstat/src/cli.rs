// SPDX-License-Identifier: GPL-2.0

//! What the command understands.

use crate::complete;
use clap::{
    Args,
    Parser,
    Subcommand, //
};
use clap_complete::ArgValueCompleter;
use std::ffi::OsString;
use std::time::Duration;

const AFTER_HELP: &str = "\
Without -a, -l or a state, sockets are shown that neither listen nor are unconnected, in TIMW or in
SYNR: as ss does.

FILTER, in the words of ss:
  state STATE, exclude STATE    first of all; as ss names states, and all, connected, synchronized,
                                bucket and big
  src HOST, dst HOST            192.0.2.1, 192.0.2.0/24:443, [2001:db8::]/32:443, *:443
  sport OP PORT, dport OP PORT  = != < > <= >=, also eq neq lt gt le ge; :22, 22 or ssh
  and, or, not, ( )             without brackets from left to right, as ss does, not as its manual
                                says: A or B and C is ( A or B ) and C; `and` may be left out
and beside them:
  NAME                          the option is on or, if it is no flag, set
  NAME OP VALUE                 TCP_NODELAY=0, 'TCP_KEEPIDLE>350', SO_BINDTODEVICE=eth0
  diag                          the Diag column is not empty
  process=NAME, pid=N, uid=N, ino=N, backlog=N
An option that is not in a row has its default, if it has one and the socket can have the option:
TCP_KEEPIDLE that of net.ipv4.tcp_keepalive_time, where SO_KEEPALIVE is on. -v prints what was
assumed. `knetstat explain NAME` has defaults and units.

Exit status: 0; 1 if something could not be read; 2 if an option or the filter is wrong.";

/// Shows the options of TCP and UDP sockets, and whose sockets they are
#[derive(Debug, Parser)]
#[command(
    version = env!("KNETSTAT_VERSION"),
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub list: List,
    /// What comes, goes and changes from now on, looked for every so many seconds (1), until ^C
    ///
    /// A line for each: `came`, `went` (with -p whose it was) or `changed`, and what it was and
    /// is: TCP_NODELAY=0->1, `unset` if it was not in the row. State, addresses, ports, options,
    /// backlog, user and inode count as changes; queues, diagnostics and processes do not, and
    /// neither does TCP_QUICKACK, which the kernel switches by itself. A socket that the filter
    /// lets pass no more `went`, too, with what changed. With --json, what happened is in the keys
    /// time, event and changes (name: old, new; null if it was not in the row), and recv_q,
    /// send_q, diag and TCP_QUICKACK are left out; the first object has the event `began` and the
    /// number of sockets.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_parser = seconds
    )]
    pub watch: Option<Duration>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Says what an option is: its value, its default, and when it is shown
    Explain {
        /// In any case, and also without what comes before the first `_`
        #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(complete::names))]
        names: Vec<String>,
    },
    /// Counts sockets: by state, by process and by their options
    ///
    /// Which ones is said as for the list. A socket that several processes have open is counted for
    /// each. Sockets have the same options if they differ in TCP_QUICKACK only, which the kernel
    /// switches by itself. With -p, processes of one name are told apart; -v prints one option a
    /// line; -n changes nothing. With --json, each count is an object: count, by (all, state,
    /// process, options), and what it is of: netid and state; name (null if none is known) and with
    /// -p pid; options.
    #[command(after_help = "FILTER: see knetstat --help.")]
    Summary(List),
}

#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are flags")]
pub struct List {
    /// TCP sockets
    #[arg(short, long)]
    pub tcp: bool,
    /// UDP sockets
    #[arg(short, long)]
    pub udp: bool,
    /// IPv4 sockets
    #[arg(short = '4', long)]
    pub ipv4: bool,
    /// IPv6 sockets, also those that talk IPv4
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Sockets that listen, and unconnected ones of UDP
    #[arg(short, long)]
    pub listening: bool,
    /// All sockets
    #[arg(short, long)]
    pub all: bool,
    /// Numbers rather than names of ports
    #[arg(short, long)]
    pub numeric: bool,
    /// Which processes have it open
    #[arg(short, long)]
    pub processes: bool,
    /// No line with the names of the columns
    #[arg(short = 'H', long)]
    pub no_header: bool,
    /// One option a line, and the defaults that the filter assumed
    #[arg(short, long)]
    pub verbose: bool,
    /// Sockets of another network namespace: its name, a process in it, or a path
    #[arg(
        short = 'N',
        long,
        value_name = "NAME",
        add = ArgValueCompleter::new(complete::namespaces)
    )]
    pub net: Option<String>,
    /// A line of JSON for each socket
    ///
    /// Keys: netid, family, state, recv_q, send_q, local and foreign (address, port; 0 is none),
    /// diag (if there is one), options (if the kernel has them), backlog (of listeners), uid, ino,
    /// and with -p processes (name, pid, fd). Numbers are numbers, without their unit. A row that
    /// is not understood has the keys file and raw.
    #[arg(long, conflicts_with = "verbose")]
    pub json: bool,
    /// Which sockets; see below
    #[arg(value_name = "FILTER", add = ArgValueCompleter::new(complete::filter))]
    pub filter: Vec<String>,
}

/// A number of seconds that somebody may want to wait.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|n| (0.01..=86400.0).contains(n))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number from 0.01 to 86400 is expected".to_owned())
}

/// Makes `--watch 0.5` the `--watch=0.5` that is understood. The definition cannot say so: it would
/// take the first word of a filter for a number of seconds.
pub fn joined(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut is_over = false;
    for arg in args {
        is_over |= arg == "--";
        let is_number = arg.to_str().is_some_and(|arg| arg.parse::<f64>().is_ok());
        match joined.last_mut() {
            Some(last) if !is_over && is_number && *last == "--watch" => {
                last.push("=");
                last.push(arg);
            }
            _ => joined.push(arg),
        }
    }
    joined
}
