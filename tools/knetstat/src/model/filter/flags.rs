// SPDX-License-Identifier: GPL-2.0

//! Values of SO_TIMESTAMPING and SO_TXTIME: bits by name, and the number of a clock.

use crate::model::filter::error::Rejected;
use crate::model::options::{self, Info};
use crate::model::similar::{meant, similar};

/// The prefix of the names of clocks, as in SO_TXTIME. A clock without a name has a number:
/// `CLOCK_7`.
const CLOCK: &str = "CLOCK_";

/// The clocks that have a name in rows.
const CLOCKS: [(&str, libc::clockid_t); 3] = [
    ("CLOCK_REALTIME", libc::CLOCK_REALTIME),
    ("CLOCK_MONOTONIC", libc::CLOCK_MONOTONIC),
    ("CLOCK_TAI", libc::CLOCK_TAI),
];

/// The flag of SO_TIMESTAMPING that the number of a hardware clock follows.
const BIND_PHC: &str = "BIND_PHC";

/// Flags, and what follows them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The names of the option, in the order of their bits.
    names: &'static [&'static str],
    bits: u32,
    /// The clock of SO_TXTIME, by its number.
    clock: Option<u8>,
    /// The hardware clock of SO_TIMESTAMPING, by its number.
    phc: Option<i32>,
    /// Whether a part is not known to this version.
    has_unknown: bool,
}

impl Flags {
    fn none(names: &'static [&'static str]) -> Self {
        Self {
            names,
            ..Self::default()
        }
    }

    /// Takes one of the parts that `|` joins. Returns `false` if it is unknown, or if another number
    /// of a clock is there already.
    fn add(&mut self, part: &str) -> bool {
        let has_clocks = self.names.iter().any(|name| name.starts_with(CLOCK));
        if let Some(bit) = bits_of(self.names).position(|name| name == part) {
            self.bits |= 1 << bit;
        } else if let (true, Some(clock)) = (has_clocks, clock(part)) {
            return *self.clock.get_or_insert(clock) == clock;
        } else if let Some(phc) = part.strip_prefix("BIND_PHC:") {
            let is_number = phc.bytes().all(|byte| byte.is_ascii_digit());
            let phc = phc.parse().ok().filter(|_| is_number);
            return match phc.filter(|_| self.names.contains(&BIND_PHC)) {
                Some(phc) => *self.phc.get_or_insert(phc) == phc,
                None => false,
            };
        } else {
            // The module shows bits without a name together as a number. The bits of SO_TXTIME all
            // have names: the kernel refuses others.
            let known = (1 << bits_of(self.names).count()) - 1;
            match options::number(part).and_then(|bits| u32::try_from(bits).ok()) {
                Some(bits) if !has_clocks || bits & !known == 0 => self.bits |= bits,
                _ => return false,
            }
        }
        true
    }

    /// Parses flags, as a person types them.
    ///
    /// # Errors
    ///
    /// If a part is not a flag of this option.
    pub fn parse(info: &Info, text: &str) -> Result<Self, Rejected> {
        let mut flags = Self::none(info.flags);
        let prefix = info.name.replacen("SO_", "SOF_", 1) + "_";
        for typed in text.split('|') {
            // The letter x of a number is a small one.
            let upper = match typed.starts_with("0x") {
                true => typed.to_owned(),
                false => typed.to_ascii_uppercase(),
            };
            let bare = upper.strip_prefix(&prefix).unwrap_or(&upper);
            if !flags.add(bare) {
                let near = similar(bare, info.flags.iter().copied());
                return Err(Rejected {
                    what: format!("{typed:?} is not a flag of {}{}", info.name, meant(&near)),
                    hint: allowed(info),
                });
            }
        }
        Ok(flags)
    }

    /// Whether nothing is set: getsockopt(2) returns 0 for that.
    pub fn is_none(&self) -> bool {
        self.bits == 0 && self.clock.is_none() && self.phc.is_none()
    }

    /// Whether all of this is set in a value that a row shows. `None` if this cannot be known,
    /// because a newer module may show more.
    pub fn are_in(&self, shown: &str) -> Option<bool> {
        let mut set = Self::none(self.names);
        for part in shown.split('|') {
            let is_known = set.add(&part.replacen("bind_phc:", "BIND_PHC:", 1));
            set.has_unknown |= !is_known;
        }
        let are_set = match self.is_none() {
            true => set.is_none(),
            false => {
                self.bits & !set.bits == 0
                    && (self.clock.is_none() || self.clock == set.clock)
                    && (self.phc.is_none() || self.phc == set.phc)
            }
        };
        match (are_set, set.has_unknown) {
            (true, true) => (!self.is_none()).then_some(true),
            (false, true) => None,
            (are_set, false) => Some(are_set),
        }
    }
}

/// The names that stand for bits.
fn bits_of(names: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    let names = names.iter().copied();
    names.filter(|name| !name.starts_with(CLOCK))
}

/// The number of a clock.
fn clock(name: &str) -> Option<u8> {
    if let Some((_, clock)) = CLOCKS.iter().find(|(known, _)| *known == name) {
        return u8::try_from(*clock).ok();
    }
    let digits = name.strip_prefix(CLOCK)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// The expected form, for errors.
fn allowed(info: &Info) -> String {
    let flags = info.flags.join(", ");
    match info.flags.contains(&BIND_PHC) {
        true => format!(
            "expected: {flags}, bind_phc: and a number, or the bits as a number such as 0x18"
        ),
        false => format!("expected: {flags}, or CLOCK_ and a number up to 255"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::options::by_name;

    fn parse(name: &str, typed: &str) -> Result<Flags, Rejected> {
        Flags::parse(by_name(name).unwrap(), typed)
    }

    fn is_in(name: &str, typed: &str, shown: &str) -> Option<bool> {
        let flags = parse(name, typed).unwrap_or_else(|err| panic!("{typed}: {err:?}"));
        flags.are_in(shown)
    }

    /// The bits are those of the C library's copy of `linux/net_tstamp.h`.
    #[test]
    fn bits_of_the_headers() {
        for (name, bits) in [
            ("TX_HARDWARE", libc::SOF_TIMESTAMPING_TX_HARDWARE),
            ("TX_SOFTWARE", libc::SOF_TIMESTAMPING_TX_SOFTWARE),
            ("RX_HARDWARE", libc::SOF_TIMESTAMPING_RX_HARDWARE),
            ("RX_SOFTWARE", libc::SOF_TIMESTAMPING_RX_SOFTWARE),
            ("SOFTWARE", libc::SOF_TIMESTAMPING_SOFTWARE),
            ("SYS_HARDWARE", libc::SOF_TIMESTAMPING_SYS_HARDWARE),
            ("RAW_HARDWARE", libc::SOF_TIMESTAMPING_RAW_HARDWARE),
            ("OPT_ID", libc::SOF_TIMESTAMPING_OPT_ID),
            ("TX_SCHED", libc::SOF_TIMESTAMPING_TX_SCHED),
            ("TX_ACK", libc::SOF_TIMESTAMPING_TX_ACK),
            ("OPT_CMSG", libc::SOF_TIMESTAMPING_OPT_CMSG),
            ("OPT_TSONLY", libc::SOF_TIMESTAMPING_OPT_TSONLY),
            ("OPT_STATS", libc::SOF_TIMESTAMPING_OPT_STATS),
            ("OPT_PKTINFO", libc::SOF_TIMESTAMPING_OPT_PKTINFO),
            ("OPT_TX_SWHW", libc::SOF_TIMESTAMPING_OPT_TX_SWHW),
            ("BIND_PHC", libc::SOF_TIMESTAMPING_BIND_PHC),
            ("OPT_ID_TCP", libc::SOF_TIMESTAMPING_OPT_ID_TCP),
            ("OPT_RX_FILTER", libc::SOF_TIMESTAMPING_OPT_RX_FILTER),
        ] {
            let flags = parse("SO_TIMESTAMPING", name).unwrap();
            assert_eq!(flags.bits, bits, "{name}");
        }
        for (name, bits) in [
            ("DEADLINE_MODE", libc::SOF_TXTIME_DEADLINE_MODE),
            ("SOF_TXTIME_REPORT_ERRORS", libc::SOF_TXTIME_REPORT_ERRORS),
        ] {
            assert_eq!(parse("SO_TXTIME", name).unwrap().bits, bits, "{name}");
        }
    }

    #[test]
    fn the_same_in_any_form() {
        for (name, typed, shown, expected) in [
            ("SO_TIMESTAMPING", "0x18", "RX_SOFTWARE|SOFTWARE", true),
            ("SO_TIMESTAMPING", "24", "RX_SOFTWARE|SOFTWARE", true),
            (
                "SO_TIMESTAMPING",
                "SOFTWARE|0x8",
                "RX_SOFTWARE|SOFTWARE",
                true,
            ),
            ("SO_TIMESTAMPING", "0x19", "RX_SOFTWARE|SOFTWARE", false),
            ("SO_TIMESTAMPING", "0x80000000", "SOFTWARE|0x80000000", true),
            ("SO_TIMESTAMPING", "0x80000010", "SOFTWARE|0x80000000", true),
            (
                "SO_TIMESTAMPING",
                "0x40000000",
                "SOFTWARE|0x80000000",
                false,
            ),
            ("SO_TIMESTAMPING", "0", "SOFTWARE", false),
            ("SO_TIMESTAMPING", "BIND_PHC:1", "BIND_PHC|bind_phc:1", true),
            (
                "SO_TIMESTAMPING",
                "bind_phc:01",
                "BIND_PHC|bind_phc:1",
                true,
            ),
            (
                "SO_TIMESTAMPING",
                "bind_phc:1|BIND_PHC",
                "BIND_PHC|bind_phc:1",
                true,
            ),
            (
                "SO_TIMESTAMPING",
                "bind_phc:0",
                "BIND_PHC|bind_phc:1",
                false,
            ),
            ("SO_TIMESTAMPING", "bind_phc:1", "SOFTWARE", false),
            (
                "SO_TXTIME",
                "REPORT_ERRORS|clock_tai",
                "CLOCK_TAI|DEADLINE_MODE|REPORT_ERRORS",
                true,
            ),
            (
                "SO_TXTIME",
                "CLOCK_11|0x2",
                "CLOCK_TAI|DEADLINE_MODE|REPORT_ERRORS",
                true,
            ),
            ("SO_TXTIME", "CLOCK_0", "CLOCK_REALTIME", true),
            ("SO_TXTIME", "0", "CLOCK_REALTIME", false),
            ("SO_TXTIME", "CLOCK_7", "CLOCK_7", true),
            ("SO_TXTIME", "CLOCK_7", "CLOCK_TAI", false),
        ] {
            assert_eq!(
                is_in(name, typed, shown),
                Some(expected),
                "{typed} in {shown}"
            );
        }
        // A newer module may have another name for a bit.
        assert_eq!(
            is_in("SO_TIMESTAMPING", "SOFTWARE", "SOFTWARE|NEW"),
            Some(true)
        );
        assert_eq!(is_in("SO_TIMESTAMPING", "0x80000", "SOFTWARE|NEW"), None);
    }

    #[test]
    fn other_texts_are_rejected() {
        for (name, typed, part) in [
            ("SO_TIMESTAMPING", "foo:bar", "foo:bar"),
            ("SO_TIMESTAMPING", "SOFTWARE|foo:1", "foo:1"),
            ("SO_TIMESTAMPING", "CLOCK_TAI", "CLOCK_TAI"),
            ("SO_TIMESTAMPING", "bind_phc:", "bind_phc:"),
            ("SO_TIMESTAMPING", "bind_phc:-1", "bind_phc:-1"),
            (
                "SO_TIMESTAMPING",
                "bind_phc:2147483648",
                "bind_phc:2147483648",
            ),
            ("SO_TIMESTAMPING", "bind_phc:1|bind_phc:2", "bind_phc:2"),
            ("SO_TIMESTAMPING", "0x", "0x"),
            ("SO_TIMESTAMPING", "0x100000000", "0x100000000"),
            ("SO_TIMESTAMPING", "-1", "-1"),
            ("SO_TIMESTAMPING", "", ""),
            ("SO_TIMESTAMPING", "SOFTWARE|", ""),
            ("SO_TXTIME", "CLOCK_NONSENSE", "CLOCK_NONSENSE"),
            ("SO_TXTIME", "CLOCK_", "CLOCK_"),
            ("SO_TXTIME", "CLOCK_256", "CLOCK_256"),
            ("SO_TXTIME", "CLOCK_+7", "CLOCK_+7"),
            ("SO_TXTIME", "CLOCK_TAI|CLOCK_REALTIME", "CLOCK_REALTIME"),
            ("SO_TXTIME", "bind_phc:1", "bind_phc:1"),
            ("SO_TXTIME", "0x4", "0x4"),
        ] {
            let rejected = parse(name, typed).expect_err(typed);
            let what = format!("{part:?} is not a flag of {name}");
            assert!(rejected.what.starts_with(&what), "{rejected:?}");
            let first = by_name(name).unwrap().flags[0];
            assert!(rejected.hint.starts_with(&format!("expected: {first}, ")));
        }
    }
}
