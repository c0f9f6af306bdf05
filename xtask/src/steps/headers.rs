// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: every file of the source says under which licence it is, and whose it is.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Finding, Input, Outcome, Plan, Step, StepLog};
use crate::ops::source;
use crate::ops::text::count;
use crate::run::Run;

/// `cargo xtask headers`.
pub(crate) struct Headers;

/// How many lines may stand before the header: `#!`, `# syntax=`, an XML declaration, a blank one.
const LEAD: usize = 4;

/// Folders of data for tests, whose files are what they are.
const DATA_FOLDERS: &[&str] =
    &["fixtures", "golden", "proptest-regressions", "snapshots", "testdata"];

/// Kinds of files that have no comments, or that a program writes.
const NO_HEADER: &[&str] = &["json", "lock", "snap", "pub", "pem", "svg", "txt", "LICENSE"];

/// A comment's start and its end.
type Comment = (&'static str, &'static str);

impl Step for Headers {
    fn name(&self) -> &'static str {
        "headers"
    }

    fn about(&self) -> &'static str {
        "check that every source file names its licence and owner"
    }

    fn plan(&self, _run: &Run) -> Result<Plan> {
        Ok(Plan::new()
            .native("look for the SPDX and the copyright line at the top of every source file")
            .reads(Input::Source(PathBuf::new())))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let identity = &run.workspace.product().product;
        let files = source::texts(run.workspace.root(), |path| !exempt(path))?;
        let findings: Vec<_> = files
            .iter()
            .filter_map(|file| check(&file.path, &file.text, &identity.license, &identity.vendor))
            .collect();
        log.note(&format!("{} files", files.len()));
        if findings.is_empty() {
            return Ok(Outcome::Done(count(files.len(), "file")));
        }
        Ok(Outcome::Found(findings))
    }
}

fn exempt(path: &str) -> bool {
    Path::new(path).components().any(|part| DATA_FOLDERS.iter().any(|it| part.as_os_str() == *it))
        || NO_HEADER.contains(&kind(path))
}

/// The extension, or the whole name where there is none.
fn kind(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit('.').next().unwrap_or(name)
}

/// How a file of this kind writes a comment of one line.
fn comment(path: &str, text: &str) -> Option<Comment> {
    match kind(path) {
        "rs" | "js" | "cjs" | "mjs" | "ts" | "proto" => Some(("// ", "")),
        "css" | "c" | "h" => Some(("/* ", " */")),
        "md" | "html" | "xml" => Some(("<!-- ", " -->")),
        "sql" => Some(("-- ", "")),
        "toml" | "sh" | "bash" | "py" | "yml" | "yaml" | "cfg" | "conf" | "ini" | "env"
        | "service" | "socket" | "target" | "mount" | "timer" | "path" | "preset" | "container"
        | "image" | "network" | "volume" | "Containerfile" | "Dockerfile" | "Makefile"
        | "gitignore" | "gitattributes" | "containerignore" | "dockerignore" | "editorconfig"
        | "hadolint" => Some(("# ", "")),
        _ if text.starts_with("#!") => Some(("# ", "")),
        _ => None,
    }
}

/// The fault of a file, if it has one.
fn check(path: &str, text: &str, license: &str, vendor: &str) -> Option<Finding> {
    let Some((start, end)) = comment(path, text) else {
        return Some(Finding::in_file(
            path,
            "unknown-kind",
            "what a comment looks like in this kind of file is not known",
            "add the kind to `comment` or to NO_HEADER in xtask/src/steps/headers.rs",
        ));
    };
    let spdx = format!("{start}SPDX-License-Identifier: {license}{end}");
    let is_copyright = |line: &str| {
        line.strip_prefix(start)
            .and_then(|line| line.strip_prefix("Copyright (C) "))
            .and_then(|line| line.strip_suffix(end))
            .and_then(|line| line.strip_suffix(vendor))
            .and_then(|line| line.strip_suffix(' '))
            .is_some_and(|year| year.len() == 4 && year.bytes().all(|c| c.is_ascii_digit()))
    };
    let mut lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    let mend = format!("put `{spdx}` and `{start}Copyright (C) YEAR {vendor}{end}` at its top");
    if !lines.by_ref().take(LEAD + 1).any(|(_, line)| line == spdx) {
        return Some(Finding::at(path, 1, "spdx", "the licence line is missing", mend));
    }
    match lines.next() {
        Some((_, line)) if is_copyright(line) => None,
        next => {
            let line = next.map_or(1, |(number, _)| number);
            let message = "the copyright line does not follow the licence line";
            Some(Finding::at(path, line, "copyright", message, mend))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str, text: &str) -> Option<(String, Option<usize>)> {
        check(path, text, "MIT", "The Authors").map(|it| (it.rule, it.line))
    }

    #[test]
    fn takes_the_comments_of_each_kind_of_file() {
        for (path, text) in [
            ("a.rs", "// SPDX-License-Identifier: MIT\n// Copyright (C) 2026 The Authors\n"),
            (
                "run",
                "#!/bin/sh\n# SPDX-License-Identifier: MIT\n# Copyright (C) 2026 The Authors\n",
            ),
            ("a/Containerfile", "# SPDX-License-Identifier: MIT\n# Copyright (C) 2026 The Authors"),
            (".gitignore", "# SPDX-License-Identifier: MIT\n# Copyright (C) 2026 The Authors\n"),
            (
                "b.md",
                "<!-- SPDX-License-Identifier: MIT -->\n<!-- Copyright (C) 2026 The Authors -->\n",
            ),
        ] {
            assert_eq!(rule(path, text), None, "{path}");
        }
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        let spdx = Some(("spdx".to_owned(), Some(1)));
        assert_eq!(rule("a.rs", ""), spdx);
        assert_eq!(rule("a.rs", "// SPDX-License-Identifier: MIT-0\n"), spdx);
        assert_eq!(rule("a.rs", "# SPDX-License-Identifier: MIT\n"), spdx);
        let late = "\n\n\n\n\n// SPDX-License-Identifier: MIT\n// Copyright (C) 2026 The Authors\n";
        assert_eq!(rule("a.rs", late), spdx);
        let copyright = |line| Some(("copyright".to_owned(), Some(line)));
        let start = "\n// SPDX-License-Identifier: MIT\n";
        assert_eq!(rule("a.rs", &format!("{start}// Copyright (C) 2026 Another\n")), copyright(3));
        assert_eq!(
            rule("a.rs", &format!("{start}// Copyright (C) 26 The Authors\n")),
            copyright(3)
        );
        assert_eq!(rule("a.rs", start), copyright(1));
    }

    #[test]
    fn a_kind_that_nobody_knows_is_a_fault() {
        assert_eq!(rule("a.xyz", "text"), Some(("unknown-kind".to_owned(), None)));
    }

    #[test]
    fn data_has_no_header() {
        assert!(exempt("Cargo.lock") && exempt("LICENSE") && exempt("x/testdata/a.rs"));
        assert!(!exempt("x/src/testdata.rs") && !exempt(".ci/run"));
    }
}
