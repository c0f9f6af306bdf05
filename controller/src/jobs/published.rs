// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Publishes task ISOs at signed URLs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use recipe::FormError;
use recipe::controller::{CaCertificates, ControllerAccess, ToolRegistry};

use super::bmc::{self, Secret};
use super::model::JobId;
use super::report_secret;
use super::task::{PublishError, Publisher};
use crate::config::JobsConfig;
use crate::media::{Image, Media, MediaError, NameError};

/// Signed URLs of the images.
pub struct Published {
    media: Arc<Media>,
    /// `http://HOST:PORT`, without a trailing slash.
    url: Option<String>,
    tool_registry: Option<ToolRegistry>,
    ca: Option<CaCertificates>,
    maintenance: String,
    /// Key from which job secrets are derived.
    webhook_secret: Option<Secret>,
}

impl Published {
    /// `webhook_secret` is the key of job secrets. Hosts trust the CA certificates in
    /// `ca`.
    pub fn new(
        media: Arc<Media>,
        config: &JobsConfig,
        webhook_secret: Option<Secret>,
        ca: Option<CaCertificates>,
    ) -> Self {
        Self {
            media,
            url: config.url.as_deref().map(|url| url.trim_end_matches('/').to_owned()),
            tool_registry: config.tool_registry.clone(),
            ca,
            maintenance: config.maintenance_iso.clone(),
            webhook_secret,
        }
    }

    /// Returns the registry of the tool images: the configured one, or this service.
    fn tools(&self) -> Result<ToolRegistry, PublishError> {
        if let Some(registry) = &self.tool_registry {
            return Ok(registry.clone());
        }
        let base = self.base()?;
        let host = base.split_once("://").map_or(base, |(_, host)| host);
        Ok(host.to_owned().try_into()?)
    }

    fn base(&self) -> Result<&str, PublishError> {
        let missing = "jobs.url is not configured: expected the URL of this service for BMCs";
        self.url.as_deref().ok_or_else(|| PublishError(missing.to_owned()))
    }

    fn url_of(&self, path: &str) -> Result<Secret, PublishError> {
        Ok(Secret::new(format!("{}{path}", self.base()?)))
    }
}

fn task(job: JobId) -> Result<Image, PublishError> {
    Ok(Image::task(&job.to_string())?)
}

impl From<MediaError> for PublishError {
    fn from(error: MediaError) -> Self {
        Self(error.to_string())
    }
}

impl From<NameError> for PublishError {
    fn from(error: NameError) -> Self {
        Self(error.to_string())
    }
}

impl From<FormError> for PublishError {
    fn from(error: FormError) -> Self {
        Self(error.to_string())
    }
}

impl Publisher for Published {
    fn put(&self, job: JobId, image: &[u8]) -> Result<(), PublishError> {
        Ok(self.media.put(&task(job)?, image)?)
    }

    fn remove(&self, job: JobId) -> Result<(), PublishError> {
        self.media.remove(&task(job)?)?;
        Ok(())
    }

    fn media(&self, job: JobId, valid: Duration) -> Result<bmc::Media, PublishError> {
        let expires = SystemTime::now() + valid;
        let maintenance = self.media.address(&Image::from_name(&self.maintenance)?, expires)?;
        let task = self.media.address(&task(job)?, expires)?;
        let combined = self.media.combined_address(&self.maintenance, &job.to_string(), expires)?;
        Ok(bmc::Media {
            maintenance: self.url_of(&maintenance)?,
            task: self.url_of(&task)?,
            combined: self.url_of(&combined)?,
        })
    }

    fn firmware(&self, name: &str, valid: Duration) -> Result<Secret, PublishError> {
        let expires = SystemTime::now() + valid;
        self.url_of(&self.media.address(&Image::firmware(name)?, expires)?)
    }

    fn access(&self, job: JobId, serial: &str) -> Result<Option<ControllerAccess>, PublishError> {
        let Some(secret) = &self.webhook_secret else { return Ok(None) };
        let serial = utf8_percent_encode(serial, NON_ALPHANUMERIC);
        let url = format!("{}/api/v1/status-webhook/{serial}", self.base()?);
        let job_id = job.to_string().parse();
        let secret_of_job = report_secret::derive(secret, job)
            .ok_or_else(|| PublishError("webhook.secrets: HMAC refuses the key".to_owned()))?;
        Ok(Some(ControllerAccess {
            webhook_url: url.try_into()?,
            webhook_secret: secret_of_job.expose().to_owned().try_into()?,
            job_id: job_id.map_err(|_| PublishError("the job id is not valid text".to_owned()))?,
            tool_registry: Some(self.tools()?),
            ca: self.ca.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_url_and_secret_are_in_the_access_data() {
        let folder = tempfile::tempdir().unwrap();
        let published = |secret: Option<&str>, registry: Option<&str>| {
            let media = Media::open(folder.path().to_owned()).unwrap();
            let config = JobsConfig {
                url: Some("https://controller.example:8443/".to_owned()),
                tool_registry: registry.map(|text| text.to_owned().try_into().unwrap()),
                ..JobsConfig::default()
            };
            Published::new(media, &config, secret.map(Secret::new), None)
        };
        let job: JobId = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6".parse().unwrap();
        assert_eq!(published(None, None).access(job, "S1").unwrap(), None);
        let access = published(Some("for-the-webhook"), None).access(job, "S 1").unwrap().unwrap();
        assert_eq!(
            String::from(access.webhook_url),
            "https://controller.example:8443/api/v1/status-webhook/S%201"
        );
        let secret = report_secret::derive(&Secret::new("for-the-webhook"), job).unwrap();
        assert_eq!(String::from(access.webhook_secret), secret.expose());
        assert_eq!(access.job_id.to_string(), job.to_string());
        let tools = access.tool_registry.map(String::from);
        assert_eq!(tools.as_deref(), Some("controller.example:8443"));
        let other = published(Some("for-the-webhook"), Some("registry.example/lab"));
        let access = other.access(job, "S1").unwrap().unwrap();
        let tools = access.tool_registry.map(String::from);
        assert_eq!(tools.as_deref(), Some("registry.example/lab"));
    }
}
