// SPDX-License-Identifier: GPL-2.0

//! `knetstat explain`: what an option is.

use crate::model::defaults::Defaults;
use crate::model::options;
use crate::model::similar::meant;
use crate::print::explanation::explanation;
use anyhow::{bail, Result};
use std::io::{self, Write};

/// Prints what each of these options is.
pub fn run(names: &[String]) -> Result<()> {
    let mut out = String::new();
    let mut failure = None;
    for name in names {
        let found = options::find_all(name);
        if found.is_empty() {
            let near = options::similar(name);
            bail!("there is no option {name:?}{}", meant(&near));
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
