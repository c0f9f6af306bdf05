// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Recorded help texts: which commands and flags a program has.
//!
//! The tests of each program compare the record with the program, so the documentation can be checked where no
//! program is built.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

/// The commands of a program.
#[derive(Debug, PartialEq, Eq)]
pub struct Help {
    /// How it is called, such as `cargo xtask`.
    pub program: String,
    /// By their words after the program; the program itself has none.
    commands: BTreeMap<Vec<String>, Command>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Command {
    /// Flags, each with whether the next word is its value.
    flags: BTreeMap<String, bool>,
    /// Whether it has arguments that are no flags.
    has_arguments: bool,
}

impl Help {
    /// Reads a record: `$ PROGRAM COMMAND… --help` before each help text; the first is that of the program.
    /// None where there is no such line.
    pub fn read(text: &str) -> Option<Self> {
        let mut help: Option<Self> = None;
        let mut path = Vec::new();
        for line in text.lines() {
            let call = line.strip_prefix("$ ").and_then(|it| it.strip_suffix(" --help"));
            if let Some(call) = call {
                let help = help.get_or_insert_with(|| Self {
                    program: call.to_owned(),
                    commands: BTreeMap::new(),
                });
                let words = call.strip_prefix(&help.program)?;
                path = words.split_whitespace().map(str::to_owned).collect();
                help.commands.insert(path.clone(), Command::default());
            } else if let Some(command) =
                help.as_mut().and_then(|help| help.commands.get_mut(&path))
            {
                command.has_arguments |= line == "Arguments:";
                command.flags.extend(flags(line));
            }
        }
        help
    }

    /// Why the program does not accept `words`; none where it does.
    pub fn refusal(&self, words: &[String]) -> Option<String> {
        let mut path: Vec<String> = Vec::new();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let command = self.commands.get(&path)?;
            if word == "--" {
                return None;
            }
            if word.starts_with('-') && word.len() > 1 {
                let (name, value) = word
                    .split_once('=')
                    .map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
                match command.flags.get(name) {
                    Some(true) if value.is_none() => {
                        rest.next();
                    }
                    Some(_) => {}
                    None => return Some(format!("`{}` has no {name}", self.call(&path))),
                }
            } else if self.has_commands(&path) {
                path.push(word.clone());
                if !self.commands.contains_key(&path) {
                    path.pop();
                    return Some(format!("`{}` has no command {word}", self.call(&path)));
                }
            } else if !command.has_arguments {
                return Some(format!("`{}` takes no argument {word}", self.call(&path)));
            }
        }
        None
    }

    /// All flags of all its commands.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.commands.values().flat_map(|command| command.flags.keys().map(String::as_str))
    }

    fn call(&self, path: &[String]) -> String {
        let words = path.iter().map(String::as_str);
        std::iter::once(self.program.as_str()).chain(words).collect::<Vec<_>>().join(" ")
    }

    fn has_commands(&self, path: &[String]) -> bool {
        self.commands.keys().any(|it| it.len() == path.len() + 1 && it.starts_with(path))
    }
}

/// The flags that a line of a help text defines, long and short, each with whether a value follows as a word.
fn flags(line: &str) -> Vec<(String, bool)> {
    static FLAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^ +(?:(-[A-Za-z]), +)?(--[a-z][a-z0-9-]*)( <| [A-Z]{2})?").ok()
    });
    let Some(found) = FLAG.as_ref().and_then(|it| it.captures(line)) else { return Vec::new() };
    let takes_value = found.get(3).is_some();
    let names = [found.get(1), found.get(2)].into_iter().flatten();
    names.map(|name| (name.as_str().to_owned(), takes_value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "---\nsource: x\n---\n$ a b --help\nDoes.\n\nUsage: a b [OPTIONS] <COMMAND>\n\nCommands:\n  one  First\n\n\
                          Options:\n  -h, --help  Print help\n\n$ a b one --help\nUsage: a b one\n\n\
                          $ a b one in --help\nOne,\nin.\n\nArguments:\n  <X>  x\n\n\
                          Options:\n  -j, --jobs <N>  Number, as in --such\n      --push[=<TO>]  x\n\
                          \x20     --time SECONDS  x\n\n$ a b two --help\nTwo\n\nOptions:\n      --all\n          All\n";

    fn refusal(words: &str) -> Option<String> {
        let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
        Help::read(RECORD).unwrap().refusal(&words)
    }

    #[test]
    fn a_call_is_checked_word_by_word() {
        for good in [
            "",
            "--help",
            "one",
            "one in X",
            "one in --jobs 3 X",
            "one in -j 3",
            "one in --push X --time 3",
            "one in --jobs=3 -- --any",
            "two --all",
        ] {
            assert_eq!(refusal(good), None, "{good}");
        }
        for (bad, reason) in [
            ("three", "`a b` has no command three"),
            ("one out", "`a b one` has no command out"),
            ("one in --all", "`a b one in` has no --all"),
            ("one in --such", "`a b one in` has no --such"),
            ("two X", "`a b two` takes no argument X"),
            ("two --all X", "`a b two` takes no argument X"),
        ] {
            assert_eq!(refusal(bad).as_deref(), Some(reason));
        }
        assert_eq!(Help::read("text\n"), None);
        assert!(Help::read(RECORD).unwrap().flags().any(|flag| flag == "--all"));
    }
}
