// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What a machine under test is given beside the media: systemd credentials, by SMBIOS. The ISO is
//! the very one that is delivered; a credential replaces what a step would do, and adds a unit that
//! tells on the console how things stand (systemd-debug-generator(8)).

use super::case::{Case, Tools};

/// The steps of the target that is tried, in order.
pub(super) const STEPS: [&str; 4] = [
    "partition.service",
    "image-linux.service",
    "bootloader-linux.service",
    "config-drive.service",
];
/// The target.
pub(super) const TARGET: &str = "install-linux.target";
/// The line that ends what a machine tells.
pub(super) const END: &str = "smoke: end";

/// In the place of a step that fails.
const FAILS: &str = "/bin/sh -c 'echo smoke: %n fails; exit 3'";
/// In the place of a step whose image is bound: the image that its unit names tells its version.
const TELLS: &str = r#"/bin/sh -c 'podman run --rm --network=host \
  "$$(sed -n s/^Image=//p /usr/share/containers/systemd/%p.container)" --version | sed "s/^/smoke: %n says /"'"#;

/// Waits until the task's end was reported, and tells the facts.
const OBSERVER: &str = r#"[Unit]
Description=Tell how things stand
DefaultDependencies=no

[Service]
Type=oneshot
StandardOutput=tty
TTYPath=/dev/console
ExecStart=/bin/sh -c 'until [ -e /run/provisioner-report/sent ]; do sleep 1; done; \
  systemctl list-units --failed --plain --no-legend | while read -r unit rest; do echo "smoke: failed $$unit"; done; \
  systemctl list-units --type=target --state=active --plain --no-legend | while read -r unit rest; do echo "smoke: active $$unit"; done; \
  systemctl list-units "*.service" --state=active --plain --no-legend | while read -r unit rest; do echo "smoke: active $$unit"; done; \
  cat /proc/net/tcp /proc/net/tcp6 | while read -r n local remote state rest; do [ "$$state" != 0A ] || echo "smoke: listens tcp $$local"; done; \
  cat /proc/net/udp /proc/net/udp6 | while read -r n local remote state rest; do [ "$$state" != 07 ] || echo "smoke: listens udp $$local"; done; \
  systemd-analyze time --no-pager | sed "s/^/smoke: /"; \
  echo "smoke: end"'
"#;

/// The credentials of the machine of `case`, whose dispatcher waits for `patience` seconds for the task.
pub(super) fn credentials(case: &Case, patience: u32) -> Vec<(String, String)> {
    let mut credentials = vec![
        ("systemd.extra-unit.smoke.service".to_owned(), OBSERVER.to_owned()),
        (
            "systemd.unit-dropin.multi-user.target".to_owned(),
            "[Unit]\nWants=smoke.service\n".to_owned(),
        ),
        (
            "systemd.unit-dropin.dispatcher.service".to_owned(),
            format!("[Service]\nExecStart=\nExecStart=/usr/bin/dispatcher --timeout {patience}\n"),
        ),
    ];
    for step in STEPS {
        let program = match case.tools {
            _ if case.failing == Some(step) => FAILS,
            Tools::Replaced => "/bin/echo smoke: %n runs",
            Tools::Bound => TELLS,
        };
        credentials.push((
            format!("systemd.unit-dropin.{step}"),
            format!("[Service]\nExecStart=\nExecStart={program}\n"),
        ));
    }
    credentials
}
