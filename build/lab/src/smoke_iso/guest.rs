// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Configuration of a VM under test by systemd credentials over SMBIOS, so that the released ISO
//! stays unmodified. Credentials replace step commands and add a unit that prints facts on the
//! console (systemd-debug-generator(8)).

use super::case::{Case, Tools};

/// Steps of the target under test, in order.
pub(super) const STEPS: [&str; 4] = [
    "partition.service",
    "image-linux.service",
    "bootloader-linux.service",
    "config-drive.service",
];
pub(super) const TARGET: &str = "install-linux.target";
/// Last line of the observer.
pub(super) const END: &str = "smoke: end";

/// Command of a failing step.
const FAILS: &str = "/bin/sh -c 'echo smoke: %n fails; exit 3'";
/// Command of a step with a bound image: prints the version of the image that its unit names.
const PRINTS_VERSION: &str = r#"/bin/sh -c 'podman run --rm --log-driver=passthrough --network=host \
  "$$(sed -n s/^Image=//p /usr/share/containers/systemd/%p.container)" --version | sed "s/^/smoke: %n prints /"'"#;

/// Unit that waits until the task's end was reported, then prints facts.
const OBSERVER: &str = r#"[Unit]
Description=Print facts for the smoke test
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

/// Credentials for the VM of `case`, whose dispatcher waits `patience` seconds for the task.
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
            Tools::Bound => PRINTS_VERSION,
        };
        credentials.push((
            format!("systemd.unit-dropin.{step}"),
            format!("[Service]\nExecStart=\nExecStart={program}\n"),
        ));
    }
    credentials
}
