// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Maintainer scripts that enable, start and stop the unit.
//!
//! They follow each distribution's convention: Debian enables and starts an installed service (as
//! debhelper's `dh_installsystemd`), the others leave both to presets and the administrator.
//! Without a running systemd, such as in a container, they do nothing.

/// `postinst` of a Debian package: enable once, start or restart.
pub(crate) fn deb_after_install(unit: &str) -> String {
    format!(
        r#"#!/bin/sh
set -e
case "$1" in
configure | abort-upgrade | abort-deconfigure | abort-remove)
    if command -v deb-systemd-helper >/dev/null; then
        deb-systemd-helper unmask {unit} >/dev/null || true
        if deb-systemd-helper --quiet was-enabled {unit}; then
            deb-systemd-helper enable {unit} >/dev/null || true
        else
            deb-systemd-helper update-state {unit} >/dev/null || true
        fi
    fi
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload >/dev/null || true
        action=start
        if [ -n "$2" ]; then
            action=restart
        fi
        deb-systemd-invoke "$action" {unit} >/dev/null || true
    fi
    ;;
esac
"#
    )
}

/// `prerm` of a Debian package: stop, unless another version follows.
pub(crate) fn deb_before_removal(unit: &str) -> String {
    format!(
        r#"#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    deb-systemd-invoke stop {unit} >/dev/null || true
fi
"#
    )
}

/// `postrm` of a Debian package: reload systemd; with a purge, remove the unit's records and state.
pub(crate) fn deb_after_removal(unit: &str, state: &[String]) -> String {
    let state: Vec<_> = state.iter().map(|folder| format!("'{folder}'")).collect();
    let remove = match state.join(" ") {
        state if state.is_empty() => String::new(),
        state => format!("\n    rm -rf -- {state}"),
    };
    format!(
        r#"#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = purge ]; then
    if command -v deb-systemd-helper >/dev/null; then
        deb-systemd-helper purge {unit} >/dev/null || true
    fi{remove}
fi
"#
    )
}

/// `%post` of an RPM: apply the preset, at the first installation.
pub(crate) fn rpm_after_install(unit: &str) -> String {
    format!(
        r#"if command -v systemctl >/dev/null; then
    if [ "$1" -eq 1 ]; then
        systemctl --no-reload preset {unit} >/dev/null 2>&1 || :
    fi
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload >/dev/null 2>&1 || :
    fi
fi
"#
    )
}

/// `%preun` of an RPM: stop and disable, unless another version follows.
pub(crate) fn rpm_before_removal(unit: &str) -> String {
    format!(
        r#"if [ "$1" -eq 0 ] && command -v systemctl >/dev/null; then
    systemctl --no-reload disable {unit} >/dev/null 2>&1 || :
    if [ -d /run/systemd/system ]; then
        systemctl stop {unit} >/dev/null 2>&1 || :
    fi
fi
"#
    )
}

/// `%postun` of an RPM: restart with the new version, if one follows.
pub(crate) fn rpm_after_removal(unit: &str) -> String {
    format!(
        r#"if [ -d /run/systemd/system ]; then
    systemctl daemon-reload >/dev/null 2>&1 || :
    if [ "$1" -ge 1 ]; then
        systemctl try-restart {unit} >/dev/null 2>&1 || :
    fi
fi
"#
    )
}
