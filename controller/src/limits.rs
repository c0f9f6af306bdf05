// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! How often one address may do something. A bucket for each: it fills at a steady rate, and what the
//! address does takes from it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Extensions;

/// The address of whoever sent a request, put there by the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// The address of a client; one that is not known shares its limits with the others of that kind.
pub(crate) fn address(extensions: &Extensions) -> IpAddr {
    let known = extensions.get::<ClientAddress>();
    known.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0)
}

/// A bucket is empty: there is something in it after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted(pub(crate) Duration);

impl Exhausted {
    /// Whole seconds, for `Retry-After`.
    pub(crate) fn seconds(self) -> u64 {
        self.0.as_secs() + 1
    }
}

/// The most addresses of one generation.
const GENERATION: usize = 8 * 1024;

/// Buckets of one kind.
pub(crate) struct Limit {
    /// Filled in a second.
    rate: f64,
    /// The most that a bucket holds.
    burst: f64,
    buckets: Mutex<Buckets>,
}

/// Two generations: when the younger one is full, the older one goes as a whole. So memory is bounded
/// and no request pays for a search of what is old.
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
    /// `rate` in a second, and `burst` at once.
    pub(crate) fn new(rate: f64, burst: f64) -> Self {
        Self { rate, burst, buckets: Mutex::default() }
    }

    /// Takes one from the bucket of an address.
    ///
    /// # Errors
    /// [`Exhausted`] where it is empty.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), Exhausted> {
        self.with(address, |bucket| {
            self.available(bucket)?;
            bucket.tokens -= 1.0;
            Ok(())
        })
    }

    /// Looks whether the bucket is empty, and takes nothing.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Exhausted> {
        self.with(address, |bucket| self.available(bucket))
    }

    /// Puts back what was taken.
    pub(crate) fn give_back(&self, address: IpAddr) {
        self.with(address, |bucket| bucket.tokens = (bucket.tokens + 1.0).min(self.burst));
    }

    fn available(&self, bucket: &Bucket) -> Result<(), Exhausted> {
        if bucket.tokens >= 1.0 {
            return Ok(());
        }
        Err(Exhausted(Duration::from_secs_f64((1.0 - bucket.tokens) / self.rate)))
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

/// What counts as one client: one host of IPv6 has a whole /64 (RFC 4291, section 2.5.1).
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
    fn a_bucket_is_emptied_and_is_that_of_one_address() {
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
    fn what_is_given_back_can_be_taken_again_and_no_more() {
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
