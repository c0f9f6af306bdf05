// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Login attempts of the API, the webhook and the registry: one rate limit, one metric and one log
//! line for all.
//!
//! An attempt takes a token before anything is checked, and returns it on success. So parallel
//! guesses are limited like successive ones.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::audit::{Action, Audit, Entry};
use crate::limits::{Limit, RateLimited};
use crate::metrics::{Interface, Metrics};
use crate::registry::users::Users;

/// Rate (per second) and burst of failed logins per address.
const FAILED: (f64, f64) = (0.1, 20.0);
/// Password hashes computed in parallel; each takes a core and 19 MiB.
const PASSWORD_CHECKS: usize = 2;

/// The login rate limit.
pub(crate) struct Logins {
    failed: Limit,
    password_checks: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    audit: Option<Audit>,
}

/// A login attempt in progress. If it is dropped because the client disconnected, its token stays
/// taken and no failure is counted.
pub(crate) struct Attempt<'a> {
    logins: &'a Logins,
    interface: Interface,
    address: IpAddr,
}

impl Logins {
    /// Counts failures in `metrics`.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        let (rate, burst) = FAILED;
        let password_checks = Arc::new(Semaphore::new(PASSWORD_CHECKS));
        Self { failed: Limit::new(rate, burst), password_checks, metrics, audit: None }
    }

    /// Also records failures in the audit log.
    pub(crate) fn with_audit(self, audit: Audit) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// Starts an attempt.
    ///
    /// # Errors
    /// [`RateLimited`] if this address had too many failed attempts.
    pub(crate) fn attempt(
        &self,
        interface: Interface,
        address: IpAddr,
    ) -> Result<Attempt<'_>, RateLimited> {
        self.failed.take(address)?;
        Ok(Attempt { logins: self, interface, address })
    }

    /// Checks a password.
    ///
    /// # Errors
    /// [`RateLimited`] if this address had too many failed attempts, even if the password is right.
    pub(crate) async fn password(
        &self,
        interface: Interface,
        address: IpAddr,
        users: &Arc<Users>,
        (user, password): (&str, &str),
    ) -> Result<bool, RateLimited> {
        self.failed.check(address)?;
        if users.has_cached(user, password) {
            return Ok(true);
        }
        // Before taking a token: clients that log in in parallel with the right password must not
        // exhaust the limit. The semaphore is never closed.
        let permit = Arc::clone(&self.password_checks).acquire_owned().await.ok();
        let attempt = self.attempt(interface, address)?;
        // Another request may have checked the same password in the meantime.
        let right = users.has_cached(user, password) || {
            let (users, user, password) = (Arc::clone(users), user.to_owned(), password.to_owned());
            let check = move || {
                // Held until the check ends, even if the client disconnects: otherwise the next
                // check would start early.
                let _permit = permit;
                users.verify(&user, &password)
            };
            tokio::task::spawn_blocking(check).await.unwrap_or_else(|error| {
                tracing::error!(%error, "cannot verify a password");
                false
            })
        };
        if right {
            attempt.succeed();
        } else {
            // An unknown user name may be a password in the wrong field: do not log it.
            attempt.fail(users.contains(user).then_some(user));
        }
        Ok(right)
    }
}

impl Attempt<'_> {
    /// Returns the token.
    pub(crate) fn succeed(self) {
        self.logins.failed.give_back(self.address);
    }

    /// Counts and logs the failure, with the user name if that user exists.
    pub(crate) fn fail(self, user: Option<&str>) {
        let (address, interface) = (self.address, self.interface.as_str());
        self.logins.metrics.count_failed_login(self.interface);
        tracing::warn!(%address, interface, user, "login failed");
        if let Some(audit) = &self.logins.audit {
            audit.refuse(Entry {
                actor: user.map(str::to_owned),
                address,
                action: Action::Login,
                object: Some(interface.to_owned()),
                detail: None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Arc<Users> {
        let line = format!("ci:{}\n", bcrypt::hash("right", 4).unwrap());
        Arc::new(Users::parse(&line).unwrap())
    }

    #[tokio::test]
    async fn parallel_guesses_are_limited_like_successive_ones() {
        let logins = Arc::new(Logins::new(Arc::default()));
        let (users, address) = (users(), "192.0.2.1".parse().unwrap());
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..100 {
            let (logins, users) = (Arc::clone(&logins), Arc::clone(&users));
            let password = format!("guess {n}");
            tasks.spawn(async move {
                logins.password(Interface::Registry, address, &users, ("ci", &password)).await
            });
        }
        let answers = tasks.join_all().await;
        let checked = answers.iter().filter(|answer| **answer == Ok(false)).count();
        // A token may be added while the hashes are computed.
        assert!((20..=22).contains(&checked), "{checked}");
        // The other interfaces share the limit, which also rejects the right password.
        assert!(logins.attempt(Interface::Webhook, address).is_err());
        let right = logins.password(Interface::Api, address, &users, ("ci", "right")).await;
        assert!(right.is_err());
        let elsewhere = "192.0.2.2".parse().unwrap();
        let right = logins.password(Interface::Api, elsewhere, &users, ("ci", "right")).await;
        assert_eq!(right, Ok(true));
    }

    /// The check of a disconnected client keeps its permit, so the next check has to wait.
    #[tokio::test]
    async fn an_abandoned_check_still_counts_as_one() {
        let logins = Arc::new(Logins::new(Arc::default()));
        // Slow enough to be still running when the clients have disconnected.
        let line = format!("ci:{}\n", bcrypt::hash("right", 13).unwrap());
        let users = Arc::new(Users::parse(&line).unwrap());
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..PASSWORD_CHECKS {
            let (logins, users) = (Arc::clone(&logins), Arc::clone(&users));
            let (address, guess) = ("192.0.2.1".parse().unwrap(), format!("guess {n}"));
            tasks.spawn(async move {
                logins.password(Interface::Registry, address, &users, ("ci", &guess)).await
            });
        }
        while logins.password_checks.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        tasks.shutdown().await;
        assert_eq!(logins.password_checks.available_permits(), 0);
    }

    #[tokio::test]
    async fn right_passwords_keep_the_tokens() {
        let logins = Arc::new(Logins::new(Arc::default()));
        let (users, address) = (users(), "192.0.2.1".parse().unwrap());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (logins, users) = (Arc::clone(&logins), Arc::clone(&users));
            tasks.spawn(async move {
                logins.password(Interface::Registry, address, &users, ("ci", "right")).await
            });
        }
        assert!(tasks.join_all().await.into_iter().all(|answer| answer == Ok(true)));
        assert!(logins.attempt(Interface::Api, address).is_ok());
    }
}
