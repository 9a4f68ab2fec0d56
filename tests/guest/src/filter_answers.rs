// SPDX-License-Identifier: GPL-2.0

//! The command's filters on options, compared with getsockopt(2): every option, fresh and changed,
//! on every kind of socket, with default and with other sysctls.
//!
//! A filter `NAME=VALUE` must select the sockets for which getsockopt(2) returns that value, and
//! `NAME!=VALUE` the others that have the option. [`exception`] lists all differences; knetstat(8)
//! describes them.

use crate::command::{output_of, said_by, selected_by, Said};
use crate::groups::with_optmem;
use crate::guest::{guest, wait_for};
use crate::harness::Case;
use crate::netns::{in_fresh, with_beside};
use crate::options::{each_name, entries, Answer, Early, Opt, Role, Subject};
use crate::rights::NOBODY;
use crate::rows::{File, Row};
use crate::sockets::{ino, local, state, wait_state, Plan};
use anyhow::{ensure, Context, Result};
use socket2::{SockAddr, Socket, Type};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::net::{Ipv4Addr, Shutdown};
use std::sync::atomic::{AtomicBool, Ordering};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("filter_answers::default_sysctls", || {
            in_fresh(|| every_option(&[], &[], true))
        }),
        Case::new("filter_answers::other_sysctls", || {
            in_fresh(|| every_option(SYSCTLS, &[], guest().scale(true, false, false)))
        }),
        Case::new("filter_answers::sysctls_changed_later", || {
            in_fresh(|| every_option(&[], SYSCTLS, false))
        }),
        // Other tests would see this sysctl, too.
        Case::alone("filter_answers::busy_read", busy_read),
        Case::new("filter_answers::first_namespace", || {
            every_option(&[], &[], false)
        }),
        Case::new("filter_answers::sockets_that_come_and_go", || {
            in_fresh(sockets_that_come_and_go)
        }),
        Case::new("filter_answers::hidden_options", || {
            in_fresh(hidden_options)
        }),
        Case::new("filter_answers::hidden_options_since", || {
            in_fresh(hidden_options_since)
        }),
        Case::new("filter_answers::forgotten_options", || {
            in_fresh(forgotten_options)
        }),
        Case::new("filter_answers::bound_sockets", || in_fresh(bound_sockets)),
        Case::alone("filter_answers::cut_lists", || {
            with_optmem(|| in_fresh(cut_lists))
        }),
        Case::new("filter_answers::explain", || in_fresh(|| explain(&[]))),
        Case::new("filter_answers::explain_other_sysctls", || {
            in_fresh(|| explain(SYSCTLS))
        }),
    ]
}

/// Sysctls of a network namespace that change defaults, with other values than the kernel's.
const SYSCTLS: &[(&str, &str)] = &[
    ("ipv6/bindv6only", "1"),
    ("ipv6/auto_flowlabels", "2"),
    ("ipv6/conf/all/hop_limit", "17"),
    ("ipv6/conf/default/hop_limit", "17"),
    ("ipv6/conf/lo/hop_limit", "17"),
    ("ipv4/ip_default_ttl", "33"),
    ("ipv4/ip_no_pmtu_disc", "1"),
    ("ipv4/tcp_keepalive_time", "1000"),
    ("ipv4/tcp_keepalive_intvl", "10"),
    ("ipv4/tcp_keepalive_probes", "3"),
    ("ipv4/tcp_syn_retries", "2"),
    ("ipv4/tcp_fin_timeout", "11"),
    ("ipv4/tcp_notsent_lowat", "16384"),
    ("ipv4/tcp_congestion_control", "reno"),
    ("ipv4/tcp_rto_min_us", "100000"),
    ("ipv4/tcp_rto_max_ms", "60000"),
    ("core/txrehash", "0"),
];

/// A socket of some kind, and the sockets that keep it in its state.
struct Sample {
    kind: String,
    subject: Subject,
    ino: u64,
}

/// The sysctl that is the default of SO_BUSY_POLL. It is that of all network namespaces.
const BUSY_READ: &str = "/proc/sys/net/core/busy_read";

fn busy_read() -> Result<()> {
    let before = fs::read_to_string(BUSY_READ).context(BUSY_READ)?;
    fs::write(BUSY_READ, "50")?;
    let mut wrong = Vec::new();
    let compared = in_fresh(|| {
        let samples = samples()?;
        let mut opts = each_name().filter(|opt| opt.name == "SO_BUSY_POLL");
        let opt = opts.next().context("no SO_BUSY_POLL")?;
        let values = samples.iter().filter_map(|sample| value(opt, sample, None));
        ensure!(values.clone().count() > 0 && values.into_iter().all(|value| value == "50"));
        compare(opt, &samples, None, &mut wrong)
    });
    fs::write(BUSY_READ, before)?;
    compared?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// All sockets here are those of this process. Many come and go while the command examines processes
/// and reads rows, but it never says that one is of another process, or of none.
fn sockets_that_come_and_go() -> Result<()> {
    let come_and_go = |is_over: &AtomicBool| -> Result<usize> {
        let mut open = VecDeque::new();
        let mut count = 0;
        while !is_over.load(Ordering::Relaxed) {
            open.push_back(Plan::V4.udp()?);
            if open.len() > 20 {
                open.pop_front();
            }
            count += 1;
        }
        Ok(count)
    };
    let ask = || -> Result<()> {
        for _ in 0..guest().scale(100, 20, 10) {
            for filter in [
                "process!=knetstat-guest-tests",
                "not process=knetstat-guest-tests",
            ] {
                let said = said(true, &["-Huan", filter])?;
                ensure!(
                    said.status == Some(0) && said.out.is_empty(),
                    "{filter}: {}{}",
                    said.out,
                    said.notes
                );
            }
        }
        Ok(())
    };
    let came = with_beside(come_and_go, ask)?;
    ensure!(came > 100, "only {came} sockets came");
    Ok(())
}

/// Sets sysctls that this kernel has.
fn set_sysctls(sysctls: &[(&str, &str)]) -> Result<()> {
    for (path, value) in sysctls {
        let path = format!("/proc/sys/net/{path}");
        match fs::write(&path, value) {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
                return Err(err).context(path);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Sockets of every kind, bound to an address, to the wildcard address, and to nothing.
fn samples() -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let mut add = |kind: String, subject: Subject| -> Result<()> {
        let ino = ino(&subject.socket)?;
        samples.push(Sample { kind, subject, ino });
        Ok(())
    };
    // With net.ipv6.bindv6only, sockets cannot have such addresses.
    let mapped = (!is_bindv6only()).then_some(Plan::Mapped);
    for plan in [Plan::V4, Plan::V6].into_iter().chain(mapped) {
        for role in Role::ALL {
            // Some options can be set on such sockets only.
            let subject = Subject::with(plan, role, |socket| socket.set_reuse_port(true))?;
            add(subject.kind(), subject)?;
        }
        if plan == Plan::Mapped {
            continue;
        }
        for role in [Role::Listener, Role::UdpBound] {
            let kind = match role {
                Role::Listener => Type::STREAM,
                _ => Type::DGRAM,
            };
            let socket = Socket::new(plan.domain(), kind, None)?;
            socket.bind(&plan.wildcard(0).into())?;
            if role == Role::Listener {
                socket.listen(5)?;
            }
            let subject = Subject::of(plan, role, socket, vec![]);
            add(
                format!("{} at the wildcard address", subject.kind()),
                subject,
            )?;
        }
        let to = plan.udp()?;
        let socket = Socket::new(plan.domain(), Type::DGRAM, None)?;
        socket.connect(&SockAddr::from(local(&to)?))?;
        let subject = Subject::of(plan, Role::UdpConnected, socket, vec![to]);
        add(format!("{} without bind(2)", subject.kind()), subject)?;
    }
    Ok(samples)
}

/// The inodes of the sockets that a filter selects.
fn selected(filter: &str) -> Result<BTreeSet<u64>> {
    selected_by(&["-tuan", filter])
}

/// The rows of all sockets, by inode.
fn rows() -> Result<BTreeMap<u64, Row>> {
    let mut rows = BTreeMap::new();
    for file in File::ALL {
        for row in file.read()? {
            if let Some(ino) = row.number("ino") {
                rows.insert(ino, row);
            }
        }
    }
    Ok(rows)
}

/// The reason why a filter does not compare with the value that getsockopt(2) returns.
fn exception(opt: &Opt, sample: &Sample, row: &Row) -> Option<&'static str> {
    let is_shown = row.option(opt.name).is_some();
    let is_connected = !matches!(sample.subject.role, Role::Listener | Role::UdpBound);
    match opt.name {
        _ if is_shown => None,
        "TCP_KEEPIDLE" | "TCP_KEEPCNT" | "TCP_KEEPINTVL"
            if row.option("SO_KEEPALIVE") != Some("1") =>
        {
            Some("it has no effect without SO_KEEPALIVE")
        }
        "SO_RCVBUF" | "SO_SNDBUF" | "TCP_MAXSEG" => Some("the kernel adjusts it"),
        "IPV6_UNICAST_HOPS" | "SO_INCOMING_CPU" if is_connected => {
            Some("it depends on the route or on the last packet")
        }
        "IPV6_V6ONLY" if is_connected && sample.subject.plan == Plan::V6 && !is_bindv6only() => {
            Some("bind(2) or connect(2) may have set the address")
        }
        "IPV6_MTU" => Some("getsockopt(2) returns the MTU of the path"),
        "TCP_NOTSENT_LOWAT" => Some("getsockopt(2) returns 0 for the sysctl"),
        "TCP_QUICKACK" => Some("the kernel switches it"),
        _ => None,
    }
}

/// Whether getsockopt(2) returns this if nothing is set, so that the option has no value.
fn is_nothing(opt: &Opt, value: &str) -> bool {
    match opt.answer {
        Answer::Timestamping => value == "0",
        Answer::Range => value == "0-0",
        _ => matches!(value, "''" | "0ms"),
    }
}

/// Whether two values of an option are the same on this sample. On TCP sockets, the kernel sets the
/// bits of ECN.
fn is_same(opt: &Opt, sample: &Sample, one: &str, other: &str) -> bool {
    let number = |text: &str| {
        let digits = text.strip_prefix("0x")?;
        u32::from_str_radix(digits, 16).ok().map(|class| class & !3)
    };
    match opt.name {
        "IP_TOS" | "IPV6_TCLASS" if sample.subject.role.is_tcp() => number(one) == number(other),
        _ => one == other,
    }
}

fn is_bindv6only() -> bool {
    fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|text| text.trim() == "1")
}

/// The value of an option by getsockopt(2), as a filter takes it. `None` if there is none that can be
/// compared.
fn value(opt: &Opt, sample: &Sample, given: Option<&str>) -> Option<String> {
    let given = given.map(|given| vec![given.to_owned()]);
    match opt.answer {
        Answer::Presence | Answer::Given | Answer::Groups if given.is_none() => None,
        Answer::Linger => {
            let on = crate::sockets::get(&sample.subject.socket, opt.level, opt.option, [0_i32; 2]);
            // If it is off, there is no time.
            on.ok()
                .filter(|[on, _]| *on != 0)
                .map(|[_, n]| format!("{n}s"))
        }
        Answer::Length | Answer::Name => {
            let text = opt.text(&sample.subject.socket, given.as_deref()).ok()?;
            let none = if opt.answer == Answer::Length {
                "0"
            } else {
                "''"
            };
            Some(text.unwrap_or_else(|| none.to_owned()))
        }
        Answer::Index(_) => {
            let text = opt.text(&sample.subject.socket, None).ok()??;
            Some(if text.is_empty() {
                "''".to_owned()
            } else {
                text
            })
        }
        // The clock and the interface of an option that is not set cannot be told from others.
        Answer::TxTime | Answer::AddressIndex if given.is_none() => None,
        Answer::Timestamping => {
            let text = opt.text(&sample.subject.socket, None).ok()??;
            Some(if text.is_empty() {
                "0".to_owned()
            } else {
                text
            })
        }
        _ => opt.text(&sample.subject.socket, given.as_deref()).ok()?,
    }
}

/// The cells of an option's column, by inode.
fn column(name: &str) -> Result<BTreeMap<u64, String>> {
    let text = output_of(&["-Htuan", "-o", &format!("ino,{name}")])?;
    let cells = text.lines().map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (ino, cell) = (words.next(), words.next());
        let (ino, cell) = ino.zip(cell).context("a row of one word")?;
        // A socket without a process has no inode.
        Ok((ino.parse().unwrap_or(0), cell.to_owned()))
    });
    cells.collect()
}

/// Compares the answers to filters on one option, and its column, with getsockopt(2). `given` is the value that was
/// set on each sample, if getsockopt(2) does not return it.
fn compare(
    opt: &Opt,
    samples: &[Sample],
    given: Option<&str>,
    wrong: &mut Vec<String>,
) -> Result<()> {
    let rows = rows()?;
    let mut values: BTreeMap<String, Vec<&Sample>> = BTreeMap::new();
    let mut without: Vec<&Sample> = Vec::new();
    let mut unknown: Vec<(&Sample, &str)> = Vec::new();
    for sample in samples {
        let row = rows.get(&sample.ino).context("a socket without a row")?;
        let (plan, role) = (sample.subject.plan, sample.subject.role);
        if !entries(opt.name).any(|entry| entry.is_on(plan, role)) {
            without.push(sample);
        } else if let Some(why) = exception(opt, sample, row) {
            unknown.push((sample, why));
        } else if let Some(value) = value(opt, sample, given) {
            values.entry(value).or_default().push(sample);
        }
    }
    // The column of the option shows the same value, or one that the filter takes for it.
    let column = column(opt.name)?;
    let mut is_wrong =
        |sample: &Sample, expected: &str, is_right: &dyn Fn(&str) -> Result<bool>| {
            let cell = column.get(&sample.ino).map_or("", String::as_str);
            if !is_right(cell)? {
                let (name, kind) = (opt.name, &sample.kind);
                wrong.push(format!("column {name} of {kind}: {cell:?}, not {expected}"));
            }
            anyhow::Ok(())
        };
    for (value, samples) in &values {
        let expected = if is_nothing(opt, value) { "-" } else { value };
        for sample in samples {
            is_wrong(sample, expected, &|cell| {
                Ok(is_same(opt, sample, cell, expected))
            })?;
        }
    }
    let is_empty = |cell: &str| matches!(cell, "-" | "?");
    for sample in &without {
        is_wrong(sample, "- or ?", &|cell| Ok(is_empty(cell)))?;
    }
    for (sample, why) in &unknown {
        is_wrong(sample, why, &|cell| {
            let equal = || selected(&format!("{}={cell}", opt.name));
            Ok(is_empty(cell) || equal()?.contains(&sample.ino))
        })?;
    }
    // The rows of connections lack these options even if they are set.
    if matches!(opt.name, "SO_INCOMING_CPU" | "TCP_WINDOW_CLAMP") {
        for filter in [opt.name.to_owned(), format!("not {}", opt.name)] {
            let found = selected(&filter)?;
            for sample in samples {
                let role = sample.subject.role;
                let is_connection = !matches!(role, Role::Listener | Role::UdpBound);
                let has_option = role.is_tcp() || opt.name == "SO_INCOMING_CPU";
                if is_connection && has_option && found.contains(&sample.ino) {
                    wrong.push(format!("{filter} selects {}", sample.kind));
                }
            }
        }
    }
    for (value, same) in &values {
        let equal = selected(&format!("{}={value}", opt.name))?;
        let unequal = selected(&format!("{}!={value}", opt.name))?;
        let mut check = |sample: &Sample, is_equal: bool, is_unequal: bool, why: &str| {
            let found = (equal.contains(&sample.ino), unequal.contains(&sample.ino));
            if found != (is_equal, is_unequal) {
                wrong.push(format!(
                    "{}={value} of {}: (=, !=) selects {found:?}, not {:?}: {why}",
                    opt.name,
                    sample.kind,
                    (is_equal, is_unequal)
                ));
            }
        };
        for (other, samples) in &values {
            for sample in samples {
                let is_same = is_same(opt, sample, other, value);
                check(
                    sample,
                    is_same,
                    !is_same,
                    &format!("getsockopt(2): {other}"),
                );
            }
        }
        for sample in &without {
            check(sample, false, false, "no such option");
        }
        for (sample, why) in &unknown {
            check(sample, false, false, why);
        }
        ensure!(!same.is_empty(), "a value of no socket");
    }
    Ok(())
}

/// Tests every option on sockets that were made under these sysctls, before `later` is set: fresh and,
/// `with_changes`, with another value. Options that are set show themselves, whatever the sysctls.
fn every_option(
    sysctls: &[(&str, &str)],
    later: &[(&str, &str)],
    with_changes: bool,
) -> Result<()> {
    set_sysctls(sysctls)?;
    let mut samples = samples()?;
    set_sysctls(later)?;
    let mut wrong = Vec::new();
    let mut compared = 0;
    for opt in each_name() {
        compare(opt, &samples, None, &mut wrong)?;
        compared += 1;
        if !with_changes {
            continue;
        }
        let mut changed = false;
        for entry in
            entries(opt.name).filter(|entry| entry.early != Early::Too || entry.undo.is_some())
        {
            let Some(first) = entry.tries.first() else {
                continue;
            };
            for sample in &mut samples {
                let (plan, role) = (sample.subject.plan, sample.subject.role);
                if entry.is_on(plan, role) {
                    changed |= sample.subject.give(entry, first).is_ok();
                }
            }
        }
        let given = opt.tries.first().map(|first| first.text.as_str());
        let given = given.filter(|text| !text.is_empty());
        if changed && !matches!(opt.answer, Answer::Groups | Answer::Presence) {
            compare(opt, &samples, given, &mut wrong)?;
        }
        for entry in entries(opt.name) {
            for sample in &mut samples {
                let (plan, role) = (sample.subject.plan, sample.subject.role);
                if entry.is_on(plan, role) {
                    // undo() fails if the option was not set.
                    let _ = sample.subject.undo(entry);
                }
            }
        }
    }
    ensure!(compared > 130, "only {compared} options were compared");
    ensure!(
        wrong.is_empty(),
        "{} wrong answers:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// The default of a kind of sockets in a line such as `Default: 1; UDP over IPv6: 0 (a.sysctl).`
fn default_in<'t>(line: &'t str, title: &str) -> &'t str {
    let line = line.strip_suffix('.').unwrap_or(line);
    let line = line.split_once(" (").map_or(line, |(line, _)| line);
    let mut parts = line.split("; ");
    let first = parts.next().unwrap_or_default();
    parts
        .filter_map(|part| part.split_once(": "))
        .find(|(other, _)| *other == title)
        .map_or(first, |(_, value)| value)
}

/// `knetstat explain` names the value that getsockopt(2) returns for a fresh socket.
fn explain(sysctls: &[(&str, &str)]) -> Result<()> {
    set_sysctls(sysctls)?;
    let kinds = [
        ("TCP", Plan::V4, Role::Listener, Type::STREAM),
        ("TCP over IPv6", Plan::V6, Role::Listener, Type::STREAM),
        ("UDP", Plan::V4, Role::UdpBound, Type::DGRAM),
        ("UDP over IPv6", Plan::V6, Role::UdpBound, Type::DGRAM),
    ];
    let mut wrong = Vec::new();
    let mut told = 0;
    for opt in each_name() {
        let text = output_of(&["explain", opt.name])?;
        let Some(line) = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Default: "))
        else {
            continue;
        };
        for (title, plan, role, kind) in kinds {
            let is_ours = matches!(
                opt.name,
                // knetstat(8) describes the difference.
                "TCP_NOTSENT_LOWAT" | "IPV6_MTU"
            );
            if is_ours || !entries(opt.name).any(|entry| entry.is_on(plan, role)) {
                continue;
            }
            let socket = Socket::new(plan.domain(), kind, None)?;
            let subject = Subject::of(plan, role, socket, vec![]);
            let sample = Sample {
                kind: title.to_owned(),
                ino: 0,
                subject,
            };
            let Some(value) = value(opt, &sample, None) else {
                continue;
            };
            let value = if is_nothing(opt, &value) {
                "none"
            } else {
                &value
            };
            told += 1;
            if default_in(line, title) != value {
                wrong.push(format!("{} of {title}: {value}, not {line}", opt.name));
            }
        }
    }
    ensure!(told > 200, "only {told} defaults were compared");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Runs the command, as another user than root or with `as_root`.
fn said(as_root: bool, args: &[&str]) -> Result<Said> {
    said_by(if as_root { &[] } else { &NOBODY }, args)
}

/// A filter for which nothing is known selects nothing, and says so.
fn is_undecided(as_root: bool, filter: &[&str], why: &str) -> Result<()> {
    let list = said(as_root, &[&["-Htuan"], filter].concat())?;
    ensure!(
        list.rows() == 0 && list.status == Some(0) && list.notes.contains(why),
        "{filter:?}: {} rows, {}",
        list.rows(),
        list.notes
    );
    let strict = said(as_root, &[&["-Htuan", "--strict"], filter].concat())?;
    ensure!(strict.status == Some(3), "{filter:?}: {:?}", strict.status);
    let json = said(as_root, &[&["-tuan", "--json"], filter].concat())?;
    // The last object.
    ensure!(json.rows() == 1, "{filter:?}: {} objects", json.rows());
    Ok(())
}

/// A user without CAP_NET_ADMIN does not see marks, and a filter does not take that for "no mark".
fn hidden_options() -> Result<()> {
    let marked = Plan::V4.tcp()?;
    marked.set_mark(42)?;
    let listener = Plan::V4.listener(5)?;
    let to = local(&listener)?;
    marked.connect(&SockAddr::from(to))?;
    let at = format!(":{}", to.port());
    let of = |filter: &'static str| ["dport", "=", &at, filter].map(str::to_owned);
    for (filter, rows) in [("SO_MARK=42", 1), ("SO_MARK=0x2a/0xff", 1), ("!SO_MARK", 0)] {
        let words = of(filter);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let found = said(true, &[&["-Htan"], words.as_slice()].concat())?;
        ensure!(
            found.rows() == rows && found.notes.is_empty(),
            "{filter}: {} rows, {}",
            found.rows(),
            found.notes
        );
    }
    for filter in [
        "SO_MARK=42",
        "SO_MARK!=42",
        "SO_MARK",
        "!SO_MARK",
        "!SO_MARK=42",
    ] {
        let words = of(filter);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        is_undecided(false, &words, "without CAP_NET_ADMIN")?;
    }
    Ok(())
}

/// A mark that was hidden from the reader of a copy, or is hidden from the one who compares, makes no
/// event of a socket that has always had it.
fn hidden_options_since() -> Result<()> {
    let marked = Plan::V4.tcp()?;
    marked.set_mark(7)?;
    let listener = Plan::V4.listener(5)?;
    let to = local(&listener)?;
    marked.connect(&SockAddr::from(to))?;
    let (_server, _) = listener.accept()?;
    let at = format!("dport = :{}", to.port());
    let file = std::env::temp_dir().join(format!("knetstat-since-{}", to.port()));
    let name = file.to_str().context("a path")?;
    for (copied_by_root, compared_by_root) in [(false, true), (true, false), (true, true)] {
        let copy = said(copied_by_root, &["copy"])?;
        ensure!(copy.status == Some(0), "{}", copy.notes);
        fs::write(&file, copy.out)?;
        for filter in ["SO_MARK", "not SO_MARK", "SO_MARK=7", "SO_MARK!=7"] {
            let args = ["-Htan", "--since", name, at.as_str(), filter];
            let found = said(compared_by_root, &args)?;
            ensure!(
                found.rows() == 0 && found.status == Some(0),
                "{filter}, copied by root: {copied_by_root}, compared by root: \
                {compared_by_root}: {} {}",
                found.out,
                found.notes
            );
            let is_doubtful = found.notes.contains("cannot decide the filter");
            ensure!(
                is_doubtful != (copied_by_root && compared_by_root),
                "{filter}: {}",
                found.notes
            );
        }
    }
    fs::remove_file(&file)?;
    Ok(())
}

/// A connection that its process has closed, so that the kernel keeps only its addresses, and those for
/// a minute. Returns its remote port, as in a filter, and the sockets of the other end.
fn forgotten() -> Result<(String, [Socket; 2])> {
    let listener = Plan::V4.listener(5)?;
    let to = local(&listener)?;
    let client = Plan::V4.tcp()?;
    client.set_tcp_nodelay(true)?;
    client.connect(&SockAddr::from(to))?;
    let (server, _) = listener.accept()?;
    // Close in FIN_WAIT2. If close(2) sends the FIN and still owns the socket when the ACK arrives, then
    // the socket stays a full one; see TCP_FIN_WAIT1 in `tcp_rcv_state_process()`.
    client.shutdown(Shutdown::Write)?;
    wait_state(&client, state::FIN_WAIT2)?;
    drop(client);
    let at = format!(":{}", to.port());
    // A command that another test starts just now may still have a copy of the descriptor.
    let is_forgotten = || {
        let rows = File::Tcp.read()?;
        let row = rows.iter().find(|row| row.foreign.ends_with(&at));
        Ok(match row.is_some_and(|row| row.options.is_none()) {
            true => Ok(()),
            false => Err(format!("{row:?}")),
        })
    };
    wait_for("the kernel to forget the options", 30, is_forgotten)?;
    Ok((at, [listener, server]))
}

/// Filters on options of a connection whose options the kernel has forgotten.
fn forgotten_options() -> Result<()> {
    for filter in [
        "TCP_NODELAY",
        "!TCP_NODELAY",
        "TCP_NODELAY=0",
        "TCP_NODELAY!=0",
        "!TCP_USER_TIMEOUT",
        "uid=0",
        "uid!=0",
        "!uid=0",
    ] {
        // One for each: the minute may be over after a few runs if all code is emulated.
        let (at, _peer) = forgotten()?;
        is_undecided(true, &["dport", "=", &at, filter], "keeps only addresses")?;
    }
    let (at, _peer) = forgotten()?;
    // A condition that is known can decide alone.
    let found = said(
        true,
        &[
            "-Htan",
            &format!("dport = {at} and ( uid=0 or dport = {at} )"),
        ],
    )?;
    ensure!(
        found.rows() == 1 && found.notes.is_empty(),
        "{}",
        found.notes
    );
    let found = said(
        true,
        &["-Htan", &format!("dport = {at} and uid=0 and sport = {at}")],
    )?;
    ensure!(
        found.rows() == 0 && found.notes.is_empty(),
        "{}",
        found.notes
    );
    Ok(())
}

/// A TCP socket that is only bound is in no file. The command says so to whoever looks for its port.
fn bound_sockets() -> Result<()> {
    let bound = Plan::V4.tcp()?;
    bound.bind(&Plan::V4.addr(0).into())?;
    let port = local(&bound)?.port();
    let filter = format!("sport = :{port}");
    let note = "bound, but neither listens nor is connected";
    for (flags, has_note) in [
        ("-Htan", true),
        ("-Htln", true),
        ("-Htn", false),
        ("-Huan", false),
    ] {
        let found = said(true, &[flags, &filter])?;
        ensure!(
            found.rows() == 0 && found.notes.contains(note) == has_note,
            "{flags}: {} rows, {}",
            found.rows(),
            found.notes
        );
    }
    let counted = said(true, &["summary", "-Htln", &filter])?;
    ensure!(counted.notes.contains(note), "{}", counted.notes);
    bound.listen(5)?;
    let found = said(true, &["-Htan", &filter])?;
    ensure!(
        found.rows() == 1 && found.notes.is_empty(),
        "{}",
        found.notes
    );
    Ok(())
}

/// A row shows at most 1,024 groups. A filter does not take those for all.
fn cut_lists() -> Result<()> {
    fs::write("/proc/sys/net/ipv4/igmp_max_memberships", "2000")?;
    let socket = Plan::V4.udp()?;
    let join = |group: Ipv4Addr| {
        socket.join_multicast_v4_n(&group, &socket2::InterfaceIndexOrAddress::Index(1))
    };
    join(Ipv4Addr::new(224, 0, 0, 251))?;
    for n in 0..1_100_u16 {
        let [high, low] = n.to_be_bytes();
        join(Ipv4Addr::new(239, 2, high, low))?;
    }
    let newest = said(true, &["-Huan", "IP_ADD_MEMBERSHIP=239.2.4.75"])?;
    ensure!(
        newest.rows() == 1 && newest.notes.is_empty(),
        "{}",
        newest.notes
    );
    for filter in [
        "IP_ADD_MEMBERSHIP=224.0.0.251",
        "IP_ADD_MEMBERSHIP!=224.0.0.251",
        "!IP_ADD_MEMBERSHIP=224.0.0.251",
    ] {
        is_undecided(true, &[filter], "more groups than a row shows")?;
    }
    Ok(())
}
