// SPDX-License-Identifier: GPL-2.0

//! Protection of return addresses in AArch64 code.

use crate::elf::{Module, Place};
use crate::{Claim, Outcome, Subject};
use anyhow::{ensure, Result};

pub const CLAIMS: &[(&str, Claim)] = &[
    ("code::return_addresses", return_addresses),
    ("code::frame_records", frame_records),
];

const PACIASP: u32 = 0xd503_233f;
/// The number of the frame pointer's register.
const FP: u32 = 29;
/// The number of the register that has the return address.
const LR: u32 = 30;
const SP: u32 = 31;

/// A register's number: five bits of an instruction.
fn register(word: u32, at: u32) -> u32 {
    (word >> at) & 31
}

/// Whether an instruction stores two registers on the stack: STP with an offset, or with a change
/// of SP before.
fn is_pair(word: u32) -> bool {
    matches!(word & 0xffc0_0000, 0xa900_0000 | 0xa980_0000) && register(word, 5) == SP
}

/// Whether an instruction stores one register on the stack: STR with an offset of either kind, or
/// with a change of SP before.
fn is_single(word: u32) -> bool {
    (word & 0xffc0_0000 == 0xf900_0000 || matches!(word & 0xffe0_0c00, 0xf800_0000 | 0xf800_0c00))
        && register(word, 5) == SP
}

/// Whether an instruction stores the return address on the stack.
fn saves_return_address(word: u32) -> bool {
    (is_pair(word) || is_single(word)) && register(word, 0) == LR
        || is_pair(word) && register(word, 10) == LR
}

/// Whether it also stores the caller's frame pointer beside it. The kernel's unwinder expects the
/// two together.
fn saves_frame_record(word: u32) -> bool {
    is_pair(word) && register(word, 0) == FP && register(word, 10) == LR
}

/// The number of functions that save their return address, and those among them whose instructions
/// up to that point are not `right`.
fn saving(module: &Module, right: impl Fn(&[u32]) -> bool) -> (usize, Vec<Place>) {
    let mut count = 0;
    let mut wrong = Vec::new();
    for function in &module.functions {
        let Some(section) = module.code().find(|s| s.index == function.place.section) else {
            continue;
        };
        let start = function.place.offset as usize;
        let end = (start + function.size as usize).min(section.bytes.len());
        let words = section.bytes[start..end].chunks_exact(4);
        let words: Vec<_> = words
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        let Some(saved) = words.iter().position(|word| saves_return_address(*word)) else {
            continue;
        };
        count += 1;
        if !right(&words[..=saved]) {
            wrong.push(function.place);
        }
    }
    (count, wrong)
}

/// CONFIG_ARM64_PTR_AUTH_KERNEL: no return address is on the stack unsigned.
fn return_addresses(subject: &Subject) -> Result<Outcome> {
    if !subject.kernel.has(&["ARM64_PTR_AUTH_KERNEL"]) {
        return Ok(Outcome::NotHere("the kernel does not sign pointers"));
    }
    for module in [&subject.c, &subject.ours] {
        let (count, unsigned) = saving(module, |words| words.contains(&PACIASP));
        ensure!(count > 0, "{} saves no return address", module.name());
        module.ensure_none("return addresses saved without PACIASP", &unsigned)?;
    }
    Ok(Outcome::Holds)
}

/// CONFIG_FRAME_POINTER: backtraces lead through each function that calls another.
fn frame_records(subject: &Subject) -> Result<Outcome> {
    if !subject.kernel.has(&["FRAME_POINTER"]) {
        return Ok(Outcome::NotHere("the kernel has no frame pointers"));
    }
    for module in [&subject.c, &subject.ours] {
        let (count, without) = saving(module, |words| {
            words.last().is_some_and(|w| saves_frame_record(*w))
        });
        ensure!(count > 0, "{} saves no return address", module.name());
        module.ensure_none("return addresses saved without the frame pointer", &without)?;
    }
    Ok(Outcome::Holds)
}
