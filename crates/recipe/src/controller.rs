// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/controller.json` on the task ISO: how the host reaches the controller.
//!
//! The maintenance OS is the same for every host and site, so this comes with the task, and
//! `/recipe.sig` covers it. The dispatcher writes it to [`DEFAULT_DIR`], apart from
//! `/run/provision`: steps need no secret of the controller.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    env_file::{self, EnvFileError},
    text::{FormError, ShortText},
    uri,
};

/// The file on the task ISO.
pub const CONTROLLER_JSON: &str = "controller.json";
/// The largest such file, in bytes.
pub const MAX_CONTROLLER_BYTES: usize = 16 * 1024;
/// Folder that the dispatcher writes: mode 0700, files 0600.
pub const DEFAULT_DIR: &str = "/run/controller";
/// `WEBHOOK_URL`, `WEBHOOK_SECRET` and `JOB_ID`, for the unit that reports.
pub const WEBHOOK_ENV: &str = "webhook.env";
/// `TOOLS`, the prefix of tool images, for the units of the steps. For a registry over HTTP,
/// `CONTAINERS_REGISTRIES_CONF` configures podman, and `PLAIN_HTTP_REGISTRY` the steps.
pub const TOOLS_ENV: &str = "tools.env";
/// containers-registries.conf(5), for a registry over HTTP.
pub const REGISTRIES_CONF: &str = "registries.conf";
/// CA certificates of the site (PEM), which the host trusts in addition to those of its image.
pub const CA_PEM: &str = "ca.pem";

/// How the host reaches the controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControllerAccess {
    /// Webhook for the report, with the host's serial number.
    pub webhook_url: WebhookUrl,
    /// Value of the header `X-Webhook-Secret`.
    pub webhook_secret: WebhookSecret,
    /// The job of the report.
    pub job_id: ShortText,
    /// The registry of the tool images, as `HOST[:PORT][/PREFIX]`; `None` if they are bound into
    /// the maintenance OS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_registry: Option<ToolRegistry>,
    /// CA certificates of the controller and of the site's registries; `None` if public CAs issued
    /// their certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaCertificates>,
}

/// A checked string of `/controller.json`.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $form:literal, $max:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = FormError;
            fn try_from(text: String) -> Result<Self, FormError> {
                let check: fn(&str) -> bool = $check;
                let good = !text.is_empty() && text.len() <= $max && check(&text);
                if good { Ok(Self(text)) } else { Err(FormError($form)) }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    };
}

text!(
    /// An http or https URL without user and password.
    WebhookUrl,
    "an http or https URL without user and password",
    2048,
    |text| {
        uri::is_uri(text)
            && (text.starts_with("https://") || text.starts_with("http://"))
            && !uri::has_credentials(text)
    }
);

text!(
    /// The secret of the webhook: printable ASCII, for a header. `Debug` does not show it.
    WebhookSecret,
    "up to 512 printable ASCII characters",
    512,
    |text| text.bytes().all(|b| b.is_ascii_graphic())
);

text!(
    /// A registry with a prefix of its repositories.
    ToolRegistry,
    "a registry as HOST[:PORT][/PREFIX]",
    255,
    |text| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
            && text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == ']')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"[]:._/-".contains(&b))
    }
);

text!(
    /// Certificates as PEM (RFC 7468), up to 12 KiB, about eight. Text between them is ignored.
    CaCertificates,
    "certificates in PEM, up to 12288 bytes in all, and no private key",
    12_288,
    |text| {
        text.contains("-----BEGIN CERTIFICATE-----")
            && !text.contains("PRIVATE KEY")
            && !text.bytes().any(|b| b.is_ascii_control() && !b.is_ascii_whitespace())
    }
);

impl fmt::Debug for CaCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of PEM", self.0.len())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&uri::redact(&self.0), f)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} characters", self.0.len())
    }
}

impl fmt::Debug for ToolRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why the file was refused. It never repeats a value.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// Not JSON of this shape. `serde_json` names the field, and of a value only its form.
    #[error("{CONTROLLER_JSON}: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A value cannot be passed on.
    #[error("{CONTROLLER_JSON}: {0}")]
    Env(#[from] EnvFileError),
}

impl ControllerAccess {
    /// Reads the file.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ControllerError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The file's bytes, for the task ISO.
    pub fn to_json(&self) -> Result<Vec<u8>, ControllerError> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The files of [`DEFAULT_DIR`], by name.
    pub fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, ControllerError> {
        let webhook = env_file::write([
            ("WEBHOOK_URL", self.webhook_url.0.as_str()),
            ("WEBHOOK_SECRET", self.webhook_secret.0.as_str()),
            ("JOB_ID", self.job_id.as_str()),
        ])?;
        let mut files = vec![(WEBHOOK_ENV, webhook.into_bytes())];
        if let Some(registry) = &self.tool_registry {
            let tools = format!("{}/tools", registry.0);
            let mut variables = vec![("TOOLS", tools.as_str())];
            let conf = format!("{DEFAULT_DIR}/{REGISTRIES_CONF}");
            if let Some(host) = self.plain_registry() {
                variables.push(("CONTAINERS_REGISTRIES_CONF", &conf));
                variables.push(("PLAIN_HTTP_REGISTRY", host));
                let text = format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n");
                files.push((REGISTRIES_CONF, text.into_bytes()));
            }
            files.push((TOOLS_ENV, env_file::write(variables)?.into_bytes()));
        }
        if let Some(ca) = &self.ca {
            files.push((CA_PEM, ca.0.clone().into_bytes()));
        }
        Ok(files)
    }

    /// The registry's `HOST[:PORT]` if it is read over HTTP: it is the service that hosts report to
    /// over HTTP. Any other requires HTTPS.
    fn plain_registry(&self) -> Option<&str> {
        let host = self.tool_registry.as_ref()?.0.split('/').next()?;
        let service = self.webhook_url.0.strip_prefix("http://")?.split('/').next()?;
        (host == service).then_some(host)
    }

    /// Writes or replaces the folder `dir` atomically.
    #[cfg(feature = "write")]
    pub fn write(&self, dir: &std::path::Path) -> Result<(), crate::provision::ProvisionError> {
        let files = self.files().map_err(|error| crate::provision::ProvisionError::Malformed {
            path: dir.to_owned(),
            what: error.to_string(),
        })?;
        crate::write::replace_folder(dir, &files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{
        "webhook_url": "https://c.example:8443/api/v1/status-webhook/SN1",
        "webhook_secret": "a$b`c\"d",
        "job_id": "0192f0c1-2b3c",
        "tool_registry": "c.example:8443/lab"
    }"#;

    #[test]
    fn what_is_passed_on_is_read_back_by_systemds_rules() {
        let access = ControllerAccess::from_slice(GOOD.as_bytes()).unwrap();
        let again = ControllerAccess::from_slice(&access.to_json().unwrap()).unwrap();
        assert_eq!(again, access);
        let files = access.files().unwrap();
        let [(WEBHOOK_ENV, webhook), (TOOLS_ENV, tools)] = files.as_slice() else { panic!() };
        let pairs = env_file::parse(webhook).unwrap();
        assert_eq!(pairs[1], ("WEBHOOK_SECRET".to_owned(), "a$b`c\"d".to_owned()));
        let pairs = env_file::parse(tools).unwrap();
        assert_eq!(pairs[0], ("TOOLS".to_owned(), "c.example:8443/lab/tools".to_owned()));
    }

    #[test]
    fn only_the_controllers_own_registry_may_speak_plain_http() {
        let names = |from: &str, to: &str| {
            let access = ControllerAccess::from_slice(GOOD.replace(from, to).as_bytes()).unwrap();
            access.files().unwrap()
        };
        let files = names("https://", "http://");
        let [(WEBHOOK_ENV, _), (REGISTRIES_CONF, conf), (TOOLS_ENV, tools)] = files.as_slice()
        else {
            panic!("{files:?}")
        };
        let conf = String::from_utf8_lossy(conf);
        assert_eq!(conf, "[[registry]]\nlocation = \"c.example:8443\"\ninsecure = true\n");
        let variables = env_file::parse(tools).unwrap();
        let conf = "/run/controller/registries.conf".to_owned();
        assert_eq!(variables[1], ("CONTAINERS_REGISTRIES_CONF".to_owned(), conf));
        assert_eq!(variables[2], ("PLAIN_HTTP_REGISTRY".to_owned(), "c.example:8443".to_owned()));
        for (from, to) in [
            ("https://c.example:8443/api", "http://other:8443/api"),
            ("https://c.example:8443/api", "http://c.example/api"),
            ("https://", "https://"),
        ] {
            assert_eq!(names(from, to).len(), 2, "{to}");
        }
    }

    #[test]
    fn what_has_another_form_is_refused_and_not_repeated() {
        for (from, to) in [
            ("https://c", "ftp://c"),
            ("https://c", "https://u:hunter2@c"),
            ("a$b", "hunter2 b"),
            ("a$b", r"hunter2\nb"),
            ("c.example:8443/lab", "hunter2;reboot"),
            ("c.example:8443/lab", "--hunter2"),
            ("job_id", "jobs"),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD);
            let error = ControllerAccess::from_slice(text.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn ca_holds_certificates_and_nothing_secret() {
        let pem = "the lab's\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let ca = |text: &str| CaCertificates::try_from(text.to_owned());
        let access = ControllerAccess {
            ca: Some(ca(pem).unwrap()),
            ..ControllerAccess::from_slice(GOOD.as_bytes()).unwrap()
        };
        let again = ControllerAccess::from_slice(&access.to_json().unwrap()).unwrap();
        let files = again.files().unwrap();
        assert_eq!(files.last().unwrap(), &(CA_PEM, pem.as_bytes().to_vec()));
        for bad in ["", "MIIB", &pem.replace('\n', "\0"), &pem.repeat(200)] {
            assert!(ca(bad).is_err(), "{bad:?}");
        }
        let key = ["-----BEGIN ", "PRIVATE KEY-----"].concat();
        assert!(ca(&format!("{pem}{key}")).is_err());
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let access = ControllerAccess::from_slice(GOOD.as_bytes()).unwrap();
        assert!(!format!("{access:?}").contains("a$b"), "{access:?}");
    }
}
