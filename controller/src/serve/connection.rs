// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Serves a connection: TLS, HTTP, and request extensions with facts of the connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::layers::Reserve;
use crate::admission::ConnectionSlot;
use crate::client_certificate::ClientCertificate;
use crate::file_service::{Handover, Socket};
use crate::limits::ClientAddress;
use crate::linger::{Lingering, UnreadBody};
use crate::tls::Tls;

/// Time limit of the TLS handshake, and of receiving a request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Same for reserve connections, and their stall limit.
const RESERVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Header with the client address, set by proxies.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Settings shared by all connections of a listener.
#[derive(Clone)]
pub(super) struct ListenerSettings {
    pub(super) router: Router,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) proxies: Arc<[IpNet]>,
    /// How long a transfer may stall.
    pub(super) stall_timeout: Duration,
}

/// Facts of a connection that its requests need.
#[derive(Clone)]
struct Peer {
    from: IpAddr,
    /// Verified client certificate.
    certificate: Option<ClientCertificate>,
    /// Set if the connection supports sendfile(2).
    handover: Option<Handover>,
    slot: ConnectionSlot,
}

impl ListenerSettings {
    /// Returns whether an address belongs to a trusted proxy.
    pub(super) fn is_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.proxies.iter().any(|network| network.contains(&address))
    }

    /// Returns the client address of a request from `peer`: the last address in `X-Forwarded-For`
    /// that is no trusted proxy. Earlier ones may be forged by the client.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.is_proxy(peer) {
            return peer;
        }
        let values = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let mut client = peer;
        for text in values.flat_map(|value| value.split(',')).rev().map(str::trim) {
            let Ok(address) = text.parse::<IpAddr>() else { return client };
            client = address.to_canonical();
            if !self.is_proxy(client) {
                break;
            }
        }
        client
    }

    /// Serves a connection.
    pub(super) async fn serve(
        self,
        stream: TcpStream,
        from: SocketAddr,
        slot: ConnectionSlot,
        watcher: Watcher,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "connection without TCP_NODELAY");
        }
        let from = from.ip().to_canonical();
        let Some(tls) = self.tls.clone() else {
            let handover = Handover::default();
            let peer = Peer { from, certificate: None, handover: Some(handover.clone()), slot };
            return self.connection(Socket::new(stream, handover), peer, watcher).await;
        };
        let timeout = if slot.reserve { RESERVE_TIMEOUT } else { HEAD_TIMEOUT };
        match tokio::time::timeout(timeout, tls.accept(stream)).await {
            Ok(Ok((stream, certificate))) => {
                // Encrypted data must pass through this process.
                let peer = Peer { from, certificate, handover: None, slot };
                self.connection(stream, peer, watcher).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(error) => tracing::debug!(%error, "TLS handshake failed"),
        }
    }

    async fn connection(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        watcher: Watcher,
    ) {
        let (head_timeout, stall_timeout) = if peer.slot.reserve {
            (RESERVE_TIMEOUT, RESERVE_TIMEOUT.min(self.stall_timeout))
        } else {
            (HEAD_TIMEOUT, self.stall_timeout)
        };
        let unread = UnreadBody::new(stall_timeout);
        let (watching, announcing) = (unread.clone(), unread.clone());
        let (router, reserve) = (self.router.clone(), peer.slot.reserve);
        let service = router
            .map_request(move |request: Request<Incoming>| {
                peer.slot.begin();
                let mut request = request.map(|body| watching.watch(Body::new(body)));
                let client = self.client(peer.from, request.headers());
                let facts = request.extensions_mut();
                facts.insert(ClientAddress(client));
                if let Some(certificate) = &peer.certificate {
                    facts.insert(certificate.clone());
                }
                if let Some(handover) = &peer.handover {
                    facts.insert(handover.clone());
                }
                if peer.slot.reserve {
                    facts.insert(Reserve);
                }
                request
            })
            .map_response(move |response| {
                let mut response: Response<Body> = announcing.announce(response);
                if reserve {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                response
            });
        let service = TowerToHyperService::new(service);
        let serving = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_timeout)
            .serve_connection(Lingering::new(stream, unread), service);
        if let Err(error) = watcher.watch(serving).await {
            // Clients disconnect all the time.
            tracing::debug!(%error, "connection ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_can_set_the_client_address() {
        let terms = ListenerSettings {
            router: Router::new(),
            tls: None,
            proxies: ["10.0.0.0/8".parse().unwrap(), "2001:db8::1/128".parse().unwrap()].into(),
            stall_timeout: Duration::ZERO,
        };
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for (peer, forwarded, expected) in [
            ("192.0.2.1", vec!["192.0.2.9"], "192.0.2.1"),
            ("10.1.1.1", vec!["192.0.2.9"], "192.0.2.9"),
            ("2001:db8::1", vec!["2001:db8::9"], "2001:db8::9"),
            ("2001:db8::2", vec!["192.0.2.9"], "2001:db8::2"),
            // Claims of the client come first; each proxy appends.
            ("10.1.1.1", vec!["198.51.100.1, 192.0.2.9, 10.2.2.2"], "192.0.2.9"),
            ("10.1.1.1", vec!["198.51.100.1", "192.0.2.9"], "192.0.2.9"),
            ("10.1.1.1", vec!["10.3.3.3"], "10.3.3.3"),
            ("10.1.1.1", vec!["192.0.2.9, unknown"], "10.1.1.1"),
            ("10.1.1.1", vec![], "10.1.1.1"),
        ] {
            let mut headers = HeaderMap::new();
            for value in &forwarded {
                headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
            }
            let client = terms.client(address(peer), &headers);
            assert_eq!(client, address(expected), "{peer} {forwarded:?}");
        }
    }
}
