// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Third-party notices: authors and licence texts of a binary's dependencies, as their licences
//! require.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use foundation::file;

/// Prefixes of licence file names, in upper case.
const NAMES: &[&str] = &["COPYING", "COPYRIGHT", "LICENCE", "LICENSE", "NOTICE", "UNLICENSE"];
/// Separator between texts.
const RULE: &str = "------------------------------------------------------------------------------";

/// A third-party crate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Notice {
    /// Name and version.
    pub(crate) name: String,
    /// SPDX expression.
    pub(crate) license: String,
    /// Repository URL.
    pub(crate) repository: Option<String>,
    /// Licence files in the crate: name and text.
    pub(crate) terms: Vec<(String, String)>,
}

/// Reads the licence files in the folder of a crate, sorted by name.
pub(crate) fn terms(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut terms = Vec::new();
    for path in file::list(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let upper = name.to_uppercase();
        if NAMES.iter().any(|start| upper.starts_with(start)) && path.is_file() {
            let bytes = file::read(&path)?;
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
            terms.push((name, text.trim_end().to_owned()));
        }
    }
    Ok(terms)
}

/// The notices of `program`: a list of crates, then each distinct text once with its crates. `also`
/// names linked components that are not crates.
pub(crate) fn text(program: &str, notices: &[Notice], also: &[String]) -> String {
    let mut out = format!("{program} contains third-party software:\n\n");
    let mut texts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for notice in notices {
        out.push_str(&format!("  {}, {}", notice.name, notice.license));
        if let Some(repository) = &notice.repository {
            out.push_str(&format!(", {repository}"));
        }
        out.push('\n');
        for (file, text) in &notice.terms {
            texts.entry(text).or_default().push(format!("{} ({file})", notice.name));
        }
    }
    for line in also {
        out.push_str(&format!("  {line}\n"));
    }
    // Sorted by crate name, not by text.
    let mut texts: Vec<_> = texts.into_iter().map(|(text, names)| (names, text)).collect();
    texts.sort();
    for (names, text) in texts {
        out.push_str(&format!("\n{RULE}\n{}\n{RULE}\n\n{text}\n", names.join(", ")));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn terms_are_found_whatever_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("LICENSE-MIT", "mit\r\n"), ("license.md", "x"), ("UNLICENSE", "u"), ("README", "r")]
        {
            fs::write(folder.path().join(name), text).unwrap();
        }
        fs::create_dir(folder.path().join("licenses")).unwrap();
        let found = terms(folder.path()).unwrap();
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(
            found,
            [pair("LICENSE-MIT", "mit"), pair("UNLICENSE", "u"), pair("license.md", "x")]
        );
    }

    #[test]
    fn each_text_is_printed_once_with_all_its_crates() {
        let notice = |name: &str, text: &str| Notice {
            name: name.to_owned(),
            license: "MIT".to_owned(),
            repository: (name == "a 1.0.0").then(|| "https://a.example".to_owned()),
            terms: vec![("LICENSE".to_owned(), text.to_owned())],
        };
        let notices =
            [notice("a 1.0.0", "same"), notice("b 2.0.0", "other"), notice("c 1.0.0", "same")];
        let text = text("thing", &notices, &["glibc 2.36, LGPL-2.1-or-later".to_owned()]);
        let expected = format!(
            "thing contains third-party software:\n\n\
             \x20 a 1.0.0, MIT, https://a.example\n  b 2.0.0, MIT\n  c 1.0.0, MIT\n\
             \x20 glibc 2.36, LGPL-2.1-or-later\n\n\
             {RULE}\na 1.0.0 (LICENSE), c 1.0.0 (LICENSE)\n{RULE}\n\nsame\n\n\
             {RULE}\nb 2.0.0 (LICENSE)\n{RULE}\n\nother\n"
        );
        assert_eq!(text, expected);
    }
}
