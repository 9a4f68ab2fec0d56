// SPDX-License-Identifier: GPL-2.0

//! Tables and numbers for people.

use crate::stats::Summary;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// An empty table. The first column is for names, the others are for numbers.
pub fn with_header<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((2, 0));
        if column.index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A time with three digits, or more before the point.
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
