// SPDX-License-Identifier: GPL-2.0

//! The files of the command lie in layers: a file imports from its own layer and from those below,
//! and no two files import each other, not even by way of others.
//!
//! Imports are `use` items, and paths that begin with `crate`, `super` or `self`. Code under
//! `#[cfg(test)]` may import anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, Macro, UseTree};

/// The layers, the lowest first: the folders of `tools/knetstat/src`.
const LAYERS: [&str; 5] = ["source", "model", "print", "commands", "cli"];

/// The crate's root, which declares the modules and is in no layer.
const ROOT: &str = "lib.rs";

/// The names of files, with the files that each imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/knetstat/src")
}

/// The text of each file, by its path below `directory`.
fn read(directory: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    let entries = fs::read_dir(directory).unwrap_or_else(|err| panic!("{directory:?}: {err}"));
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = format!("{prefix}{}", name.expect("a name"));
        if path.is_dir() {
            read(&path, &format!("{name}/"), files);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap_or_else(|err| panic!("{name}: {err}"));
            files.insert(name, text);
        }
    }
}

/// The path of a file's module: `model/row.rs` is `model::row`, `cli/mod.rs` is `cli`.
fn module_of(file: &str) -> Vec<String> {
    let stem = file.strip_suffix(".rs").expect("a source file");
    let mut path: Vec<_> = stem.split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod") || path == ["lib"] {
        path.pop();
    }
    path
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|ident| ident == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// A visitor that collects the paths a module imports, from the crate's root on.
struct Collector {
    module: Vec<String>,
    paths: Vec<Vec<String>>,
}

impl Collector {
    /// Adds a path as it is written, if it is one of this crate.
    fn add(&mut self, written: &[String]) {
        let mut path = match written.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.module.clone(),
            _ => return,
        };
        for word in written {
            match word.as_str() {
                "crate" | "self" => {}
                "super" => _ = path.pop(),
                word => path.push(word.to_owned()),
            }
        }
        self.paths.push(path);
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &with(&path.ident)),
            UseTree::Name(name) => self.add(&with(&name.ident)),
            UseTree::Rename(rename) => self.add(&with(&rename.ident)),
            UseTree::Glob(_) => self.add(before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(tree, before);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.add(&words.collect::<Vec<_>>());
        visit::visit_path(self, path);
    }

    /// The arguments of a macro are not parsed: their tokens are words here.
    fn visit_macro(&mut self, item: &'ast Macro) {
        self.visit_path(&item.path);
        let tokens = item.tokens.to_string().replace("::", " :: ");
        let words: Vec<_> = tokens
            .split(|c: char| c.is_whitespace() || "(){}[],;&!".contains(c))
            .filter(|word| !word.is_empty())
            .collect();
        for (at, word) in words.iter().enumerate() {
            let begins = at == 0 || words[at - 1] != "::";
            if begins && ["crate", "super", "self"].contains(word) {
                let mut path = vec![(*word).to_owned()];
                let mut rest = &words[at + 1..];
                while let ["::", next, more @ ..] = rest {
                    path.push((*next).to_owned());
                    rest = more;
                }
                self.add(&path);
            }
        }
    }
}

/// The file that a path leads to: the longest beginning that is a module.
fn file_of(path: &[String], files: &BTreeMap<String, String>) -> String {
    let found = (1..=path.len()).rev().find_map(|len| {
        let begin = path[..len].join("/");
        [format!("{begin}.rs"), format!("{begin}/mod.rs")]
            .into_iter()
            .find(|name| files.contains_key(name))
    });
    found.unwrap_or_else(|| ROOT.to_owned())
}

fn imports(files: &BTreeMap<String, String>) -> Imports {
    let of_file = |(name, text): (&String, &String)| {
        let parsed = syn::parse_file(text).unwrap_or_else(|err| panic!("{name}: {err}"));
        let mut collector = Collector {
            module: module_of(name),
            paths: Vec::new(),
        };
        collector.visit_file(&parsed);
        let mut found: BTreeSet<_> = collector
            .paths
            .iter()
            .map(|path| file_of(path, files))
            .collect();
        found.remove(name);
        (name.clone(), found)
    };
    files.iter().map(of_file).collect()
}

fn layer(file: &str) -> Option<usize> {
    let folder = file.split_once('/').map(|(folder, _)| folder)?;
    let found = LAYERS.iter().position(|layer| *layer == folder);
    Some(found.unwrap_or_else(|| panic!("{file}: no layer is called {folder}")))
}

/// The forbidden imports, each with the two files.
fn mistakes(imports: &Imports) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (file, imported) in imports {
        for other in imported {
            match (layer(file), layer(other)) {
                (Some(here), Some(there)) if here < there => {
                    mistakes.push(format!("{file} imports {other}, of a higher layer"));
                }
                (Some(_), None) => mistakes.push(format!("{file} imports {other}, of no layer")),
                _ => {}
            }
            if leads_to(other, file, imports, &mut BTreeSet::new()) {
                mistakes.push(format!("{file} and {other} import each other"));
            }
        }
    }
    mistakes
}

fn leads_to<'a>(
    from: &'a str,
    to: &str,
    imports: &'a Imports,
    seen: &mut BTreeSet<&'a str>,
) -> bool {
    from == to
        || (seen.insert(from)
            && imports.get(from).is_some_and(|imported| {
                imported
                    .iter()
                    .any(|next| leads_to(next, to, imports, seen))
            }))
}

#[test]
fn each_file_imports_from_its_layer_and_below() {
    let mut files = BTreeMap::new();
    read(&sources(), "", &mut files);
    let imports = imports(&files);
    let count: usize = imports.values().map(BTreeSet::len).sum();
    assert!(files.len() > 20 && count > 60, "only {count} imports");
    for name in LAYERS {
        let is_of_it = |file: &&String| file.starts_with(&format!("{name}/"));
        assert!(files.keys().any(|file| is_of_it(&file)), "{name} is empty");
    }
    let mistakes = mistakes(&imports);
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

/// The test above can fail, whatever way an import is written.
#[test]
fn mistakes_are_found() {
    let found = |texts: &[(&str, &str)]| {
        let files = texts
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        mistakes(&imports(&files.collect()))
    };
    let upwards = ["model/row.rs imports print/json.rs, of a higher layer"];
    for text in [
        "use crate::print::json::Json;",
        "use crate::{print::{json::{self, Json}}, model::row};",
        "use crate::print::json as other;",
        "use crate::print::json::*;",
        "pub use super::super::print::json::Json;",
        "fn f() { use crate::print::json::Json; }",
        "fn f() { crate::print::json::print(); }",
        "fn f(json: &crate::print::json::Json) {}",
        "fn f() { println!(\"{}\", crate::print::json::text()); }",
        "fn f() { assert_eq!(super::super::print::json::N,1); }",
        "mod inner { use super::super::super::print::json::Json; }",
    ] {
        let files = [("model/row.rs", text), ("print/json.rs", "")];
        assert_eq!(found(&files), upwards, "{text}");
    }
    let cycle = [
        ("model/a.rs", "use crate::model::b::B;"),
        ("model/b.rs", "use super::c::C;"),
        ("model/c.rs", "use crate::model::a::{self, A};"),
    ];
    assert_eq!(
        found(&cycle),
        [
            "model/a.rs and model/b.rs import each other",
            "model/b.rs and model/c.rs import each other",
            "model/c.rs and model/a.rs import each other",
        ]
    );
    let tests = "#[cfg(test)] mod tests { use crate::print::json::Json; }";
    assert!(found(&[("model/row.rs", tests), ("print/json.rs", "")]).is_empty());
    let root = [("model/row.rs", "use crate::VERSION;"), (ROOT, "")];
    assert_eq!(found(&root), ["model/row.rs imports lib.rs, of no layer"]);
}
