// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads Markdown as far as the check of the documentation needs: links, headings, commands and code spans.
//!
//! `CommonMark` is larger than this; what our pages use is here, and the tests hold the forms.

/// A link or image, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Line, counted from 1.
    pub(crate) line: usize,
    /// Target without its title: a URL, a path, `#anchor` or `path#anchor`.
    pub(crate) target: String,
}

/// A line of a fenced block, or a code span, that calls `cargo xtask`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// Line, counted from 1.
    pub(crate) line: usize,
    /// The words after `cargo xtask`.
    pub(crate) words: Vec<String>,
}

/// What a page holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Inline links and images outside code.
    pub(crate) links: Vec<Link>,
    /// Calls of `cargo xtask` in code.
    pub(crate) commands: Vec<Command>,
    /// Anchors of the headings, as GitHub makes them.
    pub(crate) anchors: Vec<String>,
}

const CALL: &str = "cargo xtask ";

/// Reads a page.
pub(crate) fn read(text: &str) -> Page {
    let mut page = Page::default();
    let mut fence: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let trimmed = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| trimmed.starts_with(marker));
        match (fence, marker) {
            (None, Some(marker)) => fence = Some(marker),
            (Some(open), Some(marker)) if open == marker => fence = None,
            (Some(_), _) => page.commands.extend(command(number, trimmed.trim_start_matches("$ "))),
            (None, None) => read_prose(&mut page, number, line),
        }
    }
    page
}

fn read_prose(page: &mut Page, number: usize, line: &str) {
    if let Some(heading) = line.strip_prefix('#') {
        page.anchors.push(anchor(heading.trim_start_matches('#')));
    }
    for (index, part) in line.split('`').enumerate() {
        if index % 2 == 1 {
            page.commands.extend(command(number, part));
        } else {
            page.links.extend(links(number, part));
        }
    }
}

/// `](TARGET)` and `](TARGET "title")` in a piece of prose.
fn links(number: usize, prose: &str) -> impl Iterator<Item = Link> + '_ {
    prose.match_indices("](").filter_map(move |(at, opening)| {
        let rest = &prose[at + opening.len()..];
        let target = match rest.strip_prefix('<') {
            Some(bracketed) => bracketed.split_once('>')?.0,
            None => rest.split_once(')')?.0.split_whitespace().next()?,
        };
        Some(Link { line: number, target: target.to_owned() })
    })
}

/// The call of `cargo xtask` that a line of code starts with, environment before it allowed.
fn command(number: usize, code: &str) -> Option<Command> {
    let (before, rest) = code.split_once(CALL)?;
    let only_environment = before.split_whitespace().all(|word| word.contains('='));
    only_environment.then(|| Command {
        line: number,
        words: rest
            .split_whitespace()
            .take_while(|word| !word.starts_with('#'))
            .map(str::to_owned)
            .collect(),
    })
}

/// The anchor of a heading: lower case, punctuation dropped, spaces to hyphens.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_commands_and_anchors_are_found_with_their_lines() {
        let page = read(
            "# A `title`, really\n[one](a.md#x) ![two](<b c> \"t\") and `[no](code)`\n\n\
             ```console\n$ cargo xtask dist --target all   # comment\n[no](fence)\nmake\n```\n\
             run `CI=true cargo xtask validate --fix` or [`code`](c.md)\n",
        );
        let targets: Vec<_> = page.links.iter().map(|l| (l.line, l.target.as_str())).collect();
        assert_eq!(targets, [(2, "a.md#x"), (2, "b c"), (9, "c.md")]);
        let commands: Vec<_> = page.commands.iter().map(|c| (c.line, c.words.join(" "))).collect();
        assert_eq!(
            commands,
            [(5, "dist --target all".to_owned()), (9, "validate --fix".to_owned())]
        );
        assert_eq!(page.anchors, ["a-title-really"]);
    }

    #[test]
    fn a_fence_left_open_swallows_the_rest_without_a_panic() {
        assert_eq!(read("```\n[x](y)"), Page::default());
        assert_eq!(read("[x]("), Page::default());
    }
}
