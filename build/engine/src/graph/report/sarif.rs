// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! SARIF report of a run (Static Analysis Results Interchange Format 2.1.0, OASIS), which code
//! hosts show beside the lines of the source.
//!
//! Rule ids are `GATE/RULE`. A gate that failed or did not run is a tool notification (section
//! 3.20.21), so that an empty list of results always comes from gates that ran.

use std::collections::BTreeMap;

use foundation::finding::Finding;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Report, Verdict};

impl Report {
    /// The report as one SARIF log.
    pub(super) fn sarif(&self) -> Value {
        let found = || {
            self.steps.iter().flat_map(|row| match &row.verdict {
                Verdict::Found { findings, .. } => {
                    findings.iter().map(|it| (row.step.as_str(), it)).collect()
                }
                _ => Vec::new(),
            })
        };
        let mut rules: BTreeMap<String, Value> = BTreeMap::new();
        for (gate, finding) in found() {
            rules.entry(rule(gate, finding)).or_insert_with(|| descriptor(gate, finding));
        }
        let rules: Vec<_> = rules.into_values().collect();
        let results: Vec<_> = found().map(|(gate, finding)| result(gate, finding)).collect();
        let gaps = self.gaps().map(|(step, gap)| {
            json!({ "level": "warning", "message": { "text": format!("{step}: {gap}") } })
        });
        let notices: Vec<_> = self.steps.iter().filter_map(notice).chain(gaps).collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": format!("cargo xtask {}", self.pipeline),
                    "version": self.version,
                    "rules": rules,
                }},
                "invocations": [{
                    "executionSuccessful": self.exit_code() == 0,
                    "toolExecutionNotifications": notices,
                }],
                "results": results,
            }],
        })
    }
}

fn rule(gate: &str, finding: &Finding) -> String {
    format!("{gate}/{}", finding.rule)
}

/// Rule descriptor, with the texts of the rule's first finding. GitHub requires all three texts
/// ("SARIF support for code scanning", `reportingDescriptor` object).
fn descriptor(gate: &str, finding: &Finding) -> Value {
    let text = |text: &str| json!({ "text": text });
    let fix = if finding.fix.is_empty() { "see the gate's log" } else { finding.fix.as_str() };
    json!({
        "id": rule(gate, finding),
        "shortDescription": text(&format!("{gate}: {}", finding.rule)),
        "fullDescription": text(&finding.message),
        "help": text(fix),
    })
}

fn result(gate: &str, finding: &Finding) -> Value {
    let place = json!({
        "artifactLocation": { "uri": uri(&finding.file), "uriBaseId": "%SRCROOT%" },
        // GitHub requires a line: findings about a whole file get the first.
        "region": { "startLine": finding.line.unwrap_or(1).max(1) },
    });
    let text = format!("{}\nFix: {}", finding.message, finding.fix);
    json!({
        "ruleId": rule(gate, finding),
        "level": "error",
        "message": { "text": text },
        "locations": [{ "physicalLocation": place }],
    })
}

/// Notification for a step without a verdict on the source.
fn notice(row: &super::Row) -> Option<Value> {
    let (level, text) = match &row.verdict {
        Verdict::Failed { error } => ("error", format!("{} failed: {error}", row.step)),
        Verdict::Skipped { skip } if !row.verdict.is_good() => {
            ("warning", format!("{} did not run: {skip}", row.step))
        }
        _ => return None,
    };
    Some(json!({ "level": level, "message": { "text": text } }))
}

/// Encodes a path as relative reference (RFC 3986, sections 3.3 and 4.2). The colon is
/// percent-encoded too, since a leading segment with one would parse as a scheme.
fn uri(path: &str) -> String {
    const ENCODED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(path, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::every_kind;
    use super::*;

    #[test]
    fn findings_have_places_and_skipped_gates_are_reported() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&every_kind().sarif()).unwrap());
    }

    #[test]
    fn paths_are_relative_references() {
        assert_eq!(uri("a b/ü:c#1.rs"), "a%20b/%C3%BC%3Ac%231.rs");
    }
}
