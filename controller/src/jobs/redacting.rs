// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Removes secrets from BMC messages, which appear in events, failures and logs.

use std::sync::Arc;

use super::bmc::{
    Bmc, EventSink, Failure, Operation, OperationFuture, Secret, Started, StepFuture, Target,
};
use super::model::Step;
use crate::media::redact;
use crate::operations::request::{Kind, OperationResult};

/// Shortest password that is redacted: shorter ones would match parts of words.
const SHORTEST: usize = 4;

/// Wraps BMC operations and redacts their messages.
pub(super) struct RedactingBmc(pub(super) Arc<dyn Bmc>);

/// Removes media tokens and the password.
fn redact_message(text: &str, target: &Target) -> String {
    let password = target.password.expose();
    if password.len() < SHORTEST {
        return redact(text);
    }
    redact(&text.replace(password, "…"))
}

/// A sink that redacts messages.
struct RedactingSink<'a> {
    events: &'a dyn EventSink,
    target: &'a Target,
}

impl EventSink for RedactingSink<'_> {
    fn record(&self, step: &Step, message: String) {
        self.events.record(step, redact_message(&message, self.target));
    }
}

impl Bmc for RedactingBmc {
    fn profiles(&self) -> Vec<&'static str> {
        self.0.profiles()
    }

    fn call<'a>(
        &'a self,
        operation: Operation<'a>,
        target: &'a Target,
        events: &'a dyn EventSink,
    ) -> StepFuture<'a> {
        Box::pin(async move {
            let events = RedactingSink { events, target };
            self.0.call(operation, target, &events).await.map_err(|failure| {
                let message = redact_message(&failure.message, target);
                Failure { message, ..failure }
            })
        })
    }

    fn operate<'a>(&'a self, target: &'a Target, kind: Kind) -> OperationFuture<'a> {
        Box::pin(async move {
            let done = self.0.operate(target, kind).await;
            let done = done.map_err(|message| redact_message(&message, target))?;
            let mut inventory = done.inventory;
            for note in inventory.iter_mut().flat_map(|it| &mut it.notes) {
                *note = redact_message(note, target);
            }
            Ok(OperationResult { message: redact_message(&done.message, target), inventory })
        })
    }

    fn start_update<'a>(&'a self, target: &'a Target, image: &'a Secret) -> Started<'a> {
        Box::pin(async move {
            let monitor = self.0.start_update(target, image).await;
            monitor.map_err(|message| redact_message(&message, target))
        })
    }

    fn follow_update<'a>(&'a self, target: &'a Target, monitor: &'a str) -> OperationFuture<'a> {
        Box::pin(async move {
            let done = self.0.follow_update(target, monitor).await;
            done.map_err(|message| redact_message(&message, target))
        })
    }
}
