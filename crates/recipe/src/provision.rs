// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/run/provision`: what the dispatcher passes to the step programs.
//!
//! | file | holds |
//! | --- | --- |
//! | `recipe.env` | the variables of [`RecipeEnv`], as an `EnvironmentFile=` of systemd |
//! | `layout.json` | the recipe's `partition_layout`, a JSON array |
//! | `erase.json` | the recipe's `erase_disks`, a JSON array |
//! | `network.json` | the [`Network`] of the host |
//! | `user-data`, `unattend.xml`, `ks.cfg` | the recipe's field, byte for byte |
//! | `build-info.json` | [`BuildInfo`]: which dispatcher wrote this, from what |
//!
//! A file without content is absent. Only the dispatcher writes the folder: each run replaces it as
//! a whole, so a step keeps its own state elsewhere. Folder 0700 and files 0600, because user data
//! and answer files contain passwords.

use std::{fs, io, io::Read as _, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    contents::{Contents, KsCfg, UnattendXml, UserData},
    env_file::{self, EnvFileError},
    erase::EraseDisks,
    model::TaskTarget,
    network::{NETWORK_JSON, Network},
    partition::PartitionLayout,
    text::{DiskPath, FirmwareUrl, OciReference, Sha256Hex, ShortText},
};

pub use crate::provision_error::ProvisionError;

/// Its path on the host.
pub const DEFAULT_DIR: &str = "/run/provision";
/// The variables of the task.
pub const RECIPE_ENV: &str = "recipe.env";
/// The partition table.
pub const LAYOUT_JSON: &str = "layout.json";
/// The disks to erase.
pub const ERASE_JSON: &str = "erase.json";
/// cloud-init's user data.
pub const USER_DATA: &str = "user-data";
/// The answer file of Windows Setup.
pub const UNATTEND_XML: &str = "unattend.xml";
/// The kickstart file of `ESXi`.
pub const KS_CFG: &str = "ks.cfg";
/// Identity of the dispatcher and its inputs.
pub const BUILD_INFO_JSON: &str = "build-info.json";

/// The largest `recipe.env`, `layout.json` or `build-info.json` that is read, in bytes.
const MAX_SMALL_FILE: usize = 1024 * 1024;

/// All that a step knows of its task. `Debug` shows no contents.
#[derive(Clone, Debug, PartialEq)]
pub struct Provision {
    /// `recipe.env`
    pub env: RecipeEnv,
    /// `layout.json`
    pub layout: Option<PartitionLayout>,
    /// `erase.json`
    pub erase: Option<EraseDisks>,
    /// `network.json`; none: DHCP.
    pub network: Option<Network>,
    /// `user-data`
    pub user_data: Option<UserData>,
    /// `unattend.xml`
    pub unattend_xml: Option<UnattendXml>,
    /// `ks.cfg`
    pub ks_cfg: Option<KsCfg>,
    /// `build-info.json`
    pub build_info: BuildInfo,
}

/// The variables of `recipe.env`. A variable without a value is omitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeEnv {
    /// `TASK_TARGET`: the systemd target to start.
    pub task_target: TaskTarget,
    /// `TARGET_DISK`
    pub target_disk: Option<DiskPath>,
    /// `OCI_URL`
    pub oci_url: Option<OciReference>,
    /// `FIRMWARE_URL`
    pub firmware_url: Option<FirmwareUrl>,
    /// `FIRMWARE_SHA256`
    pub firmware_sha256: Option<Sha256Hex>,
    /// `SERIAL`: serial number of the host, if it has one.
    pub serial: Option<ShortText>,
    /// `JOB_ID`: the controller's job, if the task ISO has all of it.
    pub job_id: Option<ShortText>,
    /// `SCHEMA_ID`: the `$id` of the schema that accepted the recipe.
    pub schema_id: ShortText,
    /// `RECIPE_SHA256`: the digest of `recipe.json` as it was read.
    pub recipe_sha256: Sha256Hex,
}

/// `build-info.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildInfo {
    /// The dispatcher's version.
    pub dispatcher_version: String,
    /// The Git commit that it was built from.
    pub dispatcher_commit: String,
    /// The `$id` of the schema that accepted the recipe.
    pub schema_id: String,
    /// The digest of `recipe.json` as it was read.
    pub recipe_sha256: Sha256Hex,
    /// Serial number of the host, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<ShortText>,
}

impl RecipeEnv {
    /// `recipe.env`, one variable per line.
    pub fn to_file(&self) -> Result<String, EnvFileError> {
        let optional = |name, value: Option<&'_ str>| value.map(|value| (name, value.to_owned()));
        let pairs = [
            Some(("TASK_TARGET", self.task_target.to_string())),
            optional("TARGET_DISK", self.target_disk.as_ref().map(AsRef::as_ref)),
            optional("OCI_URL", self.oci_url.as_ref().map(AsRef::as_ref)),
            optional("FIRMWARE_URL", self.firmware_url.as_ref().map(AsRef::as_ref)),
            optional("FIRMWARE_SHA256", self.firmware_sha256.as_ref().map(AsRef::as_ref)),
            optional("SERIAL", self.serial.as_ref().map(AsRef::as_ref)),
            optional("JOB_ID", self.job_id.as_ref().map(AsRef::as_ref)),
            Some(("SCHEMA_ID", self.schema_id.to_string())),
            Some(("RECIPE_SHA256", self.recipe_sha256.to_string())),
        ];
        env_file::write(pairs.iter().flatten().map(|(name, value)| (*name, value.as_str())))
    }

    /// Reads what [`RecipeEnv::to_file`] wrote, or an edited copy of it. Other variables are
    /// ignored, and the last of a repeated one counts, as in systemd.
    pub fn from_file(file: &[u8]) -> Result<Self, String> {
        let pairs = env_file::parse(file).map_err(|error| error.to_string())?;
        let find = |name: &str| {
            pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        Ok(Self {
            task_target: find_required("TASK_TARGET", find)?,
            target_disk: optional("TARGET_DISK", find)?,
            oci_url: optional("OCI_URL", find)?,
            firmware_url: optional("FIRMWARE_URL", find)?,
            firmware_sha256: optional("FIRMWARE_SHA256", find)?,
            serial: optional("SERIAL", find)?,
            job_id: optional("JOB_ID", find)?,
            schema_id: find_required("SCHEMA_ID", find)?,
            recipe_sha256: find_required("RECIPE_SHA256", find)?,
        })
    }
}

/// The variable `name`, if the file has it.
fn optional<'a, T>(name: &str, find: impl Fn(&str) -> Option<&'a str>) -> Result<Option<T>, String>
where
    T: std::str::FromStr<Err = crate::FormError>,
{
    find(name)
        .map(|value| value.parse().map_err(|error: crate::FormError| format!("{name}: {error}")))
        .transpose()
}

/// The variable `name`, which is required.
fn find_required<'a, T>(name: &str, find: impl Fn(&str) -> Option<&'a str>) -> Result<T, String>
where
    T: std::str::FromStr<Err = crate::FormError>,
{
    optional(name, find)?.ok_or_else(|| format!("{name}: missing"))
}

impl Provision {
    /// Reads the folder `dir`; [`DEFAULT_DIR`] except in tests.
    pub fn read(dir: &Path) -> Result<Self, ProvisionError> {
        let env_path = dir.join(RECIPE_ENV);
        let env = read_limited(&env_path, MAX_SMALL_FILE)?
            .ok_or_else(|| malformed_error(&env_path, "missing: the dispatcher has not run"))?;
        let info_path = dir.join(BUILD_INFO_JSON);
        Ok(Self {
            env: RecipeEnv::from_file(&env).map_err(|what| malformed_error(&env_path, what))?,
            layout: read_json(&dir.join(LAYOUT_JSON))?,
            erase: read_json(&dir.join(ERASE_JSON))?,
            network: read_json(&dir.join(NETWORK_JSON))?,
            user_data: read_contents(&dir.join(USER_DATA))?,
            unattend_xml: read_contents(&dir.join(UNATTEND_XML))?,
            ks_cfg: read_contents(&dir.join(KS_CFG))?,
            build_info: read_json(&info_path)?.ok_or_else(|| {
                malformed_error(&info_path, "missing: the dispatcher has not run")
            })?,
        })
    }

    /// The files of the folder, by name.
    #[cfg(feature = "write")]
    fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, ProvisionError> {
        let json = |path: &str, value: serde_json::Result<String>| match value {
            Ok(text) => Ok((text + "\n").into_bytes()),
            Err(error) => Err(malformed_error(Path::new(path), error.to_string())),
        };
        let mut files = vec![(RECIPE_ENV, self.env.to_file()?.into_bytes())];
        if let Some(layout) = &self.layout {
            files.push((LAYOUT_JSON, json(LAYOUT_JSON, serde_json::to_string_pretty(layout))?));
        }
        if let Some(erase) = &self.erase {
            files.push((ERASE_JSON, json(ERASE_JSON, serde_json::to_string_pretty(erase))?));
        }
        if let Some(network) = &self.network {
            let text = serde_json::to_string_pretty(network);
            files.push((NETWORK_JSON, json(NETWORK_JSON, text)?));
        }
        files.extend(self.user_data.as_ref().map(|file| (USER_DATA, file.expose().into())));
        files.extend(self.unattend_xml.as_ref().map(|file| (UNATTEND_XML, file.expose().into())));
        files.extend(self.ks_cfg.as_ref().map(|file| (KS_CFG, file.expose().into())));
        let info = serde_json::to_string_pretty(&self.build_info);
        files.push((BUILD_INFO_JSON, json(BUILD_INFO_JSON, info)?));
        Ok(files)
    }

    /// Writes or replaces the folder `dir` atomically. Its parent is created if missing.
    #[cfg(feature = "write")]
    pub fn write(&self, dir: &Path) -> Result<(), ProvisionError> {
        crate::write::replace_folder(dir, &self.files()?)
    }
}

/// An error about the contents of `path`.
fn malformed_error(path: &Path, what: impl Into<String>) -> ProvisionError {
    ProvisionError::Malformed { path: path.to_owned(), what: what.into() }
}

/// Reads the file `path`; `None` if it does not exist. More than `limit` bytes is an error.
fn read_limited(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, ProvisionError> {
    let io_error = |source| ProvisionError::Io { action: "read", path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(io_error)?;
    if bytes.len() > limit {
        return Err(malformed_error(path, format!("more than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// Reads the JSON file `path`; `None` if it does not exist.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ProvisionError> {
    let Some(bytes) = read_limited(path, MAX_SMALL_FILE)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| malformed_error(path, error.to_string()))
}

/// Reads the recipe's file at `path`; `None` if it does not exist.
fn read_contents<const MAX_BYTES: usize>(
    path: &Path,
) -> Result<Option<Contents<MAX_BYTES>>, ProvisionError> {
    let Some(bytes) = read_limited(path, MAX_BYTES)? else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|_| malformed_error(path, "not UTF-8"))?;
    Contents::new(text).map(Some).map_err(|error| malformed_error(path, error.to_string()))
}
