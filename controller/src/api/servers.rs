// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/api/v1/servers`: hosts and their BMCs. Passwords are write-only.

use axum::extract::State;
use axum::http::StatusCode;
use recipe::ShortText;
use recipe::network::Network;
use rusqlite::Connection;
use serde::Deserialize;

use super::extract::{Caller, Limit, Operator, Path, Query, Reader, Sent};
use super::problem::Problem;
use super::reply::Json;
use super::views::{Detail, LONGEST, LONGEST_URL, NewServer, Server, ServerList};
use super::{Api, SMALL_BODY};
use crate::audit::{Action, Entry};
use crate::database::DatabaseError;
use crate::inventory;
use crate::jobs::bmc::{Secret, Target, TlsPolicy};
use crate::jobs::store::{self, StoreError};
use crate::keyring::Keyring;
use crate::labels::{Labels, Scope};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct ListQuery {
    /// Maximum number of servers.
    #[serde(default)]
    limit: Limit<100, 1000>,
    /// Only servers after this one: `next_after` of the previous page.
    #[cfg_attr(test, schemars(with = "Option<super::schemas::Serial>"))]
    after: Option<String>,
}

impl NewServer {
    /// Returns every fault, in the form of recipe validation.
    fn faults(&self, profiles: &[&str]) -> Vec<Detail> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, code: &'static str, message: &str| {
            faults.push(Detail::new(path, code, message));
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
        if let Some(Some(network)) = &self.network
            && let Err(error) = Network::try_from(network.clone())
        {
            let details = error.into_faults("/network").into_iter();
            faults.extend(details.map(|fault| Detail::new(fault.path, fault.code, fault.message)));
        }
        faults
    }
}

/// Checks a BMC URL with the parser of the Redfish client.
fn check_bmc_url(text: &str) -> Result<(), String> {
    if !text.contains("://") {
        return Err("must begin with https:// or http://".to_owned());
    }
    text.parse::<redfish::Address>().map(|_| ()).map_err(|error| error.to_string())
}

fn is_sha256(text: &str) -> bool {
    text.parse::<recipe::Sha256Hex>().is_ok()
}

/// Returns a server with its active job.
fn with_job(connection: &Connection, server: inventory::Server) -> Result<Server, StoreError> {
    let active = store::active(connection, &server.serial)?;
    Ok(Server::new(server, active.map(|job| job.id)))
}

/// Returns at most `limit` servers after `after`, by serial number.
pub(crate) fn page(
    connection: &Connection,
    scope: &Scope,
    after: &str,
    limit: u32,
) -> Result<Vec<Server>, StoreError> {
    let servers = inventory::list(connection, scope, after, limit)?;
    servers.into_iter().map(|server| with_job(connection, server)).collect()
}

/// `GET /api/v1/servers?limit=…&after=…`
pub(super) async fn list(
    State(api): State<Api>,
    Caller { scope, .. }: Caller<Reader>,
    Query(ListQuery { limit, after }): Query<ListQuery>,
) -> Result<Json<ServerList>, Problem> {
    let after = after.unwrap_or_default();
    let servers = api.database.read(move |c| page(c, &scope, &after, limit.get())).await?;
    let next_after = limit.next(&servers, |server| server.serial.clone());
    Ok(Json(StatusCode::OK, ServerList { servers, next_after }))
}

/// `GET /api/v1/servers/{serial}`
pub(super) async fn get(
    State(api): State<Api>,
    Caller { scope, .. }: Caller<Reader>,
    Path(serial): Path<String>,
) -> Result<Json<Server>, Problem> {
    let find = move |c: &Connection| match inventory::find(c, &scope, &serial)? {
        Some(server) => with_job(c, server),
        None => Err(StoreError::NoServer(serial)),
    };
    Ok(Json(StatusCode::OK, api.database.read(find).await?))
}

/// Result of a PUT request.
enum Put {
    Done {
        new: bool,
        server: Box<Server>,
    },
    /// The request needs a password; the text states why.
    NeedsPassword(&'static str),
}

impl NewServer {
    /// Registers or changes a server. A stored password is only kept for the same BMC. The server
    /// must be in the user's groups before and after.
    fn put(
        self,
        c: &Connection,
        keys: &Keyring,
        serial: &str,
        caller: &Caller<Operator>,
    ) -> Result<Put, StoreError> {
        let Caller { name: user, scope, .. } = caller;
        let before = inventory::find(c, &Scope::ALL, serial)?;
        if before.is_some() && inventory::find(c, scope, serial)?.is_none() {
            return Err(StoreError::OtherGroup(serial.to_owned()));
        }
        let password = match (self.password, &before) {
            (Some(password), _) => Secret::new(password),
            (None, None) => return Ok(Put::NeedsPassword("is required for a new server")),
            (None, Some(before)) if !before.has_destination(&self.bmc_url, &self.tls) => {
                let message = "is required: scheme, host, port or TLS policy of the BMC change, \
                               and a stored password is never sent to another destination";
                return Ok(Put::NeedsPassword(message));
            }
            (None, Some(before)) => before.target(keys).map_err(DatabaseError::from)?.password,
        };
        let labels = match self.labels {
            // Validated before.
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
        if let Some(network) = self.network {
            // Validated before.
            let network = network.and_then(|network| Network::try_from(network).ok());
            inventory::set_network(c, serial, network.as_ref())?;
        }
        // The error rolls the change back.
        let server = inventory::find(c, scope, serial)?
            .ok_or_else(|| StoreError::OtherGroup(serial.to_owned()))?;
        Ok(Put::Done { new, server: with_job(c, server)?.into() })
    }
}

/// `PUT /api/v1/servers/{serial}`
pub(super) async fn put(
    State(api): State<Api>,
    caller: Caller<Operator>,
    Path(serial): Path<String>,
    sent: Sent<SMALL_BODY>,
) -> Result<Json<Server>, Problem> {
    let serial = serial.parse::<ShortText>();
    let serial = serial.map_err(|e| Problem::bad_request(format!("serial: {e}")))?;
    let sent: NewServer = sent.parse()?;
    let faults = sent.faults(&api.profiles);
    if !faults.is_empty() {
        return Err(invalid(faults));
    }
    let keys = api.database.keys();
    let put = move |c: &Connection| {
        let put = sent.put(c, &keys, serial.as_ref(), &caller)?;
        let entry = match &put {
            Put::Done { new, server } => {
                let action = if *new { Action::ServerCreate } else { Action::ServerUpdate };
                let detail = Some(format!("BMC {}", server.bmc_url));
                Some(Entry { detail, ..caller.entry(action, Some(serial.to_string())) })
            }
            Put::NeedsPassword(_) => None,
        };
        Ok((put, entry))
    };
    let (new, server) = match api.audit.change(put).await? {
        Put::Done { new, server } => (new, server),
        Put::NeedsPassword(message) => {
            return Err(invalid(vec![Detail::new("/password", "required", message)]));
        }
    };
    tracing::info!(serial = server.serial, new, "server");
    Ok(Json(if new { StatusCode::CREATED } else { StatusCode::OK }, *server))
}

fn invalid(faults: Vec<Detail>) -> Problem {
    Problem::validation("invalid server, see details", faults)
}

/// `DELETE /api/v1/servers/{serial}`
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Caller<Operator>,
    Path(serial): Path<String>,
) -> Result<StatusCode, Problem> {
    let removed = api.audit.change(move |c| {
        if inventory::find(c, &caller.scope, &serial)?.is_none() {
            return Err(StoreError::NoServer(serial));
        }
        if let Some(job) = store::active(c, &serial)? {
            return Err(StoreError::Active { serial, job: job.id });
        }
        inventory::remove(c, &serial)?;
        let entry = caller.entry(Action::ServerDelete, Some(serial.clone()));
        Ok((serial, Some(entry)))
    });
    let serial = removed.await?;
    tracing::info!(serial, "server removed");
    Ok(StatusCode::NO_CONTENT)
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
