// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! States, steps and other enumerations of jobs.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

pub use crate::words::WordError;
use crate::words::{text, words};

words! {
    /// State of a job.
    pub State, "queued, provisioning, succeeded, failed or complete":
    /// Not started.
    Queued = "queued",
    /// The host is being booted or executes the recipe.
    Provisioning = "provisioning",
    /// The host reported success; clean-up follows.
    Succeeded = "succeeded",
    /// Failed or cancelled; clean-up follows.
    Failed = "failed",
    /// Clean-up is done.
    Complete = "complete",
}

words! {
    /// Outcome of a job.
    pub Outcome, "succeeded or failed":
    /// The host reported success.
    Succeeded = "succeeded",
    /// Failed or cancelled.
    Failed = "failed",
}

words! {
    /// Progress of a host reset.
    pub Reset, "none, begun or done":
    /// Not requested.
    None = "none",
    /// May have been requested.
    Begun = "begun",
    /// The BMC accepted it.
    Done = "done",
}

words! {
    /// Phase of a job with its own time budget.
    pub Phase, "boot, webhook or cleanup":
    /// Until the reset into the maintenance OS.
    Boot = "boot",
    /// Until the host reports.
    Webhook = "webhook",
    /// Ejecting the media and the final reset.
    Cleanup = "cleanup",
}

/// Defines [`Step`]: all steps but one, with their keys.
macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident = $key:literal,)*) => {
        /// A step of a job that can fail; its key appears in errors, logs and docs.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Step {
            $($(#[$doc])* $name,)*
            /// A unit of the maintenance OS, such as `image-linux.service`.
            Workflow(String),
        }

        impl Step {
            /// Every step except `Workflow`.
            pub const FIXED: &[Self] = &[$(Self::$name),*];
        }

        impl fmt::Display for Step {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => f.write_str($key),)*
                    Self::Workflow(unit) => write!(f, "workflow.{unit}"),
                }
            }
        }
    };
}

steps! {
    /// Validation of the recipe with the schema.
    ValidationSchema = "validation.schema",
    /// Lookup of the server and its credentials.
    ValidationServer = "validation.server",
    /// The server has another active job.
    ConflictActiveJob = "conflict.active_job",
    /// Building the task ISO.
    IsoBuild = "iso.build",
    /// Publishing the task ISO.
    IsoServe = "iso.serve",
    /// Discovery of system, manager and virtual media.
    RedfishDiscover = "redfish.discover",
    /// Inserting the maintenance ISO.
    RedfishMountMaintenance = "redfish.mount.maintenance",
    /// Inserting the task ISO.
    RedfishMountTask = "redfish.mount.task",
    /// Setting the one-time boot from CD.
    RedfishBootOverride = "redfish.boot-override",
    /// Resetting the host.
    RedfishReset = "redfish.reset",
    /// Polling the BMC.
    RedfishPoll = "redfish.poll",
    /// Waiting for the host's report.
    WebhookWait = "webhook.wait",
    /// Powering the host off before the media are ejected.
    CleanupPowerOff = "cleanup.power-off",
    /// Ejecting the media.
    CleanupUnmount = "cleanup.unmount",
    /// The final reset.
    CleanupReset = "cleanup.reset",
}

impl Step {
    /// Returns the step of a systemd unit if `unit` is a valid unit name (systemd.unit(5): 255
    /// ASCII letters, digits and `:-_.\@`).
    pub fn workflow(unit: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
        let valid = (1..=255).contains(&unit.len()) && unit.bytes().all(allowed);
        valid.then(|| Self::Workflow(unit.to_owned()))
    }

    /// Returns whether the step is part of clean-up.
    pub fn is_cleanup(&self) -> bool {
        matches!(self, Self::CleanupPowerOff | Self::CleanupUnmount | Self::CleanupReset)
    }
}

impl FromStr for Step {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let expected = WordError("a step key");
        match text.strip_prefix("workflow.") {
            Some(unit) => Self::workflow(unit).ok_or(expected),
            None => Self::FIXED.iter().find(|it| it.to_string() == text).cloned().ok_or(expected),
        }
    }
}

text!(Step);

/// Job id: a random UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobId(Uuid);

impl JobId {
    /// Generates a random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for JobId {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        // Only one spelling, so that a job has one URL.
        let id = Uuid::try_parse(text).map(Self).ok();
        id.filter(|id| id.to_string() == text).ok_or(WordError("a UUID in lower case"))
    }
}

text!(JobId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        let unit = Step::workflow("image-linux.service").unwrap();
        for step in Step::FIXED.iter().chain([&unit]) {
            assert_eq!(step.to_string().parse().as_ref(), Ok(step));
        }
        for bad in ["", "workflow.", "workflow.a b", "workflow", "redfish", "workflow.a\n"] {
            assert!(bad.parse::<Step>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_job_id_has_one_form() {
        let id = JobId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        let text = id.to_string();
        for bad in [text.to_uppercase(), text.replace('-', ""), format!("{{{text}}}")] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
    }
}
