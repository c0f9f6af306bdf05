// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Rebuild attestations: third parties sign that they built the source of a release and got the
//! same bytes.
//!
//! An attestation is an in-toto statement with one subject, `release.json`, which names every file and image by
//! digest. It is no SLSA verification summary, which has a time and no level for a rebuild, and no SLSA provenance,
//! which a verifier could confuse with that of the release.
//!
//! Attestations are not part of the release. A folder has them in `rebuilds/`, named by digest; a registry has them
//! as referrers of the release artifact. Those by other keys are ignored.

use std::collections::{BTreeMap, BTreeSet};

use oci::Digest;
use release::{Manifest, Source, layout};
use serde::Serialize;
use signing::{PublicKey, Statement, Trust, sha256, sha256_from_hex};

use crate::files::Folder;
use crate::report::{Check, Findings, Problem};
use crate::signatures::{self, BUNDLE_LIMIT};

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://provisioner.example/rebuild/v1";
/// Most attestations that are read.
pub(crate) const LIMIT: usize = 1_000;

/// Rebuild attestations that an operator requires.
#[derive(Debug, Clone, Default)]
pub struct Rebuilds {
    /// Number of different keys that must attest a rebuild.
    pub required: usize,
    /// The trusted keys. The key of the release does not count.
    pub keys: Vec<PublicKey>,
}

/// The predicate. Its content follows from `release.json`; it is for readers of the statement
/// alone.
#[derive(Serialize)]
struct Predicate<'a> {
    product: &'a str,
    version: &'a str,
    source: &'a Source,
    /// Number of files and images with the same digest: all of the release.
    files: usize,
    images: usize,
}

/// The statement that all of a release was rebuilt, whose `release.json` has the text `text`.
///
/// # Errors
/// When it cannot be serialised, which the types do not allow.
pub fn statement(text: &[u8], manifest: &Manifest) -> Result<Statement, serde_json::Error> {
    let predicate = serde_json::to_value(predicate(manifest))?;
    Ok(Statement::new(layout::MANIFEST, &sha256(text), PREDICATE_TYPE, predicate))
}

fn predicate(manifest: &Manifest) -> Predicate<'_> {
    let Manifest { product, version, source, artifacts, images, .. } = manifest;
    Predicate { product, version, source, files: artifacts.len(), images: images.len() }
}

/// Differences between a release and a rebuild of it, one sentence each.
pub fn differences(published: &Manifest, rebuilt: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    let facts = |it: &Manifest| {
        let Manifest { product, version, source, .. } = it;
        format!("{product} {version} of {}@{}, dirty: {}", source.uri, source.commit, source.dirty)
    };
    if facts(published) != facts(rebuilt) {
        found.push(format!("the release is {}, the rebuild {}", facts(published), facts(rebuilt)));
    }
    let (published, rebuilt) = (digests(published), digests(rebuilt));
    for (name, digest) in &published {
        match rebuilt.get(name) {
            None => found.push(format!("{name} was not rebuilt")),
            Some(other) if other != digest => {
                found.push(format!("{name} has the digest {digest}, rebuilt {other}"));
            }
            Some(_) => {}
        }
    }
    let extra = rebuilt.keys().filter(|name| !published.contains_key(*name));
    found.extend(extra.map(|name| format!("{name} is not in the release")));
    found
}

/// Digests of all files and images.
fn digests(manifest: &Manifest) -> BTreeMap<&str, &str> {
    let files = manifest.artifacts.iter().map(|it| (it.path.as_str(), it.sha256.as_str()));
    files.chain(manifest.images.iter().map(|it| (it.layout.as_str(), it.digest.as_str()))).collect()
}

/// Paths of the attestations in a release folder: small files with their digest as name.
pub fn paths(folder: &Folder) -> Vec<String> {
    let all = folder.paths_below(layout::REBUILDS).take(LIMIT);
    let named = all.filter(|path| {
        folder.size(path).is_ok_and(|size| size <= BUNDLE_LIMIT)
            && folder.facts(path).is_ok_and(|(digest, _)| layout::rebuild(digest.hex()) == **path)
    });
    named.map(str::to_owned).collect()
}

/// Checks that enough of the trusted keys attest a rebuild of the release, whose `release.json` has
/// the digest
/// `digest`.
pub(crate) fn check(
    folder: &Folder,
    manifest: &Manifest,
    digest: &Digest,
    trust: Trust<'_>,
    rebuilds: &Rebuilds,
    findings: &mut Findings,
) {
    let Rebuilds { required, keys } = rebuilds;
    if *required == 0 {
        return;
    }
    findings.subject(layout::REBUILDS, "rebuilds", &[Check::Provenance]);
    let mut found = BTreeSet::new();
    if let (Some(digest), Ok(expected)) =
        (sha256_from_hex(digest.hex()), serde_json::to_value(predicate(manifest)))
    {
        for path in paths(folder) {
            let Ok(bundle) = signatures::bundle(folder, &path) else { continue };
            let by = keys.iter().filter(|key| {
                !is_release_key(key, trust)
                    && bundle
                        .verify_statement(*key, PREDICATE_TYPE, &digest)
                        .is_ok_and(|statement| statement.predicate == expected)
            });
            found.extend(by.map(PublicKey::hint));
        }
    }
    if found.len() < *required {
        let place = layout::REBUILDS;
        let problem = Problem::Rebuilds { found: found.len(), required: *required };
        findings.fault(place, Check::Provenance, place, problem);
    }
}

fn is_release_key(key: &PublicKey, trust: Trust<'_>) -> bool {
    match trust {
        Trust::Key(release) => key == release,
        Trust::Identity(_) => false,
    }
}
