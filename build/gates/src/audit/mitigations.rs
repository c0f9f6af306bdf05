// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Mitigations in `release.toml`: which are valid today, and which are stale.

use std::collections::BTreeSet;

use engine::workspace::Mitigation;
use foundation::finding::Finding;

/// All mitigations, and those used.
pub(super) struct Mitigations<'a> {
    all: &'a [Mitigation],
    today: &'a str,
    used: BTreeSet<&'a str>,
}

impl<'a> Mitigations<'a> {
    /// `all` on the day `today`, `YYYY-MM-DD`.
    pub(super) fn new(all: &'a [Mitigation], today: &'a str) -> Self {
        Self { all, today, used: BTreeSet::new() }
    }

    /// Whether a mitigation for advisory `id` is valid today; marks it as used.
    pub(super) fn excuse(&mut self, id: &str) -> bool {
        let Some(mitigation) = self.all.iter().find(|it| it.id == id) else { return false };
        self.used.insert(&mitigation.id);
        mitigation.expires.as_str() > self.today
    }

    /// Findings for unused mitigations among those that `judged` selects as checkable.
    pub(super) fn find_stale(&self, judged: impl Fn(&str) -> bool) -> Vec<Finding> {
        let stale = |it: &&Mitigation| judged(&it.id) && !self.used.contains(it.id.as_str());
        self.all
            .iter()
            .filter(stale)
            .map(|it| {
                Finding::in_file(
                    "release.toml",
                    "stale-mitigation",
                    format!("[[gates.audit.mitigation]] {} matches no finding", it.id),
                    "remove the entry",
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mitigation(id: &str, expires: &str) -> Mitigation {
        toml::from_str(&format!("id = \"{id}\"\nreason = \"r\"\nexpires = \"{expires}\"")).unwrap()
    }

    #[test]
    fn a_mitigation_holds_until_its_day() {
        let all = [mitigation("RUSTSEC-1", "2026-01-02"), mitigation("RUSTSEC-2", "2026-01-01")];
        let mut mitigations = Mitigations::new(&all, "2026-01-01");
        assert!(mitigations.excuse("RUSTSEC-1"));
        assert!(!mitigations.excuse("RUSTSEC-2"), "over");
        assert!(!mitigations.excuse("RUSTSEC-3"), "there is none");
    }

    #[test]
    fn what_nobody_asked_for_is_stale_if_it_could_have_been() {
        let all = ["RUSTSEC-1", "RUSTSEC-2", "sudo@1"].map(|id| mitigation(id, "2026-01-02"));
        let mut mitigations = Mitigations::new(&all, "2026-01-01");
        mitigations.excuse("RUSTSEC-1");
        let stale_ids = |judged: fn(&str) -> bool| -> Vec<String> {
            mitigations.find_stale(judged).into_iter().map(|it| it.message).collect()
        };
        assert_eq!(stale_ids(|_| true).len(), 2);
        let crates = stale_ids(|id| !id.contains('@'));
        assert_eq!(crates, ["[[gates.audit.mitigation]] RUSTSEC-2 matches no finding"]);
    }
}
