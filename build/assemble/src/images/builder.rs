// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builders of Containerfiles, each with a separate store.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use foundation::command::Command;
use release::Architecture;

pub(super) use engine::workspace::ImageEngine as Builder;

/// An image build.
#[derive(Debug)]
pub(super) struct Job {
    /// Working directory.
    pub(super) folder: PathBuf,
    pub(super) architecture: Architecture,
    /// Build arguments.
    pub(super) arguments: BTreeMap<&'static str, String>,
    /// Labels, in addition to those of the base and the Containerfile.
    pub(super) labels: BTreeMap<&'static str, String>,
    /// Timestamp of all files, in seconds.
    pub(super) epoch: u64,
}

/// Link in [`Job::folder`] to the layout of the base. The builder derives an image name from the
/// path after `oci:`, and image names must not contain upper-case letters.
const BASE: &str = "base";

/// Temporary image name in the builder's store.
const NAME: &str = "localhost/image";

/// Folder in [`Job::folder`] for the saved image.
const SAVED: &str = "saved";

/// Command lines of the builders.
pub(super) trait Build: Copy {
    fn program(self) -> &'static str;

    /// The commands that build the image and save it as a layout in [`Job::layout_folder`].
    fn commands(self, job: &Job) -> [Command; 2];
}

impl Build for Builder {
    fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Buildah => "buildah",
        }
    }

    fn commands(self, job: &Job) -> [Command; 2] {
        let start = || {
            // Relative, because podman limits this path to 50 characters.
            Command::new(self.program(), &job.folder)
                .arg("--root")
                .arg(job.store().join("root"))
                .args(["--runroot", "store/run"])
        };
        // Runs the Containerfile's commands in a chroot instead of a container, so that the build
        // works where cgroups and container networks cannot be set up. A chroot has the host's
        // network; the Containerfile uses none.
        let build = start()
            .args(["build", "--isolation", "chroot", "--network", "host"])
            // podman 5 defaults to a million open files, which requires CAP_SYS_RESOURCE.
            .args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"])
            .args(["--layers=false", "--no-cache", "--format", "oci"])
            .args(["--os", "linux", "--arch", job.architecture.oci()])
            .arg("--timestamp")
            .arg(job.epoch.to_string())
            .args(["--build-arg", &format!("BASE=oci:{BASE}")]);
        let arguments = job.arguments.iter().map(|pair| ("--build-arg", pair));
        let labels = job.labels.iter().map(|pair| ("--label", pair));
        let build = arguments
            .chain(labels)
            .fold(build, |command, (option, (name, value))| {
                command.arg(option).arg(format!("{name}={value}"))
            })
            .args(["--tag", NAME])
            .arg(job.context());
        // Uncompressed, because the layers are written again, with our own compression.
        let save = start();
        let save = match self {
            Self::Podman => save
                .args(["save", "--uncompressed", "--format", "oci-dir", "--output"])
                .arg(job.layout_folder())
                .arg(NAME),
            Self::Buildah => {
                save.args(["push", "--disable-compression", NAME, &format!("oci:{SAVED}:image")])
            }
        };
        [build, save]
    }
}

impl Job {
    /// Builds on the image in the layout folder `base`.
    pub(super) fn link_base(&self, base: &Path) -> Result<()> {
        let link = self.folder.join(BASE);
        symlink(base, &link).with_context(|| format!("cannot create {}", link.display()))
    }

    /// Folder of the build context.
    pub(super) fn context(&self) -> PathBuf {
        self.folder.join("context")
    }

    /// Folder of the builder's store.
    pub(super) fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// Folder of the saved layout.
    pub(super) fn layout_folder(&self) -> PathBuf {
        self.folder.join(SAVED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_builders_get_the_same_arguments() {
        let job = Job {
            folder: "/w/images/x".into(),
            architecture: Architecture::Arm64,
            arguments: BTreeMap::from([("VERSION", "1.2.3".to_owned())]),
            labels: BTreeMap::from([("org.x.title", "Config drive".to_owned())]),
            epoch: 7,
        };
        let lines = |builder: Builder| {
            let lines = builder.commands(&job).map(|command| command.line(&job.folder));
            lines.map(|line| line.replace(builder.program(), "BUILDER"))
        };
        let [build, save] = lines(Builder::Podman);
        assert_eq!(
            build,
            "BUILDER --root /w/images/x/store/root --runroot store/run build --isolation chroot \
             --network host --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 --layers=false --no-cache \
             --format oci --os linux --arch arm64 --timestamp 7 \
             --build-arg BASE=oci:base --build-arg VERSION=1.2.3 \
             --label 'org.x.title=Config drive' --tag localhost/image /w/images/x/context"
        );
        assert!(save.ends_with(
            "save --uncompressed --format oci-dir --output /w/images/x/saved localhost/image"
        ));
        let [other, save] = lines(Builder::Buildah);
        assert_eq!(other, build);
        assert!(save.ends_with("push --disable-compression localhost/image oci:saved:image"));
    }
}
