// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The certificate authority (CA), and the CT log that issues SCTs for its certificates.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
    SignatureAlgorithm,
};
use serde_json::{Value, json};
use signing::{Identity, PrivateKey, PublicKey, TrustedRoot, sha256};
use time::{Duration, OffsetDateTime};
use x509_cert::der::{Decode as _, Encode as _};

use crate::text::{base64, pem, spki};

/// Subject of the signer's certificates.
pub const SUBJECT: &str = "https://forge.example/people/project/release.yml@refs/tags/v1";
/// OIDC issuer of [`SUBJECT`].
pub const ISSUER: &str = "https://token.forge.example";
/// 2026-01-02 00:00:00 UTC, within the validity of the certificates of [`Sigstore::certify`].
pub const TIME: u64 = 1_767_312_000;
/// Extended key usage of signing certificates.
pub const USAGE: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::CodeSigning;

/// A CA, a CT log and a signature log.
pub struct Sigstore {
    authority: Issuer<'static, KeyPair>,
    pub(crate) certificate: Vec<u8>,
    ct_log: PrivateKey,
    pub(crate) log: PrivateKey,
}

/// A signing key and its certificate.
pub struct Signer {
    /// The private key.
    pub key: PrivateKey,
    pub(crate) certificate: Vec<u8>,
}

/// A public key without its private key.
struct Foreign(Vec<u8>);

impl PublicKeyData for Foreign {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl Default for Sigstore {
    fn default() -> Self {
        Self::new()
    }
}

impl Sigstore {
    /// Generates new keys for the CA and both logs.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "authority.example");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        let authority = Issuer::new(params, key);
        let (ct_log, log) = (PrivateKey::generate(), PrivateKey::generate());
        Self { authority, certificate, ct_log, log }
    }

    /// Issues a certificate valid in the first days of 2026, with an SCT when `listed`.
    pub fn certify(&self, usage: ExtendedKeyUsagePurpose, listed: bool) -> Signer {
        self.certify_params(params(SUBJECT, usage), listed)
    }

    /// Same, with an SCT, for the URI `subject`.
    pub fn certify_as(&self, subject: &str) -> Signer {
        self.certify_params(params(subject, USAGE), true)
    }

    fn certify_params(&self, mut params: CertificateParams, listed: bool) -> Signer {
        let key = PrivateKey::generate();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 1, 3);
        let certificate = self.issue(&key.public(), params, listed.then_some(TIME));
        Signer { key, certificate }
    }

    /// Issues a certificate valid for ten minutes, as Fulcio does.
    pub(crate) fn certify_now(&self, key: &PublicKey) -> Vec<u8> {
        let now = OffsetDateTime::now_utc();
        let mut params = params(SUBJECT, USAGE);
        params.not_before = now - Duration::seconds(1);
        params.not_after = now + Duration::minutes(10);
        self.issue(key, params, Some(now.unix_timestamp().unsigned_abs()))
    }

    fn issue(
        &self,
        key: &PublicKey,
        mut params: CertificateParams,
        listed: Option<u64>,
    ) -> Vec<u8> {
        // An uncompressed point is the last 65 bytes of a P-256 SPKI.
        let spki = spki(key);
        let key = Foreign(spki[spki.len() - 65..].to_vec());
        if let Some(time) = listed {
            // The SCT signs the certificate without the SCT extension.
            let seen = params.signed_by(&key, &self.authority).unwrap();
            let seen = x509_cert::Certificate::from_der(seen.der()).unwrap();
            let list = self.sct_list(&seen.tbs_certificate.to_der().unwrap(), time);
            params.custom_extensions.push(extension(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], list));
        }
        params.signed_by(&key, &self.authority).unwrap().der().to_vec()
    }

    /// A list of one `SignedCertificateTimestamp` (RFC 6962, section 3.2), encoded for the
    /// extension.
    fn sct_list(&self, seen: &[u8], time: u64) -> Vec<u8> {
        let issuer = x509_cert::Certificate::from_der(&self.certificate).unwrap();
        let issuer = issuer.tbs_certificate.subject_public_key_info.to_der().unwrap();
        let time = (time * 1000).to_be_bytes();
        let length = u32::try_from(seen.len()).unwrap().to_be_bytes();
        let signed =
            [&[0, 0], &time[..], &[0, 1], &sha256(&issuer), &length[1..], seen, &[0, 0]].concat();
        let signature = self.ct_log.sign(&sha256(&signed)).unwrap();
        let vector =
            |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        let id = sha256(&spki(&self.ct_log.public()));
        let one = [&[0], &id[..], &time, &[0, 0, 4, 3], &vector(&signature)].concat();
        let list = vector(&vector(&one));
        [&[0x04, u8::try_from(list.len()).unwrap()], &list[..]].concat()
    }

    /// The trusted root of this Sigstore.
    pub fn root(&self) -> Value {
        let log = |key: &PrivateKey| {
            let der = spki(&key.public());
            json!([{
                "baseUrl": "https://log.example", "hashAlgorithm": "SHA2_256",
                "publicKey": {"rawBytes": base64(&der), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                              "validFor": {"start": "2025-01-01T00:00:00Z"}},
                "logId": {"keyId": base64(sha256(&der))},
            }])
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": log(&self.log),
            "ctlogs": log(&self.ct_log),
            "certificateAuthorities": [{
                "subject": {"organization": "example", "commonName": "example"},
                "uri": "https://authority.example",
                "certChain": {"certificates": [{"rawBytes": base64(&self.certificate)}]},
                "validFor": {"start": "2025-01-01T00:00:00Z"},
            }],
        })
    }

    /// The same keys as PEM, by environment variable, for clients without trusted root support.
    pub fn older_root(&self) -> [(&'static str, String); 3] {
        let key = |key: &PrivateKey| key.public().to_pem().unwrap();
        [
            ("SIGSTORE_ROOT_FILE", pem(&self.certificate)),
            ("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", key(&self.ct_log)),
            ("SIGSTORE_REKOR_PUBLIC_KEY", key(&self.log)),
        ]
    }

    /// The identity [`SUBJECT`], trusted through this Sigstore's root.
    pub fn identity(&self) -> Identity {
        let root = TrustedRoot::parse(self.root().to_string().as_bytes()).unwrap();
        Identity { subject: SUBJECT.to_owned(), issuer: ISSUER.to_owned(), root }
    }
}

/// Parameters of a certificate of `subject`, without its validity.
fn params(subject: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(7_u64.into());
    params.subject_alt_names = vec![SanType::URI(subject.try_into().unwrap())];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    let issuer = [&[0x0c, u8::try_from(ISSUER.len()).unwrap()], ISSUER.as_bytes()].concat();
    // Fulcio writes the issuer in both extensions: older clients read the first.
    params.custom_extensions = vec![
        extension(&[1, 3, 6, 1, 4, 1, 57264, 1, 1], ISSUER.into()),
        extension(&[1, 3, 6, 1, 4, 1, 57264, 1, 8], issuer),
    ];
    params
}

fn extension(id: &[u64], content: Vec<u8>) -> CustomExtension {
    CustomExtension::from_oid_content(id, content)
}
