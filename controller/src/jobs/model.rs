// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The words of a job: its states, its steps and its resets.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

pub use crate::words::WordError;
use crate::words::{text, words};

words! {
    /// Where a job stands.
    pub State, "a state of a job":
    /// Nobody has begun with it.
    Queued = "queued",
    /// The machine is being booted, or works.
    Provisioning = "provisioning",
    /// The machine said that it is done; clean-up follows.
    Succeeded = "succeeded",
    /// It went wrong or was cancelled; clean-up follows.
    Failed = "failed",
    /// Nothing more will happen.
    Complete = "complete",
}

words! {
    /// How a job ended.
    pub Outcome, "succeeded or failed":
    /// The machine said that it is done.
    Succeeded = "succeeded",
    /// It went wrong or was cancelled.
    Failed = "failed",
}

words! {
    /// What is known of a reset of the machine.
    pub Reset, "none, begun or done":
    /// It was not asked for.
    None = "none",
    /// It may have been asked for.
    Begun = "begun",
    /// The BMC took it.
    Done = "done",
}

words! {
    /// The part of a job that a budget of time is for.
    pub Phase, "boot, webhook or cleanup":
    /// Up to the reset into the maintenance OS.
    Boot = "boot",
    /// Until the machine reports.
    Webhook = "webhook",
    /// Ejecting the media and the last reset.
    Cleanup = "cleanup",
}

/// A part of a job that can fail, by the key that operators search for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// The recipe does not fit the schema.
    ValidationSchema,
    /// The server is not known, or not as it has to be.
    ValidationServer,
    /// The server has another active job.
    ConflictActiveJob,
    /// The task ISO.
    IsoBuild,
    /// Giving the task ISO to the BMC.
    IsoServe,
    /// Finding the system, its manager and its media.
    RedfishDiscover,
    /// Inserting the maintenance ISO.
    RedfishMountMaintenance,
    /// Inserting the task ISO.
    RedfishMountTask,
    /// Booting once from the CD.
    RedfishBootOverride,
    /// Resetting the machine.
    RedfishReset,
    /// Asking the BMC how far it is.
    RedfishPoll,
    /// A unit of the maintenance OS, such as `image-linux.service`.
    Workflow(String),
    /// Waiting for the machine's report.
    WebhookWait,
    /// Ejecting the media.
    CleanupUnmount,
    /// The reset at the end.
    CleanupReset,
}

impl Step {
    /// Those that have one name.
    pub const FIXED: &[Self] = &[
        Self::ValidationSchema,
        Self::ValidationServer,
        Self::ConflictActiveJob,
        Self::IsoBuild,
        Self::IsoServe,
        Self::RedfishDiscover,
        Self::RedfishMountMaintenance,
        Self::RedfishMountTask,
        Self::RedfishBootOverride,
        Self::RedfishReset,
        Self::RedfishPoll,
        Self::WebhookWait,
        Self::CleanupUnmount,
        Self::CleanupReset,
    ];

    /// The step of a unit of systemd, if `unit` can be the name of one (systemd.unit(5): 255 characters of
    /// ASCII letters, digits and `:-_.\@`).
    pub fn workflow(unit: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
        let valid = (1..=255).contains(&unit.len()) && unit.bytes().all(allowed);
        valid.then(|| Self::Workflow(unit.to_owned()))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ValidationSchema => "validation.schema",
            Self::ValidationServer => "validation.server",
            Self::ConflictActiveJob => "conflict.active_job",
            Self::IsoBuild => "iso.build",
            Self::IsoServe => "iso.serve",
            Self::RedfishDiscover => "redfish.discover",
            Self::RedfishMountMaintenance => "redfish.mount.maintenance",
            Self::RedfishMountTask => "redfish.mount.task",
            Self::RedfishBootOverride => "redfish.boot-override",
            Self::RedfishReset => "redfish.reset",
            Self::RedfishPoll => "redfish.poll",
            Self::Workflow(unit) => return write!(f, "workflow.{unit}"),
            Self::WebhookWait => "webhook.wait",
            Self::CleanupUnmount => "cleanup.unmount",
            Self::CleanupReset => "cleanup.reset",
        })
    }
}

impl FromStr for Step {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let expected = WordError("the key of a step");
        match text.strip_prefix("workflow.") {
            Some(unit) => Self::workflow(unit).ok_or(expected),
            None => Self::FIXED.iter().find(|it| it.to_string() == text).cloned().ok_or(expected),
        }
    }
}

text!(Step);

/// Names a job: a random UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobId(Uuid);

impl JobId {
    /// One that nobody has.
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
        // One form alone, so that no job has two addresses.
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
