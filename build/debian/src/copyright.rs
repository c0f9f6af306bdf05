// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads a package's copyright file (Debian policy 12.5) and its licences.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result};
use foundation::command::Command;

/// Folder of common licence texts, which copyright files refer to.
const COMMON: &str = "/usr/share/common-licenses/";

/// Size limit of a copyright file, in bytes.
const LIMIT: u64 = 16 << 20;

/// A package's copyright file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copyright {
    /// Its text.
    Text(String),
    /// A link to the file of another package.
    Of(String),
}

/// Prints the files of the package file at `path` as a tar stream.
pub fn files_command(path: &Path) -> Command {
    Command::new("dpkg-deb", "/").arg("--fsys-tarfile").arg(path)
}

/// Finds the copyright file of `package` in the tar stream of its files.
pub fn find(tar: impl Read, package: &str) -> Result<Option<Copyright>> {
    let folder = format!("usr/share/doc/{package}");
    let file = format!("{folder}/copyright");
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries()? {
        let mut entry = entry.context("the package is malformed")?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        let path = path.trim_end_matches('/');
        if path != folder && path != file {
            continue;
        }
        if let Some(target) = entry.link_name()? {
            // `OTHER`, `../OTHER` or `../OTHER/copyright`.
            let target = target.to_string_lossy().into_owned();
            let mut names = target.split('/').filter(|name| !matches!(*name, "" | "." | ".."));
            let other = names.rfind(|name| *name != "copyright");
            return Ok(other.map(|name| Copyright::Of(name.to_owned())));
        }
        if path == file {
            let mut bytes = Vec::new();
            entry.by_ref().take(LIMIT).read_to_end(&mut bytes)?;
            return Ok(Some(Copyright::Text(String::from_utf8_lossy(&bytes).into_owned())));
        }
    }
    Ok(None)
}

/// Text of the copyright file of `package`, following links to other packages.
pub fn text<'a>(of: &'a BTreeMap<String, Copyright>, package: &str) -> Option<&'a str> {
    let mut next = of.get(package)?;
    // A longer chain of links is a cycle.
    for _ in 0..of.len() {
        match next {
            Copyright::Text(text) => return Some(text),
            Copyright::Of(other) => next = of.get(other)?,
        }
    }
    None
}

/// Licence names in a copyright file: its `License` fields if it is machine-readable (Debian,
/// "Machine-readable debian/copyright file", 1.0), else the common licences that it refers to.
pub fn licenses(copyright: &str) -> BTreeSet<&str> {
    if copyright.starts_with("Format:") {
        return copyright
            .lines()
            .filter_map(|line| line.strip_prefix("License:"))
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect();
    }
    // The reference from `common-licenses/` on; "or any later version" is not machine-readable.
    let name = |at: usize| {
        let from = copyright.get(at + "/usr/share/".len()..)?;
        let end = from.find(|c: char| !(c.is_ascii_alphanumeric() || "-./".contains(c)));
        from.get(..end.unwrap_or(from.len())).map(|it| it.trim_end_matches('.'))
    };
    let names = copyright.match_indices(COMMON).filter_map(|(at, _)| name(at));
    // References to the folder itself name no licence.
    names.filter(|name| !name.ends_with('/')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(entries: &[(&str, Result<&str, &str>)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            match content {
                Ok(text) => {
                    header.set_size(text.len() as u64);
                    builder.append_data(&mut header, path, text.as_bytes()).unwrap();
                }
                Err(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    builder.append_link(&mut header, path, target).unwrap();
                }
            }
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn a_copyright_file_is_found_or_whose_it_is() {
        let of = |package: &str, entries: &[(&str, Result<&str, &str>)]| {
            find(tar(entries).as_slice(), package).unwrap()
        };
        let text = Some(Copyright::Text("terms".to_owned()));
        let link = Some(Copyright::Of("b".to_owned()));
        assert_eq!(
            of("a", &[("./usr/bin/a", Ok("")), ("./usr/share/doc/a/copyright", Ok("terms"))]),
            text
        );
        assert_eq!(of("a", &[("./usr/share/doc/a", Err("b"))]), link);
        assert_eq!(of("a", &[("./usr/share/doc/a/copyright", Err("../b/copyright"))]), link);
        assert_eq!(of("a", &[("./usr/share/doc/b/copyright", Ok("terms"))]), None);
        assert!(find([1_u8; 512].as_slice(), "a").is_err());
    }

    #[test]
    fn links_are_followed_and_never_for_ever() {
        let of = BTreeMap::from([
            ("a".to_owned(), Copyright::Of("b".to_owned())),
            ("b".to_owned(), Copyright::Text("terms".to_owned())),
            ("c".to_owned(), Copyright::Of("d".to_owned())),
            ("d".to_owned(), Copyright::Of("c".to_owned())),
            ("e".to_owned(), Copyright::Of("absent".to_owned())),
        ]);
        assert_eq!(text(&of, "a"), Some("terms"));
        for without in ["c", "e", "absent"] {
            assert_eq!(text(&of, without), None, "{without}");
        }
    }

    #[test]
    fn licences_are_read_from_fields_else_from_references() {
        let fields =
            "Format: https://x\n\nFiles: *\nLicense: GPL-2+\n text\n\nFiles: b\nLicense: Expat\n";
        assert_eq!(licenses(fields), BTreeSet::from(["Expat", "GPL-2+"]));
        let prose = "On Debian systems, see `/usr/share/common-licenses/GPL-2', and\n\
                     /usr/share/common-licenses/LGPL-2.1.\nAlso /usr/share/common-licenses/GPL-2\n";
        let names = ["common-licenses/GPL-2", "common-licenses/LGPL-2.1"];
        assert_eq!(licenses(prose), BTreeSet::from(names));
        assert!(licenses("Free; see /usr/share/common-licenses/ for more.\n").is_empty());
    }
}
