// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares the registry with Debian's docker-registry, and the media service with nginx, in
//! alternating rounds: `cargo bench -p controller --bench side_by_side -- [FOLDER]`.
//!
//! FOLDER contains the data; its file system determines the cost of a sync. Needs the Debian
//! packages docker-registry, nginx-light and wrk, and taskset. `ROUNDS=N` sets the number of
//! rounds; `ONLY=registry` or `ONLY=media` runs one comparison; `CONTROLLER=FILE` measures another
//! build of the controller.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

mod load;
mod server;

use std::error::Error;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use controller::media::{Image, Media};
use oci::Digest;
use oci::digest::{Algorithm, Hasher};

use load::{manifest_gets, pull, push, push_image, range_gets};
use server::Server;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const MIB: u64 = 1 << 20;
const BLOB: u64 = 1024 * MIB;
const IMAGE: u64 = 64 * MIB;

fn main() -> Outcome {
    // `cargo test --all-targets` runs this too.
    if !std::env::args().any(|it| it == "--bench") {
        return Ok(());
    }
    // cargo passes `--bench`.
    let folder = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let folder = tempfile::tempdir_in(folder.map_or_else(std::env::temp_dir, Into::into))?;
    let rounds = std::env::var("ROUNDS").map_or(Ok(5), |text| text.parse())?;
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut programs = vec![("taskset", "util-linux"), ("wrk", "wrk")];
    programs.extend((only != "media").then_some(("docker-registry", "docker-registry")));
    programs.extend((only != "registry").then_some(("nginx", "nginx-light")));
    test_support::bench_needs(&programs)?;
    if only != "media" {
        registry(folder.path(), rounds)?;
    }
    if only != "registry" {
        media(folder.path(), rounds)?;
    }
    Ok(())
}

/// Results of one measurement, one per round.
struct Row {
    name: String,
    unit: &'static str,
    values: Vec<f64>,
}

/// Prints a Markdown table with median, minimum and maximum.
fn print(title: &str, rows: &mut [Row]) {
    println!("\n| {title} | median | lowest | highest |\n| --- | --- | --- | --- |");
    for Row { name, unit, values } in rows {
        values.sort_by(f64::total_cmp);
        let at = |n: usize| values.get(n).copied().unwrap_or(f64::NAN);
        let (low, median, high) = (at(0), at(values.len() / 2), at(values.len().saturating_sub(1)));
        println!("| {name} | {median:.0} {unit} | {low:.0} | {high:.0} |");
    }
}

fn record(rows: &mut Vec<Row>, name: String, unit: &'static str, value: f64) {
    match rows.iter_mut().find(|row| row.name == name) {
        Some(row) => row.values.push(value),
        None => rows.push(Row { name, unit, values: vec![value] }),
    }
}

/// Megabytes per second.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}

/// Writes a file of random bytes, and measures the disk including sync. Returns its digest.
fn random_file(path: &Path, size: u64) -> Outcome<Digest> {
    let mut source = File::open("/dev/urandom")?.take(size);
    let mut file = File::create(path)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = source.read(&mut buffer)?;
        if n == 0 {
            file.sync_all()?;
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..n]);
        file.write_all(&buffer[..n])?;
    }
}

/// Time to write and sync a file of that size.
fn disk(path: &Path, size: u64) -> Outcome<Duration> {
    let buffer: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
    let start = Instant::now();
    let mut file = File::create(path)?;
    for _ in 0..size / MIB {
        file.write_all(&buffer)?;
    }
    file.sync_all()?;
    let took = start.elapsed();
    fs::remove_file(path)?;
    Ok(took)
}

fn registry(folder: &Path, rounds: usize) -> Outcome {
    let blob = folder.join("blob");
    let digest = random_file(&blob, BLOB)?;
    let mut rows = Vec::new();
    for round in 0..rounds {
        record(
            &mut rows,
            "disk, write and sync of 1 GiB".into(),
            "MB/s",
            rate(BLOB, disk(&folder.join("yardstick"), BLOB)?),
        );
        let mut sides: [fn(&Path) -> Outcome<Server>; 2] = [Server::controller, Server::docker];
        if round % 2 == 1 {
            sides.reverse();
        }
        for start in sides {
            // Fresh data, so that every push stores its content.
            let data = tempfile::tempdir_in(folder)?;
            let server = start(data.path())?;
            let name = server.name;
            let row = |what: &str| format!("{what}, {name}");
            record(
                &mut rows,
                row("push of 1 GiB"),
                "MB/s",
                rate(BLOB, push(&server, &blob, &digest)?),
            );
            record(
                &mut rows,
                row("pull of 1 GiB"),
                "MB/s",
                rate(BLOB, pull(&server, &digest, BLOB)?),
            );
            record(&mut rows, row("highest RSS after both"), "MB", server.peak()?);
            let manifest = push_image(&server)?;
            let gets = manifest_gets(&server, &manifest)?;
            record(&mut rows, row("manifest GET by digest, 16 connections"), "/s", gets.rate);
            record(&mut rows, row("the same by processor time"), "/CPU s", gets.by_cpu);
            record(&mut rows, row("highest RSS after all"), "MB", server.peak()?);
        }
    }
    fs::remove_file(blob)?;
    print("registry", &mut rows);
    Ok(())
}

fn media(folder: &Path, rounds: usize) -> Outcome {
    let data = folder.join("media");
    let media = Media::open(data.join("media"))?;
    let image = Image::from_name("x.iso")?;
    random_file(&media.path(&image), IMAGE)?;
    let address = media.address(&image, SystemTime::now() + Duration::from_hours(24))?;
    let files = media.path(&image).parent().ok_or("no folder")?.to_owned();
    let ours = Server::controller_on_one_core(&data)?;
    let theirs = Server::nginx(&folder.join("nginx"), &files)?;
    let mut rows = Vec::new();
    for round in 0..rounds {
        for size in [64 * 1024, 256 * 1024, 1024 * 1024] {
            let mut sides = [(&ours, address.as_str()), (&theirs, "/x.iso")];
            if round % 2 == 1 {
                sides.reverse();
            }
            for (server, path) in sides {
                let gets = range_gets(server, path, size, IMAGE, folder)?;
                let row = format!("ranges of {} KiB, {}", size / 1024, server.name);
                record(&mut rows, row.clone(), "/s", gets.rate);
                record(&mut rows, format!("{row}, by processor time"), "/CPU s", gets.by_cpu);
            }
        }
    }
    print("media, one core each", &mut rows);
    Ok(())
}
