// SPDX-License-Identifier: GPL-2.0

//! `knetstat explain`: what an option is.

use crate::model::options;
use crate::model::similar::meant;
use anyhow::{bail, Result};
use std::io::{self, Write};

/// Prints what each of these options is.
pub fn run(names: &[String]) -> Result<()> {
    let mut out = String::new();
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
            out += &options::explain(info);
        }
    }
    io::stdout().lock().write_all(out.as_bytes())?;
    Ok(())
}
