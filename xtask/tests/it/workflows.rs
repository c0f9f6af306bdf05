// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The findings of every checker of the gate `workflows` are reported with their place.

use std::fs;

use crate::common::{Fixture, need};

const WORKFLOW: &str = ".github/workflows/pr.yml";

/// Text, replacement, and expected finding: rule, and the start of its line.
const FAULTS: &[(&str, &str, &str, Option<&str>)] = &[
    // actionlint
    ("    runs-on:", "    needs: nothing\n    runs-on:", "job-needs", Some("  validate:")),
    ("timeout-minutes:", "timeout-minuts:", "syntax-check", Some("    timeout-minuts:")),
    // GitHub's schema, which reports no line
    ("timeout-minutes:", "timeout-minuts:", "schema", None),
    // zizmor
    ("  pull_request:", "  pull_request_target:", "dangerous-triggers", Some("on:")),
    ("persist-credentials: false", "clean: true", "artipacked", Some("      - uses:")),
    // our own
    ("@de0fac2e4500dabe0009e67214ff5f5447ce83dd", "@v5", "unpinned-action", Some("      - uses:")),
];

#[test]
fn each_checker_of_workflows_is_heard() {
    need!(&["actionlint", "check-jsonschema", "zizmor"]);
    let fixture = Fixture::new();
    let good = fs::read_to_string(fixture.root().join(WORKFLOW)).unwrap();
    for (old, new, rule, start) in FAULTS {
        fixture.replace(WORKFLOW, old, new);
        let bad = fs::read_to_string(fixture.root().join(WORKFLOW)).unwrap();
        let line = start
            .map(|start| 1 + bad.lines().position(|line| line.starts_with(start)).unwrap() as u64);
        let answer = fixture.xtask(&["workflows", "--json"]);
        assert_eq!(answer.code(), 1, "{rule}: {}", answer.err());
        let findings = answer.findings("workflows");
        let found = findings
            .iter()
            .any(|it| it["file"] == WORKFLOW && it["rule"] == *rule && it["line"].as_u64() == line);
        assert!(found, "{rule} at {line:?}: {findings:?}");
        fixture.write(WORKFLOW, &good);
    }
}
