// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Power, inspection and import of servers.

use std::process::Output;
use std::time::Duration;

use mock_bmc::{Fault, Mock, Rule, find_personality};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::assert_contains;
use tokio::runtime::Runtime;

use crate::api::{
    CONFIG, PASSWORD, new_job, prepare_folder, send, server, service_and_operator, start_job,
};
use crate::support::{BMC_PASSWORD, Client, Process, controller, mock_with, serve};

/// Starts an operation and waits for its end.
#[track_caller]
fn operate(client: &Client, kind: &str) -> Value {
    let body = json!({ "kind": kind });
    let started = send(client, "POST", "/api/v1/servers/S1/operations", &body).expect(202).json();
    assert_eq!((&started["state"], &started["kind"]), (&json!("running"), &json!(kind)));
    end_of_operation(client)
}

/// Waits for the end of the operation of `S1`.
#[track_caller]
fn end_of_operation(client: &Client) -> Value {
    for _ in 0..5000 {
        let server = client.get("/api/v1/servers/S1").expect(200).json();
        if server["operation"]["state"] != "running" {
            return server["operation"].clone();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("the operation does not end");
}

#[test]
fn an_operation_has_a_result_a_role_and_an_audit_entry() {
    let (service, ops) = service_and_operator();
    let look = service.login("look", PASSWORD);
    let path = "/api/v1/servers/S1/operations";
    let on = json!({ "kind": "power.on" });
    send(&ops, "POST", path, &on).expect_problem(404, "server_unknown");
    send(&ops, "PUT", "/api/v1/servers/S1", &server()).expect(201);
    send(&look, "POST", path, &on).expect_problem(403, "forbidden");
    send(&ops, "POST", path, &json!({ "kind": "explode" })).expect_problem(400, "bad_request");
    assert_eq!(look.get("/api/v1/servers/S1").expect(200).json()["operation"], Value::Null);
    look.get("/api/v1/servers/S1/hardware").expect_problem(404, "hardware_unknown");
    look.get("/api/v1/servers/S2/hardware").expect_problem(404, "server_unknown");

    let done = operate(&ops, "power.off");
    assert_eq!(
        (&done["state"], &done["message"]),
        (&json!("succeeded"), &json!("done: power.off"))
    );
    assert_eq!(done["created_by"], "ops");
    let failed = operate(&ops, "power.reset");
    assert_eq!((&failed["state"], &failed["message"]), (&json!("failed"), &json!("refused: …")));
    operate(&ops, "inspect");
    let metrics = service.get("/metrics").expect(200).text();
    for line in [
        "operations_running 0",
        "operation_duration_seconds_count{kind=\"power.off\",result=\"succeeded\"} 1",
        "operation_duration_seconds_count{kind=\"power.reset\",result=\"failed\"} 1",
        "operation_duration_seconds_count{kind=\"inspect\",result=\"succeeded\"} 1",
    ] {
        assert!(metrics.contains(&format!("\nprovisioner_{line}\n")), "{line}: {metrics}");
    }

    let chief = service.login("chief", PASSWORD);
    let audit = chief.get("/api/v1/audit").expect(200).json();
    let entries = audit["entries"].as_array().unwrap().iter();
    let entries: Vec<_> = entries
        .filter(|entry| entry["kind"] == "change")
        .map(|entry| [&entry["action"], &entry["object"], &entry["detail"]].map(Value::as_str))
        .collect();
    let expected = [
        ["server.inspect", "S1", "inspect"],
        ["server.power", "S1", "power.reset"],
        ["server.power", "S1", "power.off"],
    ];
    assert_eq!(entries[..3], expected.map(|entry| entry.map(Some)));
}

#[test]
fn a_server_has_a_job_or_an_operation_and_not_both() {
    let (_service, ops) = service_and_operator();
    for serial in ["S1", "S2"] {
        send(&ops, "PUT", &format!("/api/v1/servers/{serial}"), &server()).expect(201);
    }
    start_job(&ops, "S1");
    let inspect = json!({ "kind": "inspect" });
    send(&ops, "POST", "/api/v1/servers/S1/operations", &inspect).expect_problem(409, "active_job");
    // This one never ends.
    let cycle = json!({ "kind": "power.cycle" });
    send(&ops, "POST", "/api/v1/servers/S2/operations", &cycle).expect(202);
    send(&ops, "POST", "/api/v1/servers/S2/operations", &inspect)
        .expect_problem(409, "active_operation");
    send(&ops, "POST", "/api/v1/jobs", &new_job("S2")).expect_problem(409, "active_operation");
    ops.delete("/api/v1/servers/S2").expect_problem(409, "active_operation");
}

/// The command with a service and a mock BMC.
struct Site {
    process: Process,
    folder: TempDir,
}

impl Site {
    fn run(&self, arguments: &[&str]) -> Output {
        controller(arguments)
            .env("CONTROLLER_URL", format!("http://{}", self.process.client.host()))
            .env("CONTROLLER_USER", "ops")
            .env("CONTROLLER_PASSWORD", PASSWORD)
            .output()
            .unwrap()
    }

    #[track_caller]
    fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn run_failing(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Kills the service, and starts it again with the same data.
    fn crash_and_restart(self) -> Self {
        let Self { process, folder } = self;
        process.kill();
        let config = std::fs::read_to_string(folder.path().join("c.toml")).unwrap();
        let process = Process::spawn(&mut serve(folder.path(), &config));
        Self { process, folder }
    }

    /// Writes a file. Returns its path.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn site() -> Site {
    let folder = prepare_folder();
    let config = format!("{CONFIG}[redfish]\npower_timeout = \"2s\"\npoll = \"20ms\"\n");
    let process = Process::spawn(&mut serve(folder.path(), &config));
    Site { process, folder }
}

/// A site where the server S1 is a host with a generic BMC, and the client of an operator.
fn site_with_host(runtime: &Runtime) -> (Mock, Site, Client) {
    let (mock, server) = mock_with(runtime, find_personality("generic").unwrap(), |_| {});
    let site = site();
    let ops = site.process.client.login("ops", PASSWORD);
    send(&ops, "PUT", "/api/v1/servers/S1", &server).expect(201);
    (mock, site, ops)
}

#[test]
fn an_operator_inspects_a_host_and_changes_its_power() {
    let runtime = Runtime::new().unwrap();
    let (mock, site, _) = site_with_host(&runtime);
    let shown = site.good(&["servers", "inspect", "S1"]);
    for expected in ["DRIVE-1", "960 GB", "00:53:00:12:34:56", "DDR5", "UEFI CA 2023", "32 cores"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(!shown.contains("changes since"), "{shown}");
    assert!(shown.contains("warning: Secure Boot refuses a boot manager of Windows"), "{shown}");
    mock.set_bios("2.0.0");
    let shown = site.good(&["servers", "inspect", "S1"]);
    assert!(shown.contains("2 changes since"), "{shown}");
    assert!(shown.contains("system 437XR1138R2: version: 1.0.0 → 2.0.0"), "{shown}");
    assert_eq!(site.good(&["servers", "hardware", "S1"]), shown);
    let json: Value =
        serde_json::from_str(&site.good(&["servers", "hardware", "S1", "--json"])).unwrap();
    assert_eq!(json["changes"][1]["class"], "firmware");

    let printed = site.good(&["servers", "power", "off", "S1"]);
    assert_eq!(printed, "server S1: the host was shut down by its operating system\n");
    assert_eq!(site.good(&["servers", "power", "off", "S1"]), "server S1: the host was off\n");
    assert_eq!(
        site.good(&["servers", "power", "on", "S1"]),
        "server S1: the host was powered on\n"
    );
    site.good(&["servers", "power", "cycle", "S1"]);
    let printed = site.good(&["servers", "power", "reset", "S1"]);
    assert_eq!(printed, "server S1: the host was restarted by force\n");
    mock.set_gone(true);
    assert_contains(site.run_failing(&["servers", "power", "on", "S2"]), "server_unknown");
}

/// After a crash, the operation has an end, and the server is free for the next.
#[test]
fn an_operation_does_not_survive_its_process() {
    let runtime = Runtime::new().unwrap();
    let (mock, site, ops) = site_with_host(&runtime);
    let hang = Fault::HangBefore;
    mock.fault(Rule::once("GET".parse().unwrap(), "Systems", hang));
    let path = "/api/v1/servers/S1/operations";
    send(&ops, "POST", path, &json!({ "kind": "power.off" })).expect(202);
    while mock.count_hung() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let site = site.crash_and_restart();
    let ops = site.process.client.login("ops", PASSWORD);
    let operation = &ops.get("/api/v1/servers/S1").expect(200).json()["operation"];
    assert_eq!(operation["state"], "failed");
    assert!(operation["message"].as_str().unwrap().contains("restart"), "{operation}");
    let done = operate(&ops, "power.off");
    assert_eq!(done["state"], "succeeded", "{done}");
}

fn refs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn servers_are_imported_all_or_none_and_listed_by_label() {
    let site = site();
    let password = &site.write("bmc.txt", BMC_PASSWORD);
    let import = |file: &str| ["servers".to_owned(), "import".to_owned(), file.to_owned()];
    let toml = "\
[servers.S1]
bmc_url = \"https://192.0.2.7\"
username = \"admin\"
labels = { site = \"berlin\", rack = \"r7\" }
network = { ports = [{ mac = \"00:53:00:12:34:56\" }], addresses = [\"192.0.2.10/24\"] }
[servers.\"S 2\"]
bmc_url = \"https://192.0.2.8\"
username = \"admin\"
labels = { site = \"rome\" }
";
    let file = &site.write("servers.toml", toml);
    let error = site.run_failing(&import(file).each_ref().map(String::as_str));
    assert!(error.contains("/servers/S1/password is required"), "{error}");
    let with_password = |file: &str| {
        let mut arguments = import(file).to_vec();
        arguments.extend(["--bmc-password-file".to_owned(), password.clone()]);
        arguments
    };
    let good = |file: &str| site.good(&refs(&with_password(file)));
    let bad = |file: &str| site.run_failing(&refs(&with_password(file)));
    for (name, text, expected) in [
        ("bad.toml", toml.replace("192.0.2.8\"", "192.0.2.8:99999\""), "/servers/S 2/bmc_url"),
        ("bad.toml", toml.replace("/24", "/77"), "/servers/S1/network/addresses/0"),
        ("bad.toml", toml.replace("rome", "r o"), "/servers/S 2/labels"),
        ("bad.toml", toml.replace("username", "user"), "unknown field `user`"),
        ("bad.toml", toml.replace("\"rome\"", "\"rome"), "line 9"),
        ("bad.json", r#"{"servers":{"S1":{},"S1":{}}}"#.to_owned(), "missing field `bmc_url`"),
        ("bad.json", r#"{"servers":{}}"#.to_owned(), "must have 1 to 1000 servers"),
    ] {
        assert_contains(bad(&site.write(name, &text)), expected);
    }
    let one = r#"{"bmc_url":"https://192.0.2.7","username":"admin"}"#;
    let twice = format!(r#"{{"servers":{{"S1":{one},"S1":{one}}}}}"#);
    assert_contains(bad(&site.write("bad.json", &twice)), "server S1 occurs twice at line 1");
    assert_eq!(site.good(&["servers", "list"]).lines().count(), 1, "none was stored");

    assert_eq!(good(file), "registered 2, changed 0\n");
    assert_eq!(good(file), "registered 0, changed 2\n");
    let json = json!({ "servers": { "S3": {
        "bmc_url": "https://192.0.2.9", "username": "admin", "password": BMC_PASSWORD,
    } } });
    let json_file = site.write("servers.json", &json.to_string());
    site.good(&["servers", "import", &json_file]);
    let list = site.good(&["servers", "list", "--selector", "site=berlin,rack=r7"]);
    assert!(list.contains("S1") && list.contains("192.0.2.10/24"), "{list}");
    assert_eq!(list.lines().count(), 2, "{list}");
    assert_eq!(site.good(&["servers", "list"]).lines().count(), 4);
    let ops = site.process.client.login("ops", PASSWORD);
    ops.get("/api/v1/servers?selector=site").expect_problem(400, "bad_request");
    let look = site.process.client.login("look", PASSWORD);
    send(&look, "POST", "/api/v1/servers", &json).expect_problem(403, "forbidden");
}

/// A site with a host `S1`, a mock BMC whose tasks take this long, and a firmware image.
fn site_with_image(runtime: &Runtime, task: Duration) -> (Mock, Site) {
    let (mock, server) = mock_with(runtime, find_personality("generic").unwrap(), |config| {
        config.behaviour.task = task;
    });
    let site = site();
    site.write("data/media/firmware/bios-2.0.0.bin", "not really an image");
    let ops = site.process.client.login("ops", PASSWORD);
    send(&ops, "PUT", "/api/v1/servers/S1", &server).expect(201);
    (mock, site)
}

#[test]
fn firmware_is_updated_with_an_image_of_the_media_folder() {
    let runtime = Runtime::new().unwrap();
    let (_mock, site) = site_with_image(&runtime, Duration::from_millis(20));
    let error = site.run_failing(&["servers", "firmware", "update", "S1", "absent.bin"]);
    assert!(error.contains("does not exist"), "{error}");
    let error = site.run_failing(&["servers", "firmware", "update", "S1", "../key"]);
    assert!(error.contains("invalid image name"), "{error}");
    assert_contains(site.run_failing(&["servers", "firmware", "list", "S1"]), "hardware_unknown");
    site.good(&["servers", "inspect", "S1"]);
    assert!(site.good(&["servers", "firmware", "list", "S1"]).contains("1.0.0"));
    let printed = site.good(&["servers", "firmware", "update", "S1", "bios-2.0.0.bin"]);
    assert!(printed.starts_with("server S1: the update is installed"), "{printed}");
    site.good(&["servers", "inspect", "S1"]);
    let list = site.good(&["servers", "firmware", "list", "S1"]);
    assert!(list.contains("2.0.0") && !list.contains("DRIVE"), "{list}");
    let ops = site.process.client.login("ops", PASSWORD);
    for (body, expected) in [
        (json!({ "kind": "firmware.update" }), "image: is required"),
        (json!({ "kind": "power.on", "image": "x" }), "image: only for"),
    ] {
        let path = "/api/v1/servers/S1/operations";
        let problem = send(&ops, "POST", path, &body).expect_problem(400, "bad_request").json();
        assert!(problem["message"].as_str().unwrap().contains(expected), "{problem}");
    }
}

/// The BMC works on alone; the next process waits for its task.
#[test]
fn an_update_survives_the_controller() {
    let runtime = Runtime::new().unwrap();
    let (mock, site) = site_with_image(&runtime, Duration::from_millis(1500));
    let ops = site.process.client.login("ops", PASSWORD);
    let body = json!({ "kind": "firmware.update", "image": "bios-2.0.0.bin" });
    send(&ops, "POST", "/api/v1/servers/S1/operations", &body).expect(202);
    let is_polled = || mock.requests().iter().any(|(_, path, _)| path.contains("TaskMonitors"));
    while !is_polled() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let site = site.crash_and_restart();
    let ops = site.process.client.login("ops", PASSWORD);
    let operation = end_of_operation(&ops);
    assert_eq!(operation["state"], "succeeded", "{operation}");
    assert_eq!(operation["image"], "bios-2.0.0.bin");
    let updates = mock.requests().into_iter().filter(|(_, path, _)| path.contains("SimpleUpdate"));
    assert_eq!(updates.count(), 1);
}
