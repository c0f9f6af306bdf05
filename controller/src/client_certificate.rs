// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Matches a TLS client certificate with the serial number of a host.

use std::sync::Arc;

use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{
    Any, Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef,
};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// Names in a client certificate that rustls verified with a CA in `tls.client_ca`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    common_names: Arc<[String]>,
    dns_names: Arc<[String]>,
}

impl ClientCertificate {
    /// Extracts the names of the end-entity certificate; none if it cannot be parsed.
    pub(crate) fn new(end_entity: &CertificateDer<'_>) -> Self {
        let Ok(certificate) = Certificate::from_der(end_entity) else { return Self::default() };
        let certificate = certificate.tbs_certificate;
        let attributes = certificate.subject.0.iter().flat_map(|name| name.0.iter());
        let common_names = attributes
            .filter(|attribute| attribute.oid == COMMON_NAME)
            .filter_map(|attribute| text(&attribute.value))
            .collect();
        let extensions = certificate.extensions.iter().flatten();
        let dns_names = extensions
            .filter(|extension| extension.extn_id == SUBJECT_ALT_NAME)
            .filter_map(|extension| SubjectAltName::from_der(extension.extn_value.as_bytes()).ok())
            .flat_map(|names| names.0)
            .filter_map(|name| match name {
                GeneralName::DnsName(name) => Some(name.to_string()),
                _ => None,
            })
            .collect();
        Self { common_names, dns_names }
    }

    /// Returns whether the certificate names the host with this serial number: as its common name, or as a
    /// DNS name (in lower case) among its subject alternative names.
    pub(crate) fn is_for(&self, serial: &str) -> bool {
        self.common_names.iter().any(|name| name == serial)
            || self.dns_names.iter().any(|name| name.eq_ignore_ascii_case(serial))
    }
}

/// Decodes a `DirectoryString` (RFC 5280, section 4.1.2.4) in one of the encodings in use.
fn text(value: &Any) -> Option<String> {
    if let Ok(text) = value.decode_as::<Utf8StringRef<'_>>() {
        return Some(text.to_string());
    }
    if let Ok(text) = value.decode_as::<PrintableStringRef<'_>>() {
        return Some(text.to_string());
    }
    value.decode_as::<Ia5StringRef<'_>>().ok().map(|text| text.to_string())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tokio_rustls::rustls::pki_types::pem::PemObject as _;

    use super::*;

    /// Generates a certificate with openssl; None if openssl is not installed.
    fn certificate(subject: &str, names: &str) -> Option<ClientCertificate> {
        let folder = tempfile::tempdir().unwrap();
        let openssl = test_support::find("openssl")?;
        let made = Command::new(openssl)
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-subj", subject, "-addext", &format!("subjectAltName={names}")])
            .args(["-keyout", "key.pem", "-out", "c.pem"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let der = CertificateDer::from_pem_file(folder.path().join("c.pem")).unwrap();
        Some(ClientCertificate::new(&der))
    }

    #[test]
    fn a_certificate_matches_only_the_serial_number_in_its_names() {
        let names = "DNS:cz1,DNS:cz2.example,IP:192.0.2.1,email:s3@example.org";
        let Some(certificate) = certificate("/O=S4/CN=S 1/CN=S2", names) else { return };
        for serial in ["S 1", "S2", "CZ1", "cz2.example"] {
            assert!(certificate.is_for(serial), "{serial}");
        }
        for serial in ["s2", "S4", "S", "S 1/CN=S2", "192.0.2.1", "cz2", "s3@example.org", ""] {
            assert!(!certificate.is_for(serial), "{serial}");
        }
        assert_eq!(
            ClientCertificate::new(&CertificateDer::from(vec![0x30, 0x80])),
            ClientCertificate::default()
        );
    }
}
