// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads the contents of a registry.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use oci::client::{Client, ClientError};
use oci::spec::{ANNOTATION_CREATED, ImageManifest};
use oci::{Digest, Namespace, Repository, Selector, Tag};
use release::channels::{Located, record};
use release::{Manifest, layout};
use semver::Version;
use serde::Deserialize;
use verify::ChannelError;

use super::graph::{Contents, Node};
use super::tags::{Class, TagKind};

/// Most manifests of a repository that are read.
const MANIFESTS: usize = 200_000;
/// Largest `release.json` that is read.
const MANIFEST_LIMIT: u64 = 16 * 1024 * 1024;

/// Contents of a registry.
pub(super) struct Survey {
    /// Repositories by name, without the prefix.
    pub(super) repositories: BTreeMap<String, RepositoryContents>,
    /// Releases that a channel points to, before or after an unfinished change.
    pub(super) protected: BTreeSet<Version>,
    /// Digests of the records of these channels and of that change, if they exist.
    pub(super) records: [Option<String>; 2],
}

/// One repository.
#[derive(Debug, Default)]
pub(super) struct RepositoryContents {
    pub(super) contents: Contents,
    /// Time at which a manifest's content was made, in seconds since 1970, by digest.
    pub(super) created: BTreeMap<String, u64>,
}

impl Survey {
    /// Reads the repositories `names`, that of the releases, and all that a release or a channel names.
    ///
    /// # Errors
    /// When anything cannot be read.
    pub(super) fn read(client: &Client, registry: &Namespace, names: &[String]) -> Result<Self> {
        let mut protected = BTreeSet::new();
        let mut names: BTreeSet<String> = names.iter().cloned().collect();
        let found = records(client, registry)?;
        for located in found.iter().flatten() {
            for entry in located.record.channels.values() {
                protected.insert(entry.version.clone());
                names.extend(entry.repositories.keys().cloned());
            }
        }
        let mut repositories = BTreeMap::new();
        let releases = Reader::new(client, registry, layout::REPOSITORY)?.read()?;
        names.extend(images(client, registry, &releases)?);
        repositories.insert(layout::REPOSITORY.to_owned(), releases);
        for name in names {
            // The records of channels are never deleted.
            if Class::of(&name) != Class::Channels && !repositories.contains_key(&name) {
                let surveyed = Reader::new(client, registry, &name)?.read()?;
                repositories.insert(name, surveyed);
            }
        }
        let records = found.map(|it| it.map(|it| it.digest));
        Ok(Self { repositories, protected, records })
    }
}

/// The newest record of channels, and that of an unfinished change. Signatures are not checked: even a forged record
/// only protects releases from deletion.
fn records(client: &Client, registry: &Namespace) -> Result<[Option<Located>; 2]> {
    let repository = registry.repository(record::REPOSITORY)?;
    let read = |tag: &str| {
        let selector = tag.parse::<Tag>()?.into();
        match verify::channels::unverified_record(client, &repository, &selector) {
            Ok(located) => Ok(Some(located)),
            Err(ChannelError::Registry(e)) if e.status() == Some(404) => Ok(None),
            Err(e) => Err(e).with_context(|| format!("cannot read {repository}:{tag}")),
        }
    };
    Ok([read(record::CURRENT)?, read(record::PENDING)?])
}

/// The digests of the records that [`Survey::records`] has, as they are now.
///
/// # Errors
/// When the registry refuses.
pub(super) fn record_digests(client: &Client, registry: &Namespace) -> Result<[Option<String>; 2]> {
    let repository = registry.repository(record::REPOSITORY)?;
    let read = |tag: &str| -> Result<Option<String>> {
        let found = client.head_manifest(&repository, &tag.parse::<Tag>()?.into())?;
        Ok(found.map(|it| it.to_string()))
    };
    Ok([read(record::CURRENT)?, read(record::PENDING)?])
}

/// The repositories of the images of all releases.
fn images(
    client: &Client,
    registry: &Namespace,
    releases: &RepositoryContents,
) -> Result<BTreeSet<String>> {
    let repository = registry.repository(layout::REPOSITORY)?;
    let mut names = BTreeSet::new();
    let versions = releases.contents.tags.iter();
    let versions = versions.filter(|(tag, _)| matches!(TagKind::of(tag), TagKind::Version(_)));
    for digest in versions.map(|(_, digest)| digest).collect::<BTreeSet<_>>() {
        let fetched = client.manifest(&repository, &digest.parse::<Digest>()?.into())?;
        let artifact: ImageManifest = serde_json::from_slice(&fetched.bytes)
            .with_context(|| format!("{repository}@{digest} is not a release"))?;
        let context = || format!("{repository}@{digest}");
        let bytes =
            client.fetch_titled_layer(&repository, &artifact, layout::MANIFEST, MANIFEST_LIMIT);
        let manifest = Manifest::parse(&bytes.with_context(context)?).with_context(context)?;
        names.extend(manifest.images.into_iter().map(|it| it.repository));
    }
    Ok(names)
}

/// Reads one repository.
struct Reader<'a> {
    client: &'a Client,
    repository: Repository,
    found: RepositoryContents,
    /// Digests that are still to be read.
    open: Vec<String>,
}

/// The fields of a manifest or index that retention needs.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Vec<Reference>,
    subject: Option<Reference>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Reference {
    digest: String,
}

impl<'a> Reader<'a> {
    fn new(client: &'a Client, registry: &Namespace, name: &str) -> Result<Self> {
        let repository = registry.repository(name)?;
        Ok(Self { client, repository, found: RepositoryContents::default(), open: Vec::new() })
    }

    fn read(mut self) -> Result<RepositoryContents> {
        let tags = match self.client.tags(&self.repository) {
            Ok(tags) => tags,
            Err(e) if e.status() == Some(404) => return Ok(self.found),
            Err(e) => {
                return Err(e)
                    .with_context(|| format!("cannot list the tags of {}", self.repository));
            }
        };
        let mut subjects = BTreeSet::new();
        for tag in tags {
            let found = self.client.head_manifest(&self.repository, &Selector::Tag(tag.clone()))?;
            // Deleted since it was listed.
            let Some(digest) = found.map(|it| it.to_string()) else { continue };
            if let TagKind::Attached(subject) = TagKind::of(tag.as_str()) {
                subjects.insert(subject);
            }
            self.found.contents.tags.insert(tag.to_string(), digest.clone());
            self.open.push(digest);
        }
        // The subject of a signature may be deleted already; its other referrers are found by its digest.
        self.open.extend(subjects);
        while let Some(digest) = self.open.pop() {
            self.digest(&digest)?;
            if self.found.contents.referrers.len() > MANIFESTS {
                bail!("{} has more than {MANIFESTS} manifests", self.repository);
            }
        }
        Ok(self.found)
    }

    fn digest(&mut self, text: &str) -> Result<()> {
        let contents = &mut self.found.contents;
        if contents.referrers.contains_key(text) {
            return Ok(());
        }
        let digest: Digest = text.parse()?;
        match self.client.manifest(&self.repository, &digest.clone().into()) {
            Ok(fetched) => {
                let document: Document = serde_json::from_slice(&fetched.bytes)
                    .with_context(|| format!("{}@{text} is malformed", self.repository))?;
                let created =
                    document.annotations.as_ref().and_then(|it| it.get(ANNOTATION_CREATED));
                let created = created.and_then(|it| humantime::parse_rfc3339(it).ok());
                let created = created.and_then(|it| it.duration_since(std::time::UNIX_EPOCH).ok());
                if let Some(created) = created {
                    self.found.created.insert(text.to_owned(), created.as_secs());
                }
                let children: Vec<_> = document.manifests.into_iter().map(|it| it.digest).collect();
                let subject = document.subject.map(|it| it.digest);
                self.open.extend(children.iter().cloned().chain(subject.clone()));
                contents.nodes.insert(text.to_owned(), Node { children, subject });
            }
            Err(ClientError::Status { status: 404, .. }) => {}
            Err(e) => {
                return Err(e).with_context(|| format!("cannot read {}@{text}", self.repository));
            }
        }
        let referrers = self.client.referrers(&self.repository, &digest, None);
        let referrers =
            referrers.with_context(|| format!("what refers to {}@{text}", self.repository))?;
        let referrers: Vec<_> = referrers.iter().map(|it| it.digest().to_string()).collect();
        self.open.extend(referrers.iter().cloned());
        contents.referrers.insert(text.to_owned(), referrers);
        Ok(())
    }
}
