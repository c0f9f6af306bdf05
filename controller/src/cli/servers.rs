// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `controller servers …`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use recipe::network::{Network, NetworkText};
use serde_json::{Value, json};

use super::client::{Connection, encode, print_json, read, secret, table, text};
use crate::api::views::{NewServer, Server, ServerList};
use crate::jobs::bmc::TlsPolicy;
use crate::labels::Labels;

#[derive(Debug, Args)]
pub(super) struct Servers {
    #[command(subcommand)]
    command: ServersCommand,
}

#[derive(Debug, Subcommand)]
enum ServersCommand {
    /// List servers
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show a server
    Get {
        /// Serial number
        serial: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Register a server, or change its BMC access
    Put(Box<Put>),
    /// Delete a server without an active job
    Delete {
        /// Serial number
        serial: String,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args)]
struct Put {
    /// Serial number, as the host reports it (DMI)
    serial: String,
    /// URL of the BMC
    #[arg(long, value_name = "URL")]
    bmc_url: String,
    /// BMC user
    #[arg(long, value_name = "NAME")]
    bmc_user: String,
    /// File with the password of the BMC user; if omitted, the stored one is kept, which requires
    /// the same scheme, host, port and TLS policy
    #[arg(long, value_name = "FILE")]
    bmc_password_file: Option<PathBuf>,
    /// Vendor profile; detected if omitted
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Label, for groups of API users; can be repeated. If omitted, the stored labels are kept
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// JSON file with the network of a host without DHCP; `null` in it selects DHCP. If omitted, the
    /// stored network is kept
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    #[command(flatten)]
    tls: Tls,
    #[command(flatten)]
    connection: Connection,
}

/// Verification of the BMC's certificate; default: the system's CA certificates.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Tls {
    /// PEM file with CA certificates for the BMC
    #[arg(id = "bmc_ca", long = "bmc-ca", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// SHA-256 of the BMC's certificate, whatever its issuer
    #[arg(id = "bmc_pin", long = "bmc-pin", value_name = "HEX")]
    pin: Option<String>,
    /// Do not verify the BMC's certificate: anyone with access to its network can read the password
    #[arg(id = "bmc_insecure", long = "bmc-insecure")]
    insecure: bool,
}

impl Tls {
    fn policy(&self) -> anyhow::Result<TlsPolicy> {
        if let Some(file) = &self.ca {
            let text = fs::read_to_string(file);
            let certificates = text.with_context(|| format!("cannot read {}", file.display()))?;
            return Ok(TlsPolicy::Ca { certificates });
        }
        Ok(match (&self.pin, self.insecure) {
            (Some(pin), _) => {
                // `openssl x509 -fingerprint` writes colons and upper case.
                TlsPolicy::Pin { sha256: pin.replace(':', "").to_lowercase() }
            }
            (None, true) => TlsPolicy::Off,
            (None, false) => TlsPolicy::System,
        })
    }
}

fn address(serial: &str) -> String {
    format!("/api/v1/servers/{}", encode(serial))
}

impl Servers {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            ServersCommand::List { connection } => {
                let client = connection.open()?;
                let mut servers = Vec::new();
                let mut after = Some(String::new());
                while let Some(last) = after {
                    let path = format!("/api/v1/servers?limit=1000&after={}", encode(&last));
                    let mut page = client.get(&path)?;
                    after = read::<ServerList>(&page)?.next_after;
                    if let Value::Array(more) = page["servers"].take() {
                        servers.extend(more);
                    }
                }
                let reply = json!({ "servers": servers });
                connection.show(&reply, |list: ServerList| {
                    let heading = ["SERIAL", "BMC", "PROFILE", "NETWORK", "ACTIVE JOB", "LABELS"];
                    table(heading, list.servers.into_iter().map(row));
                })
            }
            ServersCommand::Get { serial, connection } => {
                print_json(&connection.open()?.get(&address(&serial))?);
                Ok(())
            }
            ServersCommand::Put(put) => {
                let password = secret(put.bmc_password_file.as_ref(), "CONTROLLER_BMC_PASSWORD")?;
                let labels = Labels::parse(&put.labels).context("--label")?;
                let network = put.network.as_deref().map(read_network).transpose()?;
                let server = NewServer {
                    bmc_url: put.bmc_url,
                    username: put.bmc_user,
                    password,
                    profile: put.profile,
                    tls: put.tls.policy()?,
                    network,
                    labels: (!labels.is_empty()).then(|| labels.into()),
                };
                let client = put.connection.open()?;
                let body = serde_json::to_string(&server)?;
                let reply = client.send("PUT", &address(&put.serial), &[], Some(&body))?;
                put.connection.show(&reply, |server: Server| {
                    println!("server {} is registered", escape::text(&server.serial));
                })
            }
            ServersCommand::Delete { serial, connection } => {
                connection.open()?.send("DELETE", &address(&serial), &[], None)?;
                println!("server {serial} is deleted");
                Ok(())
            }
        }
    }
}

/// Reads the network of a host. Faults are reported with their place before anything is sent.
fn read_network(file: &Path) -> anyhow::Result<Option<NetworkText>> {
    let name = file.display();
    let bytes = fs::read(file).with_context(|| format!("read {name}"))?;
    let text: Option<NetworkText> =
        serde_json::from_slice(&bytes).with_context(|| name.to_string())?;
    let network = text.map(Network::try_from).transpose().with_context(|| name.to_string())?;
    Ok(network.map(NetworkText::from))
}

fn row(server: Server) -> [String; 6] {
    let (profile, job) = (text(server.profile), text(server.active_job));
    // A later controller may know networks that this program does not.
    let network = server.network.map_or_else(
        || "DHCP".to_owned(),
        |text| Network::try_from(text).map_or_else(|_| "other".to_owned(), |it| it.summary()),
    );
    [server.serial, server.bmc_url, profile, network, job, server.labels.to_string()]
}
