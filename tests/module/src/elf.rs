// SPDX-License-Identifier: GPL-2.0

//! A module's ELF file.

use anyhow::{anyhow, ensure, Context, Result};
use object::{
    Architecture, Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionFlags,
    SectionIndex, SymbolKind,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A place in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub section: usize,
    pub offset: u64,
}

/// The target of a relocation, and its addend.
#[derive(Clone, Debug)]
pub struct Target {
    /// The name of a symbol; empty for a section.
    pub symbol: String,
    /// The place of the target; `None` if another module or the kernel has it.
    pub place: Option<Place>,
    pub addend: i64,
}

impl Target {
    /// The place that is referred to, if the reference is `before` bytes ahead of the address to
    /// which the processor adds it.
    pub fn resolve(&self, before: i64) -> Option<Place> {
        self.place.map(|place| Place {
            offset: place
                .offset
                .wrapping_add_signed(self.addend)
                .wrapping_add_signed(before),
            ..place
        })
    }
}

/// A section.
pub struct Section {
    pub index: usize,
    pub name: String,
    pub bytes: Vec<u8>,
    /// Whether it is in memory while the module is loaded.
    pub is_loaded: bool,
    pub is_code: bool,
    /// The relocations, by offset.
    pub relocations: BTreeMap<u64, Target>,
}

/// A function of the symbol table.
pub struct Function {
    pub name: String,
    pub place: Place,
    pub size: u64,
}

/// A module.
pub struct Module {
    path: PathBuf,
    pub architecture: Architecture,
    pub sections: Vec<Section>,
    pub functions: Vec<Function>,
    /// The symbols that the kernel or other modules must have.
    pub undefined: Vec<String>,
    /// The global symbols that it defines.
    pub globals: Vec<String>,
}

impl Module {
    /// Reads a file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let context = || path.display().to_string();
        Self::parse(path.to_owned(), &fs::read(path).with_context(context)?).with_context(context)
    }

    fn parse(path: PathBuf, bytes: &[u8]) -> Result<Self> {
        let file = object::File::parse(bytes)?;
        let target = |(offset, relocation): (u64, object::Relocation)| {
            let RelocationTarget::Symbol(index) = relocation.target() else {
                return Err(anyhow!("a relocation without a symbol at {offset:#x}"));
            };
            let symbol = file.symbol_by_index(index)?;
            let target = Target {
                symbol: symbol.name()?.to_owned(),
                place: symbol.section_index().map(|section| Place {
                    section: section.0,
                    offset: symbol.address(),
                }),
                addend: relocation.addend(),
            };
            Ok((offset, target))
        };
        let mut sections = Vec::new();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else {
                return Err(anyhow!("not an ELF file"));
            };
            let has = |flag: u32| sh_flags & u64::from(flag) != 0;
            sections.push(Section {
                index: section.index().0,
                name: section.name()?.to_owned(),
                bytes: section.data()?.to_owned(),
                is_loaded: has(object::elf::SHF_ALLOC),
                is_code: has(object::elf::SHF_EXECINSTR),
                relocations: section.relocations().map(target).collect::<Result<_>>()?,
            });
        }
        let is_code = |index: SectionIndex| {
            sections
                .iter()
                .any(|section: &Section| section.index == index.0 && section.is_code)
        };
        let mut functions = Vec::new();
        let mut undefined = Vec::new();
        let mut globals = Vec::new();
        for symbol in file.symbols() {
            let name = symbol.name()?.to_owned();
            match symbol.section_index() {
                // objtool's name for the padding before a function.
                Some(_) if name.starts_with("__pfx_") => (),
                Some(section) => {
                    if symbol.kind() == SymbolKind::Text && is_code(section) {
                        let place = Place {
                            section: section.0,
                            offset: symbol.address(),
                        };
                        let size = symbol.size();
                        functions.push(Function {
                            name: name.clone(),
                            place,
                            size,
                        });
                    }
                    if symbol.is_global() {
                        globals.push(name);
                    }
                }
                None if symbol.is_undefined() && !name.is_empty() => undefined.push(name),
                None => (),
            }
        }
        ensure!(!functions.is_empty(), "there are no functions in it");
        Ok(Self {
            path,
            architecture: file.architecture(),
            sections,
            functions,
            undefined,
            globals,
        })
    }

    /// The name of its file, for messages.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// The sections of code, including those that are freed after loading.
    pub fn code(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| section.is_code)
    }

    /// A section by its name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The section and the function of a place, as `.text: name+0x12`.
    pub fn describe(&self, place: Place) -> String {
        let section = self.sections.iter().find(|s| s.index == place.section);
        let section = section.map_or("?", |section| &section.name);
        let function = self.functions.iter().find(|function| {
            function.place.section == place.section
                && (function.place.offset..function.place.offset + function.size.max(1))
                    .contains(&place.offset)
        });
        match function {
            Some(function) => format!(
                "{section}: {}+{:#x}",
                function.name,
                place.offset - function.place.offset
            ),
            None => format!("{section}+{:#x}", place.offset),
        }
    }

    /// Fails if there are any of these places, and names the first few.
    pub fn ensure_none(&self, what: &str, places: &[Place]) -> Result<()> {
        // Functions can have two names.
        let places: BTreeSet<_> = places.iter().collect();
        ensure!(
            places.is_empty(),
            "{}: {what}: {}, the first in {}",
            self.name(),
            places.len(),
            places
                .iter()
                .take(3)
                .map(|place| self.describe(**place))
                .collect::<Vec<_>>()
                .join(", ")
        );
        Ok(())
    }
}
