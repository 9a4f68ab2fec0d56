// SPDX-License-Identifier: GPL-2.0

//! Protection of x86-64 code against speculation and stray branches.

use crate::elf::{Function, Module, Place, Section, Target};
use crate::{Claim, Outcome, Subject};
use anyhow::{ensure, Context, Result};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};
use std::collections::BTreeSet;

pub const CLAIMS: &[(&str, Claim)] = &[
    ("code::returns", returns),
    ("code::return_sites", return_sites),
    ("code::indirect_branches", indirect_branches),
    ("code::retpoline_sites", retpoline_sites),
    ("code::call_sites", call_sites),
    ("code::endbr", endbr),
    ("code::padding", padding),
    ("code::patchable_entries", patchable_entries),
];

const RETURN_THUNK: &str = "__x86_return_thunk";
const INDIRECT_THUNK: &str = "__x86_indirect_thunk_";

/// An instruction, and the target of its relocation if it has one.
struct Decoded<'m> {
    place: Place,
    instruction: Instruction,
    /// The relocation, with its offset in the section.
    relocation: Option<(u64, &'m Target)>,
}

impl Decoded<'_> {
    /// Whether it is a direct call or branch.
    fn is_branch(&self) -> bool {
        matches!(
            self.instruction.flow_control(),
            FlowControl::Call | FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
        )
    }

    /// The function outside the module that it branches to.
    fn thunk(&self) -> Option<&str> {
        let (_, target) = self.relocation?;
        (self.is_branch() && target.place.is_none()).then_some(&target.symbol)
    }

    /// The place whose address it takes.
    fn address(&self) -> Option<Place> {
        let (offset, target) = self.relocation?;
        if self.is_branch() {
            return None;
        }
        let is_relative = self.instruction.is_ip_rel_memory_operand();
        // Such a reference counts from the end of the instruction.
        let before = match is_relative {
            true => i64::try_from(self.instruction.next_ip() - offset).ok()?,
            false => 0,
        };
        target.resolve(before)
    }
}

fn decode(section: &Section) -> Result<Vec<Decoded<'_>>> {
    let mut all = Vec::new();
    for instruction in Decoder::with_ip(64, &section.bytes, 0, DecoderOptions::NONE) {
        let place = Place {
            section: section.index,
            offset: instruction.ip(),
        };
        ensure!(
            !instruction.is_invalid(),
            "{}+{:#x}: not an instruction",
            section.name,
            place.offset
        );
        let mut relocations = section
            .relocations
            .range(instruction.ip()..instruction.next_ip());
        let relocation = relocations.next().map(|(offset, target)| (*offset, target));
        all.push(Decoded {
            place,
            instruction,
            relocation,
        });
    }
    Ok(all)
}

fn instructions(module: &Module) -> Result<Vec<Decoded<'_>>> {
    let mut all = Vec::new();
    for section in module.code() {
        all.extend(decode(section)?);
    }
    Ok(all)
}

/// The places of the instructions with a property.
fn places(module: &Module, has: impl Fn(&Decoded<'_>) -> bool) -> Result<Vec<Place>> {
    let all = instructions(module)?;
    let with = all.iter().filter(|decoded| has(decoded));
    Ok(with.map(|decoded| decoded.place).collect())
}

/// The places in one of objtool's tables: an array of relative references of four bytes.
fn table(module: &Module, name: &str) -> Option<BTreeSet<Place>> {
    let section = module.section(name)?;
    let targets = section.relocations.values();
    Some(targets.filter_map(|target| target.resolve(0)).collect())
}

/// Fails unless the table lists all places: the kernel patches those and no others.
fn ensure_table(module: &Module, name: &str, all: &[Place]) -> Result<()> {
    let table =
        table(module, name).with_context(|| format!("{} has no section {name}", module.name()))?;
    let missing: Vec<_> = all
        .iter()
        .filter(|place| !table.contains(place))
        .copied()
        .collect();
    module.ensure_none(&format!("not in {name}"), &missing)
}

fn is_return_thunk(decoded: &Decoded<'_>) -> bool {
    decoded.thunk() == Some(RETURN_THUNK)
}

fn is_indirect_thunk(decoded: &Decoded<'_>) -> bool {
    matches!(decoded.thunk(), Some(name) if name.starts_with(INDIRECT_THUNK))
}

/// CONFIG_MITIGATION_RETHUNK: every function returns through the kernel's thunk.
fn returns(subject: &Subject) -> Result<Outcome> {
    if !subject.kernel.has(&["MITIGATION_RETHUNK", "RETHUNK"]) {
        return Ok(Outcome::NotHere("the kernel has no return thunks"));
    }
    for module in [&subject.c, &subject.ours] {
        let bare = places(module, |decoded| {
            decoded.instruction.flow_control() == FlowControl::Return
        })?;
        module.ensure_none("returns without a thunk", &bare)?;
        let thunks = places(module, is_return_thunk)?;
        ensure!(!thunks.is_empty(), "{} never returns", module.name());
    }
    Ok(Outcome::Holds)
}

/// The kernel's table lists each of these returns.
fn return_sites(subject: &Subject) -> Result<Outcome> {
    if subject.c.section(".return_sites").is_none() {
        return Ok(Outcome::NotHere("the C module has no such table"));
    }
    for module in [&subject.c, &subject.ours] {
        ensure_table(module, ".return_sites", &places(module, is_return_thunk)?)?;
    }
    Ok(Outcome::Holds)
}

fn has_retpolines(subject: &Subject) -> bool {
    subject.kernel.has(&["MITIGATION_RETPOLINE", "RETPOLINE"])
}

/// The calls through `pv_ops` that the kernel's table lists. The kernel replaces each of them by a
/// direct call or by the code itself, even on bare metal.
fn paravirt_sites(module: &Module) -> Result<BTreeSet<Place>> {
    let Some(table) = table(module, ".parainstructions") else {
        return Ok(BTreeSet::new());
    };
    let calls = places(module, |decoded| {
        let relocation = decoded.relocation;
        relocation.is_some_and(|(_, target)| target.symbol == "pv_ops")
    })?;
    Ok(calls
        .into_iter()
        .filter(|place| table.contains(place))
        .collect())
}

/// CONFIG_MITIGATION_RETPOLINE: no branch takes its target from a register or from memory.
fn indirect_branches(subject: &Subject) -> Result<Outcome> {
    if !has_retpolines(subject) {
        return Ok(Outcome::NotHere("the kernel has no retpolines"));
    }
    for module in [&subject.c, &subject.ours] {
        let patched = paravirt_sites(module)?;
        let bare = places(module, |decoded| {
            matches!(
                decoded.instruction.flow_control(),
                FlowControl::IndirectBranch | FlowControl::IndirectCall
            ) && !patched.contains(&decoded.place)
        })?;
        module.ensure_none("indirect branches without a retpoline", &bare)?;
    }
    // The C module makes no indirect call.
    let thunks = places(&subject.ours, is_indirect_thunk)?;
    ensure!(!thunks.is_empty(), "the module calls nothing by a pointer");
    Ok(Outcome::Holds)
}

/// The kernel's table lists each of these branches.
fn retpoline_sites(subject: &Subject) -> Result<Outcome> {
    if !has_retpolines(subject) {
        return Ok(Outcome::NotHere("the kernel has no retpolines"));
    }
    let all = places(&subject.ours, is_indirect_thunk)?;
    ensure_table(&subject.ours, ".retpoline_sites", &all)?;
    Ok(Outcome::Holds)
}

/// CONFIG_MITIGATION_CALL_DEPTH_TRACKING: the kernel's table lists each call.
fn call_sites(subject: &Subject) -> Result<Outcome> {
    if subject.c.section(".call_sites").is_none() {
        return Ok(Outcome::NotHere("the C module has no such table"));
    }
    for module in [&subject.c, &subject.ours] {
        let of_init = module.section(".init.text").map(|section| section.index);
        let all = places(module, |decoded| {
            // Tracing and static calls have tables of their own.
            let is_other = matches!(decoded.thunk(), Some(name) if name == "__fentry__"
                || name.starts_with("__SCT__")
                || name.starts_with(INDIRECT_THUNK));
            decoded.instruction.flow_control() == FlowControl::Call
                && !is_other
                && Some(decoded.place.section) != of_init
        })?;
        ensure!(!all.is_empty(), "{} calls nothing", module.name());
        ensure_table(module, ".call_sites", &all)?;
    }
    Ok(Outcome::Holds)
}

/// The code whose address is stored in data or taken by code, so that a pointer can lead there.
fn address_taken(module: &Module) -> Result<BTreeSet<Place>> {
    let mut taken = BTreeSet::new();
    let is_data = |section: &Section| {
        section.name == ".gnu.linkonce.this_module"
            || [".data", ".rodata", ".init.data", ".exit.data"]
                .iter()
                .any(|name| section.name.starts_with(name))
    };
    for section in module.sections.iter().filter(|section| is_data(section)) {
        taken.extend(section.relocations.values().filter_map(|t| t.resolve(0)));
    }
    taken.extend(instructions(module)?.iter().filter_map(Decoded::address));
    let code: BTreeSet<_> = module.code().map(|section| section.index).collect();
    taken.retain(|place| code.contains(&place.section));
    Ok(taken)
}

/// CONFIG_X86_KERNEL_IBT: there is an ENDBR64 wherever a pointer can lead.
fn endbr(subject: &Subject) -> Result<Outcome> {
    const ENDBR64: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];

    if !subject.kernel.has(&["X86_KERNEL_IBT"]) {
        return Ok(Outcome::NotHere("the kernel has no IBT"));
    }
    for module in [&subject.c, &subject.ours] {
        let taken = address_taken(module)?;
        ensure!(!taken.is_empty(), "{} has no callbacks", module.name());
        let bare: Vec<_> = taken
            .into_iter()
            .filter(|place| !bytes_at(module, *place).is_some_and(|b| b.starts_with(ENDBR64)))
            .collect();
        module.ensure_none("without ENDBR64, and their address is taken", &bare)?;
    }
    Ok(Outcome::Holds)
}

fn bytes_at(module: &Module, place: Place) -> Option<&[u8]> {
    let section = module.code().find(|s| s.index == place.section)?;
    section.bytes.get(usize::try_from(place.offset).ok()?..)
}

/// The number of bytes of padding that the kernel needs before each function.
fn padding_bytes(subject: &Subject) -> Result<Option<usize>> {
    if !subject.kernel.has(&["CALL_PADDING"]) {
        return Ok(None);
    }
    let bytes = subject.kernel.value("FUNCTION_PADDING_BYTES");
    Ok(Some(bytes.context("FUNCTION_PADDING_BYTES")?.parse()?))
}

/// The functions, without the parts that gcc moved out of them.
fn whole_functions(module: &Module) -> impl Iterator<Item = &Function> {
    let functions = module.functions.iter();
    functions.filter(|function| !function.name.contains(".cold"))
}

/// CONFIG_CALL_PADDING: there is room before each function for the thunk that counts calls.
fn padding(subject: &Subject) -> Result<Outcome> {
    const NOP: u8 = 0x90;

    let Some(bytes) = padding_bytes(subject)? else {
        return Ok(Outcome::NotHere("the kernel has no call padding"));
    };
    for module in [&subject.c, &subject.ours] {
        let is_padded = |place: Place| {
            let start = place.offset.checked_sub(bytes as u64)?;
            let before = bytes_at(
                module,
                Place {
                    offset: start,
                    ..place
                },
            )?
            .get(..bytes)?;
            before.iter().all(|byte| *byte == NOP).then_some(())
        };
        let bare: Vec<_> = whole_functions(module)
            .map(|function| function.place)
            .filter(|place| is_padded(*place).is_none())
            .collect();
        module.ensure_none(
            &format!("functions without {bytes} bytes of padding"),
            &bare,
        )?;
    }
    Ok(Outcome::Holds)
}

/// The kernel's table lists the padding of each function.
fn patchable_entries(subject: &Subject) -> Result<Outcome> {
    const TABLE: &str = "__patchable_function_entries";

    let Some(bytes) = padding_bytes(subject)? else {
        return Ok(Outcome::NotHere("the kernel has no call padding"));
    };
    for module in [&subject.c, &subject.ours] {
        let all: Vec<_> = whole_functions(module)
            .map(|function| Place {
                offset: function.place.offset.saturating_sub(bytes as u64),
                ..function.place
            })
            .collect();
        ensure_table(module, TABLE, &all)?;
    }
    Ok(Outcome::Holds)
}
