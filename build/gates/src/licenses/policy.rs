// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Licence policy for third-party work.
//!
//! Licences are SPDX expressions (SPDX 2.3, annex D). An expression is satisfied if some choice of
//! its alternatives needs only licences of the allowlist in `release.toml`.

use std::collections::{BTreeMap, BTreeSet};

use debian::lock::{Lock, NO_LICENSE};
use foundation::finding::Finding;
use spdx::{Expression, ParseMode};

/// A third-party crate in our binaries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) version: String,
    /// SPDX expression of its manifest, if it has one.
    pub(crate) license: Option<String>,
}

/// Allowed licences, for linking or for distribution beside our programs.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// SPDX identifiers, `NAME` or `NAME WITH EXCEPTION`; for packages, a trailing `*` is a
    /// wildcard.
    pub(crate) allow: BTreeSet<String>,
    /// SPDX expressions for crates or packages with missing or wrong licence data, by name.
    pub(crate) clarify: BTreeMap<String, String>,
}

/// Findings for crates with an incompatible, unknown or missing licence; `lock` is the text of
/// `Cargo.lock`.
pub(crate) fn check(dependencies: &[Dependency], policy: &Policy, lock: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = dependencies
        .iter()
        .filter_map(|dependency| {
            let (rule, message) = find_violation(dependency, policy)?;
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
    findings.extend(find_stale("[gates.licenses.clarify]", policy, &known));
    findings
}

fn find_violation(dependency: &Dependency, policy: &Policy) -> Option<(&'static str, String)> {
    let stated = policy.clarify.get(&dependency.name).or(dependency.license.as_ref());
    let Some(stated) = stated else {
        return Some(("no-licence", "its manifest has no licence".to_owned()));
    };
    violation(stated, |license| policy.allow.contains(license))
}

/// Rule and message if the expression `stated` is not satisfied.
fn violation(stated: &str, allowed: impl Fn(&str) -> bool) -> Option<(&'static str, String)> {
    // Older crates separate alternatives by a slash.
    let expression = match Expression::parse_mode(stated, ParseMode::LAX) {
        Ok(expression) => expression,
        Err(error) => {
            return Some((
                "unknown-licence",
                format!("{stated:?} is not an SPDX expression: {}", error.reason),
            ));
        }
    };
    let evaluated = expression.evaluate_with_failures(|it| allowed(&it.to_string()));
    let missing: BTreeSet<String> =
        evaluated.err()?.into_iter().map(|failed| failed.req.to_string()).collect();
    let missing: Vec<_> = missing.into_iter().collect();
    Some(("incompatible-licence", format!("{} is not on the allowlist", missing.join(", "))))
}

/// Findings for packages of the lock `path` with a disallowed, unknown or missing licence; `text`
/// is the lock's.
pub(crate) fn check_packages(lock: &Lock, path: &str, text: &str, policy: &Policy) -> Vec<Finding> {
    let mut findings = BTreeSet::new();
    for locked in &lock.packages {
        let label = locked.label();
        let recorded = lock.licenses.get(&label);
        let clarified = policy.clarify.get(&locked.name);
        let (rule, message, fix) = match clarified.or(recorded).map(String::as_str) {
            None => (
                "not-recorded",
                "the lock does not contain its licence".to_owned(),
                "cargo xtask images --update-lock".to_owned(),
            ),
            Some(NO_LICENSE) => (
                "no-licence",
                "its copyright file has no machine-readable licence".to_owned(),
                format!(
                    "read /usr/share/doc/{0}/copyright, and add the licence of {0} to \
                     [gates.licenses.images.clarify] in release.toml",
                    locked.name
                ),
            ),
            Some(stated) => {
                let allowed = |license: &str| policy.allow.iter().any(|it| matches(it, license));
                let Some((rule, message)) = violation(stated, allowed) else { continue };
                let fix = "remove the package from the image, or add the licence to [gates.licenses.images] in \
                            release.toml if it may be distributed beside AGPL-3.0";
                (rule, message, fix.to_owned())
            }
        };
        let line = text
            .lines()
            .position(|line| line.starts_with(&format!("{label:?} = ")))
            .or_else(|| text.lines().position(|line| line == format!("name = {:?}", locked.name)));
        findings.insert(Finding {
            line: line.map(|index| index + 1),
            ..Finding::in_file(path, rule, format!("{label}: {message}"), fix)
        });
    }
    findings.into_iter().collect()
}

/// Findings for clarifications of packages in none of `locks`.
pub(crate) fn stale_clarifications<'a>(
    locks: impl Iterator<Item = &'a Lock>,
    policy: &Policy,
) -> Vec<Finding> {
    let packages = locks.flat_map(|lock| &lock.packages);
    let known: BTreeSet<&str> = packages.map(|it| it.name.as_str()).collect();
    find_stale("[gates.licenses.images.clarify]", policy, &known)
}

/// Whether `entry` equals `license`, or matches it with a trailing `*`.
fn matches(entry: &str, license: &str) -> bool {
    entry.strip_suffix('*').map_or(entry == license, |start| license.starts_with(start))
}

fn find_stale(table: &str, policy: &Policy, known: &BTreeSet<&str>) -> Vec<Finding> {
    let stale = policy.clarify.keys().filter(|name| !known.contains(name.as_str()));
    stale
        .map(|name| {
            Finding::in_file(
                "release.toml",
                "stale-clarification",
                format!("{table} names {name}, which is not a dependency"),
                "remove the entry",
            )
        })
        .collect()
}

/// Line of the package's name in `Cargo.lock`.
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
    use release::Architecture;

    use super::*;
    use debian::lock::Locked;

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
    fn a_clarification_is_used_and_a_stale_one_is_reported() {
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

    fn lock(licenses: &[(&str, &str)]) -> Lock {
        let locked = |name: &str| Locked {
            image: Architecture::Amd64,
            set: "base".to_owned(),
            name: name.to_owned(),
            version: "1".to_owned(),
            architecture: "all".to_owned(),
            sha256: "0a".repeat(32),
        };
        Lock {
            suite: "trixie".to_owned(),
            epoch: 0,
            packages: vec![locked("bash"), locked("dpkg")],
            licenses: licenses.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        }
    }

    fn of_packages(
        licenses: &[(&str, &str)],
        clarify: &[(&str, &str)],
    ) -> Vec<(Option<usize>, String)> {
        let allow = ["GPL-3.0-or-later", "LicenseRef-debian-GPL-2*"].map(str::to_owned);
        let clarify = clarify.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let policy = Policy { allow: allow.into(), clarify };
        let lock = lock(licenses);
        let mut findings = check_packages(&lock, "a.lock", &lock.to_text(), &policy);
        findings.extend(stale_clarifications([&lock].into_iter(), &policy));
        findings.into_iter().map(|it| (it.line, it.rule)).collect()
    }

    #[test]
    fn packages_are_judged_by_what_their_lock_records() {
        let good = ("dpkg 1", "GPL-3.0-or-later AND LicenseRef-debian-GPL-2--with-OpenSSL");
        let rule = |line: usize, rule: &str| vec![(Some(line), rule.to_owned())];
        assert_eq!(of_packages(&[("bash 1", "GPL-3.0-or-later"), good], &[]), []);
        let bad = ("bash 1", "GPL-3.0-or-later AND CC-BY-NC-4.0");
        assert_eq!(of_packages(&[bad, good], &[]), rule(26, "incompatible-licence"));
        assert_eq!(of_packages(&[("bash 1", NO_LICENSE), good], &[]), rule(26, "no-licence"));
        assert_eq!(of_packages(&[good], &[]), rule(12, "not-recorded"));
    }

    #[test]
    fn packages_can_be_clarified_as_long_as_they_are_there() {
        let recorded = [("bash 1", NO_LICENSE), ("dpkg 1", "GPL-3.0-or-later")];
        assert_eq!(of_packages(&recorded, &[("bash", "GPL-3.0-or-later")]), []);
        let stale = of_packages(&recorded, &[("bash", "GPL-3.0-or-later"), ("gone", "MIT")]);
        assert_eq!(stale, [(None, "stale-clarification".to_owned())]);
    }
}
