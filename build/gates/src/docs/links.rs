// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Links of pages lead to files and headings that exist.

use std::collections::BTreeMap;
use std::path::Path;

use foundation::finding::Finding;
use rules::markdown::Page;

/// Links to missing files and headings. Links to other sites are not checked: their availability
/// does not depend on our change.
pub(super) fn check(
    root: &Path,
    path: &str,
    page: &Page,
    pages: &BTreeMap<&str, Page>,
) -> Vec<Finding> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    page.links
        .iter()
        .filter(|link| !link.target.contains("://") && !link.target.starts_with("mailto:"))
        .filter_map(|link| {
            let (file, anchor) = link
                .target
                .split_once('#')
                .map_or((link.target.as_str(), None), |(f, a)| (f, Some(a)));
            let target =
                if file.is_empty() { path.to_owned() } else { normalise(&folder.join(file)) };
            let finding = |rule: &str, what: &str| {
                Some(Finding::at(
                    path,
                    link.line,
                    rule,
                    format!("{what} {}", link.target),
                    "correct the link",
                ))
            };
            if !root.join(&target).exists() {
                return finding("broken-link", "no such file:");
            }
            let known = |anchor: &str| {
                pages
                    .get(target.as_str())
                    .is_none_or(|page| page.anchors.iter().any(|it| it == anchor))
            };
            match anchor {
                Some(anchor) if !known(anchor) => finding("broken-anchor", "no such heading:"),
                _ => None,
            }
        })
        .collect()
}

/// Normalises `a/../b` to `b`, without the file system.
pub(super) fn normalise(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.iter().filter_map(|part| part.to_str()) {
        match part {
            "." => {}
            ".." if !parts.is_empty() => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::markdown;

    #[test]
    fn links_are_followed_from_their_page() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("docs")).unwrap();
        let one = "# One\n[ok](two.md#a-heading) [up](../README.md) [site](https://x.example/y)\n\
                   [gone](three.md) [bad](two.md#none) [own](#one) [own](#two)\n";
        let two = "## A heading\n";
        for (path, text) in [("docs/one.md", one), ("docs/two.md", two), ("README.md", "x")] {
            std::fs::write(root.path().join(path), text).unwrap();
        }
        let pages = BTreeMap::from([
            ("docs/one.md", markdown::read(one)),
            ("docs/two.md", markdown::read(two)),
            ("README.md", markdown::read("x")),
        ]);
        let findings = check(root.path(), "docs/one.md", &pages["docs/one.md"], &pages);
        let found: Vec<_> = findings.iter().map(|f| (f.line, f.message.as_str())).collect();
        assert_eq!(
            found,
            [
                (Some(3), "no such file: three.md"),
                (Some(3), "no such heading: two.md#none"),
                (Some(3), "no such heading: #two"),
            ]
        );
    }
}
