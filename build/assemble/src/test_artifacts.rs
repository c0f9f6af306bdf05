// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds operating systems for installation tests: a bootable Linux for each architecture, and a
//! WIM with Windows' folders. Each becomes an OCI artifact that is labelled as not for production.
//!
//! They are not part of the release, have their own manifest, and cannot be promoted: see
//! `release::test_artifacts`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use debian::lock::{Lock, TEST_ARTIFACTS};
use engine::workspace::TestSystems;
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use foundation::epoch::rfc3339;
use foundation::tree::remove;
use foundation::{atomic, file};
use media::base::arch;
use oci::spec::{
    Descriptor, ImageIndexBuilder, ImageManifest, MediaType, Os, Platform, PlatformBuilder,
};
use oci::{Layout, artifact, media_type};
use release::test_artifacts::{NON_PRODUCTION, RECORD};
use release::{Architecture, TestArtifact};

use super::images::packages;

/// `cargo xtask test-artifacts`.
pub struct TestArtifacts;

/// Artifact type of a root file system, and media type of its layer (OCI image specification 1.1,
/// "Image Layer Filesystem Changeset").
const ROOT_ARTIFACT: &str = "application/vnd.provisioner.test.rootfs.v1";
const ROOT_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Artifact type of a WIM, and media type of its layer, from shared-mime-info.
const WIM_ARTIFACT: &str = "application/vnd.provisioner.test.wim.v1";
const WIM_LAYER: &str = "application/x-ms-wim";

impl Step for TestArtifacts {
    fn describe(&self) -> Description {
        Description::step(
            "test-artifacts",
            "build OS images for provisioning tests, outside of releases",
        )
        .example("--target all")
        .arguments(&[Argument::Target])
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        let tools = ["cpio", "dpkg-deb", "tar", "wimlib-imagex", "xz", "zstd"];
        tools.into_iter().map(Need::Tool).chain([Need::Space(1 << 30)]).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let systems = systems(run)?;
        let base = run.workspace.product().base(&systems.base)?;
        let plan = Plan::new()
            .reads(Input::Path("release.toml".into()))
            .reads(Input::Path(base.lock.clone()))
            .reads(Input::Source(systems.context.clone()));
        let folder = folder_in_plan(run);
        let plan = run.options.architectures.iter().fold(plan, |plan, architecture| {
            let output = folder.join(file_of(*architecture));
            plan.command(linux(run, systems, &output, &[PathBuf::from("PACKAGES")], 0))
        });
        Ok(plan
            .command(windows(run, systems, &folder.join(WIM), 0))
            .native(format!("write {RECORD} and an OCI layout of each, labelled {NON_PRODUCTION}"))
            .writes(folder))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let systems = systems(run)?;
        let base = run.workspace.product().base(&systems.base)?;
        let lock = Lock::read(&run.workspace.root().join(&base.lock))?;
        let folder = folder(run);
        remove(&folder)?;
        file::create_folder(&folder)?;

        let mut roots = Vec::new();
        for architecture in &run.options.architectures {
            let locked = lock.set(*architecture, TEST_ARTIFACTS)?;
            let files = packages::fetch(run, log, &base.suite, *architecture, &locked)?;
            let output = folder.join(file_of(*architecture));
            run.exec(log, &linux(run, systems, &output, &files, lock.epoch))?;
            roots.push((*architecture, output));
        }
        let wim = folder.join(WIM);
        run.exec(log, &windows(run, systems, &wim, lock.epoch))?;

        let artifacts =
            vec![write_linux(run, &folder, &roots)?, write_windows(run, &folder, &wim)?];
        let record = release::TestArtifacts::new(run.version().text().to_owned(), artifacts);
        atomic::write(&folder.join(RECORD), record.to_json()?.as_bytes())?;
        let count = roots.len() + 1;
        Ok(Outcome::Done(format!("{count} systems in {}", folder_in_plan(run).display())))
    }
}

/// File name of the WIM.
const WIM: &str = "windows.wim";

/// File name of the root file system.
pub fn file_of(architecture: Architecture) -> String {
    format!("linux-{}.tar.zst", architecture.oci())
}

/// Output folder, relative to the root: outside of the release.
fn folder_in_plan(run: &Run) -> PathBuf {
    Path::new("target/test-artifacts").join(run.version().text())
}

/// Output folder, absolute.
pub fn folder(run: &Run) -> PathBuf {
    run.workspace.root().join(folder_in_plan(run))
}

fn systems(run: &Run) -> Result<&TestSystems> {
    let declared = run.workspace.product().test_artifacts.as_ref();
    declared.context("release.toml has no [test_artifacts]")
}

fn linux(
    run: &Run,
    systems: &TestSystems,
    output: &Path,
    packages: &[PathBuf],
    epoch: u64,
) -> Command {
    script(run, &systems.context.join("linux/build"), epoch).arg(output).args(packages)
}

fn windows(run: &Run, systems: &TestSystems, output: &Path, epoch: u64) -> Command {
    script(run, &systems.context.join("windows/build"), epoch).arg(output)
}

/// Uses the lock's timestamp, so that the result is independent of the commit.
fn script(run: &Run, path: &Path, epoch: u64) -> Command {
    run.command("sh").arg(path).env("SOURCE_DATE_EPOCH", epoch.to_string())
}

fn write_linux(
    run: &Run,
    folder: &Path,
    roots: &[(Architecture, PathBuf)],
) -> Result<TestArtifact> {
    let layout = Layout::create(folder.join("linux"))?;
    let annotations = annotations(run, "Test Linux", "boots and prints a marker")?;
    let mut manifests = Vec::new();
    for (architecture, file) in roots {
        let mut manifest = write_artifact(&layout, ROOT_ARTIFACT, ROOT_LAYER, file, &annotations)?;
        manifest.set_platform(Some(platform(*architecture)?));
        manifests.push(manifest);
    }
    let index = ImageIndexBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageIndex)
        .artifact_type(ROOT_ARTIFACT)
        .manifests(manifests)
        .annotations(annotations.into_iter().collect::<std::collections::HashMap<_, _>>())
        .build()?;
    let index = layout.write_json(media_type::IMAGE_INDEX, &index)?;
    finish(&layout, "linux", index)
}

fn write_windows(run: &Run, folder: &Path, wim: &Path) -> Result<TestArtifact> {
    let layout = Layout::create(folder.join("windows"))?;
    let annotations =
        annotations(run, "Test WIM", "has the folder structure of Windows, but no files of it")?;
    let manifest = write_artifact(&layout, WIM_ARTIFACT, WIM_LAYER, wim, &annotations)?;
    finish(&layout, "windows", manifest)
}

fn finish(layout: &Layout, name: &str, root: Descriptor) -> Result<TestArtifact> {
    let digest = root.digest().to_string();
    layout.write_index(vec![root])?;
    Ok(TestArtifact { name: name.to_owned(), digest })
}

/// Writes an artifact with the single file `file`.
fn write_artifact(
    layout: &Layout,
    artifact_type: &str,
    layer_type: &str,
    file: &Path,
    annotations: &BTreeMap<String, String>,
) -> Result<Descriptor> {
    let content = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut layer = layout.write_blob(layer_type, content)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let title = (oci::spec::ANNOTATION_TITLE.to_owned(), name);
    layer.set_annotations(Some([title].into()));
    layout.write_blob(media_type::EMPTY, artifact::EMPTY_JSON)?;
    let manifest: ImageManifest =
        artifact::manifest(artifact_type, vec![layer], None, annotations.clone())?;
    Ok(layout.write_json(media_type::IMAGE_MANIFEST, &manifest)?)
}

/// Annotations of all manifests.
fn annotations(run: &Run, title: &str, does: &str) -> Result<BTreeMap<String, String>> {
    use oci::spec::{
        ANNOTATION_CREATED, ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REVISION,
        ANNOTATION_SOURCE, ANNOTATION_VENDOR, ANNOTATION_VERSION,
    };
    let product = &run.workspace.product().product;
    let description = format!("Not for production: {does}, for installation tests");
    Ok([
        (NON_PRODUCTION, "true".to_owned()),
        (ANNOTATION_CREATED, rfc3339(run.workspace.epoch())?),
        (ANNOTATION_DESCRIPTION, description),
        // The included Debian packages have their own licences.
        (ANNOTATION_LICENSES, format!("{} AND GPL-2.0-only", product.license)),
        (ANNOTATION_REVISION, run.workspace.commit().to_owned()),
        (ANNOTATION_SOURCE, product.source.clone()),
        (oci::spec::ANNOTATION_TITLE, title.to_owned()),
        (ANNOTATION_VENDOR, product.vendor.clone()),
        (ANNOTATION_VERSION, run.version().text().to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect())
}

fn platform(architecture: Architecture) -> Result<Platform> {
    Ok(PlatformBuilder::default().architecture(arch(architecture)).os(Os::Linux).build()?)
}
