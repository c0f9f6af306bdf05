// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The controller under attack, hosts with mock BMCs, and an operator.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use engine::tool::Daemon;
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::{file, tree};
use programs::registry;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::client::{Answer, OURS, request, send};
use super::{ANSWER, ANSWER_UNOPTIMISED};

/// Number of hosts that are provisioned during the attacks.
pub(super) const HOSTS: usize = 4;
/// Timeout for programs to start and for the operator's requests.
const PATIENCE: Duration = Duration::from_secs(30);
/// `server.shutdown_timeout`.
const SHUTDOWN: Duration = Duration::from_secs(5);
/// Grace period after the shutdown timeout.
const AFTER_SHUTDOWN: Duration = Duration::from_secs(3);
/// Polling interval.
const PAUSE: Duration = Duration::from_millis(50);
/// Throw-away secrets of this site.
pub(super) const SECRET: &str = "secret-of-the-hostile-smoke-test-0123456789";
const PASSWORD: &str = "password-of-the-hostile-smoke-test";
/// `Authorization` with the name `ops` and [`PASSWORD`] (RFC 7617).
pub(super) const LOGIN: &str = "Basic b3BzOnBhc3N3b3JkLW9mLXRoZS1ob3N0aWxlLXNtb2tlLXRlc3Q=";

/// A controller and its hosts. Dropping it stops them.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    /// Response time limit.
    pub(super) patience: Duration,
    controller: Daemon,
    _hosts: Daemon,
    bmcs: Vec<(String, String)>,
}

/// Build commands for programs that are not in the release: the hosts, and without a release the
/// controller.
pub(super) fn builds(run: &Run) -> Vec<Command> {
    let build = |package: &str| {
        run.command("cargo")
            .args(["build", "--quiet", "--locked", "--package", package, "--target-dir"])
            .arg(run.workspace.target())
    };
    let mut builds = vec![build("mock-bmc")];
    if run.manifest().is_err() {
        builds.push(build("controller"));
    }
    builds
}

impl Site {
    pub(super) fn start(run: &Run, log: &StepLog) -> Result<Self> {
        let folder = run.workspace.scratch().join("smoke-hostile");
        tree::remove(&folder)?;
        let images = folder.join("data/media/static");
        file::create_folder(&images)?;
        let (program, patience) = match run.manifest() {
            Ok(_) => (registry::controller(run, log)?, ANSWER),
            Err(_) => (run.workspace.target().join("debug/controller"), ANSWER_UNOPTIMISED),
        };
        let program = program.to_string_lossy().into_owned();
        let write = |name: &str, text: &str| -> Result<PathBuf> {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path)
        };
        write("data/media/static/maintenance.iso", "not really an image")?;
        let password = write("password", PASSWORD)?;
        let hash = run.command(&program).args(["api", "hash-password"]).input(&password);
        let hash = String::from_utf8_lossy(&run.ask(log, &hash)?).trim().to_owned();
        let users = write("users", &format!("ops:{hash}\n"))?;
        let secret = write("webhook-secret", SECRET)?;
        // BMCs and hosts need the port number before the controller binds it.
        let free =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free port")?;
        let address = free.local_addr().context("cannot find a free port")?;
        drop(free);
        let config = format!(
            "[server]\nlisten = \"{address}\"\nshutdown_timeout = \"{}s\"\nstall_timeout = \"3s\"\n\
             [api]\nusers = \"{users}\"\n\
             [webhook]\nsecrets = [\"{secret}\"]\naccept_fleet_secret = true\n\
             [registry]\nhtpasswd = \"{users}\"\n\
             [jobs]\nurl = \"http://{address}\"\n\
             [redfish]\npower_timeout = \"5s\"\npost_timeout = \"5s\"\npoll = \"100ms\"\n",
            SHUTDOWN.as_secs(),
            users = users.display(),
            secret = secret.display()
        );
        let config = write("controller.toml", &config)?;
        let address_file = folder.join("address");
        let serve = run
            .command(&program)
            .arg("serve")
            .arg("--config")
            .arg(config)
            .arg("--data-dir")
            .arg(folder.join("data"))
            .arg("--address-file")
            .arg(&address_file);
        let logs = run.workspace.scratch().join("logs");
        let mut controller =
            run.tools.background(log, &serve, &logs.join("smoke-hostile.controller.log"))?;
        controller
            .wait_for_file(&address_file, PATIENCE)
            .context("the controller does not start")?;
        let (hosts, bmcs) = start_hosts(run, log, address)?;
        Ok(Self { address, patience, controller, _hosts: hosts, bmcs })
    }

    /// Sends a request as operator.
    pub(super) fn operator(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let headers = [("Authorization", LOGIN), ("Content-Type", "application/json")];
        send(OURS, self.address, &request(method, path, &headers, body.as_bytes()), PATIENCE)
            .with_context(|| format!("{method} {path} got no response"))
    }

    /// Registers a server with the BMC at `url`, starts a job on it and returns the job id.
    pub(super) fn install(&self, serial: &str, url: &str) -> Result<String> {
        let server = json!({"bmc_url": url, "username": "admin", "password": "password"});
        let put = self.operator("PUT", &format!("/api/v1/servers/{serial}"), Some(&server))?;
        ensure!(put.status == 201, "adding the server {serial} got status {}", put.status);
        let recipe = json!({
            "task_target": "install-linux.target",
            "target_disk": "/dev/vda",
            "oci_url": format!("registry.example/os@sha256:{}", "a".repeat(64)),
            "partition_layout": [{"size": "100%", "type_guid": "8300", "format": "ext4"}],
        });
        let job = json!({"server_serial": serial, "recipe": recipe});
        let made = self.operator("POST", "/api/v1/jobs", Some(&job))?;
        ensure!(made.status == 202, "starting the job on {serial} got status {}", made.status);
        let job: Value = serde_json::from_slice(&made.body).context("the job is malformed")?;
        let id = job.get("job_id").and_then(Value::as_str).context("the job has no id")?;
        Ok(id.to_owned())
    }

    /// Starts a job on host `number`.
    pub(super) fn job(&self, number: usize) -> Result<String> {
        let (serial, url) = self.bmcs.get(number).context("no such host")?;
        self.install(serial, url)
    }

    /// Waits until all `jobs` have succeeded.
    pub(super) fn await_jobs(&self, jobs: &[String], patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        for id in jobs {
            loop {
                let answer = self.operator("GET", &format!("/api/v1/jobs/{id}"), None)?;
                let job: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let field = |name: &str| job.get(name).and_then(Value::as_str).unwrap_or_default();
                if field("outcome") == "succeeded" || field("status") == "succeeded" {
                    break;
                }
                ensure!(
                    job.get("failed_step").is_none_or(Value::is_null),
                    "the job failed: {}",
                    summarize(&job)
                );
                if field("status") == "complete" {
                    break;
                }
                ensure!(
                    Instant::now() < deadline,
                    "the job is not done after {patience:?}: {}",
                    summarize(&job)
                );
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Peak memory of the controller in MiB (`VmHWM`, `proc_pid_status(5)`).
    pub(super) fn peak_memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.controller.number());
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|it| it.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        Ok(kib.context("the kernel does not report VmHWM")?.div_ceil(1024))
    }

    /// Terminates the controller with SIGTERM and waits for its exit.
    pub(super) fn stop(&self) -> Result<Duration> {
        let process = Pid::from_raw(self.controller.number()).context("invalid process id")?;
        let started = Instant::now();
        kill_process(process, Signal::TERM).context("cannot terminate the controller")?;
        while !self.controller.has_ended()? {
            let took = started.elapsed();
            if took > SHUTDOWN + AFTER_SHUTDOWN {
                bail!("the controller still runs {took:?} after SIGTERM");
            }
            std::thread::sleep(PAUSE);
        }
        Ok(started.elapsed())
    }
}

/// Names a job's host, step and last event; the controller's log has the rest.
fn summarize(job: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let last = job["events"].as_array().and_then(|events| events.last());
    let last = last.map(|event| format!("{} at {}", text(&event["message"]), text(&event["at"])));
    format!(
        "host {}, step {}, last event: {}",
        text(&job["server_serial"]),
        text(&job["step"]),
        last.as_deref().unwrap_or("none")
    )
}

/// Starts hosts with mock BMCs; returns serial number and BMC URL of each.
fn start_hosts(
    run: &Run,
    log: &StepLog,
    controller: SocketAddr,
) -> Result<(Daemon, Vec<(String, String)>)> {
    let program = run.workspace.target().join("debug/mock-bmc");
    let output = run.workspace.scratch().join("logs/smoke-hostile.hosts.log");
    let command = run
        .command(&program.to_string_lossy())
        .arg("--count")
        .arg(HOSTS.to_string())
        .arg("--controller")
        .arg(format!("http://{controller}"));
    let daemon = run.tools.background(log, &command, &output)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = read(&output);
        let hosts: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once(" http"))
            .map(|(serial, url)| (serial.to_owned(), format!("http{url}")))
            .collect();
        if hosts.len() == HOSTS {
            return Ok((daemon, hosts));
        }
        ensure!(Instant::now() < deadline && !daemon.has_ended()?, "no hosts: {text}");
        std::thread::sleep(PAUSE);
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
