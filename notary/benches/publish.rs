// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares `notary publish` with `skopeo copy --all` and `oras push` of the same images and files, in
//! alternating rounds, each to a new registry: docker-registry, then the controller.
//! `cargo build --release --bin controller` and `cargo bench -p notary --bench publish -- RELEASE`.
//!
//! RELEASE is a folder with a release, which is copied and signed here. skopeo and oras push no referrers and
//! no signature tags, so they send less. `ROUNDS=N` sets the number of rounds. A second `notary publish` must
//! send nothing; then a channel is pointed to the release.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use release::{Channel, Manifest, layout};
use serde_json::Value;
use tempfile::TempDir;
use test_support::{Distribution, Registry};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Starts a registry without content.
type Start = fn() -> Option<Registry>;
/// Step with a registry, by its address.
type Step = fn(&Content, &str) -> Outcome;

const REGISTRIES: [(&str, Start); 2] = [
    ("docker-registry", || Registry::distribution(Distribution::default())),
    ("controller", Registry::controller),
];
const NOTARY: [(&str, Step); 3] = [
    ("notary publish", |it, to| it.publish(to).map(drop)),
    ("notary publish, again", Content::republish),
    ("notary promote", Content::promote),
];
const OTHERS: [(&str, Step); 2] = [
    ("skopeo and oras", Content::skopeo_and_oras),
    ("skopeo and oras, again", Content::skopeo_and_oras),
];

fn main() -> Outcome {
    // `cargo test --all-targets` runs this too.
    if !env::args().any(|it| it == "--bench") {
        return Ok(());
    }
    test_support::bench_needs(&[("skopeo", "skopeo")])?;
    // cargo passes `--bench`.
    let folder = env::args().skip(1).find(|it| !it.starts_with('-'));
    let content = Content::sign(&folder.ok_or("give the folder of a release")?)?;
    let rounds: usize = env::var("ROUNDS").map_or(Ok(5), |text| text.parse())?;
    println!("\n| registry | | median | lowest | highest | processor time |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (registry, start) in REGISTRIES {
        let mut rows: Vec<_> =
            NOTARY.iter().chain(&OTHERS).map(|(name, _)| (*name, Vec::new())).collect();
        for round in 0..rounds {
            let mut ways = [(0, &NOTARY[..]), (NOTARY.len(), &OTHERS[..])];
            ways.rotate_left(round % 2);
            for (first, steps) in ways {
                let registry = start().ok_or_else(|| format!("there is no {registry}"))?;
                for (row, (_, step)) in rows.iter_mut().skip(first).zip(steps) {
                    let (time, used) = (Instant::now(), processor_time()?);
                    step(&content, &registry.address)?;
                    row.1.push((time.elapsed(), processor_time()?.saturating_sub(used)));
                }
            }
        }
        for (name, times) in &mut rows {
            times.sort();
            let seconds = |it: Option<Duration>| it.map_or(f64::NAN, |it| it.as_secs_f64());
            let time = |place: usize| seconds(times.get(place).map(|it| it.0));
            let (low, median, high) = (time(0), time(rounds / 2), time(rounds.saturating_sub(1)));
            let mut used: Vec<_> = times.iter().map(|it| it.1).collect();
            used.sort();
            let used = seconds(used.get(rounds / 2).copied());
            println!(
                "| {registry} | {name} | {median:.2} s | {low:.2} | {high:.2} | {used:.2} s |"
            );
        }
    }
    Ok(())
}

/// A signed release.
struct Content {
    folder: TempDir,
    /// Layouts and repositories of images.
    images: Vec<(String, String)>,
    /// Paths of all files that are not part of a layout.
    files: Vec<String>,
    manifest: Manifest,
}

impl Content {
    /// Signs a copy of the release `given` with a new key.
    fn sign(given: &str) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        run(Command::new("cp").args(["-a", "--", given]).arg(folder.path().join("release")))?;
        let root = folder.path().join("release");
        let manifest = Manifest::parse(&fs::read(root.join(layout::MANIFEST))?)?;
        let images = manifest.images.iter().map(|it| (it.layout.clone(), it.repository.clone()));
        let mut content = Self { images: images.collect(), files: Vec::new(), manifest, folder };
        run(notary("key").args(["generate", "--output-key-prefix"]).arg(content.path("bench")))?;
        for verb in ["sign", "attest"] {
            run(content.add_key(notary(verb).arg("--release").arg(&root)))?;
        }
        content.list("")?;
        Ok(content)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn add_key<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.arg("--key").arg(self.path("bench.key"))
    }

    /// Number of uploaded blobs.
    fn publish(&self, address: &str) -> Outcome<u64> {
        let mut command = notary("publish");
        command.args(["--json", "--to", &format!("http://{address}/p"), "--release"]);
        let report: Value = serde_json::from_slice(&run(command.arg(self.path("release")))?)?;
        Ok(report["blobs"]["uploaded"].as_u64().ok_or("no number of blobs")?)
    }

    fn republish(&self, address: &str) -> Outcome {
        match self.publish(address)? {
            0 => Ok(()),
            sent => Err(format!("{sent} blobs were sent again").into()),
        }
    }

    fn promote(&self, address: &str) -> Outcome {
        let channel = match self.manifest.channel {
            Channel::Snapshot => "edge",
            Channel::Candidate => "candidate",
            Channel::Stable => "stable",
        };
        let mut command = notary("promote");
        command.args([self.manifest.version.as_str(), "--to", channel, "--by", "bench"]);
        command.args(["--product", &self.manifest.product, "--registry"]);
        run(self.add_key(command.arg(format!("http://{address}/p")))).map(drop)
    }

    fn skopeo_and_oras(&self, address: &str) -> Outcome {
        let root = self.path("release");
        for (layout, repository) in &self.images {
            let mut command = Command::new("skopeo");
            command.args(["--insecure-policy", "copy", "--all", "--preserve-digests"]);
            command.arg("--dest-tls-verify=false").arg(format!("oci:{layout}"));
            command.arg(format!("docker://{address}/p/{repository}:v1")).current_dir(&root);
            run(&mut command)?;
        }
        let oras = test_support::find("oras").ok_or("fix: cargo xtask setup --for test")?;
        let mut command = Command::new(oras);
        command.args(["push", "--plain-http", &format!("{address}/p/release:v1")]);
        run(command.args(&self.files).current_dir(&root)).map(drop)
    }

    /// Adds the files of `folder` of the release.
    fn list(&mut self, folder: &str) -> Outcome {
        for entry in fs::read_dir(self.path("release").join(folder))? {
            let entry = entry?;
            let name =
                entry.file_name().into_string().map_err(|name| name.display().to_string())?;
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if !entry.file_type()?.is_dir() {
                self.files.push(path);
            } else if path != layout::IMAGES {
                self.list(&path)?;
            }
        }
        Ok(())
    }
}

fn notary(verb: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_notary"));
    command.arg(verb).env("COSIGN_PASSWORD", "").env_remove("COSIGN_PASSWORD_FILE");
    command
}

/// Processor time of all programs that have ended (`cutime` and `cstime` of proc(5), in ticks of 10 ms).
fn processor_time() -> Outcome<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks = fields.skip(13).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// Runs a program and returns its output.
fn run(command: &mut Command) -> Outcome<Vec<u8>> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
