// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary publish` to registries with authentication: Debian's docker-registry and the
//! controller's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use release::Channel;
use serde_json::{Value, json};
use signing::PrivateKey;
use tempfile::TempDir;
use test_support::{Distribution, Registry};

use crate::support::{KeyFile, Release, expect_failure, expect_success, notary};

const PASSWORD: &str = "not-a-secret";
/// bcrypt of the password, generated with `htpasswd -nbB`.
const HASH: &str = "$2y$05$2.BO/cGmfjzLImldKpOk1OoUWUWmR0XHmDy8CgR.eEVw7kjkMLwHC";

struct Signed {
    release: Release,
    key: KeyFile,
}

impl Signed {
    fn new() -> Self {
        let release = Release::create_unsigned(Channel::Stable, "content");
        let key = KeyFile::new(&PrivateKey::generate());
        release.sign_with(&key);
        Self { release, key }
    }

    /// `notary publish` without any credentials except those of the test.
    fn publish(&self, to: &str, home: &Path) -> Command {
        let mut command = self.release.publish(to);
        without_credentials(command.arg("--json"), home);
        command
    }
}

fn without_credentials(command: &mut Command, home: &Path) {
    for name in ["REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "DOCKER_CONFIG", "SSL_CERT_FILE"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home.join("run"));
}

/// Report of a successful run.
fn report(output: &Output) -> Value {
    assert!(!String::from_utf8_lossy(&output.stderr).contains(PASSWORD));
    serde_json::from_str(&expect_success(output)).unwrap()
}

#[test]
fn a_registry_with_a_private_certificate_and_a_password_is_published_to_and_verified() {
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let users = format!("user:{HASH}");
    let with = Distribution { htpasswd: Some(&users), tls: Some((&certificate, &key)) };
    let Some(registry) = Registry::distribution(with) else { return };
    let folder = TempDir::new().unwrap();
    let [ca, auth] = ["ca.pem", "auth.json"].map(|name| folder.path().join(name));
    fs::write(&ca, certificate).unwrap();
    let secret = BASE64_STANDARD.encode(format!("user:{PASSWORD}"));
    let document = json!({"auths": {&registry.address: {"auth": secret}}});
    fs::write(&auth, document.to_string()).unwrap();

    let signed = Signed::new();
    let place = format!("https://{}/product", registry.address);
    let publish = || signed.publish(&place, folder.path());
    let error = expect_failure(&publish().env("REGISTRY_AUTH_FILE", &auth).output().unwrap());
    assert!(error.contains("certificate"), "{error}");
    let error = expect_failure(&publish().env("SSL_CERT_FILE", &ca).output().unwrap());
    assert!(error.contains("status 401") && error.contains("podman login"), "{error}");

    let with_both = |mut command: Command| {
        command.env("SSL_CERT_FILE", &ca).env("REGISTRY_AUTH_FILE", &auth).output().unwrap()
    };
    let first = report(&with_both(publish()));
    assert!(first["blobs"]["uploaded"].as_u64().unwrap() > 10, "{first}");
    let second = report(&with_both(publish()));
    let numbers = ["blobs", "manifests"].map(|kind| second[kind]["uploaded"].clone());
    assert_eq!((numbers, &second["tags"]["set"]), ([json!(0), json!(0)], &json!(0)));

    let mut verify = notary();
    verify.args(["verify", "--registry", &format!("{place}:0.1.0"), "--key"]);
    verify.arg(signed.key.public());
    without_credentials(&mut verify, folder.path());
    assert!(expect_success(&with_both(verify)).contains("VERIFIED"));
}

#[test]
fn a_credential_helper_is_asked_and_a_user_without_the_right_sends_nothing() {
    let folder = TempDir::new().unwrap();
    let users = folder.path().join("htpasswd");
    fs::write(&users, format!("user:{HASH}\nreader:{HASH}\n")).unwrap();
    let configuration = format!(
        "[registry]\nhtpasswd = '{}'\n[[registry.access]]\nprefix = ''\npull = ['authenticated']\n\
         push = ['user']\ndelete = []\n",
        users.display()
    );
    let Some(registry) = Registry::controller_with(&configuration) else { return };
    let helper = folder.path().join("docker-credential-test");
    let script = format!(
        "#!/bin/sh\nread host\n[ \"$host\" = {} ] || exit 1\nprintf '{{\"Username\":\"%s\",\"Secret\":\"{PASSWORD}\"}}' \
         \"$TEST_USER\"\n",
        registry.address
    );
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(folder.path().join(".docker")).unwrap();
    let document = json!({"credHelpers": {&registry.address: "test"}});
    fs::write(folder.path().join(".docker/config.json"), document.to_string()).unwrap();

    let signed = Signed::new();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let publish = |user: &str| {
        let mut command = signed.publish(&format!("{}/product", registry.address), folder.path());
        command.env("PATH", &path).env("TEST_USER", user).output().unwrap()
    };
    let error = expect_failure(&publish("reader"));
    assert!(error.contains("cannot push to") && error.contains("nothing was pushed"), "{error}");
    test_support::assert_contains(expect_failure(&publish("nobody")), "status 401");
    assert!(report(&publish("user"))["blobs"]["uploaded"].as_u64().unwrap() > 10);
}

#[test]
fn a_registry_without_tls_is_named_as_one() {
    let Some(registry) = Registry::distribution(Distribution::default()) else { return };
    let signed = Signed::new();
    let place = format!("https://{}/product", registry.address);
    let error = expect_failure(&signed.publish(&place, signed.release.root()).output().unwrap());
    let expected = format!(
        "does not use TLS (received corrupt message of type InvalidContentType); if that is right, write http://{}",
        registry.address
    );
    test_support::assert_contains(error, &expected);
}
