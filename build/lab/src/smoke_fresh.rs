// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs the commands of the README on freshly installed Debian systems, see `.ci/fresh`.

use anyhow::Result;
use engine::{Description, Input, Need, Plan, Run, Step};

/// Transcripts and timings, relative to the repository root.
const RESULTS: &str = "target/xtask/fresh";

/// `cargo xtask smoke fresh`.
pub struct SmokeFresh;

impl Step for SmokeFresh {
    fn describe(&self) -> Description {
        Description::step("smoke-fresh", "run the README commands on fresh Debian systems")
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        let programs = ["git", "mmdebstrap", "tar", "unshare"].map(Need::Tool);
        // Space for one root with everything compiled in it; one exists at a time.
        programs.into_iter().chain([Need::Space(16 << 30)]).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let script = run.command(&run.workspace.root().join(".ci/fresh").to_string_lossy());
        Ok(Plan::new().command(script).reads(Input::Source("".into())).writes(RESULTS))
    }
}
