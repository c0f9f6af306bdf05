// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/api/v1/servers`: the machines, and how their BMCs are reached. A password goes in and never comes out.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use recipe::ShortText;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{Identity, Role};
use super::problem::{Problem, detail};
use super::{Actor, Api, Caller, Query, SMALL_BODY, body, json, parameter, parse};
use crate::audit::{Action, Entry};
use crate::database::DatabaseError;
use crate::inventory::{self, Server};
use crate::jobs::bmc::{Secret, Target, TlsPolicy};
use crate::jobs::clock::rfc3339;
use crate::jobs::store::{self, Job, StoreError};
use crate::keyring::Keyring;
use crate::labels::{Labels, Scope};

/// Servers in an answer: unless asked for otherwise, and at most.
const PAGE: (u32, u32) = (100, 1000);
/// Longest user name and password of a BMC; IPMI allows 20, Redfish sets no limit.
const LONGEST: usize = 256;
/// Longest address of a BMC.
const LONGEST_URL: usize = 2048;

/// What is sent of a server. Without a password, that of an earlier request stays, as long as it goes to the
/// same BMC; without labels, those of an earlier request stay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    bmc_url: String,
    username: String,
    password: Option<String>,
    profile: Option<String>,
    #[serde(default)]
    tls: TlsPolicy,
    labels: Option<BTreeMap<String, String>>,
}

/// A server as the API shows it.
pub(crate) fn describe(server: &Server, active: Option<&Job>) -> Value {
    json!({
        "serial": server.serial,
        "bmc_url": server.bmc_url,
        "username": server.username,
        "profile": server.profile,
        "tls": server.tls,
        "labels": server.labels,
        "active_job": active.map(|job| job.id.to_string()),
        "created_at": rfc3339(server.created_at),
        "created_by": server.created_by,
        "updated_at": rfc3339(server.updated_at),
        "updated_by": server.updated_by,
    })
}

impl Sent {
    /// Every fault, as those of a recipe are told.
    fn faults(&self, profiles: &[&str]) -> Vec<Value> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, code: &str, message: &str| {
            faults.push(detail(path, code, message));
        };
        if let Err(reason) = check_bmc_url(&self.bmc_url) {
            fault("/bmc_url", "format", &reason);
        }
        if self.bmc_url.len() > LONGEST_URL {
            fault("/bmc_url", "length", "must have at most 2048 bytes");
        }
        let labels = self.labels.clone().map(Labels::try_from).transpose();
        if let Err(error) = labels {
            fault("/labels", "format", &error.to_string());
        }
        if !(1..=LONGEST).contains(&self.username.len()) {
            fault("/username", "length", "must have 1 to 256 bytes");
        }
        if self.password.as_ref().is_some_and(|text| text.len() > LONGEST) {
            fault("/password", "length", "must have at most 256 bytes");
        }
        if self.profile.as_deref().is_some_and(|name| !profiles.contains(&name)) {
            fault("/profile", "enum", &format!("must be one of {}", profiles.join(", ")));
        }
        match &self.tls {
            TlsPolicy::Pin { sha256 } if !is_sha256(sha256) => {
                fault("/tls/sha256", "pattern", "must be 64 hexadecimal digits in lower case");
            }
            TlsPolicy::Ca { certificates } if !certificates.contains("BEGIN CERTIFICATE") => {
                fault("/tls/certificates", "format", "must be certificates in PEM");
            }
            _ => {}
        }
        faults
    }
}

/// Checks a BMC's URL as the Redfish client will parse it.
fn check_bmc_url(text: &str) -> Result<(), String> {
    if !text.contains("://") {
        return Err("must begin with https:// or http://".to_owned());
    }
    text.parse::<redfish::Address>().map(|_| ()).map_err(|error| error.to_string())
}

fn is_sha256(text: &str) -> bool {
    text.parse::<recipe::Sha256Hex>().is_ok()
}

fn unknown(serial: &str) -> Problem {
    StoreError::NoServer(serial.to_owned()).into()
}

/// `GET /api/v1/servers?limit=…&after=…`
pub(super) async fn list(
    State(api): State<Api>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let scope = api.identify(Caller::of(&request)).await?.scope;
    let query = Query::parse(&request, &["limit", "after"])?;
    let (after, limit) = (query.text("after").unwrap_or_default(), query.limit(PAGE)?);
    let servers = api
        .database
        .read(move |c| {
            let servers = inventory::list(c, &scope, &after, limit)?;
            let describe = |server: &Server| {
                let active = store::active(c, &server.serial)?;
                Ok(describe(server, active.as_ref()))
            };
            servers.iter().map(describe).collect::<Result<Vec<Value>, StoreError>>()
        })
        .await?;
    let full = usize::try_from(limit).is_ok_and(|limit| servers.len() == limit);
    let next = servers.last().filter(|_| full).map(|server| server["serial"].clone());
    Ok(json(StatusCode::OK, &json!({ "servers": servers, "next_after": next })))
}

/// `GET /api/v1/servers/{serial}`
pub(super) async fn get(
    State(api): State<Api>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let scope = api.identify(Caller::of(&request)).await?.scope;
    let serial = parameter(&request)?;
    let of = serial.clone();
    let found = api
        .database
        .read(move |c| {
            let server = inventory::find(c, &scope, &of)?;
            Ok::<_, StoreError>((server, store::active(c, &of)?))
        })
        .await?;
    match found {
        (Some(server), active) => Ok(json(StatusCode::OK, &describe(&server, active.as_ref()))),
        (None, _) => Err(unknown(&serial)),
    }
}

/// What became of a server that was sent.
enum Put {
    Done {
        new: bool,
        server: Value,
    },
    /// The password must be sent with it, and why.
    NeedsPassword(&'static str),
}

impl Sent {
    /// Registers or changes a server. A password that was sent before goes to the BMC that it was sent for, and
    /// to no other. A server is in the groups of the user before and after.
    fn put(
        self,
        c: &rusqlite::Connection,
        keys: &Keyring,
        serial: &str,
        identity: &Identity,
    ) -> Result<Put, StoreError> {
        let Identity { name: user, scope, role: _ } = identity;
        let before = inventory::find(c, &Scope::ALL, serial)?;
        if before.is_some() && inventory::find(c, scope, serial)?.is_none() {
            return Err(StoreError::OtherGroup(serial.to_owned()));
        }
        let password = match (self.password, &before) {
            (Some(password), _) => Secret::new(password),
            (None, None) => return Ok(Put::NeedsPassword("must be there for a new server")),
            (None, Some(before)) if !before.has_destination(&self.bmc_url, &self.tls) => {
                let message = "must be sent again: scheme, host, port or TLS policy of the BMC change, \
                               and the known password is not sent to another destination";
                return Ok(Put::NeedsPassword(message));
            }
            (None, Some(before)) => before.target(keys).map_err(DatabaseError::from)?.password,
        };
        let labels = match self.labels {
            // They were checked.
            Some(labels) => Labels::try_from(labels).unwrap_or_default(),
            None => before.map(|server| server.labels).unwrap_or_default(),
        };
        let target = Target {
            serial: serial.to_owned(),
            bmc_url: self.bmc_url,
            username: self.username,
            password,
            profile: self.profile,
            tls: self.tls,
        };
        let new = inventory::put(c, keys, &target, &labels, user)?;
        let active = store::active(c, serial)?;
        // What was written is taken back with the error.
        let server = inventory::find(c, scope, serial)?
            .ok_or_else(|| StoreError::OtherGroup(serial.to_owned()))?;
        Ok(Put::Done { new, server: describe(&server, active.as_ref()) })
    }
}

/// `PUT /api/v1/servers/{serial}`
pub(super) async fn put(
    State(api): State<Api>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let identity = api.authorize(Caller::of(&request), Role::Operator).await?;
    let actor = Actor::of(&request, &identity);
    let serial = parameter(&request)?;
    let serial = serial
        .parse::<ShortText>()
        .map_err(|e| Problem::bad_request(format!("the serial number: {e}")))?;
    let sent: Sent = parse(&body(request, SMALL_BODY).await?)?;
    let faults = sent.faults(&api.profiles);
    if !faults.is_empty() {
        return Err(invalid(faults));
    }
    let keys = api.database.keys();
    let put = move |c: &rusqlite::Connection| {
        let put = sent.put(c, &keys, serial.as_ref(), &identity)?;
        let entry = match &put {
            Put::Done { new, server } => {
                let action = if *new { Action::ServerCreate } else { Action::ServerUpdate };
                let detail = server["bmc_url"].as_str().map(|url| format!("BMC {url}"));
                Some(Entry { detail, ..actor.entry(action, Some(serial.to_string())) })
            }
            Put::NeedsPassword(_) => None,
        };
        Ok((put, entry))
    };
    let (new, server) = match api.audit.change(put).await? {
        Put::Done { new, server } => (new, server),
        Put::NeedsPassword(message) => {
            return Err(invalid(vec![detail("/password", "required", message)]));
        }
    };
    tracing::info!(serial = server["serial"].as_str(), new, "server");
    Ok(json(if new { StatusCode::CREATED } else { StatusCode::OK }, &server))
}

fn invalid(faults: Vec<Value>) -> Problem {
    let message = "the server is not valid, see details";
    Problem::new(StatusCode::BAD_REQUEST, "validation_error", message).with("details", faults)
}

/// `DELETE /api/v1/servers/{serial}`
pub(super) async fn remove(
    State(api): State<Api>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let identity = api.authorize(Caller::of(&request), Role::Operator).await?;
    let actor = Actor::of(&request, &identity);
    let serial = parameter(&request)?;
    let of = serial.clone();
    let removed = api.audit.change(move |c| {
        if inventory::find(c, &identity.scope, &of)?.is_none() {
            return Ok((false, None));
        }
        if let Some(job) = store::active(c, &of)? {
            return Err(StoreError::Active { serial: of, job: job.id });
        }
        let removed = inventory::remove(c, &of)?;
        let entry = actor.entry(Action::ServerDelete, Some(of));
        Ok((removed, removed.then_some(entry)))
    });
    if !removed.await? {
        return Err(unknown(&serial));
    }
    tracing::info!(serial, "server removed");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_bmcs() {
        for good in
            ["https://bmc.example", "http://192.0.2.7:8000", "https://[2001:db8::1]/redfish/v1/"]
        {
            assert_eq!(check_bmc_url(good), Ok(()), "{good}");
        }
        for bad in ["", "bmc.example", "ftp://bmc.example", "https://", "https://bmc.example?a=b"] {
            assert!(check_bmc_url(bad).is_err(), "{bad}");
        }
        let reason = check_bmc_url("https://bmc.example:99999").unwrap_err();
        assert!(reason.contains("from 1 to 65535"), "{reason}");
        let with_user = format!("https://admin:x{}bmc.example", '@');
        assert!(check_bmc_url(&with_user).is_err());
    }
}
