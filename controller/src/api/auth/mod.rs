// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Authentication and roles of the API: users have passwords, programs have tokens. Both are
//! optional; without either, all access is denied.

mod directory;
mod group;
mod token;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::labels::Scope;
use crate::logins::Logins;
use crate::metrics::Interface;
use crate::registry::users::Credentials;

pub(crate) use directory::Directory;
pub use group::Group;
pub use token::{AUDIENCE, Grant, Issued, KeyError, TokenKey};

/// Role of a user or token. Each role includes the ones before it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See servers and jobs.
    Reader,
    /// Register and change servers, run jobs.
    #[default]
    Operator,
    /// Read the audit log.
    Admin,
}

/// An authenticated user or program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Servers that the identity may access.
    pub(crate) scope: Scope,
}

const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"provisioner API\", charset=\"UTF-8\"");

/// Authenticates requests with the files as loaded last.
pub(crate) struct Auth(RwLock<Arc<Directory>>);

impl Auth {
    pub(crate) fn new(directory: Directory) -> Self {
        Self(RwLock::new(Arc::new(directory)))
    }

    /// Replaces users, tokens, roles and groups.
    pub(crate) fn replace(&self, directory: Directory) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }

    /// Authenticates a request by its headers.
    ///
    /// # Errors
    /// 401 if the credentials are missing or wrong, with a challenge for browsers; 429 if `address`
    /// had too many failed attempts.
    pub(crate) async fn identify(
        &self,
        headers: &HeaderMap,
        address: IpAddr,
        logins: &Logins,
    ) -> Result<Identity, Problem> {
        let directory = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let header = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        if let Some(token) = header.and_then(bearer) {
            let attempt = logins.attempt(Interface::Api, address)?;
            let Some(identity) = directory.token(token) else {
                attempt.fail(None);
                return Err(refusal("invalid token: malformed, expired or revoked"));
            };
            attempt.succeed();
            return Ok(identity);
        }
        let wrong = || refusal("wrong user name or password");
        let (user, password) = match Credentials::parse(header) {
            Credentials::Basic { user, password } => (user, password),
            // Browsers first send a request without credentials; that is no attempt.
            Credentials::None => return Err(refusal("authentication required")),
            Credentials::Malformed => {
                logins.attempt(Interface::Api, address)?.fail(None);
                return Err(refusal("authentication required"));
            }
        };
        let Some(users) = directory.users() else {
            logins.attempt(Interface::Api, address)?.fail(None);
            return Err(wrong());
        };
        if !logins.password(Interface::Api, address, users, (&user, &password)).await? {
            return Err(wrong());
        }
        Ok(directory.user(user))
    }
}

/// Returns the token of a `Bearer` header (RFC 6750, section 2.1).
fn bearer(header: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn refusal(message: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
        .header(header::WWW_AUTHENTICATE, CHALLENGE)
}

impl Identity {
    /// Returns 403 if the role is lower than `role`.
    pub(crate) fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let message = match role {
            Role::Admin => "this needs the role admin",
            Role::Operator | Role::Reader => "this needs the role operator",
        };
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", message))
    }
}
