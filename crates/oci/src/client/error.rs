// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What can go wrong between a client and a registry.

use std::fmt;
use std::io;
use std::time::Duration;

use serde::Deserialize;

use crate::digest::Mismatch;

/// One call, for messages. It holds no query and no header, where secrets travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `GET`, `PUT`, …
    pub method: &'static str,
    /// `HOST[:PORT]` that was called.
    pub host: String,
    /// Path of the URL.
    pub path: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.host, self.path)
    }
}

/// An error as the registry words it (OCI distribution specification 1.1, "Error Codes").
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RegistryError {
    /// `BLOB_UNKNOWN`, `DENIED`, …
    #[serde(default)]
    pub code: String,
    /// For people; may be empty.
    #[serde(default)]
    pub message: String,
}

/// Why a call to a registry did not do what it was made for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer: no connection, a connection that broke, a time-out, a certificate.
    #[error("{call}: {source}")]
    Transport {
        /// Which call.
        call: Call,
        /// What happened.
        source: io::Error,
        /// Whether it may pass.
        transient: bool,
    },
    /// An answer with a status that is no success.
    #[error("{call}: status {status}{}", Details(errors, *status, *retry_after))]
    Status {
        /// Which call.
        call: Call,
        /// HTTP status.
        status: u16,
        /// What the registry says, if it says anything.
        errors: Vec<RegistryError>,
        /// The wait that it asks for.
        retry_after: Option<Duration>,
    },
    /// An answer that the specification does not allow.
    #[error("{call}: {reason}")]
    Protocol {
        /// Which call.
        call: Call,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The registry served another content than the one that was asked for.
    #[error("{call}: {mismatch}")]
    Content {
        /// Which call.
        call: Call,
        /// What differs.
        mismatch: Box<Mismatch>,
    },
    /// What was to be sent could not be read.
    #[error("{call}: reading what is to be sent: {source}")]
    Source {
        /// Which call.
        call: Call,
        /// What happened.
        source: io::Error,
    },
    /// A file with credentials is unreadable or malformed.
    #[error(transparent)]
    Credentials(#[from] super::credentials::CredentialsError),
}

impl ClientError {
    /// Whether the same call may succeed a little later: no connection, a broken one, 429 and 5xx.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport { transient, .. } => *transient,
            // 501 says that it will never work.
            Self::Status { status, .. } => *status == 429 || (*status >= 500 && *status != 501),
            _ => false,
        }
    }

    /// The HTTP status, if there was an answer with one.
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

/// The end of a message about a status.
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

/// The longest text of a registry that is repeated in a message.
const MESSAGE_LENGTH: usize = 300;

/// The errors in the body of an answer; none where it is something else, such as a page of a proxy.
pub(super) fn parse_errors(body: &[u8]) -> Vec<RegistryError> {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<RegistryError>,
    }
    let mut errors = serde_json::from_slice::<Body>(body).map(|b| b.errors).unwrap_or_default();
    errors.truncate(5);
    for text in errors.iter_mut().flat_map(|e| [&mut e.code, &mut e.message]) {
        // What a stranger sends must not steer a terminal.
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
    fn a_status_names_the_call_and_what_the_registry_says() {
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
