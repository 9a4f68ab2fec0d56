// SPDX-License-Identifier: GPL-2.0

//! The report: figures that are printed, and written as JSON.

use crate::progress::note;
use anyhow::{Context, Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::fs;
use std::path::Path;

/// The figures so far. Each part is printed as soon as it is there.
#[derive(Default)]
pub struct Report {
    figures: Map<String, Value>,
    failures: Vec<String>,
}

impl Report {
    /// Prints a part, and keeps its figures under a name. Keeps the failure of a part that has
    /// failed.
    pub fn add<T: Serialize + Display>(&mut self, name: &str, part: Result<T>) -> Option<T> {
        let figures = part.and_then(|part| Ok((serde_json::to_value(&part)?, part)));
        match figures {
            Ok((figures, part)) => {
                println!("{}\n", part.to_string().trim_end());
                self.figures.insert(name.to_owned(), figures);
                Some(part)
            }
            Err(error) => {
                self.fail(name, &error);
                None
            }
        }
    }

    /// Keeps the failure of a part whose figures are wrong.
    pub fn require(&mut self, name: &str, result: Result<()>) {
        if let Err(error) = result {
            self.fail(name, &error);
        }
    }

    fn fail(&mut self, name: &str, error: &Error) {
        let failure = format!("{name}: {error:#}");
        note(format_args!("FAILED: {failure}"));
        println!("FAILED: {failure}\n");
        self.failures.push(failure);
    }

    /// Prints a text without figures, and keeps it.
    pub fn say(&mut self, name: &str, text: String) {
        println!("{text}\n");
        self.figures.insert(name.to_owned(), text.into());
    }

    /// Writes the figures.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut figures = self.figures.clone();
        figures.insert("failures".to_owned(), self.failures.clone().into());
        let text = serde_json::to_string_pretty(&figures)?;
        fs::write(path, text + "\n").with_context(|| path.display().to_string())
    }

    /// Prints all failures at the end. Whether there were none.
    pub fn is_good(&self) -> bool {
        for failure in &self.failures {
            println!("FAILED: {failure}");
        }
        self.failures.is_empty()
    }
}
