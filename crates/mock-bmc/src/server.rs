// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The BMC on a port of loopback, with or without TLS.

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
use crate::service::{Inside, Outcome, Service};

/// The longest request that is read.
const LIMIT: usize = 1024 * 1024;

/// A BMC that listens, until it is dropped.
pub struct Mock {
    service: Arc<Service>,
    address: SocketAddr,
    gone: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The connection broke, as the fault has it.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

impl Mock {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(config: Config) -> io::Result<Self> {
        Self::start_at(config, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts it at `address`.
    ///
    /// # Errors
    /// When the address can't be had.
    pub async fn start_at(config: Config, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let service = Service::new(config);
        let (gone, told) = watch::channel(false);
        let task = tokio::spawn(accept(listener, Arc::clone(&service), told));
        Ok(Self { service, address, gone, task })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let scheme = if self.service.config.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.address, self.service.config.personality.prefix.0)
    }

    /// Lets something go wrong. Rules are looked through in order.
    pub fn fault(&self, rule: Rule) {
        self.inside(|inside| inside.rules.push(rule));
    }

    /// Cuts it off: connections break, and new ones do at once. Or brings it back.
    pub fn set_gone(&self, gone: bool) {
        self.gone.send_replace(gone);
    }

    /// Ends all sessions, as a BMC does that starts anew.
    pub fn forget_sessions(&self) {
        self.inside(|inside| inside.sessions.forget());
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        self.inside(|inside| inside.sessions.ids().len())
    }

    /// Takes sessions as another client would, until there are none left.
    pub fn take_all_sessions(&self) {
        let (user, password) = (&self.service.config.user, &self.service.config.password);
        self.inside(|inside| while inside.sessions.open(user, password).is_ok() {});
    }

    /// What is in its slots, in the order of the personality.
    pub fn images(&self) -> Vec<Option<String>> {
        self.inside(|inside| {
            inside.machine.drives.iter().map(|drive| drive.image.clone()).collect()
        })
    }

    /// Puts an image into a slot, as someone did before.
    pub fn put(&self, slot: usize, image: &str) {
        self.inside(|inside| {
            if let Some(drive) = inside.machine.drives.get_mut(slot) {
                drive.image = Some(image.to_owned());
            }
        });
    }

    /// The boot source: its target, and whether it is for the next boot.
    pub fn boot_source(&self) -> (String, String) {
        self.inside(|inside| (inside.machine.target.clone(), inside.machine.enabled.clone()))
    }

    /// The resets that it took, in order.
    pub fn resets(&self) -> Vec<String> {
        self.inside(|inside| inside.machine.resets.clone())
    }

    /// The starts of its machine, in order.
    pub fn boots(&self) -> Vec<Boot> {
        self.inside(|inside| inside.machine.boots.clone())
    }

    /// The starts of its machine from now on.
    pub fn watch_boots(&self) -> mpsc::UnboundedReceiver<Boot> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.inside(|inside| inside.listeners.push(sender));
        receiver
    }

    /// How many requests came to a fault that never answers.
    pub fn hung(&self) -> usize {
        self.inside(|inside| inside.hung)
    }

    /// Every request: its method, path and the status of its answer.
    pub fn requests(&self) -> Vec<(Method, String, u16)> {
        self.inside(|inside| inside.requests.clone())
    }

    fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
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
    // Clients go away, and faults break the connection: both are no news here.
    hyper::server::conn::http1::Builder::new().serve_connection(io, answer).await.ok();
}

async fn answer(
    service: &Arc<Service>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LIMIT).collect().await.map_err(|_| Dropped)?.to_bytes();
    match service.handle(&parts.method, parts.uri.path(), &parts.headers, &body).await {
        Outcome::Answer(answer) => Ok(answer.map(Full::new)),
        Outcome::Drop => Err(Dropped),
    }
}
