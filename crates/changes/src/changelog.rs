// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The changelog, in the format of [Keep a Changelog](https://keepachangelog.com/en/1.1.0/), without
//! dates: a candidate and the release made of it are the same commit.

use std::sync::LazyLock;

use regex::Regex;
use semver::Version;

use crate::markdown::entry;
use crate::message::{Change, Kind};

/// Groups of a section, in the order of the file; others follow.
const GROUPS: [&str; 6] = ["Breaking", "Upgrade", "Added", "Fixed", "Performance", "Reverted"];

/// The text of a section without changes.
const QUIET: &str = "No changes that users see.";

/// The end of a line that [`add_release`] wrote: the commit, of as many digits as
/// [`SHORT`](crate::markdown::SHORT).
static GENERATED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^- .* \([0-9a-f]{10}\)$").ok());

/// The changelog has no place for a release.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no heading `## Unreleased`; add it above the section of the last release")]
pub struct ChangelogError;

/// The changelog with a section for `version` below `## Unreleased`.
///
/// It has the text of `Unreleased` and of earlier candidates, and the `changes` since `last`, one
/// line each. The lines of candidates are rewritten, so that a change that was reverted between
/// two of them is gone. A first release lists no commits: everything is new.
///
/// # Errors
/// When there is no heading `## Unreleased`.
pub fn add_release(
    changelog: &str,
    version: &Version,
    last: Option<&Version>,
    changes: &[Change],
) -> Result<String, ChangelogError> {
    let sections: Vec<&str> = sections(changelog).collect();
    let is_unreleased =
        |section: &&str| title(section).trim_matches(['[', ']']).eq_ignore_ascii_case("unreleased");
    let start = sections.iter().position(is_unreleased).ok_or(ChangelogError)?;
    let (before, rest) = sections.split_at(start);
    // Sections of candidates whose release was never made.
    let candidate = |section: &&&str| {
        let version = title(section).split(' ').next().unwrap_or_default();
        let version = version.trim_matches(['[', ']']).parse::<Version>();
        version.is_ok_and(|it| last.is_none_or(|last| it > *last))
    };
    let count = 1 + rest.iter().skip(1).take_while(candidate).count();
    let (open, released) = rest.split_at(count);
    let mut section = Section::default();
    for it in open {
        section.read(it);
    }
    if last.is_some() {
        section.add(changes);
    }
    let mut out = before.concat();
    out.push_str("## Unreleased\n\n");
    out.push_str(&section.write(version));
    if !released.is_empty() {
        out.push('\n');
    }
    out.push_str(&released.concat());
    Ok(out)
}

/// The section of `version`, without its heading.
pub fn section_of<'a>(changelog: &'a str, version: &Version) -> Option<&'a str> {
    let heading = version.to_string();
    let section = sections(changelog).find(|it| title(it) == heading)?;
    section.split_once('\n').map(|(_, body)| body.trim())
}

/// The text before the first heading of level 2, and the text of each.
fn sections(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices("\n## ").map(|(at, _)| at + 1);
    let starts: Vec<usize> = std::iter::once(0).chain(starts).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([text.len()]).collect();
    starts.into_iter().zip(ends).filter_map(|(start, end)| text.get(start..end))
}

fn title(section: &str) -> &str {
    let line = section.lines().next().unwrap_or_default();
    line.strip_prefix("## ").unwrap_or_default().trim()
}

/// The text of a section by group; the first group has no heading.
#[derive(Default)]
struct Section(Vec<(String, Vec<String>)>);

impl Section {
    fn group(&mut self, name: &str) -> &mut Vec<String> {
        let known = self.0.iter().position(|it| it.0 == name);
        let at = known.unwrap_or_else(|| {
            self.0.push((name.to_owned(), Vec::new()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// Adds what people wrote in a section.
    fn read(&mut self, section: &str) {
        let mut name = "";
        for line in section.lines().skip(1) {
            match line.strip_prefix("### ") {
                Some(heading) => name = heading.trim(),
                None if line == QUIET => {}
                None if GENERATED.as_ref().is_some_and(|it| it.is_match(line)) => {}
                None => self.group(name).push(line.to_owned()),
            }
        }
    }

    /// Adds a line for each change that users see.
    fn add(&mut self, changes: &[Change]) {
        for change in changes {
            for step in &change.upgrade {
                let commit = entry(&Change { summary: step.clone(), ..change.clone() }, "");
                self.group("Upgrade").push(format!("- {commit}"));
            }
            let group = match change.kind {
                _ if change.breaking.is_some() => "Breaking",
                Kind::Feature => "Added",
                Kind::Fix => "Fixed",
                Kind::Performance => "Performance",
                Kind::Revert => "Reverted",
                Kind::Internal | Kind::Other => continue,
            };
            let detail = change.breaking.as_deref().unwrap_or_default();
            self.group(group).push(format!("- {}", entry(change, detail)));
        }
    }

    fn write(&self, version: &Version) -> String {
        let mut out = format!("## {version}\n");
        let known = |name: &str| GROUPS.iter().position(|it| *it == name).unwrap_or(GROUPS.len());
        let mut groups: Vec<_> = self.0.iter().collect();
        groups.sort_by_key(|(name, _)| if name.is_empty() { None } else { Some(known(name)) });
        for (name, lines) in groups {
            let body = paragraphs(lines);
            if body.is_empty() {
                continue;
            }
            if !name.is_empty() {
                out.push_str(&format!("\n### {name}\n"));
            }
            out.push_str(&format!("\n{body}\n"));
        }
        if out.lines().count() == 1 {
            out.push_str(&format!("\n{QUIET}\n"));
        }
        out
    }
}

/// The lines without empty ones around them, and without an empty one between two entries.
fn paragraphs(lines: &[String]) -> String {
    let mut out: Vec<&str> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let next = lines.iter().skip(index).find(|it| !it.is_empty());
        let in_list = out.last().is_some_and(|it| it.starts_with(['-', ' ']))
            && next.is_some_and(|it| it.starts_with("- "));
        if !line.is_empty() || !in_list {
            out.push(line);
        }
    }
    out.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Commit, collect};

    const EMPTY: &str = "# Changelog\n\nAll.\n\n## Unreleased\n\n## 1.2.0\n\n### Fixed\n\n- old\n";

    fn changes(messages: &[&str]) -> Vec<Change> {
        let make = |(number, message): (usize, &&str)| Commit {
            id: format!("{number:040x}"),
            parents: 1,
            author: "A".to_owned(),
            address: "a@example.org".to_owned(),
            message: (*message).to_owned(),
        };
        collect(&messages.iter().enumerate().map(make).collect::<Vec<_>>()).changes
    }

    fn release(changelog: &str, version: &str, last: Option<&str>, messages: &[&str]) -> String {
        let last = last.map(|it| it.parse().unwrap());
        add_release(changelog, &version.parse().unwrap(), last.as_ref(), &changes(messages))
            .unwrap()
    }

    #[test]
    fn a_release_has_what_was_written_and_what_was_committed() {
        let written = EMPTY.replace(
            "## Unreleased\n",
            "## Unreleased\n\nA summary.\n\n### Security\n\n- s\n\n### Fixed\n\n- by hand,\n  wrapped\n",
        );
        let messages = [
            "feat(api)!: use `x` (#7)\n\nBREAKING CHANGE: rename it\n\nUpgrade: run <y>",
            "fix: close *files*",
            "chore: update",
        ];
        insta::assert_snapshot!(release(&written, "2.0.0", Some("1.2.0"), &messages));
    }

    #[test]
    fn a_candidate_is_followed_by_its_release_in_one_section() {
        let first = release(EMPTY, "1.2.1", Some("1.2.0"), &["fix: a", "feat: reverted later"]);
        let by_hand = first.replace("## Unreleased\n", "## Unreleased\n\n### Fixed\n\n- by hand\n");
        // A breaking change raised the version; the feature is reverted.
        let second = release(&by_hand, "2.0.0", Some("1.2.0"), &["fix: a", "fix!: b"]);
        assert!(!second.contains("1.2.1") && !second.contains("reverted later"), "{second}");
        assert_eq!(second.matches("- by hand").count(), 1, "{second}");
        // Nothing changed, so the release is the commit of its candidate.
        assert_eq!(release(&second, "2.0.0", Some("1.2.0"), &["fix: a", "fix!: b"]), second);
        assert!(second.ends_with("\n## 1.2.0\n\n### Fixed\n\n- old\n"), "{second}");
        let body = section_of(&second, &"2.0.0".parse().unwrap()).unwrap();
        assert!(body.starts_with("### Breaking\n\n- b (0000000000)\n\n### Fixed"), "{body}");
    }

    #[test]
    fn a_first_release_lists_no_commits() {
        let text = "# Changelog\n\n## Unreleased\n\n### Added\n\n- everything\n";
        let released = release(text, "0.1.0", None, &["feat: a"]);
        assert_eq!(
            released,
            "# Changelog\n\n## Unreleased\n\n## 0.1.0\n\n### Added\n\n- everything\n"
        );
        assert_eq!(release(&released, "0.1.0", None, &["feat: b"]), released);
        let quiet = release(EMPTY, "1.2.1", Some("1.2.0"), &["chore: x"]);
        assert!(quiet.contains("## 1.2.1\n\nNo changes that users see.\n\n## 1.2.0"), "{quiet}");
        assert!(!release(&quiet, "1.2.1", Some("1.2.0"), &["fix: x"]).contains(QUIET));
        let error = add_release("# Changelog\n", &"0.1.0".parse().unwrap(), None, &[]);
        assert_eq!(error, Err(ChangelogError));
    }
}
