// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Who may use the API: people with a password, programs with a token. Without either nobody may.

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

/// What somebody may do. Each role may do what those before it may.
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

/// Somebody who has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The servers that this is about.
    pub(crate) scope: Scope,
}

const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"provisioner API\", charset=\"UTF-8\"");

/// Checks logins against the files as they were read last.
pub(crate) struct Auth(RwLock<Arc<Directory>>);

impl Auth {
    pub(crate) fn new(directory: Directory) -> Self {
        Self(RwLock::new(Arc::new(directory)))
    }

    /// From now on, `directory` says who may log in.
    pub(crate) fn replace(&self, directory: Directory) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }

    /// Who sends a request with these headers.
    ///
    /// # Errors
    /// 401 where the login is missing or wrong, with a challenge for browsers; 429 where `address` has
    /// failed too often.
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
                attempt.failed(None);
                return Err(refusal("the token is not good"));
            };
            attempt.succeeded();
            return Ok(identity);
        }
        let wrong = || refusal("the name or the password is wrong");
        let (user, password) = match Credentials::parse(header) {
            Credentials::Basic { user, password } => (user, password),
            // Browsers ask without a password first; that is no attempt.
            Credentials::None => return Err(refusal("log in first")),
            Credentials::Malformed => {
                logins.attempt(Interface::Api, address)?.failed(None);
                return Err(refusal("log in first"));
            }
        };
        let Some(users) = directory.users() else {
            logins.attempt(Interface::Api, address)?.failed(None);
            return Err(wrong());
        };
        if !logins.password(Interface::Api, address, users, (&user, &password)).await? {
            return Err(wrong());
        }
        Ok(directory.user(user))
    }
}

/// The token of a header, where it is of that kind (RFC 6750, section 2.1).
fn bearer(header: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn refusal(message: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
        .header(header::WWW_AUTHENTICATE, CHALLENGE)
}

impl Identity {
    /// 403 for those with a lower role.
    pub(crate) fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let message = match role {
            Role::Admin => "only an admin may do this",
            Role::Operator | Role::Reader => "a reader may change nothing",
        };
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", message))
    }
}
