// SPDX-License-Identifier: GPL-2.0

//! The kernel's log, which is followed from the start and must be clean at the end.

use crate::guest::{guest, wait_for, Scale};
use anyhow::{bail, ensure, Context, Result};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use std::{fs, io, thread};

/// All lines since [`follow`].
static LINES: OnceLock<Mutex<Vec<String>>> = OnceLock::new();

/// The words that no line may have, in this case.
const BAD: &[&str] = &[
    "WARNING:",
    "BUG:",
    "BUG ",
    "Oops",
    "INFO: ",
    "KASAN",
    "UBSAN",
    "KCSAN",
    "KFENCE",
    "kmemleak",
    "possible recursive locking",
    "circular locking",
    "inconsistent lock state",
    "scheduling while atomic",
    "sleeping function called from invalid context",
    "suspicious RCU usage",
    "bad unlock balance",
    "held lock freed",
    "unregister_netdevice: waiting",
    "general protection",
    "Kernel panic",
    "stack-protector",
    "refcount_t:",
    "list_add corruption",
    "list_del corruption",
    "Object padding",
    "Objects remaining",
    "Slab ",
    "leaked",
    "already registered",
    "soft lockup",
    // The thread, and no function in a stack trace.
    "rcu_preempt ",
    "rcu_preempt:",
    "module verification failed",
    "rust_kernel: panicked",
    "panicked at",
];

/// A message of kmemleak about itself when memory runs out, which tests cause on purpose. It then
/// works with less information. A leak is reported in other words.
const HARMLESS: &str = "kmemleak: Cannot allocate a scan area";

/// Starts to follow the log in a thread of its own, before the ring buffer overflows.
pub fn follow() -> Result<()> {
    let mut kmsg = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/kmsg")
        .context("opening /dev/kmsg")?;
    kmsg.seek(SeekFrom::End(0))?;
    let lines = LINES.get_or_init(Mutex::default);
    thread::spawn(move || {
        let mut buf = [0; 8192];
        loop {
            // Each read returns one record.
            match kmsg.read(&mut buf) {
                Ok(n) => lines
                    .lock()
                    .expect("no panic")
                    .push(text(&String::from_utf8_lossy(&buf[..n]))),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(err) if err.raw_os_error() == Some(libc::EPIPE) => lines
                    .lock()
                    .expect("no panic")
                    .push("BUG: the log overflowed, and some of it was lost".to_owned()),
                Err(_) => break,
            }
        }
    });
    Ok(())
}

/// The message of a record: `priority,sequence,time,flags;message`, then continuation lines.
fn text(record: &str) -> String {
    let (_, message) = record.split_once(';').unwrap_or(("", record));
    message.lines().next().unwrap_or_default().to_owned()
}

/// Writes a line to the log, and waits until the follower has read it. Returns its index, or 0 if the log is
/// not followed.
pub fn mark() -> Result<usize> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let Some(lines) = LINES.get() else {
        return Ok(0);
    };
    let own = format!(
        "guest tests: line {}",
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    let mut kmsg = fs::OpenOptions::new()
        .write(true)
        .open("/dev/kmsg")
        .context("opening /dev/kmsg")?;
    // A line without an end is not there for readers until another one begins.
    kmsg.write_all(format!("{own}\n").as_bytes())?;
    let mut index = 0;
    wait_for("the reader of the kernel's log", 30, || {
        let lines = lines.lock().expect("no panic");
        let found = lines.iter().rposition(|line| *line == own);
        index = found.unwrap_or_default();
        Ok(found.map(drop).ok_or(format!("{own:?} is not in it")))
    })?;
    Ok(index)
}

/// The lines from `mark` on.
pub fn since(mark: usize) -> Result<Vec<String>> {
    let end = self::mark()?;
    Ok(LINES.get().map_or(vec![], |lines| {
        lines.lock().expect("no panic")[mark..end].to_vec()
    }))
}

/// Removes a warning that a test has provoked since `mark`: a whole splat, from "cut here" to "end
/// trace", that contains `what`. All other lines stay.
pub fn forgive(mark: usize, what: &str) -> Result<()> {
    self::mark()?;
    let Some(lines) = LINES.get() else {
        return Ok(());
    };
    let mut lines = lines.lock().expect("no panic");
    let tail = lines.split_off(mark);
    let mut splat: Vec<String> = Vec::new();
    for line in tail {
        let begins = line.contains("[ cut here ]");
        if !begins && splat.is_empty() {
            lines.push(line);
            continue;
        }
        if begins {
            lines.append(&mut splat);
        }
        let ends = line.contains("[ end trace");
        splat.push(line);
        if ends {
            if !splat.iter().any(|line| line.contains(what)) {
                lines.append(&mut splat);
            }
            splat.clear();
        }
    }
    lines.append(&mut splat);
    Ok(())
}

/// Fails if a line is bad, and shows the lines around the first one.
pub fn check_clean() -> Result<()> {
    if matches!(guest().scale, Scale::Checked | Scale::Slowest) {
        check_lockdep()?;
    }

    let lines = since(0)?;
    let bad: Vec<_> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| BAD.iter().any(|bad| line.contains(bad)))
        .filter(|(_, line)| !line.contains(HARMLESS))
        .map(|(number, _)| number)
        .collect();
    let Some(first) = bad.first() else {
        return Ok(());
    };
    let shown = &lines[first.saturating_sub(5)..(first + 60).min(lines.len())];
    bail!(
        "{} of {} lines of the kernel's log are bad; the first and what follows:\n{}",
        bad.len(),
        lines.len(),
        shown.join("\n")
    )
}

/// Fails if lockdep is off: it turns itself off at its first report, and if it cannot work. A clean
/// log then says nothing about locks.
fn check_lockdep() -> Result<()> {
    let stats = fs::read_to_string("/proc/lockdep_stats").context("/proc/lockdep_stats")?;
    let is_on = stats
        .lines()
        .filter_map(|line| line.split_once(':'))
        .any(|(name, value)| name.trim() == "debug_locks" && value.trim() == "1");
    ensure!(is_on, "lockdep has switched itself off");
    Ok(())
}
