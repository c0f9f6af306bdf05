// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verifies a release from the published files and the signer's public key or identity: the one of
//! this work tree from what its registry serves, or any other, in a folder or a registry.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args as _, Command as Verb, value_parser};
use engine::workspace::Job;
use engine::{Argument, Description, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use programs::notary::{self, Engine};
use programs::registry::{self, Registry};
use programs::target::{self, Target, TargetArguments};
use release::{Manifest, Signer, layout};

/// Arguments that are passed to `notary verify` under the same names: name, value, help.
const VERIFY: [(&str, &str, &str); 13] = [
    (
        "release",
        "DIR",
        "Folder of the release [default: the release of this work tree in the registry of --to]",
    ),
    ("registry", "HOST/PREFIX:VERSION", "Registry, prefix of the repositories, and version"),
    (
        "key",
        "FILE",
        "File with the public key; with --certificate-identity, that of the records of channels alone",
    ),
    (
        "certificate-identity",
        "NAME",
        "Identity of the signer: the whole e-mail address or URI; {version} is the version of the release",
    ),
    ("certificate-oidc-issuer", "URL", "The whole URL of the issuer of that identity"),
    (
        "trusted-root",
        "FILE",
        "Certificates and logs to trust [default: Sigstore's public service, as built in]",
    ),
    (
        "builder",
        "URI",
        "builder.id that the provenance must name; {version} is the version of the release",
    ),
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
    (
        "rebuilds",
        "K",
        "Require that K different keys of --rebuild-key attest a rebuild with the same bytes",
    ),
    ("rebuild-key", "FILE", "File with the public key of a rebuilder; repeatable"),
    (
        "state",
        "FILE",
        "Verify the release that --channel of --registry HOST/PREFIX points to; FILE stores the newest record seen",
    ),
];

/// `cargo xtask verify`.
pub struct Verify;

impl Step for Verify {
    fn describe(&self) -> Description {
        Description::step(
            "verify",
            "verify the published release against a public key or an identity",
        )
        .example("--release target/dist/latest --key cosign.pub")
        .arguments(&[Argument::Engine(Job::Signatures)])
    }

    fn own_arguments(&self, command: Verb) -> Verb {
        add_arguments(command)
    }

    fn can_be_up_to_date(&self, run: &Run) -> bool {
        target::is_local(run)
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        notary::needs()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        if let Some(target) = target::find_target(run)? {
            return Ok(notary::plan(run).command(verify_at(
                run,
                &target,
                &TrustedSigner::from_run(run),
            )));
        }
        Ok(notary::plan(run).command(registry::plan_registry(run)).command(verify(
            run,
            "127.0.0.1:PORT",
            &TrustedSigner::from_run(run),
        )))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        if let Some(target) = target::find_target(run)? {
            run.execute(log, &self.plan(run)?)?;
            return Ok(Outcome::Done(format!("VERIFIED at {}", target.namespace)));
        }
        run.exec(log, &notary::build(run))?;
        let registry = Registry::start(run, log, self.name(), &registry::plan_registry(run))?;
        run.exec(log, &verify(run, &registry.host, &TrustedSigner::from_run(run)))?;
        Ok(Outcome::Done("VERIFIED".to_owned()))
    }
}

/// Adds the arguments of `notary verify`.
fn add_arguments(verb: Verb) -> Verb {
    let version = Arg::new("version").long("version").value_name("VERSION").help(
        "Verify this version of the registry with the key in target/dist/VERSION [default: the version of \
         the commit's release tag, else its snapshot]",
    );
    let verb =
        TargetArguments::augment_args(verb).arg(version).args(VERIFY.map(|(name, value, help)| {
            let arg = Arg::new(name)
                .long(name)
                .value_name(value)
                .value_parser(value_parser!(OsString))
                .help(help);
            match name {
                "key" | "builder" | "product" | "channel" => arg.requires("from"),
                "rebuilds" => arg.requires("from").requires("rebuild-key"),
                "rebuild-key" => arg.requires("rebuilds").action(ArgAction::Append),
                "state" => arg.requires("registry").requires("channel"),
                "release-version" => arg.requires("release").conflicts_with("registry"),
                "certificate-identity" => arg.requires("from").requires("certificate-oidc-issuer"),
                "certificate-oidc-issuer" | "trusted-root" => arg.requires("certificate-identity"),
                _ => arg,
            }
        }));
    let from = ArgGroup::new("from").args(["release", "registry"]).requires("by");
    let by = ArgGroup::new("by").args(["key", "certificate-identity"]).multiple(true);
    // The others select a release of this work tree.
    verb.groups([from.conflicts_with_all(["engine", "to", "version"]), by])
}

/// Arguments of `notary verify` for a release that is not of this work tree; `None` if the command line names no
/// such release.
pub fn find_arguments(given: &ArgMatches) -> Option<Vec<OsString>> {
    if !given.contains_id("from") {
        return None;
    }
    let mut arguments = Vec::new();
    for (name, ..) in VERIFY {
        for value in given.get_many::<OsString>(name).into_iter().flatten() {
            arguments.extend([OsString::from(format!("--{name}")), value.clone()]);
        }
    }
    if given.get_flag("json") {
        arguments.push("--json".into());
    }
    Some(arguments)
}

/// Expected signer.
pub enum TrustedSigner {
    /// The owner of the public key in this file.
    Key(PathBuf),
    /// The identity in the certificates.
    Identity(Signer),
}

impl TrustedSigner {
    /// The signer that the release of this work tree records; before there is one, the configured signer.
    pub fn from_run(run: &Run) -> Self {
        let keyless = || run.engines().signatures().is_ok_and(|engine| engine == Engine::Keyless);
        let later = || Signer { identity: "NAME".to_owned(), issuer: "URL".to_owned() };
        let signer = match run.manifest() {
            Ok(manifest) => manifest.signer,
            Err(_) => keyless().then(later),
        };
        signer.map_or_else(|| Self::Key(run.dist().join(layout::PUBLIC_KEY)), Self::Identity)
    }

    /// Adds it to a call of `notary verify`, or of cosign, which has the same names.
    pub fn name(&self, command: Command) -> Command {
        match self {
            Self::Key(path) => command.arg("--key").arg(path),
            Self::Identity(signer) => {
                notary::add_identity(command, &signer.identity, &signer.issuer)
            }
        }
    }
}

/// `notary verify` of the release in the local registry at `host`, signed `by` this signer.
pub fn verify(run: &Run, host: &str, by: &TrustedSigner) -> Command {
    call(run, &format!("{host}/{}", run.workspace.product().product.name), by)
}

fn verify_at(run: &Run, target: &Target, by: &TrustedSigner) -> Command {
    target.add_access(call(run, &target.namespace.with_scheme(), by))
}

fn call(run: &Run, namespace: &str, by: &TrustedSigner) -> Command {
    let command = notary::call(run, "verify")
        .arg("--registry")
        .arg(format!("{namespace}:{}", run.version().text()))
        .args(["--product", &run.workspace.product().product.name]);
    by.name(notary::add_builder(command))
}

/// The command line for users that verifies the signed release in `dist`.
pub fn by_hand(run: &Run, manifest: &Manifest, dist: &Path) -> String {
    let by = manifest
        .signer
        .clone()
        .map_or_else(|| TrustedSigner::Key(dist.join(layout::PUBLIC_KEY)), TrustedSigner::Identity);
    let command = run.command("cargo").args(["xtask", "verify", "--release"]).arg(dist);
    by.name(command).line(run.workspace.root())
}

/// The call that verifies another release; `arguments` are those of `notary verify`, with paths relative to the
/// current folder of the user.
///
/// # Errors
/// When there is no current folder.
pub fn plan_other(run: &Run, arguments: &[OsString]) -> Result<Command> {
    let here = std::env::current_dir().context("cannot determine the current folder")?;
    let program = notary::path(run);
    Ok(Command::new(program.to_string_lossy(), here).arg("verify").args(arguments))
}
