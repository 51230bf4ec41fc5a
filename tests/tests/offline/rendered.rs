//! What is printed without a cluster, beside what a cluster holds.

use anyhow::{Context, Result, ensure};
use crds::DataPlane;
use crds::DataPlaneSpec;
use crds::quantity;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value, json};
use tests::install;
use tests::world::Scenario;

use crate::{manifest, silverback};

/// Every rendered object is there as it was rendered, and whatever stands in angle brackets is there too.
pub async fn what_is_rendered_is_what_the_operator_makes(s: Scenario) -> Result<()> {
    let mut given = manifest("edge", None, &[("KONG_LOG_LEVEL", "info")]);
    given["spec"]["deployment"]["scaling"] = json!({ "horizontal": { "minReplicas": 1, "maxReplicas": 2 } });
    given["spec"]["resources"] = json!({ "podDisruptionBudget": { "spec": { "maxUnavailable": 1 } } });
    let said = silverback(&s, &["render"], &given).await?;
    ensure!(said.code == 0, "{}{}", said.out, said.err);
    s.dataplane("edge", given["spec"].clone()).await?;
    s.ready("edge").await?;

    let documents: Vec<Value> =
        said.out.split("---\n").skip(1).map(serde_saphyr::from_str).collect::<Result<_, _>>()?;
    let kinds: Vec<_> = documents.iter().filter_map(|object| object["kind"].as_str()).collect();
    let wanted = [
        "Secret",
        "Secret",
        "Service",
        "Service",
        "PodDisruptionBudget",
        "Deployment",
        "HorizontalPodAutoscaler",
    ];
    ensure!(kinds == wanted, "{kinds:?}");
    for rendered in &documents {
        let live = live(&s, rendered).await?;
        if let Some(path) = missing(rendered, &live, "") {
            anyhow::bail!("{path} of {} is not as it was rendered:\n{live:#}", rendered["kind"]);
        }
    }
    Ok(())
}

/// The object of the same kind and name.
async fn live(s: &Scenario, rendered: &Value) -> Result<Value> {
    let name = rendered["metadata"]["name"].as_str().context("no name")?;
    Ok(serde_json::to_value(api(s, rendered)?.get(name).await?)?)
}

/// Where objects of that kind are.
pub fn api(s: &Scenario, rendered: &Value) -> Result<Api<DynamicObject>> {
    let text = |field: &str| rendered[field].as_str().context("no manifest");
    let (group, version) = text("apiVersion")?.split_once('/').unwrap_or(("", text("apiVersion")?));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")?));
    let client = s.world.client.clone();
    Ok(match rendered["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    })
}

/// The first field that is rendered and not there. What stands in angle brackets is any text.
pub fn missing(rendered: &Value, live: &Value, path: &str) -> Option<String> {
    match (rendered, live) {
        // What is empty the API server leaves out.
        (Value::Object(rendered), Value::Null) if rendered.is_empty() => None,
        (Value::Object(rendered), Value::Object(live)) => rendered.iter().find_map(|(name, value)| {
            missing(value, live.get(name).unwrap_or(&Value::Null), &format!("{path}.{name}"))
        }),
        (Value::Array(rendered), Value::Array(live)) if rendered.len() == live.len() => {
            let items = rendered.iter().zip(live).enumerate();
            items
                .into_iter()
                .find_map(|(index, (rendered, live))| missing(rendered, live, &format!("{path}[{index}]")))
        }
        (Value::String(mark), Value::String(_)) if mark.starts_with('<') && mark.ends_with('>') => None,
        // The API server writes quantities in their canonical form.
        (Value::String(_), Value::String(_)) if rendered != live && quantity::parse(rendered).is_some() => {
            (quantity::parse(rendered) != quantity::parse(live)).then(|| path.to_owned())
        }
        _ => (rendered != live).then(|| path.to_owned()),
    }
}

/// `silverback default` prints the specification that the API server stores.
pub async fn what_is_stored_is_what_was_printed(s: Scenario) -> Result<()> {
    install::strict(&s.world.client).await?;
    let mut given = manifest("edge", Some(0), &[]);
    given["spec"]["deployment"]["rollout"] = json!({ "strategy": { "blueGreen": {} } });
    given["spec"]["network"]["services"]["ingress"] = json!({ "annotations": { "a": "yes" }, "type": null });
    let said = silverback(&s, &["default"], &given).await?;
    ensure!(said.code == 0, "{}{}", said.out, said.err);
    let printed: Value = serde_saphyr::from_str(&said.out)?;
    // As text: a client's own types would leave out what the manifest has on top.
    let api: Api<DynamicObject> =
        Api::namespaced_with(s.world.client.clone(), &s.namespace, &ApiResource::erase::<DataPlane>(&()));
    let made = api.create(&PostParams::default(), &serde_json::from_value(given)?).await?;
    ensure!(made.data["spec"] == printed["spec"], "{:#}\nis not\n{:#}", made.data["spec"], printed["spec"]);
    let spec: DataPlaneSpec = serde_json::from_value(printed["spec"].clone())?;
    let applied = s.api::<DataPlane>().get(&made.name_any()).await?.spec;
    ensure!(applied == spec, "it changed afterwards");
    Ok(())
}
