// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The thread that writes: many pieces of work, one transaction, one fsync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::DatabaseError;

/// The most pieces of work in one transaction, so that the first does not wait for ever.
const MOST_AT_ONCE: usize = 256;

/// Tells who asked how it ended: whether the transaction of the work was kept.
type Answer = Box<dyn FnOnce(Result<(), DatabaseError>)>;
/// A piece of work, or why there is nothing to do it with; it answers with whether its changes are
/// wanted, and how to tell the end.
type Work = Box<dyn FnOnce(Result<&Connection, DatabaseError>) -> (bool, Answer) + Send>;

/// Where work is handed in. The thread ends with the last of these.
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

    /// Does `work`, and returns when it is on the disk.
    pub(super) async fn write<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        // Where the thread has ended, so has what would have told.
        let ended = DatabaseError::Other("the thread that writes has ended".to_owned());
        self.submit(work).await.unwrap_or_else(|_| Err(ended.into()))
    }

    /// Has `work` done in its turn.
    pub(super) fn submit<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, E>>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
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
                // Whoever asked may have gone away; the work is done all the same.
                tell.send(result).ok();
            });
            (wanted, answer)
        });
        // Where the thread has ended, the receiver notices.
        self.work.send(work).ok();
        told
    }
}

fn run(connection: &Connection, waiting: &Receiver<Work>) {
    while let Ok(first) = waiting.recv() {
        let batch: Vec<Work> =
            std::iter::once(first).chain(waiting.try_iter()).take(MOST_AT_ONCE).collect();
        let mut answers = Vec::with_capacity(batch.len());
        let kept = transaction(connection, batch, &mut answers);
        if let Err(error) = &kept {
            tracing::error!(%error, writes = answers.len(), "not written");
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
        // Without a transaction no work may run: nothing could take it back.
        let (wanted, answer) = work(so_far.clone().map(|()| connection));
        answers.push(answer);
        let end = if wanted { "RELEASE work" } else { "ROLLBACK TO work; RELEASE work" };
        so_far = so_far.and_then(|()| batched(end));
    }
    so_far = so_far.and_then(|()| batched("COMMIT"));
    if so_far.is_err() && !connection.is_autocommit() {
        // Its own error would tell nothing new; SQLite rolls back by itself on some.
        connection.execute_batch("ROLLBACK").ok();
    }
    so_far
}
