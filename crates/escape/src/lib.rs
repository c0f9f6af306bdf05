// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Escapes untrusted text before it reaches a terminal or a Markdown page.
//!
//! A terminal executes control sequences (ECMA-48): they can hide lines, rewrite the screen, or set
//! the clipboard. Text from a BMC, a host, a server or a file name is untrusted, so it is printed
//! through [`text`], and JSON through [`json`].
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};

/// `text` for one line of a terminal: each control character, line feeds and tabs included, is
/// shown by its number, as `\x1b` or `\u{202e}`.
///
/// A backslash is unchanged: the result is for people, and is not meant to be decoded.
pub fn text(text: &str) -> Cow<'_, str> {
    replace(text, is_obeyed, show_number)
}

/// `text` for several lines of a terminal: as [`text`](fn@text), but line feeds are kept.
pub fn lines(lines: &str) -> Cow<'_, str> {
    replace(lines, |character| character != '\n' && is_obeyed(character), show_number)
}

/// A JSON document for a terminal, with the same meaning. RFC 8259 allows DEL, C1 control
/// characters and bidirectional controls in strings; they become `\u009b`.
pub fn json(document: &str) -> Cow<'_, str> {
    // Below U+0020 are line feeds and tabs between values; in strings they are escaped already.
    let is_obeyed = |character: char| character >= ' ' && is_obeyed(character);
    replace(document, is_obeyed, |out, character| write!(out, "\\u{:04x}", u32::from(character)))
}

/// Text as Markdown shows it, in one line: HTML and links are escaped, code in back-ticks stays code.
pub fn markdown(plain: &str) -> String {
    // An odd back-tick would open code to the end of the page.
    let code = plain.matches('`').count().is_multiple_of(2);
    let mut inside = false;
    let mut out = String::new();
    for c in plain.chars() {
        match c {
            '`' if code => {
                inside = !inside;
                out.push(c);
            }
            '<' if !inside => out.push_str("&lt;"),
            '&' if !inside => out.push_str("&amp;"),
            '`' | '*' | '_' | '[' | ']' | '|' | '\\' if !inside => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Prints a line to standard output. `println!` would panic where a pipe is closed or a disk is full.
///
/// # Errors
/// When it cannot be written.
pub fn print_line(line: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}").map_err(|error| {
        io::Error::new(error.kind(), format!("cannot write to standard output: {error}"))
    })
}

/// Whether a terminal executes `character` instead of showing it: C0 and C1 control characters,
/// DEL, line and paragraph separators, and the controls of the Unicode bidirectional algorithm,
/// which change the order of a line. All are below U+10000.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

fn show_number(out: &mut String, character: char) -> std::fmt::Result {
    match u32::from(character) {
        number @ 0..=0xff => write!(out, "\\x{number:02x}"),
        number => write!(out, "\\u{{{number:x}}}"),
    }
}

fn replace(
    text: &str,
    is_obeyed: impl Fn(char) -> bool,
    escape: impl Fn(&mut String, char) -> std::fmt::Result,
) -> Cow<'_, str> {
    if !text.contains(&is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_obeyed(character) {
            escape(&mut out, character).ok();
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_by_their_numbers() {
        assert_eq!(text("\x1b]52;c;aGk=\x07"), "\\x1b]52;c;aGk=\\x07");
        assert_eq!(text("a\nb\r\tc\x7f\u{9b}2J"), "a\\x0ab\\x0d\\x09c\\x7f\\x9b2J");
        assert_eq!(lines("a\n\r\tb"), "a\n\\x0d\\x09b");
        assert_eq!(text("x\u{202e}txt.exe\u{2028}"), "x\\u{202e}txt.exe\\u{2028}");
    }

    #[test]
    fn other_text_is_not_changed_or_copied() {
        for plain in ["", "Grüße, 世界 \\ \"x\"", "\u{1f600}"] {
            assert!(matches!(text(plain), Cow::Borrowed(it) if it == plain), "{plain}");
        }
    }

    #[test]
    fn markdown_cannot_open_html_links_or_code() {
        assert_eq!(
            markdown("<!-- [a](b) | `c_d` x_y &"),
            "&lt;!-- \\[a\\](b) \\| `c_d` x\\_y &amp;"
        );
        assert_eq!(markdown("one `\nline"), "one \\` line");
    }

    #[test]
    fn a_json_document_keeps_its_lines() {
        let document = "{\n  \"a\": \"\u{9b}2J\x7f\u{202e}\"\n}";
        assert_eq!(json(document), "{\n  \"a\": \"\\u009b2J\\u007f\\u202e\"\n}");
    }
}
