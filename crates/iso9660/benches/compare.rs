// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares the writer with xorriso (a task image) and with `cp` (a tree of 1 GiB), alternating in
//! one run: `cargo bench -p iso9660 [-- FOLDER]`. FOLDER is the output folder; its disk determines
//! the cost of a sync. Both sides sync their files where stated.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use iso9660::task::TaskIso;
use iso9660::{Directory, Image, Labels, Metadata, Node, Source};

type Outcome = Result<(), Box<dyn Error>>;

const EPOCH: u64 = 1_767_225_600;
const MIB: u64 = 1 << 20;

fn main() -> Outcome {
    // `cargo test --all-targets` runs this too.
    if !std::env::args().any(|it| it == "--bench") {
        return Ok(());
    }
    // Cargo passes `--bench`.
    test_support::bench_needs(&[("xorriso", "xorriso")])?;
    let folder = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let folder = tempfile::tempdir_in(folder.map_or_else(std::env::temp_dir, Into::into))?;
    task(folder.path())?;
    tree(folder.path())
}

/// Runs each side in turn and prints the shortest and the median time.
fn by_turns(
    rounds: usize,
    sides: &mut [(&str, &mut dyn FnMut() -> Outcome)],
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut times = vec![Vec::new(); sides.len()];
    for round in 0..=rounds {
        for ((_, side), times) in sides.iter_mut().zip(&mut times) {
            let start = Instant::now();
            side()?;
            // The first round fills caches.
            if round > 0 {
                times.push(start.elapsed());
            }
        }
    }
    let mut medians = Vec::new();
    for ((name, _), times) in sides.iter().zip(&mut times) {
        times.sort();
        let (Some(min), Some(median)) = (times.first(), times.get(times.len() / 2)) else {
            continue;
        };
        println!("{name:<32} min {min:>12.3?}   median {median:>12.3?}");
        medians.push(*median);
    }
    Ok(medians)
}

fn run(command: &mut Command) -> Outcome {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

fn task(folder: &Path) -> Outcome {
    let task = TaskIso {
        job_id: "0192f0c1-2b3c-7d4e-8f50-61728394a5b6".to_owned(),
        epoch: EPOCH,
        recipe: vec![b'r'; 3000],
        schema: vec![b's'; 12_000],
        user_data: Some(vec![b'u'; 20_000]),
        ..TaskIso::default()
    };
    let tree = folder.join("task");
    fs::create_dir(&tree)?;
    for (name, contents) in task.files() {
        fs::write(tree.join(name), contents)?;
    }
    let (ours, synced, theirs) =
        (folder.join("ours.iso"), folder.join("synced.iso"), folder.join("theirs.iso"));
    println!("task image, files of 35 kB");
    by_turns(
        50,
        &mut [
            ("ours, to a file", &mut || Ok(fs::write(&ours, task.to_bytes()?)?)),
            ("ours, to a synced file, renamed", &mut || {
                task.write_to_file(&synced)?;
                Ok(())
            }),
            ("xorriso, to a file", &mut || {
                run(Command::new("xorriso")
                    .args(["-as", "mkisofs", "-quiet", "-iso-level", "3", "-r", "-J"])
                    .args(["-joliet-long", "-V", "TASK_X", "-o"])
                    .args([&theirs, &tree]))
            }),
        ],
    )?;
    Ok(())
}

fn tree(folder: &Path) -> Outcome {
    let tree = folder.join("tree");
    fs::create_dir(&tree)?;
    let metadata = |mode| Metadata { mode, uid: 0, gid: 0, mtime: EPOCH };
    let mut root = Directory::new(metadata(0o755));
    // Few large and many small files of incompressible bytes.
    for (name, count, len) in [("large", 4, 224 * MIB), ("small", 2048, 64 * 1024)] {
        for number in 0..count {
            let file = tree.join(format!("{name}{number}"));
            let random = File::open("/dev/urandom")?;
            io::copy(&mut random.take(len), &mut File::create(&file)?)?;
            let path = format!("{name}{number}");
            root.insert(&path, Node::File(metadata(0o644), Source::path(&file)?))?;
        }
    }
    let labels = Labels { volume: "TREE".to_owned(), ..Labels::default() };
    let image = Image { labels, epoch: EPOCH, root, boot: None };
    let (iso, copy) = (folder.join("tree.iso"), folder.join("copy"));
    println!("tree of 1 GiB, 4 files of 224 MiB and 2048 of 64 KiB; both synced");
    let before = peak_memory()?;
    let medians = by_turns(
        5,
        &mut [
            ("ours", &mut || {
                drop(fs::remove_file(&iso));
                image.write_to_file(&iso)?;
                Ok(())
            }),
            ("cp -r, sync -f", &mut || {
                drop(fs::remove_dir_all(&copy));
                run(Command::new("cp").arg("-r").args([&tree, &copy]))?;
                run(Command::new("sync").arg("-f").arg(&copy))
            }),
        ],
    )?;
    if let [ours, copy] = medians.as_slice() {
        println!("throughput beside cp: {:.0} %", 100.0 * copy.as_secs_f64() / ours.as_secs_f64());
    }
    println!("peak memory: {before} before, {} after", peak_memory()?);
    Ok(())
}

fn peak_memory() -> Result<String, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.unwrap_or("unknown").trim().to_owned())
}
