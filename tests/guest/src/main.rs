// SPDX-License-Identifier: GPL-2.0

//! The guest tests: the module's files, compared with other sources of the same facts.
//!
//! This runs as root in a guest with the module loaded, and reports as libtest does. `guest.rs`
//! describes the environment that it needs.

mod adversity;
mod all_netns;
mod by_other_means;
mod c_module;
mod check;
mod columns;
mod command;
mod crowds;
mod cursors;
mod diag;
mod examples;
mod faults;
mod filter_answers;
mod groups;
mod idle_reader;
mod lifecycle;
mod memory_group;
mod module_script;
mod namespaces;
mod one_to_one;
mod phc;
mod random_options;
mod reader;
mod reads;
mod reserve_mem;
mod rights;
mod scripts;
mod since;
mod sock_diag;
mod states;
mod userfault;

use anyhow::Result;
use knetstat_guest_tests::{
    build_tree, features, grammar, guest, harness, klog, modules, netns, options, reference, rows,
    sockets, tls,
};
use libtest_mimic::Arguments;
use std::process::ExitCode;

fn main() -> Result<ExitCode> {
    guest::init()?;
    let entry_points = [
        &reader::ENTRY_POINT,
        &namespaces::USER_NAMESPACE,
        &rights::READER,
    ];
    if let Some(result) = knetstat_child::dispatch(&entry_points) {
        return result.map(|()| ExitCode::SUCCESS);
    }

    let mut arguments = Arguments::from_args();
    // Tests wait for most of their time.
    arguments.test_threads.get_or_insert(4);
    if !arguments.list {
        klog::follow()?;
    }

    knetstat_child::keep_memory();
    wait_for_random_numbers();

    let mut cases = Vec::new();
    cases.extend(one_to_one::cases());
    cases.extend(options::cases());
    cases.extend(by_other_means::cases());
    cases.extend(tls::cases());
    cases.extend(phc::cases());
    cases.extend(reserve_mem::cases());
    cases.extend(random_options::cases());
    cases.extend(diag::cases());
    cases.extend(reads::cases());
    cases.extend(scripts::cases());
    cases.extend(examples::cases());
    cases.extend(filter_answers::cases());
    cases.extend(columns::cases());
    cases.extend(check::cases());
    cases.extend(crowds::cases());
    cases.extend(groups::cases());
    cases.extend(cursors::cases());
    cases.extend(faults::cases());
    cases.extend(namespaces::cases());
    cases.extend(all_netns::cases());
    cases.extend(since::cases());
    cases.extend(rights::cases());
    cases.extend(module_script::cases());
    cases.extend(c_module::cases());
    cases.extend(idle_reader::cases());
    cases.extend(adversity::cases());
    cases.extend(lifecycle::cases());
    Ok(libtest_mimic::run(&arguments, harness::trials(cases)).exit_code())
}

/// Waits until the kernel has random numbers. In a static program, `rand` waits by poll(2). Only
/// getrandom(2) makes the kernel gather what it needs, if it has no other source.
fn wait_for_random_numbers() {
    let mut byte = 0_u8;
    // SAFETY: `byte` has room for one byte.
    unsafe { libc::getrandom((&raw mut byte).cast(), 1, 0) };
}
