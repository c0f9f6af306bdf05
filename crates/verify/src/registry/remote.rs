// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! One image of a release in its repository: its content, its tag and what refers to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use oci::client::{Client, ClientError};
use oci::reference::ReferenceError;
use oci::spec::ImageManifest;
use oci::{Digest, Repository, Selector, Tag, artifact, json};
use release::{Image, Manifest, layout};
use signing::{Trust, bundle, simple_signing};

use crate::files::Folder;
use crate::images::{Store, Walk};
use crate::report::{Check, Findings, Problem};
use crate::{list_attestations, parallel, signatures};

/// Most referrers of an image that are read: others may attest, but not without limit.
const REFERRERS: usize = 1_000;

/// One repository of a registry, and the fetched files of the release.
pub(super) struct Remote<'a> {
    pub(super) client: &'a Client,
    pub(super) repository: Repository,
    pub(super) folder: &'a Folder,
}

impl Store for Remote<'_> {
    fn document(&self, digest: &Digest, media_type: &str) -> Result<Vec<u8>, Problem> {
        let fetched = self.client.manifest(&self.repository, &Selector::from(digest.clone()));
        let fetched = fetched.map_err(problem)?;
        let found = fetched.descriptor.media_type().to_string();
        if found == media_type {
            Ok(fetched.bytes)
        } else {
            let text = format!("it is served as {found:?}, expected {media_type:?}");
            Err(Problem::Image(text))
        }
    }

    fn contents(&self, blobs: &BTreeSet<(Digest, u64)>) -> Vec<(Digest, Problem)> {
        let blobs: Vec<_> = blobs.iter().collect();
        let results = parallel::map(parallel::REQUESTS, &blobs, |(digest, size)| {
            Some((digest.clone(), self.content(digest, *size).err()?))
        });
        results.into_iter().flatten().collect()
    }
}

impl Remote<'_> {
    /// Checks that the repository serves content with this digest and size.
    fn content(&self, digest: &Digest, size: u64) -> Result<(), Problem> {
        let blob = self.client.blob(&self.repository, digest, Some(size));
        io::copy(&mut blob.map_err(problem)?, &mut io::sink()).map_err(unreadable_problem)?;
        Ok(())
    }

    /// Checks the image.
    pub(super) fn check_image(
        &self,
        manifest: &Manifest,
        image: &Image,
        trust: Trust<'_>,
        findings: &mut Findings,
    ) {
        let name = &image.repository;
        let walk = Walk::run(image, self);
        for (digest, problem) in walk.faults {
            findings.fault(name, Check::Content, &format!("{}@{digest}", self.repository), problem);
        }
        signatures::parts(self.folder, manifest, image, &walk.parts, trust, findings);
        let Ok(digest) = image.digest.parse::<Digest>() else { return };
        if let Err(problem) = self.check_tag(manifest, image, &digest) {
            findings.fault(name, Check::Content, &self.repository.to_string(), problem);
        }
        let parts = walk.parts.iter().filter(|(it, _)| image.parts().contains(it));
        let parts = parts.map(|(it, digest)| (layout::part(name, *it), digest));
        for (signed, digest) in std::iter::once((name.clone(), &digest)).chain(parts) {
            let signature = (Check::Signature, layout::signature(&signed));
            let attestations = list_attestations(manifest, name).into_iter();
            let attestations = attestations.map(|it| (it.check, it.path));
            let bundles = std::iter::once(signature).chain(attestations);
            self.check_referrers(name, digest, bundles, findings);
            let tag = Tag::of_signature(digest);
            if let Err(problem) = self.check_legacy(&signed, trust, tag.clone()) {
                let place = format!("{}:{tag}", self.repository);
                findings.fault(name, Check::Signature, &place, problem);
            }
        }
    }

    /// The bundles in the files `bundles` of the release must be referrers of `digest`.
    fn check_referrers(
        &self,
        image: &str,
        digest: &Digest,
        bundles: impl Iterator<Item = (Check, String)>,
        findings: &mut Findings,
    ) {
        // A missing file was reported by the check of the files.
        let bundles: Vec<_> = bundles
            .filter_map(|(check, path)| {
                let (digest, size) = self.folder.facts(&path).ok()?;
                Some((check, (digest.clone(), size), path))
            })
            .collect();
        let wanted = bundles.iter().map(|(_, bundle, _)| bundle.clone()).collect();
        let carried = match self.find_referring(digest, &wanted) {
            Ok(carried) => carried,
            Err(problem) => {
                let place = format!("{}@{digest}", self.repository);
                return findings.fault(image, Check::Signature, &place, problem);
            }
        };
        for (check, bundle, path) in &bundles {
            if !carried.contains(bundle) {
                let text = format!("no referrer of {digest} in {} contains it", self.repository);
                findings.fault(image, *check, path, Problem::Image(text));
            }
        }
    }

    /// The tag of the version must name the image of the version; other tags, such as `latest`,
    /// move.
    fn check_tag(
        &self,
        manifest: &Manifest,
        image: &Image,
        digest: &Digest,
    ) -> Result<(), Problem> {
        let version = layout::tag(&manifest.version);
        for tag in image.tags.iter().filter(|tag| **tag == version) {
            let tag: Tag =
                tag.parse().map_err(|e: ReferenceError| Problem::Image(e.to_string()))?;
            let selector = Selector::from(tag.clone());
            let found = self.client.head_manifest(&self.repository, &selector).map_err(problem)?;
            if found.as_ref() != Some(digest) {
                let found = found.map_or("nothing".to_owned(), |found| found.to_string());
                let text = format!("the tag {tag} points to {found}, expected {digest}");
                return Err(Problem::Image(text));
            }
        }
        Ok(())
    }

    /// Which of the bundles `wanted`, by digest and size, a referrer of `digest` carries. Other
    /// attachments are not fetched.
    fn find_referring(
        &self,
        digest: &Digest,
        wanted: &BTreeSet<(Digest, u64)>,
    ) -> Result<BTreeSet<(Digest, u64)>, Problem> {
        let referrers = self.client.referrers(&self.repository, digest, Some(bundle::MEDIA_TYPE));
        let mut referrers = referrers.map_err(problem)?;
        let own = self.published_referrers(digest, wanted);
        // Anybody may attach anything, so those that a publisher writes are read first.
        referrers.sort_by_key(|it| !own.contains(it.digest().as_ref()));
        let mut carried = BTreeSet::new();
        for (looked_at, referrer) in referrers.iter().enumerate() {
            if carried.len() == wanted.len() {
                break;
            }
            if looked_at == REFERRERS {
                let text =
                    format!("not all required bundles are among its first {REFERRERS} referrers");
                return Err(Problem::Image(text));
            }
            let Ok(selector) = Digest::try_from(referrer.digest()).map(Selector::from) else {
                continue;
            };
            let fetched = match self.client.manifest(&self.repository, &selector) {
                Ok(fetched) => fetched,
                // It was deleted, or is no manifest.
                Err(ClientError::Content { .. } | ClientError::Protocol { .. }) => continue,
                Err(error) if error.status() == Some(404) => continue,
                Err(error) => return Err(problem(error)),
            };
            // A manifest of another type or subject carries no bundle.
            let Ok(artifact) = serde_json::from_slice::<ImageManifest>(&fetched.bytes) else {
                continue;
            };
            let about = artifact.subject().as_ref().map(|subject| subject.digest().to_string());
            if about != Some(digest.to_string()) {
                continue;
            }
            for layer in artifact.layers() {
                let Ok(layer_digest) = Digest::try_from(layer.digest()) else { continue };
                let layer = (layer_digest, layer.size());
                if wanted.contains(&layer)
                    && !carried.contains(&layer)
                    && self.content(&layer.0, layer.1).is_ok()
                {
                    carried.insert(layer);
                }
            }
        }
        Ok(carried)
    }

    /// Digests of the referrers that `notary publish` writes for `bundles` of `subject`. They depend
    /// on nothing else.
    fn published_referrers(
        &self,
        subject: &Digest,
        bundles: &BTreeSet<(Digest, u64)>,
    ) -> BTreeSet<String> {
        let selector = Selector::from(subject.clone());
        // The walk reports a subject that cannot be read.
        let Ok(subject) = self.client.manifest(&self.repository, &selector) else {
            return BTreeSet::new();
        };
        let kind = bundle::MEDIA_TYPE;
        let digests = bundles.iter().filter_map(|(digest, size)| {
            let layer = artifact::descriptor(kind, digest, *size);
            let subject = Some(subject.descriptor.clone());
            let manifest = artifact::manifest(kind, vec![layer], subject, BTreeMap::new()).ok()?;
            Some(Digest::sha256(&json::canonical(&manifest).ok()?).to_string())
        });
        digests.collect()
    }

    /// The tag for clients without referrers must have payload and signature of the files named
    /// after `signed`.
    fn check_legacy(&self, signed: &str, trust: Trust<'_>, tag: Tag) -> Result<(), Problem> {
        let fetched =
            self.client.manifest(&self.repository, &Selector::from(tag)).map_err(problem)?;
        let artifact: ImageManifest = serde_json::from_slice(&fetched.bytes)
            .map_err(|e| Problem::Image(format!("it is malformed: {e}")))?;
        let payload = self.folder.read(&layout::legacy_payload(signed))?;
        let expected = match trust {
            Trust::Key(_) => {
                let signature = self.folder.read(&layout::legacy_signature(signed))?;
                let signature = String::from_utf8_lossy(&signature).into_owned();
                [(simple_signing::SIGNATURE_ANNOTATION.to_owned(), signature)].into()
            }
            Trust::Identity(_) => {
                let bundle = signatures::bundle(self.folder, &layout::legacy_bundle(signed))?;
                simple_signing::annotations(&bundle).ok_or(Problem::Form)?
            }
        };
        for layer in artifact.layers() {
            let annotations = layer.annotations().as_ref();
            let carried = |(name, text)| {
                annotations.and_then(|all| all.get(name)).is_some_and(|it| it == text)
            };
            let digest = layer.digest().to_string();
            if digest != Digest::sha256(&payload).to_string() || !expected.iter().all(carried) {
                continue;
            }
            let digest = digest.parse().map_err(|e| Problem::Image(format!("{e}")))?;
            return self.content(&digest, payload.len() as u64);
        }
        Err(Problem::Image("it is not the signature of this release".to_owned()))
    }
}

/// The meaning of a registry's error for a content.
#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
pub(super) fn problem(error: ClientError) -> Problem {
    match error.status() {
        Some(404) => Problem::Missing,
        _ => Problem::Unreadable(error.to_string()),
    }
}

/// The same for a content that breaks off.
#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
pub(super) fn unreadable_problem(error: io::Error) -> Problem {
    Problem::Unreadable(error.to_string())
}
