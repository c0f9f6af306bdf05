// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks our own rules on GitHub workflows: actions are pinned by commit, and jobs run `cargo
//! xtask` only.
//!
//! actionlint and GitHub's schema check validity. This reader is strict instead of complete:
//! `uses:` and `run:` must be keys on separate lines, and any other spelling is a finding, so that
//! nothing bypasses the rules.

use std::collections::BTreeSet;

use foundation::finding::Finding;
use serde::Deserialize;

/// The only command that a job may run, and its form that runs a pipeline.
const COMMAND: &str = "cargo xtask ";
const PIPELINE: &str = "cargo xtask ci ";

/// Allowed setup actions.
const SETUP_ACTIONS: &[&str] =
    &["actions/cache", "actions/checkout", "actions/download-artifact", "actions/upload-artifact"];

/// Findings on one workflow, and the pipelines that it runs.
pub fn check(file: &str, text: &str) -> (Vec<Finding>, BTreeSet<String>) {
    let mut findings = Vec::new();
    let mut pipelines = BTreeSet::new();
    let lines: Vec<&str> = text.lines().collect();
    for (index, raw) in lines.iter().enumerate() {
        let number = index + 1;
        let line = raw.trim_start();
        if line.starts_with('#') {
            continue;
        }
        let key = line.strip_prefix("- ").unwrap_or(line).trim_start();
        if let Some(action) = key.strip_prefix("uses: ") {
            findings.extend(check_action(file, number, action));
        } else if let Some(command) = key.strip_prefix("run: ") {
            for (number, command) in commands(&lines, index, command) {
                if let Some(rest) = command.strip_prefix(PIPELINE) {
                    pipelines.extend(rest.split_whitespace().next().map(str::to_owned));
                }
                findings.extend(check_command(file, number, command));
            }
        } else if mentions_key(line, "uses") || mentions_key(line, "run") {
            findings.push(Finding::at(
                file,
                number,
                "unread-step",
                "`uses` or `run` in a form that this check does not support",
                "write `uses: …` or `run: …` as a key on its own line",
            ));
        }
    }
    (findings, pipelines)
}

/// Findings for pipelines without a workflow, and workflows that run unknown pipelines.
pub fn check_drift(
    folder: &str,
    run: &BTreeSet<String>,
    pipelines: &BTreeSet<String>,
) -> Vec<Finding> {
    let missing = pipelines.difference(run).map(|name| {
        (name, "missing-workflow", format!("no workflow runs `{PIPELINE}{name}`"), "add one")
    });
    let unknown = run.difference(pipelines).map(|name| {
        (name, "unknown-pipeline", format!("`{PIPELINE}{name}` is not a pipeline"), "correct it")
    });
    missing
        .chain(unknown)
        .map(|(name, rule, message, fix)| {
            Finding::in_file(format!("{folder}/{name}.yml"), rule, message, fix)
        })
        .collect()
}

/// The names by which GitHub lists the jobs of a workflow as checks: `name`, else the id of the job.
pub fn checks(text: &str) -> BTreeSet<String> {
    let mut names: Vec<String> = Vec::new();
    let jobs = text.lines().skip_while(|line| line.trim_end() != "jobs:").skip(1);
    for line in jobs.take_while(|line| line.is_empty() || line.starts_with([' ', '#'])) {
        let key = line.trim();
        match (indent(line), names.last_mut()) {
            (2, _) if !key.starts_with('#') => {
                names.extend(key.strip_suffix(':').map(str::to_owned));
            }
            (4, Some(job)) => {
                if let Some(name) = key.strip_prefix("name: ") {
                    name.trim_matches(['"', '\'']).clone_into(job);
                }
            }
            _ => {}
        }
    }
    names.into_iter().collect()
}

/// A ruleset of GitHub, as its API reads it; only what is checked.
#[derive(Deserialize)]
struct Ruleset {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    required_status_checks: Vec<RequiredCheck>,
}

#[derive(Deserialize)]
struct RequiredCheck {
    context: String,
}

/// Findings where the checks that the rulesets require are not the `checks` of the workflow `file`.
pub fn check_rulesets(
    file: &str,
    checks: &BTreeSet<String>,
    rulesets: &[(String, String)],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut required = BTreeSet::new();
    for (path, text) in rulesets {
        let ruleset: Ruleset = match serde_json::from_str(text) {
            Ok(ruleset) => ruleset,
            Err(error) => {
                let message = format!("cannot be read: {error}");
                findings.push(Finding::in_file(path, "ruleset", message, "correct the ruleset"));
                continue;
            }
        };
        for check in ruleset.rules.into_iter().flat_map(|it| it.parameters.required_status_checks) {
            if !checks.contains(&check.context) {
                let message =
                    format!("requires the check {:?}, which is no job of {file}", check.context);
                let fix = "name a job; a check that never runs blocks every change";
                findings.push(Finding::in_file(path, "unknown-check", message, fix));
            }
            required.insert(check.context);
        }
    }
    if !rulesets.is_empty() {
        findings.extend(checks.difference(&required).map(|job| {
            let message = format!("no ruleset requires the job {job:?}");
            Finding::in_file(file, "unrequired-check", message, "add it to .github/rulesets")
        }));
    }
    findings
}

/// The commands of a `run:` key: its value, or the lines of its block.
fn commands<'a>(lines: &[&'a str], index: usize, value: &'a str) -> Vec<(usize, &'a str)> {
    let value = value.trim();
    if !value.starts_with(['|', '>']) {
        return vec![(index + 1, value)];
    }
    let own = indent(lines[index]);
    lines
        .iter()
        .enumerate()
        .skip(index + 1)
        .take_while(|(_, line)| line.trim().is_empty() || indent(line) > own)
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| (index + 1, line.trim()))
        .collect()
}

fn check_action(file: &str, line: usize, action: &str) -> Option<Finding> {
    let action = action.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    if action.starts_with("./") {
        return None;
    }
    let (name, revision) = action.split_once('@').unwrap_or((action, ""));
    let pinned = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !pinned {
        return Some(Finding::at(
            file,
            line,
            "unpinned-action",
            format!("{action} is not pinned"),
            "write NAME@COMMIT with the 40 digits of the commit, and the version as a comment",
        ));
    }
    (!SETUP_ACTIONS.contains(&name)).then(|| {
        Finding::at(
            file,
            line,
            "foreign-action",
            format!("{name} is not an allowed setup action"),
            "move it to a step of xtask, so that it also runs locally",
        )
    })
}

fn check_command(file: &str, line: usize, command: &str) -> Option<Finding> {
    let simple = !command.contains([';', '|', '&', '`', '$', '>', '<', '(']);
    (!(command.starts_with(COMMAND) && simple)).then(|| {
        Finding::at(
            file,
            line,
            "foreign-command",
            format!("{command:?} is not a single call of `cargo xtask`"),
            "move it to a step of xtask, so that it also runs locally",
        )
    })
}

/// Whether `line` contains `key` as a YAML key, quoted or in a flow mapping.
fn mentions_key(line: &str, key: &str) -> bool {
    line.match_indices(key).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + key.len()..].trim_start_matches(['"', '\'', ' ']);
        before.is_none_or(|c| matches!(c, ' ' | '{' | ',' | '"' | '\'')) && after.starts_with(':')
    })
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn rules(text: &str) -> Vec<(usize, String)> {
        let (findings, _) = check("w.yml", text);
        findings.into_iter().map(|found| (found.line.unwrap_or(0), found.rule)).collect()
    }

    #[test]
    fn a_thin_workflow_passes_and_reports_its_pipeline() {
        let text = format!(
            "jobs:\n  a:\n    steps:\n      - uses: actions/checkout@{COMMIT} # v5\n      - run: cargo xtask ci pr --yes\n"
        );
        let (findings, pipelines) = check("w.yml", &text);
        assert_eq!(findings, []);
        assert_eq!(pipelines, BTreeSet::from(["pr".to_owned()]));
    }

    #[test]
    fn each_rule_names_its_line() {
        for (line, rule) in [
            ("- uses: actions/checkout@v5".to_owned(), "unpinned-action"),
            (format!("- uses: someone/else@{COMMIT}"), "foreign-action"),
            ("- run: make".to_owned(), "foreign-command"),
            ("- run: cargo xtask lint && curl x".to_owned(), "foreign-command"),
            ("- run: cargo xtask lint $(id)".to_owned(), "foreign-command"),
            ("- { uses: actions/checkout@v5 }".to_owned(), "unread-step"),
            ("- \"run\": make".to_owned(), "unread-step"),
        ] {
            assert_eq!(rules(&format!("steps:\n  {line}\n")), [(2, rule.to_owned())], "{line}");
        }
    }

    #[test]
    fn every_line_of_a_block_is_read() {
        let text =
            "steps:\n  - run: |\n      cargo xtask fmt\n\n      make\n  - name: run things\n";
        assert_eq!(rules(text), [(5, "foreign-command".to_owned())]);
    }

    #[test]
    fn required_checks_are_the_jobs_and_all_of_them() {
        let workflow = "on:\n  push:\njobs:\n  # One.\n  a:\n    name: \"first job\"\n    steps:\n      - name: x\n\n  b:\n    steps: []\n";
        let checks = checks(workflow);
        assert_eq!(checks, BTreeSet::from(["b".to_owned(), "first job".to_owned()]));
        let ruleset = |names: &[&str]| {
            let required: Vec<_> =
                names.iter().map(|it| format!("{{\"context\":\"{it}\"}}")).collect();
            let rule = format!(
                "{{\"type\":\"required_status_checks\",\"parameters\":{{\"required_status_checks\":[{}]}}}}",
                required.join(",")
            );
            ("r.json".to_owned(), format!("{{\"rules\":[{{\"type\":\"deletion\"}},{rule}]}}"))
        };
        let rules = |rulesets: &[(String, String)]| {
            let found = check_rulesets("pr.yml", &checks, rulesets);
            found.into_iter().map(|it| format!("{} {}", it.file, it.rule)).collect::<Vec<_>>()
        };
        assert_eq!(rules(&[ruleset(&["b", "first job"])]), [""; 0]);
        assert_eq!(rules(&[]), [""; 0]);
        let drifted = rules(&[ruleset(&["b", "old"])]);
        assert_eq!(drifted, ["r.json unknown-check", "pr.yml unrequired-check"]);
        let broken = ("r.json".to_owned(), "{".to_owned());
        assert_eq!(rules(&[broken])[0], "r.json ruleset");
    }

    #[test]
    fn drift_is_reported_in_both_directions() {
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
        let found = check_drift("w", &names(&["pr", "old"]), &names(&["pr", "main"]));
        let rules: Vec<_> = found.iter().map(|f| (f.file.as_str(), f.rule.as_str())).collect();
        assert_eq!(rules, [("w/main.yml", "missing-workflow"), ("w/old.yml", "unknown-pipeline")]);
    }
}
