//! Nodes that are not there: kwok keeps them and their pods Ready, and runs nothing.
//!
//! In: how many. Out: Node objects with a label and a taint, all Ready. Which pods go there is the pods' own
//! choice, by a toleration; or, when every pod is to be simulated, the real nodes have the taint instead.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::cluster::is_ready;
use crate::address;
use crate::config::{Layout, taint};

/// The label of a simulated node.
pub(crate) const LABEL: &str = crate::config::SIMULATED;
/// Pods that a node takes: the kubelet's default.
const PODS: &str = "110";

/// The Nodes.
pub(crate) fn objects(layout: &Layout) -> Vec<Value> {
    (1..=layout.options.simulated_nodes).map(|number| node(layout, number)).collect()
}

fn node(layout: &Layout, number: u32) -> Value {
    let name = name(number);
    let offered = json!({ "cpu": crate::config::CORES, "memory": "256Gi", "pods": PODS });
    let taints = if layout.options.only_simulated { json!([]) } else { json!([taint()]) };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name,
            "labels": { LABEL: "true", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" },
        },
        "spec": { "taints": taints },
        "status": { "capacity": offered, "allocatable": offered },
    })
}

fn name(number: u32) -> String {
    format!("simulated-{number}")
}

/// Waits until all are Ready.
pub(crate) async fn wait(layout: &Layout, client: &Client) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    for number in 1..=layout.options.simulated_nodes {
        let name = name(number);
        await_condition(nodes.clone(), &name, is_ready())
            .await
            .with_context(|| format!("waiting for {name}"))?;
    }
    Ok(())
}

/// Has a pod of the box's own run on a real node, whatever the taints are.
pub(crate) fn keep_real(pod: &mut Value) {
    if let Some(spec) = pod.as_object_mut() {
        spec.insert("nodeSelector".into(), json!({ "kubernetes.io/hostname": address::node_name(1) }));
        spec.insert("tolerations".into(), json!([{ "operator": "Exists" }]));
    }
}
