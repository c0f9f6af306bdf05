// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tests the signature policy of the maintenance OS with its own podman: each tool image is
//! accepted; unsigned images, images signed with another key, and images that are not tools are
//! rejected.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::{emulation, file, tree};
use media::container::{Call, Container, Runner, remove_store};
use media::platforms;
use oci::{Digest, Layout};
use programs::notary;
use release::{Image, Manifest, layout};

/// The script that writes the policy, and the folder that configures where signatures are stored.
const SCRIPT: &str = "/usr/libexec/provisioner/tool-policy";
const REGISTRIES: &str = "/etc/containers/registries.d";
/// Keys, policies and pulled images, inside the maintenance OS.
const HERE: &str = "/run/policy";

/// The maintenance OS of a release, and the registry that serves the release below `prefix`.
pub(super) struct Trial<'a> {
    run: &'a Run,
    log: &'a StepLog,
    prefix: &'a str,
    folder: PathBuf,
    system: Container,
}

/// Runs all checks and returns the number of images accepted or rejected as expected; `None` where
/// the release has no maintenance OS.
pub(super) fn check(run: &Run, log: &StepLog, manifest: &Manifest, prefix: &str) -> Result<usize> {
    let product = run.workspace.product();
    let Some(iso) = &product.iso else { return Ok(0) };
    let system = manifest.images.iter().find(|image| image.repository == iso.image);
    let system = system.with_context(|| format!("the release has no image {}", iso.image))?;
    let folder = run.workspace.scratch().join("smoke-policy");
    clean(&folder)?;
    for part in ["none", "here"] {
        let path = folder.join(part);
        file::create_folder(&path)?;
    }
    let system = unpack(run, log, &folder, &Layout::open(run.dist().join(&system.layout))?)?;
    let trial = Trial { run, log, prefix, folder, system };
    let (tools, others): (Vec<&Image>, Vec<&Image>) = manifest
        .images
        .iter()
        .partition(|image| product.tools().any(|tool| tool.name == image.repository));
    trial.run(&tools, &others)?;
    clean(&trial.folder)?;
    Ok(tools.len() + others.len() + 2)
}

fn clean(folder: &Path) -> Result<()> {
    remove_store(&folder.join("here/store"))?;
    tree::remove(folder)
}

/// Unpacks the image to a folder for `chroot`: this test is not about containers.
fn unpack(run: &Run, log: &StepLog, folder: &Path, layout: &Layout) -> Result<Container> {
    let platforms = platforms::read(layout)?;
    let here = emulation::host();
    let platform = platforms.iter().find(|it| it.architecture == here);
    let platform =
        platform.with_context(|| format!("the maintenance OS is not built for {}", here.oci()))?;
    let layers = platform.manifest.layers().iter();
    let layers: Vec<PathBuf> = layers
        .map(|layer| Ok(layout.blob_path(&Digest::try_from(layer.digest())?)))
        .collect::<Result<_>>()?;
    let runner = Runner::Chroot;
    for command in runner.load(folder, layout.root(), &layers, here) {
        run.exec(log, &command)?;
    }
    let folder = folder.to_owned();
    Ok(Container { runner, folder, id: String::new(), entry_point: Vec::new() })
}

impl Trial<'_> {
    fn run(&self, tools: &[&Image], others: &[&Image]) -> Result<()> {
        let here = self.folder.join("here");
        let other = here.join("other.key");
        self.run.exec(self.log, &notary::generate(self.run, &other))?;
        let ours = self.run.dist().join(layout::PUBLIC_KEY);
        fs::copy(&ours, here.join("ours.pub"))
            .with_context(|| format!("cannot read {}", ours.display()))?;
        for key in ["ours", "other"] {
            self.run.exec(self.log, &self.policy(key))?;
        }

        for tool in tools {
            self.run.exec(self.log, &self.pull(tool, "ours", None))?;
        }
        let tool = tools.first().context("the release has no tool image")?;
        // Without a configured signature location, an image counts as unsigned.
        let none = self.folder.join("none");
        self.expect_refusal(&self.pull(tool, "ours", Some(&none)), "no signature exists")?;
        self.expect_refusal(
            &self.pull(tool, "other", None),
            "cryptographic signature verification failed",
        )?;
        for image in others {
            self.expect_refusal(&self.pull(image, "ours", None), "rejected by policy")?;
        }
        Ok(())
    }

    /// Writes the policy for key `key` with the maintenance OS's script.
    fn policy(&self, key: &str) -> Command {
        let tools = format!("TOOLS={}/tools", self.prefix);
        let (key, policy) = (format!("{HERE}/{key}.pub"), format!("{HERE}/{key}.json"));
        self.inside("env", &[&tools, SCRIPT, &key, &policy], None)
    }

    /// Pulls `image` under `policy`; `signatures` replaces the configuration of signature
    /// locations.
    fn pull(&self, image: &Image, policy: &str, signatures: Option<&Path>) -> Command {
        let (root, state) = (format!("{HERE}/store/root"), format!("{HERE}/store/run"));
        let policy = format!("{HERE}/{policy}.json");
        let image = format!("docker://{}/{}@{}", self.prefix, image.repository, image.digest);
        let arguments = [
            "--root",
            &root,
            "--runroot",
            &state,
            "pull",
            "--quiet",
            "--tls-verify=false",
            "--signature-policy",
            &policy,
            &image,
        ];
        self.inside("podman", &arguments, signatures)
    }

    fn inside(&self, program: &str, arguments: &[&str], signatures: Option<&Path>) -> Command {
        let here = self.folder.join("here");
        let folders = std::iter::once((here.as_path(), HERE));
        self.system.command(&Call {
            program: Some(program),
            arguments: arguments.to_vec(),
            folders: folders.chain(signatures.map(|path| (path, REGISTRIES))).collect(),
            ..Call::default()
        })
    }

    fn expect_refusal(&self, command: &Command, why: &str) -> Result<()> {
        let ended = self.run.attempt(self.log, command)?;
        let stderr = ended.stderr();
        ensure!(ended.code() != Some(0), "an image was accepted, expected rejection: {why}");
        ensure!(
            stderr.contains(why),
            "an image was rejected for another reason than {why:?}: {stderr}"
        );
        Ok(())
    }
}
