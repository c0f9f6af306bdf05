// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Work on many files at once: hashing is limited by the processors, fetching by the latency.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Maximum concurrent requests. Registries limit the requests of a client.
#[cfg(feature = "registry")]
pub(crate) const REQUESTS: usize = 8;

/// Calls `work` for each of `items` on at most `limit` threads. Returns the results in the order of the items.
pub(crate) fn map<T: Sync, R: Send + Sync>(
    limit: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Vec<OnceLock<R>> = items.iter().map(|_| OnceLock::new()).collect();
    let pairs: Vec<_> = items.iter().zip(&results).collect();
    let worker = || {
        while let Some((item, result)) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
            result.get_or_init(|| work(item));
        }
    };
    thread::scope(|scope| {
        for _ in 1..limit.min(pairs.len()) {
            scope.spawn(worker);
        }
        worker();
    });
    results.into_iter().filter_map(OnceLock::into_inner).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn results_of_concurrent_work_keep_their_order() {
        // The barrier proves that the threads run concurrently.
        let barrier = Barrier::new(3);
        let items: Vec<usize> = (0..9).collect();
        let results = map(3, &items, |item| {
            barrier.wait();
            item * 2
        });
        assert_eq!(results, [0, 2, 4, 6, 8, 10, 12, 14, 16]);
        assert!(map(3, &[] as &[usize], |item| *item).is_empty());
    }
}
