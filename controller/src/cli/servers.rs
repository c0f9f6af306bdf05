// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `controller servers …`

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Connection, encode, print_json, secret, shown, table, text};
use crate::labels::Labels;

#[derive(Debug, Args)]
pub(super) struct Servers {
    #[command(subcommand)]
    command: ServersCommand,
}

#[derive(Debug, Subcommand)]
enum ServersCommand {
    /// List the servers
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show a server
    Get {
        /// Its serial number
        serial: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Register a server, or change how its BMC is reached
    Put(Box<Put>),
    /// Delete a server that has no active job
    Delete {
        /// Its serial number
        serial: String,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args)]
struct Put {
    /// Its serial number, as the host reports it (DMI)
    serial: String,
    /// Address of the BMC
    #[arg(long, value_name = "URL")]
    bmc_url: String,
    /// User of the BMC
    #[arg(long, value_name = "NAME")]
    bmc_user: String,
    /// File with the password of that user; without it, the known password stays, which takes the same
    /// scheme, host, port and TLS policy
    #[arg(long, value_name = "FILE")]
    bmc_password_file: Option<PathBuf>,
    /// Vendor profile; found out where it is not given
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Label, by which groups of API users are limited to servers; repeat it for each. Without any, the known
    /// labels stay
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    #[command(flatten)]
    tls: Tls,
    #[command(flatten)]
    connection: Connection,
}

/// How the BMC's certificate is checked; by the system's authorities unless told.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Tls {
    /// File with the authorities that the BMC's certificate may come from (PEM)
    #[arg(id = "bmc_ca", long = "bmc-ca", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// SHA-256 of the BMC's certificate, whoever issued it
    #[arg(id = "bmc_pin", long = "bmc-pin", value_name = "HEX")]
    pin: Option<String>,
    /// Don't check the BMC's certificate: whoever can reach its network can read the password
    #[arg(id = "bmc_insecure", long = "bmc-insecure")]
    insecure: bool,
}

impl Tls {
    fn policy(&self) -> anyhow::Result<Value> {
        if let Some(file) = &self.ca {
            let text = fs::read_to_string(file);
            let text = text.with_context(|| format!("read {}", file.display()))?;
            return Ok(json!({ "verify": "ca", "certificates": text }));
        }
        Ok(match (&self.pin, self.insecure) {
            (Some(pin), _) => {
                // As `openssl x509 -fingerprint` writes it, too.
                json!({ "verify": "pin", "sha256": pin.replace(':', "").to_lowercase() })
            }
            (None, true) => json!({ "verify": "off" }),
            (None, false) => json!({ "verify": "system" }),
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
                let (mut servers, mut after) = (Vec::new(), String::new());
                loop {
                    let path = format!("/api/v1/servers?limit=1000&after={}", encode(&after));
                    let answer = client.get(&path)?;
                    servers.extend(answer["servers"].as_array().into_iter().flatten().cloned());
                    after = text(&answer, "next_after");
                    if after.is_empty() {
                        break;
                    }
                }
                if connection.json {
                    print_json(&json!({ "servers": servers }));
                    return Ok(());
                }
                let fields = ["serial", "bmc_url", "profile", "active_job"];
                let row = |server: &Value| {
                    let fields = fields.iter().map(|field| shown(server, field));
                    let labels: Labels =
                        serde_json::from_value(server["labels"].clone()).unwrap_or_default();
                    fields.chain([labels.to_string()]).collect()
                };
                let rows: Vec<Vec<String>> = servers.iter().map(row).collect();
                table(&["SERIAL", "BMC", "PROFILE", "ACTIVE JOB", "LABELS"], &rows);
                Ok(())
            }
            ServersCommand::Get { serial, connection } => {
                print_json(&connection.open()?.get(&address(&serial))?);
                Ok(())
            }
            ServersCommand::Put(put) => {
                let password = secret(put.bmc_password_file.as_ref(), "CONTROLLER_BMC_PASSWORD")?;
                let labels = Labels::parse(&put.labels).context("--label")?;
                let mut body = json!({
                    "bmc_url": put.bmc_url,
                    "username": put.bmc_user,
                    "tls": put.tls.policy()?,
                });
                if let Value::Object(fields) = &mut body {
                    fields.extend(password.map(|it| ("password".to_owned(), it.into())));
                    fields.extend(put.profile.map(|it| ("profile".to_owned(), it.into())));
                    let labels = (!labels.is_empty()).then(|| json!(labels));
                    fields.extend(labels.map(|it| ("labels".to_owned(), it)));
                }
                let client = put.connection.open()?;
                let body = body.to_string();
                let answer = client.send("PUT", &address(&put.serial), &[], Some(&body))?;
                if put.connection.json {
                    print_json(&answer);
                } else {
                    println!("server {} is registered", put.serial);
                }
                Ok(())
            }
            ServersCommand::Delete { serial, connection } => {
                connection.open()?.send("DELETE", &address(&serial), &[], None)?;
                println!("server {serial} is deleted");
                Ok(())
            }
        }
    }
}
