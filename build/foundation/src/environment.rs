// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Environment variables that child processes inherit: an allowlist without secrets.

use std::ffi::OsString;

/// Inherited variables: files, network, locale.
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
    "NODE_EXTRA_CA_CERTS",
    "NO_COLOR",
    "PATH",
    "PIP_CERT",
    "REGISTRY_AUTH_FILE",
    "REQUESTS_CA_BUNDLE",
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

/// Prefixes of inherited variables.
const FAMILIES: &[&str] =
    &["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CONTAINERS_", "LC_", "STORAGE_", "XDG_"];

/// The inheritable part of our environment, for children that are not run by the toolbox.
pub fn public() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_public))
}

/// Whether children inherit the variable `name`: allowed, and not secret.
pub fn is_public(name: &str) -> bool {
    let known = INHERITED.contains(&name) || FAMILIES.iter().any(|it| name.starts_with(it));
    known && !is_secret(name)
}

/// Whether a variable holds a secret: by the names that this system reads, and by common suffixes.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["_TOKEN", "_PASSWORD", "_PASSWD", "_SECRET", "_KEY", "_CREDENTIALS"]
        .iter()
        .any(|ending| name.ends_with(ending))
}
