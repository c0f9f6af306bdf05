// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Mounts the task ISO while it is read.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    mount::{MountFlags, UnmountFlags, mount, unmount},
};

use crate::{
    exit::{Exit, Failure, OrExit as _},
    log,
};

/// A mounted device, unmounted on drop so that the medium can be ejected.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// Mounts `device` on the folder `point`, which is created if missing.
    pub(crate) fn new(device: &Path, point: &Path) -> Result<Self, Failure> {
        let context = format!("cannot mount {} on {}", device.display(), point.display());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(point)
            .or_exit(Exit::Mount, &context)?;
        // The medium is untrusted: nothing on it may run or act as a device.
        let flags =
            MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        match mount(device, point, c"iso9660", flags, None) {
            Ok(()) => Ok(Self(point.to_owned())),
            Err(error @ (Errno::PERM | Errno::ACCESS)) => {
                Err(error).or_exit(Exit::Privileges, context)
            }
            Err(error) => Err(error).or_exit(Exit::Mount, context),
        }
    }

    /// Its mount point.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.0, UnmountFlags::DETACH) {
            log::warn(format_args!("unmounting {}: {error}", self.0.display()));
        }
    }
}
