// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Withdrawal of a release from a release page, in a folder or on GitHub: its arguments, its notice, and the
//! release to use instead.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use release::channels::Yank;
use semver::Version;

use crate::channel::{line, version};
use crate::date;

/// Arguments of a withdrawal.
#[derive(Debug, clap::Args)]
pub(crate) struct WithdrawalArgs {
    /// Mark VERSION as yanked. Its files stay
    #[arg(long, value_name = "VERSION", value_parser = version)]
    #[arg(conflicts_with = "release", requires = "reason", requires = "by")]
    yank: Option<Version>,
    /// Reason for the yank
    #[arg(long, value_name = "TEXT", value_parser = line, requires = "yank")]
    reason: Option<String>,
    /// Who yanks it
    #[arg(long, value_name = "NAME", value_parser = line, requires = "yank")]
    by: Option<String>,
    /// Time of the yank (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339, requires = "yank")]
    time: Option<SystemTime>,
}

impl WithdrawalArgs {
    /// The release to withdraw, if there is one.
    pub(crate) fn withdrawal(&self) -> Result<Option<(Version, Yank)>> {
        let Self { yank, reason, by, time } = self;
        // clap requires both with the version.
        let (Some(version), Some(reason), Some(by)) = (yank, reason, by) else { return Ok(None) };
        let time = time.unwrap_or_else(SystemTime::now);
        let since = time.duration_since(UNIX_EPOCH).context("--time is before 1970")?.as_secs();
        Ok(Some((version.clone(), Yank { reason: reason.clone(), since, by: by.clone() })))
    }
}

/// The notice without the release to use instead.
pub(crate) fn notice(yank: &Yank) -> String {
    let day: String = date::rfc3339(yank.since).chars().take(10).collect();
    format!("Yanked on {day} by {}: {}", yank.by, yank.reason)
}

/// The newest stable release of `available`, which has no yanked one.
pub(crate) fn newest(available: &[Version]) -> Option<&Version> {
    available.iter().filter(|it| it.pre.is_empty()).max()
}

/// The release to use instead of `yanked`: a newer patch of its minor line, else the newest stable release.
pub(crate) fn replacement<'a>(yanked: &Version, available: &'a [Version]) -> Option<&'a Version> {
    let is_patch = |it: &&Version| (it.major, it.minor) == (yanked.major, yanked.minor);
    let patches = available.iter().filter(|it| it.pre.is_empty() && *it > yanked);
    patches.filter(is_patch).max().or_else(|| newest(available))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_of_the_line_replaces_a_release_else_the_newest_one() {
        let parse = |text: &&str| text.parse::<Version>().unwrap();
        let all: Vec<_> = ["1.4.1", "1.10.0", "1.4.2-rc.1", "1.9.3"].iter().map(parse).collect();
        for (yanked, expected) in
            [("1.4.0", "1.4.1"), ("1.4.1-rc.2", "1.4.1"), ("1.4.2", "1.10.0"), ("2.0.0", "1.10.0")]
        {
            let found = replacement(&parse(&yanked), &all).unwrap();
            assert_eq!(found.to_string(), expected, "{yanked}");
        }
        assert_eq!(newest(&all), Some(&all[1]));
        assert_eq!(replacement(&all[0], &all[2..3]), None, "a candidate replaces nothing");
    }
}
