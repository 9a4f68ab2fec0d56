// SPDX-License-Identifier: GPL-2.0

//! A parser of `man/options.txt`. The top of that file describes its format.

use std::collections::BTreeMap;

/// The value of an option that a row lacks, and that getsockopt(2) does not report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unset {
    /// Always this value.
    Value(String),
    /// The first word of a sysctl, by its path relative to `/proc/sys`.
    Sysctl(String),
    /// There is no value.
    Nothing,
    /// The value is not known.
    Unknown,
}

/// The kernels on which the module hides an option from readers without CAP_NET_ADMIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    Always,
    /// On kernels before this version.
    Before(u32, u32),
}

/// The facts about an option: the lines of its paragraph that begin with `@`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `None` if getsockopt(2) on a fresh socket reports the value.
    pub unset: Option<Unset>,
    /// The number of the option, if the crate of the kernel's constants lacks it.
    pub number: Option<i32>,
    /// Other options that set the same, each with its number if that crate lacks it.
    pub also: Vec<(String, Option<i32>)>,
    /// Whether the value on a connected socket is unknown unless the row shows it.
    pub is_unknown_if_connected: bool,
    /// Whether bind(2) to an IPv6 address changes it.
    pub is_set_by_bind: bool,
    /// Whether the kernel changes it by itself. Such changes are not reported.
    pub is_changed_by_kernel: bool,
    /// Whether the MPTCP socket may have it although its subflow does not.
    pub is_on_mptcp_socket: bool,
    /// The option without which this one has no effect.
    pub needs: Option<String>,
    /// Whether the module hides it from readers without CAP_NET_ADMIN.
    pub hidden: Option<Hidden>,
    /// Whether its value is a TOS field or a traffic class.
    pub is_traffic_class: bool,
    /// The names of its flags.
    pub flags: Vec<String>,
}

/// Whether a text is a number, decimal or hexadecimal.
fn is_number(text: &str) -> bool {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).is_ok(),
        None => text.parse::<i128>().is_ok(),
    }
}

impl Facts {
    fn add(&mut self, fact: &str) -> Option<()> {
        match fact.split_once(' ') {
            Some(("unset", value)) => {
                self.unset = Some(match value.split_once(' ') {
                    Some(("sysctl", path)) => Unset::Sysctl(path.replace('.', "/")),
                    None if value == "nothing" => Unset::Nothing,
                    None if value == "unknown" => Unset::Unknown,
                    None if is_number(value) => Unset::Value(value.to_owned()),
                    _ => return None,
                });
            }
            Some(("number", number)) => self.number = Some(number.parse().ok()?),
            Some(("also", name)) => self.also.push(match name.split_once(' ') {
                Some((name, number)) => (name.to_owned(), Some(number.parse().ok()?)),
                None => (name.to_owned(), None),
            }),
            Some(("connected", "unknown")) => self.is_unknown_if_connected = true,
            Some(("changed", "by bind")) => self.is_set_by_bind = true,
            Some(("changed", "by the kernel")) => self.is_changed_by_kernel = true,
            Some(("hidden", "always")) => self.hidden = Some(Hidden::Always),
            Some(("hidden", kernels)) => {
                let (major, minor) = kernels.strip_prefix("before ")?.split_once('.')?;
                self.hidden = Some(Hidden::Before(major.parse().ok()?, minor.parse().ok()?));
            }
            Some(("traffic", "class")) => self.is_traffic_class = true,
            Some(("flags", names)) => self.flags.extend(names.split(' ').map(str::to_owned)),
            Some(("on", "the MPTCP socket")) => self.is_on_mptcp_socket = true,
            Some(("needs", name)) => self.needs = Some(name.to_owned()),
            _ => return None,
        }
        Some(())
    }
}

/// The paragraph on an option.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// The description of the values in mdoc, if the table does not imply it.
    pub(crate) value: Option<String>,
    /// The sentence that says when it is shown, if the table does not imply it.
    pub(crate) shown: Option<String>,
    /// Lines of mdoc: what it does.
    pub(crate) text: Vec<String>,
    pub(crate) facts: Facts,
}

pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, Word>, String> {
    let mut words = BTreeMap::new();
    for paragraph in text.split("\n\n") {
        let mut lines = paragraph
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let Some(head) = lines.next() else {
            continue;
        };
        let (name, value) = match head.split_once(" = ") {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (head, None),
        };
        let mut word = Word {
            value,
            ..Word::default()
        };
        for line in lines {
            if let Some(fact) = line.strip_prefix("@ ") {
                let added = word.facts.add(fact);
                added.ok_or_else(|| format!("man/options.txt: {name}: unknown fact `@ {fact}`"))?;
                continue;
            }
            match line.strip_prefix(": ") {
                Some(shown) => match &mut word.shown {
                    Some(before) => *before += &format!("\n{shown}"),
                    None => word.shown = Some(shown.to_owned()),
                },
                None => word.text.push(line.to_owned()),
            }
        }
        if word.text.is_empty() {
            return Err(format!("man/options.txt does not describe {name}"));
        }
        if words.insert(name.to_owned(), word).is_some() {
            return Err(format!("man/options.txt describes {name} twice"));
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts() {
        let text = "# A comment.\n\nA_B = Ar number\n: TCP: if set.\nWhat it is.\n@ unset sysctl net.a.b\n\
            @ needs A_C\n@ connected unknown\n@ also A_D\n@ also A_E 5\n\nA_C\nMore.\n@ unset -1\n\
            @ changed by the kernel\n@ on the MPTCP socket\n";
        let words = parse(text).unwrap();
        let Facts {
            unset,
            needs,
            also,
            is_unknown_if_connected,
            is_changed_by_kernel,
            is_on_mptcp_socket,
            ..
        } = &words["A_B"].facts;
        assert_eq!(*unset, Some(Unset::Sysctl("net/a/b".to_owned())));
        assert_eq!(needs.as_deref(), Some("A_C"));
        assert_eq!(*also, [("A_D".into(), None), ("A_E".into(), Some(5))]);
        assert!(*is_unknown_if_connected && !*is_changed_by_kernel && !*is_on_mptcp_socket);
        assert_eq!(words["A_B"].text, ["What it is."]);
        let facts = &words["A_C"].facts;
        assert_eq!(facts.unset, Some(Unset::Value("-1".to_owned())));
        assert!(facts.is_changed_by_kernel && facts.is_on_mptcp_socket);
        let facts = &parse("A_B\nWhat.\n@ unset 0x0\n").unwrap()["A_B"].facts;
        assert_eq!(facts.unset, Some(Unset::Value("0x0".to_owned())));
        for wrong in [
            "unset",
            "unset five",
            "unset 0x",
            "unset file x",
            "needs",
            "is new",
            "number x",
            "also",
            "also A_D x",
            "hidden",
            "hidden since 6.1",
            "hidden before 6",
        ] {
            assert_eq!(
                parse(&format!("A_B\nWhat.\n@ {wrong}\n")).unwrap_err(),
                format!("man/options.txt: A_B: unknown fact `@ {wrong}`")
            );
        }
    }
}
