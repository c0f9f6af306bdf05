// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `[registry]`: users, access rules and garbage collection.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::{Section, Source};
use super::set;
use crate::registry::access::{AccessRule, Rules, Who};
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

pub(super) fn registry(source: &mut Source<'_>, mut section: Section<'_>) -> RegistryConfig {
    let htpasswd = section.parse(source, "htpasswd", "the path of a file");
    let mut config = RegistryConfig { htpasswd, ..RegistryConfig::default() };
    set(&mut config.upload_expiry, section.duration(source, "upload_expiry"));
    let mut gc = section.section(source, "gc");
    set(&mut config.gc.grace, gc.duration(source, "grace"));
    set(&mut config.gc.quarantine, gc.duration(source, "quarantine"));
    let untagged =
        gc.parse_with(source, "untagged", "\"keep\" or \"collect\"", |text| match text {
            "keep" => Some(false),
            "collect" => Some(true),
            _ => None,
        });
    set(&mut config.gc.untagged, untagged);
    let expected = "\"off\", or an interval of at least one second such as \"24h\"";
    let schedule = gc.parse_with(source, "schedule", expected, |text| match text {
        "off" => Some(None),
        text => humantime::parse_duration(text)
            .ok()
            .filter(|interval| *interval >= Duration::from_secs(1))
            .map(Some),
    });
    set(&mut config.gc_schedule, schedule);
    gc.end(source);
    for mut rule in section.sections(source, "access") {
        config.rules.access.push(access_rule(source, &mut rule));
        rule.end(source);
    }
    for mut pattern in section.sections(source, "immutable") {
        config.rules.immutable.push(tag_pattern(source, &mut pattern));
        pattern.end(source);
    }
    for mut rule in section.sections(source, "retention") {
        let tags = tag_pattern(source, &mut rule);
        rule.require(source, "keep", "the number of newest tags to keep");
        if let Some(keep) = rule.count(source, "keep") {
            config.gc.retention.push(Retention { tags, keep });
        }
        rule.end(source);
    }
    section.end(source);
    config
}

fn access_rule(source: &mut Source<'_>, section: &mut Section<'_>) -> AccessRule {
    let prefix = prefix(source, section);
    let mut whom = |source: &mut Source<'_>, key| {
        section.list(source, key, "\"anonymous\", \"authenticated\" or user names", |text| {
            match text {
                "" => None,
                "anonymous" => Some(Who::Anonymous),
                "authenticated" => Some(Who::Authenticated),
                name => Some(Who::User(name.to_owned())),
            }
        })
    };
    let pull = whom(source, "pull").unwrap_or_default();
    let push = whom(source, "push").unwrap_or_default();
    let delete = whom(source, "delete").unwrap_or_default();
    AccessRule { prefix, pull, push, delete }
}

fn tag_pattern(source: &mut Source<'_>, section: &mut Section<'_>) -> TagPattern {
    let prefix = prefix(source, section);
    let tags = section.list(source, "tags", "tags, in which * matches any text", |text| {
        (!text.is_empty()).then(|| text.to_owned())
    });
    TagPattern { prefix, tags: tags.unwrap_or_else(|| vec!["*".to_owned()]) }
}

fn prefix(source: &mut Source<'_>, section: &mut Section<'_>) -> String {
    let expected = "a repository or a folder of repositories, such as \"tools\", or \"\" for all";
    let prefix = section.parse_with(source, "prefix", expected, |text| {
        let name = text.trim_end_matches('/');
        let valid = name.is_empty() || name.parse::<oci::Repository>().is_ok();
        valid.then(|| name.to_owned())
    });
    prefix.unwrap_or_default()
}
