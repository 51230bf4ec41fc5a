//! Two field managers, each with server-side apply: a person with `kubectl`, and a `GitOps` controller.
//!
//! In: manifests. Out: neither is refused, and nothing is written where nothing is new.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::world::Scenario;

use crate::kubectl::{self, Said};
use crate::live;

const ROUNDS: usize = 5;

pub async fn two_managers_do_not_fight(s: Scenario) -> Result<()> {
    live::reviewed(&s).await?;
    let whole = manifest(&json!({
        "deployment": { "replicas": 0, "rollout": { "strategy": { "blueGreen": {} } } },
        "network": { "services": { "ingress": { "annotations": { "a": "b" } } } },
    }));
    by_turns(&s, &whole, &whole).await?;

    // What they do disagree on is told, and not taken in silence.
    let mut other = whole;
    other["spec"]["deployment"]["replicas"] = json!(1);
    let said = apply(&s, "gitops", &other).await?;
    ensure!(said.code == Some(1) && said.err.contains("conflict with \"kubectl\""), "{said:?}");
    ensure!(said.err.contains(".spec.deployment.replicas"), "{said:?}");
    Ok(())
}

pub async fn two_managers_of_different_fields_keep_theirs(s: Scenario) -> Result<()> {
    live::reviewed(&s).await?;
    let person =
        manifest(&json!({ "network": { "services": { "ingress": { "annotations": { "a": "b" } } } } }));
    let controller =
        manifest(&json!({ "deployment": { "replicas": 0, "rollout": { "strategy": { "blueGreen": {} } } } }));
    let kept = by_turns(&s, &person, &controller).await?;
    let ingress = &kept["spec"]["network"]["services"]["ingress"];
    ensure!(ingress["type"] == "LoadBalancer" && ingress["annotations"]["a"] == "b", "{ingress}");
    ensure!(kept["spec"]["deployment"]["replicas"] == 0, "{kept}");

    // A default belongs to nobody: whoever cares may decide.
    let chosen = manifest(&json!({
        "deployment": { "replicas": 0, "rollout": { "strategy": { "blueGreen": {} } } },
        "network": { "services": { "ingress": { "type": "ClusterIP" } } },
    }));
    let decided = by_turns(&s, &person, &chosen).await?;
    ensure!(decided["spec"]["network"]["services"]["ingress"]["type"] == "ClusterIP", "{decided}");
    Ok(())
}

fn manifest(spec: &Value) -> Value {
    json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1",
        "kind": "DataPlane",
        "metadata": { "name": "shared" },
        "spec": spec,
    })
}

/// Both apply theirs again and again; after the first round nothing of the object changes. It returns the object.
async fn by_turns(s: &Scenario, person: &Value, controller: &Value) -> Result<Value> {
    let mut first: Option<Value> = None;
    for round in 1..=ROUNDS {
        for (manager, manifest) in [("kubectl", person), ("gitops", controller)] {
            apply(s, manager, manifest).await?.well()?;
        }
        let stored = live::stored(s, person).await?;
        let same = |first: &Value| {
            live::bare(first) == live::bare(&stored)
                && first["metadata"]["generation"] == stored["metadata"]["generation"]
                && live::managers(first) == live::managers(&stored)
        };
        match &first {
            Some(first) => ensure!(same(first), "round {round}:\n{first}\n{stored}"),
            None => first = Some(stored),
        }
    }
    live::stored(s, person).await
}

async fn apply(s: &Scenario, manager: &str, manifest: &Value) -> Result<Said> {
    let manager = format!("--field-manager={manager}");
    let arguments = ["apply", "--server-side", &manager, "--namespace", &s.namespace, "--filename", "-"];
    kubectl::run(&s.world.cluster, &arguments, std::slice::from_ref(manifest)).await
}
