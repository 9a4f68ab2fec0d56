// SPDX-License-Identifier: GPL-2.0

//! Whether two reads of the files can be compared.
//!
//! A copy of the files does not say where, when or by whom it was made. It may be of another
//! network namespace, from before the last boot, or made with other rights, without which some
//! options are hidden.

use crate::model::filter::Filter;
use crate::model::options::{self, Hidden};
use crate::model::row::Row;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A set of options that the module hides from some readers.
type Options = BTreeSet<&'static str>;

/// Observations of a copy and of the read that is compared with it.
#[derive(Debug, Default)]
pub struct Comparison {
    /// The inodes of the copy.
    copied: HashSet<u64>,
    /// The number of rows now that have an inode of the copy.
    pub left: usize,
    /// The hidden options that rows of the copy show, by inode. Most rows show none.
    copied_by_inode: HashMap<u64, Options>,
    /// Whether the reads are of several network namespaces. A right over one is none over another.
    is_of_all: bool,
    /// The hidden options, by network namespace.
    shown: BTreeMap<Option<u64>, Shown>,
}

/// The hidden options in one network namespace.
#[derive(Debug, Default)]
struct Shown {
    /// Those that any row of the copy shows.
    in_copy: Options,
    /// Those that any row shows now.
    now: Options,
    /// The hidden options that a socket of the copy has now and had not, and the reverse.
    appeared: Options,
    vanished: Options,
}

/// The reason why changes of an option mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The copy shows it on no socket: it may have been hidden from its maker.
    Copy,
    /// It is shown on no socket now, because it is hidden from this process.
    Now,
}

/// An option in a network namespace, whose changes mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubtful {
    /// The number of the network namespace; see [`Comparison::netns`].
    pub netns: Option<u64>,
    pub option: &'static str,
    pub doubt: Doubt,
}

/// Withholds the options from a filter about which there are doubts. If one of the two reads does not
/// show such an option, it is then unknown in both, and the filter causes no event. Returns whether an
/// option was not withheld before; both reads must then be repeated.
pub fn withhold(filter: &Filter, doubts: &[Doubtful]) -> bool {
    let mut is_new = false;
    for defaults in filter.options.iter().filter(|one| !one.is_withheld()) {
        if doubts.iter().any(|one| one.option == defaults.info.name) {
            defaults.withhold();
            is_new = true;
        }
    }
    is_new
}

/// Whether a filter tests an option that some readers do not see.
pub fn tests_hidden(filter: &Filter) -> bool {
    let mut options = filter.options.iter();
    options.any(|defaults| defaults.info.hidden.is_some())
}

/// The hidden options of a row.
fn hidden(row: &Row<'_>) -> Options {
    let hidden = row.options.iter().filter_map(|(name, _)| {
        let info = options::by_name(name)?;
        info.hidden.is_some().then_some(info.name)
    });
    hidden.collect()
}

fn is_hidden_by_all_kernels(name: &&'static str) -> bool {
    options::by_name(name).is_some_and(|info| info.hidden == Some(Hidden::Always))
}

fn inode(row: &Row<'_>) -> Option<u64> {
    row.ino.filter(|ino| *ino != 0)
}

impl Comparison {
    /// A comparison of reads that have shown nothing yet.
    pub fn new(is_of_all: bool) -> Self {
        Self {
            is_of_all,
            ..Self::default()
        }
    }

    /// The number of the network namespace of a row, if there are several.
    pub fn netns(&self, row: &Row<'_>) -> Option<u64> {
        row.netns.filter(|_| self.is_of_all).map(|netns| netns.id())
    }

    /// Observes a row of the copy.
    pub fn copied(&mut self, row: &Row<'_>) {
        let Some(ino) = inode(row) else {
            return;
        };
        self.copied.insert(ino);
        let hidden = hidden(row);
        if !hidden.is_empty() {
            let netns = self.netns(row);
            let shown = self.shown.entry(netns).or_default();
            shown.in_copy.extend(&hidden);
            self.copied_by_inode.entry(ino).or_default().extend(hidden);
        }
    }

    /// Observes a row of the read that is compared with the copy.
    pub fn found(&mut self, row: &Row<'_>) {
        let Some(ino) = inode(row) else {
            return;
        };
        let hidden = hidden(row);
        let netns = self.netns(row);
        let shown = self.shown.entry(netns).or_default();
        shown.now.extend(&hidden);
        if !self.copied.contains(&ino) {
            return;
        }
        self.left += 1;
        let none = Options::new();
        let before = self.copied_by_inode.get(&ino).unwrap_or(&none);
        shown.appeared.extend(hidden.difference(before));
        shown.vanished.extend(before.difference(&hidden));
    }

    /// The number of sockets in the copy that have an inode.
    pub fn sockets(&self) -> usize {
        self.copied.len()
    }

    /// Whether a socket of the copy has this inode.
    pub fn has(&self, ino: u64) -> bool {
        self.copied.contains(&ino)
    }

    /// The options whose changes cannot be judged.
    ///
    /// If a row shows an option that all kernels hide, its reader had the right to see all in this
    /// network namespace. This decides most cases. `is_net_admin` is whether this process has the
    /// right over a namespace, as far as it can find out. `is_hidden_here` is whether this kernel
    /// hides an option that some kernels hide.
    pub fn doubts(
        &self,
        is_net_admin: impl Fn(Option<u64>) -> bool,
        is_hidden_here: impl Fn(&str) -> bool,
    ) -> Vec<Doubtful> {
        let may_be_hidden =
            |name: &&'static str| is_hidden_by_all_kernels(name) || is_hidden_here(name);
        let mut doubts = Vec::new();
        for (netns, shown) in &self.shown {
            let mut add = |option, doubt| {
                doubts.push(Doubtful {
                    netns: *netns,
                    option,
                    doubt,
                });
            };
            let had_right = shown.in_copy.iter().any(is_hidden_by_all_kernels);
            for name in shown.appeared.iter().filter(|name| may_be_hidden(name)) {
                if !had_right && !shown.in_copy.contains(name) {
                    add(*name, Doubt::Copy);
                }
            }
            let has_right =
                || is_net_admin(*netns) || shown.now.iter().any(is_hidden_by_all_kernels);
            for name in shown.vanished.iter().filter(|name| may_be_hidden(name)) {
                if !shown.now.contains(name) && !has_right() {
                    add(*name, Doubt::Now);
                }
            }
        }
        doubts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::query::Query;
    use crate::model::row::tests::TCP;
    use crate::model::states::States;
    use crate::model::tracker::Tracker;
    use crate::source::copy::ComparedNamespaces;
    use crate::source::namespaces::tests::example;
    use crate::source::rights;
    use crate::source::services::Services;

    /// The doubts about two reads whose sockets have these lists of options.
    fn doubts(
        copied: &[&str],
        found: &[&str],
        is_net_admin: bool,
        is_hidden_here: bool,
    ) -> Vec<(&'static str, Doubt)> {
        let mut comparison = Comparison::default();
        let row = |ino: usize, list: &str| {
            let comma = if list.is_empty() { "" } else { "," };
            format!(
                "0 0 10.0.0.1:1 10.0.0.2:2 ESTB {list}{comma}uid=0,ino={}",
                ino + 1
            )
        };
        for (ino, list) in copied.iter().enumerate() {
            comparison.copied(&Row::parse(TCP, row(ino, list).as_bytes()).unwrap());
        }
        for (ino, list) in found.iter().enumerate() {
            comparison.found(&Row::parse(TCP, row(ino, list).as_bytes()).unwrap());
        }
        assert_eq!(comparison.left, copied.len().min(found.len()));
        let doubts = comparison.doubts(|_| is_net_admin, |_| is_hidden_here);
        assert!(doubts.iter().all(|one| one.netns.is_none()));
        doubts.iter().map(|one| (one.option, one.doubt)).collect()
    }

    /// The doubt about an option in the only network namespace.
    fn doubtful(option: &'static str, doubt: Doubt) -> Doubtful {
        Doubtful {
            netns: None,
            option,
            doubt,
        }
    }

    /// A right over one network namespace proves nothing about another.
    #[test]
    fn doubts_by_namespace() {
        let [own, other] = [5, 6].map(|ino| example(Some(ino), &[], &[]));
        let row = |ino: u64, mark: &str| {
            format!("0 0 10.0.0.1:1 10.0.0.2:2 ESTB A=1{mark},uid=0,ino={ino}")
        };
        let doubts = |is_of_all, copied: [&str; 2], found: [&str; 2]| {
            let mut comparison = Comparison::new(is_of_all);
            for (marks, is_copied) in [(copied, true), (found, false)] {
                for ((mark, netns), ino) in marks.into_iter().zip([&own, &other]).zip(1..) {
                    let line = row(ino, mark);
                    let row = Row::parse(TCP, line.as_bytes()).unwrap();
                    let row = Row {
                        netns: Some(netns),
                        ..row
                    };
                    match is_copied {
                        true => comparison.copied(&row),
                        false => comparison.found(&row),
                    }
                }
            }
            let is_net_admin = |netns| netns != Some(own.id());
            comparison.doubts(is_net_admin, |_| true)
        };
        let of_own = |doubt| {
            vec![Doubtful {
                netns: Some(own.id()),
                ..doubtful("SO_MARK", doubt)
            }]
        };
        const MARK: &str = ",SO_MARK=0x7";
        assert_eq!(doubts(true, ["", MARK], [MARK, MARK]), of_own(Doubt::Copy));
        assert_eq!(doubts(true, [MARK, MARK], ["", MARK]), of_own(Doubt::Now));
        assert_eq!(doubts(true, [MARK, MARK], [MARK, ""]), []);
        // Of one namespace, all rows count together.
        assert_eq!(doubts(false, ["", MARK], [MARK, MARK]), []);
    }

    const HEADER: &str = "Recv-Q Send-Q Local Address Foreign Address Stat Diag Options\n";

    /// The events between two copies whose sockets have these lists of options.
    fn events(filter: &str, copies: [&[&str]; 2], is_withheld: bool) -> Vec<&'static str> {
        let filter = Filter::parse(&[filter.to_owned()], &Services::parse("")).unwrap();
        let doubts = [doubtful("SO_MARK", Doubt::Copy)];
        assert!(tests_hidden(&filter));
        if is_withheld {
            assert!(withhold(&filter, &doubts));
            assert!(!withhold(&filter, &doubts));
        }
        let query = Query::example(&[TCP], States::ALL, filter);
        let mut tracker = Tracker::default();
        let mut events = Vec::new();
        for lists in copies {
            let rows = lists.iter().zip(1..).map(|(list, ino)| {
                format!("0 0 10.0.0.1:{ino} 10.0.0.2:2 ESTB A=1{list},uid=0,ino={ino}\n")
            });
            let copy: String = std::iter::once(HEADER.to_owned()).chain(rows).collect();
            let mut namespaces = ComparedNamespaces::default();
            let read = tracker.read_copy(copy.as_bytes(), &query, None, &mut namespaces, |_| ());
            events = read.unwrap();
        }
        events
            .into_iter()
            .filter_map(|event| event.without_changes_of(&["SO_MARK"]))
            .map(|event| event.name())
            .collect()
    }

    /// A mark that one of the two readers did not see makes no event.
    #[test]
    fn filters_on_hidden_options() {
        const MARK: &str = ",SO_MARK=0x7";
        for copies in [[&[""][..], &[MARK][..]], [&[MARK], &[""]]] {
            for filter in [
                "SO_MARK",
                "not SO_MARK",
                "SO_MARK=7",
                "SO_MARK!=7",
                "fwmark = 7",
                "not SO_MARK=7 and sport = :1",
            ] {
                assert!(events(filter, copies, true).is_empty(), "{filter}");
                // Without the right, the default is not known, either.
                if rights::is_net_admin() {
                    assert_eq!(events(filter, copies, false).len(), 1, "{filter}");
                }
            }
            // The other parts of the filter decide.
            assert!(events("sport = :1 or SO_MARK", copies, true).is_empty());
        }
        for filter in ["sport = :2 or SO_MARK", "not ( SO_MARK sport = :1 )"] {
            assert_eq!(events(filter, [&[""], &[MARK, ""]], true), ["came"]);
            assert_eq!(events(filter, [&["", ""], &[MARK]], true), ["went"]);
        }
        let other = Filter::parse(&["TCP_NODELAY".to_owned()], &Services::parse("")).unwrap();
        assert!(!tests_hidden(&other) && !withhold(&other, &[doubtful("SO_MARK", Doubt::Now)]));
    }

    #[test]
    fn doubts_by_rights() {
        const MARK: &str = "SO_MARK=0x1";
        const ULP: &str = "TCP_ULP=tls";
        let (root, user) = (true, false);
        let copy = |name| vec![(name, Doubt::Copy)];
        let now = |name| vec![(name, Doubt::Now)];
        for (copied, found, is_net_admin, expected) in [
            // Both readers had the right, and nothing is hidden.
            (&["", ""][..], &["", ""][..], root, vec![]),
            (&[MARK, ""], &["", MARK], root, vec![]),
            (&[MARK, ""], &[MARK, "TCP_MD5SIG=1"], root, vec![]),
            (&["TCP_AO=1"], &["TCP_AO=1,SO_MARK=0x1"], user, vec![]),
            (&[MARK, MARK], &["", MARK], user, vec![]),
            (&["", ""], &["", ""], user, vec![]),
            // The mark of a socket that came since.
            (&[""], &["", MARK], root, vec![]),
            // The only mark was removed.
            (&[MARK], &[""], root, vec![]),
            // It is hidden from one of the two readers, or was set since.
            (&["", ""], &["", MARK], root, copy("SO_MARK")),
            (&[MARK], &[""], user, now("SO_MARK")),
        ] {
            for is_hidden_here in [true, false] {
                let doubts = doubts(copied, found, is_net_admin, is_hidden_here);
                assert_eq!(doubts, expected, "{copied:?} {found:?}");
            }
        }
        // Some kernels hide TCP_ULP, too.
        for (copied, found, is_net_admin, expected) in [
            (&[""][..], &[ULP][..], root, copy("TCP_ULP")),
            (&[MARK], &["SO_MARK=0x1,TCP_ULP=tls"], root, vec![]),
            (&[ULP, ""], &[ULP, ULP], root, vec![]),
            (&[ULP], &[""], user, now("TCP_ULP")),
        ] {
            assert_eq!(
                doubts(copied, found, is_net_admin, true),
                expected,
                "{copied:?}"
            );
            assert_eq!(doubts(copied, found, is_net_admin, false), [], "{copied:?}");
        }
    }
}
