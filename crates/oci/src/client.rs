// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A blocking client for OCI registries (OCI distribution specification 1.1).
//!
//! Content is streamed: memory use does not depend on the blob size. Downloads are verified against
//! their digest and resume where the registry supports it; transient failures are retried within
//! the limits of a [`Policy`].

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ureq::Agent;
use ureq::http::Method;
use ureq::http::header::DATE;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::digest::Digest;
use crate::namespace::{Namespace, Transport};
use crate::reference::{Registry, Repository};

mod auth;
pub mod credentials;
mod download;
mod error;
mod helper;
mod http;
mod manifest;
mod pace;
mod referrers;
mod retry;
mod upload;
mod url;

/// See [`crate::fuzzing`].
#[cfg(fuzzing)]
pub mod fuzzing {
    /// Parses `text` as `WWW-Authenticate`, and creates the token request for it.
    pub fn challenge(text: &str) {
        for challenge in super::auth::parse(text) {
            if let super::auth::Challenge::Bearer { realm, service, scope } = challenge {
                let needed = super::auth::Scope(vec!["repository:a:pull".to_owned()]);
                let scopes = super::auth::scopes(scope.as_deref(), &needed);
                let base = super::Url::new("https", "registry.example", "/");
                if let Some(realm) = base.resolve(&realm) {
                    let query = super::auth::Challenge::query(service.as_deref(), &scopes);
                    drop(realm.with_query(&query).to_string());
                }
            }
        }
    }

    /// Parses `bytes` as the response of a token server.
    pub fn token(bytes: &[u8]) {
        drop(super::auth::read_token(bytes));
    }
}

pub use credentials::{CredentialSource, Credentials};
pub use download::{BlobReader, LayerError};
pub use error::{Call, ClientError, RegistryError};
pub use helper::HelperError;
pub use http::Source;
pub use manifest::Fetched;
pub use pace::MinimumRate;
pub use retry::{DELAY, Policy};
pub use upload::Pushed;

use auth::{Cache, Scope};
use http::{Body, Request};
use url::Url;

/// Maximum idle connections kept open: the number of concurrent requests of a publisher.
const CONNECTIONS: usize = 8;

/// Client options. The defaults suit a registry on the network.
#[derive(Debug, Clone)]
pub struct Options {
    /// Transport of the registry: TLS or plain HTTP.
    pub transport: Transport,
    /// Source of credentials.
    pub credentials: CredentialSource,
    /// Time limit for each step of a request without progress.
    pub timeout: Duration,
    /// Time limit for a whole document with its retries: a manifest, a list of all pages, a token, a
    /// blob read by [`Client::document`]. Also that for the headers of other responses.
    pub deadline: Duration,
    /// Minimum rate of response bodies.
    pub rate: MinimumRate,
    /// Retry policy.
    pub retry: Policy,
    /// Maximum resumptions of one download, with progress or not.
    pub resumptions: u32,
    /// Upload large blobs in chunks of at most this many bytes, for registries behind a proxy with
    /// a body limit.
    pub chunk: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            transport: Transport::default(),
            credentials: CredentialSource::default(),
            // A registry may hash and sync a large blob before it responds to the last request of
            // an upload.
            timeout: Duration::from_mins(2),
            deadline: Duration::from_mins(5),
            rate: MinimumRate { bytes: 60 * 1024, period: Duration::from_mins(1) },
            retry: Policy::default(),
            resumptions: 100,
            chunk: None,
        }
    }
}

impl Options {
    /// The defaults, with the retry policy of the environment.
    pub fn of_transport(transport: Transport) -> Self {
        Self { transport, retry: Policy::from_environment(), ..Self::default() }
    }
}

/// A client of one registry. Clones share connections and tokens.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    agent: Agent,
    base: Url,
    options: Options,
    tokens: Cache,
}

/// Access that a request needs, with the names of token scopes.
#[derive(Debug, Clone, Copy)]
enum Action {
    Pull,
    Push,
    Delete,
}

impl Client {
    /// Creates a client for `registry`. Sends no request.
    pub fn new(registry: &Registry, options: Options) -> Self {
        let tls = options.transport.is_tls(registry);
        let mut config = Agent::config_builder()
            // This client handles statuses, redirects and the scope of credentials itself.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections_per_host(CONNECTIONS)
            .user_agent(concat!("provisioner-oci/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(options.timeout.min(Duration::from_secs(15))))
            .timeout_per_read(Some(options.timeout))
            .timeout_per_write(Some(options.timeout))
            .timeout_recv_response(Some(options.deadline));
        if registry.is_loopback() {
            config = config.proxy(None);
        }
        // An http registry may redirect to blobs on other hosts, a loopback registry does not.
        if tls || !registry.is_loopback() {
            config =
                config.tls_config(TlsConfig::builder().root_certs(root_certificates()).build());
        }
        Self(Arc::new(Inner {
            agent: config.build().into(),
            base: Url::new(if tls { "https" } else { "http" }, registry.as_str(), "/"),
            options,
            tokens: Cache::default(),
        }))
    }

    /// Creates a client for the registry of `namespace`. Sends no request.
    pub fn of_namespace(namespace: &Namespace) -> Self {
        Self::new(&namespace.registry, Options::of_transport(namespace.transport))
    }

    /// The registry, as `HOST[:PORT]`.
    pub fn host(&self) -> &str {
        &self.base().host
    }

    /// Checks that the registry supports the protocol and accepts the credentials ("Determining
    /// Support"). Returns the registry's time, if the response has one (`Date`, RFC 9110 section
    /// 6.6.1).
    ///
    /// # Errors
    /// When there is no registry, or it rejects the credentials.
    pub fn ping(&self) -> Result<Option<SystemTime>, ClientError> {
        let mut request = Request {
            method: Method::GET,
            url: self.url("/v2/"),
            headers: Vec::new(),
            body: Body::None,
            scope: Scope(Vec::new()),
            deadline: self.deadline(),
        };
        let parts = self.call(&mut request, &[200])?;
        let date = http::header(&parts.headers, DATE.as_str());
        Ok(date.and_then(|it| httpdate::parse_http_date(it).ok()))
    }

    /// Returns true if a repository contains a blob ("Pulling Blobs").
    pub fn has_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, ClientError> {
        let mut request =
            self.request(Method::HEAD, repository, &format!("blobs/{digest}"), Action::Pull);
        Ok(self.call(&mut request, &[200, 404])?.status == 200)
    }

    /// Deletes a blob from a repository ("Deleting Blobs"). Returns false if it did not exist.
    ///
    /// # Errors
    /// When the registry refuses; many do not support deletion.
    pub fn delete_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, ClientError> {
        let mut request =
            self.request(Method::DELETE, repository, &format!("blobs/{digest}"), Action::Delete);
        Ok(self.call(&mut request, &[202, 404])?.status != 404)
    }

    fn agent(&self) -> &Agent {
        &self.0.agent
    }

    fn base(&self) -> &Url {
        &self.0.base
    }

    fn options(&self) -> &Options {
        &self.0.options
    }

    fn tokens(&self) -> &Cache {
        &self.0.tokens
    }

    fn url(&self, path: &str) -> Url {
        self.base().with_path(path)
    }

    /// The deadline of a document that is requested now.
    fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.options().deadline)
    }

    /// Creates a request without a body for the path `tail` of a repository.
    fn request<'a>(
        &self,
        method: Method,
        repository: &Repository,
        tail: &str,
        action: Action,
    ) -> Request<'a> {
        let url = self.url(&format!("/v2/{repository}/{tail}"));
        Request {
            method,
            url,
            headers: Vec::new(),
            body: Body::None,
            scope: action.scope_for(repository),
            deadline: self.deadline(),
        }
    }

    fn credentials(&self, scope: &Scope) -> Result<Option<Credentials>, ClientError> {
        // `repository:NAME:ACTIONS`
        let repository = scope.0.first().and_then(|scope| scope.split(':').nth(1));
        Ok(self.options().credentials.find(self.host(), repository)?)
    }
}

impl Action {
    fn scope_for(self, repository: &Repository) -> Scope {
        let actions = match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
            Self::Delete => "delete",
        };
        Scope(vec![format!("repository:{repository}:{actions}")])
    }
}

/// The host's CA certificates, or those in `SSL_CERT_FILE` and `SSL_CERT_DIR`; on a host without
/// any, the bundled ones.
pub fn root_certificates() -> RootCerts {
    let found = rustls_native_certs::load_native_certs();
    // With these variables set, no other CA is trusted, even if the file can't be read.
    let is_named =
        ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|it| std::env::var_os(it).is_some());
    if found.certs.is_empty() && !is_named {
        return RootCerts::WebPki;
    }
    let certificates: Vec<_> =
        found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    RootCerts::new_with_certs(&certificates)
}
