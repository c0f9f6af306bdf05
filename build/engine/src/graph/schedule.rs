// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Scheduler of the graph: a state machine without threads or clock.

use std::num::NonZeroUsize;

use super::check::Graph;

/// State of all nodes.
#[derive(Debug, Clone)]
pub(super) struct Schedule<'a> {
    graph: &'a Graph,
    limit: usize,
    states: Vec<State>,
    stopped: bool,
}

/// State of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    /// Succeeded: dependents may run.
    Good,
    /// Failed or skipped: dependents may not run.
    Bad,
}

/// Next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Start this node; it counts as running from now on.
    Start(usize),
    /// This node is skipped because of a failed dependency. It has ended.
    Skip {
        /// The skipped node.
        node: usize,
        /// The failed dependency.
        because: usize,
    },
    /// This node will not run because the run was stopped. It has ended.
    Drop(usize),
    /// Wait until a running node ends.
    Wait,
    /// Every node has ended.
    End,
}

impl<'a> Schedule<'a> {
    /// Creates a schedule that runs at most `limit` nodes at the same time.
    pub(super) fn new(graph: &'a Graph, limit: NonZeroUsize) -> Self {
        let states = vec![State::Waiting; graph.len()];
        Self { graph, limit: limit.get(), states, stopped: false }
    }

    /// Next action; nodes in graph order, nodes that cannot run any more first.
    pub(super) fn next(&mut self) -> Next {
        let running = self.states.iter().filter(|it| **it == State::Running).count();
        let mut ready = None;
        for (node, state) in self.states.iter().enumerate() {
            if *state != State::Waiting {
                continue;
            }
            let before = self.graph.dependencies(node);
            if let Some(because) = before.iter().find(|it| self.state(**it) == State::Bad) {
                let because = *because;
                self.set(node, State::Bad);
                return Next::Skip { node, because };
            }
            if self.stopped {
                self.set(node, State::Bad);
                return Next::Drop(node);
            }
            if ready.is_none() && before.iter().all(|it| self.state(*it) == State::Good) {
                ready = Some(node);
            }
        }
        match ready {
            Some(node) if running < self.limit => {
                self.set(node, State::Running);
                Next::Start(node)
            }
            _ if running > 0 => Next::Wait,
            _ => Next::End,
        }
    }

    /// Records the end of a running node; `good`: its dependents may run.
    pub(super) fn end(&mut self, node: usize, good: bool) {
        self.set(node, if good { State::Good } else { State::Bad });
    }

    /// Stops: no further node is started.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    fn state(&self, node: usize) -> State {
        self.states.get(node).copied().unwrap_or(State::Bad)
    }

    fn set(&mut self, node: usize, state: State) {
        if let Some(place) = self.states.get_mut(node) {
            *place = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::Node;
    use super::*;

    /// Acyclic graphs: each edge goes to a node with a smaller number.
    fn graphs() -> impl Strategy<Value = Graph> {
        prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..24)
            .prop_map(|nodes| {
                let nodes = nodes.into_iter().enumerate().map(|(number, edges)| Node {
                    name: number.to_string(),
                    after: edges
                        .iter()
                        .filter(|_| number > 0)
                        .map(|edge| edge.index(number).to_string())
                        .collect(),
                });
                Graph::new(nodes.collect()).unwrap()
            })
    }

    /// Results of the nodes of a run in which `choices` decides which running node ends next, and
    /// how.
    fn play(
        graph: &Graph,
        limit: usize,
        choices: &[(prop::sample::Index, bool)],
        stop_after: usize,
    ) -> Vec<Next> {
        let mut schedule = Schedule::new(graph, NonZeroUsize::new(limit).unwrap());
        let mut choices = choices.iter().cycle();
        let mut running: Vec<usize> = Vec::new();
        let mut good = vec![false; graph.len()];
        let mut ended = vec![None; graph.len()];
        let mut starts = 0;
        loop {
            let next = schedule.next();
            match next {
                Next::Start(node) => {
                    assert!(
                        graph.dependencies(node).iter().all(|it| good[*it]),
                        "{node} came too early"
                    );
                    assert_eq!(ended[node], None, "{node} came twice");
                    running.push(node);
                    assert!(running.len() <= limit, "more than {limit} at the same time");
                    ended[node] = Some(next);
                    starts += 1;
                    if starts == stop_after {
                        schedule.stop();
                    }
                }
                Next::Skip { node, because } => {
                    assert!(graph.dependencies(node).contains(&because));
                    assert!(!good[because] && ended[because].is_some());
                    assert_eq!(ended[node], None);
                    ended[node] = Some(next);
                }
                Next::Drop(node) => {
                    assert!(starts >= stop_after, "dropped without a stop");
                    assert_eq!(ended[node], None);
                    ended[node] = Some(next);
                }
                Next::Wait => {
                    let (which, well) = choices.next().unwrap();
                    let node = running.swap_remove(which.index(running.len()));
                    good[node] = *well;
                    schedule.end(node, *well);
                }
                Next::End => break,
            }
        }
        assert!(running.is_empty(), "ended while nodes ran");
        ended.into_iter().map(|it| it.expect("every node ends")).collect()
    }

    fn choices() -> impl Strategy<Value = Vec<(prop::sample::Index, bool)>> {
        prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.8)), 24..48)
    }

    proptest! {
        #[test]
        fn keeps_the_order_and_the_limit(graph in graphs(), limit in 1_usize..6, choices in choices()) {
            let ended = play(&graph, limit, &choices, usize::MAX);
            prop_assert!(ended.iter().all(|it| !matches!(it, Next::Drop(_))));
        }

        #[test]
        fn runs_everything_when_all_goes_well(graph in graphs(), limit in 1_usize..6, choices in choices()) {
            let well: Vec<_> = choices.into_iter().map(|(which, _)| (which, true)).collect();
            let ended = play(&graph, limit, &well, usize::MAX);
            prop_assert!(ended.iter().all(|it| matches!(it, Next::Start(_))));
        }

        #[test]
        fn starts_nothing_after_a_stop(graph in graphs(), limit in 1_usize..6, choices in choices(), stop in 1_usize..6) {
            let ended = play(&graph, limit, &choices, stop);
            let starts = ended.iter().filter(|it| matches!(it, Next::Start(_))).count();
            prop_assert!(starts <= stop);
        }
    }
}
