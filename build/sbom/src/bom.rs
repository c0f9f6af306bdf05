// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A bill of materials, apart from the formats that it is written in.

use std::collections::{BTreeMap, BTreeSet};

use oci::Digest;

/// What a document says of its own making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Version of the program that writes it.
    pub tool_version: &'a str,
    /// Who delivers what it describes.
    pub vendor: &'a str,
    /// Where the source is published: the start of the names that documents give themselves.
    pub source: &'a str,
    /// `SOURCE_DATE_EPOCH` in seconds.
    pub epoch: u64,
    /// The program that looked for what is in the subject, where the build itself does not tell.
    pub scanner: Option<Scanner<'a>>,
}

/// A program that finds packages in files and images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanner<'a> {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'a str,
}

/// The name of the program that writes documents.
pub const TOOL: &str = "xtask";

/// What it is about, what that is made of, and what depends on what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bom {
    /// What the document describes.
    pub subject: Component,
    /// What the subject is made of, by reference.
    pub components: BTreeMap<String, Component>,
    /// Reference to those that it depends on directly, for each component and the subject.
    pub dependencies: BTreeMap<String, BTreeSet<String>>,
    /// Licences that SPDX has no name for: `LicenseRef-…`, as expressions have it, to what it stands for.
    pub custom_licenses: BTreeMap<String, String>,
    /// Whether what it does not name is not there. What a scanner found may not be all.
    pub complete: bool,
}

/// A piece of software.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// What kind of thing it is.
    pub kind: Kind,
    /// What the rest of the document calls it; unique.
    pub reference: String,
    /// Who delivers it: a person's or an organisation's name.
    pub supplier: Option<String>,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is, in a line.
    pub description: Option<String>,
    /// Whether its code is in the subject.
    pub scope: Scope,
    /// SHA-256 of the file that it came in or is, in lower-case hex.
    pub sha256: Option<String>,
    /// SPDX licence expression.
    pub license: Option<String>,
    /// Its package URL.
    pub purl: Option<String>,
    /// Where its source is kept.
    pub vcs: Option<String>,
    /// Where people read about it.
    pub website: Option<String>,
}

/// The kinds of components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A program.
    Application,
    /// A file that holds others: a package.
    Archive,
    /// A container image.
    Container,
    /// A file that is no program.
    File,
    /// Code that others use.
    Library,
    /// A distribution.
    OperatingSystem,
}

/// Whether a component's code is in the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// It is.
    Required,
    /// It only ran while the subject was built.
    Excluded,
}

impl Component {
    /// A required component with nothing but its names. Its reference is its package URL.
    pub fn new(kind: Kind, name: &str, version: &str, purl: String) -> Self {
        Self { purl: Some(purl.clone()), ..Self::without_purl(kind, name, version, purl) }
    }

    /// The same for what has no package URL.
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
    /// A complete document about `subject` alone.
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

    /// Adds `component`. What is there already under its name stays, and is required when either is.
    pub fn add(&mut self, component: Component) {
        self.dependencies.entry(component.reference.clone()).or_default();
        match self.components.get_mut(&component.reference) {
            Some(known) => known.scope = known.scope.min(component.scope),
            None => drop(self.components.insert(component.reference.clone(), component)),
        }
    }

    /// Says that `from` depends on `to`, both by reference.
    pub fn depends(&mut self, from: &str, to: &str) {
        self.dependencies.entry(from.to_owned()).or_default().insert(to.to_owned());
    }

    /// Puts `part` and all that it is made of into this document, as something the subject depends on.
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

    /// The subject and then all components.
    pub fn all(&self) -> impl Iterator<Item = &Component> {
        std::iter::once(&self.subject).chain(self.components.values())
    }

    /// Each component with those that it depends on, split by whether their code is in it.
    pub fn edges(&self) -> impl Iterator<Item = Edges<'_>> {
        let all: BTreeMap<_, _> = self.all().map(|it| (it.reference.as_str(), it)).collect();
        self.dependencies.iter().filter_map(move |(from, to)| {
            let from = *all.get(from.as_str())?;
            let targets = to.iter().filter_map(|to| all.get(to.as_str()).copied());
            let (excluded, required) = targets.partition(|to| {
                // Between two that only ran while it was built, it is a dependency like others.
                from.scope == Scope::Required && to.scope == Scope::Excluded
            });
            Some(Edges { from, required, build_only: excluded })
        })
    }
}

/// What one component depends on.
pub struct Edges<'a> {
    /// Which component.
    pub from: &'a Component,
    /// What is in it.
    pub required: Vec<&'a Component>,
    /// What only ran while it was built.
    pub build_only: Vec<&'a Component>,
}

impl Edges<'_> {
    /// Whether the component holds the others, and does not merely use them.
    pub fn contains(&self) -> bool {
        matches!(self.from.kind, Kind::Archive | Kind::Container)
    }
}

/// A version 8 UUID (RFC 9562, 5.8: of custom derivation) from the first 128 bits of a digest.
pub fn uuid(digest: &Digest) -> String {
    let number = digest.hex().get(..32).and_then(|hex| u128::from_str_radix(hex, 16).ok());
    let bytes = number.unwrap_or_default().to_be_bytes();
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}
