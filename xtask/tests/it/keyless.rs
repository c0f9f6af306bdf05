// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Arguments of keyless signing for the notary, whose own tests sign with cosign.

use serde_json::Value;

use crate::common::{Answer, Fixture};

/// An OIDC token: a secret.
const TOKEN: &str = "token-of-this-test";

/// The plan of `step` with this engine and no key.
fn plan(fixture: &Fixture, step: &str, engine: &str) -> Answer {
    let engine = format!("signatures={engine}");
    let mut command = fixture.command(&[step, "--engine", &engine, "--plan", "json"]);
    if step == "release" {
        for others in ["images=podman", "sbom=native", "iso=native"] {
            command.args(["--engine", others]);
        }
    }
    command.env_remove("XTASK_SIGNING_KEY").env("SIGSTORE_ID_TOKEN", TOKEN);
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

#[test]
fn a_release_is_signed_without_a_key_and_the_token_is_no_argument() {
    let fixture = Fixture::new();
    let tag = ["tag", "--annotate", "--message", "v1.2.3", "v1.2.3"];
    let by = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
    fixture.git(&[&by[..], &tag[..]].concat());
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
