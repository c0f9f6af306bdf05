// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Recorded help texts: which commands and flags a program has.
//!
//! The tests of each program compare the record with the program, so the documentation can be checked where no
//! program is built.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::markdown::XTASK;

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
    /// Its place among the commands of the program.
    index: usize,
    /// The first paragraph of its help text.
    about: String,
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
        let mut in_about = false;
        for line in text.lines() {
            let call = line.strip_prefix("$ ").and_then(|it| it.strip_suffix(" --help"));
            if let Some(call) = call {
                let help = help.get_or_insert_with(|| Self {
                    program: call.to_owned(),
                    commands: BTreeMap::new(),
                });
                let words = call.strip_prefix(&help.program)?;
                path = words.split_whitespace().map(str::to_owned).collect();
                let index = help.commands.len();
                help.commands.insert(path.clone(), Command { index, ..Command::default() });
                in_about = true;
            } else if let Some(command) =
                help.as_mut().and_then(|help| help.commands.get_mut(&path))
            {
                in_about &= !line.is_empty() && !line.starts_with("Usage:");
                if in_about {
                    let space = if command.about.is_empty() { "" } else { " " };
                    command.about.extend([space, line]);
                }
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

    /// Each command without commands of its own, as it is called, with the first paragraph of its
    /// help text, in the order of the record.
    fn leaves(&self) -> impl Iterator<Item = (String, &str)> {
        let mut leaves: Vec<_> =
            self.commands.iter().filter(|(path, _)| !self.has_commands(path)).collect();
        leaves.sort_by_key(|(_, command)| command.index);
        leaves.into_iter().map(|(path, command)| (self.call(path), command.about.as_str()))
    }

    fn call(&self, path: &[String]) -> String {
        let words = path.iter().map(String::as_str);
        std::iter::once(self.program.as_str()).chain(words).collect::<Vec<_>>().join(" ")
    }

    fn has_commands(&self, path: &[String]) -> bool {
        self.commands.keys().any(|it| it.len() == path.len() + 1 && it.starts_with(path))
    }
}

/// Line before the generated part of the reference.
pub const BEGIN: &str = "<!-- Generated from the help texts by `cargo xtask docs --fix`. -->";
/// Line after it.
pub const END: &str = "<!-- End of the generated part. -->";

/// The reference `page` with every command of `helps` between [`BEGIN`] and [`END`]; none where it
/// does not have these lines.
pub fn with_commands(page: &str, helps: &[Help]) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n{END}{after}", tables(helps)))
}

/// A section for each program with commands, which its heading names, and one for all others.
fn tables(helps: &[Help]) -> String {
    let mut helps: Vec<_> = helps.iter().collect();
    helps.sort_by_key(|help| (help.program != XTASK, &help.program));
    let (groups, others): (Vec<&Help>, Vec<_>) =
        helps.into_iter().partition(|help| help.has_commands(&[]));
    let mut text = String::new();
    for help in groups {
        let name = format!("{} ", help.program);
        let rows = help.leaves().map(|(call, about)| (call.replacen(&name, "", 1), about));
        section(&mut text, &help.program, rows);
    }
    if !others.is_empty() {
        section(&mut text, "Other programs", others.into_iter().flat_map(Help::leaves));
    }
    text
}

fn section<'a>(text: &mut String, title: &str, rows: impl Iterator<Item = (String, &'a str)>) {
    text.push_str(&format!("\n## {title}\n\n| command | does |\n| --- | --- |\n"));
    for (call, about) in rows {
        text.push_str(&format!("| `{call}` | {} |\n", about.replace('|', "\\|")));
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
    }

    #[test]
    fn the_reference_has_every_command() {
        let help = Help::read(RECORD).unwrap();
        assert!(help.flags().any(|flag| flag == "--all"));
        let other = Help::read("$ z --help\nRuns | waits.\n\nUsage: z\n").unwrap();
        let xtask =
            Help::read("$ cargo xtask --help\nX.\n\n$ cargo xtask y --help\nDo y\n").unwrap();
        let page = format!("Before\n{BEGIN}\nold\n{END}\nafter\n");
        let page = with_commands(&page, &[help, other, xtask]).unwrap();
        insta::assert_snapshot!(page);
        assert_eq!(with_commands("Before\n", &[]), None);
    }
}
