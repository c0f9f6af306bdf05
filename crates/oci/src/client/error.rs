// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Errors of registry requests.

use std::fmt;
use std::io;
use std::time::Duration;

use serde::Deserialize;

use crate::digest::Mismatch;

/// A request, for messages. Excludes query and headers, which may contain secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `GET`, `PUT`, …
    pub method: &'static str,
    /// `HOST[:PORT]` of the request.
    pub host: String,
    /// Path of the URL.
    pub path: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.host, self.path)
    }
}

/// An error from the registry (OCI distribution specification 1.1, "Error Codes").
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RegistryError {
    /// `BLOB_UNKNOWN`, `DENIED`, …
    #[serde(default)]
    pub code: String,
    /// Message for users; may be empty.
    #[serde(default)]
    pub message: String,
}

/// Reason why a registry request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No response: connection refused or lost, time-out, untrusted certificate.
    #[error("{call}: {source}")]
    Transport {
        /// The request.
        call: Call,
        /// Cause.
        source: io::Error,
        /// True if a retry may succeed.
        transient: bool,
    },
    /// A response with an error status.
    #[error("{call}: status {status}{}", Details(errors, *status, *retry_after))]
    Status {
        /// The request.
        call: Call,
        /// HTTP status.
        status: u16,
        /// Errors in the response; may be empty.
        errors: Vec<RegistryError>,
        /// Value of `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// A response that violates the specification.
    #[error("{call}: {reason}")]
    Protocol {
        /// The request.
        call: Call,
        /// The violation.
        reason: String,
    },
    /// The response has other content than requested.
    #[error("{call}: {mismatch}")]
    Content {
        /// The request.
        call: Call,
        /// The difference.
        mismatch: Box<Mismatch>,
    },
    /// The content to upload could not be read.
    #[error("{call}: cannot read the content to upload: {source}")]
    Source {
        /// The request.
        call: Call,
        /// Cause.
        source: io::Error,
    },
    /// A credential file is unreadable or malformed.
    #[error(transparent)]
    Credentials(#[from] super::credentials::CredentialsError),
}

impl ClientError {
    /// Returns true if a retry may succeed: connection failures, 429 and 5xx.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport { transient, .. } => *transient,
            // 501 Not Implemented is permanent.
            Self::Status { status, .. } => *status == 429 || (*status >= 500 && *status != 501),
            _ => false,
        }
    }

    /// The HTTP status, if there was a response.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Details after the status in a message.
struct Details<'a>(&'a [RegistryError], u16, Option<Duration>);

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(errors, status, retry_after) = self;
        for (i, error) in errors.iter().enumerate() {
            write!(f, "{} {}", if i == 0 { ":" } else { ";" }, error.code)?;
            if !error.message.is_empty() {
                write!(f, " ({})", error.message)?;
            }
        }
        if let Some(wait) = retry_after {
            write!(f, "; the registry asks to wait {} s", wait.as_secs())?;
        }
        match status {
            401 => write!(
                f,
                "; log in with `podman login` or `docker login`, or point REGISTRY_AUTH_FILE to a file with credentials"
            ),
            403 => write!(f, "; the credentials in use don't allow this"),
            _ => Ok(()),
        }
    }
}

/// Maximum length of a registry's text in a message, in characters.
const MESSAGE_LENGTH: usize = 300;

/// Parses the errors in a response body; empty for other content, such as a proxy's error page.
pub(super) fn parse_errors(body: &[u8]) -> Vec<RegistryError> {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<RegistryError>,
    }
    let mut errors = serde_json::from_slice::<Body>(body).map(|b| b.errors).unwrap_or_default();
    errors.truncate(5);
    for text in errors.iter_mut().flat_map(|e| [&mut e.code, &mut e.message]) {
        // Remove control characters: they could inject terminal escape sequences.
        *text = text.chars().filter(|c| !c.is_control()).take(MESSAGE_LENGTH).collect();
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, body: &str) -> ClientError {
        ClientError::Status {
            call: Call {
                method: "PUT",
                host: "r.example".to_owned(),
                path: "/v2/a/manifests/v1".to_owned(),
            },
            status,
            errors: parse_errors(body.as_bytes()),
            retry_after: None,
        }
    }

    #[test]
    fn a_status_names_the_call_and_the_answer_of_the_registry() {
        let body = r#"{"errors":[{"code":"DENIED","message":"tag is \u001b[31mimmutable","detail":{}},{"code":"UNKNOWN"}]}"#;
        assert_eq!(
            status(409, body).to_string(),
            "PUT r.example/v2/a/manifests/v1: status 409: DENIED (tag is [31mimmutable); UNKNOWN"
        );
        assert_eq!(
            status(502, "<html>").to_string(),
            "PUT r.example/v2/a/manifests/v1: status 502"
        );
    }

    #[test]
    fn only_what_may_pass_is_transient() {
        for (code, transient) in [
            (429, true),
            (500, true),
            (503, true),
            (501, false),
            (404, false),
            (401, false),
            (400, false),
        ] {
            assert_eq!(status(code, "").is_transient(), transient, "{code}");
        }
    }
}
