// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What a job asks of a machine's BMC. The runner of jobs knows nothing else of it.
//!
//! Every call may come again, after a fault or after the controller was killed in the middle of it: each looks
//! first and changes only what is not as it should be. Resets can't be looked at so; see [`Attempt`].

use std::fmt;
use std::pin::Pin;

use super::model::Step;

/// A server as its BMC is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The machine's serial number.
    pub serial: String,
    /// `http://` or `https://`, host, and port and path where they are needed; no user or password.
    pub bmc_url: String,
    /// The user of the BMC.
    pub username: String,
    /// The user's password.
    pub password: Secret,
    /// Name of the vendor profile; None: found out.
    pub profile: Option<String>,
    /// How the BMC's certificate is checked.
    pub tls: TlsPolicy,
}

/// A text that no log and no answer shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// How the certificate of a BMC is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "verify", rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum TlsPolicy {
    /// By the CA certificates that the controller's system trusts.
    #[default]
    System,
    /// By these CA certificates alone.
    Ca {
        /// CA certificates in PEM.
        certificates: String,
    },
    /// It must be this one, whoever issued it and whatever it says.
    Pin {
        /// Of the certificate in DER.
        #[cfg_attr(test, schemars(regex(pattern = "^[0-9a-f]{64}$")))]
        sha256: String,
    },
    /// Not at all: whoever can reach the network of the BMCs can read the password.
    Off,
}

/// What the machine is booted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// URL of the maintenance ISO.
    pub maintenance: Secret,
    /// URL of the job's task ISO.
    pub task: Secret,
    /// URL of the maintenance ISO with the task ISO behind it, for BMCs that take one medium.
    pub combined: Secret,
}

/// Whether a reset may have happened already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It was never asked for.
    First,
    /// It was asked for, and nobody knows whether the BMC took it. The machine may be reset only if it
    /// can be shown that it was not reset yet; otherwise the call answers `Ok` and leaves it alone.
    Again,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {message}")]
pub struct Failure {
    /// The step that failed.
    pub step: Step,
    /// What was seen, without a secret: it is stored, logged and shown.
    pub message: String,
    /// Whether it may be otherwise in a while.
    pub retry: Retry,
}

/// What a failure says of another try. The runner tries until the budget of the phase is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again.
    Never,
    /// It may be otherwise in a while, and nothing happened: no route, refused, 503.
    Later,
    /// It may be otherwise in a while, and it is not known whether the BMC did it: a connection that
    /// broke after the request was sent. The next try of a reset is [`Attempt::Again`].
    Unsure,
}

/// What a call tells on its way, such as the slots that it chose. Kept as events of the job.
pub trait Story: Send + Sync {
    /// Tells one thing, without a secret.
    fn tell(&self, step: &Step, message: String);
}

/// The future of a call. It may be dropped at any time.
pub type Call<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// The BMCs of all servers.
pub trait Bmc: Send + Sync + 'static {
    /// Names of the vendor profiles that a server can be set to.
    fn profiles(&self) -> Vec<&'static str>;

    /// Finds the slots, and inserts both media. `redfish.discover`, `redfish.mount.…`.
    fn mount<'a>(&'a self, target: &'a Target, media: &'a Media, story: &'a dyn Story) -> Call<'a>;

    /// Has the machine boot once from the CD at its next start. `redfish.boot-override`.
    fn boot_once<'a>(&'a self, target: &'a Target, story: &'a dyn Story) -> Call<'a>;

    /// Resets the machine, or turns it on where it is off. `redfish.reset`.
    fn reset<'a>(&'a self, target: &'a Target, attempt: Attempt, story: &'a dyn Story) -> Call<'a>;

    /// Ejects both media and takes an override back that was not used. `cleanup.unmount`.
    fn unmount<'a>(&'a self, target: &'a Target, story: &'a dyn Story) -> Call<'a>;

    /// Resets the machine at the end, so that it starts from its disk. `cleanup.reset`.
    fn restart<'a>(
        &'a self,
        target: &'a Target,
        attempt: Attempt,
        story: &'a dyn Story,
    ) -> Call<'a>;
}
