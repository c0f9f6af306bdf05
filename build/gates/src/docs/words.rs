// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Words of prose and comments follow the Vale style of the tree.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use engine::Run;
use foundation::finding::Finding;
use foundation::source;
use rules::prose;
use rules::vale::{Level, Rule};

/// The words that the style of `release.toml` replaces, in every page, comment, message and recorded help text.
/// `all` includes its suggestions.
///
/// # Errors
/// When the style has no rule, or one that can't be read.
pub(super) fn check(run: &Run, all: bool) -> Result<Vec<Finding>> {
    let gate = &run.workspace.product().gates.docs;
    let Some(style) = &gate.style else { return Ok(Vec::new()) };
    let least = if all { Level::Suggestion } else { Level::Warning };
    let rules: Vec<_> = rules(run, style)?.into_iter().filter(|it| it.level() >= least).collect();
    let is_checked = |path: &str| path.ends_with(prose::HELP) || !source::is_test_data(path);
    let files = run.workspace.texts(is_checked)?;
    let findings = files.iter().flat_map(|file| {
        let blocks = prose::blocks(file);
        rules.iter().flat_map(|rule| rule.check(&file.path, &blocks)).collect::<Vec<_>>()
    });
    Ok(findings.collect())
}

/// The rules of a style: the files `*.yml` of its folder, each named `STYLE.FILE` as Vale does.
fn rules(run: &Run, style: &Path) -> Result<Vec<Rule>> {
    let is_rule =
        |path: &str| source::has_extension(path, "yml") && Path::new(path).parent() == Some(style);
    let files = run.workspace.texts(is_rule)?;
    ensure!(!files.is_empty(), "no rule is in {}: correct gates.docs.style", style.display());
    let name = |path: &Path| -> Option<String> {
        let (folder, file) = (path.parent()?.file_name()?, path.file_stem()?);
        Some(format!("{}.{}", folder.display(), file.display()))
    };
    files
        .iter()
        .map(|file| {
            let name = name(Path::new(&file.path)).context("a rule has no name")?;
            Rule::read(&name, &file.text).with_context(|| file.path.clone())
        })
        .collect()
}
