// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Validates the graph of steps: unique names, and dependencies that come first, so that there are
//! no cycles.

/// A node and its dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Unique in the graph.
    pub name: String,
    /// Names of nodes that have to succeed first.
    pub after: Vec<String>,
}

/// A validated dependency graph: names are unique, and each node is listed after its dependencies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// A node depends on one that is not listed before it.
    #[error("the step {node} depends on {after}, which is not before it in the pipeline")]
    NotBefore {
        /// The node.
        node: String,
        /// Its dependency.
        after: String,
    },
}

impl Graph {
    /// Validates nodes and dependencies.
    pub fn new(nodes: Vec<Node>) -> Result<Self, GraphError> {
        let mut graph = Self::default();
        for Node { name: node, after } in nodes {
            if graph.names.contains(&node) {
                return Err(GraphError::Duplicate(node));
            }
            let mut before = Vec::with_capacity(after.len());
            for after in after {
                match graph.names.iter().position(|name| *name == after) {
                    Some(number) => before.push(number),
                    None => return Err(GraphError::NotBefore { node, after }),
                }
            }
            before.sort_unstable();
            before.dedup();
            graph.names.push(node);
            graph.after.push(before);
        }
        Ok(graph)
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The name of a node; empty if out of range.
    pub fn name(&self, node: usize) -> &str {
        self.names.get(node).map_or("", String::as_str)
    }

    /// The dependencies of `node`, all of them smaller.
    pub fn dependencies(&self, node: usize) -> &[usize] {
        self.after.get(node).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(nodes: &[(&str, &[&str])]) -> Result<Graph, String> {
        let node = |(name, after): &(&str, &[&str])| Node {
            name: (*name).into(),
            after: after.iter().map(|it| (*it).into()).collect(),
        };
        Graph::new(nodes.iter().map(node).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn refuses_what_has_no_order() {
        let not_before = "which is not before it in the pipeline";
        for (case, nodes, expected) in [
            ("a cycle", &[("a", &["b"][..]), ("b", &["a"])][..], "a depends on b"),
            ("a node after itself", &[("a", &["a"])], "a depends on a"),
            ("an edge to nowhere", &[("a", &["b"])], "a depends on b"),
        ] {
            let expected = format!("the step {expected}, {not_before}");
            assert_eq!(graph(nodes), Err(expected), "{case}");
        }
        assert_eq!(graph(&[("a", &[]), ("a", &[])]), Err("the step a is declared twice".into()));
    }

    proptest! {
        /// A graph is accepted exactly when its edges go to earlier nodes.
        #[test]
        fn refuses_exactly_the_edges_to_later_nodes(
            edges in prop::collection::vec((0_usize..8, 0_usize..8), 0..3),
        ) {
            let after = |number: usize| {
                let after = edges.iter().filter(move |(from, _)| *from == number);
                after.map(|(_, to)| to.to_string()).collect()
            };
            let nodes = (0..8).map(|number| Node { name: number.to_string(), after: after(number) });
            let is_ordered = edges.iter().all(|(from, to)| to < from);
            prop_assert_eq!(Graph::new(nodes.collect()).is_ok(), is_ordered);
        }
    }
}
