// SPDX-License-Identifier: GPL-2.0

//! The load test: programs that this project did not write run while four readers read all files.
//! These programs are the network stressors of stress-ng and network selftests of the kernel. A
//! selftest must pass as it does without the module.
//!
//! `KNETSTAT_LOAD` is the directory of both (see `vm/load-tools.sh`). `KNETSTAT_READS` is the
//! number of listings to read (10,000). The module must not be loaded at the start.

use anyhow::{anyhow, bail, ensure, Context, Result};
use knetstat_guest_tests::background_readers::{come_first, read_on, Counts, READERS};
use knetstat_guest_tests::guest::{guest, number};
use knetstat_guest_tests::{grammar, guest, klog, modules};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// The stressors of stress-ng that use sockets.
const STRESSORS: &[&str] = &[
    "dccp",
    "epoll",
    "icmp-flood",
    "netdev",
    "netlink-proc",
    "ping-sock",
    "poll",
    "rawpkt",
    "rawsock",
    "rawudp",
    "sctp",
    "sendfile",
    "sock",
    "sockabuse",
    "sockdiag",
    "sockfd",
    "sockmany",
    "sockpair",
    "tun",
    "udp",
    "udp-flood",
];

/// The selftests of each folder: commands that run in that folder.
///
/// Not among them, although they use sockets: tests that need netdevsim (tfo_passive.sh), `jq`
/// (cmsg_so_priority.sh) or libraries of the kernel's netlink specifications; tests that do not end
/// in these guests (tcp_fastopen_backup_key.sh, mptcp_join.sh); and benchmarks.
const SELFTESTS: &[(&str, &[&str])] = &[
    (
        "net",
        &[
            "./bind_bhash 15432 ipv4 127.0.0.1",
            "./bind_bhash 15432 ipv6 ::1",
            "./bind_timewait",
            "./bind_wildcard",
            "./cmsg_so_mark.sh",
            "./fin_ack_lat.sh",
            "./getsockopt_iter",
            "./ip_local_port_range",
            "./ipv6_flowlabel.sh",
            "./psock_fanout",
            "./psock_snd.sh",
            "./psock_tpacket",
            "./reuseaddr_conflict",
            "./reuseaddr_ports_exhausted.sh",
            "./reuseport_addr_any.sh",
            "./reuseport_bpf",
            "./reuseport_bpf_cpu",
            "./reuseport_dualstack",
            "./rxtimestamp",
            "./sk_bind_sendto_listen",
            "./sk_connect_zero_addr",
            "./sk_so_peek_off",
            "./so_incoming_cpu",
            "./so_netns_cookie",
            "./socket",
            "./stress_reuseport_listen.sh",
            "./tcp_inq",
            "./tcp_port_share",
            "./test_so_rcv.sh",
            "./tls",
            "./udpgso.sh",
        ],
    ),
    (
        "net/tcp_ao",
        &[
            "./connect_ipv4",
            "./connect_ipv6",
            "./connect-deny_ipv4",
            "./connect-deny_ipv6",
            "./icmps-accept_ipv4",
            "./icmps-accept_ipv6",
            "./icmps-discard_ipv4",
            "./icmps-discard_ipv6",
            "./key-management_ipv4",
            "./key-management_ipv6",
            "./restore_ipv4",
            "./restore_ipv6",
            "./rst_ipv4",
            "./rst_ipv6",
            "./self-connect_ipv4",
            "./self-connect_ipv6",
            "./seq-ext_ipv4",
            "./seq-ext_ipv6",
            "./setsockopt-closed_ipv4",
            "./setsockopt-closed_ipv6",
            "./unsigned-md5_ipv4",
            "./unsigned-md5_ipv6",
        ],
    ),
    (
        "net/mptcp",
        &[
            "./diag.sh",
            "./mptcp_sockopt.sh",
            "./pm_netlink.sh",
            "./userspace_pm.sh",
            "./mptcp_connect.sh -4",
        ],
    ),
];

/// The seconds for which all stressors run at a time.
const STRESS_TIME: u64 = 60;

/// The time limit of a selftest, in seconds. The longest one that ends takes 80 s on the kernel
/// with checkers, without readers.
fn selftest_time() -> u64 {
    guest().scale(120, 300, 120)
}

/// The outcome of a selftest.
#[derive(Clone, Default)]
struct Outcome {
    /// The exit status: 0, 4 for "skipped", 124 if its time was over.
    status: i32,
    /// The points of its output that passed, by name, and all others. Numbers in the names are
    /// replaced, because they may differ from run to run.
    passed: BTreeMap<String, usize>,
    others: BTreeMap<String, usize>,
    skipped: usize,
    seconds: u64,
    output: String,
}

/// A text with `#` for each number in it.
fn without_numbers(text: &str) -> String {
    let mut all: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '#' } else { c })
        .collect();
    while all.contains("##") {
        all = all.replace("##", "#");
    }
    all
}

impl Outcome {
    fn of(status: i32, output: String, seconds: u64) -> Self {
        let mut outcome = Outcome {
            status,
            seconds,
            ..Outcome::default()
        };
        for line in output.lines().map(str::trim) {
            let (is_ok, rest) = match (line.strip_prefix("ok "), line.strip_prefix("not ok ")) {
                (Some(rest), _) => (true, rest),
                (_, Some(rest)) => (false, rest),
                _ => continue,
            };
            // The name, without the number before and remarks behind.
            let name =
                rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ' || c == '-');
            let (name, remark) = name.split_once('#').unwrap_or((name, ""));
            let name = without_numbers(name.trim());
            if remark.trim_start().to_ascii_uppercase().starts_with("SKIP") {
                outcome.skipped += 1;
            } else if is_ok {
                *outcome.passed.entry(name).or_default() += 1;
            } else {
                *outcome.others.entry(name).or_default() += 1;
            }
        }
        outcome.output = output;
        outcome
    }

    fn took_too_long(&self) -> bool {
        [124, 137].contains(&self.status)
    }

    /// Whether every point that passes here passes there, too. If all points pass there, their
    /// number is compared, because a name can contain something random, such as one of several
    /// errors. If the test did not end here, no point that passes here may fail there.
    fn is_no_better_than(&self, there: &Outcome) -> bool {
        if self.took_too_long() {
            return self
                .passed
                .keys()
                .all(|name| self.others.contains_key(name) || !there.others.contains_key(name));
        }
        let points = |outcome: &Outcome| outcome.passed.values().sum::<usize>();
        if there.status == 0 && there.others.is_empty() {
            return points(there) >= points(self);
        }
        let passes = |(name, count): (&String, &usize)| {
            there.passed.get(name).copied().unwrap_or(0) >= *count
        };
        (self.status != 0 || there.status == 0) && self.passed.iter().all(passes)
    }

    /// The last line of its output if it does not pass, which is mostly the reason.
    fn last_words(&self) -> String {
        let last = self.output.lines().rfind(|line| !line.trim().is_empty());
        match last {
            Some(last) if self.status != 0 => format!(": {}", last.trim()),
            _ => String::new(),
        }
    }

    fn text(&self) -> String {
        let status = match self.status {
            0 => "passes".to_owned(),
            4 => "skips".to_owned(),
            124 | 137 => "takes too long".to_owned(),
            other => format!("fails ({other})"),
        };
        format!(
            "{status}, {} points ok, {} not, {} skipped, {} s",
            self.passed.values().sum::<usize>(),
            self.others.values().sum::<usize>(),
            self.skipped,
            self.seconds
        ) + &self.last_words()
    }
}

/// The directory of stress-ng and the selftests.
struct Tools {
    dir: PathBuf,
}

impl Tools {
    /// Runs a command in a PID namespace and a network namespace of its own, which end with it.
    fn run(&self, folder: &str, command: &str, seconds: u64) -> Result<(i32, String, u64)> {
        let begun = Instant::now();
        let line = format!("ip link set lo up; exec timeout -k 2 {seconds} {command} 2>&1");
        let output = Command::new("nice")
            .args([
                "unshare",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["sh", "-c", &line])
            .current_dir(self.dir.join(folder))
            .env("PATH", self.path())
            .env("LD_LIBRARY_PATH", self.libraries())
            .output()
            .context("running unshare")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        let status = output.status.code().unwrap_or(255);
        Ok((status, text, begun.elapsed().as_secs()))
    }

    fn path(&self) -> String {
        let path = env::var("PATH").unwrap_or_default();
        let root = self.dir.join("root/usr");
        format!("{path}:{0}/bin:{0}/sbin", root.display())
    }

    fn libraries(&self) -> PathBuf {
        self.dir.join("root/usr/lib/x86_64-linux-gnu")
    }

    fn selftest(&self, folder: &str, command: &str) -> Result<Outcome> {
        let folder = format!("selftests/{folder}");
        let (status, output, seconds) = self.run(&folder, command, selftest_time())?;
        Ok(Outcome::of(status, output, seconds))
    }

    fn stress_ng(&self, arguments: &[String]) -> Result<Output> {
        Command::new("nice")
            .arg("stress-ng")
            .args(arguments)
            .env("PATH", self.path())
            .env("LD_LIBRARY_PATH", self.libraries())
            .output()
            .context("running stress-ng")
    }

    /// Runs all stressors at once in this network namespace, one process of each. Prints their
    /// metrics.
    fn stress(&self, seconds: u64) -> Result<()> {
        let known = self.stress_ng(&["--stressors".to_owned()])?.stdout;
        let known = String::from_utf8(known)?;
        let mut arguments = Vec::new();
        for stressor in STRESSORS {
            if known.split_ascii_whitespace().any(|name| name == *stressor) {
                arguments.extend([format!("--{stressor}"), "1".to_owned()]);
            } else {
                println!("  this stress-ng has no {stressor}");
            }
        }
        ensure!(
            arguments.len() > STRESSORS.len(),
            "most stressors are unknown"
        );
        arguments.extend(
            [
                "--metrics-brief",
                "--oom-avoid",
                "--temp-path",
                "/tmp",
                "--timeout",
            ]
            .map(String::from),
        );
        arguments.push(format!("{seconds}s"));
        let output = self.stress_ng(&arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        for line in text.lines() {
            println!("  {line}");
        }
        // 2: a stressor failed; 3 and 4: one could not be run here, which it says.
        match output.status.code() {
            Some(0 | 3 | 4) => Ok(()),
            other => bail!("stress-ng ends with {other:?}"),
        }
    }
}

/// The selftests whose folder and command contain `only`.
fn selftests(only: &str) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
    SELFTESTS
        .iter()
        .flat_map(|(folder, commands)| commands.iter().map(|command| (*folder, *command)))
        .filter(move |(folder, command)| format!("{folder}/{command}").contains(only))
}

fn main() -> Result<()> {
    guest::init()?;
    let tools = Tools {
        dir: env::var("KNETSTAT_LOAD").context("KNETSTAT_LOAD")?.into(),
    };
    let reads = number("KNETSTAT_READS", 10_000)?;
    let stress = number("KNETSTAT_STRESS", STRESS_TIME)?;
    let only = env::var("KNETSTAT_ONLY").unwrap_or_default();
    grammar::check_itself().context("the grammar")?;
    // The first time, the kernel says that the module is not signed.
    modules::insert(&guest().ko, "").context("loading knetstat")?;
    modules::remove("knetstat")?;
    klog::follow()?;

    println!("selftests without the module:");
    let mut before = Vec::new();
    for (folder, command) in selftests(&only) {
        let outcome = tools.selftest(folder, command)?;
        println!("  {folder}: {command}: {}", outcome.text());
        let name = format!("{folder}-{command}").replace(['/', ' '], "_");
        let dir = guest().dir.join("without");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join(name), &outcome.output)?;
        before.push(outcome);
    }
    klog::check_clean().context("the log, before the module was loaded")?;

    modules::insert(&guest().ko, "").context("loading knetstat")?;
    let (stop, counts) = (AtomicBool::new(false), Counts::default());
    // With one CPU, the selftests come to nothing beside readers that take half of it.
    let has_one_cpu = thread::available_parallelism()?.get() == 1;
    let begun = Instant::now();
    let mut worse = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let mut readers = Vec::new();
        for _ in 0..READERS {
            readers.push(scope.spawn(|| {
                come_first()?;
                read_on(Path::new("/proc"), &stop, &counts, || {
                    has_one_cpu && counts.listings() >= reads
                })
            }));
        }
        let mut work = || -> Result<()> {
            println!("stressors beside {READERS} readers:");
            if stress > 0 {
                tools.stress(stress)?;
            }
            println!("selftests beside {READERS} readers:");
            for ((folder, command), before) in selftests(&only).zip(&before) {
                // A selftest that depends on the time may fail once beside readers.
                for attempt in 1..=3 {
                    let outcome = tools.selftest(folder, command)?;
                    let is_same = before.is_no_better_than(&outcome);
                    println!(
                        "  {folder}: {command}: {}{}",
                        outcome.text(),
                        if is_same {
                            ""
                        } else {
                            " - WORSE than without the module"
                        }
                    );
                    if is_same {
                        break;
                    }
                    let name = format!("{folder}-{command}-{attempt}").replace(['/', ' '], "_");
                    let dir = guest().dir.join("worse");
                    fs::create_dir_all(&dir)?;
                    fs::write(dir.join(name), &outcome.output)?;
                    if attempt == 3 {
                        worse.push(format!("{folder}: {command}"));
                    }
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            while counts.listings() < reads && !stop.load(Ordering::Relaxed) {
                println!("so far: {counts}");
                match stress {
                    0 => thread::sleep(Duration::from_secs(1)),
                    _ => tools.stress(stress)?,
                }
            }
            Ok(())
        };
        let result = work();
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().map_err(|_| anyhow!("a reader panicked"))??;
        }
        result
    })?;
    println!("{counts}; in {} s", begun.elapsed().as_secs());
    ensure!(counts.listings() >= reads, "too few reads");
    modules::remove("knetstat")?;
    klog::check_clean()?;
    ensure!(worse.is_empty(), "worse than without the module: {worse:?}");
    println!(
        "load: every row satisfies the grammar, the kernel's log is clean, {} selftests as without \
         the module",
        before.len()
    );
    Ok(())
}
