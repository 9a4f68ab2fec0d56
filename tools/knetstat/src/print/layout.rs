// SPDX-License-Identifier: GPL-2.0

//! The layout of text, for a terminal or for a script.

use crate::model::columns::{Column, Content, Key};
use crate::model::counts::{By, Found, Process};
use crate::model::defaults::{Defaults, Differences, Setting};
use crate::model::event::{changes, Change, Event, Report, Snapshot, Value};
use crate::model::row::{Options, Row};
use crate::print::columns::{
    aligned, endpoint, known, width_of, Columns, PrintedRow, Shown, PROCESS,
};
use crate::print::processes::{shown, users, word_of};
use crate::source::namespaces::Netns;
use crate::source::process::Owner;
use crate::source::services::Services;
use crate::source::text::word;
use anstyle::{AnsiColor, Style};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::rc::Rc;

/// The layout of rows, events and counts as text.
#[derive(Debug)]
pub struct Layout {
    /// The names of ports. If `None`, ports are printed as numbers.
    pub services: Option<Services>,
    pub processes: bool,
    pub verbose: bool,
    pub color: bool,
    /// The options that the filter tests. They are never left out, and if `verbose` is set, their
    /// defaults are printed, too.
    pub asked: Vec<Rc<Defaults>>,
    /// Whether output goes to a terminal, even if each row is one line.
    pub is_seen: bool,
    /// The width of the terminal, for which rows are laid out. `None` if each row is one line, as for a
    /// script.
    width: Option<usize>,
    columns: Columns,
    /// Whether there are only these columns: the list of options and the processes do not follow.
    is_chosen: bool,
    /// The columns that the user named, which are never left out.
    named: Vec<Column>,
    /// The options that differ from their defaults. Only these are shown on a terminal.
    differences: Differences,
    /// The buffer for a cell.
    cell: String,
    /// The buffer for a line.
    line: String,
    /// The number of bytes in the line that a terminal does not show.
    unseen: usize,
}

const COUNT: &str = "Count";

/// The width of the column By of counts: that of `container`.
const BY: usize = 9;

const HEADER: Style = Style::new().bold();

impl Layout {
    pub fn new(services: Option<Services>, processes: bool, verbose: bool) -> Self {
        Self {
            services,
            processes,
            verbose,
            color: false,
            asked: Vec::new(),
            is_seen: false,
            width: None,
            columns: Columns::new(Column::of_list(false)),
            is_chosen: false,
            named: Vec::new(),
            differences: Differences::default(),
            cell: String::new(),
            line: String::new(),
            unseen: 0,
        }
    }

    /// Options are left out if they have the defaults of now, not those of earlier events.
    pub fn renew(&self) {
        self.differences.renew();
    }

    /// Lays out rows for a terminal of this width. Columns are as wide as the measured rows need,
    /// and options that do not fit on the line are printed below it.
    pub fn set_width(&mut self, width: usize) {
        self.is_seen = true;
        self.width = Some(width);
        self.arrange();
    }

    /// Arranges the columns for a terminal, if there is one. There, the processes come before the
    /// options, so that they are below each other.
    fn arrange(&mut self) {
        if self.width.is_none() {
            return;
        }
        if self.processes && !self.is_chosen && !self.has_process_column() {
            self.columns.add(Column::of_processes());
        }
        self.columns.narrow();
    }

    /// Puts the processes behind the other columns if these, as measured, leave no room for a column.
    fn settle(&mut self, before: usize, of_events: bool) {
        let shown = self.columns.shown(of_events);
        let columns: usize = shown.map(|shown| shown.width + 1).sum();
        if !self.is_chosen && self.width.is_some_and(|width| before + columns > width + 1) {
            self.columns.0.retain(|shown| !shown.is_of_processes());
        }
    }

    /// Whether the processes are a column, and not behind the options.
    fn has_process_column(&self) -> bool {
        self.columns.0.iter().any(Shown::is_of_processes)
    }

    /// Whether the processes are printed behind the options.
    fn has_processes_behind(&self) -> bool {
        self.processes && !self.has_process_column()
    }

    /// The processes of a row, if they are printed behind the options: `-` if there are none, and `?`
    /// if they are not known.
    fn behind(&self, row: &Row<'_>, owners: &[Owner]) -> Option<String> {
        self.has_processes_behind().then(|| match owners {
            [] if row.may_lack_owners => "?".to_owned(),
            [] => "-".to_owned(),
            owners => users(owners),
        })
    }

    /// Shows these columns. If they are `chosen`, the options and the processes do not follow them.
    /// Otherwise, processes among them are the same as with `-p`.
    pub fn set_columns(&mut self, columns: Vec<Column>, chosen: bool) {
        self.columns = Columns::new(columns);
        self.is_chosen = chosen;
        self.processes |= !chosen && self.has_process_column();
        self.arrange();
    }

    /// Adds these columns to those that are shown.
    pub fn add_columns(&mut self, columns: Vec<Column>) {
        let shown = std::mem::take(&mut self.columns).0.into_iter();
        // With `-p`, the column of processes follows those that are added.
        let shown = shown.map(|shown| shown.column);
        let shown = shown.filter(|column| column.content() != Some(Content::Processes));
        let shown = shown.collect();
        self.named.clone_from(&columns);
        self.set_columns(Column::joined(shown, columns), false);
    }

    /// Leaves out the diagnostics if none of these rows has any, and the protocol if all have the same.
    /// Columns that the user named stay. The rows are those of the whole list.
    pub fn drop_idle<'r>(&mut self, rows: impl Iterator<Item = Row<'r>> + Clone) {
        if self.is_chosen {
            return;
        }
        let has_diag = rows.clone().any(|row| !row.diag.is_empty());
        let mut netids = rows.map(|row| row.file.netid);
        let first = netids.next();
        let has_several = netids.any(|netid| Some(netid) != first);
        let named = &self.named;
        let is_named = |shown: &Shown| named.iter().any(|one| one.name() == shown.column.name());
        self.columns.0.retain(|shown| match shown.column.content() {
            _ if is_named(shown) => true,
            Some(Content::Diag) => has_diag,
            Some(Content::Netid) => has_several,
            _ => true,
        });
    }

    fn printed<'a>(&'a self, row: &'a Row<'a>, owners: &'a [Owner]) -> PrintedRow<'a> {
        PrintedRow {
            row,
            owners,
            services: self.services.as_ref(),
            brackets_defaults: self.is_for_a_terminal() && !self.color,
            differences: self
                .is_for_a_terminal()
                .then_some((&self.differences, &self.asked)),
        }
    }

    /// The width of the terminal that the text is laid out for. `None` if it is not laid out.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    pub fn is_for_a_terminal(&self) -> bool {
        self.width.is_some()
    }

    /// Widens the columns so that this row fits.
    pub fn measure(&mut self, row: &Row<'_>, owners: &[Owner]) {
        let mut columns = std::mem::take(&mut self.columns);
        columns.measure(&self.printed(row, owners));
        self.columns = columns;
    }

    fn start(&mut self) {
        self.line.clear();
        self.unseen = 0;
    }

    fn styled(&mut self, style: Style, text: &str) {
        if self.color && !text.is_empty() {
            let before = self.line.len();
            let _ = write!(self.line, "{style}{text}{style:#}");
            self.unseen += self.line.len() - before - text.len();
        } else {
            self.line += text;
        }
    }

    /// The titles of the columns, each followed by a blank.
    fn titles(&self, of_events: bool) -> String {
        let mut text = String::new();
        for Shown {
            column,
            look,
            width,
        } in self.columns.shown(of_events)
        {
            aligned(&mut text, column.title(), *width, look.is_right);
            text.push(' ');
        }
        text
    }

    /// The line of the columns' titles with the titles that follow them. If these do not fit on the
    /// line, neither do lists of options. Processes may, so their title is then below the line.
    fn with_last_titles(&self, mut line: String) -> String {
        let titles = match (self.is_chosen, self.has_processes_behind()) {
            (true, _) => "",
            (_, true) => "Options Process",
            (_, false) => "Options",
        };
        let is_too_long = |width| line.len() + titles.len() > width;
        match (
            self.width.is_some_and(is_too_long),
            self.has_processes_behind(),
        ) {
            (false, _) => line += titles,
            (true, true) => {
                line.truncate(line.trim_end().len());
                line += "\n        ";
                line += titles;
            }
            (true, false) => {}
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// Settles the columns of rows, as measured until now.
    pub fn settle_rows(&mut self) {
        self.settle(0, false);
    }

    /// Settles the columns of events, which begin with a time of this width.
    pub fn settle_events(&mut self, time: usize) {
        self.settle(time + " Event   ".len(), true);
    }

    pub fn header(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.settle_rows();
        let text = self.with_last_titles(self.titles(false));
        self.start();
        self.styled(HEADER, &text);
        writeln!(out, "{}", self.line)
    }

    /// Adds the cells of a row to the line, each followed by a blank.
    fn cells(&mut self, row: &Row<'_>, owners: &[Owner], of_events: bool) {
        let mut cell = std::mem::take(&mut self.cell);
        let columns = std::mem::take(&mut self.columns);
        for Shown {
            column,
            look,
            width,
        } in columns.shown(of_events)
        {
            cell.clear();
            let style = self.printed(row, owners).write(column, &mut cell);
            let style = style.unwrap_or(look.style);
            let padding = width.saturating_sub(width_of(&cell));
            let pad = |line: &mut String| line.extend(std::iter::repeat_n(' ', padding));
            if look.is_right {
                pad(&mut self.line);
            }
            match cell.as_str() {
                text if style.is_plain() || text == "-" => self.line += text,
                text => self.styled(style, text),
            }
            if !look.is_right {
                pad(&mut self.line);
            }
            self.line.push(' ');
        }
        self.columns = columns;
        self.cell = cell;
    }

    /// Prints a row. Each line has all fields; an empty field is `-`.
    pub fn row(&mut self, out: &mut dyn Write, row: &Row<'_>, owners: &[Owner]) -> io::Result<()> {
        self.start();
        self.cells(row, owners, false);
        if self.is_chosen {
            self.line.truncate(self.line.trim_end().len());
            self.line.push('\n');
            return out.write_all(self.line.as_bytes());
        }
        let users = self.behind(row, owners);
        if self.verbose {
            self.users_only(users.as_deref());
            self.one_a_line(row);
            return out.write_all(self.line.as_bytes());
        }
        let list = self.list_of(row);
        self.list(&list, users.as_deref());
        out.write_all(self.line.as_bytes())
    }

    /// Whether an option is a column.
    fn has_column(&self, name: &str) -> bool {
        let mut options = self
            .columns
            .0
            .iter()
            .filter_map(|shown| shown.column.option());
        options.any(|info| info.name == name)
    }

    /// The list of a row. On a terminal, options that have their defaults are left out unless the
    /// filter tests them. So are options that are columns, and the inode.
    fn list_of(&self, row: &Row<'_>) -> String {
        if !self.is_for_a_terminal() {
            return row.joined();
        }
        let mut list = self
            .differences
            .of(row, &self.asked, |name| self.has_column(name));
        for (name, n) in row.numbers().filter(|(name, _)| *name != "ino") {
            let comma = if list.is_empty() { "" } else { "," };
            let _ = write!(list, "{comma}{name}={n}");
        }
        list
    }

    /// Ends the line with the processes. The options follow on lines of their own.
    fn users_only(&mut self, users: Option<&str>) {
        self.line.truncate(self.line.trim_end().len());
        if let Some(users) = users.filter(|users| *users != "-") {
            self.line.push(' ');
            self.styled(PROCESS, users);
        }
        self.line.push('\n');
    }

    /// Ends the line with a list and, if `users` is set, the processes.
    fn list(&mut self, list: &str, users: Option<&str>) {
        let list = if list.is_empty() { "-" } else { list };
        let behind = users.map_or(0, |users| 1 + users.len());
        let before = match self.line.is_ascii() {
            true => self.line.len() - self.unseen,
            // This leaves out the escape sequences.
            false => width_of(&self.line),
        };
        let columns = before + list.len() + behind;
        match self.width.filter(|width| columns > *width) {
            // The list does not fit: print it below the line.
            Some(width) => {
                let users = users.filter(|users| *users != "-").unwrap_or_default();
                if before + width_of(users) > width {
                    self.line.truncate(self.line.trim_end().len());
                    self.line += "\n        ";
                }
                self.styled(PROCESS, users);
                self.line.truncate(self.line.trim_end().len());
                self.line.push('\n');
                self.line += &wrapped(list, width);
            }
            None => {
                self.line += list;
                if let Some(users) = users {
                    self.line.push(' ');
                    self.styled(PROCESS, users);
                }
            }
        }
        self.line.push('\n');
    }

    /// Prints the header of events. `time` is the width of a time.
    pub fn header_of_events(&mut self, out: &mut dyn Write, time: usize) -> io::Result<()> {
        let title = "Time";
        self.settle_events(time);
        let text = format!("{title:time$} Event   {}", self.titles(true));
        let text = self.with_last_titles(text);
        self.start();
        self.styled(HEADER, &text);
        writeln!(out, "{}", self.line)
    }

    /// Prints an event, with the options of the socket or with its changes.
    pub fn event(&mut self, out: &mut dyn Write, time: &str, report: &Report) -> io::Result<()> {
        let Some(row) = report.row() else {
            return Ok(());
        };
        let Report { event, owners, .. } = report;
        self.start();
        let _ = write!(self.line, "{time} ");
        let style = match event {
            Event::Came(_) => AnsiColor::Green,
            Event::Changed { .. } => AnsiColor::Yellow,
            Event::Went { .. } => AnsiColor::Red,
        };
        self.styled(style.on_default(), &format!("{:7}", event.name()));
        self.line.push(' ');
        self.cells(&row, owners, true);
        let before = event.before().and_then(Snapshot::row);
        let found = before.map(|before| changes(&before, &row));
        let found = found.unwrap_or_default();
        let users = self.behind(&row, owners);
        let users = users.as_deref();
        let changes: Vec<_> = found
            .iter()
            .map(|change| self.change(&row, change))
            .collect();
        if self.verbose {
            self.users_only(users);
            for change in &changes {
                let _ = writeln!(self.line, "        {change}");
            }
            if changes.is_empty() {
                self.one_a_line(&row);
            }
        } else if changes.is_empty() {
            let list = self.list_of(&row);
            self.list(&list, users);
        } else {
            self.list(&changes.join(","), users);
        }
        out.write_all(self.line.as_bytes())
    }

    /// The text of a change: `NAME=old->new`.
    fn change(&self, row: &Row<'_>, change: &Change<'_>) -> String {
        let value = |value| match value {
            None => "unset".to_owned(),
            Some(Value::Endpoint(value)) => {
                let mut text = String::new();
                endpoint(row.file.netid, &value, self.services.as_ref(), &mut text);
                text
            }
            Some(Value::State(state)) => state.label().to_owned(),
            Some(Value::Option(text)) => text.to_owned(),
            Some(Value::Number(n)) => n.to_string(),
        };
        format!(
            "{}={}->{}",
            change.name,
            value(change.old),
            value(change.new)
        )
    }

    fn one_a_line(&mut self, row: &Row<'_>) {
        for (name, value) in row.options.iter() {
            let _ = writeln!(self.line, "        {name}={value}");
        }
        for (name, value) in row.numbers() {
            let _ = writeln!(self.line, "        {name}={value}");
        }
        for defaults in &self.asked {
            let name = defaults.info.name;
            if row.options.get(name).is_some() {
                continue;
            }
            if let Setting::Value(value) = defaults.on(row) {
                let _ = writeln!(self.line, "        {name}={value} (assumed default)");
            }
        }
    }

    /// Prints the number of sockets in each group.
    pub fn groups(
        &mut self,
        out: &mut dyn Write,
        counts: &[(u64, &[Key])],
        has_header: bool,
    ) -> io::Result<()> {
        let cell = |key: &Key| match key {
            Key::Nothing => "-".to_owned(),
            Key::Unknown => "?".to_owned(),
            Key::State(state) => state.label().to_owned(),
            Key::Process(name) => known(word_of(name)),
            // A list shows it as one word.
            Key::Place { shown, .. } => shown.clone(),
            Key::Value(_, text)
            | Key::Ports(_, text)
            | Key::Addresses(_, text)
            | Key::Groups(_, text)
            | Key::Shown(text)
            | Key::List(text) => known(text.clone()),
            key => known(word(&key.to_string())),
        };
        let count_width = counts.iter().map(|(count, _)| count.to_string().len());
        let count_width = count_width.max().unwrap_or(0).max(COUNT.len());
        self.columns.narrow();
        for (_, keys) in counts {
            for (shown, key) in self.columns.0.iter_mut().zip(*keys) {
                shown.fit(&cell(key));
            }
        }
        if has_header {
            let text = format!("{COUNT:>count_width$} {}", self.titles(false));
            self.start();
            self.styled(HEADER, text.trim_end());
            writeln!(out, "{}", self.line)?;
        }
        for (count, keys) in counts {
            self.start();
            let _ = write!(self.line, "{count:count_width$}");
            for (Shown { look, width, .. }, key) in self.columns.0.iter().zip(*keys) {
                self.line.push(' ');
                aligned(&mut self.line, &cell(key), *width, look.is_right);
            }
            writeln!(out, "{}", self.line.trim_end())?;
        }
        Ok(())
    }

    /// Prints the header of counts. `width` is the width of the highest count.
    pub fn header_of_counts(&mut self, out: &mut dyn Write, width: usize) -> io::Result<()> {
        let width = width.max(COUNT.len());
        self.start();
        self.styled(HEADER, &format!("{COUNT:>width$} {:BY$} What", "By"));
        writeln!(out, "{}", self.line)
    }

    /// Prints a count and its subject.
    pub fn count(
        &mut self,
        out: &mut dyn Write,
        width: usize,
        count: u64,
        by: By<'_>,
    ) -> io::Result<()> {
        let width = width.max(COUNT.len());
        self.start();
        let _ = write!(self.line, "{count:width$} ");
        let name = by.name();
        let what = match by {
            By::All => "-".to_owned(),
            By::State(netid, state) => format!("{} {}", netid.name(), state.label()),
            By::Process(Found::None) | By::Container(Found::None) => "-".to_owned(),
            By::Process(Found::Unknown) | By::Container(Found::Unknown) => "?".to_owned(),
            By::Process(Found::Known(Process { name, pid, tid })) => {
                let number =
                    |name, n: Option<i32>| n.map_or(String::new(), |n| format!(" {name}={n}"));
                let (pid, tid) = (number("pid", *pid), number("tid", *tid));
                format!("{}{pid}{tid}", known(shown(name)))
            }
            By::Netns(netns) => {
                let name = netns.and_then(Netns::name);
                name.map_or("?".to_owned(), |name| word(&name))
            }
            By::Container(Found::Known(place)) => place.to_string(),
            By::Options(None) => "?".to_owned(),
            By::Options(Some(Options(""))) => "-".to_owned(),
            By::Options(Some(_)) => String::new(),
        };
        let _ = write!(self.line, "{name:BY$} {what}");
        match by {
            By::Options(Some(options)) if self.verbose && what.is_empty() => {
                self.line.truncate(self.line.trim_end().len());
                for entry in options.0.split(',') {
                    let _ = write!(self.line, "\n        {entry}");
                }
                self.line.push('\n');
            }
            By::Options(Some(options)) if what.is_empty() => self.list(options.0, None),
            _ => self.line.push('\n'),
        }
        out.write_all(self.line.as_bytes())
    }

    /// Prints a line that could not be parsed. On a terminal, control characters are replaced.
    pub fn raw(&mut self, out: &mut dyn Write, line: &[u8]) -> io::Result<()> {
        match self.is_seen {
            true => {
                let text = String::from_utf8_lossy(line);
                writeln!(out, "{}", text.replace(char::is_control, "\u{fffd}"))
            }
            false => {
                out.write_all(line)?;
                out.write_all(b"\n")
            }
        }
    }
}

/// The parts of a list of options, each up to its comma.
fn entries(list: &str) -> Box<dyn Iterator<Item = textwrap::core::Word<'_>> + '_> {
    Box::new(list.split_inclusive(',').map(textwrap::core::Word::from))
}

/// A list wrapped to this width. No entry is split.
fn wrapped(list: &str, width: usize) -> String {
    let options = textwrap::Options::new(width)
        .initial_indent("        ")
        .subsequent_indent("        ")
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::Custom(entries));
    textwrap::fill(list, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::options::find;
    use crate::model::row::tests::{BUSY, LISTENER, TCP};
    use crate::source::cgroup::Cgroup;
    use crate::source::namespaces::tests::example;
    use crate::source::process::tests::owner;
    use proptest::prelude::*;

    fn printed(layout: &mut Layout, line: &str) -> String {
        let mut out = Vec::new();
        let row = Row::parse(TCP, line.as_bytes()).unwrap();
        layout.row(&mut out, &row, &[owner()]).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Namespaces and containers come first. Names are one word each.
    #[test]
    fn namespaces_and_containers() {
        let id = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970";
        let docker = format!("/system.slice/docker-{id}.scope");
        let mut layout = Layout::new(None, true, false);
        layout.set_columns(Column::of_list(true), false);
        let mut printed = |netns: &Rc<Netns>, owners: &[Owner]| {
            let row = Row::parse(TCP, LISTENER.as_bytes()).unwrap();
            let row = Row {
                netns: Some(netns),
                ..row
            };
            let mut out = Vec::new();
            layout.row(&mut out, &row, owners).unwrap();
            let text = String::from_utf8(out).unwrap();
            let words: Vec<_> = text.split_ascii_whitespace().map(str::to_owned).collect();
            assert_eq!(words[2], "tcp", "{text}");
            format!("{} {}", words[0], words[1])
        };
        let in_docker = example(Some(5), &["blue", "red"], &[&docker]);
        assert_eq!(printed(&in_docker, &[]), "blue docker:4f797c539e6c");
        let named = |hostname: &str, names: &[&str]| {
            let cgroup = Cgroup::at(&docker).with_hostname(hostname);
            let mut netns = Rc::into_inner(example(Some(5), names, &[])).unwrap();
            netns.cgroups.push(Rc::new(cgroup));
            Rc::new(netns)
        };
        let odd = named("web 1)", &["blue"]);
        assert_eq!(
            printed(&odd, &[]),
            r"blue docker:4f797c539e6c(web\x201\x29)"
        );
        let named_by_id = named(&id[..12], &[]);
        assert_eq!(printed(&named_by_id, &[]), "5 docker:4f797c539e6c");
        let outside = [owner().in_cgroup("/system.slice/nginx.service")];
        assert_eq!(printed(&in_docker, &outside), "blue systemd:nginx.service");
        assert_eq!(
            printed(&example(None, &["a b"], &[]), &[owner()]),
            r"a\x20b ?"
        );
        assert_eq!(printed(&example(None, &[], &[]), &[]), "? ?");
    }

    /// `?` stands for an owner that is not known, and `-` for none, wherever the processes are.
    #[test]
    fn unknown_owners() {
        const LINE: &str = "0 0 1.2.3.4:5 1.2.3.4:6 ESTB A=1,uid=0,ino=7";
        let row = Row::parse(TCP, LINE.as_bytes()).unwrap();
        for (may_lack_owners, sign) in [(true, "?"), (false, "-")] {
            let row = Row {
                may_lack_owners,
                ..row
            };
            let last_word = |layout: &mut Layout| {
                let mut out = Vec::new();
                layout.row(&mut out, &row, &[]).unwrap();
                let text = String::from_utf8(out).unwrap();
                let first = text.lines().next().unwrap().trim_end().to_owned();
                first.rsplit(' ').next().unwrap().to_owned()
            };
            assert_eq!(last_word(&mut Layout::new(None, true, false)), sign);
            let mut chosen = Layout::new(None, true, false);
            chosen.set_columns(vec![Column::of_processes()], true);
            assert_eq!(last_word(&mut chosen), sign);
            let verbose = last_word(&mut Layout::new(None, true, true));
            assert_eq!(verbose == "?", may_lack_owners, "{verbose}");
            let report = Report {
                event: Event::Came(Snapshot::of(&row)),
                scanned: None,
                owners: Vec::new(),
                may_lack_owners,
            };
            let mut out = Vec::new();
            let mut layout = Layout::new(None, true, false);
            layout.event(&mut out, "0", &report).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(text.ends_with(&format!(" {sign}\n")), "{text}");
        }
    }

    #[test]
    fn lines_for_scripts() {
        let mut layout = Layout::new(None, false, false);
        let line = printed(&mut layout, BUSY);
        let mut fields = BUSY.split_ascii_whitespace();
        let mut words = line.split_ascii_whitespace();
        assert_eq!(words.next(), Some("tcp"));
        assert!(words.eq(fields.by_ref()), "{line}");
        // Netid comes first; the other columns are where the files have them.
        let line = printed(&mut layout, LISTENER);
        assert_eq!(line[6..].find("LSTN"), LISTENER.find("LSTN"));
        assert!(line.contains(" LSTN -    SO_REUSEADDR=1,"), "{line}");
        assert_eq!(
            printed(&mut layout, "0 0 1.2.3.4:5 1.2.3.4:6 TIMW")
                .split_whitespace()
                .collect::<Vec<_>>()[5..],
            ["TIMW", "-", "-"]
        );
        // A newer module may have signs that are wider than the column.
        let line = printed(&mut layout, "0 0 1.2.3.4:5 1.2.3.4:6 ESTB >#|<~");
        assert!(line.ends_with(" >#|<~ -\n"), "{line}");

        let services = Services::parse("ssh 22/tcp\n");
        let mut layout = Layout::new(Some(services), true, false);
        let line = printed(&mut layout, BUSY);
        assert!(line.contains(" 192.0.2.1:ssh "), "{line}");
        assert!(
            line.ends_with(" users:((\"tmux: \\x22x\\x22\",pid=7,fd=3))\n"),
            "{line}"
        );
    }

    #[test]
    fn lines_for_a_terminal() {
        let mut layout = Layout::new(None, true, false);
        layout.set_width(100);
        let text = printed(&mut layout, BUSY);
        assert!(text.lines().count() > 2, "{text}");
        assert!(
            text.lines()
                .skip(1)
                .all(|line| line.len() <= 100 && line.starts_with("        ")),
            "{text}"
        );
        let list: String = text.lines().skip(1).map(str::trim).collect();
        assert_eq!(
            format!("{list},ino=5"),
            BUSY.split_ascii_whitespace().last().unwrap()
        );

        let mut layout = Layout::new(None, false, true);
        layout.asked = vec![Rc::new(Defaults::new(find("TCP_USER_TIMEOUT").unwrap()))];
        let text = printed(&mut layout, BUSY);
        assert!(
            text.contains("\n        SO_LINGER=5s\n") && text.contains("\n        ino=5\n"),
            "{text}"
        );
        assert!(
            text.ends_with("        TCP_USER_TIMEOUT=0 (assumed default)\n"),
            "{text}"
        );
    }

    /// On a terminal, a list begins with what differs from the defaults, and has nothing else.
    #[test]
    fn defaults_are_left_out() {
        const LINE: &str = "0 0 1.2.3.4:5 1.2.3.4:6 ESTB \
            SO_KEEPALIVE=0,TCP_NODELAY=0,SO_REUSEADDR=1,NEW=0,uid=7,ino=9";
        let mut layout = Layout::new(None, false, false);
        layout.set_width(200);
        let list = |layout: &mut Layout| {
            let text = printed(layout, LINE);
            text.split_ascii_whitespace()
                .next_back()
                .unwrap()
                .to_owned()
        };
        // NEW stays, because its default is not known.
        assert_eq!(list(&mut layout), "SO_REUSEADDR=1,NEW=0,uid=7");
        layout.asked = vec![Rc::new(Defaults::new(find("SO_KEEPALIVE").unwrap()))];
        assert_eq!(
            list(&mut layout),
            "SO_KEEPALIVE=0,SO_REUSEADDR=1,NEW=0,uid=7"
        );
        let mut layout = Layout::new(None, false, false);
        assert!(LINE.ends_with(&list(&mut layout)));
    }

    fn columns(names: &[&str]) -> Vec<Column> {
        let names = names.iter().map(|name| Column::parse(name).unwrap());
        names.collect()
    }

    #[test]
    fn chosen_columns() {
        const LINE: &str =
            "3 0 1.2.3.4:5 1.2.3.4:6 ESTB SO_KEEPALIVE=1,TCP_KEEPIDLE=60,uid=7,ino=9";
        const PLAIN: &str = "0 44 10.20.30.40:50 1.2.3.4:6 ESTB SO_KEEPALIVE=0,uid=7,ino=9";
        let names = [
            "local",
            "state",
            "SO_KEEPALIVE",
            "TCP_KEEPIDLE",
            "TCP_USER_TIMEOUT",
            "recv-q",
            "process",
        ];
        let print = |layout: &mut Layout| {
            let mut out = Vec::new();
            let rows = [LINE, PLAIN, "0 0 1.2.3.4:5 1.2.3.4:6 TIMW"];
            let rows = rows.map(|line| Row::parse(TCP, line.as_bytes()).unwrap());
            let owners = [&[owner()][..], &[], &[]];
            for (row, owners) in rows.iter().zip(owners) {
                layout.measure(row, owners);
            }
            layout.header(&mut out).unwrap();
            for (row, owners) in rows.iter().zip(owners) {
                layout.row(&mut out, row, owners).unwrap();
            }
            String::from_utf8(out).unwrap()
        };
        let mut layout = Layout::new(None, false, false);
        layout.set_columns(columns(&names), true);
        let text = print(&mut layout);
        let rows: Vec<Vec<_>> = text
            .lines()
            .skip(1)
            .map(|line| line.split_ascii_whitespace().collect())
            .collect();
        assert_eq!(
            rows[0],
            [
                "1.2.3.4:5",
                "ESTB",
                "1",
                "60",
                "0",
                "3",
                r"tmux:\x20\x22x\x22"
            ]
        );
        // Without SO_KEEPALIVE, TCP_KEEPIDLE has no effect.
        assert_eq!(rows[1], ["10.20.30.40:50", "ESTB", "0", "-", "0", "0", "-"]);
        assert_eq!(rows[2], ["1.2.3.4:5", "TIMW", "?", "?", "?", "0", "-"]);
        layout.set_width(80);
        assert_eq!(
            print(&mut layout),
            "Local Address  Stat SO_KEEPALIVE TCP_KEEPIDLE TCP_USER_TIMEOUT Recv-Q Process\n\
             1.2.3.4:5      ESTB            1           60              (0)      3 tmux:\\x20\\x22x\\x22\n\
             10.20.30.40:50 ESTB            0            -              (0)      0 -\n\
             1.2.3.4:5      TIMW            ?            ?                ?      0 -\n"
        );
        layout.color = true;
        assert!(print(&mut layout).contains("\u{1b}[2m0\u{1b}[0m"));
    }

    /// A terminal never gets control characters, even if it is not laid out for.
    #[test]
    fn raw_lines() {
        let mut layout = Layout::new(None, false, false);
        let mut print = |is_seen| {
            layout.is_seen = is_seen;
            let mut out = Vec::new();
            layout.raw(&mut out, b"a\x1b[31m\x9b").unwrap();
            out
        };
        assert_eq!(print(false), b"a\x1b[31m\x9b\n");
        assert_eq!(print(true), "a\u{fffd}[31m\u{fffd}\n".as_bytes());
    }

    /// Columns without content are left out only if nobody has named them.
    #[test]
    fn idle_columns() {
        let row = Row::parse(TCP, LISTENER.as_bytes()).unwrap();
        let titles = |names: &[&str]| {
            let mut layout = Layout::new(None, false, false);
            layout.set_width(200);
            layout.add_columns(columns(names));
            layout.drop_idle(std::iter::once(row));
            let shown = layout.columns.0.iter();
            let shown = shown.map(|shown| shown.column.name().to_owned());
            let is_idle = |name: &String| ["netid", "diag"].contains(&&**name);
            shown.filter(is_idle).collect::<Vec<_>>()
        };
        assert_eq!(titles(&[]), [""; 0]);
        assert_eq!(titles(&["uid"]), [""; 0]);
        assert_eq!(titles(&["uid", "diag"]), ["diag"]);
        assert_eq!(titles(&["diag", "netid"]), ["netid", "diag"]);
    }

    /// Processes that were asked for are always shown, and always have a title.
    #[test]
    fn processes_without_room() {
        let print = |width, processes, names: &[&str]| {
            let mut layout = Layout::new(None, processes, false);
            layout.set_width(width);
            layout.add_columns(columns(names));
            let row = Row::parse(TCP, LISTENER.as_bytes()).unwrap();
            let owners = [owner()];
            layout.measure(&row, &owners);
            let mut out = Vec::new();
            layout.header(&mut out).unwrap();
            layout.row(&mut out, &row, &owners).unwrap();
            String::from_utf8(out).unwrap()
        };
        const ADDED: &[&str] = &["src", "dst", "processes"];
        for (processes, names) in [(false, ADDED), (true, ADDED), (true, &["src", "dst"])] {
            for width in [40, 60, 80, 90, 100, 120, 400] {
                let text = print(width, processes, names);
                assert!(text.contains("users:(("), "{width}: {text}");
                let header: Vec<_> = text.lines().take(2).collect();
                let has_title = |line: &&str| line.split(' ').any(|word| word == "Process");
                assert!(header.iter().any(has_title), "{width}: {text}");
            }
        }
        let wide = print(400, true, &["uid"]);
        let titles = wide.lines().next().unwrap().to_lowercase();
        let at = |title| titles.find(title).expect(&titles);
        assert!(at("uid") < at("process"), "{wide}");
        let narrow = print(60, false, ADDED);
        assert_eq!(narrow.lines().nth(1), Some("        Options Process"));
        assert!(!print(60, false, &["src", "dst"]).contains("Process"));
    }

    /// On a terminal, the list of options is as wide as what it shows.
    #[test]
    fn options_as_a_column() {
        let lines = [
            "0 0 1.2.3.4:5 1.2.3.4:6 ESTB SO_KEEPALIVE=0,TCP_NODELAY=1,TCP_DEFER_ACCEPT=0,uid=7,ino=9",
            "0 0 1.2.3.4:5 1.2.3.4:7 ESTB SO_KEEPALIVE=0,uid=7,ino=9",
            "0 0 1.2.3.4:5 1.2.3.4:6 TIMW",
        ];
        let print = |width| {
            let mut layout = Layout::new(None, false, false);
            layout.set_columns(columns(&["options", "sport"]), true);
            if let Some(width) = width {
                layout.set_width(width);
            }
            let rows = lines.map(|line| Row::parse(TCP, line.as_bytes()).unwrap());
            if width.is_some() {
                rows.iter().for_each(|row| layout.measure(row, &[]));
            }
            let mut out = Vec::new();
            layout.header(&mut out).unwrap();
            for row in &rows {
                layout.row(&mut out, row, &[]).unwrap();
            }
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            print(Some(80)),
            "Options       Sport\n\
             TCP_NODELAY=1 5\n\
             -             5\n\
             ?             5\n"
        );
        assert_eq!(
            print(None),
            "Options Sport\n\
             SO_KEEPALIVE=0,TCP_NODELAY=1,TCP_DEFER_ACCEPT=0 5\n\
             SO_KEEPALIVE=0 5\n\
             ?       5\n"
        );
    }

    /// Values in groups read as in rows. Each is one word, and none reads as if there were none.
    #[test]
    fn words_of_groups() {
        let print = |name: &str, key: Key| {
            let mut layout = Layout::new(None, false, false);
            layout.set_columns(columns(&[name]), true);
            let mut out = Vec::new();
            layout.groups(&mut out, &[(1, &[key])], false).unwrap();
            let text = String::from_utf8(out).unwrap();
            let words: Vec<_> = text.split_ascii_whitespace().collect();
            words.join(" ")
        };
        let process = |name: &[u8]| print("process", Key::Process(name.into()));
        assert_eq!(process(b"(sd pam)"), r"1 (sd\x20pam)");
        assert_eq!(process("gr\u{fc}n".as_bytes()), "1 gr\u{fc}n");
        assert_eq!(process(b"\xff"), r"1 \xff");
        assert_eq!(process(b""), "1 \"\"");
        assert_eq!(process(b"-"), r"1 \x2d");
        assert_eq!(process(b"?"), r"1 \x3f");
        let list = "SO_KEEPALIVE=1,TCP_NODELAY=1";
        let options = print("options", Key::List(list.to_owned()));
        assert_eq!(options, format!("1 {list}"));
        let shown = r"a(b\x2cc";
        let device = print("SO_BINDTODEVICE", Key::Shown(shown.to_owned()));
        assert_eq!(device, format!("1 {shown}"));
        // The container of a list, and the same in a group.
        let row = Row::parse(TCP, LISTENER.as_bytes()).unwrap();
        let owner = owner().in_cgroup("/lxc.payload.a (b");
        let key = Column::parse("container").unwrap().key(&row, &[owner]);
        assert_eq!(key.to_string(), "lxc:a (b");
        assert_eq!(print("container", key), r"1 lxc:a\x20\x28b");
        assert_eq!(print("process", Key::Nothing), "1 -");
        assert_eq!(print("uid", Key::Unknown), "1 ?");
    }

    /// Columns are as wide on a terminal as their names, and each subject is below its title.
    #[test]
    fn wide_names() {
        let mut layout = Layout::new(None, false, false);
        layout.set_columns(columns(&["process", "uid"]), true);
        let names = ["\u{65e5}\u{672c}", "abcdef"].map(|name| Key::Process(name.as_bytes().into()));
        let groups = names.map(|name| [name, Key::Number(5)]);
        let counts: Vec<_> = groups.iter().map(|keys| (1, &keys[..])).collect();
        let mut out = Vec::new();
        layout.groups(&mut out, &counts, false).unwrap();
        let text = String::from_utf8(out).unwrap();
        let widths: Vec<_> = text.lines().map(width_of).collect();
        assert!(widths.len() == 2 && widths[0] == widths[1], "{text}");
        let mut out = Vec::new();
        layout.header_of_counts(&mut out, 1).unwrap();
        layout.count(&mut out, 1, 4, By::All).unwrap();
        layout
            .count(&mut out, 1, 2, By::Container(Found::None))
            .unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Count By        What\n    4 all       -\n    2 container -\n"
        );
    }

    /// A cell of any length is printed whole, and others are not padded to the width of the longest.
    /// A width in a format must fit in 16 bits.
    #[test]
    fn long_cells() {
        let long = "A".repeat(70_000);
        for name in ["options", "cgroup", "SO_BINDTODEVICE", "pid"] {
            let mut layout = Layout::new(None, false, false);
            layout.set_columns(columns(&[name, "uid"]), true);
            let keys = [Key::Text("A".to_owned()), Key::Text(long.clone())];
            let groups = keys.map(|key| [key, Key::Number(5)]);
            let counts: Vec<_> = groups.iter().map(|keys| (1, &keys[..])).collect();
            let mut out = Vec::new();
            layout.groups(&mut out, &counts, true).unwrap();
            let text = String::from_utf8(out).unwrap();
            let lines: Vec<_> = text.lines().collect();
            assert!(lines[0].len() < 300 && lines[1].len() < 300, "{text}");
            assert!(lines[2].contains(&long), "{name}");
        }
        let list = format!("IP_ADD_MEMBERSHIP={long},uid=0,ino=1");
        let line = format!("0 0 1.2.3.4:5 1.2.3.4:6 ESTB {list}");
        let mut layout = Layout::new(None, false, false);
        layout.set_width(80);
        layout.set_columns(columns(&["options", "local"]), true);
        let row = Row::parse(TCP, line.as_bytes()).unwrap();
        layout.measure(&row, &[]);
        let mut out = Vec::new();
        layout.header(&mut out).unwrap();
        assert!(out.len() < 300);
        layout.row(&mut out, &row, &[]).unwrap();
        assert!(String::from_utf8(out).unwrap().contains(&long));
    }

    /// Sockets without options are counted apart from those whose options the kernel no longer keeps.
    #[test]
    fn counts_of_options() {
        for (verbose, list) in [
            (false, " A=1,B=2\n"),
            (true, "\n        A=1\n        B=2\n"),
        ] {
            for width in [None, Some(80)] {
                let mut layout = Layout::new(None, false, verbose);
                width.into_iter().for_each(|width| layout.set_width(width));
                let mut print = |options| {
                    let mut out = Vec::new();
                    let by = By::Options(options);
                    layout.count(&mut out, 1, 3, by).unwrap();
                    String::from_utf8(out).unwrap()
                };
                assert_eq!(print(None), "    3 options   ?\n");
                assert_eq!(print(Some(Options(""))), "    3 options   -\n");
                let printed = print(Some(Options("A=1,B=2")));
                let expected = match verbose {
                    true => format!("    3 options{list}"),
                    false => format!("    3 options  {list}"),
                };
                assert_eq!(printed, expected);
            }
        }
    }

    /// A cell is never empty, and a name never reads as if there were none.
    #[test]
    fn cells_with_odd_names() {
        let mut layout = Layout::new(None, false, false);
        let names = [
            "process",
            "SO_BINDTODEVICE",
            "TCP_CONGESTION",
            "netns",
            "processes",
            "sport",
        ];
        layout.set_columns(columns(&names), true);
        let line = "0 0 1.2.3.4:5 1.2.3.4:6 ESTB SO_BINDTODEVICE=?,TCP_CONGESTION=,uid=7,ino=9";
        let netns = example(Some(5), &["-"], &[]);
        let row = Row::parse(TCP, line.as_bytes()).unwrap();
        let row = Row {
            netns: Some(&netns),
            ..row
        };
        let owners = [
            Owner::new("-", 1, 3),
            Owner::new("", 2, 3),
            Owner::new("-", 3, 3),
            Owner::new("a b", 4, 3),
        ];
        let mut out = Vec::new();
        layout.row(&mut out, &row, &owners).unwrap();
        let text = String::from_utf8(out).unwrap();
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        assert_eq!(
            words,
            [
                r#"\x2d,"",a\x20b"#,
                r"\x3f",
                r#""""#,
                r"\x2d",
                r#"users:(("-",pid=1,fd=3),("",pid=2,fd=3),("-",pid=3,fd=3),("a\x20b",pid=4,fd=3))"#,
                "5"
            ]
        );
    }

    /// Columns begin at the same place in all rows, whatever their addresses are.
    #[test]
    fn columns_of_a_terminal() {
        const LONG: &str =
            "0 0 2001:db8:1234:5678:9abc:def0:1234:5678:65535 ::1:80 ESTB uid=1,ino=1";
        const QUEUE: &str = "0 123456789 1.2.3.4:5 1.2.3.4:6 ESTB >| uid=1,ino=2";
        let mut layout = Layout::new(Some(Services::parse("ssh 22/tcp\n")), false, false);
        layout.set_width(200);
        layout.color = true;
        let rows = [
            Row::parse(TCP, LISTENER.as_bytes()).unwrap(),
            Row::parse(crate::model::row::tests::TCP6, LONG.as_bytes()).unwrap(),
            Row::parse(TCP, QUEUE.as_bytes()).unwrap(),
        ];
        for row in &rows {
            layout.measure(row, &[]);
        }
        let mut out = Vec::new();
        layout.header(&mut out).unwrap();
        for row in &rows {
            layout.row(&mut out, row, &[]).unwrap();
        }
        let text = anstream::adapter::strip_bytes(&out).into_vec();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let places = |words: [&str; 4]| {
            let place = |(line, word): (&&str, &str)| line.find(word).unwrap();
            lines.iter().zip(words).map(place).collect::<Vec<_>>()
        };
        for words in [
            ["Local", "0.0.0.0:ssh", "2001:", "1.2.3.4:5"],
            ["Foreign", "0.0.0.0:*", "::1:80", "1.2.3.4:6"],
            ["Stat", "LSTN", "ESTB", "ESTB"],
            ["Options", "SO_REUSEADDR", "uid", "uid"],
        ] {
            let places = places(words);
            assert!(places.iter().all(|place| *place == places[0]), "{text}");
        }
        // Escape sequences take no room on the line.
        let len = lines[3].len();
        for (width, expected) in [(len, 1), (len - 1, 2)] {
            layout.set_width(width);
            rows.iter().for_each(|row| layout.measure(row, &[]));
            let mut out = Vec::new();
            layout.row(&mut out, &rows[2], &[]).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(
                text.contains('\u{1b}') && text.lines().count() == expected,
                "{text}"
            );
        }
        // Columns are no wider than necessary.
        assert!(lines[2].contains(":65535 ::1:80 "), "{text}");
        assert!(lines[3].contains(" 123456789 1.2.3.4"), "{text}");
        // In a file, measuring does not move columns.
        let mut layout = Layout::new(None, false, false);
        layout.measure(&rows[0], &[]);
        let line = printed(&mut layout, LISTENER);
        assert_eq!(line[6..].find("LSTN"), LISTENER.find("LSTN"));
    }

    #[test]
    fn events_with_one_option_a_line() {
        const A: &str =
            "0 0 10.0.0.1:22 10.0.0.2:40001 ESTB TCP_NODELAY=0,SO_LINGER=5s,uid=0,ino=7";
        let snapshot = |line: &str| Snapshot::of(&Row::parse(TCP, line.as_bytes()).unwrap());
        let b = A
            .replace("TCP_NODELAY=0", "TCP_NODELAY=1")
            .replace("uid=0", "uid=9");
        let event = Event::changed(snapshot(A), snapshot(&b)).unwrap();
        let mut layout = Layout::new(None, true, true);
        let mut print = |event: Event| {
            let report = Report {
                event,
                scanned: None,
                owners: vec![Owner::new("x", 7, 3)],
                may_lack_owners: false,
            };
            let mut out = Vec::new();
            layout.event(&mut out, "0", &report).unwrap();
            String::from_utf8(out).unwrap()
        };
        let text = print(event);
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(
            first.ends_with(" ESTB users:((\"x\",pid=7,fd=3))"),
            "{first}"
        );
        assert_eq!(rest, "        TCP_NODELAY=0->1\n        uid=0->9\n");
        let text = print(Event::Came(snapshot(A)));
        assert!(
            text.ends_with("\n        SO_LINGER=5s\n        uid=0\n        ino=7\n"),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn any_raw_line(line: Vec<u8>, width: Option<u8>) {
            let mut layout = Layout::new(None, false, false);
            if let Some(width) = width {
                layout.set_width(width.into());
            }
            let mut out = Vec::new();
            layout.raw(&mut out, &line).unwrap();
            prop_assert!(width.is_some() || out.strip_suffix(b"\n") == Some(&line));
        }

        #[test]
        fn any_width(width: u8, name in "\\PC{0,15}") {
            let mut layout = Layout::new(None, true, false);
            layout.set_width(width.into());
            let row = Row::parse(TCP, BUSY.as_bytes()).unwrap();
            let owner = Owner::new(&*name, 1, 1);
            layout.row(&mut Vec::new(), &row, &[owner]).unwrap();
        }
    }
}
