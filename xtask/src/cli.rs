// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Defines and parses the command line.

mod groups;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use assemble::images::update_lock::UpdateLock;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Args as _, Command, value_parser};
use clap_complete::Shell;
use engine::accelerator::Accelerator;
use engine::graph::Stage;
use engine::workspace::{Engines, Job};
use engine::{Argument, Options, Step, flag};
use foundation::emulation;
use gates::test::bare::BareTest;
use publish::bump::BumpArguments;
use publish::{channels, verify};
use release::Architecture;

use self::groups::help_template;
use crate::arguments;
use crate::pipelines::{
    CI, HOOK, MERGE, PIPELINES, PULL_REQUEST_WITH_ISO, Pipeline, Preset, REHEARSAL, SMOKE,
    SNAPSHOT, SPLIT, STEPS, TEST,
};

/// A parsed command line.
pub(crate) struct Request {
    /// Command.
    pub(crate) verb: Verb,
    /// Options of the run.
    pub(crate) options: Options,
    /// Output options.
    pub(crate) output: Output,
    /// The release that it is about.
    pub(crate) about: ReleaseSelection,
}

/// The release that a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReleaseSelection {
    /// A snapshot of the commit.
    Snapshot,
    /// The release of the commit's release tag, else a snapshot.
    Commit,
    /// The release of a tag of the commit; this tag, if it has several.
    Tag(Option<String>),
    /// The release of this version in `target/dist`.
    Version(String),
    /// The release in this folder.
    Folder(PathBuf),
}

pub(crate) enum Verb {
    /// Run a step.
    Step(&'static dyn Step),
    /// Run a pipeline.
    Pipeline(&'static Pipeline),
    /// Run these steps of a pipeline.
    Part(&'static Pipeline, &'static [Stage]),
    /// Run the commit hook's gates on the index.
    Staged,
    /// Install missing programs: of these steps, or all.
    Setup(Option<Vec<&'static dyn Step>>),
    /// Update the pins of packages to the newest versions.
    UpdatePins,
    /// Install the commit hook.
    Hooks,
    /// Report missing programs.
    Doctor,
    /// Write the HTML page about the last run.
    Report,
    /// Remove build output.
    Clean,
    /// Print completions for a shell.
    Completions(Shell),
    /// Check the version against the history.
    Version,
    /// Make the commit and tag of the next release.
    Bump,
    /// Print release notes of a range of commits.
    Notes(Option<String>),
    /// Verify a release outside of this work tree: arguments of `notary verify`.
    Verify(Vec<OsString>),
    /// Show or change the channels and releases of a registry.
    Channels(Box<channels::Call>),
}

/// Output options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a command line flag")]
pub(crate) struct Output {
    /// Print the plan only.
    pub(crate) plan: Option<Format>,
    /// Print the result as JSON on standard output.
    pub(crate) json: bool,
    /// Apply automatic fixes before the gates run.
    pub(crate) fix: bool,
    /// Skip gates that read no file which differs from the last commit.
    pub(crate) changed: bool,
    /// Print everything where less is printed by default.
    pub(crate) all: bool,
}

/// Format of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Readable text.
    Text,
    /// JSON for other programs.
    Json,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  a gate or a step failed, or the run was stopped
  2  wrong usage, or an error in release.toml or the workspace
  3  done, but a gate or test could not run";

/// The whole command line.
pub(crate) fn command() -> Command {
    let command = build_ungrouped();
    let template = help_template(&command);
    command.help_template(template)
}

fn build_ungrouped() -> Command {
    let ci = CI.iter().map(|pipeline| {
        let shown = format!("ci {}", pipeline.name);
        of_pipeline(pipeline.name, &shown, pipeline)
    });
    let smoke = SMOKE.iter().map(|(name, step)| of_step(name, &format!("smoke {name}"), *step));
    Command::new("xtask")
        .bin_name("cargo xtask")
        .about("Check, build, release and verify the provisioner")
        .after_help(EXIT_CODES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(PIPELINES.iter().map(|it| of_pipeline(it.name, it.name, it)))
        .subcommand(group("ci", "Run a CI pipeline; a gate that cannot run fails", "pr", ci))
        .subcommand(group("smoke", "Run smoke tests of what was built", "registry", smoke))
        .subcommands(STEPS.iter().map(|step| of_step(step.name(), step.name(), *step)))
        .subcommand(setup())
        .subcommand(
            arguments::add(
                verb(
                    "doctor",
                    "doctor",
                    "Report missing programs and how to install them",
                    "--target all",
                ),
                // The prerequisites of steps depend on these options.
                &Job::ALL.map(Argument::Engine).into_iter().chain([Argument::Target]).collect(),
            )
            .arg(arguments::json())
            .arg(flag("all").help("List installed programs too, and those that no command needs")),
        )
        .subcommand(
            verb("version", "version", "Print the next version and the reasons for it", "--json")
                .arg(arguments::json())
                .args_conflicts_with_subcommands(true)
                .disable_help_subcommand(true)
                .subcommand(set_about(
                    BumpArguments::augment_args(
                        verb("bump", "version bump", "", "--pre rc").arg(arguments::dry_run()),
                    ),
                    "Write the next version and the changelog, commit, and make the tag".to_owned(),
                )),
        )
        .subcommand(
            verb(
                "notes",
                "notes",
                "Print release notes from commits, schema and API",
                "v1.2.0..v1.3.0",
            )
            .arg(
                Arg::new("range")
                    .value_name("FROM..TO")
                    .help("Two tags or commits [default: the last stable release to HEAD]"),
            )
            .arg(arguments::json()),
        )
        .subcommands(channels::COMMANDS.map(|it| {
            let verb = verb(it.name, it.name, it.about, it.example).arg(arguments::dry_run());
            set_about(it.add_arguments(verb), it.about.to_owned())
        }))
        .subcommand(verb(
            "report",
            "report",
            "Write the last run and its release as an HTML page, target/xtask/report.html",
            "",
        ))
        .subcommand(
            verb("clean", "clean", "Remove build output below target/", "--dry-run")
                .arg(arguments::dry_run()),
        )
        .subcommand(
            verb(
                "completions",
                "completions",
                "Print completions for a shell",
                "bash > xtask.bash",
            )
            .arg(Arg::new("shell").required(true).value_parser(value_parser!(Shell))),
        )
}

fn setup() -> Command {
    verb("setup", "setup", "Install missing programs", "--for \"smoke iso\" --yes")
        .args([arguments::dry_run(), arguments::verbose(), arguments::yes_flag()])
        .args([
            Arg::new("for")
                .long("for")
                .value_name("COMMAND")
                .value_parser(SetupTarget::parse)
                .help(
                    "Install only programs for this command and its tests, such as validate, \"smoke iso\" \
                     or \"release --snapshot\" [default: all]",
                ),
            flag("update-pins").conflicts_with("for").help(
                "Only update the SHA-256 pins of Debian packages to the newest versions",
            ),
            flag("hooks").conflicts_with_all(["for", "update-pins"]).help(
                "Only install the commit hook, which runs `cargo xtask validate --staged`",
            ),
        ])
}

/// The command that `setup --for` names.
#[derive(Clone)]
struct SetupTarget {
    steps: Vec<&'static dyn Step>,
    options: Options,
}

impl SetupTarget {
    /// Parses the words after `cargo xtask`.
    fn parse(call: &str) -> Result<Self, String> {
        let words = ["xtask"].into_iter().chain(call.split_whitespace()).map(OsString::from);
        let request = parse(words).map_err(|_| {
            format!("`cargo xtask {call}` is not a valid command; quote a command of several words")
        })?;
        let of = |stages: &[Stage]| stages.iter().map(|it| it.step).collect();
        let steps = match request.verb {
            Verb::Step(step) => vec![step],
            Verb::Pipeline(pipeline) => of(pipeline.stages),
            Verb::Part(_, stages) => of(stages),
            _ => return Err(format!("`cargo xtask {call}` runs no steps")),
        };
        Ok(Self { steps, options: request.options })
    }
}

/// The command of a step; `shown` is its call after `cargo xtask`.
fn of_step(name: &'static str, shown: &str, step: &dyn Step) -> Command {
    let verb = verb(name, shown, sentence(step.about()), step.example());
    let verb = arguments::add(verb, &step.arguments().iter().copied().collect());
    set_about(step.own_arguments(verb), sentence(step.about())).args(arguments::run_options())
}

/// The command of a pipeline, with its own options and those that its steps share.
fn of_pipeline(name: &'static str, shown: &str, pipeline: &Pipeline) -> Command {
    let verb = verb(name, shown, pipeline.about, pipeline.example);
    let verb = arguments::add(verb.args(arguments::pipeline_options()), &pipeline.arguments());
    set_about((pipeline.own)(verb), pipeline.about.to_owned()).args(arguments::run_options())
}

/// A command with subcommands.
fn group(
    name: &'static str,
    about: &'static str,
    example: &str,
    commands: impl Iterator<Item = Command>,
) -> Command {
    verb(name, name, about, example)
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommands(commands)
}

fn verb(name: &'static str, shown: &str, about: impl Into<String>, example: &str) -> Command {
    let example = format!("Example:\n  cargo xtask {shown} {example}");
    Command::new(name).about(about.into()).after_help(example.trim_end().to_owned())
}

/// Sets the description of `verb`, overriding that of a derived set of arguments.
fn set_about(verb: Command, about: String) -> Command {
    verb.about(about).long_about(None)
}

/// Capitalises the first letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |it| it.to_uppercase().chain(letters).collect())
}

/// Whether a flag that only some commands declare was given.
fn given_flag(given: &ArgMatches, name: &str) -> bool {
    matches!(given.try_get_one::<bool>(name), Ok(Some(true)))
}

/// The value of an argument that only some commands declare.
fn given_value<'a, T: Clone + Send + Sync + 'static>(
    given: &'a ArgMatches,
    name: &str,
) -> Option<&'a T> {
    given.try_get_one(name).ok().flatten()
}

/// The values of an argument that only some commands declare.
fn given_values<T: Clone + Send + Sync + 'static>(given: &ArgMatches, name: &str) -> Vec<T> {
    let values = given.try_get_many::<T>(name).ok().flatten();
    values.into_iter().flatten().cloned().collect()
}

/// Parses `args`, starting with the program's name.
///
/// # Errors
/// clap's errors, and its output for `--help`.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let matches = command().try_get_matches_from(&args).map_err(|it| with_commands(it, &args))?;
    let Some((name, given)) = matches.subcommand() else {
        return Err(command().error(ErrorKind::MissingSubcommand, "a subcommand is required"));
    };
    let (inner, given) = given.subcommand().map_or(("", given), |(inner, given)| (inner, given));
    let wanted = given_value::<SetupTarget>(given, "for");
    let verb = match name {
        "setup" if given_flag(given, "hooks") => Some(Verb::Hooks),
        "setup" if given_flag(given, "update-pins") => Some(Verb::UpdatePins),
        "setup" => Some(Verb::Setup(wanted.map(|it| it.steps.clone()))),
        "doctor" => Some(Verb::Doctor),
        "report" => Some(Verb::Report),
        "clean" => Some(Verb::Clean),
        "version" if inner == "bump" => Some(Verb::Bump),
        "version" => Some(Verb::Version),
        "notes" => Some(Verb::Notes(given.get_one::<String>("range").cloned())),
        "completions" => given.get_one::<Shell>("shell").copied().map(Verb::Completions),
        "dist" if given_flag(given, "split") => Some(Verb::Pipeline(&SPLIT)),
        "dist" if given.contains_id("merge") => Some(Verb::Pipeline(&MERGE)),
        "release" if given_flag(given, "snapshot") => Some(Verb::Pipeline(&SNAPSHOT)),
        "validate" if given_flag(given, "staged") => Some(Verb::Staged),
        "validate" if given_flag(given, "changed") => Some(Verb::Pipeline(&HOOK)),
        "verify" => verify::find_arguments(given).map(Verb::Verify),
        "test" if given_flag(given, "bare") => Some(Verb::Step(&BareTest)),
        "test" => Some(Verb::Step(&TEST)),
        "images" if given.get_flag("update-lock") => Some(Verb::Step(&UpdateLock)),
        "ci" if given_flag(given, "iso") => Some(Verb::Pipeline(&PULL_REQUEST_WITH_ISO)),
        "ci" if given_flag(given, "rehearse") => Some(Verb::Pipeline(&REHEARSAL)),
        "ci" => CI.iter().find(|it| it.name == inner).map(|pipeline| {
            let wanted = given_value::<String>(given, "part");
            let part = wanted.and_then(|name| pipeline.parts.iter().find(|it| it.0 == name));
            part.map_or(Verb::Pipeline(pipeline), |it| Verb::Part(pipeline, it.1))
        }),
        "smoke" => SMOKE.iter().find(|it| it.0 == inner).map(|it| Verb::Step(it.1)),
        _ => None,
    };
    let verb = verb
        .or_else(|| PIPELINES.iter().find(|it| it.name == name).map(Verb::Pipeline))
        .or_else(|| STEPS.iter().find(|it| it.name() == name).map(|it| Verb::Step(*it)))
        .or_else(|| {
            let command = channels::COMMANDS.into_iter().find(|it| it.name == name)?;
            Some(Verb::Channels(Box::new(command.read(given).ok()?)))
        })
        .ok_or_else(|| command().error(ErrorKind::InvalidSubcommand, name))?;
    let is_release = !given_flag(given, "snapshot") && !given_flag(given, "rehearse");
    let release = [name, inner].contains(&"release") && is_release;
    let (preset, environment) = match verb {
        Verb::Pipeline(pipeline) | Verb::Part(pipeline, _) => {
            (pipeline.preset, pipeline.environment)
        }
        _ => (Preset::Nothing, None),
    };
    let about = about_release(&verb, release, given);
    // A release is checked as strictly as in CI.
    let own = Options { environment, ..options(given, name == "ci" || release, preset) };
    let options = match wanted {
        Some(it) => Options { verbose: own.verbose, yes: own.yes, ..it.options.clone() },
        None => own,
    };
    Ok(Request {
        verb,
        options,
        output: Output {
            plan: if given_value::<String>(given, "plan").is_some() {
                Some(Format::Json)
            } else {
                given_flag(given, "dry-run").then_some(Format::Text)
            },
            json: given_flag(given, "json"),
            fix: given_flag(given, "fix"),
            changed: given_flag(given, "changed"),
            all: given_flag(given, "all"),
        },
        about,
    })
}

fn about_release(verb: &Verb, release: bool, given: &ArgMatches) -> ReleaseSelection {
    match verb {
        // It names its release to the notary itself.
        Verb::Verify(_) | Verb::Channels(_) => return ReleaseSelection::Snapshot,
        Verb::Notes(_) => return ReleaseSelection::Commit,
        _ if release => return ReleaseSelection::Tag(given_value::<String>(given, "tag").cloned()),
        _ => {}
    }
    if let Some(version) = given_value::<String>(given, "version") {
        return ReleaseSelection::Version(version.clone());
    }
    if let Some(folder) = given_value::<PathBuf>(given, "release") {
        return ReleaseSelection::Folder(folder.clone());
    }
    let builds = match verb {
        // Snapshots of staging are made of any commit, whatever tags it has.
        Verb::Pipeline(pipeline) | Verb::Part(pipeline, _) if pipeline.environment.is_some() => {
            false
        }
        Verb::Step(step) => !step.is_gate(),
        Verb::Pipeline(pipeline) => pipeline.stages.iter().all(|stage| !stage.step.is_gate()),
        _ => false,
    };
    if builds && !given_flag(given, "snapshot") {
        ReleaseSelection::Commit
    } else {
        ReleaseSelection::Snapshot
    }
}

/// Lists the commands of `ci` and `smoke` where `args` has another.
fn with_commands(mut error: clap::Error, args: &[OsString]) -> clap::Error {
    let command = command();
    let group = args.get(1).and_then(|name| command.find_subcommand(name));
    if let Some(group) = group.filter(|_| error.kind() == ErrorKind::InvalidSubcommand) {
        let names: Vec<_> = group.get_subcommands().map(Command::get_name).collect();
        let tip = StyledStr::from(format!("possible values: {}", names.join(", ")));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

fn options(given: &ArgMatches, strict: bool, preset: Preset) -> Options {
    let mut engines = Engines::default();
    for choice in given_values(given, "engine") {
        engines.set(choice);
    }
    let is_merge = given.try_contains_id("merge").unwrap_or(false);
    Options {
        jobs: given_value(given, "jobs")
            .copied()
            .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)),
        engines,
        architectures: match given_value::<String>(given, "target").map(String::as_str) {
            Some("x86_64") => vec![Architecture::Amd64],
            Some("aarch64") => vec![Architecture::Arm64],
            Some(_) => vec![Architecture::Amd64, Architecture::Arm64],
            // A merged release contains all architectures.
            None if is_merge => vec![Architecture::Amd64, Architecture::Arm64],
            None if preset != Preset::Nothing => vec![Architecture::Amd64, Architecture::Arm64],
            None => vec![emulation::host()],
        },
        accelerator: given_value::<String>(given, "accel")
            .and_then(|it| Accelerator::from_name(it)),
        everything: preset == Preset::Everything,
        environment: None,
        verbose: given_flag(given, "verbose"),
        yes: given_flag(given, "yes") || std::env::var_os("CI").is_some_and(|it| it == "true"),
        fail_fast: given_flag(given, "fail-fast"),
        strict,
        given: given.clone(),
        identity: arguments::identity(given),
    }
}

#[cfg(test)]
mod tests;
