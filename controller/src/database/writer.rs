// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The writing thread: batches queued work into one transaction with one fsync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::DatabaseError;

/// Maximum pieces of work in one transaction; bounds the wait of the first.
const MOST_AT_ONCE: usize = 256;

/// Sends the result to the caller, given whether the transaction was committed.
type Answer = Box<dyn FnOnce(Result<(), DatabaseError>)>;
/// Runs with a connection, or with the error because of which there is none. Returns whether to
/// keep its changes, and the answer to the caller.
type Work = Box<dyn FnOnce(Result<&Connection, DatabaseError>) -> (bool, Answer) + Send>;

/// Handle for submitting work. The thread ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    work: Sender<Work>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (work, waiting) = channel();
        let run = move || run(&connection, &waiting);
        std::thread::Builder::new().name("database".to_owned()).spawn(run)?;
        Ok(Self { work })
    }

    /// Queues `work`. The receiver gets its result after the commit.
    pub(super) fn submit<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, E>>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let panicked = |_| Err(DatabaseError::Other("a write panicked".to_owned()).into());
            let run = |connection| {
                catch_unwind(AssertUnwindSafe(|| work(connection))).unwrap_or_else(panicked)
            };
            let result: Result<T, E> = connection.map_err(E::from).and_then(run);
            let wanted = result.is_ok();
            let answer: Answer = Box::new(move |kept| {
                let result = match (result, kept) {
                    (Ok(_), Err(error)) => Err(error.into()),
                    (result, _) => result,
                };
                // The caller may be gone; the work is done anyway.
                sender.send(result).ok();
            });
            (wanted, answer)
        });
        // If the thread has ended, the receiver reports it.
        self.work.send(work).ok();
        receiver
    }
}

fn run(connection: &Connection, waiting: &Receiver<Work>) {
    while let Ok(first) = waiting.recv() {
        let batch: Vec<Work> =
            std::iter::once(first).chain(waiting.try_iter()).take(MOST_AT_ONCE).collect();
        let mut answers = Vec::with_capacity(batch.len());
        let kept = transaction(connection, batch, &mut answers);
        if let Err(error) = &kept {
            tracing::error!(%error, writes = answers.len(), "transaction failed");
        }
        for answer in answers {
            answer(kept.clone());
        }
    }
}

fn transaction(
    connection: &Connection,
    batch: Vec<Work>,
    answers: &mut Vec<Answer>,
) -> Result<(), DatabaseError> {
    let batched = |sql: &str| connection.execute_batch(sql).map_err(DatabaseError::from);
    let mut so_far = batched("BEGIN IMMEDIATE");
    for work in batch {
        so_far = so_far.and_then(|()| batched("SAVEPOINT work"));
        // Without a transaction the work must not run: it could not be rolled back.
        let (wanted, answer) = work(so_far.clone().map(|()| connection));
        answers.push(answer);
        let end = if wanted { "RELEASE work" } else { "ROLLBACK TO work; RELEASE work" };
        so_far = so_far.and_then(|()| batched(end));
    }
    so_far = so_far.and_then(|()| batched("COMMIT"));
    if so_far.is_err() && !connection.is_autocommit() {
        // A further error adds nothing; SQLite rolls back by itself on some errors.
        connection.execute_batch("ROLLBACK").ok();
    }
    so_far
}
