//! One `ControlPlane` for several `DataPlane`s.

use anyhow::{Context, Result, ensure};
use crds::ControlPlane;
use crds::conditions::{reasons, types};
use crds::names;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::Api;
use serde_json::json;
use tests::world::{SOON, Scenario};
use tests::{http, wait};

use crate::configured::{echo, front, ingress};
use crate::{DEFINITIONS, small, told};

pub async fn several_data_planes_are_configured_alike(s: Scenario) -> Result<()> {
    let _held = DEFINITIONS.read().await;
    echo(&s).await?;
    for name in ["one", "two", "three"] {
        s.dataplane(name, small()).await?;
    }
    let spec = json!({ "dataplane": "one", "dataplanes": ["two", "three"], "ingressClass": "all" });
    crate::make(&s, "all", spec).await?;
    ingress(&s, "shared", "all", "/shared").await?;
    told(&s, "all", types::PROGRAMMED, reasons::PROGRAMMED).await?;
    told(&s, "all", types::READY, reasons::READY).await?;
    for name in ["one", "two", "three"] {
        let to = front(&s, name).await?;
        http::until(&s.world.cluster, to, "/shared", SOON, |answer| answer.status == 200).await?;
    }
    let taken = crate::make(&s, "second", json!({ "dataplane": "two" })).await;
    let words = taken.err().context("a DataPlane has two control planes")?.to_string();
    ensure!(words.contains("\"two\" is configured by the ControlPlane"), "{words}");

    // The addresses of the first are those of the Ingress.
    let ingresses: Api<Ingress> = s.api();
    let first = front(&s, "one").await?.ip().to_string();
    let is_first = |found: &Ingress| {
        let status = found.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        let ips: Vec<_> = status
            .and_then(|s| s.ingress.as_ref())
            .into_iter()
            .flatten()
            .filter_map(|i| i.ip.as_deref())
            .collect();
        ips == [first.as_str()]
    };
    wait::until(&ingresses, "shared", SOON, is_first).await?;

    // One that is left out is served on, and nobody configures it any more.
    crate::change(&s, "all", json!({ "dataplanes": ["three"] })).await?;
    let planes: Api<ControlPlane> = s.api();
    wait::gone(&planes, &names::beside("all", "two"), SOON).await?;
    let to = front(&s, "two").await?;
    ensure!(http::get(&s.world.cluster, to, "any", "/shared").await?.status == 200, "it lost what it had");
    told(&s, "all", types::READY, reasons::READY).await?;
    crate::delete(&s, "all").await?;
    wait::gone(&planes, &names::beside("all", "three"), SOON).await
}
