// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Skipped tests: records written by `test-support`, grouped by missing requirement.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use engine::tool::{TOOLS, spec};
use engine::{Gap, Run};
use foundation::command::Command;
use foundation::finding::Finding;
use foundation::text::count;
use foundation::{file, tree};
use serde::Deserialize;

use super::programs;

/// Variable with the folder of records; see `FOLDER` of `test-support`.
const VARIABLE: &str = "TEST_SKIPS_DIR";

/// Number of tests named in a gap.
const NAMED: usize = 3;

/// A skipped test.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Record {
    /// Test binary, in nextest's notation.
    binary: String,
    /// Path of the test.
    test: String,
    requirement: Requirement,
    reason: String,
}

/// A missing requirement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
enum Requirement {
    /// A program, or a file of a package, by its name in the catalogue.
    Program(String),
    /// A privilege or a device of the host.
    Machine(String),
}

/// The skipped tests of one run.
#[derive(Debug, Default)]
pub(crate) struct Skips(Vec<Record>);

/// Lets the tests that `command` runs write records to an empty folder.
pub(crate) fn record(run: &Run, command: Command) -> Result<Command> {
    tree::remove(&folder(run))?;
    Ok(set(run, command))
}

/// Like [`record`], for plans: changes nothing.
pub(crate) fn set(run: &Run, command: Command) -> Command {
    command.env(VARIABLE, folder(run))
}

fn folder(run: &Run) -> PathBuf {
    run.workspace.scratch().join("skips")
}

impl Skips {
    /// Reads the records of the last run.
    pub(crate) fn read(run: &Run) -> Result<Self> {
        Self::read_folder(&folder(run))
    }

    fn read_folder(folder: &Path) -> Result<Self> {
        let mut records = Vec::new();
        for path in file::list_existing(folder)? {
            let record = serde_json::from_str(&file::read_text(&path)?)
                .with_context(|| format!("{} is not a record of a skipped test", path.display()))?;
            records.push(record);
        }
        records.sort_by(|a: &Record, b| (&a.binary, &a.test).cmp(&(&b.binary, &b.test)));
        Ok(Self(records))
    }

    /// Number of tests that were skipped at least in part.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|it| (&it.binary, &it.test)).collect::<BTreeSet<_>>().len()
    }

    /// Why the test `name` of the binary `suite` was skipped, if it was.
    pub(crate) fn reason(&self, suite: &str, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|it| it.test == name && it.binary == suite);
        found.map(|it| it.reason.as_str())
    }

    /// One gap per requirement, with the command that satisfies it.
    pub(crate) fn gaps(&self) -> Vec<Gap> {
        let mut tests: BTreeMap<&Requirement, BTreeSet<&str>> = BTreeMap::new();
        for record in &self.0 {
            tests.entry(&record.requirement).or_default().insert(&record.test);
        }
        let gap = |(requirement, tests): (&Requirement, BTreeSet<&str>)| {
            let (lack, fix) = match requirement {
                Requirement::Program(name) => (
                    format!(
                        "{} is not installed",
                        spec(name).map_or(name.as_str(), |it| it.label())
                    ),
                    spec(name).map_or_else(|| format!("install {name}"), engine::tool::Spec::fix),
                ),
                Requirement::Machine(what) => (
                    format!("this host does not provide {what}"),
                    "run them as root on a host that provides it".to_owned(),
                ),
            };
            let named: Vec<_> = tests.iter().take(NAMED).copied().collect();
            let more = if tests.len() > NAMED { ", …" } else { "" };
            let problem = format!(
                "{lack}: {} skipped ({}{more})",
                count(tests.len(), "test"),
                named.join(", ")
            );
            Gap { problem, fix }
        };
        tests.into_iter().map(gap).collect()
    }

    /// Required programs that the gate does not list, so that `setup` would not install them.
    pub(crate) fn find_unlisted(&self) -> Vec<Finding> {
        let known: BTreeSet<_> = programs().collect();
        let unlisted: BTreeSet<_> = self
            .0
            .iter()
            .filter_map(|record| match &record.requirement {
                Requirement::Program(name) if !known.contains(name.as_str()) => {
                    Some((name, &record.test))
                }
                _ => None,
            })
            .collect();
        let finding = |(name, test): (&String, &String)| {
            let message =
                format!("the test {test} requires {name}, which `setup` does not install");
            let fix = format!("add it to SHARED here, or to `references` in {TOOLS}");
            Finding::in_file("build/gates/src/test.rs", "unlisted-program", message, fix.as_str())
        };
        unlisted.into_iter().map(finding).collect()
    }
}

#[cfg(test)]
mod tests {
    use test_support::Requirement as Wanted;

    use super::*;

    fn record(binary: &str, test: &str, requirement: Requirement) -> Record {
        let (binary, test) = (binary.to_owned(), test.to_owned());
        Record { binary, test, requirement, reason: "a reason".to_owned() }
    }

    fn program(name: &str) -> Requirement {
        Requirement::Program(name.to_owned())
    }

    #[test]
    fn skips_are_grouped_by_program_with_the_command_that_installs_it() {
        let skips = Skips(vec![
            record("one", "a", program("skopeo")),
            record("one", "b", program("skopeo")),
            record("one", "b", program("kernel-for-tests")),
            record("two", "c", Requirement::Machine("loop devices".to_owned())),
        ]);
        assert_eq!(skips.count(), 3);
        assert_eq!(skips.reason("one", "a"), Some("a reason"));
        assert_eq!(skips.reason("two", "a"), None);
        let gaps: Vec<_> = skips.gaps().into_iter().map(|it| (it.problem, it.fix)).collect();
        assert_eq!(gaps.len(), 3, "{gaps:?}");
        assert_eq!(gaps[0].1, spec("kernel-for-tests").unwrap().fix());
        assert_eq!(gaps[1].0, "skopeo is not installed: 2 tests skipped (a, b)");
        assert_eq!(gaps[1].1, spec("skopeo").unwrap().fix());
        assert!(
            gaps[2].0.contains("does not provide loop devices: 1 test skipped (c)"),
            "{gaps:?}"
        );
    }

    #[test]
    fn a_program_that_nothing_installs_is_a_finding() {
        let known = record("one", "a", program("skopeo"));
        let unknown = record("one", "b", program("no-such-program"));
        let found = Skips(vec![known, unknown]).find_unlisted();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("no-such-program"), "{found:?}");
    }

    #[test]
    fn what_test_support_writes_is_read() {
        assert_eq!(test_support::FOLDER, VARIABLE);
        let folder = tempfile::tempdir().unwrap();
        // In a separate process: the record must not reach the gate that runs this test.
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "test::skips::tests::writes_records", "--ignored"])
            .env(VARIABLE, folder.path())
            .env("NEXTEST_BINARY_ID", "some::binary")
            .env("NEXTEST_TEST_NAME", "some::test")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success());
        let skips = Skips::read_folder(folder.path()).unwrap();
        let requirements: BTreeSet<_> = skips.0.iter().map(|it| it.requirement.clone()).collect();
        let machine = Requirement::Machine("wings".to_owned());
        assert_eq!(requirements, BTreeSet::from([program("no-such-program"), machine]));
        assert!(skips.reason("some::binary", "some::test").is_some(), "{skips:?}");
        assert_eq!(skips.count(), 1);
    }

    #[test]
    #[ignore = "run by what_test_support_writes_is_read"]
    fn writes_records() {
        if std::env::var_os("NEXTEST_BINARY_ID").is_none_or(|it| it != "some::binary") {
            return;
        }
        assert!(!test_support::have(&["no-such-program"]));
        test_support::skip(Wanted::Machine("wings"), "it does not fly");
    }
}
