// SPDX-License-Identifier: GPL-2.0

//! How many sockets there are: by state, by process and by their options.

use crate::commands::list;
use crate::model::options;
use crate::model::query::{Line, Question};
use crate::model::row::{Netid, Options, Row, State};
use crate::print::text::{self, Kinds, Printer};
use crate::source::process::Holder;
use anyhow::Result;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;

/// A process, or all of a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Who {
    name: Rc<str>,
    pid: Option<i32>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By<'a> {
    All,
    State(Netid, State),
    /// With its number, if they are told apart. `None`: no process is known that has them.
    Process(Option<(&'a str, Option<i32>)>),
    /// `None`: the kernel keeps none.
    Options(Option<Options<'a>>),
}

/// The counts. What they need is a text for each set of options, and a name for each process.
#[derive(Debug, Default)]
struct Summary {
    all: u64,
    /// By [`State`], of TCP and of UDP.
    states: [[u64; State::ALL.len()]; 2],
    processes: HashMap<Option<Who>, u64>,
    options: HashMap<Box<str>, u64>,
    without_options: u64,
}

impl Summary {
    /// With `each`, processes of one name are told apart.
    fn count(&mut self, row: &Row<'_>, holders: &[Holder], each: bool) {
        self.all += 1;
        self.states[row.file.netid as usize][row.state as usize] += 1;
        if row.has_options() {
            let list = options::settled(row.options);
            match self.options.get_mut(&*list) {
                Some(count) => *count += 1,
                None => _ = self.options.insert(list.into(), 1),
            }
        } else {
            self.without_options += 1;
        }
        let who = |holder: &Holder| Who {
            name: Rc::clone(&holder.name),
            pid: each.then_some(holder.pid),
        };
        for (i, holder) in holders.iter().enumerate() {
            let who_it_is = who(holder);
            // One that has it open twice has one socket.
            if !holders[..i].iter().any(|other| who(other) == who_it_is) {
                *self.processes.entry(Some(who_it_is)).or_default() += 1;
            }
        }
        if holders.is_empty() {
            *self.processes.entry(None).or_default() += 1;
        }
    }

    /// All counts: the highest first, of each kind.
    fn lines(&self) -> Vec<(u64, By<'_>)> {
        let mut lines = vec![(self.all, By::All)];
        let mut states: Vec<_> = [Netid::Tcp, Netid::Udp]
            .into_iter()
            .flat_map(|netid| State::ALL.map(|(state, ..)| (netid, state)))
            .map(|(netid, state)| (self.states[netid as usize][state as usize], netid, state))
            .filter(|(count, ..)| *count > 0)
            .collect();
        // The sort is stable.
        states.sort_by_key(|(count, ..)| Reverse(*count));
        let of_state = |(count, netid, state)| (count, By::State(netid, state));
        lines.extend(states.into_iter().map(of_state));

        let mut processes: Vec<_> = self.processes.iter().collect();
        processes.sort_by_key(|(who, count)| (Reverse(**count), *who));
        lines.extend(processes.into_iter().map(|(who, count)| {
            let who = who.as_ref().map(|who| (&*who.name, who.pid));
            (*count, By::Process(who))
        }));

        let options = self.options.iter();
        let mut options: Vec<_> = options
            .map(|(list, count)| (*count, Some(&**list)))
            .collect();
        if self.without_options > 0 {
            options.push((self.without_options, None));
        }
        options.sort_by_key(|(count, list)| (Reverse(*count), *list));
        let of_list = |(count, list): (u64, Option<_>)| (count, By::Options(list.map(Options)));
        lines.extend(options.into_iter().map(of_list));
        lines
    }
}

/// How counts are printed.
pub enum Format {
    Text { printer: Printer, has_header: bool },
    Json(Kinds),
}

/// Prints the counts of what is asked for. With `each`, processes of one name are told apart.
pub fn run(question: &Question, each: bool, format: Format, out: &mut dyn Write) -> Result<()> {
    let holders = question.holders(true)?;
    let mut summary = Summary::default();
    let mut odd = 0;
    let files = question.read(holders.as_ref(), |line| {
        match line {
            Line::Row {
                row,
                holders,
                passes,
                ..
            } => {
                if passes {
                    summary.count(row, holders, each);
                }
            }
            Line::Odd { .. } => odd += 1,
        }
        Ok(())
    })?;
    match format {
        Format::Text {
            mut printer,
            has_header,
        } => {
            let width = summary.all.to_string().len();
            if has_header && files > 0 {
                printer.header_of_counts(out, width)?;
            }
            for (count, by) in summary.lines() {
                printer.count(out, width, count, by)?;
            }
        }
        Format::Json(kinds) => {
            for (count, by) in summary.lines() {
                text::json_count(out, count, by, &kinds)?;
            }
        }
    }
    out.flush()?;
    list::notes(files, odd, "are not counted", holders.as_ref());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::{TCP, UDP};
    use proptest::prelude::*;

    fn holder(name: &str, pid: i32, fd: i32) -> Holder {
        let name = name.into();
        Holder { name, pid, fd }
    }

    fn example(each: bool) -> Summary {
        let mut summary = Summary::default();
        for (file, line, holders) in [
            (
                TCP,
                "0 0 1.2.3.4:1 1.2.3.4:5 ESTB A=1,TCP_QUICKACK=0,B=2,uid=0,ino=1",
                vec![holder("a b", 7, 3)],
            ),
            (
                TCP,
                "0 9 1.2.3.4:2 1.2.3.4:5 ESTB >| A=1,B=2,uid=9,ino=2",
                vec![
                    holder("a b", 7, 4),
                    holder("a b", 7, 5),
                    holder("a b", 8, 5),
                    holder("c", 9, 3),
                ],
            ),
            (TCP, "0 0 1.2.3.4:3 1.2.3.4:5 TIMW", vec![]),
            (UDP, "0 0 1.2.3.4:3 0.0.0.0:* A=0x1,uid=0,ino=3", vec![]),
        ] {
            summary.count(&Row::parse(file, line.as_bytes()).unwrap(), &holders, each);
        }
        summary
    }

    #[test]
    fn counts() {
        let mut out = Vec::new();
        let mut printer = Printer::new(None, false, false);
        let summary = example(false);
        printer.header_of_counts(&mut out, 1).unwrap();
        for (count, by) in summary.lines() {
            printer.count(&mut out, 1, count, by).unwrap();
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Count By      What\n    \
                 4 all     -\n    \
                 2 state   tcp ESTB\n    \
                 1 state   tcp TIMW\n    \
                 1 state   udp CLSD\n    \
                 2 process -\n    \
                 2 process a b\n    \
                 1 process c\n    \
                 2 options A=1,B=2\n    \
                 1 options -\n    \
                 1 options A=0x1\n"
        );
        let summary = example(true);
        let processes: Vec<_> = summary
            .lines()
            .into_iter()
            .filter(|(_, by)| matches!(by, By::Process(_)))
            .collect();
        assert_eq!(
            processes,
            [
                (2, By::Process(None)),
                (2, By::Process(Some(("a b", Some(7))))),
                (1, By::Process(Some(("a b", Some(8))))),
                (1, By::Process(Some(("c", Some(9))))),
            ]
        );
    }

    #[test]
    fn objects() {
        let summary = example(true);
        let mut out = Vec::new();
        for (count, by) in summary.lines() {
            text::json_count(&mut out, count, by, &Kinds::new()).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        let found: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            serde_json::json!(found),
            serde_json::json!([
                {"count": 4, "by": "all"},
                {"count": 2, "by": "state", "netid": "tcp", "state": "established"},
                {"count": 1, "by": "state", "netid": "tcp", "state": "time-wait"},
                {"count": 1, "by": "state", "netid": "udp", "state": "unconnected"},
                {"count": 2, "by": "process", "name": null},
                {"count": 2, "by": "process", "name": "a b", "pid": 7},
                {"count": 1, "by": "process", "name": "a b", "pid": 8},
                {"count": 1, "by": "process", "name": "c", "pid": 9},
                {"count": 2, "by": "options", "options": {"A": 1, "B": 2}},
                {"count": 1, "by": "options"},
                {"count": 1, "by": "options", "options": {"A": 1}},
            ])
        );
    }

    proptest! {
        /// Each socket is counted once by state and by options, and by process at least once.
        #[test]
        fn nothing_is_left_out(
            rows in prop::collection::vec((0..4usize, 0..3u8, prop::collection::vec((0..2usize, 0..3i32), 0..4)), 0..20),
            each: bool,
        ) {
            let mut summary = Summary::default();
            for (state, option, holders) in &rows {
                let (_, label, _) = State::ALL[*state];
                let line = format!("0 0 1.2.3.4:1 1.2.3.4:5 {label} A={option},uid=0,ino=1");
                let holders: Vec<_> =
                    holders.iter().map(|(name, pid)| holder(["a", "b"][*name], *pid, 0)).collect();
                summary.count(&Row::parse(TCP, line.as_bytes()).unwrap(), &holders, each);
            }
            let lines = summary.lines();
            let sum = |is_it: fn(&By<'_>) -> bool| {
                lines.iter().filter(|(_, by)| is_it(by)).map(|(count, _)| *count).sum::<u64>()
            };
            let all = rows.len() as u64;
            prop_assert_eq!(sum(|by| *by == By::All), all);
            prop_assert_eq!(sum(|by| matches!(by, By::State(..))), all);
            prop_assert_eq!(sum(|by| matches!(by, By::Options(_))), all);
            prop_assert!(sum(|by| matches!(by, By::Process(_))) >= all);
            let is_ordered = |is_it: fn(&By<'_>) -> bool| {
                let counts = lines.iter().filter(|(_, by)| is_it(by)).map(|(count, _)| Reverse(*count));
                counts.is_sorted()
            };
            prop_assert!(is_ordered(|by| matches!(by, By::State(..))));
            prop_assert!(is_ordered(|by| matches!(by, By::Process(_))));
            prop_assert!(is_ordered(|by| matches!(by, By::Options(_))));
        }
    }
}
