// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Task ISOs among the images that are served at signed addresses.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::bmc::{self, Secret};
use super::model::JobId;
use super::task::{PublishError, Publisher};
use crate::media::{Image, Media, MediaError, NameError};

/// The images, and where BMCs reach them.
pub struct Published {
    media: Arc<Media>,
    /// `http://HOST:PORT`, without a slash at the end.
    url: Option<String>,
    maintenance: Image,
}

impl Published {
    /// `url` is this service as BMCs reach it, `maintenance` the ISO that they boot.
    pub fn new(media: Arc<Media>, url: Option<&str>, maintenance: Image) -> Self {
        let url = url.map(|url| url.trim_end_matches('/').to_owned());
        Self { media, url, maintenance }
    }

    fn url(&self, image: &Image, expires: SystemTime) -> Result<Secret, PublishError> {
        let missing = "jobs.url is not configured: the address under which BMCs reach this service";
        let url = self.url.as_ref().ok_or_else(|| PublishError(missing.to_owned()))?;
        let path = self.media.address(image, expires)?;
        Ok(Secret::new(format!("{url}{path}")))
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
        let maintenance = self.url(&self.maintenance, expires)?;
        Ok(bmc::Media { maintenance, task: self.url(&task(job)?, expires)? })
    }
}
