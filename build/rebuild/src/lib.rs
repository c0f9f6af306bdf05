// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verifies reproducibility: builds the source a second time in a different environment and
//! compares all bytes, or compares with an earlier build of the same commit.
//!
//! Package files come from the first build's cache; everything else is rebuilt. Signatures and
//! provenance are excluded: they differ from run to run.

pub mod clean;
mod difference;
mod matrix;
mod part;
mod second;
pub mod snapshot;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use engine::{Description, Input, Need, Outcome, Plan, Run, Step, StepLog, absolute};
use foundation::command::quote;
use foundation::finding::Finding;
use foundation::{atomic, file};
use release::{Manifest, Reproduced, layout};
use serde::Serialize;

use self::difference::{DIFFOSCOPE, find_place};
use self::matrix::Row;
use self::second::{STEPS, SecondBuild, Variation};

/// The last step of `cargo xtask determinism`, or the second build of a part of the artifacts.
pub struct Rebuild {
    whole: bool,
}

impl Rebuild {
    /// Everything.
    pub const ALL: Self = Self { whole: true };
    /// The part that the commit chooses, of a release that was just built.
    pub const PART: Self = Self { whole: false };

    /// The steps of the second build.
    fn steps(&self, run: &Run) -> &'static [&'static dyn Step] {
        if self.whole { STEPS } else { part::select_part(run.workspace.commit()).1 }
    }
}

/// Folder of the second build, relative to the root.
const FOLDER: &str = "target/xtask/rebuild";
/// Report with files and variations, below the root.
const REPORT: &str = "target/xtask/determinism.json";
/// How many files diffoscope explains: the first ones explain the others, which contain them.
const EXPLAINED: usize = 5;

/// Arguments of pipelines that build twice.
#[derive(Default, Args)]
pub struct RebuildArguments {
    /// Compare with the earlier build of this commit that has this release.json, instead of building twice
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().map(absolute))]
    pub against: Option<PathBuf>,
}

impl Step for Rebuild {
    fn describe(&self) -> Description {
        if self.whole {
            Description::step("rebuild", "build again under variations and compare all bytes")
        } else {
            Description::step(
                "rebuild-part",
                "build the part that the commit chooses again under variations, and compare all bytes",
            )
        }
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        if run.options.step_arguments::<RebuildArguments>().against.is_some() {
            return Vec::new();
        }
        vec![Need::Tool("git"), Need::Wanted(DIFFOSCOPE), Need::Space(4 << 30)]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new().reads(Input::Source(PathBuf::new())).reads(Input::Manifest);
        if let Some(file) = &run.options.step_arguments::<RebuildArguments>().against {
            return Ok(plan
                .native(format!("compare all digests with {}", file.display()))
                .writes(REPORT));
        }
        let second = SecondBuild::new(run);
        let mut plan = plan
            .command(second.clone_command(run))
            .native("copy uncommitted changes and the cache of package files")
            .command(second.library_command(run));
        if !self.whole {
            let (name, _) = part::select_part(run.workspace.commit());
            plan = plan.native(format!("copy the release without its {name}"));
        }
        let plan = second.commands(run, self.steps(run))?.into_iter().fold(plan, Plan::command);
        Ok(plan.native("compare all files of the release").writes(REPORT))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        // Fails early: the builds take an hour.
        let ours = run.manifest()?;
        if let Some(file) = &run.options.step_arguments::<RebuildArguments>().against {
            let theirs = read_earlier(file, &ours)?;
            let folder = file.parent().unwrap_or_else(|| Path::new("."));
            let rows = matrix::compare_manifests((&run.dist(), &ours), (folder, &theirs))?;
            return conclude(run, log, Vec::new(), &rows, folder);
        }
        let mut second = SecondBuild::new(run);
        second.prepare(run, log)?;
        let steps = self.steps(run);
        let part = if self.whole { None } else { Some(part::prepare(run, log, &second)?) };
        for command in second.commands(run, steps)? {
            run.exec(log, &command)?;
        }
        let folder = second.root.join(run.dist_in_plan());
        let variations = second.variations(run);
        let mut rows = matrix::compare_folders(&run.dist(), &folder)?;
        if let Some(part) = &part {
            rows.retain(|row| part.has(run, &row.path));
        }
        for row in &mut rows {
            row.note_not_tried(&variations);
        }
        note(run, log, &variations, &rows)?;
        let outcome = conclude(run, log, variations, &rows, &folder)?;
        let Outcome::Done(fact) = outcome else { return Ok(outcome) };
        // Identical builds are removed; differing ones are kept for inspection.
        second.remove()?;
        Ok(Outcome::Done(match part {
            Some(part) => format!("{}: {fact}", part.name),
            None => fact,
        }))
    }
}

/// Reads the manifest of an earlier build of the same commit and version.
fn read_earlier(file: &Path, ours: &Manifest) -> Result<Manifest> {
    let bytes = file::read(file)?;
    let theirs = Manifest::parse(&bytes).with_context(|| format!("in {}", file.display()))?;
    ensure!(
        (&theirs.version, &theirs.source) == (&ours.version, &ours.source),
        "{} has version {} and commit {}, this build {} and {}: different source gives different artifacts",
        file.display(),
        theirs.version,
        theirs.source.commit,
        ours.version,
        ours.source.commit,
    );
    Ok(theirs)
}

/// The report: files by variations. All variations are applied at once.
#[derive(Serialize)]
struct Report<'a> {
    version: &'a str,
    variations: Vec<Variation>,
    files: &'a [Row],
}

/// Writes the report and returns the outcome.
fn conclude(
    run: &Run,
    log: &StepLog,
    variations: Vec<Variation>,
    rows: &[Row],
    other: &Path,
) -> Result<Outcome> {
    for row in rows {
        log.note(&row.to_string());
    }
    let mut unvaried = Vec::new();
    for variation in &variations {
        if let Some(reason) = &variation.same_because {
            log.note(&format!("not varied: {}: {reason}", variation.what));
            unvaried.push(variation.what);
        }
    }
    let report = Report { version: run.version().text(), variations, files: rows };
    let mut text = serde_json::to_string_pretty(&report)?;
    text.push('\n');
    atomic::write(&run.workspace.root().join(REPORT), text.as_bytes())?;
    let mut findings = Vec::new();
    for row in rows {
        let Some(found) = &row.difference else { continue };
        let explained = findings.len() < EXPLAINED && run.tools.find(DIFFOSCOPE).is_some();
        findings.push(finding(run, explained.then_some(log), (&row.path, found), other)?);
    }
    if !findings.is_empty() {
        return Ok(Outcome::Found(findings));
    }
    let whole = unvaried.into_iter().map(|what| format!(", {what} not varied"));
    let partly = report.variations.iter().filter(|it| it.same_because.is_none()).filter_map(|it| {
        let count = list_untried(rows, it.what).len();
        (count > 0).then(|| format!(", {} not applied to {count} of them", it.what))
    });
    let but: String = whole.chain(partly).collect();
    Ok(Outcome::Done(format!("{} files and images identical{but}", rows.len())))
}

/// Records the result in the manifest, unless it is signed.
fn note(run: &Run, log: &StepLog, variations: &[Variation], rows: &[Row]) -> Result<()> {
    let signature = run.dist().join(layout::signature(layout::MANIFEST));
    if signature.exists() {
        log.note("the release is signed: the result is not added to release.json");
        return Ok(());
    }
    let names = |different: bool| {
        let rows = rows.iter().filter(move |row| row.difference.is_some() == different);
        // The manifest cannot attest itself.
        rows.map(|row| row.path.clone()).filter(|path| path != layout::MANIFEST).collect()
    };
    let varied = variations.iter().filter(|it| it.same_because.is_none());
    let reproduced = Reproduced {
        variations: varied.map(|it| it.what.to_owned()).collect(),
        identical: names(false),
        different: names(true),
        not_tried: variations
            .iter()
            .filter(|it| it.same_because.is_none())
            .map(|it| (it.what.to_owned(), list_untried(rows, it.what)))
            .filter(|(_, paths)| !paths.is_empty())
            .collect(),
    };
    run.update_manifest(|manifest| {
        manifest.reproduced = Some(reproduced);
        Ok(())
    })
}

/// Paths that a variation did not apply to.
fn list_untried(rows: &[Row], what: &str) -> Vec<String> {
    let rows = rows.iter().filter(|row| row.not_tried.contains_key(what));
    rows.map(|row| row.path.clone()).collect()
}

/// The finding for the file or image at `path` that differs by `found`; with a log, diffoscope names the
/// innermost place.
fn finding(
    run: &Run,
    log: Option<&StepLog>,
    (path, found): (&str, &str),
    other: &Path,
) -> Result<Finding> {
    let (first, second) = (run.dist().join(path), other.join(path));
    let place = match log {
        Some(log) if second.exists() => find_place(run, log, &first, &second)?,
        _ => None,
    };
    let place = place.map(|place| format!("; {place}")).unwrap_or_default();
    let fix = format!(
        "{DIFFOSCOPE} {} {}{}",
        quote(first.as_os_str()),
        quote(second.as_os_str()),
        if run.tools.find(DIFFOSCOPE).is_some() { "" } else { " (apt-get install diffoscope)" }
    );
    let message = format!("the other build differs: {found}{place}");
    Ok(Finding::in_file(path, "not-reproducible", message, fix))
}
