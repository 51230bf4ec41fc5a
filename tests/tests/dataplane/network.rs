//! Ports, addresses and what is behind them.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};
use crds::DataPlane;
use crds::conditions::{reasons, types};
use crds::k8s::{EndpointSlice, Service};
use crds::names;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::{answered_with, clustered, patch, quick};

/// From one type to another and back: the cluster address stays, and the node port where both types have one.
pub async fn another_type_of_service_keeps_its_address(s: Scenario) -> Result<()> {
    s.dataplane("typed", json!({ "deployment": { "podTemplateSpec": quick() } })).await?;
    s.ready("typed").await?;
    let services: Api<Service> = s.api();
    let name = names::ingress_service("typed");
    let first = services.get(&name).await?;
    let address = |service: &Service| service.spec.as_ref().and_then(|spec| spec.cluster_ip.clone());
    let node_port = |service: &Service| service.spec.as_ref()?.ports.as_ref()?.first()?.node_port;
    for (type_, keeps) in
        [("NodePort", true), ("ClusterIP", false), ("NodePort", false), ("LoadBalancer", true)]
    {
        let before = services.get(&name).await?;
        patch(
            &s,
            "typed",
            json!({ "spec": { "network": { "services": { "ingress": { "type": type_ } } } } }),
        )
        .await?;
        let is = |service: &Service| service.spec.as_ref().and_then(|s| s.type_.as_deref()) == Some(type_);
        let after = wait::until(&services, &name, SOON, is).await?;
        ensure!(address(&after) == address(&first), "the address changed with type {type_}: {after:?}");
        ensure!(after.uid() == first.uid(), "another Service was made for type {type_}");
        ensure!(!keeps || node_port(&after) == node_port(&before), "the node port changed with type {type_}");
        s.ready("typed").await?;
    }
    s.reason("typed", types::ADDRESS_ASSIGNED, reasons::ADDRESS_ASSIGNED).await.map(drop)
}

/// A node port cannot be held by two Services: here the old one has to go first.
pub async fn a_renamed_service_takes_its_node_port_along(s: Scenario) -> Result<()> {
    let named = |name: &str| {
        let port = json!({ "name": "http", "port": 80, "nodePort": 30999 });
        json!({ "network": { "services": { "ingress": { "type": "NodePort", "name": name, "ports": [port] } } },
                "deployment": { "podTemplateSpec": quick() } })
    };
    s.dataplane("moved", named("before")).await?;
    s.ready("moved").await?;
    patch(&s, "moved", json!({ "spec": named("after") })).await?;
    let services: Api<Service> = s.api();
    let held = |service: &Service| {
        service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()).any(|p| p.node_port == Some(30999))
    };
    wait::until(&services, "after", SOON, held).await?;
    wait::gone(&services, "before", SOON).await?;
    let told = |dataplane: &DataPlane| {
        dataplane.status.as_ref().and_then(|status| status.service.as_deref()) == Some("after")
    };
    wait::until(&s.api(), "moved", SOON, told).await.map(drop)
}

/// What the annotation of Kong Gateway Operator promises: the Services select what it says.
pub async fn a_selector_can_be_overridden(s: Scenario) -> Result<()> {
    s.dataplane("chosen", clustered()).await?;
    s.ready("chosen").await?;
    let name = names::ingress_service("chosen");
    let key = names::annotations::SELECTOR_OVERRIDE;
    patch(&s, "chosen", json!({ "metadata": { "annotations": { key: "app=somebody-else" } } })).await?;
    let services: Api<Service> = s.api();
    let selects = |value: &'static str| {
        move |service: &Service| {
            let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            selector.and_then(|selector| selector.get("app")).map(String::as_str) == Some(value)
        }
    };
    wait::until(&services, &name, SOON, selects("somebody-else")).await?;
    wait::until(&services, &names::admin_service("chosen"), SOON, selects("somebody-else")).await?;
    patch(&s, "chosen", json!({ "metadata": { "annotations": { key: null } } })).await?;
    wait::until(&services, &name, SOON, selects("chosen")).await?;
    let slices: Api<EndpointSlice> = s.api();
    let of = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let slice = slices.list(&of).await?.items.into_iter().next().context("no endpoints")?;
    let served = |slice: &EndpointSlice| slice.endpoints.iter().flatten().count() == 1;
    wait::until(&slices, &slice.name_any(), SOON, served).await.map(drop)
}

/// A manifest that was written for Kong Gateway Operator: all listens are the user's own.
pub async fn listens_of_ones_own_are_left_alone(s: Scenario) -> Result<()> {
    let mut template = quick();
    template["spec"]["containers"][0]["env"] = json!([
        { "name": "KONG_PROXY_LISTEN", "value": "0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:9500" },
        { "name": "KONG_STREAM_LISTEN", "value": "0.0.0.0:9000" },
        { "name": "KONG_ADMIN_LISTEN", "value": "0.0.0.0:8444 ssl, 127.0.0.1:8001" },
        { "name": "KONG_PREFIX", "value": "/usr/local/kong" },
        { "name": "KONG_DATABASE", "value": "" },
    ]);
    let ports = json!([
        { "name": "http", "port": 80, "targetPort": 9500 },
        { "name": "stream", "port": 9000, "targetPort": 9000 },
    ]);
    let ingress = json!({ "type": "ClusterIP", "ports": ports });
    let spec = json!({ "deployment": { "podTemplateSpec": template }, "network": { "services": { "ingress": ingress } } });
    s.dataplane("own", spec).await?;
    s.ready("own").await?;
    answered_with(&s, address(&s, "own", 80).await?, "/", "no Route matched").await
}

/// The first address of a `DataPlane`'s Service.
async fn address(s: &Scenario, name: &str, port: u16) -> Result<SocketAddr> {
    let service: Service = s.api().get(&names::ingress_service(name)).await?;
    let ip = service.spec.and_then(|spec| spec.cluster_ip).context("no address")?;
    Ok(SocketAddr::new(ip.parse::<IpAddr>()?, port))
}

/// Something else in the pod listens there, and the operator does not have Kong try.
pub async fn a_sidecar_keeps_its_port(s: Scenario) -> Result<()> {
    let mut template = quick();
    let sidecar = json!({
        "name": "sidecar",
        "image": "registry.k8s.io/gateway-api/echo-basic:v1.5.1",
        "env": [{ "name": "POD_NAME", "value": "x" }, { "name": "NAMESPACE", "value": "y" }],
        "ports": [{ "containerPort": 3000 }],
        "resources": { "requests": { "cpu": "10m", "memory": "16Mi" } },
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
            "runAsNonRoot": true, "runAsUser": 65532 },
    });
    template["spec"]["containers"].as_array_mut().context("no containers")?.push(sidecar);
    let ports = json!([{ "name": "http", "port": 80 }, { "name": "side", "port": 81, "targetPort": 3000 }]);
    let spec = json!({ "deployment": { "podTemplateSpec": template },
        "network": { "services": { "ingress": { "type": "ClusterIP", "ports": ports } } } });
    s.dataplane("two", spec).await?;
    s.ready("two").await?;
    answered_with(&s, address(&s, "two", 80).await?, "/", "no Route matched").await?;
    answered_with(&s, address(&s, "two", 81).await?, "/", "\"path\"").await?;
    s.ready("two").await.map(drop)
}

/// Nothing that the product needs can be taken away in silence.
pub async fn a_conflict_with_what_is_needed_is_named(s: Scenario) -> Result<()> {
    s.dataplane("deaf", clustered()).await?;
    s.ready("deaf").await?;
    let deaf = json!({ "name": "proxy", "env": [{ "name": "KONG_ADMIN_LISTEN", "value": "off" }] });
    let change: Value =
        json!({ "spec": { "deployment": { "podTemplateSpec": { "spec": { "containers": [deaf] } } } } });
    patch(&s, "deaf", change).await?;
    let told = s.reason("deaf", types::READY, reasons::VALIDATION_FAILED).await?;
    ensure!(
        told.message.contains("containers[0].env[0].value") && told.message.contains("0.0.0.0:8444 ssl"),
        "{}",
        told.message
    );
    patch(&s, "deaf", json!({ "spec": clustered() })).await?;
    s.ready("deaf").await.map(drop)
}
