// SPDX-License-Identifier: GPL-2.0

//! The text that `knetstat explain` prints about an option.

use crate::model::defaults::{Class, DefaultValue, Defaults};
use crate::model::options::{Info, Sockets, Unset};
use crate::source::files::{Family, File, Netid};
use std::fmt::Write;

/// The kinds of sockets, with their names in the text.
const SOCKETS: [(&str, Netid, Family); 4] = [
    ("TCP", Netid::Tcp, Family::Inet),
    ("TCP over IPv6", Netid::Tcp, Family::Inet6),
    ("UDP", Netid::Udp, Family::Inet),
    ("UDP over IPv6", Netid::Udp, Family::Inet6),
];

fn has(info: &Info, netid: Netid, family: Family) -> bool {
    info.sockets.iter().any(|sockets| match sockets {
        Sockets::Any => true,
        Sockets::Tcp | Sockets::Listener => netid == Netid::Tcp,
        Sockets::Udp => netid == Netid::Udp,
        Sockets::Inet6 => family == Family::Inet6,
        Sockets::Udp6 => (netid, family) == (Netid::Udp, Family::Inet6),
    })
}

/// The default, if it is known: `7200`, or `1; UDP over IPv6: 0`.
fn default_text(defaults: &Defaults) -> Option<String> {
    let info = defaults.info;
    let known = SOCKETS.iter().filter_map(|(title, netid, family)| {
        let (netid, family) = (*netid, *family);
        let value = defaults.of_class(None, Class::fresh(File { netid, family }));
        let text = match value {
            DefaultValue::Known { text, .. } => text.as_str(),
            DefaultValue::Nothing => "none",
            DefaultValue::Absent | DefaultValue::Unknown => return None,
        };
        has(info, netid, family).then_some((*title, text))
    });
    let known: Vec<_> = known.collect();
    let (_, first) = known.first()?;
    let mut text = (*first).to_owned();
    for (title, other) in known.iter().filter(|(_, other)| other != first) {
        let _ = write!(text, "; {title}: {other}");
    }
    if let Unset::Sysctl(path) = info.unset {
        let name = path.replace('/', ".");
        let _ = write!(text, " ({name})");
    }
    Some(text)
}

/// The text about an option: its value, what it does, and its default on this machine.
pub fn explanation(defaults: &Defaults) -> String {
    let info = defaults.info;
    let mut text = format!("{} = {}    ({})\n", info.name, info.value, info.level);
    for sentence in info.text {
        let _ = writeln!(text, "    {sentence}");
    }
    let _ = writeln!(
        text,
        "    Level {}, number {}.",
        info.level_number, info.number
    );
    if !info.also.is_empty() {
        let names: Vec<_> = info.also.iter().map(|(name, _)| *name).collect();
        let _ = writeln!(text, "    Other names: {}.", names.join(", "));
    }
    if let Some(default) = default_text(defaults) {
        let _ = writeln!(text, "    Default: {default}.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::options::{all, find};

    fn explain(info: &'static Info) -> String {
        explanation(&Defaults::new(info))
    }

    #[test]
    fn every_option_is_explained() {
        assert!(all().len() > 130, "{}", all().len());
        for info in all() {
            let text = explain(info);
            assert!(info.text.len() >= 2, "{text}");
            for left in ["\\", " Ns ", ".Li", ".Dv", ".Xr", " .", " ,", "Ar ", "Cm "] {
                assert!(!text.contains(left), "{left:?} is left in {text}");
            }
            // The page has the options one below the other, this text stands alone.
            for other in ["    The same", "likewise"] {
                assert!(
                    !text.contains(other),
                    "{other:?} refers to another option: {text}"
                );
            }
            let shown = ["All", "TCP", "Listeners", "UDP", "IPv6"];
            assert!(
                info.text
                    .iter()
                    .any(|line| shown.iter().any(|begin| line.starts_with(begin))),
                "{text}"
            );
        }
    }

    #[test]
    fn the_text_is_that_of_the_page() {
        let text = explain(find("tcp_keepidle").unwrap());
        assert!(
            text.starts_with(
                "TCP_KEEPIDLE = seconds    (IPPROTO_TCP)\n    \
                 Silence before the first probe; without it, net.ipv4.tcp_keepalive_time.\n    \
                 TCP: if set.\n"
            ),
            "{text}"
        );
        let value = |name| find(name).unwrap().value;
        assert_eq!(value("SO_RCVTIMEO"), "nms");
        assert_eq!(value("IP_LOCAL_PORT_RANGE"), "low-high");
        assert_eq!(value("SO_TXTIME"), "clock[|flag]");
        assert!(explain(find("SO_RCVBUF").unwrap()).contains("half of what getsockopt(2) returns."));
    }

    #[test]
    fn level_and_number() {
        let text = explain(find("TCP_USER_TIMEOUT").unwrap());
        assert!(text.contains("\n    Level 6, number 18.\n"), "{text}");
        let text = explain(find("SO_RCVBUF").unwrap());
        assert!(
            text.contains("\n    Other names: SO_RCVBUFFORCE.\n"),
            "{text}"
        );
    }

    #[test]
    fn defaults() {
        let last = |name| {
            let text = explain(find(name).unwrap());
            text.lines().last().unwrap().trim().to_owned()
        };
        assert_eq!(last("TCP_NODELAY"), "Default: 0.");
        assert_eq!(last("SO_LINGER"), "Default: none.");
        assert!(last("IP_MULTICAST_ALL").starts_with("Default: 1"));
        assert!(last("TCP_NOTSENT_LOWAT").ends_with(" (net.ipv4.tcp_notsent_lowat)."));
        assert!(!last("SO_RCVBUF").starts_with("Default"));
    }
}
