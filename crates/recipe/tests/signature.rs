// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `recipe.sig`: golden bytes, rejected input, and verification with OpenSSL.
#![cfg(feature = "signature")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on stops")]

use std::{fs, process::Command};

use proptest::{collection, prelude::*, sample};
use recipe::signature::{
    PublicKeys, SignatureError, SigningKey, TaskManifest, Validity, public_key_pem,
    signing_key_from_pem,
};

const FILES: [(&str, &[u8]); 3] =
    [("user-data", b"three"), ("recipe.json", b"one"), ("recipe.schema.json", b"two")];

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn keys(seeds: &[u8]) -> PublicKeys {
    let pems: Vec<String> = seeds.iter().map(|seed| public_key_pem(&key(*seed))).collect();
    PublicKeys::from_pem(&pems.join("a comment\n")).unwrap()
}

fn manifest() -> TaskManifest {
    let validity = Validity { created: 1_796_000_000, expires: 1_796_172_800 };
    TaskManifest::new("job-1".parse().unwrap(), "SN 1".parse().unwrap(), validity, FILES)
}

#[test]
fn a_signature_has_these_bytes() {
    let expected = "provisioner-task 2\njob job-1\nserver SN 1\n\
        created 1796000000\nexpires 1796172800\n\
        7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed  recipe.json\n\
        3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3  recipe.schema.json\n\
        8b5b9db0c13db24256c829aa364aa90c6d2eba318b9232a4ab9313b954d3555f  user-data\n\
        signature ed25519 ";
    let signed = manifest().sign(&key(7));
    assert!(signed.starts_with(expected), "{signed}");
    assert_eq!(signed, manifest().sign(&key(7)));
}

#[test]
fn any_of_the_known_keys_will_do() {
    let signed = manifest().sign(&key(7));
    for known in [&[7][..], &[1, 7], &[7, 1]] {
        let read = TaskManifest::verify(signed.as_bytes(), &keys(known)).unwrap();
        assert_eq!(read, manifest());
        read.check(&"SN 1".parse().unwrap(), FILES).unwrap();
    }
    let error = TaskManifest::verify(signed.as_bytes(), &keys(&[1, 2])).unwrap_err();
    assert_eq!(error, SignatureError::Key(2));
}

#[test]
fn another_machine_or_other_files_are_refused() {
    let (manifest, server) = (manifest(), "SN 1".parse().unwrap());
    let refused = |server: &str, files: &[(&'static str, &'static [u8])]| {
        let server = server.parse().unwrap();
        manifest.check(&server, files.iter().copied()).unwrap_err().to_string()
    };
    manifest.check(&server, FILES).unwrap();
    assert!(refused("SN 2", &FILES).contains("for host SN 1, but this host is SN 2"));
    assert!(refused("SN 1", &FILES[..2]).contains("recipe.schema.json is signed but missing"));
    let more = [FILES[0], FILES[1], FILES[2], ("ks.cfg", b"four")];
    assert!(refused("SN 1", &more).contains("ks.cfg is not among the signed files"));
    let changed = [FILES[0], ("recipe.json", &b"One"[..]), FILES[2]];
    assert!(refused("SN 1", &changed).contains("recipe.json differs from the signed file"));
}

#[test]
fn another_form_is_refused_even_if_it_is_signed() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use ed25519_dalek::Signer as _;

    let refused = |text: &str| {
        let signature = STANDARD.encode(key(7).sign(text.as_bytes()).to_bytes());
        let file = format!("{text}signature ed25519 {signature}\n");
        TaskManifest::verify(file.as_bytes(), &keys(&[7])).unwrap_err().to_string()
    };
    let digest = "0".repeat(64);
    assert!(refused("other-purpose 1\njob 1\nserver 2\n").contains("line 1"));
    // Version 1 had no expiry.
    assert!(
        refused(&format!("provisioner-task 1\njob 1\nserver 2\n{digest}  a\n")).contains("line 1")
    );
    assert!(refused("provisioner-task 2\nserver 2\njob 1\n").contains("line 2"));
    assert!(refused("provisioner-task 2\njob 1\nserver \n").contains("line 3"));
    let start = "provisioner-task 2\njob 1\nserver 2\n";
    assert!(refused(&format!("{start}{digest}  a\n")).contains("line 4"));
    assert!(refused(&format!("{start}created -1\n")).contains("line 4"));
    assert!(refused(&format!("{start}created 1\nexpires 1x\n")).contains("line 5"));
    // Every number has one representation.
    assert!(refused(&format!("{start}created +1\nexpires 2\n")).contains("line 6"));
    let start = format!("{start}created 1\nexpires 2\n");
    assert!(refused(&format!("{start}00  a\n")).contains("line 6"));
    for files in [
        format!("{digest}  b\n{digest}  a\n"),
        format!("{digest}  a\n{digest}  a\n"),
        format!("{digest}  a\r\n"),
        format!("{digest}  a"),
    ] {
        assert!(refused(&format!("{start}{files}")).contains("line 6"));
    }
}

#[test]
fn a_task_is_valid_until_it_expires() {
    let manifest = manifest();
    for now in [0, manifest.validity.created, manifest.validity.expires] {
        manifest.check_time(now).unwrap();
    }
    let error = manifest.check_time(manifest.validity.expires + 7).unwrap_err();
    assert!(error.to_string().contains("expired 7 s ago"), "{error}");
}

#[test]
fn keys_that_are_none_are_refused() {
    for pem in [
        "",
        "-----BEGIN PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n",
        // The public key of order one, which verifies any signature.
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n",
    ] {
        assert!(PublicKeys::from_pem(pem).is_err(), "{pem}");
        assert!(signing_key_from_pem(pem).is_err(), "{pem}");
    }
}

#[test]
fn openssl_makes_the_keys_and_verifies_the_signature() {
    test_support::need!(&["openssl"]);
    let dir = tempfile::tempdir().unwrap();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(&dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", "key.pem"]);
    openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]);
    let key =
        signing_key_from_pem(&fs::read_to_string(dir.path().join("key.pem")).unwrap()).unwrap();
    let public = fs::read_to_string(dir.path().join("public.pem")).unwrap();
    assert_eq!(public_key_pem(&key), public);

    let signed = manifest().sign(&key);
    TaskManifest::verify(signed.as_bytes(), &PublicKeys::from_pem(&public).unwrap()).unwrap();
    let (text, signature) = signed.split_once("signature ed25519 ").unwrap();
    fs::write(dir.path().join("text"), text).unwrap();
    fs::write(dir.path().join("signature.b64"), signature).unwrap();
    openssl(&["base64", "-d", "-in", "signature.b64", "-out", "signature"]);
    openssl(&[
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "public.pem",
        "-rawin",
        "-in",
        "text",
        "-sigfile",
        "signature",
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn one_changed_byte_is_refused(at in any::<sample::Index>(), byte in any::<u8>()) {
        let signed = manifest().sign(&key(7)).into_bytes();
        let mut changed = signed.clone();
        changed[at.index(signed.len())] = byte;
        prop_assume!(changed != signed);
        prop_assert!(TaskManifest::verify(&changed, &keys(&[7])).is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in collection::vec(any::<u8>(), 0..200), text in "[a-z0-9\n -]{0,99}signature ed25519 [a-z=]{0,9}\n?") {
        prop_assert!(TaskManifest::verify(&bytes, &keys(&[7])).is_err());
        prop_assert!(TaskManifest::verify(text.as_bytes(), &keys(&[7])).is_err());
        drop(PublicKeys::from_pem(&text));
    }
}
