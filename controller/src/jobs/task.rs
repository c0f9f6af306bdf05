// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds the signed task ISO of a job, and defines how it is published.

use std::time::Duration;

use iso9660::task::TaskIso;
use recipe::controller::ControllerAccess;
use recipe::network::Network;
use recipe::signature::{SigningKey, TaskManifest, Validity};
use recipe::{SchemaVersion, ShortText};

use super::bmc::{Media, Secret};
use super::model::JobId;

/// Input of a task ISO.
#[derive(Debug, Clone)]
pub struct Order {
    /// The job.
    pub job: JobId,
    /// Serial number of the host.
    pub serial: String,
    /// The recipe as received.
    pub recipe: Vec<u8>,
    /// `$id` of the schema that validated it.
    pub schema_id: String,
    /// How the host reports to this service; None: not configured.
    pub access: Option<ControllerAccess>,
    /// Network of the host; None: DHCP.
    pub network: Option<Network>,
    /// Time of all files in the image, in seconds since 1970: the job's creation, so that builds
    /// are reproducible.
    pub epoch: u64,
    /// Validity of a signed task after `epoch`, in seconds.
    pub validity: u64,
}

/// Why a task ISO was not built. Contains nothing of the recipe.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The schema of the recipe is not supported by this version.
    #[error("schema {0} is no longer supported: create the job again")]
    Schema(String),
    /// The recipe is not valid in this version.
    #[error("the recipe is no longer valid: {0}")]
    Recipe(String),
    /// The controller's access data cannot be encoded.
    #[error("cannot encode the report settings: {0}")]
    Access(#[from] recipe::controller::ControllerError),
    /// The network cannot be encoded.
    #[error("the network of the host: {0}")]
    Network(#[from] recipe::network::NetworkError),
    /// The image cannot be built, or is too large.
    #[error(transparent)]
    Iso(#[from] iso9660::WriteError),
}

/// Storage and URLs of task ISOs. Every call may block.
pub trait Publisher: Send + Sync + 'static {
    /// Stores a job's ISO atomically.
    fn put(&self, job: JobId, image: &[u8]) -> Result<(), PublishError>;

    /// Removes a job's ISO, if it exists.
    fn remove(&self, job: JobId) -> Result<(), PublishError>;

    /// Returns the URLs of the maintenance ISO and of a job's task ISO, valid for at least `valid`.
    ///
    /// # Errors
    /// If there is no maintenance ISO, or no URL for BMCs is configured.
    fn media(&self, job: JobId, valid: Duration) -> Result<Media, PublishError>;

    /// Returns the URL of a firmware image, valid for at least `valid`.
    ///
    /// # Errors
    /// If there is no such image, or no URL for BMCs is configured.
    fn firmware(&self, name: &str, valid: Duration) -> Result<Secret, PublishError>;

    /// Returns how host `serial` reports the end of a job; None if the webhook has no secret.
    ///
    /// # Errors
    /// If no URL for hosts is configured.
    fn access(&self, job: JobId, serial: &str) -> Result<Option<ControllerAccess>, PublishError>;
}

/// An image cannot be stored or found.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PublishError(pub String);

/// Builds a task ISO.
///
/// # Errors
/// If the recipe is not valid in this version, or the image is too large.
pub fn build(order: &Order, key: Option<&SigningKey>) -> Result<Vec<u8>, TaskError> {
    let schema = SchemaVersion::by_id(&order.schema_id)
        .ok_or_else(|| TaskError::Schema(order.schema_id.clone()))?;
    let refused = |e: &dyn std::fmt::Display| TaskError::Recipe(e.to_string());
    let validated =
        recipe::validate_against(schema, &order.recipe).map_err(|e| refused(&e.message))?;
    let contents = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
    let recipe = &validated.recipe;
    let mut iso = TaskIso {
        job_id: order.job.to_string(),
        epoch: order.epoch,
        recipe: order.recipe.clone(),
        schema: schema.text.as_bytes().to_vec(),
        user_data: contents(recipe.user_data.as_ref().map(recipe::UserData::expose)),
        unattend_xml: contents(recipe.unattend_xml.as_ref().map(recipe::UnattendXml::expose)),
        ks_cfg: contents(recipe.ks_cfg.as_ref().map(recipe::KsCfg::expose)),
        controller: order.access.as_ref().map(ControllerAccess::to_json).transpose()?,
        network: order.network.as_ref().map(Network::to_json).transpose()?,
        signature: None,
    };
    if let Some(key) = key {
        let text = |text: &str| text.parse::<ShortText>().map_err(|e| refused(&e));
        let validity =
            Validity { created: order.epoch, expires: order.epoch.saturating_add(order.validity) };
        let (job, server) = (text(&iso.job_id)?, text(&order.serial)?);
        let manifest = TaskManifest::new(job, server, validity, iso.files());
        iso.signature = Some(manifest.sign(key).into_bytes());
    }
    Ok(iso.to_bytes()?)
}

/// Returns the volume id by which the host finds the image.
pub fn volume_id(job: JobId) -> String {
    iso9660::task::volume_id(&job.to_string()).unwrap_or_default()
}
