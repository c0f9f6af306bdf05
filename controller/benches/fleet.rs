// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Benchmark of a fleet: one mock BMC and host per job, all jobs created together and run to
//! `complete`: `cargo bench -p controller --bench fleet`.
//!
//! The controller is a separate process; mock BMCs and hosts are in this one. Each host takes 5 to
//! 15 seconds for POST and 10 seconds for its task. First, the slowest host runs a job alone, as
//! the reference. `MACHINES=N` sets the number of hosts (1,000), `CONTROLLER=FILE` measures another
//! build. Fails if a goal is missed: 1.3 times the reference, 256 MiB, and no host booted twice for
//! one job.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use controller::api::auth::{Role, TokenKey};
use mock_bmc::{Behaviour, Config, Host, Mock, Source, find_personality};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Duration of a host's task.
const WORK: Duration = Duration::from_secs(10);
/// Duration of POST: this minimum for the fastest, the sum of both for the slowest host.
const POST: Duration = Duration::from_secs(5);
const POST_SPREAD: Duration = Duration::from_secs(10);
/// Maximum ratio of the wall time to that of the slowest job alone.
const FACTOR: f64 = 1.3;
const MOST_MEMORY: u64 = 256 << 20;
const SECRET: &str = "the-secret-of-this-bench";
/// Clients that create jobs in parallel.
const CLIENTS: usize = 16;

fn main() -> Outcome {
    let machines = std::env::var("MACHINES").map_or(Ok(1000), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = TempDir::new()?;
    let controller = Arc::new(Controller::start(folder.path())?);
    let mut mocks = Vec::new();
    for index in 0..machines {
        mocks.push(runtime.block_on(machine(index, machines, &controller.url))?);
    }
    controller.register(&mocks)?;
    let slowest = mocks.len().saturating_sub(1);

    let begin = Instant::now();
    let alone = controller.create(slowest)?;
    controller.until_complete(&[alone])?;
    let alone = begin.elapsed();
    let before = controller.cpu()?;

    let begin = Instant::now();
    let jobs: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let controller = &controller;
                let mine = (0..machines).filter(move |index| index % CLIENTS == client);
                scope.spawn(move || {
                    mine.map(|index| controller.create(index)).collect::<Outcome<Vec<_>>>()
                })
            })
            .collect();
        let made =
            clients.into_iter().map(|client| client.join().map_err(|_| "a client panicked")?);
        Ok::<_, Box<dyn Error + Send + Sync>>(made.collect::<Outcome<Vec<_>>>()?.concat())
    })?;
    let made = begin.elapsed();
    controller.until_complete(&jobs)?;
    let wall = begin.elapsed();
    let (memory, cpu) = (controller.peak()?, controller.cpu()? - before);

    let mut failed = 0;
    let mut taken_over = 0;
    let mut longest = Duration::ZERO;
    for id in &jobs {
        let job = controller.get(&format!("/api/v1/jobs/{id}"))?;
        failed += usize::from(job["outcome"] != "succeeded");
        let events = job["events"].as_array().ok_or("no events")?;
        taken_over += events.iter().filter(|event| event["kind"] == "lease.taken-over").count();
        longest =
            longest.max(time(&job["completed_at"])?.saturating_sub(time(&job["created_at"])?));
    }
    // The slowest host ran the reference job, too.
    let twice = mocks.iter().enumerate().filter(|(index, mock)| {
        let starts = mock.boots().iter().filter(|boot| boot.source != Source::Disk).count();
        starts != 1 + usize::from(*index == slowest)
    });
    let twice = twice.count();
    let factor = wall.as_secs_f64() / alone.as_secs_f64();
    println!("\n| {machines} machines, a job each | |\n| --- | --- |");
    println!("| the slowest job, alone | {:.1} s |", alone.as_secs_f64());
    println!("| all jobs made after | {:.1} s |", made.as_secs_f64());
    println!(
        "| all jobs complete after | {:.1} s, {factor:.2} times the slowest alone |",
        wall.as_secs_f64()
    );
    println!("| the longest of them took | {:.1} s |", longest.as_secs_f64());
    println!("| processor time of the controller | {cpu:.1} s |");
    println!("| highest RSS | {} MiB |", memory >> 20);
    println!("| failed, taken over, started twice | {failed}, {taken_over}, {twice} |");
    let good = failed + taken_over + twice == 0 && factor <= FACTOR && memory < MOST_MEMORY;
    if good { Ok(()) } else { Err("a goal is missed".into()) }
}

/// A mock host with its BMC; the last one is the slowest.
async fn machine(index: usize, of: usize, controller: &str) -> Outcome<Mock> {
    let mut config =
        Config::new(find_personality("generic").ok_or("no personality")?, &serial(index));
    let (index, of) = (u32::try_from(index)?, u32::try_from(of)?);
    let spread = POST_SPREAD * (index + 1) / of;
    config.behaviour = Behaviour { post: POST + spread, ..Behaviour::default() };
    let mock = Mock::start(config).await?;
    let mut boots = mock.watch_boots();
    let host = Host { controller: controller.to_owned() };
    tokio::spawn(async move {
        while let Some(boot) = boots.recv().await {
            if boot.source != Source::Disk {
                tokio::time::sleep(WORK).await;
            }
            if let Err(error) = host.run(&boot).await {
                eprintln!("{}: {error}", boot.serial);
            }
        }
    });
    Ok(mock)
}

fn serial(index: usize) -> String {
    format!("S{index:04}")
}

fn time(value: &Value) -> Outcome<Duration> {
    let text = value.as_str().ok_or("no time")?;
    Ok(humantime::parse_rfc3339(text)?.duration_since(std::time::UNIX_EPOCH)?)
}

struct Controller {
    url: String,
    child: Child,
    agent: Agent,
    token: String,
}

impl Controller {
    fn start(folder: &Path) -> Outcome<Self> {
        let key = "k".repeat(48);
        let images = folder.join("data/media/static");
        fs::create_dir_all(&images)?;
        fs::write(images.join("maintenance.iso"), vec![1; 256 << 10])?;
        fs::write(folder.join("key"), &key)?;
        fs::write(folder.join("secret"), SECRET)?;
        // The port is free, but its URL is needed before a server listens on it.
        let host = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let here = folder.display();
        let config = format!(
            "[server]\nlisten = \"{host}\"\nmax_connections = 4096\nmax_connections_per_address = 4096\n[log]\nlevel = \"warn\"\n\
             [api]\ntoken_key = \"{here}/key\"\nrequests_per_second = 1000000\n\
             [webhook]\nsecrets = [\"{here}/secret\"]\n[jobs]\nurl = \"http://{host}\"\n"
        );
        fs::write(folder.join("c.toml"), config)?;
        let program = std::env::var_os("CONTROLLER")
            .unwrap_or_else(|| env!("CARGO_BIN_EXE_controller").into());
        let mut command = Command::new(program);
        command.args(["serve", "--config"]).arg(folder.join("c.toml"));
        let mut child =
            command.arg("--data-dir").arg(folder.join("data")).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let url = line.trim_end().strip_prefix("listening on ").ok_or("no address")?.to_owned();
        let token = TokenKey::new(&key)?.issue("bench", Role::Operator, Duration::from_hours(24));
        Ok(Self { url, child, agent: Agent::new_with_defaults(), token })
    }

    fn register(&self, mocks: &[Mock]) -> Outcome {
        for (index, mock) in mocks.iter().enumerate() {
            let server =
                json!({ "bmc_url": mock.url(), "username": "admin", "password": "password" });
            let url = format!("{}/api/v1/servers/{}", self.url, serial(index));
            let request = self.agent.put(url).header("authorization", self.authorization());
            let request = request.header("content-type", "application/json");
            request.send(server.to_string())?;
        }
        Ok(())
    }

    fn create(&self, index: usize) -> Outcome<String> {
        let recipe = json!({
            "task_target": "install-linux.target",
            "target_disk": "/dev/sda",
            "oci_url": "registry.example/os/debian:13",
            "partition_layout": [{ "size": "100%", "type_guid": "8300", "format": "ext4" }],
        });
        let job = json!({ "server_serial": serial(index), "recipe": recipe });
        let url = format!("{}/api/v1/jobs", self.url);
        let request = self.agent.post(url).header("authorization", self.authorization());
        let request = request.header("content-type", "application/json");
        let answer = request.send(job.to_string())?.body_mut().read_to_string()?;
        let job: Value = serde_json::from_str(&answer)?;
        Ok(job["job_id"].as_str().ok_or("no job")?.to_owned())
    }

    /// Polls incomplete jobs one after another until all are complete.
    fn until_complete(&self, jobs: &[String]) -> Outcome {
        for id in jobs {
            while self.get(&format!("/api/v1/jobs/{id}"))?["status"] != "complete" {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    fn get(&self, path: &str) -> Outcome<Value> {
        let request = self.agent.get(format!("{}{path}", self.url));
        let request = request.header("authorization", self.authorization());
        Ok(serde_json::from_str(&request.call()?.body_mut().read_to_string()?)?)
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// In bytes.
    fn peak(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
    }

    /// In seconds.
    fn cpu(&self) -> Outcome<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // Both fail if the process has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
