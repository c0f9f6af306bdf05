// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks a published release with third-party clients: sha256sum, cosign, skopeo, oras, and the
//! podman of the maintenance OS, against the registry that serves it.

mod policy;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use engine::{Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use foundation::tree;
use programs::registry::{self, Registry};
use publish::verify::By;
use release::{Artifact, Image, Manifest, layout};

/// cosign's predicate type names of the attestations of each image: provenance and two SBOMs.
const ATTESTED: &[&str] = &["slsaprovenance1", "cyclonedx", "spdxjson"];

/// `cargo xtask smoke registry`.
pub struct SmokeRegistry;

impl Step for SmokeRegistry {
    fn name(&self) -> &'static str {
        "smoke-registry"
    }

    fn about(&self) -> &'static str {
        "read the published release with sha256sum, cosign, skopeo, oras and podman"
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        ["cosign", "oras", "skopeo"].into_iter().map(Need::Tool).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new()
            .command(registry::own(run))
            .reads(Input::Path(run.dist_in_plan()))
            .reads(Input::Path(PathBuf::from("target/registry")));
        let Ok(manifest) = run.manifest() else {
            return Ok(plan.native("check every file and image that release.json names"));
        };
        let commands = Clients { run, host: "127.0.0.1:PORT" }.commands(&manifest);
        Ok(commands.into_iter().fold(plan, Plan::command))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let manifest = run.manifest()?;
        let registry = Registry::start(run, log, self.name(), &registry::own(run))?;
        let pulled = pulled(run);
        tree::remove(&pulled)?;
        let commands = Clients { run, host: &registry.host }.commands(&manifest);
        for command in &commands {
            run.exec(log, command)?;
        }
        for file in [layout::MANIFEST, layout::CHECKSUMS] {
            let read = |folder: PathBuf| {
                fs::read(folder.join(file))
                    .with_context(|| format!("cannot read {}", folder.join(file).display()))
            };
            ensure!(
                read(pulled.clone())? == read(run.dist())?,
                "{file} came back from the registry with other content"
            );
        }
        let prefix = Clients { run, host: &registry.host }.prefix();
        let calls = commands.len();
        if manifest.signer.is_some() {
            return Ok(Outcome::Done(format!(
                "{calls} calls of other programs; no policy was tried, which is one of a key"
            )));
        }
        let tried = policy::tried(run, log, &manifest, &prefix)?;
        Ok(Outcome::Done(format!(
            "{calls} calls of other programs, {tried} images under the policy for signed ones"
        )))
    }
}

/// Output folder of `oras pull`.
fn pulled(run: &Run) -> PathBuf {
    run.workspace.scratch().join("smoke-registry")
}

/// Third-party commands against the registry at `host`.
struct Clients<'a> {
    run: &'a Run,
    host: &'a str,
}

impl Clients<'_> {
    fn commands(&self, manifest: &Manifest) -> Vec<Command> {
        let mut commands = vec![self.sha256sum(), self.oras_pull(&manifest.version)];
        for artifact in &manifest.artifacts {
            commands.push(self.cosign_verify_blob(artifact));
            commands.push(self.cosign_verify_blob_provenance(artifact));
        }
        for image in &manifest.images {
            commands.extend(image.tags.iter().map(|tag| self.skopeo_inspect(image, tag)));
            commands.push(self.oras_discover(image));
            commands.push(self.cosign_verify(image));
            let attested = ATTESTED.iter().map(|kind| self.cosign_verify_attestation(image, kind));
            commands.extend(attested);
        }
        commands
    }

    fn sha256sum(&self) -> Command {
        Command::new("sha256sum", self.run.dist()).args(["--check", "--strict", layout::CHECKSUMS])
    }

    fn oras_pull(&self, version: &str) -> Command {
        self.run
            .command("oras")
            .args(["pull", "--plain-http", "--output"])
            .arg(pulled(self.run))
            .arg(format!("{}/release:{}", self.prefix(), layout::tag(version)))
    }

    fn oras_discover(&self, image: &Image) -> Command {
        self.run.command("oras").args(["discover", "--plain-http"]).arg(self.by_digest(image))
    }

    fn skopeo_inspect(&self, image: &Image, tag: &str) -> Command {
        self.run.command("skopeo").args(["inspect", "--tls-verify=false"]).arg(format!(
            "docker://{}/{}:{tag}",
            self.prefix(),
            image.repository
        ))
    }

    /// Offline signatures have no entry in a transparency log.
    fn cosign(&self, verb: &str) -> Command {
        let by = By::own(self.run);
        let command = self
            .run
            .command("cosign")
            // cosign's default limit is 128 MiB.
            .env("COSIGN_MAX_ATTACHMENT_SIZE", "1GiB")
            .arg(verb);
        by.name(match by {
            By::Key(_) => command.arg("--insecure-ignore-tlog"),
            By::Identity(_) => command,
        })
    }

    fn cosign_verify_blob(&self, artifact: &Artifact) -> Command {
        self.cosign("verify-blob")
            .arg("--bundle")
            .arg(self.run.dist().join(layout::signature(&artifact.path)))
            .arg(self.run.dist().join(&artifact.path))
    }

    fn cosign_verify(&self, image: &Image) -> Command {
        self.cosign("verify").arg("--allow-http-registry").arg(self.by_digest(image))
    }

    fn cosign_verify_blob_provenance(&self, artifact: &Artifact) -> Command {
        self.cosign("verify-blob-attestation")
            .args(["--type", "slsaprovenance1", "--bundle"])
            .arg(self.run.dist().join(layout::provenance(&artifact.path)))
            .arg(self.run.dist().join(&artifact.path))
    }

    fn cosign_verify_attestation(&self, image: &Image, kind: &str) -> Command {
        self.cosign("verify-attestation")
            .args(["--allow-http-registry", "--type", kind])
            .arg(self.by_digest(image))
    }

    fn by_digest(&self, image: &Image) -> String {
        format!("{}/{}@{}", self.prefix(), image.repository, image.digest)
    }

    fn prefix(&self) -> String {
        format!("{}/{}", self.host, self.run.workspace.product().product.name)
    }
}
