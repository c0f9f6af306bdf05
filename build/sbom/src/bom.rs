// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! SBOM model, independent of document formats.

use std::collections::{BTreeMap, BTreeSet};

use oci::Digest;

/// Creation data of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Version of [`TOOL`].
    pub tool_version: &'a str,
    /// Supplier of the described software.
    pub vendor: &'a str,
    /// URL of the source: prefix of document namespaces.
    pub source: &'a str,
    /// `SOURCE_DATE_EPOCH` in seconds.
    pub epoch: u64,
    /// The scanner that determined the components, if they do not come from the build itself.
    pub scanner: Option<Scanner<'a>>,
}

/// A program that finds packages in files and images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanner<'a> {
    /// Name.
    pub name: &'static str,
    /// Version.
    pub version: &'a str,
}

/// Name of the program that writes documents.
pub const TOOL: &str = "xtask";

/// An SBOM: subject, components and dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bom {
    /// The described software.
    pub subject: Component,
    /// Components by reference.
    pub components: BTreeMap<String, Component>,
    /// References of direct dependencies, for each component and the subject.
    pub dependencies: BTreeMap<String, BTreeSet<String>>,
    /// Licences without an SPDX identifier: `LicenseRef-…` to the original name.
    pub custom_licenses: BTreeMap<String, String>,
    /// Whether all components are listed. A scanner's result may be incomplete.
    pub complete: bool,
}

/// A component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Kind.
    pub kind: Kind,
    /// Unique reference in the document.
    pub reference: String,
    /// Supplier: name of a person or an organisation.
    pub supplier: Option<String>,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// One-line description.
    pub description: Option<String>,
    /// Whether its code is in the subject.
    pub scope: Scope,
    /// SHA-256 of the file that it is or was distributed in, in lower-case hex.
    pub sha256: Option<String>,
    /// SPDX licence expression.
    pub license: Option<String>,
    /// Package URL.
    pub purl: Option<String>,
    /// URL of its source repository.
    pub vcs: Option<String>,
    /// URL of its website.
    pub website: Option<String>,
}

/// Kind of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A program.
    Application,
    /// A file with other files: a package.
    Archive,
    /// A container image.
    Container,
    /// A file that is not a program.
    File,
    /// A library.
    Library,
    /// A distribution.
    OperatingSystem,
}

/// Whether a component's code is in the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Part of the subject.
    Required,
    /// Only ran during the build.
    Excluded,
}

impl Component {
    /// A required component with name, version and package URL, which is also its reference.
    pub fn new(kind: Kind, name: &str, version: &str, purl: String) -> Self {
        Self { purl: Some(purl.clone()), ..Self::without_purl(kind, name, version, purl) }
    }

    /// Like [`new`](Self::new), without a package URL.
    pub fn without_purl(kind: Kind, name: &str, version: &str, reference: String) -> Self {
        Self {
            kind,
            reference,
            supplier: None,
            name: name.to_owned(),
            version: version.to_owned(),
            description: None,
            scope: Scope::Required,
            sha256: None,
            license: None,
            purl: None,
            vcs: None,
            website: None,
        }
    }
}

impl Bom {
    /// A complete document with `subject` only.
    pub fn new(subject: Component) -> Self {
        let dependencies = BTreeMap::from([(subject.reference.clone(), BTreeSet::new())]);
        Self {
            subject,
            components: BTreeMap::new(),
            dependencies,
            custom_licenses: BTreeMap::new(),
            complete: true,
        }
    }

    /// Adds `component`. An existing one with the same reference is kept, and is required if either
    /// is.
    pub fn add(&mut self, component: Component) {
        self.dependencies.entry(component.reference.clone()).or_default();
        match self.components.get_mut(&component.reference) {
            Some(known) => known.scope = known.scope.min(component.scope),
            None => drop(self.components.insert(component.reference.clone(), component)),
        }
    }

    /// Adds the dependency of `from` on `to`, both by reference.
    pub fn depends(&mut self, from: &str, to: &str) {
        self.dependencies.entry(from.to_owned()).or_default().insert(to.to_owned());
    }

    /// Adds `part` with its components as a dependency of the subject.
    pub fn include(&mut self, part: Self) {
        let subject = self.subject.reference.clone();
        self.depends(&subject, &part.subject.reference);
        self.add(part.subject);
        part.components.into_values().for_each(|component| self.add(component));
        for (from, to) in part.dependencies {
            self.dependencies.entry(from).or_default().extend(to);
        }
        self.custom_licenses.extend(part.custom_licenses);
        self.complete &= part.complete;
    }

    /// The subject, then all components.
    pub fn all_components(&self) -> impl Iterator<Item = &Component> {
        std::iter::once(&self.subject).chain(self.components.values())
    }

    /// Components with their dependencies, split by whether the dependency's code is included.
    pub fn edges(&self) -> impl Iterator<Item = Edges<'_>> {
        let all: BTreeMap<_, _> =
            self.all_components().map(|it| (it.reference.as_str(), it)).collect();
        self.dependencies.iter().filter_map(move |(from, to)| {
            let from = *all.get(from.as_str())?;
            let targets = to.iter().filter_map(|to| all.get(to.as_str()).copied());
            let (excluded, required) = targets.partition(|to| {
                // Between two build-time components, it is a normal dependency.
                from.scope == Scope::Required && to.scope == Scope::Excluded
            });
            Some(Edges { from, required, build_only: excluded })
        })
    }
}

/// Dependencies of a component.
pub struct Edges<'a> {
    /// The component.
    pub from: &'a Component,
    /// Dependencies whose code is included.
    pub required: Vec<&'a Component>,
    /// Build-time dependencies.
    pub build_only: Vec<&'a Component>,
}

impl Edges<'_> {
    /// Whether the component contains its dependencies instead of using them.
    pub fn contains(&self) -> bool {
        matches!(self.from.kind, Kind::Archive | Kind::Container)
    }
}

/// A version 8 UUID (RFC 9562, 5.8) from the first 128 bits of a digest.
pub fn uuid(digest: &Digest) -> String {
    let number = digest.hex().get(..32).and_then(|hex| u128::from_str_radix(hex, 16).ok());
    let bytes = number.unwrap_or_default().to_be_bytes();
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}
