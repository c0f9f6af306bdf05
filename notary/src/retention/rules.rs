// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Retention rules by kind of repository.

use std::collections::{BTreeMap, BTreeSet};

use release::Channel;
use release::channels::kind_of;
use semver::Version;

use super::tags::Class;

const DAY: u64 = 24 * 60 * 60;

/// `[retention]` of `release.toml`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Rules {
    /// Stable releases to keep of each tool image, the newest ones
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) tools: u32,
    /// Stable releases to keep of each minor line of the maintenance OS
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) maintenance: u32,
    /// Candidates to keep of each version
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) candidates: u32,
    /// Days to keep snapshots, from the time of their commits
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub(super) edge_days: u32,
    /// Days to keep test systems, from the time of their commits
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    pub(super) ci_days: u32,
}

impl Rules {
    /// The versions that a repository of this class keeps. `versions` are the tagged ones, with the time of their
    /// commits in seconds since 1970. A version of unknown time does not expire by age.
    pub(super) fn select_kept(
        &self,
        class: Class,
        versions: &BTreeMap<Version, Option<u64>>,
        now: u64,
    ) -> BTreeSet<Version> {
        // Number of releases in each line so far, newest first.
        let mut lines: BTreeMap<(u64, u64, u64, bool), u32> = BTreeMap::new();
        let mut kept = BTreeSet::new();
        for (version, time) in versions.iter().rev() {
            let Version { major, minor, patch, .. } = *version;
            let mut is_among = |line, limit: u32| {
                let count = lines.entry(line).or_default();
                *count = count.saturating_add(1);
                *count <= limit
            };
            let keep = match (class, kind_of(version)) {
                (Class::Ci, _) => self.is_young(class, *time, now),
                (Class::Tools, Some(Channel::Stable)) => is_among((0, 0, 0, true), self.tools),
                (Class::Maintenance, Some(Channel::Stable)) => {
                    is_among((major, minor, 0, true), self.maintenance)
                }
                (Class::Release | Class::Tools | Class::Maintenance, Some(Channel::Candidate)) => {
                    is_among((major, minor, patch, false), self.candidates)
                }
                (Class::Release | Class::Tools | Class::Maintenance, Some(Channel::Snapshot)) => {
                    self.is_young(class, *time, now)
                }
                // These never expire; None: a version that we did not make.
                (Class::Channels, _)
                | (Class::Release, Some(Channel::Stable))
                | (Class::Release | Class::Tools | Class::Maintenance, None) => true,
            };
            if keep {
                kept.insert(version.clone());
            }
        }
        kept
    }

    /// Whether an artifact of a commit of this time, in seconds since 1970, has not expired by age.
    pub(super) fn is_young(&self, class: Class, time: Option<u64>, now: u64) -> bool {
        let days = if class == Class::Ci { self.ci_days } else { self.edge_days };
        time.is_none_or(|it| it.saturating_add(u64::from(days) * DAY) > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_kept(class: Class, versions: &[(&str, Option<u64>)]) -> Vec<String> {
        let rules = Rules { tools: 2, maintenance: 1, candidates: 2, edge_days: 30, ci_days: 7 };
        let versions = versions
            .iter()
            .map(|(version, days)| (version.parse().unwrap(), days.map(|it| it * DAY)));
        let kept = rules.select_kept(class, &versions.collect(), 100 * DAY);
        kept.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_class_has_its_own_rule() {
        let stable = ["1.4.0", "1.4.1", "1.5.0", "1.10.0"].map(|it| (it, Some(0)));
        assert_eq!(list_kept(Class::Tools, &stable), ["1.5.0", "1.10.0"]);
        assert_eq!(list_kept(Class::Maintenance, &stable), ["1.4.1", "1.5.0", "1.10.0"]);
        assert_eq!(list_kept(Class::Release, &stable), ["1.4.0", "1.4.1", "1.5.0", "1.10.0"]);
        let candidates = ["1.4.0-rc.1", "1.4.0-rc.9", "1.4.0-rc.10", "1.5.0-rc.1"];
        for class in [Class::Tools, Class::Maintenance, Class::Release] {
            let kept = list_kept(class, &candidates.map(|it| (it, Some(0))));
            assert_eq!(kept, ["1.4.0-rc.9", "1.4.0-rc.10", "1.5.0-rc.1"], "{class:?}");
        }
    }

    #[test]
    fn snapshots_and_test_systems_age() {
        let versions = [
            ("0.1.0-snapshot.a", Some(70)),
            ("0.1.0-snapshot.b", Some(71)),
            ("0.1.0-snapshot.c", Some(93)),
            ("0.1.0-snapshot.d", Some(94)),
            ("0.1.0-snapshot.e", None),
        ];
        assert_eq!(list_kept(Class::Release, &versions).len(), 4);
        assert_eq!(list_kept(Class::Ci, &versions), ["0.1.0-snapshot.d", "0.1.0-snapshot.e"]);
        assert_eq!(list_kept(Class::Channels, &versions).len(), 5);
        assert_eq!(list_kept(Class::Tools, &[("1.0.0-alpha", Some(0))]), ["1.0.0-alpha"]);
    }
}
