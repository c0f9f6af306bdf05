// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares a release with the snapshot that the main branch built of the same commit: its executables
//! may differ in the section with the identity alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use build_info::stamp;
use engine::{Description, Input, Outcome, Plan, Run, Skip, Step, StepLog};
use flate2::read::GzDecoder;
use foundation::finding::Finding;
use release::{ArtifactKind, Manifest, layout};

use super::difference::find_first;

/// The step of `ci release` after the build.
pub struct CompareSnapshot;

/// First bytes of an ELF file.
const ELF: &[u8] = b"\x7fELF";
/// The files with executables or debug information that are compared.
const KINDS: [ArtifactKind; 3] = [ArtifactKind::Binary, ArtifactKind::Debug, ArtifactKind::Package];

impl Step for CompareSnapshot {
    fn describe(&self) -> Description {
        Description::step(
            "compare-snapshot",
            "compare executables and inputs with the snapshot of the same commit",
        )
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let snapshot = snapshot(run);
        Ok(Plan::new()
            .native(format!("compare executables and inputs with {}", snapshot.display()))
            .reads(Input::Manifest)
            .reads(Input::Path(snapshot)))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let folder = run.workspace.root().join(snapshot(run));
        let path = folder.join(layout::MANIFEST);
        if !path.exists() {
            let why = format!("{} was not built here", snapshot(run).display());
            return Ok(Outcome::Skipped(Skip::NotApplicable { why }));
        }
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let theirs = Manifest::parse(&bytes).with_context(|| format!("in {}", path.display()))?;
        let (count, findings) = compare((&run.dist(), &run.manifest()?), (&folder, &theirs))?;
        for finding in &findings {
            log.note(&finding.to_string());
        }
        Ok(if findings.is_empty() {
            Outcome::Done(format!("{count} executables differ in their identity alone"))
        } else {
            Outcome::Found(findings)
        })
    }
}

/// Folder of the snapshot, relative to the root.
fn snapshot(run: &Run) -> PathBuf {
    Path::new("target/dist").join(run.workspace.snapshot().text())
}

/// Number of compared files, and the differences.
fn compare(
    (folder, ours): (&Path, &Manifest),
    (other, theirs): (&Path, &Manifest),
) -> Result<(usize, Vec<Finding>)> {
    let mut findings = Vec::new();
    let differs = |path: &str, how: &str| {
        let fix = format!("diffoscope {} {}", folder.display(), other.display());
        Finding::in_file(
            path,
            "differs-from-main",
            format!("the snapshot of the commit {how}"),
            fix,
        )
    };
    if ours.materials != theirs.materials {
        findings.push(differs(layout::MANIFEST, "was built from other inputs"));
    }
    let (tag, other_tag) = (layout::tag(&ours.version), layout::tag(&theirs.version));
    let mut count = 0;
    for artifact in ours.artifacts.iter().filter(|it| KINDS.contains(&it.kind)) {
        let other_path = artifact.path.replace(&tag, &other_tag);
        if !theirs.artifacts.iter().any(|it| it.path == other_path) {
            findings.push(differs(&artifact.path, "lacks this file"));
            continue;
        }
        let first = executables(&folder.join(&artifact.path))?;
        let second = executables(&other.join(&other_path))?;
        if !first.keys().eq(second.keys()) {
            findings.push(differs(&artifact.path, "has other executables in it"));
        }
        for (name, bytes) in &first {
            let Some(found) = second.get(name).and_then(|it| find_first(bytes, it)) else {
                count += 1;
                continue;
            };
            findings.push(differs(&artifact.path, &format!("differs: {found}")));
        }
    }
    Ok((count, findings))
}

/// The ELF files in the file at `path`, itself or the members of a tar.gz, without their identity.
fn executables(path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let place = || format!("cannot read {}", path.display());
    let mut bytes = fs::read(path).with_context(place)?;
    let mut found = BTreeMap::new();
    if bytes.starts_with(ELF) {
        clear_identity(&mut bytes);
        found.insert(String::new(), bytes);
    } else if path.extension().is_some_and(|it| it == "gz") {
        let mut archive = tar::Archive::new(GzDecoder::new(bytes.as_slice()));
        for entry in archive.entries().with_context(place)? {
            let mut entry = entry.with_context(place)?;
            let member = entry.path().with_context(place)?;
            // The top folder may have the version in its name.
            let name = member.iter().skip(1).collect::<PathBuf>().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).with_context(place)?;
            if content.starts_with(ELF) {
                clear_identity(&mut content);
                found.insert(name, content);
            }
        }
    }
    Ok(found)
}

/// Clears the identity of an executable. Debug information has none.
fn clear_identity(bytes: &mut [u8]) {
    let _without_identity = stamp::stamp(bytes, "");
}

#[cfg(test)]
mod tests {
    use release::{Artifact, Channel, Material, Source};

    use super::*;

    /// A release with this test's executable, stamped with its version.
    fn release(version: &str, change: impl FnOnce(&mut Vec<u8>)) -> (tempfile::TempDir, Manifest) {
        let folder = tempfile::tempdir().unwrap();
        let mut binary = fs::read(std::env::current_exe().unwrap()).unwrap();
        stamp::stamp(&mut binary, version).unwrap();
        change(&mut binary);
        let path = format!("one_v{version}_linux_amd64");
        fs::write(folder.path().join(&path), &binary).unwrap();
        let source =
            Source { uri: "https://x.example".to_owned(), commit: "c".to_owned(), dirty: false };
        let mut manifest =
            Manifest::new("one".to_owned(), version.to_owned(), Channel::Stable, source, 0);
        manifest.artifacts.push(Artifact {
            path,
            kind: ArtifactKind::Binary,
            architecture: None,
            describes: None,
            size: binary.len() as u64,
            sha256: String::new(),
        });
        (folder, manifest)
    }

    fn differences(
        ours: &(tempfile::TempDir, Manifest),
        theirs: &(tempfile::TempDir, Manifest),
    ) -> Vec<String> {
        let found = compare((ours.0.path(), &ours.1), (theirs.0.path(), &theirs.1)).unwrap();
        found.1.into_iter().map(|it| it.message).collect()
    }

    #[test]
    fn only_the_identity_may_differ() {
        // Links the crate, so that this program has the note.
        assert!(build_info::version().ends_with("-dev"));
        let ours = release("1.2.3", |_| {});
        let same = release("1.2.3-snapshot.c", |_| {});
        assert_eq!(differences(&ours, &same), [""; 0]);
        let mut other = release("1.2.3-snapshot.c", |bytes| {
            let last = bytes.len() / 2;
            bytes[last] ^= 1;
        });
        let found = differences(&ours, &other);
        assert!(found.len() == 1 && found[0].contains("differs"), "{found:?}");
        other.1.artifacts.clear();
        other.1.materials.push(Material { uri: "x".to_owned(), digest: BTreeMap::new() });
        let found = differences(&ours, &other).join("; ");
        assert!(found.contains("other inputs") && found.contains("lacks this file"), "{found}");
    }
}
