// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Sessions with a lifetime and a limit, and Basic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

/// The sessions of a BMC.
#[derive(Debug)]
pub(crate) struct Sessions {
    user: String,
    password: String,
    cap: usize,
    life: Duration,
    /// By id: token (the id itself) and time of the last use.
    open: BTreeMap<u64, Instant>,
    next: u64,
}

/// Why a login failed.
pub(crate) enum Refused {
    /// Wrong user or password.
    Credentials,
    /// No session is free.
    Full,
}

impl Sessions {
    pub(crate) fn new(user: &str, password: &str, cap: usize, life: Duration) -> Self {
        let (user, password) = (user.to_owned(), password.to_owned());
        Self { user, password, cap, life, open: BTreeMap::new(), next: 1 }
    }

    pub(crate) fn open(&mut self, user: &str, password: &str) -> Result<u64, Refused> {
        if (user, password) != (&self.user, &self.password) {
            return Err(Refused::Credentials);
        }
        self.expire();
        if self.open.len() >= self.cap {
            return Err(Refused::Full);
        }
        let id = self.next;
        self.next += 1;
        self.open.insert(id, Instant::now());
        Ok(id)
    }

    pub(crate) fn token(id: u64) -> String {
        format!("mock-session-{id}")
    }

    /// Whether a request has a valid session or password.
    pub(crate) fn is_authenticated(&mut self, headers: &HeaderMap) -> bool {
        self.expire();
        if let Some(token) = headers.get("x-auth-token") {
            let known = self.open.iter_mut().find(|(id, _)| token == Self::token(**id).as_str());
            return known.map(|(_, used)| *used = Instant::now()).is_some();
        }
        let pair = STANDARD.encode(format!("{}:{}", self.user, self.password));
        headers.get(AUTHORIZATION).is_some_and(|value| value == format!("Basic {pair}").as_str())
    }

    pub(crate) fn close(&mut self, id: u64) -> bool {
        self.open.remove(&id).is_some()
    }

    /// Closes all sessions, as a restarted BMC does.
    pub(crate) fn end_all(&mut self) {
        self.open.clear();
    }

    pub(crate) fn ids(&mut self) -> Vec<u64> {
        self.expire();
        self.open.keys().copied().collect()
    }

    fn expire(&mut self) {
        let life = self.life;
        self.open.retain(|_, used| used.elapsed() < life);
    }
}
