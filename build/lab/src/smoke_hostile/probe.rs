// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Sends health checks and webhook reports continuously and records their response times.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::client::{OURS, request, send};
use super::site::{SECRET, Site};

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_millis(100);
/// A report for a host that is not registered.
const REPORT: &[u8] = br#"{"status":"success","job_id":"0192f0c1-2b3c-7000-8000-000000000000"}"#;

#[derive(Default)]
struct Record {
    worst: Duration,
    answers: u64,
    failures: Vec<String>,
}

/// The probing thread.
pub(super) struct Probe {
    record: Arc<Mutex<Record>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Probe {
    pub(super) fn start(site: &Site) -> Self {
        let record = Arc::<Mutex<Record>>::default();
        let end = Arc::new(AtomicBool::new(false));
        let secret = ("X-Webhook-Secret", SECRET);
        let kind = ("Content-Type", "application/json");
        let questions = [
            ("GET /healthz", request("GET", "/healthz", &[], b""), 200),
            (
                "POST /api/v1/status-webhook/UNKNOWN",
                request("POST", "/api/v1/status-webhook/UNKNOWN", &[secret, kind], REPORT),
                404,
            ),
        ];
        let (shared, ended) = (record.clone(), end.clone());
        let (address, patience) = (site.address, site.patience);
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                for (name, bytes, expected) in &questions {
                    let answer = ask(address, name, bytes, *expected, patience);
                    note(answer, &shared);
                }
                std::thread::sleep(PAUSE);
            }
        });
        Self { record, end, thread: Some(thread) }
    }

    /// The slowest response so far.
    ///
    /// # Errors
    /// When a response was wrong or exceeded the site's limit.
    pub(super) fn worst(&self) -> Result<Duration> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = record.failures.first() {
            bail!("{first} ({} of {} responses)", record.failures.len(), record.answers);
        }
        Ok(record.worst)
    }

    /// Stops probing.
    pub(super) fn finish(mut self) -> Result<Duration> {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        self.worst()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

/// Response time, and the failure if there is one.
fn ask(
    address: SocketAddr,
    name: &str,
    bytes: &[u8],
    expected: u16,
    patience: Duration,
) -> (Duration, Option<String>) {
    let started = Instant::now();
    let answer = send(OURS, address, bytes, patience);
    let took = started.elapsed();
    let failure = match answer {
        Ok(answer) if answer.status != expected => {
            Some(format!("{name} got status {}, expected {expected}", answer.status))
        }
        Ok(_) if took <= patience => None,
        Ok(_) => Some(format!("{name} took {took:?}")),
        Err(error) => Some(format!("{name} got no response within {patience:?}: {error}")),
    };
    (took, failure)
}

fn note((took, failure): (Duration, Option<String>), record: &Mutex<Record>) {
    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
    record.answers += 1;
    record.worst = record.worst.max(took);
    record.failures.extend(failure);
}
