// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds the same source once more, elsewhere and otherwise, and compares every byte.
//!
//! Package files come from the first build's cache; everything that is made of them is made again.
//! Signatures and provenance are outside: they hold the time at which they were made.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use release::layout;
use serde::Serialize;
use walkdir::WalkDir;

use super::{Input, Need, Outcome, Plan, Step, StepLog};
use crate::finding::Finding;
use crate::ops::cargo::build::cargo_home;
use crate::ops::command::Command;
use crate::ops::{atomic, compare, source};
use crate::run::Run;

/// The last step of `cargo xtask determinism`.
pub(crate) struct Rebuild;

/// Where the second build takes place, relative to the root.
const FOLDER: &str = "target/xtask/rebuild";
/// The matrix of files and what was found, below the root.
const REPORT: &str = "target/xtask/determinism.json";
/// What is carried out there, in this order: everything whose bytes may not differ.
const STEPS: &[&str] = &["build", "package", "images", "sbom", "checksums"];

/// Variables of the second build. Nothing of them may reach an artifact.
const OTHERWISE: &[(&str, &str)] = &[
    ("LC_ALL", "C.UTF-8"),
    ("LOGNAME", "nobody"),
    ("TZ", "Pacific/Kiritimati"),
    ("USER", "nobody"),
];
/// The umask of the second build: nobody else may read what it makes.
const UMASK: &str = "077";

impl Step for Rebuild {
    fn name(&self) -> &'static str {
        "rebuild"
    }

    fn about(&self) -> &'static str {
        "build again, elsewhere and otherwise, and compare every byte"
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("git"), Need::Space(4 << 30)]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let second = Second::new(run);
        let plan = Plan::new()
            .reads(Input::Source(PathBuf::new()))
            .reads(Input::Manifest)
            .command(second.clone_command(run))
            .native("copy what is not committed, and the cache of package files");
        let plan = STEPS.iter().try_fold(plan, |plan, step| {
            Ok::<_, anyhow::Error>(plan.command(second.command(step)?))
        })?;
        Ok(plan.native("compare every file of the release").writes(REPORT))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        // A clear error before an hour of work.
        run.manifest()?;
        let second = Second::new(run);
        second.prepare(run, log)?;
        for step in STEPS {
            run.exec(log, &second.command(step)?)?;
        }
        let theirs = second.root.join(run.dist_in_plan());
        let rows = rows(&run.dist(), &theirs)?;
        let report = Report {
            version: run.version().text(),
            variations: second.variations(run),
            files: &rows,
        };
        let mut text = serde_json::to_string_pretty(&report)?;
        text.push('\n');
        atomic::write(&run.workspace.root().join(REPORT), text.as_bytes())?;
        for row in &rows {
            log.note(&row.to_string());
        }
        let findings: Vec<_> = rows.iter().filter_map(Row::finding).collect();
        if findings.is_empty() {
            // What is alike need not be kept; what differs is worth a look.
            second.remove()?;
            Ok(Outcome::Done(format!("{} files identical", rows.len())))
        } else {
            Ok(Outcome::Found(findings))
        }
    }
}

/// The surroundings of the second build.
struct Second {
    /// Everything of it lies below.
    folder: PathBuf,
    /// The root of its workspace.
    root: PathBuf,
}

impl Second {
    fn new(run: &Run) -> Self {
        let folder = run.workspace.root().join(FOLDER);
        // Longer than any usual place, so that a path which got into a binary changes its length.
        let root = folder.join("elsewhere/in-a-folder-with-a-longer-name/source");
        Self { folder, root }
    }

    fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    fn cargo_home(&self) -> PathBuf {
        self.folder.join("cargo")
    }

    fn clone_command(&self, run: &Run) -> Command {
        run.command("git")
            .args(["clone", "--quiet", "--shared"])
            .arg(run.workspace.root())
            .arg(&self.root)
    }

    /// This program, carrying out `step` there.
    fn command(&self, step: &str) -> Result<Command> {
        let program = std::env::current_exe().context("cannot tell the path of this program")?;
        let rustup = std::env::var_os("RUSTUP_HOME").map_or_else(
            || Ok::<_, anyhow::Error>(home()?.join(".rustup")),
            |folder| Ok(folder.into()),
        )?;
        let command = Command::new("sh", &self.root)
            .args(["-c", &format!("umask {UMASK}; exec \"$@\""), "sh"])
            .arg(program)
            .args([step, "--jobs", "1"])
            .env("HOME", self.home())
            .env("CARGO_HOME", self.cargo_home())
            .env("RUSTUP_HOME", rustup)
            .without_env("CARGO_TARGET_DIR");
        Ok(OTHERWISE.iter().fold(command, |command, (name, value)| command.env(*name, value)))
    }

    /// The source as it stands here, committed or not, and the package files.
    fn prepare(&self, run: &Run, log: &StepLog) -> Result<()> {
        self.remove()?;
        run.exec(log, &self.clone_command(run))?;
        let ours: BTreeSet<_> = source::paths(run.workspace.root())?.into_iter().collect();
        for path in source::paths(&self.root)? {
            if !ours.contains(&path) {
                fs::remove_file(self.root.join(&path)).with_context(|| format!("remove {path}"))?;
            }
        }
        for path in &ours {
            let (from, to) = (run.workspace.root().join(path), self.root.join(path));
            if fs::read(&to).ok() != Some(fs::read(&from)?) {
                copy(&from, &to)?;
            }
        }
        fs::create_dir_all(self.home())?;
        fs::create_dir_all(self.cargo_home())?;
        let registry = cargo_home()?.join("registry");
        if registry.exists() {
            symlink(&registry, self.cargo_home().join("registry"))
                .context("cannot share the crates that cargo has fetched")?;
        }
        let packages = run.workspace.scratch().join("packages");
        for entry in fs::read_dir(&packages).into_iter().flatten() {
            let from = entry?.path();
            let name = from.file_name().unwrap_or_default();
            copy(&from, &self.root.join("target/xtask/packages").join(name))?;
        }
        Ok(())
    }

    fn remove(&self) -> Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)
                .with_context(|| format!("cannot remove {}", self.folder.display()))?;
        }
        Ok(())
    }

    fn variations(&self, run: &Run) -> Vec<Variation> {
        let own = |name: &str| std::env::var(name).unwrap_or_default();
        let variation = |what: &str, first: String, second: &dyn std::fmt::Display| Variation {
            what: what.to_owned(),
            first,
            second: second.to_string(),
        };
        let root = run.workspace.root().display().to_string();
        let cargo = cargo_home().map(|folder| folder.display().to_string()).unwrap_or_default();
        let mut variations = vec![
            variation("folder", root, &self.root.display()),
            variation("CARGO_HOME", cargo, &self.cargo_home().display()),
            variation("HOME", own("HOME"), &self.home().display()),
            variation("umask", "that of the caller".to_owned(), &UMASK),
            variation("jobs", run.options.jobs.to_string(), &1),
        ];
        variations.extend(OTHERWISE.iter().map(|(name, value)| variation(name, own(name), value)));
        variations
    }
}

fn home() -> Result<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set")
}

/// Copies a file with its mode, and makes the folders that it lies in.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// The report: files times variations. All variations are made at once.
#[derive(Serialize)]
struct Report<'a> {
    version: &'a str,
    variations: Vec<Variation>,
    files: &'a [Row],
}

#[derive(Serialize)]
struct Variation {
    what: String,
    first: String,
    second: String,
}

/// One file of the release.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    path: String,
    /// Absent where the bytes are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<String>,
}

impl Row {
    fn finding(&self) -> Option<Finding> {
        let difference = self.difference.as_ref()?;
        Some(Finding::in_file(
            &self.path,
            "not-reproducible",
            format!("the second build differs {difference}"),
            format!("compare target/dist with {FOLDER}, `diffoscope` shows more"),
        ))
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.difference.as_deref().unwrap_or("identical"))
    }
}

/// Compares every file of two release folders that must be the same.
fn rows(first: &Path, second: &Path) -> Result<Vec<Row>> {
    let mut paths = files(first)?;
    paths.extend(files(second)?);
    let read = |folder: &Path, path: &str| match fs::read(folder.join(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {path}")),
    };
    paths
        .into_iter()
        .map(|path| {
            let difference = match (read(first, &path)?, read(second, &path)?) {
                (Some(a), Some(b)) => compare::bytes(&a, &b).map(|found| found.to_string()),
                (Some(_), None) => Some("it is missing in the second build".to_owned()),
                (None, _) => Some("only the second build has it".to_owned()),
            };
            Ok(Row { path, difference })
        })
        .collect()
}

/// The files of a release folder, without what signing adds.
fn files(folder: &Path) -> Result<BTreeSet<String>> {
    let signed = [layout::PUBLIC_KEY, layout::SIGNATURES, layout::PROVENANCE];
    let mut files = BTreeSet::new();
    for entry in WalkDir::new(folder) {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let Ok(path) = entry.path().strip_prefix(folder) else { continue };
        let name = path.to_string_lossy().into_owned();
        let top = name.split('/').next().unwrap_or_default();
        if entry.file_type().is_file() && !signed.contains(&top) {
            files.insert(name);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            atomic::write(&folder.path().join(path), text.as_bytes()).unwrap();
        }
        folder
    }

    #[test]
    fn every_file_is_compared_and_signatures_are_not() {
        let first = release(&[
            ("SHA256SUMS", "a"),
            ("cosign.pub", "key"),
            ("images/tools/x/index.json", "{}"),
            ("only-here", ""),
            ("signatures/a.json", "1"),
        ]);
        let second = release(&[
            ("SHA256SUMS", "b"),
            ("cosign.pub", "other"),
            ("images/tools/x/index.json", "{}"),
            ("only-there", ""),
        ]);
        let rows = rows(first.path(), second.path()).unwrap();
        let told: Vec<_> = rows.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "SHA256SUMS: at offset 0x0: 61, and 62",
                "images/tools/x/index.json: identical",
                "only-here: it is missing in the second build",
                "only-there: only the second build has it",
            ]
        );
        assert_eq!(rows.iter().filter_map(Row::finding).count(), 3);
    }
}
