// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Arguments of keyless signing for the notary, whose own tests sign with cosign.

use serde_json::Value;

use crate::common::{Answer, Fixture};

/// An OIDC token: a secret.
const TOKEN: &str = "token-of-this-test";

/// The plan of `step` with this engine and no key.
fn plan(fixture: &Fixture, step: &str, engine: &str) -> Answer {
    let others = ["images=podman", "sbom=native", "iso=native"].map(|it| ["--engine", it]);
    let others = if step == "release" { others.as_flattened() } else { &[] };
    plan_with(fixture, &[&[step], others].concat(), engine, "")
}

/// The plan of these words with this engine and this key.
fn plan_with(fixture: &Fixture, words: &[&str], engine: &str, key: &str) -> Answer {
    let engine = format!("signatures={engine}");
    let mut command = fixture.command(&[words, &["--engine", &engine, "--plan", "json"]].concat());
    command.env("XTASK_SIGNING_KEY", key).env("SIGSTORE_ID_TOKEN", TOKEN);
    command.env("ACTIONS_ID_TOKEN_REQUEST_URL", "https://token.example").env("AWS_REGION", "x");
    command.env("XTASK_SIGNING_CONFIG", "signing.json").env("XTASK_TRUSTED_ROOT", "/root.json");
    Answer(command.output().unwrap())
}

/// The last command of `step` in the plan.
fn command(answer: &Answer, step: &str) -> Value {
    assert_eq!(answer.code(), 0, "{}", answer.err());
    assert!(!answer.out().contains(TOKEN), "{}", answer.out());
    let plan: Value = serde_json::from_str(&answer.out()).unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let step = steps.iter().find(|it| it["name"] == step).unwrap();
    let actions = step["plan"]["actions"].as_array().unwrap();
    actions.iter().rev().find_map(|it| it.get("command")).unwrap().clone()
}

fn tagged() -> Fixture {
    let fixture = Fixture::new();
    let tag = ["tag", "--annotate", "--message", "v1.2.3", "v1.2.3"];
    let by = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
    fixture.git(&[&by[..], &tag[..]].concat());
    fixture
}

#[test]
fn a_release_is_signed_without_a_key_and_the_token_is_no_argument() {
    let fixture = tagged();
    let refused = plan(&fixture, "release", "native");
    assert!(refused.err().contains("--engine signatures=cosign:keyless"), "{}", refused.err());

    let release = plan(&fixture, "release", "cosign:keyless");
    for step in ["sign", "attest"] {
        let command = command(&release, step);
        let arguments = command["args"].to_string();
        let config = fixture.root().join("signing.json");
        for expected in [
            r#""--engine","cosign:keyless""#.to_owned(),
            format!(r#""--signing-config",{config:?}"#),
            r#""--trusted-root","/root.json""#.to_owned(),
        ] {
            assert!(arguments.contains(&expected), "{arguments}");
        }
        assert!(!arguments.contains("--key"), "{arguments}");
        let secret = &command["secret_env"];
        assert_eq!(secret.to_string(), r#"["ACTIONS_ID_TOKEN_REQUEST_URL","SIGSTORE_ID_TOKEN"]"#);
    }
    let verify = command(&release, "verify")["args"].to_string();
    assert!(verify.contains(r#""--certificate-identity","NAME""#), "{verify}");
    assert!(verify.contains(r#""--trusted-root","/root.json""#), "{verify}");

    let unknown = plan(&fixture, "sign", "cosign:other");
    assert!(
        unknown.err().contains("signatures=cosign, signatures=cosign:keyless"),
        "{}",
        unknown.err()
    );
}

/// The key signs the record, and is out of reach of what signs the release.
#[test]
fn a_key_in_a_kms_signs_the_record_of_channels_of_a_keyless_release() {
    let fixture = tagged();
    let words = ["ci", "release", "--part", "publish", "--to", "r.example/x"];
    let release = plan_with(&fixture, &words, "cosign:keyless", "awskms:///alias/channels");
    for (step, engine, secrets) in [
        ("sign", "cosign:keyless", &["SIGSTORE_ID_TOKEN"][..]),
        ("attest", "cosign:keyless", &["SIGSTORE_ID_TOKEN"]),
        ("promote", "cosign", &["XTASK_SIGNING_KEY", "AWS_REGION"]),
    ] {
        let command = command(&release, step);
        let arguments = command["args"].to_string();
        assert!(arguments.contains(&format!(r#""--engine","{engine}""#)), "{arguments}");
        assert_eq!(arguments.matches("--trusted-root").count(), 1, "{arguments}");
        let named = arguments.contains(r#""--certificate-identity","NAME""#);
        assert_eq!(named, step == "promote", "{arguments}");
        let secret = command["secret_env"].to_string();
        for it in ["XTASK_SIGNING_KEY", "AWS_REGION", "SIGSTORE_ID_TOKEN"] {
            assert_eq!(secret.contains(it), secrets.contains(&it), "{step}: {it}");
        }
    }
    // Without a key, the identity signs the record too.
    let release = plan_with(&fixture, &words, "cosign:keyless", "");
    let promote = command(&release, "promote");
    assert!(promote["args"].to_string().contains(r#""--engine","cosign:keyless""#), "{promote}");
    assert!(promote["secret_env"].to_string().contains("SIGSTORE_ID_TOKEN"), "{promote}");
}
