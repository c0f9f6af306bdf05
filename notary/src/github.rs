// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary github-release`: publishes the files of a release as a release of a GitHub repository.
//!
//! Creates a draft, uploads every file, reads it back, and publishes the draft last. The files of a published
//! release are never changed, as repositories with immutable releases require. A rerun after an interruption
//! compares the uploaded files and removes incomplete ones. A yank changes the notes, and which release is the
//! latest.

mod api;
mod http;
mod yank;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use oci::Digest;
use release::{Channel, Manifest, layout};

use self::api::{Api, Asset, Draft, Release, Upload};
use self::http::{Http, Limits};
use crate::publish::files::{ReleaseFile, collect};
use crate::release_folder::ReleaseFolder;
use crate::withdrawal::WithdrawalArgs;

/// The API of github.com.
const PUBLIC: &str = "https://api.github.com";
/// Variables of GitHub Actions: the token, and the API of a GitHub Enterprise server.
const TOKEN: &str = "GITHUB_TOKEN";
const API: &str = "GITHUB_API_URL";
/// Limits of GitHub ("About releases", "Storage and bandwidth quotas"): files of a release, bytes of a file.
const FILES: usize = 1000;
const SIZE: u64 = (2 << 30) - 1;
/// State of a complete asset.
const UPLOADED: &str = "uploaded";

/// Arguments of `notary github-release`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Release folder, with release.json.
    #[arg(long, value_name = "DIR", required_unless_present = "yank")]
    release: Option<PathBuf>,
    /// Repository that has the tag of the release.
    #[arg(long, value_name = "OWNER/NAME", value_parser = repository)]
    repository: String,
    /// File with release notes, Markdown [default: none].
    #[arg(long, value_name = "FILE", conflicts_with = "yank")]
    notes: Option<PathBuf>,
    #[command(flatten)]
    withdrawal: WithdrawalArgs,
}

fn repository(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(plain) && !name.starts_with('.');
    match text.split_once('/') {
        Some((owner, name)) if is_name(owner) && is_name(name) => Ok(text.to_owned()),
        _ => Err("expected OWNER/NAME".to_owned()),
    }
}

/// Runs the command.
///
/// # Errors
/// When the folder is not a complete signed release, GitHub refuses a request, or has other files for the tag.
/// When the release to yank is not there.
pub(crate) fn run(args: &Args) -> Result<()> {
    let Args { release, repository, notes, withdrawal } = args;
    if let Some((version, yank)) = withdrawal.withdrawal()? {
        escape::print_line(yank::withdraw(&client(repository)?, &version, &yank)?)?;
    }
    let Some(release) = release else { return Ok(()) };
    let release = ReleaseFolder::open(release)?;
    let files = collect(&release)?;
    let notes = match notes {
        Some(path) => fs::read_to_string(path)
            .with_context(|| format!("cannot read the notes {}", path.display()))?,
        None => String::new(),
    };
    let published = publish(&client(repository)?, &release.manifest, &files, &notes)?;
    escape::print_line(format_args!(
        "{}: {} files uploaded, {} up to date",
        published.url,
        published.uploaded,
        files.len() - published.uploaded
    ))?;
    Ok(())
}

/// A client for a repository, with the token of the environment.
fn client(repository: &str) -> Result<Api> {
    let token = env::var(TOKEN).ok().filter(|token| !token.is_empty()).with_context(|| {
        format!("{TOKEN} is not set: it must be a token with the permission `contents: write`")
    })?;
    let base = env::var(API).ok().filter(|base| !base.is_empty());
    let base = base.as_deref().unwrap_or(PUBLIC);
    Ok(Api::new(Http::new(base, &token, Limits::default())?, repository))
}

/// Result of publishing.
#[derive(Debug)]
struct Published {
    /// The page of the release.
    url: String,
    uploaded: usize,
}

fn publish(
    api: &Api,
    manifest: &Manifest,
    files: &[ReleaseFile],
    notes: &str,
) -> Result<Published> {
    let named = names(files)?;
    ensure!(
        manifest.channel != Channel::Snapshot,
        "{} is a snapshot, which has no tag; GitHub gets candidates and stable releases",
        manifest.version
    );
    let tag = layout::tag(&manifest.version);
    let commit = &manifest.source.commit;
    match api.tag_commit(&tag)? {
        Some(there) if there == *commit => {}
        // GitHub creates a missing tag itself.
        None => bail!("the repository has no tag {tag}; push it: git push origin {tag}"),
        Some(there) => {
            bail!(
                "the tag {tag} of the repository leads to {there}, the release was built from {commit}"
            )
        }
    }
    let is_candidate = manifest.channel == Channel::Candidate;
    let draft = Draft {
        tag_name: &tag,
        target_commitish: commit,
        name: &tag,
        body: notes,
        draft: true,
        prerelease: is_candidate,
        make_latest: if is_candidate { "false" } else { "legacy" },
    };
    let release = find_or_create(api, &draft)?;
    let missing = compare(api, &release, &named)?;
    if !release.draft {
        ensure!(
            missing.is_empty(),
            "{} is published without {}; a published release is never changed",
            release.html_url,
            missing.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        );
        return Ok(Published { url: release.html_url, uploaded: 0 });
    }
    for (name, file) in &missing {
        upload(api, &release, name, file).with_context(|| format!("cannot upload {name}"))?;
    }
    // Check the published page instead of the responses to the uploads.
    let left = compare(api, &release, &named)?;
    ensure!(left.is_empty(), "uploaded files are not in the draft {}", release.html_url);
    let published = api.publish(&release, &draft)?;
    ensure!(
        !published.draft && published.tag_name == tag,
        "GitHub did not publish the draft {}",
        release.html_url
    );
    Ok(Published { url: published.html_url, uploaded: missing.len() })
}

/// The name of each file as an asset, which has no folders.
fn names(files: &[ReleaseFile]) -> Result<BTreeMap<String, &ReleaseFile>> {
    ensure!(files.len() <= FILES, "{} files; GitHub takes {FILES} for a release", files.len());
    let mut named = BTreeMap::new();
    for file in files {
        // GitHub renames a file with any other character.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name = file.name.replace('/', "_");
        ensure!(
            name.chars().all(plain) && !name.starts_with('.') && !name.ends_with('.'),
            "{}: GitHub would rename this file",
            file.name
        );
        ensure!(file.size <= SIZE, "{}: GitHub takes files of less than 2 GiB", file.name);
        ensure!(file.size > 0, "{}: GitHub takes no empty file", file.name);
        if let Some(other) = named.insert(name, file) {
            bail!("{} and {} would have one name on GitHub", file.name, other.name);
        }
    }
    Ok(named)
}

/// Finds the release of the tag, or creates a draft. If the response is lost, the next attempt finds the draft.
fn find_or_create(api: &Api, draft: &Draft<'_>) -> Result<Release> {
    let mut failures = 0;
    loop {
        let mut found = api.releases()?;
        found.retain(|release| release.tag_name == draft.tag_name);
        match (found.pop(), found.is_empty()) {
            (Some(release), true) => return Ok(release),
            (Some(release), false) => bail!(
                "there are several releases and drafts of {}; delete the drafts but one, such as {}",
                draft.tag_name,
                release.html_url
            ),
            (None, _) => {}
        }
        match api.create(draft) {
            Ok(release) => return Ok(release),
            Err(error) => {
                failures += 1;
                api.http.pause(failures, error).context("cannot create the draft")?;
            }
        }
    }
}

/// The files that the release lacks. Removes incomplete uploads from a draft.
///
/// # Errors
/// When the release has another file, or one with another content.
fn compare<'a>(
    api: &Api,
    release: &Release,
    named: &BTreeMap<String, &'a ReleaseFile>,
) -> Result<Vec<(String, &'a ReleaseFile)>> {
    let mut present = BTreeSet::new();
    let mut conflicts = Vec::new();
    for asset in api.assets(release)? {
        let Some(file) = named.get(&asset.name) else {
            conflicts.push(format!("{} is not of the release", asset.name));
            continue;
        };
        if asset.state != UPLOADED && release.draft {
            api.delete_asset(&asset)?;
            continue;
        }
        match digest(api, &asset)? {
            found if found == file.digest && asset.size == file.size => {
                present.insert(asset.name);
            }
            found => conflicts.push(format!(
                "{} has the digest {found}, the release {}",
                asset.name, file.digest
            )),
        }
    }
    ensure!(
        conflicts.is_empty(),
        "{} has other files, which are never replaced:\n  {}",
        release.html_url,
        conflicts.join("\n  ")
    );
    let missing = named.iter().filter(|(name, _)| !present.contains(*name));
    Ok(missing.map(|(name, file)| (name.clone(), *file)).collect())
}

/// The digest of an asset, from its content where the server does not state it.
fn digest(api: &Api, asset: &Asset) -> Result<Digest> {
    match &asset.digest {
        Some(digest) => digest.parse().with_context(|| format!("the digest of {}", asset.name)),
        None => Ok(api.download(asset, |content| Digest::sha256_of(content))?.0),
    }
}

/// Uploads a file to the draft, with retries.
fn upload(api: &Api, release: &Release, name: &str, file: &ReleaseFile) -> Result<()> {
    let mut failures = 0;
    loop {
        let content = File::open(&file.path)
            .with_context(|| format!("cannot read {}", file.path.display()))?;
        let upload = Upload { name, label: &file.name, file: content, size: file.size };
        let error = match api.upload(release, upload) {
            Ok(asset) if asset.name == name && asset.state == UPLOADED => return Ok(()),
            Ok(asset) => bail!("GitHub has it as {} in the state {}", asset.name, asset.state),
            Err(error) => error,
        };
        // The answer to an upload that is complete may have got lost.
        let exists = error.status == Some(422) && error.has_code("already_exists");
        if !exists {
            failures += 1;
            api.http.pause(failures, error)?;
        }
        if is_uploaded(api, release, name, file)? {
            return Ok(());
        }
        ensure!(!exists || failures < 3, "GitHub has it already and does not list it");
        failures += u32::from(exists);
    }
}

/// Whether the draft has the file. Removes an incomplete upload of it.
fn is_uploaded(api: &Api, release: &Release, name: &str, file: &ReleaseFile) -> Result<bool> {
    let Some(asset) = api.assets(release)?.into_iter().find(|asset| asset.name == name) else {
        return Ok(false);
    };
    if asset.state != UPLOADED {
        api.delete_asset(&asset)?;
        return Ok(false);
    }
    let found = digest(api, &asset)?;
    ensure!(
        found == file.digest,
        "it is there with the digest {found}, which is never replaced; the release has {}",
        file.digest
    );
    Ok(true)
}

#[cfg(test)]
mod tests;
