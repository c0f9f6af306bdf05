// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads Cargo's index caches for yanked versions.
//!
//! A registry index has a file per crate with a line of JSON per version (The Cargo Book, "Registry
//! Index"). Cargo caches it below `registry/index/NAME/.cache` in its home: a header, then version
//! and line alternating, each terminated by NUL (`SummariesCache` in Cargo's source). Files in
//! another format are ignored.
//!
//! NAME is derived from the host that serves the registry, such as a mirror (The Cargo Book,
//! "Source Replacement"). The folder of the registry's crate sources has the same name, and `cargo
//! metadata` reports that folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::Metadata;
use cargo_metadata::semver::Version;
use serde::Deserialize;

/// Index caches by registry, in the notation of `Cargo.lock`.
#[derive(Debug)]
pub struct Indexes(BTreeMap<String, PathBuf>);

impl Indexes {
    /// Index caches of the registries in `metadata`. A directory registry has none.
    pub fn new(metadata: &Metadata) -> Self {
        let found = metadata.packages.iter().filter_map(|package| {
            let source = package.source.as_ref()?.repr.clone();
            Some((source, folder(package.manifest_path.as_std_path())?))
        });
        Self(found.filter(|(_, folder)| folder.is_dir()).collect())
    }

    /// Whether `version` of the crate `name` from `registry` is yanked; `None` if no cache contains
    /// it.
    pub fn is_yanked(&self, registry: &str, name: &str, version: &Version) -> Option<bool> {
        let bytes = fs::read(self.0.get(registry)?.join(path(name)?)).ok()?;
        let wanted = version.to_string();
        let fields: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
        let line = fields
            .array_windows()
            .find(|[of, _]| *of == wanted.as_bytes())
            .map(|[_, line]| *line)?;
        Some(serde_json::from_slice::<Line>(line).ok()?.yanked)
    }
}

#[derive(Deserialize)]
struct Line {
    yanked: bool,
}

/// The index cache for a crate with the manifest `registry/src/NAME/CRATE-VERSION/Cargo.toml`.
fn folder(manifest: &Path) -> Option<PathBuf> {
    let of_registry = manifest.parent()?.parent()?;
    let sources = of_registry.parent()?;
    let registry = sources.parent()?;
    if !(sources.ends_with("src") && registry.ends_with("registry")) {
        return None;
    }
    Some(registry.join("index").join(of_registry.file_name()?).join(".cache"))
}

/// Index path of a crate (The Cargo Book, "Registry Index", "Index files").
fn path(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    let part = |from, to| name.get(from..to);
    Some(match name.len() {
        0 => return None,
        1 => format!("1/{name}"),
        2 => format!("2/{name}"),
        3 => format!("3/{}/{name}", part(0, 1)?),
        _ => format!("{}/{}/{name}", part(0, 2)?, part(2, 4)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_lie_where_the_index_has_them() {
        for (name, expected) in
            [("a", "1/a"), ("Ab", "2/ab"), ("abc", "3/a/abc"), ("serde_json", "se/rd/serde_json")]
        {
            assert_eq!(path(name).as_deref(), Some(expected));
        }
        assert_eq!(path(""), None);
    }

    #[test]
    fn the_index_is_beside_the_sources_of_its_crates() {
        let of = |manifest: &str| folder(Path::new(manifest));
        let expected = PathBuf::from("/h/registry/index/mirror.example-1/.cache");
        assert_eq!(of("/h/registry/src/mirror.example-1/bad-1.0.0/Cargo.toml"), Some(expected));
        assert_eq!(of("/w/vendor/bad-1.0.0/Cargo.toml"), None);
        assert_eq!(of("/registry/other/x-1/bad-1.0.0/Cargo.toml"), None);
        assert_eq!(of("Cargo.toml"), None);
    }

    #[test]
    fn yanked_versions_are_read_from_the_index() {
        let home = tempfile::tempdir().unwrap();
        let crates = home.path().join("3/b");
        fs::create_dir_all(&crates).unwrap();
        let line = |version: &str, yanked: bool| {
            format!("{version}\0{{\"name\":\"bad\",\"vers\":\"{version}\",\"yanked\":{yanked}}}\0")
        };
        let text =
            format!("\u{3}\u{2}\0\0\0etag: x\0{}{}", line("1.0.0", false), line("1.0.1", true));
        fs::write(crates.join("bad"), text).unwrap();
        let indexes = Indexes(BTreeMap::from([("registry+a".to_owned(), home.path().to_owned())]));
        let of = |registry: &str, name: &str, version: &str| {
            indexes.is_yanked(registry, name, &version.parse().unwrap())
        };
        assert_eq!(of("registry+a", "bad", "1.0.0"), Some(false));
        assert_eq!(of("registry+a", "bad", "1.0.1"), Some(true));
        assert_eq!(of("registry+a", "bad", "2.0.0"), None);
        assert_eq!(of("registry+a", "other", "1.0.0"), None);
        assert_eq!(of("registry+b", "bad", "1.0.0"), None, "another registry's crate");
    }
}
