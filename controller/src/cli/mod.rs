// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The command line.

mod api;
mod audit;
mod client;
mod jobs;
mod packaging;
mod registry;
mod servers;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, ConfigError, LogFormat, Overrides};
use crate::jobs::redfish::Redfish;
use crate::logging;
use crate::serve::Server;

/// The provisioner's service: API, webhook, media and OCI registry.
#[derive(Debug, Parser)]
#[command(name = "controller", version = build_info::long_version(), after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Each value is looked for in the flags, then in the environment, then in the file.

Examples:
  controller serve --config /etc/provisioner/controller.toml
  controller serve --listen 127.0.0.1:0 --data-dir ./data
  controller config check --config controller.toml
  controller api hash-password < password.txt
  controller servers put CZ1234567X --bmc-url https://192.0.2.7 --bmc-user admin --bmc-password-file bmc.txt
  controller jobs create CZ1234567X recipe.json --watch
  controller registry gc --plan --data-dir ./data
  controller verify-release --release ./provisioner-1.4.0 --key cosign.pub

Exit codes: 0 done, 1 failed, 2 usage or configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until SIGTERM or SIGINT
    Serve(Serve),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make passwords and tokens for the API
    #[command(subcommand)]
    Api(api::ApiCommand),
    /// Make, watch, cancel and repeat jobs, by the API of a service that runs
    Jobs(jobs::Jobs),
    /// Show who changed what and who was refused, by the API of a service that runs
    Audit(audit::AuditCommand),
    /// Register, list and delete servers, by the API of a service that runs
    Servers(servers::Servers),
    /// Look after the registry's storage
    #[command(subcommand)]
    Registry(registry::RegistryCommand),
    /// Check a release, in a folder or a registry, from what was published and the public key alone
    ///
    /// A folder is checked without a network. Every fault is named; the table ends in VERIFIED or
    /// REJECTED. Get the public key from somewhere else than the release.
    #[command(after_help = verify::cli::EXIT_CODES)]
    VerifyRelease(verify::cli::Args),
    /// Write manual pages and completions for shells, as packages hold them
    #[command(hide = true)]
    Packaging(packaging::Packaging),
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    settings: Settings,
    /// Write the address that is listened on to this file, as http://ADDRESS:PORT
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Tell every fault of the configuration, each with its place and the expected form
    Check(Settings),
}

#[derive(Debug, Clone, Args)]
struct Settings {
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "CONTROLLER_CONFIG")]
    config: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one [file: server.listen] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT", env = "CONTROLLER_LISTEN")]
    listen: Option<SocketAddr>,
    /// Address for machines and BMCs alone [file: `server.machine_listen`] [default: none, all use --listen]
    #[arg(long, value_name = "ADDRESS:PORT", env = "CONTROLLER_MACHINE_LISTEN")]
    machine_listen: Option<SocketAddr>,
    /// Folder of everything that the service keeps [file: `storage.data_dir`] [default: /var/lib/provisioner]
    #[arg(long, value_name = "FOLDER", env = "CONTROLLER_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// How logs look [file: log.format] [default: text]
    #[arg(long, value_name = "FORMAT", env = "CONTROLLER_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, debug, trace, or directives [file: log.level] [default: info]
    #[arg(long, value_name = "LEVEL", env = "CONTROLLER_LOG_LEVEL")]
    log_level: Option<String>,
}

impl Settings {
    fn load(self) -> Result<Config, ConfigError> {
        let Self { config, listen, machine_listen, data_dir, log_format, log_level } = self;
        let overrides = Overrides { listen, machine_listen, data_dir, log_format, log_level };
        Config::load(config.as_deref(), overrides)
    }
}

impl Cli {
    /// Does what the command line says. The exit code is that of a command that did not fail.
    ///
    /// # Errors
    /// With a [`ConfigError`] where the configuration is at fault.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::VerifyRelease(args) => return Ok(args.run()),
            Command::Serve(serve) => {
                let config = serve.settings.clone().load()?;
                logging::start(&config.log_level, config.log_format)?;
                raise_open_files();
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .enable_all()
                    .build()
                    .context("start the runtime")?;
                let deadline =
                    runtime.block_on(run(config, serve.settings, serve.address_file.as_deref()))?;
                // Threads that still block are left behind: what they write appears whole or not at all.
                let left = deadline.saturating_duration_since(Instant::now());
                runtime.shutdown_timeout(left.max(LAST_MOMENT));
            }
            Command::Packaging(packaging) => packaging.run()?,
            Command::Registry(command) => command.run()?,
            Command::Api(command) => command.run()?,
            Command::Jobs(jobs) => jobs.run()?,
            Command::Servers(servers) => servers.run()?,
            Command::Audit(command) => command.run()?,
            Command::Config(ConfigCommand::Check(settings)) => {
                settings.load()?;
                println!("the configuration is good");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What blocking threads get at the end, however late it is.
const LAST_MOMENT: Duration = Duration::from_millis(100);
/// When the process ends whatever hangs, after the time that an orderly end may take.
const HARD_END: Duration = Duration::from_secs(5);

/// A connection takes a file handle, and so does what it reads: the soft limit, often 1,024, is for
/// programs that use select(2).
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays");
    }
}

/// Ends the process after `time`, from a thread that nothing else can hold up.
fn end_after(time: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(time);
        tracing::error!("ended by force: something did not end in time");
        std::process::exit(1);
    });
}

/// Serves until a signal comes; returns when the process must have ended.
async fn run(
    config: Config,
    settings: Settings,
    address_file: Option<&Path>,
) -> anyhow::Result<Instant> {
    let shutdown_timeout = config.shutdown_timeout;
    // Before the address is told: whoever reads it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    let redfish = Redfish::new(config.redfish.clone());
    let server = Server::bind(config, Arc::new(redfish)).await?;
    let scheme = if server.is_https() { "https" } else { "http" };
    let url = format!("{scheme}://{}", server.address().context("read the bound address")?);
    let reload = server.reload();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let (settings, reload) = (settings.clone(), reload.clone());
            let read = move || {
                let config = settings.load().map_err(|e| e.to_string())?;
                reload.apply(&config)
            };
            let read = tokio::task::spawn_blocking(read).await;
            match read.unwrap_or_else(|e| Err(e.to_string())) {
                Ok(()) => tracing::info!("users, tokens and certificates read again"),
                Err(error) => tracing::error!(
                    error,
                    "users, tokens and certificates stay as they were; fix: controller config check"
                ),
            }
        }
    });
    if let Some(path) = address_file {
        crate::durable::write(path, format!("{url}\n").as_bytes()).context("write the address")?;
    }
    println!("listening on {url}");
    if let Some(machines) = server.machine_address().context("read the bound address")? {
        println!("listening for machines on {scheme}://{machines}");
        tracing::info!(url = format!("{scheme}://{machines}"), "listening for machines");
    }
    tracing::info!(url, version = build_info::version(), "listening");
    let mut deadline = Instant::now();
    server
        .run(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            deadline = Instant::now() + shutdown_timeout;
            end_after(shutdown_timeout + HARD_END);
        })
        .await;
    Ok(deadline)
}
