// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `[registry]`: users, access rules and garbage collection.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Section;
use super::set;
use crate::registry::access::{AccessRule, Principal, Rules};
use crate::registry::pattern::TagPattern;
use crate::registry::storage::{Policy, Retention};
use crate::registry::users::Users;

/// Configuration of the registry.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// File with users and password hashes; None: no login is possible.
    pub htpasswd: Option<PathBuf>,
    /// Access rules and immutable tags.
    pub rules: Rules,
    /// Idle uploads are removed after this time.
    pub upload_expiry: Duration,
    /// Policy of garbage collection.
    pub gc: Policy,
    /// Interval of garbage collection by the service; None: only by command.
    pub gc_schedule: Option<Duration>,
}

impl RegistryConfig {
    /// Reads the users if a file is configured.
    pub fn read_users(&self) -> Result<Option<Users>, String> {
        let Some(path) = &self.htpasswd else { return Ok(None) };
        let users = Users::read(path);
        users.map(Some).map_err(|e| format!("registry.htpasswd {}: {e}", path.display()))
    }
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            htpasswd: None,
            rules: Rules::default(),
            upload_expiry: Duration::from_hours(24),
            gc: Policy {
                grace: Duration::from_hours(24),
                quarantine: Duration::from_hours(7 * 24),
                untagged: false,
                retention: Vec::new(),
            },
            gc_schedule: None,
        }
    }
}

pub(super) fn registry(mut section: Section<'_>) -> RegistryConfig {
    let htpasswd = section.parse("htpasswd", "the path of a file");
    let mut config = RegistryConfig { htpasswd, ..RegistryConfig::default() };
    set(&mut config.upload_expiry, section.duration("upload_expiry"));
    let mut gc = section.section("gc");
    set(&mut config.gc.grace, gc.duration("grace"));
    set(&mut config.gc.quarantine, gc.duration("quarantine"));
    set(&mut config.gc.untagged, gc.choice("untagged", [("keep", false), ("collect", true)]));
    let expected = "\"off\", or an interval of at least one second such as \"24h\"";
    let schedule = gc.parse_with("schedule", expected, |text| match text {
        "off" => Some(None),
        text => humantime::parse_duration(text)
            .ok()
            .filter(|interval| *interval >= Duration::from_secs(1))
            .map(Some),
    });
    set(&mut config.gc_schedule, schedule);
    gc.end();
    for mut rule in section.sections("access") {
        config.rules.access.push(access_rule(&mut rule));
        rule.end();
    }
    for mut pattern in section.sections("immutable") {
        config.rules.immutable.push(tag_pattern(&mut pattern));
        pattern.end();
    }
    for mut rule in section.sections("retention") {
        let tags = tag_pattern(&mut rule);
        rule.require("keep", "the number of newest tags to keep");
        if let Some(keep) = rule.count("keep") {
            config.gc.retention.push(Retention { tags, keep });
        }
        rule.end();
    }
    section.end();
    config
}

fn access_rule(section: &mut Section<'_>) -> AccessRule {
    let prefix = prefix(section);
    let mut whom = |key| {
        section.list(key, "\"anonymous\", \"authenticated\" or user names", |text| match text {
            "" => None,
            "anonymous" => Some(Principal::Anonymous),
            "authenticated" => Some(Principal::Authenticated),
            name => Some(Principal::User(name.to_owned())),
        })
    };
    let pull = whom("pull").unwrap_or_default();
    let push = whom("push").unwrap_or_default();
    let delete = whom("delete").unwrap_or_default();
    AccessRule { prefix, pull, push, delete }
}

fn tag_pattern(section: &mut Section<'_>) -> TagPattern {
    let prefix = prefix(section);
    let tags = section.list("tags", "tags, in which * matches any text", |text| {
        (!text.is_empty()).then(|| text.to_owned())
    });
    TagPattern { prefix, tags: tags.unwrap_or_else(|| vec!["*".to_owned()]) }
}

fn prefix(section: &mut Section<'_>) -> String {
    let expected = "a repository or a folder of repositories, such as \"tools\", or \"\" for all";
    let prefix = section.parse_with("prefix", expected, |text| {
        let name = text.trim_end_matches('/');
        let valid = name.is_empty() || name.parse::<oci::Repository>().is_ok();
        valid.then(|| name.to_owned())
    });
    prefix.unwrap_or_default()
}
