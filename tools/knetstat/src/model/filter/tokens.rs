// SPDX-License-Identifier: GPL-2.0

//! The words, brackets and operators of a filter.

use crate::model::filter::error::Error;
use std::ops::Range;

/// A word, a bracket or an operator, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub place: Range<usize>,
    /// Whether the token has quotes. It is then a value, whatever it looks like.
    pub is_quoted: bool,
}

/// The length of the operator or bracket that the text begins with.
pub fn sign(rest: &str) -> Option<usize> {
    ["==", "!=", "<=", ">=", "&&", "||"]
        .iter()
        .find(|two| rest.starts_with(**two))
        .map(|two| two.len())
        .or(rest
            .starts_with(['(', ')', '=', '<', '>', '!', '&', '|'])
            .then_some(1))
}

/// The length of an operator or bracket with a backslash, which ss takes for the same. Inside
/// quotes of the shell, people write `\(` as without them.
fn escaped_sign(rest: &str) -> Option<usize> {
    sign(rest.strip_prefix('\\')?).map(|len| len + 1)
}

/// Whether a word ends here. `|` and `&` do not end it, because values contain them.
fn ends_word(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '=' | '<' | '>'))
        || rest.starts_with("!=")
        || escaped_sign(rest).is_some()
}

pub fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let begin = at;
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let mut is_quoted = false;
        let mut word = String::new();
        let rest = &text[at..];
        if let Some(len) = sign(rest).or_else(|| escaped_sign(rest)) {
            at += len;
            word += text[begin..at].trim_start_matches('\\');
        } else {
            while let Some(c) = text[at..].chars().next() {
                if c == '"' || c == '\'' {
                    is_quoted = true;
                    let inner = &text[at + 1..];
                    let Some(len) = inner.find(c) else {
                        return Err(Error {
                            text: text.to_owned(),
                            place: at..text.len(),
                            what: "this quotation mark is not closed".to_owned(),
                            hint: String::new(),
                        });
                    };
                    word += &inner[..len];
                    at += len + 2;
                } else if ends_word(&text[at..]) {
                    break;
                } else {
                    word.push(c);
                    at += c.len_utf8();
                }
            }
        }
        tokens.push(Token {
            text: word,
            place: begin..at,
            is_quoted,
        });
    }
    Ok(tokens)
}
