// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Rehearses the lifecycle of releases in a scratch repository with a separate registry and release page:
//! candidates, stable, a patch of an older line, rollback, retention, verification. The releases are small and
//! synthetic; the commands that sign, publish, promote and prune are the real ones.

mod site;

use anyhow::{Result, ensure};
use engine::{Description, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::tree;
use programs::notary;

use self::site::Site;

/// `cargo xtask ci release --rehearse`.
pub struct Rehearsal;

/// A release or a change, and where the channels point after it.
type Act = (&'static str, fn(&Site<'_>, &str) -> Result<()>, &'static str);

/// The acts in order. A release is made of the commit after the one before it, or of a branch.
const ACTS: [Act; 6] = [
    ("1.4.0-rc.1", |site, it| site.release(it), "candidate=1.4.0-rc.1"),
    ("1.4.0-rc.2", |site, it| site.release(it), "candidate=1.4.0-rc.2"),
    (
        "1.4.0",
        |site, it| site.release(it),
        "1.4=1.4.0 candidate=1.4.0-rc.2 latest=1.4.0 stable=1.4.0",
    ),
    (
        "1.5.0",
        |site, it| site.release(it),
        "1.4=1.4.0 1.5=1.5.0 candidate=1.4.0-rc.2 latest=1.5.0 stable=1.5.0",
    ),
    // The older line goes on, and `stable` stays.
    (
        "1.4.1",
        |site, it| site.patch(it),
        "1.4=1.4.1 1.5=1.5.0 candidate=1.4.0-rc.2 latest=1.5.0 stable=1.5.0",
    ),
    (
        "stable",
        |site, it| site.roll_back(it),
        "1.4=1.4.1 1.5=1.5.0 candidate=1.4.0-rc.2 latest=1.4.0 stable=1.4.0",
    ),
];
/// Releases that retention keeps, and the one that expires.
const KEPT: [&str; 4] = ["1.4.0-rc.2", "1.4.0", "1.4.1", "1.5.0"];
const EXPIRED: &str = "1.4.0-rc.1";

impl Step for Rehearsal {
    fn describe(&self) -> Description {
        Description::step(
            "rehearse",
            "rehearse candidates, releases, a patch, a rollback and retention in a scratch folder",
        )
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        let programs = ["docker-registry", "git"].map(Need::Tool);
        notary::needs().into_iter().chain(programs).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = notary::plan(run).native("make a repository, a key, a registry and a site");
        let plan = ACTS.iter().fold(plan, |plan, (what, _, expected)| {
            plan.native(format!("release or move {what}: {expected}"))
        });
        Ok(plan.native(format!("prune {EXPIRED} and verify all others")))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        run.exec(log, &notary::build(run))?;
        tree::remove(&site::folder(run))?;
        let site = Site::start(run, log)?;
        for (what, act, expected) in ACTS {
            act(&site, what)?;
            let points = site.points()?;
            ensure!(points == expected, "after {what}, the channels are {points}, not {expected}");
        }
        let listed = site.page()?;
        for version in KEPT.iter().chain([&EXPIRED]) {
            ensure!(listed.contains(&format!("v{version}")), "the release page lacks {version}");
            site.verify(version)?;
        }
        site.follow("stable")?;
        site.prune()?;
        let plan = site.retention_plan()?;
        ensure!(plan.contains(&format!("v{EXPIRED}")), "the plan lacks {EXPIRED}:\n{plan}");
        for version in KEPT {
            ensure!(!plan.contains(&format!("\"v{version}\"")), "the plan has {version}:\n{plan}");
            site.verify(version)?;
        }
        ensure!(site.verify(EXPIRED).is_err(), "{EXPIRED} is still there after retention");
        drop(site);
        tree::remove(&site::folder(run))?;
        Ok(Outcome::Done(format!("{} acts, {} releases verified", ACTS.len() + 1, KEPT.len())))
    }
}
