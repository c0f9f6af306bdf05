// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The records and tags in a registry.

use std::collections::BTreeMap;
use std::io::Cursor;

use anyhow::{Context as _, Result, bail};
use oci::client::Client;
use oci::spec::Descriptor;
use oci::{Digest, Namespace, Repository, Selector, Tag, artifact, json, media_type};
use release::channels::record::{ARTIFACT_TYPE, BUNDLE, DOCUMENT, PREDICATE_TYPE, REPOSITORY};
use release::channels::{ChannelRecord, Located};
use signing::{PublicKey, Statement, Trust, bundle, sha256};
use verify::cli::TrustedSigner;
use verify::{ChannelError, SeenRecord};

use crate::signer::Signer;

/// The registry, and the expected signers of its records.
pub(super) struct Store {
    pub(super) client: Client,
    pub(super) namespace: Namespace,
    pub(super) trusted: TrustedSigner,
    /// Signer of the newest record, after a change of the key.
    previous: Option<PublicKey>,
    records: Repository,
}

/// A manifest that is to be tagged.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
}

impl Store {
    /// Sends no request yet.
    ///
    /// # Errors
    /// When the prefix is too long for the repository of the records.
    pub(super) fn new(
        namespace: Namespace,
        trusted: TrustedSigner,
        previous: Option<PublicKey>,
    ) -> Result<Self> {
        let client = Client::of_namespace(&namespace);
        let records = namespace.repository(REPOSITORY)?;
        Ok(Self { client, namespace, trusted, previous, records })
    }

    /// The repository `name` below the prefix.
    ///
    /// # Errors
    /// When that is no name of a repository.
    pub(super) fn repository(&self, name: &str) -> Result<Repository> {
        Ok(self.namespace.repository(name)?)
    }

    /// The record under `tag`; none where there is no such tag.
    ///
    /// # Errors
    /// When it is not signed by the trusted signer, or the registry refuses.
    pub(super) fn record(&self, tag: &str) -> Result<Option<Located>> {
        match self.locate(&tag.parse::<Tag>()?.into()) {
            Err(ChannelError::Registry(e)) if e.status() == Some(404) => Ok(None),
            found => found.map(Some).with_context(|| self.name(tag)),
        }
    }

    /// The record with this digest, which a signed record names.
    ///
    /// # Errors
    /// When it is gone or malformed, or the registry refuses.
    pub(super) fn record_by_digest(&self, digest: &str) -> Result<Located> {
        let selector = digest.parse::<Digest>()?.into();
        verify::channels::unverified_record(&self.client, &self.records, &selector)
            .with_context(|| self.name(digest))
    }

    /// Checks that `located` was made from `seen`.
    ///
    /// # Errors
    /// When it was not, or a record between them cannot be read.
    pub(super) fn check_descent(&self, located: &Located, seen: &SeenRecord) -> Result<()> {
        verify::channels::check_descent(&self.client, &self.records, located, seen)
            .map_err(anyhow::Error::msg)
    }

    fn locate(&self, selector: &Selector) -> Result<Located, ChannelError> {
        let read = |trust: Trust<'_>| {
            verify::channels::record(&self.client, &self.records, selector, trust)
        };
        match (read(self.trusted.trust()), &self.previous) {
            (Err(ChannelError::Signature(_)), Some(key)) => read(Trust::Key(key)),
            (found, _) => found,
        }
    }

    fn name(&self, selector: &str) -> String {
        format!("the record {selector} in {}/{}", self.client.host(), self.records)
    }

    /// The digest that a tag of the repository `name` points to.
    ///
    /// # Errors
    /// When the registry refuses.
    pub(super) fn tag(&self, name: &str, tag: &str) -> Result<Option<String>> {
        let repository = self.repository(name)?;
        let found = self.client.head_manifest(&repository, &tag.parse::<Tag>()?.into());
        let found =
            found.with_context(|| format!("cannot read what {repository}:{tag} points to"))?;
        Ok(found.map(|it| it.to_string()))
    }

    /// The digest of the record that a tag of the records points to.
    ///
    /// # Errors
    /// When the registry refuses.
    pub(super) fn record_tag(&self, tag: &str) -> Result<Option<String>> {
        self.tag(REPOSITORY, tag)
    }

    /// The manifest with this digest; none where it is gone.
    ///
    /// # Errors
    /// When the registry refuses.
    pub(super) fn manifest(&self, name: &str, digest: &str) -> Result<Option<Document>> {
        let repository = self.repository(name)?;
        let digest: Digest = digest.parse()?;
        match self.client.manifest(&repository, &digest.clone().into()) {
            Ok(fetched) => {
                let media_type = fetched.descriptor.media_type().to_string();
                Ok(Some(Document { media_type, bytes: fetched.bytes, digest }))
            }
            Err(e) if e.status() == Some(404) => Ok(None),
            Err(e) => Err(e).with_context(|| format!("cannot read {repository}@{digest}")),
        }
    }

    /// Points a tag of the repository `name` to a manifest.
    ///
    /// # Errors
    /// When the registry refuses.
    pub(super) fn set(&self, name: &str, tag: &str, document: &Document) -> Result<()> {
        let repository = self.repository(name)?;
        let Document { media_type, bytes, .. } = document;
        self.client
            .put_manifest(&repository, &tag.parse::<Tag>()?.into(), media_type, bytes)
            .with_context(|| format!("cannot set the tag {repository}:{tag}"))?;
        Ok(())
    }

    /// Removes a tag. Returns whether it is gone: many registries do not delete tags.
    pub(super) fn remove(&self, name: &str, tag: &str) -> bool {
        let Ok(repository) = self.repository(name) else { return false };
        let Ok(tag) = tag.parse::<Tag>() else { return false };
        self.client.delete_manifest(&repository, &tag.into()).is_ok()
    }

    /// Signs a record and pushes it without a tag.
    ///
    /// # Errors
    /// When it cannot be signed, or the registry refuses.
    pub(super) fn upload(&self, record: &ChannelRecord, signer: &Signer) -> Result<Document> {
        let document = record.to_json()?.into_bytes();
        let statement =
            Statement::new(DOCUMENT, &sha256(&document), PREDICATE_TYPE, serde_json::json!({}));
        let bundle = signer.sign_statement(&statement)?;
        if let (None, Some(it)) = (signer.public(), signer.identity())
            && let TrustedSigner::Identity(expected) = &self.trusted
            && (&it.identity, &it.issuer) != (&expected.subject, &expected.issuer)
        {
            bail!("{} of {} signed, expected {}", it.identity, it.issuer, expected.subject);
        }
        let bundle = bundle.to_json()?;
        let layers = vec![
            describe_titled("application/json", DOCUMENT, &document),
            describe_titled(bundle::MEDIA_TYPE, BUNDLE, &bundle),
        ];
        let manifest = artifact::manifest(ARTIFACT_TYPE, layers, None, BTreeMap::new())?;
        let bytes = json::canonical(&manifest)?;
        for blob in [artifact::EMPTY_JSON, &document, &bundle] {
            let (digest, size) = (Digest::sha256(blob), blob.len() as u64);
            self.client
                .push_blob(&self.records, &digest, size, None, &mut Cursor::new(blob))
                .context("cannot send the record")?;
        }
        let media_type = media_type::IMAGE_MANIFEST.to_owned();
        Ok(Document { media_type, digest: Digest::sha256(&bytes), bytes })
    }

    /// Points a tag of the records to a pushed one.
    ///
    /// # Errors
    /// When the registry refuses.
    pub(super) fn set_record(&self, tag: &str, document: &Document) -> Result<()> {
        self.set(REPOSITORY, tag, document)
    }

    /// Removes a tag of the records, where the registry can.
    pub(super) fn remove_record_tag(&self, tag: &str) {
        self.remove(REPOSITORY, tag);
    }
}

fn describe_titled(media_type: &str, title: &str, content: &[u8]) -> Descriptor {
    let mut layer = artifact::describe(media_type, content);
    artifact::set_title(&mut layer, title);
    layer
}
