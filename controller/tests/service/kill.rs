// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `kill -9` of the controller during a job, in each state and at each BMC request, before and
//! after its effect. The next process continues: acknowledged reports are kept, the job ends, no
//! host is reset twice, and the events are complete.

use std::time::Duration;

use mock_bmc::{Fault, Mock, Rule, Source, find_personality};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::api::{
    CONFIG, PASSWORD, new_job, prepare_folder, secret_of, send, start_job, wait_until,
};
use crate::support::{Client, Process, mock, serve};

/// Polling interval of the mock.
const PAUSE: Duration = Duration::from_millis(5);

/// Reports of the host, on demand.
const REPORTS: [(&str, &str); 2] = [
    ("succeeded", r#"{"status":"success","delivery_id":"d"}"#),
    ("failed", r#"{"status":"failed","failed_step":"image-linux.service","delivery_id":"d"}"#),
];

/// A controller, its folder, and a mock host with its BMC.
struct World {
    folder: TempDir,
    config: String,
    mock: Mock,
    /// Request that registers the host.
    server: Value,
    /// Runtime of the mock, dropped after it.
    _runtime: Runtime,
}

impl World {
    fn new() -> Self {
        let folder = prepare_folder();
        let times = "lease = \"300ms\"\n[redfish]\npower_timeout = \"2s\"\npost_timeout = \"300ms\"\npoll = \"20ms\"\n";
        let config = format!("{CONFIG}{times}");
        let runtime = Runtime::new().unwrap();
        let (mock, server) = mock(&runtime, find_personality("generic").unwrap());
        Self { folder, config, mock, server, _runtime: runtime }
    }

    fn start(&self) -> Running {
        let process = Process::spawn(&mut serve(self.folder.path(), &self.config));
        let ops = process.client.login("ops", PASSWORD);
        Running { process, ops }
    }

    /// Creates a job on the host. Returns its id.
    fn create(&self, running: &Running) -> String {
        send(&running.ops, "PUT", "/api/v1/servers/S1", &self.server).expect(201);
        start_job(&running.ops, "S1")
    }

    fn await_hang(&self) {
        let hangs = || {
            std::thread::sleep(PAUSE);
            self.mock.count_hung() > 0
        };
        assert!((0..4000).any(|_| hangs()), "{:#?}", self.mock.requests());
    }
}

struct Running {
    process: Process,
    ops: Client,
}

impl Running {
    fn report(&self, job: &str, report: &str) -> u16 {
        let path = "/api/v1/status-webhook/S1";
        let secret = secret_of(job, 0);
        let headers = [("x-webhook-secret", secret.as_str())];
        let report = report.replace('}', &format!(r#","job_id":"{job}"}}"#));
        self.process.client.send("POST", path, &headers, report.as_bytes()).status
    }

    fn until_webhook(&self, id: &str) {
        wait_until(&self.ops, id, |job| {
            job["step"] == "webhook.wait" || job["status"] == "complete"
        });
    }

    fn until_complete(&self, id: &str) -> Value {
        wait_until(&self.ops, id, |job| job["status"] == "complete")
    }
}

fn kinds(job: &Value) -> Vec<&str> {
    let events = job["events"].as_array().unwrap();
    events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

/// Invariants of every complete job.
fn check(place: &str, world: &World, job: &Value, outcome: &str) {
    let context = || format!("{place}: {job:#} {:?}", world.mock.boots());
    assert_eq!(job["outcome"], outcome, "{}", context());
    let states: Vec<_> = kinds(job).into_iter().filter(|kind| kind.starts_with("state.")).collect();
    let ended = format!("state.{outcome}");
    assert_eq!(
        states,
        ["state.queued", "state.provisioning", &ended, "state.complete"],
        "{}",
        context()
    );
    let boots = world.mock.boots();
    let from_cd = boots.iter().filter(|boot| boot.source != Source::Disk).count();
    assert_eq!(from_cd, 1, "{}", context());
    // One final boot from disk, unless it is unknown whether that happened.
    assert!(boots.len() <= 2, "{}", context());
    assert!(
        world.mock.images().iter().all(Option::is_none),
        "{}: {:?}",
        context(),
        world.mock.images()
    );
    // The mock has no other client.
    assert_eq!(world.mock.boot_source().1, "Disabled", "{}", context());
}

#[test]
fn killed_in_the_middle_of_each_call_to_the_bmc() {
    let calls = [
        ("POST", "Sessions", 1),
        ("POST", "CD1/Actions/VirtualMedia.InsertMedia", 1),
        ("POST", "CD2/Actions/VirtualMedia.InsertMedia", 1),
        ("PATCH", "Systems", 1),
        ("POST", "ComputerSystem.Reset", 1),
        ("POST", "CD1/Actions/VirtualMedia.EjectMedia", 1),
        ("POST", "CD2/Actions/VirtualMedia.EjectMedia", 1),
        ("POST", "ComputerSystem.Reset", 2),
    ];
    std::thread::scope(|scope| {
        for (method, path, time) in calls {
            for fault in [Fault::HangBefore, Fault::HangAfter] {
                scope.spawn(move || kill_at(method, path, time, &fault));
            }
        }
    });
}

/// Kills the controller at occurrence number `time` of a request.
fn kill_at(method: &str, path: &'static str, time: u32, fault: &Fault) {
    let place = format!("{method} {path} {time} {fault:?}");
    let world = World::new();
    let method = method.parse().unwrap();
    if time == 2 {
        let slow = Fault::Slow(Duration::ZERO);
        world.mock.fault(Rule::once(Clone::clone(&method), path, slow));
    }
    world.mock.fault(Rule::once(method, path, fault.clone()));
    let running = world.start();
    let id = world.create(&running);
    let late = path.contains("Eject") || time == 2;
    if late {
        running.until_webhook(&id);
        assert_eq!(running.report(&id, REPORTS[0].1), 200, "{place}");
    }
    world.await_hang();
    running.process.kill();

    let running = world.start();
    // Held back until the job waits for it: it would hide a second reset.
    running.until_webhook(&id);
    assert_eq!(running.report(&id, REPORTS[0].1), 200, "{place}");
    let job = running.until_complete(&id);
    check(&place, &world, &job, "succeeded");
    assert!(kinds(&job).contains(&"lease.taken-over"), "{place}: {job:#}");
}

#[test]
fn killed_as_soon_as_each_state_is_acknowledged() {
    std::thread::scope(|scope| {
        for (outcome, report) in REPORTS {
            scope.spawn(move || {
                let world = World::new();
                let running = world.start();
                // Acknowledged, possibly not started.
                let id = world.create(&running);
                running.process.kill();
                let running = world.start();
                running.until_webhook(&id);
                // The host executes the task.
                running.process.kill();
                let running = world.start();
                running.until_webhook(&id);
                assert_eq!(running.report(&id, report), 200);
                // Reported; clean-up may have started.
                running.process.kill();
                let running = world.start();
                let job = running.until_complete(&id);
                check(outcome, &world, &job, outcome);
                // Complete: nothing is repeated, and a repeated report is recognized.
                let requests = world.mock.requests().len();
                running.process.kill();
                let running = world.start();
                assert_eq!(running.report(&id, report), 200);
                let after = running.until_complete(&id);
                assert_eq!(after["outcome"], job["outcome"]);
                assert_eq!(world.mock.requests().len(), requests);
                // The server accepts a new job.
                send(&running.ops, "POST", "/api/v1/jobs", &new_job("S1")).expect(202);
            });
        }
    });
}
