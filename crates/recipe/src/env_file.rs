// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! systemd's `EnvironmentFile=` format (systemd.exec(5)): writes files that systemd reads back
//! unchanged for any value, and reads files by systemd's own rules.
//!
//! The rules are those of `parse_env_file_internal` in systemd's `src/basic/env-file.c`, as of
//! version 254: a backslash at the end of a comment no longer joins the next line to it.
//! Values are always written in double quotes, where only four characters need a backslash.

/// What cannot be written to, or read from, an environment file. It never repeats a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvFileError {
    /// Not a variable name.
    #[error("a variable's name must have the form [A-Za-z_][A-Za-z0-9_]*")]
    Name,
    /// systemd would refuse the whole file because of this value.
    #[error("{name}: the value contains {what}, which systemd refuses")]
    Value {
        /// The variable.
        name: String,
        /// What is wrong with its value.
        what: &'static str,
    },
    /// The file is not UTF-8, or contains a NUL.
    #[error("not an environment file: it is not UTF-8 text without NUL")]
    NotText,
}

/// The longest value, in bytes. The kernel's limit for one string of the environment is 128 KiB
/// (`MAX_ARG_STRLEN`), name and NUL included; past it, no program of the unit would start.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// The characters that systemd unescapes inside double quotes (`SHELL_NEED_ESCAPE`).
const NEED_ESCAPE: [char; 4] = ['"', '\\', '`', '$'];

/// Writes one `NAME="value"` line for each pair, in the order given.
pub fn write<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<String, EnvFileError> {
    let mut file = String::new();
    for (name, value) in pairs {
        if !is_name(name) {
            return Err(EnvFileError::Name);
        }
        if let Some(what) = find_refusal(value) {
            return Err(EnvFileError::Value { name: name.to_owned(), what });
        }
        file.push_str(name);
        file.push_str("=\"");
        for c in value.chars() {
            if NEED_ESCAPE.contains(&c) {
                file.push('\\');
            }
            file.push(c);
        }
        file.push_str("\"\n");
    }
    Ok(file)
}

/// Whether `name` is a variable name for systemd and for every shell.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Why systemd refuses `value` with any quoting: a NUL ends the text, and `utf8_is_valid` refuses
/// noncharacters, for which the whole file would be dropped.
fn find_refusal(value: &str) -> Option<&'static str> {
    if value.len() > MAX_VALUE_BYTES {
        return Some("more than 64 KiB");
    }
    value.chars().find_map(|c| match u32::from(c) {
        0 => Some("a NUL"),
        code if (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe => {
            Some("a Unicode noncharacter")
        }
        _ => None,
    })
}

/// State of the parser.
#[derive(Clone, Copy)]
enum State {
    BeforeName,
    Name,
    /// After `=` or a closing quote.
    BeforeValue,
    Value,
    ValueEscape,
    SingleQuoted,
    DoubleQuoted,
    DoubleQuotedEscape,
    Comment,
    CommentEscape,
}

/// The pair that is being read. Trailing white space is trimmed only if it was not quoted.
#[derive(Default)]
struct Pair {
    name: String,
    value: String,
    /// Length of the value up to its last character that trimming must keep.
    kept: usize,
}

impl Pair {
    /// Adds a character that is kept, even white space.
    fn push_kept(&mut self, c: char) {
        self.value.push(c);
        self.kept = self.value.len();
    }

    /// Adds an unquoted character: white space is kept only if something follows it.
    fn push_bare(&mut self, c: char) {
        self.value.push(c);
        if !is_blank(c) {
            self.kept = self.value.len();
        }
    }

    /// Ends the pair, and starts a new one.
    fn finish(&mut self, pairs: &mut Vec<(String, String)>) {
        let Self { name, mut value, kept } = std::mem::take(self);
        value.truncate(kept);
        pairs.push((name.trim_end_matches(is_blank).to_owned(), value));
    }
}

/// systemd's `NEWLINE`.
fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

/// systemd's `WHITESPACE`.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Reads every assignment in order, a repeated name as often as it occurs.
pub fn parse(file: &[u8]) -> Result<Vec<(String, String)>, EnvFileError> {
    let text = std::str::from_utf8(file).map_err(|_| EnvFileError::NotText)?;
    if text.contains('\0') {
        return Err(EnvFileError::NotText);
    }
    let mut pairs = Vec::new();
    let mut pair = Pair::default();
    let mut state = State::BeforeName;
    for c in text.chars() {
        state = step(state, c, &mut pair, &mut pairs);
    }
    match state {
        State::BeforeName | State::Name | State::Comment | State::CommentEscape => {}
        _ => pair.finish(&mut pairs),
    }
    Ok(pairs)
}

/// Takes one character.
fn step(state: State, c: char, pair: &mut Pair, pairs: &mut Vec<(String, String)>) -> State {
    match state {
        State::BeforeName => match c {
            '#' | ';' => State::Comment,
            c if is_blank(c) => State::BeforeName,
            c => {
                pair.name.push(c);
                State::Name
            }
        },
        State::Name => match c {
            '=' => State::BeforeValue,
            c if is_newline(c) => {
                *pair = Pair::default();
                State::BeforeName
            }
            c => {
                pair.name.push(c);
                State::Name
            }
        },
        State::BeforeValue | State::Value if is_newline(c) => {
            pair.finish(pairs);
            State::BeforeName
        }
        State::BeforeValue => match c {
            '\'' => State::SingleQuoted,
            '"' => State::DoubleQuoted,
            '\\' => State::ValueEscape,
            c if is_blank(c) => State::BeforeValue,
            c => {
                pair.push_bare(c);
                State::Value
            }
        },
        State::Value if c == '\\' => {
            pair.kept = pair.value.len();
            State::ValueEscape
        }
        State::Value => {
            pair.push_bare(c);
            State::Value
        }
        State::ValueEscape => {
            if !is_newline(c) {
                pair.push_kept(c);
            }
            State::Value
        }
        State::SingleQuoted if c == '\'' => State::BeforeValue,
        State::SingleQuoted => {
            pair.push_kept(c);
            State::SingleQuoted
        }
        State::DoubleQuoted => match c {
            '"' => State::BeforeValue,
            '\\' => State::DoubleQuotedEscape,
            c => {
                pair.push_kept(c);
                State::DoubleQuoted
            }
        },
        State::DoubleQuotedEscape => {
            if NEED_ESCAPE.contains(&c) {
                pair.push_kept(c);
            } else if c != '\n' {
                pair.push_kept('\\');
                pair.push_kept(c);
            }
            State::DoubleQuoted
        }
        State::Comment => match c {
            '\\' => State::CommentEscape,
            c if is_newline(c) => State::BeforeName,
            _ => State::Comment,
        },
        State::CommentEscape if is_newline(c) => State::BeforeName,
        State::CommentEscape => State::Comment,
    }
}
