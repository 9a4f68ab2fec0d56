// SPDX-License-Identifier: GPL-2.0

//! `knetstat explain`: prints what an option does.

use crate::model::defaults::Defaults;
use crate::model::options;
use crate::model::similar::meant;
use crate::print::explanation::explanation;
use anyhow::{bail, Result};
use std::io::{self, Write};

/// Prints what each of these options does.
pub fn run(names: &[String]) -> Result<()> {
    let mut out = String::new();
    let mut failure = None;
    for name in names {
        let found = options::find_all(name);
        if found.is_empty() {
            let mut hint = meant(&options::similar(name));
            if hint.is_empty() {
                hint += "; all options are in knetstat(5)";
            }
            bail!("{name:?} is not a socket option{hint}");
        }
        for info in found {
            if !out.is_empty() {
                out.push('\n');
            }
            let defaults = Defaults::new(info);
            out += &explanation(&defaults);
            failure = failure.or(defaults.failure().map(str::to_owned));
        }
    }
    io::stdout().lock().write_all(out.as_bytes())?;
    if let Some(failure) = failure {
        eprintln!("knetstat: {failure}");
    }
    Ok(())
}
