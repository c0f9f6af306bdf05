// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/metrics` in the Prometheus text format (version 0.0.4). It needs no login, so it contains no
//! serial numbers, user names or addresses.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::operations::request::{Kind, State};
use crate::words::words;

words! {
    /// Interface with logins, as named in logs and metrics.
    #[derive(PartialOrd, Ord)]
    pub(crate) Interface, "an interface":
    /// `/api/v1` and the dashboard.
    Api = "api",
    /// `/v2`.
    Registry = "registry",
    /// Host reports.
    Webhook = "webhook",
}

/// Upper bounds of the request duration histogram, in seconds.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// Counters since the process started.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(String, String, u16), u64>>,
    times: Mutex<BTreeMap<String, Histogram>>,
    reports: Mutex<BTreeMap<&'static str, u64>>,
    failed_logins: Mutex<BTreeMap<Interface, u64>>,
    collections: Mutex<Collections>,
    /// Ended operations by kind and state: their number, and the seconds that they took.
    operations: Mutex<BTreeMap<(Kind, State), (u64, f64)>>,
    imports: Mutex<Imports>,
}

/// Imports of servers.
#[derive(Debug, Default)]
struct Imports {
    succeeded: u64,
    failed: u64,
    created_servers: u64,
    updated_servers: u64,
}

/// Scheduled garbage collections of the registry.
#[derive(Debug, Default)]
struct Collections {
    succeeded: u64,
    failed: u64,
    removed_blobs: u64,
    removed_bytes: u64,
    /// End of the last one, in seconds since 1970, and its duration in seconds.
    last: Option<(f64, f64)>,
}

/// A scheduled garbage collection.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct CollectionResult {
    /// Whether everything could be read and removed.
    pub(crate) succeeded: bool,
    /// Number of deleted blobs.
    pub(crate) blobs: u64,
    /// Their size in bytes.
    pub(crate) bytes: u64,
}

#[derive(Debug, Default)]
struct Histogram {
    /// Requests per bucket, not cumulative.
    counts: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

/// Gauges that are read for each scrape.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Jobs by state.
    pub(crate) jobs: BTreeMap<&'static str, i64>,
    /// Complete jobs by outcome.
    pub(crate) outcomes: BTreeMap<&'static str, i64>,
    /// Jobs with a worker in this process.
    pub(crate) workers: usize,
    /// Running operations.
    pub(crate) operations: i64,
    /// Registered servers.
    pub(crate) servers: i64,
    /// Open connections.
    pub(crate) connections: usize,
}

impl Metrics {
    /// Counts a request. `route` is the route pattern: paths have unbounded cardinality.
    pub(crate) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((method.to_owned(), route.to_owned(), status)).or_default() += 1;
        drop(requests);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = times.entry(route.to_owned()).or_default();
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound);
        if let Some(count) = bucket.and_then(|bucket| histogram.counts.get_mut(bucket)) {
            *count += 1;
        }
        histogram.count += 1;
        histogram.sum += seconds;
    }

    /// Counts a host report by its result.
    pub(crate) fn report(&self, result: &'static str) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        *reports.entry(result).or_default() += 1;
    }

    /// Counts a failed login.
    pub(crate) fn count_failed_login(&self, interface: Interface) {
        let mut failed = self.failed_logins.lock().unwrap_or_else(PoisonError::into_inner);
        *failed.entry(interface).or_default() += 1;
    }

    /// Counts a garbage collection that ended at `end`.
    pub(crate) fn count_collection(
        &self,
        collected: CollectionResult,
        took: Duration,
        end: SystemTime,
    ) {
        let CollectionResult { succeeded, blobs, bytes } = collected;
        let mut all = self.collections.lock().unwrap_or_else(PoisonError::into_inner);
        *(if succeeded { &mut all.succeeded } else { &mut all.failed }) += 1;
        all.removed_blobs += blobs;
        all.removed_bytes += bytes;
        let end = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        all.last = Some((end, took.as_secs_f64()));
    }

    /// Counts an operation that ended in `state`.
    pub(crate) fn count_operation(&self, kind: Kind, state: State, took: Duration) {
        let mut all = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, seconds) = all.entry((kind, state)).or_default();
        *count += 1;
        *seconds += took.as_secs_f64();
    }

    /// Counts an import of servers with the numbers of created and updated ones; `None`: refused.
    pub(crate) fn count_import(&self, servers: Option<(usize, usize)>) {
        let mut all = self.imports.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((created, updated)) = servers else {
            all.failed += 1;
            return;
        };
        all.succeeded += 1;
        all.created_servers += created as u64;
        all.updated_servers += updated as u64;
    }

    /// Renders all metrics.
    pub(crate) fn text(&self, gauges: &Gauges) -> String {
        let mut page = Page::default();
        page.head("build_info", "gauge", "Version of the controller.");
        page.value("build_info", &[("version", build_info::version())], "1");
        page.head("servers", "gauge", "Registered servers.");
        page.value("servers", &[], gauges.servers);
        page.head("jobs", "gauge", "Jobs by state.");
        for (state, count) in &gauges.jobs {
            page.value("jobs", &[("state", state)], count);
        }
        page.head("jobs_complete", "gauge", "Complete jobs by outcome.");
        for (outcome, count) in &gauges.outcomes {
            page.value("jobs_complete", &[("outcome", outcome)], count);
        }
        page.head("workers", "gauge", "Jobs with a worker in this process.");
        page.value("workers", &[], gauges.workers);
        self.render_operations(&mut page, gauges.operations);
        self.imports.lock().unwrap_or_else(PoisonError::into_inner).render(&mut page);
        page.head("connections", "gauge", "Open connections.");
        page.value("connections", &[], gauges.connections);
        page.head("reports_total", "counter", "Host reports by result.");
        for (result, count) in self.reports.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            page.value("reports_total", &[("result", result)], count);
        }
        page.head("failed_logins_total", "counter", "Failed logins by interface.");
        let failed = self.failed_logins.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for interface in [Interface::Api, Interface::Registry, Interface::Webhook] {
            let count = failed.get(&interface).copied().unwrap_or_default();
            page.value("failed_logins_total", &[("interface", interface.as_str())], count);
        }
        self.collections.lock().unwrap_or_else(PoisonError::into_inner).render(&mut page);
        page.head("http_requests_total", "counter", "Answered HTTP requests.");
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for ((method, route, status), count) in requests.iter() {
            let labels = [("method", &**method), ("route", route), ("status", &status.to_string())];
            page.value("http_requests_total", &labels, count);
        }
        drop(requests);
        let name = "http_request_duration_seconds";
        page.head(name, "histogram", "Time from request head to response head.");
        for (route, histogram) in self.times.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let mut so_far = 0;
            for (bound, count) in BOUNDS.iter().zip(histogram.counts) {
                so_far += count;
                let labels = [("route", &**route), ("le", &bound.to_string())];
                page.value(&format!("{name}_bucket"), &labels, so_far);
            }
            let labels = [("route", &**route), ("le", "+Inf")];
            page.value(&format!("{name}_bucket"), &labels, histogram.count);
            page.value(&format!("{name}_sum"), &[("route", route)], histogram.sum);
            page.value(&format!("{name}_count"), &[("route", route)], histogram.count);
        }
        page.0
    }

    fn render_operations(&self, page: &mut Page, running: i64) {
        page.head("operations_running", "gauge", "Running operations on servers.");
        page.value("operations_running", &[], running);
        let all = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        let name = "operation_duration_seconds";
        page.head(name, "summary", "Ended operations on servers and their duration.");
        for ((kind, state), (count, seconds)) in all.iter() {
            let labels = [("kind", kind.as_str()), ("result", state.as_str())];
            page.value(&format!("{name}_sum"), &labels, seconds);
            page.value(&format!("{name}_count"), &labels, count);
        }
    }
}

impl Imports {
    fn render(&self, page: &mut Page) {
        let Self { succeeded, failed, created_servers, updated_servers } = self;
        page.head("imports_total", "counter", "Imports of servers by result.");
        page.value("imports_total", &[("result", "failed")], failed);
        page.value("imports_total", &[("result", "succeeded")], succeeded);
        let name = "imported_servers_total";
        page.head(name, "counter", "Servers created and updated by imports.");
        page.value(name, &[("result", "created")], created_servers);
        page.value(name, &[("result", "updated")], updated_servers);
    }
}

impl Collections {
    fn render(&self, page: &mut Page) {
        let Self { succeeded, failed, removed_blobs, removed_bytes, last } = self;
        let name = "registry_gc_runs_total";
        page.head(name, "counter", "Scheduled garbage collections by result.");
        page.value(name, &[("result", "failed")], failed);
        page.value(name, &[("result", "succeeded")], succeeded);
        let name = "registry_gc_removed_blobs_total";
        page.head(name, "counter", "Blobs deleted by scheduled garbage collections.");
        page.value(name, &[], removed_blobs);
        let name = "registry_gc_removed_bytes_total";
        page.head(name, "counter", "Bytes deleted by scheduled garbage collections.");
        page.value(name, &[], removed_bytes);
        let Some((end, took)) = last else { return };
        let name = "registry_gc_last_run_timestamp_seconds";
        page.head(name, "gauge", "End of the last scheduled garbage collection.");
        page.value(name, &[], end);
        let name = "registry_gc_last_run_duration_seconds";
        page.head(name, "gauge", "Duration of the last scheduled garbage collection.");
        page.value(name, &[], took);
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.0.push_str(&format!(
            "# HELP provisioner_{name} {help}\n# TYPE provisioner_{name} {kind}\n"
        ));
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let escape =
            |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.0.push_str(&format!("provisioner_{name}{labels} {value}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        metrics.request("GET", "/api/v1/jobs", 200, Duration::from_millis(3));
        metrics.request("GET", "/api/v1/jobs", 200, Duration::from_hours(1));
        metrics.report("recorded");
        metrics.count_failed_login(Interface::Registry);
        metrics.count_operation(Kind::PowerCycle, State::Succeeded, Duration::from_secs(40));
        metrics.count_operation(Kind::PowerCycle, State::Succeeded, Duration::from_millis(2500));
        metrics.count_operation(Kind::PowerCycle, State::Failed, Duration::from_secs(1));
        metrics.count_operation(Kind::Inspect, State::Succeeded, Duration::from_secs(3));
        metrics.count_import(Some((7, 2)));
        metrics.count_import(None);
        let end = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let collected = CollectionResult { succeeded: true, blobs: 2, bytes: 3000 };
        metrics.count_collection(collected, Duration::from_millis(1500), end);
        metrics.count_collection(CollectionResult::default(), Duration::from_millis(500), end);
        let gauges = Gauges {
            jobs: [("queued", 2)].into(),
            outcomes: [("failed", 1)].into(),
            workers: 2,
            operations: 1,
            servers: 3,
            connections: 1,
        };
        let page = metrics.text(&gauges);
        let page = page.replace(build_info::version(), "VERSION");
        insta::assert_snapshot!(page);
    }
}
