// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks a published release with third-party clients: sha256sum, cosign, skopeo, oras, and the
//! podman of the maintenance OS, against the registry that serves it.

mod policy;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args as _;
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use foundation::{file, tree};
use programs::registry::{self, Registry};
use programs::target::{self, Target, TargetArguments};
use publish::verify::TrustedSigner;
use release::{Artifact, Image, Manifest, layout};

/// cosign's predicate type names of the attestations of each image: provenance and two SBOMs.
const ATTESTED: &[&str] = &["slsaprovenance1", "cyclonedx", "spdxjson"];

/// `cargo xtask smoke registry`.
pub struct SmokeRegistry;

impl Step for SmokeRegistry {
    fn describe(&self) -> Description {
        Description::step(
            "smoke-registry",
            "read the published release with sha256sum, cosign, skopeo, oras and podman",
        )
        .arguments(&[Argument::Release])
    }

    fn own_arguments(&self, command: clap::Command) -> clap::Command {
        TargetArguments::augment_args(command)
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        ["cosign", "oras", "skopeo"].into_iter().map(Need::Tool).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new().reads(Input::Path(run.dist_in_plan()));
        let target = target::find_target(run)?;
        let (plan, clients) = match &target {
            Some(target) => (plan, Clients::new(run, target)),
            None => (
                plan.command(registry::plan_registry(run))
                    .reads(Input::Path(PathBuf::from("target/registry"))),
                Clients::local(run, "127.0.0.1:PORT"),
            ),
        };
        let Ok(manifest) = run.manifest() else {
            return Ok(plan.native("check all files and images in release.json"));
        };
        let commands = clients.commands(&manifest);
        Ok(commands.into_iter().fold(plan, Plan::command))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let manifest = run.manifest()?;
        let pulled = pull_folder(run);
        tree::remove(&pulled)?;
        let target = target::find_target(run)?;
        let own = match &target {
            Some(_) => None,
            None => Some(Registry::start(run, log, self.name(), &registry::plan_registry(run))?),
        };
        let clients = match (&target, &own) {
            (Some(target), _) => Clients::new(run, target),
            (None, own) => {
                let own = own.as_ref().context("the local registry was not started")?;
                Clients::local(run, &own.host)
            }
        };
        let commands = clients.commands(&manifest);
        for command in &commands {
            run.exec(log, command)?;
        }
        for file in [layout::MANIFEST, layout::CHECKSUMS] {
            let read = |folder: PathBuf| file::read(&folder.join(file));
            ensure!(read(pulled.clone())? == read(run.dist())?, "{file} from the registry differs");
        }
        let calls = commands.len();
        let reason = match (&target, &manifest.signer) {
            (Some(_), _) => "which needs the local registry",
            (None, Some(_)) => "which is one of a key",
            (None, None) => "",
        };
        if !reason.is_empty() {
            return Ok(Outcome::Done(format!(
                "{calls} calls of other programs; no policy was tried, {reason}"
            )));
        }
        let tried = policy::check(run, log, &manifest, &clients.prefix)?;
        Ok(Outcome::Done(format!("{calls} commands, {tried} images under the signature policy")))
    }
}

/// Output folder of `oras pull`.
fn pull_folder(run: &Run) -> PathBuf {
    run.workspace.scratch().join("smoke-registry")
}

/// The calls of other programs against a registry.
struct Clients<'a> {
    run: &'a Run,
    /// `HOST[:PORT][/PREFIX]`.
    prefix: String,
    /// None for the local registry, which uses HTTP and needs no credentials.
    target: Option<&'a Target>,
}

impl<'a> Clients<'a> {
    fn new(run: &'a Run, target: &'a Target) -> Self {
        Self { run, prefix: target.namespace.to_string(), target: Some(target) }
    }

    fn local(run: &'a Run, host: &str) -> Self {
        let prefix = format!("{host}/{}", run.workspace.product().product.name);
        Self { run, prefix, target: None }
    }

    /// A program that talks to the registry; `plain_http` is its option for one without TLS.
    fn client(&self, program: &str, arguments: &[&str], plain_http: &str) -> Command {
        let command = self.run.command(program).args(arguments);
        let Some(target) = self.target else { return command.arg(plain_http) };
        let command = target.add_access(command);
        if target.namespace.is_tls() { command } else { command.arg(plain_http) }
    }

    /// oras, which reads no variables for these files.
    fn oras(&self, verb: &str) -> Command {
        let command = self.client("oras", &[verb], "--plain-http");
        let files = self.target.map(|it| [("--ca-file", &it.ca), ("--registry-config", &it.auth)]);
        files.into_iter().flatten().fold(command, |command, (option, path)| match path {
            Some(path) => command.arg(option).arg(path),
            None => command,
        })
    }

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
        self.oras("pull").arg("--output").arg(pull_folder(self.run)).arg(format!(
            "{}/release:{}",
            self.prefix,
            layout::tag(version)
        ))
    }

    fn oras_discover(&self, image: &Image) -> Command {
        self.oras("discover").arg(self.by_digest(image))
    }

    fn skopeo_inspect(&self, image: &Image, tag: &str) -> Command {
        self.client("skopeo", &["inspect"], "--tls-verify=false")
            .arg(format!("docker://{}/{}:{tag}", self.prefix, image.repository))
    }

    fn cosign(&self, verb: &str) -> Command {
        self.add_signer(self.run.command("cosign").arg(verb))
    }

    fn cosign_image(&self, verb: &str) -> Command {
        self.add_signer(self.client("cosign", &[verb], "--allow-http-registry"))
    }

    /// With a key there is no transparency log: a signature that was made offline has no entry there.
    fn add_signer(&self, command: Command) -> Command {
        let by = TrustedSigner::from_run(self.run);
        // TrustedSigner itself it reads no more than 128 MiB of a file.
        let command = command.env("COSIGN_MAX_ATTACHMENT_SIZE", "1GiB");
        by.name(match by {
            TrustedSigner::Key(_) => command.arg("--insecure-ignore-tlog"),
            TrustedSigner::Identity(_) => command,
        })
    }

    fn cosign_verify_blob(&self, artifact: &Artifact) -> Command {
        self.cosign("verify-blob")
            .arg("--bundle")
            .arg(self.run.dist().join(layout::signature(&artifact.path)))
            .arg(self.run.dist().join(&artifact.path))
    }

    fn cosign_verify(&self, image: &Image) -> Command {
        self.cosign_image("verify").arg(self.by_digest(image))
    }

    fn cosign_verify_blob_provenance(&self, artifact: &Artifact) -> Command {
        self.cosign("verify-blob-attestation")
            .args(["--type", "slsaprovenance1", "--bundle"])
            .arg(self.run.dist().join(layout::provenance(&artifact.path)))
            .arg(self.run.dist().join(&artifact.path))
    }

    fn cosign_verify_attestation(&self, image: &Image, kind: &str) -> Command {
        self.cosign_image("verify-attestation").args(["--type", kind]).arg(self.by_digest(image))
    }

    fn by_digest(&self, image: &Image) -> String {
        format!("{}/{}@{}", self.prefix, image.repository, image.digest)
    }
}
