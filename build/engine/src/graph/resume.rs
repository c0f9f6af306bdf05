// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Decides which steps of a stopped run need not run again.

use std::collections::BTreeMap;

use super::check::Graph;
use super::journal::Record;

/// Nodes that succeeded in the journal and whose outputs are unchanged, each with its fact.
///
/// `intact` checks a node's outputs against the digest in the journal. A node with a dependency
/// that runs again runs again too.
pub(super) fn find_finished(
    graph: &Graph,
    records: &[Record],
    mut intact: impl FnMut(usize, &str) -> bool,
) -> BTreeMap<usize, String> {
    let mut ended: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for record in records {
        match record {
            // The step started again, so its earlier result is void; a later record may complete
            // it.
            Record::Started { step } => drop(ended.remove(step.as_str())),
            Record::Ended { step, good: true, fact, wrote, .. } => {
                ended.insert(step, (fact, wrote));
            }
            Record::Ended { good: false, .. } | Record::Opened | Record::Closed => {}
        }
    }
    let mut kept = BTreeMap::new();
    for node in 0..graph.len() {
        if let Some((fact, wrote)) = ended.get(graph.name(node))
            && graph.dependencies(node).iter().all(|it| kept.contains_key(it))
            && intact(node, wrote)
        {
            kept.insert(node, (*fact).to_owned());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use proptest::prelude::*;

    use super::super::check::Node;
    use super::super::journal::Journal;
    use super::*;

    fn chain(length: usize) -> Graph {
        let node = |number: usize| Node {
            name: number.to_string(),
            after: number.checked_sub(1).map(|it| it.to_string()).into_iter().collect(),
        };
        Graph::new((0..length).map(node).collect()).unwrap()
    }

    fn start_record(step: usize) -> Record {
        Record::Started { step: step.to_string() }
    }

    fn end_record(step: usize, good: bool) -> Record {
        Record::Ended {
            step: step.to_string(),
            good,
            fact: format!("fact {step}"),
            wrote: format!("digest {step}"),
            milliseconds: 1,
        }
    }

    #[test]
    fn repeats_what_was_changed_since_and_all_that_came_after_it() {
        let records: Vec<_> =
            (0..4).flat_map(|it| [start_record(it), end_record(it, true)]).collect();
        let kept = find_finished(&chain(4), &records, |node, wrote| {
            assert_eq!(wrote, format!("digest {node}"));
            node != 1
        });
        assert_eq!(kept.into_keys().collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn repeats_what_failed_and_what_began_again() {
        let records = [start_record(0), end_record(0, true), start_record(1), end_record(1, false)];
        assert_eq!(
            find_finished(&chain(2), &records, |_, _| true).into_keys().collect::<Vec<_>>(),
            [0]
        );
        let records = [start_record(0), end_record(0, true), start_record(0)];
        assert_eq!(find_finished(&chain(2), &records, |_, _| true).len(), 0);
    }

    proptest! {
        /// A run is killed repeatedly, each time after some records and in the middle of one; each
        /// time exactly the steps with a complete `Ended` record are kept.
        #[test]
        fn never_repeats_finished_and_never_skips_unfinished(
            length in 1_usize..8,
            kills in prop::collection::vec((0_usize..6, 0_usize..40), 1..6),
        ) {
            let graph = chain(length);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("run.jsonl");
            let mut finished: BTreeSet<usize> = BTreeSet::new();
            for (lives, torn) in kills {
                let (mut journal, records) = Journal::open(&path, false).unwrap();
                let kept = find_finished(&graph, &records, |_, _| true);
                prop_assert_eq!(&kept.keys().copied().collect::<BTreeSet<_>>(), &finished);
                let mut lives = lives;
                for node in 0..length {
                    if kept.contains_key(&node) {
                        continue;
                    }
                    for (record, finishes) in [(start_record(node), false), (end_record(node, true), true)] {
                        if lives == 0 {
                            break;
                        }
                        lives -= 1;
                        let before = fs::metadata(&path).unwrap().len();
                        journal.add(&record).unwrap();
                        let after = fs::metadata(&path).unwrap().len();
                        if lives == 0 && torn > 0 {
                            // Power failure in the middle of a line.
                            let cut = after.saturating_sub(torn as u64).max(before);
                            fs::File::options().write(true).open(&path).unwrap().set_len(cut).unwrap();
                        } else if finishes {
                            finished.insert(node);
                        }
                    }
                    if lives == 0 {
                        break;
                    }
                }
            }
        }
    }
}
