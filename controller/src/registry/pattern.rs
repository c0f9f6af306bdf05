// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Patterns of repositories and tags in rules.

use oci::{Repository, Tag};

/// Tags of the repositories below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPattern {
    /// A repository or a folder of repositories; empty for all.
    pub prefix: String,
    /// Tag patterns, in which `*` matches any text. One must match.
    pub tags: Vec<String>,
}

impl TagPattern {
    /// Returns whether the pattern matches this tag.
    pub fn matches(&self, repository: &Repository, tag: &Tag) -> bool {
        covers(&self.prefix, repository.as_str())
            && self.tags.iter().any(|pattern| glob(pattern, tag.as_str()))
    }
}

/// Matches whole components only: `tools` covers `tools` and `tools/a`, not `toolset`.
pub(super) fn covers(prefix: &str, name: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    match name.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// Matches a text with a pattern, in which `*` matches any text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut middle: Vec<&str> = rest.split('*').collect();
    let last = middle.pop().unwrap_or_default();
    for part in middle {
        let Some((_, after)) = text.split_once(part) else { return false };
        text = after;
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_any_text() {
        for (pattern, text, expected) in [
            ("v*", "v1.2.3", true),
            ("v*", "latest", false),
            ("v*.*", "v1.2", true),
            ("v*.*", "v1", false),
            ("*", "", true),
            ("*-rc*", "v1-rc2", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("latest", "latest", true),
            ("latest", "latest2", false),
            ("*b*b", "b", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_matches_repository_and_tag() {
        let pattern = TagPattern { prefix: "tools".to_owned(), tags: vec!["v*".to_owned()] };
        let matches = |repository: &str, tag: &str| {
            pattern.matches(&repository.parse().unwrap(), &tag.parse().unwrap())
        };
        assert!(matches("tools", "v1") && matches("tools/a", "v1"));
        assert!(!matches("tools/a", "latest"));
        assert!(!matches("toolset", "v1"));
    }
}
