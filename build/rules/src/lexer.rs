// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The parts of Rust source that hold no code: comments, and literals of text and of characters.

/// Kind of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NonCode {
    Comment,
    Literal,
}

/// A line of a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comment {
    /// Line, counted from 1.
    pub(crate) line: usize,
    /// `//`, `///`, `//!` or `/*`.
    pub(crate) marker: &'static str,
    /// Without the marker.
    pub(crate) text: String,
}

/// All comments of a file, line by line.
pub(crate) fn comments(source: &str) -> Vec<Comment> {
    let comments = parts(source).into_iter().filter(|it| it.0 == NonCode::Comment);
    comments.flat_map(|(_, line, text)| lines_of(&text, line)).collect()
}

/// The contents of all literals, without quotes and prefix, each with the line that it starts in.
pub(crate) fn literals(source: &str) -> Vec<(usize, String)> {
    let literals = parts(source).into_iter().filter(|it| it.0 == NonCode::Literal);
    let marks = |it: char| it == '"' || it == '#' || it == '\'';
    literals
        .map(|(_, line, text)| {
            let start = text.find(['"', '\'']).unwrap_or_default();
            (line, text.get(start..).unwrap_or_default().trim_matches(marks).to_owned())
        })
        .collect()
}

/// All parts of a file that hold no code, each with the line that it starts in.
fn parts(source: &str) -> Vec<(NonCode, usize, String)> {
    let letters: Vec<char> = source.chars().collect();
    let is_word = |it: char| it.is_alphanumeric() || it == '_';
    let mut parts = Vec::new();
    let (mut index, mut line) = (0, 1);
    while let Some(first) = letters.get(index).copied() {
        let opaque = scan_opaque(&letters, index);
        let end = match opaque {
            Some((_, end)) => end,
            None if is_word(first) => {
                scan_until(&letters, index, |it| letters.get(it).is_none_or(|it| !is_word(*it)))
            }
            None => index + 1,
        };
        let passed: String =
            letters.get(index..end.min(letters.len())).unwrap_or_default().iter().collect();
        let lines = passed.matches('\n').count();
        parts.extend(opaque.map(|(kind, _)| (kind, line, passed)));
        line += lines;
        index = end;
    }
    parts
}

/// The lines of one comment that starts in the line `first`.
fn lines_of(comment: &str, first: usize) -> Vec<Comment> {
    let marker = ["///", "//!", "//", "/*"].into_iter().find(|it| comment.starts_with(it));
    let marker = marker.unwrap_or("//");
    let text = comment.strip_prefix(marker).unwrap_or(comment);
    let text = text.strip_suffix("*/").filter(|_| marker == "/*").unwrap_or(text);
    let lines = text.lines().enumerate();
    lines
        .map(|(index, text)| {
            let text = text.trim_start_matches(['*', ' ']).to_owned();
            Comment { line: first + index, marker, text }
        })
        .collect()
}

/// The part that starts at `start`, and the index behind it; none where code is. `start` must not be inside a
/// part or a word.
pub(crate) fn scan_opaque(letters: &[char], start: usize) -> Option<(NonCode, usize)> {
    let at = |index: usize| letters.get(index).copied();
    let literal = |end| Some((NonCode::Literal, end));
    match (at(start)?, at(start + 1)) {
        ('/', Some('/')) => {
            Some((NonCode::Comment, scan_until(letters, start, |it| at(it) == Some('\n'))))
        }
        ('/', Some('*')) => Some((NonCode::Comment, comment_end(letters, start))),
        ('"', _) => literal(text_end(letters, start + 1)),
        ('r' | 'b' | 'c', Some('r' | '"' | '#')) => literal(raw_or_byte(letters, start)?),
        ('\'', Some('\\')) => {
            literal(scan_until(letters, start + 3, |it| at(it) == Some('\'')) + 1)
        }
        ('\'', Some(_)) if at(start + 2) == Some('\'') => literal(start + 3),
        _ => None,
    }
}

/// The first index from `start` on where `stop` holds, or the end.
pub(crate) fn scan_until(letters: &[char], start: usize, stop: impl Fn(usize) -> bool) -> usize {
    (start..letters.len()).find(|it| stop(*it)).unwrap_or(letters.len())
}

/// Index after a (nested) block comment.
fn comment_end(letters: &[char], start: usize) -> usize {
    let (mut index, mut depth) = (start, 0usize);
    while index < letters.len() {
        match (letters.get(index), letters.get(index + 1)) {
            (Some('/'), Some('*')) => {
                depth += 1;
                index += 2;
            }
            (Some('*'), Some('/')) => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return index;
                }
            }
            _ => index += 1,
        }
    }
    index
}

/// Index after a string that starts at `start`.
fn text_end(letters: &[char], start: usize) -> usize {
    let mut index = start;
    while let Some(letter) = letters.get(index) {
        match letter {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    index
}

/// Index after a prefixed string (`r"…"`, `br#"…"#`, `b"…"`, `c"…"`); `None` for a word.
fn raw_or_byte(letters: &[char], start: usize) -> Option<usize> {
    let mut index = start;
    let mut raw = false;
    while let Some(letter @ ('r' | 'b' | 'c')) = letters.get(index) {
        raw |= *letter == 'r';
        index += 1;
    }
    let hashes = letters.get(index..)?.iter().take_while(|it| **it == '#').count();
    if index - start > 2 || letters.get(index + hashes) != Some(&'"') || (hashes > 0 && !raw) {
        return None;
    }
    if !raw {
        return Some(text_end(letters, index + 1));
    }
    let mut index = index + hashes + 1;
    while index < letters.len() {
        let closes = letters.get(index) == Some(&'"')
            && letters
                .get(index + 1..=index + hashes)
                .is_some_and(|it| it.iter().all(|it| *it == '#'));
        if closes {
            return Some(index + hashes + 1);
        }
        index += 1;
    }
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_that_look_like_comments_are_none() {
        let source = "//! One\nlet a = \"// no\"; // two\nlet b = r#\"/* no \"# ;\nlet c = '\"'; /// three\n\
                      /* four\n * five */ let d = 'x'; let fr\"// no\"\n//";
        let found = comments(source);
        let found: Vec<_> =
            found.iter().map(|it| (it.line, it.marker, it.text.as_str().trim())).collect();
        assert_eq!(
            found,
            [
                (1, "//!", "One"),
                (2, "//", "two"),
                (4, "///", "three"),
                (5, "/*", "four"),
                (6, "/*", "five"),
            ]
        );
    }
}
