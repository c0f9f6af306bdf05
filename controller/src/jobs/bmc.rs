// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! BMC operations of jobs and users, as a trait that hides Redfish from their runners.
//!
//! Every operation may be repeated after a failure, or after the controller was killed during it.
//! So each checks the state first and changes only what differs. Resets cannot be checked this way;
//! see [`ResetAttempt`].

use std::pin::Pin;

use super::model::Step;
use crate::operations::request::{Kind, OperationResult};
pub use crate::secret::Secret;

/// Address and credentials of a server's BMC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Serial number of the host.
    pub serial: String,
    /// `http://` or `https://` URL with optional port and path, without user information.
    pub bmc_url: String,
    /// BMC user.
    pub username: String,
    /// BMC password.
    pub password: Secret,
    /// Name of the vendor profile; None: detected.
    pub profile: Option<String>,
    /// Verification of the BMC's certificate.
    pub tls: TlsPolicy,
}

/// How the TLS certificate of a BMC is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "verify", rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum TlsPolicy {
    /// With the CA certificates of the controller's system.
    #[default]
    System,
    /// With these CA certificates only.
    Ca {
        /// CA certificates in PEM.
        certificates: String,
    },
    /// With the digest of this certificate, whatever its issuer and names.
    Pin {
        /// SHA-256 of the certificate in DER.
        #[cfg_attr(test, schemars(regex(pattern = "^[0-9a-f]{64}$")))]
        sha256: String,
    },
    /// Not at all: anyone with access to the BMC network can read the password.
    Off,
}

/// URLs of a job's virtual media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// URL of the maintenance ISO.
    pub maintenance: Secret,
    /// URL of the job's task ISO.
    pub task: Secret,
    /// URL of the combined image, for BMCs that accept one medium.
    pub combined: Secret,
}

/// Whether a reset may have happened already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetAttempt {
    /// Not requested before.
    First,
    /// Requested before, with unknown result. Reset the host only if it provably was not reset yet;
    /// otherwise return `Ok` without a reset.
    Again,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {message}")]
pub struct Failure {
    /// Failed step.
    pub step: Step,
    /// Description without secrets: it is stored, logged and returned by the API.
    pub message: String,
    /// Whether to retry.
    pub retry: Retry,
}

/// Whether to retry a failed operation. The runner retries until the time budget of the phase is
/// spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Permanent failure.
    Never,
    /// The BMC rejects the credentials. BMCs lock accounts after a few failures: the job must not
    /// log in again, not even to clean up.
    Denied,
    /// Transient failure without effect: no route, connection refused, 503.
    Later,
    /// Transient failure with unknown effect, such as a connection that broke after the request was
    /// sent. A reset is retried as [`ResetAttempt::Again`].
    Unsure,
}

/// Sink for progress messages of an operation. They are stored as events of the job.
pub trait EventSink: Send + Sync {
    /// Reports a message, which must not contain secrets.
    fn record(&self, step: &Step, message: String);
}

/// Future of an operation. It may be dropped at any time.
pub type StepFuture<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// An operation on a host's BMC.
#[derive(Debug, Clone, Copy)]
pub enum Operation<'a> {
    /// Selects the slots and inserts both media. `redfish.discover`, `redfish.mount.…`.
    Mount(&'a Media),
    /// Sets a one-time boot from CD. `redfish.boot-override`.
    BootOnce,
    /// Resets the host, or powers it on if it is off. `redfish.reset`.
    Reset(ResetAttempt),
    /// Powers the host off before its media, which contain its root, are ejected.
    /// `cleanup.power-off`.
    PowerOff,
    /// Ejects both media and removes an unused boot override. `cleanup.unmount`.
    Unmount,
    /// Resets the host at the end, so that it boots from its disk. `cleanup.reset`.
    Restart(ResetAttempt),
}

impl Operation<'_> {
    /// The step of the job in which it starts.
    pub fn step(self) -> Step {
        match self {
            Self::Mount(_) => Step::RedfishDiscover,
            Self::BootOnce => Step::RedfishBootOverride,
            Self::Reset(_) => Step::RedfishReset,
            Self::PowerOff => Step::CleanupPowerOff,
            Self::Unmount => Step::CleanupUnmount,
            Self::Restart(_) => Step::CleanupReset,
        }
    }

    /// The same after an attempt with unknown effect.
    #[must_use]
    pub fn repeat(self) -> Self {
        match self {
            Self::Reset(_) => Self::Reset(ResetAttempt::Again),
            Self::Restart(_) => Self::Restart(ResetAttempt::Again),
            Self::Mount(_) | Self::BootOnce | Self::PowerOff | Self::Unmount => self,
        }
    }
}

/// Future of an operation that a user requests. Its error is a message without secrets.
pub type OperationFuture<'a> =
    Pin<Box<dyn Future<Output = Result<OperationResult, String>> + Send + 'a>>;

/// Future of the start of a firmware update.
pub type Started<'a> = Pin<Box<dyn Future<Output = Result<Option<String>, String>> + Send + 'a>>;

/// BMC operations for all servers.
pub trait Bmc: Send + Sync + 'static {
    /// Returns the names of the vendor profiles.
    fn profiles(&self) -> Vec<&'static str>;

    /// Executes an operation that a user requested. It is not repeated.
    fn operate<'a>(&'a self, target: &'a Target, kind: Kind) -> OperationFuture<'a>;

    /// Starts a firmware update with the image at this URL. Returns the task monitor of the BMC for
    /// [`follow_update`](Self::follow_update), if it has one.
    fn start_update<'a>(&'a self, target: &'a Target, image: &'a Secret) -> Started<'a>;

    /// Waits for the end of a firmware update.
    fn follow_update<'a>(&'a self, target: &'a Target, monitor: &'a str) -> OperationFuture<'a>;

    /// Executes `operation` on the host of `target`.
    fn call<'a>(
        &'a self,
        operation: Operation<'a>,
        target: &'a Target,
        events: &'a dyn EventSink,
    ) -> StepFuture<'a>;
}
