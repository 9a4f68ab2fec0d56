// SPDX-License-Identifier: GPL-2.0

//! Generates the table of options from `sockopts.rs` and `man/options.txt`. knetstat(5) is
//! generated from the same files. The version is taken from the module.

use knetstat_man::{Documented, Hidden, Unset, LEVELS};
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

/// The number of an option as an expression, usually the path of a constant. If the crate lacks the
/// constant, the build fails and names it. `man/options.txt` then gives the number.
fn number(name: &str, level: &str, number: Option<i32>) -> String {
    match (number, level) {
        (Some(number), _) => number.to_string(),
        (None, "SOL_UDP") => format!("libc::{name}"),
        _ => format!("linux_raw_sys::net::{name} as i32"),
    }
}

/// The option as an expression for the table.
fn expression(index: usize, option: &Documented) -> Result<String, String> {
    let Documented {
        name, level, facts, ..
    } = option;
    let unset = match &facts.unset {
        None => format!("Unset::Asked {{ answer: Answer::{:?} }}", option.answer()?),
        Some(Unset::Value(value)) => format!("Unset::Value({value:?})"),
        Some(Unset::Sysctl(path)) => format!("Unset::Sysctl({path:?})"),
        Some(Unset::Nothing) => "Unset::Nothing".to_owned(),
        Some(Unset::Unknown) => "Unset::Unknown".to_owned(),
    };
    let hidden = match facts.hidden {
        None => "None".to_owned(),
        Some(Hidden::Always) => "Some(Hidden::Always)".to_owned(),
        Some(Hidden::Before(major, minor)) => format!("Some(Hidden::Before({major}, {minor}))"),
    };
    let sockets = option.sockets.iter();
    let sockets: Vec<_> = sockets
        .map(|sockets| format!("Sockets::{sockets:?}"))
        .collect();
    let also = facts.also.iter();
    let also: Vec<_> = also
        .map(|(name, given)| format!("({name:?}, {})", number(name, level, *given)))
        .collect();
    let fields = [
        ("index", index.to_string()),
        ("name", format!("{name:?}")),
        ("level", format!("{level:?}")),
        ("level_number", format!("libc::{level}")),
        ("number", number(name, level, facts.number)),
        ("also", format!("&[{}]", also.join(", "))),
        ("kind", format!("Kind::{:?}", option.kind()?)),
        ("value", format!("{:?}", option.plain_value())),
        ("text", format!("&{:?}", option.sentences())),
        ("sockets", format!("&[{}]", sockets.join(", "))),
        ("is_always_shown", option.is_always_shown.to_string()),
        ("needs", format!("{:?}", facts.needs)),
        ("is_set_by_bind", facts.is_set_by_bind.to_string()),
        (
            "is_unknown_if_connected",
            facts.is_unknown_if_connected.to_string(),
        ),
        (
            "is_changed_by_kernel",
            facts.is_changed_by_kernel.to_string(),
        ),
        ("is_traffic_class", facts.is_traffic_class.to_string()),
        ("hidden", hidden),
        ("flags", format!("&{:?}", facts.flags)),
        ("is_on_mptcp_socket", facts.is_on_mptcp_socket.to_string()),
        ("unset", unset),
    ];
    let mut expression = "Info {".to_owned();
    for (field, value) in fields {
        let _ = write!(expression, " {field}: {value},");
    }
    Ok(expression + " },\n")
}

fn main() -> Result<(), String> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |name: &str| {
        println!("cargo::rerun-if-changed=../../{name}");
        fs::read_to_string(project.join(name)).map_err(|err| format!("{name}: {err}"))
    };
    let module = read("knetstat.rs")?;
    let version = module.lines().find_map(|line| {
        line.strip_prefix("const VERSION: &str = \"")?
            .strip_suffix("\";")
    });
    let version = version.ok_or("knetstat.rs has no version")?;
    println!("cargo::rustc-env=KNETSTAT_VERSION={version}");

    let mut options = knetstat_man::options(&read("sockopts.rs")?, &read("man/options.txt")?)?;
    options.sort_by_key(|option| LEVELS.iter().position(|(level, _)| *level == option.level));
    let expressions = options.iter().enumerate();
    let expressions: String = expressions
        .map(|(index, option)| expression(index, option))
        .collect::<Result<_, _>>()?;
    let table = format!("[\n{expressions}]\n");
    let out = env::var("OUT_DIR").map_err(|err| err.to_string())?;
    fs::write(Path::new(&out).join("options.rs"), table).map_err(|err| err.to_string())
}
