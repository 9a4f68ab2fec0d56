// SPDX-License-Identifier: GPL-2.0

//! The processes that have a socket open, as text.

use crate::source::process::{Name, Owner};
use crate::source::text::escape;
use std::fmt::Write;

/// The name of a process as text that neither a terminal nor a parser of `users:((...))` can take
/// for something else: quotes, backslashes, and bytes that are not printable UTF-8 read `\x` and two
/// digits, as in the files of the module.
pub fn shown(name: &Name) -> String {
    let mut text = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            // `escape_debug` leaves printable characters as they are.
            if c == '\'' || c.escape_debug().len() == 1 {
                text.push(c);
            } else {
                escape(c.encode_utf8(&mut [0; 4]).as_bytes(), &mut text);
            }
        }
        escape(chunk.invalid(), &mut text);
    }
    text
}

/// The owners in the format of ss.
pub fn users(owners: &[Owner]) -> String {
    let mut text = String::new();
    for owner in owners {
        text += if text.is_empty() { "users:(" } else { "," };
        let _ = write!(text, "(\"{}\",pid={},", shown(owner.name()), owner.pid());
        if let Some(tid) = owner.tid() {
            let _ = write!(text, "tid={tid},");
        }
        let _ = write!(text, "fd={})", owner.fd);
    }
    if !text.is_empty() {
        text.push(')');
    }
    text
}

/// The name of a process as one word, in which blanks and commas are escaped, too. An empty name is
/// `""`.
pub fn word_of(name: &Name) -> String {
    match shown(name).as_str() {
        "" => "\"\"".to_owned(),
        text => text.replace(' ', r"\x20").replace(',', r"\x2c"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_processes() {
        for (name, expected) in [
            (&b"nginx: it's (x)"[..], "nginx: it's (x)"),
            (b"a\"\\b", r"a\x22\x5cb"),
            (b"\x1b[31m\n\x7f", r"\x1b[31m\x0a\x7f"),
            ("f\u{fc}r\u{20ac}".as_bytes(), "f\u{fc}r\u{20ac}"),
            // Cut by the kernel, and a character that reverses the text after it.
            (b"a\xe2\x82", r"a\xe2\x82"),
            ("\u{202e}x\u{85}".as_bytes(), r"\xe2\x80\xaex\xc2\x85"),
        ] {
            assert_eq!(shown(&name.into()), expected);
        }
        let owners = [Owner::thread("x", 7, 8, 3), Owner::new("y", 9, 4)];
        assert_eq!(
            users(&owners),
            r#"users:(("x",pid=7,tid=8,fd=3),("y",pid=9,fd=4))"#
        );
        assert_eq!(word_of(&b"a b,c"[..].into()), r"a\x20b\x2cc");
        assert_eq!(word_of(&b""[..].into()), "\"\"");
    }

    proptest! {
        /// A name with its escapes undone is what it was.
        #[test]
        fn any_name(name: Vec<u8>) {
            let text = shown(&(&*name).into());
            prop_assert!(!text.contains(|c: char| c.is_control() || c == '"'), "{text}");
            let mut parts = text.split("\\x");
            let mut again = parts.next().unwrap().as_bytes().to_vec();
            for part in parts {
                again.push(u8::from_str_radix(&part[..2], 16).unwrap());
                again.extend(part[2..].bytes());
            }
            prop_assert_eq!(again, name);
        }
    }
}
