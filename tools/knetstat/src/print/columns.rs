// SPDX-License-Identifier: GPL-2.0

//! The columns of rows and events. The header, the widths and the cells follow from [`COLUMNS`].

use crate::model::place;
use crate::model::row::{Endpoint, Row};
use crate::source::files::Netid;
use crate::source::process::Owner;
use crate::source::services::Services;
use crate::source::text::word;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

/// A column of the text output.
pub struct Column {
    pub title: &'static str,
    /// The width in a file. There, a row is printed before the next one is read.
    pub width: usize,
    /// Whether the column is as wide as its widest cell on a terminal.
    pub grows: bool,
    /// Whether cells are aligned to the right, as numbers are.
    pub is_right: bool,
    /// Whether events have this column, too.
    pub is_in_events: bool,
    /// Whether the column is there only if all network namespaces are shown.
    pub is_of_netns: bool,
    pub style: Style,
    /// Writes the cell of a socket. An empty cell is printed as `-`.
    pub write: fn(&Subject<'_>, &mut String),
}

/// A socket that is printed.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub row: &'a Row<'a>,
    pub owners: &'a [Owner],
    pub services: Option<&'a Services>,
}

const COLUMN: Column = Column {
    title: "",
    width: 0,
    grows: false,
    is_right: false,
    is_in_events: true,
    is_of_netns: false,
    style: Style::new(),
    write: |_, _| {},
};

const QUEUE: Column = Column {
    width: 6,
    grows: true,
    is_right: true,
    is_in_events: false,
    ..COLUMN
};

const OF_NETNS: Column = Column {
    grows: true,
    is_of_netns: true,
    ..COLUMN
};

const ADDRESS: Column = Column {
    width: 23,
    grows: true,
    ..COLUMN
};

/// The columns, in order. The options and, with `-p`, the processes follow them.
pub static COLUMNS: [Column; 9] = [
    Column {
        title: "Netns",
        width: 10,
        write: |subject, cell| {
            let name = subject.row.netns.and_then(|netns| netns.name());
            *cell += &word(&name.unwrap_or_default());
        },
        ..OF_NETNS
    },
    Column {
        title: "Container",
        width: 24,
        write: |subject, cell| {
            if let Some(place) = place::container(subject.row, subject.owners) {
                let _ = write!(cell, "{place}");
            }
        },
        ..OF_NETNS
    },
    Column {
        title: "Netid",
        width: 5,
        write: |subject, cell| *cell += subject.row.file.netid.name(),
        ..COLUMN
    },
    Column {
        title: "Recv-Q",
        write: |subject, cell| _ = write!(cell, "{}", subject.row.recv_q),
        ..QUEUE
    },
    Column {
        title: "Send-Q",
        write: |subject, cell| _ = write!(cell, "{}", subject.row.send_q),
        ..QUEUE
    },
    Column {
        title: "Local Address",
        write: |subject, cell| subject.endpoint(&subject.row.local, cell),
        ..ADDRESS
    },
    Column {
        title: "Foreign Address",
        write: |subject, cell| subject.endpoint(&subject.row.foreign, cell),
        ..ADDRESS
    },
    Column {
        title: "Stat",
        width: 4,
        write: |subject, cell| *cell += subject.row.state.label(),
        ..COLUMN
    },
    Column {
        title: "Diag",
        width: 4,
        is_in_events: false,
        style: AnsiColor::Red.on_default().bold(),
        write: |subject, cell| *cell += subject.row.diag,
        ..COLUMN
    },
];

impl Subject<'_> {
    fn endpoint(&self, end: &Endpoint<'_>, cell: &mut String) {
        endpoint(self.row.file.netid, end, self.services, cell);
    }
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

/// The widths of the columns.
#[derive(Clone, Copy, Debug)]
pub struct Widths([usize; COLUMNS.len()]);

impl Widths {
    /// The widths of the module's files.
    pub fn fixed() -> Self {
        let mut widths = [0; COLUMNS.len()];
        for (width, column) in widths.iter_mut().zip(&COLUMNS) {
            *width = column.width;
        }
        Self(widths)
    }

    /// The widths of the titles, for columns that grow when cells are measured.
    pub fn narrow() -> Self {
        let mut widths = Self::fixed();
        for (width, column) in widths.0.iter_mut().zip(&COLUMNS) {
            if column.grows {
                *width = column.title.len();
            }
        }
        widths
    }

    /// Widens the columns so that this row fits. Columns never become narrower, so that later rows
    /// align with those already printed.
    pub fn measure(&mut self, subject: &Subject<'_>) {
        let mut cell = String::new();
        for (width, column) in self.0.iter_mut().zip(&COLUMNS) {
            if column.grows {
                cell.clear();
                (column.write)(subject, &mut cell);
                *width = (*width).max(cell.len());
            }
        }
    }

    /// The columns of rows or of events, with their widths.
    pub fn columns(
        &self,
        of_events: bool,
        all_netns: bool,
    ) -> impl Iterator<Item = (&'static Column, usize)> {
        let is_shown = move |column: &Column| {
            (column.is_in_events || !of_events) && (all_netns || !column.is_of_netns)
        };
        let columns = COLUMNS.iter().zip(self.0);
        columns.filter(move |(column, _)| is_shown(column))
    }
}
