// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Redacts the values of secret environment variables in logs and output.

use std::sync::Arc;

use foundation::environment::is_secret;

/// Replaces a secret.
const MASK: &str = "[secret]";

/// Shorter values are common words; redacting them would make logs unreadable.
const SHORTEST: usize = 6;

/// Replaces known secrets in text.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    secrets: Arc<[String]>,
}

impl Redactor {
    /// Collects the secrets in the environment.
    pub fn from_environment() -> Self {
        Self::new(
            std::env::vars_os()
                .filter(|(name, _)| is_secret(&name.to_string_lossy()))
                .map(|(_, value)| value.to_string_lossy().into_owned()),
        )
    }

    /// Registers `values`, and each line of multi-line ones (PEM keys are printed by line).
    pub(super) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<String> = Vec::new();
        for value in values {
            let lines = value.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
            secrets.extend(lines.map(str::to_owned));
            secrets.push(value.trim().to_owned());
        }
        secrets.retain(|secret| secret.len() >= SHORTEST);
        // Longest first, so that a secret that contains another is replaced as a whole.
        secrets.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets: secrets.into() }
    }

    /// Redacts `text`.
    pub fn text(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }

    /// Length of the longest secret in bytes.
    pub(super) fn longest(&self) -> usize {
        self.secrets.first().map_or(0, String::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_out_whole_values_and_lines_of_keys_but_no_words() {
        let key = "-----BEGIN KEY-----\nabcdef0123\nxyz\n-----END KEY-----\n";
        let redactor =
            Redactor::new([key.to_owned(), "yes".to_owned(), "long-password".to_owned()]);
        assert_eq!(redactor.text("yes, long-password!"), "yes, [secret]!");
        assert_eq!(redactor.text("| abcdef0123"), "| [secret]");
        assert_eq!(redactor.text("-----BEGIN KEY-----"), "-----BEGIN KEY-----");
        assert_eq!(redactor.text(key.trim()), "[secret]");
    }

    #[test]
    fn the_longer_of_two_secrets_leaves_no_rest() {
        let redactor = Redactor::new(["hidden".to_owned(), "hidden-and-more".to_owned()]);
        assert_eq!(redactor.text("a hidden-and-more b"), "a [secret] b");
        assert_eq!(redactor.longest(), "hidden-and-more".len());
    }

    #[test]
    fn knows_secret_variables_by_their_names() {
        for name in ["XTASK_SIGNING_KEY", "COSIGN_PASSWORD", "GITHUB_TOKEN", "my_secret"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PATH", "KEYBOARD", "XDG_RUNTIME_DIR"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
