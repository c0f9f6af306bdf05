// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: no keys, tokens or passwords in the source.

use std::path::PathBuf;

use anyhow::Result;
use engine::{Description, Input, Outcome, Plan, Run, Step, StepLog, allowed};
use foundation::source;
use rules::secrets::Scanner;

/// `cargo xtask secrets`.
pub struct Secrets;

impl Step for Secrets {
    fn describe(&self) -> Description {
        Description::gate("secrets", "find keys, tokens and passwords in the source")
    }

    fn plan(&self, _run: &Run) -> Result<Plan> {
        Ok(Plan::new()
            .native("find secrets in all source files, by format and by entropy")
            .reads(Input::Source(PathBuf::new())))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let scanner = Scanner::new()?;
        let files = run.workspace.texts(|path| !is_lock(path))?;
        log.note(&format!("{} files", files.len()));
        let findings: Vec<_> =
            files.iter().flat_map(|file| scanner.scan(&file.path, &file.text)).collect();
        let gates = &run.workspace.product().gates;
        Ok(allowed::judge(
            "secrets",
            &findings,
            &gates.secrets.allow,
            format!("{} files", files.len()),
        ))
    }
}

/// Lock files are generated and full of digests.
fn is_lock(path: &str) -> bool {
    source::has_extension(path, "lock") || path.ends_with("package-lock.json")
}
