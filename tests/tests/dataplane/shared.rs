//! Objects that others write to as well, and certificates that end.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use certs::{Authority, Pair, Request};
use crds::conditions::{reasons, types};
use crds::k8s::{ByteString, Deployment, Secret, Service};
use crds::names;
use k8s_openapi::api::admissionregistration::v1::{MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tests::world::{SOON, Scenario};
use tests::{audit, wait};

use crate::{BACK, clustered};

/// Something in the cluster adds a container to every Deployment and changes a field of ours. The operator lets it.
pub async fn what_admission_injects_is_not_fought(s: Scenario) -> Result<()> {
    injector(&s).await?;
    s.dataplane("meshed", clustered()).await?;
    s.reason("meshed", types::ROLLED_OUT, reasons::ROLLED_OUT).await?;
    let deployments: Api<Deployment> = s.api();
    let name = names::deployment("meshed", "1");
    let pod =
        |d: &Deployment| d.spec.as_ref().and_then(|spec| spec.template.spec.clone()).unwrap_or_default();
    let made = deployments.get(&name).await?;
    ensure!(pod(&made).containers.iter().any(|container| container.name == "mesh"), "nothing was injected");
    ensure!(pod(&made).termination_grace_period_seconds == Some(99), "nothing was changed");

    // Whatever makes the operator look at everything again, it leaves the Deployment alone.
    let services: Api<Service> = s.api();
    for _ in 0..3 {
        let ingress = names::ingress_service("meshed");
        let old = services.get(&ingress).await?.uid();
        services.delete(&ingress, &DeleteParams::background()).await?;
        wait::until(&services, &ingress, BACK, |service| service.uid() != old).await?;
    }
    let wrote = format!("patch deployments/{name}");
    let writes =
        audit::within(&s.world.cluster, &s.namespace)?.iter().filter(|request| **request == wrote).count();
    ensure!(writes == 1, "the operator wrote the Deployment {writes} times");
    Ok(())
}

async fn injector(s: &Scenario) -> Result<()> {
    let at = "Object.spec.template.spec.containers";
    let variable = |name: &str| format!("{at}.env{{name: \"{name}\", value: \"x\"}}");
    let context = format!(
        "{at}.securityContext{{runAsNonRoot: true, runAsUser: 65532, allowPrivilegeEscalation: false, \
         capabilities: {at}.securityContext.capabilities{{drop: [\"ALL\"]}}}}"
    );
    let mesh = format!(
        "{at}{{name: \"mesh\", image: \"registry.k8s.io/gateway-api/echo-basic:v1.5.1\", \
         env: [{}, {}], securityContext: {context}}}",
        variable("POD_NAME"),
        variable("NAMESPACE"),
    );
    let expression = format!(
        "[JSONPatch{{op: \"add\", path: \"/spec/template/spec/containers/-\", value: {mesh}}}, \
         JSONPatch{{op: \"add\", path: \"/spec/template/spec/terminationGracePeriodSeconds\", value: 99}}]"
    );
    let once = "!object.spec.template.spec.containers.exists(container, container.name == 'mesh')";
    let rule = json!({ "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE", "UPDATE"] });
    let here = json!({ "matchLabels": { "kubernetes.io/metadata.name": s.namespace } });
    let policy = json!({ "metadata": { "name": "mesh" }, "spec": {
        "failurePolicy": "Fail", "reinvocationPolicy": "Never",
        "matchConstraints": { "resourceRules": [rule], "namespaceSelector": here },
        "matchConditions": [{ "name": "once", "expression": once }],
        "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": expression } }],
    } });
    let policies: Api<MutatingAdmissionPolicy> = Api::all(s.world.client.clone());
    policies.create(&PostParams::default(), &serde_json::from_value(policy)?).await?;
    let binding = json!({ "metadata": { "name": "mesh" }, "spec": { "policyName": "mesh" } });
    let bindings: Api<MutatingAdmissionPolicyBinding> = Api::all(s.world.client.clone());
    bindings.create(&PostParams::default(), &serde_json::from_value(binding)?).await?;
    // The API server learns of policies by a watch of its own.
    let probe = json!({ "metadata": { "name": "probe" }, "spec": { "selector": { "matchLabels": { "a": "b" } }, "replicas": 0,
        "template": { "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "x", "image": "x" }] } } } });
    let probe: Deployment = serde_json::from_value(probe)?;
    let deployments: Api<Deployment> = s.api();
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let learnt = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            let made = deployments.create(&dry, &probe).await?;
            let containers =
                made.spec.and_then(|spec| spec.template.spec).map_or(0, |pod| pod.containers.len());
            if containers == 2 {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(SOON, learnt).await.context("the policy does not act")?
}

/// `null` and `$patch` take away what is ours by default, on the real thing too.
pub async fn what_a_user_removes_is_gone(s: Scenario) -> Result<()> {
    let mut spec = clustered();
    let init = json!({
        "name": "prepare",
        "image": "docker.io/library/kong:3.9",
        "command": ["kong", "version"],
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
            "runAsNonRoot": true, "runAsUser": 1000 },
    });
    spec["deployment"]["podTemplateSpec"] = json!({ "spec": {
        "initContainers": [init],
        "tolerations": [{ "key": "edge", "operator": "Exists" }],
        "containers": [{
            "name": "proxy",
            "livenessProbe": null,
            "resources": { "$patch": "replace", "requests": { "cpu": "10m" } },
            "env": [
                { "name": "KONG_PLUGINS", "$patch": "delete" },
                { "name": "EXTRA", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
            ],
        }],
    } });
    s.dataplane("less", spec).await?;
    s.ready("less").await?;
    let made: Deployment = s.api().get(&names::deployment("less", "1")).await?;
    let pod = made.spec.and_then(|spec| spec.template.spec).context("no pod")?;
    let proxy = pod.containers.first().context("no container")?;
    ensure!(proxy.liveness_probe.is_none() && proxy.readiness_probe.is_some());
    let limits = proxy.resources.as_ref().and_then(|resources| resources.limits.clone());
    ensure!(limits.is_none_or(|limits| limits.is_empty()), "{:?}", proxy.resources);
    let variables: Vec<_> = proxy.env.iter().flatten().map(|variable| variable.name.as_str()).collect();
    ensure!(!variables.contains(&"KONG_PLUGINS") && variables.contains(&"EXTRA"), "{variables:?}");
    ensure!(
        pod.init_containers.iter().flatten().count() == 1
            && pod.tolerations.iter().flatten().any(|t| t.key.as_deref() == Some("edge"))
    );
    Ok(())
}

/// Two thirds of its life are over: it is replaced by one of the same authority, and the pods are rolled.
/// How often a certificate is replaced by an old one.
const TRIES: usize = 5;

pub async fn a_certificate_near_its_end_is_renewed(s: Scenario) -> Result<()> {
    s.dataplane("old", clustered()).await?;
    s.reason("old", types::ROLLED_OUT, reasons::ROLLED_OUT).await?;
    let ours: Api<Secret> = Api::namespaced(s.world.client.clone(), names::NAMESPACE);
    let authority = Authority::read(&pair(&ours.get("kong-operator-ca").await?)?)?;
    let service = names::admin_service("old");
    let wanted = [format!("*.{service}.{}.svc", s.namespace), format!("{service}.{}.svc", s.namespace)];
    let long_ago = SystemTime::now() - certs::LEAF_LIFE * 3 / 4;
    let old = authority.issue(&Request::server(&wanted), long_ago)?;

    let deployments: Api<Deployment> = s.api();
    let deployment = names::deployment("old", "1");
    let hash = |d: &Deployment| {
        let template = d.spec.as_ref().and_then(|spec| spec.template.metadata.clone()).unwrap_or_default();
        template.annotations.unwrap_or_default().get(names::annotations::CERTIFICATE_HASH).cloned()
    };
    let before = hash(&deployments.get(&deployment).await?);
    let secrets: Api<Secret> = s.api();
    let name = names::admin_certificate("old");
    let data = json!({ "data": {
        "tls.crt": ByteString(old.certificate.clone().into_bytes()), "tls.key": ByteString(old.key.into_bytes()),
    } });
    let first = pair(&secrets.get(&name).await?)?;
    let mut renewed = Pair { certificate: first.certificate.clone(), key: String::new() };
    // A reconcile that was under way puts the first one back, which is as good: then it is asked again.
    for _ in 0..TRIES {
        secrets.patch(&name, &PatchParams::default(), &Patch::Merge(&data)).await?;
        let there = |secret: &Secret| pair(secret).is_ok_and(|pair| pair.certificate != old.certificate);
        renewed = pair(&wait::until(&secrets, &name, BACK, there).await?)?;
        if renewed.certificate != first.certificate {
            break;
        }
    }
    let verdict =
        certs::judge(&renewed, authority.certificate(), &Request::server(&wanted), SystemTime::now());
    ensure!(matches!(verdict, certs::Verdict::Good { .. }), "{verdict:?}");
    wait::until(&deployments, &deployment, SOON, |d| hash(d) != before).await?;
    s.reason("old", types::ROLLED_OUT, reasons::ROLLED_OUT).await?;
    Ok(())
}

fn pair(secret: &Secret) -> Result<Pair> {
    let text = |key: &str| -> Result<String> {
        let bytes =
            secret.data.as_ref().and_then(|data| data.get(key)).with_context(|| format!("no {key}"))?;
        Ok(String::from_utf8(bytes.0.clone())?)
    };
    Ok(Pair { certificate: text("tls.crt")?, key: text("tls.key")? })
}
