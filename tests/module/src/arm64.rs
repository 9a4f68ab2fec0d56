// SPDX-License-Identifier: GPL-2.0

//! AArch64 code against overwritten return addresses.

use crate::elf::{
    Module,
    Place, //
};
use crate::{
    Claim,
    Outcome,
    Subject, //
};
use anyhow::{
    ensure,
    Result, //
};

pub const CLAIMS: &[(&str, Claim)] = &[("code::return_addresses", return_addresses)];

const PACIASP: u32 = 0xd503_233f;

/// Whether an instruction stores x30, the return address, on the stack.
fn saves_return_address(word: u32) -> bool {
    const LR: u32 = 30;
    const SP: u32 = 31;

    let register = |at: u32| (word >> at) & 31;
    // STP with an offset or that moves SP first; STR with an offset of either kind, or the latter.
    let is_pair = matches!(word & 0xffc0_0000, 0xa900_0000 | 0xa980_0000);
    let is_single = word & 0xffc0_0000 == 0xf900_0000
        || matches!(word & 0xffe0_0c00, 0xf800_0000 | 0xf800_0c00);
    register(5) == SP
        && ((is_pair || is_single) && register(0) == LR || is_pair && register(10) == LR)
}

/// The functions that save their return address, and those of them that do so unsigned.
fn saving(module: &Module) -> (usize, Vec<Place>) {
    let mut count = 0;
    let mut unsigned = Vec::new();
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
        if !words[..saved].contains(&PACIASP) {
            unsigned.push(function.place);
        }
    }
    (count, unsigned)
}

/// CONFIG_ARM64_PTR_AUTH_KERNEL: no return address is on the stack unsigned.
fn return_addresses(subject: &Subject) -> Result<Outcome> {
    if !subject.kernel.has(&["ARM64_PTR_AUTH_KERNEL"]) {
        return Ok(Outcome::NotHere("the kernel does not sign pointers"));
    }
    for module in [&subject.c, &subject.ours] {
        let (count, unsigned) = saving(module);
        ensure!(count > 0, "{} saves no return address", module.name());
        module.ensure_none("return addresses saved without PACIASP", &unsigned)?;
    }
    Ok(Outcome::Holds)
}
