// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! How often one address may ask. A bucket for each: it fills at a steady rate, and a request takes from it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode, header};

use super::problem::Problem;

/// The address of whoever sent a request, put there by the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// The most addresses that are remembered; then those that asked for nothing of late are forgotten.
const MOST_ADDRESSES: usize = 16 * 1024;

/// Buckets of one kind.
pub(crate) struct Limit {
    /// Filled in a second.
    rate: f64,
    /// The most that a bucket holds.
    burst: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Limit {
    /// `rate` in a second, and `burst` at once.
    pub(crate) fn new(rate: f64, burst: f64) -> Self {
        Self { rate, burst, buckets: Mutex::default() }
    }

    /// Takes one from the bucket of an address.
    ///
    /// # Errors
    /// 429 where it is empty.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), Problem> {
        self.with(address, |bucket| {
            if bucket.tokens < 1.0 {
                return Err(self.refusal(bucket.tokens));
            }
            bucket.tokens -= 1.0;
            Ok(())
        })
    }

    /// Looks whether the bucket is empty, and takes nothing.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Problem> {
        self.with(address, |bucket| {
            if bucket.tokens < 1.0 { Err(self.refusal(bucket.tokens)) } else { Ok(()) }
        })
    }

    fn with<T>(&self, address: IpAddr, use_it: impl FnOnce(&mut Bucket) -> T) -> T {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_ADDRESSES {
            let full = Duration::from_secs_f64(self.burst / self.rate);
            buckets.retain(|_, bucket| now.duration_since(bucket.at) < full);
        }
        let whole = || Bucket { tokens: self.burst, at: now };
        let bucket = buckets.entry(block(address)).or_insert_with(whole);
        let filled = now.duration_since(bucket.at).as_secs_f64() * self.rate;
        bucket.tokens = (bucket.tokens + filled).min(self.burst);
        bucket.at = now;
        use_it(bucket)
    }

    fn refusal(&self, tokens: f64) -> Problem {
        let wait = Duration::from_secs_f64((1.0 - tokens) / self.rate).as_secs() + 1;
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "ask again later")
            .header(header::RETRY_AFTER, HeaderValue::from(wait))
    }
}

/// One host of IPv6 has a whole /64 (RFC 4291, section 2.5.1).
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & (u128::MAX << 64)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_emptied_and_is_that_of_one_address() {
        let limit = Limit::new(0.001, 3.0);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..3 {
            assert!(limit.take(address("192.0.2.1")).is_ok());
        }
        assert!(limit.take(address("192.0.2.1")).is_err());
        assert!(limit.check(address("::ffff:192.0.2.1")).is_err());
        assert!(limit.take(address("192.0.2.2")).is_ok());
        for host in 1..=3 {
            assert!(limit.take(address(&format!("2001:db8::{host}"))).is_ok());
        }
        assert!(limit.take(address("2001:db8::4")).is_err());
        assert!(limit.take(address("2001:db8:0:1::4")).is_ok());
    }
}
