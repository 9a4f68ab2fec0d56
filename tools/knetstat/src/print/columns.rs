// SPDX-License-Identifier: GPL-2.0

//! The columns of text: their widths and their cells.

use crate::model::columns::{Cell, Column, Content};
use crate::model::defaults::{Defaults, Differences};
use crate::model::row::{Endpoint, Row};
use crate::model::words::Field;
use crate::print::processes::{users, word_of};
use crate::source::files::Netid;
use crate::source::process::Owner;
use crate::source::services::Services;
use crate::source::text::{escape, word};
use anstyle::{AnsiColor, Style};
use std::collections::HashSet;
use std::fmt::Write;
use std::rc::Rc;

/// The width up to which columns grow, except those with a limit of their own. A list of multicast
/// groups or processes may be longer than any line.
const MOST: usize = 200;

/// The form in which a column is printed.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The width in a file. There, a row is printed before the next one is read.
    width: usize,
    /// Whether the column is as wide as its widest cell on a terminal.
    grows: bool,
    /// The width up to which it grows. Wider cells move what follows them.
    most: usize,
    /// Whether cells are aligned to the right, as numbers are.
    pub is_right: bool,
    pub style: Style,
}

impl Look {
    fn of(column: &Column) -> Self {
        let look = |width| Self {
            width,
            grows: true,
            most: MOST,
            is_right: false,
            style: Style::new(),
        };
        let of_title = look(column.title().len());
        let number = |width| Self {
            is_right: true,
            ..look(width)
        };
        let Some(content) = column.content() else {
            let is_number = column.option().is_some_and(|info| info.kind.is_number());
            return Self {
                is_right: is_number,
                ..of_title
            };
        };
        match content {
            Content::Netns => look(10),
            Content::Container => look(24),
            Content::End(_) => look(23),
            Content::Address(_) => look(15),
            Content::Port(_) => look(5),
            Content::Number(Field::Uid | Field::Drops) => number(5),
            Content::Number(Field::Backlog | Field::Ino) => number(7),
            Content::Number(Field::RecvQ | Field::SendQ) => number(6),
            Content::Pid => look(7),
            Content::Process | Content::Processes => Self {
                most: 40,
                style: PROCESS,
                ..look(15)
            },
            Content::Diag => Self {
                grows: false,
                style: AnsiColor::Red.on_default().bold(),
                ..look(4)
            },
            Content::Netid | Content::State => Self {
                grows: false,
                ..of_title
            },
            Content::Family | Content::Cgroup | Content::Options => of_title,
        }
    }
}

/// The style of processes.
pub const PROCESS: Style = AnsiColor::Cyan.on_default();

/// The style of a default, which the row of the socket does not contain.
const DEFAULT: Style = Style::new().dimmed();

/// A column with its width.
#[derive(Clone, Debug)]
pub struct Shown {
    pub column: Column,
    pub look: Look,
    pub width: usize,
}

impl Shown {
    fn new(column: Column) -> Self {
        let look = Look::of(&column);
        Self {
            width: look.width.max(column.title().len()),
            column,
            look,
        }
    }

    /// Whether these are the processes as `-p` shows them.
    pub fn is_of_processes(&self) -> bool {
        self.column.content() == Some(Content::Processes)
    }

    /// Whether events have this column, too. They lack what changes without an event.
    fn is_in_events(&self) -> bool {
        !matches!(
            self.column.content(),
            Some(Content::Number(Field::RecvQ | Field::SendQ) | Content::Diag)
        )
    }

    /// Widens the column so that a text fits, if it grows.
    pub fn fit(&mut self, text: &str) {
        if self.look.grows {
            self.width = self.width.max(width_of(text).min(self.look.most));
        }
    }
}

/// The number of columns of a terminal that a text takes.
pub fn width_of(text: &str) -> usize {
    match text.is_ascii() {
        true => text.len(),
        false => textwrap::core::display_width(text),
    }
}

/// Adds a text to a line, aligned in a column of this width. The text may be wider.
///
/// A width in a format must fit in 16 bits, otherwise `write!` panics.
pub fn aligned(line: &mut String, text: &str, width: usize, is_right: bool) {
    let padding = width.saturating_sub(width_of(text));
    let padding = std::iter::repeat_n(' ', padding);
    match is_right {
        true => {
            line.extend(padding);
            *line += text;
        }
        false => {
            *line += text;
            line.extend(padding);
        }
    }
}

/// A row, with all that its cells are made from.
#[derive(Clone, Copy)]
pub struct PrintedRow<'a> {
    pub row: &'a Row<'a>,
    pub owners: &'a [Owner],
    pub services: Option<&'a Services>,
    /// Whether defaults are in brackets.
    pub brackets_defaults: bool,
    /// On a terminal, options that have their defaults are left out of the list, except those that
    /// the filter tests.
    pub differences: Option<(&'a Differences, &'a [Rc<Defaults>])>,
}

/// A value that is known, as a word that is neither empty nor `-` or `?`, which stand for others.
pub fn known(text: String) -> String {
    match text.as_str() {
        "" => "\"\"".to_owned(),
        "-" | "?" => {
            let mut escaped = String::new();
            escape(text.as_bytes(), &mut escaped);
            escaped
        }
        _ => text,
    }
}

impl PrintedRow<'_> {
    /// Writes the cell of a column, and returns the style if it is not that of the column. A value
    /// that is missing is `-`, and one that is not known is `?`.
    pub fn write(&self, column: &Column, text: &mut String) -> Option<Style> {
        let Self { row, owners, .. } = *self;
        let netid = row.file.netid;
        match column.cell(row, owners) {
            Cell::Nothing => text.push('-'),
            Cell::Unknown(_) => text.push('?'),
            Cell::Netns(netns) => *text += &known(word(&netns.name().unwrap_or_default())),
            Cell::Place(place) => _ = write!(text, "{place}"),
            Cell::Cgroup(cgroup) => *text += &word(&cgroup.path),
            Cell::Netid(netid) => *text += netid.name(),
            Cell::Family(family) => *text += family.name(),
            Cell::State(state) => *text += state.label(),
            Cell::Diag(signs) => *text += signs,
            Cell::Endpoint(shown) => endpoint(netid, &shown, self.services, text),
            Cell::Address(shown, _) => *text += shown,
            Cell::Port(port) => match self.services.and_then(|known| known.name(netid, port)) {
                Some(name) => *text += name,
                None => _ = write!(text, "{port}"),
            },
            Cell::Number(n) => _ = write!(text, "{n}"),
            Cell::Value {
                text: value,
                is_default: true,
            } => {
                let _ = match self.brackets_defaults {
                    true => write!(text, "({value})"),
                    false => write!(text, "{value}"),
                };
                return Some(DEFAULT);
            }
            Cell::Value { text: value, .. } => *text += &known(value.to_owned()),
            Cell::Options(options) => match self.differences {
                None => *text += options.0,
                Some((differences, asked)) => {
                    let list = differences.of(row, asked, |_| false);
                    *text += if list.is_empty() { "-" } else { &list };
                }
            },
            Cell::Owners(owners) => match column.content() {
                Some(Content::Process) => {
                    *text += &joined(owners.iter().map(|owner| known(word_of(owner.name()))));
                }
                Some(Content::Pid) => {
                    *text += &joined(owners.iter().map(|owner| owner.pid().to_string()));
                }
                // For a script, each cell is one word.
                _ if self.differences.is_none() => *text += &users(owners).replace(' ', r"\x20"),
                _ => *text += &users(owners),
            },
        }
        None
    }
}

/// The words, each once, separated by commas.
fn joined(words: impl Iterator<Item = String>) -> String {
    let mut seen = HashSet::new();
    let found: Vec<_> = words.filter(|word| seen.insert(word.clone())).collect();
    found.join(",")
}

/// Writes an address and its port. Uses the name of the port if `services` has one.
pub fn endpoint(
    netid: Netid,
    endpoint: &Endpoint<'_>,
    services: Option<&Services>,
    text: &mut String,
) {
    let name = services.and_then(|services| services.name(netid, endpoint.port));
    let _ = match (endpoint.port, name) {
        (0, _) => write!(text, "{}:*", endpoint.text),
        (_, Some(name)) => write!(text, "{}:{name}", endpoint.text),
        (port, None) => write!(text, "{}:{port}", endpoint.text),
    };
}

/// The columns, in the order in which they are printed.
#[derive(Clone, Debug, Default)]
pub struct Columns(pub Vec<Shown>);

impl Columns {
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self(columns.into_iter().map(Shown::new).collect())
    }

    /// Adds a column behind the others.
    pub fn add(&mut self, column: Column) {
        self.0.push(Shown::new(column));
    }

    /// Makes columns that grow as narrow as their titles. They grow when cells are measured.
    pub fn narrow(&mut self) {
        for shown in &mut self.0 {
            if shown.look.grows {
                shown.width = shown.column.title().len();
            }
        }
    }

    /// Widens the columns so that this row fits. Columns never become narrower, so that later rows
    /// align with those already printed.
    pub fn measure(&mut self, printed: &PrintedRow<'_>) {
        let mut cell = String::new();
        for shown in &mut self.0 {
            if shown.look.grows {
                cell.clear();
                printed.write(&shown.column, &mut cell);
                shown.fit(&cell);
            }
        }
    }

    /// The columns of rows or of events.
    pub fn shown(&self, of_events: bool) -> impl Iterator<Item = &Shown> {
        let is_shown = move |shown: &&Shown| !of_events || shown.is_in_events();
        self.0.iter().filter(is_shown)
    }
}
