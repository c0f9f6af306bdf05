// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Whether the licences of others let us ship what we build from their work.
//!
//! Licences are SPDX expressions (SPDX 2.3, annex D). An expression is met when some choice of its
//! alternatives needs licences of the list in `release.toml` alone.

use std::collections::{BTreeMap, BTreeSet};

use spdx::{Expression, ParseMode};

use crate::finding::Finding;

/// A crate of others that ends up in what we ship.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dependency {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The SPDX expression of its manifest; none where it states none.
    pub(crate) license: Option<String>,
}

/// Which licences we may build on.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// SPDX identifiers, `NAME` or `NAME WITH EXCEPTION`.
    pub(crate) allow: BTreeSet<String>,
    /// Crates whose manifest is wrong or silent, with the expression that holds: name to expression.
    pub(crate) clarify: BTreeMap<String, String>,
}

/// A finding for every crate whose licence is not compatible, unknown or missing; `lock` is the text of `Cargo.lock`.
pub(crate) fn check(dependencies: &[Dependency], policy: &Policy, lock: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = dependencies
        .iter()
        .filter_map(|dependency| {
            let (rule, message) = objection(dependency, policy)?;
            Some(Finding {
                line: line_in_lock(lock, dependency),
                ..Finding::in_file(
                    "Cargo.lock",
                    rule,
                    format!("{} {}: {message}", dependency.name, dependency.version),
                    "drop the crate, or add the licence to [gates.licenses] in release.toml if it is compatible with AGPL-3.0",
                )
            })
        })
        .collect();
    let known: BTreeSet<&str> = dependencies.iter().map(|it| it.name.as_str()).collect();
    findings.extend(policy.clarify.keys().filter(|name| !known.contains(name.as_str())).map(
        |name| {
            Finding::in_file(
                "release.toml",
                "stale-clarification",
                format!("[gates.licenses.clarify] names {name}, which is no dependency"),
                "remove the entry",
            )
        },
    ));
    findings
}

fn objection(dependency: &Dependency, policy: &Policy) -> Option<(&'static str, String)> {
    let stated = policy.clarify.get(&dependency.name).or(dependency.license.as_ref());
    let Some(stated) = stated else {
        return Some(("no-licence", "its manifest states no licence".to_owned()));
    };
    // Crates of earlier years separate alternatives by a slash.
    let expression = match Expression::parse_mode(stated, ParseMode::LAX) {
        Ok(expression) => expression,
        Err(error) => {
            return Some((
                "unknown-licence",
                format!("{stated:?} is no SPDX expression: {}", error.reason),
            ));
        }
    };
    let allowed =
        expression.evaluate(|requirement| policy.allow.contains(&requirement.to_string()));
    (!allowed).then(|| ("incompatible-licence", format!("{stated} is not on the list")))
}

/// The line of the package's name in `Cargo.lock`.
fn line_in_lock(lock: &str, dependency: &Dependency) -> Option<usize> {
    let name = format!("name = \"{}\"", dependency.name);
    let version = format!("version = \"{}\"", dependency.version);
    let lines: Vec<&str> = lock.lines().collect();
    lines
        .array_windows()
        .position(|[first, second]| *first == name && *second == version)
        .map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(license: Option<&str>) -> Dependency {
        Dependency {
            name: "a".to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
        }
    }

    fn rules(license: Option<&str>, allow: &[&str]) -> Vec<(Option<usize>, String)> {
        let policy =
            Policy { allow: allow.iter().map(|&it| it.to_owned()).collect(), ..Policy::default() };
        let lock = "[[package]]\nname = \"a\"\nversion = \"0.9.0\"\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n";
        check(&[dependency(license)], &policy, lock).into_iter().map(|f| (f.line, f.rule)).collect()
    }

    #[test]
    fn one_allowed_alternative_is_enough_and_every_part_of_a_conjunction_counts() {
        let allow = ["MIT", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"];
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-2.0-only OR MIT",
            "(MIT OR X11) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert_eq!(rules(Some(good), &allow), [], "{good}");
        }
        for bad in ["Apache-2.0", "MIT AND GPL-2.0-only", "CC-BY-NC-4.0"] {
            assert_eq!(
                rules(Some(bad), &allow),
                [(Some(6), "incompatible-licence".to_owned())],
                "{bad}"
            );
        }
        assert_eq!(rules(Some("my own"), &allow), [(Some(6), "unknown-licence".to_owned())]);
        assert_eq!(rules(None, &allow), [(Some(6), "no-licence".to_owned())]);
    }

    #[test]
    fn a_clarification_serves_and_a_stale_one_is_told() {
        let policy = Policy {
            allow: BTreeSet::from(["MIT".to_owned()]),
            clarify: BTreeMap::from([
                ("a".to_owned(), "MIT".to_owned()),
                ("gone".to_owned(), "MIT".to_owned()),
            ]),
        };
        let findings = check(&[dependency(None)], &policy, "");
        let rules: Vec<_> = findings.iter().map(|f| f.rule.as_str()).collect();
        assert_eq!(rules, ["stale-clarification"]);
    }
}
