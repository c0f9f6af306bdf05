// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares our verdicts with those of the crate `sigstore-verify`: both accept intact bundles, and
//! we accept no bundle with one changed value that it rejects.

use mock_sigstore::{Sigstore, TIME, USAGE};
use serde_json::{Value, json};
use signing::statement::CYCLONEDX;
use signing::{Bundle, Identity, Statement, sha256};

const FILE: &[u8] = b"content";

/// Collects the JSON pointers of all leaf values in `value`.
fn leaves(value: &Value, place: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                leaves(member, &format!("{place}/{}", name.replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{place}/{index}"), found);
            }
        }
        _ => found.push(place.to_owned()),
    }
}

/// Copies of `bundle` with one leaf replaced: by that of `other`, by null, or by a text.
fn variants(bundle: &Value, other: &Value) -> Vec<(String, Value)> {
    let (mut places, mut found) = (Vec::new(), Vec::new());
    leaves(bundle, "", &mut places);
    for place in places {
        let others = other.pointer(&place).cloned().unwrap_or_default();
        for value in [others, Value::Null, json!("AAAA"), json!("0")] {
            let mut variant = bundle.clone();
            let Some(target) = variant.pointer_mut(&place).filter(|old| **old != value) else {
                continue;
            };
            *target = value;
            found.push((place.clone(), variant));
        }
    }
    found
}

/// Compares the verdicts on `bundle` and on all its [`variants`].
fn compare(
    bundle: &Value,
    other: &Value,
    ours: impl Fn(&[u8]) -> Result<(), String>,
    theirs: impl Fn(&[u8]) -> Result<(), String>,
) {
    let text = bundle.to_string();
    assert_eq!((ours(text.as_bytes()), theirs(text.as_bytes())), (Ok(()), Ok(())));
    let variants = variants(bundle, other);
    let mut refused = 0;
    for (place, variant) in &variants {
        let text = variant.to_string();
        let (ours, theirs) = (ours(text.as_bytes()), theirs(text.as_bytes()));
        assert!(ours.is_err() || theirs.is_ok(), "{place}: {theirs:?}\n{text}");
        refused += usize::from(theirs.is_err());
    }
    assert!(refused > variants.len() / 2, "{refused} of {} are refused", variants.len());
}

fn parse(bundle: &[u8]) -> Result<Bundle, String> {
    Bundle::parse(bundle).map_err(|error| error.to_string())
}

fn file(identity: &Identity) -> impl Fn(&[u8]) -> Result<(), String> {
    move |bundle| {
        let verified = parse(bundle)?.verify_file(identity, &sha256(FILE));
        verified.map_err(|error| error.to_string())
    }
}

fn statement(identity: &Identity) -> impl Fn(&[u8]) -> Result<(), String> {
    move |bundle| {
        let verified = parse(bundle)?.verify_statement(identity, CYCLONEDX, &sha256(FILE));
        verified.map(drop).map_err(|error| error.to_string())
    }
}

#[test]
fn bundles_of_an_identity_have_one_verdict() {
    let (sigstore, digest) = (Sigstore::new(), sha256(FILE));
    let (identity, signer) = (sigstore.identity(), sigstore.certify(USAGE, true));
    let other = sigstore.certify(USAGE, true);
    let theirs = |bundle: &[u8]| sigstore.oracle(bundle, &digest);

    let bundle = sigstore.sign_file(&signer, &digest, TIME);
    let foreign = sigstore.sign_file(&other, &sha256(b"other"), TIME + 1);
    compare(&bundle, &foreign, file(&identity), theirs);

    let signed = |signer, content: &[u8]| {
        let signed = Statement::new("image", &sha256(content), CYCLONEDX, json!({"a": 1}));
        sigstore.sign_statement(signer, &signed)
    };
    let (bundle, foreign) = (signed(&signer, FILE), signed(&other, b"other"));
    compare(&bundle, &foreign, statement(&identity), theirs);
}
