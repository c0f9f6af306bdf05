// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Validates the graph of steps: unique names, known dependencies, no cycles.

use std::collections::BTreeMap;

/// A node and its dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Unique in the graph.
    pub name: String,
    /// Names of nodes that have to succeed first.
    pub after: Vec<String>,
}

/// A validated dependency graph: names are unique, dependencies exist, and there is no cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    names: Vec<String>,
    /// Dependencies of each node, sorted and deduplicated.
    after: Vec<Vec<usize>>,
}

/// Why nodes are not a valid graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two nodes have this name.
    #[error("the step {0} is declared twice")]
    Duplicate(String),
    /// A node depends on one that does not exist.
    #[error("the step {node} depends on {after}, which is not in the pipeline")]
    Unknown {
        /// The node.
        node: String,
        /// Its unknown dependency.
        after: String,
    },
    /// A dependency cycle: each node depends on the next, the last on the first.
    #[error("the steps depend on each other: {}", .0.iter().chain(.0.first()).cloned().collect::<Vec<_>>().join(" after "))]
    Cycle(Vec<String>),
}

impl Graph {
    /// Validates nodes and dependencies.
    pub fn new(nodes: Vec<Node>) -> Result<Self, GraphError> {
        let mut index = BTreeMap::new();
        for (number, node) in nodes.iter().enumerate() {
            if index.insert(node.name.clone(), number).is_some() {
                return Err(GraphError::Duplicate(node.name.clone()));
            }
        }
        let mut names = Vec::with_capacity(nodes.len());
        let mut after = Vec::with_capacity(nodes.len());
        for node in nodes {
            let mut before = Vec::with_capacity(node.after.len());
            for name in node.after {
                match index.get(&name) {
                    Some(number) => before.push(*number),
                    None => return Err(GraphError::Unknown { node: node.name, after: name }),
                }
            }
            before.sort_unstable();
            before.dedup();
            names.push(node.name);
            after.push(before);
        }
        let graph = Self { names, after };
        match graph.cycle() {
            Some(cycle) => Err(GraphError::Cycle(cycle)),
            None => Ok(graph),
        }
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The name of a node; empty if out of range.
    pub fn name(&self, node: usize) -> &str {
        self.names.get(node).map_or("", String::as_str)
    }

    /// The dependencies of `node`.
    pub fn dependencies(&self, node: usize) -> &[usize] {
        self.after.get(node).map_or(&[], Vec::as_slice)
    }

    /// Removes nodes without dependencies repeatedly (Kahn's algorithm); what is left contains a
    /// cycle.
    fn cycle(&self) -> Option<Vec<String>> {
        let mut left: Vec<bool> = vec![true; self.len()];
        let waits = |node: usize, left: &[bool]| {
            self.dependencies(node).iter().copied().find(|it| left.get(*it) == Some(&true))
        };
        loop {
            let mut progress = false;
            for node in 0..self.len() {
                if left.get(node) == Some(&true) && waits(node, &left).is_none() {
                    left.iter_mut().skip(node).take(1).for_each(|it| *it = false);
                    progress = true;
                }
            }
            if !progress {
                break;
            }
        }
        // Every node that is left has a dependency that is left: following them reaches a node
        // twice.
        let mut path: Vec<usize> = Vec::new();
        let mut node = left.iter().position(|it| *it)?;
        loop {
            if let Some(start) = path.iter().position(|it| *it == node) {
                return Some(
                    path.split_off(start).iter().map(|it| self.name(*it).into()).collect(),
                );
            }
            path.push(node);
            node = waits(node, &left)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(name: &str, after: &[&str]) -> Node {
        Node { name: name.into(), after: after.iter().map(|it| (*it).into()).collect() }
    }

    #[test]
    fn names_the_nodes_of_a_cycle_and_only_those() {
        let nodes = vec![
            node("start", &[]),
            node("a", &["start", "c"]),
            node("b", &["a"]),
            node("c", &["b"]),
            node("outside", &["c"]),
        ];
        let Err(GraphError::Cycle(mut cycle)) = Graph::new(nodes) else { panic!("no cycle") };
        cycle.sort();
        assert_eq!(cycle, ["a", "b", "c"]);
    }

    #[test]
    fn refuses_a_node_that_comes_after_itself() {
        let error = Graph::new(vec![node("a", &["a"])]).unwrap_err();
        assert_eq!(error.to_string(), "the steps depend on each other: a after a");
    }

    #[test]
    fn refuses_a_name_that_comes_twice() {
        let error = Graph::new(vec![node("a", &[]), node("a", &[])]).unwrap_err();
        assert_eq!(error, GraphError::Duplicate("a".into()));
    }

    #[test]
    fn refuses_an_edge_to_nowhere() {
        let error = Graph::new(vec![node("a", &["b"])]).unwrap_err();
        assert_eq!(error, GraphError::Unknown { node: "a".into(), after: "b".into() });
    }

    proptest! {
        /// A graph is rejected exactly when its edges allow a walk of as many steps as there are
        /// nodes.
        #[test]
        fn refuses_exactly_the_cycles(edges in prop::collection::vec((0_usize..8, 0_usize..8), 0..20)) {
            let nodes = (0..8)
                .map(|number| Node {
                    name: number.to_string(),
                    after: edges
                        .iter()
                        .filter(|(from, _)| *from == number)
                        .map(|(_, to)| to.to_string())
                        .collect(),
                })
                .collect();
            let mut reached: std::collections::BTreeSet<usize> = (0..8).collect();
            for _ in 0..8 {
                reached = edges.iter().filter(|(from, _)| reached.contains(from)).map(|(_, to)| *to).collect();
            }
            match Graph::new(nodes) {
                Ok(_) => prop_assert!(reached.is_empty()),
                Err(GraphError::Cycle(cycle)) => {
                    prop_assert!(!reached.is_empty());
                    for (number, name) in cycle.iter().enumerate() {
                        let next = &cycle[(number + 1) % cycle.len()];
                        let edge = (name.parse().unwrap(), next.parse().unwrap());
                        prop_assert!(edges.contains(&edge), "{edge:?} is no edge");
                    }
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
