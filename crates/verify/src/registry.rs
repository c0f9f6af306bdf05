// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A release in a registry: its files are the layers of one artifact, and its images have
//! referrers.
//!
//! `release.json` and its signature are fetched and checked first. Then the files that it names are
//! fetched into a temporary folder, each with the named size and digest, and checked as a release
//! folder. Each image is walked in the registry, and must carry the bundles that were checked among
//! the files. Other referrers are ignored: others may attest in a registry, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use oci::client::{BlobReader, Client, ClientError, Options};
use oci::reference::ReferenceError;
use oci::spec::{ANNOTATION_TITLE, Descriptor, ImageManifest};
use oci::{Digest, Namespace, Repository, Selector, Tag};
use release::layout::{self, SbomFormat};
use release::{Image, Manifest};
use signing::{Trust, bundle, simple_signing};

use crate::files::{DOCUMENT_LIMIT, Folder};
use crate::images::{Store, Walk};
use crate::manifest::{is_inside, paths};
use crate::report::{Check, Findings, Problem, Report};
use crate::signatures::{BUNDLE_LIMIT, Head, MANIFEST_LIMIT};
use crate::{Policy, VerifyError, release_files, signatures};

/// Most referrers of an image that are read: others may attest, but not without limit.
const REFERRERS: usize = 1_000;

/// Syntax of a [`Published`].
const FORM: &str = "[http://|https://]HOST[:PORT][/PREFIX]:VERSION";

/// A version of a release in a registry: `[http://|https://]HOST[:PORT][/PREFIX]:VERSION`.
#[derive(Debug, Clone)]
pub struct Published {
    namespace: Namespace,
    version: String,
    tag: Tag,
}

impl Published {
    /// Registry and prefix of the repositories.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The tag of the version.
    pub fn tag(&self) -> &Tag {
        &self.tag
    }
}

impl std::str::FromStr for Published {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = |e: ReferenceError| format!("{e}; expected {FORM}");
        let (namespace, version) = text
            .rsplit_once(':')
            .filter(|(_, version)| !version.is_empty() && !version.contains('/'))
            .ok_or_else(|| format!("no version; expected {FORM}"))?;
        // The tag of 1.4.0 is v1.4.0; both are accepted.
        let version = version.strip_prefix('v').unwrap_or(version);
        let (version, tag) = (version.to_owned(), layout::tag(version).parse().map_err(fail)?);
        Ok(Self { namespace: namespace.parse().map_err(fail)?, version, tag })
    }
}

/// Checks a release in a registry. It uses https, unless the reference has http or the registry is
/// on a loopback address.
///
/// The version of the reference is part of the policy, because a registry can point a tag to
/// anything.
///
/// # Errors
/// When the registry cannot be reached, has no such release, or no temporary folder can be created.
/// Everything else is a fault in the report.
pub fn registry<'a>(
    published: &Published,
    trust: impl Into<Trust<'a>>,
    policy: &Policy,
) -> Result<Report, VerifyError> {
    let trust = trust.into();
    let policy = Policy { version: Some(published.version.clone()), ..policy.clone() };
    let Namespace { transport, registry, .. } = &published.namespace;
    let client = Client::new(registry, Options { transport: *transport, ..Options::default() });
    let mut findings = Findings::new(trust);
    let artifact = ReleaseArtifact::find(&client, published)?;
    let Some(authentic) = artifact.head().authenticate(trust, &policy, &mut findings) else {
        return Ok(findings.into_report());
    };
    let temporary = tempfile::tempdir()
        .map_err(|source| VerifyError::Folder { path: std::env::temp_dir(), source })?;
    artifact.fetch_files(&authentic.manifest, trust, temporary.path(), &mut findings);
    let folder = Folder::scan(temporary.path())?;
    release_files(&folder, &authentic, trust, &policy, &mut findings);
    let manifest = &authentic.manifest;
    for image in &manifest.images {
        match published.namespace.repository(&image.repository) {
            Ok(repository) => {
                let store = Remote { client: &client, repository, folder: &folder };
                store.check_image(manifest, image, trust, &mut findings);
            }
            Err(e) => findings.fault(
                &image.repository,
                Check::Content,
                layout::MANIFEST,
                Problem::Image(e.to_string()),
            ),
        }
    }
    Ok(findings.into_report())
}

/// The artifact of a release: an unsigned list of blobs with their claimed paths.
struct ReleaseArtifact<'a> {
    client: &'a Client,
    repository: Repository,
    place: String,
    layers: Vec<Descriptor>,
}

impl<'a> ReleaseArtifact<'a> {
    fn find(client: &'a Client, published: &Published) -> Result<Self, VerifyError> {
        let place = format!("{}:{}", layout::REPOSITORY, published.tag);
        let not_a_release = |reason: String| VerifyError::Registry { place: place.clone(), reason };
        let repository = published
            .namespace
            .repository(layout::REPOSITORY)
            .map_err(|e| not_a_release(e.to_string()))?;
        let fetched = client
            .manifest(&repository, &Selector::from(published.tag.clone()))
            .map_err(|e| not_a_release(e.to_string()))?;
        let artifact: ImageManifest =
            serde_json::from_slice(&fetched.bytes).map_err(|e| not_a_release(e.to_string()))?;
        let found = artifact.artifact_type().as_ref().map(ToString::to_string);
        if found.as_deref() != Some(layout::ARTIFACT_TYPE) {
            let found = found.unwrap_or_default();
            let expected = layout::ARTIFACT_TYPE;
            return Err(not_a_release(format!("its type is {found:?}, expected {expected:?}")));
        }
        Ok(Self { client, repository, place, layers: artifact.layers().clone() })
    }

    /// The one layer with this title.
    fn layer(&self, path: &str) -> Result<&Descriptor, Problem> {
        let mut found = self.layers.iter().filter(|layer| title(layer) == path);
        match (found.next(), found.next()) {
            (Some(layer), None) => Ok(layer),
            (None, _) => Err(Problem::Missing),
            (Some(_), Some(_)) => {
                Err(Problem::Manifest(format!("several layers have the title {path:?}")))
            }
        }
    }

    fn head(&self) -> Head {
        let document = |path: &str, limit| {
            let mut bytes = Vec::new();
            let mut blob = self.open(self.layer(path)?, limit)?;
            blob.read_to_end(&mut bytes).map_err(unreadable)?;
            Ok(bytes)
        };
        Head {
            manifest: document(layout::MANIFEST, MANIFEST_LIMIT),
            bundle: document(&layout::signature(layout::MANIFEST), BUNDLE_LIMIT),
        }
    }

    /// Fetches the files that `manifest` names into `folder`. A layer with another size or digest
    /// than in the manifest, or that the manifest does not name, is reported and not fetched.
    fn fetch_files(
        &self,
        manifest: &Manifest,
        trust: Trust<'_>,
        folder: &Path,
        findings: &mut Findings,
    ) {
        let artifacts: BTreeMap<_, _> =
            manifest.artifacts.iter().map(|it| (it.path.as_str(), it)).collect();
        let named: BTreeSet<String> = paths(manifest, trust.into()).into_iter().collect();
        // A path that leaves the folder is a fault of the manifest, reported with its other rules.
        for path in named.iter().filter(|path| is_inside(path)) {
            let fetched = self.layer(path).and_then(|layer| {
                let limit = match artifacts.get(path.as_str()) {
                    None => DOCUMENT_LIMIT,
                    Some(artifact) => {
                        let (expected, found) = (artifact.size, layer.size());
                        if found != expected {
                            return Err(Problem::Size { expected, found });
                        }
                        let (expected, found) = (&artifact.sha256, layer.digest().digest());
                        if found != expected {
                            let (expected, found) = (expected.clone(), found.to_owned());
                            return Err(Problem::Digest { expected, found });
                        }
                        artifact.size
                    }
                };
                self.fetch(layer, limit, &folder.join(path))
            });
            match fetched {
                // A missing file is reported by its check.
                Ok(()) | Err(Problem::Missing) => {}
                Err(problem) => findings.fault(path, Check::Content, path, problem),
            }
        }
        for layer in &self.layers {
            let title = title(layer);
            if !is_inside(title) {
                let digest = layer.digest();
                let text =
                    format!("layer {digest} has the title {title:?}, which is not a valid path");
                findings.fault(&self.place, Check::Content, &self.place, Problem::Manifest(text));
            } else if !named.contains(title) {
                findings.subject(title, "unknown", &[]);
                findings.fault(title, Check::Content, title, Problem::Unexpected);
            }
        }
    }

    /// Opens a blob of at most `limit` bytes; reading it to the end verifies size and digest.
    fn open(&self, layer: &Descriptor, limit: u64) -> Result<BlobReader, Problem> {
        if layer.size() > limit {
            return Err(Problem::TooLong { limit });
        }
        let digest = Digest::try_from(layer.digest()).map_err(|e| Problem::Image(e.to_string()))?;
        self.client.blob(&self.repository, &digest, Some(layer.size())).map_err(problem)
    }

    fn fetch(&self, layer: &Descriptor, limit: u64, path: &Path) -> Result<(), Problem> {
        let mut blob = self.open(layer, limit)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(unreadable)?;
        }
        let mut file = File::create_new(path).map_err(unreadable)?;
        io::copy(&mut blob, &mut file).map_err(unreadable)?;
        Ok(())
    }
}

fn title(layer: &Descriptor) -> &str {
    let title = layer.annotations().as_ref().and_then(|a| a.get(ANNOTATION_TITLE));
    title.map_or("", String::as_str)
}

/// One repository of a registry, and the fetched files of the release.
struct Remote<'a> {
    client: &'a Client,
    repository: Repository,
    folder: &'a Folder,
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
        let faults = blobs.iter().filter_map(|(digest, size)| {
            Some((digest.clone(), self.content(digest, *size).err()?))
        });
        faults.collect()
    }
}

impl Remote<'_> {
    /// Checks that the repository serves content with this digest and size.
    fn content(&self, digest: &Digest, size: u64) -> Result<(), Problem> {
        let blob = self.client.blob(&self.repository, digest, Some(size));
        io::copy(&mut blob.map_err(problem)?, &mut io::sink()).map_err(unreadable)?;
        Ok(())
    }

    fn check_image(
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
        signatures::parts(self.folder, image, &walk.parts, trust, findings);
        let Ok(digest) = image.digest.parse::<Digest>() else { return };
        if let Err(problem) = self.check_tag(manifest, image, &digest) {
            findings.fault(name, Check::Content, &self.repository.to_string(), problem);
        }
        let sboms =
            SbomFormat::REQUIRED.map(|it| (Check::Sbom, layout::sbom_attestation(name, it)));
        let bundles = [
            (Check::Signature, layout::signature(name)),
            (Check::Provenance, layout::provenance(name)),
        ];
        self.check_referrers(name, &digest, bundles.into_iter().chain(sboms), findings);
        let parts = walk.parts.iter().filter(|(it, _)| image.parts().contains(it));
        let parts = parts.map(|(it, digest)| (layout::part(name, *it), digest));
        let parts: Vec<_> = parts.collect();
        for (signed, digest) in &parts {
            let signature = (Check::Signature, layout::signature(signed));
            self.check_referrers(name, digest, std::iter::once(signature), findings);
        }
        for (signed, digest) in std::iter::once((name.clone(), &digest)).chain(parts) {
            let tag = format!("{}.sig", digest.to_string().replace(':', "-"));
            if let Err(problem) = self.check_legacy(&signed, trust, &tag) {
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
        let carried = match self.referring(digest, &wanted) {
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
    fn referring(
        &self,
        digest: &Digest,
        wanted: &BTreeSet<(Digest, u64)>,
    ) -> Result<BTreeSet<(Digest, u64)>, Problem> {
        let referrers = self.client.referrers(&self.repository, digest, Some(bundle::MEDIA_TYPE));
        let mut carried = BTreeSet::new();
        for (looked_at, referrer) in referrers.map_err(problem)?.iter().enumerate() {
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
            let fetched = self.client.manifest(&self.repository, &selector).map_err(problem)?;
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

    /// The tag for clients without referrers must have payload and signature of the files named
    /// after `signed`.
    fn check_legacy(&self, signed: &str, trust: Trust<'_>, tag: &str) -> Result<(), Problem> {
        let tag: Tag = tag.parse().map_err(|e: ReferenceError| Problem::Image(e.to_string()))?;
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
fn problem(error: ClientError) -> Problem {
    match error.status() {
        Some(404) => Problem::Missing,
        _ => Problem::Unreadable(error.to_string()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn unreadable(error: io::Error) -> Problem {
    Problem::Unreadable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_registry_prefix_and_version() {
        for (text, tls, repository, tag) in [
            ("r.example:1.4.0", true, "tools/a", "v1.4.0"),
            ("r.example:5000/x:v1.4.0", true, "x/tools/a", "v1.4.0"),
            ("http://r.example:5000/x/y:1.4.0-rc.1", false, "x/y/tools/a", "v1.4.0-rc.1"),
            ("https://127.0.0.1:5000/x:1.4.0", true, "x/tools/a", "v1.4.0"),
        ] {
            let published: Published = text.parse().unwrap();
            assert_eq!(published.namespace.is_tls(), tls, "{text}");
            let namespace = &published.namespace;
            assert_eq!(namespace.repository("tools/a").unwrap().as_str(), repository, "{text}");
            assert_eq!(published.tag.as_str(), tag, "{text}");
            assert_eq!(format!("v{}", published.version), tag, "{text}");
        }
        for bad in [
            "",
            "r.example",
            "r.example:5000/x",
            "ftp://r.example/x:1",
            "r.example/X:1",
            "r.example/x:",
        ] {
            assert!(bad.parse::<Published>().unwrap_err().contains(FORM), "{bad}");
        }
    }
}
