// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Removes secrets from BMC messages, which appear in events, failures and logs.

use std::sync::Arc;

use super::bmc::{
    Attempt, Bmc, Call, EventSink, Failure, Media, Operated, Secret, Started, Target,
};
use super::model::Step;
use crate::media::redact;
use crate::operations::{Done, Kind};

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

async fn redact_failure(call: Call<'_>, target: &Target) -> Result<(), Failure> {
    call.await
        .map_err(|failure| Failure { message: redact_message(&failure.message, target), ..failure })
}

impl Bmc for RedactingBmc {
    fn profiles(&self) -> Vec<&'static str> {
        self.0.profiles()
    }

    fn mount<'a>(
        &'a self,
        target: &'a Target,
        media: &'a Media,
        events: &'a dyn EventSink,
    ) -> Call<'a> {
        Box::pin(async move {
            let events = RedactingSink { events, target };
            redact_failure(self.0.mount(target, media, &events), target).await
        })
    }

    fn operate<'a>(&'a self, target: &'a Target, kind: Kind) -> Operated<'a> {
        Box::pin(async move {
            let done = self.0.operate(target, kind).await;
            let done = done.map_err(|message| redact_message(&message, target))?;
            let mut inventory = done.inventory;
            for note in inventory.iter_mut().flat_map(|it| &mut it.notes) {
                *note = redact_message(note, target);
            }
            Ok(Done { message: redact_message(&done.message, target), inventory })
        })
    }

    fn start_update<'a>(&'a self, target: &'a Target, image: &'a Secret) -> Started<'a> {
        Box::pin(async move {
            let monitor = self.0.start_update(target, image).await;
            monitor.map_err(|message| redact_message(&message, target))
        })
    }

    fn follow_update<'a>(&'a self, target: &'a Target, monitor: &'a str) -> Operated<'a> {
        Box::pin(async move {
            let done = self.0.follow_update(target, monitor).await;
            done.map_err(|message| redact_message(&message, target))
        })
    }

    fn boot_once<'a>(&'a self, target: &'a Target, events: &'a dyn EventSink) -> Call<'a> {
        Box::pin(async move {
            let events = RedactingSink { events, target };
            redact_failure(self.0.boot_once(target, &events), target).await
        })
    }

    fn reset<'a>(
        &'a self,
        target: &'a Target,
        attempt: Attempt,
        events: &'a dyn EventSink,
    ) -> Call<'a> {
        Box::pin(async move {
            let events = RedactingSink { events, target };
            redact_failure(self.0.reset(target, attempt, &events), target).await
        })
    }

    fn power_off<'a>(&'a self, target: &'a Target, events: &'a dyn EventSink) -> Call<'a> {
        Box::pin(async move {
            let events = RedactingSink { events, target };
            redact_failure(self.0.power_off(target, &events), target).await
        })
    }

    fn unmount<'a>(&'a self, target: &'a Target, events: &'a dyn EventSink) -> Call<'a> {
        Box::pin(async move {
            let events = RedactingSink { events, target };
            redact_failure(self.0.unmount(target, &events), target).await
        })
    }

    fn restart<'a>(
        &'a self,
        target: &'a Target,
        attempt: Attempt,
        events: &'a dyn EventSink,
    ) -> Call<'a> {
        Box::pin(async move {
            let events = RedactingSink { events, target };
            redact_failure(self.0.restart(target, attempt, &events), target).await
        })
    }
}
