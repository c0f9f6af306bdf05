// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Arguments of commands as clap definitions, each defined once.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use assemble::build::BuildArguments;
use assemble::merge::MergeArguments;
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args as _, Command, value_parser};
use engine::accelerator::Accelerator;
use engine::workspace::{Choice, Job};
use engine::{Argument, absolute, flag};
use programs::target::TargetArguments;
use publish::pages::PagesArguments;
use rebuild::RebuildArguments;

/// Arguments that do not decide results.
const OF_RUNS: [&str; 12] = [
    "changed",
    "dry-run",
    "fail-fast",
    "fix",
    "jobs",
    "json",
    "keep-going",
    "plan",
    "snapshot",
    "tag",
    "verbose",
    "yes",
];

/// The given arguments that decide results, as text.
pub(crate) fn identity(given: &ArgMatches) -> String {
    let ids = given.ids().map(clap::Id::as_str).filter(|id| !OF_RUNS.contains(id));
    let by_hand = ids.filter(|id| given.value_source(id) == Some(ValueSource::CommandLine));
    let values = by_hand.map(|id| {
        let raw = given.try_get_raw(id).ok().flatten();
        format!("{id}={:?}", raw.map(Iterator::collect::<Vec<_>>))
    });
    values.collect::<Vec<_>>().join(" ")
}

pub(crate) fn verbose() -> Arg {
    flag("verbose").short('v').help("Show commands and their output while they run")
}

pub(crate) fn yes_flag() -> Arg {
    flag("yes").short('y').help("Answer yes to all questions, like CI=true")
}

pub(crate) fn dry_run() -> Arg {
    flag("dry-run").help("Print the plan and change nothing; with -v commands, inputs and outputs")
}

pub(crate) fn json() -> Arg {
    flag("json").help("Print the result as JSON")
}

/// Arguments of every command that runs steps.
pub(crate) fn run_options() -> Vec<Arg> {
    let args = [
        dry_run(),
        Arg::new("plan")
            .long("plan")
            .value_name("FORMAT")
            .value_parser(["json"])
            .help("Print the plan in this format and change nothing"),
        json(),
        Arg::new("jobs")
            .long("jobs")
            .short('j')
            .value_name("N")
            .value_parser(value_parser!(NonZeroUsize))
            .help("Number of parallel steps and image builds [default: number of CPUs]"),
        verbose(),
        yes_flag(),
    ];
    args.into_iter().map(|arg| arg.help_heading("Run options")).collect()
}

/// Additional arguments of commands that run more than one step.
pub(crate) fn pipeline_options() -> [Arg; 2] {
    [
        flag("keep-going")
            .overrides_with("fail-fast")
            .help("Continue with steps that do not depend on a failed step (default)"),
        flag("fail-fast").help("Start no further step after a failure"),
    ]
}

/// Adds the shared `arguments` to the command `verb`.
pub(crate) fn add(verb: Command, arguments: &BTreeSet<Argument>) -> Command {
    let jobs: Vec<Job> = arguments
        .iter()
        .filter_map(|it| if let Argument::Engine(job) = it { Some(*job) } else { None })
        .collect();
    let verb = if jobs.is_empty() { verb } else { verb.arg(engine(jobs)) };
    arguments.iter().fold(verb, |verb, argument| match argument {
        // All engines are values of one option.
        Argument::Engine(_) => verb,
        Argument::Accelerator => verb.arg(accelerator()),
        Argument::Fix => verb.arg(fix()),
        Argument::Release => verb.args(release()),
        Argument::Target => verb.arg(target()),
    })
}

/// Arguments of `validate`.
pub(crate) fn add_validate(verb: Command) -> Command {
    verb.args([
        flag("changed").help(
            "Run only gates that compile nothing, and only those affected by changes since the \
             last commit",
        ),
        fix(),
        flag("staged")
            .conflicts_with_all(["changed", "fix"])
            .help("Run the gates of --changed on the index, for the commit hook"),
    ])
}

/// Arguments of `release`.
pub(crate) fn add_release(verb: Command) -> Command {
    PagesArguments::augment_args(TargetArguments::augment_args(verb)).args([
        flag("snapshot").help("Build a snapshot of any commit, without gates and without a tag"),
        tag().conflicts_with("snapshot"),
    ])
}

/// Arguments of `dist`.
pub(crate) fn add_dist(verb: Command) -> Command {
    let split =
        flag("split").help("Build part of a release, without SHA256SUMS, for a later --merge");
    MergeArguments::augment_args(BuildArguments::augment_args(verb)).arg(split)
}

/// Arguments of `determinism`.
pub(crate) fn add_determinism(verb: Command) -> Command {
    RebuildArguments::augment_args(verb)
}

/// Arguments of `ci main`.
pub(crate) fn add_ci_main(verb: Command) -> Command {
    publication(verb).arg(part(["check", "build", "publish", "smoke"]))
}

/// Arguments of `ci release`.
pub(crate) fn add_ci_release(verb: Command) -> Command {
    let rehearse = flag("rehearse").conflicts_with_all(["part", "tag", "to", "pages"]).help(
        "Only rehearse candidates, releases, a patch, a rollback and retention with synthetic \
         releases in a scratch folder",
    );
    publication(verb).args([tag(), part(["check", "build", "publish", "verify"]), rehearse])
}

/// Arguments of `ci nightly`.
pub(crate) fn add_ci_nightly(verb: Command) -> Command {
    TargetArguments::augment_args(verb).mut_arg("to", |it| it.help(OF_ENVIRONMENTS)).arg(part([
        "test",
        "determinism",
        "channels",
    ]))
}

/// Arguments of `ci retention`.
pub(crate) fn add_ci_retention(verb: Command) -> Command {
    TargetArguments::augment_args(verb).mut_arg("to", |it| it.help(OF_ENVIRONMENTS))
}

/// Help of `--to` where a command is about the registries of all environments.
const OF_ENVIRONMENTS: &str = "Registry: NAME of [registry.NAME] in release.toml, or HOST/PREFIX \
    [default: staging and production of release.toml]";

/// `--to` and `--pages`, with the defaults of an environment.
fn publication(verb: Command) -> Command {
    PagesArguments::augment_args(TargetArguments::augment_args(verb))
        .mut_arg("to", |it| {
            it.help(
                "Registry: NAME of [registry.NAME] in release.toml, or HOST/PREFIX [default of main: staging if \
                 release.toml has it, else the local registry; of release: production]",
            )
        })
        .mut_arg("pages", |it| {
            it.help(
                "Publish the files too: NAME of [assets.NAME] in release.toml, or a folder, such as ./site \
                 [default: the name of the registry, if release.toml has it]",
            )
        })
}

fn part<const N: usize>(names: [&'static str; N]) -> Arg {
    Arg::new("part")
        .long("part")
        .value_name("NAME")
        .value_parser(names)
        .help("Run only this part, which needs the results of those before it [default: all]")
}

fn tag() -> Arg {
    Arg::new("tag").long("tag").value_name("TAG").help(
        "Tag to release, if the commit has several [default: the tag that CI runs for, else the \
         stable one]",
    )
}

/// Arguments of `ci pr`.
pub(crate) fn add_ci_pr(verb: Command) -> Command {
    verb.arg(flag("iso").help("Build the maintenance OS and its live ISO too"))
}

/// No arguments of its own.
pub(crate) fn add_nothing(verb: Command) -> Command {
    verb
}

fn fix() -> Arg {
    flag("fix").help("First fix what a program can: format, headers, lints, drawings")
}

fn engine(jobs: Vec<Job>) -> Arg {
    let values = Choice::values(&jobs).join(", ");
    Arg::new("engine")
        .long("engine")
        .value_name("JOB=NAME")
        .action(ArgAction::Append)
        .value_parser(move |text: &str| Choice::parse(text, &jobs))
        .help(format!("Use this engine instead of the one in release.toml; one of {values}"))
}

fn accelerator() -> Arg {
    Arg::new("accel")
        .long("accel")
        .value_name("NAME")
        .value_parser(Accelerator::ALL.map(Accelerator::option))
        .help("QEMU accelerator [default: kvm if it runs the firmware, else tcg]")
}

/// The release that a command is about.
fn release() -> [Arg; 2] {
    [
        version(),
        Arg::new("release")
            .long("release")
            .value_name("DIR")
            .value_parser(PathBufValueParser::new().map(absolute))
            .conflicts_with("version")
            .help("Work on the release in this folder, wherever it was built"),
    ]
}

/// The version of a release in `target/dist`.
fn version() -> Arg {
    Arg::new("version").long("version").value_name("VERSION").help(
        "Work on target/dist/VERSION [default: the version of the commit's release tag, else its \
         snapshot]",
    )
}

fn target() -> Arg {
    Arg::new("target")
        .long("target")
        .value_name("ARCHITECTURE")
        .value_parser(["x86_64", "aarch64", "all"])
        .help("Target architecture [default: this host]")
}
