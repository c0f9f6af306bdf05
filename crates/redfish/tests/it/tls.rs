// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Certificate verification: CA and pinned certificates.

use std::sync::Arc;

use mock_bmc::Mock;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SigningKey as _};
use redfish::{Bmc, Endpoint, Error, TlsPolicy};
use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ServerConfig, version};
use x509_cert::der::asn1::BitString;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::{Certificate, Version};

use crate::common::{SERIAL, config, endpoint, start, timing};

/// The certificate as X.509 v1: without extensions, signed again with `key`.
fn as_v1(certificate: &CertificateDer<'_>, key: &KeyPair) -> CertificateDer<'static> {
    let mut certificate = Certificate::from_der(certificate).unwrap();
    certificate.tbs_certificate.version = Version::V1;
    certificate.tbs_certificate.extensions = None;
    let signature = key.sign(&certificate.tbs_certificate.to_der().unwrap()).unwrap();
    certificate.signature = BitString::from_bytes(&signature).unwrap();
    certificate.to_der().unwrap().into()
}

#[tokio::test]
async fn an_old_certificate_is_accepted_by_its_key() {
    for version in [&version::TLS12, &version::TLS13] {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        let old = as_v1(certificate.der(), &key);
        let hash = Sha256::digest(&old).into();
        let start_with = async |key: &KeyPair| {
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            let provider = ring::default_provider();
            let signing = provider.key_provider.load_private_key(key).unwrap();
            let shown = Arc::new(CertifiedKey::new(vec![old.clone()], signing));
            let tls = ServerConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
            let mut config = config("generic");
            config.tls = Some(Arc::new(tls));
            start(config).await
        };
        let mock = start_with(&key).await;
        connect(&mock, TlsPolicy::Pin(hash)).await.unwrap();
        connect(&mock, TlsPolicy::Insecure).await.unwrap();
        // Without the certificate's private key, a server does not get the password.
        let thief = start_with(&KeyPair::generate().unwrap()).await;
        let error = connect(&thief, TlsPolicy::Pin(hash)).await.unwrap_err();
        assert!(matches!(error, Error::Tls(_)), "{error:?}");
        assert_eq!(thief.requests(), []);
    }
}

/// A BMC with a certificate for 127.0.0.1; the issuer's PEM; the certificate's SHA-256.
async fn start_secured() -> (Mock, String, [u8; 32]) {
    let mut issuer = CertificateParams::new(Vec::new()).unwrap();
    issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(issuer, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let hash = Sha256::digest(certificate.der()).into();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let mut config = config("generic");
    config.tls = Some(Arc::new(tls));
    (start(config).await, issuer.pem(), hash)
}

async fn connect(mock: &Mock, tls: TlsPolicy) -> Result<(), Error> {
    let endpoint = Endpoint { tls, ..endpoint(mock) };
    Bmc::connect(&endpoint, SERIAL, None, timing()).await?.close().await;
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_believed_as_the_policy_has_it() {
    let (mock, ca, hash) = start_secured().await;
    assert!(mock.url().starts_with("https://"));
    connect(&mock, TlsPolicy::Ca(ca)).await.unwrap();
    connect(&mock, TlsPolicy::Pin(hash)).await.unwrap();
    connect(&mock, TlsPolicy::Insecure).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_someone_else_gets_no_password() {
    let (mock, _, hash) = start_secured().await;
    let (_other, ca, other) = start_secured().await;
    for policy in [TlsPolicy::Ca(ca), TlsPolicy::Pin(other)] {
        let error = connect(&mock, policy).await.unwrap_err();
        assert!(matches!(error, Error::Tls(_)), "{error:?}");
        assert!(!error.is_transient(), "{error}");
    }
    let hex = hash.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let error = connect(&mock, TlsPolicy::Pin(other)).await.unwrap_err().to_string();
    assert!(error.contains(&hex), "the operator can compare: {error}");
    assert_eq!(mock.requests(), [], "nothing was sent");
}
