// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Credentials of a BMC: a session (DSP0266, section 13.3.4), or Basic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::error::{Error, Result};

/// The header of a session's token.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The user of a BMC. Its `Debug` form hides the password.
#[derive(Clone)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Credentials of the next request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Auth {
    /// A session: its token, and the resource to delete.
    Session { token: HeaderValue, location: Option<String> },
    /// User name and password in each request.
    Basic(HeaderValue),
}

impl Auth {
    /// # Errors
    /// When the user name has a colon, which Basic cannot encode.
    pub(crate) fn basic(credentials: &Credentials) -> Result<Self> {
        if credentials.user.contains(':') {
            let reason = "the BMC has no sessions, and a user name with a colon needs them";
            return Err(Error::Missing(reason.to_owned()));
        }
        let pair = format!("{}:{}", credentials.user, credentials.password);
        let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
            .map_err(|_| Error::Credentials)?;
        value.set_sensitive(true);
        Ok(Self::Basic(value))
    }

    pub(crate) fn session(mut token: HeaderValue, location: Option<String>) -> Self {
        token.set_sensitive(true);
        Self::Session { token, location }
    }

    pub(crate) fn header(&self) -> (HeaderName, HeaderValue) {
        match self {
            Self::Session { token, .. } => (TOKEN, token.clone()),
            Self::Basic(value) => (AUTHORIZATION, value.clone()),
        }
    }
}
