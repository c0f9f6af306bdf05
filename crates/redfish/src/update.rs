// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Firmware updates by `SimpleUpdate` (DSP8010, `UpdateService`): the BMC pulls the image itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bmc::Bmc;
use crate::client::TaskEnd;
use crate::discover;
use crate::error::{Error, Result};

impl Bmc {
    /// Starts a firmware update with the image at the URL `image`, which the BMC pulls. Returns the
    /// monitor of its task for [`Self::follow_update`], if there is one.
    ///
    /// # Errors
    /// When the BMC has no such action, or refuses it.
    pub async fn start_update(&self, image: &str) -> Result<Option<String>> {
        let client = &*self.client;
        let missing = |what: &str| Error::Missing(what.to_owned());
        let service = discover::link(&self.found.root, "UpdateService")
            .ok_or_else(|| missing("the BMC has no update service"))?;
        let service = client.get(&service).await?.value;
        let action = service.pointer("/Actions/#UpdateService.SimpleUpdate");
        let target = action.and_then(|action| action.get("target")).and_then(Value::as_str);
        let target = target.ok_or_else(|| {
            missing(
                "the update service has no SimpleUpdate; its licence may not cover updates by URL",
            )
        })?;
        let mut body = json!({"ImageURI": image});
        match client.start(target, &body).await {
            Err(error) if error.refusal().is_some_and(|it| it.names("TransferProtocol")) => {
                let secure = image.starts_with("https:");
                body["TransferProtocol"] = json!(if secure { "HTTPS" } else { "HTTP" });
                client.start(target, &body).await
            }
            result => result,
        }
        .map_err(|error| error.redact(image))
    }

    /// Waits for the end of an update. A BMC that restarts on the way is waited for.
    ///
    /// # Errors
    /// When the task failed, or has not ended within `limit`.
    pub async fn follow_update(&self, monitor: &str, limit: Duration) -> Result<TaskEnd> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.client.follow_task("the update", monitor, left).await {
                Err(error) if error.is_transient() && Instant::now() < deadline => {
                    tracing::debug!(%error, "waiting for the BMC");
                    tokio::time::sleep(self.client.timing.poll).await;
                }
                result => return result,
            }
        }
    }
}
