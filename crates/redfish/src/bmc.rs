// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! One BMC, found out about once and then used.

use crate::boot;
use crate::client::{Client, Endpoint};
use crate::discover::{Found, discover};
use crate::error::Error;
use crate::media;
use crate::power::{self, Power, Restart, Snapshot};
use crate::profile::Profile;
use crate::slot::{Plan, Slot};
use crate::timing::Timing;

/// A BMC, its system and its slots.
pub struct Bmc {
    client: Client,
    found: Found,
}

impl Bmc {
    /// Finds the system with this serial number behind the BMC, and slots for its media.
    /// `profile` is what the operator says that the BMC is; without, it tells itself.
    ///
    /// # Errors
    /// When the BMC can't be reached, refuses the user, is another machine's, or has no virtual
    /// CD. Its session is closed then.
    pub async fn connect(
        endpoint: &Endpoint,
        serial: &str,
        profile: Option<&'static Profile>,
        timing: Timing,
    ) -> Result<Self, Error> {
        let client = Client::new(endpoint, timing)?;
        match discover(&client, serial, profile).await {
            Ok(found) => Ok(Self { client, found }),
            Err(error) => {
                client.close().await;
                Err(error)
            }
        }
    }

    /// Which slots to use for what.
    pub fn plan(&self) -> &Plan {
        &self.found.plan
    }

    /// What kind of BMC it is.
    pub fn profile(&self) -> &'static Profile {
        self.found.profile
    }

    /// Puts the image at the URL `image` into the slot, in place of whatever it holds.
    ///
    /// # Errors
    /// When the BMC refuses it, or does not show it afterwards.
    pub async fn insert(&self, slot: &Slot, image: &str) -> Result<(), Error> {
        media::insert(&self.client, self.found.profile, slot, image).await
    }

    /// Empties the slot.
    ///
    /// # Errors
    /// When the BMC refuses it, or shows an image still.
    pub async fn eject(&self, slot: &Slot) -> Result<(), Error> {
        media::eject(&self.client, slot).await
    }

    /// Makes the next boot, and only that, one from the virtual CD.
    ///
    /// # Errors
    /// When the BMC refuses it, or does not show it afterwards.
    pub async fn boot_cd_once(&self) -> Result<(), Error> {
        boot::once(&self.client, self.found.profile, &self.found.system).await
    }

    /// Leaves the boot order to the machine again.
    ///
    /// # Errors
    /// When the BMC refuses it.
    pub async fn boot_normally(&self) -> Result<(), Error> {
        boot::clear(&self.client, self.found.profile, &self.found.system).await
    }

    /// The machine's power.
    ///
    /// # Errors
    /// When the BMC does not tell.
    pub async fn power(&self) -> Result<Power, Error> {
        power::power(&self.client, &self.found.system).await
    }

    /// What tells later whether the machine was restarted. Taken after [`Self::boot_cd_once`] and
    /// kept before [`Self::restart`] is called.
    ///
    /// # Errors
    /// When the BMC does not tell.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        power::snapshot(&self.client, &self.found.system).await
    }

    /// Restarts the machine, or powers it on, unless that was done since `before`. `resumed` says
    /// that it may have been: a call before this one ended without an answer.
    ///
    /// # Errors
    /// When the BMC refuses every way of it, or the machine is not seen to be on.
    pub async fn restart(&self, before: &Snapshot, resumed: bool) -> Result<Restart, Error> {
        power::restart(&self.client, &self.found.system, before, resumed).await
    }

    /// Ends the session. BMCs have few, and keep those that nobody ends for half an hour.
    pub async fn close(self) {
        self.client.close().await;
    }
}
