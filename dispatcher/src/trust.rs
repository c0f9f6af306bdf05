// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Whether a controller that this image trusts gave this task to this machine.

use std::{fs, io, path::Path, str::FromStr};

use anyhow::{Context as _, bail};
use recipe::{
    ShortText,
    signature::{PublicKeys, TaskManifest},
};

use crate::{
    exit::{Exit, Failure, OrExit as _},
    log,
    task::Task,
};

/// What to do about the signature of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Don't look at it.
    Off,
    /// Say what is wrong with it, and go on.
    Warn,
    /// Refuse a task without a good one.
    Enforce,
}

impl FromStr for Policy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "warn" => Ok(Self::Warn),
            "enforce" => Ok(Self::Enforce),
            _ => Err("expected off, warn or enforce"),
        }
    }
}

/// Checks the signature of `task`, and answers what it says where it is good. Without a policy it is
/// enforced where the image has the file `keys`.
pub(crate) fn check(
    policy: Option<Policy>,
    keys: &Path,
    serial: Option<&ShortText>,
    task: &Task,
) -> Result<Option<TaskManifest>, Failure> {
    let policy = match policy {
        Some(policy) => policy,
        None if fs::symlink_metadata(keys).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) => {
            Policy::Off
        }
        None => Policy::Enforce,
    };
    if policy == Policy::Off {
        log::info("the signature is not checked");
        return Ok(None);
    }
    match verify(keys, serial, task) {
        Ok(manifest) => {
            log::info(format_args!("signed by a trusted controller as job {}", manifest.job));
            Ok(Some(manifest))
        }
        Err(error) if policy == Policy::Warn => {
            log::warning(format_args!("{error:#}"));
            Ok(None)
        }
        error => error.map(Some).or_exit(Exit::Invalid, "the task is refused"),
    }
}

/// The signature's lines, if a known key made it for this machine and these files.
fn verify(keys: &Path, serial: Option<&ShortText>, task: &Task) -> anyhow::Result<TaskManifest> {
    let pem = fs::read_to_string(keys).with_context(|| format!("reading {}", keys.display()))?;
    let keys = PublicKeys::from_pem(&pem).with_context(|| keys.display().to_string())?;
    let Some(signature) = task.signature() else {
        bail!("{} is missing", iso9660::task::SIGNATURE);
    };
    let manifest = TaskManifest::verify(signature, &keys)?;
    let serial = serial.context("this machine has no serial number that the task could be for")?;
    manifest.check(serial, task.signed_files())?;
    Ok(manifest)
}
