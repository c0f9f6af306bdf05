// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The service: opens its state, listens, serves, and shuts down gracefully.
//!
//! By default one listener serves everything. With a second one for hosts and BMCs, that one serves
//! webhook, media, pulls and health, and the first serves the rest.

mod collection;
mod connection;
mod layers;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

use crate::admission::ConnectionLimiter;
use crate::api::auth::{Auth, Directory};
use crate::api::webhook::Secrets;
use crate::api::{Access, Api};
use crate::audit::Audit;
use crate::blocking::{CHANGES, PoolWatchdog};
use crate::config::{self, Config};
use crate::dashboard;
use crate::database::Database;
use crate::health::{self, HealthSources};
use crate::jobs::bmc::Bmc;
use crate::jobs::published::Published;
use crate::jobs::runner::Runner;
use crate::logins::Logins;
use crate::media::{self, Media};
use crate::metrics::Metrics;
use crate::open;
use crate::operations;
use crate::registry::http::Registry;
use crate::registry::storage::Storage;
use crate::tls::Tls;
use collection::Schedule;
use connection::ListenerSettings;

/// Connections that wait to be accepted: a burst of idle ones must not make the kernel drop the
/// next, which is repeated after a second. The kernel limits it to `net.core.somaxconn`, 4096 by
/// default.
const BACKLOG: u32 = 4096;
/// Pause after accept(2) failed, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Interval of checks for idle uploads.
const EXPIRY_PERIOD: Duration = Duration::from_hours(1);
/// Time limit for releasing leases after BMC operations have ended.
const HANDING_BACK: Duration = Duration::from_secs(1);

/// The service, bound to its addresses but not serving yet.
pub struct Server {
    operators: Listener,
    /// Separate listener for hosts and BMCs, if configured.
    machines: Option<Listener>,
    storage: Arc<Storage>,
    runner: Arc<Runner>,
    watchdog: Arc<PoolWatchdog>,
    tls: Option<Arc<Tls>>,
    metrics: Arc<Metrics>,
    reload: Reload,
    config: Config,
}

/// Reloads the settings that can change at run time: users, roles, groups, tokens and certificates.
#[derive(Clone)]
pub struct Reload {
    api: Api,
    registry: Arc<Registry>,
    tls: Option<Arc<Tls>>,
}

impl Reload {
    /// Loads the files that `config` names, and applies all or none.
    ///
    /// # Errors
    /// Names the invalid file.
    pub fn apply(&self, config: &Config) -> Result<(), String> {
        let directory = Directory::read(&config.api)?;
        let users = config.registry.read_users()?;
        if let Some(tls) = &self.tls {
            tls.reload()?;
        }
        self.api.auth.replace(directory);
        self.registry.replace_users(users);
        Ok(())
    }
}

/// A bound address and its router.
struct Listener {
    socket: TcpListener,
    limiter: Arc<ConnectionLimiter>,
    terms: ListenerSettings,
}

impl Server {
    /// Opens the data folder and binds the addresses.
    ///
    /// # Errors
    /// If the folder or an address is in use or unavailable.
    pub async fn bind(mut config: Config, bmc: Arc<dyn Bmc>) -> anyhow::Result<Self> {
        let storage = Storage::open(config.registry_dir()).context("cannot open the registry")?;
        let users = config.registry.read_users().map_err(anyhow::Error::msg)?;
        let operators = listen(config.listen)?;
        let machines = match config.machine_listen {
            Some(address) => Some(listen(address)?),
            None => None,
        };
        let tls = config.tls.clone().map(Tls::open).transpose()?.map(Arc::new);
        if let (None, Some(machines)) = (&config.jobs.url, &machines) {
            config.jobs.url = machine_url(machines.local_addr()?, tls.is_some());
        }
        let media =
            Media::open(media::folder(&config.data_dir)).context("cannot open the media folder")?;
        let database = open::database(&config)?;
        let secrets = config::read_secrets(&config.webhook.secrets).map_err(anyhow::Error::msg)?;
        if config.webhook.accept_fleet_secret {
            tracing::warn!(
                "anyone with a secret of webhook.secrets can end the job of any server; fix: remove \
                 webhook.accept_fleet_secret from controller.toml"
            );
        }
        let published = Published::new(
            Arc::clone(&media),
            &config.jobs,
            // The first secret is the current one, also during a rotation.
            secrets.first().cloned(),
            config.jobs.read_ca().map_err(anyhow::Error::msg)?,
        );
        let settings = config.jobs.read_settings().map_err(anyhow::Error::msg)?;
        let runner = Runner::new(database.clone(), bmc, Arc::new(published), settings);
        let metrics = Arc::new(Metrics::default());
        let resumed = operations::resume(&database, &runner.bmc(), &metrics).await;
        resumed.context("cannot resume operations")?;
        let audit = Audit::new(database.clone(), config.audit);
        let logins = Logins::new(Arc::clone(&metrics)).with_audit(audit.clone());
        let logins = Arc::new(logins);
        let rules = config.registry.rules.clone();
        let registry =
            Registry::new(Arc::clone(&storage), rules, users, Arc::clone(&logins), audit.clone());
        let registry = Arc::new(registry);
        let secrets = Secrets::new(secrets, config.webhook.accept_fleet_secret);
        let api = api(&config, secrets, &database, &runner, &metrics, logins, audit)?;
        let reload = Reload { api: api.clone(), registry: Arc::clone(&registry), tls: tls.clone() };
        let limiter = ConnectionLimiter::new(config.connections);
        let machine_limiter = ConnectionLimiter::new(config.machine_connections);
        let watchdog = Arc::new(PoolWatchdog::new());
        let observed = HealthSources::new(
            Arc::clone(&storage),
            database,
            Arc::clone(&runner),
            Arc::clone(&metrics),
            vec![Arc::clone(&limiter), Arc::clone(&machine_limiter)],
            Arc::clone(&watchdog),
        );
        let pages = dashboard::router(api.clone(), Arc::clone(&storage));
        let common = Router::new()
            .merge(health::router(observed.clone()))
            .merge(health::metrics_router(observed.clone()))
            .merge(pages)
            .merge(Arc::clone(&registry).router());
        let listener = |socket, limiter, router| Listener {
            socket,
            limiter,
            terms: ListenerSettings {
                router: layers::add_layers(router, Arc::clone(&metrics)),
                tls: tls.clone(),
                proxies: config.trusted_proxies.clone().into(),
                stall_timeout: config.stall_timeout,
            },
        };
        let (operators, machines) = match machines {
            None => {
                let all = common.merge(api.router()).merge(media.router());
                (listener(operators, limiter, all), None)
            }
            Some(machines) => {
                let theirs = Router::new()
                    .merge(health::router(observed))
                    .merge(api.clone().machine_router())
                    .merge(media.router())
                    .merge(registry.pull_router());
                let ours = common.merge(api.operator_router());
                (
                    listener(operators, limiter, ours),
                    Some(listener(machines, machine_limiter, theirs)),
                )
            }
        };
        Ok(Self { operators, machines, storage, runner, watchdog, tls, metrics, reload, config })
    }

    /// Returns the bound address, with the actual port for port 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.operators.socket.local_addr()
    }

    /// Returns the address of the separate listener for hosts, if configured.
    pub fn machine_address(&self) -> io::Result<Option<SocketAddr>> {
        self.machines.as_ref().map(|machines| machines.socket.local_addr()).transpose()
    }

    /// Returns the handle for reloading settings.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Returns whether the service uses HTTPS.
    pub fn is_https(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves until `stop` is done, then shuts down: requests and BMC operations get the configured
    /// time to finish, and leases are released.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self {
            operators,
            machines,
            storage,
            runner,
            watchdog,
            tls: _,
            metrics,
            reload: _,
            config,
        } = self;
        let schedule = Schedule::start(Arc::clone(&storage), config.registry.clone(), metrics);
        let schedule = schedule.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot start the schedule of the garbage collection");
            None
        });
        let expiry = tokio::spawn(expire_uploads(storage, config.registry.upload_expiry));
        let watchdog = tokio::spawn(async move { watchdog.watch().await });
        let (stop_jobs, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let jobs = tokio::spawn(runner.run(stopped, config.shutdown_timeout));
        let connections = GracefulShutdown::new();
        let accepting = async {
            match machines {
                None => operators.accept(&connections).await,
                Some(machines) => {
                    tokio::join!(operators.accept(&connections), machines.accept(&connections));
                }
            }
        };
        tokio::select! {
            () = stop => {}
            () = accepting => {}
        }
        expiry.abort();
        drop(schedule);
        watchdog.abort();
        drop(stop_jobs);
        let deadline = Instant::now() + config.shutdown_timeout;
        tracing::info!(open = connections.count(), "stopping");
        if timeout_at(deadline, connections.shutdown()).await.is_err() {
            tracing::warn!(after = ?config.shutdown_timeout, "open requests aborted");
        }
        match timeout_at(deadline + HANDING_BACK, jobs).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot release leases, they will expire");
            }
            Err(_) => tracing::error!("cannot release leases in time, they will expire"),
        }
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().with_context(|| format!("cannot listen on {address}"))
}

/// Returns the URL of the listener for hosts; None for an unspecified address such as 0.0.0.0.
fn machine_url(address: SocketAddr, https: bool) -> Option<String> {
    let scheme = if https { "https" } else { "http" };
    (!address.ip().is_unspecified()).then(|| format!("{scheme}://{address}"))
}

/// Builds the API with the configured logins and secrets.
fn api(
    config: &Config,
    secrets: Secrets,
    database: &Database,
    runner: &Arc<Runner>,
    metrics: &Arc<Metrics>,
    logins: Arc<Logins>,
    audit: Audit,
) -> anyhow::Result<Api> {
    let auth = Auth::new(Directory::read(&config.api).map_err(anyhow::Error::msg)?);
    let access = Access { auth, logins, audit };
    // Any realistic limit has an exact float representation.
    let rate = f64::from(u32::try_from(config.api.requests_per_second).unwrap_or(u32::MAX));
    let (database, runner, metrics) = (database.clone(), Arc::clone(runner), Arc::clone(metrics));
    Ok(Api::new(database, runner, access, secrets, metrics, rate))
}

impl Listener {
    /// Accepts connections and serves each in its own task. Dropping it closes the socket.
    async fn accept(self, connections: &GracefulShutdown) {
        let Self { socket, limiter, terms } = self;
        loop {
            let (stream, from) = accept(&socket).await;
            let (admission, ended) = limiter.admit(from.ip(), terms.is_proxy(from.ip()));
            let slot = admission.slot.clone();
            let serving = terms.clone().serve(stream, from, slot, connections.watcher());
            tokio::spawn(async move {
                let _admission = admission;
                tokio::select! {
                    () = serving => {}
                    _ = ended => {}
                }
            });
        }
    }
}

async fn accept(socket: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn expire_uploads(storage: Arc<Storage>, idle: Duration) {
    let mut period = tokio::time::interval(EXPIRY_PERIOD);
    loop {
        period.tick().await;
        let storage = Arc::clone(&storage);
        match CHANGES.run(move || storage.expire_uploads(idle)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(uploads)) => tracing::info!(uploads, "removed idle uploads"),
            Ok(Err(error)) => tracing::warn!(%error, "cannot remove idle uploads"),
            Err(error) => tracing::error!(%error, "cannot remove idle uploads"),
        }
    }
}
