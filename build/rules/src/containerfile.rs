// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks labels and bases of Containerfiles.
//!
//! Grammar of Containerfile(5): one instruction per line, continued by a trailing `\`; `#` at the
//! start of a line is a comment.

use std::collections::BTreeSet;

use foundation::finding::Finding;

/// Required labels of every image: pre-defined annotation keys of the OCI image specification
/// (annotations.md) that state an image's origin.
pub const REQUIRED_LABELS: &[&str] = &[
    "org.opencontainers.image.base.digest",
    "org.opencontainers.image.base.name",
    "org.opencontainers.image.created",
    "org.opencontainers.image.description",
    "org.opencontainers.image.licenses",
    "org.opencontainers.image.revision",
    "org.opencontainers.image.source",
    "org.opencontainers.image.title",
    "org.opencontainers.image.vendor",
    "org.opencontainers.image.version",
];

/// An instruction with joined continuation lines.
#[derive(Debug, PartialEq, Eq)]
struct Instruction {
    /// Line of its first word, from 1.
    line: usize,
    /// Upper-case keyword.
    keyword: String,
    /// The rest.
    arguments: String,
}

/// Source of the [`REQUIRED_LABELS`] of a Containerfile's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// The Containerfile itself.
    Declared,
    /// `cargo xtask images`, from release.toml.
    FromProduct,
    /// Nothing: an intermediate image that is not released.
    None,
}

/// Findings on missing labels and unpinned bases of the Containerfile `file` with the content
/// `text`.
pub fn check(file: &str, text: &str, labels: Labels) -> Vec<Finding> {
    let instructions = parse(text);
    let mut findings = check_bases(file, &instructions);
    match labels {
        Labels::Declared => findings.extend(check_labels(file, &instructions)),
        Labels::FromProduct => findings.extend(find_repeated_labels(file, &instructions)),
        Labels::None => {}
    }
    findings
}

fn parse(text: &str) -> Vec<Instruction> {
    let mut instructions: Vec<Instruction> = Vec::new();
    let mut continues = false;
    for (index, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (content, more) = line.strip_suffix('\\').map_or((line, false), |rest| (rest, true));
        match instructions.last_mut() {
            Some(last) if continues => {
                last.arguments.push(' ');
                last.arguments.push_str(content.trim());
            }
            _ => {
                let (keyword, rest) =
                    content.split_once(char::is_whitespace).unwrap_or((content, ""));
                instructions.push(Instruction {
                    line: index + 1,
                    keyword: keyword.to_ascii_uppercase(),
                    arguments: rest.trim().to_owned(),
                });
            }
        }
        continues = more;
    }
    instructions
}

/// A base is pinned if it is a digest, `scratch`, an earlier stage, or an argument without an
/// unpinned default (the build passes a base that a lock file pins).
fn check_bases(file: &str, instructions: &[Instruction]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut stages = BTreeSet::new();
    let mut arguments = std::collections::BTreeMap::new();
    let mut seen_from = false;
    for instruction in instructions {
        match instruction.keyword.as_str() {
            "ARG" if !seen_from => {
                let (name, default) =
                    instruction.arguments.split_once('=').unwrap_or((&instruction.arguments, ""));
                arguments.insert(name.trim().to_owned(), default.trim_matches('"').to_owned());
            }
            "FROM" => {
                seen_from = true;
                let words: Vec<&str> = instruction
                    .arguments
                    .split_whitespace()
                    .filter(|word| !word.starts_with("--"))
                    .collect();
                let base = words.first().copied().unwrap_or_default();
                let default = variable(base).and_then(|name| arguments.get(name));
                let pinned = base == "scratch"
                    || stages.contains(base)
                    || is_digest_reference(base)
                    || default.is_some_and(|value| value.is_empty() || is_digest_reference(value));
                if !pinned {
                    findings.push(Finding::at(
                        file,
                        instruction.line,
                        "unpinned-base",
                        format!("the base {base:?} is not pinned"),
                        "write NAME@sha256:DIGEST, or `ARG BASE` without a default and `FROM ${BASE}`",
                    ));
                }
                if let [_, keyword, name, ..] = words.as_slice()
                    && keyword.eq_ignore_ascii_case("as")
                {
                    stages.insert((*name).to_owned());
                }
            }
            _ => {}
        }
    }
    findings
}

/// Only labels of the last stage count, since it becomes the image.
fn check_labels(file: &str, instructions: &[Instruction]) -> Vec<Finding> {
    let last = instructions.iter().rposition(|instruction| instruction.keyword == "FROM");
    let Some(last) = last else {
        return vec![Finding::in_file(
            file,
            "no-base",
            "no FROM instruction",
            "add FROM with a pinned base",
        )];
    };
    let labels: BTreeSet<&str> = instructions[last..]
        .iter()
        .filter(|instruction| instruction.keyword == "LABEL")
        .flat_map(|instruction| label_keys(&instruction.arguments))
        .collect();
    REQUIRED_LABELS
        .iter()
        .filter(|label| !labels.contains(*label))
        .map(|label| {
            Finding::at(
                file,
                instructions[last].line,
                "missing-label",
                format!("the image has no label {label}"),
                format!("add `LABEL {label}=…` to the last stage"),
            )
        })
        .collect()
}

/// The builder would override them, and duplicated values diverge over time.
fn find_repeated_labels(file: &str, instructions: &[Instruction]) -> Vec<Finding> {
    let labels = instructions.iter().filter(|instruction| instruction.keyword == "LABEL");
    labels
        .flat_map(|it| label_keys(&it.arguments).into_iter().map(|label| (it.line, label)))
        .filter(|(_, label)| REQUIRED_LABELS.contains(label))
        .map(|(line, label)| {
            Finding::at(
                file,
                line,
                "repeated-label",
                format!("{label} is set from release.toml"),
                "remove it from the Containerfile",
            )
        })
        .collect()
}

/// Keys of `key=value key="value with spaces"`.
fn label_keys(arguments: &str) -> Vec<&str> {
    let mut keys = Vec::new();
    let mut rest = arguments.trim_start();
    while let Some((key, value)) = rest.split_once('=') {
        keys.push(key.trim().trim_matches('"'));
        rest = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').map_or("", |(_, after)| after),
            None => value.split_once(char::is_whitespace).map_or("", |(_, after)| after),
        }
        .trim_start();
    }
    keys
}

/// `NAME` of `$NAME` or `${NAME}`.
fn variable(word: &str) -> Option<&str> {
    let name = word.strip_prefix('$')?;
    Some(name.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(name))
}

fn is_digest_reference(reference: &str) -> bool {
    reference.split_once("@sha256:").is_some_and(|(name, digest)| {
        !name.is_empty()
            && digest.len() == 64
            && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> String {
        let pairs: Vec<String> =
            REQUIRED_LABELS.iter().map(|label| format!("{label}=\"a value\"")).collect();
        format!("LABEL {}\n", pairs.join(" \\\n      "))
    }

    fn rules(text: &str) -> Vec<(Option<usize>, String)> {
        check("Containerfile", text, Labels::Declared)
            .into_iter()
            .map(|found| (found.line, found.rule))
            .collect()
    }

    #[test]
    fn a_good_file_has_no_findings() {
        let digest = "0".repeat(64);
        for from in [
            "ARG BASE\nFROM ${BASE}\n".to_owned(),
            "FROM scratch\n".to_owned(),
            format!("FROM quay.example/base@sha256:{digest}\n"),
            format!(
                "ARG BASE=a@sha256:{digest}\nFROM --platform=linux/amd64 $BASE AS build\nFROM build\n"
            ),
        ] {
            assert_eq!(rules(&format!("# a comment\n{from}{}", labels())), [], "in {from}");
        }
    }

    #[test]
    fn an_unpinned_base_is_named_with_its_line() {
        for from in ["FROM debian:trixie\n", "ARG BASE=debian\nFROM $BASE\n", "FROM $UNKNOWN\n"] {
            let text = format!("# c\n{from}{}", labels());
            let found = rules(&text);
            assert_eq!(found.len(), 1, "in {from}");
            assert_eq!(found[0].1, "unpinned-base");
            let line =
                text.lines().position(|line| line.starts_with("FROM")).map(|index| index + 1);
            assert_eq!(found[0].0, line);
        }
    }

    #[test]
    fn labels_of_an_earlier_stage_do_not_count() {
        let text = format!("FROM scratch AS one\n{}FROM scratch\n", labels());
        assert_eq!(rules(&text).len(), REQUIRED_LABELS.len());
    }

    #[test]
    fn each_missing_label_is_named() {
        for label in REQUIRED_LABELS {
            let text = format!("FROM scratch\n{}", labels().replace(label, "other"));
            assert_eq!(rules(&text), [(Some(1), "missing-label".to_owned())], "without {label}");
        }
    }

    #[test]
    fn what_others_build_on_needs_no_labels_and_a_pinned_base() {
        let found = check("x/Containerfile.packages", "FROM debian:trixie\n", Labels::None);
        let rules: Vec<_> = found.into_iter().map(|it| it.rule).collect();
        assert_eq!(rules, ["unpinned-base"]);
    }

    #[test]
    fn an_image_of_the_product_repeats_no_label() {
        let check = |text: &str| check("Containerfile", text, Labels::FromProduct);
        assert_eq!(check("FROM scratch\nLABEL ostree.bootable=1\n"), []);
        let found = check(&format!("FROM scratch\n{}", labels()));
        assert_eq!(found.len(), REQUIRED_LABELS.len());
        assert_eq!((found[0].line, found[0].rule.as_str()), (Some(2), "repeated-label"));
    }

    #[test]
    fn a_file_without_a_base_is_a_finding_and_not_a_panic() {
        assert_eq!(rules(""), [(None, "no-base".to_owned())]);
        assert_eq!(label_keys("a=\"b c\" d=e f"), ["a", "d"]);
    }
}
