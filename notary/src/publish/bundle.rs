// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary bundle`: a release with images, signatures and attestations in one file.
//!
//! The file is a tar archive of an OCI image layout (OCI image specification 1.1), so skopeo and
//! oras read it too. `index.json` names each image and the release artifact by `REPOSITORY:TAG`;
//! signatures, attestations and SBOMs are manifests with a `subject`. Equal releases give equal
//! bytes.
#![expect(clippy::doc_markdown, reason = "these comments are the help, where a backtick is noise")]

mod archive;
mod restore;
pub(crate) mod unbundle;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use oci::client::Client;
use oci::spec::{ANNOTATION_REF_NAME, Descriptor};
use oci::{Digest, Namespace};
use release::layout;
use signing::TrustedRoot;
use verify::Published;

use super::attachment::legacy_manifest;
use super::copy::Origin;
use super::plan::Plan;
use super::planned::{Blob, Content, Document, RepositoryPlan};
use super::progress::bytes as size_text;
use crate::release_folder::ReleaseFolder;

/// Artifact type of a trusted root (Sigstore, protobuf-specs, `sigstore_trustroot.proto`).
const TRUSTED_ROOT: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
/// Title of its layer.
const TRUSTED_ROOT_NAME: &str = "trusted_root.json";

/// Arguments of `bundle`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    from: From,
    /// Trusted root to add, for a release that an identity signed
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Location of the release.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct From {
    /// Folder with release.json
    #[arg(long, value_name = "DIR")]
    release: Option<PathBuf>,
    /// Registry, prefix of the repositories, and version; http://HOST… for a registry without TLS
    #[arg(long, value_name = "HOST/PREFIX:VERSION")]
    from: Option<Published>,
}

/// Runs the command.
///
/// # Errors
/// When the release is incomplete, cannot be read, or the file cannot be written.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut contents = Contents::new(plan(&args.from)?)?;
    if let Some(path) = &args.trusted_root {
        contents.add_trusted_root(path)?;
    }
    let Contents { entries, blobs, .. } = &contents;
    let context = || format!("cannot write the bundle {}", args.to.display());
    let size = archive::write(&args.to, entries, blobs).with_context(context)?;
    escape::print_line(format_args!(
        "{}: {} blobs, {}",
        args.to.display(),
        blobs.len(),
        size_text(size)
    ))?;
    Ok(())
}

/// The content of the release, with repository names relative to the bundle.
fn plan(from: &From) -> Result<Plan> {
    // Only the prefix of a namespace reaches the names of repositories, and here there is none.
    let names: Namespace = "bundle.invalid".parse()?;
    if let Some(published) = &from.from {
        let client = Client::of_namespace(published.namespace());
        let origin = Origin { client: &client, from: published.namespace() };
        return origin.plan(published.tag(), &names);
    }
    // clap requires one of them.
    let folder = from.release.as_ref().context("give --release or --from")?;
    Plan::new(&ReleaseFolder::open(folder)?, &names)
}

/// The content of a bundle.
struct Contents {
    /// Entries of `index.json`.
    entries: Vec<Descriptor>,
    blobs: BTreeMap<Digest, Blob>,
    /// The release artifact.
    release: Descriptor,
}

impl Contents {
    fn new(plan: Plan) -> Result<Self> {
        let last = plan.repositories.last().context("the release has no artifact")?;
        let release = last.root.descriptor();
        let mut contents = Self { entries: Vec::new(), blobs: BTreeMap::new(), release };
        for repository in plan.repositories {
            contents.add_repository(repository)?;
        }
        Ok(contents)
    }

    fn add_repository(&mut self, repository: RepositoryPlan) -> Result<()> {
        let RepositoryPlan { name, blobs, manifests, referrers, legacy_signatures, root, tags } =
            repository;
        for planned in tags {
            self.entries.push(with_name(&root, format!("{name}:{}", planned.tag)));
        }
        for blob in blobs {
            self.blobs.entry(blob.digest.clone()).or_insert(blob);
        }
        for document in manifests {
            self.add_document(document);
        }
        for referrer in referrers {
            self.add_entry(referrer.document.descriptor());
            self.add_document(referrer.document);
        }
        let mut signatures: BTreeMap<String, Vec<Descriptor>> = BTreeMap::new();
        for signature in legacy_signatures {
            signatures.entry(signature.tag.to_string()).or_default().push(signature.layer);
        }
        for (tag, layers) in signatures {
            let (manifest, config) = legacy_manifest(layers)?;
            let config = Blob::bytes(config);
            self.blobs.entry(config.digest.clone()).or_insert(config);
            let document = Document::new(&manifest)?;
            self.entries.push(with_name(&document, format!("{name}:{tag}")));
            self.add_document(document);
        }
        Ok(())
    }

    /// Adds a trusted root as a referrer of the release.
    fn add_trusted_root(&mut self, path: &Path) -> Result<()> {
        let context = || format!("cannot read the trusted root {}", path.display());
        let bytes = std::fs::read(path).with_context(context)?;
        TrustedRoot::parse(&bytes).with_context(context)?;
        let blob = Blob::bytes(bytes);
        let mut layer = oci::artifact::descriptor("application/json", &blob.digest, blob.size);
        oci::artifact::set_title(&mut layer, TRUSTED_ROOT_NAME);
        let subject = Some(self.release.clone());
        let manifest =
            oci::artifact::manifest(TRUSTED_ROOT, vec![layer], subject, BTreeMap::new())?;
        let document = Document::new(&manifest)?;
        self.blobs.insert(blob.digest.clone(), blob);
        self.add_entry(document.descriptor());
        self.add_document(document);
        Ok(())
    }

    /// Adds an entry without a name, once.
    fn add_entry(&mut self, descriptor: Descriptor) {
        if !self.entries.contains(&descriptor) {
            self.entries.push(descriptor);
        }
    }

    fn add_document(&mut self, document: Document) {
        let Document { digest, media_type: _, bytes } = document;
        let size = bytes.len() as u64;
        let content = Content::Bytes(bytes);
        self.blobs.entry(digest.clone()).or_insert(Blob { digest, size, content });
    }
}

fn with_name(document: &Document, name: String) -> Descriptor {
    let mut descriptor = document.descriptor();
    descriptor.set_annotations(Some([(ANNOTATION_REF_NAME.to_owned(), name)].into()));
    descriptor
}

/// Whether `name` is the name of a release artifact.
fn is_release(name: &str) -> bool {
    name.split_once(':').is_some_and(|(repository, _)| repository == layout::REPOSITORY)
}
