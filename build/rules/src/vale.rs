// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Rules of a Vale style, and what they find in prose.
//!
//! Vale (<https://vale.sh/docs/styles>) is not in Debian, and its package on `PyPI` downloads a program without a
//! checksum. Its rule files are read here, as far as ours use them: `extends: substitution` and
//! `extends: existence`, with `message`, `level`, `ignorecase`, `swap`, `tokens` and `exceptions`. Any other
//! key is an error, so that no rule is silently weaker than with Vale.

mod file;

use anyhow::{Context as _, Result, bail, ensure};
use foundation::finding::Finding;
use regex::{Regex, RegexBuilder};

use crate::prose::Block;

use self::file::Value;

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not reported unless asked for.
    Suggestion,
    /// Reported as an error is.
    Warning,
    /// A finding.
    Error,
}

/// One rule of a style.
#[derive(Debug)]
pub struct Rule {
    /// `STYLE.FILE`, as Vale names it.
    name: String,
    level: Level,
    /// With one `%s` for the fix of a substitution, and one for the text that was found.
    message: String,
    /// Matches what any of the entries matches.
    any: Regex,
    entries: Vec<Entry>,
    /// Texts that are no findings, although an entry matches them.
    exceptions: Vec<Regex>,
}

/// A wrong text, and what to write in its place; none in a rule of the kind `existence`.
#[derive(Debug)]
struct Entry {
    pattern: Regex,
    fix: Option<String>,
}

impl Rule {
    /// Reads the rule `name` from the text of its file.
    ///
    /// # Errors
    /// When the file is malformed, has a key that is not known here, or a pattern that is no regular expression.
    pub fn read(name: &str, text: &str) -> Result<Self> {
        let keys = file::read(text).with_context(|| format!("cannot read the rule {name}"))?;
        Self::parse(name, keys).with_context(|| format!("cannot use the rule {name}"))
    }

    fn parse(name: &str, keys: Vec<(String, Value)>) -> Result<Self> {
        let mut rule = Parts::default();
        for (key, value) in keys {
            match (key.as_str(), value) {
                ("extends", Value::Text(text)) => rule.extends = text,
                ("message", Value::Text(text)) => rule.message = text,
                ("level", Value::Text(text)) => rule.level = text,
                ("ignorecase", Value::Text(text)) => rule.ignorecase = text,
                ("tokens", Value::List(tokens)) => {
                    rule.entries.extend(tokens.into_iter().map(|it| (it, None)));
                }
                ("swap", Value::Map(pairs)) => {
                    rule.entries.extend(pairs.into_iter().map(|(it, fix)| (it, Some(fix))));
                }
                ("exceptions", Value::List(texts)) => rule.exceptions = texts,
                (key, _) => {
                    bail!("the key {key} is not known here, or has a value of another kind")
                }
            }
        }
        rule.compile(name)
    }

    /// Findings in `blocks` of `path`, each with its line.
    pub fn check(&self, path: &str, blocks: &[Block]) -> Vec<Finding> {
        blocks.iter().flat_map(|block| self.check_block(path, block)).collect()
    }

    fn check_block(&self, path: &str, block: &Block) -> Vec<Finding> {
        let found = self.any.find_iter(block.text());
        let wrong = found.filter(|it| !self.exceptions.iter().any(|e| e.is_match(it.as_str())));
        wrong
            .map(|wrong| {
                let text = wrong.as_str();
                let entry = self.entries.iter().find(|it| it.pattern.is_match(text));
                let fix = entry.and_then(|it| it.fix.as_deref());
                let message =
                    fix.iter().fold(self.message.clone(), |it, fix| it.replacen("%s", fix, 1));
                let message = message.replacen("%s", text, 1);
                let fix = match fix {
                    Some(fix) => format!("in place of '{text}', write one of: {fix}"),
                    None => "write it in another way".to_owned(),
                };
                Finding::at(path, block.line(wrong.start()), self.name.clone(), message, fix)
            })
            .collect()
    }

    /// How serious its findings are.
    pub fn level(&self) -> Level {
        self.level
    }
}

/// The keys of a rule's file.
#[derive(Default)]
struct Parts {
    extends: String,
    message: String,
    level: String,
    ignorecase: String,
    entries: Vec<(String, Option<String>)>,
    exceptions: Vec<String>,
}

impl Parts {
    fn compile(self, name: &str) -> Result<Rule> {
        let replaces = match self.extends.as_str() {
            "substitution" => true,
            "existence" => false,
            other => bail!("extends: {other:?} is neither substitution nor existence"),
        };
        let level = match self.level.as_str() {
            "suggestion" => Level::Suggestion,
            "warning" => Level::Warning,
            "error" => Level::Error,
            other => bail!("level: {other:?} is none of suggestion, warning, error"),
        };
        let ignores_case = match self.ignorecase.as_str() {
            "true" => true,
            "false" | "" => false,
            other => bail!("ignorecase: {other:?} is neither true nor false"),
        };
        ensure!(!self.entries.is_empty(), "it has neither swap nor tokens");
        ensure!(
            self.entries.iter().all(|(_, fix)| fix.is_some() == replaces),
            "a substitution has swap, and existence has tokens"
        );
        ensure!(
            self.message.matches("%s").count() == if replaces { 2 } else { 1 },
            "the message of a substitution has two %s, that of existence has one"
        );
        let compile = |pattern: &str| {
            let pattern = RegexBuilder::new(pattern).case_insensitive(ignores_case).build();
            pattern.context("a pattern is no regular expression")
        };
        let whole = |pattern: &str| compile(&format!("^(?:{pattern})$"));
        let patterns: Vec<_> = self.entries.iter().map(|it| it.0.as_str()).collect();
        let any = compile(&format!(r"\b(?:{})\b", patterns.join("|")))?;
        let entries = self
            .entries
            .iter()
            .map(|(pattern, fix)| Ok(Entry { pattern: whole(pattern)?, fix: fix.clone() }));
        Ok(Rule {
            name: name.to_owned(),
            level,
            message: self.message,
            any,
            entries: entries.collect::<Result<_>>()?,
            exceptions: self.exceptions.iter().map(|it| whole(it)).collect::<Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prose;

    const SWAP: &str = "# A comment\nextends: substitution\nmessage: \"use '%s' instead of '%s'\"\nlevel: error\n\
                        ignorecase: true\nswap:\n  'h(?:old|eld) (?:\\w+ ){0,4}against': compare with\n  \
                        'tell(?:s)?(?: apart)?': report, print\nexceptions:\n  # To distinguish.\n  - tell apart\n";

    fn apply_rule(rule: &str, page: &str) -> Vec<(Option<usize>, String, String)> {
        let rule = Rule::read("S.R", rule).unwrap();
        let file = foundation::source::File { path: "a.md".to_owned(), text: page.to_owned() };
        let findings = rule.check("a.md", &prose::blocks(&file));
        findings.into_iter().map(|it| (it.line, it.message, it.fix)).collect()
    }

    #[test]
    fn a_wrong_term_is_found_with_its_line_and_its_fix() {
        let page = "It Tells you.\n\nStories tell apart; `tell` is code.\nA page is held up\nfor years against it.\n";
        assert_eq!(
            apply_rule(SWAP, page),
            [
                (
                    Some(1),
                    "use 'report, print' instead of 'Tells'".to_owned(),
                    "in place of 'Tells', write one of: report, print".to_owned()
                ),
                (
                    Some(4),
                    "use 'compare with' instead of 'held up for years against'".to_owned(),
                    "in place of 'held up for years against', write one of: compare with"
                        .to_owned()
                ),
            ]
        );
        let existence =
            "extends: existence\nmessage: \"no '%s'\"\nlevel: suggestion\ntokens:\n  - machines?\n";
        assert_eq!(apply_rule(existence, "The machine. Machine.")[0].1, "no 'machine'");
        assert_eq!(Rule::read("S.R", existence).unwrap().level(), Level::Suggestion);
    }

    #[test]
    fn a_rule_that_vale_would_read_in_another_way_is_refused() {
        for (bad, reason) in [
            (SWAP.replace("ignorecase: true", "nonword: true"), "nonword"),
            (SWAP.replace("substitution", "metric"), "metric"),
            (SWAP.replace("level: error", "level: fatal"), "fatal"),
            (SWAP.replace("substitution", "existence"), "existence has tokens"),
            (SWAP.replace("'%s' instead", "it instead"), "two %s"),
            (SWAP.replace("(?:s)?", "(?:s"), "regular expression"),
            ("extends: existence\nlevel: error\n".to_owned(), "neither swap nor tokens"),
        ] {
            let error = format!("{:#}", Rule::read("S.R", &bad).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }
}
