// SPDX-License-Identifier: GPL-2.0

//! Tables and numbers for the report.

use crate::stats::Summary;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// The text of a cell, by the row.
type Cell<'a, T> = Box<dyn Fn(&T) -> String + 'a>;

/// The columns of a table: the header of each, and its cells.
pub struct Columns<'a, T>(Vec<(&'a str, Cell<'a, T>)>);

impl<'a, T> Columns<'a, T> {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a column.
    pub fn column(mut self, header: &'a str, cell: impl Fn(&T) -> String + 'a) -> Self {
        self.0.push((header, Box::new(cell)));
        self
    }

    /// Adds two columns: the median of times, and their quartiles.
    pub fn times(self, header: &'a str, times: impl Fn(&T) -> &Summary + Copy + 'a) -> Self {
        self.column(header, move |row| time(times(row).median))
            .column("quartiles", move |row| quartiles(times(row)))
    }

    /// The table of these rows. The first column is for names, the others are for numbers.
    pub fn of(self, rows: &[T]) -> Table {
        let mut table = Table::new();
        table
            .load_preset(NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(self.0.iter().map(|(header, _)| *header));
        for column in table.column_iter_mut() {
            column.set_padding((2, 0));
            if column.index > 0 {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for row in rows {
            table.add_row(self.0.iter().map(|(_, cell)| cell(row)));
        }
        table
    }
}

/// A time with three digits, or more if it is longer.
pub fn time(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v if v >= 0.9995 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

/// The quartiles of times.
pub fn quartiles(times: &Summary) -> String {
    format!("{}-{}", time(times.q1), time(times.q3))
}

/// The text of a value, or no text.
pub fn text(value: &Option<impl ToString>) -> String {
    value.as_ref().map_or_else(String::new, ToString::to_string)
}

/// A number with commas: 100,000.
pub fn digits(value: usize) -> String {
    let plain = value.to_string();
    let mut result = String::new();
    for (i, digit) in plain.chars().enumerate() {
        if i > 0 && (plain.len() - i) % 3 == 0 {
            result.push(',');
        }
        result.push(digit);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(digits(0), "0");
        assert_eq!(digits(999), "999");
        assert_eq!(digits(1_000), "1,000");
        assert_eq!(digits(1_234_567), "1,234,567");
        assert_eq!(time(0.2712), "0.271");
        assert_eq!(time(2.6), "2.60");
        assert_eq!(time(21.04), "21.0");
        assert_eq!(time(155.4), "155");
    }
}
