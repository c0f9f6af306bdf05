// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The crate list embedded in an executable: section `.dep-v0`, zlib-compressed JSON in the format
//! of `cargo auditable` (cargo-auditable, `PARSING.md` and `cargo-auditable.schema.json`).

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

use super::graph::{Crate, Graph};

/// Section name.
pub const SECTION: &str = ".dep-v0";
/// Revision 1: build-time crates, including procedural macros, are marked.
const FORMAT: u32 = 1;
/// Size limit of the decompressed list in bytes; scanners have one too.
const LIMIT: u64 = 8 << 20;

/// All crates of an executable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Sorted by name and version; [`Package::dependencies`] are indices.
    pub packages: Vec<Package>,
    /// Format revision; 0 if absent.
    #[serde(default)]
    pub format: u32,
}

/// A crate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Name in its `Cargo.toml`.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// `crates.io`, `registry`, `git` or `local`.
    pub source: String,
    /// Whether its code is in the executable.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: Kind,
    /// Indices of its dependencies, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<usize>,
    /// Whether it is the executable's own package.
    #[serde(default, skip_serializing_if = "is_default")]
    pub root: bool,
}

/// Role of a crate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Its code is in the executable.
    #[default]
    Runtime,
    /// It only runs during the build.
    Build,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl List {
    /// The list for an executable with the crates `built`, of which `linked` are in it. `sources`
    /// are those of `Cargo.lock`; a crate without source belongs to the workspace.
    ///
    /// # Errors
    /// When `linked` contains a crate that `built` does not.
    pub fn new(linked: &Graph, built: &Graph, sources: &BTreeMap<Crate, String>) -> Result<Self> {
        let places: BTreeMap<&Crate, usize> = built.edges.keys().zip(0..).collect();
        for krate in linked.edges.keys() {
            ensure!(places.contains_key(krate), "{krate} is linked but not built");
        }
        let packages = built.edges.iter().map(|(krate, dependencies)| Package {
            name: krate.name.clone(),
            version: krate.version.clone(),
            source: sources.get(krate).map_or("local", |source| kind_of_source(source)).to_owned(),
            kind: if linked.edges.contains_key(krate) { Kind::Runtime } else { Kind::Build },
            dependencies: dependencies.iter().filter_map(|it| places.get(it).copied()).collect(),
            root: *krate == built.root,
        });
        Ok(Self { packages: packages.collect(), format: FORMAT })
    }

    /// Encodes the section's content.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut out = ZlibEncoder::new(Vec::new(), Compression::best());
        out.write_all(&serde_json::to_vec(self)?)?;
        Ok(out.finish()?)
    }

    /// Decodes the section's content.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut text = Vec::new();
        ZlibDecoder::new(bytes)
            .take(LIMIT + 1)
            .read_to_end(&mut text)
            .context("not compressed with zlib")?;
        ensure!(text.len() as u64 <= LIMIT, "longer than {LIMIT} bytes");
        let list: Self =
            serde_json::from_slice(&text).context("not in cargo-auditable's format")?;
        let count = list.packages.len();
        let places = list.packages.iter().flat_map(|package| &package.dependencies);
        ensure!(places.into_iter().all(|place| *place < count), "a dependency is not in the list");
        Ok(list)
    }

    /// The executable's own package.
    pub fn root(&self) -> Option<&Package> {
        self.packages.iter().find(|package| package.root)
    }
}

/// cargo-auditable's name for a source in `Cargo.lock`.
fn kind_of_source(source: &str) -> &str {
    match source.split_once('+') {
        _ if source == "registry+https://github.com/rust-lang/crates.io-index" => "crates.io",
        Some(("sparse", _)) => "registry",
        Some((kind, _)) => kind,
        None => source,
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph;
    use super::*;

    fn list() -> List {
        let linked =
            graph::parse("0app v0.1.0\n1a v1.0.0\n2b v2.0.0\n1own v0.1.0\n", "app").unwrap();
        let built = "0app v0.1.0\n1a v1.0.0\n2b v2.0.0\n1m v1.0.0 (proc-macro)\n2b v2.0.0 (*)\n1own v0.1.0\n";
        let built = graph::parse(built, "app").unwrap();
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
            source = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
            [[package]]\nname = \"b\"\nversion = \"2.0.0\"\nsource = \"sparse+https://r.example/\"\n\
            [[package]]\nname = \"m\"\nversion = \"1.0.0\"\nsource = \"git+https://g.example/m#00\"\n";
        List::new(&linked, &built, &graph::sources(lock).unwrap()).unwrap()
    }

    #[test]
    fn the_list_is_as_cargo_auditable_writes_it() {
        assert_eq!(
            serde_json::to_string(&list()).unwrap(),
            "{\"packages\":[\
             {\"name\":\"a\",\"version\":\"1.0.0\",\"source\":\"crates.io\",\"dependencies\":[2]},\
             {\"name\":\"app\",\"version\":\"0.1.0\",\"source\":\"local\",\"dependencies\":[0,3,4],\"root\":true},\
             {\"name\":\"b\",\"version\":\"2.0.0\",\"source\":\"registry\"},\
             {\"name\":\"m\",\"version\":\"1.0.0\",\"source\":\"git\",\"kind\":\"build\",\"dependencies\":[2]},\
             {\"name\":\"own\",\"version\":\"0.1.0\",\"source\":\"local\"}],\"format\":1}"
        );
    }

    /// Read by the library that scanners use.
    #[test]
    fn cargo_auditable_reads_it() {
        let mut text = String::new();
        let bytes = list().encode().unwrap();
        ZlibDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        let theirs: auditable_serde::VersionInfo = text.parse().unwrap();
        assert_eq!(theirs.format, 1);
        assert_eq!(theirs.packages.len(), 5);
        assert_eq!(theirs.packages[0].source, auditable_serde::Source::CratesIo);
        assert_eq!(theirs.packages[3].kind, auditable_serde::DependencyKind::Build);
        assert_eq!(serde_json::to_string(&theirs).unwrap(), text);
    }

    #[test]
    fn what_was_written_reads_back_and_anything_else_is_refused() {
        let bytes = list().encode().unwrap();
        assert_eq!(List::decode(&bytes).unwrap(), list());
        assert_eq!(list().root().unwrap().name, "app");
        let packed = |text: &str| {
            let mut out = ZlibEncoder::new(Vec::new(), Compression::fast());
            out.write_all(text.as_bytes()).unwrap();
            out.finish().unwrap()
        };
        let outside =
            r#"{"packages":[{"name":"a","version":"1","source":"local","dependencies":[1]}]}"#;
        for bad in [b"[]".to_vec(), packed("[]"), packed(outside), Vec::new()] {
            assert!(List::decode(&bad).is_err());
        }
        let long = packed(&" ".repeat(9 << 20));
        assert!(List::decode(&long).unwrap_err().to_string().contains("longer"));
    }
}
