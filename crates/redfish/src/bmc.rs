// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! One BMC after its discovery.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::boot;
use crate::client::{Client, Endpoint, TaskEnd};
use crate::discover::{self, Discovery, discover};
use crate::error::Error;
use crate::inventory::{self, Inventory};
use crate::media;
use crate::power::{self, Power, Restart, Shutdown, Snapshot};
use crate::profile::Profile;
use crate::slot::Slot;
use crate::timing::Timing;
use crate::update;

/// A BMC, its system and its slots. Its session is closed by [`Bmc::close`], or in the background
/// when it is dropped.
pub struct Bmc {
    client: Guard,
    found: Discovery,
    slots: Vec<Slot>,
}

/// Closes the session of a dropped client.
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
    ) -> Result<Self, Error> {
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
    ) -> Result<Self, Error> {
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

    /// Inserts the image at the URL `image` into the slot, in place of any other.
    ///
    /// # Errors
    /// When the BMC refuses it, or does not show it afterwards.
    pub async fn insert(&self, slot: &Slot, image: &str) -> Result<(), Error> {
        media::insert(&self.client, self.found.profile, slot, image).await
    }

    /// Empties the slot.
    ///
    /// # Errors
    /// When the BMC refuses it, or still shows an image.
    pub async fn eject(&self, slot: &Slot) -> Result<(), Error> {
        media::eject(&self.client, slot).await
    }

    /// Sets the virtual CD as the source of the next boot only.
    ///
    /// # Errors
    /// When the BMC refuses it, or does not show it afterwards.
    pub async fn boot_cd_once(&self) -> Result<(), Error> {
        boot::set_once(&self.client, self.found.profile, &self.found.system).await
    }

    /// Restores the boot order of the host.
    ///
    /// # Errors
    /// When the BMC refuses it.
    pub async fn boot_normally(&self) -> Result<(), Error> {
        boot::clear(&self.client, self.found.profile, &self.found.system).await
    }

    /// Reads the power state.
    ///
    /// # Errors
    /// When the BMC does not report it.
    pub async fn power(&self) -> Result<Power, Error> {
        power::power(&self.client, &self.found.system).await
    }

    /// Powers the host off, gracefully if possible, unless it is off.
    ///
    /// # Errors
    /// When the BMC refuses every way, or the host is not seen off.
    pub async fn power_off(&self) -> Result<Shutdown, Error> {
        power::power_off(&self.client, &self.found.system).await
    }

    /// Powers the host on, unless it is on. Returns whether it was off.
    ///
    /// # Errors
    /// When the BMC refuses every way, or the host is not seen on.
    pub async fn power_on(&self) -> Result<bool, Error> {
        power::power_on(&self.client, &self.found.system).await
    }

    /// Powers the host off, gracefully if possible, and on.
    ///
    /// # Errors
    /// When the BMC refuses every way, or the host is not seen off and on.
    pub async fn power_cycle(&self) -> Result<Restart, Error> {
        power::cycle(&self.client, &self.found.system).await
    }

    /// Restarts the host by force, or powers it on.
    ///
    /// # Errors
    /// When the BMC refuses every way, or the host is not seen on.
    pub async fn reset(&self) -> Result<Restart, Error> {
        power::reset_by_force(&self.client, &self.found.system).await
    }

    /// Reads what the BMC lists of the host's hardware.
    ///
    /// # Errors
    /// When the BMC cannot be reached. What it does not list, or refuses to show, is no error.
    pub async fn inventory(&self) -> Result<Inventory, Error> {
        inventory::read(&self.client, &self.found).await
    }

    /// Starts a firmware update with the image at the URL `image`, which the BMC pulls. Returns the
    /// monitor of its task for [`Self::follow_update`], if there is one.
    ///
    /// # Errors
    /// When the BMC does not support it, or refuses the image.
    pub async fn start_update(&self, image: &str) -> Result<Option<String>, Error> {
        update::start(&self.client, &self.found.root, image).await
    }

    /// Waits for the end of an update, also across a restart of the BMC.
    ///
    /// # Errors
    /// When the update failed, or has not ended within `limit`.
    pub async fn follow_update(&self, monitor: &str, limit: Duration) -> Result<TaskEnd, Error> {
        update::follow(&self.client, monitor, limit).await
    }

    /// Reads what shows a restart later. Take it after [`Self::boot_cd_once`], and store it before
    /// [`Self::restart`] is called.
    ///
    /// # Errors
    /// When the BMC does not report it.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        power::snapshot(&self.client, &self.found.system).await
    }

    /// Restarts the host, or powers it on, unless that happened since `before`. `resumed` means
    /// that it may have: an earlier call ended without an answer.
    ///
    /// # Errors
    /// When the BMC refuses every way, or the host is not seen on.
    pub async fn restart(&self, before: &Snapshot, resumed: bool) -> Result<Restart, Error> {
        let Discovery { profile, system, .. } = &self.found;
        power::restart(&self.client, profile, system, before, resumed).await
    }

    /// Closes the session. BMCs have few, and keep an unclosed one for half an hour.
    pub async fn close(self) {
        self.client.close().await;
    }
}
