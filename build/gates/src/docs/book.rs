// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The book: every page is in it, mdBook builds it without a warning, and its links lead to files of the book.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use engine::{Run, StepLog};
use foundation::finding::Finding;
use foundation::source;
use programs::mdbook;
use rules::html::{self, Html};
use rules::markdown::Page;
use walkdir::WalkDir;

use super::links::normalise;

/// Where the book is written, as its `book.toml` has it.
pub(super) const BOOK: &str = "target/book";

/// Pages that mdBook makes: all chapters in one, the table of contents in a frame, and the page for addresses that
/// do not exist, whose links are those of a server's root.
const MADE: &[&str] = &["print.html", "toc.html", "404.html"];

/// Findings in the book of `folder`.
///
/// # Errors
/// When the book can't be built or read.
pub(super) fn check(
    run: &Run,
    log: &StepLog,
    folder: &Path,
    pages: &BTreeMap<&str, Page>,
) -> Result<Vec<Finding>> {
    let book = run.workspace.root().join(BOOK);
    let finished = run.attempt(log, &mdbook::build(run, folder, BOOK))?;
    let printed = finished.stderr().to_owned();
    finished.success()?;
    let mut findings = warnings(folder, &printed);
    findings.extend(find_left_out(folder, pages));
    let files = files(&book)?;
    ensure!(!files.is_empty(), "mdBook wrote nothing to {}", book.display());
    let mut read = BTreeMap::new();
    let is_chapter =
        |path: &&String| source::has_extension(path, "html") && !MADE.contains(&path.as_str());
    for path in files.iter().filter(is_chapter) {
        let text = fs::read_to_string(book.join(path))
            .with_context(|| format!("cannot read {path} of the book"))?;
        read.insert(path.as_str(), html::read(&text));
    }
    findings.extend(find_broken_links(folder, &read, &files, |page| {
        run.workspace.root().join(page).is_file()
    }));
    Ok(findings)
}

/// The paths of all files below the folder `book`.
fn files(book: &Path) -> Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    for entry in WalkDir::new(book) {
        let entry = entry.context("cannot list the files of the book")?;
        if let Ok(path) = entry.path().strip_prefix(book)
            && entry.file_type().is_file()
        {
            files.insert(path.display().to_string());
        }
    }
    Ok(files)
}

/// Warnings of mdBook, such as a page that an `include` does not find.
fn warnings(folder: &Path, printed: &str) -> Vec<Finding> {
    let is_warning = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("ERROR ") || line.starts_with("WARN ") && !line.contains("Caused By:")
    };
    let file = folder.join("book.toml").display().to_string();
    let finding = |line: &str| {
        Finding::in_file(
            &file,
            "book",
            line.trim(),
            "correct the page or the setting that it names",
        )
    };
    printed.lines().filter(is_warning).map(finding).collect()
}

/// Pages of the folder that its `SUMMARY.md` does not name.
fn find_left_out(folder: &Path, pages: &BTreeMap<&str, Page>) -> Vec<Finding> {
    let summary = folder.join("SUMMARY.md").display().to_string();
    let chapters: BTreeSet<String> = pages
        .get(summary.as_str())
        .into_iter()
        .flat_map(|page| &page.links)
        .map(|link| normalise(&folder.join(&link.target)))
        .collect();
    let pages = pages.keys().filter(|path| Path::new(path).starts_with(folder));
    pages
        .filter(|path| **path != summary && !chapters.contains(**path))
        .map(|path| {
            let message = "the page is no chapter of the book";
            Finding::in_file(*path, "not-in-book", message, format!("add it to {summary}"))
        })
        .collect()
}

/// Links of chapters that lead to no file or anchor of the book; `exists` knows the pages of the source.
fn find_broken_links(
    folder: &Path,
    chapters: &BTreeMap<&str, Html>,
    files: &BTreeSet<String>,
    exists: impl Fn(&Path) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, chapter) in chapters {
        let Some(page) = page_of(folder, path, &exists) else { continue };
        let parent = Path::new(path).parent().unwrap_or(Path::new(""));
        let mut seen = BTreeSet::new();
        for link in &chapter.links {
            let is_outside =
                link.contains("://") || link.starts_with("mailto:") || link.starts_with("data:");
            if is_outside || !seen.insert(link) {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { (*path).to_owned() } else { normalise(&parent.join(file)) };
            let problem = if !files.contains(&target) {
                "the book has no file for the link"
            } else if !anchor.is_empty()
                && chapters.get(target.as_str()).is_some_and(|it| !it.anchors.contains(anchor))
            {
                "the book has no heading for the link"
            } else {
                continue;
            };
            let fix = "link to a page of the book, or name what is outside it without a link";
            findings.push(Finding::in_file(&page, "book-link", format!("{problem} {link}"), fix));
        }
    }
    findings
}

/// The page that the chapter `path` was made of: `x/index.html` is of `x/README.md`. None for the copy of the first
/// chapter that mdBook writes as `index.html`.
fn page_of(folder: &Path, path: &str, exists: &impl Fn(&Path) -> bool) -> Option<String> {
    let page = folder.join(path).with_extension("md");
    let readme = page.with_file_name("README.md");
    let page = [page, readme].into_iter().find(|page| exists(page))?;
    Some(page.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::markdown;

    #[test]
    fn a_link_that_leaves_the_book_and_one_to_nothing_are_findings() {
        let a = "<h1 id=\"one\">x</h1><a href=\"b.html#two\"></a><a href=\"#none\"></a><a href=\"../README.html\"></a>\
                 <img src=\"c.svg\"><a href=\"https://x.example/\"></a>";
        let chapters =
            BTreeMap::from([("a.html", html::read(a)), ("b.html", html::read("<h2 id=\"two\">"))]);
        let files = ["a.html", "b.html", "c.svg"].map(str::to_owned).into();
        let findings = find_broken_links(Path::new("docs"), &chapters, &files, |page| {
            page == Path::new("docs/a.md")
        });
        let found: Vec<_> =
            findings.iter().map(|it| format!("{}: {}", it.file, it.message)).collect();
        assert_eq!(
            found,
            [
                "docs/a.md: the book has no heading for the link #none",
                "docs/a.md: the book has no file for the link ../README.html",
            ]
        );
        let index = page_of(Path::new("docs"), "x/index.html", &|page| page.ends_with("README.md"));
        assert_eq!(index.as_deref(), Some("docs/x/README.md"));
        assert_eq!(page_of(Path::new("docs"), "index.html", &|_| false), None);
    }

    #[test]
    fn a_page_without_a_chapter_is_a_finding() {
        let pages = BTreeMap::from([
            ("docs/SUMMARY.md", markdown::read("- [One](one.md)\n- [Two](how-to/two.md)\n")),
            ("docs/one.md", markdown::read("")),
            ("docs/how-to/two.md", markdown::read("")),
            ("docs/three.md", markdown::read("")),
            ("README.md", markdown::read("")),
        ]);
        let findings = find_left_out(Path::new("docs"), &pages);
        assert_eq!(
            findings.iter().map(|it| it.file.as_str()).collect::<Vec<_>>(),
            ["docs/three.md"]
        );
    }

    #[test]
    fn what_mdbook_warns_of_is_a_finding() {
        let printed = " INFO Book building has started\n WARN unknown field `x`\n\
                       ERROR Error updating \"{{#include x}}\"\n WARN Caused By: x\n";
        let found = warnings(Path::new("docs"), printed);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
