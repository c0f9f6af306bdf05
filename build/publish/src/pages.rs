// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Release pages: the files of a release in a folder of a static site, or as a release of a GitHub repository.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use engine::workspace::Assets;
use engine::{Run, StepLog, absolute};
use foundation::atomic;
use foundation::command::Command;
use programs::notary;
use release::layout;

use crate::notes;

/// The variable with the token for GitHub.
const TOKEN: &str = "GITHUB_TOKEN";
/// The variables with the paths of the key for the apt and dnf repositories of a folder, and of its
/// password.
const OPENPGP: [&str; 2] = ["XTASK_OPENPGP_KEY", "XTASK_OPENPGP_PASSWORD_FILE"];

/// Where the files are published.
#[derive(Debug, Default, clap::Args)]
pub struct PagesArguments {
    /// Publish the files too: NAME of [assets.NAME] in release.toml, or a folder, such as ./site
    #[arg(long, value_name = "NAME|DIR")]
    pub pages: Option<String>,
}

/// The page of `--pages`, else that of the pipeline's environment, if it has one.
///
/// # Errors
/// When it is no name in `release.toml` and no path.
pub(crate) fn find_assets(run: &Run) -> Result<Option<Assets>> {
    let declared = &run.workspace.product().assets;
    let usual = run.options.environment.map(engine::Environment::name);
    let usual = usual.filter(|it| declared.contains_key(*it)).map(str::to_owned);
    let Some(name) = run.options.step_arguments::<PagesArguments>().pages.or(usual) else {
        return Ok(None);
    };
    find(run, &name).map(Some)
}

/// The page `name` of `release.toml`, or a folder.
///
/// # Errors
/// When it is no name in `release.toml` and no path.
fn find(run: &Run, name: &str) -> Result<Assets> {
    let declared = &run.workspace.product().assets;
    Ok(match declared.get(name) {
        Some(Assets::Folder(path)) => Assets::Folder(run.workspace.root().join(path)),
        Some(Assets::Github(repository)) => Assets::Github(repository.clone()),
        // Do not create a folder for a misspelt name.
        None if name.contains('/') || name == "." => Assets::Folder(absolute(PathBuf::from(name))),
        None => {
            let names: Vec<_> = declared.keys().map(String::as_str).collect();
            bail!(
                "there is no [assets.{name}] in release.toml (it has {}), and a folder has a slash: ./{name}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            )
        }
    })
}

/// The command that withdraws `version` from the page `name`, or from the one that `release.toml` has for the
/// registry `usual`.
///
/// # Errors
/// When `name` is not a page.
pub(crate) fn yank(
    run: &Run,
    name: Option<&str>,
    usual: &str,
    version: &str,
) -> Result<Option<Command>> {
    let usual = Some(usual).filter(|it| run.workspace.product().assets.contains_key(*it));
    let Some(page) = name.or(usual) else { return Ok(None) };
    let assets = find(run, page)?;
    // The page of the registry need not have every release.
    let tag = layout::tag(version.trim_start_matches('v'));
    if let Assets::Folder(folder) = &assets
        && name.is_none()
        && !folder.join(&tag).exists()
    {
        return Ok(None);
    }
    Ok(Some(add_target(call(run, &assets).args(["--yank", version]), &assets)))
}

/// The call of `notary` for a kind of page.
fn call(run: &Run, assets: &Assets) -> Command {
    notary::call(
        run,
        match assets {
            Assets::Folder(_) => "release-page",
            Assets::Github(_) => "github-release",
        },
    )
}

/// `command` with the page, and the key of its repositories or the token.
fn add_target(command: Command, assets: &Assets) -> Command {
    match assets {
        Assets::Folder(folder) => {
            OPENPGP.into_iter().fold(command.arg("--to").arg(folder), Command::secret_env)
        }
        Assets::Github(repository) => command.args(["--repository", repository]).secret_env(TOKEN),
    }
}

/// The command that publishes the files to `assets`.
pub(crate) fn command(run: &Run, assets: &Assets) -> Command {
    let command = add_target(call(run, assets).arg("--release").arg(run.dist()), assets);
    match assets {
        Assets::Folder(_) => command,
        Assets::Github(_) => command.arg("--notes").arg(notes_file(run)),
    }
}

/// Publishes the files to `assets`, and returns the place for the report.
pub(crate) fn publish(run: &Run, log: &StepLog, assets: &Assets) -> Result<String> {
    let place = match assets {
        Assets::Folder(folder) => folder.display().to_string(),
        Assets::Github(repository) => {
            write_notes(run)?;
            format!("GitHub's {repository}")
        }
    };
    run.exec(log, &command(run, assets))?;
    Ok(place)
}

/// Writes the release notes of the version's tag, and returns the path of the file.
pub(crate) fn write_notes(run: &Run) -> Result<PathBuf> {
    let tag = layout::tag(run.version().text());
    let notes = notes::compose(run, Some(&tag)).context("no release notes")?;
    let text = changes::render(&notes);
    let path = notes_file(run);
    atomic::write(&path, text.as_bytes())?;
    Ok(path)
}

/// The file with the release notes.
pub(crate) fn notes_file(run: &Run) -> PathBuf {
    run.workspace.scratch().join("notes.md")
}
