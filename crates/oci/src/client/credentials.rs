// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Registry credentials from the files of `podman login` and `docker login`, and from the
//! credential helpers configured there.
//!
//! Order and format: containers-auth.json(5), and `credHelpers` and `credsStore` of docker(1).
//! Errors and `Debug` output contain no secrets.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::helper::{self, HelperError, Secret};

/// Source of a client's credentials.
#[derive(Debug, Clone, Default)]
pub enum CredentialSource {
    /// The user's credential files, see [`files()`].
    #[default]
    Files,
    /// No credentials: anonymous access.
    Anonymous,
    /// Fixed credentials.
    Fixed(Credentials),
}

/// Credentials for a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// User name and password.
    Password {
        /// User name.
        username: String,
        /// Password or access token.
        password: String,
    },
    /// Identity token, which the authorization server exchanges for short-lived tokens.
    IdentityToken(String),
}

impl From<Secret> for Credentials {
    fn from(Secret { username, secret }: Secret) -> Self {
        if username == helper::TOKEN {
            Self::IdentityToken(secret)
        } else {
            Self::Password { username, password: secret }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(REDACTED)")
    }
}

/// Reason why a credential file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// I/O error.
    #[error("{}: {source}", path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Not the expected JSON. The error has only the position, since the parser's message could
    /// contain a secret.
    #[error("{}: line {line}, column {column}: expected {{\"auths\": {{\"REGISTRY\": {{\"auth\": \"BASE64\"}}}}}}", path.display())]
    Malformed {
        /// Path of the file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A credential helper failed.
    #[error("{}: the credential helper docker-credential-{helper}: {source}", path.display())]
    Helper {
        /// Path of the file that configures the helper.
        path: PathBuf,
        /// Name of the helper without `docker-credential-`.
        helper: String,
        /// Cause.
        source: HelperError,
    },
    /// The `auth` of an entry is not base64 of `USER:PASSWORD`.
    #[error("{}: entry {entry:?}: \"auth\" is not base64 of USER:PASSWORD; log in again", path.display())]
    Entry {
        /// Path of the file.
        path: PathBuf,
        /// Registry name of the entry.
        entry: String,
    },
}

impl CredentialSource {
    /// Finds the credentials for a repository.
    pub(super) fn find(
        &self,
        registry: &str,
        repository: Option<&str>,
    ) -> Result<Option<Credentials>, CredentialsError> {
        match self {
            Self::Anonymous => Ok(None),
            Self::Fixed(credentials) => Ok(Some(credentials.clone())),
            Self::Files => {
                let files = files(|name| std::env::var_os(name));
                search(&files, registry, repository, helper::ask)
            }
        }
    }
}

/// The credential files in search order. If `REGISTRY_AUTH_FILE` is set, it is the only one.
pub fn files(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(file) = set("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let home = set("HOME");
    let config = set("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
    let docker = set("DOCKER_CONFIG").or_else(|| home.as_ref().map(|home| home.join(".docker")));
    [
        set("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
        config.map(|folder| folder.join("containers/auth.json")),
        docker.map(|folder| folder.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    /// Helper per registry.
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    /// Helper for all other registries.
    #[serde(default, rename = "credsStore")]
    store: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
}

/// Result of a helper query; see [`helper::ask`].
type Answer = Result<Option<Secret>, HelperError>;

/// Searches each file: the helper of the registry, then the stored secrets, then the default
/// helper.
fn search(
    files: &[PathBuf],
    registry: &str,
    repository: Option<&str>,
    ask: impl Fn(&str, &str) -> Answer,
) -> Result<Option<Credentials>, CredentialsError> {
    for path in files {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(CredentialsError::Io { path: path.clone(), source }),
        };
        let file: File = serde_json::from_slice(&bytes).map_err(|e| {
            CredentialsError::Malformed { path: path.clone(), line: e.line(), column: e.column() }
        })?;
        let ask = |helper: &str| {
            let secret = ask(helper, registry).map_err(|source| CredentialsError::Helper {
                path: path.clone(),
                helper: helper.to_owned(),
                source,
            })?;
            Ok::<_, CredentialsError>(secret.map(Credentials::from))
        };
        let own = file.helpers.iter().find(|(key, _)| normalise(key) == registry);
        if let Some((_, helper)) = own
            && let Some(credentials) = ask(helper)?
        {
            return Ok(Some(credentials));
        }
        for name in names(registry, repository) {
            let entry = file.auths.iter().find(|(key, _)| normalise(key) == name);
            if let Some(credentials) =
                entry.map(|(key, entry)| entry.read(path, key)).transpose()?.flatten()
            {
                return Ok(Some(credentials));
            }
        }
        if !file.store.is_empty()
            && let Some(credentials) = ask(&file.store)?
        {
            return Ok(Some(credentials));
        }
    }
    Ok(None)
}

/// Entry names to look up, the most specific first: `r.example/a/b`, `r.example/a`, `r.example`.
fn names(registry: &str, repository: Option<&str>) -> Vec<String> {
    let mut name = match repository {
        Some(repository) => format!("{registry}/{repository}"),
        None => registry.to_owned(),
    };
    let mut names = vec![name.clone()];
    while let Some(slash) = name.rfind('/') {
        name.truncate(slash);
        names.push(name.clone());
    }
    names
}

/// Removes scheme and API version, which old Docker versions wrote: `https://r.example/v1/`.
fn normalise(key: &str) -> &str {
    let key = key.trim_start_matches("https://").trim_start_matches("http://");
    let key = key.trim_end_matches('/');
    key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key)
}

impl Entry {
    /// Returns `None` for an empty entry, which Docker writes when a helper stores the secret.
    fn read(&self, path: &Path, key: &str) -> Result<Option<Credentials>, CredentialsError> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credentials::IdentityToken(self.identitytoken.clone())));
        }
        if self.auth.is_empty() {
            return Ok(None);
        }
        let fault = || CredentialsError::Entry { path: path.to_owned(), entry: key.to_owned() };
        let bytes = STANDARD.decode(self.auth.trim()).map_err(|_| fault())?;
        let text = String::from_utf8(bytes).map_err(|_| fault())?;
        let (username, password) = text.split_once(':').ok_or_else(fault)?;
        Ok(Some(Credentials::Password {
            username: username.to_owned(),
            // Some Docker versions pad with NUL.
            password: password.trim_end_matches('\0').to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        fs::write(&path, content).unwrap();
        (folder, vec![PathBuf::from("/nonexistent/auth.json"), path])
    }

    fn auth(user: &str) -> String {
        STANDARD.encode(format!("{user}:not:a:secret"))
    }

    /// A helper that returns its own name as the user, for one registry.
    #[expect(clippy::unnecessary_wraps, reason = "it has the type of a helper")]
    fn keeper(helper: &str, registry: &str) -> Answer {
        let (username, secret) = (helper.to_owned(), "not:a:secret".to_owned());
        Ok((registry == "h.example").then_some(Secret { username, secret }))
    }

    fn user(files: &[PathBuf], registry: &str, repository: Option<&str>) -> Option<String> {
        match search(files, registry, repository, keeper).unwrap()? {
            Credentials::Password { username, password } => {
                assert_eq!(password, "not:a:secret");
                Some(username)
            }
            Credentials::IdentityToken(token) => Some(token),
        }
    }

    #[test]
    fn the_most_specific_entry_wins() {
        let (_folder, files) = file(&format!(
            r#"{{"auths":{{"r.example":{{"auth":"{}"}},"r.example/a":{{"auth":"{}"}},"https://old.example/v1/":{{"auth":"{}"}},"t.example":{{"identitytoken":"token"}},"n.example":{{}}}}}}"#,
            auth("all"),
            auth("a"),
            auth("old"),
        ));
        assert_eq!(user(&files, "r.example", Some("a/b")).as_deref(), Some("a"));
        assert_eq!(user(&files, "r.example", Some("ab")).as_deref(), Some("all"));
        assert_eq!(user(&files, "r.example", None).as_deref(), Some("all"));
        assert_eq!(user(&files, "old.example", Some("x")).as_deref(), Some("old"));
        assert_eq!(user(&files, "t.example", Some("x")).as_deref(), Some("token"));
        assert_eq!(user(&files, "n.example", None), None);
        assert_eq!(user(&files, "r.example:5000", None), None);
    }

    #[test]
    fn helpers_are_asked_before_and_after_the_secrets_of_a_file() {
        let read = |registries: &str| {
            let (_folder, files) = file(&format!("{{{registries},\"credsStore\":\"all\"}}"));
            user(&files, "h.example", Some("a"))
        };
        let auth = format!(r#""auths":{{"h.example":{{"auth":"{}"}}}}"#, auth("file"));
        assert_eq!(read(r#""auths":{"h.example":{}}"#).as_deref(), Some("all"));
        assert_eq!(read(&auth).as_deref(), Some("file"));
        let own = format!(r#"{auth},"credHelpers":{{"https://h.example":"own"}}"#);
        assert_eq!(read(&own).as_deref(), Some("own"));

        let (_folder, files) = file(r#"{"credsStore":"gone"}"#);
        let fails = |_: &str, _: &str| Err(HelperError::Failed);
        let error = search(&files, "r.example", None, fails).unwrap_err().to_string();
        assert!(error.contains("docker-credential-gone: it failed"), "{error}");
        let (_folder, files) = file(r#"{"credHelpers":{"other.example":"gone"}}"#);
        assert_eq!(search(&files, "r.example", None, fails).unwrap(), None);
    }

    #[test]
    fn no_error_repeats_a_secret() {
        for (content, place) in [
            (r#"{"auths":"hunter2"}"#, "line 1, column"),
            (r#"{"auths":{"r.example":"hunter2"}}"#, "line 1, column"),
            (r#"{"auths":{"r.example":{"auth":"hunter2!"}}}"#, "entry \"r.example\""),
            (r#"{"auths":{"r.example":{"auth":"aHVudGVyMg=="}}}"#, "entry \"r.example\""),
        ] {
            let (_folder, files) = file(content);
            let error = search(&files, "r.example", None, keeper).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(place), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        let credentials = Credentials::IdentityToken("hunter2".to_owned());
        assert_eq!(format!("{credentials:?}"), "Credentials(REDACTED)");
    }

    #[test]
    fn files_are_searched_in_the_documented_order() {
        let environment = |set: &'static [(&str, &str)]| {
            files(move |name| set.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)))
        };
        assert_eq!(
            environment(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/0")]),
            [
                "/run/user/0/containers/auth.json",
                "/h/.config/containers/auth.json",
                "/h/.docker/config.json"
            ]
            .map(PathBuf::from)
        );
        assert_eq!(
            environment(&[("HOME", "/h"), ("REGISTRY_AUTH_FILE", "/a.json")]),
            [PathBuf::from("/a.json")]
        );
        assert!(environment(&[]).is_empty());
    }
}
