// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verification of the BMC's certificate, which is mostly self-signed.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use crate::error::{Error, Result};

/// How long changed CA certificates of the system go unnoticed.
const ROOTS_STAY: Duration = Duration::from_mins(5);

/// How the certificate of a BMC is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsPolicy {
    /// It must chain to a CA certificate of the system, and name the BMC.
    System,
    /// It must chain to one of these CA certificates (PEM), and name the BMC.
    Ca(String),
    /// It must have this SHA-256 (of its DER form); name and dates are ignored.
    Pin([u8; 32]),
    /// It is not checked: any server at the address gets the password.
    Insecure,
}

impl TlsPolicy {
    /// Parses a SHA-256: 64 hexadecimal digits, with or without colons between pairs, as `openssl
    /// x509 -fingerprint -sha256` prints it.
    ///
    /// # Errors
    /// When it is something else.
    pub fn pin(text: &str) -> Result<Self> {
        let wrong = || Error::Tls(format!("{text:?} is not the SHA-256 of a certificate"));
        let digits: String = text.chars().filter(|&character| character != ':').collect();
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut pin = [0; 32];
        for (index, byte) in pin.iter_mut().enumerate() {
            let pair = digits.get(2 * index..2 * index + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self::Pin(pin))
    }

    pub(crate) fn config(&self) -> Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Tls(error.to_string()))?;
        let builder = match self {
            Self::System => builder.with_root_certificates(system_roots()?),
            Self::Ca(pem) => builder.with_root_certificates(roots(pem)?),
            Self::Pin(pin) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Verifier { pin: Some(*pin), provider })),
            Self::Insecure => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Verifier { pin: None, provider })),
        };
        Ok(builder.with_no_client_auth())
    }
}

/// The CA certificates of the system, cached for a while: reading and parsing them takes longer
/// than anything else that a client does, and each step of a job has its own client.
fn system_roots() -> Result<Arc<RootCertStore>> {
    static KNOWN: Mutex<Option<(Instant, Arc<RootCertStore>)>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((read, roots)) = known.as_ref()
        && read.elapsed() < ROOTS_STAY
    {
        return Ok(Arc::clone(roots));
    }
    let roots = Arc::new(read_system_roots()?);
    *known = Some((Instant::now(), Arc::clone(&roots)));
    Ok(roots)
}

fn read_system_roots() -> Result<RootCertStore> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(loaded.certs);
    if added == 0 {
        let reason = "this host has no CA certificates: install ca-certificates, or configure a CA or \
                      a pin for the server";
        return Err(Error::Tls(reason.to_owned()));
    }
    Ok(store)
}

fn roots(pem: &str) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate =
            certificate.map_err(|error| Error::Tls(format!("the CA is not PEM: {error}")))?;
        store.add(certificate).map_err(|error| Error::Tls(format!("the CA: {error}")))?;
    }
    if store.is_empty() {
        return Err(Error::Tls("the CA has no certificate in it".to_owned()));
    }
    Ok(store)
}

/// Accepts one certificate, or any. That the peer has its key is checked in both cases.
#[derive(Debug)]
struct Verifier {
    pin: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(pin) = self.pin else { return Ok(ServerCertVerified::assertion()) };
        let found: [u8; 32] = Sha256::digest(end_entity).into();
        if found == pin {
            return Ok(ServerCertVerified::assertion());
        }
        let mut message = "the BMC's certificate does not match the pin: ".to_owned();
        for byte in found {
            write!(message, "{byte:02x}").ok();
        }
        Err(rustls::Error::General(message))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let known = verify_tls12_signature(message, cert, dss, algorithms);
        known.or_else(|error| by_key(message, cert, dss, algorithms).ok_or(error))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let known = verify_tls13_signature(message, cert, dss, algorithms);
        // TLS 1.3 has fewer signature schemes than the list.
        known.or_else(|error| {
            let allowed = !matches!(error, rustls::Error::PeerMisbehaved(_));
            by_key(message, cert, dss, algorithms).filter(|_| allowed).ok_or(error)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Verifies a handshake signature with the key in a certificate that webpki does not parse: old
/// BMCs have X.509 v1 (RFC 5280, section 4.1.2.1). With a pin, or without a check, only the key
/// matters.
fn by_key(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Option<HandshakeSignatureValid> {
    let parsed = Certificate::from_der(cert).ok()?;
    let key = parsed.tbs_certificate.subject_public_key_info.to_der().ok()?;
    let key = SubjectPublicKeyInfoDer::from(key);
    let key = webpki::RawPublicKeyEntity::try_from(&key).ok()?;
    let (_, candidates) = algorithms.mapping.iter().find(|(scheme, _)| *scheme == dss.scheme)?;
    candidates
        .iter()
        .any(|algorithm| key.verify_signature(*algorithm, message, dss.signature()).is_ok())
        .then(HandshakeSignatureValid::assertion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_openssl_writes_it() {
        let plain = "00ff".repeat(16);
        let pairs: Vec<_> = ["00", "FF"].into_iter().cycle().take(32).collect();
        assert_eq!(TlsPolicy::pin(&plain).unwrap(), TlsPolicy::pin(&pairs.join(":")).unwrap());
        for wrong in ["", "00", &"é".repeat(32), &"0g".repeat(32), &"00".repeat(33)] {
            assert!(TlsPolicy::pin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_ca_without_a_certificate_is_refused() {
        for wrong in ["", "text", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            assert!(TlsPolicy::Ca(wrong.to_owned()).config().is_err(), "{wrong:?}");
        }
    }
}
