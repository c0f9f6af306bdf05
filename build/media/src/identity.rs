// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Finds what the scripts of packages leave in an image that belongs to a single machine or to the
//! day of the build: identifiers and keys made at random, and the days of passwords.
//!
//! All machines that run the image would share it, and the image would differ from build to build.

use std::io;

use anyhow::{Result, ensure};
use oci::Layout;

use super::flatten::flatten;
use super::normalise;

/// Files with the identity of one machine, which may be empty.
const OF_ONE_MACHINE: &[&str] = &[
    "etc/hostid",
    "etc/iscsi/initiatorname.iscsi",
    "etc/machine-id",
    "etc/nvme/hostid",
    "etc/nvme/hostnqn",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/credential.secret",
    "var/lib/systemd/random-seed",
];
/// Content of machine-id before the first boot (machine-id(5), "First Boot Semantics").
const UNINITIALIZED: &[u8] = b"uninitialized\n";
/// Host keys, by the start of their paths.
const HOST_KEYS: &str = "etc/ssh/ssh_host_";
/// Password files, whose third field is the day of the last change (shadow(5)).
const PASSWORDS: &[&str] = &["etc/shadow", "etc/shadow-"];
/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// Checks the layers that the image in `layout` has and `base` lacks; all of them without a base.
/// `epoch` is the image's timestamp in seconds: a password cannot have changed later.
///
/// # Errors
/// For every file with an identity or a later day, with its path and the fix.
pub fn check(layout: &Layout, base: Option<&Layout>, epoch: u64) -> Result<()> {
    let below = base.map(normalise::manifest).transpose()?;
    let below = below.as_ref().map(|manifest| manifest.layers().as_slice()).unwrap_or_default();
    let mut own = normalise::manifest(layout)?;
    let layers = own.layers().iter().filter(|layer| !below.contains(layer)).cloned().collect();
    own.set_layers(layers);
    let wanted = |path: &str| {
        OF_ONE_MACHINE.contains(&path) || path.starts_with(HOST_KEYS) || PASSWORDS.contains(&path)
    };
    let faults: Vec<String> = flatten(layout, &own, io::sink(), wanted)?
        .iter()
        .filter_map(|(path, bytes)| fault(path, bytes, epoch))
        .collect();
    ensure!(
        faults.is_empty(),
        "the image in {} is not the same on every machine and day:\n  {}",
        layout.root().display(),
        faults.join("\n  ")
    );
    Ok(())
}

/// What is wrong with the content of `path`.
fn fault(path: &str, bytes: &[u8], epoch: u64) -> Option<String> {
    if !PASSWORDS.contains(&path) {
        let is_open = bytes.is_empty() || bytes == UNINITIALIZED;
        return (!is_open)
            .then(|| format!("/{path} identifies one machine; remove it in the Containerfile"));
    }
    let last = epoch / DAY;
    String::from_utf8_lossy(bytes).lines().find_map(|line| {
        let mut fields = line.split(':');
        let user = fields.next()?;
        let day: u64 = fields.nth(1)?.parse().ok()?;
        (day > last).then(|| {
            format!(
                "/{path}: the password of {user} changed on day {day} since 1970, after the \
                 image's day {last}; run the programs with SOURCE_DATE_EPOCH"
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use oci::{artifact, media_type};
    use serde_json::json;

    use super::super::layer;
    use super::*;

    /// The epoch of these tests: noon of day 20,000.
    const EPOCH: u64 = 20_000 * DAY + DAY / 2;

    /// A layout in `folder` with an image of these layers, each of `(path, content)`.
    fn image(folder: &std::path::Path, layers: &[&[(&str, &str)]]) -> Layout {
        let layout = Layout::create(folder).unwrap();
        let store = |files: &&[(&str, &str)]| {
            let mut archive = tar::Builder::new(Vec::new());
            for (path, content) in *files {
                let mut header = tar::Header::new_gnu();
                header.set_size(content.len() as u64);
                archive.append_data(&mut header, path, content.as_bytes()).unwrap();
            }
            layer::store(&layout, archive.into_inner().unwrap().as_slice()).unwrap().0
        };
        let layers = layers.iter().map(store).collect();
        let config = layout.write_json(media_type::IMAGE_CONFIG, &json!({})).unwrap();
        let manifest = artifact::image(config, layers).unwrap();
        let manifest = layout.write_json(media_type::IMAGE_MANIFEST, &manifest).unwrap();
        layout.write_index(vec![manifest]).unwrap();
        layout
    }

    /// The error for an image with the file `path`, without its first part; empty if there is none.
    fn find(path: &str, content: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let layout = image(&folder.path().join("layout"), &[&[(path, content)]]);
        let found = check(&layout, None, EPOCH).err().map(|error| error.to_string());
        found.and_then(|text| Some(text.split_once(":\n")?.1.to_owned())).unwrap_or_default()
    }

    #[test]
    fn what_identifies_a_machine_or_the_day_of_a_build_is_rejected() {
        for (path, content, fault) in [
            ("etc/machine-id", "3d1219c7c4c5404a\n", "/etc/machine-id identifies one machine"),
            ("./etc/nvme/hostnqn", "nqn.2014-08.org", "/etc/nvme/hostnqn identifies"),
            ("etc/ssh/ssh_host_rsa_key", "-----BEGIN", "/etc/ssh/ssh_host_rsa_key identifies"),
            (
                "etc/shadow",
                "root:*:20000:0\nnew:!:20001:0\n",
                "password of new changed on day 20001",
            ),
            ("etc/shadow-", "new:!:20001:0\n", "/etc/shadow-: the password"),
        ] {
            let found = find(path, content);
            assert!(found.contains(fault), "{path}: {found:?}");
        }
    }

    #[test]
    fn empty_identities_and_earlier_passwords_are_no_fault() {
        for (path, content) in [
            ("etc/machine-id", ""),
            ("etc/machine-id", "uninitialized\n"),
            ("etc/nvme/hostid", ""),
            ("etc/shadow", "root:*:20000:0:99999:7:::\nold:!::::::\n\n"),
            ("etc/other", "20001"),
        ] {
            assert_eq!(find(path, content), "", "{path}");
        }
    }

    #[test]
    fn layers_of_the_base_are_not_checked_again() {
        let folder = tempfile::tempdir().unwrap();
        let (below, above): (&[_], &[_]) = (&[("etc/hostid", "x")], &[("step", "")]);
        let base = image(&folder.path().join("base"), &[below]);
        let layout = image(&folder.path().join("layout"), &[below, above]);
        check(&layout, Some(&base), EPOCH).unwrap();
        check(&layout, None, EPOCH).unwrap_err();
    }
}
