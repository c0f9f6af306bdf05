// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! New jobs, idempotency keys and retries.

use controller::database::Database;
use controller::jobs::model::{JobId, State};
use controller::jobs::store::{self, Created, NewJob, StoreError};
use tempfile::TempDir;

use super::world::{PASSWORD, RECIPE, new_job, put_server};

async fn database() -> (TempDir, Database) {
    let folder = TempDir::new().unwrap();
    let database = Database::open(&folder.path().join("c.db")).unwrap();
    put_server(&database, "S1", "https://bmc.example", PASSWORD).await;
    (folder, database)
}

async fn create(database: &Database, new: NewJob) -> Result<Created, StoreError> {
    database.write(move |c| store::create(c, &new)).await
}

async fn cancel(database: &Database, id: JobId) {
    let job = database.write(move |c| store::cancel(c, id, "ops")).await.unwrap();
    assert_eq!(job.state, State::Complete);
}

#[tokio::test]
async fn a_server_has_one_active_job() {
    let (_folder, database) = database().await;
    let unknown = create(&database, new_job("S2")).await;
    assert!(matches!(unknown, Err(StoreError::NoServer(_))), "{unknown:?}");
    let requests = (0..8).map(|_| {
        tokio::spawn({
            let database = database.clone();
            async move { create(&database, new_job("S1")).await }
        })
    });
    let mut made = Vec::new();
    for request in requests.collect::<Vec<_>>() {
        match request.await.unwrap() {
            Ok(created) => made.push(created.job.id),
            Err(StoreError::Active { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(made.len(), 1);
    cancel(&database, made[0]).await;
    create(&database, new_job("S1")).await.unwrap();
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_job() {
    let (_folder, database) = database().await;
    let with = |key: &str, digest: &str, user: &str| NewJob {
        idempotency: Some((key.to_owned(), digest.to_owned())),
        user: user.to_owned(),
        ..new_job("S1")
    };
    let first = create(&database, with("k", "1", "ops")).await.unwrap();
    let again = create(&database, with("k", "1", "ops")).await.unwrap();
    assert_eq!((again.job.id, again.repeated), (first.job.id, true));
    let other = create(&database, with("k", "2", "ops")).await;
    assert!(matches!(other, Err(StoreError::KeyReused)), "{other:?}");
    // Keys of different users are independent.
    let other = create(&database, with("k", "1", "dev")).await;
    assert!(matches!(other, Err(StoreError::Active { .. })), "{other:?}");
    cancel(&database, first.job.id).await;
    let again = create(&database, with("k", "1", "ops")).await.unwrap();
    assert_eq!(again.job.id, first.job.id);
}

#[tokio::test]
async fn a_failed_job_is_repeated_as_a_new_one() {
    let (_folder, database) = database().await;
    let first = create(&database, new_job("S1")).await.unwrap().job;
    let id = first.id;
    let early = database.read(move |c| store::retry(c, id, "ops")).await;
    assert!(matches!(early, Err(StoreError::State(_))), "{early:?}");
    cancel(&database, id).await;
    let new = database.read(move |c| store::retry(c, id, "ops")).await.unwrap();
    let second = create(&database, new).await.unwrap().job;
    assert_ne!(second.id, first.id);
    assert_eq!((second.retry_of, second.recipe_sha256), (Some(first.id), first.recipe_sha256));
    let number = second.number;
    let recipe = database.read(move |c| store::recipe(c, number)).await.unwrap();
    assert_eq!(recipe, RECIPE.as_bytes());
}

#[tokio::test]
async fn a_job_has_the_warnings_of_the_last_inspection() {
    let (_folder, database) = database().await;
    let inventory = serde_json::json!({ "notes": [], "components": [
        { "class": "secure-boot", "path": "/b", "id": "b", "state": "Enabled" },
        { "class": "certificate", "path": "/c", "id": "c", "name": "Microsoft UEFI CA 2023" },
    ] });
    let inventory = serde_json::from_value(inventory).unwrap();
    database.write(move |c| controller::hardware::put(c, "S1", inventory)).await.unwrap();
    for (target, expected) in [
        ("install-linux.target", &["shim of Linux distributions"][..]),
        ("install-windows.target", &["shim of Linux distributions", "boot manager of Windows"]),
    ] {
        let new = NewJob { task_target: target.to_owned(), ..new_job("S1") };
        let job = create(&database, new).await.unwrap().job;
        let events = database.read(move |c| store::events(c, job.number)).await.unwrap();
        let warnings: Vec<_> =
            events.into_iter().filter(|it| it.kind == "warning").map(|it| it.message).collect();
        assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
        for (warning, loader) in warnings.iter().zip(expected) {
            assert!(warning.contains(loader), "{warning}");
        }
        cancel(&database, job.id).await;
    }
}
