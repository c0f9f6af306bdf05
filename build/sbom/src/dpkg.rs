// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Debian packages of a root file system as components.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use debian::control::{self, Stanza};
use debian::copyright;
use debian::root::{self, RootFacts};

use crate::bom::{Bom, Component, Kind};
use crate::license;
use crate::purl::purl;

/// Adds the distribution and its installed packages to `bom` as dependencies of the subject.
///
/// `checksums` are those of the `.deb` files, by package.
pub fn add(bom: &mut Bom, facts: &RootFacts, checksums: &BTreeMap<String, String>) -> Result<()> {
    let release = OsRelease::parse(&facts.os_release)?;
    let stanzas = control::parse(&facts.status).context("var/lib/dpkg/status is malformed")?;
    let installed: Vec<&Stanza> = stanzas
        .iter()
        .filter(|stanza| stanza.get("Status").is_some_and(|s| s.ends_with(" installed")))
        .collect();
    let subject = bom.subject.reference.clone();

    let system = release.component();
    bom.depends(&subject, &system.reference);
    bom.add(system);

    let mut providers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut refs = Vec::new();
    for stanza in installed {
        let package = stanza.require("Package")?;
        let mut component = component(stanza, &release)?;
        let terms =
            facts.copyrights.get(package).map(|text| copyright::licenses(text)).unwrap_or_default();
        component.license = license::expression(&terms, &mut bom.custom_licenses);
        component.sha256 = checksums.get(package).cloned();
        let provides = control::relations(stanza.get("Provides").unwrap_or_default());
        for name in provides.into_iter().flatten().chain([package.to_owned()]) {
            providers.entry(name).or_default().insert(component.reference.clone());
        }
        bom.depends(&subject, &component.reference);
        refs.push((stanza, component.reference.clone()));
        bom.add(component);
    }
    for (stanza, bom_ref) in refs {
        for field in ["Depends", "Pre-Depends"] {
            let wanted = control::relations(stanza.get(field).unwrap_or_default());
            let found = wanted.into_iter().flatten().filter_map(|name| providers.get(&name));
            for provider in found.flatten().filter(|provider| **provider != bom_ref) {
                bom.depends(&bom_ref, provider);
            }
        }
    }
    Ok(())
}

/// Fields of os-release(5) that identify a distribution.
struct OsRelease {
    id: String,
    name: String,
    version: String,
}

impl OsRelease {
    fn parse(text: &str) -> Result<Self> {
        let field = |name: &str| {
            let value = root::os_release(text, name);
            value.map(str::to_owned).with_context(|| format!("os-release has no {name}"))
        };
        Ok(Self { id: field("ID")?, name: field("PRETTY_NAME")?, version: field("VERSION_ID")? })
    }

    fn component(&self) -> Component {
        let reference = format!("os:{}-{}", self.id, self.version);
        let kind = Kind::OperatingSystem;
        Component {
            supplier: Some(self.id.clone()),
            description: Some(self.name.clone()),
            ..Component::without_purl(kind, &self.id, &self.version, reference)
        }
    }
}

fn component(stanza: &Stanza, release: &OsRelease) -> Result<Component> {
    let name = stanza.require("Package")?;
    let version = stanza.require("Version")?;
    let distro = format!("{}-{}", release.id, release.version);
    let upstream = stanza.get("Source").map(upstream);
    let mut qualifiers = vec![("arch", stanza.require("Architecture")?), ("distro", &distro)];
    qualifiers.extend(upstream.as_deref().map(|source| ("upstream", source)));
    let purl = purl("deb", Some(&release.id), name, version, &qualifiers);
    let maintainer = stanza.get("Maintainer").and_then(|m| m.split('<').next()).map(str::trim);
    let homepage = stanza.get("Homepage").filter(|url| url.starts_with("http"));
    Ok(Component {
        supplier: maintainer.map(str::to_owned),
        description: stanza
            .get("Description")
            .and_then(|text| text.lines().next())
            .map(str::to_owned),
        website: homepage.map(str::to_owned),
        ..Component::new(Kind::Library, name, version, purl)
    })
}

/// The source package in the form of vulnerability databases: `NAME`, or `NAME@VERSION` if the
/// version differs (then the field is `NAME (VERSION)`, Debian policy 5.6.1).
fn upstream(source: &str) -> String {
    match source.split_once(" (") {
        Some((name, version)) => format!("{name}@{}", version.trim_end_matches(')')),
        None => source.to_owned(),
    }
}
