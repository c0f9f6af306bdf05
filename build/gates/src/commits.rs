// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: messages of the commits of a change follow Conventional Commits.

use anyhow::Result;
use engine::{Description, Gap, Input, Outcome, Plan, Run, Skip, Step, StepLog};
use foundation::finding::Finding;
use foundation::git::{self, Base};
use foundation::text::count;

/// `cargo xtask commits`.
pub struct Commits;

impl Step for Commits {
    fn describe(&self) -> Description {
        Description::gate("commits", "check messages of commits that are not in the main branch")
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let base = run.workspace.change_base()?;
        Ok(Plan::new()
            .native(format!("check the messages of the commits since {base}"))
            .reads(Input::Fact("the base of the change", base.to_string()))
            .reads(Input::Fact("the commit", run.workspace.commit().to_owned())))
    }

    fn run(&self, run: &Run, _log: &StepLog) -> Result<Outcome> {
        let base = match run.workspace.change_base()? {
            Base::Commit(commit) => commit,
            Base::Unknown { why, fix } => {
                return Ok(Outcome::Skipped(Skip::Unable(Gap { problem: why, fix })));
            }
        };
        let commits = git::commits(run.workspace.root(), &format!("{base}..HEAD"))?;
        let findings: Vec<_> = commits
            .iter()
            .flat_map(|commit| {
                let id = commit.id.get(..12).unwrap_or(&commit.id);
                let place = format!("commit {id}");
                changes::lint(commit)
                    .into_iter()
                    .map(move |it| Finding::in_file(&place, it.rule, it.message, it.fix))
            })
            .collect();
        Ok(Outcome::of(findings, count(commits.len(), "commit")))
    }
}
