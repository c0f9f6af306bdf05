// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `cargo xtask dist --merge`: merges parts of a release, built with `--split` on separate hosts,
//! into the folder that a single host would build. Reads only `release.json` and the files that it
//! lists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use engine::{Description, Input, Outcome, Plan, Run, Step, StepLog, absolute};
use foundation::{checksum, tree};
use release::layout::{self, SbomFormat};
use release::{Artifact, ArtifactKind, Manifest};

use super::build::outputs;
use super::package::{copy, file_names};

/// The first step of `cargo xtask dist --merge`.
pub struct Merge;

/// Arguments of pipelines that merge parts.
#[derive(Default, Args)]
pub struct MergeArguments {
    /// Merge the parts of one release in these folders, built from this commit; build nothing
    #[arg(
        long,
        value_name = "DIR",
        num_args = 1..,
        conflicts_with_all = ["split", "engine"],
        value_parser = PathBufValueParser::new().map(absolute)
    )]
    pub merge: Vec<PathBuf>,
}

impl Step for Merge {
    fn describe(&self) -> Description {
        Description::step("merge", "merge the parts of a release, built on several hosts")
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let read = |plan: Plan, part: &PathBuf| plan.reads(Input::Path(part.clone()));
        let plan =
            run.options.step_arguments::<MergeArguments>().merge.iter().fold(Plan::new(), read);
        let dist = run.dist_in_plan();
        Ok(plan
            .native("check each part against its release.json, and the parts against each other")
            .native(format!("copy their files to {}", dist.display()))
            .writes(dist))
    }

    fn run(&self, run: &Run, _log: &StepLog) -> Result<Outcome> {
        let parts: Vec<Part> = run
            .options
            .step_arguments::<MergeArguments>()
            .merge
            .iter()
            .map(|folder| Part::read(folder))
            .collect::<Result<_>>()?;
        let whole =
            join_manifests(run, parts.iter().map(|it| (it.folder.as_path(), &it.manifest)))?;
        for part in &parts {
            part.check(&run.dist())?;
        }
        tree::remove(&run.dist())?;
        for part in &parts {
            for artifact in list_artifacts(&part.manifest) {
                let mode = if artifact.kind == ArtifactKind::Binary { 0o755 } else { 0o644 };
                let to = run.dist().join(&artifact.path);
                copy(&part.folder.join(&artifact.path), &to, mode)?;
            }
        }
        let count = whole.artifacts.len();
        run.update_manifest(|manifest| {
            *manifest = whole;
            Ok(())
        })?;
        Ok(Outcome::Done(format!("{count} files of {} parts", parts.len())))
    }
}

/// One part of the release.
struct Part {
    folder: PathBuf,
    manifest: Manifest,
}

impl Part {
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(layout::MANIFEST);
        let bytes = fs::read(&path).with_context(|| {
            format!("{} is not a part of a release: cannot read its release.json", folder.display())
        })?;
        let manifest = Manifest::parse(&bytes).with_context(|| path.display().to_string())?;
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    /// Checks its files against its manifest, and that it is not inside of `dist`, the output
    /// folder.
    fn check(&self, dist: &Path) -> Result<()> {
        let folder = fs::canonicalize(&self.folder)
            .with_context(|| format!("cannot read {}", self.folder.display()))?;
        if dist.canonicalize().is_ok_and(|dist| folder.starts_with(dist)) {
            bail!(
                "{} is in the output folder of the release: copy the part to another folder first",
                self.folder.display()
            );
        }
        for artifact in list_artifacts(&self.manifest) {
            let path = self.folder.join(&artifact.path);
            let (sha256, size) = checksum::sha256(&path)?;
            if (sha256.as_str(), size) != (artifact.sha256.as_str(), artifact.size) {
                bail!("{} does not match its release.json: build it again", path.display());
            }
        }
        Ok(())
    }
}

/// The files to merge; a part's checksums and its VEX document cover that part only.
fn list_artifacts(manifest: &Manifest) -> impl Iterator<Item = &Artifact> {
    let is_partial = |kind| matches!(kind, ArtifactKind::Checksums | ArtifactKind::Vex);
    manifest.artifacts.iter().filter(move |it| !is_partial(it.kind))
}

/// The merged manifest, without `SHA256SUMS`.
///
/// # Errors
/// When parts have another source or version, contradict each other, contain the same file, or are
/// incomplete.
fn join_manifests<'a>(
    run: &Run,
    parts: impl Iterator<Item = (&'a Path, &'a Manifest)>,
) -> Result<Manifest> {
    let source = release::Source {
        uri: run.workspace.product().product.source.clone(),
        commit: run.workspace.commit().to_owned(),
        dirty: run.workspace.is_dirty(),
    };
    let name = run.workspace.product().product.name.clone();
    let (version, channel) = (run.version().text().to_owned(), run.version().channel());
    let empty = Manifest::new(name, version, channel, source, run.workspace.epoch());
    combine(empty, parts, &list_expected(run)?)
}

/// All files that the merged release must contain.
fn list_expected(run: &Run) -> Result<BTreeSet<String>> {
    let mut expected = BTreeSet::new();
    for output in outputs(run)? {
        let names = file_names(run, &output);
        for name in &names.delivered {
            expected.extend(SbomFormat::ALL.map(|format| layout::sbom(name, format)));
        }
        expected.extend(names.delivered);
        expected.insert(names.debug);
    }
    Ok(expected)
}

/// Adds `parts` to `whole` and reports all conflicts at once.
fn combine<'a>(
    mut whole: Manifest,
    parts: impl Iterator<Item = (&'a Path, &'a Manifest)>,
    expected: &BTreeSet<String>,
) -> Result<Manifest> {
    let mut faults = Vec::new();
    let mut from: Vec<(&Path, &str)> = Vec::new();
    for (folder, part) in parts {
        let place = folder.display();
        let mut same = |what: &str, found: &str, wanted: &str| {
            if found != wanted {
                faults.push(format!("{place} has {what} {found}, expected {wanted}"));
            }
        };
        same("product", &part.product, &whole.product);
        same("version", &part.version, &whole.version);
        same("commit", &part.source.commit, &whole.source.commit);
        same("source", &part.source.uri, &whole.source.uri);
        same("time", &part.epoch.to_string(), &whole.epoch.to_string());
        if part.source.dirty != whole.source.dirty {
            faults.push(format!("{place} and this work tree: only one is dirty"));
        }
        if let Some(image) = part.images.first() {
            faults.push(format!(
                "{place} contains the image {}: `cargo xtask images` builds images for all \
                 architectures on one host",
                image.repository
            ));
        }
        for (job, engine) in &part.engines {
            match whole.engines.get(job) {
                Some(other) if other != engine => faults.push(format!(
                    "{place} used {} {} for {job}, another part {} {}",
                    engine.name, engine.version, other.name, other.version
                )),
                _ => drop(whole.engines.insert(job.clone(), engine.clone())),
            }
        }
        for material in &part.materials {
            let known = whole.materials.iter().find(|it| it.uri == material.uri);
            if known.is_some_and(|known| known != material) {
                faults.push(format!(
                    "{place} was built from another {} than other parts",
                    material.uri
                ));
            }
            whole.put_material(material.clone());
        }
        for artifact in list_artifacts(part) {
            if !expected.contains(&artifact.path) {
                faults.push(format!(
                    "{place} contains {}, which is not part of the release",
                    artifact.path
                ));
            } else if let Some((first, _)) = from.iter().find(|it| it.1 == artifact.path) {
                faults.push(format!(
                    "{} and {place} both contain {}",
                    first.display(),
                    artifact.path
                ));
            }
            from.push((folder, &artifact.path));
            whole.put_artifact(artifact.clone());
        }
    }
    let missing = expected.iter().filter(|path| from.iter().all(|it| it.1 != path.as_str()));
    faults.extend(missing.map(|path| format!("no part contains {path}")));
    if faults.is_empty() {
        return Ok(whole);
    }
    bail!("these parts are not a complete release:\n  {}", faults.join("\n  "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use release::{Channel, Engine, Image, Material, Source};

    use super::*;

    /// A modification of a part.
    type Change<'a> = &'a dyn Fn(&mut Manifest);

    fn empty() -> Manifest {
        let source = Source {
            uri: "https://example.org/source".to_owned(),
            commit: "c0ffee".to_owned(),
            dirty: false,
        };
        Manifest::new("thing".to_owned(), "1.2.3".to_owned(), Channel::Stable, source, 7)
    }

    /// A part with the file `path`, built from `lock` by the compiler of `version`.
    fn part(path: &str, lock: &str, version: &str) -> Manifest {
        let mut part = empty();
        part.put_material(Material {
            uri: "file:Cargo.lock".to_owned(),
            digest: BTreeMap::from([("sha256".to_owned(), lock.to_owned())]),
        });
        let engine = Engine { name: "native".to_owned(), version: version.to_owned() };
        part.engines.insert("sbom".to_owned(), engine);
        for (path, kind) in [(path, ArtifactKind::Binary), ("SHA256SUMS", ArtifactKind::Checksums)]
        {
            part.put_artifact(Artifact {
                path: path.to_owned(),
                kind,
                architecture: None,
                describes: None,
                size: 1,
                sha256: "00".to_owned(),
            });
        }
        part
    }

    fn merge_manifests(parts: &[Manifest]) -> Result<Manifest, String> {
        let expected = ["a", "b"].map(str::to_owned).into();
        let folders = ["first", "second", "third"].map(Path::new);
        let parts = folders.into_iter().zip(parts);
        combine(empty(), parts, &expected).map_err(|error| error.to_string())
    }

    #[test]
    fn parts_become_one_whatever_their_order() {
        let (a, b) = (part("a", "11", "1"), part("b", "11", "1"));
        let one = merge_manifests(&[a.clone(), b.clone()]).unwrap();
        assert_eq!(one.to_json().unwrap(), merge_manifests(&[b, a]).unwrap().to_json().unwrap());
        assert_eq!(one.artifacts.len(), 2);
        assert_eq!((one.materials.len(), one.engines.len()), (1, 1));
    }

    #[test]
    fn conflicts_are_reported_with_their_place() {
        let (a, b) = (part("a", "11", "1"), part("b", "11", "1"));
        let with = |change: &dyn Fn(&mut Manifest)| {
            let mut changed = b.clone();
            change(&mut changed);
            merge_manifests(&[a.clone(), changed]).unwrap_err()
        };
        let cases: [(Change<'_>, &str); 10] = [
            (&|it| it.source.commit = "f00d".to_owned(), "second has commit f00d, expected c0ffee"),
            (&|it| it.version = "1.2.4".to_owned(), "second has version 1.2.4, expected 1.2.3"),
            (&|it| it.product = "other".to_owned(), "second has product other, expected thing"),
            (&|it| it.epoch = 8, "second has time 8, expected 7"),
            (&|it| it.source.dirty = true, "second and this work tree: only one is dirty"),
            (&|it| *it = part("b", "22", "1"), "second was built from another file:Cargo.lock"),
            (&|it| *it = part("b", "11", "2"), "second used native 2 for sbom, another part"),
            (
                &|it| *it = part("c", "11", "1"),
                "second contains c, which is not part of the release",
            ),
            (&|it| *it = part("a", "11", "1"), "first and second both contain a"),
            (&|it| it.images.push(image()), "second contains the image tools/example"),
        ];
        for (change, expected) in cases {
            let error = with(change);
            assert!(error.contains(expected), "{expected}\n{error}");
        }
        let error = merge_manifests(&[a]).unwrap_err();
        assert!(error.ends_with("no part contains b"), "{error}");
    }

    fn image() -> Image {
        Image {
            repository: "tools/example".to_owned(),
            layout: "images/tools/example".to_owned(),
            digest: "sha256:00".to_owned(),
            media_type: String::new(),
            architectures: Vec::new(),
            tags: Vec::new(),
        }
    }
}
