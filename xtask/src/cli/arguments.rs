// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The arguments of commands as clap takes them, each defined once.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgGroup, Command, value_parser};
use engine::Argument;
use engine::accelerator::Accelerator;
use engine::workspace::{Choice, Job};

/// Arguments of `verify`, which go to `notary verify` under the same names, with their values and helps.
pub(super) const VERIFY: [(&str, &str, &str); 10] = [
    (
        "release",
        "DIR",
        "Folder of the release [default: what the local registry serves of this work tree]",
    ),
    ("registry", "HOST/PREFIX:VERSION", "Registry, prefix of the repositories, and version"),
    ("key", "FILE", "File with the public key"),
    (
        "certificate-identity",
        "NAME",
        "Who signed, where it was no key: the whole e-mail address or URI",
    ),
    ("certificate-oidc-issuer", "URL", "The whole URL of the service that issued that identity"),
    (
        "trusted-root",
        "FILE",
        "Certificates and logs to trust [default: Sigstore's public service, as built in]",
    ),
    ("builder", "URI", "builder.id that the provenance must name"),
    ("product", "NAME", "The product that release.json must name [default: this one]"),
    (
        "release-version",
        "VERSION",
        "The version that release.json of a folder must name [default: any]",
    ),
    (
        "channel",
        "CHANNEL",
        "The channel that release.json must name: stable, candidate or snapshot [default: that of \
         the version]",
    ),
];

/// A switch.
pub(super) fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

/// Shows commands and their output.
pub(super) fn verbose() -> Arg {
    flag("verbose").short('v').help("Show commands and their output as they run")
}

/// Answers questions.
pub(super) fn yes() -> Arg {
    flag("yes").short('y').help("Answer questions with yes; CI=true does too")
}

/// Plans and does nothing.
pub(super) fn dry_run() -> Arg {
    flag("dry-run").help("Show what would run, read and be written, and do nothing")
}

/// The result for programs.
pub(super) fn json() -> Arg {
    flag("json").help("Write the result as JSON on standard output")
}

/// What every command takes that runs steps.
pub(super) fn of_every_run() -> Vec<Arg> {
    let args = [
        dry_run(),
        Arg::new("plan")
            .long("plan")
            .value_name("FORMAT")
            .value_parser(["json"])
            .help("Write the same as JSON on standard output, and do nothing"),
        json(),
        Arg::new("jobs")
            .long("jobs")
            .short('j')
            .value_name("N")
            .value_parser(value_parser!(NonZeroUsize))
            .help("How many steps and images are worked on at the same time [default: the processors]"),
        verbose(),
        yes(),
    ];
    args.into_iter().map(|arg| arg.help_heading("Options of every run")).collect()
}

/// What a command takes beside that which runs more than one step.
pub(super) fn of_pipelines() -> [Arg; 2] {
    [
        flag("keep-going")
            .overrides_with("fail-fast")
            .help("Continue with what does not depend on a failed step (this is the default)"),
        flag("fail-fast").help("Start no further step once one has failed"),
    ]
}

/// Adds `arguments` to the command `verb`.
pub(super) fn add(verb: Command, arguments: &BTreeSet<Argument>) -> Command {
    let jobs: Vec<Job> = arguments
        .iter()
        .filter_map(|it| if let Argument::Engine(job) = it { Some(*job) } else { None })
        .collect();
    let verb = if jobs.is_empty() { verb } else { verb.arg(engine(jobs)) };
    arguments.iter().fold(verb, |verb, argument| match argument {
        // All of them are values of one option.
        Argument::Engine(_) => verb,
        Argument::Verify => verify(verb),
        Argument::Accelerator => verb.arg(accelerator()),
        Argument::Against => verb.arg(against()),
        Argument::AllFiles => verb.arg(flag("all").help(
            "Look at every file, not only at those that differ from the main branch; `ci` does",
        )),
        Argument::Bare => verb.arg(flag("bare").help(
            "Hide every optional program; each test has to pass or to record that it is skipped",
        )),
        Argument::Binaries => verb.arg(binaries()),
        Argument::BindTools => verb.arg(flag("bind-tools").help(
            "Put the tool images that are built into it, for sites without a registry of them",
        )),
        Argument::Changed => verb.arg(flag("changed").help(
            "Run only gates that compile nothing, and of these only those that a file \
             concerns which differs from the last commit",
        )),
        Argument::Fix => {
            verb.arg(flag("fix").help("Fix format, headers and lints before the gates run"))
        }
        Argument::FuzzTargets => {
            verb.arg(names("The fuzz targets to run, such as iso [default: all]"))
        }
        Argument::Images => {
            verb.arg(names("The images to build, such as tools/sgdisk [default: all]"))
        }
        Argument::Iso => verb.arg(flag("iso").help(
            "Build the maintenance OS and its live ISO too, as a label of the change asks for",
        )),
        Argument::Machines => verb.arg(names("The machines to start, such as bios [default: all]")),
        Argument::Merge => verb.arg(merge()),
        Argument::Push => verb.arg(push()),
        Argument::Seconds => verb.arg(seconds()),
        Argument::Snapshot => verb
            .arg(flag("snapshot").help(
                "Build any commit for trying out, without the gates: never a release, no tag needed",
            ))
            .arg(
                Arg::new("tag").long("tag").value_name("TAG").conflicts_with("snapshot").help(
                    "Release this tag of the commit [default: the tag that CI runs for, else the \
                     stable one]",
                ),
            ),
        Argument::Staged => verb.arg(flag("staged").conflicts_with_all(["changed", "fix"]).help(
            "Run the gates of --changed on the index, which is what would be committed; for a \
                 commit hook",
        )),
        Argument::Split => {
            verb.arg(flag("split").help(
                "Build a part of a release, for --merge on another machine: without SHA256SUMS",
            ))
        }
        Argument::Target => verb.arg(target()),
        Argument::UpdateLock => verb.arg(update_lock()),
    })
}

fn engine(jobs: Vec<Job>) -> Arg {
    let values = Choice::values(&jobs).join(", ");
    Arg::new("engine")
        .long("engine")
        .value_name("JOB=NAME")
        .action(ArgAction::Append)
        .value_parser(move |text: &str| Choice::parse(text, &jobs))
        .help(format!("Use another engine than release.toml names; one of {values}"))
}

fn accelerator() -> Arg {
    Arg::new("accel")
        .long("accel")
        .value_name("NAME")
        .value_parser(Accelerator::ALL.map(Accelerator::option))
        .help("What executes the machine's instructions [default: KVM where it runs the firmware]")
}

fn target() -> Arg {
    Arg::new("target")
        .long("target")
        .value_name("ARCHITECTURE")
        .value_parser(["x86_64", "aarch64", "all"])
        .help("What to build for [default: this machine]")
}

fn against() -> Arg {
    Arg::new("against")
        .long("against")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Build once, and compare with the earlier build of the same commit that has this release.json")
}

fn binaries() -> Arg {
    Arg::new("bin")
        .long("bin")
        .value_name("NAME")
        .action(ArgAction::Append)
        .help("Build this binary alone; may be repeated [default: all]")
}

fn seconds() -> Arg {
    Arg::new("seconds")
        .long("seconds")
        .value_name("N")
        .value_parser(value_parser!(u32).range(1..))
        .help("How long each fuzz target runs [default: 60]")
}

fn names(help: &'static str) -> Arg {
    Arg::new("name").value_name("NAME").action(ArgAction::Append).help(help)
}

fn merge() -> Arg {
    Arg::new("merge")
        .long("merge")
        .value_name("DIR")
        .num_args(1..)
        .conflicts_with_all(["split", "engine"])
        .value_parser(value_parser!(PathBuf))
        .help(
            "Build nothing; put the parts in these folders together, which are of this very \
             commit and together all of a release",
        )
}

fn push() -> Arg {
    Arg::new("push")
        .long("push")
        .value_name("HOST/PREFIX")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("")
        .help(
            "Push what was built to a registry, unsigned, for trying it \
             [default: registry of [product] in release.toml]",
        )
}

fn update_lock() -> Arg {
    flag("update-lock")
        .conflicts_with_all(["push", "engine", "target", "name"])
        .help("Build nothing; lock the packages that the mirror has now, for the next build")
}

fn verify(verb: Command) -> Command {
    let verb = verb.args(VERIFY.map(|(name, value, help)| {
        let arg = Arg::new(name)
            .long(name)
            .value_name(value)
            .value_parser(value_parser!(OsString))
            .help(help);
        match name {
            "key" | "builder" | "product" | "channel" => arg.requires("from"),
            "release-version" => arg.requires("release").conflicts_with("registry"),
            "certificate-identity" => arg.requires("from").requires("certificate-oidc-issuer"),
            "certificate-oidc-issuer" | "trusted-root" => arg.requires("certificate-identity"),
            _ => arg,
        }
    }));
    let from = ArgGroup::new("from").args(["release", "registry"]).requires("by");
    let by = ArgGroup::new("by").args(["key", "certificate-identity"]);
    // `--engine` is about the release of this work tree, which the notary is not asked for here.
    verb.groups([from.conflicts_with("engine"), by])
}
