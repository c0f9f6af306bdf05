// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Rules that a manifest must satisfy before it is used, and the files that it implies.

use std::collections::BTreeSet;

use release::{Artifact, ArtifactKind, Channel, Manifest, layout};
use signing::Trust;

use crate::attested::list_attested;

/// How a release is signed, which determines its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// With a key, whose public key is published.
    Key,
    /// By an identity, which every bundle names.
    Identity,
}

impl From<&Manifest> for Signing {
    fn from(manifest: &Manifest) -> Self {
        if manifest.signer.is_some() { Self::Identity } else { Self::Key }
    }
}

impl From<Trust<'_>> for Signing {
    fn from(trust: Trust<'_>) -> Self {
        match trust {
            Trust::Key(_) => Self::Key,
            Trust::Identity(_) => Self::Identity,
        }
    }
}

/// The paths of all files of the release except for image layouts.
pub fn paths(manifest: &Manifest, signing: Signing) -> Vec<String> {
    let mut paths = vec![layout::MANIFEST.to_owned(), layout::signature(layout::MANIFEST)];
    if signing == Signing::Key {
        paths.push(layout::PUBLIC_KEY.to_owned());
    }
    for artifact in &manifest.artifacts {
        paths.push(artifact.path.clone());
        paths.push(layout::signature(&artifact.path));
        paths.push(layout::provenance(&artifact.path));
    }
    for image in &manifest.images {
        let name = &image.repository;
        paths.push(layout::signature(name));
        let parts = image.parts().iter().map(|architecture| layout::part(name, *architecture));
        paths.extend(parts.clone().map(|part| layout::signature(&part)));
        for signed in std::iter::once(name.clone()).chain(parts) {
            paths.push(layout::legacy_payload(&signed));
            paths.push(match signing {
                Signing::Key => layout::legacy_signature(&signed),
                Signing::Identity => layout::legacy_bundle(&signed),
            });
        }
        paths.push(layout::provenance(name));
        paths.extend(list_attested(manifest, name).into_iter().map(|it| it.attestation));
    }
    paths
}

/// Violations of the manifest's rules, one sentence each.
pub(crate) fn faults(manifest: &Manifest) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths(manifest, Signing::from(manifest)) {
        if !is_inside(&path) {
            faults.push(format!("the path {path:?} may lead out of the release folder"));
        }
        if !seen.insert(path.clone()) {
            faults.push(format!("two files of the release would have the path {path:?}"));
        }
    }
    for image in &manifest.images {
        if !is_inside(&image.layout) || !image.layout.starts_with("images/") {
            let path = &image.layout;
            faults.push(format!("the layout {path:?} is not in the folder \"images\""));
        }
    }
    let is_checksums = |kind: ArtifactKind| kind == ArtifactKind::Checksums;
    let sums: Vec<_> = manifest.artifacts.iter().filter(|a| is_checksums(a.kind)).collect();
    if !matches!(sums.as_slice(), [one] if one.path == layout::CHECKSUMS) {
        faults.push(format!("expected one artifact with checksums, {}", layout::CHECKSUMS));
    }
    let is_misplaced = |it: &&Artifact| (it.kind == ArtifactKind::Vex) != (it.path == layout::VEX);
    for artifact in manifest.artifacts.iter().filter(is_misplaced) {
        faults.push(format!("{} is the VEX document or has its path, not both", artifact.path));
    }
    faults.extend(channel(manifest));
    faults.extend(check_reproduced(manifest));
    let commit = &manifest.source.commit;
    if !manifest.materials.iter().any(|m| m.digest.get("gitCommit") == Some(commit)) {
        faults.push(format!("the commit {commit} is not among the materials"));
    }
    faults
}

/// Results of a second build must be about this release, one for each file.
fn check_reproduced(manifest: &Manifest) -> Vec<String> {
    let Some(reproduced) = &manifest.reproduced else { return Vec::new() };
    let files = manifest.artifacts.iter().map(|file| &file.path);
    let known: BTreeSet<_> = files.chain(manifest.images.iter().map(|it| &it.layout)).collect();
    let (mut faults, mut seen) = (Vec::new(), BTreeSet::new());
    for (variation, paths) in &reproduced.not_tried {
        if !reproduced.variations.contains(variation) {
            faults.push(format!("not_tried has {variation:?}, which variations lacks"));
        }
        for path in paths.iter().filter(|path| !known.contains(path)) {
            faults.push(format!(
                "not_tried has {path:?} for {variation}, which is not in the release"
            ));
        }
    }
    for path in reproduced.identical.iter().chain(&reproduced.different) {
        if !known.contains(path) {
            faults.push(format!("reproduced has {path:?}, which is not in the release"));
        }
        if !seen.insert(path) {
            faults.push(format!("reproduced has {path:?} twice"));
        }
    }
    faults
}

/// A version must not claim another channel than the build has.
fn channel(manifest: &Manifest) -> Option<String> {
    let Manifest { version, channel, source, .. } = manifest;
    if source.dirty && *channel != Channel::Snapshot {
        return Some("a build of a changed work tree can only be a snapshot".to_owned());
    }
    let fits = match channel {
        Channel::Snapshot => version.contains("-snapshot"),
        Channel::Candidate => version.contains("-rc."),
        Channel::Stable => !version.contains(['-', '+']),
    };
    (!fits).then(|| format!("the version {version:?} does not fit the channel {channel:?}"))
}

/// Whether a path stays inside the folder and needs no quoting.
pub fn is_inside(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+~".contains(c);
    path.split('/').all(|part| !matches!(part, "" | "." | "..") && part.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_are_inside() {
        for good in ["a", "a/b", "sbom/controller_v1.0.0+x~y.cdx.json", "..a"] {
            assert!(is_inside(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/./b", "a/..", "a\\b", "a b", "a\n", "é"] {
            assert!(!is_inside(bad), "{bad:?}");
        }
    }
}
