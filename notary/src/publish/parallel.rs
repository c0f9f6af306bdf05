// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Concurrent registry requests, since latency dominates.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Error, Result};

/// Maximum concurrent requests. Registries limit the requests of a client.
pub(super) const LIMIT: usize = 8;

/// Calls `work` for each of `items` on at most [`LIMIT`] threads. Starts no further item after an
/// error.
///
/// # Errors
/// The error of the first failed item in order.
pub(super) fn for_each<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let first: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    let worker = || {
        while !failed.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { return };
            if let Err(error) = work(item) {
                failed.store(true, Ordering::Relaxed);
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                if first.as_ref().is_none_or(|(before, _)| number < *before) {
                    *first = Some((number, error));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..LIMIT.min(items.len()) {
            scope.spawn(worker);
        }
        worker();
    });
    match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use anyhow::bail;

    use super::*;

    #[test]
    fn every_item_is_worked_on_by_so_many_threads_at_once() {
        // The barrier proves that the threads run concurrently.
        let barrier = Barrier::new(LIMIT);
        let done = AtomicUsize::new(0);
        for_each(&[(); 3 * LIMIT], |()| {
            barrier.wait();
            done.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
        assert_eq!(done.into_inner(), 3 * LIMIT);
        for_each(&[] as &[()], |()| bail!("nothing is to be done")).unwrap();
    }

    #[test]
    fn after_an_error_nothing_is_begun() {
        let items: Vec<usize> = (0..1000).collect();
        let begun = AtomicUsize::new(0);
        let error = for_each(&items, |item| {
            begun.fetch_add(1, Ordering::Relaxed);
            bail!("item {item}")
        });
        assert_eq!(error.unwrap_err().to_string(), "item 0");
        assert!(begun.into_inner() <= LIMIT);
    }
}
