// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Minimal Markdown reader for the documentation gate: links, headings, commands and code spans.
//!
//! Covers the part of `CommonMark` that our pages use; the tests list the forms.

/// A link or image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Line, from 1.
    pub line: usize,
    /// Target without title: a URL, a path, `#anchor` or `path#anchor`.
    pub target: String,
}

/// A call of one of our programs, in a code block or a code span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Line, from 1.
    pub line: usize,
    /// [`XTASK`], or one of [`PROGRAMS`].
    pub program: String,
    /// Arguments.
    pub words: Vec<String>,
}

/// Content of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Inline links and images outside code.
    pub links: Vec<Link>,
    /// Calls of our programs in code.
    pub commands: Vec<Command>,
    /// Code spans with a flag, such as `--json` or `--engine JOB=NAME`, with lines.
    pub flags: Vec<(usize, String)>,
    /// Anchors of headings in GitHub's form.
    pub anchors: Vec<String>,
}

/// The call of xtask in pages.
pub const XTASK: &str = "cargo xtask";

/// Our other programs.
pub const PROGRAMS: &[&str] =
    &["controller", "dispatcher", "mock-bmc", "notary", "packager", "step"];

/// Reads a page.
pub fn read(text: &str) -> Page {
    let mut page = Page::default();
    let mut fence: Option<&str> = None;
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let number = index + 1;
        let trimmed = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| trimmed.starts_with(marker));
        match (fence, marker) {
            (None, Some(marker)) => fence = Some(marker),
            (Some(open), Some(marker)) if open == marker => fence = None,
            (Some(_), _) => {
                let mut whole = trimmed.trim_start_matches("$ ").to_owned();
                while let Some(start) = whole.strip_suffix('\\') {
                    let more = lines.next().map_or("", |(_, line)| line.trim_start());
                    whole = format!("{start}{more}");
                }
                page.commands.extend(command(number, &whole));
            }
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
            page.flags.extend(flag(part).map(|flag| (number, flag)));
        } else {
            page.links.extend(links(number, part));
        }
    }
}

/// Parses `](TARGET)` and `](TARGET "title")` in prose.
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

/// Parses a line of code as a call of one of our programs, with optional variables before it.
fn command(number: usize, code: &str) -> Option<Command> {
    let code = code.trim_start();
    let environment = code.split_inclusive(' ').take_while(|word| word.contains('='));
    let code = code.get(environment.map(str::len).sum::<usize>()..)?;
    let called = |program: &'static str| {
        let rest = code.strip_prefix(program)?.strip_prefix(' ')?;
        Some((program, rest))
    };
    let (program, rest) = PROGRAMS.iter().copied().chain([XTASK]).find_map(called)?;
    // Diagrams and prose contain program names too: a subcommand is in lower case.
    if !rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '-') {
        return None;
    }
    let mut words = Vec::<String>::new();
    let mut is_quoted = false;
    for word in rest.split_whitespace() {
        match words.last_mut() {
            Some(last) if is_quoted => *last = format!("{last} {word}"),
            // Shell syntax ends the call.
            _ if word.starts_with(['#', '|', '>', '<', '&', ';']) => break,
            _ => words.push(word.to_owned()),
        }
        is_quoted ^= word.matches('"').count() % 2 == 1;
    }
    // As the shell passes them.
    let words = words.iter().map(|word| word.replace('"', "")).collect();
    Some(Command { line: number, program: program.to_owned(), words })
}

/// The flag in a code span.
fn flag(code: &str) -> Option<String> {
    let name = code.strip_prefix("--")?;
    let name = name.split([' ', '=']).next().filter(|name| !name.is_empty())?;
    Some(format!("--{name}"))
}

/// Anchor of a heading: lower case, without punctuation, with hyphens for spaces.
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
    fn a_quoted_argument_is_one_word_and_shell_syntax_ends_a_call() {
        let call = command(1, "notary yank 1.5.0 --reason \"a b | c\" --by me | cat").unwrap();
        assert_eq!(call.words, ["yank", "1.5.0", "--reason", "a b | c", "--by", "me"]);
    }

    #[test]
    fn links_commands_and_anchors_are_found_with_their_lines() {
        let page = read(
            "# A `title`, really\n[one](a.md#x) ![two](<b c> \"t\") and `[no](code)`\n\n\
             ```console\n$ cargo xtask dist --target all   # comment\n[no](fence)\nmake\n```\n\
             run `CI=true cargo xtask validate --fix` or [`code`](c.md)\n\
             ```\nnotary sign --key K \\\n    --release DIR > out\ncontroller  BMC  host\n```\n\
             `--json` and `--engine JOB=NAME`\n",
        );
        let targets: Vec<_> = page.links.iter().map(|l| (l.line, l.target.as_str())).collect();
        assert_eq!(targets, [(2, "a.md#x"), (2, "b c"), (9, "c.md")]);
        let commands: Vec<_> = page.commands.iter().map(|c| (c.line, c.words.join(" "))).collect();
        assert_eq!(
            commands,
            [
                (5, "dist --target all".to_owned()),
                (9, "validate --fix".to_owned()),
                (11, "sign --key K --release DIR".to_owned())
            ]
        );
        let programs: Vec<_> = page.commands.iter().map(|c| c.program.as_str()).collect();
        assert_eq!(programs, [XTASK, XTASK, "notary"]);
        assert_eq!(page.flags, [(15, "--json".to_owned()), (15, "--engine".to_owned())]);
        assert_eq!(page.anchors, ["a-title-really"]);
    }

    #[test]
    fn a_fence_left_open_swallows_the_rest_without_a_panic() {
        assert_eq!(read("```\n[x](y)"), Page::default());
        assert_eq!(read("[x]("), Page::default());
    }
}
