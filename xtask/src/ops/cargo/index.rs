// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What Cargo keeps of the index of crates.io: which versions were taken back.
//!
//! The index has a file for each crate, with a line of JSON for each version (The Cargo Book, "Registry
//! Index"). Cargo keeps what it fetched below `registry/index/index.crates.io-HASH/.cache` in its home,
//! as a head and then version and line by turns, each with a NUL byte behind it (`SummariesCache` in
//! Cargo's source). Of a file in another form nothing is known.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::semver::Version;
use serde::Deserialize;

/// Where Cargo keeps the index of crates.io, in its home folder `home`; none where it has not fetched it.
pub(crate) fn folder(home: &Path) -> Option<PathBuf> {
    let folders = fs::read_dir(home.join("registry/index")).ok()?;
    let mut folders: Vec<PathBuf> = folders
        .filter_map(|entry| Some(entry.ok()?.path().join(".cache")))
        .filter(|path| path.to_string_lossy().contains("/index.crates.io-") && path.is_dir())
        .collect();
    // Versions of Cargo differ in the hash: the one that was written last is in use.
    folders.sort_by_key(|path| fs::metadata(path).and_then(|it| it.modified()).ok());
    folders.pop()
}

/// Whether the authors of the crate `name` took `version` back; none where the index in `folder` does not tell.
pub(crate) fn is_yanked(folder: &Path, name: &str, version: &Version) -> Option<bool> {
    let bytes = fs::read(folder.join(path(name)?)).ok()?;
    let wanted = version.to_string();
    let fields: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    let line =
        fields.array_windows().find(|[of, _]| *of == wanted.as_bytes()).map(|[_, line]| *line)?;
    Some(serde_json::from_slice::<Line>(line).ok()?.yanked)
}

#[derive(Deserialize)]
struct Line {
    yanked: bool,
}

/// The file of a crate (The Cargo Book, "Registry Index", "Index files").
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
    fn the_index_tells_what_was_taken_back() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(folder(home.path()), None);
        let crates = home.path().join("registry/index/index.crates.io-1/.cache/3/b");
        fs::create_dir_all(&crates).unwrap();
        let line = |version: &str, yanked: bool| {
            format!("{version}\0{{\"name\":\"bad\",\"vers\":\"{version}\",\"yanked\":{yanked}}}\0")
        };
        let text =
            format!("\u{3}\u{2}\0\0\0etag: x\0{}{}", line("1.0.0", false), line("1.0.1", true));
        fs::write(crates.join("bad"), text).unwrap();
        let folder = folder(home.path()).unwrap();
        let of = |name: &str, version: &str| is_yanked(&folder, name, &version.parse().unwrap());
        assert_eq!(of("bad", "1.0.0"), Some(false));
        assert_eq!(of("bad", "1.0.1"), Some(true));
        assert_eq!(of("bad", "2.0.0"), None);
        assert_eq!(of("other", "1.0.0"), None);
    }
}
