// SPDX-License-Identifier: GPL-2.0

//! Truth in three values: a condition is true, false, or cannot be decided for a socket.

use std::ops::Not;

/// A reason why a condition cannot be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The kernel keeps only the addresses of the socket.
    Forgotten,
    /// The module hides the option from readers without CAP_NET_ADMIN.
    Hidden,
    /// This process cannot find out whether the module hides the option, because the network namespace
    /// of the socket is gone.
    Gone,
    /// The row shows only a part of a list.
    Cut,
    /// The row lacks the option, and its value without it is not known.
    Undisclosed,
    /// The option belongs to the MPTCP socket, of which the row shows a subflow.
    Mptcp,
    /// Processes that have the socket open may not have been seen.
    Owners,
    /// Only a copy of the files has the socket as it was, and a copy contains no processes.
    Closed,
    /// The processes that have the socket open differ. Or none is known to have it open, and those
    /// in its network namespace differ.
    Shared,
    /// The host name of the container is not known.
    Hostname,
    /// This process may not see the inode of the network namespace.
    Netns,
    /// The cgroup namespace of this process hides the beginning of the path that may name a
    /// container.
    CgroupNamespace,
}

impl Reason {
    /// The reasons, each with its JSON key and with the text of the note.
    pub const ALL: [(Reason, &'static str, &'static str); 12] = [
        (
            Reason::Forgotten,
            "forgotten",
            "the kernel keeps only addresses (TIMW, SYNR and FNW2)",
        ),
        (
            Reason::Hidden,
            "hidden",
            "the module hides this option from readers without CAP_NET_ADMIN; run as root",
        ),
        (
            Reason::Gone,
            "gone",
            "their network namespace is gone, so it is not known whether the module has hidden this \
            option",
        ),
        (Reason::Cut, "cut", "there are more groups than a row shows"),
        (
            Reason::Undisclosed,
            "undisclosed",
            "the row lacks the option, and its default on such a socket is not known",
        ),
        (
            Reason::Mptcp,
            "mptcp",
            "the option belongs to the MPTCP socket, and the row is that of a subflow",
        ),
        (
            Reason::Owners,
            "owners",
            "processes that could not be examined, or that have just closed them, may have them open",
        ),
        (
            Reason::Closed,
            "closed",
            "they have been closed since the copy was made, and a copy contains no processes",
        ),
        (
            Reason::Shared,
            "shared",
            "processes of different control groups have them open or, if no process has, use their \
            network namespace",
        ),
        (
            Reason::Hostname,
            "hostname",
            "the host name of a container is not known; run as root",
        ),
        (
            Reason::Netns,
            "netns",
            "the inode of their network namespace is hidden from this user; run as root",
        ),
        (
            Reason::CgroupNamespace,
            "cgroupns",
            "the cgroup namespace of this command hides whether they are in a container; run in the \
            initial one (on the host)",
        ),
    ];
}

impl Reason {
    /// The JSON key.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The text of the note.
    pub fn text(self) -> &'static str {
        Self::ALL[self as usize].2
    }
}

/// A set of reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons(u16);

impl Reasons {
    pub const NONE: Self = Self(0);

    /// One reason.
    pub const fn of(reason: Reason) -> Self {
        Self(1 << reason as u8)
    }

    pub fn has(self, reason: Reason) -> bool {
        self.0 & (1 << reason as u8) != 0
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The truth of a condition. The operators are those of Kleene's logic: what is not known decides
/// nothing, and what is known decides as if the rest were known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    False,
    True,
    Unknown(Reasons),
}

impl Truth {
    pub const fn unknown(reason: Reason) -> Self {
        Self::Unknown(Reasons::of(reason))
    }

    pub fn is_true(self) -> bool {
        self == Self::True
    }

    /// The reasons why it is unknown. None if it is known.
    pub fn reasons(self) -> Reasons {
        match self {
            Self::Unknown(reasons) => reasons,
            Self::False | Self::True => Reasons::NONE,
        }
    }

    /// Whether both are true. `other` is computed only if it matters.
    pub fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::False => Self::False,
            Self::True => other(),
            Self::Unknown(reasons) => match other() {
                Self::False => Self::False,
                Self::True => self,
                Self::Unknown(more) => Self::Unknown(reasons.or(more)),
            },
        }
    }

    /// Whether one of both is true. `other` is computed only if it matters.
    pub fn or(self, other: impl FnOnce() -> Self) -> Self {
        !(!self).and(|| !other())
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::True => Self::False,
            Self::Unknown(_) => self,
        }
    }
}

impl From<bool> for Truth {
    fn from(is_true: bool) -> Self {
        match is_true {
            true => Self::True,
            false => Self::False,
        }
    }
}

/// The number of sockets for which a filter cannot be decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undecided {
    /// The number of sockets.
    pub sockets: usize,
    by_reason: [usize; Reason::ALL.len()],
}

impl Undecided {
    /// Counts a socket if its filter cannot be decided.
    pub fn count(&mut self, truth: Truth) {
        let Truth::Unknown(reasons) = truth else {
            return;
        };
        self.sockets += 1;
        for (count, (reason, ..)) in self.by_reason.iter_mut().zip(Reason::ALL) {
            *count += usize::from(reasons.has(reason));
        }
    }

    /// Whether a reason occurs that does not occur in `other`.
    pub fn has_more_reasons_than(&self, other: &Self) -> bool {
        let mut pairs = self.by_reason.iter().zip(other.by_reason);
        pairs.any(|(count, before)| *count > 0 && before == 0)
    }

    /// The reasons that occur, each with its number of sockets. A socket can have several.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, usize)> + '_ {
        let counts = Reason::ALL.iter().zip(self.by_reason);
        counts.filter_map(|((reason, ..), count)| (count > 0).then_some((*reason, count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_in_order() {
        for (index, (reason, ..)) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }

    #[test]
    fn the_page_has_each_reason_and_no_other() {
        let page = include_str!("../../../../man/knetstat.8");
        let (_, section) = page
            .split_once(".Ss Sockets that cannot be decided\n")
            .unwrap();
        let (section, _) = section.split_once("\n.S").unwrap();
        let items = section.lines().filter_map(|line| line.strip_prefix(".It "));
        let mut found: Vec<_> = items.collect();
        let mut expected = Reason::ALL.map(|(_, name, _)| name);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    /// The operators agree with those of two values, whatever the unknown ones turn out to be.
    #[test]
    fn what_is_known_decides() {
        let unknown = Truth::unknown(Reason::Hidden);
        let all = [Truth::False, Truth::True, unknown];
        let possible = |truth: Truth| match truth {
            Truth::Unknown(_) => vec![false, true],
            truth => vec![truth.is_true()],
        };
        let agrees = |found: Truth, expected: Vec<bool>| match found {
            Truth::Unknown(_) => expected.contains(&true) && expected.contains(&false),
            truth => expected.iter().all(|value| *value == truth.is_true()),
        };
        for a in all {
            assert!(agrees(!a, possible(a).iter().map(|a| !a).collect()));
            for b in all {
                let both = |join: fn(bool, bool) -> bool| {
                    let pairs = possible(a)
                        .into_iter()
                        .flat_map(|a| possible(b).into_iter().map(move |b| join(a, b)));
                    pairs.collect::<Vec<_>>()
                };
                assert!(agrees(a.and(|| b), both(|a, b| a && b)), "{a:?} and {b:?}");
                assert!(agrees(a.or(|| b), both(|a, b| a || b)), "{a:?} or {b:?}");
            }
        }
    }

    #[test]
    fn reasons_are_joined_and_counted() {
        let (hidden, cut) = (Truth::unknown(Reason::Hidden), Truth::unknown(Reason::Cut));
        let mut undecided = Undecided::default();
        undecided.count(hidden.and(|| cut));
        undecided.count(hidden.or(|| cut));
        undecided.count(!hidden);
        undecided.count(hidden.or(|| Truth::True));
        undecided.count(Truth::False);
        assert_eq!(undecided.sockets, 3);
        let reasons: Vec<_> = undecided.reasons().collect();
        assert_eq!(reasons, [(Reason::Hidden, 3), (Reason::Cut, 2)]);
    }
}
