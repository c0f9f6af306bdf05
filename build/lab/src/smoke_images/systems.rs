// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Test systems for the steps under test, in a local registry.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use assemble::test_artifacts;
use engine::{Run, StepLog};
use foundation::command::Command;
use oci::Layout;
use oci::spec::ImageManifest;
use programs::notary;
use programs::registry::{self, Registry};
use release::test_artifacts::RECORD;
use release::{TestArtifact, TestArtifacts};

/// A registry with the test systems. Dropping it stops the registry.
pub(super) struct Systems {
    registry: Registry,
    /// `HOST:PORT/PREFIX`.
    prefix: String,
    folder: PathBuf,
    record: TestArtifacts,
}

impl Systems {
    /// Pushes the output of `cargo xtask test-artifacts` to a new registry with storage below
    /// `folder`.
    ///
    /// # Errors
    /// When the test artifacts are missing, or the release has no controller to serve
    /// them.
    pub(super) fn start(run: &Run, log: &StepLog, folder: &Path) -> Result<Self> {
        let made = test_artifacts::folder(run);
        let path = made.join(RECORD);
        let record = fs::read(&path).with_context(|| {
            format!("cannot read {}: run `cargo xtask test-artifacts` first", path.display())
        })?;
        let record = TestArtifacts::parse(&record)?;
        run.exec(log, &notary::build(run))?;
        let serve = registry::serve(run, &folder.join("registry"));
        let registry = Registry::start(run, log, "smoke-images", &serve)?;
        let prefix = format!("{}/{}", registry.host, run.workspace.product().product.name);
        run.exec(log, &push(run, &made, &prefix))?;
        Ok(Self { registry, prefix, folder: made, record })
    }

    /// Variables of recipe.env that point to this registry: task, variable, value.
    pub(super) fn values(&self) -> Result<Vec<(&'static str, &'static str, String)>> {
        let (linux, windows) = (self.artifact("linux")?, self.artifact("windows")?);
        let reference =
            |it: &TestArtifact| format!("{}/{}@{}", self.prefix, it.repository(), it.digest);
        // A registry serves any blob as a file named by its digest.
        let layout = Layout::open(self.folder.join(&windows.name))?;
        let index = layout.index()?;
        let root = index.manifests().first().context("the WIM's layout is empty")?;
        let manifest: ImageManifest = serde_json::from_slice(&layout.read_document(root)?)?;
        let layer = manifest.layers().first().context("the WIM's artifact is empty")?;
        let file = layer.digest();
        let url = format!(
            "http://{}/v2/{}/{}/blobs/{file}",
            self.registry.host,
            self.prefix.split_once('/').map_or("", |(_, prefix)| prefix),
            windows.repository(),
        );
        Ok(vec![
            ("install-linux", "OCI_URL", reference(linux)),
            ("install-windows", "OCI_URL", reference(windows)),
            ("firmware-update", "FIRMWARE_URL", url),
            ("firmware-update", "FIRMWARE_SHA256", file.digest().to_owned()),
        ])
    }

    fn artifact(&self, name: &str) -> Result<&TestArtifact> {
        let found = self.record.artifacts.iter().find(|it| it.name == name);
        found.with_context(|| format!("no test system {name}"))
    }
}

fn push(run: &Run, from: &Path, prefix: &str) -> Command {
    notary::call(run, "push-test-artifacts").arg("--from").arg(from).arg("--to").arg(prefix)
}
