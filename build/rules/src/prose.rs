// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The prose of source files as paragraphs: pages, comments, messages, and recorded help texts.

use std::sync::LazyLock;

use foundation::source::{self, File};
use regex::Regex;

use crate::comment;
use crate::lexer;

/// How the files end that record the `--help` of a program.
pub const HELP: &str = "help.snap";

/// A paragraph. Code in it is blanked out, so that a pattern matches words alone.
#[derive(Debug, Default)]
pub struct Block {
    /// Its lines, with a space behind each.
    text: String,
    /// Where each line starts in the text, and its number from 1.
    lines: Vec<(usize, usize)>,
}

impl Block {
    /// Its words in one line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line (from 1) of the byte at `offset` of the text.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.iter().rev().find(|it| it.0 <= offset).map_or(1, |it| it.1)
    }

    fn push(&mut self, number: usize, line: &str) {
        self.lines.push((self.text.len(), number));
        self.text.push_str(line.trim());
        self.text.push(' ');
    }

    /// The same with code, link targets and addresses as backticks, each in its place.
    fn without_code(mut self) -> Self {
        static CODE: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"``.+?``|`[^`]+`|\]\([^)]*\)|\S+://\S+").ok());
        if let Some(code) = &*CODE {
            let blank = |found: &regex::Captures<'_>| {
                "`".repeat(found.get(0).map_or(0, |it| it.as_str().len()))
            };
            self.text = code.replace_all(&self.text, blank).into_owned();
        }
        self
    }
}

/// The paragraphs of a file; none where it has no prose that is known here.
pub fn blocks(file: &File) -> Vec<Block> {
    let numbered = || file.text.lines().enumerate().map(|(index, line)| (index + 1, line));
    if source::has_extension(&file.path, "md") || file.path.ends_with(HELP) {
        return paragraphs(numbered());
    }
    if source::has_extension(&file.path, "rs") {
        return of_rust(&file.text);
    }
    let Some((start, "")) = comment::marks(&file.path, &file.text) else { return Vec::new() };
    paragraphs(numbered().filter_map(|(number, line)| {
        let line = line.trim_start();
        let empty = line == start.trim_end();
        let comment = line.strip_prefix(start).or_else(|| empty.then_some(""))?;
        Some((number, if is_setting(comment) { "" } else { comment }))
    }))
}

/// Whether a comment is a setting that is commented out, `KEY = VALUE`.
fn is_setting(comment: &str) -> bool {
    let key = comment.split_once(" = ").map(|it| it.0);
    key.is_some_and(|key| key.chars().all(|it| it.is_alphanumeric() || "_-.".contains(it)))
}

/// The paragraphs of the comments of a Rust file, and its messages. A comment of another kind starts a new paragraph.
fn of_rust(text: &str) -> Vec<Block> {
    let comments = lexer::comments(text);
    let comments = comments
        .chunk_by(|one, next| one.marker == next.marker && one.line + 1 == next.line)
        .flat_map(|run| paragraphs(run.iter().map(|it| (it.line, it.text.as_str()))));
    comments.chain(lexer::literals(text).iter().filter_map(message)).collect()
}

/// A literal as a paragraph, if it has several words: the text of an error, a log line or an answer.
fn message((line, literal): &(usize, String)) -> Option<Block> {
    static CODE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\{[^{}\s]*\}|\\.").ok());
    let is_prose = literal.trim().contains(' ');
    let code = CODE.as_ref().filter(|_| is_prose)?;
    let blank = |found: &regex::Captures<'_>| " ".repeat(found.get(0).map_or(0, |it| it.len()));
    let mut block = Block::default();
    for (index, text) in code.replace_all(literal, blank).lines().enumerate() {
        block.push(line + index, text.trim_end_matches('\\'));
    }
    Some(block.without_code())
}

/// The paragraphs of Markdown, without fenced code and HTML comments. Lines that do not follow each other are of
/// different ones.
fn paragraphs<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<Block> {
    let mut blocks = vec![Block::default()];
    let mut fence: Option<&str> = None;
    let mut is_html = false;
    let mut before = 0;
    for (number, line) in lines {
        let line = line.trim();
        if number != before + 1 {
            (fence, is_html) = (None, false);
            blocks.push(Block::default());
        }
        before = number;
        let marker = ["```", "~~~"].into_iter().find(|marker| line.starts_with(marker));
        match (fence, marker) {
            (Some(open), Some(marker)) if open == marker => fence = None,
            (None, Some(marker)) => fence = Some(marker),
            (Some(_), _) => {}
            (None, None) if is_html || line.starts_with("<!--") => {
                is_html = !line.contains("-->");
            }
            (None, None) => {
                if starts_paragraph(line) {
                    blocks.push(Block::default());
                }
                // The target of a link that is defined apart is no prose.
                let is_definition = line.starts_with('[') && line.contains("]: ");
                if let Some(block) =
                    blocks.last_mut().filter(|_| !line.is_empty() && !is_definition)
                {
                    block.push(number, line);
                }
                continue;
            }
        }
        blocks.push(Block::default());
    }
    blocks.into_iter().filter(|it| !it.text.trim().is_empty()).map(Block::without_code).collect()
}

/// Whether a line of Markdown does not go on with the paragraph before it.
fn starts_paragraph(line: &str) -> bool {
    let number = line.trim_start_matches(|it: char| it.is_ascii_digit());
    line.is_empty()
        || line.starts_with(['#', '|'])
        || ["- ", "* ", "+ "].iter().any(|it| line.starts_with(it))
        || (number.len() < line.len() && number.starts_with(". "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, text: &str) -> Vec<(usize, String)> {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        let blocks = blocks(&file);
        blocks.iter().map(|it| (it.line(0), it.text().trim().to_owned())).collect()
    }

    fn own_texts(expected: &[(usize, &str)]) -> Vec<(usize, String)> {
        expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect()
    }

    #[test]
    fn pages_are_read_as_paragraphs_without_code() {
        let page = "<!-- a\nb -->\n# Head\ntext `code`\nmore [link](to/it)\n\n- one\n  two\n- three\n\n```\nno\n```\n\
                    [x]: y\n3. see https://a.example/b\n| a | b |\n";
        assert_eq!(
            texts("a.md", page),
            own_texts(&[
                (3, "# Head text `````` more [link````````"),
                (7, "- one two"),
                (9, "- three"),
                (15, "3. see ```````````````````"),
                (16, "| a | b |"),
            ])
        );
    }

    #[test]
    fn comments_are_read_in_each_kind_of_file() {
        let rust = "//! One\n//! two.\nlet a = \"// no\"; // three\n// four\n///\n/// five\n/// ```\n/// no\n/// ```\n";
        let expected = [(1, "One two."), (3, "three four"), (6, "five"), (3, "// no")];
        assert_eq!(texts("a.rs", rust), own_texts(&expected));
        let toml = "# One\n#\n# two\n# key = 1\n# three\nkey = 2\n";
        assert_eq!(texts("a.toml", toml), own_texts(&[(1, "One"), (3, "two"), (5, "three")]));
        let script = "#!/bin/sh\n# One\n";
        assert_eq!(texts("bin/run", script), own_texts(&[(2, "One")]));
        assert_eq!(texts("x/cli__help.snap", "Usage\n\n  --a  B\n").len(), 2);
        assert!(texts("a.json", "{}").is_empty());
    }

    #[test]
    fn messages_are_read_without_placeholders_and_escapes() {
        let rust =
            "bail!(\"{a}: one\\ntwo `x` \\\n  three\"); r#\"four \\d\n five\"#; ' '; \"six\"";
        assert_eq!(
            texts("a.rs", rust),
            own_texts(&[(1, ": one  two ``` three"), (2, "four five")])
        );
    }

    #[test]
    fn a_place_in_a_paragraph_is_a_line() {
        let file = File { path: "a.md".to_owned(), text: "one\ntwo\n".to_owned() };
        let block = &blocks(&file)[0];
        assert_eq!((block.line(0), block.line(4), block.line(5)), (1, 2, 2));
    }
}
