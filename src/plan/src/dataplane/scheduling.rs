//! The scheduler's words, in words that stay the same while the trouble does, and what to do.
//!
//! In: the message of a pod's condition `PodScheduled`. Out: what nodes lack, without how many nodes they are, which
//! changes with every node that comes and goes; and the remedy for the first of it.

use std::collections::BTreeSet;

/// What to do, by a word of the scheduler's.
const REMEDIES: &[(&str, &str)] = &[
    ("persistentvolumeclaim", "Create the PersistentVolumeClaim, or correct its name"),
    ("volume", "See the PersistentVolumeClaims of the pod: kubectl describe pvc"),
    ("Insufficient", "Lower resources.requests, or add nodes"),
    ("Too many pods", "Add nodes"),
    ("untolerated taint", "Add a toleration to podTemplateSpec, or remove the taint"),
    ("node affinity/selector", "Correct nodeSelector or affinity in podTemplateSpec, or label nodes"),
    ("free ports", "Remove hostPort or hostNetwork from podTemplateSpec, or add nodes"),
    ("topology spread", "Loosen topologySpreadConstraints in podTemplateSpec, or add nodes"),
    ("anti-affinity", "Loosen podAntiAffinity in podTemplateSpec, or add nodes"),
    ("unschedulable", "Uncordon a node, or add nodes"),
];

/// A sentence about it.
pub fn told(said: &str) -> String {
    let cause = said.split_once("nodes are available: ").map_or(said, |(_, cause)| cause);
    // After the first sentence comes what preemption would do, which says nothing else.
    let cause = cause.split_once(". ").map_or(cause, |(cause, _)| cause).trim_end_matches('.');
    let clauses: BTreeSet<_> = cause.split(", ").map(without_count).collect();
    let clauses = clauses.into_iter().filter(|clause| !clause.is_empty()).collect::<Vec<_>>().join(", ");
    let remedy = REMEDIES.iter().find(|(word, _)| clauses.contains(word));
    let remedy = remedy.map_or("See why: kubectl describe pods", |(_, remedy)| *remedy);
    format!("no node takes a pod: {clauses}. {remedy}")
}

/// `2 Insufficient cpu` and `1 node(s) had untolerated taint {x: y}`, without the number.
fn without_count(clause: &str) -> &str {
    clause.trim().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_and_the_remedy_fits() {
        for (said, wanted) in [
            (
                "0/3 nodes are available: 2 Insufficient cpu, 1 node(s) had untolerated taint {a: b}. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
                "no node takes a pod: Insufficient cpu, node(s) had untolerated taint {a: b}. Lower resources.requests, or add nodes",
            ),
            (
                "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
                "no node takes a pod: node(s) didn't match Pod's node affinity/selector. Correct nodeSelector or affinity in podTemplateSpec, or label nodes",
            ),
            (
                "0/1 nodes are available: persistentvolumeclaim \"x\" not found.",
                "no node takes a pod: persistentvolumeclaim \"x\" not found. Create the PersistentVolumeClaim, or correct its name",
            ),
            ("something new", "no node takes a pod: something new. See why: kubectl describe pods"),
        ] {
            assert_eq!(told(said), wanted);
        }
        let more = told("0/9 nodes are available: 8 Insufficient cpu, 1 Insufficient cpu.");
        assert_eq!(
            more,
            told("0/3 nodes are available: 3 Insufficient cpu."),
            "the number of nodes is no news"
        );
    }
}
