// SPDX-License-Identifier: GPL-2.0

//! Generates `man/knetstat.5`; see `lib.rs`.
//!
//! With `--check`, nothing is written. The program then fails if the page is not current.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

fn run(project: &Path, check: bool) -> Result<(), String> {
    let page = knetstat_man::page_of(project)?;
    let path = project.join("man/knetstat.5");
    if !check {
        return fs::write(&path, page).map_err(|err| format!("{}: {err}", path.display()));
    }
    match fs::read_to_string(&path) {
        Ok(text) if text == page => Ok(()),
        Ok(_) => Err("man/knetstat.5 is not current; run: make man".into()),
        Err(err) => Err(format!("{}: {err}", path.display())),
    }
}

fn main() -> ExitCode {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match run(&project, env::args().any(|arg| arg == "--check")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("knetstat: {message}");
            ExitCode::FAILURE
        }
    }
}
