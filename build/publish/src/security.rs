// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Advisories that a release fixes and has, from its SBOMs and those of the previous release. It
//! reads the data that `cargo xtask audit` fetched last; a release runs that gate before.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context as _, Result};
use cargo_metadata::semver::Version;
use changes::{AdvisoryNote, Security};
use debian::apt::Apt;
use debian::security::{Updates, index};
use engine::Run;
use release::Architecture;
use release::layout::{self, SbomFormat};
use rules::advisory::{self, Advisory, Kind};
use serde::Deserialize;

/// The parts of a `CycloneDX` document that are read here.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    components: Vec<Component>,
}

/// A component of an SBOM.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Component {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    purl: String,
    #[serde(default)]
    scope: String,
}

/// Advisories that can be compared.
struct Known {
    crates: Vec<Advisory>,
    /// Security suites by architecture.
    suites: Vec<(Architecture, Updates)>,
}

/// Compares the components of the release in `new` with those of the previous one in `old`; a first
/// release has none. Without SBOMs in `new` there is nothing to compare.
///
/// # Errors
/// When an SBOM, the advisories or an index can't be read.
pub(crate) fn compare(run: &Run, old: Option<&Path>, new: &Path) -> Result<Option<Security>> {
    if !new.join(layout::SBOM).is_dir() {
        return Ok(None);
    }
    let mut gaps = Vec::new();
    let known = Known::read(run, &mut gaps)?;
    let advisories = |folder: &Path| -> Result<BTreeSet<AdvisoryNote>> {
        Ok(known.find_concerning(&components(folder)?))
    };
    let open = advisories(new)?;
    let fixed = match old {
        Some(old) if old.join(layout::SBOM).is_dir() => advisories(old)?
            .into_iter()
            .filter(|it| !open.iter().any(|open| open.id == it.id))
            .collect(),
        Some(_) => {
            gaps.push("the previous release is not in target/dist".to_owned());
            Vec::new()
        }
        None => Vec::new(),
    };
    Ok(Some(Security { fixed, open: open.into_iter().collect(), gaps }))
}

/// All components of the release in `folder` that are not only needed for its build.
fn components(folder: &Path) -> Result<BTreeSet<Component>> {
    let folder = folder.join(layout::SBOM);
    let mut found = BTreeSet::new();
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("cannot read the SBOMs in {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if layout::sbom_format(name) != Some(SbomFormat::CycloneDx) {
            continue;
        }
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let document: Document = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not a CycloneDX document", path.display()))?;
        found.extend(document.components.into_iter().filter(|it| it.scope != "excluded"));
    }
    Ok(found)
}

impl Known {
    /// Reads the last data of `cargo xtask audit`; adds missing data to `gaps`.
    fn read(run: &Run, gaps: &mut Vec<String>) -> Result<Self> {
        let scratch = run.workspace.scratch();
        let fix = "run `cargo xtask audit`";
        let database = advisory::folder(&scratch);
        let crates = database.map_or(Ok(Vec::new()), |it| advisory::load(&it))?;
        if crates.is_empty() {
            gaps.push(format!("there are no advisories of crates: {fix}"));
        }
        let mut suites = Vec::new();
        let names: BTreeSet<_> = run.workspace.product().bases.iter().map(|it| &it.suite).collect();
        for suite in names {
            for architecture in [Architecture::Amd64, Architecture::Arm64] {
                let Some(folder) = index(&scratch, suite, architecture) else {
                    let name = architecture.oci();
                    gaps.push(format!("there is no index of {suite}-security ({name}): {fix}"));
                    continue;
                };
                let log = run.tools.log(&scratch.join("logs"), "notes")?;
                let dump = Apt::open(folder, architecture).dump();
                let dump = run.attempt_machine(&log, &dump)?.success()?;
                suites.push((architecture, Updates::parse(&String::from_utf8_lossy(&dump))));
            }
        }
        Ok(Self { crates, suites })
    }

    /// The advisories that concern `components`.
    fn find_concerning(&self, components: &BTreeSet<Component>) -> BTreeSet<AdvisoryNote> {
        components.iter().flat_map(|it| self.concern(it)).collect()
    }

    fn concern(&self, component: &Component) -> Vec<AdvisoryNote> {
        let Component { name, version, purl, .. } = component;
        let note = |id: &str, title: &str| AdvisoryNote {
            id: id.to_owned(),
            component: format!("{name} {version}"),
            title: title.to_owned(),
        };
        if purl.starts_with("pkg:cargo/") {
            let Ok(version) = Version::parse(version) else { return Vec::new() };
            let concerns = self.crates.iter().filter(|it| {
                matches!(it.kind, Kind::Severe | Kind::Minor) && it.concerns(name, &version)
            });
            return concerns.map(|it| note(&it.id, &it.title)).collect();
        }
        if !purl.starts_with("pkg:deb/") {
            return Vec::new();
        }
        // A package of all architectures is in each index.
        let of = |architecture: Architecture| {
            let of = format!("arch={}", architecture.oci());
            purl.contains("arch=all") || purl.contains(&of)
        };
        let suites = self.suites.iter().filter(|(architecture, _)| of(*architecture));
        let updates = suites.filter_map(|(_, updates)| updates.find_update(name, version));
        updates.map(|update| note(&update.source, "")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_compared_with_the_data_of_their_kind() {
        let dump = "Package: openssl\nVersion: 3.5.4-1~deb13u2\n";
        let known =
            Known { crates: Vec::new(), suites: vec![(Architecture::Amd64, Updates::parse(dump))] };
        let ids = |version: &str, purl: &str| -> Vec<String> {
            let component = Component {
                name: "openssl".to_owned(),
                version: version.to_owned(),
                purl: purl.to_owned(),
                scope: String::new(),
            };
            known.concern(&component).into_iter().map(|it| it.id).collect()
        };
        let purl = "pkg:deb/debian/openssl@x?arch=amd64&distro=debian-13";
        assert_eq!(ids("3.5.1-1", purl), ["openssl@3.5.4-1~deb13u2"]);
        assert!(ids("3.5.4-1~deb13u2", purl).is_empty());
        assert!(ids("3.5.1-1", "pkg:deb/debian/openssl@x?arch=arm64").is_empty());
        assert!(ids("3.5.1-1", "pkg:generic/openssl@x").is_empty());
    }
}
