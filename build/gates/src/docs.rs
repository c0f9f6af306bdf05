// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: links and paths in the documentation exist, and its `cargo xtask` calls are valid.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use engine::{Input, Outcome, Plan, Run, Step, StepLog};
use foundation::finding::Finding;
use foundation::source;
use rules::markdown::{self, Page};

/// `cargo xtask docs`.
pub struct Docs;

impl Step for Docs {
    fn name(&self) -> &'static str {
        "docs"
    }

    fn about(&self) -> &'static str {
        "check links, paths and commands in README and docs"
    }

    fn is_gate(&self) -> bool {
        true
    }

    fn plan(&self, _run: &Run) -> Result<Plan> {
        Ok(Plan::new()
            .native("follow every link of every page, and ask xtask for the help of every command")
            .reads(Input::Source(PathBuf::new())))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let root = run.workspace.root();
        let files = run.workspace.texts(|path| source::has_extension(path, "md"))?;
        let pages: BTreeMap<&str, Page> =
            files.iter().map(|file| (file.path.as_str(), markdown::read(&file.text))).collect();
        let mut findings: Vec<Finding> =
            pages.iter().flat_map(|(path, page)| broken_links(root, path, page, &pages)).collect();
        findings.extend(unknown_commands(run, log, &pages)?);
        findings.sort();
        Ok(if findings.is_empty() {
            Outcome::Done(format!("{} pages", pages.len()))
        } else {
            Outcome::Found(findings)
        })
    }
}

/// Links to missing files and headings. Links to other sites are not checked: their availability
/// does not depend on our change.
fn broken_links(
    root: &Path,
    path: &str,
    page: &Page,
    pages: &BTreeMap<&str, Page>,
) -> Vec<Finding> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    page.links
        .iter()
        .filter(|link| !link.target.contains("://") && !link.target.starts_with("mailto:"))
        .filter_map(|link| {
            let (file, anchor) = link
                .target
                .split_once('#')
                .map_or((link.target.as_str(), None), |(f, a)| (f, Some(a)));
            let target = if file.is_empty() { path.to_owned() } else { normal(&folder.join(file)) };
            let finding = |rule: &str, what: &str| {
                Some(Finding::at(
                    path,
                    link.line,
                    rule,
                    format!("{what} {}", link.target),
                    "correct the link",
                ))
            };
            if !root.join(&target).exists() {
                return finding("broken-link", "no file is at");
            }
            let known = |anchor: &str| {
                pages
                    .get(target.as_str())
                    .is_none_or(|page| page.anchors.iter().any(|it| it == anchor))
            };
            match anchor {
                Some(anchor) if !known(anchor) => finding("broken-anchor", "no heading is at"),
                _ => None,
            }
        })
        .collect()
}

/// Normalises `a/../b` to `b`, without the file system.
fn normal(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.iter().filter_map(|part| part.to_str()) {
        match part {
            "." => {}
            ".." if !parts.is_empty() => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Calls of `cargo xtask` that this program's parser rejects.
fn unknown_commands(
    run: &Run,
    log: &StepLog,
    pages: &BTreeMap<&str, Page>,
) -> Result<Vec<Finding>> {
    // Not its path: Cargo may have replaced the file meanwhile.
    let own = "/proc/self/exe";
    let ours = |call: &&markdown::Command| call.program == markdown::XTASK;
    let calls: BTreeSet<&[String]> = pages
        .values()
        .flat_map(|page| page.commands.iter().filter(ours))
        .map(|call| call.words.as_slice())
        .collect();
    let mut unknown = BTreeSet::new();
    for words in calls {
        // With `--help` the parser checks the arguments before it, and nothing runs.
        let asked = run.attempt(log, &run.command(own).args(words).arg("--help"))?;
        if asked.code() != Some(0) {
            unknown.insert(words);
        }
    }
    let findings = pages.iter().flat_map(|(path, page)| {
        let calls = page.commands.iter().filter(ours);
        calls.filter(|call| unknown.contains(call.words.as_slice())).map(|call| {
            Finding::at(
                *path,
                call.line,
                "unknown-command",
                format!("`cargo xtask {}` is no command", call.words.join(" ")),
                "correct it; `cargo xtask --help` lists the commands",
            )
        })
    });
    Ok(findings.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_from_the_page_they_stand_on() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("docs")).unwrap();
        let one = "# One\n[ok](two.md#a-heading) [up](../README.md) [site](https://x.example/y)\n\
                   [gone](three.md) [bad](two.md#none) [own](#one) [own](#two)\n";
        let two = "## A heading\n";
        for (path, text) in [("docs/one.md", one), ("docs/two.md", two), ("README.md", "x")] {
            std::fs::write(root.path().join(path), text).unwrap();
        }
        let pages = BTreeMap::from([
            ("docs/one.md", markdown::read(one)),
            ("docs/two.md", markdown::read(two)),
            ("README.md", markdown::read("x")),
        ]);
        let findings = broken_links(root.path(), "docs/one.md", &pages["docs/one.md"], &pages);
        let found: Vec<_> = findings.iter().map(|f| (f.line, f.message.as_str())).collect();
        assert_eq!(
            found,
            [
                (Some(3), "no file is at three.md"),
                (Some(3), "no heading is at two.md#none"),
                (Some(3), "no heading is at #two"),
            ]
        );
    }
}
