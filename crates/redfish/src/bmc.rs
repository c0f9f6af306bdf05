// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! One BMC, found out about once and then used.

use std::ops::Deref;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::boot;
use crate::client::{Client, Endpoint};
use crate::discover::{Found, discover};
use crate::error::Error;
use crate::media;
use crate::power::{self, Power, Restart, Snapshot};
use crate::profile::Profile;
use crate::slot::{Plan, Slot};
use crate::timing::Timing;

/// A BMC, its system and its slots. Its session ends with it: at [`Bmc::close`], or in the
/// background where a call was broken off and it is dropped.
pub struct Bmc {
    client: Guard,
    found: Found,
}

/// Ends the session of a client that nobody uses any more.
struct Guard(Arc<Client>);

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
    /// Finds the system with this serial number behind the BMC, and slots for its media.
    /// `profile` is what the operator says that the BMC is; without, it tells itself.
    ///
    /// # Errors
    /// When the BMC can't be reached, refuses the user, is another machine's, or has no virtual
    /// CD.
    pub async fn connect(
        endpoint: &Endpoint,
        serial: &str,
        profile: Option<&'static Profile>,
        timing: Timing,
    ) -> Result<Self, Error> {
        let client = Guard(Arc::new(Client::new(endpoint, timing)?));
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
