// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tests of parsing and of error messages.

use std::collections::BTreeSet;
use std::path::Path;

use assemble::images::{BindArguments, ImagesArguments};
use assemble::merge::MergeArguments;
use engine::Environment;

use super::groups::groups;
use super::*;

mod options;

fn read(line: &str) -> Result<Request, clap::Error> {
    parse(line.split_whitespace().map(OsString::from))
}

#[test]
fn the_command_line_is_sound() {
    command().debug_assert();
}

#[test]
fn every_command_is_in_one_group() {
    let mut grouped: Vec<_> = groups().into_iter().flat_map(|(_, names)| names).collect();
    grouped.sort_unstable();
    let command = command();
    let mut all: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
    all.sort_unstable();
    assert_eq!(grouped, all);
}

#[test]
fn help_texts_are_as_recorded() {
    insta::assert_snapshot!("help", test_support::help::texts(command()));
}

#[test]
fn every_command_has_an_example() {
    for verb in command().get_subcommands() {
        let help = verb.clone().render_help().to_string();
        assert!(help.contains(&format!("cargo xtask {}", verb.get_name())), "{help}");
    }
}

#[test]
fn every_step_and_pipeline_is_a_command_of_its_own() {
    let names: Vec<_> = command().get_subcommands().map(|it| it.get_name().to_owned()).collect();
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    for step in STEPS {
        assert!(matches!(read(&format!("xtask {}", step.name())).unwrap().verb, Verb::Step(_)));
    }
    for pipeline in PIPELINES {
        let request = read(&format!("xtask {}", pipeline.name)).unwrap();
        assert!(matches!(request.verb, Verb::Pipeline(it) if it.name == pipeline.name));
    }
}

#[test]
fn the_last_of_two_options_that_exclude_each_other_wins() {
    let request = read("xtask lint --json --jobs 3").unwrap();
    assert_eq!((request.options.jobs.get(), request.output.json), (3, true));
    let request = read("xtask validate --fail-fast --keep-going").unwrap();
    assert!(!request.options.fail_fast);
    let request = read("xtask ci pr --keep-going --fail-fast").unwrap();
    assert!(request.options.fail_fast && request.options.strict);
}

#[test]
fn programs_are_installed_for_a_command_as_it_is_typed() {
    let names = |call: &str| {
        let words = ["xtask", "setup", "--yes", "--for", call].map(OsString::from);
        let request = parse(words)?;
        let Verb::Setup(Some(steps)) = request.verb else { panic!("{call}: another verb") };
        assert!(request.options.yes);
        Ok::<_, clap::Error>((
            steps.iter().map(|it| it.name()).collect::<Vec<_>>(),
            request.options,
        ))
    };
    assert_eq!(names("lint").unwrap().0, ["lint"]);
    assert_eq!(names("smoke iso").unwrap().0, ["smoke-iso"]);
    assert_eq!(names("ci pr").unwrap().0.first(), Some(&"fmt"));
    let snapshot = names("release --snapshot --target all").unwrap();
    assert!(snapshot.0.contains(&"sign") && !snapshot.0.contains(&"lint"), "{:?}", snapshot.0);
    assert_eq!(snapshot.1.architectures.len(), 2, "the programs for these options");
    for (bad, reason) in
        [("smoke-iso", "not a valid command"), ("smoke", "quote"), ("doctor", "runs no steps")]
    {
        let error = names(bad).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn images_can_be_named() {
    let names = |request: &Request| request.options.step_arguments::<ImagesArguments>().name;
    let request = read("xtask images tools/a tools/b --jobs 1").unwrap();
    assert_eq!(names(&request), ["tools/a", "tools/b"]);
    assert!(names(&read("xtask images").unwrap()).is_empty());
    assert!(names(&read("xtask lint").unwrap()).is_empty());
}

#[test]
fn tool_images_are_bound_into_the_maintenance_image_on_request() {
    let bind =
        |line: &str| read(line).unwrap().options.step_arguments::<BindArguments>().bind_tools;
    assert!(bind("xtask maintenance --bind-tools"));
    assert!(!bind("xtask maintenance") && !bind("xtask release"));
}

#[test]
fn only_options_that_decide_results_are_part_of_the_identity() {
    let identity = |line: &str| read(line).unwrap().options.identity();
    let plain = identity("xtask images");
    assert_eq!(identity("xtask images --jobs 3 --verbose --yes --json"), plain);
    assert_ne!(identity("xtask images tools/a"), plain);
    assert_ne!(identity("xtask images tools/a"), identity("xtask images tools/b"));
    assert_ne!(identity("xtask images --push"), plain);
    assert_ne!(identity("xtask images --engine images=buildah"), plain);
    assert_eq!(identity("xtask validate --fix --fail-fast"), identity("xtask validate"));
}

#[test]
fn images_are_pushed_on_request() {
    let push = |line: &str| read(line).unwrap().options.step_arguments::<ImagesArguments>().push;
    assert_eq!(push("xtask images"), None);
    assert_eq!(push("xtask images --push tools/a").as_deref(), Some(""));
    assert_eq!(push("xtask images --push=h:5000/p tools/a").as_deref(), Some("h:5000/p"));
    assert!(read("xtask images --push --update-lock").is_err());
    assert!(read("xtask iso --push").is_err());
}

#[test]
fn a_night_builds_what_all_machines_start_from() {
    let request = read("xtask ci nightly").unwrap();
    let Verb::Pipeline(nightly) = request.verb else { panic!("another verb") };
    assert_eq!(request.options.architectures, [Architecture::Amd64, Architecture::Arm64]);
    assert!(request.options.everything && request.options.strict);
    let names: Vec<_> = nightly.stages.iter().map(|stage| stage.step.name()).collect();
    let last = ["smoke-iso-all", "smoke-hostile", "rebuild", "smoke-fresh"];
    assert!(names.ends_with(&last), "{names:?}");
    assert_eq!(read("xtask ci nightly --target x86_64").unwrap().options.architectures.len(), 1);
    assert!(!read("xtask ci pr").unwrap().options.everything);
}

#[test]
fn the_parts_of_a_pipeline_are_its_steps() {
    for pipeline in CI.iter().filter(|it| !it.parts.is_empty()) {
        let steps = |stages: &'static [Stage]| stages.iter().map(|it| it.step.name());
        let whole: BTreeSet<_> = steps(pipeline.stages).collect();
        let parts: BTreeSet<_> = pipeline.parts.iter().flat_map(|it| steps(it.1)).collect();
        assert_eq!(parts, whole, "{}", pipeline.name);
        engine::graph::graph(pipeline.stages).unwrap();
        for (part, stages) in pipeline.parts {
            engine::graph::graph(stages).unwrap();
            let request = read(&format!("xtask ci {} --part {part}", pipeline.name)).unwrap();
            let Verb::Part(of, found) = request.verb else { panic!("{part}: another verb") };
            assert_eq!((of.name, found.len()), (pipeline.name, stages.len()), "{part}");
            assert_eq!(request.options.environment, pipeline.environment);
        }
    }
    assert!(read("xtask ci pr --part check").is_err());
    assert!(read("xtask ci main --part verify").is_err());
}

#[test]
fn a_tag_is_released_to_production_and_a_commit_goes_to_staging() {
    for (line, environment, about) in [
        ("ci main", Environment::Staging, ReleaseSelection::Snapshot),
        ("ci main --part build", Environment::Staging, ReleaseSelection::Snapshot),
        ("ci release", Environment::Production, ReleaseSelection::Tag(None)),
        ("ci release --part verify", Environment::Production, ReleaseSelection::Tag(None)),
        (
            "ci release --tag v1.2.3",
            Environment::Production,
            ReleaseSelection::Tag(Some("v1.2.3".to_owned())),
        ),
    ] {
        let request = read(&format!("xtask {line}")).unwrap();
        assert_eq!(request.options.environment, Some(environment), "{line}");
        assert_eq!(request.about, about, "{line}");
        assert!(request.options.strict && !request.options.everything, "{line}");
        assert_eq!(request.options.architectures.len(), 2, "{line}");
    }
    assert_eq!(read("xtask release").unwrap().options.environment, None);
}

#[test]
fn a_change_may_have_its_iso_built() {
    let stages = |line: &str| {
        let Verb::Pipeline(pipeline) = read(line).unwrap().verb else { panic!("another verb") };
        pipeline.stages.iter().map(|stage| stage.step.name()).collect::<Vec<_>>()
    };
    let (plain, more) = (stages("xtask ci pr"), stages("xtask ci pr --iso"));
    assert_eq!(more, [&plain[..], &["maintenance", "iso"]].concat());
    assert!(read("xtask ci nightly --iso").is_err());
}

#[test]
fn parts_of_a_release_are_built_and_put_together() {
    let request = read("xtask dist --split --target aarch64").unwrap();
    let Verb::Pipeline(split) = request.verb else { panic!() };
    assert!(split.stages.iter().all(|stage| stage.step.name() != "checksums"));
    assert_eq!(request.options.architectures, [Architecture::Arm64]);

    let request = read("xtask dist --merge /a /b --jobs 1").unwrap();
    let Verb::Pipeline(merge) = request.verb else { panic!() };
    assert_eq!(merge.stages[0].step.name(), "merge");
    let parts = request.options.step_arguments::<MergeArguments>().merge;
    assert_eq!(parts, [Path::new("/a"), Path::new("/b")]);
    assert_eq!(request.options.architectures.len(), 2);
    for bad in ["xtask dist --merge", "xtask dist --merge /a --split", "xtask lint --merge /a"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_gates_belong_to_releases_and_not_to_snapshots() {
    for (line, release, gates) in
        [("xtask release --snapshot", false, 0), ("xtask release", true, gates::GATES.len())]
    {
        let request = read(line).unwrap();
        let Verb::Pipeline(pipeline) = request.verb else { panic!("{line}: another verb") };
        let found = pipeline.stages.iter().filter(|stage| stage.step.is_gate()).count();
        assert_eq!(
            (pipeline.name, request.about == ReleaseSelection::Tag(None), found),
            ("release", release, gates)
        );
        assert_eq!(request.options.strict, release, "{line}: a gate that cannot run has failed");
    }
}

#[test]
fn a_tag_is_named_for_releases_alone() {
    let request = read("xtask release --tag v1.2.3-rc.1").unwrap();
    assert_eq!(request.about, ReleaseSelection::Tag(Some("v1.2.3-rc.1".to_owned())));
    assert!(read("xtask release --snapshot --tag v1").is_err());
    assert!(read("xtask dist --tag v1").is_err());
}

#[test]
fn a_command_is_about_the_release_of_the_commit_or_the_one_that_is_named() {
    let about = |line: &str| read(line).unwrap().about;
    for line in [
        "dist",
        "dist --split",
        "build",
        "sign",
        "publish",
        "verify",
        "smoke registry",
        "determinism",
    ] {
        assert_eq!(about(&format!("xtask {line}")), ReleaseSelection::Commit, "{line}");
    }
    for line in ["validate", "lint", "ci pr", "release --snapshot", "verify --release /d --key k"] {
        assert_eq!(about(&format!("xtask {line}")), ReleaseSelection::Snapshot, "{line}");
    }
    for verb in ["sign", "attest", "publish", "smoke registry", "smoke sbom"] {
        let version = about(&format!("xtask {verb} --version 1.2.3"));
        assert_eq!(version, ReleaseSelection::Version("1.2.3".to_owned()), "{verb}");
        let folder = about(&format!("xtask {verb} --release /d"));
        assert_eq!(folder, ReleaseSelection::Folder("/d".into()), "{verb}");
        assert!(read(&format!("xtask {verb} --version 1 --release /d")).is_err(), "{verb}");
    }
    assert_eq!(
        about("xtask verify --version 1.2.3"),
        ReleaseSelection::Version("1.2.3".to_owned())
    );
    for bad in
        ["build --version 1", "release --version 1", "verify --version 1 --release d --key k"]
    {
        assert!(read(&format!("xtask {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn any_release_can_be_verified_with_a_key_or_an_identity() {
    assert!(matches!(read("xtask verify").unwrap().verb, Verb::Step(_)));
    let request = read("xtask verify --key k --release d --json").unwrap();
    let Verb::Verify(arguments) = request.verb else { panic!("another verb") };
    assert_eq!(arguments, ["--release", "d", "--key", "k", "--json"]);
    let identity = "--certificate-identity i --certificate-oidc-issuer o --trusted-root t";
    let request = read(&format!("xtask verify --registry h/p:1 {identity}")).unwrap();
    let Verb::Verify(arguments) = request.verb else { panic!("another verb") };
    assert_eq!(arguments.join(" ".as_ref()), format!("--registry h/p:1 {identity}").as_str());
    for line in [
        "--release d --key k --product p --release-version 1 --channel stable",
        // The key of the records, and the identity of the release.
        "--registry h/p:1 --key k --certificate-identity i --certificate-oidc-issuer o",
    ] {
        let Verb::Verify(arguments) = read(&format!("xtask verify {line}")).unwrap().verb else {
            panic!("another verb")
        };
        assert_eq!(arguments.join(" ".as_ref()), line);
    }
    for line in [
        "--release d",
        "--registry h/p:1",
        "--key k",
        "--key k --release d --registry h/p:1",
        identity,
        "--release d --certificate-identity i",
        "--release d --certificate-oidc-issuer o",
        "--release d --key k --trusted-root t",
        "--channel stable",
        "--registry h/p:1 --key k --release-version 1",
    ] {
        assert!(read(&format!("xtask verify {line}")).is_err(), "{line}");
    }
}

#[test]
fn mistakes_end_with_code_2_and_name_what_is_possible() {
    for (line, expected) in [
        ("xtask lint --jobs 0", "--jobs"),
        ("xtask build --target riscv64", "x86_64, aarch64, all"),
        ("xtask ci nothing", "pr"),
        ("xtask lnt", "lint"),
    ] {
        let Err(error) = read(line) else { panic!("{line} was taken") };
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(expected), "{error}");
    }
}
