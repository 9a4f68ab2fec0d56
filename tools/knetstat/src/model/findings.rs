// SPDX-License-Identifier: GPL-2.0

//! Findings of check and metrics: the sockets that break a rule, and those that cannot be decided.

use crate::model::filter::KnownOwners;
use crate::model::query::{Entry, Outcome, Query};
use crate::model::row::Row;
use crate::model::rules::{Comparison, Rule, Rules};
use crate::model::states::States;
use crate::model::stored_row::StoredRow;
use crate::model::truth::{Reason, Truth, Undecided};
use crate::source::files::{Family, File, Netid};
use crate::source::process::{Name, Owners};
use anyhow::Result;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

/// The sockets that a rule finds.
#[derive(Debug)]
pub struct Finding<'r> {
    pub rule: &'r Rule,
    /// The number of offenders.
    pub count: usize,
    /// The offenders. One that breaks several rules is in memory once. Empty if they are only counted.
    pub offenders: Vec<StoredRow>,
    pub undecided: Undecided,
}

/// The sockets that share a port: network namespace, file, address, port and interface.
type Place = (u64, File, String, u16, Option<String>);

/// The number of the network namespace of a row.
fn netns(row: &Row<'_>) -> u64 {
    row.netns.map_or(0, |netns| netns.id())
}

/// A socket that a rule compares with others.
#[derive(Debug)]
struct Candidate {
    /// Its index in the findings.
    rule: usize,
    place: Place,
    /// Whether the rule selects it. Never false.
    truth: Truth,
    names: BTreeSet<Name>,
    may_lack: bool,
    offender: Option<StoredRow>,
}

/// A search for sockets that break rules, in one pass over all rows.
#[derive(Debug)]
pub struct Search<'r> {
    findings: Vec<Finding<'r>>,
    /// The states to which rules apply that name none.
    states: States,
    /// Whether the offenders are kept, and not only counted.
    keeps: bool,
    candidates: Vec<Candidate>,
    /// The ports of the sockets that receive IPv4 and listen or are not connected, by network
    /// namespace.
    ipv4: HashSet<(u64, Netid, u16)>,
    checked: usize,
}

/// Whether a socket receives IPv4 from other hosts: because of its address, or because it is bound to
/// `::` without IPV6_V6ONLY.
fn receives_ipv4(row: &Row<'_>) -> bool {
    match row.local.address.to_canonical() {
        IpAddr::V4(v4) => !v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unspecified() && row.options.get("IPV6_V6ONLY") == Some("0"),
    }
}

impl<'r> Search<'r> {
    /// A search that has seen no row.
    pub fn new(rules: &'r Rules, states: States, keeps: bool) -> Self {
        let finding = |rule| Finding {
            rule,
            count: 0,
            offenders: Vec::new(),
            undecided: Undecided::default(),
        };
        Self {
            findings: rules.0.iter().map(finding).collect(),
            states,
            keeps,
            candidates: Vec::new(),
            ipv4: HashSet::new(),
            checked: 0,
        }
    }

    /// The number of sockets that were tested.
    pub fn checked(&self) -> usize {
        self.checked
    }

    /// Takes a row that is not tested, but that others are compared with.
    pub fn see(&mut self, row: &Row<'_>) {
        if !row.state.is_connected() && receives_ipv4(row) {
            let port = (netns(row), row.file.netid, row.local.port);
            self.ipv4.insert(port);
        }
    }

    /// Takes a row, and tests it.
    pub fn add(&mut self, row: &Row<'_>, line: &[u8], owners: KnownOwners<'_>) {
        self.see(row);
        self.checked += 1;
        let mut kept: Option<StoredRow> = None;
        for (index, finding) in self.findings.iter_mut().enumerate() {
            let truth = finding.rule.test(row, owners, self.states);
            finding.undecided.count(truth);
            // If it is not known whether the rule selects the socket, it may break the rule
            // together with others.
            let is_partner =
                truth != Truth::False && finding.rule.comparison() == Some(Comparison::Programs);
            if !truth.is_true() && !is_partner {
                continue;
            }
            let offender = (self.keeps && truth.is_true()).then(|| {
                kept.get_or_insert_with(|| StoredRow::new(row, line, owners.known))
                    .clone()
            });
            if finding.rule.comparison().is_none() {
                finding.count += 1;
                finding.offenders.extend(offender);
                continue;
            }
            let device = row.options.get("SO_BINDTODEVICE").map(str::to_owned);
            self.candidates.push(Candidate {
                rule: index,
                place: (
                    netns(row),
                    row.file,
                    row.local.text.to_owned(),
                    row.local.port,
                    device,
                ),
                truth,
                names: owners
                    .known
                    .iter()
                    .map(|owner| owner.process_name().clone())
                    .collect(),
                may_lack: owners.may_lack,
                offender,
            });
        }
    }

    /// Compares the sockets that rules compare, and returns the findings in the order of the rules.
    pub fn finish(mut self) -> Vec<Finding<'r>> {
        let mut places: HashMap<(usize, Place), Vec<Candidate>> = HashMap::new();
        // The places in the order in which they were seen, so that the output has an order.
        let mut order = Vec::new();
        for candidate in std::mem::take(&mut self.candidates) {
            let key = (candidate.rule, candidate.place.clone());
            let group = places.entry(key.clone()).or_default();
            if group.is_empty() {
                order.push(key);
            }
            group.push(candidate);
        }
        for key in order {
            let group = places.remove(&key).unwrap_or_default();
            let (index, (netns, file, _, port, _)) = key;
            let finding = &mut self.findings[index];
            let truth = match finding.rule.comparison() {
                Some(Comparison::Ipv4) => (!self.ipv4.contains(&(netns, file.netid, port))).into(),
                Some(Comparison::Programs) => break_together(&group),
                None => Truth::False,
            };
            // The others were counted before.
            for candidate in group.into_iter().filter(|one| one.truth.is_true()) {
                finding.undecided.count(truth);
                if truth.is_true() {
                    finding.count += 1;
                    finding.offenders.extend(candidate.offender);
                }
            }
        }
        self.findings
    }
}

/// Whether the sockets of the group that the rule selects break it. Not known if this depends on a
/// socket that the rule may select.
fn break_together(group: &[Candidate]) -> Truth {
    let (selected, others): (Vec<_>, Vec<_>) = group.iter().partition(|one| one.truth.is_true());
    let of_selected = are_of_different_programs(&selected);
    if selected.is_empty() || others.is_empty() {
        return of_selected;
    }
    let all: Vec<_> = group.iter().collect();
    of_selected.or(|| {
        let is_selected = others
            .iter()
            .fold(Truth::False, |truth, one| truth.or(|| one.truth));
        is_selected.and(|| are_of_different_programs(&all))
    })
}

/// Whether two of the sockets have no program in common. Not known if a program may not have been
/// seen that has both open.
fn are_of_different_programs(group: &[&Candidate]) -> Truth {
    // Most sockets have the same programs as others.
    let mut kinds: Vec<(&BTreeSet<Name>, bool)> = group
        .iter()
        .map(|candidate| (&candidate.names, candidate.may_lack))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut found = Truth::False;
    for (i, (names, may_lack)) in kinds.iter().enumerate() {
        for (others, may_lack_others) in &kinds[..i] {
            if !names.is_disjoint(others) {
                continue;
            }
            if *may_lack || *may_lack_others {
                found = found.or(|| Truth::unknown(Reason::Owners));
            } else if !names.is_empty() && !others.is_empty() {
                return Truth::True;
            }
        }
    }
    // Sockets of the same kind may have different owners if none is known.
    let is_nobody = |(names, may_lack): &(&BTreeSet<Name>, bool)| names.is_empty() && *may_lack;
    if group.len() > 1 && kinds.iter().any(is_nobody) {
        found = found.or(|| Truth::unknown(Reason::Owners));
    }
    found
}

/// The work of a search besides testing the rules.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The states to which rules apply that name none.
    pub states: States,
    /// Whether owners are printed.
    pub processes: bool,
    /// Whether network namespaces and containers are needed, even if the query does not need them.
    pub cgroups: bool,
    /// Whether offenders are kept, and not only counted.
    pub keeps: bool,
}

/// Passes each row to a search. `take` gets the rows that the query selects, and their owners.
pub fn search_all(
    query: &mut Query,
    rules: &Rules,
    needs: Needs,
    search: &mut Search<'_>,
    mut take: impl FnMut(&Row<'_>, KnownOwners<'_>),
) -> Result<(Outcome, Option<Owners>)> {
    if rules.needs_ipv4() {
        let ipv4 = query.files.iter().map(|file| File {
            family: Family::Inet,
            ..*file
        });
        let lacks = ipv4.filter(|file| !query.files.contains(file));
        query.compared = lacks.collect();
    }
    // The notes and the defaults that are printed are those of all filters.
    query.filter.options.extend(rules.options().cloned());
    query.filter.needs_owners |= rules.needs_owners();
    query.filter.needs_cgroups |= rules.needs_cgroups() || needs.cgroups;
    let owners = query.owners(needs.processes)?;
    // Rows that the query does not select may matter for others.
    let outcome = query.read_all(owners.as_ref(), |entry| {
        if let Entry::Row {
            row,
            line,
            owners: known,
            verdict,
        } = entry
        {
            if verdict.passes() {
                let owners = KnownOwners::new(known, row.may_lack_owners);
                take(row, owners);
                search.add(row, line, owners);
            } else {
                search.see(row);
            }
        }
        Ok(())
    })?;
    Ok((outcome, owners))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::model::row::tests::{TCP, TCP6, UDP};
    use crate::model::rules::DEFAULT;
    use crate::source::process::Owner;
    use crate::source::services::Services;

    pub fn default_rules() -> Rules {
        Rules::parse("", DEFAULT, &Services::parse("")).unwrap()
    }

    /// A row, the names of the processes that are known to have it open, and whether others may.
    type Socket<'a> = (File, &'a str, &'a [&'a str], bool);

    fn search<'r>(rules: &'r Rules, sockets: &[Socket<'_>]) -> Vec<Finding<'r>> {
        let mut search = Search::new(rules, States::DEFAULT, true);
        for (file, line, names, may_lack) in sockets {
            let row = Row::parse(*file, line.as_bytes()).expect(line);
            let owners: Vec<_> = names.iter().map(|name| Owner::new(*name, 7, 3)).collect();
            let known = KnownOwners::new(&owners, *may_lack);
            search.add(&row, line.as_bytes(), known);
        }
        assert_eq!(search.checked(), sockets.len());
        search.finish()
    }

    /// The rules that find something, each with the number of offenders and of undecided sockets.
    fn found(sockets: &[Socket<'_>]) -> Vec<(String, usize, usize)> {
        let rules = default_rules();
        let findings = search(&rules, sockets);
        for finding in &findings {
            assert_eq!(finding.count, finding.offenders.len());
        }
        let some = findings
            .iter()
            .filter(|one| one.count + one.undecided.sockets > 0);
        some.map(|one| (one.rule.name.clone(), one.count, one.undecided.sockets))
            .collect()
    }

    fn one(name: &str, count: usize, undecided: usize) -> Vec<(String, usize, usize)> {
        vec![(name.to_owned(), count, undecided)]
    }

    /// The findings of the rules about one connection.
    fn connection(rest: &str) -> Vec<(String, usize, usize)> {
        let line = format!("0 0 192.0.2.1:22 198.51.100.7:40001 {rest},uid=0,ino=5");
        found(&[(TCP, &line, &[], false)])
    }

    #[test]
    fn keepalive_off() {
        for parameter in ["TCP_KEEPIDLE=60", "TCP_KEEPINTVL=5", "TCP_KEEPCNT=3"] {
            let off = connection(&format!("ESTB SO_KEEPALIVE=0,{parameter}"));
            assert_eq!(off, one("keepalive-off", 1, 0));
        }
        assert_eq!(connection("ESTB SO_KEEPALIVE=0"), []);
        assert_eq!(connection("ESTB SO_KEEPALIVE=1,TCP_KEEPIDLE=60"), []);
        assert_eq!(connection("FNW1 SO_KEEPALIVE=0,TCP_KEEPIDLE=60"), []);
    }

    #[test]
    fn idle_limits() {
        for (idle, rule) in [
            (239, None),
            (240, Some("idle-limit-240s")),
            (349, Some("idle-limit-240s")),
            (350, Some("idle-limit-350s")),
            (7201, Some("idle-limit-350s")),
        ] {
            let found = connection(&format!("ESTB SO_KEEPALIVE=1,TCP_KEEPIDLE={idle}"));
            let expected = rule.map_or(Vec::new(), |rule| one(rule, 1, 0));
            assert_eq!(found, expected, "{idle}");
        }
        // The default of this machine, which is 7200 s on nearly all.
        let time = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_keepalive_time");
        if time.is_ok_and(|time| time.trim() == "7200") {
            assert_eq!(
                connection("ESTB SO_KEEPALIVE=1"),
                one("idle-limit-350s", 1, 0)
            );
        }
        let rest = "ESTB SO_KEEPALIVE=1,TCP_KEEPIDLE=600,uid=0,ino=5";
        for (file, endpoints) in [
            (TCP, "127.0.0.1:1 127.0.0.2:2"),
            (TCP6, "::1:1 ::1:2"),
            (TCP6, "::ffff:127.0.0.1:1 ::ffff:127.0.0.1:2"),
        ] {
            assert_eq!(
                found(&[(file, &format!("0 0 {endpoints} {rest}"), &[], false)]),
                []
            );
        }
        let line = format!("0 0 2001:db8::1:1 2001:db8::2:2 {rest}");
        assert_eq!(
            found(&[(TCP6, &line, &[], false)]),
            one("idle-limit-350s", 1, 0)
        );
    }

    #[test]
    fn receive_buffer_fixed() {
        for sign in ["|<", ">|<", ">#|<"] {
            let found = connection(&format!(
                "ESTB {sign} SO_KEEPALIVE=0,TCP_USER_TIMEOUT=9,SO_RCVBUF=4096"
            ));
            assert_eq!(found, one("receive-buffer-fixed", 1, 0), "{sign}");
        }
        assert_eq!(connection("ESTB >| SO_KEEPALIVE=0,SO_RCVBUF=4096"), []);
        assert_eq!(connection("ESTB SO_KEEPALIVE=0,SO_RCVBUF=4096"), []);
        assert_eq!(connection("ESTB |< SO_KEEPALIVE=0"), []);
    }

    #[test]
    fn no_user_timeout() {
        for sign in [">#", ">#|<"] {
            let without = connection(&format!("ESTB {sign} SO_KEEPALIVE=0"));
            assert_eq!(without, one("no-user-timeout", 1, 0));
            let with = connection(&format!(
                "ESTB {sign} SO_KEEPALIVE=0,TCP_USER_TIMEOUT=9000ms"
            ));
            assert_eq!(with, []);
        }
        assert_eq!(connection("CLSW ># SO_KEEPALIVE=0").len(), 1);
        assert_eq!(connection("ESTB >| SO_KEEPALIVE=0"), []);
        assert_eq!(connection("ESTB SO_KEEPALIVE=0"), []);
    }

    #[test]
    fn accept_queue_full() {
        for (queue, backlog, expected) in [(0, 0, 0), (1, 0, 1), (5, 5, 0), (6, 5, 1), (0, 5, 0)] {
            let line = format!(
                "{queue} 0 192.0.2.1:22 0.0.0.0:* LSTN SO_REUSEPORT=0,backlog={backlog},uid=0,ino=5"
            );
            let expected = match expected {
                0 => Vec::new(),
                count => one("accept-queue-full", count, 0),
            };
            assert_eq!(found(&[(TCP, &line, &[], false)]), expected, "{line}");
        }
    }

    #[test]
    fn ipv6_only_listener() {
        let only = "0 0 :::22 :::* LSTN SO_REUSEPORT=0,IPV6_V6ONLY=1,backlog=1,uid=0,ino=5";
        let both = only.replace("V6ONLY=1", "V6ONLY=0");
        let bound = only.replace(":::22", "2001:db8::1:22");
        let other = "0 0 0.0.0.0:23 0.0.0.0:* LSTN SO_REUSEPORT=0,backlog=1,uid=0,ino=6";
        let udp = "0 0 0.0.0.0:22 0.0.0.0:* SO_REUSEPORT=0,uid=0,ino=6";
        let connected = "0 0 10.0.0.1:22 10.0.0.2:9 ESTB SO_KEEPALIVE=0,uid=0,ino=6";
        let rest = [
            (TCP, other, &[][..], false),
            (UDP, udp, &[], false),
            (TCP, connected, &[], false),
        ];
        let of = |line| [&rest[..], &[(TCP6, line, &[], false)]].concat();
        assert_eq!(found(&of(only)), one("ipv6-only-listener", 1, 0));
        assert_eq!(found(&of(&both)), []);
        assert_eq!(found(&of(&bound)), []);
        // A socket of the same port that receives IPv4, in either order.
        let twin = other.replace(":23", ":22");
        let mapped =
            "0 0 ::ffff:192.0.2.1:22 :::* LSTN SO_REUSEPORT=0,IPV6_V6ONLY=0,backlog=1,uid=0,ino=7";
        for (file, twin) in [(TCP, twin.as_str()), (TCP6, mapped), (TCP6, both.as_str())] {
            let (twin, only) = ((file, twin, &[][..], false), (TCP6, only, &[][..], false));
            assert_eq!(found(&[twin, only]), []);
            assert_eq!(found(&[only, twin]), []);
        }
        // Other hosts cannot connect to this one.
        let loopback = twin.replace("0.0.0.0:22", "127.0.0.1:22");
        for (file, twin) in [
            (TCP, loopback),
            (TCP6, mapped.replace("192.0.2.1", "127.0.0.1")),
        ] {
            let twin = (file, twin.as_str(), &[][..], false);
            let only = (TCP6, only, &[][..], false);
            assert_eq!(found(&[twin, only]), one("ipv6-only-listener", 1, 0));
        }
        // The twin is seen if only IPv6 is checked.
        let rules = default_rules();
        let mut search = Search::new(&rules, States::DEFAULT, false);
        let nobody = KnownOwners::new(&[], false);
        search.add(
            &Row::parse(TCP6, only.as_bytes()).unwrap(),
            only.as_bytes(),
            nobody,
        );
        search.see(&Row::parse(TCP, twin.as_bytes()).unwrap());
        assert!(search.finish().iter().all(|finding| finding.count == 0));
    }

    #[test]
    fn reuseport_programs() {
        let tcp = "0 0 0.0.0.0:80 0.0.0.0:* LSTN SO_REUSEPORT=1,backlog=9,uid=0,ino=1";
        let udp = "0 0 0.0.0.0:80 0.0.0.0:* SO_REUSEPORT=1,uid=0,ino=1";
        const NAME: &str = "reuseport-programs";
        for (file, line) in [(TCP, tcp), (UDP, udp)] {
            let of = |sockets: &[(&[&str], bool)]| {
                let sockets: Vec<_> = sockets
                    .iter()
                    .map(|(names, may_lack)| (file, line, *names, *may_lack))
                    .collect();
                found(&sockets)
            };
            assert_eq!(of(&[(&["a"], false), (&["b"], false)]), one(NAME, 2, 0));
            assert_eq!(
                of(&[(&["a"], false), (&["a"], false), (&["b"], false)]),
                one(NAME, 3, 0)
            );
            assert_eq!(of(&[(&["a"], false), (&["a"], false)]), []);
            assert_eq!(of(&[(&["a", "b"], false), (&["b"], false)]), []);
            // One socket that two programs have open.
            assert_eq!(of(&[(&["a", "b"], false)]), []);
            // A socket of the kernel.
            assert_eq!(of(&[(&["a"], false), (&[], false)]), []);
            // A program may not have been seen.
            assert_eq!(of(&[(&["a"], true), (&["a"], true)]), []);
            assert_eq!(of(&[(&["a"], true), (&["b"], false)]), one(NAME, 0, 2));
            assert_eq!(of(&[(&[], true), (&[], true)]), one(NAME, 0, 2));
            assert_eq!(of(&[(&[], true)]), []);
            assert_eq!(
                of(&[(&["a"], false), (&["b"], false), (&[], true)]),
                one(NAME, 3, 0)
            );
        }
        let pair = |first: &str, second: &str| {
            found(&[(UDP, first, &["a"], false), (UDP, second, &["b"], false)])
        };
        assert_eq!(pair(udp, &udp.replace(":80", ":81")), []);
        assert_eq!(pair(udp, &udp.replace("0.0.0.0:80", "10.0.0.1:80")), []);
        assert_eq!(pair(udp, &udp.replace("PORT=1", "PORT=0")), []);
        let bound = udp.replace(",uid", ",SO_BINDTODEVICE=eth0,uid");
        assert_eq!(pair(udp, &bound), []);
        assert_eq!(pair(&bound, &bound), one(NAME, 2, 0));
        let multicast = udp.replace(",uid", ",IP_ADD_MEMBERSHIP=224.0.0.251%eth0,uid");
        assert_eq!(pair(&multicast, &multicast), []);
    }

    /// A socket that a rule may select can break it together with those that the rule selects.
    #[test]
    fn undecided_partners() {
        let rule = |filter: &str| {
            let text = format!(
                "[[rule]]\nname = \"a\"\nmessage = \"m\"\ncompare = \"programs\"\n\
                where = \"state unconnected SO_REUSEPORT=1 {filter}\"\n"
            );
            Rules::parse("", &text, &Services::parse("")).unwrap()
        };
        let all = rule("");
        let some = rule("not IP_ADD_MEMBERSHIP=239.9.9.9");
        let line = |membership: &str| {
            format!("0 0 0.0.0.0:80 0.0.0.0:* SO_REUSEPORT=1{membership},uid=0,ino=1")
        };
        let (plain, cut) = (line(""), line(",IP_ADD_MEMBERSHIP=239.1.1.1%lo+more:5"));
        let counts = |rules: &Rules, sockets: &[(&str, &[&str], bool)]| {
            let sockets: Vec<_> = sockets
                .iter()
                .map(|(line, names, may_lack)| (UDP, *line, *names, *may_lack))
                .collect();
            let finding = &search(rules, &sockets)[0];
            assert_eq!(finding.count, finding.offenders.len());
            (finding.count, finding.undecided.sockets)
        };
        let (a, b) = (&["a"][..], &["b"][..]);
        let sockets = [(&*plain, a, false), (&*cut, b, false)];
        assert_eq!(counts(&all, &sockets), (2, 0));
        assert_eq!(counts(&some, &sockets), (0, 2));
        // The same program, in both cases. Only the other one may be selected.
        assert_eq!(
            counts(&some, &[(&plain, a, false), (&cut, a, false)]),
            (0, 1)
        );
        assert_eq!(
            counts(&some, &[(&plain, a, false), (&cut, b, true)]),
            (0, 2)
        );
        assert_eq!(counts(&some, &[(&cut, a, false), (&cut, b, false)]), (0, 2));
        // Two that are selected break the rule whatever the third one is.
        let sockets = [(&*plain, a, false), (&*plain, b, false), (&*cut, a, false)];
        assert_eq!(counts(&some, &sockets), (2, 1));
    }

    /// A rule that cannot be decided is not kept, and not broken either.
    #[test]
    fn undecided() {
        let text = "[[rule]]\nname = \"a\"\nmessage = \"m\"\nrequire = \"TCP_NODELAY\"\n\
            [[rule]]\nname = \"b\"\nmessage = \"m\"\nforbid = \"TCP_NODELAY\"\n\
            [[rule]]\nname = \"c\"\nmessage = \"m\"\nforbid = \"process=x\"\n";
        let rules = Rules::parse("", text, &Services::parse("")).unwrap();
        assert!(rules.needs_owners());
        let forgotten = "0 0 192.0.2.1:22 198.51.100.7:1 FNW2";
        let on = "0 0 192.0.2.1:22 198.51.100.7:2 ESTB TCP_NODELAY=1,uid=0,ino=1";
        let off = "0 0 192.0.2.1:22 198.51.100.7:3 ESTB TCP_NODELAY=0,uid=0,ino=2";
        let listener = "0 0 192.0.2.1:22 0.0.0.0:* LSTN TCP_NODELAY=1,backlog=0,uid=0,ino=3";
        let sockets = [forgotten, on, off, listener].map(|line| (TCP, line, &["y"][..], true));
        let findings = search(&rules, &sockets);
        let counts: Vec<_> = findings
            .iter()
            .map(|one| (one.count, one.undecided.sockets))
            .collect();
        // The states of the flags, which leave the listener out, apply to rules that name none.
        assert_eq!(counts, [(1, 1), (1, 1), (0, 3)]);
        let row = findings[0].offenders[0].row().unwrap();
        assert_eq!(row.foreign.port, 3);
    }
}
