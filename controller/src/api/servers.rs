// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/api/v1/servers`: hosts and their BMCs. Passwords are write-only.

use axum::extract::State;
use axum::http::StatusCode;
use recipe::ShortText;
use recipe::network::Network;
use rusqlite::Connection;
use serde::Deserialize;

use super::extract::{Caller, Limit, Operator, Path, Query, RawBody, Reader};
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
use crate::labels::{LabelError, Labels, Scope};
use crate::operations;

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
    /// Only servers with all of these labels: `NAME=VALUE`, separated by commas.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    selector: Option<Selector>,
}

/// Labels in a query.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Selector(Labels);

impl TryFrom<String> for Selector {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Self, LabelError> {
        text.parse().map(Self)
    }
}

/// A valid [`NewServer`].
pub(super) struct ValidServer {
    bmc_url: String,
    username: String,
    password: Option<Secret>,
    profile: Option<String>,
    tls: TlsPolicy,
    /// None: the stored labels are kept.
    labels: Option<Labels>,
    /// None: the stored network is kept.
    #[expect(clippy::option_option, reason = "null removes the network, and absence keeps it")]
    network: Option<Option<Network>>,
}

impl NewServer {
    /// Returns the valid server, or every fault in the form of recipe validation. Paths begin with
    /// `place`.
    pub(super) fn check(self, place: &str, profiles: &[&str]) -> Result<ValidServer, Vec<Detail>> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, code: &'static str, message: &str| {
            faults.push(Detail::new(format!("{place}{path}"), code, message));
        };
        if let Err(reason) = check_bmc_url(&self.bmc_url) {
            fault("/bmc_url", "format", &reason);
        }
        if self.bmc_url.len() > LONGEST_URL {
            fault("/bmc_url", "length", "must have at most 2048 bytes");
        }
        let labels = self.labels.map(Labels::try_from).transpose();
        let labels = labels.unwrap_or_else(|error| {
            fault("/labels", "format", &error.to_string());
            None
        });
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
        let network = self.network.map(|network| network.map(Network::try_from).transpose());
        let network = network.transpose().unwrap_or_else(|error| {
            let details = error.into_faults(&format!("{place}/network")).into_iter();
            faults.extend(details.map(|fault| Detail::new(fault.path, fault.code, fault.message)));
            None
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(ValidServer {
            bmc_url: self.bmc_url,
            username: self.username,
            password: self.password.map(Secret::new),
            profile: self.profile,
            tls: self.tls,
            labels,
            network,
        })
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

/// Returns a server with its active job and its last operation.
fn with_job(connection: &Connection, server: inventory::Server) -> Result<Server, StoreError> {
    let active = store::active(connection, &server.serial)?;
    let operation = operations::find(connection, &server.serial)?;
    Ok(Server::new(server, active.map(|job| job.id), operation))
}

/// Returns at most `limit` servers that match `selector`, after `after`, by serial number.
pub(crate) fn page(
    connection: &Connection,
    scope: &Scope,
    selector: &Scope,
    after: &str,
    limit: u32,
) -> Result<Vec<Server>, StoreError> {
    let servers = inventory::list(connection, scope, selector, after, limit)?;
    servers.into_iter().map(|server| with_job(connection, server)).collect()
}

/// `GET /api/v1/servers?limit=…&after=…&selector=…`
pub(super) async fn list(
    State(api): State<Api>,
    Caller { scope, .. }: Caller<Reader>,
    Query(ListQuery { limit, after, selector }): Query<ListQuery>,
) -> Result<Json<ServerList>, Problem> {
    let after = after.unwrap_or_default();
    let selector = selector.map_or(Scope::ALL, |Selector(labels)| Scope::groups([&labels]));
    let read = move |c: &Connection| page(c, &scope, &selector, &after, limit.get());
    let servers = api.database.read(read).await?;
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

impl ValidServer {
    /// Returns the server as stored, if it is registered. It must be in the user's groups.
    fn read_stored(
        c: &Connection,
        serial: &str,
        caller: &Caller<Operator>,
    ) -> Result<Option<inventory::Server>, StoreError> {
        let stored = inventory::find(c, &Scope::ALL, serial)?;
        if stored.is_some() && inventory::find(c, &caller.scope, serial)?.is_none() {
            return Err(StoreError::OtherGroup(serial.to_owned()));
        }
        Ok(stored)
    }

    /// Returns why a password must be sent, if one is missing. A stored one is only kept for the
    /// same BMC.
    pub(super) fn missing_password(
        &self,
        c: &Connection,
        serial: &str,
        caller: &Caller<Operator>,
    ) -> Result<Option<&'static str>, StoreError> {
        if self.password.is_some() {
            return Ok(None);
        }
        Ok(match Self::read_stored(c, serial, caller)? {
            None => Some("is required for a new server"),
            Some(stored) if !stored.has_destination(&self.bmc_url, &self.tls) => Some(
                "is required: scheme, host, port or TLS policy of the BMC change, \
                 and a stored password is never sent to another destination",
            ),
            Some(_) => None,
        })
    }

    /// Registers or changes a server that has no [`missing_password`](Self::missing_password). It
    /// must be in the user's groups before and after. Returns whether it is new, the server, and the
    /// audit entry.
    pub(super) fn put(
        self,
        c: &Connection,
        keys: &Keyring,
        serial: &str,
        caller: &Caller<Operator>,
    ) -> Result<(bool, Server, Entry), StoreError> {
        let stored = Self::read_stored(c, serial, caller)?;
        let password = match (self.password, &stored) {
            (Some(password), _) => password,
            (None, Some(stored)) => stored.target(keys).map_err(DatabaseError::from)?.password,
            (None, None) => return Err(StoreError::NoServer(serial.to_owned())),
        };
        let stored_labels = || stored.map(|server| server.labels).unwrap_or_default();
        let labels = self.labels.unwrap_or_else(stored_labels);
        let target = Target {
            serial: serial.to_owned(),
            bmc_url: self.bmc_url,
            username: self.username,
            password,
            profile: self.profile,
            tls: self.tls,
        };
        let new = inventory::put(c, keys, &target, &labels, &caller.name)?;
        if let Some(network) = self.network {
            inventory::set_network(c, serial, network.as_ref())?;
        }
        // The error rolls the change back.
        let server = inventory::find(c, &caller.scope, serial)?
            .ok_or_else(|| StoreError::OtherGroup(serial.to_owned()))?;
        let action = if new { Action::ServerCreate } else { Action::ServerUpdate };
        let detail = Some(format!("BMC {}", server.bmc_url));
        let entry = Entry { detail, ..caller.entry(action, Some(serial.to_owned())) };
        Ok((new, with_job(c, server)?, entry))
    }
}

/// `PUT /api/v1/servers/{serial}`
pub(super) async fn put(
    State(api): State<Api>,
    caller: Caller<Operator>,
    Path(serial): Path<String>,
    sent: RawBody<SMALL_BODY>,
) -> Result<Json<Server>, Problem> {
    let serial = serial.parse::<ShortText>();
    let serial = serial.map_err(|e| Problem::bad_request(format!("serial: {e}")))?;
    let sent: NewServer = sent.parse()?;
    let checked = sent.check("", &api.profiles).map_err(invalid)?;
    let keys = api.database.keys();
    let put = move |c: &Connection| {
        let serial = serial.as_ref();
        if let Some(message) = checked.missing_password(c, serial, &caller)? {
            return Ok((Err(message), None));
        }
        let (new, server, entry) = checked.put(c, &keys, serial, &caller)?;
        Ok((Ok((new, server)), Some(entry)))
    };
    let (new, server) = api
        .audit
        .change(put)
        .await?
        .map_err(|message| invalid(vec![Detail::new("/password", "required", message)]))?;
    tracing::info!(serial = server.serial, new, "server");
    Ok(Json(if new { StatusCode::CREATED } else { StatusCode::OK }, server))
}

pub(super) fn invalid(faults: Vec<Detail>) -> Problem {
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
        store::require_no_operation(c, &serial)?;
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
