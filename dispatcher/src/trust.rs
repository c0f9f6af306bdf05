// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Whether a controller that this image trusts gave this task to this machine.

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

/// What tasks are checked against.
pub(crate) struct Trust<'a> {
    policy: Policy,
    keys: &'a Path,
    serial: Option<&'a ShortText>,
}

impl<'a> Trust<'a> {
    /// Without a policy, signatures are enforced where the image has the file `keys`.
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

    /// Checks the signature of `task`, whose medium has this label. The answer is what is signed, where
    /// the signature is good.
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

    /// Ends the task, or warns, as the policy says.
    fn refuse(&self, error: anyhow::Error) -> Result<(), Failure> {
        match self.policy {
            Policy::Enforce => Err(error).or_exit(Exit::Invalid, "the task is refused"),
            Policy::Warn | Policy::Off => {
                log::warning(format_args!("{error:#}"));
                Ok(())
            }
        }
    }

    /// What is signed, if a known key signed it for this host and these files.
    fn verify(&self, label: Option<&str>, task: &Task) -> anyhow::Result<TaskManifest> {
        let keys = self.keys;
        let pem =
            fs::read_to_string(keys).with_context(|| format!("reading {}", keys.display()))?;
        let keys = PublicKeys::from_pem(&pem).with_context(|| keys.display().to_string())?;
        let Some(signature) = task.signature() else {
            bail!("{} is missing", iso9660::task::SIGNATURE);
        };
        let manifest = TaskManifest::verify(signature, &keys)?;
        let serial =
            self.serial.context("this host has no serial number that the task could be for")?;
        manifest.check(serial, task.signed_files())?;
        let expected = iso9660::task::volume_id(manifest.job.as_str())?;
        if let Some(label) = label {
            ensure!(label == expected, "it is signed as {expected} and has the label {label}");
        }
        Ok(manifest)
    }
}
