// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Which variables a child inherits: few, named here, and never a secret.

use std::ffi::OsString;
use std::path::Path;

use super::redact::is_secret;
use crate::ops::tree::digest_of_bytes;

/// What programs need to find their files, their network and their language.
const INHERITED: &[&str] = &[
    "CARGO_HOME",
    "CARGO_NET_OFFLINE",
    "CARGO_TARGET_DIR",
    "CI",
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_CONFIG",
    "HOME",
    "LANG",
    "LD_PRELOAD",
    "LLVM_PROFILE_FILE",
    "LOGNAME",
    "NO_COLOR",
    "PATH",
    "REGISTRY_AUTH_FILE",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "SOURCE_DATE_EPOCH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "USER",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "ALL_PROXY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// Families of variables, by the start of their names.
const FAMILIES: &[&str] =
    &["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CONTAINERS_", "LC_", "STORAGE_", "XDG_"];

/// The environment that a child starts from: what it may inherit of `ours`, with `private` at the
/// front of `PATH`.
pub(super) fn inherited(
    ours: impl Iterator<Item = (OsString, OsString)>,
    private: &Path,
) -> Vec<(OsString, OsString)> {
    ours.filter_map(|(name, value)| {
        let text = name.to_str()?;
        let known = INHERITED.contains(&text) || FAMILIES.iter().any(|it| text.starts_with(it));
        if !known || is_secret(text) {
            return None;
        }
        if text == "PATH" && private.is_dir() {
            let mut path = private.as_os_str().to_owned();
            path.push(":");
            path.push(&value);
            return Some((name, path));
        }
        Some((name, value))
    })
    .collect()
}

/// Of those inherited, the ones that say nothing but from where somebody is logged in.
const SESSION: &[&str] = &["DBUS_SESSION_BUS_ADDRESS", "XDG_"];

/// A digest over what children inherit, by which a change of it is seen. The order does not matter.
pub(super) fn identity(ours: impl Iterator<Item = (OsString, OsString)>, private: &Path) -> String {
    let mut variables: Vec<_> = inherited(ours, private)
        .into_iter()
        .filter(|(name, _)| {
            let name = name.as_encoded_bytes();
            !SESSION.iter().any(|it| name.starts_with(it.as_bytes()))
        })
        .collect();
    variables.sort();
    digest_of_bytes(format!("{variables:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_follows_what_children_see() {
        let of = |pairs: &[(&str, &str)]| {
            let ours = pairs.iter().map(|(name, value)| (name.into(), value.into()));
            identity(ours, Path::new("/absent"))
        };
        let plain = of(&[("PATH", "/bin"), ("LANG", "C")]);
        assert_eq!(plain, of(&[("LANG", "C"), ("PATH", "/bin"), ("EDITOR", "vi")]));
        assert_eq!(plain, of(&[("LANG", "C"), ("PATH", "/bin"), ("XDG_SESSION_ID", "7")]));
        assert_ne!(plain, of(&[("LANG", "C"), ("PATH", "/bin"), ("RUSTFLAGS", "-g")]));
        assert_ne!(plain, of(&[("LANG", "C"), ("PATH", "/usr/bin")]));
    }

    #[test]
    fn inherits_what_is_named_and_no_secret() {
        let ours = [
            ("PATH", "/bin"),
            ("XDG_RUNTIME_DIR", "/run"),
            ("CARGO_HTTP_PROXY", "p"),
            ("CARGO_REGISTRIES_X_TOKEN", "t"),
            ("CARGO_PKG_NAME", "xtask"),
            ("XTASK_SIGNING_KEY", "k"),
            ("EDITOR", "vi"),
        ];
        let ours = ours.iter().map(|(name, value)| (name.into(), value.into()));
        let folder = tempfile::tempdir().unwrap();
        let names = |private: &Path| inherited(ours.clone(), private);
        let path = format!("{}:/bin", folder.path().display());
        assert_eq!(
            names(folder.path()),
            [
                ("PATH".into(), path.into()),
                ("XDG_RUNTIME_DIR".into(), "/run".into()),
                ("CARGO_HTTP_PROXY".into(), OsString::from("p")),
            ]
        );
        let (_, path) = names(&folder.path().join("absent")).remove(0);
        assert_eq!(path, "/bin", "a folder that is not there is not searched");
    }
}
