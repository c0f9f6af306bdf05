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
use axum::extract::Request;
use axum::http::Response;
use axum::middleware::{self, Next};
use hyper::body::Incoming;
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt as _;

use crate::config::Config;
use crate::file_service::Handover;
use crate::health;
use crate::linger::{Lingering, Unread};
use crate::media::{self, Media};
use crate::registry::http::Registry;
use crate::registry::storage::Storage;
use crate::registry::users::Users;

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
    config: Config,
}

impl Server {
    /// Opens the data folder and binds the address.
    ///
    /// # Errors
    /// When the folder or the address is in use or can't be had.
    pub async fn bind(config: Config) -> anyhow::Result<Self> {
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
        let router = Router::new()
            .merge(health::router(Arc::clone(&storage)))
            .merge(registry.router())
            .merge(media.router())
            .layer(middleware::from_fn(log));
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("listen on {}", config.listen))?;
        Ok(Self { listener, router, storage, config })
    }

    /// The address that it listens on, with the port that was chosen for port 0.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop` is done, then ends: requests get the configured time to finish.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listener, router, storage, config } = self;
        let expiry = tokio::spawn(expire_uploads(storage, config.registry.upload_expiry));
        let connections = GracefulShutdown::new();
        let permits = Arc::new(Semaphore::new(config.max_connections));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&listener, &permits) => accepted,
            };
            let (stream, permit) = accepted;
            let work = connection(stream, router.clone(), connections.watcher(), permit);
            tokio::spawn(work);
        }
        drop(listener);
        expiry.abort();
        tracing::info!(open = connections.count(), "stopping");
        if tokio::time::timeout(config.shutdown_timeout, connections.shutdown()).await.is_err() {
            tracing::warn!(after = ?config.shutdown_timeout, "requests broken off");
        }
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed; were it, connections would only not be counted.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    watcher: Watcher,
    _permit: Option<OwnedSemaphorePermit>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection without TCP_NODELAY");
    }
    let unread = Unread::default();
    let (watching, announcing) = (unread.clone(), unread.clone());
    let handover = Handover::default();
    let offered = handover.clone();
    let service = router
        .map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(offered.clone());
            request.map(|body| watching.watch(Body::new(body)))
        })
        .map_response(move |response| announcing.announce(response));
    let service = TowerToHyperService::new(service);
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(Lingering::new(stream, unread, handover), service);
    if let Err(error) = watcher.watch(serving).await {
        // Clients go away all the time.
        tracing::debug!(%error, "connection ended");
    }
}

async fn log(request: Request, next: Next) -> Response<Body> {
    let start = Instant::now();
    let method = request.method().clone();
    let path = media::loggable(request.uri().path()).into_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let elapsed = start.elapsed();
    if response.status().is_server_error() {
        tracing::error!(%method, path, status, ?elapsed, "request");
    } else if method.is_safe() {
        tracing::debug!(%method, path, status, ?elapsed, "request");
    } else {
        tracing::info!(%method, path, status, ?elapsed, "request");
    }
    response
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
