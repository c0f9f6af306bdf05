// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writes the files of a report.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use foundation::atomic;

use super::Report;

/// Path of the file for the job summary on GitHub.
const SUMMARY: &str = "GITHUB_STEP_SUMMARY";

impl Report {
    /// Writes `report.json`, `report.sarif` and `junit.xml` to `folder`, and appends to the job
    /// summary on a GitHub runner.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let pretty = |value: &serde_json::Value| -> Result<Vec<u8>> {
            let mut text = serde_json::to_vec_pretty(value)?;
            text.push(b'\n');
            Ok(text)
        };
        atomic::write(&folder.join("report.json"), &pretty(&serde_json::to_value(self)?)?)?;
        atomic::write(&folder.join("report.sarif"), &pretty(&self.sarif())?)?;
        atomic::write(&folder.join("junit.xml"), self.junit().as_bytes())?;
        match std::env::var_os(SUMMARY) {
            Some(path) if !path.is_empty() => self.add_to(Path::new(&path)),
            _ => Ok(()),
        }
    }

    /// Appends the run to a job summary, which may contain those of earlier commands of the job.
    fn add_to(&self, summary: &Path) -> Result<()> {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(summary)
            .with_context(|| format!("cannot open {SUMMARY} {}", summary.display()))?;
        writeln!(file, "{}", self.markdown())
            .with_context(|| format!("cannot write {}", summary.display()))
    }
}
