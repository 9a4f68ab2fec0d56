// SPDX-License-Identifier: GPL-2.0

//! Conversion of mdoc to plain text, for `knetstat explain`.

use std::fmt::Write;

/// The sentences in lines of mdoc.
pub(crate) fn sentences(lines: &[String]) -> Vec<String> {
    let mut sentences: Vec<String> = Vec::new();
    for line in lines.iter().flat_map(|line| line.lines()) {
        let is_macro = line.starts_with('.');
        let line = match line.strip_prefix('.') {
            Some(rest) => macros(rest),
            None => escapes(line),
        };
        // Each sentence begins on a new line, which does not begin with a macro.
        match sentences.last_mut() {
            Some(last) if is_macro || !last.ends_with('.') => {
                *last += " ";
                *last += &line;
            }
            _ => sentences.push(line),
        }
    }
    sentences
}

/// A line of macros as text. Names of macros are removed, and blanks around `Ns` and before
/// punctuation.
pub(crate) fn macros(line: &str) -> String {
    let mut text = String::new();
    let mut glue = true;
    let mut reference = None;
    let mut is_optional = false;
    for word in line.split(' ') {
        match word {
            "Cm" | "Ar" | "Li" | "Dv" | "Pa" => continue,
            "Xr" => {
                reference = Some(0);
                continue;
            }
            "Ns" => {
                glue = true;
                continue;
            }
            "Op" => {
                is_optional = true;
                text += if glue { "[" } else { " [" };
                glue = true;
                continue;
            }
            _ => {}
        }
        let is_end = matches!(word, "." | "," | ";" | ":" | ")");
        let word = escapes(word);
        match &mut reference {
            Some(1) => {
                let _ = write!(text, "({word})");
                reference = None;
                continue;
            }
            Some(words) => *words += 1,
            None => {}
        }
        if !glue && !is_end {
            text.push(' ');
        }
        text += &word;
        glue = false;
    }
    if is_optional {
        text.push(']');
    }
    text
}

fn escapes(text: &str) -> String {
    text.replace("\\-", "-")
        .replace("\\ex", "\\x")
        .replace("\\&", "")
}
