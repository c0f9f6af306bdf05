// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! One BMC after its discovery. Its operations are in the modules `boot`, `inventory`, `media`,
//! `power` and `update`.

use std::ops::Deref;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::client::{Client, Endpoint};
use crate::discover::{self, Discovery, discover};
use crate::error::Result;
use crate::profile::Profile;
use crate::slot::Slot;
use crate::timing::Timing;

/// A BMC, its system and its slots. Its session is closed by [`Bmc::close`], or in the background
/// when it is dropped.
pub struct Bmc {
    pub(crate) client: Guard,
    pub(crate) found: Discovery,
    slots: Vec<Slot>,
}

/// Closes the session of a dropped client.
pub(crate) struct Guard(Arc<Client>);

impl Deref for Guard {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Ok(runtime) = Handle::try_current()
            && self.0.has_session()
        {
            let client = Arc::clone(&self.0);
            runtime.spawn(async move { client.close().await });
        }
    }
}

impl Bmc {
    /// Finds the system with this serial number behind the BMC, and slots for its media. `profile`
    /// overrides the detection.
    ///
    /// # Errors
    /// When the BMC cannot be reached, refuses the user, has no such system, or has no virtual CD.
    pub async fn connect(
        endpoint: &Endpoint,
        serial: &str,
        profile: Option<&'static Profile>,
        timing: Timing,
    ) -> Result<Self> {
        let mut bmc = Self::connect_system(endpoint, serial, profile, timing).await?;
        match discover::slots(&bmc.client, &bmc.found).await {
            Ok(slots) => {
                bmc.slots = slots;
                Ok(bmc)
            }
            Err(error) => {
                bmc.close().await;
                Err(error)
            }
        }
    }

    /// Same, without the virtual media: [`slots`](Self::slots) is empty.
    ///
    /// # Errors
    /// When the BMC cannot be reached, refuses the user, or has no such system.
    pub async fn connect_system(
        endpoint: &Endpoint,
        serial: &str,
        profile: Option<&'static Profile>,
        timing: Timing,
    ) -> Result<Self> {
        let client = Guard(Arc::new(Client::new(endpoint, timing)?));
        match discover(&client, serial, profile).await {
            Ok(found) => Ok(Self { client, found, slots: Vec::new() }),
            Err(error) => {
                client.close().await;
                Err(error)
            }
        }
    }

    /// The slots in order of preference; the first is a CD. A BMC may refuse an image in one of
    /// them, and accept it in the next.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The profile of the BMC.
    pub fn profile(&self) -> &'static Profile {
        self.found.profile
    }

    /// Closes the session. BMCs have few, and keep an unclosed one for half an hour.
    pub async fn close(self) {
        self.client.close().await;
    }
}
