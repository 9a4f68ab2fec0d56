// SPDX-License-Identifier: GPL-2.0

//! The pages of the project: a link leads to a file and a heading that exist, and the map in
//! CONTRIBUTING.md has every folder and every source file of the top level.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

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
        let text = read(&project().join(&page));
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
    let text = read(&project().join("CONTRIBUTING.md"));
    let (_, map) = text.split_once("\n## The map\n").expect("the map");
    let (map, _) = map.split_once("\n## ").expect("the next section");
    for entry in fs::read_dir(project()).expect("the project") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        let is_folder = entry.file_type().expect("a type").is_dir();
        // What git or a build has made.
        if [".git", "target", "vendor"].contains(&name.as_str()) || name.starts_with(".tmp") {
            continue;
        }
        if is_folder || name.ends_with(".rs") {
            let name = if is_folder { name + "/" } else { name };
            assert!(map.contains(&name), "the map lacks {name}");
        }
    }
}
