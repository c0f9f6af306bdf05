// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `controller servers …`

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use escape::print_line;
use recipe::network::{Network, NetworkText};
use redfish::{Class, Component};
use serde_json::{Value, json};

use super::client::{Client, Connection, encode, print_json, read, secret, table, text};
use crate::api::views::{
    Hardware, ImportResult, NewOperation, NewServer, NewServers, Operation, Server, ServerList,
};
use crate::hardware::Change;
use crate::jobs::bmc::TlsPolicy;
use crate::labels::Labels;
use crate::operations::{Kind, State};

/// Polling interval of an operation.
const PERIOD: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Servers {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: ServersCommand,
}

#[derive(Debug, Subcommand)]
enum ServersCommand {
    /// List servers
    #[command(after_help = "Example:\n  controller servers list --selector site=berlin,rack=r7")]
    List {
        /// Only servers with all of these labels
        #[arg(long, value_name = "NAME=VALUE,...")]
        selector: Option<Labels>,
    },
    /// Show a server
    #[command(after_help = "Example:\n  controller servers get CZ1234567X")]
    Get {
        /// Serial number
        serial: String,
    },
    /// Register a server, or change its BMC access
    #[command(
        after_help = "Example:\n  controller servers put CZ1234567X --bmc-url https://192.0.2.7 --bmc-user admin --bmc-password-file bmc.txt"
    )]
    Put(Box<PutServerArgs>),
    /// Register or change the servers in a file, all or none
    #[command(
        after_help = "Example:\n  controller servers import servers.toml --bmc-password-file bmc.txt"
    )]
    Import {
        /// File with `servers` by serial number: TOML, or JSON if its name ends in .json
        file: PathBuf,
        /// File with the password of the BMC users, for servers without `password` in FILE
        #[arg(long, value_name = "FILE")]
        bmc_password_file: Option<PathBuf>,
    },
    /// Change the power of a host without an active job, and wait for the result
    #[command(after_help = "Example:\n  controller servers power cycle CZ1234567X")]
    Power {
        /// Change of the power
        action: PowerAction,
        /// Serial number
        serial: String,
    },
    /// Show or update the firmware of a host
    #[command(subcommand)]
    Firmware(FirmwareCommand),
    /// Read the hardware of a host without an active job from its BMC, and show it
    #[command(after_help = "Example:\n  controller servers inspect CZ1234567X")]
    Inspect {
        /// Serial number
        serial: String,
    },
    /// Show the last inspection of a host, with the changes since the one before
    #[command(after_help = "Example:\n  controller servers hardware CZ1234567X")]
    Hardware {
        /// Serial number
        serial: String,
    },
    /// Delete a server without an active job
    #[command(after_help = "Example:\n  controller servers delete CZ1234567X")]
    Delete {
        /// Serial number
        serial: String,
    },
}

#[derive(Debug, Subcommand)]
enum FirmwareCommand {
    /// List the firmware that the last inspection found
    #[command(after_help = "Example:\n  controller servers firmware list CZ1234567X")]
    List {
        /// Serial number
        serial: String,
    },
    /// Have the BMC of a host without an active job install an image, and wait for the result
    #[command(
        after_help = "Example:\n  controller servers firmware update CZ1234567X bios-2.0.0.bin"
    )]
    Update {
        /// Serial number
        serial: String,
        /// Name of a file in media/firmware of the data folder of the service
        image: String,
    },
}

/// A power operation.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum PowerAction {
    /// Power it on
    On,
    /// Power it off: gracefully, and by force after `redfish.graceful_timeout`
    Off,
    /// Power it off like `off`, then on
    Cycle,

    /// Restart it by force, or power it on
    Reset,
}

impl PowerAction {
    fn kind(self) -> Kind {
        match self {
            Self::On => Kind::PowerOn,
            Self::Off => Kind::PowerOff,
            Self::Cycle => Kind::PowerCycle,
            Self::Reset => Kind::PowerReset,
        }
    }
}

#[derive(Debug, Args)]
struct PutServerArgs {
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
        let Self { connection, command } = self;
        match command {
            ServersCommand::List { selector } => {
                let client = connection.open()?;
                let selector = selector.map(|it| format!("&selector={}", encode(&it.to_string())));
                let selector = selector.unwrap_or_default();
                let mut servers = Vec::new();
                let mut after = Some(String::new());
                while let Some(last) = after {
                    let path =
                        format!("/api/v1/servers?limit=1000&after={}{selector}", encode(&last));
                    let mut page = client.get(&path)?;
                    after = read::<ServerList>(&page)?.next_after;
                    if let Value::Array(more) = page["servers"].take() {
                        servers.extend(more);
                    }
                }
                let reply = json!({ "servers": servers });
                connection.show(&reply, |list: ServerList| {
                    let heading = ["SERIAL", "BMC", "PROFILE", "NETWORK", "ACTIVE JOB", "LABELS"];
                    table(heading, list.servers.into_iter().map(row))
                })
            }
            ServersCommand::Get { serial } => {
                Ok(print_json(&connection.open()?.get(&address(&serial))?)?)
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
                let client = connection.open()?;
                let body = serde_json::to_string(&server)?;
                let reply = client.send("PUT", &address(&put.serial), &[], Some(&body))?;
                connection.show(&reply, |server: Server| {
                    print_line(format_args!(
                        "server {} is registered",
                        escape::text(&server.serial)
                    ))
                })
            }
            ServersCommand::Import { file, bmc_password_file } => {
                let password = secret(bmc_password_file.as_ref(), "CONTROLLER_BMC_PASSWORD")?;
                let mut servers = read_servers(&file)?;
                for server in servers.servers.values_mut() {
                    server.password = server.password.take().or_else(|| password.clone());
                }
                let body = serde_json::to_string(&servers)?;
                let reply = connection.open()?.send("POST", "/api/v1/servers", &[], Some(&body))?;
                connection.show(&reply, |ImportResult { created, updated }| {
                    print_line(format_args!(
                        "registered {}, changed {}",
                        created.len(),
                        updated.len()
                    ))
                })
            }
            ServersCommand::Power { action, serial } => {
                let operation = NewOperation { kind: action.kind(), image: None };
                print_operation(&connection, &serial, &operation)
            }
            ServersCommand::Firmware(FirmwareCommand::Update { serial, image }) => {
                let operation = NewOperation { kind: Kind::FirmwareUpdate, image: Some(image) };
                print_operation(&connection, &serial, &operation)
            }
            ServersCommand::Firmware(FirmwareCommand::List { serial }) => {
                let reply = connection.open()?.get(&format!("{}/hardware", address(&serial)))?;
                connection.show(&reply, |hardware: Hardware| {
                    let firmware =
                        hardware.components.into_iter().filter(|it| it.class == Class::Firmware);
                    let row = |it: Component| {
                        [it.id, text(it.name), text(it.manufacturer), text(it.version)]
                    };
                    table(["ID", "NAME", "MANUFACTURER", "VERSION"], firmware.map(row))
                })
            }
            ServersCommand::Inspect { serial } => {
                let client = connection.open()?;
                operate(&client, &serial, &NewOperation { kind: Kind::Inspect, image: None })?;
                show_hardware(&client, &connection, &serial)
            }
            ServersCommand::Hardware { serial } => {
                show_hardware(&connection.open()?, &connection, &serial)
            }
            ServersCommand::Delete { serial } => {
                connection.open()?.send("DELETE", &address(&serial), &[], None)?;
                Ok(print_line(format_args!("server {serial} is deleted"))?)
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

/// Reads the servers of an import. Errors have the place, but no content: it may be a password.
fn read_servers(file: &Path) -> anyhow::Result<NewServers> {
    let name = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    if file.extension().is_some_and(|extension| extension == "json") {
        return serde_json::from_str(&text).with_context(|| format!("cannot read {name}"));
    }
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        anyhow::anyhow!("cannot read {name}: line {line}: {}", error.message())
    })
}

/// Starts an operation and waits for its end. Returns the server as JSON.
fn operate(client: &Client, serial: &str, operation: &NewOperation) -> anyhow::Result<Value> {
    let kind = operation.kind;
    let body = serde_json::to_string(operation)?;
    let path = format!("{}/operations", address(serial));
    let started: Operation = read(&client.send("POST", &path, &[], Some(&body))?)?;
    loop {
        let reply = client.get(&address(serial))?;
        let server: Server = read(&reply)?;
        let operation = server.operation.as_ref();
        let operation = operation.filter(|it| it.created_at == started.created_at);
        match operation.with_context(|| format!("server {serial}: a later operation runs"))? {
            Operation { state: State::Running, .. } => std::thread::sleep(PERIOD),
            Operation { state: State::Succeeded, .. } => return Ok(reply),
            Operation { state: State::Failed, message, .. } => {
                anyhow::bail!("server {serial}: {kind} failed: {}", escape::text(message))
            }
        }
    }
}

/// Executes an operation and prints its result.
fn print_operation(
    connection: &Connection,
    serial: &str,
    operation: &NewOperation,
) -> anyhow::Result<()> {
    let server = operate(&connection.open()?, serial, operation)?;
    connection.show(&server, |server: Server| {
        let message = text(server.operation.map(|operation| operation.message));
        print_line(format_args!("server {serial}: {}", escape::text(&message)))
    })
}

fn show_hardware(client: &Client, connection: &Connection, serial: &str) -> anyhow::Result<()> {
    let reply = client.get(&format!("{}/hardware", address(serial)))?;
    connection.show(&reply, |hardware: Hardware| {
        let heading = ["CLASS", "ID", "NAME", "MODEL", "SERIAL", "VERSION", "DETAILS"];
        table(heading, hardware.components.into_iter().map(component))?;
        for note in &hardware.notes {
            print_line(format_args!("not read: {}", escape::text(note)))?;
        }
        for warning in &hardware.warnings {
            print_line(format_args!("warning: {}", escape::text(warning)))?;
        }
        let Some(previous) = hardware.previous_at else { return Ok(()) };
        print_line(format_args!("\n{} changes since {previous}", hardware.changes.len()))?;
        for Change { class, id, field, before, after, .. } in hardware.changes {
            let what = match (field, before, after) {
                (Some(field), before, after) => {
                    let none = || "none".to_owned();
                    let (before, after) = (before.unwrap_or_else(none), after.unwrap_or_else(none));
                    format!("{field}: {before} → {after}")
                }
                (None, _, Some(after)) => format!("added: {after}"),
                (None, before, None) => format!("removed: {}", text(before)),
            };
            print_line(format_args!("{class} {}: {}", escape::text(&id), escape::text(&what)))?;
        }
        Ok(())
    })
}

fn component(component: Component) -> [String; 7] {
    let Component { bytes, cores, mac, technology, state, health, .. } = component;
    let details = [
        bytes.map(size),
        cores.map(|cores| format!("{cores} cores")),
        mac,
        technology,
        state,
        health,
    ];
    let model = [component.manufacturer, component.model, component.part_number];
    [
        component.class.to_string(),
        component.id,
        text(component.name),
        model.into_iter().flatten().collect::<Vec<_>>().join(" "),
        text(component.serial),
        text(component.version),
        details.into_iter().flatten().collect::<Vec<_>>().join(", "),
    ]
}

/// Formats a capacity: memory is sold in binary units, drives in decimal ones.
fn size(bytes: u64) -> String {
    const GIB: u64 = 1 << 30;
    if bytes.is_multiple_of(GIB) {
        format!("{} GiB", bytes / GIB)
    } else {
        format!("{} GB", bytes / 1_000_000_000)
    }
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
