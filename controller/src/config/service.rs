// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Keys of `[storage]`, the sections `[api]`, `[webhook]`, `[jobs]`, `[redfish]` and `[tls]`, and
//! the files that they name.
//!
//! Secrets are in files; the configuration contains only their paths.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use recipe::controller::{CaCertificates, ToolRegistry};
use recipe::signature::{SigningKey, signing_key_from_pem};

use super::reader::Section;
use super::set;
use crate::api::auth::{Group, TokenKey};
use crate::audit::AuditConfig;
use crate::jobs::bmc::Secret;
use crate::jobs::runner::{AfterFailure, Settings};
use crate::keyring::{Key, Keyring};
use crate::labels::Labels;
use crate::media::Image;
use crate::registry::users::Users;
use crate::tls::TlsConfig;

/// Configuration of API users and tokens.
#[derive(Debug, Clone, Default)]
pub struct ApiConfig {
    /// File with users and password hashes; None: no password login.
    pub users: Option<PathBuf>,
    /// Users with the role reader.
    pub readers: Vec<String>,
    /// Users with the role admin.
    pub admins: Vec<String>,
    /// Groups of servers and the users limited to them.
    pub groups: Vec<Group>,
    /// File with ids of revoked tokens; None: no token is revoked.
    pub revoked_tokens: Option<PathBuf>,
    /// File with the token key; None: no token is accepted.
    pub token_key: Option<PathBuf>,
    /// Rate limit per address in requests per second; the burst is twice that.
    pub requests_per_second: usize,
}

/// Encryption keys of BMC passwords in the database.
#[derive(Debug, Clone, Default)]
pub struct StorageKeys {
    /// File with the key; None: the systemd credential [`CREDENTIAL`] or, without it, no
    /// encryption.
    pub key: Option<PathBuf>,
    /// Files with old keys, for decryption until everything is re-encrypted.
    pub old_keys: Vec<PathBuf>,
}

/// systemd credential, set by `LoadCredential=storage.key:PATH`.
const CREDENTIAL: &str = "storage.key";

/// Configuration of jobs.
#[derive(Debug, Clone)]
pub struct JobsConfig {
    /// `http://HOST:PORT` of this service for BMCs.
    pub url: Option<String>,
    /// Registry of the tool images; None: this service.
    pub tool_registry: Option<ToolRegistry>,
    /// PEM file with CA certificates for hosts; None: only those in their image.
    pub ca: Option<PathBuf>,
    /// Maintenance ISO, in the folder `media/static`.
    pub maintenance_iso: String,
    /// File with the Ed25519 signing key of task ISOs; None: unsigned.
    pub signing_key: Option<PathBuf>,
    /// Other settings.
    pub settings: Settings,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            url: None,
            tool_registry: None,
            ca: None,
            maintenance_iso: "maintenance.iso".to_owned(),
            signing_key: None,
            settings: Settings::default(),
        }
    }
}

const A_FILE: &str = "the path of a file";

pub(super) fn storage_keys(section: &mut Section<'_>) -> StorageKeys {
    let key = section.parse("key", A_FILE);
    let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
    let old_keys = section.list("old_keys", "paths of files", path).unwrap_or_default();
    StorageKeys { key, old_keys }
}

pub(super) fn api(mut section: Section<'_>) -> ApiConfig {
    let mut config = ApiConfig {
        users: section.parse("users", A_FILE),
        requests_per_second: 100,
        ..ApiConfig::default()
    };
    let name = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    set(&mut config.readers, section.list("readers", "user names", name));
    set(&mut config.admins, section.list("admins", "user names", name));
    config.token_key = section.parse("token_key", A_FILE);
    config.revoked_tokens = section.parse("revoked_tokens", A_FILE);
    for mut group in section.sections("group") {
        config.groups.extend(self::group(&mut group));
        group.end();
    }
    set(&mut config.requests_per_second, section.count("requests_per_second"));
    section.end();
    config
}

/// Authentication of host reports.
#[derive(Debug, Clone, Default)]
pub struct WebhookConfig {
    /// Files with keys of job secrets; two during a rotation.
    pub secrets: Vec<PathBuf>,
    /// Whether such a key itself authenticates reports of any job.
    pub accept_fleet_secret: bool,
}

fn group(section: &mut Section<'_>) -> Option<Group> {
    let name = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let label = |text: &str| text.parse::<Labels>().is_ok().then(|| text.to_owned());
    section.require("name", "the name of the group");
    section.require("labels", "a list of labels NAME=VALUE");
    let named = section.parse_with("name", "a name", name);
    let labels = section.list("labels", "labels NAME=VALUE", label);
    let users = section.list("users", "user names", name).unwrap_or_default();
    let labels = Labels::parse(labels?).unwrap_or_default();
    Some(Group { name: named?, labels, users })
}

pub(super) fn audit(mut section: Section<'_>) -> AuditConfig {
    let mut config = AuditConfig::default();
    set(&mut config.entries, section.count("entries"));
    set(&mut config.keep, section.duration("keep"));
    section.end();
    config
}

pub(super) fn webhook(mut section: Section<'_>) -> WebhookConfig {
    let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
    let mut config = WebhookConfig::default();
    set(&mut config.secrets, section.list("secrets", "paths of files", path));
    let accept = section.flag("accept_fleet_secret");
    set(&mut config.accept_fleet_secret, accept);
    section.end();
    config
}

pub(super) fn jobs(mut section: Section<'_>) -> JobsConfig {
    let mut config = JobsConfig::default();
    let expected = "an http:// or https:// URL with host and optional port";
    let url = |text: &str| {
        let uri: axum::http::Uri = text.parse().ok()?;
        let good = matches!(uri.scheme_str(), Some("http" | "https"))
            && matches!(uri.path(), "/" | "")
            && uri.query().is_none();
        good.then(|| text.to_owned())
    };
    config.url = section.parse_with("url", expected, url);
    let expected = "a registry as HOST[:PORT][/PREFIX]";
    let registry = |text: &str| ToolRegistry::try_from(text.to_owned()).ok();
    config.tool_registry = section.parse_with("tool_registry", expected, registry);
    config.ca = section.parse("ca", A_FILE);
    let expected = "a file name that ends in .iso";
    let iso = |text: &str| Image::from_name(text).is_ok().then(|| text.to_owned());
    set(&mut config.maintenance_iso, section.parse_with("maintenance_iso", expected, iso));
    config.signing_key = section.parse("signing_key", A_FILE);
    let settings = &mut config.settings;
    set(&mut settings.at_once, section.count("at_once"));
    for (key, value) in [
        ("lease", &mut settings.lease),
        ("boot_budget", &mut settings.boot_budget),
        ("webhook_budget", &mut settings.webhook_budget),
        ("firmware_budget", &mut settings.firmware_budget),
        ("cleanup_budget", &mut settings.cleanup_budget),
        ("keep_isos", &mut settings.keep_isos),
        ("keep_jobs", &mut settings.keep_jobs),
        ("task_validity", &mut settings.task_validity),
    ] {
        set(value, section.duration(key));
    }
    set(
        &mut settings.restart,
        section.choice("after_success", [("reset", true), ("leave", false)]),
    );
    let after = [("power-off", AfterFailure::PowerOff), ("leave", AfterFailure::Leave)];
    set(&mut settings.after_failure, section.choice("after_failure", after));
    section.end();
    config
}

pub(super) fn redfish(mut section: Section<'_>) -> redfish::Timing {
    let mut timing = redfish::Timing::default();
    for (key, value) in [
        ("request_timeout", &mut timing.request),
        ("graceful_timeout", &mut timing.graceful),
        ("power_timeout", &mut timing.power),
        ("post_timeout", &mut timing.post),
        ("poll", &mut timing.poll),
    ] {
        set(value, section.duration(key));
    }
    section.end();
    timing
}

pub(super) fn tls(mut section: Section<'_>) -> Option<TlsConfig> {
    let certificate = section.parse("certificate", A_FILE);
    let key = section.parse("key", A_FILE);
    let client_ca = section.parse("client_ca", A_FILE);
    if section.is_there() {
        section.require("certificate", A_FILE);
        section.require("key", A_FILE);
    }
    section.end();
    Some(TlsConfig { certificate: certificate?, key: key?, client_ca })
}

/// Reads the file that a configuration key names. Errors name the key.
fn read(value: &str, path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{value} {}: {e}", path.display()))
}

fn add_path<T, E: std::fmt::Display>(
    value: &str,
    path: &Path,
    result: Result<T, E>,
) -> Result<T, String> {
    result.map_err(|e| format!("{value} {}: {e}", path.display()))
}

impl StorageKeys {
    /// Reads the keys.
    pub fn read(&self) -> Result<Keyring, String> {
        let read = |value: &str, path: &Path| {
            let content = add_path(value, path, fs::read(path))?;
            add_path(value, path, Key::new(&content))
        };
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let credential = folder.map(|folder| folder.join(CREDENTIAL)).filter(|path| path.exists());
        let current = match (&self.key, &credential) {
            (Some(path), _) => Some(read("storage.key", path)?),
            (None, Some(path)) => Some(read("the systemd credential", path)?),
            (None, None) => None,
        };
        let old = self.old_keys.iter().map(|path| read("storage.old_keys", path));
        let old = old.collect::<Result<Vec<_>, _>>()?;
        if current.is_none() && !old.is_empty() {
            return Err("storage.old_keys needs storage.key, the current encryption key".to_owned());
        }
        Ok(Keyring::new(current, old))
    }
}

impl ApiConfig {
    /// Reads the users if a file is configured.
    pub fn read_users(&self) -> Result<Option<Users>, String> {
        let Some(path) = &self.users else { return Ok(None) };
        let users = add_path("api.users", path, Users::read(path))?;
        let groups = self.groups.iter().map(|group| ("api.group.users", &group.users));
        for (value, names) in
            [("api.readers", &self.readers), ("api.admins", &self.admins)].into_iter().chain(groups)
        {
            if let Some(name) = names.iter().find(|name| !users.contains(name)) {
                return Err(format!("{value} names {name:?}, who is not in api.users"));
            }
        }
        Ok(Some(users))
    }

    /// Checks roles and groups for contradictions.
    ///
    /// # Errors
    /// With the first contradiction.
    pub(crate) fn check_roles(&self) -> Result<(), String> {
        for admin in &self.admins {
            if self.readers.contains(admin) {
                return Err(format!("{admin:?} is in api.admins and in api.readers: expected one"));
            }
            if self.groups.iter().any(|group| group.users.contains(admin)) {
                return Err(format!(
                    "{admin:?} is in api.admins and in an [[api.group]]: admins cannot be limited to groups"
                ));
            }
        }
        for (number, group) in self.groups.iter().enumerate() {
            if group.labels.is_empty() {
                return Err(format!("the [[api.group]] {:?} has no labels", group.name));
            }
            if self.groups.iter().take(number).any(|other| other.name == group.name) {
                return Err(format!("two [[api.group]] have the name {:?}", group.name));
            }
        }
        Ok(())
    }

    /// Reads the ids of revoked tokens: one per line, `#` starts a comment.
    pub fn read_revoked_tokens(&self) -> Result<HashSet<String>, String> {
        let Some(path) = &self.revoked_tokens else { return Ok(HashSet::new()) };
        let text = read("api.revoked_tokens", path)?;
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// Reads the token key if a file is configured.
    pub fn read_token_key(&self) -> Result<Option<TokenKey>, String> {
        let Some(path) = &self.token_key else { return Ok(None) };
        let key = TokenKey::new(&read("api.token_key", path)?);
        add_path("api.token_key", path, key).map(Some)
    }
}

/// Minimum length of a webhook secret, in bytes.
const SHORTEST_SECRET: usize = 16;

/// Reads the webhook secrets. Surrounding white space is ignored.
///
/// # Errors
/// If a file is unreadable, or its secret is too short or not a valid header value.
pub fn read_secrets(paths: &[PathBuf]) -> Result<Vec<Secret>, String> {
    if paths.len() > 2 {
        return Err("webhook.secrets: expected at most two, the old one and the new one".to_owned());
    }
    let read = |path: &PathBuf| {
        let text = read("webhook.secrets", path)?;
        let text = text.trim();
        let good = text.len() >= SHORTEST_SECRET && text.bytes().all(|b| b.is_ascii_graphic());
        let wrong = "expected at least 16 characters of printable ASCII without spaces";
        add_path("webhook.secrets", path, if good { Ok(Secret::new(text)) } else { Err(wrong) })
    };
    paths.iter().map(read).collect()
}

impl JobsConfig {
    /// Returns the job settings with the signing key.
    pub fn read_settings(&self) -> Result<Settings, String> {
        let mut settings = self.settings.clone();
        if let Some(path) = &self.signing_key {
            let key = signing_key_from_pem(&read("jobs.signing_key", path)?);
            let key: SigningKey = add_path("jobs.signing_key", path, key)?;
            settings.signing_key = Some(Arc::new(key));
        }
        Ok(settings)
    }

    /// Reads the CA certificates for hosts if a file is configured.
    ///
    /// # Errors
    /// If the file is unreadable or contains anything but certificates.
    pub fn read_ca(&self) -> Result<Option<CaCertificates>, String> {
        let Some(path) = &self.ca else { return Ok(None) };
        let pem = read("jobs.ca", path)?;
        add_path("jobs.ca", path, CaCertificates::try_from(pem)).map(Some)
    }
}
