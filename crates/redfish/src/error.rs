// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Errors of calls to a BMC, and whether a retry may help.

use std::time::Duration;

use hyper::StatusCode;

/// Result of an operation of a BMC.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is malformed.
    #[error("cannot use the address {address:?}: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// The TLS policy is invalid, or the BMC does not satisfy it.
    #[error("TLS: {0}")]
    Tls(String),
    /// No connection, or a broken one.
    #[error("{call}: {reason}")]
    Transport {
        /// Method and path.
        call: String,
        /// Whether the request may have reached the BMC.
        sent: bool,
        /// Error of the operating system.
        reason: String,
    },
    /// No answer in time. The request may have been carried out.
    #[error("{call}: no response within {after:?}")]
    Timeout {
        /// Method and path.
        call: String,
        /// The limit.
        after: Duration,
    },
    /// An answer with an error status.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// An answer that cannot be parsed.
    #[error("{call}: {reason}")]
    Answer {
        /// Method and path.
        call: String,
        /// What is wrong with it.
        reason: String,
    },
    /// User name and password are refused.
    #[error("the BMC refuses the user name or the password")]
    Credentials,
    /// The BMC lacks what provisioning needs.
    #[error("{0}")]
    Missing(String),
    /// A write succeeded, but reading back does not show it.
    #[error("{0}")]
    NotTaken(String),
    /// A task of the BMC ended without success.
    #[error("task {path} ended as {state}: {detail}")]
    Task {
        /// The task monitor.
        path: String,
        /// Its `TaskState`.
        state: String,
        /// Its messages.
        detail: String,
    },
}

/// An answer with an error status, with its Redfish messages (DSP0266, section 8.6).
#[derive(Debug, thiserror::Error)]
#[error("{call}: {status}{}{detail}", if detail.is_empty() { "" } else { ": " })]
pub struct Refusal {
    /// Method and path.
    pub call: String,
    /// The HTTP status.
    pub status: StatusCode,
    /// Its messages: ids, texts and arguments, in one line.
    pub detail: String,
    /// `Retry-After` of the BMC.
    pub retry_after: Option<Duration>,
    /// Whether the messages mean "not now".
    pub busy: bool,
}

impl Refusal {
    /// Whether another operation blocks it (409). This passes for actions that change nothing else.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status == StatusCode::CONFLICT
    }

    /// Whether the refusal names `property`.
    pub(crate) fn names(&self, property: &str) -> bool {
        self.detail.contains(property)
    }
}

impl Error {
    /// Whether the same call may succeed later: no connection, no answer, 429, 5xx, or a BMC that
    /// reports to be busy. Other refusals are permanent.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Timeout { .. } | Self::NotTaken(_) => true,
            Self::Refused(refusal) => {
                refusal.busy
                    || refusal.status == StatusCode::TOO_MANY_REQUESTS
                    || refusal.status == StatusCode::REQUEST_TIMEOUT
                    || refusal.status.is_server_error()
                        && refusal.status != StatusCode::NOT_IMPLEMENTED
            }
            _ => false,
        }
    }

    /// Whether the call was certainly not carried out, so that even a call that must not happen
    /// twice may be repeated.
    pub(crate) fn is_undone(&self) -> bool {
        match self {
            Self::Transport { sent, .. } => !sent,
            Self::Refused(refusal) => {
                refusal.busy
                    || refusal.status == StatusCode::TOO_MANY_REQUESTS
                    || refusal.status == StatusCode::SERVICE_UNAVAILABLE
            }
            _ => false,
        }
    }

    pub(crate) fn status(&self) -> Option<StatusCode> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// Whether the BMC refused it permanently.
    pub fn is_refusal(&self) -> bool {
        self.refusal().is_some() && !self.is_transient()
    }

    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after)
    }

    /// The error without `secret`: BMCs repeat in messages what they were sent, and the URL of a
    /// medium is a credential.
    #[must_use]
    pub(crate) fn redact(mut self, secret: &str) -> Self {
        match &mut self {
            Self::Refused(refusal) => refusal.detail = refusal.detail.replace(secret, "<image>"),
            Self::Task { detail, .. } => *detail = detail.replace(secret, "<image>"),
            _ => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make_refused(status: StatusCode, busy: bool) -> Error {
        let detail = "can't read http://media.test/secret.iso".to_owned();
        let call = "POST /x".to_owned();
        Error::Refused(Box::new(Refusal { call, status, detail, retry_after: None, busy }))
    }

    #[test]
    fn only_what_may_pass_is_transient() {
        for (status, transient, undone) in [
            (400, false, false),
            (401, false, false),
            (404, false, false),
            (409, false, false),
            (429, true, true),
            (500, true, false),
            (501, false, false),
            (503, true, true),
        ] {
            let error = make_refused(StatusCode::from_u16(status).unwrap(), false);
            assert_eq!(error.is_transient(), transient, "{status}");
            assert_eq!(error.is_undone(), undone, "{status}");
        }
        assert!(make_refused(StatusCode::BAD_REQUEST, true).is_transient());
    }

    #[test]
    fn a_repeated_url_does_not_reach_the_log() {
        let error =
            make_refused(StatusCode::BAD_REQUEST, false).redact("http://media.test/secret.iso");
        assert_eq!(error.to_string(), "POST /x: 400 Bad Request: can't read <image>");
    }
}
