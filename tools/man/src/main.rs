// SPDX-License-Identifier: GPL-2.0

//! Generates `man/knetstat.5`; see `lib.rs`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

fn run(project: &Path) -> Result<(), String> {
    let page = knetstat_man::page_of(project)?;
    let path = project.join("man/knetstat.5");
    fs::write(&path, page).map_err(|err| format!("{}: {err}", path.display()))
}

fn main() -> ExitCode {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match run(&project) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("knetstat: {message}");
            ExitCode::FAILURE
        }
    }
}
