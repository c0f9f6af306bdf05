// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Every command with every option: a command accepts the options that it uses, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use engine::tool::{Stop, Toolbox};
use engine::workspace::{Choice, Job, Version, Workspace};
use engine::{Argument, Run};

use super::*;

/// Commands without subcommands, by their call after `xtask`.
fn leaves(command: &Command, path: &str, found: &mut BTreeMap<String, Command>) {
    for inner in command.get_subcommands() {
        let path = format!("{path} {}", inner.get_name()).trim().to_owned();
        if inner.has_subcommands() {
            leaves(inner, &path, found);
        } else {
            found.insert(path, inner.clone());
        }
    }
}

fn all_commands() -> BTreeMap<String, Command> {
    let mut found = BTreeMap::new();
    leaves(&command(), "", &mut found);
    found
}

/// Long options of a command.
fn options_of(command: &Command) -> BTreeSet<String> {
    command.get_arguments().filter_map(Arg::get_long).map(str::to_owned).collect()
}

/// A valid use of the option, with other required options.
fn sample(option: &str, path: &str) -> String {
    let engine = match path {
        "iso" => "iso=native",
        "sbom" | "dist" => "sbom=native",
        "sign" | "attest" | "verify" | "smoke faults" | "ci release" => "signatures=native",
        _ => "images=podman",
    };
    match option {
        "accel" => "--accel tcg".to_owned(),
        "engine" => format!("--engine {engine}"),
        "target" => "--target all".to_owned(),
        "jobs" => "--jobs 1".to_owned(),
        "release" if path == "verify" => "--release d --key k".to_owned(),
        "version" => "--version 1.2.3".to_owned(),
        "registry" if path != "verify" => "--registry h:5000/p".to_owned(),
        "registry" => "--registry h/p:1 --key k".to_owned(),
        "plan" if path == "retention" => "--plan".to_owned(),
        "plan" => "--plan json".to_owned(),
        "to" => "--to x".to_owned(),
        "rebuilds" | "rebuild-key" => "--rebuilds 1 --rebuild-key k --key k --release d".to_owned(),
        "state" | "accept-expired" if path == "channels" => {
            format!(
                "--refresh me {}",
                if option == "state" { "--state s" } else { "--accept-expired" }
            )
        }
        "state" if path != "verify" => "--state s".to_owned(),
        "state" => "--state s --channel x --registry h/p --key k".to_owned(),
        "refresh" => "--refresh me".to_owned(),
        "key" if path == "channels" => "--key k".to_owned(),
        "builder" if path != "verify" => "--builder b".to_owned(),
        "certificate-identity" | "certificate-oidc-issuer" if path != "verify" => {
            "--certificate-identity i --certificate-oidc-issuer o".to_owned()
        }
        "for" => "--for release".to_owned(),
        "pre" => "--pre rc".to_owned(),
        "pages" => "--pages ./site".to_owned(),
        "part" if path == "ci nightly" => "--part test".to_owned(),
        "part" => "--part check".to_owned(),
        "seconds" => "--seconds 1".to_owned(),
        "key" => "--key k --release d".to_owned(),
        "builder" | "product" | "release-version" | "channel" => {
            format!("--{option} b --key k --release d")
        }
        "certificate-identity" | "certificate-oidc-issuer" | "trusted-root" => {
            "--certificate-identity i --certificate-oidc-issuer o --trusted-root t --release d"
                .into()
        }
        "against" | "bin" | "by" | "merge" | "previous-key" | "reason" | "release" | "tag" => {
            format!("--{option} x")
        }
        switch => format!("--{switch}"),
    }
}

/// Other required arguments of the command at `path`.
fn required_arguments(path: &str, sample: &str) -> String {
    let (operands, options): (&str, &[&str]) = match path {
        "completions" => ("bash", &[]),
        "channels" => ("", &["--registry h:5000/p", "--key k"]),
        "promote" => ("1.0.0", &["--to x", "--registry h:5000/p", "--by x"]),
        "rollback" => ("stable", &["--registry h:5000/p", "--by x"]),
        "yank" => ("1.0.0", &["--reason x", "--registry h:5000/p", "--by x"]),
        "retention" => ("", &["--plan", "--registry h:5000/p"]),
        _ => ("", &[]),
    };
    let name = |option: &str| option.split(' ').next().unwrap_or_default().to_owned();
    let others = options.iter().filter(|it| {
        let replaced = match name(it).as_str() {
            "--key" => ["--refresh", "--certificate-identity"].contains(&name(sample).as_str()),
            "--plan" => name(sample) == "--apply",
            _ => false,
        };
        !replaced && name(it) != name(sample)
    });
    let others: Vec<_> = others.copied().collect();
    format!("{operands} {}", others.join(" "))
}

#[test]
fn every_command_refuses_every_option_that_it_does_not_use() {
    let commands = all_commands();
    let options: BTreeSet<String> = commands.values().flat_map(options_of).collect();
    assert!(options.len() > 20 && commands.len() > 35, "{options:?} {:?}", commands.keys());
    for (path, command) in &commands {
        let taken = options_of(command);
        for option in &options {
            let sample = sample(option, path);
            let line = format!("xtask {path} {} {sample}", required_arguments(path, &sample));
            match (read(&line), taken.contains(option)) {
                (Ok(_), true) => {}
                (Ok(_), false) => panic!("{line} was accepted"),
                (Err(error), true) => panic!("{line}: {error}"),
                (Err(error), false) => {
                    assert_eq!(error.exit_code(), 2, "{line}");
                    assert!(error.to_string().contains("unexpected argument '--"), "{error}");
                }
            }
        }
    }
}

#[test]
fn what_runs_nothing_takes_no_options_of_runs() {
    let options =
        |path: &str| options_of(&all_commands()[path]).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(options("completions"), "");
    assert_eq!(options("clean"), "dry-run");
    let every_run = "dry-run jobs json plan verbose yes";
    assert_eq!(options("secrets"), every_run);
    assert_eq!(options("smoke registry"), "dry-run jobs json plan release to verbose version yes");
    assert_eq!(options("iso"), "dry-run engine jobs json plan target verbose yes");
    assert_eq!(
        options("validate"),
        "changed dry-run fail-fast fix jobs json keep-going plan staged verbose yes"
    );
}

#[test]
fn engines_of_other_jobs_are_refused_with_the_valid_values() {
    for (line, valid) in [
        ("xtask images --engine image=buildah", "images=podman, images=buildah"),
        ("xtask images --engine sbom=syft", "images=podman, images=buildah"),
        ("xtask images --engine images=docker", "images=podman, images=buildah"),
        ("xtask sbom --engine sbom", "sbom=native, sbom=syft"),
        ("xtask release --engine foo=bar", "iso=image-builder, sbom=native"),
        ("xtask smoke iso --accel hvf", "kvm, tcg"),
    ] {
        let Err(error) = read(line) else { panic!("{line} was accepted") };
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(valid), "{error}");
    }
}

/// This repository, with changed options.
fn run(change: impl FnOnce(&mut Options)) -> Run {
    let workspace = Workspace::discover(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut options = read("xtask release --snapshot").unwrap().options;
    change(&mut options);
    let tools = Toolbox::new(&workspace.target(), Stop::default()).unwrap();
    // A version without a release in `target/dist`, which plans would read.
    let version = Version::snapshot(workspace.base_version(), &"f".repeat(40), false);
    Run::new(workspace, options, tools, version)
}

/// Needs and plan of the step.
fn show_plan(step: &dyn Step, run: &Run) -> String {
    format!("{:?} {:?}", step.needs(run), step.plan(run).map_err(|error| format!("{error:#}")))
}

/// A declared option changes the step's plan; an option that changes the plan is declared.
#[test]
fn steps_declare_the_options_that_their_plans_depend_on() {
    let targets = [
        run(|options| options.architectures = vec![Architecture::Amd64]),
        run(|options| options.architectures = vec![Architecture::Arm64]),
    ];
    let engines: Vec<(Job, Vec<Run>)> = Job::ALL
        .into_iter()
        .map(|job| {
            let runs = Choice::values(&[job]).into_iter().map(|value| {
                let choice = Choice::parse(&value, &[job]).unwrap();
                run(|options| options.engines.set(choice))
            });
            (job, runs.collect())
        })
        .collect();
    let mut wrong = Vec::new();
    let smoke = SMOKE.iter().map(|it| it.1);
    for step in STEPS.iter().copied().chain(smoke) {
        let takes = |argument| step.arguments().contains(&argument);
        let differs = |runs: &[Run]| {
            runs.iter().map(|run| show_plan(step, run)).collect::<BTreeSet<_>>().len() > 1
        };
        if differs(&targets) != takes(Argument::Target) {
            wrong.push(format!("--target of {}", step.name()));
        }
        for (job, runs) in &engines {
            if differs(runs) != takes(Argument::Engine(*job)) {
                wrong.push(format!("--engine {}=… of {}", job.name(), step.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A release for another registry is published there, verified from there, and never up to date.
#[test]
fn the_registry_of_a_release_can_be_named() {
    let there = run(|options| {
        *options = read("xtask release --snapshot --to r.example:5000/x").unwrap().options;
    });
    let here = run(|_| {});
    for name in ["publish", "verify"] {
        let step = STEPS.iter().find(|step| step.name() == name).unwrap();
        let place = show_plan(*step, &there).contains("r.example:5000/x");
        assert!(place && !step.can_be_up_to_date(&there), "{name}");
        let local = show_plan(*step, &here).contains("127.0.0.1:PORT");
        assert!(local && step.can_be_up_to_date(&here), "{name}");
    }
    for bad in ["xtask images --to r.example/x", "xtask verify --to r.example --release d --key k"]
    {
        assert!(read(bad).is_err(), "{bad}");
    }
    let pages = run(|options| {
        *options = read("xtask release --snapshot --pages ./site").unwrap().options;
    });
    let step = STEPS.iter().find(|step| step.name() == "publish").unwrap();
    assert!(show_plan(*step, &pages).contains("release-page") && !step.can_be_up_to_date(&pages));
    let unknown = run(|options| {
        *options = read("xtask publish --to stagign").unwrap().options;
    });
    let step = STEPS.iter().find(|step| step.name() == "publish").unwrap();
    assert!(show_plan(*step, &unknown).contains("no [registry.stagign]"));
}

/// Without `--to`, an undeclared staging environment is the local registry, and a release goes to production
/// only. Provenance names the pipeline.
#[test]
fn an_environment_decides_where_a_release_is_published() {
    let of = |line: &'static str| run(|options| *options = read(line).unwrap().options);
    let step = |name: &str| *STEPS.iter().find(|step| step.name() == name).unwrap();
    let (main, tag) = (of("xtask ci main"), of("xtask ci release"));
    assert!(show_plan(step("publish"), &main).contains("127.0.0.1:PORT"));
    let refused = show_plan(step("publish"), &tag);
    assert!(refused.contains("no [registry.production]") && refused.contains("--to"), "{refused}");
    let named = of("xtask ci release --to r.example/x --pages ./site");
    let plan = show_plan(step("publish"), &named);
    assert!(plan.contains("r.example/x") && plan.contains("release-page"), "{plan}");
    for (run, pipeline) in [(&main, "main"), (&tag, "release")] {
        let plan = show_plan(step("attest"), run);
        assert!(plan.contains(&format!("\"--pipeline\", {pipeline:?}")), "{plan}");
    }
    assert!(!show_plan(step("attest"), &run(|_| {})).contains("--pipeline"));
}

/// The steps that only CI runs have plans, with the registry that the command names.
#[test]
fn the_steps_of_ci_are_planned_for_the_named_registry() {
    let plan_of = |line: &'static str, name: &str| {
        let request = read(line).unwrap();
        let Verb::Pipeline(pipeline) = request.verb else { panic!("{line}: another verb") };
        let stage = pipeline.stages.iter().find(|it| it.step.name() == name).unwrap();
        show_plan(stage.step, &run(|options| *options = request.options))
    };
    for (line, step, expected) in [
        ("xtask ci release --to r.example/x --pages ./site", "verify-outside", "r.example/x:"),
        ("xtask ci release --to r.example/x --pages ./site", "verify-outside", "sha256sum"),
        ("xtask ci release --to r.example/x", "clean-build", "--detach"),
        ("xtask ci release --to r.example/x", "clean-build", "\"checksums\""),
        ("xtask ci release --to r.example/x", "compare-snapshot", "compare executables"),
        ("xtask ci release --to r.example/x", "release-notes", "notes.md"),
        ("xtask ci main", "rebuild-part", "copy the release without its "),
        ("xtask ci nightly --to r.example/x", "refresh-channels", "\"refresh-channels\""),
        ("xtask ci retention --to r.example/x", "apply-retention", "retention/r.example_x.json"),
        ("xtask ci release --rehearse", "rehearse", "1.4.0-rc.2"),
    ] {
        let plan = plan_of(line, step);
        assert!(plan.contains(expected), "{line}: {step}: {plan}");
    }
    // The environments are not declared, so nothing is planned; and a throw-away key moves no channel.
    for (line, step) in [
        ("xtask ci retention", "apply-retention"),
        ("xtask ci nightly", "refresh-channels"),
        ("xtask ci nightly --to staging", "refresh-channels"),
        ("xtask ci release --to r.example/x", "promote"),
    ] {
        assert!(!plan_of(line, step).contains("--registry"), "{line}");
    }
}

/// A release folder from another build is signed and published in place.
#[test]
fn the_folder_of_a_release_can_be_named() {
    let elsewhere = run(|_| {}).of_folder("/elsewhere".into());
    assert_eq!(elsewhere.dist(), Path::new("/elsewhere"));
    for name in ["sign", "attest", "publish"] {
        let step = STEPS.iter().find(|step| step.name() == name).unwrap();
        assert!(show_plan(*step, &elsewhere).contains("\"--release\", \"/elsewhere\""), "{name}");
    }
}
