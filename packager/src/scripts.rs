// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Maintainer scripts that enable, start and stop the unit.
//!
//! They follow each distribution's convention: Debian enables and starts an installed service (as
//! debhelper's `dh_installsystemd`), the others leave both to presets and the administrator.
//! Without a running systemd, such as in a container, they do nothing.

pub(crate) const DEB_POSTINST: &str = include_str!("../scripts/deb-postinst.sh");
pub(crate) const DEB_POSTRM: &str = include_str!("../scripts/deb-postrm.sh");
pub(crate) const DEB_PRERM: &str = include_str!("../scripts/deb-prerm.sh");
pub(crate) const RPM_POST: &str = include_str!("../scripts/rpm-post.sh");
pub(crate) const RPM_PREUN: &str = include_str!("../scripts/rpm-preun.sh");
pub(crate) const RPM_POSTUN: &str = include_str!("../scripts/rpm-postun.sh");

/// A script for a unit and its folders of state, without the comments of its file.
pub(crate) fn fill(script: &str, unit: &str, state: &[String]) -> String {
    let state: Vec<_> = state.iter().map(|folder| format!("'{folder}'")).collect();
    let wanted = |line: &&str| {
        !line.is_empty() && !line.starts_with('#') && (!line.contains("STATE") || !state.is_empty())
    };
    let lines: String = script.lines().filter(wanted).flat_map(|line| [line, "\n"]).collect();
    lines.replace("UNIT", unit).replace("STATE", &state.join(" "))
}
