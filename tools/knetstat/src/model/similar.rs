// SPDX-License-Identifier: GPL-2.0

//! Names that are similar to a word, for hints.

use strsim::jaro_winkler;

/// The similarity of two words, from 0 to 1.
pub fn likeness(a: &str, b: &str) -> f64 {
    jaro_winkler(a, b)
}

/// At most three candidates, the most similar first. Each candidate is a similarity and a name.
/// Those that are hardly similar are left out.
pub fn best<'a>(candidates: impl Iterator<Item = (f64, &'a str)>) -> Vec<&'a str> {
    let mut found: Vec<_> = candidates.filter(|(likeness, _)| *likeness > 0.8).collect();
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The names that are most similar to a word, each once.
pub fn similar<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = best(names.map(|name| (likeness(word, name), name)));
    found.dedup();
    found
}

/// The hint `; did you mean A or B?`. Empty if there are no similar names.
pub fn meant(near: &[&str]) -> String {
    match near {
        [] => String::new(),
        _ => format!("; did you mean {}?", near.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::services::Services;

    #[test]
    fn names_of_ports() {
        let services = Services::parse("http 80/tcp www\nhttp 80/udp\n");
        assert_eq!(similar("htp", services.names()), ["http"]);
        assert!(similar("zzz", services.names()).is_empty());
    }

    #[test]
    fn hints() {
        assert_eq!(meant(&[]), "");
        assert_eq!(meant(&["A", "B"]), "; did you mean A or B?");
    }
}
