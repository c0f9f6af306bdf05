// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Finds keys, tokens and passwords in text, by known formats and by entropy.
//!
//! Findings contain the rule and the place but not the secret, since reports are read more widely
//! than the file.

use anyhow::{Context, Result};
use foundation::finding::Finding;
use regex::Regex;

/// Token formats documented by their issuers. The secret is the first group, or else the whole
/// match.
const FORMS: &[(&str, &str, &str)] = &[
    ("private-key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----", "a private key"),
    ("aws-access-key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", "an AWS access key id"),
    (
        "github-token",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})",
        "a GitHub token",
    ),
    ("gitlab-token", r"\bglpat-[A-Za-z0-9_-]{20,}", "a GitLab token"),
    ("slack-token", r"\bxox[abprs]-[A-Za-z0-9-]{10,}", "a Slack token"),
    ("google-api-key", r"\bAIza[0-9A-Za-z_-]{35}\b", "a Google API key"),
    ("npm-token", r"\bnpm_[A-Za-z0-9]{36}\b", "an npm token"),
    ("cargo-token", r"\bcio[A-Za-z0-9]{32}\b", "a crate registry token"),
    ("pypi-token", r"\bpypi-AgE[A-Za-z0-9_-]{50,}", "a PyPI token"),
    (
        "json-web-token",
        r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
        "a JSON web token",
    ),
    (
        "url-password",
        r"\b[a-z][a-z0-9+.-]*://[^\s/:@{}<>$]+:([^\s/@{}<>$]{3,})@",
        "a password in a URL",
    ),
];

/// An assignment to a name that suggests a secret: `api_key = "…"`, `"password": "…"`.
const ASSIGNMENT: &str = r#"(?i)\b[a-z0-9_-]*(?:passwd|password|secret|token|api[_-]?key)["']?\s*[:=]\s*["']([^"'\s]{8,})["']"#;

/// A base64 run that is too long for a word; hexadecimal digests do not count as random.
const BLOB: &str = r"[A-Za-z0-9+/_-]{40,}={0,2}";

/// Minimum entropy in bits per character of an assigned value that counts as a secret.
const ASSIGNED_ENTROPY: f64 = 3.5;
/// Minimum entropy of a long run of characters without other evidence.
const BLOB_ENTROPY: f64 = 4.6;

/// Compiled rules.
pub struct Scanner {
    forms: Vec<(&'static str, Regex, &'static str)>,
    assignment: Regex,
    blob: Regex,
}

impl Scanner {
    /// Compiles the rules.
    pub fn new() -> Result<Self> {
        let compile =
            |form: &str| Regex::new(form).with_context(|| format!("cannot compile {form}"));
        Ok(Self {
            forms: FORMS
                .iter()
                .map(|&(rule, form, what)| Ok((rule, compile(form)?, what)))
                .collect::<Result<_>>()?,
            assignment: compile(ASSIGNMENT)?,
            blob: compile(BLOB)?,
        })
    }

    /// All suspected secrets in `text`, the content of `file`, in order.
    pub fn scan(&self, file: &str, text: &str) -> Vec<Finding> {
        text.lines()
            .enumerate()
            .filter_map(|(index, line)| {
                let (rule, what) = self.scan_line(line)?;
                Some(Finding::at(
                    file,
                    index + 1,
                    rule,
                    format!("this may be {what}"),
                    "remove and revoke it; if it is not a secret, add it with a reason to [[gates.secrets.allow]] in release.toml",
                ))
            })
            .collect()
    }

    /// The first rule that a line violates: one finding per line suffices.
    fn scan_line(&self, line: &str) -> Option<(&'static str, &'static str)> {
        if let Some((rule, _, what)) = self.forms.iter().find(|(_, form, _)| form.is_match(line)) {
            return Some((rule, what));
        }
        let assigned = self.assignment.captures(line).and_then(|groups| groups.get(1));
        if assigned.is_some_and(|value| looks_random(value.as_str(), ASSIGNED_ENTROPY)) {
            return Some(("assigned-secret", "an assigned secret"));
        }
        let blob = self.blob.find_iter(line).any(|run| looks_random(run.as_str(), BLOB_ENTROPY));
        blob.then_some(("high-entropy", "a random value"))
    }
}

/// Whether a value may be a secret: letters and digits, not a digest, high entropy.
fn looks_random(value: &str, threshold: f64) -> bool {
    let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has = |test: fn(&u8) -> bool| value.as_bytes().iter().any(test);
    !is_hex
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && entropy(value) >= threshold
}

/// Shannon entropy in bits per byte.
fn entropy(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "a line is far shorter than 2^52")]
    let length = value.len() as f64;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let share = f64::from(count) / length;
            -share * share.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<String> {
        let scanner = Scanner::new().expect("the rules compile");
        scanner.scan("f", text).into_iter().map(|finding| finding.rule).collect()
    }

    /// Joined at run time, so that this file contains no secret.
    fn join(parts: &[&str]) -> String {
        parts.concat()
    }

    #[test]
    fn known_forms_are_found() {
        let cases = [
            ("private-key", join(&["-----BEGIN EC PRIVATE", " KEY-----"])),
            ("aws-access-key", join(&["AKIA", "IOSFODNN7EXAMPLE"])),
            ("github-token", join(&["ghp_", &"a1B2".repeat(9)])),
            ("gitlab-token", join(&["glpat-", &"a1B2".repeat(6)])),
            ("slack-token", join(&["xoxb-", "123456789012-abc"])),
            ("google-api-key", join(&["AIza", &"a1B2c".repeat(7)])),
            ("npm-token", join(&["npm_", &"a1B2".repeat(9)])),
            ("cargo-token", join(&["cio", &"a1B2".repeat(8)])),
            ("pypi-token", join(&["pypi-", "AgE", &"a1B2".repeat(15)])),
            (
                "json-web-token",
                join(&["eyJ", "hbGciOiJIUzI1.", "eyJ", "zdWIiOiIxMjM0.", "c2lnbmF0dXJl"]),
            ),
            ("url-password", join(&["https://user:", "hunter22", "@host/"])),
            ("assigned-secret", join(&["api_key = ", "\"q7Zp0vX3rT9k\""])),
            ("high-entropy", join(&["x: q7Zp0vX3rT9kLm2Nb8Wc", "4Ej6Hg1Ys5Ud/Fa+Io0PzQx"])),
        ];
        for (rule, text) in cases {
            assert_eq!(rules(&text), [rule], "in {rule}");
        }
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        for text in [
            "password = \"<from the environment>\"",
            "token: ${{ secrets.GITHUB_TOKEN }}",
            "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            "secret = \"change-me-please\"",
            "https://example.com:8443/path@x",
            "fn a_function_with_a_rather_long_name_that_is_only_words()",
        ] {
            assert_eq!(rules(text), [""; 0], "in {text}");
        }
    }

    #[test]
    fn a_finding_never_repeats_the_secret() {
        let secret = join(&["AKIA", "IOSFODNN7EXAMPLE"]);
        let scanner = Scanner::new().expect("the rules compile");
        let findings = scanner.scan("f", &format!("ok\nkey {secret}\n"));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, Some(2));
        assert!(!findings[0].to_string().contains(&secret));
    }

    #[test]
    fn entropy_is_that_of_shannon() {
        assert!((entropy("aaaa")).abs() < 1e-9);
        assert!((entropy("abab") - 1.0).abs() < 1e-9);
        assert!((entropy("abcd") - 2.0).abs() < 1e-9);
    }
}
