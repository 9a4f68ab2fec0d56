// SPDX-License-Identifier: GPL-2.0

//! The columns, the order and the counts that a user chooses, and the list on a terminal. What is
//! expected follows from getsockopt(2), getsockname(2), ss and /proc. `filter_answers` compares the
//! column of each option with getsockopt(2).

use crate::command::{output_of, said_by};
use crate::guest::guest;
use crate::harness::Case;
use crate::netns::in_fresh;
use crate::sockets::{get, ino, local, peer, set_int, Pair, Plan};
use anyhow::{ensure, Context, Result};
use socket2::Socket;
use std::collections::BTreeMap;
use std::process::Command;

pub fn cases() -> Vec<Case> {
    vec![
        // A command that another test starts has the sockets open, too, until it is executed.
        Case::alone("columns::chosen", || in_fresh(chosen)),
        Case::alone("columns::on_a_terminal", || in_fresh(on_a_terminal)),
        Case::new("columns::json", || in_fresh(json)),
        Case::new("columns::sorted", || in_fresh(sorted)),
        Case::new("columns::counted", || in_fresh(counted)),
        Case::new("columns::mistakes", || in_fresh(mistakes)),
    ]
}

const TCP_KEEPIDLE: i32 = 4;

/// Connections that differ in their options and queues.
fn pairs() -> Result<Vec<Pair>> {
    let pairs = [Plan::V4, Plan::V6, Plan::V4]
        .iter()
        .map(|plan| plan.pair())
        .collect::<Result<Vec<_>>>()?;
    pairs[0].client.set_tcp_nodelay(true)?;
    pairs[1].client.set_keepalive(true)?;
    set_int(&pairs[1].client, libc::IPPROTO_TCP, TCP_KEEPIDLE, 77)?;
    pairs[1].client.send(b"twelve bytes")?;
    pairs[2].client.send(b"five.")?;
    Ok(pairs)
}

fn int(socket: &Socket, level: i32, option: i32) -> Result<i32> {
    Ok(get(socket, level, option, 0)?)
}

/// The words of each line, by the inode, which comes first.
fn by_inode(text: &str) -> Result<BTreeMap<u64, Vec<String>>> {
    let lines = text.lines().map(|line| {
        let mut words = line.split_ascii_whitespace().map(str::to_owned);
        let ino = words.next().context("an empty line")?.parse()?;
        Ok((ino, words.collect()))
    });
    lines.collect()
}

fn chosen() -> Result<()> {
    let pairs = pairs()?;
    let names =
        "ino,src,sport,dst,dport,state,TCP_NODELAY,SO_KEEPALIVE,TCP_KEEPIDLE,uid,pid,process";
    let rows = by_inode(&output_of(&["-Htn", "-o", names])?)?;
    let comm = std::fs::read_to_string("/proc/self/comm")?;
    for pair in &pairs {
        for socket in [&pair.client, &pair.server] {
            let row = rows.get(&ino(socket)?).context("a socket without a row")?;
            let (local, peer) = (local(socket)?, peer(socket)?);
            let keepalive = int(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE)?;
            let expected = [
                local.ip().to_string(),
                local.port().to_string(),
                peer.ip().to_string(),
                peer.port().to_string(),
                "ESTB".to_owned(),
                int(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY)?.to_string(),
                keepalive.to_string(),
                match keepalive {
                    0 => "-".to_owned(),
                    _ => int(socket, libc::IPPROTO_TCP, TCP_KEEPIDLE)?.to_string(),
                },
                "0".to_owned(),
                std::process::id().to_string(),
                comm.trim().replace(' ', "\\x20"),
            ];
            ensure!(*row == expected, "{row:?}, not {expected:?}");
        }
    }
    // The processes as -p shows them come last, also if they were not named.
    let with_processes = output_of(&["-Htnp", "-o", "ino"])?;
    let rows = by_inode(&with_processes)?;
    let users = rows[&ino(&pairs[0].client)?].join(" ");
    ensure!(
        users.starts_with("users:((") && users.contains(&format!(",pid={},", std::process::id())),
        "{users}"
    );
    Ok(())
}

fn json() -> Result<()> {
    let pairs = pairs()?;
    let names = "ino,local,sport,state,process,TCP_NODELAY,TCP_USER_TIMEOUT,TCP_KEEPIDLE";
    let text = output_of(&["-tn", "--json", "-o", names])?;
    let objects = text
        .lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect::<Result<Vec<serde_json::Value>>>()?;
    for pair in &pairs {
        let socket = &pair.client;
        let inode = ino(socket)?;
        let found = objects.iter().find(|object| object["ino"] == inode);
        let found = found.context("a socket without an object")?;
        let keepalive = int(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE)?;
        let idle = match keepalive {
            0 => serde_json::Value::Null,
            _ => int(socket, libc::IPPROTO_TCP, TCP_KEEPIDLE)?.into(),
        };
        let local = local(socket)?;
        let expected = serde_json::json!({
            "ino": inode,
            "local": {"address": local.ip().to_string(), "port": local.port()},
            "sport": local.port(),
            "state": "established",
            "process": [std::fs::read_to_string("/proc/self/comm")?.trim()],
            "options": {
                "TCP_NODELAY": int(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY)?,
                "TCP_USER_TIMEOUT": 0,
                "TCP_KEEPIDLE": idle,
            },
            "defaults": ["TCP_USER_TIMEOUT"],
        });
        ensure!(*found == expected, "{found}, not {expected}");
    }
    Ok(())
}

fn sorted() -> Result<()> {
    let _pairs = pairs()?;
    let column = |sort: &str, name: &str| -> Result<Vec<String>> {
        let text = output_of(&["-Htan", "--sort", sort, "-o", name])?;
        Ok(text.lines().map(|line| line.trim().to_owned()).collect())
    };
    let numbers = |cells: &[String]| cells.iter().map(|cell| cell.parse::<u64>()).collect();
    for (sort, name) in [("sport", "sport"), ("recv-q", "recv-q"), ("ino", "ino")] {
        let cells = column(sort, name)?;
        let numbers: Result<Vec<_>, _> = numbers(&cells);
        let numbers = numbers.with_context(|| format!("{cells:?}"))?;
        ensure!(
            numbers.len() == 9 && numbers.is_sorted(),
            "{name}: {cells:?}"
        );
        let mut reversed = column(&format!("-{sort}"), name)?;
        reversed.reverse();
        ensure!(reversed == cells, "{name}: {reversed:?}, not {cells:?}");
    }
    // Listeners have no peer; they come last in both directions.
    for sort in ["dport", "-dport"] {
        let cells = column(sort, "dport")?;
        ensure!(
            cells[6..].iter().all(|cell| cell == "-"),
            "{sort}: {cells:?}"
        );
    }
    // As a list, and as JSON.
    let list = output_of(&["-Htn", "--sort=-recv-q,-send-q"])?;
    let first = list.lines().next().context("no row")?;
    ensure!(
        first.split_ascii_whitespace().nth(1) == Some("12"),
        "{list}"
    );
    let json = output_of(&["-tn", "--json", "--sort=-recv-q"])?;
    let first: serde_json::Value = serde_json::from_str(json.lines().next().context("no row")?)?;
    ensure!(first["recv_q"] == 12, "{json}");
    Ok(())
}

/// The counts are those of ss.
fn counted() -> Result<()> {
    let _pairs = pairs()?;
    let count = |of: &str, by: &str, value: &str| -> Result<u64> {
        let text = output_of(&["summary", "-Htan", "--by", by])?;
        let line = text.lines().find_map(|line| {
            let (count, values) = line.trim().split_once(' ')?;
            let values: Vec<_> = values.split_ascii_whitespace().collect();
            (values.join(" ") == value).then_some(count)
        });
        Ok(line.with_context(|| format!("{of} in {text}"))?.parse()?)
    };
    for (args, value) in [
        (&["-H4tn", "state", "established"][..], "inet ESTB"),
        (&["-H6tn", "state", "established"], "inet6 ESTB"),
        (&["-H4tln"], "inet LSTN"),
        (&["-H6tln"], "inet6 LSTN"),
    ] {
        let output = Command::new("ss").args(args).output()?;
        let expected = String::from_utf8(output.stdout)?.lines().count() as u64;
        let found = count(value, "family,state", value)?;
        ensure!(
            found == expected && found > 0,
            "{value}: {found}, not {expected}"
        );
    }
    // One socket has TCP_NODELAY, and one has SO_KEEPALIVE.
    for (value, expected) in [("1 0", 1), ("0 1", 1), ("0 0", 7)] {
        let found = count(value, "TCP_NODELAY,SO_KEEPALIVE", value)?;
        ensure!(found == expected, "{value}: {found}, not {expected}");
    }
    Ok(())
}

/// Each mistake has a message and an exit status of 2, and nothing is printed.
fn mistakes() -> Result<()> {
    for (args, why) in [
        (&["-tno"][..], "-o needs names of columns"),
        (&["-tn", "-o", "nodelay"], "did you mean TCP_NODELAY?"),
        (&["-tn", "-o", "uid,uid"], "uid is given twice"),
        (&["-tn", "-o", ""], "unknown name \"\""),
        (&["-tn", "--sort", "what"], "unknown name \"what\""),
        (
            &["summary", "--by", "tcp_nodely"],
            "did you mean TCP_NODELAY",
        ),
        (
            &["metrics", "--by", "state"],
            "every series has state as a label",
        ),
        (&["--watch", "-o", "uid"], "cannot be used with"),
        (&["-v", "-o", "uid"], "cannot be used with"),
    ] {
        let said = said_by(&[], args)?;
        ensure!(
            said.status == Some(2) && said.out.is_empty() && said.notes.contains(why),
            "{args:?}: {:?}, {}, {}",
            said.status,
            said.out,
            said.notes
        );
    }
    Ok(())
}

/// The output of the command on a terminal of this width, without colours.
fn screen(width: usize, args: &str) -> Result<String> {
    let program = guest().dir.join("knetstat");
    let command = format!("stty cols {width} rows 50; {} {args}", program.display());
    let output = Command::new("script")
        .args(["--quiet", "--command", &command, "/dev/null"])
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .stdin(std::process::Stdio::null())
        .output()
        .context("script")?;
    Ok(String::from_utf8(output.stdout)?.replace('\r', ""))
}

/// A list fits its terminal. It has each option that differs from that of a fresh socket, and no
/// other.
fn on_a_terminal() -> Result<()> {
    let pairs = pairs()?;
    let client = &pairs[1].client;
    let ends = format!("{} {} ESTB ", local(client)?, peer(client)?).replace(['[', ']'], "");
    for width in [80, 120, 200, 300] {
        let text = screen(width, "-tn")?;
        ensure!(
            text.lines().all(|line| line.chars().count() <= width),
            "{width}: {text}"
        );
        ensure!(
            text.starts_with("Recv-Q "),
            "one protocol, and no Diag: {text}"
        );
        ensure!(!text.contains("TCP_NODELAY=0"), "{text}");
        ensure!(text.matches("TCP_NODELAY=1").count() == 1, "{text}");
        let words = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let (_, behind) = words.split_once(&ends).context("no row")?;
        let list = behind.split(' ').next().context("no list")?;
        ensure!(
            list == "SO_KEEPALIVE=1,TCP_KEEPIDLE=77,uid=0",
            "{list}: {text}"
        );
        let with_processes = screen(width, "-tnp")?;
        ensure!(
            with_processes
                .lines()
                .all(|line| line.trim_end().chars().count() <= width),
            "{width}: {with_processes}"
        );
        // Options that the filter tests are shown.
        let asked = screen(width, "-tn SO_KEEPALIVE=0")?;
        ensure!(asked.matches("SO_KEEPALIVE=0").count() == 5, "{asked}");
        // One socket is one line if it fits.
        let lines = text.lines().count();
        ensure!(lines == 7 || width < 120, "{lines} lines: {text}");
    }
    // Defaults are in brackets where there is no colour.
    let columns = screen(120, "-tn -o local,TCP_KEEPIDLE,TCP_USER_TIMEOUT")?;
    ensure!(columns.matches("(0)").count() == 6, "{columns}");
    let all = screen(120, "-tnv")?;
    ensure!(
        all.matches("TCP_NODELAY=0").count() == 5 && all.contains("ino="),
        "{all}"
    );
    Ok(())
}
