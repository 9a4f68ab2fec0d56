// SPDX-License-Identifier: GPL-2.0

//! Filters: those of ss(8), and tests of socket options.
//!
//! ```text
//! FILTER  = { ("state" | "exclude") [ "=" ] STATE } [ LIST ]
//! LIST    = NOT { [ "and" | "or" ] NOT }
//! NOT     = "not" NOT | "(" LIST ")" | TERM
//! TERM    = ("src" | "dst") [ "=" | "!=" ] HOST
//!         | ("sport" | "dport") [ OP ] PORT
//!         | "dev" [ "=" | "!=" ] DEVICE
//!         | "fwmark" [ "=" | "!=" ] MARK [ "/" MASK ]
//!         | "container" [ ( "=" | "!=" ) ID ]
//!         | "cgroup" [ "=" | "!=" ] PATH
//!         | "netns" [ "=" | "!=" ] NETNS
//!         | NAME [ OP VALUE ]
//! ```
//!
//! A list is evaluated from left to right, as in ss: `exprlist` of its `ssfilter.y` takes one
//! `expr` after the other, whichever word joins them. ss(8) says otherwise: that `and` binds
//! closer.
//!
//! Words are separated by blanks, as in ss. Brackets and operators need no blanks around them.

mod error;
mod expr;
mod flags;
mod host;
mod interface;
mod op;
mod parser;
mod protocol;
mod scope;
mod tokens;
mod value;

use crate::model::filter::error::Error;
use crate::model::filter::expr::Expr;
pub use crate::model::filter::expr::{KnownOwners, Part};
pub use crate::model::filter::parser::Filter;
pub use crate::model::filter::scope::Scope;
pub use crate::model::filter::value::Pattern;
use crate::model::glance::Glance;
use crate::model::row::{Row, State};
use crate::model::truth::Truth;
use crate::source::files::File;
use crate::source::services::Services;

impl Filter {
    pub fn parse(words: &[String], services: &Services) -> Result<Self, Error> {
        Self::parse_for(Scope::Own, words, services)
    }

    /// Parses a filter for sockets of these network namespaces.
    pub fn parse_for(scope: Scope, words: &[String], services: &Services) -> Result<Self, Error> {
        parser::parse(&words.join(" "), services, scope)
    }

    /// Whether it asks who has a local port, and nothing else.
    pub fn asks_for_local_port(&self) -> bool {
        self.expr.as_ref().is_some_and(Expr::asks_for_local_port)
    }

    /// Whether it tests addresses or ports.
    pub fn tests_endpoints(&self) -> bool {
        self.expr.as_ref().is_some_and(Expr::tests_endpoints)
    }

    /// The port that each row which passes has, at one of its endpoints.
    pub fn port(&self) -> Option<u16> {
        self.expr.as_ref().and_then(Expr::port)
    }

    /// Whether it tests processes or control groups, which a copy of the files does not contain.
    pub fn tests_owners(&self) -> bool {
        self.needs_owners || self.needs_cgroups
    }

    /// The parts of rows that it tests and that only some sockets have.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        if let Some(expr) = &self.expr {
            expr.add_parts(&mut parts);
        }
        parts
    }

    /// Whether a socket of this file in this state can pass the filter. Does not test the state.
    pub fn can_select(&self, file: File, state: State) -> bool {
        let expr = self.expr.as_ref();
        expr.is_none_or(|expr| expr.can_be_met(file, state) != Truth::False)
    }

    /// Whether a row passes the filter, as far as a glance shows. Does not test the state.
    pub fn glance(&self, glance: &Glance<'_>) -> Truth {
        let expr = self.expr.as_ref();
        expr.map_or(Truth::True, |expr| expr.glance(glance))
    }

    /// Whether a row passes the filter. Does not test the state.
    pub fn test(&self, row: &Row<'_>, owners: KnownOwners<'_>) -> Truth {
        let expr = self.expr.as_ref();
        expr.map_or(Truth::True, |expr| expr.test(row, owners))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::{LISTENER, TCP, TCP6, UDP};
    use crate::model::states::States;
    use crate::model::truth::Reason;
    use crate::source::files::Family;
    use crate::source::hosts::Hosts;
    use crate::source::namespaces::tests::example;
    use crate::source::process::Owner;
    use proptest::prelude::*;

    fn services() -> Services {
        Services::parse("ssh 22/tcp\nhttp 80/tcp\nhttp 80/udp\nodd 7/tcp\nodd 8/udp\n")
    }

    fn parse(text: &str) -> Result<Filter, Error> {
        Filter::parse(&[text.to_owned()], &services())
    }

    fn matches(filter: &str, file: File, line: &str) -> bool {
        let filter = parse(filter).unwrap_or_else(|err| panic!("{err}"));
        let row = Row::parse(file, line.as_bytes()).expect(line);
        let owner = Owner::new("nginx", 7, 3);
        filter
            .test(&row, KnownOwners::new(&[owner], false))
            .is_true()
    }

    const CONNECTION: &str = "0 0 192.0.2.1:22 198.51.100.7:40001 ESTB >| \
        SO_KEEPALIVE=1,TCP_KEEPIDLE=60,SO_RCVTIMEO=2000ms,SO_LINGER=0s,TCP_NODELAY=0,IP_TOS=0xb8,TCP_ULP=tls|version:1.3,uid=33,ino=5";
    const PLAIN: &str = "0 0 192.0.2.1:22 198.51.100.7:40001 ESTB SO_KEEPALIVE=1,uid=0,ino=5";
    const SILENT: &str = "0 0 192.0.2.1:22 198.51.100.7:40001 ESTB SO_KEEPALIVE=0,uid=0,ino=5";

    #[test]
    fn words_of_ss() {
        for (filter, expected) in [
            ("sport = :22", true),
            ("sport = :ssh", true),
            ("sport ssh", true),
            ("sport=22", true),
            ("( sport eq :22 )", true),
            ("(sport=:22)", true),
            ("sport != :22", false),
            ("sport!=22", false),
            ("dport > :40000 and dport < :40002", true),
            ("dport gt 40001", false),
            ("dport ge 40001 dport le 40001", true),
            ("dport geq 40002 or dport leq 40000", false),
            ("src 192.0.2.1", true),
            ("src = 192.0.2.0/24:22", true),
            ("src 192.0.2.0/24:23", false),
            ("src 192.0.2.1:ssh", true),
            ("src != 192.0.2.1", false),
            ("dst 198.51.100.0/29", true),
            ("dst 198.51.100.0/30", false),
            ("dst 0.0.0.0/0", true),
            ("dst ::/0", false),
            ("dst :40001", true),
            ("dst *:40001", true),
            ("dst *", true),
            ("not dst *:40001", false),
            ("! ! dst *:40001", true),
            ("sport = :1 or sport = :22 and dport = :1", false),
            // Evaluated from left to right. With precedence, it would be true.
            ("sport = :22 or sport = :22 and dport = :1", false),
            ("sport = :22 or sport = :22 dport = :1", false),
            ("dport = :1 and sport = :22 or sport = :22", true),
            ("sport = :22 or ( sport = :22 and dport = :1 )", true),
            ("not sport = :22 or sport = :22", true),
            ("( sport = :22 or sport = :22 ) dport = :1", false),
            ("sport = :22 | dport = :1", true),
            ("sport = :22 && dport = :1", false),
        ] {
            assert_eq!(matches(filter, TCP, CONNECTION), expected, "{filter}");
        }
    }

    /// Spellings that ss accepts.
    #[test]
    fn hosts_and_ports_of_ss() {
        for (filter, expected) in [
            ("src 192/8", true),
            ("src 192.0.2/24", true),
            ("src 192.0.2.0/255.255.255.0", true),
            ("src 192.0.2.0/255.255.255.255", false),
            ("src any", true),
            ("dst all:40001", true),
            ("dst default:1", false),
            ("src inet:192.0.2.1", true),
            ("src inet:192.0.2.1:22", true),
            ("src inet:*:22", true),
            ("src inet6:any", false),
            ("src inet6:any or src inet:any", true),
            ("sport = inet::22", true),
            ("sport = inet:22", true),
            ("sport = inet6::22", false),
            ("sport = :*", true),
            ("sport != *", false),
            ("sport = 0x16", true),
            ("src [192.0.2.1]:22", true),
            ("src here", true),
            ("src here:ssh", true),
            ("src there", false),
            ("dst both", true),
            ("dst != both", false),
            ("src inet:here", true),
            ("src 192.0.2.1%lo", false),
            ("dev lo", false),
            ("dev != lo", true),
            ("dev 0", true),
            ("dev 1", false),
            ("not dev = 1", true),
            ("SO_BINDTODEVICE=0", true),
            (r"\( sport = :22 \)", true),
            (r"\( sport = :22\) and \! dport = :22", true),
        ] {
            let mut services = services();
            services.hosts =
                Hosts::parse("192.0.2.1 here\n192.0.2.2 there\n198.51.100.7 both\n::1 both\n");
            let parsed = Filter::parse(&[filter.to_owned()], &services);
            let parsed = parsed.unwrap_or_else(|err| panic!("{filter}: {err}"));
            let row = Row::parse(TCP, CONNECTION.as_bytes()).unwrap();
            let owners = KnownOwners::new(&[], false);
            assert_eq!(parsed.test(&row, owners).is_true(), expected, "{filter}");
        }
        let bound = "0 0 fe80::1:22 fe80::2:80 ESTB SO_BINDTODEVICE=lo,SO_MARK=0x11,uid=0,ino=5";
        for (filter, expected) in [
            ("src [fe80::1]%lo", true),
            ("src [fe80::1]%1:22", true),
            ("src fe80::1%lo", true),
            ("src fe80::%lo/64", true),
            ("src [fe80::1%lo]:22", true),
            ("src fe80::1%lo:22", true),
            ("src fe80::1%lo:ssh", true),
            ("src fe80::1%lo:*", true),
            ("src fe80::1%lo:23", false),
            ("src fe80::%lo/64:22", true),
            ("src [fe80::%lo/64]:22", true),
            ("src [fe80::1]%lo:23", false),
            // Digits before an interface are no port.
            ("src fe80::1:22%lo", false),
            ("src fe80::1:22", true),
            ("src [fe80::1:22]", false),
            ("src [fe80::/64]:22", true),
            ("src [fe80::2]%lo", false),
            ("src *%lo", true),
            ("dst *%lo:22", false),
            ("dev lo", true),
            ("dev = 1", true),
            ("dev != lo", false),
            ("dev 0", false),
            ("fwmark = 0x11", true),
            ("fwmark 17", true),
            ("fwmark = 0x1/0xf", true),
            ("fwmark != 0x10/0x10", false),
            ("src inet6:[fe80::1]", true),
            ("src inet:any", false),
        ] {
            assert_eq!(matches(filter, TCP6, bound), expected, "{filter}");
        }
        let other = bound.replace("fe80::1:22", "fe80::a00:27ff:fe4e:6612:22");
        for (filter, expected) in [
            ("src fe80::a00:27ff:fe4e:6612%lo", true),
            ("src fe80::a00:27ff:fe4e:6612%lo:22", true),
            ("src [fe80::a00:27ff:fe4e:6612]", true),
            ("src fe80::a00:27ff:fe4e:6612%lo:23", false),
            ("src fe80::a00:27ff:fe4e:6612", false),
        ] {
            assert_eq!(matches(filter, TCP6, &other), expected, "{filter}");
        }
        let err = parse("src fe80::1%lo:abc").unwrap_err().what;
        assert_eq!(err, "\"abc\" is not a port");
        let family = |filter| parse(filter).unwrap().family;
        assert_eq!(
            family("src inet:any or src inet:127.0.0.1"),
            Some(Family::Inet)
        );
        assert_eq!(family("sport = inet6::22"), Some(Family::Inet6));
        assert_eq!(family("src inet:any or src inet6:any"), None);
        assert_eq!(family("src 127.0.0.1"), None);
    }

    /// The port without which no row passes.
    #[test]
    fn ports() {
        for (filter, expected) in [
            ("sport = :22", Some(22)),
            ("dst 10/8:443", Some(443)),
            ("uid=0 and ( TCP_NODELAY dport = :7 )", Some(7)),
            ("sport = :22 dport = :23", Some(22)),
            ("sport = :22 or dport = :22", None),
            ("not sport = :22", None),
            ("sport != :22", None),
            ("sport >= :22", None),
            // A row shows a missing port as `*`.
            ("dport = :0", None),
            ("dst 10/8", None),
            ("uid=0", None),
        ] {
            assert_eq!(parse(filter).unwrap().port(), expected, "{filter}");
        }
    }

    #[test]
    fn addresses_of_ipv6() {
        let line = "0 0 2001:db8::1:22 2001:db8::2:80 ESTB SO_KEEPALIVE=0,uid=0,ino=5";
        for (filter, expected) in [
            ("src 2001:db8::/32", true),
            ("src [2001:db8::]/32", true),
            ("src [2001:db8::1]:22", true),
            ("src [2001:db8::1]/128:22", true),
            // The last colon begins the port, as in ss.
            ("src 2001:db8::1:22", true),
            ("src 2001:db8::1:23", false),
            ("src [2001:db8::1]", true),
            ("src 2001:db8::1:abcd", false),
            ("src 2001:db9::/32", false),
            ("src 0.0.0.0/0", false),
        ] {
            assert_eq!(matches(filter, TCP6, line), expected, "{filter}");
        }
        let line = "0 0 ::ffff:192.0.2.1:22 ::ffff:192.0.2.7:80 ESTB SO_KEEPALIVE=0,uid=0,ino=5";
        assert!(matches("src 192.0.2.0/24 dst 192.0.2.7:80", TCP6, line));
        assert!(matches("src ::ffff:0:0/96", TCP6, line));
        assert!(!matches("src ::ffff:0:0/96", TCP, PLAIN));
    }

    #[test]
    fn options_beside_them() {
        for (filter, expected) in [
            ("TCP_NODELAY=0", true),
            ("tcp_nodelay = 0", true),
            ("TCP_NODELAY", false),
            ("not TCP_NODELAY", true),
            ("SO_KEEPALIVE", true),
            ("SO_KEEPALIVE TCP_KEEPIDLE<=60 TCP_KEEPIDLE>59", true),
            ("SO_RCVTIMEO=2000", true),
            ("SO_RCVTIMEO=2000ms", true),
            ("SO_RCVTIMEO=2s", true),
            ("TCP_KEEPIDLE=60s TCP_KEEPIDLE=60000ms", true),
            ("SO_RCVTIMEO", true),
            ("SO_LINGER", true),
            ("SO_LINGER=0s", true),
            ("SO_SNDTIMEO", false),
            ("SO_SNDTIMEO>0", false),
            ("IP_TOS=184", true),
            ("IP_TOS=0xb8", true),
            ("TCP_ULP=tls", true),
            ("TCP_ULP=tls|version:1.3", true),
            ("TCP_ULP=\"tls\"", true),
            ("TCP_ULP!=tls", false),
            ("TCP_ULP=mptcp", false),
            ("TCP_USER_TIMEOUT=0", true),
            ("TCP_QUICKACK", true),
            ("UDP_GRO=0", false),
            ("IPV6_V6ONLY=0", false),
            ("diag", true),
            ("diag=peer-window", true),
            ("diag!=peer-window", false),
            ("diag=no-ack", false),
            ("diag != own-window", true),
            ("not diag=own-window and diag", true),
            ("process=nginx", true),
            ("process!=nginx", false),
            ("process='a b'", false),
            ("pid=7 uid=33 ino=5", true),
            ("pid>7", false),
            ("backlog>0", false),
        ] {
            assert_eq!(matches(filter, TCP, CONNECTION), expected, "{filter}");
        }
        assert!(matches("backlog>=128 TCP_FASTOPEN", TCP, LISTENER));
        let group =
            "0 0 0.0.0.0:5 0.0.0.0:* IP_ADD_MEMBERSHIP=239.1.2.3%lo+224.0.0.251%lo,uid=0,ino=1";
        assert!(matches("IP_ADD_MEMBERSHIP=224.0.0.251", UDP, group));
        assert!(matches("IP_ADD_MEMBERSHIP=224.0.0.251%lo", UDP, group));
        assert!(!matches("IP_ADD_MEMBERSHIP=224.0.0.25", UDP, group));
    }

    /// The kernel's value is compared if keepalive is on. Nothing is compared without options.
    #[test]
    fn defaults_of_the_kernel() {
        let idle = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_keepalive_time").unwrap();
        let filter = format!("TCP_KEEPIDLE={}", idle.trim());
        assert!(matches(&filter, TCP, PLAIN));
        assert!(!matches(&filter, TCP, SILENT));
        assert!(!matches(
            "TCP_USER_TIMEOUT=0",
            TCP,
            "0 0 192.0.2.1:22 198.51.100.7:1 TIMW"
        ));
    }

    /// The kernel sets the ECN bits of a TCP socket by itself. Those of a UDP socket are the
    /// process's.
    #[test]
    fn traffic_classes() {
        let tcp = "0 0 192.0.2.1:22 198.51.100.7:40001 ESTB IP_TOS=0xba,uid=0,ino=5";
        let udp = "0 0 0.0.0.0:5 0.0.0.0:* IP_TOS=0xba,uid=0,ino=1";
        for (filter, of_tcp, of_udp) in [
            ("IP_TOS=0xb8", true, false),
            ("IP_TOS!=0xb8", false, true),
            ("IP_TOS=0xba", true, true),
            ("IP_TOS=ef", true, true),
            ("IP_TOS=0x2/0x3", true, true),
        ] {
            assert_eq!(matches(filter, TCP, tcp), of_tcp, "{filter}");
            assert_eq!(matches(filter, UDP, udp), of_udp, "{filter}");
        }
    }

    /// The kernel is asked for the values of a fresh socket. They may be typed as it returns them.
    #[test]
    fn options_that_are_not_set() {
        let fresh = "0 0 0.0.0.0:5 0.0.0.0:* SO_BROADCAST=0,uid=0,ino=1";
        for filter in [
            "SO_TIMESTAMPING=0",
            "SO_TXTIME=0",
            "SO_RCVTIMEO=0",
            "SO_BINDTODEVICE=0",
            "IP_UNICAST_IF=0",
            "IP_MULTICAST_IF=0.0.0.0",
            "IP_LOCAL_PORT_RANGE=0-0",
        ] {
            assert!(matches(filter, UDP, fresh), "{filter}");
            let unequal = filter.replace('=', "!=");
            assert!(!matches(&unequal, UDP, fresh), "{unequal}");
        }
        for filter in [
            "SO_TIMESTAMPING!=SOFTWARE",
            "SO_TXTIME!=CLOCK_REALTIME",
            "IP_MULTICAST_IF!=10.0.0.1",
        ] {
            assert!(matches(filter, UDP, fresh), "{filter}");
        }
    }

    /// A condition on something unknown is neither true nor false, and neither is its negation.
    #[test]
    fn what_is_not_known() {
        let truth = |filter: &str, line: &str, may_lack| {
            let filter = parse(filter).unwrap_or_else(|err| panic!("{err}"));
            let row = Row::parse(TCP, line.as_bytes()).expect(line);
            let known = [Owner::new("nginx", 7, 3)];
            let owners = KnownOwners::new(&known, may_lack);
            filter.test(&row, owners)
        };
        let old = "0 0 192.0.2.1:22 198.51.100.7:1 TIMW";
        let forgotten = Truth::unknown(Reason::Forgotten);
        for (filter, expected) in [
            ("TCP_NODELAY", forgotten),
            ("not TCP_NODELAY", forgotten),
            ("TCP_NODELAY=0", forgotten),
            ("TCP_NODELAY!=0", forgotten),
            ("TCP_USER_TIMEOUT", forgotten),
            ("TCP_KEEPIDLE>5", forgotten),
            ("uid=0", forgotten),
            ("uid!=0", forgotten),
            ("not uid=0", forgotten),
            ("TCP_NODELAY or sport = :22", Truth::True),
            ("TCP_NODELAY and sport = :23", Truth::False),
            ("TCP_NODELAY sport = :22", forgotten),
            // Such a socket has no backlog, and cannot be a UDP or IPv6 socket.
            ("backlog=0", Truth::False),
            ("TCP_FASTOPEN=0", Truth::False),
            ("UDP_GRO=0", Truth::False),
            ("not IPV6_V6ONLY", Truth::True),
            // No process has it open.
            ("ino=0", Truth::True),
        ] {
            assert_eq!(truth(filter, old, false), expected, "{filter}");
        }
        let owners = Truth::unknown(Reason::Owners);
        for (filter, expected) in [
            ("process=nginx", Truth::True),
            ("process!=nginx", Truth::False),
            ("process=sshd", owners),
            ("not process=sshd", owners),
            ("process!=sshd", owners),
            ("pid=7", Truth::True),
            ("pid!=8", owners),
            ("pid>7", owners),
        ] {
            assert_eq!(truth(filter, CONNECTION, true), expected, "{filter}");
        }
        // The MPTCP socket may have an option that its subflow lacks.
        let subflow = PLAIN.replace("uid=", "TCP_IS_MPTCP=1,uid=");
        let mptcp = Truth::unknown(Reason::Mptcp);
        for (filter, expected) in [
            ("TCP_INQ", mptcp),
            ("not TCP_INQ", mptcp),
            ("TCP_INQ=0", mptcp),
            ("SO_RCVTIMEO", mptcp),
            ("SO_KEEPALIVE", Truth::True),
            ("TCP_USER_TIMEOUT=0", Truth::True),
        ] {
            assert_eq!(truth(filter, &subflow, false), expected, "{filter}");
        }
        // The default of these options is not known, but the row would show them if they were set.
        let undisclosed = Truth::unknown(Reason::Undisclosed);
        assert_eq!(truth("SO_RCVBUF>64k", PLAIN, false), undisclosed);
        assert_eq!(truth("SO_RCVBUF", PLAIN, false), Truth::False);
    }

    /// The rows of connections lack these options even if they are set: the kernel writes the same
    /// field.
    #[test]
    fn options_that_the_kernel_writes() {
        const UDP_CONNECTION: &str = "0 0 192.0.2.1:5 198.51.100.7:6 SO_BROADCAST=0,uid=0,ino=1";
        const UNCONNECTED: &str = "0 0 0.0.0.0:5 0.0.0.0:* SO_BROADCAST=0,uid=0,ino=1";
        let undisclosed = Truth::unknown(Reason::Undisclosed);
        for (filter, file, line, expected) in [
            ("TCP_WINDOW_CLAMP", TCP, PLAIN, undisclosed),
            ("not TCP_WINDOW_CLAMP", TCP, PLAIN, undisclosed),
            ("TCP_WINDOW_CLAMP", TCP, LISTENER, Truth::False),
            ("TCP_WINDOW_CLAMP", UDP, UDP_CONNECTION, Truth::False),
            ("SO_INCOMING_CPU", TCP, PLAIN, undisclosed),
            ("not SO_INCOMING_CPU", TCP, PLAIN, undisclosed),
            ("SO_INCOMING_CPU", TCP, LISTENER, Truth::False),
            ("SO_INCOMING_CPU", UDP, UDP_CONNECTION, undisclosed),
            ("SO_INCOMING_CPU", UDP, UNCONNECTED, Truth::False),
        ] {
            let row = Row::parse(file, line.as_bytes()).unwrap();
            let found = parse(filter).unwrap().test(&row, KnownOwners::default());
            assert_eq!(found, expected, "{filter} on {line}");
        }
    }

    /// Network namespaces and control groups. What no process tells, those in the namespace tell if
    /// they agree.
    #[test]
    fn namespaces_and_containers() {
        let id = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970";
        let docker = format!("/system.slice/docker-{id}.scope");
        let nginx = "/system.slice/nginx.service";
        let truth = |filter: &str, of_owner: Option<&str>, of_netns: &[&str], may_lack| {
            let services = services();
            let filter = Filter::parse_for(Scope::All, &[filter.to_owned()], &services);
            let filter = filter.unwrap_or_else(|err| panic!("{err}"));
            let netns = example(Some(4_026_531_999), &["blue"], of_netns);
            let row = Row::parse(TCP, CONNECTION.as_bytes()).unwrap();
            let row = Row {
                netns: Some(&netns),
                ..row
            };
            let owner = of_owner.map(|path| Owner::new("a", 7, 3).in_cgroup(path));
            let owners = KnownOwners::new(owner.as_slice(), may_lack);
            filter.test(&row, owners)
        };
        for filter in [
            "container",
            &format!("container={id}"),
            "container=docker:4f797c539e6c",
            "container=4f79",
            "not container=lxc:web",
            "container!=lxc:web",
            "cgroup=/system.slice",
            "cgroup /sys/fs/cgroup/system.slice",
            "cgroup != /user.slice",
            "netns=4026531999",
            "netns!=4026531998",
        ] {
            let of = |owner, netns: &[&str], may_lack| truth(filter, owner, netns, may_lack);
            assert_eq!(of(Some(&docker), &[], false), Truth::True, "{filter}");
            assert_eq!(of(Some(&docker), &[nginx], false), Truth::True, "{filter}");
            assert_eq!(of(None, &[&docker], false), Truth::True, "{filter}");
        }
        for (filter, expected) in [
            ("container", Truth::False),
            ("container=nginx.service", Truth::True),
            ("container=nginx", Truth::False),
            ("cgroup=/system.slice/nginx.service", Truth::True),
            ("cgroup=/system.slice/ng", Truth::False),
            ("cgroup=/", Truth::True),
        ] {
            assert_eq!(
                truth(filter, Some(nginx), &[&docker], false),
                expected,
                "{filter}"
            );
        }
        let shared = Truth::unknown(Reason::Shared);
        let owners = Truth::unknown(Reason::Owners);
        for (filter, may_lack, expected) in [
            ("container", false, shared),
            ("not container", false, shared),
            ("container=nginx.service", false, shared),
            ("container=lxc:web", false, Truth::False),
            ("cgroup=/system.slice", false, Truth::True),
            ("container=lxc:web", true, owners),
            ("cgroup!=/system.slice", true, owners),
            ("netns=4026531998", true, Truth::False),
        ] {
            assert_eq!(
                truth(filter, None, &[&docker, nginx], may_lack),
                expected,
                "{filter}"
            );
        }
        // The host name of a container that could not be looked up is not known.
        let hostname = Truth::unknown(Reason::Hostname);
        for (filter, expected) in [
            ("container=web-1", hostname),
            ("container!=web-1", hostname),
            ("container=podman:4f797c539e6c", Truth::False),
            ("container='docker:4f797c539e6c(web-1)'", Truth::True),
        ] {
            let found = truth(filter, Some(&docker), &[], false);
            assert_eq!(found, expected, "{filter}");
        }
        assert_eq!(
            truth("container=web-1", Some(nginx), &[], false),
            Truth::False
        );
        assert_eq!(truth("container", None, &[], false), shared);
        // If this process may not see the inode, the answer is not known.
        let hidden = example(None, &[], &[]);
        let filter = ["netns=4026531999".to_owned()];
        let filter = Filter::parse_for(Scope::All, &filter, &services()).unwrap();
        let row = Row::parse(TCP, CONNECTION.as_bytes()).unwrap();
        let row = Row {
            netns: Some(&hidden),
            ..row
        };
        let owners = KnownOwners::new(&[], false);
        assert_eq!(filter.test(&row, owners), Truth::unknown(Reason::Netns));
        let unknown = Filter::parse_for(Scope::All, &["netns=nosuch".to_owned()], &services());
        let err = unknown.unwrap_err().to_string();
        assert!(
            err.starts_with("there is no network namespace \"nosuch\""),
            "{err}"
        );
        // Each namespace may have another interface of this index, or none of this name.
        for filter in [
            "dev 3",
            "dev != 3",
            "src *%3",
            "SO_BINDTODEVICE=3",
            "IP_UNICAST_IF=3",
            "IPV6_MULTICAST_IF=3",
            "IP_MULTICAST_IF=%3",
            "IP_ADD_MEMBERSHIP=224.0.0.251+224.0.0.252%3",
        ] {
            let index = Filter::parse_for(Scope::All, &[filter.to_owned()], &services());
            let err = index.unwrap_err().to_string();
            assert!(err.starts_with("the indexes of interfaces differ"), "{err}");
            let name = filter.replace('3', "nosuch");
            let name = Filter::parse_for(Scope::All, &[name], &services());
            assert!(name.is_ok(), "{filter}: {name:?}");
        }
    }

    /// A word behind an operator is a value, even if it is the spelling of an operator.
    #[test]
    fn values_that_look_like_operators() {
        let class = PLAIN.replace("uid=", "IP_TOS=0x4,uid=");
        for filter in [
            "IP_TOS=le",
            "IP_TOS eq le",
            "process!=eq",
            "process ne eq",
            "not process=le",
            "TCP_CONGESTION!=ge",
        ] {
            assert!(matches(filter, TCP, &class), "{filter}");
        }
        for filter in ["container=gt", "cgroup!=/le", "process=neq"] {
            assert!(parse(filter).is_ok(), "{filter}");
        }
    }

    #[test]
    fn local_ports() {
        for (filter, expected) in [
            ("sport = :22", true),
            (
                "src 10.0.0.1 and not ( sport < :22 or src 10.0.0.2:80 )",
                true,
            ),
            ("sport = :22 TCP_NODELAY", false),
            ("sport = :22 dst 10.0.0.1", false),
            ("src 10.0.0.1 dport = :22", false),
            ("dst 10.0.0.1:22", false),
            ("", false),
        ] {
            assert_eq!(
                parse(filter).unwrap().asks_for_local_port(),
                expected,
                "{filter}"
            );
        }
    }

    #[test]
    fn numbers_of_the_row() {
        let full = "3 128 0.0.0.0:22 0.0.0.0:* LSTN SO_REUSEADDR=1,backlog=2,uid=0,ino=7";
        for (filter, expected) in [
            ("recv-q > backlog", true),
            ("recv_q>backlog", true),
            ("recv-q<=backlog", false),
            ("send-q > 0 recv-q=3", true),
            ("send-q=0.125k", true),
            ("uid=root", true),
            ("uid!=root", false),
            ("ino=7 uid=0", true),
            ("backlog<1k", true),
        ] {
            assert_eq!(matches(filter, TCP, full), expected, "{filter}");
        }
        let line = CONNECTION;
        assert!(!matches("recv-q > backlog", TCP, line));

        let fresh = "0 0 0.0.0.0:5 0.0.0.0:* SO_BROADCAST=0,uid=0,ino=1";
        let full = "900 0 0.0.0.0:5 0.0.0.0:* SO_BROADCAST=0,drops=12,uid=0,ino=1";
        for (filter, of_full, of_fresh) in [
            ("drops=12", true, false),
            ("drops>10", true, false),
            ("drops < recv-q", true, false),
            ("drops=0", false, true),
            ("drops=0 SO_BROADCAST=0", false, true),
        ] {
            assert_eq!(matches(filter, UDP, full), of_full, "{filter}");
            assert_eq!(matches(filter, UDP, fresh), of_fresh, "{filter}");
            // TCP rows do not count them.
            assert!(!matches(filter, TCP, line), "{filter}");
        }
        for (filter, what) in [
            ("uid=no-such-user", "there is no user \"no-such-user\""),
            ("recv-q > x", "\"x\" is not a number"),
            ("recv-q", "recv-q takes an operator and a number"),
            ("pid=backlog", "pid takes a number"),
            ("uid=-1", "\"-1\" is not a value of uid\n    uid=-1\n        ^^\nexpected: a number from 0 to 4294967295"),
            ("uid=4294967296", "\"4294967296\" is not a value of uid"),
            ("pid=-5", "\"-5\" is not a value of pid"),
            ("pid=0x100000000", "\"0x100000000\" is not a value of pid"),
            ("recv-q > -1", "\"-1\" is not a value of recv-q"),
            ("drops=10g", "\"10g\" is not a value of drops"),
            ("ino=18446744073709551616", "\"18446744073709551616\" is not a value of ino"),
            ("fwmark = 0/0x100000000", "\"0/0x100000000\" is not a value of SO_MARK"),
        ] {
            let err = parse(filter).unwrap_err().to_string();
            assert!(err.starts_with(what), "{err}");
        }
    }

    #[test]
    fn states() {
        let states = |text| parse(text).unwrap().states;
        assert_eq!(states("sport 22"), None);
        assert_eq!(
            states("state established"),
            Some(States::of(State::Established))
        );
        assert_eq!(
            states("state ESTB state time-wait sport 22").unwrap().0,
            0b10_0001
        );
        assert_eq!(
            states("exclude listening exclude closed"),
            States::parse("connected")
        );
        assert_eq!(
            states("state connected excl syn-sent"),
            States::parse("synchronized")
        );
        assert_eq!(states("exclude bucket"), States::parse("big"));
        assert_eq!(states("state=LISTEN"), states("state listening"));
        assert!(!States::DEFAULT.has(State::TimeWait) && States::DEFAULT.has(State::SynSent));
    }

    #[test]
    fn errors_are_shown_at_their_place() {
        for (filter, shown) in [
            ("dport = :htpp", "\"htpp\" is not a port; did you mean http?\n    dport = :htpp\n            ^^^^^\n\
                expected: a number from 0 to 65535, or a name from /etc/services"),
            ("state establishd", "\"establishd\" is not a state; did you mean established?\n    \
                state establishd\n          ^^^^^^^^^^\nstates: established syn-sent"),
            ("TCP_NODELY=1", "unknown word or option \"TCP_NODELY\"; did you mean TCP_NODELAY or"),
            ("nodelay", "unknown word or option \"nodelay\"; did you mean TCP_NODELAY?"),
            ("sport = :22 state listening", "state must come before all other conditions"),
            ("(sport 22", "this bracket is not closed\n    (sport 22\n    ^"),
            ("sport 22 )", "this bracket was not opened\n    sport 22 )\n             ^"),
            ("sport", "a port is missing at the end\n    sport\n         ^"),
            ("sport = )", "a port is missing here\n    sport = )\n            ^"),
            ("sport 22 or", "a condition is missing at the end"),
            ("or sport 22", "or needs a condition before it\n    or sport 22\n    ^^"),
            ("sport 65536", "\"65536\" is not a port"),
            ("sport odd", "\"odd\" is the name of several ports\n    sport odd\n          ^^^\nuse a number: 7 or 8"),
            ("src 300.1.1.1", "\"300.1.1.1\" is not an address"),
            ("src 1.1.1.1/33", "\"1.1.1.1/33\" is not an address"),
            ("src > 1.1.1.1", "src takes only = or !=\n    src > 1.1.1.1\n        ^"),
            ("dev nosuch", "there is no interface \"nosuch\"\n    dev nosuch\n        ^^^^^^\n`ip link` lists"),
            ("dev > lo", "dev takes only = or !="),
            ("SO_BINDTODEVICE=nosuch", "there is no interface \"nosuch\"\n    SO_BINDTODEVICE=nosuch\n                    ^^^^^^\n\
                `ip link` lists"),
            ("IP_UNICAST_IF=nosuch", "there is no interface \"nosuch\""),
            ("IP_MULTICAST_IF=%nosuch", "there is no interface \"nosuch\""),
            ("IPV6_ADD_MEMBERSHIP=ff02::fb%nosuch", "there is no interface \"nosuch\""),
            ("dev sixteen-or-more!", "\"sixteen-or-more!\" is longer than the name of an interface"),
            ("src [fe80::1]%nosuch", "there is no interface \"nosuch\""),
            ("src [fe80::1]%", "\"[fe80::1]%\" is not an address"),
            ("fwmark = x", "\"x\" is not a value of SO_MARK"),
            ("fwmark = 3/1", "\"3/1\" is not a value of SO_MARK\n    fwmark = 3/1\n             ^^^\n\
                expected: a number or a number and a mask, which must have all bits of the number"),
            ("cgroup = a", "\"a\" is not a path that begins with /\n    cgroup = a\n             ^\nfor example: "),
            ("cgroup > /a", "cgroup takes only = or !="),
            ("container > a", "container takes only = or !="),
            ("netns = 5", "netns selects among all network namespaces; add --all-netns\n    netns = 5\n    ^^^^^"),
            ("not autobound", "the module does not report whether the kernel chose a port; use "),
            ("src unix:/run/x", "unix is not a family of TCP or UDP sockets; use ss"),
            ("dst nosuch:22", "cannot resolve the host \"nosuch\""),
            ("dst lo", "cannot resolve the host \"lo\": not known\n    dst lo\n        ^^\nfor an interface: dev lo"),
            ("dst 1.1.1.1,1.1.1.2", "\"1.1.1.1,1.1.1.2\" is not an address\n    dst 1.1.1.1,1.1.1.2\n        \
                ^^^^^^^^^^^^^^^\nfor several addresses: ( src 192.0.2.1 or"),
            ("dst not 1.1.1.1", "\"not\" is not an operator\n    dst not 1.1.1.1\n        ^^^\nuse dst != ..."),
            ("sport ! 22", "\"!\" is not an operator\n    sport ! 22\n          ^\nuse sport != ..."),
            ("sport => 22", "\"=>\" is not an operator\n    sport => 22\n          ^^\noperators: = != < > <= >="),
            ("TCP_KEEPIDLE =< 5", "\"=<\" is not an operator"),
            ("process = = a", "\"= =\" is not an operator"),
            ("process = !a", "\"= !\" is not an operator"),
            ("sport :22,23", "\"22,23\" is not a port\n    sport :22,23\n          ^^^^^^\nfor several ports: "),
            ("sport 22-25", "\"22-25\" is not a port\n    sport 22-25\n          ^^^^^\nfor a range: sport >="),
            ("sport 022", "the port 022 begins with 0\n    sport 022\n          ^^^\nuse 22; as an octal number, it is 18"),
            ("sport 0x10000", "\"0x10000\" is not a port"),
            ("sport > *", "\"*\" is not a port"),
            ("sport and", "a port is missing here"),
            ("state established or state listening", "\"or\" is not needed here: leave it out\n    \
                state established or state listening\n                      ^^\nstate A state B selects both"),
            ("state established and sport = :22", "\"and\" is not needed here: leave it out"),
            ("state established or sport = :22", "\"or\" cannot join a state with a condition"),
            ("state established,listening", "\"established,listening\" is a list; repeat state instead\n    \
                state established,listening\n          ^^^^^^^^^^^^^^^^^^^^^\nuse state established state listening"),
            ("state bound-inactive", "sockets that neither listen nor connect are in no file; use ss -B\n    state bound-"),
            ("state != listening", "a state has no such operator; use exclude instead"),
            ("not state listening", "state must come before all other conditions\n    not state listening\n        \
                ^^^^^\nfor example: exclude listening"),
            ("port 22", "unknown word or option \"port\"; did you mean sport or dport?"),
            (":22", "unknown word or option \":22\"; did you mean sport = :22 or dport = :22?"),
            ("ssh", "unknown word or option \"ssh\"; did you mean sport = :ssh or dport = :ssh?"),
            ("10.0.0.1", "unknown word or option \"10.0.0.1\"; did you mean src 10.0.0.1 or dst 10.0.0.1?"),
            ("[::1]:5", "unknown word or option \"[::1]:5\"; did you mean src [::1]:5 or dst [::1]:5?"),
            ("LISTEN", "unknown word or option \"LISTEN\"; did you mean state LISTEN?"),
            ("tcp", "unknown word or option \"tcp\"; did you mean the flag -t?"),
            ("tcp-nodelay", "unknown word or option \"tcp-nodelay\"; did you mean TCP_NODELAY?"),
            ("zzz", "unknown word or option \"zzz\"\n    zzz\n    ^^^\nexpected: state, "),
            ("not zzz", "unknown word or option \"zzz\"\n    not zzz\n        ^^^\nexpected: src, "),
            ("state listening zzz", "unknown word or option \"zzz\"\n    state listening zzz\n                    ^^^\n\
                expected: state, exclude, src, "),
            ("diag and", "a condition is missing at the end\n    diag and\n            ^\nexpected: src, "),
            ("(", "a condition is missing at the end\n    (\n     ^\nexpected: src, "),
            ("TCP_ULP>tls", "TCP_ULP is not a number, so it takes only = or !="),
            ("summary sport 22", "summary must be the first argument\n    summary sport 22\n    ^^^^^^^\nknetstat summary ..."),
            ("IP_TOS=5s", "\"5s\" is not a value of IP_TOS\n    IP_TOS=5s\n           ^^\nexpected: a code point such as ef, af11"),
            ("TCP_KEEPIDLE>long", "\"long\" is not a value of TCP_KEEPIDLE\n    TCP_KEEPIDLE>long\n                 ^^^^\nexpected: TCP_KEEPIDLE = seconds"),
            ("uid", "uid takes an operator and a number"),
            ("process", "process takes = or != and a name"),
            ("process=\"a", "this quotation mark is not closed"),
            ("ä ö", "unknown word or option \"ä\"\n    ä ö\n    ^\nexpected: state"),
        ] {
            let err = parse(filter).unwrap_err().to_string();
            assert!(err.starts_with(shown), "{filter}:\n{err}\nrather than\n{shown}");
        }
        let deep = "(".repeat(100_000);
        assert!(parse(&deep).is_err());
        assert!(parse(&"(".repeat(5000))
            .unwrap_err()
            .to_string()
            .starts_with("nested too deeply"));
        assert!(parse(&"not ".repeat(5000)).is_err());
        assert!(parse(&"sport 1 ".repeat(5000)).is_ok());
    }

    /// knetstat(8) quotes an error as it is printed.
    #[test]
    fn the_page_quotes_an_error() {
        let page = include_str!("../../../../../man/knetstat.8");
        let (_, example) = page.split_once("\n$ knetstat ").unwrap();
        let (example, _) = example.split_once("\n.Ed\n").unwrap();
        let (filter, error) = example.split_once("\nknetstat: ").unwrap();
        assert_eq!(parse(filter).unwrap_err().to_string(), error);
    }

    proptest! {
        #[test]
        fn any_text(text: String) {
            if let Err(err) = parse(&text) {
                let _ = err.to_string();
            }
        }

        #[test]
        fn any_words(words in prop::collection::vec(prop::sample::select(vec![
            "state", "exclude", "all", "src", "dst", "sport", "dev", "fwmark", "inet:", "lo", "0x1/0x3", "*%lo", "\\(", "=", "!=", ">", "(", ")", "not", "and", "or",
            "22", ":ssh", "[::1]:5", "1.2.3.4/8", "TCP_NODELAY", "SO_LINGER", "process", "pid", "'x'", "\"", "&", "|ü",
        ]), 0..12)) {
            if let Err(err) = parse(&words.join(" ")) {
                let _ = err.to_string();
            }
        }
    }
}
