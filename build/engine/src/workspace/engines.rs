// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Engines by job. `--engine` and `[engines]` of `release.toml` are parsed here, once.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// A job with a choice of engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// Building images.
    Images,
    /// Building the live ISO.
    Iso,
    /// Generating SBOMs.
    Sbom,
    /// Signing.
    Signatures,
}

/// Builds images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageEngine {
    /// `podman build`.
    Podman,
    /// `buildah build`.
    Buildah,
}

/// Builds the live ISO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsoEngine {
    /// Our own code.
    Native,
    /// `image-builder` of the osbuild project, with its type [`LIVE_TYPE`].
    ImageBuilder,
}

/// Determines the components of a binary or an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SbomEngine {
    /// Our own code.
    Native,
    /// syft.
    Syft,
}

/// Signs artifacts and images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureEngine {
    /// `notary` with a key.
    Native,
    /// cosign with a key, called by `notary`.
    Cosign,
    /// cosign with an OIDC identity (keyless).
    Keyless,
}

/// An engine for a job. `Display` gives the `JOB=NAME` form of `--engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Image builds.
    Images(ImageEngine),
    /// Live ISO.
    Iso(IsoEngine),
    /// SBOMs.
    Sbom(SbomEngine),
    /// Signatures.
    Signatures(SignatureEngine),
}

/// Selected engines by job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Engines {
    images: Option<ImageEngine>,
    iso: Option<IsoEngine>,
    sbom: Option<SbomEngine>,
    signatures: Option<SignatureEngine>,
}

/// Type of image-builder whose ISO runs live.
pub const LIVE_TYPE: &str = "bootc-generic-iso";
/// Types of image-builder whose ISO is an installer.
const INSTALLERS: [&str; 4] = ["anaconda-iso", "bootc-installer", "image-installer", "iso"];

/// All engines with their names.
const CHOICES: [(Choice, &str); 9] = [
    (Choice::Images(ImageEngine::Podman), "podman"),
    (Choice::Images(ImageEngine::Buildah), "buildah"),
    (Choice::Iso(IsoEngine::Native), "native"),
    (Choice::Iso(IsoEngine::ImageBuilder), "image-builder"),
    (Choice::Sbom(SbomEngine::Native), "native"),
    (Choice::Sbom(SbomEngine::Syft), "syft"),
    (Choice::Signatures(SignatureEngine::Native), "native"),
    (Choice::Signatures(SignatureEngine::Cosign), "cosign"),
    (Choice::Signatures(SignatureEngine::Keyless), "cosign:keyless"),
];

impl Job {
    /// All jobs.
    pub const ALL: [Self; 4] = [Self::Images, Self::Iso, Self::Sbom, Self::Signatures];

    /// Name on the command line and in `release.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Iso => "iso",
            Self::Sbom => "sbom",
            Self::Signatures => "signatures",
        }
    }
}

impl Choice {
    /// The job of the engine.
    pub fn job(self) -> Job {
        match self {
            Self::Images(_) => Job::Images,
            Self::Iso(_) => Job::Iso,
            Self::Sbom(_) => Job::Sbom,
            Self::Signatures(_) => Job::Signatures,
        }
    }

    /// Values of `--engine` for `jobs`.
    pub fn values(jobs: &[Job]) -> Vec<String> {
        let known = CHOICES.iter().filter(|(choice, _)| jobs.contains(&choice.job()));
        known.map(|(choice, _)| choice.to_string()).collect()
    }

    /// Parses `JOB=NAME` for one of `jobs`.
    ///
    /// # Errors
    /// When there is no such job or engine; the message lists the valid values.
    pub fn parse(text: &str, jobs: &[Job]) -> Result<Self, String> {
        let named = |choice: &Self| choice.to_string() == text && jobs.contains(&choice.job());
        if let Some((choice, _)) = CHOICES.iter().find(|(choice, _)| named(choice)) {
            return Ok(*choice);
        }
        let valid = Self::values(jobs).join(", ");
        let kind = text.strip_prefix("iso=image-builder:").filter(|_| jobs.contains(&Job::Iso));
        match kind {
            Some(LIVE_TYPE) => Ok(Self::Iso(IsoEngine::ImageBuilder)),
            Some(kind) if INSTALLERS.contains(&kind) => Err(format!(
                "image-builder's type {kind} erases the first disk that it finds; valid: {valid}"
            )),
            _ => Err(format!("unknown job or engine; valid: {valid}")),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = CHOICES.iter().find(|(choice, _)| choice == self);
        write!(f, "{}={}", self.job().name(), named.map_or("", |(_, name)| name))
    }
}

impl Engines {
    /// Selects the engine of a job.
    pub fn set(&mut self, choice: Choice) {
        match choice {
            Choice::Images(engine) => self.images = Some(engine),
            Choice::Iso(engine) => self.iso = Some(engine),
            Choice::Sbom(engine) => self.sbom = Some(engine),
            Choice::Signatures(engine) => self.signatures = Some(engine),
        }
    }

    /// The selected engines.
    pub fn choices(self) -> impl Iterator<Item = Choice> {
        let Self { images, iso, sbom, signatures } = self;
        let choices = [
            images.map(Choice::Images),
            iso.map(Choice::Iso),
            sbom.map(Choice::Sbom),
            signatures.map(Choice::Signatures),
        ];
        choices.into_iter().flatten()
    }

    /// These, with `other` for jobs without a selected engine.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut merged = other;
        for choice in self.choices() {
            merged.set(choice);
        }
        merged
    }

    /// The engine for images.
    pub fn images(self) -> Result<ImageEngine> {
        self.images.with_context(|| explain_missing(Job::Images))
    }

    /// The engine for the live ISO.
    pub fn iso(self) -> Result<IsoEngine> {
        self.iso.with_context(|| explain_missing(Job::Iso))
    }

    /// The engine for SBOMs.
    pub fn sbom(self) -> Result<SbomEngine> {
        self.sbom.with_context(|| explain_missing(Job::Sbom))
    }

    /// The engine for signatures.
    pub fn signatures(self) -> Result<SignatureEngine> {
        self.signatures.with_context(|| explain_missing(Job::Signatures))
    }
}

impl TryFrom<BTreeMap<String, String>> for Engines {
    type Error = String;

    fn try_from(table: BTreeMap<String, String>) -> Result<Self, String> {
        let mut engines = Self::default();
        for (job, name) in table {
            let text = format!("{job}={name}");
            let choice = Choice::parse(&text, &Job::ALL).map_err(|why| format!("{text:?}: {why}"));
            engines.set(choice?);
        }
        Ok(engines)
    }
}

fn explain_missing(job: Job) -> String {
    format!("release.toml names no engine for {0}: add `{0} = \"…\"` to [engines]", job.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_is_parsed_from_what_it_is_shown_as() {
        for (choice, name) in CHOICES {
            assert_eq!(Choice::parse(&choice.to_string(), &[choice.job()]), Ok(choice), "{name}");
            let others: Vec<_> = Job::ALL.into_iter().filter(|it| *it != choice.job()).collect();
            assert!(Choice::parse(&choice.to_string(), &others).is_err(), "{choice}");
        }
        let live = Choice::Iso(IsoEngine::ImageBuilder);
        assert_eq!(Choice::parse("iso=image-builder:bootc-generic-iso", &Job::ALL), Ok(live));
    }

    #[test]
    fn an_unknown_engine_is_refused_with_the_valid_values() {
        for bad in ["image=buildah", "images=docker", "images", "=", "iso=image-builder:ami"] {
            let error = Choice::parse(bad, &[Job::Images]).unwrap_err();
            assert!(error.ends_with("valid: images=podman, images=buildah"), "{bad}: {error}");
        }
        for kind in INSTALLERS {
            let error = Choice::parse(&format!("iso=image-builder:{kind}"), &Job::ALL).unwrap_err();
            assert!(error.contains("erases the first disk"), "{error}");
        }
    }

    #[test]
    fn the_command_line_wins_over_the_table() {
        let read = |text: &str| toml::from_str::<Engines>(text);
        let table = read("images = \"podman\"\nsbom = \"native\"\n").unwrap();
        let mut given = Engines::default();
        given.set(Choice::Images(ImageEngine::Buildah));
        let merged = given.or(table);
        assert_eq!(merged.images().unwrap(), ImageEngine::Buildah);
        assert_eq!(merged.sbom().unwrap(), SbomEngine::Native);
        assert!(merged.iso().unwrap_err().to_string().contains("add `iso = "));
        let error = read("images = \"docker\"\n").unwrap_err().to_string();
        assert!(error.contains("images=podman, images=buildah"), "{error}");
        assert!(read("image = \"podman\"\n").is_err());
    }
}
