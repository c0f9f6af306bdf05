// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Withdraws a published release: a notice at the start of its notes, and another latest release. Its files
//! stay. GitHub allows changes of notes even where releases are immutable.

use anyhow::{Result, bail, ensure};
use release::channels::Yank;
use release::layout;
use semver::Version;

use super::api::{Api, Release};
use crate::withdrawal::{newest, notice, replacement};

/// First line of notes with a notice.
const MARK: &str = "<!-- yanked -->";

/// Withdraws a release, unless it is withdrawn, and returns what was done.
///
/// # Errors
/// When the repository has no such release, or GitHub refuses a request.
pub(super) fn withdraw(api: &Api, version: &Version, yank: &Yank) -> Result<String> {
    let mut published = api.releases()?;
    published.retain(|it| !it.draft);
    let tag = layout::tag(&version.to_string());
    let Some(release) = published.iter().find(|it| it.tag_name == tag) else {
        bail!("{} has no published release {tag}", api.repository);
    };
    let is_available = |it: &&Release| !it.prerelease && !has_notice(it) && it.tag_name != tag;
    let available: Vec<_> = published.iter().filter(is_available).collect();
    let versions: Vec<Version> =
        available.iter().filter_map(|it| it.tag_name.strip_prefix('v')?.parse().ok()).collect();
    let find = |version: &Version| {
        let tag = layout::tag(&version.to_string());
        available.iter().find(|it| it.tag_name == tag)
    };
    // The notice first: it is what people read, whatever GitHub refuses afterwards.
    if !has_notice(release) {
        let instead = replacement(version, &versions).and_then(find);
        let changed = api.set_notes(release, &notes(release, yank, instead.copied()))?;
        ensure!(has_notice(&changed), "GitHub did not change the notes of {}", release.html_url);
    }
    let latest = newest(&versions).and_then(find);
    if let Some(latest) = latest
        && version.pre.is_empty()
        && api.latest()?.is_none_or(|it| it.id != latest.id)
    {
        api.make_latest(latest)?;
    }
    // GitHub never chooses a pre-release as the latest, such as after the next publication.
    if !release.prerelease {
        let changed = api.make_prerelease(release)?;
        ensure!(changed.prerelease, "GitHub did not make {} a pre-release", release.html_url);
    }
    let latest = latest.map_or("no release", |it| &it.tag_name);
    Ok(format!("yanked {version}: {}; the latest release is {latest}", release.html_url))
}

fn has_notice(release: &Release) -> bool {
    release.body.as_deref().is_some_and(|notes| notes.starts_with(MARK))
}

/// The notes of a release, with a notice at the start.
fn notes(release: &Release, yank: &Yank, instead: Option<&Release>) -> String {
    let notes = release.body.as_deref().unwrap_or_default();
    let instead = instead
        .map(|it| format!("\n> Use [{}]({}) instead.", it.tag_name, it.html_url))
        .unwrap_or_default();
    let notice = escape::markdown(&notice(yank));
    format!("{MARK}\n> [!CAUTION]\n> {notice}.{instead}\n\n{notes}")
}
