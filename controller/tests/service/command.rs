// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `controller jobs`, `controller servers` and `controller api` with a service.

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::Value;
use test_support::assert_contains;

use crate::api::{PASSWORD, recipe, service, wait_until};
use crate::support::{Service, controller};

fn ask(service: &Service, arguments: &[&str]) -> Output {
    controller(arguments)
        .env("CONTROLLER_URL", format!("http://{}", service.host()))
        .env("CONTROLLER_USER", "ops")
        .env("CONTROLLER_PASSWORD", PASSWORD)
        .env("CONTROLLER_BMC_PASSWORD", "of-the-bmc-itself")
        .output()
        .unwrap()
}

#[track_caller]
fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn expect_failure(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn an_operator_needs_no_other_client() {
    let service = service();
    let run = |arguments: &[&str]| ask(&service, arguments);
    let put = ["servers", "put", "S1", "--bmc-url", "https://bmc.example", "--bmc-user", "admin"];
    good(&run(&put));
    let pin = "AB:".repeat(31) + "AB";
    good(&run(&[&put[..], &["--bmc-pin", &pin]].concat()));
    assert!(good(&run(&["servers", "list"])).contains("https://bmc.example"));
    assert!(good(&run(&["servers", "get", "S1"])).contains(&"ab".repeat(32)));

    let network = service.folder().join("network.json");
    let with_network =
        [&put[..], &["--bmc-pin", &pin, "--network", network.to_str().unwrap()]].concat();
    std::fs::write(&network, r#"{"ports":[{"mac":"00:53:00:12:34:56"}],"vlan":0}"#).unwrap();
    assert_contains(
        expect_failure(&run(&with_network)),
        "network.json: /vlan must be from 1 to 4094",
    );
    std::fs::write(
        &network,
        r#"{"ports":[{"mac":"00:53:00:12:34:56"}],"vlan":7,"addresses":["192.0.2.77/24"]}"#,
    )
    .unwrap();
    good(&run(&with_network));
    assert!(good(&run(&["servers", "list"])).contains("192.0.2.77/24 on VLAN 7"));
    std::fs::write(&network, "null").unwrap();
    good(&run(&with_network));
    assert!(good(&run(&["servers", "list"])).contains("DHCP"));

    let file = service.folder().join("recipe.json");
    std::fs::write(&file, recipe().to_string()).unwrap();
    let file = file.to_str().unwrap();
    let id = good(&run(&["jobs", "create", "S1", file]));
    let id = id.trim();
    let error = expect_failure(&run(&["jobs", "create", "S1", file]));
    assert!(error.contains("409 active_job") && error.contains(id), "{error}");
    let ops = service.login("ops", PASSWORD);
    wait_until(&ops, id, |job| job["step"] == "webhook.wait");
    assert!(good(&run(&["jobs", "list", "--server", "S1"])).contains("provisioning"));
    good(&run(&["jobs", "cancel", id]));
    wait_until(&ops, id, |job| job["status"] == "complete");
    assert_contains(
        expect_failure(&run(&["jobs", "watch", id])),
        "failed: webhook.wait: cancelled",
    );
    assert_contains(good(&run(&["jobs", "get", id])), "state.complete");
    let json: Value = serde_json::from_str(&good(&run(&["jobs", "retry", id, "--json"]))).unwrap();
    assert_eq!(json["retry_of"], id);

    std::fs::write(file, "{\"task_target\":\"install-linux.target\"}").unwrap();
    assert_contains(expect_failure(&run(&["jobs", "create", "S1", file])), "/target_disk");
    assert_contains(expect_failure(&run(&["servers", "delete", "S1"])), "active_job");
}

#[test]
fn a_token_and_a_hash_are_made() {
    let service = service();
    let config = service.folder().join("controller.toml");
    let token = ask(&service, &["api", "token", "ci", "--config", config.to_str().unwrap()]);
    service.bearer(good(&token).trim()).get("/api/v1/servers").expect(200);

    let mut hash = controller(&["api", "hash-password"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    hash.stdin.take().unwrap().write_all(b"of-somebody-else\n").unwrap();
    let hash = good(&hash.wait_with_output().unwrap());
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("users"), format!("new:{hash}")).unwrap();
    let other = Service::start_in(folder, "[api]\nusers = \"FOLDER/users\"\n");
    other.client.login("new", "of-somebody-else").get("/api/v1/servers").expect(200);
    other.client.login("nobody", "of-somebody-else").get("/api/v1/servers").expect(401);
}
