// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Configuration. Order of priority: flags, environment, file, defaults.

mod reader;
#[cfg(test)]
mod reference;
mod registry;
mod service;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeTable;

pub use crate::audit::AuditConfig;
pub use crate::logging::LogFormat;
pub use crate::tls::TlsConfig;
pub use reader::Fault;
pub use registry::RegistryConfig;
pub use service::{ApiConfig, JobsConfig, StorageKeys, WebhookConfig, read_secrets};

use crate::registry::access::Principal;
use reader::{Section, Source};

/// Configuration of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port to listen on; port 0 selects a free one.
    pub listen: SocketAddr,
    /// Time limit for open requests at shutdown.
    pub shutdown_timeout: Duration,
    /// Separate address and port for hosts and BMCs; None: `listen` serves them too.
    pub machine_listen: Option<SocketAddr>,
    /// Connection limits of `listen`.
    pub connections: ConnectionLimits,
    /// Connection limits of `machine_listen`.
    pub machine_connections: ConnectionLimits,
    /// How long a transfer may stall, in either direction.
    pub stall_timeout: Duration,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Log format.
    pub log_format: LogFormat,
    /// Log level, or directives of tracing's `EnvFilter`.
    pub log_level: String,
    /// Data folder.
    pub data_dir: PathBuf,
    /// Encryption keys of passwords in the database.
    pub storage_keys: StorageKeys,
    /// Retention of the audit log.
    pub audit: AuditConfig,
    /// The registry.
    pub registry: RegistryConfig,
    /// API users and tokens.
    pub api: ApiConfig,
    /// Authentication of host reports.
    pub webhook: WebhookConfig,
    /// Jobs.
    pub jobs: JobsConfig,
    /// Time limits of BMCs and hosts.
    pub redfish: redfish::Timing,
    /// The certificate; None: plain HTTP.
    pub tls: Option<TlsConfig>,
}

/// Limits of concurrent connections. Connections over a limit can use only health checks and
/// webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Total.
    pub all: usize,
    /// Per address; for IPv6 per /64.
    pub per_address: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { all: 1024, per_address: 256 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            shutdown_timeout: Duration::from_secs(30),
            machine_listen: None,
            connections: ConnectionLimits::default(),
            machine_connections: ConnectionLimits::default(),
            stall_timeout: Duration::from_mins(1),
            trusted_proxies: Vec::new(),
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
            data_dir: PathBuf::from("/var/lib/provisioner"),
            storage_keys: StorageKeys::default(),
            audit: AuditConfig::default(),
            registry: RegistryConfig::default(),
            api: ApiConfig { requests_per_second: 100, ..ApiConfig::default() },
            webhook: WebhookConfig::default(),
            jobs: JobsConfig::default(),
            redfish: redfish::Timing::default(),
            tls: None,
        }
    }
}

/// Values from flags and the environment, with priority over the file.
#[derive(Debug, Default)]
pub struct Overrides {
    /// Overrides `server.listen`.
    pub listen: Option<SocketAddr>,
    /// Overrides `server.machine_listen`.
    pub machine_listen: Option<SocketAddr>,
    /// Overrides `storage.data_dir`.
    pub data_dir: Option<PathBuf>,
    /// Overrides `log.format`.
    pub log_format: Option<LogFormat>,
    /// Overrides `log.level`.
    pub log_level: Option<String>,
}

/// An invalid configuration, with all its faults.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<Fault>);

impl Config {
    /// Reads `file`, if given, and checks it and the files that it names.
    ///
    /// # Errors
    /// With all faults.
    pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let fault = |place: String, message: String| ConfigError(vec![Fault { place, message }]);
        let name = file.map_or_else(|| "defaults".to_owned(), |file| file.display().to_string());
        let text = match file {
            Some(file) => fs::read_to_string(file).map_err(|e| {
                fault(name.clone(), format!("{e}; expected a configuration file in TOML"))
            })?,
            None => String::new(),
        };
        let (mut config, mut faults) = parse(&name, &text);
        config.apply(overrides);
        config.check(&name, &mut faults);
        if faults.is_empty() { Ok(config) } else { Err(ConfigError(faults)) }
    }

    /// Returns the path of the database.
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("controller.db")
    }

    /// Returns the folder of the registry.
    pub fn registry_dir(&self) -> PathBuf {
        self.data_dir.join("registry")
    }

    fn apply(&mut self, overrides: Overrides) {
        let Overrides { listen, machine_listen, data_dir, log_format, log_level } = overrides;
        set(&mut self.listen, listen);
        self.machine_listen = machine_listen.or(self.machine_listen);
        set(&mut self.data_dir, data_dir);
        set(&mut self.log_format, log_format);
        set(&mut self.log_level, log_level);
    }

    /// Checks rules that involve several values.
    fn check(&self, name: &str, faults: &mut Vec<Fault>) {
        let mut fault = |message: String| faults.push(Fault { place: name.to_owned(), message });
        let rules = &self.registry.rules;
        let listeners =
            [("server.listen", Some(self.listen)), ("server.machine_listen", self.machine_listen)];
        for (name, address) in listeners {
            if let Some(address) = address
                && rules.access.is_empty()
                && !address.ip().is_loopback()
            {
                fault(format!(
                    "{name} is {address}, not a loopback address, and the registry has no access rules: expected at least one [[registry.access]], or a loopback address"
                ));
            }
        }
        if let Some(machines) = self.machine_listen
            && let Some(url) = self.jobs.url.as_deref()
            && machines != self.listen
            && url
                .split_once("://")
                .is_some_and(|(_, host)| host.trim_end_matches('/') == self.listen.to_string())
        {
            fault(format!(
                "jobs.url is {url}, the listener of operators: expected the URL of server.machine_listen, {machines}"
            ));
        }
        if let Err(e) = crate::logging::filter(&self.log_level) {
            fault(format!(
                "log.level is {:?}: {e}; expected error, warn, info, debug, trace, or directives such as info,controller=debug",
                self.log_level
            ));
        }
        let files = [
            self.storage_keys.read().err(),
            self.api.read_users().err(),
            self.api.read_token_key().err(),
            self.api.read_revoked_tokens().err(),
            self.api.check_roles().err(),
            read_secrets(&self.webhook.secrets).err(),
            self.jobs.read_settings().err(),
            self.jobs.read_ca().err(),
            self.tls.as_ref().and_then(|tls| crate::tls::load(tls).err()),
        ];
        files.into_iter().flatten().for_each(&mut fault);
        let users = match self.registry.read_users() {
            Ok(users) => users,
            Err(error) => return fault(error),
        };
        let named = rules.access.iter().flat_map(|rule| [&rule.pull, &rule.push, &rule.delete]);
        for who in named.flatten() {
            match (who, &users) {
                (Principal::User(_) | Principal::Authenticated, None) => fault(
                    "registry.access names users, but registry.htpasswd is missing: expected the path of a file made with `htpasswd -B`".to_owned(),
                ),
                (Principal::User(name), Some(users)) if !users.contains(name) => fault(format!(
                    "registry.access names {name:?}, who is not in registry.htpasswd"
                )),
                _ => {}
            }
        }
        faults.dedup();
    }
}

fn set<T>(value: &mut T, over: Option<T>) {
    if let Some(over) = over {
        *value = over;
    }
}

/// Parses a configuration file; invalid values get their default.
fn parse(name: &str, text: &str) -> (Config, Vec<Fault>) {
    let mut config = Config::default();
    let source = Source::new(name, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        source.fault(at, error.message().to_owned());
    }
    let mut root = Section::root(&source, table.get_ref());

    let mut server = root.section("server");
    set(&mut config.listen, server.parse("listen", "ADDRESS:PORT, such as \"127.0.0.1:8080\""));
    set(&mut config.shutdown_timeout, server.duration("shutdown_timeout"));
    config.machine_listen =
        server.parse("machine_listen", "ADDRESS:PORT, such as \"192.0.2.1:8081\"");
    set(&mut config.stall_timeout, server.duration("stall_timeout"));
    for (key, value) in [
        ("max_connections", &mut config.connections.all),
        ("max_connections_per_address", &mut config.connections.per_address),
        ("machine_max_connections", &mut config.machine_connections.all),
        ("machine_max_connections_per_address", &mut config.machine_connections.per_address),
    ] {
        set(value, server.count(key));
    }
    let expected = "addresses or networks, such as \"192.0.2.10\" or \"10.0.0.0/8\"";
    set(&mut config.trusted_proxies, server.list("trusted_proxies", expected, network));
    server.end();

    let mut log = root.section("log");
    set(
        &mut config.log_format,
        log.parse_with("format", "\"text\" or \"json\"", |text| {
            clap::ValueEnum::from_str(text, false).ok()
        }),
    );
    set(&mut config.log_level, log.parse("level", "a text such as \"info\""));
    log.end();

    let mut storage = root.section("storage");
    set(&mut config.data_dir, storage.parse("data_dir", "the path of a folder"));
    config.storage_keys = service::storage_keys(&mut storage);
    storage.end();

    config.registry = registry::registry(root.section("registry"));
    config.audit = service::audit(root.section("audit"));
    config.api = service::api(root.section("api"));
    config.webhook = service::webhook(root.section("webhook"));
    config.jobs = service::jobs(root.section("jobs"));
    config.redfish = service::redfish(root.section("redfish"));
    config.tls = service::tls(root.section("tls"));
    root.end();
    (config, source.faults.take())
}

/// Parses a network or a single address.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_reported_with_its_location_and_the_expected_form() {
        let text = "\
[server]
listen = \"nowhere\"
shutdown_timeout = 5
max_connections = 0
colour = \"red\"

[registry]
htpasswd = [\"x\"]
[[registry.access]]
prefix = \"../up\"
pull = [\"anonymous\", 3]
push = \"ci\"
[[registry.immutable]]
tags = [\"\"]
[[registry.retention]]
[extra]
";
        let (_, faults) = parse("c.toml", text);
        let texts: Vec<String> = faults.iter().map(Fault::to_string).collect();
        let expected = [
            "c.toml:2:10: server.listen is \"nowhere\", expected ADDRESS:PORT, such as \"127.0.0.1:8080\"",
            "c.toml:3:20: server.shutdown_timeout is integer, expected a duration such as \"30s\" or \"7d\"",
            "c.toml:4:19: server.max_connections is integer, expected an integer of at least 1",
            "c.toml:5:1: server.colour is unknown, expected listen, shutdown_timeout, machine_listen, stall_timeout, max_connections, max_connections_per_address, machine_max_connections, machine_max_connections_per_address, trusted_proxies",
            "c.toml:8:12: registry.htpasswd is array, expected the path of a file",
            "c.toml:10:10: registry.access[0].prefix is \"../up\", expected a repository or a folder of repositories, such as \"tools\", or \"\" for all",
            "c.toml:11:22: registry.access[0].pull is integer, expected \"anonymous\", \"authenticated\" or user names",
            "c.toml:12:8: registry.access[0].push is \"ci\", expected a list of \"anonymous\", \"authenticated\" or user names",
            "c.toml:14:9: registry.immutable[0].tags is \"\", expected tags, in which * matches any text",
            "c.toml:15:1: registry.retention[0].keep is missing, expected the number of newest tags to keep",
            "c.toml:16:2: extra is unknown, expected server, log, storage, registry, audit, api, webhook, jobs, redfish, tls",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn broken_toml_is_reported_with_its_location() {
        let (_, faults) = parse("c.toml", "[server]\nlisten = \n");
        assert!(faults.first().is_some_and(|fault| fault.place == "c.toml:2:10"), "{faults:?}");
    }

    #[test]
    fn an_open_address_needs_rules() {
        let open = || Overrides { listen: "0.0.0.0:0".parse().ok(), ..Overrides::default() };
        let error = Config::load(None, open()).unwrap_err().to_string();
        assert!(error.contains("expected at least one [[registry.access]]"), "{error}");
        let open = Overrides { machine_listen: "0.0.0.0:0".parse().ok(), ..Overrides::default() };
        let error = Config::load(None, open).unwrap_err().to_string();
        assert!(error.contains("server.machine_listen is 0.0.0.0:0"), "{error}");
        assert!(Config::load(None, Overrides::default()).is_ok());
    }

    #[test]
    fn machines_are_not_sent_to_the_operators_address() {
        let text = "[server]\nlisten = \"127.0.0.1:1\"\nmachine_listen = \"127.0.0.1:2\"\n\
                    trusted_proxies = [\"192.0.2.1\", \"10.0.0.0/8\", \"x\"]\n\
                    [jobs]\nurl = \"http://127.0.0.1:1/\"\n";
        let (config, mut faults) = parse("c.toml", text);
        assert_eq!(config.trusted_proxies.len(), 2);
        config.check("c.toml", &mut faults);
        let texts: Vec<String> = faults.iter().map(Fault::to_string).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].contains("server.trusted_proxies is \"x\""), "{texts:?}");
        assert!(texts[1].contains("jobs.url is http://127.0.0.1:1/"), "{texts:?}");
    }

    #[test]
    fn users_in_rules_must_exist() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        let rule = "[[registry.access]]\nprefix = \"\"\npush = [\"ci\", \"ghost\"]\n";
        fs::write(&file, rule).unwrap();
        let error = Config::load(Some(&file), Overrides::default()).unwrap_err().to_string();
        assert!(error.contains("registry.htpasswd is missing"), "{error}");
        let users = folder.path().join("users");
        fs::write(&users, format!("ci:{}\n", bcrypt::hash("x", 4).unwrap())).unwrap();
        let text = format!("[registry]\nhtpasswd = {users:?}\n{rule}");
        fs::write(&file, text).unwrap();
        let error = Config::load(Some(&file), Overrides::default()).unwrap_err();
        assert_eq!(error.0.len(), 1, "{error}");
        assert!(error.to_string().contains("names \"ghost\""), "{error}");
    }

    #[test]
    fn flags_win_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        fs::write(&file, "[server]\nlisten = \"127.0.0.1:1\"\n[log]\nformat = \"json\"\n").unwrap();
        let over = Overrides { listen: "127.0.0.1:2".parse().ok(), ..Overrides::default() };
        let config = Config::load(Some(&file), over).unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.log_format, LogFormat::Json);
    }
}
