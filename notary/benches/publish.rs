// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares `notary publish` with `skopeo copy --all` and `oras push` of the same images and files, in
//! alternating rounds, each to a new docker-registry: `cargo bench -p notary --bench publish -- RELEASE`.
//!
//! RELEASE is a folder with a signed release. skopeo and oras push no referrers and no signature tags,
//! so they send less. `ROUNDS=N` sets the number of rounds.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use release::{Manifest, layout};
use test_support::{Distribution, Registry};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Way to publish a release to a registry.
type Publish = fn(&Content, &str) -> Outcome;

fn main() -> Outcome {
    // `cargo test --all-targets` runs this too.
    if !env::args().any(|it| it == "--bench") {
        return Ok(());
    }
    // cargo passes `--bench`.
    let folder = env::args().skip(1).find(|it| !it.starts_with('-'));
    let content = Content::read(&fs::canonicalize(folder.ok_or("give the folder of a release")?)?)?;
    let rounds: usize = env::var("ROUNDS").map_or(Ok(5), |text| text.parse())?;
    let ways: [(&str, Publish); 2] =
        [("notary publish", Content::notary), ("skopeo and oras", Content::skopeo_and_oras)];
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for place in [round % 2, 1 - round % 2] {
            let registry = Registry::distribution(Distribution::default());
            let registry = registry.ok_or("docker-registry is not installed")?;
            let start = Instant::now();
            ways[place].1(&content, &registry.address)?;
            times[place].push(start.elapsed());
        }
    }
    println!("\n| publishing | median | lowest | highest |\n| --- | --- | --- | --- |");
    for ((name, _), times) in ways.iter().zip(&mut times) {
        times.sort();
        let at = |n: usize| times.get(n).map_or(f64::NAN, Duration::as_secs_f64);
        let (low, median, high) = (at(0), at(rounds / 2), at(rounds.saturating_sub(1)));
        println!("| {name} | {median:.2} s | {low:.2} | {high:.2} |");
    }
    Ok(())
}

/// A release.
struct Content {
    root: PathBuf,
    /// Layouts and repositories of images.
    images: Vec<(String, String)>,
    /// Paths of all files that are not part of a layout.
    files: Vec<String>,
}

impl Content {
    fn read(root: &Path) -> Outcome<Self> {
        let manifest = Manifest::parse(&fs::read(root.join(layout::MANIFEST))?)?;
        let images = manifest.images.into_iter().map(|it| (it.layout, it.repository)).collect();
        let mut files = Vec::new();
        list(root, "", &mut files)?;
        Ok(Self { root: root.to_owned(), images, files })
    }

    fn notary(&self, address: &str) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_notary"));
        command.args(["publish", "--to", &format!("http://{address}/p"), "--release"]);
        run(command.arg(&self.root))
    }

    fn skopeo_and_oras(&self, address: &str) -> Outcome {
        let find = |name| test_support::find(name).ok_or(format!("{name} is not installed"));
        for (layout, repository) in &self.images {
            let mut command = Command::new(find("skopeo")?);
            command.args(["--insecure-policy", "copy", "--all", "--preserve-digests"]);
            command.arg("--dest-tls-verify=false").arg(format!("oci:{layout}"));
            command.arg(format!("docker://{address}/p/{repository}:v1")).current_dir(&self.root);
            run(&mut command)?;
        }
        let mut command = Command::new(find("oras")?);
        command.args(["push", "--plain-http", &format!("{address}/p/release:v1")]);
        run(command.args(&self.files).current_dir(&self.root))
    }
}

/// Adds the files of `folder` to `files`.
fn list(root: &Path, folder: &str, files: &mut Vec<String>) -> Outcome {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| name.display().to_string())?;
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if !entry.file_type()?.is_dir() {
            files.push(path);
        } else if path != layout::IMAGES {
            list(root, &path, files)?;
        }
    }
    Ok(())
}

/// Runs a program, and shows its output only if it fails.
fn run(command: &mut Command) -> Outcome {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
