// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs the fuzz targets of `fuzz/`, each for a fixed time, with the seeds in the source and the
//! corpus of earlier runs.
//!
//! Needs a nightly compiler and cargo-fuzz; the step is skipped without them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Command as Verb, value_parser};
use engine::{Description, Input, Need, Outcome, Plan, Run, Skip, Step, StepLog};
use foundation::command::Command;
use foundation::file;
use foundation::finding::Finding;
use serde::Deserialize;

/// Folder of the targets.
const FOLDER: &str = "fuzz";
/// Toolchain of the targets.
const TOOLCHAIN: &str = "nightly";
/// Default run time of a target.
const SECONDS: u32 = 60;
/// Timeout per input, in seconds.
const TIMEOUT: u32 = 10;
/// Memory limit of a target, in MiB.
const MEMORY: u32 = 1024;
/// Maximum length of an input in bytes: an ISO image needs some blocks.
const LENGTH: u32 = 96 * 1024;

/// `cargo xtask fuzz`.
pub struct Fuzz;

#[derive(Default, Args)]
struct FuzzArguments {
    /// Fuzz targets to run, such as iso [default: all]
    #[arg(value_name = "NAME")]
    name: Vec<String>,
    /// Seconds to run each fuzz target [default: 60]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    seconds: Option<u32>,
}

impl Step for Fuzz {
    fn describe(&self) -> Description {
        Description::step("fuzz", "run the fuzz targets, each for a fixed time")
            .example("iso recipe --seconds 300")
    }

    fn own_arguments(&self, command: Verb) -> Verb {
        FuzzArguments::augment_args(command)
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("cargo")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new()
            .command(build(run))
            .reads(Input::Source(PathBuf::new()))
            .reads(Input::Tool("cargo"));
        Ok(targets(run)?.iter().fold(plan, |plan, target| plan.command(command(run, target))))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let targets = targets(run)?;
        if let Some(skip) = find_missing(run, log)? {
            return Ok(Outcome::Skipped(skip));
        }
        run.exec(log, &build(run))?;
        let mut executions = 0;
        let mut findings = Vec::new();
        for target in &targets {
            for folder in [corpus(run, target), artifacts(run, target)] {
                file::create_folder(&folder)?;
            }
            let finished = run.attempt(log, &command(run, target))?;
            let printed = finished.stderr();
            match (finished.code(), statistic(printed, "number_of_executed_units")) {
                (Some(0), Some(count)) => {
                    log.note(&format!("{target}: {count} executions"));
                    executions += count;
                }
                (Some(0), None) => bail!("the fuzz target {target} printed no statistics"),
                _ => findings.push(finding(run, target, printed)),
            }
        }
        let (count, seconds) = (targets.len(), seconds(run));
        let fact = format!("{count} targets, {seconds} s each, {executions} executions");
        Ok(Outcome::of(findings, fact))
    }
}

/// The reason to skip when a prerequisite is missing.
fn find_missing(run: &Run, log: &StepLog) -> Result<Option<Skip>> {
    let rustc = run.command("rustc").arg("--version").env("RUSTUP_TOOLCHAIN", TOOLCHAIN);
    let is_nightly = |text: &[u8]| String::from_utf8_lossy(text).contains("-nightly");
    let compiler = run.attempt(log, &rustc)?;
    if compiler.code() != Some(0) || !is_nightly(compiler.stdout()) {
        return Ok(Some(Skip::MissingTool {
            tool: format!("the Rust toolchain {TOOLCHAIN} is not installed"),
            fix: format!("rustup toolchain install {TOOLCHAIN} --profile minimal"),
        }));
    }
    Ok(run
        .tools
        .check("cargo-fuzz")
        .err()
        .map(|missing| Skip::MissingTool { tool: missing.problem, fix: missing.fix }))
}

/// The selected targets.
fn targets(run: &Run) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Manifest {
        bin: Vec<Bin>,
    }
    #[derive(Deserialize)]
    struct Bin {
        name: String,
    }
    let path = run.workspace.root().join(FOLDER).join("Cargo.toml");
    let text = file::read_text(&path)?;
    let manifest: Manifest =
        toml::from_str(&text).with_context(|| format!("{} is malformed", path.display()))?;
    let all: BTreeSet<String> = manifest.bin.into_iter().map(|bin| bin.name).collect();
    let wanted = &run.options.step_arguments::<FuzzArguments>().name;
    for name in wanted {
        let known: Vec<_> = all.iter().map(String::as_str).collect();
        ensure!(all.contains(name), "unknown fuzz target {name:?}: expected {}", known.join(", "));
    }
    Ok(all.into_iter().filter(|name| wanted.is_empty() || wanted.contains(name)).collect())
}

/// Run time of each target.
fn seconds(run: &Run) -> u32 {
    run.options.step_arguments::<FuzzArguments>().seconds.unwrap_or(SECONDS)
}

/// Builds all targets. Without sanitizers: the code is safe Rust, where overflows and panics are
/// the findings.
fn build(run: &Run) -> Command {
    run.command("cargo-fuzz")
        .args(["build", "--sanitizer", "none", "--fuzz-dir", FOLDER, "--target-dir"])
        .arg(build_folder(run))
        // Otherwise cargo-fuzz uses the Cargo that runs this program.
        .env("CARGO", "cargo")
        .env("RUSTUP_TOOLCHAIN", TOOLCHAIN)
}

/// Runs one target with the corpus of earlier runs and the seeds.
fn command(run: &Run, target: &str) -> Command {
    let seconds = seconds(run);
    let program = build_folder(run).join(host()).join("release").join(target);
    let mut prefix = artifacts(run, target).into_os_string();
    prefix.push("/");
    let mut artifact_prefix = std::ffi::OsString::from("-artifact_prefix=");
    artifact_prefix.push(prefix);
    run.command(&program.to_string_lossy())
        .arg(corpus(run, target))
        .arg(run.workspace.root().join(FOLDER).join("testdata").join(target))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={TIMEOUT}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-max_len={LENGTH}"))
        .args(["-print_final_stats=1", "-verbosity=0"])
        .arg(artifact_prefix)
}

fn build_folder(run: &Run) -> PathBuf {
    run.workspace.target().join("fuzz")
}

/// cargo-fuzz always passes `--target`.
fn host() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "aarch64-unknown-linux-gnu"
    } else {
        "x86_64-unknown-linux-gnu"
    }
}

fn corpus(run: &Run, target: &str) -> PathBuf {
    run.workspace.scratch().join("fuzz/corpus").join(target)
}

fn artifacts(run: &Run, target: &str) -> PathBuf {
    run.workspace.scratch().join("fuzz/artifacts").join(target)
}

/// Parses `stat::NAME: NUMBER` in libFuzzer's output.
fn statistic(printed: &str, name: &str) -> Option<u64> {
    let line = printed.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name))?;
    line.trim_start_matches(':').trim().parse().ok()
}

fn finding(run: &Run, target: &str, printed: &str) -> Finding {
    let mark = "Test unit written to ";
    let input = printed.lines().find_map(|line| Some(line.split_once(mark)?.1));
    let panic = printed.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
    let error = printed.lines().find(|line| line.contains("ERROR: libFuzzer"));
    let what = panic.or(error).unwrap_or("it exited with an error");
    let fix = match input {
        Some(input) => format!(
            "make {input} a test; `{} {input}` repeats it",
            build_folder(run).join(host()).join("release").join(target).display()
        ),
        None => "see the step's log".to_owned(),
    };
    let file = format!("{FOLDER}/fuzz_targets/{target}.rs");
    Finding::in_file(file, target, what.trim(), fix)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn what_libfuzzer_prints_is_read() {
        let printed = "Done 12 runs\nstat::number_of_executed_units: 4711\nstat::peak_rss_mb: 40\n";
        assert_eq!(statistic(printed, "number_of_executed_units"), Some(4711));
        assert_eq!(statistic("", "number_of_executed_units"), None);
    }

    /// Each target has a file, a seed and a line on the fuzzing page.
    #[test]
    fn every_target_has_seeds_and_a_description() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let text = fs::read_to_string(root.join(FOLDER).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = toml::from_str(&text).unwrap();
        let page = fs::read_to_string(root.join("docs/fuzzing.md")).unwrap();
        let names = manifest["bin"].as_array().unwrap().iter();
        let names: BTreeSet<_> = names.map(|bin| bin["name"].as_str().unwrap()).collect();
        assert!(names.len() >= 14, "{names:?}");
        for name in &names {
            let seeds = root.join(FOLDER).join("testdata").join(name);
            assert!(fs::read_dir(&seeds).unwrap().count() > 0, "{}", seeds.display());
            assert!(page.contains(&format!("| `{name}` |")), "{name} is not in docs/fuzzing.md");
        }
        for file in fs::read_dir(root.join(FOLDER).join("fuzz_targets")).unwrap() {
            let file = file.unwrap().file_name().into_string().unwrap();
            assert!(names.contains(file.trim_end_matches(".rs")), "{file} is no target");
        }
    }
}
