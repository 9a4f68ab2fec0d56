// SPDX-License-Identifier: GPL-2.0

//! The command under test.

use crate::guest::guest;
use anyhow::{ensure, Context, Result};
use std::collections::BTreeSet;
use std::process::Command;

/// The output of the command, and its exit status.
pub struct Said {
    pub out: String,
    pub notes: String,
    pub status: Option<i32>,
}

impl Said {
    pub fn rows(&self) -> usize {
        self.out.lines().count()
    }
}

/// The command, started by another one such as setpriv(1), or by none.
pub fn command_by(by: &[&str]) -> Command {
    let program = guest().dir.join("knetstat");
    match by {
        [] => Command::new(program),
        [first, flags @ ..] => {
            let mut command = Command::new(first);
            command.args(flags).arg(program);
            command
        }
    }
}

/// Runs the command.
pub fn said_by(by: &[&str], args: &[&str]) -> Result<Said> {
    let output = command_by(by).args(args).output().context("knetstat")?;
    Ok(Said {
        out: String::from_utf8(output.stdout)?,
        notes: String::from_utf8(output.stderr)?,
        status: output.status.code(),
    })
}

/// The standard output of the command, which succeeds.
pub fn output_of(args: &[&str]) -> Result<String> {
    let said = said_by(&[], args)?;
    ensure!(said.status == Some(0), "{args:?}: {}", said.notes);
    Ok(said.out)
}

/// The inodes of the sockets that these flags and this filter select.
pub fn selected_by(args: &[&str]) -> Result<BTreeSet<u64>> {
    let text = output_of(&[&["-H"], args].concat())?;
    let inos = text.lines().map(|line| {
        let (_, ino) = line.rsplit_once("ino=").context("a row without ino=")?;
        Ok(ino.trim().parse()?)
    });
    inos.collect()
}
