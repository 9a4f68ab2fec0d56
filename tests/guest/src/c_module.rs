// SPDX-License-Identifier: GPL-2.0

//! The C module of the same name, compared with ours over the same sockets. The rows must be the
//! same except for the differences that docs/comparison.md lists in "The C module". Also measured:
//! the time per row of each.
//!
//! The C module is not part of this project: `vm/test.sh c-module` builds it for these tests.

use crate::guest::{guest, wait_for};
use crate::harness::Case;
use crate::lifecycle::unloaded;
use crate::modules;
use crate::netns::in_fresh;
use crate::options::{table, Role, Subject, OF_THE_C_MODULE};
use crate::reads::read_in_pieces;
use crate::rows::{File, Row};
use crate::sockets::{deafen, local, row, set_int, stuff, Pair, Plan};
use crate::states::{every_tcp_state, Scene};
use anyhow::{bail, ensure, Context, Result};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::BTreeSet;
use std::fs;
use std::mem::MaybeUninit;
use std::net::{Ipv6Addr, Shutdown, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// CONFIG_HZ of Debian's kernels, on which this runs.
const HZ: i64 = 250;

/// For the figures: the number of sockets, of loads of each module, and of reads after each load.
const SOCKETS: usize = 5_000;
const TURNS: usize = 15;
const READS: usize = 10;

pub fn cases() -> Vec<Case> {
    // Its name is that of ours.
    let ko = guest().dir.join("c/knetstat.ko");
    if !ko.exists() {
        return vec![];
    }
    let again = ko.clone();
    vec![
        Case::alone("c_module::same_rows", move || in_fresh(|| same_rows(&ko))),
        Case::alone("c_module::time_of_a_row", move || {
            in_fresh(|| time_of_a_row(&again))
        }),
    ]
}

/// A loaded module. Dropping this unloads it.
struct Loaded;

impl Loaded {
    fn new(ko: &Path) -> Result<Self> {
        modules::insert(ko, "").with_context(|| format!("loading {}", ko.display()))?;
        Ok(Self)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        modules::remove("knetstat").expect("nobody uses the module");
    }
}

/// The differences that are on purpose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Known {
    RequestPort,
    DeferAccept,
    UserTimeout,
    LongTime,
    NegativeLinger,
    UdpRecvQ,
    DiagInMoreStates,
    DiagTwoAtATime,
    Blank,
    MoreOptions,
    OtherKinds,
    Isatap,
}

impl Known {
    const ALL: [Known; 12] = [
        Known::RequestPort,
        Known::DeferAccept,
        Known::UserTimeout,
        Known::LongTime,
        Known::NegativeLinger,
        Known::UdpRecvQ,
        Known::DiagInMoreStates,
        Known::DiagTwoAtATime,
        Known::Blank,
        Known::MoreOptions,
        Known::OtherKinds,
        Known::Isatap,
    ];

    /// The beginning of the bullet in docs/comparison.md that describes it.
    fn bullet(self) -> &'static str {
        match self {
            Known::RequestPort => "Requests (`SYNR`) show the local port.",
            Known::DeferAccept => "TCP_DEFER_ACCEPT is in seconds,",
            Known::UserTimeout => "TCP_USER_TIMEOUT is in milliseconds",
            Known::LongTime | Known::NegativeLinger => "SO_RCVTIMEO and SO_SNDTIMEO of millions",
            Known::UdpRecvQ => "Recv-Q of UDP is that of `/proc/net/udp`.",
            Known::DiagInMoreStates | Known::DiagTwoAtATime => "Diagnostics are shown in each",
            Known::Blank => "`TIMW`, `SYNR` and other rows without options end after the state",
            Known::MoreOptions => "Options that the C module does not know follow",
            Known::OtherKinds => "SO_KEEPALIVE of UDP and SO_BROADCAST of TCP",
            Known::Isatap => "IPv6 addresses of ISATAP",
        }
    }

    /// Checks that docs/comparison.md has all of them.
    fn check_page() -> Result<()> {
        let text = include_str!("../../../docs/comparison.md");
        let (_, section) = text
            .split_once("\n## The C module\n")
            .context("docs/comparison.md has no section on the C module")?;
        let section = section.split("\n## ").next().unwrap_or_default();
        // Without line ends, one line a bullet.
        let bullets: Vec<String> = section
            .split("\n- ")
            .map(|bullet| {
                bullet
                    .split_ascii_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        for known in Known::ALL {
            ensure!(
                bullets
                    .iter()
                    .any(|bullet| bullet.starts_with(known.bullet())),
                "docs/comparison.md has no bullet {:?}, for {known:?}",
                known.bullet()
            );
        }
        Ok(())
    }
}

/// A listing of the C module, and which of its rows end with a blank.
fn parse_theirs(file: File, text: &str) -> Result<(Vec<Row>, Vec<bool>)> {
    let blanks = text
        .lines()
        .skip(1)
        .map(|line| line.ends_with(' '))
        .collect();
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.strip_suffix(' ').unwrap_or(line))
        .collect();
    Ok((file.parse(&(lines.join("\n") + "\n"))?, blanks))
}

/// The seconds in which this many SYN-ACKs are sent, as `retrans_to_secs()` adds them up.
fn seconds_of(retransmissions: u64) -> u64 {
    let times = (0..).scan(1, |time, _| {
        Some(std::mem::replace(time, 120.min(*time * 2)))
    });
    times.take(retransmissions as usize).sum()
}

/// Compares two addresses, each with its port.
fn compare_addresses(ours: &str, theirs: &str, known: &mut BTreeSet<Known>) -> Result<()> {
    if ours == theirs {
        return Ok(());
    }
    let split = |text: &str| -> Result<(Ipv6Addr, String)> {
        let (host, port) = text.rsplit_once(':').context("no port")?;
        Ok((host.parse()?, port.to_owned()))
    };
    let addr = split(ours)?;
    ensure!(
        addr == split(theirs)?
            && addr.0.segments()[4] & !0x0200 == 0
            && addr.0.segments()[5] == 0x5efe,
        "address {ours}, not {theirs}"
    );
    known.insert(Known::Isatap);
    Ok(())
}

/// Compares two values of an option.
fn compare_values(name: &str, ours: &str, theirs: &str, known: &mut BTreeSet<Known>) -> Result<()> {
    if ours == theirs {
        return Ok(());
    }
    let explained = match name {
        "TCP_DEFER_ACCEPT" if ours.parse() == Ok(seconds_of(theirs.parse()?)) => Known::DeferAccept,
        "TCP_USER_TIMEOUT"
            if theirs.parse() == Ok(ours.parse::<u32>()?.wrapping_mul((1000 / HZ) as u32)) =>
        {
            Known::UserTimeout
        }
        "SO_RCVTIMEO" | "SO_SNDTIMEO" => {
            let ms: u64 = ours.strip_suffix("ms").context("no ms")?.parse()?;
            let jiffies = i64::try_from(ms / (1000 / HZ as u64))?;
            let overflown = jiffies.wrapping_mul(1000) / HZ;
            ensure!(
                jiffies.checked_mul(1000).is_none() && theirs == format!("{overflown}ms"),
                "{name}={ours}, not {theirs}"
            );
            Known::LongTime
        }
        "SO_LINGER" => {
            // The kernel's value of a negative time, which getsockopt(2) returns as `int`.
            let seconds: i64 = theirs.strip_suffix('s').context("no s")?.parse()?;
            ensure!(
                seconds > i32::MAX.into() && ours == format!("{}s", seconds as i32),
                "{name}={ours}, not {theirs}"
            );
            Known::NegativeLinger
        }
        _ => bail!("{name}={ours}, not {theirs}"),
    };
    known.insert(explained);
    Ok(())
}

/// Compares two rows. Fails at a difference that docs/comparison.md does not list.
fn compare_rows(
    file: File,
    ours: &Row,
    theirs: &Row,
    blank: bool,
    known: &mut BTreeSet<Known>,
) -> Result<()> {
    // Where it is, and whose.
    let is_request = ours.state == "SYNR" && ours.options.is_none();
    let any_port = |text: &str| text.rsplit_once(':').map(|(host, _)| format!("{host}:*"));
    if is_request && ours.local != theirs.local {
        ensure!(
            any_port(&ours.local) == any_port(&theirs.local),
            "local address {}, not {}",
            ours.local,
            theirs.local
        );
        known.insert(Known::RequestPort);
    } else {
        compare_addresses(&ours.local, &theirs.local, known).context("local")?;
    }
    compare_addresses(&ours.foreign, &theirs.foreign, known).context("foreign")?;
    ensure!(
        ours.state == theirs.state,
        "state {}, not {}",
        ours.state,
        theirs.state
    );

    // The contents of its queues.
    if ours.recvq != theirs.recvq {
        ensure!(
            !file.is_tcp() && ours.recvq < theirs.recvq,
            "Recv-Q {}, not {}",
            ours.recvq,
            theirs.recvq
        );
        known.insert(Known::UdpRecvQ);
    }
    ensure!(
        ours.sendq == theirs.sendq,
        "Send-Q {}, not {}",
        ours.sendq,
        theirs.sendq
    );

    // Its Diag column.
    if ours.diag != theirs.diag {
        known.insert(match (&*ours.state, &*ours.diag, &*theirs.diag) {
            ("CLSW" | "FNW1" | "FNW2" | "CLSG" | "LACK", _, "") => Known::DiagInMoreStates,
            ("ESTB", ">#|<", "|<") => Known::DiagTwoAtATime,
            _ => bail!("Diag {:?}, not {:?}", ours.diag, theirs.diag),
        });
    }

    // Its options.
    let (ours, theirs) = match (&ours.options, &theirs.options) {
        (Some(ours), Some(theirs)) => (ours, theirs),
        (None, None) => {
            ensure!(blank, "no blank at the end");
            known.insert(Known::Blank);
            return Ok(());
        }
        other => bail!("options {:?}, not {:?}", other.0, other.1),
    };
    ensure!(!blank, "a blank at the end");
    let same = theirs.len();
    let names = |options: &[(String, String)]| -> Vec<String> {
        options.iter().map(|(name, _)| name.clone()).collect()
    };
    ensure!(
        ours.len() >= same && names(&ours[..same]) == names(theirs),
        "options {ours:?}, not {theirs:?}"
    );
    for ((name, value), (_, other)) in ours.iter().zip(theirs) {
        compare_values(name, value, other, known)?;
    }
    // The C module does not know the options that follow, or not of such sockets.
    for (name, _) in &ours[same..] {
        let is_theirs = table()[..OF_THE_C_MODULE]
            .iter()
            .any(|opt| opt.name == name);
        known.insert(match (&**name, file.is_tcp()) {
            ("SO_KEEPALIVE", false) | ("SO_BROADCAST", true) => Known::OtherKinds,
            _ if !is_theirs => Known::MoreOptions,
            _ => bail!("the C module has no {name}: {ours:?}, not {theirs:?}"),
        });
    }
    ensure!(
        names(ours).ends_with(&["uid".to_owned(), "ino".to_owned()]),
        "no uid and ino at the end: {ours:?}"
    );
    Ok(())
}

/// Each value of each option that the C module has, alone on each kind of socket; then one value of
/// each option at once.
fn with_options(plan: Plan) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    let of_the_c_module = &table()[..OF_THE_C_MODULE];
    for role in Role::ALL {
        for opt in of_the_c_module {
            for value in &opt.tries {
                let mut subject = Subject::new(plan, role)?;
                match subject.give(opt, value) {
                    Ok(()) => subjects.push(subject),
                    Err(err) if opt.is_on(plan, role) => return Err(err).context(opt.name),
                    Err(_) => break,
                }
            }
        }
        let mut subject = Subject::new(plan, role)?;
        for opt in of_the_c_module {
            if opt.is_on(plan, role) {
                subject.give(opt, &opt.tries[0])?;
            }
        }
        subjects.push(subject);
    }
    let subject = Subject::new(plan, Role::Client)?;
    // Makes SO_REUSEADDR 2.
    set_int(&subject.socket, libc::IPPROTO_TCP, libc::TCP_REPAIR, 1)?;
    subjects.push(subject);
    Ok(subjects)
}

/// Waits until our row of a socket has this state and this Diag, and does something meanwhile.
fn wait_diag(
    plan: Plan,
    socket: &Socket,
    state: &str,
    diag: &str,
    mut meanwhile: impl FnMut() -> Result<()>,
) -> Result<()> {
    wait_for(&format!("{state} {diag:?}"), 15, || {
        meanwhile()?;
        let row = row(plan.file(true), socket)?;
        Ok(if row.state == state && row.diag == diag {
            Ok(())
        } else {
            Err(format!("{row:?}"))
        })
    })
}

/// Connections with a problem: a closed window, or ACKs that do not arrive.
fn with_diagnostics(plan: Plan) -> Result<Vec<Pair>> {
    let stuffed = || -> Result<Pair> {
        let pair = plan.small_pair()?;
        wait_diag(plan, &pair.client, "ESTB", ">|", || stuff(&pair.client))?;
        Ok(pair)
    };
    let one_way = stuffed()?;
    let both_ways = stuffed()?;
    wait_diag(plan, &both_ways.server, "ESTB", ">|<", || {
        stuff(&both_ways.server)
    })?;
    let fin_wait1 = stuffed()?;
    fin_wait1.client.shutdown(Shutdown::Write)?;
    let close_wait = stuffed()?;
    close_wait.server.shutdown(Shutdown::Write)?;
    let last_ack = stuffed()?;
    last_ack.server.shutdown(Shutdown::Write)?;
    wait_diag(plan, &last_ack.client, "CLSW", ">|", || Ok(()))?;
    last_ack.client.shutdown(Shutdown::Write)?;
    let closing = stuffed()?;
    closing.client.shutdown(Shutdown::Write)?;
    closing.server.shutdown(Shutdown::Write)?;
    let lost = plan.pair()?;
    deafen(&lost.server)?;
    lost.client.send(b"x")?;
    let own_and_lost = stuffed()?;
    deafen(&own_and_lost.client)?;
    own_and_lost.server.send(b"x")?;

    for (socket, state, diag) in [
        (&one_way.client, "ESTB", ">|"),
        (&one_way.server, "ESTB", "|<"),
        (&both_ways.client, "ESTB", ">|<"),
        (&both_ways.server, "ESTB", ">|<"),
        (&fin_wait1.client, "FNW1", ">|"),
        (&fin_wait1.server, "ESTB", "|<"),
        (&close_wait.client, "CLSW", ">|"),
        (&close_wait.server, "FNW2", "|<"),
        (&last_ack.client, "LACK", ">|"),
        (&closing.client, "CLSG", ">|"),
        (&lost.client, "ESTB", ">#"),
        (&own_and_lost.server, "ESTB", ">#|<"),
    ] {
        wait_diag(plan, socket, state, diag, || Ok(()))?;
    }
    Ok(vec![
        one_way,
        both_ways,
        fin_wait1,
        close_wait,
        last_ack,
        closing,
        lost,
        own_and_lost,
    ])
}

/// UDP sockets with datagrams in both queues, some of them read already.
fn udp(plan: Plan) -> Result<Vec<Socket>> {
    let wildcard = Socket::new(plan.domain(), Type::DGRAM, None)?;
    wildcard.bind(&plan.wildcard(0).into())?;
    let full = plan.udp()?;
    let half_read = plan.udp()?;
    let sender = plan.udp()?;
    for to in [&full, &half_read] {
        for _ in 0..4 {
            sender.send_to(&[b'x'; 100], &local(to)?.into())?;
        }
    }
    half_read.recv(&mut [MaybeUninit::uninit(); 200])?;
    sender.connect(&local(&full)?.into())?;
    let corked = plan.udp()?;
    set_int(&corked, libc::SOL_UDP, libc::UDP_CORK, 1)?;
    corked.connect(&local(&full)?.into())?;
    corked.send(b"later")?;
    Ok(vec![wildcard, full, half_read, sender, corked])
}

/// UDP sockets with IPv6 addresses of many shapes, which the machine need not have.
fn addresses() -> Result<Vec<Socket>> {
    const SHAPES: &[&str] = &[
        "2001:db8::",
        "2001:db8::1",
        "2001:db8:0:0:1::",
        "2001:db8:0:0:1:0:0:1",
        "2001:db8:0:1:1:1:1:1",
        "2001:db8:0:1:0:1:0:1",
        "2001:0:0:1:0:0:0:1",
        "2001:db8:1234:5678:9abc:def0:fedc:ba98",
        "::1234",
        "::198.51.100.7",
        "64:ff9b::198.51.100.7",
        "::ffff:0:198.51.100.7",
        // ISATAP, RFC 5214
        "2001:db8::5efe:198.51.100.7",
        "2001:db8::200:5efe:198.51.100.7",
        "2001:db8::300:5efe:198.51.100.7",
    ];
    SHAPES
        .iter()
        .map(|shape| {
            let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
            set_int(&socket, libc::IPPROTO_IPV6, libc::IPV6_FREEBIND, 1)?;
            let ip: Ipv6Addr = shape.parse()?;
            let addr: SocketAddr = (ip, 0).into();
            socket.bind(&addr.into()).context(*shape)?;
            Ok(socket)
        })
        .collect()
}

/// The texts of the four files of the loaded module.
fn read_by(ko: &Path) -> Result<Vec<String>> {
    let _loaded = Loaded::new(ko)?;
    File::ALL
        .iter()
        .map(|file| Ok(fs::read_to_string(file.path())?))
        .collect()
}

/// Both modules show the same rows, except for the known differences.
fn same_rows(c: &Path) -> Result<()> {
    Known::check_page()?;
    let mut subjects = Vec::new();
    let mut udps = addresses()?;
    let mut pairs = Vec::new();
    let mut scenes: Vec<Scene> = Vec::new();
    for plan in [Plan::V4, Plan::V6] {
        subjects.extend(with_options(plan)?);
        pairs.extend(with_diagnostics(plan)?);
    }
    for plan in Plan::ALL {
        udps.extend(udp(plan)?);
    }
    // Last, as TIME_WAIT ends after a minute.
    for plan in Plan::ALL {
        scenes.push(every_tcp_state(plan)?);
    }
    // No ACK comes for a second.
    thread::sleep(Duration::from_millis(1500));

    let mut stable = None;
    unloaded(|| {
        for _ in 0..5 {
            let [theirs, ours, theirs_again, ours_again] = [
                read_by(c)?,
                read_by(&guest().ko)?,
                read_by(c)?,
                read_by(&guest().ko)?,
            ];
            // A timer may end a socket, or send something.
            if theirs == theirs_again && ours == ours_again {
                stable = Some((ours, theirs));
                return Ok(());
            }
        }
        bail!("the sockets do not stay the same")
    })?;
    let (ours, theirs) = stable.context("texts")?;

    let mut known = BTreeSet::new();
    // The options that the C module has shown: a comparison of empty rows would prove little.
    let mut shown = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut total = 0;
    for (file, (ours, theirs)) in File::ALL.into_iter().zip(ours.iter().zip(&theirs)) {
        let ours = file.parse(ours).context("ours")?;
        let (theirs, blanks) = parse_theirs(file, theirs).context("the C module's")?;
        for (number, ((row, other), blank)) in ours.iter().zip(&theirs).zip(blanks).enumerate() {
            shown.insert(other.state.clone());
            shown.insert(other.diag.clone());
            for (name, value) in other.options.iter().flatten() {
                if value != "0" {
                    shown.insert(name.clone());
                }
            }
            if let Err(err) = compare_rows(file, row, other, blank, &mut known) {
                wrong.push(format!(
                    "{} row {number}: {err:#}\n  ours   {row:?}\n  theirs {other:?}",
                    file.name()
                ));
            }
        }
        if ours.len() != theirs.len() {
            wrong.push(format!(
                "{} has {} rows, the C module's {}",
                file.name(),
                ours.len(),
                theirs.len()
            ));
        }
        total += ours.len();
    }
    ensure!(
        wrong.is_empty(),
        "{} differences that docs/comparison.md does not name:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
    let names = table()[..OF_THE_C_MODULE].iter().map(|opt| opt.name);
    for what in [
        "ESTB", "SYNS", "SYNR", "FNW1", "FNW2", "TIMW", "CLSW", "LACK", "LSTN", "CLSG", ">|", "|<",
        ">|<", ">#",
    ]
    .into_iter()
    .chain(names)
    {
        ensure!(shown.contains(what), "no row of the C module has {what}");
    }
    // Each difference that docs/comparison.md names must be seen.
    for expected in Known::ALL {
        ensure!(
            known.contains(&expected),
            "no row differs by {expected:?}, which docs/comparison.md says"
        );
    }
    println!("{total} rows by both modules");
    Ok(())
}

/// Reads one file with both modules in turn, and prints the time per row.
fn by_turns(c: &Path, file: File, what: &str, rows: usize) -> Result<()> {
    // Microseconds a row, of ours and of theirs: of all reads, and the median of each turn.
    let mut all = [Vec::new(), Vec::new()];
    let mut turns = [Vec::new(), Vec::new()];
    for turn in 0..TURNS {
        let mut order = [0, 1];
        if turn % 2 == 1 {
            order.reverse();
        }
        for which in order {
            let _loaded = Loaded::new([guest().ko.as_path(), c][which])?;
            let mut times = Vec::new();
            // The first read finds other things in the caches.
            for number in 0..=READS {
                let begun = Instant::now();
                let text = read_in_pieces(fs::File::open(file.path())?, 1 << 17)?;
                let time = begun.elapsed().as_secs_f64() * 1e6 / rows as f64;
                let lines = text.lines().count();
                ensure!(lines == rows + 1, "{lines} lines for {rows} sockets");
                if number > 0 {
                    times.push(time);
                }
            }
            turns[which].push(median(&mut times.clone()));
            all[which].extend(times);
        }
    }
    let mut ratios: Vec<f64> = turns[1]
        .iter()
        .zip(&turns[0])
        .map(|(c, ours)| c / ours)
        .collect();
    let ratio = median(&mut ratios);
    let [ours, theirs] = &mut all;
    println!(
        "{what}: {rows} rows, us a row: ours {:.2} (fastest read {:.2}), the C module {:.2} ({:.2}); \
         the C module takes {ratio:.2} times as long \
         (quartiles {:.2} and {:.2} of {TURNS} turns of {READS} reads)",
        median(ours),
        ours[0],
        median(theirs),
        theirs[0],
        ratios[TURNS / 4],
        ratios[TURNS - 1 - TURNS / 4],
    );
    Ok(())
}

/// Sorts the values, and returns the median.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

/// Prints the time per row of each module. No time makes this test fail.
fn time_of_a_row(c: &Path) -> Result<()> {
    let plan = Plan::V4;
    let listener = plan.listener(100)?;
    let to = SockAddr::from(local(&listener)?);
    let mut tcp = Vec::new();
    while tcp.len() < SOCKETS {
        let client = plan.tcp()?;
        client.connect(&to)?;
        tcp.push(client);
        tcp.push(listener.accept()?.0);
    }
    unloaded(|| by_turns(c, File::Tcp, "TCP connections", tcp.len() + 1))?;
    for socket in &tcp {
        socket.set_linger(Some(Duration::ZERO))?;
    }
    drop(tcp);

    let udp = (0..SOCKETS)
        .map(|_| plan.udp())
        .collect::<Result<Vec<_>>>()?;
    unloaded(|| by_turns(c, File::Udp, "UDP", udp.len()))
}
