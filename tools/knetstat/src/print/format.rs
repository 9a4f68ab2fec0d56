// SPDX-License-Identifier: GPL-2.0

//! The format of the output: text or JSON.

use crate::model::columns::Column;
use crate::print::json::JsonPrinter;
use crate::print::layout::Layout;
use crate::print::printer::Printer;
use crate::print::text::TextPrinter;
use std::io::Write;

/// The format of the output.
pub enum Format {
    Text {
        layout: Box<Layout>,
        has_header: bool,
    },
    Json {
        processes: bool,
        all_netns: bool,
        columns: Option<Vec<Column>>,
    },
}

impl Format {
    /// A printer of this format.
    pub fn printer<'a>(self, out: Box<dyn Write + 'a>) -> Box<dyn Printer + 'a> {
        match self {
            Format::Text { layout, has_header } => {
                Box::new(TextPrinter::new(out, *layout, has_header))
            }
            Format::Json {
                processes,
                all_netns,
                columns,
            } => {
                let printer = JsonPrinter::new(out, processes, all_netns);
                Box::new(printer.with_columns(columns))
            }
        }
    }
}
