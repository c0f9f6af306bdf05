// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Applies a gate's allowlist in `release.toml` to its findings.

use foundation::finding::Finding;

use crate::outcome::Outcome;
use crate::workspace::Allowance;

/// The outcome of a gate: `findings` without the allowed ones, plus a finding for each unused entry
/// of the allowlist. `done` is the fact for the table when nothing is left.
pub fn judge(gate: &str, findings: &[Finding], allowances: &[Allowance], done: String) -> Outcome {
    let excuses = |allowance: &Allowance, finding: &Finding| {
        allowance.file == finding.file
            && allowance.rule.as_ref().is_none_or(|rule| *rule == finding.rule)
            && allowance.contains.as_ref().is_none_or(|text| finding.message.contains(text))
    };
    let stale = allowances.iter().filter(|it| !findings.iter().any(|found| excuses(it, found)));
    let mut left: Vec<Finding> = stale
        .map(|allowance| {
            Finding::in_file(
                "release.toml",
                "stale-allowance",
                format!("[[gates.{gate}.allow]] for {} matches no finding", allowance.file),
                "remove the entry",
            )
        })
        .collect();
    left.extend(
        findings.iter().filter(|found| !allowances.iter().any(|it| excuses(it, found))).cloned(),
    );
    left.sort();
    if left.is_empty() { Outcome::Done(done) } else { Outcome::Found(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(file: &str, rule: Option<&str>, contains: Option<&str>) -> Allowance {
        Allowance {
            file: file.to_owned(),
            rule: rule.map(str::to_owned),
            contains: contains.map(str::to_owned),
            reason: "a test".to_owned(),
        }
    }

    fn list_remaining(allowances: &[Allowance]) -> Vec<String> {
        let findings = vec![
            Finding::at("a", 1, "r", "the fault x", ""),
            Finding::at("b", 2, "s", "the fault y", ""),
        ];
        match judge("g", &findings, allowances, "fine".to_owned()) {
            Outcome::Found(left) => {
                left.into_iter().map(|f| format!("{}:{}", f.file, f.rule)).collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn an_entry_excuses_what_it_names_and_nothing_else() {
        assert_eq!(list_remaining(&[]), ["a:r", "b:s"]);
        assert_eq!(list_remaining(&[allowance("a", None, None)]), ["b:s"]);
        assert_eq!(
            list_remaining(&[allowance("a", Some("r"), Some("x")), allowance("b", None, None)]),
            [""; 0]
        );
    }

    #[test]
    fn an_entry_that_excuses_nothing_is_a_fault() {
        assert_eq!(
            list_remaining(&[allowance("a", Some("other"), None)]),
            ["a:r", "b:s", "release.toml:stale-allowance"]
        );
        assert_eq!(list_remaining(&[allowance("a", None, Some("z"))]).len(), 3);
    }
}
