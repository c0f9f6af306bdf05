// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs a schedule on threads: one per running node; events go to the caller's thread.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::check::Graph;
use super::schedule::{Next, Schedule};

/// Interval of [`Event::Tick`].
const TICK: Duration = Duration::from_millis(200);

/// An event, delivered on the caller's thread.
pub(super) enum Event<T> {
    /// The node is about to run.
    Start(usize),
    /// The node has returned this.
    End(usize, T),
    /// The node will not run because a dependency failed.
    Skip {
        /// The skipped node.
        node: usize,
        /// The failed dependency.
        because: usize,
    },
    /// The node will not run because the run was stopped.
    Drop(usize),
    /// Periodic event while nodes run.
    Tick,
}

/// The caller's reaction to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Continue. After an `End`, the node counts as succeeded.
    Good,
    /// After an `End`: the node counts as failed.
    Bad,
    /// Start nothing else and wait for running nodes. The node counts as failed.
    Stop,
}

/// Runs `work` for every node of `graph` in dependency order, at most `limit` at the same time.
///
/// # Errors
/// The first error of `hear`, after all running nodes have ended.
pub(super) fn execute<T: Send>(
    graph: &Graph,
    limit: NonZeroUsize,
    work: impl Fn(usize) -> Result<T> + Sync,
    mut hear: impl FnMut(Event<Result<T>>) -> Result<Reaction>,
) -> Result<()> {
    let mut schedule = Schedule::new(graph, limit);
    let mut failure = None;
    let mut handle = |schedule: &mut Schedule<'_>, event| match hear(event) {
        Ok(Reaction::Stop) => {
            schedule.stop();
            false
        }
        Ok(reaction) => reaction == Reaction::Good,
        Err(error) => {
            schedule.stop();
            failure.get_or_insert(error);
            false
        }
    };
    std::thread::scope(|scope| {
        let (sender, ended) = channel();
        loop {
            match schedule.next() {
                Next::Start(node) => {
                    if !handle(&mut schedule, Event::Start(node)) {
                        schedule.end(node, false);
                        continue;
                    }
                    let (sender, work) = (sender.clone(), &work);
                    scope.spawn(move || {
                        let result = catch_unwind(AssertUnwindSafe(|| work(node)))
                            .unwrap_or_else(|panic| Err(anyhow!("panicked: {}", message(&*panic))));
                        drop(sender.send((node, result)));
                    });
                }
                Next::Skip { node, because } => {
                    handle(&mut schedule, Event::Skip { node, because });
                }
                Next::Drop(node) => {
                    handle(&mut schedule, Event::Drop(node));
                }
                Next::Wait => match ended.recv_timeout(TICK) {
                    Ok((node, result)) => {
                        let good = handle(&mut schedule, Event::End(node, result));
                        schedule.end(node, good);
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        handle(&mut schedule, Event::Tick);
                    }
                    // Unreachable: `sender` outlives this loop.
                    Err(RecvTimeoutError::Disconnected) => break,
                },
                Next::End => break,
            }
        }
    });
    failure.map_or(Ok(()), Err)
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anyhow::bail;

    use super::super::check::Node;
    use super::*;

    fn graph(nodes: &[(&str, &[&str])]) -> Graph {
        let node = |(name, after): &(&str, &[&str])| Node {
            name: (*name).into(),
            after: after.iter().map(|it| (*it).into()).collect(),
        };
        Graph::new(nodes.iter().map(node).collect()).unwrap()
    }

    /// Runs `work` and returns the events, without ticks.
    fn events(
        graph: &Graph,
        limit: usize,
        work: impl Fn(usize) -> Result<()> + Sync,
    ) -> Vec<String> {
        let mut heard = Vec::new();
        execute(graph, NonZeroUsize::new(limit).unwrap(), work, |event| {
            let (text, reaction) = match event {
                Event::Start(node) => (format!("start {}", graph.name(node)), Reaction::Good),
                Event::End(node, Ok(())) => (format!("end {}", graph.name(node)), Reaction::Good),
                Event::End(node, Err(error)) => {
                    (format!("fail {}: {error}", graph.name(node)), Reaction::Bad)
                }
                Event::Skip { node, because } => (
                    format!("skip {} for {}", graph.name(node), graph.name(because)),
                    Reaction::Good,
                ),
                Event::Drop(node) => (format!("drop {}", graph.name(node)), Reaction::Good),
                Event::Tick => return Ok(Reaction::Good),
            };
            heard.push(text);
            Ok(reaction)
        })
        .unwrap();
        heard
    }

    #[test]
    fn a_failure_skips_what_depends_on_it_and_nothing_else() {
        let graph = graph(&[("a", &[]), ("b", &["a"]), ("c", &["b"]), ("d", &[])]);
        let heard = events(&graph, 1, |node| if node == 0 { bail!("broken") } else { Ok(()) });
        assert_eq!(
            heard,
            ["start a", "fail a: broken", "skip b for a", "skip c for b", "start d", "end d"]
        );
    }

    #[test]
    fn a_panic_is_a_failure_of_that_node() {
        let graph = graph(&[("a", &[]), ("b", &[])]);
        let heard = events(&graph, 1, |node| {
            assert!(node != 0, "no {}", "way");
            Ok(())
        });
        assert_eq!(heard, ["start a", "fail a: panicked: no way", "start b", "end b"]);
    }

    #[test]
    fn runs_as_many_at_a_time_as_it_may_and_no_more() {
        let names: Vec<String> = (0..12).map(|it| it.to_string()).collect();
        let nodes: Vec<(&str, &[&str])> = names.iter().map(|it| (it.as_str(), &[][..])).collect();
        let graph = graph(&nodes);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let pair = std::sync::Barrier::new(3);
        events(&graph, 3, |_| {
            let running = now.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(running, Ordering::SeqCst);
            // The barrier needs three nodes at the same time: with fewer the test would hang.
            pair.wait();
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        });
        assert_eq!(most.into_inner(), 3);
    }

    #[test]
    fn an_error_of_the_listener_ends_the_run() {
        let graph = graph(&[("a", &[]), ("b", &[])]);
        let ran = AtomicUsize::new(0);
        let error = execute(
            &graph,
            NonZeroUsize::MIN,
            |_| {
                ran.fetch_add(1, Ordering::SeqCst);
                Ok(())
            },
            |event| match event {
                Event::End(..) => bail!("disk full"),
                _ => Ok(Reaction::Good),
            },
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "disk full");
        assert_eq!(ran.into_inner(), 1);
    }
}
