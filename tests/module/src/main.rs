// SPDX-License-Identifier: GPL-2.0

//! The built module, compared with a C module that was built for the same kernel.
//!
//! `rust/standalone.mk` derives rustc's flags from the kernel's configuration. If it forgets one,
//! the module loads and works, but lacks a mitigation, and nothing reports that. So these tests
//! look for the effect of each flag in the code itself. They make the same claims about the C
//! module; if it does not fulfil a claim, the claim is wrong.
//!
//! This runs on the machine that builds, not in a guest. The environment names the files:
//!
//! - `KNETSTAT_KO`: the module
//! - `KNETSTAT_C_KO`: the C module
//! - `KNETSTAT_KDIR`: the build tree that both were built with

mod arm64;
mod elf;
mod kernel;
mod metadata;
mod x86;

use anyhow::{bail, Context, Result};
use elf::Module;
use kernel::Kernel;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use object::Architecture;
use std::env;
use std::process::ExitCode;
use std::sync::Arc;

/// The two modules, and their kernel.
struct Subject {
    ours: Module,
    c: Module,
    kernel: Kernel,
}

/// The outcome of a claim that was not refuted.
enum Outcome {
    Holds,
    /// There is nothing to compare, because the kernel does not use this.
    NotHere(&'static str),
}

type Claim = fn(&Subject) -> Result<Outcome>;

fn path(variable: &str) -> Result<String> {
    env::var(variable).with_context(|| format!("{variable} has to be set, see tests/module"))
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::from_args();
    let subject = Arc::new(Subject {
        ours: Module::read(path("KNETSTAT_KO")?)?,
        c: Module::read(path("KNETSTAT_C_KO")?)?,
        kernel: Kernel::read(path("KNETSTAT_KDIR")?)?,
    });
    let code = match subject.ours.architecture {
        Architecture::X86_64 => x86::CLAIMS,
        Architecture::Aarch64 => arm64::CLAIMS,
        // Its kernels have no mitigation that changes code.
        Architecture::Riscv64 => &[],
        other => bail!("no claims about code for {other:?}"),
    };
    let trials = [code, metadata::CLAIMS].concat().into_iter();
    let trials = trials.map(|(name, claim)| {
        let subject = Arc::clone(&subject);
        Trial::ignorable_test(name, move || match claim(&subject) {
            Ok(Outcome::Holds) => Ok(Completion::Completed),
            Ok(Outcome::NotHere(why)) => Ok(Completion::ignored_with(format!("skipped: {why}"))),
            Err(err) => Err(Failed::from(format!("{err:#}"))),
        })
    });
    Ok(libtest_mimic::run(&arguments, trials.collect()).exit_code())
}
