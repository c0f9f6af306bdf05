// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads a file's imports (`use` declarations and paths), without test code.

use std::collections::BTreeSet;

use crate::lexer;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    /// Absolute path below the crate's root.
    pub(super) path: Vec<String>,
    /// Local name, for a `use`.
    pub(super) name: Option<String>,
    /// Whether it is re-exported (`pub use`).
    pub(super) is_public: bool,
    /// Line, from 1.
    pub(super) line: usize,
}

/// A Rust token.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`.
    Path,
    Sign(char),
}

/// All imports of the file with the text `text`, which is the module `own`.
pub(super) fn scan(text: &str, own: &[String]) -> Vec<Import> {
    let tokens = tokens(text);
    let declared = find_modules(&tokens);
    let mut reader = Reader { tokens: &tokens, at: 0, imports: Vec::new() };
    let mut path = own.to_vec();
    // Brace depth around each open inline module.
    let mut modules: Vec<usize> = Vec::new();
    let mut depth = 0;
    while let Some(token) = reader.peek(0) {
        match token {
            Token::Sign('#') if reader.is_test_attribute() => reader.skip_item(),
            Token::Sign('{') => {
                depth += 1;
                reader.at += 1;
            }
            Token::Sign('}') => {
                depth -= 1;
                if modules.last() == Some(&depth) {
                    modules.pop();
                    path.pop();
                }
                reader.at += 1;
            }
            Token::Word(word) if word == "mod" => {
                if let (Some(Token::Word(name)), Some(Token::Sign('{'))) =
                    (reader.peek(1), reader.peek(2))
                {
                    path.push(name.clone());
                    modules.push(depth);
                    depth += 1;
                    reader.at += 3;
                } else {
                    reader.at += 1;
                }
            }
            Token::Word(word) if word == "use" => reader.declaration(&path, &declared),
            Token::Word(word) => {
                let word = word.clone();
                let starts = matches!(word.as_str(), "crate" | "super" | "self")
                    || (declared.contains(&word) && modules.is_empty());
                reader.read_expression(&word, starts, &path);
            }
            Token::Path | Token::Sign(_) => reader.at += 1,
        }
    }
    reader.imports
}

/// Declared modules that are in separate files.
fn find_modules(tokens: &[(Token, usize)]) -> BTreeSet<String> {
    let word = |index: usize| match tokens.get(index) {
        Some((Token::Word(word), _)) => Some(word.as_str()),
        _ => None,
    };
    (0..tokens.len())
        .filter(|index| {
            word(*index) == Some("mod")
                && matches!(tokens.get(index + 2), Some((Token::Sign(';'), _)))
        })
        .filter_map(|index| word(index + 1).map(str::to_owned))
        .collect()
}

struct Reader<'a> {
    tokens: &'a [(Token, usize)],
    at: usize,
    imports: Vec<Import>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|it| &it.0)
    }

    fn is_sign(&self, ahead: usize, sign: char) -> bool {
        self.peek(ahead) == Some(&Token::Sign(sign))
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        if let Some(Token::Word(word)) = self.peek(ahead) { Some(word) } else { None }
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |it| it.1)
    }

    /// Whether `#[cfg(test)]` starts here.
    fn is_test_attribute(&self) -> bool {
        self.is_sign(1, '[')
            && self.word(2) == Some("cfg")
            && self.is_sign(3, '(')
            && self.word(4) == Some("test")
            && self.is_sign(5, ')')
    }

    /// Skips the item after an attribute, up to its `;` or closing brace.
    fn skip_item(&mut self) {
        let mut depth = 0usize;
        while let Some(token) = self.peek(0) {
            match token {
                Token::Sign('{' | '(' | '[') => depth += 1,
                Token::Sign('}' | ')' | ']') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 && self.is_sign(0, '}') {
                        self.at += 1;
                        return;
                    }
                }
                Token::Sign(';') if depth == 0 => {
                    self.at += 1;
                    return;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Whether `pub` or `pub(…)` precedes the position.
    fn is_public(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).and_then(|it| self.tokens.get(it));
        match before(1) {
            Some((Token::Word(word), _)) => word == "pub",
            Some((Token::Sign(')'), _)) => (2..8)
                .any(|back| matches!(before(back), Some((Token::Word(word), _)) if word == "pub")),
            _ => false,
        }
    }

    /// Reads a `use` up to its `;`.
    fn declaration(&mut self, own: &[String], declared: &BTreeSet<String>) {
        let (is_public, line) = (self.is_public(), self.line());
        self.at += 1;
        let mut leaves = Vec::new();
        self.tree(&[], &mut leaves);
        for (path, name) in leaves {
            let local = path.first().is_some_and(|first| declared.contains(first));
            let Some(path) = absolute(&path, own, local) else { continue };
            self.imports.push(Import { path, name: Some(name), is_public, line });
        }
    }

    /// Reads the part of a `use` after `before`: its leaves with local names.
    fn tree(&mut self, before: &[String], leaves: &mut Vec<(Vec<String>, String)>) {
        let mut path = before.to_vec();
        loop {
            match self.peek(0) {
                Some(Token::Word(word)) if word == "as" => {
                    let name = self.word(1).unwrap_or("_").to_owned();
                    self.at += 2;
                    leaves.push((path, name));
                    return;
                }
                Some(Token::Word(word)) => {
                    // `{self}` is the module itself.
                    if word != "self" || path.is_empty() {
                        path.push(word.clone());
                    }
                    self.at += 1;
                }
                Some(Token::Path) => self.at += 1,
                Some(Token::Sign('{')) => {
                    self.at += 1;
                    while !matches!(self.peek(0), None | Some(Token::Sign('}' | ';'))) {
                        self.tree(&path, leaves);
                        if self.is_sign(0, ',') {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                Some(Token::Sign('*')) => {
                    self.at += 1;
                    leaves.push((path, "*".to_owned()));
                    return;
                }
                _ => {
                    if let Some(name) = path.last().cloned() {
                        leaves.push((path, name));
                    }
                    // Advances in any case, or the caller would loop forever.
                    if !matches!(self.peek(0), None | Some(Token::Sign(',' | '}' | ';'))) {
                        self.at += 1;
                    }
                    return;
                }
            }
        }
    }

    /// Reads a path expression, if one starts here.
    fn read_expression(&mut self, first: &str, starts: bool, own: &[String]) {
        let line = self.line();
        let follows = self.at.checked_sub(1).and_then(|it| self.tokens.get(it));
        let follows = matches!(follows, Some((Token::Path, _)));
        let mut path = vec![first.to_owned()];
        self.at += 1;
        while self.peek(0) == Some(&Token::Path)
            && let Some(word) = self.word(1)
        {
            path.push(word.to_owned());
            self.at += 2;
        }
        if starts && !follows && path.len() > 1 {
            let local = !matches!(first, "crate" | "super" | "self");
            if let Some(path) = absolute(&path, own, local) {
                self.imports.push(Import { path, name: None, is_public: false, line });
            }
        }
    }
}

/// `path` in module `own` from the crate's root; `local`: it starts with a module that `own`
/// declares. `None` for a path of another crate.
fn absolute(path: &[String], own: &[String], local: bool) -> Option<Vec<String>> {
    let mut base = own.to_vec();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = path.get(1..)?;
        }
        "self" => rest = path.get(1..)?,
        "super" => {
            while rest.first().is_some_and(|it| it == "super") {
                base.pop()?;
                rest = rest.get(1..)?;
            }
        }
        _ if local => {}
        _ => return None,
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// Tokens with lines, without comments, strings and characters.
fn tokens(text: &str) -> Vec<(Token, usize)> {
    let letters: Vec<char> = text.chars().collect();
    let at = |index: usize| letters.get(index).copied();
    let is_word = |it: char| it.is_alphanumeric() || it == '_';
    let mut tokens = Vec::new();
    let (mut index, mut line) = (0, 1);
    while let Some(letter) = at(index) {
        let opaque = lexer::scan_opaque(&letters, index);
        let end = match (letter, at(index + 1), opaque) {
            (_, _, Some((_, end))) => end,
            (':', Some(':'), None) => {
                tokens.push((Token::Path, line));
                index + 2
            }
            (first, _, None) if is_word(first) => {
                let end =
                    lexer::scan_until(&letters, index, |it| at(it).is_none_or(|it| !is_word(it)));
                let word = letters.get(index..end).unwrap_or_default().iter().collect();
                tokens.push((Token::Word(word), line));
                end
            }
            (sign, _, None) => {
                if !sign.is_whitespace() {
                    tokens.push((Token::Sign(sign), line));
                }
                index + 1
            }
        };
        let passed = letters.get(index..end.min(letters.len())).unwrap_or_default();
        line += passed.iter().filter(|it| **it == '\n').count();
        index = end;
    }
    tokens
}
