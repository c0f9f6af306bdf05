// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Image references: `REGISTRY[:PORT]/REPOSITORY[:TAG][@DIGEST]`.
//!
//! Repository and tag follow the OCI distribution specification 1.1, "Pulling manifests". There is
//! no default registry: a reference without one is rejected, so that no image comes from an
//! unexpected host.

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, DigestError};

/// Maximum length of a repository name in practice (the same section, "Many clients impose a
/// limit").
const REPOSITORY_LENGTH: usize = 255;
/// Maximum length of a tag (the same section: one character and up to 127 more).
const TAG_LENGTH: usize = 128;

/// Reason why a text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The first component is not a host.
    #[error(
        "{0:?} names no registry: expected REGISTRY[:PORT]/REPOSITORY[:TAG][@DIGEST], where REGISTRY has a dot or a port, or is localhost"
    )]
    NoRegistry(String),
    /// The host or port is malformed.
    #[error(
        "registry {0:?}: expected a host name, an IPv4 address or an IPv6 address in brackets, and a port from 1 to 65535 after a colon"
    )]
    Registry(String),
    /// The repository is malformed.
    #[error(
        "repository {0:?}: expected components of a-z and 0-9, joined inside by '.', '_', '__' or dashes, separated by '/', at most 255 characters"
    )]
    Repository(String),
    /// The tag is malformed.
    #[error(
        "tag {0:?}: expected up to 128 of A-Z, a-z, 0-9, '_', '.' and '-', not starting with '.' or '-'"
    )]
    Tag(String),
    /// The digest is malformed.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// `HOST[:PORT]` of a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Registry(String);

/// The name of a repository without the registry: `tools/config-drive`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

macro_rules! text {
    ($($name:ident),+) => { $(
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+ };
}
text!(Registry, Repository, Tag);

/// An image reference. If it has both tag and digest, the digest selects the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Registry.
    pub registry: Registry,
    /// Repository.
    pub repository: Repository,
    /// Tag, if given.
    pub tag: Option<Tag>,
    /// Digest, if given.
    pub digest: Option<Digest>,
}

/// Selects a manifest in a repository: the `<reference>` of the distribution specification.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// The manifest that the tag points to.
    Tag(Tag),
    /// The manifest with this digest.
    Digest(Digest),
}

impl Registry {
    /// The host without the port; an IPv6 address includes its brackets.
    pub fn host(&self) -> &str {
        match self.0.rfind(':') {
            Some(colon) if !self.0.ends_with(']') => self.0.get(..colon).unwrap_or(&self.0),
            _ => &self.0,
        }
    }

    /// Returns true if the name denotes this host: `localhost`, `127.0.0.0/8` or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Registry {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let fault = || ReferenceError::Registry(text.to_owned());
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']').ok_or_else(fault)?;
                address.parse::<std::net::Ipv6Addr>().map_err(|_| fault())?;
                (
                    None,
                    if after.is_empty() {
                        None
                    } else {
                        Some(after.strip_prefix(':').ok_or_else(fault)?)
                    },
                )
            }
            None => match text.split_once(':') {
                Some((host, port)) => (Some(host), Some(port)),
                None => (Some(text), None),
            },
        };
        if let Some(port) = port {
            let digits = port.bytes().all(|b| b.is_ascii_digit());
            if !digits || port.parse::<u16>().map_err(|_| fault())? == 0 {
                return Err(fault());
            }
        }
        if host.is_some_and(|host| !host.split('.').all(is_host_label)) {
            return Err(fault());
        }
        Ok(Self(text.to_owned()))
    }
}

/// RFC 1123, section 2.1: letters, digits and inner dashes.
fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() <= REPOSITORY_LENGTH && text.split('/').all(is_component) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError::Repository(text.to_owned()))
        }
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edges =
        text.bytes().next().is_some_and(is_plain) && text.bytes().last().is_some_and(is_plain);
    // The text between two alphanumeric runs must be exactly one separator.
    edges
        && text.split(|c: char| c.is_ascii() && is_plain(c as u8)).all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-')
        })
}

impl Tag {
    /// The fallback tag for the referrers of `digest`: `ALGORITHM-HEX` with at most 64 digits (OCI
    /// distribution specification 1.1, "Referrers Tag Schema").
    pub fn of_digest(digest: &Digest) -> Self {
        let hex: String = digest.hex().chars().take(64).collect();
        Self(format!("{}-{hex}", digest.algorithm().name()))
    }

    /// The tag of cosign's older signatures of `digest`: that of [`Tag::of_digest`] with `.sig`.
    pub fn of_signature(digest: &Digest) -> Self {
        Self(format!("{}.sig", Self::of_digest(digest).0))
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        let rest =
            text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if first && rest && text.len() <= TAG_LENGTH {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError::Tag(text.to_owned()))
        }
    }
}

impl Reference {
    /// The digest, else the tag, else `latest` as in other clients.
    pub fn selector(&self) -> Selector {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Selector::Digest(digest.clone()),
            (None, Some(tag)) => Selector::Tag(tag.clone()),
            (None, None) => Selector::Tag(Tag("latest".to_owned())),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let no_registry = || ReferenceError::NoRegistry(text.to_owned());
        let (registry, rest) = text.split_once('/').ok_or_else(no_registry)?;
        if registry != "localhost" && !registry.contains(['.', ':']) {
            return Err(no_registry());
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.parse()?)),
            None => (rest, None),
        };
        Ok(Self { registry: registry.parse()?, repository: repository.parse()?, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl From<Digest> for Selector {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl From<Tag> for Selector {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl FromStr for Selector {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        // Digests always contain a colon, tags never do.
        if text.contains(':') {
            Ok(Self::Digest(text.parse()?))
        } else {
            Ok(Self::Tag(text.parse()?))
        }
    }
}

#[cfg(test)]
mod tests;
