// SPDX-License-Identifier: GPL-2.0

//! The defaults of options. A socket has the default of an option that its row lacks.
//!
//! The kernel reports defaults: getsockopt(2) is called on a fresh socket of the same protocol and
//! family, in the network namespace of this process. `man/options.txt` has the defaults that the
//! kernel does not report.
//!
//! A fresh socket neither listens nor is connected. listen(2) changes no option except
//! TCP_FASTOPEN, which the row of every listener shows. `man/options.txt` marks the options that
//! connect(2) changes.

use crate::model::options::{self, number, Answer, Info, Unset};
use crate::model::row::Row;
use crate::model::truth::Reason;
use crate::source::files::{Family, File, Netid};
use crate::source::fresh::{sysctl, FreshSocket, Refusal};
use crate::source::namespaces::Netns;
use crate::source::rights;
use elsa::FrozenVec;
use std::cell::{Cell, OnceCell};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;

/// A default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    Known {
        /// The value as a row would show it.
        text: String,
        /// The value as a number, if it is one.
        number: Option<i128>,
    },
    /// There is no value: no timeout, no limit, no group.
    Nothing,
    /// This kernel does not have the option.
    Absent,
    /// The default is not known. It must not be taken for 0.
    Unknown,
}

impl DefaultValue {
    fn known(text: String) -> Self {
        let number = number(&text);
        Self::Known { text, number }
    }

    pub fn number(&self) -> Option<i128> {
        match self {
            Self::Known { number, .. } => *number,
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Known { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// The value of an option, as far as the row of a socket shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting<'a> {
    /// The value, which the row shows, or which is the default.
    Value(&'a str),
    /// There is no value: no timeout, no limit, no group.
    Nothing,
    /// Such a socket does not have the option, or it has no effect there.
    Inapplicable,
    /// The value is not known.
    Unknown(Reason),
}

/// A class of sockets that all have the same defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    pub file: File,
    pub is_connected: bool,
    /// Whether the local address is an IPv6 address other than `::`.
    pub has_ipv6_address: bool,
}

/// The number of classes.
const CLASSES: usize = 16;

impl Class {
    /// The class of a fresh socket.
    pub fn fresh(file: File) -> Self {
        Self {
            file,
            is_connected: false,
            has_ipv6_address: false,
        }
    }

    fn of(row: &Row<'_>) -> Self {
        Self {
            file: row.file,
            is_connected: row.state.is_connected(),
            has_ipv6_address: match row.local.address {
                IpAddr::V6(v6) => !v6.is_unspecified() && v6.to_ipv4_mapped().is_none(),
                IpAddr::V4(_) => false,
            },
        }
    }

    fn index(self) -> usize {
        let bits = [
            self.file.netid == Netid::Udp,
            self.file.family == Family::Inet6,
            self.is_connected,
            self.has_ipv6_address,
        ];
        bits.iter()
            .fold(0, |index, bit| (index << 1) | usize::from(*bit))
    }
}

/// The defaults of an option in each class. The kernel is asked for each when it is needed, once in each
/// round.
pub struct Defaults {
    pub info: &'static Info,
    /// The number of the round.
    round: Cell<u64>,
    /// The defaults in the network namespace of this process. Others keep them with their namespace.
    own: InNetns,
    /// Whether the option counts as hidden, even if a row shows it.
    is_withheld: Cell<bool>,
    failure: OnceCell<String>,
}

impl fmt::Debug for Defaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Defaults").field(&self.info.name).finish()
    }
}

/// The defaults in a network namespace.
#[derive(Debug, Default)]
struct InNetns {
    values: [Asked; CLASSES],
    /// The reason why the row of a socket that has set the option may lack it, if there is one.
    concealed: OnceCell<Option<Reason>>,
}

/// A default that the kernel is asked for again in each round, because a sysctl may have changed it.
#[derive(Default)]
struct Asked {
    /// The different values in their order. The last one counts; others may still be in use.
    values: FrozenVec<Box<DefaultValue>>,
    /// The round in which the kernel was asked last.
    round: Cell<u64>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Asked").field(&self.values.last()).finish()
    }
}

impl Asked {
    /// The value in a round.
    fn value(&self, round: u64, ask: impl FnOnce() -> DefaultValue) -> &DefaultValue {
        let last = self.values.last();
        if let Some(last) = last.filter(|_| self.round.get() == round) {
            return last;
        }
        let now = ask();
        self.round.set(round);
        match last {
            Some(last) if *last == now => last,
            _ => self.values.push_get(Box::new(now)),
        }
    }
}

impl Defaults {
    pub fn new(info: &'static Info) -> Self {
        Self {
            info,
            round: Cell::new(0),
            own: InNetns::default(),
            is_withheld: Cell::new(false),
            failure: OnceCell::new(),
        }
    }

    /// The value of the option, as far as a row shows it.
    pub fn on<'a>(&'a self, row: &Row<'a>) -> Setting<'a> {
        let shown = row.options.get(self.info.name);
        if let Some(shown) = shown.filter(|_| !self.is_withheld.get()) {
            return Setting::Value(shown);
        }
        let is_of = self.info.is_of(row);
        let is_tcp = row.file.netid == Netid::Tcp;
        let is_kept = is_tcp && self.info.is_kept_from_connections();
        if !is_of && !is_kept {
            return Setting::Inapplicable;
        }
        if !row.has_options() {
            return Setting::Unknown(Reason::Forgotten);
        }
        if !is_of {
            return Setting::Unknown(Reason::Undisclosed);
        }
        if self.info.is_on_mptcp_socket && row.options.get("TCP_IS_MPTCP") == Some("1") {
            return Setting::Unknown(Reason::Mptcp);
        }
        if let Some(reason) = self.concealed(row.entered()) {
            return Setting::Unknown(reason);
        }
        if !self.info.has_effect(row) {
            return Setting::Inapplicable;
        }
        match self.of(row) {
            DefaultValue::Known { text, .. } => Setting::Value(text),
            DefaultValue::Nothing => Setting::Nothing,
            DefaultValue::Absent => Setting::Inapplicable,
            DefaultValue::Unknown => Setting::Unknown(Reason::Undisclosed),
        }
    }

    fn within<'a>(&'a self, netns: Option<&'a Rc<Netns>>) -> &'a InNetns {
        let of_netns = netns.and_then(|netns| netns.answers.of(self.info.index));
        of_netns.unwrap_or(&self.own)
    }

    /// Begins a round: the kernel is asked again.
    pub fn renew(&self) {
        self.round.set(self.round.get() + 1);
    }

    /// Takes the option for hidden, whatever rows show: in one of several reads, it was.
    pub fn withhold(&self) {
        self.is_withheld.set(true);
    }

    pub fn is_withheld(&self) -> bool {
        self.is_withheld.get()
    }

    /// The reason why a row of this network namespace may lack the option although it is set.
    fn concealed(&self, netns: Option<&Rc<Netns>>) -> Option<Reason> {
        if self.is_withheld() {
            return Some(Reason::Hidden);
        }
        if !self.info.is_hidden_here() {
            return None;
        }
        let reason = || {
            let is_net_admin = match netns.map(|netns| netns.handle()) {
                None => rights::is_net_admin(),
                Some(Ok(handle)) => rights::is_net_admin_over(&handle),
                Some(Err(err)) if err.kind() == io::ErrorKind::NotFound => {
                    return Some(Reason::Gone)
                }
                Some(Err(_)) => false,
            };
            (!is_net_admin).then_some(Reason::Hidden)
        };
        *self.within(netns).concealed.get_or_init(reason)
    }

    /// The default of the socket in this row.
    pub fn of<'a>(&'a self, row: &Row<'a>) -> &'a DefaultValue {
        self.of_class(row.entered(), Class::of(row))
    }

    /// The default of the sockets of a class in a network namespace, or in that of this process.
    pub fn of_class<'a>(&'a self, netns: Option<&'a Rc<Netns>>, class: Class) -> &'a DefaultValue {
        let value = &self.within(netns).values[class.index()];
        value.value(self.round.get(), || {
            let info = self.info;
            let found = match netns {
                None => Ok(find(info, class)),
                Some(netns) => netns.within(|| find(info, class)),
            };
            match found {
                Ok(Ok(value)) => value,
                Ok(Err(failure)) => {
                    self.failure.get_or_init(|| failure);
                    DefaultValue::Unknown
                }
                // This process may not enter the namespace, or it is gone.
                Err(_) => DefaultValue::Unknown,
            }
        })
    }

    /// The reason why defaults are unknown, if no fresh socket could be created.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }
}

/// The options of rows that differ from their defaults.
#[derive(Debug)]
pub struct Differences(Vec<OnceCell<Box<Defaults>>>);

impl Default for Differences {
    fn default() -> Self {
        Self(options::all().iter().map(|_| OnceCell::new()).collect())
    }
}

impl Differences {
    /// See [`Defaults::renew`].
    pub fn renew(&self) {
        let known = self.0.iter().filter_map(OnceCell::get);
        known.for_each(|defaults| defaults.renew());
    }

    /// Whether a row shows this value of an option although it is the default.
    fn is_default(&self, row: &Row<'_>, name: &str, value: &str) -> bool {
        let Some(info) = options::by_name(name) else {
            return false;
        };
        let defaults = self.0[info.index].get_or_init(|| Box::new(Defaults::new(info)));
        match defaults.of(row) {
            DefaultValue::Known { text, number: n } => {
                text == value || (n.is_some() && *n == info.number(value))
            }
            // There is no default to compare with, so the row shows the option.
            DefaultValue::Nothing | DefaultValue::Absent | DefaultValue::Unknown => false,
        }
    }

    /// The list of a row without the options that have their defaults, except those that were
    /// `asked` for, and without those that `is_elsewhere`.
    pub fn of(
        &self,
        row: &Row<'_>,
        asked: &[Rc<Defaults>],
        is_elsewhere: impl Fn(&str) -> bool,
    ) -> String {
        let is_asked = |name| asked.iter().any(|defaults| defaults.info.name == name);
        let options = row.options.iter().filter(|(name, _)| !is_elsewhere(name));
        let kept =
            options.filter(|(name, value)| is_asked(*name) || !self.is_default(row, name, value));
        let entries = kept.map(|(name, value)| format!("{name}={value}"));
        entries.collect::<Vec<_>>().join(",")
    }
}

/// The default of the sockets of a class in the network namespace of this thread.
///
/// # Errors
///
/// The reason why defaults are unknown, if no fresh socket could be created.
fn find(info: &Info, class: Class) -> Result<DefaultValue, String> {
    Ok(match info.unset {
        Unset::Value(text) => DefaultValue::known(text.to_owned()),
        Unset::Sysctl(path) => match sysctl(path) {
            Ok(text) => DefaultValue::known(text),
            Err(_) => DefaultValue::Unknown,
        },
        Unset::Nothing => DefaultValue::Nothing,
        Unset::Unknown => DefaultValue::Unknown,
        Unset::Asked { .. } if info.is_unknown_if_connected && class.is_connected => {
            DefaultValue::Unknown
        }
        Unset::Asked { answer } => {
            let ask = |is_bound| ask(info, class.file, is_bound, answer);
            if !info.is_set_by_bind || !class.has_ipv6_address {
                return ask(false);
            }
            let bound = ask(true)?;
            // Either bind(2) or connect(2) may have set the address of a connection.
            match class.is_connected && bound != ask(false)? {
                true => DefaultValue::Unknown,
                false => bound,
            }
        }
    })
}

fn ask(info: &Info, file: File, is_bound: bool, answer: Answer) -> Result<DefaultValue, String> {
    let File { netid, family } = file;
    let fresh = FreshSocket {
        netid,
        family,
        is_bound,
    };
    match fresh.getsockopt(info.level_number, info.number) {
        Ok(bytes) => Ok(decode(answer, &bytes)),
        Err(Refusal::NoAnswer(err)) if means_absent(&err) => Ok(DefaultValue::Absent),
        Err(Refusal::NoAnswer(_)) => Ok(DefaultValue::Unknown),
        Err(Refusal::NoSocket(err)) => {
            let family = match family {
                Family::Inet => "IPv4",
                Family::Inet6 => "IPv6",
            };
            let netid = netid.name().to_ascii_uppercase();
            Err(format!(
                "cannot create a {netid} socket over {family}, so the defaults of such sockets are \
                unknown: {err}"
            ))
        }
    }
}

/// Whether an error of getsockopt(2) means that the socket does not have the option. EOPNOTSUPP is
/// that of a level of another protocol, and of SO_PEEK_OFF on TCP sockets before Linux 6.9.
fn means_absent(err: &io::Error) -> bool {
    matches!(
        err.raw_os_error(),
        Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP)
    )
}

/// The value in an answer of getsockopt(2), as a row would show it.
fn decode(answer: Answer, bytes: &[u8]) -> DefaultValue {
    let int = |at: usize| {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(i32::from_ne_bytes(bytes))
    };
    let long = |at: usize| {
        let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
        Some(i64::from_ne_bytes(bytes))
    };
    let text = match (answer, bytes.len()) {
        // A filter without instructions, or a header without bytes.
        (Answer::Decimal, 0) => Some("0".to_owned()),
        (Answer::Decimal, 4) => int(0).map(|n| n.to_string()),
        (Answer::Decimal, 8) => long(0).map(|n| n.to_string()),
        (Answer::Hexadecimal, 4) => int(0).map(|n| format!("{n:#x}")),
        (Answer::Time, _) => match (long(0), long(8)) {
            (Some(0), Some(0)) => return DefaultValue::Nothing,
            (Some(seconds), Some(micros)) => Some(format!(
                "{}ms",
                i128::from(seconds) * 1000 + i128::from(micros) / 1000
            )),
            _ => None,
        },
        (Answer::Linger, _) => match (int(0), int(4)) {
            (Some(0), _) => return DefaultValue::Nothing,
            (Some(_), Some(seconds)) => Some(format!("{seconds}s")),
            _ => None,
        },
        (Answer::Name, _) => {
            let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            if name.is_empty() {
                return DefaultValue::Nothing;
            }
            String::from_utf8(name.to_vec()).ok()
        }
        (Answer::Other, _) if bytes.iter().all(|byte| *byte == 0) => return DefaultValue::Nothing,
        _ => None,
    };
    text.map_or(DefaultValue::Unknown, DefaultValue::known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::options::{all, by_name, is_one_of};
    use crate::model::row::tests::{TCP, TCP6, UDP, UDP6};
    use crate::model::row::State;
    use crate::source::rights::tests::unshared;

    fn known(text: &str) -> DefaultValue {
        DefaultValue::known(text.to_owned())
    }

    #[test]
    fn answers_as_rows_show_them() {
        let ints =
            |ints: &[i32]| -> Vec<u8> { ints.iter().flat_map(|n| n.to_ne_bytes()).collect() };
        let longs =
            |longs: &[i64]| -> Vec<u8> { longs.iter().flat_map(|n| n.to_ne_bytes()).collect() };
        for (answer, bytes, expected) in [
            (Answer::Decimal, ints(&[-1]), known("-1")),
            (Answer::Decimal, longs(&[7]), known("7")),
            (Answer::Decimal, vec![], known("0")),
            (Answer::Decimal, vec![1], DefaultValue::Unknown),
            (Answer::Hexadecimal, ints(&[0xb8]), known("0xb8")),
            (Answer::Time, longs(&[0, 0]), DefaultValue::Nothing),
            (Answer::Time, longs(&[1, 500_000]), known("1500ms")),
            (Answer::Time, ints(&[1]), DefaultValue::Unknown),
            (Answer::Linger, ints(&[0, 5]), DefaultValue::Nothing),
            (Answer::Linger, ints(&[1, 5]), known("5s")),
            (Answer::Name, b"cubic\0\0\0".to_vec(), known("cubic")),
            (Answer::Name, vec![], DefaultValue::Nothing),
            (Answer::Other, vec![0; 8], DefaultValue::Nothing),
            (Answer::Other, vec![], DefaultValue::Nothing),
            (Answer::Other, vec![1], DefaultValue::Unknown),
        ] {
            assert_eq!(decode(answer, &bytes), expected, "{answer:?} {bytes:?}");
        }
        assert_eq!(known("0xb8").number(), Some(184));
        assert_eq!(known("cubic").number(), None);
    }

    #[test]
    fn errors_that_mean_absent() {
        let means_absent = |errno| means_absent(&io::Error::from_raw_os_error(errno));
        assert!(means_absent(libc::ENOPROTOOPT) && means_absent(libc::EOPNOTSUPP));
        assert!(!means_absent(libc::EPERM) && !means_absent(libc::EINVAL));
    }

    fn default_of(name: &str, class: Class) -> DefaultValue {
        Defaults::new(by_name(name).unwrap())
            .of_class(None, class)
            .clone()
    }

    /// Defaults are those of the kernel's documentation.
    #[test]
    fn defaults_of_this_kernel() {
        let fresh = Class::fresh;
        let sysctl = |path| known(&sysctl(path).unwrap());
        for (name, class, expected) in [
            ("TCP_NODELAY", fresh(TCP), known("0")),
            ("IP_MULTICAST_LOOP", fresh(UDP), known("1")),
            ("SO_RCVLOWAT", fresh(UDP), known("1")),
            ("IP_TOS", fresh(TCP), known("0x0")),
            ("SO_LINGER", fresh(TCP), DefaultValue::Nothing),
            ("SO_RCVTIMEO", fresh(UDP), DefaultValue::Nothing),
            ("SO_BINDTODEVICE", fresh(UDP), DefaultValue::Nothing),
            ("SO_ATTACH_FILTER", fresh(UDP), known("0")),
            ("SO_ATTACH_BPF", fresh(UDP), known("0")),
            ("SO_RCVBUF", fresh(TCP), DefaultValue::Unknown),
            ("TCP_NODELAY", fresh(UDP), DefaultValue::Absent),
            (
                "TCP_KEEPIDLE",
                fresh(TCP),
                sysctl("net/ipv4/tcp_keepalive_time"),
            ),
            (
                "TCP_CONGESTION",
                fresh(TCP),
                sysctl("net/ipv4/tcp_congestion_control"),
            ),
            (
                "TCP_NOTSENT_LOWAT",
                fresh(TCP),
                sysctl("net/ipv4/tcp_notsent_lowat"),
            ),
        ] {
            assert_eq!(default_of(name, class), expected, "{name} {class:?}");
        }
    }

    /// The kernel runs a program for each new socket of a control group, which may set these options:
    /// BPF_CGROUP_INET_SOCK_CREATE. A fresh socket then does not have the defaults.
    #[test]
    fn options_that_a_control_group_sets() {
        for (name, unset) in [
            ("SO_BINDTODEVICE", Unset::Nothing),
            ("SO_MARK", Unset::Value("0x0")),
            ("SO_PRIORITY", Unset::Value("0")),
        ] {
            let info = by_name(name).unwrap();
            assert_eq!(info.unset, unset, "{name}");
            // The row shows the option whenever it is set.
            assert!(!info.is_always_shown && !info.is_on_mptcp_socket && !info.is_set_by_bind);
        }
    }

    #[test]
    fn defaults_of_ipv6() {
        let fresh = Class::fresh(UDP6);
        if FreshSocket::getsockopt(
            FreshSocket {
                netid: Netid::Udp,
                family: Family::Inet6,
                is_bound: true,
            },
            libc::SOL_SOCKET,
            libc::SO_TYPE,
        )
        .is_err()
        {
            eprintln!("skipped: no IPv6");
            return;
        }
        let bindv6only = known(&sysctl("net/ipv6/bindv6only").unwrap());
        for file in [TCP6, UDP6] {
            let class = Class::fresh(file);
            assert_eq!(default_of("IPV6_V6ONLY", class), bindv6only);
            let bound = Class {
                has_ipv6_address: true,
                ..class
            };
            assert_eq!(default_of("IPV6_V6ONLY", bound), known("1"));
            let connected = Class {
                is_connected: true,
                ..bound
            };
            let expected = match bindv6only.text() {
                Some("1") => known("1"),
                _ => DefaultValue::Unknown,
            };
            assert_eq!(default_of("IPV6_V6ONLY", connected), expected);
        }
        let connected = Class {
            is_connected: true,
            ..fresh
        };
        assert!(default_of("IPV6_UNICAST_HOPS", fresh).number().is_some());
        assert_eq!(
            default_of("IPV6_UNICAST_HOPS", connected),
            DefaultValue::Unknown
        );
        assert_eq!(default_of("IP_MULTICAST_ALL", fresh), known("0"));
        assert_eq!(default_of("IPV6_MULTICAST_ALL", fresh), known("1"));
    }

    /// The kernel writes the fields of these options on connections, so rows of connections lack
    /// them: that is not known, and not "no".
    #[test]
    fn values_that_the_kernel_writes() {
        const CONNECTION: &str = "0 0 10.0.0.1:7 10.0.0.2:9 ESTB A=1,uid=0,ino=5";
        const LISTENER: &str = "0 0 10.0.0.1:7 0.0.0.0:* LSTN A=1,uid=0,ino=5";
        for name in ["SO_INCOMING_CPU", "TCP_WINDOW_CLAMP"] {
            let defaults = Defaults::new(by_name(name).unwrap());
            let on =
                |file, line: &str| match defaults.on(&Row::parse(file, line.as_bytes()).unwrap()) {
                    Setting::Unknown(reason) => format!("{reason:?}"),
                    Setting::Inapplicable => "inapplicable".to_owned(),
                    Setting::Nothing => "nothing".to_owned(),
                    Setting::Value(text) => text.to_owned(),
                };
            assert_eq!(on(TCP, CONNECTION), "Undisclosed", "{name}");
            assert_eq!(
                on(TCP, &CONNECTION.replace(" A=1,uid=0,ino=5", "")),
                "Forgotten",
                "{name}"
            );
            assert_ne!(on(TCP, LISTENER), "Undisclosed", "{name}");
        }
        let fastopen = Defaults::new(by_name("TCP_FASTOPEN").unwrap());
        let row = Row::parse(TCP, CONNECTION.as_bytes()).unwrap();
        assert!(matches!(fastopen.on(&row), Setting::Inapplicable));
    }

    /// If the kernel does not report a default, `man/options.txt` must have it.
    #[test]
    fn all_flags_and_numbers_have_a_default_on_some_socket() {
        // This kernel may lack options of newer kernels, and may lack IPv6.
        let may_be_unknown = |info: &Info| {
            info.unset == Unset::Unknown
                || info.text.iter().any(|text| text.contains("ernels"))
                || info
                    .text
                    .iter()
                    .any(|text| text.contains("ot every kernel"))
                || info.level == "IPPROTO_IPV6"
        };
        for info in all().iter().filter(|info| !may_be_unknown(info)) {
            let defaults = Defaults::new(info);
            let has_it = |file, state| {
                let mut sockets = info.sockets.iter();
                sockets.any(|sockets| is_one_of(file, state, *sockets))
            };
            let files = [(TCP, State::Listen), (UDP, State::Close)];
            let files = files.iter().filter(|(file, state)| has_it(*file, *state));
            let mut found = files.map(|(file, _)| defaults.of_class(None, Class::fresh(*file)));
            let is_known = found.any(|value| *value != DefaultValue::Unknown);
            assert!(is_known, "{}", info.name);
        }
    }

    /// knetstat(8) lists the options whose default the kernel does not report.
    #[test]
    fn the_page_has_each_exception() {
        let page = include_str!("../../../../man/knetstat.8");
        let (_, section) = page
            .split_once(".Ss Options that are not in a row\n")
            .unwrap();
        let (section, _) = section.split_once(".El\n").unwrap();
        let items = section.lines().filter_map(|line| line.strip_prefix(".It "));
        let mut found: Vec<_> = items.flat_map(|names| names.split(" , ")).collect();
        let is_exception = |info: &&Info| {
            !matches!(info.unset, Unset::Asked { .. })
                || info.needs.is_some()
                || info.is_set_by_bind
                || info.is_unknown_if_connected
        };
        let exceptions = all().iter().filter(is_exception);
        let mut expected: Vec<_> = exceptions.map(|info| info.name).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    /// The kernel is asked once in each round. A value that is in use remains.
    #[test]
    fn rounds() {
        let asked = Asked::default();
        let first = asked.value(0, || known("1"));
        assert!(std::ptr::eq(first, asked.value(0, || unreachable!())));
        assert!(std::ptr::eq(first, asked.value(1, || known("1"))));
        assert_eq!(*asked.value(2, || known("2")), known("2"));
        assert_eq!(*asked.value(2, || unreachable!()), known("2"));
        assert_eq!(*asked.value(3, || known("1")), known("1"));
        assert_eq!(*first, known("1"));
    }

    /// The name of the test that runs in a network namespace of its own.
    const OTHER: &str = "model::defaults::tests::in_another_namespace";

    #[test]
    #[ignore = "runs in a user namespace that owns its network namespace"]
    fn in_another_namespace() {
        let set = |seconds: &str| {
            std::fs::write("/proc/sys/net/ipv4/tcp_keepalive_time", seconds).unwrap();
        };
        let defaults = Defaults::new(by_name("TCP_KEEPIDLE").unwrap());
        let found = || defaults.of_class(None, Class::fresh(TCP)).text();
        set("100");
        assert_eq!(found(), Some("100"));
        set("200");
        assert_eq!(found(), Some("100"));
        defaults.renew();
        assert_eq!(found(), Some("200"));
    }

    /// A sysctl that was changed counts from the next round on.
    #[test]
    fn sysctls_that_change() {
        assert_ne!(unshared("-rn", OTHER), Some(false));
    }

    #[test]
    fn each_class_has_its_own_index() {
        let mut seen = std::collections::HashSet::new();
        for file in [TCP, TCP6, UDP, UDP6] {
            for bits in 0..4 {
                let class = Class {
                    file,
                    is_connected: bits & 1 == 1,
                    has_ipv6_address: bits & 2 == 2,
                };
                assert!(seen.insert(class.index()) && class.index() < CLASSES);
            }
        }
        assert_eq!(seen.len(), CLASSES);
    }

    /// Nobody knows what the module has hidden in a namespace that is gone. This is not for want of
    /// rights.
    #[test]
    fn hidden_in_a_namespace_that_is_gone() {
        let line = b"0 0 10.0.0.1:22 10.0.0.2:40001 ESTB SO_KEEPALIVE=1,uid=0,ino=7";
        let row = Row::parse(crate::model::row::tests::TCP, line).unwrap();
        let gone = Rc::new(Netns::gone(5));
        let mark = Defaults::new(options::by_name("SO_MARK").unwrap());
        let netns = Some(&gone);
        assert!(matches!(
            mark.on(&Row { netns, ..row }),
            Setting::Unknown(Reason::Gone)
        ));
        mark.withhold();
        assert!(matches!(
            mark.on(&Row { netns, ..row }),
            Setting::Unknown(Reason::Hidden)
        ));
    }
}
