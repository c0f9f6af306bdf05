// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writes `openvex.json`, and `SHA256SUMS` with the checksums of all release files, for `sha256sum
//! --check`.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use engine::{Description, Input, Outcome, Plan, Run, Step, StepLog};
use foundation::{atomic, checksum};
use release::{ArtifactKind, layout};

use super::package::artifact;
use super::vex;

/// `cargo xtask checksums`.
pub struct Checksums;

impl Step for Checksums {
    fn describe(&self) -> Description {
        Description::step("checksums", "write SHA256SUMS").with_cache()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let mut plan = Plan::new().reads(Input::Manifest);
        let mut paths = vec![run.dist_in_plan().join(layout::CHECKSUMS)];
        if !run.workspace.product().gates.audit.mitigation.is_empty() {
            plan = plan.reads(Input::Source("release.toml".into()));
            paths.insert(0, run.dist_in_plan().join(layout::VEX));
        }
        Ok(paths
            .into_iter()
            .fold(plan, |plan, path| plan.native(format!("write {}", path.display())).writes(path)))
    }

    fn run(&self, run: &Run, _log: &StepLog) -> Result<Outcome> {
        vex::write(run)?;
        let mut sums = BTreeMap::new();
        for known in run.manifest()?.artifacts {
            if known.kind == ArtifactKind::Checksums {
                continue;
            }
            let (found, _) = checksum::sha256(&run.dist().join(&known.path))?;
            if found != known.sha256 {
                bail!("{} does not match release.json: build it again", known.path);
            }
            sums.insert(known.path, found);
        }
        atomic::write(&run.dist().join(layout::CHECKSUMS), checksum::format(&sums).as_bytes())?;
        let kind = ArtifactKind::Checksums;
        let artifact = artifact(&run.dist(), layout::CHECKSUMS, kind, None, None)?;
        run.update_manifest(|manifest| {
            manifest.put_artifact(artifact);
            // The result applies to an earlier build.
            manifest.reproduced = None;
            Ok(())
        })?;
        Ok(Outcome::Done(format!("{} files", sums.len())))
    }
}
