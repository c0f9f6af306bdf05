// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `[registry.NAME]` and `[assets.NAME]` of `release.toml`: targets of publishing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use oci::{Namespace, Transport};
use serde::Deserialize;

/// The registries by name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, RegistryEntry>")]
pub struct Registries(BTreeMap<String, RegistryEntry>);

/// `[registry.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryEntry {
    /// `HOST[:PORT][/PREFIX]`, without a scheme.
    #[serde(deserialize_with = "address")]
    address: Namespace,
    /// HTTP without TLS. Valid only for a loopback address.
    #[serde(default)]
    plain_http: bool,
    /// PEM file with the CA certificates to trust in place of those of the system, relative to the root.
    pub ca: Option<PathBuf>,
    /// Where the auth file is; without it, the user's own files are read.
    pub auth: Option<AuthFile>,
}

/// Where an auth file of docker or podman is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthFile {
    /// At this path, relative to the root.
    File(PathBuf),
    /// At the path in this environment variable.
    Env(String),
}

/// `[assets.NAME]`: where the files of a release are published; one key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assets {
    /// A folder of a static site, relative to the root.
    Folder(PathBuf),
    /// Releases of the GitHub repository `OWNER/NAME`.
    Github(String),
}

impl RegistryEntry {
    /// The address, with the transport that `plain_http` decides.
    pub fn namespace(&self) -> Namespace {
        let transport = match (self.plain_http, self.address.registry.is_loopback()) {
            (true, _) => Transport::PlainHttp,
            (false, true) => Transport::Tls,
            (false, false) => Transport::Usual,
        };
        Namespace { transport, ..self.address.clone() }
    }
}

impl Registries {
    /// The registry called `name`.
    pub fn get(&self, name: &str) -> Option<&RegistryEntry> {
        self.0.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Namespace, D::Error> {
    let text = String::deserialize(deserializer)?;
    let namespace: Namespace = text.parse().map_err(serde::de::Error::custom)?;
    if namespace.transport == Transport::Usual {
        return Ok(namespace);
    }
    Err(serde::de::Error::custom(format!(
        "{text:?} has a scheme; expected HOST[:PORT][/PREFIX], and plain_http = true for a loopback address \
         without TLS"
    )))
}

impl TryFrom<BTreeMap<String, RegistryEntry>> for Registries {
    type Error = String;

    fn try_from(entries: BTreeMap<String, RegistryEntry>) -> Result<Self, String> {
        for (name, entry) in &entries {
            // `--to` takes a name or an address, and an address has a dot or a port.
            let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
            if name == "localhost" || name.is_empty() || !name.bytes().all(plain) {
                return Err(format!(
                    "[registry.{name}]: a name consists of a-z, 0-9 and dashes, and is not localhost"
                ));
            }
            if entry.plain_http && !entry.address.registry.is_loopback() {
                return Err(format!(
                    "[registry.{name}]: plain_http is valid only for a loopback address, and {} is none; \
                     remove it, and name the CA certificate of the registry as `ca` if it is a private one",
                    entry.address.registry
                ));
            }
            if entry.plain_http && entry.ca.is_some() {
                return Err(format!("[registry.{name}]: `ca` has no effect with plain_http"));
            }
        }
        Ok(Self(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Document {
        registry: Registries,
    }

    fn read(text: &str) -> Result<Registries, String> {
        toml::from_str::<Document>(text).map(|it| it.registry).map_err(|it| it.to_string())
    }

    #[test]
    fn an_entry_has_a_transport_and_an_auth_file() {
        let text = "[registry.staging]\naddress = \"r.example/x\"\nca = \"ca.pem\"\nauth = { env = \"A\" }\n\
                    [registry.lab]\naddress = \"127.0.0.1:5000\"\nplain_http = true\n\
                    [registry.tunnel]\naddress = \"127.0.0.1:5001\"\nauth = { file = \"a.json\" }";
        let registries = read(text).unwrap();
        assert_eq!(registries.names().collect::<Vec<_>>(), ["lab", "staging", "tunnel"]);
        let staging = registries.get("staging").unwrap();
        assert_eq!(staging.namespace().with_scheme(), "r.example/x");
        assert_eq!(staging.auth, Some(AuthFile::Env("A".to_owned())));
        let namespace = |name: &str| registries.get(name).unwrap().namespace().with_scheme();
        assert_eq!(namespace("lab"), "http://127.0.0.1:5000");
        assert_eq!(namespace("tunnel"), "https://127.0.0.1:5001");
    }

    #[test]
    fn assets_go_to_a_folder_or_to_github() {
        let read = |text: &str| toml::from_str::<BTreeMap<String, Assets>>(text);
        let assets = read("[a]\nfolder = \"site\"\n[b]\ngithub = \"o/n\"").unwrap();
        assert_eq!(assets["a"], Assets::Folder("site".into()));
        assert_eq!(assets["b"], Assets::Github("o/n".to_owned()));
        for bad in ["[a]\nfolder = \"x\"\ngithub = \"y\"", "[a]", "[a]\ngitlab = \"x\""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn faults_are_named() {
        for (lines, expected) in [
            ("address = \"r.example\"\nplain_http = true", "valid only for a loopback address"),
            ("address = \"http://r.example\"", "has a scheme"),
            ("address = \"127.0.0.1:1\"\nplain_http = true\nca = \"x\"", "has no effect"),
            ("address = \"r.example\"\nauth = { password = \"x\" }", "unknown variant"),
            ("address = \"r.example\"\npassword = \"x\"", "unknown field"),
            ("ca = \"x\"", "missing field `address`"),
        ] {
            let error = read(&format!("[registry.x]\n{lines}")).unwrap_err();
            assert!(error.contains(expected), "{lines}: {error}");
        }
        for name in ["localhost", "\"r.example\"", "Staging", "\"a:1\""] {
            let error = read(&format!("[registry.{name}]\naddress = \"r.example\"")).unwrap_err();
            assert!(error.contains("a name consists of"), "{name}: {error}");
        }
    }
}
