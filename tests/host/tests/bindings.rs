// SPDX-License-Identifier: GPL-2.0

//! The functions that `bindings/mod.rs` declares by hand are those of `bindings/bindings.h`, with
//! the same arguments and results. `bindings/layout.c` lists the fields and flags of the table of
//! options.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A function: its result, and its arguments with their names.
type Signature = (String, Vec<(String, String)>);

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../bindings")
        .join(file);
    fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

/// `const struct sock *sk` as Rust has it: `*const sock`, `sk`.
fn of_c(text: &str) -> (String, String) {
    let end = text
        .trim_end()
        .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .map_or(0, |i| i + 1);
    let (type_, name) = text.split_at(end);
    let is_const = type_.starts_with("const ");
    let is_pointer = type_.contains('*');
    let base = type_
        .trim_start_matches("const ")
        .trim_start_matches("struct ")
        .trim_start_matches("enum ")
        .trim_matches(|c: char| c == '*' || c.is_whitespace());
    let base = match base {
        "int" => "c_int",
        "char" => "c_char",
        "void" if is_pointer => "c_void",
        "size_t" => "usize",
        other => other,
    };
    let type_ = match (is_pointer, is_const) {
        (true, true) => format!("*const {base}"),
        (true, false) => format!("*mut {base}"),
        (false, _) => base.to_owned(),
    };
    (type_, name.trim().to_owned())
}

/// The functions of the header.
fn declared_in_c() -> BTreeMap<String, Signature> {
    let text = read("bindings.h");
    let mut functions = BTreeMap::new();
    for line in text.lines().filter(|line| line.ends_with(");")) {
        let (head, arguments) = line
            .trim_end_matches(");")
            .split_once('(')
            .expect("a bracket");
        let (result, name) = of_c(head);
        let result = if result == "void" {
            String::new()
        } else {
            result
        };
        let arguments = match arguments {
            "void" => Vec::new(),
            _ => arguments.split(", ").map(of_c).collect(),
        };
        functions.insert(name, (result, arguments));
    }
    functions
}

/// The functions of that prefix that Rust declares.
fn declared_in_rust() -> BTreeMap<String, Signature> {
    let text = read("mod.rs");
    let mut functions = BTreeMap::new();
    for part in text.split("pub(crate) fn knetstat_").skip(1) {
        let declaration = &part[..part.find(';').expect("the end of a declaration")];
        let (name, rest) = declaration.split_once('(').expect("a bracket");
        let (arguments, result) = rest.split_once(')').expect("a bracket");
        let arguments = arguments
            .split(',')
            .filter_map(|argument| argument.trim().split_once(": "))
            .map(|(name, type_)| (type_.to_owned(), name.to_owned()))
            .collect();
        let result = result.trim().trim_start_matches("-> ").to_owned();
        functions.insert(format!("knetstat_{name}"), (result, arguments));
    }
    functions
}

#[test]
fn functions_are_declared_alike_in_c_and_rust() {
    let (c, rust) = (declared_in_c(), declared_in_rust());
    assert!(c.len() > 20, "only {} functions in bindings.h", c.len());
    let names: Vec<_> = c.keys().collect();
    assert_eq!(names, rust.keys().collect::<Vec<_>>());
    for (name, signature) in &c {
        assert_eq!(signature, &rust[name], "{name}");
    }
}

/// The arguments of the macros in `layout.c`: `TYPE.FIELD`, or the name of a constant.
fn listed_in_layout() -> BTreeSet<String> {
    let text = read("layout.c");
    let (_, list) = text
        .split_once("\nvoid knetstat_layout(void)\n{")
        .expect("the list");
    let mut listed = BTreeSet::new();
    for line in list.lines().map(str::trim) {
        let Some((head, arguments)) = line.split_once('(') else {
            continue;
        };
        if !is_constant(head) {
            continue;
        }
        if head == "MARK" {
            // "address TYPE FIELD", ...
            listed.extend(arguments.split('"').nth(1).and_then(|text| {
                let mut words = text.split(' ').skip(1);
                Some(format!("{}.{}", words.next()?, words.next()?))
            }));
            continue;
        }
        let arguments = arguments.trim_end_matches(");");
        let mut arguments = arguments.split(", ");
        let first = arguments.next().unwrap_or_default();
        listed.insert(match arguments.next() {
            Some(field) => format!("{first}.{field}"),
            None => first.to_owned(),
        });
    }
    listed
}

/// Whether a name is in capitals, as constants are.
fn is_constant(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Without this test, only the compiler reports it, and names neither `layout.c` nor what to add.
#[test]
fn the_layout_lists_what_the_table_reads() {
    let listed = listed_in_layout();
    let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sockopts.rs"))
        .expect("sockopts.rs");
    let mut missing = Vec::new();
    let mut count = 0;
    for entry in knetstat_man::table(&table).expect("the table") {
        for field in entry.fields.split(" or ") {
            let (field, _) = field.split_once(" unless ").unwrap_or((field, ""));
            count += 1;
            if listed.contains(field) {
                continue;
            }
            missing.push(if is_constant(field) {
                format!("CONSTANT({field}); for {}", entry.name)
            } else {
                let (type_, field) = field.split_once('.').expect(field);
                format!(
                    "INTEGER({type_}, {field}); or another macro, for {}",
                    entry.name
                )
            });
        }
    }
    assert!(count > 100, "only {count} fields");
    assert!(
        missing.is_empty(),
        "bindings/layout.c lacks what sockopts.rs reads; add:\n{}",
        missing.join("\n")
    );
}

/// What `layout.c` lists and nothing reads is left from an earlier time. A build leaves
/// `bindings/layout.rs`, which has every name of the list.
#[test]
fn the_sources_read_what_the_layout_lists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources = String::new();
    let mut folders = vec![root.join("abstractions"), root.join("sockets")];
    folders.extend([root.join("sockopts"), root.join("bindings")]);
    let mut files: Vec<_> = fs::read_dir(&root)
        .expect("the root")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.retain(|path| !path.ends_with("bindings/layout.rs"));
    assert!(files.len() > 20, "only {} files", files.len());
    for file in files {
        sources += &fs::read_to_string(file).expect("a source");
    }
    let is_generated = sources.contains("// Made from layout.c");
    assert!(!is_generated, "bindings/layout.rs was read");
    let words: BTreeSet<_> = sources
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .collect();
    let listed = listed_in_layout();
    assert!(listed.len() > 100, "only {} entries", listed.len());
    let unread: Vec<_> = listed
        .iter()
        .filter(|entry| !entry.split('.').all(|word| words.contains(word)))
        .collect();
    assert!(unread.is_empty(), "nothing reads {unread:?}");
}
