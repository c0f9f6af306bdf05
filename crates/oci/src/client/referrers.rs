// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Referrers of a manifest: signatures, SBOMs, provenance.
//!
//! OCI distribution specification 1.1, "Listing Referrers" and "Referrers Tag Schema": for a
//! registry without the API, clients maintain the list as an index under a tag.

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, MediaType};
use ureq::http::Method;

use super::error::ClientError;
use super::{Action, Client};
use crate::artifact;
use crate::digest::Digest;
use crate::json;
use crate::media_type;
use crate::reference::{Repository, Selector, Tag};

/// Attempts to write the fallback index when other clients write it concurrently.
const ROUNDS: u32 = 4;

impl Client {
    /// Lists the manifests whose subject is `digest`, filtered by `artifact_type` if given.
    ///
    /// # Errors
    /// When the request fails, or the response is not an index.
    pub fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, ClientError> {
        let mut request =
            self.request(Method::GET, repository, &format!("referrers/{digest}"), Action::Pull);
        if let Some(artifact_type) = artifact_type {
            request.url = request.url.with("artifactType", artifact_type);
        }
        let mut found = Vec::new();
        let listed = self.pages(request, |request, bytes| {
            let index: ImageIndex = serde_json::from_slice(bytes).map_err(|e| {
                request.protocol_error(format!("the list of referrers is malformed: {e}"))
            })?;
            found.extend(index.manifests().iter().cloned());
            Ok(())
        });
        match listed {
            Ok(()) => {}
            // A registry without the API responds 404 by the specification; some respond 400 or
            // 405.
            Err(e) if matches!(e.status(), Some(400 | 404 | 405)) => {
                found = self.fallback_index(repository, &Tag::of_digest(digest))?;
            }
            Err(e) => return Err(e),
        }
        // Registries need not implement the filter.
        let wanted = artifact_type.map(MediaType::from);
        found.retain(|d| wanted.is_none() || *d.artifact_type() == wanted);
        Ok(found)
    }

    /// Pushes a manifest that has a subject, by digest, and adds it to the subject's referrers. Its
    /// blobs must exist.
    ///
    /// # Errors
    /// When `bytes` are not a manifest, the registry rejects it, or other clients keep changing the
    /// list.
    pub fn push_referrer(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Descriptor, ClientError> {
        let manifest: ImageManifest =
            serde_json::from_slice(bytes).map_err(|e| self.fault(repository, &e))?;
        let digest = Digest::sha256(bytes);
        let selector = Selector::Digest(digest.clone());
        let noted = self.put_manifest(repository, &selector, media_type, bytes)?;
        let mut descriptor = artifact::descriptor(media_type, &digest, bytes.len() as u64);
        // "Listing Referrers": without an artifact type, the media type of the configuration is
        // used.
        let config = || manifest.config().media_type().clone();
        descriptor.set_artifact_type(Some(manifest.artifact_type().clone().unwrap_or_else(config)));
        descriptor.set_annotations(manifest.annotations().clone());
        if let Some(subject) = manifest.subject().as_ref().filter(|_| !noted) {
            let subject =
                Digest::try_from(subject.digest()).map_err(|e| self.fault(repository, &e))?;
            self.list_in_fallback(repository, &Tag::of_digest(&subject), &descriptor)?;
        }
        Ok(descriptor)
    }

    /// A referrer that violates the specification.
    fn fault(&self, repository: &Repository, reason: &dyn std::fmt::Display) -> ClientError {
        let call = self.request(Method::PUT, repository, "manifests/", Action::Push).call();
        ClientError::Protocol { call, reason: reason.to_string() }
    }

    fn list_in_fallback(
        &self,
        repository: &Repository,
        tag: &Tag,
        descriptor: &Descriptor,
    ) -> Result<(), ClientError> {
        let selector = Selector::Tag(tag.clone());
        let fault = |reason: String| ClientError::Protocol {
            call: self
                .request(Method::PUT, repository, &format!("manifests/{tag}"), Action::Push)
                .call(),
            reason,
        };
        // Registries have no conditional writes: read the index back, and write again if another
        // client overwrote it.
        for _ in 0..ROUNDS {
            let mut manifests = self.fallback_index(repository, tag)?;
            if manifests.iter().any(|known| known.digest() == descriptor.digest()) {
                return Ok(());
            }
            manifests.push(descriptor.clone());
            let index = artifact::index(manifests).map_err(|e| fault(e.to_string()))?;
            let bytes = json::canonical(&index).map_err(|e| fault(e.to_string()))?;
            self.put_manifest(repository, &selector, media_type::IMAGE_INDEX, &bytes)?;
        }
        let manifests = self.fallback_index(repository, tag)?;
        if manifests.iter().any(|known| known.digest() == descriptor.digest()) {
            return Ok(());
        }
        Err(fault("other clients keep replacing the list of referrers".to_owned()))
    }

    fn fallback_index(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Vec<Descriptor>, ClientError> {
        let selector = Selector::Tag(tag.clone());
        let fetched = match self.manifest(repository, &selector) {
            Ok(fetched) => fetched,
            Err(e) if e.status() == Some(404) => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let index: ImageIndex =
            serde_json::from_slice(&fetched.bytes).map_err(|e| ClientError::Protocol {
                call: self
                    .request(Method::GET, repository, &format!("manifests/{tag}"), Action::Pull)
                    .call(),
                reason: format!("the list of referrers is malformed: {e}"),
            })?;
        Ok(index.manifests().clone())
    }
}
