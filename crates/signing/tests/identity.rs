// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verifies signatures of an identity, with a mock CA and mock logs.

use mock_sigstore::{SUBJECT, Sigstore, TIME, USAGE, Usage, base64};
use serde_json::{Value, json};
use signing::statement::CYCLONEDX;
use signing::{Bundle, Identity, Statement, TrustedRoot, sha256};

/// Returns the reason why the bundle is rejected for `content`, or `None` if it is accepted.
fn find_refusal(bundle: &Value, identity: &Identity, content: &[u8]) -> Option<String> {
    let bundle = Bundle::parse(bundle.to_string().as_bytes());
    let verified = bundle.and_then(|it| it.verify_file(identity, &sha256(content)));
    verified.err().map(|error| error.to_string())
}

#[test]
fn what_an_identity_signed_is_accepted() {
    let sigstore = Sigstore::new();
    let (signer, identity) = (sigstore.certify(USAGE, true), sigstore.identity());
    let signed = sigstore.sign_file(&signer, &sha256(b"content"), TIME);
    assert_eq!(find_refusal(&signed, &identity, b"content"), None);
    assert!(find_refusal(&signed, &identity, b"other").is_some());

    let digest = sha256(b"image");
    let statement = Statement::new("image", &digest, CYCLONEDX, json!({"a": 1}));
    let signed = sigstore.sign_statement(&signer, &statement).to_string();
    let signed = Bundle::parse(signed.as_bytes()).unwrap();
    assert_eq!(signed.verify_statement(&identity, CYCLONEDX, &digest).unwrap(), statement);
    assert!(signed.verify_file(&identity, &digest).is_err());
    // A key does not verify a signature of an identity, nor the reverse.
    let error = signed.verify_any_statement(&signer.key.public()).unwrap_err().to_string();
    assert!(error.contains("expected a key"), "{error}");
    let by_key = Bundle::sign_file(&signer.key, &digest).unwrap();
    let error = by_key.verify_file(&identity, &digest).unwrap_err().to_string();
    assert!(error.contains("expected a certificate of an identity"), "{error}");
}

#[test]
fn another_identity_authority_log_or_time_is_named() {
    let sigstore = Sigstore::new();
    let (signer, identity) = (sigstore.certify(USAGE, true), sigstore.identity());
    let good = sigstore.sign_file(&signer, &sha256(b"x"), TIME);
    let assert_refused = |bundle: &Value, identity: &Identity, expected: &str| {
        let error = find_refusal(bundle, identity, b"x").unwrap();
        assert!(error.contains(expected), "{expected}\n{error}");
    };
    let prefix = Identity { subject: SUBJECT[..SUBJECT.len() - 1].to_owned(), ..identity.clone() };
    assert_refused(&good, &prefix, "it was signed by https://forge.example/people/project");
    let elsewhere = Identity { issuer: "https://other.example".to_owned(), ..identity.clone() };
    assert_refused(&good, &elsewhere, "issuer is https://token.forge.example, expected");
    let public = Identity { root: TrustedRoot::public_good().unwrap(), ..identity.clone() };
    assert_refused(&good, &public, "the trusted root has no log");

    let with = |place: &str| {
        let (mut root, other) = (sigstore.root(), Sigstore::new().root());
        root[place] = other[place].clone();
        let root = TrustedRoot::parse(root.to_string().as_bytes()).unwrap();
        Identity { root, ..identity.clone() }
    };
    assert_refused(&good, &with("certificateAuthorities"), "no trusted CA issued");
    assert_refused(&good, &with("ctlogs"), "no trusted CT log issued an SCT");
    assert_refused(&good, &with("tlogs"), "the trusted root has no log");

    for log in ["tlogs", "ctlogs"] {
        let mut root = sigstore.root();
        root[log][0]["publicKey"]["validFor"] = json!({"end": "2040-01-01T00:00:00Z"});
        let root = TrustedRoot::parse(root.to_string().as_bytes()).unwrap();
        assert_refused(&good, &Identity { root, ..identity.clone() }, "log");
    }

    let late = sigstore.sign_file(&signer, &sha256(b"x"), TIME + 3 * 24 * 60 * 60);
    assert_refused(&late, &identity, "no trusted CA issued the certificate, or it was not valid");
    assert_refused(
        &sigstore.sign_file(&signer, &sha256(b"x"), 0),
        &identity,
        "valid at the time of the entry",
    );
    let server = sigstore.certify(Usage::ServerAuth, true);
    assert_refused(
        &sigstore.sign_file(&server, &sha256(b"x"), TIME),
        &identity,
        "no trusted CA issued",
    );
    let secret = sigstore.certify(USAGE, false);
    assert_refused(
        &sigstore.sign_file(&secret, &sha256(b"x"), TIME),
        &identity,
        "no trusted CT log issued an SCT",
    );
}

#[test]
fn an_entry_of_another_signature_or_without_its_proofs_is_named() {
    let sigstore = Sigstore::new();
    let (signer, identity) = (sigstore.certify(USAGE, true), sigstore.identity());
    let good = sigstore.sign_file(&signer, &sha256(b"x"), TIME);
    let entry = "/verificationMaterial/tlogEntries/0";
    let other = sigstore.sign_file(&signer, &sha256(b"y"), TIME);
    let mut swapped = good.clone();
    *swapped.pointer_mut(entry).unwrap() = other.pointer(entry).unwrap().clone();
    let error = find_refusal(&swapped, &identity, b"x").unwrap();
    assert!(error.contains("the log entry is for another signature"), "{error}");
    for (missing, expected) in [
        ("inclusionPromise", "no signed entry timestamp"),
        ("inclusionProof", "no inclusion proof"),
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(entry).unwrap().as_object_mut().unwrap().remove(missing);
        let error = find_refusal(&bad, &identity, b"x").unwrap();
        assert!(error.contains(expected), "{error}");
    }
    for (field, value) in [
        ("logIndex", json!("1003")),
        ("integratedTime", json!((TIME + 1).to_string())),
        ("inclusionProof/logIndex", json!("3")),
        ("inclusionProof/treeSize", json!("6")),
        ("inclusionProof/rootHash", json!(base64([0; 32]))),
        ("inclusionProof/hashes/0", json!(base64([0; 32]))),
        ("inclusionProof/checkpoint/envelope", json!("log.example\n5\nA\n\n\u{2014} x AAAA\n")),
        ("kindVersion/version", json!("0.0.2")),
        ("logId/keyId", json!(base64([0; 32]))),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(&format!("{entry}/{field}")).unwrap() = value;
        assert!(find_refusal(&bad, &identity, b"x").is_some(), "{field}");
    }
    let mut none = good.clone();
    *none.pointer_mut("/verificationMaterial/tlogEntries").unwrap() = json!([]);
    assert!(
        find_refusal(&none, &identity, b"x").unwrap().contains("without exactly one log entry")
    );
}

/// As cosign writes them when it is configured with a time stamp authority.
#[test]
fn time_stamps_of_others_are_not_looked_at_and_can_be_left_out() {
    let sigstore = Sigstore::new();
    let (signer, identity) = (sigstore.certify(USAGE, true), sigstore.identity());
    let mut signed = sigstore.sign_file(&signer, &sha256(b"x"), TIME);
    *signed.pointer_mut("/verificationMaterial/timestampVerificationData").unwrap() =
        json!({"rfc3161Timestamps": [{"signedTimestamp": base64(b"stamp")}]});
    let bundle = Bundle::parse(signed.to_string().as_bytes()).unwrap();
    bundle.verify_file(&identity, &sha256(b"x")).unwrap();
    let bare = bundle.without_time_stamps();
    bare.verify_file(&identity, &sha256(b"x")).unwrap();
    let text = String::from_utf8(bare.to_json().unwrap()).unwrap();
    assert!(
        !text.contains("imestamp\":[") && !text.contains("timestampVerificationData"),
        "{text}"
    );
}

#[test]
fn a_bundle_with_any_byte_changed_vouches_for_nothing() {
    let sigstore = Sigstore::new();
    let (signer, identity) = (sigstore.certify(USAGE, true), sigstore.identity());
    let good = sigstore.sign_file(&signer, &sha256(b"x"), TIME).to_string().into_bytes();
    let accepted = |bytes: &[u8]| {
        Bundle::parse(bytes).is_ok_and(|it| it.verify_file(&identity, &sha256(b"x")).is_ok())
    };
    assert!(accepted(&good));
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let around = &good[at.saturating_sub(30)..good.len().min(at + 30)];
        assert!(!accepted(&bad), "{at}: {}", String::from_utf8_lossy(around));
    }
}
