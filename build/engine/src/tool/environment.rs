// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The environment of child processes.

use std::ffi::OsString;
use std::path::Path;

use foundation::environment::is_public;
use foundation::tree::digest_of_bytes;

/// The variables of `ours` that children may inherit, with `private` first in `PATH`.
pub(super) fn select_inherited(
    ours: impl Iterator<Item = (OsString, OsString)>,
    private: &Path,
) -> Vec<(OsString, OsString)> {
    ours.filter_map(|(name, value)| {
        let text = name.to_str().filter(|name| is_public(name))?;
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

/// Inherited variables that only describe the login session.
const SESSION: &[&str] = &["DBUS_SESSION_BUS_ADDRESS", "XDG_"];

/// Digest of the inherited variables, independent of their order.
pub(super) fn identity(ours: impl Iterator<Item = (OsString, OsString)>, private: &Path) -> String {
    let mut variables: Vec<_> = select_inherited(ours, private)
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
        let names = |private: &Path| select_inherited(ours.clone(), private);
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
