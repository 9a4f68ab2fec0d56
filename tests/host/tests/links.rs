// SPDX-License-Identifier: GPL-2.0

//! The pages of the project: a link leads to a file and a heading that exist. The map in
//! CONTRIBUTING.md has every folder and every source file of the top level, and its stars mark the
//! files that contain `unsafe`.

mod common;

use common::{project, read};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The pages that people read, by their paths in the project.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "rust"] {
        for entry in fs::read_dir(project().join(folder)).expect(folder) {
            let name = entry.expect("an entry").file_name();
            let path = Path::new(folder).join(name);
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    assert!(pages.len() > 8, "only {pages:?}");
    pages
}

/// The text without blocks of code.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect()
}

/// The anchors of the headings, as the sites that show Markdown make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let text = prose(text);
    let titles = text.lines().filter_map(|line| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.trim())
    });
    titles
        .map(|title| {
            let title = title.to_lowercase().replace(' ', "-");
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || "-_".contains(*c))
                .collect()
        })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0;
    for page in pages() {
        let text = read(project().join(&page));
        for target in prose(&text).split("](").skip(1) {
            let (target, _) = target.split_once(')').expect("the end of a link");
            if target.contains("://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match path {
                "" => project().join(&page),
                path => project().join(page.parent().expect("a folder")).join(path),
            };
            assert!(file.exists(), "{}: {target} does not exist", page.display());
            assert!(
                anchor.is_empty() || anchors(&read(&file)).contains(anchor),
                "{}: {target} is no heading there",
                page.display()
            );
            count += 1;
        }
    }
    assert!(count > 20, "only {count} links");
}

#[test]
fn the_map_has_the_top_level() {
    let text = read("CONTRIBUTING.md");
    let (_, map) = text.split_once("\n## The map\n").expect("the map");
    let (map, _) = map.split_once("\n## ").expect("the next section");
    for entry in fs::read_dir(project()).expect("the project") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        let is_folder = entry.file_type().expect("a type").is_dir();
        // Files of git or of a build.
        if [".git", "target", "vendor"].contains(&name.as_str()) || name.starts_with(".tmp") {
            continue;
        }
        if is_folder || name.ends_with(".rs") {
            let name = if is_folder { name + "/" } else { name };
            assert!(map.contains(&name), "the map lacks {name}");
        }
    }
}

/// Where a row of the table names a file and something in it, both exist.
#[test]
fn the_table_names_what_exists() {
    let text = read("CONTRIBUTING.md");
    let (_, table) = text
        .split_once("\n## Where to do what\n")
        .expect("the table");
    let (table, _) = table.split_once("\n### ").expect("the next section");
    let mut count = 0;
    for row in table.lines().filter(|line| line.starts_with('|')) {
        let spans: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        let is_path = |span: &str| !span.contains(' ') && span.contains(['/', '.']);
        // A path is one from the top level, from the command's sources, or beside the one before it.
        let mut files: Vec<PathBuf> = Vec::new();
        for span in spans.iter().filter(|span| is_path(span)) {
            let folders = ["", "tools/knetstat/src"].map(PathBuf::from).into_iter();
            let beside = files
                .last()
                .and_then(|file| file.parent())
                .map(Path::to_owned);
            // In the name of a file to add, a word in capitals stands for the name.
            let span = span.replace("NAME", "debian");
            let found = folders.chain(beside).map(|folder| folder.join(&span));
            let mut found =
                found.filter(|path| path.is_absolute() || project().join(path).exists());
            files.push(
                found
                    .next()
                    .unwrap_or_else(|| panic!("{span} does not exist: {row}")),
            );
        }
        files.retain(|file| project().join(file).is_file());
        let is_name = |span: &str| {
            span.contains('_')
                || span.contains("::")
                || span.starts_with(|c: char| c.is_uppercase())
        };
        for span in spans.iter().filter(|span| !is_path(span) && is_name(span)) {
            let name = span.rsplit("::").next().expect("a name");
            let has_it = |file: &PathBuf| read(project().join(file)).contains(name);
            let is_placeholder = ["NAME", "ID"].contains(span);
            assert!(
                is_placeholder || files.iter().any(has_it),
                "no {span} there: {row}"
            );
            count += 1;
        }
    }
    assert!(count > 8, "only {count} names");
}

#[test]
fn reports_of_vulnerabilities_go_to_the_maintainers() {
    let Ok(control) = fs::read_to_string(project().join("debian/control")) else {
        eprintln!("skipped: there is no debian/control");
        return;
    };
    let mut lines = control.lines();
    let maintainer = lines.find_map(|line| line.strip_prefix("Maintainer: "));
    let (_, address) = maintainer
        .and_then(|maintainer| maintainer.split_once('<'))
        .expect("an address");
    let address = address.trim_end_matches('>');
    let page = read("SECURITY.md");
    assert!(
        page.contains(address),
        "SECURITY.md lacks {address}, the Maintainer of debian/control"
    );
}

/// The folders of the module's Rust files.
const MODULE: [&str; 6] = [
    "",
    "abstractions",
    "bindings",
    "rust",
    "sockets",
    "sockopts",
];

/// The Rust files of the module below a folder, by their paths in the project.
fn rust_files(folder: &Path, is_deep: bool, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(project().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = folder.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            if is_deep {
                rust_files(&path, true, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The files of the module that contain `unsafe` in code, not only in a comment.
fn unsafe_files() -> BTreeSet<PathBuf> {
    let mut files = Vec::new();
    for folder in MODULE {
        rust_files(Path::new(folder), !folder.is_empty(), &mut files);
    }
    assert!(files.len() > 25, "only {files:?}");
    files.retain(|path| {
        read(project().join(path)).lines().any(|line| {
            let (code, _) = line.split_once("//").unwrap_or((line, ""));
            let mut words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.any(|word| word == "unsafe")
        })
    });
    files.into_iter().collect()
}

/// The files and folders of the module that a text names, each with whether a star follows. A name
/// is a path from the top level, or from the folder that begins the line or an earlier one.
fn starred(text: &str) -> Vec<(PathBuf, bool)> {
    let mut named = Vec::new();
    let mut folder = PathBuf::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        for (i, word) in words.iter().enumerate() {
            let name = word.trim_matches(|c: char| "`,:;.()".contains(c));
            if !name.ends_with('/') && !name.ends_with(".rs") {
                continue;
            }
            let begins = i == 0 && line.starts_with(*word);
            let inner = folder.join(name);
            let path = match !begins && project().join(&inner).exists() {
                true => inner,
                false => PathBuf::from(name),
            };
            let top = path.iter().next().and_then(|part| part.to_str());
            let is_file_of_top = path.parent() == Some(Path::new("")) && !name.ends_with('/');
            let is_module = is_file_of_top || top.is_some_and(|top| MODULE.contains(&top));
            if begins {
                folder = match name.ends_with('/') {
                    true => path.clone(),
                    false => PathBuf::new(),
                };
            }
            if is_module && project().join(&path).exists() {
                let has_star = words.get(i + 1).is_some_and(|next| next.starts_with('*'));
                named.push((path, has_star));
            }
        }
    }
    named
}

/// A file has a star, or its folder has, if it contains `unsafe`. A folder has a star if a file in it
/// does, unless the text names such files one by one.
fn check_stars(page: &str, text: &str) -> Vec<(PathBuf, bool)> {
    let named = starred(text);
    assert!(named.len() > 10, "{page}: only {named:?}");
    let has_star = |path: &Path| {
        named
            .iter()
            .any(|(other, star)| *star && path.starts_with(other))
    };
    let unsafe_files = unsafe_files();
    for (path, _) in &named {
        let mut inside = unsafe_files.iter().filter(|file| file.starts_with(path));
        if has_star(path) {
            assert!(
                inside.next().is_some(),
                "{page}: {} has a star, but does not contain `unsafe`",
                path.display()
            );
        } else if let Some(file) = inside.find(|file| !has_star(file)) {
            panic!(
                "{page}: {} contains `unsafe`, but has no star",
                file.display()
            );
        }
    }
    named
}

#[test]
fn stars_mark_unsafe_files() {
    let text = read("CONTRIBUTING.md");
    let (_, map) = text.split_once("\n## The map\n").expect("the map");
    let map = map.split("\n```\n").nth(1).expect("the block");
    let named = check_stars("CONTRIBUTING.md", map);
    for file in unsafe_files() {
        assert!(
            named.iter().any(|(path, _)| file.starts_with(path)),
            "CONTRIBUTING.md: the map lacks {}",
            file.display()
        );
    }

    let text = read("docs/design.md");
    let (_, flow) = text
        .split_once("\n## The flow of data\n")
        .expect("the flow");
    let (flow, _) = flow.split_once("\n## ").expect("the next section");
    check_stars("docs/design.md", flow);
}
