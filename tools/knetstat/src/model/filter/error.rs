// SPDX-License-Identifier: GPL-2.0

//! Errors in filters.

use std::fmt;
use std::ops::Range;

/// An error in a filter, with its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    pub text: String,
    pub place: Range<usize>,
    pub what: String,
    pub hint: String,
}

/// The reason why a text is not a value of an option.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The mistake, and the values that may be meant.
    pub what: String,
    /// The expected form.
    pub hint: String,
}

/// The number of characters of a filter that are shown. Of a longer filter, it is the part around the
/// mistake.
const SHOWN: usize = 200;

/// Stands for the rest of a filter of which a part is shown.
const REST: &str = "...";

impl Error {
    /// The line that shows the filter, and the line that marks the mistake in it.
    fn excerpt(&self) -> (String, String) {
        let count = |part: &str| part.chars().count();
        let all = count(&self.text);
        let start = count(&self.text[..self.place.start]);
        let marked = count(&self.text[self.place.clone()]);
        let from = start.saturating_sub(SHOWN / 2);
        let from = from.min(all.saturating_sub(SHOWN));
        let to = all.min(from + SHOWN);
        let rest = |is_cut| if is_cut { REST } else { "" };
        let (before, behind) = (rest(from > 0), rest(to < all));
        let part: String = self.text.chars().take(to).skip(from).collect();
        let part = part.replace(char::is_control, " ");
        let marks = "^".repeat(marked.min(to - start).max(1));
        let blanks = " ".repeat(before.len() + start - from);
        (
            format!("{before}{part}{behind}"),
            format!("{blanks}{marks}"),
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, marks) = self.excerpt();
        writeln!(f, "{}", self.what)?;
        writeln!(f, "    {line}")?;
        write!(f, "    {marks}")?;
        if !self.hint.is_empty() {
            write!(f, "\n{}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of the excerpt if a mistake of 3 characters follows and precedes so many others.
    fn excerpt(before: usize, behind: usize) -> (String, String) {
        let (before, behind) = ("a".repeat(before), "z".repeat(behind));
        let err = Error {
            place: before.len()..before.len() + 3,
            text: before + "BAD" + &behind,
            what: String::new(),
            hint: String::new(),
        };
        let text = err.to_string();
        let mut lines = text.lines().skip(1).map(str::to_owned);
        (lines.next().unwrap(), lines.next().unwrap())
    }

    /// A filter of any length is shown around the mistake. A width in a format must fit in 16 bits.
    #[test]
    fn long_filters() {
        let begins = [0, 1, 99, 100, 197, 198, 70_000];
        for (before, behind) in begins.iter().flat_map(|n| begins.map(|m| (*n, m))) {
            let (line, marks) = excerpt(before, behind);
            let at = marks.find('^').unwrap();
            assert_eq!(&line[at..at + 3], "BAD");
            assert_eq!(&marks[at..], "^^^");
            let is_whole = before + 3 + behind <= SHOWN;
            let all = 4 + before + 3 + behind;
            assert_eq!(line.len() == all && !line.contains(REST), is_whole);
            assert!(line.len() <= 4 + SHOWN + 2 * REST.len(), "{line}");
        }
        let (line, _) = excerpt(70_000, 70_000);
        assert!(line.starts_with("    ...a") && line.ends_with("z..."));
    }

    /// A mistake that is longer than the excerpt is marked up to its end, and one at the end of the
    /// filter behind it.
    #[test]
    fn long_mistakes() {
        let lines = |place| {
            let err = Error {
                place,
                text: "a".repeat(100_000),
                what: String::new(),
                hint: String::new(),
            };
            err.excerpt()
        };
        let (line, marks) = lines(70_000..99_999);
        assert_eq!((line.len(), marks.len()), (SHOWN + 6, SHOWN + 3));
        let (line, marks) = lines(100_000..100_000);
        assert_eq!((line.len(), marks.len()), (SHOWN + 3, SHOWN + 4));
    }
}
