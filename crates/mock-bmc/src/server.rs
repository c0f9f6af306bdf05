// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The BMC on a loopback port, with or without TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::config::Config;
use crate::fault::Rule;
use crate::machine::Boot;
use crate::service::{Outcome, Service, ServiceState};

/// Longest request that is read.
const LIMIT: usize = 1024 * 1024;

/// A listening BMC, until it is dropped.
pub struct Mock {
    service: Arc<Service>,
    address: SocketAddr,
    gone: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The connection breaks because of a fault.
#[derive(Debug, thiserror::Error)]
#[error("dropped on purpose")]
struct ConnectionDropped;

impl Mock {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(config: Config) -> io::Result<Self> {
        Self::start_at(config, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts at `address`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start_at(config: Config, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let service = Service::new(config);
        let (gone, disconnected) = watch::channel(false);
        let task = tokio::spawn(accept(listener, Arc::clone(&service), disconnected));
        Ok(Self { service, address, gone, task })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let scheme = if self.service.config.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.address, self.service.config.personality.prefix.0)
    }

    /// Adds a fault. The first that matches a request applies.
    pub fn fault(&self, rule: Rule) {
        self.inside(|inside| inside.rules.push(rule));
    }

    /// Cuts the BMC off, so that connections break and new ones fail, or restores it.
    pub fn set_gone(&self, gone: bool) {
        self.gone.send_replace(gone);
    }

    /// Closes all sessions, as a restarted BMC does.
    pub fn end_sessions(&self) {
        self.inside(|inside| inside.sessions.end_all());
    }

    /// Number of open sessions.
    pub fn sessions(&self) -> usize {
        self.inside(|inside| inside.sessions.ids().len())
    }

    /// Opens sessions, as another client would, until none are left.
    pub fn take_all_sessions(&self) {
        let (user, password) = (&self.service.config.user, &self.service.config.password);
        self.inside(|inside| while inside.sessions.open(user, password).is_ok() {});
    }

    /// The media in its slots, in the order of the personality.
    pub fn images(&self) -> Vec<Option<String>> {
        self.inside(|inside| {
            inside.machine.drives.iter().map(|drive| drive.image.clone()).collect()
        })
    }

    /// Inserts an image, as an earlier user would.
    pub fn put(&self, slot: usize, image: &str) {
        self.inside(|inside| {
            if let Some(drive) = inside.machine.drives.get_mut(slot) {
                drive.image = Some(image.to_owned());
            }
        });
    }

    /// Changes the version of the BIOS, as an update would.
    pub fn set_bios(&self, version: &str) {
        self.inside(|inside| version.clone_into(&mut inside.machine.bios));
    }

    /// The boot source: its target, and whether it is for one boot.
    pub fn boot_source(&self) -> (String, String) {
        self.inside(|inside| (inside.machine.target.clone(), inside.machine.enabled.clone()))
    }

    /// Whether its host is on.
    pub fn is_on(&self) -> bool {
        self.inside(|inside| inside.machine.power() == "On")
    }

    /// The accepted resets, in order.
    pub fn resets(&self) -> Vec<String> {
        self.inside(|inside| inside.machine.resets.clone())
    }

    /// The boots of its host, in order.
    pub fn boots(&self) -> Vec<Boot> {
        self.inside(|inside| inside.machine.boots.clone())
    }

    /// The boots of its host from now on.
    pub fn watch_boots(&self) -> mpsc::UnboundedReceiver<Boot> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.inside(|inside| inside.listeners.push(sender));
        receiver
    }

    /// Number of requests that met a fault without an answer.
    pub fn count_hung(&self) -> usize {
        self.inside(|inside| inside.hung)
    }

    /// Every request: method, path and status of the answer.
    pub fn requests(&self) -> Vec<(Method, String, u16)> {
        self.inside(|inside| inside.requests.clone())
    }

    fn inside<T>(&self, look: impl FnOnce(&mut ServiceState) -> T) -> T {
        look(&mut self.service.lock())
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.task.abort();
        self.gone.send_replace(true);
    }
}

async fn accept(listener: TcpListener, service: Arc<Service>, gone: watch::Receiver<bool>) {
    let acceptor = service.config.tls.clone().map(TlsAcceptor::from);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        if *gone.borrow() {
            continue;
        }
        stream.set_nodelay(true).ok();
        let (service, mut gone, acceptor) = (Arc::clone(&service), gone.clone(), acceptor.clone());
        tokio::spawn(async move {
            let serving = async {
                match acceptor {
                    None => serve(stream, service).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream, service).await;
                        }
                    }
                }
            };
            tokio::select! {
                () = serving => {}
                _ = gone.wait_for(|gone| *gone) => {}
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send, service: Arc<Service>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let service = Arc::clone(&service);
        async move { answer(&service, request).await }
    });
    let io = TokioIo::new(stream);
    // Clients disconnect, and faults break connections: both are expected.
    hyper::server::conn::http1::Builder::new().serve_connection(io, answer).await.ok();
}

async fn answer(
    service: &Arc<Service>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, ConnectionDropped> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LIMIT).collect().await.map_err(|_| ConnectionDropped)?.to_bytes();
    match service.handle(&parts.method, parts.uri.path(), &parts.headers, &body).await {
        Outcome::Answer(answer) => Ok(answer.map(Full::new)),
        Outcome::Drop => Err(ConnectionDropped),
    }
}
