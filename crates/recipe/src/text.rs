// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Strings of a recipe as types: each value has the form that the schema requires.

use std::fmt;

use crate::{patterns, uri};

/// A string in the wrong form. The error never repeats the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {0}")]
pub struct FormError(pub(crate) &'static str);

/// Defines a newtype of a string that is checked by `$check`, with the conversions for serde and
/// the command line. `Debug` is written by hand where a value may be secret.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $form:literal, $max:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Longest value in characters.
            pub const MAX_CHARS: usize = $max;

            /// Accepts `text` in the form of this field.
            pub fn new(text: impl Into<String>) -> Result<Self, FormError> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if text.chars().count() <= Self::MAX_CHARS && check(&text) {
                    Ok(Self(text))
                } else {
                    Err(FormError($form))
                }
            }

            /// The string as in the recipe.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = FormError;
            fn try_from(text: String) -> Result<Self, FormError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = FormError;
            fn from_str(text: &str) -> Result<Self, FormError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Conversions for serde by `FromStr` and `Display`.
macro_rules! string_conversions {
    ($($name:ident),*) => {
        $(
            impl TryFrom<String> for $name {
                type Error = FormError;
                fn try_from(text: String) -> Result<Self, FormError> {
                    text.parse()
                }
            }

            impl From<$name> for String {
                fn from(value: $name) -> String {
                    value.to_string()
                }
            }
        )*
    };
}
pub(crate) use string_conversions;

/// `Debug` as the bare string, for values without secrets.
macro_rules! debug_as_text {
    ($($name:ident),*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        })*
    };
}

checked_string!(
    /// The block device to write to, such as `/dev/nvme0n1` or
    /// `/dev/disk/by-id/wwn-0x5000c500a1b2c3d4`.
    DiskPath,
    "a disk such as /dev/sda, /dev/nvme0n1 or /dev/disk/by-id/NAME",
    255,
    |text| patterns::matches(patterns::TARGET_DISK, text)
);

checked_string!(
    /// The udev link of a disk that has its model and serial number, or its WWN.
    DiskId,
    "a disk such as /dev/disk/by-id/NAME",
    255,
    |text| patterns::matches(patterns::DISK_ID, text)
);

checked_string!(
    /// OCI reference of the operating system: `[HOST[:PORT]/]NAME` with `:TAG`, `@DIGEST` or both.
    OciReference,
    "an OCI reference with a tag or a digest",
    1024,
    |text| patterns::matches(patterns::OCI_REFERENCE, text) && has_valid_registry_port(text)
);

checked_string!(
    /// A SHA-256 digest as 64 lower-case hexadecimal digits.
    Sha256Hex,
    "64 lower-case hexadecimal digits",
    64,
    |text| patterns::matches(patterns::SHA256, text)
);

checked_string!(
    /// URL of the firmware (RFC 3986). It may contain a password, so `Debug` and
    /// [`FirmwareUrl::redact`] omit user part and query.
    FirmwareUrl,
    "an http or https URL such as https://files.example/bios.bin",
    2048,
    uri::is_http
);

checked_string!(
    /// Label of a partition or file system: up to 32 characters without control characters.
    Label,
    "a label of up to 32 characters without control characters",
    32,
    |text| patterns::matches(patterns::LABEL, text)
);

checked_string!(
    /// A serial number, a job id or the `$id` of a schema: 1 to 255 characters of printable ASCII,
    /// without a space at either end.
    ShortText,
    "1 to 255 printable ASCII characters",
    255,
    |text| {
        !text.is_empty()
            && text == text.trim()
            && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
    }
);

/// The pattern allows any five digits.
pub(crate) fn has_valid_registry_port(reference: &str) -> bool {
    let host = reference.split_once('/').map_or("", |(host, _)| host);
    // The colons of an IPv6 address are in brackets.
    let port = host.rsplit(']').next().and_then(|rest| rest.rsplit_once(':'));
    port.is_none_or(|(_, port)| uri::is_port(port))
}

debug_as_text!(DiskId, DiskPath, OciReference, Sha256Hex, Label, ShortText);

impl fmt::Debug for FirmwareUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.redact(), f)
    }
}

impl FirmwareUrl {
    /// The URL without user, password, query and fragment, for logs.
    pub fn redact(&self) -> String {
        uri::redact(&self.0)
    }

    /// Whether it has a user or a password.
    pub fn has_credentials(&self) -> bool {
        uri::has_credentials(&self.0)
    }

    /// The scheme as written, such as `https`.
    pub fn scheme(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

impl OciReference {
    /// The registry's host and port, if the reference has one: its first component has a dot, a
    /// colon, a bracket or a capital letter, or is `localhost`.
    pub fn registry(&self) -> Option<&str> {
        let (first, _) = self.0.split_once('/')?;
        let is_host = first == "localhost"
            || first.contains(['.', ':', '['])
            || first.contains(|c: char| c.is_ascii_uppercase());
        is_host.then_some(first)
    }

    /// The repository without registry, tag and digest, such as `os/debian`.
    pub fn repository(&self) -> &str {
        let path = match self.registry() {
            Some(host) => self.0.get(host.len() + 1..).unwrap_or_default(),
            None => &self.0,
        };
        path.split([':', '@']).next().unwrap_or_default()
    }

    /// The tag, if the reference has one.
    pub fn tag(&self) -> Option<&str> {
        let before_digest = self.0.split('@').next()?;
        let (_, last) = before_digest.rsplit_once('/').unwrap_or(("", before_digest));
        last.split_once(':').map(|(_, tag)| tag)
    }

    /// The digest with its algorithm, such as `sha256:9f86…`, if the reference has one.
    pub fn digest(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, digest)| digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_comes_apart() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, registry, repository, tag, with_digest) in [
            (
                "registry.example/os/debian:13".to_owned(),
                Some("registry.example"),
                "os/debian",
                Some("13"),
                false,
            ),
            (format!("localhost/debian@{digest}"), Some("localhost"), "debian", None, true),
            (format!("[::1]:5000/a/b:1@{digest}"), Some("[::1]:5000"), "a/b", Some("1"), true),
            (
                "registry:5000/debian:13".to_owned(),
                Some("registry:5000"),
                "debian",
                Some("13"),
                false,
            ),
            ("os/debian:13".to_owned(), None, "os/debian", Some("13"), false),
            ("debian:13".to_owned(), None, "debian", Some("13"), false),
        ] {
            let reference = OciReference::new(&*text).unwrap();
            assert_eq!(reference.registry(), registry, "{text}");
            assert_eq!(reference.repository(), repository, "{text}");
            assert_eq!(reference.tag(), tag, "{text}");
            assert_eq!(reference.digest(), with_digest.then_some(digest.as_str()), "{text}");
        }
    }
}
