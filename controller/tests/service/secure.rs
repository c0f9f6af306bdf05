// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! HTTPS: certificate reloading and client certificates.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::api::{CONFIG, PASSWORD, prepare_folder};
use crate::support::{Process, controller, serve};

const SUCCESS: &str = r#"{"status":"success","job_id":"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}"#;

/// Generates a key and a self-signed certificate. None if openssl is not installed.
pub(crate) fn certificate(folder: &Path, name: &str) -> Option<()> {
    let made = Command::new(test_support::find("openssl")?)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-subj", &format!("/CN={name}"), "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &format!("{name}-key.pem"), "-out", &format!("{name}.pem")])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    Some(())
}

fn servers(url: &str, ca: &Path) -> Output {
    controller(&["servers", "list", "--url", url, "--user", "ops", "--ca"])
        .arg(ca)
        .env("CONTROLLER_PASSWORD", PASSWORD)
        .output()
        .unwrap()
}

#[test]
fn certificates_are_read_again_and_let_machines_in() {
    let folder = prepare_folder();
    let at = |name: &str| folder.path().join(name);
    for name in ["first", "second", "machine"] {
        let Some(()) = certificate(folder.path(), name) else { return };
    }
    fs::copy(at("first.pem"), at("tls.pem")).unwrap();
    fs::copy(at("first-key.pem"), at("tls-key.pem")).unwrap();
    let config = format!(
        "{CONFIG}[tls]\ncertificate = \"FOLDER/tls.pem\"\nkey = \"FOLDER/tls-key.pem\"\nclient_ca = \"FOLDER/machine.pem\"\n"
    );
    let process = Process::spawn(&mut serve(folder.path(), &config));
    let url = process.client.url().to_owned();
    assert!(url.starts_with("https://"), "{url}");
    let good = |ca: &str| servers(&url, &at(ca)).status.success();
    assert!(good("first.pem") && !good("second.pem"));

    fs::copy(at("second.pem"), at("tls.pem")).unwrap();
    fs::copy(at("second-key.pem"), at("tls-key.pem")).unwrap();
    process.hang_up();
    let read_again = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        good("second.pem")
    });
    assert!(read_again && !good("first.pem"));
    // Invalid files change nothing.
    fs::write(at("tls.pem"), "no certificate").unwrap();
    process.hang_up();
    assert!((0..5).all(|_| good("second.pem")));

    let read = |name: &str| fs::read(at(name)).unwrap();
    let certificate = |name: &str| Certificate::from_pem(&read(name)).unwrap();
    let report = |serial: &str, identity: Option<ClientCert>| {
        let roots = RootCerts::Specific(Arc::new(vec![certificate("second.pem")]));
        let tls = TlsConfig::builder().root_certs(roots).client_cert(identity).build();
        let agent = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false);
        let agent: ureq::Agent = agent.build().into();
        let sent = agent
            .post(format!("{url}/api/v1/status-webhook/{serial}"))
            .header("content-type", "application/json")
            .send(SUCCESS);
        sent.map(|answer| answer.status().as_u16()).ok()
    };
    let identity = |name: &str| {
        let key = PrivateKey::from_pem(&read(&format!("{name}-key.pem"))).unwrap();
        ClientCert::new_with_certs(&[certificate(&format!("{name}.pem"))], key)
    };
    // Without a secret: no certificate; a host for itself, without a waiting job; the same host for
    // another; a certificate of another CA.
    assert_eq!(report("machine", None), Some(401));
    assert_eq!(report("machine", Some(identity("machine"))), Some(404));
    assert_eq!(report("S1", Some(identity("machine"))), Some(401));
    assert_eq!(report("first", Some(identity("first"))), None);
}
