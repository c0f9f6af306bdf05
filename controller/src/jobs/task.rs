// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The task ISO of a job: the recipe and what belongs to it, signed, and the place from which the BMC
//! reads it.

use std::time::Duration;

use iso9660::task::TaskIso;
use recipe::controller::ControllerAccess;
use recipe::signature::{SigningKey, TaskManifest, Validity};
use recipe::{SchemaVersion, ShortText};

use super::bmc::Media;
use super::model::JobId;

/// What an ISO is made from.
#[derive(Debug, Clone)]
pub struct Order {
    /// The job.
    pub job: JobId,
    /// The machine that it is for.
    pub serial: String,
    /// The recipe as it was sent.
    pub recipe: Vec<u8>,
    /// `$id` of the schema that accepted it.
    pub schema_id: String,
    /// How the machine reports to this service; none where nothing is configured for it.
    pub access: Option<ControllerAccess>,
    /// Seconds since 1970 that every time in the image says: when the job was made, so that the image
    /// is the same however often it is built.
    pub epoch: u64,
    /// Seconds after that when a signed task expires.
    pub validity: u64,
}

/// Why there is no ISO. Never holds anything of the recipe.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The recipe was accepted by a version of this program that knew another schema.
    #[error("schema {0} is not known any more: make the job again")]
    Schema(String),
    /// The recipe does not pass any more.
    #[error("the recipe is not accepted any more: {0}")]
    Recipe(String),
    /// How the machine reports can't be written.
    #[error("the machine can't be told where to report: {0}")]
    Access(#[from] recipe::controller::ControllerError),
    /// The image can't be made or is too large.
    #[error(transparent)]
    Iso(#[from] iso9660::WriteError),
}

/// Where task ISOs are kept, and how BMCs get at them. Every call may block.
pub trait Publisher: Send + Sync + 'static {
    /// Keeps a job's ISO, whole or not at all.
    ///
    /// # Errors
    /// When the disk fails.
    fn put(&self, job: JobId, image: &[u8]) -> Result<(), PublishError>;

    /// Removes a job's ISO, where there is one.
    ///
    /// # Errors
    /// When the disk fails.
    fn remove(&self, job: JobId) -> Result<(), PublishError>;

    /// The URLs of the maintenance ISO and of a job's task ISO, good for at least `valid`.
    ///
    /// # Errors
    /// When there is no maintenance ISO, or no address under which BMCs reach this service.
    fn media(&self, job: JobId, valid: Duration) -> Result<Media, PublishError>;

    /// How the machine `serial` reports the end of a job, for its task ISO; none where the webhook has
    /// no secret.
    ///
    /// # Errors
    /// When there is no address under which machines reach this service.
    fn access(&self, job: JobId, serial: &str) -> Result<Option<ControllerAccess>, PublishError>;
}

/// An image can't be kept or found.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PublishError(pub String);

/// Builds the ISO.
///
/// # Errors
/// When the recipe can't be used any more, or the image is too large.
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

/// The label by which the machine finds the image.
pub fn volume_id(job: JobId) -> String {
    iso9660::task::volume_id(&job.to_string()).unwrap_or_default()
}
