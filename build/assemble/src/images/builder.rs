// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The programs that carry out a Containerfile, each in a store of its own.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use foundation::command::Command;
use release::Architecture;

pub(super) use engine::workspace::ImageEngine as Builder;

/// One image to be built.
#[derive(Debug)]
pub(super) struct Job {
    /// Where everything happens.
    pub(super) folder: PathBuf,
    /// The layout of the base.
    pub(super) base: PathBuf,
    /// What the image is for.
    pub(super) architecture: Architecture,
    /// Arguments of the Containerfile.
    pub(super) arguments: BTreeMap<&'static str, String>,
    /// Labels of the image, beside those of the base and of the Containerfile.
    pub(super) labels: BTreeMap<&'static str, String>,
    /// The time of every file, in seconds.
    pub(super) epoch: u64,
}

/// A link in [`Job::folder`] to the layout of the base. The builder makes an image name of what follows
/// `oci:`, and such a name has no upper-case letters, which a path may have.
const BASE: &str = "base";

/// What the image is called in the builder's store, and nowhere else.
const NAME: &str = "localhost/image";

/// The folder in [`Job::folder`] that the image is saved in.
const SAVED: &str = "saved";

/// What each program is called with.
pub(super) trait Build: Copy {
    /// Its executable.
    fn program(self) -> &'static str;

    /// The commands that build the image and save it as a layout in [`Job::saved`].
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
            // The second path is relative, because podman takes no more than 50 characters of it.
            Command::new(self.program(), &job.folder)
                .arg("--root")
                .arg(job.store().join("root"))
                .args(["--runroot", "store/run"])
        };
        // No container is started: the commands of the Containerfile run in a changed root, so that
        // the build works where cgroups and networks of containers can't be set up. Such a root has the
        // host's network, and the Containerfile has no use for any.
        let build = start()
            .args(["build", "--isolation", "chroot", "--network", "host"])
            // podman 5 asks for a million open files otherwise, which only CAP_SYS_RESOURCE may raise.
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
        let save = start();
        let save = match self {
            Self::Podman => {
                save.args(["save", "--format", "oci-dir", "--output"]).arg(job.saved()).arg(NAME)
            }
            Self::Buildah => save.args(["push", NAME, &format!("oci:{SAVED}:image")]),
        };
        [build, save]
    }
}

impl Job {
    /// Creates the link that the commands name the base by.
    ///
    /// # Errors
    /// When the folder has one already, or cannot be written.
    pub(super) fn link_base(&self) -> Result<()> {
        let link = self.folder.join(BASE);
        symlink(&self.base, &link).with_context(|| format!("cannot create {}", link.display()))
    }

    /// The build context.
    pub(super) fn context(&self) -> PathBuf {
        self.folder.join("context")
    }

    /// The builder's own store.
    pub(super) fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// The layout that the builder saves.
    pub(super) fn saved(&self) -> PathBuf {
        self.folder.join(SAVED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_builders_are_told_the_same() {
        let job = Job {
            folder: "/w/images/x".into(),
            base: "/w/base/0".into(),
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
        assert!(save.ends_with("save --format oci-dir --output /w/images/x/saved localhost/image"));
        let [other, save] = lines(Builder::Buildah);
        assert_eq!(other, build);
        assert!(save.ends_with("push localhost/image oci:saved:image"));
    }
}
