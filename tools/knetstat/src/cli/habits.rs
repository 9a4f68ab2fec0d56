// SPDX-License-Identifier: GPL-2.0

//! Flags of ss and netstat that are not flags of this command: each is accepted, because it makes
//! no difference, or answered with what to use instead.
//!
//! If ss and netstat use a letter for different things, the meaning of ss counts.

use crate::source::files::{Family, Netid};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// A flag of ss or netstat.
pub struct Habit {
    pub short: Option<char>,
    /// The long names. The first one is the identifier.
    pub long: &'static [&'static str],
    /// The name of its value, if it takes one.
    pub value: Option<&'static str>,
    pub effect: Effect,
}

/// The effect of such a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// None: the output is the same with and without it.
    None,
    /// One line for each row, on a terminal, too.
    OneLine,
    /// The families of sockets.
    Families,
    /// The tables of sockets.
    Tables,
    /// An error, with this text.
    Refused(&'static str),
}

/// The text for other kinds of sockets.
const ONLY: &str = "knetstat shows only TCP and UDP sockets; for others, use ss";
const OTHER_SOCKETS: Effect = Effect::Refused(ONLY);

const fn habit(short: char, long: &'static [&'static str], effect: Effect) -> Habit {
    Habit {
        short: Some(short),
        long,
        value: None,
        effect,
    }
}

const fn long(long: &'static [&'static str], effect: Effect) -> Habit {
    Habit {
        short: None,
        long,
        value: None,
        effect,
    }
}

impl Habit {
    const fn with(self, value: &'static str) -> Self {
        Self {
            value: Some(value),
            ..self
        }
    }

    /// The flag as it is typed, in its shortest form.
    fn typed(&self) -> String {
        match self.short {
            Some(short) => format!("-{short}"),
            None => format!("--{}", self.long[0]),
        }
    }
}

/// The flags, in the order of knetstat(8).
pub const HABITS: [Habit; 40] = [
    habit('e', &["extended", "extend"], Effect::None),
    habit('W', &["wide"], Effect::None),
    long(&["tos"], Effect::None),
    long(&["inet-sockopt"], Effect::None),
    habit('O', &["oneline"], Effect::OneLine),
    habit('f', &["family", "protocol"], Effect::Families).with("FAMILY"),
    habit('A', &["query", "socket"], Effect::Tables).with("LIST"),
    long(
        &["options", "timers"],
        Effect::Refused("knetstat does not show timers; leave the flag out, or use ss -o"),
    ),
    habit(
        'm',
        &["memory"],
        Effect::Refused(
            "knetstat does not show memory, except the options SO_RCVBUF and SO_SNDBUF; use ss -m",
        ),
    ),
    habit(
        'i',
        &["info", "interfaces"],
        Effect::Refused(
            "knetstat shows settings, not measurements such as rtt and cwnd; use ss -i",
        ),
    ),
    habit(
        's',
        &["summary", "statistics"],
        Effect::Refused("use the command: knetstat summary"),
    ),
    habit(
        'r',
        &["resolve", "route"],
        Effect::Refused("knetstat shows addresses, not names of hosts; use ss -r"),
    ),
    habit(
        'b',
        &["bpf"],
        Effect::Refused(
            "knetstat shows whether a socket has a BPF program, not the program; use the filter \
            SO_ATTACH_FILTER, or ss -b",
        ),
    ),
    habit(
        'E',
        &["events"],
        Effect::Refused("use --watch, which shows what comes, goes and changes"),
    ),
    habit(
        'c',
        &["continuous"],
        Effect::Refused("use --watch, which shows what comes, goes and changes"),
    ),
    habit(
        'g',
        &["groups"],
        Effect::Refused("use a filter: knetstat -ua IP_ADD_MEMBERSHIP or IPV6_ADD_MEMBERSHIP"),
    ),
    habit(
        'Z',
        &["context"],
        Effect::Refused("knetstat does not show security contexts; use ss -Z"),
    ),
    habit(
        'z',
        &["contexts"],
        Effect::Refused("knetstat does not show security contexts; use ss -z"),
    ),
    habit(
        'K',
        &["kill"],
        Effect::Refused("knetstat closes no sockets; use ss -K"),
    ),
    habit(
        'Q',
        &["no-queues"],
        Effect::Refused("knetstat always shows the queues; use -o to choose columns"),
    ),
    habit(
        'B',
        &["bound-inactive"],
        Effect::Refused(
            "knetstat does not show bound sockets that neither listen nor connect; use ss -B",
        ),
    ),
    habit(
        'D',
        &["diag"],
        Effect::Refused("use the JSON output: knetstat --json > FILE"),
    )
    .with("FILE"),
    habit(
        'F',
        &["filter"],
        Effect::Refused("give the filter as an argument: knetstat \"$(cat FILE)\""),
    )
    .with("FILE"),
    habit(
        'M',
        &["mptcp", "masquerade"],
        Effect::Refused(
            "knetstat shows the subflows of MPTCP: knetstat -t TCP_IS_MPTCP; for the rest, use \
            ss -M",
        ),
    ),
    habit('w', &["raw"], OTHER_SOCKETS),
    habit('x', &["unix"], OTHER_SOCKETS),
    habit('0', &["packet"], OTHER_SOCKETS),
    habit('d', &["dccp"], OTHER_SOCKETS),
    habit('S', &["sctp"], OTHER_SOCKETS),
    habit('U', &["udplite"], OTHER_SOCKETS),
    long(&["vsock"], OTHER_SOCKETS),
    long(&["tipc"], OTHER_SOCKETS),
    long(&["tipcinfo"], OTHER_SOCKETS),
    long(&["xdp"], OTHER_SOCKETS),
    long(
        &["cgroup"],
        Effect::Refused("use the filter cgroup=PATH, or --all-netns with --json; see knetstat(8)"),
    ),
    long(
        &["bpf-maps"],
        Effect::Refused("knetstat does not show BPF maps; use ss --bpf-maps"),
    ),
    long(
        &["bpf-map-id"],
        Effect::Refused("knetstat does not show BPF maps; use ss --bpf-map-id"),
    )
    .with("ID"),
    long(
        &["symbolic"],
        Effect::Refused("knetstat shows no hardware; leave the flag out"),
    ),
    habit(
        'C',
        &["cache"],
        Effect::Refused("knetstat shows no routes; use ip route"),
    ),
    long(
        &["fib"],
        Effect::Refused("knetstat shows no routes; use ip route"),
    ),
];

/// Whether this is the long name of a flag that is answered with an error.
pub fn is_refused(flag: &str) -> bool {
    let name = flag.strip_prefix("--").unwrap_or(flag);
    let mut refused = HABITS
        .iter()
        .filter(|habit| matches!(habit.effect, Effect::Refused(_)));
    refused.any(|habit| habit.long.contains(&name))
}

/// The flags of ss and netstat on a command line.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    pub is_oneline: bool,
    /// The families that `-f` selects.
    pub families: Vec<Family>,
    /// The protocols that `-A` selects, if it was given.
    pub protocols: Option<Vec<Netid>>,
    /// The error for a flag that is answered.
    pub refused: Option<String>,
}

impl Habits {
    /// Notes an error, unless there is one already.
    fn refuse(&mut self, flag: &str, text: &str) {
        self.refused
            .get_or_insert_with(|| format!("{flag}: {text}"));
    }

    fn add_family(&mut self, name: &str) {
        match name {
            "inet" => self.families.push(Family::Inet),
            "inet6" => self.families.push(Family::Inet6),
            "link" | "unix" | "netlink" | "tipc" | "vsock" | "xdp" => {
                self.refuse(&format!("-f {name}"), ONLY);
            }
            _ => self.refuse(&format!("-f {name}"), "unknown family; use inet or inet6"),
        }
    }

    fn add_tables(&mut self, list: &str) {
        let mut protocols = self.protocols.take().unwrap_or_default();
        for name in list.split(',') {
            let (is_removed, table) = match name.strip_prefix('!') {
                Some(table) => (true, table),
                None => (false, name),
            };
            let named: &[Netid] = match table {
                "tcp" => &[Netid::Tcp],
                "udp" => &[Netid::Udp],
                // The tables that this command does not have are left out, as without flags.
                "all" | "inet" => &[Netid::Tcp, Netid::Udp],
                _ if is_removed => &[],
                "raw" | "dccp" | "sctp" | "mptcp" | "unix" | "packet" | "netlink" | "tipc"
                | "vsock" | "xdp" | "unix_stream" | "unix_dgram" | "unix_seqpacket"
                | "packet_raw" | "packet_dgram" | "vsock_stream" | "vsock_dgram" | "u_str"
                | "u_dgr" | "u_seq" | "p_raw" | "p_dgr" | "v_str" | "v_dgr" => {
                    self.refuse(&format!("-A {table}"), ONLY);
                    &[]
                }
                _ => {
                    self.refuse(
                        &format!("-A {table}"),
                        "unknown table; use tcp, udp or tcp,udp",
                    );
                    &[]
                }
            };
            protocols.retain(|protocol| !named.contains(protocol));
            if !is_removed {
                protocols.extend(named);
            }
        }
        self.protocols = Some(protocols);
    }
}

impl FromArgMatches for Habits {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut habits = Self::default();
        for habit in &HABITS {
            let id = habit.long[0];
            let values = || matches.get_many::<String>(id).into_iter().flatten();
            let is_given = match habit.value {
                None => matches.get_flag(id),
                Some(_) => values().next().is_some(),
            };
            if !is_given {
                continue;
            }
            match habit.effect {
                Effect::None => {}
                Effect::OneLine => habits.is_oneline = true,
                Effect::Families => values().for_each(|name| habits.add_family(name)),
                Effect::Tables => values().for_each(|list| habits.add_tables(list)),
                Effect::Refused(text) => habits.refuse(&habit.typed(), text),
            }
        }
        Ok(habits)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Habits {
    fn augment_args(command: Command) -> Command {
        HABITS.iter().fold(command, |command, habit| {
            let [id, aliases @ ..] = habit.long else {
                return command;
            };
            let action = match habit.value {
                None => ArgAction::SetTrue,
                Some(_) => ArgAction::Append,
            };
            let arg = Arg::new(*id)
                .long(*id)
                .aliases(aliases.iter().copied())
                .value_name(habit.value.unwrap_or("VALUE"))
                .action(action)
                .hide(true);
            command.arg(match habit.short {
                Some(short) => arg.short(short),
                None => arg,
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Cli;
    use clap::Parser;
    use std::collections::BTreeSet;

    fn habits(args: &[&str]) -> Habits {
        let cli = Cli::try_parse_from(std::iter::once(&"knetstat").chain(args));
        cli.unwrap_or_else(|err| panic!("{args:?}: {err}"))
            .list
            .habits
    }

    /// knetstat(8) lists each flag and no other.
    #[test]
    fn the_page_has_each_flag_and_no_other() {
        let page = include_str!("../../../../man/knetstat.8");
        let (_, section) = page.split_once(".Sh SS AND NETSTAT\n").unwrap();
        let (section, _) = section.split_once("\n.Sh ").unwrap();
        let items = section.lines().filter(|line| line.starts_with(".It Fl "));
        let found: Vec<_> = items.collect();
        let expected: Vec<_> = HABITS
            .iter()
            .map(|habit| {
                let value = habit
                    .value
                    .map_or(String::new(), |name| format!(" Ar {name}"));
                let short = habit.short.map(|short| format!("Fl {short}{value}"));
                let long = habit.long.iter().map(|name| {
                    let name = name.replace('-', "\\-");
                    format!("Fl Fl {name}{value}")
                });
                let names: Vec<_> = short.into_iter().chain(long).collect();
                format!(".It {}", names.join(" , "))
            })
            .collect();
        let set = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<_>>();
        let found: Vec<_> = found.into_iter().map(str::to_owned).collect();
        assert_eq!(found.len(), expected.len());
        assert_eq!(set(&found), set(&expected));
    }

    /// Each flag is accepted by all its names, before and after a command, and has its effect.
    #[test]
    fn each_flag_is_accepted_or_answered() {
        for habit in &HABITS {
            let short = habit.short.map(|short| format!("-{short}"));
            let long = habit.long.iter().map(|name| format!("--{name}"));
            for flag in short.into_iter().chain(long) {
                let mut args = vec![flag.as_str()];
                args.extend(habit.value.map(|_| match habit.effect {
                    Effect::Families => "inet",
                    _ => "tcp",
                }));
                let found = habits(&args);
                let refused = match habit.effect {
                    Effect::Refused(text) => Some(format!("{}: {text}", habit.typed())),
                    _ => None,
                };
                assert_eq!(found.refused, refused, "{flag}");
                assert_eq!(found.is_oneline, habit.effect == Effect::OneLine);
                let text = refused.unwrap_or_default();
                assert!(!text.contains('\n') && text.len() < 120, "{text}");
                let summary = [&["knetstat", "summary"], &args[..]].concat();
                assert!(Cli::try_parse_from(summary).is_ok(), "{flag}");
                // Twice is as good as once.
                assert!(Cli::try_parse_from([&["knetstat"], &args[..], &args].concat()).is_ok());
            }
        }
    }

    #[test]
    fn families_and_tables() {
        let files = |args: &[&str]| {
            let cli = Cli::try_parse_from(std::iter::once(&"knetstat").chain(args)).unwrap();
            let files = cli.list.files().into_iter();
            files.map(|file| file.name()).collect::<Vec<_>>().join(" ")
        };
        for (args, expected) in [
            (&["-f", "inet"][..], "udpstat tcpstat"),
            (&["-f", "inet6", "-t"], "tcp6stat"),
            (&["-finet", "--family=inet6", "-u"], "udpstat udp6stat"),
            (&["-4", "-f", "inet6", "-t"], "tcpstat tcp6stat"),
            (&["--inet", "-t"], "tcpstat"),
            (&["--inet6", "-t"], "tcp6stat"),
            (&["-A", "tcp"], "tcpstat tcp6stat"),
            (&["-A", "tcp,udp", "-4"], "udpstat tcpstat"),
            (&["-A", "tcp", "--socket=udp", "-4"], "udpstat tcpstat"),
            (&["--query=inet", "-4"], "udpstat tcpstat"),
            (&["-A", "all,!tcp", "-4"], "udpstat"),
            (&["-A", "inet,!raw", "-4"], "udpstat tcpstat"),
            (&["-A", "!udp"], ""),
        ] {
            assert_eq!(files(args), expected, "{args:?}");
            assert_eq!(habits(args).refused, None, "{args:?}");
        }
        for (args, text) in [
            (
                ["-f", "unix"],
                "-f unix: knetstat shows only TCP and UDP sockets; for others, use ss",
            ),
            (["-f", "inte"], "-f inte: unknown family; use inet or inet6"),
            (
                ["-A", "raw"],
                "-A raw: knetstat shows only TCP and UDP sockets; for others, use ss",
            ),
            (
                ["-A", "tpc"],
                "-A tpc: unknown table; use tcp, udp or tcp,udp",
            ),
        ] {
            assert_eq!(habits(&args).refused.as_deref(), Some(text));
        }
    }

    /// Clusters of flags that users of ss type.
    #[test]
    fn clusters() {
        for args in [
            &["-tulpen"][..],
            &["-tulpn"],
            &["-plant"],
            &["-tann"],
            &["-n", "-tn"],
            &["-tunapl", "-W"],
            &["-ttnn", "-4", "-4"],
            &[
                "--tcp",
                "--udp",
                "--listening",
                "--all",
                "--numeric",
                "--processes",
                "--no-header",
            ],
            &[
                "-t",
                "--inet",
                "--numeric-ports",
                "--program",
                "--extend",
                "--wide",
            ],
            &["-tanpeO", "state", "established", "-H"],
        ] {
            assert_eq!(habits(args).refused, None, "{args:?}");
        }
        assert!(habits(&["-tnm"]).refused.is_some());
        assert_eq!(habits(&["-tnm", "-i"]).refused, habits(&["-m"]).refused);
    }
}
