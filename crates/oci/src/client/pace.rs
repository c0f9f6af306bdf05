// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Time limits for responses: a deadline for documents, a minimum rate for bodies of any size.
//!
//! A time limit for each read is not enough: a server that sends one byte before each limit holds
//! the client for years.

use std::io::{self, Read};
use std::time::{Duration, Instant};

/// The least average rate at which a response body must arrive.
#[derive(Debug, Clone, Copy)]
pub struct MinimumRate {
    /// Bytes that must arrive in each period.
    pub bytes: u64,
    /// Time spent waiting for the server; the time between reads does not count.
    pub period: Duration,
}

/// A response body that fails with [`io::ErrorKind::TimedOut`] when it arrives too slowly.
pub(super) struct Paced {
    body: ureq::BodyReader<'static>,
    rate: MinimumRate,
    received: u64,
    waited: Duration,
}

impl Paced {
    pub(super) fn new(body: ureq::Body, rate: MinimumRate) -> Self {
        Self { body: body.into_reader(), rate, received: 0, waited: Duration::ZERO }
    }
}

impl Read for Paced {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = Instant::now();
        let count = self.body.read(buffer)?;
        self.waited += start.elapsed();
        self.received += count as u64;
        let MinimumRate { bytes, period } = self.rate;
        if self.waited >= period {
            if self.received < bytes {
                let seconds = period.as_secs_f64();
                return Err(timed_out(format!("less than {bytes} bytes in {seconds} s")));
            }
            (self.received, self.waited) = (0, Duration::ZERO);
        }
        Ok(count)
    }
}

/// The remaining time until `deadline`, if there is one.
///
/// # Errors
/// When it has passed.
pub(super) fn remaining(deadline: Option<Instant>) -> io::Result<Option<Duration>> {
    let Some(deadline) = deadline else { return Ok(None) };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(timed_out("the time limit for a whole document has passed".to_owned()));
    }
    Ok(Some(left))
}

fn timed_out(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, reason)
}
