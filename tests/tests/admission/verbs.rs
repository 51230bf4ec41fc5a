//! The other ways of `kubectl` to change an object, and what must never be refused.
//!
//! In: objects that are stored. Out: each way is asked about as `create` is; a dry run stores nothing; what is stored can
//! be labelled and deleted whatever is wrong with it.

use anyhow::{Result, ensure};
use crds::DataPlane;
use crds::conditions::{reasons, types};
use crds::k8s::{Secret, Service};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::ResourceExt;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::kubectl::{self, Said};
use crate::live::{self, reviewed};

/// Without pods, and reachable inside of the cluster alone.
fn quiet(name: &str) -> Value {
    json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1",
        "kind": "DataPlane",
        "metadata": { "name": name },
        "spec": {
            "deployment": { "replicas": 0 },
            "network": { "services": { "ingress": { "type": "ClusterIP", "ports": [{ "name": "http", "port": 80, "targetPort": 8000 }] } } },
        },
    })
}

async fn say(s: &Scenario, words: &str, input: &[Value]) -> Result<Said> {
    let mut arguments: Vec<&str> = words.split(' ').collect();
    arguments.extend(["--namespace", &s.namespace]);
    kubectl::run(&s.world.cluster, &arguments, input).await
}

/// Refused, with these words about this field.
fn refused(said: &Said, field: &str, words: &str) -> Result<()> {
    let told =
        said.causes().iter().any(|cause| cause.starts_with(&format!("{field}: ")) && cause.contains(words));
    ensure!(said.code == Some(1) && told, "{said:?}");
    Ok(())
}

pub async fn edit_patch_replace_and_scale(s: Scenario) -> Result<()> {
    reviewed(&s).await?;
    let target = "spec.network.services.ingress.ports[0].targetPort";
    say(&s, "create --filename -", &[quiet("edge")]).await?.well()?;

    // The editor is opened again, the faults at its top, and changes nothing more.
    let unsaved = edited(&s, "sed -i s/8000/8444/").await?;
    let told = ["\"edge\" is invalid", "no valid changes were saved"]
        .iter()
        .all(|words| unsaved.err.contains(words));
    ensure!(unsaved.code == Some(1) && told, "{unsaved:?}");
    edited(&s, "sed -i s/8000/9000/").await?.well()?;

    let ports = |target: u16| {
        format!(
            r#"--patch={{"spec":{{"network":{{"services":{{"ingress":{{"ports":[{{"name":"http","port":80,"targetPort":{target}}}]}}}}}}}}}}"#
        )
    };
    refused(
        &say(&s, &format!("patch dataplane edge --type=merge {}", ports(8444)), &[]).await?,
        target,
        "the admin API",
    )?;
    say(&s, &format!("patch dataplane edge --type=merge {}", ports(9001)), &[]).await?.well()?;
    let json = r#"--patch=[{"op":"replace","path":"/spec/network/services/ingress/ports/0/targetPort","value":8444}]"#;
    refused(
        &say(&s, &format!("patch dataplane edge --type=json {json}"), &[]).await?,
        target,
        "the admin API",
    )?;

    let mut other = quiet("edge");
    other["spec"]["network"]["services"]["ingress"]["ports"][0]["targetPort"] = json!(8444);
    refused(&say(&s, "replace --filename -", &[other.clone()]).await?, target, "the admin API")?;
    refused(&say(&s, "apply --filename -", &[other.clone()]).await?, target, "the admin API")?;
    refused(
        &say(&s, "apply --server-side --force-conflicts --filename -", &[other]).await?,
        target,
        "the admin API",
    )?;
    say(&s, "replace --filename -", &[quiet("edge")]).await?.well()?;

    let selector = "gateway-operator.konghq.com/service-selector-override";
    let annotated = say(&s, &format!("annotate dataplane edge {selector}=app"), &[]).await?;
    refused(&annotated, &format!("metadata.annotations[{selector}]"), "is no list of labels")?;

    say(&s, "scale dataplane edge --replicas=1", &[]).await?.well()?;
    say(&s, "scale dataplane edge --replicas=0", &[]).await?.well()?;
    let mut scaled = quiet("scaled");
    scaled["spec"]["deployment"] = json!({ "scaling": { "horizontal": { "maxReplicas": 1 } } });
    say(&s, "create --filename -", &[scaled]).await?.well()?;
    let said = say(&s, "scale dataplane scaled --replicas=2", &[]).await?;
    ensure!(said.code == Some(1) && said.err.contains("replicas and scaling exclude each other"), "{said:?}");
    say(&s, "delete dataplane edge scaled --wait=false", &[]).await?.well().map(drop)
}

async fn edited(s: &Scenario, editor: &str) -> Result<Said> {
    let arguments = ["edit", "dataplane", "edge", "--namespace", &s.namespace];
    kubectl::run_with(&s.world.cluster, &arguments, &[], &[("KUBE_EDITOR", editor)]).await
}

pub async fn a_dry_run_has_no_effect(s: Scenario) -> Result<()> {
    reviewed(&s).await?;
    say(&s, "create --dry-run=server --filename -", &[quiet("dry")]).await?.well()?;
    say(&s, "apply --dry-run=server --filename -", &[quiet("dry")]).await?.well()?;
    say(&s, "apply --server-side --dry-run=server --filename -", &[quiet("dry")]).await?.well()?;
    say(&s, "create --filename -", &[quiet("wet")]).await?.well()?;
    s.reason("wet", types::READY, reasons::SCALED_TO_ZERO).await?;
    let before = live::stored(&s, &quiet("wet")).await?;
    say(&s, "scale dataplane wet --replicas=3 --dry-run=server", &[]).await?.well()?;
    say(&s, "delete dataplane wet --dry-run=server", &[]).await?.well()?;
    let after = live::stored(&s, &quiet("wet")).await?;
    let same = live::bare(&before) == live::bare(&after) && live::managers(&before) == live::managers(&after);
    ensure!(same, "a dry run wrote:\n{before}\n{after}");
    // By the time that the second one has a status, the operator would have looked at the first.
    let all = ListParams::default();
    let dataplanes: Vec<_> =
        s.api::<DataPlane>().list(&all).await?.iter().map(ResourceExt::name_any).collect();
    let services: Vec<_> = s.api::<Service>().list(&all).await?.iter().map(ResourceExt::name_any).collect();
    let secrets: Vec<_> = s.api::<Secret>().list(&all).await?.iter().map(ResourceExt::name_any).collect();
    ensure!(dataplanes == ["wet"], "{dataplanes:?}");
    ensure!(services.iter().chain(&secrets).all(|name| name.ends_with("-wet")), "{services:?} {secrets:?}");
    Ok(())
}

pub async fn a_misspelt_field_that_is_not_validated_is_warned_of(s: Scenario) -> Result<()> {
    reviewed(&s).await?;
    let mut misspelt = quiet("misspelt");
    misspelt["spec"]["deploymnt"] = json!({ "replicas": 2 });
    let strict = say(&s, "apply --dry-run=server --filename -", &[misspelt.clone()]).await?;
    ensure!(strict.code == Some(1) && strict.err.contains("unknown field \"spec.deploymnt\""), "{strict:?}");
    let said = say(&s, "apply --validate=false --filename -", &[misspelt]).await?.well()?;
    let warned = said.warnings();
    let about = warned.iter().any(|text| text.contains("spec.deploymnt") && text.contains("\"deployment\""));
    ensure!(about, "{said:?}");
    Ok(())
}

/// `kubectl scale` is never asked about: by it a budget comes to block every eviction, which nobody may ask for.
pub async fn what_is_stored_already_can_always_be_touched(s: Scenario) -> Result<()> {
    reviewed(&s).await?;
    let quota = json!({ "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } } });
    s.api::<ResourceQuota>().create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
    let mut object = quiet("kept");
    object["metadata"]["finalizers"] = json!(["example.com/waits"]);
    object["spec"]["deployment"]["replicas"] = json!(3);
    object["spec"]["resources"] = json!({ "podDisruptionBudget": { "spec": { "minAvailable": 2 } } });
    say(&s, "create --filename -", &[object.clone()]).await?.well()?;
    say(&s, "scale dataplane kept --replicas=2", &[]).await?.well()?;

    object["metadata"]["name"] = json!("another");
    object["spec"]["deployment"]["replicas"] = json!(2);
    let field = "spec.resources.podDisruptionBudget.spec.minAvailable";
    refused(&say(&s, "create --filename -", &[object]).await?, field, "no node can be drained")?;

    say(&s, "label dataplane kept team=edge", &[]).await?.well()?;
    let annotated = r#"--patch={"spec":{"network":{"services":{"ingress":{"annotations":{"a":"b"}}}}}}"#;
    let said = say(&s, &format!("patch dataplane kept --type=merge {annotated}"), &[]).await?.well()?;
    ensure!(said.warnings().iter().any(|warning| warning.contains(field)), "{said:?}");
    let worse = r#"--patch={"spec":{"resources":{"podDisruptionBudget":{"spec":{"minAvailable":"100%"}}}}}"#;
    refused(
        &say(&s, &format!("patch dataplane kept --type=merge {worse}"), &[]).await?,
        field,
        "no node can be drained",
    )?;
    say(&s, "delete dataplane kept --wait=false", &[]).await?.well()?;
    say(&s, r#"patch dataplane kept --type=merge --patch={"metadata":{"finalizers":null}}"#, &[])
        .await?
        .well()?;
    wait::gone(&s.api::<DataPlane>(), "kept", SOON).await
}
