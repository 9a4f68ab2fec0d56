// SPDX-License-Identifier: GPL-2.0

//! Values of TCP_ULP: the name of an upper layer protocol, and the parameters of kernel TLS. The
//! words are those of ss(8): `tls|version:1.3|cipher:aes-gcm-128|rxconf:sw|txconf:sw`.

use crate::model::filter::error::Rejected;
use crate::model::options;
use crate::model::similar::{meant, similar};
use crate::source::text::{is_name, unescape};

/// The largest length of the name of a congestion control or upper layer protocol.
const LONGEST_NAME: usize = 15;

/// The names of upper layer protocols in the kernel.
const PROTOCOLS: &[&str] = &["espintcp", "mptcp", "smc", "tls"];

/// The names of congestion controls in the kernel.
const CONGESTION_CONTROLS: &[&str] = &[
    "bbr",
    "bic",
    "cdg",
    "cubic",
    "dctcp",
    "highspeed",
    "htcp",
    "hybla",
    "illinois",
    "lp",
    "nv",
    "reno",
    "scalable",
    "vegas",
    "veno",
    "westwood",
    "yeah",
];

/// Whether people separate names so. None of these is in the name of a congestion control or upper
/// layer protocol.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | '|')
}

fn rejected(option: &str, text: &str, hint: &str) -> Rejected {
    Rejected {
        what: format!("{text:?} is not a value of {option}"),
        hint: hint.to_owned(),
    }
}

/// The error for several names.
fn several(option: &str, text: &str) -> Rejected {
    let mut names = text.split(is_separator).filter(|name| !name.is_empty());
    let hint = match (names.next(), names.next()) {
        (Some(one), Some(other)) => {
            format!("for several names: ( {option}={one} or {option}={other} )")
        }
        _ => "expected: one name".to_owned(),
    };
    rejected(option, text, &hint)
}

/// Checks that a text can be the name of a congestion control or upper layer protocol, of which the
/// kernel has the `known` ones.
fn check_name(option: &str, text: &str, known: &[&str]) -> Result<(), Rejected> {
    if text.contains(is_separator) {
        return Err(several(option, text));
    }
    if unescape(text).len() > LONGEST_NAME {
        let hint = format!("expected: a name of at most {LONGEST_NAME} bytes");
        return Err(rejected(option, text, &hint));
    }
    let lower = text.to_ascii_lowercase();
    if lower != text && known.contains(&lower.as_str()) {
        let Rejected { what, hint } = rejected(option, text, "");
        let what = what + &meant(&[lower.as_str()]);
        return Err(Rejected { what, hint });
    }
    Ok(())
}

/// Checks the name of a congestion control.
///
/// # Errors
///
/// If it cannot be one.
pub fn check_congestion_control(text: &str) -> Result<(), Rejected> {
    const OPTION: &str = "TCP_CONGESTION";
    if text.is_empty() {
        let hint = "expected: a name, because every TCP socket has a congestion control";
        return Err(rejected(OPTION, text, hint));
    }
    check_name(OPTION, text, CONGESTION_CONTROLS)
}

/// The values of a parameter.
enum Values {
    None,
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of these words, or a number that has no word.
    WordsOrHexadecimal(&'static [&'static str]),
    Number,
}

const DIRECTIONS: &[&str] = &["none", "sw", "hw"];

/// The parameters of TLS.
const PARAMETERS: [(&str, Values); 7] = [
    ("version", Values::WordsOrHexadecimal(&["1.2", "1.3"])),
    (
        "cipher",
        Values::WordsOrHexadecimal(&[
            "aes-gcm-128",
            "aes-gcm-256",
            "aes-ccm-128",
            "chacha20-poly1305",
            "sm4-gcm",
            "sm4-ccm",
            "aria-gcm-128",
            "aria-gcm-256",
        ]),
    ),
    ("rxconf", Values::Words(DIRECTIONS)),
    ("txconf", Values::Words(DIRECTIONS)),
    ("zc_ro_tx", Values::None),
    ("no_pad_rx", Values::None),
    ("tx_max_payload_len", Values::Number),
];

/// An upper layer protocol, and parameters that it must have.
#[derive(Debug, PartialEq, Eq)]
pub struct Protocol {
    name: String,
    /// As rows show them.
    parameters: Vec<String>,
}

/// The parameter that a text names, as rows show it.
fn parameter(typed: &str) -> Result<String, Rejected> {
    let lower = typed.to_ascii_lowercase();
    let (key, value) = match lower.split_once(':') {
        Some((key, value)) => (key, Some(value)),
        None => (lower.as_str(), None),
    };
    let keys = || PARAMETERS.iter().map(|(key, _)| *key);
    let Some((_, values)) = PARAMETERS.iter().find(|(known, _)| *known == key) else {
        return Err(Rejected {
            what: format!(
                "{typed:?} is not a parameter of tls{}",
                meant(&similar(key, keys()))
            ),
            hint: format!("expected: {}", keys().collect::<Vec<_>>().join(", ")),
        });
    };
    let words: &[&str] = match values {
        Values::Words(words) | Values::WordsOrHexadecimal(words) => words,
        Values::None | Values::Number => &[],
    };
    let number = value.and_then(|value| {
        let number = options::number(value).filter(|number| *number >= 0)?;
        match values {
            Values::WordsOrHexadecimal(_) if value.starts_with("0x") => {
                Some(format!("{number:#x}"))
            }
            Values::Number if !value.ends_with('s') => Some(number.to_string()),
            _ => None,
        }
    });
    match (value, number) {
        (None, _) if matches!(values, Values::None) => Ok(lower),
        (Some(value), _) if words.contains(&value) => Ok(lower),
        (Some(_), Some(number)) => Ok(format!("{key}:{number}")),
        _ => {
            let hint = match values {
                Values::None => format!("expected: {key} without a value"),
                Values::Number => format!("expected: {key}: and a number"),
                Values::Words(words) | Values::WordsOrHexadecimal(words) => {
                    format!("expected: {key}: and one of {}", words.join(", "))
                }
            };
            Err(Rejected {
                what: format!("{typed:?} is not a parameter of tls"),
                hint,
            })
        }
    }
}

impl Protocol {
    /// Parses a value of TCP_ULP, as a person types it.
    ///
    /// # Errors
    ///
    /// If the name cannot be one, or if a parameter is not one of TLS.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        const OPTION: &str = "TCP_ULP";
        let mut parts = text.split('|');
        if text.contains('|') && parts.clone().all(|part| PROTOCOLS.contains(&part)) {
            return Err(several(OPTION, text));
        }
        let name = parts.next().unwrap_or_default();
        check_name(OPTION, name, PROTOCOLS)?;
        let parameters: Vec<_> = match name {
            "tls" => parts.map(parameter).collect::<Result<_, _>>()?,
            _ if parts.next().is_some() => {
                return Err(rejected(OPTION, text, "only tls has parameters"));
            }
            _ => Vec::new(),
        };
        Ok(Self {
            name: name.to_owned(),
            parameters,
        })
    }

    /// Whether this is no protocol: a socket without one has no value.
    pub fn is_none(&self) -> bool {
        self.name.is_empty()
    }

    /// Whether a row shows this protocol, with these parameters and perhaps others.
    pub fn is_in(&self, shown: &str) -> bool {
        let mut parts = shown.split('|');
        let is_it = parts.next().is_some_and(|name| is_name(name, &self.name));
        let set: Vec<_> = parts.collect();
        is_it
            && self
                .parameters
                .iter()
                .all(|one| set.contains(&one.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that knetstat(5) and ss(8) show.
    const SHOWN: &str = "tls|version:1.3|cipher:aes-gcm-128|rxconf:sw|txconf:hw|zc_ro_tx";

    #[test]
    fn parameters_in_any_order() {
        for (typed, expected) in [
            ("tls", true),
            ("tls|version:1.3", true),
            ("tls|txconf:hw|VERSION:1.3", true),
            ("tls|zc_ro_tx", true),
            (SHOWN, true),
            ("tls|version:1.2", false),
            ("tls|rxconf:hw", false),
            ("tls|no_pad_rx", false),
            ("tls|tx_max_payload_len:1000", false),
            ("tls|cipher:0x35", false),
            ("mptcp", false),
            ("tl", false),
            ("", false),
        ] {
            let protocol = Protocol::parse(typed).unwrap_or_else(|err| panic!("{err:?}"));
            assert_eq!(protocol.is_in(SHOWN), expected, "{typed}");
        }
        let is_in = |typed, shown| Protocol::parse(typed).unwrap().is_in(shown);
        assert!(is_in("tls", "tls") && !is_in("tls|version:1.3", "tls"));
        assert!(is_in("tls|version:0x0303", "tls|version:0x303"));
        assert!(is_in(
            "tls|tx_max_payload_len:0900",
            "tls|tx_max_payload_len:900"
        ));
    }

    #[test]
    fn other_texts_are_rejected() {
        for (typed, what, hint) in [
            (
                "tls|nonsense",
                "\"nonsense\" is not a parameter",
                "expected: version, cipher",
            ),
            (
                "tls|versoin:1.3",
                "\"versoin:1.3\" is not a parameter of tls; did you mean version?",
                "",
            ),
            ("tls|", "\"\" is not a parameter", "expected: version,"),
            (
                "tls|version",
                "\"version\" is not",
                "expected: version: and one of 1.2, 1.3",
            ),
            (
                "tls|version:1.4",
                "\"version:1.4\" is not",
                "expected: version: and one of 1.2",
            ),
            (
                "tls|rxconf:0x1",
                "\"rxconf:0x1\" is not",
                "expected: rxconf: and one of none, sw",
            ),
            (
                "tls|zc_ro_tx:1",
                "\"zc_ro_tx:1\" is not",
                "expected: zc_ro_tx without a value",
            ),
            (
                "tls|tx_max_payload_len:9s",
                "\"tx_max_payload_len:9s\" is not",
                "expected: tx_max",
            ),
            (
                "tls|tx_max_payload_len:-9",
                "\"tx_max_payload_len:-9\" is not",
                "expected: tx_max",
            ),
            (
                "mptcp|version:1.3",
                "\"mptcp|version:1.3\" is not a value",
                "only tls has",
            ),
            (
                "tls,mptcp",
                "\"tls,mptcp\" is not a value of TCP_ULP",
                "for several names: ( TCP_ULP=tls or TCP_ULP=mptcp )",
            ),
            (
                "tls|mptcp",
                "\"tls|mptcp\" is not a value",
                "for several names: ( TCP_ULP=tls or TCP_ULP=mptcp )",
            ),
            ("tls ", "\"tls \" is not a value", "expected: one name"),
            (
                "TLS",
                "\"TLS\" is not a value of TCP_ULP; did you mean tls?",
                "",
            ),
            (
                "Tls|version:1.3",
                "\"Tls\" is not a value of TCP_ULP; did you mean tls?",
                "",
            ),
            (
                "sixteen-or-more!",
                "\"sixteen-or-more!\" is not a value",
                "expected: a name",
            ),
        ] {
            let rejected = Protocol::parse(typed).expect_err(typed);
            assert!(rejected.what.starts_with(what), "{rejected:?}");
            assert!(rejected.hint.starts_with(hint), "{rejected:?}");
        }
    }
}
