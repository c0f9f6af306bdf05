// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Third-party clients that check a release. A missing one is recorded as a skip.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use release::channels::record::{BUNDLE, DOCUMENT, PREDICATE_TYPE};
use serde_json::Value;
use tempfile::TempDir;

use crate::packages::{Apt, dnf, has_programs, secret_key};
use crate::support::{expect_success, notary};

/// Password of the key of the repositories.
const PASSWORD: &str = "open sesame";

/// cosign, oras and skopeo with a home folder of their own.
pub(crate) struct Judges {
    home: TempDir,
    key: PathBuf,
    cosign: Option<PathBuf>,
    oras: Option<PathBuf>,
    skopeo: Option<PathBuf>,
}

impl Judges {
    pub(crate) fn find(key: PathBuf) -> Self {
        let [cosign, oras, skopeo] = ["cosign", "oras", "skopeo"].map(test_support::find);
        Self { home: tempfile::tempdir().unwrap(), key, cosign, oras, skopeo }
    }

    /// Runs `program` without credentials and without an outside network.
    fn run(&self, program: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.home.path()).env("HOME", self.home.path());
        command.env("HTTPS_PROXY", "http://127.0.0.1:1").env("NO_PROXY", "127.0.0.1");
        command.env_remove("REGISTRY_AUTH_FILE").env_remove("XDG_RUNTIME_DIR");
        command.output().unwrap()
    }

    /// cosign accepts signature and provenance of the image `name`.
    pub(crate) fn accept(&self, name: &str) {
        let Some(cosign) = &self.cosign else { return };
        let key = self.key.to_str().unwrap();
        let common = ["--key", key, "--insecure-ignore-tlog", "--allow-http-registry", name];
        for verb in [&["verify"][..], &["verify-attestation", "--type", "slsaprovenance1"]] {
            expect_success(&self.run(cosign, &[verb, &common].concat()));
        }
    }

    /// oras and skopeo find the digest under the tag `name`; `None` where there is no such tag.
    pub(crate) fn resolve(&self, name: &str, digest: Option<&str>) {
        let docker = format!("docker://{name}");
        let oras = ["resolve", "--plain-http", name];
        let skopeo = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &docker];
        for (program, arguments) in [(&self.oras, &oras[..]), (&self.skopeo, &skopeo)] {
            let Some(program) = program else { continue };
            let output = self.run(program, arguments);
            let found = output.status.success().then(|| text(&output).trim().to_owned());
            assert_eq!(found.as_deref(), digest, "{name}: {output:?}");
        }
    }

    /// The tags of a repository, as oras lists them.
    pub(crate) fn tags(&self, repository: &str) -> Option<String> {
        let oras = self.oras.as_ref()?;
        Some(expect_success(&self.run(oras, &["repo", "tags", "--plain-http", repository])))
    }

    /// oras finds the record that the channels are `points`, and cosign accepts its signature.
    pub(crate) fn point(&self, registry: &str, points: &str) {
        let Some(oras) = &self.oras else { return };
        let name = format!("{registry}/channels:current");
        let pull = ["pull", "--plain-http", "--output", "record", &name];
        expect_success(&self.run(oras, &pull));
        let [document, bundle] = [DOCUMENT, BUNDLE].map(|it| format!("record/{it}"));
        let bytes = fs::read(self.home.path().join(&document)).unwrap();
        let record: Value = serde_json::from_slice(&bytes).unwrap();
        let channels = record["channels"].as_object().unwrap();
        let entry = |(name, entry): (&String, &Value)| {
            format!("{name}={}", entry["version"].as_str().unwrap())
        };
        assert_eq!(channels.iter().map(entry).collect::<Vec<_>>().join(" "), points);
        let Some(cosign) = &self.cosign else { return };
        let key = self.key.to_str().unwrap();
        let verify = ["verify-blob-attestation", "--insecure-ignore-tlog", "--key", key];
        let what = ["--type", PREDICATE_TYPE, "--bundle", &bundle, &document];
        expect_success(&self.run(cosign, &[&verify[..], &what].concat()));
    }

    /// cosign accepts the signature of a file, where there is no network.
    pub(crate) fn accept_file_offline(&self, file: &Path, bundle: &Path) {
        let Some(cosign) = &self.cosign else { return };
        let mut command = offline(cosign);
        command.env("HOME", self.home.path()).args(["verify-blob", "--insecure-ignore-tlog"]);
        command.arg("--key").arg(&self.key).arg("--bundle").arg(bundle).arg(file);
        expect_success(&command.output().unwrap());
    }
}

/// A release page with repositories, and the package managers that follow it.
pub(crate) struct Page {
    folder: TempDir,
    apt: Apt,
}

impl Page {
    /// `None` without the programs.
    pub(crate) fn new() -> Option<Self> {
        if !has_programs("apt-get") || !has_programs("dnf") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret.key"), secret_key("page", PASSWORD)).unwrap();
        fs::write(folder.path().join("password"), PASSWORD).unwrap();
        let apt = Apt::new(&folder.path().join("site"));
        Some(Self { folder, apt })
    }

    /// `notary release-page` with these arguments.
    pub(crate) fn change(&self, arguments: &[&str]) {
        let at = |name: &str| self.folder.path().join(name);
        let mut command = notary();
        command.arg("release-page").args(arguments).arg("--to").arg(at("site"));
        command.env("XTASK_OPENPGP_KEY", at("secret.key"));
        command.env("XTASK_OPENPGP_PASSWORD_FILE", at("password"));
        expect_success(&command.output().unwrap());
    }

    /// A host that has used the page all along gets this version, and so does a new one.
    pub(crate) fn offer(&self, version: &str) {
        let name = format!("example_{version}_amd64.deb");
        assert_eq!(self.apt.download().unwrap(), name);
        let printed = dnf(&self.folder.path().join("site")).unwrap();
        assert!(printed.contains(&format!("{version}-1")), "{version}: {printed}");
    }
}

/// `program` in a network namespace of its own, which has not even a loopback interface.
pub(crate) fn offline(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net"]).arg(program);
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
