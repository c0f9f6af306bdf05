// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `config-drive`: a `NoCloud` drive for cloud-init.
//!
//! It is a FAT file system labelled `CIDATA` with `user-data`, `meta-data` and optionally
//! `network-config` (cloud-init documentation, data source `NoCloud`). Without a partition for it,
//! the files go to the seed folder of the installed system, which the data source reads too.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use recipe::network::{Mac, Network, PciPath};

use crate::action::Action;
use crate::contents::Contents;
use crate::files::temporary_path;
use crate::mkfs::{mkfs_vfat, mtools};
use crate::plan::Plan;
use crate::roots::Root;
use crate::task::Task;
use crate::volumes::{self, CIDATA, Role};

/// Size of an image file in bytes: twice what the largest recipe needs.
const IMAGE_SIZE: u64 = 4 * 1024 * 1024;

/// Seed folder of the data source in the installed system.
const SEED: &str = "/var/lib/cloud/seed/nocloud";

/// `user-data` where the recipe has none: the data source requires the file.
const NO_USER_DATA: &str = "#cloud-config\n{}\n";

/// Where the kernel shows devices by their place on the PCI bus.
const PCI_DEVICES: &str = "/sys/bus/pci/devices";

/// Names and contents of what is written.
type Files = Vec<(&'static str, Contents)>;

/// Options of the step.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Write an image file of 4 MiB instead of the partition labelled CIDATA
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Include this network configuration (cloud-init format)
    #[arg(long, value_name = "FILE")]
    network_config: Option<PathBuf>,
}

/// Plans the drive; nothing where the task has neither user data nor a network.
pub(crate) fn plan(task: &Task, options: &Options) -> Result<Plan> {
    let step = "config-drive";
    let provision = &task.provision;
    let network_config = match (&options.network_config, &provision.network) {
        (Some(path), _) => {
            let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            Some(Contents::from(text))
        }
        (None, Some(network)) => {
            let text = network.cloud_init(|path| port_at(Path::new(PCI_DEVICES), path));
            Some(Contents::from(text.context("the task's network")?))
        }
        (None, None) => None,
    };
    let user_data = match &provision.user_data {
        Some(user_data) => user_data.expose(),
        None if network_config.is_some() => NO_USER_DATA,
        None => return Ok(Plan { step, actions: Vec::new() }),
    };
    let mut files = vec![
        ("user-data", Contents::from(user_data.to_owned())),
        ("meta-data", Contents::from(format!("instance-id: {}\n", task.ids.instance()))),
    ];
    files.extend(network_config.map(|config| ("network-config", config)));
    let vendor_data = provision.network.as_ref().and_then(Network::vendor_data);
    files.extend(vendor_data.map(|text| ("vendor-data", Contents::from(text))));

    let actions = if let Some(output) = &options.output {
        let part = temporary_path(output);
        let mut actions = vec![Action::MakeImage { path: part.clone(), size: IMAGE_SIZE }];
        actions.extend(drive(task, &part.display().to_string(), 0, files));
        actions.push(Action::Publish { from: part, to: output.clone() });
        actions
    } else {
        let volumes = task.volumes()?;
        if let Some(volume) = volumes::find(&volumes, Role::ConfigDrive) {
            let mut actions = drive(task, &volume.device(), volume.number, files);
            actions.push(Action::Flush { device: volume.device.clone() });
            actions
        } else {
            seed(Root::new(&volumes, &task.work).with_context(no_place)?, files)
        }
    };
    Ok(Plan { step, actions })
}

fn no_place() -> String {
    format!(
        "the task has user_data or a network, but its partition_layout has no place for them: add \
         a partition of 8M with format vfat and label {CIDATA}"
    )
}

/// The MAC address of the network port at `path`: that of the first interface below its folder in
/// `devices`, or below that of the virtio device there.
fn port_at(devices: &Path, path: &PciPath) -> Option<Mac> {
    let device = devices.join(path.address());
    let folders = fs::read_dir(&device).ok()?.flatten().map(|entry| entry.path());
    let mut virtio: Vec<PathBuf> = folders
        .filter(|path| path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"virtio")))
        .collect();
    virtio.sort();
    [device].into_iter().chain(virtio).find_map(|device| {
        let interfaces = fs::read_dir(device.join("net")).ok()?.flatten();
        let mut addresses: Vec<PathBuf> =
            interfaces.map(|entry| entry.path().join("address")).collect();
        addresses.sort();
        fs::read_to_string(addresses.first()?).ok()?.trim().parse().ok()
    })
}

/// A FAT file system with the files, in a device or an image file.
///
/// It is formatted even if `partition` has done so, to remove files of earlier runs.
fn drive(task: &Task, device: &str, number: usize, files: Files) -> Vec<Action> {
    let id = task.ids.fat_volume(number);
    let mut actions = vec![Action::run(mkfs_vfat(device, Some(CIDATA), id))];
    for (name, contents) in files {
        let path = task.work.join(name);
        let source = path.display().to_string();
        actions.push(Action::WriteFile { path, mode: 0o600, contents });
        let copy = mtools("mcopy", device, &["-o", &source, &format!("::/{name}")]);
        actions.push(Action::run(copy));
    }
    actions
}

/// Writes the files to the seed folder of the installed system.
fn seed(root: Root<'_>, files: Files) -> Vec<Action> {
    let root = root.restrict_to(&["/", "/var"]);
    let mut actions: Vec<Action> = root.mounts().map(|(mount, _)| mount).collect();
    actions.extend(files.into_iter().map(|(name, contents)| Action::Install {
        root: root.path().to_owned(),
        path: Path::new(SEED).join(name),
        mode: 0o600,
        contents,
    }));
    actions.extend(root.unmount_actions());
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_its_place_on_the_bus() {
        let sys = tempfile::tempdir().unwrap();
        for (interface, address) in [
            ("0000:03:00.0/net/eth0", "00:53:00:00:00:01\n"),
            ("0000:04:00.0/virtio0/net/eth1", "00:53:00:00:00:02\n"),
            ("0000:05:00.0/block/vda", "00:53:00:00:00:03\n"),
        ] {
            let folder = sys.path().join(interface);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("address"), address).unwrap();
        }
        let port = |path: &str| {
            let text = format!(r#"{{"ports":[{{"path":"{path}"}}]}}"#);
            let network = Network::from_slice(text.as_bytes()).unwrap();
            network.cloud_init(|path| port_at(sys.path(), path))
        };
        assert!(port("pci-0000:03:00.0").unwrap().contains("00:53:00:00:00:01"));
        assert!(port("pci-0000:04:00.0").unwrap().contains("00:53:00:00:00:02"));
        for absent in ["pci-0000:05:00.0", "pci-0000:06:00.0"] {
            assert!(port(absent).unwrap_err().to_string().contains(absent), "{absent}");
        }
    }
}
