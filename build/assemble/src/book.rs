// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds the documentation as a book and packages its pages.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use engine::{Description, Input, Need, Outcome, Plan, Run, Skip, Step, StepLog};
use foundation::archive::{self, Member, Mode};
use foundation::text::count;
use foundation::tree;
use programs::mdbook;
use release::ArtifactKind;
use walkdir::WalkDir;

use super::package::artifact;

/// `cargo xtask book`.
pub struct Book;

/// The pages, below the root.
const PAGES: &str = "target/xtask/book";

impl Step for Book {
    fn describe(&self) -> Description {
        Description::step("book", "package the documentation as an archive of HTML pages")
            .with_cache()
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        source(run).map(|_| Need::Tool(mdbook::MDBOOK)).into_iter().collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let Some(folder) = source(run) else { return Ok(Plan::new()) };
        let path = run.dist_in_plan().join(file_name(run));
        Ok(Plan::new()
            .command(mdbook::build(run, folder, PAGES))
            .native(format!("write {}", path.display()))
            .reads(Input::Source(PathBuf::new()))
            .reads(Input::Tool(mdbook::MDBOOK))
            .writes(path))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let Some(folder) = source(run) else {
            let why = "release.toml has no gates.docs.book".to_owned();
            return Ok(Outcome::Skipped(Skip::NotApplicable { why }));
        };
        let pages = run.workspace.root().join(PAGES);
        // mdBook leaves files of earlier builds.
        tree::remove(&pages)?;
        run.exec(log, &mdbook::build(run, folder, PAGES))?;
        let name = file_name(run);
        let members = members(&pages, &stem(run))?;
        let files = count(members.len(), "file");
        archive::write_file(&run.dist().join(&name), members, run.workspace.epoch())?;
        let book = artifact(&run.dist(), &name, ArtifactKind::Documentation, None, None)?;
        run.update_manifest(|manifest| {
            manifest.put_artifact(book);
            Ok(())
        })?;
        Ok(Outcome::Done(files))
    }
}

/// The folder of the book, if the product has one.
fn source(run: &Run) -> Option<&Path> {
    run.workspace.product().gates.docs.book.as_deref()
}

/// Folder in the archive.
fn stem(run: &Run) -> String {
    format!("book_v{}", run.version().text())
}

/// Release name of the archive.
fn file_name(run: &Run) -> String {
    format!("{}.tar.gz", stem(run))
}

/// All files below `pages`, each below `folder` in the archive.
fn members(pages: &Path, folder: &str) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for entry in WalkDir::new(pages) {
        let entry = entry.context("cannot list the pages of the book")?;
        if !entry.file_type().is_file() {
            continue;
        }
        let source = entry.into_path();
        let inner = source.strip_prefix(pages)?;
        let inner = inner.to_str().with_context(|| format!("{} is not UTF-8", inner.display()))?;
        members.push(Member { path: format!("{folder}/{inner}"), mode: Mode::File, source });
    }
    ensure!(!members.is_empty(), "mdBook wrote no page to {}", pages.display());
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_below_the_folder_of_the_version() {
        let pages = tempfile::tempdir().unwrap();
        let error = members(pages.path(), "book_v1").unwrap_err().to_string();
        assert!(error.contains("mdBook wrote no page"), "{error}");
        std::fs::create_dir(pages.path().join("how-to")).unwrap();
        for name in ["index.html", "how-to/x.html"] {
            std::fs::write(pages.path().join(name), name).unwrap();
        }
        let members = members(pages.path(), "book_v1").unwrap();
        let mut paths: Vec<_> = members.into_iter().map(|it| it.path).collect();
        paths.sort();
        assert_eq!(paths, ["book_v1/how-to/x.html", "book_v1/index.html"]);
    }
}
