// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Who may use the API: people with a password, programs with a token. Without either nobody may.

mod token;

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::logins::{Interface, Logins};
use crate::registry::users::{Credentials, Users};

pub use token::{AUDIENCE, KeyError, TokenKey};

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything.
    Reader,
    /// Change it as well.
    #[default]
    Operator,
}

/// Somebody who has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) role: Role,
}

const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"provisioner API\", charset=\"UTF-8\"");

/// Checks logins.
pub(crate) struct Auth {
    users: Option<Arc<Users>>,
    readers: Vec<String>,
    tokens: Option<TokenKey>,
}

impl Auth {
    /// `readers` are those of `users` that may only look.
    pub(crate) fn new(
        users: Option<Users>,
        readers: Vec<String>,
        tokens: Option<TokenKey>,
    ) -> Self {
        Self { users: users.map(Arc::new), readers, tokens }
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
        let header = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        if let Some(token) = header.and_then(bearer) {
            let attempt = logins.attempt(Interface::Api, address)?;
            let Some((name, role)) = self.tokens.as_ref().and_then(|key| key.verify(token)) else {
                attempt.failed(None);
                return Err(refusal("the token is not good"));
            };
            attempt.succeeded();
            return Ok(Identity { name, role });
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
        let Some(users) = &self.users else {
            logins.attempt(Interface::Api, address)?.failed(None);
            return Err(wrong());
        };
        if !logins.password(Interface::Api, address, users, (&user, &password)).await? {
            return Err(wrong());
        }
        let role = if self.readers.contains(&user) { Role::Reader } else { Role::Operator };
        Ok(Identity { name: user, role })
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
    /// 403 for those who may only look.
    pub(crate) fn may_change(&self) -> Result<(), Problem> {
        match self.role {
            Role::Operator => Ok(()),
            Role::Reader => {
                let message = "you may look at everything and change nothing";
                Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", message))
            }
        }
    }
}
