// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! HTTPS: rustls with the ring provider, TLS 1.2 and 1.3. SIGHUP reloads the files; if they are
//! invalid, the previous configuration stays in use.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::client_certificate::ClientCertificate;

/// TLS configuration of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// PEM file with the certificate and its issuer certificates.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with CA certificates. Hosts with a client certificate of such a CA need no webhook
    /// secret.
    pub client_ca: Option<PathBuf>,
}

/// TLS with the configuration loaded last.
pub(crate) struct Tls {
    files: TlsConfig,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Loads the files.
    pub(crate) fn open(files: TlsConfig) -> anyhow::Result<Self> {
        let current = RwLock::new(load(&files).map_err(anyhow::Error::msg)?);
        Ok(Self { files, current })
    }

    /// Reloads the files.
    ///
    /// # Errors
    /// Names the invalid file; the previous configuration stays in use.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let config = load(&self.files)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Completes the TLS handshake. Returns the client certificate if there is one; it is verified
    /// with `tls.client_ca`.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<ClientCertificate>)> {
        let config = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        // Without `tls.client_ca` none is requested. One of another CA fails the handshake.
        let end_entity = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = end_entity.map(ClientCertificate::new);
        Ok((stream, certificate))
    }
}

/// Loads the files. Errors name the invalid one.
pub(crate) fn load(files: &TlsConfig) -> Result<Arc<ServerConfig>, String> {
    let chain = certificates("tls.certificate", &files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|e| format!("tls.key {}: {e}", files.key.display()))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("tls: {e}"))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("tls.client_ca", path)? {
                roots
                    .add(certificate)
                    .map_err(|e| format!("tls.client_ca {}: {e}", path.display()))?;
            }
            // BMCs and users have no certificate, and do not use the webhook.
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|e| format!("tls.client_ca {}: {e}", path.display()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|e| format!("tls.certificate {} and tls.key: {e}", files.certificate.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(value: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("{value} {}: {e}", path.display());
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|e| wrong(&e))?
        .collect::<Result<_, _>>()
        .map_err(|e| wrong(&e))?;
    if certificates.is_empty() {
        Err(wrong(&"contains no PEM certificate"))
    } else {
        Ok(certificates)
    }
}
