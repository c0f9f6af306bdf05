// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: commit messages follow Conventional Commits.
//!
//! It checks the commits of a change. On the main branch itself there are none, and a gate must not
//! pass because it checked nothing: there it checks the commits since the last release. Before the
//! first release it checks the newest [`NEWEST`] ones, because a history may be older than the
//! convention. The message of the first commit, which forges write, is never checked.

use anyhow::Result;
use engine::{Description, Gap, Input, Outcome, Plan, Run, Skip, Step, StepLog};
use foundation::finding::Finding;
use foundation::git::{self, Base};
use foundation::text::count;

/// Number of commits that are checked on the main branch before the first release.
const NEWEST: usize = 50;

/// `cargo xtask commits`.
pub struct Commits;

/// The commits to check.
struct Range {
    /// For Git.
    revisions: String,
    /// Maximum number, from the newest one.
    limit: usize,
    /// Description for the result.
    text: String,
}

impl Range {
    /// Chooses the commits since the base of the change. If there are none, those since the last
    /// release before `HEAD`, else the newest ones.
    fn choose(run: &Run, base: &str) -> Result<Self> {
        let short = |id: &str| id.get(..12).unwrap_or(id).to_owned();
        if base != run.workspace.commit() {
            let (revisions, text) = (format!("{base}..HEAD"), format!("since {}", short(base)));
            return Ok(Self { revisions, limit: usize::MAX, text });
        }
        // A tag of `HEAD` itself would leave no commit.
        Ok(match git::last_release(run.workspace.root(), "HEAD^")? {
            Some(tag) => {
                let text = format!("since {tag}");
                Self { revisions: format!("{tag}..HEAD"), limit: usize::MAX, text }
            }
            None => Self {
                revisions: "HEAD".to_owned(),
                limit: NEWEST,
                text: format!("among the newest {NEWEST}"),
            },
        })
    }
}

impl Step for Commits {
    fn describe(&self) -> Description {
        Description::gate(
            "commits",
            "check messages of commits that are not in the main branch; on it, since the last release",
        )
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let base = run.workspace.change_base()?;
        let range = match &base {
            Base::Commit(commit) => Range::choose(run, commit)?.text,
            Base::Unknown { why, .. } => why.clone(),
        };
        Ok(Plan::new()
            .native(format!("check the messages of the commits {range}"))
            .reads(Input::Fact("the base of the change", base.to_string()))
            .reads(Input::Fact("the range of commits", range))
            .reads(Input::Fact("the commit", run.workspace.commit().to_owned()))
            .reads(Input::Source("release.toml".into())))
    }

    fn run(&self, run: &Run, _log: &StepLog) -> Result<Outcome> {
        let base = match run.workspace.change_base()? {
            Base::Commit(commit) => commit,
            Base::Unknown { why, fix } => {
                return Ok(Outcome::Skipped(Skip::Unable(Gap { problem: why, fix })));
            }
        };
        let Range { revisions, limit, text } = Range::choose(run, &base)?;
        let mut commits = git::commits(run.workspace.root(), &revisions)?;
        commits.truncate(limit);
        commits.retain(|commit| commit.parents > 0);
        let allowed = &run.workspace.product().gates.commits.allow;
        let findings: Vec<_> = commits
            .iter()
            .filter(|commit| !allowed.iter().any(|it| it.commit == commit.id))
            .flat_map(|commit| {
                let id = commit.id.get(..12).unwrap_or(&commit.id);
                let place = format!("commit {id}");
                changes::lint(commit)
                    .into_iter()
                    .map(move |it| Finding::in_file(&place, it.rule, it.message, it.fix))
            })
            .collect();
        Ok(Outcome::of(findings, format!("{} {text}", count(commits.len(), "commit"))))
    }
}
