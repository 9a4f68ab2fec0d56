// SPDX-License-Identifier: GPL-2.0

//! The parts of a module that the module loader and modinfo(8) read.

use crate::elf::Module;
use crate::{Claim, Outcome, Subject};
use anyhow::{ensure, Context, Result};
use std::collections::BTreeSet;
use std::fmt::Debug;

pub const CLAIMS: &[(&str, Claim)] = &[
    ("sections::each_once", each_once),
    ("sections::as_the_c_module", as_the_c_module),
    ("sections::none_of_rust", none_of_rust),
    ("modinfo::one_section", one_modinfo),
    ("modinfo::declared", declared),
    ("modinfo::version", version),
    ("modinfo::as_the_c_module", modinfo_as_the_c_module),
    ("symbols::resolved", resolved),
    ("symbols::versions", versions),
    ("symbols::no_clash", no_clash),
    ("btf", btf),
];

/// Sections that depend on a module's source, not on its kernel.
const OF_THE_SOURCE: &[&str] = &[
    // Parameters, strings, data, unlikely code.
    "__param",
    ".rodata",
    ".rodata.str",
    ".rodata.str1.1",
    ".rodata.str1.8",
    ".data",
    ".data..read_mostly",
    ".data..ro_after_init",
    ".bss",
    ".text.unlikely",
    // Whether lockdep has warned of rcu_dereference() here already.
    ".data..unlikely",
    ".init.data",
    ".exit.data",
    // BUG(), atomic operations, static calls and keys, instructions that depend on the CPU, calls
    // that depend on the hypervisor.
    "__bug_table",
    ".smp_locks",
    ".static_call_sites",
    "__jump_table",
    ".altinstructions",
    ".altinstr_replacement",
    ".parainstructions",
    "__ex_table",
    // Indirect calls, and ENDBR64 that can be removed.
    ".retpoline_sites",
    ".ibt_endbr_seal",
];

/// Fails if there are any of these names, and lists the first few.
fn ensure_none<T: Debug>(what: &str, names: &[T]) -> Result<()> {
    let few = &names[..names.len().min(5)];
    ensure!(
        names.is_empty(),
        "{what}: {}, the first {few:?}",
        names.len()
    );
    Ok(())
}

fn loaded(module: &Module) -> impl Iterator<Item = &str> {
    let sections = module.sections.iter().filter(|section| section.is_loaded);
    sections.map(|section| section.name.as_str())
}

/// No name is used twice: the module loader looks sections up by name, and takes the first.
fn each_once(subject: &Subject) -> Result<Outcome> {
    for module in [&subject.c, &subject.ours] {
        let mut seen = BTreeSet::new();
        let twice: Vec<_> = loaded(module).filter(|name| !seen.insert(*name)).collect();
        ensure_none(&format!("{}: more than one section", module.name()), &twice)?;
    }
    Ok(Outcome::Holds)
}

/// The sections that the build adds to every module are there: objtool's tables, notes, versions.
fn as_the_c_module(subject: &Subject) -> Result<Outcome> {
    let ours: BTreeSet<_> = loaded(&subject.ours).collect();
    let missing: Vec<_> = loaded(&subject.c)
        .filter(|name| !ours.contains(name) && !OF_THE_SOURCE.contains(name))
        .collect();
    ensure_none("sections that only the C module has", &missing)?;
    Ok(Outcome::Holds)
}

/// There is no section that the kernel does not know: one for each function, tables for unwinding,
/// rustc's own.
fn none_of_rust(subject: &Subject) -> Result<Outcome> {
    let c: BTreeSet<_> = subject
        .c
        .sections
        .iter()
        .map(|section| &*section.name)
        .collect();
    let foreign: Vec<_> = subject
        .ours
        .sections
        .iter()
        .map(|section| &*section.name)
        .filter(|name| !c.contains(name))
        // A section of relocations is named for the section that it belongs to.
        .filter(|name| !OF_THE_SOURCE.contains(&name.strip_prefix(".rela").unwrap_or(name)))
        .collect();
    ensure_none("sections that no C module has", &foreign)?;
    Ok(Outcome::Holds)
}

/// All entries, in order.
fn modinfo(module: &Module) -> Result<Vec<(String, String)>> {
    let section = module.section(".modinfo").context("no .modinfo")?;
    let text = std::str::from_utf8(&section.bytes)?;
    text.split('\0')
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let (key, value) = entry.split_once('=').context("no =")?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect()
}

fn values<'a>(modinfo: &'a [(String, String)], key: &str) -> Vec<&'a str> {
    let entries = modinfo.iter().filter(|entry| entry.0 == key);
    entries.map(|entry| entry.1.as_str()).collect()
}

/// There is one section `.modinfo`: the module loader would ignore a second one, and with it the
/// licence, for example.
fn one_modinfo(subject: &Subject) -> Result<Outcome> {
    let sections = subject.ours.sections.iter();
    let count = sections
        .filter(|section| section.name == ".modinfo")
        .count();
    ensure!(count == 1, "there are {count} sections .modinfo");
    Ok(Outcome::Holds)
}

const SOURCE: &str = include_str!("../../../knetstat.rs");

/// The version is `VERSION` of knetstat.rs.
fn version(subject: &Subject) -> Result<Outcome> {
    let (_, after) = SOURCE
        .split_once("\nconst VERSION: &str = \"")
        .context("no VERSION")?;
    let (wanted, _) = after.split_once('"').context("no end of VERSION")?;
    let modinfo = modinfo(&subject.ours)?;
    let found = values(&modinfo, "version");
    ensure!(found == [wanted], "version is {found:?}, not {wanted:?}");
    Ok(Outcome::Holds)
}

/// The entries of `module!` in knetstat.rs are there.
fn declared(subject: &Subject) -> Result<Outcome> {
    let (_, after) = SOURCE.split_once("module! {").context("no module!")?;
    let (body, _) = after.split_once("\n}").context("no end of module!")?;
    let modinfo = modinfo(&subject.ours)?;
    let mut keys = BTreeSet::new();
    for line in body.lines() {
        let Some((key, value)) = line.trim().split_once(": ") else {
            continue;
        };
        let key = match key {
            "type" => continue,
            "authors" => "author",
            _ => key,
        };
        // Every second part is in quotes.
        let wanted: Vec<_> = value.split('"').skip(1).step_by(2).collect();
        let found = values(&modinfo, key);
        ensure!(found == wanted, "{key} is {found:?}, not {wanted:?}");
        keys.insert(key);
    }
    for key in ["name", "author", "description", "license"] {
        ensure!(keys.contains(key), "module! does not say {key}");
    }
    Ok(Outcome::Holds)
}

/// The entries that the build adds to every module are those of the C module.
fn modinfo_as_the_c_module(subject: &Subject) -> Result<Outcome> {
    let (ours, c) = (modinfo(&subject.ours)?, modinfo(&subject.c)?);
    ensure!(
        !values(&c, "vermagic").is_empty(),
        "the C module has no vermagic"
    );
    for (key, value) in &c {
        let found = values(&ours, key);
        match key.as_str() {
            "parm" | "parmtype" => (),
            // These differ from module to module.
            "name" | "license" | "description" | "srcversion" => {
                ensure!(found.len() == 1, "{key} is {found:?}");
            }
            _ => ensure!(
                found == [value],
                "{key} is {found:?}, in the C module {value:?}"
            ),
        }
    }
    Ok(Outcome::Holds)
}

/// The kernel exports all symbols that the module needs.
fn resolved(subject: &Subject) -> Result<Outcome> {
    ensure!(
        !subject.ours.undefined.is_empty(),
        "nothing is taken from the kernel"
    );
    let undefined = subject.ours.undefined.iter();
    let missing: Vec<_> = undefined
        .filter(|name| subject.kernel.export(name).is_none())
        .collect();
    ensure_none("names that the kernel does not export", &missing)?;
    Ok(Outcome::Holds)
}

/// The CRCs and names in `__versions`, `struct modversion_info`: 8 bytes with the CRC, and 56 with the name. Ubuntu's 6.8
/// has entries of any length instead: 4 bytes with the length, or 0 in the last one, 4 with the CRC, and the name.
fn versions_in(section: &[u8]) -> Result<Vec<(u64, &str)>> {
    let word = |at: usize| -> Result<u32> {
        let bytes = section.get(at..at + 4).context("__versions is cut")?;
        Ok(u32::from_le_bytes(bytes.try_into()?))
    };
    // The upper half of an unsigned long with a CRC is 0.
    let of_any_length = word(4)? != 0;
    let mut entries = Vec::new();
    let mut at = 0;
    while at < section.len() {
        let (len, crc) = match of_any_length {
            true => (word(at)? as usize, word(at + 4)?),
            false => (64, word(at)?),
        };
        if len == 0 {
            break;
        }
        let name = section.get(at + 8..at + len).context("__versions is cut")?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        entries.push((crc.into(), std::str::from_utf8(name)?));
        at += len;
    }
    Ok(entries)
}

/// CONFIG_MODVERSIONS: the symbols that the module needs have the types that the kernel has.
fn versions(subject: &Subject) -> Result<Outcome> {
    if subject.c.section("__versions").is_none() {
        return Ok(Outcome::NotHere("the kernel has no versions of symbols"));
    }
    for module in [&subject.c, &subject.ours] {
        let section = module.section("__versions").context("no __versions")?;
        let entries = versions_in(&section.bytes)?;
        for name in module
            .undefined
            .iter()
            .map(String::as_str)
            .chain(["module_layout"])
        {
            let found: Vec<_> = entries.iter().filter(|entry| entry.1 == name).collect();
            let wanted = subject.kernel.export(name);
            ensure!(
                found.len() == 1 && Some(found[0].0) == wanted,
                "{}: {name} has the versions {found:x?}, the kernel has {wanted:x?}",
                module.name()
            );
        }
    }
    Ok(Outcome::Holds)
}

/// The module exports nothing, and none of its global names is exported by the kernel.
fn no_clash(subject: &Subject) -> Result<Outcome> {
    let exporting: Vec<_> = loaded(&subject.ours)
        .filter(|name| name.starts_with("__ksymtab"))
        .collect();
    ensure_none("tables of exports", &exporting)?;
    let globals = subject.ours.globals.iter();
    let clashing: Vec<_> = globals
        .filter(|name| subject.kernel.export(name).is_some())
        .collect();
    ensure_none("global names that the kernel exports as well", &clashing)?;
    Ok(Outcome::Holds)
}

/// CONFIG_DEBUG_INFO_BTF_MODULES, if the headers package has the files that it needs.
fn btf(subject: &Subject) -> Result<Outcome> {
    let has = |module: &Module| {
        module
            .section(".BTF")
            .is_some_and(|btf| !btf.bytes.is_empty())
    };
    if !has(&subject.c) {
        return Ok(Outcome::NotHere("the C module has no BTF"));
    }
    ensure!(has(&subject.ours), "no .BTF");
    Ok(Outcome::Holds)
}
