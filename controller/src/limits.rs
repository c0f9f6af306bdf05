// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Rate limits per client address: a token bucket for each.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Extensions;

/// Client address; the server sets it as a request extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Returns the client address. Clients with an unknown address share one bucket.
pub(crate) fn address(extensions: &Extensions) -> IpAddr {
    let known = extensions.get::<ClientAddress>();
    known.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0)
}

/// The bucket is empty; a token is available after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimited(pub(crate) Duration);

impl RateLimited {
    /// Whole seconds for `Retry-After`.
    pub(crate) fn seconds(self) -> u64 {
        self.0.as_secs() + 1
    }
}

/// Maximum number of addresses in one generation.
const GENERATION: usize = 8 * 1024;

/// A rate limit with one token bucket per address.
pub(crate) struct Limit {
    /// Tokens per second.
    rate: f64,
    /// Capacity of a bucket.
    burst: f64,
    buckets: Mutex<Buckets>,
}

/// Two generations: when the younger one is full, the older one is dropped. So memory is bounded,
/// and no request pays for a search of expired buckets.
#[derive(Default)]
struct Buckets {
    young: HashMap<IpAddr, Bucket>,
    old: HashMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Buckets {
    fn get(&mut self, address: IpAddr, whole: Bucket) -> &mut Bucket {
        if !self.young.contains_key(&address) && self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young.entry(address).or_insert_with(|| old.remove(&address).unwrap_or(whole))
    }
}

impl Limit {
    /// `rate` in tokens per second; `burst` is the capacity.
    pub(crate) fn new(rate: f64, burst: f64) -> Self {
        Self { rate, burst, buckets: Mutex::default() }
    }

    /// Takes a token from the bucket of an address.
    ///
    /// # Errors
    /// [`RateLimited`] if the bucket is empty.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), RateLimited> {
        self.with(address, |bucket| {
            self.check_available(bucket)?;
            bucket.tokens -= 1.0;
            Ok(())
        })
    }

    /// Checks whether a token is available, without taking it.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), RateLimited> {
        self.with(address, |bucket| self.check_available(bucket))
    }

    /// Returns a token that was taken.
    pub(crate) fn give_back(&self, address: IpAddr) {
        self.with(address, |bucket| bucket.tokens = (bucket.tokens + 1.0).min(self.burst));
    }

    fn check_available(&self, bucket: &Bucket) -> Result<(), RateLimited> {
        if bucket.tokens >= 1.0 {
            return Ok(());
        }
        Err(RateLimited(Duration::from_secs_f64((1.0 - bucket.tokens) / self.rate)))
    }

    fn with<T>(&self, address: IpAddr, act: impl FnOnce(&mut Bucket) -> T) -> T {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.get(block(address), Bucket { tokens: self.burst, at: now });
        let filled = now.duration_since(bucket.at).as_secs_f64() * self.rate;
        bucket.tokens = (bucket.tokens + filled).min(self.burst);
        bucket.at = now;
        act(bucket)
    }
}

/// Maps an address to the client it counts for: an IPv6 host has a whole /64 (RFC 4291, section
/// 2.5.1).
pub(crate) fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & (u128::MAX << 64)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_own_bucket() {
        let limit = Limit::new(0.001, 3.0);
        for _ in 0..3 {
            assert!(limit.take(parse("192.0.2.1")).is_ok());
        }
        assert!(limit.take(parse("192.0.2.1")).is_err());
        assert!(limit.check(parse("::ffff:192.0.2.1")).is_err());
        assert!(limit.take(parse("192.0.2.2")).is_ok());
        for host in 1..=3 {
            assert!(limit.take(parse(&format!("2001:db8::{host}"))).is_ok());
        }
        assert!(limit.take(parse("2001:db8::4")).is_err());
        assert!(limit.take(parse("2001:db8:0:1::4")).is_ok());
    }

    #[test]
    fn returned_tokens_do_not_exceed_the_capacity() {
        let limit = Limit::new(0.001, 1.0);
        let address = parse("192.0.2.1");
        limit.give_back(address);
        assert!(limit.take(address).is_ok() && limit.take(address).is_err());
        limit.give_back(address);
        assert!(limit.take(address).is_ok() && limit.take(address).is_err());
    }

    #[test]
    fn memory_is_bounded_and_an_empty_bucket_outlives_a_generation() {
        let limit = Limit::new(0.001, 1.0);
        let other = |n: usize| IpAddr::V4(Ipv4Addr::from(u32::try_from(n).unwrap()));
        let guesser = parse("192.0.2.1");
        limit.take(guesser).unwrap();
        for n in 0..GENERATION {
            limit.take(other(n)).unwrap();
        }
        assert!(limit.take(guesser).is_err());
        for n in 0..4 * GENERATION {
            limit.check(other(n)).ok();
        }
        let buckets = limit.buckets.lock().unwrap();
        assert!(buckets.young.len() <= GENERATION && buckets.old.len() <= GENERATION);
    }
}
