// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A BMC whose messages contain secrets.

use std::sync::Arc;
use std::time::Duration;

use controller::database::Database;
use controller::inventory;
use controller::jobs::bmc::{
    Bmc, Call, EventSink, Failure, Operated, Operation, Retry, Secret, Started, Target, TlsPolicy,
};
use controller::jobs::model::{State, Step};
use controller::jobs::runner::Runner;
use controller::jobs::store;
use controller::keyring::Keyring;
use controller::labels::Labels;
use controller::operations::{Done, Kind};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::world::{Manners, World, new_job, quick_settings};

const TOKEN: &str = "Zm9v-YmFy_YmF6MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG0";
const PASSWORD: &str = "only-in-this-test";

struct Talkative;

impl Talkative {
    fn speak(target: &Target, step: Step, events: &dyn EventSink) -> Failure {
        let url = format!("http://192.0.2.1/media/tasks/1764400000/{TOKEN}/7d3c/task.iso");
        let message =
            format!("can't read {url} ({TOKEN}) with {}: sorry", target.password.expose());
        events.record(&step, message.clone());
        let message = format!("{message}{}", "!".repeat(4 << 20));
        Failure { step, message, retry: Retry::Never }
    }
}

impl Bmc for Talkative {
    fn profiles(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn operate<'a>(&'a self, _: &'a Target, _: Kind) -> Operated<'a> {
        Box::pin(async { Ok(Done::default()) })
    }

    fn start_update<'a>(&'a self, _: &'a Target, _: &'a Secret) -> Started<'a> {
        Box::pin(async { Ok(None) })
    }

    fn follow_update<'a>(&'a self, _: &'a Target, _: &'a str) -> Operated<'a> {
        Box::pin(async { Ok(Done::default()) })
    }

    fn call<'a>(
        &'a self,
        operation: Operation<'a>,
        target: &'a Target,
        events: &'a dyn EventSink,
    ) -> Call<'a> {
        let result = match operation {
            Operation::Mount(_) => Err(Self::speak(target, Step::RedfishMountTask, events)),
            Operation::PowerOff | Operation::Unmount => {
                Err(Self::speak(target, operation.step(), events))
            }
            Operation::BootOnce | Operation::Reset(_) | Operation::Restart(_) => Ok(()),
        };
        Box::pin(async move { result })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bmc_repeats_of_secrets_reaches_no_event() {
    let folder = TempDir::new().unwrap();
    let world = World::new(Manners::Good, 0, folder.path());
    let database = Database::open(&folder.path().join("controller.db")).unwrap();
    let runner = Runner::new(database.clone(), Arc::new(Talkative), world, quick_settings());
    let target = Target {
        serial: "S1".to_owned(),
        bmc_url: "https://bmc.example".to_owned(),
        username: "admin".to_owned(),
        password: Secret::new(PASSWORD),
        profile: None,
        tls: TlsPolicy::System,
    };
    let put =
        move |c: &_| inventory::put(c, &Keyring::default(), &target, &Labels::default(), "ops");
    database.write(put).await.unwrap();
    let new = new_job("S1");
    let job = database.write(move |c| store::create(c, &new)).await.unwrap().job;
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(runner.run(async { drop(stopped.await) }, Duration::from_secs(5)));
    let (job, events) = loop {
        let found = database.read(move |c| store::with_events(c, job.id)).await.unwrap();
        if found.0.state == State::Complete {
            break found;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    drop(stop);
    running.await.unwrap();
    let failure = job.failure.unwrap();
    let reports: Vec<_> = events.iter().filter(|event| event.message.contains("sorry")).collect();
    // Progress messages and failures, at mount and clean-up.
    assert_eq!(reports.len(), 4, "{events:?}");
    for text in events.iter().map(|event| &event.message).chain([&failure]) {
        for secret in [TOKEN, PASSWORD, &TOKEN[..20]] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.len() < 20_000, "{} bytes", text.len());
    }
}
