// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The file tree of the installed system, mounted below one folder.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::action::Action;
use crate::volumes::{Role, Volume};

/// Volumes of a file tree, and its mount point during a step.
pub(crate) struct Root<'a> {
    path: PathBuf,
    top: &'a Volume,
    /// Mount points in the installed system, parents first.
    volumes: Vec<(&'static str, &'a Volume)>,
}

impl<'a> Root<'a> {
    /// The `volumes` that have a mount point, to be mounted below `WORK/root`.
    pub(crate) fn new(volumes: &'a [Volume], work: &Path) -> Result<Self> {
        let mut mounted: Vec<(&'static str, &Volume)> = volumes
            .iter()
            .filter_map(|volume| match volume.role {
                Role::Mounted(place) => Some((place, volume)),
                _ => None,
            })
            .collect();
        mounted.sort_by_key(|(place, _)| *place);
        // Of several volumes with one mount point, the first is used.
        mounted.dedup_by_key(|(place, _)| *place);
        let (_, top) = mounted.first().filter(|(place, _)| *place == "/").context(
            "partition_layout has no partition for a Linux root: format ext4, xfs or btrfs",
        )?;
        Ok(Self { path: work.join("root"), top, volumes: mounted })
    }

    /// Mount point of the tree.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Restricts the tree to the volumes for `places`.
    pub(crate) fn restrict_to(mut self, places: &[&str]) -> Self {
        self.volumes.retain(|(place, _)| places.contains(place));
        self
    }

    pub(crate) fn root(&self) -> &'a Volume {
        self.top
    }

    /// The volume that contains `/boot`, possibly the root.
    pub(crate) fn boot(&self) -> &'a Volume {
        let boot = self.volumes.iter().find(|(place, _)| *place == "/boot");
        boot.map_or(self.top, |(_, volume)| volume)
    }

    /// `place` of the installed system as a path on the host.
    pub(crate) fn inside(&self, place: &str) -> PathBuf {
        match place.trim_start_matches('/') {
            "" => self.path.clone(),
            below => self.path.join(below),
        }
    }

    /// Mount actions of all volumes, parents first, with their mount points.
    pub(crate) fn mounts(&self) -> impl Iterator<Item = (Action, PathBuf)> {
        self.volumes.iter().map(|(place, volume)| {
            let target = self.inside(place);
            let mount = Action::Mount {
                source: volume.device(),
                target: target.clone(),
                fstype: volume.partition.format.to_string(),
                read_only: false,
            };
            (mount, target)
        })
    }

    /// Unmount actions of all volumes, children first.
    pub(crate) fn unmount_actions(&self) -> impl Iterator<Item = Action> {
        self.volumes.iter().rev().map(|(place, _)| Action::Unmount { target: self.inside(place) })
    }
}
