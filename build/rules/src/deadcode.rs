// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Unused public items of libraries.
//!
//! The compiler only warns about unused private items, since public ones may have users elsewhere.
//! This workspace publishes no library, so there are none. The check compares names, not types: an
//! item is used if its name occurs in code outside its own definition, re-exports and tests. It
//! misses an unused item that shares its name with a used one, and never reports a used one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use foundation::finding::Finding;
use foundation::source::{self, File};
use regex::Regex;

const ITEM: &str = r"^\s*pub (?:const |async |unsafe )*(fn|struct|enum|trait|const|static|type|union) (?:mut )?([A-Za-z_][A-Za-z0-9_]*)";
const WORD: &str = r"[A-Za-z_][A-Za-z0-9_]*";

/// A public item.
#[derive(Debug)]
struct Item<'a> {
    file: &'a str,
    line: usize,
    kind: &'a str,
    name: &'a str,
}

/// Findings for unused public items in `files`, all of them Rust source.
///
/// # Errors
/// When a built-in pattern does not compile.
pub fn find_unused_items(files: &[File]) -> Result<Vec<Finding>> {
    let item = Regex::new(ITEM).context("the pattern of items")?;
    let word = Regex::new(WORD).context("the pattern of words")?;
    let mut items = Vec::new();
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    // Use in tests, examples and benchmarks does not count.
    for File { path, text } in files.iter().filter(|file| !source::is_test_code(&file.path)) {
        for (index, line) in product_code(text) {
            let defined =
                item.captures(line).and_then(|groups| Some((groups.get(1)?, groups.get(2)?)));
            if let Some((kind, name)) = defined {
                items.push(Item {
                    file: path,
                    line: index + 1,
                    kind: kind.as_str(),
                    name: name.as_str(),
                });
            }
            // A definition may use other items: `pub fn read() -> Manifest`.
            let own = defined.map(|(_, name)| name.as_str());
            let words: BTreeSet<&str> = word.find_iter(line).map(|found| found.as_str()).collect();
            for name in words.into_iter().filter(|name| Some(*name) != own) {
                *uses.entry(name).or_default() += 1;
            }
        }
    }
    Ok(items
        .into_iter()
        .filter(|item| item.name != "main" && !uses.contains_key(item.name))
        .map(|item| {
            Finding::at(
                item.file,
                item.line,
                "unused-public",
                format!("unused public {} `{}`", item.kind, item.name),
                "remove it, or add it with a reason to [[gates.deadcode.allow]] in release.toml",
            )
        })
        .collect())
}

/// Lines with index, without comments, re-exports and the test module at the end of a file.
fn product_code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut re_export = false;
    text.lines().enumerate().take(source::lines_before_tests(text)).filter(move |(_, line)| {
        let line = line.trim();
        re_export |= line.starts_with("pub use ");
        let skip = re_export || line.starts_with("//") || line.is_empty();
        re_export &= !line.ends_with(';');
        !skip
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_messages(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files
            .iter()
            .map(|&(path, text)| File { path: path.to_owned(), text: text.to_owned() })
            .collect();
        let findings = find_unused_items(&files).unwrap();
        findings.iter().map(|f| format!("{}:{}", f.file, f.line.unwrap_or(0))).collect()
    }

    #[test]
    fn an_item_that_only_its_definition_names_is_dead() {
        let text = "pub use a::Dead;\n\n/// Dead.\npub struct Dead;\npub fn live() -> Kept {}\npub enum Kept {}\n";
        assert_eq!(
            find_messages(&[("a/src/lib.rs", text), ("b/src/main.rs", "fn main() { live() }\n")]),
            ["a/src/lib.rs:4"]
        );
    }

    #[test]
    fn use_in_tests_alone_does_not_keep_an_item() {
        let text = "pub fn helper() {}\n#[cfg(test)]\nmod tests { fn t() { helper() } }\n";
        assert_eq!(
            find_messages(&[("a/src/lib.rs", text), ("a/tests/t.rs", "fn t() { helper() }")]),
            ["a/src/lib.rs:1"]
        );
    }

    #[test]
    fn re_exports_over_several_lines_are_no_use() {
        let text = "pub use x::{\n    Dead,\n};\npub const Dead: u8 = 1;\nfn f() { g() }\n";
        assert_eq!(find_messages(&[("a/src/lib.rs", text)]), ["a/src/lib.rs:4"]);
    }
}
