// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Registries other than the local one: `--to`, and the variables with which programs reach them.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use engine::workspace::{AuthFile, Registries};
use engine::{Environment, Run};
use foundation::command::Command;
use oci::Namespace;

/// The only auth file that `notary`, podman, skopeo and cosign read where it is set.
const AUTH_FILE: &str = "REGISTRY_AUTH_FILE";
/// The file with CA certificates that programs with rustls, OpenSSL or Go read in place of the system's.
const CA_FILE: &str = "SSL_CERT_FILE";

/// The registry that a command is about.
#[derive(Debug, Default, clap::Args)]
pub struct TargetArguments {
    /// Registry: NAME of [registry.NAME] in release.toml, or HOST/PREFIX [default: the local
    /// registry]
    #[arg(long, value_name = "NAME|HOST/PREFIX")]
    pub to: Option<String>,
}

/// A registry with what is needed to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Registry and prefix of the repositories.
    pub namespace: Namespace,
    /// CA certificates to trust in place of the system's, absolute.
    pub ca: Option<PathBuf>,
    /// Auth file, absolute; without one, the user's own files are read.
    pub auth: Option<PathBuf>,
}

impl Target {
    /// `program`, with the variables by which it reaches the registry.
    pub fn add_access(&self, program: Command) -> Command {
        let set = [(CA_FILE, &self.ca), (AUTH_FILE, &self.auth)];
        set.into_iter().fold(program, |program, (name, path)| match path {
            Some(path) => program.env(name, path),
            None => program,
        })
    }
}

/// The registry of `--to`, else that of the pipeline's environment; `None` for the local registry.
///
/// # Errors
/// As [`target`], or when a release has no target registry.
pub fn find_target(run: &Run) -> Result<Option<Target>> {
    find_name(run)?.map(|name| target(run, &name)).transpose()
}

/// The name or address of [`find_target`], without a check of its files.
///
/// # Errors
/// When a release has no target registry.
pub fn find_name(run: &Run) -> Result<Option<String>> {
    let to = run.options.step_arguments::<TargetArguments>().to;
    Ok(match run.options.environment {
        _ if to.is_some() => to,
        Some(environment) if is_declared(run, environment) => Some(environment.name().to_owned()),
        Some(Environment::Production) => bail!(
            "release.toml has no [registry.production], which `ci release` publishes to\n    \
             fix: declare it, or name a registry with --to"
        ),
        Some(Environment::Staging) | None => None,
    })
}

/// The registries of the environments that `release.toml` declares, or the one that `--to` names; by name. An
/// environment in `--to` that is not declared has none: workflows name each.
///
/// # Errors
/// As [`target`].
pub fn of_environments(run: &Run, environments: &[Environment]) -> Result<Vec<(String, Target)>> {
    let names = match run.options.step_arguments::<TargetArguments>().to {
        Some(name) if !Environment::ALL.iter().any(|it| it.name() == name) => vec![name],
        to => Environment::ALL
            .into_iter()
            .filter(|it| to.as_ref().map_or(environments.contains(it), |to| it.name() == to))
            .filter(|it| is_declared(run, *it))
            .map(|it| it.name().to_owned())
            .collect(),
    };
    names.into_iter().map(|name| Ok((name.clone(), target(run, &name)?))).collect()
}

fn is_declared(run: &Run, environment: Environment) -> bool {
    run.workspace.product().registries.get(environment.name()).is_some()
}

/// Whether the command is about the local registry.
pub fn is_local(run: &Run) -> bool {
    matches!(find_target(run), Ok(None))
}

/// The registry `name`: one of `[registry.NAME]`, or `HOST[:PORT][/PREFIX]`.
///
/// # Errors
/// When it is neither, or its CA or auth file is missing.
pub fn target(run: &Run, name: &str) -> Result<Target> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let registries = &run.workspace.product().registries;
    find(registries, run.workspace.root(), name, |name| variable(name).map(PathBuf::from))
        .with_context(|| format!("the registry {name:?}"))
}

fn find(
    registries: &Registries,
    root: &Path,
    name: &str,
    variable: impl Fn(&str) -> Option<PathBuf>,
) -> Result<Target> {
    let Some(entry) = registries.get(name) else {
        // As in an image reference, a host has a dot or a port, so a misspelt name is no host.
        let host = name.split_once("://").map_or(name, |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default();
        let names: Vec<_> = registries.names().collect();
        ensure!(
            host == "localhost" || host.contains(['.', ':']),
            "there is no [registry.{name}] in release.toml (it has {}); in an address, HOST[:PORT][/PREFIX], HOST has \
             a dot unless there is a port",
            if names.is_empty() { "none".to_owned() } else { names.join(", ") },
        );
        return Ok(Target { namespace: name.parse()?, ca: None, auth: None });
    };
    let auth = match &entry.auth {
        None => None,
        Some(AuthFile::File(path)) => Some(path.clone()),
        Some(AuthFile::Env(name)) => Some(variable(name).with_context(|| {
            format!(
                "the environment variable {name} is not set: set it to the path of an auth file, as \
                 `podman login --authfile` writes it"
            )
        })?),
    };
    let there = |path: &PathBuf| -> Result<PathBuf> {
        let path = root.join(path);
        // Without the CA file, programs would trust the system's certificates.
        ensure!(path.is_file(), "there is no file {}", path.display());
        Ok(path)
    };
    Ok(Target {
        namespace: entry.namespace(),
        ca: entry.ca.as_ref().map(there).transpose().context("ca")?,
        auth: auth.as_ref().map(there).transpose().context("auth")?,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn registries() -> Registries {
        toml::from_str(
            "[staging]\naddress = \"r.example/x\"\nca = \"ca.pem\"\nauth = { env = \"AUTH\" }\n\
             [open]\naddress = \"o.example\"",
        )
        .unwrap()
    }

    #[test]
    fn a_name_or_an_address_is_a_target() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ca.pem", "auth.json"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let find = |name: &str| {
            let auth = folder.path().join("auth.json");
            find(&registries(), folder.path(), name, |it| (it == "AUTH").then(|| auth.clone()))
        };
        let staging = find("staging").unwrap();
        assert_eq!(staging.namespace.to_string(), "r.example/x");
        let command = staging.add_access(Command::new("notary", "/"));
        let set: Vec<_> = command.env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(set, [CA_FILE, AUTH_FILE]);
        assert_eq!(staging.ca, Some(folder.path().join("ca.pem")));

        let address = find("r.example:5000/y").unwrap();
        assert_eq!(address.namespace.to_string(), "r.example:5000/y");
        assert_eq!((address.ca, address.auth), (None, None));
        assert_eq!(find("localhost/y").unwrap().namespace.to_string(), "localhost/y");
        assert!(!find("http://r.example/y").unwrap().namespace.is_tls());

        let error = find("stagign").unwrap_err().to_string();
        assert!(error.contains("it has open, staging"), "{error}");
        assert!(find("r.example/X").is_err());
    }

    #[test]
    fn what_an_entry_names_has_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let find = |auth: Option<&str>| {
            let error = find(&registries(), folder.path(), "staging", |_| auth.map(PathBuf::from));
            format!("{:#}", error.unwrap_err())
        };
        assert!(find(None).contains("the environment variable AUTH is not set"));
        assert!(find(Some("auth.json")).starts_with("ca: there is no file"));
        fs::write(folder.path().join("ca.pem"), "").unwrap();
        assert!(find(Some("auth.json")).starts_with("auth: there is no file"));
    }
}
