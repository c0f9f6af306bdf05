// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Attempts to log in, whichever interface they come to: one limit, one metric and one line in the log
//! for the API, the webhook and the registry.
//!
//! An attempt takes a token before anything is checked, and gets it back when it succeeds. So parallel
//! guesses are limited like successive ones.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::audit::{Action, Audit, Entry};
use crate::limits::{Exhausted, Limit};
use crate::metrics::{Interface, Metrics};
use crate::registry::users::Users;

/// Failed logins that one address may have in a second, and at once.
const FAILED: (f64, f64) = (0.1, 20.0);
/// Passwords checked at once: a hash must not take every processor and all memory.
const PASSWORD_CHECKS: usize = 2;

/// The limit of logins.
pub(crate) struct Logins {
    failed: Limit,
    password_checks: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    audit: Option<Audit>,
}

/// An attempt that is being checked. One that is dropped keeps its token and is not counted: its client
/// went away.
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

    /// Records failures in the audit log, too.
    pub(crate) fn recorded_in(self, audit: Audit) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// Starts an attempt.
    ///
    /// # Errors
    /// [`Exhausted`] where this address has failed too often.
    pub(crate) fn attempt(
        &self,
        interface: Interface,
        address: IpAddr,
    ) -> Result<Attempt<'_>, Exhausted> {
        self.failed.take(address)?;
        Ok(Attempt { logins: self, interface, address })
    }

    /// Whether a password is right.
    ///
    /// # Errors
    /// [`Exhausted`] where this address has failed too often, whether the password is right or not.
    pub(crate) async fn password(
        &self,
        interface: Interface,
        address: IpAddr,
        users: &Arc<Users>,
        (user, password): (&str, &str),
    ) -> Result<bool, Exhausted> {
        self.failed.check(address)?;
        if users.remembers(user, password) {
            return Ok(true);
        }
        // Before the token is taken: clients that log in at once, all with the right password, must not
        // use up the limit among themselves. The semaphore is never closed.
        let permit = Arc::clone(&self.password_checks).acquire_owned().await.ok();
        let attempt = self.attempt(interface, address)?;
        // Somebody else may have asked for the same in the meantime.
        let right = users.remembers(user, password) || {
            let (users, user, password) = (Arc::clone(users), user.to_owned(), password.to_owned());
            let check = move || {
                // Until the check ends, also when its client went away: what waits must not start then.
                let _permit = permit;
                users.verify(&user, &password)
            };
            tokio::task::spawn_blocking(check).await.unwrap_or_else(|error| {
                tracing::error!(%error, "a password could not be checked");
                false
            })
        };
        if right {
            attempt.succeeded();
        } else {
            // A name that is not known may be a password in the wrong field.
            attempt.failed(users.contains(user).then_some(user));
        }
        Ok(right)
    }
}

impl Attempt<'_> {
    /// Gives the token back.
    pub(crate) fn succeeded(self) {
        self.logins.failed.give_back(self.address);
    }

    /// Counts and logs the failure, with the name of the user where it is one that exists.
    pub(crate) fn failed(self, user: Option<&str>) {
        let (address, interface) = (self.address, self.interface.as_str());
        self.logins.metrics.login_failed(self.interface);
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
        // One more may be filled in while the hashes are computed.
        assert!((20..=22).contains(&checked), "{checked}");
        // The other interfaces share the limit, and the right password does not help any more.
        assert!(logins.attempt(Interface::Webhook, address).is_err());
        let right = logins.password(Interface::Api, address, &users, ("ci", "right")).await;
        assert!(right.is_err());
        let elsewhere = "192.0.2.2".parse().unwrap();
        let right = logins.password(Interface::Api, elsewhere, &users, ("ci", "right")).await;
        assert_eq!(right, Ok(true));
    }

    /// A client that goes away does not end the check of its password, so the next one has to wait.
    #[tokio::test]
    async fn an_abandoned_check_still_counts_as_one() {
        let logins = Arc::new(Logins::new(Arc::default()));
        // Long enough to be still at work when the clients have gone.
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
    async fn right_passwords_use_nothing_up() {
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
