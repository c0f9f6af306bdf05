// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The service: opens what it keeps, listens, answers, and ends without breaking a request off.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, Response};
use axum::middleware::{self, Next};
use hyper::body::Incoming;
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt as _;

use crate::api::Api;
use crate::api::auth::Auth;
use crate::api::limits::ClientAddress;
use crate::api::webhook::Secrets;
use crate::client_certificate::ClientCertificate;
use crate::config::{self, Config};
use crate::dashboard;
use crate::database::Database;
use crate::file_service::{Handover, Socket};
use crate::health::{self, Observed};
use crate::jobs::bmc::Bmc;
use crate::jobs::published::Published;
use crate::jobs::runner::Runner;
use crate::linger::{Lingering, Unread};
use crate::media::{self, Media};
use crate::metrics::Metrics;
use crate::open;
use crate::registry::http::Registry;
use crate::registry::storage::Storage;
use crate::registry::users::Users;
use crate::tls::Tls;

/// A client must send its request's head in this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after the system refused a connection, for want of file handles as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often uploads that nobody continues are looked for.
const EXPIRY_PERIOD: Duration = Duration::from_hours(1);

/// The service, bound to its address but not yet answering.
pub struct Server {
    listener: TcpListener,
    router: Router,
    storage: Arc<Storage>,
    runner: Arc<Runner>,
    tls: Option<Arc<Tls>>,
    /// One for each connection that may be open.
    permits: Arc<Semaphore>,
    config: Config,
}

impl Server {
    /// Opens the data folder and binds the address.
    ///
    /// # Errors
    /// When the folder or the address is in use or can't be had.
    pub async fn bind(config: Config, bmc: Arc<dyn Bmc>) -> anyhow::Result<Self> {
        let storage = Storage::open(config.registry_dir()).context("open the registry")?;
        let users = match &config.registry.htpasswd {
            Some(path) => {
                let users = Users::read(path);
                Some(users.with_context(|| format!("read registry.htpasswd {}", path.display()))?)
            }
            None => None,
        };
        let media = Media::open(media::folder(&config.data_dir)).context("open the images")?;
        let registry = Registry::new(Arc::clone(&storage), config.registry.rules.clone(), users);
        let database = open::database(&config)?;
        let secrets = config::read_secrets(&config.webhook.secrets).map_err(anyhow::Error::msg)?;
        if config.webhook.accept_fleet_secret {
            tracing::warn!(
                "webhook.accept_fleet_secret is set: whoever knows the secret in webhook.secrets can \
                 end the job of any server"
            );
        }
        let published = Published::new(
            Arc::clone(&media),
            &config.jobs,
            // During a rotation the new one comes first.
            secrets.first().cloned(),
            config.jobs.read_authorities().map_err(anyhow::Error::msg)?,
        );
        let settings = config.jobs.read_settings().map_err(anyhow::Error::msg)?;
        let runner = Runner::new(database.clone(), bmc, Arc::new(published), settings);
        let metrics = Arc::new(Metrics::default());
        let secrets = Secrets::new(secrets, config.webhook.accept_fleet_secret);
        let api = api(&config, secrets, &database, &runner, &metrics)?;
        let permits = Arc::new(Semaphore::new(config.max_connections));
        let observed = Observed {
            storage: Arc::clone(&storage),
            database,
            runner: Arc::clone(&runner),
            metrics: Arc::clone(&metrics),
            permits: Arc::clone(&permits),
            max_connections: config.max_connections,
        };
        let router = Router::new()
            .merge(health::router(observed))
            .merge(dashboard::router(api.clone(), Arc::clone(&storage)))
            .merge(api.router())
            .merge(registry.router())
            .merge(media.router())
            .layer(middleware::from_fn_with_state(metrics, log));
        let tls = config.tls.clone().map(Tls::open).transpose()?.map(Arc::new);
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("listen on {}", config.listen))?;
        Ok(Self { listener, router, storage, runner, tls, permits, config })
    }

    /// The address that it listens on, with the port that was chosen for port 0.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What reads the certificate again; None where the service speaks plain HTTP.
    pub fn reload(&self) -> Option<impl Fn() + Send + Sync + 'static> {
        let tls = Arc::clone(self.tls.as_ref()?);
        Some(move || tls.reload())
    }

    /// Whether it speaks HTTPS.
    pub fn is_https(&self) -> bool {
        self.tls.is_some()
    }

    /// Answers until `stop` is done, then ends: requests and calls to BMCs get the configured time to
    /// finish, and jobs are handed back.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listener, router, storage, runner, tls, permits, config } = self;
        let expiry = tokio::spawn(expire_uploads(storage, config.registry.upload_expiry));
        let (stop_jobs, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let jobs = tokio::spawn(runner.run(stopped, config.shutdown_timeout));
        let connections = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&listener, &permits) => accepted,
            };
            let (stream, from, permit) = accepted;
            let (router, watcher, tls) = (router.clone(), connections.watcher(), tls.clone());
            tokio::spawn(async move {
                let _permit = permit;
                serve(stream, from, tls.as_deref(), router, watcher).await;
            });
        }
        drop(listener);
        expiry.abort();
        drop(stop_jobs);
        tracing::info!(open = connections.count(), "stopping");
        if tokio::time::timeout(config.shutdown_timeout, connections.shutdown()).await.is_err() {
            tracing::warn!(after = ?config.shutdown_timeout, "requests broken off");
        }
        if let Err(error) = jobs.await {
            tracing::error!(%error, "jobs not handed back: their leases run out");
        }
    }
}

/// The API with the logins and secrets that the configuration names.
fn api(
    config: &Config,
    secrets: Secrets,
    database: &Database,
    runner: &Arc<Runner>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Api> {
    let users = config.api.read_users().map_err(anyhow::Error::msg)?;
    let tokens = config.api.read_token_key().map_err(anyhow::Error::msg)?;
    let auth = Auth::new(users, config.api.readers.clone(), tokens);
    // More than anybody asks for can be told exactly in a float.
    let rate = f64::from(u32::try_from(config.api.requests_per_second).unwrap_or(u32::MAX));
    let (database, runner, metrics) = (database.clone(), Arc::clone(runner), Arc::clone(metrics));
    Ok(Api::new(database, runner, auth, secrets, metrics, rate))
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed; were it, connections would only not be counted.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, from)) => return (stream, from, permit),
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection.
async fn serve(
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<&Tls>,
    router: Router,
    watcher: Watcher,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection without TCP_NODELAY");
    }
    let Some(tls) = tls else {
        let handover = Handover::default();
        let peer = Peer { from, certificate: None, handover: Some(handover.clone()) };
        return connection(Socket::new(stream, handover), peer, router, watcher).await;
    };
    match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok((stream, certificate))) => {
            // What is encrypted has to come through this process.
            let peer = Peer { from, certificate, handover: None };
            connection(stream, peer, router, watcher).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
        Err(error) => tracing::debug!(%error, "no TLS"),
    }
}

/// What each request of a connection is told of it.
#[derive(Clone)]
struct Peer {
    from: SocketAddr,
    /// The verified certificate that it showed.
    certificate: Option<ClientCertificate>,
    /// Where files can be handed over to the connection.
    handover: Option<Handover>,
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    watcher: Watcher,
) {
    let unread = Unread::default();
    let (watching, announcing) = (unread.clone(), unread.clone());
    let service = router
        .map_request(move |request: Request<Incoming>| {
            let mut request = request.map(|body| watching.watch(Body::new(body)));
            let facts = request.extensions_mut();
            facts.insert(ClientAddress(peer.from.ip()));
            if let Some(certificate) = &peer.certificate {
                facts.insert(certificate.clone());
            }
            if let Some(handover) = &peer.handover {
                facts.insert(handover.clone());
            }
            request
        })
        .map_response(move |response| announcing.announce(response));
    let service = TowerToHyperService::new(service);
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(Lingering::new(stream, unread), service);
    if let Err(error) = watcher.watch(serving).await {
        // Clients go away all the time.
        tracing::debug!(%error, "connection ended");
    }
}

async fn log(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response<Body> {
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let path = media::loggable(request.uri().path()).into_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let elapsed = start.elapsed();
    metrics.request(known(&method), route.as_ref().map_or("none", |r| r.as_str()), status, elapsed);
    if response.status().is_server_error() {
        tracing::error!(%method, path, status, ?elapsed, "request");
    } else if method.is_safe() {
        tracing::debug!(%method, path, status, ?elapsed, "request");
    } else {
        tracing::info!(%method, path, status, ?elapsed, "request");
    }
    response
}

/// A method by its name; what clients make up is one kind.
fn known(method: &Method) -> &str {
    match method.as_str() {
        name @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => name,
        _ => "other",
    }
}

async fn expire_uploads(storage: Arc<Storage>, idle: Duration) {
    let mut period = tokio::time::interval(EXPIRY_PERIOD);
    loop {
        period.tick().await;
        let storage = Arc::clone(&storage);
        match tokio::task::spawn_blocking(move || storage.expire_uploads(idle)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(uploads)) => tracing::info!(uploads, "dropped uploads that nobody continued"),
            Ok(Err(error)) => tracing::warn!(%error, "could not drop old uploads"),
            Err(error) => tracing::error!(%error, "could not drop old uploads"),
        }
    }
}
