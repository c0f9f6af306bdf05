// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks console output and webhook reports of a VM against its case.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::case::{Case, End, Tools};
use super::webhook::Webhook;
use super::{guest, media};

/// Checks the observed facts against the case's expected end.
pub(super) fn judge(
    case: &Case,
    console: &str,
    webhook: &Webhook,
    version: &str,
) -> Result<String> {
    let reports = webhook.reports();
    let facts: Vec<&str> =
        console.lines().filter_map(|line| line.trim().strip_prefix("smoke: ")).collect();
    let is_reported = |fact: &str| facts.contains(&fact);
    let listening: Vec<_> = facts.iter().filter(|fact| is_service(fact)).collect();
    ensure!(listening.is_empty(), "the VM has listening sockets: {listening:?}");
    let failed: Vec<_> = facts.iter().filter_map(|fact| fact.strip_prefix("failed ")).collect();
    let (unit, reported) = match case.end {
        End::Refused(_) => {
            ensure!(reports.is_empty(), "a VM with a rejected task sent reports: {reports:?}");
            return Ok("refused".to_owned());
        }
        End::Success => (None, true),
        End::Failure(unit) => (Some(unit), true),
        End::Silent(unit) => (Some(unit), false),
    };
    ensure!(failed == Vec::from_iter(unit), "failed units: {failed:?}");
    ensure!(
        reports.len() == usize::from(reported),
        "received {} reports: {reports:?}",
        reports.len()
    );
    let mut body = Value::Null;
    if let [report] = reports.as_slice() {
        ensure!(report.secret == media::SECRET, "received the secret {:?}", report.secret);
        ensure!(report.path.ends_with(media::SERIAL), "the report went to {}", report.path);
        body = serde_json::from_str(&report.body)
            .with_context(|| format!("the report is not JSON: {}", report.body))?;
        let status = if unit.is_some() { "failed" } else { "success" };
        ensure!(
            body["status"] == status && body["job_id"] == media::JOB,
            "unexpected report: {body}"
        );
        ensure!(body["failed_step"].as_str() == unit, "unexpected report: {body}");
    }
    match unit {
        None if case.task == Some(media::Task::Erase) => {
            ensure!(body["task_target"] == "erase.target", "unexpected report: {body}");
            ensure!(is_reported("active erase.target"), "erase.target was not reached");
            let log = body["log"].as_str().unwrap_or_default();
            for (name, ..) in media::ERASED {
                let disk = format!(": serial number {name}, ");
                let line = log.lines().find(|line| line.contains(&disk));
                let verified = line.is_some_and(|line| line.contains("; verified by "));
                ensure!(verified, "the report lacks the disk {name}: {log}");
            }
            ensure!(log.lines().count() == media::ERASED.len(), "unexpected report: {log}");
        }
        None => {
            ensure!(
                is_reported(&format!("active {}", guest::TARGET)),
                "{} was not reached",
                guest::TARGET
            );
            for step in guest::STEPS {
                ensure!(is_reported(&format!("active {step}")), "{step} did not run");
                let printed = version_line(console, step);
                ensure!(
                    case.tools == Tools::Replaced || printed.is_some_and(|it| it.contains(version)),
                    "the image of {step} printed {printed:?}, expected version {version}"
                );
            }
            ensure!(body["task_target"] == guest::TARGET, "unexpected report: {body}");
        }
        Some(unit) => {
            let after = guest::STEPS.iter().skip_while(|step| **step != unit);
            for step in after {
                ensure!(
                    !is_reported(&format!("active {step}")),
                    "{step} ran after {unit} had failed"
                );
            }
        }
    }
    let time = facts.iter().find(|fact| fact.starts_with("Startup finished")).unwrap_or(&"");
    Ok(time.rsplit_once("= ").map_or("done", |(_, time)| time).to_owned())
}

/// The version line of `step`, without systemd's prefix (time and program name).
fn version_line<'a>(console: &'a str, step: &str) -> Option<&'a str> {
    let start = format!("smoke: {step} prints ");
    console.lines().find_map(|line| line.split_once(start.as_str())).map(|(_, printed)| printed)
}

/// Whether a socket is not that of a DHCP client: port 68 of DHCP (RFC 2131, 4.1), 546 of `DHCPv6`
/// (RFC 8415, 7.2).
fn is_service(fact: &str) -> bool {
    let Some(socket) = fact.strip_prefix("listens ") else { return false };
    let client = socket.starts_with("udp ")
        && socket.rsplit_once(':').is_some_and(|(_, port)| matches!(port, "0044" | "0222"));
    !client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dhcp_client_is_no_service() {
        assert!(!is_service("listens udp 0F02000A:0044"));
        assert!(is_service("listens udp 00000000:14EB"));
        assert!(is_service("listens tcp 00000000:0044"));
        assert!(!is_service("active dispatcher.service"));
    }

    #[test]
    fn a_version_line_is_read_behind_the_prefix_of_systemd() {
        let console =
            "[   90.04] partition[391]: smoke: partition.service prints step 1.2.3 (commit)\n";
        assert_eq!(version_line(console, "partition.service"), Some("step 1.2.3 (commit)"));
        assert_eq!(version_line(console, "image-linux.service"), None);
    }
}
