// SPDX-License-Identifier: GPL-2.0

//! Interfaces in filters, by name or index.

use crate::model::filter::error::Rejected;
use crate::model::filter::host::decimal;
use crate::model::filter::scope::Scope;
use crate::source::interfaces;
use crate::source::text::unescape;

/// The largest length of the name of an interface. Alternative names can be longer.
const LONGEST_NAME: usize = 15;

fn rejected(what: String, hint: &str) -> Rejected {
    Rejected {
        what,
        hint: hint.to_owned(),
    }
}

/// The name that rows show for an interface that no longer exists.
fn missing(index: u32) -> String {
    format!("if{index}")
}

/// The name of an interface that is typed as its name, an alternative name, or its index. Empty for
/// the index 0, which means none. The interface must exist in [`Scope::Own`] only, but in
/// [`Scope::OwnAnytime`], one that does not exist now must be typed as its name.
///
/// # Errors
///
/// If there is no such interface, or if the namespaces may have different ones of this index.
pub fn resolve(scope: Option<Scope>, text: &str) -> Result<String, Rejected> {
    // The name may have the escapes of a row. A name that is not UTF-8 cannot be looked up.
    let plain = String::from_utf8(unescape(text).into_owned()).ok();
    if scope.is_some_and(Scope::is_own) {
        let names = [Some(text), plain.as_deref()];
        let mut found = names
            .iter()
            .flatten()
            .filter_map(|name| interfaces::index_of(name));
        // Rows show the name, even if an alternative one is typed.
        if let Some(name) = found.next().and_then(interfaces::name_of) {
            return Ok(name);
        }
    }
    match (decimal(text), scope) {
        (Some(0), _) => return Ok(String::new()),
        (Some(_), Some(Scope::All)) => {
            let what = "the indexes of interfaces differ between network namespaces".to_owned();
            return Err(rejected(what, "use the name of the interface"));
        }
        (Some(index), Some(Scope::Own)) => {
            return Ok(interfaces::name_of(index).unwrap_or_else(|| missing(index)));
        }
        // Rows show the name, which is not known if there is no such interface now.
        (Some(index), Some(Scope::OwnAnytime)) => {
            let what = format!("there is no interface with the index {index}");
            let hint = format!(
                "use the name of the interface, or {} if it no longer exists",
                missing(index)
            );
            return interfaces::name_of(index).ok_or_else(|| rejected(what, &hint));
        }
        (Some(index), None) => return Ok(missing(index)),
        (None, _) => {}
    }
    if unescape(text).len() > LONGEST_NAME {
        let what = format!("{text:?} is longer than the name of an interface");
        let hint = "expected: a name of at most 15 bytes, which `ip link` lists before altname";
        return Err(rejected(what, hint));
    }
    let is_missing = text.strip_prefix("if").and_then(decimal::<u32>).is_some();
    if scope == Some(Scope::Own) && !text.is_empty() && !is_missing && plain.is_some() {
        let what = format!("there is no interface {text:?}");
        return Err(rejected(what, "`ip link` lists the interfaces"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> Result<String, Rejected> {
        resolve(Some(Scope::Own), text)
    }

    #[test]
    fn names_and_indexes() {
        for (typed, name) in [
            ("lo", "lo"),
            (r"\x6co", "lo"),
            ("1", "lo"),
            ("0", ""),
            ("", ""),
            ("4294967295", "if4294967295"),
            ("if4294967295", "if4294967295"),
            (r"\xff", r"\xff"),
        ] {
            assert_eq!(own(typed).as_deref(), Ok(name), "{typed}");
        }
        for scope in [None, Some(Scope::OwnAnytime), Some(Scope::All)] {
            for name in [
                "lo",
                "nosuch",
                "if9",
                r"a\x2cb",
                r"\xff\xff\xff\xff\xff",
                "",
            ] {
                assert_eq!(resolve(scope, name).as_deref(), Ok(name));
            }
            assert_eq!(resolve(scope, "0").as_deref(), Ok(""));
        }
        assert_eq!(resolve(Some(Scope::OwnAnytime), "1").as_deref(), Ok("lo"));
        // Rows do not show the index of an interface that comes.
        let index = resolve(Some(Scope::OwnAnytime), "4294967295").unwrap_err();
        assert_eq!(
            index.what,
            "there is no interface with the index 4294967295"
        );
        assert!(index.hint.contains("or if4294967295 if"), "{index:?}");
    }

    #[test]
    fn others_are_rejected() {
        let long = "longer is longer than the name of an interface";
        for (scope, typed, what) in [
            (
                Some(Scope::Own),
                "nosuch",
                "there is no interface \"nosuch\"",
            ),
            (Some(Scope::Own), "-1", "there is no interface \"-1\""),
            (Some(Scope::Own), "4294967296", "there is no interface"),
            (Some(Scope::Own), "01", "there is no interface \"01\""),
            (Some(Scope::Own), "ifx", "there is no interface \"ifx\""),
            (Some(Scope::Own), r"a\x2cb", "there is no interface"),
            (Some(Scope::All), "2", "the indexes of interfaces differ"),
            (
                Some(Scope::Own),
                long,
                "\"longer is longer than the name of an interface\" is longer",
            ),
            (
                Some(Scope::All),
                long,
                "\"longer is longer than the name of an interface\" is longer",
            ),
            (
                None,
                long,
                "\"longer is longer than the name of an interface\" is longer",
            ),
        ] {
            let rejected = resolve(scope, typed).expect_err(typed);
            assert!(rejected.what.starts_with(what), "{rejected:?}");
            assert!(!rejected.hint.is_empty());
        }
    }

    /// An interface is named by digits, which are also the index of another one. This needs a
    /// network namespace of its own.
    #[test]
    fn a_name_before_an_index() {
        let ip = |words: &str| {
            let mut command = std::process::Command::new("ip");
            command
                .args(words.split(' '))
                .output()
                .is_ok_and(|out| out.status.success())
        };
        let checked = std::thread::spawn(move || {
            // SAFETY: Nothing is shared with this thread that a network namespace holds.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0
                || !ip("link set lo name 100")
                || !ip("link add name x index 100 type bridge")
                || !ip("link add name a+b type bridge")
            {
                return false;
            }
            assert_eq!(own("100").as_deref(), Ok("100"));
            assert_eq!(own("1").as_deref(), Ok("100"));
            assert_eq!(own("x").as_deref(), Ok("x"));
            assert_eq!(own(r"a\x2bb").as_deref(), Ok("a+b"));
            if ip("link property add dev x altname other") {
                assert_eq!(own("other").as_deref(), Ok("x"));
            }
            true
        });
        if !checked.join().unwrap() {
            eprintln!("skipped: no interface can be made");
        }
    }
}
