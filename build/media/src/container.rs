// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs programs of an image with the means that a host provides.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use foundation::command::Command;
use foundation::tree::remove;
use release::Architecture;
use rustix::mount::{UnmountFlags, unmount};

/// A way to run a program of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// `podman run`.
    Podman,
    /// `podman run` in its own cgroup hierarchy, where the host's is of a kind that podman does not
    /// support.
    PodmanOwnCgroups,
    /// `chroot` into the unpacked layers, where no container can be started.
    Chroot,
}

/// A command to run in an image.
#[derive(Debug, Default, Clone)]
pub struct Call<'a> {
    /// Program; `None`: the image's entry point.
    pub program: Option<&'a str>,
    /// Arguments; for the entry point, additional ones.
    pub arguments: Vec<&'a str>,
    /// Mounted host folders, and their mount points.
    pub folders: Vec<(&'a Path, &'a str)>,
    /// Run as `nobody` instead of the image's user.
    pub nobody: bool,
    /// Run with the host's devices and all privileges, for steps that write to disks.
    pub privileged: bool,
}

/// A loaded image.
#[derive(Debug)]
pub struct Container {
    /// Runner.
    pub runner: Runner,
    /// Absolute folder of its files.
    pub folder: PathBuf,
    /// Id in podman's store.
    pub id: String,
    /// Entry point, for `chroot`.
    pub entry_point: Vec<String>,
}

/// User and group of `nobody` in Debian.
const NOBODY: &str = "65534:65534";

/// Script for a separate mount namespace.
const OWN_CGROUPS: &str =
    r#"umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@""#;

/// Script for a separate mount namespace: root folder, user, `FROM:TO` for each folder, `--`,
/// program. Exits with 125 on its own failures, like podman. The root is a mount point, or podman
/// inside could not unpack layers.
const CHROOT: &str = r#"root=$1 user=$2; shift 2
mount --bind "$root" "$root" && mount --rbind /dev "$root/dev" && mount --rbind /sys "$root/sys" &&
    mount -t proc proc "$root/proc" || exit 125
while [ "$1" != -- ]; do
    mkdir -p "$root${1##*:}" && mount --bind "${1%:*}" "$root${1##*:}" || exit 125
    shift
done
shift
exec chroot --userspec="$user" "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@""#;

impl Runner {
    /// All runners, in order of preference.
    pub const ALL: [Self; 3] = [Self::Podman, Self::PodmanOwnCgroups, Self::Chroot];

    /// Name for output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::PodmanOwnCgroups => "podman with its own cgroups",
            Self::Chroot => "chroot",
        }
    }

    /// Loads the image for `architecture` of the layout `layout`, with its layers (tar.gz) in the
    /// files `layers`, into `folder`. The last output line of the last command is the image id, if
    /// it has one.
    pub fn load(
        self,
        folder: &Path,
        layout: &Path,
        layers: &[PathBuf],
        architecture: Architecture,
    ) -> Vec<Command> {
        if self != Self::Chroot {
            let mut source = OsString::from("oci:");
            source.push(layout);
            let pull = podman(folder).args([
                "pull",
                "--quiet",
                "--os",
                "linux",
                "--arch",
                architecture.oci(),
            ]);
            return vec![pull.arg(source)];
        }
        let root = folder.join("root");
        let unpack = |layer: &PathBuf| {
            Command::new("tar", folder)
                .args(["--extract", "--gzip", "--numeric-owner", "--same-permissions"])
                .arg("--directory")
                .arg(&root)
                .arg("--file")
                .arg(layer)
        };
        let make = Command::new("mkdir", folder).arg("--parents").arg(&root);
        std::iter::once(make).chain(layers.iter().map(unpack)).collect()
    }
}

impl Container {
    /// The command that runs `call`.
    pub fn command(&self, call: &Call<'_>) -> Command {
        match self.runner {
            Runner::Podman => self.run(podman(&self.folder), call),
            Runner::PodmanOwnCgroups => {
                let start = Command::new("unshare", &self.folder).args([
                    "--mount",
                    "sh",
                    "-c",
                    OWN_CGROUPS,
                    "sh",
                    "podman",
                ]);
                self.run(store(start), call)
            }
            Runner::Chroot => self.chroot(call),
        }
    }

    fn run(&self, podman: Command, call: &Call<'_>) -> Command {
        // Container networks and limits cannot be set up everywhere, and our images do not need
        // them. podman relays the output through conmon, and loses it in one of a hundred runs of a
        // program that ends at once (4.3, two busy CPUs), unless the program inherits its files.
        let mut command = podman
            .args(["run", "--rm", "--log-driver=passthrough"])
            .args(["--cgroups=disabled", "--network", "host"])
            .args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]);
        if call.nobody {
            command = command.args(["--user", NOBODY]);
        }
        if call.privileged {
            command = command.args(["--privileged", "--volume", "/dev:/dev"]);
        }
        for (from, to) in &call.folders {
            command = command.arg("--volume").arg(pair(from, to));
        }
        if let Some(program) = call.program {
            command = command.args(["--entrypoint", program]);
        }
        command.arg(&self.id).args(&call.arguments)
    }

    fn chroot(&self, call: &Call<'_>) -> Command {
        let user = if call.nobody { NOBODY } else { "0:0" };
        let command = Command::new("unshare", &self.folder)
            .args(["--mount", "sh", "-c", CHROOT, "sh"])
            .arg(self.folder.join("root"))
            .arg(user);
        let folders = call.folders.iter();
        let command = folders.fold(command, |command, (from, to)| command.arg(pair(from, to)));
        let command = command.arg("--");
        match call.program {
            Some(program) => command.arg(program),
            None => command.args(&self.entry_point),
        }
        .args(&call.arguments)
    }
}

/// podman with its store in `folder`.
fn podman(folder: &Path) -> Command {
    store(Command::new("podman", folder))
}

/// Relative, because podman limits the second path to 50 characters.
fn store(command: Command) -> Command {
    command.args(["--root", "store/root", "--runroot", "store/run"])
}

fn pair(from: &Path, to: &str) -> OsString {
    let mut pair = from.as_os_str().to_owned();
    pair.push(":");
    pair.push(to);
    pair
}

/// Removes a store of podman or buildah, if it exists. A failed run may leave a bind mount in it
/// that prevents removal.
pub fn remove_store(folder: &Path) -> Result<()> {
    let _nothing_mounted = unmount(folder.join("root/overlay"), UnmountFlags::DETACH);
    remove(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(runner: Runner, call: &Call<'_>) -> String {
        let container = Container {
            runner,
            folder: "/w/x".into(),
            id: "abc".into(),
            entry_point: vec!["/usr/bin/step".into(), "partition".into()],
        };
        container.command(call).line(Path::new("/w/x"))
    }

    #[test]
    fn an_entry_point_runs_as_nobody_with_a_folder() {
        let call = Call {
            arguments: vec!["--dry-run"],
            folders: vec![(Path::new("/task"), "/run/provision")],
            nobody: true,
            ..Call::default()
        };
        assert_eq!(
            line(Runner::Podman, &call),
            "podman --root store/root --runroot store/run run --rm --log-driver=passthrough --cgroups=disabled --network host \
             --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 --user 65534:65534 \
             --volume /task:/run/provision abc --dry-run"
        );
        let chroot = line(Runner::Chroot, &call);
        let end =
            "sh /w/x/root 65534:65534 /task:/run/provision -- /usr/bin/step partition --dry-run";
        assert!(chroot.starts_with("unshare --mount sh -c ") && chroot.ends_with(end), "{chroot}");
    }

    #[test]
    fn another_program_takes_the_place_of_the_entry_point() {
        let call = Call { program: Some("sgdisk"), privileged: true, ..Call::default() };
        let podman = line(Runner::PodmanOwnCgroups, &call);
        assert!(podman.starts_with("unshare --mount sh -c "), "{podman}");
        assert!(podman.ends_with("--privileged --volume /dev:/dev --entrypoint sgdisk abc"));
        assert!(line(Runner::Chroot, &call).ends_with("sh /w/x/root 0:0 -- sgdisk"));
    }
}
