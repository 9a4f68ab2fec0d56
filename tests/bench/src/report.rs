// SPDX-License-Identifier: GPL-2.0

//! What is printed, and written as JSON.

use crate::progress::note;
use anyhow::{Context, Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::fs;
use std::path::Path;

/// What was found so far. Parts are printed as they come.
#[derive(Default)]
pub struct Report {
    figures: Map<String, Value>,
    failures: Vec<String>,
}

impl Report {
    /// Prints a part, and keeps its figures under a name; a part that failed is noted.
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

    /// Notes a part whose figures are not as they must be.
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

    /// Prints what has no figures, and keeps it.
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

    /// Says at the end what failed. Whether nothing did.
    pub fn is_good(&self) -> bool {
        for failure in &self.failures {
            println!("FAILED: {failure}");
        }
        self.failures.is_empty()
    }
}
