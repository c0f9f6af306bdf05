// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Releases of one key in a registry, and the commands that change and check its channels.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use release::Channel;
use serde_json::Value;
use signing::PrivateKey;
use tempfile::TempDir;

use crate::support::{KeyFile, Release, expect_success, notary};

/// The time of changes where the test does not depend on it: far enough ahead that no record expires.
pub(crate) const TIME: &str = "2099-01-01T00:00:00Z";
/// When a change of [`TIME`] that is not complete counts as interrupted.
pub(crate) const LATER: &str = "2099-01-01T00:10:00Z";

/// A registry with releases.
pub(crate) struct Site {
    /// `HOST:PORT/PREFIX`.
    pub(crate) registry: String,
    pub(crate) key: KeyFile,
    folder: TempDir,
}

impl Site {
    pub(crate) fn new(address: &str) -> Self {
        let key = KeyFile::new(&PrivateKey::generate());
        let registry = format!("{address}/product");
        Self { registry, key, folder: tempfile::tempdir().unwrap() }
    }

    /// The same at another address.
    pub(crate) fn place_at(&self, address: &str) -> Place<'_> {
        Place { registry: format!("{address}/product"), site: self }
    }

    pub(crate) fn place(&self) -> Place<'_> {
        Place { registry: self.registry.clone(), site: self }
    }

    /// Makes a release, signs and publishes it.
    pub(crate) fn publish(&self, version: &str) {
        self.publish_folder(&Release::version(version, kind(version), None));
    }

    /// Signs and publishes a release.
    pub(crate) fn publish_folder(&self, release: &Release) {
        release.sign_with(&self.key);
        expect_success(&release.publish(&self.registry).output().unwrap());
    }

    /// The file with what a client has seen.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state.json")
    }
}

/// A registry of a site.
pub(crate) struct Place<'a> {
    registry: String,
    site: &'a Site,
}

impl Place<'_> {
    /// Runs a command that changes channels: its words, and those that every change takes.
    pub(crate) fn change(&self, words: &str) -> Output {
        self.change_at(words, TIME)
    }

    pub(crate) fn change_at(&self, words: &str, time: &str) -> Output {
        let mut command = notary();
        command.args(words.split(' ')).args(["--registry", &self.registry, "--by", "tester"]);
        command.args(["--time", time]).arg("--key").arg(self.site.key.path());
        command.env("COSIGN_PASSWORD", "").output().unwrap()
    }

    fn key(&self, command: &mut Command) -> Output {
        command.arg("--key").arg(self.site.key.public()).output().unwrap()
    }

    /// `notary channels --json`, and whether it found nothing wrong.
    pub(crate) fn channels(&self) -> (Value, bool) {
        let mut command = notary();
        command.args(["channels", "--json", "--history", "--registry", &self.registry]);
        let output = self.key(&mut command);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(printed.is_empty(), "{printed}");
        let report = serde_json::from_slice(&output.stdout).unwrap();
        (report, output.status.success())
    }

    /// Where the channels point: `CHANNEL=VERSION`, of a record that the tags agree with.
    pub(crate) fn points(&self) -> String {
        let (report, good) = self.channels();
        assert!(good, "{report:#}");
        let channels = report["record"]["channels"].as_object().unwrap();
        let entry = |(name, entry): (&String, &Value)| {
            format!("{name}={}", entry["version"].as_str().unwrap())
        };
        channels.iter().map(entry).collect::<Vec<_>>().join(" ")
    }

    /// Verifies what the channel points to, as a client does that remembers what it saw.
    pub(crate) fn follow(&self, channel: &str, state: &Path) -> Output {
        let mut command = notary();
        command.args(["verify", "--registry", &self.registry, "--channel", channel, "--state"]);
        self.key(command.arg(state))
    }

    /// Verifies a version.
    pub(crate) fn verify(&self, version: &str) -> Output {
        let mut command = notary();
        command.args(["verify", "--registry", &format!("{}:{version}", self.registry)]);
        self.key(&mut command)
    }

    /// `notary retention`, with its words.
    pub(crate) fn retention(&self, words: &str) -> Output {
        let mut command = notary();
        command.args(["retention", "--registry", &self.registry]);
        command.args(words.split(' ')).output().unwrap()
    }
}

/// What a version is.
pub(crate) fn kind(version: &str) -> Channel {
    match version.split_once('-') {
        None => Channel::Stable,
        Some((_, pre)) if pre.starts_with("rc.") => Channel::Candidate,
        Some(_) => Channel::Snapshot,
    }
}

/// Standard output of a run that ended with `code`.
pub(crate) fn expect_code(output: &Output, code: i32) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
    format!("{stdout}{stderr}")
}
