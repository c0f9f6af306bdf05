// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! SBOM of a Rust binary, from its crate graph, `Cargo.lock` and `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use cargo_metadata::{Metadata, Package};
use rust::graph::{Crate, Graph};

use crate::bom::{Bom, Component, Kind, Scope};
use crate::purl::purl;

/// Data about a binary and its crates.
#[derive(Debug)]
pub struct Sources<'a> {
    /// Crates whose code is in the binary.
    pub linked: &'a Graph,
    /// The same plus build-time crates.
    pub built: &'a Graph,
    /// Licence and origin of crates.
    pub metadata: &'a Metadata,
    /// SHA-256 of crate archives.
    pub checksums: &'a BTreeMap<Crate, String>,
}

/// The binary.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Name of the executable.
    pub name: &'a str,
    /// Version of the release.
    pub version: &'a str,
    /// SHA-256 of the executable.
    pub sha256: &'a str,
    /// Product name.
    pub product: &'a str,
    /// Vendor.
    pub vendor: &'a str,
    /// SPDX licence expression.
    pub license: &'a str,
    /// URL of the source.
    pub source: &'a str,
    /// Full Git commit id.
    pub commit: &'a str,
}

/// The SBOM of a binary.
///
/// # Errors
/// When the graph contains a crate that `cargo metadata` does not list.
pub fn bom(subject: &Subject<'_>, sources: &Sources<'_>) -> Result<Bom> {
    let packages: BTreeMap<Crate, &Package> = sources
        .metadata
        .packages
        .iter()
        .map(|package| {
            let version = package.version.to_string();
            (Crate { name: package.name.to_string(), version }, package)
        })
        .collect();
    let root = binary(subject);
    let mut refs = BTreeMap::from([(&sources.linked.root, root.reference.clone())]);
    let mut bom = Bom::new(root);
    for krate in sources.built.edges.keys().filter(|krate| **krate != sources.built.root) {
        let package = packages.get(krate).with_context(|| {
            format!("`cargo tree` lists {krate}, but `cargo metadata` does not")
        })?;
        let mut component = component(package, subject);
        if !sources.linked.edges.contains_key(krate) {
            component.scope = Scope::Excluded;
        }
        component.sha256 = sources.checksums.get(krate).cloned();
        refs.insert(krate, component.reference.clone());
        bom.add(component);
    }
    for (from, to) in edges(sources) {
        if let (Some(from), Some(to)) = (refs.get(from), refs.get(to)) {
            bom.depends(from, to);
        }
    }
    Ok(bom)
}

fn edges<'a>(sources: &Sources<'a>) -> impl Iterator<Item = (&'a Crate, &'a Crate)> {
    [sources.linked, sources.built]
        .into_iter()
        .flat_map(|graph| &graph.edges)
        .flat_map(|(from, to): (_, &BTreeSet<Crate>)| to.iter().map(move |to| (from, to)))
}

/// The component of the binary itself.
pub fn binary(subject: &Subject<'_>) -> Component {
    let vcs = vcs(subject);
    let qualifiers = [("vcs_url", vcs.as_str())];
    let purl = purl("generic", Some(subject.product), subject.name, subject.version, &qualifiers);
    Component {
        supplier: Some(subject.vendor.to_owned()),
        sha256: Some(subject.sha256.to_owned()),
        license: Some(subject.license.to_owned()),
        vcs: Some(subject.source.to_owned()),
        ..Component::new(Kind::Application, subject.name, subject.version, purl)
    }
}

fn component(package: &Package, subject: &Subject<'_>) -> Component {
    let name = package.name.as_str();
    let version = package.version.to_string();
    // A workspace crate is not published: its package URL contains the repository, so that no
    // database confuses it with a published crate of the same name.
    let own = package.source.is_none();
    let vcs = vcs(subject);
    let qualifiers: &[_] = if own { &[("vcs_url", vcs.as_str())] } else { &[] };
    let supplier = if own { subject.vendor.to_owned() } else { supplier(package) };
    let purl = purl("cargo", None, name, &version, qualifiers);
    let repository = package.repository.clone().filter(|url| url.starts_with("http"));
    Component {
        supplier: Some(supplier),
        description: package.description.as_deref().map(one_line),
        license: package.license.as_deref().map(license),
        vcs: repository,
        ..Component::new(Kind::Library, name, &version, purl)
    }
}

/// Supplier of a crate: its authors, else the owner of its repository.
fn supplier(package: &Package) -> String {
    let authors: Vec<_> = package
        .authors
        .iter()
        .filter_map(|author| author.split('<').next())
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if !authors.is_empty() {
        return authors.join(", ");
    }
    // https://HOST/OWNER/NAME
    let owner = package.repository.as_deref().and_then(|url| url.split('/').nth(3));
    owner
        .filter(|owner| !owner.is_empty())
        .map_or_else(|| format!("the authors of {}", package.name), str::to_owned)
}

/// Normalises a licence expression. Old manifests write `A/B` for `A OR B` (Cargo book, "The
/// license field").
fn license(text: &str) -> String {
    text.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

fn vcs(subject: &Subject<'_>) -> String {
    format!("git+{}@{}", subject.source, subject.commit)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
