// SPDX-License-Identifier: GPL-2.0

//! Names in rows. The module writes a byte that could break a row as `\x` and two hexadecimal
//! digits, and escapes the backslash, too.

use std::borrow::Cow;
use std::fmt::Write;

/// The bytes of a name that a row shows.
pub fn unescape(shown: &str) -> Cow<'_, [u8]> {
    if !shown.contains('\\') {
        return shown.as_bytes().into();
    }
    let mut bytes = Vec::new();
    let mut rest = shown.as_bytes();
    while let [first, behind @ ..] = rest {
        let (byte, len) = match escaped(rest) {
            Some(byte) => (byte, ESCAPE),
            None => (*first, rest.len() - behind.len()),
        };
        bytes.push(byte);
        rest = &rest[len..];
    }
    bytes.into()
}

/// The length of an escaped byte.
const ESCAPE: usize = 4;

/// The byte that the text begins with, if it is escaped.
fn escaped(text: &[u8]) -> Option<u8> {
    let digits = text.get(..ESCAPE)?.strip_prefix(br"\x")?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from((digit(digits[0])? << 4) | digit(digits[1])?).ok()
}

/// The name as text. A name that is not UTF-8 stays escaped.
pub fn readable(shown: &str) -> Cow<'_, str> {
    match unescape(shown) {
        Cow::Borrowed(_) => shown.into(),
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => shown.into(),
        },
    }
}

/// A list of groups as text. `+` joins the groups. It stays escaped in the names of interfaces, and
/// so does the backslash, because a name could be taken for a group otherwise.
pub fn readable_groups(list: &str) -> String {
    const KEPT: [&str; 2] = [r"\x2b", r"\x5c"];
    let entries = list.split('+').map(|entry| {
        if std::str::from_utf8(&unescape(entry)).is_err() {
            return entry.to_owned();
        }
        let mut text = String::new();
        let mut rest = entry;
        while let Some(at) = KEPT.iter().filter_map(|kept| rest.find(kept)).min() {
            let (kept, behind) = rest[at..].split_at(KEPT[0].len());
            text += &readable(&rest[..at]);
            text += kept;
            rest = behind;
        }
        text + &readable(rest)
    });
    entries.collect::<Vec<_>>().join("+")
}

/// Writes bytes with their escapes.
pub fn escape(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        let _ = write!(text, "\\x{byte:02x}");
    }
}

/// A name as one word that is shown as it is. Anything but printable ASCII is escaped, and so are
/// blanks, brackets, commas and backslashes.
pub fn word(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'(' | b')' | b',' | b'\\' => escape(&[byte], &mut text),
            b'!'..=b'~' => text.push(byte.into()),
            _ => escape(&[byte], &mut text),
        }
    }
    text
}

/// A name without characters that change what a terminal shows: those that are not printable are
/// escaped. Quotes and backslashes stay as they are.
pub fn printable(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        // `escape_debug` leaves printable characters as they are.
        if matches!(c, '\'' | '"' | '\\') || c.escape_debug().len() == 1 {
            text.push(c);
        } else {
            escape(c.encode_utf8(&mut [0; 4]).as_bytes(), &mut text);
        }
    }
    text
}

/// Whether a row shows this name. The name may be written with the escapes of the row.
pub fn is_name(shown: &str, name: &str) -> bool {
    shown == name || *unescape(shown) == *name.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for (shown, name) in [
            ("eth0", "eth0"),
            (r"a\x2cb", "a,b"),
            (r"gr\xc3\xb6\xc3\x9fe", "größe"),
            (r"a\x5cx2c", r"a\x2c"),
            (r"\x2", r"\x2"),
            (r"\xg0", r"\xg0"),
            (r"\", r"\"),
            ("", ""),
        ] {
            assert_eq!(readable(shown), name, "{shown}");
            assert!(is_name(shown, name) && is_name(shown, shown));
        }
        assert!(!is_name("eth0|x", "eth0") && !is_name(r"a\x2cb", "a"));
        assert_eq!(readable(r"\xff"), r"\xff");
        assert_eq!(*unescape(r"\xff"), [0xff]);
    }

    #[test]
    fn printable_names() {
        for (name, expected) in [
            ("größe it's \"a\" \\", "größe it's \"a\" \\"),
            ("\x1b[31m\n\x7f", r"\x1b[31m\x0a\x7f"),
            ("\u{202e}x\u{85}", r"\xe2\x80\xaex\xc2\x85"),
        ] {
            assert_eq!(printable(name), expected);
        }
    }

    proptest! {
        /// Names come back from the form that the module writes.
        #[test]
        fn any_name(name: Vec<u8>) {
            let shown: String = name.iter().map(|byte| {
                match byte.is_ascii_graphic() && !b",+\\".contains(byte) {
                    true => char::from(*byte).to_string(),
                    false => format!("\\x{byte:02x}"),
                }
            }).collect();
            prop_assert_eq!(&*unescape(&shown), &name[..]);
        }
    }
}
