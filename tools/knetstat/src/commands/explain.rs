// SPDX-License-Identifier: GPL-2.0

//! `knetstat explain`: prints what an option does.

use crate::model::defaults::Defaults;
use crate::model::spelling::lookup;
use crate::print::explanation::explanation;
use crate::print::streams::say;
use anyhow::{Error, Result};
use std::io::Write;

/// Prints what each of these options does.
pub fn run(names: &[String], out: &mut dyn Write) -> Result<()> {
    let mut text = String::new();
    let mut failure = None;
    for info in lookup(names).map_err(Error::msg)? {
        if !text.is_empty() {
            text.push('\n');
        }
        let defaults = Defaults::new(info);
        text += &explanation(&defaults);
        failure = failure.or(defaults.failure().map(str::to_owned));
    }
    out.write_all(text.as_bytes())?;
    if let Some(failure) = failure {
        say(failure);
    }
    Ok(())
}
