// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A bounded parallel map.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, anyhow};

/// Maps `work` over `items` with `jobs` threads; results are in the order of `items`.
///
/// # Errors
/// The first error in that order; after an error no further item is started.
pub fn map<T: Sync, R: Send>(
    jobs: NonZeroUsize,
    items: &[T],
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let worker = || {
        let mut results = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = work(item);
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            results.push((index, result));
        }
        results
    };
    let done = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..jobs.get().min(items.len())).map(|_| scope.spawn(worker)).collect();
        threads
            .into_iter()
            .map(|it| it.join().map_err(|_| anyhow!("a worker thread panicked")))
            .collect::<Result<Vec<_>>>()
    })?;
    let mut results: Vec<_> = done.into_iter().flatten().collect();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    const JOBS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);

    #[test]
    fn results_have_the_order_of_the_items() {
        let items: Vec<usize> = (0..40).collect();
        assert_eq!(map(JOBS, &items, |n| Ok(n * 2)).unwrap()[39], 78);
        assert!(map(JOBS, &[], |n: &usize| Ok(*n)).unwrap().is_empty());
    }

    #[test]
    fn an_error_ends_it() {
        let started = AtomicUsize::new(0);
        let error = map(NonZeroUsize::MIN, &[1, 2, 3], |n| {
            started.fetch_add(1, Ordering::Relaxed);
            if *n == 2 {
                bail!("number {n}");
            }
            Ok(())
        });
        assert_eq!(error.unwrap_err().to_string(), "number 2");
        assert_eq!(started.into_inner(), 2);
    }
}
