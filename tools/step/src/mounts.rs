// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Mounts that are undone in reverse order, whether a step succeeds, fails or panics.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

/// The file systems that this step has mounted, oldest first.
#[derive(Default)]
pub(crate) struct Mounts(Vec<PathBuf>);

impl Mounts {
    /// Mounts `source` at `target`, which is made if it is not there.
    pub(crate) fn mount(
        &mut self,
        source: &str,
        target: &Path,
        fstype: &str,
        read_only: bool,
    ) -> Result<()> {
        prepare(target)?;
        let flags = if read_only { MountFlags::RDONLY } else { MountFlags::empty() };
        mount(source, target, fstype, flags, None)
            .with_context(|| format!("cannot mount {source} ({fstype}) at {}", target.display()))?;
        self.0.push(target.to_owned());
        Ok(())
    }

    /// Shows the folder `source` at `target` too.
    pub(crate) fn bind(&mut self, source: &Path, target: &Path) -> Result<()> {
        prepare(target)?;
        mount_bind(source, target)
            .with_context(|| format!("cannot bind {} at {}", source.display(), target.display()))?;
        self.0.push(target.to_owned());
        Ok(())
    }

    /// Unmounts `target`, which must be the newest mount: anything else is a fault of the plan.
    pub(crate) fn unmount(&mut self, target: &Path) -> Result<()> {
        if self.0.last().map(PathBuf::as_path) != Some(target) {
            bail!("the plan unmounts {} which is not the newest mount", target.display());
        }
        unmount(target, UnmountFlags::empty())
            .with_context(|| format!("cannot unmount {}", target.display()))?;
        self.0.pop();
        Ok(())
    }
}

fn prepare(target: &Path) -> Result<()> {
    fs::create_dir_all(target).with_context(|| format!("cannot make {}", target.display()))
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for target in self.0.drain(..).rev() {
            // A program that the step started may still hold the mount; detaching takes it out of
            // sight now, and the kernel lets go of the device when that program ends.
            let result = unmount(&target, UnmountFlags::empty())
                .or_else(|_| unmount(&target, UnmountFlags::DETACH));
            match result {
                Ok(()) => eprintln!("clean-up: unmounted {}", target.display()),
                Err(error) => eprintln!("clean-up: cannot unmount {}: {error}", target.display()),
            }
        }
    }
}
