// SPDX-License-Identifier: GPL-2.0

//! `knetstat --since` with filters on processes and containers, which a copy of the files does not
//! contain.
//!
//! The processes and containers are those of the test. The inode of a socket is that of fstat(2).

use crate::all_netns::{socket_of, Copied, Group, Process};
use crate::command::{said_by, Said};
use crate::harness::Case;
use crate::netns::in_fresh;
use crate::rights::NOBODY;
use crate::sockets::{ino, local, Plan};
use anyhow::{ensure, Context, Result};
use socket2::Socket;
use std::collections::BTreeMap;
use std::fs;

pub fn cases() -> Vec<Case> {
    // Processes of other tests might not be examined, so that owners would be missing.
    vec![Case::alone("since::owners", || in_fresh(owners))]
}

const NOTE: &str =
    "which are left out: they have been closed since the copy was made, and a copy contains no \
    processes\n";

/// The note on sockets that have been closed.
fn note(sockets: usize) -> String {
    match sockets {
        0 => String::new(),
        1 => {
            let note = NOTE.replace("which are", "which is");
            format!("knetstat: cannot decide the filter for 1 socket, {note}")
        }
        _ => format!("knetstat: cannot decide the filter for {sockets} sockets, {NOTE}"),
    }
}

/// A process in a container, with two sockets. Returns the listener, too.
fn contained(group: &Group) -> Result<(Process, Socket, [u64; 2])> {
    let sockets = [Plan::V4.listener(5)?, Plan::V6.udp()?];
    let inos = [ino(&sockets[0])?, ino(&sockets[1])?];
    let listener = sockets[0].try_clone()?;
    let process = Process::with(sockets)?;
    group.take(process.id())?;
    Ok((process, listener, inos))
}

/// The events in lines of JSON, by the inodes of their sockets, and the last object without an event.
fn events(said: &Said) -> Result<(BTreeMap<u64, String>, String)> {
    let mut found = BTreeMap::new();
    let mut last = String::new();
    for line in said.out.lines() {
        let Some((_, rest)) = line.split_once(r#""event":""#) else {
            line.clone_into(&mut last);
            continue;
        };
        let event = rest.split('"').next().unwrap_or_default();
        let ino = socket_of(line).with_context(|| line.to_owned())?;
        let other = found.insert(ino, event.to_owned());
        ensure!(other.is_none(), "two events of {ino}: {}", said.out);
    }
    Ok((found, last))
}

/// Sockets of this process and of one in a container are opened, changed and closed after the copy was
/// made. The owners of those that were closed are not known.
fn owners() -> Result<()> {
    let id = "a".repeat(64);
    let group = Group::create(&format!("docker-{id}.scope"))?;
    let (process, theirs, [changed, _]) = contained(&group)?;
    let (ended, ended_listener, _) = contained(&group)?;
    drop(ended_listener);
    let [ours, closing] = [Plan::V4.listener(5)?, Plan::V4.listener(5)?];
    let [our_ino, closed] = [ino(&ours)?, ino(&closing)?];
    let port = local(&closing)?.port();

    let path = std::env::temp_dir().join(format!("knetstat-owners-{}", std::process::id()));
    let copy = said_by(&[], &["copy"])?;
    ensure!(copy.status == Some(0), "{}", copy.notes);
    fs::write(&path, copy.out)?;
    let file = Copied(path);
    let file = file.0.to_str().context("a path")?;

    for listener in [&theirs, &ours] {
        listener.set_keepalive(true)?;
    }
    drop((ended, closing));
    let (fresh, fresh_listener, fresh_inos) = contained(&group)?;
    drop(fresh_listener);

    let of = |events: &[(u64, &str)]| -> BTreeMap<u64, String> {
        let events = events.iter();
        events
            .map(|(ino, event)| (*ino, (*event).to_owned()))
            .collect()
    };
    let [first, second] = fresh_inos;
    let of_container = [(changed, "changed"), (first, "came"), (second, "came")];
    let with_closed = [&of_container[..], &[(closed, "went")]].concat();
    let of_test = of(&[(our_ino, "changed")]);
    let of_container = of(&of_container);
    let pid = process.id();
    for (filter, expected, undecided) in [
        ("process=sleep".to_owned(), of_container.clone(), 3),
        ("process!=sleep".to_owned(), of_test.clone(), 3),
        ("not process=sleep".to_owned(), of_test.clone(), 3),
        (format!("container={id}"), of_container.clone(), 3),
        (format!("container!=docker:{id}"), of_test.clone(), 3),
        ("container".to_owned(), of_container.clone(), 3),
        (
            format!("cgroup=/docker-{id}.scope"),
            of_container.clone(),
            3,
        ),
        (format!("pid={pid}"), of(&[(changed, "changed")]), 3),
        // The rest of the filter decides.
        (
            format!("process=sleep or sport = :{port}"),
            of(&with_closed),
            2,
        ),
        (format!("process=sleep and sport = :{port}"), of(&[]), 1),
        (
            format!("process=sleep and sport != :{port}"),
            of_container,
            2,
        ),
        ("state established process=sleep".to_owned(), of(&[]), 0),
        // A socket that passes only now, although the copy has it.
        (
            "process=sleep and SO_KEEPALIVE and TCP_NODELAY=0".to_owned(),
            of(&[(changed, "came")]),
            0,
        ),
    ] {
        let args = ["-an", "--json", "--since", file, &filter];
        let said = said_by(&[], &args)?;
        let (found, last) = events(&said)?;
        ensure!(
            found == expected,
            "{filter}: {found:?} rather than {expected:?}\n{}",
            said.notes
        );
        let object = match undecided {
            0 => String::new(),
            n => format!(r#"{{"undecided":{n},"reasons":{{"closed":{n}}}}}"#),
        };
        ensure!(last == object, "{filter}: {last} rather than {object}");
        ensure!(said.notes == note(undecided), "{filter}: {}", said.notes);
        ensure!(said.status == Some(0), "{filter}: {:?}", said.status);
        let strict = said_by(&[], &[&args[..], &["--strict"]].concat())?;
        let status = if undecided == 0 { 0 } else { 3 };
        ensure!(
            strict.status == Some(status),
            "{filter}: {:?}",
            strict.status
        );
    }
    // As text, with the processes.
    let filter = format!("pid={pid} or sport = :{port}");
    let said = said_by(&[], &["-tanpH", "--since", file, &filter])?;
    let rows: Vec<_> = said.out.lines().collect();
    ensure!(
        rows.len() == 2
            && rows[0].contains(" went ")
            && rows[0].ends_with('?')
            && rows[1].contains(" changed ")
            && rows[1].contains("SO_KEEPALIVE=0->1")
            && rows[1].contains(&format!(r#"("sleep",pid={pid},fd=0)"#)),
        "{}",
        said.out
    );
    ensure!(said.notes == note(1), "{}", said.notes);
    // A user who may not examine the process knows nothing of its sockets.
    let said = said_by(
        &NOBODY,
        &["-an", "--json", "--since", file, "process=sleep"],
    )?;
    let (found, last) = events(&said)?;
    ensure!(found.is_empty(), "{found:?}");
    ensure!(last.contains(r#""owners":"#), "{last}");
    ensure!(
        said.notes.contains("could not be examined"),
        "{}",
        said.notes
    );
    drop((process, fresh));
    Ok(())
}
