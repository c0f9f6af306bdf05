// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Authentication to a BMC: a session if it has any, else Basic.

use hyper::header::{HeaderMap, LOCATION};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Client, ROOT};
use crate::error::{Error, Result};
use crate::session::{Auth, TOKEN};

/// Path of sessions if the service root cannot be read without one.
const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

impl Client {
    /// Credentials of the current session, or of a new one.
    pub(super) async fn authenticate(&self) -> Result<Auth> {
        // Held during the login, so that two calls do not open two sessions.
        let mut current = self.auth.lock().await;
        if let Some(auth) = current.as_ref() {
            return Ok(auth.clone());
        }
        let auth = match self.login().await {
            Ok(auth) => auth,
            Err(error) if without_sessions(&error) => Auth::basic(&self.credentials)?,
            Err(error) => return Err(error),
        };
        *current = Some(auth.clone());
        Ok(auth)
    }

    /// Opens a session. The caller retries, so this does not.
    async fn login(&self) -> Result<Auth> {
        let Some(path) = self.sessions().await? else { return Auth::basic(&self.credentials) };
        let body = json!({
            "UserName": self.credentials.user,
            "Password": self.credentials.password,
        });
        let login = self.follow(&Method::POST, &path, Some(&body), &HeaderMap::new()).await;
        let response = match login {
            Ok(response) => response,
            // A wrong password is not retried: BMCs lock users.
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
                return Err(Error::Credentials);
            }
            Err(error) => return Err(error),
        };
        let location = response.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        if let Some(token) = response.headers.get(TOKEN) {
            return Ok(Auth::session(token.clone(), location.map(str::to_owned)));
        }
        // Without its token the session is useless, and BMCs have few.
        let auth = Auth::basic(&self.credentials)?;
        if let Some(path) = location.and_then(|location| self.address.local(location)) {
            let headers = HeaderMap::from_iter([auth.header()]);
            if let Err(error) = self.follow(&Method::DELETE, &path, None, &headers).await {
                tracing::debug!(%error, "session without a token not closed");
            }
        }
        Ok(auth)
    }

    /// The path of sessions, if the BMC has any. The service root has it and needs no session
    /// (DSP0266, section 13.3.1), though some BMCs require one.
    async fn sessions(&self) -> Result<Option<String>> {
        match self.follow(&Method::GET, ROOT, None, &HeaderMap::new()).await {
            Ok(response) => {
                let root: Value = serde_json::from_slice(&response.body).unwrap_or_default();
                let link = root.pointer("/Links/Sessions/@odata.id").and_then(Value::as_str);
                Ok(link.map(str::to_owned))
            }
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
                Ok(Some(SESSIONS.to_owned()))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether the BMC has no sessions left, so that Basic remains.
fn without_sessions(error: &Error) -> bool {
    let none = [
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::NOT_IMPLEMENTED,
        // All are in use: iDRACs have as few as six, and keep an unclosed one for half an hour.
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    error.status().is_some_and(|status| none.contains(&status))
        || error.refusal().is_some_and(|refusal| refusal.names("SessionLimitExceeded"))
}
