// SPDX-License-Identifier: GPL-2.0

//! The benchmark: the speed of knetstat in a guest, compared with the kernel's own files and ss.
//!
//! Readers take turns in the same run, so that ratios mean something on any machine. The number
//! of rows that each of them lists is compared with the number of sockets that were opened.

mod against;
mod bpf;
mod cache_lines;
mod command;
mod consistency;
mod environment;
mod filtered;
mod goals;
mod growth;
mod holds;
mod load;
mod memory;
mod options;
mod population;
mod progress;
mod read_sizes;
mod readers;
mod report;
mod scenarios;
mod spawner;
mod stats;
mod table;
mod turns;

use anyhow::Result;
use clap::Parser;
use environment::Environment;
use options::{Options, Part};
use report::Report;
use spawner::Spawner;
use std::process::ExitCode;

fn main() -> Result<ExitCode> {
    knetstat_child::keep_memory();
    let entry_points = [&spawner::ENTRY_POINT, &load::COMPANION, &command::HOLDER];
    if let Some(result) = knetstat_child::dispatch(&entry_points) {
        return result.map(|()| ExitCode::SUCCESS);
    }

    let options = Options::parse();
    // Before any socket is opened; see spawner.rs.
    let mut spawner = Spawner::start()?;
    if options.here {
        return here(&options, &mut spawner);
    }
    if options.wants(Part::Readers) || options.wants(Part::Growth) {
        readers::load_floor(&options.dir)?;
    }

    let mut report = Report::default();
    report.add("environment", Environment::look(&options, &mut spawner));
    if let Some(other) = &options.against {
        report.add("against", against::run(other, &options, &mut spawner));
    }
    let mut outcomes = Vec::new();
    if options.wants(Part::Readers) {
        for scenario in scenarios::all(&options) {
            let outcome = scenarios::run(scenario, &options, &mut spawner);
            outcomes.extend(report.add(&format!("readers: {scenario}"), outcome));
        }
        report.add("cache lines", cache_lines::run(&options));
        report.say(
            "skipped",
            "Not measured: the BPF socket iterators. `make bench-consistency` compares their rows."
                .to_owned(),
        );
    }
    if options.wants(Part::Filtered) {
        report.add("filtered", filtered::run(&options, &mut spawner));
    }
    if options.wants(Part::ReadSizes) {
        for scenario in read_sizes::all(&options) {
            let outcome = read_sizes::run(scenario, &options, &mut spawner);
            report.add(&format!("read sizes: {scenario}"), outcome);
        }
    }
    if options.wants(Part::Growth) {
        for kind in growth::KINDS {
            let outcome = growth::run(kind, &options, &mut spawner);
            report.add(&format!("growth: {kind}"), outcome);
        }
    }
    if options.wants(Part::Holds) {
        report.add("holds", holds::run(&options));
    }
    if options.wants(Part::Load) {
        report.add("load", load::run(&options));
    }
    if options.wants(Part::Memory) {
        report.add("memory", memory::run(&options));
    }
    if options.wants(Part::Command) {
        let mut outcomes = Vec::new();
        for size in command::all(&options) {
            let outcome = command::run(size, &options, &mut spawner);
            outcomes.extend(report.add(&format!("command: {size}"), outcome));
        }
        report.require("command", command::check(&outcomes));
    }
    if options.wants(Part::Consistency) {
        if let Some(outcome) = report.add("consistency", consistency::run(&options)) {
            report.require("consistency", outcome.check());
        }
    }
    if options.wants(Part::Readers) {
        report.add("goals", Ok(goals::all(&outcomes)));
    }

    finish(&report, &options)
}

/// Measures what needs no module.
fn here(options: &Options, spawner: &mut Spawner) -> Result<ExitCode> {
    let mut report = Report::default();
    report.add("environment", Environment::look(options, spawner));
    let size = command::here(options);
    let outcome = command::run(size, options, spawner);
    report.add(&format!("command here: {size}"), outcome);
    finish(&report, options)
}

fn finish(report: &Report, options: &Options) -> Result<ExitCode> {
    if let Some(path) = &options.json {
        report.write(path)?;
    }
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
