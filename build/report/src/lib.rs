// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `cargo xtask report`: the last run and its release as one HTML page without scripts.
//!
//! [`input`] reads files; everything else only renders what was read, so equal input gives equal
//! bytes. A file that is missing is named on the page and is not an error.
#![forbid(unsafe_code)]

mod artifacts;
mod components;
mod file;
mod findings;
mod input;
mod page;
mod quality;
mod sbom;
mod table;
mod timeline;

use std::path::PathBuf;

use anyhow::Result;
use engine::Run;
use foundation::atomic;

use self::input::Input;

/// The page, below the root.
pub const PAGE: &str = "target/xtask/report.html";

/// Writes the page and returns its path below the root.
///
/// # Errors
/// When the page cannot be written.
pub fn write(run: &Run) -> Result<PathBuf> {
    let root = run.workspace.root();
    let input = Input::read(root);
    let title = &run.workspace.product().product.title;
    atomic::write(&root.join(PAGE), page::render(title, &input).as_bytes())?;
    Ok(PathBuf::from(PAGE))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const VERSION: &str = "1.2.0-rc.1";

    /// A run with every kind of result, as `report.json`.
    const RUN: &str = include_str!("../testdata/report.json");
    /// Its release, as `release.json`.
    const RELEASE: &str = include_str!("../testdata/release.json");

    /// A workspace after a release, with the release before it.
    fn workspace() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, "target/xtask/report.json", RUN);
        put(
            root,
            gates::test::JUNIT,
            "<testsuites><testsuite name=\"a\"><testcase name=\"slow\" classname=\"a\" time=\"21.5\"/>\
             <testcase name=\"bad\" classname=\"a::it\" time=\"0.02\"><failure/></testcase></testsuite></testsuites>",
        );
        let lcov = format!(
            "SF:{0}/crates/a/src/lib.rs\nLF:200\nLH:190\nend_of_record\nSF:{0}/xtask/src/main.rs\nLF:3\nLH:0\n",
            root.display()
        );
        put(root, gates::coverage::LCOV, &lcov);
        let dist = format!("target/dist/{VERSION}");
        put(root, &format!("{dist}/release.json"), RELEASE);
        put(root, &format!("{dist}/signatures/release.json.sigstore.json"), "{}");
        put(root, &format!("{dist}/images/tools/a/blobs/sha256/00"), &"x".repeat(1500));
        put(
            root,
            &format!("{dist}/sbom/controller_v{VERSION}_linux_amd64.cdx.json"),
            r#"{"components": [
                {"name": "b", "version": "1", "scope": "required", "licenses": [{"expression": "MIT OR Apache-2.0"}]},
                {"name": "c", "version": "1", "scope": "excluded", "licenses": [{"expression": "ISC"}]},
                {"name": "<d>", "version": "2", "scope": "required"}]}"#,
        );
        let earlier = RELEASE
            .replace("\"epoch\": 1760000000", "\"epoch\": 1750000000")
            .replace("\"size\": 1015000", "\"size\": 1000000")
            .replace("mock-bmc", "old-mock")
            .replace(VERSION, "1.1.0");
        put(root, "target/dist/1.1.0/release.json", &earlier);
        put(root, "target/dist/broken/release.json", "{");
        folder
    }

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn render(root: &Path) -> String {
        page::render("A <product>", &Input::read(root))
    }

    #[test]
    fn the_page_shows_the_run_and_its_release() {
        let workspace = workspace();
        let page = render(workspace.path());
        assert_eq!(page, render(workspace.path()));
        let root = workspace.path().display().to_string();
        assert!(!page.contains(&root), "the page has a path of the host");
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("href=\"h"));
        // One element per line, so that a difference is easy to see.
        let (head, body) = page.split_once("</style>").unwrap();
        assert!(head.starts_with("<!DOCTYPE html>"));
        insta::assert_snapshot!(body.replace("><", ">\n<"));
    }

    #[test]
    fn each_missing_file_is_named() {
        let workspace = workspace();
        let root = workspace.path();
        let dist = format!("target/dist/{VERSION}");
        for (path, sentence) in [
            (
                format!("{dist}/sbom/controller_v{VERSION}_linux_amd64.cdx.json"),
                "run `cargo xtask sbom`",
            ),
            (
                "target/dist/1.1.0/release.json".to_owned(),
                "There is no older release in target/dist",
            ),
            (format!("{dist}/release.json"), "run `cargo xtask release --snapshot`"),
            (gates::test::JUNIT.to_owned(), "install cargo-nextest"),
            (gates::coverage::LCOV.to_owned(), "run `cargo xtask coverage`"),
            ("target/xtask/report.json".to_owned(), "run `cargo xtask validate`"),
        ] {
            assert!(!render(root).contains(sentence), "{sentence} too early");
            fs::remove_file(root.join(&path)).unwrap();
            assert!(render(root).contains(sentence), "{path}: {}", render(root));
        }
        put(root, "target/xtask/report.json", "{}");
        assert!(render(root).contains("target/xtask/report.json is malformed"));
    }
}
