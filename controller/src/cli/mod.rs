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
use escape::print_line;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, ConfigError, LogFormat, Overrides};
use crate::jobs::redfish::Redfish;
use crate::logging;
use crate::serve::Server;

/// Bare-metal provisioner: API, webhook, virtual media and OCI registry
#[derive(Debug, Parser)]
#[command(name = "controller", version = build_info::long_version(), after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Priority of values: flags, environment, configuration file.

Examples:
  controller serve --config /etc/provisioner/controller.toml
  controller serve --listen 127.0.0.1:0 --data-dir ./data
  controller config check --config controller.toml
  controller api hash-password < password.txt
  controller servers put CZ1234567X --bmc-url https://192.0.2.7 --bmc-user admin --bmc-password-file bmc.txt
  controller servers import servers.toml --bmc-password-file bmc.txt
  controller servers power off CZ1234567X
  controller servers inspect CZ1234567X
  controller jobs create CZ1234567X recipe.json --watch
  controller registry gc --plan --data-dir ./data
  controller verify-release --release ./provisioner-1.4.0 --key cosign.pub

Exit codes: 0 done, 1 failed, 2 usage or configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until SIGTERM or SIGINT
    #[command(
        after_help = "Example:\n  controller serve --config /etc/provisioner/controller.toml"
    )]
    Serve(Serve),
    /// Check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Hash passwords and issue tokens for the API
    #[command(subcommand)]
    Api(api::ApiCommand),
    /// Create, watch, cancel and retry jobs through the API of a running service
    Jobs(jobs::Jobs),
    /// Show the audit log through the API of a running service
    #[command(after_help = "Example:\n  controller audit --limit 20")]
    Audit(audit::AuditCommand),
    /// Register, inspect, power and delete servers through the API of a running service
    Servers(servers::Servers),
    /// Maintain the registry's storage
    #[command(subcommand)]
    Registry(registry::RegistryCommand),
    /// Verify a release in a folder or a registry with the public key
    ///
    /// A folder is verified offline. Every fault is listed; the table ends in VERIFIED or REJECTED.
    /// Get the public key from another source than the release.
    #[command(after_help = verify::cli::EXIT_CODES)]
    VerifyRelease(verify::cli::Args),
    /// Write the manual pages and shell completions of the packages
    #[command(hide = true)]
    Packaging(packaging::Packaging),
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    settings: Settings,
    /// Write the URL of the service to this file, as http://ADDRESS:PORT
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Report all faults of the configuration with location and expected form
    #[command(after_help = "Example:\n  controller config check --config controller.toml")]
    Check(Settings),
}

#[derive(Debug, Clone, Args)]
struct Settings {
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "CONTROLLER_CONFIG")]
    config: Option<PathBuf>,
    /// Address to listen on; port 0 selects a free one [file: server.listen] [default:
    /// 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT", env = "CONTROLLER_LISTEN")]
    listen: Option<SocketAddr>,
    /// Separate address for hosts and BMCs [file: `server.machine_listen`] [default: none, --listen
    /// serves them]
    #[arg(long, value_name = "ADDRESS:PORT", env = "CONTROLLER_MACHINE_LISTEN")]
    machine_listen: Option<SocketAddr>,
    /// Data folder [file: `storage.data_dir`] [default: /var/lib/provisioner]
    #[arg(long, value_name = "FOLDER", env = "CONTROLLER_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Log format [file: log.format] [default: text]
    #[arg(long, value_name = "FORMAT", env = "CONTROLLER_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// Log level: error, warn, info, debug, trace, or directives [file: log.level] [default: info]
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
    /// Executes the command. Returns the exit code of a command that did not fail.
    ///
    /// # Errors
    /// A [`ConfigError`] if the configuration is invalid.
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
                    .context("cannot start the async runtime")?;
                let deadline =
                    runtime.block_on(run(config, serve.settings, serve.address_file.as_deref()))?;
                // Blocked threads are abandoned: their writes are atomic.
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
                print_line("the configuration is valid")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Minimum time for blocking threads at shutdown.
const LAST_MOMENT: Duration = Duration::from_millis(100);
/// Time after the graceful shutdown until the process is terminated.
const HARD_END: Duration = Duration::from_secs(5);

/// Raises the soft limit of open files to the hard limit. Each connection and each served file
/// takes one. The usual soft limit of 1,024 is for programs that use select(2).
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}

/// Terminates the process after `time`, from its own thread.
fn terminate_after(time: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(time);
        tracing::error!("graceful shutdown timed out, terminating");
        std::process::exit(1);
    });
}

/// Serves until a signal arrives. Returns the deadline of the shutdown.
async fn run(
    config: Config,
    settings: Settings,
    address_file: Option<&Path>,
) -> anyhow::Result<Instant> {
    let shutdown_timeout = config.shutdown_timeout;
    // Before the address is printed: its reader may send a signal at once.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let redfish = Redfish::new(config.redfish.clone());
    let server = Server::bind(config, Arc::new(redfish)).await?;
    let scheme = if server.is_https() { "https" } else { "http" };
    let url = format!("{scheme}://{}", server.address().context("cannot read the bound address")?);
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
                Ok(()) => tracing::info!("reloaded users, tokens and certificates"),
                Err(error) => tracing::error!(
                    error,
                    "reload failed, users, tokens and certificates are unchanged; fix: controller config check"
                ),
            }
        }
    });
    if let Some(path) = address_file {
        crate::durable::write(path, format!("{url}\n").as_bytes())
            .context("cannot write the address file")?;
    }
    print_line(format_args!("listening on {url}"))?;
    if let Some(machines) = server.machine_address().context("cannot read the bound address")? {
        print_line(format_args!("listening for hosts on {scheme}://{machines}"))?;
        tracing::info!(url = format!("{scheme}://{machines}"), "listening for hosts");
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
            terminate_after(shutdown_timeout + HARD_END);
        })
        .await;
    Ok(deadline)
}

#[cfg(test)]
mod tests;
