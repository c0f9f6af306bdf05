// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks whether a trusted controller made this task for this host.

use std::{fs, io, path::Path, str::FromStr};

use anyhow::{Context as _, bail, ensure};
use recipe::{
    ShortText,
    signature::{PublicKeys, TaskManifest},
};

use crate::{
    exit::{Exit, Failure, OrExit as _},
    log,
    task::Task,
};

/// Signature policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Ignore the signature.
    Off,
    /// Warn about it, and continue.
    Warn,
    /// Refuse a task without a valid one.
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

/// Policy and keys for the check.
pub(crate) struct Trust<'a> {
    policy: Policy,
    keys: &'a Path,
    serial: Option<&'a ShortText>,
}

impl<'a> Trust<'a> {
    /// Without a policy, signatures are enforced if the image has the file `keys`.
    pub(crate) fn new(
        policy: Option<Policy>,
        keys: &'a Path,
        serial: Option<&'a ShortText>,
    ) -> Self {
        let is_missing = || {
            fs::symlink_metadata(keys).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        let policy =
            policy.unwrap_or_else(|| if is_missing() { Policy::Off } else { Policy::Enforce });
        if policy == Policy::Off {
            log::info("the signature is not checked");
        }
        Self { policy, keys, serial }
    }

    /// Checks the signature of `task`, whose medium has this label. Returns the signed content if
    /// the signature is valid.
    pub(crate) fn check(
        &self,
        label: Option<&str>,
        task: &Task,
    ) -> Result<Option<TaskManifest>, Failure> {
        if self.policy == Policy::Off {
            return Ok(None);
        }
        match self.verify(label, task) {
            Ok(manifest) => {
                log::info(format_args!("signed by a trusted controller as job {}", manifest.job));
                Ok(Some(manifest))
            }
            Err(error) => self.refuse(error).map(|()| None),
        }
    }

    /// Checks that a task is valid at `now`, in seconds since 1970.
    pub(crate) fn check_time(&self, manifest: &TaskManifest, now: u64) -> Result<(), Failure> {
        manifest.check_time(now).or_else(|error| {
            let clock = "fix: where this is a new task, set the clock of the host";
            self.refuse(anyhow::Error::new(error).context(clock))
        })
    }

    /// Refuses the task or warns, by the policy.
    fn refuse(&self, error: anyhow::Error) -> Result<(), Failure> {
        match self.policy {
            Policy::Enforce => Err(error).or_exit(Exit::Invalid, "the task is refused"),
            Policy::Warn | Policy::Off => {
                log::warn(format_args!("{error:#}"));
                Ok(())
            }
        }
    }

    /// The signed content, if a trusted key signed it for this host and these files.
    fn verify(&self, label: Option<&str>, task: &Task) -> anyhow::Result<TaskManifest> {
        let keys = self.keys;
        let pem =
            fs::read_to_string(keys).with_context(|| format!("cannot read {}", keys.display()))?;
        let keys = PublicKeys::from_pem(&pem).with_context(|| keys.display().to_string())?;
        let Some(signature) = task.signature() else {
            bail!("{} is missing", iso9660::task::SIGNATURE);
        };
        let manifest = TaskManifest::verify(signature, &keys)?;
        let serial =
            self.serial.context("this host has no serial number to compare with the task")?;
        manifest.check(serial, task.signed_files())?;
        let expected = iso9660::task::volume_id(manifest.job.as_str())?;
        if let Some(label) = label {
            ensure!(label == expected, "it is signed as {expected} and has the label {label}");
        }
        Ok(manifest)
    }
}
