// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: every source file has a licence and a copyright header.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::Result;
use engine::{Argument, Description, Input, Outcome, Plan, Run, Step, StepLog};
use foundation::epoch::rfc3339;
use foundation::finding::Finding;
use foundation::text::count;
use foundation::{atomic, source};
use rules::comment::{CommentMarkers, kind, marks};

/// `cargo xtask headers`.
pub struct Headers;

/// Number of lines allowed before the header: `#!`, `# syntax=`, an XML declaration, a blank one.
const LEAD: usize = 4;

/// Kinds of files without comments, or written by programs.
const NO_HEADER: &[&str] = &["json", "lock", "snap", "pub", "pem", "svg", "txt", "LICENSE"];

/// Rule of a file without a licence line, which `--fix` adds.
const MISSING: &str = "spdx";

impl Step for Headers {
    fn describe(&self) -> Description {
        Description::gate("headers", "check licence and copyright headers of source files")
            .example("--fix")
            .arguments(&[Argument::Fix])
    }

    fn plan(&self, _run: &Run) -> Result<Plan> {
        Ok(Plan::new()
            .native("check the SPDX and the copyright line at the top of all source files")
            .reads(Input::Source(PathBuf::new())))
    }

    fn fix(&self, run: &Run, log: &StepLog) -> Result<()> {
        let identity = &run.workspace.product().product;
        let year: String = rfc3339(run.workspace.epoch())?.chars().take(4).collect();
        for file in files(run)? {
            let fault = check(&file.path, &file.text, &identity.license, &identity.vendor);
            let marks = marks(&file.path, &file.text);
            if let (Some(fault), Some(marks)) = (fault, marks)
                && fault.rule == MISSING
            {
                let lines = [
                    format!("SPDX-License-Identifier: {}", identity.license),
                    format!("Copyright (C) {year} {}", identity.vendor),
                ];
                let path = run.workspace.root().join(&file.path);
                let mode = fs::metadata(&path)?.permissions().mode();
                let text = with_header(&file.text, marks, &lines);
                atomic::write_with(&path, mode, |out| Ok(out.write_all(text.as_bytes())?))?;
                log.note(&format!("{}: header added", file.path));
            }
        }
        Ok(())
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let identity = &run.workspace.product().product;
        let files = files(run)?;
        let findings: Vec<_> = files
            .iter()
            .filter_map(|file| check(&file.path, &file.text, &identity.license, &identity.vendor))
            .collect();
        log.note(&format!("{} files", files.len()));
        Ok(Outcome::of(findings, count(files.len(), "file")))
    }
}

/// The files to check.
fn files(run: &Run) -> Result<Vec<source::File>> {
    run.workspace.texts(|path| !exempt(path))
}

/// The text with the lines of the header in comments: after a line that has to be the first one.
fn with_header(text: &str, (start, end): CommentMarkers, lines: &[String]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| format!("{start}{line}{end}\n")).collect();
    let header = lines.concat();
    let leads = ["#!", "# syntax=", "# escape=", "<?xml", "<!DOCTYPE"];
    let first = text.lines().next().filter(|line| leads.iter().any(|it| line.starts_with(it)));
    match first.and_then(|first| text.split_at_checked(first.len())) {
        Some((first, rest)) => {
            format!("{first}\n{header}{}", rest.strip_prefix('\n').unwrap_or(rest))
        }
        None if text.is_empty() => header,
        None => format!("{header}\n{}", text.trim_start_matches('\n')),
    }
}

fn exempt(path: &str) -> bool {
    source::is_test_data(path) || NO_HEADER.contains(&kind(path))
}

/// The fault of a file, if it has one.
fn check(path: &str, text: &str, license: &str, vendor: &str) -> Option<Finding> {
    let Some((start, end)) = marks(path, text) else {
        return Some(Finding::in_file(
            path,
            "unknown-kind",
            "unknown comment syntax for this kind of file",
            "add the kind to build/rules/src/comment.rs, or to NO_HEADER in build/gates/src/headers.rs",
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
    let fix = format!("put `{spdx}` and `{start}Copyright (C) YEAR {vendor}{end}` at its top");
    if !lines.by_ref().take(LEAD + 1).any(|(_, line)| line == spdx) {
        return Some(Finding::at(path, 1, MISSING, "the licence line is missing", fix));
    }
    match lines.next() {
        Some((_, line)) if is_copyright(line) => None,
        next => {
            let line = next.map_or(1, |(number, _)| number);
            let message = "the licence line is not followed by the copyright line";
            Some(Finding::at(path, line, "copyright", message, fix))
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
            (
                "a/Containerfile.packages",
                "# SPDX-License-Identifier: MIT\n# Copyright (C) 2026 The Authors",
            ),
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
    fn a_header_goes_below_a_line_that_has_to_be_the_first() {
        let lines = ["SPDX-License-Identifier: MIT", "Copyright (C) 2026 The Authors"];
        let lines = lines.map(str::to_owned);
        for (path, text) in [
            ("a.rs", "fn a() {}\n"),
            ("a.rs", ""),
            ("run", "#!/bin/sh\nexit 0\n"),
            ("run", "#!/bin/sh"),
            ("a.xml", "<?xml version=\"1.0\"?>\n<a/>\n"),
        ] {
            let fixed = with_header(text, marks(path, text).unwrap(), &lines);
            assert_eq!(rule(path, &fixed), None, "{fixed}");
            let first = text.lines().next().unwrap_or_default();
            assert!(!first.starts_with("#!") || fixed.starts_with(first), "{fixed}");
            assert!(text.lines().all(|line| fixed.contains(line)), "{fixed}");
        }
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
