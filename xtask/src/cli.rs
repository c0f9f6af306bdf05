// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The command line and nothing else: what it may say, and what it said.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use release::Architecture;

use crate::ops::emulation;
use crate::pipelines::{CI, HOOK, MERGE, PIPELINES, Pipeline, SMOKE, SNAPSHOT, SPLIT, STEPS};
use crate::run::Options;
use crate::steps::Step;
use crate::steps::images::update_lock::UpdateLock;
use crate::steps::test::bare::Bare;

/// What the command line said.
pub(crate) struct Request {
    /// What to do.
    pub(crate) verb: Verb,
    /// How to do it.
    pub(crate) options: Options,
    /// What to show.
    pub(crate) output: Output,
}

/// What to do.
pub(crate) enum Verb {
    /// One step.
    Step(&'static dyn Step),
    /// A pipeline.
    Pipeline(&'static Pipeline),
    /// Install what is missing.
    Setup,
    /// Install the commit hook.
    Hooks,
    /// Tell what is missing.
    Doctor,
    /// Remove build output.
    Clean,
    /// Print completions for a shell.
    Completions(Shell),
    /// Verify a release that is not of this work tree: what `notary verify` is called with.
    Verify(Vec<OsString>),
}

/// What to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Output {
    /// Show what would happen, and do nothing.
    pub(crate) plan: Option<Format>,
    /// Write the result as JSON on standard output.
    pub(crate) json: bool,
    /// The version is that of a release tag, not a snapshot's.
    pub(crate) release: bool,
}

/// How a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As people read it.
    Text,
    /// As programs do.
    Json,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  a gate or a step failed, or the run was stopped
  2  the command line, release.toml or the workspace is not as it has to be
  3  done, but something did not run";

/// The whole command line.
pub(crate) fn command() -> Command {
    let mut command = Command::new("xtask")
        .bin_name("cargo xtask")
        .about("Builds, checks, releases and verifies the provisioner")
        .after_help(EXIT_CODES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .args(global());
    command = command.subcommands(PIPELINES.iter().map(of_pipeline));
    command = command.subcommand(
        verb(
            "ci",
            "Run a pipeline as the workflows do: a gate that could not run has failed",
            "pr",
        )
        .arg(
            Arg::new("pipeline")
                .required(true)
                .value_parser(CI.iter().map(|it| it.name).collect::<Vec<_>>()),
        ),
    );
    command = command.subcommand(
        verb("smoke", "Use what was built as its users do", "registry")
            .arg(
                Arg::new("subject")
                    .required(true)
                    .value_parser(SMOKE.iter().map(|it| it.0).collect::<Vec<_>>()),
            )
            .arg(
                Arg::new("name")
                    .value_name("NAME")
                    .action(ArgAction::Append)
                    .help("The machines of iso and iso-all to start, such as bios [default: all]"),
            ),
    );
    command = command.subcommands(STEPS.iter().map(|step| of_step(*step)));
    command
        .subcommand(verb("setup", "Install the programs that are missing", "--yes").arg(
            flag("hooks").help(
                "Install nothing but the commit hook, which runs `cargo xtask validate --changed`",
            ),
        ))
        .subcommand(verb("doctor", "Report missing programs and how to install them", "--json"))
        .subcommand(verb("clean", "Remove what builds and runs left below target/", "--dry-run"))
        .subcommand(
            verb("completions", "Print completions for a shell", "bash > xtask.bash")
                .arg(Arg::new("shell").required(true).value_parser(value_parser!(Shell))),
        )
}

/// The command of a step, with the arguments that it alone has.
fn of_step(step: &dyn Step) -> Command {
    let mut verb = verb(step.name(), sentence(step.about()), "--verbose");
    if step.name() == "images" {
        verb = verb
            .arg(
                Arg::new("name")
                    .value_name("NAME")
                    .action(ArgAction::Append)
                    .help("The images to build, such as tools/sgdisk [default: all]"),
            )
            .arg(
                Arg::new("push")
                    .long("push")
                    .value_name("HOST/PREFIX")
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("")
                    .conflicts_with("update-lock")
                    .help(
                        "Push what was built to a registry, unsigned, for trying it \
                         [default: registry of [product] in release.toml]",
                    ),
            )
            .arg(flag("update-lock").help(
                "Build nothing; lock the packages that the mirror has now, for the next build",
            ));
    }
    if step.name() == "maintenance" {
        verb = verb.arg(flag("bind-tools").help(
            "Put the tool images that are built into it, for sites without a registry of them",
        ));
    }
    if ["fmt", "headers", "lint"].contains(&step.name()) {
        verb = verb.arg(fix());
    }
    if step.name() == "headers" {
        verb = verb.arg(flag("all").help(
            "Look at every file, not only at those that differ from the main branch; `ci` does",
        ));
    }
    if step.name() == "test" {
        verb = verb.arg(flag("bare").help(
            "Hide every optional program; each test has to pass or to record that it is skipped",
        ));
    }
    if step.name() == "verify" {
        verb = verb.args(VERIFY.map(|(name, value, help)| {
            Arg::new(name)
                .long(name)
                .value_name(value)
                .value_parser(value_parser!(OsString))
                .help(help)
        }));
        let from = ArgGroup::new("from").args(["release", "registry"]).requires("by");
        let by = ArgGroup::new("by").args(["key", "certificate-identity"]);
        verb = verb.groups([from, by]).mut_args(|arg| match arg.get_id().as_str() {
            "key" | "builder" => arg.requires("from"),
            "certificate-identity" => arg.requires("from").requires("certificate-oidc-issuer"),
            "certificate-oidc-issuer" | "trusted-root" => arg.requires("certificate-identity"),
            _ => arg,
        });
    }
    verb
}

/// The command of a pipeline, with the arguments that it alone has.
fn of_pipeline(pipeline: &Pipeline) -> Command {
    let verb = verb(pipeline.name, pipeline.about, pipeline.example);
    match pipeline.name {
        "dist" => verb
            .arg(
                Arg::new("bin")
                    .long("bin")
                    .value_name("NAME")
                    .action(ArgAction::Append)
                    .help("Build this binary alone; may be repeated [default: all]"),
            )
            .arg(flag("split").help(
                "Build a part of a release, for --merge on another machine: without SHA256SUMS",
            ))
            .arg(
                Arg::new("merge")
                    .long("merge")
                    .value_name("DIR")
                    .num_args(1..)
                    .conflicts_with("split")
                    .value_parser(value_parser!(PathBuf))
                    .help(
                        "Build nothing; put the parts in these folders together, which are of \
                         this very commit and together all of a release",
                    ),
            ),
        "determinism" => verb.arg(
            Arg::new("against")
                .long("against")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help(
                    "Build once, and compare with the earlier build of the same commit that \
                     this release.json is of",
                ),
        ),
        "release" => verb.arg(flag("snapshot").help(
            "Build any commit for trying out, without the gates: never a release, no tag needed",
        )),
        "validate" => verb.arg(fix()).arg(flag("changed").help(
            "Run only gates that compile nothing, and of these only those that a file \
             concerns which differs from the last commit; for a commit hook",
        )),
        _ => verb,
    }
}

/// Arguments of `verify`, which go to `notary verify` under the same names, with their values and helps.
const VERIFY: [(&str, &str, &str); 7] = [
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
    ("certificate-oidc-issuer", "URL", "The whole URL of the service that knows that name"),
    (
        "trusted-root",
        "FILE",
        "Whom to believe who an identity is [default: Sigstore's public service, as built in]",
    ),
    ("builder", "URI", "builder.id that the provenance must name"),
];

/// A command with its example.
fn verb(name: &'static str, about: impl Into<String>, example: &str) -> Command {
    let example = format!("Example:\n  cargo xtask {name} {example}");
    Command::new(name).about(about.into()).after_help(example.trim_end().to_owned())
}

/// With a capital at its start.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |it| it.to_uppercase().chain(letters).collect())
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

fn fix() -> Arg {
    flag("fix").help("Fix format, headers and lints before the gates run")
}

/// Whether a flag that only some commands have was given.
fn given_flag(given: &ArgMatches, name: &str) -> bool {
    matches!(given.try_get_one::<bool>(name), Ok(Some(true)))
}

/// What every command takes.
fn global() -> Vec<Arg> {
    let heading = "Options of every command";
    let args = [
        flag("dry-run").help("Show what would run, read and be written, and do nothing"),
        Arg::new("plan")
            .long("plan")
            .value_name("FORMAT")
            .value_parser(["json"])
            .help("Write the same as JSON on standard output, and do nothing"),
        flag("json").help("Write the result as JSON on standard output"),
        Arg::new("jobs")
            .long("jobs")
            .short('j')
            .value_name("N")
            .value_parser(value_parser!(NonZeroUsize))
            .help("How many steps run at the same time [default: the processors]"),
        Arg::new("engine")
            .long("engine")
            .value_name("JOB=NAME")
            .action(ArgAction::Append)
            .value_parser(engine)
            .help("Do a job (images, iso, sbom, signatures) with another engine than release.toml says"),
        Arg::new("target")
            .long("target")
            .value_name("ARCHITECTURE")
            .value_parser(["x86_64", "aarch64", "all"])
            .help("What to build for [default: this machine]"),
        flag("verbose").short('v').help("Show commands and their output as they run"),
        flag("yes").short('y').help("Answer questions with yes; CI=true does too"),
        flag("keep-going")
            .overrides_with("fail-fast")
            .help("Go on with what does not depend on a failed step (this is the default)"),
        flag("fail-fast").help("Start nothing any more once a step has failed"),
    ];
    args.into_iter().map(|arg| arg.global(true).help_heading(heading)).collect()
}

fn engine(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((job, name)) if !job.is_empty() && !name.is_empty() => {
            Ok((job.to_owned(), name.to_owned()))
        }
        _ => Err("expected JOB=NAME, such as images=buildah".to_owned()),
    }
}

/// Reads `args`; the first is the program's name.
///
/// # Errors
/// What clap shows for a mistake, and for `--help`.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    let Some((name, given)) = matches.subcommand() else {
        return Err(command().error(clap::error::ErrorKind::MissingSubcommand, "name a command"));
    };
    let verb = match name {
        "setup" if given_flag(given, "hooks") => Some(Verb::Hooks),
        "setup" => Some(Verb::Setup),
        "doctor" => Some(Verb::Doctor),
        "clean" => Some(Verb::Clean),
        "completions" => given.get_one::<Shell>("shell").copied().map(Verb::Completions),
        "dist" if given_flag(given, "split") => Some(Verb::Pipeline(&SPLIT)),
        "dist" if given.contains_id("merge") => Some(Verb::Pipeline(&MERGE)),
        "release" if given_flag(given, "snapshot") => Some(Verb::Pipeline(&SNAPSHOT)),
        "validate" if given_flag(given, "changed") => Some(Verb::Pipeline(&HOOK)),
        "verify" if given.contains_id("from") => Some(Verb::Verify(verification(given))),
        "test" if given.get_flag("bare") => Some(Verb::Step(&Bare)),
        "images" if given.get_flag("update-lock") => Some(Verb::Step(&UpdateLock)),
        "ci" => {
            let wanted = given.get_one::<String>("pipeline");
            CI.iter().find(|it| wanted.is_some_and(|name| name == it.name)).map(Verb::Pipeline)
        }
        "smoke" => {
            let wanted = given.get_one::<String>("subject");
            let found = SMOKE.iter().find(|it| wanted.is_some_and(|name| name == it.0));
            found.map(|it| Verb::Step(it.1))
        }
        _ => None,
    };
    let verb = verb
        .or_else(|| PIPELINES.iter().find(|it| it.name == name).map(Verb::Pipeline))
        .or_else(|| STEPS.iter().find(|it| it.name() == name).map(|it| Verb::Step(*it)))
        .ok_or_else(|| command().error(clap::error::ErrorKind::InvalidSubcommand, name))?;
    let release = name == "release" && !given.get_flag("snapshot");
    Ok(Request {
        verb,
        // A release is checked as a change is in CI.
        options: options(given, name == "ci" || release),
        output: Output {
            plan: match (given.get_one::<String>("plan"), given.get_flag("dry-run")) {
                (Some(_), _) => Some(Format::Json),
                (None, true) => Some(Format::Text),
                (None, false) => None,
            },
            json: given.get_flag("json"),
            release,
        },
    })
}

/// What `notary verify` is called with.
fn verification(given: &ArgMatches) -> Vec<OsString> {
    let mut arguments = Vec::new();
    for (name, ..) in VERIFY {
        if let Some(value) = given.get_one::<OsString>(name) {
            arguments.extend([OsString::from(format!("--{name}")), value.clone()]);
        }
    }
    if given.get_flag("json") {
        arguments.push("--json".into());
    }
    arguments
}

fn options(given: &ArgMatches, strict: bool) -> Options {
    let engines: BTreeMap<_, _> =
        given.get_many::<(String, String)>("engine").into_iter().flatten().cloned().collect();
    let parts = given.try_get_many::<PathBuf>("merge").ok().flatten();
    let parts: Vec<_> = parts.into_iter().flatten().map(|it| absolute(it)).collect();
    Options {
        jobs: given
            .get_one("jobs")
            .copied()
            .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)),
        engines,
        architectures: match given.get_one::<String>("target").map(String::as_str) {
            Some("x86_64") => vec![Architecture::Amd64],
            Some("aarch64") => vec![Architecture::Arm64],
            Some(_) => vec![Architecture::Amd64, Architecture::Arm64],
            // What is put together is a whole release.
            None if !parts.is_empty() => vec![Architecture::Amd64, Architecture::Arm64],
            None => vec![emulation::host()],
        },
        names: given_names(given, "name"),
        bind_tools: given_flag(given, "bind-tools"),
        push: given.try_get_one::<String>("push").ok().flatten().cloned(),
        binaries: given_names(given, "bin"),
        against: given.try_get_one::<PathBuf>("against").ok().flatten().map(|it| absolute(it)),
        parts,
        verbose: given.get_flag("verbose"),
        yes: given.get_flag("yes") || std::env::var_os("CI").is_some_and(|value| value == "true"),
        fail_fast: given.get_flag("fail-fast"),
        strict,
        fix: given_flag(given, "fix"),
        all: given_flag(given, "all") || strict,
        changed: given_flag(given, "changed"),
    }
}

/// A path that can't be made absolute is told as it was given, when it is opened.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The values of an argument that not every command has.
fn given_names(given: &ArgMatches, argument: &str) -> Vec<String> {
    let names = given.try_get_many::<String>(argument).ok().flatten();
    names.into_iter().flatten().cloned().collect()
}

#[cfg(test)]
mod tests;
