// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A release in a registry: its files are the layers of one artifact, and its images have
//! referrers.
//!
//! `release.json` and its signature are fetched and checked first. Then the files that it names are
//! fetched into a temporary folder, each with the named size and digest, and checked as a release
//! folder. Each image is walked in the registry, and must carry the bundles that were checked among
//! the files. Other referrers are ignored: others may attest in a registry, too.

mod remote;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use ::files::TemporaryFolder;
use oci::client::{BlobReader, Client};
use oci::reference::ReferenceError;
use oci::spec::{Descriptor, ImageManifest};
use oci::{Digest, Namespace, Repository, Selector, Tag, artifact};
use release::{Manifest, layout};
use signing::{Trust, bundle};

use self::remote::{Remote, problem, unreadable_problem};
use crate::channels;
use crate::files::{DOCUMENT_LIMIT, Folder};
use crate::manifest::{is_inside, paths};
use crate::report::{Check, Findings, Problem, Report};
use crate::signatures::{BUNDLE_LIMIT, MANIFEST_LIMIT, UnverifiedManifest};
use crate::{Policy, VerifyError, parallel, rebuild, release_files};

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
    /// The release `version`, without a leading `v`, in `namespace`.
    ///
    /// # Errors
    /// When the version can be no tag.
    pub fn new(namespace: Namespace, version: &str) -> Result<Self, ReferenceError> {
        Ok(Self { namespace, version: version.to_owned(), tag: layout::tag(version).parse()? })
    }

    /// Registry and prefix of the repositories.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The version, without a leading `v`.
    pub fn version(&self) -> &str {
        &self.version
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
        Self::new(namespace.parse().map_err(fail)?, version).map_err(fail)
    }
}

/// The signers that an operator trusts, each for its own documents.
#[derive(Debug, Clone, Copy)]
pub struct Signers<'a> {
    /// Signer of releases; `{version}` in an identity is their version.
    pub releases: Trust<'a>,
    /// Signer of the records of channels.
    pub records: Trust<'a>,
}

/// A release that was verified, and where.
#[derive(Debug)]
pub struct Released {
    /// Its manifest.
    pub manifest: Manifest,
    /// `sha256:…` of its artifact in the repository `release`.
    pub digest: String,
}

/// Checks a release in a registry. It uses https, unless the reference has http or the registry is
/// on a loopback address.
///
/// The version of the reference is part of the policy, because a registry can point a tag to
/// anything. A release that the registry's record of channels withdraws is refused; a note states if there is no
/// record of the product that is signed and not expired.
///
/// # Errors
/// When the registry cannot be reached, has no such release, or no temporary folder can be created.
/// Everything else is a fault in the report.
pub fn registry(
    published: &Published,
    signers: Signers<'_>,
    policy: &Policy,
) -> Result<Report, VerifyError> {
    let Signers { releases, records } = signers;
    let client = Client::of_namespace(&published.namespace);
    let mut findings = Findings::new(releases);
    // Nothing more is asked about a release whose manifest is refused.
    if release(&client, published, releases, policy, &mut findings)?.is_some() {
        let (product, now) = (policy.product.as_deref(), crate::now());
        channels::check_withdrawn(
            &client,
            &published.namespace,
            &published.version,
            product,
            records,
            now,
            &mut findings,
        );
    }
    Ok(findings.into_report())
}

/// Checks a release as [`registry`] does, except for whether it is withdrawn, and returns what it consists of
/// where nothing is wrong.
///
/// # Errors
/// As [`registry`].
pub fn check_release<'a>(
    published: &Published,
    trust: impl Into<Trust<'a>>,
    policy: &Policy,
) -> Result<(Report, Option<Released>), VerifyError> {
    let trust = trust.into();
    let client = Client::of_namespace(&published.namespace);
    let mut findings = Findings::new(trust);
    let found = release(&client, published, trust, policy, &mut findings)?;
    let report = findings.into_report();
    let found = found.filter(|_| report.is_verified());
    Ok((report, found))
}

/// Checks a release; the result is none where its manifest is refused.
pub(crate) fn release(
    client: &Client,
    published: &Published,
    trust: Trust<'_>,
    policy: &Policy,
    findings: &mut Findings,
) -> Result<Option<Released>, VerifyError> {
    let policy = Policy { version: Some(published.version.clone()), ..policy.clone() };
    let artifact = ReleaseArtifact::find(client, published)?;
    let Some(authentic) = artifact.head().authenticate(trust, &policy, findings) else {
        return Ok(None);
    };
    let folder_error = |source| VerifyError::Folder { path: std::env::temp_dir(), source };
    let temporary = TemporaryFolder::new().map_err(folder_error)?;
    // A full disk is no fault of the release.
    let needed = artifact.space(&authentic.manifest);
    let free = files::free_space(temporary.path()).map_err(folder_error)?;
    if needed > free {
        return Err(VerifyError::Space { path: std::env::temp_dir(), free, needed });
    }
    let trust = authentic.required.trust();
    let fetched = artifact.fetch_files(&authentic.manifest, trust, temporary.path(), findings);
    if policy.rebuilds.required > 0
        && let Err(problem) = artifact.fetch_rebuilds(temporary.path())
    {
        let place = layout::REBUILDS;
        findings.fault(place, Check::Provenance, &artifact.place, problem);
    }
    let folder = Folder::scan(temporary.path())?;
    for (path, digest) in fetched {
        folder.set_hashed(&path, digest);
    }
    release_files(&folder, &authentic, findings);
    for image in &authentic.manifest.images {
        match published.namespace.repository(&image.repository) {
            Ok(repository) => {
                let store = Remote { client, repository, folder: &folder };
                store.check_image(&authentic.manifest, image, trust, findings);
            }
            Err(e) => findings.fault(
                &image.repository,
                Check::Content,
                layout::MANIFEST,
                Problem::Image(e.to_string()),
            ),
        }
    }
    Ok(Some(Released { manifest: authentic.manifest, digest: artifact.digest }))
}

/// The artifact of a release: an unsigned list of blobs with their claimed paths.
struct ReleaseArtifact<'a> {
    client: &'a Client,
    repository: Repository,
    place: String,
    digest: String,
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
        let digest = fetched.descriptor.digest().to_string();
        Ok(Self { client, repository, place, digest, layers: artifact.layers().clone() })
    }

    /// The one layer with this title.
    fn layer(&self, path: &str) -> Result<&Descriptor, Problem> {
        let mut found = self.layers.iter().filter(|layer| artifact::title(layer) == Some(path));
        match (found.next(), found.next()) {
            (Some(layer), None) => Ok(layer),
            (None, _) => Err(Problem::Missing),
            (Some(_), Some(_)) => {
                Err(Problem::Manifest(format!("several layers have the title {path:?}")))
            }
        }
    }

    fn head(&self) -> UnverifiedManifest {
        let document = |path: &str, limit| {
            let mut bytes = Vec::new();
            let layer = self.layer(path)?;
            let digest = digest_of(layer, limit)?;
            let blob = self.client.document(&self.repository, &digest, layer.size());
            let mut blob = blob.map_err(problem)?;
            blob.read_to_end(&mut bytes).map_err(unreadable_problem)?;
            Ok(bytes)
        };
        UnverifiedManifest {
            manifest: document(layout::MANIFEST, MANIFEST_LIMIT),
            bundle: document(&layout::signature(layout::MANIFEST), BUNDLE_LIMIT),
        }
    }

    /// Bytes that the files need: those of `manifest`, and the signatures and attestations.
    fn space(&self, manifest: &Manifest) -> u64 {
        let artifacts: BTreeMap<_, _> =
            manifest.artifacts.iter().map(|it| (it.path.as_str(), it.size)).collect();
        let is_other = |it: &&Descriptor| {
            it.size() <= DOCUMENT_LIMIT
                && !artifacts.contains_key(artifact::title(it).unwrap_or_default())
        };
        let others = self.layers.iter().filter(is_other).map(Descriptor::size);
        files::space(files::PAGE, artifacts.values().copied().chain(others))
    }

    /// Fetches the files that `manifest` names into `folder`. A layer with another size or digest
    /// than in the manifest, or that the manifest does not name, is reported and not fetched. Returns the paths
    /// and digests of the fetched files.
    fn fetch_files(
        &self,
        manifest: &Manifest,
        trust: Trust<'_>,
        folder: &Path,
        findings: &mut Findings,
    ) -> Vec<(String, Digest)> {
        let artifacts: BTreeMap<_, _> =
            manifest.artifacts.iter().map(|it| (it.path.as_str(), it)).collect();
        let named: BTreeSet<String> = paths(manifest, trust.into()).into_iter().collect();
        // A path that leaves the folder is a fault of the manifest, reported with its other rules.
        let wanted: Vec<&String> = named.iter().filter(|path| is_inside(path)).collect();
        let fetched = parallel::map(parallel::REQUESTS, &wanted, |path| {
            let layer = self.layer(path)?;
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
        let mut digests = Vec::new();
        for (path, result) in wanted.into_iter().zip(fetched) {
            match result {
                Ok(digest) => digests.push((path.clone(), digest)),
                // A missing file is reported by its check.
                Err(Problem::Missing) => {}
                Err(problem) => findings.fault(path, Check::Content, path, problem),
            }
        }
        for layer in &self.layers {
            let title = artifact::title(layer).unwrap_or_default();
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
        digests
    }

    /// Fetches bundles that refer to the release into `folder`. Other referrers are skipped.
    fn fetch_rebuilds(&self, folder: &Path) -> Result<(), Problem> {
        let digest: Digest =
            self.digest.parse().map_err(|e| Problem::Image(format!("its digest: {e}")))?;
        let found = self.client.referrers(&self.repository, &digest, Some(bundle::MEDIA_TYPE));
        let mut fetched = BTreeSet::new();
        for referrer in found.map_err(problem)?.iter().take(rebuild::LIMIT) {
            let Ok(selector) = Digest::try_from(referrer.digest()).map(Selector::from) else {
                continue;
            };
            // Anybody may attach anything: what cannot be fetched does not count.
            let Ok(document) = self.client.manifest(&self.repository, &selector) else { continue };
            let Ok(artifact) = serde_json::from_slice::<ImageManifest>(&document.bytes) else {
                continue;
            };
            for layer in artifact.layers().iter().take(1) {
                let name = layout::rebuild(layer.digest().digest());
                if is_inside(&name) && fetched.insert(name.clone()) {
                    self.fetch(layer, BUNDLE_LIMIT, &folder.join(name)).ok();
                }
            }
        }
        Ok(())
    }

    /// Opens a blob of at most `limit` bytes; reading it to the end verifies size and digest.
    fn open(&self, layer: &Descriptor, limit: u64) -> Result<BlobReader, Problem> {
        let digest = digest_of(layer, limit)?;
        self.client.blob(&self.repository, &digest, Some(layer.size())).map_err(problem)
    }

    /// Returns the digest of what was written.
    fn fetch(&self, layer: &Descriptor, limit: u64, path: &Path) -> Result<Digest, Problem> {
        let mut blob = self.open(layer, limit)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(unreadable_problem)?;
        }
        let mut file = File::create_new(path).map_err(unreadable_problem)?;
        io::copy(&mut blob, &mut file).map_err(unreadable_problem)?;
        Digest::try_from(layer.digest()).map_err(|e| Problem::Image(e.to_string()))
    }
}

/// The digest of a layer of at most `limit` bytes.
fn digest_of(layer: &Descriptor, limit: u64) -> Result<Digest, Problem> {
    if layer.size() > limit {
        return Err(Problem::TooLong { limit });
    }
    Digest::try_from(layer.digest()).map_err(|e| Problem::Image(e.to_string()))
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
